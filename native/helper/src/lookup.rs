//! Finding a program on a given PATH with execvp's rules. Separate from the exec itself because the
//! two fail differently: a name that nothing answers to is 127, a file that will not run is 126.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rustix::fs::{Access, AtFlags, CWD, FileType};
use rustix::io::Errno;

/// The file to execute for `name`. A name with a slash is itself the path; an empty entry of PATH
/// is the current directory. A file that may not be executed is passed over, but remembered: EACCES
/// then says more than ENOENT.
pub fn find_program(name: &OsStr, path: &OsStr) -> Result<PathBuf, Errno> {
    if name.is_empty() {
        return Err(Errno::NOENT);
    }
    if name.as_bytes().contains(&b'/') {
        return executable(name.into());
    }
    let mut verdict = Errno::NOENT;
    for directory in path.as_bytes().split(|&byte| byte == b':') {
        let directory = if directory.is_empty() { b"." } else { directory };
        let candidate = [directory, b"/", name.as_bytes()].concat();
        match executable(OsString::from_vec(candidate).into()) {
            Ok(program) => return Ok(program),
            Err(Errno::ACCESS) => verdict = Errno::ACCESS,
            // Not there, or the directory is gone, unreachable or no directory: the next one.
            Err(_) => {}
        }
    }
    Err(verdict)
}

fn executable(path: PathBuf) -> Result<PathBuf, Errno> {
    let stat = rustix::fs::stat(&path)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Errno::ACCESS);
    }
    rustix::fs::accessat(CWD, &path, Access::EXEC_OK, AtFlags::EACCESS)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("devdev-{name}-{}", std::process::id()));
            for directory in ["a", "b"] {
                std::fs::create_dir_all(path.join(directory)).unwrap();
            }
            Scratch(path)
        }

        fn file(&self, name: &str, mode: u32) {
            let path = self.0.join(name);
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }

        fn path(&self) -> OsString {
            format!("{0}/missing:{0}/a:{0}/b", self.0.display()).into()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn takes_the_first_that_may_be_executed() {
        let scratch = Scratch::new("lookup-first");
        scratch.file("a/tool", 0o644);
        scratch.file("b/tool", 0o755);
        std::fs::create_dir(scratch.0.join("a/folder")).unwrap();
        let find = |name: &str| find_program(OsStr::new(name), &scratch.path());
        assert_eq!(find("tool"), Ok(scratch.0.join("b/tool")));
        assert_eq!(find("none"), Err(Errno::NOENT));
        assert_eq!(find(""), Err(Errno::NOENT));
        assert_eq!(find("folder"), Err(Errno::ACCESS));
    }

    #[test]
    fn remembers_what_may_not_be_executed() {
        let scratch = Scratch::new("lookup-access");
        scratch.file("a/tool", 0o644);
        assert_eq!(find_program(OsStr::new("tool"), &scratch.path()), Err(Errno::ACCESS));
    }

    #[test]
    fn a_slash_means_no_search() {
        let scratch = Scratch::new("lookup-slash");
        scratch.file("a/tool", 0o755);
        let direct = scratch.0.join("a/tool");
        assert_eq!(find_program(direct.as_os_str(), OsStr::new("")), Ok(direct));
        assert_eq!(find_program(OsStr::new("./nowhere/x"), &scratch.path()), Err(Errno::NOENT));
    }
}
