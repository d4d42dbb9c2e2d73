//! The chunk map of a regular file: which chunk lies where; a missing chunk is a hole.
//!
//! Small files hold their only chunk directly; larger ones hold segments of 64 chunks, so that
//! a write after a freeze copies one segment and the list of segments, not the whole map.

use std::sync::{Arc, OnceLock};

use crate::chunk::{CHUNK_SIZE, Chunk};
use crate::ids::PageId;

/// Chunks in a segment (4 MiB of file).
pub const SEGMENT_CHUNKS: u64 = 64;

/// Up to 64 neighbouring chunks.
#[derive(Default)]
pub struct Segment {
    /// Where the store keeps this segment, once it does; only set while shared or frozen.
    pub(crate) page: OnceLock<PageId>,
    /// Slot n is chunk `segment index * 64 + n`; trailing holes are cut off.
    pub(crate) slots: Vec<Option<Arc<Chunk>>>,
}

impl Clone for Segment {
    // A copy exists to be changed, so it has no place in the store yet.
    fn clone(&self) -> Segment {
        Segment { page: OnceLock::new(), slots: self.slots.clone() }
    }
}

/// The content of a regular file.
#[derive(Clone, Default)]
pub enum Content {
    /// No chunk at all.
    #[default]
    Empty,
    /// Only chunk 0.
    One(Arc<Chunk>),
    /// Segments by ascending index; absent ones are holes.
    Many(Arc<Vec<(u64, Arc<Segment>)>>),
}

impl Content {
    /// The chunk with this index (file offset / `CHUNK_SIZE`), `None` for a hole.
    pub fn get(&self, index: u64) -> Option<&Arc<Chunk>> {
        match self {
            Content::Empty => None,
            Content::One(chunk) => (index == 0).then_some(chunk),
            Content::Many(segments) => {
                let at = segments.binary_search_by_key(&(index / SEGMENT_CHUNKS), |s| s.0).ok()?;
                segments[at].1.slots.get((index % SEGMENT_CHUNKS) as usize)?.as_ref()
            }
        }
    }

    /// The slot of a chunk, made if absent; copies what is shared on the way.
    pub fn slot(&mut self, index: u64) -> &mut Option<Arc<Chunk>> {
        self.spread();
        let Content::Many(segments) = self else { unreachable!("spread() leaves Many") };
        let segments = Arc::make_mut(segments);
        let key = index / SEGMENT_CHUNKS;
        let at = match segments.binary_search_by_key(&key, |s| s.0) {
            Ok(at) => at,
            Err(at) => {
                segments.insert(at, (key, Arc::new(Segment::default())));
                at
            }
        };
        let segment = Arc::make_mut(&mut segments[at].1);
        segment.page = OnceLock::new();
        let slot = (index % SEGMENT_CHUNKS) as usize;
        if segment.slots.len() <= slot {
            segment.slots.resize(slot + 1, None);
        }
        &mut segment.slots[slot]
    }

    /// The chunk with this index for changing it in place, `None` for a hole.
    pub fn get_mut(&mut self, index: u64) -> Option<&mut Arc<Chunk>> {
        match self {
            Content::Empty => None,
            Content::One(chunk) => (index == 0).then_some(chunk),
            Content::Many(_) => {
                self.get(index)?;
                self.slot(index).as_mut()
            }
        }
    }

    /// Puts a chunk (or a hole) at an index; returns what was there.
    pub fn set(&mut self, index: u64, chunk: Option<Arc<Chunk>>) -> Option<Arc<Chunk>> {
        match self {
            Content::Empty if chunk.is_none() => None,
            Content::Empty if index == 0 => {
                *self = chunk.map_or(Content::Empty, Content::One);
                None
            }
            Content::One(_) if index == 0 => {
                let next = chunk.map_or(Content::Empty, Content::One);
                match std::mem::replace(self, next) {
                    Content::One(old) => Some(old),
                    _ => None,
                }
            }
            _ if chunk.is_none() && self.get(index).is_none() => None,
            _ => std::mem::replace(self.slot(index), chunk),
        }
    }

    /// Cuts off every chunk with an index at or past `end`; returns the dropped ones' pages of
    /// data, and hands the chunks to `dropped` so that freeing them can wait.
    pub fn truncate(&mut self, end: u64, dropped: &mut Vec<Arc<Chunk>>) -> u64 {
        let before = dropped.len();
        match self {
            Content::Empty => {}
            Content::One(_) if end > 0 => {}
            Content::One(_) => {
                if let Content::One(old) = std::mem::take(self) {
                    dropped.push(old);
                }
            }
            Content::Many(segments) => {
                let segments = Arc::make_mut(segments);
                while let Some((key, segment)) = segments.last_mut() {
                    let first = *key * SEGMENT_CHUNKS;
                    if first + (segment.slots.len() as u64) <= end {
                        break;
                    }
                    if first >= end {
                        dropped.extend(segment.slots.iter().flatten().cloned());
                        segments.pop();
                    } else {
                        let segment = Arc::make_mut(segment);
                        segment.page = OnceLock::new();
                        dropped.extend(segment.slots.drain((end - first) as usize..).flatten());
                    }
                }
                if segments.is_empty() {
                    *self = Content::Empty;
                }
            }
        }
        dropped[before..].iter().map(|c| c.data_pages()).sum()
    }

