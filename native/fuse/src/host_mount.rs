//! Putting a FUSE connection on a directory of the host, and taking it away: mount(2) as root,
//! fusermount3 for everybody else.
//!
//! INVARIANT: on an error nothing is mounted and no directory is left behind.

use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::fs;
use std::io;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
};

use crate::errors::HostMountError;
use crate::mount_table::{FS_TYPE, Liveness, clear_dead_mount, mounted_at, probe};
use crate::options::{MountOptions, Permissions};

/// What /proc/mounts shows as the source.
const SOURCE: &str = "devdev";
/// How far the kernel reads ahead.
const READ_AHEAD_KIB: u32 = 512;
/// How long fusermount3 may take.
const FUSERMOUNT_TIMEOUT: Duration = Duration::from_secs(10);

/// A mounted connection that is not served yet.
pub(crate) struct HostMounted {
    /// Absolute, without links.
    pub path: PathBuf,
    /// The connection.
    pub device_file: OwnedFd,
    /// Device number of its files.
    pub device: (u32, u32),
    /// Writing to it ends the connection; containers often have none.
    pub abort: Option<OwnedFd>,
    /// Directories made for it, innermost first.
    pub created: Vec<PathBuf>,
    /// Whether the kernel checks modes and owners.
    pub kernel_checks: bool,
}

/// Mounts, after having made sure of everything that can be known before.
pub(crate) fn mount(options: &MountOptions) -> Result<HostMounted, HostMountError> {
    let root = rustix::process::geteuid().is_root();
    let fusermount = if root {
        None
    } else {
        let found = Fusermount::find(options.fusermount.as_deref());
        Some(found.program.ok_or(HostMountError::NoFusermount)?)
    };
    check_device(options)?;
    if options.allow_other && !root && !allows_other(&options.fuse_conf) {
        return Err(HostMountError::AllowOtherDenied(options.fuse_conf.clone()));
    }
    let (path, created) = prepare(&options.mount_point, root)?;
    let kernel_checks = match options.permissions {
        Permissions::Auto => !root || options.allow_other,
        Permissions::Kernel => true,
        Permissions::Unchecked => false,
    };
    let mounted = match &fusermount {
        None => mount_directly(options, &path, kernel_checks),
        Some(program) => mount_with(program, options, &path, kernel_checks),
    };
    let finished = mounted.and_then(|device_file| {
        let line = mounted_at(&path)
            .map_err(|error| HostMountError::System("reading /proc/self/mountinfo", error))?;
        let line = line.filter(|line| line.kind == FS_TYPE);
        let line = line.ok_or_else(|| {
            HostMountError::Refused(path.clone(), "it does not appear in mountinfo".into())
        });
        Ok((device_file, line?.device))
    });
    match finished {
        Ok((device_file, device)) => {
            let abort = open_abort_file(device);
            Ok(HostMounted { path, device_file, device, abort, created, kernel_checks })
        }
        Err(error) => {
            remove_created(&created);
            Err(error)
        }
    }
}

/// Removes directories that were made for a mount point; stops at the first that is in use.
pub(crate) fn remove_created(created: &[PathBuf]) {
    for path in created {
        if fs::remove_dir(path).is_err() {
            break;
        }
    }
}

