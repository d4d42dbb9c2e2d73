//! The tree that an archive describes, while entries still replace, extend and link what came
//! before. Nothing in it leads anywhere but into it: a name below a symlink is refused.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use devdev_vfs::page::is_name;
use devdev_vfs::{Body, Chunk, Errno, Ino, Inode, S_IFDIR, Timespec, Tree, TreeBuilder};

use crate::import::beside_pages;

/// Why an entry has no place.
pub(crate) type Refused = &'static str;

struct Node {
    inode: Inode,
    names: BTreeMap<Box<[u8]>, usize>,
    links: u32,
}

/// All there is, by index; the root is 0.
pub(crate) struct Nodes {
    all: Vec<Node>,
    /// Those of `all` that nothing leads to any more: an archive that names one file for ever takes
    /// no more room than that file.
    spare: Vec<usize>,
    /// Who owns directories that the archive does not name, and their times.
    owner: (u32, u32),
    now: Timespec,
    /// Inodes and pages of content in use.
    pub inodes: u64,
    pub pages: u64,
}

/// The names of a path. None of them leads up, and the root's `.devdev` is not the archive's.
pub(crate) fn names_of(path: &[u8]) -> Result<Vec<&[u8]>, Refused> {
    let names: Vec<&[u8]> =
        path.split(|b| *b == b'/').filter(|name| !name.is_empty() && *name != b".").collect();
    if names.contains(&&b".."[..]) {
        return Err("a name leads upwards");
    }
    if names.first() == Some(&&b".devdev"[..]) {
        return Err("a name is reserved");
    }
    if names.iter().all(|name| is_name(name)) { Ok(names) } else { Err("a name is not allowed") }
}

impl Nodes {
    pub(crate) fn new(owner: (u32, u32), now: Timespec) -> Nodes {
        let mut nodes =
            Nodes { all: Vec::new(), spare: Vec::new(), owner, now, inodes: 1, pages: 0 };
        nodes.push(nodes.unnamed());
        nodes
    }

    fn unnamed(&self) -> Inode {
        let (uid, gid) = self.owner;
        Inode::new(Ino(0), S_IFDIR | 0o755, uid, gid, Ino(0), self.now)
    }

    fn push(&mut self, inode: Inode) -> usize {
        self.inodes += 1;
        let node = Node { inode, names: BTreeMap::new(), links: 1 };
        if let Some(at) = self.spare.pop() {
            self.all[at] = node;
            return at;
        }
        self.all.push(node);
        self.all.len() - 1
    }

    // The directory of the last name; those on the way that are missing are made.
    fn parent(&mut self, names: &[&[u8]]) -> Result<usize, Refused> {
        let mut at = 0;
        for name in names {
            at = match self.all[at].names.get(*name) {
                Some(next) => *next,
                None => {
                    let made = self.push(self.unnamed());
                    self.all[at].names.insert((*name).into(), made);
                    made
                }
            };
            if !self.all[at].inode.is_dir() {
                return Err("a name lies below something that is no directory");
            }
        }
        Ok(at)
    }

    /// Puts an inode at a path: a directory keeps what is in it, others replace what was there.
    pub(crate) fn put(&mut self, names: &[&[u8]], inode: Inode) -> Result<(), Refused> {
        let Some((last, above)) = names.split_last() else {
            let is_dir = inode.is_dir();
            self.all[0].inode = if is_dir { inode } else { return Err("`/` is no directory") };
            return Ok(());
        };
        let parent = self.parent(above)?;
        if let Some(old) = self.all[parent].names.get(*last).copied()
            && self.all[old].inode.is_dir()
            && inode.is_dir()
        {
            self.all[old].inode = inode;
            return Ok(());
        }
        self.free(parent, last)?;
        let made = self.push(inode);
        self.all[parent].names.insert((*last).into(), made);
        Ok(())
    }

    /// Gives what is at `target` one more name.
    pub(crate) fn link(&mut self, names: &[&[u8]], target: &[&[u8]]) -> Result<(), Refused> {
        let found = target.iter().try_fold(0, |at, name| {
            let node: &Node = &self.all[at];
            node.names.get(*name).copied()
        });
        let to = found.ok_or("a hard link leads to nothing that came before")?;
        let (last, above) = names.split_last().ok_or("`/` is no directory")?;
        if self.all[to].inode.is_dir() {
            return Err("a hard link leads to a directory");
        }
        let parent = self.parent(above)?;
        if self.all[parent].names.get(*last) == Some(&to) {
            return Ok(());
        }
        self.free(parent, last)?;
        let links = &mut self.all[to].links;
        *links = links.checked_add(1).ok_or("an inode has too many names")?;
        self.all[parent].names.insert((*last).into(), to);
        Ok(())
    }

