//! Writes a tree as a tar archive: pax, with what GNU tar adds to it (sparse files 1.0, extended
//! attributes as SCHILY.xattr). Names are bytes throughout. The same tree gives the same bytes:
//! nothing but what the content id covers is in them.
//!
//! The `tar` crate lays out headers and their numbers; its own writer knows neither sparse files
//! nor names that are not UTF-8 in extended headers.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use devdev_vfs::{
    Body, Bytes, CHUNK_SIZE, Chunk, Content, Ino, Inode, PAGE_SIZE, S_IFCHR, S_IFIFO, S_IFMT,
    S_IFSOCK, Tree,
};
use tar::{EntryType, Header};

use crate::export::{ExportError, Fetch, block};
use crate::tar_pax::{Pax, time_text, xattr_key};

const BLOCK: usize = 512;
/// Archives end at a multiple of this, as GNU tar has it.
const RECORD: u64 = 20 * 512;
const BUFFER: usize = 256 << 10;
/// What fits into the octal digits of a header.
const MAX_ID: u32 = 0o7777777;
const MAX_OCTAL: u64 = 0o77777777777;

/// Writes `/` of a tree to `sink` piece by piece; home is not part of it. Returns how many names of
/// sockets were left out, for which tar has no entry.
pub fn export_tar(
    tree: &Tree,
    fetch: &Fetch<'_>,
    sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<u64, ExportError> {
    let mut writer = Writer {
        tree,
        fetch,
        sink,
        out: Vec::new(),
        written: 0,
        first: HashMap::new(),
        last: None,
        skipped: 0,
    };
    writer.walk()?;
    writer.finish()?;
    Ok(writer.skipped)
}

struct Writer<'a> {
    tree: &'a Tree,
    fetch: &'a Fetch<'a>,
    sink: &'a mut dyn FnMut(&[u8]) -> io::Result<()>,
    out: Vec<u8>,
    written: u64,
    /// The first name of inodes that have several.
    first: HashMap<Ino, Vec<u8>>,
    /// The chunk that was read last.
    last: Option<(Arc<Chunk>, Bytes)>,
    skipped: u64,
}

type Names = std::vec::IntoIter<(Box<[u8]>, Ino)>;

