//! The structures against C: a probe compiled from the system's linux/fuse.h where there is a
//! compiler, fixed numbers for what that header may be too old for.

use std::fmt::Write as _;
use std::process::Command;

use super::*;

struct Layout {
    name: &'static str,
    size: usize,
    fields: &'static [(&'static str, usize)],
}

fn layout<T: Abi>() -> Layout {
    Layout { name: T::C_NAME, size: T::SIZE, fields: T::FIELDS }
}

// What a header of 7.37 has, with the last field whose name it shares.
fn old_structures() -> Vec<Layout> {
    vec![
        layout::<Attr>(),
        layout::<Kstatfs>(),
        layout::<OutHeader>(),
        layout::<EntryOut>(),
        layout::<AttrOut>(),
        layout::<ForgetIn>(),
        layout::<ForgetOne>(),
        layout::<BatchForgetIn>(),
        layout::<GetattrIn>(),
        layout::<MknodIn>(),
        layout::<MkdirIn>(),
        layout::<RenameIn>(),
        layout::<Rename2In>(),
        layout::<LinkIn>(),
        layout::<SetattrIn>(),
        layout::<OpenIn>(),
        layout::<CreateIn>(),
        layout::<ReleaseIn>(),
        layout::<FlushIn>(),
        layout::<ReadIn>(),
        layout::<WriteIn>(),
        layout::<WriteOut>(),
        layout::<FsyncIn>(),
        layout::<SetxattrIn>(),
        layout::<GetxattrIn>(),
        layout::<GetxattrOut>(),
        layout::<AccessIn>(),
        layout::<InitIn>(),
        layout::<InterruptIn>(),
        layout::<FallocateIn>(),
        layout::<LseekIn>(),
        layout::<LseekOut>(),
        layout::<IoctlIn>(),
        layout::<IoctlOut>(),
        layout::<CopyFileRangeIn>(),
        layout::<NotifyInvalInode>(),
        layout::<NotifyInvalEntry>(),
        layout::<NotifyStore>(),
        layout::<NotifyPrune>(),
    ]
}

