//! The machine behind configuration space: accesses from the host, errors to record, and resets.
//!
//! Promise: a write has taken effect everywhere before its completion leaves (so "Bus Master Enable off" and "VF Enable
//! off" are final for whoever sees them done); FLR and VF disable clear a function's configuration before anything else
//! is served, and keep it silent (`may` false) until nothing of it is under way and the engines have let go of it. Until then
//! it answers accesses with `retry` (what its next driver sets up would be forgotten with what the last one left), and its
//! errors are nobody's. All others are answered meanwhile.
//!
//! The machine takes one thing after the other. What an access becomes is here; what an error or a reset does, and the copies
//! and the bits of each function that others look at, are blocks of their own.

mod event;
mod gate;
mod insist;
mod live;
mod record;
mod silence;
mod sweep;
mod window;
mod words;

use azote_hdl::prelude::*;
use azote_regs::pcie::{express, header, sriov};
use azote_regs::{bar, function};

use self::gate::Gate;
use self::insist::{refused, taken};
use self::live::Live;
use self::record::Record;
use self::silence::Silence;
use self::sweep::Sweep;
use self::window::{REACH, bytes, shows};
use self::words::{DW_COMMAND, DW_DEVICE, DW_MSIX, DW_PMCSR, DW_SRIOV, St};
use super::aperture::ApertureOut;
use super::fields::slot;
use super::forget::Forget;
use super::message::MessageOut;
use super::template::{self, Added};
use crate::dma::LookIn;
use crate::interrupt::ControlOut;
use crate::parts::{byte_mask, slots_of};
use crate::transaction::header::{in_gap, owner_of};
use crate::transaction::{ConfigSlave, ErrorIn};

const KINDS: usize = function::KINDS as usize;

/// An access is answered within so many clocks: the longest is the one that resets 60 VFs with their PF, behind an error of
/// all PFs.
pub const CONFIG_CLOCKS: u64 = 2048;

#[derive(LogicBlock, Default)]
pub struct Space {
    pub clock: Clk,
    pub reset: Rst,
    /// From the completer.
    pub cfg: ConfigSlave,
    /// Errors to record.
    pub error: ErrorIn,
    /// The gate: may `ask` send requests?
    pub ask: I<8>,
    pub may: O<1>,
    /// From the next clock on `may` may differ.
    pub changed: O<1>,
    pub control: ControlOut,
    /// The tags of reads, one after the other ([`Forget`]), and whether the function of one is being reset.
    pub look: LookIn,
    /// A function to forget: held until `reset_done`.
    pub reset_valid: O<1>,
    pub reset_owner: O<8>,
    pub reset_done: I<1>,
    /// What of the PFs' configuration the rest of the card needs at once ([`Live`]).
    pub apertures: [ApertureOut; KINDS],
    pub manage_bar: O<48>,
    pub enabled_vfs: [O<6>; KINDS],
    pub mps: O<3>,
    pub mrrs: [O<3>; KINDS],
    pub patient: [O<1>; KINDS],
    pub message: MessageOut,
    pub busy: O<1>,
    vfs: Param,
    /// How long things take is checked.
    timed: Param,
    st: Reg<5>,
    owner: Reg<8>,
    new: Reg<32>,
    out: Reg<32>,
    absent: Reg<1>,
    later: Reg<1>,
    /// A register insists on what it has.
    refuse: Reg<1>,
    booting: Reg<1>,
    boot: Reg<13>,
    /// DWs of all functions.
    rows: Param,
    /// How long the access in hand has waited; for a check alone.
    waited: Reg<16>,
    /// What a window looks at.
    window: Reg<1>,
    at: Reg<13>,
    bytes: Reg<4>,
    rom: Rom<10, 103>,
    state: Ram<13, 32>,
    live: Live,
    gate: Gate,
    sweep: Sweep,
    record: Record,
    forget: Forget,
    silence: Silence,
}

impl Space {
    /// Configuration space of three PFs with `vfs` VFs each, and what the engines add to it, by kind.
    pub fn new(vfs: usize, added: &[Added; KINDS]) -> Self {
        let functions = slots_of(vfs) * 4;
        let words = template::rom(vfs as u64, added).into_iter().map(|w| azote_hdl::BigUint::from(w).into()).collect();
        Space {
            vfs: Param::new(vfs),
            rows: Param::new(functions * 32),
            timed: Param::new(1),
            booting: Reg::new(true),
            rom: Rom::new(words),
            state: Ram::new(functions * 32),
            live: Live::new(),
            gate: Gate::new(vfs),
            sweep: Sweep::new(vfs),
            silence: Silence::new(vfs, false),
            ..Self::default()
        }
    }

