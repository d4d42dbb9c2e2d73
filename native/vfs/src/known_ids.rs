//! What is remembered of content ids, so that the next one costs what changed since: the hash of
//! every directory with all that lies below it.
//!
//! An inode whose leaf was born since the last id was worked out may have changed, and so have the
//! directories above it; after a restore, what that changed counts too. Everything else has the
//! hash that it had. A tree that was made of a frozen one by changing some of it has the hashes of
//! that one for the rest; a tree from elsewhere (a store, an import) is hashed as a whole.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::content_id::{ContentId, Summaries, id_of};
use crate::ids::Ino;
use crate::inode::Body;
use crate::tree::{Child, Node, Root};
use crate::types::Tree;

/// Summaries of directories that are gone are dropped when there are so many times as many.
const SURPLUS: usize = 2;

/// What one live tree remembers.
#[derive(Default)]
pub(crate) struct KnownIds {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Of the tree that was frozen before the generation `above`.
    summaries: Arc<Summaries>,
    above: u64,
    /// Inodes that restores have changed since.
    restored: HashSet<Ino>,
    /// Trees that were frozen up to this generation are older than the last restore.
    floor: u64,
}

/// The content id of a frozen tree, once it was asked for.
#[derive(Default)]
pub(crate) struct TreeId {
    id: OnceLock<ContentId>,
    known: Option<Arc<KnownIds>>,
    edited: Option<Edited>,
}

/// What a tree was made of, which was frozen up to this generation, and the inodes that differ.
struct Edited {
    known: Arc<KnownIds>,
    above: u64,
    changed: HashSet<Ino>,
}

impl TreeId {
    /// Of a tree that was frozen from a live one.
    pub(crate) fn of(known: &Arc<KnownIds>) -> TreeId {
        TreeId { known: Some(known.clone()), ..TreeId::default() }
    }

    /// Of a tree that differs from another one in these inodes.
    pub(crate) fn of_edited(tree: &Tree, changed: HashSet<Ino>) -> TreeId {
        let edited = tree.id.known.as_ref().map(|known| Edited {
            known: known.clone(),
            above: tree.above,
            changed,
        });
        TreeId { edited, ..TreeId::default() }
    }

    pub(crate) fn known(&self) -> Option<ContentId> {
        self.id.get().copied()
    }
}

/// Works the id of a tree out. Chunks whose hash is not known yet are hashed here, one after the
/// other; to use more processors hash them before (`Persist::chunks`).
pub fn content_id(tree: &Tree) -> ContentId {
    let work_out = || match (&tree.id.known, &tree.id.edited) {
        (Some(known), _) => known.id(tree),
        (None, Some(edited)) => edited.known.id_beside(tree, edited),
        (None, None) => id_of(&tree.root, &mut Summaries::default(), &HashSet::new()),
    };
    *tree.id.id.get_or_init(work_out)
}

impl KnownIds {
    /// What a live tree that begins as `tree` knows from the start.
    pub(crate) fn inherited(tree: &Tree) -> Arc<KnownIds> {
        let state = tree.id.known.as_ref().and_then(|known| {
            let State { summaries, above, floor, .. } = &*known.state.lock();
            let same = *above == tree.above && tree.above > *floor;
            same.then(|| State { summaries: summaries.clone(), above: *above, ..State::default() })
        });
        Arc::new(KnownIds { state: Mutex::new(state.unwrap_or_default()) })
    }

    fn id(&self, tree: &Tree) -> ContentId {
        let mut state = self.state.lock();
        if tree.above <= state.floor || tree.above < state.above {
            drop(state);
            return id_of(&tree.root, &mut Summaries::default(), &HashSet::new());
        }
        let changed = changed_since(&tree.root, state.above, &state.restored);
        let dirty = holders(&tree.root, &changed);
        let summaries = Arc::make_mut(&mut state.summaries);
        let id = id_of(&tree.root, summaries, &dirty);
        if summaries.len() > 64 + SURPLUS * tree.inodes as usize {
            summaries.retain(|ino, _| tree.root.get(*ino, |inode| inode.is_dir()) == Some(true));
        }
        state.above = tree.above;
        state.restored.clear();
        id
    }

