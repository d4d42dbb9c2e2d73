//! Single paths restored: by hand, and at random against what each path must become.

use std::sync::Arc;

use super::*;
use crate::SetXattr;
use crate::api::sample::{CREATE, Fs, READ};
use crate::content_id::{ContentId, id_of};
use crate::known_ids::content_id;
use crate::sample::Random;

impl Fs {
    fn get(&self, path: &str) -> std::result::Result<String, Errno> {
        let bytes = self.0.read_file(path.as_bytes(), READ).map_err(|failure| failure.errno)?;
        Ok(String::from_utf8(bytes).unwrap())
    }

    /// Makes these paths what they are in `source`.
    fn graft(&self, source: &Tree, paths: &[&str]) -> std::result::Result<(), Refused> {
        let paths: Vec<Graft> = paths
            .iter()
            .map(|path| Graft { path: path.as_bytes().into(), shallow: false })
            .collect();
        self.graft_all(source, &paths)
    }

    fn graft_all(&self, source: &Tree, paths: &[Graft]) -> std::result::Result<(), Refused> {
        let vfs = self.0.vfs();
        let base = vfs.freeze();
        content_id(&base);
        let tree = vfs.graft(&base, source, paths)?;
        assert_eq!(content_id(&tree), from_scratch(&tree));
        vfs.restore(&tree);
        vfs.check_invariants().unwrap();
        let now = vfs.freeze();
        assert_eq!(content_id(&now), from_scratch(&now));
        Ok(())
    }
}

fn from_scratch(tree: &Tree) -> ContentId {
    id_of(&tree.root, &mut HashMap::new(), &HashSet::new())
}

/// How many leaves of the second tree the first does not share.
fn own_leaves(base: &Tree, made: &Tree) -> usize {
    let mut shared = HashSet::new();
    base.root.for_each_leaf(|_, leaf| _ = shared.insert(Arc::as_ptr(leaf)));
    let mut own = 0;
    made.root.for_each_leaf(|_, leaf| own += usize::from(!shared.contains(&Arc::as_ptr(leaf))));
    own
}

#[test]
fn files_come_back_under_their_numbers_with_all_that_they_were() {
    let fs = Fs::new();
    fs.dir("/d");
    fs.put("/d/f", "one");
    fs.0.chmod(b"/d/f", 0o4711).unwrap();
    fs.0.setxattr(b"/d/f", b"user.x", b"v", SetXattr::default()).unwrap();
    fs.put("/d/other", "stays");
    let (ino, before) = (fs.ino("/d/f"), fs.freeze());
    fs.0.unlink(b"/d/f").unwrap();
    fs.put("/d/f", "two");
    fs.put("/d/other", "stays as it is now");
    fs.put("/d/new", "new");
    fs.graft(&before, &["/d/f", "/d/new"]).unwrap();
    assert_eq!((fs.get("/d/f").as_deref(), fs.ino("/d/f")), (Ok("one"), ino));
    assert_eq!(fs.0.stat(b"/d/f", false).unwrap().mode & 0o7777, 0o4711);
    assert_eq!(fs.0.getxattr(b"/d/f", b"user.x").unwrap(), b"v");
    assert_eq!(fs.get("/d/other").as_deref(), Ok("stays as it is now"));
    assert_eq!(fs.get("/d/new"), Err(Errno::NoEnt));
}

