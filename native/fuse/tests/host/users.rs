//! Users that are not root: mounted through fusermount3, modes checked by the kernel, others kept
//! out.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::time::Duration;

use crate::agent::Agent;
use crate::harness::{Host, can_mount, eventually, is_mounted, scratch_path, uid};
use crate::serving::Server;

const NOBODY: u32 = 65534;

/// The device as udev leaves it, open to everybody, for as long as this lives.
struct OpenDevice(Option<fs::Permissions>);

impl OpenDevice {
    fn new() -> OpenDevice {
        let before = fs::metadata("/dev/fuse").unwrap().permissions();
        if before.mode() & 0o006 == 0o006 {
            return OpenDevice(None);
        }
        fs::set_permissions("/dev/fuse", fs::Permissions::from_mode(0o666)).unwrap();
        OpenDevice(Some(before))
    }
}

impl Drop for OpenDevice {
    fn drop(&mut self) {
        if let Some(before) = self.0.take() {
            fs::set_permissions("/dev/fuse", before).unwrap();
        }
    }
}

fn root_and_fusermount() -> bool {
    let able = can_mount() && uid() == 0 && std::path::Path::new("/usr/bin/fusermount3").exists();
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

#[test]
fn a_user_mounts_through_fusermount() {
    if !root_and_fusermount() {
        return;
    }
    let _device = OpenDevice::new();
    let dir = scratch_path();
    fs::create_dir(&dir).unwrap();
    chown(&dir, Some(NOBODY), Some(NOBODY)).unwrap();
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

#[test]
fn others_enter_only_if_allowed_and_modes_hold_for_them() {
    if !root_and_fusermount() {
        return;
    }
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
