//! One io_uring: its shared memory, submissions of 128 bytes, completions. Only what the transport
//! needs, so that the few words that other threads look at (how far the kernel has read) are ours.
//!
//! INVARIANT: one thread submits (`Ring` is not `Sync`); others see `Progress` only.

use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;
use rustix::io_uring::{
    IORING_OFF_SQ_RING, IORING_OFF_SQES, IoringEnterFlags, IoringFeatureFlags, IoringRegisterOp,
    IoringSetupFlags, io_uring_enter, io_uring_params, io_uring_register, io_uring_setup,
};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Bytes of a submission.
const SQE_SIZE: usize = 128;
/// Where a submission's command begins.
pub(super) const COMMAND_AT: usize = 48;
/// Bytes of a completion.
const CQE_SIZE: usize = 16;

const OP_READ: u8 = 22;
const OP_URING_CMD: u8 = 46;

/// A mapping of the ring's memory.
struct Mapping {
    start: *mut u8,
    len: usize,
}

impl Mapping {
    fn of(ring: &OwnedFd, len: usize, offset: u64) -> Result<Mapping, Errno> {
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        let start = unsafe { mmap(std::ptr::null_mut(), len, access, flags, ring, offset)? };
        Ok(Mapping { start: start.cast(), len })
    }

    fn word(&self, offset: u32) -> &AtomicU32 {
        assert!(offset as usize + 4 <= self.len && offset.is_multiple_of(4));
        // SAFETY: inside of the mapping, aligned, and only ever accessed atomically by us.
        unsafe { &*self.start.add(offset as usize).cast() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nobody has a reference into it any more: `word` borrows from it.
        // Failing would only leak it.
        let _ = unsafe { munmap(self.start.cast(), self.len) };
    }
}

// SAFETY: the memory is shared with the kernel anyway; all access goes through atomics or, for
// submissions and completions, through `Ring`, which one thread has.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

/// How far submissions have come; for other threads.
#[derive(Clone)]
pub(crate) struct Submitted {
    memory: Arc<Mapping>,
    head: u32,
    tail: u32,
}

impl Submitted {
    /// How much the kernel was told of so far.
    pub fn published(&self) -> u32 {
        self.memory.word(self.tail).load(Ordering::Acquire)
    }

    /// Whether the kernel has carried out everything up to there.
    pub fn has_passed(&self, published: u32) -> bool {
        let head = self.memory.word(self.head).load(Ordering::Acquire);
        head.wrapping_sub(published) as i32 >= 0
    }
}

/// What one operation came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Completion {
    pub user_data: u64,
    pub result: i32,
}

/// One io_uring.
pub(super) struct Ring {
    fd: OwnedFd,
    memory: Arc<Mapping>,
    submissions: Mapping,
    params: io_uring_params,
    /// Prepared, not yet published.
    tail: u32,
}

impl Ring {
    /// Makes one for so many submissions at a time. The thread that calls `enable` owns it.
    pub fn new(entries: u32) -> Result<Ring, Errno> {
        let mut params = io_uring_params::default();
        params.flags = IoringSetupFlags::SQE128
            | IoringSetupFlags::SUBMIT_ALL
            | IoringSetupFlags::SINGLE_ISSUER
            | IoringSetupFlags::DEFER_TASKRUN
            | IoringSetupFlags::NO_SQARRAY
            | IoringSetupFlags::CQSIZE
            | IoringSetupFlags::CLAMP
            | IoringSetupFlags::R_DISABLED;
        params.cq_entries = entries * 8;
        // SAFETY: `params` is a live structure; no buffers are handed over.
        let fd = unsafe { io_uring_setup(entries, &mut params)? };
        if !params.features.contains(IoringFeatureFlags::SINGLE_MMAP) {
            return Err(Errno::OPNOTSUPP);
        }
        let queue = params.cq_off.cqes as usize + params.cq_entries as usize * CQE_SIZE;
        let memory = Arc::new(Mapping::of(&fd, queue, IORING_OFF_SQ_RING)?);
        let submissions = Mapping::of(&fd, params.sq_entries as usize * SQE_SIZE, IORING_OFF_SQES)?;
        let tail = memory.word(params.sq_off.tail).load(Ordering::Acquire);
        Ok(Ring { fd, memory, submissions, params, tail })
    }

    /// From now on this thread, and no other, submits.
    pub fn enable(&self) -> Result<(), Errno> {
        let op = IoringRegisterOp::RegisterEnableRings;
        // SAFETY: this operation takes no argument.
        unsafe { io_uring_register(self.fd.as_fd(), op, std::ptr::null(), 0)? };
        Ok(())
    }

    /// A view for other threads.
    pub fn submitted(&self) -> Submitted {
        let (head, tail) = (self.params.sq_off.head, self.params.sq_off.tail);
        Submitted { memory: self.memory.clone(), head, tail }
    }

