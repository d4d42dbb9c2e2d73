//! A restore under the live mount, with files open, mapped and used as working directories.

use crate::agent::Agent;
use crate::harness::Host;

fn restore(host: &Host, tree: &devdev_vfs::Tree) {
    let restored = host.vfs.restore(tree);
    host.session.apply_restored(&restored);
}

#[test]
fn nobody_sees_the_old_state_afterwards() {
    let Some(host) = Host::new() else { return };
    host.sh("mkdir -p a/b; echo one > a/f; echo keep > keep; ln -s a/f l; echo gone > a/gone");
    let tree = host.vfs.freeze();
    let mut agent = Agent::inside(&host);
    assert_eq!(agent.ask("read a/f"), "one");
    assert_eq!(agent.ask("read keep"), "keep");
    host.sh("echo two, longer > a/f; rm a/gone; echo n > a/new; mv a/b c; chmod 600 keep; rm l");
    assert_eq!(agent.ask("read a/f"), "two, longer");
    assert_eq!(agent.ask("stat a/gone"), "E2");
    assert_eq!(agent.ask("read a/new"), "n");
    assert_eq!(agent.ask("list ."), "a,c,keep");
    restore(&host, &tree);
    assert_eq!(agent.ask("list ."), "a,keep,l");
    assert_eq!(agent.ask("list a"), "b,f,gone");
    assert_eq!(agent.ask("read a/f"), "one");
    assert_eq!(agent.ask("stat a/f"), "100644 size=4 nlink=1");
    assert_eq!(agent.ask("read l"), "one");
    assert_eq!(agent.ask("read a/gone"), "gone");
    assert_eq!(agent.ask("stat a/new"), "E2");
    assert_eq!(agent.ask("stat keep"), "100644 size=5 nlink=1");
    assert_eq!(agent.ask("stat c"), "E2");
    assert_eq!(agent.ask("list a/b"), "");
}

#[test]
fn open_files_and_mappings_follow() {
    let Some(host) = Host::new() else { return };
    host.write("/f", &"1".repeat(9000));
    let tree = host.vfs.freeze();
    let mut agent = Agent::inside(&host);
    agent.ask("open 1 f");
    agent.ask("map 1 9000");
    assert_eq!(agent.ask("pwrite 1 0 222"), "ok");
    assert_eq!(agent.ask("store 5000 333"), "ok");
    agent.ask("create young");
    agent.ask("open 2 young");
    agent.ask("pwrite 2 0 young");
    host.session.flush(std::time::Duration::from_secs(10));
    // Dirty again, and not flushed: this must not survive.
    assert_eq!(agent.ask("store 6000 444"), "ok");
    restore(&host, &tree);
    assert_eq!(agent.ask("pread 1 0 3"), "111");
    assert_eq!(agent.ask("load 5000 3"), "111");
    assert_eq!(agent.ask("load 6000 3"), "111");
    assert_eq!(host.read("/f"), "1".repeat(9000));
    // An inode that the restored state lacks is usable as after unlink.
    assert_eq!(agent.ask("stat young"), "E2");
    assert_eq!(agent.ask("pread 2 0 10"), "young");
    assert_eq!(agent.ask("pwrite 2 5 er"), "ok");
    assert_eq!(agent.ask("pread 2 0 10"), "younger");
    assert!(agent.ask("fstat 2").ends_with("nlink=0"));
    // And the mapping works on in the new state.
    assert_eq!(agent.ask("store 1 555"), "ok");
    assert_eq!(agent.ask("unmap"), "ok");
    assert!(host.read("/f").starts_with("1555111"));
}

#[test]
fn a_removed_file_comes_back_under_its_open_handle() {
    let Some(host) = Host::new() else { return };
    host.sh("echo content > f");
    let tree = host.vfs.freeze();
    let mut agent = Agent::inside(&host);
    agent.ask("open 1 f");
    host.sh("rm f");
    assert!(agent.ask("fstat 1").ends_with("nlink=0"));
    restore(&host, &tree);
    assert!(agent.ask("fstat 1").ends_with("nlink=1"));
    assert_eq!(agent.ask("pwrite 1 0 C"), "ok");
    assert_eq!(agent.ask("read f"), "Content");
}

