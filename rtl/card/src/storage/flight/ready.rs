//! Whose data comes next: the pieces of reads that the medium has ready, function by function.
//!
//! Functions with something ready take turns, each for as many pieces as its weight says. They stand in one of two rings, each
//! once: those that had nothing ready before and those that go on; the rings are served alternately, so that a function which
//! asks for little waits for few pieces of others, however much is ready for them.
//!
//! Promise: each piece comes out once, those of a function in the order in which they came; nobody stands twice.

use azote_hdl::prelude::*;
use azote_regs::media;

use crate::parts::Fifo;

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
    boot: Reg<6>,
    current: Reg<6>,
    left: Reg<4>,
    was_fresh: Reg<1>,
    /// The ring of each slot: its first and its end, each with a copy for the other side.
    heads: LutRam<6, 7>,
    heads_in: LutRam<6, 7>,
    tails: LutRam<6, 7>,
    tails_out: LutRam<6, 7>,
    rings: Ram<12, { Piece::WIDTH }>,
    fresh: Fifo<6>,
    rest: Fifo<6>,
}

impl Ready {
    /// The rings of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = (vfs + 1).next_power_of_two();
        Ready {
            heads: LutRam::new(slots),
            heads_in: LutRam::new(slots),
            tails: LutRam::new(slots),
            tails_out: LutRam::new(slots),
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
        clocked!(self.fresh, self.rest);
        memories!(self.heads, self.heads_in, self.tails, self.tails_out, self.rings);
        let boots = self.st.q == St::BOOT;
        let out = self.st.q == St::OUT;
        let picks = self.st.q == St::IDLE;

        // --- what comes
        self.tails.raddr = self.push_slot;
        self.heads_in.raddr = self.push_slot;
        let was_empty = self.tails.rdata == self.heads_in.rdata;
        self.rings.we = self.push;
        self.rings.waddr = cat(self.push_slot, self.tails.rdata.bits(5, 0));
        self.rings.wdata = Piece { hole: self.push_hole, index: self.push_index };

        // --- who is next
        let takes_fresh = self.fresh.out_valid & !(self.was_fresh.q & self.rest.out_valid);
        let some = self.fresh.out_valid | self.rest.out_valid;
        let next = if takes_fresh { self.fresh.out_data } else { self.rest.out_data };
        let who = if picks { next } else { self.current.q };
        self.fresh.out_ready = picks & takes_fresh;
        self.rest.out_ready = picks & some & !takes_fresh;
        self.ask = who;
        self.heads.raddr = who;
        self.tails_out.raddr = who;
        let head = self.heads.rdata;
        let after = head + 1;
        self.rings.raddr = cat(who, head.bits(5, 0));
        // Something that comes in this clock counts: who is emptied does not stand, and would be forgotten.
        let comes = self.push & (self.push_slot == self.current.q);
        let more = (self.tails_out.rdata != after) | comes;
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
                self.boot.d = self.boot.q + 1;
                if self.boot.q.all() {
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
        let here = self.boot.q;
        self.heads.we = boots | takes;
        self.heads.waddr = if boots { here } else { self.current.q };
        self.heads.wdata = if boots { 0 } else { after };
        self.heads_in.we = boots | takes;
        self.heads_in.waddr = if boots { here } else { self.current.q };
        self.heads_in.wdata = if boots { 0 } else { after };
        self.tails.we = boots | self.push;
        self.tails.waddr = if boots { here } else { self.push_slot };
        self.tails.wdata = if boots { 0 } else { self.tails.rdata + 1 };
        self.tails_out.we = boots | self.push;
        self.tails_out.waddr = if boots { here } else { self.push_slot };
        self.tails_out.wdata = if boots { 0 } else { self.tails.rdata + 1 };
    }
}
