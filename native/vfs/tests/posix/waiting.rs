//! Bytes that are only in the store: what waits, what is asked for, what is never needed.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use devdev_vfs::{
    BlockHash, Body, Errno, Hold, Loader, Need, NeedKey, NodeId, Outcome, SetAttr, Tree, Waitable,
    WriteFlags, block_bytes, changed_inodes,
};
use parking_lot::Mutex;

use crate::setup::{Fs, ROOT, USER, done, fs};

const CHUNK: usize = 64 * 1024;

#[derive(Default)]
struct Asked(Mutex<Vec<NeedKey>>);

impl Loader for Asked {
    fn load(&self, keys: &[NeedKey]) {
        self.0.lock().extend_from_slice(keys);
    }
}

impl Asked {
    fn take(&self) -> Vec<NeedKey> {
        std::mem::take(&mut *self.0.lock())
    }
}

// Marks all chunks of a tree as stored and takes them out of memory.
fn evict(tree: &Tree) -> Vec<(BlockHash, Vec<u8>)> {
    let mut blocks = Vec::new();
    changed_inodes(&Tree::empty().root, &tree.root, |_, _, inode| {
        if let Some(Body::File(content)) = inode.map(|inode| &inode.body) {
            for (_, chunk) in content.chunks() {
                let bytes = block_bytes(&chunk.bytes().unwrap()).to_vec();
                blocks.push((chunk.hash().unwrap(), bytes));
                chunk.mark_stored();
                assert!(chunk.evict());
            }
        }
    });
    blocks
}

struct Stored {
    fs: Fs,
    asked: Arc<Asked>,
    file: NodeId,
    blocks: Vec<(BlockHash, Vec<u8>)>,
}

// A file of two chunks and a bit, all of it only in the store.
fn stored() -> Stored {
    let fs = fs();
    let asked = Arc::new(Asked::default());
    fs.set_loader(Some(asked.clone()));
    let file = fs.file(ROOT, "file");
    for (n, len) in [(1u8, CHUNK), (2, CHUNK), (3, 5000)] {
        fs.put(file, u64::from(n - 1) * CHUNK as u64, &vec![n; len]).unwrap();
    }
    let blocks = evict(&fs.freeze());
    Stored { fs, asked, file, blocks }
}

fn needs<T>(outcome: Waitable<T>) -> Vec<Need> {
    match outcome.map_err(|errno| panic!("{errno:?}")) {
        Ok(Outcome::Wait(needs)) => needs,
        _ => panic!("the bytes are only in the store"),
    }
}

fn wait(fs: &Fs, needs: Vec<Need>) -> Receiver<Result<(), Errno>> {
    let (tell, told) = channel();
    fs.wait_for(needs, Box::new(move |outcome| tell.send(outcome).unwrap()));
    told
}

#[test]
fn each_block_is_asked_for_once() {
    let Stored { fs, asked, file, blocks } = stored();
    let first = wait(&fs, needs(fs.read(file, 0, 1)));
    let all = wait(&fs, needs(fs.read(file, 0, 1 << 20)));
    assert_eq!(asked.take().len(), 3);
    fs.supply_block(blocks[0].0, blocks[0].1.clone());
    assert_eq!((first.try_recv(), all.try_recv().is_err()), (Ok(Ok(())), true));
    assert_eq!(fs.part(file, 10, 3), [1; 3]);
    fs.supply_block(blocks[1].0, blocks[1].1.clone());
    fs.supply_block(blocks[2].0, blocks[2].1.clone());
    assert_eq!(all.try_recv(), Ok(Ok(())));
    assert_eq!(fs.bytes(file).len(), 2 * CHUNK + 5000);
    // What is there already is not waited for.
    assert_eq!(wait(&fs, Vec::new()).try_recv(), Ok(Ok(())));
    assert!(asked.take().is_empty());
}

#[test]
fn one_block_fills_every_chunk_that_waits_for_it() {
    let fs = fs();
    let asked = Arc::new(Asked::default());
    fs.set_loader(Some(asked.clone()));
    let (a, b) = (fs.file(ROOT, "a"), fs.file(ROOT, "b"));
    fs.put(a, 0, b"same").unwrap();
    // Equal but for zeros at the end: one block.
    fs.put(b, 0, b"same\0\0\0").unwrap();
    let blocks = evict(&fs.freeze());
    let both = [needs(fs.read(a, 0, 9)), needs(fs.read(b, 0, 9))].into_iter().flatten();
    let told = wait(&fs, both.collect());
    assert_eq!(asked.take().len(), 1);
    fs.supply_block(blocks[0].0, blocks[0].1.clone());
    assert_eq!(told.try_recv(), Ok(Ok(())));
    assert_eq!((fs.bytes(a), fs.bytes(b)), (b"same".to_vec(), b"same\0\0\0".to_vec()));
}

