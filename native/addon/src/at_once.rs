//! Operations that promises of the file API try first, on JavaScript's thread: those that take a
//! few microseconds, where the way to libuv's pool and back takes twenty. They neither wait for
//! the store nor handle much: then, and where a mounted workspace's kernel would have to be told,
//! they say so, and the promise goes to the pool.

use devdev_vfs::api::{Api, Failure, at_once};
use napi::bindgen_prelude::Float64ArraySlice;
use napi_derive::napi;

use crate::by_file::open_flags;
use crate::failed::{Failed, Thrown};
use crate::registry::engine;
use crate::values::{Bytes, fill_numbers};

/// The most content of one call: some ten microseconds of copying.
const MOST: usize = 64 * 1024;
/// `open_flags` of "r" and "w", which have no effect, or the same one, when they come twice.
const READ: u32 = 1;
const WRITE: u32 = 2 | 8 | 32;

/// stat(2) or lstat(2) into `numbers`; `false` where it is not to be had at once.
#[napi(catch_unwind)]
pub fn stat_at_once(
    number: u32,
    path: &[u8],
    follow: bool,
    numbers: Float64ArraySlice<'_>,
) -> Result<bool, Thrown> {
    let engine = engine(number)?;
    match at_once(|| engine.api.stat(path, follow)) {
        Some(attr) => fill_numbers(&attr.map_err(Failed::from)?, numbers).map(|()| true),
        None => Ok(false),
    }
}

/// The whole content of a file; null where it is not to be had at once.
#[napi(catch_unwind, ts_return_type = "Buffer | null")]
pub fn read_file_at_once(number: u32, path: &[u8], flags: u32) -> Result<Option<Bytes>, Thrown> {
    if flags != READ {
        return Ok(None);
    }
    let content = engine(number)?.api.read_file_at_once(path, MOST as u64);
    Ok(content.map_err(Failed::from)?.map(Bytes))
}

/// access(2); `false` where it cannot be told at once.
#[napi(catch_unwind)]
pub fn access_at_once(number: u32, path: &[u8], mode: u32) -> Result<bool, Thrown> {
    let engine = engine(number)?;
    done(at_once(|| engine.api.access(path, mode)))
}

/// Writes a whole file; `false` where that cannot be done at once.
#[napi(catch_unwind)]
pub fn write_file_at_once(
    number: u32,
    path: &[u8],
    data: &[u8],
    flags: u32,
    mode: u32,
) -> Result<bool, Thrown> {
    if flags != WRITE || data.len() > MOST {
        return Ok(false);
    }
    changed(number, |api| api.write_file(path, data, open_flags(flags), mode))
}

/// mkdir(2); `false` where that cannot be done at once.
#[napi(catch_unwind)]
pub fn mkdir_at_once(number: u32, path: &[u8], mode: u32) -> Result<bool, Thrown> {
    changed(number, |api| api.mkdir(path, mode))
}

/// rename(2); `false` where that cannot be done at once.
#[napi(catch_unwind)]
pub fn rename_at_once(number: u32, path: &[u8], to: &[u8]) -> Result<bool, Thrown> {
    changed(number, |api| api.rename(path, to))
}

/// unlink(2); `false` where that cannot be done at once.
#[napi(catch_unwind)]
pub fn unlink_at_once(number: u32, path: &[u8]) -> Result<bool, Thrown> {
    changed(number, |api| api.unlink(path))
}

// A change of which no kernel has to be told; `false` where one has.
fn changed<E: Into<Failure>>(
    number: u32,
    change: impl FnOnce(&Api) -> Result<(), E>,
) -> Result<bool, Thrown> {
    let engine = engine(number)?;
    if engine.host_mount.is_mounted() {
        return Ok(false);
    }
    done(at_once(|| change(&engine.api)))
}

fn done<E: Into<Failure>>(result: Option<Result<(), E>>) -> Result<bool, Thrown> {
    match result {
        Some(Ok(())) => Ok(true),
        Some(Err(why)) => Err(Failed::from(why.into()).into()),
        None => Ok(false),
    }
}