#[test]
fn directories_come_back_whole_with_what_leads_to_them() {
    let fs = Fs::new();
    for path in ["/a", "/a/b", "/a/b/c", "/a/b/c/empty"] {
        fs.dir(path);
    }
    (0..300).for_each(|n| fs.put(&format!("/a/b/c/{n}"), &n.to_string()));
    fs.put("/a/x", "x");
    fs.0.chmod(b"/a", 0o700).unwrap();
    let before = fs.freeze();
    fs.0.remove(b"/a", true).unwrap();
    fs.graft(&before, &["/a/b/c"]).unwrap();
    assert_eq!(fs.get("/a/b/c/299").as_deref(), Ok("299"));
    assert_eq!(fs.0.stat(b"/a", false).unwrap().mode & 0o777, 0o700);
    assert_eq!((fs.get("/a/x"), fs.0.readdir(b"/a/b/c").unwrap().len()), (Err(Errno::NoEnt), 301));
    // A directory in place of a file, and the other way round.
    fs.0.remove(b"/a/b/c", true).unwrap();
    fs.put("/a/b/c", "a file");
    fs.dir("/a/x");
    fs.put("/a/x/inside", "");
    fs.graft(&before, &["/a/x", "/a/b/c"]).unwrap();
    assert_eq!(fs.get("/a/x").as_deref(), Ok("x"));
    assert_eq!(fs.get("/a/b/c/0").as_deref(), Ok("0"));
}

#[test]
fn what_goes_on_elsewhere_is_left_alone() {
    let fs = Fs::new();
    fs.dir("/d");
    fs.put("/d/f", "one");
    let before = fs.freeze();
    fs.0.rename(b"/d/f", b"/moved").unwrap();
    fs.0.rename(b"/d", b"/e").unwrap();
    fs.graft(&before, &["/d"]).unwrap();
    fs.put("/d/f", "changed");
    assert_eq!(fs.get("/moved").as_deref(), Ok("one"));
    assert!(fs.ino("/d/f") != fs.ino("/moved") && fs.ino("/d") != fs.ino("/e"));
    // With both names the rename is taken back.
    let fs = Fs::new();
    fs.put("/f", "one");
    let (ino, before) = (fs.ino("/f"), fs.freeze());
    fs.0.rename(b"/f", b"/moved").unwrap();
    fs.graft(&before, &["/f", "/moved"]).unwrap();
    assert_eq!((fs.ino("/f"), fs.get("/moved")), (ino, Err(Errno::NoEnt)));
}

#[test]
fn hard_links_are_kept_where_both_states_have_them() {
    let fs = Fs::new();
    fs.put("/a", "one");
    fs.0.link(b"/a", b"/b").unwrap();
    fs.0.link(b"/a", b"/c").unwrap();
    let (ino, before) = (fs.ino("/a"), fs.freeze());
    fs.0.unlink(b"/a").unwrap();
    fs.put("/a", "other");
    fs.graft(&before, &["/a"]).unwrap();
    assert_eq!((fs.ino("/a"), fs.0.stat(b"/a", false).unwrap().nlink), (ino, 3));
    // The content that /b and /c have now is not that of /a then: they part.
    fs.put("/b", "changed");
    fs.graft(&before, &["/a"]).unwrap();
    assert_eq!((fs.get("/a").as_deref(), fs.get("/c").as_deref()), (Ok("one"), Ok("changed")));
    assert_eq!(fs.0.stat(b"/c", false).unwrap().nlink, 2);
    // All of them together are one again.
    fs.graft(&before, &["/a", "/b", "/c"]).unwrap();
    assert_eq!((fs.ino("/a"), fs.0.stat(b"/c", false).unwrap().nlink), (ino, 3));
    assert_eq!(fs.get("/b").as_deref(), Ok("one"));
}

#[test]
fn attributes_of_a_directory_come_back_without_what_is_in_it() {
    let fs = Fs::new();
    fs.dir("/d");
    fs.put("/d/f", "one");
    let before = fs.freeze();
    fs.0.chmod(b"/d", 0o700).unwrap();
    fs.put("/d/f", "two");
    let paths = [Graft { path: b"/d".to_vec(), shallow: true }];
    fs.graft_all(&before, &paths).unwrap();
    assert_eq!(fs.0.stat(b"/d", false).unwrap().mode & 0o777, 0o755);
    assert_eq!(fs.get("/d/f").as_deref(), Ok("two"));
}

