//! A child process that serves a host mount, to be killed: `serve PATH HOW`.
//!
//! `plain` just serves; `stuck` also has a thread that waits on the mount for ever; `unwatched` has
//! no watchdog.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use devdev_fuse::{MountOptions, Session};

use crate::harness::{helper, new_vfs, role, role_arg};

/// SETATTR: never answered.
const BLACK_HOLE_OPCODE: u32 = 4;

/// The test's end of a serving process.
pub struct Server(pub Child);

impl Server {
    /// Starts one and waits until it has mounted; `uid` as in setuid if not the caller's.
    pub fn start(path: &Path, how: &str, uid: Option<u32>) -> Server {
        let helper = helper();
        let mut command = role("serve", &[path.as_os_str(), OsStr::new(how), helper.as_os_str()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        if let Some(uid) = uid {
            command.uid(uid).gid(uid);
        }
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = lines.map_while(Result::ok).find(|line| line.contains("@mounted"));
        assert!(told.is_some(), "the server did not mount");
        Server(child)
    }

    /// SIGKILL. Does not wait: a stuck process ends only with its watchdog's help.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The child's side.
pub fn run() -> ! {
    let path = role_arg(0);
    let how = role_arg(1);
    let mut options = MountOptions::new(&path);
    if how != "unwatched" {
        options.helper = Some(role_arg(2).into());
    }
    options.hook = Some(Arc::new(|opcode, _| {
        if opcode == BLACK_HOLE_OPCODE {
            std::thread::sleep(Duration::from_secs(3600));
        }
    }));
    let vfs = new_vfs();
    let _session = match Session::mount(vfs, options) {
        Ok(session) => session,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    if how == "stuck" {
        let path = path.clone();
        std::thread::spawn(move || {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        });
        std::thread::sleep(Duration::from_millis(300));
    }
    println!("@mounted");
    std::thread::sleep(Duration::from_secs(3600));
    std::process::exit(0);
}
