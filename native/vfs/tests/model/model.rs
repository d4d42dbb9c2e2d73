//! The naive model: plain maps, full copies, every rule written down as directly as possible.

use std::collections::{BTreeMap, BTreeSet};

use devdev_vfs::{
    Caller, Errno, Ino, NodeId, RenameFlags, Result, S_IFDIR, S_IFMT, S_IFREG, S_ISGID, S_ISUID,
    S_IXGRP,
};

pub const PAGE: u64 = 4096;
pub const CHUNK: u64 = 65536;

#[derive(Clone, Default, PartialEq, Debug)]
pub struct Content {
    pub bytes: Vec<u8>,
    /// Allocated pages; they may lie behind the end.
    pub pages: BTreeSet<u64>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum What {
    File(Content),
    Dir(BTreeMap<Vec<u8>, NodeId>),
    Link(Vec<u8>),
    Special,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub nlink: u32,
    pub rdev: u32,
    /// atime, mtime, ctime, btime in seconds.
    pub times: [i64; 4],
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub parent: NodeId,
    pub what: What,
}

#[derive(Clone)]
pub struct Model {
    pub nodes: BTreeMap<NodeId, Node>,
    pub held: BTreeMap<NodeId, u64>,
    /// Of removed directories that are still held.
    pub generations: BTreeMap<NodeId, u32>,
    pub max_pages: u64,
    pub max_inodes: u64,
    pub now: i64,
}

pub fn pages_of(offset: u64, len: u64) -> std::ops::Range<u64> {
    offset / PAGE..(offset + len).div_ceil(PAGE)
}

fn is_dot(name: &[u8]) -> bool {
    name == b"." || name == b".."
}

fn is_reserved(parent: NodeId, name: &[u8]) -> bool {
    parent == NodeId::ROOT && name == b".devdev"
}

fn check_bytes(name: &[u8]) -> Result<()> {
    let bad = name.is_empty() || name.contains(&b'/') || name.contains(&0);
    if bad { Err(Errno::Inval) } else { Ok(()) }
}

impl Node {
    pub fn is_dir(&self) -> bool {
        self.mode & S_IFMT == S_IFDIR
    }

    pub fn content(&self) -> Result<&Content> {
        match &self.what {
            What::File(content) => Ok(content),
            What::Dir(_) => Err(Errno::IsDir),
            _ => Err(Errno::Inval),
        }
    }

    pub fn content_mut(&mut self) -> Result<&mut Content> {
        self.content()?;
        match &mut self.what {
            What::File(content) => Ok(content),
            _ => Err(Errno::Inval),
        }
    }

    fn touch(&mut self, now: i64) {
        (self.times[1], self.times[2]) = (now, now);
    }

    pub fn content_changed(&mut self, now: i64) {
        self.touch(now);
        self.xattrs.remove(&b"security.capability"[..]);
    }

    pub fn kill(&mut self) {
        if !self.is_dir() {
            self.mode &= !S_ISUID;
            if self.mode & S_IXGRP != 0 {
                self.mode &= !S_ISGID;
            }
        }
    }

    fn pages(&self) -> u64 {
        self.content().map_or(0, |content| content.pages.len() as u64)
    }
}

impl Model {
    pub fn node(&self, node: NodeId) -> Result<&Node> {
        self.nodes.get(&node).ok_or(Errno::NoEnt)
    }

    pub fn node_mut(&mut self, node: NodeId) -> Result<&mut Node> {
        self.nodes.get_mut(&node).ok_or(Errno::NoEnt)
    }

    pub fn pages(&self) -> u64 {
        self.nodes.values().map(Node::pages).sum()
    }

    pub fn reserve(&self, more: u64) -> Result<()> {
        if more > 0 && self.pages() + more > self.max_pages { Err(Errno::NoSpc) } else { Ok(()) }
    }

    /// The entries of a directory that still has a name.
    fn entries(&self, dir: NodeId) -> Result<&BTreeMap<Vec<u8>, NodeId>> {
        let node = self.node(dir)?;
        let What::Dir(entries) = &node.what else { return Err(Errno::NotDir) };
        if node.nlink == 0 { Err(Errno::NoEnt) } else { Ok(entries) }
    }

