//! Which functions a reset is of, and what is left of it: VFs from the last to the first, then the one that asked; of each, the
//! slots of the state RAM that do not outlive it.

use azote_hdl::prelude::*;

use super::super::fields::{FIRST_STICKY, KEPT};

#[derive(LogicBlock, Default)]
pub struct Sweep {
    pub clock: Clk,
    pub reset: Rst,
    /// One clock: a reset begins, of the VFs of `kind`, of who asks (FLR), or of both.
    pub start: I<1>,
    pub start_kind: I<2>,
    pub start_self: I<1>,
    pub start_vfs: I<1>,
    /// One clock: to the next function. Of this one, `vf` or the one that asked (`last`, of a PF after its VFs `pf`).
    pub next: I<1>,
    pub vf: O<1>,
    pub vf_owner: O<8>,
    pub last: O<1>,
    pub pf: O<1>,
    /// To the first slot; from one to the next. `slot` is written, and `ahead` is read in the clock before.
    pub rewind: I<1>,
    pub step: I<1>,
    pub slot: O<5>,
    pub ahead: O<5>,
    /// The last slot of this function.
    pub ends: O<1>,
    /// What the slot held, and what the reset leaves of it (PCIe 6.6.2).
    pub old: I<32>,
    pub kept: O<32>,
    /// For [`Silence`](super::silence::Silence), and whose PF it is.
    pub at: O<6>,
    pub kind: O<2>,
    pub to_self: O<1>,
    pub to_vfs: O<1>,
    vfs: Param,
    sw_slot: Reg<6>,
    sw_kind: Reg<2>,
    sw_self: Reg<1>,
    sw_vfs: Reg<1>,
    index: Reg<5>,
}

impl Sweep {
    /// For a card with `vfs` VFs a kind.
    pub fn new(vfs: usize) -> Self {
        Sweep { vfs: Param::new(vfs), ..Self::default() }
    }
}

#[kernel]
impl Logic for Sweep {
    fn update(&mut self) {
        let vf = self.sw_vfs.q & (self.sw_slot.q != 0);
        let last = self.sw_self.q & !vf;
        self.vf = vf;
        self.vf_owner = cat(self.sw_slot.q, self.sw_kind.q);
        self.last = last;
        self.pf = last & self.sw_vfs.q;
        if self.next & vf {
            self.sw_slot.d = self.sw_slot.q - 1;
        }
        if self.next & last {
            self.sw_self.d = 0;
            self.sw_vfs.d = 0;
        }
        if self.start {
            self.sw_kind.d = self.start_kind;
            self.sw_self.d = self.start_self;
            self.sw_vfs.d = self.start_vfs;
            self.sw_slot.d = konst(self.vfs.get());
        }

        let ahead = self.index.q + 1;
        if self.step {
            self.index.d = ahead;
        }
        if self.rewind {
            self.index.d = 0;
        }
        self.slot = self.index.q;
        self.ahead = if self.rewind { 0 } else { ahead };
        self.ends = self.index.q == konst(FIRST_STICKY - 1);
        let mut kept = sized(0, 32);
        for i in 0..FIRST_STICKY {
            if const { KEPT[i] != 0 } {
                if self.index.q == i {
                    kept = self.old & konst(KEPT[i]);
                }
            }
        }
        self.kept = kept;
        self.at = self.sw_slot.q;
        self.kind = self.sw_kind.q;
        self.to_self = self.sw_self.q;
        self.to_vfs = self.sw_vfs.q;
    }
}
