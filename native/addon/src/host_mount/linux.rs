//! The host mount over FUSE.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

pub use devdev_fuse::stay_awake;
use devdev_fuse::{
    EndReason, HostMountError, LatencyBucket, LogLevel, MountOptions, OpCount, RingSupport,
    Session, Transport, UnmountError, ring_support,
};
use devdev_vfs::{Restored, Vfs};
use napi::Status;
use napi::threadsafe_function::ThreadsafeFunctionCallMode::NonBlocking;

use super::{
    ErrorCounter, FlushInfo, FoundMountInfo, LatencyCounter, Listeners, MountConfig, MountFigures,
    MountMessage, MountUserInfo, MountedInfo, RequestCounter,
};
use crate::engine::Engine;
use crate::failed::Failed;

/// How long the end of an environment waits for its mounts to go. The watchdog clears what is
/// left after that.
const TEARDOWN_LIMIT: Duration = Duration::from_secs(5);

/// Where an engine keeps its session while it is mounted.
#[derive(Default)]
pub struct HostMountSlot {
    session: Mutex<Option<Arc<Session>>>,
    /// Serialises mount and unmount, which take long.
    changing: Mutex<()>,
}

impl HostMountSlot {
    fn slot(&self) -> MutexGuard<'_, Option<Arc<Session>>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session, while there is one.
    pub fn session(&self) -> Option<Arc<Session>> {
        self.slot().clone()
    }

    /// Begins what a restore that comes soon will need to know.
    pub fn expect_restore(&self) {
        if let Some(session) = self.session() {
            session.expect_restore();
        }
    }

    /// Brings the kernel's caches in line with a restore.
    pub fn apply_restored(&self, vfs: &Vfs, restored: &Restored) {
        match self.session() {
            Some(session) => session.apply_restored(restored),
            None => vfs.restore_done(),
        }
    }

    pub fn is_mounted(&self) -> bool {
        self.session().is_some()
    }

    pub fn is_alive(&self) -> bool {
        self.session().is_some_and(|session| session.is_alive())
    }

    pub fn stats(&self, reset: bool) -> Option<MountFigures> {
        let session = self.session()?;
        let counted = session.counted(reset);
        let since = counted.since.duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(MountFigures {
            since: since.as_millis() as f64,
            requests: counted.requests.into_iter().map(request_counter).collect(),
            inodes_notified: counted.inodes_notified as f64,
            entries_notified: counted.entries_notified as f64,
            parked: counted.parked as f64,
            parked_now: session.parked_now() as u32,
        })
    }

    pub fn flush(&self, deadline_ms: u32) -> FlushInfo {
        let deadline = Duration::from_millis(deadline_ms.into());
        let report = self.session().map(|session| session.flush(deadline));
        // Not mounted: nothing can be dirty.
        report.map_or(FlushInfo { inodes: 0, processes: 0, complete: true, ms: 0.0 }, |report| {
            FlushInfo {
                inodes: report.inodes,
                processes: report.processes,
                complete: report.complete,
                ms: report.elapsed.as_secs_f64() * 1000.0,
            }
        })
    }

    pub fn unmount(&self, force: bool) -> Result<(), Failed> {
        let _changing = self.change();
        let Some(session) = self.session() else { return Ok(()) };
        session.unmount(force).map_err(unmount_failed)?;
        let gone = self.slot().take();
        drop(gone);
        Ok(())
    }

    /// Unmounts by force because the environment ends; gives up after a limit.
    pub fn abandon(&self) {
        let Some(session) = self.slot().take() else { return };
        let (done, wait) = mpsc::channel();
        let unmount = move || {
            // Nobody is left to hear of a refusal; the watchdog clears what remains.
            let _ = session.unmount(true);
            let _ = done.send(());
        };
        if thread::Builder::new().name("devdev-teardown".to_owned()).spawn(unmount).is_ok() {
            // Past the limit the process goes on ending: see above.
            let _ = wait.recv_timeout(TEARDOWN_LIMIT);
        }
    }
}

