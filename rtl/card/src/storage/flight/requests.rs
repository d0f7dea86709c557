//! Who asks the medium: the books' own requests are few and go first; reads and writes take turns.
//!
//! Promise: a request stands as it is until it is taken.

use azote_hdl::prelude::*;

use super::books::{FRONT, READS, WRITER};
use crate::storage::ports::{MediaIn, MediaOut};

#[derive(LogicBlock, Default)]
pub struct Requests {
    pub clock: Clk,
    pub reset: Rst,
    pub books: MediaIn,
    pub reads: MediaIn,
    pub writes: MediaIn,
    pub out: MediaOut,
    stands: Reg<1>,
    who: Reg<2>,
    /// The last one was of the writes.
    turn: Reg<1>,
}

#[kernel]
impl Logic for Requests {
    fn update(&mut self) {
        if self.stands.q {
            if self.out.ready {
                self.stands.d = 0;
            }
        } else if self.books.valid | self.reads.valid | self.writes.valid {
            let writes = self.writes.valid & ((!self.reads.valid) | !self.turn.q);
            self.stands.d = 1;
            self.who.d = if self.books.valid {
                sized(FRONT, 2)
            } else if writes {
                sized(WRITER, 2)
            } else {
                READS
            };
            if !self.books.valid {
                self.turn.d = writes;
            }
        }
        self.out.valid = self.stands.q;
        match self.who.q {
            FRONT => {
                self.out.tag = self.books.tag;
                self.out.op = self.books.op;
                self.out.fua = self.books.fua;
                self.out.volume = self.books.volume;
                self.out.lba = self.books.lba;
                self.out.blocks = self.books.blocks;
            }
            WRITER => {
                self.out.tag = self.writes.tag;
                self.out.op = self.writes.op;
                self.out.fua = self.writes.fua;
                self.out.volume = self.writes.volume;
                self.out.lba = self.writes.lba;
                self.out.blocks = self.writes.blocks;
            }
            _ => {
                self.out.tag = self.reads.tag;
                self.out.op = self.reads.op;
                self.out.fua = self.reads.fua;
                self.out.volume = self.reads.volume;
                self.out.lba = self.reads.lba;
                self.out.blocks = self.reads.blocks;
            }
        }
        let asked = self.stands.q & self.out.ready;
        self.books.ready = asked & (self.who.q == FRONT);
        self.reads.ready = asked & (self.who.q == READS);
        self.writes.ready = asked & (self.who.q == WRITER);
    }
}
