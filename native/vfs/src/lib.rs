//! The devdev engine: a POSIX file system over an inode table, without an operating system.
//!
//! It knows no kernel, no clock and no randomness: the clock is handed in, so the same
//! operations give the same state. Bridges translate their requests into calls of `Vfs`.
//!
//! Lock order, outermost first (asserted in debug builds where the locks are taken):
//! 1. the gate (shared by every change, exclusive to freeze and restore),
//! 2. the rename lock (directory moves between directories),
//! 3. name locks (striped by inode, in stripe order),
//! 4. the tree's structure lock, 5. a node's children, 6. a leaf's data,
//! 7. a shard of the holds table, 8. a chunk's data.
//!
//! Outside of it: a restore holds `restores` around everything, and `transition` comes before 4.
//! The locks of the control directory and of the table of waits, and the live root's, are
//! innermost: held for a few instructions.
//! Never held while waiting for the store, JavaScript or a notification: any of them.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod api;
mod attr;
mod builder;
mod check;
mod chunk;
pub mod codec;
mod content;
mod content_id;
mod control;
mod data;
mod delta;
mod dir;
mod errno;
mod freeze;
mod gate;
mod graft;
mod holds;
mod ids;
mod inode;
#[cfg(any(test, feature = "check"))]
mod invariants;
mod kinship;
mod known_ids;
mod load;
mod locks;
mod merge;
mod names;
mod numbers;
mod outcome;
mod owners;
pub mod page;
mod path_diff;
mod persist;
mod rank;
mod readdir;
pub mod reclaim;
pub mod record;
mod rename;
mod room;
mod setattr;
mod space;
mod threads;
mod tree;
mod types;
mod usage;
mod vfs;
mod waits;
mod watched;
mod xattr;

#[cfg(any(test, feature = "sample"))]
pub mod sample;

pub use attr::{
    Attr, Caller, Clock, MAX_FILE_SIZE, NAME_MAX, PAGE_SIZE, PATH_MAX, S_IFBLK, S_IFCHR, S_IFDIR,
    S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK, S_ISGID, S_ISUID, S_IXGRP, SetAttr, SetTime,
    Timespec,
};
pub use builder::TreeBuilder;
pub use chunk::{Bytes, CHUNK_PAGES, CHUNK_SIZE, Chunk, block_bytes, full_pages};
pub use codec::Corrupt;
pub use content::{Content, SEGMENT_CHUNKS, Segment};
pub use content_id::{ContentId, names};
pub use control::SnapshotEntry;
pub use delta::changed_inodes;
pub use dir::{Dentry, Dir, DirPage, PAGE_ENTRIES, name_cookie};
pub use errno::{Errno, Result};
pub use graft::{Graft, Refused};
pub use ids::{Attachment, BlockHash, Ino, NodeId, PageId};
pub use inode::{Body, Inode, Xattrs};
pub use kinship::Kinship;
pub use known_ids::content_id;
pub use load::{DecodedPage, Surroundings, TreeLoader};
pub use merge::{
    Conflict, ConflictKind, MergeOptions, MergeSide, Merged, MergedText, Resolve, Texts,
    kinship_after_merge, merge,
};
pub use outcome::{Loader, Need, NeedKey, Outcome, Waitable, Waker};
pub use owners::remap_owners;
pub use path_diff::{
    Change, ChangeKind, DiffScope, Differences, Seen, count_changes, path_diff, path_diff_of,
};
pub use persist::Persist;
pub use room::{Beside, held_bytes, is_pressing};
pub use threads::start_threads;
pub use tree::{Child, LEAF_BITS, Leaf, LiveTree, NODE_BITS, NODE_CHILDREN, Node, Root};
pub use types::{
    DirEntry, Entry, Hold, Invalidator, Limits, ReadPiece, RenameFlags, Restored, SetXattr, StatFs,
    Tree, Usage, VfsOptions, Whence, WriteFlags,
};
pub use vfs::Vfs;
pub use watched::{ChangedDir, Changes, Interest, LostInode, NamedInode, News, Watchers};
