//! Archives may come compressed: recognised by their first bytes and unpacked on the fly. Separate
//! because damage of the compression must be told from a source that can not be read.

use std::cell::Cell;
use std::io::{self, Cursor, Read};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

/// A source that notes its own failures.
struct Raw<'a> {
    read: &'a mut dyn Read,
    failed: Rc<Cell<bool>>,
}

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.read.read(buffer);
        let failed = |error: &io::Error| error.kind() != io::ErrorKind::Interrupted;
        self.failed.set(self.failed.get() || result.as_ref().is_err_and(failed));
        result
    }
}

struct Unpacked<'a> {
    decoder: Box<dyn Read + 'a>,
    failed: Rc<Cell<bool>>,
}

impl Read for Unpacked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(buffer).map_err(|error| match error.kind() {
            _ if self.failed.get() => error,
            io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof => error,
            _ => io::Error::new(io::ErrorKind::InvalidData, error),
        })
    }
}

/// The bytes of an archive, whether it is compressed (gzip, zstd) or not.
pub(crate) fn unpacked<'a>(read: &'a mut dyn Read) -> io::Result<Box<dyn Read + 'a>> {
    let mut head = Vec::new();
    Read::take(&mut *read, 4).read_to_end(&mut head)?;
    let failed = Rc::new(Cell::new(false));
    let (gzip, zstd) = (head.starts_with(&[0x1f, 0x8b]), head == [0x28, 0xb5, 0x2f, 0xfd]);
    let whole = Cursor::new(head).chain(Raw { read, failed: failed.clone() });
    let decoder: Box<dyn Read + 'a> = match (gzip, zstd) {
        (true, _) => Box::new(MultiGzDecoder::new(whole)),
        (_, true) => Box::new(zstd::stream::read::Decoder::new(whole)?),
        _ => return Ok(Box::new(whole)),
    };
    Ok(Box::new(Unpacked { decoder, failed }))
}
