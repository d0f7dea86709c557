//! What must hold at the door to the link (isolation rules 1, 3 and 5), seen from outside of [`Transmit`](super::Transmit).
//!
//! It watches the makers' packets go in and the link's come out, and drives nothing, so that a board has nothing of it. Its
//! checks are tried in every simulation. Of the makers the prover takes for granted that a packet stays with its owner and
//! has a beginning and an end; it proves of the door: what leaves is what a maker gave, whole, of the kind that this maker
//! sends, with the requester id of the packet's owner, and a request only if the gate let that function pass in the clock in
//! which its header went in.
//!
//! The transmitter asks the gate beforehand, so here one function is watched, whichever: a prover takes any and stays with it,
//! a simulation the one that the gate is just being asked about.

use azote_hdl::prelude::*;
use azote_regs::pcie::tlp;

use super::header::{Sends, dw, id, signed};
use super::transmit::{CLIENTS, KINDS, REQUESTS, makers};
use crate::engine::Plugged;

/// Bits of a maker's number.
const MAKER: usize = 4;
const _: () = assert!(CLIENTS <= 1 << MAKER);

#[derive(LogicBlock, Default)]
pub struct Door {
    pub clock: Clk,
    pub reset: Rst,
    pub bus_number: I<8>,
    /// The makers' side.
    pub valid: [I<1>; CLIENTS],
    pub ready: [I<1>; CLIENTS],
    pub killed: [I<1>; CLIENTS],
    pub sop: [I<1>; CLIENTS],
    pub eop: [I<1>; CLIENTS],
    pub keep: [I<4>; CLIENTS],
    pub owner: [I<8>; CLIENTS],
    pub data: [I<128>; CLIENTS],
    /// What the transmitter believes of the packet that is on its way in.
    pub midway: I<1>,
    pub turn: I<CLIENTS>,
    pub swallows: I<1>,
    /// What it believes of the gate, for each maker.
    pub knows: I<CLIENTS>,
    pub knows_may: I<CLIENTS>,
    pub knows_owner: [I<8>; CLIENTS],
    /// The function that is watched, and whether the gate lets it pass now.
    pub watched: I<8>,
    pub may: I<1>,
    /// The link's side.
    pub tx_valid: I<1>,
    pub tx_ready: I<1>,
    pub tx_sop: I<1>,
    pub tx_eop: I<1>,
    pub tx_data: I<128>,
    assumed: Param,
    /// Makers that are there, a bit each.
    makers: Param,
    /// A packet is on its way in: from whom, whose.
    open: Reg<1>,
    maker: Reg<MAKER>,
    whose: Reg<8>,
    swallowed: Reg<1>,
    /// DWs of payload that its header announced and that have not come.
    owed: Reg<11>,
    /// What the link must show: the beat, the requester id that is due, and whether the gate was open.
    due: Reg<1>,
    due_sop: Reg<1>,
    due_eop: Reg<1>,
    due_data: Reg<128>,
    due_id: Reg<16>,
    due_gated: Reg<1>,
    due_may: Reg<1>,
}

impl Door {
    /// The door of a card with these engines.
    pub fn new(plugged: Plugged) -> Self {
        Door { makers: Param::new(makers(plugged)), ..Self::default() }
    }

    /// The door for the prover: that makers give what they must is assumed.
    pub fn with_honest_makers(plugged: Plugged) -> Self {
        Door { assumed: Param::new(1), ..Self::new(plugged) }
    }

    /// Whether this maker is there.
    fn has(&self, maker: usize) -> bool {
        self.makers.get() >> maker & 1 != 0
    }
}

/// A memory request, by its header.
#[pure]
fn is_request(header: V) -> V {
    let dw0 = dw(header, { 0 });
    dw0.get(tlp::FMT_TYPE).bits(4, 0) == tlp::TYPE_MEM
}

/// Requester (or completer) ID of a header.
#[pure]
fn sender(header: V) -> V {
    let dw1 = dw(header, { 1 });
    dw1.get(tlp::REQUESTER_ID)
}

