//! Merging frozen trees.

use std::sync::{Arc, Weak};

use devdev_pack::merge_text;
use devdev_vfs::api::FrozenTree;
use devdev_vfs::{
    Conflict, ConflictKind, Errno, Ino, MergeOptions, MergeSide, MergedText, Resolve, Texts, merge,
};
use napi::Env;
use napi::bindgen_prelude::{Object, Uint8Array};
use napi_derive::napi;

use crate::engine::{Engine, Time};
use crate::failed::Thrown;
use crate::registry::{TreeHandle, tree};
use crate::trees::add_tree;
use crate::work::long;

/// How to merge.
#[napi(object)]
pub struct TreeMergeOptions {
    /// "ours", "theirs", "markers"; without it what is in conflict stays as in ours.
    pub resolve: Option<String>,
    /// What theirs is called.
    pub label: Uint8Array,
    /// The times of what is changed.
    pub time: Time,
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
    long(env, "merge", move || {
        let [base, ours, theirs] = files.0.each_ref().map(|handle| handle.tree.clone());
        let options = MergeOptions { resolve, label: &label, now, texts: &files };
        let merged = merge(&base, &ours, &theirs, &options)?;
        let store: Weak<Engine> = files.0[1].store();
        let conflicts = merged.conflicts.into_iter().map(TreeConflict::from).collect();
        Ok(TreeMerged { tree: add_tree(merged.tree, store), conflicts })
    })
}
