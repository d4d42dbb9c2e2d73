//! Every call on every kind of object, as root and as others, on two directories: what comes back
//! (which of several reasons to refuse comes first), and what it does to every inode around it
//! (mode, owner, links, size, which times move). Nothing is drawn: a table of calls times a table
//! of paths. Runs as root, because most of it is about who may do what.

mod calls;
mod fixture;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path as StdPath;

use rustix::fs::{self, Mode, OFlags};
use rustix::io;

use crate::differ::wait_for_tick;
use crate::tree;
use calls::{Call, PAIRED, SINGLE};
use fixture::{Who, build, path, paths};

/// Cases whose results are compared together.
const BATCH: usize = 200;
/// Places that are prepared together, so that one tick of the clock serves all.
const PLACES: usize = 40;
/// Differences that are printed.
const SHOWN: usize = 40;

struct Case {
    who: Who,
    call: &'static Call,
    first: &'static str,
    second: &'static str,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {} {:?} {:?}", self.who, self.call.name, self.first, self.second)
    }
}

fn cases() -> Vec<Case> {
    let mut out = Vec::new();
    for who in [Who::Root, Who::Owner, Who::Other] {
        for call in SINGLE {
            // SEMANTICS S1: FUSE does not say in which groups a caller is, nor tells a chown that
            // sets nothing from what comes before a write.
            let known = |first: &&str| match *first {
                "own/lock" => who != Who::Other,
                "own/suid" | "own/sgid" => who != Who::Other || call.name != "chown to nobody",
                _ => true,
            };
            out.extend(paths().filter(known).map(|first| Case { who, call, first, second: "" }));
        }
        let paired = if who == Who::Other { &PAIRED[..1] } else { PAIRED };
        for call in paired {
            for first in fixture::PAIRS {
                let case = |second: &&'static str| Case { who, call, first, second };
                out.extend(fixture::PAIRS.iter().map(case));
            }
        }
    }
    out
}

/// Both directories must belong to root, and all users must be able to reach them.
///
/// Of the whole table every `part`-th call is made, `seed` says from which on.
pub fn conform(a: &StdPath, b: &StdPath, seed: u64, part: usize) -> Result<String, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("conform: only root can act as others".into());
    }
    rustix::process::umask(Mode::empty());
    println!("seed {seed}, every {part}th call");
    let first = (seed % part as u64) as usize;
    let cases: Vec<Case> = cases().into_iter().skip(first).step_by(part).collect();
    let mut found = Vec::new();
    for (n, batch) in cases.chunks(BATCH).enumerate() {
        let name = format!("conform-{n}");
        let run = |dir: &StdPath| {
            let dir = dir.join(&name);
            run_batch(&dir, batch).map_err(|e| format!("{}: the test failed: {e:?}", dir.display()))
        };
        let (left, right) = (run(a)?, run(b)?);
        for ((case, left), right) in batch.iter().zip(left).zip(right) {
            if left != right {
                found.push(format!("{case}\n  A: {left}\n  B: {right}"));
            }
        }
    }
    if found.is_empty() {
        return Ok(format!("ok: {} calls", cases.len()));
    }
    let total = found.len();
    found.truncate(SHOWN);
    Err(format!("{}\nDIFFERENT: {total} of {} calls", found.join("\n"), cases.len()))
}

/// What each case of a batch came to, as text to compare.
fn run_batch(dir: &StdPath, batch: &[Case]) -> io::Result<Vec<String>> {
    fs::mkdir(dir, Mode::from_raw_mode(0o755))?;
    let (mut out, mut made, mut ready) = (Vec::new(), 0, Vec::new());
    for case in batch {
        if ready.is_empty() {
            for _ in 0..PLACES {
                made += 1;
                ready.push(prepared(&dir.join(made.to_string()))?);
            }
            wait_for_tick();
        }
        let Some((root, before)) = ready.last() else { continue };
        let result = case.who.act(|| {
            let (first, second) = (path(case.first), path(case.second));
            (case.call.run)(root, first.as_ref(), second.as_ref())
        })?;
        let mut text = match result {
            Ok(value) => value,
            Err(errno) => format!("{errno:?}"),
        };
        let (result, after) = (text.len(), look(root)?);
        describe(before, &after, case.call.sets_atime, &mut text);
        // Where nothing has changed the next one can be tried.
        if text.len() > result {
            ready.pop();
        }
        out.push(text);
    }
    drop(ready);
    tree::wipe(&open_dir(dir)?)?;
    fs::rmdir(dir)?;
    Ok(out)
}

