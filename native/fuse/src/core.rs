//! What the threads of a session share, and how one request is served from bytes to reply.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use devdev_vfs::{Caller, Errno, NodeId, Vfs, Waker};
use parking_lot::Mutex;

use crate::abi::{InHeader, op, op_name};
use crate::awake::Pulse;
use crate::classic::DeviceFile;
use crate::counters::{Counters, Event, Served, Tally};
use crate::handshake::Agreed;
use crate::late::{Job, Late};
use crate::notify::refresh_attributes;
use crate::ops::{Context, dispatch};
use crate::options::{LogLevel, LogSink, RequestHook, SyncHook};
use crate::park::{Parked, Parking, Until};
use crate::replayer::Replays;
use crate::reply::{Answer, Reply, send_data, send_error};
use crate::request::{Frame, Malformed, Op, Request, decode};
use crate::transport::{Exchange, Port, SendError};
use crate::uring::RingView;
use crate::watchdog::Nudger;
use crate::writeback::Writeback;

const EIO: i32 = 5;
const EBUSY: i32 = 16;
const ENOSPC: i32 = 28;
const ENOTCONN: i32 = 107;

/// How long a request that finds no room waits at most for forgets that are on their way.
const FORGETS_LIMIT: Duration = Duration::from_millis(100);
/// Requests in flight are waited for at most so long before a notification goes out.
const QUIESCE_LIMIT: Duration = Duration::from_secs(1);

/// What the threads of a session share.
pub(crate) struct Core {
    pub vfs: Arc<Vfs>,
    pub agreed: Agreed,
    pub xattrs: bool,
    pub hook: Option<RequestHook>,
    pub log: Option<LogSink>,
    pub counters: Counters,
    pub parking: Parking,
    /// What fsync waits for.
    pub sync: Option<SyncHook>,
    /// Set when the host mount was taken away from processes that still use it: they get errors.
    pub refusing: AtomicBool,
    /// For what no thread that serves requests may do.
    pub late: Late,
    /// There when the kernel keeps writes back.
    pub writeback: Option<Writeback>,
    /// During a restore: nodes whose old pages are gone from the kernel's cache already.
    pub refreshed: Mutex<HashSet<NodeId>>,
    /// Tells programs that watch files of restores.
    pub replays: Replays,
    /// Where notifications go.
    pub device: Arc<DeviceFile>,
    /// The helper binary.
    pub helper: Option<PathBuf>,
    /// Makes requests come in from every CPU, if there is a helper.
    pub nudger: OnceLock<Nudger>,
    /// One per worker that replies at once.
    pub progress: Vec<Progress>,
    /// One per worker whose replies the kernel fetches.
    pub rings: Vec<RingView>,
}

impl Core {
    pub fn log(&self, level: LogLevel, message: &str) {
        if let Some(sink) = &self.log {
            sink(level, message);
        }
    }

    /// Whether a write from the page cache has content from before a restore that goes on now.
    pub fn is_stale(&self, node: NodeId) -> bool {
        self.vfs.restoring(node) && !self.refreshed.lock().contains(&node)
    }

    /// Has another thread flush a node, and then call the waker.
    pub fn flush_later(&self, node: NodeId, waker: Waker) {
        self.late.order(Job::Flush(node, waker));
    }

    /// Waits until every request that is being served now has been answered, so that no reply
    /// with an older state can follow the notification that comes next.
    pub fn quiesce(&self) {
        self.quiesce_within(QUIESCE_LIMIT);
    }

    /// The same, for no longer than this.
    pub fn quiesce_within(&self, limit: Duration) {
        fence(Ordering::SeqCst);
        let mut wait = Wait::new(limit);
        // Replies to parked requests pass from the pool to the rings, so these come last.
        for progress in &self.progress {
            let seen = progress.seen();
            wait.until(|| progress.has_ended(seen));
        }
        for ring in &self.rings {
            wait.until(|| ring.has_nothing_handed());
            let seen = ring.progress.seen();
            wait.until(|| ring.progress.has_ended(seen));
            let published = ring.submitted.published();
            wait.until(|| ring.submitted.has_passed(published));
        }
    }

