//! What is to be done with each thing that theirs changed; nothing is done yet.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::sides::{Id, Place, Side};
use super::{Conflict, ConflictKind, MergeOptions, MergedText, Resolve};
use crate::Tree;
use crate::builder::TreeBuilder;
use crate::errno::{Errno, Result};
use crate::ids::{BlockHash, Ino};
use crate::inode::{Body, Inode, Xattrs};
use crate::path_diff::{Change, ChangeKind, Seen, same_bytes};

/// What a file is to contain.
pub(super) enum NewContent {
    /// What theirs does.
    Theirs,
    /// These bytes.
    Bytes(Vec<u8>),
}

/// What is to be changed in an inode.
#[derive(Default)]
pub(super) struct Edit {
    pub(super) content: Option<NewContent>,
    pub(super) target: bool,
    pub(super) mode: bool,
    pub(super) owner: bool,
    pub(super) xattrs: Option<Option<Arc<Xattrs>>>,
}

/// A merge under way.
pub(super) struct Work<'a> {
    pub(super) base: &'a Tree,
    pub(super) ours: Side<'a>,
    pub(super) theirs: Side<'a>,
    pub(super) options: &'a MergeOptions<'a>,
    pub(super) builder: TreeBuilder,
    pub(super) conflicts: Vec<Conflict>,
    pub(super) removes: Vec<Id>,
    pub(super) moves: Vec<(Id, Place)>,
    pub(super) replaces: Vec<Id>,
    pub(super) adds: Vec<Id>,
    pub(super) edits: Vec<(Id, Edit)>,
    /// What is put beside ours, each with its conflict.
    pub(super) besides: Vec<(Id, usize)>,
    /// What of theirs is left out, with all that is in it.
    pub(super) dropped: HashSet<Id>,
    /// Where things are now that ours had elsewhere, or not at all.
    pub(super) placed: HashMap<Id, Ino>,
    /// The names of those that were moved.
    pub(super) names: HashMap<Id, (Ino, Vec<u8>)>,
    /// Inodes of theirs, and what they became.
    pub(super) grafted: HashMap<Ino, Ino>,
    empty: BlockHash,
}

/// What differs between two states of a thing; everything when it had no first one.
struct Aspects {
    kind: bool,
    content: bool,
    target: bool,
    mode: bool,
    owner: bool,
    xattrs: bool,
}

impl Aspects {
    fn any(&self) -> bool {
        self.kind || self.content || self.target || self.mode || self.owner || self.xattrs
    }
}

/// Decides about everything that theirs changed.
pub(super) fn decide<'a>(
    base: &'a Tree,
    ours: &'a Tree,
    theirs: &'a Tree,
    options: &'a MergeOptions<'a>,
) -> Result<Work<'a>> {
    let mut work = Work {
        base,
        ours: Side::new(base, ours, &options.kin[0]),
        theirs: Side::new(base, theirs, &options.kin[1]),
        options,
        builder: TreeBuilder::over(ours),
        conflicts: Vec::new(),
        removes: Vec::new(),
        moves: Vec::new(),
        replaces: Vec::new(),
        adds: Vec::new(),
        edits: Vec::new(),
        besides: Vec::new(),
        dropped: HashSet::new(),
        placed: HashMap::new(),
        names: HashMap::new(),
        grafted: HashMap::new(),
        empty: BlockHash::of(b""),
    };
    let changes: Vec<(Id, Change)> =
        work.theirs.changes.iter().map(|(id, change)| (id.clone(), change.clone())).collect();
    for (id, theirs) in changes {
        let ours = work.ours.changes.get(&id).cloned();
        work.decide_one(&id, ours.as_ref(), &theirs)?;
    }
    Ok(work)
}

fn is_dir(seen: Option<&Seen>) -> bool {
    seen.is_some_and(|seen| seen.mode & crate::S_IFMT == crate::S_IFDIR)
}

