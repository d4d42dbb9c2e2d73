//! Exported snapshots from choices: mostly well formed, with a right checksum, and with lies where
//! a reader believes something.

use devdev_vfs::codec::{put_bytes, put_time, put_varint};
use devdev_vfs::record::put_record;
use devdev_vfs::sample::{self, Random};
use devdev_vfs::{Ino, Inode, S_IFDIR, S_IFREG, Timespec};

use crate::choices::Choices;

const DEPTH: usize = 12;
const ENTRIES: usize = 300;
const CHUNK: u64 = 65536;

struct Stream<'a> {
    choices: Choices<'a>,
    out: Vec<u8>,
    /// Inodes and blocks so far.
    inodes: u64,
    blocks: Vec<u64>,
    entries: usize,
}

/// The stream that an input chooses.
pub(crate) fn stream(input: &[u8]) -> Vec<u8> {
    let choices = Choices(input);
    let mut stream = Stream { choices, out: Vec::new(), inodes: 0, blocks: Vec::new(), entries: 0 };
    stream.head();
    for _ in 0..2 {
        stream.record(S_IFDIR | 0o755);
        stream.directory(0);
    }
    stream.blocks();
    let Stream { mut choices, mut out, .. } = stream;
    if choices.one_in(20) {
        let at = choices.below(out.len());
        out[at] = choices.byte();
    }
    if !choices.one_in(40) {
        let digest = *blake3::hash(&out).as_bytes();
        out.extend_from_slice(&digest);
    }
    out
}

impl Stream<'_> {
    fn head(&mut self) {
        self.out.extend_from_slice(&devdev_pack::MAGIC);
        self.out.push(devdev_pack::VERSION + u8::from(self.choices.one_in(100)));
        let name = self.choices.pick(&["", "name", "n\u{e4}me"]);
        put_bytes(&mut self.out, name.as_bytes());
        put_bytes(&mut self.out, &vec![b'm'; self.choices.below(300)]);
        put_time(&mut self.out, Timespec { secs: i64::from(self.choices.byte()) - 9, nanos: 5 });
    }

    // A number, or seldom another one.
    fn number(&mut self, value: u64) {
        let value = if self.choices.one_in(120) { self.choices.number() } else { value };
        put_varint(&mut self.out, value);
    }

    fn record(&mut self, mode: u32) -> u32 {
        let mut random = Random(self.choices.byte().into());
        let mut inode = sample::inode(&mut random);
        if mode != 0 {
            let body = Inode::new(Ino(0), mode, 0, 0, Ino(0), inode.mtime).body;
            (inode.mode, inode.body) = (mode, body);
        }
        let mut record = Vec::new();
        put_record(&mut record, &inode, false);
        if self.choices.one_in(60) {
            let at = self.choices.below(record.len());
            record[at] = self.choices.byte();
        }
        put_bytes(&mut self.out, &record);
        inode.kind()
    }

    fn directory(&mut self, depth: usize) {
        let mut last = Vec::new();
        while !self.choices.is_empty() && self.entries < ENTRIES {
            self.entries += 1;
            let tag = self.choices.below(8);
            if tag == 0 {
                break;
            }
            let name = self.name(&mut last);
            if tag == 1 && self.inodes > 0 {
                self.out.push(2);
                put_bytes(&mut self.out, &name);
                let known = self.choices.below(self.inodes as usize) as u64;
                self.number(known);
                continue;
            }
            self.out.push(1);
            put_bytes(&mut self.out, &name);
            let kind = match self.choices.below(4) {
                0 => self.record(S_IFDIR | 0o755),
                1 => self.record(0),
                _ => self.record(S_IFREG | 0o644),
            };
            self.inodes += 1;
            match kind {
                S_IFREG => self.file(),
                S_IFDIR if depth < DEPTH => self.directory(depth + 1),
                S_IFDIR => self.out.push(0),
                _ => {}
            }
        }
        self.out.push(if self.choices.one_in(200) { self.choices.byte() } else { 0 });
    }

    // Mostly behind the last one.
    fn name(&mut self, last: &mut Vec<u8>) -> Vec<u8> {
        if self.choices.one_in(60) {
            let odd: [&[u8]; 7] = [b"", b".", b"..", b"a/b", b".devdev", b"a\0b", &[b'z'; 256]];
            return self.choices.pick(&odd).to_vec();
        }
        match last.last_mut() {
            Some(byte) if *byte < b'z' => *byte += 1,
            _ => last.push(b'a'),
        }
        last.clone()
    }

    fn file(&mut self) {
        let count = if self.choices.one_in(3) { self.choices.below(20) } else { 1 };
        let size = self.choices.below(100_000) as u64;
        self.number(size);
        self.number(count as u64);
        for _ in 0..count {
            let gap = self.choices.pick(&[0, 0, 0, 1, 63, 64, 1000]);
            self.number(gap);
            let len = self.choices.pick(&[CHUNK, 4096, 1, 100, 5000, 40_000]);
            self.number(len);
            let pages = len.div_ceil(4096);
            let full = if pages == 16 { u16::MAX } else { (1 << pages) - 1 };
            let present = match self.choices.below(6) {
                0 => 1,
                1 => full & u16::from_le_bytes([self.choices.byte(), self.choices.byte()]) | 1,
                _ => full,
            };
            self.out.extend_from_slice(&present.to_le_bytes());
            let known = self.blocks.len();
            let new = known == 0 || !self.choices.one_in(3);
            let block = if new { known } else { self.choices.below(known) };
            if new {
                self.blocks.push(len);
            } else {
                self.blocks[block] = self.blocks[block].min(len);
            }
            self.number(block as u64);
        }
    }

    fn blocks(&mut self) {
        let all = std::mem::take(&mut self.blocks);
        self.number(all.len() as u64);
        for (n, len) in all.into_iter().enumerate() {
            // Within the first page, which is there; no two are equal.
            let most = len.min(4000) as usize;
            let mut block = (n as u64 + 1).to_le_bytes().to_vec();
            block.truncate(most);
            block.resize(most.min(8 + self.choices.below(4000)), 7);
            while block.last() == Some(&0) {
                block.pop();
            }
            self.block(&block);
        }
    }

    fn block(&mut self, block: &[u8]) {
        let packed = zstd::encode_all(block, 1).unwrap_or_default();
        if packed.len() < block.len() && self.choices.one_in(2) {
            self.out.push(1);
            self.number(block.len() as u64);
            self.number(packed.len() as u64);
            self.out.extend_from_slice(&packed);
        } else {
            self.out.push(if self.choices.one_in(100) { self.choices.byte() } else { 0 });
            self.number(block.len() as u64);
            self.out.extend_from_slice(block);
        }
    }
}
