//! The judge: who gets a frame, and whether its sender may send it. One for both lanes, which take turns.
//!
//! Promise: a frame goes to live ports of its sender's tenant and to nobody else; one from the wire to live ports of its VLAN. It goes
//! to the wire if its sender's port is connected to it, and is for nobody of the tenant or for a group. A verdict takes six clocks (a
//! broadcast of a function four), and two more for each place of the table that is somebody else's: half of it at least is empty.

use azote_hdl::prelude::*;
use azote_regs::manage::drop;

use super::words::{Entry, GROUP, JudgeIn, LookOut, hash, tenant, vlan_of_wire};
use crate::net::port::Port;
use crate::parts::{is_marked, mark_of, slots_of};

struct St;
impl St {
    const IDLE: u64 = 0;
    /// The sender's port is asked for, and comes.
    const SENDER: u64 = 1;
    const VERIFY: u64 = 2;
    /// The domain of a frame from the wire is known.
    const WIRE: u64 = 3;
    /// A place of the table is asked for, then the port to which it leads, and compared.
    const PLACE: u64 = 4;
    const FOLLOW: u64 = 5;
    const COMPARE: u64 = 6;
    const DONE: u64 = 7;
}

/// The lanes: from functions, from the wire.
pub const LANES: usize = 2;
const FROM_WIRE: usize = 1;

/// A tag's type: 802.1Q, and 802.1ad.
const TAG: u64 = 0x8100;
const SERVICE_TAG: u64 = 0x88a8;

#[derive(LogicBlock, Default)]
pub struct Judge {
    pub clock: Clk,
    pub reset: Rst,
    pub ask: [JudgeIn; LANES],
    pub look: LookOut,
    pub busy: O<1>,
    slots: Param,
    st: Reg<3>,
    lane: Reg<1>,
    /// It is looked for the group instead of the address.
    group: Reg<1>,
    domain: Reg<25>,
    at: Reg<9>,
    found: Reg<6>,
    to: Reg<64>,
    /// The peers of the sender that get everything.
    all: Reg<64>,
    uplink: Reg<1>,
    outside: Reg<1>,
    dropped: Reg<1>,
    reason: Reg<4>,
    limit: Reg<14>,
    tag: Reg<15>,
}

impl Judge {
    /// A judge of the frames of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        Judge { slots: Param::new(slots_of(vfs)), ..Self::default() }
    }
}

