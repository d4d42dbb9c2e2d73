//! Memory of all engines of this process, and the most that their limits allow it to be.
//!
//! The byte limit of a workspace counts pages of content (`usage.rs`), as tmpfs does. What takes
//! memory beside them is counted here, where it is allocated and freed: inodes, names, targets of
//! symlinks, attributes, chunks that are mostly holes, and above all what only a frozen tree still
//! has. Nothing of it belongs to one engine for sure (frozen trees share), so it is one sum against
//! the sum of the limits. Beyond it, what needs more memory is ENOSPC, or waits while a frozen tree
//! is on its way into a store, which gives memory back.
//!
//! Threads add up on their own and pass on what has come together: no shared cache line on the hot
//! path, for an error of `BATCH` a thread.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::errno::{Errno, Result};
use crate::outcome::{Need, Waker};

const BATCH: i64 = 256 << 10;
/// What there may be in any case, beside the limits. Unit tests, which share one process, hold
/// trees that no engine's limit speaks for.
const SLACK: u64 = if cfg!(test) { 1 << 40 } else { 4 << 20 };
/// What there may be more for content is this part of the limits.
const PART: u64 = 64;
/// This part of the limits is left to what is on its way to the system or the allocator's.
const PRESSING: u64 = 8;
/// A limit counts no more than this.
const MAX_LIMIT: u64 = 1 << 44;
/// Looks that a write waits for room, 20 s: less than the bridge and the API wait for the store.
const PATIENCE: u32 = 1000;
/// What is left free of the limits, where it is not much of them, while a store is at work.
const KEPT_FREE: u64 = 128 << 20;
/// Looks for which a tree that was frozen may still be about to be stored.
const FRESH: u32 = 100;
/// How often those who wait are looked at.
const LOOK: Duration = Duration::from_millis(20);

static HELD: AtomicI64 = AtomicI64::new(0);
static LIMITS: AtomicU64 = AtomicU64::new(0);
/// What others say that they hold meanwhile (`Beside`).
static BESIDE: AtomicU64 = AtomicU64::new(0);
/// Frozen trees that are on their way into a store.
static LEAVING: AtomicUsize = AtomicUsize::new(0);
/// Somebody has lost patience with those.
static OVERDUE: AtomicBool = AtomicBool::new(false);
/// Looks that are left of `FRESH` since the last freeze. They only go while somebody waits: the
/// engine has no clock.
static EXPECTED: AtomicU32 = AtomicU32::new(0);

struct Delta(Cell<i64>);

impl Drop for Delta {
    fn drop(&mut self) {
        HELD.fetch_add(self.0.get(), Ordering::Relaxed);
    }
}

thread_local! {
    static DELTA: Delta = const { Delta(Cell::new(0)) };
}

/// Counts memory that was allocated (or, negative, freed).
pub(crate) fn count(bytes: i64) {
    let passed_on = DELTA.try_with(|delta| {
        let sum = delta.0.get() + bytes;
        let passed_on = if sum.abs() < BATCH { 0 } else { sum };
        delta.0.set(sum - passed_on);
        passed_on
    });
    // A thread at its end has no sum any more.
    let passed_on = passed_on.unwrap_or(bytes);
    if passed_on != 0 {
        HELD.fetch_add(passed_on, Ordering::Relaxed);
    }
}

/// Bytes that the engines of this process hold, frozen trees included.
pub fn held_bytes() -> u64 {
    HELD.load(Ordering::Relaxed).max(0) as u64
}

// Whether there is more than the limits and this part of them.
fn beyond(held: u64, part: u64, slack: u64) -> bool {
    let limits = LIMITS.load(Ordering::Relaxed);
    held > limits.saturating_add(limits / part).saturating_add(slack)
}

/// Memory that somebody else has for a while, as data that waits for room. It limits nothing: room
/// for it would have to come from itself. But what is freed is not kept beside it.
pub struct Beside(u64);

