//! What a store lacks of a frozen tree: the chunks and pages of the parts that changed since
//! they were last stored.
//!
//! A node, directory page or segment that knows its page id is in the store with all that lies
//! below it, so the walk stops there: the cost goes with what changed. Nothing is noted on the
//! tree before `committed`, so a commit that fails can be tried again (`rewind`) or given up.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::Tree;
use crate::chunk::Chunk;
use crate::content::{Content, SEGMENT_CHUNKS, Segment};
use crate::dir::{Dir, DirPage};
use crate::ids::PageId;
use crate::inode::{Body, Inode};
use crate::page::{
    ChunkRecord, INLINE_CHUNKS, INLINE_ENTRIES, Parts, TreePage, encode_dir, encode_leaf,
    encode_node, encode_segment, encode_tree,
};
use crate::tree::{Child, Leaf, Node};

enum Work {
    Leaf(Arc<Leaf>),
    Node(Arc<Node>),
}

enum Stamp {
    Leaf(Arc<Leaf>),
    Node(Arc<Node>),
    Dir(Arc<DirPage>),
    Segment(Arc<Segment>),
}

/// Brings one frozen tree into a store; the caller moves the bytes.
pub struct Persist {
    tree: Arc<Tree>,
    chunks: Vec<Arc<Chunk>>,
    /// Nodes and leaves without a page, children before parents.
    work: Vec<Work>,
    next: usize,
    /// Pages of the present work item that have not been taken yet.
    ready: VecDeque<(PageId, Vec<u8>)>,
    /// Page ids of the work items done, by the address of the node or leaf.
    ids: HashMap<usize, PageId>,
    stamps: Vec<(Stamp, PageId)>,
    root: Option<PageId>,
}

impl Persist {
    /// Finds what is not stored yet.
    pub fn new(tree: &Arc<Tree>) -> Persist {
        let mut persist = Persist {
            tree: tree.clone(),
            chunks: Vec::new(),
            work: Vec::new(),
            next: 0,
            ready: VecDeque::new(),
            ids: HashMap::new(),
            stamps: Vec::new(),
            root: None,
        };
        let mut seen = HashSet::new();
        persist.find(&tree.root.node, &mut seen);
        persist
    }

    // As deep as the radix tree is high.
    fn find(&mut self, node: &Arc<Node>, seen: &mut HashSet<usize>) {
        if node.page.get().is_some() {
            return;
        }
        for child in node.children.read().iter().flatten() {
            match child {
                Child::Node(node) => self.find(node, seen),
                Child::Leaf(leaf) if leaf.page.get().is_some() => {}
                Child::Leaf(leaf) => {
                    let data = leaf.data.read();
                    data.inodes.iter().for_each(|inode| self.find_chunks(inode, seen));
                    self.work.push(Work::Leaf(leaf.clone()));
                }
            }
        }
        self.work.push(Work::Node(node.clone()));
    }

    fn find_chunks(&mut self, inode: &Inode, seen: &mut HashSet<usize>) {
        let Body::File(content) = &inode.body else { return };
        let mut note = |chunk: &Arc<Chunk>| {
            if !chunk.is_stored() && seen.insert(Arc::as_ptr(chunk) as usize) {
                self.chunks.push(chunk.clone());
            }
        };
        match content {
            Content::Empty => {}
            Content::One(chunk) => note(chunk),
            Content::Many(segments) => {
                let changed = segments.iter().filter(|s| s.1.page.get().is_none());
                changed.flat_map(|s| s.1.slots.iter().flatten()).for_each(note);
            }
        }
    }

    /// The chunks that are not known to be stored, each once. Their hashes are wanted before
    /// pages are: `Chunk::hash`, from as many threads as one likes.
    pub fn chunks(&self) -> &[Arc<Chunk>] {
        &self.chunks
    }

    /// How many nodes and leaves have to be encoded.
    pub fn work_left(&self) -> usize {
        self.work.len() - self.next
    }

    /// The next page to store, those it refers to before it, the tree's own last; `None` when
    /// all have been given. The same page may be given twice.
    pub fn next_page(&mut self) -> Option<(PageId, Vec<u8>)> {
        loop {
            if let Some(page) = self.ready.pop_front() {
                return Some(page);
            }
            if let Some(work) = self.work.get(self.next) {
                match work {
                    Work::Leaf(leaf) => self.encode_leaf(&leaf.clone()),
                    Work::Node(node) => self.encode_node(&node.clone()),
                }
                self.next += 1;
            } else if self.root.is_none() {
                let page = self.encode_tree();
                self.root = Some(self.give(page));
            } else {
                return None;
            }
        }
    }

    /// The id of the tree's page, once all pages have been given.
    pub fn root(&self) -> Option<PageId> {
        self.root
    }

    /// Gives all pages once more.
    pub fn rewind(&mut self) {
        self.next = 0;
        self.ready.clear();
        self.ids.clear();
        self.stamps.clear();
        self.root = None;
    }

