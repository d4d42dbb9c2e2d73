//! The name of a state: a hash over what a user can see of a tree, so that equal trees have
//! equal ids, however they came about.
//!
//! Names, types, modes, owners, device numbers, mtimes, extended attributes, symlink targets,
//! content and hard links count, of everything below `/` and `.devdev/home`. Inode numbers,
//! atime, ctime and birth time do not, nor does how content lies in chunks: the hash of a block
//! leaves out the zeros at its end, and a block without bytes is the same as a hole.
//!
//! An inode's hash covers its record, and
//! - of a directory the (name, hash of the inode) of each entry, by ascending name,
//! - of a file its size and the (index, block hash) of each chunk that has a byte other than 0,
//! - of a symlink its target.
//!
//! The id covers the hashes of both roots, and the table of hard links: as both are walked in
//! name order, entries and groups are counted, and each entry that has a sibling adds (number of
//! the entry, number of its group).

use std::collections::{HashMap, HashSet};
use std::fmt;

use blake3::Hasher;

use crate::codec::{put_bytes, put_time, put_varint};
use crate::ids::{BlockHash, Ino, hex};
use crate::inode::{Body, Inode};
use crate::tree::Root;

const DOMAIN: &[u8] = b"devdev content id 1\0";

/// The hash of everything in a tree that a user can tell from another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId(pub [u8; 32]);

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

/// What is below a directory, in a form from which ids are put together.
#[derive(Clone)]
pub(crate) struct Summary {
    hash: [u8; 32],
    /// Entries in it and below it.
    entries: u64,
    /// Of its own entries those that have a sibling, and directories with such below them: the
    /// number of the entry, counted from the directory on.
    links: Box<[(u64, Link)]>,
}

#[derive(Clone, Copy)]
enum Link {
    File(Ino),
    Dir(Ino),
}

/// Those of all directories of a tree.
pub(crate) type Summaries = HashMap<Ino, Summary>;

/// The id of a tree. `known` has summaries that hold for all directories but those in `dirty`,
/// and has them for all in the end.
pub(crate) fn id_of(root: &Root, known: &mut Summaries, dirty: &HashSet<Ino>) -> ContentId {
    let empty = BlockHash::of(b"");
    let mut walk = Walk { root, empty, known, dirty, done: HashSet::new(), files: HashMap::new() };
    let mut id = Hasher::new();
    id.update(DOMAIN);
    let (mut links, mut groups, mut before) = (Hasher::new(), HashMap::new(), 0);
    for root in [Ino::ROOT, Ino::HOME] {
        let (hash, entries) = walk.directory(root);
        id.update(&hash);
        note_links(walk.known, root, before, &mut groups, &mut links);
        before += entries;
    }
    id.update(links.finalize().as_bytes());
    ContentId(*id.finalize().as_bytes())
}

// Adds (number of the entry, number of its group) for each entry that has a sibling.
fn note_links(
    known: &Summaries,
    root: Ino,
    before: u64,
    groups: &mut HashMap<Ino, u64>,
    links: &mut Hasher,
) {
    let all = |ino: Ino| known.get(&ino).map_or(&[][..], |summary| &summary.links).iter();
    let mut stack = vec![(before, all(root))];
    while let Some((base, entries)) = stack.last_mut() {
        let base = *base;
        match entries.next() {
            None => _ = stack.pop(),
            Some((at, Link::Dir(ino))) => stack.push((base + at, all(*ino))),
            Some((at, Link::File(ino))) => {
                let next = groups.len() as u64;
                let group = *groups.entry(*ino).or_insert(next);
                links.update(&(base + at).to_le_bytes()).update(&group.to_le_bytes());
            }
        }
    }
}

/// The names and numbers of a directory's entries, by name: the order of every walk whose result
/// is kept.
pub fn names(root: &Root, ino: Ino) -> Vec<(Box<[u8]>, Ino)> {
    let list = root.get(ino, |inode| match &inode.body {
        Body::Dir(dir) => dir.entries().map(|e| (e.name.into(), e.ino)).collect(),
        _ => Vec::new(),
    });
    let mut list = list.unwrap_or_default();
    list.sort_unstable();
    list
}

struct Frame {
    ino: Ino,
    hasher: Hasher,
    entries: std::vec::IntoIter<(Box<[u8]>, Ino)>,
    count: u64,
    links: Vec<(u64, Link)>,
}

