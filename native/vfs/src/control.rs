//! What is reached through `.devdev` but lies in no live tree: the control directory itself,
//! `.devdev/snapshots`, and the read-only trees of snapshots below it.
//!
//! A listed snapshot has an attachment id from the moment it is listed; its tree is asked for
//! (`Need::Snapshot`) when somebody looks it up, and kept as long as a node of it is held, and
//! a little longer. A snapshot that is in no store is listed with its tree.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::attr::{Caller, S_IFDIR, Timespec};
use crate::dir::name_cookie;
use crate::errno::{Errno, Result};
use crate::ids::{Attachment, Ino, NodeId};
use crate::inode::Inode;
use crate::names::{CONTROL_NAME, check_length, find};
use crate::outcome::{Need, Outcome, Waitable};
use crate::reclaim::free_later;
use crate::types::{Entry, Hold, Tree};
use crate::vfs::Vfs;

/// Trees of snapshots that are kept though nobody holds a node of them.
const IDLE_TREES: usize = 4;

/// An entry of a synthetic directory: position, name, node.
pub(crate) type FixedEntry = (u64, Box<[u8]>, NodeId);

/// A snapshot as `.devdev/snapshots` shows it.
pub struct SnapshotEntry {
    /// Its name there.
    pub name: Box<[u8]>,
    /// When it was taken.
    pub taken: Timespec,
    /// Its tree; `None`: to be asked for.
    pub tree: Option<Arc<Tree>>,
}

struct Listed {
    entry: SnapshotEntry,
    attachment: Attachment,
}

/// The snapshots that are shown, by readdir position.
struct Listing {
    by_cookie: BTreeMap<u64, Listed>,
    next: u32,
    changed: Timespec,
}

struct Attached {
    tree: Arc<Tree>,
    /// References to nodes of it.
    held: AtomicU64,
    /// When it was last looked up, in look-ups.
    used: AtomicU64,
}

/// See the head of this file.
pub(crate) struct Control {
    owner: Caller,
    made: Timespec,
    listing: Mutex<Listing>,
    attached: RwLock<HashMap<u32, Attached>>,
    lookups: AtomicU64,
}

impl Control {
    pub(crate) fn new(owner: Caller, made: Timespec) -> Control {
        let next = Attachment::FIRST_SNAPSHOT.0;
        let listing = Listing { by_cookie: BTreeMap::new(), next, changed: made };
        Control {
            owner,
            made,
            listing: Mutex::new(listing),
            attached: RwLock::new(HashMap::new()),
            lookups: AtomicU64::new(0),
        }
    }

    /// Who owns what is synthetic.
    pub(crate) fn owner(&self) -> Caller {
        self.owner
    }

    /// Trees that are still held although their snapshots are no longer listed.
    pub(crate) fn unlisted(&self) -> Vec<Arc<Tree>> {
        let listing = self.listing.lock();
        let listed: HashSet<u32> = listing.by_cookie.values().map(|l| l.attachment.0).collect();
        drop(listing);
        let attached = self.attached.read();
        let gone = attached.iter().filter(|(id, _)| !listed.contains(id));
        gone.map(|(_, attached)| attached.tree.clone()).collect()
    }

    // The inode of a directory that no tree holds.
    fn synthetic(&self, node: NodeId) -> Option<Inode> {
        let (dirs, changed) = match (node.attachment(), node.ino()) {
            (Attachment::CONTROL, Ino::ROOT) => (3, self.made),
            (Attachment::CONTROL, _) if node == NodeId::SNAPSHOTS => {
                let listing = self.listing.lock();
                (listing.by_cookie.len() as u32, listing.changed)
            }
            (attachment, Ino::SNAPSHOT_CONTROL) if attachment >= Attachment::FIRST_SNAPSHOT => {
                (1, self.made)
            }
            _ => return None,
        };
        let Caller { uid, gid, .. } = self.owner;
        let mut inode = Inode::new(node.ino(), S_IFDIR | 0o555, uid, gid, Ino::ROOT, self.made);
        inode.nlink = 2 + dirs;
        (inode.mtime, inode.ctime) = (changed, changed);
        Some(inode)
    }

    /// Looks at the inode of a control node or a snapshot's node.
    pub(crate) fn view<R>(&self, node: NodeId, look: impl FnOnce(&Inode) -> R) -> Result<R> {
        if let Some(inode) = self.synthetic(node) {
            return Ok(look(&inode));
        }
        let attached = self.attached.read();
        let tree = attached.get(&node.attachment().0).ok_or(Errno::NoEnt)?.tree.clone();
        drop(attached);
        tree.root.get(node.ino(), look).ok_or(Errno::NoEnt)
    }

