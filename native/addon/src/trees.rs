//! Frozen trees: freezing, restoring, reading.

use std::sync::{Arc, Weak};
use std::time::Instant;

use devdev_vfs::api::FrozenTree;
use devdev_vfs::{Graft, Tree};
use napi::Env;
use napi::bindgen_prelude::{AsyncTask, BigInt, Object, Uint8Array};
use napi_derive::napi;

use crate::engine::Engine;
use crate::failed::{Failed, Thrown};
use crate::host_mount::stay_awake;
use crate::registry::{TREES, TreeHandle, engine, tree};
use crate::values::Bytes;
use crate::work::{Pooled, long};

/// Registers a tree.
pub fn add_tree(tree: Arc<Tree>, store: Weak<Engine>) -> u32 {
    TREES.add(Arc::new(TreeHandle::new(tree, store)))
}

/// A tree that a freeze made.
#[napi(object)]
pub struct Frozen {
    pub tree: u32,
    /// How long operations were held up, in nanoseconds.
    pub pause_ns: f64,
}

/// A tree's size.
#[napi(object)]
pub struct TreeInfo {
    pub bytes: f64,
    pub inodes: f64,
    /// All inode numbers that its workspace had given out are below this one.
    pub next_ino: f64,
}

/// What a restore did.
#[napi(object)]
pub struct RestoreInfo {
    /// Inodes whose attributes or content changed.
    pub inodes: u32,
    /// Names that changed their meaning.
    pub names: u32,
    pub pause_ns: f64,
}

/// Freezes the live tree.
#[napi(catch_unwind)]
pub fn freeze(number: u32) -> Result<Frozen, Thrown> {
    let engine = engine(number)?;
    let mut since = Instant::now();
    let tree = engine.vfs.freeze_noting(|| since = Instant::now());
    let pause_ns = since.elapsed().as_nanos() as f64;
    Ok(Frozen { tree: add_tree(tree, Arc::downgrade(&engine)), pause_ns })
}

/// A restore is to come: begins to find out what it needs to know.
#[napi(catch_unwind)]
pub fn expect_restore(number: u32) -> Result<(), Thrown> {
    engine(number)?.host_mount.expect_restore();
    Ok(())
}

/// Makes a tree the live state, then brings the kernel's caches in line; with a `change_count` only
/// if that is still the engine's, else the answer is null.
#[napi(catch_unwind, ts_return_type = "Promise<RestoreInfo | null>")]
pub fn restore(
    env: &Env,
    number: u32,
    tree_number: u32,
    change_count: Option<BigInt>,
) -> Result<Object<'_>, Thrown> {
    let change_count = change_count.map(|count| count.get_u64().1);
    let (engine, tree) = (engine(number)?, tree(tree_number)?);
    stay_awake();
    long(env, "restore", move || {
        let start = Instant::now();
        let Some(restored) = engine.vfs.restore_after(&tree.tree, change_count) else {
            return Ok(None);
        };
        let pause_ns = start.elapsed().as_nanos() as f64;
        engine.host_mount.apply_restored(&engine.vfs, &restored);
        let (inodes, names) = (restored.inodes.len() as u32, restored.names.len() as u32);
        Ok(Some(RestoreInfo { inodes, names, pause_ns }))
    })
}

/// A path that is to be as in another tree.
#[napi(object)]
pub struct GraftPath {
    pub path: Uint8Array,
    /// Of a directory: its attributes only.
    pub shallow: bool,
}

/// A tree, or which path could not be, and why.
#[napi(object)]
pub struct Grafted {
    pub tree: Option<u32>,
    pub at: Option<u32>,
    pub errno: Option<String>,
}

