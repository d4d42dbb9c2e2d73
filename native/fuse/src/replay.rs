//! Telling programs that watch files of a restore. The kernel raises events for nothing but system
//! calls through the mount, so a helper process makes those that a restore stands for, and is
//! answered here as if each were done: names that are gone are shown to it once more, those that
//! are new are hidden until it makes them, and nothing is changed, whatever it asks.
//!
//! All that others see is true all the time. What is shown to the helper alone holds for no moment
//! in the kernel's cache, and a name that means something else by now is refused to it. Of names
//! that meant something before and mean something else now only the making is replayed: removing
//! such a name would go to the new inode where the kernel knows it already. Inodes that are gone
//! and watched themselves are removed from a directory that only the helper can find.
//!
//! INVARIANT: every request of the helper comes here for as long as it lives (`replayer`).

use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering};

use devdev_vfs::{
    Attachment, Attr, Entry, Errno, Hold, Ino, NamedInode, News, NodeId, Outcome, S_IFBLK, S_IFCHR,
    S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFSOCK, Timespec,
};
use parking_lot::Mutex;

use crate::abi::WRITE_CACHE;
use crate::ops::{Context, OpResult, attributes, look_up, serve};
use crate::reply::Answer;
use crate::request::{Op, Request};

/// What is shown to the helper and is nowhere else.
const GHOSTS: Attachment = Attachment(3);
/// The directory of inodes that are gone, by number.
const LOST: NodeId = NodeId::new(GHOSTS, Ino::ROOT);

// In what order things are told; the helper says where it is by looking these names up in LOST.
const REMOVING: u8 = 1;
const ADDING: u8 = 2;
const CHANGING: u8 = 3;
const STAGE: &[u8] = b"stage-";

/// What the helper is to be shown under a name.
#[derive(Clone, Copy)]
enum Shown {
    /// It is gone. `now`: the helper was shown it by its last look-up.
    Removed { ino: Ino, kind: u32, now: bool },
    /// It is new.
    Added { ino: Ino, kind: u32 },
}

/// By directory and name.
type Names = HashMap<(Ino, Box<[u8]>), Shown>;

/// One replay: what the helper is answered.
pub(crate) struct Replay {
    /// The name of LOST in the root, which nobody can guess.
    token: Vec<u8>,
    stage: AtomicU8,
    names: Mutex<Names>,
    /// Inodes that are gone, and their kinds.
    lost: HashMap<Ino, u32>,
}

impl Replay {
    /// What is to be answered, and the helper's orders but for their head.
    pub fn of(news: &News, token: String) -> (Replay, Vec<u8>) {
        let mut names = Names::new();
        let mut orders = Orders(Vec::new());
        orders.stage(REMOVING);
        for lost in &news.lost {
            if !lost.names.is_empty() {
                orders.number(b'G', lost.ino);
                orders.remove(lost.ino, &lost.names, &mut names);
            }
            orders.put(b'H', b"");
            orders.number(removal(lost.kind), lost.ino);
        }
        for dir in news.dirs.iter().filter(|dir| !dir.removed.is_empty()) {
            orders.put(b'D', &dir.path);
            orders.remove(dir.ino, &dir.removed, &mut names);
        }
        orders.stage(ADDING);
        for dir in news.dirs.iter().filter(|dir| !dir.added.is_empty()) {
            orders.put(b'D', &dir.path);
            for NamedInode { name, ino, kind } in &dir.added {
                let shown = Shown::Added { ino: *ino, kind: *kind };
                names.insert((dir.ino, name.clone()), shown);
                orders.put(making(*kind), name);
            }
        }
        orders.stage(CHANGING);
        for dir in &news.dirs {
            let changes = [(b'w', &dir.content), (b'a', &dir.attributes_of)];
            if !dir.attributes && changes.iter().all(|(_, named)| named.is_empty()) {
                continue;
            }
            orders.put(b'D', &dir.path);
            if dir.attributes {
                orders.put(b'A', b"");
            }
            for (order, NamedInode { name, ino, .. }) in
                changes.iter().flat_map(|(order, all)| all.iter().map(move |one| (*order, one)))
            {
                orders.change(order, *ino, name);
            }
        }
        let lost = news.lost.iter().map(|lost| (lost.ino, lost.kind)).collect();
        let stage = AtomicU8::new(0);
        let replay = Replay { token: token.into_bytes(), stage, names: Mutex::new(names), lost };
        (replay, orders.0)
    }

