//! What must hold of the gate (isolation rule 3), and why it does: the steps of a proof by induction, as checks.
//!
//! It sees the configuration space from inside and drives nothing, so that a board has nothing of it. What needs no memory
//! of the past is tried in every simulation, for whatever function the gate is asked about. The rest follows one function
//! for ever, as a prover can: "since Bus Master Enable was turned off" is a bit of history. `docs/formal.md` says what is
//! proved of it.

use azote_hdl::prelude::*;
use azote_regs::pcie::{express, header};

use super::words::{DW_COMMAND, DW_DEVICE, St};
use crate::transaction::header::{in_gap, owner_of};

#[derive(LogicBlock, Default)]
pub struct Silence {
    pub clock: Clk,
    pub reset: Rst,
    /// The function that is asked about, the answer, and what it is made of.
    pub ask: I<8>,
    pub may: I<1>,
    pub bme: I<1>,
    pub resetting: I<1>,
    /// VF Enable and NumVFs of its kind.
    pub vfe: I<1>,
    pub num: I<6>,
    pub st: I<5>,
    pub owner: I<8>,
    /// The access in hand.
    pub valid: I<1>,
    pub write: I<1>,
    pub number: I<8>,
    pub dw: I<10>,
    pub be: I<4>,
    pub wdata: I<32>,
    pub absent: I<1>,
    /// The access in hand is answered with "later".
    pub later: I<1>,
    pub sw_slot: I<6>,
    pub sw_kind: I<2>,
    pub sw_self: I<1>,
    pub sw_vfs: I<1>,
    /// The engines have let go of `re_owner`.
    pub let_go: I<1>,
    pub re_owner: I<8>,
    pub booting: I<1>,
    pub boot: I<13>,
    vfs: Param,
    watched: Param,
    /// Bus Master Enable was turned off by a write or a reset, and nobody has written Command since.
    off: Reg<1>,
    /// A reset of the function has begun, and the engines have not let go of it.
    forgetting: Reg<1>,
    /// The sweep in hand has been at the function.
    swept: Reg<1>,
}

impl Silence {
    /// `watched`: `ask` never changes.
    pub fn new(vfs: usize, watched: bool) -> Self {
        Silence { vfs: Param::new(vfs), watched: Param::new(watched.into()), off: Reg::new(true), ..Self::default() }
    }
}

