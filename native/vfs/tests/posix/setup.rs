//! A workspace with a ticking clock, and short forms of its operations.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use devdev_vfs::{
    Attr, Caller, Clock, Errno, Hold, Limits, NodeId, Outcome, ReadPiece, RenameFlags, SetAttr,
    Timespec, Vfs, VfsOptions, Waitable, WriteFlags,
};

pub const ROOT: NodeId = NodeId::ROOT;
pub const USER: Caller = Caller { uid: 1000, gid: 100, pid: 0 };
pub const PLAIN: RenameFlags = RenameFlags { noreplace: false, exchange: false, whiteout: None };
pub const NOREPLACE: RenameFlags = RenameFlags { noreplace: true, exchange: false, whiteout: None };
pub const EXCHANGE: RenameFlags = RenameFlags { noreplace: false, exchange: true, whiteout: None };

/// Each reading is a second later than the one before.
pub struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> Timespec {
        Timespec { secs: self.0.fetch_add(1, Ordering::Relaxed), nanos: 5 }
    }
}

pub struct Fs(pub Arc<Vfs>);

impl std::ops::Deref for Fs {
    type Target = Vfs;
    fn deref(&self) -> &Vfs {
        &self.0
    }
}

pub fn options() -> VfsOptions {
    VfsOptions {
        clock: Arc::new(Ticks(AtomicI64::new(1))),
        limits: Limits { bytes: 1 << 40, inodes: 1 << 20 },
        xattrs: true,
        owner: Caller::default(),
    }
}

pub fn fs() -> Fs {
    Fs(Vfs::new(options()))
}

pub fn limited(pages: u64, inodes: u64) -> Fs {
    // Memory beside content is held against the limits of all engines of the process: one that
    // takes nothing leaves room for what other tests have not freed yet.
    static ROOMY: OnceLock<Fs> = OnceLock::new();
    ROOMY.get_or_init(fs);
    Fs(Vfs::new(VfsOptions { limits: Limits { bytes: pages * 4096, inodes }, ..options() }))
}

pub fn done<T>(outcome: Waitable<T>) -> Result<T, Errno> {
    match outcome? {
        Outcome::Done(value) => Ok(value),
        Outcome::Wait(_) => panic!("waits for the store"),
    }
}

impl Fs {
    pub fn file(&self, parent: NodeId, name: &str) -> NodeId {
        self.mknod(parent, name.as_bytes(), 0o644, 0, USER, Hold::None).unwrap().attr.node
    }

    /// So many files with numbered names.
    pub fn files(&self, parent: NodeId, prefix: &str, count: u32) {
        for n in 0..count {
            self.file(parent, &format!("{prefix}{n}"));
        }
    }

    pub fn dir(&self, parent: NodeId, name: &str) -> NodeId {
        Vfs::mkdir(self, parent, name.as_bytes(), 0o755, USER, Hold::None).unwrap().attr.node
    }

    pub fn find(&self, parent: NodeId, name: &str) -> Result<NodeId, Errno> {
        done(self.lookup(parent, name.as_bytes(), Hold::None)).map(|entry| entry.attr.node)
    }

    pub fn put(&self, node: NodeId, offset: u64, data: &[u8]) -> Result<u64, Errno> {
        done(self.write(node, offset, data, WriteFlags::default()))
    }

    pub fn set(&self, node: NodeId, set: SetAttr) -> Result<Attr, Errno> {
        done(self.setattr(node, &set))
    }

    pub fn resize(&self, node: NodeId, size: u64) -> Result<Attr, Errno> {
        self.set(node, SetAttr { size: Some(size), ..SetAttr::default() })
    }

    pub fn attr(&self, node: NodeId) -> Attr {
        self.getattr(node).unwrap()
    }

    pub fn bytes(&self, node: NodeId) -> Vec<u8> {
        self.part(node, 0, 1 << 30)
    }

    pub fn part(&self, node: NodeId, offset: u64, len: usize) -> Vec<u8> {
        let mut all = Vec::new();
        for piece in done(self.read(node, offset, len)).unwrap() {
            match piece {
                ReadPiece::Data { bytes, start, len } => all.extend(&bytes[start..start + len]),
                ReadPiece::Zero(n) => all.resize(all.len() + n, 0),
            }
        }
        all
    }

    pub fn list(&self, dir: NodeId) -> Vec<String> {
        let mut names = Vec::new();
        let mut visit = |entry: devdev_vfs::DirEntry<'_>| {
            names.push(String::from_utf8(entry.name.to_vec()).unwrap());
            true
        };
        self.readdir(dir, 2, &mut visit).unwrap();
        names.sort();
        names
    }

    pub fn check(&self) {
        assert_eq!(self.check_invariants(), Ok(()));
    }
}
