//! Serves the requests that the host waits for, one after the other: configuration accesses, register reads, and
//! everything that is not supported, each with the completion that it is owed (PCIe 2.2.9, 2.3.1).
//!
//! Promise: every non-posted request gets exactly its completions, split at 128 bytes (the Read Completion Boundary of an
//! endpoint, PCIe 2.3.1.1); a DW without enabled bytes never reaches a register; requests take effect in the order in which
//! they came, and after the writes that came before them. Writes are served by [`Posted`](super::Posted), also while a
//! completion waits here for the link. A completion does not pass interrupts of its function that were given out before
//! (`hold`).

use azote_hdl::prelude::*;
use azote_regs::pcie::tlp;

use crate::parts::byte_mask;

use super::header::{byte_count, completion, dw, first_offset, function_number, in_gap, last_keep, owner_of};
use super::stream::{BusMaster, ConfigMaster, ErrorOut, Found, HitIn, ORDER, RequestIn, TxOut};

struct St;
impl St {
    const IDLE: u64 = 0;
    const DECODE: u64 = 1;
    const CONFIG: u64 = 2;
    const TARGET: u64 = 3;
    const READ: u64 = 4;
    const SEND_HEADER: u64 = 5;
    const SEND_DATA: u64 = 6;
    const REFUSE: u64 = 7;
    const LOCATE: u64 = 8;
    const WINDOW: u64 = 9;
}

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
    pub bus: BusMaster,
    /// With `bus.valid`: the management BAR and not BAR0.
    pub bus_manage: O<1>,
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
    /// The header is at the link already.
    offered: Reg<1>,
    /// DWs gathered for the completion in hand.
    have: Reg<6>,
    sent: Reg<4>,
    e_valid: Reg<1>,
    e_event: Reg<4>,
    e_owner: Reg<8>,
    e_everyone: Reg<1>,
    payload: [Reg<128>; 8],
}

#[kernel]
impl Logic for Completer {
    fn update(&mut self) {
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

        let be = self.be.q;
        let word = dw(h, { 3 });
        // Nothing of what another access left on the bus shows in a DW that was not read.
        let word_in = if be == 0 { 0 } else { self.bus.rdata };

        self.req.ready = 0;
        self.cfg.valid = 0;
        self.cfg.write = has_data;
        self.cfg.number = number;
        self.cfg.dw = target.bits(11, 2);
        self.cfg.be = first_be;
        self.cfg.wdata = word;
        self.bus.valid = 0;
        self.bus.write = 0;
        self.bus.owner = self.owner.q;
        self.bus.offset = self.offset.q;
        self.bus.be = be;
        // Of a write through a window, the only one here.
        let shift = cat(self.lane.q, sized(0, 3));
        self.bus.wdata = word << shift;
        self.bus_manage = self.manage.q;

        let chunk_ends = (self.left.q == 1) | (self.offset.q.bits(6, 2) == 31);
        // A DW is done: by its register, or because none of its bytes is enabled.
        let dw_done = self.bus.ack | (be == 0);
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
        let mut beat = self.payload[0].q;
        for i in 1..8 {
            if self.sent.q == i {
                beat = self.payload[i].q;
            }
        }
        let last_beat = (self.sent.q.zext(6) << 2) + 4 >= self.have.q;
        // Interrupts that are given out later need not be waited for, and what was offered stays.
        let free = (!self.hold) | self.offered.q;
        self.offered.d = (self.st.q == St::SEND_HEADER) & free & !self.tx.ready;
        self.tx.valid = ((self.st.q == St::SEND_HEADER) & free) | (self.st.q == St::SEND_DATA);
        self.tx.sop = self.st.q == St::SEND_HEADER;
        self.tx.eop = if self.st.q == St::SEND_HEADER { !self.with_data.q } else { last_beat };
        self.tx.keep = if (self.st.q == St::SEND_HEADER) | !last_beat { 15 } else { last_keep(self.have.q.zext(11)) };
        self.tx.data = if self.st.q == St::SEND_HEADER { header } else { beat };
        self.tx.owner = self.owner.q;

        let mut record = sized(0, 1);
        let mut what = sized(Found::UNSUPPORTED, 4);
        let mut whose = self.owner.q;
        let mut everyone = sized(0, 1);

        match self.st.q {
            St::IDLE => {
                // What is begun may be wrong, and then there must be a place for its record. And a read does not pass a write.
                let ahead = self.done - self.req.after;
                let takes = (!self.e_valid.q) & !ahead.bit(ORDER - 1);
                self.req.ready = takes;
                if self.req.valid & takes {
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
                    self.payload[0].d = self.cfg.rdata.zext(128);
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
                    if self.cfg.window {
                        self.offset.d = self.cfg.offset.zext(16);
                        self.lane.d = self.cfg.lane;
                        self.be.d = self.cfg.bytes;
                        self.manage.d = 0;
                        self.st.d = St::WINDOW;
                    }
                }
            }
            St::WINDOW => {
                self.bus.valid = 1;
                self.bus.write = has_data;
                if self.bus.ack {
                    let read = self.bus.rdata & byte_mask(be);
                    self.payload[0].d = (read >> shift).zext(128);
                    self.st.d = St::SEND_HEADER;
                }
            }
            St::LOCATE => self.st.d = St::TARGET,
            St::TARGET => {
                self.owner.d = self.hit.owner;
                self.number.d = function_number(self.hit.owner);
                self.offset.d = self.hit.offset;
                self.manage.d = self.hit.manage;
                let start = if is_read { first_offset(first_be) } else { 0 };
                self.lower.d = cat(self.hit.offset.bits(6, 2), start);
                self.nobody.d = !self.hit.valid;
                if !self.hit.valid {
                    self.number.d = 0;
                    self.owner.d = 0;
                    self.st.d = St::REFUSE;
                    self.lower.d = cat(low.bits(6, 2), start);
                } else if is_read {
                    self.st.d = St::READ;
                } else {
                    self.st.d = St::REFUSE;
                    self.lower.d = 0;
                }
            }
            St::READ => {
                self.bus.valid = be != 0;
                if dw_done {
                    self.be.d = if self.left.q == 2 { last_be } else { 15 };
                    self.left.d = self.left.q - 1;
                    self.offset.d = self.offset.q + 4;
                    self.have.d = self.have.q + 1;
                    for i in 0..32 {
                        if self.have.q == i {
                            let old = self.payload[i / 4].q;
                            self.payload[i / 4].d = if const { i % 4 == 0 } {
                                word_in.zext(128)
                            } else {
                                old | (word_in.zext(128) << konst(32 * (i % 4)))
                            };
                        }
                    }
                    if chunk_ends {
                        self.with_data.d = 1;
                        self.st.d = St::SEND_HEADER;
                    }
                }
            }
            St::SEND_HEADER => {
                if self.tx.ready & free {
                    self.sent.d = 0;
                    self.st.d = if self.with_data.q { St::SEND_DATA } else { St::IDLE };
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
                        self.st.d = if is_read & (self.left.q != 0) { St::READ } else { St::IDLE };
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
        self.busy = (self.st.q != St::IDLE) | self.e_valid.q;
    }
}
