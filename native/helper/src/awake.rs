//! The awake role: `devdev-helper awake [sessions-count]` keeps the CPUs of a virtual machine from
//! halting while a mount is busy. It is started below everything else (SCHED_IDLE), reads orders of
//! one byte, `1` and `0`, and ends with its input. `sessions-count`: the scheduler weighs sessions
//! here, not control groups.
//!
//! Its session weighs next to nothing against others (autogroup). Where that cannot be had (control
//! groups) it may take time from them: there a thread that was kept from running leaves its CPU
//! alone until it finds it idle.

use std::ffi::OsString;
use std::fs;
use std::hint;
use std::io::{self, Read};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The least weight that a session can have (sched(7), The autogroup feature).
const NICEST: &str = "19";
/// The kernel takes one such change in a while from all users together.
const TRIES: u32 = 10;
const AGAIN: Duration = Duration::from_millis(100);
/// Away for longer than a client takes between two requests: somebody computes here.
const GAP: Duration = Duration::from_micros(100);
/// How long a CPU is left alone before the first look at it, afterwards, and at most.
const PROBE: Duration = Duration::from_millis(1);
const REST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(640);
/// Beyond what timers are late by.
const LATE: Duration = Duration::from_micros(500);

static SPINNING: AtomicBool = AtomicBool::new(false);
/// Nobody is kept from running by it.
static LIGHT: AtomicBool = AtomicBool::new(false);

pub fn run(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let sessions_count = args.next().is_some_and(|arg| arg == "sessions-count");
    // Started by something that leads a session already: then it stays in the group it has.
    let _ = rustix::process::setsid();
    LIGHT.store(weigh_least() && sessions_count, Ordering::Relaxed);
    let mut order = [0];
    let mut threads: Option<Vec<Thread>> = None;
    while io::stdin().read_exact(&mut order).is_ok() {
        SPINNING.store(order[0] == b'1', Ordering::Release);
        threads.get_or_insert_with(start).iter().for_each(Thread::unpark);
    }
    ExitCode::SUCCESS
}

// Whether its session counts as a group, and now as the lightest.
fn weigh_least() -> bool {
    let counts = fs::read_to_string("/proc/sys/kernel/sched_autogroup_enabled");
    for _ in 0..TRIES {
        match fs::write("/proc/self/autogroup", NICEST) {
            Err(error) if error.raw_os_error() == Some(Errno::AGAIN.raw_os_error()) => {
                thread::sleep(AGAIN);
            }
            Err(_) => return false,
            Ok(()) => return counts.is_ok_and(|text| text.trim() == "1"),
        }
    }
    false
}

// One for each CPU that this process may use.
fn start() -> Vec<Thread> {
    let Ok(usable) = sched_getaffinity(None) else { return Vec::new() };
    let usable = (0..CpuSet::MAX_CPU).filter(|cpu| usable.is_set(*cpu));
    usable
        .filter_map(|cpu| {
            Some(thread::Builder::new().spawn(move || keep(cpu)).ok()?.thread().clone())
        })
        .collect()
}

fn keep(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    if sched_setaffinity(None, &set).is_err() {
        return;
    }
    loop {
        while !is_wanted() {
            thread::park();
        }
        spin();
    }
}

fn is_wanted() -> bool {
    SPINNING.load(Ordering::Acquire)
}

fn spin() {
    if LIGHT.load(Ordering::Relaxed) {
        while is_wanted() {
            pass();
        }
        return;
    }
    leave_alone(PROBE);
    let mut last = Instant::now();
    while is_wanted() {
        pass();
        let mut now = Instant::now();
        if now - last > GAP {
            leave_alone(REST);
            now = Instant::now();
        }
        last = now;
    }
}

// Who wakes here is not always let in at once: the scheduler may find that it had its share, and
// asks again at its next tick, after up to 4 ms. A thread that yields has it ask now.
fn pass() {
    (0..20).for_each(|_| hint::spin_loop());
    thread::yield_now();
}

// Until the CPU is found idle, or nothing is wanted: one that sleeps below all others wakes late
// where they run.
fn leave_alone(first: Duration) {
    let mut rest = first;
    while is_wanted() {
        let start = Instant::now();
        thread::sleep(rest);
        if start.elapsed() < rest + LATE {
            return;
        }
        rest = LONGEST.min(rest * 2);
    }
}
