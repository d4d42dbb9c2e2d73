//! Waiting for the store: which needs are under way, and who waits for them.
//!
//! Each need is asked from the loader once, however many wait for it. Wakers run without any
//! lock of the engine.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::chunk::Chunk;
use crate::errno::{Errno, Result};
use crate::ids::BlockHash;
use crate::outcome::{Loader, Need, NeedKey, Waker};
use crate::room;
use crate::types::Tree;
use crate::vfs::Vfs;

struct Waiter {
    waker: Waker,
    missing: usize,
}

type Shared = Arc<Mutex<Option<Waiter>>>;

#[derive(Default)]
struct Pending {
    /// The chunks to fill when the block comes.
    chunks: Vec<Arc<Chunk>>,
    waiters: Vec<Shared>,
}

#[derive(Default)]
struct Table {
    pending: HashMap<NeedKey, Pending>,
    loader: Option<Arc<dyn Loader>>,
}

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Waits {
    table: Mutex<Table>,
}

// Tells a waiter what came of one of its needs; returns the waker to call, if it was the last.
fn tell(shared: &Shared, outcome: Result<()>) -> Option<(Waker, Result<()>)> {
    let mut slot = shared.lock();
    let waiter = slot.as_mut()?;
    waiter.missing -= 1;
    if waiter.missing > 0 && outcome.is_ok() {
        return None;
    }
    slot.take().map(|waiter| (waiter.waker, outcome))
}

fn wake(waiters: &[Shared], outcome: Result<()>) {
    for (waker, outcome) in waiters.iter().filter_map(|waiter| tell(waiter, outcome)) {
        waker(outcome);
    }
}

impl Vfs {
    /// Who fetches what is missing; without one a missing block is EIO. A new one is asked for
    /// what the one before had not brought yet.
    pub fn set_loader(&self, loader: Option<Arc<dyn Loader>>) {
        let mut table = self.waits.table.lock();
        table.loader = loader.clone();
        let Some(loader) = loader else {
            let given_up = std::mem::take(&mut table.pending);
            drop(table);
            return given_up.values().for_each(|pending| wake(&pending.waiters, Err(Errno::Io)));
        };
        let asked: Vec<NeedKey> = table.pending.keys().cloned().collect();
        drop(table);
        if !asked.is_empty() {
            loader.load(&asked);
        }
    }

    /// Calls `waker` when all of `needs` have arrived or one has failed.
    pub fn wait_for(&self, needs: Vec<Need>, waker: Waker) {
        if matches!(needs[..], [Need::Room]) {
            return room::wait(waker);
        }
        let mut table = self.waits.table.lock();
        let Some(loader) = table.loader.clone() else {
            drop(table);
            return waker(Err(Errno::Io));
        };
        let shared = Arc::new(Mutex::new(Some(Waiter { waker, missing: 1 })));
        let mut asked = Vec::new();
        for need in needs {
            let key = match &need {
                Need::Room => continue,
                Need::Block(chunk) if chunk.bytes().is_some() => continue,
                Need::Snapshot(name) if self.control.is_settled(name) => continue,
                Need::Snapshot(name) => NeedKey::Snapshot(name.clone()),
                // A chunk has its bytes or its hash; one without either cannot be had.
                Need::Block(chunk) => match chunk.hash() {
                    Some(hash) => NeedKey::Block(hash),
                    None => continue,
                },
            };
            let pending = table.pending.entry(key.clone()).or_insert_with(|| {
                asked.push(key);
                Pending::default()
            });
            if let Need::Block(chunk) = need
                && !pending.chunks.iter().any(|known| Arc::ptr_eq(known, &chunk))
            {
                pending.chunks.push(chunk);
            }
            pending.waiters.push(shared.clone());
            if let Some(waiter) = &mut *shared.lock() {
                waiter.missing += 1;
            }
        }
        drop(table);
        if !asked.is_empty() {
            loader.load(&asked);
        }
        // The count began at one, so that it could not reach zero before all were entered.
        wake(&[shared], Ok(()));
    }

    /// Brings a block; EIO for those who wait, and false, when the bytes do not have this hash.
    pub fn supply_block(&self, hash: BlockHash, bytes: Vec<u8>) -> bool {
        let key = NeedKey::Block(hash);
        if BlockHash::of(&bytes) != hash {
            self.fail_need(&key, Errno::Io);
            return false;
        }
        let bytes = Arc::new(bytes);
        let mut table = self.waits.table.lock();
        let Some(pending) = table.pending.remove(&key) else { return true };
        let mut outcome = Ok(());
        for chunk in &pending.chunks {
            if !chunk.fill(bytes.clone()) {
                outcome = Err(Errno::Io);
            }
        }
        drop(table);
        wake(&pending.waiters, outcome);
        outcome.is_ok()
    }

    /// Brings the tree of a snapshot.
    pub fn supply_snapshot(&self, name: &[u8], tree: Arc<Tree>) {
        self.control.supply(name, tree);
        self.settle(&NeedKey::Snapshot(name.into()), Ok(()));
    }

    /// What was needed cannot be had.
    pub fn fail_need(&self, key: &NeedKey, errno: Errno) {
        self.settle(key, Err(errno));
    }

    fn settle(&self, key: &NeedKey, outcome: Result<()>) {
        let pending = self.waits.table.lock().pending.remove(key);
        if let Some(pending) = pending {
            wake(&pending.waiters, outcome);
        }
    }
}
