//! Why a host mount or an unmount was refused: one clear sentence each.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::busy::MountUser;

/// Why nothing was mounted. Nothing was changed either.
#[derive(Debug)]
pub enum HostMountError {
    /// The FUSE device is missing or its driver is not there.
    NoDevice(PathBuf),
    /// The FUSE device may not be opened.
    DeviceDenied(PathBuf),
    /// Not root, and the set-user-id mount program is missing.
    NoFusermount,
    /// The mount point is there, but no directory.
    NotADirectory(PathBuf),
    /// The directory holds something.
    NotEmpty(PathBuf),
    /// The directory is not the caller's, or may not be made or entered.
    Denied(PathBuf),
    /// A workspace of devdev is mounted there.
    AlreadyMounted(PathBuf),
    /// Another file system is mounted there (its type).
    ForeignMount(PathBuf, String),
    /// What is mounted there does not answer.
    Unresponsive(PathBuf),
    /// `allow_other` is not permitted to users.
    AllowOtherDenied(PathBuf),
    /// The kernel or the mount program refused, with its reason.
    Refused(PathBuf, String),
    /// The kernel's protocol is too old or the first exchange failed.
    Handshake(String),
    /// A system call failed on the way.
    System(&'static str, std::io::Error),
}

impl HostMountError {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            HostMountError::NoDevice(_) => "ERR_MOUNT_NO_DEVICE",
            HostMountError::DeviceDenied(_) => "ERR_MOUNT_DEVICE_DENIED",
            HostMountError::NoFusermount => "ERR_MOUNT_NO_FUSERMOUNT",
            HostMountError::NotADirectory(_) => "ERR_MOUNT_NOT_A_DIRECTORY",
            HostMountError::NotEmpty(_) => "ERR_MOUNT_NOT_EMPTY",
            HostMountError::Denied(_) => "ERR_MOUNT_DENIED",
            HostMountError::AlreadyMounted(_) => "ERR_MOUNT_ALREADY_MOUNTED",
            HostMountError::ForeignMount(..) => "ERR_MOUNT_FOREIGN_MOUNT",
            HostMountError::Unresponsive(_) => "ERR_MOUNT_UNRESPONSIVE",
            HostMountError::AllowOtherDenied(_) => "ERR_MOUNT_ALLOW_OTHER_DENIED",
            HostMountError::Refused(..) => "ERR_MOUNT_REFUSED",
            HostMountError::Handshake(_) => "ERR_MOUNT_HANDSHAKE",
            HostMountError::System(..) => "ERR_MOUNT_SYSTEM",
        }
    }
}

impl fmt::Display for HostMountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostMountError::NoDevice(device) => write!(
                f,
                "{} is missing: load the fuse kernel module, or give the container the device",
                device.display()
            ),
            HostMountError::DeviceDenied(device) => write!(
                f,
                "{} may not be opened: its permissions or a container's policy forbid it",
                device.display()
            ),
            HostMountError::NoFusermount => {
                f.write_str("fusermount3 is missing: install the package fuse3, or run as root")
            }
            HostMountError::NotADirectory(path) => {
                write!(f, "{} is not a directory", path.display())
            }
            HostMountError::NotEmpty(path) => write!(
                f,
                "{} is not empty: choose an empty directory or one that does not exist",
                path.display()
            ),
            HostMountError::Denied(path) => write!(
                f,
                "no permission to mount on {}: the directory must be yours and writable",
                path.display()
            ),
            HostMountError::AlreadyMounted(path) => {
                write!(f, "a workspace is already mounted on {}", path.display())
            }
            HostMountError::ForeignMount(path, kind) => {
                write!(f, "a {kind} file system is already mounted on {}", path.display())
            }
            HostMountError::Unresponsive(path) => {
                write!(f, "what is mounted on {} does not answer: unmount it first", path.display())
            }
            HostMountError::AllowOtherDenied(conf) => write!(
                f,
                "allow_other is not permitted: add the line user_allow_other to {}",
                conf.display()
            ),
            HostMountError::Refused(path, reason) => {
                write!(f, "mounting on {} was refused: {reason}", path.display())
            }
            HostMountError::Handshake(reason) => {
                write!(f, "the kernel's FUSE did not agree on a protocol: {reason}")
            }
            HostMountError::System(call, error) => write!(f, "{call} failed: {error}"),
        }
    }
}

impl std::error::Error for HostMountError {}

/// Why a workspace is still mounted on the host.
#[derive(Debug)]
pub enum UnmountError {
    /// These processes use it; `force` would take it away from them.
    Busy(PathBuf, Vec<MountUser>),
    /// The kernel or the mount program refused, with its reason.
    Refused(PathBuf, String),
}

impl UnmountError {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            UnmountError::Busy(..) => "ERR_UNMOUNT_BUSY",
            UnmountError::Refused(..) => "ERR_UNMOUNT_REFUSED",
        }
    }

    /// Where it is mounted.
    pub fn mount_point(&self) -> &Path {
        match self {
            UnmountError::Busy(path, _) | UnmountError::Refused(path, _) => path,
        }
    }
}

impl fmt::Display for UnmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnmountError::Busy(path, users) if users.is_empty() => {
                write!(f, "{} is in use by a process that cannot be seen from here", path.display())
            }
            UnmountError::Busy(path, users) => {
                write!(f, "{} is in use by ", path.display())?;
                for (n, user) in users.iter().enumerate() {
                    let comma = if n > 0 { ", " } else { "" };
                    write!(f, "{comma}{} ({}, {})", user.command, user.pid, user.how)?;
                }
                Ok(())
            }
            UnmountError::Refused(path, reason) => {
                write!(f, "unmounting {} was refused: {reason}", path.display())
            }
        }
    }
}

impl std::error::Error for UnmountError {}
