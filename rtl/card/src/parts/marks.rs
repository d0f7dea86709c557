//! Marks by slot, taken one by one, the lowest slot first.
//!
//! Promises: what is set is offered until it is taken or dropped; a slot that is set in the clock in which its mark is taken is
//! marked again; a drop in the same clock wins.

use azote_hdl::prelude::*;

use super::mark_of;

#[derive(LogicBlock, Default)]
pub struct Marks {
    pub clock: Clk,
    pub reset: Rst,
    /// One clock: `slot` is marked; all of `drop` are not, whatever was or is set.
    pub mark: I<1>,
    pub slot: I<6>,
    pub drop: I<64>,
    /// Some slot is marked, and `first` is the lowest; one clock: its mark is taken.
    pub valid: O<1>,
    pub first: O<6>,
    pub take: I<1>,
    slots: Param,
    marks: Reg<64>,
}

impl Marks {
    /// Marks of a card with so many slots, a power of two.
    pub fn new(slots: usize) -> Self {
        assert!(slots.is_power_of_two() && slots <= 64, "{slots} slots");
        Marks { slots: Param::new(slots), ..Self::default() }
    }
}

#[kernel]
impl Logic for Marks {
    fn update(&mut self) {
        // The first of eight bytes that holds any, and the first in it: a chain of all 64 would be twice as long.
        let mut high = sized(7, 3);
        let mut byte = self.marks.q.bits(63, 56);
        for back in 1..8 {
            let at: usize = 8 * (7 - back);
            let here = self.marks.q.bits(at + 7, at);
            if here.any() {
                byte = here;
                high = konst(7 - back);
            }
        }
        let mut low = sized(0, 3);
        for back in 0..8 {
            if byte.bit(7 - back) {
                low = konst(7 - back);
            }
        }
        let first = cat(high, low);
        let taken = if self.take { mark_of(first, { self.slots.get() }) } else { 0 };
        let fresh = if self.mark { mark_of(self.slot, { self.slots.get() }) } else { 0 };
        self.marks.d = ((self.marks.q & !taken) | fresh) & !self.drop;
        self.valid = self.marks.q != 0;
        self.first = first;
    }
}
