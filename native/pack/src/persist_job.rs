//! The steps by which a store worker brings a frozen tree into its database: which blocks might
//! be new, then the new ones packed into a buffer that the worker reuses, then the pages.
//!
//! Each step is a call that may take long and belongs on a thread where that hurts nobody; the
//! database work lies between the calls. Until `committed` the engine knows of nothing.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use devdev_vfs::{BlockHash, CHUNK_SIZE, Chunk, ContentId, PageId, Persist, Tree, block_bytes};

use crate::encoding::Packer;
use crate::pace::Pace;

/// Fast, and close to the best ratio on source code and objects.
const LEVEL: i32 = 1;

/// Something packed into a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packed {
    /// Block hash or page id.
    pub name: [u8; 32],
    /// Where it starts in the buffer.
    pub offset: u32,
    /// Bytes it takes there.
    pub len: u32,
    /// Bytes it has unpacked.
    pub raw_len: u32,
    /// `RAW` or `ZSTD`.
    pub encoding: u8,
}

/// Why a step fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PersistError {
    /// The store lacks this block, and its bytes are not in memory.
    BlockGone(BlockHash),
    /// The buffer must be at least this large.
    BufferTooSmall(usize),
    /// A step was called before one that it needs.
    OutOfOrder(&'static str),
}

impl fmt::Display for PersistError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PersistError::BlockGone(hash) => {
                write!(f, "block {hash:?} is in neither memory nor the store")
            }
            PersistError::BufferTooSmall(need) => write!(f, "the buffer needs {need} bytes"),
            PersistError::OutOfOrder(needed) => write!(f, "{needed} has to be called before"),
        }
    }
}

impl std::error::Error for PersistError {}

/// Brings one frozen tree into a store: `hash`, `hashes`, `set_missing`, `fill` until it gives
/// nothing, `fill_pages` until it gives nothing, the store's commit with `root`, `committed`.
pub struct PersistJob {
    persist: Persist,
    /// Blocks that might be new, each once, with a chunk that has the bytes.
    hashes: Vec<BlockHash>,
    chunks: Vec<Arc<Chunk>>,
    hashed: bool,
    /// Indices of the blocks to store; those below `next` have been given.
    missing: Option<Vec<u32>>,
    next: usize,
    /// A page that did not fit into the last buffer.
    held: Option<(PageId, Vec<u8>)>,
    packer: Packer,
}

impl PersistJob {
    /// Finds what changed since it was last stored.
    pub fn new(tree: &Arc<Tree>) -> PersistJob {
        tree.note_leaving();
        PersistJob {
            persist: Persist::new(tree),
            hashes: Vec::new(),
            chunks: Vec::new(),
            hashed: false,
            missing: None,
            next: 0,
            held: None,
            packer: Packer::new(LEVEL),
        }
    }

    /// Hashes the chunks that are not known to be stored.
    pub fn hash(&mut self, pace: Pace) {
        if self.hashed {
            return;
        }
        let chunks = self.persist.chunks();
        pace.each(chunks, |chunk| _ = chunk.hash());
        let mut seen = HashMap::with_capacity(chunks.len());
        for chunk in chunks {
            // A chunk without hash has neither bytes nor a name, which its constructors rule out.
            if let Some(hash) = chunk.hash()
                && seen.insert(hash, ()).is_none()
            {
                self.hashes.push(hash);
                self.chunks.push(chunk.clone());
            }
        }
        self.hashed = true;
    }

    /// The blocks that the store may lack, each once.
    pub fn hashes(&self) -> &[BlockHash] {
        &self.hashes
    }

    /// Says which of `hashes` the store lacks: bit `n % 8` of byte `n / 8`. A bitmap that is too
    /// short is filled up with ones.
    pub fn set_missing(&mut self, bitmap: &[u8]) -> Result<(), PersistError> {
        if !self.hashed {
            return Err(PersistError::OutOfOrder("hash"));
        }
        let is_missing =
            |n: &u32| bitmap.get(*n as usize / 8).is_none_or(|byte| byte >> (n % 8) & 1 == 1);
        self.missing = Some((0..self.hashes.len() as u32).filter(is_missing).collect());
        self.next = 0;
        Ok(())
    }

    /// Blocks that `fill` has not given yet, and their bytes before packing.
    pub fn blocks_left(&self) -> (usize, u64) {
        let left = self.missing.as_deref().map_or(&[][..], |missing| &missing[self.next..]);
        (left.len(), left.iter().map(|n| self.chunks[*n as usize].len() as u64).sum())
    }

