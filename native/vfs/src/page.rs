//! Tree pages: the encoded form of the inode table in a store, one page for each node of the
//! radix tree, leaf, page of a large directory and segment of a large file. A page is named by
//! the blake3 hash of its bytes and names others in the same way, so equal trees share pages and
//! a changed tree has new pages only where it changed.
//!
//! Each page starts with its kind and `VERSION`; every value has one encoding (`codec`). Decoders
//! take any bytes: they give a page whose own values are all in range, or `Corrupt`. What only
//! shows between pages is checked by `check`.

use crate::attr::{MAX_FILE_SIZE, NAME_MAX, S_IFDIR, S_IFREG};
use crate::chunk::{CHUNK_SIZE, Chunk, full_pages};
use crate::codec::{Corrupt, Reader, put_bytes, put_varint};
use crate::content::SEGMENT_CHUNKS;
use crate::dir::{Dentry, Dir, DirPage, PAGE_ENTRIES, name_cookie};
use crate::ids::{BlockHash, Ino, PageId};
use crate::inode::{Body, Inode};
use crate::record::{is_kind, put_record, take_record};
use crate::tree::{LEAF_BITS, MAX_HEIGHT, NODE_CHILDREN};

/// Version of the encoding. A reader refuses pages of any other.
pub const VERSION: u8 = 1;
/// A directory of one page with at most this many entries is encoded within its inode's leaf.
pub const INLINE_ENTRIES: usize = 32;
/// A file of one segment with at most this many chunks is encoded within its inode's leaf.
pub const INLINE_CHUNKS: usize = 16;

const TREE: u8 = b'T';
const NODE: u8 = b'N';
const LEAF: u8 = b'L';
const DIR: u8 = b'D';
const SEGMENT: u8 = b'S';

/// The page that stands for a whole tree.
///
/// | field | encoding |
/// |---|---|
/// | kind, version | `T`, 1 |
/// | next_ino, bytes, inodes, height | numbers |
/// | root | page id of the root node |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TreePage {
    /// The next inode number to hand out.
    pub next_ino: Ino,
    /// Bytes allocated in the tree.
    pub bytes: u64,
    /// Inodes in the tree.
    pub inodes: u64,
    /// Levels of nodes above the leaves.
    pub height: u32,
    /// The root node.
    pub root: PageId,
}

/// Where the content of an inode in a leaf page is.
///
/// A leaf page is `L`, 1, a count, then inodes by ascending slot:
///
/// | field | encoding |
/// |---|---|
/// | slot | byte below 16: the inode number is the leaf's index * 16 + slot |
/// | record | see `record`; its caller's flag: the content is in pages of its own |
/// | nlink, parent | numbers |
/// | size | number; regular files only |
/// | content of a directory | without the flag: count, entries; with: count, page ids |
/// | content of a file | without: count, if not 0 segment index, chunks; with: count, segments |
///
/// A segment in a leaf is its index (number) and its page id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Parts {
    /// In the record itself, or there is none.
    Inline,
    /// A file's chunks by ascending index.
    Chunks(Vec<(u64, ChunkRecord)>),
    /// A directory's pages in order.
    DirPages(Vec<PageId>),
    /// A file's segments by ascending index.
    Segments(Vec<(u64, PageId)>),
}

/// A chunk as pages name it: slot within its segment (byte), len (number), present (16 bits),
/// hash. A segment page is `S`, 1, a count, then chunks by ascending slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChunkRecord {
    /// Its block.
    pub hash: BlockHash,
    /// Its length in bytes.
    pub len: u32,
    /// Which of its pages hold data.
    pub present: u16,
}

impl ChunkRecord {
    /// What a page says of `chunk`. `None` when its hash can not be known.
    pub fn of(chunk: &Chunk) -> Option<ChunkRecord> {
        let present = chunk.present() & full_pages(chunk.len());
        Some(ChunkRecord { hash: chunk.hash()?, len: chunk.len() as u32, present })
    }
}

/// Any decoded page.
pub enum Page {
    /// A whole tree.
    Tree(TreePage),
    /// Children by slot: `N`, 1, a bitmap of the slots (64 bits), their page ids.
    Node(Vec<(usize, PageId)>),
    /// Inodes whose `ino` is their slot so far.
    Leaf(Vec<(Inode, Parts)>),
    /// Entries: `D`, 1, a count, then (discriminator byte, name, ino, type bits >> 12 as a byte)
    /// by ascending cookie, which is `name_cookie` of the name + the discriminator.
    Dir(DirPage),
    /// Chunks by slot.
    Segment(Vec<(u64, ChunkRecord)>),
}

