//! Programs that watch files are told of a restore (SEMANTICS S140 to S144), and nothing but that
//! comes of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use devdev_vfs::{Tree, content_id};

use crate::agent::Agent;
use crate::harness::{Host, SOON, eventually, helper};

const LOOKUP: u32 = 1;
/// What a helper may take (S143).
const HELPER_LIMIT: Duration = Duration::from_secs(5);

fn watched_host() -> Option<Host> {
    Host::with(|options| options.helper = Some(helper()))
}

fn restore(host: &Host, tree: &Tree) {
    let restored = host.vfs.restore(tree);
    host.session.apply_restored(&restored);
}

// A watcher in the mount root.
fn watcher(host: &Host, paths: &[&str]) -> Agent {
    let mut agent = Agent::inside(host);
    for path in paths {
        assert_eq!(agent.ask(&format!("watch {path}")), "ok");
    }
    agent
}

// Waits for the last of the events. A kernel that writes back is told of lengths in a way that
// raises more of them.
fn assert_told(host: &Host, agent: &mut Agent, expected: &str) {
    let (mut told, mut all) = (String::new(), Vec::new());
    let last = expected.rsplit(',').next().unwrap();
    eventually(SOON, || {
        told = agent.ask("events");
        all.extend(told.split(',').filter(|event| !event.is_empty()).map(str::to_owned));
        all.iter().any(|event| event == last)
    });
    if host.session.writeback() {
        let missing = expected.split(',').find(|event| !all.iter().any(|told| told == event));
        assert_eq!(missing, None, "{all:?}");
    } else {
        assert_eq!(all.join(","), expected);
    }
}

