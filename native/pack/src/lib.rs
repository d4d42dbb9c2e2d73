//! Moves trees between the engine and bytes: compressing what a store lacks into buffers, and
//! snapshots as one portable stream or as a tar archive; and merges texts. Apart from the engine,
//! because it needs libraries.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod encoding;
mod export;
mod format;
mod import;
mod merge_text;
mod pace;
mod persist_job;
mod source;
mod tar_export;
mod tar_import;
mod tar_nodes;
mod tar_pax;
mod unpacked;

pub use encoding::{MAX_PAGE, RAW, UnpackError, ZSTD, unpack_block, unpack_page};
pub use export::{ExportError, Fetch, export};
pub use format::{MAGIC, MESSAGE_MAX, Meta, VERSION};
pub use import::{ImportOptions, import};
pub use merge_text::merge_text;
pub use pace::Pace;
pub use persist_job::{Packed, PersistError, PersistJob, content_id};
pub use source::{ImportError, ImportErrorKind};
pub use tar_export::export_tar;
pub use tar_import::import_tar;
