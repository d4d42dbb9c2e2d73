//! The inode table: a radix tree over inode numbers that freezes in O(1).
//!
//! Nodes carry the generation they were born in. A node of the current generation belongs to
//! the live tree alone and is changed in place, under its own small lock; an older one may be
//! part of a frozen tree and is copied first, with its path. Freezing takes the root and starts
//! a new generation (ZFS and btrfs tag their blocks in the same way).
//!
//! LOCKS: `structure` before a node's `children` before a leaf's `data`; at most one leaf lock
//! is held at a time, and nothing is called back while `structure` is held.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::ids::{Ino, PageId};
use crate::inode::Inode;
use crate::rank::{Rank, Ranked};

/// Inodes in a leaf, as a power of two.
pub const LEAF_BITS: u32 = 4;
/// Children of a node, as a power of two.
pub const NODE_BITS: u32 = 6;
/// Children of a node.
pub const NODE_CHILDREN: usize = 1 << NODE_BITS;
/// Levels that cover every inode number below 2^40.
pub const MAX_HEIGHT: u32 = (40 - LEAF_BITS).div_ceil(NODE_BITS);

/// A child of an inner node.
#[derive(Clone)]
pub enum Child {
    /// Another inner node.
    Node(Arc<Node>),
    /// Sixteen inode numbers.
    Leaf(Arc<Leaf>),
}

/// An inner node.
pub struct Node {
    pub(crate) birth: u64,
    /// Where the store keeps this node, once it does; never set on the current generation.
    pub(crate) page: OnceLock<PageId>,
    pub(crate) children: RwLock<Box<[Option<Child>]>>,
}

/// Sixteen neighbouring inode numbers.
pub struct Leaf {
    pub(crate) birth: u64,
    /// Where the store keeps this leaf, once it does; never set on the current generation.
    pub(crate) page: OnceLock<PageId>,
    pub(crate) data: RwLock<LeafData>,
}

/// What a leaf's lock protects.
#[derive(Default)]
pub struct LeafData {
    /// Inodes by ascending number.
    pub(crate) inodes: Vec<Inode>,
    /// Set when the leaf was empty and has been cut off: nothing may be added any more.
    detached: bool,
}

/// The root of a tree and how many levels of nodes lie above its leaves (at least 1).
#[derive(Clone)]
pub struct Root {
    pub(crate) node: Arc<Node>,
    pub(crate) height: u32,
}

/// A leaf's locked data.
pub(crate) struct Locked<G> {
    guard: G,
    _rank: Ranked,
}

impl<G: Deref> Deref for Locked<G> {
    type Target = G::Target;
    fn deref(&self) -> &G::Target {
        &self.guard
    }
}

impl<G: DerefMut> DerefMut for Locked<G> {
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.guard
    }
}

impl Node {
    pub(crate) fn new(birth: u64) -> Node {
        let children = RwLock::new(vec![None; NODE_CHILDREN].into_boxed_slice());
        Node { birth, page: OnceLock::new(), children }
    }

    fn copy(&self, birth: u64) -> Node {
        let children = RwLock::new(self.all());
        Node { birth, page: OnceLock::new(), children }
    }

    pub(crate) fn child(&self, slot: usize) -> Option<Child> {
        let _rank = Ranked::take(Rank::Children);
        self.children.read()[slot].clone()
    }

    fn all(&self) -> Box<[Option<Child>]> {
        let _rank = Ranked::take(Rank::Children);
        self.children.read().clone()
    }

    fn set_child(&self, slot: usize, child: Child) {
        let _rank = Ranked::take(Rank::Children);
        self.children.write()[slot] = Some(child);
    }
}

impl Leaf {
    pub(crate) fn new(birth: u64, inodes: Vec<Inode>) -> Leaf {
        let data = RwLock::new(LeafData { inodes, detached: false });
        Leaf { birth, page: OnceLock::new(), data }
    }

    fn copy(&self, birth: u64) -> Leaf {
        Leaf::new(birth, self.read().inodes.clone())
    }

