//! The transport over read and write on /dev/fuse, each reader on a descriptor of its own.
//!
//! Two readers on cloned descriptors: more only move requests between CPUs (a hand-off to another
//! CPU costs three times the whole trip). A reply must go out on the descriptor that its request
//! came in on, because each has its own list of unanswered requests.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{self, Setter};

use crate::transport::{Channel, Port, Received, SendError};

/// One open file of the connection.
pub(crate) struct DeviceFile(OwnedFd);

impl DeviceFile {
    /// Wraps the descriptor that was mounted.
    pub fn new(file: OwnedFd) -> Arc<DeviceFile> {
        Arc::new(DeviceFile(file))
    }

    /// Waits at most so long for a request.
    pub fn wait_readable(&self, timeout: std::time::Duration) -> Result<bool, Errno> {
        let mut files = [rustix::event::PollFd::new(&self.0, rustix::event::PollFlags::IN)];
        let timeout = rustix::event::Timespec {
            tv_sec: timeout.as_secs() as i64,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        Ok(rustix::io::retry_on_intr(|| rustix::event::poll(&mut files, Some(&timeout)))? > 0)
    }
}

impl AsFd for DeviceFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Port for DeviceFile {
    fn send(&self, parts: &[IoSlice<'_>]) -> Result<(), SendError> {
        match rustix::io::retry_on_intr(|| rustix::io::writev(&self.0, parts)) {
            Ok(_) => Ok(()),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(SendError::Unknown),
            Err(Errno::NODEV | Errno::PERM | Errno::NOTCONN | Errno::CONNABORTED) => {
                Err(SendError::Ended)
            }
            Err(error) => Err(SendError::Refused(error.raw_os_error())),
        }
    }
}

/// A reader's side of an open file.
pub(crate) struct ClassicChannel(Arc<DeviceFile>);

impl ClassicChannel {
    /// Reads from the given open file.
    pub fn new(file: Arc<DeviceFile>) -> ClassicChannel {
        ClassicChannel(file)
    }

    /// This one and more, so many in all. Where the device may not be opened (users whose
    /// fusermount3 did it for them) they share one file.
    pub fn and_clones(
        self,
        count: usize,
        file: &Arc<DeviceFile>,
        device: &Path,
    ) -> Vec<ClassicChannel> {
        let clone = |_| ClassicChannel::cloned(file, device);
        let others = (1..count).map(clone);
        let others = others.map(|clone| clone.unwrap_or_else(|| ClassicChannel(file.clone())));
        std::iter::once(self).chain(others).collect()
    }

    // Reads from a further open file of the same connection.
    fn cloned(file: &Arc<DeviceFile>, device: &Path) -> Option<ClassicChannel> {
        let clone = rustix::fs::open(device, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let original = file.0.as_raw_fd() as u32;
        // SAFETY: FUSE_DEV_IOC_CLONE reads one u32, the number of a descriptor that `file`
        // keeps open during the call.
        let done =
            unsafe { ioctl::ioctl(&clone, Setter::<FUSE_DEV_IOC_CLONE, u32>::new(original)) };
        done.ok()?;
        Some(ClassicChannel(DeviceFile::new(clone)))
    }
}

const FUSE_DEV_IOC_CLONE: ioctl::Opcode = ioctl::opcode::read::<u32>(229, 0);

impl Channel for ClassicChannel {
    fn receive(&mut self, buffer: &mut [u8]) -> Received {
        match rustix::io::read(&self.0.0, buffer) {
            Ok(0) => Received::Ended,
            Ok(len) => Received::Request(len),
            // ENOENT: the request was taken back while it was being read.
            Err(Errno::INTR | Errno::AGAIN | Errno::NOENT) => Received::Nothing,
            Err(_) => Received::Ended,
        }
    }

    fn port(&self) -> Arc<dyn Port> {
        self.0.clone()
    }
}
