//! Moves trees between the engine and bytes: compressing what a store lacks into buffers, and
//! snapshots as one portable stream. Apart from the engine, because it needs zstd.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod encoding;
mod export;
mod format;
mod import;
mod pace;
mod persist_job;
mod source;

pub use encoding::{MAX_PAGE, RAW, UnpackError, ZSTD, unpack_block, unpack_page};
pub use export::{ExportError, Fetch, export};
pub use format::{MAGIC, MESSAGE_MAX, Meta, VERSION};
pub use import::{ImportOptions, import};
pub use pace::Pace;
pub use persist_job::{Packed, PersistError, PersistJob, content_id};
pub use source::{ImportError, ImportErrorKind};