    fn entries_mut(&mut self, dir: NodeId) -> &mut BTreeMap<Vec<u8>, NodeId> {
        let now = self.now;
        let node = self.nodes.get_mut(&dir).expect("a directory that was looked at");
        node.touch(now);
        match &mut node.what {
            What::Dir(entries) => entries,
            _ => panic!("a directory that was looked at"),
        }
    }

    pub fn find(&self, dir: NodeId, name: &[u8]) -> Result<NodeId> {
        let entries = self.entries(dir)?;
        if name.len() > 255 {
            return Err(Errno::NameTooLong);
        }
        entries.get(name).copied().ok_or(Errno::NoEnt)
    }

    pub fn lookup(&self, dir: NodeId, name: &[u8]) -> Result<NodeId> {
        check_bytes(name)?;
        if is_dot(name) {
            let node = self.node(dir)?;
            if !node.is_dir() {
                return Err(Errno::NotDir);
            }
            return Ok(if name == b"." { dir } else { self.parent_of(dir) });
        }
        if is_reserved(dir, name) { Ok(NodeId::CONTROL) } else { self.find(dir, name) }
    }

    fn parent_of(&self, dir: NodeId) -> NodeId {
        match dir {
            NodeId::ROOT => NodeId::ROOT,
            NodeId::HOME | NodeId::TMP => NodeId::CONTROL,
            _ => self.nodes[&dir].parent,
        }
    }

    pub fn hold(&mut self, node: NodeId) {
        *self.held.entry(node).or_default() += 1;
    }

    pub fn forget(&mut self, node: NodeId) {
        let count = self.held.get_mut(&node).expect("only held nodes are forgotten");
        *count -= 1;
        if *count == 0 {
            self.held.remove(&node);
            self.generations.remove(&node);
            self.drop_if_unused(node);
        }
    }

    fn drop_if_unused(&mut self, node: NodeId) {
        if self.nodes.get(&node).is_some_and(|n| n.nlink == 0) && !self.held.contains_key(&node) {
            self.nodes.remove(&node);
        }
    }

