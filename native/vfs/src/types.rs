//! What callers hand to `Vfs` and get from it: options, flags, entries, usage.

use std::sync::{Arc, OnceLock};

use crate::attr::{Attr, Caller, Clock};
use crate::chunk::Bytes;
use crate::content_id::ContentId;
use crate::ids::{Ino, NodeId};
use crate::known_ids::TreeId;
use crate::room::Leaving;
use crate::tree::Root;

/// Most a workspace may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of content (allocated, live tree and tmp).
    pub bytes: u64,
    /// Inodes.
    pub inodes: u64,
}

/// How a `Vfs` is made.
pub struct VfsOptions {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Most it may hold.
    pub limits: Limits,
    /// Whether extended attributes are offered (else EOPNOTSUPP).
    pub xattrs: bool,
    /// Owner of the root, `.devdev` and home of a fresh workspace.
    pub owner: Caller,
}

/// What a workspace holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes allocated.
    pub bytes: u64,
    /// Inodes in use.
    pub inodes: u64,
    /// The most there may be.
    pub max_bytes: u64,
    /// The most there may be.
    pub max_inodes: u64,
    /// Bytes changed that no checkpoint or snapshot in the store has yet.
    pub dirty_bytes: u64,
}

/// A frozen tree: immutable, shared by reference.
pub struct Tree {
    /// Its inode table.
    pub root: Root,
    /// Nodes in it were born before this generation.
    pub above: u64,
    /// The next inode number at the time of the freeze.
    pub next_ino: Ino,
    /// Bytes allocated in it.
    pub bytes: u64,
    /// Inodes in it.
    pub inodes: u64,
    pub(crate) id: TreeId,
    /// Set when it is on its way into a store. Last: what it holds goes before.
    pub(crate) leaving: OnceLock<Leaving>,
}

impl Tree {
    /// Its content id, if that was worked out before.
    pub fn known_id(&self) -> Option<ContentId> {
        self.id.known()
    }

    /// It goes into a store, and is dropped when it is there: writes that find no room wait for it.
    pub fn note_leaving(&self) {
        self.leaving.get_or_init(Leaving::new);
    }
}

/// Whether an operation that returns an entry takes a reference to its inode, which
/// `Vfs::forget` gives back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hold {
    /// Take one.
    Take,
    /// Take none.
    None,
}

/// What a name was found to mean.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The node and its attributes.
    pub attr: Attr,
    /// Grows when a removed directory comes back under the same node id.
    pub generation: u32,
}

/// One name that readdir reports.
#[derive(Clone, Copy, Debug)]
pub struct DirEntry<'a> {
    /// Give this to readdir to go on behind the entry.
    pub cookie: u64,
    /// The name.
    pub name: &'a [u8],
    /// What it names.
    pub node: NodeId,
    /// File type bits of the mode.
    pub kind: u32,
}

/// Part of what a read returns.
pub enum ReadPiece {
    /// These bytes of a chunk.
    Data {
        /// The chunk's bytes.
        bytes: Bytes,
        /// First byte.
        start: usize,
        /// How many.
        len: usize,
    },
    /// So many zero bytes.
    Zero(usize),
}

/// How a write is to be done.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct WriteFlags {
    /// Write at the end of the file, wherever it is (O_APPEND of the API; the kernel passes
    /// offsets).
    pub append: bool,
    /// Clear set-user-id and set-group-id bits (FUSE_WRITE_KILL_SUIDGID).
    pub kill_privileges: bool,
    /// Leave mtime and ctime alone: a kernel that writes back later sets them itself.
    pub keep_times: bool,
}

/// rename(2) flags.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct RenameFlags {
    /// Fail with EEXIST when the new name exists.
    pub noreplace: bool,
    /// Exchange both names.
    pub exchange: bool,
    /// Leave a whiteout of this caller's under the old name: a character device 0:0, by which an
    /// overlay knows what was removed.
    pub whiteout: Option<Caller>,
}

/// What lseek(2) looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence {
    /// SEEK_DATA.
    Data,
    /// SEEK_HOLE.
    Hole,
}

/// setxattr(2) flags.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct SetXattr {
    /// XATTR_CREATE: EEXIST when it is there.
    pub create: bool,
    /// XATTR_REPLACE: ENODATA when it is not.
    pub replace: bool,
}

/// statfs(2).
#[derive(Clone, Copy, Debug)]
pub struct StatFs {
    /// Blocks of 4096 bytes in all.
    pub blocks: u64,
    /// Free ones.
    pub free: u64,
    /// Inodes in all.
    pub files: u64,
    /// Free ones.
    pub files_free: u64,
}

/// What a restore changed, so far as caches must be told.
#[derive(Default, Debug)]
pub struct Restored {
    /// Nodes whose attributes changed, and whether their content did.
    pub inodes: Vec<(NodeId, bool)>,
    /// Names that changed their meaning, appeared or went.
    pub names: Vec<(NodeId, Box<[u8]>)>,
}

/// What keeps a kernel's caches true; the bridge implements it. Called after the change, by a
/// thread that serves no request and holds no lock of the engine; returns when it is done.
pub trait Invalidator: Send + Sync {
    /// Attributes (`pages` false) or attributes and these pages (`offset`, `len` 0 = to the
    /// end) of a node changed.
    fn inode(&self, node: NodeId, pages: bool, offset: u64, len: u64);
    /// A name of a directory changed its meaning.
    fn entry(&self, parent: NodeId, name: &[u8]);
    /// Brings in what a kernel that writes back later still holds of a file.
    fn settle(&self, _node: NodeId) {}
    /// The caller changes bytes `from..to` of a file, or its length there, until `edited`: what
    /// the kernel brings of them meanwhile is older.
    fn editing(&self, _node: NodeId, _from: u64, _to: u64) {}
    /// The change is done and `inode` was called for it. Once for each `editing`.
    fn edited(&self, _node: NodeId, _from: u64, _to: u64) {}
}
