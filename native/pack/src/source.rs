//! Reads an exported stream: values off the front, a running digest, and the position for
//! messages. Every length has a bound, and memory grows only with bytes that have arrived.

use std::fmt;
use std::io::{self, Read};

use devdev_vfs::Timespec;
use devdev_vfs::codec::Corrupt;

use crate::format::TRAILER;

/// Why a stream was refused.
#[derive(Debug)]
pub enum ImportErrorKind {
    /// Reading failed.
    Io(io::Error),
    /// It does not begin like an exported snapshot.
    NotASnapshot,
    /// It does not begin like a tar archive.
    NotAnArchive,
    /// It is of a version that is not known here.
    Version(u8),
    /// It ends too early.
    Truncated,
    /// What it says makes no sense.
    Corrupt(&'static str),
    /// It is larger than allowed.
    TooLarge(&'static str),
    /// Its bytes are not those that were written.
    Digest,
}

/// Why and where a stream was refused.
#[derive(Debug)]
pub struct ImportError {
    /// Offset of the value that is wrong.
    pub position: u64,
    /// What is wrong.
    pub kind: ImportErrorKind,
    /// What was read: "snapshot" or "archive".
    pub what: &'static str,
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ImportErrorKind::*;
        let what = self.what;
        match &self.kind {
            Io(error) => write!(f, "reading the {what} failed: {error}")?,
            NotASnapshot => write!(f, "this is not an exported {what}")?,
            NotAnArchive => f.write_str("this is not a tar archive")?,
            Version(version) => {
                write!(
                    f,
                    "the {what} has format version {version}, which this devdev can not read"
                )?;
            }
            Truncated => write!(f, "the {what} is cut short")?,
            Corrupt(reason) => write!(f, "the {what} is damaged: {reason}")?,
            TooLarge(reason) => write!(f, "the {what} is too large: {reason}")?,
            Digest => write!(f, "the {what} is damaged: its checksum is wrong")?,
        }
        write!(f, " (at byte {})", self.position)
    }
}

impl std::error::Error for ImportError {}

pub(crate) type Result<T> = std::result::Result<T, ImportError>;

const BUFFER: usize = 64 << 10;

pub(crate) struct Source<'a> {
    read: &'a mut dyn Read,
    buffer: Vec<u8>,
    at: usize,
    /// Position of the buffer's first byte.
    base: u64,
    /// Over all that lies before the buffer.
    digest: blake3::Hasher,
    /// Where the value began that is being read.
    start: u64,
    what: &'static str,
    /// Its compression ended early, which is not the end of what was compressed.
    cut: bool,
}

impl<'a> Source<'a> {
    pub(crate) fn new(read: &'a mut dyn Read, what: &'static str) -> Source<'a> {
        let digest = blake3::Hasher::new();
        Source { read, buffer: Vec::new(), at: 0, base: 0, digest, start: 0, what, cut: false }
    }

    pub(crate) fn damaged(&self) -> bool {
        self.cut
    }

    fn position(&self) -> u64 {
        self.base + self.at as u64
    }

    /// Errors are about what comes now.
    pub(crate) fn mark(&mut self) {
        self.start = self.position();
    }

    pub(crate) fn error(&self, kind: ImportErrorKind) -> ImportError {
        ImportError { position: self.start, kind, what: self.what }
    }

    pub(crate) fn corrupt(&self, reason: &'static str) -> ImportError {
        self.error(ImportErrorKind::Corrupt(reason))
    }

    pub(crate) fn check(&self, ok: bool, reason: &'static str) -> Result<()> {
        if ok { Ok(()) } else { Err(self.corrupt(reason)) }
    }

    /// Refuses what goes beyond a limit.
    pub(crate) fn limit(&self, ok: bool, reason: &'static str) -> Result<()> {
        if ok { Ok(()) } else { Err(self.error(ImportErrorKind::TooLarge(reason))) }
    }

    /// A flaw within bytes that were taken from `from` on.
    pub(crate) fn within(&self, from: u64, flaw: Corrupt) -> ImportError {
        let kind = ImportErrorKind::Corrupt(flaw.reason);
        ImportError { position: from + flaw.position, kind, what: self.what }
    }

    pub(crate) fn here(&self) -> u64 {
        self.position()
    }

    // False at the end of the stream.
    fn refill(&mut self) -> Result<bool> {
        self.digest.update(&self.buffer);
        self.base += self.buffer.len() as u64;
        self.at = 0;
        self.buffer.resize(BUFFER, 0);
        let got = loop {
            match self.read.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.buffer.clear();
                    // What `unpacked` makes of damage; files have no such errors.
                    self.cut = error.kind() == io::ErrorKind::UnexpectedEof;
                    return Err(self.error(match error.kind() {
                        io::ErrorKind::UnexpectedEof => ImportErrorKind::Truncated,
                        io::ErrorKind::InvalidData => ImportErrorKind::Corrupt("its compression"),
                        _ => ImportErrorKind::Io(error),
                    }));
                }
                Ok(got) => break got,
            }
        };
        self.buffer.truncate(got);
        Ok(got > 0)
    }

    pub(crate) fn byte(&mut self) -> Result<u8> {
        if self.at == self.buffer.len() && !self.refill()? {
            return Err(self.error(ImportErrorKind::Truncated));
        }
        self.at += 1;
        Ok(self.buffer[self.at - 1])
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(n.min(BUFFER));
        while bytes.len() < n {
            if self.at == self.buffer.len() && !self.refill()? {
                return Err(self.error(ImportErrorKind::Truncated));
            }
            let some = (self.buffer.len() - self.at).min(n - bytes.len());
            bytes.extend_from_slice(&self.buffer[self.at..self.at + some]);
            self.at += some;
        }
        Ok(bytes)
    }

    /// A number of at most `max`, with the one encoding it has (see `codec`).
    pub(crate) fn varint(&mut self, max: u64, reason: &'static str) -> Result<u64> {
        self.mark();
        let mut value = 0u64;
        for shift in (0..).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            self.check(shift < 63 || (shift == 63 && bits < 2), "a number has too many bits")?;
            self.check(byte != 0 || shift == 0, "a number has superfluous bytes")?;
            value |= bits << shift;
            if byte < 0x80 {
                break;
            }
        }
        self.check(value <= max, reason)?;
        Ok(value)
    }

    /// A byte string of at most `max` bytes.
    pub(crate) fn bytes(&mut self, max: usize, reason: &'static str) -> Result<Vec<u8>> {
        let len = self.varint(max as u64, reason)?;
        self.take(len as usize)
    }

    pub(crate) fn text(&mut self, max: usize, reason: &'static str) -> Result<String> {
        let bytes = self.bytes(max, reason)?;
        String::from_utf8(bytes).map_err(|_| self.corrupt("a text is not UTF-8"))
    }

    pub(crate) fn time(&mut self) -> Result<Timespec> {
        let secs = self.varint(u64::MAX, "")?;
        let secs = (secs >> 1) as i64 ^ -((secs & 1) as i64);
        let nanos = self.varint(999_999_999, "nanoseconds are out of range")? as u32;
        Ok(Timespec { secs, nanos })
    }

    /// The trailer, which must be the digest of all before it, and then the end.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.mark();
        let mut digest = self.digest.clone();
        digest.update(&self.buffer[..self.at]);
        let trailer = self.take(TRAILER)?;
        if *digest.finalize().as_bytes() != trailer[..] {
            return Err(self.error(ImportErrorKind::Digest));
        }
        self.mark();
        let at_end = self.at == self.buffer.len() && !self.refill()?;
        self.check(at_end, "bytes follow its end")
    }
}
