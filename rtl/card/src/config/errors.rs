//! Errors on their way from those who find them to configuration space, which takes some twenty clocks for each.
//!
//! Promise: what was found is recorded, however much is found at once, and in the function in which it was found. The first
//! ones wait in a queue, with their headers. When that is full, a table notes for each function what was found; of these
//! the header is lost, which the log says with ones. Two errors of one kind and one function that meet there are one.
//!
//! Completions can come in every clock and cannot wait, so their finder is never refused. The others hold what they found
//! until it is taken.

use azote_hdl::prelude::*;

use crate::parts::{Fifo, slots_of};
use crate::transaction::{ErrorIn, ErrorOut, Found};

const EVENTS: usize = Found::COUNT;
/// Errors that wait with their headers.
const DEPTH: usize = 16;

#[derive(LogicBlock)]
pub struct Errors {
    pub clock: Clk,
    pub reset: Rst,
    pub read: ErrorIn,
    pub completer: ErrorIn,
    pub posted: ErrorIn,
    pub receive: ErrorIn,
    pub out: ErrorOut,
    pub busy: O<1>,
    waiting: Fifo<141>,
    noted: LutRam<8, EVENTS>,
    noted_all: Reg<EVENTS>,
    /// Something is noted, or was a walk through the table ago; a walk began after the last note.
    some: Reg<1>,
    fresh: Reg<1>,
    look: Reg<8>,
    /// What the table said of one function, told one by one.
    held: Reg<EVENTS>,
    held_owner: Reg<8>,
    held_all: Reg<1>,
    booting: Reg<1>,
    vfs: Param,
    /// The last function that the table has a place for.
    last: Param,
}

impl Errors {
    /// For a card with `vfs` VFs a kind.
    pub fn new(vfs: usize) -> Self {
        let functions = slots_of(vfs) * 4;
        Errors {
            clock: Default::default(),
            reset: Default::default(),
            read: Default::default(),
            completer: Default::default(),
            posted: Default::default(),
            receive: Default::default(),
            out: Default::default(),
            busy: Default::default(),
            waiting: Fifo::new(DEPTH),
            noted: LutRam::new(functions),
            noted_all: Default::default(),
            some: Default::default(),
            fresh: Default::default(),
            look: Default::default(),
            held: Default::default(),
            held_owner: Default::default(),
            held_all: Default::default(),
            booting: Reg::new(true),
            vfs: Param::new(vfs),
            last: Param::new(functions - 1),
        }
    }
}

impl Default for Errors {
    fn default() -> Self {
        Errors::new(4)
    }
}

#[kernel]
impl Logic for Errors {
    fn update(&mut self) {
        clocked!(self.waiting);
        memories!(self.noted);
        let boot = self.booting.q;

        // --- one of the finders
        let by_completer = self.completer.valid & !self.read.valid;
        let by_posted = self.posted.valid & !self.read.valid & !self.completer.valid;
        let by_receive = self.receive.valid & !self.read.valid & !self.completer.valid & !self.posted.valid;
        self.read.ready = 1;
        self.completer.ready = by_completer & !boot;
        self.posted.ready = by_posted & !boot;
        self.receive.ready = by_receive & !boot;
        let comes = (self.read.valid | by_completer | by_posted | by_receive) & !boot;
        let mut owner = self.read.owner;
        let mut everyone = self.read.everyone;
        let mut what = self.read.event;
        let mut header = self.read.header;
        if by_completer {
            owner = self.completer.owner;
            everyone = self.completer.everyone;
            what = self.completer.event;
            header = self.completer.header;
        }
        if by_posted {
            owner = self.posted.owner;
            everyone = self.posted.everyone;
            what = self.posted.event;
            header = self.posted.header;
        }
        if by_receive {
            owner = self.receive.owner;
            everyone = self.receive.everyone;
            what = self.receive.event;
            header = self.receive.header;
        }
        check!(!(self.read.valid & boot), "a completion comes before a read can have been sent");

        // --- to the queue, or to the table
        // Of a function that the card has not it is nobody's, as of one that is not its own.
        if owner.bits(7, 2) > konst(self.vfs.get()) {
            everyone = 1;
        }
        self.waiting.in_valid = comes;
        self.waiting.in_data = cat(everyone, owner, what, header);
        let notes = comes & !self.waiting.in_ready;
        let bit = sized(1, EVENTS) << what;
        let note_one = notes & !everyone;
        let at = if note_one { owner } else { self.look.q };
        self.noted.raddr = at;
        self.noted.waddr = at;
        self.noted.we = boot;
        self.noted.wdata = 0;
        if notes & everyone {
            self.noted_all.d = self.noted_all.q | bit;
        }
        if note_one {
            self.noted.we = 1;
            self.noted.wdata = self.noted.rdata | bit;
            self.some.d = 1;
            self.fresh.d = 1;
        }

        // --- back from the table, when the queue is empty
        let end = self.look.q == konst(self.last.get());
        let following = if end { sized(0, 8) } else { self.look.q + 1 };
        let idle = !self.waiting.out_valid & !notes & !boot & !self.held.q.any();
        if boot {
            self.look.d = following;
            if end {
                self.booting.d = 0;
            }
        } else if idle & self.noted_all.q.any() {
            self.held.d = self.noted_all.q;
            self.held_all.d = 1;
            self.noted_all.d = 0;
        } else if idle & self.some.q {
            self.held.d = self.noted.rdata;
            self.held_owner.d = self.look.q;
            self.held_all.d = 0;
            self.noted.we = 1;
            self.look.d = following;
            if end {
                // A walk from the first function to the last without a new note has seen all.
                self.some.d = self.fresh.q;
                self.fresh.d = 0;
            }
        }
        let mut first = sized(0, 4);
        for back in 0..EVENTS {
            let n: usize = EVENTS - 1 - back;
            if self.held.q.bit(n) {
                first = konst(n);
            }
        }
        let told = self.held.q.any();
        self.out.valid = told | self.waiting.out_valid;
        let q = self.waiting.out_data;
        self.out.everyone = if told { self.held_all.q } else { q.bit(140) };
        self.out.owner = if told { self.held_owner.q } else { q.bits(139, 132) };
        self.out.event = if told { first } else { q.bits(131, 128) };
        self.out.header = if told { sized(1, 1).rep(128) } else { q.bits(127, 0) };
        self.waiting.out_ready = self.out.ready & !told;
        if told & self.out.ready {
            self.held.d = self.held.q & !(sized(1, EVENTS) << first);
        }
        self.busy = boot | comes | self.waiting.out_valid | told | self.some.q | self.noted_all.q.any();
    }
}
