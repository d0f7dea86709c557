//! The volume log page, 0xd0: what a volume's commands take and how long its limits held it back, in the layout that
//! Amazon EBS's detailed performance statistics have, so that the tools that know those read ours.
//!
//! All numbers are little endian. Latencies are in microseconds, from the fetch of a command to its completion.

use super::limits;

/// The log page.
pub const SIZE: u64 = 4096;
/// Magic number, 4 bytes.
pub const MAGIC: u64 = 0;
/// What it is.
pub const MAGIC_VALUE: u64 = 0x3c23_b510;
/// Read commands, 8 bytes; the other counters follow.
pub const READ_OPS: u64 = 8;
/// Write commands.
pub const WRITE_OPS: u64 = 16;
/// Bytes read.
pub const READ_BYTES: u64 = 24;
/// Bytes written.
pub const WRITE_BYTES: u64 = 32;
/// Microseconds that reads took, together.
pub const READ_TIME: u64 = 40;
/// Microseconds that writes took, together.
pub const WRITE_TIME: u64 = 48;
/// Microseconds for which the volume wanted more commands than its limit.
pub const OVER_IOPS: u64 = 56;
/// Microseconds for which it wanted to move more than its limit.
pub const OVER_THROUGHPUT: u64 = 64;
/// The same of the instance's limits, of which there are none: 0.
pub const INSTANCE_OVER_IOPS: u64 = 72;
/// The same of the instance's limits, of which there are none: 0.
pub const INSTANCE_OVER_THROUGHPUT: u64 = 80;
/// Commands that have begun and not ended.
pub const QUEUE_LENGTH: u64 = 88;
/// The histogram of reads.
pub const READ_HISTOGRAM: u64 = 512;
/// The histogram of writes.
pub const WRITE_HISTOGRAM: u64 = READ_HISTOGRAM + HISTOGRAM_SIZE;
/// Bytes of a histogram: the number of its bins, 8 bytes, and room for 64 of them.
pub const HISTOGRAM_SIZE: u64 = 8 + 64 * BIN_SIZE;
/// Bytes of a bin: lower bound, upper bound (exclusive), 8 bytes each; count, 4 bytes; 4 reserved.
pub const BIN_SIZE: u64 = 24;
/// Offset in a histogram of its first bin.
pub const FIRST_BIN: u64 = 8;
/// Offset in a bin of its upper bound.
pub const BIN_UPPER: u64 = 8;
/// Offset in a bin of its count.
pub const BIN_COUNT: u64 = 16;
/// Bins in use: each is twice as wide as the one before, the last has no end.
pub const BINS: u64 = 20;

/// The lower bound of a bin, in microseconds.
#[must_use]
pub const fn lower(bin: u64) -> u64 {
    if bin == 0 { 0 } else { 1 << (bin - 1) }
}

/// The upper bound of a bin.
#[must_use]
pub const fn upper(bin: u64) -> u64 {
    if bin + 1 == BINS { u64::MAX } else { 1 << bin }
}

const _: () = {
    assert!(WRITE_HISTOGRAM + HISTOGRAM_SIZE <= SIZE && BINS <= 64);
    assert!(limits::MAX_TRANSFER >= SIZE);
};