    /// Prepares a command for the FUSE device: `command` goes behind the fixed part.
    ///
    /// # Safety
    /// `address` and `len` must be what the command expects, valid as long as it runs.
    pub unsafe fn push_command(
        &mut self,
        file: RawFd,
        op: u32,
        (address, len): (u64, u32),
        command: &[u8],
        user_data: u64,
    ) -> Result<(), Errno> {
        let mut sqe = [0; SQE_SIZE];
        sqe[0] = OP_URING_CMD;
        sqe[4..8].copy_from_slice(&file.to_ne_bytes());
        sqe[8..12].copy_from_slice(&op.to_ne_bytes());
        sqe[16..24].copy_from_slice(&address.to_ne_bytes());
        sqe[24..28].copy_from_slice(&len.to_ne_bytes());
        sqe[32..40].copy_from_slice(&user_data.to_ne_bytes());
        sqe[COMMAND_AT..COMMAND_AT + command.len()].copy_from_slice(command);
        self.push(&sqe)
    }

    /// Prepares a read of eight bytes.
    ///
    /// # Safety
    /// `into` must stay valid and unused until the completion.
    pub unsafe fn push_read(
        &mut self,
        file: RawFd,
        into: *mut u64,
        user_data: u64,
    ) -> Result<(), Errno> {
        let mut sqe = [0; SQE_SIZE];
        sqe[0] = OP_READ;
        sqe[4..8].copy_from_slice(&file.to_ne_bytes());
        sqe[16..24].copy_from_slice(&(into as u64).to_ne_bytes());
        sqe[24..28].copy_from_slice(&8u32.to_ne_bytes());
        sqe[32..40].copy_from_slice(&user_data.to_ne_bytes());
        self.push(&sqe)
    }

    fn push(&mut self, sqe: &[u8; SQE_SIZE]) -> Result<(), Errno> {
        while self.pending() >= self.params.sq_entries {
            self.publish();
            self.enter(0)?;
        }
        let slot = (self.tail & (self.params.sq_entries - 1)) as usize;
        // SAFETY: inside of the mapping; the kernel does not look at this slot until `publish`.
        unsafe {
            let to = self.submissions.start.add(slot * SQE_SIZE);
            std::ptr::copy_nonoverlapping(sqe.as_ptr(), to, SQE_SIZE);
        }
        self.tail = self.tail.wrapping_add(1);
        Ok(())
    }

    // Prepared, and not carried out yet.
    fn pending(&self) -> u32 {
        self.tail.wrapping_sub(self.memory.word(self.params.sq_off.head).load(Ordering::Acquire))
    }

    /// Lets the kernel see what was prepared, with the next `enter`.
    pub fn publish(&self) {
        self.memory.word(self.params.sq_off.tail).store(self.tail, Ordering::Release);
    }

    /// Submits what was published and waits for so many completions.
    pub fn enter(&self, wait_for: u32) -> Result<(), Errno> {
        let count = self.pending();
        // SAFETY: what is submitted was prepared under the promises of `push_...`.
        let entered =
            unsafe { io_uring_enter(&self.fd, count, wait_for, IoringEnterFlags::GETEVENTS) };
        match entered {
            // Interrupted, or out of memory for the moment: the caller looks and comes again.
            Ok(_) | Err(Errno::INTR | Errno::AGAIN | Errno::BUSY) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether `pop` would give one.
    pub fn has_completions(&self) -> bool {
        let word = |offset| self.memory.word(offset).load(Ordering::Acquire);
        word(self.params.cq_off.head) != word(self.params.cq_off.tail)
    }

    /// The next completion, if there is one.
    pub fn pop(&mut self) -> Option<Completion> {
        let head = self.memory.word(self.params.cq_off.head);
        let at = head.load(Ordering::Relaxed);
        if at == self.memory.word(self.params.cq_off.tail).load(Ordering::Acquire) {
            return None;
        }
        let slot = (at & (self.params.cq_entries - 1)) as usize;
        let offset = self.params.cq_off.cqes as usize + slot * CQE_SIZE;
        // SAFETY: inside of the mapping; the kernel has written it (tail was read with Acquire)
        // and does not reuse it before `head` moves on.
        let (user_data, result) = unsafe {
            let cqe = self.memory.start.add(offset);
            (cqe.cast::<u64>().read(), cqe.add(8).cast::<i32>().read())
        };
        head.store(at.wrapping_add(1), Ordering::Release);
        Some(Completion { user_data, result })
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_read_completes_and_is_counted() {
        let mut ring = match Ring::new(4) {
            Ok(ring) => ring,
            Err(error) => {
                eprintln!("SKIPPED: no io_uring here ({error})");
                return;
            }
        };
        ring.enable().unwrap();
        let event = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
        let submitted = ring.submitted();
        let mut value = Box::new(0u64);
        // More than the ring has slots.
        for round in 1..=9u64 {
            rustix::io::write(&event, &round.to_ne_bytes()).unwrap();
            // SAFETY: `value` lives until the completion, which is waited for below.
            unsafe { ring.push_read(event.as_raw_fd(), &mut *value, round) }.unwrap();
            ring.publish();
            let published = submitted.published();
            assert!(!submitted.has_passed(published));
            ring.enter(1).unwrap();
            assert!(submitted.has_passed(published));
            assert!(ring.has_completions());
            let done = ring.pop().unwrap();
            assert!(!ring.has_completions());
            assert_eq!((done.user_data, done.result, *value), (round, 8, round));
            assert!(ring.pop().is_none());
        }
    }
}
