//! The calls of the table, each tried on every path or pair of paths.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{
    self, Access, AtFlags, FallocateFlags, FileType, Gid, Mode, OFlags, RenameFlags, Timespec,
    Timestamps, UTIME_NOW, UTIME_OMIT, Uid, XattrFlags, makedev,
};
use rustix::io::{self, Errno};

use super::fixture::{STRANGERS, TEAM};

type Run = fn(&OwnedFd, &[u8], &[u8]) -> io::Result<String>;

pub struct Call {
    pub name: &'static str,
    pub run: Run,
    /// Only then atime is compared: a workspace is noatime.
    pub sets_atime: bool,
}

const fn call(name: &'static str, run: Run) -> Call {
    Call { name, run, sets_atime: false }
}

const fn times(name: &'static str, run: Run) -> Call {
    Call { name, run, sets_atime: true }
}

fn os(path: &[u8]) -> &OsStr {
    OsStr::from_bytes(path)
}

fn ok(result: io::Result<()>) -> io::Result<String> {
    result.map(|()| "ok".into())
}

// Opening a fifo must not wait.
fn open(root: &OwnedFd, path: &[u8], flags: OFlags, mode: u32) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::NONBLOCK | OFlags::CLOEXEC;
    fs::openat(root, os(path), flags, Mode::from_raw_mode(mode))
}

fn opened(root: &OwnedFd, path: &[u8], flags: OFlags, mode: u32) -> io::Result<String> {
    open(root, path, flags, mode).map(|_| "ok".into())
}

fn mknod(root: &OwnedFd, path: &[u8], kind: FileType, dev: u64) -> io::Result<String> {
    ok(fs::mknodat(root, os(path), kind, Mode::from_raw_mode(0o7666), dev))
}

fn chmod(root: &OwnedFd, path: &[u8], mode: u32) -> io::Result<String> {
    ok(fs::chmodat(root, os(path), Mode::from_raw_mode(mode), AtFlags::empty()))
}

fn chown(
    root: &OwnedFd,
    path: &[u8],
    uid: Option<u32>,
    gid: Option<u32>,
    flags: AtFlags,
) -> io::Result<String> {
    let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
    ok(fs::chownat(root, os(path), uid, gid, flags))
}

fn truncate(root: &OwnedFd, path: &[u8], len: i64) -> io::Result<String> {
    let full = through(root, path)?;
    let done = nix::unistd::truncate(os(&full), len);
    ok(done.map_err(|e| Errno::from_raw_os_error(e as i32)))
}

// For calls that have no form with a directory.
fn through(root: &OwnedFd, path: &[u8]) -> io::Result<Vec<u8>> {
    if path.is_empty() {
        return Err(Errno::NOENT);
    }
    let mut full = format!("/proc/self/fd/{}/", root.as_raw_fd()).into_bytes();
    full.extend_from_slice(path);
    Ok(full)
}

fn utimes(root: &OwnedFd, path: &[u8], times: [i64; 2], flags: AtFlags) -> io::Result<String> {
    let spec = |nsec| match nsec {
        UTIME_NOW | UTIME_OMIT => Timespec { tv_sec: 0, tv_nsec: nsec },
        _ => Timespec { tv_sec: 1_000_000, tv_nsec: nsec },
    };
    let [last_access, last_modification] = times.map(spec);
    ok(fs::utimensat(root, os(path), &Timestamps { last_access, last_modification }, flags))
}

fn access(root: &OwnedFd, path: &[u8], how: Access) -> io::Result<String> {
    ok(fs::accessat(root, os(path), how, AtFlags::EACCESS))
}

fn fallocate(root: &OwnedFd, path: &[u8], flags: FallocateFlags) -> io::Result<String> {
    ok(fs::fallocate(open(root, path, OFlags::RDWR, 0)?, flags, 100, 9000))
}

fn stat(root: &OwnedFd, path: &[u8], flags: AtFlags) -> io::Result<String> {
    let st = fs::statat(root, os(path), flags)?;
    Ok(format!("{:o} {}:{}", st.st_mode, st.st_uid, st.st_gid))
}

fn copy_range(root: &OwnedFd, path: &[u8]) -> io::Result<String> {
    let to = open(root, path, OFlags::WRONLY, 0)?;
    let from = open(root, b"own/ro", OFlags::RDONLY, 0)?;
    let (mut at, mut at_out) = (0, 1);
    Ok(fs::copy_file_range(from, Some(&mut at), to, Some(&mut at_out), 100)?.to_string())
}

