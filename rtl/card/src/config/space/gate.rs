//! What is asked of a function in every clock: may it send, are its interrupts enabled, is it being reset. A bit or two of each
//! function, in memories that answer at once; the same bits several times, for there are several who ask.

use azote_hdl::prelude::*;

use crate::parts::{has_place, slots_of};

#[derive(LogicBlock)]
pub struct Gate {
    pub clock: Clk,
    pub reset: Rst,
    /// All are cleared, one function after the other, while `booting`.
    pub booting: I<1>,
    pub boot: I<8>,
    /// The function in hand, and what is written of it.
    pub owner: I<8>,
    pub bme_we: I<1>,
    pub bme_new: I<1>,
    pub msix_we: I<1>,
    pub msix_new: I<2>,
    pub resetting_we: I<1>,
    pub resetting_new: I<1>,
    /// Whether it is being reset.
    pub resetting: O<1>,
    /// May `ask` send requests? Not if its PF sleeps (D3hot).
    pub ask: I<8>,
    pub asleep: I<1>,
    pub may: O<1>,
    /// For [`Silence`](super::silence::Silence): what that is made of.
    pub ask_bme: O<1>,
    pub ask_resetting: O<1>,
    /// MSI-X Enable and Function Mask of a function.
    pub msix_ask: I<8>,
    pub msix_enable: O<1>,
    pub msix_mask: O<1>,
    /// Whether a function is being reset, for the reads under way.
    pub tag_ask: I<8>,
    pub tag_resetting: O<1>,
    /// How many slots have a place: behind them nobody may anything.
    slots: Param,
    masters: LutRam<8, 1>,
    vectors: LutRam<8, 2>,
    resets: [LutRam<8, 1>; 3],
}

/// Who asks whether a function is being reset.
const BY_GATE: usize = 0;
const BY_OWNER: usize = 1;
const BY_TAGS: usize = 2;

impl Default for Gate {
    fn default() -> Self {
        Gate::new(63)
    }
}

impl Gate {
    /// For the functions of a card with `vfs` VFs a kind.
    pub fn new(vfs: usize) -> Self {
        let functions = slots_of(vfs) * 4;
        Gate {
            clock: Default::default(),
            reset: Default::default(),
            booting: Default::default(),
            boot: Default::default(),
            owner: Default::default(),
            bme_we: Default::default(),
            bme_new: Default::default(),
            msix_we: Default::default(),
            msix_new: Default::default(),
            resetting_we: Default::default(),
            resetting_new: Default::default(),
            resetting: Default::default(),
            ask: Default::default(),
            asleep: Default::default(),
            may: Default::default(),
            ask_bme: Default::default(),
            ask_resetting: Default::default(),
            msix_ask: Default::default(),
            msix_enable: Default::default(),
            msix_mask: Default::default(),
            tag_ask: Default::default(),
            tag_resetting: Default::default(),
            slots: Param::new(slots_of(vfs)),
            masters: LutRam::new(functions),
            vectors: LutRam::new(functions),
            resets: std::array::from_fn(|_| LutRam::new(functions)),
        }
    }
}

#[kernel]
impl Logic for Gate {
    fn update(&mut self) {
        memories!(self.masters, self.vectors, self.resets[BY_GATE], self.resets[BY_OWNER], self.resets[BY_TAGS]);
        let boot = self.booting;
        let at = if boot { self.boot } else { self.owner };
        // An address beyond the end wraps, and nobody's is another's.
        let kept = has_place(at.bits(7, 2), { self.slots.get() });
        self.masters.we = (boot | self.bme_we) & kept;
        self.masters.waddr = at;
        self.masters.wdata = self.bme_new & !boot;
        self.masters.raddr = self.ask;
        self.vectors.we = (boot | self.msix_we) & kept;
        self.vectors.waddr = at;
        self.vectors.wdata = if boot { 0 } else { self.msix_new };
        self.vectors.raddr = self.msix_ask;
        for i in 0..3 {
            self.resets[i].we = (boot | self.resetting_we) & kept;
            self.resets[i].waddr = at;
            self.resets[i].wdata = self.resetting_new & !boot;
        }
        self.resets[BY_GATE].raddr = self.ask;
        self.resets[BY_OWNER].raddr = self.owner;
        self.resets[BY_TAGS].raddr = self.tag_ask;
        self.resetting = self.resets[BY_OWNER].rdata & kept;
        self.tag_resetting = self.resets[BY_TAGS].rdata;
        self.msix_enable = self.vectors.rdata.bit(1);
        self.msix_mask = self.vectors.rdata.bit(0);
        let there = has_place(self.ask.bits(7, 2), { self.slots.get() });
        let master = self.masters.rdata & there;
        let resetting = self.resets[BY_GATE].rdata & there;
        self.ask_bme = master;
        self.ask_resetting = resetting;
        self.may = master & !resetting & !self.asleep & !boot;
    }
}
