//! A mounted workspace: starts and ends the threads, the watchdog and the host mount together.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use devdev_vfs::{Restored, Vfs};
use parking_lot::{Condvar, Mutex};

use crate::busy::mount_users;
use crate::classic::{ClassicChannel, DeviceFile};
use crate::core::{Core, Progress, Worker};
use crate::counters::{Counted, Counters, OpCount};
use crate::errors::{HostMountError, UnmountError};
use crate::flush::{Barrier, FlushReport};
use crate::handshake::{Agreed, shake_hands, writes_under_way};
use crate::host_mount::{
    DetachError, Fusermount, HostMounted, abort, detach, force_detach, mount, read_further_ahead,
    remove_created,
};
use crate::late::Late;
use crate::mount_table::{
    clear_dead_mount, forget_served, mount_points_of, mounted_at, note_served,
};
use crate::notify::Notifier;
use crate::options::{EndReason, LogLevel, MountOptions, Transport};
use crate::park::Parking;
use crate::probe::probe;
use crate::readers::{Forgets, read_requests};
use crate::replayer::Replays;
use crate::uring::Rings;
use crate::watchdog::Watchdog;
use crate::writeback::Writeback;

/// Threads that serve parked requests.
const POOL: usize = 2;
/// How long a busy mount point is tried again: a process that has just ended gives its files
/// back a moment later.
const BUSY_RETRIES: u32 = 5;
const BUSY_PAUSE: Duration = Duration::from_millis(40);
/// How long unmounting may take before the connection is aborted.
const DETACH_LIMIT: Duration = Duration::from_secs(20);
/// How long those who still use a detached mount are left alone.
const GRACE: Duration = Duration::from_secs(2);
const FORCED_GRACE: Duration = Duration::from_millis(200);
/// How long what the kernel holds back may take to come when the connection is to be aborted.
const LATE_FLUSH: Duration = Duration::from_secs(5);
/// How long threads may take to end once the connection is over.
const JOIN_LIMIT: Duration = Duration::from_secs(2);
/// How long figures wait for what is being counted.
const COUNT_LIMIT: Duration = Duration::from_millis(10);

/// Why a transport could not be used, or nothing be mounted at all.
enum Failure {
    Mount(HostMountError),
    Rings(String),
}

impl From<HostMountError> for Failure {
    fn from(error: HostMountError) -> Failure {
        Failure::Mount(error)
    }
}

/// A workspace served at a directory of the host. Dropping it unmounts by force.
///
/// None of its methods may run on a thread that serves requests; all but the readers of
/// counters may block for as long as the kernel needs to write dirty pages back, so not on a
/// JavaScript main thread.
pub struct Session {
    inner: Arc<Inner>,
    /// Why requests do not come in as it was wished.
    instead: Option<String>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Inner {
    core: Arc<Core>,
    notifier: Arc<Notifier>,
    path: PathBuf,
    device: (u32, u32),
    barrier: Arc<Barrier>,
    fusermount: Option<PathBuf>,
    on_end: Option<crate::options::EndSink>,
    transport: Transport,
    /// Not yet known to work: nobody is told if it ends.
    on_trial: AtomicBool,
    /// Everything that is undone once, when the host mount is gone.
    held: Mutex<Option<Held>>,
    /// Readers that still run.
    readers: AtomicUsize,
    ended: (Mutex<bool>, Condvar),
    /// LOCKS: taken for the whole of an unmount.
    unmounting: Mutex<()>,
    wanted: AtomicBool,
}

struct Held {
    watchdog: Option<Watchdog>,
    abort: Option<std::os::fd::OwnedFd>,
    created: Vec<PathBuf>,
}

impl Session {
    /// Mounts `vfs` and serves it until `unmount`. Becomes the engine's invalidator.
    /// On an error nothing is mounted and nothing was changed.
    pub fn mount(vfs: Arc<Vfs>, options: MountOptions) -> Result<Session, HostMountError> {
        let reason = match options.transport {
            Transport::Classic => None,
            Transport::IoUring => match Rings::prepare(options.spares) {
                Err(reason) => Some(reason),
                Ok(rings) => match Session::attempt(&vfs, &options, Some(rings)) {
                    Ok(session) => return Ok(session),
                    Err(Failure::Mount(error)) => return Err(error),
                    Err(Failure::Rings(reason)) => Some(reason),
                },
            },
        };
        if let (Some(reason), Some(log)) = (&reason, &options.log) {
            log(LogLevel::Warn, &format!("fuse: classic transport, not io_uring: {reason}"));
        }
        match Session::attempt(&vfs, &options, None) {
            Ok(mut session) => {
                session.instead = reason;
                Ok(session)
            }
            Err(Failure::Mount(error)) => Err(error),
            Err(Failure::Rings(reason)) => Err(HostMountError::Handshake(reason)),
        }
    }

