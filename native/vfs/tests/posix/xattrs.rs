//! Extended attributes.

use devdev_vfs::{Caller, Errno, Hold, SetXattr, Vfs, VfsOptions};

use crate::setup::{Fs, ROOT, USER, done, fs, options};

fn set(fs: &Fs, node: devdev_vfs::NodeId, name: &str, value: &[u8]) -> Result<(), Errno> {
    fs.setxattr(node, name.as_bytes(), value, SetXattr::default(), USER)
}

#[test]
fn values_are_set_listed_and_removed() {
    let fs = fs();
    let file = fs.file(ROOT, "file");
    let ctime = fs.attr(file).ctime;
    set(&fs, file, "user.b", b"2").unwrap();
    set(&fs, file, "user.a", &[0xff; 65536]).unwrap();
    assert!(fs.attr(file).ctime > ctime);
    assert_eq!(fs.getxattr(file, b"user.b"), Ok(b"2".to_vec()));
    let names = fs.listxattr(file, USER).unwrap();
    assert_eq!(names, [b"user.a"[..].into(), b"user.b"[..].into()]);
    let flags = |create, replace| SetXattr { create, replace };
    let with = |name: &[u8], flags| fs.setxattr(file, name, b"3", flags, USER);
    assert_eq!(with(b"user.a", flags(true, false)), Err(Errno::Exist));
    assert_eq!(with(b"user.c", flags(false, true)), Err(Errno::NoData));
    assert_eq!(with(b"user.c", flags(true, false)), Ok(()));
    assert_eq!(with(b"user.a", flags(false, true)), Ok(()));
    fs.removexattr(file, b"user.a", USER).unwrap();
    assert_eq!(fs.removexattr(file, b"user.a", USER), Err(Errno::NoData));
    assert_eq!(fs.getxattr(file, b"user.a"), Err(Errno::NoData));
}

#[test]
fn namespaces_have_their_rules() {
    let fs = fs();
    let (file, dir) = (fs.file(ROOT, "file"), fs.dir(ROOT, "dir"));
    let link = fs.symlink(ROOT, b"link", b"x", USER, Hold::None).unwrap().attr.node;
    assert_eq!(set(&fs, dir, "user.x", b""), Ok(()));
    assert_eq!(set(&fs, link, "user.x", b""), Err(Errno::Perm));
    assert_eq!(fs.getxattr(link, b"user.x"), Err(Errno::NoData));
    assert_eq!(set(&fs, link, "security.x", b""), Ok(()));
    assert_eq!(set(&fs, file, "trusted.x", b""), Err(Errno::Perm));
    let root = Caller::default();
    fs.setxattr(file, b"trusted.x", b"", SetXattr::default(), root).unwrap();
    assert_eq!(fs.listxattr(file, USER).unwrap().len(), 0);
    assert_eq!(fs.listxattr(file, root).unwrap().len(), 1);
    assert_eq!(fs.removexattr(file, b"trusted.x", USER), Err(Errno::Perm));
    for (name, errno) in [
        ("system.posix_acl_access", Errno::OpNotSupp),
        ("other.x", Errno::OpNotSupp),
        ("user.", Errno::Inval),
        ("", Errno::Range),
        (&format!("user.{}", "x".repeat(251)), Errno::Range),
    ] {
        assert_eq!(set(&fs, file, name, b""), Err(errno), "{name}");
    }
    assert_eq!(set(&fs, file, &format!("user.{}", "x".repeat(250)), b""), Ok(()));
    assert_eq!(set(&fs, file, "user.x", &[0; 65537]), Err(Errno::TooBig));
    assert_eq!(set(&fs, file, "user.x", &[0; 65536]), Ok(()));
    assert_eq!(set(&fs, file, "user.y", &[0; 65536]), Err(Errno::NoSpc));
}

#[test]
fn file_capabilities_go_with_the_content_they_were_given_for() {
    let fs = fs();
    let file = fs.file(ROOT, "file");
    let grant = || set(&fs, file, "security.capability", b"cap").unwrap();
    let granted = || fs.getxattr(file, b"security.capability").is_ok();
    grant();
    done(fs.read(file, 0, 1)).unwrap();
    assert!(granted());
    fs.put(file, 0, b"other").unwrap();
    assert!(!granted());
    grant();
    fs.resize(file, 0).unwrap();
    assert!(!granted());
    grant();
    fs.set(file, devdev_vfs::SetAttr { uid: Some(0), ..Default::default() }).unwrap();
    assert!(!granted());
}

#[test]
fn a_workspace_may_do_without() {
    let fs = Fs(Vfs::new(VfsOptions { xattrs: false, ..options() }));
    let file = fs.file(ROOT, "file");
    assert_eq!(set(&fs, file, "user.x", b""), Err(Errno::OpNotSupp));
    assert_eq!(fs.getxattr(file, b"user.x"), Err(Errno::OpNotSupp));
    assert_eq!(fs.listxattr(file, USER), Err(Errno::OpNotSupp));
    assert_eq!(fs.removexattr(file, b"user.x", USER), Err(Errno::OpNotSupp));
}
