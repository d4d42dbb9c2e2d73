//! One entry of a queue: a pair of buffers that goes to and fro between the kernel and us, and the
//! port through which the request in it is answered.
//!
//! Whose it is: the kernel's from REGISTER or COMMIT_AND_FETCH until the completion, then the
//! worker's; a request that waits for the store keeps it, and a thread of the pool answers in it.
//! `Entry::marks` orders these: whoever comes second of "answered" and "the worker went on" sends
//! it back.

use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use crate::abi::{Abi, Field, InHeader, OutHeader, RingEntInOut, RingReqHeader};
use crate::cpus;
use crate::handshake::MAX_WRITE;
use crate::reply::send_error;
use crate::request::Frame;
use crate::transport::{Exchange, Port, SendError};

/// Bytes for names, data and replies.
const PAYLOAD: usize = MAX_WRITE as usize;
/// Bytes for headers: a page, so that the payload begins at one.
const HEADERS: usize = 4096;
/// From here on a payload is worth giving back.
const LARGE: usize = 64 << 10;
const OP_IN_AT: usize = std::mem::offset_of!(RingReqHeader, op_in);
const OP_IN_MAX: usize = 128;
const IN_OUT_AT: usize = std::mem::offset_of!(RingReqHeader, ring_ent_in_out);

const EIO: i32 = 5;

/// The worker does not look after it any more: who answers has to hand it over.
const LEFT: u8 = 1;
/// The reply is complete.
const ANSWERED: u8 = 2;
/// Somebody writes a reply, or has written it, or the kernel has the entry.
const CLAIMED: u8 = 4;
/// It waits for something, or has waited.
const KEPT: u8 = 8;

/// How one of the kernel's queues is doing. Its worker alone changes it.
pub(super) struct Queue {
    /// Its number: that of a CPU.
    pub id: u16,
    /// Whether the helper can send a request from that CPU: known from the first time that it
    /// matters. A CPU that was offline at the start is not by then.
    within_reach: OnceLock<bool>,
    /// Entries that the kernel knows.
    pub entries: AtomicUsize,
    /// Those in which a request waits for the store.
    pub parked: AtomicUsize,
    /// Most that may be parked.
    pub spares: usize,
}

impl Queue {
    /// `pinned`: its worker is bound to that CPU.
    pub fn new(id: u16, pinned: bool, spares: usize) -> Queue {
        let (entries, parked) = Default::default();
        let within_reach = if pinned { OnceLock::from(true) } else { OnceLock::new() };
        Queue { id, within_reach, entries, parked, spares }
    }

    /// Whether what an entry comes too late for can be set going; `on_loss` is called once if not.
    pub fn is_within_reach(&self, on_loss: impl FnOnce()) -> bool {
        *self.within_reach.get_or_init(|| {
            let can_be_reached = cpus::may_pin(self.id.into());
            if !can_be_reached {
                on_loss();
            }
            can_be_reached
        })
    }

    // One entry has to stay that takes the requests of others.
    fn may_park(&self) -> bool {
        let parked = self.parked.load(Ordering::Relaxed) + 1;
        parked <= self.spares && parked < self.entries.load(Ordering::Relaxed)
    }
}

/// Entries that were answered by other threads, for the worker to send back.
pub(crate) struct Handed {
    numbers: Mutex<Vec<usize>>,
    count: AtomicUsize,
    /// Becomes readable when there is one.
    pub(super) event: OwnedFd,
}

impl Handed {
    pub(super) fn new(event: OwnedFd) -> Handed {
        Handed { numbers: Mutex::default(), count: AtomicUsize::new(0), event }
    }

    fn push(&self, number: usize) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.numbers.lock().push(number);
        // It can only fail when it counts to 2^64, and the worker looks in any case.
        let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
    }

    pub(super) fn take(&self) -> Vec<usize> {
        let numbers = std::mem::take(&mut *self.numbers.lock());
        self.count.fetch_sub(numbers.len(), Ordering::SeqCst);
        numbers
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }
}

/// Memory that the kernel writes requests to and reads replies from.
struct Buffers(*mut u8);

