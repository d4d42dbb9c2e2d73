//! The host mount of an engine, as JavaScript sees it. The bridge exists on Linux; elsewhere the
//! same exports say so.

use std::sync::{Arc, Weak};

use napi::bindgen_prelude::{Function, Object};
use napi::{Env, Status};
use napi_derive::napi;

use crate::engine::Engine;
use crate::failed::Thrown;
use crate::registry::{ENGINES, engine};
use crate::work::{internal, long};

#[cfg(target_os = "linux")]
#[path = "host_mount/linux.rs"]
mod platform;
#[cfg(not(target_os = "linux"))]
#[path = "host_mount/unsupported.rs"]
mod platform;

pub use platform::HostMountSlot;
/// Keeps CPUs from halting for a moment, where a mount would: somebody waits for work of several
/// threads, one after the other.
pub use platform::stay_awake;

type Listener<T> = napi::threadsafe_function::ThreadsafeFunction<T, (), T, Status, false, true>;

/// How a workspace is mounted.
#[napi(object, object_to_js = false)]
pub struct MountConfig {
    pub path: String,
    pub allow_other: bool,
    pub suid_and_devices: bool,
    /// "classic" or "io_uring"; without it io_uring where the kernel offers it.
    pub transport: Option<String>,
    /// fsync waits for the store.
    pub durable: bool,
    /// The kernel may keep writes back.
    pub writeback: bool,
    /// The helper binary that watches over this process.
    pub helper: Option<String>,
}

/// What was mounted.
#[napi(object)]
pub struct MountedInfo {
    /// Absolute.
    pub path: String,
    /// "classic" or "io_uring".
    pub transport: String,
    /// Why io_uring was wished and is not used.
    pub why_classic: Option<String>,
    /// Whether the kernel keeps writes back.
    pub writeback: bool,
}

/// A message of the bridge: level, text.
#[napi(object)]
pub struct MountMessage {
    pub level: String,
    pub text: String,
}

/// Counters of one kind of request.
#[napi(object)]
pub struct RequestCounter {
    pub name: String,
    pub count: f64,
    pub bytes_in: f64,
    pub bytes_out: f64,
    pub nanos: f64,
    pub max_nanos: f64,
    pub errors: Vec<ErrorCounter>,
    pub latency: Vec<LatencyCounter>,
}

/// How many requests were answered with an error.
#[napi(object)]
pub struct ErrorCounter {
    pub errno: i32,
    pub count: f64,
}

/// How many took from so many nanoseconds to less than so many.
#[napi(object)]
pub struct LatencyCounter {
    pub from: f64,
    pub below: f64,
    pub count: f64,
}

/// What a host mount has counted.
#[napi(object)]
pub struct MountFigures {
    /// Milliseconds since the epoch.
    pub since: f64,
    pub requests: Vec<RequestCounter>,
    pub inodes_notified: f64,
    pub entries_notified: f64,
    pub parked: f64,
    pub parked_now: u32,
}

/// A process that uses a host mount.
#[napi(object)]
pub struct MountUserInfo {
    pub pid: u32,
    pub command: String,
    /// "working directory", "open file" ...
    pub what: String,
}

/// What a flush did.
#[napi(object)]
pub struct FlushInfo {
    pub inodes: u32,
    pub processes: u32,
    /// False when the time was up: stores may be missing.
    pub complete: bool,
    pub ms: f64,
}

/// A devdev mount of this host.
#[napi(object)]
pub struct FoundMountInfo {
    pub path: String,
    pub uid: u32,
}

/// Who listens to a host mount.
pub struct Listeners {
    pub log: Listener<MountMessage>,
    pub end: Listener<String>,
    /// Somebody waits in fsync: see syncs.rs.
    pub sync: Listener<()>,
}

/// Mounts an engine.
#[napi(catch_unwind, ts_return_type = "Promise<MountedInfo>")]
pub fn mount<'env>(
    env: &'env Env,
    number: u32,
    config: MountConfig,
    on_log: Function<MountMessage, ()>,
    on_end: Function<String, ()>,
    on_sync: Function<(), ()>,
) -> Result<Object<'env>, Thrown> {
    let engine = engine(number)?;
    let listeners = Listeners {
        log: on_log
            .build_threadsafe_function::<MountMessage>()
            .weak::<true>()
            .build()
            .map_err(internal)?,
        end: on_end
            .build_threadsafe_function::<String>()
            .weak::<true>()
            .build()
            .map_err(internal)?,
        sync: on_sync.build_threadsafe_function::<()>().weak::<true>().build().map_err(internal)?,
    };
    // At the end of this environment nobody is left who could unmount. Hooks stay until then, so
    // this one must not keep the engine.
    let hook = |engine: Weak<Engine>| {
        if let Some(engine) = engine.upgrade() {
            engine.syncs.fail();
            engine.host_mount.abandon();
        }
    };
    env.add_env_cleanup_hook(Arc::downgrade(&engine), hook).map_err(internal)?;
    long(env, "mount", move || platform::mount(&engine, config, listeners))
}

/// Unmounts an engine; EBUSY when it is in use, unless `force`.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn unmount(env: &Env, number: u32, force: bool) -> Result<Object<'_>, Thrown> {
    let engine = engine(number)?;
    long(env, "unmount", move || engine.host_mount.unmount(force))
}

/// Unmounts everything by force, within a limit: `process.exit` runs no cleanup hook.
#[napi(catch_unwind)]
pub fn abandon_mounts() {
    for engine in ENGINES.all() {
        engine.syncs.fail();
        engine.host_mount.abandon();
    }
}

/// Brings stores through shared mappings into the engine.
#[napi(catch_unwind, ts_return_type = "Promise<FlushInfo>")]
pub fn flush(env: &Env, number: u32, deadline_ms: u32) -> Result<Object<'_>, Thrown> {
    let engine = engine(number)?;
    long(env, "flush", move || Ok(engine.host_mount.flush(deadline_ms)))
}

/// Whether the mount serves requests.
#[napi(catch_unwind)]
pub fn mount_alive(number: u32) -> bool {
    engine(number).is_ok_and(|engine| engine.host_mount.is_alive())
}

/// What the mount has counted since it began or was last told to begin anew; with `reset` it
/// then does. Nothing when there is no mount.
#[napi(catch_unwind)]
pub fn mount_stats(number: u32, reset: bool) -> Result<Option<MountFigures>, Thrown> {
    Ok(engine(number)?.host_mount.stats(reset))
}

/// The devdev mounts of this mount namespace.
#[napi(catch_unwind, ts_return_type = "Promise<Array<FoundMountInfo>>")]
pub fn host_mounts(env: &Env) -> Result<Object<'_>, Thrown> {
    long(env, "mounts", platform::host_mounts)
}

/// Who uses what is mounted at a path.
#[napi(catch_unwind, ts_return_type = "Promise<Array<MountUserInfo>>")]
pub fn mount_users(env: &Env, path: String) -> Result<Object<'_>, Thrown> {
    long(env, "users", move || platform::mount_users(path))
}

/// Clears what a killed server left; false when there was nothing dead.
#[napi(catch_unwind, ts_return_type = "Promise<boolean>")]
pub fn clear_dead_mount(env: &Env, path: String) -> Result<Object<'_>, Thrown> {
    long(env, "clear", move || platform::clear_dead_mount(path))
}
