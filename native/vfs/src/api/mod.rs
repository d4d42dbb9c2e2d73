//! The path-level API: what callers in this process use, mounted or not.
//!
//! Each operation walks its path, calls the engine, and afterwards tells the kernel's caches
//! (if the workspace is mounted) what changed, so that its effect is visible through the mount
//! when it returns. It acts with the rights of the workspace's owner: modes are stored and
//! reported, not enforced. An operation that needs something from the store blocks its thread.
//!
//! Kept apart from the engine because paths, open files and waiting are no business of a
//! bridge.

mod attrs;
mod content;
mod files;
mod frozen;
mod names;
mod open;
mod tell;
mod trees;
mod wait;
mod walk;

use std::sync::Arc;

use crate::Vfs;
use crate::attr::Caller;
use crate::errno::Errno;

pub use content::MAX_WHOLE_FILE;
pub use files::Fd;
pub use frozen::FrozenTree;
pub use names::Listed;
pub use open::OpenFlags;
pub use trees::CopyTree;
pub use wait::{Waiting, at_once};

/// Taken from the mode of what the API creates: it has no process whose umask would apply.
pub const API_UMASK: u32 = 0o022;

/// Why an operation of several steps failed, and in which.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Why.
    pub errno: Errno,
    /// The system call that a program doing the same would have seen fail; empty when the
    /// operation is one call.
    pub step: &'static str,
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Failure {
        Failure { errno, step: "" }
    }
}

impl Failure {
    fn at(step: &'static str) -> impl Fn(Errno) -> Failure {
        move |errno| Failure { errno, step }
    }
}

/// The path-level API of one workspace.
pub struct Api {
    vfs: Arc<Vfs>,
    owner: Caller,
    files: files::Files,
}

impl Api {
    /// The API of `vfs`, acting as `owner`.
    pub fn new(vfs: Arc<Vfs>, owner: Caller) -> Api {
        Api { vfs, owner, files: files::Files::default() }
    }

    /// The engine below.
    pub fn vfs(&self) -> &Arc<Vfs> {
        &self.vfs
    }

    fn may_keep_privileges(&self) -> bool {
        self.owner.uid == 0
    }
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