fn c_field(structure: &str, field: &'static str) -> &'static str {
    match (structure, field) {
        ("fuse_dirent", "kind") => "type",
        _ => field,
    }
}

#[test]
fn layouts_equal_those_of_the_system_header() {
    let mut source = String::from(
        "#include <stdio.h>\n#include <stddef.h>\n#include <linux/fuse.h>\n\
         #define S(n, v) printf(\"%s %zu\\n\", n, (size_t)(v));\nint main(void) {\n",
    );
    let mut expected = String::new();
    let mut say = |c: String, value: usize| {
        writeln!(source, "S(\"{}\", {c})", c.replace('"', "")).unwrap();
        writeln!(expected, "{c} {value}").unwrap();
    };
    for layout in old_structures() {
        say(format!("sizeof(struct {})", layout.name), layout.size);
        for (field, offset) in layout.fields {
            let field = c_field(layout.name, field);
            say(format!("offsetof(struct {}, {field})", layout.name), *offset);
        }
    }
    // Structures whose tail got names later, or whose fields are renamed here.
    for (name, size) in [("fuse_in_header", 40), ("fuse_init_out", 64), ("fuse_open_out", 16)] {
        say(format!("sizeof(struct {name})"), size);
    }
    say("offsetof(struct fuse_init_out, flags2)".into(), 32);
    say("offsetof(struct fuse_dirent, name)".into(), Dirent::SIZE);
    for (name, code) in OPCODES.iter().filter(|(_, code)| *code <= op::SYNCFS) {
        say(format!("FUSE_{name}"), *code as usize);
    }
    for (name, bits) in init::ALL.iter().filter(|(_, bits)| *bits <= init::INIT_EXT) {
        say(format!("FUSE_{name}"), *bits as usize);
    }
    for (name, bits) in fattr::ALL {
        say(format!("FATTR_{name}"), *bits as usize);
    }
    for (name, value) in [
        ("FUSE_WRITE_CACHE", WRITE_CACHE as usize),
        ("FUSE_WRITE_KILL_SUIDGID", WRITE_KILL_SUIDGID as usize),
        ("FOPEN_KEEP_CACHE", FOPEN_KEEP_CACHE as usize),
        ("FOPEN_NOFLUSH", FOPEN_NOFLUSH as usize),
        ("FUSE_NOTIFY_INVAL_INODE", NOTIFY_INVAL_INODE as usize),
        ("FUSE_NOTIFY_INVAL_ENTRY", NOTIFY_INVAL_ENTRY as usize),
        ("FUSE_COMPAT_22_INIT_OUT_SIZE", COMPAT_22_INIT_OUT_SIZE),
        ("FUSE_COMPAT_SETXATTR_IN_SIZE", COMPAT_SETXATTR_IN_SIZE),
    ] {
        say(name.into(), value);
    }
    source.push_str("return 0; }\n");
    let Some(output) = run_c(&source) else {
        eprintln!("SKIPPED: no C compiler with linux/fuse.h of 7.37 or newer");
        return;
    };
    assert_eq!(output, expected);
}

fn run_c(source: &str) -> Option<String> {
    let dir = std::env::temp_dir().join(format!("devdev-abi-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (file, program) = (dir.join("probe.c"), dir.join("probe"));
    std::fs::write(&file, source).unwrap();
    let compiled = Command::new("cc").arg("-o").arg(&program).arg(&file).output();
    let output = match compiled {
        Ok(done) if done.status.success() => {
            Some(String::from_utf8(Command::new(&program).output().unwrap().stdout).unwrap())
        }
        Ok(done) => {
            eprintln!("{}", String::from_utf8_lossy(&done.stderr));
            None
        }
        Err(_) => None,
    };
    std::fs::remove_dir_all(&dir).unwrap();
    output
}

#[test]
fn newer_structures_have_the_sizes_and_offsets_of_7_45() {
    type Offsets<'a> = &'a [(&'a str, usize)];
    let pinned: &[(Layout, usize, Offsets<'_>)] = &[
        (
            layout::<InHeader>(),
            40,
            &[("unique", 8), ("nodeid", 16), ("uid", 24), ("pid", 32), ("total_extlen", 36)],
        ),
        (
            layout::<InitOut>(),
            64,
            &[
                ("max_background", 16),
                ("max_write", 20),
                ("time_gran", 24),
                ("max_pages", 28),
                ("flags2", 32),
                ("max_stack_depth", 36),
                ("request_timeout", 40),
            ],
        ),
        (layout::<OpenOut>(), 16, &[("open_flags", 8)]),
        (layout::<Dirent>(), 24, &[("off", 8), ("namelen", 16), ("kind", 20)]),
        (layout::<StatxIn>(), 24, &[("fh", 8), ("sx_flags", 16), ("sx_mask", 20)]),
        (layout::<SxTime>(), 16, &[("tv_nsec", 8)]),
        (
            layout::<Statx>(),
            256,
            &[
                ("attributes", 8),
                ("nlink", 16),
                ("mode", 28),
                ("ino", 32),
                ("attributes_mask", 56),
                ("atime", 64),
                ("btime", 80),
                ("ctime", 96),
                ("mtime", 112),
                ("rdev_major", 128),
                ("dev_minor", 140),
            ],
        ),
        (layout::<StatxOut>(), 288, &[("stat", 32)]),
        (layout::<CopyFileRangeOut>(), 8, &[]),
        (layout::<RingEntInOut>(), 32, &[("commit_id", 8), ("payload_sz", 16), ("reserved", 24)]),
        (layout::<RingReqHeader>(), 288, &[("op_in", 128), ("ring_ent_in_out", 256)]),
        (layout::<RingCmdReq>(), 24, &[("commit_id", 8), ("qid", 16)]),
    ];
    for (layout, size, fields) in pinned {
        assert_eq!(layout.size, *size, "{}", layout.name);
        for field in *fields {
            assert!(layout.fields.contains(field), "{} {field:?}", layout.name);
        }
    }
    assert_eq!((op::TMPFILE, op::STATX, op::COPY_FILE_RANGE_64), (51, 52, 53));
    assert_eq!((init::HAS_RESEND, init::OVER_IO_URING), (1 << 39, 1 << 41));
    assert_eq!((RING_REGISTER, RING_COMMIT_AND_FETCH), (1, 2));
}

#[test]
fn encoding_is_the_layout() {
    let entry = EntryOut {
        nodeid: 1,
        generation: 2,
        attr: Attr { size: 3, flags: 4, ..Attr::default() },
        ..EntryOut::default()
    };
    let mut bytes = vec![9; 4];
    entry.append(&mut bytes);
    assert_eq!(bytes.len(), 4 + 128);
    assert_eq!(EntryOut::decode(&bytes[4..]), Some(entry));
    assert_eq!(EntryOut::decode(&bytes[5..]), None);
    assert_eq!(u64::from_ne_bytes(bytes[12..20].try_into().unwrap()), 2);
    assert_eq!(bytes[4 + 124], 4);
}
