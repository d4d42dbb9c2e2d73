//! File operations by open file.

use devdev_vfs::api::{Fd, OpenFlags};

use crate::by_path::TimeToSet;
use crate::failed::Failed;
use crate::operation::operation;
use crate::values::{Bytes, Numbers};

type Nothing = ();
type Number = u32;

/// Flags as bits: read 1, write 2, append 4, create 8, exclusive 16, truncate 32, directory 64,
/// nofollow 128. Our own, because the host's numbers differ between platforms.
pub fn open_flags(bits: u32) -> OpenFlags {
    let has = |bit: u32| bits & bit != 0;
    OpenFlags {
        read: has(1),
        write: has(2),
        append: has(4),
        create: has(8),
        exclusive: has(16),
        truncate: has(32),
        directory: has(64),
        nofollow: has(128),
    }
}

fn offset(position: Option<f64>) -> Option<u64> {
    position.map(|position| position as u64)
}

operation! {
    "open(2): a number of the engine's own table."
    open / open_sync(path: &[u8], flags: u32, mode: u32) own(path)
        -> Number as "number", "Promise<number>",
    |api| api.open(path, open_flags(flags), mode).map(|fd| fd.0).map_err(Failed::from)
}

operation! {
    "close(2)."
    close / close_sync(fd: u32) own() -> Nothing as "void", "Promise<void>",
    |api| api.close(Fd(fd)).map_err(Failed::from)
}

operation! {
    "fstat(2)."
    fstat / fstat_sync(fd: u32) own() -> Numbers as "Float64Array", "Promise<Float64Array>",
    |api| api.fstat(Fd(fd)).map(Numbers::from).map_err(Failed::from)
}

operation! {
    "read(2), or pread(2) with a position."
    read / read_sync(fd: u32, length: u32, position: Option<f64>) own()
        -> Bytes as "Buffer", "Promise<Buffer>",
    |api| api.read(Fd(fd), length as usize, offset(position)).map(Bytes).map_err(Failed::from)
}

operation! {
    "What follows the position."
    read_rest / read_rest_sync(fd: u32) own() -> Bytes as "Buffer", "Promise<Buffer>",
    |api| api.read_rest(Fd(fd)).map(Bytes).map_err(Failed::from)
}

operation! {
    "write(2), or pwrite(2) with a position; the number of bytes written."
    write / write_sync(fd: u32, data: &[u8], position: Option<f64>) own(data)
        -> Number as "number", "Promise<number>",
    |api| {
        let written = api.write(Fd(fd), data, offset(position));
        written.map(|n| n as u32).map_err(Failed::from)
    }
}

operation! {
    "ftruncate(2)."
    ftruncate / ftruncate_sync(fd: u32, size: f64) own() -> Nothing as "void", "Promise<void>",
    |api| api.ftruncate(Fd(fd), size as u64).map_err(Failed::from)
}

operation! {
    "fchmod(2)."
    fchmod / fchmod_sync(fd: u32, mode: u32) own() -> Nothing as "void", "Promise<void>",
    |api| api.fchmod(Fd(fd), mode).map_err(Failed::from)
}

operation! {
    "fchown(2)."
    fchown / fchown_sync(fd: u32, uid: Option<u32>, gid: Option<u32>) own()
        -> Nothing as "void", "Promise<void>",
    |api| api.fchown(Fd(fd), uid, gid).map_err(Failed::from)
}

operation! {
    "futimens(2)."
    futimes / futimes_sync(fd: u32, atime: TimeToSet, mtime: TimeToSet) own()
        -> Nothing as "void", "Promise<void>",
    |api| api.futimes(Fd(fd), atime.get(), mtime.get()).map_err(Failed::from)
}

operation! {
    "fsync(2)."
    fsync / fsync_sync(fd: u32) own() -> Nothing as "void", "Promise<void>",
    |api| api.fsync(Fd(fd)).map_err(Failed::from)
}