    fn attempt(
        vfs: &Arc<Vfs>,
        options: &MountOptions,
        mut rings: Option<Rings>,
    ) -> Result<Session, Failure> {
        let mut mounted = mount(options)?;
        note_served(&mounted.path);
        let undo = Undo::of(&mounted, options);
        let file = DeviceFile::new(mounted.device_file);
        let mut first = ClassicChannel::new(file.clone());
        let writes = options.writeback.then(|| writes_under_way(vfs.usage().max_bytes));
        let agreed = shake_hands(&file, &mut first, rings.is_some(), writes)?;
        read_further_ahead(mounted.device);
        if rings.is_some() && !agreed.over_rings() {
            return Err(Failure::Rings("the kernel does not offer it".to_owned()));
        }
        let readers = if rings.is_some() { 1 } else { options.readers.max(1) };
        let channels = first.and_clones(readers, &file, &options.device);
        let start = |helper: &PathBuf| {
            let abort = mounted.abort.as_ref().map(AsFd::as_fd);
            let (path, created) = (&mounted.path, &mounted.created);
            Watchdog::start(helper, path, mounted.device, created, file.as_fd(), abort)
        };
        let watchdog = options.helper.as_ref().map(start).transpose();
        let watchdog = watchdog.map_err(|e| HostMountError::System("starting the watchdog", e))?;
        let place = (mounted.path.clone(), mounted.device);
        let core =
            Arc::new(new_core(vfs, agreed, options, place, channels.len(), file, rings.as_mut()));
        if let Some(watchdog) = &watchdog {
            core.nudger.get_or_init(|| watchdog.nudger());
        }
        let held = Held {
            watchdog,
            abort: mounted.abort.take(),
            created: std::mem::take(&mut mounted.created),
        };
        let notifier = Arc::new(Notifier::new(core.clone()));
        let teller = notifier.clone();
        let barrier = Barrier::new(vfs.clone(), teller, mounted.device, options.allow_other);
        let inner = Arc::new(Inner {
            notifier,
            path: mounted.path,
            device: mounted.device,
            barrier,
            fusermount: options.fusermount.clone(),
            on_end: options.on_end.clone(),
            transport: if rings.is_some() { Transport::IoUring } else { Transport::Classic },
            on_trial: AtomicBool::new(rings.is_some()),
            held: Mutex::new(Some(held)),
            readers: AtomicUsize::new(channels.len() + rings.as_ref().map_or(0, Rings::len)),
            ended: (Mutex::new(false), Condvar::new()),
            unmounting: Mutex::new(()),
            wanted: AtomicBool::new(false),
            core,
        });
        let session = Session { inner, instead: None, threads: Mutex::default() };
        session.inner.core.vfs.set_invalidator(Some(session.inner.notifier.clone()));
        // From here on dropping the session undoes everything.
        undo.disarm();
        let started = session.start(channels, rings);
        started.map_err(|e| HostMountError::System("starting threads", e))?;
        session.prove(options)?;
        session.introduce(mounted.kernel_checks);
        Ok(session)
    }

    // Rings that do not work would leave everybody waiting: a child process tries every queue.
    fn prove(&self, options: &MountOptions) -> Result<(), Failure> {
        let inner = &self.inner;
        if inner.transport == Transport::Classic {
            return Ok(());
        }
        let tried = options.helper.as_deref().map_or(Ok(()), |helper| probe(helper, &inner.path));
        let lasted = tried.and_then(|()| {
            inner.on_trial.store(false, Ordering::SeqCst);
            if inner.is_over() { Err("the connection ended at once".to_owned()) } else { Ok(()) }
        });
        lasted.map_err(|reason| {
            inner.on_trial.store(true, Ordering::SeqCst);
            // What follows is left to dropping the session.
            inner.wanted.store(true, Ordering::SeqCst);
            inner.abort();
            if let Err(error) = inner.detach_everywhere(true) {
                inner.core.log(LogLevel::Warn, &format!("fuse: {error}"));
            }
            Failure::Rings(reason)
        })
    }