fn check_device(options: &MountOptions) -> Result<(), HostMountError> {
    let device = &options.device;
    // fusermount3 opens it with its user's rights.
    let checked = rustix::fs::open(device, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    match checked {
        Ok(_) => Ok(()),
        Err(Errno::NOENT | Errno::NODEV | Errno::NXIO) => {
            Err(HostMountError::NoDevice(device.clone()))
        }
        Err(Errno::ACCESS | Errno::PERM) => Err(HostMountError::DeviceDenied(device.clone())),
        Err(error) => Err(HostMountError::System("opening the FUSE device", error.into())),
    }
}

fn allows_other(conf: &Path) -> bool {
    // Without the file nothing is permitted: fusermount3's own rule.
    let text = fs::read_to_string(conf).unwrap_or_default();
    text.lines().any(|line| line.trim() == "user_allow_other")
}

// The absolute path, and the directories that had to be made for it (innermost first).
fn prepare(wanted: &Path, root: bool) -> Result<(PathBuf, Vec<PathBuf>), HostMountError> {
    let wanted = std::path::absolute(wanted)
        .map_err(|error| HostMountError::System("finding the working directory", error))?;
    settle_what_is_mounted(&wanted)?;
    let path = match fs::canonicalize(&wanted) {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return create(&wanted),
        Err(error) => return Err(path_error(&wanted, error)),
    };
    if path != wanted {
        settle_what_is_mounted(&path)?;
    }
    if !path.is_dir() {
        return Err(HostMountError::NotADirectory(path));
    }
    let mut entries = fs::read_dir(&path).map_err(|error| path_error(&path, error))?;
    if entries.next().is_some() {
        return Err(HostMountError::NotEmpty(path));
    }
    if !root {
        let stat = rustix::fs::stat(&path).map_err(|e| path_error(&path, e.into()))?;
        let writable = rustix::fs::access(&path, rustix::fs::Access::WRITE_OK).is_ok();
        if stat.st_uid != rustix::process::geteuid().as_raw() || !writable {
            return Err(HostMountError::Denied(path));
        }
    }
    Ok((path, Vec::new()))
}

// Looks at the mount table before anything touches the path: what is mounted may not answer.
fn settle_what_is_mounted(path: &Path) -> Result<(), HostMountError> {
    let line = mounted_at(path)
        .map_err(|error| HostMountError::System("reading /proc/self/mountinfo", error))?;
    let Some(line) = line else { return Ok(()) };
    if line.kind != FS_TYPE {
        return Err(HostMountError::ForeignMount(path.to_owned(), line.kind));
    }
    match probe(path) {
        Liveness::Alive => Err(HostMountError::AlreadyMounted(path.to_owned())),
        Liveness::Silent => Err(HostMountError::Unresponsive(path.to_owned())),
        Liveness::Dead => match clear_dead_mount(path) {
            // Below the dead one there may be another mount.
            Ok(true) => settle_what_is_mounted(path),
            Ok(false) => Err(HostMountError::Unresponsive(path.to_owned())),
            Err(error) => Err(HostMountError::Refused(path.to_owned(), error.to_string())),
        },
    }
}

fn create(wanted: &Path) -> Result<(PathBuf, Vec<PathBuf>), HostMountError> {
    let mut missing = Vec::new();
    let mut at = wanted;
    while fs::symlink_metadata(at).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        missing.push(at.to_owned());
        at = at.parent().unwrap_or(Path::new("/"));
    }
    let mut created: Vec<PathBuf> = Vec::new();
    for path in missing.iter().rev() {
        if let Err(error) = fs::create_dir(path) {
            remove_created(&created);
            return Err(path_error(wanted, error));
        }
        created.insert(0, path.clone());
    }
    match fs::canonicalize(wanted) {
        Ok(path) => Ok((path, created)),
        Err(error) => {
            remove_created(&created);
            Err(path_error(wanted, error))
        }
    }
}

fn path_error(path: &Path, error: io::Error) -> HostMountError {
    match error.kind() {
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            HostMountError::NotADirectory(path.to_owned())
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            HostMountError::Denied(path.to_owned())
        }
        _ => HostMountError::System("preparing the mount point", error),
    }
}

fn mount_directly(
    options: &MountOptions,
    path: &Path,
    kernel_checks: bool,
) -> Result<OwnedFd, HostMountError> {
    let device =
        rustix::fs::open(&options.device, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| HostMountError::System("opening the FUSE device", error.into()))?;
    let mut data = format!(
        "fd={},rootmode=40000,user_id={},group_id={}",
        device.as_raw_fd(),
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw()
    );
    if kernel_checks {
        data.push_str(",default_permissions");
    }
    if options.allow_other {
        data.push_str(",allow_other");
    }
    let mut flags = MountFlags::NOATIME;
    if !options.suid_and_devices {
        flags |= MountFlags::NOSUID | MountFlags::NODEV;
    }
    let data = CString::new(data).expect("digits and letters hold no NUL");
    rustix::mount::mount(SOURCE, path, FS_TYPE, flags, data.as_c_str()).map_err(
        |error| match error {
            Errno::NODEV => HostMountError::NoDevice(options.device.clone()),
            error => HostMountError::Refused(path.to_owned(), io::Error::from(error).to_string()),
        },
    )?;
    Ok(device)
}

