//! System calls that shells do not make: a child process makes them in the mount root, one list per
//! test, and checks what they return.

use std::ffi::{CStr, CString, OsStr};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};

use crate::harness::{Host, SOON, eventually, owner, role, role_arg, run_limited};

type Case = (&'static str, fn());

const CASES: &[Case] = &[
    ("rename_flags", rename_flags),
    ("unnamed_files", unnamed_files),
    ("allocation_and_holes", allocation_and_holes),
    ("copying_ranges", copying_ranges),
    ("extended_attributes", extended_attributes),
    ("file_attributes", file_attributes),
    ("special_files", special_files),
    ("appending_and_truncating", appending_and_truncating),
    ("unlinked_while_open", unlinked_while_open),
    ("names_of_any_bytes", names_of_any_bytes),
    ("positions_in_listings", positions_in_listings),
    ("locks", locks),
    ("times", times),
];

/// The child's side.
pub fn run() -> ! {
    std::env::set_current_dir(role_arg(0)).unwrap();
    let wanted = role_arg(1);
    let (_, case) = CASES.iter().find(|(name, _)| *name == wanted).expect("a case");
    case();
    std::process::exit(0);
}

fn check_case(name: &str) {
    let Some(host) = Host::new() else { return };
    let (ok, output) = run_limited(role("syscalls", &[host.path().as_os_str(), OsStr::new(name)]));
    assert!(ok, "{output}");
    // Whatever was done, the engine finds nothing wrong with itself.
    host.sh("rm -rf ./* && test -z \"$(ls -A)\"");
    // The kernel forgets what is gone a moment later.
    let gone = eventually(SOON, || host.vfs.usage().inodes < 10);
    assert!(gone, "{:?}", host.vfs.usage());
}

macro_rules! cases {
    ($($name:ident)*) => { mod through_the_mount { $(
        #[test]
        fn $name() {
            super::check_case(stringify!($name));
        }
    )* } };
}
cases! {
    rename_flags unnamed_files allocation_and_holes copying_ranges extended_attributes
    file_attributes special_files appending_and_truncating unlinked_while_open
    names_of_any_bytes positions_in_listings locks times
}

fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

// The error number of a call that returned -1, else its value.
fn result(value: i64) -> Result<i64, i32> {
    if value < 0 { Err(io::Error::last_os_error().raw_os_error().unwrap()) } else { Ok(value) }
}

fn open(path: &str) -> File {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap()
}

fn rename(from: &str, to: &str, flags: libc::c_uint) -> Result<i64, i32> {
    let (from, to, at) = (c(from), c(to), libc::AT_FDCWD);
    // SAFETY: both paths are NUL-terminated and live for the call.
    result(i64::from(unsafe { libc::renameat2(at, from.as_ptr(), at, to.as_ptr(), flags) }))
}

// S1: no file has attributes of chattr(1); setting none is done, as on tmpfs.
fn file_attributes() {
    let _ = open("f");
    fs::create_dir("d").unwrap();
    for path in ["f", "d"] {
        let file = File::open(path).unwrap();
        let call = |request: libc::c_ulong, words: &mut [u32; 7]| {
            // SAFETY: the descriptor is open; the kernel reads and writes 28 bytes at most.
            result(i64::from(unsafe { libc::ioctl(file.as_raw_fd(), request, words) }))
        };
        const FSGETXATTR: libc::c_ulong = 0x801c_581f;
        for (get, set) in [(libc::FS_IOC_GETFLAGS, libc::FS_IOC_SETFLAGS), (FSGETXATTR, 0)] {
            let mut words = [7; 7];
            assert_eq!(call(get, &mut words), Ok(0));
            assert_eq!(words[0], 0);
            if set != 0 {
                assert_eq!(call(set, &mut [0; 7]), Ok(0));
                // Those that need no capability. Linux 6.17 says ENOTTY for all file systems.
                for flag in [0x40, 0x80] {
                    let done = call(set, &mut [flag; 7]);
                    assert!(matches!(done, Err(libc::EOPNOTSUPP | libc::ENOTTY)), "{done:?}");
                }
            }
        }
        assert_eq!(call(libc::TIOCGWINSZ, &mut [0; 7]), Err(libc::ENOTTY));
        assert_eq!(seek(&file, 0, libc::SEEK_END), Ok(0));
    }
}

fn rename_flags() {
    fs::write("a", "a").unwrap();
    fs::write("b", "b").unwrap();
    fs::create_dir("d").unwrap();
    assert_eq!(rename("a", "b", libc::RENAME_NOREPLACE), Err(libc::EEXIST));
    assert_eq!(rename("a", "d", libc::RENAME_EXCHANGE), Ok(0));
    assert!(fs::metadata("a").unwrap().is_dir());
    assert_eq!(fs::read("d").unwrap(), b"a");
    assert_eq!(rename("d", "c", libc::RENAME_NOREPLACE), Ok(0));
    assert_eq!(rename("gone", "b", libc::RENAME_EXCHANGE), Err(libc::ENOENT));
    assert_eq!(rename("a", "b", 0), Err(libc::ENOTDIR));
    assert_eq!(rename("b", "a", 0), Err(libc::EISDIR));
    assert_eq!(rename("a", "a/below", 0), Err(libc::EINVAL));
    assert_eq!(rename("b", "fresh", libc::RENAME_WHITEOUT), Ok(0));
    let whiteout = fs::symlink_metadata("b").unwrap();
    assert!(whiteout.file_type().is_char_device() && whiteout.rdev() == 0);
    fs::remove_file("b").unwrap();
    fs::rename("fresh", "b").unwrap();
    assert_eq!(rename("c", ".devdev/tmp/c", 0), Err(libc::EXDEV));
}

fn unnamed_files() {
    let file = OpenOptions::new().write(true).read(true).custom_flags(libc::O_TMPFILE).open(".");
    let file = file.unwrap();
    file.write_all_at(b"unnamed", 0).unwrap();
    assert_eq!(file.metadata().unwrap().nlink(), 0);
    let link = |name: &str| {
        let (from, to, at) =
            (c(&format!("/proc/self/fd/{}", file.as_raw_fd())), c(name), libc::AT_FDCWD);
        let flags = libc::AT_SYMLINK_FOLLOW;
        // SAFETY: both paths are NUL-terminated and live for the call.
        result(i64::from(unsafe { libc::linkat(at, from.as_ptr(), at, to.as_ptr(), flags) }))
    };
    assert_eq!(link("named"), Ok(0));
    assert_eq!(link("named"), Err(libc::EEXIST));
    assert_eq!(fs::read("named").unwrap(), b"unnamed");
    assert_eq!(file.metadata().unwrap().nlink(), 1);
}

fn allocate(file: &File, mode: i32, offset: i64, len: i64) -> Result<i64, i32> {
    // SAFETY: the descriptor is open; nothing else is passed but numbers.
    result(i64::from(unsafe { libc::fallocate(file.as_raw_fd(), mode, offset, len) }))
}

fn seek(file: &File, offset: i64, whence: i32) -> Result<i64, i32> {
    // SAFETY: the descriptor is open; nothing else is passed but numbers.
    result(unsafe { libc::lseek(file.as_raw_fd(), offset, whence) })
}

fn allocation_and_holes() {
    let file = open("f");
    file.write_all_at(&[1; 300_000], 0).unwrap();
    let keep = libc::FALLOC_FL_KEEP_SIZE;
    assert_eq!(allocate(&file, keep | libc::FALLOC_FL_PUNCH_HOLE, 65536, 131072), Ok(0));
    assert_eq!(seek(&file, 0, libc::SEEK_HOLE), Ok(65536));
    assert_eq!(seek(&file, 65536, libc::SEEK_DATA), Ok(196608));
    assert_eq!(seek(&file, 200_000, libc::SEEK_HOLE), Ok(300_000));
    assert_eq!(seek(&file, 300_000, libc::SEEK_DATA), Err(libc::ENXIO));
    let mut bytes = vec![9; 300_000];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert!(bytes[..65536].iter().chain(&bytes[196608..]).all(|byte| *byte == 1));
    assert!(bytes[65536..196608].iter().all(|byte| *byte == 0));
    assert_eq!(allocate(&file, libc::FALLOC_FL_ZERO_RANGE, 10, 20), Ok(0));
    file.read_exact_at(&mut bytes[..40], 0).unwrap();
    assert_eq!(bytes[9..31], [[1].as_slice(), &[0; 20], &[1]].concat());
    assert_eq!(allocate(&file, 0, 0, 500_000), Ok(0));
    assert_eq!(file.metadata().unwrap().size(), 500_000);
    assert_eq!(allocate(&file, keep, 0, 900_000), Ok(0));
    assert_eq!(file.metadata().unwrap().size(), 500_000);
    assert_eq!(allocate(&file, libc::FALLOC_FL_COLLAPSE_RANGE, 0, 4096), Err(libc::EOPNOTSUPP));
}

fn copying_ranges() {
    let from = open("from");
    let content: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
    from.write_all_at(&content, 0).unwrap();
    let to = open("to");
    let copy = |mut from_at: i64, mut to_at: i64, len: usize| {
        // SAFETY: both descriptors are open, both offsets are live variables.
        result(unsafe {
            libc::copy_file_range(
                from.as_raw_fd(),
                &mut from_at,
                to.as_raw_fd(),
                &mut to_at,
                len,
                0,
            )
        } as i64)
    };
    assert_eq!(copy(0, 0, 1_000_000), Ok(1_000_000));
    assert_eq!(fs::read("to").unwrap(), content);
    assert_eq!(copy(7, 100_003, 70_000), Ok(70_000));
    let mut expected = content.clone();
    expected[100_003..170_003].copy_from_slice(&content[7..70_007]);
    assert_eq!(fs::read("to").unwrap(), expected);
    assert_eq!(copy(2_000_000, 0, 10), Ok(0));
    // What one of the two changes afterwards is its own.
    from.write_all_at(b"changed", 0).unwrap();
    assert_eq!(fs::read("to").unwrap(), expected);
}

fn get_xattr(path: &str, name: &str, room: usize) -> Result<Vec<u8>, i32> {
    let (path, name, mut value) = (c(path), c(name), vec![0u8; room]);
    // SAFETY: the strings are NUL-terminated; the buffer has `room` bytes.
    let len =
        unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), room) };
    let len = result(len as i64)? as usize;
    if room == 0 {
        return Ok(vec![0; len]);
    }
    value.truncate(len);
    Ok(value)
}

