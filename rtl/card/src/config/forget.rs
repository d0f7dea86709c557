//! Functions that are being reset, by FLR or because their VF was disabled: each is forgotten when nothing of it is under way
//! any more.
//!
//! Promise: all of them wait at once, each for its own reads of host memory alone, which end by their completions or by their
//! time-out; then the engines forget it, one function after the other; then configuration space may let it begin anew. What
//! is written to its registers meanwhile is forgotten with the rest.
//!
//! Whether a function still has reads is not counted. Who looks through the tags says of each that is in use whose it is; a
//! function of which nothing was said between two visits here has none. A round of visits takes longer than a round through
//! the tags, and both have every other clock.

use azote_hdl::prelude::*;

/// Functions that a round visits.
const FUNCTIONS: usize = 256;
/// The engines forget one function within so many clocks.
pub const ENGINE_CLOCKS: u64 = 1 << 17;
/// A reset ends within so many clocks: 100 ms at 80 MHz (PCIe 6.6.2).
pub const FLR_CLOCKS: u64 = 8_000_000;

struct St;
impl St {
    const VISIT: u64 = 0;
    const ENGINES: u64 = 1;
    const CLEAR: u64 = 2;
}

#[derive(LogicBlock)]
pub struct Forget {
    pub clock: Clk,
    pub reset: Rst,
    /// One clock: forget `owner`, which is not being forgotten already.
    pub put: I<1>,
    pub owner: I<8>,
    /// In this clock a tag is looked at; it is in use, and whose.
    pub turn: I<1>,
    pub in_use: I<1>,
    pub in_use_owner: I<8>,
    /// A function for the engines to forget: held until `done`.
    pub reset_valid: O<1>,
    pub reset_owner: O<8>,
    pub reset_done: I<1>,
    /// A function that is forgotten: held until `cleared`.
    pub clear: O<1>,
    pub cleared: I<1>,
    pub busy: O<1>,
    st: Reg<2>,
    look: Reg<8>,
    many: Reg<9>,
    /// Functions that wait, and those of which something was said since they were visited.
    waits: LutRam<8, 1>,
    seen: LutRam<8, 1>,
    /// One that was put while the memories were busy with another.
    held: Reg<1>,
    held_owner: Reg<8>,
    booting: Reg<1>,
    /// Whether what takes too long is a failed check: not for a prover, who may let anybody wait for ever.
    timed: Param,
    // For the checks alone.
    now: Reg<32>,
    engines: Reg<32>,
    since: LutRam<8, 32>,
}

impl Default for Forget {
    fn default() -> Self {
        Forget::new(true)
    }
}

impl Forget {
    /// `timed`: how long things take is checked.
    pub fn new(timed: bool) -> Self {
        Forget {
            timed: Param::new(timed.into()),
            clock: Default::default(),
            reset: Default::default(),
            put: Default::default(),
            owner: Default::default(),
            turn: Default::default(),
            in_use: Default::default(),
            in_use_owner: Default::default(),
            reset_valid: Default::default(),
            reset_owner: Default::default(),
            reset_done: Default::default(),
            clear: Default::default(),
            cleared: Default::default(),
            busy: Default::default(),
            st: Default::default(),
            look: Default::default(),
            many: Default::default(),
            waits: LutRam::new(FUNCTIONS),
            seen: LutRam::new(FUNCTIONS),
            held: Default::default(),
            held_owner: Default::default(),
            booting: Reg::new(true),
            now: Default::default(),
            engines: Default::default(),
            since: LutRam::new(FUNCTIONS),
        }
    }
}

#[kernel]
impl Logic for Forget {
    fn update(&mut self) {
        memories!(self.waits, self.seen, self.since);
        let boot = self.booting.q;
        let waiting = self.waits.rdata;
        let seen = self.seen.rdata;
        let old = self.now.q - self.since.rdata;
        self.waits.raddr = self.look.q;
        self.seen.raddr = self.look.q;
        self.since.raddr = self.look.q;

        // Who is new is written in a clock of the visits, before the visit.
        if self.put {
            self.held.d = 1;
            self.held_owner.d = self.owner;
        }
        let enters = self.held.q & (!self.turn) & !boot;
        if enters {
            self.held.d = 0;
        }
        let mut clears = sized(0, 1);
        let mut visits = sized(0, 1);
        let mut late = sized(0, 1);
        match self.st.q {
            St::VISIT => {
                if boot {
                    self.look.d = self.look.q + 1;
                    if self.look.q.all() {
                        self.booting.d = 0;
                    }
                } else if (!self.turn) & (!enters) & (self.many.q != 0) {
                    visits = 1;
                    if waiting & !seen {
                        self.st.d = St::ENGINES;
                    } else {
                        self.look.d = self.look.q + 1;
                    }
                    late = waiting & (old > konst(FLR_CLOCKS));
                }
            }
            St::ENGINES => {
                if self.reset_done {
                    self.st.d = St::CLEAR;
                }
            }
            St::CLEAR => {
                if self.cleared {
                    clears = 1;
                    self.st.d = St::VISIT;
                    self.look.d = self.look.q + 1;
                }
            }
            _ => self.st.d = St::VISIT,
        }
        self.engines.d = if self.st.q == St::ENGINES { self.engines.q + 1 } else { 0 };
        self.now.d = self.now.q + 1;
        if const { self.timed.get() != 0 } {
            check!((!self.put) | !self.held.q, "two functions are put at once");
            check!(self.engines.q <= konst(ENGINE_CLOCKS), "the engines do not forget a function");
            check!(!late, "a function's reset does not end");
        }

        let mut at = self.look.q;
        if enters {
            at = self.held_owner.q;
        }
        self.waits.waddr = at;
        self.waits.we = boot | enters | clears;
        self.waits.wdata = enters;
        self.since.waddr = at;
        self.since.we = enters;
        self.since.wdata = self.now.q;
        // Said of it, or just put: it was not looked for yet.
        let said = self.turn & self.in_use & !boot;
        self.seen.waddr = if said { self.in_use_owner } else { at };
        self.seen.we = boot | said | enters | visits;
        self.seen.wdata = said | enters;

        let one = sized(1, 9);
        if enters & !clears {
            self.many.d = self.many.q + one;
        }
        if clears & !enters {
            self.many.d = self.many.q - one;
        }
        self.reset_valid = self.st.q == St::ENGINES;
        self.reset_owner = self.look.q;
        // Not while another is written down.
        self.clear = (self.st.q == St::CLEAR) & !enters;
        self.busy = boot | self.held.q | (self.many.q != 0);
    }
}
