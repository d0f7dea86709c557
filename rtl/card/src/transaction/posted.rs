//! Serves memory writes: the posted requests, in their order, each DW at its register.
//!
//! Promise: it waits for registers alone, never for the link, so that a write takes effect whatever cannot be sent (PCIe
//! 2.4.1: accepting a posted request must not depend on sending anything); one that hits nothing or is poisoned changes
//! nothing and is recorded; a DW without enabled bytes never reaches a register.

use azote_hdl::prelude::*;
use azote_regs::pcie::tlp;

use super::header::dw;
use super::stream::{BusMaster, ErrorOut, Found, HitIn, ORDER, PostedIn};

struct St;
impl St {
    const IDLE: u64 = 0;
    const ASK: u64 = 1;
    const LOCATE: u64 = 2;
    const TARGET: u64 = 3;
    const FETCH: u64 = 4;
    const WRITE: u64 = 5;
    const DROP: u64 = 6;
}

#[derive(LogicBlock, Default)]
pub struct Posted {
    pub clock: Clk,
    pub reset: Rst,
    pub req: PostedIn,
    /// How many are done.
    pub done: O<ORDER>,
    /// One clock: find a BAR for `address`. What it hit is there two clocks later.
    pub asks: O<1>,
    pub address: O<64>,
    pub hit: HitIn,
    pub bus: BusMaster,
    /// With `bus.valid`: the management BAR and not BAR0.
    pub bus_manage: O<1>,
    pub error: ErrorOut,
    pub busy: O<1>,
    st: Reg<3>,
    h: Reg<128>,
    data: Reg<128>,
    owner: Reg<8>,
    manage: Reg<1>,
    offset: Reg<16>,
    /// DWs that are not written yet, and the enables of the one in hand.
    left: Reg<11>,
    be: Reg<4>,
    lane: Reg<2>,
    count: Reg<ORDER>,
    e_valid: Reg<1>,
    e_event: Reg<4>,
    e_everyone: Reg<1>,
}

#[kernel]
impl Logic for Posted {
    fn update(&mut self) {
        let h = self.h.q;
        let dw0 = dw(h, { 0 });
        let dw1 = dw(h, { 1 });
        let long = dw0.get(tlp::FMT_BIT_4DW);
        let length = dw0.get(tlp::LENGTH);
        let dws = cat(length == 0, length);
        let last_be = dw1.get(tlp::LAST_BE);
        let low = if long { dw(h, { 3 }) } else { dw(h, { 2 }) };
        let high = if long { dw(h, { 2 }) } else { 0 };
        let be = self.be.q;
        self.address = cat(high, low.bits(31, 2), sized(0, 2));
        self.asks = self.st.q == St::ASK;
        self.req.ready = 0;
        self.bus.valid = (self.st.q == St::WRITE) & (be != 0);
        self.bus.write = 1;
        self.bus.owner = self.owner.q;
        self.bus.offset = self.offset.q;
        self.bus.be = be;
        self.bus.wdata = self.data.q.bits(31, 0);
        self.bus_manage = self.manage.q;
        let mut done = sized(0, 1);

        match self.st.q {
            St::IDLE => {
                // What is begun may be wrong: then the header is the record's, and must stay until that is taken.
                let takes = !self.e_valid.q;
                self.req.ready = takes;
                if self.req.valid & takes {
                    self.h.d = self.req.data;
                    self.st.d = St::ASK;
                }
            }
            St::ASK => {
                self.be.d = dw1.get(tlp::FIRST_BE);
                self.left.d = dws;
                self.lane.d = 0;
                self.st.d = St::LOCATE;
            }
            St::LOCATE => self.st.d = St::TARGET,
            St::TARGET => {
                self.owner.d = self.hit.owner;
                self.offset.d = self.hit.offset;
                self.manage.d = self.hit.manage;
                let poisoned = dw0.get(tlp::EP);
                let refused = (!self.hit.valid) | poisoned;
                self.e_valid.d = refused;
                self.e_everyone.d = !self.hit.valid;
                self.e_event.d =
                    if self.hit.valid { sized(Found::POISONED_POSTED, 4) } else { Found::UNSUPPORTED_POSTED };
                self.st.d = if refused { St::DROP } else { St::FETCH };
            }
            St::FETCH => {
                self.req.ready = 1;
                if self.req.valid {
                    self.data.d = self.req.data;
                    self.st.d = St::WRITE;
                }
            }
            St::WRITE => {
                // By its register, or because none of its bytes is enabled.
                if self.bus.ack | (be == 0) {
                    self.be.d = if self.left.q == 2 { last_be } else { 15 };
                    self.left.d = self.left.q - 1;
                    self.offset.d = self.offset.q + 4;
                    self.lane.d = self.lane.q + 1;
                    self.data.d = self.data.q >> 32;
                    if self.left.q == 1 {
                        done = 1;
                    } else if self.lane.q == 3 {
                        self.st.d = St::FETCH;
                    }
                }
            }
            St::DROP => {
                self.req.ready = 1;
                if self.req.valid {
                    self.left.d = if self.left.q > 4 { self.left.q - 4 } else { 0 };
                    done = self.left.q <= 4;
                }
            }
            _ => self.st.d = St::IDLE,
        }
        if done {
            self.count.d = self.count.q + 1;
            self.st.d = St::IDLE;
        }
        self.done = self.count.q;

        if self.e_valid.q & self.error.ready {
            self.e_valid.d = 0;
        }
        self.error.valid = self.e_valid.q;
        self.error.owner = self.owner.q;
        self.error.everyone = self.e_everyone.q;
        self.error.event = self.e_event.q;
        self.error.header = h;
        self.busy = (self.st.q != St::IDLE) | self.e_valid.q;
    }
}
