//! An engine: its making, its numbers, its end.

use std::sync::Arc;

use devdev_vfs::api::Api;
use devdev_vfs::{Caller, Limits, Timespec, Vfs, VfsOptions};
use napi::bindgen_prelude::{BigInt, Uint8Array};
use napi_derive::napi;

use crate::clock::SettableClock;
use crate::failed::{Failed, Thrown};
use crate::host_mount::HostMountSlot;
use crate::needs::NeedQueue;
use crate::registry::{ENGINES, engine, tree};
use crate::syncs::SyncQueue;

/// One workspace's engine with all that hangs on it.
pub struct Engine {
    pub vfs: Arc<Vfs>,
    pub api: Api,
    pub xattrs: bool,
    pub clock: Arc<SettableClock>,
    pub host_mount: HostMountSlot,
    pub needs: Arc<NeedQueue>,
    pub syncs: Arc<SyncQueue>,
}

/// How an engine is made.
#[napi(object)]
pub struct EngineOptions {
    pub max_bytes: f64,
    pub max_inodes: f64,
    pub xattrs: bool,
    pub uid: u32,
    pub gid: u32,
    /// Its clock stands still at this time until `setClock`.
    pub time: Option<Time>,
    /// The tree that it starts from.
    pub tree: Option<u32>,
}

/// A point in time.
#[napi(object)]
pub struct Time {
    /// Seconds since the epoch.
    pub secs: i64,
    pub nanos: u32,
}

impl From<Time> for Timespec {
    fn from(time: Time) -> Timespec {
        Timespec { secs: time.secs, nanos: time.nanos }
    }
}

/// What an engine holds.
#[napi(object)]
pub struct EngineUsage {
    pub bytes: f64,
    pub inodes: f64,
    pub max_bytes: f64,
    pub max_inodes: f64,
    pub dirty_bytes: f64,
}

/// Makes an engine; returns its number.
#[napi(catch_unwind)]
pub fn engine_create(options: EngineOptions) -> Result<u32, Thrown> {
    crate::trim::start();
    let clock = Arc::new(SettableClock::default());
    if let Some(time) = options.time {
        clock.set(time.into());
    }
    let owner = Caller { uid: options.uid, gid: options.gid, pid: 0 };
    let vfs_options = VfsOptions {
        clock: clock.clone(),
        limits: Limits { bytes: options.max_bytes as u64, inodes: options.max_inodes as u64 },
        xattrs: options.xattrs,
        owner,
    };
    let vfs = match options.tree {
        Some(number) => Vfs::from_tree(vfs_options, &tree(number)?.tree),
        None => Vfs::new(vfs_options),
    };
    let engine = Engine {
        api: Api::new(vfs.clone(), owner),
        xattrs: options.xattrs,
        clock,
        host_mount: HostMountSlot::default(),
        needs: NeedQueue::new(&vfs),
        syncs: Arc::default(),
        vfs,
    };
    Ok(ENGINES.add(Arc::new(engine)))
}

/// Lets an engine go; EBUSY while it is mounted.
#[napi(catch_unwind)]
pub fn engine_close(number: u32) -> Result<(), Thrown> {
    let engine = engine(number)?;
    if engine.host_mount.is_mounted() {
        return Err(Failed::new("EBUSY", "the workspace is still mounted").into());
    }
    ENGINES.remove(number);
    engine.needs.close();
    engine.syncs.fail();
    engine.api.close_all();
    // Freeing a large tree takes its time.
    std::thread::spawn(move || drop(engine));
    Ok(())
}

/// Fails unless the engine is there.
#[napi(catch_unwind)]
pub fn engine_check(number: u32) -> Result<(), Thrown> {
    engine(number)?;
    Ok(())
}

/// Stops the engine's clock at a time.
#[napi(catch_unwind)]
pub fn set_clock(number: u32, secs: i64, nanos: u32) -> Result<(), Thrown> {
    engine(number)?.clock.set(Timespec { secs, nanos });
    Ok(())
}

/// What it holds now.
#[napi(catch_unwind)]
pub fn engine_usage(number: u32) -> Result<EngineUsage, Thrown> {
    let usage = engine(number)?.vfs.usage();
    Ok(EngineUsage {
        bytes: usage.bytes as f64,
        inodes: usage.inodes as f64,
        max_bytes: usage.max_bytes as f64,
        max_inodes: usage.max_inodes as f64,
        dirty_bytes: usage.dirty_bytes as f64,
    })
}

/// Counts changes.
#[napi(catch_unwind)]
pub fn engine_change_count(number: u32) -> Result<BigInt, Thrown> {
    Ok(BigInt::from(engine(number)?.vfs.change_count()))
}

/// A name in `.devdev/snapshots`.
#[napi(object)]
pub struct SnapshotEntry {
    pub name: Uint8Array,
    pub time: Time,
    /// Its tree, when no store has it.
    pub tree: Option<u32>,
}

/// Replaces what `.devdev/snapshots` lists.
#[napi(catch_unwind)]
pub fn set_snapshots(number: u32, list: Vec<SnapshotEntry>) -> Result<(), Thrown> {
    let list = list.into_iter().map(listed).collect::<Result<_, Failed>>()?;
    engine(number)?.vfs.set_snapshots(list);
    Ok(())
}

/// Adds to what `.devdev/snapshots` lists.
#[napi(catch_unwind)]
pub fn add_snapshot(number: u32, entry: SnapshotEntry) -> Result<(), Thrown> {
    engine(number)?.vfs.add_snapshot(listed(entry)?);
    Ok(())
}

fn listed(entry: SnapshotEntry) -> Result<devdev_vfs::SnapshotEntry, Failed> {
    let name = entry.name.to_vec().into_boxed_slice();
    let tree = entry.tree.map(tree).transpose()?.map(|handle| handle.tree.clone());
    Ok(devdev_vfs::SnapshotEntry { name, taken: entry.time.into(), tree })
}
