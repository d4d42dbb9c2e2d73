//! Reads an exported snapshot into a fresh tree. Nothing is kept unless all of it is right.
//!
//! The stream may come from anybody. Its memory is bounded by the limits given: content and
//! inodes count as they will in the workspace, and names, attributes, the chunk list and the holes
//! of chunks have a budget that grows with both limits.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::Arc;

use devdev_vfs::codec::Reader;
use devdev_vfs::page::is_name;
use devdev_vfs::record::take_record;
use devdev_vfs::{
    Body, CHUNK_SIZE, Chunk, Content, Errno, Ino, Inode, Limits, MAX_FILE_SIZE, PAGE_SIZE, Tree,
    TreeBuilder, block_bytes, full_pages,
};

use crate::encoding::{RAW, ZSTD, unpack_block};
use crate::format::{END, INODE, LINK, MAGIC, MESSAGE_MAX, Meta, RECORD_MAX, VERSION};
use crate::source::{ImportError, ImportErrorKind, Result, Source};

/// How a snapshot is imported.
#[derive(Clone, Copy, Debug)]
pub struct ImportOptions {
    /// The most it may hold.
    pub limits: Limits,
    /// Who owns everything in it; the owners of the stream when `None`.
    pub owner: Option<(u32, u32)>,
}

/// Where a block is used.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Use {
    block: u32,
    len: u32,
    present: u16,
}

struct Import<'a> {
    source: Source<'a>,
    options: ImportOptions,
    builder: TreeBuilder,
    /// Content of the files, until the blocks are here.
    files: Vec<(Ino, Vec<(u64, Use)>)>,
    /// Blocks named so far.
    blocks: u32,
    /// How long each block may be, for where it is used.
    longest: Vec<u32>,
    /// Pages of content so far.
    pages: u64,
    /// Bytes left for what neither limit counts.
    budget: u64,
}

/// Reads a snapshot from `source` to its end.
pub fn import(source: &mut dyn Read, options: ImportOptions) -> Result<(Arc<Tree>, Meta)> {
    let Limits { bytes, inodes } = options.limits;
    let mut import = Import {
        source: Source::new(source, "snapshot"),
        options,
        builder: TreeBuilder::new(),
        files: Vec::new(),
        blocks: 0,
        longest: Vec::new(),
        pages: 0,
        budget: bytes.saturating_add(inodes.saturating_mul(1024)),
    };
    let meta = import.header()?;
    import.directory(Ino::ROOT)?;
    import.directory(Ino::HOME)?;
    let blocks = import.read_blocks()?;
    import.source.finish()?;
    let mut builder = import.builder;
    place(&mut builder, import.files, blocks);
    Ok((builder.freeze(), meta))
}

