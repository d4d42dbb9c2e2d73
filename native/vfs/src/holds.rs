//! Who is held from outside (kernel look-ups, open handles), and the inodes that live only
//! because of it.
//!
//! An orphan, an inode without a name, lives here and not in the tree: frozen trees never hold
//! one, and it vanishes with its last hold. LOCKS: a shard's lock nests inside a leaf's, so that
//! an inode moves between tree and holds table without being missing from both.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;
use parking_lot::{Mutex, MutexGuard};

use crate::attr::S_IFDIR;
use crate::ids::NodeId;
use crate::inode::Inode;
use crate::rank::{Rank, Ranked};

const SHARDS: usize = 64;

/// Hashes a node id by one multiplication: ids are dense numbers, and nobody chooses them.
#[derive(Default)]
pub(crate) struct NodeHasher(u64);

impl Hasher for NodeHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.write_u64(u64::from(*b)));
    }

    fn write_u64(&mut self, n: u64) {
        let mixed = (self.0 ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }
}

struct Held {
    count: u64,
    /// So many of them are open files of the API.
    own: u16,
    /// Grows when the directory is removed, by rmdir or a restore: who holds it then holds
    /// something else than what may come back under its number.
    generation: u32,
    /// The one that was given out last.
    told: u32,
    /// It came back, and its new generation has not been given out: whoever asks now holds what
    /// was removed.
    reborn: bool,
    /// File type, mode >> 12.
    kind: u8,
    orphan: Option<Box<Inode>>,
}

type Shard = HashMap<NodeId, Held, BuildHasherDefault<NodeHasher>>;

/// See the head of this file.
pub(crate) struct Holds {
    shards: Box<[CachePadded<Mutex<Shard>>]>,
    /// How many are `reborn`.
    reborn: AtomicUsize,
}

impl Held {
    fn new(kind: u8, count: u64, orphan: Option<Box<Inode>>) -> Held {
        Held { count, own: 0, generation: 0, told: 0, reborn: false, kind, orphan }
    }

    fn is_dir(&self) -> bool {
        u32::from(self.kind) << 12 == S_IFDIR
    }
}

struct Locked<'a> {
    shard: MutexGuard<'a, Shard>,
    _rank: Ranked,
}

/// What the table knows of a node.
pub(crate) enum Known<R> {
    /// Nothing: nobody holds it.
    No,
    /// It is held, and its inode is in a tree.
    Held,
    /// It is an orphan, and this came of looking at it.
    Orphan(R),
}

impl Holds {
    pub(crate) fn new() -> Holds {
        let shards = (0..SHARDS).map(|_| CachePadded::default()).collect();
        Holds { shards, reborn: AtomicUsize::new(0) }
    }

