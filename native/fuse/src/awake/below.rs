//! Workers that run below their clients while CPUs are kept awake.
//!
//! Whoever is woken goes to an idle CPU if there is one. So a client that is answered leaves its
//! CPU, where the worker still runs, and the next request has to reach across again; in a virtual
//! machine the other CPU may be far away without the scheduler knowing. A CPU where nothing runs
//! but SCHED_IDLE counts as idle itself (sched(7)): the client stays, and worker and client hand
//! over to each other without any other CPU.
//!
//! But who runs below others is not let in while something computes. So somebody looks every 2 ms
//! how the workers fare; they are lifted when one was kept waiting, and for good when nothing
//! comes.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How often workers are looked after that run below others.
pub(super) const LOOK: Duration = Duration::from_millis(2);
/// Kept waiting: so long since the last look, and so long each time. A worker waits some 7 µs for
/// its client to go to sleep.
const WAITED: u64 = 500_000;
const EACH: u64 = 100_000;
/// Looks at one that has not got on. How long a thread runs is counted at ticks only, of up to 4
/// ms.
const STUCK: u32 = 3;
/// How long they run beside others after one was kept waiting, at first and at most.
const LIFTED: Duration = Duration::from_millis(20);
const LIFTED_MOST: Duration = Duration::from_secs(2);
/// After so long below others whatever was in the way is gone.
const LONG: Duration = Duration::from_millis(200);

/// The workers of this process, each entered by itself.
pub(super) struct Workers(Mutex<Vec<Member>>);

struct Member {
    tid: i32,
    is_below: bool,
    /// `/proc/self/task/TID/schedstat`, which cannot be read once the thread has ended.
    file: File,
    fared: Fared,
    /// So many looks in a row it could have run, and as far as one can tell did not.
    stuck: u32,
}

/// How a thread has fared so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Fared {
    run_nanos: u64,
    waited_nanos: u64,
    slices: u64,
}

/// Until this is dropped, which the thread itself has to do.
pub(super) struct Entry {
    workers: Arc<Workers>,
    tid: i32,
}

impl Workers {
    /// None where a thread that runs below others could not be lifted again (that takes
    /// CAP_SYS_NICE or RLIMIT_NICE).
    pub fn new() -> Option<Workers> {
        let there_and_back = || set_policy(0, libc::SCHED_IDLE) && set_policy(0, libc::SCHED_OTHER);
        let may = thread::Builder::new().spawn(there_and_back).ok()?.join();
        may.unwrap_or(false).then(|| Workers(Mutex::default()))
    }

    /// Enters the calling thread; none where it cannot be told how it fares, or where its user has
    /// chosen a policy.
    pub fn enter(self: &Arc<Workers>) -> Option<Entry> {
        let tid = rustix::thread::gettid().as_raw_nonzero().get();
        let file = File::open(format!("/proc/self/task/{tid}/schedstat")).ok()?;
        let fared = Fared::read(&file).filter(|fared| fared.slices > 0)?;
        if policy_of(tid) != libc::SCHED_OTHER {
            return None;
        }
        self.0.lock().push(Member { tid, is_below: false, file, fared, stuck: 0 });
        Some(Entry { workers: self.clone(), tid })
    }

    /// Puts those below others that are not yet; whether one of the others was kept waiting since
    /// the last look.
    fn look_after(&self) -> bool {
        let mut any = false;
        self.each(|member, now| {
            if member.is_below {
                let is_stuck = now == member.fared && is_runnable(member.tid);
                member.stuck = if is_stuck { member.stuck + 1 } else { 0 };
                any |= now.kept_waiting_since(member.fared) || member.stuck >= STUCK;
            } else {
                member.stuck = 0;
                member.is_below = set_policy(member.tid, libc::SCHED_IDLE);
            }
        });
        any
    }

    fn lift(&self) {
        self.each(|member, _| {
            member.is_below = member.is_below && !set_policy(member.tid, libc::SCHED_OTHER);
        });
    }

    // Those that live, and how they have fared up to now.
    fn each(&self, mut act: impl FnMut(&mut Member, Fared)) {
        self.0.lock().retain_mut(|member| {
            let Some(now) = Fared::read(&member.file) else { return false };
            act(member, now);
            member.fared = now;
            true
        });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut members = self.workers.0.lock();
        members.retain(|member| member.tid != self.tid);
        // Whatever the thread does afterwards is no work for a client.
        set_policy(self.tid, libc::SCHED_OTHER);
    }
}

impl Fared {
    fn read(file: &File) -> Option<Fared> {
        let mut text = [0; 80];
        let len = file.read_at(&mut text, 0).ok()?;
        let mut fields = std::str::from_utf8(&text[..len]).ok()?.split_whitespace();
        let mut next = || fields.next()?.parse().ok();
        Some(Fared { run_nanos: next()?, waited_nanos: next()?, slices: next()? })
    }

    fn kept_waiting_since(self, before: Fared) -> bool {
        let waited = self.waited_nanos.saturating_sub(before.waited_nanos);
        let slices = self.slices.saturating_sub(before.slices);
        waited > WAITED && waited / slices.max(1) > EACH
    }
}

/// Puts the workers below others and lifts them again.
pub(super) struct Watch {
    workers: Arc<Workers>,
    below_since: Option<Instant>,
    lifted_until: Instant,
    pause: Duration,
    works: u64,
}

