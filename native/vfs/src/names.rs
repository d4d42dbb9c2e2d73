//! Names: look-up, and the operations that add or remove one name of one directory.
//!
//! Adding writes the entry before the inode, removing takes the inode before the entry (a
//! directory) or after it (others): each step is atomic under a leaf's lock, and a look-up that
//! sees an entry without its inode looks again once the directory's name lock is free.

use std::sync::Arc;

use crate::attr::{
    Caller, NAME_MAX, PATH_MAX, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG,
    S_IFSOCK, S_ISGID, Timespec,
};
use crate::errno::{Errno, Result};
use crate::ids::{Attachment, Ino, NodeId};
use crate::inode::{Body, Inode};
use crate::outcome::{Outcome, Waitable};
use crate::reclaim::Garbage;
use crate::room;
use crate::types::{Entry, Hold};
use crate::vfs::{Area, Vfs};

/// The control directory's name in the root.
pub(crate) const CONTROL_NAME: &[u8] = b".devdev";

/// How often a look-up tries again when it meets an entry whose inode is missing.
const RETRIES: u32 = 64;

/// What is to be created.
struct New<'a> {
    mode: u32,
    rdev: u32,
    target: &'a [u8],
    caller: Caller,
    hold: Hold,
}

/// Whether the name is that of the control directory, which nothing of the user's can have.
pub(crate) fn is_reserved(parent: NodeId, name: &[u8]) -> bool {
    parent == NodeId::ROOT && name == CONTROL_NAME
}

fn is_dot(name: &[u8]) -> bool {
    name == b"." || name == b".."
}

// What the kernel never sends, and the API must not.
pub(crate) fn check_bytes(name: &[u8]) -> Result<()> {
    if name.is_empty() || name.iter().any(|b| *b == b'/' || *b == 0) {
        return Err(Errno::Inval);
    }
    Ok(())
}

pub(crate) fn check_length(name: &[u8]) -> Result<()> {
    if name.len() > NAME_MAX { Err(Errno::NameTooLong) } else { Ok(()) }
}

impl Vfs {
    /// Takes the meaning of a name ("." and ".." included). ENOENT, ENOTDIR, ENAMETOOLONG.
    pub fn lookup(&self, parent: NodeId, name: &[u8], hold: Hold) -> Waitable<Entry> {
        check_bytes(name)?;
        if is_dot(name) {
            if self.view(parent, Inode::kind)? != S_IFDIR {
                return Err(Errno::NotDir);
            }
            let node = if name == b"." { parent } else { self.parent_of(parent)? };
            return self.entry(node, hold).map(Outcome::Done);
        }
        if is_reserved(parent, name) {
            return self.entry(NodeId::CONTROL, hold).map(Outcome::Done);
        }
        match self.area(parent.attachment()) {
            Some(area) => self.lookup_in(area, parent, name, hold).map(Outcome::Done),
            None => self.lookup_fixed(parent, name, hold),
        }
    }

    fn lookup_in(&self, area: &Area, parent: NodeId, name: &[u8], hold: Hold) -> Result<Entry> {
        let _pass = self.gate.enter();
        for _ in 0..RETRIES {
            let (ino, kind) = self.view(parent, |dir| find(dir, name))??;
            let node = area.node(ino);
            let generation = match hold {
                Hold::Take => self.take(node, kind),
                Hold::None if kind == S_IFDIR => self.holds.generation(node),
                Hold::None => 0,
            };
            if let Some(attr) = area.tree.get(ino, |inode| inode.attr(node)) {
                return Ok(Entry { attr, generation });
            }
            if hold == Hold::Take {
                self.forget(node, 1);
            }
            drop(self.names.lock(parent));
        }
        Err(Errno::Io)
    }

    /// A path of a node, by one of its names; none when no name of it is known (an orphan, or a
    /// file whose last name given is gone).
    pub fn path_of(&self, node: NodeId) -> Option<Vec<u8>> {
        let (mut at, mut path) = (node, Vec::new());
        while at != NodeId::ROOT {
            let (name, parent) = match at {
                NodeId::HOME => (b".devdev/home".to_vec(), NodeId::ROOT),
                NodeId::TMP => (b".devdev/tmp".to_vec(), NodeId::ROOT),
                _ => {
                    let parent = self.view(at, |inode| inode.parent).ok()?;
                    let parent = NodeId::new(at.attachment(), parent);
                    (self.name_in(parent, at)?, parent)
                }
            };
            path = [b"/", name.as_slice(), &path].concat();
            at = parent;
        }
        Some(path)
    }

