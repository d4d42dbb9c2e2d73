//! Directory listings: READDIR and READDIRPLUS.

use devdev_vfs::{DirEntry, Hold, Outcome};

use super::{Context, OpResult};
use crate::abi::{Dirent, EntryOut, FOPEN_KEEP_CACHE, Field, ReadIn};
use crate::reply::Answer;

const FOPEN_CACHE_DIR: u32 = 1 << 3;

/// What an open of a directory is told, where the kernel asks at all.
pub(super) const OPEN_FLAGS: u32 = FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR;

/// Most that is returned at once, whatever the kernel has room for.
const LISTING_MAX: usize = 1 << 20;

pub(super) fn readdir(c: &mut Context<'_>, arg: &ReadIn) -> OpResult {
    let room = (arg.size as usize).min(LISTING_MAX);
    c.reply.reserve(room);
    let reply = &mut *c.reply;
    c.vfs.readdir(c.node, arg.offset, &mut |entry| {
        let fits = reply.len() + dirent_size(&entry) <= room;
        if fits {
            push_dirent(reply, &entry);
        }
        fits
    })?;
    Ok(Answer::Buffer)
}

pub(super) fn readdirplus(c: &mut Context<'_>, arg: &ReadIn) -> OpResult {
    let room = (arg.size as usize).min(LISTING_MAX);
    c.reply.reserve(room);
    let (vfs, dir, reply) = (c.vfs, c.node, &mut *c.reply);
    vfs.readdir(dir, arg.offset, &mut |entry| {
        // Only what is really returned may take a reference.
        if reply.len() + EntryOut::SIZE + dirent_size(&entry) > room {
            return false;
        }
        // "." and ".." take none; nor does a name that went in between or needs the store:
        // node 0 makes the kernel look it up when somebody asks.
        let dots = entry.name == b"." || entry.name == b"..";
        match if dots { None } else { Some(vfs.lookup(dir, entry.name, Hold::Take)) } {
            Some(Ok(Outcome::Done(found))) => reply.push_entry(&found),
            _ => reply.push(&EntryOut::default()),
        }
        push_dirent(reply, &entry);
        true
    })?;
    Ok(Answer::Buffer)
}

fn dirent_size(entry: &DirEntry<'_>) -> usize {
    (Dirent::SIZE + entry.name.len()).next_multiple_of(8)
}

fn push_dirent(reply: &mut crate::reply::Reply, entry: &DirEntry<'_>) {
    reply.push(&Dirent {
        ino: entry.node.0,
        off: entry.cookie,
        namelen: entry.name.len() as u32,
        kind: entry.kind >> 12,
    });
    reply.push_bytes(entry.name);
    reply.pad();
}
