//! What an export did: counters, and how long its commands took on the device's clock.

use std::time::Duration;

/// A histogram by powers of two.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Counts of durations below 2^i microseconds; the last takes the rest.
    counts: [u64; 24],
}

impl Histogram {
    /// The upper bound of the last count, which takes what is above it, too.
    pub const END: Duration = Duration::from_micros(1 << 23);

    /// Counts a duration.
    pub fn add(&mut self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let i = (64 - us.leading_zeros() as usize).min(self.counts.len() - 1);
        self.counts[i] += 1;
    }

    /// The counts that are not zero: lower bound, upper bound, count.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, Duration, u64)> {
        let us = |i: usize| if i == 0 { 0 } else { 1u64 << (i - 1) };
        (0..self.counts.len())
            .map(move |i| (Duration::from_micros(us(i)), Duration::from_micros(us(i + 1)), self.counts[i]))
            .filter(|b| b.2 != 0)
    }
}

/// What an export did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// NVMe commands completed.
    pub commands: u64,
    /// Bytes read from the namespace.
    pub bytes_read: u64,
    /// Bytes written to it, zeroes not counted.
    pub bytes_written: u64,
    /// Requests that failed.
    pub errors: u64,
    /// How long the commands took on the device's clock.
    pub latency: Histogram,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_their_buckets() {
        let mut h = Histogram::default();
        for us in [0, 1, 2, 3, 4, 1000, u64::MAX / 2000] {
            h.add(Duration::from_micros(us));
        }
        let us = Duration::from_micros;
        let all: Vec<_> = h.buckets().collect();
        assert_eq!(all[..4], [(us(0), us(1), 1), (us(1), us(2), 1), (us(2), us(4), 2), (us(4), us(8), 1)]);
        assert_eq!(all[4], (us(512), us(1024), 1));
        assert_eq!((all.len(), all[5].1), (6, Histogram::END));
    }
}
