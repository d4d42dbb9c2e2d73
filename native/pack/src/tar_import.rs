//! Reads a tar archive (v7, ustar, GNU, pax; plain or compressed) into a fresh tree. Nothing is
//! kept unless all of it is right.
//!
//! The archive may come from anybody. It is unpacked into the tree in memory and nowhere else: a
//! name that leads out of it is refused, and no symlink is ever followed. Content and inodes count
//! against the limits as they will in the workspace, so nothing that unpacks to more gets far.
//!
//! The `tar` crate knows where the fields of a header are. Its reader knows only the oldest of the
//! three forms of sparse files, and would hand their maps on as content.

use std::io::Read;
use std::sync::Arc;

use devdev_vfs::codec::Corrupt;
use devdev_vfs::record::{XATTR_NAME_MAX, XATTR_VALUE_MAX, in_namespace};
use devdev_vfs::{
    Body, Ino, Inode, Limits, MAX_FILE_SIZE, PAGE_SIZE, PATH_MAX, S_IFBLK, S_IFCHR, S_IFDIR,
    S_IFIFO, S_IFLNK, S_IFREG, Timespec, Tree, Xattrs,
};
use tar::{GnuExtSparseHeader, Header};

use crate::import::ImportOptions;
use crate::source::{ImportError, ImportErrorKind, Result, Source};
use crate::tar_nodes::{Filler, Nodes, names_of};
use crate::tar_pax::{Pax, XATTR, decimal, field, xattr_name};
use crate::unpacked::unpacked;

const BLOCK: usize = 512;
/// The most that extended headers say of one entry, and the longest name; smaller than the longest
/// record of an inode.
const META_MAX: u64 = 900 << 10;
/// The most that global headers say of all entries: every one of them looks at it.
const GLOBAL_MAX: u64 = 64 << 10;
/// Entries that replace each other leave nothing behind, so that no limit ends them. What is read
/// in all is no more than so many times what the limits allow, and this.
const READ_TIMES: u64 = 4;
const READ_LEAST: u64 = 64 << 20;
/// How much is read at once of a file.
const PIECE: u64 = 64 << 10;

/// Reads an archive to its end; `now` is the time of what it says no time of. Returns how many
/// device nodes were left out: with an owner given, the importer is not root and may make none.
pub fn import_tar(
    source: &mut dyn Read,
    options: ImportOptions,
    now: Timespec,
) -> Result<(Arc<Tree>, u64)> {
    let what = "archive";
    let failed = |error| ImportError { position: 0, kind: ImportErrorKind::Io(error), what };
    let mut read = unpacked(source).map_err(failed)?;
    let source = Source::new(&mut *read, what);
    let limits = options.limits;
    let mut import = Import {
        source,
        options,
        nodes: Nodes::new(options.owner.unwrap_or_default(), now),
        global: Pax::default(),
        global_bytes: 0,
        budget: limits.bytes.saturating_add(limits.inodes.saturating_mul(1024)),
        skipped: 0,
    };
    import.entries()?;
    import.drain()?;
    let Import { source, nodes, skipped, .. } = import;
    let tree = nodes.finish().map_err(|reason| source.corrupt(reason))?;
    Ok((tree, skipped))
}

const LONG_META: &str = "an extended header is too long";

struct Import<'a> {
    source: Source<'a>,
    options: ImportOptions,
    nodes: Nodes,
    /// Records for all entries to come.
    global: Pax,
    /// Bytes of it.
    global_bytes: u64,
    /// Bytes left for what neither limit counts.
    budget: u64,
    skipped: u64,
}

/// What comes before an entry's own header.
#[derive(Default)]
struct Before {
    pax: Pax,
    /// Bytes of extended headers.
    bytes: u64,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

/// One entry, all its headers taken together.
struct Entry {
    name: Vec<u8>,
    link: Vec<u8>,
    /// Bytes that follow.
    stored: u64,
    inode: Inode,
    pax: Pax,
}

impl Import<'_> {
    fn flawed<T>(&self, result: std::result::Result<T, Corrupt>) -> Result<T> {
        result.map_err(|flaw| self.source.corrupt(flaw.reason))
    }

