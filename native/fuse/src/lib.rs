//! The FUSE bridge: ABI, host mounting, transport, session.
