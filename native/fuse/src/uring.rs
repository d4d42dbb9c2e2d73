//! The transport over io_uring: the kernel puts requests into buffers shared with it and takes the
//! replies from there, one queue for each CPU, so that a request need not leave its CPU.
//!
//! One thread for each CPU that can be used, bound to it; one more serves the queues of all other
//! CPUs: those that this process was kept off (`taskset`), and those that may turn up, because the
//! kernel begins only when every queue has an entry. FORGET, INTERRUPT and notifications stay on
//! /dev/fuse.
//!
//! A request that waits for the store keeps its entry, since its reply can only travel in it. For
//! each a spare is registered, up to a bound; beyond it the answer is EBUSY.

mod entry;
mod ring;
mod worker;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use crate::core::{Core, Progress};
use crate::cpus;
use crate::mount_table::mounted_at;
use entry::Handed;
use ring::{Ring, Submitted};
use worker::{Place, QueueWorker};

/// Entries of a queue at the start.
const DEPTH: usize = 8;
/// Of a queue on whose CPU this process does not run.
const IDLE_DEPTH: usize = 2;
/// Submissions that a ring takes at once.
const RING_ENTRIES: u32 = 256;
/// Says whether the kernel offers the transport.
const PARAMETER: &str = "/sys/module/fuse/parameters/enable_uring";

/// Where users find the files that abort their connections.
const CONTROL: &str = "/sys/fs/fuse/connections";

/// What the kernel says of this transport.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RingSupport {
    /// It can be used.
    On,
    /// The kernel has it, switched off.
    Off,
    /// The kernel is too old or built without it.
    Absent,
}

/// What the kernel says of this transport.
pub fn ring_support() -> RingSupport {
    match fs::read_to_string(PARAMETER).as_deref().map(str::trim) {
        Ok("Y" | "1") => RingSupport::On,
        Ok(_) => RingSupport::Off,
        Err(_) => RingSupport::Absent,
    }
}

// Only a connection that can be aborted from outside: what is in a ring cannot be answered by the
// watchdog.
fn can_abort() -> bool {
    let control = || mounted_at(Path::new(CONTROL)).ok().flatten();
    rustix::process::geteuid().is_root() || control().is_some_and(|line| line.kind == "fusectl")
}

/// What other threads see of a ring's worker.
pub(crate) struct RingView {
    /// Odd from taking requests until the kernel was told of their replies.
    pub progress: Progress,
    /// How many of the replies the kernel has taken.
    pub submitted: Submitted,
    handed: Arc<Handed>,
}

impl RingView {
    /// Whether no reply of another thread waits for the worker.
    pub fn has_nothing_handed(&self) -> bool {
        self.handed.is_empty()
    }
}

/// Called when a worker has ended.
type OnEnd = Box<dyn FnOnce() + Send>;

struct Waiting {
    start: Sender<(Arc<Core>, OnEnd)>,
    thread: JoinHandle<()>,
}

/// Rings whose threads wait for a connection. Dropping them ends these.
pub(crate) struct Rings {
    waiting: Vec<Waiting>,
    views: Vec<RingView>,
}

impl Rings {
    /// Everything that can fail, before the kernel is promised anything. The reason if it fails.
    pub fn prepare(spares: usize) -> Result<Rings, String> {
        match ring_support() {
            RingSupport::On => {}
            RingSupport::Off => return Err("the kernel has it switched off".to_owned()),
            RingSupport::Absent => return Err("the kernel does not have it".to_owned()),
        }
        if !can_abort() {
            return Err(format!("fusectl is not mounted on {CONTROL}"));
        }
        let possible = cpus::possible().filter(|all| !all.is_empty());
        let possible = possible.ok_or("the kernel does not say which CPUs there are")?;
        // It numbers its queues from zero on without gaps.
        let count = possible.len();
        let usable: Vec<usize> = cpus::usable().into_iter().filter(|cpu| *cpu < count).collect();
        let mut places: Vec<Place> = usable.iter().map(|cpu| Place::on(*cpu)).collect();
        let others: Vec<usize> = (0..count).filter(|cpu| !usable.contains(cpu)).collect();
        places.extend((!others.is_empty()).then_some(Place::anywhere(others)));
        let mut rings = Rings { waiting: Vec::new(), views: Vec::new() };
        for place in places {
            let index = rings.views.len();
            let (waiting, view) = wait_at(place, spares, index)?;
            rings.waiting.push(waiting);
            rings.views.push(view);
        }
        Ok(rings)
    }

    /// How many threads there are.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// What goes into the core.
    pub fn take_views(&mut self) -> Vec<RingView> {
        std::mem::take(&mut self.views)
    }

    /// Lets the threads serve the core's connection; `on_end` is called when one has ended.
    pub fn start(self, core: &Arc<Core>, on_end: impl Fn() + Clone + Send + 'static) -> Threads {
        let start = |waiting: Waiting| {
            // A thread that is gone says so itself.
            let on_end: OnEnd = Box::new(on_end.clone());
            if let Err(mpsc::SendError((_, on_end))) = waiting.start.send((core.clone(), on_end)) {
                on_end();
            }
            waiting.thread
        };
        self.waiting.into_iter().map(start).collect()
    }
}

type Threads = Vec<JoinHandle<()>>;

fn wait_at(place: Place, spares: usize, index: usize) -> Result<(Waiting, RingView), String> {
    let failed = |error: Errno| {
        let hint =
            if error == Errno::NOMEM { ": RLIMIT_MEMLOCK is too low (ulimit -l)" } else { "" };
        format!("io_uring: {}{hint}", std::io::Error::from(error))
    };
    let (start, started) = mpsc::channel::<(Arc<Core>, OnEnd)>();
    let (ready, prepared) = mpsc::channel();
    let thread = std::thread::Builder::new().name("devdev-ring".into()).spawn(move || {
        let worker = match prepare_worker(place, spares) {
            Ok((worker, submitted, handed)) => {
                // Nobody listens any more if another one failed.
                let _ = ready.send(Ok((submitted, handed)));
                worker
            }
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        if let Ok((core, on_end)) = started.recv() {
            worker.run(&core, index);
            on_end();
        }
    });
    let thread = thread.map_err(|error| format!("starting a thread: {error}"))?;
    let told = prepared.recv().unwrap_or(Err(Errno::CANCELED));
    let (submitted, handed) = told.map_err(failed)?;
    let view = RingView { progress: Progress::default(), submitted, handed };
    Ok((Waiting { start, thread }, view))
}

fn prepare_worker(
    place: Place,
    spares: usize,
) -> Result<(QueueWorker, Submitted, Arc<Handed>), Errno> {
    let pinned = place.cpu.is_some_and(cpus::pin);
    let ring = Ring::new(RING_ENTRIES)?;
    ring.enable()?;
    let handed = Arc::new(Handed::new(eventfd(0, EventfdFlags::CLOEXEC)?));
    let submitted = ring.submitted();
    let depth = if place.cpu.is_some() { DEPTH } else { IDLE_DEPTH };
    let worker = QueueWorker::new(ring, handed.clone(), &place, pinned, depth, spares)?;
    Ok((worker, submitted, handed))
}
