//! The watchdog role: `devdev-helper watchdog PID MAJOR:MINOR MOUNTPOINT [CREATED...]` outlives a
//! daemon that is killed and takes its host mount away, so that nobody waits for ever. The device
//! number tells that mount from one that another daemon has made there meanwhile.
//!
//! Standard input is a socket to the daemon. First comes `F` with the descriptors of the FUSE
//! connection and, where the system has one, of its abort file. Then a `.` every second, an `n`
//! when requests wait in the kernel behind others that take long (`Nudge`), at last `b` when the
//! mount was taken down as it should. An end of file or a dead daemon means to act at once, a
//! silent one after eight seconds; a stopped one is left alone.
//!
//! A thread of the daemon that waits on the daemon's own mount keeps it from dying and its
//! descriptors open, so the connection would never end: what waits is sent again to this process,
//! which answers it with an error.

use std::ffi::OsString;
use std::io::{IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::HELPER_FAILED;
use crate::probe::ask_from_every_cpu;

/// The daemon sends a beat every second.
const TICK: Duration = Duration::from_secs(1);
/// So many ticks without a beat and the daemon is taken for hung. Counted instead of timed: a
/// machine or container that was frozen makes no tick.
const SILENT_TICKS: u32 = 8;
/// From so many on it is looked at more closely.
const SUSPICIOUS_TICKS: u32 = 2;
/// Most bytes of a request: 1 MiB of data and its headers.
const REQUEST_MAX: usize = (1 << 20) + 4096;

const FORGET: u32 = 2;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;
/// Of those that wait each came when a whole queue had been taken since the one before.
const NUDGES_MAX: usize = 512;
const NUDGE_STACK: usize = 64 << 10;
const NOTIFY_RESEND: i32 = 7;
const ENOTCONN: i32 = 107;

struct Charge {
    daemon: Pid,
    /// Device number of the mount, as mountinfo writes it.
    device: String,
    mount_point: PathBuf,
    created: Vec<PathBuf>,
    connection: Arc<OwnedFd>,
    abort: Option<OwnedFd>,
}

/// Why watching came to an end.
#[derive(PartialEq, Eq, Debug)]
enum Verdict {
    /// The mount was taken down as it should.
    Bye,
    /// The daemon is dead or hangs.
    Act,
}

pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(charge) = take_charge(args) else {
        return ExitCode::from(HELPER_FAILED);
    };
    let nudge = Nudge::new(&charge.mount_point);
    if watch(charge.daemon, &nudge) == Verdict::Act {
        act(&charge);
    }
    ExitCode::SUCCESS
}

fn take_charge(mut args: impl Iterator<Item = OsString>) -> Option<Charge> {
    let daemon = args.next()?.to_str()?.parse().ok().and_then(Pid::from_raw)?;
    let device = args.next()?.into_string().ok()?;
    let mount_point = PathBuf::from(args.next()?);
    let created = args.map(PathBuf::from).collect();
    // Signals of the terminal and of the daemon's group are not meant for this process. That it
    // leads no group yet is up to who started it; failing is harmless then.
    let _ = rustix::process::setsid();
    rustix::process::chdir("/").ok()?;
    let (connection, abort) = receive_descriptors()?;
    Some(Charge { daemon, device, mount_point, created, connection: Arc::new(connection), abort })
}

fn receive_descriptors() -> Option<(OwnedFd, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0; 1];
    rustix::io::retry_on_intr(|| {
        let mut parts = [IoSliceMut::new(&mut byte)];
        rustix::net::recvmsg(
            rustix::stdio::stdin(),
            &mut parts,
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )
    })
    .ok()?;
    let mut descriptors = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(rights) => rights.collect(),
        _ => Vec::new(),
    });
    Some((descriptors.next()?, descriptors.next()))
}

