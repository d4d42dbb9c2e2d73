//! path_diff against hand-made changes, and against a walk of everything.

use std::sync::Arc;

use super::*;
use crate::attr::{S_IFDIR, S_IFREG, Timespec};
use crate::builder::TreeBuilder;
use crate::sample::{self, Random};

const TIMES: DiffScope = DiffScope { times: true, within_renamed: false };

fn node(mode: u32, born: i64) -> Inode {
    Inode::new(Ino(0), mode, 0, 0, Ino(0), Timespec { secs: born, nanos: 0 })
}

fn file(builder: &mut TreeBuilder, parent: Ino, name: &str, text: &str) -> Ino {
    let mut inode = node(S_IFREG | 0o644, 1);
    inode.size = text.len() as u64;
    inode.body = Body::File(Content::One(Arc::new(Chunk::new(text.into(), 1))));
    builder.add(parent, name.as_bytes(), inode).unwrap()
}

fn dir(builder: &mut TreeBuilder, parent: Ino, name: &str) -> Ino {
    builder.add(parent, name.as_bytes(), node(S_IFDIR | 0o755, 1)).unwrap()
}

fn edit(builder: &mut TreeBuilder, parent: Ino, change: impl FnOnce(&mut Inode)) {
    builder.update(parent, |inode| {
        change(inode);
        inode.mtime.secs += 1;
    });
}

/// Takes a name away, and the inode's link count with it.
fn unlink(builder: &mut TreeBuilder, parent: Ino, name: &[u8]) -> Option<(Ino, u32)> {
    let mut gone = None;
    edit(builder, parent, |inode| {
        let Body::Dir(dir) = &mut inode.body else { unreachable!() };
        gone = dir.remove(name);
        inode.nlink -= u32::from(gone.is_some_and(|g| g.1 == S_IFDIR));
    });
    let (ino, kind) = gone?;
    if kind != S_IFDIR {
        builder.update(ino, |inode| inode.nlink -= 1);
    }
    gone
}

fn rename(builder: &mut TreeBuilder, from: Ino, name: &[u8], to: Ino, new_name: &[u8]) {
    let (ino, kind) = unlink(builder, from, name).unwrap();
    edit(builder, to, |inode| {
        let Body::Dir(dir) = &mut inode.body else { unreachable!() };
        dir.insert(new_name, ino, kind).unwrap();
        inode.nlink += u32::from(kind == S_IFDIR);
    });
    builder.update(ino, |inode| {
        inode.parent = to;
        inode.nlink += u32::from(kind != S_IFDIR);
    });
}

fn write(builder: &mut TreeBuilder, ino: Ino, text: &str) {
    edit(builder, ino, |inode| {
        inode.size = text.len() as u64;
        inode.body = Body::File(Content::One(Arc::new(Chunk::new(text.into(), 1))));
    });
}

fn told(old: &Tree, new: &Tree) -> Vec<String> {
    let told = told_of(old, new, &Kinship::default());
    assert_eq!(count_changes(old, new), told.len());
    told
}

fn told_of(old: &Tree, new: &Tree, kin: &Kinship) -> Vec<String> {
    let text = |path: &[u8]| String::from_utf8(path.to_vec()).unwrap();
    let line = |c: Change| {
        let old = c.old_path.as_deref().map(|p| format!(" < {}", text(p))).unwrap_or_default();
        format!("{} {}{old}", &format!("{:?}", c.kind)[..1], text(&c.path))
    };
    path_diff_of(old, new, DiffScope::default(), kin).into_iter().map(line).collect()
}

