//! rename(2): moving, replacing and exchanging names.
//!
//! Within one directory the change is one step. Between two, the new name appears before the old
//! one goes: a look-up may see both for a moment, but never neither, and a freeze sees none of
//! it. Moving a directory to another one holds the rename lock, so that the walk to the root
//! which keeps a directory out of its own descendants is true.

use crate::attr::{S_IFCHR, S_IFDIR, Timespec};
use crate::dir::Dir;
use crate::errno::{Errno, Result};
use crate::ids::{Ino, NodeId};
use crate::inode::{Body, Inode};
use crate::names::{check_bytes, check_length, find, is_reserved};
use crate::reclaim::Garbage;
use crate::room;
use crate::types::RenameFlags;
use crate::vfs::{Area, Vfs};

/// What a name means: an inode and its type.
type Target = (Ino, u32);

/// Both ends of a rename, as found under the name locks.
struct Move<'a> {
    parent: Ino,
    name: &'a [u8],
    new_parent: Ino,
    new_name: &'a [u8],
    source: Target,
    target: Option<Target>,
    now: Timespec,
}

fn check_ends(
    (parent, name): (NodeId, &[u8]),
    (new_parent, new_name): (NodeId, &[u8]),
    flags: RenameFlags,
) -> Result<()> {
    check_bytes(name)?;
    check_bytes(new_name)?;
    if flags.exchange && (flags.noreplace || flags.whiteout.is_some()) {
        return Err(Errno::Inval);
    }
    if parent.attachment() != new_parent.attachment() {
        return Err(Errno::XDev);
    }
    let dot = |name: &[u8]| name == b"." || name == b"..";
    if dot(name) || is_reserved(parent, name) {
        return Err(Errno::Busy);
    }
    if dot(new_name) {
        return Err(if flags.noreplace { Errno::Exist } else { Errno::Busy });
    }
    if is_reserved(new_parent, new_name) {
        return Err(if flags.noreplace { Errno::Exist } else { Errno::Perm });
    }
    Ok(())
}

fn leave_name(entries: &mut Dir, name: &[u8], whiteout: Option<Ino>) {
    match whiteout {
        Some(ino) => drop(entries.replace(name, ino, S_IFCHR)),
        None => drop(entries.remove(name)),
    }
}

impl Vfs {
    /// Moves a name; see rename(2) for the flags.
    pub fn rename(
        &self,
        parent: NodeId,
        name: &[u8],
        new_parent: NodeId,
        new_name: &[u8],
        flags: RenameFlags,
    ) -> Result<()> {
        check_ends((parent, name), (new_parent, new_name), flags)?;
        let Some(area) = self.area(parent.attachment()) else {
            return Err(self.control.refusal(parent));
        };
        let mut garbage = Garbage::default();
        let pass = self.gate.enter();
        let now = self.clock.now();
        let across = parent != new_parent;
        // Whether a directory moves is known for sure only under the name locks, but the rename
        // lock comes before them: guess, and start again if the guess was wrong.
        let mut dir_moves = across && self.moves_dir(parent, name, new_parent, new_name);
        loop {
            let _rename = dir_moves.then(|| self.names.lock_rename());
            let _names = self.names.lock_both(parent, new_parent);
            let (source, target) = self.find_both(area, parent, name, new_parent, new_name)?;
            let is_dir = |end: Target| end.1 == S_IFDIR;
            if across && !dir_moves && (is_dir(source) || target.is_some_and(is_dir)) {
                dir_moves = true;
                continue;
            }
            let (parent, new_parent) = (parent.ino(), new_parent.ino());
            let m = Move { parent, name, new_parent, new_name, source, target, now };
            let changed = self.rename_locked(area, &m, flags, &mut garbage)?;
            if changed {
                self.note_change(&pass, area);
            }
            return Ok(());
        }
    }

    fn moves_dir(&self, parent: NodeId, name: &[u8], to: NodeId, new_name: &[u8]) -> bool {
        let is_dir = |dir: NodeId, name: &[u8]| {
            matches!(self.view(dir, |dir| find(dir, name)), Ok(Ok((_, S_IFDIR))))
        };
        is_dir(parent, name) || is_dir(to, new_name)
    }

    // LOCKS: the names of both directories.
    fn find_both(
        &self,
        area: &Area,
        parent: NodeId,
        name: &[u8],
        new_parent: NodeId,
        new_name: &[u8],
    ) -> Result<(Target, Option<Target>)> {
        let look = |dir: NodeId, name: &[u8]| {
            let found = area.tree.get(dir.ino(), |inode| find(inode, name));
            found.unwrap_or_else(|| Err(self.why_missing(dir)))
        };
        // A removed directory has no entries: ENOENT for either end.
        match area.tree.get(new_parent.ino(), Inode::is_dir) {
            Some(true) => {}
            Some(false) => return Err(Errno::NotDir),
            None => return Err(self.why_missing(new_parent)),
        }
        let source = look(parent, name)?;
        check_length(new_name)?;
        match look(new_parent, new_name) {
            Ok(target) => Ok((source, Some(target))),
            Err(Errno::NoEnt) => Ok((source, None)),
            Err(errno) => Err(errno),
        }
    }

