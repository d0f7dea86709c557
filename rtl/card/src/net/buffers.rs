//! Receive buffers that were fetched and wait for frames, by queue.
//!
//! Promise: what is reserved has its place; buffers are given in the order in which they came, and what was looked at and not taken is there
//! again for the next frame.

use azote_hdl::prelude::*;

use crate::parts::{Table, slots_of};
use crate::virtio::bundles::{BufferIn, WipeIn};

/// Buffers of a queue, log2.
pub const DEPTH: usize = 3;
/// Bits of a queue's name: slot and pair.
const QUEUE: usize = 8;
/// Bits of a pointer.
const POINTER: usize = DEPTH + 1;

packed! {
    /// A buffer: of one descriptor, or the head of a chain.
    pub Buffer {
        bad: 1,
        /// The chain goes on with `next`; it is a table.
        more: 1,
        table: 1,
        next: 16,
        head: 16,
        bytes: 32,
        address: 64,
    }
}

#[derive(LogicBlock, Default)]
pub struct Buffers {
    pub clock: Clk,
    pub reset: Rst,
    /// From the fetcher.
    pub ask_slot: I<6>,
    pub ask_pair: I<3>,
    pub room: O<4>,
    pub reserve: I<1>,
    pub reserves: I<4>,
    pub looked: I<1>,
    pub looked_slot: I<6>,
    pub looked_pair: I<3>,
    pub dry: I<1>,
    pub input: BufferIn,
    /// To the receiver: how many buffers of this queue there are; whether there are none behind these; a clock later, the one at `nth`.
    pub slot: I<6>,
    pub pair: I<2>,
    pub nth: I<DEPTH>,
    pub many: O<{ DEPTH + 1 }>,
    pub few: O<1>,
    pub no_more: O<1>,
    pub buffer: O<{ Buffer::WIDTH }>,
    /// One clock: so many of them are taken.
    pub take: I<1>,
    pub takes: I<{ DEPTH + 1 }>,
    /// One clock: somebody looks for more.
    pub looks: I<1>,
    pub wipe: WipeIn,
    pub ready: O<1>,
    wiped: Reg<1>,
    gone: [Reg<1>; 4],
    /// Places that are given away, those that are filled, and the first that is not taken.
    reserved: Table<QUEUE, POINTER, 2>,
    filled: Table<QUEUE, POINTER, 2>,
    first: Table<QUEUE, POINTER, 2>,
    drought: Table<QUEUE, 1, 1>,
    rows: Ram<11, { Buffer::WIDTH }>,
}

impl Buffers {
    /// Of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = slots_of(vfs);
        Buffers {
            reserved: Table::new(slots << 2, 2),
            filled: Table::new(slots << 2, 2),
            first: Table::new(slots << 2, 2),
            drought: Table::new(slots << 2, 2),
            rows: Ram::new(slots << 5),
            ..Self::default()
        }
    }
}

const FETCHER: usize = 0;
const RECEIVER: usize = 1;

#[kernel]
impl Logic for Buffers {
    fn update(&mut self) {
        clocked!(self.reserved, self.filled, self.first, self.drought);
        memories!(self.rows);
        let asks = cat(self.ask_slot, self.ask_pair.trunc(2));
        let hand = cat(self.slot, self.pair);
        let fills = cat(self.input.slot, self.input.pair.trunc(2));
        self.ready = self.reserved.ready & self.filled.ready & self.first.ready & self.drought.ready;

        // A queue alone is forgotten in a clock in which nobody writes.
        let writes = self.reserve | self.input.valid | self.take | self.looked | self.looks;
        let wipes = self.wipe.queue_valid & (!self.wiped.q) & (!writes) & !self.wipe.queue.bit(0);
        let victim = cat(self.wipe.slot, self.wipe.queue.bits(2, 1));

        self.reserved.raddr[FETCHER] = asks;
        self.reserved.raddr[RECEIVER] = hand;
        self.reserved.we = self.reserve | wipes;
        self.reserved.waddr = if wipes { victim } else { asks };
        self.reserved.wdata = if wipes { 0 } else { self.reserved.rdata[FETCHER] + self.reserves };
        self.first.raddr[FETCHER] = asks;
        self.first.raddr[RECEIVER] = hand;
        self.first.we = self.take | wipes;
        self.first.waddr = if wipes { victim } else { hand };
        self.first.wdata = if wipes { 0 } else { self.first.rdata[RECEIVER] + self.takes };
        let held = self.reserved.rdata[FETCHER] - self.first.rdata[FETCHER];
        self.room = sized(1 << DEPTH, POINTER) - held;

        self.filled.raddr[FETCHER] = fills;
        self.filled.raddr[RECEIVER] = hand;
        self.filled.we = self.input.valid | wipes;
        self.filled.waddr = if wipes { victim } else { fills };
        self.filled.wdata = if wipes { 0 } else { self.filled.rdata[FETCHER] + 1 };
        self.input.ready = 1;
        self.rows.we = self.input.valid;
        self.rows.waddr = cat(fills, self.filled.rdata[FETCHER].trunc(DEPTH));
        self.rows.wdata = Buffer {
            bad: self.input.bad,
            more: !(self.input.last | self.input.indirect),
            table: self.input.indirect,
            next: self.input.next,
            head: self.input.head,
            bytes: self.input.bytes,
            address: self.input.address,
        };

        // Nobody looks for more behind what was found, or what is being looked for.
        self.drought.raddr[0] = hand;
        self.drought.we = self.looked | self.looks | wipes;
        self.drought.waddr = if self.looked {
            cat(self.looked_slot, self.looked_pair.trunc(2))
        } else {
            if self.looks { hand } else { victim }
        };
        self.drought.wdata = self.looked & self.dry;

        let at = self.first.rdata[RECEIVER].trunc(DEPTH) + self.nth;
        self.rows.raddr = cat(hand, at);
        self.buffer = self.rows.rdata;
        self.many = self.filled.rdata[RECEIVER] - self.first.rdata[RECEIVER];
        let given = self.reserved.rdata[RECEIVER] - self.first.rdata[RECEIVER];
        self.few = given <= konst(1u64 << (DEPTH - 1));
        self.no_more = self.drought.rdata[0] & (given == self.many);

        self.wipe.done = self.wiped.q;
        let all = self.wipe.slot_valid & !self.wiped.q;
        self.reserved.wipe = all & !self.gone[0].q;
        self.filled.wipe = all & !self.gone[1].q;
        self.first.wipe = all & !self.gone[2].q;
        self.drought.wipe = all & !self.gone[3].q;
        self.reserved.wipe_slot = self.wipe.slot;
        self.filled.wipe_slot = self.wipe.slot;
        self.first.wipe_slot = self.wipe.slot;
        self.drought.wipe_slot = self.wipe.slot;
        self.reserved.first = 0;
        self.filled.first = 0;
        self.first.first = 0;
        self.drought.first = 0;
        let whole = self.gone[0].q & self.gone[1].q & self.gone[2].q & self.gone[3].q;
        let not_ours = self.wipe.queue_valid & self.wipe.queue.bit(0);
        self.gone[0].d = all & (self.gone[0].q | self.reserved.wiped);
        self.gone[1].d = all & (self.gone[1].q | self.filled.wiped);
        self.gone[2].d = all & (self.gone[2].q | self.first.wiped);
        self.gone[3].d = all & (self.gone[3].q | self.drought.wiped);
        let asked = self.wipe.slot_valid | self.wipe.queue_valid;
        self.wiped.d = asked & (self.wiped.q | whole | wipes | not_ours);
    }
}