    fn shard(&self, node: NodeId) -> Locked<'_> {
        let rank = Ranked::take(Rank::Holds);
        // The low bits: neighbouring inodes go to different shards.
        let shard = self.shards[node.0 as usize % SHARDS].lock();
        Locked { shard, _rank: rank }
    }

    /// Takes one reference; returns the node's generation.
    pub(crate) fn take(&self, node: NodeId, kind: u32) -> u32 {
        let mut locked = self.shard(node);
        let kind = (kind >> 12) as u8;
        let held = locked.shard.entry(node).or_insert_with(|| Held::new(kind, 0, None));
        held.count += 1;
        held.told = held.generation;
        self.set_reborn(held, false);
        held.generation
    }

    fn set_reborn(&self, held: &mut Held, reborn: bool) {
        match (std::mem::replace(&mut held.reborn, reborn), reborn) {
            (false, true) => _ = self.reborn.fetch_add(1, Ordering::Relaxed),
            (true, false) => _ = self.reborn.fetch_sub(1, Ordering::Relaxed),
            _ => {}
        }
    }

    /// Whether this is a directory that was removed and came back, and nobody has looked it up
    /// since.
    pub(crate) fn is_reborn(&self, node: NodeId) -> bool {
        self.reborn.load(Ordering::Relaxed) > 0
            && self.shard(node).shard.get(&node).is_some_and(|held| held.reborn)
    }

    /// Gives references back. Returns the orphan that dies when the last is gone.
    pub(crate) fn put(&self, node: NodeId, count: u64) -> Option<Box<Inode>> {
        let mut locked = self.shard(node);
        let MapEntry::Occupied(mut entry) = locked.shard.entry(node) else { return None };
        debug_assert!(entry.get().count >= count, "{node:?} forgotten more often than held");
        let left = entry.get().count.saturating_sub(count);
        entry.get_mut().count = left;
        if left > 0 {
            return None;
        }
        let mut gone = entry.remove();
        self.set_reborn(&mut gone, false);
        gone.orphan
    }

    /// One of the references is this process's own.
    pub(crate) fn note_own(&self, node: NodeId) {
        self.shard(node).shard.entry(node).and_modify(|held| held.own = held.own.saturating_add(1));
    }

    /// One of those is about to be given back.
    pub(crate) fn drop_own(&self, node: NodeId) {
        self.shard(node).shard.entry(node).and_modify(|held| held.own = held.own.saturating_sub(1));
    }

    /// Whether there are more references than this process's own.
    pub(crate) fn is_held_by_others(&self, node: NodeId) -> bool {
        self.shard(node).shard.get(&node).is_some_and(|held| held.count > u64::from(held.own))
    }

    /// Whether anybody holds it.
    pub(crate) fn is_held(&self, node: NodeId) -> bool {
        self.shard(node).shard.contains_key(&node)
    }

    /// The generation to answer for a node.
    pub(crate) fn generation(&self, node: NodeId) -> u32 {
        self.shard(node).shard.get(&node).map_or(0, |held| held.generation)
    }

    /// Every held node with its file type bits, in no order.
    pub(crate) fn list(&self) -> Vec<(NodeId, u32)> {
        let mut all = Vec::new();
        for n in 0..SHARDS as u64 {
            let locked = self.shard(NodeId(n));
            all.extend(locked.shard.iter().map(|(node, h)| (*node, u32::from(h.kind) << 12)));
        }
        all
    }

    /// Looks at a node if it is an orphan.
    pub(crate) fn orphan<R>(&self, node: NodeId, look: impl FnOnce(&mut Inode) -> R) -> Known<R> {
        let mut locked = self.shard(node);
        match locked.shard.get_mut(&node) {
            None => Known::No,
            Some(Held { orphan: None, .. }) => Known::Held,
            Some(Held { orphan: Some(inode), .. }) => Known::Orphan(look(inode)),
        }
    }

    /// Keeps an inode that lost its last name, if anybody holds it; else gives it back. Also
    /// gives back an older orphan of the same number, which a restore has made obsolete.
    /// LOCKS: the leaf that the inode was in.
    pub(crate) fn keep(&self, node: NodeId, inode: Inode) -> Kept {
        let mut locked = self.shard(node);
        match locked.shard.get_mut(&node) {
            None => Kept { dropped: Some(inode), stale: None },
            Some(held) => {
                if inode.kind() == S_IFDIR {
                    held.generation += 1;
                    self.set_reborn(held, false);
                }
                let stale = held.orphan.replace(Box::new(inode));
                Kept { dropped: None, stale }
            }
        }
    }

    /// Holds a new inode that has no name, once.
    pub(crate) fn keep_new(&self, node: NodeId, inode: Inode) {
        let mut locked = self.shard(node);
        let kind = (inode.kind() >> 12) as u8;
        locked.shard.insert(node, Held::new(kind, 1, Some(Box::new(inode))));
    }

    /// Gives a held node that has no inode one (made by `make`, out of an older tree).
    /// False when the node is not held; true also when it already is an orphan.
    pub(crate) fn adopt(&self, node: NodeId, make: impl FnOnce() -> Inode) -> bool {
        let mut locked = self.shard(node);
        match locked.shard.get_mut(&node) {
            None => false,
            Some(held) => {
                if held.orphan.is_none() {
                    held.orphan = Some(Box::new(make()));
                    held.generation += u32::from(held.is_dir());
                    self.set_reborn(held, false);
                }
                true
            }
        }
    }

    /// Takes the orphan out; the node stays held.
    /// LOCKS: the leaf that it goes to, or that has made it obsolete.
    pub(crate) fn take_orphan(&self, node: NodeId) -> Option<Box<Inode>> {
        let mut locked = self.shard(node);
        let held = locked.shard.get_mut(&node)?;
        let orphan = held.orphan.take()?;
        // Who looked it up since it is back was told.
        let reborn = held.is_dir() && held.told != held.generation;
        self.set_reborn(held, reborn);
        Some(orphan)
    }

    /// Whether a held node lives here and in no tree.
    pub(crate) fn is_orphan(&self, node: NodeId) -> bool {
        self.shard(node).shard.get(&node).is_some_and(|held| held.orphan.is_some())
    }

    /// Takes one reference to an orphan for who knows it: returns the generation that it has there.
    pub(crate) fn take_known(&self, node: NodeId) -> Option<u32> {
        let mut locked = self.shard(node);
        let held = locked.shard.get_mut(&node).filter(|held| held.orphan.is_some())?;
        held.count += 1;
        Some(held.told)
    }

    /// The kernel marks the inode of an orphaned directory dead; false if it is no orphan.
    pub(crate) fn note_removed(&self, node: NodeId) -> bool {
        let mut locked = self.shard(node);
        match locked.shard.get_mut(&node) {
            Some(held) if held.orphan.is_some() => {
                // It has a new generation since it became one, unless that was given out.
                held.generation += u32::from(held.is_dir() && held.told == held.generation);
                true
            }
            _ => false,
        }
    }

    /// Every orphan.
    pub(crate) fn for_each_orphan(&self, mut visit: impl FnMut(NodeId, &Inode)) {
        for n in 0..SHARDS as u64 {
            let locked = self.shard(NodeId(n));
            for (node, held) in locked.shard.iter() {
                held.orphan.iter().for_each(|inode| visit(*node, inode));
            }
        }
    }
}

/// What became of an inode that lost its last name.
pub(crate) struct Kept {
    /// Nobody holds it: free it once no lock is held.
    pub(crate) dropped: Option<Inode>,
    /// An obsolete orphan it took the place of.
    pub(crate) stale: Option<Box<Inode>>,
}
