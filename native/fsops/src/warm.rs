//! Keeps memory ready that has been touched. A virtual machine gives what is free back to its host
//! (free page reporting of virtio-balloon), and a page that the host has to fetch costs many times
//! one that is there, so what is measured would depend on how much was freed before it. Here memory
//! is held and handed out as fast as others take theirs: they find what was freed last.

use std::fs;
use std::io::{self, BufRead, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use memmap2::MmapMut;

const MIB: u64 = 1 << 20;
const BLOCK: u64 = 16 * MIB;
const PAGE: usize = 4096;
/// Free and touched while others work: more than is taken between two looks. The kernel reports
/// what is free to the host after a while only, or lets a part wait.
const READY: u64 = 256 * MIB;
/// Not held, whatever is asked.
const LEFT: u64 = 1 << 30;
const LOOK: Duration = Duration::from_millis(10);

/// Reads `fill` lines: holds `mib` of touched memory again and says `filled MIB`. In between it
/// keeps as much free as was then. Ends with its input.
pub fn warm(mib: u64) -> Result<String, String> {
    let orders = lines();
    let mut held: Vec<MmapMut> = Vec::new();
    let mut level = 0;
    loop {
        match orders.recv_timeout(LOOK) {
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok("ended".into()),
            Ok(()) => {
                fill(&mut held, mib * MIB).map_err(|e| format!("cannot hold {mib} MiB: {e}"))?;
                println!("filled {}", held.len() as u64 * BLOCK / MIB);
                io::stdout().flush().map_err(|e| e.to_string())?;
                held.truncate(held.len().saturating_sub((READY / BLOCK) as usize));
                level = free()?;
            }
        }
        let missing = level.saturating_sub(free()?).div_ceil(BLOCK) as usize;
        held.truncate(held.len().saturating_sub(missing));
    }
}

fn fill(held: &mut Vec<MmapMut>, bytes: u64) -> io::Result<()> {
    while (held.len() as u64) < bytes / BLOCK && free().is_ok_and(|free| free > LEFT + BLOCK) {
        let mut block = MmapMut::map_anon(BLOCK as usize)?;
        block.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
        held.push(block);
    }
    Ok(())
}

/// Bytes of the machine that nobody uses.
fn free() -> Result<u64, String> {
    let text = fs::read_to_string("/proc/meminfo").map_err(|e| format!("/proc/meminfo: {e}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemFree:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kib.ok_or("/proc/meminfo: no MemFree")? * 1024)
}

fn lines() -> Receiver<()> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            if line.is_err() || sender.send(()).is_err() {
                return;
            }
        }
    });
    receiver
}
