//! Differential property tester. `diff A B` runs the same random operations on two directories (one
//! of them a file system everybody trusts) and compares what comes back and what is there;
//! `engine A` compares a directory with the engine without a mount; `race DIR` lets threads collide
//! in one directory and checks what must hold in any order; `conform A B` tries a table of calls.
//! `advance A B` goes on from what is in two equal directories and leaves it there, `same A B` only
//! compares them: with these others move the directories through time meanwhile. `warm` keeps
//! memory ready for what is measured.
//! It is a program of its own because a process that touches a mount must be one that can be
//! killed.

mod bench;
mod churn;
mod conform;
mod differ;
mod engine;
mod engine_tree;
mod history;
mod op;
mod race;
mod rng;
mod tree;
mod warm;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::{self, Mode, OFlags, XattrFlags};

use devdev_vfs::api::API_UMASK;
use differ::Pair;
use op::Caps;

const USAGE: &str = "usage: devdev-fsops diff A B | engine A | conform A B | race DIR
    | advance A B | same A B
    | small DIR | io DIR | getattr DIR | warm
  --seed N       first seed (default: from the clock)
  --seconds S    how long (default 10)
  --sequences N  stop after so many sequences
  --ops N        operations in a sequence (default 800)
  --every K      compare the trees after K operations (default 50)
  --threads N    threads, each with directories of its own; in race, all in one (default 1, 4)
  --umask OCTAL  the umask of the test (default 0)
  --files N      in small: how many files (default 20000)
  --calls N      in getattr: how many (default 50000)
  --part N       in conform: make every Nth call of the table (default 1)
  --mib N        in io: how large the file is; in warm: how much is held (default 1024)";

struct Options {
    seed: u64,
    seconds: u64,
    sequences: u64,
    ops: usize,
    every: usize,
    threads: u64,
    umask: u32,
    files: u64,
    mib: u64,
    calls: u64,
    part: usize,
}

fn parse(args: &[String]) -> Result<(Vec<PathBuf>, Options), String> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64);
    let mut o = Options {
        seed: clock % 1_000_000_000,
        seconds: 10,
        sequences: u64::MAX,
        ops: 800,
        every: 50,
        threads: 0,
        umask: 0,
        files: 20_000,
        mib: 1024,
        calls: 50_000,
        part: 1,
    };
    let mut paths = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if !arg.starts_with("--") {
            paths.push(PathBuf::from(arg));
            continue;
        }
        let text = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        let radix = if arg == "--umask" { 8 } else { 10 };
        let value = u64::from_str_radix(text, radix).map_err(|_| format!("{arg}: {text}?"))?;
        match arg.as_str() {
            "--seed" => o.seed = value,
            "--seconds" => o.seconds = value,
            "--sequences" => o.sequences = value,
            "--ops" => o.ops = value.max(8) as usize,
            "--every" => o.every = value.max(1) as usize,
            "--threads" => o.threads = value,
            "--files" => o.files = value.max(1),
            "--mib" => o.mib = value.max(1),
            "--part" => o.part = value.max(1) as usize,
            "--calls" => o.calls = value.max(5),
            "--umask" => o.umask = value as u32,
            _ => return Err(format!("unknown option {arg}")),
        }
    }
    Ok((paths, o))
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mode = args.first().map_or("", String::as_str);
    let result = match parse(args.get(1..).unwrap_or(&[])) {
        Ok((paths, o)) => match (mode, paths.as_slice()) {
            ("diff", [a, b]) => diff(Pair { a: a.clone(), b: Some(b.clone()) }, &o),
            // The umask under which the API acts.
            ("engine", [a]) => {
                diff(Pair { a: a.clone(), b: None }, &Options { umask: API_UMASK, ..o })
            }
            ("conform", [a, b]) => conform::conform(a, b, o.seed, o.part),
            ("advance", [a, b]) => history::advance(a, b, o.seed, o.ops),
            ("same", [a, b]) => history::same(a, b),
            ("small", [dir]) => bench::small(dir, o.files).map_err(|e| format!("small: {e:?}")),
            ("io", [dir]) => bench::io(dir, o.mib).map_err(|e| format!("io: {e:?}")),
            ("getattr", [dir]) => {
                bench::getattr(dir, o.calls).map_err(|e| format!("getattr: {e:?}"))
            }
            ("warm", []) => warm::warm(o.mib),
            ("race", [dir]) => race::race(dir, o.seed, o.seconds, o.threads.max(4)),
            _ => Err(USAGE.into()),
        },
        Err(e) => Err(format!("{e}\n{USAGE}")),
    };
    match result {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(text) => {
            println!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn diff(pair: Pair, o: &Options) -> Result<String, String> {
    rustix::process::umask(Mode::from_raw_mode(o.umask));
    let caps = probe(&pair).map_err(|e| format!("cannot use the directories: {e:?}"))?;
    println!("seed {}, {caps:?}", o.seed);
    let end = Instant::now() + Duration::from_secs(o.seconds);
    let (next, stop, done) = (AtomicU64::new(0), AtomicBool::new(false), AtomicU64::new(0));
    let failure = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..o.threads.max(1) {
            scope.spawn(|| {
                while !stop.load(Relaxed) && Instant::now() < end {
                    let i = next.fetch_add(1, Relaxed);
                    if i >= o.sequences {
                        break;
                    }
                    if let Err(text) = one(&pair, o.seed + i, o.ops, caps, o.every) {
                        stop.store(true, Relaxed);
                        failure.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(text);
                    }
                    done.fetch_add(1, Relaxed);
                }
            });
        }
    });
    if let Some(text) = failure.into_inner().unwrap_or_else(|e| e.into_inner()) {
        return Err(text);
    }
    let done = done.into_inner();
    let last = o.seed + done.saturating_sub(1);
    Ok(format!(
        "ok: {done} sequences, {} operations, seeds {}..={last}",
        done * o.ops as u64,
        o.seed
    ))
}

