//! Inode numbers. They are given out in blocks as wide as a leaf of the tree, so that threads that
//! make files at the same time do not meet at the lock of one leaf.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use crate::errno::{Errno, Result};
use crate::gate::thread_slot;
use crate::ids::Ino;
use crate::tree::LEAF_BITS;

/// Threads that have a block each; more share one.
const SLOTS: usize = 8;
const BLOCK: u64 = 1 << LEAF_BITS;

/// What gives out the numbers of one tree.
pub(crate) struct Numbers {
    /// Where the next block begins: no number from here on was ever given out.
    next: AtomicU64,
    /// The next number of a slot's block; a multiple of `BLOCK` when there is none.
    blocks: [CachePadded<AtomicU64>; SLOTS],
}

impl Numbers {
    /// Numbers from this one on.
    pub(crate) fn from(first: Ino) -> Numbers {
        let blocks = std::array::from_fn(|_| CachePadded::default());
        Numbers { next: AtomicU64::new(first.0.max(Ino::FIRST.0)), blocks }
    }

    /// A number that was never given out before.
    pub(crate) fn take(&self) -> Result<Ino> {
        let block = &self.blocks[thread_slot() % SLOTS];
        let rest = |at: u64| (!at.is_multiple_of(BLOCK)).then_some(at + 1);
        let taken = block.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest);
        let ino = taken.unwrap_or_else(|used_up| self.open(block, used_up));
        if ino >= Ino::LIMIT { Err(Errno::NoSpc) } else { Ok(Ino(ino)) }
    }

    // A first block may be short: it ends where a leaf does.
    fn open(&self, block: &AtomicU64, used_up: u64) -> u64 {
        let end_of_block = |at: u64| (at < Ino::LIMIT).then_some((at / BLOCK + 1) * BLOCK);
        let (Ok(first) | Err(first)) =
            self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, end_of_block);
        // If another thread of the slot was faster, the rest of this block is never used.
        let _ = block.compare_exchange(used_up, first + 1, Ordering::Relaxed, Ordering::Relaxed);
        first
    }

    /// All numbers given out are below this one.
    pub(crate) fn end(&self) -> Ino {
        Ino(self.next.load(Ordering::Relaxed))
    }

    /// Gives out none below this one, also from blocks begun: the tree that ends here may have been
    /// numbered by others. Nobody may take one meanwhile.
    pub(crate) fn skip_to(&self, end: Ino) {
        self.next.fetch_max(end.0, Ordering::Relaxed);
        let below = |block: &&CachePadded<AtomicU64>| block.load(Ordering::Relaxed) < end.0;
        self.blocks.iter().filter(below).for_each(|block| block.store(0, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn one_thread_gets_them_in_turn() {
        let numbers = Numbers::from(Ino(37));
        let taken: Vec<u64> = (0..40).map(|_| numbers.take().unwrap().0).collect();
        assert_eq!(taken, (37..77).collect::<Vec<_>>());
        assert_eq!(numbers.end(), Ino(80));
        assert_eq!(Numbers::from(Ino(0)).take().unwrap(), Ino::FIRST);
    }

    #[test]
    fn no_number_is_given_out_twice_and_threads_have_leaves_of_their_own() {
        const EACH: usize = 5000;
        let numbers = Numbers::from(Ino(1000));
        let taken: Vec<Vec<u64>> = std::thread::scope(|scope| {
            let run = || (0..EACH).map(|_| numbers.take().unwrap().0).collect();
            let threads: Vec<_> = (0..12).map(|_| scope.spawn(run)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let all: HashSet<u64> = taken.iter().flatten().copied().collect();
        assert_eq!(all.len(), 12 * EACH);
        assert!(all.iter().all(|ino| *ino >= 1000 && *ino < numbers.end().0));
    }

    #[test]
    fn they_end_at_the_limit() {
        let numbers = Numbers::from(Ino(Ino::LIMIT - 2));
        assert!(numbers.take().is_ok() && numbers.take().is_ok());
        assert_eq!(numbers.take(), Err(Errno::NoSpc));
        assert_eq!(numbers.take(), Err(Errno::NoSpc));
    }

    #[test]
    fn what_a_restored_tree_has_used_is_skipped() {
        let numbers = Numbers::from(Ino::FIRST);
        numbers.take().unwrap();
        numbers.skip_to(Ino(500));
        assert_eq!(numbers.take().unwrap(), Ino(500));
        numbers.skip_to(Ino(3));
        assert_eq!(
            numbers.take().unwrap(),
            Ino(501),
            "a tree that ended before takes nothing away"
        );
    }
}
