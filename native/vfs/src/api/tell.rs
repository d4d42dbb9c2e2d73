//! Telling the kernel's caches what an operation of the API changed.
//!
//! LOCKS: none may be held; the caller's thread serves no request.

use std::sync::Arc;

use super::Api;
use crate::Invalidator;
use crate::ids::NodeId;

/// A change of content that goes on: see `Invalidator::editing`.
pub(super) struct Edit {
    caches: Option<Arc<dyn Invalidator>>,
    node: NodeId,
    range: (u64, u64),
}

impl Drop for Edit {
    fn drop(&mut self) {
        if let Some(caches) = &self.caches {
            caches.edited(self.node, self.range.0, self.range.1);
        }
    }
}

impl Api {
    /// Brings in what the kernel still holds of a file; whether anything may have come.
    pub(super) fn settle(&self, node: NodeId) -> bool {
        let caches = self.vfs.invalidator();
        caches.iter().for_each(|caches| caches.settle(node));
        caches.is_some()
    }

    /// To be held while bytes `from..to` of a file, or its length there, are changed and told.
    pub(super) fn editing(&self, node: NodeId, from: u64, to: u64) -> Edit {
        let caches = self.vfs.invalidator();
        caches.iter().for_each(|caches| caches.editing(node, from, to));
        Edit { caches, node, range: (from, to) }
    }

    /// The same for what is appended.
    pub(super) fn editing_end(&self, node: NodeId) -> Edit {
        self.settle(node);
        let size = self.vfs.getattr(node).map_or(0, |attr| attr.size);
        self.editing(node, size, u64::MAX)
    }

    /// Attributes of a node changed.
    pub(super) fn tell_attr(&self, node: NodeId) {
        if let Some(caches) = self.vfs.invalidator() {
            caches.inode(node, false, 0, 0);
        }
    }

    /// Content of a file changed from `offset` on (`len` 0: to the end), and its attributes.
    pub(super) fn tell_data(&self, node: NodeId, offset: u64, len: u64) {
        if let Some(caches) = self.vfs.invalidator() {
            caches.inode(node, true, offset, len);
        }
    }

    /// A name appeared, went or changed its meaning: so did its directory's listing and times.
    pub(super) fn tell_name(&self, parent: NodeId, name: &[u8]) {
        if let Some(caches) = self.vfs.invalidator() {
            caches.inode(parent, true, 0, 0);
            caches.entry(parent, name);
        }
    }
}