impl Import<'_> {
    fn header(&mut self) -> Result<Meta> {
        for byte in MAGIC {
            match self.source.byte() {
                Ok(found) if found == byte => {}
                Ok(_) => return Err(self.source.error(ImportErrorKind::NotASnapshot)),
                Err(error @ ImportError { kind: ImportErrorKind::Io(_), .. }) => return Err(error),
                Err(_) => return Err(self.source.error(ImportErrorKind::NotASnapshot)),
            }
        }
        self.source.mark();
        let version = self.source.byte()?;
        if version != VERSION {
            return Err(self.source.error(ImportErrorKind::Version(version)));
        }
        let name = self.source.text(255, "its name is too long")?;
        let message = self.source.text(MESSAGE_MAX, "its message is too long")?;
        Ok(Meta { name, message, created: self.source.time()? })
    }

    fn spend(&mut self, bytes: usize) -> Result<()> {
        let left = self.budget.checked_sub(bytes as u64);
        self.source.limit(left.is_some(), "names and attributes take more than is allowed")?;
        self.budget = left.unwrap_or(0);
        Ok(())
    }

    // What chunks take in memory that are mostly holes; one that is used again is the same one.
    fn spend_chunks(&mut self) -> Result<()> {
        let used: HashSet<Use> = self.files.iter().flat_map(|f| &f.1).map(|u| u.1).collect();
        let beside = used.iter().map(|used| beside_pages(u64::from(used.len), used.present));
        let left = self.budget.checked_sub(beside.sum());
        self.source.limit(left.is_some(), "its holes take more memory than is allowed")?;
        self.budget = left.unwrap_or(0);
        Ok(())
    }

    // With a stack of its own: a stream may nest directories as deep as it likes.
    fn directory(&mut self, root: Ino) -> Result<()> {
        self.source.mark();
        let record = self.record()?;
        self.source.check(record.is_dir(), "a root is no directory")?;
        self.builder.update(root, |inode| {
            let Inode { mode, uid, gid, atime, mtime, ctime, btime, xattrs, .. } = record;
            (inode.mode, inode.uid, inode.gid, inode.xattrs) = (mode, uid, gid, xattrs);
            (inode.atime, inode.mtime, inode.ctime, inode.btime) = (atime, mtime, ctime, btime);
        });
        let mut stack = vec![(root, Vec::new())];
        while let Some((dir, last)) = stack.last_mut() {
            self.source.mark();
            let tag = self.source.byte()?;
            if tag == END {
                stack.pop();
                continue;
            }
            self.source.check(matches!(tag, INODE | LINK), "an entry is of no known kind")?;
            let name = self.source.bytes(255, "a name is too long")?;
            self.source.check(is_name(&name), "a name is not allowed")?;
            self.source.check(*last < name, "names are out of order")?;
            let reserved = *dir == Ino::ROOT && name == b".devdev";
            self.source.check(!reserved, "a name is reserved")?;
            let dir = *dir;
            last.clone_from(&name);
            self.spend(name.len() + 64)?;
            if tag == LINK {
                self.link(dir, &name)?;
            } else if let Some(ino) = self.inode(dir, &name)? {
                stack.push((ino, Vec::new()));
            }
        }
        Ok(())
    }

    fn record(&mut self) -> Result<Inode> {
        let bytes = self.source.bytes(RECORD_MAX, "a record is too long")?;
        self.spend(bytes.len())?;
        let from = self.source.here() - bytes.len() as u64;
        let mut reader = Reader::new(&bytes);
        let taken = take_record(&mut reader).and_then(|taken| reader.finish().map(|()| taken));
        let (mut inode, flag) = taken.map_err(|flaw| self.source.within(from, flaw))?;
        self.source.check(!flag, "a record has unknown flags")?;
        if let Some((uid, gid)) = self.options.owner {
            (inode.uid, inode.gid) = (uid, gid);
        }
        Ok(inode)
    }

    fn link(&mut self, dir: Ino, name: &[u8]) -> Result<()> {
        let known = self.builder.inodes() - 2;
        let number = self.source.varint(u64::MAX, "")?;
        self.source.check(number < known, "a link leads to an inode that has not come yet")?;
        let linked = self.builder.link(dir, name, Ino(Ino::FIRST.0 + number));
        linked.map_err(|errno| self.refused(errno))
    }

    // The inode's number if it is a directory, whose entries come next.
    fn inode(&mut self, dir: Ino, name: &[u8]) -> Result<Option<Ino>> {
        let room = self.builder.inodes() < self.options.limits.inodes;
        self.source.limit(room, "it has more inodes than are allowed")?;
        let mut inode = self.record()?;
        let (is_dir, mut chunks) = (inode.is_dir(), Vec::new());
        if matches!(inode.body, Body::File(_)) {
            inode.size = self.source.varint(MAX_FILE_SIZE, "a file is too long")?;
            chunks = self.chunks(inode.size)?;
        }
        let ino = self.builder.add(dir, name, inode).map_err(|errno| self.refused(errno))?;
        if !chunks.is_empty() {
            self.files.push((ino, chunks));
        }
        Ok(is_dir.then_some(ino))
    }

    fn refused(&self, errno: Errno) -> ImportError {
        match errno {
            Errno::Perm => self.source.corrupt("a directory has two names"),
            // 128 names with equal hashes do not happen, they are made.
            Errno::NoSpc => self.source.corrupt("too many names of a directory collide"),
            _ => self.source.corrupt("an entry can not be made"),
        }
    }

    // Of a file of that size: space may be allocated behind its end, but no byte lies there.
    fn chunks(&mut self, size: u64) -> Result<Vec<(u64, Use)>> {
        let count = self.source.varint(MAX_FILE_SIZE / CHUNK_SIZE + 1, "too many chunks")?;
        let (mut chunks, mut next) = (Vec::new(), 0);
        for _ in 0..count {
            let behind = "a chunk lies behind the longest file";
            let index = self.source.varint(MAX_FILE_SIZE / CHUNK_SIZE, behind)? + next;
            next = index + 1;
            let len = self.source.varint(CHUNK_SIZE, "a chunk is too long")? as u32;
            let end = u128::from(index) * u128::from(CHUNK_SIZE) + u128::from(len);
            self.source.check(end <= u128::from(MAX_FILE_SIZE), behind)?;
            let present = u16::from_le_bytes([self.source.byte()?, self.source.byte()?]);
            let in_chunk = present != 0 && present & !full_pages(len as usize) == 0;
            self.source.check(in_chunk, "a chunk's pages are not within it")?;
            self.pages += u64::from(present.count_ones());
            let room = self.pages.saturating_mul(PAGE_SIZE) <= self.options.limits.bytes;
            self.source.limit(room, "it holds more bytes than are allowed")?;
            let block = self.source.varint(u64::from(self.blocks), "a block is out of order")?;
            let block = block as u32;
            let before_end = size.saturating_sub(index * CHUNK_SIZE).min(u64::from(len)) as u32;
            if block == self.blocks {
                self.blocks = block.checked_add(1).ok_or(self.source.corrupt("too many blocks"))?;
                self.longest.push(before_end);
            } else if let Some(longest) = self.longest.get_mut(block as usize) {
                *longest = before_end.min(*longest);
            }
            chunks.push((index, Use { block, len, present }));
        }
        Ok(chunks)
    }

    fn read_blocks(&mut self) -> Result<Vec<Vec<u8>>> {
        let count = self.source.varint(u64::MAX, "")?;
        self.source.check(count == u64::from(self.blocks), "the number of blocks is wrong")?;
        self.spend_chunks()?;
        // What each block is used for, to see that it fits while its position is known.
        let mut present = vec![u16::MAX; self.blocks as usize];
        for (_, used) in self.files.iter().flat_map(|file| &file.1) {
            present[used.block as usize] &= used.present;
        }
        let longest = std::mem::take(&mut self.longest);
        let mut hashes = HashMap::new();
        let mut blocks = Vec::new();
        for (len, present) in longest.into_iter().zip(present) {
            self.source.mark();
            let block = self.block()?;
            self.source.check(block.len() <= len as usize, "a block is longer than its place")?;
            let trimmed = block_bytes(&block).len() == block.len();
            self.source.check(trimmed, "a block ends in zeros")?;
            self.source.check(fits(&block, present), "a block has bytes in a hole")?;
            let fresh = hashes.insert(*blake3::hash(&block).as_bytes(), ()).is_none();
            self.source.check(fresh, "a block comes twice")?;
            blocks.push(block);
        }
        Ok(blocks)
    }

    fn block(&mut self) -> Result<Vec<u8>> {
        let start = self.source.here();
        let encoding = self.source.byte()?;
        self.source.check(matches!(encoding, RAW | ZSTD), "a block is packed in an unknown way")?;
        let raw_len = self.source.varint(CHUNK_SIZE, "a block is too long")? as usize;
        if encoding == RAW {
            return self.source.take(raw_len);
        }
        let len = self.source.varint(raw_len as u64, "a block grew when it was packed")?;
        let packed = self.source.take(len as usize)?;
        unpack_block(encoding, &packed, raw_len).map_err(|_| {
            let kind = ImportErrorKind::Corrupt("a block does not unpack");
            ImportError { position: start, kind, what: "snapshot" }
        })
    }
}

