//! What is fuzzed: every decoder of bytes that come from outside, and what follows when it takes
//! them.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use devdev_pack::{
    ImportOptions, Meta, RAW, ZSTD, export, export_tar, import, import_tar, unpack_block,
};
use devdev_vfs::sample::{self, Random};
use devdev_vfs::{
    Bytes, Chunk, DiffScope, Limits, PageId, Persist, Timespec, Tree, TreeLoader, content_id, page,
    path_diff,
};

use crate::{archives, streams};

/// A function of bytes; true when it takes them.
#[derive(Clone, Copy)]
pub struct Target {
    /// What it is called.
    pub name: &'static str,
    /// Runs it.
    pub run: fn(&[u8]) -> bool,
    /// Inputs that it takes.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Inputs end in the hash of what is before.
    pub seal: bool,
}

/// What an import may hold: little, so that one that takes more than it may stands out.
const LIMITS: Limits = Limits { bytes: 4 << 20, inodes: 2000 };
const SCOPE: DiffScope = DiffScope { times: true, within_renamed: true };
const MAX_INODES: u64 = 20_000;

/// All targets.
pub fn targets() -> Vec<Target> {
    vec![
        Target { name: "page", run: run_page, seeds: seed_pages, seal: false },
        Target { name: "tree", run: run_tree, seeds: seed_trees, seal: false },
        Target { name: "import", run: run_import, seeds: seed_streams, seal: true },
        Target { name: "stream", run: run_stream, seeds: || chosen(run_stream), seal: false },
        Target { name: "tar", run: run_tar, seeds: seed_archives, seal: false },
        Target { name: "archive", run: run_archive, seeds: || chosen(run_archive), seal: false },
        Target { name: "block", run: run_block, seeds: seed_blocks, seal: false },
        #[cfg(target_os = "linux")]
        Target { name: "fuse", run: devdev_fuse::is_request, seeds: seed_requests, seal: false },
    ]
}

/// Choices that are taken: none at all is one of them.
fn chosen(run: fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
    let mut random = Random(7);
    let mut all = vec![Vec::new()];
    for len in (1..400).step_by(8) {
        all.push((0..len).map(|_| random.number() as u8).collect());
    }
    all.retain(|choices| run(choices));
    all
}

fn run_stream(choices: &[u8]) -> bool {
    run_import(&streams::stream(choices))
}

fn run_archive(choices: &[u8]) -> bool {
    take_tar(&archives::archive(choices))
}

fn run_page(bytes: &[u8]) -> bool {
    let taken = page::decode(bytes).is_ok();
    assert_eq!(page::refs(bytes).is_ok(), taken);
    taken
}

fn some_tree(seed: u64) -> Arc<Tree> {
    sample::tree(&mut Random(seed), [0, 3, 20, 60][seed as usize % 4]).freeze()
}

fn pages(tree: &Arc<Tree>) -> Vec<(PageId, Vec<u8>)> {
    let mut persist = Persist::new(tree);
    std::iter::from_fn(|| persist.next_page()).collect()
}

fn seed_pages() -> Vec<Vec<u8>> {
    (0..8).flat_map(|seed| pages(&some_tree(seed))).map(|(_, page)| page).collect()
}

// An input picks the tree and the change; one of a single byte changes nothing.
fn seed_trees() -> Vec<Vec<u8>> {
    (0..8).map(|n| vec![n]).collect()
}

