//! A microsecond, at any clock.
//!
//! Promise: after `n` clocks in which time passed there were as many ticks as whole microseconds have passed, also where a microsecond is no whole
//! number of clocks (62.5 MHz, 133.3 MHz): nothing drifts.

use azote_hdl::prelude::*;
use azote_regs::clock;

/// The slowest and the fastest clock.
pub const SLOWEST: u64 = 50_000_000;
pub const FASTEST: u64 = 150_000_000;
/// Ticks a second.
const TICKS: u64 = 1_000_000;

const fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[derive(LogicBlock)]
pub struct Tick {
    pub clock: Clk,
    pub reset: Rst,
    /// Time passes in this clock.
    pub runs: I<1>,
    /// One clock: a microsecond is over.
    pub us: O<1>,
    /// So many parts of a microsecond come in each clock, and so many are one.
    step: Param,
    whole: Param,
    parts: Reg<28>,
}

impl Tick {
    /// Of a clock of so many Hz.
    pub fn new(hz: u64) -> Self {
        assert!((SLOWEST..=FASTEST).contains(&hz), "{hz} Hz is no clock of the card's");
        let common = gcd(hz, TICKS);
        Tick {
            clock: Default::default(),
            reset: Default::default(),
            runs: Default::default(),
            us: Default::default(),
            step: Param::new((TICKS / common) as usize),
            whole: Param::new((hz / common) as usize),
            parts: Default::default(),
        }
    }
}

impl Default for Tick {
    /// Of the clock that the card's core is made for.
    fn default() -> Self {
        Self::new(clock::HZ)
    }
}

#[kernel]
impl Logic for Tick {
    fn update(&mut self) {
        let whole: usize = self.whole.get();
        let step: usize = self.step.get();
        // As many bits as the parts have.
        let bits: usize = (whole + step).ilog2() as usize + 1;
        let next = self.parts.q.trunc(bits) + konst(step);
        let over = next >= konst(whole);
        self.us = over & self.runs;
        if self.runs {
            self.parts.d = (if over { next - konst(whole) } else { next }).zext(28);
        }
    }
}
