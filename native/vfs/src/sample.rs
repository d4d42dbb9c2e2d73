//! What tests and benchmarks of this crate and of others begin with (feature `sample`): workspaces
//! under a clock that stands still, and random trees: small alphabets, every file type, holes, hard
//! links.

use std::sync::Arc;

use crate::attr::{
    Caller, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, S_IFSOCK, Timespec,
};
use crate::builder::TreeBuilder;
use crate::chunk::{CHUNK_SIZE, Chunk, full_pages};
use crate::content::Content;
use crate::ids::Ino;
use crate::inode::{Body, Inode, Xattrs};
use crate::{Clock, Limits, Vfs, VfsOptions};

/// A clock that stands still.
pub struct Still;

impl Clock for Still {
    fn now(&self) -> Timespec {
        Timespec { secs: 1, nanos: 2 }
    }
}

/// An empty workspace that may take so many bytes, and more inodes than a test makes.
pub fn workspace(bytes: u64) -> Arc<Vfs> {
    Vfs::new(VfsOptions {
        clock: Arc::new(Still),
        limits: Limits { bytes, inodes: 1 << 24 },
        xattrs: true,
        owner: Caller::default(),
    })
}

/// A small generator of numbers (splitmix64); the tests print its seed.
pub struct Random(pub u64);

impl Random {
    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e3779b97f4a7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d049bb133111eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.number() % n
    }

    fn time(&mut self) -> Timespec {
        Timespec { secs: self.below(5) as i64 - 2, nanos: self.below(3) as u32 }
    }
}

/// A chunk of random length, with holes and zeros at its end now and then.
pub fn chunk(random: &mut Random) -> Arc<Chunk> {
    let most = if random.below(8) == 0 { CHUNK_SIZE } else { 9000 };
    let len = 1 + random.below(most) as usize;
    let seed = random.number();
    let mut bytes: Vec<u8> = (0..len).map(|n| (seed >> (n % 8 * 8)) as u8).collect();
    let mut present = full_pages(len);
    if random.below(3) == 0 {
        present &= random.number() as u16;
    }
    for (page, bytes) in bytes.chunks_mut(4096).enumerate() {
        if present >> page & 1 == 0 || random.below(6) == 0 {
            bytes.fill(0);
        }
    }
    Arc::new(Chunk::new(bytes, present))
}

/// A chunk map, and a length at or behind its end.
pub fn content(random: &mut Random) -> (Content, u64) {
    let mut content = Content::default();
    let chunks = [0, 1, 1, 1, 3, 30, 100][random.below(7) as usize];
    let spread = [1, 2, 50][random.below(3) as usize];
    let mut index = 0;
    for _ in 0..chunks {
        content.set(index, Some(chunk(random)));
        index += 1 + random.below(spread);
    }
    let end = content.last_chunk().map_or(0, |(n, c)| n * CHUNK_SIZE + c.len() as u64);
    (content, end + random.below(2) * random.below(CHUNK_SIZE * 3))
}

/// An inode of any type.
pub fn inode(random: &mut Random) -> Inode {
    let kinds =
        [S_IFREG, S_IFREG, S_IFREG, S_IFDIR, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK];
    let mode = kinds[random.below(10) as usize] | random.below(0o10000) as u32;
    let (uid, gid) = (random.below(3) as u32, random.below(3) as u32 * 100_000);
    let mut inode = Inode::new(Ino(0), mode, uid, gid, Ino(0), random.time());
    if random.below(2) == 0 {
        (inode.atime, inode.ctime, inode.btime) = (random.time(), random.time(), random.time());
    }
    if random.below(6) == 0 {
        let name = |n: u64| format!("user.{n}").into_bytes().into_boxed_slice();
        let xattrs: Xattrs = (0..1 + random.below(3))
            .map(|_| (name(random.below(9)), vec![1; random.below(9) as usize].into()))
            .collect();
        inode.xattrs = Some(Arc::new(xattrs));
    }
    match inode.kind() {
        S_IFREG => {
            let (content, size) = content(random);
            (inode.body, inode.size) = (Body::File(content), size);
        }
        S_IFLNK => inode.body = Body::Symlink(Arc::from(&b"a/b/c"[random.below(4) as usize..])),
        S_IFCHR | S_IFBLK => inode.rdev = random.below(1 << 32) as u32,
        _ => {}
    }
    inode
}

/// A tree of `inodes` inodes and a quarter as many hard links.
pub fn tree(random: &mut Random, inodes: u64) -> TreeBuilder {
    let mut builder = TreeBuilder::new();
    let (mut dirs, mut files) = (vec![Ino::ROOT, Ino::HOME], Vec::new());
    while builder.inodes() < inodes + 2 {
        let parent = dirs[random.below(dirs.len() as u64) as usize];
        let name = format!("n{}", random.below(inodes.max(4))).into_bytes();
        if !files.is_empty() && random.below(5) == 0 {
            let target = files[random.below(files.len() as u64) as usize];
            let _ = builder.link(parent, &name, target);
        } else {
            let inode = inode(random);
            let is_dir = inode.is_dir();
            if let Ok(ino) = builder.add(parent, &name, inode) {
                if is_dir { dirs.push(ino) } else { files.push(ino) }
            }
        }
    }
    builder
}
