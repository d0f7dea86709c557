//! Whose turn it is: functions take turns, and within a function its queues.
//!
//! Functions that have something to fetch stand in one of two rings, each once: those that had nothing in flight (`fresh`)
//! and those that go on. The rings are served alternately, so that a function which asks for little waits for few others,
//! however many ask for much. A function keeps its turn for as many commands as its weight says, then goes to the end. One
//! over its limit is parked, in no ring, until its bucket is filled again; only its admin queue is served meanwhile. So is one
//! that has no tags of the media port left, until it has.
//!
//! Promise: a queue that was marked is offered, in bounded time if its function is within its limits; a function stands in
//! the rings at most once, so they never overflow; nothing is offered that was not marked.

use azote_hdl::prelude::*;

use crate::parts::{Fifo, Table, mark_of, slots_of};

struct St;
impl St {
    const BOOT: u64 = 0;
    const IDLE: u64 = 1;
    const MARK: u64 = 2;
    const REVIVE: u64 = 3;
    const LOOK: u64 = 4;
    const TOOK: u64 = 5;
}

#[derive(LogicBlock, Default)]
pub struct Turns {
    pub clock: Clk,
    pub reset: Rst,
    /// One clock: this queue has something to fetch. Never more than eight within sixteen clocks.
    pub mark: I<1>,
    pub mark_slot: I<6>,
    pub mark_qid: I<3>,
    /// It had nothing in flight.
    pub mark_fresh: I<1>,
    /// Whose turn it is.
    pub valid: O<1>,
    pub slot: O<6>,
    pub qid: O<3>,
    /// One clock: it was taken; what it asks for is known when `over`.
    pub take: I<1>,
    pub over: I<1>,
    /// Whether `ask` is within its limits and has tags, whether it has for its admin queue, its weight; in the same clock.
    pub ask: O<6>,
    pub allowed: I<1>,
    pub admin_allowed: I<1>,
    pub weight: I<4>,
    /// One clock: the bucket of this slot was filled.
    pub revive: I<1>,
    pub revive_slot: I<6>,
    /// Who has tags again, held until `again_take`.
    pub again: I<1>,
    pub again_slot: I<6>,
    pub again_take: O<1>,
    /// Who waits for its limits.
    pub parked: O<64>,
    pub busy: O<1>,
    st: Reg<3>,
    s: Reg<6>,
    q: Reg<3>,
    new: Reg<1>,
    /// A mark, a clock later: what it depends on was long in the making.
    comes: Reg<1>,
    come: Reg<{ Mark::WIDTH }>,
    have: Reg<1>,
    pick: Reg<3>,
    took: Reg<1>,
    /// A function has the turn, and for how many commands more.
    turn: Reg<1>,
    current: Reg<6>,
    left: Reg<4>,
    /// The command that was taken is not over yet.
    away: Reg<1>,
    was_fresh: Reg<1>,
    wakes: Reg<1>,
    wake_slot: Reg<6>,
    /// How many slots are parked, and which.
    waiting: Reg<7>,
    slots: Param,
    r_parked: Reg<64>,
    /// Of each slot.
    context: Table<6, { Standing::WIDTH }, 1>,
    marks: Fifo<{ Mark::WIDTH }>,
    fresh: Fifo<6>,
    rest: Fifo<6>,
}

impl Turns {
    /// The turns of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = slots_of(vfs);
        Turns {
            slots: Param::new(slots),
            context: Table::new(slots, 0),
            marks: Fifo::new(16),
            fresh: Fifo::new(slots),
            rest: Fifo::new(slots),
            ..Self::default()
        }
    }
}

packed! {
    /// A queue that has something to fetch; its function had nothing in flight.
    Mark {
        fresh: 1,
        slot: 6,
        qid: 3,
    }
}

packed! {
    /// What is known of a function: the queue that was served last, whether it waits for its limits or stands in a ring, and which
    /// of its queues are marked.
    Standing {
        last: 3,
        parked: 1,
        stands: 1,
        marks: 8,
    }
}

/// The first mark after `last`, in turn.
#[pure]
fn after(marks: V, last: V) -> V {
    let turned = (cat(marks, marks) >> last).bits(15, 1);
    let step = if turned.bit(0) {
        sized(1, 3)
    } else if turned.bit(1) {
        2
    } else if turned.bit(2) {
        3
    } else if turned.bit(3) {
        4
    } else if turned.bit(4) {
        5
    } else if turned.bit(5) {
        6
    } else if turned.bit(6) {
        7
    } else {
        0
    };
    last + step
}

