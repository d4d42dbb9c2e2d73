//! The flush barrier: what processes have stored to shared mappings reaches the engine.
//!
//! In write-through mode only inodes that somebody maps shared right now can be dirty: munmap, exit
//! and exec write back and wait. `syncfs` is no barrier on FUSE. Invalidating an inode writes its
//! dirty pages and waits for the replies.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use devdev_vfs::{Attachment, NodeId, S_IFMT, S_IFREG, Vfs};

use crate::busy::process_ids;
use crate::mappings::{Kind, mapped_inodes};
use crate::notify::Notifier;

/// What a flush did.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlushReport {
    /// Processes whose mappings were looked at.
    pub processes: u32,
    /// Processes that hid their mappings and could have some of ours.
    pub hidden: u32,
    /// Inodes whose dirty pages were written and waited for.
    pub inodes: u32,
    /// Whether every held inode was flushed, because mappings could not be listed.
    pub all_held: bool,
    /// False when the deadline came first: dirty pages may be missing.
    pub complete: bool,
    /// How long it took.
    pub elapsed: Duration,
}

/// Whose mappings may be ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    pub device: (u32, u32),
    /// The uid that mounted.
    pub uid: u32,
    pub allow_other: bool,
}

/// Flushes on a thread of its own, so that the deadline holds whatever the kernel waits for.
pub(crate) fn flush(
    vfs: &Arc<Vfs>,
    notifier: &Arc<Notifier>,
    scope: Scope,
    deadline: Duration,
) -> FlushReport {
    let start = Instant::now();
    let (send, receive) = mpsc::channel();
    let (vfs, notifier) = (vfs.clone(), notifier.clone());
    let worker = std::thread::Builder::new().name("devdev-flush".into()).spawn(move || {
        let mut report = FlushReport::default();
        for node in dirty_candidates(&vfs, scope, &mut report) {
            notifier.flush_inode(node);
            report.inodes += 1;
            // The receiver may have given up at its deadline; the flush is finished all the same.
            let _ = send.send(report);
        }
        report.complete = true;
        let _ = send.send(report);
    });
    let mut report = FlushReport::default();
    if worker.is_ok() {
        while !report.complete {
            match receive.recv_timeout(deadline.saturating_sub(start.elapsed())) {
                Ok(newer) => report = newer,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
    }
    report.elapsed = start.elapsed();
    report
}

// Inodes of the live tree that may have dirty pages.
fn dirty_candidates(vfs: &Vfs, scope: Scope, report: &mut FlushReport) -> Vec<NodeId> {
    let live = |node: &NodeId| node.attachment() == Attachment::LIVE;
    // What other users map cannot be seen without root's rights.
    let all_visible = scope.uid == 0 || !scope.allow_other;
    if all_visible {
        let mapped = scan(scope, report);
        if report.hidden == 0 {
            return mapped.into_iter().map(NodeId).filter(live).collect();
        }
    }
    report.all_held = true;
    let held = vfs.held().into_iter().filter(|(_, kind)| kind & S_IFMT == S_IFREG);
    held.map(|(node, _)| node).filter(live).collect()
}

fn scan(scope: Scope, report: &mut FlushReport) -> BTreeSet<u64> {
    let mut inodes = Vec::new();
    for pid in process_ids() {
        match mapped_inodes(&pid.to_string(), scope.device, Kind::Shared, &mut inodes) {
            Ok(()) => report.processes += 1,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                report.hidden += u32::from(may_be_ours(pid, scope.uid));
            }
            // Gone, a kernel thread, or a process whose first thread has ended.
            Err(_) => scan_threads(pid, scope, &mut inodes),
        }
    }
    inodes.into_iter().collect()
}

// The memory of a process whose first thread has ended is seen through the others.
fn scan_threads(pid: u32, scope: Scope, inodes: &mut Vec<u64>) {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return };
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest.starts_with('Z'));
    if state != Some(true) {
        return;
    }
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return };
    for task in tasks.flatten() {
        let name = format!("{pid}/task/{}", task.file_name().to_string_lossy());
        if mapped_inodes(&name, scope.device, Kind::Shared, inodes).is_ok_and(|()| true) {
            break;
        }
    }
}

// A process of the user that is not dumpable hides its mappings. Others cannot enter the mount:
// all three of their uids would have to be the user's.
fn may_be_ours(pid: u32, uid: u32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return false };
    let Some(line) = status.lines().find_map(|line| line.strip_prefix("Uid:")) else { return true };
    line.split_ascii_whitespace().take(3).all(|id| id.parse() == Ok(uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_processes_of_the_mounting_user_can_hide_something() {
        let me = std::process::id();
        let uid = rustix::process::geteuid().as_raw();
        assert!(may_be_ours(me, uid));
        assert!(!may_be_ours(me, uid + 1));
        assert!(!may_be_ours(u32::MAX, uid));
    }
}
