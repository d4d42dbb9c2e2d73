//! Tests of the path-level API: what the comparison with node:fs (packages/vfs) cannot see.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::sample::{CREATE, READ};
use super::{Api, CopyTree, FrozenTree, OpenFlags};
use crate::sample::Still;
use crate::{
    BlockHash, Caller, Errno, Hold, Invalidator, Limits, Loader, NeedKey, NodeId, Outcome,
    Timespec, Vfs, VfsOptions, WriteFlags,
};

fn options(uid: u32) -> VfsOptions {
    VfsOptions {
        clock: Arc::new(Still),
        limits: Limits { bytes: 1 << 30, inodes: 1 << 20 },
        xattrs: true,
        owner: Caller { uid, gid: uid, pid: 0 },
    }
}

fn api() -> Api {
    let options = options(0);
    let owner = options.owner;
    Api::new(Vfs::new(options), owner)
}

fn put(api: &Api, path: &str, content: &str) {
    api.write_file(path.as_bytes(), content.as_bytes(), CREATE, 0o666).unwrap();
}

fn get(api: &Api, path: &str) -> Result<String, Errno> {
    let bytes = api.read_file(path.as_bytes(), READ).map_err(|failure| failure.errno)?;
    Ok(String::from_utf8(bytes).unwrap())
}

#[test]
fn forty_symlinks_are_followed_and_no_more() {
    let api = api();
    put(&api, "/l0", "end");
    for n in 1..=41 {
        api.symlink(format!("l{}", n - 1).as_bytes(), format!("/l{n}").as_bytes()).unwrap();
    }
    assert_eq!(get(&api, "/l40").as_deref(), Ok("end"));
    assert_eq!(get(&api, "/l41"), Err(Errno::Loop));
    assert_eq!(api.stat(b"/l41", true).err(), Some(Errno::Loop));
    assert!(api.stat(b"/l41", false).is_ok());
}

// S39.
#[test]
fn absolute_targets_start_at_the_root_of_the_workspace() {
    let api = api();
    api.mkdir_all(b"/a/b/c", 0o777).unwrap();
    put(&api, "/a/file", "found");
    api.symlink(b"/a", b"/a/b/c/up").unwrap();
    assert_eq!(get(&api, "/a/b/c/up/file").as_deref(), Ok("found"));
    assert_eq!(api.realpath(b"/a/b/c/up/b/./../b").unwrap(), b"/a/b");
    assert_eq!(api.realpath(b"/../../a//b/").unwrap(), b"/a/b");
    assert_eq!(api.realpath(b"/a/..").unwrap(), b"/");
}

// S39.
#[test]
fn what_is_no_absolute_path_is_refused() {
    let api = api();
    for (path, errno) in [
        (&b""[..], Errno::NoEnt),
        (b"a", Errno::Inval),
        (b"./a", Errno::Inval),
        (b"/a\0b", Errno::Inval),
        (&[b'/'; 5000], Errno::NameTooLong),
    ] {
        assert_eq!(api.stat(path, true).err(), Some(errno));
        assert_eq!(api.mkdir(path, 0o777).err(), Some(errno));
    }
}

#[test]
fn creation_goes_through_a_dangling_symlink_unless_exclusive() {
    let api = api();
    api.symlink(b"target", b"/link").unwrap();
    let exclusive = OpenFlags { exclusive: true, ..CREATE };
    assert_eq!(api.open(b"/link", exclusive, 0o600).err(), Some(Errno::Exist));
    assert_eq!(
        api.open(b"/link", OpenFlags { nofollow: true, ..READ }, 0).err(),
        Some(Errno::Loop)
    );
    put(&api, "/link", "through");
    assert_eq!(get(&api, "/target").as_deref(), Ok("through"));
    assert_eq!(
        api.open(b"/target", OpenFlags { directory: true, ..READ }, 0).err(),
        Some(Errno::NotDir)
    );
    api.mknod(b"/fifo", 0o010644, 0).unwrap();
    assert_eq!(api.open(b"/fifo", READ, 0).err(), Some(Errno::NxIo));
}

#[test]
fn descriptors_are_the_lowest_free_and_hold_their_inode() {
    let api = api();
    put(&api, "/f", "content");
    let node = api.stat(b"/f", true).unwrap().node;
    let fds: Vec<u32> = (0..3).map(|_| api.open(b"/f", READ, 0).unwrap().0).collect();
    assert_eq!(fds, [3, 4, 5]);
    api.close(super::Fd(4)).unwrap();
    assert_eq!(api.close(super::Fd(4)), Err(Errno::BadF));
    assert_eq!(api.open(b"/f", READ, 0).unwrap().0, 4);
    api.unlink(b"/f").unwrap();
    assert!(api.vfs().is_held(node));
    assert_eq!(api.read(super::Fd(5), 100, Some(3)).unwrap(), b"tent");
    api.close_all();
    assert!(!api.vfs().is_held(node));
    assert_eq!(api.fstat(super::Fd(3)).err(), Some(Errno::BadF));
}

