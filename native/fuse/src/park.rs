//! Requests that wait for the store. The reader that read one goes on at once; a small pool serves
//! it again when what it needs has arrived, or answers EIO when its time is up.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use devdev_vfs::Need;
use parking_lot::{Condvar, Mutex};

use crate::core::{Core, Worker};
use crate::options::LogLevel;
use crate::reply::send_error;
use crate::transport::Port;

const EIO: i32 = 5;

/// A request that waits.
pub(crate) struct Parked {
    pub bytes: Box<[u8]>,
    pub port: Arc<dyn Port>,
    pub unique: u64,
    pub deadline: Instant,
}

#[derive(Default)]
struct State {
    next_ticket: u64,
    waiting: BTreeMap<u64, Parked>,
    /// Tickets whose needs are met, or failed with this error number.
    ready: VecDeque<(u64, Option<i32>)>,
    /// No new ones; the pool ends when nothing waits.
    closed: bool,
}

/// The table of waiting requests. Wakers hold it alone, not the session.
pub(crate) struct Parking {
    shared: Arc<(Mutex<State>, Condvar)>,
    timeout: Duration,
}

impl Parking {
    pub fn new(timeout: Duration) -> Parking {
        Parking { shared: Arc::default(), timeout }
    }

    /// When a request that came now is to fail.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Lets a request wait for its needs.
    pub fn park(&self, core: &Core, parked: Parked, needs: Vec<Need>) {
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
        let waker = move |result: devdev_vfs::Result<()>| {
            if let Some(shared) = shared.upgrade() {
                shared.0.lock().ready.push_back((ticket, result.err().map(|e| e.code())));
                shared.1.notify_one();
            }
        };
        core.vfs.wait_for(needs, Box::new(waker));
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
            if let Some((ticket, failure)) = state.ready.pop_front() {
                // It may have failed at its deadline meanwhile.
                let parked = state.waiting.remove(&ticket);
                drop(state);
                match (parked, failure) {
                    (Some(parked), None) => worker.serve_parked(parked),
                    (Some(parked), Some(errno)) => fail(&parked, errno),
                    (None, _) => {}
                }
                continue;
            }
            if state.closed {
                return;
            }
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
                    changed.wait_until(&mut state, deadline);
                }
            }
        }
    }
}

fn fail(parked: &Parked, errno: i32) {
    // If nobody waits for the answer any more, nothing is lost.
    let _ = send_error(parked.port.as_ref(), parked.unique, errno);
}
