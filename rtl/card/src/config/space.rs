//! The machine behind configuration space: accesses from the host, errors to record, and resets.
//!
//! Promise: a write has taken effect everywhere before its completion leaves (so "Bus Master Enable off" and "VF Enable
//! off" are final for whoever sees them done); FLR and VF disable clear a function's configuration before anything else
//! is served, and keep it silent (`may` false) until nothing of it is under way and the engines have let go of it. Until then
//! it answers accesses with `retry` (what its next driver sets up would be forgotten with what the last one left), and its
//! errors are nobody's. All others are answered meanwhile.

use azote_hdl::prelude::*;
use azote_regs::function;
use azote_regs::pcie::{aer, capability as cap, express, header, power, sriov, tlp};

use super::fields::{self, slot};
use super::forget::Forget;
use super::silence::Silence;
use super::template;
use crate::parts::byte_mask;
use crate::transaction::header::{in_gap, owner_of};
use crate::transaction::{ErrorIn, Found};

const KINDS: usize = function::KINDS as usize;
/// DW number of a register.
const fn dw(offset: u64) -> u64 {
    offset / 4
}
const DW_DEVICE: u64 = dw(cap::pf::EXPRESS + express::DEVICE_CONTROL);
const DW_PMCSR: u64 = dw(cap::pf::POWER + power::PMCSR);
const DW_MSIX: u64 = dw(cap::pf::MSIX);
const DW_SRIOV: u64 = dw(cap::pf::SRIOV + sriov::CONTROL);
const DW_NUM_VFS: u64 = dw(cap::pf::SRIOV + sriov::NUM_VFS);
const DW_PAGE: u64 = dw(cap::pf::SRIOV + sriov::SYSTEM_PAGE_SIZE);
const DW_VF_BAR: u64 = dw(cap::pf::SRIOV + sriov::VF_BAR0);
const DW_COMMAND: u64 = dw(header::COMMAND);
const DW_BAR0: u64 = dw(header::BAR0);
const DW_BAR1: u64 = DW_BAR0 + 1;
const DW_VF_BAR1: u64 = DW_VF_BAR + 1;
const DW_DEVICE_2: u64 = dw(cap::pf::EXPRESS + express::DEVICE_CONTROL_2);

pub(super) struct St;
impl St {
    pub const IDLE: u64 = 0;
    pub const ROM: u64 = 1;
    pub const STATE: u64 = 2;
    pub const EXECUTE: u64 = 3;
    pub const EFFECT: u64 = 4;
    pub const ACK: u64 = 5;
    pub const SWEEP_NEXT: u64 = 6;
    pub const SWEEP_READ: u64 = 7;
    pub const SWEEP: u64 = 8;
    pub const ERROR_READ: u64 = 9;
    pub const ERROR_TAKE: u64 = 10;
    pub const ERROR_LOG: u64 = 11;
    pub const ERROR_NEXT: u64 = 12;
    pub const CLEAR: u64 = 13;
    pub const CHECK: u64 = 14;
}

/// The steps of an error's record: the registers of a function that decide or change, in the order in which they are read.
struct Step;
impl Step {
    const SEVERITY: u64 = 0;
    const MASK: u64 = 1;
    const CORRECTABLE_MASK: u64 = 2;
    const POINTER: u64 = 3;
    const UNCORRECTABLE: u64 = 4;
    const CORRECTABLE: u64 = 5;
    /// These two are all that a VF has.
    const DEVICE: u64 = 6;
    const STATUS: u64 = 7;
}

/// An access is answered within so many clocks: the longest is the one that resets 60 VFs with their PF, behind an error of
/// all PFs.
pub const CONFIG_CLOCKS: u64 = 2048;

