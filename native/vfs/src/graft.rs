//! A tree in which some paths are as in another tree of the same workspace: what becomes live
//! when single paths are restored.
//!
//! What has no name any more when the paths are taken out gets its old inode number back, so that
//! open files and hard links between the paths stay what they were. What goes on elsewhere (it
//! was renamed, or has another name that is not restored) is left as it is, and the path gets a
//! new inode; but where a name is to be what it is in both trees already, the link stays.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use crate::attr::{PAGE_SIZE, S_IFDIR, Timespec};
use crate::delta::same_body;
use crate::dir::Dir;
use crate::errno::{Errno, Result};
use crate::ids::Ino;
use crate::inode::{Body, Inode};
use crate::known_ids::TreeId;
use crate::tree::{LiveTree, Root};
use crate::types::Tree;
use crate::vfs::Vfs;

/// A path that is to be as in the other tree.
#[derive(Clone, Debug)]
pub struct Graft {
    /// Absolute.
    pub path: Vec<u8>,
    /// Of a directory: its attributes, and nothing of what is in it.
    pub shallow: bool,
}

/// Which path it was that failed, and why.
pub type Refused = (usize, Errno);

type Name = Box<[u8]>;

/// A path as the directory that it begins at, and names.
struct Spot {
    at: usize,
    base: Ino,
    names: Vec<Name>,
    shallow: bool,
}

impl Vfs {
    /// `base`, which was frozen from this engine, with `paths` as they are in `source`: without
    /// them where it has none. ENOENT for a path that neither has, ENOTDIR where something else
    /// is in the way of one, EINVAL for what is in no snapshot. Symlinks are not followed.
    pub fn graft(
        &self,
        base: &Tree,
        source: &Tree,
        paths: &[Graft],
    ) -> std::result::Result<Arc<Tree>, Refused> {
        let mut work = Work {
            live: LiveTree::new(base.root.clone(), base.above.max(1)),
            base: &base.root,
            source: &source.root,
            numbers: &|| self.live.numbers.take(),
            bytes: base.bytes,
            inodes: base.inodes,
            before: HashMap::new(),
            dropped: HashSet::new(),
            made: HashSet::new(),
            placed: HashMap::new(),
            shared: None,
        };
        work.run(paths, self.clock.now())?;
        let root = work.live.freeze();
        Ok(Arc::new(Tree {
            root,
            above: work.live.generation(),
            next_ino: base.next_ino.max(source.next_ino).max(self.live.numbers.end()),
            bytes: work.bytes,
            inodes: work.inodes,
            leaving: OnceLock::new(),
            id: TreeId::default(),
        }))
    }
}

struct Work<'a> {
    live: LiveTree,
    base: &'a Root,
    source: &'a Root,
    /// Gives out inode numbers that were never used.
    numbers: &'a dyn Fn() -> Result<Ino>,
    bytes: u64,
    inodes: u64,
    /// Names that were changed, and what each meant in `base`.
    before: HashMap<(Ino, Name), Option<Ino>>,
    /// Directories that were taken out.
    dropped: HashSet<Ino>,
    /// Directories that were made on the way to a path.
    made: HashSet<Ino>,
    /// By number in `source`: where files are that were put in.
    placed: HashMap<Ino, Ino>,
    /// Files that have a name in both trees which is not restored.
    shared: Option<HashSet<Ino>>,
}

fn entry(root: &Root, dir: Ino, name: &[u8]) -> Option<(Ino, u32)> {
    let look = |inode: &Inode| match &inode.body {
        Body::Dir(entries) => entries.get(name).map(|found| (found.ino, found.kind)),
        _ => None,
    };
    root.get(dir, look).flatten()
}

fn find(root: &Root, base: Ino, names: &[Name]) -> Option<Ino> {
    names.iter().try_fold(base, |at, name| entry(root, at, name).map(|found| found.0))
}

