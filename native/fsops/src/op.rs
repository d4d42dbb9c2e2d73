//! The operations of the differential test and how they are drawn. Operations are data, drawn from
//! the seed alone and never from what an earlier operation returned: so a failing sequence can be
//! shortened by leaving operations out.

use rustix::fs::{AtFlags, FallocateFlags, OFlags, RenameFlags, XattrFlags};

use crate::rng::Rng;

/// Descriptors that stay open across operations.
pub const SLOTS: usize = 6;

/// A path below the root of the test, printed with escapes.
#[derive(Clone, PartialEq, Eq)]
pub struct Path(pub Vec<u8>);

impl std::fmt::Debug for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.0.escape_ascii().to_string();
        if text.len() <= 60 {
            return write!(f, "'{text}'");
        }
        write!(f, "'{}..{}' ({} bytes)", &text[..20], &text[text.len() - 20..], self.0.len())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    Omit,
    Now,
    At(i64, i64),
}

#[derive(Clone, Debug)]
pub enum Op {
    Open { slot: usize, path: Path, flags: OFlags, mode: u32 },
    Close { slot: usize },
    Read { slot: usize, len: usize },
    Write { slot: usize, len: usize, fill: u8 },
    Pread { slot: usize, off: u64, len: usize },
    Pwrite { slot: usize, off: u64, len: usize, fill: u8 },
    Truncate { path: Path, len: u64 },
    Ftruncate { slot: usize, len: u64 },
    Fallocate { slot: usize, mode: FallocateFlags, off: u64, len: u64 },
    CopyRange { from: usize, to: usize, off_in: u64, off_out: u64, len: usize },
    SeekData { slot: usize, off: u64 },
    SeekHole { slot: usize, off: u64 },
    Fsync { slot: usize },
    Mkdir { path: Path, mode: u32 },
    Rmdir { path: Path },
    Mkfifo { path: Path, mode: u32 },
    Mksock { path: Path, mode: u32 },
    Symlink { target: Path, path: Path },
    Readlink { path: Path },
    Link { from: Path, to: Path, follow: bool },
    LinkSlot { slot: usize, to: Path },
    Rename { from: Path, to: Path, flags: RenameFlags },
    Unlink { path: Path },
    Chmod { path: Path, mode: u32 },
    Fchmod { slot: usize, mode: u32 },
    Chown { path: Path, uid: Option<u32>, gid: Option<u32>, flags: AtFlags },
    Fchown { slot: usize, uid: Option<u32>, gid: Option<u32> },
    Utimes { path: Path, atime: Time, mtime: Time, flags: AtFlags },
    Futimes { slot: usize, atime: Time, mtime: Time },
    Setxattr { path: Path, name: &'static str, len: usize, fill: u8, flags: XattrFlags },
    Fsetxattr { slot: usize, name: &'static str, len: usize, fill: u8 },
    Getxattr { path: Path, name: &'static str },
    Removexattr { path: Path, name: &'static str },
    Stat { path: Path },
    Lstat { path: Path },
    Access { path: Path, mode: u32 },
    List { path: Path },
    Churn { path: Path, count: usize, seed: u64 },
    Map { slot: usize, off: u64, len: usize },
    MapStore { at: usize, len: usize, fill: u8 },
    MapLoad { at: usize, len: usize },
    MapSync,
    Unmap,
}

/// What an operation works on: each side of a comparison has a function for each kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Content,
    Names,
    Attributes,
    Xattrs,
    Mapping,
}

impl Op {
    pub fn kind(&self) -> Kind {
        use Op::*;
        match self {
            Open { .. }
            | Close { .. }
            | Read { .. }
            | Write { .. }
            | Pread { .. }
            | Pwrite { .. }
            | Truncate { .. }
            | Ftruncate { .. }
            | Fallocate { .. }
            | CopyRange { .. }
            | SeekData { .. }
            | SeekHole { .. }
            | Fsync { .. } => Kind::Content,
            Mkdir { .. }
            | Rmdir { .. }
            | Mkfifo { .. }
            | Mksock { .. }
            | Symlink { .. }
            | Readlink { .. }
            | Link { .. }
            | LinkSlot { .. }
            | Rename { .. }
            | Unlink { .. }
            | List { .. }
            | Churn { .. } => Kind::Names,
            Map { .. } | MapStore { .. } | MapLoad { .. } | MapSync | Unmap => Kind::Mapping,
            Setxattr { .. } | Fsetxattr { .. } | Getxattr { .. } | Removexattr { .. } => {
                Kind::Xattrs
            }
            _ => Kind::Attributes,
        }
    }
}

impl Op {
    /// The paths an operation may change, so that their attributes are compared around it.
    pub fn paths(&self) -> Vec<&Path> {
        use Op::*;
        match self {
            Open { path, .. } | Truncate { path, .. } | Mkdir { path, .. } | Rmdir { path } => {
                vec![path]
            }
            Mkfifo { path, .. } | Mksock { path, .. } | Symlink { path, .. } => vec![path],
            Unlink { path } | Chmod { path, .. } | Chown { path, .. } => vec![path],
            Utimes { path, .. } | Setxattr { path, .. } | Removexattr { path, .. } => vec![path],
            Link { from, to, .. } | Rename { from, to, .. } => vec![from, to],
            LinkSlot { to, .. } => vec![to],
            Readlink { path } | Getxattr { path, .. } | Stat { path } | Lstat { path } => {
                vec![path]
            }
            Access { path, .. } | List { path } | Churn { path, .. } => vec![path],
            _ => vec![],
        }
    }

    pub fn slots(&self) -> Vec<usize> {
        use Op::*;
        match self {
            Open { slot, .. } | Close { slot } | Read { slot, .. } | Write { slot, .. } => {
                vec![*slot]
            }
            Pread { slot, .. } | Pwrite { slot, .. } | Ftruncate { slot, .. } => vec![*slot],
            Fallocate { slot, .. } | Fsync { slot } | LinkSlot { slot, .. } => vec![*slot],
            Fchmod { slot, .. } | Fchown { slot, .. } | Futimes { slot, .. } => vec![*slot],
            Fsetxattr { slot, .. } => vec![*slot],
            CopyRange { from, to, .. } => vec![*from, *to],
            _ => vec![],
        }
    }
}

const NAMES: [&[u8]; 7] = [b"a", b"b", b"c", b"d", b"e", b"\xff\xfe\x80", &[b'L'; 255]];
const TOO_LONG: [u8; 256] = [b'T'; 256];
const OFFSETS: [u64; 14] =
    [0, 1, 100, 4095, 4096, 4097, 8192, 20_000, 65_535, 65_536, 65_537, 131_072, 200_000, 262_143];
const LENGTHS: [usize; 10] = [0, 1, 10, 100, 1000, 4095, 4096, 4097, 30_000, 70_000];
const MODES: [u32; 12] =
    [0o644, 0o600, 0o755, 0o777, 0o000, 0o4755, 0o2755, 0o1777, 0o6711, 0o2644, 0o444, 0o7777];

/// What the two directories can be asked for: the intersection of what both support.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    pub root: bool,
    pub xattr: bool,
    pub tmpfile: bool,
    pub big: u64,
    /// One side is the engine without a mount: no mappings, and nobody checks permissions.
    pub engine: bool,
}

/// Where root alone can enter, the kernel hides a sticky bit of a FUSE directory from itself, and
/// with it its rule on O_CREAT in such directories (fs.protected_regular). So it is set by users
/// only.
fn mode(r: &mut Rng, caps: Caps) -> u32 {
    let mode = r.pick(&MODES);
    if caps.root { mode & !0o1000 } else { mode }
}

fn path(r: &mut Rng) -> Path {
    let mut out = Vec::new();
    let depth = [1, 1, 1, 2, 2, 2, 3][r.index(7)];
    for i in 0..depth {
        if i > 0 {
            out.push(b'/');
        }
        // Parents are drawn from fewer names, so that they are directories more often.
        let name = if i + 1 < depth { r.pick(&[NAMES[3], NAMES[4], NAMES[0]]) } else { last(r) };
        out.extend_from_slice(name);
    }
    match r.below(200) {
        0..4 => out.push(b'/'),
        4..6 => out.extend_from_slice(b"/."),
        6..8 => out.extend_from_slice(b"/.."),
        8 => {
            if let Some(at) = out.iter().position(|c| *c == b'/') {
                out.insert(at, b'/');
            }
        }
        _ => {}
    }
    Path(out)
}

fn last(r: &mut Rng) -> &'static [u8] {
    if r.percent(1) {
        return &TOO_LONG;
    }
    if r.percent(4) { NAMES[6] } else { NAMES[r.index(6)] }
}

/// Symbolic links only ever lead downwards, so no path of the test can leave its root.
fn target(r: &mut Rng) -> Path {
    let mut out = r.pick(&NAMES[..6]).to_vec();
    if r.percent(30) {
        out.push(b'/');
        out.extend_from_slice(r.pick(&NAMES[..6]));
    }
    Path(out)
}

fn offset(r: &mut Rng, caps: Caps) -> u64 {
    match r.below(40) {
        0 => caps.big - 1,
        1 => 1 << 30,
        2..10 => r.below(300_000),
        _ => r.pick(&OFFSETS),
    }
}

fn length(r: &mut Rng) -> usize {
    if r.percent(30) { r.index(9000) } else { r.pick(&LENGTHS) }
}

fn time(r: &mut Rng) -> Time {
    match r.below(4) {
        0 => Time::Omit,
        1 => Time::Now,
        // Well before any test runs, so that a time that was set can be told from "now".
        _ => Time::At(r.below(1_000_000_000) as i64, r.below(1_000_000_000) as i64),
    }
}

fn open_flags(r: &mut Rng, caps: Caps) -> OFlags {
    let mut f = r.pick(&[OFlags::RDONLY, OFlags::WRONLY, OFlags::RDWR, OFlags::RDWR]);
    if caps.tmpfile && r.percent(6) {
        let excl = if r.percent(30) { OFlags::EXCL } else { OFlags::empty() };
        return OFlags::TMPFILE | r.pick(&[OFlags::WRONLY, OFlags::RDWR]) | excl;
    }
    for (flag, odds) in [
        (OFlags::CREATE, 55),
        (OFlags::EXCL, 12),
        (OFlags::TRUNC, 15),
        (OFlags::APPEND, 15),
        (OFlags::DIRECTORY, 5),
        (OFlags::NOFOLLOW, 8),
        (OFlags::SYNC, 4),
        (OFlags::PATH, 2),
    ] {
        if r.percent(odds) {
            f |= flag;
        }
    }
    // Opening a fifo must not wait.
    f | OFlags::NONBLOCK
}

fn xattr_name(r: &mut Rng, caps: Caps) -> &'static str {
    match r.below(12) {
        0 if caps.root => "trusted.t",
        1 if caps.root => "security.devdev",
        2 => "nonsense.n",
        3 => "user.",
        n if n < 8 => "user.a",
        _ => "user.long-name-of-an-attribute",
    }
}

