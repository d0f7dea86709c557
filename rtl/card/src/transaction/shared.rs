//! The register bus between its two masters: writes of the host, which wait for nothing else, and reads.
//!
//! Promise: an access that has begun is finished before another begins; a write waits for one read at most, and a read for the
//! write in hand, since whoever writes cannot do so again in the clock after.

use azote_hdl::prelude::*;

use super::stream::{BusMaster, BusSlave};

/// A register is read or written within so many clocks. Whoever is asked must keep to it: no engine may wait in it for its
/// media, for the host's memory or for the link.
pub const ACCESS_CLOCKS: u64 = 4096;

#[derive(LogicBlock, Default)]
pub struct Shared {
    pub clock: Clk,
    pub reset: Rst,
    pub writes: BusSlave,
    pub writes_manage: I<1>,
    pub reads: BusSlave,
    pub reads_manage: I<1>,
    pub bus: BusMaster,
    /// With `bus.valid`: the management BAR and not BAR0.
    pub manage: O<1>,
    /// An access waits for its answer, and whose it is; without one the other has the next turn.
    held: Reg<1>,
    reader: Reg<1>,
    /// How long the access in hand has taken; for a check alone.
    waited: Reg<16>,
}

#[kernel]
impl Logic for Shared {
    fn update(&mut self) {
        let turn = self.reads.valid & ((!self.writes.valid) | !self.reader.q);
        let read = if self.held.q { self.reader.q } else { turn };
        let valid = if read { self.reads.valid } else { self.writes.valid };
        self.bus.valid = valid;
        self.bus.write = if read { self.reads.write } else { self.writes.write };
        self.bus.owner = if read { self.reads.owner } else { self.writes.owner };
        self.bus.offset = if read { self.reads.offset } else { self.writes.offset };
        self.bus.be = if read { self.reads.be } else { self.writes.be };
        self.bus.wdata = if read { self.reads.wdata } else { self.writes.wdata };
        self.manage = if read { self.reads_manage } else { self.writes_manage };
        let ack = valid & self.bus.ack;
        self.writes.ack = ack & !read;
        self.writes.rdata = self.bus.rdata;
        self.reads.ack = ack & read;
        self.reads.rdata = self.bus.rdata;
        self.waited.d = if valid & !ack { self.waited.q + 1 } else { 0 };
        check!(self.waited.q <= konst(ACCESS_CLOCKS), "a register access is not answered");
        if valid {
            self.held.d = !ack;
            self.reader.d = read;
        }
    }
}
