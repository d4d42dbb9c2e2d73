//! Attributes of an inode as callers see and change them.

use crate::ids::NodeId;

/// Bytes in a page: the unit of allocation, of holes and of `st_blocks`.
pub const PAGE_SIZE: u64 = 4096;
/// The longest file: the largest offset that a signed 64-bit position can name.
pub const MAX_FILE_SIZE: u64 = i64::MAX as u64;
/// The longest name of a directory entry, in bytes.
pub const NAME_MAX: usize = 255;
/// The longest symlink target, in bytes.
pub const PATH_MAX: usize = 4095;
/// Bits of `mode` that hold the file type.
pub const S_IFMT: u32 = 0o170000;
/// Regular file.
pub const S_IFREG: u32 = 0o100000;
/// Directory.
pub const S_IFDIR: u32 = 0o040000;
/// Symbolic link.
pub const S_IFLNK: u32 = 0o120000;
/// Fifo.
pub const S_IFIFO: u32 = 0o010000;
/// Socket.
pub const S_IFSOCK: u32 = 0o140000;
/// Character device.
pub const S_IFCHR: u32 = 0o020000;
/// Block device.
pub const S_IFBLK: u32 = 0o060000;
/// Set-user-id bit.
pub const S_ISUID: u32 = 0o4000;
/// Set-group-id bit.
pub const S_ISGID: u32 = 0o2000;
/// Group execute bit: with it, the set-group-id bit is more than a lock marker.
pub const S_IXGRP: u32 = 0o0010;

/// A point in time: seconds since the epoch (may be negative) and 0..1e9 nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timespec {
    /// Seconds since 1970-01-01 UTC.
    pub secs: i64,
    /// Nanoseconds within the second.
    pub nanos: u32,
}

/// Where the time comes from; handed in, so that equal runs give equal state.
pub trait Clock: Send + Sync {
    /// The present time.
    fn now(&self) -> Timespec;
}

/// On whose behalf an operation runs. The umask has been applied by the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Caller {
    /// Owner of what is created.
    pub uid: u32,
    /// Group of what is created, unless the directory has its set-group-id bit.
    pub gid: u32,
    /// The process, 0 if not known.
    pub pid: u32,
}

/// All attributes, as stat(2) and statx(2) report them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attr {
    /// The node; its number is `st_ino` (in the live tree that is the inode number).
    pub node: NodeId,
    /// Type and permission bits.
    pub mode: u32,
    /// Number of names (of a directory: 2 + subdirectories).
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number of a device node, as `dev_t` in the kernel's new encoding.
    pub rdev: u32,
    /// Bytes; of a directory the number of entries times 32, of a symlink its target's length.
    pub size: u64,
    /// Allocated 512-byte units; holes count nothing.
    pub blocks: u64,
    /// Last access, as set explicitly (the file system is noatime).
    pub atime: Timespec,
    /// Last change of content.
    pub mtime: Timespec,
    /// Last change of the inode.
    pub ctime: Timespec,
    /// Creation.
    pub btime: Timespec,
}

/// A time to set: now (by the engine's clock) or given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetTime {
    /// The engine's present time.
    Now,
    /// This time.
    At(Timespec),
}

/// What setattr changes; `None` leaves a field alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SetAttr {
    /// Permission bits (the type bits are ignored).
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Length: truncates or extends with a hole.
    pub size: Option<u64>,
    /// Access time.
    pub atime: Option<SetTime>,
    /// Content time.
    pub mtime: Option<SetTime>,
    /// Inode time; now when not given.
    pub ctime: Option<Timespec>,
    /// Clear set-user-id and (where group execute is set) set-group-id, as chown and
    /// truncate by an unprivileged caller must (FUSE_HANDLE_KILLPRIV_V2).
    pub kill_privileges: bool,
}
