//! Changes examples a little, in the ways that decoders get wrong.

use devdev_vfs::sample::Random;

/// Longer inputs find nothing that shorter ones do not.
const MAX_LEN: usize = 1 << 20;

/// A new input. With `seal` its last 32 bytes are, most of the time, the hash of those before.
pub(crate) fn mutate(corpus: &[Vec<u8>], random: &mut Random, seal: bool) -> Vec<u8> {
    let pick = |random: &mut Random| &corpus[random.below(corpus.len() as u64) as usize];
    let mut bytes = pick(random).clone();
    if seal {
        bytes.truncate(bytes.len().saturating_sub(32));
    }
    for _ in 0..1 + random.below(4) {
        let other = pick(random);
        change(&mut bytes, other, random);
    }
    bytes.truncate(MAX_LEN);
    if seal && random.below(8) > 0 {
        let hash = blake3::hash(&bytes);
        bytes.extend_from_slice(hash.as_bytes());
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len() as u64 + 1) as usize;
    let end = (at + 1 + random.below(16) as usize).min(bytes.len());
    match random.below(8) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.number() as u8,
        2 if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(random.below(3) as u8),
        3 => _ = bytes.splice(at..at, (0..random.below(4)).map(|_| random.number() as u8)),
        4 => _ = bytes.drain(at..end),
        5 => {
            let again = bytes[at..end].to_vec();
            bytes.splice(end..end, again);
        }
        6 => {
            // A piece of another example, or all the rest of it.
            let from = random.below(other.len() as u64 + 1) as usize;
            let to = other.len().min(from + random.below(64) as usize);
            match random.below(4) {
                0 => _ = bytes.splice(at.., other[from..].iter().copied()),
                _ => _ = bytes.splice(at..end, other[from..to].iter().copied()),
            }
        }
        7 => {
            let edges: [&[u8]; 6] = [
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
                &[0xff, 0xff, 0xff, 0xff, 0x0f],
                &[0x80, 0x80, 4],
                &[0, 0, 0, 0, 0, 0, 0, 0x80],
                &[0x80, 0],
                &[0xff; 8],
            ];
            let edge = edges[random.below(6) as usize];
            bytes.splice(at..end, edge.iter().copied());
        }
        _ => bytes.truncate(at),
    }
}