// SAFETY: plain memory without thread affinity; `Entry::marks` says who may touch it.
unsafe impl Send for Buffers {}
// SAFETY: as above.
unsafe impl Sync for Buffers {}

impl Buffers {
    fn new() -> Result<Buffers, Errno> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let (len, flags) = (HEADERS + PAYLOAD, MapFlags::PRIVATE);
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), len, access, flags)? };
        let buffers = Buffers(start.cast());
        // SAFETY: the whole of our own mapping, which only loses its copy in child processes.
        unsafe { madvise(start, len, Advice::LinuxDontFork)? };
        Ok(buffers)
    }

    fn payload(&self) -> *mut u8 {
        // SAFETY: inside of the mapping.
        unsafe { self.0.add(HEADERS) }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: entries are dropped after their ring, so the kernel uses it no more.
        // Failing would only leak it.
        let _ = unsafe { munmap(self.0.cast(), HEADERS + PAYLOAD) };
    }
}

/// One entry.
pub(super) struct Entry {
    pub queue: Arc<Queue>,
    /// Its place in the worker's table.
    number: usize,
    handed: Arc<Handed>,
    buffers: Buffers,
    /// The buffers as REGISTER wants them: address and length of each.
    vectors: [[u64; 2]; 2],
    marks: AtomicU8,
    /// Of the request in it.
    unique: AtomicU64,
    /// How much of its payload the request, or the reply to it, takes.
    carried: AtomicUsize,
}

impl Entry {
    pub fn new(queue: Arc<Queue>, number: usize, handed: Arc<Handed>) -> Result<Arc<Entry>, Errno> {
        let buffers = Buffers::new()?;
        let headers = [buffers.0 as u64, RingReqHeader::SIZE as u64];
        let payload = [buffers.payload() as u64, PAYLOAD as u64];
        Ok(Arc::new(Entry {
            queue,
            number,
            handed,
            buffers,
            vectors: [headers, payload],
            marks: AtomicU8::new(CLAIMED),
            unique: AtomicU64::new(0),
            carried: AtomicUsize::new(0),
        }))
    }

    /// Address and length of what REGISTER expects; both live as long as the entry.
    pub fn vectors(&self) -> (u64, u32) {
        (self.vectors.as_ptr() as u64, self.vectors.len() as u32)
    }

    /// The kernel has put a request into it. The worker is to serve it, then to call `left`.
    pub fn arrived(&self) {
        // SAFETY: the kernel has just given the entry back, and nobody else looks at it while it
        // is claimed.
        let headers = unsafe { std::slice::from_raw_parts(self.buffers.0, HEADERS) };
        self.unique.store(InHeader::get(headers).unique, Ordering::Relaxed);
        let carried = RingEntInOut::get(&headers[IN_OUT_AT..]).payload_sz as usize;
        self.carried.store(carried, Ordering::Relaxed);
        self.marks.store(0, Ordering::Release);
    }

    /// The worker has done what it can: whether there is a reply to be sent back. A request that
    /// nobody answered or keeps (it has no reply, or makes no sense) is an error.
    pub fn left(&self) -> bool {
        if self.marks.load(Ordering::Acquire) & (CLAIMED | KEPT) == 0 {
            // What can fail about it is that somebody else was faster.
            let _ = send_error(self, self.unique.load(Ordering::Relaxed), EIO);
        }
        self.marks.fetch_or(LEFT, Ordering::AcqRel) & ANSWERED != 0
    }

    /// Whether the request in it waits for something, or has waited.
    pub fn is_kept(&self) -> bool {
        self.marks.load(Ordering::Relaxed) & KEPT != 0
    }

    /// Whether much of its payload is in memory by the request in it, or by the reply.
    pub fn is_large(&self) -> bool {
        self.carried.load(Ordering::Relaxed) >= LARGE
    }

    /// Whether the reply was sent back and no new request has arrived.
    pub fn is_sent_back(&self) -> bool {
        self.marks.load(Ordering::Relaxed) & (ANSWERED | LEFT) == ANSWERED | LEFT
    }

