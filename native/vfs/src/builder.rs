//! Builds a tree inode by inode, from nothing or over a frozen one, without callers, permissions or
//! a gate: what imports and merges do, and what tests start from.

mod edit;

use std::sync::{Arc, OnceLock};

use crate::Tree;
use crate::attr::{PAGE_SIZE, S_IFDIR, Timespec};
use crate::errno::{Errno, Result};
use crate::ids::Ino;
use crate::inode::{Body, Inode};
use crate::known_ids::TreeId;
use crate::tree::{LiveTree, Root};

/// A tree in the making. Link counts, parents, allocation and totals are its own doing.
pub struct TreeBuilder {
    live: LiveTree,
    next: Ino,
    bytes: u64,
    inodes: u64,
}

impl Default for TreeBuilder {
    fn default() -> TreeBuilder {
        let live = LiveTree::new(Root::empty(0), 1);
        for ino in [Ino::ROOT, Ino::HOME] {
            let mut dir = Inode::new(ino, S_IFDIR | 0o755, 0, 0, Ino::ROOT, Timespec::default());
            dir.nlink = 2;
            live.insert(dir);
        }
        TreeBuilder { live, next: Ino::FIRST, bytes: 0, inodes: 2 }
    }
}

impl TreeBuilder {
    /// A tree with an empty root and an empty home.
    pub fn new() -> TreeBuilder {
        TreeBuilder::default()
    }

    /// Gives an inode the next number and a name. EEXIST, ENOENT or ENOTDIR for the directory,
    /// EOVERFLOW when the numbers are used up.
    pub fn add(&mut self, parent: Ino, name: &[u8], mut inode: Inode) -> Result<Ino> {
        if self.next.0 >= Ino::LIMIT {
            return Err(Errno::Overflow);
        }
        let (ino, is_dir) = (self.next, inode.is_dir());
        self.enter(parent, name, ino, inode.kind())?;
        if is_dir {
            self.live.update(parent, |dir| dir.nlink += 1);
        }
        (inode.ino, inode.parent, inode.nlink) = (ino, parent, if is_dir { 2 } else { 1 });
        settle(&mut inode);
        self.bytes += inode.pages * PAGE_SIZE;
        self.live.insert(inode);
        self.next = Ino(ino.0 + 1);
        self.inodes += 1;
        Ok(ino)
    }

    /// Gives an inode one more name. EPERM for a directory, EMLINK when the count is full.
    pub fn link(&mut self, parent: Ino, name: &[u8], ino: Ino) -> Result<()> {
        let (kind, nlink) = self.get(ino, |i| (i.kind(), i.nlink)).ok_or(Errno::NoEnt)?;
        if kind == S_IFDIR {
            return Err(Errno::Perm);
        }
        let nlink = nlink.checked_add(1).ok_or(Errno::MLink)?;
        self.enter(parent, name, ino, kind)?;
        self.live.update(ino, |inode| (inode.parent, inode.nlink) = (parent, nlink));
        Ok(())
    }

    fn enter(&mut self, parent: Ino, name: &[u8], ino: Ino, kind: u32) -> Result<()> {
        let enter = |dir: &mut Inode| match &mut dir.body {
            Body::Dir(dir) => dir.insert(name, ino, kind),
            _ => Err(Errno::NotDir),
        };
        self.live.update(parent, enter).unwrap_or(Err(Errno::NoEnt))
    }

    /// Looks at an inode.
    pub fn get<R>(&self, ino: Ino, look: impl FnOnce(&Inode) -> R) -> Option<R> {
        self.live.get(ino, look)
    }

    /// Changes an inode; its number, type, names and link count must stay.
    pub fn update<R>(&mut self, ino: Ino, change: impl FnOnce(&mut Inode) -> R) -> Option<R> {
        let (result, before, after) = self.live.update(ino, |inode| {
            let before = inode.pages;
            let result = change(inode);
            settle(inode);
            (result, before, inode.pages)
        })?;
        self.bytes = self.bytes + after * PAGE_SIZE - before * PAGE_SIZE;
        Some(result)
    }

    /// Inodes so far, the two roots included.
    pub fn inodes(&self) -> u64 {
        self.inodes
    }

    /// The tree as it is now; building may go on.
    pub fn freeze(&self) -> Arc<Tree> {
        let root = self.live.freeze();
        let (above, next_ino) = (self.live.generation(), self.next);
        Arc::new(Tree {
            root,
            above,
            next_ino,
            bytes: self.bytes,
            inodes: self.inodes,
            id: TreeId::default(),
            leaving: OnceLock::new(),
        })
    }
}

// What follows from an inode's content.
fn settle(inode: &mut Inode) {
    match &inode.body {
        Body::File(content) => inode.pages = content.chunks().map(|(_, c)| c.data_pages()).sum(),
        Body::Symlink(target) => inode.size = target.len() as u64,
        Body::Dir(_) | Body::Special => {}
    }
    inode.weigh();
}
