//! Host mounts of devdev as /proc/self/mountinfo lists them, and what is left of dead ones.

use std::path::{Path, PathBuf};

/// A host mount of devdev.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostMount {
    /// Where.
    pub mount_point: PathBuf,
    /// Device number: major, minor.
    pub device: (u32, u32),
    /// Whose it is (mount option user_id).
    pub uid: u32,
}

/// Every host mount of devdev in this mount namespace, outermost first. Touches none of them.
pub fn devdev_mounts() -> std::io::Result<Vec<HostMount>> {
    todo!()
}

/// Clears what a killed server left at `mount_point`: true when there was a dead mount and it is
/// gone now; false when nothing of devdev is mounted there or it is alive.
pub fn clear_dead_mount(mount_point: &Path) -> std::io::Result<bool> {
    todo!("{}", mount_point.display())
}