fn mount_with(
    program: &Path,
    options: &MountOptions,
    path: &Path,
    kernel_checks: bool,
) -> Result<OwnedFd, HostMountError> {
    let refused = |reason: String| HostMountError::Refused(path.to_owned(), reason);
    let mut flags = String::from("rw,nosuid,nodev,noatime,fsname=devdev,subtype=devdev");
    if kernel_checks {
        flags.push_str(",default_permissions");
    }
    if options.allow_other {
        flags.push_str(",allow_other");
    }
    let (ours, theirs) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(|error| HostMountError::System("socketpair", error.into()))?;
    rustix::net::sockopt::set_socket_timeout(
        &ours,
        rustix::net::sockopt::Timeout::Recv,
        Some(FUSERMOUNT_TIMEOUT),
    )
    .map_err(|error| HostMountError::System("setsockopt", error.into()))?;
    // The socket goes over as standard input, so that no other child can inherit it.
    let child = Command::new(program)
        .arg("-o")
        .arg(flags)
        .arg("--")
        .arg(path)
        .env("_FUSE_COMMFD", "0")
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(theirs)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| refused(format!("{}: {error}", program.display())))?;
    let received = receive_descriptor(&ours);
    // Closed before waiting: a fusermount3 that still talks must not wait for us.
    drop(ours);
    let output =
        child.wait_with_output().map_err(|error| refused(format!("fusermount3: {error}")))?;
    match received {
        Ok(Some(device)) if output.status.success() => Ok(device),
        Ok(_) => Err(refused(last_line(&output.stderr))),
        Err(error) => Err(refused(io::Error::from(error).to_string())),
    }
}

// One message with one descriptor, or the end of file when there is none.
fn receive_descriptor(socket: &OwnedFd) -> Result<Option<OwnedFd>, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0; 8];
    rustix::io::retry_on_intr(|| {
        let mut parts = [IoSliceMut::new(&mut byte)];
        rustix::net::recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let mut descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(rights) => rights.into_iter().next(),
        _ => None,
    });
    Ok(descriptors.next())
}

fn last_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().rfind(|line| !line.trim().is_empty());
    line.unwrap_or("fusermount3 gave no reason").to_owned()
}

// Kept open from the start: nobody can count on opening it once the mount hangs.
fn open_abort_file(device: (u32, u32)) -> Option<OwnedFd> {
    let path = format!("/sys/fs/fuse/connections/{}/abort", device.1);
    rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// The kernel's own 128 KiB cost a third of the speed of reading large files. Best effort: only
/// root may set it, and a container may hide /sys. Not before INIT was answered, which sets it to
/// what the kernel had at the start.
pub(crate) fn read_further_ahead((major, minor): (u32, u32)) {
    let path = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
    let _ = fs::write(path, READ_AHEAD_KIB.to_string());
}

/// The set-user-id program that mounts and unmounts for users.
pub(crate) struct Fusermount {
    program: Option<PathBuf>,
}

impl Fusermount {
    /// The given one if it exists, else the first on PATH.
    pub fn find(given: Option<&Path>) -> Fusermount {
        let program = match given {
            Some(path) => path.is_file().then(|| path.to_owned()),
            None => search(&std::env::var_os("PATH").unwrap_or_default()),
        };
        Fusermount { program }
    }
}

fn search(path: &OsStr) -> Option<PathBuf> {
    let mut path = OsString::from(path);
    path.push(":/usr/local/bin:/usr/bin:/bin");
    std::env::split_paths(&path).map(|dir| dir.join("fusermount3")).find(|file| file.is_file())
}

/// Why something is still mounted.
#[derive(Debug)]
pub(crate) enum DetachError {
    Busy,
    Refused(String),
}

impl fmt::Display for DetachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DetachError::Busy => f.write_str("it is in use"),
            DetachError::Refused(reason) => f.write_str(reason),
        }
    }
}

