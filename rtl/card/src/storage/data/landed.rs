//! How much of each chunk has landed without a gap from its beginning, so that it can be handed on before all of it is here.
//!
//! Completions of one read come in order, and those of the next usually behind them (PCIe 2.4.1 promises it of no two). What overtakes
//! is not counted, nor is what comes after it: then a chunk is there when all of it is.
//!
//! Promise: the first `dws` DWs of a chunk are in the buffer, unless `nulled` says that a packet among them was not to be believed.

use azote_hdl::prelude::*;

use super::writer::CHUNKS;

#[derive(LogicBlock, Default)]
pub struct Landed {
    pub clock: Clk,
    pub reset: Rst,
    /// Chunks that begin anew.
    pub forget: I<8>,
    /// One clock: so many DWs went to this place of the buffer; what went to this chunk was of a nullified packet.
    pub landed: I<1>,
    pub landed_at: I<13>,
    pub landed_dws: I<3>,
    pub nulled: I<1>,
    pub nulled_chunk: I<3>,
    /// Of `chunk`, in the same clock.
    pub chunk: I<3>,
    pub dws: O<11>,
    pub doubted: O<1>,
    fresh: Reg<8>,
    doubt: Reg<8>,
    /// Where each ends, and a copy for who asks.
    ends: LutRam<3, 11>,
    asked: LutRam<3, 11>,
}

impl Landed {
    /// For the chunks of the data buffer.
    pub fn new() -> Self {
        Landed { ends: LutRam::new(CHUNKS), asked: LutRam::new(CHUNKS), ..Self::default() }
    }
}

#[kernel]
impl Logic for Landed {
    fn update(&mut self) {
        memories!(self.ends, self.asked);
        let to = self.landed_at.bits(12, 10);
        let place = self.landed_at.bits(9, 0);
        self.ends.raddr = to;
        let end = if self.fresh.q.sel(to) { sized(0, 11) } else { self.ends.rdata };
        let follows = self.landed & (end == place.zext(11));
        let new = end + self.landed_dws.zext(11);
        self.ends.we = follows;
        self.ends.waddr = to;
        self.ends.wdata = new;
        self.asked.we = follows;
        self.asked.waddr = to;
        self.asked.wdata = new;
        let begun = if follows { sized(1, 8) << to } else { 0 };
        self.fresh.d = (self.fresh.q & !begun) | self.forget;
        let doubts = if self.nulled { sized(1, 8) << self.nulled_chunk } else { 0 };
        self.doubt.d = (self.doubt.q | doubts) & !self.forget;
        self.asked.raddr = self.chunk;
        self.dws = if self.fresh.q.sel(self.chunk) { sized(0, 11) } else { self.asked.rdata };
        self.doubted = self.doubt.q.sel(self.chunk);
    }
}