#[test]
fn access_is_the_owners() {
    for (uid, mode, expected) in
        [(0, 0o000, 6), (0, 0o100, 7), (5, 0o640, 6), (5, 0o500, 5), (5, 0o077, 0)]
    {
        let owner = Caller { uid, gid: uid, pid: 0 };
        let api = Api::new(Vfs::new(options(uid)), owner);
        put(&api, "/f", "");
        api.chmod(b"/f", mode).unwrap();
        for bit in [4, 2, 1] {
            let allowed = api.access(b"/f", bit).is_ok();
            assert_eq!(allowed, expected & bit != 0, "uid {uid}, mode {mode:o}, bit {bit}");
        }
        assert_eq!(api.access(b"/f", 0), Ok(()));
    }
}

#[test]
fn trees_are_copied_and_removed() {
    let api = api();
    api.mkdir_all(b"/from/sub", 0o777).unwrap();
    put(&api, "/from/sub/f", "f");
    put(&api, "/from/g", "g");
    api.symlink(b"sub/f", b"/from/l").unwrap();
    let all = CopyTree { recursive: true, force: true };
    api.copy_tree(b"/from", b"/a/new/to", all).unwrap();
    let names: Vec<Vec<u8>> =
        api.readdir_all(b"/a/new/to").unwrap().into_iter().map(|l| l.name.to_vec()).collect();
    assert_eq!(names, [&b"g"[..], b"l", b"sub", b"sub/f"]);
    put(&api, "/from/g", "changed");
    api.copy_tree(b"/from", b"/a/new/to", CopyTree { force: false, ..all }).unwrap();
    assert_eq!(get(&api, "/a/new/to/g").as_deref(), Ok("g"));
    api.copy_tree(b"/from/", b"/a/new/to/", all).unwrap();
    assert_eq!(get(&api, "/a/new/to/g").as_deref(), Ok("changed"));
    for (from, to, errno) in [
        ("/from", "/from/sub/x", Errno::Inval),
        ("/from", "/from", Errno::Inval),
        ("/from", "/from/g", Errno::NotDir),
        ("/from/g", "/from/sub", Errno::Exist),
        ("/from/sub", "/a/new/to/g", Errno::NotDir),
        ("/nope", "/x", Errno::NoEnt),
    ] {
        let failure = api.copy_tree(from.as_bytes(), to.as_bytes(), all).unwrap_err();
        assert_eq!(failure.errno, errno, "{from} -> {to}");
    }
    assert_eq!(api.remove(b"/a", false), Err(Errno::IsDir));
    api.remove(b"/a", true).unwrap();
    assert_eq!(api.readdir(b"/").unwrap().len(), 1);
    assert_eq!(api.vfs().usage().inodes, 3 + 5);
}

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Invalidator for Told {
    fn inode(&self, node: NodeId, pages: bool, offset: u64, len: u64) {
        let pages = if pages { format!(" {offset}+{len}") } else { String::new() };
        self.0.lock().push(format!("{}{pages}", node.ino().0));
    }

    fn entry(&self, parent: NodeId, name: &[u8]) {
        self.0.lock().push(format!("{}/{}", parent.ino().0, String::from_utf8_lossy(name)));
    }
}

#[test]
fn caches_are_told_of_exactly_what_changed() {
    let api = api();
    let told = Arc::new(Told::default());
    api.vfs().set_invalidator(Some(told.clone()));
    let heard = || std::mem::take(&mut *told.0.lock());
    put(&api, "/f", "12345");
    assert_eq!(heard(), ["1 0+0", "1/f", "16 0+5"]);
    let fd = api.open(b"/f", OpenFlags { write: true, ..READ }, 0).unwrap();
    api.write(fd, b"xy", Some(9)).unwrap();
    assert_eq!(heard(), ["16 9+2"]);
    api.truncate(b"/f", 4).unwrap();
    assert_eq!(heard(), ["16 4+0"]);
    api.chmod(b"/f", 0o600).unwrap();
    assert_eq!(heard(), ["16"]);
    api.mkdir(b"/d", 0o777).unwrap();
    assert_eq!(heard(), ["1 0+0", "1/d"]);
    api.rename(b"/f", b"/d/g").unwrap();
    assert_eq!(heard(), ["1 0+0", "1/f", "17 0+0", "17/g", "16"]);
    api.link(b"/d/g", b"/h").unwrap();
    assert_eq!(heard(), ["1 0+0", "1/h", "16"]);
    api.unlink(b"/h").unwrap();
    assert_eq!(heard(), ["1 0+0", "1/h", "16"]);
    get(&api, "/d/g").unwrap();
    api.readdir(b"/").unwrap();
    assert_eq!(api.mkdir(b"/d", 0o777), Err(Errno::Exist));
    assert!(heard().is_empty());
}