    /// Why a node that is never changed cannot be: EPERM for what is synthetic, EROFS for
    /// snapshots.
    pub(crate) fn refusal(&self, node: NodeId) -> Errno {
        match node {
            NodeId::CONTROL => Errno::Perm,
            _ => Errno::RoFs,
        }
    }

    /// The entries of a synthetic directory, by position.
    pub(crate) fn entries(&self, dir: NodeId) -> Option<Vec<FixedEntry>> {
        let mut entries: Vec<FixedEntry> = match (dir, dir.ino()) {
            (NodeId::CONTROL, _) => {
                let all = [
                    ("home", NodeId::HOME),
                    ("snapshots", NodeId::SNAPSHOTS),
                    ("tmp", NodeId::TMP),
                ];
                all.map(|(name, node)| fixed(name.as_bytes(), node)).into()
            }
            (NodeId::SNAPSHOTS, _) => {
                let listing = self.listing.lock();
                let node = |l: &Listed| NodeId::new(l.attachment, Ino::ROOT);
                listing
                    .by_cookie
                    .iter()
                    .map(|(at, l)| (*at, l.entry.name.clone(), node(l)))
                    .collect()
            }
            (_, Ino::SNAPSHOT_CONTROL) if dir.attachment() >= Attachment::FIRST_SNAPSHOT => {
                vec![fixed(b"home", NodeId::new(dir.attachment(), Ino::HOME))]
            }
            _ => return None,
        };
        entries.sort_unstable_by_key(|entry| entry.0);
        Some(entries)
    }