/// What a page refers to, for marking what a store must keep.
#[derive(Default)]
pub struct Refs {
    /// Other pages.
    pub pages: Vec<PageId>,
    /// Blocks.
    pub blocks: Vec<BlockHash>,
}

pub(crate) fn encode_tree(page: &TreePage) -> Vec<u8> {
    let mut out = vec![TREE, VERSION];
    for value in [page.next_ino.0, page.bytes, page.inodes, u64::from(page.height)] {
        put_varint(&mut out, value);
    }
    out.extend_from_slice(&page.root.0);
    out
}

pub(crate) fn encode_node(children: &[(usize, PageId)]) -> Vec<u8> {
    let mut out = vec![NODE, VERSION];
    let bitmap = children.iter().fold(0u64, |map, (slot, _)| map | 1 << slot);
    out.extend_from_slice(&bitmap.to_le_bytes());
    children.iter().for_each(|(_, id)| out.extend_from_slice(&id.0));
    out
}

pub(crate) fn encode_leaf<'a>(
    inodes: impl ExactSizeIterator<Item = (&'a Inode, Parts)>,
) -> Vec<u8> {
    let mut out = vec![LEAF, VERSION];
    put_varint(&mut out, inodes.len() as u64);
    for (inode, parts) in inodes {
        out.push((inode.ino.0 % (1 << LEAF_BITS)) as u8);
        let paged = matches!(parts, Parts::DirPages(_) | Parts::Segments(_));
        put_record(&mut out, inode, paged);
        put_varint(&mut out, u64::from(inode.nlink));
        put_varint(&mut out, inode.parent.0);
        if matches!(inode.body, Body::File(_)) {
            put_varint(&mut out, inode.size);
        }
        put_parts(&mut out, inode, &parts);
    }
    out
}

fn put_parts(out: &mut Vec<u8>, inode: &Inode, parts: &Parts) {
    match parts {
        Parts::Inline => {
            if let Body::Dir(dir) = &inode.body {
                put_varint(out, dir.len());
                dir.entries().for_each(|entry| put_entry(out, &entry));
            }
        }
        Parts::Chunks(chunks) => {
            put_varint(out, chunks.len() as u64);
            if let Some((first, _)) = chunks.first() {
                put_varint(out, first / SEGMENT_CHUNKS);
            }
            chunks.iter().for_each(|(index, chunk)| put_chunk(out, *index, chunk));
        }
        Parts::DirPages(pages) => {
            put_varint(out, pages.len() as u64);
            pages.iter().for_each(|id| out.extend_from_slice(&id.0));
        }
        Parts::Segments(segments) => {
            put_varint(out, segments.len() as u64);
            for (index, id) in segments {
                put_varint(out, *index);
                out.extend_from_slice(&id.0);
            }
        }
    }
}

fn put_entry(out: &mut Vec<u8>, entry: &Dentry<'_>) {
    out.push((entry.cookie - name_cookie(entry.name)) as u8);
    put_bytes(out, entry.name);
    put_varint(out, entry.ino.0);
    out.push((entry.kind >> 12) as u8);
}

fn put_chunk(out: &mut Vec<u8>, index: u64, chunk: &ChunkRecord) {
    out.push((index % SEGMENT_CHUNKS) as u8);
    put_varint(out, u64::from(chunk.len));
    out.extend_from_slice(&chunk.present.to_le_bytes());
    out.extend_from_slice(&chunk.hash.0);
}

pub(crate) fn encode_dir(page: &DirPage) -> Vec<u8> {
    let mut out = vec![DIR, VERSION];
    put_varint(&mut out, page.len() as u64);
    page.entries().for_each(|entry| put_entry(&mut out, &entry));
    out
}

pub(crate) fn encode_segment(chunks: &[(u64, ChunkRecord)]) -> Vec<u8> {
    let mut out = vec![SEGMENT, VERSION];
    put_varint(&mut out, chunks.len() as u64);
    chunks.iter().for_each(|(index, chunk)| put_chunk(&mut out, *index, chunk));
    out
}

