//! Sends an error message to the root complex (PCIe 2.2.8.3): a header and nothing else.

use azote_hdl::prelude::*;
use azote_regs::pcie::tlp;

use crate::transaction::TxOut;
use crate::transaction::header::id;

#[derive(LogicBlock, Default)]
pub struct Message {
    pub clock: Clk,
    pub reset: Rst,
    /// One clock; lost if one is still waiting, as the specification allows (PCIe 6.2.3.1).
    pub send: I<1>,
    pub owner: I<8>,
    pub code: I<8>,
    pub bus_number: I<8>,
    pub tx: TxOut,
    waiting: Reg<1>,
    whose: Reg<8>,
    what: Reg<8>,
}

#[kernel]
impl Logic for Message {
    fn update(&mut self) {
        if self.waiting.q {
            if self.tx.ready {
                self.waiting.d = 0;
            }
        } else if self.send {
            self.waiting.d = 1;
            self.whose.d = self.owner;
            self.what.d = self.code;
        }
        let dw0 = sized((tlp::MSG | tlp::ROUTE_TO_ROOT) << tlp::FMT_TYPE.lo, 32);
        let dw1 = cat(id(self.bus_number, self.whose.q), sized(0, 8), self.what.q);
        self.tx.valid = self.waiting.q;
        self.tx.sop = 1;
        self.tx.eop = 1;
        self.tx.keep = 15;
        self.tx.data = cat(sized(0, 64), dw1, dw0);
        self.tx.owner = self.whose.q;
    }
}
