//! The thread of one ring: serves the requests of its queues and sends the replies back.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::io::Errno;

use crate::abi::{Field, RING_COMMIT_AND_FETCH, RING_REGISTER, RingCmdReq};
use crate::core::{Core, Worker};
use crate::options::LogLevel;
use crate::uring::entry::{Arrived, Entry, Handed, Queue};
use crate::uring::ring::{Completion, Ring};

/// The completion that tells of replies by other threads.
const HANDED: u64 = u64::MAX;
/// Spares of a ring that keep their memory.
const WARM: usize = 4;

/// Which queues a thread serves.
pub(super) struct Place {
    /// The CPU that it is to be bound to.
    pub cpu: Option<usize>,
    queues: Vec<usize>,
}

impl Place {
    /// The queue of a CPU.
    pub fn on(cpu: usize) -> Place {
        Place { cpu: Some(cpu), queues: vec![cpu] }
    }

    /// The queues of CPUs on which nothing runs for now.
    pub fn anywhere(queues: Vec<usize>) -> Place {
        Place { cpu: None, queues }
    }
}

// Whether a completion says that the connection has ended.
fn is_over(error: Errno) -> bool {
    matches!(error, Errno::NOTCONN | Errno::CONNABORTED | Errno::NODEV | Errno::CANCELED)
}

/// The owner of a ring and of its queues' entries.
pub(super) struct QueueWorker {
    // Dropped first: while it is there, the kernel may write to the entries.
    ring: Ring,
    handed: Arc<Handed>,
    queues: Vec<Arc<Queue>>,
    entries: Vec<Arc<Entry>>,
    depth: usize,
    /// Where the eventfd is read into.
    count: Box<u64>,
    /// Entries in the kernel's hands.
    open: usize,
    /// Spares that served something large, the last ones: they keep their memory, as the kernel
    /// takes first what was used last.
    warm: Vec<usize>,
    /// Spares that are to give it back: sent back just now, and known to be with the kernel.
    used: Vec<usize>,
    settled: Vec<usize>,
    /// The connection is over.
    lost: bool,
    /// A request was parked since the last look at what waits behind it.
    parked: bool,
    /// The first entry of a queue has been used. Until then the kernel has always had it to put a
    /// request in (it takes those first that were used last), so nothing can wait.
    ran_out: bool,
}

impl QueueWorker {
    pub fn new(
        ring: Ring,
        handed: Arc<Handed>,
        place: &Place,
        pinned: bool,
        depth: usize,
        spares: usize,
    ) -> Result<QueueWorker, Errno> {
        let queue = |id: &usize| Arc::new(Queue::new(*id as u16, pinned, spares));
        let queues: Vec<_> = place.queues.iter().map(queue).collect();
        let mut worker = QueueWorker {
            ring,
            handed,
            queues,
            entries: Vec::new(),
            depth,
            count: Box::new(0),
            open: 0,
            warm: Vec::new(),
            used: Vec::new(),
            settled: Vec::new(),
            lost: false,
            parked: false,
            ran_out: false,
        };
        for queue in worker.queues.clone() {
            for _ in 0..depth {
                worker.new_entry(&queue)?;
            }
        }
        Ok(worker)
    }

    fn new_entry(&mut self, queue: &Arc<Queue>) -> Result<usize, Errno> {
        let number = self.entries.len();
        self.entries.push(Entry::new(queue.clone(), number, self.handed.clone())?);
        queue.entries.fetch_add(1, Ordering::Relaxed);
        Ok(number)
    }

    /// Serves the connection until it ends.
    pub fn run(mut self, core: &Arc<Core>, index: usize) {
        if let Err(error) = self.serve(core, index) {
            let error = std::io::Error::from(error);
            core.log(LogLevel::Error, &format!("fuse: a ring failed: {error}"));
        }
    }

    fn serve(&mut self, core: &Arc<Core>, index: usize) -> Result<(), Errno> {
        let progress = &core.rings[index].progress;
        let mut worker = Worker::new(core.clone(), None);
        progress.begin();
        self.listen()?;
        for number in 0..self.entries.len() {
            self.register(core, number)?;
        }
        while self.open > 0 || !self.lost {
            self.trim();
            self.ring.publish();
            progress.end();
            self.ring.enter(1)?;
            progress.begin();
            while let Some(completion) = self.ring.pop() {
                self.complete(core, &mut worker, completion)?;
            }
            if self.ran_out && std::mem::take(&mut self.parked) && !self.lost {
                // What came when the kernel had no entry left waits for a reply to go out, even if
                // there are entries again. A request of the helper's makes one, which takes the
                // next along; if that is parked too, here it goes again.
                self.ring.publish();
                self.ring.enter(0)?;
                if let Some(nudger) = core.nudger.get() {
                    nudger.nudge();
                }
            }
        }
        progress.end();
        Ok(())
    }