#[derive(LogicBlock, Default)]
pub struct Space {
    pub clock: Clk,
    pub reset: Rst,
    /// From the completer, held until `ack`.
    pub valid: I<1>,
    pub write: I<1>,
    pub number: I<8>,
    pub dw: I<10>,
    pub be: I<4>,
    pub wdata: I<32>,
    pub ack: O<1>,
    pub rdata: O<32>,
    pub none: O<1>,
    /// With `ack`: nothing was done, the function is being reset (PCIe 2.3.1, 6.6.2).
    pub retry: O<1>,
    /// Errors to record.
    pub error: ErrorIn,
    /// The gate: may `ask` send requests?
    pub ask: I<8>,
    pub may: O<1>,
    /// From the next clock on `may` may differ.
    pub changed: O<1>,
    /// MSI-X Enable and Function Mask of `msix_ask`, in the same clock.
    pub msix_ask: I<8>,
    pub msix_enable: O<1>,
    pub msix_mask: O<1>,
    /// MSI-X Control or Command of `kick_owner` was written, or a PF's power state: what is pending may go now.
    pub kick: O<1>,
    pub kick_owner: O<8>,
    pub kick_all: O<1>,
    /// The tags of reads, one after the other ([`Forget`]); and whether `tag_ask` is being reset, in the same clock.
    pub tag_turn: I<1>,
    pub tag_used: I<1>,
    pub tag_owner: I<8>,
    pub tag_ask: I<8>,
    pub tag_forgotten: O<1>,
    /// A function to forget: held until `reset_done`.
    pub reset_valid: O<1>,
    pub reset_owner: O<8>,
    pub reset_done: I<1>,
    /// For address decoding.
    pub bar0: [O<50>; KINDS],
    pub vf_bar0: [O<50>; KINDS],
    pub manage_bar: O<48>,
    pub memory: [O<1>; KINDS],
    pub vf_memory: [O<1>; KINDS],
    pub num_vfs: [O<6>; KINDS],
    /// How many VFs of each kind are enabled.
    pub enabled_vfs: [O<6>; KINDS],
    pub vf_scale: [O<3>; KINDS],
    /// Max_Payload_Size (of PF 0, for all: PCIe 7.5.3.4) and Max_Read_Request_Size of each PF and its VFs.
    pub mps: O<3>,
    pub mrrs: [O<3>; KINDS],
    /// Completion Timeout Disable of each PF and its VFs.
    pub patient: [O<1>; KINDS],
    /// An error message to send; an error is only begun while there is room for its messages.
    pub message_room: I<1>,
    pub message: O<1>,
    pub message_owner: O<8>,
    pub message_code: O<8>,
    pub busy: O<1>,
    vfs: Param,
    /// How long things take is checked.
    timed: Param,
    st: Reg<5>,
    owner: Reg<8>,
    cur: Reg<32>,
    new: Reg<32>,
    out: Reg<32>,
    absent: Reg<1>,
    later: Reg<1>,
    /// A register insists on what it has.
    refuse: Reg<1>,
    // Live copies of what the rest of the card needs at once.
    l_bar0: [Reg<50>; KINDS],
    l_vf_bar0: [Reg<50>; KINDS],
    l_manage: Reg<48>,
    l_mse: [Reg<1>; KINDS],
    l_sleep: [Reg<1>; KINDS],
    l_vfe: [Reg<1>; KINDS],
    l_vf_mse: [Reg<1>; KINDS],
    l_num_vfs: [Reg<6>; KINDS],
    l_scale: [Reg<3>; KINDS],
    l_mrrs: [Reg<3>; KINDS],
    l_patient: [Reg<1>; KINDS],
    l_serr: [Reg<1>; KINDS],
    l_parity: [Reg<1>; KINDS],
    l_mps: Reg<3>,
    l_ari: Reg<1>,
    // The sweep: which VFs and whether the PF too.
    sw_slot: Reg<6>,
    sw_kind: Reg<2>,
    sw_self: Reg<1>,
    sw_vfs: Reg<1>,
    sw_index: Reg<5>,
    sw_reply: Reg<1>,
    // The error in hand: at which PF of all, which step, and what has been read of the function.
    er_kind: Reg<2>,
    er_all: Reg<1>,
    er_step: Reg<3>,
    er_fatal: Reg<1>,
    er_masked: Reg<1>,
    er_quiet: Reg<1>,
    er_pointer: Reg<5>,
    er_logs: Reg<1>,
    er_enables: Reg<4>,
    /// Messages of this error that are on their way, by severity.
    er_sent: Reg<3>,
    booting: Reg<1>,
    boot: Reg<13>,
    /// DWs of all functions.
    rows: Param,
    /// How long the access in hand has waited; for a check alone.
    waited: Reg<16>,
    rom: Rom<10, 102>,
    state: Ram<13, 32>,
    bme: LutRam<8, 1>,
    resetting: LutRam<8, 1>,
    resetting_own: LutRam<8, 1>,
    resetting_tag: LutRam<8, 1>,
    msix: LutRam<8, 2>,
    forget: Forget,
    silence: Silence,
}

impl Space {
    /// Configuration space of three PFs with `vfs` VFs each.
    pub fn new(vfs: usize) -> Self {
        let functions = (vfs + 1).next_power_of_two() * 4;
        let words = template::rom(vfs as u64).into_iter().map(|w| num_bigint(w).into()).collect();
        Space {
            vfs: Param::new(vfs),
            rows: Param::new(functions * 32),
            timed: Param::new(1),
            l_mrrs: [reset_mrrs(), reset_mrrs(), reset_mrrs()],
            booting: Reg::new(true),
            rom: Rom::new(words),
            state: Ram::new(functions * 32),
            bme: LutRam::new(functions),
            resetting: LutRam::new(functions),
            resetting_own: LutRam::new(functions),
            resetting_tag: LutRam::new(functions),
            msix: LutRam::new(functions),
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
            ..Self::new(vfs)
        }
    }
}

