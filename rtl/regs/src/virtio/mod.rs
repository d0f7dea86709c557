//! Virtio ("virtio" is version 1.2 of its specification): what every device has, and what ours are.

pub mod net;
pub mod pci;
pub mod ring;

/// Device status (virtio §2.1).
pub mod status {
    use crate::Field;

    /// The guest has noticed the device.
    pub const ACKNOWLEDGE: Field = Field::bit(0);
    /// The guest knows how to drive it.
    pub const DRIVER: Field = Field::bit(1);
    /// The driver drives it.
    pub const DRIVER_OK: Field = Field::bit(2);
    /// The driver's features are agreed to: reads as 0 if a feature was written that was not offered.
    pub const FEATURES_OK: Field = Field::bit(3);
    /// The device met an error that only a reset ends.
    pub const DEVICE_NEEDS_RESET: Field = Field::bit(6);
    /// The guest has given the device up.
    pub const FAILED: Field = Field::bit(7);
}

/// Feature bits of all devices (virtio §6), by number.
pub mod feature {
    /// INDIRECT_DESC: descriptors may refer to tables of descriptors.
    pub const INDIRECT_DESC: u32 = 28;
    /// EVENT_IDX: `used_event` and `avail_event`.
    pub const EVENT_IDX: u32 = 29;
    /// VERSION_1: must be accepted.
    pub const VERSION_1: u32 = 32;
    /// ACCESS_PLATFORM: addresses are those of the bus.
    pub const ACCESS_PLATFORM: u32 = 33;
    /// ORDER_PLATFORM: barriers are those for hardware.
    pub const ORDER_PLATFORM: u32 = 36;
    /// SR_IOV: the driver may enable virtual functions.
    pub const SR_IOV: u32 = 37;
    /// RING_RESET: a queue can be reset by itself.
    pub const RING_RESET: u32 = 40;
}

/// The number of a vector that says "none" (virtio §4.1.4.3).
pub const NO_VECTOR: u64 = 0xffff;

/// A feature's bit in the 64 of them.
#[must_use]
pub const fn bit(feature: u32) -> u64 {
    1 << feature
}
