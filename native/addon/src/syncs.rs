//! Who waits in fsync until the store has what was done before: requests of the mount of a durable
//! workspace. JavaScript takes the number of the newest, makes a checkpoint, and settles all up to
//! that number: who comes meanwhile waits for the next one, and one checkpoint serves many.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use devdev_vfs::{Errno, Result as VfsResult, Waker};
use napi_derive::napi;

use crate::registry::engine;

#[derive(Default)]
struct State {
    /// Number of the newest, from 1 on.
    last: u64,
    /// In the order of their numbers.
    waiting: VecDeque<(u64, Waker)>,
}

/// The waiting ones of one engine.
#[derive(Default)]
pub struct SyncQueue(Mutex<State>);

impl SyncQueue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `waker` is called once it is known what came of it.
    pub fn add(&self, waker: Waker) {
        let mut state = self.state();
        state.last += 1;
        let number = state.last;
        state.waiting.push_back((number, waker));
    }

    fn newest(&self) -> Option<u64> {
        self.state().waiting.back().map(|(number, _)| *number)
    }

    fn settle(&self, last: u64, outcome: VfsResult<()>) {
        let settled = {
            let mut state = self.state();
            let count = state.waiting.partition_point(|(number, _)| *number <= last);
            state.waiting.drain(..count).collect::<Vec<_>>()
        };
        settled.into_iter().for_each(|(_, waker)| waker(outcome));
    }

    /// Nobody is left who could make a checkpoint.
    pub fn fail(&self) {
        self.settle(u64::MAX, Err(Errno::Io));
    }
}

/// The number of the newest that waits; null when none does.
#[napi(catch_unwind)]
pub fn syncs_newest(number: u32) -> Option<f64> {
    let newest = engine(number).ok().and_then(|engine| engine.syncs.newest());
    newest.map(|number| number as f64)
}

/// Ends the waiting of all up to `last`: what was done before is in the store, or cannot be.
#[napi(catch_unwind)]
pub fn syncs_settle(number: u32, last: f64, durable: bool) {
    if let Ok(engine) = engine(number) {
        engine.syncs.settle(last as u64, if durable { Ok(()) } else { Err(Errno::Io) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn all_up_to_a_number_are_settled_together_and_later_ones_are_not() {
        let (queue, told) = (SyncQueue::default(), Arc::new(Mutex::new(Vec::new())));
        let add = |name: &'static str| {
            let told = told.clone();
            queue.add(Box::new(move |outcome| told.lock().unwrap().push((name, outcome))));
        };
        assert_eq!(queue.newest(), None);
        add("first");
        add("second");
        let newest = queue.newest().unwrap();
        add("third");
        queue.settle(newest, Ok(()));
        assert_eq!(*told.lock().unwrap(), [("first", Ok(())), ("second", Ok(()))]);
        assert_eq!(queue.newest(), Some(newest + 1));
        queue.fail();
        assert_eq!(told.lock().unwrap().last(), Some(&("third", Err(Errno::Io))));
        assert_eq!(queue.newest(), None);
    }
}