fn open_dir(path: &StdPath) -> io::Result<OwnedFd> {
    fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn prepared(place: &StdPath) -> io::Result<(OwnedFd, Look)> {
    fs::mkdir(place, Mode::from_raw_mode(0o777))?;
    let root = open_dir(place)?;
    build(&root)?;
    let before = look(&root)?;
    Ok((root, before))
}

#[derive(PartialEq, Eq)]
struct Inode {
    shown: String,
    /// Whether looking at it reads it, so that its atime moves where there is one.
    is_read: bool,
    ino: u64,
    times: [(i64, i64); 3],
}

type Look = BTreeMap<Vec<u8>, Inode>;

fn look(root: &OwnedFd) -> io::Result<Look> {
    let mut out = Look::new();
    let top = fs::fstat(root)?;
    out.insert(b".".to_vec(), inode(&top, None));
    below(root, &mut Vec::new(), &mut out)?;
    Ok(out)
}

fn below(dir: &OwnedFd, at: &mut Vec<u8>, out: &mut Look) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    for entry in crate::churn::read_all(dir)? {
        let length = at.len();
        at.push(b'/');
        at.extend_from_slice(&entry.name);
        let name = std::ffi::OsStr::from_bytes(&entry.name);
        let st = fs::statat(dir, name, fs::AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = fs::FileType::from_raw_mode(st.st_mode);
        let link = match kind {
            fs::FileType::Symlink => Some(fs::readlinkat(dir, name, Vec::new())?),
            _ => None,
        };
        let target = link.as_ref().map(|link| link.as_bytes());
        out.insert(at.clone(), inode(&st, target));
        if kind == fs::FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            below(&fs::openat(dir, name, flags, Mode::empty())?, at, out)?;
        }
        at.truncate(length);
    }
    Ok(())
}

fn inode(st: &fs::Stat, target: Option<&[u8]>) -> Inode {
    let kind = fs::FileType::from_raw_mode(st.st_mode);
    let dir = kind == fs::FileType::Directory;
    let (size, rdev) = (if dir { 0 } else { st.st_size }, st.st_rdev);
    let mut shown = format!(
        "{:o} {} links, {}:{}, {size} bytes, dev {rdev}",
        st.st_mode, st.st_nlink, st.st_uid, st.st_gid
    );
    if let Some(target) = target {
        let _ = write!(shown, " -> {} bytes", target.len());
    }
    let time = |s: i64, n: u64| (s, n as i64);
    let times = [
        time(st.st_atime, st.st_atime_nsec),
        time(st.st_mtime, st.st_mtime_nsec),
        time(st.st_ctime, st.st_ctime_nsec),
    ];
    let is_read = dir || kind == fs::FileType::Symlink;
    Inode { shown, is_read, ino: st.st_ino, times }
}

/// Adds what has changed.
fn describe(before: &Look, after: &Look, atime: bool, text: &mut String) {
    for (name, was) in before {
        if !after.contains_key(name) {
            let _ = write!(text, "; {} gone ({})", name.escape_ascii(), was.shown);
        }
    }
    for (name, now) in after {
        let shown = name.escape_ascii().to_string();
        let shown = if shown.len() > 60 { format!("{}...", &shown[..60]) } else { shown };
        let Some(was) = before.get(name) else {
            let _ = write!(text, "; {shown} new ({})", now.shown);
            continue;
        };
        if was.ino != now.ino {
            let _ = write!(text, "; {shown} is another one ({})", now.shown);
            continue;
        }
        if was.shown != now.shown {
            let _ = write!(text, "; {shown} {} => {}", was.shown, now.shown);
        }
        let first = usize::from(!atime || now.is_read);
        for (n, which) in ["atime", "mtime", "ctime"].iter().enumerate().skip(first) {
            if was.times[n] != now.times[n] {
                let _ = write!(text, "; {shown} {which} moved");
            }
        }
    }
}
