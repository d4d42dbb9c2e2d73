//! Time travel: freezing the live tree, and making a frozen one the live state.
//!
//! Both close the gate for a few pointer operations. What a restore changed is worked out
//! afterwards, with the gate open; until then a held inode that the new state lacks is found
//! through the previous root and becomes an orphan when somebody asks for it.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};

use crate::attr::{PAGE_SIZE, S_IFDIR};
use crate::delta::{changed_inodes, changed_names, same_body};
use crate::dir::Dir;
use crate::ids::{Attachment, BlockHash, Ino, NodeId};
use crate::inode::{Body, Inode};
use crate::known_ids::TreeId;
use crate::reclaim::{Garbage, free_later};
use crate::room;
use crate::tree::Root;
use crate::types::{Restored, Tree};
use crate::vfs::Vfs;

/// Freezes whose counts are remembered for `Vfs::mark_clean`.
const MARKS: usize = 64;

/// Counts at the time of a freeze.
struct Mark {
    above: u64,
    written: u64,
}

/// What is remembered of freezes.
#[derive(Default)]
pub(crate) struct Frozen {
    last: Weak<Tree>,
    /// The change count when `last` was taken.
    changes: u64,
    marks: VecDeque<Mark>,
    /// Content bytes written when what the store has was frozen.
    clean: u64,
}

/// A restore under way: from the switch until the caches have been told.
pub(crate) struct Transition {
    previous: Root,
    target: Root,
    /// Whether the difference has not been walked yet.
    adopting: bool,
}

impl Transition {
    /// What was live before, and what became live.
    pub(crate) fn roots(&self) -> (&Root, &Root) {
        (&self.previous, &self.target)
    }
}

// The inode as it lives on without a name.
fn without_name(mut inode: Inode) -> Inode {
    inode.nlink = 0;
    if let Body::Dir(entries) = &mut inode.body {
        *entries = Dir::default();
    }
    inode
}

impl Vfs {
    /// Freezes the live tree. O(1). The same tree again if nothing changed in between.
    pub fn freeze(&self) -> Arc<Tree> {
        self.freeze_noting(|| ())
    }

    /// The same; operations are held up from the last call of `closing` on.
    pub fn freeze_noting(&self, closing: impl FnMut()) -> Arc<Tree> {
        let _closed = self.gate.close_noting(closing);
        self.freeze_closed()
    }

    // LOCKS: the gate is closed.
    fn freeze_closed(&self) -> Arc<Tree> {
        let mut frozen = self.frozen.lock();
        let changes = self.gate.changes();
        if frozen.changes == changes
            && let Some(tree) = frozen.last.upgrade()
        {
            return tree;
        }
        let root = self.live.tree.freeze();
        let tree = Arc::new(Tree {
            root,
            above: self.live.tree.generation(),
            next_ino: self.live.numbers.end(),
            bytes: self.live.tally.pages() * PAGE_SIZE,
            inodes: self.live.tally.inodes(),
            id: TreeId::of(&self.ids),
            leaving: OnceLock::new(),
        });
        room::note_freeze();
        (frozen.last, frozen.changes) = (Arc::downgrade(&tree), changes);
        if frozen.marks.len() == MARKS {
            frozen.marks.pop_front();
        }
        frozen.marks.push_back(Mark { above: tree.above, written: self.gate.written() });
        tree
    }

    /// The store has this frozen tree: what was written before it is no longer dirty.
    pub fn mark_clean(&self, tree: &Tree) {
        let mut frozen = self.frozen.lock();
        let Some(at) = frozen.marks.iter().position(|mark| mark.above == tree.above) else {
            return;
        };
        frozen.clean = frozen.clean.max(frozen.marks[at].written);
        frozen.marks.drain(..at);
    }

    /// Content bytes written that no frozen tree in the store has.
    pub(crate) fn dirty_bytes(&self) -> u64 {
        let clean = self.frozen.lock().clean;
        self.gate.written().saturating_sub(clean)
    }

    /// Makes `tree` the live state in one step and works out what changed. Inodes that it lacks
    /// live on without a name as long as they are held. Caches are the caller's: it invalidates
    /// what is returned, then calls `restore_done`. One restore at a time.
    pub fn restore(&self, tree: &Tree) -> Restored {
        self.restore_after(tree, None).unwrap_or_default()
    }

    /// The same, if the live tree is as it was when `change_count` was so much; else nothing is
    /// done, and nothing returned.
    pub fn restore_after(&self, tree: &Tree, change_count: Option<u64>) -> Option<Restored> {
        let _one = self.restores.lock();
        self.ids.begin_restore();
        let Some((previous, generation)) = self.switch(tree, change_count) else {
            self.ids.note_restore(Vec::new(), self.live.tree.generation());
            return None;
        };
        let mut changed = Vec::new();
        let restored = self.work_out(&previous, &tree.root, &mut changed);
        self.ids.note_restore(changed, generation);
        if let Some(transition) = &mut *self.transition.write() {
            transition.adopting = false;
        }
        if self.invalidator().is_none() {
            self.restore_done();
        }
        Some(restored)
    }

    /// Caches have been told of the last restore.
    pub fn restore_done(&self) {
        self.in_transition.store(false, Ordering::Release);
        let done = self.transition.write().take();
        free_later(done);
    }