fn spot_of(at: usize, graft: &Graft) -> Result<Spot> {
    let split = graft.path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
    let mut names: Vec<Name> = split.map(Box::from).collect();
    let is_odd = |name: &Name| matches!(&**name, b"." | b"..") || name.contains(&0);
    if graft.path.first() != Some(&b'/') || names.iter().any(is_odd) {
        return Err(Errno::Inval);
    }
    let mut base = Ino::ROOT;
    if names.first().is_some_and(|name| &**name == b".devdev") {
        if names.get(1).is_none_or(|name| &**name != b"home") {
            return Err(Errno::Inval);
        }
        base = Ino::HOME;
        names.drain(..2);
    }
    Ok(Spot { at, base, names, shallow: graft.shallow })
}

fn same_record(a: &Inode, b: &Inode) -> bool {
    let record = |i: &Inode| (i.mode, i.uid, i.gid, i.rdev, i.size, i.mtime);
    record(a) == record(b) && a.xattrs == b.xattrs && same_body(a, b)
}

impl Work<'_> {
    fn run(&mut self, paths: &[Graft], now: Timespec) -> std::result::Result<(), Refused> {
        let mut spots = Vec::new();
        for (at, graft) in paths.iter().enumerate() {
            let spot = spot_of(at, graft).map_err(|errno| (at, errno))?;
            self.check(&spot).map_err(|errno| (at, errno))?;
            self.widen(spot, &mut spots);
        }
        let spots = outermost(spots);
        for spot in spots.iter().filter(|spot| !spot.shallow) {
            self.take_out(spot);
        }
        for spot in spots.iter().filter(|spot| !spot.shallow) {
            self.put_in(spot).map_err(|errno| (spot.at, errno))?;
        }
        for spot in spots.iter().filter(|spot| spot.shallow) {
            self.make_way(spot.base, &spot.names).map_err(|errno| (spot.at, errno))?;
        }
        self.touch(now);
        for spot in spots.iter().filter(|spot| spot.shallow) {
            self.describe(spot, now);
        }
        Ok(())
    }

    fn check(&self, spot: &Spot) -> Result<()> {
        let kind = |root: &Root| {
            let ino = find(root, spot.base, &spot.names)?;
            root.get(ino, Inode::kind)
        };
        match (kind(self.base), kind(self.source)) {
            (None, None) => Err(Errno::NoEnt),
            (_, None) if spot.shallow => Err(Errno::NoEnt),
            (Some(S_IFDIR) | None, Some(S_IFDIR)) => Ok(()),
            _ if spot.shallow => Err(Errno::NotDir),
            _ => Ok(()),
        }
    }

    // A root has no name of its own: all its names, and its attributes.
    fn widen(&self, spot: Spot, spots: &mut Vec<Spot>) {
        if spot.shallow || !spot.names.is_empty() {
            spots.push(spot);
            return;
        }
        let Spot { at, base, .. } = spot;
        let names: HashSet<Name> = [self.base, self.source]
            .iter()
            .flat_map(|root| crate::content_id::names(root, base))
            .map(|(name, _)| name)
            .collect();
        let each = names.into_iter().map(|name| (vec![name], false));
        let all = each.chain([(Vec::new(), true)]);
        spots.extend(all.map(|(names, shallow)| Spot { at, base, names, shallow }));
    }

    fn take_out(&mut self, spot: &Spot) {
        let Some((name, way)) = spot.names.split_last() else { return };
        let Some(dir) = find(self.base, spot.base, way) else { return };
        let Some((ino, kind)) = entry(self.base, dir, name) else { return };
        self.before.insert((dir, name.clone()), Some(ino));
        self.live.update(dir, |inode| {
            if let Body::Dir(entries) = &mut inode.body {
                entries.remove(name);
            }
            inode.nlink -= u32::from(kind == S_IFDIR);
        });
        let mut waiting = vec![ino];
        while let Some(ino) = waiting.pop() {
            let links = self.live.get(ino, |inode| match &inode.body {
                Body::Dir(entries) => {
                    waiting.extend(entries.entries().map(|entry| entry.ino));
                    1
                }
                _ => inode.nlink,
            });
            match links {
                Some(2..) => _ = self.live.update(ino, |inode| inode.nlink -= 1),
                Some(_) => self.drop(ino),
                None => {}
            }
        }
    }

    fn drop(&mut self, ino: Ino) {
        let Some(inode) = self.live.remove(ino) else { return };
        self.bytes -= inode.pages * PAGE_SIZE;
        self.inodes -= 1;
        if inode.is_dir() {
            self.dropped.insert(ino);
        }
    }

    fn put_in(&mut self, spot: &Spot) -> Result<()> {
        let Some(from) = find(self.source, spot.base, &spot.names) else { return Ok(()) };
        let Some((name, way)) = spot.names.split_last() else { return Ok(()) };
        let parent = self.make_way(spot.base, way)?;
        let Some(inode) = self.source.get(from, Inode::clone) else { return Err(Errno::Io) };
        if !inode.is_dir() {
            let ino = self.place(parent, &inode)?;
            return self.enter(parent, name, ino, inode.kind());
        }
        let ino = self.number(from)?;
        self.enter(parent, name, ino, S_IFDIR)?;
        let mut waiting = vec![(inode, ino, parent)];
        while let Some((mut inode, ino, parent)) = waiting.pop() {
            let Body::Dir(entries) = &inode.body else { return Err(Errno::Io) };
            let mut renumbered = entries.clone();
            for entry in entries.entries() {
                let child = self.source.get(entry.ino, Inode::clone).ok_or(Errno::Io)?;
                let to = if child.is_dir() {
                    let number = self.number(entry.ino)?;
                    waiting.push((child, number, ino));
                    number
                } else {
                    self.place(ino, &child)?
                };
                if to != entry.ino {
                    renumbered.replace(entry.name, to, entry.kind);
                }
            }
            (inode.ino, inode.parent, inode.body) = (ino, parent, Body::Dir(renumbered));
            self.add(inode);
        }
        Ok(())
    }

    fn add(&mut self, inode: Inode) {
        self.bytes += inode.pages * PAGE_SIZE;
        self.inodes += 1;
        self.live.insert(inode);
    }

    // The number that something had, unless it goes on elsewhere.
    fn number(&self, ino: Ino) -> Result<Ino> {
        if self.live.get(ino, |_| ()).is_none() { Ok(ino) } else { (self.numbers)() }
    }

    /// One more name for a file; puts it in with the first.
    fn place(&mut self, parent: Ino, inode: &Inode) -> Result<Ino> {
        let there = match self.placed.get(&inode.ino) {
            Some(placed) => Some(*placed),
            None => self.linked(inode).then_some(inode.ino),
        };
        let ino = there.map_or_else(|| self.number(inode.ino), Ok)?;
        self.placed.insert(inode.ino, ino);
        if there.is_none() {
            let mut copy = inode.clone();
            (copy.ino, copy.parent, copy.nlink) = (ino, parent, 1);
            self.add(copy);
            return Ok(ino);
        }
        let linked = self.live.update(ino, |inode| {
            inode.nlink = inode.nlink.checked_add(1).ok_or(Errno::MLink)?;
            inode.parent = parent;
            Ok(())
        });
        linked.unwrap_or(Err(Errno::Io)).map(|()| ino)
    }

    // Whether a file is still what it was under a name that is not restored.
    fn linked(&mut self, inode: &Inode) -> bool {
        if inode.nlink < 2 {
            return false;
        }
        let same = self.live.get(inode.ino, |there| same_record(there, inode));
        if same != Some(true) {
            return false;
        }
        if self.shared.is_none() {
            self.shared = Some(self.find_shared());
        }
        self.shared.as_ref().is_some_and(|shared| shared.contains(&inode.ino))
    }

    fn find_shared(&self) -> HashSet<Ino> {
        let mut shared = HashSet::new();
        self.base.for_each_leaf(|_, leaf| {
            for inode in &leaf.data.read().inodes {
                let Body::Dir(entries) = &inode.body else { continue };
                if self.dropped.contains(&inode.ino) {
                    continue;
                }
                for found in entries.entries().filter(|found| found.kind != S_IFDIR) {
                    let there = entry(self.source, inode.ino, found.name).map(|e| e.0);
                    let key = (inode.ino, Name::from(found.name));
                    if there == Some(found.ino) && !self.before.contains_key(&key) {
                        shared.insert(found.ino);
                    }
                }
            }
        });
        shared
    }

    fn enter(&mut self, dir: Ino, name: &Name, ino: Ino, kind: u32) -> Result<()> {
        self.before.entry((dir, name.clone())).or_insert(None);
        let entered = self.live.update(dir, |inode| {
            inode.nlink += u32::from(kind == S_IFDIR);
            match &mut inode.body {
                Body::Dir(entries) => entries.insert(name, ino, kind),
                _ => Err(Errno::NotDir),
            }
        });
        entered.unwrap_or(Err(Errno::Io))
    }

    /// The directory of these names; makes those that are missing as they are in the source.
    fn make_way(&mut self, base: Ino, names: &[Name]) -> Result<Ino> {
        let (mut at, mut from) = (base, base);
        for name in names {
            from = entry(self.source, from, name).map_or(Ino(0), |found| found.0);
            at = match entry(&self.live.root(), at, name) {
                Some((ino, S_IFDIR)) => ino,
                Some(_) => return Err(Errno::NotDir),
                None => {
                    let copy = self.source.get(from, Inode::clone).filter(Inode::is_dir);
                    let mut dir = copy.ok_or(Errno::NoEnt)?;
                    let ino = self.number(from)?;
                    (dir.ino, dir.parent, dir.nlink) = (ino, at, 2);
                    dir.body = Body::Dir(Dir::default());
                    self.enter(at, name, ino, S_IFDIR)?;
                    self.add(dir);
                    self.made.insert(ino);
                    ino
                }
            };
        }
        Ok(at)
    }

    // Times of the directories in which a name means something else now.
    fn touch(&mut self, now: Timespec) {
        let root = self.live.root();
        let mut touched = HashSet::new();
        for ((dir, name), before) in &self.before {
            if !self.made.contains(dir) && entry(&root, *dir, name).map(|e| e.0) != *before {
                touched.insert(*dir);
            }
        }
        for dir in touched {
            self.live.update(dir, |inode| (inode.mtime, inode.ctime) = (now, now));
        }
    }

    // Attributes of a directory.
    fn describe(&mut self, spot: &Spot, now: Timespec) {
        let Some(to) = find(&self.live.root(), spot.base, &spot.names) else { return };
        let from = find(self.source, spot.base, &spot.names);
        let Some(from) = from.and_then(|ino| self.source.get(ino, Inode::clone)) else { return };
        self.live.update(to, |inode| {
            (inode.mode, inode.uid, inode.gid) = (from.mode, from.uid, from.gid);
            (inode.mtime, inode.ctime, inode.xattrs) = (from.mtime, now, from.xattrs);
            inode.weigh();
        });
    }
}

/// Without what lies below another path; what is above comes first.
fn outermost(mut spots: Vec<Spot>) -> Vec<Spot> {
    spots.sort_by(|a, b| (a.base, &a.names, a.shallow).cmp(&(b.base, &b.names, b.shallow)));
    let mut kept: Vec<Spot> = Vec::new();
    let mut deep: Option<usize> = None;
    for spot in spots {
        let covered = deep.is_some_and(|n| {
            let above = &kept[n];
            above.base == spot.base && spot.names.starts_with(&above.names)
        });
        if covered {
            continue;
        }
        if !spot.shallow {
            deep = Some(kept.len());
        }
        kept.push(spot);
    }
    kept
}

#[cfg(test)]
mod tests;
