//! Who uses a host mount.

use std::fmt;
use std::path::Path;

/// In what way a process uses a host mount.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MountUse {
    /// It is its working directory.
    Cwd,
    /// It is its root directory.
    Root,
    /// It runs a program from there.
    Exe,
    /// It has a file open.
    File,
    /// It maps a file.
    Mapping,
}

impl fmt::Display for MountUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MountUse::Cwd => "working directory",
            MountUse::Root => "root directory",
            MountUse::Exe => "program",
            MountUse::File => "open file",
            MountUse::Mapping => "mapped file",
        })
    }
}

/// A process that uses a host mount.
#[derive(Clone, Debug)]
pub struct MountUser {
    /// Its id.
    pub pid: u32,
    /// Its command's name.
    pub command: String,
    /// The first way in which it uses the mount.
    pub how: MountUse,
}

/// The processes that use what is mounted at `mount_point`, as far as they can be seen. Reads
/// /proc only: never touches the mount.
pub fn mount_users(mount_point: &Path) -> Vec<MountUser> {
    todo!("{}", mount_point.display())
}
