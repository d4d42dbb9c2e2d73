//! Times what a snapshot costs behind the freeze: `cargo run --release --example measure [FILES]`.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use devdev_pack::{ImportOptions, Meta, Pace, PersistJob, content_id, export, import, unpack_page};
use devdev_vfs::{
    Body, Chunk, Content, DiffScope, Ino, Inode, Limits, PageId, S_IFDIR, S_IFREG, Timespec, Tree,
    TreeBuilder, TreeLoader, full_pages, path_diff,
};

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    println!("{what:32} {:8.1} ms", start.elapsed().as_secs_f64() * 1e3);
    result
}

fn chunk(seed: u64, len: usize) -> Arc<Chunk> {
    let words = (0..len as u64).map(|n| ((seed ^ n) % 61 + n / 97 % 7) as u8 | 32);
    Arc::new(Chunk::new(words.collect(), full_pages(len)))
}

fn build(files: u64) -> (TreeBuilder, Vec<Ino>) {
    let mut builder = TreeBuilder::new();
    let node = |mode| Inode::new(Ino(0), mode, 0, 0, Ino(0), Timespec { secs: 9, nanos: 9 });
    let (mut dir, mut inos) = (Ino::ROOT, Vec::new());
    for n in 0..files {
        if n % 20 == 0 {
            let parent = if n % 400 == 0 { Ino::ROOT } else { dir };
            let name = format!("directory{n}");
            dir = builder.add(parent, name.as_bytes(), node(S_IFDIR | 0o755)).unwrap_or(dir);
        }
        let mut file = node(S_IFREG | 0o644);
        let len = 500 + (n * 7919 % 9000) as usize;
        (file.body, file.size) = (Body::File(Content::One(chunk(n, len))), len as u64);
        inos.extend(builder.add(dir, format!("file{n}.ts").as_bytes(), file));
    }
    (builder, inos)
}

type Pages = HashMap<[u8; 32], (u8, u32, Vec<u8>)>;

fn store(tree: &Arc<Tree>) -> (Pages, Option<PageId>) {
    let mut job = timed("find", || PersistJob::new(tree));
    timed("hash", || job.hash(Pace::FULL));
    job.set_missing(&[]).unwrap_or_else(|e| panic!("{e}"));
    let (mut buffer, mut stored) = (vec![0; 16 << 20], 0);
    timed("pack blocks", || {
        while let Ok(packed) = job.fill(&mut buffer, Pace::FULL)
            && !packed.is_empty()
        {
            stored += packed.iter().map(|p| u64::from(p.len)).sum::<u64>();
        }
    });
    println!("{:32} {:8} KiB", "blocks", stored >> 10);
    let mut pages = Pages::new();
    stored = 0;
    timed("pack pages", || {
        while let Ok(packed) = job.fill_pages(&mut buffer)
            && !packed.is_empty()
        {
            for p in packed {
                let bytes = &buffer[p.offset as usize..][..p.len as usize];
                pages.insert(p.name, (p.encoding, p.raw_len, bytes.to_vec()));
                stored += u64::from(p.len);
            }
        }
    });
    println!("{:32} {:8} KiB in {} pages", "pages", stored >> 10, pages.len());
    let root = job.root();
    timed("note", || job.committed()).unwrap_or_else(|e| panic!("{e}"));
    (pages, root)
}

fn load(pages: &Pages, root: PageId) -> Option<Arc<Tree>> {
    let mut loader = TreeLoader::new(root, None);
    while !loader.wanted().is_empty() {
        for id in loader.wanted() {
            let (encoding, raw_len, bytes) = pages.get(&id.0)?;
            let raw = unpack_page(*encoding, bytes, *raw_len as usize).ok()?;
            loader.feed(id, &raw).ok()?;
        }
    }
    loader.finish().ok()
}

fn transfer(tree: &Arc<Tree>) {
    let mut out = Vec::new();
    let fetch = |_: &Arc<Chunk>| Err(io::ErrorKind::NotFound.into());
    timed("export", || {
        export(tree, &Meta::default(), &fetch, &mut |b| {
            out.extend_from_slice(b);
            Ok(())
        })
    })
    .unwrap_or_else(|e| panic!("{e}"));
    println!("{:32} {:8} KiB", "stream", out.len() >> 10);
    let limits = Limits { bytes: u64::MAX, inodes: 1 << 30 };
    timed("import", || import(&mut &out[..], ImportOptions { limits, owner: None }))
        .unwrap_or_else(|e| panic!("{e}"));
}

fn main() {
    let files: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let (mut builder, inos) = build(files);
    let tree = builder.freeze();
    println!("{} inodes, {} MiB", tree.inodes, tree.bytes >> 20);
    let (pages, root) = store(&tree);
    let id = timed("content id", || content_id(&tree, Pace::FULL));
    let loaded = timed("load", || load(&pages, root?));
    assert_eq!(loaded.map(|tree| content_id(&tree, Pace::FULL)), Some(id));
    for ino in inos.iter().step_by(files.div_ceil(100) as usize) {
        builder.update(*ino, |inode| inode.body = Body::File(Content::One(chunk(1, 10))));
    }
    let changed = builder.freeze();
    println!("100 changes:");
    store(&changed);
    let changes = timed("diff", || path_diff(&tree, &changed, DiffScope::default()));
    println!("{:32} {:8}", "changes", changes.len());
    transfer(&tree);
}