fn one(pair: &Pair, seed: u64, ops: usize, caps: Caps, every: usize) -> Result<(), String> {
    let steps = differ::steps(seed, ops, caps);
    let tag = format!("seq-{seed}");
    let found = match pair.run(&tag, &steps, every) {
        Ok(None) => return Ok(()),
        Ok(Some(found)) => found,
        Err(e) => return Err(format!("seed {seed}: the test itself failed: {e:?}")),
    };
    let first = format!("MISMATCH seed {seed} operation {}: {}", found.index, found.text);
    let limit = Duration::from_secs(30);
    let (steps, found) = differ::shrink(pair, &tag, &steps, found, every, limit);
    Err(format!(
        "{first}\nshortest found, {} operations (* attributes compared, t times too):\n{}  => {}\n\
         again: devdev-fsops {}{} --seed {seed} --sequences 1 --ops {ops} --every {}",
        steps.len(),
        differ::replay(&steps),
        found.text,
        if pair.b.is_some() { "diff" } else { "engine" },
        pair.dirs().map(|dir| format!(" {}", dir.display())).collect::<String>(),
        every,
    ))
}

/// Sizes up to which both sides can go, and features that both have.
pub(crate) fn probe(pair: &Pair) -> rustix::io::Result<Caps> {
    let mut caps = Caps {
        root: rustix::process::geteuid().is_root(),
        xattr: true,
        // The engine's API has no O_TMPFILE.
        tmpfile: pair.b.is_some(),
        big: 1 << 44,
        engine: pair.b.is_none(),
    };
    for dir in pair.dirs() {
        let name = dir.join(".probe");
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC;
        let fd = fs::open(&name, flags, Mode::from_raw_mode(0o600))?;
        caps.xattr &= fs::fsetxattr(&fd, "user.p", b"1", XattrFlags::empty()).is_ok();
        while fs::ftruncate(&fd, caps.big).is_err() {
            caps.big >>= 1;
        }
        fs::unlink(&name)?;
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        caps.tmpfile &= fs::open(dir, flags, Mode::from_raw_mode(0o600)).is_ok();
    }
    Ok(caps)
}
