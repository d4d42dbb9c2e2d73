//! The entries of a directory, ordered by a cookie that is also the readdir position.
//!
//! A cookie is (56 bits of a hash of the name, 7 bits that tell equal hashes apart): it belongs
//! to the name as long as the entry exists, so a position stays valid while other entries come
//! and go, and one structure serves both lookup and listing. Entries live in sorted pages of at
//! most `PAGE_ENTRIES`, pages in a sorted list: after a freeze a change copies one page and the
//! list.

use std::sync::{Arc, OnceLock};

use siphasher::sip::SipHasher13;

use crate::errno::{Errno, Result};
use crate::ids::{Ino, PageId};
use crate::room::Weight;

/// A page is split when it would hold more entries than this.
pub const PAGE_ENTRIES: usize = 128;
const DISCRIMINATORS: u64 = 128;

/// One name of a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dentry<'a> {
    /// Position for readdir: listing goes on with the first cookie above it.
    pub cookie: u64,
    /// The name, 1..=255 bytes without `/` and NUL.
    pub name: &'a [u8],
    /// What it names.
    pub ino: Ino,
    /// File type bits of the mode (`S_IFMT`).
    pub kind: u32,
}

#[derive(Clone, Copy)]
struct Slot {
    cookie: u64,
    /// inode in 40 bits, file type (mode >> 12) above.
    target: u64,
    start: u32,
    len: u8,
}

impl Slot {
    fn new(cookie: u64, ino: Ino, kind: u32, start: u32, len: u8) -> Slot {
        Slot { cookie, target: ino.0 | (u64::from(kind >> 12) << 40), start, len }
    }

    fn ino(&self) -> Ino {
        Ino(self.target & (Ino::LIMIT - 1))
    }

    fn kind(&self) -> u32 {
        ((self.target >> 40) as u32) << 12
    }
}

/// Neighbouring entries of a directory.
#[derive(Default)]
pub struct DirPage {
    /// Where the store keeps this page, once it does.
    pub(crate) page: OnceLock<PageId>,
    slots: Vec<Slot>,
    names: Vec<u8>,
    /// Bytes of `names` that no slot uses any more.
    garbage: u32,
    weight: Weight,
}

impl Clone for DirPage {
    // A copy exists to be changed, so it has no place in the store yet; it is packed on the way.
    fn clone(&self) -> DirPage {
        let mut copy = DirPage { slots: self.slots.clone(), ..DirPage::default() };
        copy.names.reserve_exact(self.names.len() - self.garbage as usize);
        for slot in &mut copy.slots {
            let name = self.name(slot);
            slot.start = copy.names.len() as u32;
            copy.names.extend_from_slice(name);
        }
        copy.weigh();
        copy
    }
}

impl DirPage {
    fn name(&self, slot: &Slot) -> &[u8] {
        &self.names[slot.start as usize..slot.start as usize + usize::from(slot.len)]
    }

    fn dentry(&self, slot: &Slot) -> Dentry<'_> {
        let (cookie, ino, kind) = (slot.cookie, slot.ino(), slot.kind());
        Dentry { cookie, name: self.name(slot), ino, kind }
    }

    /// Entries by ascending cookie.
    pub fn entries(&self) -> impl Iterator<Item = Dentry<'_>> {
        self.slots.iter().map(|slot| self.dentry(slot))
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Appends an entry whose cookie is above all others (building a page in order).
    pub fn push(&mut self, entry: Dentry<'_>) {
        let at = self.slots.len();
        self.insert_at(at, entry);
    }

    fn insert_at(&mut self, at: usize, entry: Dentry<'_>) {
        self.page = OnceLock::new();
        let (start, len) = (self.names.len() as u32, entry.name.len() as u8);
        self.names.extend_from_slice(entry.name);
        self.slots.insert(at, Slot::new(entry.cookie, entry.ino, entry.kind, start, len));
        self.weigh();
    }

    fn weigh(&mut self) {
        let slots = self.slots.capacity() * size_of::<Slot>();
        self.weight.set(size_of::<DirPage>() + slots + self.names.capacity());
    }

    fn remove_at(&mut self, at: usize) {
        self.page = OnceLock::new();
        let slot = self.slots.remove(at);
        self.garbage += u32::from(slot.len);
        if self.garbage as usize > 512 && self.garbage as usize * 2 > self.names.len() {
            *self = self.clone();
        }
    }

    fn split(&mut self) -> DirPage {
        let mut upper = DirPage::default();
        let half = self.slots.len() / 2;
        for slot in &self.slots[half..] {
            upper.push(self.dentry(slot));
        }
        self.slots.truncate(half);
        *self = self.clone();
        upper
    }
}