#[kernel]
impl Logic for Turns {
    fn update(&mut self) {
        clocked!(self.context, self.marks, self.fresh, self.rest);
        let word = self.context.rdata[0];
        let marks = word.get(Standing::MARKS);
        let standing = word.get(Standing::STANDS);
        let parked = word.get(Standing::PARKED);
        let last = word.get(Standing::LAST);
        let mut we = sized(0, 1);
        let mut new = word;
        let mut to_fresh = sized(0, 1);
        let mut to_rest = sized(0, 1);
        // Admin commands cost nothing: a guest over its limit can still reset, and ask why.
        let of_admin = if self.admin_allowed { sized(1, 8) } else { 0 };
        let of_io = if self.allowed { sized(0xfe, 8) } else { 0 };
        let eligible = marks & (of_admin | of_io);

        self.comes.d = self.mark;
        self.come.d = Mark { fresh: self.mark_fresh, slot: self.mark_slot, qid: self.mark_qid };
        self.marks.in_valid = self.comes.q;
        self.marks.in_data = self.come.q;
        self.marks.out_ready = 0;
        self.fresh.out_ready = 0;
        self.rest.out_ready = 0;
        self.ask = self.s.q;
        self.valid = self.have.q;
        self.slot = self.current.q;
        self.qid = self.pick.q;
        if self.take {
            self.have.d = 0;
            self.away.d = 1;
            self.took.d = 1;
        }
        if self.revive {
            self.wakes.d = 1;
            self.wake_slot.d = self.revive_slot;
        }
        if self.over {
            self.away.d = 0;
        }

        let here = mark_of(self.s.q, { self.slots.get() });
        self.parked = self.r_parked.q;
        self.again_take = 0;
        match self.st.q {
            St::BOOT => {
                if self.context.ready {
                    self.st.d = St::IDLE;
                }
            }
            St::IDLE => {
                // The mark of what was taken goes before new marks: it may be marked again at once.
                if self.took.q {
                    self.took.d = 0;
                    self.s.d = self.current.q;
                    self.st.d = St::TOOK;
                } else if self.marks.out_valid {
                    self.marks.out_ready = 1;
                    self.new.d = self.marks.out_data.get(Mark::FRESH);
                    self.s.d = self.marks.out_data.get(Mark::SLOT);
                    self.q.d = self.marks.out_data.get(Mark::QID);
                    self.st.d = St::MARK;
                } else if self.wakes.q {
                    self.wakes.d = self.revive;
                    self.s.d = self.wake_slot.q;
                    self.st.d = St::REVIVE;
                } else if self.again {
                    self.again_take = 1;
                    self.s.d = self.again_slot;
                    self.st.d = St::REVIVE;
                } else if self.have.q {
                    self.st.d = St::IDLE;
                } else if self.turn.q {
                    if !self.away.q {
                        self.s.d = self.current.q;
                        self.st.d = St::LOOK;
                    }
                } else if self.fresh.out_valid & !(self.was_fresh.q & self.rest.out_valid) {
                    self.fresh.out_ready = 1;
                    self.was_fresh.d = 1;
                    self.s.d = self.fresh.out_data;
                    self.st.d = St::LOOK;
                } else if self.rest.out_valid {
                    self.rest.out_ready = 1;
                    self.was_fresh.d = 0;
                    self.s.d = self.rest.out_data;
                    self.st.d = St::LOOK;
                }
            }
            St::MARK => {
                // One that is parked waits for one kind of queue and may have come for the other.
                let one = sized(1, 8) << self.q.q;
                let may = (one & (of_admin | of_io)) != 0;
                let joins = (!standing) & ((!parked) | may);
                we = 1;
                new = Standing { stands: standing | joins, marks: marks | one, ..word };
                to_fresh = joins & self.new.q;
                to_rest = joins & !self.new.q;
                self.st.d = St::IDLE;
            }
            St::REVIVE => {
                we = parked;
                new = Standing { parked: 0, stands: 1, ..word };
                to_rest = parked & !standing;
                self.waiting.d = self.waiting.q - parked.zext(7);
                self.r_parked.d = self.r_parked.q & !here;
                self.st.d = St::IDLE;
            }
            St::LOOK => {
                self.st.d = St::IDLE;
                self.current.d = self.s.q;
                self.turn.d = 0;
                if eligible == 0 {
                    let parks = marks != 0;
                    we = 1;
                    new = Standing { parked: parks, stands: 0, ..word };
                    self.waiting.d = self.waiting.q + parks.zext(7) - parked.zext(7);
                    self.r_parked.d = if parks { self.r_parked.q | here } else { self.r_parked.q & !here };
                } else if self.turn.q & (self.left.q == 0) {
                    to_rest = 1;
                } else {
                    self.turn.d = 1;
                    self.have.d = 1;
                    self.pick.d = after(eligible, last);
                    let more = if self.weight == 0 { sized(0, 4) } else { self.weight - 1 };
                    self.left.d = if self.turn.q { self.left.q - 1 } else { more };
                }
            }
            St::TOOK => {
                we = 1;
                new = Standing { last: self.pick.q, marks: marks & !(sized(1, 8) << self.pick.q), ..word };
                self.st.d = St::IDLE;
            }
            _ => self.st.d = St::IDLE,
        }
        self.context.raddr[0] = self.s.q;
        self.context.we = we;
        self.context.waddr = self.s.q;
        self.context.wdata = new;
        self.context.first = 0;
        self.context.wipe = 0;
        self.context.wipe_slot = 0;
        self.fresh.in_valid = to_fresh;
        self.fresh.in_data = self.s.q;
        self.rest.in_valid = to_rest;
        self.rest.in_data = self.s.q;
        self.busy = (self.st.q != St::IDLE)
            | self.comes.q
            | self.marks.out_valid
            | (self.waiting.q != 0)
            | self.turn.q
            | self.fresh.out_valid
            | self.rest.out_valid;
    }
}