impl Beside {
    /// So many bytes, until it is dropped.
    pub fn new(bytes: u64) -> Beside {
        BESIDE.fetch_add(bytes, Ordering::Relaxed);
        Beside(bytes)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        BESIDE.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// Whether the engines, and what there is beside them, would take nearly the limits if `freed`
/// bytes, which were given back to the allocator, still belong to the process.
pub fn is_pressing(freed: u64) -> bool {
    let limits = LIMITS.load(Ordering::Relaxed);
    let taken = held_bytes().saturating_add(BESIDE.load(Ordering::Relaxed));
    taken.saturating_add(freed) > limits - limits / PRESSING
}

// Above this content is not added. While a tree is on its way into a store, which takes memory of
// its own, somewhat less: unless that takes too long.
fn line() -> u64 {
    let limits = LIMITS.load(Ordering::Relaxed);
    let leaving = LEAVING.load(Ordering::Acquire) > 0 && !OVERDUE.load(Ordering::Relaxed);
    if leaving && !cfg!(test) {
        return limits - (limits / 4).min(KEPT_FREE);
    }
    limits.saturating_add(limits / PART).saturating_add(SLACK)
}

/// Whether content can only be added when something goes first.
pub(crate) fn is_crowded() -> bool {
    held_bytes() > line()
}

/// ENOSPC when nothing can be added, names and attributes neither.
pub(crate) fn check() -> Result<()> {
    if beyond(held_bytes(), PART / 2, 2 * SLACK) { Err(Errno::NoSpc) } else { Ok(()) }
}

/// What content has to wait for when it is crowded: nothing can be hoped for but the end of a
/// frozen tree.
pub(crate) fn wanted() -> Result<Need> {
    if is_leaving() { Ok(Need::Room) } else { Err(Errno::NoSpc) }
}

// Whether a frozen tree is about to give its memory back.
fn is_leaving() -> bool {
    LEAVING.load(Ordering::Acquire) > 0 || EXPECTED.load(Ordering::Acquire) > 0
}

/// A tree is frozen.
pub(crate) fn note_freeze() {
    EXPECTED.store(FRESH, Ordering::Release);
}

/// Part of something in memory: counted as long as it lives, again for each copy.
pub(crate) struct Weight(u32);

impl Weight {
    pub(crate) const NONE: Weight = Weight(0);

    pub(crate) fn new(bytes: usize) -> Weight {
        let mut weight = Weight::NONE;
        weight.set(bytes);
        weight
    }

    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.0)
    }

    pub(crate) fn set(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        count(i64::from(bytes) - i64::from(self.0));
        self.0 = bytes;
    }
}

impl Default for Weight {
    fn default() -> Weight {
        Weight::NONE
    }
}

impl Clone for Weight {
    fn clone(&self) -> Weight {
        Weight::new(self.0 as usize)
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        count(-i64::from(self.0));
    }
}

/// The limit of one engine, as long as it lives.
pub(crate) struct Share(AtomicU64);

impl Share {
    pub(crate) fn new(limit: u64) -> Share {
        let share = Share(AtomicU64::new(0));
        share.set(limit);
        share
    }

    pub(crate) fn set(&self, limit: u64) {
        let limit = limit.min(MAX_LIMIT);
        let before = self.0.swap(limit, Ordering::Relaxed);
        LIMITS.fetch_add(limit.wrapping_sub(before), Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// Kept by a frozen tree that goes into a store: while there is one, waiting for room may help.
pub(crate) struct Leaving(());

impl Leaving {
    pub(crate) fn new() -> Leaving {
        LEAVING.fetch_add(1, Ordering::AcqRel);
        Leaving(())
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if LEAVING.fetch_sub(1, Ordering::AcqRel) == 1 {
            OVERDUE.store(false, Ordering::Relaxed);
        }
    }
}

/// Looks that are left, and whom to tell.
static WAITING: Mutex<Vec<(u32, Waker)>> = Mutex::new(Vec::new());

/// Calls `waker` when it is no longer crowded, or waiting is of no use any more; with ENOSPC
/// when that takes too long.
pub(crate) fn wait(waker: Waker) {
    match watcher() {
        Some(thread) => {
            WAITING.lock().push((PATIENCE, waker));
            thread.unpark();
        }
        None => waker(Err(Errno::NoSpc)),
    }
}

// One thread for the process, asleep while nobody waits; `None` where there are no threads.
pub(crate) fn watcher() -> Option<&'static Thread> {
    static WATCHER: OnceLock<Option<Thread>> = OnceLock::new();
    let start = || {
        let thread = std::thread::Builder::new().name("devdev-room".into()).spawn(watch).ok()?;
        Some(thread.thread().clone())
    };
    WATCHER.get_or_init(start).as_ref()
}

fn watch() {
    loop {
        if WAITING.lock().is_empty() {
            std::thread::park();
        } else {
            std::thread::park_timeout(LOOK);
        }
        let _ = EXPECTED.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1));
        // Well below what made them wait: the next attempt brings its data along.
        let over = held_bytes().saturating_add(SLACK / 2) <= line() || !is_leaving();
        let mut waiting = std::mem::take(&mut *WAITING.lock());
        waiting.iter_mut().for_each(|waiter| waiter.0 -= 1);
        let (ended, left): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|w| over || w.0 == 0);
        WAITING.lock().extend(left);
        for (_, waker) in ended {
            let full = !over && beyond(held_bytes(), PART, SLACK);
            OVERDUE.fetch_or(!over && !full, Ordering::Relaxed);
            waker(if full { Err(Errno::NoSpc) } else { Ok(()) });
        }
    }
}
