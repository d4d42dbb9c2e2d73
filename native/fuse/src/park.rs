//! Requests that wait for the store. The reader that read one goes on at once; a small pool serves
//! it again when what it needs has arrived (an fsync is answered once the store has what it is to
//! have), or answers EIO when its time is up, or EINTR when its task is dying: the kernel lets a
//! task go, even a killed one, only when its request is answered.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use devdev_vfs::{Beside, Need, NodeId};
use parking_lot::{Condvar, Mutex};

use crate::core::{Core, Worker};
use crate::counters::Event;
use crate::doomed::is_doomed;
use crate::options::LogLevel;
use crate::reply::send_error;
use crate::transport::Exchange;

const EINTR: i32 = 4;
const EIO: i32 = 5;
/// In place of an error number: the answer without one.
const SUCCESS: i32 = 0;

/// What a request waits for.
pub(crate) enum Until {
    /// These have come from the store; then it is served again.
    Arrived(Vec<Need>),
    /// Everything that was done so far is in the store; then it is done.
    Durable,
    /// The kernel has handed over what it holds back of the node; then it is served again.
    Flushed(NodeId),
}

/// How often those who wait are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// A request that waits.
pub(crate) struct Parked {
    pub exchange: Box<dyn Exchange>,
    pub unique: u64,
    pub deadline: Instant,
    // Its data lies in memory until it is answered.
    _beside: Beside,
}

impl Parked {
    pub fn new(exchange: Box<dyn Exchange>, unique: u64, deadline: Instant) -> Parked {
        let beside = Beside::new(exchange.frame().len() as u64);
        Parked { exchange, unique, deadline, _beside: beside }
    }
}

#[derive(Default)]
struct State {
    next_ticket: u64,
    waiting: BTreeMap<u64, Parked>,
    /// Tickets that are to be served again, or answered with this error number.
    ready: VecDeque<(u64, Option<i32>)>,
    /// When those who wait are to be looked at again.
    next_look: Option<Instant>,
    /// No new ones; the pool ends when nothing waits.
    closed: bool,
}

/// The table of waiting requests. Wakers hold it alone, not the session.
pub(crate) struct Parking {
    shared: Arc<(Mutex<State>, Condvar)>,
    timeout: Duration,
    sync_timeout: Duration,
}

impl Parking {
    pub fn new(timeout: Duration, sync_timeout: Duration) -> Parking {
        Parking { shared: Arc::default(), timeout, sync_timeout }
    }

    /// When a request that came now is to fail.
    pub fn deadline(&self, until: &Until) -> Instant {
        let limit = match until {
            Until::Arrived(_) | Until::Flushed(_) => self.timeout,
            Until::Durable => self.sync_timeout,
        };
        Instant::now() + limit
    }

    /// Lets a request wait.
    pub fn park(&self, core: &Core, parked: Parked, until: Until) {
        core.counters.note(Event::Parked);
        let ticket = {
            let mut state = self.shared.0.lock();
            if state.closed {
                drop(state);
                fail(&parked, EIO);
                return;
            }
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            state.waiting.insert(ticket, parked);
            ticket
        };
        // A pool thread that sleeps without a deadline has to learn of this one.
        self.shared.1.notify_one();
        let shared: Weak<_> = Arc::downgrade(&self.shared);
        let met = matches!(until, Until::Durable).then_some(SUCCESS);
        let waker = move |result: devdev_vfs::Result<()>| {
            if let Some(shared) = shared.upgrade() {
                let answer = result.map_or_else(|e| Some(e.code()), |()| met);
                shared.0.lock().ready.push_back((ticket, answer));
                shared.1.notify_one();
            }
        };
        match (until, &core.sync) {
            (Until::Arrived(needs), _) => core.vfs.wait_for(needs, Box::new(waker)),
            (Until::Durable, Some(sync)) => sync(Box::new(waker)),
            (Until::Durable, None) => waker(Ok(())),
            (Until::Flushed(node), _) => core.flush_later(node, Box::new(waker)),
        }
    }

    /// How many requests wait now.
    pub fn waiting(&self) -> usize {
        self.shared.0.lock().waiting.len()
    }

    /// Takes no more, and fails what waits.
    pub fn close(&self) {
        let waiting = {
            let mut state = self.shared.0.lock();
            state.closed = true;
            std::mem::take(&mut state.waiting)
        };
        waiting.values().for_each(|parked| fail(parked, EIO));
        self.shared.1.notify_all();
    }

    /// A pool thread: serves what is ready and fails what is late until `close`.
    pub fn serve(&self, core: &Core, worker: &mut Worker) {
        let (mutex, changed) = &*self.shared;
        loop {
            let mut state = mutex.lock();
            if let Some((ticket, answer)) = state.ready.pop_front() {
                // It may have failed at its deadline meanwhile.
                let parked = state.waiting.remove(&ticket);
                drop(state);
                match (parked, answer) {
                    (Some(parked), None) => worker.serve_parked(parked),
                    (Some(parked), Some(errno)) => fail(&parked, errno),
                    (None, _) => {}
                }
                continue;
            }
            if state.closed {
                return;
            }
            if state.is_time_to_look() {
                drop(state);
                self.let_dying_go();
                continue;
            }
            let next_look = state.next_look;
            let first = state.waiting.iter().min_by_key(|(_, parked)| parked.deadline);
            match first.map(|(ticket, parked)| (*ticket, parked.deadline)) {
                None => changed.wait(&mut state),
                Some((ticket, deadline)) if deadline <= Instant::now() => {
                    let parked = state.waiting.remove(&ticket);
                    drop(state);
                    core.log(LogLevel::Error, "fuse: a request waited too long for the store");
                    parked.iter().for_each(|parked| fail(parked, EIO));
                }
                Some((_, deadline)) => {
                    let until = next_look.map_or(deadline, |look| look.min(deadline));
                    changed.wait_until(&mut state, until);
                }
            }
        }
    }
}

impl State {
    // One thread of the pool looks, and none while nothing waits.
    fn is_time_to_look(&mut self) -> bool {
        let now = Instant::now();
        let due = self.next_look.is_some_and(|look| look <= now);
        if self.waiting.is_empty() {
            self.next_look = None;
        } else if due || self.next_look.is_none() {
            self.next_look = Some(now + LOOK);
        }
        due && !self.waiting.is_empty()
    }
}

impl Parking {
    // Nothing has been changed by a request that waits, so it can still end in EINTR. The task
    // itself never sees that.
    fn let_dying_go(&self) {
        let state = self.shared.0.lock();
        let task = |parked: &Parked| parked.exchange.frame().header().map_or(0, |head| head.pid);
        let tasks: Vec<_> = state.waiting.iter().map(|(t, parked)| (*t, task(parked))).collect();
        drop(state);
        for (ticket, _) in tasks.into_iter().filter(|(_, tid)| is_doomed(*tid)) {
            // It may have been answered meanwhile.
            let parked = self.shared.0.lock().waiting.remove(&ticket);
            parked.iter().for_each(|parked| fail(parked, EINTR));
        }
    }
}

fn fail(parked: &Parked, errno: i32) {
    // If nobody waits for the answer any more, nothing is lost.
    let _ = send_error(parked.exchange.port(), parked.unique, errno);
}
