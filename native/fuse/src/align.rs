//! Keeping a kernel that writes back and the engine the same: bringing in what it holds, and
//! telling it what it would not ask for.
//!
//! Such a kernel believes its own length and times of a regular file for as long as it knows the
//! inode. What nobody uses it can be told to forget. Of an open or watched file it learns a greater
//! length with bytes that it is given; a smaller one, and times, only from a SETATTR of its own: so
//! a helper process truncates the file through the mount, and is answered with what is.

use std::collections::HashSet;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use devdev_vfs::{Attr, NodeId, Outcome, ReadPiece, S_IFMT, S_IFREG, SetAttr, SetTime};

use crate::abi::{NOTIFY_PRUNE, NOTIFY_STORE, NotifyPrune, NotifyStore};
use crate::core::Core;
use crate::late::Job;
use crate::notify::Notifier;
use crate::options::LogLevel;
use crate::probe::wait;
use crate::writeback::Writeback;

/// How long the kernel is given to say that it has forgotten a file.
const FORGET_LIMIT: Duration = Duration::from_millis(3);
/// How long the helper may take.
const ALIGN_LIMIT: Duration = Duration::from_secs(5);
/// How often a file is looked after of which something was refused.
const REFUSED_PAUSE: Duration = Duration::from_millis(300);
/// How long a wait for jobs is at most.
const NO_JOBS: Duration = Duration::from_secs(3600);
/// Most ids in one notification.
const PRUNE_BATCH: usize = 4096;

impl Notifier {
    /// Brings in what the kernel holds of a file, with a time for it where the kernel's own comes
    /// later.
    pub fn settle_file(&self, writeback: &Writeback, node: NodeId) {
        let core = self.core();
        if !is_regular(core, node) || !core.vfs.is_held_by_kernel(node) {
            return;
        }
        writeback.is_untimed(node);
        self.flush_inode(node);
        if writeback.is_untimed(node) {
            touch(core, node);
        }
    }

    /// The same for many; stops when `go_on` says so.
    pub fn settle_files(&self, nodes: &[NodeId], mut go_on: impl FnMut()) {
        let core = self.core();
        core.writeback.iter().for_each(|writeback| drop(writeback.take_untimed()));
        for node in nodes {
            self.flush_inode(*node);
            go_on();
        }
        if let Some(writeback) = &core.writeback {
            writeback.take_untimed().into_iter().for_each(|node| touch(core, node));
        }
    }

    /// Shields a range before it is changed.
    pub fn begin_edit(&self, writeback: &Writeback, node: NodeId, from: u64, to: u64) {
        self.settle_file(writeback, node);
        let size = self.core().vfs.getattr(node).map_or(0, |attr| attr.size);
        writeback.begin_edit(node, from, to, size);
    }

    /// After the change was told: the kernel learns the length, and the shield goes.
    pub fn end_edit(&self, writeback: &Writeback, node: NodeId, from: u64, to: u64) {
        let core = self.core();
        if is_regular(core, node) && core.vfs.is_held_by_kernel(node) {
            // What was dirtied meanwhile comes while the shield is there.
            self.flush_inode(node);
            self.align(writeback, &[node]);
        }
        writeback.end_edit(node, from, to);
    }

    /// Has the kernel forget what nobody uses of these.
    pub fn prune(&self, nodes: &[NodeId]) {
        for some in nodes.chunks(PRUNE_BATCH) {
            let prune = NotifyPrune { count: some.len() as u32, ..NotifyPrune::default() };
            let ids: Vec<u8> = some.iter().flat_map(|node| node.0.to_ne_bytes()).collect();
            self.send_notice(NOTIFY_PRUNE, &prune, &ids);
        }
    }

