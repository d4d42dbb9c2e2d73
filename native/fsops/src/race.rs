//! Threads that collide on purpose in one directory. No order is given, so there is nothing to
//! compare with; what is checked holds in every order: one winner of an exclusive create, no torn
//! appends, nothing lost in renames, and at rest a tree whose counts agree.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path as StdPath;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::{self, AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::{self, Errno};

use crate::churn;
use crate::op::{Caps, draw};
use crate::rng::Rng;
use crate::tree;
use crate::world::{Side, World};

type Check = fn(&OwnedFd, &StdPath, u64, u64) -> Result<(), String>;

const CHECKS: [(&str, Check); 5] = [
    ("exclusive", exclusive),
    ("append", append),
    ("tokens", tokens),
    ("links", links),
    ("chaos", chaos),
];

pub fn race(dir: &StdPath, seed: u64, seconds: u64, threads: u64) -> Result<String, String> {
    println!("seed {seed}, {threads} threads");
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut rounds = 0;
    while Instant::now() < end {
        let (name, check) = CHECKS[(rounds % CHECKS.len() as u64) as usize];
        let path = dir.join(format!("race-{seed}-{rounds}"));
        fs::mkdir(&path, Mode::from_raw_mode(0o755)).map_err(text("mkdir"))?;
        let root = open_dir(&path).map_err(text("open"))?;
        check(&root, &path, seed + rounds, threads)
            .map_err(|what| format!("RACE {name}, seed {seed}, round {rounds}: {what}"))?;
        tree::wipe(&root).map_err(text("removing the tree"))?;
        fs::rmdir(&path).map_err(text("rmdir"))?;
        rounds += 1;
    }
    Ok(format!("ok: {rounds} rounds of {} races, seed {seed}", CHECKS.len()))
}

fn text(what: &'static str) -> impl Fn(Errno) -> String {
    move |e| format!("{what}: {e:?}")
}