impl Watch {
    pub fn new(workers: Arc<Workers>) -> Watch {
        let lifted_until = Instant::now();
        Watch { workers, below_since: None, lifted_until, pause: LIFTED, works: 0 }
    }

    /// To be called while requests come quickly, as often as `LOOK` says where this says that they
    /// are below others. `works`: how often this process has begun work of its own for several
    /// threads, which would keep workers below them waiting.
    pub fn look(&mut self, works: u64) -> bool {
        let now = Instant::now();
        if works != self.works {
            self.works = works;
            self.lift();
            self.lifted_until = self.lifted_until.max(now + LIFTED);
        }
        if self.below_since.is_none() && now < self.lifted_until {
            return false;
        }
        let since = *self.below_since.get_or_insert(now);
        if self.workers.look_after() {
            self.lift();
            if now - since > LONG {
                self.pause = LIFTED;
            }
            self.lifted_until = now + self.pause;
            self.pause = LIFTED_MOST.min(self.pause * 2);
        }
        self.below_since.is_some()
    }

    /// To be called when they pause.
    pub fn lift(&mut self) {
        if self.below_since.take().is_some() {
            self.workers.lift();
        }
    }
}

fn is_runnable(tid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/self/task/{tid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('R'))
}

fn set_policy(tid: i32, policy: i32) -> bool {
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: the kernel reads `parameter`, which lives until the call returns.
    unsafe { libc::sched_setscheduler(tid, policy, &raw const parameter) == 0 }
}

fn policy_of(tid: i32) -> i32 {
    // SAFETY: it takes and returns numbers.
    unsafe { libc::sched_getscheduler(tid) }
}

#[cfg(test)]
mod tests {
    use std::hint;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::channel;

    use super::*;
    use crate::cpus;

    // Who may not lift a thread again has none.
    fn workers() -> Option<Arc<Workers>> {
        let workers = Workers::new().map(Arc::new);
        assert!(workers.is_some() || !rustix::process::geteuid().is_root(), "root has some");
        workers
    }

    fn fared(waited_nanos: u64, slices: u64) -> Fared {
        Fared { run_nanos: 1, waited_nanos, slices }
    }

    #[test]
    fn waiting_counts_where_it_is_long_each_time() {
        let before = fared(1000, 10);
        assert!(!fared(1000 + 600_000, 110).kept_waiting_since(before), "6 µs each");
        assert!(!fared(1000 + 400_000, 11).kept_waiting_since(before), "once, not for long");
        assert!(fared(1000 + 600_000, 11).kept_waiting_since(before));
        assert!(fared(1000 + 2_000_000, 20).kept_waiting_since(before));
    }

    #[test]
    fn workers_are_below_others_while_requests_come_and_leave_as_they_came() {
        let Some(workers) = workers() else { return };
        let (send, receive) = channel();
        let (end, ended) = channel::<()>();
        let entering = workers.clone();
        let thread = thread::spawn(move || {
            let entry = entering.enter().unwrap();
            send.send(entry.tid).unwrap();
            let _ = ended.recv();
        });
        let tid = receive.recv().unwrap();
        let mut watch = Watch::new(workers.clone());
        assert!(watch.look(0));
        assert_eq!(policy_of(tid), libc::SCHED_IDLE);
        watch.lift();
        assert_eq!(policy_of(tid), libc::SCHED_OTHER);
        assert!(watch.look(0));
        assert!(!watch.look(1), "not while this process computes");
        assert_eq!(policy_of(tid), libc::SCHED_OTHER);
        drop(end);
        thread.join().unwrap();
        assert!(workers.0.lock().is_empty());
    }

    #[test]
    fn one_that_is_kept_from_running_is_lifted_and_stays_so_for_a_while() {
        let Some(workers) = workers() else { return };
        let cpu = cpus::usable()[0];
        let done = AtomicBool::new(false);
        let spin = || {
            assert!(cpus::pin(cpu));
            while !done.load(Ordering::Relaxed) {
                hint::spin_loop();
            }
        };
        let (send, receive) = channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                let entry = workers.enter().unwrap();
                send.send(entry.tid).unwrap();
                spin();
            });
            let tid = receive.recv().unwrap();
            let mut watch = Watch::new(workers.clone());
            assert!(watch.look(0));
            scope.spawn(spin);
            let start = Instant::now();
            while watch.look(0) && start.elapsed() < Duration::from_secs(60) {
                thread::sleep(LOOK);
            }
            let policy = policy_of(tid);
            done.store(true, Ordering::Relaxed);
            assert_eq!(policy, libc::SCHED_OTHER);
            assert!(watch.lifted_until >= start + LIFTED);
        });
    }

    #[test]
    fn threads_that_have_ended_are_forgotten() {
        let Some(workers) = workers() else { return };
        let entering = workers.clone();
        thread::spawn(move || std::mem::forget(entering.enter())).join().unwrap();
        assert_eq!(workers.0.lock().len(), 1);
        let end = Instant::now() + Duration::from_secs(60);
        while !workers.0.lock().is_empty() && Instant::now() < end {
            workers.look_after();
        }
        assert!(workers.0.lock().is_empty());
    }
}