fn num_bigint(w: u128) -> azote_hdl::BigUint {
    w.into()
}

fn reset_mrrs() -> Reg<3> {
    Reg::new(express::DEVICE_CONTROL_MRRS.of(express::DEVICE_CONTROL_RESET))
}

#[kernel]
impl Logic for Space {
    fn update(&mut self) {
        clocked!(self.forget, self.silence);
        memories!(self.rom, self.state, self.bme, self.resetting, self.resetting_own, self.resetting_tag, self.msix);
        let number = self.number;
        let asked = owner_of(number);
        let asked_slot = asked.bits(7, 2);
        let asked_kind = asked.bits(1, 0);
        let owner_kind = self.owner.q.bits(1, 0);
        let owner_slot = self.owner.q.bits(7, 2);
        let is_vf = owner_slot != 0;

        // Live values of the kind in hand.
        let mut vfe = sized(0, 1);
        let mut num = sized(0, 6);
        let mut scale = sized(0, 3);
        let mut asked_vfe = sized(0, 1);
        let mut asked_num = sized(0, 6);
        for k in 0..KINDS {
            if owner_kind == k {
                vfe = self.l_vfe[k].q;
                num = self.l_num_vfs[k].q;
                scale = self.l_scale[k].q;
            }
            if asked_kind == k {
                asked_vfe = self.l_vfe[k].q;
                asked_num = self.l_num_vfs[k].q;
            }
        }
        let exists = (!in_gap(number)) & ((asked_slot == 0) | (asked_vfe & (asked_slot <= asked_num)));

        // Template and state of the DW in hand.
        let at = self.dw.trunc(7);
        self.rom.raddr = cat(is_vf, owner_kind, at);
        let t = self.rom.rdata;
        let t_reset = t.bits(31, 0);
        let t_write = t.bits(63, 32);
        let t_clear = t.bits(95, 64);
        let t_slot = t.bits(100, 96);
        let t_stored = t.bit(101);
        let inside = self.dw.bits(9, 7) == 0;

        let mut st_slot = t_slot;
        let mut st_owner = self.owner.q;
        let mut we = sized(0, 1);
        let mut wslot = t_slot;
        let mut wdata = sized(0, 32);
        let mut flag_we = sized(0, 1);
        let mut flag_owner = self.owner.q;
        let mut bme_new = sized(0, 1);
        let mut msix_we = sized(0, 1);
        let mut msix_new = sized(0, 2);
        let mut re_we = sized(0, 1);
        let mut re_new = sized(0, 1);
        let mut re_at = self.owner.q;
        self.forget.put = 0;
        self.forget.owner = self.owner.q;
        self.forget.turn = self.tag_turn;
        self.forget.in_use = self.tag_used;
        self.forget.in_use_owner = self.tag_owner;
        self.forget.reset_done = self.reset_done;
        self.forget.cleared = (self.st.q == St::IDLE) & self.forget.clear & !self.booting.q;
        self.kick = 0;
        self.kick_all = (self.st.q == St::EFFECT) & (self.dw == DW_PMCSR) & !is_vf;
        self.kick_owner = self.owner.q;
        self.message = 0;
        self.message_owner = self.er_kind.q.zext(8);
        self.ack = 0;
        self.error.ready = 0;

        let mask = byte_mask(self.be);
        let is_command = self.dw == DW_COMMAND;
        let is_device = self.dw == DW_DEVICE;
        let is_msix = self.dw == DW_MSIX;
        let is_sriov = (self.dw == DW_SRIOV) & !is_vf;

        // What an error is: its bit of AER, whether the requester was told of it, and its bits of Status.
        let mut code = sized(0, 5);
        let mut coded = sized(1, 1);
        let mut advisory = sized(0, 1);
        let mut found = sized(0, 16);
        match self.error.event {
            Found::MALFORMED => code = konst(aer::MALFORMED.lo),
            Found::UNSUPPORTED => {
                code = konst(aer::UNSUPPORTED_REQUEST.lo);
                advisory = 1;
            }
            Found::UNSUPPORTED_POSTED => code = konst(aer::UNSUPPORTED_REQUEST.lo),
            Found::POISONED => {
                code = konst(aer::POISONED.lo);
                advisory = 1;
                found = konst(header::STATUS_DETECTED_PARITY.mask());
            }
            Found::POISONED_POSTED => {
                code = konst(aer::POISONED.lo);
                found = konst(header::STATUS_DETECTED_PARITY.mask());
            }
            Found::POISONED_COMPLETION => {
                code = konst(aer::POISONED.lo);
                advisory = 1;
                found = konst(header::STATUS_DETECTED_PARITY.mask());
            }
            Found::UNEXPECTED => {
                code = konst(aer::UNEXPECTED_COMPLETION.lo);
                advisory = 1;
            }
            Found::TIMEOUT => code = konst(aer::COMPLETION_TIMEOUT.lo),
            Found::MASTER_ABORT => {
                coded = 0;
                found = konst(header::STATUS_RECEIVED_MASTER_ABORT.mask());
            }
            _ => {
                coded = 0;
                found = konst(header::STATUS_RECEIVED_TARGET_ABORT.mask());
            }
        }
        let code_bit = sized(1, 32) << code;
        let is_ur = code == konst(aer::UNSUPPORTED_REQUEST.lo);
        let told = advisory & !self.er_fatal.q;
        let quiet = told & self.er_quiet.q;
        // Which function records it: its own, or each PF in turn when there is none.
        let mut error_vfe = sized(0, 1);
        let mut error_num = sized(0, 6);
        let mut serr = sized(0, 1);
        let mut responds = sized(0, 1);
        for k in 0..KINDS {
            if self.error.owner.bits(1, 0) == k {
                error_vfe = self.l_vfe[k].q;
                error_num = self.l_num_vfs[k].q;
            }
            if self.er_kind.q == k {
                serr = self.l_serr[k].q;
                responds = self.l_parity[k].q;
            }
        }
        let error_slot = self.error.owner.bits(7, 2);
        let error_known = (error_slot == 0) | (error_vfe & (error_slot <= error_num));
        let er_owner = if self.er_all.q { self.er_kind.q.zext(8) } else { self.error.owner };
        let er_is_pf = er_owner.bits(7, 2) == 0;
        // The PF of a VF has its parity response (PCIe 9.3.4.1.3).
        let mastered = (self.error.event == Found::POISONED_COMPLETION) & responds;
        if mastered {
            found = found | konst(header::STATUS_MASTER_DATA_PARITY.mask());
        }
        // The severity of the message, and whether Command or Device Control let it out (PCIe 6.2.6).
        let cor_on = self.er_enables.q.get(express::DEVICE_CONTROL_CORRECTABLE);
        let bad_on = if self.er_fatal.q {
            self.er_enables.q.get(express::DEVICE_CONTROL_FATAL)
        } else {
            self.er_enables.q.get(express::DEVICE_CONTROL_NONFATAL)
        };
        let ur_on = (!is_ur) | self.er_enables.q.get(express::DEVICE_CONTROL_UR);
        let lets = if told { (!quiet) & cor_on & ur_on } else { (!self.er_masked.q) & ((bad_on & ur_on) | serr) };
        let severity = cat(self.er_fatal.q, (!self.er_fatal.q) & !told, told);
        self.message_code = if told {
            sized(tlp::MSG_ERR_COR, 8)
        } else {
            if self.er_fatal.q { sized(tlp::MSG_ERR_FATAL, 8) } else { tlp::MSG_ERR_NONFATAL }
        };
        let sends = coded & er_is_pf & lets & !(self.er_sent.q & severity).any();

        match self.st.q {
            St::IDLE => {
                self.owner.d = asked;
                self.sw_reply.d = 0;
                if self.booting.q {
                    // Reset: every word of state back to "as at reset".
                    we = 1;
                    flag_we = 1;
                    msix_we = 1;
                    re_we = 1;
                    self.boot.d = self.boot.q + 1;
                    if self.boot.q == konst(self.rows.get() - 1) {
                        self.booting.d = 0;
                    }
                } else if self.forget.clear {
                    self.owner.d = self.forget.reset_owner;
                    self.st.d = St::CLEAR;
                } else if self.valid {
                    self.absent.d = !exists;
                    self.later.d = 0;
                    self.out.d = 0;
                    self.st.d = if exists { St::ROM } else { St::ACK };
                } else if self.error.valid & self.message_room {
                    let all = self.error.everyone | !error_known;
                    self.er_all.d = all;
                    self.er_kind.d = if all { 0 } else { self.error.owner.bits(1, 0) };
                    self.er_sent.d = 0;
                    self.owner.d = self.error.owner;
                    self.st.d = St::ERROR_NEXT;
                    self.er_step.d = 0;
                }
            }
            St::ROM => {
                self.later.d = self.resetting_own.rdata;
                self.st.d = if inside & !self.resetting_own.rdata { St::STATE } else { St::ACK };
            }
            St::STATE => self.st.d = St::EXECUTE,
            St::EXECUTE => {
                let cur = if t_stored { self.state.rdata ^ t_reset } else { t_reset };
                let wm = t_write & mask;
                let written = (cur & !wm) | (self.wdata & wm);
                let cleared = written & !(self.wdata & t_clear & mask);
                self.cur.d = cur;
                self.out.d = cur;
                self.new.d = cleared;
                self.st.d = if self.write { St::CHECK } else { St::ACK };
            }
            St::CHECK => {
                // What a few registers insist on before they take the value.
                let mut value = self.new.q;
                let mut refuse = sized(0, 1);
                if is_sriov {
                    // VFs lie beyond function 7: without ARI above us nobody could reach them.
                    let ari = if owner_kind == 0 { value.get(sriov::CONTROL_ARI) } else { self.l_ari.q };
                    if !ari {
                        value = value & konst(0xffff_ffff & !sriov::CONTROL_VF_ENABLE.mask());
                    }
                }
                if (self.dw == DW_NUM_VFS) & !is_vf {
                    refuse = vfe | (value.bits(15, 0) > konst(self.vfs.get()));
                }
                if (self.dw == DW_PAGE) & !is_vf {
                    let one = (value & (value - 1)) == 0;
                    refuse = vfe | !one | (value == 0);
                }
                if (self.dw == DW_VF_BAR) & !is_vf {
                    let keep = match scale {
                        0 => sized(0xffff_ffff, 32),
                        1 => 0xffff_000f,
                        2 => 0xfffc_000f,
                        3 => 0xfff0_000f,
                        _ => 0xffc0_000f,
                    };
                    value = value & keep;
                }
                if self.dw == DW_PMCSR {
                    let state = value.get(power::PMCSR_STATE);
                    refuse = (state != power::D0) & (state != power::D3HOT);
                }
                self.new.d = value;
                self.refuse.d = refuse;
                self.st.d = St::EFFECT;
            }
            St::EFFECT => {
                let value = self.new.q;
                let refuse = self.refuse.q;
                we = t_stored & !refuse;
                wdata = value ^ t_reset;
                self.st.d = St::ACK;

                if is_command {
                    flag_we = 1;
                    bme_new = value.get(header::COMMAND_BME);
                    self.kick = value.get(header::COMMAND_BME);
                }
                if is_msix {
                    msix_we = 1;
                    msix_new = value.bits(31, 30);
                    self.kick = 1;
                }
                if is_device & mask.bit(15) & self.wdata.get(express::DEVICE_CONTROL_FLR) {
                    self.sw_kind.d = owner_kind;
                    self.sw_self.d = 1;
                    self.sw_vfs.d = !is_vf;
                    self.sw_slot.d = konst(self.vfs.get());
                    self.sw_reply.d = 1;
                    self.st.d = St::SWEEP_NEXT;
                }
                for k in 0..KINDS {
                    if (owner_kind == k) & !is_vf & !refuse {
                        match self.dw {
                            DW_COMMAND => {
                                self.l_mse[k].d = value.get(header::COMMAND_MSE);
                                self.l_serr[k].d = value.get(header::COMMAND_SERR);
                                self.l_parity[k].d = value.get(header::COMMAND_PARITY);
                            }
                            DW_BAR0 => self.l_bar0[k].d = cat(self.l_bar0[k].q.bits(49, 18), value.bits(31, 14)),
                            DW_BAR1 => self.l_bar0[k].d = cat(value, self.l_bar0[k].q.bits(17, 0)),
                            DW_PMCSR => {
                                self.l_sleep[k].d = value.get(power::PMCSR_STATE) == power::D3HOT;
                            }
                            DW_DEVICE => {
                                self.l_mrrs[k].d = value.get(express::DEVICE_CONTROL_MRRS);
                                if const { k == 0 } {
                                    self.l_mps.d = value.get(express::DEVICE_CONTROL_MPS);
                                }
                            }
                            DW_SRIOV => {
                                self.l_vf_mse[k].d = value.get(sriov::CONTROL_VF_MSE);
                                self.l_vfe[k].d = value.get(sriov::CONTROL_VF_ENABLE);
                                if const { k == 0 } {
                                    self.l_ari.d = value.get(sriov::CONTROL_ARI);
                                }
                                if vfe & !value.get(sriov::CONTROL_VF_ENABLE) {
                                    self.sw_kind.d = konst(k);
                                    self.sw_self.d = 0;
                                    self.sw_vfs.d = 1;
                                    self.sw_slot.d = konst(self.vfs.get());
                                    self.sw_reply.d = 1;
                                    self.st.d = St::SWEEP_NEXT;
                                }
                            }
                            DW_DEVICE_2 => {
                                self.l_patient[k].d = value.get(express::DEVICE_CONTROL_2_CTO_DISABLE);
                            }
                            DW_NUM_VFS => self.l_num_vfs[k].d = value.bits(5, 0),
                            DW_PAGE => {
                                self.l_scale[k].d = match value.bits(10, 0) {
                                    0x10 => 1,
                                    0x40 => 2,
                                    0x100 => 3,
                                    0x400 => 4,
                                    _ => 0,
                                };
                            }
                            DW_VF_BAR => {
                                self.l_vf_bar0[k].d = cat(self.l_vf_bar0[k].q.bits(49, 18), value.bits(31, 14));
                            }
                            DW_VF_BAR1 => {
                                self.l_vf_bar0[k].d = cat(value, self.l_vf_bar0[k].q.bits(17, 0));
                            }
                            _ => {}
                        }
                    }
                }
                if (self.owner.q == function::TRUST) & (self.dw == konst(DW_BAR0 + 2)) {
                    self.l_manage.d = cat(self.l_manage.q.bits(47, 16), value.bits(31, 16));
                }
                if (self.owner.q == function::TRUST) & (self.dw == konst(DW_BAR0 + 3)) {
                    self.l_manage.d = cat(value, self.l_manage.q.bits(15, 0));
                }
            }
            St::ACK => {
                self.ack = 1;
                self.st.d = St::IDLE;
            }

            // Forget functions: VFs from the last to the first, then the one that asked.
            St::SWEEP_NEXT => {
                if self.sw_vfs.q & (self.sw_slot.q != 0) {
                    self.owner.d = cat(self.sw_slot.q, self.sw_kind.q);
                    self.sw_slot.d = self.sw_slot.q - 1;
                    self.st.d = St::SWEEP_READ;
                } else if self.sw_self.q {
                    self.sw_self.d = 0;
                    self.sw_vfs.d = 0;
                    if self.sw_vfs.q {
                        self.owner.d = self.sw_kind.q.zext(8);
                        for k in 0..KINDS {
                            if self.sw_kind.q == k {
                                self.l_bar0[k].d = 0;
                                self.l_vf_bar0[k].d = 0;
                                self.l_mse[k].d = 0;
                                self.l_serr[k].d = 0;
                                self.l_parity[k].d = 0;
                                self.l_sleep[k].d = 0;
                                self.l_vfe[k].d = 0;
                                self.l_vf_mse[k].d = 0;
                                self.l_num_vfs[k].d = 0;
                                self.l_scale[k].d = 0;
                                self.l_patient[k].d = 0;
                                self.l_mrrs[k].d =
                                    konst(express::DEVICE_CONTROL_MRRS.of(express::DEVICE_CONTROL_RESET));
                                if const { k == 2 } {
                                    self.l_manage.d = 0;
                                }
                            }
                        }
                    }
                    self.st.d = St::SWEEP_READ;
                } else {
                    self.st.d = if self.sw_reply.q { St::ACK } else { St::IDLE };
                }
            }
            St::SWEEP_READ => {
                flag_we = 1;
                msix_we = 1;
                self.sw_index.d = 0;
                st_slot = 0;
                // Not one that is being forgotten already.
                self.forget.put = !self.resetting_own.rdata;
                re_we = 1;
                re_new = 1;
                self.st.d = St::SWEEP;
            }
            St::SWEEP => {
                // One slot after the other; of a few the sweep leaves something (PCIe 6.6.2).
                let next = self.sw_index.q + 1;
                st_slot = next;
                we = 1;
                wslot = self.sw_index.q;
                wdata = 0;
                for i in 0..fields::FIRST_STICKY {
                    if const { fields::KEPT[i] != 0 } {
                        if self.sw_index.q == i {
                            wdata = self.state.rdata & konst(fields::KEPT[i]);
                        }
                    }
                }
                self.sw_index.d = next;
                if self.sw_index.q == konst(fields::FIRST_STICKY - 1) {
                    self.st.d = St::SWEEP_NEXT;
                }
            }
            St::CLEAR => {
                re_we = 1;
                self.st.d = St::IDLE;
            }

            // Record an error: for each function first what decides, then what changes.
            St::ERROR_NEXT => {
                // A VF has neither severities nor a log; what has no bit in AER is in Status alone.
                self.er_fatal.d = 0;
                self.er_masked.d = 0;
                self.er_quiet.d = 0;
                self.er_logs.d = 0;
                self.er_step.d = if !coded {
                    sized(Step::STATUS, 3)
                } else {
                    if er_is_pf { sized(Step::SEVERITY, 3) } else { Step::DEVICE }
                };
                self.st.d = St::ERROR_READ;
                if (!self.er_all.q) & self.resetting_own.rdata {
                    // What it left under way is not for whoever has the function next.
                    self.error.ready = 1;
                    self.st.d = St::IDLE;
                }
            }
            St::ERROR_READ => {
                st_owner = er_owner;
                st_slot = match self.er_step.q {
                    Step::SEVERITY => sized(slot::SEVERITY, 5),
                    Step::MASK => slot::MASK,
                    Step::CORRECTABLE_MASK => slot::CORRECTABLE_MASK,
                    Step::POINTER => slot::AER_CONTROL,
                    Step::UNCORRECTABLE => slot::UNCORRECTABLE,
                    Step::CORRECTABLE => slot::CORRECTABLE,
                    Step::DEVICE => slot::DEVICE,
                    _ => slot::COMMAND,
                };
                self.st.d = St::ERROR_TAKE;
            }
            St::ERROR_TAKE => {
                let v = self.state.rdata;
                let severities = v ^ konst(aer::UNCORRECTABLE_SEVERITY_RESET);
                let cor_masks = v ^ konst(aer::CORRECTABLE_MASK_RESET);
                st_owner = er_owner;
                self.er_step.d = self.er_step.q + 1;
                self.st.d = St::ERROR_READ;
                match self.er_step.q {
                    Step::SEVERITY => self.er_fatal.d = (severities & code_bit).any(),
                    Step::MASK => self.er_masked.d = (v & code_bit).any(),
                    Step::CORRECTABLE_MASK => self.er_quiet.d = cor_masks.get(aer::ADVISORY_NONFATAL),
                    Step::POINTER => self.er_pointer.d = v.get(aer::CONTROL_FIRST_ERROR),
                    Step::UNCORRECTABLE => {
                        we = !quiet;
                        wslot = konst(slot::UNCORRECTABLE);
                        wdata = v | code_bit;
                        // The log has its first error until the bit that First Error Pointer names is cleared (PCIe 6.2.4.2).
                        self.er_logs.d = (!quiet) & (!self.er_masked.q) & !v.sel(self.er_pointer.q);
                    }
                    Step::CORRECTABLE => {
                        we = told;
                        wslot = konst(slot::CORRECTABLE);
                        wdata = v | konst(aer::ADVISORY_NONFATAL.mask());
                    }
                    Step::DEVICE => {
                        let kind = cat(is_ur, self.er_fatal.q, (!self.er_fatal.q) & !told, told);
                        we = 1;
                        wslot = konst(slot::DEVICE);
                        wdata = v | (kind.zext(32) << 16);
                        let control = v ^ konst(express::DEVICE_CONTROL_RESET);
                        self.er_enables.d = control.trunc(4);
                    }
                    _ => {
                        // Signaled System Error, when SERR# Enable let a message out that is not correctable (PCIe 7.5.1.1.4).
                        let signaled = sends & serr & !told;
                        let system =
                            if signaled { konst(header::STATUS_SIGNALED_SYSTEM_ERROR.mask()) } else { sized(0, 16) };
                        we = 1;
                        wslot = konst(slot::COMMAND);
                        wdata = v | ((found | system).zext(32) << 16);
                        self.message = sends;
                        self.er_sent.d = if sends { self.er_sent.q | severity } else { self.er_sent.q };
                        self.er_step.d = 0;
                        self.st.d = St::ERROR_LOG;
                    }
                }
            }
            St::ERROR_LOG => {
                st_owner = er_owner;
                we = self.er_logs.q;
                wslot = sized(slot::HEADER_LOG, 5) + self.er_step.q.zext(5);
                wdata = match self.er_step.q {
                    0 => self.error.header.bits(31, 0),
                    1 => self.error.header.bits(63, 32),
                    2 => self.error.header.bits(95, 64),
                    _ => self.error.header.bits(127, 96),
                };
                self.er_step.d = self.er_step.q + 1;
                if self.er_step.q == 4 {
                    wslot = konst(slot::AER_CONTROL);
                    wdata = code.zext(32);
                }
                if (!self.er_logs.q) | (self.er_step.q == 4) {
                    self.er_kind.d = self.er_kind.q + 1;
                    if self.er_all.q & (self.er_kind.q != konst(KINDS - 1)) {
                        self.st.d = St::ERROR_NEXT;
                    } else {
                        self.error.ready = 1;
                        self.st.d = St::IDLE;
                    }
                }
            }
            _ => self.st.d = St::IDLE,
        }

        let boot = self.booting.q;
        self.state.we = we;
        self.state.waddr = if boot { self.boot.q } else { cat(st_owner, wslot) };
        self.state.wdata = if boot { 0 } else { wdata };
        self.state.raddr = cat(st_owner, st_slot);
        let flag_at = if boot { self.boot.q.bits(12, 5) } else { flag_owner };
        let reset_at = if boot { self.boot.q.bits(12, 5) } else { re_at };
        self.bme.we = flag_we;
        self.bme.waddr = flag_at;
        self.bme.wdata = bme_new;
        self.bme.raddr = self.ask;
        self.msix.we = msix_we;
        self.msix.waddr = flag_at;
        self.msix.wdata = msix_new;
        self.msix.raddr = self.msix_ask;
        self.resetting.we = re_we;
        self.resetting.waddr = reset_at;
        self.resetting.wdata = re_new;
        self.resetting.raddr = self.ask;
        self.resetting_own.we = re_we;
        self.resetting_own.waddr = reset_at;
        self.resetting_own.wdata = re_new;
        self.resetting_own.raddr = self.owner.q;
        self.resetting_tag.we = re_we;
        self.resetting_tag.waddr = reset_at;
        self.resetting_tag.wdata = re_new;
        self.resetting_tag.raddr = self.tag_ask;
        self.tag_forgotten = self.resetting_tag.rdata;

        // A sleeping PF (D3hot) sends nothing, and neither do its VFs.
        let mut asleep = sized(0, 1);
        let mut ask_vfe = sized(0, 1);
        let mut ask_num = sized(0, 6);
        for k in 0..KINDS {
            if self.ask.bits(1, 0) == k {
                asleep = self.l_sleep[k].q;
                ask_vfe = self.l_vfe[k].q;
                ask_num = self.l_num_vfs[k].q;
            }
        }
        let may = self.bme.rdata & !self.resetting.rdata & !asleep & !boot;
        self.may = may;
        // Wherever one of these is written.
        self.changed = boot
            | (self.st.q == St::EFFECT)
            | (self.st.q == St::SWEEP_NEXT)
            | (self.st.q == St::SWEEP_READ)
            | (self.st.q == St::CLEAR);
        self.msix_enable = self.msix.rdata.bit(1);
        self.msix_mask = self.msix.rdata.bit(0);

        self.reset_valid = self.forget.reset_valid;
        self.reset_owner = self.forget.reset_owner;

        // What must hold of all this.
        self.silence.ask = self.ask;
        self.silence.may = may;
        self.silence.bme = self.bme.rdata;
        self.silence.resetting = self.resetting.rdata;
        self.silence.vfe = ask_vfe;
        self.silence.num = ask_num;
        self.silence.st = self.st.q;
        self.silence.owner = self.owner.q;
        self.silence.valid = self.valid;
        self.silence.write = self.write;
        self.silence.number = self.number;
        self.silence.dw = self.dw;
        self.silence.be = self.be;
        self.silence.wdata = self.wdata;
        self.silence.absent = self.absent.q;
        self.silence.later = self.later.q;
        self.silence.sw_slot = self.sw_slot.q;
        self.silence.sw_kind = self.sw_kind.q;
        self.silence.sw_self = self.sw_self.q;
        self.silence.sw_vfs = self.sw_vfs.q;
        self.silence.let_go = self.forget.clear;
        self.silence.re_owner = self.forget.reset_owner;
        self.silence.booting = boot;
        self.silence.boot = self.boot.q;

        self.waited.d = if self.valid & !self.ack & !boot { self.waited.q + 1 } else { 0 };
        if const { self.timed.get() != 0 } {
            check!(self.waited.q <= konst(CONFIG_CLOCKS), "a configuration access is not answered");
        }

        self.rdata = self.out.q;
        self.none = self.absent.q;
        self.retry = self.later.q;
        for k in 0..KINDS {
            let awake = !self.l_sleep[k].q;
            self.bar0[k] = self.l_bar0[k].q;
            self.vf_bar0[k] = self.l_vf_bar0[k].q;
            self.memory[k] = self.l_mse[k].q & awake;
            self.vf_memory[k] = self.l_vf_mse[k].q & self.l_vfe[k].q & awake;
            self.num_vfs[k] = self.l_num_vfs[k].q;
            self.enabled_vfs[k] = if self.l_vfe[k].q { self.l_num_vfs[k].q } else { 0 };
            self.vf_scale[k] = self.l_scale[k].q;
            self.mrrs[k] = self.l_mrrs[k].q;
            self.patient[k] = self.l_patient[k].q;
        }
        self.manage_bar = self.l_manage.q;
        self.mps = self.l_mps.q;
        self.busy = (self.st.q != St::IDLE) | boot | self.forget.busy | self.valid | self.error.valid;
    }
}