    /// Counts a reference to a node of an attachment.
    pub(crate) fn count(&self, attachment: Attachment) {
        if attachment >= Attachment::FIRST_SNAPSHOT
            && let Some(attached) = self.attached.read().get(&attachment.0)
        {
            attached.held.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Gives references to nodes of an attachment back.
    pub(crate) fn release(&self, attachment: Attachment, count: u64) {
        if attachment < Attachment::FIRST_SNAPSHOT {
            return;
        }
        let idle = match self.attached.read().get(&attachment.0) {
            // A reference taken just before the tree came back was not counted.
            Some(attached) => {
                let left = |held: u64| Some(held.saturating_sub(count));
                let held = attached.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, left);
                held.is_ok_and(|held| held <= count)
            }
            None => false,
        };
        if idle {
            self.drop_idle();
        }
    }

    // Takes out the trees that nobody holds, but for those used last.
    fn drop_idle(&self) {
        let mut attached = self.attached.write();
        let idle = attached.iter().filter(|(_, a)| a.held.load(Ordering::Acquire) == 0);
        let mut idle: Vec<_> = idle.map(|(id, a)| (a.used.load(Ordering::Relaxed), *id)).collect();
        idle.sort_unstable();
        let surplus = idle.len().saturating_sub(IDLE_TREES);
        let trees: Vec<_> =
            idle[..surplus].iter().filter_map(|(_, id)| attached.remove(id)).collect();
        drop(attached);
        if !trees.is_empty() {
            free_later(trees);
        }
    }

    /// The attachment of a listed snapshot, if its tree is here.
    pub(crate) fn snapshot(&self, name: &[u8]) -> Result<Option<Attachment>> {
        let listing = self.listing.lock();
        let listed = listing.find(name).ok_or(Errno::NoEnt)?;
        let (id, tree) = (listed.attachment, listed.entry.tree.clone());
        drop(listing);
        if let Some(tree) = tree {
            self.attach(id, tree);
        }
        let attached = self.attached.read();
        let Some(found) = attached.get(&id.0) else { return Ok(None) };
        found.used.store(self.lookups.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Ok(Some(id))
    }

    /// Whether a snapshot's tree need not be waited for: it is here, or no longer listed.
    pub(crate) fn is_settled(&self, name: &[u8]) -> bool {
        !matches!(self.snapshot(name), Ok(None))
    }

    /// Takes the tree of a listed snapshot; nothing happens if it is no longer listed.
    pub(crate) fn supply(&self, name: &[u8], tree: Arc<Tree>) {
        let id = self.listing.lock().find(name).map(|listed| listed.attachment);
        if let Some(id) = id {
            self.attach(id, tree);
        }
    }

    fn attach(&self, id: Attachment, tree: Arc<Tree>) {
        if self.attached.read().contains_key(&id.0) {
            return;
        }
        let used = AtomicU64::new(self.lookups.fetch_add(1, Ordering::Relaxed));
        let fresh = Attached { tree, held: AtomicU64::new(0), used };
        self.attached.write().entry(id.0).or_insert(fresh);
        self.drop_idle();
    }

    /// Replaces the list of snapshots. Those that stay keep their attachment and position.
    /// Returns the names that changed their meaning.
    pub(crate) fn list(&self, entries: Vec<SnapshotEntry>, now: Timespec) -> Vec<Box<[u8]>> {
        let mut changed = Vec::new();
        let mut listing = self.listing.lock();
        let mut old: HashMap<Box<[u8]>, Listed> = std::mem::take(&mut listing.by_cookie)
            .into_values()
            .map(|l| (l.entry.name.clone(), l))
            .collect();
        for entry in entries {
            if listing.find(&entry.name).is_some() {
                continue;
            }
            let known = old.remove(&entry.name).filter(|l| l.entry.taken == entry.taken);
            let attachment = match known {
                Some(listed) => listed.attachment,
                None => {
                    let Some(fresh) = listing.attachment() else { continue };
                    changed.push(entry.name.clone());
                    fresh
                }
            };
            listing.insert(Listed { entry, attachment });
        }
        changed.extend(old.into_keys());
        if !changed.is_empty() {
            listing.changed = now;
        }
        changed
    }

    /// Adds one; false when there is one of that name, or too many.
    pub(crate) fn add(&self, entry: SnapshotEntry, now: Timespec) -> bool {
        let mut listing = self.listing.lock();
        if listing.find(&entry.name).is_some() {
            return false;
        }
        let Some(attachment) = listing.attachment() else { return false };
        listing.insert(Listed { entry, attachment });
        listing.changed = now;
        true
    }
}

impl Listing {
    fn attachment(&mut self) -> Option<Attachment> {
        let fresh = (self.next < Attachment::LIMIT).then_some(Attachment(self.next));
        self.next += u32::from(fresh.is_some());
        fresh
    }

    fn insert(&mut self, listed: Listed) {
        let mut cookie = name_cookie(&listed.entry.name);
        while self.by_cookie.contains_key(&cookie) {
            cookie += 1;
        }
        self.by_cookie.insert(cookie, listed);
    }

    fn find(&self, name: &[u8]) -> Option<&Listed> {
        let base = name_cookie(name);
        let mut same_hash = self.by_cookie.range(base..).map(|(_, listed)| listed);
        same_hash
            .find(|l| name_cookie(&l.entry.name) != base || *l.entry.name == *name)
            .filter(|listed| *listed.entry.name == *name)
    }
}

fn fixed(name: &[u8], node: NodeId) -> FixedEntry {
    (name_cookie(name), name.into(), node)
}

impl Vfs {
    /// The snapshots that `.devdev/snapshots` shows. Caches are told by a thread of its own, since
    /// the caller may be one that the kernel's answer waits for.
    pub fn set_snapshots(&self, entries: Vec<SnapshotEntry>) {
        let changed = self.control.list(entries, self.clock.now());
        self.tell_snapshots(changed);
    }

    /// One more snapshot for `.devdev/snapshots`; nothing happens if it shows one of that name.
    pub fn add_snapshot(&self, entry: SnapshotEntry) {
        let name = entry.name.clone();
        if self.control.add(entry, self.clock.now()) {
            self.tell_snapshots(vec![name]);
        }
    }

    fn tell_snapshots(&self, changed: Vec<Box<[u8]>>) {
        if let (Some(caches), false) = (self.invalidator(), changed.is_empty()) {
            std::thread::spawn(move || {
                caches.inode(NodeId::SNAPSHOTS, true, 0, 0);
                changed.iter().for_each(|name| caches.entry(NodeId::SNAPSHOTS, name));
            });
        }
    }

    /// Looks a name up below `.devdev` or in a snapshot.
    pub(crate) fn lookup_fixed(&self, parent: NodeId, name: &[u8], hold: Hold) -> Waitable<Entry> {
        if parent == NodeId::SNAPSHOTS {
            check_length(name)?;
            return match self.control.snapshot(name)? {
                None => Ok(Outcome::Wait(vec![Need::Snapshot(name.into())])),
                Some(attachment) => {
                    self.entry(NodeId::new(attachment, Ino::ROOT), hold).map(Outcome::Done)
                }
            };
        }
        if let Some(entries) = self.control.entries(parent) {
            check_length(name)?;
            let found = entries.iter().find(|entry| *entry.1 == *name).ok_or(Errno::NoEnt)?;
            return self.entry(found.2, hold).map(Outcome::Done);
        }
        let (ino, _) = self.view(parent, |dir| match find(dir, name) {
            Err(Errno::NoEnt) if dir.ino == Ino::ROOT && name == CONTROL_NAME => {
                Ok((Ino::SNAPSHOT_CONTROL, S_IFDIR))
            }
            found => found,
        })??;
        self.entry(NodeId::new(parent.attachment(), ino), hold).map(Outcome::Done)
    }
}
