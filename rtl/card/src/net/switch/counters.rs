//! The counters of every port and of the wire: frames and bytes both ways, and dropped frames by reason.
//!
//! Promise: every event is counted once, whatever is counted beside it; it waits at most for one of each other maker. An event takes four
//! clocks, and six when a low half overflows.

use azote_hdl::prelude::*;
use azote_regs::manage;

use super::words::{Counter, EventIn};
use crate::parts::{Arbiter, slots_of};
use crate::transaction::BusSlave;

struct St;
impl St {
    const BOOT: u64 = 0;
    const IDLE: u64 = 1;
    const READ: u64 = 2;
    const WRITE: u64 = 3;
    /// The high halves.
    const READ_HIGH: u64 = 4;
    const WRITE_HIGH: u64 = 5;
    const ANSWER: u64 = 6;
    const ACK: u64 = 7;
}

/// Who makes events: the two lanes, the wire, the delivery.
pub const MAKERS: usize = 4;
/// The word of the frames' counters at which those of bytes lie.
const BYTES: u64 = manage::COUNTER_TX_BYTES / 4;

#[derive(LogicBlock, Default)]
pub struct Counters {
    pub clock: Clk,
    pub reset: Rst,
    pub event: [EventIn; MAKERS],
    pub bus: BusSlave,
    pub busy: O<1>,
    vfs: Param,
    slots: Param,
    st: Reg<3>,
    at: Reg<10>,
    slot: Reg<6>,
    word: Reg<4>,
    bytes: Reg<14>,
    carry: Reg<1>,
    carry_bytes: Reg<1>,
    polled: Reg<1>,
    turns: Arbiter<MAKERS, 2>,
    frames: Ram<10, 32>,
    sizes: Ram<8, 32>,
}

impl Counters {
    /// Counters of the PF, of `vfs` VFs and of the wire.
    pub fn new(vfs: usize) -> Self {
        // The wire's are the last.
        let slots = slots_of(vfs + 1);
        Counters {
            vfs: Param::new(vfs),
            slots: Param::new(slots),
            frames: Ram::new(slots * 16),
            sizes: Ram::new(slots * 4),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Counters {
    fn update(&mut self) {
        clocked!(self.turns);
        memories!(self.frames, self.sizes);
        let bits: usize = self.slots.get().trailing_zeros() as usize;
        let mut wants = sized(0, MAKERS);
        for m in 0..MAKERS {
            wants = wants | (self.event[m].valid.zext(MAKERS) << konst(m));
        }
        self.turns.wants = wants;
        let rests = self.st.q == St::IDLE;
        // The host's accesses and events alternate: neither waits for ever.
        let answers = rests & self.bus.valid & ((!self.turns.any) | self.polled.q);
        let takes = rests & self.turns.any & !answers;
        self.turns.take = takes;
        self.turns.last = 1;
        let mut slot = self.event[0].slot;
        let mut word = self.event[0].word;
        let mut bytes = self.event[0].bytes;
        for m in 0..MAKERS {
            let mine = self.turns.grant == m;
            self.event[m].ready = takes & mine;
            if mine {
                slot = self.event[m].slot;
                word = self.event[m].word;
                bytes = self.event[m].bytes;
            }
        }

        let asked = self.bus.offset.bits(12, 7);
        let asked_word = self.bus.offset.bits(6, 2);
        let exists = (asked.zext(8) <= konst(self.vfs.get())) | (asked == manage::WIRE);
        let mut high = sized(0, 1);
        let mut we = sized(0, 1);
        let mut we_bytes = sized(0, 1);
        let counts_bytes = self.word.q < Counter::DROPS;
        let frames = self.frames.rdata;
        let sizes = self.sizes.rdata;
        let mut more = frames + 1;
        let mut more_bytes = sizes + self.bytes.q.zext(32);
        match self.st.q {
            St::BOOT => {
                self.at.d = self.at.q + 1;
                if self.at.q == konst(self.slots.get() * 16 - 1) {
                    self.st.d = St::IDLE;
                }
            }
            St::IDLE => {
                if takes {
                    self.slot.d = slot;
                    self.word.d = word;
                    self.bytes.d = bytes;
                    self.polled.d = 1;
                    self.st.d = St::READ;
                }
                if answers {
                    self.slot.d = asked;
                    self.word.d = asked_word.bits(3, 0);
                    self.polled.d = 0;
                    self.st.d = St::ANSWER;
                }
            }
            St::READ => self.st.d = St::WRITE,
            St::WRITE => {
                we = 1;
                we_bytes = counts_bytes;
                self.carry.d = frames.all();
                self.carry_bytes.d = more_bytes < sizes;
                let overflows = frames.all() | (more_bytes < sizes);
                self.st.d = if counts_bytes & overflows { St::READ_HIGH } else { St::IDLE };
            }
            St::READ_HIGH => {
                high = 1;
                self.st.d = St::WRITE_HIGH;
            }
            St::WRITE_HIGH => {
                high = 1;
                we = self.carry.q;
                we_bytes = self.carry_bytes.q;
                more_bytes = sizes + 1;
                self.st.d = St::IDLE;
            }
            St::ANSWER => self.st.d = St::ACK,
            St::ACK => self.st.d = St::IDLE,
            _ => self.st.d = St::IDLE,
        }
        let boots = self.st.q == St::BOOT;
        if boots {
            more = 0;
            more_bytes = 0;
        }
        let of = self.slot.q.trunc(bits);
        let place = cat(of, self.word.q | high.zext(4));
        let place_bytes = cat(of, self.word.q.bits(1, 0) | high.zext(2));
        self.frames.we = we | boots;
        self.frames.waddr = if boots { self.at.q } else { place.zext(10) };
        self.frames.wdata = more;
        self.frames.raddr = place.zext(10);
        self.sizes.we = we_bytes | boots;
        self.sizes.waddr = if boots { self.at.q.bits(9, 2) } else { place_bytes.zext(8) };
        self.sizes.wdata = more_bytes;
        self.sizes.raddr = place_bytes.zext(8);
        let is_bytes = asked_word.bits(4, 2) == konst(BYTES >> 2);
        self.bus.ack = self.st.q == St::ACK;
        self.bus.rdata = if !exists {
            sized(0, 32)
        } else if is_bytes {
            sizes
        } else if asked_word.bit(4) {
            0
        } else {
            frames
        };
        self.busy = (self.st.q != St::IDLE) | self.bus.valid | self.turns.any;
    }
}
