//! How much of each function is under way: what its reset waits for.
//!
//! Promise: `quiet` says of a slot whether all that began has ended, with what begins or ends in this clock a clock later. Each who
//! begins counts for itself, so that nothing that happens at once is lost.

use azote_hdl::prelude::*;

use super::bundles::FlightIn;
use crate::parts::{Table, slots_of};

/// Bits of a count: no more of a function than half of what they reach is ever under way.
const BITS: usize = 8;
/// Who begins and who ends.
pub const BEGINS: usize = 6;
pub const ENDS: usize = 5;

#[derive(LogicBlock, Default)]
pub struct Flights {
    pub clock: Clk,
    pub reset: Rst,
    pub begins: [FlightIn; BEGINS],
    pub ends: [FlightIn; ENDS],
    pub ask: I<6>,
    pub quiet: O<1>,
    /// Counting can begin.
    pub ready: O<1>,
    /// Something is under way.
    pub busy: O<1>,
    all: Reg<16>,
    up: [Table<6, BITS, 2>; BEGINS],
    down: [Table<6, BITS, 2>; ENDS],
}

/// The ports of a count: its own, and that of who asks.
const OWN: usize = 0;
const ASK: usize = 1;

impl Flights {
    /// Of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = slots_of(vfs);
        Flights {
            up: std::array::from_fn(|_| Table::new(slots, 0)),
            down: std::array::from_fn(|_| Table::new(slots, 0)),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Flights {
    fn update(&mut self) {
        let mut under = sized(0, BITS);
        let mut all = self.all.q;
        let mut ready = sized(1, 1);
        for i in 0..BEGINS {
            clocked!(self.up[i]);
            self.up[i].wipe = 0;
            self.up[i].wipe_slot = 0;
            self.up[i].first = 0;
            self.up[i].raddr[OWN] = self.begins[i].slot;
            self.up[i].raddr[ASK] = self.ask;
            self.up[i].we = self.begins[i].valid;
            self.up[i].waddr = self.begins[i].slot;
            self.up[i].wdata = self.up[i].rdata[OWN] + 1;
            under = under + self.up[i].rdata[ASK];
            all = all + self.begins[i].valid.zext(16);
            ready = ready & self.up[i].ready;
        }
        for i in 0..ENDS {
            clocked!(self.down[i]);
            self.down[i].wipe = 0;
            self.down[i].wipe_slot = 0;
            self.down[i].first = 0;
            self.down[i].raddr[OWN] = self.ends[i].slot;
            self.down[i].raddr[ASK] = self.ask;
            self.down[i].we = self.ends[i].valid;
            self.down[i].waddr = self.ends[i].slot;
            self.down[i].wdata = self.down[i].rdata[OWN] + 1;
            under = under - self.down[i].rdata[ASK];
            all = all - self.ends[i].valid.zext(16);
            ready = ready & self.down[i].ready;
        }
        self.all.d = all;
        self.ready = ready;
        self.quiet = under == 0;
        self.busy = (self.all.q != 0) | !ready;
        check!(!self.all.q.bit(15), "more of the functions ended than had begun");
    }
}
