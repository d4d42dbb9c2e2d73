//! What differs between two frozen trees: inode by inode, name by name.
//!
//! Subtrees that both share are skipped by identity, so the work is in proportion to the
//! difference. Two subtrees are the same when they are one object in memory or one page in the
//! store.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use crate::chunk::{Chunk, block_bytes};
use crate::content::Content;
use crate::dir::{Dentry, Dir, DirPage};
use crate::ids::{Ino, PageId};
use crate::inode::{Body, Inode};
use crate::tree::{Child, NODE_CHILDREN, Root};

/// A subtree, and how many levels of nodes it has above its leaves.
#[derive(Clone)]
struct Side {
    child: Option<Child>,
    height: u32,
}

fn same_page(a: &OnceLock<PageId>, b: &OnceLock<PageId>) -> bool {
    a.get().is_some_and(|page| b.get() == Some(page))
}

impl Side {
    fn of(root: &Root) -> Side {
        Side { child: Some(Child::Node(root.node.clone())), height: root.height }
    }

    fn is(&self, other: &Side) -> bool {
        match (&self.child, &other.child) {
            (None, None) => true,
            (Some(Child::Node(a)), Some(Child::Node(b))) => {
                self.height == other.height && (Arc::ptr_eq(a, b) || same_page(&a.page, &b.page))
            }
            (Some(Child::Leaf(a)), Some(Child::Leaf(b))) => {
                Arc::ptr_eq(a, b) || same_page(&a.page, &b.page)
            }
            _ => false,
        }
    }

    // What lies in a slot of a node at this height; a lower tree lies in slot 0.
    fn slot(&self, slot: usize, height: u32) -> Side {
        match &self.child {
            _ if self.height < height && slot == 0 => self.clone(),
            Some(Child::Node(node)) if self.height == height => {
                Side { child: node.child(slot), height: height - 1 }
            }
            _ => Side { child: None, height: 0 },
        }
    }

    fn inodes(&self) -> Vec<Inode> {
        match &self.child {
            Some(Child::Leaf(leaf)) => leaf.read().inodes.clone(),
            _ => Vec::new(),
        }
    }
}

/// Visits every inode that is not equal in both trees, in ascending order: its state in `old`
/// and in `new`, `None` where it does not exist.
pub fn changed_inodes(
    old: &Root,
    new: &Root,
    mut visit: impl FnMut(Ino, Option<&Inode>, Option<&Inode>),
) {
    walk(&Side::of(old), &Side::of(new), old.height.max(new.height), &mut visit);
}

fn walk(
    old: &Side,
    new: &Side,
    height: u32,
    visit: &mut impl FnMut(Ino, Option<&Inode>, Option<&Inode>),
) {
    if old.is(new) {
        return;
    }
    if height == 0 {
        return compare_leaves(&old.inodes(), &new.inodes(), visit);
    }
    for slot in 0..NODE_CHILDREN {
        walk(&old.slot(slot, height), &new.slot(slot, height), height - 1, visit);
    }
}

fn compare_leaves(
    old: &[Inode],
    new: &[Inode],
    visit: &mut impl FnMut(Ino, Option<&Inode>, Option<&Inode>),
) {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let ino = match (old.peek(), new.peek()) {
            (Some(a), Some(b)) => a.ino.min(b.ino),
            (Some(one), None) | (None, Some(one)) => one.ino,
            (None, None) => return,
        };
        let before = old.next_if(|inode| inode.ino == ino);
        let after = new.next_if(|inode| inode.ino == ino);
        match (before, after) {
            (Some(a), Some(b)) if same_inode(a, b) => {}
            _ => visit(ino, before, after),
        }
    }
}

/// Whether two states of an inode are equal.
fn same_inode(a: &Inode, b: &Inode) -> bool {
    let record = |i: &Inode| {
        let times = (i.atime, i.mtime, i.ctime, i.btime);
        (i.mode, i.uid, i.gid, i.nlink, i.rdev, i.size, i.pages, i.parent, times)
    };
    record(a) == record(b) && a.xattrs == b.xattrs && same_body(a, b)
}

