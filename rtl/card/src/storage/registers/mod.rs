//! The controller registers and doorbells of all storage functions (NVMe 3.1).
//!
//! Promise: CSTS.RDY follows CC.EN; a controller that is disabled, or whose function is reset, is quiet first: its queues
//! are closed, its commands are let run out without a completion, and only then RDY falls or the reset is done. Meanwhile
//! every other function is served, and closed if it wants to be: as many closings as there are functions go on side by
//! side, each bounded by its own work. An access is answered within [`ANSWERS`] clocks whatever else goes on: nothing here waits
//! for anybody but the queues, which wait for nobody.
//!
//! A shutdown is complete when what the medium has of the function's writes is durable (NVMe 3.1.6).
//!
//! A secondary controller that the primary took offline (NVMe 1.4 §8.5) is closed like one whose function is reset. Until it
//! is put online again it shows a fatal status and takes no write, whatever is reset meanwhile, but for the PF itself.

mod offline;
mod shutdowns;
mod words;

use azote_hdl::prelude::*;
use azote_regs::nvme::controller as nvme;

use self::offline::Offline;
use self::shutdowns::Shutdowns;
use self::words::{Closing, Word};
use super::terms::Op;
use crate::parts::{BlockTable, Fifo, Table, byte_mask, is_marked, slots_of};
use crate::transaction::BusSlave;

/// Clocks in which an access is answered.
pub const ANSWERS: u64 = 256;

/// Bit of the CSTS word that the host does not see: CC.EN fell, RDY has yet to follow.
const CLOSING: usize = 31;
const CAP_HI: u64 = nvme::CAP + 4;
const ASQ_HI: u64 = nvme::ASQ + 4;
const ACQ_HI: u64 = nvme::ACQ + 4;

struct St;
impl St {
    const BOOT: u64 = 0;
    const IDLE: u64 = 1;
    const BUS_READ: u64 = 2;
    const BUS_DO: u64 = 3;
    const BUS_ACK: u64 = 4;
    const LOAD: u64 = 5;
    const LOADED: u64 = 6;
    const ENABLE: u64 = 7;
    const STATUS: u64 = 8;
    const DOORBELL: u64 = 9;
    const FATAL_READ: u64 = 10;
    const FATAL: u64 = 11;
    const CLOSE_READ: u64 = 12;
    const CLOSE_TEST: u64 = 13;
    const QUIESCE: u64 = 14;
    const CLEAR: u64 = 15;
    const FORGOTTEN: u64 = 16;
    const WIPE: u64 = 17;
    const SHUT_READ: u64 = 18;
    const SHUT: u64 = 19;
    const RESET_LOOK: u64 = 20;
    const OFF_LOOK: u64 = 21;
    const FLUSH: u64 = 22;
}

