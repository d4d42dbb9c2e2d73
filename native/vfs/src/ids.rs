//! Identities: inode numbers, attachments, node ids, block and page ids.
//!
//! Kept apart from the structures that use them, so that a bare `u64` never crosses a
//! function boundary of this crate.

use std::fmt;

/// An inode number: monotonic, never reused within a workspace, below 2^40.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ino(pub u64);

impl Ino {
    /// The root directory of every tree.
    pub const ROOT: Ino = Ino(1);
    /// `.devdev/home` of the live tree and of every snapshot: in the tree, in no dentry.
    pub const HOME: Ino = Ino(2);
    /// Within a snapshot attachment: its synthetic `.devdev` (which holds only `home`).
    pub const SNAPSHOT_CONTROL: Ino = Ino(3);
    /// The first number handed out to a user's inode.
    pub const FIRST: Ino = Ino(16);
    /// Numbers are kept below this, so that a node id fits 64 bits and JavaScript's integers.
    pub const LIMIT: u64 = 1 << 40;
}

/// Through what an inode is reached (24 bits).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Attachment(pub u32);

impl Attachment {
    /// The live tree.
    pub const LIVE: Attachment = Attachment(0);
    /// `.devdev/tmp`: a tree of its own, in no snapshot.
    pub const TMP: Attachment = Attachment(1);
    /// The synthetic control directories.
    pub const CONTROL: Attachment = Attachment(2);
    /// The first id given to a read-only snapshot tree; ids are never reused on a connection.
    pub const FIRST_SNAPSHOT: Attachment = Attachment(16);
    /// Ids stay below this.
    pub const LIMIT: u32 = 1 << 24;
}

/// What the kernel calls a node: (attachment, inode), 24 + 40 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

impl NodeId {
    /// The root of the live tree; FUSE fixes its number at 1.
    pub const ROOT: NodeId = NodeId(1);
    /// The hidden `.devdev` directory.
    pub const CONTROL: NodeId = NodeId::new(Attachment::CONTROL, Ino(1));
    /// `.devdev/snapshots`.
    pub const SNAPSHOTS: NodeId = NodeId::new(Attachment::CONTROL, Ino(2));
    /// `.devdev/home`.
    pub const HOME: NodeId = NodeId::new(Attachment::LIVE, Ino::HOME);
    /// `.devdev/tmp`.
    pub const TMP: NodeId = NodeId::new(Attachment::TMP, Ino::ROOT);

    /// Puts the two parts together.
    pub const fn new(attachment: Attachment, ino: Ino) -> NodeId {
        NodeId(((attachment.0 as u64) << 40) | ino.0)
    }

    /// Through what the inode is reached.
    pub const fn attachment(self) -> Attachment {
        Attachment((self.0 >> 40) as u32)
    }

    /// The inode within its tree.
    pub const fn ino(self) -> Ino {
        Ino(self.0 & (Ino::LIMIT - 1))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.attachment().0, self.ino().0)
    }
}

/// blake3-256 of a block (a chunk's bytes without the zeros at their end): its name in the
/// block store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockHash(pub [u8; 32]);

/// blake3-256 of an encoded tree page: its name in the metadata store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId(pub [u8; 32]);

impl BlockHash {
    /// The hash of a block.
    pub fn of(block: &[u8]) -> BlockHash {
        BlockHash(*blake3::hash(block).as_bytes())
    }
}

impl PageId {
    /// The id of an encoded page.
    pub fn of(page: &[u8]) -> PageId {
        PageId(*blake3::hash(page).as_bytes())
    }
}

pub(crate) fn hex(bytes: &[u8; 32], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Debug for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}
