//! Mounts whose kernel keeps writes back (SEMANTICS S49 to S55): nothing that a call has written is
//! missed or overwritten.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use devdev_vfs::api::OpenFlags;
use devdev_vfs::{Limits, SetTime, Timespec};

use crate::agent::Agent;
use crate::harness::{Host, eventually, helper};

const DEADLINE: Duration = Duration::from_secs(20);
const WRITE: u32 = 16;
const DELAY: Duration = Duration::from_millis(200);

fn writeback_host() -> Option<Host> {
    let host = Host::with(|options| {
        options.writeback = true;
        options.helper = Some(helper());
    })?;
    if host.session.writeback() {
        return Some(host);
    }
    eprintln!("SKIPPED: this kernel is too old for writeback");
    None
}

// What the engine has, without asking the kernel for more.
fn stored(host: &Host, path: &[u8]) -> u64 {
    let listed = devdev_vfs::NodeId::ROOT;
    let looked = host.vfs.lookup(listed, &path[1..], devdev_vfs::Hold::None).unwrap();
    let devdev_vfs::Outcome::Done(entry) = looked else { panic!("it needs the store") };
    entry.attr.size
}

// S49
#[test]
fn writes_come_in_with_close_fsync_and_a_flush() {
    let Some(host) = writeback_host() else { return };
    let mut agent = Agent::inside(&host);
    agent.ask("create f");
    agent.ask("open 1 f");
    agent.ask("pwrite 1 0 abc");
    assert_eq!(stored(&host, b"/f"), 0, "nothing is kept back");
    assert_eq!(agent.ask("fsync 1"), "ok");
    assert_eq!(stored(&host, b"/f"), 3);
    agent.ask("pwrite 1 3 def");
    let report = host.session.flush(DEADLINE);
    assert!(report.complete && report.inodes > 0, "{report:?}");
    assert_eq!(stored(&host, b"/f"), 6);
    agent.ask("pwrite 1 6 ghi");
    assert_eq!(agent.ask("close 1"), "ok");
    assert_eq!(stored(&host, b"/f"), 9);
    assert_eq!(host.read("/f"), "abcdefghi");
}

// S151
#[test]
fn a_flush_looks_after_files_that_were_written_to() {
    // Longer than the bridge waits for the end of calls that write.
    const QUIET: Duration = Duration::from_millis(5500);
    let Some(host) = writeback_host() else { return };
    (0..300).for_each(|n| host.write(&format!("/f{n}"), "as it was"));
    host.sh("cat f* >/dev/null; ls -l >/dev/null");
    // All of them where processes hide what they map: users only.
    let flushed = || {
        let report = host.session.flush(DEADLINE);
        assert!(report.complete, "{report:?}");
        (!report.all_held).then_some(report.inodes)
    };
    assert!(flushed().is_none_or(|inodes| inodes == 0));
    let mut agent = Agent::inside(&host);
    (1..=3).for_each(|n| assert_eq!(agent.ask(&format!("open {n} f{n}")), "ok"));
    for (round, end) in [100, 200, 300].into_iter().enumerate() {
        // The first is written to at once, the second after a look at it, the third never.
        agent.ask(&format!("pwrite 1 {end} x"));
        agent.ask("fstat 2");
        agent.ask(&format!("pwrite 2 {end} x"));
        assert!(flushed().is_none_or(|inodes| inodes == 2), "round {round}");
        assert_eq!((stored(&host, b"/f1"), stored(&host, b"/f2")), (end + 1, end + 1));
        agent.ask(&format!("pwrite 1 {end} 0123456789"));
        assert!(flushed().is_none_or(|inodes| inodes == 2), "round {round}");
        assert_eq!(stored(&host, b"/f1"), end + 10);
        std::thread::sleep(QUIET);
        assert!(flushed().is_none_or(|inodes| inodes == 2), "round {round}");
        assert!(flushed().is_none_or(|inodes| inodes == 0), "round {round}");
    }
    // All at once, and closed: the kernel has handed them over, which is not known here.
    host.sh("for f in f*; do echo closed > $f; done");
    assert!(flushed().is_none_or(|inodes| inodes >= 300));
}

