//! Keeps the CPUs of a virtual machine from halting while its mounts are busy.
//!
//! A client and its reader wake each other twice per request, often across CPUs. Where idle CPUs
//! halt, the host has to be asked for each wake: 30 µs a trip instead of 10. Guests poll a little
//! before they halt (`haltpoll`), unless that was set to nothing, as in small sandboxes. There root
//! may ask the kernel for idle CPUs that answer at once: `/dev/cpu_dma_latency`
//! (Documentation/power/pm_qos_interface.rst), which holds while the file is open, no longer than
//! this process lives. For others a helper process spins. Both only while requests come in quickly,
//! and for short work that goes from thread to thread while somebody waits for it. Meanwhile the
//! workers give way to their clients where they can, so that these stay where they are.

mod below;
mod groups;
mod spinner;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use below::{Entry, LOOK, Watch, Workers};
use spinner::Spinner;

const DEVICE: &str = "/dev/cpu_dma_latency";
const DRIVER: &str = "/sys/devices/system/cpu/cpuidle/current_driver";
const POLLING: &str = "/sys/module/haltpoll/parameters/guest_halt_poll_ns";

/// From here on a guest's own polling bridges the time between two requests.
const POLLING_ENOUGH_NS: u64 = 50_000;
/// More idle CPUs than this are too many to keep for a few clients.
const MOST_CPUS: usize = 8;
/// So many requests of one worker within this time: somebody waits for each of them.
const SOME: u32 = 32;
const QUICKLY: Duration = Duration::from_millis(16);
/// Moving so many bytes takes a worker as long as answering a request.
const BYTES: u64 = 32 << 10;
/// Without such a series for so long, CPUs may halt again.
const PAUSE: Duration = Duration::from_millis(20);
/// Without any for so long, a process that spins is not kept.
const LONG_PAUSE: Duration = Duration::from_secs(10);

static KEEPER: OnceLock<Option<Keeper>> = OnceLock::new();

/// Keeps the CPUs awake for 20 ms from now on: somebody waits for work that several threads do one
/// after the other, each of which would wake a CPU that has halted. Nothing unless something was
/// mounted before.
pub fn stay_awake() {
    if let Some(Some(keeper)) = KEEPER.get() {
        keeper.shared.works.fetch_add(1, Ordering::Relaxed);
        keeper.beat();
    }
}

/// How busy one worker is.
pub(crate) struct Pulse {
    keeper: Option<&'static Keeper>,
    left: u32,
    since: Instant,
    /// Its thread among those that run below others; tried with its first series.
    entry: Option<Option<Entry>>,
}

impl Pulse {
    /// `helper`: the helper binary. The first one counts for the whole process.
    pub fn new(helper: Option<&Path>) -> Pulse {
        let keeper = KEEPER.get_or_init(|| is_wanted().then(|| Keeper::new(helper)).flatten());
        Pulse { keeper: keeper.as_ref(), left: SOME, since: Instant::now(), entry: None }
    }

    /// To be called for each request, with the time at which it came and the bytes that it moves.
    pub fn beat(&mut self, now: Instant, bytes: u64) {
        let Some(keeper) = self.keeper else { return };
        self.left = self.left.saturating_sub(1 + (bytes / BYTES) as u32);
        if self.left == 0 {
            if now.saturating_duration_since(self.since) < QUICKLY {
                keeper.beat();
                self.entry.get_or_insert_with(|| keeper.workers.as_ref()?.enter());
            }
            self.left = SOME;
            self.since = now;
        }
    }
}

/// Whether keeping CPUs awake is of use here, and not switched off (DEVDEV_KEEP_AWAKE=off).
fn is_wanted() -> bool {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    std::env::var_os("DEVDEV_KEEP_AWAKE").is_none_or(|value| value != "off")
        && halts_at_once(&fs::read_to_string(DRIVER), &fs::read_to_string(POLLING))
        && (2..=MOST_CPUS).contains(&cpus)
}

fn halts_at_once(driver: &std::io::Result<String>, polling: &std::io::Result<String>) -> bool {
    let Ok(driver) = driver else { return false };
    let Ok(polling) = polling else { return false };
    driver.trim() == "haltpoll"
        && polling.trim().parse::<u64>().is_ok_and(|nanos| nanos < POLLING_ENOUGH_NS)
}

/// A thread that does what is to be done while series come.
struct Keeper {
    shared: Arc<Shared>,
    thread: Thread,
    workers: Option<Arc<Workers>>,
}

#[derive(Default)]
struct Shared {
    series: AtomicU64,
    /// How often this process said that it has work for several threads.
    works: AtomicU64,
    /// The thread is not asleep.
    busy: AtomicBool,
}

/// What keeps CPUs from halting.
trait Means: Send + 'static {
    fn begin(&mut self);
    fn end(&mut self);
    /// Nothing came for a long time.
    fn release(&mut self) {}
}

impl Keeper {
    // None where this user may not ask and no process may spin.
    fn new(helper: Option<&Path>) -> Option<Keeper> {
        Asking::new(DEVICE).map_or_else(
            || Keeper::start(Spinner::new(helper.filter(|_| !groups::is_limited())?)),
            Keeper::start,
        )
    }