    pub(crate) fn read(&self) -> Locked<RwLockReadGuard<'_, LeafData>> {
        let rank = Ranked::take(Rank::Leaf);
        Locked { guard: self.data.read(), _rank: rank }
    }

    fn write(&self) -> Locked<RwLockWriteGuard<'_, LeafData>> {
        let rank = Ranked::take(Rank::Leaf);
        Locked { guard: self.data.write(), _rank: rank }
    }
}

fn slot(index: u64, level: u32) -> usize {
    (index >> (NODE_BITS * level)) as usize & (NODE_CHILDREN - 1)
}

impl Root {
    /// An empty tree.
    pub fn empty(birth: u64) -> Root {
        Root { node: Arc::new(Node::new(birth)), height: 2 }
    }

    fn covers(&self, index: u64) -> bool {
        index >> (NODE_BITS * self.height) == 0
    }

    /// The leaf with this index (inode number / 16).
    pub(crate) fn leaf(&self, index: u64) -> Option<Arc<Leaf>> {
        if !self.covers(index) {
            return None;
        }
        let mut child = self.node.child(slot(index, self.height - 1))?;
        for level in (0..self.height - 1).rev() {
            let Child::Node(node) = child else { return None };
            child = node.child(slot(index, level))?;
        }
        match child {
            Child::Leaf(leaf) => Some(leaf),
            Child::Node(_) => None,
        }
    }

    /// Looks at an inode.
    pub fn get<R>(&self, ino: Ino, look: impl FnOnce(&Inode) -> R) -> Option<R> {
        let leaf = self.leaf(ino.0 >> LEAF_BITS)?;
        let data = leaf.read();
        let at = data.inodes.binary_search_by_key(&ino, |i| i.ino).ok()?;
        Some(look(&data.inodes[at]))
    }

    /// Every leaf with its index, ascending.
    pub fn for_each_leaf(&self, mut visit: impl FnMut(u64, &Arc<Leaf>)) {
        fn descend(node: &Node, level: u32, base: u64, visit: &mut impl FnMut(u64, &Arc<Leaf>)) {
            let children = node.all();
            for (n, child) in children.iter().enumerate() {
                let index = base | ((n as u64) << (NODE_BITS * level));
                match child {
                    Some(Child::Node(node)) => descend(node, level - 1, index, visit),
                    Some(Child::Leaf(leaf)) => visit(index, leaf),
                    None => {}
                }
            }
        }
        descend(&self.node, self.height - 1, 0, &mut visit);
    }
}

/// The tree that operations change.
pub struct LiveTree {
    root: RwLock<Root>,
    generation: AtomicU64,
    /// Serialises changes of the tree's shape: path copies, new nodes, cut-off leaves.
    structure: Mutex<()>,
}

impl LiveTree {
    /// A live tree that starts from `root`, all of whose nodes were born before `generation`.
    pub fn new(root: Root, generation: u64) -> LiveTree {
        LiveTree {
            root: RwLock::new(root),
            generation: AtomicU64::new(generation),
            structure: Mutex::new(()),
        }
    }

    /// The present generation.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The present root, for reading.
    pub fn root(&self) -> Root {
        self.root.read().clone()
    }

    /// Looks at an inode.
    pub fn get<R>(&self, ino: Ino, look: impl FnOnce(&Inode) -> R) -> Option<R> {
        self.root().get(ino, look)
    }

    /// Changes an inode in place.
    pub fn update<R>(&self, ino: Ino, change: impl FnOnce(&mut Inode) -> R) -> Option<R> {
        let leaf = self.writable_leaf(ino.0 >> LEAF_BITS, false)?;
        let mut data = leaf.write();
        let at = data.inodes.binary_search_by_key(&ino, |i| i.ino).ok()?;
        Some(change(&mut data.inodes[at]))
    }

    /// Adds an inode, or replaces the one of its number; returns the replaced one.
    pub fn insert(&self, inode: Inode) -> Option<Inode> {
        self.insert_with(inode.ino, || Some(inode)).1
    }

