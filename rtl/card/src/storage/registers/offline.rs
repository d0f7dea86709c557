//! Who is offline: secondary controllers that the primary took so, and the one that is to be closed for it.
//!
//! A reset of the PF ends its VFs, and with them what it had decided of them.

use azote_hdl::prelude::*;

use crate::parts::mark_of;

#[derive(LogicBlock, Default)]
pub struct Offline {
    pub clock: Clk,
    pub reset: Rst,
    /// One clock: take this slot offline, or online again; all are online.
    pub off: I<1>,
    pub on: I<1>,
    pub slot: I<6>,
    pub all: I<1>,
    pub offline: O<64>,
    /// Who is to be closed, until `take`.
    pub valid: O<1>,
    pub closes: O<6>,
    pub take: I<1>,
    slots: Param,
    r_offline: Reg<64>,
    waits: Reg<1>,
    who: Reg<6>,
}

impl Offline {
    /// Of a card with so many slots, a power of two.
    pub fn new(slots: usize) -> Self {
        Offline { slots: Param::new(slots), ..Self::default() }
    }
}

#[kernel]
impl Logic for Offline {
    fn update(&mut self) {
        let named = mark_of(self.slot, { self.slots.get() });
        let off = if self.off { named } else { 0 };
        let on = if self.on { named } else { 0 };
        self.r_offline.d = if self.all { 0 } else { (self.r_offline.q | off) & !on };
        self.offline = self.r_offline.q;
        if self.off {
            self.waits.d = 1;
            self.who.d = self.slot;
        } else if self.take {
            self.waits.d = 0;
        }
        self.valid = self.waits.q;
        self.closes = self.who.q;
    }
}
