//! The values of tar archives: records of extended headers (pax), numbers of header fields, times.
//! Separate from reading and writing, which must agree on them.

use devdev_vfs::Timespec;
use devdev_vfs::codec::Corrupt;

/// Prefix of records with an extended attribute.
pub(crate) const XATTR: &[u8] = b"SCHILY.xattr.";
const SPARSE: &[u8] = b"GNU.sparse.";
const KEYS: [&[u8]; 8] =
    [b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime", b"atime", b"ctime"];

fn flaw(reason: &'static str) -> Corrupt {
    Corrupt { position: 0, reason }
}

/// The records of extended headers, in their order.
#[derive(Clone, Default)]
pub(crate) struct Pax(pub Vec<(Vec<u8>, Vec<u8>)>);

impl Pax {
    pub(crate) fn set(&mut self, key: &[u8], value: impl AsRef<[u8]>) {
        self.0.push((key.to_vec(), value.as_ref().to_vec()));
    }

    /// The last value of a key; an empty one takes back those before it.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let last = self.0.iter().rev().find(|record| record.0 == key)?;
        Some(&last.1[..]).filter(|value| !value.is_empty())
    }

    /// A decimal number without a sign.
    pub(crate) fn number(&self, key: &[u8]) -> Result<Option<u64>, Corrupt> {
        self.get(key).map(decimal).transpose()
    }

    pub(crate) fn time(&self, key: &[u8]) -> Result<Option<Timespec>, Corrupt> {
        self.get(key).map(|value| time(value).ok_or(flaw("a time makes no sense"))).transpose()
    }

    /// "length key=value\n" each, the length being that of the whole record.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (key, value) in &self.0 {
            let rest = key.len() + value.len() + 3;
            let digits = |n: usize| n.to_string().len();
            let mut len = rest + digits(rest);
            len = rest + digits(len);
            out.extend_from_slice(format!("{len} ").as_bytes());
            out.extend_from_slice(key);
            out.push(b'=');
            out.extend_from_slice(value);
            out.push(b'\n');
        }
        out
    }

    /// Adds the records of an extended header, as far as they say something that is kept.
    pub(crate) fn parse(&mut self, mut bytes: &[u8]) -> Result<(), Corrupt> {
        let broken = flaw("an extended header's record is broken");
        while !bytes.is_empty() {
            let space = bytes.iter().take(20).position(|b| *b == b' ').ok_or(broken)?;
            let len = decimal(&bytes[..space])?;
            let len = usize::try_from(len).ok().filter(|len| *len <= bytes.len()).ok_or(broken)?;
            let record = bytes.get(space + 1..len).and_then(|r| r.strip_suffix(b"\n"));
            let record = record.ok_or(broken)?;
            let equals = record.iter().position(|b| *b == b'=').ok_or(broken)?;
            let key = &record[..equals];
            if KEYS.contains(&key) || key.starts_with(XATTR) || key.starts_with(SPARSE) {
                self.set(key, &record[equals + 1..]);
            }
            bytes = &bytes[len..];
        }
        Ok(())
    }
}

/// A decimal number of at most 19 digits.
pub(crate) fn decimal(text: &[u8]) -> Result<u64, Corrupt> {
    let digits = !text.is_empty() && text.len() < 20 && text.iter().all(u8::is_ascii_digit);
    let value = text.iter().fold(0u64, |n, b| n.wrapping_mul(10) + u64::from(b.wrapping_sub(48)));
    if digits { Ok(value) } else { Err(flaw("a number of an extended header makes no sense")) }
}

// Seconds with a sign and a fraction.
fn time(text: &[u8]) -> Option<Timespec> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut parts = text.splitn(2, |b| *b == b'.');
    let secs = i64::try_from(decimal(parts.next()?).ok()?).ok()?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |n: usize| u32::from(fraction.get(n).map_or(0, |b| b - b'0'));
    let nanos = (0..9).fold(0, |nanos, n| nanos * 10 + digit(n));
    Some(match (negative, nanos) {
        (false, _) => Timespec { secs, nanos },
        (true, 0) => Timespec { secs: -secs, nanos },
        (true, _) => Timespec { secs: -secs - 1, nanos: 1_000_000_000 - nanos },
    })
}

