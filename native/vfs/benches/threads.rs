//! Operations per second of the engine alone with 1, 2 and 4 threads, each in a directory of its
//! own or all in one: `cargo bench -p devdev-vfs --bench threads`. With as many CPUs as threads the
//! figures should grow with the threads; with fewer they should at least not fall.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use devdev_vfs::{Caller, Hold, NodeId, Vfs, WriteFlags, sample};

const FILES: usize = 60_000;
const ROUNDS: usize = 5;
const STEPS: [&str; 4] = ["create", "write 1000 bytes", "look up", "remove"];

fn vfs() -> Arc<Vfs> {
    sample::workspace(8 << 30)
}

fn name(thread: usize, n: usize) -> Vec<u8> {
    format!("file-{thread}-{n}.txt").into_bytes()
}

// One thread's part, a step at a time, all threads at once; how long each step took it.
fn work(vfs: &Vfs, dir: NodeId, thread: usize, files: usize, start: &Barrier) -> [Duration; 4] {
    let names: Vec<_> = (0..files).map(|n| name(thread, n)).collect();
    let mut nodes = Vec::with_capacity(files);
    let data = [7u8; 1000];
    [0, 1, 2, 3].map(|step| {
        start.wait();
        let began = Instant::now();
        for (n, name) in names.iter().enumerate() {
            match step {
                0 => {
                    let made = vfs.mknod(dir, name, 0o644, 0, Caller::default(), Hold::Take);
                    nodes.push(made.unwrap().attr.node);
                }
                1 => drop(black_box(vfs.write(nodes[n], 0, &data, WriteFlags::default()))),
                2 => drop(black_box(vfs.lookup(dir, name, Hold::Take))),
                _ => {
                    vfs.unlink(dir, name).unwrap();
                    vfs.forget(nodes[n], 2);
                }
            }
        }
        began.elapsed()
    })
}

// Nanoseconds of wall time for an operation, by step: the slowest thread's.
fn round(threads: usize, one_dir: bool) -> [f64; 4] {
    let vfs = vfs();
    let caller = Caller::default();
    let dirs: Vec<_> = (0..threads)
        .map(|t| {
            let t = if one_dir { 0 } else { t };
            let made = vfs.mkdir(NodeId::ROOT, &name(t, 0), 0o755, caller, Hold::None);
            made.map_or(NodeId(16), |entry| entry.attr.node)
        })
        .collect();
    let (files, start) = (FILES / threads, Barrier::new(threads));
    let times: Vec<[Duration; 4]> = std::thread::scope(|scope| {
        let (vfs, start) = (&vfs, &start);
        let run = |(t, dir): (usize, &NodeId)| {
            let dir = *dir;
            scope.spawn(move || work(vfs, dir, t, files, start))
        };
        let all: Vec<_> = dirs.iter().enumerate().map(run).collect();
        all.into_iter().map(|thread| thread.join().expect("a thread ends")).collect()
    });
    [0, 1, 2, 3].map(|step| {
        let slowest = times.iter().map(|time| time[step]).max().unwrap_or_default();
        slowest.as_nanos() as f64 / (files * threads) as f64
    })
}

fn main() {
    println!("ns of wall time for each operation; {FILES} in all, best of {ROUNDS}");
    for one_dir in [false, true] {
        let place = if one_dir { "one directory" } else { "a directory each" };
        let best = [1, 2, 4].map(|threads| {
            (0..ROUNDS)
                .map(|_| round(threads, one_dir))
                .fold([f64::MAX; 4], |best, now| [0, 1, 2, 3].map(|step| best[step].min(now[step])))
        });
        for (step, what) in STEPS.iter().enumerate() {
            let [one, two, four] = best.map(|times| times[step]);
            println!(
                "{what:<18} {place:<18} 1: {one:>6.0}  2: {two:>6.0} ({:.2} x)  4: {four:>6.0} ({:.2} x)",
                one / two,
                one / four
            );
        }
    }
}