/// Loads a tree of which one page was changed; the pages that name it are made to name the
/// changed one, up to the root, as somebody with access to the store could.
fn run_tree(bytes: &[u8]) -> bool {
    let mut seed = [0; 8];
    bytes.iter().enumerate().for_each(|(n, byte)| seed[n % 8] ^= byte.rotate_left(n as u32 / 8));
    let mut random = Random(u64::from_le_bytes(seed));
    let original = some_tree(random.below(8));
    let mut pages = pages(&original);
    let changed = random.below(pages.len() as u64) as usize;
    if bytes.len() != 1
        && let Some((id, page)) = pages.get_mut(changed)
    {
        let (old, example) = (*id, [page.clone()]);
        *page = crate::mutate::mutate(&example, &mut random, false);
        *id = PageId::of(page);
        let mut renamed = HashMap::from([(old, *id)]);
        for (id, page) in &mut pages[changed + 1..] {
            rename(page, &renamed);
            renamed.insert(*id, PageId::of(page));
            *id = PageId::of(page);
        }
    }
    let reference = (random.below(2) == 0).then_some(&*original);
    let Some((root, _)) = pages.last() else { return false };
    let mut loader = TreeLoader::new(*root, reference).with_max_inodes(MAX_INODES);
    let pages: HashMap<PageId, &Vec<u8>> = pages.iter().map(|(id, page)| (*id, page)).collect();
    loop {
        let wanted = loader.wanted();
        if wanted.is_empty() {
            break;
        }
        for id in wanted {
            let Some(page) = pages.get(&id) else { return false };
            if loader.feed(id, page).is_err() {
                return false;
            }
        }
    }
    let Ok(tree) = loader.finish() else { return false };
    // Equal ids: nothing to tell. Hard links alone are told by the id only.
    let changes = path_diff(&original, &tree, SCOPE);
    assert!(content_id(&tree) != content_id(&original) || changes.is_empty());
    assert_eq!(path_diff(&tree, &original, SCOPE).is_empty(), changes.is_empty());
    Persist::new(&tree).next_page();
    true
}

fn rename(page: &mut [u8], renamed: &HashMap<PageId, PageId>) {
    for at in 0..page.len().saturating_sub(31) {
        let mut id = [0; 32];
        id.copy_from_slice(&page[at..at + 32]);
        if let Some(new) = renamed.get(&PageId(id)) {
            page[at..at + 32].copy_from_slice(&new.0);
        }
    }
}

fn no_store(_: &Arc<Chunk>) -> io::Result<Bytes> {
    Err(io::Error::other("there is no store"))
}

fn stream(tree: &Arc<Tree>, meta: &Meta) -> Vec<u8> {
    let mut out = Vec::new();
    let done = export(tree, meta, &no_store, &mut |bytes| {
        out.extend_from_slice(bytes);
        Ok(())
    });
    assert!(done.is_ok(), "a tree in memory can be exported");
    out
}

fn seed_streams() -> Vec<Vec<u8>> {
    // Small ones: most changes of content bytes find nothing.
    let small = (0..40).map(some_tree).filter(|tree| tree.bytes < 200 << 10);
    small.map(|tree| stream(&tree, &Meta::default())).collect()
}

fn run_import(bytes: &[u8]) -> bool {
    let options = ImportOptions { limits: LIMITS, owner: None };
    let Ok((tree, meta)) = import(&mut &bytes[..], options) else { return false };
    assert!(tree.inodes <= LIMITS.inodes && tree.bytes <= LIMITS.bytes);
    // What is taken can be stored and loaded, which checks it as a whole, and comes out the same.
    let pages = pages(&tree);
    let root = pages[pages.len() - 1].0;
    let pages: HashMap<_, _> = pages.into_iter().collect();
    let mut loader = TreeLoader::new(root, None);
    while !loader.wanted().is_empty() {
        for id in loader.wanted() {
            assert_eq!(loader.feed(id, &pages[&id]), Ok(()));
        }
    }
    let loaded = loader.finish();
    assert!(loaded.is_ok_and(|loaded| (loaded.bytes, loaded.inodes) == (tree.bytes, tree.inodes)));
    let again = stream(&tree, &meta);
    let copy = import(&mut &again[..], options);
    assert!(copy.is_ok_and(|(copy, said)| said == meta && stream(&copy, &meta) == again));
    true
}

fn archive(tree: &Tree) -> Vec<u8> {
    let mut out = Vec::new();
    let done = export_tar(tree, &no_store, &mut |bytes| {
        out.extend_from_slice(bytes);
        Ok(())
    });
    assert!(done.is_ok(), "a tree in memory can be exported");
    out
}

