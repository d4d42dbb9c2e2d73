//! What an engine needs from the store, on its way to the thread that answers.
//!
//! One thread serves an engine: it registered a weak callback that is told when something is
//! queued, takes the batch, and answers by plain calls. A thread that ends drops callbacks that
//! are under way, so nobody waits on those: when the server goes the engine loses its loader,
//! which fails what was asked and not answered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use devdev_vfs::{BlockHash, Errno, Loader, NeedKey, Vfs};
use napi::bindgen_prelude::{Function, Uint8Array};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};
use napi_derive::napi;

use crate::failed::{Failed, Thrown};
use crate::registry::{ENGINES, engine, tree};
use crate::work::internal;

type Wake = ThreadsafeFunction<(), (), (), Status, false, true>;

struct Server {
    number: u32,
    wake: Wake,
}

#[derive(Default)]
struct State {
    server: Option<Server>,
    last_number: u32,
    /// Asked and not taken yet.
    queued: Vec<NeedKey>,
}

/// The needs of one engine.
pub struct NeedQueue {
    // The engine's Vfs owns this as its loader.
    vfs: Weak<Vfs>,
    state: Mutex<State>,
    /// Blocks that came from the store, and their bytes.
    blocks: AtomicU64,
    bytes: AtomicU64,
}

impl NeedQueue {
    pub fn new(vfs: &Arc<Vfs>) -> Arc<NeedQueue> {
        Arc::new(NeedQueue {
            vfs: Arc::downgrade(vfs),
            state: Mutex::default(),
            blocks: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        })
    }

    /// A block of so many bytes came from the store.
    pub fn note_block(&self, len: usize) {
        self.blocks.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(len as u64, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(self: &Arc<Self>, wake: Wake) -> u32 {
        self.close();
        let number = {
            let mut state = self.state();
            state.last_number += 1;
            state.server = Some(Server { number: state.last_number, wake });
            state.last_number
        };
        if let Some(vfs) = self.vfs.upgrade() {
            vfs.set_loader(Some(self.clone()));
        }
        number
    }

    // Ends a server (without a number: whichever serves); what waits for it fails.
    fn leave(&self, number: Option<u32>) {
        let server = {
            let mut state = self.state();
            let current = state.server.as_ref().map(|server| server.number);
            if current.is_none() || number.is_some_and(|number| Some(number) != current) {
                return;
            }
            state.queued.clear();
            state.server.take()
        };
        drop(server);
        if let Some(vfs) = self.vfs.upgrade() {
            vfs.set_loader(None);
        }
    }

    pub fn close(&self) {
        self.leave(None);
    }

    fn take(&self) -> Vec<NeedKey> {
        std::mem::take(&mut self.state().queued)
    }
}

impl Loader for NeedQueue {
    fn load(&self, keys: &[NeedKey]) {
        let mut state = self.state();
        let first = state.queued.is_empty();
        state.queued.extend_from_slice(keys);
        if let (true, Some(server)) = (first, &state.server) {
            // A closing environment refuses; its cleanup hook then fails what is queued.
            server.wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}

/// What came from the store for an engine since it was made.
#[napi(object)]
pub struct FetchedInfo {
    pub blocks: f64,
    pub bytes: f64,
}

/// How much came from the store since the engine was made.
#[napi(catch_unwind)]
pub fn needs_fetched(number: u32) -> Result<FetchedInfo, Thrown> {
    let needs = engine(number)?.needs.clone();
    Ok(FetchedInfo {
        blocks: needs.blocks.load(Ordering::Relaxed) as f64,
        bytes: needs.bytes.load(Ordering::Relaxed) as f64,
    })
}

/// Something the engine needs: a block by `hash`, or a snapshot by `name`.
#[napi(object)]
pub struct NeedFromStore {
    pub hash: Option<Uint8Array>,
    pub name: Option<Uint8Array>,
}

impl NeedFromStore {
    fn of(key: &NeedKey) -> NeedFromStore {
        match key {
            NeedKey::Block(hash) => NeedFromStore { hash: Some(hash.0.into()), name: None },
            NeedKey::Snapshot(name) => {
                NeedFromStore { hash: None, name: Some(name.to_vec().into()) }
            }
        }
    }

    fn key(&self) -> Result<NeedKey, Failed> {
        match (&self.hash, &self.name) {
            (Some(hash), None) => Ok(NeedKey::Block(BlockHash(id(hash)?))),
            (None, Some(name)) => Ok(NeedKey::Snapshot(name.to_vec().into_boxed_slice())),
            _ => Err(Failed::new("ERR_INVALID_ARG_VALUE", "a need is a hash or a name")),
        }
    }
}

/// A 32-byte id.
pub fn id(bytes: &[u8]) -> Result<[u8; 32], Failed> {
    bytes.try_into().map_err(|_| Failed::new("ERR_INVALID_ARG_VALUE", "an id has 32 bytes"))
}

/// Makes the calling thread the one that answers the engine's needs: `wake` is called when
/// there is something to take. Returns the server's number.
#[napi(catch_unwind)]
pub fn needs_serve(env: &Env, number: u32, wake: Function<(), ()>) -> Result<u32, Thrown> {
    let queue = engine(number)?.needs.clone();
    let wake = wake.build_threadsafe_function::<()>().weak::<true>().build().map_err(internal)?;
    let server = queue.serve(wake);
    let hook = move |queue: Weak<NeedQueue>| {
        if let Some(queue) = queue.upgrade() {
            queue.leave(Some(server));
        }
    };
    env.add_env_cleanup_hook(Arc::downgrade(&queue), hook).map_err(internal)?;
    Ok(server)
}

/// Ends a server; what waits for it fails with EIO. As every answer, it comes too late for an
/// engine that is closed: nobody waits there.
#[napi(catch_unwind)]
pub fn needs_leave(number: u32, server: u32) {
    if let Ok(engine) = engine(number) {
        engine.needs.leave(Some(server));
    }
}

/// Fails everything that waits for a store: the process ends, and Node waits for its pool's work
/// before it runs any cleanup hook.
#[napi(catch_unwind)]
pub fn needs_abandon() {
    ENGINES.all().iter().for_each(|engine| engine.needs.close());
}

/// What is queued.
#[napi(catch_unwind)]
pub fn needs_take(number: u32) -> Vec<NeedFromStore> {
    let keys = engine(number).map_or_else(|_| Vec::new(), |engine| engine.needs.take());
    keys.iter().map(NeedFromStore::of).collect()
}

/// A tree for a snapshot that was needed.
#[napi(catch_unwind)]
pub fn needs_supply_snapshot(number: u32, name: &[u8], tree_number: u32) -> Result<(), Thrown> {
    let tree = tree(tree_number)?.tree.clone();
    if let Ok(engine) = engine(number) {
        engine.vfs.supply_snapshot(name, tree);
    }
    Ok(())
}

/// Says that a need cannot be met: `code` is ENOENT, else it is an I/O error.
#[napi(catch_unwind)]
pub fn needs_fail(number: u32, need: NeedFromStore, code: String) -> Result<(), Thrown> {
    let key = need.key()?;
    let errno = if code == "ENOENT" { Errno::NoEnt } else { Errno::Io };
    if let Ok(engine) = engine(number) {
        engine.vfs.fail_need(&key, errno);
    }
    Ok(())
}
