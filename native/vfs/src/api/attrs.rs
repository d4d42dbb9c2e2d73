//! Operations on attributes and extended attributes, by path or by open file.

use super::Api;
use super::files::Fd;
use super::wait::Waiting;
use super::walk::{is_dir, is_dir_mode};
use crate::attr::{Attr, SetAttr, SetTime};
use crate::errno::{Errno, Result};
use crate::ids::NodeId;
use crate::{SetXattr, StatFs};

impl Api {
    /// stat(2), or lstat(2) when `follow` is false.
    pub fn stat(&self, path: &[u8], follow: bool) -> Result<Attr> {
        let attr = self.node(path, follow)?.attr;
        if self.settle(attr.node) { self.vfs.getattr(attr.node) } else { Ok(attr) }
    }

    /// fstat(2).
    pub fn fstat(&self, fd: Fd) -> Result<Attr> {
        let file = self.file(fd)?;
        self.settle(file.node);
        self.vfs.getattr(file.node)
    }

    /// statfs(2).
    pub fn statfs(&self, path: &[u8]) -> Result<StatFs> {
        self.node(path, true)?;
        Ok(self.vfs.statfs())
    }

    /// access(2) with `R_OK` 4, `W_OK` 2, `X_OK` 1, for the workspace's owner.
    pub fn access(&self, path: &[u8], mode: u32) -> Result<()> {
        let attr = self.node(path, true)?.attr;
        if mode & !7 != 0 {
            return Err(Errno::Inval);
        }
        let allowed = if self.owner.uid == 0 {
            let may_run = is_dir_mode(attr.mode) || attr.mode & 0o111 != 0;
            if may_run { 7 } else { 6 }
        } else if self.owner.uid == attr.uid {
            attr.mode >> 6
        } else if self.owner.gid == attr.gid {
            attr.mode >> 3
        } else {
            attr.mode
        };
        if mode & !allowed == 0 { Ok(()) } else { Err(Errno::Acces) }
    }

    /// chmod(2).
    pub fn chmod(&self, path: &[u8], mode: u32) -> Result<()> {
        self.set(self.node(path, true)?.attr.node, &chmod(mode))
    }

    /// fchmod(2).
    pub fn fchmod(&self, fd: Fd, mode: u32) -> Result<()> {
        self.set(self.file(fd)?.node, &chmod(mode))
    }

    /// chown(2), or lchown(2) when `follow` is false; `None` leaves an id alone.
    pub fn chown(
        &self,
        path: &[u8],
        uid: Option<u32>,
        gid: Option<u32>,
        follow: bool,
    ) -> Result<()> {
        self.set(self.node(path, follow)?.attr.node, &chown(uid, gid))
    }

    /// fchown(2).
    pub fn fchown(&self, fd: Fd, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
        self.set(self.file(fd)?.node, &chown(uid, gid))
    }

    /// utimensat(2).
    pub fn utimes(&self, path: &[u8], atime: SetTime, mtime: SetTime, follow: bool) -> Result<()> {
        self.set(self.node(path, follow)?.attr.node, &times(atime, mtime))
    }

    /// futimens(2).
    pub fn futimes(&self, fd: Fd, atime: SetTime, mtime: SetTime) -> Result<()> {
        self.set(self.file(fd)?.node, &times(atime, mtime))
    }

    /// truncate(2).
    pub fn truncate(&self, path: &[u8], size: u64) -> Result<()> {
        let entry = self.node(path, true)?;
        if is_dir(&entry) {
            return Err(Errno::IsDir);
        }
        self.resize(entry.attr.node, size)
    }

    /// ftruncate(2).
    pub fn ftruncate(&self, fd: Fd, size: u64) -> Result<()> {
        let file = self.file(fd)?;
        if !file.flags.write {
            return Err(Errno::Inval);
        }
        self.resize(file.node, size)
    }

    pub(super) fn resize(&self, node: NodeId, size: u64) -> Result<()> {
        self.settle(node);
        let old = self.vfs.getattr(node)?.size;
        let _edit = self.editing(node, old.min(size), u64::MAX);
        let kill_privileges = !self.may_keep_privileges();
        let set = SetAttr { size: Some(size), kill_privileges, ..SetAttr::default() };
        Waiting(&self.vfs).until_done(|| self.vfs.setattr(node, &set))?;
        self.tell_data(node, old.min(size), 0);
        Ok(())
    }

    pub(super) fn set(&self, node: NodeId, set: &SetAttr) -> Result<()> {
        Waiting(&self.vfs).until_done(|| self.vfs.setattr(node, set))?;
        self.tell_attr(node);
        Ok(())
    }

    /// getxattr(2).
    pub fn getxattr(&self, path: &[u8], name: &[u8]) -> Result<Vec<u8>> {
        self.vfs.getxattr(self.node(path, true)?.attr.node, name)
    }

    /// setxattr(2).
    pub fn setxattr(&self, path: &[u8], name: &[u8], value: &[u8], how: SetXattr) -> Result<()> {
        let node = self.node(path, true)?.attr.node;
        self.vfs.setxattr(node, name, value, how, self.owner)?;
        self.tell_attr(node);
        Ok(())
    }

    /// listxattr(2).
    pub fn listxattr(&self, path: &[u8]) -> Result<Vec<Box<[u8]>>> {
        self.vfs.listxattr(self.node(path, true)?.attr.node, self.owner)
    }

    /// removexattr(2).
    pub fn removexattr(&self, path: &[u8], name: &[u8]) -> Result<()> {
        let node = self.node(path, true)?.attr.node;
        self.vfs.removexattr(node, name, self.owner)?;
        self.tell_attr(node);
        Ok(())
    }
}

fn chmod(mode: u32) -> SetAttr {
    SetAttr { mode: Some(mode & 0o7777), ..SetAttr::default() }
}

// As Linux, for any caller: a change of owner takes set-id bits from what is no directory, and
// moves ctime even when neither id is given.
fn chown(uid: Option<u32>, gid: Option<u32>) -> SetAttr {
    SetAttr { uid, gid, kill_privileges: true, ..SetAttr::default() }
}

fn times(atime: SetTime, mtime: SetTime) -> SetAttr {
    SetAttr { atime: Some(atime), mtime: Some(mtime), ..SetAttr::default() }
}
