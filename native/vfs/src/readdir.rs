//! Listing directories, and reading symbolic links.

use std::sync::Arc;

use crate::attr::S_IFDIR;
use crate::errno::{Errno, Result};
use crate::ids::NodeId;
use crate::inode::{Body, Inode};
use crate::types::DirEntry;
use crate::vfs::Vfs;

/// Positions behind "." and ".."; those of names are larger.
const DOTS: [(u64, &[u8]); 2] = [(1, b"."), (2, b"..")];

impl Vfs {
    /// Reports entries behind `cookie` (0 = from the start, "." and ".." first) until `visit`
    /// returns false; the refused entry is reported again next time. `visit` runs without
    /// locks. Names that sort by cookie, not alphabetically.
    pub fn readdir(
        &self,
        dir: NodeId,
        cookie: u64,
        visit: &mut dyn FnMut(DirEntry<'_>) -> bool,
    ) -> Result<()> {
        let list = self.view(dir, |inode| match &inode.body {
            Body::Dir(_) if inode.nlink == 0 => Err(Errno::NoEnt),
            Body::Dir(list) => Ok(list.clone()),
            _ => Err(Errno::NotDir),
        })??;
        for (position, name) in DOTS.into_iter().filter(|dot| dot.0 > cookie) {
            let node = if position == 1 { dir } else { self.parent_of(dir)? };
            if !visit(DirEntry { cookie: position, name, node, kind: S_IFDIR }) {
                return Ok(());
            }
        }
        if let Some(fixed) = self.control.entries(dir) {
            for (position, name, node) in fixed.iter().filter(|entry| entry.0 > cookie) {
                let entry = DirEntry { cookie: *position, name, node: *node, kind: S_IFDIR };
                if !visit(entry) {
                    return Ok(());
                }
            }
            return Ok(());
        }
        for entry in list.entries_after(cookie) {
            let node = NodeId::new(dir.attachment(), entry.ino);
            let (cookie, name, kind) = (entry.cookie, entry.name, entry.kind);
            if !visit(DirEntry { cookie, name, node, kind }) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The target of a symbolic link.
    pub fn readlink(&self, node: NodeId) -> Result<Arc<[u8]>> {
        self.view(node, |inode: &Inode| match &inode.body {
            Body::Symlink(target) => Ok(target.clone()),
            _ => Err(Errno::Inval),
        })?
    }
}