    // Makes room for a name; only an empty directory gives way.
    fn free(&mut self, parent: usize, name: &[u8]) -> Result<(), Refused> {
        let Some(old) = self.all[parent].names.get(name).copied() else { return Ok(()) };
        if !self.all[old].names.is_empty() {
            return Err("an entry would replace a directory with entries");
        }
        self.all[parent].names.remove(name);
        let node = &mut self.all[old];
        node.links -= 1;
        if node.links == 0 {
            if let Body::File(content) = &node.inode.body {
                self.pages -= content.chunks().map(|(_, chunk)| chunk.data_pages()).sum::<u64>();
            }
            (node.inode.body, node.inode.xattrs) = (Body::Special, None);
            self.inodes -= 1;
            self.spare.push(old);
        }
        Ok(())
    }

    /// The finished tree.
    pub(crate) fn finish(mut self) -> Result<Arc<Tree>, Refused> {
        let (mut builder, mut made) = (TreeBuilder::new(), HashMap::new());
        let (root, home) = (self.all[0].inode.clone(), self.unnamed());
        for (ino, from) in [(Ino::ROOT, root), (Ino::HOME, home)] {
            builder.update(ino, |inode| {
                (inode.mode, inode.uid, inode.gid) = (from.mode, from.uid, from.gid);
                (inode.atime, inode.mtime) = (from.atime, from.mtime);
                (inode.ctime, inode.btime, inode.xattrs) = (from.ctime, from.btime, from.xattrs);
            });
        }
        let mut stack = vec![(0, Ino::ROOT)];
        while let Some((at, dir)) = stack.pop() {
            for (name, index) in std::mem::take(&mut self.all[at].names) {
                let node = &mut self.all[index];
                if let Some(ino) = made.get(&index) {
                    builder.link(dir, &name, *ino).map_err(refused)?;
                    continue;
                }
                let mut empty = node.inode.clone();
                (empty.body, empty.xattrs) = (Body::Special, None);
                let (is_dir, shared) = (node.inode.is_dir(), node.links > 1);
                let inode = std::mem::replace(&mut node.inode, empty);
                let ino = builder.add(dir, &name, inode).map_err(refused)?;
                if is_dir {
                    stack.push((index, ino));
                } else if shared {
                    made.insert(index, ino);
                }
            }
        }
        Ok(builder.freeze())
    }
}

fn refused(errno: Errno) -> Refused {
    match errno {
        // 128 names with equal hashes do not happen, they are made.
        Errno::NoSpc => "too many names of a directory collide",
        _ => "an entry can not be made",
    }
}

/// The content of a file as it arrives, front to back, with holes where nothing came.
#[derive(Default)]
pub(crate) struct Filler {
    content: devdev_vfs::Content,
    index: u64,
    bytes: Vec<u8>,
    present: u16,
    /// Pages in the chunks that are complete.
    pub pages: u64,
    /// Bytes that those chunks take in memory beside their pages, until they are spent.
    pub beside: u64,
}

impl Filler {
    /// Bytes behind those that came before.
    pub(crate) fn write(&mut self, mut offset: u64, mut data: &[u8]) {
        use devdev_vfs::{CHUNK_SIZE, PAGE_SIZE};
        while !data.is_empty() {
            let (index, start) = (offset / CHUNK_SIZE, (offset % CHUNK_SIZE) as usize);
            if index != self.index {
                self.flush();
                self.index = index;
            }
            let n = data.len().min(CHUNK_SIZE as usize - start);
            self.bytes.resize(start, 0);
            self.bytes.extend_from_slice(&data[..n]);
            let page = PAGE_SIZE as usize;
            (start / page..=(start + n - 1) / page).for_each(|page| self.present |= 1 << page);
            (offset, data) = (offset + n as u64, &data[n..]);
        }
    }

    fn flush(&mut self) {
        if self.present != 0 {
            let mut bytes = std::mem::take(&mut self.bytes);
            bytes.shrink_to_fit();
            let chunk = Chunk::new(bytes, std::mem::take(&mut self.present));
            self.pages += chunk.data_pages();
            self.beside += beside_pages(chunk.len() as u64, chunk.present());
            self.content.set(self.index, Some(Arc::new(chunk)));
        }
        self.bytes.clear();
    }

    /// The content, its pages, and what is left to be spent.
    pub(crate) fn finish(mut self) -> (devdev_vfs::Content, u64, u64) {
        self.flush();
        (self.content, self.pages, self.beside)
    }
}
