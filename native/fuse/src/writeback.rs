//! What is known of a kernel that keeps writes back, and of what it brings late.
//!
//! It writes whole pages: one that was dirtied beside bytes which the API has changed since brings
//! their old content. So a change of the API shields its range until the kernel's pages are gone.
//! The kernel is also the one who knows times: a WRITE of stored pages leaves them alone, a SETATTR
//! follows. Apart from `core`, which knows requests but not what they are about.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use devdev_vfs::NodeId;
use parking_lot::Mutex;

use crate::dirty::Dirty;

/// A change of the API that goes on.
struct Edit {
    node: NodeId,
    from: u64,
    to: u64,
    /// How long the file was before, and so for the kernel.
    size: u64,
}

/// The state of a mount whose kernel keeps writes back.
pub(crate) struct Writeback {
    /// Where it is mounted.
    pub path: PathBuf,
    /// What aligns lengths of open files.
    pub helper: Option<PathBuf>,
    /// Files of which the kernel may hold something.
    pub dirty: Dirty,
    edits: Mutex<Vec<Edit>>,
    editing: AtomicUsize,
    /// Files that were written to since this was cleared, and whose times have not come.
    untimed: Mutex<HashSet<NodeId>>,
    /// The helper processes that align lengths now.
    aligners: Mutex<Vec<u32>>,
    aligning: AtomicBool,
}

impl Writeback {
    pub fn new(path: PathBuf, helper: Option<PathBuf>) -> Writeback {
        Writeback {
            path,
            helper,
            dirty: Dirty::default(),
            edits: Mutex::default(),
            editing: AtomicUsize::new(0),
            untimed: Mutex::default(),
            aligners: Mutex::default(),
            aligning: AtomicBool::new(false),
        }
    }

    /// Shields a range of a file of that length.
    pub fn begin_edit(&self, node: NodeId, from: u64, to: u64, size: u64) {
        self.edits.lock().push(Edit { node, from, to, size });
        self.editing.fetch_add(1, Ordering::SeqCst);
    }

    /// Ends that; returns the length.
    pub fn end_edit(&self, node: NodeId, from: u64, to: u64) -> Option<u64> {
        let mut edits = self.edits.lock();
        let is_it = |edit: &Edit| (edit.node, edit.from, edit.to) == (node, from, to);
        let at = edits.iter().position(is_it)?;
        self.editing.fetch_sub(1, Ordering::SeqCst);
        Some(edits.swap_remove(at).size)
    }

    /// What of the bytes for `offset` is not shielded: starts and ends, in order.
    pub fn newer_parts(&self, node: NodeId, offset: u64, len: usize) -> Vec<(usize, usize)> {
        let mut parts = vec![(0, len)];
        if self.editing.load(Ordering::SeqCst) == 0 {
            return parts;
        }
        for edit in self.edits.lock().iter().filter(|edit| edit.node == node) {
            let within = |at: u64| at.saturating_sub(offset).min(len as u64) as usize;
            let (from, to) = (within(edit.from), within(edit.to));
            let outside =
                |(start, end): (usize, usize)| [(start, end.min(from)), (start.max(to), end)];
            parts = parts.into_iter().flat_map(outside).filter(|part| part.0 < part.1).collect();
        }
        parts
    }

    /// Stored pages of a node came.
    pub fn note_written(&self, node: NodeId) {
        self.untimed.lock().insert(node);
    }

    /// Its times came.
    pub fn note_timed(&self, node: NodeId) {
        self.untimed.lock().remove(&node);
    }

    /// Counts anew from here, for a node.
    pub fn is_untimed(&self, node: NodeId) -> bool {
        self.untimed.lock().remove(&node)
    }

    /// Counts anew from here; returns those so far.
    pub fn take_untimed(&self) -> HashSet<NodeId> {
        std::mem::take(&mut *self.untimed.lock())
    }

    /// From now on a process only asks for what is: see `align`.
    pub fn begin_alignment(&self, pid: u32) {
        self.aligners.lock().push(pid);
        self.aligning.store(true, Ordering::SeqCst);
    }

    pub fn end_alignment(&self, pid: u32) {
        let mut aligners = self.aligners.lock();
        aligners.retain(|each| *each != pid);
        self.aligning.store(!aligners.is_empty(), Ordering::SeqCst);
    }

    /// Whether a request of that process changes nothing.
    pub fn is_alignment(&self, pid: u32) -> bool {
        self.aligning.load(Ordering::SeqCst) && self.aligners.lock().contains(&pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(20);

    #[test]
    fn what_the_api_changes_meanwhile_is_left_out() {
        let writeback = Writeback::new(PathBuf::new(), None);
        assert_eq!(writeback.newer_parts(NODE, 0, 10), [(0, 10)]);
        writeback.begin_edit(NODE, 4100, 4200, 5);
        assert_eq!(writeback.newer_parts(NODE, 4096, 4096), [(0, 4), (104, 4096)]);
        assert_eq!(writeback.newer_parts(NODE, 0, 4096), [(0, 4096)]);
        assert_eq!(writeback.newer_parts(NodeId(21), 4096, 4096), [(0, 4096)]);
        assert_eq!(writeback.newer_parts(NODE, 4150, 10), []);
        writeback.begin_edit(NODE, 8000, u64::MAX, 5);
        assert_eq!(writeback.newer_parts(NODE, 4096, 8192), [(0, 4), (104, 3904)]);
        assert_eq!(writeback.end_edit(NODE, 4100, 4200), Some(5));
        assert_eq!(writeback.newer_parts(NODE, 4096, 4096), [(0, 3904)]);
        assert_eq!(writeback.end_edit(NODE, 8000, u64::MAX), Some(5));
        assert_eq!(writeback.end_edit(NODE, 8000, u64::MAX), None);
        assert_eq!(writeback.newer_parts(NODE, 4096, 4096), [(0, 4096)]);
    }

    #[test]
    fn files_whose_times_have_not_come_are_known() {
        let writeback = Writeback::new(PathBuf::new(), None);
        writeback.note_written(NODE);
        writeback.note_written(NodeId(21));
        writeback.note_timed(NODE);
        assert!(!writeback.is_untimed(NODE) && writeback.is_untimed(NodeId(21)));
        writeback.note_written(NODE);
        assert_eq!(writeback.take_untimed(), HashSet::from([NODE]));
        assert!(writeback.take_untimed().is_empty());
    }
}
