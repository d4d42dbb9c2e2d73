//! What differs between two frozen trees, by path: what `devdev diff` shows.
//!
//! The same path in both trees is compared, whatever inode it names. A name that only one of
//! them has is paired with one that only the other has when both name the same inode: it was
//! renamed. A renamed directory is one change; what lies below is compared and named only where
//! it differs, then with its old path.
//!
//! Which inodes are the same is for `Kinship` to say, where the trees are of different workspaces.
//!
//! The walk enters a directory that both trees have at one place only if an inode below it
//! changed (`changed_inodes` skips what the trees share), found by climbing from the changed
//! inodes to the roots.

use std::collections::{BTreeMap, HashSet};

use crate::Tree;
use crate::chunk::{Chunk, block_bytes};
use crate::content::Content;
use crate::content_id::names;
use crate::delta::{changed_inodes, changed_names};
use crate::ids::{BlockHash, Ino};
use crate::inode::{Body, Inode};
use crate::kinship::Kinship;
use crate::known_ids::holders;
use crate::tree::Root;

/// Where the second root of a tree is found.
const HOME: &[u8] = b"/.devdev/home";

/// What happened to a path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ChangeKind {
    /// Only the new tree has it.
    Added,
    /// Only the old tree has it.
    Removed,
    /// Both have it (or it lies in a directory that was renamed), and it differs.
    Modified,
    /// The same inode had another path, `old_path`.
    Renamed,
}

/// What differs between the two sides of a change.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Differences {
    /// The file type.
    pub kind: bool,
    /// Bytes or length of a file.
    pub content: bool,
    /// Target of a symlink.
    pub target: bool,
    /// Permission bits.
    pub mode: bool,
    /// Owner or group.
    pub owner: bool,
    /// Extended attributes.
    pub xattrs: bool,
    /// Device number.
    pub rdev: bool,
    /// Modification time.
    pub mtime: bool,
}

/// One side of what differs. Little, for there may be millions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Its inode.
    pub ino: Ino,
    /// Type and permission bits.
    pub mode: u32,
    /// Bytes; of a directory the number of entries times 32.
    pub size: u64,
}

/// A path that differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The path in the new tree, or in the old one when it was removed; absolute.
    pub path: Vec<u8>,
    /// What happened to it.
    pub kind: ChangeKind,
    /// The path in the old tree, where that is another.
    pub old_path: Option<Vec<u8>>,
    /// What differs, when both sides have it.
    pub differs: Differences,
    /// In the old tree.
    pub old: Option<Seen>,
    /// In the new tree.
    pub new: Option<Seen>,
}

/// What is reported beyond what differs.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct DiffScope {
    /// Also paths of which only the mtime differs.
    pub times: bool,
    /// Also everything in a directory that was renamed, as renamed: formats that know no
    /// directories need it, and it costs as much as there is in them.
    pub within_renamed: bool,
}

/// What differs between two states of one workspace, by ascending path.
pub fn path_diff(old: &Tree, new: &Tree, scope: DiffScope) -> Vec<Change> {
    path_diff_of(old, new, scope, &Kinship::default())
}

/// What differs between `old` and `new`, whose kinship is known, by ascending path.
pub fn path_diff_of(old: &Tree, new: &Tree, scope: DiffScope, kin: &Kinship) -> Vec<Change> {
    let mut changed = HashSet::new();
    changed_inodes(&old.root, &new.root, |ino, _, _| _ = changed.insert(ino));
    let mut diff = Diff {
        dirty: [holders(&old.root, &changed), holders(&new.root, &changed)],
        roots: [&old.root, &new.root],
        changed,
        scope,
        kin,
        empty: BlockHash::of(b""),
        pairs: Vec::new(),
        loose: [Vec::new(), Vec::new()],
        pending: [BTreeMap::new(), BTreeMap::new()],
        changes: Vec::new(),
    };
    diff.compare([Ino::ROOT; 2], [Vec::new(), Vec::new()], false);
    diff.compare([Ino::HOME; 2], [HOME.to_vec(), HOME.to_vec()], false);
    diff.run();
    diff.changes.iter_mut().filter(|c| c.path.is_empty()).for_each(|c| c.path.push(b'/'));
    diff.changes.sort_by(|a, b| (&a.path, a.kind).cmp(&(&b.path, b.kind)));
    diff.changes
}

/// How many changes `path_diff` finds. Where every directory has the names that it had, no path has
/// to be worked out for that.
pub fn count_changes(old: &Tree, new: &Tree) -> usize {
    let (mut count, mut same_names) = (0, true);
    let empty = BlockHash::of(b"");
    changed_inodes(&old.root, &new.root, |_, old, new| {
        let (Some(old), Some(new)) = (old, new) else { return same_names = false };
        same_names = same_names && has_same_names(old, new);
        if same_names && untimed(differences(old, new, empty)) != Differences::default() {
            count += if new.is_dir() { 1 } else { new.nlink as usize };
        }
    });
    if same_names { count } else { path_diff(old, new, DiffScope::default()).len() }
}

