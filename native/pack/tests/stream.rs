//! Export and import together: what goes out comes back, byte for byte, and nothing else is taken.

use std::io;
use std::sync::Arc;

use devdev_pack::{
    ExportError, ImportErrorKind, ImportOptions, Meta, Pace, content_id, export, import,
};
use devdev_vfs::codec::{put_bytes, put_time, put_varint};
use devdev_vfs::record::put_record;
use devdev_vfs::sample::{self, Random};
use devdev_vfs::{
    Body, Bytes, Chunk, Content, DiffScope, Ino, Inode, Limits, Persist, S_IFDIR, S_IFREG,
    Timespec, Tree, TreeBuilder, TreeLoader, path_diff,
};

const ANY: Limits = Limits { bytes: 1 << 32, inodes: 1 << 20 };

fn meta() -> Meta {
    let created = Timespec { secs: 1_800_000_000, nanos: 5 };
    Meta { name: "before".into(), message: "two\nlines".into(), created }
}

fn no_store(_: &Arc<Chunk>) -> io::Result<Bytes> {
    Err(io::Error::other("there is no store"))
}

fn write(tree: &Arc<Tree>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sink = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok(())
    };
    export(tree, &meta(), &no_store, &mut sink).unwrap();
    out
}

fn read(bytes: &[u8], limits: Limits) -> Result<(Arc<Tree>, Meta), (u64, String)> {
    let options = ImportOptions { limits, owner: None };
    import(&mut &bytes[..], options).map_err(|e| (e.position, e.to_string()))
}

/// Persists and loads a tree, which checks it as a whole.
fn check(tree: &Arc<Tree>) {
    let mut persist = Persist::new(tree);
    let mut pages = std::collections::HashMap::new();
    while let Some((id, page)) = persist.next_page() {
        pages.insert(id, page);
    }
    let mut loader = TreeLoader::new(persist.root().unwrap(), None);
    while !loader.wanted().is_empty() {
        loader.wanted().iter().for_each(|id| loader.feed(*id, &pages[id]).unwrap());
    }
    let loaded = loader.finish().unwrap();
    assert_eq!((loaded.bytes, loaded.inodes), (tree.bytes, tree.inodes));
}

#[test]
fn export_import_export_is_byte_identical() {
    for seed in 0..60 {
        println!("seed {seed}");
        let inodes = [0, 2, 30, 300][seed as usize % 4];
        let tree = sample::tree(&mut Random(seed), inodes).freeze();
        let bytes = write(&tree);
        assert_eq!(write(&tree), bytes);
        let (copy, said) = read(&bytes, ANY).unwrap();
        assert_eq!(said, meta());
        assert_eq!(content_id(&copy, Pace::FULL), content_id(&tree, Pace::FULL));
        assert_eq!(copy.inodes, tree.inodes);
        assert_eq!(write(&copy), bytes);
        check(&copy);
        // Inodes are numbered in the order of the walk, so a second copy is the same tree.
        let (again, _) = read(&bytes, ANY).unwrap();
        assert_eq!(path_diff(&copy, &again, DiffScope { times: true, ..DiffScope::default() }), []);
    }
}

fn small() -> Arc<Tree> {
    let mut random = Random(3);
    let mut builder = TreeBuilder::new();
    let node = |mode| Inode::new(Ino(0), mode, 5, 6, Ino(0), Timespec { secs: 1, nanos: 2 });
    let dir = builder.add(Ino::ROOT, b"dir", node(S_IFDIR | 0o755)).unwrap();
    let mut file = node(S_IFREG | 0o644);
    let mut content = Content::default();
    content.set(0, Some(Arc::new(Chunk::new(b"some text".to_vec(), 1))));
    let zeros: Vec<u8> = (0..4096).map(|n| u8::from(n % 4 == 0)).collect();
    content.set(2, Some(Arc::new(Chunk::new(zeros, 1))));
    (file.body, file.size) = (Body::File(content), 200_000);
    let ino = builder.add(dir, b"file", file).unwrap();
    builder.link(Ino::HOME, b"link", ino).unwrap();
    for n in 0..4u8 {
        let mut inode = sample::inode(&mut random);
        if matches!(inode.body, Body::File(_)) {
            inode = node(S_IFREG | 0o600);
        }
        builder.add(Ino::HOME, &[b'a' + n], inode).unwrap();
    }
    builder.freeze()
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let bytes = write(&small());
    assert!(bytes.len() < 2000, "{}", bytes.len());
    read(&bytes, ANY).unwrap();
    for at in 0..bytes.len() {
        assert!(read(&bytes[..at], ANY).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert!(read(&damaged, ANY).is_err(), "bit {bit} of byte {at}");
        }
    }
    let longer = [&bytes[..], b"x"].concat();
    let (position, text) = read(&longer, ANY).err().unwrap();
    assert_eq!(position, bytes.len() as u64);
    assert!(text.contains("bytes follow its end"), "{text}");
}

