//! Device Serial Number (PCIe 7.9.3), PFs only and the same in all of them.

/// Extended capability id.
pub const ID: u64 = 0x0003;
/// Version of the structure.
pub const VERSION: u64 = 1;
/// Size in bytes.
pub const SIZE: u64 = 12;
/// Serial number, low half.
pub const SERIAL_LO: u64 = 0x04;
/// Serial number, high half.
pub const SERIAL_HI: u64 = 0x08;