/// Takes the mount at `path` out of the tree of names: `lazily` also when it is in use. Nothing
/// mounted there counts as done.
pub(crate) fn detach(
    path: &Path,
    fusermount: &Fusermount,
    lazily: bool,
) -> Result<(), DetachError> {
    let flags = if lazily { UnmountFlags::DETACH } else { UnmountFlags::empty() };
    match rustix::mount::unmount(path, flags | UnmountFlags::NOFOLLOW) {
        Ok(()) => return Ok(()),
        Err(Errno::BUSY) => return Err(DetachError::Busy),
        // Not a mount point any more, or the whole path went.
        Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
        Err(Errno::PERM) => {}
        Err(error) => return Err(DetachError::Refused(io::Error::from(error).to_string())),
    }
    let program = fusermount.program.as_ref().ok_or_else(|| {
        DetachError::Refused("fusermount3 is missing, and only root can do without".into())
    })?;
    let mut command = Command::new(program);
    command.args(["-u", "-q"]).args(lazily.then_some("-z")).arg("--").arg(path);
    let output = command
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| DetachError::Refused(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    // fusermount3 has no exit code for "busy": the mount table and the mode tell.
    match mounted_at(path) {
        Ok(None) => Ok(()),
        _ if !lazily => Err(DetachError::Busy),
        _ => Err(DetachError::Refused(last_line(&output.stderr))),
    }
}

/// Ends the connection of the mount at `path` and unmounts it; root only.
pub(crate) fn force_detach(path: &Path) {
    let flags = UnmountFlags::FORCE | UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    // It has no effect where it is not permitted or nothing is mounted; callers see that.
    let _ = rustix::mount::unmount(path, flags);
}

/// Ends the connection at once: whatever waits gets ECONNABORTED, later calls ENOTCONN.
pub(crate) fn abort(abort_file: &OwnedFd) -> io::Result<()> {
    rustix::io::write(abort_file, b"1")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let temp = fs::canonicalize(std::env::temp_dir()).unwrap();
        let dir = temp.join(format!("devdev-host-mount-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn mount_points_are_checked_before_anything_changes() {
        let dir = scratch("prepare");
        let file = dir.join("file");
        fs::write(&file, b"x").unwrap();
        assert!(matches!(prepare(&file, true), Err(HostMountError::NotADirectory(_))));
        assert!(matches!(
            prepare(&file.join("below"), true),
            Err(HostMountError::NotADirectory(_))
        ));
        assert!(matches!(prepare(&dir, true), Err(HostMountError::NotEmpty(_))));
        assert!(matches!(prepare(Path::new("/proc"), true), Err(HostMountError::ForeignMount(..))));
        let (path, created) = prepare(&dir.join("new/deep"), true).unwrap();
        assert_eq!(path, fs::canonicalize(dir.join("new/deep")).unwrap());
        assert_eq!(created, [dir.join("new/deep"), dir.join("new")]);
        remove_created(&created);
        assert!(!dir.join("new").exists());
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_missing_device_or_program_is_named() {
        let mut options = MountOptions::new("/nowhere/devdev");
        options.device = PathBuf::from("/nonexistent/fuse");
        let error = mount(&options).err().unwrap();
        assert!(matches!(error, HostMountError::NoDevice(_) | HostMountError::NoFusermount));
        assert!(Fusermount::find(Some(Path::new("/nonexistent"))).program.is_none());
        assert!(!Path::new("/nowhere").exists());
    }

    #[test]
    fn allow_other_needs_its_line() {
        let dir = scratch("conf");
        let conf = dir.join("fuse.conf");
        assert!(!allows_other(&conf));
        fs::write(&conf, "# user_allow_other\nmount_max = 10\n").unwrap();
        assert!(!allows_other(&conf));
        fs::write(&conf, "mount_max = 10\n user_allow_other \n").unwrap();
        assert!(allows_other(&conf));
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn last_line_of_an_error_is_its_reason() {
        assert_eq!(last_line(b"one\ntwo\n\n"), "two");
        assert_eq!(last_line(b""), "fusermount3 gave no reason");
    }
}
