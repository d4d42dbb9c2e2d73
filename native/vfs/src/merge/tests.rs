//! Merges of hand-made trees, of random ones against what must hold of any merge.

use std::collections::BTreeMap;

use super::*;
use crate::attr::{S_IFDIR, S_IFLNK, S_IFMT, S_IFREG};
use crate::builder::TreeBuilder;
use crate::check::{Totals, check};
use crate::chunk::Chunk;
use crate::content::Content;
use crate::content_id::names;
use crate::inode::{Body, Inode};
use crate::sample::Random;

/// Merges line by line: files of equally many lines, where each line is one of ours or theirs.
struct Lines<'a>([&'a Tree; 3]);

fn bytes_of(tree: &Tree, ino: Ino) -> Vec<u8> {
    let content = tree.root.get(ino, |inode| match &inode.body {
        Body::File(content) => content.clone(),
        _ => unreachable!(),
    });
    let chunks = content.unwrap();
    chunks.chunks().flat_map(|(_, chunk)| chunk.bytes().unwrap().to_vec()).collect()
}

impl Texts for Lines<'_> {
    fn merge(&self, base: Option<Ino>, ours: Ino, theirs: Ino) -> Result<MergedText> {
        let base = base.map_or_else(Vec::new, |ino| bytes_of(self.0[0], ino));
        let (ours, theirs) = (bytes_of(self.0[1], ours), bytes_of(self.0[2], theirs));
        if [&base, &ours, &theirs].iter().any(|text| text.contains(&0)) {
            return Ok(MergedText::Binary);
        }
        if base.len() != ours.len() || base.len() != theirs.len() {
            return Ok(MergedText::Marked([b"<", &*ours, b"=", &*theirs, b">"].concat()));
        }
        let mut marked = false;
        let merged = base.iter().zip(ours.iter().zip(&theirs)).map(|(b, (o, t))| match (o, t) {
            _ if o == t || t == b => *o,
            _ if o == b => *t,
            _ => {
                marked = true;
                b'!'
            }
        });
        let merged: Vec<u8> = merged.collect();
        Ok(if marked { MergedText::Marked(merged) } else { MergedText::Clean(merged) })
    }
}

fn node(mode: u32, born: i64) -> Inode {
    Inode::new(Ino(0), mode, 0, 0, Ino(0), Timespec { secs: born, nanos: 0 })
}

/// A tree that is changed by paths.
struct Paths {
    builder: TreeBuilder,
    /// Trees that are made apart give their inodes other birth times.
    born: i64,
}

impl Paths {
    fn new() -> Paths {
        Paths { builder: TreeBuilder::new(), born: 0 }
    }

    fn over(tree: &Tree, born: i64) -> Paths {
        Paths { builder: TreeBuilder::over(tree), born }
    }

    fn walk(&self, path: &str) -> Option<Ino> {
        let mut names = path.split('/').filter(|name| !name.is_empty());
        names.try_fold(Ino::ROOT, |at, name| Some(self.builder.find(at, name.as_bytes())?.0))
    }

    fn place<'p>(&self, path: &'p str) -> (Ino, &'p [u8]) {
        let (dir, name) = path.rsplit_once('/').unwrap();
        (self.walk(dir).unwrap(), name.as_bytes())
    }

    fn add(&mut self, path: &str, mut inode: Inode) -> &mut Paths {
        let (dir, name) = self.place(path);
        self.born += 1;
        inode.btime.secs = self.born;
        self.builder.add(dir, name, inode).unwrap();
        self
    }

    fn dir(&mut self, path: &str) -> &mut Paths {
        self.add(path, node(S_IFDIR | 0o755, 0))
    }

    fn file(&mut self, path: &str, text: &str) -> &mut Paths {
        self.add(path, node(S_IFREG | 0o644, 0)).write(path, text)
    }

    fn symlink(&mut self, path: &str, target: &str) -> &mut Paths {
        let mut inode = node(S_IFLNK | 0o777, 0);
        inode.body = Body::Symlink(target.as_bytes().into());
        self.add(path, inode)
    }

    fn change(&mut self, path: &str, change: impl FnOnce(&mut Inode)) -> &mut Paths {
        let ino = self.walk(path).unwrap();
        self.builder.update(ino, change).unwrap();
        self
    }

    fn write(&mut self, path: &str, text: &str) -> &mut Paths {
        self.change(path, |inode| {
            inode.size = text.len() as u64;
            inode.body = Body::File(Content::One(Arc::new(Chunk::new(text.into(), 1))));
        })
    }

    fn remove(&mut self, path: &str) -> &mut Paths {
        let (dir, name) = self.place(path);
        self.builder.remove(dir, name).unwrap();
        self
    }

    fn rename(&mut self, from: &str, to: &str) -> &mut Paths {
        let (dir, name) = self.place(from);
        let ino = self.builder.detach(dir, name).unwrap();
        let (dir, name) = self.place(to);
        if self.builder.find(dir, name).is_some() {
            self.builder.remove(dir, name).unwrap();
        }
        self.builder.attach(dir, name, ino).unwrap();
        self
    }

    fn link(&mut self, from: &str, to: &str) -> &mut Paths {
        let ino = self.walk(from).unwrap();
        let (dir, name) = self.place(to);
        self.builder.link(dir, name, ino).unwrap();
        self
    }

    fn freeze(&mut self) -> Arc<Tree> {
        self.builder.freeze()
    }
}

