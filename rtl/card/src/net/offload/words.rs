//! What the blocks of the offloads say to each other.

use azote_hdl::prelude::*;

/// Beats of a frame that leaves, with what is to be summed: `start`, `place`, `base` and the marks are the same in all of its beats.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "BeatIn"]
pub struct BeatOut {
    pub valid: O<1>,
    pub ready: I<1>,
    pub sop: O<1>,
    pub eop: O<1>,
    pub bytes: O<5>,
    pub data: O<128>,
    pub slot: O<6>,
    pub error: O<1>,
    /// A checksum is to be made: of all 16-bit words from `start` on and of `base`, for the word `place`.
    pub sums: O<1>,
    pub start: O<15>,
    pub base: O<24>,
    pub place: O<13>,
    /// It is UDP's: 0 would say that there is none.
    pub udp: O<1>,
}

/// The same, at who sums.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "BeatOut"]
pub struct BeatIn {
    pub valid: I<1>,
    pub ready: O<1>,
    pub sop: I<1>,
    pub eop: I<1>,
    pub bytes: I<5>,
    pub data: I<128>,
    pub slot: I<6>,
    pub error: I<1>,
    pub sums: I<1>,
    pub start: I<15>,
    pub base: I<24>,
    pub place: I<13>,
    pub udp: I<1>,
}

/// The 16-bit word of a beat that stands on the wire as number `n`.
#[pure]
pub fn wire_word(data: V, n: usize) -> V {
    cat(data.bits(16 * n + 7, 16 * n), data.bits(16 * n + 15, 16 * n + 8))
}

/// A sum of 16-bit words, folded once: at most a carry is left.
#[pure]
pub fn fold(sum: V) -> V {
    sum.bits(15, 0).zext(17) + sum.bits(23, 16).zext(17)
}

/// A sum that was folded once, without its carry.
#[pure]
pub fn folded(sum: V) -> V {
    sum.bits(15, 0) + sum.bit(16).zext(16)
}
