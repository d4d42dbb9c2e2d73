//! The main operations, one after the other, through the public face of the crate.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use devdev_vfs::{
    Caller, Clock, Errno, Hold, Limits, NodeId, Outcome, ReadPiece, RenameFlags, SetAttr, Timespec,
    Vfs, VfsOptions, WriteFlags,
};

struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> Timespec {
        Timespec { secs: self.0.fetch_add(1, Ordering::Relaxed), nanos: 0 }
    }
}

fn vfs() -> Arc<Vfs> {
    Vfs::new(VfsOptions {
        clock: Arc::new(Ticks(AtomicI64::new(1))),
        limits: Limits { bytes: 1 << 30, inodes: 1 << 20 },
        xattrs: true,
        owner: Caller::default(),
    })
}

fn done<T>(outcome: Outcome<T>) -> T {
    match outcome {
        Outcome::Done(value) => value,
        Outcome::Wait(_) => panic!("waits for the store"),
    }
}

fn create(vfs: &Vfs, parent: NodeId, name: &str) -> NodeId {
    let caller = Caller::default();
    vfs.mknod(parent, name.as_bytes(), 0o644, 0, caller, Hold::None).unwrap().attr.node
}

fn mkdir(vfs: &Vfs, parent: NodeId, name: &str) -> NodeId {
    let caller = Caller::default();
    vfs.mkdir(parent, name.as_bytes(), 0o755, caller, Hold::None).unwrap().attr.node
}

fn write(vfs: &Vfs, node: NodeId, offset: u64, data: &[u8]) {
    done(vfs.write(node, offset, data, WriteFlags::default()).unwrap());
}

fn read(vfs: &Vfs, node: NodeId) -> Vec<u8> {
    let mut all = Vec::new();
    for piece in done(vfs.read(node, 0, 1 << 30).unwrap()) {
        match piece {
            ReadPiece::Data { bytes, start, len } => all.extend(&bytes[start..start + len]),
            ReadPiece::Zero(n) => all.resize(all.len() + n, 0),
        }
    }
    all
}

fn names(vfs: &Vfs, dir: NodeId) -> Vec<String> {
    let mut names = Vec::new();
    vfs.readdir(dir, 2, &mut |entry| {
        names.push(String::from_utf8(entry.name.to_vec()).unwrap());
        true
    })
    .unwrap();
    names.sort();
    names
}

fn lookup(vfs: &Vfs, parent: NodeId, name: &str) -> Result<NodeId, Errno> {
    vfs.lookup(parent, name.as_bytes(), Hold::None).map(|entry| done(entry).attr.node)
}

#[test]
fn empty_fs_root_is_dir() {
    let vfs = vfs();
    let root = vfs.getattr(NodeId::ROOT).unwrap();
    assert_eq!((root.mode, root.nlink, root.size), (0o040755, 2, 0));
    assert!(names(&vfs, NodeId::ROOT).is_empty());
    assert_eq!(names(&vfs, NodeId::CONTROL), ["home", "snapshots", "tmp"]);
    assert_eq!(lookup(&vfs, NodeId::ROOT, ".devdev"), Ok(NodeId::CONTROL));
    assert_eq!(lookup(&vfs, NodeId::CONTROL, "home"), Ok(NodeId::HOME));
}

#[test]
fn files_are_written_and_read_back() {
    let vfs = vfs();
    let file = create(&vfs, NodeId::ROOT, "file");
    write(&vfs, file, 0, b"hello");
    write(&vfs, file, 70_000, b"far");
    let bytes = read(&vfs, file);
    assert_eq!((bytes.len(), &bytes[..5], &bytes[70_000..]), (70_003, &b"hello"[..], &b"far"[..]));
    assert!(bytes[5..70_000].iter().all(|b| *b == 0));
    assert_eq!(vfs.getattr(file).unwrap().blocks, 16);
    let big: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
    write(&vfs, file, 1, &big);
    assert_eq!(read(&vfs, file)[1..], big);
    let shorter = SetAttr { size: Some(100_000), ..SetAttr::default() };
    assert_eq!(done(vfs.setattr(file, &shorter).unwrap()).size, 100_000);
    let longer = SetAttr { size: Some(200_000), ..SetAttr::default() };
    done(vfs.setattr(file, &longer).unwrap());
    let bytes = read(&vfs, file);
    assert_eq!(bytes[1..100_000], big[..99_999]);
    assert!(bytes[100_000..].iter().all(|b| *b == 0));
    assert_eq!(vfs.usage().bytes, 25 * 4096);
}

#[test]
fn names_come_and_go() {
    let vfs = vfs();
    let dir = mkdir(&vfs, NodeId::ROOT, "dir");
    let file = create(&vfs, dir, "a");
    vfs.link(file, dir, b"b", Hold::None).unwrap();
    assert_eq!(vfs.getattr(file).unwrap().nlink, 2);
    assert_eq!(vfs.rmdir(NodeId::ROOT, b"dir"), Err(Errno::NotEmpty));
    vfs.rename(dir, b"a", NodeId::ROOT, b"c", RenameFlags::default()).unwrap();
    assert_eq!(names(&vfs, dir), ["b"]);
    assert_eq!(names(&vfs, NodeId::ROOT), ["c", "dir"]);
    vfs.unlink(dir, b"b").unwrap();
    vfs.rmdir(NodeId::ROOT, b"dir").unwrap();
    vfs.unlink(NodeId::ROOT, b"c").unwrap();
    assert_eq!(vfs.getattr(file).map(|_| ()), Err(Errno::NoEnt));
    assert_eq!(vfs.usage().inodes, 3);
}

#[test]
fn unlinked_files_live_until_they_are_forgotten() {
    let vfs = vfs();
    let file = create(&vfs, NodeId::ROOT, "file");
    vfs.hold(file).unwrap();
    write(&vfs, file, 0, b"still here");
    vfs.unlink(NodeId::ROOT, b"file").unwrap();
    assert_eq!((read(&vfs, file), vfs.getattr(file).unwrap().nlink), (b"still here".to_vec(), 0));
    assert_eq!(vfs.usage().bytes, 4096);
    vfs.forget(file, 1);
    assert!(vfs.getattr(file).is_err());
    assert_eq!(vfs.usage().bytes, 0);
}

#[test]
fn a_restore_brings_the_frozen_state_back() {
    let vfs = vfs();
    let dir = mkdir(&vfs, NodeId::ROOT, "dir");
    let kept = create(&vfs, dir, "kept");
    write(&vfs, kept, 0, b"before");
    let frozen = vfs.freeze();
    assert!(Arc::ptr_eq(&frozen, &vfs.freeze()));
    write(&vfs, kept, 0, b"after!");
    vfs.hold(kept).unwrap();
    vfs.hold(dir).unwrap();
    let new = create(&vfs, dir, "new");
    write(&vfs, new, 0, b"new");
    vfs.hold(new).unwrap();
    let restored = vfs.restore(&frozen);
    assert_eq!(names(&vfs, dir), ["kept"]);
    assert_eq!(read(&vfs, kept), b"before");
    assert_eq!((read(&vfs, new), vfs.getattr(new).unwrap().nlink), (b"new".to_vec(), 0));
    let mut inodes = restored.inodes;
    inodes.sort();
    assert_eq!(inodes, [(dir, true), (kept, true), (new, false)]);
    assert_eq!(restored.names, [(dir, b"new"[..].into())]);
    assert!(create(&vfs, dir, "newer").ino() > new.ino());
}
