//! Extended attributes. One ENOSYS would switch a call off for the whole host mount for good, so
//! it is answered only where the workspace has none at all.

use devdev_vfs::{Errno, SetXattr};

use super::{Context, OpResult};
use crate::abi::GetxattrOut;
use crate::reply::Answer;

const XATTR_CREATE: u32 = 1;
const XATTR_REPLACE: u32 = 2;

fn offered(c: &Context<'_>) -> Result<(), Errno> {
    if c.core.xattrs { Ok(()) } else { Err(Errno::NoSys) }
}

pub(super) fn getxattr(c: &mut Context<'_>, name: &[u8], size: u32) -> OpResult {
    offered(c)?;
    if let Some(writeback) = &c.core.writeback {
        writeback.dirty.note_asked(c.node, name, |node| c.vfs.is_held_by_kernel(node));
    }
    let value = c.vfs.getxattr(c.node, name)?;
    give(c, &value, size)
}

pub(super) fn setxattr(c: &mut Context<'_>, name: &[u8], value: &[u8], flags: u32) -> OpResult {
    offered(c)?;
    let flags = SetXattr { create: flags & XATTR_CREATE != 0, replace: flags & XATTR_REPLACE != 0 };
    c.vfs.setxattr(c.node, name, value, flags, c.caller)?;
    Ok(Answer::Buffer)
}

pub(super) fn listxattr(c: &mut Context<'_>, size: u32) -> OpResult {
    offered(c)?;
    let names = c.vfs.listxattr(c.node, c.caller)?;
    let mut list = Vec::new();
    for name in &names {
        list.extend_from_slice(name);
        list.push(0);
    }
    give(c, &list, size)
}

pub(super) fn removexattr(c: &mut Context<'_>, name: &[u8]) -> OpResult {
    offered(c)?;
    c.vfs.removexattr(c.node, name, c.caller)?;
    Ok(Answer::Buffer)
}

// With size 0 the caller asks how much room it needs.
fn give(c: &mut Context<'_>, value: &[u8], size: u32) -> OpResult {
    if size == 0 {
        c.reply.push(&GetxattrOut { size: value.len() as u32, padding: 0 });
    } else if value.len() > size as usize {
        return Err(Errno::Range);
    } else {
        c.reply.push_bytes(value);
    }
    Ok(Answer::Buffer)
}
