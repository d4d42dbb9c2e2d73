//! The end of a process that nothing can hold up.

use std::thread;
use std::time::Duration;

/// Ends the process with `status` when it still lives after `millis`, whatever its threads wait
/// for, such as a stat(2) on somebody's hung mount. To be called when nothing is left to be
/// written.
#[napi_derive::napi(catch_unwind)]
pub fn end_within(millis: u32, status: i32) {
    let end = move || {
        thread::sleep(Duration::from_millis(millis.into()));
        end_now(status);
    };
    // Without it the process ends as it would have.
    let _ = thread::Builder::new().name("devdev-end".into()).spawn(end);
}

#[cfg(target_os = "linux")]
fn end_now(status: i32) {
    // SAFETY: it returns to nobody, and runs no handlers that could wait (_exit(2)).
    unsafe { libc::_exit(status) }
}

#[cfg(not(target_os = "linux"))]
fn end_now(status: i32) {
    std::process::exit(status)
}