/// The entries of one directory; cloning shares everything.
#[derive(Clone, Default)]
pub struct Dir {
    len: u64,
    /// (cookie of the first entry, page), ascending; no page is empty.
    pages: Arc<Vec<(u64, Arc<DirPage>)>>,
}

/// The first of the cookies a name can have.
pub fn name_cookie(name: &[u8]) -> u64 {
    let hash = SipHasher13::new().hash(name) >> 8;
    // 0 would collide with the positions of "." and "..".
    hash.max(1) * DISCRIMINATORS
}

impl Dir {
    /// Number of entries.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pages, for storing and comparing.
    pub fn pages(&self) -> &[(u64, Arc<DirPage>)] {
        &self.pages
    }

    /// A directory of pages that are in order (the loader checks them).
    pub fn from_pages(pages: Vec<Arc<DirPage>>) -> Dir {
        let len = pages.iter().map(|p| p.len() as u64).sum();
        let pages = pages.into_iter().filter(|p| !p.is_empty());
        Dir { len, pages: Arc::new(pages.map(|p| (p.slots[0].cookie, p)).collect()) }
    }

    /// Whether both are the same object: then no entry differs.
    pub fn same(&self, other: &Dir) -> bool {
        Arc::ptr_eq(&self.pages, &other.pages)
    }

