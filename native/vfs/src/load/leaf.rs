//! Leaves of a tree that is being loaded. What a leaf's page says is put together with the leaf
//! that the reference tree has at the same place; neither needs the loader, so threads do it
//! beside each other. A leaf is looked at once, while it is in the processor's caches: it is
//! built, filled and checked in one go, unless pages of its directories and files are missing.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use crate::check::check_inode;
use crate::chunk::Chunk;
use crate::codec::Corrupt;
use crate::content::{Content, SEGMENT_CHUNKS, Segment};
use crate::dir::{Dir, DirPage};
use crate::ids::{Ino, PageId};
use crate::inode::{Body, Inode};
use crate::page::{ChunkRecord, Parts};
use crate::tree::{Child, LEAF_BITS, Leaf, NODE_BITS, NODE_CHILDREN, Root};

/// What leaves are built against.
#[derive(Clone)]
pub struct Surroundings {
    pub(super) reference: Option<Root>,
    pub(super) next_ino: Ino,
}

/// A page that a leaf lacks: part `part` of the content of its inode at `inode`.
pub(super) struct Lack {
    pub page: PageId,
    pub inode: usize,
    pub part: usize,
    pub is_dir: bool,
}

/// A leaf as far as its own page goes.
pub(super) struct BuiltLeaf {
    pub leaf: Filled,
    pub inodes: u64,
    pub lacks: Vec<Lack>,
}

pub(super) enum Filled {
    Whole(Arc<Leaf>),
    Partly(Box<OpenLeaf>),
}

/// The content of an inode whose pages are not all there.
enum Filling {
    Dir(Vec<Option<Arc<DirPage>>>),
    File(Vec<(u64, Option<Arc<Segment>>)>),
}

pub(super) struct OpenLeaf {
    page: PageId,
    next_ino: Ino,
    inodes: Vec<Inode>,
    /// By place among the inodes.
    open: HashMap<usize, Filling>,
}

impl Surroundings {
    /// The node of the reference tree at this level, above the leaf of this index.
    pub(super) fn node(&self, level: u32, index: u64) -> Option<Child> {
        let root = self.reference.as_ref()?;
        let covered = index >> (NODE_BITS * root.height) == 0;
        let mut child = Child::Node(root.node.clone());
        if !covered || level >= root.height {
            return None;
        }
        for above in (level + 1..root.height).rev() {
            let Child::Node(node) = child else { return None };
            child = node.child((index >> (NODE_BITS * above)) as usize & (NODE_CHILDREN - 1))?;
        }
        Some(child)
    }

    fn leaf(&self, index: u64) -> Option<Arc<Leaf>> {
        let Child::Node(node) = self.node(0, index >> NODE_BITS << NODE_BITS)? else { return None };
        match node.child(index as usize & (NODE_CHILDREN - 1))? {
            Child::Leaf(leaf) => Some(leaf),
            Child::Node(_) => None,
        }
    }

    /// Builds the leaf of this index of what its page says.
    pub(super) fn build(
        &self,
        index: u64,
        page: PageId,
        records: Vec<(Inode, Parts)>,
    ) -> Result<BuiltLeaf, Corrupt> {
        let reference = self.leaf(index);
        let reference = reference.as_ref().map(|leaf| leaf.data.read());
        let inodes = Vec::with_capacity(records.len());
        let next_ino = self.next_ino;
        let mut leaf = OpenLeaf { page, next_ino, inodes, open: HashMap::new() };
        let mut lacks = Vec::new();
        for (mut inode, parts) in records {
            inode.ino.0 |= index << LEAF_BITS;
            let other = reference.as_ref().and_then(|data| {
                let at = data.inodes.binary_search_by_key(&inode.ino, |i| i.ino).ok()?;
                Some(&data.inodes[at])
            });
            leaf.add(inode, parts, other, &mut lacks)?;
        }
        let inodes = leaf.inodes.len() as u64;
        let leaf = match leaf.open.is_empty() {
            true => Filled::Whole(leaf.close()),
            false => Filled::Partly(Box::new(leaf)),
        };
        Ok(BuiltLeaf { leaf, inodes, lacks })
    }
}

impl Filled {
    /// The leaf, now that all pages are there.
    pub(super) fn finish(self) -> Result<Arc<Leaf>, Corrupt> {
        match self {
            Filled::Whole(leaf) => Ok(leaf),
            Filled::Partly(leaf) => leaf.finish(),
        }
    }
}

impl OpenLeaf {
    /// Adds an inode: what is inline or shared of its content at once, the rest is lacking.
    fn add(
        &mut self,
        mut inode: Inode,
        parts: Parts,
        other: Option<&Inode>,
        lacks: &mut Vec<Lack>,
    ) -> Result<(), Corrupt> {
        let at = self.inodes.len();
        let before = lacks.len();
        let filling = match parts {
            Parts::Inline => None,
            Parts::Chunks(chunks) => {
                if !chunks.is_empty() {
                    set_content(&mut inode, inline(&chunks, other.and_then(content_of)));
                }
                None
            }
            Parts::DirPages(pages) => {
                let other = match other.map(|o| &o.body) {
                    Some(Body::Dir(dir)) => dir.pages(),
                    _ => &[],
                };
                let known: HashMap<PageId, &Arc<DirPage>> =
                    other.iter().filter_map(|(_, p)| Some((*p.page.get()?, p))).collect();
                let mut filled = Vec::with_capacity(pages.len());
                for (part, page) in pages.into_iter().enumerate() {
                    filled.push(known.get(&page).map(|page| (*page).clone()));
                    if filled[part].is_none() {
                        lacks.push(Lack { page, inode: at, part, is_dir: true });
                    }
                }
                Some(Filling::Dir(filled))
            }
            Parts::Segments(segments) => {
                let other = other.and_then(content_of);
                let mut filled = Vec::with_capacity(segments.len());
                for (part, (index, page)) in segments.into_iter().enumerate() {
                    let same = other.and_then(|content| segment_of(content, index));
                    let shared = same.filter(|s| s.page.get() == Some(&page)).cloned();
                    if shared.is_none() {
                        lacks.push(Lack { page, inode: at, part, is_dir: false });
                    }
                    filled.push((index, shared));
                }
                Some(Filling::File(filled))
            }
        };
        match filling {
            Some(filling) if lacks.len() > before => {
                self.open.insert(at, filling);
            }
            Some(filling) => filling.fill(&mut inode)?,
            None => {}
        }
        if !self.open.contains_key(&at) {
            settle(&mut inode, self.next_ino)?;
        }
        self.inodes.push(inode);
        Ok(())
    }