fn has_same_names(old: &Inode, new: &Inode) -> bool {
    match (&old.body, &new.body) {
        (Body::Dir(old), Body::Dir(new)) => {
            let mut same = true;
            changed_names(old, new, &mut |_| same = false);
            same
        }
        _ => old.is_dir() == new.is_dir() && old.nlink == new.nlink,
    }
}

fn untimed(differs: Differences) -> Differences {
    Differences { mtime: false, ..differs }
}

type Found = (Vec<u8>, Ino);

/// Both trees side by side; arrays are (old, new).
struct Diff<'a> {
    roots: [&'a Root; 2],
    changed: HashSet<Ino>,
    dirty: [HashSet<Ino>; 2],
    scope: DiffScope,
    kin: &'a Kinship,
    /// The block of a chunk without bytes other than 0.
    empty: BlockHash,
    /// Directories to compare name by name.
    pairs: Vec<([Ino; 2], [Vec<u8>; 2])>,
    /// Names that only one side has, not looked at yet.
    loose: [Vec<Found>; 2],
    /// Such names of inodes (numbers in both trees) that the other side has as well, perhaps under
    /// another loose name.
    pending: [BTreeMap<[Ino; 2], Vec<Vec<u8>>>; 2],
    changes: Vec<Change>,
}

impl Diff<'_> {
    fn run(&mut self) {
        loop {
            while let Some((inos, paths)) = self.pairs.pop() {
                self.compare_names(inos, &paths);
            }
            for side in 0..2 {
                while let Some((path, ino)) = self.loose[side].pop() {
                    match self.twins(side, ino) {
                        Some(both) => self.pending[side].entry(both).or_default().push(path),
                        None => self.report(side, path, ino),
                    }
                }
            }
            self.pair();
            if self.pairs.is_empty() && !self.give_up() {
                return;
            }
        }
    }

    fn get<R>(&self, side: usize, ino: Ino, look: impl FnOnce(&Inode) -> R) -> Option<R> {
        self.roots[side].get(ino, look)
    }

    // The same thing in both trees, by the number that it has on this side.
    fn twins(&self, side: usize, ino: Ino) -> Option<[Ino; 2]> {
        let (other, named) = self.kin.other(side, ino)?;
        let both = if side == 0 { [ino, other] } else { [other, ino] };
        // A last look, for trees of which less is known than should be.
        let look = |side: usize| {
            self.get(side, both[side], |inode| (inode.kind(), (!named).then_some(inode.btime)))
        };
        let old = look(0);
        (old.is_some() && old == look(1)).then_some(both)
    }

    fn compare_names(&mut self, inos: [Ino; 2], paths: &[Vec<u8>; 2]) {
        let [old, new] = [0, 1].map(|side| names(self.roots[side], inos[side]));
        let (mut old, mut new) = (old.into_iter().peekable(), new.into_iter().peekable());
        loop {
            let name = match (old.peek(), new.peek()) {
                (Some(a), Some(b)) => a.0.clone().min(b.0.clone()),
                (Some(one), None) | (None, Some(one)) => one.0.clone(),
                (None, None) => return,
            };
            let before = old.next_if(|entry| entry.0 == name).map(|entry| entry.1);
            let after = new.next_if(|entry| entry.0 == name).map(|entry| entry.1);
            let path = |side: usize| join(&paths[side], &name);
            match (before, after) {
                (Some(a), Some(b)) => {
                    let moved = self.scope.within_renamed && paths[0] != paths[1];
                    if moved || a != b || self.changed.contains(&a) || self.is_dirty(a) {
                        self.compare([a, b], [path(0), path(1)], false);
                    }
                }
                (Some(ino), None) => self.loose[0].push((path(0), ino)),
                (None, Some(ino)) => self.loose[1].push((path(1), ino)),
                (None, None) => {}
            }
        }
    }

    fn is_dirty(&self, ino: Ino) -> bool {
        self.dirty.iter().any(|dirty| dirty.contains(&ino))
    }

    // The same thing in both trees: reports it if it differs or was renamed, and goes on below.
    fn compare(&mut self, inos: [Ino; 2], paths: [Vec<u8>; 2], renamed: bool) {
        let sides = [0, 1].map(|side| self.get(side, inos[side], Inode::clone));
        let [Some(old), Some(new)] = sides else { return };
        let differs = differences(&old, &new, self.empty);
        let told = if self.scope.times { differs } else { untimed(differs) };
        let moved = self.scope.within_renamed && paths[0] != paths[1];
        let renamed = renamed || moved;
        if renamed || told != Differences::default() {
            let old_path = (paths[0] != paths[1]).then(|| paths[0].clone());
            let kind = if renamed { ChangeKind::Renamed } else { ChangeKind::Modified };
            let (old, new) = (Some(Seen::of(&old)), Some(Seen::of(&new)));
            self.changes.push(Change { path: paths[1].clone(), kind, old_path, differs, old, new });
        }
        match (old.is_dir(), new.is_dir()) {
            (true, true) if inos[0] == inos[1] && !moved && !self.is_dirty(inos[0]) => {}
            (true, true) => self.pairs.push((inos, paths)),
            (true, false) => self.loosen(0, &paths[0], inos[0]),
            (false, true) => self.loosen(1, &paths[1], inos[1]),
            (false, false) => {}
        }
    }

    // Everything in this directory is missing on the other side.
    fn loosen(&mut self, side: usize, path: &[u8], ino: Ino) {
        let entries = names(self.roots[side], ino).into_iter();
        self.loose[side].extend(entries.map(|(name, ino)| (join(path, &name), ino)));
    }

    fn report(&mut self, side: usize, path: Vec<u8>, ino: Ino) {
        let Some((is_dir, seen)) = self.get(side, ino, |inode| (inode.is_dir(), Seen::of(inode)))
        else {
            return;
        };
        if is_dir {
            self.loosen(side, &path, ino);
        }
        let kind = [ChangeKind::Removed, ChangeKind::Added][side];
        let (old, new) = if side == 0 { (Some(seen), None) } else { (None, Some(seen)) };
        let differs = Differences::default();
        self.changes.push(Change { path, kind, old_path: None, differs, old, new });
    }

    fn pair(&mut self) {
        let [old, new] = &self.pending;
        let all: Vec<[Ino; 2]> =
            old.keys().filter(|both| new.contains_key(*both)).copied().collect();
        for both in all {
            let paths = [0, 1].map(|side| {
                let mut paths = self.pending[side].remove(&both).unwrap_or_default();
                paths.sort_unstable_by(|a, b| b.cmp(a));
                paths
            });
            let [mut old, mut new] = paths;
            while let (false, false) = (old.is_empty(), new.is_empty()) {
                let (Some(a), Some(b)) = (old.pop(), new.pop()) else { break };
                self.compare(both, [a, b], true);
            }
            for (side, left) in [old, new].into_iter().enumerate() {
                if !left.is_empty() {
                    self.pending[side].insert(both, left);
                }
            }
        }
    }

    // Nothing was paired: directories without a partner are taken apart, because what is in them
    // may have one; those of the old tree first, files last. False when nothing is left.
    fn give_up(&mut self) -> bool {
        for dirs in [true, false] {
            for side in 0..2 {
                let is_dir = |both: &&[Ino; 2]| {
                    !dirs || self.get(side, both[side], Inode::is_dir) == Some(true)
                };
                let some: Vec<[Ino; 2]> =
                    self.pending[side].keys().filter(is_dir).copied().collect();
                for both in &some {
                    for path in self.pending[side].remove(both).unwrap_or_default() {
                        self.report(side, path, both[side]);
                    }
                }
                if !some.is_empty() {
                    return true;
                }
            }
        }
        false
    }
}

