//! The engine and the model side by side: one random operation at a time on both.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock, mpsc};

use devdev_vfs::{
    BlockHash, Body, Caller, Clock, Errno, Hold, Limits, Loader, NeedKey, NodeId, Outcome,
    ReadPiece, RenameFlags, Result, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, SetAttr, SetTime, SetXattr,
    Timespec, Tree, Vfs, VfsOptions, Waitable, Whence, WriteFlags, block_bytes, changed_inodes,
    sample,
};

use crate::model::{CHUNK, Content, Model, Node, PAGE, What, pages_of};

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "long-name-of-some-length", "ü"];
const ODD_NAMES: [&str; 5] = [".", "..", "", "x/y", ".devdev"];
const XATTRS: [&str; 5] =
    ["user.one", "user.two", "trusted.t", "security.capability", "system.posix_acl_access"];

/// Splitmix64.
pub struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e3779b97f4a7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d049bb133111eb);
        (z ^ (z >> 31)) % n
    }

    fn chance(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize].clone()
    }
}

pub struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timespec {
        Timespec { secs: self.0.load(Ordering::Relaxed), nanos: 7 }
    }
}

pub struct Asked(parking_lot::Mutex<Vec<NeedKey>>);

impl Loader for Asked {
    fn load(&self, keys: &[NeedKey]) {
        self.0.lock().extend_from_slice(keys);
    }
}

type FrozenPair = (Arc<Tree>, BTreeMap<NodeId, Node>);

pub struct World {
    pub vfs: Arc<Vfs>,
    pub clock: Arc<Hand>,
    pub asked: Arc<Asked>,
    store: HashMap<BlockHash, Vec<u8>>,
    pub model: Model,
    pub random: Random,
    frozen: Vec<FrozenPair>,
    /// Nodes that were there at some time, live or not.
    pub known: Vec<NodeId>,
    pub log: VecDeque<String>,
    steps: u64,
}

fn base(mode: u32) -> Node {
    Node {
        mode: S_IFDIR | mode,
        uid: 0,
        gid: 0,
        nlink: 2,
        rdev: 0,
        times: [0; 4],
        xattrs: BTreeMap::new(),
        parent: NodeId::ROOT,
        what: What::Dir(BTreeMap::new()),
    }
}

// Memory beside content is held against the limits of all engines of a process, those of other
// tests as well, whose trees may take longer to be freed than they live: an engine that takes
// nothing makes sure that only the limits that the model knows are ever in the way.
fn make_room() {
    static ROOMY: OnceLock<Arc<Vfs>> = OnceLock::new();
    ROOMY.get_or_init(|| sample::workspace(1 << 40));
}

impl World {
    pub fn new(seed: u64, pages: u64, inodes: u64) -> World {
        make_room();
        let clock = Arc::new(Hand(AtomicI64::new(0)));
        let vfs = Vfs::new(VfsOptions {
            clock: clock.clone(),
            limits: Limits { bytes: pages * PAGE, inodes },
            xattrs: true,
            owner: Caller::default(),
        });
        let asked = Arc::new(Asked(parking_lot::Mutex::default()));
        vfs.set_loader(Some(asked.clone()));
        let bases = [(NodeId::ROOT, 0o755), (NodeId::HOME, 0o755), (NodeId::TMP, 0o1777)];
        let model = Model {
            nodes: bases.into_iter().map(|(id, mode)| (id, base(mode))).collect(),
            held: BTreeMap::new(),
            generations: BTreeMap::new(),
            max_pages: pages,
            max_inodes: inodes,
            now: 0,
        };
        World {
            vfs,
            clock,
            asked,
            store: HashMap::new(),
            model,
            random: Random(seed),
            frozen: Vec::new(),
            known: vec![NodeId::ROOT, NodeId::HOME, NodeId::TMP],
            log: VecDeque::new(),
            steps: 0,
        }
    }

    fn note(&mut self, text: String) {
        if self.log.len() == 40 {
            self.log.pop_front();
        }
        self.log.push_back(format!("{}: {text}", self.steps));
    }

