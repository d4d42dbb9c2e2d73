//! What one side has done, the other side sees when the call has returned.

use devdev_vfs::{SetTime, Timespec};

use crate::agent::Agent;
use crate::harness::Host;

#[test]
fn data_written_by_the_api_replaces_cached_pages() {
    let Some(host) = Host::new() else { return };
    let mut agent = Agent::inside(&host);
    host.write("/f", "first");
    assert_eq!(agent.ask("read f"), "first");
    agent.ask("open 1 f");
    agent.ask("map 1 4096");
    for content in ["second, longer", "3rd", "a fourth one of another length"] {
        host.write("/f", content);
        assert_eq!(agent.ask("read f"), content);
        assert_eq!(agent.ask(&format!("load 0 {}", content.len())), content);
        assert_eq!(agent.ask("fstat 1"), format!("100644 size={} nlink=1", content.len()));
    }
    host.api.truncate(b"/f", 1).unwrap();
    assert_eq!(agent.ask("stat f"), "100644 size=1 nlink=1");
    assert_eq!(agent.ask("pread 1 0 100"), "a");
}

#[test]
fn attributes_changed_by_the_api_replace_cached_ones() {
    let Some(host) = Host::new() else { return };
    let mut agent = Agent::inside(&host);
    host.write("/f", "");
    assert_eq!(agent.ask("stat f"), "100644 size=0 nlink=1");
    host.api.chmod(b"/f", 0o600).unwrap();
    assert_eq!(agent.ask("stat f"), "100600 size=0 nlink=1");
    host.api.link(b"/f", b"/g").unwrap();
    assert_eq!(agent.ask("stat f"), "100600 size=0 nlink=2");
    let when = SetTime::At(Timespec { secs: 1_000_000, nanos: 5 });
    host.api.utimes(b"/f", when, when, true).unwrap();
    assert_eq!(host.sh("stat -c %Y g").trim(), "1000000");
    host.api.unlink(b"/g").unwrap();
    assert_eq!(agent.ask("stat f"), "100600 size=0 nlink=1");
    assert_eq!(agent.ask("stat g"), "E2");
}

#[test]
fn names_changed_by_the_api_replace_cached_ones_and_their_absence() {
    let Some(host) = Host::new() else { return };
    let mut agent = Agent::inside(&host);
    assert_eq!(agent.ask("stat new"), "E2");
    assert_eq!(agent.ask("list ."), "");
    host.write("/new", "here");
    assert_eq!(agent.ask("read new"), "here");
    assert_eq!(agent.ask("list ."), "new");
    host.api.rename(b"/new", b"/newer").unwrap();
    assert_eq!(agent.ask("stat new"), "E2");
    assert_eq!(agent.ask("read newer"), "here");
    assert_eq!(agent.ask("list ."), "newer");
    host.write("/other", "there");
    assert_eq!(agent.ask("read other"), "there");
    host.api.rename(b"/other", b"/newer").unwrap();
    assert_eq!(agent.ask("read newer"), "there");
    host.api.unlink(b"/newer").unwrap();
    assert_eq!(agent.ask("create newer"), "ok");
    host.api.mkdir(b"/d", 0o755).unwrap();
    assert_eq!(agent.ask("create d/x"), "ok");
    assert_eq!(agent.ask("list d"), "x");
    host.api.remove(b"/d", true).unwrap();
    assert_eq!(agent.ask("stat d/x"), "E2");
    assert_eq!(agent.ask("list ."), "newer");
}

#[test]
fn listings_cached_by_the_kernel_follow_the_api() {
    let Some(host) = Host::new() else { return };
    let mut agent = Agent::inside(&host);
    let mut expected: Vec<String> = Vec::new();
    for n in 0..50 {
        let name = format!("n{n:02}");
        host.write(&format!("/{name}"), "");
        expected.push(name);
        // Twice: the second listing comes from the kernel's own copy.
        assert_eq!(agent.ask("list ."), expected.join(","));
        assert_eq!(agent.ask("list ."), expected.join(","));
    }
}

#[test]
fn what_the_mount_did_the_api_sees_at_once() {
    let Some(host) = Host::new() else { return };
    let mut agent = Agent::inside(&host);
    agent.ask("create f");
    agent.ask("open 1 f");
    for n in 0..50 {
        let content = format!("content-{n}");
        assert_eq!(agent.ask(&format!("pwrite 1 0 {content}")), "ok");
        assert_eq!(host.read("/f"), content);
    }
    host.sh("mkdir -p a/b && mv f a/b/g && ln -s g a/b/h && chmod 640 a/b/g");
    assert_eq!(host.read("/a/b/h"), "content-49");
    assert_eq!(host.api.stat(b"/a/b/g", true).unwrap().mode, 0o100640);
    host.sh("rm -r a");
    assert!(host.api.stat(b"/a", true).is_err());
}

#[test]
fn stores_to_a_mapping_reach_the_api_with_munmap() {
    let Some(host) = Host::new() else { return };
    let mut agent = Agent::inside(&host);
    host.write("/f", &"-".repeat(10_000));
    agent.ask("open 1 f");
    agent.ask("map 1 10000");
    assert_eq!(agent.ask("store 5000 stored"), "ok");
    assert_eq!(agent.ask("unmap"), "ok");
    assert_eq!(&host.read("/f")[4999..5007], "-stored-");
}

// Threads of the API against processes of the mount, on the same few names: after each change of
// the API, a look through the mount must never find the state before it.
#[test]
fn many_changes_leave_no_stale_cache_behind() {
    let Some(host) = Host::new() else { return };
    host.sh("mkdir d");
    let script = "i=0; while [ $i -lt 400 ]; do ls -l d > /dev/null 2>&1; cat d/* > /dev/null 2>&1; \
                  : > d/mine$((i % 7)); rm -f d/mine$(((i + 3) % 7)); i=$((i + 1)); done";
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| host.try_sh(script));
        let mut agent = Agent::inside(&host);
        let mut round = 0;
        while !busy.is_finished() || round < 20 {
            let content = format!("round-{round}");
            host.write("/d/theirs", &content);
            assert_eq!(agent.ask("read d/theirs"), content);
            assert_eq!(
                agent.ask("stat d/theirs"),
                format!("100644 size={} nlink=1", content.len())
            );
            host.api.rename(b"/d/theirs", b"/d/renamed").unwrap();
            assert_eq!(agent.ask("stat d/theirs"), "E2");
            assert_eq!(agent.ask("read d/renamed"), content);
            host.api.unlink(b"/d/renamed").unwrap();
            assert_eq!(agent.ask("stat d/renamed"), "E2");
            round += 1;
        }
        busy.join().unwrap();
    });
}