    fn introduce(&self, kernel_checks: bool) {
        let core = &self.inner.core;
        let message = format!(
            "fuse: protocol 7.{}, {}, {}",
            core.agreed.minor,
            match core.rings.len() {
                0 => format!("{} readers", self.inner.readers.load(Ordering::Relaxed)),
                rings => format!("io_uring, {rings} workers"),
            },
            if kernel_checks { "modes checked by the kernel" } else { "root only" },
        );
        core.log(LogLevel::Info, &message);
    }

    fn start(&self, channels: Vec<ClassicChannel>, rings: Option<Rings>) -> std::io::Result<()> {
        // Workers give way to others at times, and so would what they start.
        devdev_vfs::start_threads();
        let readers = channels.len();
        let mut threads = self.threads.lock();
        if let Some(jobs) = self.inner.core.late.take_jobs() {
            let notifier = self.inner.notifier.clone();
            threads.push(spawn("devdev-late", move || notifier.work(&jobs))?);
        }
        for slot in readers..readers + POOL {
            let core = self.inner.core.clone();
            threads.push(spawn("devdev-parked", move || {
                let mut worker = Worker::new(core.clone(), Some(slot));
                core.parking.serve(&core, &mut worker);
            })?);
        }
        for (slot, mut channel) in channels.into_iter().enumerate() {
            let mut worker = Worker::new(self.inner.core.clone(), Some(slot));
            let inner = Arc::downgrade(&self.inner);
            let forgets = rings.is_some().then(|| Forgets::new(self.inner.core.vfs.clone()));
            threads.push(spawn("devdev-fuse", move || {
                read_requests(&mut channel, &mut worker, forgets.as_ref());
                drop(channel);
                drop(worker);
                reader_ended(&inner);
            })?);
        }
        if let Some(rings) = rings {
            let inner = Arc::downgrade(&self.inner);
            threads.extend(rings.start(&self.inner.core, move || reader_ended(&inner)));
        }
        Ok(())
    }

    /// How requests come in.
    pub fn transport(&self) -> Transport {
        self.inner.transport
    }

    /// Whether the kernel keeps writes back: not where it is too old for that.
    pub fn writeback(&self) -> bool {
        self.inner.core.writeback.is_some()
    }

    /// Why it is not as the options wished, if it is not.
    pub fn why_classic(&self) -> Option<&str> {
        self.instead.as_deref()
    }

    /// The absolute path at which it is mounted.
    pub fn mount_point(&self) -> &Path {
        &self.inner.path
    }

    /// Device number (major, minor) that stat reports for files of this mount.
    pub fn device(&self) -> (u32, u32) {
        self.inner.device
    }

    /// Whether requests are still served.
    pub fn is_alive(&self) -> bool {
        !*self.inner.ended.0.lock()
    }

    /// Writes back what processes stored to shared mappings, and waits for it. To be called
    /// before a freeze; not for background checkpoints.
    pub fn flush(&self, deadline: Duration) -> FlushReport {
        self.inner.barrier.flush(deadline)
    }

    /// A restore is to come soon: what takes a while to find out for it is begun.
    pub fn expect_restore(&self) {
        self.inner.core.replays.expect();
    }

    /// Tells the kernel what `Vfs::restore` changed. When it returns, no process sees the old
    /// state any more (open files of removed inodes excepted).
    pub fn apply_restored(&self, restored: &Restored) {
        self.inner.notifier.restored(restored);
    }

    /// Unmounts. Without `force` a workspace in use stays mounted and the users are named; with
    /// `force` it is taken away from them (they get errors). Never hangs. Calling it again after
    /// success does nothing.
    pub fn unmount(&self, force: bool) -> Result<(), UnmountError> {
        let inner = &self.inner;
        let _one_at_a_time = inner.unmounting.lock();
        if inner.held.lock().is_some() {
            inner.wanted.store(true, Ordering::Release);
            // Its helper has the mount open.
            inner.core.replays.stop();
            if let Err(error) = inner.take_down(force) {
                inner.wanted.store(false, Ordering::Release);
                inner.core.replays.go_on();
                return Err(error);
            }
            inner.finish(EndReason::Unmounted);
        }
        self.join();
        Ok(())
    }