#[test]
fn failures_reach_those_who_wait() {
    let Stored { fs, asked, file, blocks } = stored();
    let told = wait(&fs, needs(fs.read(file, 0, 1 << 20)));
    // Damaged bytes are no bytes.
    assert!(!fs.supply_block(blocks[0].0, b"something else".to_vec()));
    assert_eq!(told.try_recv(), Ok(Err(Errno::Io)));
    fs.supply_block(blocks[1].0, blocks[1].1.clone());
    assert!(told.try_recv().is_err());
    assert!(matches!(fs.read(file, 0, 1), Ok(Outcome::Wait(_))));
    asked.take();
    let told = wait(&fs, needs(fs.read(file, 0, 1)));
    assert_eq!(asked.take(), [NeedKey::Block(blocks[0].0)]);
    fs.fail_need(&NeedKey::Block(blocks[0].0), Errno::TimedOut);
    assert_eq!(told.try_recv(), Ok(Err(Errno::TimedOut)));
    let told = wait(&fs, needs(fs.read(file, 0, 1)));
    fs.set_loader(None);
    assert_eq!(told.try_recv(), Ok(Err(Errno::Io)));
    let told = wait(&fs, needs(fs.read(file, 0, 1)));
    assert_eq!(told.try_recv(), Ok(Err(Errno::Io)));
}

#[test]
fn what_replaces_a_chunk_does_not_need_it() {
    let Stored { fs, asked, file, .. } = stored();
    fs.put(file, 0, &[9; CHUNK]).unwrap();
    // The last one, as far as it goes.
    fs.put(file, 2 * CHUNK as u64, &[9; 5000]).unwrap();
    let size = |size| SetAttr { size: Some(size), ..SetAttr::default() };
    done(fs.setattr(file, &size(CHUNK as u64))).unwrap();
    done(fs.fallocate(file, 3, 0, CHUNK as u64)).unwrap();
    assert_eq!(fs.bytes(file), [0; CHUNK]);
    assert!(asked.take().is_empty());
    fs.check();
}

#[test]
fn what_changes_part_of_a_chunk_waits_and_changes_nothing() {
    let Stored { fs, file, .. } = stored();
    let before = (fs.attr(file), fs.change_count());
    let size = SetAttr { size: Some(100), mode: Some(0o600), ..SetAttr::default() };
    let flags = WriteFlags { kill_privileges: true, ..WriteFlags::default() };
    assert_eq!(needs(fs.write(file, 100, &[9; 2 * CHUNK], flags)).len(), 2);
    assert_eq!(needs(fs.setattr(file, &size)).len(), 1);
    assert_eq!(needs(fs.fallocate(file, 3, 0, 100)).len(), 1);
    assert_eq!((fs.attr(file), fs.change_count()), before);
    let other = fs.file(ROOT, "other");
    assert_eq!(needs(fs.copy_file_range(file, 5, other, 0, 100)).len(), 1);
    // Sharing whole chunks needs no bytes.
    let whole = done(fs.copy_file_range(file, 0, other, 0, 1 << 30)).unwrap();
    assert_eq!((whole, fs.attr(other).blocks), (2 * CHUNK as u64 + 5000, fs.attr(file).blocks));
    fs.check();
}

#[test]
fn blocks_of_open_files_without_a_name_are_pinned() {
    let Stored { fs, file, blocks, .. } = stored();
    fs.hold(file).unwrap();
    assert!(fs.pinned_blocks().is_empty());
    fs.unlink(ROOT, b"file").unwrap();
    let mut pinned = fs.pinned_blocks();
    pinned.sort();
    let mut all: Vec<_> = blocks.iter().map(|block| block.0).collect();
    all.sort();
    assert_eq!(pinned, all);
    fs.link(file, ROOT, b"again", Hold::None).unwrap();
    assert!(fs.pinned_blocks().is_empty());
    let unnamed = fs.tmpfile(ROOT, 0o600, USER).unwrap().attr.node;
    fs.put(unnamed, 0, b"in memory").unwrap();
    assert!(fs.pinned_blocks().is_empty());
}

#[test]
fn a_new_loader_is_asked_for_what_the_old_one_owes() {
    let Stored { fs, asked, file, blocks } = stored();
    let told = wait(&fs, needs(fs.read(file, 0, 1)));
    let next = Arc::new(Asked::default());
    fs.set_loader(Some(next.clone()));
    let key = NeedKey::Block(blocks[0].0);
    assert_eq!([asked.take(), next.take()], [[key.clone()], [key]]);
    fs.supply_block(blocks[0].0, blocks[0].1.clone());
    assert_eq!(told.try_recv(), Ok(Ok(())));
}
