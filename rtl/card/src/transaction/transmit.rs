//! The one door to the link. Packets of six makers take turns, whole packet by whole packet, and every request passes
//! the gate here: a function without Bus Master Enable, in FLR, or a VF that is not enabled, sends nothing.
//!
//! Promise: no bubble between packets while one waits; a packet that entered is finished; a request whose owner may not
//! send is swallowed whole and its maker told so (`killed`); what passed the gate before a completion leaves before it,
//! so that whoever saw "Bus Master Enable is off" completed sees no request after it.

use azote_hdl::prelude::*;

use super::stream::TxIn;
use crate::parts::Arbiter;

/// Makers: completions first (never gated), then requests.
pub const CLIENTS: usize = 6;

#[derive(LogicBlock, Default)]
pub struct Transmit {
    pub clock: Clk,
    pub reset: Rst,
    /// 0 is the completer.
    pub client: [TxIn; CLIENTS],
    /// Whose packet wants to pass, and whether it may: answered in the same clock.
    pub ask: O<8>,
    pub may: I<1>,
    pub tx_valid: O<1>,
    pub tx_sop: O<1>,
    pub tx_eop: O<1>,
    pub tx_keep: O<4>,
    pub tx_data: O<128>,
    pub tx_ready: I<1>,
    pub busy: O<1>,
    /// For [`Door`](super::Door): a packet is on its way in, whose turn it is, and whether it is swallowed.
    pub open: O<1>,
    pub turn: O<3>,
    pub swallows: O<1>,
    midway: Reg<1>,
    kill: Reg<1>,
    v: Reg<1>,
    sop: Reg<1>,
    eop: Reg<1>,
    keep: Reg<4>,
    data: Reg<128>,
    turns: Arbiter<CLIENTS, 3>,
}

#[kernel]
impl Logic for Transmit {
    fn update(&mut self) {
        clocked!(self.turns);
        let mut wants = sized(0, CLIENTS);
        for i in 0..CLIENTS {
            if self.client[i].valid {
                wants = wants | konst(1 << i);
            }
        }
        self.turns.wants = wants;
        let any = self.turns.any;
        let pick = self.turns.grant;
        let mut valid = sized(0, 1);
        let mut sop = sized(0, 1);
        let mut eop = sized(0, 1);
        let mut keep = sized(0, 4);
        let mut data = sized(0, 128);
        let mut owner = sized(0, 8);
        for i in 0..CLIENTS {
            if pick == i {
                valid = self.client[i].valid & any;
                sop = self.client[i].sop;
                eop = self.client[i].eop;
                keep = self.client[i].keep;
                data = self.client[i].data;
                owner = self.client[i].owner;
            }
        }
        self.ask = owner;
        // Completions and error messages are not requests: Bus Master Enable does not stop them (PCIe 7.5.1.1.3).
        let allowed = self.may | (pick == 0) | (pick == konst(CLIENTS - 1));
        let kill = if self.midway.q { self.kill.q } else { !allowed };
        let room = self.tx_ready | !self.v.q;
        let go = valid & (room | kill);
        for i in 0..CLIENTS {
            self.client[i].ready = go & (pick == i);
            self.client[i].killed = kill;
        }
        self.turns.take = go;
        self.turns.last = eop;
        if self.tx_ready {
            self.v.d = 0;
        }
        if go {
            self.midway.d = !eop;
            self.kill.d = kill;
            if !kill {
                self.v.d = 1;
                self.sop.d = sop;
                self.eop.d = eop;
                self.keep.d = keep;
                self.data.d = data;
            }
        }
        self.tx_valid = self.v.q;
        self.tx_sop = self.sop.q;
        self.tx_eop = self.eop.q;
        self.tx_keep = self.keep.q;
        self.tx_data = self.data.q;
        self.busy = self.v.q | self.midway.q | any;
        self.open = self.midway.q;
        self.turn = pick;
        self.swallows = self.kill.q;
        check!(self.turns.holding == self.midway.q, "rule 5: the turn is lost in the middle of a packet");
    }
}
