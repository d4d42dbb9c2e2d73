//! Persist jobs and tree loaders: what the store's worker drives.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

use devdev_pack::{Pace, Packed, PersistError, PersistJob, UnpackError, unpack_block, unpack_page};
use devdev_vfs::{BlockHash, Corrupt, DecodedPage, Errno, NeedKey, PageId, TreeLoader, page};
use napi::Env;
use napi::bindgen_prelude::{Object, Uint8Array};
use napi_derive::napi;

use crate::failed::{Failed, Thrown};
use crate::host_mount::stay_awake;
use crate::needs::id;
use crate::registry::{engine, tree};
use crate::trees::add_tree;
use crate::values::Bytes;
use crate::work::long;

/// Bytes that describe one packed object: id, then offset, length, raw length and encoding as
/// u32le.
const RECORD: usize = 48;
/// Decoded by a thread before the loader takes them.
const PAGES_AT_A_TIME: usize = 16;
/// A tree of so few new leaves is put together by the calling thread.
const FEW_LEAVES: usize = 64;

impl From<PersistError> for Failed {
    fn from(error: PersistError) -> Failed {
        let code = match error {
            PersistError::BlockGone(_) => "ERR_PERSIST_BLOCK_GONE",
            PersistError::BufferTooSmall(_) => "ERR_PERSIST_BUFFER_TOO_SMALL",
            PersistError::OutOfOrder(_) => "ERR_PERSIST_OUT_OF_ORDER",
        };
        Failed::new(code, error.to_string())
    }
}

impl From<Corrupt> for Failed {
    fn from(corrupt: Corrupt) -> Failed {
        Failed::new("ERR_CORRUPT", corrupt.to_string())
    }
}

impl From<UnpackError> for Failed {
    fn from(error: UnpackError) -> Failed {
        Failed::new("ERR_CORRUPT", error.to_string())
    }
}

fn pace(background: bool) -> Pace {
    if background {
        return Pace::BACKGROUND;
    }
    stay_awake();
    Pace::FULL
}

fn records(packed: &[Packed]) -> Bytes {
    let mut bytes = Vec::with_capacity(packed.len() * RECORD);
    for Packed { name, offset, len, raw_len, encoding } in packed {
        bytes.extend_from_slice(name);
        let numbers = [*offset, *len, *raw_len, u32::from(*encoding)];
        numbers.iter().for_each(|n| bytes.extend_from_slice(&n.to_le_bytes()));
    }
    Bytes(bytes)
}