#[kernel]
impl Logic for Door {
    fn update(&mut self) {
        let mut takes = sized(0, 1);
        let mut twice = sized(0, 1);
        let mut maker = sized(0, MAKER);
        let mut sop = sized(0, 1);
        let mut eop = sized(0, 1);
        let mut keep = sized(0, 4);
        let mut owner = sized(0, 8);
        let mut data = sized(0, 128);
        let mut killed = sized(0, 1);
        let mut kind = sized(0, 2);
        let mut steady = sized(1, 1);
        let mut framed = sized(1, 1);
        for i in 0..CLIENTS {
            if const { self.has(i) } {
                if self.valid[i] & self.ready[i] {
                    twice = twice | takes;
                    takes = 1;
                    maker = konst(i);
                    sop = self.sop[i];
                    eop = self.eop[i];
                    keep = self.keep[i];
                    owner = self.owner[i];
                    data = self.data[i];
                    killed = self.killed[i];
                    kind = konst(KINDS[i]);
                }
                let mid = self.open.q & (self.maker.q == i);
                framed = framed & ((!self.valid[i]) | (self.sop[i] != mid));
                if mid & self.valid[i] {
                    steady = self.owner[i] == self.whose.q;
                }
            }
        }
        let some = keep.bit(0).zext(3) + keep.bit(1).zext(3) + keep.bit(2).zext(3) + keep.bit(3).zext(3);
        let announced = dw(data, { 0 }).get(tlp::LENGTH);
        let with_data = (kind == Sends::WRITE) | ((kind == Sends::COMPLETION) & dw(data, { 0 }).bit(30));
        let whole = cat(announced == 0, announced);
        let owed = if sop { if with_data { whole } else { 0 } } else { self.owed.q - some.zext(11) };
        // Exactly what the header announced: no more, no less.
        let fits = (!takes) | ((eop == (owed == 0)) & (sop | (some.zext(11) <= self.owed.q)));
        if const { self.assumed.get() != 0 } {
            assume!(steady, "rule 1: a packet changes its owner on the way");
            assume!(framed, "a packet begins in the middle of another");
        } else {
            check!(fits, "a packet is longer or shorter than its header says");
            check!(steady, "rule 1: a packet changes its owner on the way");
            check!(framed, "a packet begins in the middle of another");
        }
        check!(!twice, "rule 5: two packets go in at once");

        let gated = (kind == Sends::READ) | (kind == Sends::WRITE);
        let begins = takes & !self.open.q;
        check!((!(takes & self.open.q)) | (maker == self.maker.q), "a packet is cut by another");
        let of_watched = owner == self.watched;
        check!((!(begins & gated & of_watched)) | (killed == !self.may), "rule 3: the gate is not obeyed");
        let mut believes = sized(1, 1);
        for i in 0..CLIENTS {
            if const { self.has(i) } {
                let about = self.knows.bit(i) & (self.knows_owner[i] == self.watched);
                believes = believes & ((!about) | (self.knows_may.bit(i) == self.may));
            }
        }
        check!(believes, "rule 3: what is believed of the gate does not hold any more");
        let one = (self.turn != 0) & ((self.turn & (self.turn - 1)) == 0);
        check!(one, "rule 5: nobody has the turn, or two have it");
        check!((!(takes & self.open.q)) | (killed == self.swallowed.q), "a packet is sent in part");
        check!(self.midway == self.open.q, "a packet has no end, or no beginning");
        check!((!self.open.q) | (self.turn == (sized(1, CLIENTS) << self.maker.q)), "a packet loses its turn");
        check!((!self.open.q) | (self.swallows == self.swallowed.q), "a packet is sent in part");
        let mut free = sized(0, 1);
        for i in 0..CLIENTS {
            if const { !REQUESTS[i] } {
                free = free | (self.maker.q == i);
            }
        }
        check!(!(self.open.q & free & self.swallowed.q), "a completion or a message is swallowed");
        if takes {
            self.open.d = !eop;
            self.maker.d = maker;
            self.whose.d = owner;
            self.swallowed.d = killed;
            self.owed.d = owed;
        }

        let enters = takes & !killed;
        if self.tx_ready {
            self.due.d = 0;
        }
        if enters {
            self.due.d = 1;
            self.due_sop.d = sop;
            self.due_eop.d = eop;
            let sender = id(self.bus_number, owner);
            self.due_data.d = if sop { signed(data, kind, sender) } else { data };
            self.due_id.d = sender;
            self.due_gated.d = gated;
            self.due_may.d = self.may | !(begins & of_watched);
        }
        check!((!enters) | (!self.due.q) | self.tx_ready, "rule 5: a beat goes in where there is no room");
        check!(self.tx_valid == self.due.q, "rule 1: a beat leaves that no maker gave, or is lost");
        let same =
            (self.tx_sop == self.due_sop.q) & (self.tx_eop == self.due_eop.q) & (self.tx_data == self.due_data.q);
        check!((!self.tx_valid) | same, "rule 1: a beat leaves that is not what its maker gave");
        let request = self.tx_valid & self.tx_sop & is_request(self.tx_data);
        check!(
            (!request) | (sender(self.tx_data) == self.due_id.q),
            "rule 1: a request leaves with a wrong requester id"
        );
        check!((!request) | self.due_gated.q, "rule 3: a completion or a message is a request");
        check!((!request) | self.due_may.q, "rule 3: a request leaves of a function that may not send");
    }
}
