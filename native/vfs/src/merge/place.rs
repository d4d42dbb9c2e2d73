//! Where things go: directories that must be there, names that are taken, inodes of theirs.

use super::decide::Work;
use super::sides::{Id, Spot, split};
use super::{ConflictKind, Resolve};
use crate::attr::{NAME_MAX, S_IFDIR};
use crate::dir::Dir;
use crate::errno::{Errno, Result};
use crate::ids::Ino;
use crate::inode::{Body, Inode};

/// What gets a name.
#[derive(Clone, Copy)]
pub(super) enum Coming {
    /// An inode of theirs.
    New,
    /// One that was taken away from this place.
    Back(Spot),
}

impl Work<'_> {
    /// The directory of this id; made again if ours has removed it.
    pub(super) fn directory(&mut self, id: &Id) -> Result<Ino> {
        let mut missing = Vec::new();
        let mut at = id.clone();
        let mut dir = loop {
            if let Some(dir) = self.present(&at) {
                break dir;
            }
            let (parent, _) = self.theirs.place(&at);
            missing.push(std::mem::replace(&mut at, parent));
        };
        for id in missing.into_iter().rev() {
            let (_, name) = self.theirs.place(&id);
            let ino = self.theirs.spot(&id).ok_or(Errno::Io)?.ino;
            let name = match self.builder.find(dir, &name) {
                None => name,
                Some(_) => {
                    self.conflict(&id, ConflictKind::Name);
                    let name = self.free_name(dir, &name);
                    self.note_beside(dir, &name);
                    name
                }
            };
            dir = self.graft(ino, dir, &name)?;
            self.placed.insert(id, dir);
        }
        Ok(dir)
    }

    fn present(&self, id: &Id) -> Option<Ino> {
        if id.is_empty() {
            return Some(Ino::ROOT);
        }
        let ino = match self.placed.get(id) {
            Some(ino) => *ino,
            None => self.ours.spot(id)?.ino,
        };
        (self.builder.get(ino, Inode::is_dir) == Some(true)).then_some(ino)
    }

    /// Gives a thing a name, if that is free; if it is not, as the conflict is resolved.
    pub(super) fn put(&mut self, id: &Id, dir: Ino, name: &[u8], coming: Coming) -> Result<()> {
        if let Coming::Back(spot) = coming
            && self.builder.is_within(dir, spot.ino)
        {
            self.conflict(id, ConflictKind::Renamed);
            return self.put_back(id, spot);
        }
        let taken = self.builder.find(dir, name);
        let Some((_, kind)) = taken else { return self.enter(id, dir, name, coming) };
        let resolve = self.conflict(id, ConflictKind::Name);
        match (resolve, coming) {
            (Some(Resolve::Theirs), _) if kind != S_IFDIR => {
                self.builder.remove(dir, name)?;
                self.enter(id, dir, name, coming)
            }
            (Some(Resolve::Ours), Coming::Back(spot)) => self.put_back(id, spot),
            (Some(Resolve::Ours), Coming::New) => {
                self.drop_theirs(id);
                Ok(())
            }
            _ => {
                let beside = self.free_name(dir, name);
                self.note_beside(dir, &beside);
                self.enter(id, dir, &beside, coming)
            }
        }
    }

    fn enter(&mut self, id: &Id, dir: Ino, name: &[u8], coming: Coming) -> Result<()> {
        match coming {
            Coming::New => {
                let ino = self.theirs.spot(id).ok_or(Errno::Io)?.ino;
                let made = self.graft(ino, dir, name)?;
                self.placed.insert(id.clone(), made);
            }
            Coming::Back(spot) => {
                self.builder.attach(dir, name, spot.ino)?;
                self.names.insert(id.clone(), (dir, name.to_vec()));
                self.touch(dir);
            }
        }
        Ok(())
    }

    // Where ours has it, or at least in the root.
    fn put_back(&mut self, id: &Id, spot: Spot) -> Result<()> {
        let (_, name) = self.ours.place(id);
        let home = !self.builder.is_within(spot.parent, spot.ino)
            && self.builder.get(spot.parent, Inode::is_dir) == Some(true);
        let dir = if home { spot.parent } else { Ino::ROOT };
        let name = match self.builder.find(dir, &name) {
            None => name,
            Some(_) => self.free_name(dir, &name),
        };
        self.enter(id, dir, &name, Coming::Back(spot))
    }

    /// A name beside this one that is free: `name~label`.
    pub(super) fn free_name(&self, dir: Ino, name: &[u8]) -> Vec<u8> {
        let suffixes = (1..).map(|n| match n {
            1 => [b"~", self.options.label].concat(),
            _ => [b"~", self.options.label, format!("~{n}").as_bytes()].concat(),
        });
        let fitting = |suffix: Vec<u8>| {
            let suffix = &suffix[suffix.len().saturating_sub(NAME_MAX / 2)..];
            let stem = &name[..name.len().min(NAME_MAX - suffix.len())];
            [stem, suffix].concat()
        };
        let mut names = suffixes.map(fitting);
        let free = names.find(|name| self.builder.find(dir, name).is_none());
        free.unwrap_or_default()
    }

    fn note_beside(&mut self, dir: Ino, name: &[u8]) {
        let path = [self.path_of(dir), b"/".to_vec(), name.to_vec()].concat();
        if let Some(conflict) = self.conflicts.last_mut() {
            conflict.beside = Some(path);
        }
    }

    /// The path that a directory has by now.
    pub(super) fn path_of(&self, dir: Ino) -> Vec<u8> {
        let (mut at, mut names) = (dir, Vec::new());
        while at != Ino::ROOT {
            let Some(parent) = self.builder.get(at, |inode| inode.parent) else { break };
            let look = |inode: &Inode| match &inode.body {
                Body::Dir(dir) => dir.entries().find(|e| e.ino == at).map(|e| e.name.to_vec()),
                _ => None,
            };
            let Some(name) = self.builder.get(parent, look).flatten() else { break };
            names.push(name);
            at = parent;
        }
        names.iter().rev().flat_map(|name| [b"/", name.as_slice()].concat()).collect()
    }

    /// Whether it is left out, or lies in what is.
    pub(super) fn is_dropped(&self, id: &Id) -> bool {
        let mut at = id.clone();
        while !at.is_empty() {
            if self.dropped.contains(&at) {
                return true;
            }
            at = split(&at).0.to_vec();
        }
        false
    }

    /// Gives an inode of theirs a name here, as one of ours: with its content, without names of its
    /// own. Names of one file stay names of one file.
    pub(super) fn graft(&mut self, ino: Ino, dir: Ino, name: &[u8]) -> Result<Ino> {
        self.touch(dir);
        let mut inode = self.theirs.tree.root.get(ino, Inode::clone).ok_or(Errno::Io)?;
        if !inode.is_dir() && inode.nlink > 1 {
            let same = |other: &Inode| (other.kind(), other.btime) == (inode.kind(), inode.btime);
            let known = self.grafted.get(&ino).copied().or_else(|| {
                let (base, _) = self.theirs.kin.other(1, ino)?;
                let is_old = self.base.root.get(base, same) == Some(true);
                let ours = self.in_ours(ino)?;
                (is_old && self.builder.get(ours, same) == Some(true)).then_some(ours)
            });
            if let Some(known) = known.filter(|known| self.builder.get(*known, |_| ()).is_some()) {
                self.builder.link(dir, name, known)?;
                return Ok(known);
            }
        }
        if let Body::Dir(entries) = &mut inode.body {
            *entries = Dir::default();
        }
        (inode.mtime, inode.ctime) = (self.options.now, self.options.now);
        let made = self.builder.add(dir, name, inode)?;
        self.grafted.insert(ino, made);
        Ok(made)
    }

    /// Names in a directory changed.
    pub(super) fn touch(&mut self, dir: Ino) {
        let now = self.options.now;
        self.builder.update(dir, |dir| (dir.mtime, dir.ctime) = (now, now));
    }
}
