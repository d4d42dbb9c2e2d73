//! What an operation answers, and how it becomes bytes: small replies in the worker's buffer, file
//! data straight from the chunks it lies in.

use std::io::IoSlice;

use devdev_vfs::{Attr, Entry, Need, NodeId, ReadPiece, Timespec};

use crate::abi::{self, Abi, AttrOut, EntryOut, Field, OutHeader};
use crate::transport::{Port, SendError};

/// Seconds for which names and attributes hold: for ever, because what does not go through the
/// mount is invalidated. (The kernel computes with it, so it is not the largest number.)
pub(crate) const FOREVER: u64 = 1_000_000_000;

/// Preferred size of input and output.
const BLOCK_SIZE: u32 = 4096;

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// What an operation comes to when it does not fail.
pub(crate) enum Answer {
    /// The request has no reply.
    Silence,
    /// What was put into the buffer (maybe nothing).
    Buffer,
    /// File data.
    Data(Vec<ReadPiece>),
    /// Nothing was changed or answered; again when these have arrived.
    Wait(Vec<Need>),
    /// Done when everything that was done so far is durable.
    Sync,
    /// Again when the kernel has handed over what it holds back of the node.
    Flush,
}

/// A reply in the making. Reused for every request of a worker.
pub(crate) struct Reply {
    bytes: Vec<u8>,
    /// References that the kernel gets with this reply, to be given back if it is lost.
    taken: Vec<NodeId>,
    /// A node of which the kernel keeps attributes that the request changed behind its back.
    outdated: Option<NodeId>,
}

impl Reply {
    pub fn new() -> Reply {
        Reply { bytes: Vec::with_capacity(4096), taken: Vec::new(), outdated: None }
    }

    /// Starts over, with room for the header.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(OutHeader::SIZE, 0);
        self.taken.clear();
        self.outdated = None;
    }

    /// The kernel has to ask for the node's attributes again.
    pub fn set_outdated(&mut self, node: NodeId) {
        self.outdated = Some(node);
    }

    /// What `set_outdated` was called with.
    pub fn outdated(&self) -> Option<NodeId> {
        self.outdated
    }

    /// Bytes behind the header.
    pub fn len(&self) -> usize {
        self.bytes.len() - OutHeader::SIZE
    }

    /// Makes room for so many bytes behind the header in one go.
    pub fn reserve(&mut self, len: usize) {
        self.bytes.reserve(len);
    }

    pub fn push<T: Abi>(&mut self, value: &T) {
        value.append(&mut self.bytes);
    }

    pub fn push_bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Zeros up to the next multiple of eight.
    pub fn pad(&mut self) {
        let len = self.len().next_multiple_of(8);
        self.bytes.resize(OutHeader::SIZE + len, 0);
    }

    /// An entry whose inode the engine holds once more for the kernel.
    pub fn push_entry(&mut self, entry: &Entry) {
        self.taken.push(entry.attr.node);
        self.push(&entry_out(entry));
    }

    /// The same, of which the kernel keeps no name: whoever comes next asks again.
    pub fn push_passing_entry(&mut self, entry: &Entry) {
        self.taken.push(entry.attr.node);
        self.push(&EntryOut { entry_valid: 0, ..entry_out(entry) });
    }

    /// The same for a node that the engine does not have.
    pub fn push_passing_ghost(&mut self, attr: &Attr) {
        let (nodeid, attr) = (attr.node.0, abi_attr(attr));
        self.push(&EntryOut { nodeid, attr_valid: FOREVER, attr, ..EntryOut::default() });
    }

    /// The name does not exist, for ever.
    pub fn push_negative_entry(&mut self) {
        self.push(&EntryOut { entry_valid: FOREVER, ..EntryOut::default() });
    }

    pub fn push_attr(&mut self, attr: &Attr) {
        self.push(&AttrOut { attr_valid: FOREVER, attr: abi_attr(attr), ..AttrOut::default() });
    }

    /// Nodes whose references go with this reply.
    pub fn taken(&self) -> &[NodeId] {
        &self.taken
    }

    /// Sends what is in the buffer.
    pub fn send(&mut self, port: &dyn Port, unique: u64) -> Result<(), SendError> {
        let header = OutHeader { len: self.bytes.len() as u32, error: 0, unique };
        header.put(&mut self.bytes);
        port.send(&[IoSlice::new(&self.bytes)])
    }
}

/// Sends an error, `errno` positive.
pub(crate) fn send_error(port: &dyn Port, unique: u64, errno: i32) -> Result<(), SendError> {
    let mut bytes = [0; OutHeader::SIZE];
    OutHeader { len: bytes.len() as u32, error: -errno, unique }.put(&mut bytes);
    port.send(&[IoSlice::new(&bytes)])
}

