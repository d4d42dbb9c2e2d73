//! Persist and TreeLoader against a store in memory: what was stored comes back equal, only what
//! changed is stored again, and hostile pages are refused.

use std::collections::HashMap;

use super::*;
use crate::attr::S_IFREG;
use crate::builder::TreeBuilder;
use crate::codec::Corrupt;
use crate::ids::{BlockHash, Ino};
use crate::load::{DecodedPage, TreeLoader};
use crate::page::{decode, refs};
use crate::sample::{self, Random};
use crate::{Chunk, Timespec};

#[derive(Default)]
struct Store {
    pages: HashMap<PageId, Vec<u8>>,
    blocks: HashMap<BlockHash, Vec<u8>>,
}

impl Store {
    /// Stores a tree; returns its root and how many chunks and pages were new.
    fn put(&mut self, tree: &Arc<Tree>) -> (PageId, usize, usize) {
        let mut persist = Persist::new(tree);
        for chunk in persist.chunks() {
            let bytes = chunk.bytes().unwrap();
            self.blocks.insert(chunk.hash().unwrap(), crate::block_bytes(&bytes).to_vec());
        }
        let mut pages = 0;
        while let Some((id, page)) = persist.next_page() {
            for id in refs(&page).unwrap().pages {
                assert!(self.pages.contains_key(&id), "a page comes after those it refers to");
            }
            self.pages.insert(id, page);
            pages += 1;
        }
        let (root, chunks) = (persist.root().unwrap(), persist.chunks().len());
        persist.committed();
        (root, chunks, pages)
    }

    fn load(&self, root: PageId, reference: Option<&Tree>) -> Result<(Arc<Tree>, usize), Corrupt> {
        let (mut loader, mut fed) = (TreeLoader::new(root, reference), 0);
        loop {
            let wanted = loader.wanted();
            if wanted.is_empty() {
                // A debug build checks all of it both ways.
                let shares = reference.is_some();
                return Ok((if shares { loader.finish_own()? } else { loader.finish()? }, fed));
            }
            for id in wanted {
                let page = &self.pages[&id];
                let decoded = DecodedPage::new(id, page.clone())?;
                match (fed % 4, loader.leaf_index(id)) {
                    (0, _) => loader.feed(id, page)?,
                    (1, _) | (_, None) => loader.feed_decoded(decoded)?,
                    (more, Some(index)) => {
                        // One that was built for another place is built again for its own.
                        let index = if more == 2 { index } else { index ^ 1 };
                        match decoded.built(index, &loader.surroundings()) {
                            Ok(built) => loader.feed_decoded(built)?,
                            Err(_) => loader.feed(id, page)?,
                        }
                    }
                }
                fed += 1;
            }
        }
    }

    fn evict(tree: &Tree) {
        tree.root.for_each_leaf(|_, leaf| {
            for inode in &leaf.data.read().inodes {
                if let Body::File(content) = &inode.body {
                    content.chunks().for_each(|(_, chunk)| assert!(chunk.evict()));
                }
            }
        });
    }
}

/// Every field of every inode and every byte, as text.
fn dump(tree: &Tree, store: &Store) -> Vec<String> {
    let mut lines = vec![format!("{} {} {:?}", tree.bytes, tree.inodes, tree.next_ino)];
    tree.root.for_each_leaf(|_, leaf| {
        for i in &leaf.data.read().inodes {
            let mut line = format!(
                "{:?} {:o} {} {} {} {} {} {} {:?} {:?} {:?} {:?} {:?} {:?}",
                i.ino,
                i.mode,
                i.uid,
                i.gid,
                i.nlink,
                i.rdev,
                i.size,
                i.pages,
                i.parent,
                i.atime,
                i.mtime,
                i.ctime,
                i.btime,
                i.xattrs
            );
            match &i.body {
                Body::Dir(dir) => line += &format!("{:?}", dir.entries().collect::<Vec<_>>()),
                Body::Symlink(target) => line += &format!("{target:?}"),
                Body::Special => {}
                Body::File(content) => content.chunks().for_each(|(n, chunk)| {
                    if chunk.bytes().is_none() {
                        let block = store.blocks[&chunk.hash().unwrap()].clone();
                        assert!(chunk.fill(Arc::new(block)));
                    }
                    let hash = blake3::hash(&chunk.bytes().unwrap());
                    line += &format!(" {n}:{}:{}:{hash}", chunk.len(), chunk.present());
                }),
            }
            lines.push(line);
        }
    });
    lines
}