impl Work<'_> {
    fn decide_one(&mut self, id: &Id, ours: Option<&Change>, theirs: &Change) -> Result<()> {
        let removed = ours.is_some_and(|ours| ours.kind == ChangeKind::Removed);
        match theirs.kind {
            ChangeKind::Removed => self.decide_removed(id, ours),
            ChangeKind::Added if ours.is_none() => self.adds.push(id.clone()),
            // An empty place in ours is all that is left of a directory: nothing to rename.
            _ if removed && is_dir(theirs.old.as_ref()) && is_dir(theirs.new.as_ref()) => {}
            _ if removed => match self.conflict(id, ConflictKind::Removed(true)) {
                Some(Resolve::Theirs) => self.adds.push(id.clone()),
                Some(Resolve::Markers) => self.put_beside(id),
                _ => self.drop_theirs(id),
            },
            _ => {
                self.decide_place(id, ours, theirs);
                self.decide_state(id, ours, theirs)?;
            }
        }
        Ok(())
    }

    fn decide_removed(&mut self, id: &Id, ours: Option<&Change>) {
        let stays = match ours {
            None => false,
            Some(ours) if ours.kind == ChangeKind::Removed => return,
            // It stays when there is something in it.
            Some(ours) => !(is_dir(ours.old.as_ref()) && is_dir(ours.new.as_ref())),
        };
        let resolve = if stays { self.conflict(id, ConflictKind::Removed(false)) } else { None };
        if !stays || resolve == Some(Resolve::Theirs) {
            self.removes.push(id.clone());
        }
    }

    fn decide_place(&mut self, id: &Id, ours: Option<&Change>, theirs: &Change) {
        if theirs.kind != ChangeKind::Renamed {
            return;
        }
        let place = self.theirs.place(id);
        if ours.is_some_and(|ours| ours.kind == ChangeKind::Renamed) {
            let same = self.ours.place(id) == place;
            if same || self.conflict(id, ConflictKind::Renamed) != Some(Resolve::Theirs) {
                return;
            }
        }
        self.moves.push((id.clone(), place));
    }

    fn decide_state(&mut self, id: &Id, ours: Option<&Change>, theirs: &Change) -> Result<()> {
        let added = theirs.kind == ChangeKind::Added;
        let none = || Errno::Io;
        let there = theirs.new.as_ref().ok_or_else(none)?.ino;
        let here = self.ours.spot(id).ok_or_else(none)?.ino;
        let before = theirs.old.as_ref().map(|seen| seen.ino).filter(|_| !added);
        let get = |tree: &Tree, ino| tree.root.get(ino, Inode::clone).ok_or(Errno::Io);
        let mine = get(self.ours.tree, here)?;
        let other = get(self.theirs.tree, there)?;
        let base = before.map(|ino| get(self.base, ino)).transpose()?;
        if ours.is_none() {
            let t = self.aspects(base.as_ref(), &other);
            if t.kind {
                self.replaces.push(id.clone());
            } else {
                let content = t.content.then_some(NewContent::Theirs);
                let xattrs = t.xattrs.then(|| other.xattrs.clone());
                let (target, mode, owner) = (t.target, t.mode, t.owner);
                self.edits.push((id.clone(), Edit { content, target, mode, owner, xattrs }));
            }
            return Ok(());
        }
        // Two directories at one place are one.
        if base.is_none() && mine.is_dir() && other.is_dir() {
            return Ok(());
        }
        self.combine(id, base.as_ref(), &mine, &other)
    }

    fn combine(
        &mut self,
        id: &Id,
        base: Option<&Inode>,
        mine: &Inode,
        other: &Inode,
    ) -> Result<()> {
        let (o, t) = (self.aspects(base, mine), self.aspects(base, other));
        let same_kind = mine.kind() == other.kind() && mine.rdev == other.rdev;
        if !same_kind {
            if t.kind && !o.any() {
                self.replaces.push(id.clone());
            } else if t.any() {
                match self.conflict(id, ConflictKind::Type) {
                    Some(Resolve::Theirs) => self.replaces.push(id.clone()),
                    Some(Resolve::Markers) => self.put_beside(id),
                    _ => self.drop_theirs(id),
                }
            }
            return Ok(());
        }
        let mut edit = Edit::default();
        if t.content && !(o.content && self.same_content(mine, other)) {
            edit.content = match o.content {
                false => Some(NewContent::Theirs),
                true => self.text(id, base.filter(|_| !o.kind), mine, other)?,
            };
        }
        let both_differ = |o: bool, t: bool, equal: bool| t && o && !equal;
        let equal = mine.body_target() == other.body_target();
        edit.target = self.pick(
            id,
            t.target && !equal,
            both_differ(o.target, t.target, equal),
            ConflictKind::Target,
        );
        let equal = (mine.mode ^ other.mode) & 0o7777 == 0;
        edit.mode =
            self.pick(id, t.mode && !equal, both_differ(o.mode, t.mode, equal), ConflictKind::Mode);
        let equal = (mine.uid, mine.gid) == (other.uid, other.gid);
        edit.owner = self.pick(
            id,
            t.owner && !equal,
            both_differ(o.owner, t.owner, equal),
            ConflictKind::Owner,
        );
        if t.xattrs && mine.xattrs != other.xattrs {
            edit.xattrs = match o.xattrs {
                false => Some(other.xattrs.clone()),
                true => self.attributes(id, base, mine, other),
            };
        }
        self.edits.push((id.clone(), edit));
        Ok(())
    }

    // Whether theirs is taken.
    fn pick(&mut self, id: &Id, changed: bool, contested: bool, kind: ConflictKind) -> bool {
        changed && (!contested || self.conflict(id, kind) == Some(Resolve::Theirs))
    }

    fn text(
        &mut self,
        id: &Id,
        base: Option<&Inode>,
        mine: &Inode,
        other: &Inode,
    ) -> Result<Option<NewContent>> {
        let base = base.map(|inode| inode.ino);
        let (kind, marked) = match self.options.texts.merge(base, mine.ino, other.ino)? {
            MergedText::Clean(bytes) => return Ok(Some(NewContent::Bytes(bytes))),
            MergedText::Marked(bytes) => (ConflictKind::Content, Some(bytes)),
            MergedText::Binary => (ConflictKind::Binary, None),
        };
        Ok(match (self.conflict(id, kind), marked) {
            (Some(Resolve::Theirs), _) => Some(NewContent::Theirs),
            (Some(Resolve::Markers), Some(bytes)) => Some(NewContent::Bytes(bytes)),
            (Some(Resolve::Markers), None) => {
                self.put_beside(id);
                None
            }
            _ => None,
        })
    }

    // Attribute by attribute.
    fn attributes(
        &mut self,
        id: &Id,
        base: Option<&Inode>,
        mine: &Inode,
        other: &Inode,
    ) -> Option<Option<Arc<Xattrs>>> {
        let none = Arc::default();
        let of = |inode: Option<&Inode>| inode.and_then(|i| i.xattrs.clone());
        let (before, here) = (of(base), of(Some(mine)));
        let (before, there) = (before.as_ref().unwrap_or(&none), of(Some(other)));
        let (here, there) = (here.as_ref().unwrap_or(&none), there.as_ref().unwrap_or(&none));
        let mut all: Xattrs = (**here).clone();
        let mut contested = false;
        let names: HashSet<&[u8]> = before.keys().chain(there.keys()).map(|name| &**name).collect();
        let mut wanted = Vec::new();
        for name in names {
            let [b, h, t] = [before, here, there].map(|all| all.get(name));
            if t != b && t != h {
                contested |= h != b;
                wanted.push((name, h != b, t.cloned()));
            }
        }
        let resolve = contested.then(|| self.conflict(id, ConflictKind::Xattrs)).flatten();
        for (name, contested, value) in wanted {
            if contested && resolve != Some(Resolve::Theirs) {
                continue;
            }
            match value {
                Some(value) => _ = all.insert(name.into(), value),
                None => _ = all.remove(name),
            }
        }
        Some((!all.is_empty()).then(|| Arc::new(all)))
    }

    fn aspects(&self, base: Option<&Inode>, now: &Inode) -> Aspects {
        let Some(base) = base else {
            let (content, target) =
                (matches!(now.body, Body::File(_)), matches!(now.body, Body::Symlink(_)));
            return Aspects { kind: true, content, target, mode: true, owner: true, xattrs: true };
        };
        let kind = base.kind() != now.kind() || base.rdev != now.rdev;
        Aspects {
            kind,
            content: matches!(now.body, Body::File(_)) && (kind || !self.same_content(base, now)),
            target: matches!(now.body, Body::Symlink(_)) && base.body_target() != now.body_target(),
            mode: (base.mode ^ now.mode) & 0o7777 != 0,
            owner: (base.uid, base.gid) != (now.uid, now.gid),
            xattrs: base.xattrs != now.xattrs,
        }
    }

    fn same_content(&self, a: &Inode, b: &Inode) -> bool {
        match (&a.body, &b.body) {
            (Body::File(x), Body::File(y)) => a.size == b.size && same_bytes(x, y, self.empty),
            _ => false,
        }
    }

    /// Notes a conflict; returns what is done about it.
    pub(super) fn conflict(&mut self, id: &Id, kind: ConflictKind) -> Option<Resolve> {
        let side = if self.ours.spot(id).is_some() { &self.ours } else { &self.theirs };
        let path = side.path(id);
        self.conflicts.push(Conflict { path, kind, beside: None });
        self.options.resolve
    }

    /// What an inode of theirs is in ours, by the numbers that the base has.
    pub(super) fn in_ours(&self, theirs: Ino) -> Option<Ino> {
        let (base, _) = self.theirs.kin.other(1, theirs)?;
        self.ours.kin.other(0, base).map(|(ours, _)| ours)
    }

    // Theirs goes beside ours; the conflict was noted last.
    fn put_beside(&mut self, id: &Id) {
        self.besides.push((id.clone(), self.conflicts.len() - 1));
    }

    pub(super) fn drop_theirs(&mut self, id: &Id) {
        self.dropped.insert(id.clone());
    }
}

impl Inode {
    fn body_target(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Symlink(target) => Some(target),
            _ => None,
        }
    }
}
