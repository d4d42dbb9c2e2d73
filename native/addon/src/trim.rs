//! Gives memory back to the system when much was freed and the engines have come to rest, or when
//! the process would come to take more than the limits of its workspaces allow: glibc's allocator
//! keeps what is freed below its top, which is nearly all of it.

use std::sync::OnceLock;
use std::thread::Thread;
use std::time::{Duration, Instant};

use devdev_vfs::is_pressing;
use devdev_vfs::reclaim::{freed_bytes, on_freed};

/// Giving back while more is being freed or written only costs page faults.
const REST: Duration = Duration::from_secs(1);

static TRIMMER: OnceLock<Option<Thread>> = OnceLock::new();

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
    loop {
        std::thread::park();
        let mut freed = freed_bytes();
        if freed == trimmed {
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
        trimmed = freed;
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn trim() {
    // SAFETY: takes no pointers and may be called by any thread at any time (malloc_trim(3)).
    unsafe { libc::malloc_trim(0) };
}

// Other allocators give back by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn trim() {}