    fn complete(
        &mut self,
        core: &Arc<Core>,
        worker: &mut Worker,
        completion: Completion,
    ) -> Result<(), Errno> {
        if completion.user_data == HANDED {
            for number in self.handed.take() {
                self.commit(core, number)?;
            }
            return self.listen();
        }
        let number = completion.user_data as usize;
        let entry = self.entries[number].clone();
        self.open -= 1;
        self.ran_out |= number.is_multiple_of(self.depth) && number < self.first_spare();
        if completion.result >= 0 {
            entry.arrived();
            worker.serve(&Arrived(entry.clone()));
            return if entry.left() {
                self.commit(core, number)
            } else {
                self.add_spare(core, &entry.queue)
            };
        }
        match Errno::from_raw_os_error(-completion.result) {
            // The request is gone, or the kernel could not now: the entry is as good as new.
            Errno::NOENT | Errno::INTR | Errno::AGAIN => self.register(core, number)?,
            error => {
                let over = is_over(error);
                if !over {
                    let error = std::io::Error::from(error);
                    core.log(LogLevel::Error, &format!("fuse: a ring entry failed: {error}"));
                }
                let before = entry.queue.entries.fetch_sub(1, Ordering::Relaxed);
                self.lost |= over || before == 1;
            }
        }
        Ok(())
    }

    // The number of the first entry beyond those of the start.
    fn first_spare(&self) -> usize {
        self.depth * self.queues.len()
    }

    // One for each parked request; only where the helper can set those going that it comes too late
    // for.
    fn add_spare(&mut self, core: &Arc<Core>, queue: &Arc<Queue>) -> Result<(), Errno> {
        let wanted = self.depth + queue.parked.load(Ordering::Relaxed);
        let out_of_reach = || {
            let message = format!(
                "fuse: this process may not run on CPU {}: few requests from there can wait for \
                 the store",
                queue.id
            );
            core.log(LogLevel::Warn, &message);
        };
        if self.lost || !queue.is_within_reach(out_of_reach) {
            return Ok(());
        }
        self.parked = true;
        while queue.entries.load(Ordering::Relaxed) < wanted {
            match self.new_entry(queue) {
                Ok(number) => self.register(core, number)?,
                Err(error) => {
                    // Then requests are refused earlier, until others are answered.
                    let error = std::io::Error::from(error);
                    core.log(LogLevel::Warn, &format!("fuse: no spare ring entry: {error}"));
                    break;
                }
            }
        }
        Ok(())
    }

    fn listen(&mut self) -> Result<(), Errno> {
        let event = self.handed.event.as_raw_fd();
        // SAFETY: `count` lives as long as the ring, and nobody looks at it.
        unsafe { self.ring.push_read(event, &mut *self.count, HANDED) }
    }

    fn register(&mut self, core: &Arc<Core>, number: usize) -> Result<(), Errno> {
        let vectors = self.entries[number].vectors();
        self.submit(core, number, RING_REGISTER, vectors, 0)
    }

    fn commit(&mut self, core: &Arc<Core>, number: usize) -> Result<(), Errno> {
        let entry = &self.entries[number];
        if entry.is_kept() {
            entry.queue.parked.fetch_sub(1, Ordering::Relaxed);
        }
        if number >= self.first_spare() {
            self.note_use(number);
        }
        if !self.settled.is_empty() {
            self.settled.retain(|settled| *settled != number);
        }
        let id = self.entries[number].commit_id();
        self.submit(core, number, RING_COMMIT_AND_FETCH, (0, 0), id)
    }

    fn submit(
        &mut self,
        core: &Arc<Core>,
        number: usize,
        op: u32,
        buffers: (u64, u32),
        commit_id: u64,
    ) -> Result<(), Errno> {
        let queue = &self.entries[number].queue;
        let request = RingCmdReq { commit_id, qid: queue.id, ..RingCmdReq::default() };
        let mut command = [0; RingCmdReq::SIZE];
        request.put(&mut command);
        self.open += 1;
        let file = core.device.as_fd().as_raw_fd();
        // SAFETY: the vectors and the buffers that they name belong to the entry, which lives
        // longer than the ring.
        unsafe { self.ring.push_command(file, op, buffers, &command, number as u64) }
    }

    // Many spares are used at a time, and rarely: what was read through them need not stay in
    // memory. Those in which nothing waited may be the ones that serve everything from now on.
    fn note_use(&mut self, number: usize) {
        if self.entries[number].is_kept() {
            self.used.push(number);
        } else if self.entries[number].is_large() {
            self.warm.retain(|warm| *warm != number);
            self.warm.push(number);
            if self.warm.len() > WARM {
                self.used.push(self.warm.remove(0));
            }
        }
    }

    // The reply of a used spare is out after the next `enter`; from then on it is empty until a
    // completion says otherwise.
    //
    // INVARIANT: nothing is given back while there is a completion to be looked at: its request
    // may lie in there already.
    fn trim(&mut self) {
        if self.ring.has_completions() {
            return;
        }
        for number in self.settled.drain(..) {
            let entry = &self.entries[number];
            if entry.is_sent_back() {
                entry.trim();
            }
        }
        std::mem::swap(&mut self.used, &mut self.settled);
    }
}

impl Drop for QueueWorker {
    fn drop(&mut self) {
        if self.open > 0 {
            // The kernel may still write to the buffers: nothing else must come to lie there.
            std::mem::take(&mut self.entries).into_iter().for_each(std::mem::forget);
        }
    }
}
