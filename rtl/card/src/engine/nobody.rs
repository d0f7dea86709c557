//! What stands in a socket without an engine: registers that read as zero, and nothing to forget.

use azote_hdl::prelude::*;

use super::Engine;

#[derive(LogicBlock, Default)]
pub struct Nobody {
    pub clock: Clk,
    pub reset: Rst,
    pub socket: Engine,
}

#[kernel]
impl Logic for Nobody {
    fn update(&mut self) {
        self.socket.bus.ack = self.socket.bus.valid;
        self.socket.bus.rdata = 0;
        self.socket.reset.done = self.socket.reset.valid;
        self.socket.rd.valid = 0;
        self.socket.rd.owner = 0;
        self.socket.rd.address = 0;
        self.socket.rd.bytes = 0;
        self.socket.rd.client = 0;
        self.socket.rd.dest = 0;
        self.socket.land.forget = 0;
        self.socket.data.valid = 0;
        self.socket.data.sop = 0;
        self.socket.data.eop = 0;
        self.socket.data.keep = 0;
        self.socket.data.data = 0;
        self.socket.data.owner = 0;
        self.socket.entry.valid = 0;
        self.socket.entry.sop = 0;
        self.socket.entry.eop = 0;
        self.socket.entry.keep = 0;
        self.socket.entry.data = 0;
        self.socket.entry.owner = 0;
        self.socket.irq.valid = 0;
        self.socket.irq.owner = 0;
        self.socket.irq.vector = 0;
        self.socket.busy = 0;
        self.socket.counts = 0;
    }
}
