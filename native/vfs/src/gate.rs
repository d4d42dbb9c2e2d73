//! The gate: every changing operation passes it; freeze and restore close it for a moment.
//!
//! Passing costs one atomic addition on a cache line that (almost) only this thread uses, so
//! workers do not disturb each other. Closing raises a flag and waits until all slots are empty:
//! what passes before is in the frozen state as a whole, what comes later is not in it at all.
//! Slots also count changes, for the same reason: no shared cache line on the hot path.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::rank::{Rank, Ranked};

const SLOTS: usize = 64;
/// How often closing looks again before it sleeps: operations are shorter than a sleep.
const SPINS: u32 = 200;
/// How long the gate stays closed for somebody who has not come out, before it opens again for a
/// while: a thread that was taken off its processor in here must not stop all others.
const PATIENCE: Duration = Duration::from_micros(250);
/// How long it is open then.
const BREAK: Duration = Duration::from_micros(500);
/// How often that is done; then closing waits.
const ATTEMPTS: u32 = 20;

#[derive(Default)]
struct Slot {
    inside: AtomicU64,
    changes: AtomicU64,
    written: AtomicU64,
}

/// See the head of this file.
pub(crate) struct Gate {
    slots: Box<[CachePadded<Slot>]>,
    closed: AtomicBool,
    /// Held by whoever has closed the gate.
    closer: Mutex<()>,
    /// Guards changes of `closed` against lost wake-ups.
    door: Mutex<()>,
    opened: Condvar,
    drained: Condvar,
}

/// The right to change the state; given back when dropped.
pub(crate) struct Pass<'a> {
    gate: &'a Gate,
    slot: &'a Slot,
    _rank: Ranked,
}

/// The gate is closed and nobody is inside, until this is dropped.
pub(crate) struct Closed<'a> {
    gate: &'a Gate,
    _closer: MutexGuard<'a, ()>,
    _rank: Ranked,
}

/// A number that this thread shares with few others.
pub(crate) fn thread_slot() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SLOT: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    SLOT.with(|slot| {
        if slot.get() == usize::MAX {
            slot.set(NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS);
        }
        slot.get()
    })
}

impl Gate {
    pub(crate) fn new() -> Gate {
        Gate {
            slots: (0..SLOTS).map(|_| CachePadded::default()).collect(),
            closed: AtomicBool::new(false),
            closer: Mutex::new(()),
            door: Mutex::new(()),
            opened: Condvar::new(),
            drained: Condvar::new(),
        }
    }

    /// Passes the gate; waits while it is closed.
    pub(crate) fn enter(&self) -> Pass<'_> {
        let rank = Ranked::take(Rank::Gate);
        let slot = &*self.slots[thread_slot()];
        loop {
            // SeqCst: either we see the flag that closing raised, or closing sees us inside.
            slot.inside.fetch_add(1, Ordering::SeqCst);
            if !self.closed.load(Ordering::SeqCst) {
                return Pass { gate: self, slot, _rank: rank };
            }
            self.leave(slot);
            let mut door = self.door.lock();
            while self.closed.load(Ordering::SeqCst) {
                self.opened.wait(&mut door);
            }
        }
    }

    fn leave(&self, slot: &Slot) {
        slot.inside.fetch_sub(1, Ordering::SeqCst);
        if self.closed.load(Ordering::SeqCst) {
            let _door = self.door.lock();
            self.drained.notify_all();
        }
    }

    fn is_empty(&self) -> bool {
        self.slots.iter().all(|slot| slot.inside.load(Ordering::SeqCst) == 0)
    }

    /// Closes the gate and waits until everybody is out.
    pub(crate) fn close(&self) -> Closed<'_> {
        self.close_noting(|| ())
    }

    /// The same; `closing` is called each time it is about to close.
    pub(crate) fn close_noting(&self, mut closing: impl FnMut()) -> Closed<'_> {
        let rank = Ranked::take(Rank::Gate);
        let closer = self.closer.lock();
        let mut attempts = 0;
        loop {
            closing();
            if self.shut((attempts < ATTEMPTS).then_some(PATIENCE)) {
                return Closed { gate: self, _closer: closer, _rank: rank };
            }
            self.open();
            attempts += 1;
            std::thread::sleep(BREAK);
        }
    }

    // Closes; whether everybody came out in time.
    fn shut(&self, patience: Option<Duration>) -> bool {
        {
            let _door = self.door.lock();
            self.closed.store(true, Ordering::SeqCst);
        }
        for _ in 0..SPINS {
            if self.is_empty() {
                return true;
            }
            std::hint::spin_loop();
        }
        let mut door = self.door.lock();
        while !self.is_empty() {
            match patience {
                None => self.drained.wait(&mut door),
                // (Begins anew for each thread that finds it closed, steps back and waits.)
                Some(patience) => {
                    if self.drained.wait_for(&mut door, patience).timed_out() {
                        return self.is_empty();
                    }
                }
            }
        }
        true
    }

    fn open(&self) {
        let _door = self.door.lock();
        self.closed.store(false, Ordering::SeqCst);
        self.opened.notify_all();
    }

    /// Number of changes so far.
    pub(crate) fn changes(&self) -> u64 {
        self.slots.iter().map(|slot| slot.changes.load(Ordering::Acquire)).sum()
    }

    /// Number of content bytes changed so far.
    pub(crate) fn written(&self) -> u64 {
        self.slots.iter().map(|slot| slot.written.load(Ordering::Acquire)).sum()
    }

    /// Counts a change that was made without passing (by whoever has closed the gate).
    pub(crate) fn count_change(&self) {
        self.slots[0].changes.fetch_add(1, Ordering::Release);
    }
}

