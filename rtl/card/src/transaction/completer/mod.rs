//! Serves the requests that the host waits for: configuration accesses, register reads, and everything that is not supported,
//! each with the completion that it is owed (PCIe 2.2.9, 2.3.1).
//!
//! Promise: every non-posted request gets exactly its completions, split at 128 bytes (the Read Completion Boundary of an
//! endpoint, PCIe 2.3.1.1); a DW without enabled bytes never reaches a register; requests for the registers of one engine take
//! effect in the order in which they came, and all after the writes that came before them. Writes are served by
//! [`Posted`](super::Posted), also while a completion waits here for the link. A completion does not pass interrupts of its
//! function that were given out before (`hold`).
//!
//! A register that does not answer soon is left to itself: its request waits with others of its engine ([`Waiting`]), and those
//! behind it are served meanwhile, which PCIe allows of requests that are not posted (PCIe 2.4.1). One at a time is in hand here,
//! and that one never waits for a register, for it waits there.

mod payload;
mod waiting;

use azote_hdl::prelude::*;
use azote_regs::pcie::tlp;

use self::payload::Payload;
pub use self::waiting::Held;
use self::waiting::Waiting;
use super::header::{byte_count, completion, dw, first_offset, function_number, in_gap, last_keep, owner_of};
use super::stream::{AskOut, ConfigMaster, ErrorOut, Found, HitIn, ORDER, RequestIn, TxOut};
use super::ways::way;
use crate::parts::byte_mask;

struct St;
impl St {
    const IDLE: u64 = 0;
    const DECODE: u64 = 1;
    const CONFIG: u64 = 2;
    const TARGET: u64 = 3;
    const ASK: u64 = 4;
    const ANSWER: u64 = 5;
    const SEND_HEADER: u64 = 6;
    const SEND_DATA: u64 = 7;
    const REFUSE: u64 = 8;
    const LOCATE: u64 = 9;
}

/// A register has so many clocks before its request waits elsewhere.
pub const PATIENCE: u64 = 15;

#[derive(LogicBlock, Default)]
pub struct Completer {
    pub clock: Clk,
    pub reset: Rst,
    pub req: RequestIn,
    /// How many writes have taken effect.
    pub done: I<ORDER>,
    pub cfg: ConfigMaster,
    /// Address to find a BAR for, and what it hit, two clocks later. `taken`: somebody else asks in this clock.
    pub address: O<64>,
    pub taken: I<1>,
    pub hit: HitIn,
    pub asks: AskOut,
    /// An interrupt of the function whose completion this is (`tx.owner`) is on its way to the link.
    pub hold: I<1>,
    pub tx: TxOut,
    pub error: ErrorOut,
    /// Our bus number, learnt from configuration writes (PCIe 2.2.6.2).
    pub bus_number: O<8>,
    pub busy: O<1>,
    st: Reg<4>,
    h: Reg<128>,
    bus_no: Reg<8>,
    owner: Reg<8>,
    number: Reg<8>,
    manage: Reg<1>,
    /// No function claims the request in hand.
    nobody: Reg<1>,
    offset: Reg<16>,
    /// DWs of the request that are not done yet.
    left: Reg<11>,
    /// The enables of the DW in hand.
    be: Reg<4>,
    bytes: Reg<13>,
    lower: Reg<7>,
    status: Reg<3>,
    with_data: Reg<1>,
    /// Which byte of a register is byte 0 of an access through a window.
    lane: Reg<2>,
    /// The way to its register.
    way: Reg<2>,
    /// The request in hand has waited, and how long its register has had now.
    again: Reg<1>,
    patience: Reg<4>,
    /// One went on or was put by since a new one was taken.
    others: Reg<1>,
    /// The header is at the link already.
    offered: Reg<1>,
    /// DWs gathered for the completion in hand.
    have: Reg<6>,
    sent: Reg<4>,
    e_valid: Reg<1>,
    e_event: Reg<4>,
    e_owner: Reg<8>,
    e_everyone: Reg<1>,
    /// Whether some function has a window.
    windows: Param,
    waiting: Waiting,
    payload: Payload,
}

