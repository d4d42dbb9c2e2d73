//! Following a path name by name: `.` and `..`, symlinks, trailing slashes.
//!
//! Paths are absolute bytes; `/` is the workspace's root, also for absolute symlink targets.

use std::borrow::Cow;

use super::Api;
use super::wait::Waiting;
use crate::attr::{PATH_MAX, S_IFDIR, S_IFLNK, S_IFMT};
use crate::errno::{Errno, Result};
use crate::ids::NodeId;
use crate::{Entry, Hold};

/// More symlinks than this on one path are a loop.
const MAX_HOPS: u32 = 40;

/// What the last name of a path is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Last {
    /// There is none: the path is `/`.
    Root,
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// A proper name.
    Name,
}

/// Where a path leads, its last name not looked up.
pub(super) struct Place {
    pub parent: NodeId,
    pub name: Box<[u8]>,
    pub last: Last,
    /// Slashes follow the last name, so it must be a directory.
    pub slash: bool,
}

impl Place {
    /// A proper name in a directory.
    pub fn within(parent: NodeId, name: Box<[u8]>) -> Place {
        Place { parent, name, last: Last::Name, slash: false }
    }

    /// The place, if its last name is a proper one; else `otherwise`.
    pub fn named(self, otherwise: Errno) -> Result<Place> {
        if self.last == Last::Name { Ok(self) } else { Err(otherwise) }
    }
}

/// One walk: counts symlinks, and keeps the real path when that was asked for.
pub(super) struct Walker<'a> {
    api: &'a Api,
    hops: u32,
    trail: Option<Vec<u8>>,
}

pub(super) fn is_dir_mode(mode: u32) -> bool {
    mode & S_IFMT == S_IFDIR
}

pub(super) fn is_dir(entry: &Entry) -> bool {
    is_dir_mode(entry.attr.mode)
}

pub(super) fn is_symlink(entry: &Entry) -> bool {
    entry.attr.mode & S_IFMT == S_IFLNK
}

/// Splits off the first name; leading slashes are dropped.
fn first_name(path: &[u8]) -> (&[u8], &[u8]) {
    let start = path.iter().position(|b| *b != b'/').unwrap_or(path.len());
    let path = &path[start..];
    let end = path.iter().position(|b| *b == b'/').unwrap_or(path.len());
    path.split_at(end)
}

fn check(path: &[u8]) -> Result<()> {
    match path.first() {
        None => Err(Errno::NoEnt),
        Some(b'/') if path.len() > PATH_MAX => Err(Errno::NameTooLong),
        Some(b'/') if path.contains(&0) => Err(Errno::Inval),
        Some(b'/') => Ok(()),
        Some(_) => Err(Errno::Inval),
    }
}

impl<'a> Walker<'a> {
    pub fn new(api: &'a Api) -> Walker<'a> {
        Walker { api, hops: 0, trail: None }
    }

    /// The node that `path` names; a final symlink is followed when asked.
    pub fn node(&mut self, path: &[u8], follow: bool) -> Result<Entry> {
        check(path)?;
        self.from(NodeId::ROOT, path, follow)
    }

    /// Where `path` leads; everything but its last name is followed.
    pub fn place(&mut self, path: &[u8]) -> Result<Place> {
        check(path)?;
        self.place_from(NodeId::ROOT, path)
    }

    /// As `place`, for a symlink target: a relative one starts at `start`.
    pub fn place_from(&mut self, start: NodeId, path: &[u8]) -> Result<Place> {
        let start = if path.starts_with(b"/") { NodeId::ROOT } else { start };
        let end = path.iter().rposition(|b| *b != b'/').map_or(0, |at| at + 1);
        let slash = end < path.len();
        let from = path[..end].iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
        let name = &path[from..end];
        let last = match name {
            b"" => Last::Root,
            b"." => Last::Dot,
            b".." => Last::DotDot,
            _ => Last::Name,
        };
        let parent = self.from(start, &path[..from], true)?;
        if !is_dir(&parent) {
            return Err(Errno::NotDir);
        }
        // The name's length is checked by what looks it up: other reasons come first.
        Ok(Place { parent: parent.attr.node, name: name.into(), last, slash })
    }

    /// Counts a symlink that a caller follows itself.
    pub fn hop(&mut self) -> Result<()> {
        self.hops += 1;
        if self.hops > MAX_HOPS { Err(Errno::Loop) } else { Ok(()) }
    }

    fn from(&mut self, start: NodeId, path: &[u8], follow: bool) -> Result<Entry> {
        let vfs = &self.api.vfs;
        let mut at = Entry { attr: vfs.getattr(start)?, generation: 0 };
        let mut path = Cow::Borrowed(path);
        let mut done = 0;
        loop {
            let (name, tail) = first_name(&path[done..]);
            if name.is_empty() {
                let must_be_dir = path.ends_with(b"/") && !is_dir(&at);
                return if must_be_dir { Err(Errno::NotDir) } else { Ok(at) };
            }
            let parent = at.attr.node;
            let entry = Waiting(vfs).until_done(|| vfs.lookup(parent, name, Hold::None))?;
            if is_symlink(&entry) && (follow || !tail.is_empty()) {
                self.hop()?;
                let target = vfs.readlink(entry.attr.node)?;
                if target.starts_with(b"/") {
                    at = Entry { attr: vfs.getattr(NodeId::ROOT)?, generation: 0 };
                    self.trail.iter_mut().for_each(Vec::clear);
                }
                path = Cow::Owned([&target, tail].concat());
                done = 0;
                continue;
            }
            self.note(name);
            at = entry;
            done = path.len() - tail.len();
        }
    }

    fn note(&mut self, name: &[u8]) {
        let Some(trail) = &mut self.trail else { return };
        match name {
            b"." => {}
            b".." => trail.truncate(trail.iter().rposition(|b| *b == b'/').unwrap_or(0)),
            _ => {
                trail.push(b'/');
                trail.extend_from_slice(name);
            }
        }
    }

    /// The absolute path of what `path` names, free of symlinks, `.` and `..`.
    pub fn real_path(mut self, path: &[u8]) -> Result<Vec<u8>> {
        self.trail = Some(Vec::new());
        self.node(path, true)?;
        let trail = self.trail.take().unwrap_or_default();
        Ok(if trail.is_empty() { b"/".to_vec() } else { trail })
    }
}

impl Api {
    pub(super) fn node(&self, path: &[u8], follow: bool) -> Result<Entry> {
        Walker::new(self).node(path, follow)
    }

    pub(super) fn place(&self, path: &[u8]) -> Result<Place> {
        Walker::new(self).place(path)
    }

    /// What a place's name means now; `None` when nothing.
    pub(super) fn look(&self, place: &Place) -> Result<Option<Entry>> {
        let found = Waiting(&self.vfs)
            .until_done(|| self.vfs.lookup(place.parent, &place.name, Hold::None));
        match found {
            Ok(entry) => Ok(Some(entry)),
            Err(Errno::NoEnt) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}
