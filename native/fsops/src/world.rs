//! One of the two directories with the descriptors and the mapping held on it, and how an operation
//! is carried out there. Both sides run exactly this code; only the directory differs.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use memmap2::{MmapMut, MmapOptions};
use rustix::fs::{
    self, AtFlags, CWD, FileType, Gid, Mode, OFlags, RawMode, SeekFrom, Stat, Timespec, Timestamps,
    UTIME_NOW, UTIME_OMIT, Uid, XattrFlags,
};
use rustix::io::{self, Errno};

use crate::churn;
use crate::op::{Kind, Op, Path, SLOTS, Time};
use crate::tree::{self, Tree};

/// What an operation returned, as far as both sides must agree on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Unit,
    Count(u64),
    Bytes(Vec<u8>),
    Names(Vec<(Vec<u8>, char)>),
    Attrs(Attrs),
    /// A property that each side must have on its own, and has not.
    Broken(String),
}

pub type Outcome = Result<Value, Errno>;

/// The attributes that must be equal on both sides after every operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attrs {
    pub mode: u32,
    pub nlink: u64,
    pub uid: u32,
    pub gid: u32,
    /// Not of a directory: every file system counts those in its own way.
    pub size: u64,
    /// Set by the test to a time in the past; "now" is None.
    pub mtime: Option<(i64, i64)>,
}

/// Times the test sets are before this (2001); the clock is after.
const SET_BEFORE: i64 = 1_000_000_000;

pub fn attrs(st: &Stat, times: bool) -> Attrs {
    Seen::of(st, times).attrs
}

/// What a look at an inode shows.
#[derive(Clone, Debug)]
pub struct Seen {
    pub attrs: Attrs,
    pub ino: u64,
    pub mtime: (i64, i64),
    pub ctime: (i64, i64),
    /// Whether its times can be compared.
    pub timed: bool,
}

impl Seen {
    /// `times`: whether nothing is known that keeps its times from being compared.
    pub fn of(st: &Stat, times: bool) -> Seen {
        let attrs = Attrs {
            mode: st.st_mode,
            nlink: st.st_nlink,
            uid: st.st_uid,
            gid: st.st_gid,
            size: st.st_size as u64,
            mtime: None,
        };
        let mtime = (st.st_mtime, st.st_mtime_nsec as i64);
        let ctime = (st.st_ctime, st.st_ctime_nsec as i64);
        Seen::new(attrs, st.st_ino, mtime, ctime, times)
    }

    /// `attrs` without a time, and with the size of any kind of inode.
    pub fn new(attrs: Attrs, ino: u64, mtime: (i64, i64), ctime: (i64, i64), times: bool) -> Seen {
        let kind = FileType::from_raw_mode(attrs.mode);
        // A write to a fifo moves its times on tmpfs, and never reaches the server of a FUSE mount.
        let timed = times && kind != FileType::Fifo;
        let size = if kind == FileType::Directory { 0 } else { attrs.size };
        let set = (timed && mtime.0 < SET_BEFORE).then_some(mtime);
        Seen { attrs: Attrs { size, mtime: set, ..attrs }, ino, mtime, ctime, timed }
    }
}