impl Pass<'_> {
    /// Counts a change and the content bytes that it concerned.
    pub(crate) fn changed(&self, bytes: u64) {
        self.slot.changes.fetch_add(1, Ordering::Release);
        if bytes > 0 {
            self.slot.written.fetch_add(bytes, Ordering::Release);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.gate.leave(self.slot);
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.gate.open();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn closing_waits_for_those_inside() {
        let gate = Gate::new();
        let out = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (inside, entered) = mpsc::channel();
            let (gate, out) = (&gate, &out);
            scope.spawn(move || {
                let _pass = gate.enter();
                inside.send(()).unwrap();
                std::thread::sleep(Duration::from_millis(30));
                out.store(true, Ordering::SeqCst);
            });
            entered.recv().unwrap();
            let _closed = gate.close();
            assert!(out.load(Ordering::SeqCst));
        });
        assert!(gate.is_empty());
    }

    // Somebody who stays inside for long holds up the closing one, not those who come meanwhile:
    // before the gate is closed for the second time it is open, and one who waited goes through.
    #[test]
    fn the_gate_opens_again_for_others_while_somebody_stays() {
        let gate = Gate::new();
        let again = AtomicBool::new(false);
        let long = Duration::from_secs(60);
        std::thread::scope(|scope| {
            let (gate, again) = (&gate, &again);
            let pass = gate.enter();
            let (passed, came_through) = mpsc::channel();
            let (report, reported) = mpsc::channel();
            scope.spawn(move || {
                let mut times = 0;
                drop(gate.close_noting(|| {
                    times += 1;
                    if times == 2 {
                        again.store(true, Ordering::SeqCst);
                        report.send(came_through.recv_timeout(long)).unwrap();
                    }
                }));
            });
            scope.spawn(move || {
                // (On a busy machine it may miss that it is closed: then it comes later.)
                while !gate.closed.load(Ordering::SeqCst) && !again.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
                drop(gate.enter());
                passed.send(()).ok();
            });
            // The one inside stays until the other has gone through.
            let seen = reported.recv_timeout(2 * long);
            drop(pass);
            assert_eq!(seen, Ok(Ok(())));
        });
    }

    #[test]
    fn passing_waits_for_the_gate_to_open() {
        let gate = Gate::new();
        let open = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let closed = gate.close();
            let (gate, open) = (&gate, &open);
            scope.spawn(move || {
                let pass = gate.enter();
                assert!(open.load(Ordering::SeqCst));
                pass.changed(3);
            });
            std::thread::sleep(Duration::from_millis(20));
            open.store(true, Ordering::SeqCst);
            drop(closed);
        });
        assert_eq!((gate.changes(), gate.written()), (1, 3));
    }

    // Two plain counters move together inside the gate: whoever closes it never sees them apart.
    #[test]
    fn the_cut_is_consistent_under_load() {
        let gate = Gate::new();
        let (left, right) = (AtomicU64::new(0), AtomicU64::new(0));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let pass = gate.enter();
                        left.fetch_add(1, Ordering::Relaxed);
                        pass.changed(2);
                        right.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let _closed = gate.close();
                        let (l, r) = (left.load(Ordering::Relaxed), right.load(Ordering::Relaxed));
                        assert_eq!((l, l, l * 2), (r, gate.changes(), gate.written()));
                    }
                    stop.store(true, Ordering::Relaxed);
                });
            }
        });
    }
}