/// Whether what two inodes contain is equal: bytes, entries or target. May say no of equal
/// bytes when some are only in the store.
pub(crate) fn same_body(a: &Inode, b: &Inode) -> bool {
    match (&a.body, &b.body) {
        (Body::File(x), Body::File(y)) => a.size == b.size && same_content(x, y),
        (Body::Dir(x), Body::Dir(y)) => {
            let mut differ = false;
            changed_names(x, y, &mut |_| differ = true);
            !differ
        }
        (Body::Symlink(x), Body::Symlink(y)) => x == y,
        (Body::Special, Body::Special) => true,
        _ => false,
    }
}

fn same_content(a: &Content, b: &Content) -> bool {
    if a.same(b) {
        return true;
    }
    let (mut a, mut b) = (a.chunks().peekable(), b.chunks().peekable());
    loop {
        let index = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) => x.0.min(y.0),
            (Some(one), None) | (None, Some(one)) => one.0,
            (None, None) => return true,
        };
        let x = a.next_if(|chunk| chunk.0 == index).map(|chunk| chunk.1);
        let y = b.next_if(|chunk| chunk.0 == index).map(|chunk| chunk.1);
        let same = match (x, y) {
            (Some(x), Some(y)) => same_chunk(x, y),
            _ => false,
        };
        if !same {
            return false;
        }
    }
}

fn same_chunk(a: &Arc<Chunk>, b: &Arc<Chunk>) -> bool {
    if Arc::ptr_eq(a, b) {
        return true;
    }
    match (a.known_hash(), b.known_hash()) {
        (Some(x), Some(y)) => x == y,
        _ => match (a.bytes(), b.bytes()) {
            (Some(x), Some(y)) => block_bytes(&x) == block_bytes(&y),
            _ => false,
        },
    }
}

/// Visits every name that does not mean the same in both directories (one that does twice, if
/// its position differs).
pub(crate) fn changed_names(old: &Dir, new: &Dir, visit: &mut impl FnMut(&[u8])) {
    if old.same(new) {
        return;
    }
    let key = |page: &Arc<DirPage>| (Arc::as_ptr(page) as usize, page.page.get().copied());
    let keys = |dir: &Dir| {
        let (mut objects, mut pages) = (HashSet::new(), HashSet::new());
        for (object, page) in dir.pages().iter().map(|page| key(&page.1)) {
            objects.insert(object);
            pages.extend(page);
        }
        (objects, pages)
    };
    let only = |dir: &'_ Dir, (objects, pages): (HashSet<usize>, HashSet<PageId>)| {
        let shared = move |page: &Arc<DirPage>| {
            let (object, page) = key(page);
            objects.contains(&object) || page.is_some_and(|page| pages.contains(&page))
        };
        let own = dir.pages().iter().filter(|page| !shared(&page.1));
        own.map(|page| page.1.clone()).collect::<Vec<_>>()
    };
    let (old_pages, new_pages) = (only(old, keys(new)), only(new, keys(old)));
    let mut old = old_pages.iter().flat_map(|page| page.entries()).peekable();
    let mut new = new_pages.iter().flat_map(|page| page.entries()).peekable();
    loop {
        let cookie = match (old.peek(), new.peek()) {
            (Some(a), Some(b)) => a.cookie.min(b.cookie),
            (Some(one), None) | (None, Some(one)) => one.cookie,
            (None, None) => return,
        };
        let before: Option<Dentry<'_>> = old.next_if(|entry| entry.cookie == cookie);
        let after = new.next_if(|entry| entry.cookie == cookie);
        if before == after {
            continue;
        }
        before.iter().for_each(|entry| visit(entry.name));
        if let Some(entry) = after.filter(|a| before.is_none_or(|b| b.name != a.name)) {
            visit(entry.name);
        }
    }
}
