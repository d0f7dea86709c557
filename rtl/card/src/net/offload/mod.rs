//! What a driver leaves to the device when it sends: checksums, and cutting a long packet into segments of TCP.
//!
//! Promises: a frame with NEEDS_CSUM leaves with its checksum, which goes beside it (`sum`); one with a GSO type leaves as segments of
//! `gso_size` bytes of payload with headers of their own; any other as it came. Whatever can't be done (offsets outside the frame or in what a switch goes by, headers
//! that are not what the driver says, a size of less than 8) leaves as it came and with `error`, so that the switch drops and counts it. A beat a clock and four
//! clocks for each frame beside; between segments none.
//!
//! `frame` and `wants` come from the transmit queues, `out` and `sum` go to the switch.

use azote_hdl::prelude::*;

pub mod cut;
pub mod headers;
pub mod sums;
pub mod words;

use self::cut::Cut;
use self::sums::Sums;
use crate::net::stream::{FrameIn, FrameOut, SumOut, TransmitIn};

#[derive(LogicBlock, Default)]
pub struct Offload {
    pub clock: Clk,
    pub reset: Rst,
    pub frame: FrameIn,
    pub wants: TransmitIn,
    pub out: FrameOut,
    pub sum: SumOut,
    pub busy: O<1>,
    cut: Cut,
    sums: Sums,
}

#[kernel]
impl Logic for Offload {
    fn update(&mut self) {
        clocked!(self.cut, self.sums);
        link!(self.frame, self.cut.frame);
        link!(self.wants, self.cut.wants);
        join!(self.cut.beat, self.sums.beat);
        link!(self.out, self.sums.frame);
        link!(self.sum, self.sums.sum);
        self.busy = self.cut.busy | self.sums.busy;
    }
}
