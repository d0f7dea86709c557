//! Which tag is looked at next: one after the other of all that there are, and first those of the command that an Abort names.
//!
//! An Abort looks twice through the tags that its function has, or through those set aside of it: for the first tag of the command, and
//! then for the pieces of that.
//!
//! Promise: while any tag is in use or an Abort waits, one is to be looked at in time, behind no more than what is in hand.

use azote_hdl::prelude::*;
use azote_regs::media;

use crate::storage::words::Tag;

/// In so many clocks the tags are looked at once.
const LOOKS: u64 = 64;

/// How far an Abort is.
struct Seek;
impl Seek {
    const NOT: u64 = 0;
    const COMMAND: u64 = 1;
    const PIECES: u64 = 2;
    const DONE: u64 = 3;
}

#[derive(LogicBlock, Default)]
pub struct Looks {
    pub clock: Clk,
    pub reset: Rst,
    /// Time passes.
    pub awake: I<1>,
    /// Some tag is in use.
    pub live: I<1>,
    /// The tag that is next; there is one; it is to be looked at before anything else is done.
    pub tag: O<{ Tag::WIDTH }>,
    pub some: O<1>,
    pub first: O<1>,
    /// One clock: it is looked at. It must be once more; it is the first of the command that the Abort names, and its index;
    /// it is cancelled for the Abort.
    pub looks: I<1>,
    pub again: I<1>,
    pub names: I<1>,
    pub index: I<6>,
    pub hit: I<1>,
    /// Abort a command: held until `abort_done`; whether something of it was cancelled.
    pub aborts: I<1>,
    pub abort_slot: I<6>,
    pub abort_qid: I<3>,
    pub abort_done: O<1>,
    pub aborted: O<1>,
    /// An Abort is under way; the pieces of the command with this index are to be cancelled.
    pub seeks: O<1>,
    pub pieces: O<1>,
    pub cmd: O<6>,
    vfs: Param,
    slot: Reg<6>,
    at: Reg<6>,
    timer: Reg<6>,
    due: Reg<1>,
    seek: Reg<2>,
    a_index: Reg<6>,
    a_cmd: Reg<6>,
    found: Reg<1>,
    r_hit: Reg<1>,
}

impl Looks {
    /// Through the tags of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        Looks { vfs: Param::new(vfs), ..Self::default() }
    }
}

/// Where an Abort looks for the `nth` of those set aside, over and over.
#[pure]
fn aside_high(nth: V) -> V {
    match nth.bits(1, 0) {
        0 => sized(media::ASIDE_FIRST, 6),
        1 => media::ASIDE_FIRST + 1,
        _ => media::ASIDE_FIRST + 2,
    }
}

#[kernel]
impl Logic for Looks {
    fn update(&mut self) {
        let seeks = (self.seek.q == Seek::COMMAND) | (self.seek.q == Seek::PIECES);
        let some = seeks | self.live;
        // It stands until there is a look: the clock in which it comes may be one of other work every time.
        let comes = if seeks { self.timer.q.bits(1, 0).all() } else { self.timer.q == konst(LOOKS - 1) };
        if self.awake {
            self.timer.d = self.timer.q + 1;
            self.due.d = comes | (self.due.q & !self.looks);
        }
        // Admin commands are under the tags set aside.
        let of_admin = self.abort_qid == 0;
        let high = if of_admin { aside_high(self.a_index.q) } else { self.abort_slot };
        let low = if of_admin { self.abort_slot } else { self.a_index.q };
        self.tag = if seeks { Tag { high, index: low } } else { Tag { high: self.slot.q, index: self.at.q } };
        self.some = some;
        self.first = self.due.q & some;
        self.seeks = seeks;
        self.pieces = self.seek.q == Seek::PIECES;
        self.cmd = self.a_cmd.q;
        self.abort_done = self.seek.q == Seek::DONE;
        self.aborted = self.r_hit.q;

        if self.looks & seeks {
            let names = (self.seek.q == Seek::COMMAND) & self.names;
            if names {
                self.a_cmd.d = self.index;
                self.found.d = 1;
            }
            if !self.again {
                self.a_index.d = self.a_index.q + 1;
                if self.a_index.q.all() {
                    let known = (self.seek.q == Seek::COMMAND) & (self.found.q | names);
                    self.seek.d = if known { sized(Seek::PIECES, 2) } else { Seek::DONE };
                }
            }
        } else if self.looks {
            self.at.d = self.at.q + 1;
            if self.at.q.all() {
                // Behind the last function come those set aside.
                let last = self.slot.q.zext(8) == konst(self.vfs.get());
                self.slot.d = if last { sized(media::ASIDE_FIRST, 6) } else { self.slot.q + 1 };
            }
        }
        if self.hit {
            self.r_hit.d = 1;
        }
        if self.aborts & (self.seek.q == Seek::NOT) {
            self.seek.d = Seek::COMMAND;
            self.a_index.d = 0;
            self.found.d = 0;
            self.r_hit.d = 0;
        }
        if !self.aborts {
            self.seek.d = Seek::NOT;
        }
    }
}