    /// The first index at or past `from` that holds a chunk.
    pub fn next_chunk(&self, from: u64) -> Option<u64> {
        match self {
            Content::Empty => None,
            Content::One(_) => (from == 0).then_some(0),
            Content::Many(segments) => {
                let at = segments.partition_point(|s| s.0 < from / SEGMENT_CHUNKS);
                segments[at..].iter().find_map(|(key, segment)| {
                    let first = key * SEGMENT_CHUNKS;
                    let skip = from.saturating_sub(first) as usize;
                    let slots = segment.slots.get(skip..)?;
                    let hit = slots.iter().position(Option::is_some)?;
                    Some(first + (skip + hit) as u64)
                })
            }
        }
    }

    /// Every chunk with its index, ascending.
    pub fn chunks(&self) -> Box<dyn Iterator<Item = (u64, &Arc<Chunk>)> + '_> {
        match self {
            Content::Empty => Box::new(std::iter::empty()),
            Content::One(chunk) => Box::new(std::iter::once((0, chunk))),
            Content::Many(segments) => Box::new(segments.iter().flat_map(|(key, segment)| {
                let slots = segment.slots.iter().enumerate();
                slots.filter_map(move |(n, slot)| {
                    Some((key * SEGMENT_CHUNKS + n as u64, slot.as_ref()?))
                })
            })),
        }
    }

    /// The chunk with the highest index.
    pub fn last_chunk(&self) -> Option<(u64, &Arc<Chunk>)> {
        match self {
            Content::Empty => None,
            Content::One(chunk) => Some((0, chunk)),
            Content::Many(segments) => segments.iter().rev().find_map(|(key, segment)| {
                let slot = segment.slots.iter().rposition(Option::is_some)?;
                Some((key * SEGMENT_CHUNKS + slot as u64, segment.slots[slot].as_ref()?))
            }),
        }
    }

    /// Whether both are the same object: then nothing in them differs.
    pub fn same(&self, other: &Content) -> bool {
        match (self, other) {
            (Content::Empty, Content::Empty) => true,
            (Content::One(a), Content::One(b)) => Arc::ptr_eq(a, b),
            (Content::Many(a), Content::Many(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    fn spread(&mut self) {
        let first = match std::mem::take(self) {
            Content::Empty => Vec::new(),
            Content::One(chunk) => {
                let slots = vec![Some(chunk)];
                vec![(0, Arc::new(Segment { page: OnceLock::new(), slots }))]
            }
            many @ Content::Many(_) => {
                *self = many;
                return;
            }
        };
        *self = Content::Many(Arc::new(first));
    }
}

/// Splits a file range into (chunk index, start within the chunk, length) pieces.
pub fn pieces(offset: u64, len: u64) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset.saturating_add(len);
    let mut at = offset;
    std::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let (index, start) = (at / CHUNK_SIZE, at % CHUNK_SIZE);
        let n = (CHUNK_SIZE - start).min(end - at);
        at += n;
        Some((index, start as usize, n as usize))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(byte: u8) -> Arc<Chunk> {
        Arc::new(Chunk::new(vec![byte; 10], 1))
    }

    #[test]
    fn sparse_map_finds_and_truncates() {
        let mut content = Content::default();
        assert!(content.set(0, Some(chunk(1))).is_none());
        assert!(content.set(1 << 30, Some(chunk(2))).is_none());
        assert!(content.set(65, Some(chunk(3))).is_none());
        assert_eq!(content.next_chunk(1), Some(65));
        assert_eq!(content.next_chunk(66), Some(1 << 30));
        assert_eq!(content.chunks().map(|c| c.0).collect::<Vec<_>>(), [0, 65, 1 << 30]);
        let frozen = content.clone();
        let mut dropped = Vec::new();
        assert_eq!(content.truncate(65, &mut dropped), 2);
        assert_eq!(dropped.len(), 2);
        assert_eq!(content.next_chunk(1), None);
        assert_eq!(frozen.next_chunk(1), Some(65));
        content.truncate(0, &mut dropped);
        assert!(matches!(content, Content::Empty));
    }

    #[test]
    fn ranges_split_at_chunks() {
        let all: Vec<_> = pieces(CHUNK_SIZE - 1, CHUNK_SIZE + 2).collect();
        assert_eq!(all, [(0, CHUNK_SIZE as usize - 1, 1), (1, 0, CHUNK_SIZE as usize), (2, 0, 1)]);
    }
}
