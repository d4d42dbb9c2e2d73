//! Operations on names: making, removing, renaming, linking, listing.

use super::walk::{Last, Place, Walker, is_dir};
use super::{API_UMASK, Api};
use crate::attr::{S_IFMT, S_IFREG};
use crate::errno::{Errno, Result};
use crate::ids::NodeId;
use crate::{Hold, RenameFlags};

/// One name that `readdir` found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// The name; of a recursive listing the path below the directory.
    pub name: Box<[u8]>,
    /// File type bits of the mode.
    pub kind: u32,
}

impl Api {
    /// mkdir(2).
    pub fn mkdir(&self, path: &[u8], mode: u32) -> Result<()> {
        let place = self.place(path)?.named(Errno::Exist)?;
        self.make_dir(&place, mode).map(|_| ())
    }

    pub(super) fn make_dir(&self, place: &Place, mode: u32) -> Result<NodeId> {
        // As mkdir(2): no set-id bits; set-group-id comes from the directory above.
        let mode = mode & 0o1777 & !API_UMASK;
        let made = self.vfs.mkdir(place.parent, &place.name, mode, self.owner, Hold::None)?;
        self.tell_name(place.parent, &place.name);
        Ok(made.attr.node)
    }

    /// Makes a directory and those above it that are missing; returns the path of the topmost
    /// one made, `None` when all were there.
    pub fn mkdir_all(&self, path: &[u8], mode: u32) -> Result<Option<Vec<u8>>> {
        let mut missing = vec![path];
        let mut topmost = None;
        while let Some(path) = missing.last().copied() {
            match self.mkdir(path, mode) {
                Ok(()) => {
                    topmost.get_or_insert_with(|| path.to_vec());
                    missing.pop();
                }
                Err(Errno::Exist) => {
                    let is_target = missing.len() == 1;
                    match self.node(path, true)? {
                        entry if is_dir(&entry) => missing.pop(),
                        _ if is_target => return Err(Errno::Exist),
                        _ => return Err(Errno::NotDir),
                    };
                }
                // Not a second time: then its parent was removed meanwhile.
                Err(Errno::NoEnt) if topmost.is_none() && trimmed(path).len() > 1 => {
                    missing.push(parent_path(trimmed(path)));
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(topmost)
    }

    /// mknod(2): `mode` with type bits; a regular file when it has none.
    pub fn mknod(&self, path: &[u8], mode: u32, rdev: u32) -> Result<()> {
        let place = self.place(path)?.named(Errno::Exist)?;
        if place.slash {
            return Err(if self.look(&place)?.is_some() { Errno::Exist } else { Errno::NoEnt });
        }
        let kind = if mode & S_IFMT == 0 { S_IFREG } else { mode & S_IFMT };
        let mode = kind | (mode & 0o7777 & !API_UMASK);
        self.vfs.mknod(place.parent, &place.name, mode, rdev, self.owner, Hold::None)?;
        self.tell_name(place.parent, &place.name);
        Ok(())
    }

    /// symlink(2).
    pub fn symlink(&self, target: &[u8], path: &[u8]) -> Result<()> {
        if target.is_empty() {
            return Err(Errno::NoEnt);
        }
        let place = self.place(path)?.named(Errno::Exist)?;
        if place.slash {
            return Err(if self.look(&place)?.is_some() { Errno::Exist } else { Errno::NoEnt });
        }
        self.make_symlink(target, &place)
    }

    pub(super) fn make_symlink(&self, target: &[u8], place: &Place) -> Result<()> {
        self.vfs.symlink(place.parent, &place.name, target, self.owner, Hold::None)?;
        self.tell_name(place.parent, &place.name);
        Ok(())
    }

    /// link(2): a symlink is linked itself, not what it points to.
    pub fn link(&self, existing: &[u8], path: &[u8]) -> Result<()> {
        let node = self.node(existing, false)?.attr.node;
        let place = self.place(path)?.named(Errno::Exist)?;
        if place.slash {
            return Err(if self.look(&place)?.is_some() { Errno::Exist } else { Errno::NoEnt });
        }
        self.vfs.link(node, place.parent, &place.name, Hold::None)?;
        self.tell_name(place.parent, &place.name);
        self.tell_attr(node);
        Ok(())
    }

    /// readlink(2).
    pub fn readlink(&self, path: &[u8]) -> Result<Vec<u8>> {
        Ok(self.vfs.readlink(self.node(path, false)?.attr.node)?.to_vec())
    }

    /// realpath(3).
    pub fn realpath(&self, path: &[u8]) -> Result<Vec<u8>> {
        Walker::new(self).real_path(path)
    }

    /// unlink(2).
    pub fn unlink(&self, path: &[u8]) -> Result<()> {
        let place = self.place(path)?.named(Errno::IsDir)?;
        let entry = self.look(&place)?.ok_or(Errno::NoEnt)?;
        if place.slash {
            return Err(if is_dir(&entry) { Errno::IsDir } else { Errno::NotDir });
        }
        self.remove_name(&place, entry.attr.node)
    }

    pub(super) fn remove_name(&self, place: &Place, node: NodeId) -> Result<()> {
        self.vfs.unlink(place.parent, &place.name)?;
        self.tell_name(place.parent, &place.name);
        self.tell_attr(node);
        Ok(())
    }

    /// rmdir(2).
    pub fn rmdir(&self, path: &[u8]) -> Result<()> {
        let place = self.place(path)?;
        match place.last {
            Last::Root => return Err(Errno::Busy),
            Last::Dot => return Err(Errno::Inval),
            Last::DotDot => return Err(Errno::NotEmpty),
            Last::Name => {}
        }
        self.vfs.rmdir(place.parent, &place.name)?;
        self.tell_name(place.parent, &place.name);
        Ok(())
    }

    /// rename(2).
    pub fn rename(&self, from: &[u8], to: &[u8]) -> Result<()> {
        let (old, new) = (self.place(from)?, self.place(to)?);
        let (old, new) = (old.named(Errno::Busy)?, new.named(Errno::Busy)?);
        let moved = self.look(&old)?.ok_or(Errno::NoEnt)?;
        let replaced = self.look(&new)?;
        if (old.slash || new.slash) && !is_dir(&moved) {
            return Err(Errno::NotDir);
        }
        let flags = RenameFlags::default();
        self.vfs.rename(old.parent, &old.name, new.parent, &new.name, flags)?;
        self.tell_name(old.parent, &old.name);
        self.tell_name(new.parent, &new.name);
        self.tell_attr(moved.attr.node);
        if let Some(replaced) = replaced {
            self.tell_attr(replaced.attr.node);
        }
        Ok(())
    }

    /// The names in a directory by byte order, without "." and "..".
    pub fn readdir(&self, path: &[u8]) -> Result<Vec<Listed>> {
        let dir = self.node(path, true)?;
        self.list(dir.attr.node)
    }

    /// The names in a directory and below, each directory before what it holds. Symlinks are
    /// not followed.
    pub fn readdir_all(&self, path: &[u8]) -> Result<Vec<Listed>> {
        let dir = self.node(path, true)?;
        let mut found = Vec::new();
        let mut open = vec![(Vec::new(), self.list(dir.attr.node)?.into_iter(), dir.attr.node)];
        while let Some((prefix, names, node)) = open.last_mut() {
            let Some(listed) = names.next() else {
                open.pop();
                continue;
            };
            let below = [prefix.as_slice(), &listed.name].concat();
            let child = (listed.kind == crate::attr::S_IFDIR)
                .then(|| self.child_dir(*node, &listed.name))
                .transpose()?
                .flatten();
            found.push(Listed { name: below.as_slice().into(), kind: listed.kind });
            if let Some((child, names)) = child {
                open.push(([&below, b"/".as_slice()].concat(), names.into_iter(), child));
            }
        }
        Ok(found)
    }

    // A directory that was removed since its name was listed is left out.
    fn child_dir(&self, parent: NodeId, name: &[u8]) -> Result<Option<(NodeId, Vec<Listed>)>> {
        let place = Place::within(parent, name.into());
        let Some(entry) = self.look(&place)? else { return Ok(None) };
        match self.list(entry.attr.node) {
            Ok(names) => Ok(Some((entry.attr.node, names))),
            Err(Errno::NoEnt | Errno::NotDir | Errno::Stale) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    pub(super) fn list(&self, dir: NodeId) -> Result<Vec<Listed>> {
        let mut names = Vec::new();
        self.vfs.readdir(dir, 0, &mut |entry| {
            if entry.name != b"." && entry.name != b".." {
                names.push(Listed { name: entry.name.into(), kind: entry.kind });
            }
            true
        })?;
        names.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(names)
    }
}

/// A path without the slashes at its end.
pub(super) fn trimmed(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|b| *b != b'/') {
        Some(last) => &path[..=last],
        None => &path[..path.len().min(1)],
    }
}

/// What comes before the last name of a trimmed path.
pub(super) fn parent_path(path: &[u8]) -> &[u8] {
    &path[..path.iter().rposition(|b| *b == b'/').map_or(0, |at| at.max(1))]
}
