//! A mounted workspace for a test, and the child processes that touch it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use devdev_fuse::{MountOptions, RingSupport, Session, Transport, ring_support};
use devdev_vfs::api::{Api, OpenFlags};
use devdev_vfs::{Caller, Clock, Limits, Timespec, Vfs, VfsOptions};

/// No child process takes longer, not even on a busy machine with one CPU.
pub const LIMIT: Duration = Duration::from_secs(180);

pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timespec {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timespec { secs: since.as_secs() as i64, nanos: since.subsec_nanos() }
    }
}

/// Whether this machine can mount; if not, the test is skipped aloud.
pub fn can_mount() -> bool {
    let root = uid() == 0;
    let possible = if root {
        std::fs::OpenOptions::new().read(true).write(true).open("/dev/fuse").is_ok()
    } else {
        Path::new("/dev/fuse").exists() && Path::new("/usr/bin/fusermount3").exists()
    };
    if !possible {
        assert!(
            std::env::var_os("DEVDEV_REQUIRE_MOUNT").is_none(),
            "DEVDEV_REQUIRE_MOUNT is set, but nothing can be mounted here"
        );
        eprintln!("SKIPPED: nothing can be mounted here");
    }
    possible
}

pub fn uid() -> u32 {
    // SAFETY: geteuid cannot fail and touches no memory.
    unsafe { libc::geteuid() }
}

pub fn owner() -> Caller {
    // SAFETY: getegid cannot fail and touches no memory.
    Caller { uid: uid(), gid: unsafe { libc::getegid() }, pid: 0 }
}

pub fn new_vfs() -> Arc<Vfs> {
    Vfs::new(VfsOptions {
        clock: Arc::new(SystemClock),
        limits: Limits { bytes: 1 << 30, inodes: 1 << 20 },
        xattrs: true,
        owner: owner(),
    })
}

/// How host mounts are served in these tests: DEVDEV_TRANSPORT, else classic.
pub fn transport() -> Transport {
    match std::env::var("DEVDEV_TRANSPORT").as_deref() {
        Ok("io_uring") if can_switch_on() => Transport::IoUring,
        Ok("io_uring" | "classic") | Err(_) => Transport::Classic,
        Ok(other) => panic!("DEVDEV_TRANSPORT: no transport {other}"),
    }
}

/// Options for a mount at `path`, with the transport of these tests.
pub fn options_for(path: impl Into<PathBuf>) -> MountOptions {
    let mut options = MountOptions::new(path);
    options.transport = transport();
    options.writeback = writeback();
    options
}

/// Whether these tests are to be run with writeback: DEVDEV_WRITEBACK=1.
pub fn writeback() -> bool {
    std::env::var_os("DEVDEV_WRITEBACK").is_some_and(|value| value == "1")
}

/// Has the kernel offer io_uring until this process ends, however it ends; false, said aloud, where
/// that is not possible.
pub fn can_switch_on() -> bool {
    static SWITCH: OnceLock<bool> = OnceLock::new();
    *SWITCH.get_or_init(|| {
        // Also when it is on already: who has switched it on may be the first to end.
        let on = switch_on() || ring_support() == RingSupport::On;
        if !on {
            eprintln!("SKIPPED: FUSE over io_uring cannot be had here; classic transport");
        }
        on
    })
}

