//! The engine's trees through the store and through a stream: random operations on a `Vfs`, then
//! each freeze is persisted, loaded, exported and imported, and all of them are the same tree.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use devdev_pack::{
    ImportOptions, Meta, Pace, PersistJob, content_id, export, import, unpack_block, unpack_page,
};
use devdev_vfs::sample::Random;
use devdev_vfs::{
    BlockHash, Bytes, Caller, Clock, Hold, Limits, NodeId, Outcome, PageId, RenameFlags, S_IFDIR,
    S_IFIFO, S_IFREG, SetAttr, SetXattr, Timespec, Tree, TreeLoader, Vfs, VfsOptions, Waitable,
    WriteFlags, block_bytes,
};

struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> Timespec {
        Timespec { secs: self.0.fetch_add(1, Ordering::Relaxed), nanos: 7 }
    }
}

const LIMITS: Limits = Limits { bytes: 1 << 30, inodes: 100_000 };

fn options() -> VfsOptions {
    let clock = Arc::new(Ticks(AtomicI64::new(1000)));
    VfsOptions { clock, limits: LIMITS, xattrs: true, owner: Caller::default() }
}

#[derive(Default)]
struct Store {
    blocks: HashMap<BlockHash, Vec<u8>>,
    pages: HashMap<PageId, Vec<u8>>,
}

impl Store {
    fn put(&mut self, tree: &Arc<Tree>) -> PageId {
        let (mut job, mut buffer) = (PersistJob::new(tree), vec![0; 1 << 20]);
        job.hash(Pace::FULL);
        let mut missing = vec![0; job.hashes().len().div_ceil(8)];
        for (n, hash) in job.hashes().iter().enumerate() {
            missing[n / 8] |= u8::from(!self.blocks.contains_key(hash)) << (n % 8);
        }
        job.set_missing(&missing).unwrap();
        loop {
            let packed = job.fill(&mut buffer, Pace::FULL).unwrap();
            if packed.is_empty() {
                break;
            }
            for p in packed {
                let bytes = &buffer[p.offset as usize..][..p.len as usize];
                let block = unpack_block(p.encoding, bytes, p.raw_len as usize).unwrap();
                self.blocks.insert(BlockHash(p.name), block);
            }
        }
        loop {
            let packed = job.fill_pages(&mut buffer).unwrap();
            if packed.is_empty() {
                break;
            }
            for p in packed {
                let bytes = &buffer[p.offset as usize..][..p.len as usize];
                let page = unpack_page(p.encoding, bytes, p.raw_len as usize).unwrap();
                self.pages.insert(PageId(p.name), page);
            }
        }
        job.committed().unwrap();
        job.root().unwrap()
    }

    fn load(&self, root: PageId, reference: Option<&Tree>) -> Arc<Tree> {
        let mut loader = TreeLoader::new(root, reference);
        while !loader.wanted().is_empty() {
            loader.wanted().iter().for_each(|id| loader.feed(*id, &self.pages[id]).unwrap());
        }
        loader.finish().unwrap()
    }

    fn export(&self, tree: &Arc<Tree>) -> Vec<u8> {
        let mut out = Vec::new();
        let fetch = |chunk: &Arc<devdev_vfs::Chunk>| -> io::Result<Bytes> {
            let hash = chunk.hash().ok_or(io::ErrorKind::NotFound)?;
            Ok(Arc::new(self.blocks[&hash].clone()))
        };
        export(tree, &Meta::default(), &fetch, &mut |bytes| {
            out.extend_from_slice(bytes);
            Ok(())
        })
        .unwrap();
        out
    }
}

/// The names there are, as (parent, name, node, kind).
type Names = Vec<(NodeId, Vec<u8>, NodeId, u32)>;

fn names(vfs: &Vfs) -> Names {
    let (mut all, mut todo) = (Names::new(), vec![NodeId::ROOT, NodeId::HOME]);
    while let Some(dir) = todo.pop() {
        let mut here = Vec::new();
        vfs.readdir(dir, 0, &mut |entry| {
            here.push((dir, entry.name.to_vec(), entry.node, entry.kind));
            true
        })
        .unwrap();
        here.retain(|(_, name, ..)| name != b"." && name != b"..");
        todo.extend(here.iter().filter(|n| n.3 == S_IFDIR).map(|n| n.2));
        all.extend(here);
    }
    all
}

/// Runs an operation that may want blocks; brings them and runs it again.
fn retry<T>(vfs: &Vfs, store: &Store, mut run: impl FnMut() -> Waitable<T>) {
    for _ in 0..3 {
        match run() {
            Ok(Outcome::Wait(needs)) => {
                for need in needs {
                    let devdev_vfs::Need::Block(chunk) = need else { unreachable!() };
                    let block = store.blocks[&chunk.hash().unwrap()].clone();
                    assert!(chunk.fill(Arc::new(block)));
                }
            }
            Ok(Outcome::Done(_)) | Err(_) => return,
        }
    }
    panic!("blocks were brought and are wanted still: {:?}", vfs.usage());
}

