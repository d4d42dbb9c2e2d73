//! A tree in which some paths are as in another tree of the same workspace: what becomes live
//! when single paths are restored.
//!
//! What has no name any more when the paths are taken out gets its old inode number back, so that
//! open files and hard links between the paths stay what they were. What goes on elsewhere (it
//! was renamed, or has another name that is not restored) is left as it is, and the path gets a
//! new inode; but where a name is to be what it is in both trees already, the link stays.
//!
//! Below the paths only what differs is touched: a directory that both trees have there stays,
//! moved where it has to be, and is looked into when something below it is not the same. So the
//! work goes with what differs, as that of restoring the whole tree does.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use crate::attr::{PAGE_SIZE, S_IFDIR, Timespec};
use crate::delta::{changed_inodes, changed_names, same_body};
use crate::dir::Dir;
use crate::errno::{Errno, Result};
use crate::ids::Ino;
use crate::inode::{Body, Inode};
use crate::known_ids::{TreeId, holders};
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
        let numbers = || self.live.numbers.take();
        let mut work = Work::new(base, &source.root, &numbers);
        work.run(paths, self.clock.now())?;
        let root = work.live.freeze();
        let mut changed = HashSet::new();
        changed_inodes(&base.root, &root, |ino, _, _| _ = changed.insert(ino));
        Ok(Arc::new(Tree {
            root,
            above: work.live.generation(),
            next_ino: base.next_ino.max(source.next_ino).max(self.live.numbers.end()),
            bytes: work.bytes,
            inodes: work.inodes,
            leaving: OnceLock::new(),
            id: TreeId::of_edited(base, changed),
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
    /// What is not equal in `base` and `source`.
    changed: HashSet<Ino>,
    /// The directories from which that is reached, in either.
    dirty: HashSet<Ino>,
    /// Directories of `source` that are paths, and what was found out about others: whether they
    /// are below one.
    targets: HashMap<Ino, bool>,
    /// Names that were changed, and what each meant in `base`.
    before: HashMap<(Ino, Name), Option<Ino>>,
    /// Directories that both trees have below the paths: they stay.
    kept: HashSet<Ino>,
    /// Those of them that have to be compared.
    waiting: Vec<Ino>,
    /// Names in them that get another meaning, and the inode of `source`.
    wanted: Vec<(Ino, Name, Ino)>,
    /// Directories that were taken out.
    dropped: HashSet<Ino>,
    /// Directories that were made on the way to a path.
    made: HashSet<Ino>,
    /// By number in `source`: where files are that were put in.
    placed: HashMap<Ino, Ino>,
    /// How many names of a file that are not restored mean something else in `source`.
    lost: Option<HashMap<Ino, u32>>,
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

impl<'a> Work<'a> {
    fn new(base: &'a Tree, source: &'a Root, numbers: &'a dyn Fn() -> Result<Ino>) -> Work<'a> {
        let mut changed = HashSet::new();
        changed_inodes(&base.root, source, |ino, _, _| _ = changed.insert(ino));
        let mut dirty = holders(&base.root, &changed);
        dirty.extend(holders(source, &changed));
        Work {
            live: LiveTree::new(base.root.clone(), base.above.max(1)),
            base: &base.root,
            source,
            numbers,
            bytes: base.bytes,
            inodes: base.inodes,
            changed,
            dirty,
            targets: HashMap::new(),
            before: HashMap::new(),
            kept: HashSet::new(),
            waiting: Vec::new(),
            wanted: Vec::new(),
            dropped: HashSet::new(),
            made: HashSet::new(),
            placed: HashMap::new(),
            lost: None,
        }
    }

    fn run(&mut self, paths: &[Graft], now: Timespec) -> std::result::Result<(), Refused> {
        let mut spots = Vec::new();
        for (at, graft) in paths.iter().enumerate() {
            let spot = spot_of(at, graft).map_err(|errno| (at, errno))?;
            self.check(&spot).map_err(|errno| (at, errno))?;
            self.widen(spot, &mut spots);
        }
        let spots = outermost(spots);
        let deep = || spots.iter().filter(|spot| !spot.shallow);
        let found = deep().filter_map(|spot| find(self.source, spot.base, &spot.names));
        self.targets = found.map(|ino| (ino, true)).collect();
        // Everything is taken out before anything is put in: what then is still there goes on
        // elsewhere.
        let missing: Vec<&Spot> = deep().filter(|spot| self.take_out(spot)).collect();
        while let Some(dir) = self.waiting.pop() {
            self.compare(dir);
        }
        for spot in missing {
            self.put_in(spot).map_err(|errno| (spot.at, errno))?;
        }
        for (dir, name, from) in std::mem::take(&mut self.wanted) {
            // Only numbers and memory can run out here, which is no path's fault.
            self.put(dir, &name, from).map_err(|errno| (0, errno))?;
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

    // Whether it is to be put in then.
    fn take_out(&mut self, spot: &Spot) -> bool {
        let Some((name, way)) = spot.names.split_last() else { return false };
        let [was, from] = [self.base, self.source].map(|root| {
            let dir = find(root, spot.base, way)?;
            Some((dir, entry(root, dir, name)?))
        });
        self.replace(was, name, from.map(|(_, found)| found))
    }

    /// A name of a directory in `base`, and what it means in `source`: takes out what is not the
    /// same. Whether something is to be put in.
    fn replace(
        &mut self,
        was: Option<(Ino, (Ino, u32))>,
        name: &Name,
        from: Option<(Ino, u32)>,
    ) -> bool {
        let Some((dir, found)) = was else { return from.is_some() };
        if from == Some(found) {
            let (ino, kind) = found;
            if kind == S_IFDIR {
                self.keep(ino);
                return false;
            }
            if !self.changed.contains(&ino) {
                return false;
            }
        }
        let (ino, kind) = found;
        self.before.insert((dir, name.clone()), Some(ino));
        self.live.update(dir, |inode| {
            if let Body::Dir(entries) = &mut inode.body {
                entries.remove(name);
            }
            inode.nlink -= u32::from(kind == S_IFDIR);
        });
        self.release(ino);
        from.is_some()
    }

    fn keep(&mut self, dir: Ino) {
        if self.kept.insert(dir) && (self.changed.contains(&dir) || self.dirty.contains(&dir)) {
            self.waiting.push(dir);
        }
    }

    // One name less, and what is below it; but directories that `source` has below a path.
    fn release(&mut self, ino: Ino) {
        let mut waiting = vec![ino];
        while let Some(ino) = waiting.pop() {
            let links = self.live.get(ino, |inode| match &inode.body {
                Body::Dir(entries) => Err(entries.clone()),
                _ => Ok(inode.nlink),
            });
            match links {
                Some(Err(_)) if self.is_restored(ino) => self.keep(ino),
                Some(Err(entries)) => {
                    waiting.extend(entries.entries().map(|entry| entry.ino));
                    self.drop(ino);
                }
                Some(Ok(2..)) => _ = self.live.update(ino, |inode| inode.nlink -= 1),
                Some(Ok(_)) => self.drop(ino),
                None => {}
            }
        }
    }

    /// Whether `source` has this directory at or below one of the paths.
    fn is_restored(&mut self, dir: Ino) -> bool {
        let (mut at, mut passed) = (dir, Vec::new());
        let found = loop {
            if let Some(known) = self.targets.get(&at) {
                break *known;
            }
            passed.push(at);
            let parent = self.source.get(at, |inode| inode.parent);
            match parent.filter(|_| at != Ino::ROOT && at != Ino::HOME) {
                Some(parent) => at = parent,
                None => break false,
            }
        };
        self.targets.extend(passed.into_iter().map(|ino| (ino, found)));
        found
    }

    /// A directory that stays: its attributes, and the names in it that are not the same.
    fn compare(&mut self, dir: Ino) {
        let [was, from] = [self.base, self.source].map(|root| root.get(dir, Inode::clone));
        let (Some(was), Some(from)) = (was, from) else { return };
        let (Body::Dir(old), Body::Dir(new)) = (&was.body, &from.body) else { return };
        if self.changed.contains(&dir) {
            self.live.update(dir, |inode| {
                (inode.mode, inode.uid, inode.gid) = (from.mode, from.uid, from.gid);
                (inode.atime, inode.mtime) = (from.atime, from.mtime);
                (inode.ctime, inode.btime) = (from.ctime, from.btime);
                inode.xattrs = from.xattrs.clone();
                inode.weigh();
            });
        }
        let mut names: HashSet<Name> = HashSet::new();
        changed_names(old, new, &mut |name| _ = names.insert(name.into()));
        let differs = |ino: &Ino| self.changed.contains(ino) || self.dirty.contains(ino);
        names.extend(new.entries().filter(|e| differs(&e.ino)).map(|e| Name::from(e.name)));
        for name in names {
            let look = |entries: &Dir| entries.get(&name).map(|found| (found.ino, found.kind));
            let to = look(new);
            if self.replace(look(old).map(|found| (dir, found)), &name, to)
                && let Some((ino, _)) = to
            {
                self.wanted.push((dir, name, ino));
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
        self.put(parent, name, from)
    }

    /// Gives what `source` has under this number a name, with all that is below it.
    fn put(&mut self, parent: Ino, name: &Name, from: Ino) -> Result<()> {
        let Some(inode) = self.source.get(from, Inode::clone) else { return Err(Errno::Io) };
        if !inode.is_dir() {
            let ino = self.place(parent, &inode)?;
            return self.enter(parent, name, ino, inode.kind());
        }
        let mut waiting = Vec::new();
        let ino = self.directory(inode, parent, &mut waiting)?;
        self.enter(parent, name, ino, S_IFDIR)?;
        while let Some((mut inode, ino, parent)) = waiting.pop() {
            let Body::Dir(entries) = &inode.body else { return Err(Errno::Io) };
            let mut renumbered = entries.clone();
            for entry in entries.entries() {
                let child = self.source.get(entry.ino, Inode::clone).ok_or(Errno::Io)?;
                let to = if child.is_dir() {
                    self.directory(child, ino, &mut waiting)?
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

    /// The number of a directory in `parent`; one that did not stay is noted as still to be made.
    fn directory(
        &mut self,
        inode: Inode,
        parent: Ino,
        waiting: &mut Vec<(Inode, Ino, Ino)>,
    ) -> Result<Ino> {
        if self.kept.contains(&inode.ino) {
            self.live.update(inode.ino, |kept| kept.parent = parent);
            return Ok(inode.ino);
        }
        let ino = self.number(inode.ino)?;
        waiting.push((inode, ino, parent));
        Ok(ino)
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

    // Whether a file is still what it was under a name that is not restored, or stayed.
    fn linked(&mut self, inode: &Inode) -> bool {
        if inode.nlink < 2 {
            return false;
        }
        let there = self.live.get(inode.ino, |there| (same_record(there, inode), there.nlink));
        let Some((true, names)) = there else { return false };
        let lost = self.lost.take().unwrap_or_else(|| self.find_lost());
        let gone = lost.get(&inode.ino).copied().unwrap_or(0);
        self.lost = Some(lost);
        names > gone
    }

    fn find_lost(&self) -> HashMap<Ino, u32> {
        let (mut lost, empty) = (HashMap::new(), Dir::default());
        changed_inodes(self.base, self.source, |dir, old, new| {
            let entries = |inode: Option<&Inode>| match inode.map(|inode| &inode.body) {
                Some(Body::Dir(entries)) => entries.clone(),
                _ => empty.clone(),
            };
            if self.dropped.contains(&dir) {
                return;
            }
            let (old, new) = (entries(old), entries(new));
            let mut names: HashSet<Name> = HashSet::new();
            changed_names(&old, &new, &mut |name| _ = names.insert(name.into()));
            for name in names {
                let Some((was, kind)) = old.get(&name).map(|found| (found.ino, found.kind)) else {
                    continue;
                };
                let same = new.get(&name).is_some_and(|found| found.ino == was);
                if kind != S_IFDIR && !same && !self.before.contains_key(&(dir, name)) {
                    *lost.entry(was).or_insert(0) += 1;
                }
            }
        });
        lost
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

    // Times of the directories in which a name means something else now; those that stay have the
    // times that they had.
    fn touch(&mut self, now: Timespec) {
        let root = self.live.root();
        let mut touched = HashSet::new();
        for ((dir, name), before) in &self.before {
            let is_own = !self.made.contains(dir) && !self.kept.contains(dir);
            if is_own && entry(&root, *dir, name).map(|e| e.0) != *before {
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
