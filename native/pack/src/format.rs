//! The stream of an exported snapshot: what export and import must agree on (docs/FORMAT.md has
//! it field by field).
//!
//! | part | content |
//! |---|---|
//! | magic, version | `MAGIC`, one byte |
//! | meta | name, message (strings), created (time) |
//! | `/` | record, entries |
//! | `.devdev/home` | record, entries |
//! | blocks | count, then each block once, in the order of their first use |
//! | trailer | blake3 of everything before it |
//!
//! A record is a string whose bytes are those of `devdev_vfs::record`. The entries of a directory
//! follow it by ascending name: `INODE`, name, record and, of a file, size and chunks, of a
//! directory its entries; or `LINK`, name and number of an inode that came before (counted from
//! 0, without the two roots); `END` after the last. So a stream can not name anything twice
//! or in a circle, and the reader numbers inodes in the order of the walk.

use devdev_vfs::Timespec;

/// First bytes: not text, and damaged by anything that changes line ends.
pub const MAGIC: [u8; 8] = *b"\x89devdev\n";
/// Version of the format; a reader refuses any other.
pub const VERSION: u8 = 1;

/// Tag: no more entries.
pub(crate) const END: u8 = 0;
/// Tag: an entry with a new inode.
pub(crate) const INODE: u8 = 1;
/// Tag: one more name of an inode.
pub(crate) const LINK: u8 = 2;
/// The longest record: extended attributes of an inode take 128 KiB at most.
pub(crate) const RECORD_MAX: usize = 1 << 20;
/// The longest message.
pub const MESSAGE_MAX: usize = 65536;
/// Bytes of the trailer.
pub(crate) const TRAILER: usize = 32;

/// What a stream says of the snapshot besides its tree.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Meta {
    /// Its name; empty when it has none. At most 255 bytes.
    pub name: String,
    /// Its message, at most `MESSAGE_MAX` bytes.
    pub message: String,
    /// When it was taken.
    pub created: Timespec,
}
