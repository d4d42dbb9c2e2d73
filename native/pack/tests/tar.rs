//! Tar archives: what goes out comes back, and what is hostile is refused. How other programs read
//! and write them is tested from outside (test/integration/tar.test.ts).

use std::io::{self, Write};
use std::sync::Arc;

use devdev_pack::{ImportErrorKind, ImportOptions, export_tar, import_tar};
use devdev_vfs::sample::{self, Random};
use devdev_vfs::{
    Body, Bytes, Change, ChangeKind, Chunk, DiffScope, Ino, Limits, S_IFLNK, S_IFMT, S_IFSOCK,
    Timespec, Tree, names, path_diff,
};
use tar::{EntryType, Header};

const ANY: Limits = Limits { bytes: 1 << 32, inodes: 1 << 20 };
const NOW: Timespec = Timespec { secs: 1_800_000_000, nanos: 5 };

fn no_store(_: &Arc<Chunk>) -> io::Result<Bytes> {
    Err(io::Error::other("there is no store"))
}

fn write(tree: &Arc<Tree>) -> (Vec<u8>, u64) {
    let mut out = Vec::new();
    let mut sink = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok(())
    };
    let skipped = export_tar(tree, &no_store, &mut sink).unwrap();
    (out, skipped)
}

fn read(
    bytes: &[u8],
    limits: Limits,
    owner: Option<(u32, u32)>,
) -> Result<(Arc<Tree>, u64), String> {
    let options = ImportOptions { limits, owner };
    import_tar(&mut &bytes[..], options, NOW).map_err(|error| error.to_string())
}

fn taken(bytes: &[u8]) -> Arc<Tree> {
    read(bytes, ANY, None).unwrap().0
}

fn reason(bytes: &[u8]) -> String {
    read(bytes, ANY, None).err().unwrap_or_else(|| "taken".to_owned())
}

#[test]
fn what_is_exported_comes_back() {
    for seed in 0..80 {
        let tree = sample::tree(&mut Random(seed), [0, 3, 20, 60][seed as usize % 4]).freeze();
        let (bytes, skipped) = write(&tree);
        assert_eq!(bytes.len() % 10240, 0);
        let copy = taken(&bytes);
        let scope = DiffScope { times: true, within_renamed: true };
        let mut sockets = 0;
        for Change { path, kind, differs, old, .. } in path_diff(&tree, &copy, scope) {
            let shown = || format!("seed {seed}: {} {kind:?} {differs:?}", path.escape_ascii());
            let mode = old.map_or(0, |old| old.mode) & S_IFMT;
            if path.starts_with(b"/.devdev/home") {
                continue;
            }
            if mode == S_IFSOCK {
                assert_eq!(kind, ChangeKind::Removed, "{}", shown());
                sockets += 1;
                continue;
            }
            // Links have no mode of their own.
            assert!(mode == S_IFLNK && differs.mode, "{}", shown());
            assert!(!differs.target && !differs.xattrs && !differs.mtime, "{}", shown());
        }
        assert!(sockets == skipped, "seed {seed}");
        assert_eq!(write(&copy).0, write(&taken(&write(&copy).0)).0, "seed {seed}");
    }
}

fn header(kind: EntryType, name: &str, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(7);
    header.set_size(size);
    header.set_cksum();
    header
}

/// One entry with its content.
fn entry(kind: EntryType, name: &str, content: &[u8]) -> Vec<u8> {
    let mut out = header(kind, name, content.len() as u64).as_bytes().to_vec();
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

fn file(name: &str, content: &str) -> Vec<u8> {
    entry(EntryType::file(), name, content.as_bytes())
}

fn linked(kind: EntryType, name: &str, target: &str) -> Vec<u8> {
    let mut header = header(kind, name, 0);
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut all = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let len = (rest..).find(|len| len.to_string().len() + rest == *len).unwrap();
        all.extend_from_slice(format!("{len} {key}={value}\n").as_bytes());
    }
    entry(EntryType::XHeader, "pax", &all)
}

fn archive(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), vec![0; 1024]].concat()
}

