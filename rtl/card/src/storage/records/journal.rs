//! What is remembered of a command while mover or writer have it: when it began, what it is and where.
//!
//! Each of the two ends its commands in the order in which they began, so that a line of the journal is found without
//! looking for it. The clock of the journal counts microseconds.

use azote_hdl::prelude::*;
use azote_regs::clock;

use crate::parts::BlockFifo;

/// Bits of the time, in microseconds: it begins anew after sixteen seconds.
pub const TIME: usize = 24;
/// Bits of a line: `{begun 24, blocks 9, kind 2, lba 48}`.
pub const LINE: usize = 83;

#[derive(LogicBlock, Default)]
pub struct Journal {
    pub clock: Clk,
    pub reset: Rst,
    /// One clock: mover or writer gets a command.
    pub opens: I<1>,
    pub opens_writer: I<1>,
    pub blocks: I<9>,
    pub kind: I<2>,
    pub lba: I<48>,
    /// One clock: the oldest of mover or writer is over; `line` is of whom `writer` names, all the time.
    pub closes: I<1>,
    pub writer: I<1>,
    pub line: O<83>,
    /// Microseconds now.
    pub now: O<24>,
    tick: Reg<7>,
    time: Reg<24>,
    reads: BlockFifo<8, 83>,
    writes: BlockFifo<8, 83>,
}

#[kernel]
impl Logic for Journal {
    fn update(&mut self) {
        clocked!(self.reads, self.writes);
        let line = cat(self.time.q, self.blocks, self.kind, self.lba);
        self.reads.in_data = line;
        let read_opens = self.opens & !self.opens_writer;
        let write_opens = self.opens & self.opens_writer;
        self.reads.in_valid = read_opens;
        self.writes.in_data = line;
        self.writes.in_valid = write_opens;
        self.reads.out_ready = self.closes & !self.writer;
        self.writes.out_ready = self.closes & self.writer;
        self.line = if self.writer { self.writes.out_data } else { self.reads.out_data };
        self.now = self.time.q;
        self.tick.d = self.tick.q + 1;
        if self.tick.q == konst(clock::MHZ - 1) {
            self.tick.d = 0;
            self.time.d = self.time.q + 1;
        }
        check!((!read_opens) | self.reads.in_ready, "more reads are under way than the journal has lines");
        check!((!write_opens) | self.writes.in_ready, "more writes are under way than the journal has lines");
        check!((!(self.closes & !self.writer)) | self.reads.out_valid, "a read ends that never began");
        check!((!(self.closes & self.writer)) | self.writes.out_valid, "a write ends that never began");
    }
}
