//! A chunk: up to 64 KiB of a file's content, shared by reference count.
//!
//! A chunk's bytes may be absent (they are then in the store under its hash) and come back
//! when somebody reads them; its identity does not change thereby. It is written in place
//! only while nobody else holds it.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use crate::attr::PAGE_SIZE;
use crate::ids::BlockHash;
use crate::rank::{Rank, Ranked};
use crate::reclaim::count_freed;
use crate::room;

/// Bytes in a full chunk.
pub const CHUNK_SIZE: u64 = 64 * 1024;
/// Pages in a full chunk.
pub const CHUNK_PAGES: u32 = (CHUNK_SIZE / PAGE_SIZE) as u32;

/// Bytes shared between readers and the chunk that owns them.
pub type Bytes = Arc<Vec<u8>>;

/// Up to `CHUNK_SIZE` bytes at a multiple of `CHUNK_SIZE`; what lies past `len` reads as zero.
pub struct Chunk {
    hash: OnceLock<BlockHash>,
    stored: AtomicBool,
    len: u32,
    /// Bit n is set when page n of the chunk holds data; clear pages are holes and are zero.
    present: u16,
    data: RwLock<Option<Bytes>>,
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Some(bytes) = self.data.get_mut() {
            room::count(-weight(bytes));
            count_freed(u64::from(self.len));
        }
    }
}

/// What a chunk takes beside its bytes, the slot in its file included.
const CHUNK_WEIGHT: usize = 192;

// A chunk without bytes counts nothing.
fn weight(bytes: &Bytes) -> i64 {
    (CHUNK_WEIGHT + bytes.capacity()) as i64
}

/// The bitmap of a chunk of `len` bytes without holes.
pub fn full_pages(len: usize) -> u16 {
    let pages = len.div_ceil(PAGE_SIZE as usize) as u32;
    if pages >= CHUNK_PAGES { u16::MAX } else { (1u16 << pages) - 1 }
}

/// What the store keeps of a chunk's bytes: all but the zeros at their end. So equal content has
/// one block and one hash, however long the chunk is, and a hole is the same as zeros.
pub fn block_bytes(bytes: &[u8]) -> &[u8] {
    let mut end = bytes.len();
    while end >= 64 && bytes[end - 64..end] == [0; 64] {
        end -= 64;
    }
    while end > 0 && bytes[end - 1] == 0 {
        end -= 1;
    }
    &bytes[..end]
}

impl Chunk {
    /// A chunk of these bytes; `present` tells data pages from holes (see `full_pages`).
    pub fn new(bytes: Vec<u8>, present: u16) -> Chunk {
        debug_assert!(bytes.len() as u64 <= CHUNK_SIZE);
        let bytes = Arc::new(bytes);
        room::count(weight(&bytes));
        Chunk {
            hash: OnceLock::new(),
            stored: AtomicBool::new(false),
            len: bytes.len() as u32,
            present,
            data: RwLock::new(Some(bytes)),
        }
    }

    /// A chunk whose bytes are in the store.
    pub fn in_store(hash: BlockHash, len: u32, present: u16) -> Chunk {
        Chunk {
            hash: OnceLock::from(hash),
            stored: AtomicBool::new(true),
            len,
            present,
            data: RwLock::new(None),
        }
    }

    /// Number of bytes held.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it holds no byte.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Which pages hold data.
    pub fn present(&self) -> u16 {
        self.present
    }

    /// Number of pages that hold data.
    pub fn data_pages(&self) -> u64 {
        u64::from(self.present.count_ones())
    }

    /// The bytes, or `None` when only the store has them.
    pub fn bytes(&self) -> Option<Bytes> {
        let _rank = Ranked::take(Rank::Chunk);
        self.data.read().clone()
    }

    /// The hash of its block when it is already known.
    pub fn known_hash(&self) -> Option<BlockHash> {
        self.hash.get().copied()
    }

    /// The hash of its block (see `block_bytes`), computed now if need be; `None` only if neither
    /// is at hand, which a chunk's constructors rule out.
    pub fn hash(&self) -> Option<BlockHash> {
        if let Some(hash) = self.hash.get() {
            return Some(*hash);
        }
        let bytes = self.bytes()?;
        Some(*self.hash.get_or_init(|| BlockHash::of(block_bytes(&bytes))))
    }