/// A tree like `base`, which was frozen from the engine, with these paths as in `source`.
#[napi(catch_unwind, ts_return_type = "Promise<Grafted>")]
pub fn graft(
    env: &Env,
    number: u32,
    base: u32,
    source: u32,
    paths: Vec<GraftPath>,
) -> Result<Object<'_>, Thrown> {
    let (engine, base, source) = (engine(number)?, tree(base)?, tree(source)?);
    let paths = paths.into_iter().map(|p| Graft { path: p.path.to_vec(), shallow: p.shallow });
    let paths: Vec<Graft> = paths.collect();
    long(env, "restore", move || {
        Ok(match engine.vfs.graft(&base.tree, &source.tree, &paths) {
            Ok(tree) => {
                let tree = add_tree(tree, Arc::downgrade(&engine));
                Grafted { tree: Some(tree), at: None, errno: None }
            }
            Err((at, errno)) => {
                let errno = Some(errno.name().to_owned());
                Grafted { tree: None, at: Some(at as u32), errno }
            }
        })
    })
}

/// The store has this tree, frozen from the engine.
#[napi(catch_unwind)]
pub fn mark_clean(number: u32, tree_number: u32) -> Result<(), Thrown> {
    engine(number)?.vfs.mark_clean(&tree(tree_number)?.tree);
    Ok(())
}

/// A number of its own for the same tree.
#[napi(catch_unwind)]
pub fn tree_attach(number: u32) -> Result<u32, Thrown> {
    let handle = tree(number)?;
    Ok(add_tree(handle.tree.clone(), handle.store()))
}

/// Lets a tree go.
#[napi(catch_unwind)]
pub fn tree_dispose(number: u32) {
    // Freeing a large tree takes its time.
    if let Some(tree) = TREES.remove(number)
        && Arc::strong_count(&tree.tree) == 1
    {
        std::thread::spawn(move || drop(tree));
    }
}

/// How large it is.
#[napi(catch_unwind)]
pub fn tree_info(number: u32) -> Result<TreeInfo, Thrown> {
    let tree = &tree(number)?.tree;
    let next_ino = tree.next_ino.0 as f64;
    Ok(TreeInfo { bytes: tree.bytes as f64, inodes: tree.inodes as f64, next_ino })
}

/// Lets the tree's missing bytes come through this engine's needs.
#[napi(catch_unwind)]
pub fn tree_load_through(number: u32, engine_number: u32) -> Result<(), Thrown> {
    tree(number)?.load_through(&engine(engine_number)?);
    Ok(())
}

fn with_frozen<R>(
    handle: &TreeHandle,
    read: impl FnOnce(FrozenTree<'_>) -> devdev_vfs::Result<R>,
) -> Result<R, Failed> {
    let store = handle.store().upgrade();
    let store = store.as_ref().map(|engine| &*engine.vfs);
    Ok(read(FrozenTree { tree: &handle.tree, store })?)
}

/// The content of a regular file in it.
#[napi(catch_unwind, ts_return_type = "Promise<Buffer>")]
pub fn tree_read_file(number: u32, path: &[u8]) -> Result<AsyncTask<Pooled<Bytes>>, Thrown> {
    let (handle, path) = (tree(number)?, path.to_vec());
    Ok(Pooled::task(move || with_frozen(&handle, |tree| tree.read_file(&path)).map(Bytes)))
}

/// Up to `len` bytes of a regular file in it, from `offset` on; fewer at its end.
#[napi(catch_unwind, ts_return_type = "Promise<Buffer>")]
pub fn tree_read_range(
    number: u32,
    path: &[u8],
    offset: f64,
    len: u32,
) -> Result<AsyncTask<Pooled<Bytes>>, Thrown> {
    let (handle, path) = (tree(number)?, path.to_vec());
    let read = move || {
        let range = |tree: FrozenTree<'_>| tree.read_range(&path, offset as u64, len as usize);
        with_frozen(&handle, range).map(Bytes)
    };
    Ok(Pooled::task(read))
}

/// The target of a symlink in it.
#[napi(catch_unwind, ts_return_type = "Promise<Buffer>")]
pub fn tree_readlink(number: u32, path: &[u8]) -> Result<AsyncTask<Pooled<Bytes>>, Thrown> {
    let (handle, path) = (tree(number)?, path.to_vec());
    Ok(Pooled::task(move || with_frozen(&handle, |tree| tree.readlink(&path)).map(Bytes)))
}
