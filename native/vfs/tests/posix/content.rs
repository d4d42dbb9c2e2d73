//! Content: reading, writing, truncating, holes, copying, limits, privileges.

use devdev_vfs::{Errno, Hold, NodeId, S_IFMT, SetAttr, SetTime, Timespec, Whence, WriteFlags};

use crate::setup::{ROOT, USER, done, fs, limited};

const CHUNK: u64 = 64 * 1024;

#[test]
fn create_write_read_file() {
    let fs = fs();
    let file = fs.file(ROOT, "file");
    assert!(fs.bytes(file).is_empty());
    assert_eq!(fs.put(file, 0, b"hello"), Ok(0));
    assert_eq!(fs.bytes(file), b"hello");
    assert_eq!(fs.part(file, 3, 100), b"lo");
    assert!(fs.part(file, 5, 100).is_empty() && fs.part(file, u64::MAX, 100).is_empty());
    let big: Vec<u8> = (0..300_000u32).map(|n| (n >> 3) as u8).collect();
    fs.put(file, 1, &big).unwrap();
    assert_eq!(fs.bytes(file)[1..], big);
    assert_eq!(fs.part(file, CHUNK - 1, 3), big[CHUNK as usize - 2..CHUNK as usize + 1]);
    fs.check();
}

#[test]
fn write_at_offset_zero_fills() {
    let fs = fs();
    let file = fs.file(ROOT, "file");
    fs.put(file, 0, b"hello").unwrap();
    fs.put(file, 70_000, b"far").unwrap();
    let bytes = fs.bytes(file);
    assert_eq!((bytes.len(), &bytes[..5], &bytes[70_000..]), (70_003, &b"hello"[..], &b"far"[..]));
    assert!(bytes[5..70_000].iter().all(|b| *b == 0));
    assert_eq!(fs.attr(file).blocks, 16);
    fs.put(file, 1 << 40, b"terabyte").unwrap();
    assert_eq!((fs.attr(file).size, fs.attr(file).blocks), ((1 << 40) + 8, 24));
    assert_eq!(fs.part(file, (1 << 40) - 2, 10), b"\0\0terabyte");
    // A hole of terabytes is one piece.
    let pieces = done(fs.read(file, 100_000, 1 << 39)).unwrap();
    assert_eq!(pieces.len(), 1);
    fs.check();
}

#[test]
fn truncate_grow_shrink() {
    let fs = fs();
    let file = fs.file(ROOT, "file");
    fs.put(file, 0, &[7; 200_000]).unwrap();
    assert_eq!(fs.resize(file, 100_000).unwrap().size, 100_000);
    assert_eq!(fs.usage().bytes, 25 * 4096);
    fs.resize(file, 200_000).unwrap();
    let bytes = fs.bytes(file);
    assert!(bytes[..100_000].iter().all(|b| *b == 7));
    assert!(bytes[100_000..].iter().all(|b| *b == 0));
    fs.resize(file, 0).unwrap();
    assert_eq!((fs.attr(file).blocks, fs.usage().bytes), (0, 0));
    fs.resize(file, i64::MAX as u64).unwrap();
    assert_eq!(fs.resize(file, i64::MAX as u64 + 1).map(|_| ()), Err(Errno::FBig));
    assert_eq!(fs.put(file, i64::MAX as u64, b"x"), Err(Errno::FBig));
    assert_eq!(fs.put(file, u64::MAX, b"x"), Err(Errno::FBig));
    fs.check();
}

#[test]
fn a_write_takes_what_fits() {
    let fs = limited(20, 10);
    let (file, full) = (fs.file(ROOT, "file"), fs.file(ROOT, "full"));
    let write =
        |offset, data: &[u8]| done(fs.write_what_fits(file, offset, data, WriteFlags::default()));
    fs.put(full, 0, &[1; 15 * 4096]).unwrap();
    // From the middle of a page over the border of a chunk: five pages are left.
    assert_eq!(write((1 << 16) - 100, &[2; 1 << 20]), Ok(100 + 4 * 4096));
    assert_eq!(fs.attr(file).size, (1 << 16) + 4 * 4096);
    assert_eq!(write((1 << 16) + 4 * 4096, b"x"), Err(Errno::NoSpc));
    // Pages that are there are room.
    assert_eq!(write((1 << 16) - 4096, &[3; 1 << 20]), Ok(5 * 4096));
    assert_eq!(write((1 << 16) - 4097, b"xy"), Err(Errno::NoSpc));
    assert_eq!(write(0, b""), Ok(0));
    fs.check();
}

