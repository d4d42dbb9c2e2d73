//! Writes a snapshot as one stream. The same tree and meta give the same bytes.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use devdev_vfs::codec::{put_bytes, put_time, put_varint};
use devdev_vfs::record::put_record;
use devdev_vfs::{BlockHash, Body, Bytes, Chunk, Content, Ino, Inode, Persist, Tree, block_bytes};

use crate::encoding::{Packer, ZSTD};
use crate::format::{END, INODE, LINK, MAGIC, MESSAGE_MAX, Meta, VERSION};
use crate::pace::Pace;

/// Better than when storing: a stream is written once and kept or sent.
const LEVEL: i32 = 3;
const BUFFER: usize = 256 << 10;
/// Blocks that are fetched before they are packed together.
const BATCH: usize = 64;

/// Why a snapshot can not be exported.
#[derive(Debug)]
pub enum ExportError {
    /// Fetching a block or writing the stream failed.
    Io(io::Error),
    /// The fetched bytes are not those of the block.
    WrongBlock(BlockHash),
    /// The name or the message is too long.
    Meta,
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExportError::Io(error) => error.fmt(f),
            ExportError::WrongBlock(hash) => write!(f, "the store has other bytes as {hash:?}"),
            ExportError::Meta => f.write_str("the name or the message is too long"),
        }
    }
}

impl std::error::Error for ExportError {}

impl From<io::Error> for ExportError {
    fn from(error: io::Error) -> ExportError {
        ExportError::Io(error)
    }
}

/// Brings the block of a chunk that is not in memory.
pub type Fetch<'a> = dyn Fn(&Arc<Chunk>) -> io::Result<Bytes> + 'a;

/// Writes `tree` to `sink` piece by piece.
pub fn export(
    tree: &Arc<Tree>,
    meta: &Meta,
    fetch: &Fetch<'_>,
    sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), ExportError> {
    if meta.name.len() > 255 || meta.message.len() > MESSAGE_MAX {
        return Err(ExportError::Meta);
    }
    Pace::FULL.each(Persist::new(tree).chunks(), |chunk| _ = chunk.hash());
    let mut export = Export {
        tree,
        out: Vec::with_capacity(BUFFER * 2),
        digest: blake3::Hasher::new(),
        sink,
        numbers: HashMap::new(),
        inodes: 0,
        known: HashMap::new(),
        blocks: Vec::new(),
    };
    export.out.extend_from_slice(&MAGIC);
    export.out.push(VERSION);
    put_bytes(&mut export.out, meta.name.as_bytes());
    put_bytes(&mut export.out, meta.message.as_bytes());
    put_time(&mut export.out, meta.created);
    export.directory(Ino::ROOT)?;
    export.directory(Ino::HOME)?;
    export.blocks(fetch)?;
    export.finish()
}

struct Export<'a> {
    tree: &'a Tree,
    out: Vec<u8>,
    digest: blake3::Hasher,
    sink: &'a mut dyn FnMut(&[u8]) -> io::Result<()>,
    /// Numbers of the inodes that have several names.
    numbers: HashMap<Ino, u64>,
    inodes: u64,
    /// Numbers of the blocks, in the order of their first use.
    known: HashMap<BlockHash, u64>,
    blocks: Vec<Arc<Chunk>>,
}

type Names = std::vec::IntoIter<(Box<[u8]>, Ino)>;

