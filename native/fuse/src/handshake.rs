//! INIT: what the kernel offers and what we take of it.

use std::io::IoSlice;
use std::time::Duration;

use crate::abi::{
    Abi, COMPAT_22_INIT_OUT_SIZE, Field, InitIn, InitOut, KERNEL_MINOR, KERNEL_VERSION,
    OLDEST_MINOR, OutHeader, init,
};
use crate::classic::DeviceFile;
use crate::errors::HostMountError;
use crate::request::{Frame, Op, decode};
use crate::transport::{Channel, Port, Received};

/// Most bytes in one WRITE.
pub(crate) const MAX_WRITE: u32 = 1 << 20;
/// The same in pages.
const MAX_PAGES: u16 = (MAX_WRITE / 4096) as u16;
/// Requests that the kernel may have under way on its own account (read-ahead, write-back).
const MAX_BACKGROUND: u16 = 128;
/// The least where it keeps writes back. Those that wait for room have their data in our memory, so
/// a quarter of the byte limit, less what the daemon itself needs then, is all they may carry. It
/// should be more than the kernel keeps back: read-ahead waits when all are under way.
const MIN_BACKGROUND: u16 = 4;
const WRITES_PART: u64 = 4;
const WRITES_LESS: u64 = 16 << 20;
/// The kernel sends INIT by itself as soon as it has mounted.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);

const WANTED: u64 = init::ASYNC_READ
    | init::EXPORT_SUPPORT
    | init::BIG_WRITES
    | init::DO_READDIRPLUS
    | init::READDIRPLUS_AUTO
    | init::ASYNC_DIO
    | init::NO_OPEN_SUPPORT
    | init::PARALLEL_DIROPS
    | init::MAX_PAGES
    | init::CACHE_SYMLINKS
    | init::NO_OPENDIR_SUPPORT
    | init::EXPLICIT_INVAL_DATA
    | init::HANDLE_KILLPRIV_V2
    | init::SETXATTR_EXT
    | init::INIT_EXT
    | init::HAS_RESEND;

/// The first minor version in which the kernel can be told to prune inodes. It keeps length and
/// times of a file that it writes back for as long as it knows the inode: without pruning what the
/// API changes would not be seen through the mount.
const WRITEBACK_MINOR: u32 = 45;

/// What both sides speak.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agreed {
    /// Minor version of the protocol.
    pub minor: u32,
    /// INIT flags, from bit 32 those of flags2.
    pub flags: u64,
}

impl Agreed {
    /// Whether requests come through rings.
    pub fn over_rings(&self) -> bool {
        self.flags & init::OVER_IO_URING != 0
    }

    /// Whether the kernel keeps writes back.
    pub fn writeback(&self) -> bool {
        self.flags & init::WRITEBACK_CACHE != 0
    }

    /// Whether SETXATTR has its long form.
    pub fn long_setxattr(&self) -> bool {
        self.flags & init::SETXATTR_EXT != 0
    }
}

/// Waits for INIT and answers it; `rings`: whether they are there to be used; `writes`: how many of
/// them may be under way, if the kernel may keep writes back.
pub(crate) fn shake_hands(
    file: &DeviceFile,
    channel: &mut dyn Channel,
    rings: bool,
    writes: Option<u16>,
) -> Result<Agreed, HostMountError> {
    let failed = |reason: &str| HostMountError::Handshake(reason.to_owned());
    let mut buffer = vec![0; MAX_WRITE as usize + 4096];
    loop {
        match file.wait_readable(INIT_TIMEOUT) {
            Ok(true) => {}
            Ok(false) => return Err(failed("it sent nothing")),
            Err(error) => return Err(HostMountError::System("poll", error.into())),
        }
        let len = match channel.receive(&mut buffer) {
            Received::Request(len) => len,
            Received::Nothing => continue,
            Received::Ended => return Err(failed("the connection ended")),
        };
        let Ok(request) = decode(Frame::whole(&buffer[..len]), false) else {
            return Err(failed("its first request was malformed"));
        };
        let Op::Init(offer) = request.op else {
            return Err(failed("its first request was not INIT"));
        };
        let mut wanted = if rings { WANTED | init::OVER_IO_URING } else { WANTED };
        if writes.is_some() && offer.minor >= WRITEBACK_MINOR {
            wanted |= init::WRITEBACK_CACHE;
        }
        let (reply, agreed) = answer(&offer, wanted, writes.unwrap_or_default());
        send(file, request.header.unique, &reply)?;
        match agreed {
            Ok(Some(agreed)) => return Ok(agreed),
            // A newer major version: the kernel comes again with ours.
            Ok(None) => {}
            Err(reason) => return Err(failed(&reason)),
        }
    }
}

/// How many writes may be under way that a kernel keeps back, under this byte limit.
pub(crate) fn writes_under_way(limit: u64) -> u16 {
    let writes = (limit / WRITES_PART).saturating_sub(WRITES_LESS) / u64::from(MAX_WRITE);
    u16::try_from(writes).map_or(MAX_BACKGROUND, |n| n.clamp(MIN_BACKGROUND, MAX_BACKGROUND))
}

