//! Who acts, and the objects on which every call is tried.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{self, AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io;
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

const OWNER: u32 = 64_001;
const OTHER: u32 = 64_002;
/// A group that the owner is in, besides his own.
pub const TEAM: u32 = 64_010;
/// A group that nobody is in.
pub const STRANGERS: u32 = 64_011;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Root,
    Owner,
    Other,
}

impl Who {
    /// Runs a call with this one's rights; the thread is root's again afterwards.
    pub fn act<T>(self, call: impl FnOnce() -> T) -> io::Result<T> {
        let id = match self {
            Who::Root => return Ok(call()),
            Who::Owner => OWNER,
            Who::Other => OTHER,
        };
        let team = [Gid::from_raw(TEAM)];
        set_thread_groups(if self == Who::Owner { &team } else { &[] })?;
        become_id(id)?;
        let result = call();
        become_id(0)?;
        set_thread_groups(&[])?;
        Ok(result)
    }
}

// The group first on the way down, last on the way up: both need root's rights.
fn become_id(id: u32) -> io::Result<()> {
    let (root, uid, gid) = (Uid::ROOT, Uid::from_raw(id), Gid::from_raw(id));
    if id == 0 {
        set_thread_res_uid(root, uid, root)?;
        return set_thread_res_gid(Gid::ROOT, gid, Gid::ROOT);
    }
    set_thread_res_gid(Gid::ROOT, gid, Gid::ROOT)?;
    set_thread_res_uid(root, uid, root)
}

/// Name, mode, owner; `d` directory, `f` file, `p` fifo, `s` socket.
const OBJECTS: &[(char, &str, u32, u32)] = &[
    ('d', "own", 0o755, OWNER),
    ('f', "own/f", 0o644, OWNER),
    ('f', "own/empty", 0o644, OWNER),
    ('f', "own/g", 0o600, OTHER),
    ('f', "own/shared", 0o666, OTHER),
    ('f', "own/suid", 0o4777, OWNER),
    ('f', "own/sgid", 0o2777, OWNER),
    ('f', "own/tool", 0o6755, OWNER),
    ('f', "own/lock", 0o2666, OWNER),
    ('f', "own/ro", 0o444, OWNER),
    ('f', "own/none", 0o000, OWNER),
    ('d', "own/d", 0o755, OWNER),
    ('d', "own/full", 0o755, OWNER),
    ('f', "own/full/x", 0o644, OWNER),
    ('d', "own/full/below", 0o755, OWNER),
    ('d', "own/dv", 0o755, OTHER),
    ('p', "own/p", 0o644, OWNER),
    ('s', "own/sock", 0o644, OWNER),
    ('d', "shut", 0o000, OWNER),
    ('f', "shut/x", 0o644, OWNER),
    ('d', "pub", 0o777, 0),
    ('f', "pub/u", 0o644, OWNER),
    ('d', "pub/du", 0o755, OWNER),
    ('d', "root", 0o755, 0),
    ('f', "root/x", 0o644, 0),
    ('d', "sticky", 0o1777, 0),
    ('f', "sticky/u", 0o666, OWNER),
    ('f', "sticky/v", 0o666, OTHER),
    ('d', "sticky/du", 0o777, OWNER),
    ('d', "sticky/dv", 0o777, OTHER),
    ('d', "mine", 0o1777, OWNER),
    ('f', "mine/v", 0o666, OTHER),
    ('d', "team", 0o2777, OWNER),
    ('f', "team/f", 0o664, OWNER),
];
const LINKS: &[(&str, &str)] = &[
    ("f", "own/l"),
    ("d", "own/ld"),
    ("missing", "own/dangling"),
    ("loop", "own/loop"),
    ("v", "sticky/lv"),
];

