//! Merging frozen trees.

use std::sync::{Arc, Weak};

use devdev_pack::merge_text;
use devdev_vfs::api::FrozenTree;
use devdev_vfs::{
    Conflict, ConflictKind, Errno, Ino, Kinship, MergeOptions, MergeSide, MergedText, Resolve,
    Texts, Tree, kinship_after_merge, merge,
};
use napi::Env;
use napi::bindgen_prelude::{Object, Uint8Array};
use napi_derive::napi;

use crate::engine::{Engine, Time};
use crate::failed::Thrown;
use crate::registry::{TreeHandle, tree};
use crate::trees::add_tree;
use crate::work::long;

/// What is known of the side that is not of the workspace of the base: which merged the base once.
#[napi(object)]
pub struct MergedBefore {
    /// It is ours; else it is theirs.
    pub is_ours: bool,
    /// From this inode number on both gave numbers out on their own.
    pub apart_from: f64,
    /// Its tree after that merge.
    pub tree: Option<u32>,
}

/// How to merge.
#[napi(object)]
pub struct TreeMergeOptions {
    /// "ours", "theirs", "markers"; without it what is in conflict stays as in ours.
    pub resolve: Option<String>,
    /// What theirs is called.
    pub label: Uint8Array,
    /// The times of what is changed.
    pub time: Time,
    pub merged_before: Option<MergedBefore>,
}

/// A side that merged the base, as it was then, and since which number it is on its own.
struct Before {
    side: usize,
    apart_from: Ino,
    tree: Option<Arc<TreeHandle>>,
}

impl Before {
    fn of(options: &MergedBefore) -> Result<Before, Thrown> {
        let tree = options.tree.map(tree).transpose()?;
        let side = usize::from(!options.is_ours);
        Ok(Before { side, apart_from: Ino(options.apart_from as u64), tree })
    }

    fn kinship(&self, base: &Tree, sides: [&Tree; 2]) -> [Kinship; 2] {
        let mut kin = <[Kinship; 2]>::default();
        kin[self.side] = match &self.tree {
            Some(merged) => {
                kinship_after_merge(base, &merged.tree, sides[self.side], self.apart_from)
            }
            None => Kinship::apart_from(self.apart_from),
        };
        kin
    }
}

/// A conflict.
#[napi(object)]
pub struct TreeConflict {
    pub path: Uint8Array,
    /// "content", "binary", "removed", ...
    pub kind: String,
    /// Of "removed": "ours" or "theirs".
    pub removed_by: Option<String>,
    /// Where theirs was put.
    pub beside: Option<Uint8Array>,
}

/// What came of a merge.
#[napi(object)]
pub struct TreeMerged {
    pub tree: u32,
    pub conflicts: Vec<TreeConflict>,
}

impl From<Conflict> for TreeConflict {
    fn from(conflict: Conflict) -> TreeConflict {
        let kind = match conflict.kind {
            ConflictKind::Content => "content",
            ConflictKind::Binary => "binary",
            ConflictKind::Removed(_) => "removed",
            ConflictKind::Type => "type",
            ConflictKind::Mode => "mode",
            ConflictKind::Owner => "owner",
            ConflictKind::Xattrs => "xattrs",
            ConflictKind::Target => "target",
            ConflictKind::Renamed => "renamed",
            ConflictKind::Name => "name",
        };
        let side = |side| match side {
            MergeSide::Ours => "ours".to_owned(),
            MergeSide::Theirs => "theirs".to_owned(),
        };
        TreeConflict {
            path: conflict.path.into(),
            kind: kind.to_owned(),
            removed_by: conflict.kind.removed_by().map(side),
            beside: conflict.beside.map(Uint8Array::from),
        }
    }
}

/// Base, ours and theirs.
struct Files([Arc<TreeHandle>; 3]);

impl Files {
    fn read(&self, side: usize, ino: Ino) -> Result<Option<Vec<u8>>, Errno> {
        let handle = &self.0[side];
        let store = handle.store().upgrade();
        let store = store.as_ref().map(|engine| &*engine.vfs);
        match (FrozenTree { tree: &handle.tree, store }).read_inode(ino) {
            Err(Errno::FBig) => Ok(None),
            read => read.map(Some),
        }
    }
}

impl Texts for Files {
    fn merge(&self, base: Option<Ino>, ours: Ino, theirs: Ino) -> Result<MergedText, Errno> {
        let base = base.map_or(Ok(Some(Vec::new())), |ino| self.read(0, ino))?;
        match (base, self.read(1, ours)?, self.read(2, theirs)?) {
            (Some(base), Some(ours), Some(theirs)) => Ok(merge_text(&base, &ours, &theirs)),
            _ => Ok(MergedText::Binary),
        }
    }
}

/// Makes the changes from `base` to `theirs` in `ours`: a new tree.
#[napi(catch_unwind, ts_return_type = "Promise<TreeMerged>")]
pub fn tree_merge(
    env: &Env,
    base: u32,
    ours: u32,
    theirs: u32,
    options: TreeMergeOptions,
) -> Result<Object<'_>, Thrown> {
    let files = Files([tree(base)?, tree(ours)?, tree(theirs)?]);
    let resolve = match options.resolve.as_deref() {
        Some("ours") => Some(Resolve::Ours),
        Some("theirs") => Some(Resolve::Theirs),
        Some("markers") => Some(Resolve::Markers),
        _ => None,
    };
    let (label, now) = (options.label.to_vec(), options.time.into());
    let before = options.merged_before.as_ref().map(Before::of).transpose()?;
    long(env, "merge", move || {
        let [base, ours, theirs] = files.0.each_ref().map(|handle| handle.tree.clone());
        let kin = before.map(|before| before.kinship(&base, [&ours, &theirs])).unwrap_or_default();
        let options = MergeOptions { resolve, label: &label, now, texts: &files, kin };
        let merged = merge(&base, &ours, &theirs, &options)?;
        let store: Weak<Engine> = files.0[1].store();
        let conflicts = merged.conflicts.into_iter().map(TreeConflict::from).collect();
        Ok(TreeMerged { tree: add_tree(merged.tree, store), conflicts })
    })
}