// The kernel marks a removed directory dead and finds it again by its node id.
#[test]
fn a_removed_directory_comes_back_alive() {
    let Some(host) = Host::new() else { return };
    host.sh("mkdir -p d/e; echo 1 > d/e/f");
    let tree = host.vfs.freeze();
    let mut agent = Agent::inside(&host);
    let mut sitting = Agent::inside(&host);
    assert_eq!(sitting.ask("chdir d/e"), "ok");
    for round in 0..3 {
        assert_eq!(agent.ask("list d/e"), "f");
        host.sh("rm -r d");
        assert_eq!(agent.ask("stat d"), "E2");
        restore(&host, &tree);
        assert_eq!(agent.ask("list d/e"), "f");
        let name = format!("d/e/new{round}");
        assert_eq!(agent.ask(&format!("create {name}")), "ok");
        assert_eq!(agent.ask(&format!("stat {name}")), "100644 size=0 nlink=1");
        restore(&host, &tree);
        assert_eq!(agent.ask(&format!("stat {name}")), "E2");
    }
    // Who sat in the directory that was removed sits in a dead one.
    assert!(sitting.ask("create x").starts_with('E'));
    drop(sitting);
}

// A handle on what was removed is no handle on what has come back; one on what was there all the
// time goes on.
#[test]
fn handles_on_directories_that_were_removed_stay_on_those() {
    let Some(host) = Host::new() else { return };
    host.sh("mkdir both");
    let without = host.vfs.freeze();
    host.sh("mkdir d; echo 1 > d/f; echo 1 > both/f");
    let with = host.vfs.freeze();
    let mut agent = Agent::inside(&host);
    let [mut removed, mut both, mut by_name] = [(); 3].map(|()| Agent::inside(&host));
    assert_eq!((removed.ask("chdir d"), both.ask("chdir both")), ("ok".into(), "ok".into()));
    assert_eq!(agent.ask("open 1 d/f"), "ok");
    for look_first in [false, true, false] {
        restore(&host, &without);
        assert_eq!(both.ask("list ."), "");
        assert_eq!(agent.ask("stat d"), "E2");
        restore(&host, &with);
        if look_first {
            assert_eq!(by_name.ask("list d"), "f");
        }
        for _ in 0..2 {
            assert_eq!(removed.ask("list ."), "E5");
            assert_eq!(removed.ask("stat ."), "E5");
        }
        assert_eq!(by_name.ask("list d"), "f");
        assert_eq!(removed.ask("create x"), "E5");
        assert_eq!(both.ask("list ."), "f");
        // Files are the same file again.
        assert_eq!(agent.ask("pread 1 0 1"), "1");
    }
    drop(removed);
    assert_eq!(by_name.ask("chdir d"), "ok");
    assert_eq!(by_name.ask("list ."), "f");
}

#[test]
fn a_restore_can_be_undone_and_redone() {
    let Some(host) = Host::new() else { return };
    let mut agent = Agent::inside(&host);
    let mut trees = Vec::new();
    for n in 0..4 {
        host.sh(&format!("rm -rf ./*; mkdir d{n}; echo {n} > d{n}/f; echo {n} > same"));
        trees.push(host.vfs.freeze());
    }
    for n in [0, 3, 1, 2, 0, 1, 3] {
        restore(&host, &trees[n]);
        assert_eq!(agent.ask("list ."), format!("d{n},same"));
        assert_eq!(agent.ask(&format!("read d{n}/f")), format!("{n}"));
        assert_eq!(agent.ask("read same"), format!("{n}"));
    }
}

#[test]
fn the_scratch_directory_is_left_alone() {
    let Some(host) = Host::new() else { return };
    let tree = host.vfs.freeze();
    host.sh("echo x > .devdev/tmp/scratch; echo y > .devdev/home/rc");
    restore(&host, &tree);
    assert_eq!(host.sh("ls .devdev/tmp; ls .devdev/home"), "scratch\n");
}
