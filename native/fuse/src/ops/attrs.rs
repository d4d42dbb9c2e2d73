//! Attributes: GETATTR, STATX, SETATTR, ACCESS, STATFS.

use std::time::Instant;

use devdev_vfs::{
    Attr, Caller, Errno, NAME_MAX, S_IFDIR, S_IFMT, S_IFREG, S_ISGID, S_ISUID, SetAttr, SetTime,
    Timespec,
};

use super::{Context, OpResult, ready};
use crate::abi::{Kstatfs, SetattrIn, StatxOut, fattr};
use crate::reply::{Answer, FOREVER, abi_statx};
use crate::writeback::Writeback;

pub(super) fn getattr(c: &mut Context<'_>) -> OpResult {
    if let Some(writeback) = &c.core.writeback {
        writeback.dirty.note_attributes(c.node, Instant::now());
    }
    let attr = c.vfs.getattr(c.node)?;
    c.attr(&attr)
}

pub(super) fn statx(c: &mut Context<'_>) -> OpResult {
    let attr = c.vfs.getattr(c.node)?;
    let stat = abi_statx(&attr);
    c.reply.push(&StatxOut { attr_valid: FOREVER, stat, ..StatxOut::default() });
    Ok(Answer::Buffer)
}

pub(super) fn setattr(c: &mut Context<'_>, arg: &SetattrIn) -> OpResult {
    if is_bare(arg) && !may_drop_privileges(c)? {
        return Err(Errno::Perm);
    }
    let mut set = changes(arg);
    if let Some(writeback) = &c.core.writeback {
        if writeback.is_alignment(c.caller.pid) {
            return getattr(c);
        }
        own_times(c, writeback, &mut set)?;
    }
    keep_times(c, arg, &mut set)?;
    let attr = ready!(c.vfs.setattr(c.node, &set));
    c.attr(&attr)
}

// A kernel that writes back keeps the times of regular files itself: where it sends none, none
// move.
fn own_times(c: &Context<'_>, writeback: &Writeback, set: &mut SetAttr) -> Result<(), Errno> {
    let attr = c.vfs.getattr(c.node)?;
    if attr.mode & S_IFMT == S_IFREG {
        if set.mtime.is_some() {
            writeback.note_timed(c.node);
        } else if set.size.is_some() {
            set.mtime = Some(SetTime::At(attr.mtime));
        }
        set.ctime = set.ctime.or(Some(attr.ctime));
    }
    Ok(())
}

// On tmpfs truncate(2) to the length that a file has moves no times where nothing is allocated to
// it; ftruncate(2) and O_TRUNC do. The latter looks like truncate(2) to 0.
fn keep_times(c: &Context<'_>, arg: &SetattrIn, set: &mut SetAttr) -> Result<(), Errno> {
    if let (Some(1..), false) = (set.size, arg.valid & fattr::FH != 0) {
        let attr = c.vfs.getattr(c.node)?;
        if set.size == Some(attr.size) && attr.blocks == 0 {
            set.size = None;
            if *set != SetAttr::default() {
                set.ctime = set.ctime.or(Some(attr.ctime));
            }
        }
    }
    Ok(())
}

// chown(-1, -1): nothing to set but what a kernel that writes back says of ctime, which moves and
// privileges go, as with any chown.
fn is_bare(arg: &SetattrIn) -> bool {
    let fields = fattr::MODE | fattr::UID | fattr::GID | fattr::SIZE;
    arg.valid & (fields | fattr::ATIME | fattr::MTIME) == 0
}

// Taking set-id bits is a change of mode, which the kernel leaves unchecked here: the owner's
// right, and what a write does. The two look alike; who could not write is refused.
fn may_drop_privileges(c: &Context<'_>) -> Result<bool, Errno> {
    let attr = c.vfs.getattr(c.node)?;
    let has_some = attr.mode & S_IFMT != S_IFDIR && attr.mode & (S_ISUID | S_ISGID) != 0;
    Ok(!has_some || [0, attr.uid].contains(&c.caller.uid) || attr.mode & 0o022 != 0)
}

