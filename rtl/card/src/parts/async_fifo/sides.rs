//! The two sides of a FIFO between clocks: each at its own, with its place, and the other's as it was some clocks ago.

use azote_hdl::prelude::*;

/// A place in Gray code.
#[pure]
pub fn gray(place: V) -> V {
    place ^ (place >> 1)
}

/// Who writes.
#[derive(LogicBlock, Default)]
pub struct WriteSide<const P: usize> {
    pub clock: Clk,
    pub reset: Rst,
    pub valid: I<1>,
    pub ready: O<1>,
    /// A word goes to `place`.
    pub we: O<1>,
    pub place: O<P>,
    /// The same in Gray code, for the other side, and that one's.
    pub told: O<P>,
    pub other: I<P>,
    /// For [`Between`](super::between::Between).
    pub comes: O<P>,
    pub first: O<P>,
    pub sees: O<P>,
    at: Reg<P>,
    code: Reg<P>,
    seen: Sync<P>,
}

#[kernel]
impl<const P: usize> Logic for WriteSide<P> {
    fn update(&mut self) {
        memories!(self.seen);
        self.seen.from = self.other;
        // Full: the other is a whole round behind, which in Gray code turns the two highest bits over.
        let top: usize = P - 1;
        let last = self.seen.to;
        let high = last.bits(top, top - 1);
        let round = cat(!high, last.bits(top - 2, 0));
        let ready = self.code.q != round;
        let we = self.valid & ready;
        let next = self.at.q + 1;
        if we {
            self.at.d = next;
            self.code.d = gray(next);
        }
        self.ready = ready;
        self.we = we;
        self.place = self.at.q;
        self.told = self.code.q;
        self.comes = self.seen.comes;
        self.first = self.seen.first;
        self.sees = self.seen.to;
    }
}

/// Who reads, from a memory that answers in the same clock.
#[derive(LogicBlock, Default)]
pub struct ReadSide<const P: usize> {
    pub clock: Clk,
    pub reset: Rst,
    pub valid: O<1>,
    pub ready: I<1>,
    /// Where the word is.
    pub place: O<P>,
    pub told: O<P>,
    pub other: I<P>,
    /// For [`Between`](super::between::Between).
    pub comes: O<P>,
    pub first: O<P>,
    pub sees: O<P>,
    at: Reg<P>,
    code: Reg<P>,
    seen: Sync<P>,
}

#[kernel]
impl<const P: usize> Logic for ReadSide<P> {
    fn update(&mut self) {
        memories!(self.seen);
        self.seen.from = self.other;
        let valid = self.code.q != self.seen.to;
        let next = self.at.q + 1;
        if valid & self.ready {
            self.at.d = next;
            self.code.d = gray(next);
        }
        self.valid = valid;
        self.place = self.at.q;
        self.told = self.code.q;
        self.comes = self.seen.comes;
        self.first = self.seen.first;
        self.sees = self.seen.to;
    }
}

/// Who reads from a memory that answers a clock later.
#[derive(LogicBlock, Default)]
pub struct BlockReadSide<const P: usize> {
    pub clock: Clk,
    pub reset: Rst,
    pub valid: O<1>,
    pub ready: I<1>,
    /// Where the word is that shows in the next clock.
    pub place: O<P>,
    /// Where the one is that shows.
    pub now: O<P>,
    pub told: O<P>,
    pub other: I<P>,
    /// For [`Between`](super::between::Between).
    pub comes: O<P>,
    pub first: O<P>,
    pub sees: O<P>,
    at: Reg<P>,
    code: Reg<P>,
    /// The memory shows the word at `at`.
    loaded: Reg<1>,
    seen: Sync<P>,
}

#[kernel]
impl<const P: usize> Logic for BlockReadSide<P> {
    fn update(&mut self) {
        memories!(self.seen);
        self.seen.from = self.other;
        let pop = self.loaded.q & self.ready;
        let after = self.at.q + 1;
        let next = if pop { after } else { self.at.q };
        let code = gray(next);
        self.at.d = next;
        self.code.d = code;
        self.loaded.d = code != self.seen.to;
        self.valid = self.loaded.q;
        self.place = next;
        self.now = self.at.q;
        self.told = self.code.q;
        self.comes = self.seen.comes;
        self.first = self.seen.first;
        self.sees = self.seen.to;
    }
}
