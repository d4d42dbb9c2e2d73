//! The lock order of this crate (see `lib.rs`), asserted in debug builds.
//!
//! Every place that takes a lock also takes a `Ranked` of its rank, which checks that the thread
//! holds no lock of the same or an inner rank. Release builds carry nothing of it.

/// The ranks of locks, outermost first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Rank {
    /// The gate, shared or closed.
    Gate,
    /// The rename lock.
    Rename,
    /// A stripe of the name locks; two may be held, in stripe order.
    Name,
    /// A tree's structure lock.
    Structure,
    /// The children of a tree node.
    Children,
    /// The inodes of a leaf.
    Leaf,
    /// A shard of the holds table.
    Holds,
    /// The bytes of a chunk.
    Chunk,
}

#[cfg(debug_assertions)]
mod held {
    use std::cell::RefCell;

    use super::Rank;

    thread_local! {
        static HELD: RefCell<Vec<Rank>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn push(rank: Rank) {
        HELD.with_borrow_mut(|held| {
            if let Some(&inner) = held.iter().max() {
                let in_order = inner < rank || (inner == rank && rank == Rank::Name);
                assert!(in_order, "lock order: {rank:?} taken while {held:?} are held");
            }
            held.push(rank);
        });
    }

    pub(super) fn pop(rank: Rank) {
        HELD.with_borrow_mut(|held| {
            if let Some(at) = held.iter().rposition(|r| *r == rank) {
                held.remove(at);
            }
        });
    }
}

/// Kept as long as a lock of this rank is held.
pub(crate) struct Ranked {
    #[cfg(debug_assertions)]
    rank: Rank,
}

impl Ranked {
    /// Notes that a lock of this rank is about to be taken.
    #[inline]
    pub(crate) fn take(rank: Rank) -> Ranked {
        #[cfg(debug_assertions)]
        {
            held::push(rank);
            Ranked { rank }
        }
        #[cfg(not(debug_assertions))]
        {
            let _ = rank;
            Ranked {}
        }
    }
}

#[cfg(debug_assertions)]
impl Drop for Ranked {
    fn drop(&mut self) {
        held::pop(self.rank);
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn inner_before_outer_is_refused() {
        let fine = std::panic::catch_unwind(|| {
            let _gate = Ranked::take(Rank::Gate);
            let _first = Ranked::take(Rank::Name);
            let _second = Ranked::take(Rank::Name);
            let _leaf = Ranked::take(Rank::Leaf);
        });
        assert!(fine.is_ok());
        let wrong = std::panic::catch_unwind(|| {
            let _leaf = Ranked::take(Rank::Leaf);
            let _name = Ranked::take(Rank::Name);
        });
        assert!(wrong.is_err());
    }
}
