//! What operations drop, and where it is freed.
//!
//! Freeing a gigabyte takes as long as thousands of operations, so it happens after the locks and
//! the pass of the gate are given back, and large content goes to a thread of its own: the one
//! that asked for it has other requests to answer.

use std::any::Any;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};

use crate::chunk::{CHUNK_PAGES, Chunk};
use crate::inode::Inode;

/// Content up to this many chunks is freed on the spot.
const SMALL: u64 = 64;

/// What an operation drops: freed when this is dropped, which must be after its locks and its
/// pass of the gate are (declare it before them).
#[derive(Default)]
pub(crate) struct Garbage {
    pub(crate) inodes: Vec<Inode>,
    pub(crate) chunks: Vec<Arc<Chunk>>,
}

type Dead = Box<dyn Any + Send>;

impl Drop for Garbage {
    fn drop(&mut self) {
        let pages: u64 = self.inodes.iter().map(|inode| inode.pages).sum();
        if pages / u64::from(CHUNK_PAGES) + self.chunks.len() as u64 > SMALL {
            free_later((std::mem::take(&mut self.inodes), std::mem::take(&mut self.chunks)));
        }
    }
}

/// Has something large freed by the reclaimer; here and now where there is none.
pub(crate) fn free_later(dead: impl Send + 'static) {
    if let Some(reclaimer) = reclaimer() {
        drop(reclaimer.send(Box::new(dead)));
    }
}

// One thread for the process; `None` where there are no threads.
fn reclaimer() -> Option<&'static Sender<Dead>> {
    static RECLAIMER: OnceLock<Option<Sender<Dead>>> = OnceLock::new();
    let start = || {
        let (sender, receiver) = channel::<Dead>();
        let free = move || receiver.into_iter().for_each(drop);
        let thread = std::thread::Builder::new().name("devdev-reclaim".into());
        thread.spawn(free).ok().map(|_| sender)
    };
    RECLAIMER.get_or_init(start).as_ref()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn large_content_is_freed_by_another_thread() {
        let chunk = Arc::new(Chunk::new(vec![1; 10], 1));
        let garbage =
            Garbage { inodes: Vec::new(), chunks: vec![chunk.clone(); 2 * SMALL as usize] };
        drop(garbage);
        let start = Instant::now();
        while Arc::strong_count(&chunk) > 1 {
            assert!(start.elapsed() < Duration::from_secs(10));
            std::thread::yield_now();
        }
    }
}
