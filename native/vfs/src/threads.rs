//! The threads that the engine has for itself, one of each in a process.

use crate::{reclaim, room};

/// Starts them, which is done when the first is needed otherwise. A thread runs with the priority
/// of who starts it (sched(7)): to be called before somebody with a low one uses the engine.
pub fn start_threads() {
    let _ = reclaim::reclaimer();
    let _ = room::watcher();
}
