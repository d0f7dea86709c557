//! Whose volume is to be flushed because the function shuts down, and whose flush is over.
//!
//! Promise: who is marked is offered until it is taken, while no flush waits to be begun; each flush that was begun is told
//! as over once, also of a function that turned out to have no volume.

use azote_hdl::prelude::*;

use crate::parts::{Fifo, Marks};

#[derive(LogicBlock, Default)]
pub struct Shutdowns {
    pub clock: Clk,
    pub reset: Rst,
    /// One clock: the volume of `slot` is to be flushed; its flush is started.
    pub mark: I<1>,
    pub starts: I<1>,
    pub slot: I<6>,
    /// Who is next, until `take`.
    pub valid: O<1>,
    pub next: O<6>,
    pub take: I<1>,
    /// A flush to begin: held until `flush_taken`, with which `unbound` says that there is no volume. One clock: it is over.
    pub flush: O<1>,
    pub flush_slot: O<6>,
    pub flush_taken: I<1>,
    pub unbound: I<1>,
    pub flushed: I<1>,
    pub flushed_slot: I<6>,
    /// Whose flush is over, until `over_take`.
    pub over: O<1>,
    pub over_slot: O<6>,
    pub over_take: I<1>,
    pub busy: O<1>,
    asks: Reg<1>,
    asks_slot: Reg<6>,
    /// One that has no volume, not told yet.
    none: Reg<1>,
    none_slot: Reg<6>,
    marks: Marks,
    done: Fifo<6>,
}

impl Shutdowns {
    /// Of a card with so many slots, a power of two.
    pub fn new(slots: usize) -> Self {
        Shutdowns { marks: Marks::new(slots), done: Fifo::new(slots), ..Self::default() }
    }
}

#[kernel]
impl Logic for Shutdowns {
    fn update(&mut self) {
        clocked!(self.marks, self.done);
        self.marks.mark = self.mark;
        self.marks.slot = self.slot;
        self.marks.drop = 0;
        self.marks.take = self.take;
        self.valid = self.marks.valid & !self.asks.q;
        self.next = self.marks.first;
        if self.asks.q & self.flush_taken {
            self.asks.d = 0;
            self.none.d = self.unbound;
            self.none_slot.d = self.asks_slot.q;
        } else if !self.flushed {
            self.none.d = 0;
        }
        if self.starts {
            self.asks.d = 1;
            self.asks_slot.d = self.slot;
        }
        self.flush = self.asks.q;
        self.flush_slot = self.asks_slot.q;
        self.done.in_valid = self.flushed | self.none.q;
        self.done.in_data = if self.flushed { self.flushed_slot } else { self.none_slot.q };
        self.done.out_ready = self.over_take;
        self.over = self.done.out_valid;
        self.over_slot = self.done.out_data;
        self.busy = self.asks.q | self.none.q | self.done.out_valid | self.marks.valid;
    }
}
