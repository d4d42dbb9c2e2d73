//! The encoding of an inode's record without its content: what leaf pages and exported
//! snapshots have in common.
//!
//! | field | encoding |
//! |---|---|
//! | flags | byte: 1 has xattrs, 2 atime, 4 ctime, 8 btime equals mtime, 16 the caller's |
//! | mode | number, type and permission bits |
//! | uid, gid | numbers |
//! | rdev | number; devices only |
//! | mtime, atime, ctime, btime | times; those that a flag equals to mtime are left out |
//! | xattrs | with flag 1: count, then (name, value) strings by ascending name |
//! | target | symlinks only: string |

use std::sync::Arc;

use crate::attr::{
    PATH_MAX, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK, Timespec,
};
use crate::codec::{Corrupt, Reader, put_bytes, put_time, put_varint};
use crate::ids::Ino;
use crate::inode::{Body, Inode, Xattrs};

const HAS_XATTRS: u8 = 1;
const SAME_ATIME: u8 = 2;
const SAME_CTIME: u8 = 4;
const SAME_BTIME: u8 = 8;
/// A flag that the record leaves to what encloses it.
pub const CALLER_FLAG: u8 = 16;
/// The longest name of an extended attribute, as in Linux.
pub const XATTR_NAME_MAX: usize = 255;
/// The longest value of an extended attribute, as in Linux.
pub const XATTR_VALUE_MAX: usize = 65536;

/// Whether these are type bits of a mode.
pub fn is_kind(kind: u32) -> bool {
    matches!(kind, S_IFREG | S_IFDIR | S_IFLNK | S_IFIFO | S_IFSOCK | S_IFCHR | S_IFBLK)
}

fn is_device(mode: u32) -> bool {
    matches!(mode & S_IFMT, S_IFCHR | S_IFBLK)
}

/// Appends the record of `inode`; `caller` sets `CALLER_FLAG`.
pub fn put_record(out: &mut Vec<u8>, inode: &Inode, caller: bool) {
    let xattrs = inode.xattrs.as_deref().filter(|x| !x.is_empty());
    let flag = |on: bool, bit: u8| if on { bit } else { 0 };
    out.push(
        flag(xattrs.is_some(), HAS_XATTRS)
            | flag(inode.atime == inode.mtime, SAME_ATIME)
            | flag(inode.ctime == inode.mtime, SAME_CTIME)
            | flag(inode.btime == inode.mtime, SAME_BTIME)
            | flag(caller, CALLER_FLAG),
    );
    for value in [inode.mode, inode.uid, inode.gid] {
        put_varint(out, u64::from(value));
    }
    if is_device(inode.mode) {
        put_varint(out, u64::from(inode.rdev));
    }
    put_time(out, inode.mtime);
    for time in [inode.atime, inode.ctime, inode.btime] {
        if time != inode.mtime {
            put_time(out, time);
        }
    }
    if let Some(xattrs) = xattrs {
        put_varint(out, xattrs.len() as u64);
        for (name, value) in xattrs {
            put_bytes(out, name);
            put_bytes(out, value);
        }
    }
    if let Body::Symlink(target) = &inode.body {
        put_bytes(out, target);
    }
}

/// Takes a record: an inode without number, names and content, and the caller's flag.
pub fn take_record(reader: &mut Reader<'_>) -> Result<(Inode, bool), Corrupt> {
    let start = reader.clone();
    let flags = reader.byte()?;
    start.check(flags < CALLER_FLAG * 2, "a record has unknown flags")?;
    let before = reader.clone();
    let mode = reader.u32()?;
    before.check(mode <= 0o177777 && is_kind(mode & S_IFMT), "a mode is no file type's")?;
    let (uid, gid) = (reader.u32()?, reader.u32()?);
    let rdev = if is_device(mode) { reader.u32()? } else { 0 };
    let mtime = reader.time()?;
    let mut other = |bit: u8| -> Result<Timespec, Corrupt> {
        if flags & bit != 0 {
            return Ok(mtime);
        }
        let time = reader.time()?;
        reader.check(time != mtime, "a time repeats mtime")?;
        Ok(time)
    };
    let (atime, ctime, btime) = (other(SAME_ATIME)?, other(SAME_CTIME)?, other(SAME_BTIME)?);
    let mut inode = Inode::new(Ino(0), mode, uid, gid, Ino(0), mtime);
    (inode.rdev, inode.atime, inode.ctime, inode.btime) = (rdev, atime, ctime, btime);
    if flags & HAS_XATTRS != 0 {
        inode.xattrs = Some(Arc::new(take_xattrs(reader)?));
    }
    if mode & S_IFMT == S_IFLNK {
        let before = reader.clone();
        let target = reader.bytes(1, PATH_MAX, "a symlink's target is empty or too long")?;
        before.check(!target.contains(&0), "a symlink's target has a NUL")?;
        inode.size = target.len() as u64;
        inode.body = Body::Symlink(target.into());
    }
    Ok((inode, flags & CALLER_FLAG != 0))
}

