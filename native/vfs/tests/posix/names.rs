//! Names: creating, linking, removing, moving, listing.

use devdev_vfs::{
    Attr, Caller, Errno, Hold, NodeId, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFREG, S_IFSOCK,
    SetAttr, Vfs,
};

use crate::setup::{EXCHANGE, NOREPLACE, PLAIN, ROOT, USER, done, fs, limited};

fn times(attr: Attr) -> (i64, i64) {
    (attr.mtime.secs, attr.ctime.secs)
}

#[test]
fn empty_fs_root_is_dir() {
    let fs = fs();
    let root = fs.attr(ROOT);
    assert_eq!((root.mode, root.nlink, root.size), (S_IFDIR | 0o755, 2, 0));
    assert!(fs.list(ROOT).is_empty());
    assert_eq!((fs.find(ROOT, "."), fs.find(ROOT, "..")), (Ok(ROOT), Ok(ROOT)));
}

#[test]
fn mkdir_rmdir() {
    let fs = fs();
    let dir = fs.dir(ROOT, "dir");
    assert_eq!((fs.attr(dir).nlink, fs.attr(ROOT).nlink), (2, 3));
    let below = fs.dir(dir, "below");
    assert_eq!((fs.attr(dir).nlink, fs.attr(dir).size), (3, 32));
    assert_eq!(fs.find(below, ".."), Ok(dir));
    assert_eq!(fs.rmdir(ROOT, b"dir"), Err(Errno::NotEmpty));
    assert_eq!(fs.rmdir(dir, b"."), Err(Errno::Inval));
    assert_eq!(fs.rmdir(dir, b".."), Err(Errno::NotEmpty));
    fs.rmdir(dir, b"below").unwrap();
    fs.rmdir(ROOT, b"dir").unwrap();
    assert_eq!(fs.rmdir(ROOT, b"dir"), Err(Errno::NoEnt));
    assert_eq!(fs.attr(ROOT).nlink, 2);
    fs.file(ROOT, "file");
    assert_eq!(fs.rmdir(ROOT, b"file"), Err(Errno::NotDir));
    fs.check();
}

#[test]
fn unlink_file_unlink_dir_fails() {
    let fs = fs();
    fs.file(ROOT, "file");
    fs.dir(ROOT, "dir");
    assert_eq!(fs.unlink(ROOT, b"dir"), Err(Errno::IsDir));
    assert_eq!(fs.unlink(ROOT, b"."), Err(Errno::IsDir));
    fs.unlink(ROOT, b"file").unwrap();
    assert_eq!(fs.unlink(ROOT, b"file"), Err(Errno::NoEnt));
    assert_eq!(fs.list(ROOT), ["dir"]);
}

#[test]
fn symlinks_keep_their_target_byte_for_byte() {
    let fs = fs();
    let link = |name: &[u8], target: &[u8]| {
        fs.symlink(ROOT, name, target, USER, Hold::None).map(|entry| entry.attr)
    };
    let made = link(b"link", b"../x\xff y").unwrap();
    assert_eq!((made.mode, made.size, made.blocks), (devdev_vfs::S_IFLNK | 0o777, 7, 0));
    assert_eq!(*fs.readlink(made.node).unwrap(), *b"../x\xff y");
    assert_eq!(link(b"empty", b"").map(|_| ()), Err(Errno::NoEnt));
    assert!(link(b"long", &[b'x'; 4095]).is_ok());
    assert_eq!(link(b"longer", &[b'x'; 4096]).map(|_| ()), Err(Errno::NameTooLong));
    assert_eq!(fs.readlink(ROOT).map(|_| ()), Err(Errno::Inval));
    let mode = SetAttr { mode: Some(0o600), ..SetAttr::default() };
    assert_eq!(fs.set(made.node, mode).map(|_| ()), Err(Errno::OpNotSupp));
    assert_eq!(fs.resize(made.node, 0).map(|_| ()), Err(Errno::Inval));
}

