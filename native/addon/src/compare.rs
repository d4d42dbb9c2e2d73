//! Comparing frozen trees: content ids and differences.

use std::sync::{Mutex, PoisonError};
use std::vec::IntoIter;

use devdev_pack::{Pace, content_id};
use devdev_vfs::{
    Change, ChangeKind, DiffScope, Differences, Ino, Kinship, S_IFMT, Seen, count_changes,
    path_diff_of,
};
use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use crate::failed::Thrown;
use crate::registry::tree;
use crate::values::Bytes;
use crate::work::long;

/// How two trees are compared.
#[napi(object)]
pub struct TreeDiffOptions {
    /// Also where only the mtime differs.
    pub times: bool,
    /// Also everything in directories that were renamed.
    pub within_renamed: bool,
    /// Trees of different workspaces: the inode number from which on equal ones are different
    /// things.
    pub apart_from: Option<f64>,
}

impl TreeDiffOptions {
    fn kinship(&self) -> Kinship {
        self.apart_from.map_or_else(Kinship::default, |from| Kinship::apart_from(Ino(from as u64)))
    }
}

/// Bits of `changed`, the lowest first; packages/vfs/src/tree-diff.ts has the same order.
fn changed(differs: Differences) -> u8 {
    let fields = [
        differs.kind || differs.rdev,
        differs.content,
        differs.target,
        differs.mode,
        differs.owner,
        differs.xattrs,
        differs.mtime,
    ];
    fields.iter().enumerate().fold(0, |bits, (n, set)| bits | u8::from(*set) << n)
}

/// Of a side that is not there.
const NO_KIND: u8 = 0xff;
const NO_LENGTH: u32 = u32::MAX;
/// Bytes of a change before its paths.
const HEAD: usize = 36;

// kind, changed, file kind of the new side (or of what was removed), that of the old side (type
// bits >> 12), u32le mode and f64le size of the old side and of the new one, u32le length of the
// path and of the old one; the paths.
fn pack(change: &Change, into: &mut Vec<u8>) {
    let file_kind = |seen: &Option<Seen>| seen.map_or(NO_KIND, |s| ((s.mode & S_IFMT) >> 12) as u8);
    let Change { path, kind, old_path, differs, old, new } = change;
    let kind = match kind {
        ChangeKind::Added => 0,
        ChangeKind::Removed => 1,
        ChangeKind::Modified => 2,
        ChangeKind::Renamed => 3,
    };
    into.extend([kind, changed(*differs), file_kind(&new.or(*old)), file_kind(old)]);
    for side in [old, new] {
        into.extend(side.map_or(0, |seen| seen.mode & 0o7777).to_le_bytes());
    }
    for side in [old, new] {
        into.extend(side.map_or(f64::NAN, |seen| seen.size as f64).to_le_bytes());
    }
    let old_length = old_path.as_ref().map_or(NO_LENGTH, |path| path.len() as u32);
    into.extend((path.len() as u32).to_le_bytes());
    into.extend(old_length.to_le_bytes());
    into.extend(path);
    into.extend(old_path.iter().flatten());
}

/// A difference between two trees, handed over in pieces: an object for each change at once would
/// hold up JavaScript for seconds.
#[napi]
pub struct NativeDiff {
    left: Mutex<IntoIter<Change>>,
}

#[napi]
impl NativeDiff {
    /// What differs from the first tree to the second, by path.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeDiff>")]
    pub fn start(
        env: &Env,
        from: u32,
        to: u32,
        options: TreeDiffOptions,
    ) -> Result<Object<'_>, Thrown> {
        let scope = DiffScope { times: options.times, within_renamed: options.within_renamed };
        let kin = options.kinship();
        let (from, to) = (tree(from)?, tree(to)?);
        long(env, "diff", move || {
            let changes = path_diff_of(&from.tree, &to.tree, scope, &kin);
            Ok(NativeDiff { left: Mutex::new(changes.into_iter()) })
        })
    }

    /// Up to `most` of the changes that are left, packed; nothing when that was all.
    #[napi(catch_unwind, ts_return_type = "Buffer")]
    pub fn next(&self, most: u32) -> Bytes {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let some = left.len().min(most as usize);
        let mut packed = Vec::with_capacity(some * (HEAD + 64));
        left.by_ref().take(some).for_each(|change| pack(&change, &mut packed));
        Bytes(packed)
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
    long(env, "diff", move || Ok(count_changes(&from.tree, &to.tree) as u32))
}
