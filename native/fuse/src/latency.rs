//! A histogram of times: four buckets for each power of two, so that a figure read from it is at
//! most an eighth off.

/// Buckets for all times that 64 bits hold.
pub(crate) const BUCKETS: usize = 252;

/// How many requests took so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencyBucket {
    /// Nanoseconds, at least.
    pub from: u64,
    /// Nanoseconds, less than.
    pub below: u64,
    /// How many.
    pub count: u64,
}

/// In which bucket a time counts.
pub(crate) fn bucket_of(nanos: u64) -> usize {
    if nanos < 4 {
        return nanos as usize;
    }
    let power = nanos.ilog2() as usize;
    // The two digits behind the first one say which quarter it is.
    (power - 1) * 4 + ((nanos >> (power - 2)) & 3) as usize
}

// The shortest time of a bucket.
fn floor_of(bucket: usize) -> u64 {
    match bucket {
        0..4 => bucket as u64,
        4..BUCKETS => (4 + bucket as u64 % 4) << (bucket / 4 - 1),
        _ => u64::MAX,
    }
}

/// Those that are not empty, ascending.
pub(crate) fn occupied(counts: &[u64; BUCKETS]) -> Vec<LatencyBucket> {
    let bucket = |(bucket, count): (usize, &u64)| LatencyBucket {
        from: floor_of(bucket),
        below: floor_of(bucket + 1),
        count: *count,
    };
    counts.iter().enumerate().filter(|(_, count)| **count > 0).map(bucket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_lies_in_its_bucket() {
        let around = |power: u32| {
            let base = 1u64 << power;
            [base - 1, base, base + 1, base + base / 4, base + base / 2, base + (base - 1)]
        };
        for nanos in (0..64).flat_map(around) {
            let bucket = bucket_of(nanos);
            let (from, below) = (floor_of(bucket), floor_of(bucket + 1));
            let inside = nanos < below || bucket == BUCKETS - 1;
            assert!(from <= nanos && inside, "{nanos}: {from} to {below}");
        }
        assert_eq!((bucket_of(u64::MAX), bucket_of(0)), (BUCKETS - 1, 0));
    }

    #[test]
    fn buckets_join_and_are_at_most_a_quarter_wide() {
        for bucket in 0..BUCKETS {
            let (from, below) = (floor_of(bucket), floor_of(bucket + 1));
            assert!(below > from && bucket_of(from) == bucket, "{bucket}");
            assert!(from < 4 || below - from <= from / 4 + 1, "{bucket}");
        }
    }

    #[test]
    fn only_what_occurred_is_listed() {
        let mut counts = [0; BUCKETS];
        for nanos in [1000, 1023, 1024, 70_000] {
            counts[bucket_of(nanos)] += 1;
        }
        let bucket = |from, below, count| LatencyBucket { from, below, count };
        let expected = [bucket(896, 1024, 2), bucket(1024, 1280, 1), bucket(65_536, 81_920, 1)];
        assert_eq!(occupied(&counts), expected);
    }
}