    /// With rings: until the one reader of /dev/fuse has served what lies there now.
    fn let_forgets_pass(&self) {
        let end = Instant::now() + FORGETS_LIMIT;
        // Twice: a message that was read is not yet one that is being served.
        let mut quiet = 0;
        while quiet < 2 && Instant::now() < end {
            let reader = self.progress.first().is_some_and(Progress::is_under_way);
            quiet = if reader || self.device.wait_readable(Duration::ZERO) == Ok(true) {
                0
            } else {
                quiet + 1
            };
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

/// Whether a worker serves a request right now: odd while it does.
#[derive(Default)]
pub(crate) struct Progress(AtomicU64);

impl Progress {
    pub fn begin(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub fn end(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn is_under_way(&self) -> bool {
        !self.seen().is_multiple_of(2)
    }

    fn seen(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn has_ended(&self, seen: u64) -> bool {
        seen.is_multiple_of(2) || self.seen() != seen
    }
}

/// Patience for all of one `quiesce`.
struct Wait {
    limit: Duration,
    deadline: Option<Instant>,
    over: bool,
}

impl Wait {
    fn new(limit: Duration) -> Wait {
        Wait { limit, deadline: None, over: false }
    }

    fn until(&mut self, is_so: impl Fn() -> bool) {
        let mut spins = 0;
        while !self.over && !is_so() {
            spins += 1;
            if spins < 50 {
                std::thread::yield_now();
                continue;
            }
            let end = *self.deadline.get_or_insert_with(|| Instant::now() + self.limit);
            self.over = Instant::now() > end;
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

/// One thread's means to serve requests.
pub(crate) struct Worker {
    core: Arc<Core>,
    reply: Reply,
    slot: Option<usize>,
    tally: Arc<Tally>,
    pulse: Pulse,
    /// What it serves has waited for something, which has come.
    again: bool,
}

impl Worker {
    /// `slot`: its place in `Core::progress`, its own; none if it keeps record elsewhere.
    pub fn new(core: Arc<Core>, slot: Option<usize>) -> Worker {
        let tally = core.counters.tally();
        let pulse = Pulse::new(core.helper.as_deref());
        Worker { core, reply: Reply::new(), slot, tally, pulse, again: false }
    }

    /// Serves a request that has just arrived.
    pub fn serve(&mut self, exchange: &dyn Exchange) {
        let Some((until, unique)) = self.attempt(exchange) else { return };
        let parking = &self.core.parking;
        let deadline = parking.deadline(&until);
        match exchange.keep() {
            Some(exchange) => {
                parking.park(&self.core, Parked::new(exchange, unique, deadline), until);
            }
            None => {
                self.core.log(LogLevel::Warn, "fuse: too many requests wait for the store");
                // Who asked may be gone meanwhile.
                let _ = send_error(exchange.port(), unique, EBUSY);
            }
        }
    }

    /// Serves a parked request again.
    pub fn serve_parked(&mut self, parked: Parked) {
        self.again = true;
        let until = self.attempt(parked.exchange.as_ref());
        self.again = false;
        if let Some((until, _)) = until {
            self.core.parking.park(&self.core, parked, until);
        }
    }

    // What the request has to wait for, if it could not be answered. A panic in the engine or in
    // here costs one request, never the worker.
    fn attempt(&mut self, exchange: &dyn Exchange) -> Option<(Until, u64)> {
        let slot = self.slot;
        slot.inspect(|slot| self.core.progress[*slot].begin());
        let header = exchange.frame().header();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.answer(exchange)));
        let until = outcome.unwrap_or_else(|panic| {
            if let Some(header) = header {
                self.after_panic(exchange.port(), &header, panic_text(panic.as_ref()));
            }
            None
        });
        slot.inspect(|slot| self.core.progress[*slot].end());
        until
    }

    fn answer(&mut self, exchange: &dyn Exchange) -> Option<(Until, u64)> {
        let start = Instant::now();
        let (header, outcome, written) = match self.run(exchange.frame()) {
            Ok(done) => done,
            Err(Malformed::Header) => {
                self.core.log(LogLevel::Error, "fuse: a request without a proper header");
                return None;
            }
            Err(Malformed::Arguments(header)) => {
                let name = op_name(header.opcode).unwrap_or("unknown");
                self.core.log(LogLevel::Error, &format!("fuse: malformed {name} request"));
                self.sent(&header, send_error(exchange.port(), header.unique, EIO));
                return None;
            }
        };
        let header = &header;
        // Nothing refers to the request any more: the reply may take its place.
        let port = exchange.port();
        let mut served = Served::default();
        let sent = match outcome {
            Ok(Answer::Wait(needs)) => return Some((Until::Arrived(needs), header.unique)),
            Ok(Answer::Sync) => {
                let nanos = start.elapsed().as_nanos() as u64;
                self.tally.add(header.opcode, Served { nanos, ..Served::default() });
                return Some((Until::Durable, header.unique));
            }
            Ok(Answer::Flush) => {
                return Some((Until::Flushed(NodeId(header.nodeid)), header.unique));
            }
            Ok(Answer::Silence) => Ok(()),
            Ok(Answer::Buffer) => {
                if let Some(node) = self.reply.outdated() {
                    self.core.counters.note(Event::InodeNotified);
                    // Before the reply. If it fails, so will that.
                    let _ = refresh_attributes(self.core.device.as_ref(), node);
                }
                served.bytes_in = written;
                if matches!(header.opcode, op::READDIR | op::READDIRPLUS) {
                    served.bytes_out = self.reply.len() as u64;
                }
                self.reply.send(port, header.unique)
            }
            Ok(Answer::Data(pieces)) => {
                send_data(port, header.unique, &pieces).map(|len| served.bytes_out = len)
            }
            Err(errno) => {
                served.errno = errno;
                send_error(port, header.unique, errno)
            }
        };
        if let Err(SendError::Refused(_)) = sent {
            // Better an error than a caller who waits for ever.
            let _ = send_error(port, header.unique, EIO);
        }
        self.sent(header, sent);
        served.nanos = start.elapsed().as_nanos() as u64;
        self.tally.add(header.opcode, served);
        self.pulse.beat(start, served.bytes_in + served.bytes_out);
        None
    }

    // The request's header, what came of it (an error as its number), and how much it wrote.
    fn run(&mut self, frame: Frame<'_>) -> Result<(InHeader, Result<Answer, i32>, u64), Malformed> {
        let request = decode(frame, self.core.agreed.long_setxattr())?;
        let written = if let Op::Write(_, data) = request.op { data.len() as u64 } else { 0 };
        self.reply.clear();
        let outcome = self.dispatch(&request);
        Ok((request.header, outcome, written))
    }

    fn dispatch(&mut self, request: &Request<'_>) -> Result<Answer, i32> {
        let outcome = self.attempt_once(request);
        if !matches!(outcome, Err(ENOSPC)) || self.core.rings.is_empty() {
            return outcome;
        }
        // What was removed just before takes room until the kernel's FORGET, which comes by another
        // way here. Nothing has been changed, so the request can be served again.
        self.core.let_forgets_pass();
        self.reply.clear();
        self.attempt_once(request)
    }

    fn attempt_once(&mut self, request: &Request<'_>) -> Result<Answer, i32> {
        let core = &*self.core;
        let header = &request.header;
        if core.refusing.load(Ordering::Relaxed) && !has_no_reply(header.opcode) {
            return Err(ENOTCONN);
        }
        if let Some(hook) = &core.hook {
            hook(header.opcode, header.nodeid);
        }
        let mut context = Context {
            core,
            vfs: &core.vfs,
            node: NodeId(header.nodeid),
            caller: Caller { uid: header.uid, gid: header.gid, pid: header.pid },
            reply: &mut self.reply,
            again: self.again,
        };
        dispatch(&mut context, request).map_err(Errno::code)
    }

    fn after_panic(&mut self, port: &dyn Port, header: &InHeader, text: &str) {
        let name = op_name(header.opcode).unwrap_or("unknown");
        self.core.log(LogLevel::Error, &format!("fuse: {name} panicked: {text}"));
        self.give_back();
        if !has_no_reply(header.opcode) {
            // If it panicked after the reply, the kernel does not know this one: no harm.
            let _ = send_error(port, header.unique, EIO);
        }
    }

    // A reply that never arrived gave the kernel no references.
    fn give_back(&mut self) {
        for node in self.reply.taken() {
            self.core.vfs.forget(*node, 1);
        }
        self.reply.clear();
    }

    fn sent(&mut self, header: &InHeader, result: Result<(), SendError>) {
        match result {
            Ok(()) => {}
            Err(SendError::Unknown | SendError::Ended) => self.give_back(),
            Err(SendError::Refused(errno)) => {
                let name = op_name(header.opcode).unwrap_or("unknown");
                let message = format!("fuse: the reply to {name} was refused (errno {errno})");
                self.core.log(LogLevel::Error, &message);
                self.give_back();
            }
        }
    }
}

fn has_no_reply(opcode: u32) -> bool {
    matches!(opcode, op::FORGET | op::BATCH_FORGET | op::INTERRUPT)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}
