//! `Vfs`: one workspace's file system, and the operations every bridge and the API call.

use std::sync::Arc;

use crate::attr::{Attr, Caller, Clock, SetAttr, Timespec};
use crate::chunk::Bytes;
use crate::errno::{Errno, Result};
use crate::ids::{BlockHash, Ino, NodeId};
use crate::outcome::{Loader, Need, NeedKey, Waitable, Waker};
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
}

/// rename(2) flags.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct RenameFlags {
    /// Fail with EEXIST when the new name exists.
    pub noreplace: bool,
    /// Exchange both names.
    pub exchange: bool,
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
}

/// One workspace's file system.
pub struct Vfs {}

#[expect(unused_variables, missing_docs, reason = "signatures first")]
impl Vfs {
    /// A fresh workspace: `/` and `.devdev/home`, mode 0755, owned by `options.owner`.
    pub fn new(options: VfsOptions) -> Arc<Vfs> {
        todo!()
    }
    /// A workspace whose live state is `tree` (a checkpoint, a snapshot, an import, a fork).
    pub fn from_tree(options: VfsOptions, tree: &Tree) -> Arc<Vfs> {
        todo!()
    }

    // --- names
    /// Takes the meaning of a name ("." and ".." included). ENOENT, ENOTDIR, ENAMETOOLONG.
    pub fn lookup(&self, parent: NodeId, name: &[u8], hold: Hold) -> Waitable<Entry> {
        todo!()
    }
    /// Gives `count` references back.
    pub fn forget(&self, node: NodeId, count: u64) {
        todo!()
    }
    /// Takes one reference to a node that is known to exist (open handles of the API).
    pub fn hold(&self, node: NodeId) -> Result<()> {
        todo!()
    }
    /// Every node that is held, with its kind bits (flush barriers, invalidation).
    pub fn held(&self) -> Vec<(NodeId, u32)> {
        todo!()
    }
    /// Whether a node is held.
    pub fn is_held(&self, node: NodeId) -> bool {
        todo!()
    }
    /// `mode` with type bits: regular, fifo, socket, character or block device.
    pub fn mknod(
        &self,
        parent: NodeId,
        name: &[u8],
        mode: u32,
        rdev: u32,
        caller: Caller,
        hold: Hold,
    ) -> Result<Entry> {
        todo!()
    }
    pub fn mkdir(
        &self,
        parent: NodeId,
        name: &[u8],
        mode: u32,
        caller: Caller,
        hold: Hold,
    ) -> Result<Entry> {
        todo!()
    }
    pub fn symlink(
        &self,
        parent: NodeId,
        name: &[u8],
        target: &[u8],
        caller: Caller,
        hold: Hold,
    ) -> Result<Entry> {
        todo!()
    }
    pub fn link(&self, node: NodeId, parent: NodeId, name: &[u8], hold: Hold) -> Result<Entry> {
        todo!()
    }
    /// An inode without a name (O_TMPFILE); always held once.
    pub fn tmpfile(&self, parent: NodeId, mode: u32, caller: Caller) -> Result<Entry> {
        todo!()
    }
    pub fn unlink(&self, parent: NodeId, name: &[u8]) -> Result<()> {
        todo!()
    }
    pub fn rmdir(&self, parent: NodeId, name: &[u8]) -> Result<()> {
        todo!()
    }
    pub fn rename(
        &self,
        parent: NodeId,
        name: &[u8],
        new_parent: NodeId,
        new_name: &[u8],
        flags: RenameFlags,
    ) -> Result<()> {
        todo!()
    }
    /// Reports entries behind `cookie` (0 = from the start, "." and ".." first) until `visit`
    /// returns false; the refused entry is reported again next time. `visit` runs without
    /// locks. Names that sort by cookie, not alphabetically.
    pub fn readdir(
        &self,
        dir: NodeId,
        cookie: u64,
        visit: &mut dyn FnMut(DirEntry<'_>) -> bool,
    ) -> Result<()> {
        todo!()
    }
    pub fn readlink(&self, node: NodeId) -> Result<Arc<[u8]>> {
        todo!()
    }

    // --- attributes
    pub fn getattr(&self, node: NodeId) -> Result<Attr> {
        todo!()
    }
    /// Waits when a truncation needs the bytes of a stored chunk.
    pub fn setattr(&self, node: NodeId, set: &SetAttr) -> Waitable<Attr> {
        todo!()
    }
    pub fn getxattr(&self, node: NodeId, name: &[u8]) -> Result<Vec<u8>> {
        todo!()
    }
    pub fn setxattr(
        &self,
        node: NodeId,
        name: &[u8],
        value: &[u8],
        flags: SetXattr,
        caller: Caller,
    ) -> Result<()> {
        todo!()
    }
    pub fn listxattr(&self, node: NodeId, caller: Caller) -> Result<Vec<Box<[u8]>>> {
        todo!()
    }
    pub fn removexattr(&self, node: NodeId, name: &[u8], caller: Caller) -> Result<()> {
        todo!()
    }
    pub fn statfs(&self) -> StatFs {
        todo!()
    }

    // --- content
    /// At most `len` bytes from `offset`; short at the end of the file.
    pub fn read(&self, node: NodeId, offset: u64, len: usize) -> Waitable<Vec<ReadPiece>> {
        todo!()
    }
    /// All of `data`, or an error and nothing; returns the offset at which it was written.
    pub fn write(
        &self,
        node: NodeId,
        offset: u64,
        data: &[u8],
        flags: WriteFlags,
    ) -> Waitable<u64> {
        todo!()
    }
    /// fallocate(2) with its mode bits (KEEP_SIZE 1, PUNCH_HOLE 2, ZERO_RANGE 16).
    pub fn fallocate(&self, node: NodeId, mode: u32, offset: u64, len: u64) -> Waitable<()> {
        todo!()
    }
    pub fn lseek(&self, node: NodeId, offset: u64, whence: Whence) -> Result<u64> {
        todo!()
    }
    /// Shares whole chunks, copies the rest; returns the bytes copied.
    pub fn copy_file_range(
        &self,
        from: NodeId,
        from_offset: u64,
        to: NodeId,
        to_offset: u64,
        len: u64,
    ) -> Waitable<u64> {
        todo!()
    }

    // --- time travel
    /// Freezes the live tree. O(1).
    pub fn freeze(&self) -> Arc<Tree> {
        todo!()
    }
    /// Makes `tree` the live state in one step and works out what changed.
    pub fn restore(&self, tree: &Tree) -> Restored {
        todo!()
    }
    /// Names and times of the snapshots that `.devdev/snapshots` shows.
    pub fn set_snapshots(&self, names: Vec<(Box<[u8]>, Timespec)>) {
        todo!()
    }

    // --- waiting for the store
    /// Who fetches what is missing; without one a missing block is EIO.
    pub fn set_loader(&self, loader: Option<Arc<dyn Loader>>) {
        todo!()
    }
    /// Calls `waker` when all of `needs` have arrived or one has failed.
    pub fn wait_for(&self, needs: Vec<Need>, waker: Waker) {
        todo!()
    }
    /// Brings a block; EIO for those who wait when the bytes do not have this hash.
    pub fn supply_block(&self, hash: BlockHash, bytes: Vec<u8>) {
        todo!()
    }
    pub fn supply_snapshot(&self, name: &[u8], tree: Arc<Tree>) {
        todo!()
    }
    pub fn fail_need(&self, key: &NeedKey, errno: Errno) {
        todo!()
    }
    /// Who keeps the kernel's caches true; `None` when nothing is mounted.
    pub fn set_invalidator(&self, invalidator: Option<Arc<dyn Invalidator>>) {
        todo!()
    }
    pub fn invalidator(&self) -> Option<Arc<dyn Invalidator>> {
        todo!()
    }
    pub fn usage(&self) -> Usage {
        todo!()
    }
    /// Counts changes: two equal values mean that nothing was changed in between.
    pub fn change_count(&self) -> u64 {
        todo!()
    }
}
