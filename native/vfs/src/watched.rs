//! What programs that watch files would have been told of a restore, had it been made by system
//! calls: a kernel tells them of nothing else, so a bridge replays it.
//!
//! Apart from `freeze`, which tells caches what they must drop: watchers are told of names and
//! content, held or not, and only of what they watch.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::BitOr;

use crate::attr::S_IFREG;
use crate::delta::{changed_inodes, changed_names, same_body};
use crate::dir::Dir;
use crate::errno::{Errno, Result};
use crate::ids::{Attachment, Ino, NodeId};
use crate::inode::{Body, Inode};
use crate::reclaim::free_later;
use crate::tree::Root;
use crate::types::Entry;
use crate::vfs::Vfs;

/// Where the second root of a tree is found.
const HOME: &[u8] = b".devdev/home";
/// No path has more names.
const DEEPEST: usize = 1 << 16;

/// What a watcher wants to know of a file, or of a directory and what is in it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Interest {
    /// Names that appear.
    pub added: bool,
    /// Names that go.
    pub removed: bool,
    /// Content that changes.
    pub content: bool,
    /// Modes, owners, times, extended attributes.
    pub attributes: bool,
}

impl BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        Interest {
            added: self.added | other.added,
            removed: self.removed | other.removed,
            content: self.content | other.content,
            attributes: self.attributes | other.attributes,
        }
    }
}

/// Who watches what.
#[derive(Default, Debug)]
pub struct Watchers {
    /// What is wanted of everything.
    pub all: Interest,
    /// What is wanted of single inodes.
    pub of: HashMap<Ino, Interest>,
}

impl Watchers {
    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty() && self.all == Interest::default()
    }

    fn of(&self, ino: Ino) -> Interest {
        self.of.get(&ino).map_or(self.all, |own| *own | self.all)
    }
}

/// A name and what it means (or meant, if it is gone).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamedInode {
    /// The name.
    pub name: Box<[u8]>,
    /// What it names.
    pub ino: Ino,
    /// File type bits of the mode.
    pub kind: u32,
}

/// A watched inode that is gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LostInode {
    /// Its number.
    pub ino: Ino,
    /// File type bits of the mode.
    pub kind: u32,
    /// The names that were in it, if they are of interest.
    pub names: Vec<NamedInode>,
}

/// What is to be told about a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangedDir {
    /// Where it is, from the root; the root's own is empty.
    pub path: Vec<u8>,
    /// Its number.
    pub ino: Ino,
    /// Whether its own attributes changed.
    pub attributes: bool,
    /// Names that are gone.
    pub removed: Vec<NamedInode>,
    /// Names that are new, or mean something else than before.
    pub added: Vec<NamedInode>,
    /// Files whose content changed, new ones with content included.
    pub content: Vec<NamedInode>,
    /// Files whose attributes changed.
    pub attributes_of: Vec<NamedInode>,
}

impl ChangedDir {
    fn new(ino: Ino) -> ChangedDir {
        ChangedDir {
            path: Vec::new(),
            ino,
            attributes: false,
            removed: Vec::new(),
            added: Vec::new(),
            content: Vec::new(),
            attributes_of: Vec::new(),
        }
    }
}

/// All that watchers are to be told.
#[derive(PartialEq, Eq, Default, Debug)]
pub struct News {
    /// Those in directories that are gone too come before these.
    pub lost: Vec<LostInode>,
    /// By path, so that what holds another one comes before it.
    pub dirs: Vec<ChangedDir>,
}

impl News {
    /// How much there is to be told.
    pub fn count(&self) -> usize {
        let lost = self.lost.iter().map(|lost| 1 + lost.names.len());
        let dirs = self.dirs.iter().map(|dir| {
            let names = [&dir.removed, &dir.added, &dir.content, &dir.attributes_of];
            usize::from(dir.attributes) + names.map(Vec::len).iter().sum::<usize>()
        });
        lost.sum::<usize>() + dirs.sum::<usize>()
    }
}

/// The live tree before and after a restore, or several.
pub struct Changes {
    previous: Root,
    target: Root,
}

impl Changes {
    /// From before this to after a later one.
    pub fn up_to(self, later: &Changes) -> Changes {
        Changes { previous: self.previous.clone(), target: later.target.clone() }
    }

