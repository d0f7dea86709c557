//! The one door to the link. Packets of its makers take turns, whole packet by whole packet, and every request passes
//! the gate here: a function without Bus Master Enable, in FLR, or a VF that is not enabled, sends nothing.
//!
//! Headers belong to the door: what a maker gives says what is asked for, and the door adds what kind of packet this maker
//! sends and the ID of the function that it is for, so that no engine can speak in another's name, or send a completion.
//!
//! Promise: no bubble between packets while one waits whose function the gate knows; a packet that entered is finished; a
//! request whose owner may not send is swallowed whole and its maker told so (`killed`); what passed the gate before a
//! completion leaves before it, so that whoever saw "Bus Master Enable is off" completed sees no request after it.
//!
//! Requests that are posted, those that are not, and completions have credits of their own on a real link (PCIe 2.6.1). Who
//! may begin is chosen among the classes that have `credit`, so that what waits in one class holds up no other; what is to be
//! swallowed needs none.
//!
//! Neither the turn nor the gate is worked out in the clock of the packet, for that is one long path from every maker's
//! registers to every other's. The turn is a register: who is next is decided while the one before is at its end, and one
//! who comes alone after another waits a clock. The gate is asked for each maker's function in rotation, all the time; an
//! answer holds for as long as the maker stays with the function, and until something `changed` behind the gate. And
//! `ready` does not look at `valid`: makers look at both.

use azote_hdl::prelude::*;

use super::header::{Sends, id, signed};
use super::stream::{LinkOut, TxIn};
use crate::dma::read::ENGINES;
use crate::engine::Plugged;

/// Makers: completions first (never gated), then the reader, two of each engine, MSI-X, and error messages last (never gated).
pub const COMPLETIONS: usize = 0;
pub const READS: usize = 1;
pub const DATA: usize = 2;
pub const ENTRY: usize = 3;
pub const MSIX: usize = DATA + 2 * ENGINES;
pub const MESSAGES: usize = MSIX + 1;
pub const CLIENTS: usize = MESSAGES + 1;
/// What each maker sends.
pub const KINDS: [u64; CLIENTS] = kinds();

const fn kinds() -> [u64; CLIENTS] {
    let mut kinds = [Sends::WRITE; CLIENTS];
    kinds[COMPLETIONS] = Sends::COMPLETION;
    kinds[READS] = Sends::READ;
    kinds[MESSAGES] = Sends::MESSAGE;
    kinds
}

/// Makers whose packets are requests, which the gate may stop: completions and error messages are none (PCIe 7.5.1.1.3).
pub const REQUESTS: [bool; CLIENTS] = requests();

const fn requests() -> [bool; CLIENTS] {
    let mut requests = [false; CLIENTS];
    let mut i = 0;
    while i < CLIENTS {
        requests[i] = matches!(KINDS[i], Sends::READ | Sends::WRITE);
        i += 1;
    }
    requests
}

/// Makers of a card with these engines, a bit each: those of the core, and two of each engine.
pub fn makers(plugged: Plugged) -> usize {
    let engines: usize = (0..ENGINES).filter(|e| plugged[*e]).map(|e| (1 << DATA | 1 << ENTRY) << (2 * e)).sum();
    1 << COMPLETIONS | 1 << READS | engines | 1 << MSIX | 1 << MESSAGES
}

/// The classes of flow control, and the class of each maker.
pub const POSTED: usize = 0;
pub const NON_POSTED: usize = 1;
pub const COMPLETION: usize = 2;
pub const CLASSES: usize = 3;
pub const CLASS: [usize; CLIENTS] = classes();

const fn classes() -> [usize; CLIENTS] {
    let mut class = [POSTED; CLIENTS];
    let mut i = 0;
    while i < CLIENTS {
        class[i] = match KINDS[i] {
            Sends::COMPLETION => COMPLETION,
            Sends::READ => NON_POSTED,
            _ => POSTED,
        };
        i += 1;
    }
    class
}

/// Bits of the number of a maker that is gated; they stand side by side, from the reader on.
const LOOK: usize = 3;
const _: () = assert!(CLIENTS - 2 == 1 << LOOK, "the gate's rotation asks for every maker");

