//! What the engine's memory costs, counted at the allocator: bytes for each empty inode, bytes
//! beside the content of large files, and that nothing stays when files go.
//!
//! One test, because the allocator counts for the whole process.

use std::alloc::System;
use std::sync::Arc;
use std::time::{Duration, Instant};

use devdev_vfs::{Caller, Hold, NodeId, SetAttr, Vfs, WriteFlags, sample};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MIB: usize = 1 << 20;

fn vfs() -> Arc<Vfs> {
    sample::workspace(8 << 30)
}

/// Bytes that are allocated now.
fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

fn name(n: usize) -> Vec<u8> {
    format!("file-{n:06}.txt").into_bytes()
}

// `count` files in directories of `each`, with `content`.
fn fill(vfs: &Vfs, count: usize, each: usize, content: &[u8]) -> Vec<(NodeId, NodeId)> {
    let caller = Caller::default();
    let mut dir = NodeId::ROOT;
    let one = |n: usize| {
        if n.is_multiple_of(each) {
            dir = vfs.mkdir(NodeId::ROOT, &name(n), 0o755, caller, Hold::None).unwrap().attr.node;
        }
        let file = vfs.mknod(dir, &name(n), 0o644, 0, caller, Hold::None).unwrap().attr.node;
        if !content.is_empty() {
            assert!(vfs.write(file, 0, content, WriteFlags::default()).is_ok());
        }
        (dir, file)
    };
    (0..count).map(one).collect()
}

fn empty(vfs: &Vfs, files: &[(NodeId, NodeId)], each: usize) {
    for (n, (dir, _)) in files.iter().enumerate() {
        vfs.unlink(*dir, &name(n)).unwrap();
        if n % each == each - 1 {
            vfs.rmdir(NodeId::ROOT, &name(n + 1 - each)).unwrap();
        }
    }
}

// Bytes a file in `count` of them, and what stays when all have gone.
fn cost(count: usize, each: usize, content: &[u8]) -> (usize, usize) {
    let vfs = vfs();
    let before = live();
    let files = fill(&vfs, count, each, content);
    let listed = files.capacity() * size_of::<(NodeId, NodeId)>();
    let per_file = (live() - before - listed) / count;
    empty(&vfs, &files, each);
    drop(files);
    (per_file, live().saturating_sub(before))
}

fn large_file() -> (f64, usize) {
    const SIZE: usize = 256 * MIB;
    let vfs = vfs();
    let before = live();
    let (_, file) = fill(&vfs, 1, 1, b"")[0];
    let block = vec![7; MIB];
    for n in 0..SIZE / MIB {
        assert!(vfs.write(file, (n * MIB) as u64, &block, WriteFlags::default()).is_ok());
    }
    let factor = (live() - before) as f64 / SIZE as f64;
    let nothing = SetAttr { size: Some(0), ..SetAttr::default() };
    assert!(vfs.setattr(file, &nothing).is_ok());
    drop(block);
    // Much is freed by another thread.
    let end = Instant::now() + Duration::from_secs(60);
    while live().saturating_sub(before) >= MIB && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    (factor, live().saturating_sub(before))
}

#[test]
fn memory_is_within_its_bounds_and_comes_back() {
    let (per_inode, left) = cost(200_000, 100, b"");
    println!("empty file: {per_inode} bytes, {left} bytes left of 200,000");
    assert!(per_inode <= 256, "{per_inode} bytes for an empty file");
    assert!(left < MIB, "{left} bytes left");

    let (per_file, left) = cost(50_000, 100, &[7; 2048]);
    println!("file of 2 KiB: {per_file} bytes, {left} bytes left of 50,000");
    assert!(per_file <= 2048 + 2048 / 4 + 256, "{per_file} bytes for a file of 2 KiB");
    assert!(left < MIB, "{left} bytes left");

    let (per_inode, left) = cost(200_000, 200_000, b"");
    println!("empty file in one directory: {per_inode} bytes, {left} bytes left");
    assert!(per_inode <= 256, "{per_inode} bytes for an empty file in a large directory");
    assert!(left < MIB, "{left} bytes left");

    let (factor, left) = large_file();
    println!("large file: {factor:.3} x content, {left} bytes left");
    assert!(factor <= 1.15, "{factor} times the content");
    assert!(left < MIB, "{left} bytes left");
}
