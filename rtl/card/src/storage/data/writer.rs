//! Moves the data of writes (and of compares, which the media does) from host memory to the media, and takes what needs no
//! data along in the same order: flushes, zeroes, verifies.
//!
//! The list of Dataset Management comes the way of a write's data, into one chunk; its ranges, a row each, are all looked
//! at before the first is handed to the media, so that a list with a wrong range changes nothing.
//!
//! Three hands, each in order: one asks the host for data into the chunks of a ring (a chunk is 4 KiB of the command), one
//! hands complete chunks to the media, one waits for the media to be done. A chunk whose data could not be read is not
//! written, nor is anything of the command after it.

use azote_hdl::prelude::*;
use azote_regs::media;
use azote_regs::nvme::{command as cmd, limits, status};

use crate::parts::Fifo;

/// Chunks of the data buffer.
pub const CHUNKS: usize = 8;
/// [`limits::BIG_SHIFT`], for widths.
const BIG: usize = limits::BIG_SHIFT as usize;

/// What a command asks for beside the media port's own operations.
pub struct Work;
impl Work {
    /// Give back the ranges of a list.
    pub const RANGES: u64 = 7;
}

struct Ask;
impl Ask {
    const IDLE: u64 = 0;
    const PIECE: u64 = 1;
    const READ: u64 = 2;
    const CLOSE: u64 = 3;
}

struct Put;
impl Put {
    const IDLE: u64 = 0;
    const REQUEST: u64 = 1;
    const PREPARE: u64 = 2;
    const STREAM: u64 = 3;
    const NOTE: u64 = 4;
    const RANGE_READ: u64 = 5;
    const RANGE_TAKE: u64 = 6;
    const RANGE_SUM: u64 = 7;
    const RANGE: u64 = 8;
    const RANGE_ASK: u64 = 9;
    const RANGE_NOTE: u64 = 10;
}

/// Whether an operation comes with data of the host's.
#[pure]
pub fn has_data(op: V) -> V {
    (op == media::WRITE) | (op == media::COMPARE) | (op == Work::RANGES)
}

#[derive(LogicBlock, Default)]
pub struct Writer {
    pub clock: Clk,
    pub reset: Rst,
    /// Commands: `{slot 6, qid 3, cid 16, big, fua, op 3, volume 8, blocks 48, lba 48}`. For a list of ranges, lba and blocks
    /// are those of the namespace, and `big` says in what the list counts. Set for a flush, it is the card's own.
    pub cmd_valid: I<1>,
    pub cmd_ready: O<1>,
    pub cmd_data: I<134>,
    /// Segments of the writes, in the order of their commands: `{last 1, dws 11, address 64}`.
    pub seg_valid: I<1>,
    pub seg_ready: O<1>,
    pub seg_data: I<76>,
    /// Reads of host memory into the data buffer.
    pub rd_valid: O<1>,
    pub rd_owner: O<8>,
    pub rd_address: O<64>,
    pub rd_dws: O<11>,
    pub rd_client: O<4>,
    pub rd_dest: O<13>,
    pub rd_ready: I<1>,
    pub rd_pending: I<8>,
    pub rd_failed: I<8>,
    pub rd_forget: O<8>,
    /// The data buffer.
    pub row: O<11>,
    pub row_data: I<128>,
    /// The media.
    pub media_valid: O<1>,
    pub media_ready: I<1>,
    pub media_op: O<3>,
    pub media_fua: O<1>,
    pub media_volume: O<8>,
    pub media_lba: O<48>,
    pub media_blocks: O<48>,
    pub wr_valid: O<1>,
    pub wr_ready: I<1>,
    pub wr_data: O<128>,
    pub wr_last: O<1>,
    pub media_done: I<1>,
    pub media_done_ready: O<1>,
    pub media_result: I<2>,
    /// Commands that are done.
    pub done_valid: O<1>,
    pub done_ready: I<1>,
    pub done_slot: O<6>,
    pub done_qid: O<3>,
    pub done_cid: O<16>,
    pub done_status: O<11>,
    /// One clock: a flush of the card's own is done.
    pub flushed: O<1>,
    pub busy: O<1>,
    ask: Reg<2>,
    piece: Reg<11>,
    /// DWs of the segment, of the chunk, and the command's block, that are done.
    s_at: Reg<11>,
    c_at: Reg<11>,
    lba: Reg<48>,
    tail: Reg<4>,
    head: Reg<4>,
    put: Reg<4>,
    at: Reg<9>,
    end: Reg<9>,
    loaded: Reg<1>,
    spoilt: Reg<1>,
    skip: Reg<1>,
    why: Reg<11>,
    /// All ranges of the list are good: it is being carried out.
    apply: Reg<1>,
    r_lba: Reg<67>,
    r_blocks: Reg<35>,
    r_end: Reg<68>,
    code: Reg<11>,
    finish: Reg<1>,
    cmds: Fifo<134>,
    // `{who 25, rows 9, big, fua, volume 8, last 1, op 3, blocks 48, lba 48}`: a chunk that is asked for, or an operation
    // without data.
    pieces: Fifo<144>,
    // `{own, who 25, op 3, last, skip, status 11}`.
    order: Fifo<42>,
}