    fn placed<T>(&self, result: std::result::Result<T, &'static str>) -> Result<T> {
        result.map_err(|reason| self.source.corrupt(reason))
    }

    fn spend(&mut self, bytes: u64) -> Result<()> {
        let left = self.budget.checked_sub(bytes);
        self.source.limit(left.is_some(), "names and attributes take more than is allowed")?;
        self.budget = left.unwrap_or(0);
        Ok(())
    }

    fn entries(&mut self) -> Result<()> {
        let mut before = Before::default();
        let mut first = true;
        while let Some(header) = self.header(first)? {
            first = false;
            self.spend(64)?;
            let size = self.number(&header.as_old().size, MAX_FILE_SIZE)?;
            match header.entry_type().as_byte() {
                b'x' | b'X' => {
                    before.bytes = before.bytes.saturating_add(size);
                    self.source.limit(before.bytes <= META_MAX, LONG_META)?;
                    let records = self.meta(size)?;
                    let parsed = before.pax.parse(&records);
                    self.flawed(parsed)?;
                }
                b'g' => {
                    self.global_bytes = self.global_bytes.saturating_add(size);
                    self.source.limit(self.global_bytes <= GLOBAL_MAX, LONG_META)?;
                    let records = self.meta(size)?;
                    let parsed = self.global.parse(&records);
                    self.flawed(parsed)?;
                }
                b'L' => before.name = Some(self.long_name(size)?),
                b'K' => before.link = Some(self.long_name(size)?),
                b'V' => self.skip(size)?,
                kind => {
                    let entry = self.entry(&header, std::mem::take(&mut before), size)?;
                    self.take(kind, entry, &header)?;
                }
            }
        }
        Ok(())
    }

