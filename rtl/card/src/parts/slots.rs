//! A bit for each slot, side by side: what a card with fewer slots has not is no hardware.

use azote_hdl::prelude::*;

/// For how many slots a card of the PF and `vfs` VFs a kind has places: a power of two.
pub fn slots_of(vfs: usize) -> usize {
    (vfs + 1).next_power_of_two()
}

/// Whether a slot has a place among so many, a power of two.
#[pure]
pub fn has_place(slot: V, slots: usize) -> V {
    if const { slots < 64 } { slot < konst(slots) } else { sized(1, 1) }
}

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