#[kernel]
impl Logic for Judge {
    fn update(&mut self) {
        let slots: usize = self.slots.get();
        let from_wire = self.lane.q == FROM_WIRE;
        let first = if from_wire { self.ask[1].first } else { self.ask[0].first };
        let sender = self.ask[0].slot;
        let vlan = self.ask[1].vlan;
        let to_mac = first.bits(47, 0);
        let of_mac = first.bits(95, 48);
        // The first byte on the wire is the high one.
        let kind = cat(first.bits(103, 96), first.bits(111, 104));
        let tagged = (kind == TAG) | (kind == SERVICE_TAG);
        let many = to_mac.bit(0);

        let port = self.look.port;
        let entry = self.look.entry;
        let domain = if from_wire { vlan_of_wire(vlan) } else { tenant(port.get(Port::VNI)) };
        let place = hash(domain, if from_wire & (many | self.group.q) { konst(GROUP) } else { to_mac });
        let own = mark_of(sender, { slots }).trunc(slots).zext(64);
        let others = self.look.peers & self.look.live & !(if from_wire { sized(0, 64) } else { own });
        let alive = is_marked(self.look.live, sender, { slots });

        self.look.uses = 0;
        self.look.slot = sender;
        self.look.hash = self.at.q;
        self.look.of_vlan = from_wire;
        match self.st.q {
            St::IDLE => {
                let take = if self.lane.q == 1 { !self.ask[0].valid } else { self.ask[1].valid };
                self.lane.d = if self.ask[0].valid | self.ask[1].valid { take } else { self.lane.q };
                self.to.d = 0;
                self.all.d = 0;
                self.outside.d = 0;
                self.dropped.d = 0;
                self.group.d = 0;
                if self.ask[0].valid | self.ask[1].valid {
                    self.st.d = if take { St::WIRE } else { St::SENDER };
                }
            }
            St::SENDER => {
                self.look.uses = 1;
                self.st.d = St::VERIFY;
            }
            St::VERIFY => {
                self.limit.d = port.get(Port::LIMIT);
                self.tag.d = cat(port.get(Port::PRIORITY), port.get(Port::VLAN));
                self.uplink.d = port.get(Port::UPLINK);
                self.domain.d = domain;
                self.at.d = place;
                let spoofed = of_mac.bit(0) | (port.get(Port::ANTI_SPOOF) & (of_mac != port.get(Port::MAC)));
                let smuggled = tagged & !port.get(Port::TRUSTED);
                self.all.d = others & self.look.promiscuous;
                self.to.d = others;
                self.outside.d = port.get(Port::UPLINK);
                if (!alive) | spoofed | smuggled {
                    self.dropped.d = 1;
                    self.reason.d = if !alive {
                        sized(drop::DOWN, 4)
                    } else if spoofed {
                        drop::SPOOFED
                    } else {
                        drop::TAGGED
                    };
                    self.st.d = St::DONE;
                } else {
                    self.st.d = if many { St::DONE } else { St::PLACE };
                }
            }
            St::WIRE => {
                self.domain.d = domain;
                self.at.d = place;
                self.group.d = many | self.group.q;
                self.limit.d = konst((1usize << 14) - 1);
                self.tag.d = 0;
                self.uplink.d = 0;
                self.st.d = St::PLACE;
                if of_mac.bit(0) {
                    self.dropped.d = 1;
                    self.reason.d = drop::SPOOFED;
                    self.st.d = St::DONE;
                }
                if tagged & (vlan == 0) {
                    self.dropped.d = 1;
                    self.reason.d = drop::TAGGED;
                    self.st.d = St::DONE;
                }
            }
            St::PLACE => {
                self.look.uses = 1;
                self.st.d = St::FOLLOW;
            }
            St::FOLLOW => {
                self.look.uses = 1;
                self.look.slot = entry.get(Entry::SLOT);
                self.found.d = entry.get(Entry::SLOT);
                self.at.d = self.at.q + 1;
                if entry.get(Entry::VALID) {
                    self.st.d = St::COMPARE;
                } else {
                    // Nobody has this address.
                    self.to.d = self.all.q;
                    self.outside.d = self.uplink.q;
                    self.group.d = 1;
                    self.st.d = if from_wire & !self.group.q { St::WIRE } else { St::DONE };
                }
            }
            St::COMPARE => {
                let same = if from_wire {
                    port.get(Port::UPLINK) & (port.get(Port::VLAN) == vlan)
                } else {
                    port.get(Port::VNI) == self.domain.q.bits(23, 0)
                };
                // What is known of a dead port's peers may be of the port that it was.
                let lives = is_marked(self.look.live, self.found.q, { slots });
                let right = same & lives & (self.group.q | (port.get(Port::MAC) == to_mac));
                let one = mark_of(self.found.q, { slots }).trunc(slots).zext(64);
                let every = if from_wire { others & self.look.promiscuous } else { self.all.q };
                self.st.d = St::PLACE;
                if right {
                    self.st.d = St::DONE;
                    self.outside.d = 0;
                    if self.group.q {
                        self.to.d = if many { others } else { every };
                    } else {
                        self.to.d = every | if from_wire { one } else { one & !own };
                    }
                }
            }
            St::DONE => self.st.d = St::IDLE,
            _ => self.st.d = St::IDLE,
        }
        self.look.rests = self.st.q == St::IDLE;
        let nobody = !(self.to.q.any() | self.outside.q);
        for l in 0..LANES {
            self.ask[l].done = (self.st.q == St::DONE) & (self.lane.q == l);
            self.ask[l].to = self.to.q;
            self.ask[l].outside = self.outside.q;
            self.ask[l].dropped = self.dropped.q | nobody;
            self.ask[l].reason = if self.dropped.q { self.reason.q } else { drop::NOBODY };
            self.ask[l].limit = self.limit.q;
            self.ask[l].tag = self.tag.q;
            self.ask[l].domain = self.domain.q;
        }
        self.busy = (self.st.q != St::IDLE) | self.ask[0].valid | self.ask[1].valid;
    }
}
