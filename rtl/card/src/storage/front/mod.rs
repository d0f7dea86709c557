//! The front of the storage engine: takes the next entry that was fetched, decides what it asks for, and starts it. One
//! command is in the front at a time; what it starts goes on behind it, many at once.
//!
//! The binding of the command's function is looked at once, and what was judged by is what is used: whoever binds the function
//! to another volume meanwhile is told that a command of the binding before is under way.
//!
//! Order of checks, and so of statuses: opcode, fused and SGL bits, namespace, transfer size, range, write protection,
//! PRPs. A command that fails one has changed nothing.
//!
//! Inside of the card a block is 512 bytes: what a namespace of 4 KiB blocks counts is made eight times as much here.

mod io;

use azote_hdl::prelude::*;
use azote_regs::media;
use azote_regs::nvme::{command as cmd, entry, limits, log, opcode, status};

use super::data::walker::Walker;
use super::data::writer::has_data;
use super::flight::tags::LARGEST;
use super::ports::CommandOut;
use super::terms::{Kind, Next};
use super::verdict::Verdict;
use super::words::{Binding, Place, Tag};
use crate::dma::ReadOut;

/// [`limits::BIG_SHIFT`], for widths.
const BIG: usize = limits::BIG_SHIFT as usize;

struct St;
impl St {
    const IDLE: u64 = 0;
    const ROWS: u64 = 4;
    const DECODE: u64 = 5;
    const ADMIN: u64 = 6;
    const CHECK: u64 = 7;
    const BEGIN: u64 = 8;
    const COMMAND: u64 = 10;
    const GO: u64 = 11;
    const WALK: u64 = 12;
    const COMPLETE: u64 = 13;
    const FATAL: u64 = 14;
    const LIMITS: u64 = 15;
    const SHUT: u64 = 16;
}

