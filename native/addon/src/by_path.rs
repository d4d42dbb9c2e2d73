//! File operations by path.

use devdev_vfs::api::{CopyTree, Listed};
use devdev_vfs::{Errno, SetTime, SetXattr, Timespec};
use napi::bindgen_prelude::{AsyncTask, Either, Float64ArraySlice, Uint8ArraySlice};
use napi_derive::napi;

use crate::by_file::open_flags;
use crate::failed::{Failed, Thrown};
use crate::operation::operation;
use crate::registry::engine;
use crate::values::{Bytes, Numbers, fill_numbers, packed};
use crate::work::Pooled;

type Nothing = ();

/// A time to set; without one the engine's present time.
#[napi(object)]
pub struct TimeToSet {
    /// Seconds since the epoch.
    pub secs: Option<i64>,
    pub nanos: Option<u32>,
}

impl TimeToSet {
    pub fn get(&self) -> SetTime {
        match self.secs {
            Some(secs) => SetTime::At(Timespec { secs, nanos: self.nanos.unwrap_or(0) }),
            None => SetTime::Now,
        }
    }
}

/// statfs(2): blocks, free blocks, inodes, free inodes.
fn statfs_numbers(statfs: devdev_vfs::StatFs) -> Vec<f64> {
    [statfs.blocks, statfs.free, statfs.files, statfs.files_free].map(|n| n as f64).to_vec()
}

type Statfs = Vec<f64>;
type Path = Option<Bytes>;

fn names(names: Vec<Box<[u8]>>) -> Bytes {
    let listed = names.into_iter().map(|name| Listed { name, kind: 0 });
    packed(&listed.collect::<Vec<_>>())
}

/// stat(2), or lstat(2) without `follow`; numbers in the order of packages/vfs.
#[napi(catch_unwind, ts_return_type = "Promise<Float64Array>")]
pub fn stat(number: u32, path: &[u8], follow: bool) -> Result<AsyncTask<Pooled<Numbers>>, Thrown> {
    let (engine, path) = (engine(number)?, path.to_vec());
    Ok(Pooled::task(move || {
        engine.api.stat(&path, follow).map(Numbers::from).map_err(Failed::from)
    }))
}

/// As `stat`, into `numbers`: no array is made for a call that takes a microsecond. Where
/// `may_miss`, a name that means nothing is `false`, as an exception costs ten times the call.
#[napi(catch_unwind)]
pub fn stat_sync(
    number: u32,
    path: &[u8],
    follow: bool,
    may_miss: bool,
    numbers: Float64ArraySlice<'_>,
) -> Result<bool, Thrown> {
    match engine(number)?.api.stat(path, follow) {
        Ok(attr) => fill_numbers(&attr, numbers).map(|()| true),
        Err(Errno::NoEnt | Errno::NotDir) if may_miss => Ok(false),
        Err(errno) => Err(Failed::from(errno).into()),
    }
}

operation! {
    "statfs(2): blocks, free blocks, inodes, free inodes."
    statfs / statfs_sync(path: &[u8]) own(path)
        -> Statfs as "Array<number>", "Promise<Array<number>>",
    |api| api.statfs(path).map(statfs_numbers).map_err(Failed::from)
}

operation! {
    "access(2) for the workspace's owner."
    access / access_sync(path: &[u8], mode: u32) own(path) -> Nothing as "void", "Promise<void>",
    |api| api.access(path, mode).map_err(Failed::from)
}

operation! {
    "The whole content of a file."
    read_file / read_file_sync(path: &[u8], flags: u32) own(path)
        -> Bytes as "Buffer", "Promise<Buffer>",
    |api| api.read_file(path, open_flags(flags)).map(Bytes).map_err(Failed::from)
}

/// As `read_file_sync`; content that fits goes into `room`, and its length is returned.
#[napi(catch_unwind, ts_return_type = "number | Buffer")]
pub fn read_file_into_sync(
    number: u32,
    path: &[u8],
    flags: u32,
    mut room: Uint8ArraySlice<'_>,
) -> Result<Either<u32, Bytes>, Thrown> {
    let engine = engine(number)?;
    let bytes = engine.api.read_file(path, open_flags(flags)).map_err(Failed::from)?;
    // SAFETY: this thread is JavaScript's, so nothing else touches its memory meanwhile.
    let room = unsafe { room.as_mut() };
    let Some(start) = room.get_mut(..bytes.len()) else { return Ok(Either::B(Bytes(bytes))) };
    start.copy_from_slice(&bytes);
    Ok(Either::A(bytes.len() as u32))
}

operation! {
    "Writes a whole file: creates, truncates or appends as the flags say."
    write_file / write_file_sync(path: &[u8], data: &[u8], flags: u32, mode: u32) own(path, data)
        -> Nothing as "void", "Promise<void>",
    |api| api.write_file(path, data, open_flags(flags), mode).map_err(Failed::from)
}

operation! {
    "Names by byte order, packed: kind, u32le length, name. Of a `recursive` listing paths."
    readdir / readdir_sync(path: &[u8], recursive: bool) own(path)
        -> Bytes as "Buffer", "Promise<Buffer>",
    |api| {
        let listed = if recursive { api.readdir_all(path) } else { api.readdir(path) };
        listed.map(|names| packed(&names)).map_err(Failed::from)
    }
}

operation! {
    "mkdir(2)."
    mkdir / mkdir_sync(path: &[u8], mode: u32) own(path) -> Nothing as "void", "Promise<void>",
    |api| api.mkdir(path, mode).map_err(Failed::from)
}

