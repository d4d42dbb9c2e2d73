//! Space within files: fallocate, holes, and copying by sharing chunks.

use std::sync::Arc;

use crate::attr::{MAX_FILE_SIZE, PAGE_SIZE, S_IFDIR, S_IFIFO, S_IFREG};
use crate::chunk::{CHUNK_SIZE, Chunk};
use crate::content::{Content, pieces};
use crate::data::{content_changed, file_content, grow, own, takes_memory, touched_pages};
use crate::errno::{Errno, Result};
use crate::ids::NodeId;
use crate::inode::{Body, Inode};
use crate::outcome::{Need, Outcome, Waitable};
use crate::reclaim::Garbage;
use crate::room;
use crate::types::{ReadPiece, Whence, WriteFlags};
use crate::vfs::{Spot, Vfs};

const KEEP_SIZE: u32 = 1;
const PUNCH_HOLE: u32 = 2;
const ZERO_RANGE: u32 = 16;

/// Chunks that one pass of the gate handles by reference.
const BATCH: u64 = 1024;
/// Bytes that one pass of the gate copies.
const COPY_BATCH: u64 = 16 * CHUNK_SIZE;

/// What fallocate does with a range.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fill {
    Allocate,
    Zero,
    Punch,
}

/// What copy_file_range is to copy, checked.
struct Range {
    from: NodeId,
    from_offset: u64,
    to: NodeId,
    to_offset: u64,
    len: u64,
}

fn fill_of(mode: u32) -> Result<Fill> {
    match mode & !KEEP_SIZE {
        0 => Ok(Fill::Allocate),
        ZERO_RANGE => Ok(Fill::Zero),
        PUNCH_HOLE if mode & KEEP_SIZE != 0 => Ok(Fill::Punch),
        _ => Err(Errno::OpNotSupp),
    }
}

fn check_kind(inode: &Inode) -> Result<()> {
    match inode.kind() {
        S_IFREG => Ok(()),
        S_IFDIR => Err(Errno::IsDir),
        S_IFIFO => Err(Errno::SPipe),
        _ => Err(Errno::NoDev),
    }
}

// The bitmap of the pages that lie as a whole within the range.
fn whole_pages(start: usize, len: usize) -> u16 {
    let page = PAGE_SIZE as usize;
    let (first, end) = (start.div_ceil(page), (start + len) / page);
    if first < end { touched_pages(first * page, (end - first) * page) } else { 0 }
}

// The page bitmap of a piece of a file after it was filled.
fn present_after(fill: Fill, present: u16, start: usize, len: usize) -> u16 {
    match fill {
        Fill::Punch => present & !whole_pages(start, len),
        Fill::Allocate | Fill::Zero => present | touched_pages(start, len),
    }
}

// Whether the bytes of a chunk have to be changed one by one, so that they must be at hand.
fn edits(fill: Fill, chunk: &Chunk, start: usize, len: usize) -> bool {
    let after = present_after(fill, chunk.present(), start, len);
    match fill {
        Fill::Allocate => after != chunk.present(),
        Fill::Zero => !(start == 0 && len >= chunk.len()),
        Fill::Punch => after != 0 && chunk.present() & touched_pages(start, len) != 0,
    }
}

impl Vfs {
    /// fallocate(2) with its mode bits (KEEP_SIZE 1, PUNCH_HOLE 2, ZERO_RANGE 16).
    pub fn fallocate(&self, node: NodeId, mode: u32, offset: u64, len: u64) -> Waitable<()> {
        if len == 0 {
            return Err(Errno::Inval);
        }
        let fill = fill_of(mode)?;
        self.view(node, check_kind)??;
        let end = offset.checked_add(len).filter(|end| *end <= MAX_FILE_SIZE);
        let end = end.ok_or(Errno::FBig)?;
        let within = self.view(node, |inode| self.fits(inode, fill, offset, len))?;
        within?;
        let zeros = Arc::new(Chunk::new(vec![0; CHUNK_SIZE as usize], u16::MAX));
        let mut at = offset;
        while at < end {
            let until = end.min((at / CHUNK_SIZE + BATCH) * CHUNK_SIZE);
            let next = self.fill_batch(node, fill, mode & KEEP_SIZE != 0, (at, until), &zeros)?;
            match next {
                Outcome::Done(next) => at = next,
                Outcome::Wait(needs) => return Ok(Outcome::Wait(needs)),
            }
        }
        Ok(Outcome::Done(()))
    }