fn concat(ids: impl Iterator<Item = [u8; 32]>) -> Bytes {
    Bytes(ids.flatten().collect())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Brings one tree into the store; see PersistJob in packages/vfs.
#[napi]
pub struct NativePersistJob {
    // None once it is closed. It holds the tree: content that is gone from the workspace lives on.
    job: Mutex<Option<Arc<Mutex<PersistJob>>>>,
}

/// Blocks to come.
#[napi(object)]
pub struct BlocksLeft {
    pub blocks: u32,
    pub bytes: f64,
}

impl NativePersistJob {
    fn job(&self) -> Result<Arc<Mutex<PersistJob>>, Failed> {
        let closed = || Failed::new("ERR_CLOSED", "the persist job is closed");
        lock(&self.job).clone().ok_or_else(closed)
    }
}

#[napi]
impl NativePersistJob {
    /// Finds what changed since it was last stored, and hashes it.
    #[napi(catch_unwind, ts_return_type = "Promise<NativePersistJob>")]
    pub fn start(env: &Env, tree_number: u32, background: bool) -> Result<Object<'_>, Thrown> {
        let handle = tree(tree_number)?;
        long(env, "persist", move || {
            let mut job = PersistJob::new(&handle.tree);
            job.hash(pace(background));
            Ok(NativePersistJob { job: Mutex::new(Some(Arc::new(Mutex::new(job)))) })
        })
    }

    /// The ids of the blocks that the store may lack.
    #[napi(catch_unwind, ts_return_type = "Buffer")]
    pub fn hashes(&self) -> Result<Bytes, Thrown> {
        Ok(concat(lock(&*self.job()?).hashes().iter().map(|hash| hash.0)))
    }

    /// Which of them it lacks.
    #[napi(catch_unwind)]
    pub fn set_missing(&self, bitmap: &[u8]) -> Result<(), Thrown> {
        Ok(lock(&*self.job()?).set_missing(bitmap).map_err(Failed::from)?)
    }

    /// Blocks to come, and their bytes before packing.
    #[napi(catch_unwind)]
    pub fn left(&self) -> Result<BlocksLeft, Thrown> {
        let (blocks, bytes) = lock(&*self.job()?).blocks_left();
        Ok(BlocksLeft { blocks: blocks as u32, bytes: bytes as f64 })
    }

    /// Packs missing blocks into the buffer, which JavaScript leaves alone meanwhile; records.
    #[napi(catch_unwind, ts_return_type = "Promise<Buffer>")]
    pub fn fill_blocks<'env>(
        &self,
        env: &'env Env,
        mut buffer: Uint8Array,
        background: bool,
    ) -> Result<Object<'env>, Thrown> {
        let job = self.job()?;
        long(env, "pack", move || {
            // SAFETY: packages/vfs owns the buffer and touches it only between calls.
            let bytes = unsafe { buffer.as_mut() };
            Ok(records(&lock(&job).fill(bytes, pace(background))?))
        })
    }

    /// Packs pages into the buffer, as above.
    #[napi(catch_unwind, ts_return_type = "Promise<Buffer>")]
    pub fn fill_pages<'env>(
        &self,
        env: &'env Env,
        mut buffer: Uint8Array,
    ) -> Result<Object<'env>, Thrown> {
        let job = self.job()?;
        long(env, "pack", move || {
            // SAFETY: packages/vfs owns the buffer and touches it only between calls.
            let bytes = unsafe { buffer.as_mut() };
            Ok(records(&lock(&job).fill_pages(bytes)?))
        })
    }

    /// The id of the tree's page, once all were given.
    #[napi(catch_unwind, ts_return_type = "Buffer | null")]
    pub fn root(&self) -> Result<Option<Bytes>, Thrown> {
        Ok(lock(&*self.job()?).root().map(|root| Bytes(root.0.to_vec())))
    }

    /// Notes that the store has it all.
    #[napi(catch_unwind)]
    pub fn committed(&self) -> Result<(), Thrown> {
        Ok(lock(&*self.job()?).committed().map_err(Failed::from)?)
    }

    /// Lets the tree go, once nothing of it is pending.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        let job = lock(&self.job).take();
        // Freeing a large tree takes its time.
        thread::spawn(move || drop(job));
    }

    /// Starts over after a commit that failed.
    #[napi(catch_unwind)]
    pub fn rewind(&self) -> Result<(), Thrown> {
        lock(&*self.job()?).rewind();
        Ok(())
    }
}

/// Builds a tree from pages; see TreeLoader in packages/vfs.
#[napi]
pub struct NativeTreeLoader {
    // None once it is finished. Threads of `supply_all` share it.
    loader: Arc<Mutex<Option<TreeLoader>>>,
    // It shares with a tree of this process: then it is one of its store.
    shares: bool,
}

fn finished() -> Failed {
    Failed::new("ERR_CLOSED", "the loader has finished")
}

impl NativeTreeLoader {
    fn with<R>(
        &self,
        work: impl FnOnce(&mut TreeLoader) -> Result<R, Failed>,
    ) -> Result<R, Failed> {
        work(lock(&self.loader).as_mut().ok_or_else(finished)?)
    }
}

#[napi]
impl NativeTreeLoader {
    /// A loader of the tree with this page.
    #[napi(catch_unwind, factory)]
    pub fn start(root: &[u8], reference: Option<u32>) -> Result<NativeTreeLoader, Thrown> {
        let reference = reference.map(tree).transpose()?;
        let reference = reference.as_ref().map(|handle| &*handle.tree);
        stay_awake();
        let loader = Some(TreeLoader::new(PageId(id(root)?), reference));
        Ok(NativeTreeLoader { loader: Arc::new(Mutex::new(loader)), shares: reference.is_some() })
    }

