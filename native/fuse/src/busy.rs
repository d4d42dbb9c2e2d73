//! Who uses a host mount.

use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::mappings::{Kind, mapped_inodes};
use crate::mount_table::mounted_at;

/// In what way a process uses a host mount.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MountUse {
    /// It is its working directory.
    Cwd,
    /// It is its root directory.
    Root,
    /// It runs a program from there.
    Exe,
    /// It has a file open.
    File,
    /// It maps a file.
    Mapping,
}

impl fmt::Display for MountUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MountUse::Cwd => "working directory",
            MountUse::Root => "root directory",
            MountUse::Exe => "program",
            MountUse::File => "open file",
            MountUse::Mapping => "mapped file",
        })
    }
}

/// A process that uses a host mount.
#[derive(Clone, Debug)]
pub struct MountUser {
    /// Its id.
    pub pid: u32,
    /// Its command's name.
    pub command: String,
    /// The first way in which it uses the mount.
    pub how: MountUse,
}

/// The processes that use what is mounted at `mount_point`, as far as they can be seen. Reads
/// /proc only: never touches the mount.
pub fn mount_users(mount_point: &Path) -> Vec<MountUser> {
    // Best effort: without mountinfo only the mappings are missed.
    let device = mounted_at(mount_point).ok().flatten().map(|line| line.device);
    let users = process_ids().into_iter().filter_map(|pid| {
        let how = use_of(pid, mount_point, device)?;
        Some(MountUser { pid, command: command_of(pid), how })
    });
    users.collect()
}

/// Every process id in /proc.
pub(crate) fn process_ids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.parse().ok()).collect()
}

fn command_of(pid: u32) -> String {
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    comm.trim_end().to_owned()
}

fn use_of(pid: u32, mount_point: &Path, device: Option<(u32, u32)>) -> Option<MountUse> {
    for (link, how) in [("cwd", MountUse::Cwd), ("root", MountUse::Root), ("exe", MountUse::Exe)] {
        if points_into(Path::new(&format!("/proc/{pid}/{link}")), mount_point) {
            return Some(how);
        }
    }
    // Processes of others hide the rest; the kernel's own EBUSY still counts them.
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    if files.into_iter().any(|file| points_into(&file.path(), mount_point)) {
        return Some(MountUse::File);
    }
    let mut inodes = Vec::new();
    mapped_inodes(&pid.to_string(), device?, Kind::Any, &mut inodes).ok()?;
    (!inodes.is_empty()).then_some(MountUse::Mapping)
}

// Compares bytes, because a removed file's link ends in " (deleted)".
fn points_into(link: &Path, mount_point: &Path) -> bool {
    let Ok(target) = fs::read_link(link) else { return false };
    let rest = target.as_os_str().as_bytes().strip_prefix(mount_point.as_os_str().as_bytes());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_found_by_working_directory_and_open_file() {
        let temp = fs::canonicalize(std::env::temp_dir()).unwrap();
        let dir = temp.join(format!("devdev-busy-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let file = fs::File::create(dir.join("file")).unwrap();
        let sleep = |dir: &Path, stdin: std::process::Stdio| {
            let mut command = std::process::Command::new("sleep");
            command.arg("30").current_dir(dir).stdin(stdin).spawn().unwrap()
        };
        let mut inside = sleep(&dir, std::process::Stdio::null());
        let mut reader = sleep(Path::new("/"), file.into());
        let uses = || {
            let users = mount_users(&dir);
            let of = |pid: u32| users.iter().find(|user| user.pid == pid).map(|user| user.how);
            (of(inside.id()), of(reader.id()))
        };
        let (found, beside) = (uses(), mount_users(&dir.join("fil")));
        inside.kill().unwrap();
        reader.kill().unwrap();
        inside.wait().unwrap();
        reader.wait().unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(found, (Some(MountUse::Cwd), Some(MountUse::File)));
        assert!(beside.is_empty(), "{beside:?}");
    }
}
