//! Users that are not root: mounted through fusermount3, modes checked by the kernel, others kept
//! out.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::agent::Agent;
use crate::harness::{Host, SOON, can_mount, eventually, is_mounted, scratch_path, uid, writeback};
use crate::serving::Server;

const NOBODY: u32 = 65534;

/// The device as udev leaves it, open to everybody, for as long as this lives. One test at a time:
/// neither the device's mode nor the processes of nobody are one test's own.
struct OpenDevice {
    before: Option<fs::Permissions>,
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

impl OpenDevice {
    fn new() -> OpenDevice {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let before = fs::metadata("/dev/fuse").unwrap().permissions();
        if before.mode() & 0o006 == 0o006 {
            return OpenDevice { before: None, _alone };
        }
        fs::set_permissions("/dev/fuse", fs::Permissions::from_mode(0o666)).unwrap();
        OpenDevice { before: Some(before), _alone }
    }
}

impl Drop for OpenDevice {
    fn drop(&mut self) {
        if let Some(before) = self.before.take() {
            fs::set_permissions("/dev/fuse", before).unwrap();
        }
    }
}

fn root_and_fusermount() -> bool {
    let able = can_mount() && uid() == 0 && Path::new("/usr/bin/fusermount3").exists();
    if !able {
        eprintln!("SKIPPED: needs root and fusermount3");
    }
    able
}

fn as_nobody() -> Agent {
    Agent::start_with(|command| {
        command.uid(NOBODY).gid(NOBODY);
    })
}

fn scratch_of_nobody() -> PathBuf {
    let path = scratch_path();
    fs::create_dir(&path).unwrap();
    chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
    path
}

#[test]
fn a_user_mounts_through_fusermount() {
    if !root_and_fusermount() {
        return;
    }
    let _device = OpenDevice::new();
    let dir = scratch_of_nobody();
    let path = dir.join("ws");
    let mut server = Server::start(&path, "plain", Some(NOBODY));
    assert!(is_mounted(&path));
    let mut agent = as_nobody();
    assert_eq!(agent.ask(&format!("chdir {}", path.display())), "ok");
    assert_eq!(agent.ask("create f"), "ok");
    assert_eq!(agent.ask("list ."), "f");
    agent.ask("open 1 f");
    assert_eq!(agent.ask("pwrite 1 0 text"), "ok");
    assert_eq!(agent.ask("read f"), "text");
    // Not even root enters another user's mount.
    let mut root = Agent::start();
    assert_eq!(root.ask(&format!("list {}", path.display())), "E13");
    drop(agent);
    server.kill();
    assert!(eventually(Duration::from_secs(10), || !is_mounted(&path)), "still mounted");
    assert!(eventually(Duration::from_secs(10), || !path.exists()), "the directory stays");
    fs::remove_dir(&dir).unwrap();
}

// A key agent, for example: it hides what it maps from its own user. How many page faults it had
// tells whether it can have dirtied something.
#[test]
fn stores_of_a_process_that_hides_its_mappings_are_flushed() {
    // With writeback the first read of the API brings them in (S50).
    if !root_and_fusermount() || writeback() {
        return;
    }
    let _device = OpenDevice::new();
    let path = scratch_of_nobody();
    let mut server = Server::start(&path, "plain", Some(NOBODY));
    let mut agent = as_nobody();
    assert_eq!(agent.ask(&format!("chdir {}", path.display())), "ok");
    for name in ["f", "g"] {
        agent.ask(&format!("create {name}"));
        agent.ask(&format!("open {name} {name}"));
        agent.ask(&format!("pwrite {name} 0 ----------"));
    }
    agent.ask("map f 10");
    assert_eq!(agent.ask("hide"), "ok");
    assert_eq!(agent.ask("store 2 hidden"), "ok");
    assert_eq!(server.ask("read /f"), "----------");
    assert_eq!(server.ask("flush"), "true all_held=true inodes=2 hidden=1");
    assert_eq!(server.ask("read /f"), "--hidden--");
    // It waits for a command, and makes no fault.
    let mut quiet = String::new();
    assert!(
        eventually(SOON, || {
            quiet = server.ask("flush");
            quiet == "true all_held=false inodes=0 hidden=0"
        }),
        "{quiet}"
    );
    assert_eq!(agent.ask("store 0 ##"), "ok");
    assert!(server.ask("flush").starts_with("true all_held=true"));
    assert_eq!(server.ask("read /f"), "##hidden--");
    drop((agent, server));
    assert!(eventually(Duration::from_secs(10), || !is_mounted(&path)), "still mounted");
    fs::remove_dir(&path).unwrap();
}

// Linux 6.16 and later.
fn counts_mapped_memory_exactly() -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|text| text.parse::<u32>());
    let mut next = || numbers.next().unwrap().unwrap();
    (next(), next()) >= (6, 16)
}

