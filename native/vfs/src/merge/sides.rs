//! One side of a merge: its changes since the base, each by the thing that it is about.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::Tree;
use crate::ids::Ino;
use crate::inode::{Body, Inode};
use crate::kinship::Kinship;
use crate::path_diff::{Change, ChangeKind, DiffScope, path_diff_of};

/// What a thing is known by on both sides: of the base its path there; of what was added the id of
/// its directory, `/`, NUL and its name. The root's is empty.
pub(super) type Id = Vec<u8>;

/// Where something is: its directory, and its name there.
pub(super) type Place = (Id, Vec<u8>);

/// What a name was found to mean in a tree.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub(super) parent: Ino,
    pub(super) ino: Ino,
}

/// One side.
pub(super) struct Side<'a> {
    pub(super) tree: &'a Tree,
    pub(super) changes: BTreeMap<Id, Change>,
    /// With the base.
    pub(super) kin: &'a Kinship,
    /// Old paths by new ones.
    renamed: HashMap<Vec<u8>, Vec<u8>>,
    added: HashSet<Vec<u8>>,
}

/// The directory of a path or an id, and its last name.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let at = path.iter().rposition(|b| *b == b'/').unwrap_or(0);
    let name = path.get(at + 1..).unwrap_or_default();
    (&path[..at], name.strip_prefix(b"\0").unwrap_or(name))
}

fn in_home(path: &[u8]) -> bool {
    const HOME: &[u8] = b"/.devdev/home";
    path.strip_prefix(HOME).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

// Without what happened in the home; what came from there, or went there, was added or removed.
fn in_tree(mut change: Change) -> Option<Change> {
    if change.path == b"/" {
        change.path.clear();
    }
    let from_home = change.old_path.as_deref().is_some_and(in_home);
    match (from_home, in_home(&change.path)) {
        (false, false) => Some(change),
        (true, false) if change.kind == ChangeKind::Renamed => {
            Some(Change { kind: ChangeKind::Added, old_path: None, old: None, ..change })
        }
        (false, true) if change.kind == ChangeKind::Renamed => {
            let path = change.old_path.take()?;
            Some(Change { path, kind: ChangeKind::Removed, new: None, ..change })
        }
        _ => None,
    }
}

impl<'a> Side<'a> {
    /// What changed from `base` to `tree`.
    pub(super) fn new(base: &Tree, tree: &'a Tree, kin: &'a Kinship) -> Side<'a> {
        let all = path_diff_of(base, tree, DiffScope::default(), kin);
        let all: Vec<Change> = all.into_iter().filter_map(in_tree).collect();
        let (changes, renamed, added) = (BTreeMap::new(), HashMap::new(), HashSet::new());
        let mut side = Side { tree, changes, kin, renamed, added };
        for change in &all {
            match (change.kind, &change.old_path) {
                (ChangeKind::Added, _) => _ = side.added.insert(change.path.clone()),
                (ChangeKind::Renamed, Some(old)) => {
                    side.renamed.insert(change.path.clone(), old.clone());
                }
                _ => {}
            }
        }
        for change in all {
            let id = match (change.kind, &change.old_path) {
                (ChangeKind::Added, _) => side.id_of(&change.path),
                (_, Some(old)) => old.clone(),
                (_, None) => change.path.clone(),
            };
            side.changes.insert(id, change);
        }
        side
    }

    /// The thing that a path of this side means.
    fn id_of(&self, path: &[u8]) -> Id {
        // From the nearest directory on that was renamed, or the root, names are only added.
        let mut names = Vec::new();
        let mut at = path;
        let mut id = loop {
            if let Some(old) = self.renamed.get(at) {
                break old.clone();
            }
            if at.is_empty() {
                break Vec::new();
            }
            let (dir, name) = split(at);
            names.push((self.added.contains(at), name));
            at = dir;
        };
        for (added, name) in names.into_iter().rev() {
            id.extend_from_slice(if added { b"/\0" } else { b"/" });
            id.extend_from_slice(name);
        }
        id
    }

    /// Where a thing is on this side, which has it.
    pub(super) fn place(&self, id: &[u8]) -> Place {
        match self.changes.get(id) {
            Some(change) if matches!(change.kind, ChangeKind::Renamed | ChangeKind::Added) => {
                let (dir, name) = split(&change.path);
                (self.id_of(dir), name.to_vec())
            }
            _ => {
                let (dir, name) = split(id);
                (dir.to_vec(), name.to_vec())
            }
        }
    }

    /// Its inode on this side; `None` if it is not there.
    pub(super) fn spot(&self, id: &[u8]) -> Option<Spot> {
        // Up to the root first: paths may be deeper than a stack.
        let (mut names, mut at) = (Vec::new(), id.to_vec());
        while !at.is_empty() {
            let added = split_mark(&at);
            match self.changes.get(&at) {
                Some(change) if change.kind == ChangeKind::Removed => return None,
                None if added => return None,
                _ => {}
            }
            let (dir, name) = self.place(&at);
            names.push(name);
            at = dir;
        }
        let mut spot = Spot { parent: Ino::ROOT, ino: Ino::ROOT };
        for name in names.iter().rev() {
            let look = |inode: &Inode| match &inode.body {
                Body::Dir(dir) => dir.get(name).map(|entry| entry.ino),
                _ => None,
            };
            let ino = self.tree.root.get(spot.ino, look).flatten()?;
            spot = Spot { parent: spot.ino, ino };
        }
        Some(spot)
    }

    /// Its path on this side, or what that would be.
    pub(super) fn path(&self, id: &[u8]) -> Vec<u8> {
        let (mut names, mut at) = (Vec::new(), id.to_vec());
        while !at.is_empty() {
            let (dir, name) = self.place(&at);
            names.push(name);
            at = dir;
        }
        names.iter().rev().flat_map(|name| [b"/", name.as_slice()].concat()).collect()
    }
}

// Whether an id is of something that was added.
fn split_mark(id: &[u8]) -> bool {
    let at = id.iter().rposition(|b| *b == b'/').unwrap_or(0);
    id.get(at + 1) == Some(&0)
}
