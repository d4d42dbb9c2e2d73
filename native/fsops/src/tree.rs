//! The whole tree of one side as plain values, and the comparison of two. What file systems may
//! choose for themselves (inode numbers, directory sizes, blocks, atime) is left out; that an
//! inode number and a type in a listing agree with `lstat` is checked on each side alone.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hasher};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, SeekFrom, Stat};
use rustix::io::{self, Errno};

use crate::churn;
use crate::op::Path;
use crate::world::{Attrs, World, attrs, kind};

#[derive(Debug, PartialEq, Eq)]
pub struct Node {
    pub attrs: Attrs,
    /// The first path of the same inode: equal on both sides when hard links group alike.
    pub first: Path,
    pub link: Option<Path>,
    pub content: Result<Content, Errno>,
    pub xattrs: Result<BTreeMap<String, Vec<u8>>, Errno>,
}

/// (index, hash) of each 4 KiB block that is not all zeros.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Content(Vec<(u64, u64)>);

const BLOCK: usize = 4096;
/// Up to here files are read whole, without asking where their data is.
pub const READ_WHOLE: u64 = 8 << 20;

#[derive(Default)]
pub struct Tree {
    pub nodes: BTreeMap<Vec<u8>, Node>,
    pub broken: Vec<String>,
    /// Names seen of each inode, to compare with its link count.
    names: BTreeMap<u64, (u64, Path, u64)>,
    /// Modes hide a part of it.
    partial: bool,
}

pub fn capture(world: &World) -> io::Result<Tree> {
    let mut tree = Tree::default();
    match fs::openat(&world.root, ".", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()) {
        // The sequence has taken away its own permission (`chmod d/..`).
        Err(Errno::ACCESS) => tree.partial = true,
        dir => drop(tree.walk(world, &dir?, &mut Vec::new())?),
    }
    tree.check_links();
    Ok(tree)
}

impl Tree {
    /// Returns the number of subdirectories, or None when modes hide some.
    fn walk(&mut self, world: &World, dir: &OwnedFd, at: &mut Vec<u8>) -> io::Result<Option<u64>> {
        let (mut subdirs, mut hidden) = (0, false);
        let mut entries = churn::read_all(dir)?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        for pair in entries.windows(2) {
            if pair[0].name == pair[1].name {
                self.broken.push(format!("listed twice: {:?}", Path(pair[0].name.clone())));
            }
        }
        for entry in entries {
            let length = at.len();
            if length > 0 {
                at.push(b'/');
            }
            at.extend_from_slice(&entry.name);
            let name = OsStr::from_bytes(&entry.name);
            match fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::ACCESS) => hidden = true,
                Err(e) => {
                    self.broken.push(format!("listed, but lstat: {e:?}: {:?}", Path(at.clone())));
                }
                Ok(st) => {
                    self.check_entry(&entry, &st, at);
                    subdirs +=
                        u64::from(FileType::from_raw_mode(st.st_mode) == FileType::Directory);
                    self.add(world, dir, name, &st, at)?;
                }
            }
            at.truncate(length);
        }
        self.partial |= hidden;
        Ok((!hidden).then_some(subdirs))
    }

    fn check_entry(&mut self, entry: &churn::Entry, st: &Stat, at: &[u8]) {
        let kind_of = FileType::from_raw_mode(st.st_mode);
        if entry.kind != FileType::Unknown && entry.kind != kind_of {
            let (listed, real) = (kind(entry.kind), kind(kind_of));
            self.broken.push(format!("listed as {listed}, is {real}: {:?}", Path(at.to_vec())));
        }
        if entry.ino != st.st_ino {
            let what = format!("d_ino {} but st_ino {}", entry.ino, st.st_ino);
            self.broken.push(format!("{what}: {:?}", Path(at.to_vec())));
        }
    }

    /// Counts a name of an inode; returns its first one.
    pub fn note(&mut self, ino: u64, nlink: u64, at: &[u8]) -> Path {
        let names = self.names.entry(ino).or_insert((0, Path(at.to_vec()), nlink));
        names.0 += 1;
        names.1.clone()
    }

    fn add(
        &mut self,
        world: &World,
        dir: &OwnedFd,
        name: &OsStr,
        st: &Stat,
        at: &mut Vec<u8>,
    ) -> io::Result<()> {
        let first = self.note(st.st_ino, st.st_nlink, at);
        let mut node = Node {
            attrs: attrs(st, !world.untimed.contains(&st.st_ino)),
            first,
            link: None,
            content: Ok(Content::default()),
            xattrs: read_xattrs(dir, name),
        };
        match FileType::from_raw_mode(st.st_mode) {
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                match fs::openat(dir, name, flags, Mode::empty()) {
                    Ok(below) => {
                        if let Some(subdirs) = self.walk(world, &below, at)?
                            && st.st_nlink != 2 + subdirs
                        {
                            let what = format!("{} links, {subdirs} subdirectories", st.st_nlink);
                            self.broken.push(format!("{what}: {:?}", Path(at.clone())));
                        }
                    }
                    Err(e) => {
                        self.partial = true;
                        node.content = Err(e);
                    }
                }
            }
            FileType::Symlink => {
                let target = fs::readlinkat(dir, name, Vec::new())?.into_bytes();
                if target.len() as u64 != st.st_size as u64 {
                    self.broken.push(format!(
                        "size of link {:?}: {}",
                        Path(at.clone()),
                        st.st_size
                    ));
                }
                node.link = Some(Path(target));
            }
            FileType::RegularFile => node.content = read_content(dir, name, st.st_size as u64),
            _ => {}
        }
        self.nodes.insert(at.clone(), node);
        Ok(())
    }

    /// At rest, and with every directory readable, a file has as many links as names.
    pub fn check_links(&mut self) {
        if self.partial {
            return;
        }
        for node in self.nodes.values() {
            if FileType::from_raw_mode(node.attrs.mode) == FileType::Directory {
                continue;
            }
            let found = self.names.values().find(|(_, first, _)| *first == node.first);
            if let Some((count, first, nlink)) = found
                && count != nlink
            {
                let what = format!("{first:?} has {count} names and {nlink} links");
                if !self.broken.contains(&what) {
                    self.broken.push(what);
                }
            }
        }
    }
}

