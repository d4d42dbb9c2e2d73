//! A process that keeps idle CPUs busy, for daemons that may not ask the kernel.
//!
//! Its threads run below everything else (SCHED_IDLE), so wakers take their CPU for an idle one and
//! leave clients where they are. SCHED_IDLE counts within one scheduler group only: so it is a
//! process with a session, and with it a group, of its own, which it gives the least weight
//! (`devdev-helper awake`; sched(7), The autogroup feature).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use super::{Means, groups};

/// The longest slice that the scheduler grants (sched(7), sched_setattr(2)): who wakes in another
/// group then goes first.
const SLICE: Duration = Duration::from_millis(100);
/// What the process is told.
const SPIN: u8 = b'1';
const REST: u8 = b'0';
/// What it is called with where the scheduler weighs sessions, not control groups.
const SESSIONS_COUNT: &str = "sessions-count";

pub(super) struct Spinner {
    command: Vec<PathBuf>,
    /// It cannot be had here.
    failed: bool,
    process: Option<(Child, ChildStdin)>,
}

impl Spinner {
    pub fn new(helper: &Path) -> Spinner {
        let mut command = vec![helper.to_owned(), "awake".into()];
        command.extend(groups::is_outermost().then(|| SESSIONS_COUNT.into()));
        Spinner::of(command)
    }

    fn of(command: Vec<PathBuf>) -> Spinner {
        Spinner { command, failed: false, process: None }
    }

    fn start(&self) -> Option<(Child, ChildStdin)> {
        let mut child = Command::new(&self.command[0])
            .args(&self.command[1..])
            .current_dir("/")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        // Before its first order it has no other threads, which would run as they were born.
        let input = child.stdin.take();
        if let (Some(input), true) = (input, run_when_idle(child.id())) {
            return Some((child, input));
        }
        end(child);
        None
    }

    fn tell(&mut self, order: u8) {
        let told =
            self.process.as_mut().is_some_and(|(_, input)| input.write_all(&[order]).is_ok());
        if !told {
            self.failed = true;
            self.release();
        }
    }
}

impl Means for Spinner {
    fn begin(&mut self) {
        if self.failed {
            return;
        }
        if self.process.is_none() {
            self.process = self.start();
        }
        self.tell(SPIN);
    }

    fn end(&mut self) {
        if self.process.is_some() {
            self.tell(REST);
        }
    }

    fn release(&mut self) {
        if let Some((child, input)) = self.process.take() {
            drop(input);
            end(child);
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.release();
    }
}

// It holds nothing that it would have to give back.
fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn run_when_idle(pid: u32) -> bool {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_IDLE as u32,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: SLICE.as_nanos() as u64,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel reads `size` bytes of `attributes`, which lives until the call returns.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, pid, &raw const attributes, 0) };
    result == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_runs_below_all_others_and_ends_when_nothing_comes() {
        // It takes any order, and ends as the helper does.
        let mut spinner = Spinner::of(vec!["/bin/cat".into()]);
        for _ in 0..2 {
            spinner.begin();
            let pid = spinner.process.as_ref().unwrap().0.id();
            // SAFETY: it takes and returns numbers.
            let policy = unsafe { libc::sched_getscheduler(pid.cast_signed()) };
            assert_eq!(policy, libc::SCHED_IDLE);
            spinner.end();
            assert_eq!(spinner.process.as_ref().unwrap().0.id(), pid, "kept for a while");
            spinner.release();
            assert!(!Path::new(&format!("/proc/{pid}")).exists());
        }
    }

    #[test]
    fn what_does_not_live_is_not_tried_again() {
        let mut spinner = Spinner::of(vec!["/bin/true".into()]);
        spinner.begin();
        while !spinner.failed {
            std::thread::sleep(Duration::from_millis(1));
            spinner.tell(REST);
        }
        spinner.begin();
        assert!(spinner.process.is_none());
        assert!(Spinner::new(Path::new("/nowhere")).start().is_none());
    }
}