/// What an operation names.
#[derive(Clone, Copy)]
pub enum Named<'a> {
    /// What a path leads to, a final symlink followed.
    Stat(&'a Path),
    /// What a path names.
    Lstat(&'a Path),
    /// An open file.
    Slot(usize),
}

/// One of the two sides of a comparison.
pub trait Side {
    fn apply(&mut self, op: &Op) -> Outcome;
    fn see(&self, what: Named<'_>) -> Result<Seen, Errno>;
    fn capture(&self) -> io::Result<Tree>;
}

pub struct World {
    pub root: OwnedFd,
    pub path: PathBuf,
    pub slots: Vec<Option<OwnedFd>>,
    map: Option<Mapping>,
    /// Inodes written through a mapping: when those times change differs by file system (on tmpfs
    /// never), so they are not compared any more.
    pub untimed: HashSet<u64>,
    zero_range: bool,
    /// Whether the other side is the engine, whose API does not open fifos.
    pub beside_engine: bool,
}

struct Mapping {
    bytes: MmapMut,
    fd: OwnedFd,
    off: u64,
}

impl World {
    pub fn open(path: PathBuf) -> io::Result<World> {
        let root =
            fs::open(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let zero_range = probe_zero_range(root.as_fd())?;
        Ok(World { zero_range, ..World::untouched(path, root) })
    }

    /// To be looked at only: nothing is made there.
    pub fn view(path: PathBuf) -> io::Result<World> {
        let root =
            fs::open(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(World::untouched(path, root))
    }

    fn untouched(path: PathBuf, root: OwnedFd) -> World {
        let slots = (0..SLOTS).map(|_| None).collect();
        let (map, untimed) = (None, HashSet::new());
        World { root, path, slots, map, untimed, zero_range: false, beside_engine: false }
    }

    fn at<'a>(&self, path: &'a Path) -> &'a OsStr {
        OsStr::from_bytes(&path.0)
    }

    fn full(&self, path: &Path) -> PathBuf {
        self.path.join(OsStr::from_bytes(&path.0))
    }

    pub fn slot(&self, slot: usize) -> io::Result<BorrowedFd<'_>> {
        self.slots[slot].as_ref().map(|fd| fd.as_fd()).ok_or(Errno::BADF)
    }

    pub fn lstat(&self, path: &Path) -> io::Result<Stat> {
        fs::statat(&self.root, self.at(path), AtFlags::SYMLINK_NOFOLLOW)
    }

    fn io(&mut self, op: &Op) -> Outcome {
        match op {
            Op::Open { slot, path, flags, mode } => {
                self.slots[*slot] = None;
                let flags = *flags | OFlags::CLOEXEC;
                let mode = Mode::from_raw_mode(*mode);
                let fd = fs::openat(&self.root, self.at(path), flags, mode)
                    .map_err(|errno| self.as_without_devices(path, errno))?;
                if self.beside_engine
                    && FileType::from_raw_mode(fs::fstat(&fd)?.st_mode) == FileType::Fifo
                {
                    return Err(Errno::NXIO);
                }
                self.slots[*slot] = Some(fd);
                Ok(Value::Unit)
            }
            Op::Close { slot } => self.slots[*slot].take().map(|_| Value::Unit).ok_or(Errno::BADF),
            Op::Read { slot, len } => {
                let mut buf = vec![0; *len];
                let n = io::read(self.slot(*slot)?, &mut buf[..])?;
                buf.truncate(n);
                Ok(Value::Bytes(buf))
            }
            Op::Write { slot, len, fill } => {
                Ok(Value::Count(io::write(self.slot(*slot)?, &pattern(*fill, *len))? as u64))
            }
            Op::Pread { slot, off, len } => {
                let mut buf = vec![0; *len];
                let n = io::pread(self.slot(*slot)?, &mut buf[..], *off)?;
                buf.truncate(n);
                Ok(Value::Bytes(buf))
            }
            Op::Pwrite { slot, off, len, fill } => {
                let n = io::pwrite(self.slot(*slot)?, &pattern(*fill, *len), *off)?;
                Ok(Value::Count(n as u64))
            }
            Op::Truncate { path, len } => nix::unistd::truncate(&self.full(path), *len as i64)
                .map(|()| Value::Unit)
                .map_err(|e| Errno::from_raw_os_error(e as i32)),
            Op::Ftruncate { slot, len } => unit(fs::ftruncate(self.slot(*slot)?, *len)),
            Op::Fallocate { slot, mode, off, len } => self.fallocate(*slot, *mode, *off, *len),
            Op::CopyRange { from, to, off_in, off_out, len } => {
                self.copy_range(*from, *to, (*off_in, *off_out), *len)
            }
            Op::SeekData { slot, off } => self.seek_sparse(*slot, *off, true),
            Op::SeekHole { slot, off } => self.seek_sparse(*slot, *off, false),
            Op::Fsync { slot } => unit(fs::fsync(self.slot(*slot)?)),
            _ => unreachable!("not an I/O operation"),
        }
    }

    fn fallocate(&self, slot: usize, mode: fs::FallocateFlags, off: u64, len: u64) -> Outcome {
        let fd = self.slot(slot)?;
        if !mode.contains(fs::FallocateFlags::ZERO_RANGE) || self.zero_range {
            return unit(fs::fallocate(fd, mode, off, len));
        }
        // tmpfs has no ZERO_RANGE: punching, and growing unless KEEP_SIZE, leaves the same bytes.
        let keep = fs::FallocateFlags::KEEP_SIZE;
        fs::fallocate(fd, keep | fs::FallocateFlags::PUNCH_HOLE, off, len)?;
        if !mode.contains(keep) && (fs::fstat(fd)?.st_size as u64) < off + len {
            fs::ftruncate(fd, off + len)?;
        }
        Ok(Value::Unit)
    }

    /// The call may copy less than asked; that it gets there in the end is what is compared.
    fn copy_range(&self, from: usize, to: usize, off: (u64, u64), len: usize) -> Outcome {
        let (from, to) = (self.slot(from)?, self.slot(to)?);
        let (mut off_in, mut off_out) = off;
        let mut done = 0;
        loop {
            match fs::copy_file_range(from, Some(&mut off_in), to, Some(&mut off_out), len - done) {
                Ok(0) => return Ok(Value::Count(done as u64)),
                Ok(n) => done += n,
                Err(e) if done == 0 => return Err(e),
                Err(e) => return Ok(Value::Broken(format!("{e:?} after {done} bytes"))),
            }
            if done >= len {
                return Ok(Value::Count(done as u64));
            }
        }
    }

    /// Where data and holes lie is each file system's own choice; that only zeros are called a hole
    /// is not.
    fn seek_sparse(&self, slot: usize, off: u64, data: bool) -> Outcome {
        let fd = self.slot(slot)?;
        let st = fs::fstat(fd)?;
        if FileType::from_raw_mode(st.st_mode) != FileType::RegularFile {
            return Err(Errno::INVAL);
        }
        let size = st.st_size as u64;
        let readable = fs::fcntl_getfl(fd)?.difference(OFlags::PATH).bits() & 3 != 1;
        let place = fs::tell(fd)?;
        // SEMANTICS S1: what a mapping holds is no data yet.
        fs::fdatasync(fd)?;
        let found = fs::seek(fd, if data { SeekFrom::Data(off) } else { SeekFrom::Hole(off) });
        fs::seek(fd, SeekFrom::Start(place))?;
        check_sparse(found, (off, size), data, |at, len| {
            let mut buf = vec![0; len];
            let n = if readable { io::pread(fd, &mut buf[..], at)? } else { 0 };
            buf.truncate(n);
            Ok(buf)
        })
    }

    fn names(&mut self, op: &Op) -> Outcome {
        let root = self.root.as_fd();
        match op {
            Op::Mkdir { path, mode } => {
                unit(fs::mkdirat(root, self.at(path), Mode::from_raw_mode(*mode)))
            }
            Op::Rmdir { path } => unit(fs::unlinkat(root, self.at(path), AtFlags::REMOVEDIR)),
            Op::Mkfifo { path, mode } => self.mknod(path, FileType::Fifo, *mode),
            Op::Mksock { path, mode } => self.mknod(path, FileType::Socket, *mode),
            Op::Symlink { target, path } => {
                unit(fs::symlinkat(self.at(target), root, self.at(path)))
            }
            Op::Readlink { path } => {
                let target = fs::readlinkat(root, self.at(path), Vec::new())?;
                Ok(Value::Bytes(target.into_bytes()))
            }
            Op::Link { from, to, follow } => {
                let flags = if *follow { AtFlags::SYMLINK_FOLLOW } else { AtFlags::empty() };
                unit(fs::linkat(root, self.at(from), root, self.at(to), flags))
            }
            Op::LinkSlot { slot, to } => {
                let from = format!("/proc/self/fd/{}", self.slot(*slot)?.as_raw_fd());
                unit(fs::linkat(CWD, from, root, self.at(to), AtFlags::SYMLINK_FOLLOW))
            }
            Op::Rename { from, to, flags } => {
                unit(fs::renameat_with(root, self.at(from), root, self.at(to), *flags))
            }
            Op::Unlink { path } => unit(fs::unlinkat(root, self.at(path), AtFlags::empty())),
            Op::List { path } => {
                let dir = self.open_dir(path)?;
                let mut names = Vec::new();
                for entry in churn::read_all(&dir)? {
                    names.push((entry.name, kind(entry.kind)));
                }
                names.sort();
                Ok(Value::Names(names))
            }
            Op::Churn { path, count, seed } => {
                let dir = self.open_dir(path)?;
                Ok(match churn::churn(&dir, *count, *seed)? {
                    None => Value::Unit,
                    Some(broken) => Value::Broken(broken),
                })
            }
            _ => unreachable!("not an operation on names"),
        }
    }

    fn open_dir(&self, path: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        fs::openat(&self.root, self.at(path), flags, Mode::empty())
    }

    fn mknod(&self, path: &Path, kind: FileType, mode: RawMode) -> Outcome {
        unit(fs::mknodat(&self.root, self.at(path), kind, Mode::from_raw_mode(mode), 0))
    }

    fn meta(&mut self, op: &Op) -> Outcome {
        let root = self.root.as_fd();
        match op {
            Op::Chmod { path, mode } => {
                let mode = Mode::from_raw_mode(*mode);
                unit(fs::chmodat(root, self.at(path), mode, AtFlags::empty()))
            }
            Op::Fchmod { slot, mode } => {
                unit(fs::fchmod(self.slot(*slot)?, Mode::from_raw_mode(*mode)))
            }
            Op::Chown { path, uid, gid, flags } => {
                unit(fs::chownat(root, self.at(path), user(*uid), group(*gid), *flags))
            }
            Op::Fchown { slot, uid, gid } => {
                unit(fs::fchown(self.slot(*slot)?, user(*uid), group(*gid)))
            }
            Op::Utimes { path, atime, mtime, flags } => {
                unit(fs::utimensat(root, self.at(path), &times(*atime, *mtime), *flags))
            }
            Op::Futimes { slot, atime, mtime } => {
                unit(fs::futimens(self.slot(*slot)?, &times(*atime, *mtime)))
            }
            Op::Stat { path } => self.stat_value(fs::statat(root, self.at(path), AtFlags::empty())),
            Op::Lstat { path } => self.stat_value(self.lstat(path)),
            Op::Access { path, mode } => {
                let how = fs::Access::from_bits_truncate(*mode);
                unit(fs::accessat(root, self.at(path), how, AtFlags::EACCESS))
            }
            _ => unreachable!("not an operation on attributes"),
        }
    }

    fn stat_value(&self, st: io::Result<Stat>) -> Outcome {
        st.map(|st| Value::Attrs(attrs(&st, !self.untimed.contains(&st.st_ino))))
    }

    fn xattrs(&mut self, op: &Op) -> Outcome {
        match op {
            Op::Setxattr { path, name, len, fill, flags } => {
                unit(fs::lsetxattr(self.full(path), *name, &pattern(*fill, *len), *flags))
            }
            Op::Fsetxattr { slot, name, len, fill } => {
                let value = pattern(*fill, *len);
                unit(fs::fsetxattr(self.slot(*slot)?, *name, &value, XattrFlags::empty()))
            }
            Op::Getxattr { path, name } => {
                let mut buf = vec![0; 4096];
                let n = fs::lgetxattr(self.full(path), *name, &mut buf[..])?;
                buf.truncate(n);
                Ok(Value::Bytes(buf))
            }
            Op::Removexattr { path, name } => unit(fs::lremovexattr(self.full(path), *name)),
            _ => unreachable!("not an operation on extended attributes"),
        }
    }

    fn mapping(&mut self, op: &Op) -> Outcome {
        if let Op::Map { slot, off, len } = op {
            self.map = None;
            let fd = self.slot(*slot)?.try_clone_to_owned().map_err(|_| Errno::MFILE)?;
            let mode = fs::fcntl_getfl(&fd)?;
            if mode.bits() & 3 != OFlags::RDWR.bits() || mode.contains(OFlags::PATH) {
                return Err(Errno::ACCESS);
            }
            // SAFETY: the bytes are only touched by `mapping`, and only those inside the file,
            // whose size nobody else changes meanwhile: each thread of the test has files of its
            // own.
            let bytes = unsafe { MmapOptions::new().offset(*off).len(*len).map_mut(&fd) }
                .map_err(|e| Errno::from_raw_os_error(e.raw_os_error().unwrap_or(0)))?;
            self.map = Some(Mapping { bytes, fd, off: *off });
            return Ok(Value::Unit);
        }
        let Some(map) = self.map.as_mut() else { return Err(Errno::BADF) };
        let st = fs::fstat(&map.fd)?;
        let inside = (st.st_size as u64).saturating_sub(map.off).min(map.bytes.len() as u64);
        let span = |at: usize, len: usize| at.min(inside as usize)..(at + len).min(inside as usize);
        match op {
            Op::MapStore { at, len, fill } => {
                let span = span(*at, *len);
                let count = span.len();
                map.bytes[span].copy_from_slice(&pattern(*fill, count));
                self.untimed.insert(st.st_ino);
                Ok(Value::Count(count as u64))
            }
            Op::MapLoad { at, len } => Ok(Value::Bytes(map.bytes[span(*at, *len)].to_vec())),
            Op::MapSync => map.bytes.flush().map(|()| Value::Unit).map_err(|_| Errno::IO),
            _ => {
                self.map = None;
                Ok(Value::Unit)
            }
        }
    }
}

impl World {
    // A whiteout is a device without a driver; where no device may be opened, as in a workspace
    // (SEMANTICS S1), it is refused before anybody looks for one.
    fn as_without_devices(&self, path: &Path, errno: Errno) -> Errno {
        let is_device = || {
            let st = fs::statat(&self.root, self.at(path), AtFlags::empty());
            st.is_ok_and(|st| FileType::from_raw_mode(st.st_mode) == FileType::CharacterDevice)
        };
        if errno == Errno::NXIO && !self.beside_engine && is_device() {
            Errno::ACCESS
        } else {
            errno
        }
    }
}

impl Side for World {
    fn apply(&mut self, op: &Op) -> Outcome {
        match op.kind() {
            Kind::Content => self.io(op),
            Kind::Names => self.names(op),
            Kind::Attributes => self.meta(op),
            Kind::Xattrs => self.xattrs(op),
            Kind::Mapping => self.mapping(op),
        }
    }

    fn see(&self, what: Named<'_>) -> Result<Seen, Errno> {
        let st = match what {
            Named::Stat(path) => fs::statat(&self.root, self.at(path), AtFlags::empty())?,
            Named::Lstat(path) => self.lstat(path)?,
            Named::Slot(slot) => fs::fstat(self.slot(slot)?)?,
        };
        Ok(Seen::of(&st, !self.untimed.contains(&st.st_ino)))
    }

    fn capture(&self) -> io::Result<Tree> {
        tree::capture(self)
    }
}

fn unit(result: io::Result<()>) -> Outcome {
    result.map(|()| Value::Unit)
}

/// Checks what SEEK_DATA or SEEK_HOLE found from `off` of a file of `size` bytes.
pub fn check_sparse(
    found: io::Result<u64>,
    (off, size): (u64, u64),
    data: bool,
    read: impl Fn(u64, usize) -> io::Result<Vec<u8>>,
) -> Outcome {
    let found = match found {
        Err(Errno::NXIO) if off >= size => return Err(Errno::NXIO),
        Err(Errno::NXIO) if data => size,
        Err(e) => return Err(e),
        Ok(n) if n < off || n > size || (data && n == size) => {
            return Ok(Value::Broken(format!("offset {n} of {size} from {off}")));
        }
        Ok(n) => n,
    };
    // The rest of a hole of gigabytes is zero as well, or the whole tree differs later.
    let zeros = if data { off..found.min(off + 400_000) } else { found..(found + 1).min(size) };
    if !zeros.is_empty() {
        let bytes = read(zeros.start, (zeros.end - zeros.start) as usize)?;
        if bytes.iter().any(|b| *b != 0) {
            return Ok(Value::Broken(format!("bytes in the hole {zeros:?}")));
        }
    }
    Ok(Value::Unit)
}

/// Bytes that depend on their place, so that a shift of data shows.
pub fn pattern(fill: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| fill.wrapping_add((i / 7) as u8) | u8::from(fill != 0)).collect()
}

