//! Walks receive buffers of several descriptors, one descriptor at a time: what firmware and older drivers give, a header and its
//! data apart. Buffers of one descriptor never come here.
//!
//! Promise: an answer is a descriptor that the device may write, or `bad`: a link beyond its table, a table in a table, no length, the
//! wrong direction, or memory that could not be read.

use azote_hdl::prelude::*;

use crate::dma::ReadOut;
use crate::virtio::bundles::RingOut;
use crate::virtio::fetch::Desc;
use crate::virtio::registers::{Meta, Word};

struct St;
impl St {
    const IDLE: u64 = 0;
    const DESC: u64 = 1;
    const META: u64 = 2;
    const READ: u64 = 3;
    const WAIT: u64 = 4;
    const DONE: u64 = 5;
}

#[derive(LogicBlock, Default)]
pub struct Chains {
    pub clock: Clk,
    pub reset: Rst,
    /// The descriptor `link` of a queue's table, or of a table of its own at `own_at` with so many: held until `done`.
    pub valid: I<1>,
    pub slot: I<6>,
    pub pair: I<2>,
    pub own: I<1>,
    pub own_at: I<64>,
    pub entries: I<16>,
    pub link: I<16>,
    /// One clock: it is there.
    pub done: O<1>,
    pub address: O<64>,
    pub bytes: O<32>,
    pub more: O<1>,
    pub next: O<16>,
    pub bad: O<1>,
    pub ring: RingOut,
    /// The words of queues are asked for in this clock.
    pub asks: O<1>,
    pub rd: ReadOut,
    pub pending: I<1>,
    pub failed: I<1>,
    pub forget: O<1>,
    pub lanes: I<4>,
    pub data: I<128>,
    client: Param,
    kind: Param,
    st: Reg<3>,
    at: Reg<64>,
    beyond: Reg<1>,
    row: [Reg<32>; 4],
}

impl Chains {
    /// Of functions of a kind, with this client of reads.
    pub fn new(kind: u64, client: usize) -> Self {
        Chains { kind: Param::new(kind as usize), client: Param::new(client), ..Self::default() }
    }
}

#[kernel]
impl Logic for Chains {
    fn update(&mut self) {
        self.asks = (self.st.q == St::IDLE) | (self.st.q == St::DESC);
        self.ring.slot = self.slot;
        self.ring.queue = cat(sized(0, 1), self.pair, sized(0, 1));
        self.ring.word = if self.st.q == St::IDLE { sized(Word::DESC, 2) } else { Word::META };
        self.rd.valid = self.st.q == St::READ;
        self.rd.owner = cat(self.slot, sized({ self.kind.get() }, 2));
        self.rd.address = self.at.q;
        self.rd.bytes = 16;
        self.rd.client = sized({ self.client.get() }, 4);
        self.rd.dest = 0;
        self.forget = self.st.q == St::META;
        for i in 0..4 {
            if self.lanes.bit(i) {
                self.row[i].d = self.data.bits(32 * i + 31, 32 * i);
            }
        }
        let d = cat(self.row[3].q, self.row[2].q, self.row[1].q, self.row[0].q);
        let wrong = d.get(Desc::INDIRECT) | (!d.get(Desc::WRITE)) | (d.get(Desc::LEN) == 0);
        self.done = self.st.q == St::DONE;
        self.address = d.get(Desc::ADDR);
        self.bytes = d.get(Desc::LEN);
        self.more = d.get(Desc::MORE);
        self.next = d.get(Desc::NEXT);
        self.bad = self.beyond.q | self.failed | wrong;
        let offset = cat(sized(0, 44), self.link, sized(0, 4));
        match self.st.q {
            St::IDLE => {
                if self.valid {
                    self.st.d = St::DESC;
                }
            }
            St::DESC => {
                self.at.d = if self.own { self.own_at } else { self.ring.data } + offset;
                self.st.d = if self.ring.taken { sized(St::IDLE, 3) } else { St::META };
            }
            St::META => {
                let size = self.ring.data.get(Meta::SIZE);
                let beyond = self.link >= if self.own { self.entries } else { size };
                // A descriptor that lies across two pages is one of a table that is not where tables are.
                let crosses = self.at.q.bits(11, 4).all() & (self.at.q.bits(3, 0) != 0);
                let misplaced = crosses | (self.at.q.bits(1, 0) != 0);
                self.beyond.d = beyond | misplaced;
                self.st.d = if self.ring.taken {
                    sized(St::IDLE, 3)
                } else if beyond | misplaced {
                    St::DONE
                } else {
                    St::READ
                };
            }
            St::READ => {
                if self.rd.ready {
                    self.st.d = St::WAIT;
                }
            }
            St::WAIT => {
                if !self.pending {
                    self.st.d = St::DONE;
                }
            }
            _ => self.st.d = St::IDLE,
        }
    }
}