    /// Answers a request of the helper.
    pub fn answer(&self, c: &mut Context<'_>, request: &Request<'_>) -> OpResult {
        match &request.op {
            Op::Lookup(name) => self.lookup(c, name),
            Op::Unlink(name) => self.remove(c, name, false),
            Op::Rmdir(name) => self.remove(c, name, true),
            Op::Mknod(arg, name) => self.make(c, name, arg.mode & S_IFMT),
            Op::Mkdir(_, name) => self.make(c, name, S_IFDIR),
            Op::Symlink { name, .. } => self.make(c, name, S_IFLNK),
            Op::Getattr if c.node == LOST => {
                let attr = ghost(c, LOST, S_IFDIR);
                c.reply.push_attr(&attr);
                Ok(Answer::Buffer)
            }
            Op::Setattr(_) => attributes(c),
            // What others had stored to a mapping, and is written back on its behalf.
            Op::Write(arg, _) if arg.write_flags & WRITE_CACHE != 0 => serve(c, request),
            Op::Forget(_)
            | Op::BatchForget(_)
            | Op::Getattr
            | Op::Statx
            | Op::Access(_)
            | Op::Statfs
            | Op::Open
            | Op::Release
            | Op::Opendir
            | Op::Releasedir
            | Op::Flush
            | Op::Getxattr { .. }
            | Op::Interrupt => serve(c, request),
            _ => Err(Errno::Perm),
        }
    }

    /// Whether a name is one that is gone and that the helper has not removed yet.
    pub fn is_removing(&self, dir: NodeId, name: &[u8]) -> bool {
        matches!(self.shown(dir, name), Some(Shown::Removed { .. }))
    }

    fn lookup(&self, c: &mut Context<'_>, name: &[u8]) -> OpResult {
        if c.node == LOST {
            return self.lookup_lost(c, name);
        }
        if c.node == NodeId::ROOT && *name == *self.token {
            return show(c, LOST, S_IFDIR);
        }
        match (self.stage.load(Ordering::SeqCst), self.shown(c.node, name)) {
            (REMOVING, Some(Shown::Removed { ino, kind, .. })) => {
                if meaning(c, name)?.is_some() {
                    return Err(Errno::Busy);
                }
                self.set(c.node, name, Shown::Removed { ino, kind, now: true });
                show(c, NodeId::new(GHOSTS, ino), kind)
            }
            (ADDING, Some(Shown::Added { ino, .. })) => match meaning(c, name)? {
                // The kernel keeps nothing of an error.
                Some(entry) if entry.attr.node.ino() == ino => Err(Errno::NoEnt),
                _ => Err(Errno::Busy),
            },
            _ => look_up(c, name),
        }
    }

    fn lookup_lost(&self, c: &mut Context<'_>, name: &[u8]) -> OpResult {
        if let Some(stage) = name.strip_prefix(STAGE) {
            let stage = stage.first().map_or(0, |digit| digit.wrapping_sub(b'0'));
            self.stage.store(stage, Ordering::SeqCst);
            return Err(Errno::NoEnt);
        }
        let (node, _) = self.lost(name).ok_or(Errno::NoEnt)?;
        let entry = c.vfs.orphan_entry(node)?;
        c.reply.push_passing_entry(&entry);
        Ok(Answer::Buffer)
    }

    fn lost(&self, name: &[u8]) -> Option<(NodeId, u32)> {
        let ino = Ino(str::from_utf8(name).ok()?.parse().ok()?);
        let kind = self.lost.get(&ino)?;
        Some((NodeId::new(Attachment::LIVE, ino), *kind))
    }

    fn remove(&self, c: &mut Context<'_>, name: &[u8], is_dir: bool) -> OpResult {
        let fits = |kind: u32| (kind == S_IFDIR) == is_dir;
        if c.node == LOST {
            let (node, kind) = self.lost(name).ok_or(Errno::NoEnt)?;
            // It may have come back.
            let gone = fits(kind) && c.vfs.note_removed(node);
            return if gone { Ok(Answer::Buffer) } else { Err(Errno::Busy) };
        }
        let Some(Shown::Removed { kind, now: true, .. }) = self.shown(c.node, name) else {
            return Err(Errno::Busy);
        };
        // Once: the next one would be about something that others have made.
        self.names.lock().remove(&key(c.node, name));
        let gone = fits(kind) && meaning(c, name)?.is_none();
        if gone { Ok(Answer::Buffer) } else { Err(Errno::Busy) }
    }

