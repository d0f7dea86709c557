//! Split virtqueues (virtio §2.7). Everything is little-endian.

use crate::Field;

/// Entries of a queue at most, of ours.
pub const MAX_SIZE: u64 = 256;

/// A descriptor's size.
pub const DESC_SIZE: u64 = 16;
/// Descriptor: `addr`, 64 bits.
pub const DESC_ADDR: u64 = 0;
/// Descriptor: `len`, 32 bits.
pub const DESC_LEN: u64 = 8;
/// Descriptor: `flags`, 16 bits.
pub const DESC_FLAGS: u64 = 12;
/// Descriptor: `next`, 16 bits.
pub const DESC_NEXT: u64 = 14;
/// Descriptor flags: the chain goes on at `next`.
pub const DESC_F_NEXT: Field = Field::bit(0);
/// Descriptor flags: the buffer is written by the device.
pub const DESC_F_WRITE: Field = Field::bit(1);
/// Descriptor flags: the buffer is a table of descriptors.
pub const DESC_F_INDIRECT: Field = Field::bit(2);

/// Available ring: `flags`, 16 bits.
pub const AVAIL_FLAGS: u64 = 0;
/// Available ring: `idx`, 16 bits.
pub const AVAIL_IDX: u64 = 2;
/// Available ring: the entries, 16 bits each; `used_event` follows them.
pub const AVAIL_RING: u64 = 4;
/// Size of an entry of the available ring.
pub const AVAIL_ENTRY: u64 = 2;
/// Available ring, flags: no interrupts (only without EVENT_IDX).
pub const AVAIL_F_NO_INTERRUPT: Field = Field::bit(0);

/// Used ring: `flags`, 16 bits.
pub const USED_FLAGS: u64 = 0;
/// Used ring: `idx`, 16 bits.
pub const USED_IDX: u64 = 2;
/// Used ring: the entries; `avail_event` follows them.
pub const USED_RING: u64 = 4;
/// Size of an entry of the used ring: `id` and `len`, 32 bits each.
pub const USED_ENTRY: u64 = 8;
/// Used ring, flags: no notifications (only without EVENT_IDX).
pub const USED_F_NO_NOTIFY: Field = Field::bit(0);

/// The offset of `used_event` in the available ring of a queue of `size` entries.
#[must_use]
pub const fn used_event(size: u64) -> u64 {
    AVAIL_RING + AVAIL_ENTRY * size
}

/// The offset of `avail_event` in the used ring of a queue of `size` entries.
#[must_use]
pub const fn avail_event(size: u64) -> u64 {
    USED_RING + USED_ENTRY * size
}