fn root_names(tree: &Tree) -> Vec<String> {
    let all = names(&tree.root, Ino::ROOT).into_iter();
    all.map(|(name, _)| String::from_utf8_lossy(&name).into_owned()).collect()
}

fn text(tree: &Tree, name: &str) -> String {
    let (_, ino) = names(&tree.root, Ino::ROOT)
        .into_iter()
        .find(|(found, _)| **found == *name.as_bytes())
        .unwrap();
    tree.root
        .get(ino, |inode| match &inode.body {
            Body::File(content) => {
                let bytes = content.get(0).and_then(|chunk| chunk.bytes());
                String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
            }
            _ => String::new(),
        })
        .unwrap()
}

#[test]
fn names_never_lead_out() {
    for name in ["../x", "a/../../x", "a/..", "/../x", ".."] {
        assert!(reason(&archive(&[file(name, "x")])).contains("leads upwards"), "{name}");
        let long = [pax(&[("path", name)]), file("harmless", "x")].concat();
        assert!(reason(&archive(&[long])).contains("leads upwards"), "{name}");
    }
    assert_eq!(
        root_names(&taken(&archive(&[file("/etc", "x"), file("//./a", "x")]))),
        ["a", "etc"]
    );
    assert!(reason(&archive(&[file(".devdev/home/x", "x")])).contains("reserved"));
    let symlink = EntryType::symlink();
    let through = archive(&[linked(symlink, "out", "/etc"), file("out/passwd", "x")]);
    assert!(reason(&through).contains("below something that is no directory"));
    // A link that is replaced, not followed.
    let replaced = taken(&archive(&[linked(symlink, "out", "/etc/passwd"), file("out", "mine")]));
    assert_eq!(text(&replaced, "out"), "mine");
}

#[test]
fn hard_links_lead_to_what_came_before() {
    let link = |name, target| linked(EntryType::hard_link(), name, target);
    let both = taken(&archive(&[file("a", "x"), link("b", "./a")]));
    let inos: Vec<_> = names(&both.root, Ino::ROOT).into_iter().map(|(_, ino)| ino).collect();
    assert_eq!(inos[0], inos[1]);
    assert!(reason(&archive(&[link("b", "../../etc/passwd")])).contains("leads upwards"));
    for target in ["/etc/passwd", "later", ""] {
        let refused = reason(&archive(&[link("b", target), file("later", "x")]));
        assert!(refused.contains("hard link"), "{target}: {refused}");
    }
    let to_directory = archive(&[entry(EntryType::dir(), "d", b""), link("b", "d")]);
    assert!(reason(&to_directory).contains("leads to a directory"));
}

#[test]
fn later_entries_replace_earlier_ones() {
    let dir = |name| entry(EntryType::dir(), name, b"");
    let tree =
        taken(&archive(&[file("a", "one"), file("./a", "two"), dir("d"), file("d", "three")]));
    assert_eq!((text(&tree, "a"), text(&tree, "d")), ("two".into(), "three".into()));
    assert_eq!((tree.inodes, tree.bytes), (4, 8192));
    let full = reason(&archive(&[file("d/x", "x"), file("d", "x")]));
    assert!(full.contains("directory with entries"), "{full}");
    let kept = taken(&archive(&[file("d/x", "x"), dir("d/")]));
    assert_eq!(kept.inodes, 4);
    // What was replaced does not count against the limits.
    let many = archive(&vec![file("a", "x"); 50]);
    assert!(read(&many, Limits { bytes: 8192, inodes: 4 }, None).is_ok());
}

