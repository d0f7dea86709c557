//! The type 0 configuration header (PCIe 7.5.1).

use crate::Field;

/// Vendor ID, 16 bits.
pub const VENDOR_ID: u64 = 0x00;
/// Device ID, 16 bits.
pub const DEVICE_ID: u64 = 0x02;
/// Command, 16 bits (PCIe 7.5.1.1.3).
pub const COMMAND: u64 = 0x04;
/// Status, 16 bits (PCIe 7.5.1.1.4).
pub const STATUS: u64 = 0x06;
/// Revision ID, 8 bits.
pub const REVISION_ID: u64 = 0x08;
/// Class Code, 24 bits.
pub const CLASS_CODE: u64 = 0x09;
/// Cache Line Size, 8 bits; writable and without effect (PCIe 7.5.1.1.7).
pub const CACHE_LINE_SIZE: u64 = 0x0c;
/// Header Type, 8 bits (PCIe 7.5.1.1.9).
pub const HEADER_TYPE: u64 = 0x0e;
/// BIST, 8 bits.
pub const BIST: u64 = 0x0f;
/// Base Address Register 0; the others follow, 4 bytes each (PCIe 7.5.1.2.1).
pub const BAR0: u64 = 0x10;
/// The number of Base Address Registers.
pub const BARS: u64 = 6;
/// Subsystem Vendor ID, 16 bits.
pub const SUBSYSTEM_VENDOR_ID: u64 = 0x2c;
/// Subsystem ID, 16 bits.
pub const SUBSYSTEM_ID: u64 = 0x2e;
/// Expansion ROM Base Address.
pub const EXPANSION_ROM: u64 = 0x30;
/// Capabilities Pointer, 8 bits.
pub const CAPABILITIES: u64 = 0x34;
/// Interrupt Line, 8 bits.
pub const INTERRUPT_LINE: u64 = 0x3c;
/// Interrupt Pin, 8 bits; zero: our functions have no INTx.
pub const INTERRUPT_PIN: u64 = 0x3d;

/// Command: Memory Space Enable; hardwired to 0 in a VF, whose PF has VF MSE.
pub const COMMAND_MSE: Field = Field::bit(1);
/// Command: Bus Master Enable, a VF's own.
pub const COMMAND_BME: Field = Field::bit(2);
/// Command: Parity Error Response.
pub const COMMAND_PARITY: Field = Field::bit(6);
/// Command: SERR# Enable.
pub const COMMAND_SERR: Field = Field::bit(8);
/// Command: Interrupt Disable.
pub const COMMAND_INTX_DISABLE: Field = Field::bit(10);

/// Status: Capabilities List, always 1.
pub const STATUS_CAPABILITIES: Field = Field::bit(4);
/// Status: Master Data Parity Error.
pub const STATUS_MASTER_DATA_PARITY: Field = Field::bit(8);
/// Status: Signaled Target Abort.
pub const STATUS_SIGNALED_TARGET_ABORT: Field = Field::bit(11);
/// Status: Received Target Abort.
pub const STATUS_RECEIVED_TARGET_ABORT: Field = Field::bit(12);
/// Status: Received Master Abort.
pub const STATUS_RECEIVED_MASTER_ABORT: Field = Field::bit(13);
/// Status: Signaled System Error.
pub const STATUS_SIGNALED_SYSTEM_ERROR: Field = Field::bit(14);
/// Status: Detected Parity Error.
pub const STATUS_DETECTED_PARITY: Field = Field::bit(15);

/// Header Type: layout.
pub const HEADER_LAYOUT: Field = Field::bits(6, 0);
/// Header Type: the device has more functions.
pub const HEADER_MULTI_FUNCTION: Field = Field::bit(7);

/// BAR: an I/O BAR; zero in ours.
pub const BAR_IO: Field = Field::bit(0);
/// BAR: memory type.
pub const BAR_TYPE: Field = Field::bits(2, 1);
/// BAR: memory type, 64-bit.
pub const BAR_TYPE_64: u64 = 0b10;
/// BAR: prefetchable.
pub const BAR_PREFETCHABLE: Field = Field::bit(3);
/// The low bits of every BAR of ours: memory, 64-bit, not prefetchable.
pub const BAR_FLAGS: u64 = BAR_TYPE.put(BAR_TYPE_64);
