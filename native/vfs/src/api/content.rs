//! Reading and writing: whole files by path, pieces by open file.

use super::files::{Fd, OpenFile};
use super::open::OpenFlags;
use super::wait::{Waiting, at_once};
use super::walk::{Place, is_dir_mode};
use super::{Api, Failure};
use crate::errno::{Errno, Result};
use crate::ids::NodeId;
use crate::{ReadPiece, Vfs, WriteFlags};

/// The largest file that is read in one piece; beyond it EFBIG.
pub const MAX_WHOLE_FILE: u64 = (1 << 31) - 1;
/// One step of a long read or write: other requests get their turn in between.
const STEP: usize = 4 << 20;

impl Api {
    /// The whole content of a file.
    pub fn read_file(
        &self,
        path: &[u8],
        flags: OpenFlags,
    ) -> std::result::Result<Vec<u8>, Failure> {
        let file = self.open_file(path, flags, 0o666).map_err(Failure::at("open"))?;
        self.read_open(&file).map_err(Failure::at("read"))
    }

    /// As `read_file`, of a file that is in memory and no longer than `most`; `None` of others.
    pub fn read_file_at_once(
        &self,
        path: &[u8],
        most: u64,
    ) -> std::result::Result<Option<Vec<u8>>, Failure> {
        let read = || {
            let flags = OpenFlags { read: true, ..OpenFlags::default() };
            let file = self.open_file(path, flags, 0).map_err(Failure::at("open"))?;
            if self.vfs.getattr(file.node).is_ok_and(|attr| attr.size > most) {
                return Ok(None);
            }
            self.read_open(&file).map(Some).map_err(Failure::at("read"))
        };
        at_once(read).unwrap_or(Ok(None))
    }

    /// What follows the position of an open file.
    pub fn read_rest(&self, fd: Fd) -> Result<Vec<u8>> {
        self.read_open(&*self.file(fd)?)
    }

    fn read_open(&self, file: &OpenFile) -> Result<Vec<u8>> {
        self.settle(file.node);
        let attr = self.vfs.getattr(file.node)?;
        if is_dir_mode(attr.mode) {
            return Err(Errno::IsDir);
        }
        if !file.flags.read {
            return Err(Errno::BadF);
        }
        let mut position = file.position.lock();
        let size = attr.size.saturating_sub(*position);
        if size > MAX_WHOLE_FILE {
            return Err(Errno::FBig);
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size as usize).map_err(|_| Errno::NoMem)?;
        loop {
            let read = read_at(&self.vfs, file.node, *position, STEP, &mut bytes)?;
            *position += read as u64;
            if read < STEP {
                return Ok(bytes);
            }
        }
    }

    /// At most `len` bytes from `offset`, or from the file's position, which then advances.
    pub fn read(&self, fd: Fd, len: usize, offset: Option<u64>) -> Result<Vec<u8>> {
        let file = self.file(fd)?;
        if !file.flags.read {
            return Err(Errno::BadF);
        }
        if is_dir_mode(self.vfs.getattr(file.node)?.mode) {
            return Err(Errno::IsDir);
        }
        self.settle(file.node);
        let mut bytes = Vec::new();
        match offset {
            Some(offset) => {
                read_at(&self.vfs, file.node, offset, len, &mut bytes)?;
            }
            None => {
                let mut position = file.position.lock();
                *position += read_at(&self.vfs, file.node, *position, len, &mut bytes)? as u64;
            }
        }
        Ok(bytes)
    }

    /// Writes at `offset`, or at the file's position, which then advances; at the end when the
    /// file was opened for appending. Short only when the space ends within `data`.
    pub fn write(&self, fd: Fd, data: &[u8], offset: Option<u64>) -> Result<usize> {
        let file = self.file(fd)?;
        if !file.flags.write {
            return Err(Errno::BadF);
        }
        match offset {
            Some(offset) => self.write_steps(&file, offset, data).map(|(_, n)| n),
            None => {
                let mut position = file.position.lock();
                let (end, written) = self.write_steps(&file, *position, data)?;
                *position = end;
                Ok(written)
            }
        }
    }

    /// Writes a whole file: creates, truncates or appends as the flags say.
    pub fn write_file(
        &self,
        path: &[u8],
        data: &[u8],
        flags: OpenFlags,
        mode: u32,
    ) -> std::result::Result<(), Failure> {
        let file = self.open_file(path, flags, mode).map_err(Failure::at("open"))?;
        if !file.flags.write {
            return Err(Failure::at("write")(Errno::BadF));
        }
        match self.write_steps(&file, 0, data) {
            Ok((_, written)) if written < data.len() => Err(Failure::at("write")(Errno::NoSpc)),
            Ok(_) => Ok(()),
            Err(errno) => Err(Failure::at("write")(errno)),
        }
    }

