//! The primitive encodings that tree pages and exported snapshots share: variable-length
//! numbers, times, byte strings, and a reader that never panics and never trusts a length.
//!
//! Every value has exactly one encoding, so equal structures give equal bytes: a reader refuses
//! numbers with superfluous bytes.

use std::fmt;

use crate::attr::Timespec;

/// Why bytes are not what they should be, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Corrupt {
    /// What is wrong, as the end of a sentence.
    pub reason: &'static str,
    /// Offset of the first byte that is wrong, so far as one can be named.
    pub position: u64,
}

impl Corrupt {
    /// A flaw of a structure as a whole.
    pub fn whole(reason: &'static str) -> Corrupt {
        Corrupt { reason, position: 0 }
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "corrupt at byte {}: {}", self.position, self.reason)
    }
}

impl std::error::Error for Corrupt {}

/// Appends a number: seven bits a byte, least significant first, the top bit set on all but
/// the last.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a time: seconds in zigzag order (0, -1, 1, -2, ...), then nanoseconds.
pub fn put_time(out: &mut Vec<u8>, time: Timespec) {
    put_varint(out, ((time.secs << 1) ^ (time.secs >> 63)) as u64);
    put_varint(out, u64::from(time.nanos));
}

/// Appends the length of a byte string and the string.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Takes values off the front of a byte string.
#[derive(Clone)]
pub struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader of all of `data`.
    pub fn new(data: &'a [u8]) -> Reader<'a> {
        Reader { data, at: 0 }
    }

    /// How many bytes have been taken.
    pub fn position(&self) -> u64 {
        self.at as u64
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.data.len() - self.at
    }

    /// A flaw found at the present position.
    pub fn corrupt(&self, reason: &'static str) -> Corrupt {
        Corrupt { reason, position: self.position() }
    }

    /// Refuses what `ok` does not hold for.
    pub fn check(&self, ok: bool, reason: &'static str) -> Result<(), Corrupt> {
        if ok { Ok(()) } else { Err(self.corrupt(reason)) }
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Corrupt> {
        let bytes = self.data[self.at..].get(..n).ok_or(self.corrupt("it ends too early"))?;
        self.at += n;
        Ok(bytes)
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8, Corrupt> {
        Ok(self.take(1)?[0])
    }

    /// Two bytes, least significant first.
    pub fn u16(&mut self) -> Result<u16, Corrupt> {
        let bytes = self.take(2)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    /// Eight bytes, least significant first.
    pub fn u64(&mut self) -> Result<u64, Corrupt> {
        let mut value = [0; 8];
        value.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(value))
    }

    /// A hash.
    pub fn hash(&mut self) -> Result<[u8; 32], Corrupt> {
        let mut value = [0; 32];
        value.copy_from_slice(self.take(32)?);
        Ok(value)
    }

    /// A number of at most `max`.
    pub fn varint(&mut self, max: u64, reason: &'static str) -> Result<u64, Corrupt> {
        let start = self.clone();
        let mut value = 0u64;
        for shift in (0..).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            start.check(shift < 63 || (shift == 63 && bits < 2), "a number has too many bits")?;
            start.check(bits != 0 || byte != 0 || shift == 0, "a number has superfluous bytes")?;
            value |= bits << shift;
            if byte < 0x80 {
                break;
            }
        }
        start.check(value <= max, reason)?;
        Ok(value)
    }

    /// A number of at most 32 bits.
    pub fn u32(&mut self) -> Result<u32, Corrupt> {
        Ok(self.varint(u64::from(u32::MAX), "a number is out of range")? as u32)
    }

    /// The number of things that follow, each of which takes `size` bytes or more: so what is
    /// allocated for them is bounded by the bytes that are there.
    pub fn count(&mut self, size: usize) -> Result<usize, Corrupt> {
        let before = self.clone();
        let n = self.varint(u64::MAX, "")?;
        before.check(n <= (self.left() / size) as u64, "a count is larger than what follows")?;
        Ok(n as usize)
    }

    /// A time.
    pub fn time(&mut self) -> Result<Timespec, Corrupt> {
        let secs = self.varint(u64::MAX, "")?;
        let secs = (secs >> 1) as i64 ^ -((secs & 1) as i64);
        let nanos = self.varint(999_999_999, "nanoseconds are out of range")? as u32;
        Ok(Timespec { secs, nanos })
    }

    /// A byte string of `min..=max` bytes.
    pub fn bytes(
        &mut self,
        min: usize,
        max: usize,
        reason: &'static str,
    ) -> Result<&'a [u8], Corrupt> {
        let before = self.clone();
        let n = self.varint(max as u64, reason)? as usize;
        before.check(n >= min, reason)?;
        self.take(n)
    }

    /// Refuses bytes behind the end.
    pub fn finish(&self) -> Result<(), Corrupt> {
        self.check(self.left() == 0, "bytes follow its end")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_encoding() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), 1 << 63, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut reader = Reader::new(&out);
            assert_eq!(reader.varint(u64::MAX, ""), Ok(value));
            assert_eq!(reader.finish(), Ok(()));
            for cut in 0..out.len() {
                assert!(Reader::new(&out[..cut]).varint(u64::MAX, "").is_err());
            }
        }
        let refuse = |bytes: &[u8]| assert!(Reader::new(bytes).varint(u64::MAX, "").is_err());
        refuse(&[0x80, 0]);
        refuse(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]);
        refuse(&[0xff; 12]);
        assert_eq!(Reader::new(&[5]).varint(4, "big").unwrap_err().reason, "big");
    }

    #[test]
    fn times_survive() {
        for secs in [0, -1, 1, i64::MIN, i64::MAX, 1_700_000_000] {
            let time = Timespec { secs, nanos: 999_999_999 };
            let mut out = Vec::new();
            put_time(&mut out, time);
            assert_eq!(Reader::new(&out).time(), Ok(time));
        }
    }

    #[test]
    fn counts_are_bounded_by_what_follows() {
        assert_eq!(Reader::new(&[2, 0, 0, 0, 0]).count(2), Ok(2));
        assert!(Reader::new(&[3, 0, 0, 0, 0]).count(2).is_err());
    }
}
