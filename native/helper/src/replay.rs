//! The replay role: `devdev-helper replay` makes the system calls that a restore stands for, so
//! that programs which watch files are told of it. The daemon knows this process, answers each as
//! if it were done, and changes nothing: it must not ask itself.
//!
//! Nothing is done anywhere else than on that mount: a directory that only the daemon can show
//! proves that it is listening, and no path is followed across a mount point or a link. Reads
//! orders from standard input until its end: the mount point, the name of that directory, device
//! and time limit, then a letter with what belongs to it for each step; a NUL ends each.

use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, UTIME_OMIT, fstat,
    futimens, makedev, mkdirat, mknodat, openat2, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use crate::HELPER_FAILED;

/// The longest path that is opened at once.
const PATH_PART: usize = 3500;
/// How often a name that the kernel takes for absent is shown to it again.
const TRIES: u32 = 3;
const ROOT_INO: u64 = 1;

type Step = Result<(), Errno>;

/// What is followed: nothing but directories of this mount.
fn beneath() -> ResolveFlags {
    ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV
}

fn path_only() -> OFlags {
    OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

pub fn run() -> ExitCode {
    let mut orders = Vec::new();
    if std::io::stdin().read_to_end(&mut orders).is_err() {
        return ExitCode::from(HELPER_FAILED);
    }
    let mut fields = orders.split(|byte| *byte == 0);
    let head = (fields.next(), fields.next(), fields.next());
    let (Some(path), Some(token), Some(numbers)) = head else {
        return ExitCode::from(HELPER_FAILED);
    };
    let Some(mut replayer) = Replayer::start(path, token, numbers) else {
        return ExitCode::from(HELPER_FAILED);
    };
    let mut failed = 0;
    // All are tried, whatever becomes of one; the last field is what follows the last NUL.
    for (order, rest) in fields.filter_map(|field| field.split_first()) {
        if Instant::now() > replayer.end {
            return ExitCode::FAILURE;
        }
        failed += usize::from(replayer.obey(*order, rest).is_err());
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Replayer {
    root: OwnedFd,
    device: u64,
    /// The directory that only the daemon can show, and only to this process.
    ghosts: OwnedFd,
    /// Where names are.
    dir: Option<OwnedFd>,
    end: Instant,
}

impl Replayer {
    fn start(path: &[u8], token: &[u8], numbers: &[u8]) -> Option<Replayer> {
        let mut numbers = str::from_utf8(numbers).ok()?.split(' ');
        let (major, minor) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
        let end = Instant::now() + Duration::from_millis(numbers.next()?.parse().ok()?);
        let flags = path_only() | OFlags::DIRECTORY;
        let root = rustix::fs::open(OsStr::from_bytes(path), flags, Mode::empty()).ok()?;
        let (stat, device) = (fstat(&root).ok()?, makedev(major, minor));
        if stat.st_dev != device || stat.st_ino != ROOT_INO {
            return None;
        }
        let ghosts = openat2(&root, token, flags, Mode::empty(), beneath()).ok()?;
        Some(Replayer { root, device, ghosts, dir: None, end })
    }

    fn obey(&mut self, order: u8, rest: &[u8]) -> Step {
        let mode = Mode::RUSR | Mode::WUSR;
        let make = |dir: BorrowedFd<'_>, kind| mknodat(dir, rest, kind, mode, 0);
        match order {
            // Where it is: the daemon answers that there is no such name.
            b'S' => statat(&self.ghosts, rest, AtFlags::SYMLINK_NOFOLLOW).map(drop).or(Ok(())),
            b'D' => self.enter(rest),
            b'G' => self.go_to(open_dir(self.ghosts.as_fd(), rest)),
            b'H' => self.go_to(rustix::io::fcntl_dupfd_cloexec(&self.ghosts, 0)),
            b'u' => self.remove(rest, AtFlags::empty()),
            b'r' => self.remove(rest, AtFlags::REMOVEDIR),
            b'f' => make(self.here()?, FileType::RegularFile),
            b'p' => make(self.here()?, FileType::Fifo),
            b's' => make(self.here()?, FileType::Socket),
            // Device 0:0 is the one that anybody may make; which one it is, is not looked at.
            b'c' => make(self.here()?, FileType::CharacterDevice),
            b'b' => make(self.here()?, FileType::BlockDevice),
            b'd' => mkdirat(self.here()?, rest, Mode::RWXU),
            b'l' => symlinkat("-", self.here()?, rest),
            b'w' => self.change(rest, true),
            b'a' => self.change(rest, false),
            b'A' => {
                let dir = self.here()?;
                utimensat(dir, "", &times(&fstat(dir)?, false), AtFlags::EMPTY_PATH)
            }
            _ => Err(Errno::INVAL),
        }
    }

    fn here(&self) -> Result<BorrowedFd<'_>, Errno> {
        self.dir.as_ref().map(AsFd::as_fd).ok_or(Errno::NOENT)
    }

    // What cannot be entered is left: the steps in it fail then.
    fn go_to(&mut self, dir: Result<OwnedFd, Errno>) -> Step {
        self.dir = None;
        self.dir = Some(dir?);
        Ok(())
    }

    // From the root; a path may be longer than the kernel takes at once.
    fn enter(&mut self, path: &[u8]) -> Step {
        self.dir = None;
        let (mut dir, mut rest) = (rustix::io::fcntl_dupfd_cloexec(&self.root, 0)?, path);
        while !rest.is_empty() {
            let part = if rest.len() <= PATH_PART {
                rest
            } else {
                let slash = rest[..PATH_PART].iter().rposition(|byte| *byte == b'/');
                &rest[..slash.ok_or(Errno::NAMETOOLONG)?]
            };
            dir = open_dir(dir.as_fd(), part)?;
            rest = rest[part.len()..].strip_prefix(b"/").unwrap_or_default();
        }
        self.dir = Some(dir);
        Ok(())
    }

    fn remove(&self, name: &[u8], flags: AtFlags) -> Step {
        let dir = self.here()?;
        let mut done = unlinkat(dir, name, flags);
        for _ in 0..TRIES {
            if done != Err(Errno::NOENT) {
                break;
            }
            // The kernel knows from somebody else's look-up that there is no such name, and asks
            // again only who wants to make one. The daemon shows it then, and makes none.
            let _ = mknodat(dir, name, FileType::RegularFile, Mode::RUSR, 0);
            done = unlinkat(dir, name, flags);
        }
        done
    }

    // "INO NAME": has the kernel set the time that the file has.
    fn change(&self, rest: &[u8], content: bool) -> Step {
        let space = rest.iter().position(|byte| *byte == b' ').ok_or(Errno::INVAL)?;
        let (ino, name) = (str::from_utf8(&rest[..space]), &rest[space + 1..]);
        let ino: u64 = ino.ok().and_then(|ino| ino.parse().ok()).ok_or(Errno::INVAL)?;
        let file = openat2(self.here()?, name, path_only(), Mode::empty(), beneath())?;
        let stat = fstat(&file)?;
        if stat.st_dev != self.device || stat.st_ino != ino {
            return Err(Errno::STALE);
        }
        let times = times(&stat, content);
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if content && is_file {
            // Closing it is an event too. Not everybody may write to everything.
            let link = format!("/proc/self/fd/{}", file.as_raw_fd());
            let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            if let Ok(open) = rustix::fs::open(link, flags, Mode::empty()) {
                return futimens(&open, &times);
            }
        }
        utimensat(&file, "", &times, AtFlags::EMPTY_PATH)
    }
}

fn open_dir(dir: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    openat2(dir, path, path_only() | OFlags::DIRECTORY, Mode::empty(), beneath())
}

// The kernel takes mtime alone for a change of content, both times for one of attributes.
fn times(stat: &Stat, content: bool) -> Timestamps {
    let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let accessed = Timespec { tv_sec: stat.st_atime, tv_nsec: stat.st_atime_nsec as _ };
    let modified = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ };
    Timestamps { last_access: if content { omit } else { accessed }, last_modification: modified }
}
