//! What the session needs of a connection to the kernel. Separate from `classic.rs`, because
//! a ring of shared buffers is to take its place for some workloads.

use std::io::IoSlice;
use std::sync::Arc;

/// What came of waiting for a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Received {
    /// So many bytes of a request are in the buffer.
    Request(usize),
    /// Nothing after all; wait again.
    Nothing,
    /// The connection is over.
    Ended,
}

/// Why a reply or notification did not arrive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SendError {
    /// Nobody waits for it (any more), or the kernel does not know the node.
    Unknown,
    /// The connection is over.
    Ended,
    /// The kernel refused the bytes, with this error number.
    Refused(i32),
}

/// Where one reader gets its requests.
pub(crate) trait Channel: Send {
    /// Waits for the next request.
    fn receive(&mut self, buffer: &mut [u8]) -> Received;
    /// Where the replies to its requests go.
    fn port(&self) -> Arc<dyn Port>;
}

/// Where replies to the requests of one channel go; usable from any thread.
pub(crate) trait Port: Send + Sync {
    /// Sends one reply or notification, header first.
    fn send(&self, parts: &[IoSlice<'_>]) -> Result<(), SendError>;
}
