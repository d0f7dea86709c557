//! Moves the data of writes from host memory to the media, and takes flushes and zeroes along in the same order.
//!
//! Three hands, each in order: one asks the host for data into the chunks of a ring (a chunk is 4 KiB of the command), one
//! hands complete chunks to the media, one waits for the media to be done. A chunk whose data could not be read is not
//! written, nor is anything of the command after it.

use azote_hdl::prelude::*;
use azote_regs::nvme::status;

use super::front::Media;
use crate::parts::Fifo;

/// Chunks of the data buffer.
pub const CHUNKS: usize = 8;

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
}

#[derive(LogicBlock, Default)]
pub struct Writer {
    pub clock: Clk,
    pub reset: Rst,
    /// Commands: `{slot 6, qid 3, cid 16, op 2, volume 8, blocks 16, lba 48}`.
    pub cmd_valid: I<1>,
    pub cmd_ready: O<1>,
    pub cmd_data: I<99>,
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
    pub media_op: O<2>,
    pub media_volume: O<8>,
    pub media_lba: O<48>,
    pub media_blocks: O<16>,
    pub wr_valid: O<1>,
    pub wr_ready: I<1>,
    pub wr_data: O<128>,
    pub wr_last: O<1>,
    pub media_done: I<1>,
    pub media_done_ready: O<1>,
    pub media_error: I<1>,
    /// Commands that are done.
    pub done_valid: O<1>,
    pub done_ready: I<1>,
    pub done_slot: O<6>,
    pub done_qid: O<3>,
    pub done_cid: O<16>,
    pub done_status: O<11>,
    pub busy: O<1>,
    ask: Reg<2>,
    piece: Reg<11>,
    /// DWs of the segment, of the chunk, and the command's block, that are done.
    s_at: Reg<11>,
    c_at: Reg<11>,
    lba: Reg<48>,
    tail: Reg<4>,
    head: Reg<4>,
    put: Reg<3>,
    at: Reg<9>,
    end: Reg<9>,
    loaded: Reg<1>,
    spoilt: Reg<1>,
    skip: Reg<1>,
    code: Reg<11>,
    finish: Reg<1>,
    cmds: Fifo<99>,
    // `{who 25, volume 8, last 1, op 2, blocks 16, lba 48}`: a chunk that is asked for, or an operation without data.
    pieces: Fifo<100>,
    order: Fifo<38>,
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
        let c_blocks = cmd.bits(63, 48);
        let c_volume = cmd.bits(71, 64);
        let c_op = cmd.bits(73, 72);
        let c_who = cmd.bits(98, 74);
        let slot = cmd.bits(98, 93);
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
        self.pieces.in_data = cat(c_who, c_volume, sized(1, 1), c_op, c_blocks, c_lba);
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
                    if c_op == Media::WRITE {
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
                self.pieces.in_data =
                    cat(c_who, c_volume, self.finish.q, c_op, self.c_at.q.bits(10, 7).zext(16), self.lba.q);
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
        let p_blocks = p.bits(63, 48);
        let p_op = p.bits(65, 64);
        let p_last = p.bit(66);
        let p_volume = p.bits(74, 67);
        let p_who = p.bits(99, 75);
        let from = self.head.q.bits(2, 0);
        let ready = !(self.rd_pending.sel(from));
        let broken = self.rd_failed.sel(from);
        let is_write = p_op == Media::WRITE;
        let pop = self.loaded.q & self.wr_ready;
        let row = if pop { self.at.q + 1 } else { self.at.q };
        self.row = cat(from, row.bits(7, 0));
        self.media_valid = self.put.q == Put::REQUEST;
        self.media_op = p_op;
        self.media_lba = p_lba;
        self.media_blocks = p_blocks;
        self.media_volume = p_volume;
        self.wr_valid = self.loaded.q;
        self.wr_data = self.row_data;
        let last_row = (self.at.q + 1) == self.end.q;
        self.wr_last = last_row;
        self.pieces.out_ready = 0;
        self.order.in_valid = self.put.q == Put::NOTE;
        self.order.in_data = cat(
            p_who,
            p_last,
            self.skip.q,
            if self.skip.q { konst(status::DATA_TRANSFER) } else { sized(status::SUCCESS, 11) },
        );
        self.loaded.d = 0;
        match self.put.q {
            Put::IDLE => {
                self.at.d = 0;
                self.end.d = cat(p_blocks.bits(3, 0), sized(0, 5));
                self.skip.d = 0;
                if self.pieces.out_valid {
                    if !is_write {
                        self.put.d = Put::REQUEST;
                    } else if ready {
                        self.skip.d = broken | self.spoilt.q;
                        self.put.d = if broken | self.spoilt.q { Put::NOTE } else { Put::REQUEST };
                    }
                }
            }
            Put::REQUEST => {
                if self.media_ready {
                    self.put.d = if is_write { Put::PREPARE } else { Put::NOTE };
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
                    if is_write {
                        self.head.d = self.head.q + 1;
                    }
                    self.put.d = Put::IDLE;
                }
            }
            _ => self.put.d = Put::IDLE,
        }

        // --- and wait for it
        let o = self.order.out_data;
        let o_status = o.bits(10, 0);
        let o_skip = o.bit(11);
        let o_last = o.bit(12);
        let o_who = o.bits(37, 13);
        let heard = self.order.out_valid & (o_skip | self.media_done);
        let now = if o_skip {
            o_status
        } else if self.media_error {
            konst(status::WRITE_FAULT)
        } else {
            sized(status::SUCCESS, 11)
        };
        let total = if self.code.q != 0 { self.code.q } else { now };
        let takes = heard & (self.done_ready | !o_last);
        self.order.out_ready = takes;
        self.media_done_ready = self.order.out_valid & !o_skip & (self.done_ready | !o_last);
        self.done_valid = heard & o_last;
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
