//! The daemon's side of the watchdog: a helper process that keeps a duplicate of the connection
//! and gets a heartbeat. When this process is killed, it ends what waits and unmounts.
//!
//! Needed because a process whose own thread waits on its own mount survives SIGKILL with its
//! descriptors open: then nobody ever closes the connection. The helper's side, with the
//! messages, is `native/helper/src/watchdog.rs`.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

/// Between two heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long the helper may take to end when told to.
const BYE_TIMEOUT: Duration = Duration::from_secs(2);

const MESSAGE_START: &[u8] = b"F";
const MESSAGE_BEAT: &[u8] = b".";
const MESSAGE_NUDGE: &[u8] = b"n";
const MESSAGE_BYE: &[u8] = b"b";

struct Shared {
    socket: OwnedFd,
    stopped: Mutex<bool>,
    changed: Condvar,
}

/// A running watchdog.
pub(crate) struct Watchdog {
    shared: Arc<Shared>,
    heart: JoinHandle<()>,
    child: Child,
}

impl Watchdog {
    /// Starts the helper and hands it the connection. `number` is the device number of the mount.
    pub fn start(
        helper: &Path,
        mount_point: &Path,
        number: (u32, u32),
        created: &[PathBuf],
        device: BorrowedFd<'_>,
        abort: Option<BorrowedFd<'_>>,
    ) -> io::Result<Watchdog> {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let mut child = Command::new(helper)
            .arg("watchdog")
            .arg(std::process::id().to_string())
            .arg(format!("{}:{}", number.0, number.1))
            .arg(mount_point)
            .args(created)
            .current_dir("/")
            .stdin(theirs)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let shared =
            Arc::new(Shared { socket: ours, stopped: Mutex::new(false), changed: Condvar::new() });
        let beating = shared.clone();
        let started = send_descriptors(&shared.socket, device, abort).and_then(|()| {
            std::thread::Builder::new().name("devdev-heart".into()).spawn(move || beat(&beating))
        });
        match started {
            Ok(heart) => Ok(Watchdog { shared, heart, child }),
            Err(error) => {
                // It ends by itself when the socket closes; this is only faster.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// What the workers of rings ask it for.
    pub fn nudger(&self) -> Nudger {
        Nudger(self.shared.clone())
    }

    /// The host mount is gone as it should: ends the helper.
    pub fn bye(mut self) {
        *self.shared.stopped.lock() = true;
        self.shared.changed.notify_all();
        // A dead helper cannot be told; it is waited for all the same.
        let _ = send(&self.shared.socket, MESSAGE_BYE);
        let _ = self.heart.join();
        let end = Instant::now() + BYE_TIMEOUT;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > end {
                let _ = self.child.kill();
                let _ = self.child.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Has the helper ask the mount for something small from every CPU.
pub(crate) struct Nudger(Arc<Shared>);

impl Nudger {
    /// Does not wait for it.
    pub fn nudge(&self) {
        // A full socket has nudges enough in it; without a helper what waits comes a little later.
        let _ = send(&self.0.socket, MESSAGE_NUDGE);
    }
}

fn beat(shared: &Shared) {
    let mut stopped = shared.stopped.lock();
    while !*stopped {
        if shared.changed.wait_for(&mut stopped, HEARTBEAT).timed_out() {
            // A full socket means that the helper is stopped: it has beats enough to read.
            let _ = send(&shared.socket, MESSAGE_BEAT);
        }
    }
}

fn send(socket: &OwnedFd, message: &[u8]) -> io::Result<()> {
    rustix::net::send(socket, message, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?;
    Ok(())
}

fn send_descriptors(
    socket: &OwnedFd,
    device: BorrowedFd<'_>,
    abort: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let descriptors: Vec<BorrowedFd<'_>> = std::iter::once(device).chain(abort).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    rustix::net::sendmsg(
        socket,
        &[IoSlice::new(MESSAGE_START)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}
