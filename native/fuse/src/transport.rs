//! What the session needs of a connection to the kernel: implemented over read and write in
//! `classic.rs`, over buffers shared with the kernel in `uring.rs`.

use std::io::IoSlice;
use std::sync::Arc;

use crate::request::Frame;

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

/// A request that has arrived, and the way back for its reply.
pub(crate) trait Exchange: Send {
    /// The request. Not to be held while the reply is sent: both may be in the same place.
    fn frame(&self) -> Frame<'_>;
    /// Where the reply goes.
    fn port(&self) -> &dyn Port;
    /// The same for longer than the reader can wait; `None` when too many are kept already.
    fn keep(&self) -> Option<Box<dyn Exchange>>;
}

/// A request in one piece, in memory of its own or a reader's.
pub(crate) struct Message<Bytes> {
    /// The request.
    pub bytes: Bytes,
    /// Where its reply goes.
    pub port: Arc<dyn Port>,
}

impl<Bytes: AsRef<[u8]> + Send> Exchange for Message<Bytes> {
    fn frame(&self) -> Frame<'_> {
        Frame::whole(self.bytes.as_ref())
    }

    fn port(&self) -> &dyn Port {
        self.port.as_ref()
    }

    fn keep(&self) -> Option<Box<dyn Exchange>> {
        let bytes: Box<[u8]> = self.bytes.as_ref().into();
        Some(Box::new(Message { bytes, port: self.port.clone() }))
    }
}