#[test]
fn hardlink() {
    let fs = fs();
    let (file, dir) = (fs.file(ROOT, "file"), fs.dir(ROOT, "dir"));
    let link = |node, parent, name: &[u8]| fs.link(node, parent, name, Hold::None).map(|e| e.attr);
    let ctime = fs.attr(file).ctime;
    assert_eq!(link(file, dir, b"other").unwrap().nlink, 2);
    assert!(fs.attr(file).ctime > ctime);
    assert_eq!(link(file, ROOT, b"dir").map(|_| ()), Err(Errno::Exist));
    assert_eq!(link(dir, ROOT, b"again").map(|_| ()), Err(Errno::Perm));
    assert_eq!(link(file, NodeId::TMP, b"tmp").map(|_| ()), Err(Errno::XDev));
    fs.unlink(ROOT, b"file").unwrap();
    assert_eq!((fs.attr(file).nlink, fs.find(dir, "other")), (1, Ok(file)));
    fs.check();
}

#[test]
fn rename_file_and_overwrite() {
    let fs = fs();
    let (a, b) = (fs.file(ROOT, "a"), fs.file(ROOT, "b"));
    fs.put(a, 0, b"a").unwrap();
    fs.put(b, 0, b"b").unwrap();
    assert_eq!(fs.rename(ROOT, b"a", ROOT, b"b", NOREPLACE), Err(Errno::Exist));
    fs.rename(ROOT, b"a", ROOT, b"b", PLAIN).unwrap();
    assert_eq!((fs.list(ROOT), fs.find(ROOT, "b")), (vec!["b".into()], Ok(a)));
    assert_eq!(fs.usage().bytes, 4096);
    assert_eq!(fs.rename(ROOT, b"gone", ROOT, b"b", PLAIN), Err(Errno::NoEnt));
    fs.rename(ROOT, b"b", ROOT, b"c", NOREPLACE).unwrap();
    assert_eq!(fs.list(ROOT), ["c"]);
    fs.check();
}

#[test]
fn rename_same_name_same_dir_noop() {
    let fs = fs();
    let file = fs.file(ROOT, "a");
    let before = (fs.attr(file), fs.attr(ROOT));
    fs.rename(ROOT, b"a", ROOT, b"a", PLAIN).unwrap();
    assert_eq!((fs.attr(file), fs.attr(ROOT)), before);
    assert_eq!(fs.rename(ROOT, b"x", ROOT, b"x", PLAIN), Err(Errno::NoEnt));
}

#[test]
fn rename_onto_another_link_of_the_same_inode_keeps_both() {
    let fs = fs();
    let file = fs.file(ROOT, "a");
    fs.link(file, ROOT, b"b", Hold::None).unwrap();
    fs.rename(ROOT, b"a", ROOT, b"b", PLAIN).unwrap();
    fs.rename(ROOT, b"a", ROOT, b"b", EXCHANGE).unwrap();
    assert_eq!((fs.list(ROOT).len(), fs.attr(file).nlink), (2, 2));
    assert_eq!(fs.rename(ROOT, b"a", ROOT, b"b", NOREPLACE), Err(Errno::Exist));
}

#[test]
fn rename_dir_overwrite_empty_and_reject_non_empty() {
    let fs = fs();
    let (source, target) = (fs.dir(ROOT, "source"), fs.dir(ROOT, "target"));
    let file = fs.file(ROOT, "file");
    assert_eq!(fs.rename(ROOT, b"source", ROOT, b"file", PLAIN), Err(Errno::NotDir));
    assert_eq!(fs.rename(ROOT, b"file", ROOT, b"source", PLAIN), Err(Errno::IsDir));
    fs.rename(ROOT, b"file", target, b"file", PLAIN).unwrap();
    assert_eq!(fs.rename(ROOT, b"source", ROOT, b"target", PLAIN), Err(Errno::NotEmpty));
    fs.rename(target, b"file", ROOT, b"file", PLAIN).unwrap();
    fs.rename(ROOT, b"source", ROOT, b"target", PLAIN).unwrap();
    assert_eq!((fs.find(ROOT, "target"), fs.find(ROOT, "file")), (Ok(source), Ok(file)));
    assert_eq!((fs.getattr(target).is_err(), fs.attr(ROOT).nlink), (true, 3));
    fs.check();
}