    /// Lets go what was built so far.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        let loader = self.loader.clone();
        thread::spawn(move || drop(lock(&loader).take()));
    }

    /// Ids of the pages needed next.
    #[napi(catch_unwind, ts_return_type = "Buffer")]
    pub fn wanted(&self) -> Result<Bytes, Thrown> {
        let wanted = self.with(|loader| Ok(loader.wanted()))?;
        Ok(concat(wanted.into_iter().map(|page| page.0)))
    }

    /// Takes a page.
    #[napi(catch_unwind)]
    pub fn supply(
        &self,
        page_id: &[u8],
        encoding: u8,
        raw_length: u32,
        data: &[u8],
    ) -> Result<(), Thrown> {
        let page = unpack_page(encoding, data, raw_length as usize).map_err(Failed::from)?;
        let page = DecodedPage::new(PageId(id(page_id)?), page).map_err(Failed::from)?;
        Ok(self.with(|loader| Ok(loader.feed_decoded(page)?))?)
    }

    /// Takes pages on threads of their own: records as `fill_pages` gives them, and the bytes that
    /// they describe.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn supply_all<'env>(
        &self,
        env: &'env Env,
        records: &[u8],
        data: &[u8],
    ) -> Result<Object<'env>, Thrown> {
        let loader = self.loader.clone();
        let (records, data) = (records.to_vec(), data.to_vec());
        long(env, "load", move || feed_all(&loader, &records, &data))
    }

    /// The tree's number when little of it is new, so that it is sooner finished than a thread is
    /// started; else null.
    #[napi(catch_unwind)]
    pub fn finish_small(&self) -> Result<Option<u32>, Thrown> {
        let mut loader = lock(&self.loader);
        let is_small = |loader: &mut TreeLoader| loader.own_leaves() <= FEW_LEAVES;
        if !self.shares || !loader.as_mut().is_some_and(is_small) {
            return Ok(None);
        }
        let loader = loader.take().ok_or_else(finished)?;
        let tree = loader.finish_own().map_err(Failed::from)?;
        Ok(Some(add_tree(tree, Weak::new())))
    }

    /// The tree, checked as a whole unless it shares with another; its number.
    #[napi(catch_unwind, ts_return_type = "Promise<number>")]
    pub fn finish<'env>(&self, env: &'env Env) -> Result<Object<'env>, Thrown> {
        let loader = lock(&self.loader).take().ok_or_else(finished)?;
        let shares = self.shares;
        long(env, "load", move || {
            let tree = if shares { loader.finish_own()? } else { loader.finish()? };
            Ok(add_tree(tree, Weak::new()))
        })
    }
}

/// Two threads unpack, decode and build leaves; the loader takes a few pages at a time from either.
fn feed_all(loader: &Mutex<Option<TreeLoader>>, records: &[u8], data: &[u8]) -> Result<(), Failed> {
    let (own, others) = records.split_at(records.len() / RECORD / 2 * RECORD);
    thread::scope(|scope| {
        let other = thread::Builder::new().spawn_scoped(scope, || feed_some(loader, others, data));
        let own = feed_some(loader, own, data);
        let panicked = |_| Err(Failed::new("ERR_INTERNAL", "a thread that decodes pages ended"));
        match other {
            Ok(other) => other.join().unwrap_or_else(panicked).and(own),
            Err(_) => own.and_then(|()| feed_some(loader, others, data)),
        }
    })
}

fn feed_some(
    loader: &Mutex<Option<TreeLoader>>,
    records: &[u8],
    data: &[u8],
) -> Result<(), Failed> {
    for few in records.chunks(PAGES_AT_A_TIME * RECORD) {
        let pages = few.chunks_exact(RECORD).map(|record| decoded(record, data));
        let pages = pages.collect::<Result<Vec<_>, _>>()?;
        let (surroundings, indexes) = {
            let loader = lock(loader);
            let loader = loader.as_ref().ok_or_else(finished)?;
            let indexes = pages.iter().map(|page| loader.leaf_index(page.id()));
            (loader.surroundings(), indexes.collect::<Vec<_>>())
        };
        let pages = pages.into_iter().zip(indexes).map(|(page, index)| match index {
            Some(index) => page.built(index, &surroundings),
            None => Ok(page),
        });
        let pages = pages.collect::<Result<Vec<_>, _>>()?;
        let mut loader = lock(loader);
        let loader = loader.as_mut().ok_or_else(finished)?;
        pages.into_iter().try_for_each(|page| loader.feed_decoded(page))?;
    }
    Ok(())
}