impl Writer<'_> {
    // With a stack of its own: directories may be nested deeper than a thread's stack allows.
    fn walk(&mut self) -> Result<(), ExportError> {
        self.entry(b".", Ino::ROOT)?;
        let mut stack = vec![(b".".to_vec(), self.names(Ino::ROOT))];
        while let Some((path, names)) = stack.last_mut() {
            let Some((name, ino)) = names.next() else {
                stack.pop();
                continue;
            };
            let path = [path, &b"/"[..], &name].concat();
            if self.entry(&path, ino)? {
                stack.push((path, self.names(ino)));
            }
        }
        Ok(())
    }

    fn names(&self, ino: Ino) -> Names {
        devdev_vfs::names(&self.tree.root, ino).into_iter()
    }

    // True for a directory.
    fn entry(&mut self, path: &[u8], ino: Ino) -> Result<bool, ExportError> {
        let Some(inode) = self.tree.root.get(ino, Inode::clone) else { return Ok(false) };
        if inode.kind() == S_IFSOCK {
            self.skipped += 1;
            return Ok(false);
        }
        if let Some(first) = self.first.get(&ino) {
            let (first, mut pax) = (first.clone(), Pax::default());
            let header = header_of(&inode, path, EntryType::hard_link(), &first, 0, &mut pax);
            self.headers(header, path, &pax)?;
            return Ok(false);
        }
        if inode.nlink > 1 && !inode.is_dir() {
            self.first.insert(ino, path.to_vec());
        }
        let mut pax = Pax::default();
        for (name, value) in inode.xattrs.iter().flat_map(|all| all.iter()) {
            pax.set(&xattr_key(name), value);
        }
        let mut special = |kind| header_of(&inode, path, kind, b"", 0, &mut pax);
        let header = match (&inode.body, inode.mode & S_IFMT) {
            (Body::File(content), _) => {
                let content = content.clone();
                self.file(path, &inode, &content, pax)?;
                return Ok(false);
            }
            (Body::Dir(_), _) => {
                let slashed = [path, b"/"].concat();
                let header = header_of(&inode, &slashed, EntryType::dir(), b"", 0, &mut pax);
                self.headers(header, path, &pax)?;
                return Ok(true);
            }
            (Body::Symlink(to), _) => {
                header_of(&inode, path, EntryType::symlink(), to, 0, &mut pax)
            }
            (Body::Special, S_IFIFO) => special(EntryType::fifo()),
            (Body::Special, S_IFCHR) => special(EntryType::character_special()),
            (Body::Special, _) => special(EntryType::block_special()),
        };
        self.headers(header, path, &pax)?;
        Ok(false)
    }

    fn file(
        &mut self,
        path: &[u8],
        inode: &Inode,
        content: &Content,
        mut pax: Pax,
    ) -> Result<(), ExportError> {
        let extents = extents(content, inode.size);
        let data: u64 = extents.iter().map(|(from, to)| to - from).sum();
        let kind = EntryType::file();
        if data == inode.size {
            let header = header_of(inode, path, kind, b"", data, &mut pax);
            self.headers(header, path, &pax)?;
        } else {
            let map = sparse_map(&extents, inode.size);
            for (key, value) in [("major", "1"), ("minor", "0")] {
                pax.set(format!("GNU.sparse.{key}").as_bytes(), value);
            }
            pax.set(b"GNU.sparse.name", path);
            pax.set(b"GNU.sparse.realsize", inode.size.to_string());
            let stored = map.len() as u64 + data;
            let name = [b"./GNUSparseFile.0/", &base(path)[..base(path).len().min(80)]].concat();
            let header = header_of(inode, &name, kind, b"", stored, &mut pax);
            self.headers(header, path, &pax)?;
            self.put(&map)?;
        }
        for (from, to) in extents {
            self.range(content, from, to)?;
        }
        self.pad()
    }

    fn range(&mut self, content: &Content, from: u64, to: u64) -> Result<(), ExportError> {
        let mut at = from;
        while at < to {
            let (index, start) = (at / CHUNK_SIZE, (at % CHUNK_SIZE) as usize);
            let end = (start as u64 + to - at).min(CHUNK_SIZE) as usize;
            at += (end - start) as u64;
            let bytes = content.get(index).map(|chunk| self.chunk(chunk)).transpose()?;
            let bytes = bytes.as_deref().map_or(&[][..], Vec::as_slice);
            let there = bytes.get(start..end.min(bytes.len())).unwrap_or_default();
            self.put(there)?;
            // What lies behind a chunk's end reads as zero.
            self.put(&vec![0; end - start - there.len()])?;
        }
        Ok(())
    }

    fn chunk(&mut self, chunk: &Arc<Chunk>) -> Result<Bytes, ExportError> {
        if let Some((last, bytes)) = &self.last
            && Arc::ptr_eq(last, chunk)
        {
            return Ok(bytes.clone());
        }
        let bytes = block(chunk, self.fetch)?;
        self.last = Some((chunk.clone(), bytes.clone()));
        Ok(bytes)
    }

    // An entry's header, before it the extended one if it needs one.
    fn headers(&mut self, header: Header, path: &[u8], pax: &Pax) -> Result<(), ExportError> {
        if !pax.0.is_empty() {
            let records = pax.bytes();
            let mut extended = header.clone();
            extended.set_entry_type(EntryType::XHeader);
            let name = [b"./PaxHeaders/", &base(path)[..base(path).len().min(80)]].concat();
            put_name(&mut extended.as_old_mut().name, &name);
            extended.as_old_mut().linkname = [0; 100];
            extended.set_size(records.len() as u64);
            extended.set_mode(0o644);
            extended.set_cksum();
            self.put(extended.as_bytes())?;
            self.put(&records)?;
            self.pad()?;
        }
        self.put(header.as_bytes())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.out.extend_from_slice(bytes);
        self.written += bytes.len() as u64;
        if self.out.len() >= BUFFER {
            (self.sink)(&self.out)?;
            self.out.clear();
        }
        Ok(())
    }

    fn pad(&mut self) -> Result<(), ExportError> {
        let over = (self.written % BLOCK as u64) as usize;
        if over == 0 { Ok(()) } else { self.put(&[0; BLOCK][over..]) }
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        self.put(&[0; 2 * BLOCK])?;
        let rest = self.written.next_multiple_of(RECORD) - self.written;
        self.put(&vec![0; rest as usize])?;
        Ok((self.sink)(&self.out)?)
    }
}

