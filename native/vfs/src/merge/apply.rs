//! Does what was decided, in an order in which nothing is in the way of anything: names that move
//! are taken away first, then what goes is removed, then things get their new names, and what is
//! new comes last.

use std::sync::Arc;

use super::ConflictKind;
use super::decide::{Edit, NewContent, Work};
use super::place::Coming;
use super::sides::Id;
use crate::attr::{S_IFDIR, S_IFMT};
use crate::chunk::{CHUNK_SIZE, Chunk, full_pages};
use crate::content::Content;
use crate::errno::{Errno, Result};
use crate::ids::Ino;
use crate::inode::{Body, Inode};

/// Does all of it.
pub(super) fn apply(work: &mut Work<'_>) -> Result<()> {
    let moves = std::mem::take(&mut work.moves);
    for (id, _) in &moves {
        work.take_away(id)?;
    }
    work.remove()?;
    for id in std::mem::take(&mut work.replaces) {
        work.replace(&id)?;
    }
    for (id, (parent, name)) in moves {
        let spot = work.ours.spot(&id).ok_or(Errno::Io)?;
        let dir = work.directory(&parent)?;
        work.put(&id, dir, &name, Coming::Back(spot))?;
    }
    for (id, conflict) in std::mem::take(&mut work.besides) {
        work.add_beside(&id, conflict)?;
    }
    let mut adds = std::mem::take(&mut work.adds);
    adds.sort();
    for id in adds {
        // What something else had to be put into is there already.
        if !work.is_dropped(&id) && !work.placed.contains_key(&id) {
            work.add(&id)?;
        }
    }
    for (id, edit) in std::mem::take(&mut work.edits) {
        work.edit(&id, edit)?;
    }
    Ok(())
}

/// A file's chunks for these bytes.
fn content_of(bytes: &[u8]) -> Content {
    let mut content = Content::default();
    for (index, piece) in bytes.chunks(CHUNK_SIZE as usize).enumerate() {
        let chunk = Chunk::new(piece.to_vec(), full_pages(piece.len()));
        content.set(index as u64, Some(Arc::new(chunk)));
    }
    content
}

impl Work<'_> {
    fn take_away(&mut self, id: &Id) -> Result<()> {
        let spot = self.ours.spot(id).ok_or(Errno::Io)?;
        let (_, name) = self.ours.place(id);
        self.builder.detach(spot.parent, &name)?;
        // In no directory until it is attached again, so that it is within none.
        self.builder.update(spot.ino, |inode| inode.parent = spot.ino);
        self.touch(spot.parent);
        Ok(())
    }

    // Files first, then directories that are empty now, the deepest first.
    fn remove(&mut self) -> Result<()> {
        let mut removes = std::mem::take(&mut self.removes);
        removes.sort_by(|a, b| b.cmp(a));
        for dirs in [false, true] {
            for id in &removes {
                let Some(spot) = self.ours.spot(id) else { continue };
                let kind = self.builder.get(spot.ino, Inode::kind);
                if kind.is_none() || (kind == Some(S_IFDIR)) != dirs {
                    continue;
                }
                let (_, name) = self.ours.place(id);
                match self.builder.remove(spot.parent, &name) {
                    Ok(()) => self.touch(spot.parent),
                    Err(Errno::NotEmpty) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    // Theirs is of another type.
    fn replace(&mut self, id: &Id) -> Result<()> {
        let spot = self.ours.spot(id).ok_or(Errno::Io)?;
        let (_, name) = self.ours.place(id);
        match self.builder.remove(spot.parent, &name) {
            // Ours has put something into it.
            Err(Errno::NotEmpty) => {
                self.conflict(id, ConflictKind::Type);
                let conflict = self.conflicts.len() - 1;
                self.besides.push((id.clone(), conflict));
                return Ok(());
            }
            other => other?,
        }
        let ino = self.theirs.spot(id).ok_or(Errno::Io)?.ino;
        let made = self.graft(ino, spot.parent, &name)?;
        self.placed.insert(id.clone(), made);
        Ok(())
    }

    fn add(&mut self, id: &Id) -> Result<()> {
        let (parent, name) = self.theirs.place(id);
        let dir = self.directory(&parent)?;
        self.put(id, dir, &name, Coming::New)
    }

    fn add_beside(&mut self, id: &Id, conflict: usize) -> Result<()> {
        let (parent, name) = match self.names.get(id) {
            Some((dir, name)) => (*dir, name.clone()),
            None => match self.ours.spot(id) {
                Some(spot) => (spot.parent, self.ours.place(id).1),
                None => {
                    let (parent, name) = self.theirs.place(id);
                    (self.directory(&parent)?, name)
                }
            },
        };
        let ino = self.theirs.spot(id).ok_or(Errno::Io)?.ino;
        let beside = self.free_name(parent, &name);
        let made = self.graft(ino, parent, &beside)?;
        self.placed.insert(id.clone(), made);
        let path = [self.path_of(parent), b"/".to_vec(), beside].concat();
        self.conflicts[conflict].beside = Some(path);
        Ok(())
    }

    fn edit(&mut self, id: &Id, edit: Edit) -> Result<()> {
        let there = self.theirs.spot(id).ok_or(Errno::Io)?.ino;
        let theirs = self.theirs.tree.root.get(there, Inode::clone).ok_or(Errno::Io)?;
        let ino = self.own_inode(id, there, edit.content.is_some())?;
        let now = self.options.now;
        let change = |inode: &mut Inode| {
            if let Some(content) = edit.content {
                let (content, size) = match content {
                    NewContent::Theirs => (theirs.body.clone(), theirs.size),
                    NewContent::Bytes(bytes) => {
                        (Body::File(content_of(&bytes)), bytes.len() as u64)
                    }
                };
                (inode.body, inode.size, inode.mtime) = (content, size, now);
            }
            if edit.target {
                (inode.body, inode.mtime) = (theirs.body.clone(), now);
            }
            if edit.mode {
                inode.mode = (inode.mode & S_IFMT) | (theirs.mode & !S_IFMT);
            }
            if edit.owner {
                (inode.uid, inode.gid) = (theirs.uid, theirs.gid);
            }
            if let Some(xattrs) = edit.xattrs {
                inode.xattrs = xattrs;
            }
            inode.ctime = now;
        };
        self.builder.update(ino, change).ok_or(Errno::Io)
    }

    // The inode to write: one of its own where theirs has no longer the same under all the names
    // that ours has for it.
    fn own_inode(&mut self, id: &Id, there: Ino, writes: bool) -> Result<Ino> {
        let spot = self.ours.spot(id).ok_or(Errno::Io)?;
        let links = self.builder.get(spot.ino, |inode| inode.nlink).ok_or(Errno::Io)?;
        if !writes || links < 2 || self.in_ours(there) == Some(spot.ino) {
            return Ok(spot.ino);
        }
        let (parent, name) = match self.names.get(id) {
            Some((parent, name)) => (*parent, name.clone()),
            None => (spot.parent, self.ours.place(id).1),
        };
        self.builder.remove(parent, &name)?;
        self.graft(there, parent, &name)
    }
}
