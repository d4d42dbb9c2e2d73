//! File content: READ, WRITE, FALLOCATE, LSEEK, COPY_FILE_RANGE.

use std::time::Instant;

use devdev_vfs::{
    Attachment, Errno, NodeId, S_ISGID, S_ISUID, SetAttr, SetTime, Whence, WriteFlags,
};

use super::{Context, OpResult, ready};
use crate::abi::{
    CopyFileRangeIn, CopyFileRangeOut, FOPEN_KEEP_CACHE, FOPEN_NOFLUSH, FallocateIn, LseekIn,
    LseekOut, ReadIn, WRITE_CACHE, WRITE_KILL_SUIDGID, WriteIn, WriteOut,
};
use crate::late::Job;
use crate::reply::Answer;
use crate::writeback::Writeback;

/// What an open of a regular file is told, where the kernel asks at all.
pub(super) const OPEN_FLAGS: u32 = FOPEN_KEEP_CACHE | FOPEN_NOFLUSH;

const SEEK_DATA: u32 = 3;
const SEEK_HOLE: u32 = 4;

/// Most that one COPY_FILE_RANGE takes on: callers go on after a short copy.
const COPY_MAX: u64 = 1 << 30;

pub(super) fn read(c: &mut Context<'_>, arg: &ReadIn) -> OpResult {
    Ok(Answer::Data(ready!(c.vfs.read(c.node, arg.offset, arg.size as usize))))
}

pub(super) fn write(c: &mut Context<'_>, arg: &WriteIn, data: &[u8]) -> OpResult {
    // Of stored pages the kernel takes note of an error only; a system call may be short.
    let cached = arg.write_flags & WRITE_CACHE != 0;
    if let (true, Some(writeback)) = (cached, &c.core.writeback) {
        let done = write_back(c, writeback, arg, data);
        if done.is_err() {
            c.core.late.order(Job::Refused(c.node));
        }
        return done;
    }
    let mut size = arg.size;
    if !(cached && c.core.is_stale(c.node)) {
        let kill_privileges = arg.write_flags & WRITE_KILL_SUIDGID != 0;
        // The kernel leaves clearing these bits to us, and then keeps the old mode.
        let outdated = kill_privileges && has_privileges(c, c.node);
        let flags = WriteFlags { kill_privileges, ..WriteFlags::default() };
        if cached {
            ready!(c.vfs.write(c.node, arg.offset, data, flags));
        } else {
            // No more than was asked for, which is an u32.
            size = ready!(c.vfs.write_what_fits(c.node, arg.offset, data, flags)) as u32;
        }
        if outdated {
            c.reply.set_outdated(c.node);
        }
    }
    c.reply.push(&WriteOut { size, padding: 0 });
    Ok(Answer::Buffer)
}

// What was written before: its times come apart, with a SETATTR. Of what does not fit as much as
// does is kept.
fn write_back(c: &mut Context<'_>, writeback: &Writeback, arg: &WriteIn, data: &[u8]) -> OpResult {
    if !c.core.is_stale(c.node) {
        let flags = WriteFlags { keep_times: true, ..WriteFlags::default() };
        for (start, end) in writeback.newer_parts(c.node, arg.offset, data.len()) {
            let (at, bytes) = (arg.offset + start as u64, &data[start..end]);
            if ready!(c.vfs.write_what_fits(c.node, at, bytes, flags)) < bytes.len() {
                return Err(Errno::NoSpc);
            }
        }
        writeback.note_written(c.node);
    }
    writeback.dirty.note_write(c.node, Instant::now());
    c.reply.push(&WriteOut { size: arg.size, padding: 0 });
    Ok(Answer::Buffer)
}

fn has_privileges(c: &Context<'_>, node: NodeId) -> bool {
    c.vfs.getattr(node).is_ok_and(|attr| attr.mode & (S_ISUID | S_ISGID) != 0)
}

// The times that a kernel which writes back shows: new ones it sends itself, with the next close or
// sync, and none where they are of the same tick of its clock.
fn shown_times(c: &Context<'_>, node: NodeId) -> SetAttr {
    let attr = c.core.writeback.as_ref().and_then(|_| c.vfs.getattr(node).ok());
    attr.map_or_else(SetAttr::default, |attr| SetAttr {
        mtime: Some(SetTime::At(attr.mtime)),
        ctime: Some(attr.ctime),
        ..SetAttr::default()
    })
}

fn keep_times(c: &Context<'_>, node: NodeId, shown: &SetAttr) -> Result<(), Errno> {
    if shown.mtime.is_some() {
        // Nothing but a change of length waits.
        c.vfs.setattr(node, shown)?;
    }
    Ok(())
}

// These requests do not say whether the caller may keep set-id bits (CAP_FSETID): root may. As
// with a write, the kernel keeps the old mode.
fn drop_privileges(c: &mut Context<'_>, node: NodeId) -> Result<(), Errno> {
    if c.caller.uid != 0 && has_privileges(c, node) {
        let drop = SetAttr { kill_privileges: true, ..SetAttr::default() };
        // Nothing but a change of length waits.
        c.vfs.setattr(node, &drop)?;
        c.reply.set_outdated(node);
    }
    Ok(())
}

pub(super) fn fallocate(c: &mut Context<'_>, arg: &FallocateIn) -> OpResult {
    let shown = shown_times(c, c.node);
    ready!(c.vfs.fallocate(c.node, arg.mode, arg.offset, arg.length));
    keep_times(c, c.node, &shown)?;
    drop_privileges(c, c.node)?;
    Ok(Answer::Buffer)
}

pub(super) fn lseek(c: &mut Context<'_>, arg: &LseekIn) -> OpResult {
    let whence = match arg.whence {
        SEEK_DATA => Whence::Data,
        SEEK_HOLE => Whence::Hole,
        _ => return Err(Errno::Inval),
    };
    if !c.again && may_hold_data(c, arg.offset) {
        return Ok(Answer::Flush);
    }
    let offset = c.vfs.lseek(c.node, arg.offset, whence)?;
    c.reply.push(&LseekOut { offset });
    Ok(Answer::Buffer)
}

// Whether the kernel, which asks without writing back first, may hold what makes another answer.
// Write-through that is what was stored to mappings, where the file has a hole behind `offset`: a
// store makes no file longer.
fn may_hold_data(c: &Context<'_>, offset: u64) -> bool {
    let has_hole = || {
        let size = c.vfs.getattr(c.node).map_or(0, |attr| attr.size);
        c.vfs.lseek(c.node, offset, Whence::Hole).is_ok_and(|hole| hole < size)
    };
    let is_ours = [Attachment::LIVE, Attachment::TMP].contains(&c.node.attachment());
    c.core.writeback.is_some() || (is_ours && has_hole())
}

pub(super) fn copy_file_range(c: &mut Context<'_>, arg: &CopyFileRangeIn, wide: bool) -> OpResult {
    let (to, len) = (NodeId(arg.nodeid_out), arg.len.min(COPY_MAX));
    let shown = shown_times(c, to);
    let copied = ready!(c.vfs.copy_file_range(c.node, arg.off_in, to, arg.off_out, len));
    if copied > 0 {
        keep_times(c, to, &shown)?;
        drop_privileges(c, to)?;
    }
    if wide {
        c.reply.push(&CopyFileRangeOut { bytes_copied: copied });
    } else {
        c.reply.push(&WriteOut { size: copied as u32, padding: 0 });
    }
    Ok(Answer::Buffer)
}