fn request_counter(op: OpCount) -> RequestCounter {
    let error = |(errno, count): (i32, u64)| ErrorCounter { errno, count: count as f64 };
    let bucket = |bucket: LatencyBucket| LatencyCounter {
        from: bucket.from as f64,
        below: bucket.below as f64,
        count: bucket.count as f64,
    };
    RequestCounter {
        name: op.name.to_owned(),
        count: op.count as f64,
        bytes_in: op.bytes_in as f64,
        bytes_out: op.bytes_out as f64,
        nanos: op.nanos as f64,
        max_nanos: op.max as f64,
        errors: op.errors.into_iter().map(error).collect(),
        latency: op.latency.into_iter().map(bucket).collect(),
    }
}

fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}

pub fn mount(
    engine: &Arc<Engine>,
    config: MountConfig,
    listeners: Listeners,
) -> Result<MountedInfo, Failed> {
    let slot = &engine.host_mount;
    let _changing = slot.change();
    if let Some(session) = slot.session() {
        if session.is_alive() {
            let path = session.mount_point().display();
            let message = format!("the workspace is already mounted on {path}");
            return Err(Failed::new("ERR_MOUNT_ALREADY_MOUNTED", message));
        }
        // What is left of a lost one goes first.
        session.unmount(true).map_err(unmount_failed)?;
    }
    let mut options = MountOptions::new(config.path);
    options.allow_other = config.allow_other;
    options.suid_and_devices = config.suid_and_devices;
    options.xattrs = engine.xattrs;
    options.writeback = config.writeback;
    options.transport = match config.transport.as_deref() {
        Some("io_uring") => Transport::IoUring,
        Some(_) => Transport::Classic,
        None if ring_support() == RingSupport::On => Transport::IoUring,
        None => Transport::Classic,
    };
    options.helper = config.helper.map(PathBuf::from);
    let Listeners { log, end, sync } = listeners;
    // A closing environment takes no more messages; there is nobody to miss them.
    options.log = Some(Arc::new(move |level, text| {
        let level = level_name(level).to_owned();
        log.call(MountMessage { level, text: text.to_owned() }, NonBlocking);
    }));
    options.on_end = Some(Arc::new(move |reason| {
        let reason = match reason {
            EndReason::Unmounted => "unmounted",
            EndReason::Lost => "lost",
        };
        end.call(reason.to_owned(), NonBlocking);
    }));
    if config.durable {
        let syncs = engine.syncs.clone();
        options.sync = Some(Arc::new(move |waker| {
            syncs.add(waker);
            if sync.call((), NonBlocking) != Status::Ok {
                syncs.fail();
            }
        }));
    }
    let session = Session::mount(engine.vfs.clone(), options).map_err(mount_failed)?;
    let mounted = MountedInfo {
        path: session.mount_point().to_string_lossy().into_owned(),
        transport: transport_name(session.transport()).to_owned(),
        why_classic: session.why_classic().map(str::to_owned),
        writeback: session.writeback(),
    };
    *slot.slot() = Some(Arc::new(session));
    Ok(mounted)
}

fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Classic => "classic",
        Transport::IoUring => "io_uring",
    }
}

fn mount_failed(error: HostMountError) -> Failed {
    Failed::new(error.code(), error.to_string())
}

fn unmount_failed(error: UnmountError) -> Failed {
    let code = match error {
        UnmountError::Busy(..) => "EBUSY",
        UnmountError::Refused(..) => error.code(),
    };
    Failed::new(code, error.to_string())
}

pub fn host_mounts() -> Result<Vec<FoundMountInfo>, Failed> {
    let found = |mount: devdev_fuse::HostMount| FoundMountInfo {
        path: mount.mount_point.to_string_lossy().into_owned(),
        uid: mount.uid,
    };
    Ok(devdev_fuse::devdev_mounts()?.into_iter().map(found).collect())
}

pub fn mount_users(path: String) -> Result<Vec<MountUserInfo>, Failed> {
    let user = |user: devdev_fuse::MountUser| MountUserInfo {
        pid: user.pid,
        command: user.command,
        what: user.how.to_string(),
    };
    Ok(devdev_fuse::mount_users(Path::new(&path)).into_iter().map(user).collect())
}

pub fn clear_dead_mount(path: String) -> Result<bool, Failed> {
    Ok(devdev_fuse::clear_dead_mount(Path::new(&path))?)
}