// An unnamed file of a directory gets a name in it, with and without O_EXCL.
fn tmpfile(root: &OwnedFd, path: &[u8], flags: OFlags) -> io::Result<String> {
    let fd = open(root, path, OFlags::TMPFILE | OFlags::RDWR | flags, 0o2755)?;
    let dir = open(root, path, OFlags::DIRECTORY | OFlags::PATH, 0)?;
    let own = format!("/proc/self/fd/{}", fd.as_raw_fd());
    ok(fs::linkat(fs::CWD, own, dir, "named", AtFlags::SYMLINK_FOLLOW))
}

// A file that has lost its last name cannot get one again.
fn relink(root: &OwnedFd, path: &[u8]) -> io::Result<String> {
    let fd = open(root, path, OFlags::RDONLY, 0)?;
    fs::unlinkat(root, os(path), AtFlags::empty())?;
    let own = format!("/proc/self/fd/{}", fd.as_raw_fd());
    ok(fs::linkat(fs::CWD, own, root, "pub/again", AtFlags::SYMLINK_FOLLOW))
}

fn rename(root: &OwnedFd, from: &[u8], to: &[u8], flags: RenameFlags) -> io::Result<String> {
    ok(fs::renameat_with(root, os(from), root, os(to), flags))
}

fn xattr(root: &OwnedFd, path: &[u8], name: &str) -> io::Result<String> {
    let full = through(root, path)?;
    ok(fs::setxattr(os(&full), name, b"1", XattrFlags::empty()))
}

const NONE: AtFlags = AtFlags::empty();
const LINK: AtFlags = AtFlags::SYMLINK_NOFOLLOW;

