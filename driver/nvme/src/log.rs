//! Log pages and asynchronous events (NVMe 5.14.1, 5.2.1).

use azote_regs::nvme::{command as dw, log as at};

use crate::{
    Status,
    identify::{number, text},
};

/// SMART / Health Information.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SmartLog {
    /// Critical warnings, a bit each; 0 is none.
    pub critical_warning: u8,
    /// Composite temperature in kelvin.
    pub temperature: u16,
    /// Available spare, percent.
    pub spare: u8,
    /// Percentage of life used.
    pub used: u8,
    /// Data units read: thousands of 512 bytes, rounded up.
    pub units_read: u128,
    /// Data units written.
    pub units_written: u128,
    /// Read commands completed.
    pub reads: u128,
    /// Write commands completed.
    pub writes: u128,
    /// Power cycles.
    pub power_cycles: u128,
    /// Power on hours.
    pub hours: u128,
    /// Media and data integrity errors.
    pub media_errors: u128,
    /// Entries that the error log ever had.
    pub error_entries: u128,
}

impl SmartLog {
    pub(crate) fn parse(data: &[u8]) -> Self {
        let n = |offset, len| number(data, offset, len);
        Self {
            critical_warning: n(at::SMART_CRITICAL_WARNING, 1) as u8,
            temperature: n(at::SMART_TEMPERATURE, 2) as u16,
            spare: n(at::SMART_SPARE, 1) as u8,
            used: n(at::SMART_USED, 1) as u8,
            units_read: n(at::SMART_UNITS_READ, 16),
            units_written: n(at::SMART_UNITS_WRITTEN, 16),
            reads: n(at::SMART_READS, 16),
            writes: n(at::SMART_WRITES, 16),
            power_cycles: n(at::SMART_POWER_CYCLES, 16),
            hours: n(at::SMART_HOURS, 16),
            media_errors: n(at::SMART_MEDIA_ERRORS, 16),
            error_entries: n(at::SMART_ERROR_ENTRIES, 16),
        }
    }
}

/// An entry of the Error Information log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoggedError {
    /// Its number since the controller was made.
    pub count: u64,
    /// The submission queue of the command, ffff if none.
    pub queue: u16,
    /// The command's identifier, ffff if none.
    pub command: u16,
    /// The status that it was completed with.
    pub status: Status,
    /// Where the fault is: the byte of the entry in bits 7:0, the bit of it above; ffff if no one field is to blame.
    pub location: u16,
    /// The first block of the command.
    pub lba: u64,
    /// The namespace.
    pub namespace: u32,
}

impl LoggedError {
    /// The entries in use, newest first, as the controller has them.
    pub(crate) fn parse_all(data: &[u8]) -> Vec<Self> {
        data.chunks_exact(at::ERROR_SIZE as usize)
            .map(|entry| {
                let n = |offset, len| number(entry, offset, len);
                Self {
                    count: n(at::ERROR_COUNT, 8) as u64,
                    queue: n(at::ERROR_SQID, 2) as u16,
                    command: n(at::ERROR_CID, 2) as u16,
                    status: Status::from_bits((n(at::ERROR_STATUS, 2) >> 1) as u16),
                    location: n(at::ERROR_LOCATION, 2) as u16,
                    lba: n(at::ERROR_LBA, 8) as u64,
                    namespace: n(at::ERROR_NSID, 4) as u32,
                }
            })
            .filter(|e| e.count != 0)
            .collect()
    }
}

/// Firmware Slot Information.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FirmwareLog {
    /// The slot that runs.
    pub active: u8,
    /// The revision in each of the seven slots, empty where there is none.
    pub revisions: [String; 7],
}

impl FirmwareLog {
    pub(crate) fn parse(data: &[u8]) -> Self {
        Self {
            active: (number(data, at::FIRMWARE_AFI, 1) & 7) as u8,
            revisions: std::array::from_fn(|i| text(data, at::FIRMWARE_FRS1 + 8 * i as u64, 8)),
        }
    }
}

/// An asynchronous event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Its type: 0 error, 1 health, 2 notice.
    pub kind: u8,
    /// What of that type.
    pub info: u8,
    /// The log page that tells more, and that reading of which re-arms the event.
    pub log: u8,
}

impl Event {
    pub(crate) fn parse(dw0: u32) -> Self {
        let dw0 = u64::from(dw0);
        Self {
            kind: dw::EVENT_TYPE.of(dw0) as u8,
            info: dw::EVENT_INFO.of(dw0) as u8,
            log: dw::EVENT_LOG.of(dw0) as u8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_error_entries_are_left_out() {
        let mut log = vec![0; 192];
        log[64] = 3;
        log[64 + 12..64 + 14].copy_from_slice(&(0x80u16 << 1 | 1).to_le_bytes());
        let all = LoggedError::parse_all(&log);
        assert_eq!((all.len(), all[0].count, all[0].status), (1, 3, Status::from_bits(0x80)));
    }

    #[test]
    fn smart_counters_are_sixteen_bytes() {
        let mut page = vec![0; 512];
        page[64..80].copy_from_slice(&(1u128 << 100).to_le_bytes());
        assert_eq!(SmartLog::parse(&page).reads, 1 << 100);
    }
}
