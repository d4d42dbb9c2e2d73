//! Brings a stored tree back into memory, page by page, and shares with a tree that is there
//! already what both have at the same place: nodes, leaves, directory pages and segments with
//! equal page ids, and in changed files the chunks with equal hashes, whose bytes thereby stay
//! in memory.
//!
//! The loader asks for pages (`wanted`) and is fed them in any order; it fetches nothing itself.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use crate::Tree;
use crate::check::{Totals, check, check_leaves};
use crate::chunk::Chunk;
use crate::codec::Corrupt;
use crate::content::{Content, SEGMENT_CHUNKS, Segment};
use crate::dir::{Dir, DirPage};
use crate::ids::{Ino, PageId};
use crate::inode::{Body, Inode};
use crate::known_ids::TreeId;
use crate::page::{ChunkRecord, Page, Parts, TreePage, decode};
use crate::tree::{Child, LEAF_BITS, Leaf, NODE_BITS, NODE_CHILDREN, Node, Root};

/// The most inodes a loader takes unless told otherwise: far above what fits into memory.
const MAX_INODES: u64 = 1 << 32;

/// Where in the tree a page belongs.
#[derive(Clone, Copy)]
enum Place {
    Tree,
    /// The root node or a child: the position is (level, index of the first leaf below).
    Node {
        parent: Option<(usize, usize)>,
        level: u32,
        index: u64,
    },
    Leaf {
        parent: (usize, usize),
        index: u64,
    },
    /// Part `part` of the content of inode `inode` of leaf `leaf`.
    Dir {
        leaf: usize,
        inode: usize,
        part: usize,
    },
    Segment {
        leaf: usize,
        inode: usize,
        part: usize,
    },
}

enum Built {
    Shared(Child),
    Node(usize),
    Leaf(usize),
}

struct NodeBuild {
    page: PageId,
    children: Vec<(usize, Built)>,
}

/// The content of an inode as far as it has come.
enum Filling {
    Done,
    Content(Content),
    Dir(Vec<Option<Arc<DirPage>>>),
    File(Vec<(u64, Option<Arc<Segment>>)>),
}

struct LeafBuild {
    page: PageId,
    inodes: Vec<(Inode, Filling)>,
}

/// A page whose bytes have its id, decoded: threads may do that beside the loader.
pub struct DecodedPage {
    id: PageId,
    bytes: Vec<u8>,
    page: Page,
}

impl DecodedPage {
    /// Checks and decodes a page.
    pub fn new(id: PageId, bytes: Vec<u8>) -> Result<DecodedPage, Corrupt> {
        if PageId::of(&bytes) != id {
            return Err(Corrupt::whole("a page's bytes do not have its id"));
        }
        let page = decode(&bytes)?;
        Ok(DecodedPage { id, bytes, page })
    }
}

/// Loads one tree.
pub struct TreeLoader {
    reference: Option<(Root, u64)>,
    max_inodes: u64,
    /// Pages not fed yet, and where they belong.
    pending: HashMap<PageId, Vec<Place>>,
    tree: Option<TreePage>,
    top: Option<Built>,
    nodes: Vec<NodeBuild>,
    leaves: Vec<LeafBuild>,
    /// Inodes decoded, and places asked for: bounded, so that pages which name each other many
    /// times over can not fill the memory.
    inodes: u64,
    places: u64,
}

impl TreeLoader {
    /// A loader of the tree whose page is `root`. With a reference tree it shares what is equal.
    pub fn new(root: PageId, reference: Option<&Tree>) -> TreeLoader {
        TreeLoader {
            reference: reference.map(|tree| (tree.root.clone(), tree.above)),
            max_inodes: MAX_INODES,
            pending: HashMap::from([(root, vec![Place::Tree])]),
            tree: None,
            top: None,
            nodes: Vec::new(),
            leaves: Vec::new(),
            inodes: 0,
            places: 0,
        }
    }

    /// Refuses trees of more inodes than this.
    pub fn with_max_inodes(mut self, max_inodes: u64) -> TreeLoader {
        self.max_inodes = max_inodes;
        self
    }

    /// The pages that are needed next; empty when the tree is complete. Feed some or all of
    /// them and ask again.
    pub fn wanted(&self) -> Vec<PageId> {
        self.pending.keys().copied().collect()
    }

    /// Takes a page that was wanted.
    pub fn feed(&mut self, id: PageId, bytes: &[u8]) -> Result<(), Corrupt> {
        self.feed_decoded(DecodedPage::new(id, bytes.to_vec())?)
    }

