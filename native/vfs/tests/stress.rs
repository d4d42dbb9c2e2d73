//! Many threads on few names, with freezes and restores in between: nothing hangs or panics, every
//! frozen tree is a consistent cut, and in the end all counts are right. Lock order is asserted
//! throughout (debug builds).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use devdev_vfs::{
    Caller, Clock, Errno, Hold, Limits, Need, NodeId, Outcome, RenameFlags, SetAttr, Timespec, Vfs,
    VfsOptions, Waitable, Whence, WriteFlags,
};

struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> Timespec {
        Timespec { secs: self.0.fetch_add(1, Ordering::Relaxed), nanos: 0 }
    }
}

fn options() -> VfsOptions {
    VfsOptions {
        clock: Arc::new(Ticks(AtomicI64::new(1))),
        limits: Limits { bytes: 64 << 20, inodes: 500 },
        xattrs: true,
        owner: Caller::default(),
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }

    fn name(&mut self) -> String {
        format!("n{}", self.below(6))
    }
}

fn duration() -> Duration {
    let ms = std::env::var("DEVDEV_STRESS_MS").ok().map(|ms| ms.parse().expect("a number"));
    Duration::from_millis(ms.unwrap_or(1500))
}

fn done<T>(outcome: Waitable<T>) -> Result<T, Errno> {
    match outcome? {
        Outcome::Done(done) => Ok(done),
        // Frozen trees may hold what the limits allow; nobody here waits for their end.
        Outcome::Wait(needs) if matches!(needs[..], [Need::Room]) => Err(Errno::NoSpc),
        Outcome::Wait(_) => panic!("nothing is in a store"),
    }
}

// Walks down from the root, or from tmp, holding what it finds.
fn find(vfs: &Vfs, random: &mut Random, held: &mut Vec<NodeId>) -> NodeId {
    let mut at = if random.below(4) == 0 { NodeId::TMP } else { NodeId::ROOT };
    for _ in 0..random.below(4) {
        match done(vfs.lookup(at, random.name().as_bytes(), Hold::Take)) {
            Ok(entry) => {
                at = entry.attr.node;
                held.push(at);
            }
            Err(errno) => assert!(matches!(errno, Errno::NoEnt | Errno::NotDir), "{errno:?}"),
        }
    }
    at
}

fn operate(vfs: &Vfs, random: &mut Random, held: &mut Vec<NodeId>) -> Result<(), Errno> {
    let (node, other) = (find(vfs, random, held), find(vfs, random, held));
    let (name, new_name, caller) = (random.name(), random.name(), Caller::default());
    let (name, new_name) = (name.as_bytes(), new_name.as_bytes());
    match random.below(16) {
        0..=1 => vfs.mkdir(node, name, 0o755, caller, Hold::None).map(drop),
        2..=3 => vfs.mknod(node, name, 0o644, 0, caller, Hold::None).map(drop),
        4 => vfs.unlink(node, name),
        5 => vfs.rmdir(node, name),
        6..=7 => vfs.rename(node, name, other, new_name, RenameFlags::default()),
        8 => {
            let flags = RenameFlags { exchange: true, ..RenameFlags::default() };
            vfs.rename(node, name, other, new_name, flags)
        }
        9 => vfs.link(node, other, new_name, Hold::None).map(drop),
        10..=11 => {
            let data = vec![7; random.below(150_000) as usize];
            let flags = WriteFlags {
                append: random.below(2) == 0,
                kill_privileges: false,
                keep_times: false,
            };
            done(vfs.write(node, random.below(200_000), &data, flags)).map(drop)
        }
        12 => {
            let set = SetAttr { size: Some(random.below(200_000)), ..SetAttr::default() };
            done(vfs.setattr(node, &set)).map(drop)
        }
        13 => done(vfs.copy_file_range(node, 0, other, 0, 1 << 20)).map(drop),
        14 => {
            let unnamed = vfs.tmpfile(node, 0o600, caller)?.attr.node;
            held.push(unnamed);
            vfs.link(unnamed, node, name, Hold::None).map(drop)
        }
        _ => {
            done(vfs.fallocate(node, 3, random.below(70_000), 70_000)).ok();
            vfs.lseek(node, 0, Whence::Data).ok();
            done(vfs.read(node, 0, 200_000)).ok();
            vfs.readdir(node, 0, &mut |_| true)
        }
    }
}