    /// What these watchers have to be told.
    pub fn news_for(&self, watchers: &Watchers) -> News {
        let mut work = Work {
            watchers,
            target: &self.target,
            lost: Vec::new(),
            dirs: HashMap::new(),
            files: HashMap::new(),
            places: HashSet::new(),
        };
        changed_inodes(&self.previous, &self.target, |ino, old, new| match (old, new) {
            (Some(old), None) => work.lose(ino, old),
            (old, Some(new)) if new.is_dir() => work.compare_dir(old, new),
            (old, Some(new)) => work.compare_file(old, new),
            (None, None) => {}
        });
        work.find_names();
        let Work { mut lost, dirs, .. } = work;
        let depth = |lost: &LostInode| std::cmp::Reverse(depth_of(&self.previous, lost.ino));
        lost.sort_by_cached_key(depth);
        let mut paths = Paths { root: &self.target, known: HashMap::new() };
        let located = |mut dir: ChangedDir| {
            dir.path = paths.of(dir.ino)?;
            Some(dir)
        };
        let mut dirs: Vec<ChangedDir> = dirs.into_values().filter_map(located).collect();
        dirs.sort_by(|a, b| a.path.cmp(&b.path));
        News { lost, dirs }
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        // Freeing what only the state before had takes its time.
        let last = std::mem::replace(&mut self.previous, Root::empty(0));
        free_later(last);
    }
}

/// A file that differs.
struct ChangedFile {
    content: bool,
    attributes: bool,
    /// Something that only who watches the file itself is told of: links, names.
    links: bool,
}

struct Work<'a> {
    watchers: &'a Watchers,
    target: &'a Root,
    lost: Vec<LostInode>,
    dirs: HashMap<Ino, ChangedDir>,
    files: HashMap<Ino, ChangedFile>,
    /// Directories in which names of those are to be looked for.
    places: HashSet<Ino>,
}

impl Work<'_> {
    fn dir(&mut self, ino: Ino) -> &mut ChangedDir {
        self.dirs.entry(ino).or_insert_with(|| ChangedDir::new(ino))
    }

    fn lose(&mut self, ino: Ino, old: &Inode) {
        let Some(own) = self.watchers.of.get(&ino) else { return };
        let names = match &old.body {
            Body::Dir(entries) if own.removed => entries
                .entries()
                .map(|e| NamedInode { name: e.name.into(), ino: e.ino, kind: e.kind })
                .collect(),
            _ => Vec::new(),
        };
        self.lost.push(LostInode { ino, kind: old.kind(), names });
    }

    fn compare_dir(&mut self, old: Option<&Inode>, new: &Inode) {
        let own = self.watchers.of(new.ino);
        if let Some(old) = old
            && (own.attributes || self.watchers.of(new.parent).attributes)
            && attributes_differ(old, new)
        {
            self.dir(new.ino).attributes = true;
        }
        if !(own.added || own.removed || own.content) {
            return;
        }
        let empty = Dir::default();
        let before = old.map_or(&empty, |old| entries(old, &empty));
        let after = entries(new, &empty);
        let mut names = BTreeSet::new();
        changed_names(before, after, &mut |name| _ = names.insert(Box::<[u8]>::from(name)));
        for name in names {
            let (was, is) = (before.get(&name), after.get(&name));
            match is {
                None if own.removed => {
                    let Some(was) = was else { continue };
                    let gone = NamedInode { ino: was.ino, kind: was.kind, name };
                    self.dir(new.ino).removed.push(gone);
                }
                Some(is) if was.is_none_or(|was| was.ino != is.ino) => {
                    let (ino, kind) = (is.ino, is.kind);
                    let has_content = kind == S_IFREG
                        && (own.content || self.watchers.of(ino).content)
                        && self.target.get(ino, |inode| inode.size > 0) == Some(true);
                    let dir = self.dir(new.ino);
                    let named = NamedInode { name, ino, kind };
                    if has_content {
                        dir.content.push(named.clone());
                    }
                    if own.added {
                        dir.added.push(named);
                    }
                }
                _ => {}
            }
        }
    }

    fn compare_file(&mut self, old: Option<&Inode>, new: &Inode) {
        let own = self.watchers.of(new.ino);
        let around = self.watchers.of(new.parent);
        let wanted = |who: Interest| who.content || who.attributes;
        // What has several names may have one in a directory that is watched.
        let anywhere = new.nlink > 1;
        if !(wanted(own) || wanted(around) || anywhere) {
            return;
        }
        let changed = match old {
            // It was gone, and somebody watches it still, who has it open.
            None if self.watchers.of.contains_key(&new.ino) => {
                ChangedFile { content: true, attributes: true, links: true }
            }
            None => return,
            Some(old) => {
                let content = !same_body(old, new);
                let links = (old.nlink, old.parent) != (new.nlink, new.parent);
                let touched = !content && old.mtime != new.mtime;
                ChangedFile {
                    content,
                    attributes: attributes_differ(old, new) || touched,
                    links: links || (!content && old.ctime != new.ctime),
                }
            }
        };
        self.places.insert(new.parent);
        if anywhere {
            self.places.extend(self.watchers.of.keys());
        }
        self.files.insert(new.ino, changed);
    }

    // Which directories have the files that changed, and under what names.
    fn find_names(&mut self) {
        for place in std::mem::take(&mut self.places) {
            let around = self.watchers.of(place);
            let mut found = (Vec::new(), Vec::new());
            let look = |dir: &Inode| {
                let Body::Dir(entries) = &dir.body else { return };
                for entry in entries.entries() {
                    let Some(changed) = self.files.get(&entry.ino) else { continue };
                    let own = self.watchers.of(entry.ino);
                    let named =
                        NamedInode { name: entry.name.into(), ino: entry.ino, kind: entry.kind };
                    if changed.content && (own.content || around.content) {
                        found.0.push(named.clone());
                    }
                    let attributes = changed.attributes && (own.attributes || around.attributes);
                    if attributes || (changed.links && own.attributes) {
                        found.1.push(named);
                    }
                }
            };
            // A directory that is watched may be gone.
            if self.target.get(place, look).is_none() || (found.0.is_empty() && found.1.is_empty())
            {
                continue;
            }
            let dir = self.dir(place);
            // A name that is new as well has its content among the rest already.
            let told: HashSet<Ino> = dir.content.iter().map(|named| named.ino).collect();
            dir.content.extend(found.0.into_iter().filter(|named| !told.contains(&named.ino)));
            dir.attributes_of.extend(found.1);
        }
    }
}

