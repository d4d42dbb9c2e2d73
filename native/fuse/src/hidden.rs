//! Processes that hide their mappings: not dumpable (agents that hold keys), or with more rights
//! than this process (the first process of many a sandbox).
//!
//! They cannot be asked what they map, but everybody may read how many page faults they had, and
//! how much memory of files they have mapped. A page of a shared mapping becomes dirty only through
//! a fault, after each time it was written back: no fault since the last barrier, nothing dirty.
//! And it is memory of a file: who has mapped as much of that, at each barrier, as before anything
//! of ours could be mapped, is taken to map nothing of ours. That keeps the barrier over all held
//! inodes, which costs their page cache, for when it is needed.

use std::collections::HashMap;
use std::fs;
use std::sync::OnceLock;

/// What a process had done when it was looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Activity {
    /// Clock ticks after boot: tells a process from an earlier one with its id.
    start: u64,
    /// Page faults of all its threads, minor and major.
    faults: u64,
    /// KiB of files that it has mapped and in memory, where the kernel says it exactly.
    mapped: Option<u64>,
}

/// Hidden processes by id.
pub(crate) type Seen = HashMap<u32, Activity>;

/// The hidden processes of one mount, from one barrier to the next.
#[derive(Default)]
pub(crate) struct Hidden {
    /// As they were when nothing of theirs was dirty.
    clean: Seen,
    /// As they were when nothing of the mount could be mapped; only those that are still so.
    bare: Seen,
}

impl Hidden {
    /// Of a mount that is just being made.
    pub fn new(seen: Seen) -> Hidden {
        let bare = seen.iter().filter(|(_, now)| now.mapped.is_some());
        Hidden { bare: bare.map(|(pid, now)| (*pid, *now)).collect(), clean: seen }
    }

    /// How many of these may have dirtied something since they were clean.
    pub fn suspects(&mut self, seen: &Seen) -> usize {
        let bare = |pid: &u32, before: &mut Activity| {
            seen.get(pid)
                .is_some_and(|now| now.start == before.start && now.mapped == before.mapped)
        };
        self.bare.retain(bare);
        let suspect = |(pid, now): &(&u32, &Activity)| {
            let before = self.clean.get(pid);
            let idle = before
                .is_some_and(|before| before.start == now.start && before.faults == now.faults);
            !idle && !self.bare.contains_key(pid)
        };
        seen.iter().filter(suspect).count()
    }

    /// A barrier is over, before which they were like this.
    pub fn flushed(&mut self, seen: Seen) {
        self.clean = seen;
    }
}

/// What a process has done that could have entered the mount of the user `uid`: all of its real,
/// effective and saved uid would have to be his. `None` of others, and of one that is gone.
pub(crate) fn activity(pid: u32, uid: u32) -> Option<Activity> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    if !may_enter(&status, uid) {
        return None;
    }
    let (start, faults) = parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    Some(Activity { start, faults, mapped: exact().then(|| mapped_kib(&status)).flatten() })
}

// The command's name may hold anything, so fields count from behind its parenthesis: state is
// field 3 of proc(5), minflt 10, majflt 12, starttime 22.
fn parse_stat(stat: &str) -> Option<(u64, u64)> {
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let field = |n: usize| fields.get(n - 3)?.parse::<u64>().ok();
    Some((field(22)?, field(10)? + field(12)?))
}

fn may_enter(status: &str, uid: u32) -> bool {
    let Some(line) = status.lines().find_map(|line| line.strip_prefix("Uid:")) else { return true };
    line.split_ascii_whitespace().take(3).all(|id| id.parse() == Ok(uid))
}

// RssFile counts the pages of files; those of memory that is shared are counted elsewhere.
fn mapped_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssFile:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

// Linux adds up the counters of all CPUs for /proc/PID/status since 6.16 (get_mm_counter_sum);
// before, some pages more or less went unseen.
fn exact() -> bool {
    static EXACT: OnceLock<bool> = OnceLock::new();
    let ask = || parse_release(&rustix::system::uname().release().to_string_lossy());
    *EXACT.get_or_init(|| ask().is_some_and(|version| version >= (6, 16)))
}

fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Activity {
        let uid = rustix::process::geteuid().as_raw();
        activity(std::process::id(), uid).unwrap()
    }

    #[test]
    fn faults_and_start_are_read_behind_any_name() {
        let stat = "7 (a ) (b) S 1 7 7 0 -1 4194560 46583 99 12 5 489 1823 0 0 20 0 12 0 31 1 2";
        assert_eq!(parse_stat(stat), Some((31, 46595)));
        assert_eq!(parse_stat("7 (x) S 1"), None);
    }

    #[test]
    fn a_first_touch_of_memory_is_a_fault() {
        let before = me();
        let fresh = vec![1u8; 8 << 20];
        let after = me();
        assert!(after.faults > before.faults && after.start == before.start);
        assert_eq!(after.mapped.is_some(), exact());
        assert_eq!(fresh.len(), 8 << 20);
    }

    #[test]
    fn only_processes_of_the_mounting_user_can_hide_something() {
        let uid = rustix::process::geteuid().as_raw();
        assert!(activity(std::process::id(), uid + 1).is_none());
        assert!(activity(u32::MAX, uid).is_none());
        assert!(may_enter("Name:\tx\nUid:\t7\t7\t7\t0\n", 7));
        assert!(!may_enter("Name:\tx\nUid:\t7\t7\t0\t7\n", 7));
    }

    #[test]
    fn mapped_memory_and_releases_are_read() {
        assert_eq!(mapped_kib("VmRSS:\t 9 kB\nRssFile:\t       8 kB\nRssShmem:\t 1 kB"), Some(8));
        assert_eq!(mapped_kib("Name:\tkthreadd"), None);
        assert_eq!(parse_release("6.18.44-fc-v509"), Some((6, 18)));
        assert_eq!(parse_release("7.0-rc1"), Some((7, 0)));
        assert_eq!(parse_release("plan9"), None);
    }

    #[test]
    fn suspected_is_who_had_faults_and_other_memory_of_files_than_before_the_mount() {
        let at = |start, faults, mapped| HashMap::from([(1, Activity { start, faults, mapped })]);
        let mut hidden = Hidden::new(at(5, 10, Some(8)));
        let mut suspects = |now: Seen| {
            let count = hidden.suspects(&now);
            hidden.flushed(now);
            count
        };
        assert_eq!(suspects(at(5, 10, Some(8))), 0);
        assert_eq!(suspects(at(5, 11, Some(8))), 0);
        assert_eq!(suspects(at(5, 12, Some(12))), 1);
        assert_eq!(suspects(at(5, 12, Some(12))), 0);
        // It may have let go of something else than what it has mapped.
        assert_eq!(suspects(at(5, 13, Some(8))), 1);
    }

    #[test]
    fn who_came_after_the_mount_or_is_not_counted_exactly_is_suspected() {
        let at = |start, faults, mapped| HashMap::from([(1, Activity { start, faults, mapped })]);
        assert_eq!(Hidden::new(at(5, 10, Some(8))).suspects(&at(6, 10, Some(8))), 1);
        assert_eq!(Hidden::new(at(5, 10, None)).suspects(&at(5, 11, None)), 1);
        assert_eq!(Hidden::new(Seen::new()).suspects(&at(5, 11, Some(8))), 1);
    }
}