    /// The same for one that was decoded before.
    pub fn feed_decoded(&mut self, decoded: DecodedPage) -> Result<(), Corrupt> {
        let DecodedPage { id, bytes, page } = decoded;
        let places = self.pending.remove(&id).ok_or(Corrupt::whole("a page was not asked for"))?;
        let mut places = places.into_iter();
        if let Some(first) = places.next() {
            self.put(first, id, page)?;
        }
        places.try_for_each(|place| self.put(place, id, decode(&bytes)?))
    }

    /// The tree, checked as a whole.
    pub fn finish(self) -> Result<Arc<Tree>, Corrupt> {
        self.build(|root, page, _| check(root, page.next_ino))
    }

    /// The tree of a page that this program stored itself. That all pages are those that were
    /// written then is known by their ids, so inodes are looked at which were not shared, and the
    /// rest is taken as it was: the cost goes with what differs from the reference.
    pub fn finish_own(self) -> Result<Arc<Tree>, Corrupt> {
        self.build(|root, page, leaves| {
            let totals = Totals { bytes: page.bytes, inodes: page.inodes };
            check_leaves(root, leaves, page.next_ino)?;
            debug_assert_eq!(check(root, page.next_ino), Ok(totals));
            Ok(totals)
        })
    }

    fn build(
        mut self,
        check: impl FnOnce(&Root, TreePage, &[Arc<Leaf>]) -> Result<Totals, Corrupt>,
    ) -> Result<Arc<Tree>, Corrupt> {
        let (true, Some(page), Some(top)) = (self.pending.is_empty(), self.tree, self.top.take())
        else {
            return Err(Corrupt::whole("pages are missing"));
        };
        let leaves = self.leaves.drain(..).map(finish_leaf).collect::<Result<Vec<_>, _>>()?;
        // A node was noted before its children, so they are built back to front.
        let mut nodes: Vec<Option<Arc<Node>>> = self.nodes.iter().map(|_| None).collect();
        while let Some(build) = self.nodes.pop() {
            let node = Node { page: OnceLock::from(build.page), ..Node::new(0) };
            for (slot, child) in build.children {
                node.children.write()[slot] = build_child(child, &nodes, &leaves);
            }
            nodes[self.nodes.len()] = Some(Arc::new(node));
        }
        let Some(Child::Node(node)) = build_child(top, &nodes, &leaves) else {
            return Err(Corrupt::whole("the tree's root is not a node"));
        };
        let root = Root { node, height: page.height };
        let totals = check(&root, page, &leaves)?;
        let above = self.reference.map_or(1, |(_, above)| above.max(1));
        let (bytes, inodes, next_ino) = (totals.bytes, totals.inodes, page.next_ino);
        let (id, leaving) = (TreeId::default(), OnceLock::new());
        Ok(Arc::new(Tree { root, above, next_ino, bytes, inodes, id, leaving }))
    }

    fn put(&mut self, place: Place, id: PageId, page: Page) -> Result<(), Corrupt> {
        match (place, page) {
            (Place::Tree, Page::Tree(page)) => self.put_tree(page),
            (Place::Node { parent, level, index }, Page::Node(children)) => {
                self.put_node(parent, level, index, id, &children)
            }
            (Place::Leaf { parent, index }, Page::Leaf(inodes)) => {
                self.put_leaf(parent, index, id, inodes)
            }
            (Place::Dir { leaf, inode, part }, Page::Dir(page)) => {
                if let Filling::Dir(parts) = &mut self.leaves[leaf].inodes[inode].1 {
                    let _ = page.page.set(id);
                    parts[part] = Some(Arc::new(page));
                }
                Ok(())
            }
            (Place::Segment { leaf, inode, part }, Page::Segment(chunks)) => {
                self.put_segment((leaf, inode, part), id, chunks)
            }
            _ => Err(Corrupt::whole("a page is not of the kind that belongs there")),
        }
    }

    fn put_tree(&mut self, page: TreePage) -> Result<(), Corrupt> {
        if page.inodes > self.max_inodes {
            return Err(Corrupt::whole("the tree has too many inodes"));
        }
        self.tree = Some(page);
        let level = page.height - 1;
        let shared = match self.reference_at(level, 0) {
            Some(Child::Node(node)) if node.page.get() == Some(&page.root) => {
                Some(Child::Node(node))
            }
            _ => None,
        };
        match shared {
            Some(child) => self.top = Some(Built::Shared(child)),
            None => self.want(page.root, Place::Node { parent: None, level, index: 0 })?,
        }
        Ok(())
    }

