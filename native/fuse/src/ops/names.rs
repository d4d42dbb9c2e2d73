//! LOOKUP and what makes, moves and follows names.

use devdev_vfs::{Errno, Hold, NodeId, RenameFlags, S_IFMT, S_IFREG, SetAttr};

use super::{Context, OpResult, content, ready};
use crate::abi::{CreateIn, MkdirIn, MknodIn};
use crate::reply::Answer;

const O_EXCL: u32 = 0o200;
const O_TRUNC: u32 = 0o1000;
const RENAME_NOREPLACE: u32 = 1;
const RENAME_EXCHANGE: u32 = 2;
const RENAME_WHITEOUT: u32 = 4;

pub(super) fn lookup(c: &mut Context<'_>, name: &[u8]) -> OpResult {
    match c.vfs.lookup(c.node, name, Hold::Take) {
        Err(Errno::NoEnt) if name != b"." && name != b".." => {
            if c.core.replays.is_removing(c.node, name) {
                // The kernel keeps nothing of an error: the helper's next request is to come.
                return Err(Errno::NoEnt);
            }
            c.reply.push_negative_entry();
            Ok(Answer::Buffer)
        }
        // By handle: the inode is gone for good.
        Err(Errno::NoEnt) => Err(Errno::Stale),
        other => {
            let entry = ready!(other);
            c.entry(&entry)
        }
    }
}

pub(super) fn readlink(c: &mut Context<'_>) -> OpResult {
    let target = c.vfs.readlink(c.node)?;
    c.reply.push_bytes(&target);
    Ok(Answer::Buffer)
}

pub(super) fn symlink(c: &mut Context<'_>, name: &[u8], target: &[u8]) -> OpResult {
    let entry = c.vfs.symlink(c.node, name, target, c.caller, Hold::Take)?;
    c.entry(&entry)
}

pub(super) fn mknod(c: &mut Context<'_>, arg: &MknodIn, name: &[u8]) -> OpResult {
    let entry = c.vfs.mknod(c.node, name, arg.mode, arg.rdev, c.caller, Hold::Take)?;
    c.entry(&entry)
}

pub(super) fn mkdir(c: &mut Context<'_>, arg: &MkdirIn, name: &[u8]) -> OpResult {
    let entry = c.vfs.mkdir(c.node, name, arg.mode, c.caller, Hold::Take)?;
    c.entry(&entry)
}

pub(super) fn link(c: &mut Context<'_>, node: NodeId, name: &[u8]) -> OpResult {
    let entry = c.vfs.link(node, c.node, name, Hold::Take)?;
    c.entry(&entry)
}

pub(super) fn rename(
    c: &mut Context<'_>,
    name: &[u8],
    new_dir: NodeId,
    new_name: &[u8],
    flags: u32,
) -> OpResult {
    if flags & !(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT) != 0 {
        return Err(Errno::Inval);
    }
    let flags = RenameFlags {
        noreplace: flags & RENAME_NOREPLACE != 0,
        exchange: flags & RENAME_EXCHANGE != 0,
        whiteout: (flags & RENAME_WHITEOUT != 0).then_some(c.caller),
    };
    c.vfs.rename(c.node, name, new_dir, new_name, flags)?;
    Ok(Answer::Buffer)
}

pub(super) fn create(c: &mut Context<'_>, arg: &CreateIn, name: &[u8]) -> OpResult {
    let mode = S_IFREG | (arg.mode & !S_IFMT);
    let entry = match c.vfs.mknod(c.node, name, mode, 0, c.caller, Hold::Take) {
        Ok(entry) => entry,
        // The API made it since the kernel looked.
        Err(Errno::Exist) if arg.flags & O_EXCL == 0 => return open_existing(c, arg, name),
        Err(error) => return Err(error),
    };
    c.reply.push_entry(&entry);
    c.open(content::OPEN_FLAGS)
}

fn open_existing(c: &mut Context<'_>, arg: &CreateIn, name: &[u8]) -> OpResult {
    let found = ready!(c.vfs.lookup(c.node, name, Hold::None));
    if found.attr.mode & S_IFMT != S_IFREG {
        // The kernel walks again and opens what it finds.
        return Err(Errno::Stale);
    }
    if arg.flags & O_TRUNC != 0 {
        let cut = SetAttr { size: Some(0), ..SetAttr::default() };
        ready!(c.vfs.setattr(found.attr.node, &cut));
    }
    let entry = ready!(c.vfs.lookup(c.node, name, Hold::Take));
    c.reply.push_entry(&entry);
    c.open(content::OPEN_FLAGS)
}

pub(super) fn tmpfile(c: &mut Context<'_>, arg: &CreateIn) -> OpResult {
    let entry = c.vfs.tmpfile(c.node, S_IFREG | (arg.mode & !S_IFMT), c.caller)?;
    c.reply.push_entry(&entry);
    c.open(content::OPEN_FLAGS)
}