    /// Counters per kind of request, those that occurred.
    pub fn counters(&self) -> Vec<OpCount> {
        self.counted(false).requests
    }

    /// Everything that was counted since the last reset; with `reset` the figures begin anew.
    pub fn counted(&self, reset: bool) -> Counted {
        // A request is counted when its reply is out already.
        self.inner.core.quiesce_within(COUNT_LIMIT);
        self.inner.core.counters.read(reset)
    }

    /// Requests that wait for the store now.
    pub fn parked_now(&self) -> usize {
        self.inner.core.parking.waiting()
    }

    // Threads that do not end in time stay behind: they hold nothing but the connection, which
    // ends with its last user.
    fn join(&self) {
        let end = Instant::now() + JOIN_LIMIT;
        let mut threads = self.threads.lock();
        // Called from `on_end`, this may be one of them.
        let me = std::thread::current().id();
        threads.retain(|thread| thread.thread().id() != me);
        while let Some(thread) = threads.last() {
            if thread.is_finished() {
                // Its panic, if any, was logged where it happened.
                let _ = threads.pop().map(JoinHandle::join);
            } else if Instant::now() < end && self.inner.is_over() {
                std::thread::sleep(Duration::from_millis(1));
            } else {
                threads.clear();
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Err(error) = self.unmount(true) {
            self.inner.core.log(LogLevel::Error, &format!("fuse: {error}"));
        }
    }
}

impl Inner {
    fn take_down(&self, force: bool) -> Result<(), UnmountError> {
        if !self.is_over() {
            self.detach_everywhere(force)?;
        }
        if self.wait_ended(if force { FORCED_GRACE } else { GRACE }) {
            return Ok(());
        }
        // Detached, but somebody still is in there (or in another mount namespace). What they have
        // written is kept.
        if self.core.writeback.is_some() {
            self.barrier.flush(LATE_FLUSH);
        }
        self.core.refusing.store(true, Ordering::Release);
        self.core.parking.close();
        let held = self.held.lock();
        if let Some(Err(error)) = held.as_ref().and_then(|held| held.abort.as_ref()).map(abort) {
            self.core.log(LogLevel::Warn, &format!("fuse: aborting failed: {error}"));
        }
        drop(held);
        self.wait_ended(FORCED_GRACE);
        Ok(())
    }

    // Ends the connection at once, before anything is unmounted.
    fn abort(&self) {
        let held = self.held.lock();
        let aborted = held.as_ref().and_then(|held| held.abort.as_ref()).map(abort);
        drop(held);
        if !matches!(aborted, Some(Ok(()))) {
            // Without the file root can; for others it does nothing.
            let path = self.path.clone();
            let _ = spawn("devdev-unmount", move || force_detach(&path));
        }
        self.wait_ended(DETACH_LIMIT);
    }

    // The mount itself, then what was bound from it: those users cannot be told from its own.
    fn detach_everywhere(&self, force: bool) -> Result<(), UnmountError> {
        let refused = |reason: String| UnmountError::Refused(self.path.clone(), reason);
        let mut points =
            mount_points_of(self.device).map_err(|error| refused(error.to_string()))?;
        // It may have been moved since, with a directory above it.
        let own = points.iter().position(|point| *point == self.path).unwrap_or(0);
        if points.is_empty() {
            return Ok(());
        }
        let point = points.remove(own);
        let on_top = mounted_at(&point).ok().flatten().filter(|line| line.device != self.device);
        if let Some(line) = on_top {
            return Err(refused(format!("a {} file system lies on top of it", line.kind)));
        }
        let mut tries = 0;
        loop {
            match self.detach_limited(&point, force) {
                Ok(()) => break,
                Err(DetachError::Busy) if tries < BUSY_RETRIES => {
                    tries += 1;
                    std::thread::sleep(BUSY_PAUSE);
                }
                Err(DetachError::Busy) => {
                    return Err(UnmountError::Busy(point.clone(), mount_users(&point)));
                }
                Err(DetachError::Refused(reason)) => return Err(refused(reason)),
            }
        }
        for bound in points.iter().rev() {
            if let Err(error) = self.detach_limited(bound, true) {
                let message = format!("fuse: {} stays mounted: {error}", bound.display());
                self.core.log(LogLevel::Warn, &message);
            }
        }
        Ok(())
    }

    // The kernel may have to write pages back first, which this process serves: on a thread of
    // its own, so that nothing can hang here.
    fn detach_limited(&self, point: &Path, lazily: bool) -> Result<(), DetachError> {
        let (send, receive) = std::sync::mpsc::channel();
        let (path, fusermount) = (point.to_owned(), self.fusermount.clone());
        let started = spawn("devdev-unmount", move || {
            let fusermount = Fusermount::find(fusermount.as_deref());
            // Nobody listens when the limit has passed.
            let _ = send.send(detach(&path, &fusermount, lazily));
        });
        if let Err(error) = started {
            return Err(DetachError::Refused(error.to_string()));
        }
        receive
            .recv_timeout(DETACH_LIMIT)
            .unwrap_or_else(|_| Err(DetachError::Refused("it did not come to an end".to_owned())))
    }

    fn wait_ended(&self, limit: Duration) -> bool {
        let mut ended = self.ended.0.lock();
        let end = Instant::now() + limit;
        while !*ended && !self.ended.1.wait_until(&mut ended, end).timed_out() {}
        *ended
    }

    fn is_over(&self) -> bool {
        *self.ended.0.lock()
    }

    // Undoes what mounting did besides the mount itself; once.
    fn finish(&self, reason: EndReason) {
        let Some(held) = self.held.lock().take() else { return };
        self.core.vfs.set_invalidator(None);
        self.core.parking.close();
        self.core.late.close();
        self.core.replays.close();
        if let Some(watchdog) = held.watchdog {
            watchdog.bye();
        }
        forget_served(&self.path);
        if reason == EndReason::Lost {
            // umount -f ends the connection, but leaves a mount that is in use. Nobody waits there.
            if let Err(error) = clear_dead_mount(&self.path) {
                self.core.log(LogLevel::Warn, &format!("fuse: {error}"));
            }
        }
        remove_created(&held.created);
        let on_trial = self.on_trial.load(Ordering::SeqCst);
        if !on_trial {
            self.core.log(LogLevel::Info, &format!("fuse: {} is unmounted", self.path.display()));
        }
        if let Some(on_end) = self.on_end.as_ref().filter(|_| !on_trial) {
            on_end(reason);
        }
    }
}

fn new_core(
    vfs: &Arc<Vfs>,
    agreed: Agreed,
    options: &MountOptions,
    (path, numbers): (PathBuf, (u32, u32)),
    readers: usize,
    device: Arc<DeviceFile>,
    rings: Option<&mut Rings>,
) -> Core {
    Core {
        vfs: vfs.clone(),
        agreed,
        xattrs: options.xattrs,
        hook: options.hook.clone(),
        log: options.log.clone(),
        counters: Counters::new(),
        parking: Parking::new(options.park_timeout, options.sync_timeout),
        sync: options.sync.clone(),
        refusing: AtomicBool::new(false),
        helper: options.helper.clone(),
        late: Late::new(),
        replays: Replays::new(path.clone(), numbers, options.helper.clone()),
        writeback: agreed.writeback().then(|| Writeback::new(path, options.helper.clone())),
        refreshed: Mutex::default(),
        device,
        nudger: OnceLock::new(),
        progress: (0..readers + POOL).map(|_| Progress::default()).collect(),
        rings: rings.map(Rings::take_views).unwrap_or_default(),
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

// The last reader tells that the connection is over.
fn reader_ended(inner: &Weak<Inner>) {
    let Some(inner) = inner.upgrade() else { return };
    if inner.readers.fetch_sub(1, Ordering::AcqRel) > 1 {
        return;
    }
    *inner.ended.0.lock() = true;
    inner.ended.1.notify_all();
    if !inner.wanted.load(Ordering::Acquire) {
        inner.finish(EndReason::Lost);
    }
}

/// Takes the host mount down again when mounting fails half way.
struct Undo {
    path: PathBuf,
    created: Vec<PathBuf>,
    fusermount: Option<PathBuf>,
    armed: bool,
}

impl Undo {
    fn of(mounted: &HostMounted, options: &MountOptions) -> Undo {
        Undo {
            path: mounted.path.clone(),
            created: mounted.created.clone(),
            fusermount: options.fusermount.clone(),
            armed: true,
        }
    }

    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        if self.armed {
            // Mounting has failed already; what remains mounted is dead and cleared next time.
            let _ = detach(&self.path, &Fusermount::find(self.fusermount.as_deref()), true);
            remove_created(&self.created);
            forget_served(&self.path);
        }
    }
}
