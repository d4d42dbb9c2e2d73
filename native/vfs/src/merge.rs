//! Three-way merges of frozen trees: what changed from `base` to `theirs` is done to `ours`.
//!
//! What is followed is the thing, not its path: a file that one side renamed and the other wrote is
//! renamed and written, and what one side adds to a directory goes where the other side moved it.
//! A thing of the base is known by its path there, an added one by where it was added (`Id`), and
//! both sides' changes come from `path_diff`, so the work is in proportion to those. What cannot be
//! done for both is a conflict, and stays as in `ours` unless it is said how to resolve it.
//!
//! `.devdev/home` is not merged: what programs keep there says nothing of the work in the tree.

mod apply;
mod decide;
mod place;
mod sides;

use std::sync::Arc;

use crate::Tree;
use crate::attr::Timespec;
use crate::errno::Result;
use crate::ids::Ino;
use crate::inode::{Body, Inode};
use crate::kinship::Kinship;
use crate::path_diff::{DiffScope, path_diff};

/// One of the two states that are merged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MergeSide {
    /// The one that is changed.
    Ours,
    /// The one whose changes are made.
    Theirs,
}

/// What is done about a conflict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolve {
    /// As in ours.
    Ours,
    /// As in theirs.
    Theirs,
    /// Texts with both, between marks; of what is no text, theirs beside ours.
    Markers,
}

/// Why two changes cannot both be made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ConflictKind {
    /// Both wrote the same lines.
    Content,
    /// Both wrote a file that is no text.
    Binary,
    /// This side removed what the other one changed.
    Removed(bool),
    /// Different types.
    Type,
    /// Different permission bits.
    Mode,
    /// Different owners.
    Owner,
    /// Different values of an extended attribute.
    Xattrs,
    /// Different targets of a symlink.
    Target,
    /// Different new names.
    Renamed,
    /// One name for different things.
    Name,
}

impl ConflictKind {
    /// Of `Removed`: by whom.
    pub fn removed_by(self) -> Option<MergeSide> {
        match self {
            ConflictKind::Removed(true) => Some(MergeSide::Ours),
            ConflictKind::Removed(false) => Some(MergeSide::Theirs),
            _ => None,
        }
    }
}

/// A conflict.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Conflict {
    /// In ours, where it is there; else in theirs.
    pub path: Vec<u8>,
    /// Why.
    pub kind: ConflictKind,
    /// Where theirs was put, if not in the file itself.
    pub beside: Option<Vec<u8>>,
}

/// What came of merging a text.
pub enum MergedText {
    /// All of both.
    Clean(Vec<u8>),
    /// Both, with marks where they contradict each other.
    Marked(Vec<u8>),
    /// It is no text.
    Binary,
}

/// Who merges texts.
pub trait Texts {
    /// Regular files of base (if it had one), ours and theirs.
    fn merge(&self, base: Option<Ino>, ours: Ino, theirs: Ino) -> Result<MergedText>;
}

/// How to merge.
pub struct MergeOptions<'a> {
    /// Without it, what is in conflict stays as in ours.
    pub resolve: Option<Resolve>,
    /// What theirs is called: ends the names of what is put beside ours.
    pub label: &'a [u8],
    /// The times of what is changed: programs that compare times see a change.
    pub now: Timespec,
    /// Who merges texts.
    pub texts: &'a dyn Texts,
    /// What ours and theirs have in common with the base.
    pub kin: [Kinship; 2],
}

/// What came of a merge.
pub struct Merged {
    /// Ours, with the changes of theirs.
    pub tree: Arc<Tree>,
    /// By path, also those that were resolved.
    pub conflicts: Vec<Conflict>,
}

/// Makes the changes from `base` to `theirs` in `ours`, both of which come from `base`.
pub fn merge(
    base: &Tree,
    ours: &Tree,
    theirs: &Tree,
    options: &MergeOptions<'_>,
) -> Result<Merged> {
    let mut work = decide::decide(base, ours, theirs, options)?;
    apply::apply(&mut work)?;
    let mut conflicts = std::mem::take(&mut work.conflicts);
    conflicts.sort();
    conflicts.dedup();
    Ok(Merged { tree: work.builder.freeze(), conflicts })
}

/// The kinship of a base, which is a state of one workspace, with `side`, a state of another one
/// that once merged the base. Both gave numbers out on their own from `apart_from` on, so what the
/// one has of the other's files has another number there. `merged` is the state in which the other
/// one was after that merge: what had one path in both is one thing, and is followed from there.
pub fn kinship_after_merge(base: &Tree, merged: &Tree, side: &Tree, apart_from: Ino) -> Kinship {
    let kin = Kinship::apart_from(apart_from);
    let twins = path_diff(merged, side, DiffScope::default()).into_iter().filter_map(|change| {
        let (old_path, new) = (change.old_path?, change.new?);
        let twin = find(base, &old_path)?;
        let kind = |tree: &Tree, ino| tree.root.get(ino, Inode::kind);
        let is_one = kin.is_apart(twin) && kin.is_apart(new.ino);
        (is_one && kind(base, twin) == kind(side, new.ino)).then_some((twin, new.ino))
    });
    let twins: Vec<(Ino, Ino)> = twins.collect();
    kin.with_twins(twins)
}

fn find(tree: &Tree, path: &[u8]) -> Option<Ino> {
    let mut names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
    names.try_fold(Ino::ROOT, |at, name| {
        let look = |inode: &Inode| match &inode.body {
            Body::Dir(dir) => dir.get(name).map(|entry| entry.ino),
            _ => None,
        };
        tree.root.get(at, look).flatten()
    })
}

#[cfg(test)]
mod tests;
