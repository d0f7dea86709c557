//! Gives functions their copies, of both lanes' frames in turn.
//!
//! Promise: a copy is begun only if its receiver is alive, has room and takes frames so long; otherwise it is counted and nobody waits for it.
//! Two clocks a copy beside its beats.

use azote_hdl::prelude::*;
use azote_regs::manage::drop;

use super::judge::LANES;
use super::words::{CopyIn, Counter, EventOut};
use crate::net::port::Port;
use crate::net::stream::{FrameOut, RoomOut};
use crate::parts::{is_marked, slots_of};

struct St;
impl St {
    const IDLE: u64 = 0;
    const CHECK: u64 = 1;
    const BEATS: u64 = 2;
}

#[derive(LogicBlock, Default)]
pub struct Deliver {
    pub clock: Clk,
    pub reset: Rst,
    pub copy: [CopyIn; LANES],
    pub frame: FrameOut,
    pub room: RoomOut,
    pub event: EventOut,
    pub live: I<64>,
    /// One clock: the port of a slot.
    pub sets: I<1>,
    pub sets_slot: I<6>,
    pub sets_port: I<{ Port::WIDTH }>,
    pub busy: O<1>,
    slots: Param,
    st: Reg<2>,
    lane: Reg<1>,
    slot: Reg<6>,
    length: Reg<14>,
    limits: LutRam<6, 14>,
    /// In which tenant and VLAN each is, and the copy; for checks alone: no hardware.
    tenants: LutRam<6, 37>,
    domain: Reg<25>,
    counts: Reg<1>,
    word: Reg<4>,
    counted: Reg<20>,
    valid: Reg<1>,
    sop: Reg<1>,
    eop: Reg<1>,
    bytes: Reg<5>,
    data: Reg<128>,
    of: Reg<6>,
}

impl Deliver {
    /// To the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = slots_of(vfs);
        Deliver { slots: Param::new(slots), limits: LutRam::new(slots), tenants: LutRam::new(slots), ..Self::default() }
    }
}

#[kernel]
impl Logic for Deliver {
    fn update(&mut self) {
        memories!(self.limits, self.tenants);
        let second = self.lane.q;
        let moves = self.frame.ready | !self.valid.q;
        let valid = if second { self.copy[1].valid } else { self.copy[0].valid };
        let eop = if second { self.copy[1].eop } else { self.copy[0].eop };
        self.limits.we = self.sets;
        self.limits.waddr = self.sets_slot;
        self.limits.wdata = self.sets_port.get(Port::LIMIT);
        self.tenants.we = self.sets;
        self.tenants.waddr = self.sets_slot;
        self.tenants.wdata =
            cat(self.sets_port.get(Port::UPLINK), self.sets_port.get(Port::VLAN), self.sets_port.get(Port::VNI));
        self.tenants.raddr = self.slot.q;
        self.limits.raddr = self.slot.q;
        let lives = is_marked(self.live, self.slot.q, { self.slots.get() });
        let fits = self.length.q <= self.limits.rdata;
        self.room.slot = self.slot.q;
        self.room.bytes = self.length.q;
        let goes = lives & fits & self.room.free;
        let checks = (self.st.q == St::CHECK) & !self.counts.q;
        let runs = self.st.q == St::BEATS;
        let whose = self.tenants.rdata;
        let inside = if self.domain.q.bit(24) {
            self.domain.q.bits(23, 0) == whose.bits(23, 0)
        } else {
            whose.bit(36) & (self.domain.q.bits(11, 0) == whose.bits(35, 24))
        };
        check!((!(checks & goes)) | inside, "a frame of one tenant goes to another");
        for l in 0..LANES {
            let mine = second == l;
            self.copy[l].go = checks & goes & mine;
            self.copy[l].skip = checks & (!goes) & mine;
            self.copy[l].ready = moves & runs & mine;
        }
        if moves {
            self.valid.d = 0;
        }
        match self.st.q {
            St::IDLE => {
                let one = self.copy[0].for_slot;
                let other = self.copy[1].for_slot;
                let take = if second { !one } else { other };
                if one | other {
                    self.lane.d = take;
                    self.slot.d = if take { self.copy[1].slot } else { self.copy[0].slot };
                    self.domain.d = if take { self.copy[1].domain } else { self.copy[0].domain };
                    self.length.d = if take { self.copy[1].length } else { self.copy[0].length };
                    self.st.d = St::CHECK;
                }
            }
            St::CHECK => {
                if checks {
                    self.counts.d = 1;
                    self.counted.d = cat(self.slot.q, self.length.q);
                    self.word.d = if goes {
                        sized(Counter::RX, 4)
                    } else if !lives {
                        Counter::DROPS + drop::CHANGED
                    } else if !fits {
                        Counter::DROPS + drop::TOO_LONG
                    } else {
                        Counter::DROPS + drop::NO_ROOM
                    };
                    self.st.d = if goes { St::BEATS } else { St::IDLE };
                }
            }
            St::BEATS => {
                if valid & moves {
                    self.valid.d = 1;
                    self.sop.d = if second { self.copy[1].sop } else { self.copy[0].sop };
                    self.eop.d = eop;
                    self.bytes.d = if second { self.copy[1].bytes } else { self.copy[0].bytes };
                    self.data.d = if second { self.copy[1].data } else { self.copy[0].data };
                    self.of.d = self.slot.q;
                    if eop {
                        self.st.d = St::IDLE;
                    }
                }
            }
            _ => self.st.d = St::IDLE,
        }
        self.frame.valid = self.valid.q;
        self.frame.sop = self.sop.q;
        self.frame.eop = self.eop.q;
        self.frame.bytes = self.bytes.q;
        self.frame.data = self.data.q;
        self.frame.slot = self.of.q;
        self.frame.error = 0;
        if self.counts.q & self.event.ready {
            self.counts.d = 0;
        }
        self.event.valid = self.counts.q;
        self.event.slot = self.counted.q.bits(19, 14);
        self.event.word = self.word.q;
        self.event.bytes = self.counted.q.bits(13, 0);
        self.busy = (self.st.q != St::IDLE) | self.valid.q | self.counts.q;
    }
}