fn open_dir(path: &StdPath) -> io::Result<OwnedFd> {
    fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Runs `work(thread)` in all threads at once; the first complaint wins.
fn together<F>(threads: u64, work: F) -> Result<(), String>
where
    F: Fn(u64) -> Result<(), String> + Sync,
{
    let (barrier, work) = (Barrier::new(threads as usize), &work);
    let barrier = &barrier;
    std::thread::scope(|scope| {
        let run = move |t| {
            barrier.wait();
            work(t)
        };
        let all: Vec<_> = (0..threads).map(|t| scope.spawn(move || run(t))).collect();
        all.into_iter()
            .map(|handle| handle.join().unwrap_or_else(|_| Err("a thread panicked".into())))
            .fold(Ok(()), Result::and)
    })
}

/// Each name can be made once, whichever call makes it.
fn exclusive(root: &OwnedFd, _: &StdPath, seed: u64, threads: u64) -> Result<(), String> {
    let made: Vec<AtomicU64> = (0..100).map(|_| AtomicU64::new(0)).collect();
    together(threads, |t| {
        let mut r = Rng::new(seed * 31 + t);
        let own = format!("own-{t}");
        for (i, count) in made.iter().enumerate() {
            let name = format!("n{i}");
            let mode = Mode::from_raw_mode(0o600);
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            let result = match r.below(5) {
                0 => fs::openat(root, &name, flags, mode).map(drop),
                1 => fs::mkdirat(root, &name, mode),
                2 => fs::symlinkat("nowhere", root, &name),
                3 => {
                    fs::openat(root, &own, OFlags::CREATE | OFlags::WRONLY, mode)
                        .map_err(text("open"))?;
                    fs::linkat(root, &own, root, &name, AtFlags::empty())
                }
                _ => {
                    fs::openat(root, &own, OFlags::CREATE | OFlags::WRONLY, mode)
                        .map_err(text("open"))?;
                    fs::renameat_with(root, &own, root, &name, RenameFlags::NOREPLACE)
                }
            };
            match result {
                Ok(()) => {
                    count.fetch_add(1, Relaxed);
                }
                Err(Errno::EXIST) => {}
                Err(e) => return Err(format!("{name}: {e:?}")),
            }
        }
        Ok(())
    })?;
    match made.iter().position(|count| count.load(Relaxed) != 1) {
        Some(i) => Err(format!("n{i} was made {} times", made[i].load(Relaxed))),
        None => at_rest(root),
    }
}

/// Records appended through separate descriptors neither tear nor overwrite each other.
fn append(root: &OwnedFd, _: &StdPath, _: u64, threads: u64) -> Result<(), String> {
    const RECORDS: u64 = 200;
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC;
    together(threads, |t| {
        let fd =
            fs::openat(root, "log", flags, Mode::from_raw_mode(0o600)).map_err(text("open"))?;
        for i in 0..RECORDS {
            let record = format!("{t:04} {i:06} {}\n", "r".repeat(87));
            if io::write(&fd, record.as_bytes()).map_err(text("append"))? != record.len() {
                return Err("a short append".into());
            }
        }
        Ok(())
    })?;
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    let fd = fs::openat(root, "log", OFlags::RDONLY, Mode::empty()).map_err(text("open"))?;
    let all = read_all(&fd).map_err(text("read"))?;
    let lines = String::from_utf8(all).map_err(|_| "the log is not text")?;
    if lines.lines().count() as u64 != RECORDS * threads {
        return Err(format!("{} of {} records", lines.lines().count(), RECORDS * threads));
    }
    for line in lines.lines() {
        let (t, i) = (line.get(..4).unwrap_or(""), line.get(5..11).unwrap_or(""));
        let i: i64 = i.parse().map_err(|_| format!("a torn record: {line:?}"))?;
        if line.len() != 99 || last.insert(t.into(), i).unwrap_or(-1) != i - 1 {
            return Err(format!("a record torn or out of order: {line:?}"));
        }
    }
    Ok(())
}

fn read_all(fd: &OwnedFd) -> io::Result<Vec<u8>> {
    let mut out = vec![0; fs::fstat(fd)?.st_size as usize + 1];
    let mut at = 0;
    loop {
        let n = io::pread(fd.as_fd(), &mut out[at..], at as u64)?;
        at += n;
        if n == 0 {
            out.truncate(at);
            return Ok(out);
        }
    }
}

/// Files that are renamed about, also exchanged, are neither lost nor doubled.
fn tokens(root: &OwnedFd, _: &StdPath, seed: u64, threads: u64) -> Result<(), String> {
    const DIRS: u64 = 3;
    const TOKENS: u64 = 12;
    let mode = Mode::from_raw_mode(0o700);
    for d in 0..DIRS {
        fs::mkdirat(root, format!("d{d}"), mode).map_err(text("mkdir"))?;
    }
    for t in 0..TOKENS {
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        let fd = fs::openat(root, format!("d0/t{t}"), flags, mode).map_err(text("create"))?;
        io::write(&fd, format!("token {t}").as_bytes()).map_err(text("write"))?;
    }
    together(threads, |thread| {
        let mut r = Rng::new(seed * 131 + thread);
        for _ in 0..400 {
            // More places than tokens, and no replacing: every rename moves one to a free place.
            let place = |r: &mut Rng| format!("d{}/t{}", r.below(DIRS), r.below(TOKENS));
            let (from, to) = (place(&mut r), place(&mut r));
            let flags = r.pick(&[RenameFlags::NOREPLACE, RenameFlags::EXCHANGE]);
            match fs::renameat_with(root, &from, root, &to, flags) {
                Ok(()) | Err(Errno::NOENT | Errno::EXIST) => {}
                Err(e) => return Err(format!("rename {from} {to} {flags:?}: {e:?}")),
            }
        }
        Ok(())
    })?;
    let mut found = Vec::new();
    for d in 0..DIRS {
        let dir = fs::openat(root, format!("d{d}"), OFlags::RDONLY, Mode::empty())
            .map_err(text("open"))?;
        for entry in churn::read_all(&dir).map_err(text("readdir"))? {
            let name = String::from_utf8_lossy(&entry.name).into_owned();
            let fd =
                fs::openat(&dir, &name, OFlags::RDONLY, Mode::empty()).map_err(text("open"))?;
            found.push(String::from_utf8_lossy(&read_all(&fd).map_err(text("read"))?).into_owned());
        }
    }
    found.sort();
    let mut all: Vec<String> = (0..TOKENS).map(|t| format!("token {t}")).collect();
    all.sort();
    if found == all { at_rest(root) } else { Err(format!("tokens at the end: {found:?}")) }
}

/// The link count follows links and unlinks of many threads.
fn links(root: &OwnedFd, _: &StdPath, _: u64, threads: u64) -> Result<(), String> {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    let fd = fs::openat(root, "base", flags, Mode::from_raw_mode(0o600)).map_err(text("create"))?;
    together(threads, |t| {
        for i in 0..150 {
            let name = format!("l{t}-{i}");
            fs::linkat(root, "base", root, &name, AtFlags::empty()).map_err(text("link"))?;
            if i % 3 != 0 {
                fs::unlinkat(root, &name, AtFlags::empty()).map_err(text("unlink"))?;
            }
        }
        Ok(())
    })?;
    let (links, expected) = (fs::fstat(&fd).map_err(text("fstat"))?.st_nlink, 1 + 50 * threads);
    if links != expected {
        return Err(format!("{links} links, {expected} expected"));
    }
    at_rest(root)
}

/// The operations of the differential test, all threads on the same few names: any errno that a
/// race explains is fine, any other is not.
fn chaos(root: &OwnedFd, path: &StdPath, seed: u64, threads: u64) -> Result<(), String> {
    let caps = Caps {
        root: rustix::process::geteuid().is_root(),
        xattr: true,
        tmpfile: true,
        big: 1 << 31,
        engine: false,
    };
    let worlds: io::Result<Vec<_>> =
        (0..threads).map(|_| World::open(path.into()).map(Mutex::new)).collect();
    let worlds = worlds.map_err(text("open"))?;
    together(threads, |t| {
        let mut world = worlds[t as usize].lock().map_err(|e| e.to_string())?;
        let mut r = Rng::new(seed * 1_000_003 + t);
        for _ in 0..600 {
            let op = draw(&mut r, caps);
            // Stores to a mapping fault when another thread truncates, and a churned directory has
            // other threads' names in it: both say nothing about the file system.
            let name = format!("{op:?}");
            if name.starts_with("Map") || name.starts_with("Churn") || name.starts_with("Seek") {
                continue;
            }
            match world.apply(&op) {
                Err(e @ (Errno::IO | Errno::NOSYS | Errno::REMOTEIO | Errno::NOTCONN)) => {
                    return Err(format!("{name}: {e:?}"));
                }
                Err(e @ (Errno::DEADLK | Errno::PROTO | Errno::NOMEM | Errno::STALE)) => {
                    return Err(format!("{name}: {e:?}"));
                }
                _ => {}
            }
        }
        Ok(())
    })?;
    fs::chmod(path, Mode::from_raw_mode(0o755)).map_err(text("chmod"))?;
    at_rest(root)
}

fn at_rest(root: &OwnedFd) -> Result<(), String> {
    let path =
        std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(root)))
            .map_err(|e| e.to_string())?;
    let world = World::open(path).map_err(text("open"))?;
    let tree = tree::capture(&world).map_err(text("walking the tree"))?;
    if tree.broken.is_empty() { Ok(()) } else { Err(tree.broken.join("; ")) }
}
