//! The measured loops of scripts/bench: many small files, and one large one. In this program
//! because they need no more than system calls in a tight loop, timed from inside.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use rustix::fs::{self, Advice, AtFlags, CWD, Mode, OFlags};
use rustix::io;

use crate::churn;
use crate::rng::Rng;

struct Report(Vec<String>);

impl Report {
    fn add(&mut self, step: &str, unit: &str, value: f64) {
        self.0.push(format!(r#"{{"step":"{step}","unit":"{unit}","value":{value:.4}}}"#));
    }

    fn json(&self) -> String {
        format!("[{}]", self.0.join(","))
    }
}

fn open(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    fs::openat(CWD, path, flags | OFlags::CLOEXEC, Mode::from_raw_mode(0o644))
}

/// Microseconds for each of `count` calls.
fn each(count: u64, mut call: impl FnMut(u64) -> io::Result<()>) -> io::Result<f64> {
    let start = Instant::now();
    for i in 0..count {
        call(i)?;
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / count as f64)
}

/// Creates, stats, reads, lists and removes files of 4 KiB, a hundred in a directory.
pub fn small(dir: &Path, files: u64) -> io::Result<String> {
    let dirs = files.div_ceil(100);
    let in_dir = |d: u64| dir.join(format!("small-{d}"));
    let file = |i: u64| in_dir(i % dirs).join(format!("f{i}"));
    let block = [b'x'; 4096];
    let mut report = Report(Vec::new());
    let mkdir = |d| fs::mkdir(in_dir(d), Mode::from_raw_mode(0o755));
    report.add("small files: mkdir", "µs", each(dirs, mkdir)?);
    let create = |i| {
        let fd = open(&file(i), OFlags::CREATE | OFlags::WRONLY | OFlags::TRUNC)?;
        io::write(&fd, &block).map(drop)
    };
    report.add("small files: create 4 KiB", "µs", each(files, create)?);
    let stat = |i| fs::statat(CWD, file(i), AtFlags::empty()).map(drop);
    report.add("small files: stat", "µs", each(files, stat)?);
    let read = |i| {
        let mut buf = [0u8; 4096];
        io::read(open(&file(i), OFlags::RDONLY)?, &mut buf[..]).map(drop)
    };
    report.add("small files: read", "µs", each(files, read)?);
    let absent = |i| match fs::statat(CWD, file(i + files), AtFlags::empty()) {
        Err(io::Errno::NOENT) => Ok(()),
        other => other.map(drop),
    };
    report.add("small files: stat of a missing one", "µs", each(files, absent)?);
    let list =
        |d| churn::read_all(&open(&in_dir(d), OFlags::RDONLY | OFlags::DIRECTORY)?).map(drop);
    report.add("small files: list a hundred", "µs", each(dirs, list)?);
    report.add("small files: unlink", "µs", each(files, |i| fs::unlink(file(i)))?);
    each(dirs, |d| fs::rmdir(in_dir(d)))?;
    Ok(report.json())
}

/// Asks the server for the attributes of one file, over and over, from one thread: what a round
/// trip costs. The median of several series, since what a series costs depends on where the
/// scheduler puts both sides.
pub fn getattr(dir: &Path, calls: u64) -> io::Result<String> {
    const SERIES: u64 = 5;
    let path = dir.join("getattr");
    open(&path, OFlags::CREATE | OFlags::WRONLY)?;
    let ask =
        |_| fs::statx(CWD, &path, AtFlags::STATX_FORCE_SYNC, fs::StatxFlags::BASIC_STATS).map(drop);
    let mut series: Vec<f64> =
        (0..SERIES).map(|_| each(calls / SERIES, ask)).collect::<io::Result<_>>()?;
    series.sort_by(f64::total_cmp);
    fs::unlink(&path)?;
    let mut report = Report(Vec::new());
    report.add("getattr, uncached", "µs", series[series.len() / 2]);
    Ok(report.json())
}

/// Microseconds for each of `mib` blocks, read in order after all pages of the file were dropped:
/// of several such passes the median and the slowest, since their pages take memory that a virtual
/// machine may have given back to its host, which makes single ones several times slower. On tmpfs,
/// whose pages are the file itself, nothing is dropped.
fn cold_read(fd: &OwnedFd, block: &mut [u8], mib: u64) -> io::Result<(f64, f64)> {
    const PASSES: usize = 5;
    let mut passes = [0.0; PASSES];
    fs::fsync(fd)?;
    for pass in &mut passes {
        fs::fadvise(fd, 0, None, Advice::DontNeed)?;
        *pass = each(mib, |i| io::pread(fd, &mut block[..], i << 20).map(drop))?;
    }
    passes.sort_by(f64::total_cmp);
    Ok((passes[PASSES / 2], passes[PASSES - 1]))
}

/// Writes and reads one large file in order, then in random places 4 KiB at a time.
pub fn io(dir: &Path, mib: u64) -> io::Result<String> {
    let path = dir.join("large");
    let fd = open(&path, OFlags::CREATE | OFlags::RDWR | OFlags::TRUNC)?;
    let mut report = Report(Vec::new());
    let mut big: Vec<u8> =
        (0..1u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let rate = |micros: f64| (1u64 << 20) as f64 / micros;
    let write = |i: u64| io::pwrite(&fd, &big, i << 20).map(drop);
    report.add("sequential write, 1 MiB", "MB/s", rate(each(mib, write)?));
    report.add("sequential rewrite, 1 MiB", "MB/s", rate(each(mib, write)?));
    report.add(
        "sequential read, cached",
        "MB/s",
        rate(each(mib, |i| io::pread(fd.as_fd(), &mut big[..], i << 20).map(drop))?),
    );
    let (median, slowest) = cold_read(&fd, &mut big, mib)?;
    report.add("sequential read, cold", "MB/s", rate(median));
    report.add("sequential read, cold: the slowest pass", "MB/s", rate(slowest));
    let mut r = Rng::new(7);
    let count = 50 * mib.min(1024);
    let mut small = [1u8; 4096];
    let blocks = mib << 8;
    let random = each(count, |_| io::pwrite(&fd, &small, r.below(blocks) << 12).map(drop))?;
    report.add("random write 4 KiB", "kIOPS", 1e3 / random);
    let random =
        each(count, |_| io::pread(fd.as_fd(), &mut small[..], r.below(blocks) << 12).map(drop))?;
    report.add("random read 4 KiB", "kIOPS", 1e3 / random);
    fs::unlink(&path)?;
    Ok(report.json())
}
