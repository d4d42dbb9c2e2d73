//! Keeps a reader of the classic transport on the CPU on which its clients run.
//!
//! A request that is handed to a reader on another CPU waits until that one is woken: two to four
//! times the price of the whole trip where the other CPU is idle. The kernel likes to wake sleepers
//! on idle CPUs, so a reader has to bind itself to stay. Where a client runs says /proc, which
//! costs more than a trip: it is asked often only while clients are new. It is asked while the
//! client waits, since the reply may move it to another CPU.

use std::fs;

use crate::cpus;

/// Requests between two looks: at first, and once everything has been the same for long.
const SOON: u32 = 16;
const SELDOM: u32 = 256;
/// Clients that count as known.
const KNOWN: usize = 4;

/// The habits of one reader.
pub(crate) struct Follower {
    pace: Pace,
    /// Where this reader has bound itself to.
    bound: Option<usize>,
}

impl Follower {
    /// A reader that is bound to no CPU yet.
    pub fn new() -> Follower {
        Follower { pace: Pace::new(), bound: None }
    }

    /// To be called before a request is answered, with the thread that sent it (0: the kernel
    /// itself, or nobody that can be seen from here).
    pub fn received(&mut self, thread: u32) {
        if thread == 0 || !self.pace.is_due(thread) {
            return;
        }
        let Some(cpu) = cpu_of(thread) else { return };
        // Not permitted (a container's CPUs): the reader stays where it is.
        if self.bound != Some(cpu) && cpus::pin(cpu) {
            self.bound = Some(cpu);
        }
    }
}

/// When to look.
struct Pace {
    known: [u32; KNOWN],
    oldest: usize,
    interval: u32,
    left: u32,
}

impl Pace {
    fn new() -> Pace {
        Pace { known: [0; KNOWN], oldest: 0, interval: SOON, left: SOON }
    }

    fn is_due(&mut self, thread: u32) -> bool {
        if !self.known.contains(&thread) {
            self.known[self.oldest] = thread;
            self.oldest = (self.oldest + 1) % KNOWN;
            self.interval = SOON;
            self.left = self.left.min(SOON);
        }
        self.left -= 1;
        if self.left > 0 {
            return false;
        }
        self.interval = (self.interval * 2).min(SELDOM);
        self.left = self.interval;
        true
    }
}

// The CPU on which a thread of any process runs or has run last: field 39 of proc_pid_stat(5).
fn cpu_of(thread: u32) -> Option<usize> {
    let line = fs::read(format!("/proc/{thread}/stat")).ok()?;
    processor(&line)
}

// The name in parentheses may have any byte in it, also these.
fn processor(line: &[u8]) -> Option<usize> {
    let name_end = line.iter().rposition(|byte| *byte == b')')?;
    let third_on = line.get(name_end + 2..)?;
    let field = third_on.split(|byte| *byte == b' ').nth(39 - 3)?;
    str::from_utf8(field).ok()?.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_clients_are_looked_at_soon_known_ones_seldom() {
        let mut pace = Pace::new();
        let mut looks =
            |thread: u32, requests: u32| (0..requests).filter(|_| pace.is_due(thread)).count();
        assert_eq!(looks(7, 15), 0);
        assert_eq!(looks(7, 1), 1);
        assert_eq!(looks(7, 31), 0);
        assert_eq!(looks(7, 1), 1);
        assert_eq!(looks(7, 64 + 128 + 256 * 99), 101);
        assert_eq!(looks(8, 16), 1);
        let both = (0..12_800).map(|i| looks(7 + i % 2, 1)).sum::<usize>();
        assert!(both < 60, "{both} looks at two clients that take turns");
    }

    #[test]
    fn the_processor_is_found_behind_any_name() {
        let rest = "S 1 ".to_owned() + &"0 ".repeat(34) + "5 0 0";
        assert_eq!(processor(format!("12 (a b) {rest}\n").as_bytes()), Some(5));
        assert_eq!(processor(format!("12 (a) R 1 (x) {rest}\n").as_bytes()), Some(5));
        assert_eq!(processor(b"12 (a) S 1 2\n"), None);
        assert_eq!(processor(b"12 (a)"), None);
        assert_eq!(processor(b""), None);
    }

    #[test]
    fn a_reader_goes_where_its_client_is() {
        let bound = |cpu: usize| {
            std::thread::spawn(move || {
                assert!(cpus::pin(cpu));
                let client = rustix::thread::gettid().as_raw_nonzero().get() as u32;
                let reader = std::thread::spawn(move || {
                    let mut follower = Follower::new();
                    (0..SOON).for_each(|_| follower.received(client));
                    rustix::thread::sched_getcpu()
                });
                reader.join().unwrap()
            })
        };
        for cpu in cpus::usable() {
            assert_eq!(bound(cpu).join().unwrap(), cpu);
        }
    }
}