fn owner(r: &mut Rng, caps: Caps) -> Option<u32> {
    let ids: &[Option<u32>] = &[None, Some(0), Some(1000), Some(65_534)];
    if caps.root { r.pick(ids) } else { r.pick(&ids[..3]) }
}

pub fn draw(r: &mut Rng, caps: Caps) -> Op {
    match r.below(100) {
        0..50 => draw_io(r, caps),
        50..80 => draw_names(r, caps),
        _ => draw_attrs(r, caps),
    }
}

fn draw_io(r: &mut Rng, caps: Caps) -> Op {
    let slot = r.index(SLOTS);
    let fill = r.below(256) as u8;
    match r.below(100) {
        0..24 => Op::Open { slot, path: path(r), flags: open_flags(r, caps), mode: mode(r, caps) },
        24..28 => Op::Close { slot },
        28..34 => Op::Read { slot, len: length(r) },
        34..42 => Op::Write { slot, len: length(r), fill },
        42..50 => Op::Pread { slot, off: offset(r, caps), len: length(r) },
        50..66 => Op::Pwrite { slot, off: offset(r, caps), len: length(r), fill },
        66..70 => Op::Ftruncate { slot, len: offset(r, caps) },
        // Not to 0: on the wire that is what O_TRUNC is, and of a file that is empty already the
        // one keeps the times, the other does not.
        70..73 => Op::Truncate { path: path(r), len: offset(r, caps).max(1) },
        73..79 => {
            let keep = FallocateFlags::KEEP_SIZE;
            let mode = r.pick(&[
                FallocateFlags::empty(),
                keep,
                keep | FallocateFlags::PUNCH_HOLE,
                keep | FallocateFlags::PUNCH_HOLE,
                FallocateFlags::ZERO_RANGE,
                keep | FallocateFlags::ZERO_RANGE,
            ]);
            // Space is really taken on tmpfs: no terabytes here.
            Op::Fallocate { slot, mode, off: r.pick(&OFFSETS), len: length(r) as u64 }
        }
        79..85 => Op::CopyRange {
            from: slot,
            to: r.index(SLOTS),
            off_in: r.pick(&OFFSETS),
            off_out: r.pick(&OFFSETS),
            len: length(r),
        },
        85..88 => Op::SeekData { slot, off: offset(r, caps) },
        88..91 => Op::SeekHole { slot, off: offset(r, caps) },
        91 => Op::Fsync { slot },
        92..94 => Op::Map { slot, off: 4096 * r.below(20), len: 1 + r.index(40_000) },
        94..97 => Op::MapStore { at: r.index(40_000), len: 1 + length(r), fill },
        97 => Op::MapLoad { at: r.index(40_000), len: 1 + length(r) },
        98 => Op::MapSync,
        _ => Op::Unmap,
    }
}

