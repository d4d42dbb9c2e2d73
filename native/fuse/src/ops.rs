//! Requests to calls of the engine: one small function each. They convert, call and fill the
//! reply; they never block.

mod attrs;
mod content;
mod dirs;
mod ioctl;
mod names;
mod xattrs;

use devdev_vfs::{Attachment, Attr, Caller, Entry, Errno, NodeId, Vfs};

use crate::abi::{OpenOut, init};
use crate::core::Core;
use crate::reply::{Answer, Reply};
use crate::request::{Op, Request};

/// What an operation may look at and fill.
pub(crate) struct Context<'a> {
    pub core: &'a Core,
    pub vfs: &'a Vfs,
    pub node: NodeId,
    pub caller: Caller,
    pub reply: &'a mut Reply,
    /// The request has waited for something, which has come.
    pub again: bool,
}

/// What an operation comes to.
pub(crate) type OpResult = Result<Answer, Errno>;

/// The value of an operation that is done; returns from the caller if it has to wait.
macro_rules! ready {
    ($waitable:expr) => {
        match $waitable? {
            devdev_vfs::Outcome::Done(value) => value,
            devdev_vfs::Outcome::Wait(needs) => return Ok($crate::reply::Answer::Wait(needs)),
        }
    };
}
pub(crate) use ready;

impl Context<'_> {
    fn entry(&mut self, entry: &Entry) -> OpResult {
        self.reply.push_entry(entry);
        Ok(Answer::Buffer)
    }

    fn attr(&mut self, attr: &Attr) -> OpResult {
        self.reply.push_attr(attr);
        Ok(Answer::Buffer)
    }

    fn open(&mut self, open_flags: u32) -> OpResult {
        self.reply.push(&OpenOut { open_flags, ..OpenOut::default() });
        Ok(Answer::Buffer)
    }
}

/// Answers a request.
pub(crate) fn dispatch(c: &mut Context<'_>, request: &Request<'_>) -> OpResult {
    // A handle on a directory that was removed and came back. From the next look-up on the kernel
    // tells them apart by their generations, and says EIO itself.
    if c.vfs.is_reborn(c.node) && !matches!(request.op, Op::Forget(_)) {
        return Err(Errno::Io);
    }
    match c.core.replays.of(c.caller.pid) {
        Some(replay) => replay.answer(c, request),
        None => serve(c, request),
    }
}

/// The meaning of a name, as everybody sees it.
pub(crate) fn look_up(c: &mut Context<'_>, name: &[u8]) -> OpResult {
    names::lookup(c, name)
}

/// The attributes of the node.
pub(crate) fn attributes(c: &mut Context<'_>) -> OpResult {
    attrs::getattr(c)
}

/// Does what is asked.
pub(crate) fn serve(c: &mut Context<'_>, request: &Request<'_>) -> OpResult {
    match &request.op {
        Op::Lookup(name) => names::lookup(c, name),
        Op::Forget(count) => {
            c.vfs.forget(c.node, *count);
            Ok(Answer::Silence)
        }
        Op::BatchForget(list) => {
            list.clone().for_each(|one| c.vfs.forget(NodeId(one.nodeid), one.nlookup));
            Ok(Answer::Silence)
        }
        Op::Getattr => attrs::getattr(c),
        Op::Setattr(arg) => attrs::setattr(c, arg),
        Op::Readlink => names::readlink(c),
        Op::Symlink { name, target } => names::symlink(c, name, target),
        Op::Mknod(arg, name) => names::mknod(c, arg, name),
        Op::Mkdir(arg, name) => names::mkdir(c, arg, name),
        Op::Unlink(name) => done(c.vfs.unlink(c.node, name)),
        Op::Rmdir(name) => done(c.vfs.rmdir(c.node, name)),
        Op::Rename { name, new_dir, new_name, flags } => {
            names::rename(c, name, NodeId(*new_dir), new_name, *flags)
        }
        Op::Link { node, name } => names::link(c, NodeId(*node), name),
        Op::Create(arg, name) => names::create(c, arg, name),
        Op::Tmpfile(arg) => names::tmpfile(c, arg),
        Op::Open => open(c, init::NO_OPEN_SUPPORT, content::OPEN_FLAGS),
        Op::Opendir => open(c, init::NO_OPENDIR_SUPPORT, dirs::OPEN_FLAGS),
        Op::Release | Op::Releasedir | Op::Syncfs | Op::Destroy => Ok(Answer::Buffer),
        Op::Read(arg) => content::read(c, arg),
        Op::Write(arg, data) => content::write(c, arg, data),
        Op::Fallocate(arg) => content::fallocate(c, arg),
        Op::Lseek(arg) => content::lseek(c, arg),
        Op::CopyFileRange { arg, wide } => content::copy_file_range(c, arg, *wide),
        // Write-through: what could be flushed is in the engine. One ENOSYS ends these requests.
        Op::Flush => Err(Errno::NoSys),
        Op::Fsync | Op::Fsyncdir => sync(c),
        Op::Readdir(arg) => dirs::readdir(c, arg),
        Op::Readdirplus(arg) => dirs::readdirplus(c, arg),
        Op::Statfs => attrs::statfs(c),
        Op::Statx => attrs::statx(c),
        Op::Access(mask) => attrs::access(c, *mask),
        Op::Getxattr { name, size } => xattrs::getxattr(c, name, *size),
        Op::Setxattr { name, value, flags } => xattrs::setxattr(c, name, value, *flags),
        Op::Listxattr { size } => xattrs::listxattr(c, *size),
        Op::Removexattr(name) => xattrs::removexattr(c, name),
        Op::Ioctl(arg, data) => ioctl::ioctl(c, arg, data),
        // Native operations never wait on anything that a signal could end, and EINTR would not be
        // restarted. Requests that wait for the store end when their task is dying: see `park`.
        Op::Interrupt => Ok(Answer::Silence),
        // INIT was answered before the readers started; a second one is a protocol error.
        Op::Init(_) => Err(Errno::Io),
        Op::Other => Err(Errno::NoSys),
    }
}

fn done(result: devdev_vfs::Result<()>) -> OpResult {
    result.map(|()| Answer::Buffer)
}

// Only the live tree is ever stored: elsewhere there is nothing to wait for.
fn sync(c: &Context<'_>) -> OpResult {
    match c.core.sync {
        None => Err(Errno::NoSys),
        Some(_) if c.node.attachment() == Attachment::LIVE => Ok(Answer::Sync),
        Some(_) => Ok(Answer::Buffer),
    }
}

// One ENOSYS and the kernel opens on its own from then on, keeping its page cache.
fn open(c: &mut Context<'_>, support: u64, open_flags: u32) -> OpResult {
    if c.core.agreed.flags & support != 0 { Err(Errno::NoSys) } else { c.open(open_flags) }
}
