//! Counters per kind of request.

/// What happened to one kind of request so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpCount {
    /// The request's name, as in FUSE's header.
    pub name: &'static str,
    /// How many were answered.
    pub count: u64,
    /// Bytes of payload (data read or written, directory listings).
    pub bytes: u64,
    /// Nanoseconds between reading the request and having answered it, waiting included.
    pub nanos: u64,
}
