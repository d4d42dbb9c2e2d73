//! The FUSE bridge: ABI, host mounting, transport, session. It translates the kernel's requests
//! into calls of `devdev_vfs::Vfs` and holds no file state of its own.
//!
//! Entry points: `Session::mount` serves a `Vfs` on a directory of the host; `devdev_mounts`,
//! `clear_dead_mount` and `mount_users` look at host mounts from outside.

#![cfg(target_os = "linux")]
#![warn(missing_docs)]

mod abi;
mod align;
mod awake;
mod busy;
mod classic;
mod core;
mod counters;
mod cpus;
mod dirty;
mod doomed;
mod errors;
mod flush;
mod follow;
mod handshake;
mod hidden;
mod host_mount;
mod late;
mod latency;
mod mappings;
mod mount_table;
mod notify;
mod ops;
mod options;
mod park;
mod probe;
mod readers;
mod replay;
mod replayer;
mod reply;
mod request;
mod session;
mod transport;
mod uring;
mod watchdog;
mod watches;
mod writeback;

pub use awake::stay_awake;
pub use busy::{MountUse, MountUser, mount_users};
pub use counters::{Counted, OpCount};
pub use errors::{HostMountError, UnmountError};
pub use flush::FlushReport;
pub use latency::LatencyBucket;
pub use mount_table::{HostMount, clear_dead_mount, devdev_mounts};
pub use options::{
    EndReason, EndSink, LogLevel, LogSink, MountOptions, Permissions, RequestHook, SyncHook,
    Transport,
};
#[doc(hidden)]
pub use request::is_request;
pub use session::Session;
pub use uring::{RingSupport, ring_support};