    /// Adds the inode that `make` comes with while the leaf's lock is held (so that it moves
    /// here without being missing in between). Returns whether it came with one, and the
    /// inode it replaced.
    pub(crate) fn insert_with(
        &self,
        ino: Ino,
        make: impl FnOnce() -> Option<Inode>,
    ) -> (bool, Option<Inode>) {
        loop {
            let leaf = self.writable_leaf(ino.0 >> LEAF_BITS, true);
            let Some(leaf) = leaf else { unreachable!("a leaf was asked to be made") };
            let mut data = leaf.write();
            if data.detached {
                continue;
            }
            let Some(inode) = make() else {
                drop(data);
                self.prune(ino.0 >> LEAF_BITS);
                return (false, None);
            };
            let replaced = match data.inodes.binary_search_by_key(&inode.ino, |i| i.ino) {
                Ok(at) => Some(std::mem::replace(&mut data.inodes[at], inode)),
                Err(at) => {
                    if data.inodes.len() == data.inodes.capacity() {
                        data.inodes.reserve_exact(4);
                    }
                    data.inodes.insert(at, inode);
                    None
                }
            };
            return (true, replaced);
        }
    }

    /// Takes an inode out.
    pub fn remove(&self, ino: Ino) -> Option<Inode> {
        let mut removed = None;
        self.change_or_take(ino, |_| ((), true), |inode| removed = Some(inode));
        removed
    }

    /// Changes an inode; when `change` says so, it is taken out and handed to `taken` before
    /// the leaf's lock is released (so that it moves on without being missing in between).
    pub(crate) fn change_or_take<R>(
        &self,
        ino: Ino,
        change: impl FnOnce(&mut Inode) -> (R, bool),
        taken: impl FnOnce(Inode),
    ) -> Option<R> {
        let index = ino.0 >> LEAF_BITS;
        let leaf = self.writable_leaf(index, false)?;
        let (result, empty) = {
            let mut data = leaf.write();
            let at = data.inodes.binary_search_by_key(&ino, |i| i.ino).ok()?;
            let (result, take) = change(&mut data.inodes[at]);
            if take {
                taken(data.inodes.remove(at));
            }
            (result, take && data.inodes.is_empty())
        };
        if empty {
            self.prune(index);
        }
        Some(result)
    }

    /// Takes the present state and starts a new generation.
    /// LOCKS: the gate must be closed and drained.
    pub fn freeze(&self) -> Root {
        let root = self.root.write();
        self.generation.fetch_add(1, Ordering::AcqRel);
        root.clone()
    }

    /// Replaces the state by a frozen one whose nodes were born before `above`.
    /// LOCKS: the gate must be closed and drained. Returns the root that was live.
    pub fn swap(&self, root: Root, above: u64) -> Root {
        let mut live = self.root.write();
        let next = self.generation().max(above) + 1;
        self.generation.store(next, Ordering::Release);
        std::mem::replace(&mut live, root)
    }

    fn writable_leaf(&self, index: u64, make: bool) -> Option<Arc<Leaf>> {
        // INVARIANT: no node is older than its children, so the leaf's birth speaks for its path.
        let leaf = self.root().leaf(index);
        match leaf {
            Some(leaf) if leaf.birth == self.generation() => Some(leaf),
            None if !make => None,
            _ => self.copy_path(index, make),
        }
    }

    fn copy_path(&self, index: u64, make: bool) -> Option<Arc<Leaf>> {
        let _rank = Ranked::take(Rank::Structure);
        let _structure = self.structure.lock();
        let birth = self.generation();
        let root = self.writable_root(index, birth, make)?;
        let mut node = root.node;
        for level in (1..root.height).rev() {
            let at = slot(index, level);
            let next = match node.child(at) {
                Some(Child::Node(next)) if next.birth == birth => next,
                Some(Child::Node(next)) => Arc::new(next.copy(birth)),
                None if make => Arc::new(Node::new(birth)),
                _ => return None,
            };
            node.set_child(at, Child::Node(next.clone()));
            node = next;
        }
        let at = slot(index, 0);
        let leaf = match node.child(at) {
            Some(Child::Leaf(leaf)) if leaf.birth == birth => leaf,
            Some(Child::Leaf(leaf)) => Arc::new(leaf.copy(birth)),
            None if make => Arc::new(Leaf::new(birth, Vec::new())),
            _ => return None,
        };
        node.set_child(at, Child::Leaf(leaf.clone()));
        Some(leaf)
    }

