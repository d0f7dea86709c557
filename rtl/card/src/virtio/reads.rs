//! Who reads host memory: one request at a time, in turns. A request stands as it is until it is taken.

use azote_hdl::prelude::*;

use crate::dma::{ReadIn, ReadOut};
use crate::parts::Arbiter;

/// Who asks.
pub const ASKERS: usize = 5;

#[derive(LogicBlock, Default)]
pub struct Reads {
    pub clock: Clk,
    pub reset: Rst,
    pub ask: [ReadIn; ASKERS],
    pub out: ReadOut,
    turns: Arbiter<ASKERS, 3>,
    stands: Reg<1>,
    who: Reg<3>,
}

#[kernel]
impl Logic for Reads {
    fn update(&mut self) {
        clocked!(self.turns);
        let mut wants = sized(0, ASKERS);
        for i in 0..ASKERS {
            // Whoever was taken in this clock asks for something else in the next.
            if self.ask[i].valid & !(self.stands.q & (self.who.q == i)) {
                wants = wants | konst(1 << i);
            }
        }
        self.turns.wants = wants;
        self.turns.last = 1;
        let free = (!self.stands.q) | self.out.ready;
        self.turns.take = free & self.turns.any;
        if free {
            self.stands.d = self.turns.any;
            self.who.d = self.turns.grant;
        }
        self.out.valid = self.stands.q;
        self.out.owner = self.ask[0].owner;
        self.out.address = self.ask[0].address;
        self.out.bytes = self.ask[0].bytes;
        self.out.client = self.ask[0].client;
        self.out.dest = self.ask[0].dest;
        for i in 0..ASKERS {
            if self.who.q == i {
                self.out.owner = self.ask[i].owner;
                self.out.address = self.ask[i].address;
                self.out.bytes = self.ask[i].bytes;
                self.out.client = self.ask[i].client;
                self.out.dest = self.ask[i].dest;
            }
            self.ask[i].ready = self.stands.q & self.out.ready & (self.who.q == i);
        }
    }
}
