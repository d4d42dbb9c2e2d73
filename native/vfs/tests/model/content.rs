//! The model's content: what reads, writes, truncations and copies do to plain vectors of bytes.

use std::collections::BTreeSet;

use devdev_vfs::{
    Errno, NodeId, Result, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, SetAttr, SetTime,
};

use crate::model::{Model, PAGE, pages_of};

impl Model {
    pub fn read(&self, id: NodeId, offset: u64, len: usize) -> Result<Vec<u8>> {
        let bytes = &self.node(id)?.content()?.bytes;
        let start = (offset as usize).min(bytes.len());
        Ok(bytes[start..start.saturating_add(len).min(bytes.len())].to_vec())
    }

    pub fn write(
        &mut self,
        id: NodeId,
        offset: Option<u64>,
        data: &[u8],
        kill: bool,
    ) -> Result<u64> {
        let content = self.node(id)?.content()?;
        let offset = offset.unwrap_or(content.bytes.len() as u64);
        if data.is_empty() {
            return Ok(offset);
        }
        let touched = pages_of(offset, data.len() as u64);
        self.reserve(touched.clone().filter(|page| !content.pages.contains(page)).count() as u64)?;
        let now = self.now;
        let node = self.node_mut(id)?;
        let content = node.content_mut()?;
        content.pages.extend(touched);
        let end = offset as usize + data.len();
        if content.bytes.len() < end {
            content.bytes.resize(end, 0);
        }
        content.bytes[offset as usize..end].copy_from_slice(data);
        if kill {
            node.kill();
        }
        node.content_changed(now);
        Ok(offset)
    }

    pub fn setattr(&mut self, id: NodeId, set: &SetAttr) -> Result<()> {
        let now = self.now;
        let node = self.node_mut(id)?;
        if *set == SetAttr::default() {
            return Ok(());
        }
        if node.mode & S_IFMT == S_IFLNK && set.mode.is_some() {
            return Err(Errno::OpNotSupp);
        }
        if let Some(size) = set.size {
            let content = node.content_mut()?;
            if size <= content.bytes.len() as u64 {
                content.pages.retain(|page| *page < size.div_ceil(PAGE));
            }
            content.bytes.resize(size as usize, 0);
            node.content_changed(now);
        }
        if set.uid.is_some() || set.gid.is_some() {
            node.xattrs.remove(&b"security.capability"[..]);
        }
        if let Some(mode) = set.mode {
            node.mode = node.mode & S_IFMT | mode & 0o7777;
        }
        if set.kill_privileges {
            node.kill();
        }
        node.uid = set.uid.unwrap_or(node.uid);
        node.gid = set.gid.unwrap_or(node.gid);
        let time = |set: Option<SetTime>, old| match set {
            None => old,
            Some(SetTime::Now) => now,
            Some(SetTime::At(time)) => time.secs,
        };
        node.times[0] = time(set.atime, node.times[0]);
        node.times[1] = time(set.mtime, node.times[1]);
        node.times[2] = set.ctime.map_or(now, |time| time.secs);
        Ok(())
    }

    pub fn fallocate(&mut self, id: NodeId, mode: u32, offset: u64, len: u64) -> Result<()> {
        if len == 0 {
            return Err(Errno::Inval);
        }
        let (keep, punch, zero) = (mode & 1 != 0, mode & 2 != 0, mode & 16 != 0);
        if mode & !19 != 0 || punch && (zero || !keep) {
            return Err(Errno::OpNotSupp);
        }
        let node = self.node(id)?;
        match node.mode & S_IFMT {
            S_IFREG => {}
            S_IFDIR => return Err(Errno::IsDir),
            S_IFIFO => return Err(Errno::SPipe),
            _ => return Err(Errno::NoDev),
        }
        let content = node.content()?;
        let touched = pages_of(offset, len);
        if !punch {
            let more = touched.clone().filter(|page| !content.pages.contains(page));
            self.reserve(more.count() as u64)?;
        }
        let now = self.now;
        let node = self.node_mut(id)?;
        let content = node.content_mut()?;
        if punch || zero {
            let start = (offset as usize).min(content.bytes.len());
            let end = ((offset + len) as usize).min(content.bytes.len());
            content.bytes[start..end].fill(0);
        }
        if punch {
            let whole = offset.div_ceil(PAGE)..(offset + len) / PAGE;
            content.pages.retain(|page| !whole.contains(page));
        } else {
            content.pages.extend(touched);
            if !keep && content.bytes.len() < (offset + len) as usize {
                content.bytes.resize((offset + len) as usize, 0);
            }
        }
        node.content_changed(now);
        Ok(())
    }

    pub fn seek(&self, id: NodeId, offset: u64, data: bool) -> Result<u64> {
        let content = self.node(id)?.content().map_err(|_| Errno::Inval)?;
        let size = content.bytes.len() as u64;
        if offset >= size {
            return Err(Errno::NxIo);
        }
        let mut pages = offset / PAGE..size.div_ceil(PAGE);
        match pages.find(|page| content.pages.contains(page) == data) {
            Some(page) => Ok(offset.max(page * PAGE)),
            None if data => Err(Errno::NxIo),
            None => Ok(size),
        }
    }

    /// What a copy must be refused with, or how much there is to copy.
    pub fn check_copy(
        &self,
        (from, from_offset): (NodeId, u64),
        (to, to_offset): (NodeId, u64),
        len: u64,
    ) -> Result<u64> {
        let size = self.node(from)?.content()?.bytes.len() as u64;
        self.node(to)?.content()?;
        let len = len.min(size.saturating_sub(from_offset));
        let overlap = to_offset + len > from_offset && to_offset < from_offset + len;
        if from == to && overlap { Err(Errno::Inval) } else { Ok(len) }
    }

    /// The pages a copy leaves, when it shares chunks (holes stay) or copies bytes.
    pub fn pages_after_copy(
        &self,
        (from, from_offset): (NodeId, u64),
        (to, to_offset): (NodeId, u64),
        len: u64,
        shares: bool,
    ) -> BTreeSet<u64> {
        let pages = |id| self.nodes[&id].content().expect("a file").pages.clone();
        let (source, mut target) = (pages(from), pages(to));
        let range = pages_of(to_offset, len);
        if shares {
            target.retain(|page| !range.contains(page));
            let moved = source.range(pages_of(from_offset, len));
            target.extend(moved.map(|page| page - from_offset / PAGE + to_offset / PAGE));
        } else {
            target.extend(range);
        }
        target
    }

    pub fn copied(
        &mut self,
        (from, from_offset): (NodeId, u64),
        (to, to_offset): (NodeId, u64),
        len: u64,
        pages: BTreeSet<u64>,
    ) {
        let now = self.now;
        let data = self.read(from, from_offset, len as usize).expect("checked");
        let node = self.nodes.get_mut(&to).expect("checked");
        let content = node.content_mut().expect("checked");
        let end = to_offset as usize + data.len();
        if content.bytes.len() < end {
            content.bytes.resize(end, 0);
        }
        content.bytes[to_offset as usize..end].copy_from_slice(&data);
        content.pages = pages;
        node.content_changed(now);
    }
}