#[test]
fn what_is_no_snapshot_is_told_apart() {
    let kind = |bytes: &[u8]| {
        let options = ImportOptions { limits: ANY, owner: None };
        import(&mut &bytes[..], options).err().unwrap().kind
    };
    assert!(matches!(kind(b""), ImportErrorKind::NotASnapshot));
    assert!(matches!(kind(b"PK\x03\x04........"), ImportErrorKind::NotASnapshot));
    let mut bytes = write(&small());
    bytes[8] = 2;
    assert!(matches!(kind(&bytes), ImportErrorKind::Version(2)));
    let mut bytes = write(&small());
    let at = bytes.len() - 1;
    bytes[at] ^= 1;
    assert!(matches!(kind(&bytes), ImportErrorKind::Digest));
    assert!(matches!(kind(&bytes[..at]), ImportErrorKind::Truncated));
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk on fire"))
        }
    }
    let error = import(&mut Broken, ImportOptions { limits: ANY, owner: None }).err().unwrap();
    assert!(matches!(error.kind, ImportErrorKind::Io(_)));
    assert!(error.to_string().contains("disk on fire"));
}

#[test]
fn limits_hold() {
    let tree = sample::tree(&mut Random(9), 100).freeze();
    let bytes = write(&tree);
    let exact = Limits { bytes: tree.bytes, inodes: tree.inodes };
    assert!(read(&bytes, exact).is_ok());
    let fewer = Limits { inodes: tree.inodes - 1, ..exact };
    assert!(read(&bytes, fewer).err().unwrap().1.contains("more inodes than are allowed"));
    let smaller = Limits { bytes: tree.bytes - 1, ..exact };
    assert!(read(&bytes, smaller).err().unwrap().1.contains("more bytes than are allowed"));
}

#[test]
fn owners_can_be_given() {
    let tree = sample::tree(&mut Random(2), 50).freeze();
    let options = ImportOptions { limits: ANY, owner: Some((1000, 1001)) };
    let (copy, _) = import(&mut &write(&tree)[..], options).unwrap();
    let expected = devdev_vfs::remap_owners(&tree, 1000, 1001);
    assert_eq!(content_id(&copy, Pace::FULL), content_id(&expected, Pace::FULL));
}

#[test]
fn blocks_come_from_the_store_and_are_verified() {
    let chunk = Arc::new(Chunk::new(vec![9; 700], 1));
    let hash = chunk.hash().unwrap();
    let mut builder = TreeBuilder::new();
    let mut file = Inode::new(Ino(0), S_IFREG | 0o644, 0, 0, Ino(0), Timespec::default());
    (file.body, file.size) = (Body::File(Content::One(chunk.clone())), 700);
    builder.add(Ino::ROOT, b"f", file).unwrap();
    let tree = builder.freeze();
    let bytes = write(&tree);
    chunk.mark_stored();
    assert!(chunk.evict());
    let run = |fetch: &dyn Fn(&Arc<Chunk>) -> io::Result<Bytes>| {
        let mut out = Vec::new();
        export(&tree, &meta(), fetch, &mut |b| io::Write::write_all(&mut out, b)).map(|()| out)
    };
    assert_eq!(run(&|_| Ok(Arc::new(vec![9; 700]))).unwrap(), bytes);
    assert!(matches!(run(&no_store), Err(ExportError::Io(_))));
    let wrong = run(&|_| Ok(Arc::new(vec![8; 700])));
    assert!(matches!(wrong, Err(ExportError::WrongBlock(found)) if found == hash));
    let mut full = |_: &[u8]| Err(io::Error::other("no space"));
    assert!(matches!(export(&small(), &meta(), &no_store, &mut full), Err(ExportError::Io(_))));
    let long = Meta { name: "n".repeat(256), ..meta() };
    let result = export(&small(), &long, &no_store, &mut |_| Ok(()));
    assert!(matches!(result, Err(ExportError::Meta)));
}