fn differences(a: &Inode, b: &Inode, empty: BlockHash) -> Differences {
    let kind = a.kind() != b.kind();
    let (content, target) = match (&a.body, &b.body) {
        (Body::File(x), Body::File(y)) => (a.size != b.size || !same_bytes(x, y, empty), false),
        (Body::Symlink(x), Body::Symlink(y)) => (false, x != y),
        _ => (false, false),
    };
    Differences {
        kind,
        content,
        target,
        mode: (a.mode ^ b.mode) & 0o7777 != 0,
        owner: (a.uid, a.gid) != (b.uid, b.gid),
        xattrs: a.xattrs != b.xattrs,
        rdev: a.rdev != b.rdev,
        mtime: a.mtime != b.mtime,
    }
}

impl Seen {
    fn of(inode: &Inode) -> Seen {
        let size = match &inode.body {
            Body::Dir(dir) => dir.len() * 32,
            _ => inode.size,
        };
        Seen { ino: inode.ino, mode: inode.mode, size }
    }
}

fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    [dir, b"/", name].concat()
}

/// Whether two chunk maps read the same; a hole is the same as zeros.
pub(crate) fn same_bytes(a: &Content, b: &Content, empty: BlockHash) -> bool {
    if a.same(b) {
        return true;
    }
    let is_zero = |chunk: &Chunk| match chunk.known_hash() {
        Some(hash) => hash == empty,
        None => chunk.bytes().is_some_and(|bytes| block_bytes(&bytes).is_empty()),
    };
    let same = |x: &Chunk, y: &Chunk| match (x.known_hash(), y.known_hash()) {
        (Some(x), Some(y)) => x == y,
        _ => match (x.bytes(), y.bytes()) {
            (Some(x), Some(y)) => block_bytes(&x) == block_bytes(&y),
            _ => x.hash() == y.hash(),
        },
    };
    let (mut a, mut b) = (a.chunks().peekable(), b.chunks().peekable());
    loop {
        let index = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) => x.0.min(y.0),
            (Some(one), None) | (None, Some(one)) => one.0,
            (None, None) => return true,
        };
        let before = a.next_if(|chunk| chunk.0 == index).map(|chunk| chunk.1);
        let after = b.next_if(|chunk| chunk.0 == index).map(|chunk| chunk.1);
        let equal = match (before, after) {
            (Some(x), Some(y)) => std::sync::Arc::ptr_eq(x, y) || same(x, y),
            (Some(one), None) | (None, Some(one)) => is_zero(one),
            (None, None) => true,
        };
        if !equal {
            return false;
        }
    }
}

#[cfg(test)]
mod tests;