    /// Whether the store holds these bytes durably.
    pub fn is_stored(&self) -> bool {
        self.stored.load(Ordering::Acquire)
    }

    /// Notes that the store holds these bytes durably.
    pub fn mark_stored(&self) {
        self.stored.store(true, Ordering::Release);
    }

    /// Puts a block back that came from the store; the caller has verified the hash. What the
    /// block lacks of the chunk's length is zero. False when it is longer than the chunk.
    pub fn fill(&self, mut bytes: Bytes) -> bool {
        if bytes.len() > self.len() {
            return false;
        }
        if bytes.len() < self.len() {
            Arc::make_mut(&mut bytes).resize(self.len(), 0);
        }
        let _rank = Ranked::take(Rank::Chunk);
        let mut data = self.data.write();
        if data.is_none() {
            room::count(weight(&bytes));
            *data = Some(bytes);
        }
        true
    }

    /// A chunk of the same bytes of which the store is not said to have them (it may have them
    /// for another tree only). `None` when the bytes are not in memory.
    pub fn unstored(&self) -> Option<Arc<Chunk>> {
        let bytes = self.bytes()?;
        room::count(weight(&bytes));
        Some(Arc::new(Chunk {
            hash: self.hash.clone(),
            stored: AtomicBool::new(false),
            len: self.len,
            present: self.present,
            data: RwLock::new(Some(bytes)),
        }))
    }

    /// Drops the bytes of a stored chunk; true when memory was given back.
    pub fn evict(&self) -> bool {
        let _rank = Ranked::take(Rank::Chunk);
        if !self.is_stored() || self.hash.get().is_none() {
            return false;
        }
        let evicted = self.data.write().take();
        evicted.iter().for_each(|bytes| room::count(-weight(bytes)));
        evicted.is_some()
    }

    /// Changes the bytes through `edit` (which may lengthen or shorten them and returns the
    /// new page bitmap). In place when `this` is the only owner, else on a copy that replaces it.
    /// Returns `None`, with nothing changed, when the bytes are not in memory.
    pub fn edit(this: &mut Arc<Chunk>, edit: impl FnOnce(&mut Vec<u8>, u16) -> u16) -> Option<()> {
        if let Some(chunk) = Arc::get_mut(this) {
            let shared = chunk.data.get_mut().as_mut()?;
            let before = weight(shared);
            // A reader may still hold the bytes: it keeps the old ones.
            let bytes = Arc::make_mut(shared);
            chunk.present = edit(bytes, chunk.present);
            debug_assert!(bytes.len() as u64 <= CHUNK_SIZE);
            chunk.len = bytes.len() as u32;
            room::count(weight(shared) - before);
            chunk.hash = OnceLock::new();
            chunk.stored = AtomicBool::new(false);
        } else {
            let old = this.bytes()?;
            let mut bytes = Vec::with_capacity(old.capacity().max(old.len()));
            bytes.extend_from_slice(&old);
            let present = edit(&mut bytes, this.present);
            *this = Arc::new(Chunk::new(bytes, present));
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_lacks_the_zeros_at_the_end() {
        for (data, zeros) in [(0, 0), (0, 1), (0, 65536), (1, 0), (63, 1), (64, 64), (65, 4000)] {
            let mut bytes = vec![7u8; data];
            bytes.resize(data + zeros, 0);
            assert_eq!(block_bytes(&bytes), &bytes[..data]);
        }
        let mut bytes = vec![7u8; 100];
        bytes.resize(5000, 0);
        let chunk = Chunk::new(bytes.clone(), full_pages(5000));
        let hash = BlockHash::of(&bytes[..100]);
        assert_eq!(chunk.hash(), Some(hash));
        let stored = Chunk::in_store(hash, 5000, full_pages(5000));
        assert!(!stored.fill(Arc::new(vec![1; 5001])));
        assert!(stored.fill(Arc::new(bytes[..100].to_vec())));
        assert_eq!(*stored.bytes().unwrap(), bytes);
    }
}
