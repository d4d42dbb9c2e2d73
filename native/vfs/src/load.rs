//! Brings a stored tree back into memory, page by page, and shares with a tree that is there
//! already what both have at the same place: nodes, leaves, directory pages and segments with
//! equal page ids, and in changed files the chunks with equal hashes, whose bytes thereby stay
//! in memory.
//!
//! The loader asks for pages (`wanted`) and is fed them in any order; it fetches nothing itself.
//! Threads may decode pages and build leaves beside it.

mod leaf;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use self::leaf::{BuiltLeaf, Filled, Lack};
use crate::Tree;
use crate::check::{Totals, check, check_roots};
use crate::codec::Corrupt;
use crate::ids::{Ino, PageId};
use crate::inode::Inode;
use crate::known_ids::TreeId;
use crate::page::{Page, Parts, TreePage, decode};
use crate::tree::{Child, LEAF_BITS, Leaf, NODE_BITS, Node, Root};

pub use self::leaf::Surroundings;

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

/// A page whose bytes have its id, decoded: threads may do that beside the loader.
pub struct DecodedPage {
    id: PageId,
    bytes: Vec<u8>,
    page: Page,
    /// Of a leaf that was built: the index that it was built for.
    built: Option<(u64, BuiltLeaf)>,
}

impl DecodedPage {
    /// Checks and decodes a page.
    pub fn new(id: PageId, bytes: Vec<u8>) -> Result<DecodedPage, Corrupt> {
        if PageId::of(&bytes) != id {
            return Err(Corrupt::whole("a page's bytes do not have its id"));
        }
        let page = decode(&bytes)?;
        Ok(DecodedPage { id, bytes, page, built: None })
    }

    /// The page's id.
    pub fn id(&self) -> PageId {
        self.id
    }

    /// The same with the leaf built that it is the page of, where that is wanted
    /// (`TreeLoader::leaf_index`).
    pub fn built(
        mut self,
        index: u64,
        surroundings: &Surroundings,
    ) -> Result<DecodedPage, Corrupt> {
        if let Page::Leaf(records) = &mut self.page {
            let built = surroundings.build(index, self.id, std::mem::take(records))?;
            self.built = Some((index, built));
        }
        Ok(self)
    }
}

/// Loads one tree.
pub struct TreeLoader {
    surroundings: Surroundings,
    /// Generations of the reference are below this one.
    above: u64,
    max_inodes: u64,
    /// Pages not fed yet, and where they belong.
    pending: HashMap<PageId, Vec<Place>>,
    tree: Option<TreePage>,
    top: Option<Built>,
    nodes: Vec<NodeBuild>,
    leaves: Vec<Filled>,
    /// Inodes decoded, and places asked for: bounded, so that pages which name each other many
    /// times over can not fill the memory.
    inodes: u64,
    places: u64,
}

impl TreeLoader {
    /// A loader of the tree whose page is `root`. With a reference tree it shares what is equal.
    pub fn new(root: PageId, reference: Option<&Tree>) -> TreeLoader {
        TreeLoader {
            surroundings: Surroundings {
                reference: reference.map(|tree| tree.root.clone()),
                next_ino: Ino(0),
            },
            above: reference.map_or(1, |tree| tree.above.max(1)),
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
        let DecodedPage { id, bytes, page, built } = decoded;
        let places = self.pending.remove(&id).ok_or(Corrupt::whole("a page was not asked for"))?;
        let mut places = places.into_iter();
        match (places.next(), built) {
            (Some(Place::Leaf { parent, index }), Some((at, built))) if at == index => {
                self.put_built(parent, built)?;
            }
            (Some(first), None) => self.put(first, id, page)?,
            (Some(first), Some(_)) => self.put(first, id, decode(&bytes)?)?,
            (None, _) => {}
        }
        places.try_for_each(|place| self.put(place, id, decode(&bytes)?))
    }

    /// Of a wanted page that belongs to a leaf: which one it is.
    pub fn leaf_index(&self, id: PageId) -> Option<u64> {
        match self.pending.get(&id)?.first()? {
            Place::Leaf { index, .. } => Some(*index),
            _ => None,
        }
    }

    /// What leaves are built against; complete once a leaf is wanted.
    pub fn surroundings(&self) -> Surroundings {
        self.surroundings.clone()
    }

    /// Leaves that it does not share with the reference.
    pub fn own_leaves(&self) -> usize {
        self.leaves.len()
    }

    /// The tree, checked as a whole.
    pub fn finish(self) -> Result<Arc<Tree>, Corrupt> {
        self.build(|root, page| check(root, page.next_ino))
    }

    /// The tree of a page that this program stored itself. That all pages are those that were
    /// written then is known by their ids, so inodes are looked at which were not shared, and the
    /// rest is taken as it was: the cost goes with what differs from the reference.
    pub fn finish_own(self) -> Result<Arc<Tree>, Corrupt> {
        self.build(|root, page| {
            let totals = Totals { bytes: page.bytes, inodes: page.inodes };
            check_roots(root)?;
            debug_assert_eq!(check(root, page.next_ino), Ok(totals));
            Ok(totals)
        })
    }

    fn build(
        mut self,
        check: impl FnOnce(&Root, TreePage) -> Result<Totals, Corrupt>,
    ) -> Result<Arc<Tree>, Corrupt> {
        let (true, Some(page), Some(top)) = (self.pending.is_empty(), self.tree, self.top.take())
        else {
            return Err(Corrupt::whole("pages are missing"));
        };
        let leaves = self.leaves.drain(..).map(Filled::finish).collect::<Result<Vec<_>, _>>()?;
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
        let totals = check(&root, page)?;
        let above = self.above;
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
                if let Filled::Partly(leaf) = &mut self.leaves[leaf] {
                    leaf.put_dir(inode, part, id, page);
                }
                Ok(())
            }
            (Place::Segment { leaf, inode, part }, Page::Segment(chunks)) => {
                if let Filled::Partly(leaf) = &mut self.leaves[leaf] {
                    let reference = self.surroundings.reference.as_ref();
                    leaf.put_segment((inode, part), id, chunks, reference);
                }
                Ok(())
            }
            _ => Err(Corrupt::whole("a page is not of the kind that belongs there")),
        }
    }

    fn put_tree(&mut self, page: TreePage) -> Result<(), Corrupt> {
        if page.inodes > self.max_inodes {
            return Err(Corrupt::whole("the tree has too many inodes"));
        }
        self.tree = Some(page);
        self.surroundings.next_ino = page.next_ino;
        let level = page.height - 1;
        let shared = match self.surroundings.node(level, 0) {
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
        let reference = match self.surroundings.node(level, index) {
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
        records: Vec<(Inode, Parts)>,
    ) -> Result<(), Corrupt> {
        let built = self.surroundings.build(index, id, records)?;
        self.put_built(parent, built)
    }

    fn put_built(&mut self, parent: (usize, usize), built: BuiltLeaf) -> Result<(), Corrupt> {
        self.inodes += built.inodes;
        if self.tree.is_none_or(|tree| self.inodes > tree.inodes) {
            return Err(Corrupt::whole("the tree has more inodes than it says"));
        }
        let leaf = self.leaves.len();
        self.leaves.push(built.leaf);
        self.attach(Some(parent), Built::Leaf(leaf));
        for Lack { page, inode, part, is_dir } in built.lacks {
            let place = match is_dir {
                true => Place::Dir { leaf, inode, part },
                false => Place::Segment { leaf, inode, part },
            };
            self.want(page, place)?;
        }
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
