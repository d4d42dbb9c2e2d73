//! Comparing the engine with the model: a node, all nodes, what a restore reported, a fork.

use std::collections::{BTreeMap, BTreeSet};

use devdev_vfs::{
    Caller, DirEntry, Errno, Limits, NodeId, Restored, Root, S_IFMT, S_IFREG, Tree, Vfs,
    VfsOptions, changed_inodes,
};

use crate::model::{Model, Node, What};
use crate::world::World;

impl World {
    // Everything that is held and differs was reported, and nothing that is not held.
    pub fn check_restored(&self, before: &Model, restored: &Restored) {
        let inodes: BTreeMap<_, _> = restored.inodes.iter().copied().collect();
        let names: BTreeSet<_> = restored.names.iter().map(|(p, n)| (*p, n.to_vec())).collect();
        let is_known = |id: &NodeId| *id == NodeId::ROOT || before.held.contains_key(id);
        assert!(inodes.keys().all(is_known) && names.iter().all(|(parent, _)| is_known(parent)));
        for (id, old) in before.nodes.iter().filter(|(id, _)| is_known(id)) {
            let Some(new) = self.model.nodes.get(id) else { continue };
            if old != new {
                self.expect((id, inodes.contains_key(id)), (id, true));
            }
            let bytes = |node: &Node| node.content().map(|content| content.bytes.clone()).ok();
            if bytes(old) != bytes(new) {
                self.expect((id, inodes.get(id).copied()), (id, Some(true)));
            }
            let (What::Dir(old), What::Dir(new)) = (&old.what, &new.what) else { continue };
            for name in old.keys().chain(new.keys()).filter(|name| old.get(*name) != new.get(*name))
            {
                self.expect((id, name, names.contains(&(*id, name.clone()))), (id, name, true));
            }
        }
    }

    // A workspace made of the frozen tree holds what the model held then.
    pub fn compare_fork(&mut self, tree: &Tree, frozen: &BTreeMap<NodeId, Node>) {
        let fork = Vfs::from_tree(
            VfsOptions {
                clock: self.clock.clone(),
                limits: Limits { bytes: 1 << 40, inodes: 1 << 30 },
                xattrs: true,
                owner: Caller::default(),
            },
            tree,
        );
        fork.set_loader(Some(self.asked.clone()));
        let vfs = std::mem::replace(&mut self.vfs, fork);
        frozen.iter().for_each(|(id, node)| self.compare_node(*id, Some(node)));
        self.expect(self.vfs.check_invariants(), Ok(()));
        self.vfs = vfs;
    }

    pub fn compare_node_at_random(&mut self) {
        let node = self.random.pick(&self.known);
        self.compare(&[node]);
    }

    pub fn compare(&self, nodes: &[NodeId]) {
        nodes.iter().for_each(|id| self.compare_node(*id, self.model.nodes.get(id)));
    }

    pub fn compare_all(&self) {
        self.known.iter().for_each(|id| self.compare_node(*id, self.model.nodes.get(id)));
        self.check();
    }

    fn compare_node(&self, id: NodeId, node: Option<&Node>) {
        let Some(node) = node else {
            if id != NodeId::CONTROL {
                self.expect((id, self.vfs.getattr(id).map(|_| ())), (id, Err(Errno::NoEnt)));
            }
            return;
        };
        let attr = self.vfs.getattr(id);
        let attr = attr.unwrap_or_else(|errno| panic!("{id:?}: {errno:?}\n{:?}", self.log));
        let times = [attr.atime, attr.mtime, attr.ctime, attr.btime].map(|time| time.secs);
        self.expect(
            (id, attr.mode, attr.uid, attr.gid, attr.nlink, attr.rdev, times),
            (id, node.mode, node.uid, node.gid, node.nlink, node.rdev, node.times),
        );
        let (size, blocks) = match &node.what {
            What::File(content) => (content.bytes.len() as u64, content.pages.len() as u64 * 8),
            What::Dir(entries) => (entries.len() as u64 * 32, 0),
            What::Link(target) => (target.len() as u64, 0),
            What::Special => (0, 0),
        };
        self.expect((id, attr.size, attr.blocks), (id, size, blocks));
        for (name, value) in &node.xattrs {
            self.expect(self.vfs.getxattr(id, name), Ok(value.clone()));
        }
        let names = self.vfs.listxattr(id, Caller::default()).unwrap();
        self.expect(names.len(), node.xattrs.len());
        match &node.what {
            What::File(content) => {
                let read = self.read_engine(id, 0, usize::MAX >> 1).unwrap();
                self.expect((id, read == content.bytes), (id, true));
            }
            What::Dir(entries) => self.compare_listing(id, node, entries),
            What::Link(target) => {
                self.expect(self.vfs.readlink(id).map(|t| t.to_vec()), Ok(target.clone()));
            }
            What::Special => {}
        }
    }

    fn compare_listing(&self, id: NodeId, node: &Node, entries: &BTreeMap<Vec<u8>, NodeId>) {
        let (mut listed, mut at) = (BTreeMap::new(), 0);
        // Three entries at a time, as a reader with a small buffer would.
        loop {
            let mut batch = 0;
            let read = self.vfs.readdir(id, at, &mut |entry| {
                batch += 1;
                if batch <= 3 {
                    at = entry.cookie;
                    listed.insert(entry.name.to_vec(), entry.node);
                }
                batch <= 3
            });
            self.expect(read, if node.nlink == 0 { Err(Errno::NoEnt) } else { Ok(()) });
            if batch <= 3 {
                break;
            }
        }
        listed.retain(|name, _| name != b"." && name != b"..");
        self.expect((id, &listed), (id, entries));
    }

    /// Everything that is in the engine, written down.
    pub fn walk(&self) -> Vec<String> {
        let tree = self.vfs.freeze();
        let mut all = vec![format!("{:?}", tree.next_ino)];
        changed_inodes(&Root::empty(0), &tree.root, |ino, _, inode| {
            let Some(inode) = inode else { return };
            let id = NodeId(ino.0);
            let bytes = match inode.mode & S_IFMT {
                S_IFREG => self.read_engine(id, 0, usize::MAX >> 1).unwrap(),
                _ => Vec::new(),
            };
            let mut names = Vec::new();
            if inode.is_dir() {
                let mut visit = |entry: DirEntry<'_>| {
                    names.push((entry.cookie, entry.name.to_vec(), entry.node));
                    true
                };
                self.vfs.readdir(id, 0, &mut visit).unwrap();
            }
            all.push(format!("{:?} {names:?} {}", inode.attr(id), bytes.escape_ascii()));
        });
        all
    }
}