fn draw_names(r: &mut Rng, caps: Caps) -> Op {
    match r.below(200) {
        0..38 => Op::Mkdir { path: path(r), mode: r.pick(&[0o755, 0o755, 0o777, 0o2775]) },
        38..52 => Op::Rmdir { path: path(r) },
        52..58 => Op::Mkfifo { path: path(r), mode: mode(r, caps) },
        58..62 => Op::Mksock { path: path(r), mode: mode(r, caps) },
        62..76 => Op::Symlink { target: target(r), path: path(r) },
        76..80 => Op::Readlink { path: path(r) },
        80..94 => Op::Link { from: path(r), to: path(r), follow: r.percent(30) },
        94..100 => Op::LinkSlot { slot: r.index(SLOTS), to: path(r) },
        100..148 => {
            let flags = match r.below(6) {
                0 => RenameFlags::NOREPLACE,
                1 => RenameFlags::EXCHANGE,
                2 if r.percent(30) => RenameFlags::WHITEOUT,
                _ => RenameFlags::empty(),
            };
            Op::Rename { from: path(r), to: path(r), flags }
        }
        148..180 => Op::Unlink { path: path(r) },
        180..198 => Op::List { path: path(r) },
        _ => Op::Churn { path: path(r), count: 20 + r.index(300), seed: r.next() },
    }
}

