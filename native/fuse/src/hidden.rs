//! Processes that hide their mappings: not dumpable (agents that hold keys), or with more rights
//! than this process.
//!
//! They cannot be asked what they map, but everybody may read how many page faults they had. A page
//! of a shared mapping becomes dirty only through a fault, after each time it was written back: no
//! fault since the last barrier, nothing dirty. That keeps the barrier over all held inodes, which
//! costs their page cache, for when it is needed.

use std::collections::HashMap;
use std::fs;

/// What a process had done when it was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Activity {
    /// Clock ticks after boot: tells a process from an earlier one with its id.
    start: u64,
    /// Page faults of all its threads, minor and major.
    faults: u64,
}

/// Hidden processes by id.
pub(crate) type Seen = HashMap<u32, Activity>;

/// What a process has done; `None` when it is gone.
pub(crate) fn activity(pid: u32) -> Option<Activity> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

// The command's name may hold anything, so fields count from behind its parenthesis: state is
// field 3 of proc(5), minflt 10, majflt 12, starttime 22.
fn parse_stat(stat: &str) -> Option<Activity> {
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let field = |n: usize| fields.get(n - 3)?.parse::<u64>().ok();
    Some(Activity { start: field(22)?, faults: field(10)? + field(12)? })
}

/// Whether a process of the user `uid` could have entered his mount: all of its real, effective
/// and saved uid would have to be his.
pub(crate) fn may_enter(pid: u32, uid: u32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return false };
    let Some(line) = status.lines().find_map(|line| line.strip_prefix("Uid:")) else { return true };
    line.split_ascii_whitespace().take(3).all(|id| id.parse() == Ok(uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_and_start_are_read_behind_any_name() {
        let stat = "7 (a ) (b) S 1 7 7 0 -1 4194560 46583 99 12 5 489 1823 0 0 20 0 12 0 31 1 2";
        assert_eq!(parse_stat(stat), Some(Activity { start: 31, faults: 46595 }));
        assert_eq!(parse_stat("7 (x) S 1"), None);
        assert_eq!(activity(u32::MAX), None);
    }

    #[test]
    fn a_first_touch_of_memory_is_a_fault() {
        let me = std::process::id();
        let before = activity(me).unwrap();
        let fresh = vec![1u8; 8 << 20];
        let after = activity(me).unwrap();
        assert!(after.faults > before.faults && after.start == before.start);
        assert_eq!(fresh.len(), 8 << 20);
    }

    #[test]
    fn only_processes_of_the_mounting_user_can_hide_something() {
        let me = std::process::id();
        let uid = rustix::process::geteuid().as_raw();
        assert!(may_enter(me, uid));
        assert!(!may_enter(me, uid + 1));
        assert!(!may_enter(u32::MAX, uid));
    }
}
