//! Values that cross to JavaScript packed, where one object per field or entry would cost more
//! than the operation: attributes as numbers, listings and contents as bytes.

use devdev_vfs::Attr;
use devdev_vfs::api::Listed;
use napi::bindgen_prelude::{Buffer, BufferSlice, Float64ArraySlice, ToNapiValue, TypeName};
use napi::{Env, ValueType, sys};

use crate::failed::{Failed, Thrown};

/// From this size on a buffer that hands its memory over is cheaper than a copy.
const EXTERNAL_FROM: usize = 64 * 1024;

/// Bytes that become a Buffer.
pub struct Bytes(pub Vec<u8>);

impl ToNapiValue for Bytes {
    unsafe fn to_napi_value(env: sys::napi_env, val: Bytes) -> napi::Result<sys::napi_value> {
        if val.0.len() >= EXTERNAL_FROM {
            // SAFETY: `env` is the caller's, on its thread.
            return unsafe { Buffer::to_napi_value(env, Buffer::from(val.0)) };
        }
        let copy = BufferSlice::copy_from(&Env::from_raw(env), val.0)?;
        // SAFETY: as above.
        unsafe { <&BufferSlice<'_>>::to_napi_value(env, &copy) }
    }
}

impl TypeName for Bytes {
    fn type_name() -> &'static str {
        "Buffer"
    }

    fn value_type() -> ValueType {
        ValueType::Object
    }
}

/// Attributes as 19 numbers; `packages/vfs/src/fs/stats.ts` reads the same order.
fn in_order(attr: &Attr) -> [f64; COUNT] {
    // 64-bit numbers in halves, so that bigint stats are exact.
    let halves = |n: u64| [(n >> 32) as f64, (n & 0xffff_ffff) as f64];
    let time = |t: devdev_vfs::Timespec| [t.secs as f64, f64::from(t.nanos)];
    let small = [attr.mode, attr.nlink, attr.uid, attr.gid, attr.rdev];
    let wide = [attr.node.0, attr.size, attr.blocks].map(halves);
    let times = [attr.atime, attr.mtime, attr.ctime, attr.btime].map(time);
    let mut all = [0.0; COUNT];
    let (first, rest) = all.split_at_mut(small.len());
    first.copy_from_slice(&small.map(f64::from));
    for (place, pair) in rest.chunks_exact_mut(2).zip(wide.iter().chain(&times)) {
        place.copy_from_slice(pair);
    }
    all
}

const COUNT: usize = 19;

/// Puts them into an array of JavaScript's.
pub fn fill_numbers(attr: &Attr, mut numbers: Float64ArraySlice<'_>) -> Result<(), Thrown> {
    let all = in_order(attr);
    // SAFETY: this thread is JavaScript's, so nothing else touches its memory meanwhile.
    let room = unsafe { numbers.as_mut() }.get_mut(..all.len());
    let room = room.ok_or_else(|| Failed::new("ERR_INTERNAL", "too few numbers"))?;
    room.copy_from_slice(&all);
    Ok(())
}

/// The numbers of `in_order` as a new Float64Array.
pub struct Numbers([f64; COUNT]);

impl From<Attr> for Numbers {
    fn from(attr: Attr) -> Numbers {
        Numbers(in_order(&attr))
    }
}

impl ToNapiValue for Numbers {
    // A copy that JavaScript owns: handing ours over costs a finalizer, several times the call.
    unsafe fn to_napi_value(env: sys::napi_env, val: Numbers) -> napi::Result<sys::napi_value> {
        let copy = &Float64ArraySlice::copy_from(&Env::from_raw(env), val.0)?;
        // SAFETY: `env` is the caller's, on its thread.
        unsafe { <&Float64ArraySlice<'_>>::to_napi_value(env, copy) }
    }
}

impl TypeName for Numbers {
    fn type_name() -> &'static str {
        "Float64Array"
    }

    fn value_type() -> ValueType {
        ValueType::Object
    }
}

/// A listing as bytes: for each name its kind (type bits >> 12), u32le length, name.
pub fn packed(names: &[Listed]) -> Bytes {
    let size = names.iter().map(|listed| listed.name.len() + 5).sum();
    let mut bytes = Vec::with_capacity(size);
    for Listed { name, kind } in names {
        bytes.push((kind >> 12) as u8);
        bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
        bytes.extend_from_slice(name);
    }
    Bytes(bytes)
}