    /// Takes a page of a directory.
    pub(super) fn put_dir(&mut self, inode: usize, part: usize, id: PageId, page: DirPage) {
        if let Some(Filling::Dir(parts)) = self.open.get_mut(&inode) {
            let _ = page.page.set(id);
            parts[part] = Some(Arc::new(page));
        }
    }

    /// Takes a segment of a file.
    pub(super) fn put_segment(
        &mut self,
        (inode, part): (usize, usize),
        id: PageId,
        mut chunks: Vec<(u64, ChunkRecord)>,
        reference: Option<&Root>,
    ) {
        let Some(Filling::File(parts)) = self.open.get_mut(&inode) else { return };
        let index = parts[part].0;
        chunks.iter_mut().for_each(|chunk| chunk.0 += index * SEGMENT_CHUNKS);
        let ino = self.inodes[inode].ino;
        let content =
            reference.and_then(|root| root.get(ino, |inode| content_of(inode).cloned()).flatten());
        let slots = slots(&chunks, content.as_ref());
        parts[part].1 = Some(Arc::new(Segment { page: OnceLock::from(id), slots }));
    }

    fn finish(mut self) -> Result<Arc<Leaf>, Corrupt> {
        for (at, filling) in std::mem::take(&mut self.open) {
            filling.fill(&mut self.inodes[at])?;
            settle(&mut self.inodes[at], self.next_ino)?;
        }
        Ok(self.close())
    }

    fn close(self) -> Arc<Leaf> {
        let leaf = Leaf::new(0, self.inodes);
        let _ = leaf.page.set(self.page);
        Arc::new(leaf)
    }
}

impl Filling {
    fn fill(self, inode: &mut Inode) -> Result<(), Corrupt> {
        let missing = || Corrupt::whole("pages are missing");
        match self {
            Filling::Dir(pages) => {
                let pages = pages.into_iter().collect::<Option<Vec<_>>>().ok_or_else(missing)?;
                inode.body = Body::Dir(Dir::from_pages(pages));
            }
            Filling::File(segments) => {
                let full = segments.into_iter().map(|(index, s)| Some((index, s?)));
                let segments = full.collect::<Option<Vec<_>>>().ok_or_else(missing)?;
                set_content(inode, finish_content(segments));
            }
        }
        Ok(())
    }
}

/// An inode that has all of its content is weighed and looked at.
fn settle(inode: &mut Inode, next_ino: Ino) -> Result<(), Corrupt> {
    inode.weigh();
    check_inode(inode, next_ino)
}

fn set_content(inode: &mut Inode, content: Content) {
    inode.pages = content.chunks().map(|(_, chunk)| chunk.data_pages()).sum();
    inode.body = Body::File(content);
}

// The content of a file whose chunks are in the leaf's page.
fn inline(chunks: &[(u64, ChunkRecord)], reference: Option<&Content>) -> Content {
    if let [(0, record)] = chunks {
        return Content::One(chunk(0, record, reference));
    }
    let segment = chunks.first().map_or(0, |(first, _)| first / SEGMENT_CHUNKS);
    let slots = slots(chunks, reference);
    Content::Many(Arc::new(vec![(segment, Arc::new(Segment { page: OnceLock::new(), slots }))]))
}

fn finish_content(segments: Vec<(u64, Arc<Segment>)>) -> Content {
    if let [(0, segment)] = &segments[..]
        && let [Some(chunk)] = &segment.slots[..]
    {
        return Content::One(chunk.clone());
    }
    Content::Many(Arc::new(segments))
}

fn content_of(inode: &Inode) -> Option<&Content> {
    match &inode.body {
        Body::File(content) => Some(content),
        _ => None,
    }
}

fn segment_of(content: &Content, index: u64) -> Option<&Arc<Segment>> {
    let Content::Many(segments) = content else { return None };
    let at = segments.binary_search_by_key(&index, |s| s.0).ok()?;
    Some(&segments[at].1)
}

// The slots of one segment, with the reference's chunks where they are the same.
fn slots(chunks: &[(u64, ChunkRecord)], reference: Option<&Content>) -> Vec<Option<Arc<Chunk>>> {
    let len = chunks.last().map_or(0, |(index, _)| index % SEGMENT_CHUNKS + 1);
    let mut slots = vec![None; len as usize];
    for (index, record) in chunks {
        slots[(index % SEGMENT_CHUNKS) as usize] = Some(chunk(*index, record, reference));
    }
    slots
}

fn chunk(index: u64, record: &ChunkRecord, reference: Option<&Content>) -> Arc<Chunk> {
    let same = reference.and_then(|content| content.get(index)).filter(|chunk| {
        chunk.known_hash() == Some(record.hash)
            && chunk.len() == record.len as usize
            && chunk.present() == record.present
    });
    let fresh = || Arc::new(Chunk::in_store(record.hash, record.len, record.present));
    same.cloned().unwrap_or_else(fresh)
}
