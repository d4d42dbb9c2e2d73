//! A directory of the host as a frozen tree, for comparing: names, attributes and the hashes of its
//! content. The bytes stay where they are, so that a large directory takes little memory.
//! Separate because nothing else here reads the host's files.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use devdev_vfs::record::in_namespace;
use devdev_vfs::{
    BlockHash, Body, CHUNK_SIZE, Chunk, Content, Ino, Inode, S_IFDIR, S_IFMT, S_IFREG, Timespec,
    Tree, TreeBuilder, Xattrs, block_bytes, full_pages,
};
use napi::Env;
use napi::bindgen_prelude::{Object, Uint8Array};
use napi_derive::napi;

use crate::failed::{Failed, Thrown};
use crate::trees::add_tree;
use crate::work::long;

const XATTR_LIST_MAX: usize = 65536;
const O_NOFOLLOW_NONBLOCK: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK;

/// The tree of a host directory, with hashes instead of content. Other file systems below it are
/// left out, and so is what goes away meanwhile.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn host_tree<'env>(env: &'env Env, path: Uint8Array) -> Result<Object<'env>, Thrown> {
    let path = PathBuf::from(OsStr::from_bytes(&path));
    long(env, "compare", move || {
        let tree = read(&path).map_err(|error| failed(&error))?;
        Ok(add_tree(tree, Weak::new()))
    })
}

fn failed(error: &io::Error) -> Failed {
    let code = match error.kind() {
        ErrorKind::NotFound => "ENOENT",
        ErrorKind::NotADirectory => "ENOTDIR",
        ErrorKind::PermissionDenied => "EACCES",
        _ => "EIO",
    };
    Failed::new(code, "open")
}

fn read(root: &Path) -> io::Result<Arc<Tree>> {
    let mut builder = TreeBuilder::new();
    let top = fs::metadata(root)?;
    if !top.is_dir() {
        return Err(ErrorKind::NotADirectory.into());
    }
    let from = attributes(root, &top)?;
    builder.update(Ino::ROOT, |inode| {
        (inode.mode, inode.uid, inode.gid) = (from.mode, from.uid, from.gid);
        (inode.mtime, inode.btime, inode.xattrs) = (from.mtime, from.btime, from.xattrs);
    });
    let mut linked: HashMap<u64, Ino> = HashMap::new();
    let mut stack = vec![(root.to_owned(), Ino::ROOT)];
    while let Some((dir, parent)) = stack.pop() {
        for entry in fs::read_dir(&dir)? {
            let (path, name) = {
                let entry = entry?;
                (entry.path(), entry.file_name())
            };
            let made = match fs::symlink_metadata(&path) {
                Ok(meta) if meta.dev() != top.dev() => continue,
                Ok(meta) => inode_of(&path, &meta).map(|inode| (inode, meta)),
                Err(error) => Err(error),
            };
            let (inode, meta) = match made {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                made => made?,
            };
            let refused = |_| io::Error::other("a name is not allowed");
            if let Some(ino) = linked.get(&meta.ino()) {
                builder.link(parent, name.as_bytes(), *ino).map_err(refused)?;
                continue;
            }
            let is_dir = inode.is_dir();
            let ino = builder.add(parent, name.as_bytes(), inode).map_err(refused)?;
            if is_dir {
                stack.push((path, ino));
            } else if meta.nlink() > 1 {
                linked.insert(meta.ino(), ino);
            }
        }
    }
    Ok(builder.freeze())
}

fn attributes(path: &Path, meta: &Metadata) -> io::Result<Inode> {
    let mtime = Timespec { secs: meta.mtime(), nanos: meta.mtime_nsec() as u32 };
    let mut inode = Inode::new(Ino(0), meta.mode(), meta.uid(), meta.gid(), Ino(0), mtime);
    // Born at another time than anything in a workspace: numbers of inodes mean nothing here.
    inode.btime = Timespec { secs: i64::MIN, nanos: 0 };
    inode.xattrs = xattrs(path);
    Ok(inode)
}

fn inode_of(path: &Path, meta: &Metadata) -> io::Result<Inode> {
    let mut inode = attributes(path, meta)?;
    match inode.mode & S_IFMT {
        S_IFREG => {
            let (content, size) = hashed(path)?;
            (inode.body, inode.size) = (Body::File(content), size);
        }
        S_IFDIR => {}
        _ if meta.is_symlink() => {
            inode.body = Body::Symlink(fs::read_link(path)?.as_os_str().as_bytes().into());
        }
        _ if meta.file_type().is_char_device() || meta.file_type().is_block_device() => {
            let dev = meta.rdev();
            let (major, minor) =
                ((dev >> 8 & 0xfff) as u32, (dev & 0xff | dev >> 12 & 0xfff00) as u32);
            inode.rdev = minor & 0xff | major << 8 | (minor & 0xfff00) << 12;
        }
        _ => {}
    }
    Ok(inode)
}

// A file's content by its hashes. Holes are the same as zeros, for comparing.
fn hashed(path: &Path) -> io::Result<(Content, u64)> {
    let mut file: File =
        OpenOptions::new().read(true).custom_flags(O_NOFOLLOW_NONBLOCK).open(path)?;
    let (mut content, mut size) = (Content::default(), 0);
    let mut buffer = Vec::with_capacity(CHUNK_SIZE as usize);
    for index in 0.. {
        buffer.clear();
        let n = Read::take(&mut file, CHUNK_SIZE).read_to_end(&mut buffer)?;
        if n == 0 {
            break;
        }
        size += n as u64;
        let block = block_bytes(&buffer);
        if !block.is_empty() {
            let chunk = Chunk::in_store(BlockHash::of(block), n as u32, full_pages(n));
            content.set(index, Some(Arc::new(chunk)));
        }
    }
    Ok((content, size))
}

// What can not be read counts as absent: file systems without xattrs have none.
fn xattrs(path: &Path) -> Option<Arc<Xattrs>> {
    let mut list = vec![0; XATTR_LIST_MAX];
    let len = rustix::fs::llistxattr(path, &mut list).ok()?;
    let mut all = Xattrs::new();
    for name in list[..len].split(|b| *b == 0).filter(|name| in_namespace(name)) {
        let mut value = vec![0; XATTR_LIST_MAX];
        if let Ok(len) = rustix::fs::lgetxattr(path, name, &mut value) {
            all.insert(name.into(), value[..len].into());
        }
    }
    (!all.is_empty()).then(|| Arc::new(all))
}
