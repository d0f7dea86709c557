//! Sums frames as they pass, and tells the checksum with the last beat.
//!
//! Promise: a beat a clock, four clocks later, with nothing of it changed; with `eop` of a frame that is to be
//! summed stands its checksum (RFC 1071). A checksum of UDP that would be zero is ffff, as RFC 768 wants; TCP's stays zero: there zero is a checksum like others,
//! and who compares a segment with what a stack made in software finds the same.

use azote_hdl::prelude::*;

use super::words::{BeatIn, fold, folded, wire_word};
use crate::net::stream::{FrameOut, SumOut};

packed! {
    /// What goes with a beat from stage to stage.
    Stage {
        sop: 1,
        eop: 1,
        error: 1,
        sums: 1,
        udp: 1,
        bytes: 5,
        slot: 6,
        place: 13,
        data: 128,
    }
}

#[derive(LogicBlock, Default)]
pub struct Sums {
    pub clock: Clk,
    pub reset: Rst,
    pub beat: BeatIn,
    pub frame: FrameOut,
    pub sum: SumOut,
    pub busy: O<1>,
    /// The number of the next beat.
    n: Reg<12>,
    has: [Reg<1>; 4],
    stage: [Reg<{ Stage::WIDTH }>; 4],
    counts: Reg<16>,
    base: [Reg<24>; 2],
    half: [Reg<18>; 2],
    total: Reg<24>,
    end: Reg<17>,
}

#[kernel]
impl Logic for Sums {
    fn update(&mut self) {
        let moves = self.frame.ready | !self.has[3].q;
        self.beat.ready = moves;
        let n = if self.beat.sop { sized(0, 12) } else { self.n.q };
        let first = self.beat.start.bits(14, 3);
        let lane = self.beat.start.bits(2, 0).zext(4);
        let bytes = self.beat.bytes;
        // Which bytes count: from the start on, up to the end.
        let mut counts = sized(0, 16);
        for b in 0..16 {
            let w: usize = b / 2;
            let here = (n > first) | ((n == first) & (lane <= w));
            counts = counts | ((here & (bytes > b)).zext(16) << konst(b));
        }
        let one = self.stage[0].q.get(Stage::DATA);
        let mut kept = sized(0, 128);
        for b in 0..16 {
            kept = kept | ((one.bits(8 * b + 7, 8 * b) & self.counts.q.bit(b).rep(8)).zext(128) << konst(8 * b));
        }
        if moves {
            if self.beat.valid {
                self.n.d = n + 1;
            }
            self.has[0].d = self.beat.valid;
            self.stage[0].d = Stage {
                sop: self.beat.sop,
                eop: self.beat.eop,
                error: self.beat.error,
                sums: self.beat.sums,
                udp: self.beat.udp,
                bytes,
                slot: self.beat.slot,
                place: self.beat.place,
                data: self.beat.data,
            };
            self.counts.d = counts;
            self.base[0].d = self.beat.base;
            for i in 1..4 {
                self.has[i].d = self.has[i - 1].q;
                self.stage[i].d = self.stage[i - 1].q;
            }
            self.base[1].d = self.base[0].q;
            for half in 0..2 {
                let at: usize = 4 * half;
                let a = wire_word(kept, { at }).zext(18) + wire_word(kept, { at + 1 }).zext(18);
                let b = wire_word(kept, { at + 2 }).zext(18) + wire_word(kept, { at + 3 }).zext(18);
                self.half[half].d = a + b;
            }
            // Many words at most: 4,096 beats of eight overflow 24 bits, so the sum is folded on the way.
            let so_far = if self.stage[1].q.get(Stage::SOP) { self.base[1].q } else { fold(self.total.q).zext(24) };
            let both = self.half[0].q.zext(24) + self.half[1].q.zext(24);
            if self.has[1].q {
                self.total.d = so_far + both;
            }
            self.end.d = fold(self.total.q);
        }
        let last = self.stage[3].q;
        self.frame.valid = self.has[3].q;
        self.frame.sop = last.get(Stage::SOP);
        self.frame.eop = last.get(Stage::EOP);
        self.frame.bytes = last.get(Stage::BYTES);
        self.frame.data = last.get(Stage::DATA);
        self.frame.slot = last.get(Stage::SLOT);
        self.frame.error = last.get(Stage::ERROR);
        let sum = !folded(self.end.q);
        self.sum.valid = last.get(Stage::SUMS) & last.get(Stage::EOP);
        self.sum.at = last.get(Stage::PLACE);
        self.sum.value = if (sum == 0) & last.get(Stage::UDP) { 0xffff } else { sum };
        self.busy = self.has[0].q | self.has[1].q | self.has[2].q | self.has[3].q;
    }
}