// S49
#[test]
fn a_flush_waits_for_replies_that_are_late() {
    let slow = Arc::new(AtomicBool::new(false));
    let switch = slow.clone();
    let host = Host::with(|options| {
        options.writeback = true;
        options.helper = Some(helper());
        options.hook = Some(Arc::new(move |opcode, _| {
            if opcode == WRITE && switch.load(Ordering::Relaxed) {
                std::thread::sleep(DELAY);
            }
        }));
    });
    let Some(host) = host.filter(|host| host.session.writeback()) else { return };
    let mut agent = Agent::inside(&host);
    for n in 0..5 {
        agent.ask(&format!("create f{n}"));
        agent.ask(&format!("open {n} f{n}"));
        agent.ask(&format!("pwrite {n} 5000 here"));
    }
    slow.store(true, Ordering::Relaxed);
    let report = host.session.flush(DEADLINE);
    slow.store(false, Ordering::Relaxed);
    assert!(report.complete && report.elapsed >= DELAY, "{report:?}");
    (0..5).for_each(|n| assert_eq!(stored(&host, format!("/f{n}").as_bytes()), 5004));
}

// S50
#[test]
fn the_api_sees_what_a_call_has_written() {
    let Some(host) = writeback_host() else { return };
    let mut agent = Agent::inside(&host);
    agent.ask("create f");
    agent.ask("open 1 f");
    let read = OpenFlags { read: true, ..OpenFlags::default() };
    let fd = host.api.open(b"/f", read, 0).unwrap();
    for round in 0..50 {
        agent.ask(&format!("pwrite 1 {round} {round:02}"));
        assert_eq!(host.api.stat(b"/f", true).unwrap().size, round + 2);
        assert!(host.read("/f").ends_with(&format!("{round:02}")));
        agent.ask(&format!("pwrite 1 {round} XY"));
        assert_eq!(host.api.read(fd, 2, Some(round)).unwrap(), b"XY");
        agent.ask(&format!("pwrite 1 {round} ab"));
        host.api.copy_file(b"/f", b"/copy", false).unwrap();
        assert_eq!(host.read("/copy"), host.read("/f"));
    }
    host.api.close(fd).unwrap();
}

// S51: a whole page goes back, with what was beside the bytes that were written.
#[test]
fn pages_that_are_held_back_overwrite_nothing_of_the_api() {
    let Some(host) = writeback_host() else { return };
    let mut agent = Agent::inside(&host);
    host.write("/f", &"-".repeat(9000));
    agent.ask("open 1 f");
    let write = OpenFlags { write: true, ..OpenFlags::default() };
    let fd = host.api.open(b"/f", write, 0).unwrap();
    for round in 0..100 {
        let (mine, theirs) = (round * 40, round * 40 + 10);
        agent.tell(&format!("pwrite 1 {theirs} kernel{round:03}"));
        host.api.write(fd, format!("api{round:03}").as_bytes(), Some(mine)).unwrap();
        assert_eq!(agent.answer(), "ok");
        let text = host.read("/f");
        assert_eq!(&text[mine as usize..][..6], format!("api{round:03}"));
        assert_eq!(&text[theirs as usize..][..9], format!("kernel{round:03}"));
        assert_eq!(agent.ask(&format!("pread 1 {mine} 19")), &text[mine as usize..][..19]);
    }
    host.api.close(fd).unwrap();
}

// S51
#[test]
fn an_open_file_has_the_length_that_the_api_gave_it() {
    let Some(host) = writeback_host() else { return };
    let mut agent = Agent::inside(&host);
    host.write("/f", &"-".repeat(9000));
    agent.ask("open 1 f");
    agent.ask("pwrite 1 9000 dirty");
    for content in ["short", "a little longer", "", &"+".repeat(20_000), "short again"] {
        host.write("/f", content);
        assert_eq!(agent.ask("fstat 1"), format!("100644 size={} nlink=1", content.len()));
        assert_eq!(agent.ask("pread 1 0 30000"), content);
        agent.ask("pwrite 1 0 !");
        let expected = format!("!{}", content.get(1..).unwrap_or_default());
        assert_eq!(host.read("/f"), expected);
    }
    let when = SetTime::At(Timespec { secs: 1_000_000, nanos: 5 });
    agent.ask("fsync 1");
    host.api.utimes(b"/f", when, when, true).unwrap();
    agent.ask("close 1");
    assert_eq!(host.sh("cat f >/dev/null; stat -c %Y f").trim(), "1000000");
}

// S55: cp asks where there is data in a file that another process is writing.
#[test]
fn holes_are_looked_for_in_what_was_written() {
    let Some(host) = writeback_host() else { return };
    let mut agent = Agent::inside(&host);
    agent.ask("create f");
    agent.ask("open 1 f");
    agent.ask("pwrite 1 0 head");
    agent.ask("pwrite 1 1000000 tail");
    assert_eq!(host.sh("cp --sparse=auto f g; cmp f g && stat -c %s g").trim(), "1000004");
    let blocks: u64 = host.sh("stat -c %b g").trim().parse().unwrap();
    assert!(blocks < 100, "{blocks}");
}