fn switch_on() -> bool {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/with-io-uring");
    // The setting goes back when this process closes the pipe: at the latest when it ends.
    let child = Command::new(script)
        .args(["sh", "-c", "echo on; cat >/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    std::mem::forget(child);
    said == "on\n"
}

/// A path under the temp directory that nobody else has; nothing is made there.
pub fn scratch_path() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let temp = std::fs::canonicalize(std::env::temp_dir()).unwrap();
    temp.join(format!("devdev-host-{}-{number}", std::process::id()))
}

/// A mounted workspace.
pub struct Host {
    pub vfs: Arc<Vfs>,
    pub api: Api,
    pub session: Session,
    pub log: Arc<Mutex<Vec<String>>>,
}

impl Host {
    /// A fresh workspace on a directory that is made for it; `None` where nothing can be mounted.
    pub fn new() -> Option<Host> {
        Host::with(|_| {})
    }

    pub fn with(choose: impl FnOnce(&mut MountOptions)) -> Option<Host> {
        let mut wanted = transport();
        can_mount().then(|| {
            let host = Host::mount_with(|options| {
                choose(options);
                wanted = options.transport;
            });
            assert_eq!(host.session.transport(), wanted);
            host
        })
    }

    /// The same where something can be mounted, with any transport that comes of it.
    pub fn mount_with(choose: impl FnOnce(&mut MountOptions)) -> Host {
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = log.clone();
        let mut options = options_for(scratch_path());
        options.log = Some(Arc::new(move |_, text: &str| sink.lock().unwrap().push(text.into())));
        // Another user cannot build it, nor reach it in root's directory.
        if options.writeback && uid() == 0 {
            options.helper = Some(helper());
        }
        choose(&mut options);
        let vfs = new_vfs();
        let session = Session::mount(vfs.clone(), options).unwrap();
        Host { api: Api::new(vfs.clone(), owner()), vfs, session, log }
    }

    pub fn path(&self) -> &Path {
        self.session.mount_point()
    }

    /// Runs a script in the mount root; its output if it succeeds.
    pub fn sh(&self, script: &str) -> String {
        let (ok, output) = self.try_sh(script);
        assert!(ok, "{script}: {output}");
        output
    }

    /// Runs a script in the mount root: whether it succeeded, and what it printed.
    pub fn try_sh(&self, script: &str) -> (bool, String) {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("cd \"$M\" && {{ {script}\n}}")).env("M", self.path());
        run_limited(command)
    }

    /// A whole file, as the API sees it.
    pub fn read(&self, path: &str) -> String {
        let flags = OpenFlags { read: true, ..OpenFlags::default() };
        String::from_utf8(self.api.read_file(path.as_bytes(), flags).unwrap()).unwrap()
    }

    /// Replaces a file, through the API.
    pub fn write(&self, path: &str, content: &str) {
        let flags = OpenFlags { write: true, create: true, truncate: true, ..OpenFlags::default() };
        self.api.write_file(path.as_bytes(), content.as_bytes(), flags, 0o644).unwrap();
    }

    pub fn count(&self, name: &str) -> u64 {
        let counters = self.session.counters();
        counters.iter().find(|count| count.name == name).map_or(0, |count| count.count)
    }

    /// The same when nobody asks for anything: a worker counts a request after it has answered it,
    /// which on a busy machine is later than who asked goes on.
    pub fn settled(&self, name: &str) -> u64 {
        let mut last = self.count(name);
        let mut same = 0;
        while same < 5 {
            std::thread::sleep(Duration::from_millis(20));
            let now = self.count(name);
            same = if now == last { same + 1 } else { 0 };
            last = now;
        }
        last
    }

    /// Unmounts when the last process has gone: one that was killed, or whose output has ended, is
    /// there for a moment longer.
    pub fn unmount_unused(&self) {
        let mut refused = None;
        let done = eventually(SOON, || {
            refused = self.session.unmount(false).err();
            refused.is_none()
        });
        assert!(done, "{refused:?}");
    }

    pub fn logged(&self, text: &str) -> bool {
        self.log.lock().unwrap().iter().any(|line| line.contains(text))
    }
}

/// Runs a command to its end: whether it succeeded, and what it printed.
pub fn run_limited(mut command: Command) -> (bool, String) {
    let mut child = command
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text)
    });
    let output = std::thread::spawn(move || {
        let mut text = Vec::new();
        stdout.read_to_end(&mut text).map(|_| text)
    });
    let ok = wait_limited(&mut child);
    let mut text = String::from_utf8_lossy(&output.join().unwrap().unwrap()).into_owned();
    text.push_str(&errors.join().unwrap().unwrap());
    (ok, text)
}

/// Whether the child ended well; one that does not end is killed and fails the test.
pub fn wait_limited(child: &mut Child) -> bool {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        if Instant::now() > end {
            let _ = child.kill();
            panic!("a child process hangs");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// This program again, in another role.
pub fn role(name: &str, args: &[&OsStr]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child_entry", "--nocapture", "--test-threads=1"])
        .env("DEVDEV_TEST_ROLE", name)
        .current_dir("/");
    for (n, arg) in args.iter().enumerate() {
        command.env(format!("DEVDEV_TEST_ARG{n}"), arg);
    }
    command
}

pub fn role_arg(n: usize) -> String {
    std::env::var(format!("DEVDEV_TEST_ARG{n}")).unwrap_or_default()
}

/// For what should be so at once, on a machine that is busy.
pub const SOON: Duration = Duration::from_secs(30);

/// A program that is a shell script, at a path of its own. Another process writes it: as long as a
/// file is open for writing, nobody can run it, and children that other threads start meanwhile
/// have it open, too, until they have become what they are to be.
pub fn script(text: &str) -> PathBuf {
    let path = scratch_path();
    let mut write = Command::new("sh");
    write.args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(&path).stdin(Stdio::piped());
    let mut child = write.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    path
}

/// The CPUs that this thread may run on.
pub fn usable_cpus() -> Vec<usize> {
    let set = rustix::thread::sched_getaffinity(None).unwrap();
    (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
}

/// Waits until something is so; false if it is not within the limit.
pub fn eventually(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !is_so() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

/// Whether something is mounted at a path, by the mount table.
pub fn is_mounted(path: &Path) -> bool {
    let mounts = devdev_fuse::devdev_mounts().unwrap();
    mounts.iter().any(|mount| mount.mount_point == path)
}

/// The helper binary, built if it has to be.
pub fn helper() -> PathBuf {
    if let Some(given) = std::env::var_os("DEVDEV_HELPER") {
        return given.into();
    }
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        // target/debug/deps/host-... -> target/debug
        let exe = std::env::current_exe().unwrap();
        let profile_dir = exe.ancestors().nth(2).unwrap();
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        build.args(["build", "--quiet", "--package", "devdev-helper"]);
        build.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
        build.arg("--target-dir").arg(profile_dir.parent().unwrap());
        if profile_dir.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "the helper does not build");
        profile_dir.join("devdev-helper")
    });
    built.clone()
}
