//! The flush barrier, with WRITE replies that are late: without the delay tests of this pass by
//! luck.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::agent::Agent;
use crate::harness::{Host, SOON, eventually, uid};

const WRITE: u32 = 16;
const DELAY: Duration = Duration::from_millis(300);
const DEADLINE: Duration = Duration::from_secs(20);

// A host whose WRITEs are late once `slow` is set.
fn slow_host() -> Option<(Host, Arc<AtomicBool>)> {
    slow_host_with(|_| std::thread::sleep(DELAY))
}

fn slow_host_with(
    delay: impl Fn(&AtomicBool) + Send + Sync + 'static,
) -> Option<(Host, Arc<AtomicBool>)> {
    let slow = Arc::new(AtomicBool::new(false));
    let switch = slow.clone();
    let host = Host::with(|options| {
        options.hook = Some(Arc::new(move |opcode, _| {
            if opcode == WRITE && switch.load(Ordering::Relaxed) {
                delay(&switch);
            }
        }));
    })?;
    host.write("/f", &"-".repeat(20_000));
    Some((host, slow))
}

fn mapped(agent: &mut Agent) {
    assert_eq!(agent.ask("open 1 f"), "ok");
    assert_eq!(agent.ask("map 1 20000"), "ok");
    assert_eq!(agent.ask("close 1"), "ok");
}

// With writeback every read of the API brings in what it reads (S50): see `writeback`.
fn reads_flush() -> bool {
    crate::harness::writeback()
}

#[test]
fn stores_to_mappings_are_in_the_engine_after_a_flush() {
    if reads_flush() {
        return;
    }
    let Some((host, slow)) = slow_host() else { return };
    let mut agent = Agent::inside(&host);
    mapped(&mut agent);
    slow.store(true, Ordering::Relaxed);
    for (round, text) in ["once", "twice", "thrice"].iter().enumerate() {
        let offset = round * 6000;
        assert_eq!(agent.ask(&format!("store {offset} {text}")), "ok");
        assert!(host.read("/f")[offset..].starts_with("-"));
        let report = host.session.flush(DEADLINE);
        assert!(host.read("/f")[offset..].starts_with(text));
        assert!(report.complete && report.inodes == 1, "{report:?}");
        assert!(report.elapsed >= DELAY && report.processes > 1, "{report:?}");
        assert_eq!(agent.ask(&format!("load {offset} {}", text.len())), **text);
    }
    slow.store(false, Ordering::Relaxed);
    assert_eq!(agent.ask("unmap"), "ok");
    // Unless some process that hides its mappings had page faults just now.
    let report = host.session.flush(DEADLINE);
    assert!(report.complete && (report.inodes == 0 || report.hidden > 0), "{report:?}");
}

#[test]
fn a_mapping_made_read_only_is_flushed_too() {
    let Some((host, _)) = slow_host() else { return };
    let mut agent = Agent::inside(&host);
    mapped(&mut agent);
    agent.ask("store 100 protected");
    assert_eq!(agent.ask("protect"), "ok");
    assert!(host.session.flush(DEADLINE).complete);
    assert!(host.read("/f")[100..].starts_with("protected"));
}

#[test]
fn a_process_without_its_first_thread_is_looked_into() {
    if reads_flush() {
        return;
    }
    let Some((host, _)) = slow_host() else { return };
    let mut agent = Agent::inside(&host);
    mapped(&mut agent);
    let pid = agent.ask("fork-headless 7 orphaned");
    let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    assert!(eventually(SOON, || state().contains(") Z ")), "{}", state());
    assert!(host.read("/f")[7..].starts_with("-"));
    let report = host.session.flush(DEADLINE);
    assert!(report.complete && report.inodes == 1, "{report:?}");
    assert!(host.read("/f")[7..].starts_with("orphaned"));
    let pid = pid.parse().unwrap();
    // SAFETY: kills the process that the agent has just forked.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

// Root sees the mappings of every process, so this needs another user: see `users.rs` for the
// one where they are hidden.
#[test]
fn what_root_cannot_be_hidden_from_is_found_directly() {
    if uid() != 0 {
        eprintln!("SKIPPED: not root");
        return;
    }
    let Some((host, _)) = slow_host() else { return };
    let mut agent = Agent::inside(&host);
    mapped(&mut agent);
    assert_eq!(agent.ask("hide"), "ok");
    agent.ask("store 7 hidden");
    let report = host.session.flush(DEADLINE);
    assert!(report.complete && report.inodes == 1, "{report:?}");
    assert!(host.read("/f")[7..].starts_with("hidden"));
}

// S150
#[test]
fn holes_are_looked_for_in_what_mappings_hold() {
    let Some(host) = Host::new() else { return };
    let mut agent = Agent::inside(&host);
    agent.ask("create f");
    agent.ask("open 1 f");
    agent.ask("pwrite 1 999999 x");
    agent.ask("map 1 1000000");
    // Pages, or more that the kernel handles as one; the last one holds what was written.
    for (offset, page) in [(500_000, 499_712), (100, 0), (900_000, 897_024)] {
        assert_eq!(agent.ask(&format!("store {offset} stored")), "ok");
        assert_eq!(agent.ask(&format!("seek 1 {page} data")), page.to_string());
        let hole: usize = agent.ask(&format!("seek 1 {page} hole")).parse().unwrap();
        assert!((page + 4096..1_000_000).contains(&hole), "{hole}");
        assert_eq!(agent.ask(&format!("load {offset} 6")), "stored");
    }
    let between: usize = agent.ask("seek 1 300000 data").parse().unwrap();
    assert!((300_001..=499_712).contains(&between), "{between}");
    assert_eq!(agent.ask("seek 1 1000000 data"), format!("E{}", libc::ENXIO));
    // Nothing holds data that a file without holes has not: nothing is brought in for it.
    let writes = host.settled("write");
    agent.ask("store 999000 end");
    assert_eq!(agent.ask("seek 1 999700 data"), "999700");
    assert!(reads_flush() || host.settled("write") == writes);
}

#[test]
fn a_flush_keeps_its_deadline() {
    // Far longer than a busy machine takes for what is not done in time.
    let limit = Duration::from_secs(15);
    let held = move |slow: &AtomicBool| {
        eventually(limit, || !slow.load(Ordering::Relaxed));
    };
    let Some((host, slow)) = slow_host_with(held) else { return };
    let mut agent = Agent::inside(&host);
    mapped(&mut agent);
    slow.store(true, Ordering::Relaxed);
    agent.ask("store 0 late");
    let report = host.session.flush(Duration::from_millis(50));
    slow.store(false, Ordering::Relaxed);
    assert!(!report.complete && report.elapsed < limit, "{report:?}");
}
