//! Who reads host memory: a request at a time, entries before lists before data, so that what is short never queues behind what
//! is long. Entries and lists are asked for a few at a time; data cannot starve.
//!
//! Promise: a request stands as it is until it is taken.

use azote_hdl::prelude::*;

use crate::dma::{ReadIn, ReadOut};

struct Who;
impl Who {
    const ENTRIES: u64 = 0;
    const LISTS: u64 = 1;
    const DATA: u64 = 2;
}

#[derive(LogicBlock, Default)]
pub struct Reads {
    pub clock: Clk,
    pub reset: Rst,
    pub entries: ReadIn,
    pub lists: ReadIn,
    pub data: ReadIn,
    pub out: ReadOut,
    stands: Reg<1>,
    who: Reg<2>,
}

#[kernel]
impl Logic for Reads {
    fn update(&mut self) {
        if self.stands.q {
            if self.out.ready {
                self.stands.d = 0;
            }
        } else {
            self.stands.d = self.entries.valid | self.lists.valid | self.data.valid;
            self.who.d = if self.entries.valid {
                sized(Who::ENTRIES, 2)
            } else if self.lists.valid {
                Who::LISTS
            } else {
                Who::DATA
            };
        }
        self.out.valid = self.stands.q;
        match self.who.q {
            Who::ENTRIES => {
                self.out.owner = self.entries.owner;
                self.out.address = self.entries.address;
                self.out.bytes = self.entries.bytes;
                self.out.client = self.entries.client;
                self.out.dest = self.entries.dest;
            }
            Who::LISTS => {
                self.out.owner = self.lists.owner;
                self.out.address = self.lists.address;
                self.out.bytes = self.lists.bytes;
                self.out.client = self.lists.client;
                self.out.dest = self.lists.dest;
            }
            _ => {
                self.out.owner = self.data.owner;
                self.out.address = self.data.address;
                self.out.bytes = self.data.bytes;
                self.out.client = self.data.client;
                self.out.dest = self.data.dest;
            }
        }
        let taken = self.stands.q & self.out.ready;
        self.entries.ready = taken & (self.who.q == Who::ENTRIES);
        self.lists.ready = taken & (self.who.q == Who::LISTS);
        self.data.ready = taken & (self.who.q == Who::DATA);
    }
}