    // Whether there is room, before anything is changed (batches may still meet others).
    fn fits(&self, inode: &Inode, fill: Fill, offset: u64, len: u64) -> Result<()> {
        if fill == Fill::Punch {
            return Ok(());
        }
        let content = file_content(inode)?;
        let all = (offset + len).div_ceil(PAGE_SIZE) - offset / PAGE_SIZE;
        let free = self.quota.statfs().free;
        if all <= free {
            return Ok(());
        }
        // The range may be allocated already, at most by as much as the file has.
        if all > free.saturating_add(inode.pages) {
            return Err(Errno::NoSpc);
        }
        let held = pieces(offset, len).map(|(index, start, n)| {
            let present = content.get(index).map_or(0, |chunk| chunk.present());
            u64::from((present & touched_pages(start, n)).count_ones())
        });
        if all - held.sum::<u64>() > free { Err(Errno::NoSpc) } else { Ok(()) }
    }

    // Fills a part of the range; returns where to go on.
    fn fill_batch(
        &self,
        node: NodeId,
        fill: Fill,
        keep_size: bool,
        (at, until): (u64, u64),
        zeros: &Arc<Chunk>,
    ) -> Waitable<u64> {
        let mut garbage = Garbage::default();
        let pass = self.gate.enter();
        let now = self.clock.now();
        self.change(node, |inode, spot| {
            let at = if fill == Fill::Punch { skip_holes(inode, at) } else { at };
            if at < until {
                let filled = self.fill_inode(inode, spot, fill, (at, until), zeros, &mut garbage);
                if let Outcome::Wait(needs) = filled? {
                    return Ok(Outcome::Wait(needs));
                }
                if !keep_size {
                    inode.size = inode.size.max(until);
                }
            }
            content_changed(inode, now);
            if spot.in_live_tree {
                pass.changed(until.saturating_sub(at));
            }
            Ok(Outcome::Done(at.max(until)))
        })?
    }

    fn fill_inode(
        &self,
        inode: &mut Inode,
        spot: Spot<'_>,
        fill: Fill,
        (at, until): (u64, u64),
        zeros: &Arc<Chunk>,
        garbage: &mut Garbage,
    ) -> Waitable<()> {
        let Body::File(content) = &mut inode.body else { return Err(Errno::Inval) };
        let len = (until - at) as usize;
        if room::is_crowded() && fill != Fill::Punch && takes_memory(content, at, len) {
            return Ok(Outcome::Wait(vec![room::wanted()?]));
        }
        let (mut needs, mut before, mut after) = (Vec::new(), 0, 0);
        for (index, start, n) in pieces(at, until - at) {
            let present = match content.get(index) {
                None if fill == Fill::Punch => continue,
                None => 0,
                Some(chunk) if edits(fill, chunk, start, n) => own(content, index, &mut needs),
                Some(chunk) => chunk.present(),
            };
            before += u64::from(present.count_ones());
            after += u64::from(present_after(fill, present, start, n).count_ones());
        }
        if !needs.is_empty() {
            return Ok(Outcome::Wait(needs));
        }
        let pages = (inode.pages + after).saturating_sub(before);
        self.quota.resize(spot.tally, inode.pages, pages)?;
        inode.pages = pages;
        for (index, start, n) in pieces(at, until - at) {
            let old = fill_chunk(content, fill, index, (start, n), zeros);
            garbage.chunks.extend(old);
        }
        Ok(Outcome::Done(()))
    }

    /// The next data or hole at or behind a position; ENXIO past the end.
    pub fn lseek(&self, node: NodeId, offset: u64, whence: Whence) -> Result<u64> {
        self.view(node, |inode| {
            let content = file_content(inode).map_err(|_| Errno::Inval)?;
            if offset >= inode.size {
                return Err(Errno::NxIo);
            }
            match whence {
                Whence::Data => {
                    next_data(content, offset).filter(|at| *at < inode.size).ok_or(Errno::NxIo)
                }
                Whence::Hole => Ok(next_hole(content, offset).min(inode.size)),
            }
        })?
    }

