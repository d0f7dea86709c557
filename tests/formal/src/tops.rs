//! What is proved of what: small designs around blocks of the card, whose inputs the prover chooses.
#![allow(missing_docs)] // ports are those of the blocks inside

use azote_hdl::prelude::*;
use azote_rtl::config::Space;
use azote_rtl::config::message::MessageOut;
use azote_rtl::dma::LookIn;
use azote_rtl::dma::read::ENGINES;
use azote_rtl::transaction::transmit::{CLASSES, CLIENTS};
use azote_rtl::transaction::{ConfigSlave, Door, ErrorIn, Transmit, TxIn};

/// VFs of the card that is proved: with two there is one before and one behind in every sweep.
pub const VFS: usize = 2;

/// The transmitter and what must hold at its door; makers, gate and link are the prover's. Of the gate only this is taken for
/// granted: what it says of a function changes only after it said that something `changed`, which [`Silent`] proves.
#[derive(LogicBlock)]
pub struct Gate {
    pub clock: Clk,
    pub reset: Rst,
    pub client: [TxIn; CLIENTS],
    pub bus_number: I<8>,
    /// One function that is watched, and the gate's answers about it and about others.
    pub watched: I<8>,
    pub may: I<1>,
    pub may_others: I<1>,
    pub changed: I<1>,
    pub credit: [I<1>; CLASSES],
    pub tx_ready: I<1>,
    pub busy: O<1>,
    begun: Reg<1>,
    before: Reg<8>,
    before_may: Reg<1>,
    before_changed: Reg<1>,
    transmit: Transmit,
    door: Door,
}

impl Default for Gate {
    fn default() -> Self {
        Gate {
            clock: Default::default(),
            reset: Default::default(),
            client: Default::default(),
            bus_number: Default::default(),
            watched: Default::default(),
            may: Default::default(),
            may_others: Default::default(),
            changed: Default::default(),
            credit: Default::default(),
            begun: Default::default(),
            before: Default::default(),
            before_may: Default::default(),
            before_changed: Default::default(),
            tx_ready: Default::default(),
            busy: Default::default(),
            transmit: Default::default(),
            door: Door::with_honest_makers([true; ENGINES]),
        }
    }
}

#[kernel]
impl Logic for Gate {
    fn update(&mut self) {
        clocked!(self.transmit, self.door);
        for i in 0..CLIENTS {
            link!(self.client[i], self.transmit.client[i]);
            watch!(self.door, i, self.client[i], valid, sop, eop, keep, owner, data);
            watch!(self.door, i, self.transmit.client[i], ready, killed);
        }
        self.door.bus_number = self.bus_number;
        self.transmit.bus_number = self.bus_number;
        self.begun.d = 1;
        self.before.d = self.watched;
        self.before_may.d = self.may;
        self.before_changed.d = self.changed;
        assume!((!self.begun.q) | (self.watched == self.before.q), "one function is watched");
        let same = self.may == self.before_may.q;
        assume!((!self.begun.q) | self.before_changed.q | same, "the gate says when something changes");
        self.transmit.may = if self.transmit.ask == self.watched { self.may } else { self.may_others };
        self.transmit.changed = self.changed;
        for class in 0..CLASSES {
            self.transmit.credit[class] = self.credit[class];
        }
        self.transmit.tx.ready = self.tx_ready;
        self.door.midway = self.transmit.open;
        self.door.turn = self.transmit.has_turn;
        self.door.knows = self.transmit.knows;
        self.door.knows_may = self.transmit.knows_may;
        for i in 0..CLIENTS {
            self.door.knows_owner[i] = self.transmit.knows_owner[i];
        }
        self.door.swallows = self.transmit.swallows;
        self.door.watched = self.watched;
        self.door.may = self.may;
        self.door.tx_valid = self.transmit.tx.valid;
        self.door.tx_ready = self.tx_ready;
        self.door.tx_sop = self.transmit.tx.sop;
        self.door.tx_eop = self.transmit.tx.eop;
        self.door.tx_data = self.transmit.tx.data;
        self.busy = self.transmit.busy;
    }
}

/// Configuration space with a gate that is asked about one function, which the prover chooses, for ever. The host's
/// accesses are the prover's too, of which only this is taken for granted: one is held until it is answered.
#[derive(LogicBlock)]
pub struct Silent {
    pub clock: Clk,
    pub reset: Rst,
    pub cfg: ConfigSlave,
    pub ask: I<8>,
    pub reset_done: I<1>,
    pub error: ErrorIn,
    pub message: MessageOut,
    /// Who looks through the tags of reads.
    pub look: LookIn,
    pub may: O<1>,
    begun: Reg<1>,
    asked: Reg<8>,
    before_may: Reg<1>,
    before_changed: Reg<1>,
    waiting: Reg<1>,
    held: Reg<55>,
    space: Space,
}

impl Silent {
    /// `awake`: see [`Space::watched`].
    pub fn new(awake: bool) -> Self {
        Silent {
            clock: Default::default(),
            reset: Default::default(),
            cfg: Default::default(),
            ask: Default::default(),
            reset_done: Default::default(),
            error: Default::default(),
            message: Default::default(),
            look: Default::default(),
            may: Default::default(),
            begun: Default::default(),
            asked: Default::default(),
            before_may: Default::default(),
            before_changed: Default::default(),
            waiting: Default::default(),
            held: Default::default(),
            space: Space::watched(VFS, awake),
        }
    }
}

#[kernel]
impl Logic for Silent {
    fn update(&mut self) {
        clocked!(self.space);
        link!(self.error, self.space.error);
        link!(self.cfg, self.space.cfg);
        link!(self.message, self.space.message);
        link!(self.look, self.space.look);
        self.space.ask = self.ask;
        self.space.control.ask = self.ask;
        self.space.reset_done = self.reset_done;
        self.may = self.space.may;
        self.before_may.d = self.space.may;
        self.before_changed.d = self.space.changed;
        let same = self.space.may == self.before_may.q;
        check!((!self.begun.q) | self.before_changed.q | same, "rule 3: the gate changes and does not say so");

        self.begun.d = 1;
        self.asked.d = self.ask;
        assume!((!self.begun.q) | (self.ask == self.asked.q), "the gate is asked about one function");
        let access = cat(self.cfg.write, self.cfg.number, self.cfg.dw, self.cfg.be, self.cfg.wdata);
        self.held.d = access;
        self.waiting.d = self.cfg.valid & !self.space.cfg.ack;
        assume!(
            (!self.waiting.q) | (self.cfg.valid & (access == self.held.q)),
            "an access is held until it is answered"
        );
    }
}
