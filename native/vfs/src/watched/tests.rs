//! What watchers are told, between states that are made by hand; and that whoever follows the news
//! ends with what is there, between states made at random.

use std::collections::BTreeMap;

use super::*;
use crate::api::sample::{CREATE, Fs};
use crate::attr::S_IFDIR;
use crate::sample::Random;
use crate::{Hold, SetTime, Timespec, Tree};

const ALL: Interest = Interest { added: true, removed: true, content: true, attributes: true };
const NAMES: Interest = Interest { content: false, attributes: false, ..ALL };
const CONTENT: Interest = Interest { added: false, removed: false, attributes: false, ..ALL };

impl Fs {
    fn watchers(&self, watched: &[(&str, Interest)]) -> Watchers {
        let of = watched.iter().map(|(path, interest)| (self.ino(path), *interest)).collect();
        Watchers { all: Interest::default(), of }
    }
}

fn between(old: &Tree, new: &Tree) -> Changes {
    Changes { previous: old.root.clone(), target: new.root.clone() }
}

// One line for each: gone, new, content, attributes; what is lost by its number of names.
fn told(changes: &Changes, watchers: &Watchers) -> Vec<String> {
    let news = changes.news_for(watchers);
    let mut lines: Vec<String> =
        news.lost.iter().map(|lost| format!("lost {}", lost.names.len())).collect();
    for dir in &news.dirs {
        let path = String::from_utf8_lossy(&dir.path).into_owned();
        lines.extend(dir.attributes.then(|| format!("@ {path}")));
        let all = [
            ('-', &dir.removed),
            ('+', &dir.added),
            ('~', &dir.content),
            ('@', &dir.attributes_of),
        ];
        for (sign, names) in all {
            let line =
                |n: &NamedInode| format!("{sign} {path}:{}", String::from_utf8_lossy(&n.name));
            lines.extend(names.iter().map(line));
        }
    }
    lines.sort();
    lines
}

#[test]
fn names_content_and_attributes_are_told_to_who_watches_the_directory() {
    let fs = Fs::new();
    fs.dir("/d");
    fs.dir("/d/sub");
    fs.dir("/other");
    for name in ["same", "text", "mode", "gone", "replaced", "time"] {
        fs.put(&format!("/d/{name}"), name);
    }
    let old = fs.freeze();
    fs.put("/d/text", "changed");
    fs.0.chmod(b"/d/mode", 0o600).unwrap();
    fs.0.chmod(b"/d/sub", 0o700).unwrap();
    fs.0.unlink(b"/d/gone").unwrap();
    fs.0.unlink(b"/d/replaced").unwrap();
    fs.put("/d/replaced", "by another");
    let when = SetTime::At(Timespec { secs: 5, nanos: 0 });
    fs.0.utimes(b"/d/time", when, when, true).unwrap();
    fs.put("/d/full", "x");
    fs.put("/d/empty", "");
    fs.dir("/d/made");
    fs.put("/d/made/in", "told to nobody");
    fs.put("/other/new", "told to nobody");
    let new = fs.freeze();
    let watchers = fs.watchers(&[("/d", ALL)]);
    let expected = [
        "+ d:empty",
        "+ d:full",
        "+ d:made",
        "+ d:replaced",
        "- d:gone",
        "@ d/sub",
        "@ d:mode",
        "@ d:time",
        "~ d:full",
        "~ d:replaced",
        "~ d:text",
    ];
    assert_eq!(told(&between(&old, &new), &watchers), expected);
    // And back.
    let expected = [
        "+ d:gone",
        "+ d:replaced",
        "- d:empty",
        "- d:full",
        "- d:made",
        "@ d/sub",
        "@ d:mode",
        "@ d:time",
        "~ d:gone",
        "~ d:replaced",
        "~ d:text",
    ];
    assert_eq!(told(&between(&new, &old), &watchers), expected);
    let only = |interest| told(&between(&old, &new), &fs.watchers(&[("/d", interest)]));
    assert_eq!(only(CONTENT), ["~ d:full", "~ d:replaced", "~ d:text"]);
    assert_eq!(only(NAMES), ["+ d:empty", "+ d:full", "+ d:made", "+ d:replaced", "- d:gone"]);
    assert_eq!(only(Interest::default()), [""; 0]);
    assert_eq!(told(&between(&old, &old), &watchers), [""; 0]);
    assert_eq!(told(&between(&old, &new), &Watchers::default()), [""; 0]);
    let everything = Watchers { all: NAMES, ..Watchers::default() };
    assert!(told(&between(&old, &new), &everything).contains(&"+ other:new".to_owned()));
}