    /// What COMMIT_AND_FETCH names the request by.
    pub fn commit_id(&self) -> u64 {
        // SAFETY: answered and not sent back yet, so it is the worker's; the mapping is larger.
        let bytes = unsafe {
            std::slice::from_raw_parts(self.buffers.0.add(IN_OUT_AT), RingEntInOut::SIZE)
        };
        RingEntInOut::get(bytes).commit_id
    }

    /// Gives the memory of its payload back to the system.
    pub fn trim(&self) {
        // SAFETY: the whole payload of an entry that holds neither request nor reply: the kernel
        // writes to it on the calling thread only. Failing would only keep the memory.
        let _ = unsafe { madvise(self.buffers.payload().cast(), PAYLOAD, Advice::LinuxDontNeed) };
    }

    fn write_reply(
        &self,
        header: &OutHeader,
        first: &[u8],
        others: &[IoSlice<'_>],
    ) -> Result<(), SendError> {
        let mut len = 0;
        for part in std::iter::once(first).chain(others.iter().map(|part| &**part)) {
            if part.len() > PAYLOAD - len {
                return Err(SendError::Refused(Errno::MSGSIZE.raw_os_error()));
            }
            // SAFETY: inside of the payload; the caller has claimed the entry, so nobody else
            // reads or writes it, and no part can lie in it: no reference to it is left.
            unsafe {
                let to = self.buffers.payload().add(len);
                std::ptr::copy_nonoverlapping(part.as_ptr(), to, part.len());
            }
            len += part.len();
        }
        // SAFETY: as above, for the headers.
        let headers = unsafe { std::slice::from_raw_parts_mut(self.buffers.0, HEADERS) };
        header.put(headers);
        let in_out = &mut headers[IN_OUT_AT..];
        let before = RingEntInOut::get(in_out);
        RingEntInOut { payload_sz: len as u32, ..before }.put(in_out);
        self.carried.fetch_max(len, Ordering::Relaxed);
        Ok(())
    }
}

impl Port for Entry {
    fn send(&self, parts: &[IoSlice<'_>]) -> Result<(), SendError> {
        let Some((first, rest)) = parts.split_first() else { return Ok(()) };
        let Some(header) = OutHeader::decode(first) else { return Ok(()) };
        if header.unique != self.unique.load(Ordering::Relaxed)
            || self.marks.fetch_or(CLAIMED, Ordering::AcqRel) & CLAIMED != 0
        {
            return Err(SendError::Unknown);
        }
        if let Err(error) = self.write_reply(&header, &first[OutHeader::SIZE..], rest) {
            self.marks.fetch_and(!CLAIMED, Ordering::AcqRel);
            return Err(error);
        }
        if self.marks.fetch_or(ANSWERED, Ordering::AcqRel) & LEFT != 0 {
            self.handed.push(self.number);
        }
        Ok(())
    }
}

/// An entry with a request in it.
#[derive(Clone)]
pub(super) struct Arrived(pub Arc<Entry>);

impl Exchange for Arrived {
    fn frame(&self) -> Frame<'_> {
        let entry = &*self.0;
        // SAFETY: the request has not been answered, so nobody writes to the buffers: who sends
        // the reply holds no frame.
        unsafe {
            let headers = std::slice::from_raw_parts(entry.buffers.0, HEADERS);
            let len = InHeader::get(headers).len as usize;
            let payload = RingEntInOut::get(&headers[IN_OUT_AT..]).payload_sz as usize;
            let rest = std::slice::from_raw_parts(entry.buffers.payload(), payload.min(PAYLOAD));
            // What is neither header nor payload; one that makes no sense is found by `decode`.
            let fixed = len.saturating_sub(InHeader::SIZE + rest.len()).min(OP_IN_MAX);
            let fixed = &headers[OP_IN_AT..OP_IN_AT + fixed];
            Frame::pieces(&headers[..InHeader::SIZE], fixed, rest)
        }
    }

    fn port(&self) -> &dyn Port {
        &*self.0
    }

    fn keep(&self) -> Option<Box<dyn Exchange>> {
        if !self.0.queue.may_park() {
            return None;
        }
        self.0.queue.parked.fetch_add(1, Ordering::Relaxed);
        self.0.marks.fetch_or(KEPT, Ordering::AcqRel);
        Some(Box::new(self.clone()))
    }
}