#[test]
fn memory_cap_enforced() {
    let fs = limited(20, 10);
    let (file, other) = (fs.file(ROOT, "file"), fs.file(ROOT, "other"));
    fs.put(file, 0, &[1; 15 * 4096]).unwrap();
    let before = (fs.attr(file), fs.attr(other));
    assert_eq!(fs.put(other, 0, &[1; 5 * 4096 + 1]), Err(Errno::NoSpc));
    assert_eq!(fs.put(file, 4096, &[1; 20 * 4096]), Err(Errno::NoSpc));
    assert_eq!(done(fs.fallocate(other, 0, 0, 6 * 4096)), Err(Errno::NoSpc));
    assert_eq!((fs.attr(file), fs.attr(other)), before);
    assert_eq!(done(fs.copy_file_range(file, 0, other, 0, 1 << 20)), Err(Errno::NoSpc));
    // What is there already may be written again, tmp counts, and what is freed comes back.
    assert_eq!(fs.put(file, 0, &[2; 15 * 4096]), Ok(0));
    let tmp = fs.file(NodeId::TMP, "tmp");
    assert_eq!(fs.put(tmp, 0, &[1; 6 * 4096]), Err(Errno::NoSpc));
    assert_eq!(fs.put(tmp, 0, &[1; 5 * 4096]), Ok(0));
    assert_eq!((fs.statfs().blocks, fs.statfs().free, fs.statfs().files_free), (20, 0, 4));
    fs.unlink(ROOT, b"file").unwrap();
    assert_eq!(fs.put(other, 1 << 30, &[1; 15 * 4096]), Ok(1 << 30));
    fs.check();
}

#[test]
fn read_write_on_dir_is_isdir() {
    let fs = fs();
    assert_eq!(done(fs.read(ROOT, 0, 1)).map(|_| ()), Err(Errno::IsDir));
    assert_eq!(fs.put(ROOT, 0, b"x"), Err(Errno::IsDir));
    assert_eq!(fs.resize(ROOT, 0).map(|_| ()), Err(Errno::IsDir));
    assert_eq!(done(fs.fallocate(ROOT, 0, 0, 1)), Err(Errno::IsDir));
    assert_eq!(fs.lseek(ROOT, 0, Whence::Data), Err(Errno::Inval));
    assert_eq!(done(fs.copy_file_range(ROOT, 0, ROOT, 0, 1)), Err(Errno::IsDir));
}

#[test]
fn setattr_changes_mode_and_size() {
    let fs = fs();
    let file = fs.file(ROOT, "file");
    let at = |secs| Timespec { secs, nanos: 999_999_999 };
    let made = fs.attr(file);
    let set = SetAttr {
        mode: Some(0o170750),
        size: Some(10),
        atime: Some(SetTime::At(at(-7))),
        mtime: Some(SetTime::At(at(8))),
        ..SetAttr::default()
    };
    let attr = fs.set(file, set).unwrap();
    assert_eq!((attr.mode, attr.size), (made.mode & S_IFMT | 0o750, 10));
    assert_eq!((attr.atime, attr.mtime), (at(-7), at(8)));
    assert!(attr.ctime > made.ctime && attr.btime == made.btime);
    let own = SetAttr { uid: Some(1), gid: Some(2), ctime: Some(at(3)), ..SetAttr::default() };
    let attr = fs.set(file, own).unwrap();
    assert_eq!((attr.uid, attr.gid, attr.ctime, attr.mtime), (1, 2, at(3), at(8)));
    let nothing = fs.set(file, SetAttr::default()).unwrap();
    assert_eq!(nothing, attr);
}