#[test]
fn changes_are_told_by_path() {
    let mut b = TreeBuilder::new();
    let src = dir(&mut b, Ino::ROOT, "src");
    let keep = dir(&mut b, Ino::ROOT, "keep");
    file(&mut b, keep, "same", "same");
    let main = file(&mut b, src, "main", "one");
    file(&mut b, src, "gone", "x");
    file(&mut b, Ino::HOME, "rc", "a");
    let old = b.freeze();
    assert_eq!(told(&old, &old), [""; 0]);
    write(&mut b, main, "two");
    unlink(&mut b, src, b"gone");
    rename(&mut b, Ino::HOME, b"rc", keep, b"rc2");
    let lib = dir(&mut b, src, "lib");
    file(&mut b, lib, "new", "n");
    b.update(Ino::ROOT, |i| i.mode = S_IFDIR | 0o700);
    let new = b.freeze();
    let expected = [
        "M /",
        "R /keep/rc2 < /.devdev/home/rc",
        "R /src/gone",
        "A /src/lib",
        "A /src/lib/new",
        "M /src/main",
    ];
    assert_eq!(told(&old, &new), expected);
    let changes = path_diff(&old, &new, DiffScope::default());
    let main = changes.iter().find(|c| c.path == b"/src/main").unwrap();
    let differs = Differences { content: true, mtime: true, ..Differences::default() };
    assert_eq!(main.differs, differs);
    assert_eq!(changes[0].differs, Differences { mode: true, ..Differences::default() });
    // With times the directories whose names changed show as well.
    let with_times: Vec<_> = path_diff(&old, &new, TIMES).into_iter().map(|c| c.path).collect();
    assert!(with_times.iter().any(|p| p == b"/src") && with_times.iter().any(|p| p == b"/keep"));
}

#[test]
fn a_renamed_directory_is_one_change() {
    let mut b = TreeBuilder::new();
    let a = dir(&mut b, Ino::ROOT, "a");
    let deep = dir(&mut b, a, "deep");
    let one = file(&mut b, deep, "1", "1");
    (2..50).for_each(|n| _ = file(&mut b, deep, &n.to_string(), "x"));
    let old = b.freeze();
    let into = dir(&mut b, Ino::ROOT, "into");
    rename(&mut b, Ino::ROOT, b"a", into, b"b");
    let moved = b.freeze();
    assert_eq!(told(&old, &moved), ["A /into", "R /into/b < /a"]);
    assert_eq!(told(&moved, &old), ["R /a < /into/b", "R /into"]);
    write(&mut b, one, "changed");
    rename(&mut b, deep, b"2", Ino::ROOT, b"two");
    unlink(&mut b, deep, b"3");
    let expected =
        ["A /into", "R /into/b < /a", "M /into/b/deep/1 < /a/deep/1", "R /two < /a/deep/2"];
    let mut all: Vec<_> = expected.iter().map(|s| s.to_string()).collect();
    all.insert(0, "R /a/deep/3".to_string());
    assert_eq!(told(&old, &b.freeze()), all);
}

#[test]
fn what_replaces_a_path_is_a_change_of_that_path() {
    let mut b = TreeBuilder::new();
    let d = dir(&mut b, Ino::ROOT, "d");
    file(&mut b, d, "f", "in d");
    file(&mut b, Ino::ROOT, "file", "old");
    let other = file(&mut b, Ino::ROOT, "other", "other");
    let old = b.freeze();
    // An editor's way to save: a new inode under the old name.
    unlink(&mut b, Ino::ROOT, b"file");
    file(&mut b, Ino::ROOT, "file", "new");
    // A directory makes way for a file that had another name; its file goes elsewhere.
    rename(&mut b, d, b"f", Ino::ROOT, b"f");
    unlink(&mut b, Ino::ROOT, b"d");
    rename(&mut b, Ino::ROOT, b"other", Ino::ROOT, b"d");
    b.link(Ino::ROOT, b"link", other).unwrap();
    let new = b.freeze();
    let expected = ["M /d", "R /f < /d/f", "M /file", "R /link < /other"];
    assert_eq!(told(&old, &new), expected);
    let changes = path_diff(&old, &new, DiffScope::default());
    assert!(changes[0].differs.kind && !changes[2].differs.kind);
}