fn draw_attrs(r: &mut Rng, caps: Caps) -> Op {
    let slot = r.index(SLOTS);
    let link = if r.percent(25) { AtFlags::SYMLINK_NOFOLLOW } else { AtFlags::empty() };
    match r.below(100) {
        0..14 => Op::Chmod { path: path(r), mode: mode(r, caps) },
        14..20 => Op::Fchmod { slot, mode: mode(r, caps) },
        20..28 => {
            Op::Chown { path: path(r), uid: owner(r, caps), gid: owner(r, caps), flags: link }
        }
        28..32 => Op::Fchown { slot, uid: owner(r, caps), gid: owner(r, caps) },
        32..42 => Op::Utimes { path: path(r), atime: time(r), mtime: time(r), flags: link },
        42..46 => Op::Futimes { slot, atime: time(r), mtime: time(r) },
        46..70 if caps.xattr => draw_xattr(r, caps, slot),
        46..80 => Op::Stat { path: path(r) },
        80..92 => Op::Lstat { path: path(r) },
        _ => Op::Access { path: path(r), mode: r.below(8) as u32 },
    }
}

fn draw_xattr(r: &mut Rng, caps: Caps, slot: usize) -> Op {
    let name = xattr_name(r, caps);
    let len = r.pick(&[0, 1, 30, 300, 3000]);
    let fill = r.below(256) as u8;
    match r.below(10) {
        0..4 => {
            let flags = r.pick(&[XattrFlags::empty(), XattrFlags::CREATE, XattrFlags::REPLACE]);
            Op::Setxattr { path: path(r), name, len, fill, flags }
        }
        4..6 => Op::Fsetxattr { slot, name, len, fill },
        6..8 => Op::Getxattr { path: path(r), name },
        _ => Op::Removexattr { path: path(r), name },
    }
}

