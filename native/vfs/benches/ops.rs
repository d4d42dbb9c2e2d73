//! Nanoseconds per operation of the engine alone: `cargo bench -p devdev-vfs`.
//!
//! Plain loops and the best of a few rounds: good to see a factor, not a percent.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use devdev_vfs::{Caller, Hold, NodeId, RenameFlags, SetAttr, Vfs, WriteFlags, sample};

const FILES: u64 = 20_000;
const ROUNDS: u32 = 5;

fn vfs() -> Arc<Vfs> {
    sample::workspace(8 << 30)
}

// The best of a few rounds, each over a workspace of its own.
fn measure(name: &str, ops: u64, mut round: impl FnMut(&Arc<Vfs>) -> Instant) {
    let best = (0..ROUNDS).map(|_| {
        let vfs = vfs();
        round(&vfs).elapsed().as_nanos() as u64 / ops
    });
    println!("{name:<42} {:>8} ns", best.min().unwrap_or(0));
}

fn name(n: u64) -> Vec<u8> {
    format!("file-{n}.txt").into_bytes()
}

// Files in directories of 100.
fn fill(vfs: &Vfs, hold: Hold) -> Vec<(NodeId, NodeId)> {
    let caller = Caller::default();
    let mut all = Vec::new();
    let mut dir = NodeId::ROOT;
    for n in 0..FILES {
        if n % 100 == 0 {
            dir = vfs.mkdir(NodeId::ROOT, &name(n), 0o755, caller, hold).unwrap().attr.node;
        }
        let file = vfs.mknod(dir, &name(n), 0o644, 0, caller, hold).unwrap().attr.node;
        all.push((dir, file));
    }
    all
}

fn write(vfs: &Vfs, file: NodeId, offset: u64, data: &[u8]) {
    black_box(vfs.write(file, offset, data, WriteFlags::default()).is_ok());
}

fn names() {
    measure("create", FILES, |vfs| {
        let start = Instant::now();
        fill(vfs, Hold::None);
        start
    });
    measure("create, held", FILES, |vfs| {
        let start = Instant::now();
        fill(vfs, Hold::Take);
        start
    });
    for hold in [Hold::None, Hold::Take] {
        measure(&format!("lookup, {hold:?}"), FILES, |vfs| {
            let all = fill(vfs, hold);
            let names: Vec<_> = (0..FILES).map(name).collect();
            let start = Instant::now();
            for ((dir, _), name) in all.iter().zip(&names) {
                black_box(vfs.lookup(*dir, name, hold).is_ok());
            }
            start
        });
    }
    measure("unlink", FILES, |vfs| {
        let all = fill(vfs, Hold::None);
        let names: Vec<_> = (0..FILES).map(name).collect();
        let start = Instant::now();
        all.iter().zip(&names).for_each(|((dir, _), name)| vfs.unlink(*dir, name).unwrap());
        start
    });
    measure("rename across directories", FILES, |vfs| {
        let all = fill(vfs, Hold::None);
        let names: Vec<_> = (0..FILES).map(name).collect();
        let start = Instant::now();
        for ((dir, _), name) in all.iter().zip(&names) {
            vfs.rename(*dir, name, NodeId::HOME, name, RenameFlags::default()).unwrap();
        }
        start
    });
    measure("readdir, per entry", FILES, |vfs| {
        let all = fill(vfs, Hold::None);
        let start = Instant::now();
        for (dir, _) in all.iter().step_by(100) {
            vfs.readdir(*dir, 0, &mut |entry| black_box(entry.cookie) > 0).unwrap();
        }
        start
    });
}

