//! The table of open files: what a descriptor of the API stands for.

use std::sync::Arc;

use parking_lot::Mutex;

use super::Api;
use super::open::OpenFlags;
use crate::Vfs;
use crate::errno::{Errno, Result};
use crate::ids::NodeId;

/// A descriptor of the API: the lowest free number from 3 on, as a program would see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fd(pub u32);

const FIRST: u32 = 3;

/// An open file. Its inode is held until the last user of this lets go.
pub(super) struct OpenFile {
    vfs: Arc<Vfs>,
    pub node: NodeId,
    pub flags: OpenFlags,
    /// Where the next read or write without an offset starts.
    pub position: Mutex<u64>,
}

impl OpenFile {
    /// Takes over one reference to `node`.
    pub fn new(vfs: Arc<Vfs>, node: NodeId, flags: OpenFlags) -> OpenFile {
        vfs.note_own(node);
        OpenFile { vfs, node, flags, position: Mutex::new(0) }
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.vfs.forget_own(self.node);
    }
}

#[derive(Default)]
pub(super) struct Files {
    slots: Mutex<Vec<Option<Arc<OpenFile>>>>,
}

impl Files {
    pub fn add(&self, file: OpenFile) -> Fd {
        let mut slots = self.slots.lock();
        let free = slots.iter().position(Option::is_none);
        let at = free.unwrap_or_else(|| {
            slots.push(None);
            slots.len() - 1
        });
        slots[at] = Some(Arc::new(file));
        Fd(at as u32 + FIRST)
    }

    fn with<R>(
        &self,
        fd: Fd,
        use_slot: impl FnOnce(&mut Option<Arc<OpenFile>>) -> Option<R>,
    ) -> Result<R> {
        let mut slots = self.slots.lock();
        let at = fd.0.checked_sub(FIRST).ok_or(Errno::BadF)?;
        slots.get_mut(at as usize).and_then(use_slot).ok_or(Errno::BadF)
    }
}

impl Api {
    pub(super) fn file(&self, fd: Fd) -> Result<Arc<OpenFile>> {
        self.files.with(fd, |slot| slot.clone())
    }

    /// close(2).
    pub fn close(&self, fd: Fd) -> Result<()> {
        // The reference is given back outside the table's lock.
        self.files.with(fd, Option::take).map(drop)
    }

    /// Closes every open file.
    pub fn close_all(&self) {
        let files = std::mem::take(&mut *self.files.slots.lock());
        drop(files);
    }
}
