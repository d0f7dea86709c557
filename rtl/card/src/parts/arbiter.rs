//! Round robin: who is next among several that want the same thing.
//!
//! Promise: the answer comes in the clock of the question, so that taking turns costs no clock; a grant is kept from its
//! first `take` to the one that is its `last`, whatever the others want; whoever wants waits for every other at most once.

use azote_hdl::prelude::*;

/// Turns among `N` requesters, whose numbers have `B` bits.
#[derive(LogicBlock)]
pub struct Arbiter<const N: usize, const B: usize> {
    pub clock: Clk,
    pub reset: Rst,
    /// Who wants.
    pub wants: I<N>,
    /// Somebody has the grant, and who. A grant that was taken and not its last stands even if its owner pauses.
    pub any: O<1>,
    pub grant: O<B>,
    /// Somebody is between his first `take` and his last.
    pub holding: O<1>,
    /// The grant is used in this clock; and for the last time.
    pub take: I<1>,
    pub last: I<1>,
    /// Who has the turn or was the last to have it.
    turn: Reg<B>,
    held: Reg<1>,
}

impl<const N: usize, const B: usize> Default for Arbiter<N, B> {
    fn default() -> Self {
        assert!(N >= 2 && N <= 1 << B, "{N} requesters with numbers of {B} bits");
        Arbiter {
            clock: Default::default(),
            reset: Default::default(),
            wants: Default::default(),
            any: Default::default(),
            grant: Default::default(),
            holding: Default::default(),
            take: Default::default(),
            last: Default::default(),
            turn: Default::default(),
            held: Default::default(),
        }
    }
}

#[kernel]
impl<const N: usize, const B: usize> Logic for Arbiter<N, B> {
    fn update(&mut self) {
        let mut pick = self.turn.q;
        if !self.held.q {
            // Later assignments win, so the order of preference is read from the bottom up.
            for step in 0..N {
                for from in 0..N {
                    let who: usize = (from + N - step) % N;
                    if (self.turn.q == from) & self.wants.bit(who) {
                        pick = konst(who);
                    }
                }
            }
        }
        self.any = self.held.q | self.wants.any();
        self.grant = pick;
        self.holding = self.held.q;
        if self.take {
            self.turn.d = pick;
            self.held.d = !self.last;
        }
    }
}
