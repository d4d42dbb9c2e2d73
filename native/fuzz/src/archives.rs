//! Tar archives from choices: mostly well formed, with names that lead out, entries that replace
//! each other, headers that lie, and what compression can get wrong.

use std::io::Write;

use crate::choices::Choices;

const BLOCK: usize = 512;
const NAMES: [&[u8]; 20] = [
    b"a",
    b"b",
    b"d",
    b"d/",
    b"d/a",
    b"d/b/c",
    b"./a",
    b"e/",
    b"l",
    b"l/x",
    b"/a",
    b"//d/../a",
    b"../x",
    b"",
    b".",
    b"/",
    b".devdev/home/x",
    b"a/b",
    b"\xff\xfe",
    &[b'n'; 100],
];
const KINDS: [u8; 24] = [
    b'0', b'0', b'0', b'0', b'0', b'0', b'5', b'5', b'5', b'1', b'1', b'2', b'2', b'x', b'x', b'g',
    b'L', b'K', b'S', b'6', b'3', b'7', b'V', 0,
];
const KEYS: [&str; 18] = [
    "path",
    "linkpath",
    "size",
    "mtime",
    "uid",
    "atime",
    "comment",
    "SCHILY.xattr.user.a",
    "SCHILY.xattr.security.b",
    "SCHILY.xattr.nonsense",
    "SCHILY.xattr.user.%3D",
    "GNU.sparse.map",
    "GNU.sparse.size",
    "GNU.sparse.major",
    "GNU.sparse.realsize",
    "GNU.sparse.offset",
    "GNU.sparse.numbytes",
    "GNU.sparse.name",
];
const VALUES: [&str; 16] = [
    "1",
    "0",
    "",
    "a",
    "d/x",
    "../x",
    "/etc/passwd",
    "1.5",
    "-7.000000001",
    "4294967295",
    "18446744073709551615",
    "0,4,8192,4",
    "0,4,2,4",
    "65535,1,131071,1",
    "99999",
    "x\0y",
];
/// An archive has no more entries than this.
const ENTRIES: usize = 200;

/// The archive that an input chooses.
pub(crate) fn archive(input: &[u8]) -> Vec<u8> {
    let mut choices = Choices(input);
    let mut out = Vec::new();
    let (packing, ending) = (choices.below(8), choices.below(8));
    for _ in 0..ENTRIES {
        if choices.is_empty() {
            break;
        }
        entry(&mut choices, &mut out);
    }
    match ending {
        7 => {}
        6 => out.resize(out.len() + BLOCK + 9, 0),
        5 => out.resize(out.len() + 8 * BLOCK, 7),
        _ => out.resize((out.len() + 2 * BLOCK).next_multiple_of(20 * BLOCK), 0),
    }
    pack(out, packing, &mut Choices(input))
}

// Compression into memory does not fail.
fn pack(plain: Vec<u8>, packing: usize, choices: &mut Choices<'_>) -> Vec<u8> {
    let mut packed = match packing {
        0..4 => return plain,
        4 | 6 => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            let _ = gzip.write_all(&plain);
            gzip.finish().unwrap_or_default()
        }
        _ => zstd::encode_all(&plain[..], 1).unwrap_or_default(),
    };
    if packing >= 6 {
        let at = choices.below(packed.len().max(1));
        if choices.one_in(2) { packed.truncate(at) } else { packed[at] ^= 1 << choices.below(8) }
    }
    packed
}

fn entry(choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    let kind = if choices.one_in(40) { choices.byte() } else { choices.pick(&KINDS) };
    let mut content = match kind {
        b'x' | b'g' => records(choices),
        b'L' | b'K' => long_name(choices),
        b'0' | b'S' | b'7' => vec![choices.byte(); choices.below(6000)],
        _ => Vec::new(),
    };
    if kind == b'0' && choices.one_in(5) {
        sparse(choices, &mut content, out);
    }
    let mut header = [0u8; BLOCK];
    let name = choices.pick(&NAMES);
    header[..name.len()].copy_from_slice(name);
    header[156] = kind;
    let link = choices.pick(&NAMES);
    if matches!(kind, b'1' | b'2') {
        header[157..157 + link.len()].copy_from_slice(link);
    }
    for (at, width) in [(100, 8), (108, 8), (116, 8), (136, 12), (329, 8), (337, 8)] {
        let value = u64::from(choices.byte());
        number(choices, &mut header[at..at + width], value);
    }
    let size = if choices.one_in(30) { choices.number() } else { content.len() as u64 };
    number(choices, &mut header[124..136], size);
    match choices.below(6) {
        0 => {}
        1 | 2 => header[257..265].copy_from_slice(b"ustar\x0000"),
        _ => header[257..265].copy_from_slice(b"ustar  \0"),
    }
    if kind == b'S' {
        old_map(choices, &mut header, content.len());
    }
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    if !choices.one_in(100) {
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }
    out.extend_from_slice(&header);
    out.extend_from_slice(&content);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
}

