//! Mounts an empty workspace until SIGTERM or SIGINT: for trials and measurements without a daemon.
//!
//! mountfs DIR [--helper FILE] [--readers N] [--checks auto|kernel|none] [--no-xattrs]
//! [--allow-other] [--transport classic|io_uring] [--spares N] [--stats]

use std::sync::Arc;
use std::time::SystemTime;

use devdev_fuse::{LogLevel, MountOptions, Permissions, Session, Transport};
use devdev_vfs::{Caller, Clock, Limits, Timespec, Vfs, VfsOptions};

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timespec {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timespec { secs: since.as_secs() as i64, nanos: since.subsec_nanos() }
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let Some(dir) = args.next() else {
        eprintln!("mountfs: which directory?");
        std::process::exit(2);
    };
    let mut options = MountOptions::new(dir);
    let mut stats = false;
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap_or_default();
        match arg.as_str() {
            "--helper" => options.helper = Some(value().into()),
            "--readers" => options.readers = value().parse().expect("a number"),
            "--checks" => {
                options.permissions = match value().as_str() {
                    "kernel" => Permissions::Kernel,
                    "none" => Permissions::Unchecked,
                    _ => Permissions::Auto,
                }
            }
            "--no-xattrs" => options.xattrs = false,
            "--allow-other" => options.allow_other = true,
            "--transport" => {
                options.transport = match value().as_str() {
                    "io_uring" => Transport::IoUring,
                    _ => Transport::Classic,
                }
            }
            "--spares" => options.spares = value().parse().expect("a number"),
            "--stats" => stats = true,
            other => panic!("mountfs: what is {other}?"),
        }
    }
    options.log = Some(Arc::new(|level: LogLevel, text: &str| eprintln!("{level:?}: {text}")));
    let signals = block_signals();
    // SAFETY: geteuid and getegid cannot fail and touch no memory.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let vfs = Vfs::new(VfsOptions {
        clock: Arc::new(SystemClock),
        limits: Limits { bytes: 16 << 30, inodes: 16 << 20 },
        xattrs: options.xattrs,
        owner: Caller { uid, gid, pid: 0 },
    });
    let session = match Session::mount(vfs, options) {
        Ok(session) => session,
        Err(error) => {
            eprintln!("mountfs: {error}");
            std::process::exit(1);
        }
    };
    let mut signal = 0;
    // SAFETY: both pointers are to live variables; the set was filled by `block_signals`.
    unsafe { libc::sigwait(&signals, &mut signal) };
    if let Err(error) = session.unmount(false) {
        eprintln!("mountfs: {error}; taking it away");
    }
    drop_and_report(session, stats);
}

// Before any thread starts, so that none of them gets the signals.
fn block_signals() -> libc::sigset_t {
    // SAFETY: a zeroed set is a valid argument of sigemptyset, which fills it; the other calls
    // take pointers to it and null.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGTERM);
        libc::sigaddset(&mut set, libc::SIGINT);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        set
    }
}

fn drop_and_report(session: Session, stats: bool) {
    let counters = session.counters();
    drop(session);
    if stats {
        for count in counters {
            let each = count.nanos / count.count;
            let bytes = count.bytes_in + count.bytes_out;
            eprintln!("{:16} {:9} {bytes:12} bytes {each:7} ns", count.name, count.count);
        }
    }
}