fn content() {
    let small = [7u8; 1000];
    measure("getattr", FILES, |vfs| {
        let all = fill(vfs, Hold::None);
        let start = Instant::now();
        all.iter().for_each(|(_, file)| assert!(black_box(vfs.getattr(*file)).is_ok()));
        start
    });
    measure("chmod", FILES, |vfs| {
        let all = fill(vfs, Hold::None);
        let set = SetAttr { mode: Some(0o600), ..SetAttr::default() };
        let start = Instant::now();
        all.iter().for_each(|(_, file)| drop(black_box(vfs.setattr(*file, &set))));
        start
    });
    measure("write 1000 bytes, new file", FILES, |vfs| {
        let all = fill(vfs, Hold::None);
        let start = Instant::now();
        all.iter().for_each(|(_, file)| write(vfs, *file, 0, &small));
        start
    });
    measure("write 1000 bytes, in place", FILES, |vfs| {
        let all = fill(vfs, Hold::None);
        all.iter().for_each(|(_, file)| write(vfs, *file, 0, &small));
        let start = Instant::now();
        all.iter().for_each(|(_, file)| write(vfs, *file, 0, &small));
        start
    });
    measure("read 1000 bytes", FILES, |vfs| {
        let all = fill(vfs, Hold::None);
        all.iter().for_each(|(_, file)| write(vfs, *file, 0, &small));
        let start = Instant::now();
        all.iter().for_each(|(_, file)| drop(black_box(vfs.read(*file, 0, 4096))));
        start
    });
    let big = vec![7u8; 1 << 20];
    measure("write 1 MiB, new", 256, |vfs| {
        let file = fill(vfs, Hold::None)[0].1;
        let start = Instant::now();
        (0..256).for_each(|n| write(vfs, file, n << 20, &big));
        start
    });
    measure("write 4 KiB at random in 256 MiB", FILES, |vfs| {
        let file = fill(vfs, Hold::None)[0].1;
        (0..256).for_each(|n| write(vfs, file, n << 20, &big));
        let start = Instant::now();
        (0..FILES).for_each(|n| write(vfs, file, n * 7919 % 65536 * 4096, &big[..4096]));
        start
    });
    measure("unlink a file of 256 MiB", 1, |vfs| {
        let file = Vfs::mknod(vfs, NodeId::ROOT, b"big", 0o644, 0, Caller::default(), Hold::None);
        let file = file.unwrap().attr.node;
        (0..256).for_each(|n| write(vfs, file, n << 20, &big));
        let start = Instant::now();
        vfs.unlink(NodeId::ROOT, b"big").unwrap();
        start
    });
    measure("append 100 bytes", FILES, |vfs| {
        let file = fill(vfs, Hold::None)[0].1;
        let start = Instant::now();
        (0..FILES).for_each(|n| write(vfs, file, n * 100, &small[..100]));
        start
    });
}

fn time_travel() {
    let small = [7u8; 1000];
    measure("freeze, 20,000 files", 1, |vfs| {
        let all = fill(vfs, Hold::None);
        vfs.freeze();
        write(vfs, all[0].1, 0, &small);
        let start = Instant::now();
        black_box(vfs.freeze());
        start
    });
    measure("first write to a file after a freeze", FILES, |vfs| {
        let all = fill(vfs, Hold::None);
        all.iter().for_each(|(_, file)| write(vfs, *file, 0, &small));
        let frozen = vfs.freeze();
        let start = Instant::now();
        all.iter().for_each(|(_, file)| write(vfs, *file, 0, &small));
        drop(frozen);
        start
    });
    measure("restore, 100 of 20,000 files changed", 1, |vfs| {
        let all = fill(vfs, Hold::Take);
        let frozen = vfs.freeze();
        all.iter().step_by(200).for_each(|(_, file)| write(vfs, *file, 0, &small));
        let start = Instant::now();
        black_box(vfs.restore(&frozen));
        start
    });
    for threads in [1, 2, 4] {
        measure(&format!("getattr + write, {threads} threads"), FILES * 2, |vfs| {
            let all = fill(vfs, Hold::None);
            let start = Instant::now();
            std::thread::scope(|scope| {
                for part in all.chunks(all.len() / threads) {
                    scope.spawn(move || {
                        for (_, file) in part {
                            black_box(vfs.getattr(*file).is_ok());
                            write(vfs, *file, 0, &small[..100]);
                        }
                    });
                }
            });
            start
        });
    }
}

fn memory() {
    let resident = || {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = statm.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        pages * 4096
    };
    let mut kept = Vec::new();
    for hold in [Hold::None, Hold::Take] {
        let before = resident();
        let vfs = vfs();
        (0..20).for_each(|_| fill_again(&vfs, hold));
        let per = resident().saturating_sub(before) / (20 * FILES);
        println!("{:<42} {per:>8} bytes", format!("memory per empty file, {hold:?}"));
        // Its memory must not serve the next one.
        kept.push(vfs);
    }
}

// As `fill`, below a directory of its own.
fn fill_again(vfs: &Vfs, hold: Hold) {
    let caller = Caller::default();
    let top = name(vfs.usage().inodes);
    let top = vfs.mkdir(NodeId::ROOT, &top, 0o755, caller, hold).unwrap().attr.node;
    for n in 0..FILES {
        vfs.mknod(top, &name(n), 0o644, 0, caller, hold).unwrap();
    }
}

fn main() {
    memory();
    names();
    content();
    time_travel();
}
