//! The inode record: what the tree holds for each inode number.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::attr::{Attr, PAGE_SIZE, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, Timespec};
use crate::content::Content;
use crate::dir::Dir;
use crate::ids::{Ino, NodeId};
use crate::room::Weight;

/// Extended attributes by full name (`user.mime_type`), in name order.
pub type Xattrs = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// Memory of an inode: the record, its place in the tree, and among the holds.
const INODE_WEIGHT: usize = 288;
/// Memory of an attribute beside its name and value.
const XATTR_WEIGHT: usize = 96;

/// What an inode contains, by file type.
#[derive(Clone)]
pub enum Body {
    /// Regular file.
    File(Content),
    /// Directory.
    Dir(Dir),
    /// Symbolic link: its target.
    Symlink(Arc<[u8]>),
    /// Fifo, socket or device: nothing but the record.
    Special,
}

/// An inode.
#[derive(Clone)]
pub struct Inode {
    /// Its number.
    pub ino: Ino,
    /// Type and permission bits. INVARIANT: the type bits agree with `body`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Names; of a directory 2 + subdirectories.
    pub nlink: u32,
    /// Device number of a device node.
    pub rdev: u32,
    /// Length of a regular file or a symlink in bytes; 0 for the others.
    pub size: u64,
    /// Pages of data in a regular file's chunks (holes count nothing).
    pub pages: u64,
    /// The directory it is in. Exact for a directory; for others the directory of the name
    /// given last, a hint that a reader must check.
    pub parent: Ino,
    /// Last access (explicitly set only).
    pub atime: Timespec,
    /// Last change of content.
    pub mtime: Timespec,
    /// Last change of the record.
    pub ctime: Timespec,
    /// Creation.
    pub btime: Timespec,
    /// Extended attributes; `None` when there are none.
    pub xattrs: Option<Arc<Xattrs>>,
    /// Content by type.
    pub body: Body,
    pub(crate) weight: Weight,
}

impl Inode {
    /// A new inode of the given mode without names; `now` becomes all its times.
    pub fn new(ino: Ino, mode: u32, uid: u32, gid: u32, parent: Ino, now: Timespec) -> Inode {
        let body = match mode & S_IFMT {
            S_IFREG => Body::File(Content::default()),
            S_IFDIR => Body::Dir(Dir::default()),
            _ => Body::Special,
        };
        Inode {
            ino,
            mode,
            uid,
            gid,
            nlink: 0,
            rdev: 0,
            size: 0,
            pages: 0,
            parent,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            xattrs: None,
            body,
            weight: Weight::new(INODE_WEIGHT),
        }
    }

    /// Counts its memory again after a symlink's target or an attribute has changed.
    pub(crate) fn weigh(&mut self) {
        let target = match &self.body {
            Body::Symlink(target) => target.len(),
            _ => 0,
        };
        let all = self.xattrs.iter().flat_map(|all| all.iter());
        let xattrs: usize = all.map(|(n, v)| n.len() + v.len() + XATTR_WEIGHT).sum();
        self.weight.set(INODE_WEIGHT + target + xattrs);
    }

    /// Its memory beside content and names, roughly.
    pub(crate) fn weight(&self) -> u64 {
        self.weight.bytes()
    }

    /// File type bits.
    pub fn kind(&self) -> u32 {
        self.mode & S_IFMT
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind() == S_IFDIR
    }

    /// Its attributes, as reached through `node`.
    pub fn attr(&self, node: NodeId) -> Attr {
        let size = match &self.body {
            Body::Dir(dir) => dir.len() * 32,
            _ => self.size,
        };
        debug_assert!(self.kind() != S_IFLNK || matches!(self.body, Body::Symlink(_)));
        debug_assert!(self.kind() != S_IFIFO || matches!(self.body, Body::Special));
        Attr {
            node,
            mode: self.mode,
            nlink: self.nlink,
            uid: self.uid,
            gid: self.gid,
            rdev: self.rdev,
            size,
            blocks: self.pages * (PAGE_SIZE / 512),
            atime: self.atime,
            mtime: self.mtime,
            ctime: self.ctime,
            btime: self.btime,
        }
    }
}
