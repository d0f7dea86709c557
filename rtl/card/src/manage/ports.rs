//! The table of ports: which address, tenant and VLAN each net slot has, and what it may do.
//!
//! As with a binding, the host writes fields one by one, and only the write of PORT_CTRL makes all of them count at once. The switch
//! takes its time over that: meanwhile PORT_BUSY is set, and no other commit is taken.

use azote_hdl::prelude::*;
use azote_regs::{manage, virtio::net};

use crate::net::port::{Port, PortTold, PortsOut};
use crate::parts::{byte_mask, slots_of};
use crate::transaction::BusSlave;

struct St;
impl St {
    const IDLE: u64 = 0;
    const READ: u64 = 1;
    const ACK: u64 = 2;
    const GATHER: u64 = 3;
    const BOOT: u64 = 4;
}

const WORD_CTRL: u64 = manage::PORT_CTRL / 4;
const WORD_MAC_LO: u64 = manage::PORT_MAC_LO / 4;
const WORD_MAC_HI: u64 = manage::PORT_MAC_HI / 4;
const WORD_TENANT: u64 = manage::PORT_TENANT / 4;
const WORD_VLAN: u64 = manage::PORT_VLAN / 4;
const WORD_MTU: u64 = manage::PORT_MTU / 4;

packed! {
    /// What a function is told of its port.
    Told {
        link: 1,
        mtu: 14,
        mac: 48,
    }
}

#[derive(LogicBlock, Default)]
pub struct Ports {
    pub clock: Clk,
    pub reset: Rst,
    pub bus: BusSlave,
    /// To the switch.
    pub commit: PortsOut,
    /// To the functions' configuration.
    pub told: PortTold,
    pub busy: O<1>,
    vfs: Param,
    slots: Param,
    st: Reg<3>,
    step: Reg<3>,
    boot: Reg<9>,
    value: Reg<32>,
    /// A commit that is not effective yet, or is being gathered.
    pending: Reg<1>,
    gathered: Reg<1>,
    slot: Reg<6>,
    ctrl: Reg<6>,
    mac: Reg<48>,
    vni: Reg<24>,
    vlan: Reg<12>,
    priority: Reg<3>,
    mtu: Reg<14>,
    words: Ram<9, 32>,
    tells: LutRam<6, { Told::WIDTH }>,
    tell: Reg<{ Told::WIDTH }>,
    changed: Reg<1>,
}