/// What there is below the root: "dir", text, "-> target", each with the mode if that is unusual.
fn listed(tree: &Tree) -> BTreeMap<String, String> {
    let (mut all, mut todo) = (BTreeMap::new(), vec![(String::new(), Ino::ROOT)]);
    while let Some((path, dir)) = todo.pop() {
        for (name, ino) in names(&tree.root, dir) {
            let path = format!("{path}/{}", String::from_utf8_lossy(&name));
            let inode = tree.root.get(ino, Inode::clone).unwrap();
            let what = match &inode.body {
                Body::Dir(_) => {
                    todo.push((path.clone(), ino));
                    "dir".to_owned()
                }
                Body::Symlink(target) => format!("-> {}", String::from_utf8_lossy(target)),
                _ => String::from_utf8(bytes_of(tree, ino)).unwrap(),
            };
            let mode = inode.mode & 0o7777;
            let usual = [0o755, 0o644, 0o777].contains(&mode);
            let mode = if usual { String::new() } else { format!(" {mode:o}") };
            all.insert(path, what + &mode);
        }
    }
    all
}

fn merged(trees: [&Tree; 3], resolve: Option<Resolve>) -> Merged {
    merged_of(trees, resolve, Default::default())
}

fn merged_of(trees: [&Tree; 3], resolve: Option<Resolve>, kin: [Kinship; 2]) -> Merged {
    let now = Timespec { secs: 1_000, nanos: 0 };
    let texts = Lines(trees);
    let options = MergeOptions { resolve, label: b"fork", now, texts: &texts, kin };
    let merged = merge(trees[0], trees[1], trees[2], &options).unwrap();
    let tree = &merged.tree;
    let totals = check(&tree.root, tree.next_ino).unwrap();
    assert_eq!(totals, Totals { bytes: tree.bytes, inodes: tree.inodes });
    merged
}

/// A base, what is done to ours and to theirs, and what comes of it.
struct Case {
    base: Arc<Tree>,
    ours: Arc<Tree>,
    theirs: Arc<Tree>,
}

type Change = fn(&mut Paths);

fn case(base: Change, ours: Change, theirs: Change) -> Case {
    let mut first = Paths::new();
    base(&mut first);
    let base = first.freeze();
    let side = |born, change: Change| {
        let mut paths = Paths::over(&base, born);
        change(&mut paths);
        paths.freeze()
    };
    Case { ours: side(1000, ours), theirs: side(2000, theirs), base: base.clone() }
}

impl Case {
    fn trees(&self) -> [&Tree; 3] {
        [&self.base, &self.ours, &self.theirs]
    }

    fn clean(&self, expected: &[(&str, &str)]) {
        let result = merged(self.trees(), None);
        assert_eq!(result.conflicts, []);
        let expected = expected.iter().map(|(path, what)| ((*path).into(), (*what).into()));
        assert_eq!(listed(&result.tree), expected.collect());
    }