    /// Whether the content of a node was changed by a restore of which caches may not have been
    /// told yet: cached writes of its old pages are to be dropped.
    pub fn restoring(&self, node: NodeId) -> bool {
        if !self.is_in_transition() || node.attachment() != Attachment::LIVE {
            return false;
        }
        let transition = self.transition.read();
        let Some(Transition { previous, target, .. }) = &*transition else { return false };
        let (before, after) = (previous.clone(), target.clone());
        drop(transition);
        let old = before.get(node.ino(), Inode::clone);
        let new = after.get(node.ino(), Inode::clone);
        match (old, new) {
            (Some(old), Some(new)) => !same_body(&old, &new),
            (None, Some(_)) => true,
            (_, None) => false,
        }
    }

    // What was live, and the generation that begins.
    fn switch(&self, tree: &Tree, change_count: Option<u64>) -> Option<(Root, u64)> {
        let _closed = self.gate.close();
        if change_count.is_some_and(|count| count != self.gate.changes()) {
            return None;
        }
        let previous = self.live.tree.root();
        let target = tree.root.clone();
        // Before the switch, so that nobody misses an inode in both.
        *self.transition.write() =
            Some(Transition { previous: previous.clone(), target: target.clone(), adopting: true });
        self.in_transition.store(true, Ordering::Release);
        self.live.tree.swap(target, tree.above);
        let generation = self.live.tree.generation();
        self.live.numbers.skip_to(tree.next_ino);
        let new = (tree.bytes / PAGE_SIZE, tree.inodes);
        let old = self.live.tally.replace(new.0, new.1);
        self.quota.exchange(old, new);
        self.live.add_bases(self.control.owner(), &self.quota, &*self.clock);
        self.gate.count_change();
        self.frozen.lock().clean = self.gate.written();
        Some((previous, generation))
    }

    /// Blocks that no checkpoint reaches although they are needed: of open files without a name,
    /// and of snapshots that are still looked at after their removal from the list. A sweep of
    /// the store keeps these. Ask before the checkpoint that the sweep relies on is frozen, and
    /// again after: a file may get a name, or lose its last, in between.
    pub fn pinned_blocks(&self) -> Vec<BlockHash> {
        let _settled = self.restores.lock();
        let mut pinned = HashSet::new();
        let mut pin = |inode: &Inode| {
            let Body::File(content) = &inode.body else { return };
            let stored = content.chunks().filter(|(_, chunk)| chunk.is_stored());
            pinned.extend(stored.filter_map(|(_, chunk)| chunk.known_hash()));
        };
        self.holds.for_each_orphan(|_, inode| pin(inode));
        for tree in self.control.unlisted() {
            tree.root.for_each_leaf(|_, leaf| leaf.read().inodes.iter().for_each(&mut pin));
        }
        pinned.into_iter().collect()
    }

    // Walks the difference: orphans made and dropped, and what caches must be told.
    // All inodes that differ go into `changed`.
    fn work_out(&self, previous: &Root, target: &Root, changed: &mut Vec<Ino>) -> Restored {
        let mut restored = Restored::default();
        let mut garbage = Garbage::default();
        changed_inodes(previous, target, |ino, old, new| {
            changed.push(ino);
            let node = NodeId::new(Attachment::LIVE, ino);
            if old.is_none() {
                self.drop_obsolete(node, &mut garbage);
            }
            // The kernel knows the root without ever having looked it up.
            if node != NodeId::ROOT && !self.is_held(node) {
                return;
            }
            if new.is_none() {
                self.adopt_from_previous(node);
            }
            let content = match (old, new) {
                (Some(old), Some(new)) => !same_body(old, new),
                (Some(old), None) => old.kind() == S_IFDIR,
                _ => true,
            };
            restored.inodes.push((node, content));
            let empty = Dir::default();
            let entries = |inode: Option<&Inode>| match inode.map(|inode| &inode.body) {
                Some(Body::Dir(entries)) => entries.clone(),
                _ => empty.clone(),
            };
            changed_names(&entries(old), &entries(new), &mut |name| {
                restored.names.push((node, name.into()));
            });
        });
        restored
    }

    // An orphan whose inode the restore has brought back into the tree.
    fn drop_obsolete(&self, node: NodeId, garbage: &mut Garbage) {
        // Under the leaf's lock: an inode that was removed again since is a true orphan.
        let orphan = self.live.tree.get(node.ino(), |_| self.holds.take_orphan(node)).flatten();
        if let Some(inode) = orphan {
            self.drop_orphan(*inode, garbage);
        }
    }

    /// Makes a held inode an orphan that the last restore took out of the tree. False if there
    /// is no such inode.
    pub(crate) fn adopt_from_previous(&self, node: NodeId) -> bool {
        if !self.is_in_transition() || node.attachment() != Attachment::LIVE {
            return false;
        }
        let transition = self.transition.read();
        let Some(Transition { previous, target, adopting: true }) = &*transition else {
            return false;
        };
        // The lock is kept: the next restore, which may bring the inode back, comes after this.
        // What the target has and is gone now was removed since, and is an orphan already.
        let exists = |root: &Root| root.get(node.ino(), |_| ()).is_some();
        if exists(target) || exists(&self.live.tree.root()) {
            return false;
        }
        let Some(inode) = previous.get(node.ino(), Inode::clone) else { return false };
        self.holds.adopt(node, || {
            self.orphans.add(inode.pages);
            self.quota.add(inode.pages);
            without_name(inode)
        })
    }
}