/// Answers a need on another thread, well or badly.
struct Store {
    vfs: Weak<Vfs>,
    bytes: Option<Vec<u8>>,
}

impl Loader for Store {
    fn load(&self, keys: &[NeedKey]) {
        let (vfs, bytes, keys) = (self.vfs.clone(), self.bytes.clone(), keys.to_vec());
        std::thread::spawn(move || {
            let Some(vfs) = vfs.upgrade() else { return };
            for key in keys {
                match (&key, &bytes) {
                    (NeedKey::Block(hash), Some(bytes)) => {
                        _ = vfs.supply_block(*hash, bytes.clone())
                    }
                    _ => vfs.fail_need(&key, Errno::NoEnt),
                }
            }
        });
    }
}

fn with_store(content: &[u8], bytes: Option<Vec<u8>>) -> Api {
    let source = api();
    source.write_file(b"/f", content, CREATE, 0o666).unwrap();
    let tree = source.vfs().freeze();
    let Some(NeedKey::Block(_)) = evict(&tree) else { panic!("nothing to evict") };
    let vfs = Vfs::from_tree(options(0), &tree);
    vfs.set_loader(Some(Arc::new(Store { vfs: Arc::downgrade(&vfs), bytes })));
    Api::new(vfs, options(0).owner)
}

// Makes the store the only place of the tree's chunks; the key of the last.
fn evict(tree: &crate::Tree) -> Option<NeedKey> {
    let mut last: Option<BlockHash> = None;
    tree.root.for_each_leaf(|_, leaf| {
        for inode in &leaf.data.read().inodes {
            let crate::Body::File(content) = &inode.body else { continue };
            for (_, chunk) in content.chunks() {
                last = chunk.hash();
                chunk.mark_stored();
                assert!(chunk.evict());
            }
        }
    });
    last.map(NeedKey::Block)
}

#[test]
fn bytes_come_from_the_store_or_the_call_fails() {
    let content = b"kept in the store";
    let api = with_store(content, Some(content.to_vec()));
    assert_eq!(get(&api, "/f").unwrap().as_bytes(), content);
    let api = with_store(content, None);
    assert_eq!(get(&api, "/f"), Err(Errno::NoEnt));
    let api = with_store(content, Some(b"something else".to_vec()));
    assert_eq!(get(&api, "/f"), Err(Errno::Io));
    let api = with_store(content, None);
    api.vfs().set_loader(None);
    assert_eq!(get(&api, "/f"), Err(Errno::Io));
}

#[test]
fn what_is_read_at_once_is_in_memory_and_short() {
    let content = b"kept in the store";
    let api = with_store(content, Some(content.to_vec()));
    assert_eq!(api.read_file_at_once(b"/f", 100), Ok(None));
    assert_eq!(get(&api, "/f").unwrap().as_bytes(), content);
    // It was not remembered that the thread declined to wait, and the content has come.
    assert_eq!(api.read_file_at_once(b"/f", 100), Ok(Some(content.to_vec())));
    assert_eq!(api.read_file_at_once(b"/f", content.len() as u64), Ok(Some(content.to_vec())));
    assert_eq!(api.read_file_at_once(b"/f", content.len() as u64 - 1), Ok(None));
    let failure = api.read_file_at_once(b"/none", 100).unwrap_err();
    assert_eq!((failure.errno, failure.step), (Errno::NoEnt, "open"));
    let failure = api.read_file_at_once(b"/", 100).unwrap_err();
    assert_eq!((failure.errno, failure.step), (Errno::IsDir, "read"));
}

#[test]
fn frozen_trees_are_read_by_path() {
    let api = api();
    api.mkdir(b"/d", 0o777).unwrap();
    put(&api, "/d/f", "frozen");
    put(&api, "/.devdev/home/h", "home");
    api.symlink(b"d/f", b"/l").unwrap();
    let tree = api.vfs().freeze();
    put(&api, "/d/f", "thawed");
    let frozen = FrozenTree { tree: &tree, store: None };
    assert_eq!(frozen.read_file(b"/d/f").unwrap(), b"frozen");
    assert_eq!(frozen.read_file(b"/.devdev/home/h").unwrap(), b"home");
    assert_eq!(frozen.readlink(b"/l").unwrap(), b"d/f");
    assert_eq!(frozen.read_file(b"/l"), Err(Errno::Loop));
    assert_eq!(frozen.read_file(b"/d"), Err(Errno::IsDir));
    assert_eq!(frozen.read_file(b"/d/f/x"), Err(Errno::NotDir));
    assert_eq!(frozen.readlink(b"/nope"), Err(Errno::NoEnt));
    evict(&tree);
    assert_eq!(frozen.read_file(b"/d/f"), Err(Errno::Io));
}

