//! A FIFO between two clocks, and what must come out of it, seen from outside.
#![allow(missing_docs)] // ports are those of the block inside

use azote_hdl::prelude::*;
use azote_rtl::parts::AsyncFifo;

/// Bits of the numbers of words: they count through both rounds of places.
const COUNT: usize = 3;
/// Bits of a word.
const WORD: usize = 2;

/// The FIFO with both clocks the prover's, who lets each go on in whatever steps it likes, or both at once (`jobs` makes such
/// clocks of them). This block's own clock is the prover's step. One word is followed, the n-th of eight.
#[derive(LogicBlock, Default)]
pub struct Crossing {
    pub clock: Clk,
    pub reset: Rst,
    pub in_clock: Clk,
    pub out_clock: Clk,
    pub in_valid: I<1>,
    pub in_data: I<WORD>,
    pub out_ready: I<1>,
    pub n: I<COUNT>,
    pub out_valid: O<1>,
    /// Whether words are followed.
    words: Param,
    begun: Reg<1>,
    followed: Reg<COUNT>,
    /// Words in and out, and the one that is followed.
    written: Reg<COUNT>,
    read: Reg<COUNT>,
    inside: Reg<1>,
    what: Reg<WORD>,
    fifo: AsyncFifo<2, 3, WORD>,
}

impl Crossing {
    /// `words`: what comes out is compared with what went in. Without it, places alone are looked at.
    pub fn new(words: bool) -> Self {
        Crossing { words: Param::new(words.into()), fifo: AsyncFifo::new(), ..Self::default() }
    }
}

#[kernel]
impl Logic for Crossing {
    fn update(&mut self) {
        self.fifo.in_clock = self.in_clock;
        self.fifo.out_clock = self.out_clock;
        self.fifo.in_reset = self.reset;
        self.fifo.out_reset = self.reset;
        self.fifo.in_valid = self.in_valid;
        self.fifo.in_data = self.in_data;
        self.fifo.out_ready = self.out_ready;
        self.out_valid = self.fifo.out_valid;
        if const { self.words.get() != 0 } {
            self.begun.d = 1;
            self.followed.d = self.n;
            assume!((!self.begun.q) | (self.n == self.followed.q), "one word is followed");
            let writes = self.in_clock & self.in_valid & self.fifo.in_ready;
            let reads = self.out_clock & self.out_ready & self.fifo.out_valid;
            let is_written = writes & (self.written.q == self.n);
            let is_read = reads & (self.read.q == self.n);
            let right = self.inside.q & (self.fifo.out_data == self.what.q);
            check!((!is_read) | right, "a word is not what was written, or not in order");
            check!((!is_written) | !self.inside.q, "a word is written over another");
            if writes {
                self.written.d = self.written.q + 1;
            }
            if reads {
                self.read.d = self.read.q + 1;
            }
            if is_read {
                self.inside.d = 0;
            }
            if is_written {
                self.inside.d = 1;
                self.what.d = self.in_data;
            }
        }
    }
}
