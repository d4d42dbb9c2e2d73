//! The flush barrier: what processes have stored to shared mappings reaches the engine.

use std::time::Duration;

/// What a flush did.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlushReport {
    /// Processes whose mappings were looked at.
    pub processes: u32,
    /// Processes that hid their mappings and could have some of ours.
    pub hidden: u32,
    /// Inodes whose dirty pages were written and waited for.
    pub inodes: u32,
    /// Whether every held inode was flushed, because mappings could not be listed.
    pub all_held: bool,
    /// False when the deadline came first: dirty pages may be missing.
    pub complete: bool,
    /// How long it took.
    pub elapsed: Duration,
}
