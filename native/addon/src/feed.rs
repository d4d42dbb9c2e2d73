//! Bytes for an import that come piece by piece from JavaScript: a pipe between it and the thread
//! that reads. Separate from the import, which does not care where its bytes come from.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use napi::bindgen_prelude::{AsyncTask, Uint8Array};
use napi_derive::napi;

use crate::failed::Thrown;
use crate::work::Pooled;

/// Pieces that wait for the reader.
const AHEAD: usize = 4;

/// What an import reads from.
#[napi]
pub struct ImportFeed {
    sender: Mutex<Option<SyncSender<Vec<u8>>>>,
    receiver: Mutex<Option<Receiver<Vec<u8>>>>,
}

#[napi]
impl ImportFeed {
    /// For one import.
    #[napi(constructor)]
    #[allow(clippy::new_without_default)] // JavaScript makes it, nobody else.
    pub fn new() -> ImportFeed {
        let (sender, receiver) = sync_channel(AHEAD);
        ImportFeed { sender: Mutex::new(Some(sender)), receiver: Mutex::new(Some(receiver)) }
    }

    /// Hands a piece over, when there is room for it; false when nobody reads any more.
    #[napi(catch_unwind, ts_return_type = "Promise<boolean>")]
    pub fn push(&self, piece: Uint8Array) -> AsyncTask<Pooled<bool>> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let piece = piece.to_vec();
        Pooled::task(move || Ok(sender.is_some_and(|sender| sender.send(piece).is_ok())))
    }

    /// No more comes.
    #[napi(catch_unwind)]
    pub fn end(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl ImportFeed {
    /// Its other end, once.
    pub fn reader(&self) -> Result<FeedReader, Thrown> {
        let receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        let taken = || Thrown::new("ERR_INTERNAL".to_owned(), "a feed is read twice".to_owned());
        Ok(FeedReader { receiver: receiver.ok_or_else(taken)?, piece: Vec::new(), at: 0 })
    }
}

/// What was fed, as a stream.
pub struct FeedReader {
    receiver: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
}

impl Read for FeedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            let Ok(next) = self.receiver.recv() else { return Ok(0) };
            (self.piece, self.at) = (next, 0);
        }
        let n = buffer.len().min(self.piece.len() - self.at);
        buffer[..n].copy_from_slice(&self.piece[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}
