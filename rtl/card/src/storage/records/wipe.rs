//! Whose records are to be wiped: of a function that was reset by FLR or with its VF, and of one that has another volume. What
//! its last tenant did is not for the next one (PCIe 6.6.2). A controller reset keeps them (NVMe 5.14.1).

use azote_hdl::prelude::*;

use crate::parts::{Marks, slots_of};

#[derive(LogicBlock, Default)]
pub struct Wipe {
    pub clock: Clk,
    pub reset: Rst,
    /// The engine has forgotten `reset_slot` while both are set.
    pub reset_valid: I<1>,
    pub reset_done: I<1>,
    pub reset_slot: I<6>,
    /// One clock: a slot has another binding.
    pub changed: I<1>,
    pub changed_slot: I<6>,
    /// One clock: the records of `slot` are to be wiped. Never twice within sixteen clocks.
    pub wipe: O<1>,
    pub slot: O<6>,
    pub busy: O<1>,
    /// A reset that was seen, and one that is not marked yet.
    seen: Reg<1>,
    waits: Reg<1>,
    whose: Reg<6>,
    pause: Reg<4>,
    marks: Marks,
}

impl Wipe {
    /// Of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        Wipe { marks: Marks::new(slots_of(vfs)), ..Self::default() }
    }
}

#[kernel]
impl Logic for Wipe {
    fn update(&mut self) {
        clocked!(self.marks);
        let over = self.reset_valid & self.reset_done;
        self.seen.d = over;
        if over & !self.seen.q {
            self.waits.d = 1;
            self.whose.d = self.reset_slot;
        } else if !self.changed {
            self.waits.d = 0;
        }
        // Two at once: the reset's a clock later.
        self.marks.mark = self.changed | self.waits.q;
        self.marks.slot = if self.changed { self.changed_slot } else { self.whose.q };
        self.marks.drop = 0;
        let wipes = self.marks.valid & (self.pause.q == 0);
        self.marks.take = wipes;
        self.pause.d = if wipes { sized(15, 4) } else { if self.pause.q != 0 { self.pause.q - 1 } else { 0 } };
        self.wipe = wipes;
        self.slot = self.marks.first;
        self.busy = self.marks.valid | self.waits.q | (self.pause.q != 0);
    }
}