impl Writer {
    /// The writer with its queues.
    pub fn new() -> Self {
        Writer { cmds: Fifo::new(8), pieces: Fifo::new(16), order: Fifo::new(16), ..Self::default() }
    }
}

#[kernel]
impl Logic for Writer {
    fn update(&mut self) {
        clocked!(self.cmds, self.pieces, self.order);
        self.cmds.in_valid = self.cmd_valid;
        self.cmds.in_data = self.cmd_data;
        self.cmd_ready = self.cmds.in_ready;
        let cmd = self.cmds.out_data;
        let c_lba = cmd.bits(47, 0);
        let c_blocks = cmd.bits(95, 48);
        let c_volume = cmd.bits(103, 96);
        let c_op = cmd.bits(106, 104);
        let c_flags = cmd.bits(108, 107);
        let c_who = cmd.bits(133, 109);
        let slot = cmd.bits(133, 128);
        let address = self.seg_data.bits(63, 0);
        let s_dws = self.seg_data.bits(74, 64);
        let s_last = self.seg_data.bit(75);

        // --- ask the host
        let chunk = self.tail.q.bits(2, 0);
        let some_free = (self.tail.q - self.head.q) != konst(CHUNKS);
        let s_left = s_dws - self.s_at.q;
        let c_left = sized(1024, 11) - self.c_at.q;
        let piece = if s_left < c_left { s_left } else { c_left };
        self.seg_ready = 0;
        self.cmds.out_ready = 0;
        self.pieces.in_valid = 0;
        self.pieces.in_data = cat(c_who, sized(0, 9), c_flags, c_volume, sized(1, 1), c_op, c_blocks, c_lba);
        self.rd_valid = self.ask.q == Ask::READ;
        self.rd_owner = cat(slot, sized(azote_regs::function::STORAGE, 2));
        let low = address.bits(11, 0) + cat(self.s_at.q.bits(9, 0), sized(0, 2));
        self.rd_address = cat(address.bits(63, 12), low);
        self.rd_dws = self.piece.q;
        self.rd_client = chunk.zext(4);
        self.rd_dest = cat(chunk, self.c_at.q.bits(9, 0));
        let mut forget = sized(0, 8);
        let s_end = (self.s_at.q + self.piece.q) == s_dws;
        let c_end = (self.c_at.q + self.piece.q) == 1024;
        match self.ask.q {
            Ask::IDLE => {
                self.s_at.d = 0;
                self.c_at.d = 0;
                self.lba.d = c_lba;
                if self.cmds.out_valid & self.pieces.in_ready {
                    if has_data(c_op) {
                        self.ask.d = Ask::PIECE;
                    } else {
                        self.pieces.in_valid = 1;
                        self.cmds.out_ready = 1;
                    }
                }
            }
            Ask::PIECE => {
                // A chunk that is begun is ours until it is closed.
                if self.seg_valid & (some_free | (self.c_at.q != 0)) {
                    self.piece.d = piece;
                    self.ask.d = Ask::READ;
                    if self.c_at.q == 0 {
                        forget = sized(1, 8) << chunk;
                    }
                }
            }
            Ask::READ => {
                if self.rd_ready {
                    self.s_at.d = if s_end { 0 } else { self.s_at.q + self.piece.q };
                    self.c_at.d = self.c_at.q + self.piece.q;
                    self.finish.d = s_end & s_last;
                    self.seg_ready = s_end;
                    self.ask.d = if c_end | (s_end & s_last) { Ask::CLOSE } else { Ask::PIECE };
                }
            }
            Ask::CLOSE => {
                self.pieces.in_valid = 1;
                let blocks = if c_op == Work::RANGES { c_blocks } else { self.c_at.q.bits(10, 7).zext(48) };
                let rows = self.c_at.q.bits(10, 2);
                self.pieces.in_data = cat(c_who, rows, c_flags, c_volume, self.finish.q, c_op, blocks, self.lba.q);
                if self.pieces.in_ready {
                    self.tail.d = self.tail.q + 1;
                    self.lba.d = self.lba.q + 8;
                    self.c_at.d = 0;
                    self.cmds.out_ready = self.finish.q;
                    self.ask.d = if self.finish.q { Ask::IDLE } else { Ask::PIECE };
                }
            }
            _ => self.ask.d = Ask::IDLE,
        }
        self.rd_forget = forget;

        // --- hand it to the media
        let p = self.pieces.out_data;
        let p_lba = p.bits(47, 0);
        let p_blocks = p.bits(95, 48);
        let p_op = p.bits(98, 96);
        let p_last = p.bit(99);
        let p_volume = p.bits(107, 100);
        let p_fua = p.bit(108);
        let p_big = p.bit(109);
        let p_rows = p.bits(118, 110);
        let p_who = p.bits(143, 119);
        let from = self.head.q.bits(2, 0);
        let ready = !(self.rd_pending.sel(from));
        let broken = self.rd_failed.sel(from);
        let data = has_data(p_op);
        let is_list = p_op == Work::RANGES;
        let range = self.put.q == Put::RANGE_ASK;
        let pop = self.loaded.q & self.wr_ready;
        let row = if pop { self.at.q + 1 } else { self.at.q };
        self.row = cat(from, row.bits(7, 0));
        self.media_valid = (self.put.q == Put::REQUEST) | range;
        self.media_op = if range { sized(media::DEALLOCATE, 3) } else { p_op };
        self.media_fua = p_fua;
        self.media_lba = if range { p_lba + self.r_lba.q.trunc(48) } else { p_lba };
        self.media_blocks = if range { self.r_blocks.q.zext(48) } else { p_blocks };
        self.media_volume = p_volume;
        self.wr_valid = self.loaded.q;
        self.wr_data = self.row_data;
        let last_row = (self.at.q + 1) == self.end.q;
        self.wr_last = last_row;
        self.pieces.out_ready = 0;
        let one_of_many = self.put.q == Put::RANGE_NOTE;
        // The end of a list is nobody's answer.
        let closes = (self.put.q == Put::NOTE) & is_list;
        self.order.in_valid = (self.put.q == Put::NOTE) | one_of_many;
        self.order.in_data =
            cat(p_big & (p_op == media::FLUSH), p_who, p_op, p_last & !one_of_many, self.skip.q | closes, self.why.q);
        self.loaded.d = 0;
        match self.put.q {
            Put::IDLE => {
                self.at.d = 0;
                self.end.d = p_rows;
                self.skip.d = 0;
                self.apply.d = 0;
                self.why.d = status::SUCCESS;
                if self.pieces.out_valid {
                    if !data {
                        self.put.d = Put::REQUEST;
                    } else if ready {
                        self.put.d = if is_list { Put::RANGE_READ } else { Put::REQUEST };
                        if broken | self.spoilt.q {
                            self.skip.d = 1;
                            self.why.d = konst(status::DATA_TRANSFER);
                            self.put.d = Put::NOTE;
                        }
                    }
                }
            }
            Put::REQUEST => {
                if self.media_ready {
                    self.put.d = if data { Put::PREPARE } else { Put::NOTE };
                }
            }
            Put::PREPARE => {
                self.loaded.d = 1;
                self.put.d = Put::STREAM;
            }
            Put::STREAM => {
                self.loaded.d = 1;
                if pop {
                    self.at.d = self.at.q + 1;
                    if last_row {
                        self.loaded.d = 0;
                        self.put.d = Put::NOTE;
                    }
                }
            }
            Put::NOTE => {
                if self.order.in_ready {
                    self.pieces.out_ready = 1;
                    self.spoilt.d = self.skip.q & !p_last;
                    if data {
                        self.head.d = self.head.q + 1;
                    }
                    self.put.d = Put::IDLE;
                }
            }
            Put::RANGE_READ => self.put.d = Put::RANGE_TAKE,
            Put::RANGE_TAKE => {
                let lba = self.row_data.bits(127, 64);
                let blocks = self.row_data.get(cmd::RANGE_LENGTH);
                self.r_lba.d = if p_big { cat(lba, sized(0, BIG)) } else { lba.zext(64 + BIG) };
                self.r_blocks.d = if p_big { cat(blocks, sized(0, BIG)) } else { blocks.zext(32 + BIG) };
                self.put.d = Put::RANGE_SUM;
            }
            Put::RANGE_SUM => {
                self.r_end.d = self.r_lba.q.zext(68) + self.r_blocks.q.zext(68);
                self.put.d = Put::RANGE;
            }
            Put::RANGE => {
                // Twice through the list: is it good, and then do it.
                let next = if last_row { sized(Put::NOTE, 4) } else { Put::RANGE_READ };
                self.at.d = self.at.q + 1;
                self.put.d = next;
                if self.apply.q {
                    if self.r_blocks.q != 0 {
                        self.at.d = self.at.q;
                        self.put.d = Put::RANGE_ASK;
                    }
                } else if self.r_end.q > p_blocks.zext(68) {
                    self.why.d = konst(status::LBA_OUT_OF_RANGE);
                    self.put.d = Put::NOTE;
                } else if last_row {
                    self.apply.d = 1;
                    self.at.d = 0;
                    self.put.d = Put::RANGE_READ;
                }
            }
            Put::RANGE_ASK => {
                if self.media_ready {
                    self.put.d = Put::RANGE_NOTE;
                }
            }
            Put::RANGE_NOTE => {
                if self.order.in_ready {
                    self.at.d = self.at.q + 1;
                    self.put.d = if last_row { Put::NOTE } else { Put::RANGE_READ };
                }
            }
            _ => self.put.d = Put::IDLE,
        }

        // --- and wait for it
        let o = self.order.out_data;
        let o_status = o.bits(10, 0);
        let o_skip = o.bit(11);
        let o_last = o.bit(12);
        let o_op = o.bits(15, 13);
        let o_who = o.bits(40, 16);
        let o_own = o.bit(41);
        let told = o_last & !o_own;
        let reads = (o_op == media::VERIFY) | (o_op == media::COMPARE);
        let heard = self.order.out_valid & (o_skip | self.media_done);
        let now = if o_skip {
            o_status
        } else {
            match self.media_result {
                media::DONE => sized(status::SUCCESS, 11),
                media::DIFFERS => konst(status::COMPARE_FAILURE),
                _ => {
                    if reads {
                        konst(status::UNRECOVERED_READ)
                    } else {
                        konst(status::WRITE_FAULT)
                    }
                }
            }
        };
        let total = if self.code.q != 0 { self.code.q } else { now };
        let takes = heard & (self.done_ready | !told);
        self.order.out_ready = takes;
        self.media_done_ready = self.order.out_valid & !o_skip & (self.done_ready | !told);
        self.done_valid = heard & told;
        self.flushed = takes & o_own;
        self.done_slot = o_who.bits(24, 19);
        self.done_qid = o_who.bits(18, 16);
        self.done_cid = o_who.bits(15, 0);
        self.done_status = total;
        if takes {
            self.code.d = if o_last { 0 } else { total };
        }
        self.busy = self.cmds.out_valid | self.pieces.out_valid | self.order.out_valid | (self.ask.q != Ask::IDLE);
    }
}