struct Walk<'a> {
    root: &'a Root,
    /// The block of a chunk without bytes other than 0.
    empty: BlockHash,
    known: &'a mut Summaries,
    dirty: &'a HashSet<Ino>,
    /// Dirty directories that `known` has anew.
    done: HashSet<Ino>,
    /// Hashes of inodes with several names.
    files: HashMap<Ino, [u8; 32]>,
}

enum Hashed {
    Directory,
    Other([u8; 32], bool),
}

impl Walk<'_> {
    fn summary(&self, ino: Ino) -> Option<&Summary> {
        let holds = !self.dirty.contains(&ino) || self.done.contains(&ino);
        self.known.get(&ino).filter(|_| holds)
    }

    fn enter(&self, ino: Ino) -> Frame {
        let mut hasher = Hasher::new();
        self.root.get(ino, |inode| hasher.update(&record(inode)).update(b"entries"));
        let entries = names(self.root, ino).into_iter();
        Frame { ino, hasher, entries, count: 0, links: Vec::new() }
    }

    // Hash of a directory and number of entries below it. With a stack of its own: directories may
    // be nested deeper than a thread's stack allows.
    fn directory(&mut self, ino: Ino) -> ([u8; 32], u64) {
        if let Some(Summary { hash, entries, .. }) = self.summary(ino) {
            return (*hash, *entries);
        }
        let mut stack = vec![self.enter(ino)];
        while let Some(mut frame) = stack.pop() {
            let Some((name, ino)) = frame.entries.next() else {
                let done = self.finish(frame);
                match stack.last_mut() {
                    Some(parent) => self.take_in(parent, done),
                    None => {
                        return self.summary(done).map_or(([0; 32], 0), |s| (s.hash, s.entries));
                    }
                }
                continue;
            };
            frame.count += 1;
            let mut prefix = Vec::with_capacity(name.len() + 2);
            put_bytes(&mut prefix, &name);
            frame.hasher.update(&prefix);
            let below = match self.inode(ino) {
                Hashed::Directory if self.summary(ino).is_some() => {
                    self.take_in(&mut frame, ino);
                    None
                }
                Hashed::Directory => Some(self.enter(ino)),
                Hashed::Other(hash, linked) => {
                    frame.hasher.update(&hash);
                    if linked {
                        frame.links.push((frame.count, Link::File(ino)));
                    }
                    None
                }
            };
            stack.push(frame);
            stack.extend(below);
        }
        ([0; 32], 0)
    }

    fn finish(&mut self, frame: Frame) -> Ino {
        let Frame { ino, hasher, count, links, .. } = frame;
        let hash = *hasher.finalize().as_bytes();
        self.known.insert(ino, Summary { hash, entries: count, links: links.into() });
        self.done.insert(ino);
        ino
    }

    // An entry of `frame` was counted; this is the directory that it names.
    fn take_in(&self, frame: &mut Frame, ino: Ino) {
        let Some(Summary { hash, entries, links }) = self.known.get(&ino) else { return };
        frame.hasher.update(hash);
        if !links.is_empty() {
            frame.links.push((frame.count, Link::Dir(ino)));
        }
        frame.count += entries;
    }

    fn inode(&mut self, ino: Ino) -> Hashed {
        if let Some(hash) = self.files.get(&ino) {
            return Hashed::Other(*hash, true);
        }
        let empty = self.empty;
        let hashed = self.root.get(ino, |inode| match &inode.body {
            Body::Dir(_) => Hashed::Directory,
            _ => Hashed::Other(file(inode, empty), inode.nlink > 1),
        });
        // Trees are whole: every entry names an inode.
        let hashed = hashed.unwrap_or(Hashed::Other([0; 32], false));
        if let Hashed::Other(hash, true) = &hashed {
            self.files.insert(ino, *hash);
        }
        hashed
    }
}

fn record(inode: &Inode) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    for value in [inode.mode, inode.uid, inode.gid, inode.rdev] {
        put_varint(&mut out, u64::from(value));
    }
    put_time(&mut out, inode.mtime);
    let xattrs = inode.xattrs.iter().flat_map(|x| x.iter());
    put_varint(&mut out, xattrs.clone().count() as u64);
    for (name, value) in xattrs {
        put_bytes(&mut out, name);
        put_bytes(&mut out, value);
    }
    out
}

