//! What must not be done by a thread that serves requests, because the kernel sends requests of its
//! own meanwhile and waits for them: one more thread does it, job by job.

use std::sync::mpsc::{Receiver, Sender, channel};

use devdev_vfs::{Errno, NodeId, Waker};
use parking_lot::Mutex;

/// What is to be done.
pub(crate) enum Job {
    /// Pages were refused: the kernel has to drop what it still shows of them.
    Refused(NodeId),
    /// Have the kernel hand over what it holds of a node, then call.
    Flush(NodeId, Waker),
}

/// The way to that thread.
pub(crate) struct Late {
    orders: Mutex<Option<Sender<Job>>>,
    jobs: Mutex<Option<Receiver<Job>>>,
}

impl Late {
    pub fn new() -> Late {
        let (orders, jobs) = channel();
        Late { orders: Mutex::new(Some(orders)), jobs: Mutex::new(Some(jobs)) }
    }

    /// The jobs, for the one thread that does them.
    pub fn take_jobs(&self) -> Option<Receiver<Job>> {
        self.jobs.lock().take()
    }

    /// Has a job done; one that comes after the end is told so.
    pub fn order(&self, job: Job) {
        let orders = self.orders.lock();
        let refused = match orders.as_ref() {
            Some(orders) => orders.send(job).err().map(|unsent| unsent.0),
            None => Some(job),
        };
        drop(orders);
        if let Some(Job::Flush(_, waker)) = refused {
            waker(Err(Errno::Io));
        }
    }

    /// No more jobs: ends the thread that does them.
    pub fn close(&self) {
        *self.orders.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(20);

    fn told(late: &Late) -> devdev_vfs::Result<()> {
        let (send, receive) = channel();
        late.order(Job::Flush(NODE, Box::new(move |result| send.send(result).unwrap())));
        receive.try_recv().unwrap()
    }

    #[test]
    fn who_waits_for_a_flush_is_told_when_nobody_does_it() {
        let late = Late::new();
        drop(late.take_jobs());
        assert_eq!(told(&late), Err(Errno::Io));
        late.close();
        assert_eq!(told(&late), Err(Errno::Io));
    }
}