    /// Of a tree that never was the live one: what is remembered stays as it is.
    fn id_beside(&self, tree: &Tree, Edited { above, changed, .. }: &Edited) -> ContentId {
        let mut state = self.state.lock();
        if state.above != *above || state.above <= state.floor {
            drop(state);
            return id_of(&tree.root, &mut Summaries::default(), &HashSet::new());
        }
        let dirty = holders(&tree.root, changed);
        let summaries = Arc::make_mut(&mut state.summaries);
        let before: Vec<_> = dirty.iter().map(|ino| (*ino, summaries.remove(ino))).collect();
        let id = id_of(&tree.root, summaries, &dirty);
        for (ino, summary) in before {
            match summary {
                Some(summary) => _ = summaries.insert(ino, summary),
                None => _ = summaries.remove(&ino),
            }
        }
        id
    }

    /// A restore begins: until it is noted nothing of what is remembered holds.
    pub(crate) fn begin_restore(&self) {
        self.state.lock().floor = u64::MAX;
    }

    /// It has made these inodes differ; the generation that began with it.
    pub(crate) fn note_restore(&self, changed: Vec<Ino>, generation: u64) {
        let mut state = self.state.lock();
        state.restored.extend(changed);
        state.floor = generation;
    }
}

// Inodes that may have changed since that generation began, and `more`.
fn changed_since(root: &Root, generation: u64, more: &HashSet<Ino>) -> HashSet<Ino> {
    fn descend(node: &Node, generation: u64, changed: &mut HashSet<Ino>) {
        // No node is older than what is below it.
        if node.birth < generation {
            return;
        }
        for child in node.children.read().iter().flatten() {
            match child {
                Child::Node(node) => descend(node, generation, changed),
                Child::Leaf(leaf) if leaf.birth < generation => {}
                Child::Leaf(leaf) => changed.extend(leaf.read().inodes.iter().map(|i| i.ino)),
            }
        }
    }
    let mut changed = more.clone();
    descend(&root.node, generation, &mut changed);
    changed
}

/// The directories of a tree from which an inode of `changed` is reached.
pub(crate) fn holders(root: &Root, changed: &HashSet<Ino>) -> HashSet<Ino> {
    let mut dirty = HashSet::new();
    let mut climb = |mut ino: Ino| {
        while dirty.insert(ino) && ino != Ino::ROOT && ino != Ino::HOME {
            let Some(parent) = root.get(ino, |inode| inode.parent) else { break };
            ino = parent;
        }
    };
    // By the parent they say they have, which is but a hint. What has several names is looked for
    // there and in what changed itself; how many of its names were found tells whether that is all.
    let mut names: HashMap<Ino, u64> = HashMap::new();
    let mut looked_into = HashSet::new();
    for &ino in changed {
        match root.get(ino, |inode| (inode.is_dir(), inode.nlink, inode.parent)) {
            Some((true, ..)) => {
                climb(ino);
                looked_into.insert(ino);
            }
            Some((_, nlink, parent)) => {
                names.insert(ino, u64::from(nlink));
                looked_into.insert(parent);
            }
            None => {}
        }
    }
    if names.is_empty() {
        return dirty;
    }
    for dir in looked_into {
        let holds = root.get(dir, |inode| {
            let Body::Dir(entries) = &inode.body else { return false };
            let mut holds = false;
            for entry in entries.entries() {
                if let Some(left) = names.get_mut(&entry.ino) {
                    *left = left.saturating_sub(1);
                    holds = true;
                }
            }
            holds
        });
        if holds == Some(true) {
            climb(dir);
        }
    }
    names.retain(|_, left| *left > 0);
    if names.is_empty() {
        return dirty;
    }
    // Elsewhere: a look at every directory.
    let mut holding = Vec::new();
    root.for_each_leaf(|_, leaf| {
        for inode in &leaf.data.read().inodes {
            if let Body::Dir(dir) = &inode.body
                && dir.entries().any(|entry| names.contains_key(&entry.ino))
            {
                holding.push(inode.ino);
            }
        }
    });
    holding.into_iter().for_each(climb);
    dirty
}

#[cfg(test)]
#[path = "known_ids/tests.rs"]
mod tests;
