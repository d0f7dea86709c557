//! Where a window looks: the function's own registers, through configuration space (virtio 1.2 §4.1.4.9). What the host wrote
//! into the capability says which BAR, from which byte on, and how many.
//!
//! BAR0 alone is there, and of it the engine's pages. The pages of MSI-X are not: a VMM keeps them from a guest whose
//! configuration accesses it passes on, and this would be a way around it. Everything else reads as zero and is not written.

use azote_hdl::prelude::*;
use azote_regs::bar;

/// Bits of an offset in the pages that a window shows.
pub const REACH: usize = bar::MSIX_TABLE.trailing_zeros() as usize;
const _: () = assert!(bar::MSIX_TABLE.is_power_of_two());

/// Whether it may look from this byte on.
#[pure]
pub fn shows(offset: V) -> V {
    offset.bits(31, REACH) == 0
}

/// The bytes of the register that are meant, by `length` of the capability and the first one's place: none for a length that is
/// neither 1 nor 2 nor 4, and across its own size.
#[pure]
pub fn bytes(length: V, lane: V) -> V {
    match length {
        1 => sized(1, 4) << lane,
        2 => {
            if lane.bit(0) {
                sized(0, 4)
            } else {
                sized(3, 4) << lane
            }
        }
        4 => {
            if lane == 0 {
                sized(15, 4)
            } else {
                0
            }
        }
        _ => 0,
    }
}
