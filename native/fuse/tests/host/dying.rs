//! A server that is killed: its mount is gone within ten seconds, and nobody waits for ever.

use std::ffi::OsStr;
use std::process::Command;
use std::time::{Duration, Instant};

use devdev_fuse::{HostMountError, Session, clear_dead_mount};

use crate::agent::Agent;
use crate::harness::{
    can_mount, eventually, is_mounted, new_vfs, options_for, run_limited, scratch_path,
};
use crate::serving::Server;

const PROMISED: Duration = Duration::from_secs(10);

#[test]
fn a_killed_server_leaves_nothing_behind() {
    if !can_mount() {
        return;
    }
    let path = scratch_path();
    let mut server = Server::start(&path, "plain", None);
    assert!(is_mounted(&path));
    let mut agent = Agent::start();
    assert_eq!(agent.ask(&format!("chdir {}", path.display())), "ok");
    server.kill();
    assert!(eventually(PROMISED, || !is_mounted(&path)), "still mounted");
    // Made for the mount, so it goes with it.
    assert!(eventually(PROMISED, || !path.exists()), "the directory stays");
    assert!(agent.ask("list .").starts_with('E'));
}

#[test]
fn a_killed_server_that_waits_on_its_own_mount_leaves_nothing_behind() {
    if !can_mount() {
        return;
    }
    let path = scratch_path();
    let mut server = Server::start(&path, "stuck", None);
    // A client that waits for the same answer.
    let mut waiting =
        Command::new("sh").args(["-c", "cd \"$0\" && chmod 700 ."]).arg(&path).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert!(waiting.try_wait().unwrap().is_none(), "nothing blocks");
    server.kill();
    let start = Instant::now();
    assert!(eventually(PROMISED, || !is_mounted(&path)), "still mounted");
    assert!(
        eventually(PROMISED.saturating_sub(start.elapsed()), || waiting
            .try_wait()
            .unwrap()
            .is_some()),
        "a client still waits"
    );
    assert!(!waiting.wait().unwrap().success());
    // The process itself can end now.
    assert!(eventually(PROMISED, || server.0.try_wait().unwrap().is_some()), "still there");
}

#[test]
fn a_stopped_server_keeps_its_mount() {
    if !can_mount() {
        return;
    }
    let path = scratch_path();
    let server = Server::start(&path, "plain", None);
    let signal = |name: &str| {
        let pid = server.0.id().to_string();
        let mut kill = Command::new("kill");
        kill.args([OsStr::new(name), OsStr::new(&pid)]);
        assert!(run_limited(kill).0);
    };
    signal("-STOP");
    std::thread::sleep(Duration::from_secs(11));
    signal("-CONT");
    assert!(is_mounted(&path));
    let mut agent = Agent::start();
    assert_eq!(agent.ask(&format!("list {}", path.display())), "");
}

#[test]
fn a_dead_mount_is_cleared_by_the_next() {
    if !can_mount() {
        return;
    }
    let path = scratch_path();
    std::fs::create_dir(&path).unwrap();
    let kill = |mut server: Server| {
        server.kill();
        server.0.wait().unwrap();
        assert!(is_mounted(&path), "nobody watched, so it stays");
    };
    // The kernel takes rings apart a moment later: until then the mount is not known to be dead.
    kill(Server::start(&path, "unwatched", None));
    let mut mounted = None;
    let mount = || Session::mount(new_vfs(), options_for(&path));
    assert!(eventually(PROMISED, || {
        mounted = mount().ok();
        mounted.is_some()
    }));
    let session = mounted.unwrap();
    assert!(!clear_dead_mount(&path).unwrap());
    let again = mount().err().unwrap();
    assert!(matches!(again, HostMountError::AlreadyMounted(_)), "{again}");
    session.unmount(false).unwrap();
    kill(Server::start(&path, "unwatched", None));
    assert!(eventually(PROMISED, || clear_dead_mount(&path).unwrap()));
    assert!(!is_mounted(&path));
    std::fs::remove_dir(&path).unwrap();
}