fn step(vfs: &Vfs, store: &Store, random: &mut Random) {
    let all = names(vfs);
    let mut dirs = vec![NodeId::ROOT, NodeId::HOME];
    dirs.extend(all.iter().filter(|n| n.3 == S_IFDIR).map(|n| n.2));
    let dir = dirs[random.below(dirs.len() as u64) as usize];
    let name = format!("n{}", random.below(30)).into_bytes();
    let caller = Caller { uid: random.below(2) as u32, gid: 0, pid: 0 };
    let Some(some) = all.get(random.below(all.len() as u64 + 1) as usize) else {
        let _ = vfs.mkdir(dir, &name, 0o755, caller, Hold::None);
        return;
    };
    let at = random.below(3) * random.below(6 << 20);
    let len = 1 + random.below(100_000);
    match random.below(14) {
        0 => _ = vfs.mkdir(dir, &name, 0o755, caller, Hold::None),
        1 | 2 => _ = vfs.mknod(dir, &name, S_IFREG | 0o644, 0, caller, Hold::None),
        3 => _ = vfs.mknod(dir, &name, S_IFIFO | 0o600, 0, caller, Hold::None),
        4 => _ = vfs.symlink(dir, &name, b"over/there", caller, Hold::None),
        5 => _ = vfs.link(some.2, dir, &name, Hold::None),
        6 if random.below(2) == 0 => _ = vfs.unlink(some.0, &some.1),
        6 => _ = vfs.rmdir(some.0, &some.1),
        7 => {
            let flags = RenameFlags { exchange: random.below(3) == 0, ..RenameFlags::default() };
            let _ = vfs.rename(some.0, &some.1, dir, &name, flags);
        }
        8 => {
            let size = Some(random.below(2) * at);
            let set = SetAttr { size, mode: Some(0o600), ..SetAttr::default() };
            retry(vfs, store, || vfs.setattr(some.2, &set));
        }
        9 => {
            let flags = SetXattr::default();
            let _ = vfs.setxattr(some.2, b"user.x", &at.to_le_bytes(), flags, caller);
        }
        10 => {
            // Keep the size, punch a hole, zero a range; by turns.
            let mode = [0, 1, 3, 16][random.below(4) as usize];
            retry(vfs, store, || vfs.fallocate(some.2, mode, at, len));
        }
        _ => {
            let byte = random.below(3) as u8;
            let data = vec![byte; len as usize];
            retry(vfs, store, || vfs.write(some.2, at, &data, WriteFlags::default()));
        }
    }
}

fn check(store: &mut Store, tree: &Arc<Tree>, before: &Tree) -> PageId {
    let id = content_id(tree, Pace::FULL);
    let root = store.put(tree);
    for reference in [None, Some(before)] {
        let loaded = store.load(root, reference);
        assert_eq!((loaded.bytes, loaded.inodes), (tree.bytes, tree.inodes));
        assert_eq!(loaded.next_ino, tree.next_ino);
        assert_eq!(content_id(&loaded, Pace::FULL), id);
    }
    let stream = store.export(tree);
    let options = ImportOptions { limits: LIMITS, owner: None };
    let (copy, _) = import(&mut &stream[..], options).unwrap();
    assert_eq!(content_id(&copy, Pace::FULL), id);
    assert_eq!((copy.bytes, copy.inodes), (tree.bytes, tree.inodes));
    assert!(store.export(&copy) == stream);
    let again = Vfs::from_tree(self::options(), &copy);
    assert_eq!(content_id(&again.freeze(), Pace::FULL), id);
    root
}

#[test]
fn what_the_engine_holds_survives_store_and_stream() {
    for seed in 0..24 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut store = Store::default();
        let vfs = Vfs::new(options());
        let mut before = vfs.freeze();
        let mut roots = Vec::new();
        for _ in 0..10 {
            (0..random.below(120)).for_each(|_| step(&vfs, &store, &mut random));
            let tree = vfs.freeze();
            let root = check(&mut store, &tree, &before);
            roots.push((root, content_id(&tree, Pace::FULL)));
            if random.below(3) == 0 {
                // Back to something older, partly out of memory.
                let (root, id) = roots[random.below(roots.len() as u64) as usize];
                let old = store.load(root, Some(&tree));
                vfs.restore(&old);
                assert_eq!(content_id(&vfs.freeze(), Pace::FULL), id);
            }
            before = tree;
        }
        assert!(store.blocks.len() > 20, "{}", store.blocks.len());
        // Whatever was written, a block is found by its name.
        for (hash, block) in &store.blocks {
            assert_eq!((BlockHash::of(block), block_bytes(block)), (*hash, &block[..]));
        }
    }
}