#[test]
fn rename_dir_into_descendant_fails() {
    let fs = fs();
    let a = fs.dir(ROOT, "a");
    let b = fs.dir(a, "b");
    let c = fs.dir(b, "c");
    fs.file(c, "file");
    assert_eq!(fs.rename(ROOT, b"a", a, b"x", PLAIN), Err(Errno::Inval));
    assert_eq!(fs.rename(ROOT, b"a", c, b"x", PLAIN), Err(Errno::Inval));
    // The target is above the source.
    assert_eq!(fs.rename(b, b"c", ROOT, b"a", PLAIN), Err(Errno::NotEmpty));
    assert_eq!(fs.rename(c, b"file", ROOT, b"a", PLAIN), Err(Errno::NotEmpty));
    assert_eq!(fs.rename(b, b"c", ROOT, b"a", EXCHANGE), Err(Errno::Inval));
    assert_eq!(fs.rename(ROOT, b"a", b, b"c", EXCHANGE), Err(Errno::Inval));
    fs.check();
}

#[test]
fn rename_dir_across_parents_updates_nlink() {
    let fs = fs();
    let (from, to) = (fs.dir(ROOT, "from"), fs.dir(ROOT, "to"));
    let moved = fs.dir(from, "moved");
    fs.rename(from, b"moved", to, b"moved", PLAIN).unwrap();
    assert_eq!((fs.attr(from).nlink, fs.attr(to).nlink), (2, 3));
    assert_eq!(fs.find(moved, ".."), Ok(to));
    fs.check();
}

#[test]
fn exchange_of_directory_and_file_across_parents() {
    let fs = fs();
    let (left, right) = (fs.dir(ROOT, "left"), fs.dir(ROOT, "right"));
    let (dir, file) = (fs.dir(left, "x"), fs.file(right, "y"));
    fs.file(dir, "inside");
    fs.rename(left, b"x", right, b"y", EXCHANGE).unwrap();
    assert_eq!((fs.find(left, "x"), fs.find(right, "y")), (Ok(file), Ok(dir)));
    assert_eq!((fs.attr(left).nlink, fs.attr(right).nlink), (2, 3));
    assert_eq!(fs.find(dir, ".."), Ok(right));
    assert_eq!(fs.rename(left, b"x", right, b"gone", EXCHANGE), Err(Errno::NoEnt));
    let both = devdev_vfs::RenameFlags { noreplace: true, exchange: true, whiteout: None };
    assert_eq!(fs.rename(left, b"x", right, b"y", both), Err(Errno::Inval));
    fs.check();
}

#[test]
fn rename_leaves_a_whiteout_when_asked() {
    let fs = limited(100, 9);
    let (from, to) = (fs.dir(ROOT, "from"), fs.dir(ROOT, "to"));
    let (file, dir) = (fs.file(from, "file"), fs.dir(from, "dir"));
    let flags = devdev_vfs::RenameFlags { whiteout: Some(USER), ..PLAIN };
    let is_whiteout = |parent, name: &str| {
        let attr = fs.attr(fs.find(parent, name).unwrap());
        (attr.mode, attr.rdev, attr.nlink, attr.uid) == (0o020_000, 0, 1, USER.uid)
    };
    fs.rename(from, b"dir", to, b"dir", flags).unwrap();
    assert_eq!((fs.find(to, "dir"), fs.attr(from).nlink), (Ok(dir), 2));
    assert!(is_whiteout(from, "dir"));
    let both = devdev_vfs::RenameFlags { exchange: true, ..flags };
    assert_eq!(fs.rename(from, b"file", to, b"dir", both), Err(Errno::Inval));
    assert_eq!(fs.rename(from, b"file", to, b"dir", flags), Err(Errno::IsDir));
    // The ninth inode: there is room for it, and for no other one.
    fs.rename(from, b"file", from, b"moved", flags).unwrap();
    assert_eq!(fs.find(from, "moved"), Ok(file));
    assert!(is_whiteout(from, "file"));
    assert_eq!(fs.usage().inodes, 9);
    assert_eq!(fs.rename(from, b"moved", to, b"moved", flags), Err(Errno::NoSpc));
    assert_eq!((fs.find(from, "moved"), fs.find(to, "moved")), (Ok(file), Err(Errno::NoEnt)));
    fs.check();
}

