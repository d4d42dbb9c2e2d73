//! Reading directories entry by entry while they change: names that were there all the time must be
//! seen exactly once, those that came or went at most once, and a saved position must lead on to
//! the same names.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawDir, SeekFrom};
use rustix::io;

use crate::rng::Rng;

pub struct Entry {
    pub name: Vec<u8>,
    pub kind: FileType,
    pub ino: u64,
    pub cookie: u64,
}

/// One buffer of entries from the current position; empty at the end. A small buffer makes the
/// kernel come back often.
fn read_some(dir: &OwnedFd, size: usize) -> io::Result<Vec<Entry>> {
    let mut buf = vec![MaybeUninit::uninit(); size];
    let mut raw = RawDir::new(dir, &mut buf);
    let mut out = Vec::new();
    while let Some(entry) = raw.next() {
        let entry = entry?;
        out.push(Entry {
            name: entry.file_name().to_bytes().to_vec(),
            kind: entry.file_type(),
            ino: entry.ino(),
            cookie: entry.next_entry_cookie(),
        });
        if raw.is_buffer_empty() {
            break;
        }
    }
    Ok(out)
}

/// Everything but `.` and `..`, from the start.
pub fn read_all(dir: &OwnedFd) -> io::Result<Vec<Entry>> {
    fs::seek(dir, SeekFrom::Start(0))?;
    let mut out = Vec::new();
    loop {
        let some = read_some(dir, 16_384)?;
        if some.is_empty() {
            return Ok(out);
        }
        out.extend(some.into_iter().filter(|e| e.name != b"." && e.name != b".."));
    }
}

fn name(i: u64) -> Vec<u8> {
    // Lengths vary, so that the entries that fit into a buffer do.
    format!("churn-{i}-{}", "x".repeat((i % 23) as usize)).into_bytes()
}

fn create(dir: &OwnedFd, i: u64) -> io::Result<()> {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    fs::openat(dir, OsStr::from_bytes(&name(i)), flags, Mode::from_raw_mode(0o600)).map(drop)
}

fn remove(dir: &OwnedFd, i: u64) -> io::Result<()> {
    fs::unlinkat(dir, OsStr::from_bytes(&name(i)), AtFlags::empty())
}

/// Fills the directory, reads it while names come, go and are renamed, and empties it again.
/// Some(what) tells what was wrong.
pub fn churn(dir: &OwnedFd, count: usize, seed: u64) -> io::Result<Option<String>> {
    // Names of their own each time: when a name that went in the middle of one listing comes back
    // before the next, FUSE's directory cache goes on where the first one broke off.
    let first = (seed >> 24) << 16;
    let names = first..first + count as u64;
    for i in names.clone() {
        create(dir, i)?;
    }
    let result = read_while_changing(dir, names, seed);
    let mut left: Vec<Vec<u8>> = read_all(dir)?.into_iter().map(|e| e.name).collect();
    left.retain(|n| n.starts_with(b"churn-"));
    for n in &left {
        fs::unlinkat(dir, OsStr::from_bytes(n), AtFlags::empty())?;
    }
    Ok(result?.or_else(|| check_distinct(&left)))
}

fn check_distinct(names: &[Vec<u8>]) -> Option<String> {
    let distinct: HashSet<&Vec<u8>> = names.iter().collect();
    (distinct.len() != names.len()).then(|| "a listing at rest has a name twice".into())
}

fn read_while_changing(dir: &OwnedFd, names: Range<u64>, seed: u64) -> io::Result<Option<String>> {
    let mut r = Rng::new(seed);
    let mut next = names.end;
    let mut stable: HashSet<u64> = names.collect();
    let reader = fs::openat(dir, ".", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
    let mut seen: HashMap<Vec<u8>, u32> = HashMap::new();
    let mut saved: Option<(u64, HashSet<Vec<u8>>)> = None;
    let buffer = r.pick(&[600, 1024, 4096]);
    loop {
        let some = read_some(&reader, buffer)?;
        let Some(last) = some.last() else { break };
        let position = last.cookie;
        for e in &some {
            *seen.entry(e.name.clone()).or_default() += 1;
        }
        if saved.is_none() && r.percent(20) {
            saved = Some((position, seen.keys().cloned().collect()));
        }
        for _ in 0..r.below(4) {
            change(dir, &mut r, &mut stable, &mut next)?;
        }
    }
    for i in &stable {
        match seen.get(&name(*i)) {
            Some(1) => {}
            Some(n) => return Ok(Some(format!("churn-{i} was listed {n} times"))),
            None => return Ok(Some(format!("churn-{i} was there all the time and not listed"))),
        }
    }
    match saved {
        Some((position, before)) => check_seek(&reader, position, &before, &stable),
        None => Ok(None),
    }
}

fn change(dir: &OwnedFd, r: &mut Rng, stable: &mut HashSet<u64>, next: &mut u64) -> io::Result<()> {
    let mut known: Vec<u64> = stable.iter().copied().collect();
    known.sort_unstable();
    let victim = (known.len() > 5).then(|| known[r.index(known.len())]);
    match (r.below(3), victim) {
        (0, Some(i)) => {
            stable.remove(&i);
            remove(dir, i)?;
        }
        (1, Some(i)) => {
            stable.remove(&i);
            let (from, to) = (name(i), name(*next));
            *next += 1;
            fs::renameat(dir, OsStr::from_bytes(&from), dir, OsStr::from_bytes(&to))?;
        }
        _ => {
            create(dir, *next)?;
            *next += 1;
        }
    }
    Ok(())
}

/// From a position that was saved half way, the rest of the names follows, and none of those
/// before.
fn check_seek(
    reader: &OwnedFd,
    position: u64,
    before: &HashSet<Vec<u8>>,
    stable: &HashSet<u64>,
) -> io::Result<Option<String>> {
    fs::seek(reader.as_fd(), SeekFrom::Start(position))?;
    let mut after = HashSet::new();
    loop {
        let some = read_some(reader, 4096)?;
        if some.is_empty() {
            break;
        }
        after.extend(some.into_iter().map(|e| e.name));
    }
    for i in stable {
        let n = name(*i);
        if before.contains(&n) == after.contains(&n) {
            let what = if after.contains(&n) { "again" } else { "not at all" };
            return Ok(Some(format!("churn-{i} is listed {what} from a saved position")));
        }
    }
    Ok(None)
}
