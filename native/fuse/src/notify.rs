//! Keeping the kernel's caches true: notifications about what did not go through the mount.
//!
//! They are written by the thread that made the change, never by one that serves requests: the
//! kernel may send requests from inside the write and wait for their answers. The kernel's own
//! listing of a directory lies in the directory's pages: who changes a name invalidates those too.

use std::collections::HashSet;
use std::io::IoSlice;
use std::sync::Arc;

use devdev_vfs::{Invalidator, NodeId, Restored};

use crate::abi::{
    Abi, Field, NOTIFY_INVAL_ENTRY, NOTIFY_INVAL_INODE, NotifyInvalEntry, NotifyInvalInode,
    OutHeader,
};
use crate::core::Core;
use crate::counters::Event;
use crate::options::LogLevel;
use crate::transport::{Port, SendError};

/// As the offset of an invalidation.
const ATTRIBUTES_ONLY: i64 = -1;
/// As many inodes are worth a second thread.
const MANY: usize = 512;

/// Tells that the kernel's attributes of a node are old. The one notification that a thread may
/// send while it serves a request, if that request is about an open file: it waits for nothing,
/// and the inode cannot go meanwhile.
pub(crate) fn refresh_attributes(port: &dyn Port, node: NodeId) -> Result<(), SendError> {
    let body = NotifyInvalInode { ino: node.0, off: ATTRIBUTES_ONLY, len: 0 };
    send(port, NOTIFY_INVAL_INODE, &body, &[])
}

fn send<T: Abi>(port: &dyn Port, code: i32, body: &T, rest: &[u8]) -> Result<(), SendError> {
    let mut bytes = Vec::with_capacity(OutHeader::SIZE + T::SIZE);
    let len = (OutHeader::SIZE + T::SIZE + rest.len()) as u32;
    OutHeader { len, error: code, unique: 0 }.append(&mut bytes);
    body.append(&mut bytes);
    port.send(&[IoSlice::new(&bytes), IoSlice::new(rest)])
}

/// The invalidator of a mounted workspace.
pub(crate) struct Notifier {
    core: Arc<Core>,
}

impl Notifier {
    pub fn new(core: Arc<Core>) -> Notifier {
        Notifier { core }
    }

    // Length 0: to the end. Dirty pages in the range are written and waited for before they go.
    fn send_inode(&self, node: NodeId, off: i64, len: i64) {
        self.send_notice(NOTIFY_INVAL_INODE, &NotifyInvalInode { ino: node.0, off, len }, &[]);
    }

    fn send_entry(&self, parent: NodeId, name: &[u8]) {
        let body = NotifyInvalEntry { parent: parent.0, namelen: name.len() as u32, flags: 0 };
        let mut with_nul = Vec::with_capacity(name.len() + 1);
        with_nul.extend_from_slice(name);
        with_nul.push(0);
        self.core.counters.note(Event::EntryNotified);
        self.told(send(self.core.device.as_ref(), NOTIFY_INVAL_ENTRY, &body, &with_nul));
    }

    fn told(&self, result: Result<(), SendError>) {
        match result {
            // The kernel does not hold it, or holds nothing any more.
            Ok(()) | Err(SendError::Unknown | SendError::Ended) => {}
            Err(SendError::Refused(errno)) => {
                let message = format!("fuse: a notification was refused (errno {errno})");
                self.core.log(LogLevel::Warn, &message);
            }
        }
    }

    fn held(&self, node: NodeId) -> bool {
        node == NodeId::ROOT || self.core.vfs.is_held(node)
    }

    /// What the session's threads share.
    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// Sends a notification about inodes; `rest` follows the body.
    pub(crate) fn send_notice<T: Abi>(&self, code: i32, body: &T, rest: &[u8]) {
        self.core.counters.note(Event::InodeNotified);
        self.told(send(self.core.device.as_ref(), code, body, rest));
    }

    /// Writes the dirty pages of an inode back and waits for it.
    pub fn flush_inode(&self, node: NodeId) {
        self.send_inode(node, 0, 0);
    }

    // Two threads share what is much: the kernel takes its time to let an inode's pages go.
    fn tell_inodes(&self, inodes: &[(NodeId, bool)], parents: &HashSet<NodeId>) {
        let tell = |some: &[(NodeId, bool)]| {
            for (node, content) in some {
                if self.held(*node) {
                    let pages = *content || parents.contains(node);
                    self.send_inode(*node, if pages { 0 } else { ATTRIBUTES_ONLY }, 0);
                }
                if *content {
                    self.core.refreshed.lock().insert(*node);
                }
            }
        };
        let half = if inodes.len() < MANY { 0 } else { inodes.len() / 2 };
        let (others, own) = inodes.split_at(half);
        std::thread::scope(|scope| {
            let second = || std::thread::Builder::new().spawn_scoped(scope, || tell(others));
            if !others.is_empty() && second().is_err() {
                tell(others);
            }
            tell(own);
        });
    }

    /// Tells of everything that a restore changed.
    pub fn restored(&self, restored: &Restored) {
        let watched = self.core.replays.watched();
        self.core.quiesce();
        let parents: HashSet<NodeId> = restored.names.iter().map(|(parent, _)| *parent).collect();
        // Names first: a walk that starts now must not find the old ones.
        for (parent, name) in &restored.names {
            if self.held(*parent) {
                self.send_entry(*parent, name);
            }
        }
        self.tell_inodes(&restored.inodes, &parents);
        let told: HashSet<NodeId> = restored.inodes.iter().map(|(node, _)| *node).collect();
        for parent in parents.iter().filter(|parent| !told.contains(parent) && self.held(**parent))
        {
            self.send_inode(*parent, 0, 0);
        }
        let changes = self.core.vfs.restored_changes();
        self.core.vfs.restore_done();
        self.core.refreshed.lock().clear();
        if let Some(writeback) = &self.core.writeback {
            self.align(writeback, &restored.inodes.iter().map(|one| one.0).collect::<Vec<_>>());
        }
        if let (Some(watched), Some(changes)) = (watched, changes) {
            self.core.replays.tell(&self.core, &watched, changes);
        }
    }
}

impl Invalidator for Notifier {
    fn inode(&self, node: NodeId, pages: bool, offset: u64, len: u64) {
        if !self.held(node) {
            return;
        }
        self.core.quiesce();
        if pages {
            self.send_inode(
                node,
                offset.min(i64::MAX as u64) as i64,
                len.min(i64::MAX as u64) as i64,
            );
        } else {
            self.send_inode(node, ATTRIBUTES_ONLY, 0);
            // Of a file it keeps ctime, and mtime, for as long as it knows the inode.
            if let Some(writeback) = &self.core.writeback {
                self.align(writeback, &[node]);
            }
        }
    }

    fn settle(&self, node: NodeId) {
        if let Some(writeback) = &self.core.writeback {
            self.settle_file(writeback, node);
        }
    }

    fn editing(&self, node: NodeId, from: u64, to: u64) {
        if let Some(writeback) = &self.core.writeback {
            self.begin_edit(writeback, node, from, to);
        }
    }

    fn edited(&self, node: NodeId, from: u64, to: u64) {
        if let Some(writeback) = &self.core.writeback {
            self.end_edit(writeback, node, from, to);
        }
    }

    fn entry(&self, parent: NodeId, name: &[u8]) {
        if !self.held(parent) {
            return;
        }
        self.core.quiesce();
        self.send_entry(parent, name);
    }
}
