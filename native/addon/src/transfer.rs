//! Snapshots as one stream: exporting piece by piece, importing from a file or from bytes.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use devdev_pack::{ExportError, ImportError, ImportErrorKind, ImportOptions, Meta};
use devdev_pack::{export, export_tar, import, import_tar};
use devdev_vfs::api::Waiting;
use devdev_vfs::{Bytes as ChunkBytes, Chunk, Limits, Need};
use napi::Env;
use napi::bindgen_prelude::{AsyncTask, Either3, Object, Uint8Array};
use napi_derive::napi;

use crate::clock::system_time;
use crate::engine::{Engine, Time};
use crate::failed::{Failed, Thrown, caught};
use crate::feed::{FeedReader, ImportFeed};
use crate::registry::{TreeHandle, tree};
use crate::trees::add_tree;
use crate::values::Bytes;
use crate::work::{Pooled, long};

/// About how much a piece holds.
const PIECE: usize = 1 << 20;
/// Pieces made before JavaScript has taken the first.
const AHEAD: usize = 2;

/// What a stream says of its snapshot besides the tree.
#[napi(object)]
pub struct StreamMeta {
    pub name: String,
    pub message: String,
    pub created: Time,
}

impl From<StreamMeta> for Meta {
    fn from(meta: StreamMeta) -> Meta {
        Meta { name: meta.name, message: meta.message, created: meta.created.into() }
    }
}

impl From<Meta> for StreamMeta {
    fn from(meta: Meta) -> StreamMeta {
        let created = Time { secs: meta.created.secs, nanos: meta.created.nanos };
        StreamMeta { name: meta.name, message: meta.message, created }
    }
}

impl From<ExportError> for Failed {
    fn from(error: ExportError) -> Failed {
        let code = match error {
            ExportError::Io(_) => "EIO",
            ExportError::WrongBlock(_) => "ERR_CORRUPT",
            ExportError::Meta => "ERR_OUT_OF_RANGE",
        };
        // An errno's message is a step.
        let message = if code == "EIO" { "read".to_owned() } else { error.to_string() };
        Failed::new(code, message)
    }
}

impl From<ImportError> for Failed {
    fn from(error: ImportError) -> Failed {
        let code = match error.kind {
            ImportErrorKind::Io(_) => return Failed::new("EIO", "read"),
            ImportErrorKind::NotASnapshot => "ERR_IMPORT_NOT_A_SNAPSHOT",
            ImportErrorKind::NotAnArchive => "ERR_IMPORT_NOT_AN_ARCHIVE",
            ImportErrorKind::Version(_) => "ERR_IMPORT_VERSION",
            ImportErrorKind::Truncated => "ERR_IMPORT_TRUNCATED",
            ImportErrorKind::TooLarge(_) => "ERR_IMPORT_TOO_LARGE",
            ImportErrorKind::Corrupt(_) | ImportErrorKind::Digest => "ERR_IMPORT_CORRUPT",
        };
        Failed::new(code, error.to_string())
    }
}

type Piece = Result<Vec<u8>, Failed>;

/// An export under way: a thread makes pieces, JavaScript takes them. Dropped, the thread ends.
#[napi]
pub struct NativeExport {
    pieces: Arc<Mutex<Receiver<Piece>>>,
    skipped: Arc<AtomicU64>,
}

#[napi]
impl NativeExport {
    /// Starts exporting a tree: as a snapshot, or as a tar archive.
    #[napi(catch_unwind, factory)]
    pub fn start(number: u32, meta: Option<StreamMeta>, tar: bool) -> Result<NativeExport, Thrown> {
        let handle = tree(number)?;
        let format = if tar { None } else { Some(meta.map(Meta::from).unwrap_or_default()) };
        let skipped = Arc::new(AtomicU64::new(0));
        let skip = skipped.clone();
        let (sender, receiver) = sync_channel(AHEAD);
        let run = move || {
            if let Err(failed) = caught(|| write_all(&handle, format.as_ref(), &skip, &sender)) {
                // Refused when nobody takes pieces any more.
                let _ = sender.send(Err(failed));
            }
        };
        thread::Builder::new().name("devdev-export".to_owned()).spawn(run).map_err(Failed::from)?;
        Ok(NativeExport { pieces: Arc::new(Mutex::new(receiver)), skipped })
    }

    /// After the last piece: how many inodes the format has no place for.
    #[napi(catch_unwind)]
    pub fn skipped(&self) -> f64 {
        self.skipped.load(Ordering::Relaxed) as f64
    }

    /// The next piece; null after the last.
    #[napi(catch_unwind, ts_return_type = "Promise<Buffer | null>")]
    pub fn next(&self) -> AsyncTask<Pooled<Option<Bytes>>> {
        let pieces = self.pieces.clone();
        Pooled::task(move || {
            let piece = pieces.lock().unwrap_or_else(PoisonError::into_inner).recv();
            piece.ok().map(|piece| piece.map(Bytes)).transpose()
        })
    }
}

