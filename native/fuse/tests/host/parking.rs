//! Requests that wait for the store: they hold up nobody else, and none waits for ever.

use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use devdev_vfs::{Errno, Loader, NeedKey, SnapshotEntry, Timespec, Waker};

use crate::agent::Agent;
use crate::harness::{Host, SOON, eventually};

/// Notes what is asked for, and brings nothing.
#[derive(Default)]
pub struct Slow(pub Mutex<Vec<NeedKey>>);

impl Loader for Slow {
    fn load(&self, keys: &[NeedKey]) {
        self.0.lock().unwrap().extend_from_slice(keys);
    }
}

impl Slow {
    /// Waits until so many have been asked for.
    pub fn is_asked_for(&self, count: usize) {
        let asked = || self.0.lock().unwrap().len();
        assert!(eventually(SOON, || asked() >= count), "{} of {count} are asked for", asked());
    }
}

pub fn list_snapshots(host: &Host, count: usize) -> Arc<Slow> {
    let loader = Arc::new(Slow::default());
    host.vfs.set_loader(Some(loader.clone()));
    let entries = (0..count).map(|n| {
        let name = format!("s{n}").into_bytes().into_boxed_slice();
        SnapshotEntry { name, taken: Timespec { secs: n as i64, nanos: 0 }, tree: None }
    });
    host.vfs.set_snapshots(entries.collect());
    loader
}

#[test]
fn more_waiting_requests_than_readers_hold_up_nobody() {
    const WAITING: usize = 8;
    let Some(host) = Host::new() else { return };
    host.sh("mkdir d && echo old > d/f");
    let snapshot = host.vfs.freeze();
    host.sh("echo new > d/f");
    let loader = list_snapshots(&host, WAITING);
    let mut agents: Vec<Agent> = (0..WAITING).map(|_| Agent::inside(&host)).collect();
    for (n, agent) in agents.iter_mut().enumerate() {
        agent.tell(&format!("read .devdev/snapshots/s{n}/d/f"));
    }
    loader.is_asked_for(WAITING);
    assert!(agents[0].is_waiting(Duration::from_millis(300)));
    // The others are served at once.
    let start = Instant::now();
    assert_eq!(host.sh("cat d/f; mkdir e; echo x > e/x; ls e; rm -r e"), "new\nx\n");
    assert!(start.elapsed() < Duration::from_secs(10));
    // The engine keeps few trees that nobody holds yet, so some are asked for once more.
    let answered = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !answered.load(Ordering::Relaxed) {
                for key in std::mem::take(&mut *loader.0.lock().unwrap()) {
                    let NeedKey::Snapshot(name) = key else { panic!("{key:?}") };
                    host.vfs.supply_snapshot(&name, snapshot.clone());
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let answers: Vec<String> = agents.iter().map(Agent::answer).collect();
        answered.store(true, Ordering::Relaxed);
        assert_eq!(answers, ["old"; WAITING]);
    });
    // A snapshot's inodes have numbers of their own, else cp takes them for the live ones.
    host.vfs.supply_snapshot(b"s7", snapshot.clone());
    let inos = host.sh("stat -c %i .devdev/snapshots/s7/d/f d/f");
    let inos: Vec<&str> = inos.lines().collect();
    assert_ne!(inos[0], inos[1]);
    host.vfs.supply_snapshot(b"s7", snapshot);
    assert_eq!(host.sh("cp .devdev/snapshots/s7/d/f d/f && cat d/f"), "old\n");
}

#[test]
fn what_never_comes_fails_in_time() {
    let timeout = Duration::from_millis(700);
    let Some(host) = Host::with(|options| options.park_timeout = timeout) else { return };
    list_snapshots(&host, 2);
    let mut agents = [Agent::inside(&host), Agent::inside(&host)];
    let start = Instant::now();
    agents[0].tell("list .devdev/snapshots/s0");
    agents[1].tell("list .devdev/snapshots/s1");
    assert_eq!((agents[0].answer(), agents[1].answer()), ("E5".to_owned(), "E5".to_owned()));
    assert!(start.elapsed() >= timeout && start.elapsed() < Duration::from_secs(10));
    assert!(host.logged("waited too long"));
    assert_eq!(agents[0].ask("list ."), "");
}

#[test]
fn a_failed_need_fails_its_request() {
    let Some(host) = Host::new() else { return };
    let loader = list_snapshots(&host, 1);
    let mut agent = Agent::inside(&host);
    agent.tell("list .devdev/snapshots/s0");
    loader.is_asked_for(1);
    assert!(agent.is_waiting(Duration::from_millis(200)));
    for key in loader.0.lock().unwrap().iter() {
        host.vfs.fail_need(key, Errno::Io);
    }
    assert_eq!(agent.answer(), "E5");
}

#[test]
fn unmounting_fails_what_still_waits() {
    let Some(host) = Host::new() else { return };
    let loader = list_snapshots(&host, 1);
    let mut agent = Agent::start();
    let path = host.path().display().to_string();
    agent.tell(&format!("list {path}/.devdev/snapshots/s0"));
    loader.is_asked_for(1);
    assert!(agent.is_waiting(Duration::from_millis(200)));
    let start = Instant::now();
    host.session.unmount(true).unwrap();
    assert!(agent.answer().starts_with('E'));
    assert!(start.elapsed() < Duration::from_secs(10));
}

