//! Freezing and restoring, with files open and directories held.

use std::sync::Arc;

use devdev_vfs::{
    Errno, Hold, Ino, Inode, Invalidator, NodeId, S_IFREG, SetAttr, Timespec, Tree, TreeBuilder,
    Vfs,
};

use crate::setup::{Fs, PLAIN, ROOT, USER, done, fs, options};

struct Caches;

impl Invalidator for Caches {
    fn inode(&self, _: NodeId, _: bool, _: u64, _: u64) {}
    fn entry(&self, _: NodeId, _: &[u8]) {}
}

#[test]
fn snapshot_round_trip() {
    let fs = fs();
    let dir = fs.dir(ROOT, "dir");
    let kept = fs.file(dir, "kept");
    fs.put(kept, 0, b"before").unwrap();
    let frozen = fs.freeze();
    assert!(Arc::ptr_eq(&frozen, &fs.freeze()));
    fs.put(kept, 0, b"after!").unwrap();
    [kept, dir].into_iter().for_each(|node| fs.hold(node).unwrap());
    let new = fs.file(dir, "new");
    fs.put(new, 0, b"new").unwrap();
    fs.hold(new).unwrap();
    let restored = fs.restore(&frozen);
    assert_eq!((fs.list(dir), fs.bytes(kept)), (vec!["kept".into()], b"before".to_vec()));
    // What the restored state lacks lives on as after unlink.
    assert_eq!((fs.bytes(new), fs.attr(new).nlink), (b"new".to_vec(), 0));
    let mut inodes = restored.inodes;
    inodes.sort();
    assert_eq!(inodes, [(dir, true), (kept, true), (new, false)]);
    assert_eq!(restored.names, [(dir, b"new"[..].into())]);
    // Numbers are not used again.
    assert!(fs.file(dir, "newer").ino() > new.ino());
    fs.check();
    fs.forget(new, 1);
    fs.check();
    let fork = Fs(Vfs::from_tree(options(), &frozen));
    assert_eq!(fork.bytes(kept), b"before");
    assert_eq!((fork.usage().bytes, fork.usage().inodes), (4096, 5));
    fork.check();
}

#[test]
fn orphans_come_back_with_their_name() {
    let fs = fs();
    let file = fs.file(ROOT, "file");
    fs.put(file, 0, b"old").unwrap();
    let frozen = fs.freeze();
    fs.hold(file).unwrap();
    fs.unlink(ROOT, b"file").unwrap();
    fs.put(file, 0, b"newer").unwrap();
    fs.restore(&frozen);
    assert_eq!((fs.bytes(file), fs.attr(file).nlink), (b"old".to_vec(), 1));
    fs.check();
    // And go again.
    fs.unlink(ROOT, b"file").unwrap();
    assert_eq!(fs.bytes(file), b"old");
    fs.check();
}

#[test]
fn removed_directories_come_back_with_a_new_generation() {
    let fs = fs();
    fs.dir(ROOT, "dir");
    fs.dir(ROOT, "target");
    let frozen = fs.freeze();
    let generation = |name: &[u8]| done(fs.lookup(ROOT, name, Hold::Take)).unwrap().generation;
    assert_eq!((generation(b"dir"), generation(b"target")), (0, 0));
    fs.rename(ROOT, b"dir", ROOT, b"target", PLAIN).unwrap();
    fs.restore(&frozen);
    assert_eq!((generation(b"dir"), generation(b"target")), (0, 1));
    fs.rmdir(ROOT, b"target").unwrap();
    fs.restore(&frozen);
    assert_eq!(generation(b"target"), 2);
    // By a restore, too.
    let without = fs.freeze();
    let new = fs.dir(ROOT, "new");
    assert_eq!(generation(b"new"), 0);
    let with = fs.freeze();
    fs.restore(&without);
    assert!(!fs.is_reborn(new) && fs.attr(new).nlink == 0);
    fs.restore(&with);
    assert!(fs.is_reborn(new) && !fs.is_reborn(ROOT));
    assert_eq!(generation(b"new"), 1);
    assert!(!fs.is_reborn(new));
    fs.restore(&without);
    fs.restore(&with);
    assert!(fs.is_reborn(new));
    fs.forget(new, 2);
    assert!(!fs.is_reborn(new));
    // Nobody knows it any more: nothing to tell apart.
    let target = fs.find(ROOT, "target").unwrap();
    fs.forget(target, 3);
    assert_eq!(generation(b"target"), 0);
}

#[test]
fn names_that_a_restore_changes_are_told_where_somebody_may_know_them() {
    let fs = fs();
    let (known, unknown) = (fs.dir(ROOT, "known"), fs.dir(ROOT, "unknown"));
    fs.files(known, "file", 300);
    fs.file(unknown, "file");
    let frozen = fs.freeze();
    fs.hold(known).unwrap();
    fs.unlink(known, b"file7").unwrap();
    fs.rename(known, b"file8", unknown, b"moved", PLAIN).unwrap();
    fs.file(ROOT, "at the root");
    let restored = fs.restore(&frozen);
    let mut names: Vec<_> = restored.names;
    names.sort();
    let name = |dir, name: &[u8]| (dir, name.into());
    assert_eq!(names, [name(ROOT, b"at the root"), name(known, b"file7"), name(known, b"file8")]);
    let mut inodes = restored.inodes;
    inodes.sort();
    assert_eq!(inodes, [(ROOT, true), (known, true)]);
    fs.check();
}

