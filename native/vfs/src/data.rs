//! Reading and writing content.
//!
//! A read returns shared pieces of chunks: nobody copies under a lock. A write first makes sure
//! that all it needs is there (bytes of partly written chunks, room), then changes: an error or
//! a wait leaves no trace (`write_what_fits` tries again with less). Whole chunks of large writes
//! are copied before the gate is passed.

use std::sync::Arc;

use crate::attr::{MAX_FILE_SIZE, PAGE_SIZE, S_IFDIR, S_ISGID, S_ISUID, S_IXGRP, Timespec};
use crate::chunk::{CHUNK_SIZE, Chunk, full_pages};
use crate::content::{Content, pieces};
use crate::errno::{Errno, Result};
use crate::ids::NodeId;
use crate::inode::{Body, Inode};
use crate::outcome::{Need, Outcome, Waitable};
use crate::reclaim::Garbage;
use crate::room;
use crate::types::{ReadPiece, WriteFlags};
use crate::vfs::{Spot, Vfs};

/// How often an append of several chunks prepares them for where the file ends just then.
const APPEND_TRIES: u32 = 4;

/// Bytes on their way into a file.
struct Payload<'a> {
    offset: u64,
    data: &'a [u8],
    /// The chunks that `data` covers as a whole, in order.
    whole: Vec<Arc<Chunk>>,
}

impl<'a> Payload<'a> {
    fn new(offset: u64, data: &'a [u8]) -> Payload<'a> {
        let mut whole = Vec::new();
        if data.len() as u64 > CHUNK_SIZE {
            for (start, len) in spans(offset, data.len()).filter(|s| s.1 as u64 == CHUNK_SIZE) {
                let bytes = data[start..start + len].to_vec();
                whole.push(Arc::new(Chunk::new(bytes, u16::MAX)));
            }
        }
        Payload { offset, data, whole }
    }
}

// Where the pieces of a write lie in its data.
fn spans(offset: u64, len: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut start = 0;
    pieces(offset, len as u64).map(move |(_, _, n)| {
        start += n;
        (start - n, n)
    })
}

/// The bitmap of the pages that `len` bytes from `start` of a chunk touch.
pub(crate) fn touched_pages(start: usize, len: usize) -> u16 {
    let before = (1u32 << (start / PAGE_SIZE as usize)) - 1;
    full_pages(start + len) & !(before as u16)
}

/// The content of a regular file, or why there is none.
pub(crate) fn file_content(inode: &Inode) -> Result<&Content> {
    match &inode.body {
        Body::File(content) => Ok(content),
        _ if inode.kind() == S_IFDIR => Err(Errno::IsDir),
        _ => Err(Errno::Inval),
    }
}

/// Lengthens the bytes of a chunk by zeros. Within a page capacity doubles, beyond it grows by a
/// quarter: what is allocated and not used counts to no limit.
pub(crate) fn grow(bytes: &mut Vec<u8>, len: usize) {
    if bytes.len() >= len {
        return;
    }
    if bytes.capacity() < len {
        let (held, page) = (bytes.capacity(), PAGE_SIZE as usize);
        let more = if held < page {
            len.max(held * 2).min(page)
        } else {
            (held + held / 4).next_multiple_of(page)
        };
        let capacity = len.max(more.min(CHUNK_SIZE as usize));
        bytes.reserve_exact(capacity - bytes.len());
    }
    bytes.resize(len, 0);
}

fn gather(inode: &Inode, offset: u64, len: usize) -> Waitable<Vec<ReadPiece>> {
    let content = file_content(inode)?;
    let end = inode.size.min(offset.saturating_add(len as u64));
    let (mut read, mut needs) = (Vec::new(), Vec::new());
    let mut at = offset;
    while at < end {
        let (index, start) = (at / CHUNK_SIZE, (at % CHUNK_SIZE) as usize);
        let Some(chunk) = content.get(index) else {
            let next = content.next_chunk(index).map_or(end, |next| next * CHUNK_SIZE);
            push_zeros(&mut read, (next.min(end) - at) as usize);
            at = next;
            continue;
        };
        let n = (end - at).min(CHUNK_SIZE - start as u64) as usize;
        let held = chunk.len().saturating_sub(start).min(n);
        if held > 0 {
            match chunk.bytes() {
                Some(bytes) => read.push(ReadPiece::Data { bytes, start, len: held }),
                None => needs.push(Need::Block(chunk.clone())),
            }
        }
        push_zeros(&mut read, n - held);
        at += n as u64;
    }
    Ok(if needs.is_empty() { Outcome::Done(read) } else { Outcome::Wait(needs) })
}

fn push_zeros(read: &mut Vec<ReadPiece>, n: usize) {
    match read.last_mut() {
        _ if n == 0 => {}
        Some(ReadPiece::Zero(before)) => *before += n,
        _ => read.push(ReadPiece::Zero(n)),
    }
}

/// Clears set-user-id, and set-group-id where it means execution.
pub(crate) fn kill_privileges(inode: &mut Inode) {
    if inode.is_dir() {
        return;
    }
    inode.mode &= !S_ISUID;
    if inode.mode & S_IXGRP != 0 {
        inode.mode &= !S_ISGID;
    }
}

/// What every change of content does to the record: times, and file capabilities go.
pub(crate) fn content_changed(inode: &mut Inode, now: Timespec) {
    (inode.mtime, inode.ctime) = (now, now);
    crate::xattr::drop_capability(inode);
}

impl Vfs {
    /// At most `len` bytes from `offset`; short at the end of the file.
    pub fn read(&self, node: NodeId, offset: u64, len: usize) -> Waitable<Vec<ReadPiece>> {
        self.view(node, |inode| gather(inode, offset, len))?
    }