impl Completer {
    /// `windows`: some function has a window in its configuration space.
    pub fn new(windows: bool) -> Self {
        Completer { windows: Param::new(windows.into()), ..Self::default() }
    }
}

#[kernel]
impl Logic for Completer {
    fn update(&mut self) {
        clocked!(self.waiting);
        memories!(self.payload);
        let h = self.h.q;
        let dw0 = dw(h, { 0 });
        let dw1 = dw(h, { 1 });
        let fmt_type = dw0.get(tlp::FMT_TYPE);
        let has_data = dw0.get(tlp::FMT_BIT_DATA);
        let long = dw0.get(tlp::FMT_BIT_4DW);
        let poisoned = dw0.get(tlp::EP);
        let length = dw0.get(tlp::LENGTH);
        let dws = cat(length == 0, length);
        let first_be = dw1.get(tlp::FIRST_BE);
        let last_be = dw1.get(tlp::LAST_BE);
        let is_config = (fmt_type == tlp::CFGRD0) | (fmt_type == tlp::CFGWR0);
        let is_read = (fmt_type == tlp::MRD32) | (fmt_type == tlp::MRD64);
        let low = if long { dw(h, { 3 }) } else { dw(h, { 2 }) };
        let high = if long { dw(h, { 2 }) } else { 0 };
        self.address = cat(high, low.bits(31, 2), sized(0, 2));
        let target = dw(h, { 2 });
        let number = target.get(tlp::CFG_FUNCTION);
        // Reads, locked reads and AtomicOps have an address, and so perhaps a function that claims them.
        let kind = dw0.get(tlp::TYPE);
        let atomic = (kind == tlp::TYPE_FETCH_ADD) | (kind == tlp::TYPE_SWAP) | (kind == tlp::TYPE_CAS);
        let has_address = (kind == tlp::TYPE_MEM) | (kind == tlp::TYPE_MEM_LOCKED) | atomic;
        // A window shows a register in place, of which byte `lane` is the access's byte 0.
        let windowed = if const { self.windows.get() != 0 } { is_config } else { sized(0, 1) };
        let shift = cat(self.lane.q, sized(0, 3));

        let be = self.be.q;
        let word = dw(h, { 3 });

        self.req.ready = 0;
        self.cfg.valid = 0;
        self.cfg.write = has_data;
        self.cfg.number = number;
        self.cfg.dw = target.bits(11, 2);
        self.cfg.be = first_be;
        self.cfg.wdata = word;
        let at = self.way.q;
        // Behind those that wait, if there are any.
        let behind = self.waiting.queued & !self.again.q;
        self.asks.valid = (self.st.q == St::ASK) & be.any() & !behind;
        self.asks.write = windowed & has_data;
        self.asks.owner = self.owner.q;
        self.asks.offset = self.offset.q;
        self.asks.manage = self.manage.q;
        self.asks.to = at;
        self.asks.be = be;
        self.asks.wdata = if const { self.windows.get() != 0 } { word << shift } else { sized(0, 32) };
        let answered = !self.asks.open.sel(at);
        // Nothing of what another access left on the way shows in a DW that was not read.
        let bits = if windowed { byte_mask(be) } else { be.any().rep(32) };
        let read = self.asks.rdata & bits;

        // What waits is kept with what its completions need of its header.
        let held = self.waiting.held;
        let was_window = if const { self.windows.get() != 0 } { held.get(Held::WINDOW) } else { sized(0, 1) };
        let was_write = if const { self.windows.get() != 0 } { held.get(Held::WRITE) } else { sized(0, 1) };
        let was_wdata = if const { self.windows.get() != 0 } { held.get(Held::WDATA) } else { sized(0, 32) };
        let was_lane = if const { self.windows.get() != 0 } { held.get(Held::LANE) } else { sized(0, 2) };
        let was =
            if was_write { sized(tlp::CFGWR0, 8) } else { if was_window { sized(tlp::CFGRD0, 8) } else { tlp::MRD32 } };
        let was_dw0 = cat(
            was,
            sized(0, 1),
            held.get(Held::TC),
            sized(0, 1),
            held.get(Held::IDO),
            sized(0, 4),
            held.get(Held::ATTR),
            sized(0, 12),
        );
        let was_dw1 = cat(held.get(Held::REQUESTER), held.get(Held::TAG), held.get(Held::LAST_BE), sized(0, 4));
        self.waiting.open = self.asks.open;
        self.waiting.taken = self.asks.taken;
        self.waiting.take = 0;
        self.waiting.way = at;
        self.waiting.park = 0;
        self.waiting.again = self.again.q;
        self.waiting.asked = self.st.q == St::ANSWER;
        self.waiting.leave = 0;
        self.waiting.word = Held {
            window: windowed,
            write: windowed & has_data,
            lane: self.lane.q,
            wdata: word,
            tc: dw0.get(tlp::TC),
            ido: dw0.get(tlp::ATTR_IDO),
            attr: dw0.get(tlp::ATTR),
            requester: dw1.get(tlp::REQUESTER_ID),
            tag: dw1.get(tlp::TAG),
            last_be: last_be,
            manage: self.manage.q,
            owner: self.owner.q,
            offset: self.offset.q,
            left: self.left.q,
            be: be,
            bytes: self.bytes.q,
            lower: self.lower.q,
        };

        let chunk_ends = (self.left.q == 1) | (self.offset.q.bits(6, 2) == 31);
        let header = completion(
            self.with_data.q,
            // Without data the length is reserved (PCIe 2.2.2).
            if self.with_data.q { self.have.q.zext(11) } else { 0 },
            cat(self.bus_no.q, self.number.q),
            self.status.q,
            self.bytes.q,
            dw1.get(tlp::REQUESTER_ID),
            dw1.get(tlp::TAG),
            self.lower.q,
            dw0,
        );
        self.payload.we = 0;
        self.payload.part = at;
        self.payload.place = self.have.q.trunc(5);
        self.payload.wdata = read;
        self.payload.row = self.sent.q.trunc(3);
        let last_beat = (self.sent.q.zext(6) << 2) + 4 >= self.have.q;
        let keep = if last_beat { last_keep(self.have.q.zext(11)) } else { 15 };
        let lanes = cat(keep.bit(3).rep(32), keep.bit(2).rep(32), keep.bit(1).rep(32), keep.bit(0).rep(32));
        // What configuration space answered stands where the request's own word did.
        let beat = if is_config { word.zext(128) } else { self.payload.rdata & lanes };
        // Interrupts that are given out later need not be waited for, and what was offered stays.
        let free = (!self.hold) | self.offered.q;
        self.offered.d = (self.st.q == St::SEND_HEADER) & free & !self.tx.ready;
        self.tx.valid = ((self.st.q == St::SEND_HEADER) & free) | (self.st.q == St::SEND_DATA);
        self.tx.sop = self.st.q == St::SEND_HEADER;
        self.tx.eop = if self.st.q == St::SEND_HEADER { !self.with_data.q } else { last_beat };
        self.tx.keep = if self.st.q == St::SEND_HEADER { 15 } else { keep };
        self.tx.data = if self.st.q == St::SEND_HEADER { header } else { beat };
        self.tx.owner = self.owner.q;

        let mut record = sized(0, 1);
        let mut what = sized(Found::UNSUPPORTED, 4);
        let mut whose = self.owner.q;
        let mut everyone = sized(0, 1);
        let mut ends = sized(0, 1);
        let impatient = self.patience.q == konst(PATIENCE);
        self.patience.d = 0;

        match self.st.q {
            St::IDLE => {
                // What is begun may be wrong, and then there must be a place for its record; or it may have to wait, and then there
                // must be a place for itself. And a read does not pass a write.
                let ahead = self.done - self.req.after;
                let behind = ahead.bit(ORDER - 1) & !self.req.free;
                let can = (!self.e_valid.q) & (!self.waiting.full) & !behind;
                // Those that wait and new ones take turns; all leave the header of a record alone.
                let resumes = self.waiting.some & (!self.e_valid.q) & !(self.others.q & self.req.valid & can);
                let takes = can & !resumes;
                self.req.ready = takes;
                self.again.d = resumes;
                self.others.d = resumes | (self.others.q & !self.req.valid);
                if resumes {
                    self.waiting.take = 1;
                    self.way.d = self.waiting.first;
                    self.h.d = cat(was_wdata, sized(0, 32), was_dw1, was_dw0);
                    self.lane.d = was_lane;
                    self.owner.d = held.get(Held::OWNER);
                    self.number.d = function_number(held.get(Held::OWNER));
                    self.manage.d = held.get(Held::MANAGE);
                    self.offset.d = held.get(Held::OFFSET);
                    self.left.d = held.get(Held::LEFT);
                    self.be.d = held.get(Held::BE);
                    self.bytes.d = held.get(Held::BYTES);
                    self.lower.d = held.get(Held::LOWER);
                    // The completion in hand began at its lower address.
                    let gathered = held.get(Held::OFFSET).bits(6, 2) - held.get(Held::LOWER).bits(6, 2);
                    self.have.d = if was_window { 0 } else { gathered.zext(6) };
                    self.sent.d = 0;
                    self.status.d = tlp::SC;
                    self.with_data.d = !was_write;
                    self.nobody.d = 0;
                    self.st.d = if self.waiting.answered { sized(St::ANSWER, 4) } else { St::ASK };
                } else if self.req.valid & takes {
                    self.h.d = self.req.data;
                    self.st.d = St::DECODE;
                }
            }
            St::DECODE => {
                self.be.d = first_be;
                self.left.d = dws;
                self.have.d = 0;
                self.sent.d = 0;
                self.status.d = tlp::SC;
                self.bytes.d = 4;
                self.lower.d = 0;
                self.with_data.d = 0;
                self.owner.d = 0;
                self.number.d = 0;
                self.nobody.d = 1;
                if is_config {
                    self.number.d = number;
                    self.owner.d = owner_of(number);
                    self.st.d = St::CONFIG;
                    if has_data & poisoned {
                        // A poisoned write changes nothing and is an Unsupported Request (PCIe 2.7.2.2).
                        record = 1;
                        what = konst(Found::POISONED);
                        whose = owner_of(number);
                        everyone = in_gap(number);
                        self.status.d = tlp::UR;
                        self.st.d = St::SEND_HEADER;
                    }
                } else if has_address {
                    if is_read {
                        self.bytes.d = byte_count(dws, first_be, last_be);
                    }
                    self.st.d = if self.taken { St::DECODE } else { St::LOCATE };
                } else {
                    self.st.d = St::REFUSE;
                }
            }
            St::CONFIG => {
                self.cfg.valid = 1;
                if self.cfg.ack {
                    if !has_data {
                        self.h.d = cat(self.cfg.rdata, h.bits(95, 0));
                    }
                    self.have.d = 1;
                    self.with_data.d = (!has_data) & !(self.cfg.none | self.cfg.retry);
                    if self.cfg.none {
                        record = 1;
                        everyone = 1;
                        self.status.d = tlp::UR;
                    } else if self.cfg.retry {
                        self.status.d = tlp::CRS;
                    } else if has_data {
                        // Only a write that a function completed tells the bus number (PCIe 2.2.6.2).
                        self.bus_no.d = target.get(tlp::CFG_BUS);
                    }
                    self.st.d = St::SEND_HEADER;
                    if const { self.windows.get() != 0 } {
                        if self.cfg.window {
                            self.offset.d = self.cfg.offset.zext(16);
                            self.lane.d = self.cfg.lane;
                            self.be.d = self.cfg.bytes;
                            self.manage.d = 0;
                            self.way.d = self.owner.q.bits(1, 0);
                            self.have.d = 0;
                            self.st.d = St::ASK;
                        }
                    }
                }
            }
            St::LOCATE => self.st.d = St::TARGET,
            St::TARGET => {
                self.owner.d = self.hit.owner;
                self.number.d = function_number(self.hit.owner);
                self.offset.d = self.hit.offset;
                self.manage.d = self.hit.manage;
                self.way.d = way(self.hit.manage, self.hit.offset, self.hit.owner);
                let start = if is_read { first_offset(first_be) } else { 0 };
                self.lower.d = cat(self.hit.offset.bits(6, 2), start);
                self.nobody.d = !self.hit.valid;
                if !self.hit.valid {
                    self.number.d = 0;
                    self.owner.d = 0;
                    self.st.d = St::REFUSE;
                    self.lower.d = cat(low.bits(6, 2), start);
                } else if is_read {
                    self.with_data.d = 1;
                    self.st.d = St::ASK;
                } else {
                    self.st.d = St::REFUSE;
                    self.lower.d = 0;
                }
            }
            St::ASK => {
                // When the way is not free, as one that waits.
                self.patience.d = self.patience.q + 1;
                if !be.any() {
                    self.st.d = St::ANSWER;
                } else if self.asks.ready {
                    self.patience.d = 0;
                    self.st.d = St::ANSWER;
                }
                if behind | (impatient & be.any() & !self.asks.ready) {
                    self.waiting.park = 1;
                    self.st.d = St::IDLE;
                }
            }
            St::ANSWER => {
                self.patience.d = self.patience.q + 1;
                if answered | !be.any() {
                    self.be.d = if self.left.q == 2 { last_be } else { 15 };
                    self.left.d = self.left.q - 1;
                    self.offset.d = self.offset.q + 4;
                    self.have.d = self.have.q + 1;
                    self.payload.we = !is_config;
                    if const { self.windows.get() != 0 } {
                        if windowed & !has_data {
                            self.h.d = cat(read >> shift, h.bits(95, 0));
                        }
                    }
                    self.patience.d = 0;
                    self.st.d = if chunk_ends { sized(St::SEND_HEADER, 4) } else { St::ASK };
                } else if impatient {
                    self.waiting.park = 1;
                    self.st.d = St::IDLE;
                }
            }
            St::SEND_HEADER => {
                if self.tx.ready & free {
                    self.sent.d = 0;
                    self.st.d = St::SEND_DATA;
                    ends = !self.with_data.q;
                }
            }
            St::SEND_DATA => {
                if self.tx.ready {
                    self.sent.d = self.sent.q + 1;
                    if last_beat {
                        // The bytes that this completion carried; its first DW may have begun late.
                        let carried = cat(self.have.q, sized(0, 2)) - self.lower.q.bits(1, 0).zext(8);
                        self.bytes.d = self.bytes.q - carried.zext(13);
                        self.lower.d = cat(self.offset.q.bits(6, 2), sized(0, 2));
                        self.have.d = 0;
                        let more = is_read & (self.left.q != 0);
                        self.st.d = St::ASK;
                        ends = !more;
                    }
                }
            }
            St::REFUSE => {
                // Nobody serves it, and the requester is told (PCIe 2.3.1).
                record = 1;
                everyone = self.nobody.q;
                self.status.d = tlp::UR;
                self.st.d = St::SEND_HEADER;
            }
            _ => self.st.d = St::IDLE,
        }
        if ends {
            self.waiting.leave = self.again.q;
            self.st.d = St::IDLE;
        }

        if self.e_valid.q & self.error.ready {
            self.e_valid.d = 0;
        }
        if record & !self.e_valid.q {
            self.e_valid.d = 1;
            self.e_event.d = what;
            self.e_owner.d = whose;
            self.e_everyone.d = everyone;
        }
        self.error.valid = self.e_valid.q;
        self.error.owner = self.e_owner.q;
        self.error.everyone = self.e_everyone.q;
        self.error.event = self.e_event.q;
        // The request stays until its record is taken; what it wrote is not of the header.
        self.error.header = if long { h } else { h.bits(95, 0).zext(128) };
        self.bus_number = self.bus_no.q;
        self.busy = (self.st.q != St::IDLE) | self.e_valid.q | self.waiting.busy;
    }
}
