//! Counters per kind of request. Each worker counts for itself, so that counting costs it a few
//! plain stores to memory of its own; who reads adds them up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use parking_lot::Mutex;

use crate::abi::{OPCODE_LIMIT, op_name};
use crate::latency::{BUCKETS, LatencyBucket, bucket_of, occupied};

/// Error numbers lie below this.
const ERRNO_LIMIT: usize = 134;

/// What happened to one kind of request so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpCount {
    /// The request's name, as in FUSE's header.
    pub name: &'static str,
    /// How many were answered.
    pub count: u64,
    /// Bytes of data that came with them (writes).
    pub bytes_in: u64,
    /// Bytes of data that were answered (reads, directory listings).
    pub bytes_out: u64,
    /// Nanoseconds from reading the request to having answered it; not the time it was parked.
    pub nanos: u64,
    /// The longest of them.
    pub max: u64,
    /// How many were answered with which error.
    pub errors: Vec<(i32, u64)>,
    /// How many took how long; those that are not empty, ascending.
    pub latency: Vec<LatencyBucket>,
}

/// One request that was answered.
#[derive(Clone, Copy, Default)]
pub(crate) struct Served {
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub nanos: u64,
    /// The error it was answered with, or 0.
    pub errno: i32,
}

// Aligned so that no other worker writes to its cache lines.
#[repr(align(128))]
struct Cell {
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    nanos: AtomicU64,
    max: AtomicU64,
    latency: [AtomicU64; BUCKETS],
    errors: OnceLock<Box<[AtomicU64; ERRNO_LIMIT]>>,
}

impl Cell {
    fn new() -> Box<Cell> {
        Box::new(Cell {
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            nanos: AtomicU64::new(0),
            max: AtomicU64::new(0),
            latency: [const { AtomicU64::new(0) }; BUCKETS],
            errors: OnceLock::new(),
        })
    }
}