#[derive(LogicBlock, Default)]
pub struct Registers {
    pub clock: Clk,
    pub reset: Rst,
    /// Pages 0 and 1 of storage functions.
    pub bus: BusSlave,
    /// To the queues, held until `q_ack`.
    pub q_valid: O<1>,
    pub q_op: O<4>,
    pub q_slot: O<6>,
    pub q_qid: O<3>,
    pub q_value: O<16>,
    /// It is a doorbell beyond that of the last queue.
    pub q_beyond: O<1>,
    pub asq: O<52>,
    pub acq: O<52>,
    pub asqs: O<12>,
    pub acqs: O<12>,
    pub q_ack: I<1>,
    pub q_answer: I<2>,
    /// A controller that cannot go on: held until `fatal_ready`.
    pub fatal: I<1>,
    pub fatal_slot: I<6>,
    pub fatal_ready: O<1>,
    /// One clock: the controller of this slot is enabled.
    pub began: O<1>,
    pub began_slot: O<6>,
    /// One clock: somebody who closes is not quiet yet.
    pub unquiet: O<1>,
    /// What others keep of a slot is to be cleared: held until `forget_done`.
    pub forget: O<1>,
    pub forget_slot: O<6>,
    pub forget_done: I<1>,
    /// A completion of this slot is on its way to the link.
    pub posting: I<1>,
    pub posting_slot: I<6>,
    /// FLR or VF disable: held until `reset_done`, which stays until `reset_valid` falls; or taken back for a clock or more and
    /// asked again later. What was once asked for goes on meanwhile, many at once.
    pub reset_valid: I<1>,
    pub reset_slot: I<6>,
    pub reset_done: O<1>,
    /// A slot whose volume is to be flushed: held until `flush_taken`, with which `unbound` says that it has none. One clock: the
    /// flush of a slot is over.
    pub flush: O<1>,
    pub flush_slot: O<6>,
    pub flush_taken: I<1>,
    pub unbound: I<1>,
    pub flushed: I<1>,
    pub flushed_slot: I<6>,
    /// One clock: what this slot has at the medium is to end; it has nothing there.
    pub shut: O<1>,
    pub unshut: O<1>,
    pub shut_slot: O<6>,
    /// One clock: take this slot offline, or online again; `off_done`, one clock: it is off and quiet.
    pub off: I<1>,
    pub on: I<1>,
    pub off_slot: I<6>,
    pub off_done: O<1>,
    pub offline: O<64>,
    pub busy: O<1>,
    st: Reg<5>,
    slot: Reg<6>,
    index: Reg<3>,
    old: Reg<32>,
    cc: Reg<32>,
    csts: Reg<32>,
    aqa: Reg<32>,
    sq: Reg<64>,
    cq: Reg<64>,
    out: Reg<32>,
    /// The closings by slot (see `Closing`), how many there are, and whose turn it is to be looked at.
    closings: Table<6, { Closing::WIDTH }, 1>,
    slots: Param,
    many: Reg<7>,
    cursor: Reg<6>,
    /// Clocks until the next is asked whether it is quiet; until a reset that is asked for is looked at again.
    poll: Reg<4>,
    look: Reg<4>,
    done: Reg<1>,
    /// One that is quiet is being forgotten.
    forgets: Reg<1>,
    c_slot: Reg<6>,
    /// How long an access has been waiting.
    waits: Reg<9>,
    replies: Reg<1>,
    shutdowns: Shutdowns,
    away: Offline,
    /// The one that is wiped goes offline.
    off_now: Reg<1>,
    /// The slot in hand is offline.
    refused: Reg<1>,
    closers: Fifo<6>,
    words: BlockTable<9, 32, 1>,
}

