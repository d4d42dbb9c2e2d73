//! A persist job against a store in memory.

use std::collections::HashMap;

use devdev_vfs::sample::{self, Random};
use devdev_vfs::{Content, Ino, Inode, Timespec, TreeBuilder, TreeLoader};

use super::*;
use crate::encoding::{unpack_block, unpack_page};

#[derive(Default)]
struct Store {
    blocks: HashMap<[u8; 32], Vec<u8>>,
    pages: HashMap<[u8; 32], Vec<u8>>,
}

impl Store {
    fn missing(&self, job: &PersistJob) -> Vec<u8> {
        let mut bitmap = vec![0; job.hashes().len().div_ceil(8)];
        for (n, hash) in job.hashes().iter().enumerate() {
            bitmap[n / 8] |= u8::from(!self.blocks.contains_key(&hash.0)) << (n % 8);
        }
        bitmap
    }

    fn put(&mut self, tree: &Arc<Tree>, pace: Pace) -> (PageId, usize) {
        let mut job = PersistJob::new(tree);
        let mut buffer = vec![0; 640 << 10];
        job.hash(pace);
        job.set_missing(&self.missing(&job)).unwrap();
        let (left, mut blocks) = (job.blocks_left().0, 0);
        loop {
            let packed = job.fill(&mut buffer, pace).unwrap();
            for Packed { name, offset, len, raw_len, encoding } in &packed {
                let bytes = &buffer[*offset as usize..(offset + len) as usize];
                let raw = unpack_block(*encoding, bytes, *raw_len as usize).unwrap();
                assert_eq!(BlockHash::of(&raw).0, *name);
                assert!(self.blocks.insert(*name, raw).is_none(), "a block came twice");
                blocks += 1;
            }
            if packed.is_empty() {
                break;
            }
        }
        assert_eq!((left, job.blocks_left()), (blocks, (0, 0)));
        assert_eq!(job.committed(), Err(PersistError::OutOfOrder("fill_pages")));
        loop {
            let packed = job.fill_pages(&mut buffer[..20_000]).unwrap();
            for Packed { name, offset, len, raw_len, encoding } in &packed {
                let bytes = &buffer[*offset as usize..(offset + len) as usize];
                let raw = unpack_page(*encoding, bytes, *raw_len as usize).unwrap();
                self.pages.insert(*name, raw);
            }
            if packed.is_empty() {
                break;
            }
        }
        job.committed().unwrap();
        (job.root().unwrap(), blocks)
    }

    fn load(&self, root: PageId) -> Arc<Tree> {
        let mut loader = TreeLoader::new(root, None);
        while !loader.wanted().is_empty() {
            let wanted = loader.wanted();
            wanted.iter().for_each(|id| loader.feed(*id, &self.pages[&id.0]).unwrap());
        }
        loader.finish().unwrap()
    }
}

#[test]
fn a_tree_goes_through_the_buffer() {
    for (seed, pace) in [(1, Pace::FULL), (2, Pace { threads: 1, duty: 0.9 })] {
        let mut store = Store::default();
        let tree = sample::tree(&mut Random(seed), 300).freeze();
        let (root, blocks) = store.put(&tree, pace);
        assert!(blocks > 50);
        let loaded = store.load(root);
        assert_eq!((loaded.inodes, loaded.bytes), (tree.inodes, tree.bytes));
        assert_eq!(store.put(&tree, pace), (root, 0));
        assert_eq!(store.put(&loaded, pace), (root, 0));
        assert_eq!(content_id(&loaded, pace), content_id(&tree, pace));
    }
}

#[test]
fn blocks_that_the_store_has_are_not_packed() {
    let mut store = Store::default();
    let (first, blocks) = store.put(&sample::tree(&mut Random(5), 100).freeze(), Pace::FULL);
    // The same tree, built anew: nothing in it is known to be stored.
    let again = sample::tree(&mut Random(5), 100).freeze();
    assert!(blocks > 0 && PersistJob::new(&again).persist.chunks().len() >= blocks);
    assert_eq!(store.put(&again, Pace::FULL), (first, 0));
}

fn one_file(chunk: Arc<Chunk>) -> Arc<Tree> {
    let mut builder = TreeBuilder::new();
    let mode = devdev_vfs::S_IFREG | 0o644;
    let mut file = Inode::new(Ino(0), mode, 0, 0, Ino(0), Timespec::default());
    file.size = chunk.len() as u64;
    file.body = devdev_vfs::Body::File(Content::One(chunk));
    builder.add(Ino::ROOT, b"file", file).unwrap();
    builder.freeze()
}

#[test]
fn failures_are_typed_and_can_be_tried_again() {
    let tree = one_file(Arc::new(Chunk::new(vec![3; 70], 1)));
    let mut job = PersistJob::new(&tree);
    let mut buffer = vec![0; 1 << 20];
    let out_of_order = |step| Err(PersistError::OutOfOrder(step));
    assert_eq!(job.fill(&mut buffer, Pace::FULL), out_of_order("set_missing"));
    assert_eq!(job.set_missing(&[]), Err(PersistError::OutOfOrder("hash")));
    job.hash(Pace::FULL);
    job.set_missing(&[]).unwrap();
    let need = PersistError::BufferTooSmall(65536);
    assert_eq!(job.fill(&mut buffer[..1000], Pace::FULL), Err(need));
    assert!(matches!(job.fill_pages(&mut buffer[..9]), Err(PersistError::BufferTooSmall(_))));
    let first = (job.fill(&mut buffer, Pace::FULL), job.fill_pages(&mut buffer));
    let root = job.root();
    assert!(root.is_some());
    job.rewind();
    assert_eq!(job.root(), None);
    job.set_missing(&[1]).unwrap();
    assert_eq!((job.fill(&mut buffer, Pace::FULL), job.fill_pages(&mut buffer)), first);
    assert_eq!(job.root(), root);
}

#[test]
fn a_block_that_is_nowhere_is_an_error() {
    let hash = BlockHash::of(b"lost");
    let lost = Arc::new(Chunk::new(b"lost".to_vec(), 1));
    assert_eq!(lost.hash(), Some(hash));
    let tree = one_file(lost.clone());
    let mut job = PersistJob::new(&tree);
    job.hash(Pace::FULL);
    job.set_missing(&[1]).unwrap();
    lost.mark_stored();
    assert!(lost.evict());
    let result = job.fill(&mut vec![0; 1 << 17], Pace::FULL);
    assert_eq!(result, Err(PersistError::BlockGone(hash)));
}
