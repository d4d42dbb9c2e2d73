//! The probe role: `devdev-helper probe PATH` asks a new host mount for its statfs (stat would be
//! answered from the kernel's cache), once from every CPU that it can be bound to, because each CPU
//! can have a queue of its own. The daemon waits for the exit code, for a limited time.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use rustix::io::Errno;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::HELPER_FAILED;

pub fn run(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(path) = args.next() else { return ExitCode::from(HELPER_FAILED) };
    match ask_from_every_cpu(Path::new(&path)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Asks from each CPU that this thread can be bound to, whatever it was started on: clients need
/// not be where the daemon is. Stops at the first failure.
pub fn ask_from_every_cpu(path: &Path) -> Result<(), Errno> {
    let before = sched_getaffinity(None)?;
    for cpu in 0..possible_cpus() {
        let mut one = CpuSet::new();
        one.set(cpu);
        // Offline, or not in this process's cpuset: then the daemon has no spare entries for it.
        if sched_setaffinity(None, &one).is_ok() {
            rustix::fs::statfs(path)?;
        }
    }
    sched_setaffinity(None, &before)
}

// How many there may ever be ("0-3", "0-3,8-11"), or more.
fn possible_cpus() -> usize {
    let list = std::fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
    let last = list.trim().rsplit(['-', ',']).next().and_then(|last| last.parse::<usize>().ok());
    last.map_or(CpuSet::MAX_CPU, |last| (last + 1).min(CpuSet::MAX_CPU))
}
