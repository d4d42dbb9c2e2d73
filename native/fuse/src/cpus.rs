//! Which CPUs there are, and on which a thread may run.

use std::fs;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Numbers of all CPUs that this machine may ever have. The kernel has a queue for each.
pub(crate) fn possible() -> Option<Vec<usize>> {
    list("/sys/devices/system/cpu/possible")
}

/// Those on which threads of this process can run now.
pub(crate) fn usable() -> Vec<usize> {
    let online = list("/sys/devices/system/cpu/online").unwrap_or_default();
    let allowed = sched_getaffinity(None).ok();
    let is_allowed =
        |cpu: &usize| allowed.as_ref().is_none_or(|set| *cpu < CpuSet::MAX_CPU && set.is_set(*cpu));
    online.into_iter().filter(is_allowed).collect()
}

/// Binds the calling thread to a CPU; false where that is not permitted.
pub(crate) fn pin(cpu: usize) -> bool {
    if cpu >= CpuSet::MAX_CPU {
        return false;
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).is_ok()
}

/// Whether a thread may be bound to a CPU, whatever it is bound to now: a cpuset can forbid it.
pub(crate) fn may_pin(cpu: usize) -> bool {
    let before = sched_getaffinity(None);
    let bound = pin(cpu);
    if let (true, Ok(before)) = (bound, before) {
        // It was so before; if the machine has changed meanwhile, this thread stays there.
        let _ = sched_setaffinity(None, &before);
    }
    bound
}

fn list(path: &str) -> Option<Vec<usize>> {
    parse(fs::read_to_string(path).ok()?.trim())
}

// `0-3,8,10-11`
fn parse(text: &str) -> Option<Vec<usize>> {
    let mut all = Vec::new();
    for range in text.split(',').filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        all.extend(first.parse::<usize>().ok()?..=last.parse().ok()?);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_the_kernel_are_understood() {
        assert_eq!(parse("0-3,8,10-11").unwrap(), [0, 1, 2, 3, 8, 10, 11]);
        assert_eq!(parse("0").unwrap(), [0]);
        assert_eq!(parse("").unwrap(), [0; 0]);
        assert!(parse("x-2").is_none());
    }

    #[test]
    fn a_thread_can_be_bound_to_a_usable_cpu() {
        let usable = usable();
        assert!(!usable.is_empty() && usable.iter().all(|cpu| possible().unwrap().contains(cpu)));
        std::thread::spawn(move || assert!(pin(usable[0]))).join().unwrap();
        assert!(!pin(1 << 20));
    }

    #[test]
    fn trying_a_cpu_does_not_bind_to_it() {
        let usable = usable();
        let try_all = move || {
            assert!(usable.iter().all(|cpu| may_pin(*cpu)) && !may_pin(1 << 20));
            assert!(pin(usable[0]));
            // Also where the thread itself is bound elsewhere.
            assert!(usable.iter().all(|cpu| may_pin(*cpu)));
            assert_eq!(super::usable(), usable[..1]);
        };
        std::thread::spawn(try_all).join().unwrap();
    }
}
