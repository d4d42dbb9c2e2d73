//! The flush barrier: what processes have stored to shared mappings reaches the engine.
//!
//! Inodes that somebody maps shared right now can be dirty: munmap, exit and exec write back and
//! wait. With writeback so can those that were written to (`dirty`). `syncfs` is no barrier on
//! FUSE. Invalidating an inode writes its dirty pages and waits for the replies.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use devdev_vfs::{Attachment, NodeId, S_IFMT, S_IFREG, Vfs};
use parking_lot::Mutex;

use crate::awake::stay_awake;
use crate::busy::process_ids;
use crate::hidden::{Hidden, Seen, activity};
use crate::mappings::{Kind, mapped_inodes};
use crate::notify::Notifier;

/// How often a flush says how far it is: waking who waits costs as much as a clean inode.
const PROGRESS: Duration = Duration::from_millis(5);

/// Links of the directory of a process's threads when it has one only: they count as directories.
const ONE_THREAD: u64 = 3;

/// What a flush did.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlushReport {
    /// Processes whose mappings were looked at.
    pub processes: u32,
    /// Processes that hide their mappings and may have dirtied some of ours.
    pub hidden: u32,
    /// Inodes whose dirty pages were written and waited for.
    pub inodes: u32,
    /// Whether every held inode was flushed, because which are dirty could not be found out.
    pub all_held: bool,
    /// False when the deadline came first: dirty pages may be missing.
    pub complete: bool,
    /// How long it took.
    pub elapsed: Duration,
}

/// The barrier of one host mount.
pub(crate) struct Barrier {
    vfs: Arc<Vfs>,
    notifier: Arc<Notifier>,
    device: (u32, u32),
    /// The uid that mounted.
    uid: u32,
    /// Whether it can never be known what is dirty: processes can be inside whose mappings this one
    /// may not see, or the kernel writes back and does not ask for attributes before (`dirty`).
    blind: bool,
    /// LOCKS: for a whole flush.
    hidden: Mutex<Hidden>,
}

impl Barrier {
    /// To be made before any process can have mapped something.
    pub fn new(
        vfs: Arc<Vfs>,
        notifier: Arc<Notifier>,
        device: (u32, u32),
        allow_other: bool,
    ) -> Arc<Barrier> {
        let uid = rustix::process::geteuid().as_raw();
        let core = notifier.core();
        let blind = (uid != 0 && allow_other) || (core.writeback.is_some() && !core.xattrs);
        let mut barrier = Barrier { vfs, notifier, device, uid, blind, hidden: Mutex::default() };
        if !blind {
            let seen = barrier.scan(&mut FlushReport::default()).hidden;
            barrier.hidden = Mutex::new(Hidden::new(seen));
        }
        Arc::new(barrier)
    }

    /// Flushes on a thread of its own, so that the deadline holds whatever the kernel waits for.
    pub fn flush(self: &Arc<Barrier>, deadline: Duration) -> FlushReport {
        let start = Instant::now();
        // What it is the first step of, such as a snapshot, takes a few more.
        stay_awake();
        let (send, receive) = mpsc::channel();
        let barrier = self.clone();
        let worker = std::thread::Builder::new().name("devdev-flush".into()).spawn(move || {
            // If the receiver gave up at its deadline, the flush is finished all the same.
            barrier.run(&mut |report| _ = send.send(report));
        });
        let mut report = FlushReport::default();
        while worker.is_ok() && !report.complete {
            match receive.recv_timeout(deadline.saturating_sub(start.elapsed())) {
                Ok(newer) => report = newer,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        report.elapsed = start.elapsed();
        report
    }

    fn run(&self, progress: &mut dyn FnMut(FlushReport)) {
        let mut hidden = self.hidden.lock();
        let mut report = FlushReport::default();
        let scan = if self.blind { Scan::default() } else { self.scan(&mut report) };
        report.hidden = hidden.suspects(&scan.hidden) as u32;
        report.all_held = self.blind || report.hidden > 0;
        let began = Instant::now();
        let dirty = self.notifier.core().writeback.as_ref().map(|writeback| &writeback.dirty);
        let is_held = |node| self.vfs.is_held_by_kernel(node);
        let written = dirty.map(|dirty| dirty.begin(began, is_held)).unwrap_or_default();
        let nodes = if report.all_held { self.held_files() } else { scan.nodes(&written) };
        let mut told = began;
        self.notifier.settle_files(&nodes, || {
            let now = Instant::now();
            report.inodes += 1;
            dirty.inspect(|dirty| dirty.go_on(now));
            if now - told >= PROGRESS {
                progress(report);
                told = now;
            }
        });
        dirty.inspect(|dirty| dirty.end(&nodes, began, Instant::now()));
        // As they were before: who had faults since then is looked after next time.
        hidden.flushed(scan.hidden);
        report.complete = true;
        progress(report);
    }

    // Regular files of the live tree that the kernel may have pages of.
    fn held_files(&self) -> Vec<NodeId> {
        let held = self.vfs.held().into_iter().filter(|(_, kind)| kind & S_IFMT == S_IFREG);
        held.map(|(node, _)| node).filter(is_live).collect()
    }

    fn scan(&self, report: &mut FlushReport) -> Scan {
        let mut scan = Scan::default();
        for pid in process_ids() {
            let task = pid.to_string();
            match mapped_inodes(&task, self.device, Kind::Shared, &mut scan.inodes) {
                Ok(()) => report.processes += 1,
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    // Nobody else than the user himself can be in there.
                    scan.hidden.extend(activity(pid, self.uid).map(|activity| (pid, activity)));
                }
                // Gone, a kernel thread, or a process whose first thread has ended.
                Err(_) => self.scan_threads(pid, &mut scan.inodes),
            }
        }
        scan
    }

    // The memory of a process whose first thread has ended is seen through the others.
    fn scan_threads(&self, pid: u32, inodes: &mut Vec<u64>) {
        let tasks = format!("/proc/{pid}/task");
        // Kernel threads, of which there are many, are told by what costs least.
        if !fs::metadata(&tasks).is_ok_and(|tasks| tasks.nlink() > ONE_THREAD) {
            return;
        }
        let Ok(tasks) = fs::read_dir(tasks) else { return };
        for task in tasks.flatten().filter(|task| task.file_name() != *pid.to_string()) {
            let name = format!("{pid}/task/{}", task.file_name().to_string_lossy());
            if mapped_inodes(&name, self.device, Kind::Shared, inodes).is_ok() {
                break;
            }
        }
    }
}

/// What all processes together have mapped.
#[derive(Default)]
struct Scan {
    inodes: Vec<u64>,
    hidden: Seen,
}

impl Scan {
    // Those, and others.
    fn nodes(&self, others: &[NodeId]) -> Vec<NodeId> {
        let mapped = self.inodes.iter().copied().map(NodeId);
        let once: BTreeSet<NodeId> = mapped.chain(others.iter().copied()).collect();
        once.into_iter().filter(is_live).collect()
    }
}

// Scratch files and snapshots are not part of what is frozen.
fn is_live(node: &NodeId) -> bool {
    node.attachment() == Attachment::LIVE
}
