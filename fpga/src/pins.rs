//! The pin harness: 986 bits of ports behind four pins.
//!
//! A core has more ports than a package has pins, and no path of the real card begins or ends at a pin: the link, the
//! media and their logic stand around it. So every input of the card is a register here, all of them one long shift
//! register behind one pin, and every output ends in a register, all of them folded into one pin by XOR, a register
//! after every step. Nothing of the card is constant and nothing is unused, so that nothing is optimised away.
//!
//! Promise: a bit that enters is at input *i* of the card *i* + 1 clocks later; any single output that changes changes the
//! pin, three clocks after its register.

use azote_hdl::prelude::*;
use azote_rtl::card::Card;
use azote_rtl::dma::read::ENGINES;

/// Bits of all inputs of the card but clock and reset.
pub const INPUTS: usize = 425;
/// Bits of all its outputs.
pub const OUTPUTS: usize = 561;
/// Groups of the first fold, of ten bits, and of the second, of six.
const FOLDS: usize = 57;
const REFOLDS: usize = 10;

/// The harness; see above.
#[derive(LogicBlock, Default)]
pub struct Pins {
    /// Clock.
    pub clock: Clk,
    /// Reset of all registers.
    pub reset: Rst,
    /// Into the shift register.
    pub serial_in: I<1>,
    /// Out of the fold.
    pub serial_out: O<1>,
    shift: Reg<INPUTS>,
    taken: Reg<OUTPUTS>,
    fold: Reg<FOLDS>,
    refold: Reg<REFOLDS>,
    last: Reg<1>,
    card: Card,
}

impl Pins {
    /// The harness around a card with `vfs` VFs of each kind.
    pub fn new(vfs: usize) -> Self {
        Pins { card: Card::new(vfs), ..Self::default() }
    }
}

#[kernel]
impl Logic for Pins {
    fn update(&mut self) {
        clocked!(self.card);
        for e in 0..ENGINES {
            self.card.engine_clock[e] = self.clock;
        }
        let now = self.shift.q;
        self.shift.d = cat(now.bits(INPUTS - 2, 0), self.serial_in);
        self.card.rx.data = now.bits(127, 0);
        self.card.mrd.data = now.bits(255, 128);
        self.card.rx.keep = now.bits(259, 256);
        self.card.rx.valid = now.bit(260);
        self.card.rx.sop = now.bit(261);
        self.card.rx.eop = now.bit(262);
        self.card.tx.ready = now.bit(263);
        self.card.mreq.ready = now.bit(264);
        self.card.mrd.valid = now.bit(265);
        self.card.mrd.last = now.bit(266);
        self.card.mrd.error = now.bit(267);
        self.card.mwr.ready = now.bit(268);
        self.card.mdone.valid = now.bit(269);
        self.card.mdone.result = now.bits(272, 270);
        self.card.mdone.tag = now.bits(284, 273);
        self.card.mget.ready = now.bit(285);
        self.card.mrd.hole = now.bit(286);
        self.card.erx.data = now.bits(414, 287);
        self.card.erx.valid = now.bit(415);
        self.card.erx.sop = now.bit(416);
        self.card.erx.eop = now.bit(417);
        self.card.erx.bytes = now.bits(422, 418);
        self.card.erx.error = now.bit(423);
        self.card.etx.ready = now.bit(424);
        let link = cat(
            self.card.rx.ready,
            self.card.tx.valid,
            self.card.tx.sop,
            self.card.tx.eop,
            self.card.tx.keep,
            self.card.tx.data,
        );
        let media = cat(
            self.card.mreq.valid,
            self.card.mreq.tag,
            self.card.mreq.op,
            self.card.mreq.fua,
            self.card.mreq.volume,
            self.card.mreq.lba,
            self.card.mreq.blocks,
            self.card.mrd.ready,
            self.card.mwr.valid,
            self.card.mwr.data,
            self.card.mwr.last,
            self.card.mwr.spoilt,
            self.card.mdone.ready,
            self.card.mget.valid,
            self.card.mget.tag,
        );
        let wire = cat(
            self.card.erx.ready,
            self.card.etx.valid,
            self.card.etx.sop,
            self.card.etx.eop,
            self.card.etx.bytes,
            self.card.etx.data,
        );
        self.taken.d = cat(self.card.awake, self.card.busy, link, media, wire);
        let taken = self.taken.q.zext(10 * FOLDS);
        let mut fold = sized(0, FOLDS);
        for i in 0..FOLDS {
            let group = taken.bits(10 * i + 9, 10 * i);
            fold = fold | (group.parity().zext(FOLDS) << konst(i));
        }
        self.fold.d = fold;
        let folded = self.fold.q.zext(6 * REFOLDS);
        let mut refold = sized(0, REFOLDS);
        for i in 0..REFOLDS {
            let group = folded.bits(6 * i + 5, 6 * i);
            refold = refold | (group.parity().zext(REFOLDS) << konst(i));
        }
        self.refold.d = refold;
        self.last.d = self.refold.q.parity();
        self.serial_out = self.last.q;
    }
}

/// The Verilog of the harness and the card inside; the top module is `azote_pins`.
///
/// # Errors
/// If a block cannot be printed, which is a mistake in its source.
pub fn design(vfs: usize) -> Result<azote_hdl::Design, azote_hdl::PrintError> {
    azote_rtl::on_big_stack(move || azote_hdl::print(&Pins::new(vfs), "azote_pins"))
}