    // Returns whether anything changed. LOCKS: the names of both directories, and the rename
    // lock when a directory goes to another directory.
    fn rename_locked(
        &self,
        area: &Area,
        m: &Move<'_>,
        flags: RenameFlags,
        garbage: &mut Garbage,
    ) -> Result<bool> {
        if flags.noreplace && m.target.is_some() {
            return Err(Errno::Exist);
        }
        if flags.exchange && m.target.is_none() {
            return Err(Errno::NoEnt);
        }
        let source_is_dir = m.source.1 == S_IFDIR;
        let target_is_dir = m.target.is_some_and(|t| t.1 == S_IFDIR);
        if m.parent != m.new_parent {
            if source_is_dir && self.is_ancestor(area, m.source.0, m.new_parent) {
                return Err(Errno::Inval);
            }
            if let Some((target, S_IFDIR)) = m.target
                && self.is_ancestor(area, target, m.parent)
            {
                return Err(if flags.exchange { Errno::Inval } else { Errno::NotEmpty });
            }
        }
        if m.target.is_some_and(|t| t.0 == m.source.0) {
            return Ok(false);
        }
        if flags.exchange {
            self.exchange(area, m);
            return Ok(true);
        }
        match m.target {
            Some(_) if source_is_dir && !target_is_dir => return Err(Errno::NotDir),
            Some(_) if !source_is_dir && target_is_dir => return Err(Errno::IsDir),
            _ => {}
        }
        match flags.whiteout {
            Some(caller) => {
                let whiteout = self.new_whiteout(area, m.parent, caller, m.now)?;
                let moved = self.replace(area, m, Some(whiteout.ino), garbage);
                moved.inspect_err(|_| self.quota.release(0))?;
                area.tally.add(0);
                area.tree.insert(whiteout);
            }
            None => self.replace(area, m, None, garbage)?,
        }
        self.touch(area, m.source.0, m.new_parent, m.now);
        if let (Some((target, _)), false) = (m.target, target_is_dir) {
            self.drop_name(area, target, m.now, garbage);
        }
        Ok(true)
    }

    // Whether `dir` is `below` or one of the directories above it.
    // LOCKS: the rename lock.
    fn is_ancestor(&self, area: &Area, dir: Ino, below: Ino) -> bool {
        let mut at = below;
        while at != dir {
            if at == Ino::ROOT || at == Ino::HOME {
                return false;
            }
            match area.tree.get(at, |inode| inode.parent) {
                Some(parent) => at = parent,
                None => return false,
            }
        }
        true
    }

    // Moves the name; what had the new one before must be an empty directory, or no directory.
    fn replace(
        &self,
        area: &Area,
        m: &Move<'_>,
        whiteout: Option<Ino>,
        garbage: &mut Garbage,
    ) -> Result<()> {
        if let Some((target, S_IFDIR)) = m.target {
            self.take_empty_dir(area, target, m.now, garbage)?;
        }
        self.move_entry(area, m, whiteout)
    }

    // Fails only before anything has changed. The old name goes, or means the whiteout.
    fn move_entry(&self, area: &Area, m: &Move<'_>, whiteout: Option<Ino>) -> Result<()> {
        let moved_dir = u32::from(m.source.1 == S_IFDIR);
        let lost_dir = u32::from(m.target.is_some_and(|t| t.1 == S_IFDIR));
        let one = m.parent == m.new_parent;
        let enter = |dir: &mut Inode| {
            let Body::Dir(entries) = &mut dir.body else { return Err(Errno::NotDir) };
            match m.target {
                Some(_) => drop(entries.replace(m.new_name, m.source.0, m.source.1)),
                // In another directory, or by a longer name.
                None if !one || m.new_name.len() > m.name.len() => {
                    room::check()?;
                    entries.insert(m.new_name, m.source.0, m.source.1)?;
                }
                None => entries.insert(m.new_name, m.source.0, m.source.1)?,
            }
            if one {
                leave_name(entries, m.name, whiteout);
            } else {
                dir.nlink += moved_dir;
            }
            dir.nlink = dir.nlink.saturating_sub(lost_dir);
            (dir.mtime, dir.ctime) = (m.now, m.now);
            Ok(())
        };
        area.tree.update(m.new_parent, enter).unwrap_or(Err(Errno::NoEnt))?;
        if !one {
            let leave = |dir: &mut Inode| {
                if let Body::Dir(entries) = &mut dir.body {
                    leave_name(entries, m.name, whiteout);
                }
                dir.nlink = dir.nlink.saturating_sub(moved_dir);
                (dir.mtime, dir.ctime) = (m.now, m.now);
            };
            let left = area.tree.update(m.parent, leave);
            debug_assert!(left.is_some(), "a directory with an entry cannot be removed");
        }
        Ok(())
    }

    fn exchange(&self, area: &Area, m: &Move<'_>) {
        let Some(target) = m.target else { return };
        let set = |dir: Ino, names: &[(&[u8], Target)], gained: u32, lost: u32| {
            let done = area.tree.update(dir, |dir| {
                if let Body::Dir(entries) = &mut dir.body {
                    for (name, (ino, kind)) in names {
                        entries.replace(name, *ino, *kind);
                    }
                }
                dir.nlink = (dir.nlink + gained).saturating_sub(lost);
                (dir.mtime, dir.ctime) = (m.now, m.now);
            });
            debug_assert!(done.is_some(), "a directory with an entry cannot be removed");
        };
        if m.parent == m.new_parent {
            set(m.parent, &[(m.new_name, m.source), (m.name, target)], 0, 0);
        } else {
            let source_dir = u32::from(m.source.1 == S_IFDIR);
            let target_dir = u32::from(target.1 == S_IFDIR);
            set(m.new_parent, &[(m.new_name, m.source)], source_dir, target_dir);
            set(m.parent, &[(m.name, target)], target_dir, source_dir);
        }
        self.touch(area, m.source.0, m.new_parent, m.now);
        self.touch(area, target.0, m.parent, m.now);
    }

    fn touch(&self, area: &Area, ino: Ino, parent: Ino, now: Timespec) {
        area.tree.update(ino, |inode| (inode.ctime, inode.parent) = (now, parent));
    }
}
