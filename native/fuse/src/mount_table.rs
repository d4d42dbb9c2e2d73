//! Host mounts of devdev as /proc/self/mountinfo lists them, and what is left of dead ones.
//!
//! Separate from mounting because `doctor` and the CLI look at mounts that other processes serve:
//! nothing here may hang on a server that does not answer.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::io::Errno;

use crate::host_mount::{Fusermount, detach};

/// File system type under which the kernel lists our mounts.
pub(crate) const FS_TYPE: &str = "fuse.devdev";

/// How long a mount may take to say that it is alive.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// A host mount of devdev.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostMount {
    /// Where.
    pub mount_point: PathBuf,
    /// Device number: major, minor.
    pub device: (u32, u32),
    /// Whose it is (mount option user_id).
    pub uid: u32,
}

/// One line of mountinfo.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MountLine {
    pub mount_point: PathBuf,
    pub device: (u32, u32),
    pub kind: String,
    pub super_options: String,
}

/// Everything that is mounted in this mount namespace, outermost first.
pub(crate) fn mount_lines() -> io::Result<Vec<MountLine>> {
    Ok(parse_mountinfo(&std::fs::read("/proc/self/mountinfo")?))
}

fn parse_mountinfo(text: &[u8]) -> Vec<MountLine> {
    text.split(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

// "36 35 0:44 /root /mount/point rw,noatime optional... - type source super,options"
fn parse_line(line: &[u8]) -> Option<MountLine> {
    let mut fields = line.split(|byte| *byte == b' ');
    let device = std::str::from_utf8(fields.nth(2)?).ok()?;
    let (major, minor) = device.split_once(':')?;
    let mount_point = unescape(fields.nth(1)?);
    let mut tail = fields.skip_while(|field| *field != b"-").skip(1);
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    let kind = text(tail.next()?);
    let super_options = text(tail.nth(1)?);
    Some(MountLine {
        mount_point: PathBuf::from(OsString::from_vec(mount_point)),
        device: (major.parse().ok()?, minor.parse().ok()?),
        kind,
        super_options,
    })
}

// Blanks, newlines and backslashes are written as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal =
            tail.get(..3).filter(|d| *first == b'\\' && d.iter().all(|c| c.is_ascii_digit()));
        match octal {
            Some(digits) => {
                out.push(digits.iter().fold(0u8, |n, digit| n.wrapping_mul(8) + (digit - b'0')));
                rest = &tail[3..];
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

/// The innermost mount at exactly this path.
pub(crate) fn mounted_at(path: &Path) -> io::Result<Option<MountLine>> {
    Ok(mount_lines()?.into_iter().rfind(|line| line.mount_point == path))
}

/// Where a device is mounted: its bind mounts too, outermost first.
pub(crate) fn mount_points_of(device: (u32, u32)) -> io::Result<Vec<PathBuf>> {
    let lines = mount_lines()?.into_iter().filter(|line| line.device == device);
    Ok(lines.map(|line| line.mount_point).collect())
}

/// Every host mount of devdev in this mount namespace, outermost first. Touches none of them.
pub fn devdev_mounts() -> io::Result<Vec<HostMount>> {
    let ours = mount_lines()?.into_iter().filter(|line| line.kind == FS_TYPE);
    Ok(ours
        .map(|line| HostMount {
            uid: option_value(&line.super_options, "user_id").unwrap_or(0),
            mount_point: line.mount_point,
            device: line.device,
        })
        .collect())
}

fn option_value(options: &str, name: &str) -> Option<u32> {
    let mut all = options.split(',').filter_map(|option| option.split_once('='));
    all.find(|(key, _)| *key == name)?.1.parse().ok()
}

/// Mount points that this process serves: it must never touch them itself.
static SERVED_HERE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

pub(crate) fn note_served(path: &Path) {
    SERVED_HERE.lock().push(path.to_owned());
}

pub(crate) fn forget_served(path: &Path) {
    let mut served = SERVED_HERE.lock();
    if let Some(at) = served.iter().position(|one| one == path) {
        served.swap_remove(at);
    }
}

/// What the server behind a host mount of devdev is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Liveness {
    Alive,
    /// The connection is gone: every operation fails with ENOTCONN.
    Dead,
    /// No answer in time.
    Silent,
}

/// Asks a host mount for its statfs (stat would be answered from the kernel's cache).
pub(crate) fn probe(mount_point: &Path) -> Liveness {
    if SERVED_HERE.lock().iter().any(|one| one == mount_point) {
        return Liveness::Alive;
    }
    let (send, receive) = mpsc::channel();
    let path = mount_point.to_owned();
    // A thread of its own: it may stay behind if the server never answers.
    std::thread::spawn(move || {
        // Nobody listens any more when the probe timed out.
        let _ = send.send(rustix::fs::statfs(&path).map(|_| ()));
    });
    match receive.recv_timeout(PROBE_TIMEOUT) {
        Ok(Err(Errno::NOTCONN | Errno::CONNABORTED)) => Liveness::Dead,
        Ok(_) => Liveness::Alive,
        Err(_) => Liveness::Silent,
    }
}

/// Clears what a killed server left at `mount_point`: true when there was a dead mount and it is
/// gone now; false when nothing of devdev is mounted there or it is alive. One that does not answer
/// is left alone, with the error `TimedOut`: its server may be stopped and go on later.
pub fn clear_dead_mount(mount_point: &Path) -> io::Result<bool> {
    let mut cleared = false;
    // Several may lie on top of each other.
    for _ in 0..16 {
        match mounted_at(mount_point)? {
            Some(line) if line.kind == FS_TYPE => {}
            _ => break,
        }
        match probe(mount_point) {
            Liveness::Dead => {
                detach(mount_point, &Fusermount::find(None), true)
                    .map_err(|failure| io::Error::other(failure.to_string()))?;
                cleared = true;
            }
            Liveness::Alive => break,
            Liveness::Silent => {
                let text = format!("what is mounted on {} does not answer", mount_point.display());
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
        }
    }
    Ok(cleared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_is_understood() {
        let text = b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
            36 22 0:44 / /tmp/a\\040b\\134c rw,noatime shared:5 master:1 - fuse.devdev devdev \
            rw,user_id=1000,group_id=100\nrubbish\n";
        let lines = parse_mountinfo(text);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1].mount_point, Path::new("/tmp/a b\\c"));
        assert_eq!(lines[1].device, (0, 44));
        assert_eq!(lines[1].kind, FS_TYPE);
        assert_eq!(option_value(&lines[1].super_options, "user_id"), Some(1000));
        assert_eq!(option_value(&lines[0].super_options, "user_id"), None);
    }

    #[test]
    fn the_root_is_mounted_and_is_not_ours() {
        assert!(mounted_at(Path::new("/")).unwrap().is_some());
        assert!(!clear_dead_mount(Path::new("/")).unwrap());
    }
}
