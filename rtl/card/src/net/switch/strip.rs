//! Takes the VLAN tag off frames from the wire.
//!
//! Promise: a frame leaves without its first tag (802.1Q), and `vlan` says which it was in all of its beats; nothing else of it changes. A beat
//! a clock; the last beat of a tagged frame that the tag's four bytes emptied is none.

use azote_hdl::prelude::*;

use crate::net::stream::{EthernetIn, FrameOut};

const TAG: u64 = 0x8100;

#[derive(LogicBlock, Default)]
pub struct Strip {
    pub clock: Clk,
    pub reset: Rst,
    pub port: EthernetIn,
    pub frame: FrameOut,
    pub vlan: O<12>,
    pub busy: O<1>,
    /// The beat in hand; of a frame whose tag goes.
    holds: Reg<1>,
    sop: Reg<1>,
    eop: Reg<1>,
    error: Reg<1>,
    bytes: Reg<5>,
    data: Reg<128>,
    strips: Reg<1>,
    id: Reg<12>,
}

#[kernel]
impl Logic for Strip {
    fn update(&mut self) {
        let data = self.port.data;
        let tagged = cat(data.bits(103, 96), data.bits(111, 104)) == TAG;
        let held = self.data.q;
        // What is in hand of a frame that loses its tag leaves with the first four bytes of the next beat.
        let joins = self.holds.q & self.strips.q & !self.eop.q;
        let cut = self.port.valid & self.port.sop;
        let next_ends = self.port.eop & (self.port.bytes <= 4);
        let low = if self.sop.q { held.bits(95, 0) } else { held.bits(127, 32) };
        self.frame.valid = self.holds.q & ((!joins) | self.port.valid);
        self.frame.sop = self.sop.q;
        self.frame.slot = 0;
        self.vlan = self.id.q;
        self.frame.data = if self.strips.q { cat(data.bits(31, 0), low) } else { held };
        let goes = self.holds.q & self.frame.ready & ((!joins) | self.port.valid);
        self.frame.eop = if joins { cut | next_ends } else { self.eop.q };
        self.frame.error = if joins { cut | self.port.error } else { self.error.q };
        let four = sized(4, 5);
        self.frame.bytes = if joins {
            if cut {
                sized(12, 5)
            } else if next_ends {
                self.port.bytes + 12
            } else {
                16
            }
        } else if self.strips.q {
            if self.bytes.q > 4 { self.bytes.q - four } else { 1 }
        } else {
            self.bytes.q
        };
        let takes = self.port.valid & ((!self.holds.q) | goes) & !(joins & cut);
        self.port.ready = ((!self.holds.q) | goes) & !(joins & cut);
        if goes {
            self.holds.d = 0;
        }
        // All of it may have gone with the beat before.
        if takes & !(joins & next_ends) {
            self.holds.d = 1;
            self.sop.d = self.port.sop;
            self.eop.d = self.port.eop;
            self.error.d = self.port.error;
            self.bytes.d = self.port.bytes;
            self.data.d = data;
            if self.port.sop {
                self.strips.d = tagged;
                self.id.d = if tagged { cat(data.bits(115, 112), data.bits(127, 120)) } else { 0 };
            }
        }
        self.busy = self.holds.q | self.port.valid;
    }
}