fn file(inode: &Inode, empty: BlockHash) -> [u8; 32] {
    let mut out = record(inode);
    match &inode.body {
        Body::Symlink(target) => put_bytes(&mut out, target),
        Body::File(content) => {
            put_varint(&mut out, inode.size);
            for (index, chunk) in content.chunks() {
                // A chunk has bytes or a hash.
                let hash = chunk.hash().unwrap_or(empty);
                if hash != empty {
                    put_varint(&mut out, index);
                    out.extend_from_slice(&hash.0);
                }
            }
        }
        Body::Dir(_) | Body::Special => {}
    }
    *blake3::hash(&out).as_bytes()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Tree;
    use crate::attr::{S_IFDIR, S_IFREG, Timespec};
    use crate::builder::TreeBuilder;
    use crate::chunk::{CHUNK_SIZE, Chunk, full_pages};
    use crate::content::Content;
    use crate::known_ids::content_id;
    use crate::sample::{self, Random};

    fn scramble_times(inode: &mut Inode, random: &mut Random) {
        let mut time = || Timespec { secs: random.below(100) as i64, nanos: 1 };
        (inode.atime, inode.ctime, inode.btime) = (time(), time(), time());
    }

    // The same bytes, with other holes and other chunk lengths.
    fn relay(content: &Content, random: &mut Random) -> Content {
        let mut copy = Content::default();
        for (index, chunk) in content.chunks() {
            let mut bytes = chunk.bytes().unwrap().to_vec();
            match random.below(3) {
                0 => bytes.resize(
                    bytes.len() + random.below(CHUNK_SIZE - bytes.len() as u64 + 1) as usize,
                    0,
                ),
                1 => bytes.truncate(crate::block_bytes(&bytes).len()),
                _ => {}
            }
            let present = full_pages(bytes.len());
            if !bytes.is_empty() || random.below(2) == 0 {
                copy.set(index, Some(Arc::new(Chunk::new(bytes, present))));
            }
        }
        if random.below(2) == 0 && copy.get(1).is_none() {
            copy.set(1, Some(Arc::new(Chunk::new(vec![0; 5000], 3))));
        }
        copy
    }

    /// The same tree built in another order, with other numbers, times and chunks.
    fn rebuild(tree: &Tree, random: &mut Random) -> Arc<Tree> {
        let mut builder = TreeBuilder::new();
        let mut known: HashMap<Ino, Ino> = HashMap::new();
        let mut todo = Vec::new();
        for ino in [Ino::ROOT, Ino::HOME] {
            let source = tree.root.get(ino, Inode::clone).unwrap();
            builder.update(ino, |inode| {
                (inode.mode, inode.uid, inode.gid) = (source.mode, source.uid, source.gid);
                (inode.mtime, inode.xattrs) = (source.mtime, source.xattrs.clone());
            });
            known.insert(ino, ino);
            todo.extend(names(&tree.root, ino).into_iter().map(|(name, child)| (ino, name, child)));
        }
        while !todo.is_empty() {
            let at = random.below(todo.len() as u64) as usize;
            let (parent, name, ino) = todo.swap_remove(at);
            if let Some(copy) = known.get(&ino) {
                builder.link(parent, &name, *copy).unwrap();
                continue;
            }
            let mut inode = tree.root.get(ino, Inode::clone).unwrap();
            scramble_times(&mut inode, random);
            match &mut inode.body {
                Body::File(content) => *content = relay(content, random),
                Body::Dir(dir) => *dir = Default::default(),
                _ => {}
            }
            let copy = builder.add(parent, &name, inode).unwrap();
            known.insert(ino, copy);
            todo.extend(
                names(&tree.root, ino).into_iter().map(|(name, child)| (copy, name, child)),
            );
        }
        builder.freeze()
    }

    #[test]
    fn equal_trees_have_equal_ids() {
        for seed in 0..30 {
            println!("seed {seed}");
            let mut random = Random(seed);
            let tree = sample::tree(&mut random, [3, 30, 200][seed as usize % 3]).freeze();
            let id = content_id(&tree);
            let again = rebuild(&tree, &mut random);
            assert_eq!(content_id(&again), id);
            // Without bytes in memory as well.
            tree.root.for_each_leaf(|_, leaf| {
                for inode in &leaf.data.read().inodes {
                    let Body::File(content) = &inode.body else { continue };
                    content.chunks().for_each(|(_, chunk)| {
                        chunk.mark_stored();
                        assert!(chunk.evict());
                    });
                }
            });
            assert_eq!(content_id(&tree), id);
        }
    }

    fn small() -> (TreeBuilder, [Ino; 3]) {
        let mut builder = TreeBuilder::new();
        let node = |mode| Inode::new(Ino(0), mode, 0, 0, Ino(0), Timespec::default());
        let dir = builder.add(Ino::ROOT, b"d", node(S_IFDIR | 0o755)).unwrap();
        let file = builder.add(dir, b"f", node(S_IFREG | 0o644)).unwrap();
        let other = builder.add(Ino::HOME, b"g", node(S_IFREG | 0o644)).unwrap();
        (builder, [dir, file, other])
    }

    #[test]
    fn what_a_user_sees_changes_the_id() {
        let id = content_id(&small().0.freeze());
        let changed = |change: &dyn Fn(&mut TreeBuilder, [Ino; 3])| {
            let (mut builder, inos) = small();
            change(&mut builder, inos);
            content_id(&builder.freeze()) != id
        };
        assert!(!changed(&|_, _| ()));
        let node = || Inode::new(Ino(0), S_IFREG | 0o644, 0, 0, Ino(0), Timespec::default());
        assert!(changed(&|b, [d, ..]| _ = b.add(d, b"e", node()).unwrap()));
        assert!(changed(&|b, _| _ = b.add(Ino::HOME, b"e", node()).unwrap()));
        assert!(changed(&|b, [d, f, _]| b.link(d, b"e", f).unwrap()));
        for field in 0..3 {
            assert!(changed(&|b, inos| {
                let set = |inode: &mut Inode| {
                    [&mut inode.mode, &mut inode.uid, &mut inode.gid][field]
                        .clone_from(&(S_IFREG | 1))
                };
                b.update(inos[1], set);
            }));
        }
        assert!(changed(&|b, [d, ..]| _ = b.update(d, |i| i.mtime.nanos = 1)));
        assert!(changed(&|b, _| _ = b.update(Ino::HOME, |i| i.mode |= 2)));
        assert!(changed(&|b, [_, f, _]| _ = b.update(f, |i| i.size = 1)));
        let write = |at| {
            move |b: &mut TreeBuilder, [_, f, _]: [Ino; 3]| {
                b.update(f, |i| {
                    let Body::File(content) = &mut i.body else { unreachable!() };
                    content.set(at, Some(Arc::new(Chunk::new(vec![1], 1))));
                });
            }
        };
        assert!(changed(&write(0)) && changed(&write(9)));
        assert!(!changed(&|b, [_, f, _]| _ = b.update(f, |i| i.ctime.secs = 9)));
    }

    #[test]
    fn which_names_are_linked_counts() {
        let tree = |pairs: [usize; 4]| {
            let mut builder = TreeBuilder::new();
            let node = || Inode::new(Ino(0), S_IFREG | 0o644, 0, 0, Ino(0), Timespec::default());
            let mut inos = [None; 2];
            for (n, which) in pairs.into_iter().enumerate() {
                let name = [b'a' + n as u8];
                match inos[which] {
                    Some(ino) => builder.link(Ino::ROOT, &name, ino).unwrap(),
                    None => inos[which] = Some(builder.add(Ino::ROOT, &name, node()).unwrap()),
                }
            }
            content_id(&builder.freeze())
        };
        assert_ne!(tree([0, 0, 1, 1]), tree([0, 1, 1, 0]));
        assert_ne!(tree([0, 0, 1, 1]), tree([0, 1, 0, 1]));
        assert_eq!(tree([0, 1, 0, 1]), tree([1, 0, 1, 0]));
    }

    #[test]
    fn deep_trees_do_not_overflow_the_stack() {
        let mut builder = TreeBuilder::new();
        let mut at = Ino::ROOT;
        for _ in 0..200_000 {
            let node = Inode::new(Ino(0), S_IFDIR | 0o755, 0, 0, Ino(0), Timespec::default());
            at = builder.add(at, b"d", node).unwrap();
        }
        let tree = builder.freeze();
        let id = content_id(&tree);
        builder.update(at, |i| i.uid = 1);
        assert_ne!(content_id(&builder.freeze()), id);
    }
}
