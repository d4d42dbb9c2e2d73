//! How a workspace is mounted on the host: what the caller chooses, and where messages go.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use devdev_vfs::Waker;

/// How much a message matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogLevel {
    /// For whoever looks into a problem.
    Debug,
    /// Normal life.
    Info,
    /// Something did not go as it should; the host mount goes on.
    Warn,
    /// An operation failed for a reason of our own.
    Error,
}

/// Takes the bridge's messages; called on any thread, must not block.
pub type LogSink = Arc<dyn Fn(LogLevel, &str) + Send + Sync>;

/// Told of an fsync: calls the waker once everything done so far is durable, or cannot be; must not
/// block.
pub type SyncHook = Arc<dyn Fn(Waker) + Send + Sync>;

/// Called before each request is answered, with its opcode and node (fault injection).
pub type RequestHook = Arc<dyn Fn(u32, u64) + Send + Sync>;

/// Why a session is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndReason {
    /// `Session::unmount`.
    Unmounted,
    /// Somebody else unmounted it, or the connection was aborted.
    Lost,
}

/// Called once, on a thread of the session, when the host mount is gone.
pub type EndSink = Arc<dyn Fn(EndReason) + Send + Sync>;

/// Who checks modes and owners.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Permissions {
    /// The kernel, except where root alone can enter (root's mount without `allow_other`).
    #[default]
    Auto,
    /// The kernel always (mount option default_permissions).
    Kernel,
    /// Nobody but ACCESS and execute bits; right only where root alone can enter.
    Unchecked,
}

/// How requests of the kernel come in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Transport {
    /// Read from and written to /dev/fuse.
    #[default]
    Classic,
    /// Through buffers shared with the kernel; classic where that cannot be had.
    IoUring,
}

/// How a workspace is mounted on the host.
#[derive(Clone)]
pub struct MountOptions {
    /// The directory; made if absent (and then removed at unmount).
    pub mount_point: PathBuf,
    /// Let other users enter.
    pub allow_other: bool,
    /// Who checks modes.
    pub permissions: Permissions,
    /// Honour set-user-id bits and devices (root only; ignored otherwise).
    pub suid_and_devices: bool,
    /// Whether extended attributes are served; must agree with `VfsOptions::xattrs`.
    pub xattrs: bool,
    /// Whether the kernel may keep what is written and hand it over later (it needs Linux 6.18).
    pub writeback: bool,
    /// How requests are to come in.
    pub transport: Transport,
    /// Threads that read requests (classic transport).
    pub readers: usize,
    /// Requests of one CPU that may wait for the store at a time; more get EBUSY (io_uring).
    pub spares: usize,
    /// How long a request may wait for the store before it fails with EIO.
    pub park_timeout: Duration,
    /// fsync waits for this; without it there is nothing to wait for.
    pub sync: Option<SyncHook>,
    /// How long at most; then it fails with EIO.
    pub sync_timeout: Duration,
    /// The helper binary that watches over this process; without it nobody clears the host
    /// mount when this process is killed.
    pub helper: Option<PathBuf>,
    /// The FUSE device.
    pub device: PathBuf,
    /// The set-user-id mount program for those who are not root; found on PATH when `None`.
    pub fusermount: Option<PathBuf>,
    /// Its configuration (read to say early whether `allow_other` is permitted).
    pub fuse_conf: PathBuf,
    /// Where messages go.
    pub log: Option<LogSink>,
    /// Told when the host mount is gone.
    pub on_end: Option<EndSink>,
    /// Fault injection for tests.
    pub hook: Option<RequestHook>,
}

impl MountOptions {
    /// The defaults for this mount point.
    pub fn new(mount_point: impl Into<PathBuf>) -> MountOptions {
        MountOptions {
            mount_point: mount_point.into(),
            allow_other: false,
            permissions: Permissions::Auto,
            suid_and_devices: false,
            xattrs: true,
            writeback: false,
            transport: Transport::default(),
            readers: 2,
            spares: 1024,
            park_timeout: Duration::from_secs(30),
            sync: None,
            sync_timeout: Duration::from_secs(120),
            helper: None,
            device: PathBuf::from("/dev/fuse"),
            fusermount: None,
            fuse_conf: PathBuf::from("/etc/fuse.conf"),
            log: None,
            on_end: None,
            hook: None,
        }
    }
}