    // The next header; none where the archive ends.
    fn header(&mut self, first: bool) -> Result<Option<Header>> {
        self.source.mark();
        let Limits { bytes, inodes } = self.options.limits;
        let allowed = bytes.saturating_add(inodes.saturating_mul(1024));
        let most = allowed.saturating_mul(READ_TIMES).saturating_add(READ_LEAST);
        self.source.limit(self.source.here() <= most, "it unpacks to far more than is allowed")?;
        let block = match self.source.take(BLOCK) {
            Err(error) if first && matches!(error.kind, ImportErrorKind::Truncated) => {
                return Err(self.source.error(ImportErrorKind::NotAnArchive));
            }
            block => block?,
        };
        if block.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block).clone();
        let bytes = |range: &[u8]| range.iter().map(|b| i64::from(*b)).sum::<i64>();
        let signed = |range: &[u8]| range.iter().map(|b| i64::from(*b as i8)).sum::<i64>();
        let blanks = 8 * i64::from(b' ');
        let said = field(&block[148..156]);
        let right = [
            bytes(&block[..148]) + blanks + bytes(&block[156..]),
            signed(&block[..148]) + blanks + signed(&block[156..]),
        ];
        if said.is_some_and(|said| right.contains(&said)) {
            return Ok(Some(header));
        }
        let damaged = ImportErrorKind::Corrupt("the checksum of a header is wrong");
        let kind = if first { ImportErrorKind::NotAnArchive } else { damaged };
        Err(self.source.error(kind))
    }

    fn number(&self, bytes: &[u8], max: u64) -> Result<u64> {
        let number = field(bytes).and_then(|n| u64::try_from(n).ok()).filter(|n| *n <= max);
        number.ok_or_else(|| self.source.corrupt("a number of a header makes no sense"))
    }

    // The content of an entry that describes others.
    fn meta(&mut self, size: u64) -> Result<Vec<u8>> {
        self.source.limit(size <= META_MAX, LONG_META)?;
        self.spend(2 * size)?;
        let bytes = self.source.take(size as usize)?;
        self.padding(size)?;
        Ok(bytes)
    }

    fn long_name(&mut self, size: u64) -> Result<Vec<u8>> {
        let mut name = self.meta(size)?;
        let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
        name.truncate(end);
        Ok(name)
    }

    fn padding(&mut self, size: u64) -> Result<()> {
        let over = size as usize % BLOCK;
        if over > 0 {
            self.source.take(BLOCK - over)?;
        }
        Ok(())
    }

    fn skip(&mut self, size: u64) -> Result<()> {
        self.spend(size)?;
        let mut left = size;
        while left > 0 {
            let n = left.min(PIECE);
            self.source.take(n as usize)?;
            left -= n;
        }
        self.padding(size)
    }

    fn entry(&mut self, header: &Header, before: Before, size: u64) -> Result<Entry> {
        let old = header.as_old();
        let mut pax = self.global.clone();
        pax.0.extend(before.pax.0);
        let text = |key: &[u8]| pax.get(key).map(<[u8]>::to_vec);
        let name = text(b"GNU.sparse.name").or_else(|| text(b"path")).or(before.name);
        let link = text(b"linkpath").or(before.link);
        let own_link = || header.link_name_bytes().map(|link| link.to_vec()).unwrap_or_default();
        let id = |key: &[u8], own: &[u8]| match self.flawed(pax.number(key))? {
            Some(id) if id < u64::from(u32::MAX) => Ok(id as u32),
            Some(_) => Err(self.source.corrupt("an owner's number is too large")),
            None => Ok(self.number(own, u64::from(u32::MAX) - 1)? as u32),
        };
        let owner = (id(b"uid", &old.uid)?, id(b"gid", &old.gid)?);
        let (uid, gid) = self.options.owner.unwrap_or(owner);
        let mode = self.number(&old.mode, u64::from(u32::MAX))? as u32 & 0o7777;
        let secs = field(&old.mtime);
        let own = secs.map(|secs| Timespec { secs, nanos: 0 });
        let mtime = self.flawed(pax.time(b"mtime"))?.or(own);
        let mtime = mtime.ok_or_else(|| self.source.corrupt("a time makes no sense"))?;
        let mut inode = Inode::new(Ino(0), mode, uid, gid, Ino(0), mtime);
        inode.atime = self.flawed(pax.time(b"atime"))?.unwrap_or(mtime);
        inode.ctime = self.flawed(pax.time(b"ctime"))?.unwrap_or(mtime);
        inode.xattrs = self.xattrs(&pax)?;
        let stored = self.flawed(pax.number(b"size"))?.unwrap_or(size);
        self.source.check(stored <= MAX_FILE_SIZE, "a file is too long")?;
        let name = name.unwrap_or_else(|| header.path_bytes().to_vec());
        self.spend((name.len() + link.as_ref().map_or(0, Vec::len)) as u64)?;
        Ok(Entry { name, link: link.unwrap_or_else(own_link), stored, inode, pax })
    }

    fn xattrs(&mut self, pax: &Pax) -> Result<Option<Arc<Xattrs>>> {
        let mut all = Xattrs::new();
        for (key, value) in &pax.0 {
            let Some(name) = key.strip_prefix(XATTR).map(xattr_name) else { continue };
            // Others, such as lists of access rights, are nothing that a workspace has.
            if !in_namespace(&name) || name.contains(&0) {
                continue;
            }
            let fits = name.len() <= XATTR_NAME_MAX && value.len() <= XATTR_VALUE_MAX;
            self.source.check(fits, "an extended attribute is too long")?;
            // Those of a global header are another copy for each entry.
            self.spend((name.len() + value.len() + 64) as u64)?;
            all.insert(name.into(), value.as_slice().into());
        }
        Ok((!all.is_empty()).then(|| Arc::new(all)))
    }

    fn take(&mut self, kind: u8, entry: Entry, header: &Header) -> Result<()> {
        let Entry { name, link, stored, mut inode, pax } = entry;
        let path = self.placed(names_of(&name))?;
        let slashed = name.last() == Some(&b'/');
        let room =
            path.len() as u64 <= self.options.limits.inodes.saturating_sub(self.nodes.inodes);
        self.source.limit(room, "it has more inodes than are allowed")?;
        let mut size = stored;
        match kind {
            b'0' | 0 | b'7' | b'S' if !slashed => {
                let map = self.sparse(kind, &pax, header, &mut size)?;
                inode.mode |= S_IFREG;
                self.content(&mut inode, size, map)?;
                self.padding(stored)?;
                size = 0;
            }
            b'0' | 0 | b'5' | b'D' => {
                inode.mode |= S_IFDIR;
                inode.body = Inode::new(Ino(0), S_IFDIR, 0, 0, Ino(0), inode.mtime).body;
            }
            b'1' => {
                let target = self.placed(names_of(&link))?;
                let linked = self.nodes.link(&path, &target);
                return self.placed(linked);
            }
            b'2' => {
                let fits = !link.is_empty() && link.len() <= PATH_MAX && !link.contains(&0);
                self.source.check(fits, "a symlink's target is empty or too long")?;
                inode.mode = S_IFLNK | 0o777;
                inode.body = Body::Symlink(link.into());
            }
            b'3' | b'4' if self.options.owner.is_some() => {
                self.skipped += 1;
                return self.skip(size);
            }
            b'3' | b'4' => {
                inode.mode |= if kind == b'3' { S_IFCHR } else { S_IFBLK };
                inode.rdev = self.device(header)?;
            }
            b'6' => inode.mode |= S_IFIFO,
            _ => return Err(self.source.corrupt("an entry is of no known kind")),
        }
        self.skip(size)?;
        let put = self.nodes.put(&path, inode);
        self.placed(put)
    }

    fn device(&self, header: &Header) -> Result<u32> {
        let bytes = header.as_bytes();
        let major = self.number(&bytes[329..337], 0xfff)? as u32;
        let minor = self.number(&bytes[337..345], 0xfffff)? as u32;
        Ok(minor & 0xff | major << 8 | (minor & 0xfff00) << 12)
    }

    // Where the data of a file lies, if it is sparse; `size` becomes that of the whole file.
    fn sparse(
        &mut self,
        kind: u8,
        pax: &Pax,
        header: &Header,
        size: &mut u64,
    ) -> Result<Vec<(u64, u64)>> {
        let stored = *size;
        let modern = pax.get(b"GNU.sparse.major") == Some(b"1");
        let mut map = Vec::new();
        let data = if kind == b'S' {
            *size = self.old_map(header, &mut map)?;
            stored
        } else if modern {
            let taken = self.map_in_front(&mut map, stored)?;
            *size = self.flawed(pax.number(b"GNU.sparse.realsize"))?.unwrap_or(0);
            stored - taken
        } else if let Some(real) = self.flawed(pax.number(b"GNU.sparse.size"))? {
            self.map_in_header(pax, &mut map)?;
            *size = real;
            stored
        } else {
            return Ok(vec![(0, stored)]);
        };
        self.source.check(*size <= MAX_FILE_SIZE, "a file is too long")?;
        let mut end = 0;
        let in_order = map.iter().all(|(offset, len): &(u64, u64)| {
            let fits = *offset >= end && offset.checked_add(*len).is_some_and(|to| to <= *size);
            end = offset.saturating_add(*len);
            fits
        });
        self.source.check(in_order, "the map of a sparse file is out of order")?;
        let sum: u64 = map.iter().map(|(_, len)| len).sum();
        self.source.check(sum == data, "the map of a sparse file does not fit its data")?;
        Ok(map)
    }

    fn old_map(&mut self, header: &Header, map: &mut Vec<(u64, u64)>) -> Result<u64> {
        let gnu = header.as_gnu();
        let gnu = gnu.ok_or_else(|| self.source.corrupt("a sparse file has no map"))?;
        let mut add = |import: &Self, slots: &[tar::GnuSparseHeader]| -> Result<()> {
            for slot in slots.iter().filter(|slot| !slot.is_empty()) {
                let offset = import.number(&slot.offset, MAX_FILE_SIZE)?;
                map.push((offset, import.number(&slot.numbytes, MAX_FILE_SIZE)?));
            }
            Ok(())
        };
        add(self, &gnu.sparse)?;
        let mut more = gnu.isextended[0] == 1;
        while more {
            self.spend(BLOCK as u64)?;
            let mut next = GnuExtSparseHeader::new();
            next.as_mut_bytes().copy_from_slice(&self.source.take(BLOCK)?);
            add(self, &next.sparse)?;
            more = next.isextended[0] == 1;
        }
        self.number(&gnu.realsize, MAX_FILE_SIZE)
    }

    // GNU sparse format 1.0. Returns how many bytes the map took.
    fn map_in_front(&mut self, map: &mut Vec<(u64, u64)>, stored: u64) -> Result<u64> {
        let (mut taken, mut block) = (0, Vec::new().into_iter());
        let mut next = |import: &mut Self| -> Result<u64> {
            let mut digits = Vec::new();
            loop {
                let Some(byte) = block.next() else {
                    import.spend(2 * BLOCK as u64)?;
                    taken += BLOCK as u64;
                    import
                        .source
                        .check(taken <= stored, "the map of a sparse file is cut short")?;
                    block = import.source.take(BLOCK)?.into_iter();
                    continue;
                };
                if byte == b'\n' || digits.len() > 20 {
                    return import.flawed(decimal(&digits));
                }
                digits.push(byte);
            }
        };
        for _ in 0..next(self)? {
            map.push((next(self)?, next(self)?));
        }
        Ok(taken)
    }

    // GNU sparse formats 0.0 (a record for each number) and 0.1 (one for all of them).
    fn map_in_header(&self, pax: &Pax, map: &mut Vec<(u64, u64)>) -> Result<()> {
        let mut numbers = Vec::new();
        if let Some(all) = pax.get(b"GNU.sparse.map") {
            for number in all.split(|b| *b == b',') {
                numbers.push(self.flawed(decimal(number))?);
            }
        } else {
            let pair = [&b"GNU.sparse.offset"[..], b"GNU.sparse.numbytes"];
            for (key, value) in &pax.0 {
                if pair.contains(&key.as_slice()) {
                    let expected = key == pair[numbers.len() % 2];
                    self.source.check(expected, "the map of a sparse file is out of order")?;
                    numbers.push(self.flawed(decimal(value))?);
                }
            }
        }
        self.source.check(numbers.len() % 2 == 0, "the map of a sparse file is cut short")?;
        map.extend(numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])));
        Ok(())
    }

    fn content(&mut self, inode: &mut Inode, size: u64, map: Vec<(u64, u64)>) -> Result<()> {
        let mut filler = Filler::default();
        for (offset, len) in map {
            let mut at = 0;
            while at < len {
                let n = (len - at).min(PIECE);
                filler.write(offset + at, &self.source.take(n as usize)?);
                at += n;
                self.room(filler.pages)?;
            }
            self.spend(std::mem::take(&mut filler.beside))?;
        }
        let (content, pages, beside) = filler.finish();
        self.spend(beside)?;
        self.room(pages)?;
        self.nodes.pages += pages;
        (inode.body, inode.size) = (Body::File(content), size);
        Ok(())
    }

    fn room(&self, pages: u64) -> Result<()> {
        let bytes = (self.nodes.pages + pages).saturating_mul(PAGE_SIZE);
        let fits = bytes <= self.options.limits.bytes;
        self.source.limit(fits, "it holds more bytes than are allowed")
    }

    // What pads the archive, so that the checksum of its compression is looked at too.
    fn drain(&mut self) -> Result<()> {
        loop {
            match self.source.byte() {
                Ok(_) => self.spend(1)?,
                Err(error) if matches!(error.kind, ImportErrorKind::Truncated) => {
                    return if self.source.damaged() { Err(error) } else { Ok(()) };
                }
                Err(error) => return Err(error),
            }
        }
    }
}