#[test]
fn stored_trees_come_back_equal() {
    for seed in 0..40 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let tree = sample::tree(&mut random, [0, 1, 20, 300][seed as usize % 4]).freeze();
        let mut store = Store::default();
        let before = dump(&tree, &store);
        let (root, ..) = store.put(&tree);
        Store::evict(&tree);
        assert_eq!(dump(&tree, &store), before);
        let (loaded, _) = store.load(root, None).unwrap();
        assert_eq!(dump(&loaded, &store), before);
        // Equal trees have equal pages, and what is stored is not stored again.
        assert_eq!(store.put(&loaded), (root, 0, 1));
    }
}

#[test]
fn only_changes_are_stored_and_loaded() {
    let mut random = Random(7);
    let mut builder = sample::tree(&mut random, 2000);
    let mut store = Store::default();
    let first = builder.freeze();
    let (first_root, ..) = store.put(&first);
    let mut files = Vec::new();
    first.root.for_each_leaf(|_, leaf| {
        let data = leaf.data.read();
        files.extend(data.inodes.iter().filter(|i| i.kind() == S_IFREG).map(|i| i.ino));
    });
    for round in 0..20 {
        let ino = files[random.below(files.len() as u64) as usize];
        let fresh = sample::chunk(&mut random);
        builder.update(ino, |inode| {
            let Body::File(content) = &mut inode.body else { unreachable!() };
            content.set(round * 3, Some(fresh));
            inode.size = inode.size.max(1 << 30);
        });
        let tree = builder.freeze();
        let before = dump(&tree, &store);
        let (root, chunks, pages) = store.put(&tree);
        // One segment, one leaf, the nodes above it and the tree.
        assert!(chunks == 1 && pages <= 3 + tree.root.height as usize, "{chunks} {pages}");
        let (loaded, fed) = store.load(root, Some(&first)).unwrap();
        assert!(fed < 200, "{fed}");
        assert!(loaded.above >= first.above);
        assert_eq!(dump(&loaded, &store), before);
    }
    let (again, fed) = store.load(first_root, Some(&first)).unwrap();
    assert_eq!(fed, 1);
    assert!(Arc::ptr_eq(&again.root.node, &first.root.node));
}

#[test]
fn unchanged_chunks_of_changed_files_are_shared() {
    let mut builder = TreeBuilder::new();
    let mut file = Inode::new(Ino(0), S_IFREG | 0o644, 0, 0, Ino(0), Timespec::default());
    let mut content = Content::default();
    (0..200).for_each(|n| {
        content.set(n, Some(Arc::new(Chunk::new(vec![n as u8 + 1; 65536], u16::MAX))));
    });
    (file.body, file.size) = (Body::File(content), 200 * 65536);
    let ino = builder.add(Ino::ROOT, b"file", file).unwrap();
    let first = builder.freeze();
    let mut store = Store::default();
    store.put(&first);
    builder.update(ino, |inode| {
        let Body::File(content) = &mut inode.body else { unreachable!() };
        content.set(70, Some(Arc::new(Chunk::new(vec![9; 100], 1))));
    });
    let second = builder.freeze();
    let (root, chunks, pages) = store.put(&second);
    assert_eq!((chunks, pages), (1, 5));
    drop(second);
    let (loaded, fed) = store.load(root, Some(&first)).unwrap();
    assert_eq!(fed, 5);
    loaded.root.get(ino, |inode| {
        let Body::File(content) = &inode.body else { unreachable!() };
        let in_memory = content.chunks().filter(|(_, c)| c.bytes().is_some()).count();
        assert_eq!(in_memory, 199);
    });
}

#[test]
fn a_failed_commit_can_be_tried_again() {
    let tree = sample::tree(&mut Random(3), 200).freeze();
    let mut persist = Persist::new(&tree);
    let all = |persist: &mut Persist| {
        let pages: Vec<_> = std::iter::from_fn(|| persist.next_page()).collect();
        (pages, persist.root())
    };
    let once = all(&mut persist);
    persist.rewind();
    assert_eq!(all(&mut persist), once);
    drop(persist);
    // Given up: nothing was noted.
    assert_eq!(all(&mut Persist::new(&tree)), once);
}

#[test]
fn damaged_pages_never_panic() {
    let tree = sample::tree(&mut Random(11), 40).freeze();
    let mut store = Store::default();
    store.put(&tree);
    for page in store.pages.values() {
        for at in 0..page.len() {
            let mut changed = page.clone();
            changed[at] ^= 1 << (at % 8);
            let _ = decode(&changed);
            assert!(decode(&page[..at]).is_err(), "a page cut short at {at} was taken");
        }
        let mut longer = page.clone();
        longer.push(0);
        assert!(decode(&longer).is_err());
    }
}

