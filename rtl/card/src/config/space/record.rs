//! Records an error in the functions that it is of: in its own, or in each PF in turn when it is nobody's. Of each first what
//! decides is read, then what changes is written (PCIe 6.2).

use azote_hdl::prelude::*;
use azote_regs::function;
use azote_regs::pcie::{aer, express, header, tlp};

use super::super::fields::slot;
use super::super::message::MessageOut;
use super::event;
use crate::transaction::{ErrorIn, Found};

struct St;
impl St {
    const IDLE: u64 = 0;
    const NEXT: u64 = 1;
    const READ: u64 = 2;
    const TAKE: u64 = 3;
    const LOG: u64 = 4;
}

/// The registers of a function that decide or change, in the order in which they are read.
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

#[derive(LogicBlock, Default)]
pub struct Record {
    pub clock: Clk,
    pub reset: Rst,
    pub error: ErrorIn,
    /// One clock: start with `error`; whether a function of its owner's name is there.
    pub start: I<1>,
    pub there: I<1>,
    /// In the clock after: its function is being reset.
    pub resetting: I<1>,
    /// The last clock.
    pub over: O<1>,
    /// The PF in hand, its SERR# Enable and its Parity Error Response.
    pub kind: O<2>,
    pub serr: I<1>,
    pub parity: I<1>,
    /// The state RAM.
    pub owner: O<8>,
    pub slot: O<5>,
    pub we: O<1>,
    pub wslot: O<5>,
    pub wdata: O<32>,
    pub rdata: I<32>,
    /// An error is only begun while there is room for its messages.
    pub message: MessageOut,
    st: Reg<3>,
    /// At which PF of all, which step, and what has been read of the function.
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
}