    /// For the prover, which asks the gate about one and the same function all the time. `awake`: as after the sweep of
    /// the memories that follows a reset, which takes longer than any bounded proof reaches.
    pub fn watched(vfs: usize, awake: bool) -> Self {
        Space {
            booting: Reg::new(!awake),
            silence: Silence::new(vfs, true),
            timed: Param::new(0),
            forget: Forget::new(false),
            ..Self::new(vfs, &[Added { window: true, ..Added::default() }, Added::default(), Added::default()])
        }
    }
}

#[kernel]
impl Logic for Space {
    fn update(&mut self) {
        clocked!(self.forget, self.silence, self.live, self.gate, self.sweep, self.record);
        memories!(self.rom, self.state);
        let boot = self.booting.q;
        let asked = owner_of(self.cfg.number);
        let owner = self.owner.q;
        let owner_kind = owner.bits(1, 0);
        let is_vf = owner.bits(7, 2) != 0;
        let dw = self.cfg.dw;
        let mask = byte_mask(self.cfg.be);
        let is_sriov = (dw == DW_SRIOV) & !is_vf;

        // Template of the DW in hand.
        self.rom.raddr = cat(is_vf, owner_kind, dw.trunc(7));
        let t = self.rom.rdata;
        let t_reset = t.bits(31, 0);
        let t_write = t.bits(63, 32);
        let t_clear = t.bits(95, 64);
        let t_slot = t.bits(100, 96);
        let t_stored = t.bit(101);
        let t_window = t.bit(102);
        let inside = dw.bits(9, 7) == 0;

        // The blocks; what the states below do with them.
        self.live.kind = owner_kind;
        self.live.dw = dw;
        self.live.value = self.new.q;
        self.live.write = 0;
        self.live.forget = 0;
        self.live.forget_kind = self.sweep.kind;
        self.live.asked = asked;
        self.live.error = self.error.owner;
        self.live.error_kind = self.record.kind;
        let exists = (!in_gap(self.cfg.number)) & self.live.asked_there;
        self.gate.booting = boot;
        self.gate.boot = self.boot.q.bits(12, 5);
        self.gate.owner = owner;
        self.gate.bme_we = 0;
        self.gate.bme_new = 0;
        self.gate.msix_we = 0;
        self.gate.msix_new = 0;
        self.gate.resetting_we = 0;
        self.gate.resetting_new = 0;
        self.sweep.start = 0;
        self.sweep.start_kind = owner_kind;
        self.sweep.start_self = 0;
        self.sweep.start_vfs = 1;
        self.sweep.next = self.st.q == St::SWEEP_NEXT;
        self.sweep.rewind = self.st.q == St::SWEEP_READ;
        self.sweep.step = self.st.q == St::SWEEP;
        self.sweep.old = self.state.rdata;
        link!(self.error, self.record.error);
        link!(self.message, self.record.message);
        self.record.start = 0;
        self.record.there = self.live.error_there;
        self.record.resetting = self.gate.resetting;
        self.record.serr = self.live.serr;
        self.record.parity = self.live.parity;
        self.record.rdata = self.state.rdata;
        self.forget.put = 0;
        self.forget.owner = owner;
        self.forget.turn = self.look.turn;
        self.forget.in_use = self.look.used;
        self.forget.in_use_owner = self.look.owner;
        self.forget.reset_done = self.reset_done;
        self.forget.cleared = (self.st.q == St::IDLE) & self.forget.clear & !boot;
        self.control.kick = 0;
        self.control.kick_all = (self.st.q == St::EFFECT) & (dw == DW_PMCSR) & !is_vf;
        self.control.kick_owner = owner;
        self.cfg.ack = 0;
        let mut at_owner = owner;
        let mut at_slot = t_slot;
        let mut we = sized(0, 1);
        let mut wslot = t_slot;
        let mut wdata = sized(0, 32);

        match self.st.q {
            St::IDLE => {
                self.owner.d = asked;
                if boot {
                    // Reset: every word of state back to "as at reset".
                    we = 1;
                    self.boot.d = self.boot.q + 1;
                    if self.boot.q == konst(self.rows.get() - 1) {
                        self.booting.d = 0;
                    }
                } else if self.forget.clear {
                    self.owner.d = self.forget.reset_owner;
                    self.st.d = St::CLEAR;
                } else if self.cfg.valid {
                    self.absent.d = !exists;
                    self.later.d = 0;
                    self.window.d = 0;
                    self.out.d = 0;
                    self.st.d = if exists { St::ROM } else { St::ACK };
                } else if self.error.valid & self.message.room {
                    self.owner.d = self.error.owner;
                    self.record.start = 1;
                    self.st.d = St::ERROR;
                }
            }
            St::ROM => {
                self.later.d = self.gate.resetting;
                self.st.d = if inside & !self.gate.resetting { St::STATE } else { St::ACK };
            }
            St::STATE => self.st.d = St::EXECUTE,
            St::EXECUTE => {
                let now = if t_stored { self.state.rdata ^ t_reset } else { t_reset };
                let wm = t_write & mask;
                let written = (now & !wm) | (self.cfg.wdata & wm);
                self.out.d = now;
                self.new.d = written & !(self.cfg.wdata & t_clear & mask);
                self.st.d = if self.cfg.write { St::CHECK } else { St::ACK };
                if t_window {
                    at_slot = konst(slot::WINDOW_BAR);
                    self.st.d = St::WINDOW_BAR;
                }
            }
            // A function that sleeps has no registers to show.
            St::WINDOW_BAR => {
                self.window.d = (self.state.rdata == konst(bar::BAR0)) & !self.live.sleeps;
                at_slot = konst(slot::WINDOW_OFFSET);
                self.st.d = St::WINDOW_OFFSET;
            }
            St::WINDOW_OFFSET => {
                self.at.d = self.state.rdata.trunc(REACH);
                self.window.d = self.window.q & shows(self.state.rdata);
                at_slot = konst(slot::WINDOW_LENGTH);
                self.st.d = St::WINDOW_LENGTH;
            }
            St::WINDOW_LENGTH => {
                let meant = bytes(self.state.rdata, self.at.q.bits(1, 0)) & (self.cfg.be << self.at.q.bits(1, 0));
                self.bytes.d = meant;
                self.window.d = self.window.q & (meant != 0);
                self.st.d = St::ACK;
            }
            St::CHECK => {
                let ari = if owner_kind == 0 { self.new.q.get(sriov::CONTROL_ARI) } else { self.live.ari };
                self.new.d = taken(dw, self.new.q, ari, self.live.scale);
                self.refuse.d = refused(dw, self.new.q, self.live.vfe, { self.vfs.get() });
                self.st.d = St::EFFECT;
            }
            St::EFFECT => {
                let value = self.new.q;
                we = t_stored & !self.refuse.q;
                wdata = value ^ t_reset;
                self.live.write = (!is_vf) & !self.refuse.q;
                self.st.d = St::ACK;
                if dw == DW_COMMAND {
                    self.gate.bme_we = 1;
                    self.gate.bme_new = value.get(header::COMMAND_BME);
                    self.control.kick = value.get(header::COMMAND_BME);
                }
                if dw == DW_MSIX {
                    self.gate.msix_we = 1;
                    self.gate.msix_new = value.bits(31, 30);
                    self.control.kick = 1;
                }
                if (dw == DW_DEVICE) & mask.bit(15) & self.cfg.wdata.get(express::DEVICE_CONTROL_FLR) {
                    self.sweep.start = 1;
                    self.sweep.start_self = 1;
                    self.sweep.start_vfs = !is_vf;
                    self.st.d = St::SWEEP_NEXT;
                }
                if is_sriov & (!self.refuse.q) & self.live.vfe & !value.get(sriov::CONTROL_VF_ENABLE) {
                    self.sweep.start = 1;
                    self.st.d = St::SWEEP_NEXT;
                }
            }
            St::ACK => {
                self.cfg.ack = 1;
                self.st.d = St::IDLE;
            }

            St::SWEEP_NEXT => {
                self.st.d = if self.sweep.vf | self.sweep.last { St::SWEEP_READ } else { St::ACK };
                if self.sweep.vf {
                    self.owner.d = self.sweep.vf_owner;
                }
                if self.sweep.pf {
                    self.owner.d = self.sweep.kind.zext(8);
                    self.live.forget = 1;
                }
            }
            St::SWEEP_READ => {
                self.gate.bme_we = 1;
                self.gate.msix_we = 1;
                self.gate.resetting_we = 1;
                self.gate.resetting_new = 1;
                at_slot = self.sweep.ahead;
                // Not one that is being forgotten already.
                self.forget.put = !self.gate.resetting;
                self.st.d = St::SWEEP;
            }
            St::SWEEP => {
                at_slot = self.sweep.ahead;
                we = 1;
                wslot = self.sweep.slot;
                wdata = self.sweep.kept;
                if self.sweep.ends {
                    self.st.d = St::SWEEP_NEXT;
                }
            }
            St::CLEAR => {
                self.gate.resetting_we = 1;
                self.st.d = St::IDLE;
            }
            St::ERROR => {
                at_owner = self.record.owner;
                at_slot = self.record.slot;
                we = self.record.we;
                wslot = self.record.wslot;
                wdata = self.record.wdata;
                if self.record.over {
                    self.st.d = St::IDLE;
                }
            }
            _ => self.st.d = St::IDLE,
        }

        self.state.we = we;
        self.state.waddr = if boot { self.boot.q } else { cat(at_owner, wslot) };
        self.state.wdata = if boot { 0 } else { wdata };
        self.state.raddr = cat(at_owner, at_slot);
        self.cfg.rdata = self.out.q;
        self.cfg.none = self.absent.q;
        self.cfg.retry = self.later.q;
        self.cfg.window = self.window.q;
        self.cfg.offset = cat(self.at.q.bits(12, 2), sized(0, 2));
        self.cfg.lane = self.at.q.bits(1, 0);
        self.cfg.bytes = self.bytes.q;

        // Who asks.
        self.gate.ask = self.ask;
        self.live.gate_kind = self.ask.bits(1, 0);
        self.gate.asleep = self.live.asleep;
        self.may = self.gate.may;
        // Wherever one of these is written.
        self.changed = boot
            | (self.st.q == St::EFFECT)
            | (self.st.q == St::SWEEP_NEXT)
            | (self.st.q == St::SWEEP_READ)
            | (self.st.q == St::CLEAR);
        self.gate.msix_ask = self.control.ask;
        self.control.enable = self.gate.msix_enable;
        self.control.mask = self.gate.msix_mask;
        self.gate.tag_ask = self.look.owner;
        self.look.forgotten = self.gate.tag_resetting;
        self.reset_valid = self.forget.reset_valid;
        self.reset_owner = self.forget.reset_owner;
        for k in 0..KINDS {
            link!(self.apertures[k], self.live.apertures[k]);
            self.enabled_vfs[k] = self.live.enabled_vfs[k];
            self.mrrs[k] = self.live.mrrs[k];
            self.patient[k] = self.live.patient[k];
        }
        self.manage_bar = self.live.manage_bar;
        self.mps = self.live.mps;
        self.busy = (self.st.q != St::IDLE) | boot | self.forget.busy | self.cfg.valid | self.error.valid;

        // What must hold of all this.
        self.silence.ask = self.ask;
        self.silence.may = self.gate.may;
        self.silence.bme = self.gate.ask_bme;
        self.silence.resetting = self.gate.ask_resetting;
        self.silence.vfe = self.live.gate_vfe;
        self.silence.num = self.live.gate_num;
        self.silence.st = self.st.q;
        self.silence.owner = owner;
        self.silence.valid = self.cfg.valid;
        self.silence.write = self.cfg.write;
        self.silence.number = self.cfg.number;
        self.silence.dw = dw;
        self.silence.be = self.cfg.be;
        self.silence.wdata = self.cfg.wdata;
        self.silence.absent = self.absent.q;
        self.silence.later = self.later.q;
        self.silence.sw_slot = self.sweep.at;
        self.silence.sw_kind = self.sweep.kind;
        self.silence.sw_self = self.sweep.to_self;
        self.silence.sw_vfs = self.sweep.to_vfs;
        self.silence.let_go = self.forget.clear;
        self.silence.re_owner = self.forget.reset_owner;
        self.silence.booting = boot;
        self.silence.boot = self.boot.q;
        self.waited.d = if self.cfg.valid & !self.cfg.ack & !boot { self.waited.q + 1 } else { 0 };
        if const { self.timed.get() != 0 } {
            check!(self.waited.q <= konst(CONFIG_CLOCKS), "a configuration access is not answered");
        }
    }
}