// For the only thread that writes to it: without the price of an atomic addition.
fn add(number: &AtomicU64, more: u64) {
    number.store(number.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

/// One worker's counters. Kinds of request that it never serves cost nothing.
pub(crate) struct Tally(Box<[OnceLock<Box<Cell>>]>);

impl Tally {
    fn new() -> Tally {
        Tally((0..OPCODE_LIMIT).map(|_| OnceLock::new()).collect())
    }

    /// Only ever called by the worker whose tally it is.
    pub fn add(&self, opcode: u32, served: Served) {
        let Some(cell) = self.0.get(opcode as usize) else { return };
        let cell = cell.get_or_init(Cell::new);
        add(&cell.latency[bucket_of(served.nanos)], 1);
        add(&cell.nanos, served.nanos);
        if served.bytes_in > 0 {
            add(&cell.bytes_in, served.bytes_in);
        }
        if served.bytes_out > 0 {
            add(&cell.bytes_out, served.bytes_out);
        }
        if served.nanos > cell.max.load(Ordering::Relaxed) {
            cell.max.store(served.nanos, Ordering::Relaxed);
        }
        if served.errno != 0 {
            let errors =
                cell.errors.get_or_init(|| Box::new([const { AtomicU64::new(0) }; ERRNO_LIMIT]));
            errors.get(served.errno as usize).inspect(|number| add(number, 1));
        }
    }
}

/// What one kind of request comes to, over all workers.
#[derive(Clone)]
struct Sum {
    bytes_in: u64,
    bytes_out: u64,
    nanos: u64,
    max: u64,
    latency: [u64; BUCKETS],
    errors: BTreeMap<i32, u64>,
}

impl Default for Sum {
    fn default() -> Sum {
        let latency = [0; BUCKETS];
        Sum { bytes_in: 0, bytes_out: 0, nanos: 0, max: 0, latency, errors: BTreeMap::new() }
    }
}

impl Sum {
    fn add(&mut self, cell: &Cell) {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        self.bytes_in += read(&cell.bytes_in);
        self.bytes_out += read(&cell.bytes_out);
        self.nanos += read(&cell.nanos);
        self.max = self.max.max(read(&cell.max));
        for (sum, number) in self.latency.iter_mut().zip(&cell.latency) {
            *sum += read(number);
        }
        let errors = cell.errors.get().into_iter().flat_map(|errors| errors.iter().enumerate());
        for (errno, count) in errors.map(|(errno, number)| (errno as i32, read(number))) {
            if count > 0 {
                *self.errors.entry(errno).or_default() += count;
            }
        }
    }

    // All but the longest, which is told anew.
    fn since(&self, base: &Sum) -> Sum {
        let mut rest = self.clone();
        rest.bytes_in -= base.bytes_in;
        rest.bytes_out -= base.bytes_out;
        rest.nanos -= base.nanos;
        for (number, before) in rest.latency.iter_mut().zip(&base.latency) {
            *number -= before;
        }
        for (errno, before) in &base.errors {
            rest.errors.entry(*errno).and_modify(|count| *count -= before);
        }
        rest
    }

    fn shown(self, name: &'static str) -> OpCount {
        OpCount {
            name,
            count: self.latency.iter().sum(),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            nanos: self.nanos,
            max: self.max,
            errors: self.errors.into_iter().filter(|(_, count)| *count > 0).collect(),
            latency: occupied(&self.latency),
        }
    }
}

/// What happens beside the requests.
#[derive(Clone, Copy)]
pub(crate) enum Event {
    /// The kernel is told that attributes or pages of an inode are old.
    InodeNotified,
    /// The kernel is told that a name is.
    EntryNotified,
    /// A request has to wait for the store.
    Parked,
}

/// What a session has counted.
#[derive(Clone, Debug)]
pub struct Counted {
    /// Since when: the last reset, or the beginning of the session.
    pub since: SystemTime,
    /// By kind of request, those that occurred.
    pub requests: Vec<OpCount>,
    /// Notifications that attributes or pages of an inode are old.
    pub inodes_notified: u64,
    /// Notifications that a name is.
    pub entries_notified: u64,
    /// Requests that had to wait for the store.
    pub parked: u64,
}

/// Where the figures begin: what had been counted when they were last reset.
struct Base {
    since: SystemTime,
    requests: Vec<Sum>,
    events: [u64; 3],
}

/// All counters of a session.
pub(crate) struct Counters {
    tallies: Mutex<Vec<Arc<Tally>>>,
    base: Mutex<Base>,
    events: [AtomicU64; 3],
}

impl Counters {
    pub fn new() -> Counters {
        let since = SystemTime::now();
        let requests = vec![Sum::default(); OPCODE_LIMIT];
        Counters {
            tallies: Mutex::default(),
            base: Mutex::new(Base { since, requests, events: [0; 3] }),
            events: [const { AtomicU64::new(0) }; 3],
        }
    }

    /// For a new worker.
    pub fn tally(&self) -> Arc<Tally> {
        let tally = Arc::new(Tally::new());
        self.tallies.lock().push(tally.clone());
        tally
    }

    /// Counts what happens.
    pub fn note(&self, event: Event) {
        self.events[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn sums(&self) -> Vec<Sum> {
        let mut sums = vec![Sum::default(); OPCODE_LIMIT];
        for tally in self.tallies.lock().iter() {
            for (sum, cell) in sums.iter_mut().zip(&tally.0) {
                cell.get().into_iter().for_each(|cell| sum.add(cell));
            }
        }
        sums
    }

    fn all_events(&self) -> [u64; 3] {
        self.events.each_ref().map(|number| number.load(Ordering::Relaxed))
    }

    /// What was counted since the last reset. With `reset` the figures begin anew behind it: what
    /// is being served meanwhile counts here or there.
    pub fn read(&self, reset: bool) -> Counted {
        let mut base = self.base.lock();
        let (sums, events) = (self.sums(), self.all_events());
        let both = sums.iter().zip(&base.requests).enumerate();
        let requests = both.filter_map(|(opcode, (sum, before))| {
            Some(sum.since(before).shown(op_name(opcode as u32)?))
        });
        let happened = |event: Event| events[event as usize] - base.events[event as usize];
        let counted = Counted {
            since: base.since,
            requests: requests.filter(|request| request.count > 0).collect(),
            inodes_notified: happened(Event::InodeNotified),
            entries_notified: happened(Event::EntryNotified),
            parked: happened(Event::Parked),
        };
        if reset {
            *base = Base { since: SystemTime::now(), requests: sums, events };
            for tally in self.tallies.lock().iter() {
                let cells = tally.0.iter().filter_map(OnceLock::get);
                cells.for_each(|cell| cell.max.store(0, Ordering::Relaxed));
            }
        }
        counted
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::abi::op;

    fn served(bytes_in: u64, nanos: u64, errno: i32) -> Served {
        Served { bytes_in, bytes_out: 0, nanos, errno }
    }

    #[test]
    fn what_occurred_is_listed_by_name_over_all_workers() {
        let counters = Counters::new();
        let (one, other) = (counters.tally(), counters.tally());
        one.add(op::WRITE, served(100, 5, 0));
        other.add(op::WRITE, served(20, 5, 28));
        other.add(9999, served(1, 1, 0));
        let expected = OpCount {
            name: "write",
            count: 2,
            bytes_in: 120,
            bytes_out: 0,
            nanos: 10,
            max: 5,
            errors: vec![(28, 1)],
            latency: vec![LatencyBucket { from: 5, below: 6, count: 2 }],
        };
        assert_eq!(counters.read(false).requests, [expected]);
    }

    #[test]
    fn after_a_reset_the_figures_begin_anew() {
        let counters = Counters::new();
        let tally = counters.tally();
        tally.add(op::READ, served(0, 1000, 5));
        tally.add(op::WRITE, served(1, 1000, 0));
        counters.note(Event::InodeNotified);
        counters.note(Event::Parked);
        let first = counters.read(true);
        assert_eq!((first.requests.len(), first.inodes_notified, first.parked), (2, 1, 1));
        let none = counters.read(false);
        assert_eq!((none.requests, none.inodes_notified, none.parked), (vec![], 0, 0));
        assert!(none.since >= first.since);
        tally.add(op::READ, Served { bytes_out: 7, nanos: 10, ..Served::default() });
        counters.note(Event::EntryNotified);
        let counted = counters.read(false);
        assert_eq!((counted.entries_notified, counted.requests.len()), (1, 1));
        let read = &counted.requests[0];
        assert_eq!((read.count, read.bytes_out, read.max, read.nanos), (1, 7, 10, 10));
        assert_eq!(read.errors, []);
        assert_eq!(read.latency, [LatencyBucket { from: 10, below: 12, count: 1 }]);
    }

    // A lock or a list of samples in there would take microseconds. docs/PERFORMANCE.md has the
    // figure of a machine at rest; `--nocapture` shows that of this one.
    #[test]
    fn counting_costs_next_to_nothing() {
        // Short ones: some of them are not interrupted, whatever else runs.
        const ROUNDS: u32 = 1000;
        const TIMES: u32 = 500;
        let counters = Counters::new();
        let tally = counters.tally();
        let best = |count: &dyn Fn(u64)| {
            let round = |_| {
                let begin = Instant::now();
                for _ in 0..ROUNDS {
                    let start = Instant::now();
                    count(start.elapsed().as_nanos() as u64);
                }
                begin.elapsed() / ROUNDS
            };
            (0..TIMES).map(round).min().unwrap_or_default()
        };
        let clock = best(&|nanos| assert!(nanos < u64::MAX));
        let counted = best(&|nanos| {
            tally.add(op::WRITE, Served { bytes_in: 4096, nanos, ..Served::default() });
        });
        println!("a request: {counted:?}, of which reading the clock twice {clock:?}");
        assert_eq!(counters.read(false).requests[0].count, u64::from(ROUNDS * TIMES));
        // Some clocks of virtual machines take microseconds themselves.
        let counting = counted.saturating_sub(clock);
        assert!(counting < Duration::from_micros(5), "{counting:?} of {counted:?}");
    }
}