fn entries<'a>(inode: &'a Inode, empty: &'a Dir) -> &'a Dir {
    match &inode.body {
        Body::Dir(entries) => entries,
        _ => empty,
    }
}

// Times apart.
fn attributes_differ(old: &Inode, new: &Inode) -> bool {
    let record = |inode: &Inode| (inode.mode, inode.uid, inode.gid, inode.rdev);
    record(old) != record(new) || old.xattrs != new.xattrs
}

fn depth_of(root: &Root, ino: Ino) -> usize {
    let (mut at, mut depth) = (ino, 0);
    while at != Ino::ROOT && at != Ino::HOME && depth < DEEPEST {
        let Some(parent) = root.get(at, |inode| inode.parent) else { break };
        (at, depth) = (parent, depth + 1);
    }
    depth
}

/// Paths of directories in a tree.
struct Paths<'a> {
    root: &'a Root,
    known: HashMap<Ino, Vec<u8>>,
}

impl Paths<'_> {
    fn of(&mut self, dir: Ino) -> Option<Vec<u8>> {
        let (mut at, mut below) = (dir, Vec::new());
        let mut path = loop {
            match at {
                Ino::ROOT => break Vec::new(),
                Ino::HOME => break HOME.to_vec(),
                _ => {}
            }
            if let Some(path) = self.known.get(&at) {
                break path.clone();
            }
            let parent = self.root.get(at, |inode| inode.is_dir().then_some(inode.parent))??;
            let name = |inode: &Inode| match &inode.body {
                Body::Dir(dir) => dir.entries().find(|e| e.ino == at).map(|e| e.name.to_vec()),
                _ => None,
            };
            below.push((at, self.root.get(parent, name)??));
            if below.len() > DEEPEST {
                return None;
            }
            at = parent;
        };
        for (ino, name) in below.into_iter().rev() {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(&name);
            self.known.insert(ino, path.clone());
        }
        Some(path)
    }
}

impl Vfs {
    /// What the restore has changed that caches are being told of now.
    pub fn restored_changes(&self) -> Option<Changes> {
        let transition = self.transition.read();
        let (previous, target) = transition.as_ref()?.roots();
        Some(Changes { previous: previous.clone(), target: target.clone() })
    }

    /// A node that is in no tree and lives on because it is held, held once more for the kernel.
    /// ENOENT if it is not like that.
    pub fn orphan_entry(&self, node: NodeId) -> Result<Entry> {
        if !self.is_orphan(node) {
            return Err(Errno::NoEnt);
        }
        let generation = self.holds.take_known(node).ok_or(Errno::NoEnt)?;
        let attr = self.getattr(node).inspect_err(|_| self.forget(node, 1))?;
        Ok(Entry { attr, generation })
    }

    /// Whether a node is in no tree and lives on because it is held.
    pub fn is_orphan(&self, node: NodeId) -> bool {
        node.attachment() == Attachment::LIVE
            && self.live.tree.get(node.ino(), |_| ()).is_none()
            && self.holds.is_orphan(node)
    }

    /// The kernel is going to take an orphan for removed, as after rmdir and unlink: a directory
    /// that comes back is another one for it then. False if it is no orphan.
    pub fn note_removed(&self, node: NodeId) -> bool {
        self.is_orphan(node) && self.holds.note_removed(node)
    }
}

#[cfg(test)]
mod tests;
