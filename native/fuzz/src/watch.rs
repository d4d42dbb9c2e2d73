//! What one input costs: time, and by how much it makes the process grow at its most. An input is
//! small and so are the limits, so a decoder that needs more believes what it reads.

use std::fs;
use std::time::{Duration, Instant};

/// Far more than any input takes, also without optimisation on a busy machine.
const LONGEST: Duration = Duration::from_secs(10);
/// Limits are a few MiB, zstd's window and its tables are some more.
const MOST_KIB: u64 = 64 << 10;

pub(crate) struct Watch {
    started: Instant,
    resident: Option<u64>,
}

impl Watch {
    pub(crate) fn start() -> Watch {
        // The peak begins anew; where there is no such file, memory is not looked at.
        let resident = fs::write("/proc/self/clear_refs", "5").ok().and_then(|()| status("VmRSS:"));
        Watch { started: Instant::now(), resident }
    }

    /// Why it took too much.
    pub(crate) fn complaint(&self) -> Option<String> {
        let took = self.started.elapsed();
        if took > LONGEST {
            return Some(format!("took {} ms", took.as_millis()));
        }
        let grown = status("VmHWM:")?.saturating_sub(self.resident?);
        (grown > MOST_KIB).then(|| format!("took {} MiB of memory", grown >> 10))
    }
}

fn status(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_and_given_back_is_seen() {
        let watch = Watch::start();
        drop(std::hint::black_box(vec![1u8; 2 << MOST_KIB.ilog2() << 10]));
        let said = watch.complaint().unwrap_or_default();
        assert!(said.ends_with("MiB of memory"), "{said}");
    }
}