/// Sends file data from where it lies; returns its length.
pub(crate) fn send_data(
    port: &dyn Port,
    unique: u64,
    pieces: &[ReadPiece],
) -> Result<u64, SendError> {
    let mut header = [0; OutHeader::SIZE];
    let mut parts = Vec::with_capacity(pieces.len() + 1);
    let mut len = 0;
    for piece in pieces {
        match piece {
            ReadPiece::Data { bytes, start, len: n } => {
                parts.push(IoSlice::new(&bytes[*start..*start + *n]));
                len += n;
            }
            ReadPiece::Zero(n) => {
                len += n;
                let mut rest = *n;
                while rest > 0 {
                    let now = rest.min(ZEROS.len());
                    parts.push(IoSlice::new(&ZEROS[..now]));
                    rest -= now;
                }
            }
        }
    }
    OutHeader { len: (OutHeader::SIZE + len) as u32, error: 0, unique }.put(&mut header);
    parts.insert(0, IoSlice::new(&header));
    port.send(&parts).map(|()| len as u64)
}

/// An entry with infinite validity.
pub(crate) fn entry_out(entry: &Entry) -> EntryOut {
    EntryOut {
        nodeid: entry.attr.node.0,
        generation: u64::from(entry.generation),
        entry_valid: FOREVER,
        attr_valid: FOREVER,
        attr: abi_attr(&entry.attr),
        ..EntryOut::default()
    }
}

/// Attributes as FUSE lays them out. `st_ino` is the node id: in the live tree that is the inode
/// number, elsewhere the attachment makes it different from the live tree's.
pub(crate) fn abi_attr(attr: &Attr) -> abi::Attr {
    abi::Attr {
        ino: attr.node.0,
        size: attr.size,
        blocks: attr.blocks,
        atime: attr.atime.secs as u64,
        mtime: attr.mtime.secs as u64,
        ctime: attr.ctime.secs as u64,
        atimensec: attr.atime.nanos,
        mtimensec: attr.mtime.nanos,
        ctimensec: attr.ctime.nanos,
        mode: attr.mode,
        nlink: attr.nlink,
        uid: attr.uid,
        gid: attr.gid,
        rdev: attr.rdev,
        blksize: BLOCK_SIZE,
        flags: 0,
    }
}

/// Attributes as statx lays them out, with the birth time.
pub(crate) fn abi_statx(attr: &Attr) -> abi::Statx {
    let time = |time: Timespec| abi::SxTime { tv_sec: time.secs, tv_nsec: time.nanos, reserved: 0 };
    abi::Statx {
        mask: STATX_BASIC_STATS | STATX_BTIME,
        blksize: BLOCK_SIZE,
        nlink: attr.nlink,
        uid: attr.uid,
        gid: attr.gid,
        mode: attr.mode as u16,
        ino: attr.node.0,
        size: attr.size,
        blocks: attr.blocks,
        atime: time(attr.atime),
        btime: time(attr.btime),
        ctime: time(attr.ctime),
        mtime: time(attr.mtime),
        rdev_major: (attr.rdev >> 8) & 0xfff,
        rdev_minor: (attr.rdev & 0xff) | ((attr.rdev >> 12) & 0xfff00),
        ..abi::Statx::default()
    }
}

const STATX_BASIC_STATS: u32 = 0x7ff;
const STATX_BTIME: u32 = 0x800;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    struct Sink(Mutex<Vec<u8>>);

    impl Port for Sink {
        fn send(&self, parts: &[IoSlice<'_>]) -> Result<(), SendError> {
            let mut bytes = self.0.lock();
            bytes.clear();
            parts.iter().for_each(|part| bytes.extend_from_slice(part));
            Ok(())
        }
    }

    #[test]
    fn data_is_sent_piece_by_piece() {
        let sink = Sink(Mutex::new(Vec::new()));
        let pieces = [
            ReadPiece::Data { bytes: Arc::new(b"hello".to_vec()), start: 1, len: 3 },
            ReadPiece::Zero(70_000),
            ReadPiece::Data { bytes: Arc::new(b"!".to_vec()), start: 0, len: 1 },
        ];
        assert_eq!(send_data(&sink, 42, &pieces), Ok(70_004));
        let bytes = sink.0.lock();
        let header = OutHeader::decode(&bytes).unwrap();
        assert_eq!(header, OutHeader { len: 70_020, error: 0, unique: 42 });
        assert_eq!(bytes.len(), 70_020);
        assert_eq!((&bytes[16..19], bytes[19], bytes[70_019]), (&b"ell"[..], 0, b'!'));
    }

    #[test]
    fn headers_carry_length_and_error() {
        let sink = Sink(Mutex::new(Vec::new()));
        send_error(&sink, 7, 5).unwrap();
        let expected = OutHeader { len: 16, error: -5, unique: 7 };
        assert_eq!(OutHeader::decode(&sink.0.lock()), Some(expected));
        let mut reply = Reply::new();
        reply.clear();
        reply.push_bytes(b"abc");
        reply.pad();
        assert_eq!(reply.len(), 8);
        reply.send(&sink, 8).unwrap();
        assert_eq!(OutHeader::decode(&sink.0.lock()).unwrap().len, 24);
    }
}