// S140
#[test]
fn a_watched_directory_is_told_of_names_content_and_attributes() {
    let Some(host) = watched_host() else { return };
    host.sh(
        "mkdir d d/sub; echo one > d/text; echo m > d/mode; echo r > d/replaced; echo b > d/back
        : > d/void; mkfifo d/pipe; ln -s x d/link; mkdir other; echo o > other/f",
    );
    let tree = host.vfs.freeze();
    let mut agent = watcher(&host, &["d"]);
    host.sh("echo two > d/text; chmod 600 d/mode; rm d/replaced; echo other > d/replaced
        rm -r d/back d/void d/sub d/pipe d/link; echo n > d/new; mkdir d/made; mkfifo d/queue
        echo p > other/f; touch other/g");
    agent.ask("events");
    restore(&host, &tree);
    assert_told(
        &host,
        &mut agent,
        "-d d/made,- d/new,- d/queue,+ d/back,+ d/link,+ d/pipe,+ d/replaced,+d d/sub,+ d/void,\
         ~ d/back,close d/back,~ d/replaced,close d/replaced,~ d/text,close d/text,@ d/mode",
    );
    // Everything is there, as it was.
    assert_eq!(agent.ask("list d"), "back,link,mode,pipe,replaced,sub,text,void");
    assert_eq!(host.sh("cat d/back d/replaced d/text; readlink d/link"), "b\nr\none\nx\n");
    assert_eq!(host.sh("test -p d/pipe && stat -c %a d/mode"), "644\n");
}

// S140
#[test]
fn a_watched_file_is_told_of_itself() {
    let Some(host) = watched_host() else { return };
    host.sh("mkdir a; echo one > a/f; echo one > a/ro; chmod 400 a/ro; echo s > a/stays");
    let first = host.vfs.freeze();
    host.sh("echo two > a/f; chmod 600 a/ro; echo two > a/ro; chmod 400 a/ro; echo y > a/new");
    let mut agent = watcher(&host, &["a/f", "a/new", "a/stays"]);
    restore(&host, &first);
    assert_told(&host, &mut agent, "@ a/new,gone a/new,ignored a/new,~ a/f,close a/f");
    // What is watched still is watched.
    host.sh("echo three > a/f");
    assert!(agent.ask("events").starts_with("~ a/f"));
}

// S140, S25: a directory that is gone is gone for its watchers, and comes back as another one.
#[test]
fn watched_directories_go_and_come_back() {
    let Some(host) = watched_host() else { return };
    let without = host.vfs.freeze();
    host.sh("mkdir -p x/y; echo f > x/y/f; echo g > x/g");
    let with = host.vfs.freeze();
    let mut other = Agent::inside(&host);
    for round in 0..3 {
        let mut agent = watcher(&host, &[".", "x", "x/y"]);
        restore(&host, &without);
        let mut all: Vec<String> = Vec::new();
        let told = eventually(SOON, || {
            let events = agent.ask("events");
            all.extend(events.split(',').map(str::to_owned));
            all.iter().any(|event| event == "-d ./x")
        });
        let at = |event: &str| all.iter().position(|told| told == event);
        let order = ["- x/y/f", "gone x/y", "ignored x/y", "-d x/y", "gone x", "-d ./x"].map(at);
        assert!(told && order.is_sorted() && !order.contains(&None), "{all:?}");
        assert!(at("- x/g") < at("gone x"), "{all:?}");
        assert_eq!(other.ask("stat x"), "E2");
        restore(&host, &with);
        assert_told(&host, &mut agent, "+d ./x");
        assert_eq!(other.ask("list x"), "g,y");
        assert_eq!(other.ask("read x/y/f"), "f");
        // It is no dead one.
        assert_eq!(other.ask(&format!("create x/y/new{round}")), "ok");
        assert_eq!(agent.ask("watch x/y"), "ok");
        host.sh("echo > x/y/more");
        assert!(agent.ask("events").contains("+ x/y/more"));
        restore(&host, &with);
        assert_eq!(other.ask("list x/y"), "f");
    }
}

// S141
#[test]
fn nothing_is_changed_by_it() {
    let Some(host) = watched_host() else { return };
    host.sh("mkdir -p d/e; echo one > d/f; ln d/f d/hard; echo g > d/e/g; chmod 444 d/e/g
        touch -d @1000000 d/f d/e/g d/e; touch -d @2000000 d .");
    let tree = host.vfs.freeze();
    // A kernel that writes back takes its own time for the ctime of what it is told of.
    let changed = if host.session.writeback() { "" } else { "%C@" };
    let describe = format!("find . -printf '%p %i %m %n %s %U %G %T@ {changed}\\n' | sort");
    let before = host.sh(&describe);
    let mut agent = watcher(&host, &[".", "d", "d/e", "d/f"]);
    host.sh("rm -r d/e; echo two >> d/f; rm d/hard; echo x > d/x; chmod 700 d; mkdir -p new/dir");
    agent.ask("watch new");
    agent.ask("events");
    let restored = host.vfs.restore(&tree);
    let changes = host.vfs.change_count();
    host.session.apply_restored(&restored);
    assert!(eventually(SOON, || agent.ask("events").contains("@d ./d")), "d is not told of");
    assert_eq!(host.vfs.change_count(), changes);
    assert_eq!(host.sh(&describe), before);
    assert_eq!(content_id(&host.vfs.freeze()), content_id(&tree));
}

// S142
#[test]
fn nobody_is_asked_when_nobody_watches() {
    let Some(host) = watched_host() else { return };
    host.sh("mkdir d; echo one > d/f");
    let tree = host.vfs.freeze();
    // Somewhere else, and what is not concerned.
    let mut agent = Agent::start();
    agent.ask("watch /");
    agent.ask(&format!("chdir {}", host.path().display()));
    agent.ask("watch d");
    host.sh("mkdir e; echo two > e/f; echo two > top");
    agent.ask("events");
    let asked = || ["unlink", "rmdir", "mknod", "mkdir", "setattr"].map(|name| host.count(name));
    host.settled("mkdir");
    let before = asked();
    restore(&host, &tree);
    // Told would be told within this time.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!((asked(), agent.ask("events")), (before, String::new()));
}

// S141: while it is told slowly, everybody else sees what is, and what they make stays theirs.
#[test]
fn others_see_only_what_is_and_keep_what_they_make() {
    let slow = Arc::new(AtomicBool::new(false));
    let switch = slow.clone();
    let host = Host::with(|options| {
        options.helper = Some(helper());
        options.hook = Some(Arc::new(move |opcode, _| {
            if opcode == LOOKUP && switch.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(2));
            }
        }));
    });
    let Some(host) = host else { return };
    const COUNT: usize = 60;
    host.sh(&format!("mkdir d; for i in $(seq {COUNT}); do echo old > d/old$i; done"));
    let tree = host.vfs.freeze();
    let mut agent = watcher(&host, &["d"]);
    host.sh(&format!("rm d/old*; for i in $(seq {COUNT}); do echo new > d/new$i; done"));
    agent.ask("events");
    let mut other = Agent::inside(&host);
    slow.store(true, Ordering::Relaxed);
    restore(&host, &tree);
    for n in 1..=COUNT {
        // From both ends, so that some are told before and some after.
        let n = if n % 2 == 0 { COUNT + 2 - n } else { n };
        assert_eq!(other.ask(&format!("stat d/new{n}")), "E2");
        assert_eq!(other.ask(&format!("read d/old{n}")), "old");
        match n % 3 {
            0 => assert_eq!(other.ask(&format!("create d/new{n}")), "ok"),
            1 => assert_eq!(other.ask(&format!("mkdir d/new{n}")), "ok"),
            _ => {}
        }
    }
    slow.store(false, Ordering::Relaxed);
    let mut told = 0;
    assert!(eventually(SOON, || {
        told += agent.ask("events").matches("~ d/old").count();
        told >= COUNT
    }));
    let made = (1..=COUNT).filter(|n| n % 3 != 2).count();
    assert_eq!(host.sh("ls d | wc -l").trim(), (COUNT + made).to_string());
    for n in 1..=COUNT {
        let expected = match n % 3 {
            0 => "100644 size=0 nlink=1",
            1 => "40755 size=0 nlink=2",
            _ => "E2",
        };
        assert_eq!(other.ask(&format!("stat d/new{n}")), expected, "new{n}");
        assert_eq!(other.ask(&format!("read d/old{n}")), "old");
    }
}