    /// All of `data`, or an error and nothing; returns the offset at which it was written.
    pub fn write(
        &self,
        node: NodeId,
        offset: u64,
        data: &[u8],
        flags: WriteFlags,
    ) -> Waitable<u64> {
        for attempt in 1.. {
            let offset = if flags.append { self.size_of(node)? } else { offset };
            let payload = Payload::new(offset, data);
            let mut garbage = Garbage::default();
            let pass = self.gate.enter();
            let now = self.clock.now();
            let written = self.change(node, |inode, spot| {
                let at = if flags.append { inode.size } else { offset };
                if at != offset && !payload.whole.is_empty() && attempt < APPEND_TRIES {
                    return Ok(None);
                }
                let payload = if at == offset { payload } else { Payload::new(at, data) };
                let done = self.write_inode(inode, spot, payload, &mut garbage)?;
                if let (Outcome::Done(()), false) = (&done, data.is_empty()) {
                    if flags.kill_privileges {
                        kill_privileges(inode);
                    }
                    if flags.keep_times {
                        crate::xattr::drop_capability(inode);
                    } else {
                        content_changed(inode, now);
                    }
                    if spot.in_live_tree {
                        pass.changed(data.len() as u64);
                    }
                }
                Ok(Some(done.map(|()| at)))
            })??;
            if let Some(written) = written {
                return Ok(written);
            }
        }
        Err(Errno::Again)
    }

    /// As much of `data` as there is room for; returns how much. ENOSPC when there is room for none
    /// of it (write(2): a write may be short "if there is insufficient space").
    pub fn write_what_fits(
        &self,
        node: NodeId,
        offset: u64,
        data: &[u8],
        flags: WriteFlags,
    ) -> Waitable<usize> {
        let mut len = data.len();
        loop {
            match self.write(node, offset, &data[..len], flags) {
                Ok(written) => return Ok(written.map(|_| len)),
                Err(Errno::NoSpc) if !room::is_crowded() => {}
                Err(error) => return Err(error),
            }
            // Others may take the room meanwhile: less is tried each time.
            let room = self.quota.statfs().free;
            let fitting =
                self.view(node, |inode| file_content(inode).map(|c| fits(c, offset, len, room)))??;
            len = fitting.min(len - 1);
            if len == 0 {
                return Err(Errno::NoSpc);
            }
        }
    }

    fn size_of(&self, node: NodeId) -> Result<u64> {
        self.view(node, |inode| file_content(inode).map(|_| inode.size))?
    }

