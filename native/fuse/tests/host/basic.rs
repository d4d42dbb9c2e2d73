//! What programs do with files, through the mount.

use std::collections::HashSet;

use devdev_vfs::S_IFREG;

use crate::agent::Agent;
use crate::harness::Host;

#[test]
fn files_directories_and_links() {
    let Some(host) = Host::new() else { return };
    let output = host.sh(r#"
        set -e
        mkdir d && echo one > d/a && echo two >> d/a && cat d/a
        ln d/a hard && ln -s d/a soft && readlink soft && stat -c %h hard
        mv d/a d/b && cat hard && ! cat soft 2>/dev/null
        mkfifo pipe && test -p pipe
        rm d/b && rmdir d && stat -c %h hard && ls
        ! rmdir hard 2>/dev/null && ! mkdir hard 2>/dev/null && ! cat gone 2>/dev/null
        "#);
    assert_eq!(output, "one\ntwo\nd/a\n2\none\ntwo\n1\nhard\npipe\nsoft\n");
    // The engine saw all of it.
    assert_eq!(host.read("/hard"), "one\ntwo\n");
}

#[test]
fn attributes_are_kept_and_reported() {
    let Some(host) = Host::new() else { return };
    let output = host.sh(r#"
        set -e
        umask 027; echo 12345 > f; stat -c '%a %s %b' f
        chmod 4751 f; stat -c %a f
        touch -d '2001-02-03 04:05:06.789 UTC' f; TZ=UTC stat -c %y f
        truncate -s 100000 f; stat -c '%s %b' f; truncate -s 3 f; cat f; echo
        test -x f; chmod a-x f; ! test -x f
        test "$(stat -c %W f)" -gt 0
        stat -f -c %s .
        "#);
    let expected = "640 6 8\n4751\n2001-02-03 04:05:06.789000000 +0000\n100000 8\n123\n4096\n";
    assert_eq!(output, expected);
}

#[test]
fn content_of_every_size_survives() {
    let Some(host) = Host::new() else { return };
    let output = host.sh(r#"
        set -e
        random=$(mktemp); head -c 3000000 /dev/urandom > $random
        for n in 0 1 4095 4096 4097 65535 65536 65537 131072 3000000; do
          head -c $n $random > f$n; head -c $n $random | cmp - f$n
        done
        cp f3000000 copy; cmp copy f3000000
        dd if=/dev/zero of=copy bs=1 seek=70000 count=10 conv=notrunc 2>/dev/null
        ! cmp -s copy f3000000; cmp -n 70000 copy f3000000; cmp -i 70010 copy f3000000
        truncate -s 1T sparse; echo end >> sparse; tail -c 4 sparse; stat -c '%s %b' sparse
        rm $random
        "#);
    assert_eq!(output, "end\n1099511627780 8\n");
}

#[test]
fn a_hundred_thousand_names_are_listed_once_each() {
    const COUNT: usize = 100_000;
    let Some(host) = Host::new() else { return };
    host.api.mkdir(b"/big", 0o755).unwrap();
    let parent = host.api.stat(b"/big", true).unwrap().node;
    for n in 0..COUNT {
        let name = format!("entry-{n}");
        let hold = devdev_vfs::Hold::None;
        host.vfs
            .mknod(parent, name.as_bytes(), S_IFREG | 0o644, 0, crate::harness::owner(), hold)
            .unwrap();
    }
    let mut agent = Agent::inside(&host);
    for _ in 0..2 {
        let names = agent.ask("list big");
        let unique: HashSet<&str> = names.split(',').collect();
        assert_eq!((unique.len(), names.split(',').count()), (COUNT, COUNT));
    }
    assert_eq!(host.sh("rm -r big && ls -A | wc -l").trim(), "0");
}

#[test]
fn opens_cost_no_request() {
    let Some(host) = Host::new() else { return };
    host.sh("mkdir d; for n in 1 2 3 4 5 6 7 8; do echo $n > f$n; cat f$n > /dev/null; ls d; done");
    host.sh("for n in 1 2 3 4 5 6 7 8; do cat f1 f2 f3 > /dev/null; ls d; done");
    assert!(host.count("open") <= 1 && host.count("opendir") <= 1);
    assert!(host.count("flush") <= 1 && host.count("fsync") <= 1);
    assert!(host.settled("create") == 8, "{:?}", host.session.counters());
}

#[test]
fn names_and_attributes_are_asked_for_once() {
    let Some(host) = Host::new() else { return };
    host.sh("mkdir d; echo 1 > d/f; ls -l d; ! cat d/none 2>/dev/null");
    let before = (host.settled("lookup"), host.count("getattr"), host.count("read"));
    host.sh("for n in 1 2 3 4; do stat d/f; cat d/f; ! stat d/none 2>/dev/null; done");
    let after = (host.settled("lookup"), host.count("getattr"), host.count("read"));
    // One of each for what the first pass had no reason to ask.
    assert!(after.0 - before.0 <= 1 && after.1 - before.1 <= 1, "{before:?} {after:?}");
    assert!(after.2 - before.2 <= 1, "{before:?} {after:?}");
}

#[test]
fn the_control_directory_is_there_but_not_listed() {
    let Some(host) = Host::new() else { return };
    let output = host.sh(r#"
        set -e
        ls -A; ls .devdev
        echo x > .devdev/home/rc; echo y > .devdev/tmp/scratch
        cat .devdev/home/rc .devdev/tmp/scratch
        ! mkdir .devdev 2>/dev/null; ! rmdir .devdev 2>/dev/null; ! touch .devdev/new 2>/dev/null
        ! mv .devdev/tmp/scratch moved 2>&1 >/dev/null | grep -q nothing
        "#);
    assert!(output.starts_with("home\nsnapshots\ntmp\nx\ny\n"), "{output}");
}

#[test]
fn a_panic_costs_one_request() {
    let panicking = |opcode: u32, _: u64| assert!(opcode != 17, "a planned panic");
    let Some(host) = Host::with(|options| options.hook = Some(std::sync::Arc::new(panicking)))
    else {
        return;
    };
    let mut agent = Agent::inside(&host);
    for _ in 0..6 {
        assert_eq!(agent.ask("statfs ."), "E5");
    }
    assert!(host.logged("statfs panicked: a planned panic"));
    assert_eq!(agent.ask("create fine"), "ok");
    assert_eq!(agent.ask("list ."), "fine");
}
