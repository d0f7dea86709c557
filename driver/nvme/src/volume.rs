//! The volume log page: what a volume's commands take and how long its limits held it back, in the layout of Amazon EBS.

use azote_regs::nvme::volume as at;

use crate::identify::number;

/// One bin of a histogram of latencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bin {
    /// The shortest latency that it counts, in microseconds.
    pub lower: u64,
    /// The shortest that it does not.
    pub upper: u64,
    /// Commands that took so long.
    pub count: u32,
}

/// The log page. Times are in microseconds, from the fetch of a command to its completion.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VolumeLog {
    /// Reads completed.
    pub read_ops: u64,
    /// Writes completed.
    pub write_ops: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub write_bytes: u64,
    /// What the reads took, together.
    pub read_time: u64,
    /// What the writes took, together.
    pub write_time: u64,
    /// For how long it wanted more commands than its limit.
    pub over_iops: u64,
    /// For how long it wanted to move more than its limit.
    pub over_throughput: u64,
    /// Commands under way.
    pub queue_length: u64,
    /// Latencies of reads.
    pub reads: Vec<Bin>,
    /// Latencies of writes.
    pub writes: Vec<Bin>,
}

impl VolumeLog {
    /// `None` for what does not begin with the page's magic number: another maker's page.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        if number(data, at::MAGIC, 4) != u128::from(at::MAGIC_VALUE) {
            return None;
        }
        let n = |offset| number(data, offset, 8) as u64;
        Some(Self {
            read_ops: n(at::READ_OPS),
            write_ops: n(at::WRITE_OPS),
            read_bytes: n(at::READ_BYTES),
            write_bytes: n(at::WRITE_BYTES),
            read_time: n(at::READ_TIME),
            write_time: n(at::WRITE_TIME),
            over_iops: n(at::OVER_IOPS),
            over_throughput: n(at::OVER_THROUGHPUT),
            queue_length: n(at::QUEUE_LENGTH),
            reads: histogram(data, at::READ_HISTOGRAM),
            writes: histogram(data, at::WRITE_HISTOGRAM),
        })
    }
}

/// The bins in use; never more than there is room for, whatever the page says.
fn histogram(data: &[u8], start: u64) -> Vec<Bin> {
    let room = (at::HISTOGRAM_SIZE - at::FIRST_BIN) / at::BIN_SIZE;
    let bins = (number(data, start, 8) as u64).min(room);
    (0..bins)
        .map(|i| {
            let bin = start + at::FIRST_BIN + i * at::BIN_SIZE;
            Bin {
                lower: number(data, bin, 8) as u64,
                upper: number(data, bin + at::BIN_UPPER, 8) as u64,
                count: number(data, bin + at::BIN_COUNT, 4) as u32,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_and_another_makers_is_not() {
        let mut page = vec![0; at::SIZE as usize];
        assert_eq!(VolumeLog::parse(&page), None);
        page[..4].copy_from_slice(&(at::MAGIC_VALUE as u32).to_le_bytes());
        page[8] = 7;
        page[512] = 2;
        page[512 + 8 + 24 + 16] = 9;
        page[2056..2064].copy_from_slice(&u64::MAX.to_le_bytes());
        let log = VolumeLog::parse(&page).unwrap();
        assert_eq!((log.read_ops, log.reads.len(), log.reads[1].count), (7, 2, 9));
        assert_eq!(log.writes.len(), 64, "a number of bins that cannot be");
    }
}