/// A stream made by hand, with a right checksum.
struct Forged(Vec<u8>);

impl Forged {
    fn new() -> Forged {
        let mut out = devdev_pack::MAGIC.to_vec();
        out.push(devdev_pack::VERSION);
        put_bytes(&mut out, b"");
        put_bytes(&mut out, b"");
        put_time(&mut out, Timespec::default());
        Forged(out).record(S_IFDIR | 0o755)
    }

    fn record(mut self, mode: u32) -> Forged {
        let mut record = Vec::new();
        let inode = Inode::new(Ino(0), mode, 0, 0, Ino(0), Timespec::default());
        put_record(&mut record, &inode, false);
        put_bytes(&mut self.0, &record);
        self
    }

    fn tag(mut self, tag: u8, name: &[u8]) -> Forged {
        self.0.push(tag);
        put_bytes(&mut self.0, name);
        self
    }

    fn file(self, name: &[u8]) -> Forged {
        self.tag(1, name).record(S_IFREG | 0o644).numbers(&[100_000])
    }

    fn numbers(mut self, numbers: &[u64]) -> Forged {
        numbers.iter().for_each(|n| put_varint(&mut self.0, *n));
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Forged {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Ends both roots, then comes the list of blocks.
    fn home(self) -> Forged {
        self.raw(&[0]).record(S_IFDIR | 0o755).raw(&[0])
    }

    fn refused(mut self) -> String {
        let digest = *blake3::hash(&self.0).as_bytes();
        self.0.extend_from_slice(&digest);
        let limits = Limits { bytes: 1 << 20, inodes: 100 };
        read(&self.0, limits).err().map_or("taken".into(), |e| e.1)
    }
}

#[test]
fn hostile_streams_are_refused_with_a_reason() {
    let refused = |stream: Forged, reason: &str| {
        let text = stream.refused();
        assert!(text.contains(reason), "{text}");
    };
    let f = Forged::new;
    refused(f().file(b"a").numbers(&[0]).home().numbers(&[0]), "taken");
    for name in [&b""[..], b".", b"..", b"a/b", b"a\0", b"/"] {
        refused(f().file(name).numbers(&[0]), "a name is not allowed");
    }
    refused(f().file(&[b'a'; 256]), "a name is too long");
    refused(f().file(b".devdev").numbers(&[0]), "a name is reserved");
    refused(f().file(b"b").numbers(&[0]).file(b"a"), "names are out of order");
    refused(f().file(b"b").numbers(&[0]).file(b"b"), "names are out of order");
    refused(f().tag(2, b"l").numbers(&[0]), "has not come yet");
    let dir = || f().tag(1, b"d").record(S_IFDIR | 0o755);
    refused(dir().tag(2, b"self").numbers(&[0]), "a directory has two names");
    refused(f().raw(&[7]), "an entry is of no known kind");
    refused(f().tag(1, b"x").record(0o644), "a mode is no file type's");
    refused(f().file(b"a").numbers(&[0]).raw(&[0]).record(S_IFREG), "a root is no directory");
    // A chunk: distance, length, pages, block.
    let chunk = |len: u64, present: [u8; 2], block: u64| {
        f().file(b"a").numbers(&[1, 0, len]).raw(&present).numbers(&[block]).home()
    };
    refused(chunk(1, [1, 0], 1), "a block is out of order");
    refused(chunk(65537, [1, 0], 0), "a chunk is too long");
    refused(chunk(4096, [3, 0], 0), "a chunk's pages are not within it");
    refused(chunk(4096, [0, 0], 0), "a chunk's pages are not within it");
    refused(chunk(1, [1, 0], 0).numbers(&[0]), "the number of blocks is wrong");
    let block = |bytes: &[u8]| chunk(5000, [1, 0], 0).numbers(&[1]).raw(bytes);
    refused(block(&[0, 2, 7, 7]), "taken");
    refused(block(&[2, 2, 7, 7]), "packed in an unknown way");
    refused(block(&[0, 2, 7, 0]), "a block ends in zeros");
    refused(block(&[1, 2, 1, 9]), "a block does not unpack");
    refused(block(&[1, 2, 3, 9]), "a block grew");
    let long = [vec![0, 0x90, 0x4e], vec![7; 10_000]].concat();
    refused(block(&long), "a block is longer than its place");
    // Space behind a file's end is allowed, bytes are not.
    let file = |size: u64| f().tag(1, b"a").record(S_IFREG | 0o644).numbers(&[size]);
    let behind = |size: u64, bytes: &[u8]| {
        let stream = file(size).numbers(&[1, 1, 5000]).raw(&[3, 0]).numbers(&[0]);
        stream.home().numbers(&[1, 0, bytes.len() as u64]).raw(bytes)
    };
    refused(behind(65536 + 2, &[7, 7]), "taken");
    refused(behind(65536 + 1, &[7, 7]), "a block is longer than its place");
    refused(behind(10, &[7, 7]), "a block is longer than its place");
    refused(behind(10, &[]), "taken");
    let hole = [vec![0, 0x88, 0x27], vec![7; 5000]].concat();
    refused(block(&hole), "a block has bytes in a hole");
    let far = f().file(b"a").numbers(&[1, (1 << 47) - 1, 65536]).raw(&[1, 0]);
    refused(far, "behind the longest file");
    let twice = f().file(b"a").numbers(&[2, 0, 1]).raw(&[1, 0]).numbers(&[0, 0, 1]);
    let twice = twice.raw(&[1, 0]).numbers(&[1]).home().numbers(&[2]).raw(&[0, 1, 7, 0, 1, 7]);
    refused(twice, "a block comes twice");
}

#[test]
fn bombs_stop_at_the_limits() {
    // Chunks that all name one block.
    let mut stream = Forged::new().file(b"a").numbers(&[1 << 20]);
    for _ in 0..1000 {
        stream = stream.numbers(&[0, 65536]).raw(&[255, 255]).numbers(&[0]);
    }
    assert!(stream.refused().contains("more bytes than are allowed"));
    // Inodes without end.
    let mut stream = Forged::new();
    for n in 0..1000 {
        stream = stream.tag(1, format!("d{n:05}").as_bytes()).record(S_IFDIR);
    }
    assert!(stream.refused().contains("more inodes than are allowed"));
    // Names without end, of one inode.
    let mut stream = Forged::new().file(b"a").numbers(&[0]);
    for n in 0..100_000 {
        stream = stream.tag(2, format!("n{n:07}").as_bytes()).numbers(&[0]);
    }
    assert!(stream.refused().contains("names and attributes take more than is allowed"));
    // Chunks that are one page behind fifteen that are none: a sixteenth of what they take.
    let mut stream = Forged::new().file(b"a").numbers(&[200]);
    for n in 0..200 {
        stream = stream.numbers(&[0, 65536]).raw(&[0, 128]).numbers(&[n]);
    }
    assert!(stream.home().numbers(&[200]).refused().contains("its holes take more memory"));
    // A block that unpacks to more than it says.
    let bomb = zstd::bulk::compress(&vec![1; 50 << 20], 3).unwrap();
    let mut head = Forged::new().file(b"a").numbers(&[1, 0, 65536]).raw(&[255, 255]);
    head = head.numbers(&[0]).home().numbers(&[1]).raw(&[1]).numbers(&[65536, bomb.len() as u64]);
    assert!(head.raw(&bomb).refused().contains("a block does not unpack"));
}

#[test]
fn deep_directories_go_out_and_in() {
    let mut builder = TreeBuilder::new();
    let mut at = Ino::ROOT;
    for _ in 0..100_000 {
        let node = Inode::new(Ino(0), S_IFDIR | 0o755, 0, 0, Ino(0), Timespec::default());
        at = builder.add(at, b"d", node).unwrap();
    }
    let bytes = write(&builder.freeze());
    let (copy, _) = read(&bytes, ANY).unwrap();
    assert_eq!(write(&copy), bytes);
}
