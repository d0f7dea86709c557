//! What time it is, of that in which the engine was awake: microseconds for how long a command took, milliseconds for how long it may.

use azote_hdl::prelude::*;

use crate::parts::Tick;

#[derive(LogicBlock, Default)]
pub struct Time {
    pub clock: Clk,
    pub reset: Rst,
    /// Time passes.
    pub awake: I<1>,
    pub us: O<24>,
    pub ms: O<16>,
    tick: Tick,
    micros: Reg<24>,
    thousand: Reg<10>,
    millis: Reg<16>,
}

#[kernel]
impl Logic for Time {
    fn update(&mut self) {
        clocked!(self.tick);
        self.tick.runs = self.awake;
        if self.tick.us {
            self.micros.d = self.micros.q + 1;
            self.thousand.d = self.thousand.q + 1;
            if self.thousand.q == 999 {
                self.thousand.d = 0;
                self.millis.d = self.millis.q + 1;
            }
        }
        self.us = self.micros.q;
        self.ms = self.millis.q;
    }
}