/// What a chunk takes in memory beside the pages that a limit counts.
pub(crate) fn beside_pages(len: u64, present: u16) -> u64 {
    /// The chunk itself, its slot in its file.
    const CHUNK: u64 = 192;
    (len + CHUNK).saturating_sub(u64::from(present.count_ones()) * PAGE_SIZE)
}

/// Whether pages without data are zero.
fn fits(block: &[u8], present: u16) -> bool {
    let mut pages = block.chunks(PAGE_SIZE as usize).enumerate();
    pages.all(|(n, page)| present >> n & 1 == 1 || block_bytes(page).is_empty())
}

// Gives the files their content; equal chunks become one.
fn place(builder: &mut TreeBuilder, files: Vec<(Ino, Vec<(u64, Use)>)>, mut blocks: Vec<Vec<u8>>) {
    let mut made: HashMap<Use, Arc<Chunk>> = HashMap::new();
    let mut left = vec![0u32; blocks.len()];
    let uses = || files.iter().flat_map(|file| &file.1);
    uses().for_each(|(_, used)| left[used.block as usize] += 1);
    for (ino, chunks) in files {
        let mut content = Content::default();
        for (index, used) in chunks {
            let at = used.block as usize;
            left[at] -= 1;
            let chunk = made.entry(used).or_insert_with(|| {
                // The last use takes the bytes, those before copy them.
                let mut bytes = match left[at] {
                    0 => std::mem::take(&mut blocks[at]),
                    _ => blocks[at].clone(),
                };
                bytes.resize(used.len as usize, 0);
                Arc::new(Chunk::new(bytes, used.present))
            });
            content.set(index, Some(chunk.clone()));
            if left[at] == 0 {
                blocks[at] = Vec::new();
            }
        }
        builder.update(ino, |inode| inode.body = Body::File(content));
    }
}
