//! Waiting for the store on a thread that may block.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::Vfs;
use crate::errno::{Errno, Result};
use crate::outcome::{Need, Outcome, Waitable};

/// How long an operation waits for the store before it fails with EIO.
const DEADLINE: Duration = Duration::from_secs(30);

/// Whether the operation that this thread runs may wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    Waits,
    Declines,
    Declined,
}

thread_local! {
    static PATIENCE: Cell<Patience> = const { Cell::new(Patience::Waits) };
}

/// Runs an operation that shall not wait for the store; `None` if it would have had to. For
/// operations that take one step: of several, those before the wait have been done.
pub fn at_once<T>(run: impl FnOnce() -> T) -> Option<T> {
    PATIENCE.set(Patience::Declines);
    let result = run();
    (PATIENCE.replace(Patience::Waits) == Patience::Declines).then_some(result)
}

#[derive(Default)]
struct Latch {
    answer: Mutex<Option<Result<()>>>,
    ready: Condvar,
}

/// An engine on which the calling thread may wait.
pub struct Waiting<'a>(pub &'a Vfs);

impl Waiting<'_> {
    /// Runs `attempt` until it is done, waiting in between for what it needs. Each round has
    /// its own deadline: a long operation goes on while the store makes progress.
    pub fn until_done<T>(&self, mut attempt: impl FnMut() -> Waitable<T>) -> Result<T> {
        loop {
            match attempt()? {
                Outcome::Done(value) => return Ok(value),
                Outcome::Wait(needs) => self.arrival(needs)?,
            }
        }
    }

    /// Waits until all of `needs` have arrived.
    pub fn arrival(&self, needs: Vec<Need>) -> Result<()> {
        if PATIENCE.get() != Patience::Waits {
            PATIENCE.set(Patience::Declined);
            return Err(Errno::Again);
        }
        let latch = Arc::new(Latch::default());
        let waker = Arc::clone(&latch);
        self.0.wait_for(
            needs,
            Box::new(move |result| {
                *waker.answer.lock() = Some(result);
                waker.ready.notify_one();
            }),
        );
        let mut answer = latch.answer.lock();
        latch.ready.wait_while_for(&mut answer, |answer| answer.is_none(), DEADLINE);
        answer.unwrap_or(Err(Errno::Io))
    }
}