    // Compares what came of an operation; shows the last ones when it differs.
    pub fn expect<T: PartialEq + std::fmt::Debug>(&self, engine: T, model: T) {
        if engine != model {
            let log: Vec<_> = self.log.iter().map(String::as_str).collect();
            panic!("{}\nengine: {engine:?}\nmodel:  {model:?}", log.join("\n"));
        }
    }

    // Does an operation until it no longer waits, bringing what it waits for.
    fn settle<T>(&self, op: impl Fn(&Vfs) -> Waitable<T>) -> Result<T> {
        loop {
            let needs = match op(&self.vfs)? {
                Outcome::Done(done) => return Ok(done),
                Outcome::Wait(needs) => needs,
            };
            assert!(!needs.is_empty());
            let (tell, told) = mpsc::channel();
            self.vfs.wait_for(needs, Box::new(move |outcome| tell.send(outcome).unwrap()));
            for key in std::mem::take(&mut *self.asked.0.lock()) {
                let NeedKey::Block(hash) = key else { panic!("no snapshot is listed") };
                self.vfs.supply_block(hash, self.store[&hash].clone());
            }
            assert_eq!(told.try_recv(), Ok(Ok(())));
        }
    }

    fn name(&mut self) -> Vec<u8> {
        if self.random.chance(60) {
            let long = 250 + self.random.below(10) as usize;
            return if self.random.chance(2) {
                vec![b'n'; long]
            } else {
                self.random.pick(&ODD_NAMES).into()
            };
        }
        self.random.pick(&NAMES).into()
    }

    // Mostly a directory that is there.
    fn dir(&mut self) -> NodeId {
        if self.random.chance(20) {
            return self.random.pick(&self.known);
        }
        let dirs = self.model.nodes.iter().filter(|(_, node)| node.is_dir());
        let dirs: Vec<_> = dirs.map(|(id, _)| *id).collect();
        self.random.pick(&dirs)
    }

    fn node(&mut self) -> NodeId {
        if self.random.chance(15) {
            return self.random.pick(&self.known);
        }
        let all: Vec<_> = self.model.nodes.keys().copied().collect();
        self.random.pick(&all)
    }

    fn file(&mut self) -> NodeId {
        let files = self.model.nodes.iter().filter(|(_, node)| node.content().is_ok());
        let files: Vec<_> = files.map(|(id, _)| *id).collect();
        if files.is_empty() || self.random.chance(20) {
            self.node()
        } else {
            self.random.pick(&files)
        }
    }

    fn offset(&mut self) -> u64 {
        match self.random.below(6) {
            0 => 0,
            1 => self.random.below(4) * CHUNK,
            2 => self.random.below(40) * PAGE,
            3 => self.random.below(4) * CHUNK + self.random.below(3 * PAGE),
            _ => self.random.below(20_000),
        }
    }

    fn length(&mut self) -> u64 {
        match self.random.below(8) {
            0 => self.random.below(3) * CHUNK,
            1 => self.random.below(3 * CHUNK),
            2 => self.random.below(5) * PAGE,
            _ => self.random.below(9000),
        }
    }

    fn caller(&mut self) -> Caller {
        Caller { uid: self.random.below(2) as u32, gid: self.random.below(3) as u32, pid: 0 }
    }

    pub fn step(&mut self) {
        self.steps += 1;
        self.model.now = self.steps as i64;
        self.clock.0.store(self.model.now, Ordering::Relaxed);
        match self.random.below(40) {
            0..=6 => self.create(),
            7 => self.tmpfile(),
            8..=9 => self.link(),
            10..=12 => self.remove(),
            13..=16 => self.rename(),
            17..=22 => self.write(),
            23..=24 => self.read(),
            25..=26 => self.setattr(),
            27..=28 => self.fallocate(),
            29 => self.seek(),
            30..=31 => self.copy(),
            32 => self.xattr(),
            33..=35 => self.lookup(),
            36..=37 => self.forget(),
            38 if self.random.chance(3) => self.freeze(),
            39 if self.random.chance(6) => self.restore(),
            _ => self.compare_node_at_random(),
        }
        if self.steps.is_multiple_of(8) {
            self.check();
        }
    }

