//! Which files of a device a process maps: PROCMAP_QUERY (Linux 6.11), else the text of
//! /proc/PID/maps.
//!
//! The ioctl passes over anonymous and private mappings in the kernel; for 180 processes that is
//! 2 ms instead of 6.

use std::fs::File;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use rustix::ioctl::{self, Updater};

/// Which mappings count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Shared ones: the only ones that can hold dirty pages of the file.
    Shared,
    /// All.
    Any,
}

const QUERY_SHARED: u64 = 0x08;
const QUERY_COVERING_OR_NEXT: u64 = 0x10;
const QUERY_FILE_BACKED: u64 = 0x20;

// struct procmap_query of linux/fs.h
#[repr(C)]
#[derive(Default)]
struct ProcmapQuery {
    size: u64,
    query_flags: u64,
    query_addr: u64,
    vma_start: u64,
    vma_end: u64,
    vma_flags: u64,
    vma_page_size: u64,
    vma_offset: u64,
    inode: u64,
    dev_major: u32,
    dev_minor: u32,
    vma_name_size: u32,
    build_id_size: u32,
    vma_name_addr: u64,
    build_id_addr: u64,
}

const PROCMAP_QUERY: ioctl::Opcode = ioctl::opcode::read_write::<ProcmapQuery>(b'f', 17);

// Set once the kernel has said that it does not know the ioctl.
static TEXT_ONLY: AtomicBool = AtomicBool::new(false);

/// Appends the inode numbers of `device` that the process maps; with repetitions. `task` is
/// `PID` or `PID/task/TID`.
pub(crate) fn mapped_inodes(
    task: &str,
    device: (u32, u32),
    kind: Kind,
    inodes: &mut Vec<u64>,
) -> io::Result<()> {
    let mut maps = File::open(format!("/proc/{task}/maps"))?;
    if !TEXT_ONLY.load(Ordering::Relaxed) {
        match query_all(&maps, device, kind, inodes) {
            Err(Errno::NOTTY | Errno::INVAL | Errno::NOSYS) => {
                TEXT_ONLY.store(true, Ordering::Relaxed);
            }
            other => return Ok(other?),
        }
    }
    let mut text = Vec::new();
    maps.read_to_end(&mut text)?;
    let lines = text.split(|byte| *byte == b'\n').map(String::from_utf8_lossy);
    inodes.extend(lines.filter_map(|line| parse_map(&line, device, kind)));
    Ok(())
}

fn query_all(
    maps: &File,
    (major, minor): (u32, u32),
    kind: Kind,
    inodes: &mut Vec<u64>,
) -> Result<(), Errno> {
    let shared = if kind == Kind::Shared { QUERY_SHARED } else { 0 };
    let mut from = 0;
    loop {
        let mut query = ProcmapQuery {
            size: size_of::<ProcmapQuery>() as u64,
            query_flags: shared | QUERY_COVERING_OR_NEXT | QUERY_FILE_BACKED,
            query_addr: from,
            ..ProcmapQuery::default()
        };
        // SAFETY: PROCMAP_QUERY reads and writes one `procmap_query`, whose layout this is
        // (104 bytes, pinned below); no pointer in it is set.
        let done = unsafe { ioctl::ioctl(maps, Updater::<PROCMAP_QUERY, _>::new(&mut query)) };
        match done {
            Ok(()) => {}
            // Past the last mapping; or no memory at all: a kernel thread, or gone.
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error),
        }
        if (query.dev_major, query.dev_minor) == (major, minor) {
            inodes.push(query.inode);
        }
        from = query.vma_end;
    }
}

const _: () = assert!(size_of::<ProcmapQuery>() == 104);

// "7f0-7f1 rw-s 00001000 00:2c 17   /path"
fn parse_map(line: &str, device: (u32, u32), kind: Kind) -> Option<u64> {
    let mut fields = line.split_ascii_whitespace();
    let mode = fields.nth(1)?;
    let (major, minor) = fields.nth(1)?.split_once(':')?;
    let inode: u64 = fields.next()?.parse().ok()?;
    let found = (u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?);
    let counts = inode != 0 && (kind == Kind::Any || mode.ends_with('s'));
    (counts && found == device).then_some(inode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_lines_are_understood() {
        let line = "7f00-7f01 rw-s 00001000 00:2c 1099511627793      /mnt/a file";
        assert_eq!(parse_map(line, (0, 0x2c), Kind::Shared), Some(1099511627793));
        assert_eq!(parse_map(line, (0, 0x2d), Kind::Any), None);
        let private = "7f00-7f01 r--p 00001000 00:2c 17      /mnt/a";
        assert_eq!(parse_map(private, (0, 0x2c), Kind::Shared), None);
        assert_eq!(parse_map(private, (0, 0x2c), Kind::Any), Some(17));
        assert_eq!(parse_map("7f00-7f01 rw-p 00000000 00:00 0", (0, 0), Kind::Any), None);
        assert_eq!(parse_map("", (0, 0), Kind::Any), None);
    }

    // The two ways must agree on this very process, which maps its own program.
    #[test]
    fn ioctl_and_text_agree() {
        // As mappings name them: on btrfs or overlayfs stat says something else.
        let exe = std::fs::read_link("/proc/self/exe").unwrap();
        let text = std::fs::read_to_string("/proc/self/maps").unwrap();
        let line = text.lines().find(|line| line.ends_with(exe.to_str().unwrap())).unwrap();
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (major, minor) = fields[3].split_once(':').unwrap();
        let number = |text: &str| u32::from_str_radix(text, 16).unwrap();
        let (device, ino) = ((number(major), number(minor)), fields[4].parse::<u64>().unwrap());
        let mut asked = Vec::new();
        let maps = File::open("/proc/self/maps").unwrap();
        let done = query_all(&maps, device, Kind::Any, &mut asked);
        let text = std::fs::read_to_string("/proc/self/maps").unwrap();
        let read: Vec<u64> =
            text.lines().filter_map(|line| parse_map(line, device, Kind::Any)).collect();
        assert!(read.contains(&ino));
        match done {
            Ok(()) => assert_eq!(asked, read),
            Err(error) => assert_eq!(error, Errno::NOTTY, "a kernel before 6.11"),
        }
        let mut shared = Vec::new();
        mapped_inodes("self", device, Kind::Shared, &mut shared).unwrap();
        assert!(!shared.contains(&ino));
    }
}
