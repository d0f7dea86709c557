//! Forgetting a slot: the one protocol by which whoever keeps something of a function lets it go.
//!
//! `ask` is held, with its slot, until `done`; `done` stays until `ask` falls. Between the two the keeper clears what it
//! has of the slot, in one of its own moments, and says so with `over`.
//!
//! The rule for keepers: never wait for somebody else in a state that does not serve one's own clients. So `wanted` is looked at
//! beside the other work, what takes it up ends in a number of clocks that is the keeper's own, and after it the keeper
//! serves as before, however long the asker takes to notice.

use azote_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Forget {
    pub clock: Clk,
    pub reset: Rst,
    pub ask: I<1>,
    pub done: O<1>,
    /// To the keeper: something is to be cleared. From it, one clock: that is done.
    pub wanted: O<1>,
    pub over: I<1>,
    gone: Reg<1>,
}

#[kernel]
impl Logic for Forget {
    fn update(&mut self) {
        self.gone.d = self.ask & (self.gone.q | self.over);
        self.wanted = self.ask & !self.gone.q;
        self.done = self.gone.q;
        check!((!self.over) | self.wanted, "something is forgotten that nobody asked for");
    }
}
