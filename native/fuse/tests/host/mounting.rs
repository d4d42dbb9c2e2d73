//! Mounting and unmounting: what is refused, and what is left behind.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use devdev_fuse::{
    EndReason, HostMountError, MountOptions, MountUse, Session, UnmountError, mount_users,
};

use crate::agent::Agent;
use crate::harness::{
    Host, SOON, can_mount, eventually, helper, is_mounted, new_vfs, options_for, run_limited,
    scratch_path, uid,
};

fn refused(options: MountOptions) -> HostMountError {
    Session::mount(new_vfs(), options).err().expect("it was mounted")
}

#[test]
fn unfit_mount_points_are_refused_and_left_as_they_are() {
    if !can_mount() {
        return;
    }
    let dir = scratch_path();
    fs::create_dir(&dir).unwrap();
    let file = dir.join("file");
    fs::write(&file, "content").unwrap();
    let error = refused(options_for(&file));
    assert_eq!(error.to_string(), format!("{} is not a directory", file.display()));
    let error = refused(options_for(&dir));
    assert!(matches!(error, HostMountError::NotEmpty(_)), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"content");
    let mut options = options_for(dir.join("new/deeper"));
    options.device = dir.join("no-fuse");
    let error = refused(options);
    assert!(matches!(error, HostMountError::NoDevice(_)), "{error}");
    // Users' fusermount3 opens the real one.
    if uid() == 0 {
        let mut options = options_for(dir.join("new/deeper"));
        options.device = "/dev/null".into();
        let error = refused(options);
        assert!(matches!(error, HostMountError::Refused(..)), "{error}");
    }
    let mut options = options_for(dir.join("new/deeper"));
    options.helper = Some(dir.join("no-helper"));
    let error = refused(options);
    assert!(matches!(error, HostMountError::System(..)), "{error}");
    assert!(!dir.join("new").exists() && !is_mounted(&dir.join("new/deeper")));
    let error = refused(options_for("/proc"));
    assert!(matches!(error, HostMountError::ForeignMount(..)), "{error}");
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn the_kernel_reads_further_ahead_than_by_itself() {
    let Some(host) = Host::new() else { return };
    let (major, minor) = host.session.device();
    let setting = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
    if fs::OpenOptions::new().write(true).open(&setting).is_err() {
        eprintln!("SKIPPED: needs root and /sys");
        return;
    }
    assert_eq!(fs::read_to_string(setting).unwrap(), "512\n");
}

#[test]
fn a_mount_point_that_was_made_is_removed() {
    if !can_mount() {
        return;
    }
    let dir = scratch_path();
    for given in [false, true] {
        if given {
            fs::create_dir(&dir).unwrap();
        }
        let mut options = options_for(&dir);
        options.helper = Some(helper());
        let session = Session::mount(new_vfs(), options).unwrap();
        assert!(is_mounted(&dir) && session.is_alive());
        session.unmount(false).unwrap();
        session.unmount(false).unwrap();
        assert!(!is_mounted(&dir) && !session.is_alive());
        assert_eq!(dir.exists(), given);
    }
    fs::remove_dir(&dir).unwrap();
}

#[test]
fn a_busy_mount_names_its_users_and_can_be_taken_away() {
    let Some(host) = Host::new() else { return };
    let path = host.path().to_owned();
    let mut agent = Agent::inside(&host);
    agent.ask("create f");
    agent.ask("open 1 f");
    let error = host.session.unmount(false).unwrap_err();
    let UnmountError::Busy(busy, users) = &error else { panic!("{error}") };
    assert_eq!((busy, users.len()), (&path, 1));
    assert_eq!((users[0].pid, users[0].how), (agent.pid(), MountUse::Cwd));
    assert!(error.to_string().contains("working directory"), "{error}");
    // It goes on as if nothing had been asked.
    assert!(is_mounted(&path) && host.session.is_alive());
    assert_eq!(agent.ask("pwrite 1 0 still"), "ok");
    assert_eq!(agent.ask("chdir /"), "ok");
    assert_eq!(mount_users(&path)[0].how, MountUse::File);
    agent.ask("map 1 4096");
    agent.ask("close 1");
    assert_eq!(mount_users(&path)[0].how, MountUse::Mapping);
    agent.ask("unmap");
    agent.ask("open 1 /dev/null");
    let mut second = Agent::inside(&host);
    let start = Instant::now();
    host.session.unmount(true).unwrap();
    assert!(start.elapsed() < Duration::from_secs(8));
    assert!(!is_mounted(&path) && !path.exists());
    assert!(second.ask("create more").starts_with('E'));
    assert!(second.ask("statfs .").starts_with('E'));
}

#[test]
fn an_unmount_by_others_is_noticed() {
    let ends = Arc::new(AtomicUsize::new(0));
    let counted = ends.clone();
    let Some(host) = Host::with(|options| {
        options.on_end = Some(Arc::new(move |reason| {
            assert_eq!(reason, EndReason::Lost);
            counted.fetch_add(1, Ordering::Relaxed);
        }));
    }) else {
        return;
    };
    let mut umount = std::process::Command::new("sh");
    umount.args(["-c", "umount \"$0\" || fusermount3 -u \"$0\""]).arg(host.path());
    assert!(run_limited(umount).0);
    assert!(eventually(SOON, || !host.session.is_alive()));
    assert!(eventually(SOON, || ends.load(Ordering::Relaxed) == 1));
    assert!(eventually(SOON, || !host.path().exists()));
    host.session.unmount(false).unwrap();
    assert_eq!(ends.load(Ordering::Relaxed), 1);
    // The engine goes on unmounted.
    host.write("/f", "x");
    assert_eq!(host.read("/f"), "x");
}

#[test]
fn dropping_a_session_unmounts() {
    let Some(host) = Host::new() else { return };
    let path = host.path().to_owned();
    host.sh("echo kept > f");
    let Host { session, vfs, .. } = host;
    drop(session);
    assert!(!is_mounted(&path) && !path.exists());
    // The same engine can be mounted again.
    let session = Session::mount(vfs, options_for(&path)).unwrap();
    let mut agent = Agent::start();
    assert_eq!(agent.ask(&format!("read {}/f", path.display())), "kept");
    drop(agent);
    session.unmount(false).unwrap();
}

#[test]
fn the_mount_table_shows_what_it_is() {
    let Some(host) = Host::new() else { return };
    let table = fs::read_to_string("/proc/self/mounts").unwrap();
    let line = table.lines().find(|line| line.contains(host.path().to_str().unwrap())).unwrap();
    assert!(line.contains(" fuse.devdev ") && line.starts_with("devdev "), "{line}");
    for option in ["nosuid", "nodev", "noatime"] {
        assert!(line.contains(option), "{line}");
    }
    let mounts = devdev_fuse::devdev_mounts().unwrap();
    let mount = mounts.iter().find(|mount| mount.mount_point == host.path()).unwrap();
    assert_eq!(mount.device, host.session.device());
}