fn read_xattrs(dir: &OwnedFd, name: &OsStr) -> Result<BTreeMap<String, Vec<u8>>, Errno> {
    let path = std::path::PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name);
    let mut list = vec![0; 8192];
    let n = match fs::llistxattr(&path, &mut list[..]) {
        Err(Errno::OPNOTSUPP) => return Ok(BTreeMap::new()),
        other => other?,
    };
    let mut out = BTreeMap::new();
    for key in list[..n].split(|b| *b == 0).filter(|k| !k.is_empty()) {
        let mut value = vec![0; 8192];
        // Reading needs a permission that listing does not.
        let value = match fs::lgetxattr(&path, OsStr::from_bytes(key), &mut value[..]) {
            Ok(n) => value[..n].to_vec(),
            Err(e) => format!("{e:?}").into_bytes(),
        };
        out.insert(String::from_utf8_lossy(key).into_owned(), value);
    }
    Ok(out)
}

fn read_content(dir: &OwnedFd, name: &OsStr, size: u64) -> Result<Content, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = fs::openat(dir, name, flags, Mode::empty())?;
    let read = |at, buf: &mut [u8]| io::pread(fd.as_fd(), buf, at);
    let mut content = Content::default();
    if size <= READ_WHOLE {
        let end = content.read(read, 0, u64::MAX)?;
        content.note_end(end, size);
        return Ok(content);
    }
    // What a mapping has dirtied in the page cache is no data to SEEK_DATA before it is written.
    fs::fdatasync(&fd)?;
    content.read_sparse(read, |at, data| {
        fs::seek(&fd, if data { SeekFrom::Data(at) } else { SeekFrom::Hole(at) })
    })?;
    Ok(content)
}

impl Node {
    fn keys(&self) -> Result<Vec<&String>, Errno> {
        self.xattrs.as_ref().map(|x| x.keys().collect()).map_err(|e| *e)
    }
}

impl Content {
    /// What was read ends at `end`; it must be the file's size.
    pub fn note_end(&mut self, end: u64, size: u64) {
        if end != size {
            self.0.push((u64::MAX, end));
        }
    }