    fn write_inode(
        &self,
        inode: &mut Inode,
        spot: Spot<'_>,
        payload: Payload<'_>,
        garbage: &mut Garbage,
    ) -> Waitable<()> {
        file_content(inode)?;
        let (offset, len) = (payload.offset, payload.data.len());
        if len == 0 {
            return Ok(Outcome::Done(()));
        }
        let end = offset.checked_add(len as u64).filter(|end| *end <= MAX_FILE_SIZE);
        let end = end.ok_or(Errno::FBig)?;
        let Body::File(content) = &mut inode.body else { return Err(Errno::Inval) };
        if room::is_crowded() && takes_memory(content, offset, len) {
            return Ok(Outcome::Wait(vec![room::wanted()?]));
        }
        let (mut needs, mut before, mut after) = (Vec::new(), 0, 0);
        for (index, start, n) in pieces(offset, len as u64) {
            let present = match content.get(index) {
                None => 0,
                Some(chunk) if replaces(chunk, start, n) => chunk.present(),
                Some(_) => own(content, index, &mut needs),
            };
            before += present.count_ones();
            after += (present | touched_pages(start, n)).count_ones();
        }
        if !needs.is_empty() {
            return Ok(Outcome::Wait(needs));
        }
        let pages = inode.pages + u64::from(after) - u64::from(before);
        self.quota.resize(spot.tally, inode.pages, pages)?;
        inode.pages = pages;
        inode.size = inode.size.max(end);
        put(content, payload, garbage);
        Ok(Outcome::Done(()))
    }
}

// How many bytes from `offset` take no more than `room` new pages.
fn fits(content: &Content, offset: u64, len: usize, room: u64) -> usize {
    let (mut taken, mut fitting) = (0, 0);
    for (index, start, n) in pieces(offset, len as u64) {
        let present = content.get(index).map_or(0, |chunk| chunk.present());
        let (mut at, end) = (start, start + n);
        while at < end {
            let page = at / PAGE_SIZE as usize;
            taken += u64::from(present & (1 << page) == 0);
            if taken > room {
                return fitting;
            }
            let next = end.min((page + 1) * PAGE_SIZE as usize);
            (fitting, at) = (fitting + next - at, next);
        }
    }
    fitting
}

// Whether a write needs memory beside what the content has to itself.
pub(crate) fn takes_memory(content: &Content, offset: u64, len: usize) -> bool {
    pieces(offset, len as u64).any(|(index, start, n)| {
        let own = |chunk: &&Arc<Chunk>| Arc::strong_count(chunk) == 1 && start + n <= chunk.len();
        content.get(index).filter(own).is_none()
    })
}

// Whether so many bytes from `start` replace all that the chunk holds.
fn replaces(chunk: &Chunk, start: usize, len: usize) -> bool {
    start == 0 && len >= chunk.len()
}

/// Makes a chunk the file's own and keeps it from being evicted, so that an edit cannot fail.
/// Returns its page bitmap; adds to `needs` when its bytes are only in the store.
pub(crate) fn own(content: &mut Content, index: u64, needs: &mut Vec<Need>) -> u16 {
    let Some(chunk) = content.get_mut(index) else { return 0 };
    if Chunk::edit(chunk, |_, present| present).is_none() {
        needs.push(Need::Block(chunk.clone()));
    }
    chunk.present()
}

// Everything has been checked, reserved and owned: this does not fail.
fn put(content: &mut Content, payload: Payload<'_>, garbage: &mut Garbage) {
    let mut whole = payload.whole.into_iter();
    let ranges = pieces(payload.offset, payload.data.len() as u64);
    for ((index, start, n), (from, _)) in ranges.zip(spans(payload.offset, payload.data.len())) {
        let data = &payload.data[from..from + n];
        let touched = touched_pages(start, n);
        let fresh = if n as u64 == CHUNK_SIZE { whole.next() } else { None };
        match content.get(index) {
            Some(chunk) if fresh.is_none() && !replaces(chunk, start, n) => {
                let Some(chunk) = content.get_mut(index) else { continue };
                let edited = Chunk::edit(chunk, |bytes, present| {
                    grow(bytes, start + n);
                    bytes[start..start + n].copy_from_slice(data);
                    present | touched
                });
                debug_assert!(edited.is_some(), "an owned chunk has its bytes");
            }
            _ => {
                let chunk = fresh.unwrap_or_else(|| {
                    let mut bytes = Vec::with_capacity(start + n);
                    bytes.resize(start, 0);
                    bytes.extend_from_slice(data);
                    Arc::new(Chunk::new(bytes, touched))
                });
                garbage.chunks.extend(content.set(index, Some(chunk)));
            }
        }
    }
}

impl<T> Outcome<T> {
    /// Changes what came of it.
    pub fn map<R>(self, change: impl FnOnce(T) -> R) -> Outcome<R> {
        match self {
            Outcome::Done(done) => Outcome::Done(change(done)),
            Outcome::Wait(needs) => Outcome::Wait(needs),
        }
    }
}