    /// Conflicts as "path kind", and what each way to resolve them gives.
    fn contested(&self, conflicts: &[(&str, ConflictKind)], outcomes: [&[(&str, &str)]; 3]) {
        for (way, expected) in
            [Resolve::Ours, Resolve::Theirs, Resolve::Markers].iter().zip(outcomes)
        {
            let result = merged(self.trees(), Some(*way));
            let found = result.conflicts.iter();
            let found: Vec<_> =
                found.map(|c| (std::str::from_utf8(&c.path).unwrap(), c.kind)).collect();
            assert_eq!(found, conflicts, "{way:?}");
            let expected = expected.iter().map(|(path, what)| ((*path).into(), (*what).into()));
            assert_eq!(listed(&result.tree), expected.collect(), "{way:?}");
        }
    }
}

#[test]
fn changes_in_different_places_come_together() {
    let base: Change = |t| {
        t.dir("/d").file("/d/a", "aaa").file("/d/b", "bbb").file("/gone", "g").file("/kept", "k");
        t.symlink("/l", "x");
    };
    case(
        base,
        |t| _ = t.write("/d/a", "Aaa").file("/mine", "m").change("/kept", |i| i.mode |= 0o100),
        |t| {
            t.write("/d/a", "aaA").write("/d/b", "BBB").remove("/gone").dir("/n").file("/n/f", "f");
            t.remove("/l").symlink("/l", "y").change("/d", |i| i.mode = S_IFDIR | 0o700);
        },
    )
    .clean(&[
        ("/d", "dir 700"),
        ("/d/a", "AaA"),
        ("/d/b", "BBB"),
        ("/kept", "k 744"),
        ("/l", "-> y"),
        ("/mine", "m"),
        ("/n", "dir"),
        ("/n/f", "f"),
    ]);
}

#[test]
fn things_are_followed_where_a_side_moved_them() {
    let base: Change = |t| {
        t.dir("/a").dir("/a/s").file("/a/f", "fff").file("/a/s/g", "ggg").file("/x", "xxx");
    };
    // Ours moves the directory; theirs writes, adds and moves in it.
    let case = case(
        base,
        |t| _ = t.rename("/a", "/b"),
        |t| {
            t.write("/a/f", "fFf").file("/a/new", "n").dir("/a/sub").file("/a/sub/h", "h");
            t.rename("/x", "/a/s/x").rename("/a/s/g", "/g");
        },
    );
    case.clean(&[
        ("/b", "dir"),
        ("/b/f", "fFf"),
        ("/b/new", "n"),
        ("/b/s", "dir"),
        ("/b/s/x", "xxx"),
        ("/b/sub", "dir"),
        ("/b/sub/h", "h"),
        ("/g", "ggg"),
    ]);
    // And the other way round, with what only ours has in it.
    let back = Case { base: case.base, ours: case.theirs, theirs: case.ours };
    let result = merged(back.trees(), None);
    assert_eq!(result.conflicts, []);
    let listed = listed(&result.tree);
    assert_eq!(listed.get("/b/sub/h").map(String::as_str), Some("h"), "{listed:?}");
    assert!(!listed.contains_key("/a"));
}

#[test]
fn swapped_and_chained_names_are_no_obstacle() {
    case(
        |t| _ = t.dir("/a").file("/a/f", "1").dir("/b").file("/b/g", "2").file("/c", "3"),
        |t| _ = t.write("/c", "C"),
        |t| _ = t.rename("/a", "/t").rename("/b", "/a").rename("/t", "/b").rename("/c", "/b/c"),
    )
    .clean(&[("/a", "dir"), ("/a/g", "2"), ("/b", "dir"), ("/b/c", "C"), ("/b/f", "1")]);
}

#[test]
fn names_of_one_file_stay_names_of_one_file() {
    let base: Change = |t| _ = t.file("/f", "fff").link("/f", "/g");
    let theirs: Change =
        |t| _ = t.write("/f", "FFF").link("/f", "/h").file("/n", "n").link("/n", "/m");
    let case = case(base, |t| _ = t.file("/own", "o"), theirs);
    let result = merged(case.trees(), None);
    let ino = |name: &[u8]| {
        let names = names(&result.tree.root, Ino::ROOT);
        names.iter().find(|(n, _)| **n == *name).unwrap().1
    };
    assert!(ino(b"f") == ino(b"g") && ino(b"g") == ino(b"h") && ino(b"n") == ino(b"m"));
    assert_eq!(bytes_of(&result.tree, ino(b"h")), b"FFF");
    assert!(ino(b"n") != ino(b"own") && result.conflicts.is_empty());
}