fn seed_archives() -> Vec<Vec<u8>> {
    let small = (0..40).map(some_tree).filter(|tree| tree.bytes < 40 << 10);
    small.map(|tree| archive(&tree)).collect()
}

fn run_tar(bytes: &[u8]) -> bool {
    let mut bytes = bytes.to_vec();
    // Else hardly any change gets past the first header.
    for block in bytes.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }
    take_tar(&bytes)
}

fn take_tar(bytes: &[u8]) -> bool {
    let options = ImportOptions { limits: LIMITS, owner: None };
    let now = Timespec::default();
    let Ok((tree, _)) = import_tar(&mut &*bytes, options, now) else { return false };
    assert!(tree.inodes <= LIMITS.inodes && tree.bytes <= LIMITS.bytes);
    // What is taken can be stored, and comes out as something that is taken, and is the same then.
    pages(&tree);
    let again = archive(&tree);
    let copy = import_tar(&mut &again[..], options, now);
    assert!(copy.is_ok_and(|(copy, skipped)| skipped == 0 && archive(&copy) == again));
    true
}

fn seed_blocks() -> Vec<Vec<u8>> {
    let mut random = Random(1);
    let text: Vec<u8> = (0..3000).map(|_| b'a' + random.below(6) as u8).collect();
    let packed = || {
        let tree = sample::tree(&mut Random(2), 5).freeze();
        let mut job = devdev_pack::PersistJob::new(&tree);
        job.hash(devdev_pack::Pace::FULL);
        let mut buffer = vec![0; 1 << 17];
        let given =
            job.set_missing(&[]).and_then(|()| job.fill(&mut buffer, devdev_pack::Pace::FULL));
        let given = given.unwrap_or_default().into_iter();
        let block = |p: devdev_pack::Packed| {
            let bytes = &buffer[p.offset as usize..(p.offset + p.len) as usize];
            [&[p.encoding][..], &p.raw_len.to_le_bytes(), bytes].concat()
        };
        given.map(block).collect::<Vec<_>>()
    };
    let mut all = packed();
    all.push([&[RAW][..], &3000u32.to_le_bytes(), &text].concat());
    all
}

fn run_block(bytes: &[u8]) -> bool {
    let Some((head, packed)) = bytes.split_at_checked(5) else { return false };
    let raw_len = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
    match unpack_block(head[0], packed, raw_len) {
        Ok(raw) => {
            assert!(raw.len() == raw_len && matches!(head[0], RAW | ZSTD));
            true
        }
        Err(_) => false,
    }
}

#[cfg(target_os = "linux")]
fn seed_requests() -> Vec<Vec<u8>> {
    // fuse_in_header: len, opcode, unique, nodeid, uid, gid, pid, extlen, padding.
    let request = |opcode: u32, body: &[u8]| {
        let mut out = (40 + body.len() as u32).to_le_bytes().to_vec();
        out.extend_from_slice(&opcode.to_le_bytes());
        out.extend_from_slice(&[1; 8]);
        out.extend_from_slice(&1u64.to_le_bytes());
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(body);
        out
    };
    let zeros = |n: usize| vec![0; n];
    let bodies: [(u32, Vec<u8>); 9] = [
        (1, b"name\0".to_vec()),
        (3, zeros(16)),
        (4, zeros(88)),
        (6, b"name\0target\0".to_vec()),
        (9, [zeros(8), b"dir\0".to_vec()].concat()),
        (12, [zeros(8), b"old\0new\0".to_vec()].concat()),
        (15, zeros(40)),
        (17, zeros(0)),
        (28, zeros(40)),
    ];
    let all = bodies.iter().map(|(opcode, body)| request(*opcode, body));
    let all: Vec<_> = all.filter(|bytes| devdev_fuse::is_request(bytes)).collect();
    assert!(all.len() > 4, "the examples follow the kernel's header");
    all
}