    // Returns where it ended and how much was written; an error only if that is nothing.
    fn write_steps(&self, file: &OpenFile, offset: u64, data: &[u8]) -> Result<(u64, usize)> {
        let append = file.flags.append;
        let flags =
            WriteFlags { append, kill_privileges: !self.may_keep_privileges(), keep_times: false };
        let _edit = if append {
            self.editing_end(file.node)
        } else {
            self.editing(file.node, offset, offset.saturating_add(data.len() as u64))
        };
        let (mut at, mut written) = (offset, 0);
        for step in data.chunks(STEP) {
            let one = || self.vfs.write(file.node, at, step, flags);
            match Waiting(&self.vfs).until_done(one) {
                Ok(start) => {
                    at = start + step.len() as u64;
                    written += step.len();
                    self.tell_data(file.node, start, step.len() as u64);
                }
                Err(_) if written > 0 => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok((at, written))
    }

    /// fsync(2). Nothing is cached above the engine but what a kernel writes back later.
    pub fn fsync(&self, fd: Fd) -> Result<()> {
        let file = self.file(fd)?;
        self.settle(file.node);
        Ok(())
    }

    /// copy_file(from, to): shares content; the copy gets the mode of the original.
    pub fn copy_file(&self, from: &[u8], to: &[u8], exclusive: bool) -> Result<()> {
        let (read, write) = flags_to_copy(exclusive);
        let source = self.open_file(from, read, 0)?;
        self.copy_open(&source, |mode| self.open_file(to, write, mode))
    }

    /// The same by names in directories, of any depth.
    pub(super) fn copy_file_at(&self, from: Place, to: Place) -> Result<()> {
        let (read, write) = flags_to_copy(false);
        let source = self.open_at(from, read, 0)?;
        self.copy_open(&source, |mode| self.open_at(to, write, mode))
    }

    fn copy_open(
        &self,
        source: &OpenFile,
        open_target: impl FnOnce(u32) -> Result<OpenFile>,
    ) -> Result<()> {
        self.settle(source.node);
        let attr = self.vfs.getattr(source.node)?;
        if is_dir_mode(attr.mode) {
            return Err(Errno::IsDir);
        }
        let target = open_target(attr.mode & 0o7777)?;
        if target.node == source.node {
            return Ok(());
        }
        self.resize(target.node, 0)?;
        self.copy_content(source.node, target.node)?;
        let mode = crate::attr::SetAttr { mode: Some(attr.mode & 0o7777), ..Default::default() };
        self.set(target.node, &mode)
    }

    fn copy_content(&self, from: NodeId, to: NodeId) -> Result<()> {
        let _edit = self.editing(to, 0, u64::MAX);
        let mut at = 0;
        loop {
            let rest = self.vfs.getattr(from)?.size.saturating_sub(at);
            let copied = Waiting(&self.vfs)
                .until_done(|| self.vfs.copy_file_range(from, at, to, at, rest))?;
            if copied == 0 {
                break;
            }
            at += copied;
        }
        self.tell_data(to, 0, 0);
        Ok(())
    }
}

// How source and target of a copy are opened.
fn flags_to_copy(exclusive: bool) -> (OpenFlags, OpenFlags) {
    let read = OpenFlags { read: true, ..OpenFlags::default() };
    (read, OpenFlags { write: true, create: true, exclusive, ..OpenFlags::default() })
}

/// Appends at most `len` bytes from `offset`; returns how many there were.
pub(super) fn read_at(
    vfs: &Vfs,
    node: NodeId,
    offset: u64,
    len: usize,
    bytes: &mut Vec<u8>,
) -> Result<usize> {
    let before = bytes.len();
    while bytes.len() - before < len {
        let done = bytes.len() - before;
        let step = (len - done).min(STEP);
        let one = || vfs.read(node, offset + done as u64, step);
        let pieces = Waiting(vfs).until_done(one)?;
        for piece in pieces {
            match piece {
                ReadPiece::Data { bytes: data, start, len } => {
                    bytes.extend_from_slice(&data[start..start + len]);
                }
                ReadPiece::Zero(len) => bytes.resize(bytes.len() + len, 0),
            }
        }
        if bytes.len() - before < done + step {
            break;
        }
    }
    Ok(bytes.len() - before)
}
