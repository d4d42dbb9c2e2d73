//! `Vfs`: one workspace's file system. Here are its parts and how an inode is reached; the
//! operations are in files of their own (`names`, `rename`, `data`, `freeze`, ...).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crossbeam_utils::CachePadded;
use parking_lot::{Mutex, RwLock};

use crate::attr::{Attr, Caller, Clock, S_IFDIR};
use crate::control::Control;
use crate::errno::{Errno, Result};
use crate::freeze::{Frozen, Transition};
use crate::gate::Gate;
use crate::holds::{Holds, Known};
use crate::ids::{Attachment, Ino, NodeId};
use crate::inode::Inode;
use crate::known_ids::{KnownIds, TreeId};
use crate::locks::NameLocks;
use crate::numbers::Numbers;
use crate::reclaim::Garbage;
use crate::room::Share;
use crate::tree::{LiveTree, Root};
use crate::types::{Entry, Hold, Invalidator, Limits, StatFs, Tree, Usage, VfsOptions};
use crate::usage::{Quota, Tally};
use crate::waits::Waits;

/// How often an inode that moves between tree and holds table is looked for.
const CHASES: u32 = 64;

/// A tree that can be changed: the live one, or `.devdev/tmp`.
pub(crate) struct Area {
    pub(crate) attachment: Attachment,
    pub(crate) tree: LiveTree,
    pub(crate) numbers: Numbers,
    pub(crate) tally: CachePadded<Tally>,
}

/// One workspace's file system.
pub struct Vfs {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) xattrs: bool,
    pub(crate) gate: Gate,
    pub(crate) names: NameLocks,
    pub(crate) holds: Holds,
    pub(crate) orphans: Tally,
    pub(crate) quota: Quota,
    share: Share,
    pub(crate) live: Area,
    pub(crate) tmp: Area,
    pub(crate) control: Control,
    pub(crate) waits: Waits,
    pub(crate) frozen: Mutex<Frozen>,
    pub(crate) ids: Arc<KnownIds>,
    /// The restore whose difference is being worked out or told to caches.
    pub(crate) transition: RwLock<Option<Transition>>,
    /// Whether `transition` holds one, to be read without its lock.
    pub(crate) in_transition: AtomicBool,
    /// Held by a restore from the switch until the difference is worked out; outside all locks.
    pub(crate) restores: Mutex<()>,
    invalidator: RwLock<Option<Arc<dyn Invalidator>>>,
}

/// Where an inode that is being changed was found.
#[derive(Clone, Copy)]
pub(crate) struct Spot<'a> {
    /// What counts its pages.
    pub(crate) tally: &'a Tally,
    /// Whether the change is one of the live tree, so that a checkpoint is due.
    pub(crate) in_live_tree: bool,
}

impl Area {
    fn new(attachment: Attachment, tree: &Tree) -> Area {
        Area {
            attachment,
            tree: LiveTree::new(tree.root.clone(), tree.above.max(1)),
            numbers: Numbers::from(tree.next_ino),
            tally: Tally::new(tree.bytes / crate::attr::PAGE_SIZE, tree.inodes).into(),
        }
    }

    /// The node through which an inode of this tree is reached.
    pub(crate) fn node(&self, ino: Ino) -> NodeId {
        NodeId::new(self.attachment, ino)
    }

    /// The directories that a live tree always has.
    pub(crate) fn add_bases(&self, owner: Caller, quota: &Quota, clock: &dyn Clock) {
        self.add_base(Ino::ROOT, 0o755, owner, quota, clock);
        self.add_base(Ino::HOME, 0o755, owner, quota, clock);
    }

    fn add_base(&self, ino: Ino, mode: u32, owner: Caller, quota: &Quota, clock: &dyn Clock) {
        if self.tree.get(ino, |_| ()).is_none() {
            let mode = S_IFDIR | mode;
            let mut inode = Inode::new(ino, mode, owner.uid, owner.gid, Ino::ROOT, clock.now());
            inode.nlink = 2;
            self.tree.insert(inode);
            self.tally.add(0);
            quota.add(0);
        }
    }
}

impl Vfs {
    /// A fresh workspace: `/` and `.devdev/home`, mode 0755, owned by `options.owner`.
    pub fn new(options: VfsOptions) -> Arc<Vfs> {
        Vfs::from_tree(options, &Tree::empty())
    }