impl Registers {
    /// Registers of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = slots_of(vfs);
        Registers {
            slots: Param::new(slots),
            away: Offline::new(slots),
            closers: Fifo::new(64),
            shutdowns: Shutdowns::new(slots),
            closings: Table::new(slots, 0),
            words: BlockTable::new(slots * 8, 3),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Registers {
    fn update(&mut self) {
        clocked!(self.closers, self.shutdowns, self.away, self.words, self.closings);
        let offset = self.bus.offset;
        let owner_slot = self.bus.owner.bits(7, 2);
        let is_doorbell = offset.bit(12);
        let bell = offset.bits(11, 2);
        let be = self.bus.be;
        let mask = byte_mask(be);
        let word = match offset.bits(11, 0) {
            nvme::CC => sized(Word::CC, 3),
            nvme::CSTS => Word::CSTS,
            nvme::AQA => Word::AQA,
            nvme::ASQ => Word::ASQ_LO,
            ASQ_HI => Word::ASQ_HI,
            nvme::ACQ => Word::ACQ_LO,
            ACQ_HI => Word::ACQ_HI,
            _ => Word::NONE,
        };
        let rd = self.words.rdata[0];
        let merged = (rd & !mask) | (self.bus.wdata & mask);

        let mut we = sized(0, 1);
        let mut waddr = cat(self.slot.q, self.index.q);
        let mut wdata = sized(0, 32);
        let mut raddr = cat(self.slot.q, self.index.q);
        self.q_valid = 0;
        self.q_op = 0;
        self.q_slot = self.slot.q;
        self.q_qid = bell.bits(3, 1);
        self.q_value = self.bus.wdata.bits(15, 0);
        self.asq = self.sq.q.bits(63, 12);
        self.acq = self.cq.q.bits(63, 12);
        self.asqs = self.aqa.q.get(nvme::AQA_ASQS);
        self.acqs = self.aqa.q.get(nvme::AQA_ACQS);
        self.fatal_ready = 0;
        self.began = (self.st.q == St::ENABLE) & self.q_ack;
        self.began_slot = self.slot.q;
        self.q_beyond = bell.bits(9, 4) != 0;
        self.unquiet = 0;
        self.forget = self.forgets.q;
        self.forget_slot = self.c_slot.q;
        self.closings.raddr[0] = if self.st.q == St::IDLE { self.cursor.q } else { self.slot.q };
        let c = self.closings.rdata[0];
        let last = self.cursor.q == konst(self.slots.get() - 1);
        let after = if last { 0 } else { self.cursor.q + 1 };
        let closes = c.get(Closing::CLOSES);
        let mut c_we = sized(0, 1);
        let mut c_new = c;
        let begun = Closing { whole: 1, quiet: 0, closes: 1, ..c };
        self.closers.in_valid = 0;
        self.closers.in_data = self.slot.q;
        self.closers.out_ready = 0;
        self.bus.ack = self.st.q == St::BUS_ACK;
        self.bus.rdata = self.out.q;
        self.off_done = 0;
        self.poll.d = if self.poll.q == 0 { 0 } else { self.poll.q - 1 };
        self.look.d = if self.look.q == 0 { 0 } else { self.look.q - 1 };

        self.shutdowns.mark = 0;
        self.shutdowns.starts = 0;
        self.shutdowns.slot = self.slot.q;
        self.shutdowns.take = 0;
        self.shutdowns.over_take = 0;
        self.shutdowns.flush_taken = self.flush_taken;
        self.shutdowns.unbound = self.unbound;
        self.shutdowns.flushed = self.flushed;
        self.shutdowns.flushed_slot = self.flushed_slot;
        self.flush = self.shutdowns.flush;
        self.flush_slot = self.shutdowns.flush_slot;
        self.shut = 0;
        self.unshut = 0;
        self.shut_slot = self.slot.q;
        self.away.take = 0;

        match self.st.q {
            St::BOOT => {
                if self.words.ready {
                    self.st.d = St::IDLE;
                }
            }
            St::IDLE => {
                self.replies.d = 0;
                self.index.d = Word::CSTS;
                if self.bus.valid {
                    self.slot.d = owner_slot;
                    self.index.d = word;
                    self.replies.d = 1;
                    self.st.d = St::BUS_READ;
                } else if self.fatal {
                    self.slot.d = self.fatal_slot;
                    self.st.d = St::FATAL_READ;
                } else if self.shutdowns.over {
                    self.shutdowns.over_take = 1;
                    self.slot.d = self.shutdowns.over_slot;
                    self.st.d = St::SHUT_READ;
                } else if self.shutdowns.valid {
                    self.shutdowns.take = 1;
                    self.slot.d = self.shutdowns.next;
                    self.st.d = St::FLUSH;
                } else if self.forgets.q & self.forget_done {
                    self.slot.d = self.c_slot.q;
                    self.st.d = St::FORGOTTEN;
                } else if self.reset_valid & (!self.done.q) & (self.look.q == 0) {
                    self.slot.d = self.reset_slot;
                    self.st.d = St::RESET_LOOK;
                } else if self.away.valid {
                    self.away.take = 1;
                    self.slot.d = self.away.closes;
                    self.st.d = St::OFF_LOOK;
                } else if self.closers.out_valid {
                    self.closers.out_ready = 1;
                    self.slot.d = self.closers.out_data;
                    self.st.d = St::CLOSE_READ;
                } else if (self.many.q != 0) & !self.forgets.q {
                    if !closes {
                        self.cursor.d = after;
                    } else if self.poll.q == 0 {
                        self.slot.d = self.cursor.q;
                        self.st.d = if c.get(Closing::QUIET) { St::CLEAR } else { St::QUIESCE };
                    }
                }
            }
            St::BUS_READ => {
                self.refused.d = is_marked(self.away.offline, self.slot.q, { self.slots.get() });
                self.st.d = if is_doorbell { St::DOORBELL } else { St::BUS_DO };
            }
            St::BUS_DO => {
                self.st.d = St::BUS_ACK;
                self.out.d = match offset.bits(11, 0) {
                    nvme::CAP => sized(nvme::CAP_VALUE & 0xffff_ffff, 32),
                    CAP_HI => nvme::CAP_VALUE >> 32,
                    nvme::VS => nvme::VS_VALUE,
                    nvme::CSTS => {
                        if self.refused.q {
                            konst(nvme::CSTS_CFS.mask())
                        } else {
                            rd & 0x7fff_ffff
                        }
                    }
                    _ => {
                        if word == Word::NONE {
                            0
                        } else {
                            rd
                        }
                    }
                };
                if self.bus.write & !self.refused.q {
                    match word {
                        Word::CC => {
                            self.old.d = rd;
                            self.cc.d = merged & konst(nvme::CC_WRITABLE);
                            we = 1;
                            wdata = merged & konst(nvme::CC_WRITABLE);
                            self.index.d = 0;
                            self.st.d = St::LOAD;
                        }
                        Word::AQA => {
                            we = 1;
                            wdata = merged & konst(nvme::AQA_ASQS.mask() | nvme::AQA_ACQS.mask());
                        }
                        Word::ASQ_LO | Word::ACQ_LO => {
                            we = 1;
                            wdata = merged & 0xffff_f000;
                        }
                        Word::ASQ_HI | Word::ACQ_HI => {
                            we = 1;
                            wdata = merged;
                        }
                        _ => {}
                    }
                }
            }
            St::BUS_ACK => self.st.d = St::IDLE,

            // Everything that an enable needs; word `index - 1` is on the RAM's output.
            St::LOAD => {
                match self.index.q {
                    2 => self.csts.d = rd,
                    3 => self.aqa.d = rd,
                    4 => self.sq.d = cat(self.sq.q.bits(63, 32), rd),
                    5 => self.sq.d = cat(rd, self.sq.q.bits(31, 0)),
                    6 => self.cq.d = cat(self.cq.q.bits(63, 32), rd),
                    _ => {}
                }
                self.index.d = self.index.q + 1;
                if self.index.q == 7 {
                    self.cq.d = cat(rd, self.cq.q.bits(31, 0));
                    self.st.d = St::LOADED;
                }
            }
            St::LOADED => {
                let rises = self.cc.q.get(nvme::CC_EN) & !self.old.q.get(nvme::CC_EN);
                let falls = (!self.cc.q.get(nvme::CC_EN)) & self.old.q.get(nvme::CC_EN);
                let shuts = self.cc.q.get(nvme::CC_SHN) != nvme::SHN_NONE;
                let closing = self.csts.q.bit(CLOSING);
                // What we do not support must not look supported (NVMe 3.1.5).
                let odd = (self.cc.q.get(nvme::CC_CSS) != 0)
                    | (self.cc.q.get(nvme::CC_MPS) != 0)
                    | (self.cc.q.get(nvme::CC_AMS) != 0);
                let shut = sized(nvme::CSTS_SHST.put(nvme::SHST_OCCURRING), 32);
                let fresh = shuts & (self.csts.q.get(nvme::CSTS_SHST) == nvme::SHST_NORMAL);
                let kept = if fresh { self.csts.q | shut } else { self.csts.q };
                if fresh | (shuts & rises) {
                    self.shutdowns.mark = 1;
                }
                self.st.d = St::STATUS;
                self.csts.d = kept;
                if falls & !closing {
                    self.closers.in_valid = 1;
                    self.csts.d = kept | konst(1u64 << CLOSING);
                } else if rises & !closing {
                    if odd {
                        self.csts.d = kept | konst(nvme::CSTS_CFS.mask());
                    } else {
                        let ready = sized(nvme::CSTS_RDY.mask(), 32);
                        self.csts.d = if shuts { ready | shut } else { ready };
                        self.st.d = St::ENABLE;
                    }
                }
            }
            St::ENABLE => {
                self.q_valid = 1;
                self.q_op = Op::ENABLE;
                self.q_qid = 0;
                if self.q_ack {
                    self.st.d = St::STATUS;
                }
            }
            St::STATUS => {
                we = 1;
                waddr = cat(self.slot.q, sized(Word::CSTS, 3));
                wdata = self.csts.q;
                self.st.d = if self.replies.q { St::BUS_ACK } else { St::IDLE };
            }
            St::DOORBELL => {
                let real = self.bus.write & !self.refused.q & be.bits(1, 0).all();
                self.out.d = 0;
                self.q_valid = real;
                self.q_op = if bell.bit(0) { Op::CQ_DOORBELL } else { Op::SQ_DOORBELL };
                if self.q_ack | !real {
                    self.st.d = St::BUS_ACK;
                }
            }
            St::FATAL_READ => self.st.d = St::FATAL,
            St::FATAL => {
                we = 1;
                waddr = cat(self.slot.q, sized(Word::CSTS, 3));
                wdata = rd | konst(nvme::CSTS_CFS.mask());
                self.fatal_ready = 1;
                self.st.d = St::IDLE;
            }
            St::FLUSH => {
                // Who is being closed has none: if the host still wants one afterwards, it is asked then.
                self.st.d = St::IDLE;
                c_we = !closes;
                if c.get(Closing::FLUSHES) {
                    c_new = Closing { flush_again: 1, ..c };
                } else {
                    c_new = Closing { flushes: 1, ..c };
                    self.shutdowns.starts = !closes;
                }
            }
            St::SHUT_READ => self.st.d = St::SHUT,
            St::SHUT => {
                let again = c.get(Closing::FLUSH_AGAIN);
                c_we = 1;
                c_new = Closing { flush_again: 0, flushes: 0, ..c };
                self.shutdowns.mark = again;
                // It may have been reset meanwhile, or shut down again.
                we = (rd.get(nvme::CSTS_SHST) == nvme::SHST_OCCURRING) & !again;
                waddr = cat(self.slot.q, sized(Word::CSTS, 3));
                wdata = (rd & konst(0xffff_ffff & !nvme::CSTS_SHST.mask()))
                    | konst(nvme::CSTS_SHST.put(nvme::SHST_COMPLETE));
                self.st.d = St::IDLE;
            }

            St::CLOSE_READ => {
                raddr = cat(self.slot.q, sized(Word::CSTS, 3));
                self.st.d = St::CLOSE_TEST;
            }
            St::CLOSE_TEST => {
                // A function reset may have closed it in the meantime, or be about to.
                self.st.d = St::IDLE;
                if rd.bit(CLOSING) & !closes {
                    c_we = 1;
                    c_new = Closing { closes: 1, ..c };
                    self.many.d = self.many.q + 1;
                }
            }
            St::RESET_LOOK => {
                self.st.d = St::IDLE;
                self.look.d = 15;
                let heard = self.reset_valid & (self.reset_slot == self.slot.q);
                if c.get(Closing::DONE) {
                    if heard {
                        c_we = 1;
                        c_new = Closing { done: 0, ..c };
                        self.done.d = 1;
                    }
                } else if !c.get(Closing::OWED) {
                    c_we = 1;
                    c_new = Closing { owed: 1, ..begun };
                    self.many.d = self.many.q + (!closes).zext(7);
                }
            }
            St::OFF_LOOK => {
                self.st.d = St::IDLE;
                c_we = 1;
                c_new = Closing { off: 1, ..begun };
                self.many.d = self.many.q + (!closes).zext(7);
            }
            St::QUIESCE => {
                self.q_valid = 1;
                self.q_op = Op::QUIESCE;
                if self.q_ack {
                    c_we = 1;
                    c_new = Closing { quiet: 1, ..c };
                    self.shut = 1;
                    self.st.d = St::IDLE;
                }
            }
            St::CLEAR => {
                self.q_valid = 1;
                self.q_op = Op::CLEAR;
                self.q_qid = 0;
                if self.q_ack {
                    // The last completion is counted as posted before it leaves: let it leave, and ask again.
                    let leaving = self.posting & (self.posting_slot == self.slot.q);
                    self.st.d = St::IDLE;
                    if (self.q_answer == 0) & !(leaving | c.get(Closing::FLUSHES)) {
                        self.forgets.d = 1;
                        self.c_slot.d = self.slot.q;
                    } else {
                        self.unquiet = 1;
                        self.poll.d = 15;
                        self.cursor.d = after;
                    }
                }
            }
            St::FORGOTTEN => {
                self.forgets.d = 0;
                self.unshut = 1;
                self.index.d = 0;
                self.old.d = 0;
                self.many.d = self.many.q - 1;
                c_we = 1;
                // Who is reset is owed an answer; of all the rest nothing is left.
                c_new = Closing { done: c.get(Closing::OWED), ..0 };
                self.off_now.d = c.get(Closing::OFF);
                if c.get(Closing::WHOLE) {
                    self.st.d = St::WIPE;
                } else {
                    // Closed by CC.EN: RDY falls, unless the host has set EN again meanwhile.
                    we = 1;
                    waddr = cat(self.slot.q, sized(Word::CSTS, 3));
                    self.st.d = St::LOAD;
                }
            }
            St::WIPE => {
                self.index.d = self.index.q + 1;
                if self.index.q == 7 {
                    self.off_done = self.off_now.q;
                    self.st.d = St::IDLE;
                }
            }
            _ => self.st.d = St::IDLE,
        }
        // After a close the CC that counts is the one in memory.
        if (self.st.q == St::LOAD) & (self.index.q == 1) {
            self.cc.d = rd;
        }
        if !self.reset_valid {
            self.done.d = 0;
        }
        self.away.off = self.off;
        self.away.on = self.on;
        self.away.slot = self.off_slot;
        self.away.all = (self.st.q == St::WIPE) & (self.slot.q == 0);
        self.offline = self.away.offline;
        self.reset_done = self.done.q;
        self.closings.we = c_we;
        self.closings.waddr = self.slot.q;
        self.closings.wdata = c_new;
        self.closings.first = 0;
        self.closings.wipe = 0;
        self.closings.wipe_slot = 0;
        self.waits.d =
            if self.bus.valid & (self.st.q != St::BUS_ACK) & (self.st.q != St::BOOT) { self.waits.q + 1 } else { 0 };
        check!(self.waits.q < ANSWERS, "an access to a controller's registers is not answered");
        self.words.we = we;
        self.words.waddr = waddr;
        self.words.wdata = wdata;
        self.words.raddr[0] = raddr;
        self.words.first = 0;
        self.words.wipe = self.st.q == St::WIPE;
        self.words.wipe_slot = self.slot.q;
        let wiped = (self.st.q == St::WIPE) & (self.index.q == 7);
        check!(wiped == self.words.wiped, "a controller's registers are wiped in other than eight clocks");
        self.busy = (self.st.q != St::IDLE)
            | self.bus.valid
            | (self.many.q != 0)
            | self.closers.out_valid
            | self.away.valid
            | self.shutdowns.busy
            | self.fatal
            | (self.reset_valid & !self.done.q);
    }
}