fn watch(daemon: Pid, nudge: &Nudge) -> Verdict {
    // Ready when the whole process has ended; without one the other signs are enough.
    let pidfd = pidfd_open(daemon, PidfdFlags::empty()).ok();
    let mut silent = 0;
    loop {
        let stdin = rustix::stdio::stdin();
        let mut files = vec![PollFd::new(&stdin, PollFlags::IN)];
        files.extend(pidfd.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
        let timeout = Timespec { tv_sec: TICK.as_secs() as i64, tv_nsec: 0 };
        match poll(&mut files, Some(&timeout)) {
            Ok(0) => silent += 1,
            Ok(_) if !files[0].revents().is_empty() => match read_beats(nudge) {
                Some(verdict) => return verdict,
                None => silent = 0,
            },
            Ok(_) => return Verdict::Act,
            Err(Errno::INTR) => {}
            Err(_) => return Verdict::Act,
        }
        if silent >= SUSPICIOUS_TICKS {
            match state_of(daemon) {
                State::Gone | State::Killed => return Verdict::Act,
                State::Stopped => silent = 0,
                State::Running if silent >= SILENT_TICKS => return Verdict::Act,
                State::Running => {}
            }
        }
    }
}

/// With io_uring a request that found no entry is looked at only when the reply to another one goes
/// out on its CPU; a statfs from there makes sure that there is one.
struct Nudge {
    mount_point: PathBuf,
    /// One was asked for that has not begun yet: it will do for the next too.
    due: Arc<AtomicBool>,
    /// Those that go on.
    running: Arc<AtomicUsize>,
}

impl Nudge {
    fn new(mount_point: &Path) -> Nudge {
        let (due, running) = Default::default();
        Nudge { mount_point: mount_point.to_owned(), due, running }
    }

    // On a thread of its own each: this process must not wait on the mount that it watches, and one
    // that comes when others have taken all entries waits itself, until the next one is served.
    fn ask(&self) {
        if self.running.load(SeqCst) >= NUDGES_MAX || self.due.swap(true, SeqCst) {
            return;
        }
        self.running.fetch_add(1, SeqCst);
        let (path, due, running) =
            (self.mount_point.clone(), self.due.clone(), self.running.clone());
        let started = std::thread::Builder::new().stack_size(NUDGE_STACK).spawn(move || {
            due.store(false, SeqCst);
            // What it comes to does not matter: the mount may be gone.
            let _ = ask_from_every_cpu(&path);
            running.fetch_sub(1, SeqCst);
        });
        if started.is_err() {
            self.due.store(false, SeqCst);
            self.running.fetch_sub(1, SeqCst);
        }
    }
}

fn read_beats(nudge: &Nudge) -> Option<Verdict> {
    let mut bytes = [0; 64];
    match std::io::stdin().read(&mut bytes) {
        Ok(0) => Some(Verdict::Act),
        Ok(len) if bytes[..len].contains(&b'b') => Some(Verdict::Bye),
        Ok(len) => {
            if bytes[..len].contains(&b'n') {
                nudge.ask();
            }
            None
        }
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => None,
        Err(_) => Some(Verdict::Act),
    }
}

#[derive(PartialEq, Eq, Debug)]
enum State {
    Running,
    Stopped,
    /// SIGKILL was sent, but a thread cannot end.
    Killed,
    Gone,
}

fn state_of(daemon: Pid) -> State {
    let path = format!("/proc/{}/status", daemon.as_raw_nonzero());
    match std::fs::read_to_string(path) {
        Ok(status) => parse_state(&status),
        Err(_) => State::Gone,
    }
}

fn parse_state(status: &str) -> State {
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.map(|line| line[name.len()..].trim())
    };
    match field("State:").and_then(|state| state.chars().next()) {
        None | Some('Z' | 'X') => return State::Gone,
        Some('T' | 't') => return State::Stopped,
        Some(_) => {}
    }
    let pending = ["SigPnd:", "ShdPnd:"].into_iter().filter_map(field);
    let killed = pending
        .filter_map(|mask| u64::from_str_radix(mask, 16).ok())
        .any(|mask| mask & (1 << (9 - 1)) != 0);
    if killed { State::Killed } else { State::Running }
}

fn act(charge: &Charge) {
    // Whatever else fails, no request may wait: first end the connection, or answer in the
    // daemon's place until nobody asks any more.
    let aborted = charge.abort.as_ref().is_some_and(|file| rustix::io::write(file, b"1").is_ok());
    // Root can do the same without the file, while unmounting. What is in a ring could not be
    // answered here.
    let end = if aborted { UnmountFlags::empty() } else { UnmountFlags::FORCE };
    let mounted = root_of(&charge.mount_point, &charge.device);
    let detached = mounted.as_ref().is_some_and(|root| detach(root, end));
    let answering = (!aborted && !detached).then(|| {
        let connection = charge.connection.clone();
        std::thread::spawn(move || answer_all(&connection))
    });
    // Nobody is left to be told of a failure; the mount is dead in any case.
    if mounted.is_some() && !detached {
        detach_as_user(&charge.mount_point);
    }
    drop(mounted);
    for path in &charge.created {
        if std::fs::remove_dir(path).is_err() {
            break;
        }
    }
    let Some(answering) = answering else { return };
    // The answers are needed until the daemon's last thread is gone; when this process ends too,
    // the kernel closes the connection for those who still use the mount.
    while !answering.is_finished() && state_of(charge.daemon) != State::Gone {
        std::thread::sleep(Duration::from_millis(100));
    }
    wait_for_threads(charge.daemon);
}

