//! The table that binds a storage function to a volume.

use crate::{Field, bar, function};

/// The volume binding table: one entry for each storage slot (0 the PF, 1 + *i* VF *i*).
pub const BINDINGS: u64 = 0x1000;
/// Size of one binding.
pub const BINDING_STRIDE: u64 = 32;

/// Binding: control. Writing it commits the volume, base and length that were written before.
pub const BINDING_CTRL: u64 = 0;
/// CTRL: the slot has a volume; without it the controller has no active namespace.
pub const CTRL_VALID: Field = Field::bit(0);
/// CTRL: writes to the volume are refused.
pub const CTRL_READ_ONLY: Field = Field::bit(1);
/// CTRL: the namespace has blocks of 4 KiB. Read, it tells what Format NVM has made of it since.
pub const CTRL_BIG: Field = Field::bit(2);
/// CTRL, read only: a command that was judged by the binding before this one is under way. CTRL is not taken while it is set.
pub const CTRL_BUSY: Field = Field::bit(3);
/// Binding: which volume behind the media port.
pub const BINDING_VOLUME: u64 = 4;
/// The width of a volume's number at the media port.
pub const VOLUME_ID: Field = Field::bits(7, 0);
/// VOLUME word: how long a request waits for the medium's answer before it is given up, in [`TIMEOUT_UNIT`]s; 0 is for ever. It counts from the
/// write of CTRL.
pub const VOLUME_TIMEOUT: Field = Field::bits(31, 20);
/// A unit of [`VOLUME_TIMEOUT`] in milliseconds.
pub const TIMEOUT_UNIT: u64 = 16;
/// Binding: first block of the volume that the namespace begins at, low half.
pub const BINDING_BASE_LO: u64 = 8;
/// Binding: first block, high half.
pub const BINDING_BASE_HI: u64 = 12;
/// Binding: length of the namespace in 512-byte blocks, low half.
pub const BINDING_LENGTH_LO: u64 = 16;
/// Binding: length, high half.
pub const BINDING_LENGTH_HI: u64 = 20;
/// VOLUME word: how many commands the slot may fetch in its turn; 0 counts as 1.
pub const VOLUME_WEIGHT: Field = Field::bits(19, 16);
/// Binding: how many commands the slot may begin in [`RATE_CLOCKS`] clocks; 0 is no limit.
pub const BINDING_COMMANDS: u64 = 24;
/// Binding: how many 512-byte blocks it may move in as many; 0 is no limit. Writing it commits the weight and the limits.
pub const BINDING_BLOCKS: u64 = 28;
/// A rate's bits in its word.
pub const RATE: Field = Field::bits(23, 0);
/// The clocks that a rate counts for.
pub const RATE_CLOCKS: u64 = 1 << 24;

/// The offset in BAR2 of the binding of a storage slot.
#[must_use]
pub const fn binding(slot: u64) -> u64 {
    BINDINGS + slot * BINDING_STRIDE
}

const _: () = {
    assert!(BINDING_BLOCKS + 4 <= BINDING_STRIDE);
    assert!(binding(1 + function::MAX_VFS) <= bar::BAR2_SIZE);
    assert!(binding(1 + function::MAX_VFS) <= BINDINGS + bar::PAGE_SIZE);
};
