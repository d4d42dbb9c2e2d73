//! A tree with other owners: what a restore or an import by a user who may not give files away
//! makes of one.

use std::sync::{Arc, OnceLock};

use crate::Tree;
use crate::known_ids::TreeId;
use crate::tree::{Child, Leaf, Node, Root};

/// The same tree, with everything owned by `uid` and `gid`. Shares what they own already, and
/// all content and directory pages.
pub fn remap_owners(tree: &Tree, uid: u32, gid: u32) -> Arc<Tree> {
    let node = remap_node(&tree.root.node, uid, gid).unwrap_or_else(|| tree.root.node.clone());
    let root = Root { node, height: tree.root.height };
    let Tree { above, next_ino, bytes, inodes, .. } = *tree;
    let (id, leaving) = (TreeId::default(), OnceLock::new());
    Arc::new(Tree { root, above, next_ino, bytes, inodes, id, leaving })
}

// `None` when nothing changes. As deep as the radix tree is high.
fn remap_node(node: &Node, uid: u32, gid: u32) -> Option<Arc<Node>> {
    let mut children = node.children.read().clone();
    let mut changed = false;
    for slot in children.iter_mut().flatten() {
        let fresh = match &slot {
            Child::Node(node) => remap_node(node, uid, gid).map(Child::Node),
            Child::Leaf(leaf) => remap_leaf(leaf, uid, gid).map(Child::Leaf),
        };
        if let Some(fresh) = fresh {
            *slot = fresh;
            changed = true;
        }
    }
    if !changed {
        return None;
    }
    let fresh = Node::new(0);
    *fresh.children.write() = children;
    Some(Arc::new(fresh))
}

fn remap_leaf(leaf: &Leaf, uid: u32, gid: u32) -> Option<Arc<Leaf>> {
    let data = leaf.read();
    if data.inodes.iter().all(|inode| (inode.uid, inode.gid) == (uid, gid)) {
        return None;
    }
    let mut inodes = data.inodes.clone();
    inodes.iter_mut().for_each(|inode| (inode.uid, inode.gid) = (uid, gid));
    Some(Arc::new(Leaf::new(0, inodes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, Random};
    use crate::{DiffScope, Ino, Persist, path_diff};

    #[test]
    fn only_owners_change() {
        let tree = sample::tree(&mut Random(4), 500).freeze();
        let mut persist = Persist::new(&tree);
        while persist.next_page().is_some() {}
        persist.committed();
        let mapped = remap_owners(&tree, 7, 8);
        assert!(mapped.root.get(Ino::ROOT, |i| (i.uid, i.gid)) == Some((7, 8)));
        let mut count = 0;
        mapped.root.for_each_leaf(|_, leaf| {
            count += leaf.read().inodes.iter().filter(|i| (i.uid, i.gid) == (7, 8)).count();
        });
        assert_eq!(count as u64, tree.inodes);
        let changes = path_diff(&tree, &mapped, DiffScope::default());
        assert!(changes.len() as u64 >= tree.inodes);
        assert!(changes.iter().all(|c| c.differs.owner && !c.differs.content && !c.differs.mode));
        // Leaves and nodes have to be stored anew, content does not.
        assert_eq!(Persist::new(&mapped).chunks().len(), 0);
        assert!(Persist::new(&mapped).work_left() > 0);
        assert!(Arc::ptr_eq(&remap_owners(&mapped, 7, 8).root.node, &mapped.root.node));
    }
}