#[kernel]
impl Logic for Record {
    fn update(&mut self) {
        self.kind = self.er_kind.q;
        self.we = 0;
        self.wslot = 0;
        self.wdata = 0;
        self.slot = match self.er_step.q {
            Step::SEVERITY => sized(slot::SEVERITY, 5),
            Step::MASK => slot::MASK,
            Step::CORRECTABLE_MASK => slot::CORRECTABLE_MASK,
            Step::POINTER => slot::AER_CONTROL,
            Step::UNCORRECTABLE => slot::UNCORRECTABLE,
            Step::CORRECTABLE => slot::CORRECTABLE,
            Step::DEVICE => slot::DEVICE,
            _ => slot::COMMAND,
        };
        let mut over = sized(0, 1);

        // What an error is: its bit of AER, whether the requester was told of it, and its bits of Status.
        let found = self.error.event;
        let code = event::code(found);
        let coded = event::coded(found);
        let code_bit = sized(1, 32) << code;
        let is_ur = code == konst(aer::UNSUPPORTED_REQUEST.lo);
        let told = event::advisory(found) & !self.er_fatal.q;
        let quiet = told & self.er_quiet.q;
        let er_owner = if self.er_all.q { self.er_kind.q.zext(8) } else { self.error.owner };
        let is_pf = er_owner.bits(7, 2) == 0;
        self.owner = er_owner;
        // The PF of a VF has its parity response (PCIe 9.3.4.1.3).
        let mastered = (found == Found::POISONED_COMPLETION) & self.parity;
        let master = if mastered { konst(header::STATUS_MASTER_DATA_PARITY.mask()) } else { sized(0, 16) };
        let status = event::status(found) | master;
        // The severity of the message, and whether Command or Device Control let it out (PCIe 6.2.6).
        let cor_on = self.er_enables.q.get(express::DEVICE_CONTROL_CORRECTABLE);
        let bad_on = if self.er_fatal.q {
            self.er_enables.q.get(express::DEVICE_CONTROL_FATAL)
        } else {
            self.er_enables.q.get(express::DEVICE_CONTROL_NONFATAL)
        };
        let ur_on = (!is_ur) | self.er_enables.q.get(express::DEVICE_CONTROL_UR);
        let lets = if told { (!quiet) & cor_on & ur_on } else { (!self.er_masked.q) & ((bad_on & ur_on) | self.serr) };
        let severity = cat(self.er_fatal.q, (!self.er_fatal.q) & !told, told);
        let sends = coded & is_pf & lets & !(self.er_sent.q & severity).any();
        self.message.valid = 0;
        self.message.owner = self.er_kind.q.zext(8);
        self.message.code = if told {
            sized(tlp::MSG_ERR_COR, 8)
        } else {
            if self.er_fatal.q { sized(tlp::MSG_ERR_FATAL, 8) } else { tlp::MSG_ERR_NONFATAL }
        };

        match self.st.q {
            St::IDLE => {
                if self.start {
                    let all = self.error.everyone | !self.there;
                    self.er_all.d = all;
                    self.er_kind.d = if all { 0 } else { self.error.owner.bits(1, 0) };
                    self.er_sent.d = 0;
                    self.st.d = St::NEXT;
                }
            }
            St::NEXT => {
                // A VF has neither severities nor a log; what has no bit in AER is in Status alone.
                self.er_fatal.d = 0;
                self.er_masked.d = 0;
                self.er_quiet.d = 0;
                self.er_logs.d = 0;
                self.er_step.d = if !coded {
                    sized(Step::STATUS, 3)
                } else {
                    if is_pf { sized(Step::SEVERITY, 3) } else { Step::DEVICE }
                };
                self.st.d = St::READ;
                if (!self.er_all.q) & self.resetting {
                    // What it left under way is not for whoever has the function next.
                    over = sized(1, 1);
                }
            }
            St::READ => self.st.d = St::TAKE,
            St::TAKE => {
                let v = self.rdata;
                let severities = v ^ konst(aer::UNCORRECTABLE_SEVERITY_RESET);
                let cor_masks = v ^ konst(aer::CORRECTABLE_MASK_RESET);
                self.er_step.d = self.er_step.q + 1;
                self.st.d = St::READ;
                match self.er_step.q {
                    Step::SEVERITY => self.er_fatal.d = (severities & code_bit).any(),
                    Step::MASK => self.er_masked.d = (v & code_bit).any(),
                    Step::CORRECTABLE_MASK => self.er_quiet.d = cor_masks.get(aer::ADVISORY_NONFATAL),
                    Step::POINTER => self.er_pointer.d = v.get(aer::CONTROL_FIRST_ERROR),
                    Step::UNCORRECTABLE => {
                        self.we = !quiet;
                        self.wslot = konst(slot::UNCORRECTABLE);
                        self.wdata = v | code_bit;
                        // The log has its first error until the bit that First Error Pointer names is cleared (PCIe 6.2.4.2).
                        self.er_logs.d = (!quiet) & (!self.er_masked.q) & !v.sel(self.er_pointer.q);
                    }
                    Step::CORRECTABLE => {
                        self.we = told;
                        self.wslot = konst(slot::CORRECTABLE);
                        self.wdata = v | konst(aer::ADVISORY_NONFATAL.mask());
                    }
                    Step::DEVICE => {
                        let kind = cat(is_ur, self.er_fatal.q, (!self.er_fatal.q) & !told, told);
                        self.we = 1;
                        self.wslot = konst(slot::DEVICE);
                        self.wdata = v | (kind.zext(32) << 16);
                        let control = v ^ konst(express::DEVICE_CONTROL_RESET);
                        self.er_enables.d = control.trunc(4);
                    }
                    _ => {
                        // Signaled System Error, when SERR# Enable let a message out that is not correctable (PCIe 7.5.1.1.4).
                        let signaled = sends & self.serr & !told;
                        let system =
                            if signaled { konst(header::STATUS_SIGNALED_SYSTEM_ERROR.mask()) } else { sized(0, 16) };
                        self.we = 1;
                        self.wslot = konst(slot::COMMAND);
                        self.wdata = v | ((status | system).zext(32) << 16);
                        self.message.valid = sends;
                        self.er_sent.d = if sends { self.er_sent.q | severity } else { self.er_sent.q };
                        self.er_step.d = 0;
                        self.st.d = St::LOG;
                    }
                }
            }
            St::LOG => {
                let logged = self.er_step.q == 4;
                let line = match self.er_step.q {
                    0 => self.error.header.bits(31, 0),
                    1 => self.error.header.bits(63, 32),
                    2 => self.error.header.bits(95, 64),
                    _ => self.error.header.bits(127, 96),
                };
                self.we = self.er_logs.q;
                self.wslot = if logged {
                    sized(slot::AER_CONTROL, 5)
                } else {
                    sized(slot::HEADER_LOG, 5) + self.er_step.q.zext(5)
                };
                self.wdata = if logged { code.zext(32) } else { line };
                self.er_step.d = self.er_step.q + 1;
                if (!self.er_logs.q) | logged {
                    self.er_kind.d = self.er_kind.q + 1;
                    if self.er_all.q & (self.er_kind.q != konst(function::KINDS - 1)) {
                        self.st.d = St::NEXT;
                    } else {
                        over = sized(1, 1);
                    }
                }
            }
            _ => self.st.d = St::IDLE,
        }
        if over {
            self.st.d = St::IDLE;
        }
        self.error.ready = over;
        self.over = over;
    }
}