/// Decodes a page of any kind.
pub fn decode(bytes: &[u8]) -> Result<Page, Corrupt> {
    let mut reader = Reader::new(bytes);
    let kind = reader.byte()?;
    let known = matches!(kind, TREE | NODE | LEAF | DIR | SEGMENT);
    Reader::new(bytes).check(known, "it is not a tree page")?;
    let before = reader.clone();
    before.check(reader.byte()? == VERSION, "its version is not known here")?;
    let page = match kind {
        TREE => Page::Tree(take_tree(&mut reader)?),
        NODE => Page::Node(take_node(&mut reader)?),
        LEAF => Page::Leaf(take_leaf(&mut reader)?),
        DIR => Page::Dir(take_dir_page(&mut reader)?),
        _ => Page::Segment(take_segment(&mut reader)?),
    };
    reader.finish()?;
    Ok(page)
}

/// What a page refers to.
pub fn refs(bytes: &[u8]) -> Result<Refs, Corrupt> {
    let mut refs = Refs::default();
    match decode(bytes)? {
        Page::Tree(tree) => refs.pages.push(tree.root),
        Page::Node(children) => refs.pages.extend(children.iter().map(|c| c.1)),
        Page::Segment(chunks) => refs.blocks.extend(chunks.iter().map(|c| c.1.hash)),
        Page::Dir(_) => {}
        Page::Leaf(inodes) => inodes.iter().for_each(|(_, parts)| match parts {
            Parts::Inline => {}
            Parts::Chunks(chunks) => refs.blocks.extend(chunks.iter().map(|c| c.1.hash)),
            Parts::DirPages(pages) => refs.pages.extend(pages),
            Parts::Segments(segments) => refs.pages.extend(segments.iter().map(|s| s.1)),
        }),
    }
    Ok(refs)
}

fn take_tree(reader: &mut Reader<'_>) -> Result<TreePage, Corrupt> {
    let next_ino = reader.varint(Ino::LIMIT, "the next inode number is out of range")?;
    reader.check(next_ino >= Ino::FIRST.0, "the next inode number is out of range")?;
    let bytes = reader.varint(u64::MAX, "")?;
    let inodes = reader.varint(next_ino, "there are more inodes than numbers were given out")?;
    let height = reader.varint(u64::from(MAX_HEIGHT), "the tree is too high")? as u32;
    reader.check(height >= 1, "the tree has no level")?;
    let root = PageId(reader.hash()?);
    Ok(TreePage { next_ino: Ino(next_ino), bytes, inodes, height, root })
}

fn take_node(reader: &mut Reader<'_>) -> Result<Vec<(usize, PageId)>, Corrupt> {
    let bitmap = reader.u64()?;
    let slots = (0..NODE_CHILDREN).filter(|slot| bitmap >> slot & 1 == 1);
    slots.map(|slot| Ok((slot, PageId(reader.hash()?)))).collect()
}

fn take_leaf(reader: &mut Reader<'_>) -> Result<Vec<(Inode, Parts)>, Corrupt> {
    let count = reader.count(8)?;
    reader.check((1..=1 << LEAF_BITS).contains(&count), "a leaf's count is out of range")?;
    let mut inodes: Vec<(Inode, Parts)> = Vec::with_capacity(count);
    for _ in 0..count {
        let start = reader.clone();
        let slot = reader.byte()?;
        start.check(slot < 1 << LEAF_BITS, "an inode lies outside its leaf")?;
        let in_order = inodes.last().is_none_or(|(last, _)| last.ino.0 < u64::from(slot));
        start.check(in_order, "inodes are out of order")?;
        let (mut inode, paged) = take_record(reader)?;
        inode.ino = Ino(u64::from(slot));
        inode.nlink = reader.u32()?;
        inode.parent = Ino(reader.varint(Ino::LIMIT - 1, "a parent's number is out of range")?);
        let parts = take_parts(reader, &mut inode, paged)?;
        inodes.push((inode, parts));
    }
    Ok(inodes)
}

fn take_parts(reader: &mut Reader<'_>, inode: &mut Inode, paged: bool) -> Result<Parts, Corrupt> {
    match (inode.kind(), paged) {
        (S_IFDIR, false) => {
            let page = take_entries(reader, INLINE_ENTRIES)?;
            inode.body = Body::Dir(Dir::from_pages(vec![page.into()]));
            Ok(Parts::Inline)
        }
        (S_IFDIR, true) => {
            let count = reader.count(32)?;
            reader.check(count > 0, "a directory in pages has none")?;
            let ids = (0..count).map(|_| Ok(PageId(reader.hash()?)));
            Ok(Parts::DirPages(ids.collect::<Result<_, _>>()?))
        }
        (S_IFREG, _) => {
            inode.size = reader.varint(MAX_FILE_SIZE, "a file is too large")?;
            if paged { take_segments(reader) } else { take_inline_chunks(reader) }
        }
        _ => {
            reader.check(!paged, "content in pages belongs to a file or a directory")?;
            Ok(Parts::Inline)
        }
    }
}

