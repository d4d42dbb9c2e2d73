//! A child process that serves a host mount, as another user or to be killed: `serve PATH HOW`.
//!
//! `plain` just serves, and answers `flush`, `transport` and `read NAME` on its standard input;
//! `stuck` also has a thread that waits on the mount for ever; `unwatched` has no watchdog.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use devdev_fuse::{FlushReport, Session};
use devdev_vfs::api::{Api, OpenFlags};

use crate::harness::{helper, new_vfs, options_for, owner, role, role_arg};

/// SETATTR: never answered.
const BLACK_HOLE_OPCODE: u32 = 4;

/// The test's end of a serving process.
pub struct Server(pub Child, Lines<BufReader<ChildStdout>>);

impl Server {
    /// Starts one and waits until it has mounted; `uid` as in setuid if not the caller's.
    pub fn start(path: &Path, how: &str, uid: Option<u32>) -> Server {
        Server::start_with(path, how, uid, |_| {})
    }

    /// The same with a process that is set up otherwise.
    pub fn start_with(
        path: &Path,
        how: &str,
        uid: Option<u32>,
        change: impl FnOnce(&mut Command),
    ) -> Server {
        let helper = helper();
        let mut command = role("serve", &[path.as_os_str(), OsStr::new(how), helper.as_os_str()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(uid) = uid {
            command.uid(uid).gid(uid);
        }
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut server = Server(child, lines);
        assert_eq!(server.answer().as_deref(), Some("mounted"), "the server did not mount");
        server
    }

    /// What the server answers to a command.
    pub fn ask(&mut self, command: &str) -> String {
        writeln!(self.0.stdin.as_mut().unwrap(), "{command}").unwrap();
        self.answer().expect("the server died")
    }

    fn answer(&mut self) -> Option<String> {
        let mut lines = self.1.by_ref().map_while(Result::ok);
        lines.find_map(|line| line.split_once('@').map(|(_, answer)| answer.to_owned()))
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
    let mut options = options_for(&path);
    if how != "unwatched" {
        options.helper = Some(role_arg(2).into());
    }
    // With writeback the kernel sends this by itself, but not for the root.
    options.hook = Some(Arc::new(|opcode, node| {
        if opcode == BLACK_HOLE_OPCODE && node == 1 {
            std::thread::sleep(Duration::from_secs(3600));
        }
    }));
    let vfs = new_vfs();
    let session = match Session::mount(vfs.clone(), options) {
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
    let api = Api::new(vfs, owner());
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match line.split_once(' ') {
            None if line == "transport" => println!("@{:?}", session.transport()),
            None => {
                let report = session.flush(Duration::from_secs(20));
                let FlushReport { complete, all_held, inodes, hidden, .. } = report;
                println!("@{complete} all_held={all_held} inodes={inodes} hidden={hidden}");
            }
            Some((_, name)) => {
                let flags = OpenFlags { read: true, ..OpenFlags::default() };
                let content = api.read_file(name.as_bytes(), flags).unwrap();
                println!("@{}", String::from_utf8_lossy(&content));
            }
        }
    }
    std::thread::sleep(Duration::from_secs(3600));
    std::process::exit(0);
}
