//! A skid buffer: cuts a stream's path in both directions, where valid, data and ready would otherwise run through.
//!
//! Promise: every output is a register; one word a clock; nothing is lost, doubled or turned round.
//!
//! A registered ready says what was free a clock ago, so the word that comes when it just became untrue "skids" into the
//! second register. It is not for the link's input: there the ready depends on whether the word is a completion.

use azote_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Skid<const D: usize> {
    pub clock: Clk,
    pub reset: Rst,
    pub in_valid: I<1>,
    pub in_ready: O<1>,
    pub in_data: I<D>,
    pub out_valid: O<1>,
    pub out_ready: I<1>,
    pub out_data: O<D>,
    v: Reg<1>,
    data: Reg<D>,
    /// The second register holds a word; its complement is the ready.
    full: Reg<1>,
    spare: Reg<D>,
}

#[kernel]
impl<const D: usize> Logic for Skid<D> {
    fn update(&mut self) {
        self.in_ready = !self.full.q;
        self.out_valid = self.v.q;
        self.out_data = self.data.q;
        let comes = self.in_valid & !self.full.q;
        let moves = self.out_ready | !self.v.q;
        if moves {
            self.v.d = self.full.q | comes;
            self.data.d = if self.full.q { self.spare.q } else { self.in_data };
            self.full.d = 0;
        } else if comes {
            self.full.d = 1;
            self.spare.d = self.in_data;
        }
    }
}