#[test]
fn refusals_name_the_path_and_change_nothing() {
    let fs = Fs::new();
    fs.dir("/d");
    fs.put("/d/f", "one");
    let before = fs.freeze();
    fs.0.remove(b"/d", true).unwrap();
    fs.put("/d", "in the way");
    let refused = |paths: &[&str]| fs.graft(&before, paths).err();
    assert_eq!(refused(&["/d", "/nothing"]), Some((1, Errno::NoEnt)));
    assert_eq!(refused(&["/d/f"]), Some((0, Errno::NotDir)));
    for odd in ["d", "", "/d/../d", "/.devdev", "/.devdev/tmp"] {
        assert_eq!(refused(&[odd]), Some((0, Errno::Inval)), "{odd}");
    }
    assert_eq!(fs.get("/d").as_deref(), Ok("in the way"));
}

#[test]
fn directories_that_were_moved_come_back_as_they_are() {
    let fs = Fs::new();
    for path in ["/d", "/d/a", "/d/a/x", "/d/z"] {
        fs.dir(path);
    }
    fs.put("/d/a/x/f", "one");
    fs.put("/d/a/same", "same");
    let (a, same, before) = (fs.ino("/d/a"), fs.ino("/d/a/same"), fs.freeze());
    fs.0.rename(b"/d/a", b"/d/z/b").unwrap();
    fs.0.rename(b"/d/z/b/x", b"/d/x").unwrap();
    fs.put("/d/x/f", "two");
    fs.put("/d/z/b/new", "new");
    fs.0.chmod(b"/d/z/b", 0o700).unwrap();
    fs.graft(&before, &["/d"]).unwrap();
    assert_eq!((fs.ino("/d/a"), fs.ino("/d/a/same")), (a, same));
    assert_eq!((fs.get("/d/a/x/f").as_deref(), fs.get("/d/a/new")), (Ok("one"), Err(Errno::NoEnt)));
    assert_eq!(crate::path_diff(&before, &fs.freeze(), crate::DiffScope::default()), []);
    // Out of the path: it goes on there, and the path has another one.
    fs.0.rename(b"/d/a", b"/elsewhere").unwrap();
    fs.put("/d/z/new", "new");
    fs.graft(&before, &["/d"]).unwrap();
    assert!(fs.ino("/d/a") != a && fs.ino("/elsewhere") == a);
    assert_eq!(fs.get("/d/a/x/f").as_deref(), Ok("one"));
    assert_eq!(fs.get("/d/z/new"), Err(Errno::NoEnt));
}

#[test]
fn what_is_the_same_is_not_touched() {
    let fs = Fs::new();
    fs.dir("/d");
    for n in 0..50 {
        fs.dir(&format!("/d/{n}"));
        (0..100).for_each(|m| fs.put(&format!("/d/{n}/{m}"), &format!("{n} {m}")));
    }
    let before = fs.freeze();
    fs.put("/d/7/7", "changed");
    fs.0.unlink(b"/d/30/30").unwrap();
    fs.put("/d/40/new", "new");
    fs.0.rename(b"/d/20", b"/d/21/moved").unwrap();
    fs.put("/outside", "stays");
    let base = fs.freeze();
    let paths = [Graft { path: b"/d".to_vec(), shallow: false }];
    let made = fs.0.vfs().graft(&base, &before, &paths).unwrap();
    // Of some 300: those of seven directories and three files.
    assert!(own_leaves(&base, &made) <= 12, "{}", own_leaves(&base, &made));
    let again = fs.0.vfs().graft(&made, &before, &paths).unwrap();
    assert_eq!(own_leaves(&made, &again), 0);
    fs.0.vfs().restore(&made);
    fs.0.vfs().check_invariants().unwrap();
    fs.0.unlink(b"/outside").unwrap();
    assert_eq!(crate::path_diff(&before, &fs.freeze(), crate::DiffScope::default()), []);
}