    /// Adds the blocks of every piece of data that `seek` finds (`true`: data, `false`: a hole).
    pub fn read_sparse(
        &mut self,
        read: impl Fn(u64, &mut [u8]) -> io::Result<usize>,
        seek: impl Fn(u64, bool) -> io::Result<u64>,
    ) -> io::Result<()> {
        let mut at = 0;
        loop {
            let data = match seek(at, true) {
                Ok(data) => data - data % BLOCK as u64,
                Err(Errno::NXIO) => return Ok(()),
                Err(e) => return Err(e),
            };
            let hole = seek(data.max(at), false)?;
            at = self.read(&read, data, hole)?.max(hole);
        }
    }

    /// Adds the blocks of `from..to`, and returns where the file ended, or `to`.
    pub fn read(
        &mut self,
        read: impl Fn(u64, &mut [u8]) -> io::Result<usize>,
        from: u64,
        to: u64,
    ) -> Result<u64, Errno> {
        let mut buf = vec![0; 64 * BLOCK];
        let mut at = from;
        while at < to {
            let mut n = 0;
            while n < buf.len() {
                match read(at + n as u64, &mut buf[n..])? {
                    0 => break,
                    some => n += some,
                }
            }
            for (i, block) in buf[..n].chunks(BLOCK).enumerate() {
                let index = at / BLOCK as u64 + i as u64;
                let known = self.0.last().is_some_and(|(last, _)| *last >= index);
                if !known && block.iter().any(|b| *b != 0) {
                    let mut hash = DefaultHasher::new();
                    // Zeros at the end are as good as a hole: only the bytes before them count.
                    let len = block.iter().rposition(|b| *b != 0).map_or(0, |p| p + 1);
                    hash.write(&block[..len]);
                    self.0.push((index, hash.finish()));
                }
            }
            at += n as u64;
            if n < buf.len() {
                return Ok(at);
            }
        }
        Ok(at)
    }

    fn difference(&self, other: &Content) -> String {
        let mut pairs = self.0.iter().zip(&other.0);
        let at = pairs.position(|(a, b)| a != b).unwrap_or(self.0.len().min(other.0.len()));
        let at = [self.0.get(at), other.0.get(at)].into_iter().flatten().map(|b| b.0).min();
        format!("content differs from block {at:?} of {BLOCK} bytes on")
    }
}

/// What differs, at most ten lines.
pub fn compare(a: &Tree, b: &Tree) -> Vec<String> {
    let mut out = Vec::new();
    out.extend(a.broken.iter().map(|what| format!("A alone: {what}")));
    out.extend(b.broken.iter().map(|what| format!("B alone: {what}")));
    for (path, node) in &a.nodes {
        let name = Path(path.clone());
        match b.nodes.get(path) {
            None => out.push(format!("{name:?} is missing in B")),
            Some(other) if node != other => out.push(format!("{name:?}: {}", explain(node, other))),
            Some(_) => {}
        }
    }
    for path in b.nodes.keys().filter(|p| !a.nodes.contains_key(*p)) {
        out.push(format!("{:?} is only in B", Path(path.clone())));
    }
    out.truncate(10);
    out
}

fn explain(a: &Node, b: &Node) -> String {
    if a.attrs != b.attrs {
        return format!("A {:?}, B {:?}", a.attrs, b.attrs);
    }
    if a.first != b.first {
        return format!("linked with {:?} in A, {:?} in B", a.first, b.first);
    }
    if a.link != b.link {
        return format!("leads to {:?} in A, {:?} in B", a.link, b.link);
    }
    if a.xattrs != b.xattrs {
        return format!("attributes A {:?}, B {:?} (or their values)", a.keys(), b.keys());
    }
    match (&a.content, &b.content) {
        (Ok(x), Ok(y)) => x.difference(y),
        (x, y) => format!("opens as {:?} in A, {:?} in B", x.as_ref().err(), y.as_ref().err()),
    }
}

/// Empties a directory whatever its modes are.
pub fn wipe(dir: &OwnedFd) -> io::Result<()> {
    for entry in churn::read_all(dir)? {
        let name = OsStr::from_bytes(&entry.name);
        let st = fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(st.st_mode) != FileType::Directory {
            fs::unlinkat(dir, name, AtFlags::empty())?;
            continue;
        }
        fs::chmodat(dir, name, Mode::from_raw_mode(0o700), AtFlags::empty())?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        wipe(&fs::openat(dir, name, flags, Mode::empty())?)?;
        fs::unlinkat(dir, name, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}
