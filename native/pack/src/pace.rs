//! How hard background work may press the machine.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Threads to use, and the share of time each of them works.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pace {
    /// Threads, at least 1.
    pub threads: usize,
    /// Share of the time that a thread works, in (0, 1].
    pub duty: f64,
}

impl Pace {
    /// All of two processors: somebody waits.
    pub const FULL: Pace = Pace { threads: 2, duty: 1.0 };
    /// A quarter of one processor: nobody waits and others work.
    pub const BACKGROUND: Pace = Pace { threads: 1, duty: 0.25 };

    /// A thread's own measure of its duty.
    pub(crate) fn beat(self) -> Beat {
        Beat { duty: self.duty.clamp(0.01, 1.0), since: Instant::now() }
    }

    /// Runs `work` for each of `items`, in no order, on the threads of this pace.
    pub(crate) fn each<T: Sync>(self, items: &[T], work: impl Fn(&T) + Sync) {
        let next = AtomicUsize::new(0);
        let run = || {
            let mut beat = self.beat();
            while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                work(item);
                beat.rest();
            }
        };
        std::thread::scope(|scope| {
            // A few items are done sooner than a thread is started.
            let threads = self.threads.min(items.len() / 8);
            (1..threads).for_each(|_| _ = scope.spawn(run));
            run();
        });
    }
}

/// Sleeps now and then, so that a thread works its share of the time only.
pub(crate) struct Beat {
    duty: f64,
    since: Instant,
}

impl Beat {
    const WORK: Duration = Duration::from_millis(4);

    pub(crate) fn rest(&mut self) {
        if self.duty >= 1.0 {
            return;
        }
        let worked = self.since.elapsed();
        if worked >= Beat::WORK {
            std::thread::sleep(worked.mul_f64(1.0 / self.duty - 1.0));
            self.since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn every_item_is_done_once() {
        for count in [0, 1, 100] {
            let items: Vec<usize> = (0..count).collect();
            let done = Mutex::new(Vec::new());
            Pace::FULL.each(&items, |n| done.lock().unwrap().push(*n));
            let mut done = done.into_inner().unwrap();
            done.sort_unstable();
            assert_eq!(done, items);
        }
    }

    #[test]
    fn a_slow_pace_rests() {
        let start = Instant::now();
        let work = |_: &()| std::thread::sleep(Duration::from_millis(5));
        Pace { threads: 1, duty: 0.2 }.each(&[(); 4], work);
        assert!(start.elapsed() >= Duration::from_millis(100 - 10));
    }
}
