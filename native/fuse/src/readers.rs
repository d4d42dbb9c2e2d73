//! The threads that read from /dev/fuse.

use std::sync::Arc;
use std::time::Duration;

use devdev_vfs::Vfs;

use crate::abi::op;
use crate::classic::ClassicChannel;
use crate::core::Worker;
use crate::follow::Follower;
use crate::handshake::MAX_WRITE;
use crate::transport::{Channel, Exchange, Message, Received};

/// Beside rings little but FORGETs comes through the device. Each would wake its reader at the
/// expense of who unlinks; while that one naps they gather, and come many at a time.
pub(crate) struct Forgets(Arc<Vfs>);

impl Forgets {
    /// Those of a workspace.
    pub fn new(vfs: Arc<Vfs>) -> Forgets {
        Forgets(vfs)
    }

    const NAP: Duration = Duration::from_millis(2);
    /// With less room than this nobody shall wait for the space of removed files.
    const SPARE_BYTES: u64 = 64 << 20;
    const SPARE_INODES: u64 = 10_000;

    fn read(&self, opcode: u32) {
        if !matches!(opcode, op::FORGET | op::BATCH_FORGET) {
            return;
        }
        let usage = self.0.usage();
        let bytes = usage.max_bytes.saturating_sub(usage.bytes);
        let inodes = usage.max_inodes.saturating_sub(usage.inodes);
        if bytes > Forgets::SPARE_BYTES && inodes > Forgets::SPARE_INODES {
            std::thread::sleep(Forgets::NAP);
        }
    }
}

/// Serves what comes in until the connection is over. `forgets`: rings serve everything else.
pub(crate) fn read_requests(
    channel: &mut ClassicChannel,
    worker: &mut Worker,
    forgets: Option<&Forgets>,
) {
    let mut buffer = vec![0; MAX_WRITE as usize + 4096];
    let mut port = channel.port();
    let mut follower = Follower::new();
    loop {
        match channel.receive(&mut buffer) {
            Received::Request(len) => {
                let message = Message { bytes: &buffer[..len], port };
                let header = message.frame().header().unwrap_or_default();
                if forgets.is_none() {
                    follower.received(header.pid);
                }
                worker.serve(&message);
                port = message.port;
                if let Some(forgets) = forgets {
                    forgets.read(header.opcode);
                }
            }
            Received::Nothing => {}
            Received::Ended => return,
        }
    }
}
