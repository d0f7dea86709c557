//! Virtio over PCI: capabilities, all of them vendor-specific ones, and the structures that they locate (virtio §4.1.4).

use crate::pcie::capability;
use crate::{Field, bar};

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
/// Size of a capability that says no more than that.
pub const CAP_SIZE: u64 = 0x10;
/// `notify_off_multiplier`, of notifications.
pub const NOTIFY_MULTIPLIER: u64 = 0x10;
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

/// A structure in BAR0, as a capability of so many bytes locates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Structure {
    /// Which one.
    pub cfg_type: u64,
    /// `offset`.
    pub at: u64,
    /// `length`.
    pub length: u64,
    /// Of the capability: [`CAP_SIZE`], and 4 more for that of notifications.
    pub size: u64,
}

/// The structures of a device whose own configuration has so many bytes, in the order of their capabilities.
#[must_use]
pub const fn structures(device: u64) -> [Structure; 4] {
    [
        Structure { cfg_type: COMMON_CFG, at: COMMON_AT, length: COMMON_LENGTH, size: CAP_SIZE },
        Structure { cfg_type: NOTIFY_CFG, at: NOTIFY_AT, length: bar::PAGE_SIZE, size: CAP_SIZE + 4 },
        Structure { cfg_type: ISR_CFG, at: ISR_AT, length: ISR_LENGTH, size: CAP_SIZE },
        Structure { cfg_type: DEVICE_CFG, at: DEVICE_AT, length: device, size: CAP_SIZE },
    ]
}

/// Where our structures lie in BAR0: common configuration.
pub const COMMON_AT: u64 = bar::REGISTERS;
/// ISR status.
pub const ISR_AT: u64 = bar::REGISTERS + 0x100;
/// Device-specific configuration.
pub const DEVICE_AT: u64 = bar::REGISTERS + 0x200;
/// Notifications: a DW for each queue.
pub const NOTIFY_AT: u64 = bar::DOORBELLS;
/// Bytes between the notifications of two queues.
pub const NOTIFY_STRIDE: u64 = 4;
/// Length of common configuration: past `admin_queue_num` of virtio 1.3, so that what is offered later has its place.
pub const COMMON_LENGTH: u64 = 0x40;
/// Length of ISR status.
pub const ISR_LENGTH: u64 = 4;

/// Common configuration (virtio §4.1.4.3).
pub mod common {
    /// `device_feature_select`.
    pub const DEVICE_FEATURE_SELECT: u64 = 0x00;
    /// `device_feature`: 32 of the features that are offered.
    pub const DEVICE_FEATURE: u64 = 0x04;
    /// `driver_feature_select`.
    pub const DRIVER_FEATURE_SELECT: u64 = 0x08;
    /// `driver_feature`: 32 of those that are accepted.
    pub const DRIVER_FEATURE: u64 = 0x0c;
    /// `config_msix_vector`, 16 bits.
    pub const CONFIG_MSIX_VECTOR: u64 = 0x10;
    /// `num_queues`, 16 bits.
    pub const NUM_QUEUES: u64 = 0x12;
    /// `device_status`, 8 bits; a write of 0 resets.
    pub const DEVICE_STATUS: u64 = 0x14;
    /// `config_generation`, 8 bits.
    pub const CONFIG_GENERATION: u64 = 0x15;
    /// `queue_select`, 16 bits: whose registers the rest are.
    pub const QUEUE_SELECT: u64 = 0x16;
    /// `queue_size`, 16 bits: entries; a power of two.
    pub const QUEUE_SIZE: u64 = 0x18;
    /// `queue_msix_vector`, 16 bits.
    pub const QUEUE_MSIX_VECTOR: u64 = 0x1a;
    /// `queue_enable`, 16 bits.
    pub const QUEUE_ENABLE: u64 = 0x1c;
    /// `queue_notify_off`, 16 bits: the queue's notification, in strides.
    pub const QUEUE_NOTIFY_OFF: u64 = 0x1e;
    /// `queue_desc`, 64 bits: the descriptor table.
    pub const QUEUE_DESC: u64 = 0x20;
    /// `queue_driver`, 64 bits: the available ring.
    pub const QUEUE_DRIVER: u64 = 0x28;
    /// `queue_device`, 64 bits: the used ring.
    pub const QUEUE_DEVICE: u64 = 0x30;
    /// `queue_notify_data`, 16 bits: reserved, since NOTIF_CONFIG_DATA is not offered.
    pub const QUEUE_NOTIFY_DATA: u64 = 0x38;
    /// `queue_reset`, 16 bits: RING_RESET.
    pub const QUEUE_RESET: u64 = 0x3a;
    /// `admin_queue_index`, 16 bits: reserved.
    pub const ADMIN_QUEUE_INDEX: u64 = 0x3c;
    /// `admin_queue_num`, 16 bits: reserved.
    pub const ADMIN_QUEUE_NUM: u64 = 0x3e;
}

/// ISR status (virtio §4.1.4.5): a queue had something to tell. Reading clears.
pub const ISR_QUEUE: Field = Field::bit(0);
/// ISR status: the configuration changed.
pub const ISR_CONFIG: Field = Field::bit(1);
