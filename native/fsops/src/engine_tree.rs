//! The whole tree of a workspace without a mount, as the values that `tree` compares.

use std::collections::BTreeMap;

use devdev_vfs::{Attr, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, Whence};
use rustix::io::{self, Errno};

use crate::engine::{Engine, errno, full, seen};
use crate::op::Path;
use crate::tree::{Content, Node, READ_WHOLE, Tree};
use crate::world::kind_of;

impl Tree {
    pub fn of_engine(engine: &Engine) -> io::Result<Tree> {
        let mut tree = Tree::default();
        tree.walk_engine(engine, &mut Vec::new())?;
        tree.check_links();
        Ok(tree)
    }

    /// Returns the number of subdirectories.
    fn walk_engine(&mut self, engine: &Engine, at: &mut Vec<u8>) -> io::Result<u64> {
        let listed = engine.api.readdir(&full(at)).map_err(errno)?;
        let mut subdirs = 0;
        for pair in listed.windows(2).filter(|pair| pair[0].name >= pair[1].name) {
            self.broken.push(format!("not in order: {:?}", Path(pair[1].name.to_vec())));
        }
        for entry in listed {
            let length = at.len();
            if length > 0 {
                at.push(b'/');
            }
            at.extend_from_slice(&entry.name);
            match engine.api.stat(&full(at), false) {
                Err(e) => {
                    self.broken.push(format!("listed, but lstat: {e:?}: {:?}", Path(at.clone())));
                }
                Ok(attr) => {
                    if attr.mode & S_IFMT != entry.kind {
                        let (listed, real) = (kind_of(entry.kind), kind_of(attr.mode & S_IFMT));
                        let path = Path(at.clone());
                        self.broken.push(format!("listed as {listed}, is {real}: {path:?}"));
                    }
                    subdirs += u64::from(entry.kind == S_IFDIR);
                    self.add_from_engine(engine, &attr, at)?;
                }
            }
            at.truncate(length);
        }
        Ok(subdirs)
    }

    fn add_from_engine(
        &mut self,
        engine: &Engine,
        attr: &Attr,
        at: &mut Vec<u8>,
    ) -> io::Result<()> {
        let look = seen(attr);
        let first = self.note(look.ino, look.attrs.nlink, at);
        let (content, xattrs) = (Ok(Content::default()), read_xattrs(engine, attr));
        let mut node = Node { attrs: look.attrs, first, link: None, content, xattrs };
        match attr.mode & S_IFMT {
            S_IFDIR => {
                let subdirs = self.walk_engine(engine, at)?;
                if u64::from(attr.nlink) != 2 + subdirs {
                    let what = format!("{} links, {subdirs} subdirectories", attr.nlink);
                    self.broken.push(format!("{what}: {:?}", Path(at.clone())));
                }
            }
            S_IFLNK => {
                let target = engine.api.readlink(&full(at)).map_err(errno)?;
                if target.len() as u64 != attr.size {
                    let path = Path(at.clone());
                    self.broken.push(format!("size of link {path:?}: {}", attr.size));
                }
                node.link = Some(Path(target));
            }
            S_IFREG => node.content = read_content(engine, attr, at),
            _ => {}
        }
        self.nodes.insert(at.clone(), node);
        Ok(())
    }
}

fn read_xattrs(engine: &Engine, attr: &Attr) -> Result<BTreeMap<String, Vec<u8>>, Errno> {
    let names = engine.vfs().listxattr(attr.node, engine.owner).map_err(errno)?;
    let read = |name: Box<[u8]>| {
        let value = engine.vfs().getxattr(attr.node, &name).map_err(errno)?;
        Ok((String::from_utf8_lossy(&name).into_owned(), value))
    };
    names.into_iter().map(read).collect()
}

fn read_content(engine: &Engine, attr: &Attr, at: &[u8]) -> Result<Content, Errno> {
    let flags = devdev_vfs::api::OpenFlags { read: true, ..Default::default() };
    let fd = engine.api.open(&full(at), flags, 0).map_err(errno)?;
    let read = |at: u64, buf: &mut [u8]| {
        let bytes = engine.api.read(fd, buf.len(), Some(at)).map_err(errno)?;
        buf[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    };
    let mut content = Content::default();
    if attr.size <= READ_WHOLE {
        let end = content.read(read, 0, u64::MAX)?;
        content.note_end(end, attr.size);
    } else {
        content.read_sparse(read, |at, data| {
            let whence = if data { Whence::Data } else { Whence::Hole };
            engine.vfs().lseek(attr.node, at, whence).map_err(errno)
        })?;
    }
    engine.api.close(fd).map_err(errno)?;
    Ok(content)
}