#[test]
fn who_watches_a_file_is_told_of_it_wherever_it_is() {
    let fs = Fs::new();
    for path in ["/a", "/a/b", "/c"] {
        fs.dir(path);
    }
    fs.put("/a/b/f", "one");
    fs.put("/c/moved", "same");
    fs.put("/c/linked", "same");
    let watched = [("/a/b/f", ALL), ("/c/moved", ALL), ("/c/linked", ALL)];
    let (old, watchers) = (fs.freeze(), fs.watchers(&watched));
    fs.put("/a/b/f", "two");
    fs.0.rename(b"/c/moved", b"/a/moved").unwrap();
    fs.0.link(b"/c/linked", b"/a/link").unwrap();
    let new = fs.freeze();
    let lines = told(&between(&old, &new), &watchers);
    // Under one of its names at least.
    assert!(lines.contains(&"@ a:link".to_owned()), "{lines:?}");
    assert_eq!(lines[..2], ["@ a:link", "@ a:moved"]);
    assert_eq!(lines.last().unwrap(), "~ a/b:f");
    let lines = told(&between(&new, &old), &watchers);
    assert!(lines.contains(&"@ c:moved".to_owned()) && lines.contains(&"~ a/b:f".to_owned()));
}

#[test]
fn a_hard_link_in_a_watched_directory_is_found() {
    let fs = Fs::new();
    fs.dir("/watched");
    fs.dir("/elsewhere");
    fs.put("/watched/f", "one");
    fs.0.link(b"/watched/f", b"/elsewhere/f").unwrap();
    let (old, watchers) = (fs.freeze(), fs.watchers(&[("/watched", ALL)]));
    fs.put("/elsewhere/f", "two");
    assert_eq!(told(&between(&old, &fs.freeze()), &watchers), ["~ watched:f"]);
}

#[test]
fn watched_things_that_are_gone_come_innermost_first() {
    let fs = Fs::new();
    for path in ["/x", "/x/y", "/x/y/z", "/unwatched"] {
        fs.dir(path);
    }
    fs.put("/x/y/z/f", "f");
    fs.put("/x/y/g", "g");
    fs.put("/unwatched/h", "h");
    let all = [("/x", NAMES), ("/x/y", NAMES), ("/x/y/z", CONTENT), ("/x/y/z/f", ALL)];
    let watchers = fs.watchers(&all);
    let (with, inos) = (fs.freeze(), all.map(|(path, _)| fs.ino(path)));
    fs.0.remove(b"/x", true).unwrap();
    fs.0.remove(b"/unwatched", true).unwrap();
    let news = between(&with, &fs.freeze()).news_for(&watchers);
    let lost: Vec<Ino> = news.lost.iter().map(|lost| lost.ino).collect();
    assert_eq!(lost, [inos[3], inos[2], inos[1], inos[0]]);
    // Names are told to those who want them.
    let names: Vec<usize> = news.lost.iter().map(|lost| lost.names.len()).collect();
    assert_eq!((names, news.dirs.len(), news.count()), (vec![0, 0, 2, 1], 0, 7));
    assert!(news.lost[2].names.iter().any(|n| *n.name == *b"z" && n.kind == S_IFDIR));
    // What comes back is new to who watches the directory above it.
    let news = between(&fs.freeze(), &with).news_for(&fs.watchers(&[("/", NAMES)]));
    assert_eq!(news.dirs.len(), 1);
    assert_eq!((news.dirs[0].path.as_slice(), news.dirs[0].added.len()), (&b""[..], 2));
}

#[test]
fn several_restores_are_told_as_one() {
    let fs = Fs::new();
    fs.put("/a", "1");
    let first = fs.freeze();
    fs.put("/b", "2");
    let second = fs.freeze();
    fs.put("/a", "3");
    fs.0.unlink(b"/b").unwrap();
    let third = fs.freeze();
    let all = between(&first, &second).up_to(&between(&second, &third));
    assert_eq!(told(&all, &fs.watchers(&[("/", ALL)])), ["~ :a"]);
}

#[test]
fn the_home_has_its_path() {
    let fs = Fs::new();
    fs.dir("/.devdev/home/.config");
    let (old, watchers) = (fs.freeze(), fs.watchers(&[("/.devdev/home/.config", ALL)]));
    fs.put("/.devdev/home/.config/rc", "x");
    let lines = told(&between(&old, &fs.freeze()), &watchers);
    assert_eq!(lines, ["+ .devdev/home/.config:rc", "~ .devdev/home/.config:rc"]);
}