/// Other paths on which calls are tried: what is missing, what leads nowhere, odd endings.
const MORE: &[&str] = &[
    "",
    ".",
    "..",
    "own/h",
    "own/missing",
    "own/missing/x",
    "own/f/x",
    "own/l/x",
    "own/ld/x",
    "own/dangling/x",
    "own/loop/x",
    "own/f/",
    "own/d/",
    "own/l/",
    "own/ld/",
    "own/missing/",
    "own/dangling/",
    "own/loop/",
    "own/d/.",
    "own/d/..",
    "own/f/.",
    "own/d/new",
    "own/p/",
    "own/MAX",
    "own/LONG",
    "own/f/LONG",
    "own/missing/LONG",
    "DEEP",
    "TOO-DEEP",
    "pub/new",
    "root/new",
    "shut/new",
    "sticky/new",
    "team/new",
    "own/full/below/..",
];

/// What calls of two paths are tried on, each with each.
pub const PAIRS: &[&str] = &[
    "own/f",
    "own/h",
    "own/g",
    "own/d",
    "own/full",
    "own/full/x",
    "own/dv",
    "own/dangling",
    "own/missing",
    "own/missing/x",
    "own/f/x",
    "own/f/",
    "own/d/",
    "own/d/.",
    ".",
    "own/LONG",
    "own/full/new",
    "pub/u",
    "pub/du",
    "pub/new",
    "root/x",
    "root/new",
    "shut/x",
    "sticky/v",
    "sticky/dv",
    "sticky/new",
    "mine/v",
    "team/new",
    "own/sock",
];

/// Every path of the table.
pub fn paths() -> impl Iterator<Item = &'static str> {
    let objects = OBJECTS.iter().map(|object| object.1);
    objects.chain(LINKS.iter().map(|link| link.1)).chain(MORE.iter().copied())
}

/// A path of the table as it is used: some are too long to be spelled out.
pub fn path(text: &str) -> Vec<u8> {
    let last = |n| [text.trim_end_matches(char::is_uppercase).as_bytes(), &vec![b'n'; n]].concat();
    match text {
        // 4095 and 4096 bytes.
        "DEEP" => b"./".repeat(2047).into_iter().chain(*b".").collect(),
        "TOO-DEEP" => b"./".repeat(2048),
        _ if text.ends_with("MAX") => last(255),
        _ if text.ends_with("LONG") => last(256),
        _ => text.as_bytes().to_vec(),
    }
}

/// Makes all objects; the calling thread is root's.
pub fn build(root: &OwnedFd) -> io::Result<()> {
    for (kind, name, mode, owner) in OBJECTS {
        let mode = Mode::from_raw_mode(*mode);
        match kind {
            'd' => fs::mkdirat(root, *name, Mode::RWXU)?,
            'f' => {
                let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
                let fd = fs::openat(root, *name, flags, Mode::RWXU)?;
                if *name != "own/empty" {
                    io::write(&fd, &[b'x'; 5000])?;
                }
            }
            'p' => fs::mknodat(root, *name, FileType::Fifo, Mode::RWXU, 0)?,
            _ => fs::mknodat(root, *name, FileType::Socket, Mode::RWXU, 0)?,
        }
        let group = if name.starts_with("team") { TEAM } else { *owner };
        let (uid, gid) = (Some(Uid::from_raw(*owner)), Some(Gid::from_raw(group)));
        fs::chownat(root, *name, uid, gid, AtFlags::empty())?;
        fs::chmodat(root, *name, mode, AtFlags::empty())?;
    }
    for (target, name) in LINKS {
        fs::symlinkat(*target, root, *name)?;
        let id = if name.starts_with("sticky") { OTHER } else { OWNER };
        let (uid, gid) = (Some(Uid::from_raw(id)), Some(Gid::from_raw(id)));
        fs::chownat(root, *name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    fs::linkat(root, "own/f", root, "own/h", AtFlags::empty())?;
    fs::mkdirat(root, OsStr::from_bytes(b"own/full/below/d"), Mode::RWXU)
}
