//! Reading a frozen tree by path, without making a live one of it.

use std::sync::Arc;

use super::wait::Waiting;
use crate::content::Content;
use crate::errno::{Errno, Result};
use crate::ids::Ino;
use crate::inode::{Body, Inode};
use crate::outcome::Need;
use crate::{CHUNK_SIZE, Chunk, Tree, Vfs};

/// A frozen tree, and the engine through whose store its missing bytes come.
pub struct FrozenTree<'a> {
    /// What is read.
    pub tree: &'a Tree,
    /// Without it a byte that is not in memory is EIO.
    pub store: Option<&'a Vfs>,
}

impl FrozenTree<'_> {
    /// The content of a regular file. Symlinks are not followed: paths come from a diff.
    pub fn read_file(&self, path: &[u8]) -> Result<Vec<u8>> {
        self.read_inode(self.walk(path)?)
    }

    /// The same, of an inode.
    pub fn read_inode(&self, ino: Ino) -> Result<Vec<u8>> {
        let (size, content) = self.look(ino, |inode| match &inode.body {
            Body::File(content) => Ok((inode.size, content.clone())),
            Body::Dir(_) => Err(Errno::IsDir),
            Body::Symlink(_) => Err(Errno::Loop),
            Body::Special => Err(Errno::NxIo),
        })?;
        if size > super::MAX_WHOLE_FILE {
            return Err(Errno::FBig);
        }
        self.read(&content, 0, size as usize)
    }

    /// Up to `len` bytes of a regular file from `offset` on; fewer at its end.
    pub fn read_range(&self, path: &[u8], offset: u64, len: usize) -> Result<Vec<u8>> {
        let ino = self.walk(path)?;
        let (size, content) = self.look(ino, |inode| match &inode.body {
            Body::File(content) => Ok((inode.size, content.clone())),
            _ => Err(Errno::Inval),
        })?;
        let len = (len as u64).min(super::MAX_WHOLE_FILE).min(size.saturating_sub(offset));
        self.read(&content, offset, len as usize)
    }

    fn read(&self, content: &Content, offset: u64, len: usize) -> Result<Vec<u8>> {
        let (mut bytes, end) = (vec![0; len], offset + len as u64);
        let first = content.next_chunk(offset / CHUNK_SIZE);
        let within = |index: &u64| index * CHUNK_SIZE < end;
        let next = |index: &u64| content.next_chunk(index + 1);
        let chunks = std::iter::successors(first, next).take_while(within);
        let chunks: Vec<_> = chunks.filter_map(|n| Some((n, content.get(n)?))).collect();
        self.bring(chunks.iter().map(|(_, chunk)| *chunk))?;
        for (index, chunk) in chunks {
            let data = chunk.bytes().ok_or(Errno::Io)?;
            let start = index * CHUNK_SIZE;
            let from = offset.saturating_sub(start) as usize;
            let Some(data) = data.get(from..) else { continue };
            let at = (start + from as u64 - offset) as usize;
            let n = data.len().min(len - at);
            bytes[at..at + n].copy_from_slice(&data[..n]);
        }
        Ok(bytes)
    }

    /// The target of a symlink.
    pub fn readlink(&self, path: &[u8]) -> Result<Vec<u8>> {
        let ino = self.walk(path)?;
        self.look(ino, |inode| match &inode.body {
            Body::Symlink(target) => Ok(target.to_vec()),
            _ => Err(Errno::Inval),
        })
    }

    // Those of the chunks that only the store has.
    fn bring<'c>(&self, chunks: impl Iterator<Item = &'c Arc<Chunk>>) -> Result<()> {
        let missing = |chunk: &Arc<Chunk>| chunk.bytes().is_none();
        let needs: Vec<Need> =
            chunks.filter(|c| missing(c)).map(|c| Need::Block(c.clone())).collect();
        if needs.is_empty() {
            return Ok(());
        }
        Waiting(self.store.ok_or(Errno::Io)?).arrival(needs)
    }

    fn walk(&self, path: &[u8]) -> Result<Ino> {
        let mut at = Ino::ROOT;
        for name in path.split(|b| *b == b'/').filter(|name| !name.is_empty()) {
            at = match (at, name) {
                (Ino::ROOT, b".devdev") => Ino::SNAPSHOT_CONTROL,
                (Ino::SNAPSHOT_CONTROL, b"home") => Ino::HOME,
                (Ino::SNAPSHOT_CONTROL, _) => return Err(Errno::NoEnt),
                _ => self.look(at, |inode| match &inode.body {
                    Body::Dir(dir) => dir.get(name).map(|d| d.ino).ok_or(Errno::NoEnt),
                    _ => Err(Errno::NotDir),
                })?,
            };
        }
        Ok(at)
    }

    fn look<R>(&self, ino: Ino, look: impl FnOnce(&Inode) -> Result<R>) -> Result<R> {
        self.tree.root.get(ino, look).unwrap_or(Err(Errno::NoEnt))
    }
}