const MAX_SEGMENT: u64 = MAX_FILE_SIZE / CHUNK_SIZE / SEGMENT_CHUNKS;

fn take_inline_chunks(reader: &mut Reader<'_>) -> Result<Parts, Corrupt> {
    let count = reader.count(36)?;
    reader.check(count <= INLINE_CHUNKS, "too many chunks are in a leaf")?;
    if count == 0 {
        return Ok(Parts::Chunks(Vec::new()));
    }
    let segment = reader.varint(MAX_SEGMENT, "a chunk lies behind the longest file")?;
    let mut chunks = take_chunks(reader, count)?;
    chunks.iter_mut().for_each(|chunk| chunk.0 += segment * SEGMENT_CHUNKS);
    Ok(Parts::Chunks(chunks))
}

fn take_segments(reader: &mut Reader<'_>) -> Result<Parts, Corrupt> {
    let count = reader.count(33)?;
    reader.check(count > 0, "a file in segments has none")?;
    let mut segments: Vec<(u64, PageId)> = Vec::with_capacity(count);
    for _ in 0..count {
        let start = reader.clone();
        let index = reader.varint(MAX_SEGMENT, "a segment lies behind the longest file")?;
        let in_order = segments.last().is_none_or(|last| last.0 < index);
        start.check(in_order, "segments are out of order")?;
        segments.push((index, PageId(reader.hash()?)));
    }
    Ok(Parts::Segments(segments))
}

fn take_segment(reader: &mut Reader<'_>) -> Result<Vec<(u64, ChunkRecord)>, Corrupt> {
    let count = reader.count(36)?;
    let in_range = (1..=SEGMENT_CHUNKS as usize).contains(&count);
    reader.check(in_range, "a segment's count is out of range")?;
    take_chunks(reader, count)
}

fn take_chunks(reader: &mut Reader<'_>, count: usize) -> Result<Vec<(u64, ChunkRecord)>, Corrupt> {
    let mut chunks: Vec<(u64, ChunkRecord)> = Vec::with_capacity(count);
    for _ in 0..count {
        let start = reader.clone();
        let slot = u64::from(reader.byte()?);
        start.check(slot < SEGMENT_CHUNKS, "a chunk lies outside its segment")?;
        start.check(chunks.last().is_none_or(|c| c.0 < slot), "chunks are out of order")?;
        let len = reader.varint(CHUNK_SIZE, "a chunk is too long")? as u32;
        let present = reader.u16()?;
        reader.check(present & !full_pages(len as usize) == 0, "a page lies behind its chunk")?;
        chunks.push((slot, ChunkRecord { hash: BlockHash(reader.hash()?), len, present }));
    }
    Ok(chunks)
}

fn take_dir_page(reader: &mut Reader<'_>) -> Result<DirPage, Corrupt> {
    let page = take_entries(reader, PAGE_ENTRIES)?;
    reader.check(!page.is_empty(), "a directory's page is empty")?;
    Ok(page)
}

fn take_entries(reader: &mut Reader<'_>, max: usize) -> Result<DirPage, Corrupt> {
    let count = reader.count(5)?;
    reader.check(count <= max, "a directory's page has too many entries")?;
    let (mut page, mut last) = (DirPage::default(), 0);
    for _ in 0..count {
        let start = reader.clone();
        let discriminator = reader.byte()?;
        let name = reader.bytes(1, NAME_MAX, "a name is empty or too long")?;
        start.check(discriminator < 128 && is_name(name), "a name is not allowed")?;
        let ino = reader.varint(Ino::LIMIT - 1, "an inode number is out of range")?;
        let kind = u32::from(reader.byte()?) << 12;
        start.check(is_kind(kind), "an entry has no file type")?;
        let cookie = name_cookie(name) + u64::from(discriminator);
        start.check(cookie > last, "names are out of order")?;
        last = cookie;
        page.push(Dentry { cookie, name, ino: Ino(ino), kind });
    }
    Ok(page)
}

/// Whether these bytes may name something in a directory.
pub fn is_name(name: &[u8]) -> bool {
    (1..=NAME_MAX).contains(&name.len())
        && name != b"."
        && name != b".."
        && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}