fn user(id: Option<u32>) -> Option<Uid> {
    id.map(Uid::from_raw)
}

fn group(id: Option<u32>) -> Option<Gid> {
    id.map(Gid::from_raw)
}

fn times(atime: Time, mtime: Time) -> Timestamps {
    let spec = |t| match t {
        Time::Omit => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        Time::Now => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        Time::At(tv_sec, tv_nsec) => Timespec { tv_sec, tv_nsec },
    };
    Timestamps { last_access: spec(atime), last_modification: spec(mtime) }
}

pub fn kind(kind: FileType) -> char {
    match kind {
        FileType::RegularFile => 'f',
        FileType::Directory => 'd',
        FileType::Symlink => 'l',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
        FileType::CharacterDevice => 'c',
        FileType::BlockDevice => 'b',
        FileType::Unknown => '?',
    }
}

/// The same of type bits.
pub fn kind_of(bits: u32) -> char {
    kind(FileType::from_raw_mode(bits))
}

fn probe_zero_range(root: BorrowedFd<'_>) -> io::Result<bool> {
    let name = &format!(".probe-{:?}", std::thread::current().id());
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC;
    let fd = fs::openat(root, name, flags, Mode::from_raw_mode(0o600))?;
    let mode = fs::FallocateFlags::ZERO_RANGE | fs::FallocateFlags::KEEP_SIZE;
    let works = fs::fallocate(&fd, mode, 0, 4096).is_ok();
    fs::unlinkat(root, name, AtFlags::empty())?;
    Ok(works)
}
