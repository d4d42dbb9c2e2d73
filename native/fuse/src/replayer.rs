//! The helper process that replays restores for programs that watch files, and the thread that
//! sees to it. The daemon must not touch its own mount; a process can be killed when it is late.
//!
//! INVARIANT: from before it gets its orders until it has ended the helper is known by its process
//! id, so that none of its requests is ever taken for what it looks like.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use devdev_vfs::{Changes, NodeId};
use parking_lot::{Condvar, Mutex, RwLock};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::core::Core;
use crate::options::LogLevel;
use crate::replay::Replay;
use crate::watches::find_watches;

/// How long a restore waits to know whether anybody watches.
const LOOK_LIMIT: Duration = Duration::from_millis(20);
/// What was found out for a restore that was to come is no longer asked when it comes so late.
const LOOK_AGE: Duration = Duration::from_secs(1);
/// How long it waits for what they are told; the rest comes later.
const TELL_LIMIT: Duration = Duration::from_millis(200);
/// How long the helper may take: at all, and for each thing to tell.
const HELPER_LIMIT: Duration = Duration::from_secs(5);
const EACH_LIMIT: Duration = Duration::from_millis(2);
/// How long an unmount waits for the helper to end.
const STOP_LIMIT: Duration = Duration::from_secs(3);
/// How soon it is seen that the helper is to stop.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

#[derive(Default)]
struct State {
    /// What nobody has been told of yet.
    pending: Option<Changes>,
    /// There is a thread that tells it.
    running: bool,
    /// Restores so far, and those of them that have been told.
    wanted: u64,
    told: u64,
    /// Nobody is told of anything.
    closed: bool,
}

/// The replays of one host mount.
pub(crate) struct Replays {
    path: PathBuf,
    device: (u32, u32),
    helper: Option<PathBuf>,
    /// The helper's process, 0 while there is none.
    pid: AtomicU32,
    /// There for as long as that is not 0.
    current: RwLock<Option<Arc<Replay>>>,
    state: Mutex<State>,
    changed: Condvar,
    /// Whether anybody watches, asked for a restore that is to come.
    looking: Mutex<Option<(Instant, Receiver<bool>)>>,
}

impl Replays {
    pub fn new(path: PathBuf, device: (u32, u32), helper: Option<PathBuf>) -> Replays {
        Replays {
            path,
            device,
            helper,
            pid: AtomicU32::new(0),
            current: RwLock::new(None),
            state: Mutex::default(),
            changed: Condvar::new(),
            looking: Mutex::default(),
        }
    }

    /// The replay that a process makes.
    pub fn of(&self, pid: u32) -> Option<Arc<Replay>> {
        if pid == 0 || self.pid.load(Ordering::Acquire) != pid {
            return None;
        }
        self.current.read().clone()
    }

    /// Whether a name is gone and its removal is being told.
    pub fn is_removing(&self, dir: NodeId, name: &[u8]) -> bool {
        self.pid.load(Ordering::Acquire) != 0
            && self.current.read().as_ref().is_some_and(|replay| replay.is_removing(dir, name))
    }

    /// A restore is to come: begins to look whether anybody watches.
    pub fn expect(&self) {
        *self.looking.lock() = self.look().map(|watched| (Instant::now(), watched));
    }

    /// Begins to look whether anybody watches, unless that was done just now; nothing if nobody
    /// could be told.
    pub fn watched(&self) -> Option<Receiver<bool>> {
        match self.looking.lock().take() {
            Some((since, watched)) if since.elapsed() < LOOK_AGE => Some(watched),
            _ => self.look(),
        }
    }

    fn look(&self) -> Option<Receiver<bool>> {
        self.helper.as_ref()?;
        let (send, receive) = channel();
        let device = self.device;
        let look = move || {
            // Who asked may have gone on.
            let _ = send.send(!find_watches(device).is_empty());
        };
        let started = std::thread::Builder::new().name("devdev-watches".into()).spawn(look);
        started.is_ok().then_some(receive)
    }