#[test]
fn all_paths_together_are_the_whole() {
    let fs = Fs::new();
    fs.dir("/d");
    fs.put("/d/f", "one");
    fs.put("/.devdev/home/rc", "home");
    let before = fs.freeze();
    fs.0.remove(b"/d", true).unwrap();
    fs.put("/e", "new");
    fs.put("/.devdev/home/rc", "changed");
    fs.graft(&before, &["/"]).unwrap();
    assert_eq!((fs.get("/d/f").as_deref(), fs.get("/e")), (Ok("one"), Err(Errno::NoEnt)));
    assert_eq!(fs.get("/.devdev/home/rc").as_deref(), Ok("changed"));
    fs.graft(&before, &["/.devdev/home"]).unwrap();
    assert_eq!(fs.get("/.devdev/home/rc").as_deref(), Ok("home"));
    assert_eq!(crate::path_diff(&before, &fs.freeze(), crate::DiffScope::default()), []);
}

/// Names from a small alphabet, so that they meet.
fn some_path(random: &mut Random) -> String {
    let depth = 1 + random.below(3);
    (0..depth).map(|_| format!("/{}", random.below(3))).collect()
}

/// What is at a path and below it, as text.
fn seen(fs: &Fs, path: &str, out: &mut Vec<String>) {
    let Ok(attr) = fs.0.stat(path.as_bytes(), false) else { return };
    out.push(format!("{path} {:o} {:?}", attr.mode, fs.get(path).ok()));
    for name in fs.0.readdir(path.as_bytes()).unwrap_or_default() {
        seen(fs, &format!("{path}/{}", String::from_utf8_lossy(&name.name)), out);
    }
}

#[test]
fn any_path_becomes_what_it_was_and_no_other_changes() {
    let mut random = Random(20_011);
    for round in 0..200 {
        let fs = Fs::new();
        let change = |random: &mut Random| {
            let (a, b) = (some_path(random), some_path(random));
            // Most of these fail: names are few, and that is what makes them meet.
            match random.below(6) {
                0 | 1 => _ = fs.0.mkdir(a.as_bytes(), 0o700 + random.below(8) as u32),
                2 => _ = fs.0.write_file(a.as_bytes(), b.as_bytes(), CREATE, 0o600),
                3 => _ = fs.0.rename(a.as_bytes(), b.as_bytes()),
                4 => _ = fs.0.link(a.as_bytes(), b.as_bytes()),
                _ => _ = fs.0.remove(a.as_bytes(), true),
            }
        };
        (0..30).for_each(|_| change(&mut random));
        let before = fs.freeze();
        let path = some_path(&mut random);
        let mut was = Vec::new();
        seen(&fs, &path, &mut was);
        (0..20).for_each(|_| change(&mut random));
        let (mut now, others) = (Vec::new(), |all: &[String]| -> Vec<String> {
            let inside = |line: &&String| {
                !line.starts_with(&format!("{path} ")) && !line.starts_with(&format!("{path}/"))
            };
            all.iter().filter(inside).cloned().collect()
        });
        for name in ["/0", "/1", "/2"] {
            seen(&fs, name, &mut now);
        }
        if let Err((_, errno)) = fs.graft(&before, &[&path]) {
            assert!(matches!(errno, Errno::NoEnt | Errno::NotDir), "round {round}: {errno:?}");
            continue;
        }
        let mut after = Vec::new();
        seen(&fs, &path, &mut after);
        assert_eq!(after, was, "round {round}: {path}");
        let whole = fs.freeze();
        let mut all = Vec::new();
        for name in ["/0", "/1", "/2"] {
            seen(&fs, name, &mut all);
        }
        // Directories on the way may have been made.
        let (had, has) = (others(&now), others(&all));
        assert!(had.iter().all(|line| has.contains(line)), "round {round}: {path}");
        let made = has.iter().filter(|line| !had.contains(line));
        let on_the_way =
            |line: &String| path.starts_with(&format!("{}/", line.split(' ').next().unwrap_or("")));
        assert!(made.into_iter().all(on_the_way), "round {round}: {path}");
        // Hard links included, the whole is what it was.
        fs.graft(&before, &["/"]).unwrap();
        assert_eq!(content_id(&fs.freeze()), content_id(&before), "round {round}");
        fs.graft(&whole, &["/"]).unwrap();
        assert_eq!(content_id(&fs.freeze()), content_id(&whole), "round {round}");
    }
}
