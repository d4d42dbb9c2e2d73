//! How blocks and pages are kept: raw, or as one zstd frame when that saves an eighth.

use std::cell::RefCell;
use std::fmt;

use devdev_vfs::CHUNK_SIZE;
use zstd::bulk::{Compressor, Decompressor};

/// The bytes as they are.
pub const RAW: u8 = 0;
/// One zstd frame.
pub const ZSTD: u8 = 1;
/// The largest page that is unpacked: a directory of a hundred million entries stays below.
pub const MAX_PAGE: usize = 64 << 20;
/// Too little to gain below this.
const MIN_COMPRESSED: usize = 128;

/// Why packed bytes can not be unpacked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnpackError {
    /// The encoding is neither `RAW` nor `ZSTD`.
    Encoding,
    /// The raw length is larger than a block or page may be.
    TooLarge,
    /// The bytes do not unpack to the raw length.
    Damaged,
}

impl fmt::Display for UnpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnpackError::Encoding => "packed in a way that is not known here",
            UnpackError::TooLarge => "too large",
            UnpackError::Damaged => "does not unpack to the length it should have",
        })
    }
}

impl std::error::Error for UnpackError {}

/// Packs bytes at one level; keeps zstd's working memory between calls.
pub(crate) struct Packer(Compressor<'static>);

impl Packer {
    pub(crate) fn new(level: i32) -> Packer {
        // Fails for a level that does not exist, or without memory.
        let packer = Compressor::new(level);
        Packer(packer.unwrap_or_else(|e| panic!("zstd does not start at level {level}: {e}")))
    }

    /// Packs `raw` into the front of `out`, which has room for it; returns encoding and length.
    pub(crate) fn pack(&mut self, raw: &[u8], out: &mut [u8]) -> (u8, usize) {
        let limit = raw.len() - raw.len() / 8;
        if raw.len() >= MIN_COMPRESSED
            // An error says that it takes more room than this: not worth it.
            && let Ok(len) = self.0.compress_to_buffer(raw, &mut out[..limit])
        {
            return (ZSTD, len);
        }
        out[..raw.len()].copy_from_slice(raw);
        (RAW, raw.len())
    }
}

/// The bytes of a block, at most `CHUNK_SIZE` of them.
pub fn unpack_block(encoding: u8, bytes: &[u8], raw_len: usize) -> Result<Vec<u8>, UnpackError> {
    unpack(encoding, bytes, raw_len, CHUNK_SIZE as usize)
}

/// The bytes of a page, at most `MAX_PAGE` of them.
pub fn unpack_page(encoding: u8, bytes: &[u8], raw_len: usize) -> Result<Vec<u8>, UnpackError> {
    unpack(encoding, bytes, raw_len, MAX_PAGE)
}

thread_local! {
    // zstd's working memory is dearer to make than a block is to unpack.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> =
        RefCell::new(Decompressor::new().ok());
}

// Allocates `raw_len` bytes at most, whatever a frame says of itself.
fn unpack(encoding: u8, bytes: &[u8], raw_len: usize, max: usize) -> Result<Vec<u8>, UnpackError> {
    if raw_len > max {
        return Err(UnpackError::TooLarge);
    }
    let raw = match encoding {
        RAW => bytes.to_vec(),
        ZSTD => {
            let mut raw = vec![0; raw_len];
            let len = DECOMPRESSOR.with_borrow_mut(|decompressor| {
                decompressor.as_mut()?.decompress_to_buffer(bytes, &mut raw[..]).ok()
            });
            raw.truncate(len.ok_or(UnpackError::Damaged)?);
            raw
        }
        _ => return Err(UnpackError::Encoding),
    };
    if raw.len() == raw_len { Ok(raw) } else { Err(UnpackError::Damaged) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_bytes_come_back() {
        let mut packer = Packer::new(1);
        let mut out = vec![0; 1 << 16];
        let noise: Vec<u8> = blake3::Hasher::new().finalize_xof().take_vec(5000);
        for raw in [&[][..], b"short", &[7; 65536], &noise] {
            let (encoding, len) = packer.pack(raw, &mut out);
            assert_eq!(encoding, if raw.len() == 65536 { ZSTD } else { RAW });
            assert_eq!(unpack_block(encoding, &out[..len], raw.len()).unwrap(), raw);
        }
    }

    trait TakeVec {
        fn take_vec(self, len: usize) -> Vec<u8>;
    }

    impl TakeVec for blake3::OutputReader {
        fn take_vec(mut self, len: usize) -> Vec<u8> {
            let mut bytes = vec![0; len];
            self.fill(&mut bytes);
            bytes
        }
    }

    #[test]
    fn bombs_and_damage_are_refused() {
        let bomb = zstd::bulk::compress(&vec![0; 100 << 20], 1).unwrap();
        assert!(bomb.len() < 1 << 20);
        assert_eq!(unpack_block(ZSTD, &bomb, 100 << 20), Err(UnpackError::TooLarge));
        assert_eq!(unpack_block(ZSTD, &bomb, 65536), Err(UnpackError::Damaged));
        assert_eq!(unpack_page(ZSTD, &bomb, 1000), Err(UnpackError::Damaged));
        let small = zstd::bulk::compress(&[1; 1000], 1).unwrap();
        assert_eq!(unpack_block(ZSTD, &small, 1001), Err(UnpackError::Damaged));
        assert_eq!(unpack_block(ZSTD, &small[..small.len() - 1], 1000), Err(UnpackError::Damaged));
        assert_eq!(unpack_block(RAW, b"abc", 4), Err(UnpackError::Damaged));
        assert_eq!(unpack_block(2, b"abc", 3), Err(UnpackError::Encoding));
    }
}