fn number(choices: &mut Choices<'_>, field: &mut [u8], value: u64) {
    let digits = format!("{value:0width$o}", width = field.len() - 1);
    if choices.one_in(20) || digits.len() >= field.len() {
        // Big-endian, with the top bit set.
        field.fill(0);
        let (n, bytes) = (field.len().min(8), value.to_be_bytes());
        let start = field.len() - n;
        field[start..].copy_from_slice(&bytes[8 - n..]);
        field[0] |= 0x80;
    } else {
        field[..digits.len()].copy_from_slice(digits.as_bytes());
    }
    if choices.one_in(60) {
        let at = choices.below(field.len());
        field[at] = choices.byte();
    }
}

fn record(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let fits = |len: &usize| len.to_string().len() + rest == *len;
    let len = (rest..rest + 9).find(fits).unwrap_or(rest);
    out.extend_from_slice(format!("{len} {key}=").as_bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn records(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..1 + choices.below(4) {
        let key = choices.pick(&KEYS);
        match choices.below(16) {
            0 => record(&mut out, key, &vec![b'v'; choices.below(3000)]),
            1 => record(&mut out, key, &"d/".repeat(choices.below(300)).into_bytes()),
            _ => record(&mut out, key, choices.pick(&VALUES).as_bytes()),
        }
    }
    if choices.one_in(30) {
        let at = choices.below(out.len());
        out[at] = choices.byte();
    }
    out
}

fn long_name(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut name = choices.pick(&NAMES).to_vec();
    if choices.one_in(3) {
        name.extend_from_slice(&b"/n".repeat(choices.below(300)));
    }
    name.push(0);
    name
}

// Offsets and lengths that mostly fit the data there is.
fn map(choices: &mut Choices<'_>, data: usize) -> Vec<(u64, u64)> {
    let (mut left, mut at, mut map) = (data, 0, Vec::new());
    for _ in 0..choices.below(6) {
        let len = if choices.one_in(2) { left } else { left / 2 };
        let offset = at + choices.pick(&[0, 1, 4096, 65535, 100_000]);
        map.push((offset, len as u64));
        (left, at) = (left - len, offset + len as u64);
    }
    map.push((at, left as u64));
    if choices.one_in(10) {
        let index = choices.below(map.len());
        map[index] = (choices.number(), choices.number());
    }
    map
}

// In one of the forms that pax has, with what announces it.
fn sparse(choices: &mut Choices<'_>, content: &mut Vec<u8>, out: &mut Vec<u8>) {
    let map = map(choices, content.len());
    let end = map.last().map_or(0, |(offset, len)| offset.saturating_add(*len)).to_string();
    let mut said = Vec::new();
    match choices.below(3) {
        0 => {
            record(&mut said, "GNU.sparse.major", b"1");
            record(&mut said, "GNU.sparse.realsize", end.as_bytes());
            let mut text = format!("{}\n", map.len());
            map.iter().for_each(|(offset, len)| text += &format!("{offset}\n{len}\n"));
            let mut front = text.into_bytes();
            front.resize(front.len().next_multiple_of(BLOCK), 0);
            content.splice(..0, front);
        }
        1 => {
            record(&mut said, "GNU.sparse.size", end.as_bytes());
            let all: Vec<_> = map.iter().map(|(offset, len)| format!("{offset},{len}")).collect();
            record(&mut said, "GNU.sparse.map", all.join(",").as_bytes());
        }
        _ => {
            record(&mut said, "GNU.sparse.size", end.as_bytes());
            for (offset, len) in map {
                record(&mut said, "GNU.sparse.offset", offset.to_string().as_bytes());
                record(&mut said, "GNU.sparse.numbytes", len.to_string().as_bytes());
            }
        }
    }
    let mut header = [0u8; BLOCK];
    header[..3].copy_from_slice(b"pax");
    header[156] = b'x';
    number(&mut Choices(&[]), &mut header[124..136], said.len() as u64);
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(&said);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
}

// GNU's oldest form: four extents in the header, and perhaps a promise of more.
fn old_map(choices: &mut Choices<'_>, header: &mut [u8; BLOCK], data: usize) {
    header[257..265].copy_from_slice(b"ustar  \0");
    let map = map(choices, data);
    for (slot, (offset, len)) in map.iter().take(4).enumerate() {
        let at = 386 + 24 * slot;
        number(choices, &mut header[at..at + 12], *offset);
        number(choices, &mut header[at + 12..at + 24], *len);
    }
    header[482] = u8::from(choices.one_in(20));
    let end = map.last().map_or(0, |(offset, len)| offset.saturating_add(*len));
    number(choices, &mut header[483..495], end);
}
