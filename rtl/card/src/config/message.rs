//! Sends error messages to the root complex (PCIe 2.2.8.3): a header and nothing else.
//!
//! Promise: who asks only while there is `room` loses none. An error of all PFs makes at most one message of each severity,
//! so that there is room when three fit.

use azote_hdl::prelude::*;

use crate::parts::Fifo;
use crate::transaction::TxOut;

/// Messages that wait.
const DEPTH: usize = 4;
/// What one error can make: ERR_COR, ERR_NONFATAL and ERR_FATAL.
const MOST: u64 = 3;

/// A message, at who asks for it: one clock each.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "MessageIn"]
pub struct MessageOut {
    pub valid: O<1>,
    pub owner: O<8>,
    pub code: O<8>,
    /// The messages of one more error fit.
    pub room: I<1>,
}

/// The same, at who sends it.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "MessageOut"]
pub struct MessageIn {
    pub valid: I<1>,
    pub owner: I<8>,
    pub code: I<8>,
    pub room: O<1>,
}

#[derive(LogicBlock)]
pub struct Message {
    pub clock: Clk,
    pub reset: Rst,
    pub send: MessageIn,
    pub tx: TxOut,
    pub busy: O<1>,
    waiting: Fifo<16>,
}

impl Default for Message {
    fn default() -> Self {
        Message {
            clock: Default::default(),
            reset: Default::default(),
            send: Default::default(),
            tx: Default::default(),
            busy: Default::default(),
            waiting: Fifo::new(DEPTH),
        }
    }
}

#[kernel]
impl Logic for Message {
    fn update(&mut self) {
        clocked!(self.waiting);
        self.waiting.in_valid = self.send.valid;
        self.waiting.in_data = cat(self.send.owner, self.send.code);
        check!((!self.send.valid) | self.waiting.in_ready, "an error message is lost");
        self.send.room = self.waiting.level <= konst((DEPTH as u64) - MOST);
        let whose = self.waiting.out_data.bits(15, 8);
        let what = self.waiting.out_data.bits(7, 0);
        self.waiting.out_ready = self.tx.ready;
        // The rest of a message's header is the door's, or zero.
        self.tx.valid = self.waiting.out_valid;
        self.tx.sop = 1;
        self.tx.eop = 1;
        self.tx.keep = 15;
        self.tx.data = cat(sized(0, 88), what, sized(0, 32));
        self.tx.owner = whose;
        self.busy = self.waiting.out_valid;
    }
}