#[kernel]
impl Logic for Silence {
    fn update(&mut self) {
        let slot = self.ask.bits(7, 2);
        let is_vf = slot != 0;
        let known = slot <= konst(self.vfs.get());
        let enabled = (!is_vf) | (self.vfe & (slot <= self.num));
        let awake = !self.booting;
        let target = owner_of(self.number);
        let at_reading = self.st == St::SWEEP_READ;
        let at_next = self.st == St::SWEEP_NEXT;
        let at_sweep = self.st == St::SWEEP;
        let sweeping = at_reading | at_next | at_sweep;
        let accessing =
            (self.st == St::ROM) | (self.st == St::STATE) | (self.st == St::EXECUTE) | (self.st == St::EFFECT);
        let acking = self.st == St::ACK;
        let mine = self.owner == self.ask;
        let reads_mine = at_reading & mine;
        // The sweep is over the VFs of the asked function's kind: it is yet to come to it, or has been there.
        let over_mine = sweeping & self.sw_vfs & is_vf & (self.sw_kind == self.ask.bits(1, 0));
        let ahead = over_mine & (self.sw_slot >= slot);
        let behind = over_mine & (self.sw_slot < slot) & !reads_mine;

        check!((!self.booting) | (self.st == St::IDLE), "nothing is served before the memories are swept");
        let passed = self.boot.bits(12, 5) > self.ask;
        check!((!(self.booting & passed)) | !(self.bme | self.resetting), "the sweep after a reset clears the gate");
        check!((!accessing) | (self.valid & (self.owner == target)), "an access is at the function that it names");
        check!((!(accessing & mine)) | enabled, "rule 2: an access to a VF that is not enabled is served");
        check!(self.num <= konst(self.vfs.get()), "there are more VFs than the card has");
        check!(
            (!(awake & self.bme)) | enabled | ahead | reads_mine,
            "rule 3: a VF that is not enabled is a bus master"
        );
        check!((!(awake & behind)) | !self.bme, "rule 3: a VF that was swept is a bus master");
        let idle_vf = is_vf & !enabled & !sweeping;
        check!((!(self.may & idle_vf)), "rule 3: a VF that is not enabled may send");
        check!(
            (!self.may) | (self.bme & !self.resetting & awake),
            "rule 3: the gate is open without Bus Master Enable"
        );

        check!(self.sw_slot <= konst(self.vfs.get()), "a sweep begins beyond the last VF");
        check!((!(sweeping & mine)) | known, "a sweep is at a VF that the card has not");
        // A reset of one function alone stays with it; one of a PF with its VFs ends with the PF.
        let to_itself = self.sw_self & !self.sw_vfs;
        let to_all = self.sw_self & self.sw_vfs;
        check!((!sweeping) | self.valid, "a sweep goes on without the access that asked for it");
        check!((!sweeping) | (!to_itself) | (self.owner == target), "a sweep leaves its function");
        let is_pf = target == self.sw_kind.zext(8);
        check!((!sweeping) | (!to_all) | is_pf, "a sweep of all ends elsewhere than at their PF");

        // A window does nothing here, but its answer is one: it must not be one to what shuts the gate.
        let looking = (self.st == St::WINDOW_BAR) | (self.st == St::WINDOW_OFFSET) | (self.st == St::WINDOW_LENGTH);
        let shuts = (self.dw == DW_COMMAND) | (self.dw == DW_DEVICE);
        check!(
            (!looking) | (self.valid & (self.owner == target) & !shuts),
            "a window is elsewhere than where it stands"
        );
        check!((!(looking & mine)) | enabled, "rule 2: a window of a VF that is not enabled is served");

        if const { self.watched.get() != 0 } {
            let named = self.valid & self.write & (target == self.ask) & !in_gap(self.number);
            let commands = named & (self.dw == DW_COMMAND);
            let turns_off = commands & self.be.bit(0) & !self.wdata.get(header::COMMAND_BME);
            let resets = named & (self.dw == DW_DEVICE) & self.be.bit(1) & self.wdata.get(express::DEVICE_CONTROL_FLR);
            if reads_mine | (acking & turns_off & !self.later) {
                self.off.d = 1;
            } else if commands {
                self.off.d = 0;
            }
            if reads_mine {
                self.forgetting.d = 1;
            } else if (self.st == St::IDLE) & self.let_go & (self.re_owner == self.ask) {
                self.forgetting.d = 0;
            }
            if reads_mine {
                self.swept.d = 1;
            } else if self.st == St::IDLE {
                self.swept.d = 0;
            }
            let served = accessing | acking;
            check!(
                (!self.booting) | !(self.forgetting.q | self.swept.q),
                "a function is forgotten before it was known"
            );
            check!(!(sweeping & commands), "a write to Command begins a sweep");
            check!((!(served & commands)) | !self.off.q, "what is being written is not known");
            check!((!(awake & self.off.q)) | !self.bme, "rule 3: Bus Master Enable is off, and the gate has it on");
            check!((!self.forgetting.q) | self.resetting, "rule 3: a function in FLR is not silent");
            check!((!self.swept.q) | self.forgetting.q, "who was swept is being forgotten");
            check!((!(awake & behind & known)) | self.swept.q, "a sweep leaves out a VF");
            let clears = (self.st == St::CLEAR) & mine;
            check!((!clears) | !self.forgetting.q, "rule 3: FLR ends before the engines have let go");
            check!((!(sweeping & resets & self.sw_vfs)) | self.sw_self, "FLR of a PF does not come back to the PF");
            let done = (at_next | at_sweep) & resets & !self.sw_self;
            check!((!done) | self.swept.q, "a sweep leaves out who asked for it");
            check!((!(at_reading & resets & !self.sw_self)) | mine, "a sweep is elsewhere than at who asked for it");
            let refused = self.absent | self.later;
            check!((!(acking & resets)) | refused | self.swept.q, "rule 3: FLR is completed before it is done");
            check!((!(self.off.q | self.forgetting.q)) | !self.may, "rule 3: the gate is open for a silenced function");
        }
    }
}
