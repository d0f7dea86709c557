//! Whose data comes next: the pieces of reads that the medium has ready, function by function.
//!
//! Functions with something ready take turns, each for as many pieces as its weight says. They stand in one of two rings, each
//! once: those that had nothing ready before and those that go on; the rings are served alternately, so that a function which
//! asks for little waits for few pieces of others, however much is ready for them.
//!
//! Promise: each piece comes out once, those of a function in the order in which they came; nobody stands twice.

use azote_hdl::prelude::*;
use azote_regs::media;

use crate::parts::{Fifo, Table, slots_of};

struct St;
impl St {
    const BOOT: u64 = 0;
    const IDLE: u64 = 1;
    const OUT: u64 = 2;
    const NEXT: u64 = 3;
}

packed! {
    /// A piece that is ready: its tag's index, and whether the medium has nothing there.
    Piece {
        hole: 1,
        index: 6,
    }
}

/// Who reads: what goes out, what comes in.
const OUT: usize = 0;
const IN: usize = 1;

#[derive(LogicBlock, Default)]
pub struct Ready {
    pub clock: Clk,
    pub reset: Rst,
    /// One clock: a piece of this slot is ready; it is a hole.
    pub push: I<1>,
    pub push_slot: I<6>,
    pub push_index: I<6>,
    pub push_hole: I<1>,
    /// The next, until `take`.
    pub valid: O<1>,
    pub slot: O<6>,
    pub index: O<6>,
    pub hole: O<1>,
    pub take: I<1>,
    /// The weight of `ask`, in the same clock.
    pub ask: O<6>,
    pub weight: I<4>,
    /// Nothing is ready.
    pub idle: O<1>,
    st: Reg<2>,
    current: Reg<6>,
    left: Reg<4>,
    was_fresh: Reg<1>,
    /// The ring of each slot: its first and its end, each for both sides, [`OUT`] and [`IN`].
    heads: Table<6, 7, 2>,
    tails: Table<6, 7, 2>,
    rings: Ram<12, { Piece::WIDTH }>,
    fresh: Fifo<6>,
    rest: Fifo<6>,
}

impl Ready {
    /// The rings of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = slots_of(vfs);
        Ready {
            heads: Table::new(slots, 0),
            tails: Table::new(slots, 0),
            rings: Ram::new(slots * media::TAGS_PER_SLOT as usize),
            fresh: Fifo::new(slots),
            rest: Fifo::new(slots),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Ready {
    fn update(&mut self) {
        clocked!(self.fresh, self.rest, self.heads, self.tails);
        memories!(self.rings);
        let out = self.st.q == St::OUT;
        let picks = self.st.q == St::IDLE;

        // --- what comes
        self.tails.raddr[IN] = self.push_slot;
        self.heads.raddr[IN] = self.push_slot;
        let tail = self.tails.rdata[IN];
        let was_empty = tail == self.heads.rdata[IN];
        self.rings.we = self.push;
        self.rings.waddr = cat(self.push_slot, tail.get(Piece::INDEX));
        self.rings.wdata = Piece { hole: self.push_hole, index: self.push_index };

        // --- who is next
        let takes_fresh = self.fresh.out_valid & !(self.was_fresh.q & self.rest.out_valid);
        let some = self.fresh.out_valid | self.rest.out_valid;
        let next = if takes_fresh { self.fresh.out_data } else { self.rest.out_data };
        let who = if picks { next } else { self.current.q };
        self.fresh.out_ready = picks & takes_fresh;
        self.rest.out_ready = picks & some & !takes_fresh;
        self.ask = who;
        self.heads.raddr[OUT] = who;
        self.tails.raddr[OUT] = who;
        let head = self.heads.rdata[OUT];
        let after = head + 1;
        self.rings.raddr = cat(who, head.get(Piece::INDEX));
        // Something that comes in this clock counts: who is emptied does not stand, and would be forgotten.
        let comes = self.push & (self.push_slot == self.current.q);
        let more = (self.tails.rdata[OUT] != after) | comes;
        let takes = out & self.take;
        let goes_on = takes & more;
        let stays = goes_on & (self.left.q != 0);
        self.rest.in_valid = goes_on & !stays;
        self.rest.in_data = self.current.q;
        self.fresh.in_valid = self.push & was_empty & !(takes & comes);
        self.fresh.in_data = self.push_slot;
        self.valid = out;
        self.slot = self.current.q;
        self.index = self.rings.rdata.get(Piece::INDEX);
        self.hole = self.rings.rdata.get(Piece::HOLE);
        self.idle = picks & !some;

        match self.st.q {
            St::BOOT => {
                if self.heads.ready {
                    self.st.d = St::IDLE;
                }
            }
            St::IDLE => {
                if some {
                    self.current.d = next;
                    self.was_fresh.d = takes_fresh;
                    self.left.d = if self.weight == 0 { sized(0, 4) } else { self.weight - 1 };
                    self.st.d = St::OUT;
                }
            }
            St::OUT => {
                if self.take {
                    self.left.d = self.left.q - 1;
                    self.st.d = if stays { St::NEXT } else { St::IDLE };
                }
            }
            // Its next piece is being read.
            _ => self.st.d = St::OUT,
        }
        self.heads.we = takes;
        self.heads.waddr = self.current.q;
        self.heads.wdata = after;
        self.heads.first = 0;
        self.heads.wipe = 0;
        self.heads.wipe_slot = 0;
        self.tails.we = self.push;
        self.tails.waddr = self.push_slot;
        self.tails.wdata = tail + 1;
        self.tails.first = 0;
        self.tails.wipe = 0;
        self.tails.wipe_slot = 0;
    }
}