fn set_xattr(path: &str, name: &str, value: &[u8], flags: i32) -> Result<i64, i32> {
    let (path, name) = (c(path), c(name));
    // SAFETY: the strings are NUL-terminated; the value's length is given with it.
    result(i64::from(unsafe {
        libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), flags)
    }))
}

fn list_xattrs(path: &str) -> Vec<String> {
    let (path, mut list) = (c(path), vec![0u8; 1000]);
    // SAFETY: the path is NUL-terminated; the buffer has the length given.
    let len = unsafe { libc::listxattr(path.as_ptr(), list.as_mut_ptr().cast(), list.len()) };
    list.truncate(result(len as i64).unwrap() as usize);
    let names = list.split_inclusive(|byte| *byte == 0);
    names.map(|name| CStr::from_bytes_with_nul(name).unwrap().to_str().unwrap().into()).collect()
}

fn extended_attributes() {
    fs::write("f", "content").unwrap();
    assert_eq!(get_xattr("f", "user.color", 100), Err(libc::ENODATA));
    assert_eq!(set_xattr("f", "user.color", b"red", libc::XATTR_REPLACE), Err(libc::ENODATA));
    assert_eq!(set_xattr("f", "user.color", b"red", 0), Ok(0));
    assert_eq!(set_xattr("f", "user.color", b"blue", libc::XATTR_CREATE), Err(libc::EEXIST));
    assert_eq!(get_xattr("f", "user.color", 100).unwrap(), b"red");
    assert_eq!(get_xattr("f", "user.color", 0).unwrap().len(), 3);
    assert_eq!(get_xattr("f", "user.color", 2), Err(libc::ERANGE));
    assert_eq!(set_xattr("f", "user.empty", b"", 0), Ok(0));
    assert_eq!(get_xattr("f", "user.empty", 10).unwrap(), b"");
    assert_eq!(set_xattr("f", "user.large", &[7; 4000], 0), Ok(0));
    assert_eq!(get_xattr("f", "user.large", 5000).unwrap(), [7; 4000]);
    let mut names = list_xattrs("f");
    names.sort();
    assert_eq!(names, ["user.color", "user.empty", "user.large"]);
    let (path, name) = (c("f"), c("user.color"));
    // SAFETY: both strings are NUL-terminated and live for the call.
    let removed = unsafe { libc::removexattr(path.as_ptr(), name.as_ptr()) };
    assert_eq!(removed, 0);
    assert_eq!(get_xattr("f", "user.color", 100), Err(libc::ENODATA));
    fs::rename("f", "g").unwrap();
    assert_eq!(get_xattr("g", "user.large", 5000).unwrap().len(), 4000);
}