fn work(vfs: &Vfs, seed: u64, stop: &AtomicBool, count: &AtomicU64) {
    let mut random = Random(seed);
    while !stop.load(Ordering::Relaxed) {
        let mut held = Vec::new();
        // Whatever it comes to: others take names away all the time.
        if let Err(errno) = operate(vfs, &mut random, &mut held) {
            assert_ne!(errno, Errno::Io);
        }
        for node in held {
            // What is held can be looked at, whatever became of its names.
            assert!(vfs.getattr(node).is_ok(), "{node:?} is held");
            vfs.forget(node, 1);
        }
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn travel(vfs: &Vfs, seed: u64, stop: &AtomicBool) {
    let mut random = Random(seed);
    let mut frozen = vec![vfs.freeze()];
    while !stop.load(Ordering::Relaxed) {
        let tree = vfs.freeze();
        let fork = Vfs::from_tree(options(), &tree);
        assert_eq!(fork.check_invariants(), Ok(()));
        if frozen.len() < 5 {
            frozen.push(tree);
        } else {
            let at = random.below(5) as usize;
            frozen[at] = tree;
        }
        let back = &frozen[random.below(frozen.len() as u64) as usize];
        let restored = vfs.restore(back);
        assert!(restored.names.len() < 10_000);
        std::thread::sleep(Duration::from_micros(random.below(3000)));
    }
}

#[test]
fn threads_freezes_and_restores() {
    let vfs = Vfs::new(options());
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let seed = std::env::var("DEVDEV_STRESS_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("DEVDEV_STRESS_SEED={seed}");
    std::thread::scope(|scope| {
        for n in 0..4 {
            let (vfs, stop, count) = (&vfs, &stop, &count);
            scope.spawn(move || work(vfs, seed * 100 + n, stop, count));
        }
        scope.spawn(|| travel(&vfs, seed, &stop));
        let _stop = Stop(&stop);
        let start = Instant::now();
        while start.elapsed() < duration() && !std::thread::panicking() {
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    println!("{} operations", count.load(Ordering::Relaxed));
    assert_eq!(vfs.check_invariants(), Ok(()));
    assert!(vfs.held().is_empty());
    assert!(count.load(Ordering::Relaxed) > 100);
}

// Ends the other threads also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

// A directory is moved to and fro between two others: every cut shows it in exactly one, and its
// parent is that one.
#[test]
fn a_cut_never_shows_half_an_operation() {
    let vfs = Vfs::new(options());
    let caller = Caller::default();
    let dir =
        |name: &[u8]| vfs.mkdir(NodeId::ROOT, name, 0o755, caller, Hold::None).unwrap().attr.node;
    let (left, right) = (dir(b"left"), dir(b"right"));
    let inner = vfs.mkdir(left, b"inner", 0o755, caller, Hold::None).unwrap().attr.node;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut ends = (left, right);
            while !stop.load(Ordering::Relaxed) {
                vfs.rename(ends.0, b"inner", ends.1, b"inner", RenameFlags::default()).unwrap();
                ends = (ends.1, ends.0);
            }
        });
        let _stop = Stop(&stop);
        for _ in 0..500 {
            let tree = vfs.freeze();
            let fork = Vfs::from_tree(options(), &tree);
            assert_eq!(fork.check_invariants(), Ok(()));
            let has = |dir| done(fork.lookup(dir, b"inner", Hold::None)).is_ok();
            assert!(has(left) != has(right));
            let parent = done(fork.lookup(inner, b"..", Hold::None)).unwrap().attr.node;
            assert!(has(parent));
        }
    });
}