#[test]
fn bad_names_rejected() {
    let fs = fs();
    let dir = fs.dir(ROOT, "dir");
    let mkdir = |name: &[u8]| fs.mkdir(dir, name, 0o755, USER, Hold::None).map(|_| ());
    for bad in [&b""[..], b"a/b", b"a\0b"] {
        assert_eq!(mkdir(bad), Err(Errno::Inval));
        assert_eq!(fs.unlink(dir, bad), Err(Errno::Inval));
        assert_eq!(fs.rename(dir, bad, dir, b"x", PLAIN), Err(Errno::Inval));
    }
    for dot in [&b"."[..], b".."] {
        assert_eq!(mkdir(dot), Err(Errno::Exist));
        assert_eq!(fs.rename(ROOT, b"dir", ROOT, dot, PLAIN), Err(Errno::Busy));
        assert_eq!(fs.rename(ROOT, b"dir", ROOT, dot, NOREPLACE), Err(Errno::Exist));
        assert_eq!(fs.rename(ROOT, dot, ROOT, b"x", PLAIN), Err(Errno::Busy));
    }
    assert_eq!(mkdir(&[b'x'; 255]), Ok(()));
    assert_eq!(mkdir(&[b'x'; 256]), Err(Errno::NameTooLong));
    let long = done(fs.lookup(dir, &[b'x'; 256], Hold::None)).map(|_| ());
    assert_eq!(long, Err(Errno::NameTooLong));
    assert_eq!(mkdir(b"\xff\xfe not UTF-8 \\"), Ok(()));
}

#[test]
fn bad_inode_is_noent() {
    let fs = fs();
    let bad = NodeId(99);
    assert_eq!(fs.getattr(bad).map(|_| ()), Err(Errno::NoEnt));
    assert_eq!(fs.find(bad, "x"), Err(Errno::NoEnt));
    assert_eq!(fs.put(bad, 0, b"x"), Err(Errno::NoEnt));
    assert_eq!(fs.mkdir(bad, b"x", 0, USER, Hold::None).map(|_| ()), Err(Errno::NoEnt));
    assert_eq!(fs.hold(bad), Err(Errno::NoEnt));
    assert!(!fs.is_held(bad));
}

#[test]
fn dup_name_exist() {
    let fs = limited(10, 5);
    let file = fs.file(ROOT, "file");
    let mknod = |parent, name: &[u8], mode, caller| {
        Vfs::mknod(&fs, parent, name, mode, 0, caller, Hold::None).map(|_| ())
    };
    assert_eq!(mknod(ROOT, b"file", 0o644, USER), Err(Errno::Exist));
    assert_eq!(mknod(file, b"x", 0o644, USER), Err(Errno::NotDir));
    fs.file(ROOT, "last");
    // A name that is taken comes before the lack of inodes.
    assert_eq!(mknod(ROOT, b"file", 0o644, USER), Err(Errno::Exist));
    assert_eq!(mknod(ROOT, b"new", 0o644, USER), Err(Errno::NoSpc));
    assert_eq!(fs.attr(ROOT).size, 64);
    fs.unlink(ROOT, b"last").unwrap();
    assert_eq!(mknod(ROOT, b"new", 0o644, USER), Ok(()));
    fs.check();
}