    // LOCKS: structure is held.
    fn writable_root(&self, index: u64, birth: u64, make: bool) -> Option<Root> {
        let mut root = self.root();
        while !root.covers(index) {
            if !make {
                return None;
            }
            let node = Node::new(birth);
            node.set_child(0, Child::Node(root.node));
            root = Root { node: Arc::new(node), height: root.height + 1 };
        }
        if root.node.birth != birth {
            root.node = Arc::new(root.node.copy(birth));
        }
        *self.root.write() = root.clone();
        Some(root)
    }

    // Cuts an empty leaf off, so that deleted inodes leave nothing behind.
    fn prune(&self, index: u64) {
        let _rank = Ranked::take(Rank::Structure);
        let _structure = self.structure.lock();
        let birth = self.generation();
        let root = self.root();
        let mut path = vec![root.node.clone()];
        for level in (1..root.height).rev() {
            let Some(Child::Node(next)) = path[path.len() - 1].child(slot(index, level)) else {
                return;
            };
            path.push(next);
        }
        let Some(Child::Leaf(leaf)) = path[path.len() - 1].child(slot(index, 0)) else { return };
        {
            let mut data = leaf.write();
            if leaf.birth != birth || !data.inodes.is_empty() {
                return;
            }
            data.detached = true;
        }
        for (level, node) in path.iter().rev().enumerate() {
            let _rank = Ranked::take(Rank::Children);
            let mut children = node.children.write();
            children[slot(index, level as u32)] = None;
            if children.iter().any(Option::is_some) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attr::{S_IFREG, Timespec};

    fn inode(ino: u64, uid: u32) -> Inode {
        Inode::new(Ino(ino), S_IFREG, uid, 0, Ino::ROOT, Timespec::default())
    }

    #[test]
    fn frozen_roots_keep_their_state() {
        let live = LiveTree::new(Root::empty(0), 1);
        (1..5000).for_each(|n| assert!(live.insert(inode(n, 0)).is_none()));
        let first = live.freeze();
        live.update(Ino(77), |i| i.uid = 9).unwrap();
        live.remove(Ino(4000)).unwrap();
        live.insert(inode(1 << 39, 5));
        let second = live.freeze();
        assert_eq!(first.get(Ino(77), |i| i.uid), Some(0));
        assert!(first.get(Ino(4000), |_| ()).is_some());
        assert!(first.get(Ino(1 << 39), |_| ()).is_none());
        assert_eq!(second.get(Ino(77), |i| i.uid), Some(9));
        assert!(second.get(Ino(4000), |_| ()).is_none());
        live.swap(first.clone(), 2);
        live.update(Ino(77), |i| i.uid = 11).unwrap();
        assert_eq!(live.get(Ino(77), |i| i.uid), Some(11));
        assert_eq!(first.get(Ino(77), |i| i.uid), Some(0));
    }

    #[test]
    fn emptied_leaves_are_cut_off() {
        let live = LiveTree::new(Root::empty(0), 1);
        (1..10_000).for_each(|n| {
            live.insert(inode(n, 0));
        });
        (1..10_000).for_each(|n| assert!(live.remove(Ino(n)).is_some()));
        let mut leaves = 0;
        live.root().for_each_leaf(|_, _| leaves += 1);
        assert_eq!(leaves, 0);
        live.insert(inode(3, 1));
        assert_eq!(live.get(Ino(3), |i| i.uid), Some(1));
    }

    #[test]
    fn threads_share_leaves() {
        let live = LiveTree::new(Root::empty(0), 1);
        std::thread::scope(|scope| {
            for t in 0..4u64 {
                let live = &live;
                scope.spawn(move || {
                    for n in 0..4000 {
                        let ino = n * 4 + t + 16;
                        live.insert(inode(ino, t as u32));
                        live.update(Ino(ino), |i| i.gid = 7).unwrap();
                        if n % 3 == 0 {
                            live.remove(Ino(ino)).unwrap();
                        }
                    }
                });
            }
        });
        let mut count = 0;
        live.root().for_each_leaf(|_, leaf| count += leaf.data.read().inodes.len());
        assert_eq!(count, 4 * (4000 - 1334));
    }
}
