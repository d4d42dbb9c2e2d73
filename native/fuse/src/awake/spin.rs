//! Idle CPUs that are kept busy by threads, for daemons that may not ask the kernel.
//!
//! They run below everything else (SCHED_IDLE), so wakers take their CPU for an idle one and leave
//! clients where they are. Below within one scheduler group only, though: long time slices let
//! whoever wakes in another group go first, and a thread that was kept from running leaves its CPU
//! alone until it finds it idle.

use std::hint;
use std::thread;
use std::time::{Duration, Instant};

use super::{PAUSE, Shared};
use crate::cpus;

/// Away for longer than a client takes between two requests: somebody computes here.
const GAP: Duration = Duration::from_micros(100);
/// How long a CPU is left alone before the first look at it, and at most between two.
const PROBE: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(640);
/// Beyond what timers are late by.
const LATE: Duration = Duration::from_micros(500);
/// The longest slice that the scheduler grants (sched(7), sched_setattr(2)).
const SLICE: Duration = Duration::from_millis(100);

/// Has the calling thread run on one CPU, when nothing else wants to; false where it cannot be.
pub(super) fn settle(cpu: usize) -> bool {
    cpus::pin(cpu) && run_when_idle()
}

/// Keeps the CPU of this thread from halting until no more series come.
pub(super) fn spin(shared: &Shared) {
    let mut seen = shared.series();
    let mut since = Instant::now();
    leave_alone(shared, PROBE);
    let mut last = Instant::now();
    loop {
        (0..20).for_each(|_| hint::spin_loop());
        let mut now = Instant::now();
        if now - last > GAP {
            leave_alone(shared, PAUSE);
            now = Instant::now();
        }
        last = now;
        if now - since > PAUSE {
            let series = shared.series();
            if series == seen {
                return;
            }
            (seen, since) = (series, now);
        }
    }
}

// Until the CPU is found idle, or no more series come: one that sleeps below all others wakes late
// where they run.
fn leave_alone(shared: &Shared, first: Duration) {
    let mut rest = first;
    loop {
        let (start, seen) = (Instant::now(), shared.series());
        thread::sleep(rest);
        if start.elapsed() < rest + LATE || (rest >= PAUSE && shared.series() == seen) {
            return;
        }
        rest = LONGEST.min(rest * 2);
    }
}

fn run_when_idle() -> bool {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_IDLE as u32,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: SLICE.as_nanos() as u64,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel reads `size` bytes of `attributes`, which lives until the call returns;
    // thread 0 is the caller.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    result == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settled_thread_runs_below_all_others_and_stops_when_nothing_comes() {
        let cpu = cpus::usable()[0];
        let thread = thread::spawn(move || {
            assert!(settle(cpu));
            // SAFETY: it takes and returns numbers; thread 0 is the caller.
            assert_eq!(unsafe { libc::sched_getscheduler(0) }, libc::SCHED_IDLE);
            spin(&Shared::default());
        });
        thread.join().unwrap();
        assert!(!thread::spawn(|| settle(1 << 20)).join().unwrap());
    }
}
