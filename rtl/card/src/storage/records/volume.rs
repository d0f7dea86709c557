//! What the volume log page tells of each function: commands, bytes and time, histograms of latency, how long its limits held
//! it back (see `azote_regs::nvme::volume`).
//!
//! All of it is words of 64 bits in one memory, one change at a time. It belongs to the volume: another binding begins
//! anew, but for the commands that are still under way.

use azote_hdl::prelude::*;
use azote_regs::nvme::volume::BINS;

use crate::parts::{BlockTable, Fifo, Marks, slots_of};
use crate::storage::terms::Kind;

/// Words of a function.
pub struct Word;
impl Word {
    pub const READ_OPS: u64 = 0;
    pub const WRITE_OPS: u64 = 1;
    pub const READ_BYTES: u64 = 2;
    pub const WRITE_BYTES: u64 = 3;
    pub const READ_TIME: u64 = 4;
    pub const WRITE_TIME: u64 = 5;
    pub const OVER_COMMANDS: u64 = 6;
    pub const OVER_BLOCKS: u64 = 7;
    pub const QUEUE: u64 = 8;
    pub const READ_BINS: u64 = 16;
    pub const WRITE_BINS: u64 = Self::READ_BINS + BINS;
}

/// What is added to a word: an event is one or more of these, in this order.
struct Step;
impl Step {
    const QUEUE: u64 = 0;
    const OPS: u64 = 1;
    const BYTES: u64 = 2;
    const TIME: u64 = 3;
    const BIN: u64 = 4;
}

struct St;
impl St {
    const BOOT: u64 = 0;
    const IDLE: u64 = 1;
    const READ: u64 = 2;
    const WRITE: u64 = 3;
    const CLEAR: u64 = 4;
    const LOOK: u64 = 5;
    const SHOW: u64 = 6;
}

packed! {
    /// A command that is over, as its ports tell it.
    Ended {
        good: 1,
        kind: 2,
        slot: 6,
        blocks: 9,
        time: 24,
    }
}

#[derive(LogicBlock, Default)]
pub struct Volume {
    pub clock: Clk,
    pub reset: Rst,
    /// One clock: a command begins; it may be one that is not counted.
    pub opens: I<1>,
    pub opens_slot: I<6>,
    pub opens_kind: I<2>,
    /// One clock: a command is over, after so many microseconds; `good`: the host was told, and it is no error.
    pub closes: I<1>,
    pub closes_slot: I<6>,
    pub closes_kind: I<2>,
    pub closes_blocks: I<9>,
    pub closes_time: I<24>,
    pub closes_good: I<1>,
    /// One clock: for so many microseconds a function waited for its limits. Never twice within thirty clocks.
    pub held: I<1>,
    pub held_slot: I<6>,
    pub held_time: I<7>,
    pub held_commands: I<1>,
    pub held_blocks: I<1>,
    /// One clock: a slot has another binding.
    pub changed: I<1>,
    pub changed_slot: I<6>,
    /// A word of a slot, held until `ack`.
    pub ask: I<1>,
    pub slot: I<6>,
    pub index: I<6>,
    pub ack: O<1>,
    pub word: O<64>,
    pub busy: O<1>,
    st: Reg<3>,
    /// The word that is cleared.
    at: Reg<6>,
    step: Reg<3>,
    s: Reg<6>,
    kind: Reg<2>,
    blocks: Reg<9>,
    time: Reg<24>,
    /// The event in hand is of a limit; it is the beginning of a command.
    limit: Reg<1>,
    begins: Reg<1>,
    last: Reg<3>,
    h_wait: Reg<1>,
    h_slot: Reg<6>,
    h_time: Reg<7>,
    h_commands: Reg<1>,
    h_blocks: Reg<1>,
    clears: Marks,
    begun: Fifo<6>,
    ended: Fifo<{ Ended::WIDTH }>,
    words: BlockTable<12, 64, 1>,
}

impl Volume {
    /// The statistics of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = slots_of(vfs);
        Volume {
            clears: Marks::new(slots),
            begun: Fifo::new(16),
            ended: Fifo::new(64),
            words: BlockTable::new(slots * 64, 6),
            ..Self::default()
        }
    }
}

/// The bin of a time: how many bits it takes.
#[pure]
fn bin(time: V) -> V {
    let big = time.bits(23, BINS as usize - 2) != 0;
    let t = time.bits(BINS as usize - 3, 0);
    let high = t.bits(17, 16) != 0;
    let a = if high { t.bits(17, 16).zext(16) } else { t.bits(15, 0) };
    let b = if a.bits(15, 8) != 0 { a.bits(15, 8) } else { a.bits(7, 0) };
    let b8 = (a.bits(15, 8) != 0) & !high;
    let c = if b.bits(7, 4) != 0 { b.bits(7, 4) } else { b.bits(3, 0) };
    let c4 = b.bits(7, 4) != 0;
    let d = match c {
        0 => sized(0, 3),
        1 => 1,
        2 | 3 => 2,
        4 | 5 | 6 | 7 => 3,
        _ => 4,
    };
    let n = d.zext(5) + cat(sized(0, 2), c4, sized(0, 2)) + cat(sized(0, 1), b8, sized(0, 3)) + cat(high, sized(0, 4));
    if big { sized(BINS - 1, 5) } else { n }
}