/// The other way: without a fraction where there is none.
pub(crate) fn time_text(time: Timespec) -> String {
    let Timespec { secs, nanos } = time;
    match (secs < 0, nanos) {
        (_, 0) => secs.to_string(),
        (false, _) => format!("{secs}.{nanos:09}"),
        (true, _) => format!("-{}.{:09}", -(secs + 1), 1_000_000_000 - nanos),
    }
}

/// A header's number: octal digits between spaces and NULs, or with the top bit set big-endian
/// and signed. A field without digits is 0.
pub(crate) fn field(bytes: &[u8]) -> Option<i64> {
    if let [first @ (0x80 | 0xff), rest @ ..] = bytes {
        let start: i128 = if *first == 0xff { -1 } else { 0 };
        let value = rest.iter().fold(start, |n, b| n << 8 | i128::from(*b));
        return i64::try_from(value).ok();
    }
    let blank = |b: &u8| matches!(b, b' ' | 0);
    let digits = bytes.iter().skip_while(|b| blank(b)).take_while(|b| !blank(b));
    digits.copied().try_fold(0i64, |n, b| match b {
        b'0'..=b'7' => n.checked_mul(8)?.checked_add(i64::from(b - b'0')),
        _ => None,
    })
}

/// Names of xattrs in keys: "=" and "%" are escaped, as GNU tar does.
pub(crate) fn xattr_key(name: &[u8]) -> Vec<u8> {
    let mut key = XATTR.to_vec();
    for byte in name {
        match byte {
            b'=' => key.extend_from_slice(b"%3D"),
            b'%' => key.extend_from_slice(b"%25"),
            _ => key.push(*byte),
        }
    }
    key
}

/// The other way.
pub(crate) fn xattr_name(mut key: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(key.len());
    while let [first, rest @ ..] = key {
        (key, _) = match key {
            [b'%', b'3', b'D', rest @ ..] => (rest, name.push(b'=')),
            [b'%', b'2', b'5', rest @ ..] => (rest, name.push(b'%')),
            _ => (rest, name.push(*first)),
        };
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back() {
        let mut pax = Pax::default();
        // Around the lengths at which the length itself gets one more digit.
        for n in (0..20).chain(80..110).chain(980..1010) {
            pax.set(format!("SCHILY.xattr.{n}").as_bytes(), vec![b'\n'; n]);
        }
        let mut copy = Pax::default();
        copy.parse(&pax.bytes()).unwrap();
        assert_eq!(copy.0, pax.0);
        let value = |n: u32| copy.get(format!("SCHILY.xattr.{n}").as_bytes());
        assert!(value(0).is_none() && value(1) == Some(b"\n"));
        let mut others = Pax::default();
        others.parse(b"12 comment=\n12 path=a/b\n12 comment=\n").unwrap();
        assert_eq!(others.0, [(b"path".to_vec(), b"a/b".to_vec())]);
        for broken in ["", "5", "x a=b\n", "7 a=b\n", "5 a=b\n", "6 ab=\n\n", "6 abc\n", "0 a=b\n"]
        {
            assert_eq!(Pax::default().parse(broken.as_bytes()).is_ok(), broken.is_empty());
        }
    }

    #[test]
    fn times_come_back() {
        for (secs, nanos) in [(0, 0), (1, 5), (-1, 0), (-1, 999_999_999), (-5, 1), (1 << 40, 7)] {
            let time = Timespec { secs, nanos };
            assert_eq!(super::time(time_text(time).as_bytes()), Some(time));
        }
        assert_eq!(time_text(Timespec { secs: -2, nanos: 500_000_000 }), "-1.500000000");
        for bad in ["", "-", "x", "1.x", "99999999999999999999", "--1"] {
            assert_eq!(super::time(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn fields_are_octal_or_binary() {
        for (bytes, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   17 \0", Some(15)),
            (b"\0\0\0\0", Some(0)),
            (b"12a\0", None),
            (b"-1\0", None),
            (&[0x80, 0, 1, 0], Some(256)),
            (&[0xff; 12], Some(-1)),
            (&[0x80, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0], None),
        ] {
            assert_eq!(field(bytes), value, "{}", bytes.escape_ascii());
        }
        assert_eq!(xattr_name(&xattr_key(b"user.a=b%3D")[XATTR.len()..]), b"user.a=b%3D");
    }
}
