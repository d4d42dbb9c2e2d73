//! Counters per kind of request.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::abi::{OPCODE_LIMIT, op_name};

/// What happened to one kind of request so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpCount {
    /// The request's name, as in FUSE's header.
    pub name: &'static str,
    /// How many were answered.
    pub count: u64,
    /// Bytes of payload (data read or written, directory listings).
    pub bytes: u64,
    /// Nanoseconds from reading the request to having answered it; not the time it was parked.
    pub nanos: u64,
}

#[derive(Default)]
struct Cell {
    count: AtomicU64,
    bytes: AtomicU64,
    nanos: AtomicU64,
}

/// All counters of a session.
pub(crate) struct Counters(Box<[Cell]>);

impl Counters {
    pub fn new() -> Counters {
        Counters((0..OPCODE_LIMIT).map(|_| Cell::default()).collect())
    }

    pub fn add(&self, opcode: u32, bytes: u64, nanos: u64) {
        let Some(cell) = self.0.get(opcode as usize) else { return };
        cell.count.fetch_add(1, Ordering::Relaxed);
        cell.bytes.fetch_add(bytes, Ordering::Relaxed);
        cell.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    pub fn read(&self) -> Vec<OpCount> {
        let counts = self.0.iter().enumerate().filter_map(|(opcode, cell)| {
            Some(OpCount {
                name: op_name(opcode as u32)?,
                count: cell.count.load(Ordering::Relaxed),
                bytes: cell.bytes.load(Ordering::Relaxed),
                nanos: cell.nanos.load(Ordering::Relaxed),
            })
        });
        counts.filter(|count| count.count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_occurred_is_listed_by_name() {
        let counters = Counters::new();
        counters.add(crate::abi::op::WRITE, 100, 5);
        counters.add(crate::abi::op::WRITE, 20, 5);
        counters.add(9999, 1, 1);
        let expected = OpCount { name: "write", count: 2, bytes: 120, nanos: 10 };
        assert_eq!(counters.read(), [expected]);
    }
}