#[test]
fn special_files_and_who_may_make_them() {
    let fs = fs();
    let mknod = |name: &[u8], mode, rdev, caller| {
        Vfs::mknod(&fs, ROOT, name, mode, rdev, caller, Hold::None).map(|entry| entry.attr)
    };
    for (name, kind) in [(b"fifo", S_IFIFO), (b"sock", S_IFSOCK), (b"file", S_IFREG)] {
        let attr = mknod(name, kind | 0o4640, 77, USER).unwrap();
        assert_eq!((attr.mode, attr.rdev, attr.nlink), (kind | 0o4640, 0, 1));
    }
    let root = Caller::default();
    assert_eq!(mknod(b"null", S_IFCHR | 0o666, 0x103, root).unwrap().rdev, 0x103);
    assert_eq!(mknod(b"disk", S_IFBLK | 0o666, 0x103, USER).map(|_| ()), Err(Errno::Perm));
    assert_eq!(mknod(b"char", S_IFCHR | 0o666, 0x103, USER).map(|_| ()), Err(Errno::Perm));
    assert!(mknod(b"whiteout", S_IFCHR, 0, USER).is_ok());
    assert_eq!(mknod(b"dir", S_IFDIR, 0, root).map(|_| ()), Err(Errno::Perm));
    assert_eq!(mknod(b"odd", 0o170000, 0, root).map(|_| ()), Err(Errno::Inval));
    let fifo = fs.find(ROOT, "fifo").unwrap();
    assert_eq!(fs.put(fifo, 0, b"x"), Err(Errno::Inval));
    fs.check();
}

#[test]
fn set_group_id_directories_hand_their_group_down() {
    let fs = fs();
    let dir = fs.dir(ROOT, "dir");
    fs.set(dir, SetAttr { mode: Some(0o2775), gid: Some(7), ..SetAttr::default() }).unwrap();
    let (file, below) = (fs.attr(fs.file(dir, "file")), fs.attr(fs.dir(dir, "below")));
    assert_eq!((file.gid, file.mode), (7, S_IFREG | 0o644));
    assert_eq!((below.gid, below.mode), (7, S_IFDIR | 0o2755));
    assert_eq!(fs.attr(fs.file(ROOT, "outside")).gid, USER.gid);
}

#[test]
fn times_follow_names() {
    let fs = fs();
    let (left, right) = (fs.dir(ROOT, "left"), fs.dir(ROOT, "right"));
    let file = fs.file(left, "file");
    let made = fs.attr(file);
    assert_eq!((made.atime, made.mtime, made.btime), (made.ctime, made.ctime, made.ctime));
    assert_eq!(times(fs.attr(left)), (made.ctime.secs, made.ctime.secs));
    fs.rename(left, b"file", right, b"file", PLAIN).unwrap();
    let now = fs.attr(file).ctime.secs;
    assert_eq!(times(fs.attr(file)), (made.mtime.secs, now));
    assert_eq!((times(fs.attr(left)), times(fs.attr(right))), ((now, now), (now, now)));
    fs.link(file, left, b"link", Hold::None).unwrap();
    let linked = fs.attr(file).ctime.secs;
    assert_eq!((linked > now, times(fs.attr(left))), (true, (linked, linked)));
    fs.unlink(left, b"link").unwrap();
    let unlinked = fs.attr(file).ctime.secs;
    assert_eq!((unlinked > linked, times(fs.attr(left))), (true, (unlinked, unlinked)));
}

#[test]
fn unlinked_files_live_until_they_are_forgotten() {
    let fs = fs();
    let file = fs.file(ROOT, "file");
    fs.hold(file).unwrap();
    fs.hold(file).unwrap();
    fs.put(file, 0, b"still here").unwrap();
    fs.unlink(ROOT, b"file").unwrap();
    fs.put(file, 5, b" there").unwrap();
    assert_eq!((fs.bytes(file), fs.attr(file).nlink), (b"still there".to_vec(), 0));
    fs.forget(file, 1);
    assert_eq!((fs.usage().bytes, fs.attr(file).size), (4096, 11));
    fs.check();
    fs.forget(file, 1);
    assert!(fs.getattr(file).is_err());
    assert_eq!((fs.usage().bytes, fs.usage().inodes), (0, 3));
}