    fn name_in(&self, dir: NodeId, node: NodeId) -> Option<Vec<u8>> {
        let mut found = None;
        let look = &mut |entry: crate::DirEntry<'_>| {
            let is_it = entry.node == node && !matches!(entry.name, b"." | b"..");
            found = is_it.then(|| entry.name.to_vec());
            !is_it
        };
        self.readdir(dir, 0, look).ok()?;
        found
    }

    /// The directory that `..` of a directory means.
    pub(crate) fn parent_of(&self, dir: NodeId) -> Result<NodeId> {
        let attachment = dir.attachment();
        Ok(match (attachment, dir.ino()) {
            (Attachment::LIVE, Ino::ROOT) | (Attachment::CONTROL, Ino::ROOT) => NodeId::ROOT,
            (Attachment::LIVE, Ino::HOME) | (Attachment::TMP, Ino::ROOT) => NodeId::CONTROL,
            (Attachment::CONTROL, _) => NodeId::CONTROL,
            (Attachment::LIVE | Attachment::TMP, _) => {
                NodeId::new(attachment, self.view(dir, |inode| inode.parent)?)
            }
            (_, Ino::ROOT) => NodeId::SNAPSHOTS,
            (_, Ino::HOME) => NodeId::new(attachment, Ino::SNAPSHOT_CONTROL),
            (_, Ino::SNAPSHOT_CONTROL) => NodeId::new(attachment, Ino::ROOT),
            _ => NodeId::new(attachment, self.view(dir, |inode| inode.parent)?),
        })
    }

    /// `mode` with type bits: regular, fifo, socket, character or block device.
    pub fn mknod(
        &self,
        parent: NodeId,
        name: &[u8],
        mode: u32,
        rdev: u32,
        caller: Caller,
        hold: Hold,
    ) -> Result<Entry> {
        let mode = if mode & S_IFMT == 0 { mode | S_IFREG } else { mode };
        match mode & S_IFMT {
            S_IFREG | S_IFIFO | S_IFSOCK => {
                self.create(parent, name, New { mode, rdev: 0, target: b"", caller, hold })
            }
            // A character device 0:0 is overlayfs's whiteout: it opens nothing.
            S_IFCHR | S_IFBLK if caller.uid == 0 || mode & S_IFMT == S_IFCHR && rdev == 0 => {
                self.create(parent, name, New { mode, rdev, target: b"", caller, hold })
            }
            S_IFCHR | S_IFBLK | S_IFDIR => Err(Errno::Perm),
            _ => Err(Errno::Inval),
        }
    }

    /// Makes a directory.
    pub fn mkdir(
        &self,
        parent: NodeId,
        name: &[u8],
        mode: u32,
        caller: Caller,
        hold: Hold,
    ) -> Result<Entry> {
        let mode = S_IFDIR | mode & 0o7777;
        self.create(parent, name, New { mode, rdev: 0, target: b"", caller, hold })
    }

    /// Makes a symbolic link.
    pub fn symlink(
        &self,
        parent: NodeId,
        name: &[u8],
        target: &[u8],
        caller: Caller,
        hold: Hold,
    ) -> Result<Entry> {
        if target.is_empty() {
            return Err(Errno::NoEnt);
        }
        if target.len() > PATH_MAX {
            return Err(Errno::NameTooLong);
        }
        if target.contains(&0) {
            return Err(Errno::Inval);
        }
        self.create(parent, name, New { mode: S_IFLNK | 0o777, rdev: 0, target, caller, hold })
    }

    /// An inode without a name (O_TMPFILE); always held once.
    pub fn tmpfile(&self, parent: NodeId, mode: u32, caller: Caller) -> Result<Entry> {
        let Some(area) = self.area(parent.attachment()) else {
            return Err(self.control.refusal(parent));
        };
        let mode = S_IFREG | mode & 0o7777;
        let new = New { mode, rdev: 0, target: b"", caller, hold: Hold::Take };
        let pass = self.gate.enter();
        let now = self.clock.now();
        let made = area.tree.get(parent.ino(), |dir| {
            if !dir.is_dir() {
                return Err(Errno::NotDir);
            }
            self.quota.reserve_inode()?;
            let ino = area.numbers.take().inspect_err(|_| self.quota.release(0))?;
            let mut inode = new.inode(ino, dir, now);
            inode.nlink = 0;
            Ok(inode)
        });
        let inode = made.unwrap_or_else(|| Err(self.why_missing(parent)))?;
        let attr = inode.attr(area.node(inode.ino));
        self.orphans.add(0);
        self.holds.keep_new(attr.node, inode);
        // It is in no tree, but its number is used: a tree that was made meanwhile may have it.
        self.note_change(&pass, area);
        Ok(Entry { attr, generation: 0 })
    }

    fn create(&self, parent: NodeId, name: &[u8], new: New<'_>) -> Result<Entry> {
        let area = self.adding(parent, name)?;
        let pass = self.gate.enter();
        let now = self.clock.now();
        let _names = self.names.lock(parent);
        let made = area.tree.update(parent.ino(), |dir| self.add_new(area, dir, name, &new, now));
        let inode = made.unwrap_or_else(|| Err(self.why_missing(parent)))?;
        let attr = inode.attr(area.node(inode.ino));
        area.tally.add(0);
        area.tree.insert(inode);
        self.note_change(&pass, area);
        Ok(Entry { attr, generation: 0 })
    }

    // Enters the name and makes the inode for it, which the caller puts into the tree.
    // LOCKS: the directory's leaf.
    fn add_new(
        &self,
        area: &Area,
        dir: &mut Inode,
        name: &[u8],
        new: &New<'_>,
        now: Timespec,
    ) -> Result<Inode> {
        let is_dir = new.mode & S_IFMT == S_IFDIR;
        let Body::Dir(entries) = &mut dir.body else { return Err(Errno::NotDir) };
        check_length(name)?;
        if is_dir && dir.nlink == u32::MAX {
            return Err(Errno::MLink);
        }
        if self.quota.reserve_inode().is_err() {
            return Err(if entries.get(name).is_some() { Errno::Exist } else { Errno::NoSpc });
        }
        let entered = area.numbers.take().and_then(|ino| {
            entries.insert(name, ino, new.mode & S_IFMT)?;
            Ok(ino)
        });
        let ino = entered.inspect_err(|_| self.quota.release(0))?;
        dir.nlink += u32::from(is_dir);
        (dir.mtime, dir.ctime) = (now, now);
        if new.hold == Hold::Take {
            self.take(area.node(ino), new.mode & S_IFMT);
        }
        Ok(new.inode(ino, dir, now))
    }

    // An overlay's mark for a removed name; the caller enters it and puts it into the tree.
    pub(crate) fn new_whiteout(
        &self,
        area: &Area,
        parent: Ino,
        caller: Caller,
        now: Timespec,
    ) -> Result<Inode> {
        let new = New { mode: S_IFCHR, rdev: 0, target: b"", caller, hold: Hold::None };
        self.quota.reserve_inode()?;
        let made = area.numbers.take().and_then(|ino| {
            area.tree.get(parent, |dir| new.inode(ino, dir, now)).ok_or(Errno::NoEnt)
        });
        made.inspect_err(|_| self.quota.release(0))
    }

    /// Adds a name to an existing inode that is no directory. An inode without a name comes
    /// back into the tree.
    pub fn link(&self, node: NodeId, parent: NodeId, name: &[u8], hold: Hold) -> Result<Entry> {
        let area = self.adding(parent, name)?;
        let mut garbage = Garbage::default();
        let pass = self.gate.enter();
        let now = self.clock.now();
        let _names = self.names.lock(parent);
        let free = area.tree.get(parent.ino(), |dir| match find(dir, name) {
            Err(Errno::NoEnt) => Ok(()),
            Ok(_) => Err(Errno::Exist),
            Err(errno) => Err(errno),
        });
        free.unwrap_or_else(|| Err(self.why_missing(parent)))?;
        room::check()?;
        if node.attachment() != parent.attachment() {
            return Err(Errno::XDev);
        }
        let attr = self.add_link(area, node, parent.ino(), now)?;
        let kind = attr.mode & S_IFMT;
        let entered = area.tree.update(parent.ino(), |dir| {
            let Body::Dir(entries) = &mut dir.body else { return Err(Errno::NotDir) };
            entries.insert(name, node.ino(), kind)?;
            (dir.mtime, dir.ctime) = (now, now);
            if hold == Hold::Take {
                self.take(node, kind);
            }
            Ok(())
        });
        if let Err(errno) = entered.unwrap_or(Err(Errno::NoEnt)) {
            self.drop_name(area, node.ino(), now, &mut garbage);
            return Err(errno);
        }
        self.note_change(&pass, area);
        Ok(Entry { attr, generation: 0 })
    }

    // Counts one more name, and brings an orphan back into the tree.
    fn add_link(
        &self,
        area: &Area,
        node: NodeId,
        parent: Ino,
        now: Timespec,
    ) -> Result<crate::attr::Attr> {
        let count = |inode: &mut Inode| {
            if inode.is_dir() {
                return Err(Errno::Perm);
            }
            inode.nlink = inode.nlink.checked_add(1).ok_or(Errno::MLink)?;
            (inode.ctime, inode.parent) = (now, parent);
            Ok(inode.attr(node))
        };
        for _ in 0..RETRIES {
            if let Some(counted) = area.tree.update(node.ino(), count) {
                return counted;
            }
            // Finds it among the orphans, or makes it one if a restore took it out of the tree.
            if self.view(node, Inode::is_dir)? {
                return Err(Errno::Perm);
            }
            let (came, _) = area.tree.insert_with(node.ino(), || {
                let mut inode = *self.holds.take_orphan(node)?;
                inode.nlink = 0;
                self.orphans.sub(inode.pages);
                area.tally.add(inode.pages);
                Some(inode)
            });
            if !came {
                std::thread::yield_now();
            }
        }
        Err(Errno::NoEnt)
    }

    /// Removes a name of an inode that is no directory.
    pub fn unlink(&self, parent: NodeId, name: &[u8]) -> Result<()> {
        if is_dot(name) {
            return Err(Errno::IsDir);
        }
        let area = self.removing(parent, name)?;
        if is_reserved(parent, name) {
            return Err(Errno::Perm);
        }
        let mut garbage = Garbage::default();
        let pass = self.gate.enter();
        let now = self.clock.now();
        let _names = self.names.lock(parent);
        let removed = area.tree.update(parent.ino(), |dir| {
            let (ino, kind) = find(dir, name)?;
            if kind == S_IFDIR {
                return Err(Errno::IsDir);
            }
            let Body::Dir(entries) = &mut dir.body else { return Err(Errno::NotDir) };
            entries.remove(name);
            (dir.mtime, dir.ctime) = (now, now);
            Ok(ino)
        });
        let ino = removed.unwrap_or_else(|| Err(self.why_missing(parent)))?;
        self.drop_name(area, ino, now, &mut garbage);
        self.note_change(&pass, area);
        Ok(())
    }

    /// One name of an inode (no directory) less; with the last, the inode leaves the tree.
    pub(crate) fn drop_name(&self, area: &Area, ino: Ino, now: Timespec, garbage: &mut Garbage) {
        let uncount = |inode: &mut Inode| {
            debug_assert!(!inode.is_dir() && inode.nlink > 0);
            inode.nlink = inode.nlink.saturating_sub(1);
            inode.ctime = now;
            ((), inode.nlink == 0)
        };
        let found = area.tree.change_or_take(ino, uncount, |i| self.bury(area, i, garbage));
        debug_assert!(found.is_some(), "{ino:?} had a name but is not in the tree");
    }

    /// Removes an empty directory.
    pub fn rmdir(&self, parent: NodeId, name: &[u8]) -> Result<()> {
        if is_dot(name) {
            return Err(if name == b"." { Errno::Inval } else { Errno::NotEmpty });
        }
        let area = self.removing(parent, name)?;
        if is_reserved(parent, name) {
            return Err(Errno::Busy);
        }
        let mut garbage = Garbage::default();
        let pass = self.gate.enter();
        let now = self.clock.now();
        let _names = self.names.lock(parent);
        let found = area.tree.get(parent.ino(), |dir| find(dir, name));
        let (ino, kind) = found.unwrap_or_else(|| Err(self.why_missing(parent)))?;
        if kind != S_IFDIR {
            return Err(Errno::NotDir);
        }
        self.take_empty_dir(area, ino, now, &mut garbage)?;
        let removed = area.tree.update(parent.ino(), |dir| {
            if let Body::Dir(entries) = &mut dir.body {
                entries.remove(name);
            }
            dir.nlink = dir.nlink.saturating_sub(1);
            (dir.mtime, dir.ctime) = (now, now);
        });
        debug_assert!(removed.is_some(), "a directory with an entry cannot be removed");
        self.note_change(&pass, area);
        Ok(())
    }

    /// Takes a directory out of the tree if it is empty; from then on nothing can be created
    /// in it. The caller removes its name.
    pub(crate) fn take_empty_dir(
        &self,
        area: &Area,
        ino: Ino,
        now: Timespec,
        garbage: &mut Garbage,
    ) -> Result<()> {
        let check = |inode: &mut Inode| match &inode.body {
            Body::Dir(entries) if entries.is_empty() => {
                (inode.nlink, inode.ctime) = (0, now);
                (Ok(()), true)
            }
            Body::Dir(_) => (Err(Errno::NotEmpty), false),
            _ => (Err(Errno::NotDir), false),
        };
        let taken = area.tree.change_or_take(ino, check, |i| self.bury(area, i, garbage));
        taken.unwrap_or(Err(Errno::NoEnt))
    }

    // Where a name is to be added: refuses names that cannot be, and read-only directories
    // (EEXIST before EROFS, as the kernel has it).
    fn adding(&self, parent: NodeId, name: &[u8]) -> Result<&Area> {
        check_bytes(name)?;
        if is_dot(name) || is_reserved(parent, name) {
            return Err(Errno::Exist);
        }
        match self.area(parent.attachment()) {
            Some(area) => Ok(area),
            None => Err(self.refuse_name(parent, name)),
        }
    }

    // Where a name is to be removed.
    fn removing(&self, parent: NodeId, name: &[u8]) -> Result<&Area> {
        check_bytes(name)?;
        self.area(parent.attachment()).ok_or_else(|| self.control.refusal(parent))
    }

    // Why a name cannot be added to a directory that is never changed.
    fn refuse_name(&self, parent: NodeId, name: &[u8]) -> Errno {
        match self.lookup(parent, name, Hold::None) {
            Ok(_) => Errno::Exist,
            Err(Errno::NoEnt) => self.control.refusal(parent),
            Err(errno) => errno,
        }
    }

    /// Why a directory is not in the tree: it was removed, or never was one.
    pub(crate) fn why_missing(&self, dir: NodeId) -> Errno {
        match self.view(dir, Inode::is_dir) {
            Ok(false) => Errno::NotDir,
            _ => Errno::NoEnt,
        }
    }

    /// Counts a change of names or of the numbers that are used.
    pub(crate) fn note_change(&self, pass: &crate::gate::Pass<'_>, area: &Area) {
        if area.attachment == Attachment::LIVE {
            pass.changed(0);
        }
    }
}

