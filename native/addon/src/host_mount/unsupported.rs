//! Where there is no bridge: nothing is ever mounted, and mounting says so.

use std::sync::Arc;

use devdev_vfs::{Restored, Vfs};

use super::{
    FlushInfo, FoundMountInfo, Listeners, MountConfig, MountFigures, MountUserInfo, MountedInfo,
};
use crate::engine::Engine;
use crate::failed::Failed;

/// No CPU waits for requests.
pub fn stay_awake() {}

/// Always empty.
#[derive(Default)]
pub struct HostMountSlot;

impl HostMountSlot {
    pub fn expect_restore(&self) {}

    pub fn apply_restored(&self, vfs: &Vfs, _: &Restored) {
        vfs.restore_done();
    }

    pub fn is_mounted(&self) -> bool {
        false
    }

    pub fn is_alive(&self) -> bool {
        false
    }

    pub fn stats(&self, _reset: bool) -> Option<MountFigures> {
        None
    }

    pub fn flush(&self, _deadline_ms: u32) -> FlushInfo {
        FlushInfo { inodes: 0, processes: 0, complete: true, ms: 0.0 }
    }

    pub fn unmount(&self, _force: bool) -> Result<(), Failed> {
        Ok(())
    }

    pub fn abandon(&self) {}
}

fn unsupported() -> Failed {
    let message = "mounting needs FUSE, which this platform does not have: use the file API";
    Failed::new("ERR_MOUNT_UNSUPPORTED", message)
}

pub fn mount(_: &Arc<Engine>, _: MountConfig, _: Listeners) -> Result<MountedInfo, Failed> {
    Err(unsupported())
}

pub fn host_mounts() -> Result<Vec<FoundMountInfo>, Failed> {
    Ok(Vec::new())
}

pub fn mount_users(_path: String) -> Result<Vec<MountUserInfo>, Failed> {
    Ok(Vec::new())
}

pub fn clear_dead_mount(_path: String) -> Result<bool, Failed> {
    Ok(false)
}
