//! The engine as a side of the comparison: no mount, no kernel. What the path-level API offers goes
//! through it; the rest goes to the engine below, with the checks that a kernel makes before.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use devdev_vfs::api::{Api, Fd, OpenFlags, Waiting};
use devdev_vfs::{
    Attr, Caller, Clock, Errno as VfsErrno, Hold, Limits, NodeId, RenameFlags, S_IFDIR, S_IFIFO,
    S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK, SetAttr, SetTime, SetXattr, Timespec, Vfs, VfsOptions,
    Waitable, Whence,
};
use rustix::fs::{AtFlags, OFlags, RenameFlags as Flags, XattrFlags};
use rustix::io::{self, Errno};

use crate::op::{Kind, Op, Path, SLOTS, Time};
use crate::tree::Tree;
use crate::world::{Attrs, Named, Outcome, Seen, Side, Value, check_sparse, pattern};

/// The directory in which the test runs: its paths may lead to the one above.
const ROOT: &[u8] = b"/t";

struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> Timespec {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timespec { secs: now.as_secs() as i64, nanos: now.subsec_nanos() }
    }
}

/// A fresh workspace for one sequence.
pub struct Engine {
    pub api: Api,
    pub owner: Caller,
    slots: [Option<(Fd, OpenFlags)>; SLOTS],
}

pub fn errno(error: VfsErrno) -> Errno {
    Errno::from_raw_os_error(error.code())
}

fn unit(result: devdev_vfs::Result<()>) -> Outcome {
    result.map(|()| Value::Unit).map_err(errno)
}

fn time(time: Time) -> Option<SetTime> {
    match time {
        Time::Omit => None,
        Time::Now => Some(SetTime::Now),
        Time::At(secs, nanos) => Some(SetTime::At(Timespec { secs, nanos: nanos as u32 })),
    }
}

/// The path below the workspace's root.
pub fn full(path: &[u8]) -> Vec<u8> {
    [ROOT, b"/", path].concat()
}

fn follows(flags: AtFlags) -> bool {
    !flags.contains(AtFlags::SYMLINK_NOFOLLOW)
}

pub fn seen(attr: &Attr) -> Seen {
    let time = |t: Timespec| (t.secs, i64::from(t.nanos));
    let attrs = Attrs {
        mode: attr.mode,
        nlink: u64::from(attr.nlink),
        uid: attr.uid,
        gid: attr.gid,
        size: attr.size,
        mtime: None,
    };
    Seen::new(attrs, attr.node.0, time(attr.mtime), time(attr.ctime), true)
}

impl Engine {
    pub fn new() -> io::Result<Engine> {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let owner = Caller { uid, gid, pid: std::process::id() };
        let limits = Limits { bytes: 1 << 40, inodes: 1 << 30 };
        let options = VfsOptions { clock: Arc::new(HostClock), limits, xattrs: true, owner };
        let api = Api::new(Vfs::new(options), owner);
        api.mkdir(ROOT, 0o755).map_err(errno)?;
        Ok(Engine { api, owner, slots: [None; SLOTS] })
    }

    pub fn vfs(&self) -> &Vfs {
        self.api.vfs()
    }

    fn done<T>(&self, attempt: impl FnMut() -> Waitable<T>) -> io::Result<T> {
        Waiting(self.vfs()).until_done(attempt).map_err(errno)
    }

    fn slot(&self, slot: usize) -> io::Result<(Fd, OpenFlags)> {
        self.slots[slot].ok_or(Errno::BADF)
    }

    fn fd(&self, slot: usize) -> io::Result<Fd> {
        Ok(self.slot(slot)?.0)
    }

    fn node(&self, path: &Path, follow: bool) -> io::Result<Attr> {
        self.api.stat(&full(&path.0), follow).map_err(errno)
    }