    fn can_add(&self, parent: NodeId, name: &[u8]) -> Result<()> {
        check_bytes(name)?;
        if is_dot(name) || is_reserved(parent, name) {
            return Err(Errno::Exist);
        }
        match self.find(parent, name) {
            Ok(_) => Err(Errno::Exist),
            Err(Errno::NoEnt) if self.entries(parent).is_ok() => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn fresh(&self, parent: &Node, id: NodeId, mode: u32, caller: Caller, what: What) -> Node {
        let inherits = parent.mode & S_ISGID != 0;
        let is_dir = mode & S_IFMT == S_IFDIR;
        let sgid = if inherits && is_dir { S_ISGID } else { 0 };
        Node {
            mode: mode | sgid,
            uid: caller.uid,
            gid: if inherits { parent.gid } else { caller.gid },
            nlink: if is_dir { 2 } else { 1 },
            rdev: 0,
            times: [self.now; 4],
            xattrs: BTreeMap::new(),
            parent: id,
            what,
        }
    }

    /// `id`: the number that the engine gave, if it made something.
    pub fn create(
        &mut self,
        parent: NodeId,
        name: &[u8],
        mode: u32,
        caller: Caller,
        what: What,
        id: Option<NodeId>,
    ) -> Result<()> {
        self.can_add(parent, name)?;
        if self.nodes.len() as u64 >= self.max_inodes {
            return Err(Errno::NoSpc);
        }
        let node = self.fresh(self.node(parent)?, parent, mode, caller, what);
        let is_dir = node.is_dir();
        let id = id.expect("the engine made something too");
        assert!(self.nodes.insert(id, node).is_none(), "{id:?} was used before");
        self.entries_mut(parent).insert(name.to_vec(), id);
        self.nodes.get_mut(&parent).expect("just used").nlink += u32::from(is_dir);
        Ok(())
    }

    pub fn tmpfile(
        &mut self,
        parent: NodeId,
        mode: u32,
        caller: Caller,
        id: Option<NodeId>,
    ) -> Result<()> {
        self.entries(parent)?;
        if self.nodes.len() as u64 >= self.max_inodes {
            return Err(Errno::NoSpc);
        }
        let what = What::File(Content::default());
        let mut node = self.fresh(self.node(parent)?, parent, S_IFREG | mode, caller, what);
        node.nlink = 0;
        let id = id.expect("the engine made something too");
        self.nodes.insert(id, node);
        self.hold(id);
        Ok(())
    }

    pub fn link(&mut self, id: NodeId, parent: NodeId, name: &[u8]) -> Result<()> {
        self.can_add(parent, name)?;
        if id.attachment() != parent.attachment() {
            return Err(Errno::XDev);
        }
        let now = self.now;
        let node = self.node_mut(id)?;
        if node.is_dir() {
            return Err(Errno::Perm);
        }
        node.nlink += 1;
        (node.times[2], node.parent) = (now, parent);
        self.entries_mut(parent).insert(name.to_vec(), id);
        Ok(())
    }

    // One name less; `dir`: the last for a directory.
    fn unname(&mut self, id: NodeId) {
        let now = self.now;
        let node = self.nodes.get_mut(&id).expect("it had a name");
        node.times[2] = now;
        if node.is_dir() {
            node.nlink = 0;
            if self.held.contains_key(&id) {
                *self.generations.entry(id).or_default() += 1;
            }
        } else {
            node.nlink -= 1;
        }
        self.drop_if_unused(id);
    }

    pub fn unlink(&mut self, parent: NodeId, name: &[u8]) -> Result<()> {
        if is_dot(name) {
            return Err(Errno::IsDir);
        }
        check_bytes(name)?;
        if is_reserved(parent, name) {
            return Err(Errno::Perm);
        }
        let id = self.find(parent, name)?;
        if self.node(id)?.is_dir() {
            return Err(Errno::IsDir);
        }
        self.entries_mut(parent).remove(name);
        self.unname(id);
        Ok(())
    }

    pub fn rmdir(&mut self, parent: NodeId, name: &[u8]) -> Result<()> {
        match name {
            b"." => return Err(Errno::Inval),
            b".." => return Err(Errno::NotEmpty),
            _ => check_bytes(name)?,
        }
        if is_reserved(parent, name) {
            return Err(Errno::Busy);
        }
        let id = self.find(parent, name)?;
        if !self.entries(id)?.is_empty() {
            return Err(Errno::NotEmpty);
        }
        self.entries_mut(parent).remove(name);
        self.node_mut(parent)?.nlink -= 1;
        self.unname(id);
        Ok(())
    }

    // Whether `above` is `dir` or a directory above it.
    fn leads_to(&self, above: NodeId, dir: NodeId) -> bool {
        let mut at = dir;
        while at != above && at.ino() >= Ino::FIRST {
            at = self.nodes[&at].parent;
        }
        at == above
    }

    pub fn rename(
        &mut self,
        (parent, name): (NodeId, &[u8]),
        (new_parent, new_name): (NodeId, &[u8]),
        flags: RenameFlags,
    ) -> Result<()> {
        check_bytes(name)?;
        check_bytes(new_name)?;
        if flags.noreplace && flags.exchange {
            return Err(Errno::Inval);
        }
        if parent.attachment() != new_parent.attachment() {
            return Err(Errno::XDev);
        }
        if is_dot(name) || is_reserved(parent, name) {
            return Err(Errno::Busy);
        }
        if is_dot(new_name) || is_reserved(new_parent, new_name) {
            let reserved = if is_dot(new_name) { Errno::Busy } else { Errno::Perm };
            return Err(if flags.noreplace { Errno::Exist } else { reserved });
        }
        self.entries(new_parent)?;
        let source = self.find(parent, name)?;
        let target = match self.find(new_parent, new_name) {
            Ok(target) => Some(target),
            Err(Errno::NoEnt) => None,
            Err(errno) => return Err(errno),
        };
        if flags.noreplace && target.is_some() {
            return Err(Errno::Exist);
        }
        if flags.exchange && target.is_none() {
            return Err(Errno::NoEnt);
        }
        self.check_move(parent, source, new_parent, target, flags)?;
        if target == Some(source) {
            return Ok(());
        }
        let source_dir = self.node(source)?.is_dir();
        let target_dir = target.is_some_and(|target| self.nodes[&target].is_dir());
        if let (Some(target), false) = (target, flags.exchange) {
            match (source_dir, target_dir) {
                (true, false) => return Err(Errno::NotDir),
                (false, true) => return Err(Errno::IsDir),
                (true, true) if !self.entries(target)?.is_empty() => return Err(Errno::NotEmpty),
                _ => {}
            }
        }
        self.entries_mut(parent).remove(name);
        self.entries_mut(new_parent).insert(new_name.to_vec(), source);
        let back = if flags.exchange { target } else { None };
        if let Some(target) = back {
            self.entries_mut(parent).insert(name.to_vec(), target);
        }
        let now = self.now;
        for (id, home) in [(Some(source), new_parent), (back, parent)] {
            if let Some(node) = id.and_then(|id| self.nodes.get_mut(&id)) {
                (node.times[2], node.parent) = (now, home);
            }
        }
        if let (Some(target), false) = (target, flags.exchange) {
            self.unname(target);
        }
        self.count_subdirs(parent);
        self.count_subdirs(new_parent);
        Ok(())
    }

    fn check_move(
        &self,
        parent: NodeId,
        source: NodeId,
        new_parent: NodeId,
        target: Option<NodeId>,
        flags: RenameFlags,
    ) -> Result<()> {
        if parent == new_parent {
            return Ok(());
        }
        if self.node(source)?.is_dir() && self.leads_to(source, new_parent) {
            return Err(Errno::Inval);
        }
        match target {
            Some(target) if self.nodes[&target].is_dir() && self.leads_to(target, parent) => {
                Err(if flags.exchange { Errno::Inval } else { Errno::NotEmpty })
            }
            _ => Ok(()),
        }
    }

    fn count_subdirs(&mut self, dir: NodeId) {
        let entries = self.entries(dir).expect("it is a directory").values();
        let subdirs = entries.filter(|id| self.nodes[id].is_dir()).count() as u32;
        self.nodes.get_mut(&dir).expect("it is a directory").nlink = 2 + subdirs;
    }

    pub fn xattr(&mut self, id: NodeId, name: &[u8], value: Option<&[u8]>, uid: u32) -> Result<()> {
        if name.starts_with(b"system.") {
            return Err(Errno::OpNotSupp);
        }
        if name.starts_with(b"trusted.") && uid != 0 {
            return Err(Errno::Perm);
        }
        let now = self.now;
        let node = self.node_mut(id)?;
        if name.starts_with(b"user.") && !matches!(node.mode & S_IFMT, S_IFREG | S_IFDIR) {
            return Err(Errno::Perm);
        }
        match value {
            Some(value) => drop(node.xattrs.insert(name.to_vec(), value.to_vec())),
            None => drop(node.xattrs.remove(name).ok_or(Errno::NoData)?),
        }
        node.times[2] = now;
        Ok(())
    }

    /// The inodes of the live tree that have a name.
    pub fn freeze(&self) -> BTreeMap<NodeId, Node> {
        let live = |id: &NodeId, node: &Node| id.attachment().0 == 0 && node.nlink > 0;
        self.nodes.iter().filter(|(id, n)| live(id, n)).map(|(id, n)| (*id, n.clone())).collect()
    }

    pub fn restore(&mut self, frozen: &BTreeMap<NodeId, Node>) {
        let held = &self.held;
        self.nodes.retain(|id, node| {
            if id.attachment().0 == 0 {
                let goes = node.nlink > 0 && !frozen.contains_key(id);
                if goes && node.is_dir() && held.contains_key(id) {
                    *self.generations.entry(*id).or_default() += 1;
                }
                node.nlink = 0;
                if let What::Dir(entries) = &mut node.what {
                    entries.clear();
                }
            }
            id.attachment().0 != 0 || held.contains_key(id)
        });
        self.nodes.extend(frozen.iter().map(|(id, node)| (*id, node.clone())));
    }
}