// S54
#[test]
fn times_are_those_of_the_writes() {
    let Some(host) = writeback_host() else { return };
    let script = "echo one > f; touch -d @1000000 f; stat -c '%Y %Z' f; echo two >> f; stat -c %Y f
        cp -p f g; chmod 600 g; ln g h; stat -c '%y %z' f g";
    let before = host.sh(script);
    let api = |path: &str| {
        let attr = host.api.stat(path.as_bytes(), true).unwrap();
        (attr.mtime.secs, attr.mtime.nanos, attr.ctime.secs, attr.ctime.nanos)
    };
    let f = api("/f");
    let seen = host.sh("stat -c '%.9Y %.9Z' f");
    assert_eq!(seen.trim(), format!("{}.{:09} {}.{:09}", f.0, f.1, f.2, f.3), "{before}");
    let g = api("/g");
    assert_eq!(host.sh("stat -c %.9Y g").trim(), format!("{}.{:09}", g.0, g.1));
    // What is flushed while the file is open has a time of then; the kernel's own comes later.
    let mut agent = Agent::inside(&host);
    agent.ask("open 1 f");
    agent.ask("pwrite 1 0 new");
    assert!(host.session.flush(DEADLINE).complete);
    assert!(api("/f") > f);
    agent.ask("close 1");
    let f = api("/f");
    assert_eq!(host.sh("stat -c %.9Y f").trim(), format!("{}.{:09}", f.0, f.1));
}

// S54
#[test]
fn room_and_copies_have_the_times_that_the_mount_shows() {
    let Some(host) = writeback_host() else { return };
    host.sh("head -c 300000 /dev/urandom > from");
    // Within one tick of the kernel's clock it has no time to send.
    let script = "for i in $(seq 30); do
        : > to$i; cp from to$i; : > room$i; fallocate -n -l 200000 room$i; done
        stat -c '%n %.9Y %.9Z' to* room*";
    for line in host.sh(script).lines() {
        let (name, shown) = line.split_once(' ').unwrap();
        let attr = host.api.stat(format!("/{name}").as_bytes(), true).unwrap();
        let time = |secs: i64, nanos: u32| format!("{secs}.{nanos:09}");
        let (m, c) = (attr.mtime, attr.ctime);
        assert_eq!(shown, format!("{} {}", time(m.secs, m.nanos), time(c.secs, c.nanos)), "{name}");
    }
}

// S53
#[test]
fn what_has_no_room_is_told_by_close_and_not_shown() {
    let Some(host) = writeback_host() else { return };
    host.vfs.set_limits(Limits { bytes: 1 << 20, inodes: 1000 });
    let (ok, output) = host.try_sh("dd if=/dev/zero of=f bs=64k count=64 conv=fsync 2>&1");
    assert!(!ok && output.contains("No space left"), "{output}");
    let kept = stored(&host, b"/f");
    // Which part has come first is the kernel's to say.
    assert!(kept > 0 && kept < 4 << 20, "{kept}");
    assert!(host.vfs.usage().bytes <= 1 << 20);
    // What was not taken is not shown for long by the mount either.
    assert!(eventually(DEADLINE, || host.sh("stat -c %s f").trim() == kept.to_string()));
    host.sh("rm f; echo room > g");
    assert_eq!(host.read("/g"), "room\n");
}

#[test]
fn a_file_without_a_name_takes_what_comes_late() {
    let Some(host) = writeback_host() else { return };
    let mut agent = Agent::inside(&host);
    agent.ask("create f");
    agent.ask("open 1 f");
    agent.ask("pwrite 1 0 late");
    host.api.unlink(b"/f").unwrap();
    assert_eq!(agent.ask("fsync 1"), "ok");
    assert_eq!(agent.ask("pread 1 0 10"), "late");
    assert_eq!(agent.ask("fstat 1"), "100644 size=4 nlink=0");
}

// S49
#[test]
fn a_forced_unmount_takes_what_was_written() {
    let Some(host) = writeback_host() else { return };
    let mut agent = Agent::inside(&host);
    agent.ask("create f");
    agent.ask("open 1 f");
    agent.ask("pwrite 1 0 kept");
    host.session.unmount(true).unwrap();
    assert_eq!(host.read("/f"), "kept");
}
