//! The probe role: `devdev-helper probe PATH` asks a new host mount for its statfs (stat would be
//! answered from the kernel's cache), once from every CPU that it may run on, because each CPU can
//! have a queue of its own. The daemon waits for the exit code, for a limited time.

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

/// Asks from each CPU that this thread may run on; stops at the first failure.
pub fn ask_from_every_cpu(path: &Path) -> Result<(), Errno> {
    let allowed = sched_getaffinity(None)?;
    for cpu in (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)) {
        let mut one = CpuSet::new();
        one.set(cpu);
        // A CPU that has gone meanwhile has no processes to ask from.
        if sched_setaffinity(None, &one).is_ok() {
            rustix::fs::statfs(path)?;
        }
    }
    sched_setaffinity(None, &allowed)
}
