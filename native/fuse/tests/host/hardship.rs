//! More than a mount has to bear on most days: crowds, clients that are killed, a server that is
//! frozen or stuck, root's umount -f. On either transport nobody hangs, and nothing is left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use devdev_fuse::Transport;
use devdev_vfs::Errno;

use crate::agent::Agent;
use crate::harness::{
    Host, can_mount, eventually, helper, is_mounted, run_limited, scratch_path, transport, uid,
    wait_limited,
};
use crate::parking::list_snapshots;
use crate::rings::agent_on_one_cpu;
use crate::serving::Server;

const SETATTR: u32 = 4;
const PROMISED: Duration = Duration::from_secs(10);
/// What one CPU may have waiting over io_uring (S33).
const BOUND: usize = 1024;

// Processes that work in the mount until something fails there.
fn busy(host: &Host, count: usize) -> Vec<Child> {
    let script = "cd \"$M\" || exit 7; while echo x > f$0 && cat f$0 && rm f$0; do :; done; exit 7";
    let one = |n: usize| {
        let mut command = Command::new("sh");
        command.args(["-c", script, &n.to_string()]).env("M", host.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    (0..count).map(one).collect()
}

fn unlinks(host: &Host, more_than: u64) -> bool {
    eventually(Duration::from_secs(60), || host.count("unlink") > more_than)
}

#[test]
fn a_thousand_clients_at_once() {
    let Some(host) = Host::new() else { return };
    let inodes = host.vfs.usage().inodes;
    let script = "mkdir d; for n in $(seq 1000); do
        { echo $n > d/$n && mv d/$n d/x$n && cat d/x$n && rm d/x$n; } & done | sort -n | md5sum
        wait; rmdir d";
    let expected = run_limited({
        let mut command = Command::new("sh");
        command.args(["-c", "seq 1000 | md5sum"]);
        command
    });
    assert_eq!(host.sh(script), expected.1);
    let gone = eventually(PROMISED, || host.vfs.usage().inodes == inodes);
    assert!(gone, "{} inodes of {inodes}", host.vfs.usage().inodes);
    host.unmount_unused();
}

#[test]
fn killed_clients_leave_nothing() {
    let Some(host) = Host::new() else { return };
    let inodes = host.vfs.usage().inodes;
    for round in 1..=5 {
        let seen = host.count("unlink");
        let mut clients = busy(&host, 12);
        assert!(unlinks(&host, seen + 20 * round), "nobody works");
        for client in &mut clients {
            client.kill().unwrap();
        }
        for client in &mut clients {
            assert!(!wait_limited(client));
        }
        host.sh("rm -f f*");
    }
    let gone = eventually(PROMISED, || host.vfs.usage().inodes == inodes);
    assert!(gone, "{} inodes of {inodes}", host.vfs.usage().inodes);
    host.unmount_unused();
}

// S33.
#[test]
fn two_thousand_requests_of_one_cpu_wait() {
    const MANY: usize = 2000;
    let Some(host) = Host::with(|options| options.helper = Some(helper())) else { return };
    let loader = list_snapshots(&host, MANY);
    let over_rings = host.session.transport() == Transport::IoUring;
    let waiting = if over_rings { BOUND } else { MANY };
    let mut crowd = agent_on_one_cpu(&host);
    let mut other = agent_on_one_cpu(&host);
    for round in 0..4 {
        crowd.tell(&format!("flood .devdev/snapshots/s {MANY}"));
        let refused = MANY - waiting;
        let told = || {
            let log = host.log.lock().unwrap();
            log.iter().filter(|line| line.contains("too many requests wait")).count()
        };
        let full = eventually(Duration::from_secs(40), || {
            host.session.parked_now() == waiting && told() == refused * (round + 1)
        });
        let counts = (host.session.parked_now(), told(), loader.0.lock().unwrap().len());
        assert!(full, "round {round}: waiting, refused, asked for: {counts:?}");
        let start = Instant::now();
        assert_eq!(other.ask(&format!("mkdir d{round}")), "ok");
        assert!(start.elapsed() < PROMISED);
        for key in loader.0.lock().unwrap().drain(..) {
            host.vfs.fail_need(&key, Errno::Io);
        }
        let busy = if over_rings { format!(",E16x{refused}") } else { String::new() };
        assert_eq!(crowd.answer(), format!("E5x{waiting}{busy}"), "round {round}");
        assert!(eventually(PROMISED, || host.session.parked_now() == 0));
    }
    assert!(!host.logged("malformed"), "the memory of a request was given away");
    drop((crowd, other));
    host.unmount_unused();
}

#[test]
fn umount_by_force_of_root_ends_what_goes_on() {
    let Some(host) = Host::new() else { return };
    if uid() != 0 {
        eprintln!("SKIPPED: umount -f is root's");
        return;
    }
    let mut clients = busy(&host, 4);
    assert!(unlinks(&host, 100), "nobody works");
    let start = Instant::now();
    let mut umount = Command::new("umount");
    // It ends the connection, but cannot take away a mount that is in use: that does the session.
    run_limited({
        umount.arg("-f").arg(host.path());
        umount
    });
    for client in &mut clients {
        assert!(!wait_limited(client));
    }
    assert!(eventually(PROMISED, || !host.session.is_alive()), "the session goes on");
    assert!(start.elapsed() < PROMISED);
    assert!(eventually(PROMISED, || !is_mounted(host.path())), "still mounted");
    assert!(eventually(PROMISED, || !host.path().exists()), "the directory stays");
    host.session.unmount(false).unwrap();
}

#[test]
fn a_stuck_worker_does_not_hold_up_an_unmount_by_force() {
    let (let_go, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let hook = std::sync::Arc::new(move |opcode, _| {
        if opcode == SETATTR {
            // An error is the end of the test.
            let _ = held.lock().unwrap().recv_timeout(Duration::from_secs(60));
        }
    });
    let Some(host) = Host::with(|options| options.hook = Some(hook)) else { return };
    let mut client = Command::new("sh");
    let mut client = client.args(["-c", "chmod 700 \"$0\""]).arg(host.path()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(client.try_wait().unwrap().is_none(), "nothing blocks");
    let start = Instant::now();
    let done = host.session.unmount(true);
    if uid() == 0 {
        done.unwrap();
    }
    assert!(start.elapsed() < PROMISED);
    assert!(!is_mounted(host.path()));
    drop(let_go);
    // With what does not matter: where nobody can end the connection, its answer comes late.
    wait_limited(&mut client);
}

/// A group of processes that can be frozen; thawed and removed when dropped.
struct Freezer {
    directory: PathBuf,
    switch: &'static str,
    states: [&'static str; 2],
}

impl Freezer {
    fn new(name: &str) -> Option<Freezer> {
        let kinds = [
            ("/sys/fs/cgroup", "cgroup.freeze", ["0", "1"]),
            ("/sys/fs/cgroup/unified", "cgroup.freeze", ["0", "1"]),
            ("/sys/fs/cgroup/freezer", "freezer.state", ["THAWED", "FROZEN"]),
        ];
        let found = kinds.into_iter().find_map(|(parent, switch, states)| {
            let directory = Path::new(parent).join(format!("devdev-{}-{name}", std::process::id()));
            fs::create_dir(&directory).ok()?;
            let freezer = Freezer { directory, switch, states };
            (freezer.directory.join(switch).exists() && freezer.takes()).then_some(freezer)
        });
        if found.is_none() {
            eprintln!("SKIPPED: no control group that can be frozen");
        }
        found
    }

    // Not every container may move its processes.
    fn takes(&self) -> bool {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let moved = fs::write(self.directory.join("cgroup.procs"), child.id().to_string());
        child.kill().unwrap();
        child.wait().unwrap();
        moved.is_ok()
    }

    fn hold(&self, pid: u32) {
        fs::write(self.directory.join("cgroup.procs"), pid.to_string()).unwrap();
    }

    fn freeze(&self, is_so: bool) {
        fs::write(self.directory.join(self.switch), self.states[usize::from(is_so)]).unwrap();
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        let _ = fs::write(self.directory.join(self.switch), self.states[0]);
        // Processes that are on their way out keep it for a moment.
        eventually(PROMISED, || {
            let procs = fs::read_to_string(self.directory.join("cgroup.procs"));
            for pid in procs.unwrap_or_default().lines() {
                let _ = fs::write(self.directory.parent().unwrap().join("cgroup.procs"), pid);
            }
            fs::remove_dir(&self.directory).is_ok()
        });
    }
}

fn children_of(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let files = tasks.map(|task| task.unwrap().path().join("children"));
    let lists: Vec<String> = files.filter_map(|file| fs::read_to_string(file).ok()).collect();
    lists.iter().flat_map(|list| list.split_whitespace()).map(|pid| pid.parse().unwrap()).collect()
}

// As a container is, when it is paused.
#[test]
fn a_server_that_is_frozen_with_its_watchdog_goes_on_afterwards() {
    if !can_mount() || uid() != 0 {
        return;
    }
    let Some(freezer) = Freezer::new("both") else { return };
    let path = scratch_path();
    let mut server = Server::start(&path, "plain", None);
    freezer.hold(server.0.id());
    children_of(server.0.id()).into_iter().for_each(|pid| freezer.hold(pid));
    let mut agent = Agent::start();
    freezer.freeze(true);
    agent.tell(&format!("list {}", path.display()));
    assert!(agent.is_waiting(Duration::from_secs(11)));
    freezer.freeze(false);
    assert_eq!(agent.answer(), "");
    assert!(is_mounted(&path));
    assert_eq!(server.ask("transport"), format!("{:?}", transport()));
}

#[test]
fn a_server_that_is_frozen_alone_loses_its_mount() {
    if !can_mount() || uid() != 0 {
        return;
    }
    let Some(freezer) = Freezer::new("alone") else { return };
    let path = scratch_path();
    let mut server = Server::start(&path, "plain", None);
    freezer.hold(server.0.id());
    let mut agent = Agent::start();
    freezer.freeze(true);
    agent.tell(&format!("list {}", path.display()));
    let gone = eventually(Duration::from_secs(20), || !is_mounted(&path));
    let early = agent.answer_within(PROMISED);
    freezer.freeze(false);
    assert!(gone, "still mounted");
    // The kernel ends a request that is on its way to a ring only when the ring's thread runs
    // again, or is killed.
    assert!(early.is_some() || transport() == Transport::IoUring, "the client hangs");
    let answer = early.unwrap_or_else(|| agent.answer());
    assert!(answer.starts_with('E'), "{answer}");
    // It goes on without it.
    assert_eq!(server.ask("transport"), format!("{:?}", transport()));
}