#[test]
fn a_link_that_theirs_broke_is_broken() {
    case(
        |t| _ = t.file("/f", "fff").link("/f", "/g"),
        |_| (),
        |t| _ = t.remove("/g").file("/g", "GGG"),
    )
    .clean(&[("/f", "fff"), ("/g", "GGG")]);
}

#[test]
fn lines_that_both_wrote_are_a_conflict() {
    case(|t| _ = t.file("/f", "abc"), |t| _ = t.write("/f", "Xbc"), |t| _ = t.write("/f", "Ybc"))
        .contested(
            &[("/f", ConflictKind::Content)],
            [&[("/f", "Xbc")], &[("/f", "Ybc")], &[("/f", "!bc")]],
        );
    case(|t| _ = t.file("/f", "abc"), |t| _ = t.write("/f", "same"), |t| _ = t.write("/f", "same"))
        .clean(&[("/f", "same")]);
    case(|t| _ = t.file("/f", "abc"), |t| _ = t.write("/f", "a\0"), |t| _ = t.write("/f", "b\0"))
        .contested(
            &[("/f", ConflictKind::Binary)],
            [&[("/f", "a\0")], &[("/f", "b\0")], &[("/f", "a\0"), ("/f~fork", "b\0")]],
        );
}

#[test]
fn removing_what_the_other_changed_is_a_conflict() {
    let base: Change = |t| _ = t.dir("/d").file("/d/f", "abc").file("/k", "k");
    let remove: Change = |t| _ = t.remove("/d/f").remove("/d");
    let write: Change = |t| _ = t.write("/d/f", "new");
    case(base, remove, write).contested(
        &[("/d/f", ConflictKind::Removed(true))],
        [
            &[("/k", "k")],
            &[("/d", "dir"), ("/d/f", "new"), ("/k", "k")],
            &[("/d", "dir"), ("/d/f~fork", "new"), ("/k", "k")],
        ],
    );
    case(base, write, remove).contested(
        &[("/d/f", ConflictKind::Removed(false))],
        [
            &[("/d", "dir"), ("/d/f", "new"), ("/k", "k")],
            &[("/k", "k")],
            &[("/d", "dir"), ("/d/f", "new"), ("/k", "k")],
        ],
    );
    // A directory that ours removed comes back for what theirs adds to it, and stays for ours.
    let add: Change = |t| _ = t.file("/d/n", "n");
    case(base, remove, add).clean(&[("/d", "dir"), ("/d/n", "n"), ("/k", "k")]);
    case(base, add, remove).clean(&[("/d", "dir"), ("/d/n", "n"), ("/k", "k")]);
}

#[test]
fn directories_and_files_of_one_name() {
    let base: Change = |t| _ = t.file("/p", "abc");
    let dir: Change = |t| _ = t.remove("/p").dir("/p").file("/p/x", "x");
    case(base, |_| (), dir).clean(&[("/p", "dir"), ("/p/x", "x")]);
    case(base, |t| _ = t.write("/p", "new"), dir).contested(
        &[("/p", ConflictKind::Type)],
        [
            &[("/p", "new")],
            &[("/p", "dir"), ("/p/x", "x")],
            &[("/p", "new"), ("/p~fork", "dir"), ("/p~fork/x", "x")],
        ],
    );
    // Added by both.
    let none: Change = |_| ();
    case(none, |t| _ = t.file("/n", "n"), |t| _ = t.dir("/n").file("/n/y", "y")).contested(
        &[("/n", ConflictKind::Type)],
        [
            &[("/n", "n")],
            &[("/n", "dir"), ("/n/y", "y")],
            &[("/n", "n"), ("/n~fork", "dir"), ("/n~fork/y", "y")],
        ],
    );
    case(none, |t| _ = t.dir("/n").file("/n/x", "x"), |t| _ = t.dir("/n").file("/n/y", "y"))
        .clean(&[("/n", "dir"), ("/n/x", "x"), ("/n/y", "y")]);
    // Ours has put something into the directory of which theirs made a file.
    let result = case(
        |t| _ = t.dir("/d"),
        |t| _ = t.file("/d/own", "o"),
        |t| _ = t.remove("/d").file("/d", "file"),
    );
    let left = &[("/d", "dir"), ("/d/own", "o"), ("/d~fork", "file")][..];
    result.contested(&[("/d", ConflictKind::Type)], [left, left, left]);
}

