//! A mounted workspace.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use devdev_vfs::{Restored, Vfs};

use crate::counters::OpCount;
use crate::errors::{HostMountError, UnmountError};
use crate::flush::FlushReport;
use crate::options::MountOptions;

/// A workspace served at a directory of the host. Dropping it unmounts by force.
///
/// None of its methods may run on a thread that serves requests; all but the readers of
/// counters may block for as long as the kernel needs to write dirty pages back, so not on a
/// JavaScript main thread.
pub struct Session {}

impl Session {
    /// Mounts `vfs` and serves it until `unmount`. Becomes the engine's invalidator.
    /// On an error nothing is mounted and nothing was changed.
    pub fn mount(_vfs: Arc<Vfs>, _options: MountOptions) -> Result<Session, HostMountError> {
        todo!()
    }

    /// The absolute path at which it is mounted.
    pub fn mount_point(&self) -> &Path {
        todo!()
    }

    /// Device number (major, minor) that stat reports for files of this mount.
    pub fn device(&self) -> (u32, u32) {
        todo!()
    }

    /// Whether requests are still served.
    pub fn is_alive(&self) -> bool {
        todo!()
    }

    /// Writes back what processes stored to shared mappings, and waits for it. To be called
    /// before a freeze; not for background checkpoints.
    pub fn flush(&self, _deadline: Duration) -> FlushReport {
        todo!()
    }

    /// Tells the kernel what `Vfs::restore` changed. When it returns, no process sees the old
    /// state any more (open files of removed inodes excepted).
    pub fn apply_restored(&self, _restored: &Restored) {
        todo!()
    }

    /// Unmounts. Without `force` a workspace in use stays mounted and the users are named; with
    /// `force` it is taken away from them (they get errors). Never hangs. Calling it again after
    /// success does nothing.
    pub fn unmount(&self, _force: bool) -> Result<(), UnmountError> {
        todo!()
    }

    /// Counters per kind of request, those that occurred.
    pub fn counters(&self) -> Vec<OpCount> {
        todo!()
    }
}