fn changes(arg: &SetattrIn) -> SetAttr {
    let has = |bit: u32| arg.valid & bit != 0;
    let time = |bit, now, secs, nanos| {
        has(bit).then_some(if has(now) { SetTime::Now } else { SetTime::At(timespec(secs, nanos)) })
    };
    SetAttr {
        mode: has(fattr::MODE).then_some(arg.mode & !S_IFMT),
        uid: has(fattr::UID).then_some(arg.uid),
        gid: has(fattr::GID).then_some(arg.gid),
        size: has(fattr::SIZE).then_some(arg.size),
        atime: time(fattr::ATIME, fattr::ATIME_NOW, arg.atime, arg.atimensec),
        mtime: time(fattr::MTIME, fattr::MTIME_NOW, arg.mtime, arg.mtimensec),
        ctime: has(fattr::CTIME).then_some(timespec(arg.ctime, arg.ctimensec)),
        kill_privileges: is_bare(arg) || has(fattr::KILL_SUIDGID),
    }
}

fn timespec(secs: u64, nanos: u32) -> Timespec {
    Timespec { secs: secs as i64, nanos: nanos.min(999_999_999) }
}

// Arrives only where the kernel does not check modes itself. An ENOSYS would make every file
// executable to `test -x`.
pub(super) fn access(c: &mut Context<'_>, mask: u32) -> OpResult {
    let attr = c.vfs.getattr(c.node)?;
    if permits(&attr, c.caller, mask) { Ok(Answer::Buffer) } else { Err(Errno::Acces) }
}

const X_OK: u32 = 1;

fn permits(attr: &Attr, caller: Caller, mask: u32) -> bool {
    let mask = mask & 7;
    if caller.uid == 0 {
        let executable = attr.mode & S_IFMT == S_IFDIR || attr.mode & 0o111 != 0;
        return mask & X_OK == 0 || executable;
    }
    let bits = if caller.uid == attr.uid {
        attr.mode >> 6
    } else if caller.gid == attr.gid {
        attr.mode >> 3
    } else {
        attr.mode
    };
    bits & mask == mask
}

pub(super) fn statfs(c: &mut Context<'_>) -> OpResult {
    let st = c.vfs.statfs();
    c.reply.push(&Kstatfs {
        blocks: st.blocks,
        bfree: st.free,
        bavail: st.free,
        files: st.files,
        ffree: st.files_free,
        bsize: 4096,
        namelen: NAME_MAX as u32,
        frsize: 4096,
        ..Kstatfs::default()
    });
    Ok(Answer::Buffer)
}

#[cfg(test)]
mod tests {
    use devdev_vfs::{NodeId, S_IFREG};

    use super::*;

    fn attr(mode: u32) -> Attr {
        let time = Timespec::default();
        Attr {
            node: NodeId(20),
            mode,
            nlink: 1,
            uid: 10,
            gid: 20,
            rdev: 0,
            size: 0,
            blocks: 0,
            atime: time,
            mtime: time,
            ctime: time,
            btime: time,
        }
    }

    #[test]
    fn root_needs_an_execute_bit_only_on_files() {
        let root = Caller::default();
        assert!(permits(&attr(S_IFREG), root, 6));
        assert!(!permits(&attr(S_IFREG | 0o666), root, X_OK));
        assert!(permits(&attr(S_IFREG | 0o001), root, 7));
        assert!(permits(&attr(S_IFDIR), root, X_OK));
    }

    #[test]
    fn others_get_the_bits_of_the_first_class_they_are_in() {
        let file = attr(S_IFREG | 0o470);
        let caller = |uid, gid| Caller { uid, gid, pid: 0 };
        assert!(permits(&file, caller(10, 20), 4));
        assert!(!permits(&file, caller(10, 20), 2));
        assert!(permits(&file, caller(11, 20), 7));
        assert!(!permits(&file, caller(11, 21), 4));
        assert!(permits(&file, caller(11, 21), 0));
    }

    #[test]
    fn only_valid_fields_are_changed() {
        let arg = SetattrIn {
            valid: fattr::SIZE | fattr::ATIME | fattr::MTIME | fattr::MTIME_NOW,
            size: 5,
            atime: (-2i64) as u64,
            atimensec: 7,
            mode: 0o777,
            ..SetattrIn::default()
        };
        let expected = SetAttr {
            size: Some(5),
            atime: Some(SetTime::At(Timespec { secs: -2, nanos: 7 })),
            mtime: Some(SetTime::Now),
            ..SetAttr::default()
        };
        assert_eq!(changes(&arg), expected);
        let arg = SetattrIn {
            valid: fattr::MODE | fattr::UID | fattr::KILL_SUIDGID,
            mode: S_IFREG | 0o4755,
            uid: 3,
            ..SetattrIn::default()
        };
        let expected = SetAttr {
            mode: Some(0o4755),
            uid: Some(3),
            kill_privileges: true,
            ..SetAttr::default()
        };
        assert_eq!(changes(&arg), expected);
    }
}