// A zombie whose other threads still run looks dead: give these their answers too.
fn wait_for_threads(daemon: Pid) {
    let path = format!("/proc/{}/task", daemon.as_raw_nonzero());
    let alive = || std::fs::read_dir(&path).is_ok_and(|tasks| tasks.count() > 1);
    for _ in 0..50 {
        if !alive() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn answer_all(connection: &OwnedFd) {
    // Kernels before 7.40 do not know it; then only what nobody had read is answered.
    let mut resend = Vec::new();
    resend.extend(16u32.to_ne_bytes());
    resend.extend(NOTIFY_RESEND.to_ne_bytes());
    resend.extend(0u64.to_ne_bytes());
    let _ = rustix::io::write(connection, &resend);
    let mut request = vec![0; REQUEST_MAX];
    loop {
        match rustix::io::read(connection, &mut request) {
            Ok(0) => return,
            Ok(len) => {
                if let Some(reply) = refusal(&request[..len]) {
                    // Who asked may be gone meanwhile.
                    let _ = rustix::io::write(connection, &reply);
                }
            }
            Err(Errno::INTR | Errno::AGAIN | Errno::NOENT) => {}
            Err(_) => return,
        }
    }
}

// The reply to a request: an error with its unique id; forgets and interrupts have none.
fn refusal(request: &[u8]) -> Option<[u8; 16]> {
    let opcode = u32::from_ne_bytes(request.get(4..8)?.try_into().ok()?);
    let unique: [u8; 8] = request.get(8..16)?.try_into().ok()?;
    if matches!(opcode, FORGET | BATCH_FORGET | INTERRUPT) {
        return None;
    }
    let mut reply = [0; 16];
    reply[..4].copy_from_slice(&16u32.to_ne_bytes());
    reply[4..8].copy_from_slice(&(-ENOTCONN).to_ne_bytes());
    reply[8..].copy_from_slice(&unique);
    Some(reply)
}

// The root of the mount, unless somebody has taken it away already, and mounted anew. The
// descriptor keeps to the mount that was looked at; opened for its path only, it asks nothing of
// the dead server.
fn root_of(mount_point: &Path, device: &str) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = rustix::fs::open(mount_point, flags, Mode::empty()).ok()?;
    (device_of_mount(&root).as_deref() == Some(device)).then_some(root)
}

fn detach(root: &OwnedFd, flags: UnmountFlags) -> bool {
    let exactly = format!("/proc/self/fd/{}", root.as_raw_fd());
    unmount(exactly, UnmountFlags::DETACH | flags).is_ok()
}

// Not root: the set-user-id program may.
fn detach_as_user(mount_point: &Path) {
    let _ = Command::new("fusermount3")
        .args(["-u", "-z", "-q", "--"])
        .arg(mount_point)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

// The device number of the mount that a descriptor lies in. Asked of /proc, since fstat could ask
// the server.
fn device_of_mount(fd: &OwnedFd) -> Option<String> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()?;
    let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim();
    // Paths in it need not be UTF-8; the first three fields are.
    let mounts = std::fs::read("/proc/self/mountinfo").ok()?;
    let mounts = String::from_utf8_lossy(&mounts);
    let line = mounts.lines().find(|line| line.split(' ').next() == Some(id))?;
    line.split(' ').nth(2).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_process_is_told_from_its_status() {
        let status = |state: &str, pending: &str| {
            format!("Name:\tnode\nState:\t{state}\nSigPnd:\t{pending}\nShdPnd:\t0000000000000000\n")
        };
        let none = "0000000000000000";
        assert_eq!(parse_state(&status("S (sleeping)", none)), State::Running);
        assert_eq!(parse_state(&status("T (stopped)", none)), State::Stopped);
        assert_eq!(parse_state(&status("Z (zombie)", none)), State::Gone);
        assert_eq!(parse_state(&status("D (disk sleep)", "0000000000000100")), State::Killed);
        assert_eq!(parse_state(&status("D (disk sleep)", "0000000000000200")), State::Running);
        assert_eq!(parse_state(""), State::Gone);
        let me = rustix::process::getpid();
        assert_eq!(state_of(me), State::Running);
    }

    #[test]
    fn the_device_of_a_mount_is_found() {
        let root = std::fs::File::open("/proc").unwrap();
        let device = rustix::fs::fstat(&root).unwrap().st_dev;
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        assert_eq!(device_of_mount(&root.into()), Some(format!("{major}:{minor}")));
    }

    #[test]
    fn requests_are_refused_under_their_own_id() {
        let mut request = vec![0; 40];
        request[4..8].copy_from_slice(&3u32.to_ne_bytes());
        request[8..16].copy_from_slice(&77u64.to_ne_bytes());
        let reply = refusal(&request).unwrap();
        assert_eq!(reply[4..8], (-107i32).to_ne_bytes());
        assert_eq!(reply[8..], 77u64.to_ne_bytes());
        request[4..8].copy_from_slice(&FORGET.to_ne_bytes());
        assert_eq!(refusal(&request), None);
        assert_eq!(refusal(&request[..10]), None);
    }
}