    /// Notes that the store has durably committed everything that was given.
    pub fn committed(&mut self) {
        assert!(self.root.is_some(), "a tree is committed after its last page was given");
        // Setting an id that is set already happens when two commits of one tree overlap: the
        // encoding is a function of the tree, so both ids are equal.
        for (stamp, id) in self.stamps.drain(..) {
            let page = match &stamp {
                Stamp::Leaf(leaf) => &leaf.page,
                Stamp::Node(node) => &node.page,
                Stamp::Dir(page) => &page.page,
                Stamp::Segment(segment) => &segment.page,
            };
            let _ = page.set(id);
        }
        self.chunks.iter().for_each(|chunk| chunk.mark_stored());
    }

    fn give(&mut self, page: Vec<u8>) -> PageId {
        let id = PageId::of(&page);
        self.ready.push_back((id, page));
        id
    }

    fn encode_leaf(&mut self, leaf: &Arc<Leaf>) {
        let data = leaf.data.read();
        let inodes: Vec<_> = data.inodes.iter().map(|i| (i, self.parts(i))).collect();
        let id = self.give(encode_leaf(inodes.into_iter()));
        self.ids.insert(Arc::as_ptr(leaf) as usize, id);
        self.stamps.push((Stamp::Leaf(leaf.clone()), id));
    }

    fn encode_node(&mut self, node: &Arc<Node>) {
        let children = node.children.read();
        let children = children.iter().enumerate().filter_map(|(slot, child)| {
            let (page, address) = match child.as_ref()? {
                Child::Node(node) => (&node.page, Arc::as_ptr(node) as usize),
                Child::Leaf(leaf) => (&leaf.page, Arc::as_ptr(leaf) as usize),
            };
            // A child without an entry was stored when the walk passed by, and stays so.
            let id = self.ids.get(&address).or(page.get());
            Some((slot, *id.unwrap_or_else(|| unreachable!("children come before parents"))))
        });
        let page = encode_node(&children.collect::<Vec<_>>());
        let id = self.give(page);
        self.ids.insert(Arc::as_ptr(node) as usize, id);
        self.stamps.push((Stamp::Node(node.clone()), id));
    }

    fn encode_tree(&self) -> Vec<u8> {
        let Tree { root, next_ino, bytes, inodes, .. } = &*self.tree;
        let id = self.ids.get(&(Arc::as_ptr(&root.node) as usize)).or(root.node.page.get());
        encode_tree(&TreePage {
            next_ino: *next_ino,
            bytes: *bytes,
            inodes: *inodes,
            height: root.height,
            root: *id.unwrap_or_else(|| unreachable!("the root comes before the tree")),
        })
    }

    fn parts(&mut self, inode: &Inode) -> Parts {
        match &inode.body {
            Body::Dir(dir) => self.dir_parts(dir),
            Body::File(content) => self.file_parts(content),
            Body::Symlink(_) | Body::Special => Parts::Inline,
        }
    }

    fn dir_parts(&mut self, dir: &Dir) -> Parts {
        let pages = dir.pages();
        if pages.len() <= 1 && dir.len() <= INLINE_ENTRIES as u64 {
            return Parts::Inline;
        }
        let mut id = |page: &Arc<DirPage>| match page.page.get() {
            Some(id) => *id,
            None => {
                let id = self.give(encode_dir(page));
                self.stamps.push((Stamp::Dir(page.clone()), id));
                id
            }
        };
        Parts::DirPages(pages.iter().map(|(_, page)| id(page)).collect())
    }

    fn file_parts(&mut self, content: &Content) -> Parts {
        let Content::Many(segments) = content else {
            let chunks = content.chunks().map(|(index, chunk)| (index, record(chunk)));
            return Parts::Chunks(chunks.collect());
        };
        // Segments can be left without a chunk by punched holes.
        let full = |s: &&(u64, Arc<Segment>)| s.1.slots.iter().any(Option::is_some);
        let segments: Vec<_> = segments.iter().filter(full).collect();
        let chunks = |segment: &Segment| segment.slots.iter().flatten().count();
        if segments.len() <= 1 && segments.iter().all(|s| chunks(&s.1) <= INLINE_CHUNKS) {
            let inline = segments.first().map_or(Vec::new(), |s| records(s.0, &s.1));
            return Parts::Chunks(inline);
        }
        let mut id = |index: u64, segment: &Arc<Segment>| match segment.page.get() {
            Some(id) => *id,
            None => {
                let id = self.give(encode_segment(&records(index, segment)));
                self.stamps.push((Stamp::Segment(segment.clone()), id));
                id
            }
        };
        Parts::Segments(segments.into_iter().map(|(n, s)| (*n, id(*n, s))).collect())
    }
}

fn record(chunk: &Chunk) -> ChunkRecord {
    ChunkRecord::of(chunk).unwrap_or_else(|| unreachable!("a chunk has bytes or a hash"))
}

fn records(segment: u64, content: &Segment) -> Vec<(u64, ChunkRecord)> {
    let slots = content.slots.iter().enumerate();
    let chunks = slots.filter_map(|(n, slot)| Some((n as u64, slot.as_ref()?)));
    chunks.map(|(n, chunk)| (segment * SEGMENT_CHUNKS + n, record(chunk))).collect()
}

#[cfg(test)]
mod tests;
