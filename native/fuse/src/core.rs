//! What the threads of a session share, and how one request is served from bytes to reply.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};

use devdev_vfs::{Caller, Errno, NodeId, Vfs};
use parking_lot::Mutex;

use crate::abi::{Abi, InHeader, op, op_name};
use crate::counters::Counters;
use crate::handshake::Agreed;
use crate::notify::refresh_attributes;
use crate::ops::{Context, dispatch};
use crate::options::{LogLevel, LogSink, RequestHook, SyncHook};
use crate::park::{Parked, Parking, Until};
use crate::reply::{Answer, Reply, send_data, send_error};
use crate::request::{Malformed, Op, Request, decode};
use crate::transport::{Port, SendError};

const EIO: i32 = 5;
const ENOTCONN: i32 = 107;

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
    /// During a restore: nodes whose old pages are gone from the kernel's cache already.
    pub refreshed: Mutex<HashSet<NodeId>>,
    /// One per worker: odd while it serves a request.
    pub progress: Vec<AtomicU64>,
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

    /// Waits until every request that is being served now has been answered, so that no reply
    /// with an older state can follow the notification that comes next.
    pub fn quiesce(&self) {
        fence(Ordering::SeqCst);
        let mut deadline = None;
        for slot in &self.progress {
            let seen = slot.load(Ordering::SeqCst);
            let mut spins = 0;
            while seen % 2 == 1 && slot.load(Ordering::SeqCst) == seen {
                spins += 1;
                if spins < 50 {
                    std::thread::yield_now();
                    continue;
                }
                let end = *deadline.get_or_insert_with(|| Instant::now() + QUIESCE_LIMIT);
                if Instant::now() > end {
                    return;
                }
                std::thread::sleep(Duration::from_micros(100));
            }
        }
    }
}

/// One thread's means to serve requests.
pub(crate) struct Worker {
    core: Arc<Core>,
    reply: Reply,
    slot: usize,
}

impl Worker {
    /// `slot`: its place in `Core::progress`, its own.
    pub fn new(core: Arc<Core>, slot: usize) -> Worker {
        Worker { core, reply: Reply::new(), slot }
    }

    /// Serves a request that has just been read.
    pub fn serve(&mut self, port: &Arc<dyn Port>, bytes: &[u8]) {
        if let Some((until, unique)) = self.attempt(port, bytes) {
            let parking = &self.core.parking;
            let deadline = parking.deadline(&until);
            let parked = Parked { bytes: bytes.into(), port: port.clone(), unique, deadline };
            parking.park(&self.core, parked, until);
        }
    }

    /// Serves a parked request again.
    pub fn serve_parked(&mut self, parked: Parked) {
        if let Some((until, _)) = self.attempt(&parked.port, &parked.bytes) {
            self.core.parking.park(&self.core, parked, until);
        }
    }

    // What the request has to wait for, if it could not be answered. A panic in the engine or in
    // here costs one request, never the worker.
    fn attempt(&mut self, port: &Arc<dyn Port>, bytes: &[u8]) -> Option<(Until, u64)> {
        self.core.progress[self.slot].fetch_add(1, Ordering::SeqCst);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.answer(port.as_ref(), bytes)));
        let until = outcome.unwrap_or_else(|panic| {
            self.after_panic(port.as_ref(), bytes, panic_text(panic.as_ref()));
            None
        });
        self.core.progress[self.slot].fetch_add(1, Ordering::SeqCst);
        until
    }

    fn answer(&mut self, port: &dyn Port, bytes: &[u8]) -> Option<(Until, u64)> {
        let start = Instant::now();
        let request = match decode(bytes, self.core.agreed.long_setxattr()) {
            Ok(request) => request,
            Err(Malformed::Header) => {
                self.core.log(LogLevel::Error, "fuse: a request without a proper header");
                return None;
            }
            Err(Malformed::Arguments(header)) => {
                let name = op_name(header.opcode).unwrap_or("unknown");
                self.core.log(LogLevel::Error, &format!("fuse: malformed {name} request"));
                self.sent(&header, send_error(port, header.unique, EIO));
                return None;
            }
        };
        let header = &request.header;
        self.reply.clear();
        let (sent, payload) = match self.run(&request) {
            Ok(Answer::Wait(needs)) => return Some((Until::Arrived(needs), header.unique)),
            Ok(Answer::Sync) => {
                self.core.counters.add(header.opcode, 0, start.elapsed().as_nanos() as u64);
                return Some((Until::Durable, header.unique));
            }
            Ok(Answer::Silence) => (Ok(()), 0),
            Ok(Answer::Buffer) => {
                if let Some(node) = self.reply.outdated() {
                    // Before the reply. If it fails, so will that.
                    let _ = refresh_attributes(port, node);
                }
                let payload = payload_of(&request, self.reply.len());
                (self.reply.send(port, header.unique), payload)
            }
            Ok(Answer::Data(pieces)) => match send_data(port, header.unique, &pieces) {
                Ok(len) => (Ok(()), len),
                Err(error) => (Err(error), 0),
            },
            Err(errno) => (send_error(port, header.unique, errno), 0),
        };
        if let Err(SendError::Refused(_)) = sent {
            // Better an error than a caller who waits for ever.
            let _ = send_error(port, header.unique, EIO);
        }
        self.sent(header, sent);
        let nanos = start.elapsed().as_nanos() as u64;
        self.core.counters.add(header.opcode, payload, nanos);
        None
    }

    fn run(&mut self, request: &Request<'_>) -> Result<Answer, i32> {
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
        };
        dispatch(&mut context, request).map_err(Errno::code)
    }

    fn after_panic(&mut self, port: &dyn Port, bytes: &[u8], text: &str) {
        let Some(header) = InHeader::decode(bytes) else { return };
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

fn payload_of(request: &Request<'_>, reply: usize) -> u64 {
    match request.op {
        Op::Write(_, data) => data.len() as u64,
        Op::Readdir(_) | Op::Readdirplus(_) => reply as u64,
        _ => 0,
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}