#[test]
fn every_name_of_a_changed_file_is_told() {
    let mut b = TreeBuilder::new();
    let d = dir(&mut b, Ino::ROOT, "d");
    let e = dir(&mut b, Ino::ROOT, "e");
    let f = file(&mut b, d, "f", "1");
    b.link(e, b"g", f).unwrap();
    b.link(Ino::HOME, b"h", f).unwrap();
    let old = b.freeze();
    write(&mut b, f, "2");
    let new = b.freeze();
    assert_eq!(told(&old, &new), ["M /.devdev/home/h", "M /d/f", "M /e/g"]);
    // The name that the file's parent was a hint of goes.
    unlink(&mut b, Ino::HOME, b"h");
    unlink(&mut b, e, b"g");
    write(&mut b, f, "3");
    assert_eq!(told(&new, &b.freeze()), ["R /.devdev/home/h", "M /d/f", "R /e/g"]);
}

type Paths = BTreeMap<Vec<u8>, Inode>;

fn all_paths(tree: &Tree) -> Paths {
    let mut todo = vec![(Vec::new(), Ino::ROOT), (HOME.to_vec(), Ino::HOME)];
    let mut paths = Paths::new();
    while let Some((path, ino)) = todo.pop() {
        todo.extend(names(&tree.root, ino).into_iter().map(|(n, ino)| (join(&path, &n), ino)));
        paths.insert(path, tree.root.get(ino, Inode::clone).unwrap());
    }
    paths
}

fn starts(path: &[u8], dir: &[u8]) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

fn mutate(b: &mut TreeBuilder, random: &mut Random) {
    let tree = b.freeze();
    let paths: Vec<(Vec<u8>, Inode)> = all_paths(&tree).into_iter().collect();
    let pick = |random: &mut Random| &paths[random.below(paths.len() as u64) as usize];
    let name_of = |path: &[u8]| path.rsplit(|b| *b == b'/').next().unwrap().to_vec();
    let parent_of = |path: &[u8]| {
        let up = &path[..path.len() - name_of(path).len() - 1];
        paths.iter().find(|p| p.0 == up).unwrap().1.ino
    };
    let (path, inode) = pick(random);
    let (to_path, to) = loop {
        let at = pick(random);
        if at.1.is_dir() {
            break at;
        }
    };
    let name = format!("n{}", random.below(40)).into_bytes();
    let free = !names(&tree.root, to.ino).iter().any(|(n, _)| **n == name);
    let is_root = path.is_empty() || path == HOME;
    match random.below(6) {
        0 => b.update(inode.ino, |i| i.uid += 1).unwrap(),
        1 if inode.kind() == S_IFREG => write(b, inode.ino, &random.below(3).to_string()),
        2 if free => _ = b.add(to.ino, &name, sample::inode(random)).unwrap(),
        3 if !inode.is_dir() => _ = unlink(b, parent_of(path), &name_of(path)),
        4 if free && !is_root && !starts(to_path, path) => {
            rename(b, parent_of(path), &name_of(path), to.ino, &name)
        }
        5 if free && !inode.is_dir() => b.link(to.ino, &name, inode.ino).unwrap(),
        _ => {}
    }
}

#[test]
fn random_changes_are_all_told() {
    for seed in 0..150 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut b = sample::tree(&mut random, 1 + seed % 40);
        let old = b.freeze();
        (0..1 + random.below(12)).for_each(|_| mutate(&mut b, &mut random));
        let new = b.freeze();
        check(&old, &new);
        check(&new, &old);
    }
}

#[test]
fn trees_of_different_workspaces_compare() {
    for seed in 0..30 {
        let tree = |seed| sample::tree(&mut Random(seed), 30).freeze();
        check(&tree(seed), &tree(seed + 1000));
        assert_eq!(path_diff(&tree(seed), &tree(seed), TIMES), []);
    }
}