    fn start(mut means: impl Means) -> Option<Keeper> {
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let workers = Workers::new().map(Arc::new);
        let mut watch = workers.clone().map(Watch::new);
        let keep = move || loop {
            theirs.wait_for_series(&mut means);
            means.begin();
            theirs.wait_for_pause(watch.as_mut());
            means.end();
            theirs.busy.store(false, Ordering::Release);
        };
        let thread = thread::Builder::new().name("devdev-awake".into()).spawn(keep).ok()?;
        Some(Keeper { thread: thread.thread().clone(), shared, workers })
    }

    fn beat(&self) {
        self.shared.series.fetch_add(1, Ordering::Relaxed);
        if !self.shared.busy.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

impl Shared {
    fn series(&self) -> u64 {
        self.series.load(Ordering::Relaxed)
    }

    fn wait_for_series(&self, means: &mut impl Means) {
        let start = Instant::now();
        while !self.busy.load(Ordering::Acquire) {
            if start.elapsed() < LONG_PAUSE {
                thread::park_timeout(LONG_PAUSE);
            } else {
                means.release();
                thread::park();
            }
        }
    }

    fn wait_for_pause(&self, mut watch: Option<&mut Watch>) {
        let mut seen = (self.series(), Instant::now());
        loop {
            let works = self.works.load(Ordering::Relaxed);
            let is_below = watch.as_mut().is_some_and(|watch| watch.look(works));
            thread::sleep(if is_below { LOOK } else { PAUSE });
            let now = (self.series(), Instant::now());
            if now.0 != seen.0 {
                seen = now;
            } else if now.1 - seen.1 >= PAUSE {
                break;
            }
        }
        if let Some(watch) = watch {
            watch.lift();
        }
    }
}

/// Asks the kernel; closing the device takes the request back.
struct Asking {
    device: String,
    request: Option<File>,
}

impl Asking {
    fn new(device: &str) -> Option<Asking> {
        // Opening asks for nothing yet, but tells whether it is permitted.
        drop(open(device)?);
        Some(Asking { device: device.to_owned(), request: None })
    }
}

impl Means for Asking {
    fn begin(&mut self) {
        self.request = open(&self.device).and_then(|mut file| {
            file.write_all(&0_i32.to_ne_bytes()).ok()?;
            Some(file)
        });
    }

    fn end(&mut self) {
        self.request = None;
    }
}

fn open(device: &str) -> Option<File> {
    OpenOptions::new().write(true).open(device).ok()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn only_guests_that_do_not_poll_are_kept_awake() {
        let text = |text: &str| Ok(text.to_owned());
        let none = || Err(std::io::Error::from(std::io::ErrorKind::NotFound));
        assert!(halts_at_once(&text("haltpoll\n"), &text("0\n")));
        assert!(halts_at_once(&text("haltpoll\n"), &text("1000\n")));
        assert!(!halts_at_once(&text("haltpoll\n"), &text("200000\n")));
        assert!(!halts_at_once(&text("intel_idle\n"), &text("0\n")));
        assert!(!halts_at_once(&text("haltpoll\n"), &none()));
        assert!(!halts_at_once(&none(), &text("0\n")));
    }

    #[test]
    fn the_request_is_made_while_series_come_and_taken_back_after() {
        let (keeper, device) = keeper("asked");
        assert_eq!(fs::read(&device).unwrap(), b"", "asked before any request");
        let end = Instant::now() + Duration::from_secs(60);
        keeper.beat();
        while fs::read(&device).unwrap() != [0; 4] {
            assert!(Instant::now() < end, "not asked for");
            thread::yield_now();
        }
        while keeper.shared.busy.load(Ordering::Acquire) {
            assert!(Instant::now() < end, "not taken back");
            thread::sleep(Duration::from_millis(1));
        }
        fs::remove_file(device).unwrap();
        assert!(Asking::new("/dev/cpu_dma_latency/none").is_none());
    }

    #[test]
    fn only_requests_in_quick_succession_count() {
        let (keeper, device) = keeper("quick");
        let keeper: &'static Keeper = Box::leak(Box::new(keeper));
        let start = Instant::now();
        let mut pulse = Pulse { keeper: Some(keeper), left: SOME, since: start, entry: None };
        for number in 0..10 * SOME {
            pulse.beat(start + Duration::from_millis(number.into()), 0);
        }
        assert_eq!(keeper.shared.series(), 0);
        let later = start + Duration::from_secs(1);
        pulse.since = later;
        for number in 0..10 * SOME {
            pulse.beat(later + Duration::from_micros(u64::from(number) * 100), 0);
        }
        assert_eq!(keeper.shared.series(), 10);
        let last = later + Duration::from_secs(1);
        pulse.since = last;
        for number in 0..10 {
            pulse.beat(last + Duration::from_millis(number), 512 << 10);
        }
        assert_eq!(keeper.shared.series(), 15, "large requests count for several");
        fs::remove_file(device).unwrap();
    }

    // One that writes to a file instead of the device.
    fn keeper(name: &str) -> (Keeper, PathBuf) {
        let device = std::env::temp_dir().join(format!("devdev-{name}-{}", std::process::id()));
        fs::write(&device, "").unwrap();
        let asking = Asking::new(device.to_str().unwrap()).unwrap();
        (Keeper::start(asking).unwrap(), device)
    }
}