// Such as the first process of a sandbox: it has page faults all the time, and never enters.
#[test]
fn a_process_that_hides_but_maps_no_file_more_than_before_the_mount_costs_nothing() {
    if !root_and_fusermount() || writeback() {
        return;
    }
    let _device = OpenDevice::new();
    let path = scratch_of_nobody();
    let mut agent = as_nobody();
    assert_eq!(agent.ask("hide"), "ok");
    // Its own code is in memory after this.
    agent.ask("touch");
    let mut server = Server::start(&path, "plain", Some(NOBODY));
    agent.ask("touch");
    let suspected = !counts_mapped_memory_exactly();
    let report = format!("true all_held={suspected} inodes=0 hidden={}", u32::from(suspected));
    assert_eq!(server.ask("flush"), report);
    assert_eq!(agent.ask(&format!("chdir {}", path.display())), "ok");
    agent.ask("create f");
    agent.ask("open f f");
    agent.ask("pwrite f 0 ----------");
    agent.ask("map f 10");
    assert_eq!(agent.ask("store 2 hidden"), "ok");
    assert_eq!(server.ask("flush"), "true all_held=true inodes=1 hidden=1");
    assert_eq!(server.ask("read /f"), "--hidden--");
    agent.ask("unmap");
    agent.ask("touch");
    assert!(server.ask("flush").starts_with("true all_held=true"));
    drop((agent, server));
    assert!(eventually(Duration::from_secs(10), || !is_mounted(&path)), "still mounted");
    fs::remove_dir(&path).unwrap();
}

#[test]
fn writes_and_changes_of_owner_by_users_clear_set_user_id_bits() {
    if !root_and_fusermount() {
        return;
    }
    let _device = OpenDevice::new();
    let host = Host::with(|options| options.allow_other = true).unwrap();
    host.sh("for f in a b c; do echo text > $f; chmod 6777 $f; done; mkdir -m 2777 d");
    let mode = |name: &str| host.sh(&format!("stat -c %a {name}")).trim().to_owned();
    let mut agent = as_nobody();
    assert_eq!(agent.ask(&format!("chdir {}", host.path().display())), "ok");
    agent.ask("open 1 a");
    assert_eq!(agent.ask("pwrite 1 0 T"), "ok");
    assert_eq!(mode("a"), "777");
    host.sh("echo more >> b");
    assert_eq!(mode("b"), "6777");
    host.sh("chown 1:1 c && chown 1:1 d");
    assert_eq!((mode("c"), mode("d")), ("777".to_owned(), "2777".to_owned()));
    assert_eq!(agent.ask("create d/new"), "ok");
    assert_eq!(host.sh("stat -c %g d/new").trim(), "1");
}

#[test]
fn others_enter_only_if_allowed_and_modes_hold_for_them() {
    if !root_and_fusermount() {
        return;
    }
    let _device = OpenDevice::new();
    let host = Host::with(|options| options.allow_other = true).unwrap();
    host.sh("echo open > open; echo closed > closed; chmod 600 closed; mkdir -m 1777 shared");
    host.sh("echo mine > shared/mine; chmod 755 .");
    let mut agent = as_nobody();
    assert_eq!(agent.ask(&format!("chdir {}", host.path().display())), "ok");
    assert_eq!(agent.ask("read open"), "open");
    assert_eq!(agent.ask("read closed"), "E13");
    assert_eq!(agent.ask("create new"), "E13");
    assert_eq!(agent.ask("create shared/theirs"), "ok");
    assert_eq!(host.sh("stat -c %u shared/theirs").trim(), NOBODY.to_string());
    let closed = Host::new().unwrap();
    assert_eq!(agent.ask(&format!("list {}", closed.path().display())), "E13");
}
