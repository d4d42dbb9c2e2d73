//! open(2): flags, creation, and following a final symlink.

use std::sync::Arc;

use super::files::{Fd, OpenFile};
use super::walk::{Last, Place, Walker, is_dir, is_symlink};
use super::{API_UMASK, Api};
use crate::attr::{S_IFDIR, S_IFMT, S_IFREG};
use crate::errno::{Errno, Result};
use crate::{Entry, Hold};

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OpenFlags {
    /// It may be read.
    pub read: bool,
    /// It may be written.
    pub write: bool,
    /// Every write goes to the end.
    pub append: bool,
    /// It is made when missing.
    pub create: bool,
    /// With `create`: it must be missing.
    pub exclusive: bool,
    /// Its content is dropped.
    pub truncate: bool,
    /// It must be a directory.
    pub directory: bool,
    /// It must not be a symlink.
    pub nofollow: bool,
}

impl Api {
    /// open(2).
    pub fn open(&self, path: &[u8], flags: OpenFlags, mode: u32) -> Result<Fd> {
        Ok(self.files.add(self.open_file(path, flags, mode)?))
    }

    pub(super) fn open_file(&self, path: &[u8], flags: OpenFlags, mode: u32) -> Result<OpenFile> {
        // Refused since Linux 6.4, before the path is looked at.
        if flags.create && flags.directory {
            return Err(Errno::Inval);
        }
        let mut walker = Walker::new(self);
        let place = walker.place(path)?;
        self.open_place(walker, place, flags, mode)
    }

    /// The same for a name in a directory.
    pub(super) fn open_at(&self, place: Place, flags: OpenFlags, mode: u32) -> Result<OpenFile> {
        self.open_place(Walker::new(self), place, flags, mode)
    }

    fn open_place(
        &self,
        mut walker: Walker<'_>,
        mut place: Place,
        flags: OpenFlags,
        mode: u32,
    ) -> Result<OpenFile> {
        loop {
            let entry = match self.open_entry(&place, flags, mode)? {
                Some(entry) => entry,
                // It came or went while we looked.
                None => continue,
            };
            if !is_symlink(&entry.entry) {
                return self.opened(entry, &place, flags);
            }
            if flags.nofollow && !place.slash {
                return Err(if flags.directory { Errno::NotDir } else { Errno::Loop });
            }
            walker.hop()?;
            let target = self.vfs.readlink(entry.entry.attr.node)?;
            let slash = place.slash;
            place = walker.place_from(place.parent, &target)?;
            place.slash |= slash;
        }
    }

    // What the place's name means; makes the file if that is asked for. `None`: try again.
    fn open_entry(&self, place: &Place, flags: OpenFlags, mode: u32) -> Result<Option<Found>> {
        if flags.create && place.slash {
            return Err(Errno::IsDir);
        }
        if place.last == Last::Root {
            let attr = self.vfs.getattr(place.parent)?;
            return Ok(Some(Found { entry: Entry { attr, generation: 0 }, made: false }));
        }
        if let Some(entry) = self.look(place)? {
            if flags.create && flags.exclusive {
                return Err(Errno::Exist);
            }
            return Ok(Some(Found { entry, made: false }));
        }
        if !flags.create {
            return Err(Errno::NoEnt);
        }
        let mode = S_IFREG | (mode & 0o7777 & !API_UMASK);
        let made = self.vfs.mknod(place.parent, &place.name, mode, 0, self.owner, Hold::Take);
        match made {
            Ok(entry) => {
                self.tell_name(place.parent, &place.name);
                Ok(Some(Found { entry, made: true }))
            }
            Err(Errno::Exist) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    fn opened(&self, found: Found, place: &Place, flags: OpenFlags) -> Result<OpenFile> {
        let attr = found.entry.attr;
        if !found.made {
            if (place.slash || flags.directory) && !is_dir(&found.entry) {
                return Err(Errno::NotDir);
            }
            match attr.mode & S_IFMT {
                S_IFDIR if flags.write || flags.create || flags.truncate => {
                    return Err(Errno::IsDir);
                }
                S_IFDIR | S_IFREG => {}
                // Fifos, sockets and devices have no content here.
                _ => return Err(Errno::NxIo),
            }
            self.vfs.hold(attr.node)?;
        }
        let file = OpenFile::new(Arc::clone(&self.vfs), attr.node, flags);
        if flags.truncate && !found.made {
            self.resize(attr.node, 0)?;
        }
        Ok(file)
    }
}

struct Found {
    entry: Entry,
    /// It was made just now, and is held.
    made: bool,
}
