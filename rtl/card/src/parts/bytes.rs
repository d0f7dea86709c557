//! Byte enables.

use azote_hdl::prelude::*;

/// The four byte enables as a mask of bits.
#[pure]
pub fn byte_mask(be: V) -> V {
    cat(be.bit(3).rep(8), be.bit(2).rep(8), be.bit(1).rep(8), be.bit(0).rep(8))
}