    fn put_node(
        &mut self,
        parent: Option<(usize, usize)>,
        level: u32,
        index: u64,
        id: PageId,
        children: &[(usize, PageId)],
    ) -> Result<(), Corrupt> {
        let at = self.nodes.len();
        self.nodes.push(NodeBuild { page: id, children: Vec::with_capacity(children.len()) });
        self.attach(parent, Built::Node(at));
        let reference = match self.reference_at(level, index) {
            Some(Child::Node(node)) => Some(node),
            _ => None,
        };
        for &(slot, child) in children {
            let index = index | (slot as u64) << (NODE_BITS * level);
            if index >= Ino::LIMIT >> LEAF_BITS {
                return Err(Corrupt::whole("a node lies behind the last inode number"));
            }
            let other = reference.as_ref().and_then(|node| node.child(slot));
            match (other, level) {
                (Some(other), _) if child_page(&other) == Some(child) => {
                    self.nodes[at].children.push((slot, Built::Shared(other)));
                }
                (_, 0) => self.want(child, Place::Leaf { parent: (at, slot), index })?,
                _ => {
                    let (parent, level) = (Some((at, slot)), level - 1);
                    self.want(child, Place::Node { parent, level, index })?;
                }
            }
        }
        Ok(())
    }

    fn put_leaf(
        &mut self,
        parent: (usize, usize),
        index: u64,
        id: PageId,
        inodes: Vec<(Inode, Parts)>,
    ) -> Result<(), Corrupt> {
        self.inodes += inodes.len() as u64;
        if self.tree.is_none_or(|tree| self.inodes > tree.inodes) {
            return Err(Corrupt::whole("the tree has more inodes than it says"));
        }
        let reference = match self.reference_at(0, index >> NODE_BITS << NODE_BITS) {
            Some(Child::Node(node)) => node.child(index as usize & (NODE_CHILDREN - 1)),
            _ => None,
        };
        let reference = match &reference {
            Some(Child::Leaf(leaf)) => Some(leaf.data.read()),
            _ => None,
        };
        let at = self.leaves.len();
        self.leaves.push(LeafBuild { page: id, inodes: Vec::with_capacity(inodes.len()) });
        self.attach(Some(parent), Built::Leaf(at));
        for (mut inode, parts) in inodes {
            inode.ino.0 |= index << LEAF_BITS;
            let other = reference.as_ref().and_then(|data| {
                let at = data.inodes.binary_search_by_key(&inode.ino, |i| i.ino).ok()?;
                Some(&data.inodes[at])
            });
            let filling = self.fill(at, parts, other)?;
            self.leaves[at].inodes.push((inode, filling));
        }
        Ok(())
    }

    // Begins an inode's content: what is inline or shared at once, the rest is asked for.
    fn fill(
        &mut self,
        leaf: usize,
        parts: Parts,
        other: Option<&Inode>,
    ) -> Result<Filling, Corrupt> {
        let at = self.leaves[leaf].inodes.len();
        match parts {
            Parts::Inline => Ok(Filling::Done),
            Parts::Chunks(chunks) => {
                let content = other.and_then(content_of);
                let Some(first) = chunks.first() else { return Ok(Filling::Done) };
                if let [(0, record)] = &chunks[..] {
                    return Ok(Filling::Content(Content::One(chunk(0, record, content))));
                }
                let segment = first.0 / SEGMENT_CHUNKS;
                let slots = slots(&chunks, content);
                let segment = (segment, Arc::new(Segment { page: OnceLock::new(), slots }));
                Ok(Filling::Content(Content::Many(Arc::new(vec![segment]))))
            }
            Parts::DirPages(pages) => {
                let other = match other.map(|o| &o.body) {
                    Some(Body::Dir(dir)) => dir.pages(),
                    _ => &[],
                };
                let known: HashMap<PageId, &Arc<DirPage>> =
                    other.iter().filter_map(|(_, p)| Some((*p.page.get()?, p))).collect();
                let mut filled = Vec::with_capacity(pages.len());
                for (part, id) in pages.into_iter().enumerate() {
                    filled.push(known.get(&id).map(|page| (*page).clone()));
                    if filled[part].is_none() {
                        self.want(id, Place::Dir { leaf, inode: at, part })?;
                    }
                }
                Ok(Filling::Dir(filled))
            }
            Parts::Segments(segments) => {
                let other = other.and_then(content_of);
                let mut filled = Vec::with_capacity(segments.len());
                for (part, (index, id)) in segments.into_iter().enumerate() {
                    let same = other.and_then(|content| segment_of(content, index));
                    let shared = same.filter(|s| s.page.get() == Some(&id)).cloned();
                    if shared.is_none() {
                        self.want(id, Place::Segment { leaf, inode: at, part })?;
                    }
                    filled.push((index, shared));
                }
                Ok(Filling::File(filled))
            }
        }
    }