    /// The directory of a path whose last name is a proper one, and that name.
    fn parent<'a>(&self, path: &'a Path) -> io::Result<(NodeId, &'a [u8])> {
        let at = path.0.iter().rposition(|c| *c == b'/');
        let (dir, name) = match at {
            Some(at) => (&path.0[..at + 1], &path.0[at + 1..]),
            None => (&b"."[..], &path.0[..]),
        };
        Ok((self.node(&Path(dir.to_vec()), true)?.node, name))
    }

    fn io(&mut self, op: &Op) -> Outcome {
        let count = |n: usize| Value::Count(n as u64);
        match op {
            Op::Open { slot, path, flags, mode } => self.open(*slot, path, *flags, *mode),
            Op::Close { slot } => {
                let (fd, _) = self.slots[*slot].take().ok_or(Errno::BADF)?;
                unit(self.api.close(fd))
            }
            Op::Read { slot, len } => {
                self.api.read(self.fd(*slot)?, *len, None).map(Value::Bytes).map_err(errno)
            }
            Op::Write { slot, len, fill } => {
                let data = pattern(*fill, *len);
                self.api.write(self.fd(*slot)?, &data, None).map(count).map_err(errno)
            }
            Op::Pread { slot, off, len } => {
                self.api.read(self.fd(*slot)?, *len, Some(*off)).map(Value::Bytes).map_err(errno)
            }
            Op::Pwrite { slot, off, len, fill } => {
                let data = pattern(*fill, *len);
                self.api.write(self.fd(*slot)?, &data, Some(*off)).map(count).map_err(errno)
            }
            Op::Truncate { path, len } => unit(self.api.truncate(&full(&path.0), *len)),
            Op::Ftruncate { slot, len } => unit(self.api.ftruncate(self.fd(*slot)?, *len)),
            Op::Fallocate { slot, mode, off, len } => {
                let (fd, flags) = self.slot(*slot)?;
                if *len == 0 {
                    return Err(Errno::INVAL);
                }
                if !flags.write {
                    return Err(Errno::BADF);
                }
                let node = self.api.fstat(fd).map_err(errno)?.node;
                self.done(|| self.vfs().fallocate(node, mode.bits(), *off, *len))?;
                self.drop_privileges(node)
            }
            Op::CopyRange { from, to, off_in, off_out, len } => {
                self.copy_range(*from, *to, (*off_in, *off_out), *len as u64)
            }
            Op::SeekData { slot, off } => self.seek_sparse(*slot, *off, true),
            Op::SeekHole { slot, off } => self.seek_sparse(*slot, *off, false),
            Op::Fsync { slot } => unit(self.api.fsync(self.fd(*slot)?)),
            _ => unreachable!("not an I/O operation"),
        }
    }

    fn open(&mut self, slot: usize, path: &Path, flags: OFlags, mode: u32) -> Outcome {
        if let Some((fd, _)) = self.slots[slot].take() {
            self.api.close(fd).map_err(errno)?;
        }
        let (access, has) = (flags.bits() & 3, |flag| flags.contains(flag));
        let how = OpenFlags {
            read: access != OFlags::WRONLY.bits(),
            write: access != OFlags::RDONLY.bits(),
            append: has(OFlags::APPEND),
            create: has(OFlags::CREATE),
            exclusive: has(OFlags::EXCL),
            truncate: has(OFlags::TRUNC),
            directory: has(OFlags::DIRECTORY),
            nofollow: has(OFlags::NOFOLLOW),
        };
        let fd = self.api.open(&full(&path.0), how, mode).map_err(errno)?;
        self.slots[slot] = Some((fd, how));
        Ok(Value::Unit)
    }

    fn copy_range(&self, from: usize, to: usize, off: (u64, u64), len: u64) -> Outcome {
        let ((from, reads), (to, writes)) = (self.slot(from)?, self.slot(to)?);
        let from = self.api.fstat(from).map_err(errno)?;
        let to = self.api.fstat(to).map_err(errno)?;
        let is = |kind| from.mode & S_IFMT == kind || to.mode & S_IFMT == kind;
        if is(S_IFDIR) {
            return Err(Errno::ISDIR);
        }
        if !reads.read || !writes.write || writes.append {
            return Err(Errno::BADF);
        }
        let mut done = 0;
        loop {
            let copy = || {
                let (at_in, at_out) = (off.0 + done, off.1 + done);
                self.vfs().copy_file_range(from.node, at_in, to.node, at_out, len - done)
            };
            match self.done(copy) {
                Ok(n) => done += n,
                Err(e) if done == 0 => return Err(e),
                Err(e) => return Ok(Value::Broken(format!("{e:?} after {done} bytes"))),
            }
            let rest = self.vfs().getattr(from.node).map_err(errno)?.size;
            if done >= len || off.0 + done >= rest {
                if done > 0 {
                    self.drop_privileges(to.node)?;
                }
                return Ok(Value::Count(done));
            }
        }
    }

    /// What a bridge does when somebody else than root has changed content.
    fn drop_privileges(&self, node: NodeId) -> Outcome {
        let set = SetAttr { kill_privileges: self.owner.uid != 0, ..SetAttr::default() };
        self.done(|| self.vfs().setattr(node, &set)).map(|_| Value::Unit)
    }

    fn seek_sparse(&self, slot: usize, off: u64, data: bool) -> Outcome {
        let (fd, flags) = self.slot(slot)?;
        let attr = self.api.fstat(fd).map_err(errno)?;
        if attr.mode & S_IFMT != S_IFREG {
            return Err(Errno::INVAL);
        }
        let whence = if data { Whence::Data } else { Whence::Hole };
        let found = self.vfs().lseek(attr.node, off, whence).map_err(errno);
        check_sparse(found, (off, attr.size), data, |at, len| match flags.read {
            true => self.api.read(fd, len, Some(at)).map_err(errno),
            false => Ok(Vec::new()),
        })
    }

    fn names(&self, op: &Op) -> Outcome {
        let api = &self.api;
        match op {
            Op::Mkdir { path, mode } => unit(api.mkdir(&full(&path.0), *mode)),
            Op::Rmdir { path } => unit(api.rmdir(&full(&path.0))),
            Op::Mkfifo { path, mode } => unit(api.mknod(&full(&path.0), S_IFIFO | mode, 0)),
            Op::Mksock { path, mode } => unit(api.mknod(&full(&path.0), S_IFSOCK | mode, 0)),
            Op::Symlink { target, path } => unit(api.symlink(&target.0, &full(&path.0))),
            Op::Readlink { path } => api.readlink(&full(&path.0)).map(Value::Bytes).map_err(errno),
            Op::Link { from, to, follow: false } => unit(api.link(&full(&from.0), &full(&to.0))),
            Op::Link { from, to, follow: true } => self.link(&self.node(from, true)?, to),
            Op::LinkSlot { slot, to } => {
                let attr = api.fstat(self.fd(*slot)?).map_err(errno)?;
                self.link(&attr, to)
            }
            Op::Rename { from, to, flags } if flags.is_empty() => {
                unit(api.rename(&full(&from.0), &full(&to.0)))
            }
            Op::Rename { from, to, flags } => {
                let ((dir, name), (new_dir, new_name)) = (self.parent(from)?, self.parent(to)?);
                let flags = RenameFlags {
                    noreplace: flags.contains(Flags::NOREPLACE),
                    exchange: flags.contains(Flags::EXCHANGE),
                    whiteout: flags.contains(Flags::WHITEOUT).then_some(self.owner),
                };
                unit(self.vfs().rename(dir, name, new_dir, new_name, flags))
            }
            Op::Unlink { path } => unit(api.unlink(&full(&path.0))),
            Op::List { path } => {
                let listed = api.readdir(&full(&path.0)).map_err(errno)?.into_iter();
                let names = listed.map(|l| (l.name.to_vec(), crate::world::kind_of(l.kind)));
                Ok(Value::Names(names.collect()))
            }
            _ => unreachable!("not an operation on names"),
        }
    }

    /// linkat(2) of what is already found. A file that lost its last name cannot get one.
    fn link(&self, from: &Attr, to: &Path) -> Outcome {
        let (dir, name) = self.parent(to)?;
        match self.done(|| self.vfs().lookup(dir, name, Hold::None)) {
            Ok(_) => return Err(Errno::EXIST),
            Err(Errno::NOENT) if from.nlink == 0 && from.mode & S_IFMT != S_IFDIR => {
                return Err(Errno::NOENT);
            }
            Err(Errno::NOENT) => {}
            Err(e) => return Err(e),
        }
        unit(self.vfs().link(from.node, dir, name, Hold::None).map(drop))
    }

    fn meta(&self, op: &Op) -> Outcome {
        let api = &self.api;
        match op {
            Op::Chmod { path, mode } => unit(api.chmod(&full(&path.0), *mode)),
            Op::Fchmod { slot, mode } => unit(api.fchmod(self.fd(*slot)?, *mode)),
            Op::Chown { path, uid, gid, flags } => {
                unit(api.chown(&full(&path.0), *uid, *gid, follows(*flags)))
            }
            Op::Fchown { slot, uid, gid } => unit(api.fchown(self.fd(*slot)?, *uid, *gid)),
            Op::Utimes { path, atime, mtime, flags } => match (time(*atime), time(*mtime)) {
                // The kernel does not even look at the path.
                (None, None) => Ok(Value::Unit),
                (Some(atime), Some(mtime)) => {
                    unit(api.utimes(&full(&path.0), atime, mtime, follows(*flags)))
                }
                (atime, mtime) => {
                    self.set_times(self.node(path, follows(*flags))?.node, atime, mtime)
                }
            },
            Op::Futimes { slot, atime, mtime } => match (time(*atime), time(*mtime)) {
                (None, None) => self.fd(*slot).map(|_| Value::Unit),
                (Some(atime), Some(mtime)) => unit(api.futimes(self.fd(*slot)?, atime, mtime)),
                (atime, mtime) => {
                    let node = api.fstat(self.fd(*slot)?).map_err(errno)?.node;
                    self.set_times(node, atime, mtime)
                }
            },
            Op::Stat { path } => Ok(Value::Attrs(self.see(Named::Stat(path))?.attrs)),
            Op::Lstat { path } => Ok(Value::Attrs(self.see(Named::Lstat(path))?.attrs)),
            Op::Access { path, mode } => unit(api.access(&full(&path.0), *mode)),
            _ => unreachable!("not an operation on attributes"),
        }
    }

    fn set_times(&self, node: NodeId, atime: Option<SetTime>, mtime: Option<SetTime>) -> Outcome {
        let set = SetAttr { atime, mtime, ..SetAttr::default() };
        self.done(|| self.vfs().setattr(node, &set)).map(|_| Value::Unit)
    }

    fn xattrs(&self, op: &Op) -> Outcome {
        let api = &self.api;
        match op {
            Op::Setxattr { path, name, len, fill, flags } => {
                let how = SetXattr {
                    create: flags.contains(XattrFlags::CREATE),
                    replace: flags.contains(XattrFlags::REPLACE),
                };
                let (attr, value) = (self.node(path, false)?, pattern(*fill, *len));
                let (vfs, name) = (self.vfs(), name.as_bytes());
                if attr.mode & S_IFMT != S_IFLNK {
                    return unit(api.setxattr(&full(&path.0), name, &value, how));
                }
                unit(vfs.setxattr(attr.node, name, &value, how, self.owner))
            }
            Op::Fsetxattr { slot, name, len, fill } => {
                let node = api.fstat(self.fd(*slot)?).map_err(errno)?.node;
                let (how, value) = (SetXattr::default(), pattern(*fill, *len));
                unit(self.vfs().setxattr(node, name.as_bytes(), &value, how, self.owner))
            }
            Op::Getxattr { path, name } => {
                let attr = self.node(path, false)?;
                let value = if attr.mode & S_IFMT == S_IFLNK {
                    self.vfs().getxattr(attr.node, name.as_bytes())
                } else {
                    api.getxattr(&full(&path.0), name.as_bytes())
                };
                value.map(Value::Bytes).map_err(errno)
            }
            Op::Removexattr { path, name } => {
                let attr = self.node(path, false)?;
                if attr.mode & S_IFMT == S_IFLNK {
                    let removed = self.vfs().removexattr(attr.node, name.as_bytes(), self.owner);
                    return unit(removed);
                }
                unit(api.removexattr(&full(&path.0), name.as_bytes()))
            }
            _ => unreachable!("not an operation on extended attributes"),
        }
    }
}

impl Side for Engine {
    fn apply(&mut self, op: &Op) -> Outcome {
        match op.kind() {
            Kind::Content => self.io(op),
            Kind::Names => self.names(op),
            Kind::Attributes => self.meta(op),
            Kind::Xattrs => self.xattrs(op),
            Kind::Mapping => unreachable!("`op::for_engine` leaves these out"),
        }
    }

    fn see(&self, what: Named<'_>) -> Result<Seen, Errno> {
        let attr = match what {
            Named::Stat(path) => self.node(path, true)?,
            Named::Lstat(path) => self.node(path, false)?,
            Named::Slot(slot) => self.api.fstat(self.fd(slot)?).map_err(errno)?,
        };
        Ok(seen(&attr))
    }

    fn capture(&self) -> io::Result<Tree> {
        let mut tree = Tree::of_engine(self)?;
        tree.broken.extend(self.vfs().check_invariants().err());
        Ok(tree)
    }
}