#[derive(LogicBlock)]
pub struct Transmit {
    pub clock: Clk,
    pub reset: Rst,
    pub bus_number: I<8>,
    /// 0 is the completer.
    pub client: [TxIn; CLIENTS],
    /// Whose request may pass? Answered in the same clock.
    pub ask: O<8>,
    pub may: I<1>,
    /// From the next clock on answers may differ.
    pub changed: I<1>,
    /// For each class: the link takes the largest packet of it. Looked at when a packet begins.
    pub credit: [I<1>; CLASSES],
    pub tx: LinkOut,
    pub busy: O<1>,
    /// For [`Door`](super::Door): a packet is on its way in, whose turn it is, whether it is swallowed, and what is known of the
    /// gate.
    pub open: O<1>,
    pub has_turn: O<CLIENTS>,
    pub swallows: O<1>,
    pub knows: O<CLIENTS>,
    pub knows_may: O<CLIENTS>,
    pub knows_owner: [O<8>; CLIENTS],
    /// Those that are there, a bit each.
    makers: Param,
    /// Who has the turn or was the last to have it, one bit each.
    turn: Reg<CLIENTS>,
    midway: Reg<1>,
    kill: Reg<1>,
    /// The rotation of questions, and the one that is being answered.
    look: Reg<LOOK>,
    asked: Reg<8>,
    asked_for: Reg<CLIENTS>,
    /// What the gate said of each maker's function, of which, and whether that still holds.
    known: Reg<CLIENTS>,
    known_may: Reg<CLIENTS>,
    known_owner: [Reg<8>; CLIENTS],
    v: Reg<1>,
    sop: Reg<1>,
    eop: Reg<1>,
    keep: Reg<4>,
    data: Reg<128>,
}

impl Transmit {
    /// The door of a card with these engines.
    pub fn new(plugged: Plugged) -> Self {
        Transmit {
            clock: Default::default(),
            reset: Default::default(),
            bus_number: Default::default(),
            client: Default::default(),
            ask: Default::default(),
            may: Default::default(),
            changed: Default::default(),
            credit: Default::default(),
            tx: Default::default(),
            busy: Default::default(),
            open: Default::default(),
            has_turn: Default::default(),
            swallows: Default::default(),
            knows: Default::default(),
            knows_may: Default::default(),
            knows_owner: Default::default(),
            makers: Param::new(makers(plugged)),
            turn: Reg::new(1u64),
            midway: Default::default(),
            kill: Default::default(),
            look: Default::default(),
            asked: Default::default(),
            asked_for: Default::default(),
            known: Default::default(),
            known_may: Default::default(),
            known_owner: Default::default(),
            v: Default::default(),
            sop: Default::default(),
            eop: Default::default(),
            keep: Default::default(),
            data: Default::default(),
        }
    }

    /// Whether this maker is there.
    fn has(&self, maker: usize) -> bool {
        self.makers.get() >> maker & 1 != 0
    }
}

impl Default for Transmit {
    fn default() -> Self {
        Self::new([true; ENGINES])
    }
}