    fn put_segment(
        &mut self,
        (leaf, inode, part): (usize, usize, usize),
        id: PageId,
        mut chunks: Vec<(u64, ChunkRecord)>,
    ) -> Result<(), Corrupt> {
        let (inode, filling) = &mut self.leaves[leaf].inodes[inode];
        let Filling::File(parts) = filling else { return Ok(()) };
        let index = parts[part].0;
        chunks.iter_mut().for_each(|chunk| chunk.0 += index * SEGMENT_CHUNKS);
        let reference = self.reference.as_ref();
        let content = reference.and_then(|(root, _)| {
            root.get(inode.ino, |inode| content_of(inode).cloned()).flatten()
        });
        let slots = slots(&chunks, content.as_ref());
        parts[part].1 = Some(Arc::new(Segment { page: OnceLock::from(id), slots }));
        Ok(())
    }

    fn want(&mut self, id: PageId, place: Place) -> Result<(), Corrupt> {
        self.places += 1;
        let inodes = self.tree.map_or(0, |tree| tree.inodes);
        let is_position = matches!(place, Place::Node { .. } | Place::Leaf { .. });
        // Every leaf has an inode and at most six nodes above it.
        if is_position && self.places > inodes.saturating_mul(7).saturating_add(8) {
            return Err(Corrupt::whole("the tree has more nodes than its inodes need"));
        }
        self.pending.entry(id).or_default().push(place);
        Ok(())
    }

    fn attach(&mut self, parent: Option<(usize, usize)>, child: Built) {
        match parent {
            Some((node, slot)) => self.nodes[node].children.push((slot, child)),
            None => self.top = Some(child),
        }
    }

    // The reference tree's node at this level, above the leaf of this index.
    fn reference_at(&self, level: u32, index: u64) -> Option<Child> {
        let (root, _) = self.reference.as_ref()?;
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
}

fn child_page(child: &Child) -> Option<PageId> {
    match child {
        Child::Node(node) => node.page.get().copied(),
        Child::Leaf(leaf) => leaf.page.get().copied(),
    }
}

fn build_child(child: Built, nodes: &[Option<Arc<Node>>], leaves: &[Arc<Leaf>]) -> Option<Child> {
    match child {
        Built::Shared(child) => Some(child),
        Built::Node(at) => nodes[at].clone().map(Child::Node),
        Built::Leaf(at) => Some(Child::Leaf(leaves[at].clone())),
    }
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

fn finish_leaf(build: LeafBuild) -> Result<Arc<Leaf>, Corrupt> {
    let missing = || Corrupt::whole("pages are missing");
    let mut inodes = Vec::with_capacity(build.inodes.len());
    for (mut inode, filling) in build.inodes {
        match filling {
            Filling::Done => {}
            Filling::Dir(pages) => {
                let pages = pages.into_iter().collect::<Option<Vec<_>>>().ok_or_else(missing)?;
                inode.body = Body::Dir(Dir::from_pages(pages));
            }
            Filling::Content(content) => set_content(&mut inode, content),
            Filling::File(segments) => {
                let full = segments.into_iter().map(|(index, s)| Some((index, s?)));
                let segments = full.collect::<Option<Vec<_>>>().ok_or_else(missing)?;
                set_content(&mut inode, finish_content(segments));
            }
        }
        inode.weigh();
        inodes.push(inode);
    }
    let leaf = Leaf::new(0, inodes);
    let _ = leaf.page.set(build.page);
    Ok(Arc::new(leaf))
}

fn set_content(inode: &mut Inode, content: Content) {
    inode.pages = content.chunks().map(|(_, chunk)| chunk.data_pages()).sum();
    inode.body = Body::File(content);
}

fn finish_content(segments: Vec<(u64, Arc<Segment>)>) -> Content {
    if let [(0, segment)] = &segments[..]
        && let [Some(chunk)] = &segment.slots[..]
    {
        return Content::One(chunk.clone());
    }
    Content::Many(Arc::new(segments))
}
