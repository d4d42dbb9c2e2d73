//! Runs one sequence on both sides, stops at the first difference, and shortens what led to it.

use std::fmt::Write as _;
use std::path::{Path as StdPath, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{self, Mode, OFlags};
use rustix::io::{self, Errno};

use crate::engine::Engine;
use crate::op::{Caps, Op, Path, sequence};
use crate::rng::Rng;
use crate::tree;
use crate::world::{Named, Outcome, Seen, Side, Value, World};

#[derive(Clone, Debug)]
pub struct Step {
    op: Op,
    /// Whether attributes are asked for around it: asking fills caches, not asking leaves them.
    watch: bool,
    /// Whether it is also compared which times moved. That takes a tick of the clock, because tmpfs
    /// falls back to coarse times after an unlink.
    timed: bool,
}

pub fn steps(seed: u64, count: usize, caps: Caps) -> Vec<Step> {
    let mut r = Rng::new(seed ^ 0x77);
    let step = |op| {
        let timed = r.percent(4);
        Step { op, timed, watch: timed || r.percent(45) }
    };
    sequence(seed, count, caps).into_iter().map(step).collect()
}

pub struct Mismatch {
    pub index: usize,
    pub text: String,
}

pub struct Pair {
    pub a: PathBuf,
    /// Another directory, or the engine without a mount.
    pub b: Option<PathBuf>,
}

impl Pair {
    /// Runs the steps in new directories called `tag`, comparing the trees after `every` steps and
    /// at the end, and removes them afterwards.
    pub fn run(&self, tag: &str, steps: &[Step], every: usize) -> io::Result<Option<Mismatch>> {
        let dirs: Vec<PathBuf> = self.dirs().map(|dir| dir.join(tag)).collect();
        let mut sides: Vec<Box<dyn Side>> = Vec::new();
        for dir in &dirs {
            fs::mkdir(dir, Mode::from_raw_mode(0o755))?;
            let mut world = World::open(dir.into())?;
            world.beside_engine = self.b.is_none();
            sides.push(Box::new(world));
        }
        if self.b.is_none() {
            sides.push(Box::new(Engine::new()?));
        }
        let [a, b] = &mut sides[..] else { unreachable!("there are two sides") };
        let found = compare_run(a.as_mut(), b.as_mut(), steps, every)?;
        drop(sides);
        // A tree that differs may be too broken to be removed; that must not hide the finding.
        match (dirs.iter().try_for_each(|dir| clean(dir)), found) {
            (Err(e), None) => Ok(Some(Mismatch {
                index: steps.len() - 1,
                text: format!("the tree cannot be removed afterwards: {e:?}"),
            })),
            (_, found) => Ok(found),
        }
    }

    /// The directories that take part.
    pub fn dirs(&self) -> impl Iterator<Item = &PathBuf> {
        [Some(&self.a), self.b.as_ref()].into_iter().flatten()
    }
}

fn clean(path: &StdPath) -> io::Result<()> {
    fs::chmod(path, Mode::from_raw_mode(0o700))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    tree::wipe(&fs::open(path, flags, Mode::empty())?)?;
    fs::rmdir(path)
}

pub fn compare_run(
    wa: &mut dyn Side,
    wb: &mut dyn Side,
    steps: &[Step],
    every: usize,
) -> io::Result<Option<Mismatch>> {
    for (index, step) in steps.iter().enumerate() {
        let watch = step.watch.then(|| (look(wa, &step.op), look(wb, &step.op)));
        if step.timed {
            wait_for_tick();
        }
        let (ra, rb) = (wa.apply(&step.op), wb.apply(&step.op));
        let mut text = String::new();
        if ra != rb || broken(&ra) || broken(&rb) {
            let _ = write!(text, "A: {}\n  B: {}", describe(&ra, &rb), describe(&rb, &ra));
        } else if let Some((before_a, before_b)) = watch {
            let (ca, cb) = (changes(wa, step, &before_a), changes(wb, step, &before_b));
            for (x, y) in ca.iter().zip(&cb).filter(|(x, y)| x != y) {
                let _ = write!(text, "\n  A: {x}\n  B: {y}");
            }
        }
        if text.is_empty() && ((index + 1) % every == 0 || index + 1 == steps.len()) {
            let what = tree::compare(&wa.capture()?, &wb.capture()?);
            text = what.join("\n  ");
        }
        if !text.is_empty() {
            return Ok(Some(Mismatch { index, text: format!("{:?}\n  {text}", step.op) }));
        }
    }
    Ok(None)
}

/// Until the coarse clock is past now (it lags behind the fine one by a tick or more): a change
/// from then on has another time than one before.
pub fn wait_for_tick() {
    let read = |id| {
        let t = rustix::time::clock_gettime(id);
        (t.tv_sec, t.tv_nsec)
    };
    let now = read(rustix::time::ClockId::Realtime);
    while read(rustix::time::ClockId::RealtimeCoarse) <= now {
        std::thread::sleep(Duration::from_micros(300));
    }
}

fn broken(outcome: &Outcome) -> bool {
    matches!(outcome, Ok(Value::Broken(_)))
}

/// Long data as its length and the place of the first difference.
fn describe(outcome: &Outcome, other: &Outcome) -> String {
    let Ok(Value::Bytes(bytes)) = outcome else { return format!("{outcome:?}") };
    if bytes.len() <= 32 {
        return format!("'{}'", bytes.escape_ascii());
    }
    let at = match other {
        Ok(Value::Bytes(o)) => bytes.iter().zip(o).position(|(x, y)| x != y),
        _ => None,
    };
    match at {
        Some(at) => {
            let end = (at + 16).min(bytes.len());
            format!("{} bytes, from {at}: '{}'", bytes.len(), bytes[at..end].escape_ascii())
        }
        None => format!("{} bytes", bytes.len()),
    }
}

type Look = (String, Result<Seen, Errno>);

/// Everything an operation names: the entry, what it leads to, its directory, the descriptors.
fn look(side: &dyn Side, op: &Op) -> Vec<Look> {
    let mut out = Vec::new();
    for path in op.paths() {
        out.push((format!("lstat {path:?}"), side.see(Named::Lstat(path))));
        out.push((format!("stat {path:?}"), side.see(Named::Stat(path))));
        let up = parent(path);
        out.push((format!("directory of {path:?}"), side.see(Named::Lstat(&up))));
    }
    for slot in op.slots() {
        out.push((format!("fstat slot {slot}"), side.see(Named::Slot(slot))));
    }
    out
}

fn parent(path: &Path) -> Path {
    match path.0.iter().rposition(|c| *c == b'/') {
        Some(at) if at > 0 => Path(path.0[..at].to_vec()),
        _ => Path(b".".to_vec()),
    }
}

/// How the looked-at attributes stand now, and which times moved, as text to compare.
fn changes(side: &dyn Side, step: &Step, before: &[Look]) -> Vec<String> {
    let after = look(side, &step.op);
    before
        .iter()
        .zip(after)
        .map(|((name, was), (_, now))| {
            let Ok(now) = now else { return format!("{name}: {:?}", now.err()) };
            let mut text = format!("{name}: {:?}", now.attrs);
            if let (Ok(was), true) = (was, now.timed) {
                let same = was.ino == now.ino;
                if !matches!(step.op, Op::Open { .. }) {
                    let _ = write!(text, ", same inode {same}");
                }
                if !step.timed || !same {
                    return text;
                }
                let (mtime, ctime) = (was.mtime != now.mtime, was.ctime != now.ctime);
                let _ = write!(text, ", mtime moved {mtime}, ctime moved {ctime}");
            }
            text
        })
        .collect()
}

/// Leaves out what is not needed for a mismatch, for at most `limit`.
pub fn shrink(
    pair: &Pair,
    tag: &str,
    steps: &[Step],
    found: Mismatch,
    every: usize,
    limit: Duration,
) -> (Vec<Step>, Mismatch) {
    let end = Instant::now() + limit;
    let (mut best, mut best_found) = (steps[..=found.index].to_vec(), found);
    let mut attempt = 0;
    let mut size = best.len() / 2;
    while size > 0 && Instant::now() < end {
        let mut at = 0;
        while at < best.len() && Instant::now() < end {
            let mut fewer = best.clone();
            fewer.drain(at..(at + size).min(best.len()));
            attempt += 1;
            match pair.run(&format!("{tag}-s{attempt}"), &fewer, every) {
                Ok(Some(m)) => {
                    fewer.truncate(m.index + 1);
                    (best, best_found) = (fewer, m);
                }
                _ => at += size,
            }
        }
        size /= 2;
    }
    (best, best_found)
}

pub fn replay(steps: &[Step]) -> String {
    let mut out = String::new();
    for (i, step) in steps.iter().enumerate() {
        let watch = match step {
            Step { timed: true, .. } => 't',
            Step { watch: true, .. } => '*',
            _ => ' ',
        };
        let _ = writeln!(out, "  {i:4} {watch} {:?}", step.op);
    }
    out
}