impl Ports {
    /// A table for the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = slots_of(vfs);
        Ports {
            vfs: Param::new(vfs),
            slots: Param::new(slots),
            st: Reg::new(St::BOOT),
            words: Ram::new(slots * 8),
            tells: LutRam::new(slots),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Ports {
    fn update(&mut self) {
        memories!(self.words, self.tells);
        let offset = self.bus.offset;
        let slot = offset.bits(11, 6);
        let word = offset.bits(4, 2);
        // Of the sixteen words of an entry the first eight are kept.
        let exists = (!offset.bit(5)) & (slot.zext(8) <= konst(self.vfs.get()));
        let is_ctrl = word == WORD_CTRL;
        let flags = konst(manage::PORT_BUSY.mask() - 1);
        let kept = self.words.rdata & flags;
        let busy = self.pending.q.zext(32) << konst(manage::PORT_BUSY.lo);
        let mask = byte_mask(self.bus.be);
        let merged = (self.words.rdata & !mask) | (self.bus.wdata & mask);

        let mut we = sized(0, 1);
        let mut waddr = cat(slot, word);
        let mut wdata = merged;
        let mut raddr = cat(slot, word);
        match self.st.q {
            St::BOOT => {
                we = 1;
                waddr = self.boot.q;
                wdata = 0;
                self.boot.d = self.boot.q + 1;
                if self.boot.q == konst(self.slots.get() * 8 - 1) {
                    self.st.d = St::IDLE;
                }
            }
            St::IDLE => {
                if self.bus.valid {
                    self.st.d = St::READ;
                }
            }
            St::READ => {
                self.st.d = St::ACK;
                self.step.d = 0;
                self.value.d = if exists { if is_ctrl { kept | busy } else { self.words.rdata } } else { 0 };
                if self.bus.write & exists & !(is_ctrl & self.pending.q) {
                    we = 1;
                    if is_ctrl {
                        self.pending.d = 1;
                        self.slot.d = slot;
                        self.ctrl.d = merged.bits(5, 0);
                        self.st.d = St::GATHER;
                    }
                }
            }
            St::GATHER => {
                // Word `step` was addressed a clock ago (step 0 addresses the first).
                raddr = cat(slot, self.step.q + 1);
                let v = self.words.rdata;
                let mtu = v.get(manage::PORT_MTU_BYTES);
                match self.step.q {
                    WORD_MAC_LO => self.mac.d = cat(self.mac.q.bits(47, 32), v),
                    WORD_MAC_HI => self.mac.d = cat(v.get(manage::PORT_MAC_HIGH), self.mac.q.bits(31, 0)),
                    WORD_TENANT => self.vni.d = v.get(manage::PORT_VNI),
                    WORD_VLAN => {
                        self.vlan.d = v.get(manage::PORT_VLAN_ID);
                        self.priority.d = v.get(manage::PORT_VLAN_PRIORITY);
                    }
                    WORD_MTU => {
                        self.mtu.d = if mtu == 0 { konst(manage::DEFAULT_MTU) } else { mtu };
                        self.gathered.d = 1;
                        self.st.d = St::ACK;
                    }
                    _ => {}
                }
                self.step.d = self.step.q + 1;
            }
            St::ACK => self.st.d = St::IDLE,
            _ => self.st.d = St::IDLE,
        }
        self.bus.ack = self.st.q == St::ACK;
        self.bus.rdata = self.value.q;
        self.words.we = we;
        self.words.waddr = waddr;
        self.words.wdata = wdata;
        self.words.raddr = raddr;

        // --- the commit
        let ctrl = self.ctrl.q.zext(32);
        let live = ctrl.get(manage::PORT_ENABLED) & ctrl.get(manage::PORT_LINK);
        self.commit.valid = self.gathered.q;
        self.commit.slot = self.slot.q;
        self.commit.live = live;
        self.commit.port = Port {
            limit: self.mtu.q + konst(net::FRAME_HEADER),
            promiscuous: ctrl.get(manage::PORT_PROMISCUOUS),
            uplink: ctrl.get(manage::PORT_UPLINK),
            trusted: ctrl.get(manage::PORT_TRUSTED),
            anti_spoof: ctrl.get(manage::PORT_ANTI_SPOOF),
            priority: self.priority.q,
            vlan: self.vlan.q,
            vni: self.vni.q,
            mac: self.mac.q,
        };
        let effective = self.gathered.q & self.commit.done;
        if effective {
            self.gathered.d = 0;
            self.pending.d = 0;
        }
        self.changed.d = effective;
        let boots = self.st.q == St::BOOT;
        self.tells.we = boots | effective;
        self.tells.waddr = if boots { self.boot.q.bits(8, 3) } else { self.slot.q };
        self.tells.wdata = if boots {
            Told { link: 0, mtu: manage::DEFAULT_MTU, mac: 0 }
        } else {
            Told { link: live, mtu: self.mtu.q, mac: self.mac.q }
        };
        self.tells.raddr = self.told.slot;
        self.tell.d = self.tells.rdata;
        self.told.mac = self.tell.q.get(Told::MAC);
        self.told.mtu = self.tell.q.get(Told::MTU).zext(16);
        self.told.link = self.tell.q.get(Told::LINK);
        self.told.changed = self.changed.q;
        self.told.changed_slot = self.slot.q;
        self.busy = (self.st.q != St::IDLE) | self.bus.valid | self.pending.q | self.changed.q;
    }
}
