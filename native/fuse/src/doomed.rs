//! Whether a task that waits for an answer is about to die of a signal, so that the answer matters
//! to nobody but the one who waits for the task to go.
//!
//! The kernel tells of the first signal only (INTERRUPT), whatever it is, also of SIGSTOP and the
//! freezer; a later one that kills is never told. So those who wait are looked at instead.

use std::fs;

const SIGKILL: u64 = 1 << 8;
/// CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG and WINCH: without a handler they do not kill.
const HARMLESS: u64 = 1 << 16 | 1 << 17 | 0b1111 << 18 | 1 << 22 | 1 << 27;

/// Whether a signal that ends the task is pending. False when it is not known (0: a task that the
/// kernel does not name) or cannot be looked at.
pub(crate) fn is_doomed(tid: u32) -> bool {
    // Reading status, unlike cmdline or maps, takes no lock that a page fault of the task holds.
    tid != 0 && fs::read_to_string(format!("/proc/{tid}/status")).is_ok_and(|status| dies(&status))
}

// A signal whose default is to end all threads shows as SIGKILL in each at once; one that dumps
// core stays what it is. What a tracer sees first may still be taken back.
fn dies(status: &str) -> bool {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    let mask = |name| field(name).unwrap_or(0);
    let pending = mask("SigPnd:") | mask("ShdPnd:");
    let kept = mask("SigBlk:") | mask("SigIgn:") | mask("SigCgt:") | HARMLESS;
    let traced = field("TracerPid:") != Some(0);
    pending & SIGKILL != 0 || !traced && pending & !kept != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(pending: u64, shared: u64, caught: u64, tracer: u32) -> String {
        format!(
            "Name:\tx\nTracerPid:\t{tracer}\nSigPnd:\t{pending:016x}\nShdPnd:\t{shared:016x}\n\
             SigBlk:\t{:016x}\nSigIgn:\t{:016x}\nSigCgt:\t{caught:016x}\n",
            1 << 9,
            1 << 0
        )
    }

    #[test]
    fn only_signals_that_kill_doom() {
        let bit = |signal: u32| 1u64 << (signal - 1);
        assert!(!dies(&status(0, 0, 0, 0)));
        assert!(dies(&status(bit(9), bit(2), 0, 0)));
        assert!(dies(&status(0, bit(3), 0, 0)), "SIGQUIT");
        assert!(!dies(&status(0, bit(3), bit(3), 0)), "caught");
        assert!(!dies(&status(bit(10), bit(1), 0, 0)), "blocked, ignored");
        assert!(!dies(&status(0, bit(3), 0, 7)), "traced");
        assert!(dies(&status(bit(9), 0, 0, 7)), "traced and killed");
        for harmless in [17, 18, 19, 20, 21, 22, 23, 28] {
            assert!(!dies(&status(bit(harmless), bit(harmless), 0, 0)), "{harmless}");
        }
        assert!(!dies("Name:\tx\n"));
        assert!(!is_doomed(0) && !is_doomed(std::process::id()));
    }
}