    pub fn check(&self) {
        self.expect(self.vfs.check_invariants(), Ok(()));
        let usage = self.vfs.usage();
        let model = (self.model.pages() * PAGE, self.model.nodes.len() as u64);
        self.expect((usage.bytes, usage.inodes), model);
    }

    fn create(&mut self) {
        let (parent, name, caller) = (self.dir(), self.name(), self.caller());
        let bits = self.random.pick(&[0o644, 0o755, 0o2755, 0o4711, 0o1777]);
        let kind = self.random.below(10);
        let vfs = self.vfs.clone();
        let (mode, what, made) = match kind {
            0..=2 => {
                let made = vfs.mkdir(parent, &name, bits, caller, Hold::None);
                (S_IFDIR | bits, What::Dir(BTreeMap::new()), made)
            }
            3 => {
                let made = vfs.symlink(parent, &name, b"target", caller, Hold::None);
                (S_IFLNK | 0o777, What::Link(b"target".to_vec()), made)
            }
            4 => {
                let made = vfs.mknod(parent, &name, S_IFIFO | bits, 9, caller, Hold::None);
                (S_IFIFO | bits, What::Special, made)
            }
            _ => {
                let made = vfs.mknod(parent, &name, S_IFREG | bits, 0, caller, Hold::None);
                (S_IFREG | bits, What::File(Content::default()), made)
            }
        };
        self.note(format!("create {parent:?}/{} {mode:o}", name.escape_ascii()));
        let id = made.map(|entry| entry.attr.node);
        let expected = self.model.create(parent, &name, mode, caller, what, id.ok());
        self.expect(id.map(|_| ()), expected);
        self.made(id);
        self.compare(&[parent]);
    }

    fn made(&mut self, id: Result<NodeId>) {
        if let Ok(id) = id {
            assert!(!self.known.contains(&id), "{id:?} was used before");
            self.known.push(id);
            self.compare(&[id]);
        }
    }

    fn tmpfile(&mut self) {
        let (parent, caller) = (self.dir(), self.caller());
        self.note(format!("tmpfile in {parent:?}"));
        let id = self.vfs.tmpfile(parent, 0o600, caller).map(|entry| entry.attr.node);
        let expected = self.model.tmpfile(parent, 0o600, caller, id.ok());
        self.expect(id.map(|_| ()), expected);
        self.made(id);
    }

    fn link(&mut self) {
        let (node, parent, name) = (self.node(), self.dir(), self.name());
        self.note(format!("link {node:?} {parent:?}/{}", name.escape_ascii()));
        let done = self.vfs.link(node, parent, &name, Hold::None).map(|entry| entry.attr.node);
        let expected = self.model.link(node, parent, &name);
        self.expect(done, expected.map(|()| node));
        self.compare(&[node, parent]);
    }

    fn remove(&mut self) {
        let (parent, name, dir) = (self.dir(), self.name(), self.random.chance(3));
        let target = self.model.find(parent, &name).unwrap_or(parent);
        self.note(format!("remove {parent:?}/{} dir: {dir}", name.escape_ascii()));
        let (done, expected) = if dir {
            (self.vfs.rmdir(parent, &name), self.model.rmdir(parent, &name))
        } else {
            (self.vfs.unlink(parent, &name), self.model.unlink(parent, &name))
        };
        self.expect(done, expected);
        self.compare(&[parent, target]);
    }

    fn rename(&mut self) {
        let from = (self.dir(), self.name());
        let to = (if self.random.chance(2) { from.0 } else { self.dir() }, self.name());
        let (noreplace, exchange) = (self.random.chance(6), self.random.chance(4));
        let flags = RenameFlags { noreplace, exchange, whiteout: None };
        self.note(format!(
            "rename {:?}/{} {:?}/{} {flags:?}",
            from.0,
            from.1.escape_ascii(),
            to.0,
            to.1.escape_ascii()
        ));
        let source = self.model.find(from.0, &from.1).unwrap_or(from.0);
        let target = self.model.find(to.0, &to.1).unwrap_or(to.0);
        let done = self.vfs.rename(from.0, &from.1, to.0, &to.1, flags);
        let expected = self.model.rename((from.0, &from.1), (to.0, &to.1), flags);
        self.expect(done, expected);
        self.compare(&[from.0, to.0, source, target]);
    }