#[test]
fn damage_is_refused_wherever_it_is() {
    let good = archive(&[file("a", "content"), file("b", "more")]);
    for cut in [100, 512, 600, 1024, 1500, 2048] {
        let refused = reason(&good[..cut]);
        assert!(refused.contains("cut short") || refused.contains("not a tar"), "{cut}: {refused}");
    }
    assert!(reason(b"").contains("not a tar archive"));
    assert!(reason(&[b'x'; 5000]).contains("not a tar archive"));
    let mut flipped = good.clone();
    flipped[1024] ^= 1;
    assert!(reason(&flipped).contains("checksum"));
    for size in [&[0xff; 12][..], &[0x80, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0], b"-0000000001\0"] {
        let mut bad = header(EntryType::file(), "a", 0);
        bad.as_old_mut().size.copy_from_slice(size);
        bad.set_cksum();
        let refused = reason(&archive(&[bad.as_bytes().to_vec()]));
        assert!(refused.contains("makes no sense"), "{refused}");
    }
    let huge = [pax(&[("size", "9223372036854775807")]), file("a", "")].concat();
    assert!(reason(&archive(&[huge])).contains("cut short"));
    for records in [("mtime", "soon"), ("uid", "4294967295"), ("size", "-1"), ("path", "a\0b")] {
        let bad = archive(&[pax(&[records]), file("a", "")]);
        assert!(reason(&bad).contains("damaged"), "{records:?}: {}", reason(&bad));
    }
    let unknown = archive(&[entry(EntryType::new(b'M'), "a", b"")]);
    assert!(reason(&unknown).contains("no known kind"));
}

#[test]
fn limits_hold_also_for_what_is_compressed() {
    let limits = Limits { bytes: 1 << 20, inodes: 100 };
    let refused = |bytes: &[u8]| read(bytes, limits, None).err().unwrap_or_default();
    let zeros = archive(&[entry(EntryType::file(), "bomb", &vec![0; 64 << 20])]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&zeros).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&zeros[..], 3).unwrap();
    assert!(zstd.len() < 20_000 && gzip.len() < 100_000);
    for bomb in [&zeros, &gzip, &zstd] {
        assert!(refused(bomb).contains("more bytes than are allowed"), "{}", refused(bomb));
    }
    // Nothing but zeros behind the end, for ever.
    let padding = zstd::encode_all(&[archive(&[]), vec![0; 8 << 20]].concat()[..], 3).unwrap();
    assert!(refused(&padding).contains("more than is allowed"));
    let many: Vec<_> = (0..200).map(|n| file(&format!("f{n}"), "")).collect();
    assert!(refused(&archive(&many)).contains("more inodes"));
    assert!(refused(&archive(&[file(&"d/".repeat(50).repeat(2)[..99], "")])).is_empty());
    let deep = [pax(&[("path", &"d/".repeat(200))]), file("a", "")].concat();
    assert!(refused(&archive(&[deep])).contains("more inodes"));
    let long = pax(&[("path", &"x".repeat(1 << 20))]);
    assert!(refused(&archive(&[long])).contains("too long"));
}

#[test]
fn compression_is_recognised_and_its_damage_told() {
    let plain = archive(&[file("a", "content")]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&plain).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&plain[..], 3).unwrap();
    for packed in [gzip, zstd] {
        assert_eq!(text(&taken(&packed), "a"), "content");
        for cut in 5..packed.len() {
            let options = ImportOptions { limits: ANY, owner: None };
            let result = import_tar(&mut &packed[..cut], options, NOW);
            let kind = result.map(|_| ()).map_err(|error| error.kind);
            assert!(!matches!(kind, Ok(()) | Err(ImportErrorKind::Io(_))), "{cut}: {kind:?}");
        }
        let mut damaged = packed.clone();
        let middle = packed.len() / 2;
        damaged[middle] ^= 0x55;
        assert!(!reason(&damaged).contains("reading the"), "{}", reason(&damaged));
    }
}

#[test]
fn device_nodes_are_left_out_for_who_may_not_make_them() {
    let device = entry(EntryType::character_special(), "null", b"");
    let bytes = archive(&[device, file("a", "")]);
    let (tree, skipped) = read(&bytes, ANY, Some((1000, 1000))).unwrap();
    assert_eq!((root_names(&tree), skipped), (vec!["a".to_owned()], 1));
    let (tree, skipped) = read(&bytes, ANY, None).unwrap();
    assert_eq!((root_names(&tree).len(), skipped), (2, 0));
}

