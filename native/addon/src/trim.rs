//! Gives memory back to the system when much was freed and the engines have come to rest, or when
//! the process would come to take more than the limits of its workspaces allow: glibc's allocator
//! keeps what is freed below its top, which is nearly all of it. A process that is only a daemon
//! gives back code that only its start needed, too.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use crate::code;
use devdev_vfs::is_pressing;
use devdev_vfs::reclaim::{freed_bytes, on_freed};

/// Giving back while more is being freed or written only costs page faults.
const REST: Duration = Duration::from_secs(1);

/// After its start: when it listens, and when its first workspace is mounted; on a slow or busy
/// machine that takes longer.
const SETTLED: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(3),
    Duration::from_secs(15),
    Duration::from_secs(60),
];

/// Somebody has freed much that the engine does not count.
static ASKED: AtomicBool = AtomicBool::new(false);

/// Whether code is given back.
static CODE: AtomicBool = AtomicBool::new(false);

static TRIMMER: OnceLock<Option<Thread>> = OnceLock::new();

/// For a process that is nothing but a daemon: from now on code that is not in use does not stay
/// resident. To be called at its start, before there is an engine.
#[napi_derive::napi(catch_unwind)]
pub fn give_back_code() {
    CODE.store(true, Ordering::Relaxed);
    start();
}

/// Has memory given back that others than the engines have freed, the next time that these rest.
#[napi_derive::napi(catch_unwind)]
pub fn give_back_memory() {
    start();
    ASKED.store(true, Ordering::Relaxed);
    wake();
}

/// Starts the thread that does it, once in a process.
pub fn start() {
    TRIMMER.get_or_init(|| {
        let thread = std::thread::Builder::new().name("devdev-trim".into()).spawn(serve).ok()?;
        on_freed(wake);
        Some(thread.thread().clone())
    });
}

fn wake() {
    if let Some(Some(thread)) = TRIMMER.get() {
        thread.unpark();
    }
}

fn serve() {
    let mut trimmed = freed_bytes();
    let started = Instant::now();
    let code = CODE.load(Ordering::Relaxed);
    let mut settled = SETTLED.iter().filter(|_| code).peekable();
    loop {
        match settled.peek() {
            Some(after) => std::thread::park_timeout(after.saturating_sub(started.elapsed())),
            None => std::thread::park(),
        }
        if settled.next_if(|after| started.elapsed() >= **after).is_some() {
            code::give_back();
        }
        let mut freed = freed_bytes();
        let asked = ASKED.swap(false, Ordering::Relaxed);
        if freed == trimmed && !asked {
            continue;
        }
        let mut rested = Instant::now();
        while rested.elapsed() < REST && !is_pressing(freed - trimmed) {
            // Until more is freed, if it is much.
            std::thread::park_timeout(REST);
            let now = freed_bytes();
            if now != freed {
                rested = Instant::now();
            }
            freed = now;
        }
        trim();
        if code {
            code::give_back();
        }
        trimmed = freed;
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn trim() {
    // SAFETY: takes no pointers and may be called by any thread at any time (malloc_trim(3)).
    unsafe { libc::malloc_trim(0) };
}

// Elsewhere nothing is known of it.
#[cfg(not(target_os = "linux"))]
mod code {
    pub fn give_back() {}
}

// Other allocators give back by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn trim() {}