impl Export<'_> {
    fn flush(&mut self, at_least: usize) -> Result<(), ExportError> {
        if self.out.len() >= at_least {
            self.digest.update(&self.out);
            (self.sink)(&self.out)?;
            self.out.clear();
        }
        Ok(())
    }

    // With a stack of its own: directories may be nested deeper than a thread's stack allows.
    fn directory(&mut self, root: Ino) -> Result<(), ExportError> {
        let tree = self.tree;
        tree.root.get(root, |inode| self.record(inode));
        let mut stack = vec![self.names(root)];
        while let Some(names) = stack.last_mut() {
            let Some((name, ino)) = names.next() else {
                self.out.push(END);
                stack.pop();
                continue;
            };
            if let Some(number) = self.numbers.get(&ino) {
                self.out.push(LINK);
                put_bytes(&mut self.out, &name);
                put_varint(&mut self.out, *number);
                continue;
            }
            self.out.push(INODE);
            put_bytes(&mut self.out, &name);
            if tree.root.get(ino, |inode| self.inode(inode)) == Some(true) {
                stack.push(self.names(ino));
            }
            self.flush(BUFFER)?;
        }
        Ok(())
    }

    fn names(&self, ino: Ino) -> Names {
        devdev_vfs::names(&self.tree.root, ino).into_iter()
    }

    fn record(&mut self, inode: &Inode) {
        let mut record = Vec::with_capacity(64);
        put_record(&mut record, inode, false);
        put_bytes(&mut self.out, &record);
    }

    // True for a directory: its entries come next.
    fn inode(&mut self, inode: &Inode) -> bool {
        self.record(inode);
        if !inode.is_dir() && inode.nlink > 1 {
            self.numbers.insert(inode.ino, self.inodes);
        }
        self.inodes += 1;
        if let Body::File(content) = &inode.body {
            put_varint(&mut self.out, inode.size);
            self.chunks(content);
        }
        inode.is_dir()
    }

    fn chunks(&mut self, content: &Content) {
        // A chunk without a page of data is a hole.
        let chunks = || content.chunks().filter(|(_, chunk)| chunk.present() != 0);
        put_varint(&mut self.out, chunks().count() as u64);
        let mut next = 0;
        for (index, chunk) in chunks() {
            put_varint(&mut self.out, index - next);
            next = index + 1;
            put_varint(&mut self.out, chunk.len() as u64);
            self.out.extend_from_slice(&chunk.present().to_le_bytes());
            let hash = chunk.hash().unwrap_or_else(|| unreachable!("it has bytes or a hash"));
            let block = *self.known.entry(hash).or_insert_with(|| {
                self.blocks.push(chunk.clone());
                self.blocks.len() as u64 - 1
            });
            put_varint(&mut self.out, block);
        }
    }

    fn blocks(&mut self, fetch: &Fetch<'_>) -> Result<(), ExportError> {
        put_varint(&mut self.out, self.blocks.len() as u64);
        let blocks = std::mem::take(&mut self.blocks);
        for batch in blocks.chunks(BATCH) {
            let bytes = batch.iter().map(|chunk| block(chunk, fetch));
            let bytes = bytes.collect::<Result<Vec<_>, _>>()?;
            let (half, rest) = bytes.split_at(bytes.len() / 2);
            let packed = std::thread::scope(|scope| {
                let first = scope.spawn(|| pack(half));
                let second = pack(rest);
                first.join().map(|first| [first, second])
            });
            let packed = packed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            for packed in packed.iter().flatten() {
                self.out.extend_from_slice(packed);
                self.flush(BUFFER)?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), ExportError> {
        self.flush(0)?;
        let trailer = *self.digest.finalize().as_bytes();
        Ok((self.sink)(&trailer)?)
    }
}

pub(crate) fn block(chunk: &Arc<Chunk>, fetch: &Fetch<'_>) -> Result<Bytes, ExportError> {
    if let Some(bytes) = chunk.bytes() {
        return Ok(bytes);
    }
    let bytes = fetch(chunk)?;
    match chunk.known_hash() {
        Some(hash) if BlockHash::of(block_bytes(&bytes)) != hash => {
            Err(ExportError::WrongBlock(hash))
        }
        _ => Ok(bytes),
    }
}

// Each block as it stands in the stream: encoding, raw length, with zstd the length, bytes.
fn pack(blocks: &[Bytes]) -> Vec<Vec<u8>> {
    let (mut packer, mut scratch) = (Packer::new(LEVEL), vec![0; 1 << 16]);
    let pack = |bytes: &Bytes| {
        let raw = block_bytes(bytes);
        let (encoding, len) = packer.pack(raw, &mut scratch);
        let mut out = Vec::with_capacity(len + 8);
        out.push(encoding);
        put_varint(&mut out, raw.len() as u64);
        if encoding == ZSTD {
            put_varint(&mut out, len as u64);
        }
        out.extend_from_slice(&scratch[..len]);
        out
    };
    blocks.iter().map(pack).collect()
}