    /// Has a restore told to all who watch, also those that have begun to since it began. Returns
    /// soon: when nobody did before, or they were told, or it takes its time.
    pub fn tell(&self, core: &Arc<Core>, watched: &Receiver<bool>, changes: Changes) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        state.pending = Some(match state.pending.take() {
            Some(earlier) => earlier.up_to(&changes),
            None => changes,
        });
        state.wanted += 1;
        let number = state.wanted;
        if !state.running {
            let core = core.clone();
            let work = move || core.replays.work(&core);
            let started = std::thread::Builder::new().name("devdev-replay".into()).spawn(work);
            state.running = started.is_ok();
        }
        drop(state);
        if watched.recv_timeout(LOOK_LIMIT) == Ok(false) {
            return;
        }
        let end = Instant::now() + TELL_LIMIT;
        let mut state = self.state.lock();
        while state.running && state.told < number {
            if self.changed.wait_until(&mut state, end).timed_out() {
                break;
            }
        }
    }

    /// Tells nobody of anything any more; what is being told is broken off, and waited for.
    pub fn stop(&self) {
        self.close();
        let end = Instant::now() + STOP_LIMIT;
        let mut state = self.state.lock();
        while state.running && !self.changed.wait_until(&mut state, end).timed_out() {}
    }

    /// The same without waiting.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.pending = None;
    }

    /// The mount stays after all.
    pub fn go_on(&self) {
        self.state.lock().closed = false;
    }

    fn work(&self, core: &Core) {
        let _panic = OnPanic(self);
        loop {
            let mut state = self.state.lock();
            let (changes, number) = (state.pending.take(), state.wanted);
            let Some(changes) = changes.filter(|_| !state.closed) else {
                // Under the same lock, so that the next restore starts another thread.
                state.running = false;
                self.changed.notify_all();
                return;
            };
            drop(state);
            if let Err(error) = self.tell_all(core, changes) {
                let message = format!("fuse: programs that watch files were not told: {error}");
                core.log(LogLevel::Warn, &message);
            }
            self.state.lock().told = number;
            self.changed.notify_all();
        }
    }

    fn tell_all(&self, core: &Core, changes: Changes) -> std::io::Result<()> {
        let watchers = find_watches(self.device);
        let (Some(helper), false) = (&self.helper, watchers.is_empty()) else { return Ok(()) };
        let news = changes.news_for(&watchers);
        drop(changes);
        if news.count() == 0 {
            return Ok(());
        }
        if self.pid.load(Ordering::Acquire) != 0 {
            return Err(std::io::Error::other("an earlier helper may still be there"));
        }
        let limit = HELPER_LIMIT + EACH_LIMIT * news.count() as u32;
        let token = token();
        let mut orders = self.path.as_os_str().as_bytes().to_vec();
        let (major, minor) = self.device;
        write!(orders, "\0{token}\0{major} {minor} {}\0", limit.as_millis())?;
        let (replay, steps) = Replay::of(&news, token);
        orders.extend_from_slice(&steps);
        let mut child = Command::new(helper)
            .arg("replay")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        *self.current.write() = Some(Arc::new(replay));
        // It does nothing before it has read everything.
        self.pid.store(child.id(), Ordering::Release);
        let done = self.guide(&mut child, &orders, Instant::now() + limit);
        self.pid.store(0, Ordering::Release);
        *self.current.write() = None;
        // It has ended; only now its number may be given to another process.
        let status = child.wait()?;
        done?;
        let level = if status.success() { LogLevel::Debug } else { LogLevel::Info };
        let message = format!("fuse: watchers were told of {} changes ({status})", news.count());
        core.log(level, &message);
        Ok(())
    }

    // Returns when the helper has ended. Late or unwanted, it is killed; as long as a request of it
    // is under way it does not end even then.
    fn guide(&self, child: &mut Child, orders: &[u8], end: Instant) -> std::io::Result<()> {
        let told = self.instruct(child, orders, end);
        let mut late = Ok(());
        while !has_ended(child) {
            if told.is_err() || late.is_err() || self.state.lock().closed {
                let _ = child.kill();
                std::thread::sleep(Duration::from_millis(1));
            } else if Instant::now() > end {
                late = Err(std::io::Error::other("the helper took too long"));
            } else if let Some(stdout) = &child.stdout {
                // It says nothing: this ends with it.
                wait_for(stdout, PollFlags::IN, LOOK_PAUSE);
            }
        }
        told.and(late)
    }

    fn instruct(&self, child: &mut Child, orders: &[u8], end: Instant) -> std::io::Result<()> {
        let Some(mut stdin) = child.stdin.take() else { return Ok(()) };
        let flags = rustix::fs::fcntl_getfl(&stdin)?;
        rustix::fs::fcntl_setfl(&stdin, flags | OFlags::NONBLOCK)?;
        let mut rest = orders;
        while !rest.is_empty() {
            match stdin.write(rest) {
                Ok(len) => rest = &rest[len..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    if Instant::now() > end || self.state.lock().closed {
                        return Err(error);
                    }
                    wait_for(&stdin, PollFlags::OUT, LOOK_PAUSE);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Nobody shall wait for a thread that has panicked.
struct OnPanic<'a>(&'a Replays);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.state.lock().running = false;
            self.0.changed.notify_all();
        }
    }
}

fn wait_for(file: impl AsFd, what: PollFlags, limit: Duration) {
    let limit = Timespec { tv_sec: 0, tv_nsec: i64::from(limit.subsec_nanos()) };
    // An error ends the wait early, which does no harm.
    let _ = poll(&mut [PollFd::new(&file, what)], Some(&limit));
}

// Without collecting it.
fn has_ended(child: &Child) -> bool {
    let Some(pid) = Pid::from_raw(child.id() as i32) else { return true };
    let how = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    // ECHILD: somebody else has collected it.
    matches!(waitid(WaitId::Pid(pid), how), Ok(Some(_)) | Err(Errno::CHILD))
}

// Nobody can guess it: the standard library seeds its maps from the system's random numbers.
fn token() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!(".devdev-replay-{:016x}{:016x}", random(), random())
}
