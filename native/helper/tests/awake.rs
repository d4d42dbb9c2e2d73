//! The awake role: spins when told, rests when told, ends with its input.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

// Grows while it spins (clock ticks, proc_pid_stat(5)) and while it looks for an idle CPU to spin
// on (voluntary switches, proc_pid_status(5)).
fn activity(pid: u32) -> u64 {
    let mut all = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let thread = thread.unwrap().path();
        let stat = fs::read_to_string(thread.join("stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        all += fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        let status = fs::read_to_string(thread.join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        all += line.unwrap().trim().parse::<u64>().unwrap();
    }
    all
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn it_spins_as_it_is_told_with_the_least_weight_and_ends_with_its_input() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_devdev-helper"))
        .args(["awake", "sessions-count"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"1").unwrap();
    let threads = || fs::read_dir(format!("/proc/{pid}/task")).unwrap().count();
    // Not what a quota leaves of them (available_parallelism).
    let usable = rustix::thread::sched_getaffinity(None).unwrap();
    let cpus = (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| usable.is_set(*cpu)).count();
    until("one thread for each CPU", || threads() == 1 + cpus);
    let before = activity(pid);
    until("it spins", || activity(pid) > before + 5);
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let session = stat.rsplit_once(") ").unwrap().1.split(' ').nth(3).unwrap().to_owned();
    assert_eq!(session, pid.to_string(), "a session of its own");
    if let Ok(group) = fs::read_to_string(format!("/proc/{pid}/autogroup")) {
        assert!(group.ends_with("nice 19\n"), "{group}");
    }
    input.write_all(b"0").unwrap();
    until("it rests", || {
        let before = activity(pid);
        sleep(Duration::from_millis(200));
        activity(pid) == before
    });
    input.write_all(b"1").unwrap();
    let before = activity(pid);
    until("it spins again", || activity(pid) > before + 5);
    drop(input);
    until("it ends", || child.try_wait().unwrap().is_some());
    assert!(child.wait().unwrap().success());
}