#[test]
fn removed_directories_take_no_more_names() {
    let fs = fs();
    let dir = fs.dir(ROOT, "dir");
    let file = fs.file(ROOT, "file");
    fs.hold(dir).unwrap();
    fs.rmdir(ROOT, b"dir").unwrap();
    let mkdir = fs.mkdir(dir, b"x", 0o755, USER, Hold::None).map(|_| ());
    assert_eq!(mkdir, Err(Errno::NoEnt));
    assert_eq!(fs.link(file, dir, b"x", Hold::None).map(|_| ()), Err(Errno::NoEnt));
    assert_eq!(fs.rename(ROOT, b"file", dir, b"x", PLAIN), Err(Errno::NoEnt));
    assert_eq!(fs.tmpfile(dir, 0o600, USER).map(|_| ()), Err(Errno::NoEnt));
    assert_eq!(fs.find(dir, "x"), Err(Errno::NoEnt));
    assert_eq!((fs.attr(dir).nlink, fs.readdir(dir, 0, &mut |_| true)), (0, Err(Errno::NoEnt)));
    fs.check();
}

#[test]
fn files_without_a_name_can_get_one() {
    let fs = fs();
    let unnamed = fs.tmpfile(ROOT, 0o600, USER).unwrap().attr;
    assert_eq!((unnamed.nlink, unnamed.mode, unnamed.uid), (0, S_IFREG | 0o600, USER.uid));
    fs.put(unnamed.node, 0, b"written before").unwrap();
    assert!(fs.list(ROOT).is_empty());
    fs.check();
    let linked = fs.link(unnamed.node, ROOT, b"named", Hold::None).unwrap().attr;
    assert_eq!((linked.nlink, linked.size), (1, 14));
    fs.check();
    fs.forget(unnamed.node, 1);
    assert_eq!(fs.bytes(fs.find(ROOT, "named").unwrap()), b"written before");
    let gone = fs.tmpfile(ROOT, 0o600, USER).unwrap().attr.node;
    fs.forget(gone, 1);
    assert!(fs.getattr(gone).is_err());
    fs.check();
}

#[test]
fn readdir_positions_survive_changes() {
    let fs = fs();
    fs.files(ROOT, "stay", 1000);
    let (mut seen, mut at) = (Vec::new(), 0);
    for round in 0.. {
        let before = seen.len();
        fs.readdir(ROOT, at, &mut |entry| {
            if seen.len() == before + 10 {
                return false;
            }
            at = entry.cookie;
            seen.push(entry.name.to_vec());
            true
        })
        .unwrap();
        if seen.len() == before {
            break;
        }
        fs.file(ROOT, &format!("come{round}"));
        if round > 2 {
            fs.unlink(ROOT, format!("come{}", round - 2).as_bytes()).unwrap();
        }
    }
    assert_eq!((&seen[0][..], &seen[1][..]), (&b"."[..], &b".."[..]));
    seen.retain(|name| name.starts_with(b"stay"));
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 1000);
}

#[test]
fn large_directories_have_no_quadratic_cost() {
    let fs = fs();
    let start = std::time::Instant::now();
    fs.files(ROOT, "", 100_000);
    assert_eq!(fs.attr(ROOT).size, 3_200_000);
    assert!(fs.find(ROOT, "99999").is_ok());
    assert_eq!(fs.list(ROOT).len(), 100_000);
    (0..100_000).for_each(|n| fs.unlink(ROOT, format!("{n}").as_bytes()).unwrap());
    assert!(fs.list(ROOT).is_empty());
    // That would take hours.
    assert!(start.elapsed().as_secs() < 300);
    fs.check();
}