/// Whether the changes say of every path what a walk of both trees says.
fn check(old_tree: &Tree, new_tree: &Tree) {
    let count = path_diff(old_tree, new_tree, DiffScope::default()).len();
    assert_eq!(count_changes(old_tree, new_tree), count);
    let (old, new) = (all_paths(old_tree), all_paths(new_tree));
    let changes = path_diff(old_tree, new_tree, DiffScope::default());
    let path_of = |c: &Change| if c.path == b"/" { Vec::new() } else { c.path.clone() };
    let renames: Vec<_> = changes.iter().filter(|c| c.kind == ChangeKind::Renamed).collect();
    let of = |kind| changes.iter().filter(move |c| c.kind == kind).map(path_of);
    let removed: HashSet<_> = of(ChangeKind::Removed).collect();
    let added: HashSet<_> = of(ChangeKind::Added).collect();
    let told: HashSet<_> = of(ChangeKind::Modified).chain(of(ChangeKind::Renamed)).collect();
    let left = |path: &[u8]| renames.iter().any(|c| starts(path, c.old_path.as_ref().unwrap()));
    let came = |path: &[u8]| renames.iter().any(|c| starts(path, &c.path));
    for path in old.keys().filter(|path| !new.contains_key(*path)) {
        assert!(removed.contains(path) || left(path), "removed {}", path.escape_ascii());
    }
    for (path, inode) in &new {
        // What lies in a renamed directory is compared with its old path.
        let rename = renames.iter().filter(|c| starts(path, &c.path)).max_by_key(|c| c.path.len());
        let before = match rename {
            Some(c) => [c.old_path.as_ref().unwrap(), &path[c.path.len()..]].concat(),
            None => path.clone(),
        };
        match old.get(&before) {
            None => assert!(added.contains(path) || came(path), "added {}", path.escape_ascii()),
            Some(before) => {
                let key = |i: &Inode| {
                    let bytes: Vec<_> = match &i.body {
                        Body::File(c) => c.chunks().map(|c| (c.0, c.1.hash())).collect(),
                        _ => Vec::new(),
                    };
                    (i.mode, i.uid, i.gid, i.xattrs.clone(), i.rdev, i.size, bytes)
                };
                let differs = key(before) != key(inode);
                let is_told = told.contains(path) || added.contains(path);
                assert!(!differs || is_told, "modified {}", path.escape_ascii());
            }
        }
    }
    for change in &changes {
        let path = path_of(change);
        assert_eq!(change.new.is_some(), change.kind != ChangeKind::Removed);
        assert_eq!(change.old.is_some(), change.kind != ChangeKind::Added);
        assert!(change.new.is_none() || new.contains_key(&path));
        assert!(change.kind != ChangeKind::Removed || old.contains_key(&path));
        assert!(change.kind != ChangeKind::Added || !old.contains_key(&path) || came(&path));
        assert!(change.old_path.as_ref().is_none_or(|p| old.contains_key(p)));
        if change.kind == ChangeKind::Modified {
            assert_ne!(change.differs, Differences::default());
        }
    }
}

// Forks go on with the same numbers, and a clock may say the same to both.
#[test]
fn numbers_that_forks_gave_out_on_their_own_are_no_renames() {
    let mut base = TreeBuilder::new();
    let d = dir(&mut base, Ino::ROOT, "d");
    file(&mut base, d, "kept", "k");
    let first = base.freeze();
    let (mut a, mut b) = (TreeBuilder::over(&first), TreeBuilder::over(&first));
    let (x, y) = (file(&mut a, Ino::ROOT, "x", "1"), file(&mut b, d, "y", "2"));
    assert_eq!(x, y);
    rename(&mut b, Ino::ROOT, b"d", Ino::ROOT, b"e");
    let (old, new) = (a.freeze(), b.freeze());
    assert_eq!(told(&old, &new), ["R /e < /d", "R /e/y < /x"]);
    let kin = Kinship::apart_from(first.next_ino);
    assert_eq!(told_of(&old, &new, &kin), ["R /e < /d", "A /e/y", "R /x"]);
    assert_eq!(told_of(&new, &old, &kin), ["R /d < /e", "R /e/y", "A /x"]);
    // Of strangers not even the first ones are the same.
    let strangers = Kinship::apart_from(Ino(0));
    let all = ["R /d", "R /d/kept", "A /e", "A /e/kept", "A /e/y", "R /x"];
    assert_eq!(told_of(&old, &new, &strangers), all);
    // What was named has another number, and may have been born at another time.
    let other = file(&mut b, Ino::ROOT, "other", "1");
    b.update(other, |inode| inode.btime.secs = 7).unwrap();
    let kin = kin.with_twins([(x, other)]);
    assert_eq!(told_of(&old, &b.freeze(), &kin), ["R /e < /d", "A /e/y", "R /other < /x"],);
}