#[derive(LogicBlock, Default)]
pub struct Front {
    pub clock: Clk,
    pub reset: Rst,
    // Entries that were fetched.
    pub sqe_valid: I<1>,
    pub sqe_failed: I<1>,
    pub sqe_place: I<2>,
    pub sqe_slot: I<6>,
    pub sqe_qid: I<3>,
    pub sqe_take: O<1>,
    // Reads of PRP lists into the control buffer.
    pub rd: ReadOut,
    pub rd_pending: I<1>,
    pub rd_failed: I<1>,
    pub rd_forget: O<1>,
    pub row: O<5>,
    pub row_data: I<128>,
    /// The binding of `slot`, two clocks later.
    pub slot: O<6>,
    pub binding: I<{ Binding::WIDTH }>,
    /// Which of its function's bindings the command in hand is judged by.
    pub turn: O<1>,
    /// One clock: a command is judged by it; one that was came to nothing.
    pub uses: O<1>,
    pub unuses: O<1>,
    /// Its write cache is off.
    pub through: I<1>,
    // Admin.
    pub command: CommandOut,
    // The command as the media port sees it: first block on its volume, blocks.
    pub media_volume: O<8>,
    pub media_lba: O<48>,
    pub media_blocks: O<48>,
    pub media_fua: O<1>,
    // A command that is no read begins, until `began`; and for all, until their first piece is opened: how many pieces it has, whether
    // its tag is one of those set aside.
    pub begins: O<1>,
    pub began: I<1>,
    pub tag: I<{ Tag::WIDTH }>,
    pub begun_tag: O<{ Tag::WIDTH }>,
    pub pieces: O<6>,
    pub aside: O<1>,
    /// One clock: what a command that was fetched needs of tags; what it moves, in blocks; a flush of the card's own has one.
    pub settle: O<1>,
    pub settle_admin: O<1>,
    pub settle_count: O<6>,
    pub pays: O<1>,
    pub pays_blocks: O<12>,
    pub takes_own: O<1>,
    // Pieces of a read, or of a page.
    pub piece_valid: O<1>,
    pub piece_ready: I<1>,
    pub piece: O<{ Place::WIDTH }>,
    pub piece_first: O<1>,
    pub piece_last: O<1>,
    pub to_page: O<1>,
    // Commands for the writer, and their segments.
    pub wr_valid: O<1>,
    pub wr_ready: I<1>,
    pub wr_op: O<4>,
    /// The list of ranges counts in blocks of 4 KiB.
    pub wr_big: O<1>,
    pub seg_valid: O<1>,
    pub seg_ready: I<1>,
    pub seg_address: O<64>,
    pub seg_dws: O<11>,
    pub seg_last: O<1>,
    /// Which command the segments belong to.
    pub qid: O<3>,
    pub cid: O<16>,
    // What is complete already.
    pub done_valid: O<1>,
    pub done_ready: I<1>,
    pub done_release: O<1>,
    pub done_status: O<11>,
    pub done_dw0: O<32>,
    // Statistics: one clock for each data command that starts.
    pub count: O<1>,
    pub count_write: O<1>,
    pub count_blocks: O<9>,
    /// One clock: a command starts whose end the books will tell; what it is, and its first LBA.
    pub opens: O<1>,
    pub kind: O<2>,
    pub lba: O<48>,
    /// One clock: a command failed here.
    pub failed: O<1>,
    pub failed_location: O<16>,
    pub failed_lba: O<64>,
    // A function shuts down: its volume is to be flushed, held until `flush_taken`; `unbound`, one clock: it has none.
    pub flush: I<1>,
    pub flush_slot: I<6>,
    pub flush_taken: O<1>,
    pub unbound: O<1>,
    /// The command for the writer is that flush, and no command of the host's.
    pub wr_own: O<1>,
    // An entry could not be fetched: the controller is stuck.
    pub fatal: O<1>,
    pub fatal_ready: I<1>,
    pub busy: O<1>,
    st: Reg<5>,
    s: Reg<6>,
    q: Reg<3>,
    place: Reg<2>,
    step: Reg<3>,
    r_cdw0: Reg<32>,
    r_nsid: Reg<32>,
    r_prp1: Reg<64>,
    r_prp2: Reg<64>,
    r_cdw10: Reg<32>,
    r_cdw11: Reg<32>,
    r_cdw12: Reg<32>,
    r_cdw13: Reg<32>,
    dws: Reg<16>,
    page: Reg<1>,
    writes: Reg<1>,
    op: Reg<4>,
    /// The binding, as it was.
    hold: Reg<{ Binding::WIDTH }>,
    /// It is counted as used; the tags that were put aside for the command are.
    used: Reg<1>,
    owes: Reg<1>,
    /// Pieces that it is cut into, and so the tags that it needs; that was told already.
    need: Reg<6>,
    told: Reg<1>,
    r_tag: Reg<{ Tag::WIDTH }>,
    r_kind: Reg<2>,
    fua: Reg<1>,
    own: Reg<1>,
    release: Reg<1>,
    code: Reg<11>,
    location: Reg<16>,
    dw0: Reg<32>,
    /// First block and number of blocks, of 512 bytes.
    first: Reg<67>,
    blocks: Reg<20>,
    /// What it is about is all of the namespace.
    all: Reg<1>,
    fits: Reg<1>,
    walker: Walker,
}