    /// Shares whole chunks, copies the rest; returns the bytes copied, which may be fewer than
    /// asked for before the end of the source.
    pub fn copy_file_range(
        &self,
        from: NodeId,
        from_offset: u64,
        to: NodeId,
        to_offset: u64,
        len: u64,
    ) -> Waitable<u64> {
        let size = self.view(from, |inode| file_content(inode).map(|_| inode.size))??;
        self.view(to, |inode| file_content(inode).map(|_| ()))??;
        if from_offset.checked_add(len).is_none() || to_offset.checked_add(len).is_none() {
            return Err(Errno::Overflow);
        }
        let len = len.min(size.saturating_sub(from_offset));
        if to_offset + len > MAX_FILE_SIZE {
            return Err(Errno::FBig);
        }
        if from == to && to_offset + len > from_offset && to_offset < from_offset + len {
            return Err(Errno::Inval);
        }
        if len == 0 {
            return self.writable(to).map(|()| Outcome::Done(0));
        }
        let aligned = |offset: u64| offset.is_multiple_of(CHUNK_SIZE);
        if aligned(from_offset) && aligned(to_offset) {
            let shared = self.share(&Range { from, from_offset, to, to_offset, len })?;
            if !matches!(shared, Outcome::Done(0)) {
                return Ok(shared);
            }
        }
        // Up to the next boundary where sharing is possible, else a bounded part.
        let to_boundary = CHUNK_SIZE - from_offset % CHUNK_SIZE;
        let same_phase = from_offset % CHUNK_SIZE == to_offset % CHUNK_SIZE;
        let part = if same_phase { to_boundary } else { COPY_BATCH };
        self.copy_bytes(&Range { from, from_offset, to, to_offset, len: len.min(part) })
    }

    fn writable(&self, node: NodeId) -> Result<()> {
        let area = self.area(node.attachment());
        area.map(|_| ()).ok_or_else(|| self.control.refusal(node))
    }

    fn copy_bytes(&self, range: &Range) -> Waitable<u64> {
        let Range { from, from_offset, to, to_offset, len } = *range;
        let pieces = match self.read(from, from_offset, len as usize)? {
            Outcome::Done(pieces) => pieces,
            Outcome::Wait(needs) => return Ok(Outcome::Wait(needs)),
        };
        let mut data = Vec::with_capacity(len as usize);
        for piece in pieces {
            match piece {
                ReadPiece::Data { bytes, start, len } => {
                    data.extend_from_slice(&bytes[start..start + len]);
                }
                ReadPiece::Zero(n) => data.resize(data.len() + n, 0),
            }
        }
        let copied = data.len() as u64;
        let written = self.write(to, to_offset, &data, WriteFlags::default())?;
        Ok(written.map(|_| copied))
    }

    // Shares the leading whole chunks of the range (and the last one of the source, where it
    // becomes the last one of the target); 0 when there is none.
    fn share(&self, range: &Range) -> Waitable<u64> {
        let Range { from, from_offset, to, to_offset, len } = *range;
        let (source, size, named) = self.view(from, |inode| {
            file_content(inode).map(|c| (c.clone(), inode.size, inode.nlink > 0))
        })??;
        let both_named = named && self.view(to, |inode| inode.nlink > 0)?;
        // Blocks that the store has may be shared within what a checkpoint reaches: the store
        // forgets those of another tree, and of a file without a name (which may get one), sooner.
        let lasting = both_named && from.attachment() == to.attachment();
        let first = (from_offset / CHUNK_SIZE, to_offset / CHUNK_SIZE);
        let whole = (len / CHUNK_SIZE).min(BATCH);
        let mut chunks = Vec::with_capacity(whole as usize + 1);
        let mut needs = Vec::new();
        let take = |index: u64| match source.get(index) {
            None => Ok(None),
            Some(chunk) if lasting => Ok(Some(chunk.clone())),
            Some(chunk) => chunk.unstored().map(Some).ok_or_else(|| Need::Block(chunk.clone())),
        };
        for n in 0..whole {
            take(first.0 + n).map_or_else(|need| needs.push(need), |chunk| chunks.push(chunk));
        }
        let mut tail = len - whole * CHUNK_SIZE;
        let at_end = from_offset + len >= size && (1..CHUNK_SIZE).contains(&tail);
        let tail_chunk = source.get(first.0 + whole);
        if at_end && tail_chunk.is_none_or(|chunk| chunk.len() as u64 <= tail) {
            let chunk = take(first.0 + whole);
            chunk.map_or_else(|need| needs.push(need), |chunk| chunks.push(chunk));
        } else {
            tail = 0;
        }
        if !needs.is_empty() {
            return Ok(Outcome::Wait(needs));
        }
        self.put_shared(to, first.1, chunks, tail).map(Outcome::Done)
    }