    fn make(&self, c: &mut Context<'_>, name: &[u8], kind: u32) -> OpResult {
        let Some(Shown::Added { ino, kind: wanted }) = self.shown(c.node, name) else {
            return Err(Errno::Busy);
        };
        self.names.lock().remove(&key(c.node, name));
        let Outcome::Done(entry) = c.vfs.lookup(c.node, name, Hold::Take)? else {
            return Err(Errno::Busy);
        };
        if entry.attr.node.ino() != ino || kind != wanted {
            c.vfs.forget(entry.attr.node, 1);
            return Err(Errno::Busy);
        }
        c.reply.push_entry(&entry);
        Ok(Answer::Buffer)
    }

    fn shown(&self, dir: NodeId, name: &[u8]) -> Option<Shown> {
        let ours = dir.attachment() == Attachment::LIVE;
        if ours { self.names.lock().get(&key(dir, name)).copied() } else { None }
    }

    fn set(&self, dir: NodeId, name: &[u8], shown: Shown) {
        self.names.lock().insert(key(dir, name), shown);
    }
}

fn key(dir: NodeId, name: &[u8]) -> (Ino, Box<[u8]>) {
    (dir.ino(), name.into())
}

// What the name means in truth. The live tree never needs the store for that.
fn meaning(c: &Context<'_>, name: &[u8]) -> Result<Option<Entry>, Errno> {
    match c.vfs.lookup(c.node, name, Hold::None) {
        Ok(Outcome::Done(entry)) => Ok(Some(entry)),
        Ok(Outcome::Wait(_)) => Err(Errno::Busy),
        Err(Errno::NoEnt) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn show(c: &mut Context<'_>, node: NodeId, kind: u32) -> OpResult {
    let attr = ghost(c, node, kind);
    c.reply.push_passing_ghost(&attr);
    Ok(Answer::Buffer)
}

// One that the helper may remove, or look into.
fn ghost(c: &Context<'_>, node: NodeId, kind: u32) -> Attr {
    let time = Timespec::default();
    Attr {
        node,
        mode: kind | 0o700,
        nlink: if kind == S_IFDIR { 2 } else { 1 },
        uid: c.caller.uid,
        gid: c.caller.gid,
        rdev: 0,
        size: 0,
        blocks: 0,
        atime: time,
        mtime: time,
        ctime: time,
        btime: time,
    }
}

/// What the helper is to do, in its words: a letter, what belongs to it, a NUL.
struct Orders(Vec<u8>);

impl Orders {
    fn put(&mut self, order: u8, rest: &[u8]) {
        self.0.push(order);
        self.0.extend_from_slice(rest);
        self.0.push(0);
    }

    fn number(&mut self, order: u8, ino: Ino) {
        self.put(order, ino.0.to_string().as_bytes());
    }

    fn stage(&mut self, stage: u8) {
        self.put(b'S', &[STAGE, &[b'0' + stage]].concat());
    }

    fn change(&mut self, order: u8, ino: Ino, name: &[u8]) {
        self.0.push(order);
        // Into memory.
        let _ = write!(self.0, "{} ", ino.0);
        self.0.extend_from_slice(name);
        self.0.push(0);
    }

    fn remove(&mut self, dir: Ino, removed: &[NamedInode], names: &mut Names) {
        for NamedInode { name, ino, kind } in removed {
            names
                .insert((dir, name.clone()), Shown::Removed { ino: *ino, kind: *kind, now: false });
            self.put(removal(*kind), name);
        }
    }
}

fn removal(kind: u32) -> u8 {
    if kind == S_IFDIR { b'r' } else { b'u' }
}

fn making(kind: u32) -> u8 {
    match kind {
        S_IFDIR => b'd',
        S_IFLNK => b'l',
        S_IFIFO => b'p',
        S_IFSOCK => b's',
        S_IFCHR => b'c',
        S_IFBLK => b'b',
        _ => b'f',
    }
}