#[kernel]
impl Logic for Volume {
    fn update(&mut self) {
        clocked!(self.begun, self.ended, self.clears, self.words);
        let writes = self.kind.q == Kind::WRITE;
        let old = self.words.rdata[0];
        let from_bin = if writes { sized(Word::WRITE_BINS, 6) } else { Word::READ_BINS };
        let of_command = match self.step.q {
            Step::OPS => cat(sized(Word::READ_OPS >> 1, 5), writes),
            Step::BYTES => cat(sized(Word::READ_BYTES >> 1, 5), writes),
            Step::TIME => cat(sized(Word::READ_TIME >> 1, 5), writes),
            Step::BIN => from_bin + bin(self.time.q).zext(6),
            _ => sized(Word::QUEUE, 6),
        };
        let of_limit = if self.step.q == 0 { sized(Word::OVER_COMMANDS, 6) } else { Word::OVER_BLOCKS };
        let index = if self.limit.q { of_limit } else { of_command };
        let held_now = if self.step.q == 0 { self.h_commands.q } else { self.h_blocks.q };
        let of_step = match self.step.q {
            Step::BYTES => cat(self.blocks.q, sized(0, 9)).zext(64),
            Step::TIME => self.time.q.zext(64),
            _ => sized(1, 64),
        };
        let more = if self.limit.q { (if held_now { self.h_time.q.zext(64) } else { 0 }) } else { of_step };
        let fewer = if old == 0 { sized(0, 64) } else { old - 1 };
        let falls = (self.step.q == Step::QUEUE) & !(self.begins.q | self.limit.q);

        if self.held {
            self.h_wait.d = 1;
            self.h_slot.d = self.held_slot;
            self.h_time.d = self.held_time;
            self.h_commands.d = self.held_commands;
            self.h_blocks.d = self.held_blocks;
        }
        let begins = self.opens & (self.opens_kind != Kind::OTHER);
        self.begun.in_valid = begins;
        self.begun.in_data = self.opens_slot;
        self.begun.out_ready = 0;
        let counted = self.closes & (self.closes_kind != Kind::OTHER);
        self.ended.in_valid = counted;
        self.ended.in_data = Ended {
            good: self.closes_good,
            kind: self.closes_kind,
            slot: self.closes_slot,
            blocks: self.closes_blocks,
            time: self.closes_time,
        };
        self.ended.out_ready = 0;
        check!((!begins) | self.begun.in_ready, "a command begins and the statistics miss it");
        check!((!counted) | self.ended.in_ready, "a command ends and the statistics miss it");
        let e = self.ended.out_data;
        self.clears.mark = self.changed;
        self.clears.slot = self.changed_slot;
        self.clears.drop = 0;
        self.clears.take = 0;
        let mut we = sized(0, 1);
        let mut at = cat(self.s.q, index);
        let mut new = if falls { fewer } else { old + more };
        let mut read = at;
        self.ack = self.st.q == St::SHOW;
        self.word = old;

        match self.st.q {
            St::BOOT => {
                if self.words.ready {
                    self.st.d = St::IDLE;
                }
            }
            St::IDLE => {
                self.step.d = 0;
                self.limit.d = 0;
                self.begins.d = 0;
                self.last.d = 0;
                if self.begun.out_valid {
                    self.begun.out_ready = 1;
                    self.s.d = self.begun.out_data;
                    self.begins.d = 1;
                    self.st.d = St::READ;
                } else if self.ended.out_valid {
                    self.ended.out_ready = 1;
                    self.time.d = e.get(Ended::TIME);
                    self.blocks.d = e.get(Ended::BLOCKS);
                    self.s.d = e.get(Ended::SLOT);
                    self.kind.d = e.get(Ended::KIND);
                    self.last.d = if e.get(Ended::GOOD) { sized(Step::BIN, 3) } else { 0 };
                    self.st.d = St::READ;
                } else if self.h_wait.q {
                    self.h_wait.d = self.held;
                    self.s.d = self.h_slot.q;
                    self.limit.d = 1;
                    self.last.d = 1;
                    self.st.d = St::READ;
                } else if self.clears.valid {
                    self.s.d = self.clears.first;
                    self.clears.take = 1;
                    self.st.d = St::CLEAR;
                } else if self.ask {
                    self.st.d = St::LOOK;
                }
            }
            St::READ => self.st.d = St::WRITE,
            St::WRITE => {
                we = 1;
                self.step.d = self.step.q + 1;
                self.st.d = if self.step.q == self.last.q { St::IDLE } else { St::READ };
            }
            St::CLEAR => {
                we = self.at.q != Word::QUEUE;
                at = cat(self.s.q, self.at.q);
                new = 0;
                self.at.d = self.at.q + 1;
                if self.at.q.all() {
                    self.st.d = St::IDLE;
                }
            }
            St::LOOK => {
                read = cat(self.slot, self.index);
                self.st.d = St::SHOW;
            }
            _ => self.st.d = St::IDLE,
        }
        self.words.we = we;
        self.words.waddr = at;
        self.words.wdata = new;
        self.words.raddr[0] = read;
        self.words.first = 0;
        self.words.wipe = 0;
        self.words.wipe_slot = 0;
        self.busy =
            (self.st.q != St::IDLE) | self.begun.out_valid | self.ended.out_valid | self.h_wait.q | self.clears.valid;
    }
}
