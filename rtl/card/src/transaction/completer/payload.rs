//! The payload of completions, as it is gathered: for each way up to 32 DWs, so that what waits keeps what it has.

use azote_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Payload {
    pub clock: Clk,
    /// The way; DW `place` of its payload is written, and row `row` of four DWs is read.
    pub part: I<2>,
    pub we: I<1>,
    pub place: I<5>,
    pub wdata: I<32>,
    pub row: I<3>,
    pub rdata: O<128>,
    lanes: [LutRam<5, 32>; 4],
}

#[kernel]
impl Logic for Payload {
    fn update(&mut self) {
        memories!(self.lanes[0], self.lanes[1], self.lanes[2], self.lanes[3]);
        for i in 0..4 {
            self.lanes[i].we = self.we & (self.place.bits(1, 0) == i);
            self.lanes[i].waddr = cat(self.part, self.place.bits(4, 2));
            self.lanes[i].wdata = self.wdata;
            self.lanes[i].raddr = cat(self.part, self.row);
        }
        self.rdata = cat(self.lanes[3].rdata, self.lanes[2].rdata, self.lanes[1].rdata, self.lanes[0].rdata);
    }
}
