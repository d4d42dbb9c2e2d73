//! `.devdev`, its directories, and snapshots as read-only trees.

use std::sync::Arc;

use devdev_vfs::{
    Attachment, Errno, Hold, Ino, Need, NodeId, Outcome, SetXattr, SnapshotEntry, Timespec, Tree,
    WriteFlags,
};

use crate::setup::{EXCHANGE, Fs, NOREPLACE, PLAIN, ROOT, USER, done, fs};

fn entry(name: &str, secs: i64, tree: Option<Arc<Tree>>) -> SnapshotEntry {
    SnapshotEntry { name: name.as_bytes().into(), taken: Timespec { secs, nanos: 0 }, tree }
}

// Looks a listed snapshot up, bringing its tree if it is asked for.
fn open(fs: &Fs, name: &str, tree: &Arc<Tree>) -> NodeId {
    for _ in 0..2 {
        match fs.lookup(NodeId::SNAPSHOTS, name.as_bytes(), Hold::Take).unwrap() {
            Outcome::Done(entry) => return entry.attr.node,
            Outcome::Wait(needs) => {
                assert!(matches!(&needs[..], [Need::Snapshot(n)] if **n == *name.as_bytes()));
                fs.supply_snapshot(name.as_bytes(), tree.clone());
            }
        }
    }
    panic!("the snapshot was supplied")
}

#[test]
fn the_control_directory_is_found_but_not_listed() {
    let fs = fs();
    assert_eq!(fs.find(ROOT, ".devdev"), Ok(NodeId::CONTROL));
    assert!(fs.list(ROOT).is_empty());
    assert_eq!(fs.attr(ROOT).nlink, 2);
    assert_eq!(fs.list(NodeId::CONTROL), ["home", "snapshots", "tmp"]);
    for (name, node) in
        [("home", NodeId::HOME), ("tmp", NodeId::TMP), ("snapshots", NodeId::SNAPSHOTS)]
    {
        assert_eq!(fs.find(NodeId::CONTROL, name), Ok(node));
        assert_eq!(fs.find(node, ".."), Ok(NodeId::CONTROL));
        assert_eq!(fs.attr(node).mode & devdev_vfs::S_IFMT, devdev_vfs::S_IFDIR);
    }
    assert_eq!(fs.find(NodeId::CONTROL, ".."), Ok(ROOT));
    assert_eq!(fs.attr(NodeId::CONTROL).nlink, 5);
    // Elsewhere the name is nothing special.
    let dir = fs.dir(ROOT, "dir");
    assert_eq!(fs.find(dir, ".devdev"), Err(Errno::NoEnt));
    fs.file(dir, ".devdev");
}

#[test]
fn nothing_of_the_users_can_take_its_name() {
    let fs = fs();
    let (file, dir) = (fs.file(ROOT, "file"), fs.dir(ROOT, "dir"));
    let name = b".devdev";
    assert_eq!(fs.mkdir(ROOT, name, 0o755, USER, Hold::None).map(|_| ()), Err(Errno::Exist));
    assert_eq!(fs.link(file, ROOT, name, Hold::None).map(|_| ()), Err(Errno::Exist));
    assert_eq!(fs.rename(ROOT, b"dir", ROOT, name, PLAIN), Err(Errno::Perm));
    assert_eq!(fs.rename(ROOT, b"dir", ROOT, name, NOREPLACE), Err(Errno::Exist));
    assert_eq!(fs.rename(ROOT, name, dir, b"x", PLAIN), Err(Errno::Busy));
    assert_eq!(fs.rename(ROOT, name, ROOT, b"dir", EXCHANGE), Err(Errno::Busy));
    assert_eq!(fs.rmdir(ROOT, name), Err(Errno::Busy));
    assert_eq!(fs.unlink(ROOT, name), Err(Errno::Perm));
    let mkdir = |parent, name: &[u8]| fs.mkdir(parent, name, 0, USER, Hold::None).map(|_| ());
    assert_eq!(mkdir(NodeId::CONTROL, b"home"), Err(Errno::Exist));
    assert_eq!(mkdir(NodeId::CONTROL, b"mine"), Err(Errno::Perm));
    assert_eq!(mkdir(NodeId::SNAPSHOTS, b"mine"), Err(Errno::RoFs));
    assert_eq!(fs.rmdir(NodeId::CONTROL, b"home"), Err(Errno::Perm));
    assert_eq!(fs.resize(NodeId::CONTROL, 0).map(|_| ()), Err(Errno::Perm));
}