/// Whether an xattr of this name may be.
pub fn in_namespace(name: &[u8]) -> bool {
    let spaces: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];
    spaces.iter().any(|space| name.len() > space.len() && name.starts_with(space))
}

fn take_xattrs(reader: &mut Reader<'_>) -> Result<Xattrs, Corrupt> {
    let count = reader.count(2)?;
    reader.check(count > 0, "a list of xattrs is empty")?;
    let mut xattrs = Xattrs::new();
    for _ in 0..count {
        let start = reader.clone();
        let name = reader.bytes(1, XATTR_NAME_MAX, "an xattr's name is empty or too long")?;
        start.check(!name.contains(&0), "an xattr's name has a NUL")?;
        start.check(in_namespace(name), "an xattr's name is in no namespace")?;
        let value = reader.bytes(0, XATTR_VALUE_MAX, "an xattr's value is too long")?;
        let in_order = xattrs.last_key_value().is_none_or(|(last, _)| last.as_ref() < name);
        start.check(in_order, "xattrs are out of order")?;
        xattrs.insert(name.into(), value.into());
    }
    Ok(xattrs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Inode {
        let now = Timespec { secs: -5, nanos: 7 };
        let mut inode = Inode::new(Ino(0), S_IFLNK | 0o777, 1000, u32::MAX, Ino(0), now);
        inode.btime = Timespec { secs: 1 << 40, nanos: 0 };
        let xattr = |n: &str, v: &[u8]| (Box::from(n.as_bytes()), Box::from(v));
        let xattrs = [xattr("user.a", b""), xattr("user.b", b"value")];
        inode.xattrs = Some(Arc::new(Xattrs::from(xattrs)));
        inode.body = Body::Symlink(Arc::from(&b"../target"[..]));
        inode
    }

    #[test]
    fn records_survive() {
        let mut out = Vec::new();
        put_record(&mut out, &sample(), true);
        let mut reader = Reader::new(&out);
        let (inode, flag) = take_record(&mut reader).unwrap();
        assert!(flag);
        assert_eq!(reader.finish(), Ok(()));
        let mut again = Vec::new();
        put_record(&mut again, &inode, true);
        assert_eq!(again, out);
        assert_eq!(inode.size, 9);
        for cut in 0..out.len() {
            assert!(take_record(&mut Reader::new(&out[..cut])).is_err());
        }
    }

    #[test]
    fn bad_records_are_refused() {
        let refuse = |edit: &dyn Fn(&mut Inode)| {
            let (mut inode, mut out) = (sample(), Vec::new());
            edit(&mut inode);
            put_record(&mut out, &inode, false);
            take_record(&mut Reader::new(&out)).err().map(|e| e.reason)
        };
        assert_eq!(refuse(&|_| {}), None);
        let link = |target: &[u8]| Body::Symlink(Arc::from(target));
        let reason = Some("a symlink's target is empty or too long");
        assert_eq!(refuse(&|i| i.body = link(b"")), reason);
        assert_eq!(refuse(&|i| i.body = link(&[b'a'; 4096])), reason);
        assert_eq!(refuse(&|i| i.body = link(b"a\0")), Some("a symlink's target has a NUL"));
        assert_eq!(refuse(&|i| i.mode = 0o777), Some("a mode is no file type's"));
        assert_eq!(refuse(&|i| i.mode |= 0o200000), Some("a mode is no file type's"));
        let reason = Some("nanoseconds are out of range");
        assert_eq!(refuse(&|i| i.mtime.nanos = 1_000_000_000), reason);
    }
}
