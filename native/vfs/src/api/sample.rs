//! What unit tests of this crate begin with that work by paths.

use std::sync::Arc;

use super::{Api, OpenFlags};
use crate::sample::workspace;
use crate::{Caller, Ino, Tree};

pub(crate) const READ: OpenFlags = OpenFlags {
    read: true,
    write: false,
    append: false,
    create: false,
    exclusive: false,
    truncate: false,
    directory: false,
    nofollow: false,
};
pub(crate) const CREATE: OpenFlags =
    OpenFlags { write: true, create: true, truncate: true, ..READ };

/// A workspace under a clock that stands still.
pub(crate) struct Fs(pub Api);

impl Fs {
    pub fn new() -> Fs {
        Fs(Api::new(workspace(1 << 30), Caller::default()))
    }

    pub fn put(&self, path: &str, text: &str) {
        self.0.write_file(path.as_bytes(), text.as_bytes(), CREATE, 0o666).unwrap();
    }

    pub fn dir(&self, path: &str) {
        self.0.mkdir(path.as_bytes(), 0o755).unwrap();
    }

    pub fn ino(&self, path: &str) -> Ino {
        self.0.stat(path.as_bytes(), false).unwrap().node.ino()
    }

    pub fn freeze(&self) -> Arc<Tree> {
        self.0.vfs().freeze()
    }
}
