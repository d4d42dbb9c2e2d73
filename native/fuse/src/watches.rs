//! Who watches files of a host mount, by inotify or fanotify: the kernel tells it in
//! /proc/PID/fdinfo, of the processes that this user may look into. Reads /proc only.

use std::ffi::CStr;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};

use devdev_vfs::{Attachment, Ino, Interest, NodeId, Watchers};
use rustix::fs::{Dir, Mode, OFlags, readlinkat};

use crate::busy::process_ids;

const IN_MODIFY: u32 = 0x2;
const IN_ATTRIB: u32 = 0x4;
const IN_CLOSE_WRITE: u32 = 0x8;
const IN_MOVED_FROM: u32 = 0x40;
const IN_MOVED_TO: u32 = 0x80;
const IN_CREATE: u32 = 0x100;
const IN_DELETE: u32 = 0x200;

/// What is watched of the device's live tree. Single files of others (mounts of fanotify) are not
/// found.
pub(crate) fn find_watches(device: (u32, u32)) -> Watchers {
    let mut watchers = Watchers::default();
    let mut link = Vec::with_capacity(64);
    for pid in process_ids() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // Gone, or not to be looked into.
        let Ok(files) = rustix::fs::open(format!("/proc/{pid}/fd"), flags, Mode::empty()) else {
            continue;
        };
        let Ok(listing) = Dir::read_from(&files) else { continue };
        for file in listing.flatten() {
            if watches_something(files.as_fd(), file.file_name(), &mut link) {
                let number = file.file_name().to_string_lossy();
                // Closed meanwhile: it watches nothing.
                let Ok(text) = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")) else {
                    continue;
                };
                text.lines().for_each(|line| note(&mut watchers, line, device));
            }
        }
    }
    watchers
}

fn watches_something(files: BorrowedFd<'_>, name: &CStr, link: &mut Vec<u8>) -> bool {
    let Ok(target) = readlinkat(files, name, std::mem::take(link)) else { return false };
    let found = [&b"anon_inode:inotify"[..], b"anon_inode:[fanotify]"].contains(&target.as_bytes());
    *link = target.into_bytes();
    found
}

// inotify wd:1 ino:2a sdev:2c mask:3ce ignored_mask:0 fhandle-bytes:...
// fanotify ino:2a sdev:2c mflags:0 mask:302 ignored_mask:0 ...
// fanotify sdev:2c mflags:0 mask:302 ignored_mask:0
fn note(watchers: &mut Watchers, line: &str, (major, minor): (u32, u32)) {
    let mut fields = line.split_ascii_whitespace();
    if !matches!(fields.next(), Some("inotify" | "fanotify")) {
        return;
    }
    let (mut ino, mut device, mut mask) = (None, None, 0);
    for (key, value) in fields.filter_map(|field| field.split_once(':')) {
        let Ok(value) = u64::from_str_radix(value, 16) else { continue };
        match key {
            "ino" => ino = Some(value),
            "sdev" => device = Some(value),
            "mask" => mask = value as u32,
            _ => {}
        }
    }
    // The kernel's own numbers: 12 bits and 20.
    if device != Some(u64::from(major) << 20 | u64::from(minor)) {
        return;
    }
    let has = |bits: u32| mask & bits != 0;
    let interest = Interest {
        added: has(IN_CREATE | IN_MOVED_TO),
        removed: has(IN_DELETE | IN_MOVED_FROM),
        content: has(IN_MODIFY | IN_CLOSE_WRITE),
        attributes: has(IN_ATTRIB),
    };
    match ino.map(NodeId) {
        None => watchers.all = watchers.all | interest,
        Some(node) if node.attachment() == Attachment::LIVE => {
            let known: &mut Interest = watchers.of.entry(Ino(node.0)).or_default();
            *known = *known | interest;
        }
        // Scratch files and snapshots: no restore changes them.
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};

    use super::*;

    #[test]
    fn lines_of_this_device_are_understood() {
        let mut watchers = Watchers::default();
        let mut read = |line: &str| note(&mut watchers, line, (0, 0x2c));
        read("pos:\t0");
        read("inotify wd:2 ino:2a sdev:2d mask:ffffff ignored_mask:0");
        read("inotify wd:2 ino:2a sdev:2c mask:302 ignored_mask:0 fhandle-bytes:8 fhandle-type:1");
        read("inotify wd:3 ino:2a sdev:2c mask:4 ignored_mask:0");
        read("inotify wd:3 ino:1000000002a sdev:2c mask:4 ignored_mask:0");
        read("fanotify flags:10 event-flags:0");
        read("fanotify mnt_id:20 mflags:0 mask:8 ignored_mask:0");
        assert!(watchers.all == Interest::default());
        note(&mut watchers, "fanotify sdev:2c mflags:0 mask:100 ignored_mask:0", (0, 0x2c));
        let all = Interest { added: true, removed: true, content: true, attributes: true };
        assert_eq!(watchers.of.into_iter().collect::<Vec<_>>(), [(Ino(0x2a), all)]);
        assert_eq!(watchers.all, Interest { added: true, ..Interest::default() });
    }

    // On /proc, whose inode numbers and device are known.
    #[test]
    fn a_watch_of_this_process_is_found() {
        let meta = fs::metadata("/proc").unwrap();
        let device = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
        let inotify = init(CreateFlags::CLOEXEC).unwrap();
        add_watch(&inotify, "/proc", WatchFlags::CREATE).unwrap();
        let found = find_watches(device);
        drop(inotify);
        assert!(found.of[&Ino(meta.ino())].added, "{found:?}");
        // A number that no device has: others on this machine watch, too.
        assert!(find_watches((4095, 1)).is_empty());
    }
}