#[test]
fn attributes_are_merged_one_by_one() {
    let case = case(
        |t| _ = t.file("/f", "f"),
        |t| {
            t.change("/f", |i| i.mode = S_IFREG | 0o600);
            t.change("/f", |i| {
                i.xattrs = Some(Arc::new([(b"user.a"[..].into(), b"1"[..].into())].into()))
            });
        },
        |t| {
            t.change("/f", |i| (i.mode, i.uid) = (S_IFREG | 0o640, 7));
            t.change("/f", |i| {
                i.xattrs = Some(Arc::new([(b"user.b"[..].into(), b"2"[..].into())].into()))
            });
        },
    );
    for (way, mode) in [(Resolve::Ours, 0o600), (Resolve::Theirs, 0o640), (Resolve::Markers, 0o600)]
    {
        let result = merged(case.trees(), Some(way));
        assert_eq!(
            result.conflicts.iter().map(|c| c.kind).collect::<Vec<_>>(),
            [ConflictKind::Mode]
        );
        let ino = names(&result.tree.root, Ino::ROOT)[0].1;
        let (found, uid, xattrs) =
            result.tree.root.get(ino, |i| (i.mode & !S_IFMT, i.uid, i.xattrs.clone())).unwrap();
        assert_eq!((found, uid, xattrs.unwrap().len()), (mode, 7, 2));
    }
}

#[test]
fn renames_that_contradict_each_other_are_a_conflict() {
    let base: Change = |t| _ = t.file("/f", "f").dir("/a").dir("/b");
    case(base, |t| _ = t.rename("/f", "/a/f"), |t| _ = t.rename("/f", "/b/f")).contested(
        &[("/a/f", ConflictKind::Renamed)],
        [
            &[("/a", "dir"), ("/a/f", "f"), ("/b", "dir")],
            &[("/a", "dir"), ("/b", "dir"), ("/b/f", "f")],
            &[("/a", "dir"), ("/a/f", "f"), ("/b", "dir")],
        ],
    );
    // Each into the other: the second move would make a ring.
    let stays = &[("/b", "dir"), ("/b/a", "dir"), ("/f", "f")][..];
    case(base, |t| _ = t.rename("/a", "/b/a"), |t| _ = t.rename("/b", "/a/b"))
        .contested(&[("/b", ConflictKind::Renamed)], [stays, stays, stays]);
    // Two things, one name.
    case(base, |t| _ = t.file("/n", "mine"), |t| _ = t.rename("/f", "/n")).contested(
        &[("/f", ConflictKind::Name)],
        [
            &[("/a", "dir"), ("/b", "dir"), ("/f", "f"), ("/n", "mine")],
            &[("/a", "dir"), ("/b", "dir"), ("/n", "f")],
            &[("/a", "dir"), ("/b", "dir"), ("/n", "mine"), ("/n~fork", "f")],
        ],
    );
}

fn scramble(paths: &mut Paths, random: &mut Random, steps: u64) {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    for _ in 0..steps {
        let path = |random: &mut Random| {
            let depth = 1 + random.below(3);
            (0..depth).map(|_| format!("/{}", NAMES[random.below(4) as usize])).collect::<String>()
        };
        let (one, two) = (path(random), path(random));
        let dir = |p: &Paths, path: &str| {
            let (dir, _) = path.rsplit_once('/').unwrap();
            p.walk(dir).is_some_and(|ino| p.builder.get(ino, Inode::is_dir) == Some(true))
        };
        if !dir(paths, &one) || !dir(paths, &two) {
            continue;
        }
        let (here, there) = (paths.walk(&one), paths.walk(&two));
        let kind = here.and_then(|ino| paths.builder.get(ino, Inode::is_dir));
        let text = format!("{:03}", random.below(300));
        match (random.below(6), kind) {
            (0, None) => _ = paths.dir(&one),
            (1, None) => _ = paths.file(&one, &text),
            (2, Some(false)) => _ = paths.write(&one, &text),
            (3, Some(_))
                if here.is_some_and(|ino| kind == Some(false) || paths.builder.is_empty(ino)) =>
            {
                paths.remove(&one);
            }
            (4, Some(_)) if there.is_none() && !two.starts_with(&one) => {
                _ = paths.rename(&one, &two)
            }
            (5, Some(false)) if there.is_none() => _ = paths.link(&one, &two),
            _ => {}
        }
    }
}