fn special_files() {
    let make = |name: &str, mode: u32, device: u64| {
        let name = c(name);
        // SAFETY: the path is NUL-terminated.
        result(i64::from(unsafe { libc::mknod(name.as_ptr(), mode, device) }))
    };
    assert_eq!(make("fifo", libc::S_IFIFO | 0o640, 0), Ok(0));
    assert!(fs::metadata("fifo").unwrap().file_type().is_fifo());
    let socket = std::os::unix::net::UnixListener::bind("socket").unwrap();
    assert!(fs::metadata("socket").unwrap().file_type().is_socket());
    std::os::unix::net::UnixStream::connect("socket").unwrap();
    drop(socket);
    if owner().uid == 0 {
        let number = libc::makedev(259, 70_000);
        assert_eq!(make("device", libc::S_IFBLK | 0o600, number), Ok(0));
        let meta = fs::metadata("device").unwrap();
        assert!(meta.file_type().is_block_device());
        assert_eq!(meta.rdev(), number);
        // nodev: it is only a name.
        assert_eq!(File::open("device").unwrap_err().raw_os_error(), Some(libc::EACCES));
    }
    std::os::unix::fs::symlink("x".repeat(4000), "long").unwrap();
    assert_eq!(fs::read_link("long").unwrap().as_os_str().len(), 4000);
    assert_eq!(fs::metadata("long").unwrap_err().raw_os_error(), Some(libc::ENAMETOOLONG));
}

