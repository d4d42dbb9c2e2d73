//! Checks of everything that must hold between operations: for tests of this and other crates.

use std::collections::HashMap;

use crate::attr::{PAGE_SIZE, S_IFDIR, S_IFMT};
use crate::chunk::{CHUNK_SIZE, Chunk, full_pages};
use crate::ids::{Attachment, Ino};
use crate::inode::{Body, Inode};
use crate::usage::Tally;
use crate::vfs::{Area, Vfs};

/// What is wrong.
type Flaw = String;

#[derive(Default)]
struct Names {
    count: u32,
    parent: Option<Ino>,
}

fn ensure(ok: bool, flaw: impl FnOnce() -> Flaw) -> Result<(), Flaw> {
    if ok { Ok(()) } else { Err(flaw()) }
}

fn is_base(ino: Ino) -> bool {
    ino == Ino::ROOT || ino == Ino::HOME
}

impl Vfs {
    /// Whether link counts, parents, usage counters and chunk maps agree with each other.
    /// Closes the gate; may be slow.
    pub fn check_invariants(&self) -> Result<(), String> {
        let _closed = self.gate.close();
        let live = check_area(&self.live)?;
        let tmp = check_area(&self.tmp)?;
        let mut unnamed = Vec::new();
        self.holds.for_each_orphan(|node, inode| unnamed.push((node, inode.clone())));
        for (node, inode) in &unnamed {
            check_orphan(inode)?;
            let area = self.area(node.attachment()).ok_or("an orphan of no tree")?;
            let obsolete = area.tree.get(inode.ino, |_| ()).is_some();
            ensure(!obsolete, || format!("{node:?} is in the tree and an orphan"))?;
        }
        let pages = unnamed.iter().map(|(_, inode)| inode.pages).sum();
        let orphans = (pages, unnamed.len() as u64);
        agree("orphans", orphans, &self.orphans)?;
        let held = (live.0 + tmp.0 + orphans.0, live.1 + tmp.1 + orphans.1);
        let counted = (self.quota.pages(), self.quota.inodes());
        ensure(held == counted, || format!("the quota counts {counted:?}, there are {held:?}"))
    }
}

fn agree(what: &str, found: (u64, u64), tally: &Tally) -> Result<(), Flaw> {
    let counted = (tally.pages(), tally.inodes());
    ensure(found == counted, || format!("{what}: {counted:?} counted, {found:?} found"))
}

fn check_orphan(inode: &Inode) -> Result<(), Flaw> {
    let ino = inode.ino;
    ensure(inode.nlink == 0, || format!("orphan {ino:?} has {} links", inode.nlink))?;
    if let Body::Dir(entries) = &inode.body {
        ensure(entries.is_empty(), || format!("removed directory {ino:?} has entries"))?;
    }
    check_body(inode)
}

// Returns its pages and inodes.
fn check_area(area: &Area) -> Result<(u64, u64), Flaw> {
    let mut inodes = HashMap::new();
    area.tree.root().for_each_leaf(|_, leaf| {
        for inode in &leaf.read().inodes {
            inodes.insert(inode.ino, inode.clone());
        }
    });
    let mut names: HashMap<Ino, Names> = HashMap::new();
    for inode in inodes.values() {
        let Body::Dir(entries) = &inode.body else { continue };
        let mut listed = 0;
        for entry in entries.entries() {
            listed += 1;
            let target = inodes.get(&entry.ino).ok_or_else(|| {
                format!("{:?} in {:?} leads nowhere", entry.name.escape_ascii(), inode.ino)
            })?;
            let agrees = target.mode & S_IFMT == entry.kind;
            ensure(agrees, || format!("{:?}: its entry is of another type", entry.ino))?;
            let known = names.entry(entry.ino).or_default();
            known.count += 1;
            known.parent = Some(inode.ino);
        }
        ensure(listed == entries.len(), || format!("{:?}: {listed} entries", inode.ino))?;
    }
    for inode in inodes.values() {
        check_links(inode, names.get(&inode.ino), &inodes)?;
        check_body(inode)?;
    }
    let found = (inodes.values().map(|inode| inode.pages).sum(), inodes.len() as u64);
    let what = if area.attachment == Attachment::LIVE { "live tree" } else { "tmp" };
    agree(what, found, &area.tally)?;
    Ok(found)
}

fn check_links(
    inode: &Inode,
    names: Option<&Names>,
    inodes: &HashMap<Ino, Inode>,
) -> Result<(), Flaw> {
    let (ino, nlink) = (inode.ino, inode.nlink);
    let count = names.map_or(0, |names| names.count);
    if !inode.is_dir() {
        return ensure(nlink == count && count > 0, || {
            format!("{ino:?} has {count} names and link count {nlink}")
        });
    }
    ensure(count == u32::from(!is_base(ino)), || format!("directory {ino:?}: {count} names"))?;
    let Body::Dir(entries) = &inode.body else { return Err(format!("{ino:?} is no directory")) };
    let below = entries.entries().filter(|entry| entry.kind == S_IFDIR).count() as u32;
    ensure(nlink == 2 + below, || format!("directory {ino:?}: {below} below, {nlink} links"))?;
    if let Some(parent) = names.and_then(|names| names.parent) {
        ensure(inode.parent == parent, || format!("{ino:?} is in {parent:?}, not its parent"))?;
    }
    let mut at = inode;
    for _ in 0..=inodes.len() {
        if is_base(at.ino) {
            return Ok(());
        }
        at = inodes.get(&at.parent).ok_or_else(|| format!("{ino:?}: no way to the root"))?;
    }
    Err(format!("{ino:?} is in a circle"))
}

fn check_body(inode: &Inode) -> Result<(), Flaw> {
    let ino = inode.ino;
    let Body::File(content) = &inode.body else {
        return ensure(inode.pages == 0, || format!("{ino:?} has pages but is no file"));
    };
    let mut pages = 0;
    for (index, chunk) in content.chunks() {
        pages += chunk.data_pages();
        let past = inode.size.saturating_sub(index * CHUNK_SIZE).min(CHUNK_SIZE) as usize;
        check_chunk(chunk, past).map_err(|flaw| format!("{ino:?}, chunk {index}: {flaw}"))?;
    }
    ensure(pages == inode.pages, || format!("{ino:?}: {} pages, {pages} found", inode.pages))
}

// `past`: where the file ends within the chunk.
fn check_chunk(chunk: &Chunk, past: usize) -> Result<(), Flaw> {
    let present = chunk.present();
    ensure(present != 0, || "an empty chunk".into())?;
    ensure(present & !full_pages(chunk.len()) == 0, || "pages behind its end".into())?;
    let Some(bytes) = chunk.bytes() else { return Ok(()) };
    ensure(bytes.len() == chunk.len(), || "its length is not that of its bytes".into())?;
    let is_zero = |bytes: &[u8]| bytes.iter().all(|b| *b == 0);
    for (page, bytes) in bytes.chunks(PAGE_SIZE as usize).enumerate() {
        ensure(present >> page & 1 == 1 || is_zero(bytes), || "bytes in a hole".into())?;
    }
    ensure(is_zero(&bytes[past.min(bytes.len())..]), || "bytes behind the end of the file".into())
}
