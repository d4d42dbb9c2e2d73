//! Operations on whole trees: removing and copying.

use super::names::{parent_path, trimmed};
use super::walk::{Last, Place, is_dir, is_symlink};
use super::{Api, Failure};
use crate::attr::{S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, SetAttr};
use crate::errno::{Errno, Result};
use crate::{Entry, NodeId};

/// How `copy_tree` copies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CopyTree {
    /// Directories too; without it a directory is EISDIR.
    pub recursive: bool,
    /// Replace what is there; else it is kept.
    pub force: bool,
}

impl Api {
    /// Removes a file or, when `recursive`, a directory with all it holds. A directory without
    /// `recursive` is EISDIR.
    pub fn remove(&self, path: &[u8], recursive: bool) -> Result<()> {
        let place = self.place(path)?;
        match place.last {
            Last::Root => return Err(Errno::Busy),
            Last::Dot | Last::DotDot => return Err(Errno::Inval),
            Last::Name => {}
        }
        let entry = self.look(&place)?.ok_or(Errno::NoEnt)?;
        if place.slash && !is_dir(&entry) {
            // What a symlink points to is not removed through it, nor the symlink then.
            return self.node(path, true).and(Err(Errno::NotDir));
        }
        if !is_dir(&entry) {
            return self.remove_name(&place, entry.attr.node);
        }
        if !recursive {
            return Err(Errno::IsDir);
        }
        self.remove_dir(place, entry.attr.node)
    }

    // Depth first, with a stack of our own: a tree may be deeper than a thread's stack.
    fn remove_dir(&self, place: Place, dir: NodeId) -> Result<()> {
        let mut open = vec![(place, dir, self.list(dir)?.into_iter())];
        while let Some((_, dir, names)) = open.last_mut() {
            let dir = *dir;
            if let Some(listed) = names.next() {
                let place = Place::within(dir, listed.name);
                let Some(entry) = self.look(&place)? else { continue };
                if is_dir(&entry) {
                    let names = self.list(entry.attr.node)?.into_iter();
                    open.push((place, entry.attr.node, names));
                } else {
                    match self.remove_name(&place, entry.attr.node) {
                        Ok(()) | Err(Errno::NoEnt) => {}
                        Err(errno) => return Err(errno),
                    }
                }
                continue;
            }
            if let Some((place, ..)) = open.pop() {
                self.vfs.rmdir(place.parent, &place.name)?;
                self.tell_name(place.parent, &place.name);
            }
        }
        Ok(())
    }

    /// Copies a file, a symlink (as it is) or a tree; directories that are there are merged
    /// into. `step` of a failure is "cp" for what only a copy refuses.
    pub fn copy_tree(
        &self,
        from: &[u8],
        to: &[u8],
        how: CopyTree,
    ) -> std::result::Result<(), Failure> {
        let source = self.node(from, false)?;
        self.check_copy(&source, self.found(to)?.as_ref())?;
        if is_dir(&source) {
            if is_below(&self.realpath_of(from)?, &self.real_ancestor(to)?) {
                return Err(Failure::at("cp")(Errno::Inval));
            }
            if !how.recursive {
                return Err(Failure::at("cp")(Errno::IsDir));
            }
        }
        self.mkdir_all(parent_path(trimmed(to)), 0o777)?;
        // By names in directories: what is copied may be deeper than a path is long.
        let mut todo = vec![(self.place(trimmed(from))?, self.place(trimmed(to))?)];
        while let Some((from, to)) = todo.pop() {
            let Some((from, to)) = self.copy_one(from, to, how)? else { continue };
            let names = self.list(from)?.into_iter().map(|listed| listed.name);
            todo.extend(names.map(|n| (Place::within(from, n.clone()), Place::within(to, n))));
        }
        Ok(())
    }

    // The real path of a name itself: a final symlink is not followed.
    fn realpath_of(&self, path: &[u8]) -> Result<Vec<u8>> {
        let path = trimmed(path);
        let parent = parent_path(path);
        let real = [&self.realpath(parent)?, b"/".as_slice(), &path[parent.len()..]].concat();
        Ok(squeezed(&real))
    }

    // The real path of the deepest directory on the way to `path` that exists.
    fn real_ancestor(&self, path: &[u8]) -> Result<Vec<u8>> {
        let mut path = trimmed(path);
        loop {
            match self.realpath(path) {
                Err(Errno::NoEnt) if path.len() > 1 => path = trimmed(parent_path(path)),
                other => return other,
            }
        }
    }

    fn found(&self, path: &[u8]) -> Result<Option<Entry>> {
        match self.node(path, false) {
            Ok(entry) => Ok(Some(entry)),
            Err(Errno::NoEnt) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    // What a place means, also one without a proper name.
    fn at(&self, place: &Place) -> Result<Option<Entry>> {
        if place.last != Last::Root {
            return self.look(place);
        }
        Ok(Some(Entry { attr: self.vfs.getattr(place.parent)?, generation: 0 }))
    }

    // Copies one entry; of a directory returns the node and that of its copy, which is empty as far
    // as it was not there.
    fn copy_one(
        &self,
        from: Place,
        to: Place,
        how: CopyTree,
    ) -> std::result::Result<Option<(NodeId, NodeId)>, Failure> {
        let source = self.at(&from)?.ok_or(Errno::NoEnt)?;
        let target = self.at(&to)?;
        self.check_copy(&source, target.as_ref())?;
        let kind = source.attr.mode & S_IFMT;
        if kind == S_IFDIR {
            let copy = match target {
                Some(target) => target.attr.node,
                None => self.copy_dir(&source, to)?,
            };
            return Ok(Some((source.attr.node, copy)));
        }
        if let Some(target) = &target {
            if !how.force {
                return Ok(None);
            }
            if kind == S_IFLNK || is_symlink(target) {
                self.remove_name(&to, target.attr.node)?;
            }
        }
        match kind {
            S_IFREG => self.copy_file_at(from, to)?,
            S_IFLNK => self.make_symlink(&self.vfs.readlink(source.attr.node)?, &to)?,
            _ => return Err(Failure::at("cp")(Errno::OpNotSupp)),
        }
        Ok(None)
    }

    fn copy_dir(&self, source: &Entry, to: Place) -> Result<NodeId> {
        let node = self.make_dir(&to.named(Errno::NoEnt)?, 0o777)?;
        let mode = SetAttr { mode: Some(source.attr.mode & 0o7777), ..SetAttr::default() };
        self.set(node, &mode).map(|()| node)
    }

    fn check_copy(
        &self,
        source: &Entry,
        target: Option<&Entry>,
    ) -> std::result::Result<(), Failure> {
        let Some(target) = target else { return Ok(()) };
        if source.attr.node == target.attr.node {
            return Err(Failure::at("cp")(Errno::Inval));
        }
        match (is_dir(source), is_dir(target)) {
            (true, false) => Err(Failure::at("cp")(Errno::NotDir)),
            (false, true) => Err(Failure::at("cp")(Errno::Exist)),
            _ => Ok(()),
        }
    }
}

/// A path with every run of slashes made one, and none at its end.
fn squeezed(path: &[u8]) -> Vec<u8> {
    let mut squeezed = Vec::with_capacity(path.len());
    for byte in trimmed(path) {
        if *byte != b'/' || squeezed.last() != Some(&b'/') {
            squeezed.push(*byte);
        }
    }
    squeezed
}

fn is_below(dir: &[u8], path: &[u8]) -> bool {
    match path.strip_prefix(dir) {
        Some(rest) => rest.is_empty() || rest.starts_with(b"/") || dir == b"/",
        None => false,
    }
}
