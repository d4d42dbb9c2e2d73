//! Waiting for the store on a thread that may block.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::Vfs;
use crate::errno::{Errno, Result};
use crate::outcome::{Need, Outcome, Waitable};

/// How long an operation waits for the store before it fails with EIO.
const DEADLINE: Duration = Duration::from_secs(30);

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