#[test]
fn cached_writes_of_old_pages_are_told_apart_until_caches_know() {
    let fs = fs();
    fs.set_invalidator(Some(Arc::new(Caches)));
    let (changed, same, new) = (fs.file(ROOT, "a"), fs.file(ROOT, "b"), ROOT);
    fs.put(same, 0, b"same").unwrap();
    let frozen = fs.freeze();
    fs.put(changed, 0, b"changed").unwrap();
    fs.set(same, SetAttr { mode: Some(0o600), ..SetAttr::default() }).unwrap();
    assert!(!fs.restoring(changed));
    fs.restore(&frozen);
    assert_eq!([changed, same, new].map(|node| fs.restoring(node)), [true, false, false]);
    fs.restore_done();
    assert!(!fs.restoring(changed));
}

#[test]
fn usage_follows_restores() {
    let fs = fs();
    let file = fs.file(ROOT, "file");
    fs.put(file, 0, &[1; 40_960]).unwrap();
    let frozen = fs.freeze();
    fs.hold(file).unwrap();
    fs.unlink(ROOT, b"file").unwrap();
    let other = fs.file(ROOT, "other");
    fs.put(other, 0, &[1; 4096]).unwrap();
    fs.hold(other).unwrap();
    fs.restore(&frozen);
    assert_eq!((fs.usage().bytes, fs.usage().inodes), (11 * 4096, 5));
    fs.forget(other, 1);
    assert_eq!((fs.usage().bytes, fs.usage().inodes), (10 * 4096, 4));
    fs.check();
}

#[test]
fn dirty_bytes_are_those_since_what_the_store_has() {
    let fs = fs();
    let file = fs.file(ROOT, "file");
    fs.put(file, 0, &[1; 1000]).unwrap();
    assert_eq!(fs.usage().dirty_bytes, 1000);
    let (first, count) = (fs.freeze(), fs.change_count());
    fs.put(file, 0, &[2; 300]).unwrap();
    assert!(fs.change_count() > count);
    fs.mark_clean(&first);
    assert_eq!(fs.usage().dirty_bytes, 300);
    let second = fs.freeze();
    fs.mark_clean(&second);
    assert_eq!(fs.usage().dirty_bytes, 0);
    // What came late says nothing new.
    fs.mark_clean(&first);
    assert_eq!(fs.usage().dirty_bytes, 0);
    fs.put(file, 0, &[3; 50]).unwrap();
    fs.restore(&first);
    assert_eq!(fs.usage().dirty_bytes, 0);
    assert!(!Arc::ptr_eq(&second, &fs.freeze()));
}

#[test]
fn a_tree_that_lacks_the_base_directories_gets_them() {
    let fs = fs();
    fs.file(ROOT, "file");
    fs.restore(&devdev_vfs::Tree::empty());
    assert!(fs.list(ROOT).is_empty() && fs.list(NodeId::HOME).is_empty());
    let made = fs.mkdir(ROOT, b"dir", 0o755, USER, Hold::None).map(|_| ());
    assert_eq!(made, Ok::<(), Errno>(()));
    fs.check();
}

// A tree made over a frozen one, as a merge makes it: its new files have the numbers that follow.
fn with_files(tree: &Tree, count: u64) -> Arc<Tree> {
    let mut builder = TreeBuilder::over(tree);
    for n in 0..count {
        let inode = Inode::new(Ino(0), S_IFREG | 0o644, 0, 0, Ino(0), Timespec::default());
        builder.add(Ino::ROOT, format!("made {n}").as_bytes(), inode).unwrap();
    }
    builder.freeze()
}

#[test]
fn what_was_made_beside_the_live_tree_shares_no_number_with_what_comes_later() {
    let fs = fs();
    fs.file(ROOT, "kept");
    let (frozen, count) = (fs.freeze(), fs.change_count());
    let made = with_files(&frozen, 40);
    // It fails, so it is no change; but it may begin a block of numbers.
    for _ in 0..40 {
        let again = fs.mknod(ROOT, b"kept", S_IFREG | 0o644, 0, USER, Hold::None);
        assert_eq!(again.map(|_| ()), Err(Errno::Exist));
    }
    fs.restore_after(&made, Some(count)).expect("nothing was changed");
    fs.files(ROOT, "later ", 100);
    assert_eq!(fs.list(ROOT).len(), 141);
    fs.check();
}

#[test]
fn a_file_without_a_name_keeps_its_number() {
    let fs = fs();
    let (frozen, count) = (fs.freeze(), fs.change_count());
    let made = with_files(&frozen, 40);
    let unnamed = |_| fs.tmpfile(ROOT, 0o600, USER).unwrap().attr.node;
    let unnamed = (0..20).map(unnamed).collect::<Vec<_>>()[19];
    fs.put(unnamed, 0, b"of nobody else").unwrap();
    assert!(made.next_ino > unnamed.ino());
    assert!(fs.restore_after(&made, Some(count)).is_none(), "the number is used in the tree");
    // It is not in what is made from now on.
    let made = with_files(&fs.freeze(), 40);
    fs.restore_after(&made, Some(fs.change_count())).expect("nothing was changed");
    assert_eq!(fs.bytes(unnamed), b"of nobody else");
    fs.link(unnamed, ROOT, b"named", Hold::None).unwrap();
    assert_eq!(fs.list(ROOT).len(), 41);
    fs.check();
}
