//! Marks by slot, taken one by one, the lowest slot first.
//!
//! Promises: what is set is offered until it is taken or dropped; a slot that is set in the clock in which its mark is taken is
//! marked again; a drop in the same clock wins.

use azote_hdl::prelude::*;

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
    marks: Reg<64>,
}

#[kernel]
impl Logic for Marks {
    fn update(&mut self) {
        let mut first = sized(0, 6);
        for back in 0..64 {
            if self.marks.q.bit(63 - back) {
                first = konst(63 - back);
            }
        }
        let one = sized(1, 64);
        let taken = if self.take { one << first } else { 0 };
        let fresh = if self.mark { one << self.slot } else { 0 };
        self.marks.d = ((self.marks.q & !taken) | fresh) & !self.drop;
        self.valid = self.marks.q != 0;
        self.first = first;
    }
}