impl New<'_> {
    // LOCKS: the directory's leaf (it is looked at).
    fn inode(&self, ino: Ino, dir: &Inode, now: Timespec) -> Inode {
        let kind = self.mode & S_IFMT;
        let inherits = dir.mode & S_ISGID != 0;
        let gid = if inherits { dir.gid } else { self.caller.gid };
        let sgid = if inherits && kind == S_IFDIR { S_ISGID } else { 0 };
        let mode = self.mode & (S_IFMT | 0o7777) | sgid;
        let mut inode = Inode::new(ino, mode, self.caller.uid, gid, dir.ino, now);
        inode.nlink = if kind == S_IFDIR { 2 } else { 1 };
        inode.rdev = self.rdev;
        if kind == S_IFLNK {
            inode.size = self.target.len() as u64;
            inode.body = Body::Symlink(Arc::from(self.target));
            inode.weigh();
        }
        inode
    }
}

/// What a name of a directory means. ENOTDIR, ENAMETOOLONG, ENOENT.
pub(crate) fn find(dir: &Inode, name: &[u8]) -> Result<(Ino, u32)> {
    let Body::Dir(entries) = &dir.body else { return Err(Errno::NotDir) };
    check_length(name)?;
    entries.get(name).map(|entry| (entry.ino, entry.kind)).ok_or(Errno::NoEnt)
}