#[test]
fn pages_with_other_bytes_are_refused() {
    let tree = sample::tree(&mut Random(1), 10).freeze();
    let mut store = Store::default();
    let (root, ..) = store.put(&tree);
    let mut loader = TreeLoader::new(root, None);
    let other = store.pages.keys().find(|id| **id != root).unwrap();
    assert!(loader.feed(*other, &store.pages[other]).is_err());
    assert!(loader.feed(root, &store.pages[other]).is_err());
    assert!(DecodedPage::new(root, store.pages[other].clone()).is_err());
    assert!(TreeLoader::new(root, None).finish().is_err());
    let mut small = TreeLoader::new(root, None).with_max_inodes(5);
    assert_eq!(
        small.feed(root, &store.pages[&root]).unwrap_err().reason,
        "the tree has too many inodes"
    );
}

/// Persists a tree that was spoilt behind the builder's back, and loads it.
fn spoil(ino: u64, change: impl FnOnce(&mut Inode)) -> &'static str {
    let mut builder = TreeBuilder::new();
    let node = |mode| Inode::new(Ino(0), mode, 0, 0, Ino(0), Timespec::default());
    let dir = crate::S_IFDIR | 0o755;
    let d = builder.add(Ino::ROOT, b"d", node(dir)).unwrap();
    let e = builder.add(d, b"e", node(dir)).unwrap();
    let f = builder.add(e, b"f", node(S_IFREG | 0o644)).unwrap();
    assert_eq!((d, e, f), (Ino(16), Ino(17), Ino(18)));
    builder.link(d, b"g", f).unwrap();
    builder.update(Ino(ino), change);
    let mut store = Store::default();
    let (root, ..) = store.put(&builder.freeze());
    store.load(root, None).err().map_or("", |flaw| flaw.reason)
}

#[test]
fn inconsistent_trees_are_refused() {
    fn dir(inode: &mut Inode) -> &mut Dir {
        let Body::Dir(dir) = &mut inode.body else { unreachable!() };
        dir
    }
    let kind = crate::S_IFDIR;
    assert_eq!(spoil(18, |_| ()), "");
    assert_eq!(spoil(18, |i| i.nlink = 1), "a link count is wrong");
    assert_eq!(spoil(16, |i| i.nlink = 2), "a directory's link count is wrong");
    let unname = |i: &mut Inode| {
        dir(i).remove(b"e");
        i.nlink -= 1;
    };
    assert_eq!(spoil(16, unname), "a directory has no name, or more than one");
    assert_eq!(spoil(17, |i| _ = dir(i).insert(b"x", Ino(99), kind)), "a name leads nowhere");
    assert_eq!(
        spoil(17, |i| _ = dir(i).replace(b"f", Ino(18), kind)),
        "an entry's type is not its inode's"
    );
    assert_eq!(spoil(17, |i| i.parent = Ino::ROOT), "a directory's parent is wrong");
    assert_eq!(
        spoil(1, |i| _ = dir(i).insert(b".devdev", Ino(18), S_IFREG)),
        "the root has an entry with a reserved name"
    );
    assert_eq!(
        spoil(17, |i| _ = dir(i).insert(b"h", Ino::HOME, kind)),
        "a root directory has a name"
    );
    assert_eq!(spoil(18, |i| i.ino = Ino(20)), "an inode number was never given out");
}

#[test]
fn circles_of_directories_are_refused() {
    let mut builder = TreeBuilder::new();
    let node = || Inode::new(Ino(0), crate::S_IFDIR | 0o755, 0, 0, Ino(0), Timespec::default());
    let a = builder.add(Ino::ROOT, b"a", node()).unwrap();
    let b = builder.add(a, b"b", node()).unwrap();
    // a moves into b: both have one name and a right parent, and nothing leads to them.
    builder.update(Ino::ROOT, |root| {
        let Body::Dir(dir) = &mut root.body else { unreachable!() };
        dir.remove(b"a");
        root.nlink -= 1;
    });
    builder.update(b, |inode| {
        let Body::Dir(dir) = &mut inode.body else { unreachable!() };
        dir.insert(b"a", a, crate::S_IFDIR).unwrap();
        inode.nlink += 1;
    });
    builder.update(a, |inode| inode.parent = b);
    let mut store = Store::default();
    let (root, ..) = store.put(&builder.freeze());
    let flaw = store.load(root, None).err().unwrap();
    assert_eq!(flaw.reason, "directories contain each other");
}
