//! Name locks: who changes the names in a directory holds its stripe; who moves a directory
//! to another one also holds the rename lock, which keeps every path to the root stable.
//!
//! Reading names takes none of them. A name whose inode is missing for a moment (it is just
//! being made or removed) is looked at again under the stripe.

use std::sync::OnceLock;

use crossbeam_utils::CachePadded;
use parking_lot::{Mutex, MutexGuard};

use crate::ids::NodeId;
use crate::rank::{Rank, Ranked};

const STRIPES: usize = 256;

/// See the head of this file.
pub(crate) struct NameLocks {
    /// Made when they are first needed: most of what an engine takes that nobody works in.
    stripes: OnceLock<Box<[CachePadded<Mutex<()>>]>>,
    rename: Mutex<()>,
}

/// One or two locked stripes.
pub(crate) struct NameGuard<'a> {
    _first: MutexGuard<'a, ()>,
    _second: Option<MutexGuard<'a, ()>>,
    _rank: Ranked,
}

/// The locked rename lock.
pub(crate) struct RenameGuard<'a> {
    _lock: MutexGuard<'a, ()>,
    _rank: Ranked,
}

fn stripe(dir: NodeId) -> usize {
    (dir.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize % STRIPES
}

impl NameLocks {
    pub(crate) fn new() -> NameLocks {
        NameLocks { stripes: OnceLock::new(), rename: Mutex::new(()) }
    }

    fn stripe(&self, at: usize) -> &Mutex<()> {
        let make = || (0..STRIPES).map(|_| CachePadded::default()).collect();
        &self.stripes.get_or_init(make)[at]
    }

    /// Locks the names of one directory.
    pub(crate) fn lock(&self, dir: NodeId) -> NameGuard<'_> {
        let rank = Ranked::take(Rank::Name);
        NameGuard { _first: self.stripe(stripe(dir)).lock(), _second: None, _rank: rank }
    }

    /// Locks the names of two directories.
    pub(crate) fn lock_both(&self, a: NodeId, b: NodeId) -> NameGuard<'_> {
        let (low, high) = (stripe(a).min(stripe(b)), stripe(a).max(stripe(b)));
        let rank = Ranked::take(Rank::Name);
        let first = self.stripe(low).lock();
        let second = (low != high).then(|| self.stripe(high).lock());
        NameGuard { _first: first, _second: second, _rank: rank }
    }

    /// Keeps every directory where it is.
    pub(crate) fn lock_rename(&self) -> RenameGuard<'_> {
        let rank = Ranked::take(Rank::Rename);
        RenameGuard { _lock: self.rename.lock(), _rank: rank }
    }
}