// Starts a shell that asks for a snapshot which does not come, and waits until it does.
fn shell_that_waits(host: &Host, loader: &Slow, script: &str) -> std::process::Child {
    let mut command = std::process::Command::new("sh");
    command.arg("-c").arg(script).env("S", host.path().join(".devdev/snapshots/s0"));
    let child = command.spawn().unwrap();
    loader.is_asked_for(1);
    child
}

fn kill(child: &std::process::Child, signal: i32) {
    // SAFETY: kill touches no memory; the child has not been waited for, so the id is its own.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
}

fn ended_within(child: &mut std::process::Child, limit: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

// S33.
#[test]
fn who_is_killed_while_waiting_goes_at_once() {
    for signal in [libc::SIGINT, libc::SIGKILL, libc::SIGQUIT] {
        let Some(host) = Host::new() else { return };
        let loader = list_snapshots(&host, 1);
        let mut child = shell_that_waits(&host, &loader, "ulimit -c 0; ls \"$S\"; exit 3");
        // The shell waits for ls: a terminal would send the signal to both.
        let ls = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id()));
        let ls: i32 = ls.unwrap().trim().parse().unwrap();
        // SAFETY: kill touches no memory; ls cannot end while its request waits.
        assert_eq!(unsafe { libc::kill(ls, signal) }, 0);
        let status = ended_within(&mut child, Duration::from_secs(10));
        assert!(status.is_some(), "signal {signal}");
    }
}

// S33.
#[test]
fn signals_that_kill_nobody_leave_a_waiting_request_alone() {
    let Some(host) = Host::new() else { return };
    let tree = host.vfs.freeze();
    let loader = list_snapshots(&host, 1);
    let script = "trap : USR1; test -d \"$S\"/. && exit 7";
    let mut child = shell_that_waits(&host, &loader, script);
    for signal in [libc::SIGUSR1, libc::SIGSTOP, libc::SIGCONT, libc::SIGWINCH] {
        kill(&child, signal);
    }
    assert!(ended_within(&mut child, Duration::from_secs(1)).is_none());
    host.vfs.supply_snapshot(b"s0", tree);
    let status = ended_within(&mut child, Duration::from_secs(20)).unwrap();
    assert_eq!(status.code(), Some(7));
}

/// Wakers of those in fsync.
type Waiting = Arc<Mutex<Vec<Waker>>>;

fn syncing(timeout: Duration) -> Option<(Host, Waiting)> {
    let waiting = Waiting::default();
    let host = Host::with(|options| {
        let waiting = waiting.clone();
        options.sync = Some(Arc::new(move |waker| waiting.lock().unwrap().push(waker)));
        options.sync_timeout = timeout;
    })?;
    Some((host, waiting))
}

#[test]
fn fsync_waits_until_it_is_told_and_holds_up_nobody() {
    const WAITING: usize = 6;
    let Some((host, waiting)) = syncing(Duration::from_secs(60)) else { return };
    host.sh("mkdir d && for i in 0 1 2 3 4 5; do echo $i > f$i; done");
    let mut agents: Vec<Agent> = (0..WAITING).map(|_| Agent::inside(&host)).collect();
    // The kernel itself lets one at a time sync a file, and nobody write it meanwhile.
    for (n, agent) in agents.iter_mut().enumerate().skip(1) {
        assert_eq!(agent.ask(&format!("open a f{n}")), "ok");
        agent.tell("fsync a");
    }
    agents[0].tell("fsyncdir d");
    let asked = || waiting.lock().unwrap().len();
    assert!(eventually(SOON, || asked() == WAITING), "{} of {WAITING}", asked());
    for agent in &agents {
        assert!(agent.is_waiting(Duration::from_millis(50)));
    }
    assert_eq!(host.sh("cat f1; echo y > g; cat g; rm g"), "1\ny\n");
    let wakers = std::mem::take(&mut *waiting.lock().unwrap());
    assert_eq!(wakers.len(), WAITING);
    let outcomes = [Ok(()), Ok(()), Ok(()), Err(Errno::Io), Ok(()), Ok(())];
    wakers.into_iter().zip(outcomes).for_each(|(waker, outcome)| waker(outcome));
    let mut answers: Vec<String> = agents.iter().map(Agent::answer).collect();
    answers.sort();
    assert_eq!(answers, ["E5", "ok", "ok", "ok", "ok", "ok"]);
    // What is never stored has nothing to wait for.
    host.sh("echo t > .devdev/tmp/t && sync .devdev/tmp/t");
    assert!(waiting.lock().unwrap().is_empty());
}

#[test]
fn fsync_without_an_answer_fails_in_time() {
    let timeout = Duration::from_millis(700);
    let Some((host, waiting)) = syncing(timeout) else { return };
    host.sh("echo x > f");
    let mut agent = Agent::inside(&host);
    assert_eq!(agent.ask("open a f"), "ok");
    let start = Instant::now();
    assert_eq!(agent.ask("fsync a"), "E5");
    assert!(start.elapsed() >= timeout);
    // An answer that comes too late does no harm.
    waiting.lock().unwrap().drain(..).for_each(|waker| waker(Ok(())));
    assert_eq!(agent.ask("read f"), "x");
}