#[test]
fn a_removed_orphan_has_another_generation() {
    let fs = Fs::new();
    let vfs = fs.0.vfs();
    fs.dir("/d");
    let (node, with) = (fs.0.stat(b"/d", false).unwrap().node, fs.freeze());
    fs.0.rmdir(b"/d").unwrap();
    let without = fs.freeze();
    vfs.restore(&with);
    vfs.hold(node).unwrap();
    assert!(!vfs.is_orphan(node) && !vfs.note_removed(node));
    assert!(vfs.orphan_entry(node).is_err());
    vfs.restore(&without);
    let entry = vfs.orphan_entry(node).unwrap();
    assert!(vfs.note_removed(node));
    vfs.restore(&with);
    assert!(!vfs.is_orphan(node));
    let back = fs.0.vfs().lookup(NodeId::ROOT, b"d", Hold::None).unwrap();
    let crate::Outcome::Done(back) = back else { panic!("it needs the store") };
    assert!(back.generation > entry.generation);
    vfs.forget(node, 2);
    vfs.check_invariants().unwrap();
}

type Listing = BTreeMap<Vec<u8>, (Ino, u32)>;

// Every directory of a tree with its path and its names.
fn directories(tree: &Tree) -> BTreeMap<Ino, (Vec<u8>, Listing)> {
    let mut all = BTreeMap::new();
    let mut open = vec![(Ino::ROOT, Vec::new())];
    while let Some((ino, path)) = open.pop() {
        let listing: Listing = crate::content_id::names(&tree.root, ino)
            .into_iter()
            .map(|(name, ino)| (name.to_vec(), (ino, tree.root.get(ino, Inode::kind).unwrap())))
            .collect();
        for (name, (ino, kind)) in &listing {
            if *kind == S_IFDIR {
                let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
                open.push((*ino, [path.as_slice(), slash, name.as_slice()].concat()));
            }
        }
        all.insert(ino, (path, listing));
    }
    all
}

#[test]
fn who_follows_the_news_ends_with_what_is_there() {
    for seed in 0..40 {
        let (fs, mut random) = (Fs::new(), Random(seed));
        let mut states = vec![fs.freeze()];
        for _ in 0..6 {
            for _ in 0..12 {
                disturb(&fs, &mut random);
            }
            states.push(fs.freeze());
        }
        for _ in 0..20 {
            let [from, to] = [(); 2].map(|()| &states[random.below(states.len() as u64) as usize]);
            follow(from, to, seed);
        }
    }
}

fn follow(from: &Tree, to: &Tree, seed: u64) {
    let (mut seen, there) = (directories(from), directories(to));
    let of = seen.keys().map(|ino| (*ino, NAMES)).collect();
    let news = between(from, to).news_for(&Watchers { all: Interest::default(), of });
    for lost in &news.lost {
        assert!(seen.remove(&lost.ino).is_some() && !there.contains_key(&lost.ino), "seed {seed}");
    }
    for dir in &news.dirs {
        assert_eq!(dir.path, there[&dir.ino].0, "seed {seed}");
        let (_, listing) = seen.get_mut(&dir.ino).expect("a watched directory");
        for gone in &dir.removed {
            assert!(listing.remove(&*gone.name).is_some(), "seed {seed}");
        }
        for new in &dir.added {
            listing.insert(new.name.to_vec(), (new.ino, new.kind));
        }
    }
    for (ino, (_, listing)) in &seen {
        assert_eq!(*listing, there[ino].1, "seed {seed}");
    }
}

// A change that may fail, among few names, so that they meet.
fn disturb(fs: &Fs, random: &mut Random) {
    let mut path = String::new();
    for _ in 0..=random.below(3) {
        path = format!("{path}/{}", ["a", "b", "c"][random.below(3) as usize]);
    }
    let other = format!("/{}", ["a", "b", "c", "d"][random.below(4) as usize]);
    let (one, two) = (path.as_bytes(), other.as_bytes());
    // What cannot be done is as good as nothing.
    let _ = match random.below(6) {
        0 | 1 => fs.0.mkdir(one, 0o755),
        2 => fs.0.write_file(one, b"x", CREATE, 0o644).map_err(|failure| failure.errno),
        3 => fs.0.rename(one, two),
        4 => fs.0.link(one, two),
        _ => fs.0.remove(one, random.below(2) == 0),
    };
}
