//! A memory that is written at any DW and read by whole rows of four: four RAMs side by side, each with its own row.

use azote_hdl::prelude::*;

/// `2^A` rows of 128 bits.
#[derive(LogicBlock, Default)]
pub struct Lanes<const A: usize> {
    pub clock: Clk,
    /// For each lane: write `data`'s DW of this lane to `row`, or to `next` if `off` is above the lane's number.
    pub we: I<4>,
    pub row: I<A>,
    pub next: I<A>,
    pub off: I<2>,
    pub data: I<128>,
    pub raddr: I<A>,
    /// The row at the `raddr` of the clock before.
    pub rdata: O<128>,
    lane: [Ram<A, 32>; 4],
}

#[kernel]
impl<const A: usize> Logic for Lanes<A> {
    fn update(&mut self) {
        for i in 0..4 {
            memories!(self.lane[i]);
            self.lane[i].we = self.we.bit(i);
            // Lane 3 never wraps.
            self.lane[i].waddr =
                if const { i == 3 } { self.row } else { if self.off > i { self.next } else { self.row } };
            self.lane[i].wdata = self.data.bits(32 * i + 31, 32 * i);
            self.lane[i].raddr = self.raddr;
        }
        self.rdata = cat(self.lane[3].rdata, self.lane[2].rdata, self.lane[1].rdata, self.lane[0].rdata);
    }
}
