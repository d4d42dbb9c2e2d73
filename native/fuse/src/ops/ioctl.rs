//! IOCTL: the attributes of files that chattr(1) and lsattr(1) know. No file has any.

use devdev_vfs::Errno;

use super::{Context, OpResult};
use crate::abi::{Field, IoctlIn, IoctlOut};
use crate::reply::Answer;

// linux/fs.h, as the kernel sends them: `long` in these numbers, an `int` in memory.
const GETFLAGS: u32 = 0x8008_6601;
const SETFLAGS: u32 = 0x4008_6602;
const FSGETXATTR: u32 = 0x801c_581f;
const FSSETXATTR: u32 = 0x401c_5820;
/// Bytes of `struct fsxattr`, which begins with flags.
const FSXATTR_SIZE: u32 = 28;

/// Answers what the kernel asks to carry out FS_IOC_GETFLAGS and its like. Setting none is done,
/// setting any is what tmpfs says of those that it has not. Everything else is no terminal.
pub(super) fn ioctl(c: &mut Context<'_>, arg: &IoctlIn, data: &[u8]) -> OpResult {
    match arg.cmd {
        GETFLAGS | FSGETXATTR if arg.out_size <= FSXATTR_SIZE => {
            c.vfs.getattr(c.node)?;
            give(c, arg.out_size as usize)
        }
        SETFLAGS | FSSETXATTR if data.len() >= 4 => {
            c.vfs.getattr(c.node)?;
            if u32::get(data) == 0 { give(c, 0) } else { Err(Errno::OpNotSupp) }
        }
        _ => Err(Errno::NoTty),
    }
}

// So many zeros.
fn give(c: &mut Context<'_>, len: usize) -> OpResult {
    c.reply.push(&IoctlOut::default());
    c.reply.push_bytes(&[0; FSXATTR_SIZE as usize][..len]);
    Ok(Answer::Buffer)
}
