//! Log pages: byte offsets (NVMe 5.14.1).

/// Size of an Error Information entry (NVMe 5.14.1.1).
pub const ERROR_SIZE: u64 = 64;
/// Error: Error Count, 8 bytes; 0 marks an unused entry.
pub const ERROR_COUNT: u64 = 0;
/// Error: Submission Queue ID, 2 bytes.
pub const ERROR_SQID: u64 = 8;
/// Error: Command ID, 2 bytes.
pub const ERROR_CID: u64 = 10;
/// Error: status field with the phase tag in bit 0, 2 bytes.
pub const ERROR_STATUS: u64 = 12;
/// Error: parameter error location, 2 bytes.
pub const ERROR_LOCATION: u64 = 14;
/// Parameter error location: the byte of the entry.
pub const LOCATION_BYTE: crate::Field = crate::Field::bits(7, 0);
/// Parameter error location: the bit of that byte.
pub const LOCATION_BIT: crate::Field = crate::Field::bits(10, 8);
/// Parameter error location: it is no one field's fault.
pub const LOCATION_NONE: u64 = 0xffff;
/// The parameter error location of this byte and bit of an entry.
#[must_use]
pub const fn location(byte: u64, bit: u64) -> u64 {
    LOCATION_BYTE.put(byte) | LOCATION_BIT.put(bit)
}
/// Entries that a controller keeps.
pub const ERROR_ENTRIES: u64 = 8;
/// Error: LBA, 8 bytes.
pub const ERROR_LBA: u64 = 16;
/// Error: namespace, 4 bytes.
pub const ERROR_NSID: u64 = 24;

/// Size of the SMART / Health Information page (NVMe 5.14.1.2).
pub const SMART_SIZE: u64 = 512;
/// SMART: critical warning.
pub const SMART_CRITICAL_WARNING: u64 = 0;
/// SMART: composite temperature in kelvin, 2 bytes.
pub const SMART_TEMPERATURE: u64 = 1;
/// SMART: available spare, percent.
pub const SMART_SPARE: u64 = 3;
/// SMART: available spare threshold, percent.
pub const SMART_SPARE_THRESHOLD: u64 = 4;
/// SMART: percentage used.
pub const SMART_USED: u64 = 5;
/// SMART: data units read, thousands of 512 bytes, 16 bytes.
pub const SMART_UNITS_READ: u64 = 32;
/// SMART: data units written, 16 bytes.
pub const SMART_UNITS_WRITTEN: u64 = 48;
/// SMART: host read commands, 16 bytes.
pub const SMART_READS: u64 = 64;
/// SMART: host write commands, 16 bytes.
pub const SMART_WRITES: u64 = 80;
/// SMART: power cycles, 16 bytes.
pub const SMART_POWER_CYCLES: u64 = 112;
/// SMART: power on hours, 16 bytes.
pub const SMART_HOURS: u64 = 128;
/// SMART: media and data integrity errors, 16 bytes.
pub const SMART_MEDIA_ERRORS: u64 = 160;
/// SMART: number of error log entries over the controller's life, 16 bytes.
pub const SMART_ERROR_ENTRIES: u64 = 176;

/// Size of the Commands Supported and Effects page (NVMe 5.14.1.5).
pub const EFFECTS_SIZE: u64 = 4096;
/// Effects: the entry of the first admin opcode, four bytes each.
pub const EFFECTS_ADMIN: u64 = 0;
/// Effects: the entry of the first I/O opcode.
pub const EFFECTS_IO: u64 = 1024;
/// Effects entry: the command is supported.
pub const EFFECTS_CSUPP: u64 = 1 << 0;
/// Effects entry: it may change what logical blocks hold.
pub const EFFECTS_LBCC: u64 = 1 << 1;
/// Effects entry: it may change what a namespace can do.
pub const EFFECTS_NCC: u64 = 1 << 2;
/// Effects entry: what else may run beside it.
pub const EFFECTS_CSE: crate::Field = crate::Field::bits(18, 16);
/// Effects entry, CSE: no other command to the same namespace.
pub const EFFECTS_CSE_NAMESPACE: u64 = 1;

/// Size of the Firmware Slot Information page (NVMe 5.14.1.3).
pub const FIRMWARE_SIZE: u64 = 512;
/// Firmware: active firmware info: active slot in bits 2:0.
pub const FIRMWARE_AFI: u64 = 0;
/// Firmware: revision in slot 1, 8 bytes of ASCII; the other slots follow.
pub const FIRMWARE_FRS1: u64 = 8;