fn decoded(record: &[u8], data: &[u8]) -> Result<DecodedPage, Failed> {
    let number = |at: usize| {
        let bytes = record[at..at + 4].try_into().unwrap_or_default();
        u32::from_le_bytes(bytes) as usize
    };
    let (offset, len) = (number(32), number(36));
    let outside = || Failed::new("ERR_CORRUPT", "a page lies outside of its buffer");
    let packed = data.get(offset..offset + len).ok_or_else(outside)?;
    // An encoding that is none stays one.
    let encoding = u8::try_from(number(44)).unwrap_or(u8::MAX);
    let page = unpack_page(encoding, packed, number(40))?;
    Ok(DecodedPage::new(PageId(id(&record[..32])?), page)?)
}

/// What a page refers to.
#[napi(object)]
pub struct References {
    /// Ids of 32 bytes each.
    pub pages: Uint8Array,
    pub blocks: Uint8Array,
}

/// What a page refers to.
#[napi(catch_unwind)]
pub fn page_references(encoding: u8, raw_length: u32, data: &[u8]) -> Result<References, Thrown> {
    let bytes = unpack_page(encoding, data, raw_length as usize).map_err(Failed::from)?;
    let refs = page::refs(&bytes).map_err(Failed::from)?;
    let pages: Vec<u8> = refs.pages.iter().flat_map(|page| page.0).collect();
    let blocks: Vec<u8> = refs.blocks.iter().flat_map(|block| block.0).collect();
    Ok(References { pages: pages.into(), blocks: blocks.into() })
}

/// The id of a page of these bytes: for who mends a damaged tree. Throws when they are none.
#[napi(catch_unwind, ts_return_type = "Buffer")]
pub fn page_id(bytes: &[u8]) -> Result<Bytes, Thrown> {
    page::refs(bytes).map_err(Failed::from)?;
    Ok(Bytes(PageId::of(bytes).0.to_vec()))
}

/// Whether the bytes are the page of this id.
#[napi(catch_unwind)]
pub fn verify_page(
    page_id: &[u8],
    encoding: u8,
    raw_length: u32,
    data: &[u8],
) -> Result<bool, Thrown> {
    let page = unpack_page(encoding, data, raw_length as usize);
    let expected = PageId(id(page_id)?);
    Ok(page.is_ok_and(|bytes| PageId::of(&bytes) == expected && page::refs(&bytes).is_ok()))
}

/// Whether the bytes are the block of this id.
#[napi(catch_unwind)]
pub fn verify_block(
    hash: &[u8],
    encoding: u8,
    raw_length: u32,
    data: &[u8],
) -> Result<bool, Thrown> {
    let block = unpack_block(encoding, data, raw_length as usize);
    let expected = BlockHash(id(hash)?);
    Ok(block.is_ok_and(|bytes| BlockHash::of(&bytes) == expected))
}

/// Blocks that a sweep of the store keeps though no checkpoint reaches them, 32 bytes each.
#[napi(catch_unwind, ts_return_type = "Buffer")]
pub fn pinned_blocks(number: u32) -> Result<Bytes, Thrown> {
    // A closed engine needs nothing.
    let Ok(engine) = engine(number) else { return Ok(Bytes(Vec::new())) };
    Ok(concat(engine.vfs.pinned_blocks().into_iter().map(|hash| hash.0)))
}

/// Brings a block that the engine needs; one that does not unpack to its hash fails the need, and
/// the answer is false.
#[napi(catch_unwind)]
pub fn needs_supply_block(
    number: u32,
    hash: &[u8],
    encoding: u8,
    raw_length: u32,
    data: &[u8],
) -> Result<bool, Thrown> {
    let hash = BlockHash(id(hash)?);
    // A closed engine waits for nothing.
    let Ok(engine) = engine(number) else { return Ok(true) };
    let Ok(bytes) = unpack_block(encoding, data, raw_length as usize) else {
        engine.vfs.fail_need(&NeedKey::Block(hash), Errno::Io);
        return Ok(false);
    };
    engine.needs.note_block(bytes.len());
    Ok(engine.vfs.supply_block(hash, bytes))
}