    /// Entries with a cookie above `after`, ascending.
    pub fn entries_after(&self, after: u64) -> impl Iterator<Item = Dentry<'_>> {
        let first = self.pages.partition_point(|p| p.0 <= after).saturating_sub(1);
        self.pages[first..].iter().flat_map(move |(_, page)| {
            let skip = page.slots.partition_point(|s| s.cookie <= after);
            page.slots[skip..].iter().map(|slot| page.dentry(slot))
        })
    }

    /// Every entry.
    pub fn entries(&self) -> impl Iterator<Item = Dentry<'_>> {
        self.entries_after(0)
    }

    /// The entry of this name.
    pub fn get(&self, name: &[u8]) -> Option<Dentry<'_>> {
        let base = name_cookie(name);
        let mut same_hash = self.entries_after(base - 1);
        same_hash.by_ref().take_while(|d| d.cookie < base + DISCRIMINATORS).find(|d| d.name == name)
    }

    /// Adds an entry. EEXIST when the name is taken; ENOSPC after 128 names of equal hash.
    pub fn insert(&mut self, name: &[u8], ino: Ino, kind: u32) -> Result<()> {
        let base = name_cookie(name);
        let mut cookie = base;
        for entry in self.entries_after(base - 1) {
            if entry.cookie >= base + DISCRIMINATORS {
                break;
            }
            if entry.name == name {
                return Err(Errno::Exist);
            }
            if entry.cookie == cookie {
                cookie += 1;
            }
        }
        if cookie == base + DISCRIMINATORS {
            return Err(Errno::NoSpc);
        }
        let pages = Arc::make_mut(&mut self.pages);
        if pages.is_empty() {
            pages.push((cookie, Arc::new(DirPage::default())));
        }
        let at = pages.partition_point(|p| p.0 <= cookie).saturating_sub(1);
        let page = Arc::make_mut(&mut pages[at].1);
        let slot = page.slots.partition_point(|s| s.cookie < cookie);
        page.insert_at(slot, Dentry { cookie, name, ino, kind });
        let upper = (page.slots.len() > PAGE_ENTRIES).then(|| page.split());
        pages[at].0 = pages[at].1.slots[0].cookie;
        if let Some(upper) = upper {
            pages.insert(at + 1, (upper.slots[0].cookie, Arc::new(upper)));
        }
        self.len += 1;
        Ok(())
    }

    /// Removes an entry; returns what it named.
    pub fn remove(&mut self, name: &[u8]) -> Option<(Ino, u32)> {
        let entry = self.get(name)?;
        let (cookie, ino, kind) = (entry.cookie, entry.ino, entry.kind);
        let pages = Arc::make_mut(&mut self.pages);
        let at = pages.partition_point(|p| p.0 <= cookie).saturating_sub(1);
        let page = Arc::make_mut(&mut pages[at].1);
        let slot = page.slots.binary_search_by_key(&cookie, |s| s.cookie).ok()?;
        page.remove_at(slot);
        if page.is_empty() {
            pages.remove(at);
        } else {
            pages[at].0 = pages[at].1.slots[0].cookie;
            Dir::merge(pages, at);
        }
        self.len -= 1;
        Some((ino, kind))
    }

    /// Lets an existing name mean another inode (rename over, exchange); its cookie stays.
    pub fn replace(&mut self, name: &[u8], ino: Ino, kind: u32) -> Option<(Ino, u32)> {
        let entry = self.get(name)?;
        let (cookie, old) = (entry.cookie, (entry.ino, entry.kind));
        let pages = Arc::make_mut(&mut self.pages);
        let at = pages.partition_point(|p| p.0 <= cookie).saturating_sub(1);
        let page = Arc::make_mut(&mut pages[at].1);
        let slot = page.slots.binary_search_by_key(&cookie, |s| s.cookie).ok()?;
        page.page = OnceLock::new();
        let Slot { start, len, .. } = page.slots[slot];
        page.slots[slot] = Slot::new(cookie, ino, kind, start, len);
        Some(old)
    }

    // Joins a page with its successor when together they are half full at most.
    fn merge(pages: &mut Vec<(u64, Arc<DirPage>)>, at: usize) {
        let Some(next) = pages.get(at + 1) else { return };
        if pages[at].1.len() + next.1.len() > PAGE_ENTRIES / 2 {
            return;
        }
        let (_, next) = pages.remove(at + 1);
        let page = Arc::make_mut(&mut pages[at].1);
        next.entries().for_each(|entry| page.push(entry));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::attr::S_IFREG;

    #[test]
    fn grows_and_shrinks_like_a_map() {
        let mut dir = Dir::default();
        let mut model = BTreeMap::new();
        let mut state = 1u64;
        for step in 0..20_000u64 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let name = format!("n{}", (state >> 33) % 3000).into_bytes();
            // Two thirds inserts first, then two thirds removals.
            if (state >> 60) % 3 != u64::from(step < 10_000) * 2 && step >= 10_000
                || (state >> 60).is_multiple_of(3)
            {
                let removed = dir.remove(&name);
                assert_eq!(removed.map(|r| r.0), model.remove(&name));
            } else {
                let fresh = dir.insert(&name, Ino(step + 16), S_IFREG);
                assert_eq!(fresh.is_err(), model.contains_key(&name));
                model.entry(name).or_insert(Ino(step + 16));
            }
            assert_eq!(dir.len(), model.len() as u64);
        }
        let mut listed: Vec<_> = dir.entries().map(|d| (d.name.to_vec(), d.ino)).collect();
        assert!(dir.entries().zip(dir.entries().skip(1)).all(|(a, b)| a.cookie < b.cookie));
        listed.sort();
        assert_eq!(listed, model.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn positions_survive_changes() {
        let mut dir = Dir::default();
        for n in 0..1000 {
            dir.insert(format!("stay{n}").as_bytes(), Ino(n + 16), S_IFREG).unwrap();
        }
        let (mut seen, mut at) = (0, 0);
        for round in 0.. {
            let batch: Vec<_> =
                dir.entries_after(at).take(7).map(|d| (d.cookie, d.name.to_vec())).collect();
            let Some(last) = batch.last() else { break };
            at = last.0;
            seen += batch.iter().filter(|(_, name)| name.starts_with(b"stay")).count();
            dir.insert(format!("come{round}").as_bytes(), Ino(5000 + round), S_IFREG).unwrap();
            if round > 3 {
                dir.remove(format!("come{}", round - 3).as_bytes()).unwrap();
            }
        }
        assert_eq!(seen, 1000);
    }

    #[test]
    fn frozen_copies_do_not_change() {
        let mut dir = Dir::default();
        (0..300).for_each(|n| dir.insert(format!("{n}").as_bytes(), Ino(n + 16), 0).unwrap());
        let frozen = dir.clone();
        assert!(frozen.same(&dir));
        (0..300).for_each(|n| {
            dir.remove(format!("{n}").as_bytes());
        });
        assert!(dir.is_empty() && dir.pages().is_empty());
        assert_eq!(frozen.entries().count(), 300);
        assert_eq!(frozen.get(b"299").map(|d| d.ino), Some(Ino(299 + 16)));
    }
}
