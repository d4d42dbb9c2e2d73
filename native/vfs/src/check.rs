//! Whether the parts of a tree fit together: what only shows when all of it is at hand.
//!
//! Pages and imported records are checked one by one as they are decoded; here come link
//! counts, parents, entries without inodes, cycles and lengths. The engine relies on all of it
//! and asserts none of it again.

use crate::attr::{MAX_FILE_SIZE, PAGE_SIZE, S_IFDIR, S_IFLNK};
use crate::chunk::CHUNK_SIZE;
use crate::codec::Corrupt;
use crate::content::Content;
use crate::dir::Dir;
use crate::ids::Ino;
use crate::inode::{Body, Inode};
use crate::tree::Root;

/// The name that the root keeps for the control directory.
const CONTROL_NAME: &[u8] = b".devdev";

struct Record {
    ino: Ino,
    parent: Ino,
    kind: u32,
    nlink: u32,
    /// Names found.
    names: u64,
    /// Subdirectories found.
    subdirs: u64,
    /// Known to lead up to a root.
    rooted: bool,
}

/// What a tree amounts to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Totals {
    pub(crate) bytes: u64,
    pub(crate) inodes: u64,
}

/// Checks a whole tree and adds it up.
pub(crate) fn check(root: &Root, next_ino: Ino) -> Result<Totals, Corrupt> {
    let mut records = Vec::new();
    let (mut bytes, mut flaw) = (0u64, None);
    root.for_each_leaf(|_, leaf| {
        for inode in &leaf.data.read().inodes {
            bytes = bytes.saturating_add(inode.pages.saturating_mul(PAGE_SIZE));
            flaw = flaw.or(check_inode(inode, next_ino).err());
            let Inode { ino, parent, nlink, .. } = *inode;
            let kind = inode.kind();
            records.push(Record { ino, parent, kind, nlink, names: 0, subdirs: 0, rooted: false });
        }
    });
    if let Some(flaw) = flaw {
        return Err(flaw);
    }
    for ino in [Ino::ROOT, Ino::HOME] {
        let at = find(&records, ino).ok_or(Corrupt::whole("a root directory is missing"))?;
        ensure(records[at].kind == S_IFDIR, "a root is no directory")?;
        records[at].rooted = true;
    }
    root.for_each_leaf(|_, leaf| {
        for inode in &leaf.data.read().inodes {
            if let Body::Dir(dir) = &inode.body {
                flaw = flaw.or(count_names(&mut records, inode.ino, dir).err());
            }
        }
    });
    flaw.map_or(Ok(()), Err)?;
    records.iter().try_for_each(check_links)?;
    check_rooted(&mut records)?;
    Ok(Totals { bytes, inodes: records.len() as u64 })
}

/// Looks for the root directories, in a tree that was checked when it was written and whose new
/// inodes have been looked at.
pub(crate) fn check_roots(root: &Root) -> Result<(), Corrupt> {
    for ino in [Ino::ROOT, Ino::HOME] {
        let is_dir = root.get(ino, Inode::is_dir);
        ensure(is_dir == Some(true), "a root directory is missing")?;
    }
    Ok(())
}

fn ensure(ok: bool, reason: &'static str) -> Result<(), Corrupt> {
    if ok { Ok(()) } else { Err(Corrupt::whole(reason)) }
}

fn find(records: &[Record], ino: Ino) -> Option<usize> {
    records.binary_search_by_key(&ino, |r| r.ino).ok()
}

fn is_root(ino: Ino) -> bool {
    ino == Ino::ROOT || ino == Ino::HOME
}

/// Whether what an inode says of itself fits together.
pub(crate) fn check_inode(inode: &Inode, next_ino: Ino) -> Result<(), Corrupt> {
    let in_range = inode.ino >= Ino::FIRST && inode.ino < next_ino;
    ensure(in_range || is_root(inode.ino), "an inode number was never given out")?;
    match &inode.body {
        Body::File(content) => {
            ensure(inode.size <= MAX_FILE_SIZE, "a file is too large")?;
            let pages: u64 = content.chunks().map(|(_, chunk)| chunk.data_pages()).sum();
            ensure(pages == inode.pages, "a file's allocation is wrong")?;
            check_end(content)
        }
        Body::Symlink(target) => {
            ensure(inode.kind() == S_IFLNK, "a body is not of its inode's type")?;
            ensure(inode.size == target.len() as u64, "a symlink's size is wrong")
        }
        Body::Dir(dir) => {
            let mut ends = dir.pages().iter().map(|(first, page)| {
                let last = page.entries().last().map_or(*first, |e| e.cookie);
                (*first, last)
            });
            let mut last = 0;
            let in_order = ends.all(|(first, end)| std::mem::replace(&mut last, end) < first);
            ensure(in_order, "a directory's pages are out of order")
        }
        Body::Special => ensure(inode.kind() != S_IFLNK, "a symlink has no target"),
    }
}

// Space may be allocated behind the end of a file, but not behind that of the longest file.
fn check_end(content: &Content) -> Result<(), Corrupt> {
    let Some((index, chunk)) = content.last_chunk() else { return Ok(()) };
    let end = u128::from(index) * u128::from(CHUNK_SIZE) + chunk.len() as u128;
    ensure(end <= u128::from(MAX_FILE_SIZE), "a chunk lies behind the longest file")
}

fn count_names(records: &mut [Record], ino: Ino, dir: &Dir) -> Result<(), Corrupt> {
    let mut subdirs = 0;
    for entry in dir.entries() {
        let reserved = ino == Ino::ROOT && entry.name == CONTROL_NAME;
        ensure(!reserved, "the root has an entry with a reserved name")?;
        let at = find(records, entry.ino).ok_or(Corrupt::whole("a name leads nowhere"))?;
        let target = &mut records[at];
        ensure(target.kind == entry.kind, "an entry's type is not its inode's")?;
        ensure(!is_root(target.ino), "a root directory has a name")?;
        target.names += 1;
        if target.kind == S_IFDIR {
            ensure(target.parent == ino, "a directory's parent is wrong")?;
            subdirs += 1;
        }
    }
    if let Some(at) = find(records, ino) {
        records[at].subdirs = subdirs;
    }
    Ok(())
}

fn check_links(record: &Record) -> Result<(), Corrupt> {
    if record.kind != S_IFDIR {
        ensure(record.names > 0, "an inode has no name")?;
        return ensure(u64::from(record.nlink) == record.names, "a link count is wrong");
    }
    let names = u64::from(!is_root(record.ino));
    ensure(record.names == names, "a directory has no name, or more than one")?;
    ensure(u64::from(record.nlink) == record.subdirs + 2, "a directory's link count is wrong")
}

// Every directory has one name in its parent by now, so what does not lead up to a root goes
// round in a circle.
fn check_rooted(records: &mut [Record]) -> Result<(), Corrupt> {
    let mut path = Vec::new();
    for start in 0..records.len() {
        let mut at = start;
        while records[at].kind == S_IFDIR && !records[at].rooted {
            ensure(path.len() <= records.len(), "directories contain each other")?;
            path.push(at);
            let up = find(records, records[at].parent);
            at = up.ok_or(Corrupt::whole("a directory's parent is missing"))?;
        }
        path.drain(..).for_each(|at| records[at].rooted = true);
    }
    Ok(())
}
