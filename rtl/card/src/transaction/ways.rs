//! The ways to the registers: one to each kind's engine, and one to the core's own registers, management and the MSI-X pages.
//! Two take them: writes of the host, and what the completer asks.
//!
//! Promise: an access that has begun is finished before another begins on its way, and none waits for one that is on another
//! way; of both that wait for the same way the one goes that did not go last. The answer to what the completer asked stays until
//! it asks again there, and keeps nobody from the way: whoever writes never waits for the link (PCIe 2.4.1).

use azote_hdl::prelude::*;

use super::stream::{AskIn, BusMaster, BusSlave};
use crate::dma::read::ENGINES;

/// A register is read or written within so many clocks. Whoever is asked must keep to it: no engine may wait in it for its
/// media, for the host's memory or for the link.
pub const ACCESS_CLOCKS: u64 = 16_384;
/// Those to the engines, by kind, and the last one to the core's own.
pub const WAYS: usize = ENGINES + 1;
pub const OWN: usize = ENGINES;
const _: () = assert!(WAYS == 4, "a way is the kind's number, or the one that no kind has");

#[derive(LogicBlock, Default)]
pub struct Ways {
    pub clock: Clk,
    pub reset: Rst,
    pub writes: BusSlave,
    pub writes_manage: I<1>,
    pub asks: AskIn,
    pub bus: [BusMaster; WAYS],
    /// With `bus[OWN].valid`: the management BAR and not the MSI-X pages.
    pub manage: O<1>,
    pub busy: O<1>,
    /// Of each way: an access is on it, and it is what was asked.
    taken: Reg<WAYS>,
    asked: Reg<WAYS>,
    /// What was asked had the last turn.
    last: Reg<1>,
    of_manage: Reg<1>,
    write: Reg<WAYS>,
    owner: [Reg<8>; WAYS],
    offset: [Reg<16>; WAYS],
    be: [Reg<4>; WAYS],
    wdata: [Reg<32>; WAYS],
    rdata: [Reg<32>; WAYS],
    /// How long the access in hand has taken; for a check alone.
    waited: [Reg<16>; WAYS],
}

/// The way to a register.
#[pure]
pub fn way(manage: V, offset: V, owner: V) -> V {
    if manage | offset.bit(13) { sized(OWN, 2) } else { owner.bits(1, 0) }
}

#[kernel]
impl Logic for Ways {
    fn update(&mut self) {
        // Who begins in this clock.
        let to_write = way(self.writes_manage, self.writes.offset, self.writes.owner);
        let to_ask = self.asks.to;
        let writes = self.writes.valid & !self.taken.q.sel(to_write);
        let asks = self.asks.valid & !self.taken.q.sel(to_ask);
        let ask = asks & ((!writes) | !self.last.q);
        let begins = writes | asks;
        let to = if ask { to_ask } else { to_write };
        let owner = if ask { self.asks.owner } else { self.writes.owner };
        let offset = if ask { self.asks.offset } else { self.writes.offset };
        let be = if ask { self.asks.be } else { self.writes.be };
        let wdata = if ask { self.asks.wdata } else { self.writes.wdata };
        let write = (!ask) | self.asks.write;
        let manage = if ask { self.asks.manage } else { self.writes_manage };
        self.asks.ready = ask;
        if begins {
            self.last.d = ask;
        }

        let mut taken = self.taken.q;
        let mut asked = self.asked.q;
        let mut writing = self.write.q;
        let mut done = sized(0, 1);
        let mut answer = sized(0, 32);
        for w in 0..WAYS {
            let here = begins & (to == w);
            let on = self.taken.q.bit(w);
            let acks = on & self.bus[w].ack;
            let bit = sized(1 << w, WAYS);
            if here {
                taken = taken | bit;
                asked = if ask { asked | bit } else { asked & !bit };
                writing = if write { writing | bit } else { writing & !bit };
                self.owner[w].d = owner;
                self.offset[w].d = offset;
                self.be[w].d = be;
                self.wdata[w].d = wdata;
            }
            if acks {
                taken = taken & !bit;
                if self.asked.q.bit(w) {
                    self.rdata[w].d = self.bus[w].rdata;
                }
            }
            done = done | (acks & !self.asked.q.bit(w));
            if self.asks.to == w {
                answer = self.rdata[w].q;
            }
            self.bus[w].valid = on;
            self.bus[w].write = self.write.q.bit(w);
            // An engine hears of its own kind alone.
            let kind = if const { w == OWN } { self.owner[w].q.bits(1, 0) } else { sized(w, 2) };
            self.bus[w].owner = cat(self.owner[w].q.bits(7, 2), kind);
            self.bus[w].offset = self.offset[w].q;
            self.bus[w].be = self.be[w].q;
            self.bus[w].wdata = self.wdata[w].q;
            self.waited[w].d = if on & !acks { self.waited[w].q + 1 } else { 0 };
            check!(self.waited[w].q <= konst(ACCESS_CLOCKS), "a register access is not answered");
        }
        if begins & (to == OWN) {
            self.of_manage.d = manage;
        }
        self.manage = self.of_manage.q;
        self.taken.d = taken;
        self.asked.d = asked;
        self.write.d = writing;
        self.writes.ack = done;
        self.writes.rdata = 0;
        self.asks.open = self.taken.q & self.asked.q;
        self.asks.taken = self.taken.q;
        self.asks.rdata = answer;
        self.busy = self.taken.q.any();
    }
}