    /// Has the kernel know length and times of regular files as they are.
    pub fn align(&self, writeback: &Writeback, nodes: &[NodeId]) {
        let core = self.core();
        let regular = |node: &NodeId| is_regular(core, *node) && core.vfs.is_held_by_kernel(*node);
        let mut nodes: Vec<NodeId> = nodes.iter().copied().filter(regular).collect();
        self.prune(&nodes);
        let end = Instant::now() + FORGET_LIMIT;
        loop {
            nodes.retain(|node| core.vfs.is_held_by_kernel(*node));
            if nodes.is_empty() || Instant::now() > end {
                break;
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        nodes.iter().for_each(|node| self.lengthen(*node));
        self.have_truncated(writeback, &nodes);
    }

    // With the last byte the kernel learns how long a file is at least.
    fn lengthen(&self, node: NodeId) {
        let Ok(attr) = self.core().vfs.getattr(node) else { return };
        let Some(offset) = attr.size.checked_sub(1) else { return };
        let Ok(Outcome::Done(pieces)) = self.core().vfs.read(node, offset, 1) else { return };
        let byte = pieces.first().map_or(0, |piece| match piece {
            ReadPiece::Data { bytes, start, .. } => bytes[*start],
            ReadPiece::Zero(_) => 0,
        });
        let store = NotifyStore { nodeid: node.0, offset, size: 1, padding: 0 };
        self.send_notice(NOTIFY_STORE, &store, &[byte]);
    }

    fn have_truncated(&self, writeback: &Writeback, nodes: &[NodeId]) {
        let vfs = &self.core().vfs;
        let known = |node: &NodeId| Some((vfs.path_of(*node)?, vfs.getattr(*node).ok()?));
        let files: Vec<(Vec<u8>, Attr)> = nodes.iter().filter_map(known).collect();
        let (Some(helper), false) = (&writeback.helper, files.is_empty()) else { return };
        let child = Command::new(helper)
            .arg("align")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let done = child.and_then(|mut child| {
            let pid = child.id();
            // It does nothing before it has read everything.
            writeback.begin_alignment(pid);
            let told = tell(&mut child, writeback, &files);
            let status = wait(&mut child, ALIGN_LIMIT);
            if status.is_none() {
                let _ = child.kill();
                std::thread::spawn(move || child.wait());
            }
            writeback.end_alignment(pid);
            told.map(|()| status.is_some_and(|status| status.success()))
        });
        if !matches!(done, Ok(true)) {
            let message = "fuse: the kernel keeps its own length of a file that is in use";
            self.core().log(LogLevel::Warn, message);
        }
    }

    /// Does the jobs until there can be no more.
    pub fn work(&self, jobs: &Receiver<Job>) {
        // Files of which the kernel shows a length that was refused. Only who has them open can be
        // told of the error, once, by its close: nobody else may open and close them before.
        let mut refused = HashSet::new();
        loop {
            let patience = if refused.is_empty() { Duration::MAX } else { REFUSED_PAUSE };
            match jobs.recv_timeout(patience.min(NO_JOBS)) {
                Ok(Job::Flush(node, waker)) => {
                    self.flush_inode(node);
                    waker(Ok(()));
                }
                Ok(Job::Refused(node)) => {
                    if refused.insert(node) {
                        self.flush_inode(node);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let all: Vec<NodeId> = refused.drain().collect();
                    all.iter().for_each(|node| self.flush_inode(*node));
                    self.prune(&all);
                    std::thread::sleep(FORGET_LIMIT);
                    let held = |node: &NodeId| self.core().vfs.is_held_by_kernel(*node);
                    refused.extend(all.into_iter().filter(held));
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

// For each file: length, mtime, a NUL, the path, a NUL.
fn tell(
    child: &mut Child,
    writeback: &Writeback,
    files: &[(Vec<u8>, Attr)],
) -> std::io::Result<()> {
    let Some(mut stdin) = child.stdin.take() else { return Ok(()) };
    let mut bytes = Vec::new();
    for (path, attr) in files {
        write!(bytes, "{} {} {}\0", attr.size, attr.mtime.secs, attr.mtime.nanos)?;
        bytes.extend_from_slice(writeback.path.as_os_str().as_bytes());
        bytes.extend_from_slice(path);
        bytes.push(0);
    }
    stdin.write_all(&bytes)
}

fn is_regular(core: &Core, node: NodeId) -> bool {
    core.vfs.getattr(node).is_ok_and(|attr| attr.mode & S_IFMT == S_IFREG)
}

// Content has come whose time has not: now is nearer to it than what was before.
fn touch(core: &Core, node: NodeId) {
    let now = SetAttr { mtime: Some(SetTime::Now), ..SetAttr::default() };
    // The file may be gone, or of a snapshot, which was not written to.
    let _ = core.vfs.setattr(node, &now);
}
