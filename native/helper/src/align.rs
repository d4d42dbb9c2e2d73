//! The align role: `devdev-helper align` has the kernel ask for the length and the times of files
//! in use, by setting what they are already: a kernel that keeps writes back takes them from no one
//! else. Reads for each file its length and mtime, a NUL, its path, a NUL. The daemon, which
//! answers, must not ask itself.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::process::ExitCode;

use rustix::fs::{OFlags, Timespec, Timestamps, UTIME_OMIT, futimens};

use crate::HELPER_FAILED;

pub fn run() -> ExitCode {
    let mut orders = Vec::new();
    if std::io::stdin().read_to_end(&mut orders).is_err() {
        return ExitCode::from(HELPER_FAILED);
    }
    let fields: Vec<&[u8]> = orders.split(|byte| *byte == 0).collect();
    // All are tried, whatever becomes of one.
    let failed = fields.chunks_exact(2).filter(|order| align(order[0], order[1]).is_none()).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn align(numbers: &[u8], path: &[u8]) -> Option<()> {
    let mut numbers = std::str::from_utf8(numbers).ok()?.split(' ');
    let len = numbers.next()?.parse().ok()?;
    let (tv_sec, tv_nsec) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let file = OpenOptions::new().write(true).custom_flags(flags).open(OsStr::from_bytes(path));
    let file = file.ok()?;
    file.set_len(len).ok()?;
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec, tv_nsec },
    };
    futimens(&file, &times).ok()
}