fn base(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or_default()
}

fn put_name(place: &mut [u8; 100], name: &[u8]) {
    *place = [0; 100];
    let len = name.len().min(100);
    place[..len].copy_from_slice(&name[..len]);
}

// A header; what does not fit into it is added to the extended one.
fn header_of(
    inode: &Inode,
    path: &[u8],
    kind: EntryType,
    link: &[u8],
    size: u64,
    pax: &mut Pax,
) -> Header {
    let mut header = Header::new_ustar();
    put_name(&mut header.as_old_mut().name, path);
    put_name(&mut header.as_old_mut().linkname, link);
    for (key, name) in [(&b"path"[..], path), (b"linkpath", link)] {
        if name.len() > 100 {
            pax.set(key, name);
        }
    }
    header.set_entry_type(kind);
    header.set_mode(inode.mode & 0o7777);
    header.set_uid(inode.uid.min(MAX_ID).into());
    header.set_gid(inode.gid.min(MAX_ID).into());
    for (key, id) in [(&b"uid"[..], inode.uid), (b"gid", inode.gid)] {
        if id > MAX_ID {
            pax.set(key, id.to_string());
        }
    }
    header.set_size(size.min(MAX_OCTAL));
    if size > MAX_OCTAL {
        pax.set(b"size", size.to_string());
    }
    let secs = inode.mtime.secs.clamp(0, MAX_OCTAL as i64);
    header.set_mtime(secs as u64);
    if inode.mtime.nanos != 0 || inode.mtime.secs != secs {
        pax.set(b"mtime", time_text(inode.mtime));
    }
    // As the kernel packs them: 12 bits of the major, 20 of the minor number.
    let dev = inode.rdev;
    if let Some(ustar) = header.as_ustar_mut() {
        ustar.set_device_major(dev >> 8 & 0xfff);
        ustar.set_device_minor(dev & 0xff | dev >> 12 & 0xfff00);
    }
    header.set_cksum();
    header
}

/// Where a file has data: ascending, apart from each other, within its size.
fn extents(content: &Content, size: u64) -> Vec<(u64, u64)> {
    let mut extents: Vec<(u64, u64)> = Vec::new();
    for (index, chunk) in content.chunks() {
        let pages = (0..16).filter(|page| chunk.present() >> page & 1 == 1);
        for page in pages {
            let from = index * CHUNK_SIZE + page * PAGE_SIZE;
            let to = (from + PAGE_SIZE).min(size);
            match extents.last_mut() {
                Some(last) if last.1 == from => last.1 = to.max(from),
                _ if from < to => extents.push((from, to)),
                _ => {}
            }
        }
    }
    extents
}

// GNU sparse format 1.0: the map comes before the data, in blocks of its own.
fn sparse_map(extents: &[(u64, u64)], size: u64) -> Vec<u8> {
    let mut pairs: Vec<(u64, u64)> = extents.iter().map(|(from, to)| (*from, to - from)).collect();
    if extents.last().is_none_or(|last| last.1 < size) {
        pairs.push((size, 0));
    }
    let mut map = format!("{}\n", pairs.len());
    pairs.iter().for_each(|(offset, len)| map.push_str(&format!("{offset}\n{len}\n")));
    let mut map = map.into_bytes();
    map.resize(map.len().next_multiple_of(BLOCK), 0);
    map
}