pub const SINGLE: &[Call] = &[
    call("open r", |d, p, _| opened(d, p, OFlags::RDONLY, 0)),
    call("open w", |d, p, _| opened(d, p, OFlags::WRONLY, 0)),
    call("open creat", |d, p, _| opened(d, p, OFlags::CREATE | OFlags::RDWR, 0o7666)),
    call("open creat excl", |d, p, _| {
        opened(d, p, OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY, 0o444)
    }),
    call("open trunc", |d, p, _| opened(d, p, OFlags::TRUNC | OFlags::WRONLY, 0)),
    call("open r trunc", |d, p, _| opened(d, p, OFlags::TRUNC | OFlags::RDONLY, 0)),
    call("open creat trunc", |d, p, _| {
        opened(d, p, OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY, 0o600)
    }),
    call("open directory", |d, p, _| opened(d, p, OFlags::DIRECTORY, 0)),
    call("open directory creat", |d, p, _| opened(d, p, OFlags::DIRECTORY | OFlags::CREATE, 0)),
    call("open nofollow", |d, p, _| opened(d, p, OFlags::NOFOLLOW, 0)),
    call("open path", |d, p, _| opened(d, p, OFlags::PATH | OFlags::NOFOLLOW, 0)),
    call("open append", |d, p, _| {
        let fd = open(d, p, OFlags::APPEND | OFlags::WRONLY, 0)?;
        Ok(io::write(fd, b"more")?.to_string())
    }),
    call("tmpfile", |d, p, _| tmpfile(d, p, OFlags::empty())),
    call("tmpfile excl", |d, p, _| tmpfile(d, p, OFlags::EXCL)),
    call("link without a name", |d, p, _| relink(d, p)),
    call("mkdir", |d, p, _| ok(fs::mkdirat(d, os(p), Mode::from_raw_mode(0o7777)))),
    call("rmdir", |d, p, _| ok(fs::unlinkat(d, os(p), AtFlags::REMOVEDIR))),
    call("unlink", |d, p, _| ok(fs::unlinkat(d, os(p), NONE))),
    call("mkfifo", |d, p, _| mknod(d, p, FileType::Fifo, 0)),
    call("mknod socket", |d, p, _| mknod(d, p, FileType::Socket, 0)),
    call("mknod file", |d, p, _| mknod(d, p, FileType::RegularFile, 0)),
    call("mknod device", |d, p, _| mknod(d, p, FileType::CharacterDevice, makedev(1, 3))),
    call("mknod disk", |d, p, _| mknod(d, p, FileType::BlockDevice, makedev(7, 0))),
    call("mknod whiteout", |d, p, _| mknod(d, p, FileType::CharacterDevice, 0)),
    call("mknod directory", |d, p, _| mknod(d, p, FileType::Directory, 0)),
    call("symlink", |d, p, _| ok(fs::symlinkat("target", d, os(p)))),
    call("symlink empty", |d, p, _| ok(fs::symlinkat("", d, os(p)))),
    call("symlink 4095", |d, p, _| ok(fs::symlinkat("t".repeat(4095), d, os(p)))),
    call("symlink 4096", |d, p, _| ok(fs::symlinkat("t".repeat(4096), d, os(p)))),
    call("readlink", |d, p, _| Ok(format!("{:?}", fs::readlinkat(d, os(p), Vec::new())?))),
    call("chmod 640", |d, p, _| chmod(d, p, 0o640)),
    call("chmod 7777", |d, p, _| chmod(d, p, 0o7777)),
    call("chown to owner", |d, p, _| chown(d, p, Some(64_001), None, NONE)),
    call("chown to root", |d, p, _| chown(d, p, Some(0), Some(0), NONE)),
    call("chown to team", |d, p, _| chown(d, p, None, Some(TEAM), NONE)),
    call("chown to strangers", |d, p, _| chown(d, p, None, Some(STRANGERS), NONE)),
    call("chown to nobody", |d, p, _| chown(d, p, None, None, NONE)),
    call("lchown to team", |d, p, _| chown(d, p, None, Some(TEAM), LINK)),
    call("truncate shorter", |d, p, _| truncate(d, p, 10)),
    call("truncate longer", |d, p, _| truncate(d, p, 10_000)),
    call("truncate same", |d, p, _| truncate(d, p, 5000)),
    call("truncate negative", |d, p, _| truncate(d, p, -1)),
    call("truncate too large", |d, p, _| truncate(d, p, i64::MAX)),
    call("ftruncate", |d, p, _| {
        ok(fs::ftruncate(open(d, p, OFlags::RDWR | OFlags::NOFOLLOW, 0)?, 7))
    }),
    call("ftruncate r", |d, p, _| ok(fs::ftruncate(open(d, p, OFlags::RDONLY, 0)?, 7))),
    call("write", |d, p, _| Ok(io::pwrite(open(d, p, OFlags::WRONLY, 0)?, b"new", 2)?.to_string())),
    call(
        "write nothing",
        |d, p, _| Ok(io::write(open(d, p, OFlags::WRONLY, 0)?, b"")?.to_string()),
    ),
    call("read", |d, p, _| {
        let (fd, mut bytes) = (open(d, p, OFlags::RDONLY, 0)?, [0u8; 10]);
        Ok(io::read(fd, &mut bytes[..])?.to_string())
    }),
    call("copy_file_range", |d, p, _| copy_range(d, p)),
    call("fallocate", |d, p, _| fallocate(d, p, FallocateFlags::empty())),
    call("fallocate keep", |d, p, _| fallocate(d, p, FallocateFlags::KEEP_SIZE)),
    call("punch", |d, p, _| {
        fallocate(d, p, FallocateFlags::KEEP_SIZE | FallocateFlags::PUNCH_HOLE)
    }),
    call("fallocate r", |d, p, _| {
        let fd = open(d, p, OFlags::RDONLY, 0)?;
        ok(fs::fallocate(fd, FallocateFlags::empty(), 0, 10))
    }),
    times("utimes now", |d, p, _| utimes(d, p, [UTIME_NOW; 2], NONE)),
    times("utimes set", |d, p, _| utimes(d, p, [5, 6], NONE)),
    times("utimes omit", |d, p, _| utimes(d, p, [UTIME_OMIT; 2], NONE)),
    times("utimes now omit", |d, p, _| utimes(d, p, [UTIME_NOW, UTIME_OMIT], NONE)),
    times("utimes omit set", |d, p, _| utimes(d, p, [UTIME_OMIT, 7], NONE)),
    times("lutimes set", |d, p, _| utimes(d, p, [8, 9], LINK)),
    times("utimes invalid", |d, p, _| utimes(d, p, [1_000_000_000, 1], NONE)),
    call("access r", |d, p, _| access(d, p, Access::READ_OK)),
    call("access w", |d, p, _| access(d, p, Access::WRITE_OK)),
    call("access x", |d, p, _| access(d, p, Access::EXEC_OK)),
    call("stat", |d, p, _| stat(d, p, NONE)),
    call("lstat", |d, p, _| stat(d, p, LINK)),
    call("list", |d, p, _| {
        Ok(crate::churn::read_all(&open(d, p, OFlags::DIRECTORY, 0)?)?.len().to_string())
    }),
    call("setxattr user", |d, p, _| xattr(d, p, "user.x")),
    call("setxattr trusted", |d, p, _| xattr(d, p, "trusted.x")),
];

pub const PAIRED: &[Call] = &[
    call("rename", |d, p, q| rename(d, p, q, RenameFlags::empty())),
    call("rename noreplace", |d, p, q| rename(d, p, q, RenameFlags::NOREPLACE)),
    call("rename exchange", |d, p, q| rename(d, p, q, RenameFlags::EXCHANGE)),
    call("link", |d, p, q| ok(fs::linkat(d, os(p), d, os(q), NONE))),
    call("link follow", |d, p, q| ok(fs::linkat(d, os(p), d, os(q), AtFlags::SYMLINK_FOLLOW))),
];
