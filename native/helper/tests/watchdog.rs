//! The watchdog role against this process as the daemon, with a socket in the place of the FUSE
//! connection: what is written there and how requests are answered.

use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

const RESEND: i32 = 7;
const ENOTCONN: i32 = 107;
const LIMIT: Duration = Duration::from_secs(60);

struct Watched {
    child: Child,
    /// The daemon's end of the helper's standard input.
    daemon: Option<UnixStream>,
    /// The kernel's end of the connection.
    kernel: UnixStream,
    /// A directory to be removed with the mount.
    created: PathBuf,
}

fn start(name: &str) -> Watched {
    let created =
        std::env::temp_dir().join(format!("devdev-watched-{}-{name}", std::process::id()));
    std::fs::create_dir(&created).unwrap();
    let (daemon, theirs) = UnixStream::pair().unwrap();
    // Messages keep their limits, as on the device.
    let (kernel, connection) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    let kernel = UnixStream::from(kernel);
    kernel.set_read_timeout(Some(LIMIT)).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_devdev-helper"))
        .arg("watchdog")
        .arg(std::process::id().to_string())
        .arg("0:0")
        .args([&created, &created])
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .spawn()
        .unwrap();
    let descriptors = [connection.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let parts = [IoSlice::new(b"F")];
    rustix::net::sendmsg(&daemon, &parts, &mut control, SendFlags::empty()).unwrap();
    Watched { child, daemon: Some(daemon), kernel, created }
}

impl Watched {
    /// Reads a reply or notification: its error field and unique id.
    fn written(&mut self) -> (i32, u64) {
        let mut header = [0; 16];
        self.kernel.read_exact(&mut header).unwrap();
        assert_eq!(header[..4], 16u32.to_ne_bytes());
        let error = i32::from_ne_bytes(header[4..8].try_into().unwrap());
        (error, u64::from_ne_bytes(header[8..].try_into().unwrap()))
    }

    fn request(&mut self, opcode: u32, unique: u64) {
        let mut bytes = vec![0; 40];
        bytes[..4].copy_from_slice(&40u32.to_ne_bytes());
        bytes[4..8].copy_from_slice(&opcode.to_ne_bytes());
        bytes[8..16].copy_from_slice(&unique.to_ne_bytes());
        self.kernel.write_all(&bytes).unwrap();
    }

    // By another thread than the one that answers.
    fn is_cleared_within(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while self.created.exists() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        !self.created.exists()
    }

    fn ends_within(&mut self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if self.child.try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir(&self.created);
    }
}

#[test]
fn after_bye_it_touches_nothing() {
    let mut watched = start("bye");
    let daemon = watched.daemon.as_mut().unwrap();
    daemon.write_all(b".").unwrap();
    daemon.write_all(b"b").unwrap();
    assert!(watched.ends_within(LIMIT));
    assert!(watched.created.exists());
    let mut rest = Vec::new();
    watched.kernel.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
}

#[test]
fn when_the_daemon_hangs_up_what_waits_is_asked_for_and_refused() {
    let mut watched = start("eof");
    let start = Instant::now();
    watched.daemon = None;
    assert_eq!(watched.written(), (RESEND, 0));
    // Not by its silence.
    assert!(start.elapsed() < Duration::from_secs(7));
    // GETATTR, then FORGET, which has no reply, then LOOKUP sent again.
    watched.request(3, 11);
    assert_eq!(watched.written(), (-ENOTCONN, 11));
    watched.request(2, 12);
    watched.request(1, 13 | (1 << 63));
    assert_eq!(watched.written(), (-ENOTCONN, 13 | (1 << 63)));
    assert!(watched.is_cleared_within(LIMIT));
    // Answers as long as there is somebody to ask.
    assert!(!watched.ends_within(Duration::from_millis(300)));
    watched.kernel.shutdown(std::net::Shutdown::Both).unwrap();
    assert!(watched.ends_within(LIMIT));
}

#[test]
fn a_beating_daemon_is_left_alone_and_a_silent_one_is_not() {
    let mut watched = start("silent");
    watched.kernel.set_nonblocking(true).unwrap();
    for _ in 0..3 {
        watched.daemon.as_mut().unwrap().write_all(b".").unwrap();
        std::thread::sleep(Duration::from_millis(700));
    }
    let blocked = watched.kernel.read(&mut [0; 16]).unwrap_err();
    assert_eq!(blocked.kind(), std::io::ErrorKind::WouldBlock);
    watched.kernel.set_nonblocking(false).unwrap();
    let start = Instant::now();
    assert_eq!(watched.written(), (RESEND, 0));
    let silence = start.elapsed();
    assert!(silence > Duration::from_secs(5) && silence < Duration::from_secs(30), "{silence:?}");
}