    fn write(&mut self) {
        let (file, offset, len) = (self.file(), self.offset(), self.length());
        let (append, kill) = (self.random.chance(4), self.random.chance(4));
        let byte = self.random.below(255) as u8 + 1;
        let data: Vec<u8> = (0..len).map(|n| byte.wrapping_add((n / 512) as u8)).collect();
        self.note(format!("write {file:?} {offset}+{len} append: {append}"));
        let flags = WriteFlags { append, kill_privileges: kill, keep_times: false };
        let done = self.settle(|vfs| vfs.write(file, offset, &data, flags));
        let expected = self.model.write(file, (!append).then_some(offset), &data, kill);
        self.expect(done, expected);
        self.compare(&[file]);
    }

    pub fn read_engine(&self, file: NodeId, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        for piece in self.settle(|vfs| vfs.read(file, offset, len))? {
            match piece {
                ReadPiece::Data { bytes, start, len } => all.extend(&bytes[start..start + len]),
                ReadPiece::Zero(n) => all.resize(all.len() + n, 0),
            }
        }
        Ok(all)
    }

    fn read(&mut self) {
        let (file, offset, len) = (self.file(), self.offset(), self.length() as usize);
        self.note(format!("read {file:?} {offset}+{len}"));
        self.expect(self.read_engine(file, offset, len), self.model.read(file, offset, len));
    }

    fn setattr(&mut self) {
        let mut set = SetAttr::default();
        let file = if self.random.chance(2) { self.file() } else { self.node() };
        if self.random.chance(2) {
            set.size = Some(self.offset());
        }
        if self.random.chance(4) {
            set.mode = Some(self.random.below(0o10000) as u32);
        }
        if self.random.chance(4) {
            (set.uid, set.gid) = (Some(self.random.below(3) as u32), None);
            set.kill_privileges = true;
        }
        let at = SetTime::At(Timespec { secs: -5, nanos: 7 });
        set.atime = [None, Some(SetTime::Now), Some(at)][self.random.below(3) as usize];
        set.mtime = [None, None, Some(at)][self.random.below(3) as usize];
        self.note(format!("setattr {file:?} {set:?}"));
        let done = self.settle(|vfs| vfs.setattr(file, &set)).map(|_| ());
        let expected = self.model.setattr(file, &set);
        self.expect(done, expected);
        self.compare(&[file]);
    }

    fn fallocate(&mut self) {
        let (file, offset, len) = (self.file(), self.offset(), self.length());
        let mode = self.random.pick(&[0, 1, 3, 3, 3, 16, 17, 2, 32]);
        self.note(format!("fallocate {file:?} {offset}+{len} mode {mode}"));
        let done = self.settle(|vfs| vfs.fallocate(file, mode, offset, len));
        let expected = self.model.fallocate(file, mode, offset, len);
        self.expect(done, expected);
        self.compare(&[file]);
    }

    fn seek(&mut self) {
        let (file, offset) = (self.file(), self.offset());
        for whence in [Whence::Data, Whence::Hole] {
            self.note(format!("lseek {file:?} {offset} {whence:?}"));
            let expected = self.model.seek(file, offset, whence == Whence::Data);
            self.expect(self.vfs.lseek(file, offset, whence), expected);
        }
    }

    fn copy(&mut self) {
        let whole = self.random.chance(2);
        let mut end = || (self.file(), if whole { 0 } else { self.offset() });
        let (from, to) = (end(), end());
        let len = if self.random.chance(2) { 1 << 20 } else { self.length() };
        self.note(format!("copy {from:?} -> {to:?} {len}"));
        let done = self.settle(|vfs| vfs.copy_file_range(from.0, from.1, to.0, to.1, len));
        let expected = self.model.check_copy(from, to, len);
        match (done, expected) {
            (Ok(0), Ok(0)) => {}
            (Ok(n), Ok(most)) if n > 0 && n <= most => {
                let blocks = self.vfs.getattr(to.0).unwrap().blocks;
                let counts = |pages: &BTreeSet<u64>| pages.len() as u64 * 8 == blocks;
                let bytes = self.model.pages_after_copy(from, to, n, false);
                let aligned = from.1 % CHUNK == 0 && to.1 % CHUNK == 0;
                let pages = if aligned && !counts(&bytes) {
                    self.model.pages_after_copy(from, to, n, true)
                } else {
                    bytes
                };
                self.model.copied(from, to, n, pages);
            }
            (Err(Errno::NoSpc), Ok(n)) => {
                let touched = pages_of(to.1, n).count() as u64;
                assert!(self.model.pages() + touched > self.model.max_pages);
            }
            (done, expected) => self.expect(done, expected),
        }
        self.compare(&[from.0, to.0]);
    }

