//! Ids that are put together from what is remembered, beside ids that are hashed from scratch.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::attr::{Caller, Clock, S_IFREG, SetAttr, Timespec};
use crate::check::check;
use crate::sample::Random;
use crate::types::{Hold, Limits, RenameFlags, VfsOptions, WriteFlags};
use crate::{NodeId, Vfs};

struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> Timespec {
        Timespec { secs: self.0.fetch_add(1, Ordering::Relaxed), nanos: 0 }
    }
}

fn options() -> VfsOptions {
    VfsOptions {
        clock: Arc::new(Ticks(AtomicI64::new(1))),
        limits: Limits { bytes: 1 << 30, inodes: 1 << 20 },
        xattrs: true,
        owner: Caller::default(),
    }
}

fn from_scratch(tree: &Tree) -> ContentId {
    id_of(&tree.root, &mut Summaries::default(), &HashSet::new())
}

// How many directories the last id was put together from anew.
fn hashed(vfs: &Vfs, tree: &Tree) -> usize {
    let state = vfs.ids.state.lock();
    holders(&tree.root, &changed_since(&tree.root, state.above, &state.restored)).len()
}

struct Change<'a> {
    vfs: &'a Vfs,
    random: Random,
}

impl Change<'_> {
    fn dir(&mut self) -> NodeId {
        let mut at = [NodeId::ROOT, NodeId::HOME][self.random.below(2) as usize];
        while self.random.below(3) > 0 {
            let name = self.name();
            match self.vfs.lookup(at, &name, Hold::None) {
                Ok(crate::Outcome::Done(entry)) if entry.attr.mode & 0o170000 == 0o040000 => {
                    at = entry.attr.node;
                }
                _ => break,
            }
        }
        at
    }

    fn name(&mut self) -> Vec<u8> {
        format!("n{}", self.random.below(6)).into_bytes()
    }

    fn file(&mut self) -> Option<NodeId> {
        let (dir, name) = (self.dir(), self.name());
        match self.vfs.lookup(dir, &name, Hold::None) {
            Ok(crate::Outcome::Done(entry)) => Some(entry.attr.node),
            _ => None,
        }
    }

    // Most of these fail now and then, which is no change.
    fn make(&mut self) {
        let (dir, name) = (self.dir(), self.name());
        let caller = Caller::default();
        match self.random.below(9) {
            0 | 1 => _ = self.vfs.mkdir(dir, &name, 0o755, caller, Hold::None),
            2 => _ = self.vfs.mknod(dir, &name, S_IFREG | 0o644, 0, caller, Hold::None),
            3 => {
                let Some(file) = self.file() else { return };
                let at = self.random.below(3) * 70_000;
                _ = self.vfs.write(file, at, b"some", WriteFlags::default());
            }
            4 => _ = self.vfs.unlink(dir, &name),
            5 => _ = self.vfs.rmdir(dir, &name),
            6 => {
                let Some(file) = self.file() else { return };
                _ = self.vfs.link(file, dir, &name, Hold::None);
            }
            7 => {
                let (to, new) = (self.dir(), self.name());
                _ = self.vfs.rename(dir, &name, to, &new, RenameFlags::default());
            }
            _ => {
                let Some(file) = self.file() else { return };
                let mode = Some(self.random.below(0o1000) as u32);
                _ = self.vfs.setattr(file, &SetAttr { mode, ..SetAttr::default() });
            }
        }
    }
}

#[test]
fn what_is_remembered_gives_the_ids_of_trees_hashed_from_scratch() {
    for seed in 0..60 {
        println!("seed {seed}");
        let first = Vfs::new(options());
        let mut vfs = first;
        let mut trees: Vec<Arc<Tree>> = Vec::new();
        let mut random = Random(seed);
        for _ in 0..40 {
            let mut change = Change { vfs: &vfs, random: Random(random.number()) };
            (0..change.random.below(12)).for_each(|_| change.make());
            let tree = vfs.freeze();
            assert_eq!(check(&tree.root, tree.next_ino).map(|all| all.inodes), Ok(tree.inodes));
            // Some are never asked, and some only later.
            if random.below(4) > 0 {
                assert_eq!(content_id(&tree), from_scratch(&tree));
            }
            trees.push(tree);
            let old = trees[random.below(trees.len() as u64) as usize].clone();
            match random.below(8) {
                0 | 1 => _ = vfs.restore(&old),
                2 => vfs = Vfs::from_tree(options(), &old),
                3 => assert_eq!(content_id(&old), from_scratch(&old)),
                _ => {}
            }
        }
    }
}

#[test]
fn an_id_costs_what_changed() {
    let vfs = Vfs::new(options());
    let caller = Caller::default();
    let mut files = Vec::new();
    for n in 0..200 {
        let name = format!("d{n}").into_bytes();
        let dir = vfs.mkdir(NodeId::ROOT, &name, 0o755, caller, Hold::None).unwrap().attr.node;
        for name in [b"a", b"b"] {
            let mode = S_IFREG | 0o644;
            let file = vfs.mknod(dir, name, mode, 0, caller, Hold::None).unwrap();
            files.push(file.attr.node);
        }
    }
    let before = vfs.freeze();
    content_id(&before);
    vfs.write(files[100], 0, b"x", WriteFlags::default()).unwrap();
    let tree = vfs.freeze();
    // Sixteen inodes lie in a leaf, so neighbours are looked at as well.
    assert!(hashed(&vfs, &tree) < 10, "{}", hashed(&vfs, &tree));
    content_id(&tree);
    assert!(tree.known_id().is_some());
    vfs.restore(&before);
    vfs.write(files[300], 0, b"x", WriteFlags::default()).unwrap();
    let tree = vfs.freeze();
    assert!(hashed(&vfs, &tree) < 20, "{}", hashed(&vfs, &tree));
    assert_eq!(content_id(&tree), from_scratch(&tree));
    // A second name elsewhere makes one of the first: both directories change.
    vfs.link(files[7], NodeId::HOME, b"second", Hold::None).unwrap();
    let tree = vfs.freeze();
    assert_eq!(content_id(&tree), from_scratch(&tree));
}
