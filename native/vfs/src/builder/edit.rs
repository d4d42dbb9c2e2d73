//! Changing a tree that is there: over a frozen one, whose nodes are copied where they differ.

use super::TreeBuilder;
use crate::Tree;
use crate::attr::{PAGE_SIZE, S_IFDIR};
use crate::errno::{Errno, Result};
use crate::ids::Ino;
use crate::inode::{Body, Inode};
use crate::tree::LiveTree;

impl TreeBuilder {
    /// Starts from a frozen tree, with which it shares what is not changed. Numbers go on behind
    /// those of the tree.
    pub fn over(tree: &Tree) -> TreeBuilder {
        let live = LiveTree::new(tree.root.clone(), tree.above.max(1));
        TreeBuilder { live, next: tree.next_ino, bytes: tree.bytes, inodes: tree.inodes }
    }

    /// What a name means.
    pub fn find(&self, parent: Ino, name: &[u8]) -> Option<(Ino, u32)> {
        let look = |dir: &Inode| match &dir.body {
            Body::Dir(dir) => dir.get(name).map(|entry| (entry.ino, entry.kind)),
            _ => None,
        };
        self.get(parent, look).flatten()
    }

    /// Takes a name away; the inode stays, for `attach` to give it another one.
    pub fn detach(&mut self, parent: Ino, name: &[u8]) -> Result<Ino> {
        let take = |dir: &mut Inode| match &mut dir.body {
            Body::Dir(entries) => {
                let taken = entries.remove(name).ok_or(Errno::NoEnt)?;
                if taken.1 == S_IFDIR {
                    dir.nlink -= 1;
                }
                Ok(taken.0)
            }
            _ => Err(Errno::NotDir),
        };
        self.live.update(parent, take).unwrap_or(Err(Errno::NoEnt))
    }

    /// Gives an inode that was detached a name. EEXIST, ENOENT or ENOTDIR for the directory.
    pub fn attach(&mut self, parent: Ino, name: &[u8], ino: Ino) -> Result<()> {
        let kind = self.get(ino, Inode::kind).ok_or(Errno::NoEnt)?;
        self.enter(parent, name, ino, kind)?;
        if kind == S_IFDIR {
            self.live.update(parent, |dir| dir.nlink += 1);
        }
        self.live.update(ino, |inode| inode.parent = parent);
        Ok(())
    }

    /// Takes a name away, and the inode with its last one. ENOTEMPTY for a directory with names.
    pub fn remove(&mut self, parent: Ino, name: &[u8]) -> Result<()> {
        let (ino, kind) = self.find(parent, name).ok_or(Errno::NoEnt)?;
        if kind == S_IFDIR && !self.is_empty(ino) {
            return Err(Errno::NotEmpty);
        }
        self.detach(parent, name)?;
        let left = |inode: &mut Inode| {
            inode.nlink = if kind == S_IFDIR { 0 } else { inode.nlink - 1 };
            inode.nlink
        };
        if self.live.update(ino, left) == Some(0)
            && let Some(inode) = self.live.remove(ino)
        {
            self.bytes -= inode.pages * PAGE_SIZE;
            self.inodes -= 1;
        }
        Ok(())
    }

    /// Whether a directory has no names.
    pub fn is_empty(&self, ino: Ino) -> bool {
        let look = |inode: &Inode| matches!(&inode.body, Body::Dir(dir) if dir.is_empty());
        self.get(ino, look).unwrap_or(false)
    }

    /// Whether `dir` is `of`, or lies somewhere in it.
    pub fn is_within(&self, dir: Ino, of: Ino) -> bool {
        let mut at = dir;
        while at != of {
            match self.get(at, |inode| inode.parent) {
                Some(parent) if parent != at && at != Ino::ROOT => at = parent,
                _ => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attr::{S_IFREG, Timespec};
    use crate::check::{Totals, check};

    fn node(mode: u32) -> Inode {
        Inode::new(Ino(0), mode, 0, 0, Ino(0), Timespec::default())
    }

    #[test]
    fn edits_leave_the_tree_below_alone_and_keep_count() {
        let mut builder = TreeBuilder::new();
        let a = builder.add(Ino::ROOT, b"a", node(S_IFDIR | 0o755)).unwrap();
        let b = builder.add(a, b"b", node(S_IFDIR | 0o755)).unwrap();
        let f = builder.add(b, b"f", node(S_IFREG | 0o644)).unwrap();
        builder.link(Ino::ROOT, b"l", f).unwrap();
        let before = builder.freeze();
        let mut over = TreeBuilder::over(&before);
        assert_eq!(over.remove(a, b"b"), Err(Errno::NotEmpty));
        assert_eq!(over.detach(a, b"b"), Ok(b));
        over.attach(Ino::ROOT, b"moved", b).unwrap();
        assert!(over.is_within(b, Ino::ROOT) && over.is_within(b, b) && !over.is_within(a, b));
        over.remove(b, b"f").unwrap();
        assert_eq!(over.get(f, |inode| inode.nlink), Some(1));
        over.remove(Ino::ROOT, b"l").unwrap();
        assert_eq!(over.get(f, |_| ()), None);
        over.remove(Ino::ROOT, b"moved").unwrap();
        over.remove(Ino::ROOT, b"a").unwrap();
        assert!(over.add(Ino::ROOT, b"n", node(S_IFREG)).unwrap().0 > f.0);
        let after = over.freeze();
        for (tree, inodes) in [(&before, 5), (&after, 3)] {
            let totals = check(&tree.root, tree.next_ino).unwrap();
            assert_eq!(totals, Totals { bytes: tree.bytes, inodes });
            assert_eq!(tree.inodes, inodes);
        }
        assert_eq!(after.root.get(Ino::ROOT, |inode| inode.nlink), Some(2));
    }
}