// S152: the calls that work on whole trees go from directory to directory.
#[test]
fn trees_may_be_deeper_than_a_path_is_long() {
    const DEPTH: usize = 500;
    const NAME: &[u8] = b"twenty-bytes-of-name";
    let (api, owner) = (api(), options(0).owner);
    let vfs = api.vfs();
    let inodes = vfs.usage().inodes;
    api.mkdir(b"/deep", 0o777).unwrap();
    let mut dir = api.stat(b"/deep", true).unwrap().node;
    for _ in 0..DEPTH {
        dir = vfs.mkdir(dir, NAME, 0o755, owner, Hold::None).unwrap().attr.node;
    }
    vfs.symlink(dir, b"link", b"target", owner, Hold::None).unwrap();
    let file = vfs.mknod(dir, b"file", 0o100_644, 0, owner, Hold::None).unwrap().attr.node;
    vfs.write(file, 0, b"content", WriteFlags::default()).unwrap();
    let all = CopyTree { recursive: true, force: true };
    api.copy_tree(b"/deep", b"/copy", all).unwrap();
    // Onto what is there.
    api.copy_tree(b"/deep", b"/copy", all).unwrap();
    let listed = api.readdir_all(b"/copy").unwrap();
    assert_eq!(listed, api.readdir_all(b"/deep").unwrap());
    assert_eq!(listed.len(), DEPTH + 2);
    assert!(listed[DEPTH].name.len() > crate::attr::PATH_MAX);
    let below = |dir: NodeId, name: &[u8]| {
        let found = vfs.lookup(dir, name, Hold::None).unwrap();
        let Outcome::Done(entry) = found else { panic!("it needs the store") };
        entry.attr
    };
    let mut dir = api.stat(b"/copy", true).unwrap().node;
    (0..DEPTH).for_each(|_| dir = below(dir, NAME).node);
    assert_eq!(below(dir, b"file").size, 7);
    assert_eq!(&*vfs.readlink(below(dir, b"link").node).unwrap(), b"target");
    api.remove(b"/deep", true).unwrap();
    api.remove(b"/copy", true).unwrap();
    assert_eq!(vfs.usage().inodes, inodes);
}

// What the comparison with tmpfs (devdev-fsops engine) found once.
#[test]
fn details_are_those_of_the_system_calls() {
    let api = api();
    api.mkdir(b"/dir", 0o7777).unwrap();
    assert_eq!(api.stat(b"/dir", true).unwrap().mode & 0o7777, 0o1755);
    let both = OpenFlags { directory: true, ..CREATE };
    assert_eq!(api.open(b"/missing/x", both, 0o666).err(), Some(Errno::Inval));
    put(&api, "/file", "");
    let long = |dir: &str| [dir.as_bytes(), &[b'x'; 256]].concat();
    assert_eq!(api.stat(&long("/file/"), true).err(), Some(Errno::NotDir));
    assert_eq!(api.stat(&long("/dir/"), true).err(), Some(Errno::NameTooLong));
    assert_eq!(api.rename(b"/missing", &long("/dir/")).err(), Some(Errno::NoEnt));
    api.mknod(b"/fifo", crate::S_IFIFO | 0o644, 0).unwrap();
    let directory = OpenFlags { directory: true, ..READ };
    assert_eq!(api.open(b"/fifo", directory, 0).err(), Some(Errno::NotDir));
    api.symlink(b"dir", b"/link").unwrap();
    let nofollow = OpenFlags { nofollow: true, ..directory };
    assert_eq!(api.open(b"/link", nofollow, 0).err(), Some(Errno::NotDir));
    let set = crate::SetXattr::default();
    assert_eq!(api.setxattr(b"/fifo", b"user.", b"", set).err(), Some(Errno::Perm));
    assert_eq!(api.setxattr(b"/dir", b"user.", b"", set).err(), Some(Errno::Inval));
    assert_eq!(api.getxattr(b"/fifo", b"user.").err(), Some(Errno::NoData));
}

#[test]
fn chown_without_ids_moves_ctime_of_a_directory() {
    let start = Timespec { secs: 5, nanos: 0 };
    let api = api();
    api.mkdir(b"/dir", 0o755).unwrap();
    let node = api.stat(b"/dir", true).unwrap().node;
    let past = crate::SetAttr { ctime: Some(start), ..Default::default() };
    api.vfs().setattr(node, &past).unwrap();
    assert_eq!(api.stat(b"/dir", true).unwrap().ctime, start);
    api.chown(b"/dir", None, None, true).unwrap();
    assert_ne!(api.stat(b"/dir", true).unwrap().ctime, start);
}