    /// Packs missing blocks into `buffer`, as many as fit; empty when all have been given.
    pub fn fill(&mut self, buffer: &mut [u8], pace: Pace) -> Result<Vec<Packed>, PersistError> {
        let missing = self.missing.as_deref().ok_or(PersistError::OutOfOrder("set_missing"))?;
        let room = CHUNK_SIZE as usize;
        if buffer.len() < room {
            return Err(PersistError::BufferTooSmall(room));
        }
        let work = FillWork { chunks: &self.chunks, missing, next: AtomicUsize::new(self.next) };
        // Each thread has a part of the buffer to itself.
        let left = missing.len() - self.next;
        let threads = pace.threads.min(buffer.len() / (4 * room)).min(left / 8).max(1);
        let part = buffer.len() / threads;
        let results = Mutex::new(Vec::with_capacity(threads));
        let note = |result| results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
        let mut parts = buffer.chunks_mut(part).take(threads).enumerate();
        let own = parts.next();
        std::thread::scope(|scope| {
            for (n, buffer) in parts {
                let (work, note) = (&work, &note);
                scope
                    .spawn(move || note(work.run(buffer, n * part, &mut Packer::new(LEVEL), pace)));
            }
            if let Some((_, buffer)) = own {
                note(work.run(buffer, 0, &mut self.packer, pace));
            }
        });
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let packed: Vec<Vec<Packed>> = results.into_iter().collect::<Result<_, _>>()?;
        let packed = packed.concat();
        self.next += packed.len();
        Ok(packed)
    }

    /// Packs pages into `buffer`, as many as fit, those they refer to before them; empty when all
    /// have been given. The same page may come twice. The blocks they name should be stored
    /// before, or in the same transaction.
    pub fn fill_pages(&mut self, buffer: &mut [u8]) -> Result<Vec<Packed>, PersistError> {
        if !self.hashed {
            return Err(PersistError::OutOfOrder("hash"));
        }
        let (mut packed, mut at) = (Vec::new(), 0);
        while let Some((id, page)) = self.held.take().or_else(|| self.persist.next_page()) {
            if page.len() > buffer.len() - at {
                let need = page.len();
                self.held = Some((id, page));
                if packed.is_empty() {
                    return Err(PersistError::BufferTooSmall(need));
                }
                break;
            }
            let (encoding, len) = self.packer.pack(&page, &mut buffer[at..]);
            let (offset, raw_len) = (at as u32, page.len() as u32);
            packed.push(Packed { name: id.0, offset, len: len as u32, raw_len, encoding });
            at += len;
        }
        Ok(packed)
    }

    /// The page that stands for the tree, once `fill_pages` has given all.
    pub fn root(&self) -> Option<PageId> {
        self.persist.root().filter(|_| self.held.is_none())
    }

    /// Starts over after a commit that failed: `set_missing` comes next.
    pub fn rewind(&mut self) {
        self.persist.rewind();
        (self.missing, self.next, self.held) = (None, 0, None);
    }

    /// Notes in the engine that the store has all of the tree. To be called after the commit
    /// that made it durable and made the workspace's checkpoint (or a snapshot) refer to `root`.
    pub fn committed(&mut self) -> Result<(), PersistError> {
        if self.root().is_none() {
            return Err(PersistError::OutOfOrder("fill_pages"));
        }
        self.persist.committed();
        Ok(())
    }
}

/// The content id of a tree; hashes what is not hashed yet on the threads of `pace`.
pub fn content_id(tree: &Arc<Tree>, pace: Pace) -> ContentId {
    if let Some(id) = tree.known_id() {
        return id;
    }
    let persist = Persist::new(tree);
    pace.each(persist.chunks(), |chunk| _ = chunk.hash());
    devdev_vfs::content_id(tree)
}

struct FillWork<'a> {
    chunks: &'a [Arc<Chunk>],
    missing: &'a [u32],
    next: AtomicUsize,
}

impl FillWork<'_> {
    fn run(
        &self,
        buffer: &mut [u8],
        base: usize,
        packer: &mut Packer,
        pace: Pace,
    ) -> Result<Vec<Packed>, PersistError> {
        let (mut packed, mut at, mut beat) = (Vec::new(), 0, pace.beat());
        // Room for any block comes first, so that a block once taken is also packed.
        while buffer.len() - at >= CHUNK_SIZE as usize {
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(&n) = self.missing.get(next) else { break };
            let chunk = &self.chunks[n as usize];
            let hash = chunk.hash().ok_or(PersistError::OutOfOrder("hash"))?;
            let bytes = chunk.bytes().ok_or(PersistError::BlockGone(hash))?;
            let raw = block_bytes(&bytes);
            let (encoding, len) = packer.pack(raw, &mut buffer[at..]);
            let (offset, raw_len) = ((base + at) as u32, raw.len() as u32);
            packed.push(Packed { name: hash.0, offset, len: len as u32, raw_len, encoding });
            at += len;
            beat.rest();
        }
        Ok(packed)
    }
}

#[cfg(test)]
mod tests;
