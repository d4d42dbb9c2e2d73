//! setattr: mode, owner, times, and length (truncate).

use crate::attr::{Attr, MAX_FILE_SIZE, PAGE_SIZE, S_IFLNK, S_IFMT, SetAttr, SetTime, Timespec};
use crate::chunk::{CHUNK_SIZE, Chunk, full_pages};
use crate::content::Content;
use crate::data::{content_changed, file_content, kill_privileges, own};
use crate::errno::Errno;
use crate::ids::NodeId;
use crate::inode::{Body, Inode};
use crate::outcome::{Outcome, Waitable};
use crate::reclaim::Garbage;
use crate::vfs::{Spot, Vfs};

impl Vfs {
    /// Waits when a truncation needs the bytes of a stored chunk.
    pub fn setattr(&self, node: NodeId, set: &SetAttr) -> Waitable<Attr> {
        if *set == SetAttr::default() {
            return self.getattr(node).map(Outcome::Done);
        }
        let mut garbage = Garbage::default();
        let pass = self.gate.enter();
        let now = self.clock.now();
        self.change(node, |inode, spot| {
            if inode.kind() == S_IFLNK && set.mode.is_some() {
                return Err(Errno::OpNotSupp);
            }
            let mut bytes = 0;
            if let Some(size) = set.size {
                bytes = inode.size.saturating_sub(size).min(inode.pages * PAGE_SIZE);
                match self.resize(inode, spot, size, &mut garbage)? {
                    Outcome::Done(()) => content_changed(inode, now),
                    Outcome::Wait(needs) => return Ok(Outcome::Wait(needs)),
                }
            }
            apply(inode, set, now);
            if spot.in_live_tree {
                pass.changed(bytes);
            }
            Ok(Outcome::Done(inode.attr(node)))
        })?
    }

    fn resize(
        &self,
        inode: &mut Inode,
        spot: Spot<'_>,
        size: u64,
        garbage: &mut Garbage,
    ) -> Waitable<()> {
        file_content(inode)?;
        if size > MAX_FILE_SIZE {
            return Err(Errno::FBig);
        }
        // Not for a longer file: pages allocated past its end (fallocate) become part of it.
        if size <= inode.size {
            let Body::File(content) = &mut inode.body else { return Err(Errno::Inval) };
            let Outcome::Done(freed) = cut(content, size, garbage)? else {
                let mut needs = Vec::new();
                own(content, size / CHUNK_SIZE, &mut needs);
                return Ok(Outcome::Wait(needs));
            };
            let pages = inode.pages.saturating_sub(freed);
            self.quota.resize(spot.tally, inode.pages, pages)?;
            inode.pages = pages;
        }
        inode.size = size;
        Ok(Outcome::Done(()))
    }
}

// Removes all content from `size` on; returns the pages freed. Waits for the chunk in which the
// cut lies if its bytes are only in the store.
fn cut(content: &mut Content, size: u64, garbage: &mut Garbage) -> Waitable<u64> {
    let (index, start) = (size / CHUNK_SIZE, (size % CHUNK_SIZE) as usize);
    let mut freed = 0;
    if let (true, Some(chunk)) = (start > 0, content.get(index)) {
        let kept = chunk.present() & full_pages(start);
        freed = u64::from((chunk.present() & !kept).count_ones());
        if kept == 0 {
            garbage.chunks.extend(content.set(index, None));
        } else if chunk.len() > start {
            let Some(chunk) = content.get_mut(index) else { return Err(Errno::Io) };
            let shorten = |bytes: &mut Vec<u8>, _| {
                bytes.truncate(start);
                bytes.shrink_to_fit();
                kept
            };
            if Chunk::edit(chunk, shorten).is_none() {
                return Ok(Outcome::Wait(Vec::new()));
            }
        }
    }
    let end = index + u64::from(start > 0);
    Ok(Outcome::Done(freed + content.truncate(end, &mut garbage.chunks)))
}

fn apply(inode: &mut Inode, set: &SetAttr, now: Timespec) {
    let time = |set: SetTime| match set {
        SetTime::Now => now,
        SetTime::At(time) => Timespec { nanos: time.nanos.min(999_999_999), ..time },
    };
    if set.uid.is_some() || set.gid.is_some() {
        crate::xattr::drop_capability(inode);
    }
    if let Some(mode) = set.mode {
        inode.mode = inode.mode & S_IFMT | mode & 0o7777;
    }
    if set.kill_privileges {
        kill_privileges(inode);
    }
    inode.uid = set.uid.unwrap_or(inode.uid);
    inode.gid = set.gid.unwrap_or(inode.gid);
    inode.atime = set.atime.map_or(inode.atime, time);
    inode.mtime = set.mtime.map_or(inode.mtime, time);
    inode.ctime = set.ctime.unwrap_or(now);
}
