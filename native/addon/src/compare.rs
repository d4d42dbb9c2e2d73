//! Comparing frozen trees: content ids and differences.

use devdev_pack::{Pace, content_id};
use devdev_vfs::{Attr, Change, ChangeKind, DiffScope, Differences, S_IFMT, path_diff};
use napi::Env;
use napi::bindgen_prelude::{Object, Uint8Array};
use napi_derive::napi;

use crate::failed::Thrown;
use crate::registry::tree;
use crate::values::Bytes;
use crate::work::long;

/// A path that differs between two trees.
#[napi(object)]
pub struct TreeChange {
    /// "added", "removed", "modified", "renamed".
    pub kind: String,
    pub path: Uint8Array,
    pub old_path: Option<Uint8Array>,
    /// File type bits >> 12, of the new side or of what was removed.
    pub file_kind: u32,
    /// The same of the old side, when there is one.
    pub old_file_kind: Option<u32>,
    /// What differs when both sides have it.
    pub changed: Vec<String>,
    pub old_size: Option<f64>,
    pub new_size: Option<f64>,
    pub old_mode: Option<u32>,
    pub new_mode: Option<u32>,
}

fn kind_name(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "added",
        ChangeKind::Removed => "removed",
        ChangeKind::Modified => "modified",
        ChangeKind::Renamed => "renamed",
    }
}

fn changed(differs: Differences) -> Vec<String> {
    let fields = [
        ("type", differs.kind || differs.rdev),
        ("content", differs.content),
        ("target", differs.target),
        ("mode", differs.mode),
        ("owner", differs.owner),
        ("xattrs", differs.xattrs),
        ("mtime", differs.mtime),
    ];
    fields.iter().filter(|field| field.1).map(|field| field.0.to_owned()).collect()
}

impl From<Change> for TreeChange {
    fn from(change: Change) -> TreeChange {
        let mode = |attr: &Attr| attr.mode & 0o7777;
        let kind = change.new.as_ref().or(change.old.as_ref()).map_or(0, |attr| attr.mode & S_IFMT);
        TreeChange {
            kind: kind_name(change.kind).to_owned(),
            path: change.path.into(),
            old_path: change.old_path.map(Uint8Array::from),
            file_kind: kind >> 12,
            old_file_kind: change.old.as_ref().map(|attr| (attr.mode & S_IFMT) >> 12),
            changed: changed(change.differs),
            old_size: change.old.map(|attr| attr.size as f64),
            new_size: change.new.map(|attr| attr.size as f64),
            old_mode: change.old.as_ref().map(mode),
            new_mode: change.new.as_ref().map(mode),
        }
    }
}

/// The tree's content id.
#[napi(catch_unwind, ts_return_type = "Promise<Buffer>")]
pub fn tree_content_id(env: &Env, number: u32) -> Result<Object<'_>, Thrown> {
    let handle = tree(number)?;
    long(env, "hash", move || Ok(Bytes(content_id(&handle.tree, Pace::FULL).0.to_vec())))
}

/// How many paths differ between two trees.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn tree_diff_count(env: &Env, from: u32, to: u32) -> Result<Object<'_>, Thrown> {
    let (from, to) = (tree(from)?, tree(to)?);
    long(
        env,
        "diff",
        move || Ok(path_diff(&from.tree, &to.tree, DiffScope::default()).len() as u32),
    )
}

/// What differs from the first tree to the second, by path; `times`: also where only the mtime
/// does; `within_renamed`: also everything in directories that were renamed.
#[napi(catch_unwind, ts_return_type = "Promise<Array<TreeChange>>")]
pub fn tree_diff(
    env: &Env,
    from: u32,
    to: u32,
    times: bool,
    within_renamed: bool,
) -> Result<Object<'_>, Thrown> {
    let scope = DiffScope { times, within_renamed };
    let (from, to) = (tree(from)?, tree(to)?);
    long(env, "diff", move || {
        let changes = path_diff(&from.tree, &to.tree, scope);
        Ok(changes.into_iter().map(TreeChange::from).collect::<Vec<_>>())
    })
}
