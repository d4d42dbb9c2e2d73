//! Which files a kernel that writes back may hold something of, beside what processes map.
//!
//! It opens, writes and closes without asking; but before the first write(2) to a file whose
//! attributes it has just learned, it asks for the attribute `security.capability`, which a write
//! takes away. Only then does it remember that there is none, until it learns the file's attributes
//! anew (S_NOSEC of the inode). An invalidation makes it learn them anew, before the next write. So
//! a barrier has to look after those files alone for which it has asked since they were last
//! invalidated by one.
//!
//! A call that was under way at a barrier may store more behind it. So a file stays until nothing
//! has been heard of it for some time: within that at the latest such a call ends or is heard of.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use devdev_vfs::{Attachment, NodeId};
use parking_lot::Mutex;

/// What the kernel asks for before it writes.
const ASKED_BEFORE_WRITES: &[u8] = b"security.capability";
/// Nothing was heard of a file for so long: no call that writes to it is under way.
const QUIET: Duration = Duration::from_secs(5);
/// For so long after a barrier attributes may be asked for by a write, which the kernel asks no
/// more about because they are invalid again when they arrive.
const AFTERMATH: Duration = Duration::from_millis(250);
/// Files that were forgotten are looked for when there are so many, and again with twice as many.
const MANY: usize = 1 << 16;

#[derive(Default)]
struct State {
    /// Files that may have been written to, and when that was heard of last.
    files: HashMap<NodeId, Instant>,
    /// How many there were after the last look for those that were forgotten.
    looked: usize,
    /// When a barrier was last known to be under way.
    barrier: Option<Instant>,
}

/// The files of one mount.
#[derive(Default)]
pub(crate) struct Dirty(Mutex<State>);

impl Dirty {
    /// The kernel asks for an extended attribute.
    pub fn note_asked(&self, node: NodeId, name: &[u8], is_held: impl Fn(NodeId) -> bool) {
        if name != ASKED_BEFORE_WRITES {
            return;
        }
        self.note_write(node, Instant::now());
        let mut state = self.0.lock();
        if state.files.len() >= MANY.max(2 * state.looked) {
            // Who is looked up again is asked about again, after this.
            state.files.retain(|node, _| is_held(*node));
            state.looked = state.files.len();
        }
    }

    /// A file is written to, or something of it has come.
    pub fn note_write(&self, node: NodeId, now: Instant) {
        if node.attachment() == Attachment::LIVE {
            self.0.lock().files.insert(node, now);
        }
    }

    /// The kernel asks for attributes.
    pub fn note_attributes(&self, node: NodeId, now: Instant) {
        let mut state = self.0.lock();
        let recent = |at| now.saturating_duration_since(at) < AFTERMATH;
        if state.barrier.is_some_and(recent) && node.attachment() == Attachment::LIVE {
            state.files.insert(node, now);
        }
    }

    /// A barrier begins: what it has to look after.
    pub fn begin(&self, now: Instant, is_held: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
        let mut state = self.0.lock();
        state.barrier = Some(now);
        state.files.retain(|node, _| is_held(*node));
        state.files.keys().copied().collect()
    }

    /// The barrier goes on.
    pub fn go_on(&self, now: Instant) {
        self.0.lock().barrier = Some(now);
    }

    /// The barrier that began then has invalidated these.
    pub fn end(&self, nodes: &[NodeId], began: Instant, now: Instant) {
        let mut state = self.0.lock();
        state.barrier = Some(now);
        for node in nodes {
            let heard = state.files.get(node);
            if heard.is_some_and(|heard| *heard + QUIET <= began) {
                state.files.remove(node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(20);
    const B: NodeId = NodeId(21);

    fn all(_: NodeId) -> bool {
        true
    }

    fn flush(dirty: &Dirty, at: Instant) -> Vec<NodeId> {
        let mut nodes = dirty.begin(at, all);
        dirty.go_on(at);
        dirty.end(&nodes, at, at);
        nodes.sort();
        nodes
    }

    #[test]
    fn what_was_written_stays_until_it_is_quiet() {
        let (dirty, start) = (Dirty::default(), Instant::now());
        dirty.note_asked(A, b"security.capability", all);
        dirty.note_asked(B, b"user.other", all);
        assert_eq!(flush(&dirty, start + QUIET / 2), [A]);
        dirty.note_write(B, start + QUIET);
        assert_eq!(flush(&dirty, start + QUIET * 3 / 2), [A, B]);
        assert_eq!(flush(&dirty, start + QUIET * 7 / 4), [B]);
        assert_eq!(flush(&dirty, start + QUIET * 2), [B]);
        assert_eq!(flush(&dirty, start + QUIET * 3), []);
        let scratch = NodeId::TMP;
        dirty.note_write(scratch, start);
        assert_eq!(flush(&dirty, start), []);
    }

    #[test]
    fn attributes_count_around_a_barrier_only() {
        let (dirty, start) = (Dirty::default(), Instant::now());
        dirty.note_attributes(A, start);
        assert_eq!(flush(&dirty, start), []);
        dirty.note_attributes(A, start + AFTERMATH / 2);
        dirty.note_attributes(B, start + AFTERMATH * 2);
        assert_eq!(flush(&dirty, start + AFTERMATH * 3), [A]);
    }

    #[test]
    fn files_that_the_kernel_forgot_go() {
        let (dirty, start) = (Dirty::default(), Instant::now());
        dirty.note_write(A, start);
        dirty.note_write(B, start);
        assert_eq!(dirty.begin(start, |node| node == B), [B]);
        (0..MANY as u64).for_each(|n| dirty.note_write(NodeId(100 + n), start));
        dirty.note_asked(A, b"security.capability", |node| node == A);
        assert_eq!(dirty.begin(start, all), [A]);
    }
}