    /// A workspace whose live state is `tree` (a checkpoint, a snapshot, an import, a fork).
    pub fn from_tree(options: VfsOptions, tree: &Tree) -> Arc<Vfs> {
        let quota = Quota::new(options.limits);
        let live = Area::new(Attachment::LIVE, tree);
        let tmp = Area::new(Attachment::TMP, &Tree::empty());
        quota.exchange((0, 0), (live.tally.pages(), live.tally.inodes()));
        let (owner, clock) = (options.owner, options.clock);
        live.add_bases(owner, &quota, &*clock);
        tmp.add_base(Ino::ROOT, 0o1777, owner, &quota, &*clock);
        Arc::new(Vfs {
            control: Control::new(owner, clock.now()),
            clock,
            xattrs: options.xattrs,
            gate: Gate::new(),
            names: NameLocks::new(),
            holds: Holds::new(),
            orphans: Tally::default(),
            quota,
            share: Share::new(options.limits.bytes),
            live,
            tmp,
            waits: Waits::default(),
            frozen: Mutex::default(),
            ids: KnownIds::inherited(tree),
            transition: RwLock::new(None),
            in_transition: AtomicBool::new(false),
            restores: Mutex::new(()),
            invalidator: RwLock::new(None),
        })
    }

    /// Gives `count` references back.
    pub fn forget(&self, node: NodeId, count: u64) {
        let mut garbage = Garbage::default();
        if let Some(inode) = self.holds.put(node, count) {
            self.drop_orphan(*inode, &mut garbage);
        }
        self.control.release(node.attachment(), count);
    }

    /// Of the references to a node one more is this process's, not a kernel's.
    pub(crate) fn note_own(&self, node: NodeId) {
        self.holds.note_own(node);
    }

    /// Gives such a reference back.
    pub(crate) fn forget_own(&self, node: NodeId) {
        self.holds.drop_own(node);
        self.forget(node, 1);
    }

    /// Whether a kernel holds a node: its references are more than those of open files of the API.
    pub fn is_held_by_kernel(&self, node: NodeId) -> bool {
        self.holds.is_held_by_others(node)
    }

    /// Takes one reference to a node that is known to exist (open handles of the API).
    pub fn hold(&self, node: NodeId) -> Result<()> {
        let kind = self.view(node, Inode::kind)?;
        self.take(node, kind);
        // It may have gone before it was held.
        self.view(node, |_| ()).inspect_err(|_| self.forget(node, 1))
    }

    /// Every node that is held, with its kind bits (flush barriers, invalidation).
    pub fn held(&self) -> Vec<(NodeId, u32)> {
        self.holds.list()
    }

    /// Whether a node is held.
    pub fn is_held(&self, node: NodeId) -> bool {
        self.holds.is_held(node)
    }

    /// Whether this is a directory that a restore has brought back after it was removed, and that
    /// nobody has looked up since: what the kernel has under this number is the removed one.
    pub fn is_reborn(&self, node: NodeId) -> bool {
        self.holds.is_reborn(node)
    }

    /// The attributes of a node.
    pub fn getattr(&self, node: NodeId) -> Result<Attr> {
        self.view(node, |inode| inode.attr(node))
    }

    /// Sizes and what is free.
    pub fn statfs(&self) -> StatFs {
        self.quota.statfs()
    }

    /// Who keeps the kernel's caches true; `None` when nothing is mounted.
    pub fn set_invalidator(&self, invalidator: Option<Arc<dyn Invalidator>>) {
        *self.invalidator.write() = invalidator;
    }

    /// Who keeps the kernel's caches true.
    pub fn invalidator(&self) -> Option<Arc<dyn Invalidator>> {
        self.invalidator.read().clone()
    }

    /// What the workspace holds, and its limits.
    pub fn usage(&self) -> Usage {
        let limits = self.quota.limits();
        Usage {
            bytes: self.quota.pages() * crate::attr::PAGE_SIZE,
            inodes: self.quota.inodes(),
            max_bytes: limits.bytes,
            max_inodes: limits.inodes,
            dirty_bytes: self.dirty_bytes(),
        }
    }

    /// Sets new limits; what is held already stays, even when it is more.
    pub fn set_limits(&self, limits: Limits) {
        self.quota.set_limits(limits);
        self.share.set(limits.bytes);
    }

    /// Counts changes of the live tree: two equal values mean that nothing in it was changed in
    /// between, and no file without a name was made (`.devdev/tmp` is not in it).
    pub fn change_count(&self) -> u64 {
        self.gate.changes()
    }