#[test]
fn maps_of_sparse_files_are_checked() {
    let old = |map: &str| {
        let records = [("GNU.sparse.size", "100000"), ("GNU.sparse.map", map)];
        archive(&[pax(&records), file("a", "12345678")])
    };
    assert_eq!(taken(&old("4096,3,90000,5")).bytes, 8192);
    for map in ["0,4,2,4", "0,9", "99999,8", "0,8,1", "5,3,0,5", "18446744073709551615,8", "x,8"] {
        assert!(reason(&old(map)).contains("damaged"), "{map}: {}", reason(&old(map)));
    }
    let keys = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")];
    let new = |map: &str, real: &str| {
        let records = [&keys[..], &[("GNU.sparse.realsize", real), ("GNU.sparse.name", "s")]];
        let mut content = map.as_bytes().to_vec();
        content.resize(512, 0);
        content.extend_from_slice(b"data");
        archive(&[pax(&records.concat()), entry(EntryType::file(), "x", &content)])
    };
    let tree = taken(&new("2\n8192\n4\n99999\n0\n", "99999"));
    assert_eq!((root_names(&tree), tree.bytes), (vec!["s".to_owned()], 4096));
    for (map, real) in [
        ("1\n0\n5\n", "9"),
        ("1\n8\n4\n", "9"),
        ("9999999\n", "9"),
        ("1\n0\n4\n", "9223372036854775808"),
        ("\n", "9"),
        ("-1\n", "9"),
    ] {
        assert_ne!(reason(&new(map, real)), "taken", "{map}");
    }
}

#[test]
fn nothing_that_is_said_often_takes_more_than_is_allowed() {
    let limits = Limits { bytes: 1 << 20, inodes: 1000 };
    let refused = |parts: &[Vec<u8>]| read(&archive(parts), limits, None).err().unwrap_or_default();
    let long = |len: usize| pax(&[("SCHILY.xattr.user.a", &"x".repeat(len))]);
    let global = |mut header: Vec<u8>| {
        header[156] = b'g';
        let mut again = Header::from_byte_slice(&header[..512]).clone();
        again.set_cksum();
        header[..512].copy_from_slice(again.as_bytes());
        header
    };
    // A record that each entry gets a copy of.
    let mut parts = vec![global(long(60_000))];
    parts.extend((0..100).map(|n| file(&format!("f{n}"), "")));
    assert!(refused(&parts).contains("names and attributes take more than is allowed"));
    assert!(refused(&vec![global(long(60_000)); 2]).contains("header is too long"));
    assert!(refused(&vec![long(60_000); 16]).contains("header is too long"));
    // One file for ever: it is there once.
    let same = vec![file("a", "x"); 3000];
    assert!(read(&archive(&same), limits, None).is_ok());
    // Chunks that are one page behind fifteen that are none.
    let map = |n: u64| format!("{},1", n * 65536 + 65535);
    let maps: Vec<_> = (0..250).map(map).collect();
    let size = (250u64 << 16).to_string();
    let records = [("GNU.sparse.size", &size[..]), ("GNU.sparse.map", &maps.join(","))];
    let holes = [pax(&records), file("a", &"x".repeat(250))];
    assert!(refused(&holes).contains("more than is allowed"), "{}", refused(&holes));
    let one: Vec<_> = (0..200)
        .flat_map(|n| {
            let records = [("GNU.sparse.size", "65536"), ("GNU.sparse.map", "65535,1")];
            [pax(&records), file(&format!("f{n}"), "x")]
        })
        .collect();
    assert!(refused(&one).contains("more than is allowed"), "{}", refused(&one));
}

#[test]
fn what_unpacks_for_ever_has_an_end() {
    // Each entry replaces the one before, so neither limit is ever reached.
    let limits = Limits { bytes: 1 << 20, inodes: 10 };
    let big = entry(EntryType::file(), "a", &vec![0; 400 << 10]);
    let packed = zstd::encode_all(&archive(&vec![big; 200])[..], 3).unwrap();
    assert!(packed.len() < 100_000);
    let refused = read(&packed, limits, None).err().unwrap_or_default();
    assert!(refused.contains("unpacks to far more than is allowed"), "{refused}");
}