#[test]
fn tmp_is_a_tree_of_its_own() {
    let fs = fs();
    let file = fs.file(NodeId::TMP, "file");
    fs.put(file, 0, b"temporary").unwrap();
    assert_eq!(file.attachment(), Attachment::TMP);
    assert_eq!(fs.rename(NodeId::TMP, b"file", ROOT, b"file", PLAIN), Err(Errno::XDev));
    assert_eq!(fs.link(file, ROOT, b"file", Hold::None).map(|_| ()), Err(Errno::XDev));
    let changes = fs.change_count();
    let tree = fs.freeze();
    fs.put(file, 0, b"TEMPORARY").unwrap();
    assert_eq!((tree.bytes, tree.inodes), (0, 2));
    assert_eq!(fs.change_count(), changes);
    assert!(Arc::ptr_eq(&tree, &fs.freeze()));
    fs.restore(&tree);
    assert_eq!(fs.bytes(file), b"TEMPORARY");
    assert_eq!((fs.usage().bytes, fs.usage().inodes), (4096, 4));
    let copy = fs.file(ROOT, "copy");
    assert_eq!(done(fs.copy_file_range(file, 0, copy, 0, 100)), Ok(9));
    fs.check();
}

#[test]
fn snapshots_are_read_only_trees() {
    let fs = fs();
    let dir = fs.dir(ROOT, "dir");
    let file = fs.file(dir, "file");
    fs.put(file, 0, b"then").unwrap();
    fs.file(NodeId::HOME, ".profile");
    let tree = fs.freeze();
    fs.put(file, 0, b"now!").unwrap();
    fs.set_snapshots(vec![entry("first", 10, None)]);
    assert_eq!(fs.list(NodeId::SNAPSHOTS), ["first"]);
    assert_eq!(fs.find(NodeId::SNAPSHOTS, "second"), Err(Errno::NoEnt));
    let root = open(&fs, "first", &tree);
    assert!(root.attachment() >= Attachment::FIRST_SNAPSHOT && root.ino() == Ino::ROOT);
    let (then, old) = (fs.find(root, "dir").unwrap(), fs.find(root, "dir").unwrap());
    let old = fs.find(old, "file").unwrap();
    assert_eq!((fs.bytes(old), fs.bytes(file)), (b"then".to_vec(), b"now!".to_vec()));
    assert_eq!((fs.find(then, ".."), fs.find(root, "..")), (Ok(root), Ok(NodeId::SNAPSHOTS)));
    // Its own control directory holds only home.
    let control = fs.find(root, ".devdev").unwrap();
    assert_eq!((fs.list(root), fs.list(control)), (vec!["dir".into()], vec!["home".into()]));
    let home = fs.find(control, "home").unwrap();
    assert_eq!((fs.list(home), fs.find(home, "..")), (vec![".profile".into()], Ok(control)));
    assert_eq!(fs.find(control, ".."), Ok(root));
    for refused in [
        fs.put(old, 0, b"x").map(|_| ()),
        fs.resize(old, 0).map(|_| ()),
        fs.unlink(then, b"file"),
        fs.rmdir(root, b"dir"),
        fs.rename(root, b"dir", root, b"x", PLAIN),
        fs.mkdir(root, b"new", 0o755, USER, Hold::None).map(|_| ()),
        fs.tmpfile(root, 0o600, USER).map(|_| ()),
        fs.setxattr(old, b"user.x", b"", SetXattr::default(), USER),
        done(fs.write(old, 0, b"x", WriteFlags::default())).map(|_| ()),
    ] {
        assert_eq!(refused, Err(Errno::RoFs));
    }
    let exists = fs.mkdir(root, b"dir", 0o755, USER, Hold::None).map(|_| ());
    assert_eq!(exists, Err(Errno::Exist));
    // One file copied back.
    assert_eq!(done(fs.copy_file_range(old, 0, file, 0, 100)), Ok(4));
    assert_eq!(fs.bytes(file), b"then");
    fs.check();
}

#[test]
fn a_snapshots_tree_is_kept_as_long_as_it_is_held() {
    let fs = fs();
    let empty = fs.freeze();
    let listed: Vec<String> = (0..10).map(|n| format!("s{n}")).collect();
    let entries = || listed.iter().map(|name| entry(name, 1, None)).collect();
    fs.set_snapshots(entries());
    fs.file(ROOT, "file");
    let tree = fs.freeze();
    let root = open(&fs, "s0", &tree);
    drop(tree);
    // Others come and go without being held; the first stays, also when it is no longer listed.
    for name in &listed[1..] {
        let other = open(&fs, name, &empty);
        fs.forget(other, 1);
    }
    fs.set_snapshots(vec![entry("s1", 1, None)]);
    assert_eq!(fs.list(root), ["file"]);
    assert_eq!(fs.find(NodeId::SNAPSHOTS, "s0"), Err(Errno::NoEnt));
    fs.forget(root, 1);
    // A name that means another snapshot now has another attachment.
    fs.set_snapshots(entries());
    let again = open(&fs, "s0", &empty);
    assert_ne!(again.attachment(), root.attachment());
    assert!(fs.list(again).is_empty());
    assert_eq!(fs.list(NodeId::SNAPSHOTS).len(), 10);
}

#[test]
fn a_snapshot_can_bring_its_tree() {
    let fs = fs();
    fs.file(ROOT, "file");
    fs.set_snapshots(vec![entry("here", 1, Some(fs.freeze()))]);
    let root = fs.find(NodeId::SNAPSHOTS, "here").unwrap();
    assert_eq!(fs.list(root), ["file"]);
}