operation! {
    "Makes what is missing of a path; the topmost directory made, if any."
    mkdir_all / mkdir_all_sync(path: &[u8], mode: u32) own(path)
        -> Path as "Buffer | null", "Promise<Buffer | null>",
    |api| api.mkdir_all(path, mode).map(|made| made.map(Bytes)).map_err(Failed::from)
}

operation! {
    "rmdir(2)."
    rmdir / rmdir_sync(path: &[u8]) own(path) -> Nothing as "void", "Promise<void>",
    |api| api.rmdir(path).map_err(Failed::from)
}

operation! {
    "Removes a file or, when `recursive`, a tree."
    remove / remove_sync(path: &[u8], recursive: bool) own(path)
        -> Nothing as "void", "Promise<void>",
    |api| api.remove(path, recursive).map_err(Failed::from)
}

operation! {
    "unlink(2)."
    unlink / unlink_sync(path: &[u8]) own(path) -> Nothing as "void", "Promise<void>",
    |api| api.unlink(path).map_err(Failed::from)
}

operation! {
    "rename(2)."
    rename / rename_sync(path: &[u8], to: &[u8]) own(path, to) -> Nothing as "void", "Promise<void>",
    |api| api.rename(path, to).map_err(Failed::from)
}

operation! {
    "link(2)."
    link / link_sync(existing: &[u8], path: &[u8]) own(existing, path)
        -> Nothing as "void", "Promise<void>",
    |api| api.link(existing, path).map_err(Failed::from)
}

operation! {
    "symlink(2)."
    symlink / symlink_sync(target: &[u8], path: &[u8]) own(target, path)
        -> Nothing as "void", "Promise<void>",
    |api| api.symlink(target, path).map_err(Failed::from)
}

operation! {
    "readlink(2)."
    readlink / readlink_sync(path: &[u8]) own(path) -> Bytes as "Buffer", "Promise<Buffer>",
    |api| api.readlink(path).map(Bytes).map_err(Failed::from)
}

operation! {
    "realpath(3)."
    realpath / realpath_sync(path: &[u8]) own(path) -> Bytes as "Buffer", "Promise<Buffer>",
    |api| api.realpath(path).map(Bytes).map_err(Failed::from)
}

operation! {
    "chmod(2)."
    chmod / chmod_sync(path: &[u8], mode: u32) own(path) -> Nothing as "void", "Promise<void>",
    |api| api.chmod(path, mode).map_err(Failed::from)
}

operation! {
    "chown(2), or lchown(2) without `follow`."
    chown / chown_sync(path: &[u8], uid: Option<u32>, gid: Option<u32>, follow: bool) own(path)
        -> Nothing as "void", "Promise<void>",
    |api| api.chown(path, uid, gid, follow).map_err(Failed::from)
}

operation! {
    "utimensat(2)."
    utimes / utimes_sync(path: &[u8], atime: TimeToSet, mtime: TimeToSet, follow: bool) own(path)
        -> Nothing as "void", "Promise<void>",
    |api| api.utimes(path, atime.get(), mtime.get(), follow).map_err(Failed::from)
}

operation! {
    "truncate(2)."
    truncate / truncate_sync(path: &[u8], size: f64) own(path) -> Nothing as "void", "Promise<void>",
    |api| api.truncate(path, size as u64).map_err(Failed::from)
}

operation! {
    "Copies a file; content is shared."
    copy_file / copy_file_sync(path: &[u8], to: &[u8], exclusive: bool) own(path, to)
        -> Nothing as "void", "Promise<void>",
    |api| api.copy_file(path, to, exclusive).map_err(Failed::from)
}

operation! {
    "Copies a file, a symlink or a tree."
    copy_tree / copy_tree_sync(path: &[u8], to: &[u8], recursive: bool, force: bool) own(path, to)
        -> Nothing as "void", "Promise<void>",
    |api| api.copy_tree(path, to, CopyTree { recursive, force }).map_err(Failed::from)
}

operation! {
    "mknod(2)."
    mknod / mknod_sync(path: &[u8], mode: u32, rdev: u32) own(path)
        -> Nothing as "void", "Promise<void>",
    |api| api.mknod(path, mode, rdev).map_err(Failed::from)
}

operation! {
    "getxattr(2)."
    getxattr / getxattr_sync(path: &[u8], name: &[u8]) own(path, name)
        -> Bytes as "Buffer", "Promise<Buffer>",
    |api| api.getxattr(path, name).map(Bytes).map_err(Failed::from)
}

operation! {
    "setxattr(2)."
    setxattr / setxattr_sync(path: &[u8], name: &[u8], value: &[u8], create: bool, replace: bool)
        own(path, name, value) -> Nothing as "void", "Promise<void>",
    |api| {
        let how = SetXattr { create, replace };
        api.setxattr(path, name, value, how).map_err(Failed::from)
    }
}

operation! {
    "listxattr(2): names packed as by readdir."
    listxattr / listxattr_sync(path: &[u8]) own(path) -> Bytes as "Buffer", "Promise<Buffer>",
    |api| api.listxattr(path).map(names).map_err(Failed::from)
}

operation! {
    "removexattr(2)."
    removexattr / removexattr_sync(path: &[u8], name: &[u8]) own(path, name)
        -> Nothing as "void", "Promise<void>",
    |api| api.removexattr(path, name).map_err(Failed::from)
}
