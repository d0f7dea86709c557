//! Sends frames to the wire, with the tag of their sender's VLAN.
//!
//! Promise: of a VLAN that is not 0 a tag (802.1Q) stands behind the addresses, and nothing else of the frame changes; a frame is counted
//! when it begins. A beat a clock, and one more where the tag needs it.

use azote_hdl::prelude::*;

use super::words::{CopyIn, Counter, EventOut, WIRE};
use crate::net::stream::EthernetOut;

struct St;
impl St {
    const IDLE: u64 = 0;
    const BEATS: u64 = 1;
    /// What the tag has pushed out of the last beat.
    const REST: u64 = 2;
}

#[derive(LogicBlock, Default)]
pub struct Tag {
    pub clock: Clk,
    pub reset: Rst,
    pub copy: CopyIn,
    pub port: EthernetOut,
    pub event: EventOut,
    pub busy: O<1>,
    st: Reg<2>,
    tag: Reg<15>,
    carry: Reg<32>,
    rest: Reg<5>,
    counts: Reg<1>,
    length: Reg<14>,
    valid: Reg<1>,
    sop: Reg<1>,
    eop: Reg<1>,
    bytes: Reg<5>,
    data: Reg<128>,
}

#[kernel]
impl Logic for Tag {
    fn update(&mut self) {
        let tag = self.tag.q;
        let pushes = tag.bits(11, 0) != 0;
        let moves = self.port.ready | !self.valid.q;
        let data = self.copy.data;
        let control = cat(tag.bits(14, 12), sized(0, 1), tag.bits(11, 0));
        let word = cat(control.bits(7, 0), control.bits(15, 8), sized(0x00, 8), sized(0x81, 8));
        let spills = pushes & self.copy.eop & (self.copy.bytes > 12);
        if moves {
            self.valid.d = 0;
        }
        self.copy.go = 0;
        self.copy.skip = 0;
        self.copy.ready = moves & (self.st.q == St::BEATS);
        match self.st.q {
            St::IDLE => {
                if self.copy.for_wire & !self.counts.q {
                    self.copy.go = 1;
                    self.tag.d = self.copy.tag;
                    self.length.d = self.copy.length;
                    self.counts.d = 1;
                    self.st.d = St::BEATS;
                }
            }
            St::BEATS => {
                if self.copy.valid & moves {
                    self.valid.d = 1;
                    self.sop.d = self.copy.sop;
                    self.eop.d = self.copy.eop & !spills;
                    self.bytes.d = if spills | !pushes {
                        if spills { 16 } else { self.copy.bytes }
                    } else if self.copy.eop {
                        self.copy.bytes + 4
                    } else {
                        16
                    };
                    self.data.d = if pushes { cat(data.bits(95, 0), self.carry.q) } else { data };
                    if pushes & self.copy.sop {
                        self.data.d = cat(word, data.bits(95, 0));
                    }
                    self.carry.d = data.bits(127, 96);
                    self.rest.d = self.copy.bytes - 12;
                    if self.copy.eop {
                        self.st.d = if spills { St::REST } else { St::IDLE };
                    }
                }
            }
            St::REST => {
                if moves {
                    self.valid.d = 1;
                    self.sop.d = 0;
                    self.eop.d = 1;
                    self.bytes.d = self.rest.q;
                    self.data.d = self.carry.q.zext(128);
                    self.st.d = St::IDLE;
                }
            }
            _ => self.st.d = St::IDLE,
        }
        self.port.valid = self.valid.q;
        self.port.sop = self.sop.q;
        self.port.eop = self.eop.q;
        self.port.bytes = self.bytes.q;
        self.port.data = self.data.q;
        if self.counts.q & self.event.ready {
            self.counts.d = 0;
        }
        self.event.valid = self.counts.q;
        self.event.slot = WIRE;
        self.event.word = Counter::TX;
        self.event.bytes = self.length.q;
        self.busy = (self.st.q != St::IDLE) | self.valid.q | self.counts.q;
    }
}