// The bytes behind the header, and what they agree to; an error where nothing can be agreed.
fn answer(offer: &InitIn, wanted: u64, writes: u16) -> (Vec<u8>, Result<Option<Agreed>, String>) {
    let mut out = InitOut { major: KERNEL_VERSION, minor: KERNEL_MINOR, ..InitOut::default() };
    let mut bytes = Vec::new();
    if offer.major != KERNEL_VERSION || offer.minor < OLDEST_MINOR {
        out.append(&mut bytes);
        bytes.truncate(if offer.minor < 23 { COMPAT_22_INIT_OUT_SIZE } else { InitOut::SIZE });
        let agreed = if offer.major > KERNEL_VERSION {
            Ok(None)
        } else {
            Err(format!("it speaks {}.{}, too old", offer.major, offer.minor))
        };
        return (bytes, agreed);
    }
    let mut offered = u64::from(offer.flags);
    if offered & init::INIT_EXT != 0 {
        offered |= u64::from(offer.flags2) << 32;
    }
    let flags = offered & wanted;
    out.minor = offer.minor.min(KERNEL_MINOR);
    out.max_readahead = offer.max_readahead;
    out.flags = flags as u32;
    out.flags2 = (flags >> 32) as u32;
    let keeps_back = flags & init::WRITEBACK_CACHE != 0;
    out.max_background = if keeps_back { writes } else { MAX_BACKGROUND };
    // From so many on it holds back.
    out.congestion_threshold = out.max_background * 3 / 4;
    out.max_write = MAX_WRITE;
    out.time_gran = 1;
    out.max_pages = if flags & init::MAX_PAGES != 0 { MAX_PAGES } else { 0 };
    out.append(&mut bytes);
    if offer.minor < 23 {
        bytes.truncate(COMPAT_22_INIT_OUT_SIZE);
    }
    (bytes, Ok(Some(Agreed { minor: out.minor, flags })))
}

fn send(port: &dyn Port, unique: u64, reply: &[u8]) -> Result<(), HostMountError> {
    let mut header = [0; OutHeader::SIZE];
    let len = (OutHeader::SIZE + reply.len()) as u32;
    OutHeader { len, error: 0, unique }.put(&mut header);
    port.send(&[IoSlice::new(&header), IoSlice::new(reply)])
        .map_err(|error| HostMountError::Handshake(format!("the answer was refused: {error:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(minor: u32, flags: u64) -> InitIn {
        InitIn {
            major: 7,
            minor,
            max_readahead: 131072,
            flags: flags as u32,
            flags2: (flags >> 32) as u32,
            ..InitIn::default()
        }
    }

    #[test]
    fn a_present_kernel_gets_all_it_offers_of_what_is_wanted() {
        let writeback = 1 << 16;
        let (bytes, agreed) = answer(&offer(45, WANTED | writeback), WANTED, 8);
        let agreed = agreed.unwrap().unwrap();
        assert_eq!((agreed.minor, agreed.flags), (45, WANTED));
        assert!(agreed.long_setxattr());
        let out = InitOut::decode(&bytes).unwrap();
        assert_eq!((bytes.len(), out.max_write, out.max_pages), (64, 1 << 20, 256));
        assert_eq!((out.max_background, out.congestion_threshold), (128, 96));
        assert_eq!(out.flags2, 1 << 7);
        let rings = WANTED | init::OVER_IO_URING;
        assert!(!answer(&offer(45, rings), WANTED, 8).1.unwrap().unwrap().over_rings());
        assert!(answer(&offer(45, rings), rings, 8).1.unwrap().unwrap().over_rings());
        assert!(!answer(&offer(45, WANTED), rings, 8).1.unwrap().unwrap().over_rings());
        let (bytes, agreed) = answer(&offer(60, WANTED), WANTED, 8);
        assert_eq!(agreed.unwrap().unwrap().minor, 45);
        assert_eq!(InitOut::decode(&bytes).unwrap().minor, 45);
    }

    #[test]
    fn few_writes_are_under_way_below_a_small_limit() {
        let limits = [0, 128 << 20, 384 << 20, 1 << 40];
        assert_eq!(limits.map(writes_under_way), [4, 16, 80, 128]);
        let wanted = WANTED | init::WRITEBACK_CACHE;
        let (bytes, _) = answer(&offer(45, wanted), wanted, 8);
        let out = InitOut::decode(&bytes).unwrap();
        assert_eq!((out.max_background, out.congestion_threshold), (8, 6));
    }

    #[test]
    fn old_kernels_get_short_replies_and_few_flags() {
        let (bytes, agreed) = answer(&offer(22, init::ASYNC_READ | init::BIG_WRITES), WANTED, 8);
        assert_eq!(bytes.len(), COMPAT_22_INIT_OUT_SIZE);
        assert_eq!(agreed.unwrap().unwrap().flags, init::ASYNC_READ | init::BIG_WRITES);
        // Without INIT_EXT the second word is not there.
        let (_, agreed) = answer(&offer(31, init::HAS_RESEND | init::MAX_PAGES), WANTED, 8);
        assert_eq!(agreed.unwrap().unwrap().flags, init::MAX_PAGES);
    }

    #[test]
    fn other_major_versions_are_negotiated_or_refused() {
        let (_, agreed) = answer(&InitIn { major: 8, minor: 1, ..InitIn::default() }, WANTED, 8);
        assert!(agreed.unwrap().is_none());
        let (_, agreed) = answer(&InitIn { major: 6, minor: 9, ..InitIn::default() }, WANTED, 8);
        assert!(agreed.is_err());
        let (_, agreed) = answer(&offer(11, 0), WANTED, 8);
        assert!(agreed.is_err());
    }
}
