//! Telling the kernel's caches what an operation of the API changed.
//!
//! LOCKS: none may be held; the caller's thread serves no request.

use super::Api;
use crate::ids::NodeId;

impl Api {
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
