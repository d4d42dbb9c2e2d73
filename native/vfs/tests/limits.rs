//! The byte limit bounds memory, whatever it goes into: each workload here takes what it can get
//! until ENOSPC, then the allocator is asked. A write that only a frozen tree stands in the way of
//! waits for it.
//!
//! One test, because allocator and limits are the whole process's.

use std::alloc::System;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use devdev_vfs::{
    Beside, Caller, Errno, Hold, Need, NodeId, Outcome, RenameFlags, Result, SetXattr, Vfs,
    WriteFlags, held_bytes, is_pressing, sample,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MIB: u64 = 1 << 20;
const LIMIT: u64 = 64 * MIB;
/// What is allowed: a fifth more, and a constant (of which a daemon takes more for itself).
const BOUND: u64 = LIMIT + LIMIT / 5 + 36 * MIB;

fn vfs() -> Arc<Vfs> {
    sample::workspace(LIMIT)
}

fn live() -> u64 {
    let stats = ALLOCATOR.stats();
    (stats.bytes_allocated - stats.bytes_deallocated) as u64
}

const ROOT: NodeId = NodeId::ROOT;

fn name(n: u64) -> Vec<u8> {
    format!("{n:08}").into_bytes()
}

fn long_name(n: u64) -> Vec<u8> {
    let mut name = vec![b'x'; 247];
    name.extend_from_slice(&self::name(n));
    name
}

fn file(vfs: &Vfs, name: &[u8]) -> Result<NodeId> {
    let made = vfs.mknod(ROOT, name, 0o644, 0, Caller::default(), Hold::None)?;
    Ok(made.attr.node)
}

fn write(vfs: &Vfs, node: NodeId, at: u64, data: &[u8]) -> Result<()> {
    match vfs.write(node, at, data, WriteFlags::default())? {
        Outcome::Done(_) => Ok(()),
        Outcome::Wait(_) => panic!("nothing is frozen"),
    }
}

type Step = fn(&Vfs, u64) -> Result<()>;

const WORKLOADS: [(&str, Step); 9] = [
    ("empty files", |vfs, n| file(vfs, &name(n)).map(drop)),
    ("directories with long names", |vfs, n| {
        vfs.mkdir(ROOT, &long_name(n), 0o755, Caller::default(), Hold::None).map(drop)
    }),
    ("long symlinks", |vfs, n| {
        vfs.symlink(ROOT, &name(n), &[b't'; 4000], Caller::default(), Hold::None).map(drop)
    }),
    ("hard links with long names", |vfs, n| {
        let node = if n == 0 { file(vfs, b"first")? } else { NodeId(16) };
        vfs.link(node, ROOT, &long_name(n), Hold::None).map(drop)
    }),
    ("large attributes", |vfs, n| {
        let (node, root) = (file(vfs, &name(n))?, Caller::default());
        vfs.setxattr(node, b"user.a", &[7; 50_000], SetXattr::default(), root)
    }),
    ("small attributes", |vfs, n| {
        let node = if n.is_multiple_of(1000) { file(vfs, &name(n))? } else { last(vfs, n) };
        vfs.setxattr(
            node,
            &[b"user.", &name(n)[..]].concat(),
            b"v",
            SetXattr::default(),
            Caller::default(),
        )
    }),
    ("one byte at the end of each chunk", |vfs, n| {
        let node = if n == 0 { file(vfs, b"sparse")? } else { NodeId(16) };
        write(vfs, node, (n + 1) * 65536 - 1, b"x")
    }),
    ("files of one byte", |vfs, n| write(vfs, file(vfs, &name(n))?, 0, b"x")),
    ("files of 33 KiB, in pieces", |vfs, n| {
        let node = file(vfs, &name(n))?;
        (0..33).try_for_each(|k| write(vfs, node, k * 1024, &[7; 1024]))
    }),
];

// The file made last before step `n`.
fn last(vfs: &Vfs, n: u64) -> NodeId {
    let found = vfs.lookup(ROOT, &name(n / 1000 * 1000), Hold::None);
    match found {
        Ok(Outcome::Done(entry)) => entry.attr.node,
        _ => panic!("it was made"),
    }
}

fn until_full(vfs: &Vfs, step: Step) -> u64 {
    for n in 0..10_000_000 {
        match step(vfs, n) {
            Ok(()) => {}
            Err(Errno::NoSpc) => return n,
            Err(error) => panic!("{error:?} after {n} steps"),
        }
    }
    panic!("there is no limit");
}

fn bounded() {
    for (what, step) in WORKLOADS {
        let before = live();
        let vfs = vfs();
        let steps = until_full(&vfs, step);
        let (taken, counted) = (live() - before, held_bytes());
        println!("{what}: {steps} steps, {} MiB, counted {}", taken / MIB, counted / MIB);
        assert!(taken <= BOUND, "{what}: {} MiB for a limit of 64", taken / MIB);
        // A limit that is reached at once would be bounded, too.
        let full = taken >= LIMIT / 2 || vfs.usage().bytes >= LIMIT / 2;
        assert!(full, "{what}: full after {} MiB", taken / MIB);
        drop(vfs);
        assert!(held_bytes() <= MIB, "{what}: {} bytes counted of nothing", held_bytes());
    }
}

// Full of names: nothing that takes more, everything that takes nothing, and room again after a
// removal.
fn refused_everywhere() {
    let (vfs, root) = (vfs(), Caller::default());
    let there = vfs.mkdir(ROOT, b"there", 0o755, root, Hold::None).unwrap().attr.node;
    let one = file(&vfs, b"one").unwrap();
    write(&vfs, one, 0, &[1; 5000]).unwrap();
    let steps = until_full(&vfs, |vfs, n| {
        vfs.symlink(ROOT, &long_name(n), &[b't'; 4000], Caller::default(), Hold::None).map(drop)
    });
    let full = Err(Errno::NoSpc);
    assert_eq!(file(&vfs, b"file").map(drop), full);
    assert_eq!(vfs.mkdir(ROOT, b"dir", 0o755, root, Hold::None).map(drop), full);
    assert_eq!(vfs.symlink(ROOT, b"link", b"to", root, Hold::None).map(drop), full);
    assert_eq!(vfs.link(one, ROOT, b"name", Hold::None).map(drop), full);
    assert_eq!(vfs.tmpfile(ROOT, 0o644, root).map(drop), full);
    assert_eq!(vfs.setxattr(one, b"user.a", b"v", SetXattr::default(), root), full);
    assert_eq!(write(&vfs, one, 1 << 20, b"x"), full);
    assert!(matches!(vfs.fallocate(one, 0, 1 << 20, 4096), Err(Errno::NoSpc)));
    let flags = RenameFlags::default();
    assert_eq!(vfs.rename(ROOT, b"one", there, b"two", flags), full);
    assert_eq!(vfs.rename(ROOT, b"one", ROOT, b"longer", flags), full);
    // What takes nothing.
    assert_eq!(vfs.rename(ROOT, b"one", ROOT, b"two", flags), Ok(()));
    assert_eq!(vfs.rename(ROOT, b"two", ROOT, &long_name(0), flags), Ok(()));
    assert_eq!(write(&vfs, one, 0, &[2; 5000]), Ok(()));
    for n in 0..steps / 2 {
        vfs.unlink(ROOT, &long_name(n)).unwrap();
    }
    assert_eq!(file(&vfs, b"file").map(drop), Ok(()));
    vfs.check_invariants().unwrap();
}

// Overwriting all that a frozen tree holds waits for its end.
fn pinned() {
    let vfs = vfs();
    let node = file(&vfs, b"big").unwrap();
    let fill = |byte: u8| (0..60).map(move |n| (n * MIB, vec![byte; MIB as usize]));
    for (at, data) in fill(1) {
        write(&vfs, node, at, &data).unwrap();
    }
    let frozen = vfs.freeze();
    frozen.note_leaving();
    let mut needs = None;
    for (at, data) in fill(2) {
        match vfs.write(node, at, &data, WriteFlags::default()).unwrap() {
            Outcome::Done(_) => {}
            Outcome::Wait(wait) => {
                needs = Some((wait, at));
                break;
            }
        }
    }
    let (needs, at) = needs.expect("twice the limit is held");
    assert!(matches!(needs[..], [Need::Room]));
    println!("pinned: {} MiB rewritten before a write waits", at / MIB);
    assert!(live() <= BOUND);
    // Names are made all the same.
    file(&vfs, b"name").unwrap();
    let (sender, woken) = channel();
    vfs.wait_for(needs, Box::new(move |result| sender.send(result).unwrap()));
    assert!(woken.recv_timeout(Duration::from_millis(300)).is_err(), "nothing has changed");
    drop(frozen);
    assert_eq!(woken.recv_timeout(Duration::from_secs(60)), Ok(Ok(())));
    for (at, data) in fill(2) {
        write(&vfs, node, at, &data).unwrap();
    }
    // A frozen tree that is kept will not go: it is full.
    let _kept = vfs.freeze();
    let other = file(&vfs, b"other").unwrap();
    let wait = |needs| {
        let (sender, woken) = channel();
        vfs.wait_for(needs, Box::new(move |result| sender.send(result).unwrap()));
        woken.recv_timeout(Duration::from_secs(60)).expect("a tree may be stored soon, or not")
    };
    let result = (0..60).try_for_each(|n| {
        loop {
            match vfs.write(other, n * MIB, &[3; MIB as usize], WriteFlags::default())? {
                Outcome::Done(_) => return Ok(()),
                Outcome::Wait(needs) => wait(needs)?,
            }
        }
    });
    assert_eq!(result, Err(Errno::NoSpc));
}

// What is freed is kept by the allocator as long as there is room for it within the limits, less
// for what others have beside the engines.
fn pressing() {
    let _vfs = vfs();
    assert!(!is_pressing(LIMIT / 2) && is_pressing(LIMIT));
    let beside = Beside::new(LIMIT / 2);
    assert!(is_pressing(LIMIT / 2));
    drop(beside);
    assert!(!is_pressing(LIMIT / 2));
}

#[test]
fn the_limit_bounds_memory() {
    pressing();
    bounded();
    refused_everywhere();
    pinned();
}