#[kernel]
impl Logic for Front {
    fn update(&mut self) {
        clocked!(self.walker);
        let opc = self.r_cdw0.q.get(entry::CDW0_OPC);
        let plain = (self.r_cdw0.q.get(entry::CDW0_FUSE) == 0) & (self.r_cdw0.q.get(entry::CDW0_PSDT) == 0);
        let is_dataset = opc == opcode::DATASET;
        let moves = io::moves(opc);
        let held = self.hold.q;
        let b_bound = held.get(Binding::VALID);
        let b_base = held.get(Binding::BASE);
        let b_length = held.get(Binding::LENGTH);
        let b_read_only = held.get(Binding::READ_ONLY);
        self.command.bound = b_bound;
        self.command.read_only = b_read_only;
        self.command.tiny = b_length >> konst(BIG) == 0;
        self.turn = held.get(Binding::TURN);
        self.uses = 0;
        let our_space =
            (self.r_nsid.q == limits::NSID) | ((opc == opcode::FLUSH) & (self.r_nsid.q == limits::NSID_ALL));
        let slba = cat(self.r_cdw11.q, self.r_cdw10.q);
        let whole = self.blocks.q <= konst(limits::MAX_BLOCKS);
        let owner = cat(self.s.q, sized(azote_regs::function::STORAGE, 2));

        link!(self.rd, self.walker.rd);
        self.rd_forget = self.walker.rd_forget;
        self.walker.rd_pending = self.rd_pending;
        self.walker.rd_failed = self.rd_failed;
        let sqe_row = cat(sized(0, 1), self.place.q, sized(0, 2)) + self.step.q.zext(5);
        self.row = if self.st.q == St::ROWS { sqe_row } else { self.walker.row };
        self.sqe_take = 0;
        self.flush_taken = 0;
        self.unbound = 0;
        self.wr_own = self.own.q;
        self.walker.row_data = self.row_data;
        self.walker.start = self.st.q == St::CHECK;
        self.walker.owner = owner;
        self.walker.prp1 = self.r_prp1.q;
        self.walker.prp2 = self.r_prp2.q;
        self.walker.dws = self.dws.q;
        self.walker.go = self.st.q == St::GO;

        self.slot = self.s.q;
        self.command.slot = self.s.q;
        self.walker.cuts = !self.writes.q;
        self.command.start = self.st.q == St::ADMIN;
        self.command.cdw0 = self.r_cdw0.q;
        self.command.nsid = self.r_nsid.q;
        self.command.prp1 = self.r_prp1.q;
        self.command.cdw10 = self.r_cdw10.q;
        self.command.cdw11 = self.r_cdw11.q;
        self.command.cdw12 = self.r_cdw12.q;
        self.command.cdw13 = self.r_cdw13.q;
        self.media_volume = held.get(Binding::VOLUME);
        self.media_lba = if self.all.q { b_base } else { b_base + self.first.q.trunc(48) };
        self.media_blocks = if self.all.q { b_length } else { self.blocks.q.zext(48) };
        self.media_fua = self.fua.q;

        // What it needs and what it costs, known when it goes on from here.
        let goes = (self.st.q == St::GO) | (self.st.q == St::BEGIN);
        let keeps = (self.st.q == St::ADMIN) & self.command.done & (self.command.next == Next::KEEP);
        // A command that is checked begins in the same clock, and is the writer's in the clock in which it has its tag.
        let good = (self.st.q == St::CHECK) & self.walker.checked & (self.walker.fault == 0) & self.writes.q;
        let begun = (self.st.q == St::BEGIN) & self.began;
        self.begun_tag = if begun { self.tag } else { self.r_tag.q };
        self.begins = (self.st.q == St::BEGIN) | good;
        self.pieces = self.need.q;
        self.aside = (self.q.q == 0) | self.own.q;
        // What an I/O command needs is told as soon as it is known: the next one is fetched then, before the data of this one
        // is asked for and the link is full of it. If its PRPs are wrong, it is given back.
        let completed = self.st.q == St::COMPLETE;
        let ends = self.owes.q & (goes | keeps | completed);
        let back = sized(LARGEST, 6) - self.need.q;
        self.settle = ends & ((!self.told.q) | completed);
        self.settle_admin = self.q.q == 0;
        self.settle_count = if self.told.q { back } else { if goes { self.need.q } else { 0 } };
        if ends {
            self.owes.d = 0;
            self.told.d = 0;
        }
        self.pays = self.owes.q & goes;
        self.pays_blocks = io::cost(self.page.q, self.op.q, self.dws.q, self.blocks.q);
        self.takes_own = 0;
        self.wr_valid = (self.st.q == St::COMMAND) | begun;
        self.wr_op = self.op.q;
        self.wr_big = held.get(Binding::BIG);
        let walking = (self.st.q == St::GO) | (self.st.q == St::WALK);
        self.seg_valid = self.walker.seg_valid & walking;
        self.walker.seg_ready = walking & self.seg_ready;
        self.piece_valid = self.walker.piece_valid;
        self.walker.piece_ready = self.piece_ready;
        self.piece = self.walker.piece;
        self.piece_first = self.walker.piece_first;
        self.piece_last = self.walker.piece_last;
        self.to_page = self.page.q;
        self.seg_address = self.walker.seg_address;
        self.seg_dws = self.walker.seg_dws;
        self.seg_last = self.walker.seg_last;
        self.qid = self.q.q;
        self.cid = self.r_cdw0.q.get(entry::CDW0_CID);
        self.done_valid = self.st.q == St::COMPLETE;
        self.done_release = self.release.q;
        self.done_status = self.code.q;
        self.done_dw0 = self.dw0.q;
        self.count = (self.st.q == St::GO) & (self.r_kind.q != Kind::OTHER);
        self.count_write = self.r_kind.q == Kind::WRITE;
        self.count_blocks = self.blocks.q.trunc(9);
        let begins = self.begins & self.began & !self.own.q;
        self.opens = begins | ((self.st.q == St::GO) & !(self.writes.q | self.page.q));
        self.kind = self.r_kind.q;
        self.lba = slba.trunc(48);
        self.failed = (self.st.q == St::COMPLETE) & self.done_ready & (self.code.q != 0) & !self.release.q;
        self.failed_location = self.location.q;
        self.failed_lba = if self.q.q == 0 { 0 } else { slba };
        self.fatal = self.st.q == St::FATAL;
        // What the books never hear of is over for its binding here.
        let paged = (self.st.q == St::GO) & self.page.q;
        let completes = (self.st.q == St::COMPLETE) & self.done_ready;
        self.unuses = self.used.q & (completes | keeps | paged);
        if self.unuses | goes {
            self.used.d = 0;
        }

        match self.st.q {
            St::IDLE => {
                self.release.d = 0;
                self.code.d = status::SUCCESS;
                self.dw0.d = 0;
                self.page.d = 0;
                self.writes.d = 0;
                self.all.d = 0;
                self.fua.d = 0;
                self.r_kind.d = Kind::OTHER;
                self.location.d = konst(log::LOCATION_NONE);
                self.step.d = 0;
                self.s.d = self.sqe_slot;
                self.q.d = self.sqe_qid;
                self.place.d = self.sqe_place;
                self.own.d = 0;
                self.need.d = 1;
                if self.flush {
                    self.s.d = self.flush_slot;
                    self.q.d = 0;
                    self.st.d = St::SHUT;
                } else if self.sqe_valid {
                    self.owes.d = 1;
                    self.sqe_take = self.sqe_failed;
                    self.st.d = if self.sqe_failed { St::FATAL } else { St::ROWS };
                }
            }
            St::SHUT => {
                // The binding is here two clocks after its slot.
                self.step.d = self.step.q + 1;
                self.op.d = media::FLUSH;
                self.writes.d = 1;
                self.own.d = 1;
                if self.step.q == 2 {
                    let there = self.binding.get(Binding::VALID);
                    self.hold.d = self.binding;
                    self.uses = there;
                    self.takes_own = there;
                    self.flush_taken = 1;
                    self.unbound = !there;
                    self.st.d = if there { St::BEGIN } else { St::IDLE };
                }
            }
            St::ROWS => {
                // Row `step` is addressed, row `step - 1` is here.
                let d = self.row_data;
                match self.step.q {
                    1 => {
                        self.r_cdw0.d = d.bits(31, 0);
                        self.r_nsid.d = d.bits(63, 32);
                    }
                    2 => self.r_prp1.d = d.bits(127, 64),
                    3 => {
                        self.r_prp2.d = d.bits(63, 0);
                        self.r_cdw10.d = d.bits(95, 64);
                        self.r_cdw11.d = d.bits(127, 96);
                    }
                    4 => {
                        self.sqe_take = 1;
                        self.r_cdw12.d = d.bits(31, 0);
                        self.r_cdw13.d = d.bits(63, 32);
                        let nlb = d.bits(31, 0).get(cmd::RW_NLB).zext(20) + 1;
                        let big = self.binding.get(Binding::BIG);
                        self.hold.d = self.binding;
                        self.uses = 1;
                        self.used.d = 1;
                        self.blocks.d = if big { nlb << konst(BIG) } else { nlb };
                        self.first.d = if big { cat(slba, sized(0, BIG)) } else { slba.zext(64 + BIG) };
                        self.st.d = if self.q.q == 0 { St::ADMIN } else { St::LIMITS };
                    }
                    _ => {}
                }
                self.step.d = self.step.q + 1;
            }
            St::LIMITS => {
                // One clock for the long sums.
                let end = self.first.q.zext(68) + self.blocks.q.zext(68);
                self.fits.d = end <= b_length.zext(68);
                self.st.d = St::DECODE;
            }
            St::DECODE => {
                let ranges = self.r_cdw10.q.get(cmd::DATASET_NR).zext(16) + 1;
                self.dws.d = if is_dataset { ranges << 2 } else { cat(self.blocks.q.bits(8, 0), sized(0, 7)) };
                self.writes.d = opc != opcode::READ;
                self.all.d = is_dataset;
                self.fua.d = self.r_cdw12.q.get(cmd::RW_FUA) | self.through;
                self.r_kind.d = io::kind_of(opc);
                self.op.d = io::media_op(opc, self.r_cdw12.q.get(cmd::RW_DEAC));
                self.st.d = St::COMPLETE;
                // All attributes but one are hints.
                let hints = is_dataset & !self.r_cdw11.q.get(cmd::DATASET_AD);
                let ours = our_space & b_bound;
                let verdict = io::verdict(opc, plain, ours, whole, self.fits.q, hints, b_read_only);
                if verdict != 0 {
                    self.code.d = verdict.get(Verdict::STATUS);
                    self.location.d = verdict.get(Verdict::LOCATION);
                } else if !hints {
                    let pieces = (self.blocks.q.bits(8, 0) + 7).bits(8, 3);
                    let need = if moves { pieces } else { sized(1, 6) };
                    self.settle = 1;
                    self.settle_count = need;
                    self.need.d = need;
                    self.told.d = 1;
                    self.st.d = if moves | is_dataset { St::CHECK } else { St::BEGIN };
                }
            }
            St::ADMIN => {
                if self.command.done {
                    self.code.d = self.command.status;
                    self.dw0.d = self.command.dw0;
                    self.dws.d = self.command.dws;
                    self.location.d = self.command.location;
                    self.page.d = 1;
                    self.all.d = 1;
                    self.op.d = media::DEALLOCATE;
                    self.st.d = St::COMPLETE;
                    match self.command.next {
                        Next::PAGE => self.st.d = St::CHECK,
                        Next::HOLD => self.release.d = 1,
                        Next::KEEP => self.st.d = St::IDLE,
                        Next::ERASE => {
                            self.writes.d = 1;
                            self.st.d = St::BEGIN;
                        }
                        _ => {}
                    }
                }
            }
            St::CHECK => {
                if self.walker.checked {
                    self.code.d = self.walker.fault;
                    self.location.d = konst(log::location(entry::SQE_PRP1, 0));
                    self.st.d = if self.walker.fault != 0 {
                        St::COMPLETE
                    } else if self.writes.q {
                        St::BEGIN
                    } else {
                        St::GO
                    };
                }
            }
            St::BEGIN => {
                if self.began {
                    self.r_tag.d = self.tag;
                    self.st.d = St::COMMAND;
                    if self.wr_ready {
                        self.st.d = if has_data(self.op.q) { St::GO } else { St::IDLE };
                    }
                }
            }
            St::COMMAND => {
                if self.wr_ready {
                    self.st.d = if has_data(self.op.q) { St::GO } else { St::IDLE };
                }
            }
            St::GO => self.st.d = St::WALK,
            St::WALK => {
                if self.walker.finished {
                    self.st.d = St::IDLE;
                }
            }
            St::COMPLETE => {
                if self.done_ready {
                    self.st.d = St::IDLE;
                }
            }
            St::FATAL => {
                if self.fatal_ready {
                    self.release.d = 1;
                    self.st.d = St::COMPLETE;
                }
            }
            _ => self.st.d = St::IDLE,
        }
        self.busy = (self.st.q != St::IDLE) | self.sqe_valid | self.flush;
    }
}