#[kernel]
impl Logic for Transmit {
    fn update(&mut self) {
        // --- the gate
        let mut owner = sized(0, 8);
        let mut asks_for = sized(0, CLIENTS);
        for i in READS..MESSAGES {
            if const { self.has(i) } {
                if self.look.q == konst(i - READS) {
                    owner = self.client[i].owner;
                    asks_for = konst(1 << i);
                }
            }
        }
        // Who has something to send and is not known goes before the rotation, but is not asked about twice.
        for i in READS..MESSAGES {
            if const { self.has(i) } {
                let fresh = self.known.q.bit(i) & (self.known_owner[i].q == self.client[i].owner);
                if self.client[i].valid & !(fresh | self.asked_for.q.bit(i)) {
                    owner = self.client[i].owner;
                    asks_for = konst(1 << i);
                }
            }
        }
        self.look.d = self.look.q + 1;
        self.asked.d = owner;
        self.asked_for.d = asks_for;
        self.ask = self.asked.q;
        let answered = self.asked_for.q;
        for i in 0..CLIENTS {
            if const { self.has(i) } {
                if answered.bit(i) {
                    self.known_owner[i].d = self.asked.q;
                }
                self.knows_owner[i] = self.known_owner[i].q;
            } else {
                self.knows_owner[i] = 0;
            }
        }
        self.known_may.d = (self.known_may.q & !answered) | (answered & self.may.rep(CLIENTS));
        self.known.d = if self.changed { 0 } else { self.known.q | answered };

        // --- who has the turn
        let turn = self.turn.q & konst(self.makers.get());
        let room = self.tx.ready | !self.v.q;
        let mut wants = sized(0, CLIENTS);
        let mut some = sized(0, 1);
        let mut here = sized(0, 1);
        let mut go = sized(0, 1);
        let mut kill = sized(0, 1);
        let mut sop = sized(0, 1);
        let mut eop = sized(0, 1);
        let mut keep = sized(0, 4);
        let mut data = sized(0, 128);
        let mut kind = sized(0, 2);
        let mut whose = sized(0, 8);
        for i in 0..CLIENTS {
            if const { self.has(i) } {
                let free: bool = !REQUESTS[i];
                let same = self.known_owner[i].q == self.client[i].owner;
                let class: usize = CLASS[i];
                let credit = self.credit[class];
                let shut = !self.known_may.q.bit(i);
                let told = self.known.q.bit(i) & same;
                let begins = if const { free } { credit } else { told & (credit | shut) };
                let passes = self.midway.q | begins;
                let stops = if const { free } { sized(0, 1) } else { if self.midway.q { self.kill.q } else { shut } };
                let mine = turn.bit(i);
                let ready = mine & passes & (room | stops);
                let valid = self.client[i].valid;
                self.client[i].ready = ready;
                self.client[i].killed = stops;
                // Who waits for credit does not have the turn; who waits for the gate does, since the gate answers.
                some = some | valid;
                let can = if const { free } { credit } else { credit | (told & shut) };
                if valid & can {
                    wants = wants | konst(1 << i);
                }
                here = here | (mine & valid & can);
                go = go | (ready & valid);
                kill = kill | (mine & stops);
                sop = sop | (mine & self.client[i].sop);
                eop = eop | (mine & self.client[i].eop);
                keep = keep | (mine.rep(4) & self.client[i].keep);
                data = data | (mine.rep(128) & self.client[i].data);
                whose = whose | (mine.rep(8) & self.client[i].owner);
                if mine {
                    kind = konst(KINDS[i]);
                }
            } else {
                self.client[i].ready = 0;
                self.client[i].killed = 0;
            }
        }
        let beat = if sop { signed(data, kind, id(self.bus_number, whose)) } else { data };

        // --- who is next: the first after this one
        let others = wants & !turn;
        let mut next = sized(0, CLIENTS);
        for from in 0..CLIENTS {
            if const { self.has(from) } {
                let mut pick = turn;
                // Later assignments win, so the order of preference is read from the bottom up.
                for step in 1..CLIENTS {
                    let who: usize = (from + CLIENTS - step) % CLIENTS;
                    if const { self.has(who) } {
                        if others.bit(who) {
                            pick = konst(1 << who);
                        }
                    }
                }
                next = next | (pick & turn.bit(from).rep(CLIENTS));
            }
        }
        let stays = if go { !eop } else { self.midway.q | here };
        self.turn.d = if stays { turn } else { next };

        if self.tx.ready {
            self.v.d = 0;
        }
        if go {
            self.midway.d = !eop;
            self.kill.d = kill;
        }
        if go & !kill {
            self.v.d = 1;
            self.sop.d = sop;
            self.eop.d = eop;
            self.keep.d = keep;
            self.data.d = beat;
        }
        self.tx.valid = self.v.q;
        self.tx.sop = self.sop.q;
        self.tx.eop = self.eop.q;
        self.tx.keep = self.keep.q;
        self.tx.data = self.data.q;
        self.open = self.midway.q;
        self.has_turn = turn;
        self.swallows = self.kill.q;
        self.knows = self.known.q;
        self.knows_may = self.known_may.q;
        self.busy = self.v.q | self.midway.q | some;
    }
}