// S141: also names that the kernel knows to be absent are told to be gone.
#[test]
fn a_name_that_was_looked_for_meanwhile_is_told() {
    let Some(host) = watched_host() else { return };
    host.sh("mkdir d");
    let tree = host.vfs.freeze();
    for _ in 0..20 {
        host.sh("echo 1 > d/f");
        let mut agent = watcher(&host, &["d"]);
        let restored = host.vfs.restore(&tree);
        let looking = AtomicBool::new(true);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut other = Agent::inside(&host);
                while looking.load(Ordering::Relaxed) {
                    other.ask("stat d/f");
                }
            });
            host.session.apply_restored(&restored);
            let told = eventually(SOON, || agent.ask("events").contains("- d/f"));
            looking.store(false, Ordering::Relaxed);
            assert!(told);
        });
    }
}

// A helper that plays the other roles, and this script in place of a replay.
fn helper_with(script: &str) -> PathBuf {
    crate::harness::script(&format!(
        "#!/bin/sh\nif [ \"$1\" = replay ]; then {script}; fi\nexec {} \"$@\"\n",
        helper().display()
    ))
}

// S143
#[test]
fn a_helper_that_does_nothing_holds_nobody_up() {
    let script = helper_with("exec sleep 100");
    let Some(host) = Host::with(|options| options.helper = Some(script.clone())) else { return };
    host.sh("mkdir d");
    let tree = host.vfs.freeze();
    host.sh("echo 1 > d/f");
    let mut agent = watcher(&host, &["d"]);
    let first = Instant::now();
    restore(&host, &tree);
    assert!(first.elapsed() < HELPER_LIMIT, "{:?}", first.elapsed());
    assert_eq!(agent.ask("stat d/f"), "E2");
    // More restores do not wait in a row.
    for round in 0..3 {
        host.sh(&format!("echo {round} > d/f"));
        restore(&host, &tree);
    }
    assert_eq!(agent.ask("list d"), "");
    drop(agent);
    let start = Instant::now();
    host.session.unmount(false).unwrap();
    assert!(start.elapsed() < HELPER_LIMIT, "{:?}", start.elapsed());
    // It was ended before its time; unless that is over, on a busy machine.
    assert!(!host.logged("took too long") || first.elapsed() > HELPER_LIMIT);
    std::fs::remove_file(script).unwrap();
}

// S143
#[test]
fn a_helper_that_is_late_is_killed_and_one_that_fails_does_no_harm() {
    let script = helper_with("[ -e \"$0.fails\" ] && exit 3; exec sleep 100");
    let fails = script.with_extension("fails");
    let Some(host) = Host::with(|options| options.helper = Some(script.clone())) else { return };
    host.sh("mkdir d; echo 1 > d/f");
    let tree = host.vfs.freeze();
    let mut agent = watcher(&host, &["d"]);
    host.sh("echo 2 > d/f");
    restore(&host, &tree);
    assert!(eventually(SOON, || host.logged("took too long")));
    std::fs::write(&fails, "").unwrap();
    host.sh("echo 3 > d/f");
    agent.ask("events");
    restore(&host, &tree);
    assert_eq!(agent.ask("read d/f"), "1");
    assert_eq!(host.sh("echo 4 > d/f; cat d/f"), "4\n");
    std::fs::remove_file(fails).unwrap();
    std::fs::remove_file(script).unwrap();
}

// S143: one that is not known to the daemon finds that out, and does nothing.
#[test]
fn a_helper_by_itself_changes_nothing() {
    let Some(host) = watched_host() else { return };
    host.sh("mkdir d; echo 1 > d/f");
    let (major, minor) = host.session.device();
    let orders = format!(
        "{}|.devdev-replay-1|{major} {minor} 5000|Sstage-1|Dd|uf|Sstage-2|D|fnew|",
        host.path().display()
    );
    // Three digits, whatever follows.
    let orders = orders.replace('|', "\\000");
    let (ok, _) = host.try_sh(&format!("printf '{orders}' | {} replay", helper().display()));
    assert!(!ok);
    assert_eq!(host.sh("ls . d; cat d/f"), ".:\nd\n\nd:\nf\n1\n");
}