#[test]
fn deterministic_time_source() {
    let fs = fs();
    let file = fs.file(ROOT, "file");
    let made = fs.attr(file).mtime;
    assert_eq!(made.nanos, 5);
    fs.put(file, 0, b"").unwrap();
    assert_eq!(fs.attr(file).mtime, made);
    fs.put(file, 0, b"x").unwrap();
    let written = fs.attr(file);
    assert!(written.mtime > made && written.mtime == written.ctime && written.atime == made);
    fs.resize(file, 1).unwrap();
    let resized = fs.attr(file);
    assert!(resized.mtime > written.mtime && resized.mtime == resized.ctime);
    let mode = SetAttr { mode: Some(0o600), ..SetAttr::default() };
    let changed = fs.set(file, mode).unwrap();
    assert!(changed.ctime > resized.ctime && changed.mtime == resized.mtime);
}

#[test]
fn appends_go_to_the_end_whoever_else_appends() {
    let fs = fs();
    let file = fs.file(ROOT, "log");
    let line = |n: u8| vec![n; 70_000];
    let append = WriteFlags { append: true, ..WriteFlags::default() };
    std::thread::scope(|scope| {
        for n in 1..=4 {
            let fs = &fs;
            scope.spawn(move || {
                (0..10).for_each(|_| assert!(done(fs.write(file, 0, &line(n), append)).is_ok()));
            });
        }
    });
    let bytes = fs.bytes(file);
    assert_eq!(bytes.len(), 40 * 70_000);
    assert!(bytes.chunks(70_000).all(|line| line.iter().all(|b| *b == line[0])));
    fs.check();
}

#[test]
fn writing_takes_privileges_away() {
    let fs = fs();
    let file = fs.file(ROOT, "file");
    let mode = |mode| SetAttr { mode: Some(mode), ..SetAttr::default() };
    let kill = WriteFlags { kill_privileges: true, ..WriteFlags::default() };
    for (before, after) in [(0o6755, 0o755), (0o6745, 0o2745), (0o1777, 0o1777)] {
        fs.set(file, mode(before)).unwrap();
        fs.put(file, 0, b"x").unwrap();
        assert_eq!(fs.attr(file).mode & 0o7777, before);
        done(fs.write(file, 0, b"x", kill)).unwrap();
        assert_eq!(fs.attr(file).mode & 0o7777, after);
        fs.set(file, mode(before)).unwrap();
        let own = SetAttr { uid: Some(5), kill_privileges: true, ..SetAttr::default() };
        assert_eq!(fs.set(file, own).unwrap().mode & 0o7777, after);
    }
    let dir = fs.dir(ROOT, "dir");
    fs.set(dir, mode(0o2775)).unwrap();
    let own = SetAttr { gid: Some(5), kill_privileges: true, ..SetAttr::default() };
    assert_eq!(fs.set(dir, own).unwrap().mode & 0o7777, 0o2775);
}

#[test]
fn holes_are_found_page_by_page() {
    let fs = fs();
    let file = fs.file(ROOT, "file");
    fs.put(file, 5 * 4096 + 100, b"data").unwrap();
    fs.put(file, 3 * CHUNK, b"more").unwrap();
    fs.resize(file, 5 * CHUNK).unwrap();
    let seek = |offset, whence| fs.lseek(file, offset, whence);
    assert_eq!((seek(0, Whence::Data), seek(0, Whence::Hole)), (Ok(5 * 4096), Ok(0)));
    assert_eq!(seek(5 * 4096 + 7, Whence::Data), Ok(5 * 4096 + 7));
    assert_eq!(seek(5 * 4096 + 7, Whence::Hole), Ok(6 * 4096));
    assert_eq!(seek(6 * 4096, Whence::Data), Ok(3 * CHUNK));
    assert_eq!(seek(3 * CHUNK, Whence::Hole), Ok(3 * CHUNK + 4096));
    assert_eq!(seek(4 * CHUNK, Whence::Data), Err(Errno::NxIo));
    assert_eq!(seek(5 * CHUNK - 1, Whence::Hole), Ok(5 * CHUNK - 1));
    assert_eq!(seek(5 * CHUNK, Whence::Hole), Err(Errno::NxIo));
    fs.resize(file, 3 * CHUNK + 4).unwrap();
    assert_eq!(seek(3 * CHUNK, Whence::Hole), Ok(3 * CHUNK + 4));
}