/// What must hold of any merge of any trees: it is whole, of nothing it changes nothing, into
/// nothing it gives theirs, and merged again it has nothing to add.
#[test]
fn random_merges_hold_what_merges_promise() {
    for seed in 0..600 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut first = Paths::new();
        scramble(&mut first, &mut random, 25);
        let base = first.freeze();
        let mut side = |born| {
            let mut paths = Paths::over(&base, born);
            scramble(&mut paths, &mut random, 10);
            paths.freeze()
        };
        let (ours, theirs) = (side(1000), side(2000));
        let nothing = merged([&base, &ours, &base], None);
        assert_eq!((listed(&nothing.tree), nothing.conflicts), (listed(&ours), vec![]));
        let all = merged([&base, &base, &theirs], None);
        assert_eq!((listed(&all.tree), all.conflicts), (listed(&theirs), vec![]));
        for way in [None, Some(Resolve::Ours), Some(Resolve::Theirs), Some(Resolve::Markers)] {
            let once = merged([&base, &ours, &theirs], way);
            let again = merged([&theirs, &once.tree, &theirs], way);
            assert_eq!((listed(&again.tree), again.conflicts), (listed(&once.tree), vec![]));
        }
    }
}

// What a fork made has another number where it was merged, and is followed there all the same;
// numbers that both gave out to things of their own are nobody's.
#[test]
fn what_was_merged_is_followed_by_later_merges() {
    let mut first = Paths::new();
    first.dir("/d").file("/d/old", "old");
    let parting = first.freeze();
    let (mut main, mut fork) = (Paths::over(&parting, 100), Paths::over(&parting, 100));
    main.file("/own", "own").file("/own2", "own");
    fork.dir("/n").file("/n/a", "aaa").file("/n/b", "bbb").file("/x", "xxx").link("/x", "/y");
    let (ours, theirs) = (main.freeze(), fork.freeze());
    let kin = || Kinship::apart_from(parting.next_ino);
    let after = merged([&parting, &ours, &theirs], None).tree;
    // Both go on: one renames, the other one writes.
    let mut main = Paths::over(&after, 200);
    main.rename("/n", "/d/m").rename("/x", "/z").rename("/own", "/o");
    let mut fork = Paths::over(&theirs, 300);
    fork.write("/n/a", "aAa").rename("/n/b", "/b").write("/x", "xXx").file("/n/c", "c");
    let (now, then) = (main.freeze(), fork.freeze());
    let expected = [
        ("/b", "bbb"),
        ("/d", "dir"),
        ("/d/m", "dir"),
        ("/d/m/a", "aAa"),
        ("/d/m/c", "c"),
        ("/d/old", "old"),
        ("/o", "own"),
        ("/own2", "own"),
        ("/y", "xXx"),
        ("/z", "xXx"),
    ];
    let expected: BTreeMap<String, String> =
        expected.iter().map(|(path, what)| ((*path).into(), (*what).into())).collect();
    let ours = kinship_after_merge(&theirs, &after, &now, parting.next_ino);
    let result = merged_of([&theirs, &now, &then], None, [ours, Kinship::default()]);
    assert_eq!(result.conflicts, []);
    assert_eq!(listed(&result.tree), expected);
    // The other way round the base is still what main merged.
    let main_is_theirs = kinship_after_merge(&theirs, &after, &now, parting.next_ino);
    let back = merged_of([&theirs, &then, &now], None, [Kinship::default(), main_is_theirs]);
    assert_eq!(back.conflicts, []);
    assert_eq!(listed(&back.tree), expected);
    // Without that state what was renamed was removed, and what the fork did to it is a conflict.
    let unknown = merged_of([&theirs, &now, &then], None, [kin(), Kinship::default()]);
    assert!(unknown.conflicts.iter().any(|c| c.kind == ConflictKind::Removed(true)));
}