    fn xattr(&mut self) {
        let (node, uid) = (self.node(), self.random.below(2) as u32);
        let name = self.random.pick(&XATTRS).as_bytes();
        let value = vec![b'v'; self.random.below(20) as usize];
        let value = (!self.random.chance(3)).then_some(&value[..]);
        let caller = Caller { uid, ..Caller::default() };
        self.note(format!("xattr {node:?} {} {value:?}", name.escape_ascii()));
        let done = match value {
            Some(value) => self.vfs.setxattr(node, name, value, SetXattr::default(), caller),
            None => self.vfs.removexattr(node, name, caller),
        };
        let expected = self.model.xattr(node, name, value, uid);
        self.expect(done, expected);
        self.compare(&[node]);
    }

    fn lookup(&mut self) {
        let (parent, name) = (self.dir(), self.name());
        self.note(format!("lookup {parent:?}/{}", name.escape_ascii()));
        let found = self.settle(|vfs| vfs.lookup(parent, &name, Hold::Take));
        let expected = self.model.lookup(parent, &name);
        self.expect(found.map(|entry| entry.attr.node), expected);
        if let (Ok(entry), Ok(id)) = (found, expected) {
            self.model.hold(id);
            let generation = self.model.generations.get(&id).copied().unwrap_or(0);
            self.expect(entry.generation, generation);
        }
    }

    fn forget(&mut self) {
        let held: Vec<_> = self.model.held.keys().copied().collect();
        if !held.is_empty() {
            let node = self.random.pick(&held);
            self.note(format!("forget {node:?}"));
            self.vfs.forget(node, 1);
            self.model.forget(node);
            self.compare(&[node]);
        }
    }

    fn freeze(&mut self) {
        self.note("freeze".into());
        let tree = self.vfs.freeze();
        let model = self.model.freeze();
        self.expect(tree.inodes, model.len() as u64);
        assert!(Arc::ptr_eq(&tree, &self.vfs.freeze()), "nothing changed in between");
        if self.random.chance(2) {
            self.persist(&tree);
        }
        if self.frozen.len() < 4 {
            self.frozen.push((tree, model));
        } else {
            let at = self.random.below(4) as usize;
            self.frozen[at] = (tree, model);
        }
    }

    // Puts every chunk of a tree into the store, and some out of memory.
    fn persist(&mut self, tree: &Tree) {
        let empty = Tree::empty();
        let (store, random) = (&mut self.store, &mut self.random);
        changed_inodes(&empty.root, &tree.root, |_, _, inode| {
            let Some(Body::File(content)) = inode.map(|inode| &inode.body) else { return };
            for (_, chunk) in content.chunks() {
                let hash = chunk.hash().expect("bytes or hash");
                if let Some(bytes) = chunk.bytes() {
                    store.entry(hash).or_insert_with(|| block_bytes(&bytes).to_vec());
                }
                chunk.mark_stored();
                if random.chance(2) {
                    chunk.evict();
                }
            }
        });
    }

    fn restore(&mut self) {
        if self.frozen.is_empty() {
            return;
        }
        let (tree, frozen) = self.random.pick(&self.frozen);
        self.note("restore".into());
        let before = self.model.clone();
        let restored = self.vfs.restore(&tree);
        self.model.restore(&frozen);
        self.check_restored(&before, &restored);
        self.compare_all();
        if self.random.chance(4) {
            self.compare_fork(&tree, &frozen);
        }
    }
}
