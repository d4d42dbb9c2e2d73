//! What a workspace holds, and the most it may hold.
//!
//! Room is reserved before anything is allocated or changed, so that ENOSPC leaves no trace.
//! `Quota` counts everything (live tree, tmp, orphans); a `Tally` counts one of them.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use crate::attr::PAGE_SIZE;
use crate::errno::{Errno, Result};
use crate::room;
use crate::types::{Limits, StatFs};

/// Pages of content and inodes of one tree (or of the orphans).
#[derive(Default)]
pub(crate) struct Tally {
    pages: AtomicU64,
    inodes: AtomicU64,
}

impl Tally {
    pub(crate) fn new(pages: u64, inodes: u64) -> Tally {
        Tally { pages: AtomicU64::new(pages), inodes: AtomicU64::new(inodes) }
    }

    pub(crate) fn pages(&self) -> u64 {
        self.pages.load(Ordering::Acquire)
    }

    pub(crate) fn inodes(&self) -> u64 {
        self.inodes.load(Ordering::Acquire)
    }

    /// Counts an inode with its pages.
    pub(crate) fn add(&self, pages: u64) {
        self.change_pages(pages);
        self.inodes.fetch_add(1, Ordering::AcqRel);
    }

    // Most changes are of names: those leave a line alone that other threads use.
    fn change_pages(&self, by: u64) {
        if by != 0 {
            self.pages.fetch_add(by, Ordering::AcqRel);
        }
    }

    /// Counts an inode with its pages off.
    pub(crate) fn sub(&self, pages: u64) {
        self.change_pages(pages.wrapping_neg());
        self.inodes.fetch_sub(1, Ordering::AcqRel);
    }

    fn move_pages(&self, before: u64, after: u64) {
        self.change_pages(after.wrapping_sub(before));
    }

    /// Replaces both numbers; returns the old ones.
    pub(crate) fn replace(&self, pages: u64, inodes: u64) -> (u64, u64) {
        (self.pages.swap(pages, Ordering::AcqRel), self.inodes.swap(inodes, Ordering::AcqRel))
    }
}

/// All that is held, against its limits.
pub(crate) struct Quota {
    /// Every change writes here; the limits beside it are only read.
    held: CachePadded<Tally>,
    max_bytes: AtomicU64,
    max_inodes: AtomicU64,
}

fn reserve(counter: &AtomicU64, n: u64, max: u64) -> Result<()> {
    let fits = |held: u64| held.checked_add(n).filter(|sum| *sum <= max);
    match counter.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits) {
        Ok(_) => Ok(()),
        Err(_) => Err(Errno::NoSpc),
    }
}

impl Quota {
    pub(crate) fn new(limits: Limits) -> Quota {
        Quota {
            held: CachePadded::default(),
            max_bytes: AtomicU64::new(limits.bytes),
            max_inodes: AtomicU64::new(limits.inodes),
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            bytes: self.max_bytes.load(Ordering::Acquire),
            inodes: self.max_inodes.load(Ordering::Acquire),
        }
    }

    pub(crate) fn set_limits(&self, limits: Limits) {
        self.max_bytes.store(limits.bytes, Ordering::Release);
        self.max_inodes.store(limits.inodes, Ordering::Release);
    }

    pub(crate) fn pages(&self) -> u64 {
        self.held.pages()
    }

    pub(crate) fn inodes(&self) -> u64 {
        self.held.inodes()
    }

    /// Makes room for one inode without content.
    pub(crate) fn reserve_inode(&self) -> Result<()> {
        room::check()?;
        reserve(&self.held.inodes, 1, self.max_inodes.load(Ordering::Acquire))
    }

    /// Counts an inode that comes back, or is already there, whatever the limits say.
    pub(crate) fn add(&self, pages: u64) {
        self.held.add(pages);
    }

    /// An inode with its pages is gone.
    pub(crate) fn release(&self, pages: u64) {
        self.held.sub(pages);
    }

    /// An inode of `tally` goes from `before` to `after` pages; ENOSPC only when it grows.
    pub(crate) fn resize(&self, tally: &Tally, before: u64, after: u64) -> Result<()> {
        if after > before {
            let max = self.max_bytes.load(Ordering::Acquire) / PAGE_SIZE;
            reserve(&self.held.pages, after - before, max)?;
        } else {
            self.held.move_pages(before, after);
        }
        tally.move_pages(before, after);
        Ok(())
    }

    /// A whole tree took the place of another.
    pub(crate) fn exchange(&self, old: (u64, u64), new: (u64, u64)) {
        self.held.pages.fetch_add(new.0.wrapping_sub(old.0), Ordering::AcqRel);
        self.held.inodes.fetch_add(new.1.wrapping_sub(old.1), Ordering::AcqRel);
    }

    pub(crate) fn statfs(&self) -> StatFs {
        let limits = self.limits();
        let blocks = limits.bytes / PAGE_SIZE;
        StatFs {
            blocks,
            free: blocks.saturating_sub(self.pages()),
            files: limits.inodes,
            files_free: limits.inodes.saturating_sub(self.inodes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let quota = Quota::new(Limits { bytes: 10 * PAGE_SIZE, inodes: 2 });
        let tally = Tally::default();
        assert_eq!(quota.reserve_inode(), Ok(()));
        assert_eq!(quota.reserve_inode(), Ok(()));
        assert_eq!(quota.reserve_inode(), Err(Errno::NoSpc));
        assert_eq!(quota.resize(&tally, 0, 11), Err(Errno::NoSpc));
        assert_eq!((quota.pages(), tally.pages()), (0, 0));
        assert_eq!(quota.resize(&tally, 0, 10), Ok(()));
        assert_eq!(quota.resize(&tally, 10, 3), Ok(()));
        assert_eq!((quota.pages(), tally.pages(), quota.statfs().free), (3, 3, 7));
        quota.exchange((3, 2), (20, 9));
        assert_eq!((quota.pages(), quota.inodes(), quota.statfs().free), (20, 9, 0));
        // Over the limit after a restore: shrinking works, growing does not.
        assert_eq!(quota.resize(&tally, 3, 2), Ok(()));
        assert_eq!(quota.resize(&tally, 2, 3), Err(Errno::NoSpc));
    }
}
