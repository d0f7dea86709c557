//! A bit for each slot, side by side: what a card with fewer slots has not is no hardware.

use azote_hdl::prelude::*;

/// The mark of a slot of a card with so many, a power of two.
#[pure]
pub fn mark_of(slot: V, slots: usize) -> V {
    let there = slot & konst(slots - 1);
    sized(1, 64) << there
}

/// Whether a slot is marked.
#[pure]
pub fn is_marked(marks: V, slot: V, slots: usize) -> V {
    let there = slot & konst(slots - 1);
    marks.sel(there)
}