#[test]
fn space_is_allocated_punched_and_zeroed() {
    let fs = fs();
    let file = fs.file(ROOT, "file");
    let fallocate = |mode, offset, len| done(fs.fallocate(file, mode, offset, len));
    fallocate(0, 0, 1 << 30).unwrap();
    assert_eq!((fs.attr(file).size, fs.attr(file).blocks), (1 << 30, 1 << 21));
    fallocate(3, 0, 1 << 30).unwrap();
    assert_eq!((fs.attr(file).size, fs.attr(file).blocks), (1 << 30, 0));
    fs.resize(file, 0).unwrap();
    // Behind the end: part of the file only when it grows, gone when it is truncated.
    fallocate(1, 0, 10_000).unwrap();
    assert_eq!((fs.attr(file).size, fs.attr(file).blocks), (0, 24));
    fs.resize(file, 5000).unwrap();
    assert_eq!(fs.attr(file).blocks, 24);
    fs.resize(file, 5000).unwrap();
    assert_eq!(fs.attr(file).blocks, 16);
    fs.put(file, 0, &[9; 20_000]).unwrap();
    fallocate(3, 100, 8192).unwrap();
    assert_eq!(fs.attr(file).blocks, 32);
    let bytes = fs.bytes(file);
    assert!(bytes[100..8292].iter().all(|b| *b == 0));
    assert!(bytes[..100].iter().chain(&bytes[8292..]).all(|b| *b == 9));
    fallocate(16, 4096, 8192).unwrap();
    assert_eq!(fs.attr(file).blocks, 40);
    fallocate(17, 18_000, 100_000).unwrap();
    assert_eq!(fs.attr(file).size, 20_000);
    fallocate(16, 18_000, 100_000).unwrap();
    assert_eq!(fs.attr(file).size, 118_000);
    assert_eq!(fallocate(2, 0, 10), Err(Errno::OpNotSupp));
    assert_eq!(fallocate(8, 0, 4096), Err(Errno::OpNotSupp));
    assert_eq!(fallocate(0, 0, 0), Err(Errno::Inval));
    assert_eq!(fallocate(0, i64::MAX as u64, 1), Err(Errno::FBig));
    let fifo = fs.mknod(ROOT, b"fifo", devdev_vfs::S_IFIFO, 0, USER, Hold::None).unwrap();
    assert_eq!(done(fs.fallocate(fifo.attr.node, 0, 0, 1)), Err(Errno::SPipe));
    fs.check();
}

#[test]
fn copies_share_chunks_and_keep_holes() {
    let fs = limited(1 << 20, 100);
    let (from, to) = (fs.file(ROOT, "from"), fs.file(ROOT, "to"));
    fs.put(from, 0, &[1; 100_000]).unwrap();
    fs.put(from, 4 * CHUNK, &[2; 1000]).unwrap();
    let copy = |from, at, to, to_at, len| done(fs.copy_file_range(from, at, to, to_at, len));
    assert_eq!(copy(from, 0, to, 0, u64::from(u32::MAX)), Ok(4 * CHUNK + 1000));
    assert_eq!(fs.bytes(to), fs.bytes(from));
    assert_eq!(fs.attr(to).blocks, fs.attr(from).blocks);
    // They part when one is written.
    fs.put(to, 0, b"changed").unwrap();
    fs.put(from, 4 * CHUNK, b"changed").unwrap();
    assert_eq!((fs.bytes(from)[0], fs.bytes(to)[4 * CHUNK as usize]), (1, 2));
    assert_eq!(copy(from, 4 * CHUNK + 1000, to, 0, 10), Ok(0));
    assert_eq!(copy(from, 0, from, 5000, 10_000), Err(Errno::Inval));
    assert_eq!(copy(from, u64::MAX, to, 0, 10), Err(Errno::Overflow));
    // In one file, and to a place that is not aligned.
    assert_eq!(copy(from, 0, from, 8 * CHUNK, CHUNK), Ok(CHUNK));
    assert_eq!(fs.part(from, 8 * CHUNK, 9), [1; 9]);
    assert_eq!(copy(from, 0, to, 777, 500), Ok(500));
    assert_eq!(fs.part(to, 777, 500), [1; 500]);
    fs.check();
}