/// The whole sequence of one seed. It starts with directories, so that depth is reached at once.
pub fn sequence(seed: u64, count: usize, caps: Caps) -> Vec<Op> {
    let mut r = Rng::new(seed);
    let mut ops = Vec::with_capacity(count + 6);
    for name in ["d", "e", "a", "d/d", "d/e", "e/d"] {
        ops.push(Op::Mkdir { path: Path(name.into()), mode: 0o755 });
    }
    while ops.len() < count {
        let op = draw(&mut r, caps);
        // What changes content takes set-id bits, or does not: often enough there are some.
        if let Some(slot) = written(&op).filter(|_| r.percent(15)) {
            ops.push(Op::Fchmod { slot, mode: r.pick(&[0o4755, 0o2755, 0o6711, 0o2744]) });
        }
        ops.push(if caps.engine { for_engine(op, caps) } else { op });
    }
    ops
}

/// The open file whose content an operation changes.
fn written(op: &Op) -> Option<usize> {
    match op {
        Op::Write { slot, .. } | Op::Pwrite { slot, .. } | Op::Ftruncate { slot, .. } => {
            Some(*slot)
        }
        Op::Fallocate { slot, .. } | Op::CopyRange { to: slot, .. } => Some(*slot),
        _ => None,
    }
}

/// The operation, or one in its place where the engine's API has none of that kind.
fn for_engine(op: Op, caps: Caps) -> Op {
    // The engine checks no permissions: an owner never takes them from himself.
    let own = |mode: u32| if caps.root { mode } else { mode | 0o700 };
    let id = |id: Option<u32>| if caps.root { id } else { None };
    match op {
        Op::Open { slot, path, flags, mode } => {
            let flags = flags.difference(OFlags::PATH | OFlags::SYNC);
            Op::Open { slot, path, flags, mode: own(mode) }
        }
        Op::Mkdir { path, mode } => Op::Mkdir { path, mode: own(mode) },
        Op::Mkfifo { path, mode } => Op::Mkfifo { path, mode: own(mode) },
        Op::Mksock { path, mode } => Op::Mksock { path, mode: own(mode) },
        Op::Chmod { path, mode } => Op::Chmod { path, mode: own(mode) },
        Op::Fchmod { slot, mode } => Op::Fchmod { slot, mode: own(mode) },
        Op::Chown { path, uid, gid, flags } => {
            Op::Chown { path, uid: id(uid), gid: id(gid), flags }
        }
        Op::Fchown { slot, uid, gid } => Op::Fchown { slot, uid: id(uid), gid: id(gid) },
        Op::Link { from, to, .. } if !is_plain(&to) => Op::Link { from, to, follow: false },
        Op::LinkSlot { to, .. } if !is_plain(&to) => Op::Lstat { path: to },
        Op::Rename { from, to, .. } if !is_plain(&from) || !is_plain(&to) => {
            Op::Rename { from, to, flags: RenameFlags::empty() }
        }
        // Nobody may open a whiteout.
        Op::Rename { from, to, flags } if !caps.root => {
            Op::Rename { from, to, flags: flags.difference(RenameFlags::WHITEOUT) }
        }
        Op::Churn { path, .. } => Op::List { path },
        Op::Map { slot, .. } => Op::Fsync { slot },
        Op::MapStore { at, .. } | Op::MapLoad { at, .. } => Op::Fsync { slot: at % SLOTS },
        Op::MapSync | Op::Unmap => Op::Fsync { slot: 0 },
        op => op,
    }
}

/// Whether a path ends in a proper name.
fn is_plain(path: &Path) -> bool {
    let last = path.0.rsplit(|c| *c == b'/').next().unwrap_or_default();
    !matches!(last, b"" | b"." | b"..")
}