fn appending_and_truncating() {
    use std::io::Write;
    let mut one = OpenOptions::new().append(true).create(true).open("log").unwrap();
    let mut two = OpenOptions::new().append(true).open("log").unwrap();
    for n in 0..100 {
        write!(one, "1:{n};").unwrap();
        write!(two, "2:{n};").unwrap();
    }
    let text = fs::read_to_string("log").unwrap();
    assert_eq!(text.split_terminator(';').count(), 200);
    assert!(text.ends_with("1:99;2:99;"));
    one.set_len(3).unwrap();
    one.set_len(6).unwrap();
    assert_eq!(fs::read("log").unwrap(), b"1:0\0\0\0");
    File::create("log").unwrap();
    assert_eq!(one.metadata().unwrap().size(), 0);
}

fn unlinked_while_open() {
    let file = open("f");
    file.write_all_at(b"alive", 0).unwrap();
    fs::remove_file("f").unwrap();
    fs::write("f", "another").unwrap();
    assert_eq!(file.metadata().unwrap().nlink(), 0);
    file.write_all_at(b" and well", 5).unwrap();
    let mut bytes = [0; 14];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"alive and well");
    file.set_len(5).unwrap();
    assert_eq!(file.metadata().unwrap().size(), 5);
    fs::create_dir("d").unwrap();
    let dir = File::open("d").unwrap();
    fs::remove_dir("d").unwrap();
    assert_eq!(dir.metadata().unwrap().nlink(), 0);
}

fn names_of_any_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let long = "n".repeat(255);
    fs::write(&long, "x").unwrap();
    let error = fs::write("n".repeat(256), "x").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENAMETOOLONG));
    let odd = OsStr::from_bytes(b"\xff\xfe new\nline\\\"");
    fs::write(odd, "odd").unwrap();
    let mut names: Vec<_> = fs::read_dir(".").unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [OsStr::new(&long), odd]);
    assert_eq!(fs::read(odd).unwrap(), b"odd");
}

// Entries that stay are listed exactly once, whatever comes and goes meanwhile.
fn positions_in_listings() {
    for n in 0..3000 {
        fs::write(format!("stay{n}"), "").unwrap();
        fs::write(format!("go{n}"), "").unwrap();
    }
    let mut seen = std::collections::HashMap::new();
    for (at, entry) in fs::read_dir(".").unwrap().enumerate() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        *seen.entry(name).or_insert(0) += 1;
        if at % 2 == 0 {
            let n = at / 2;
            let _ = fs::remove_file(format!("go{n}"));
            let _ = fs::write(format!("come{n}"), "");
        }
    }
    for n in 0..3000 {
        assert_eq!(seen.get(&format!("stay{n}")), Some(&1), "stay{n}");
    }
    assert!(seen.values().all(|times| *times == 1));
}

fn locks() {
    let (one, two) = (open("f"), open("f"));
    one.lock().unwrap();
    assert!(two.try_lock().is_err());
    one.unlock().unwrap();
    two.try_lock().unwrap();
}

fn times() {
    let file = open("f");
    let when = |secs: i64, nanos: i64| libc::timespec { tv_sec: secs, tv_nsec: nanos };
    let set = [when(-1_000_000, 123_456_789), when(5_000_000_000, 987_654_321)];
    // SAFETY: the descriptor is open; the array has the two times that futimens reads.
    assert_eq!(unsafe { libc::futimens(file.as_raw_fd(), set.as_ptr()) }, 0);
    let meta = file.metadata().unwrap();
    assert_eq!((meta.atime(), meta.atime_nsec()), (-1_000_000, 123_456_789));
    assert_eq!((meta.mtime(), meta.mtime_nsec()), (5_000_000_000, 987_654_321));
    let (changed, born) = (meta.ctime(), meta.created().unwrap());
    assert!(changed > 1_000_000_000);
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::set_permissions("f", fs::Permissions::from_mode(0o600)).unwrap();
    let later = file.metadata().unwrap();
    assert!((later.ctime(), later.ctime_nsec()) > (meta.ctime(), meta.ctime_nsec()));
    assert_eq!(later.created().unwrap(), born);
    assert_eq!((later.mtime(), later.mtime_nsec()), (meta.mtime(), meta.mtime_nsec()));
    fs::write("f", "x").unwrap();
    assert!(file.metadata().unwrap().mtime() < 5_000_000_000);
}