    /// The tree of an attachment that can be changed.
    pub(crate) fn area(&self, attachment: Attachment) -> Option<&Area> {
        match attachment {
            Attachment::LIVE => Some(&self.live),
            Attachment::TMP => Some(&self.tmp),
            _ => None,
        }
    }

    /// Takes a reference; the caller makes sure that the node exists.
    pub(crate) fn take(&self, node: NodeId, kind: u32) -> u32 {
        self.control.count(node.attachment());
        self.holds.take(node, kind)
    }

    /// The entry for a node that exists.
    pub(crate) fn entry(&self, node: NodeId, hold: Hold) -> Result<Entry> {
        if hold == Hold::Take {
            self.hold(node)?;
        }
        let attr = self.getattr(node)?;
        Ok(Entry { attr, generation: self.holds.generation(node) })
    }

    /// Looks at the inode of a node: in a tree, among the orphans, or synthetic.
    pub(crate) fn view<R>(&self, node: NodeId, look: impl FnOnce(&Inode) -> R) -> Result<R> {
        let Some(area) = self.area(node.attachment()) else {
            return self.control.view(node, look);
        };
        let mut look = Some(look);
        for chase in 0..CHASES {
            let seen = area.tree.get(node.ino(), |inode| look.take().map(|look| look(inode)));
            if let Some(seen) = seen {
                return seen.ok_or(Errno::Io);
            }
            match self.holds.orphan(node, |inode| look.take().map(|look| look(inode))) {
                Known::Orphan(seen) => return seen.ok_or(Errno::Io),
                Known::No => break,
                Known::Held => self.find_again(node, chase),
            }
        }
        Err(Errno::NoEnt)
    }

    /// Changes the inode of a node. LOCKS: the gate has been passed.
    pub(crate) fn change<R>(
        &self,
        node: NodeId,
        change: impl FnOnce(&mut Inode, Spot<'_>) -> R,
    ) -> Result<R> {
        let Some(area) = self.area(node.attachment()) else {
            return Err(self.control.refusal(node));
        };
        let in_live_tree = area.attachment == Attachment::LIVE;
        let (tally, mut change) = (&area.tally, Some(change));
        for chase in 0..CHASES {
            let mut run = |inode: &mut Inode, spot| change.take().map(|change| change(inode, spot));
            let spot = Spot { tally, in_live_tree };
            if let Some(done) = area.tree.update(node.ino(), |inode| run(inode, spot)) {
                return done.ok_or(Errno::Io);
            }
            let spot = Spot { tally: &self.orphans, in_live_tree: false };
            match self.holds.orphan(node, |inode| run(inode, spot)) {
                Known::Orphan(done) => return done.ok_or(Errno::Io),
                Known::No => break,
                Known::Held => self.find_again(node, chase),
            }
        }
        Err(Errno::NoEnt)
    }

    // A held node is neither in the tree nor an orphan: a restore has taken it out of the tree
    // and it is not yet an orphan, or it is just moving between the two.
    fn find_again(&self, node: NodeId, chase: u32) {
        if !self.adopt_from_previous(node) && chase > 2 {
            std::thread::yield_now();
        }
    }

    /// Buries an inode that has lost its last name: as an orphan if it is held, else as garbage.
    /// LOCKS: the leaf that it was in.
    pub(crate) fn bury(&self, area: &Area, inode: Inode, garbage: &mut Garbage) {
        let (node, pages) = (area.node(inode.ino), inode.pages);
        area.tally.sub(pages);
        let kept = self.holds.keep(node, inode);
        match kept.dropped {
            None => self.orphans.add(pages),
            Some(inode) => {
                self.quota.release(pages);
                garbage.inodes.push(inode);
            }
        }
        if let Some(stale) = kept.stale {
            self.drop_orphan(*stale, garbage);
        }
    }

    /// Counts an orphan off that nobody can reach any more.
    pub(crate) fn drop_orphan(&self, inode: Inode, garbage: &mut Garbage) {
        self.orphans.sub(inode.pages);
        self.quota.release(inode.pages);
        garbage.inodes.push(inode);
    }

    /// Whether a restore is being worked out or told to caches.
    pub(crate) fn is_in_transition(&self) -> bool {
        self.in_transition.load(Ordering::Acquire)
    }
}

impl Tree {
    /// A tree without any inode.
    pub fn empty() -> Tree {
        let root = Root::empty(0);
        let (id, leaving) = (TreeId::default(), OnceLock::new());
        Tree { root, above: 1, next_ino: Ino::FIRST, bytes: 0, inodes: 0, id, leaving }
    }
}
