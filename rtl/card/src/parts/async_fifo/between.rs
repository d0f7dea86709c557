//! What must hold between the two sides, whenever it is looked at, and why no word is lost or made up: the steps of a proof by
//! induction, as checks (`docs/formal.md`). It drives nothing, so that a board has nothing of it.

use azote_hdl::prelude::*;

use super::sides::gray;

#[derive(LogicBlock, Default)]
pub struct Between<const P: usize> {
    pub clock: Clk,
    pub reset: Rst,
    /// Of who writes: its place, what it tells, the other's place on its way to it and as it sees it; a word is written.
    pub write: I<P>,
    pub write_told: I<P>,
    pub write_comes: I<P>,
    pub write_first: I<P>,
    pub write_seen: I<P>,
    pub writes: I<1>,
    /// The same of who reads.
    pub read: I<P>,
    pub read_told: I<P>,
    pub read_comes: I<P>,
    pub read_first: I<P>,
    pub read_seen: I<P>,
    pub reads: I<1>,
    /// One side is being reset.
    pub stops: I<1>,
}

/// The place that a Gray code is of, of up to 16 bits.
#[pure]
fn place(code: V) -> V {
    let a = code ^ (code >> 1);
    let b = a ^ (a >> 2);
    let c = b ^ (b >> 4);
    c ^ (c >> 8)
}

#[kernel]
impl<const P: usize> Logic for Between<P> {
    fn update(&mut self) {
        let full = konst(1usize << (P - 1));
        let write = self.write;
        let read = self.read;
        let level = write - read;
        let on = !self.stops;
        check!((!on) | (self.write_told == gray(write)), "who writes tells another place than its own");
        check!((!on) | (self.read_told == gray(read)), "who reads tells another place than its own");
        // What a side sees is where the other was, each time a little later: a step behind where it is at most, and not behind what was
        // seen before.
        let room_comes = write - place(self.write_comes);
        let room_first = write - place(self.write_first);
        let room_seen = write - place(self.write_seen);
        let room_ahead = room_comes - level;
        let room_right = (level <= room_comes) & (room_comes <= room_first) & (room_first <= room_seen);
        check!((!on) | room_right, "who writes sees a place to which the other has not come");
        check!((!on) | (room_seen <= full), "who writes is more than a round ahead");
        let words_comes = place(self.read_comes) - read;
        let words_first = place(self.read_first) - read;
        let words_seen = place(self.read_seen) - read;
        let words_ahead = level - words_comes;
        let words_right = (words_seen <= words_first) & (words_first <= words_comes) & (words_comes <= level);
        check!((!on) | words_right, "who reads sees a place to which the other has not come");
        check!((!on) | ((room_ahead <= 1) & (words_ahead <= 1)), "a place is more than a step behind on its way");
        check!((!on) | (!self.writes) | (level != full), "a word is written where there is no room");
        check!((!on) | (!self.reads) | (level != 0), "a word is read that is not there");
    }
}