    // Puts chunks in place, the last of which holds `tail` bytes (0: it is whole) and is left
    // out when the target goes on behind them. Returns the bytes covered.
    fn put_shared(
        &self,
        to: NodeId,
        first: u64,
        mut chunks: Vec<Option<Arc<Chunk>>>,
        mut tail: u64,
    ) -> Result<u64> {
        let mut garbage = Garbage::default();
        let pass = self.gate.enter();
        let now = self.clock.now();
        self.change(to, |inode, spot| {
            let Body::File(content) = &mut inode.body else { return Err(Errno::Inval) };
            if tail > 0 {
                let last = first + chunks.len() as u64 - 1;
                let behind = content.get(last).map_or(0, |chunk| chunk.len() as u64);
                if behind > tail || inode.size > last * CHUNK_SIZE + tail {
                    chunks.pop();
                    tail = 0;
                }
            }
            let end = (first + chunks.len() as u64) * CHUNK_SIZE;
            let end = if tail > 0 { end - CHUNK_SIZE + tail } else { end };
            let copied = end - first * CHUNK_SIZE;
            if copied == 0 {
                return Ok(0);
            }
            let pages = |chunk: Option<&Arc<Chunk>>| chunk.map_or(0, |chunk| chunk.data_pages());
            let old: u64 = (first..).zip(&chunks).map(|(n, _)| pages(content.get(n))).sum();
            let new: u64 = chunks.iter().map(|chunk| pages(chunk.as_ref())).sum();
            let total = (inode.pages + new).saturating_sub(old);
            self.quota.resize(spot.tally, inode.pages, total)?;
            inode.pages = total;
            inode.size = inode.size.max(end);
            for (index, chunk) in (first..).zip(chunks) {
                garbage.chunks.extend(content.set(index, chunk));
            }
            content_changed(inode, now);
            if spot.in_live_tree {
                pass.changed(copied);
            }
            Ok(copied)
        })?
    }
}

// Where the first chunk at or behind a position begins, or the position if it lies in one.
fn skip_holes(inode: &Inode, at: u64) -> u64 {
    let Ok(content) = file_content(inode) else { return at };
    let next = content.next_chunk(at / CHUNK_SIZE);
    next.map_or(u64::MAX, |index| at.max(index * CHUNK_SIZE))
}

// Everything has been checked, reserved and owned. Returns a chunk that is no longer used.
fn fill_chunk(
    content: &mut Content,
    fill: Fill,
    index: u64,
    (start, n): (usize, usize),
    zeros: &Arc<Chunk>,
) -> Option<Arc<Chunk>> {
    let Some(chunk) = content.get(index) else {
        if fill != Fill::Punch {
            content.set(index, Some(zero_chunk(start, n, zeros)));
        }
        return None;
    };
    let after = present_after(fill, chunk.present(), start, n);
    if !edits(fill, chunk, start, n) {
        return match fill {
            Fill::Punch if after == 0 => content.set(index, None),
            Fill::Zero => content.set(index, Some(zero_chunk(start, n, zeros))),
            _ => None,
        };
    }
    let edited = Chunk::edit(content.get_mut(index)?, |bytes, _| {
        let end = bytes.len().min(start + n);
        if fill != Fill::Allocate && start < end {
            bytes[start..end].fill(0);
        }
        if fill == Fill::Punch {
            let pages = u16::BITS - after.leading_zeros();
            bytes.truncate(pages as usize * PAGE_SIZE as usize);
        } else {
            grow(bytes, start + n);
        }
        after
    });
    debug_assert!(edited.is_some(), "an owned chunk has its bytes");
    None
}

fn zero_chunk(start: usize, n: usize, zeros: &Arc<Chunk>) -> Arc<Chunk> {
    if n as u64 == CHUNK_SIZE {
        return zeros.clone();
    }
    Arc::new(Chunk::new(vec![0; start + n], touched_pages(start, n)))
}

fn next_data(content: &Content, offset: u64) -> Option<u64> {
    let mut at = offset;
    loop {
        let index = content.next_chunk(at / CHUNK_SIZE)?;
        at = at.max(index * CHUNK_SIZE);
        let page = (at % CHUNK_SIZE) / PAGE_SIZE;
        let present = content.get(index)?.present() >> page;
        if present != 0 {
            let skip = u64::from(present.trailing_zeros());
            return Some(at.max(index * CHUNK_SIZE + (page + skip) * PAGE_SIZE));
        }
        at = (index + 1) * CHUNK_SIZE;
    }
}

fn next_hole(content: &Content, offset: u64) -> u64 {
    let mut at = offset;
    while let Some(chunk) = content.get(at / CHUNK_SIZE) {
        let (index, page) = (at / CHUNK_SIZE, (at % CHUNK_SIZE) / PAGE_SIZE);
        let holes = u32::from(!chunk.present()) >> page;
        if holes != 0 {
            let skip = u64::from(holes.trailing_zeros());
            return at.max(index * CHUNK_SIZE + (page + skip) * PAGE_SIZE);
        }
        at = (index + 1) * CHUNK_SIZE;
    }
    at
}