fn write_all(
    handle: &TreeHandle,
    meta: Option<&Meta>,
    skipped: &AtomicU64,
    sender: &SyncSender<Piece>,
) -> Result<(), Failed> {
    let store = handle.store().upgrade();
    let mut piece = Vec::with_capacity(PIECE);
    let send = |piece: Vec<u8>| {
        sender.send(Ok(piece)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    };
    let mut sink = |bytes: &[u8]| {
        piece.extend_from_slice(bytes);
        if piece.len() < PIECE {
            return Ok(());
        }
        send(std::mem::replace(&mut piece, Vec::with_capacity(PIECE)))
    };
    let fetch = |chunk: &Arc<Chunk>| fetch(store.as_deref(), chunk);
    match meta {
        Some(meta) => export(&handle.tree, meta, &fetch, &mut sink)?,
        None => {
            let left_out = export_tar(&handle.tree, &fetch, &mut sink)?;
            skipped.store(left_out, Ordering::Relaxed);
        }
    }
    Ok(send(piece)?)
}

// A block that was not in memory does not stay there for the sake of an export.
fn fetch(store: Option<&Engine>, chunk: &Arc<Chunk>) -> io::Result<ChunkBytes> {
    let missing = || io::Error::other("a block is in neither memory nor the store");
    if let Some(bytes) = chunk.bytes() {
        return Ok(bytes);
    }
    let store = store.ok_or_else(missing)?;
    let arrived = Waiting(&store.vfs).arrival(vec![Need::Block(chunk.clone())]);
    arrived.map_err(|errno| io::Error::other(errno.name()))?;
    let bytes = chunk.bytes().ok_or_else(missing);
    chunk.evict();
    bytes
}

/// How a snapshot is imported.
#[napi(object)]
pub struct ImportConfig {
    pub max_bytes: f64,
    pub max_inodes: f64,
    /// Who owns everything; the stream's owners when absent.
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// It is a tar archive, perhaps compressed; else the export format.
    pub tar: bool,
}

/// A tree that was imported.
#[napi(object)]
pub struct Imported {
    pub tree: u32,
    /// What its stream says of the snapshot; archives say nothing.
    pub meta: Option<StreamMeta>,
    /// Entries that were left out.
    pub skipped: f64,
}

/// Ends an import before it has read everything: that fails with ECANCELED then.
#[napi]
#[derive(Default)]
pub struct ImportCancel {
    cancelled: Arc<AtomicBool>,
}

#[napi]
impl ImportCancel {
    /// Of no import yet.
    #[napi(constructor)]
    pub fn new() -> ImportCancel {
        ImportCancel::default()
    }

    /// From now on nothing more is read.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// A source that fails once it is cancelled.
struct Cancellable<R> {
    inner: R,
    cancelled: Arc<AtomicBool>,
}

impl<R: Read> Read for Cancellable<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Not `Interrupted`, after which a reader tries again.
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(io::Error::other("cancelled"));
        }
        self.inner.read(buffer)
    }
}

/// Reads a snapshot from a file, from bytes or from what is fed, to its end or until it is
/// cancelled.
#[napi(catch_unwind, ts_return_type = "Promise<Imported>")]
pub fn import_tree<'env>(
    env: &'env Env,
    source: Either3<String, Uint8Array, &ImportFeed>,
    config: ImportConfig,
    cancel: &ImportCancel,
) -> Result<Object<'env>, Thrown> {
    let cancelled = cancel.cancelled.clone();
    let source = match source {
        Either3::A(path) => Either3::A(path),
        Either3::B(bytes) => Either3::B(bytes.to_vec()),
        Either3::C(feed) => Either3::C(feed.reader()?),
    };
    let options = ImportOptions {
        limits: Limits { bytes: config.max_bytes as u64, inodes: config.max_inodes as u64 },
        owner: config.uid.zip(config.gid),
    };
    long(env, "import", move || {
        let inner: Box<dyn Read> = match source {
            Either3::A(path) => Box::new(File::open(path).map_err(open_failed)?),
            Either3::B(bytes) => Box::new(io::Cursor::new(bytes)),
            Either3::C(reader) => Box::new(reader) as Box<FeedReader>,
        };
        let mut reader = BufReader::new(Cancellable { inner, cancelled: cancelled.clone() });
        let failed = |error: ImportError| {
            let done = cancelled.load(Ordering::Relaxed);
            if done { Failed::new("ECANCELED", "read") } else { error.into() }
        };
        let (tree, meta, skipped) = if config.tar {
            let (tree, skipped) =
                import_tar(&mut reader, options, system_time()).map_err(failed)?;
            (tree, None, skipped)
        } else {
            let (tree, meta) = import(&mut reader, options).map_err(failed)?;
            (tree, Some(meta.into()), 0)
        };
        Ok(Imported { tree: add_tree(tree, Weak::new()), meta, skipped: skipped as f64 })
    })
}

fn open_failed(error: io::Error) -> Failed {
    let code = match error.kind() {
        io::ErrorKind::NotFound => "ENOENT",
        io::ErrorKind::PermissionDenied => "EACCES",
        io::ErrorKind::NotADirectory => "ENOTDIR",
        _ => "EIO",
    };
    Failed::new(code, "open")
}
