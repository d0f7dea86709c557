//! Virtio over PCI: its capabilities, all of them vendor-specific ones (virtio 1.2 §4.1.4).

use crate::Field;
use crate::pcie::capability;

/// Capability id: vendor-specific (PCIe 7.9.4).
pub const ID: u64 = 0x09;
/// `cap_len` in the first DW of a capability: its size in bytes.
pub const CAP_LEN: Field = Field::bits(23, 16);
/// `cfg_type` there: which structure it locates.
pub const CFG_TYPE: Field = Field::bits(31, 24);
/// `bar`: which BAR.
pub const BAR: u64 = 0x04;
/// `bar` in its DW.
pub const BAR_INDEX: Field = Field::bits(7, 0);
/// `offset` in that BAR.
pub const OFFSET: u64 = 0x08;
/// `length`.
pub const LENGTH: u64 = 0x0c;
/// `pci_cfg_data`, of a window.
pub const DATA: u64 = 0x10;

/// Common configuration.
pub const COMMON_CFG: u64 = 1;
/// Notifications.
pub const NOTIFY_CFG: u64 = 2;
/// ISR status.
pub const ISR_CFG: u64 = 3;
/// Device-specific configuration.
pub const DEVICE_CFG: u64 = 4;
/// The window: PCI configuration access (§4.1.4.9).
pub const PCI_CFG: u64 = 5;
/// Size of a window's capability.
pub const PCI_CFG_SIZE: u64 = DATA + 4;

/// First DW of a capability of `size` bytes that locates `cfg_type`.
#[must_use]
pub const fn header(next: u64, size: u64, cfg_type: u64) -> u64 {
    capability::header(ID, next) | CAP_LEN.put(size) | CFG_TYPE.put(cfg_type)
}
