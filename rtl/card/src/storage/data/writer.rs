//! Moves the data of writes (and of compares, which the media does) from host memory to the media, and takes what needs no
//! data along in the same order: flushes, zeroes, verifies.
//!
//! The list of Dataset Management comes the way of a write's data, into one chunk; its ranges, a row each, are all looked
//! at before the first is handed to the media, so that a list with a wrong range changes nothing.
//!
//! Three hands, each in order: one asks the host for data into the chunks of a ring (a chunk is a piece of the command, 4 KiB of it), one
//! opens a chunk in the books as soon as the first of it is here and asks the media under its tag, one sends them the data while the
//! rest lands. What becomes of it there is the books' to know: a medium that takes its time holds nothing here. A chunk whose data
//! could not be read is not written, for the media are told so with its last beat, nor is anything of the command after it. One
//! of which a packet was nullified while it was on its way to the media is sent once more. So the second hand goes on to the next
//! chunk when all of this one is known to be good.

use azote_hdl::prelude::*;
use azote_regs::media;
use azote_regs::nvme::{command as cmd, limits, status};

use super::landed::Landed;
use crate::dma::ReadOut;
use crate::parts::Fifo;
use crate::storage::ports::MediaOut;
use crate::storage::words::{Segment, Tag, Write};

/// Chunks of the data buffer.
pub const CHUNKS: usize = 8;
/// DWs that are asked for at once: the largest Max_Read_Request_Size that is used.
const REQUEST_DWS: u64 = 128;
/// [`limits::BIG_SHIFT`], for widths.
const BIG: usize = limits::BIG_SHIFT as usize;

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
    const START: u64 = 2;
    const WATCH: u64 = 3;
    const OPEN: u64 = 4;
    const OVER: u64 = 5;
    const RANGE_READ: u64 = 6;
    const RANGE_TAKE: u64 = 7;
    const RANGE_SUM: u64 = 8;
    const RANGE: u64 = 9;
    const RANGE_SEND: u64 = 10;
    const SPOILT: u64 = 11;
}

packed! {
    /// A chunk that is asked for, or an operation without data: what of its command it is.
    Chunk {
        rows: 9,
        last: 1,
        part: Write::WIDTH,
    }
}

/// Whether an operation comes with data of the host's.
#[pure]
pub fn has_data(op: V) -> V {
    (op == media::WRITE) | (op == media::COMPARE) | (op == media::RANGES)
}

#[derive(LogicBlock, Default)]
pub struct Writer {
    pub clock: Clk,
    pub reset: Rst,
    /// Commands.
    pub cmd_valid: I<1>,
    pub cmd_ready: O<1>,
    pub cmd_data: I<{ Write::WIDTH }>,
    /// Segments of the writes, in the order of their commands.
    pub seg_valid: I<1>,
    pub seg_ready: O<1>,
    pub seg_data: I<{ Segment::WIDTH }>,
    /// Reads of host memory into the data buffer.
    pub rd: ReadOut,
    pub rd_pending: I<8>,
    pub rd_failed: I<8>,
    pub rd_forget: O<8>,
    /// What of it is there: so many DWs in this clock; what landed in a chunk was of a packet that was nullified.
    pub landed: I<1>,
    pub landed_at: I<13>,
    pub landed_dws: I<3>,
    pub nulled: I<1>,
    pub nulled_chunk: I<3>,
    /// The data buffer.
    pub row: O<11>,
    pub row_data: I<128>,
    /// To the books, a piece: held until `opened`, which comes with its tag.
    pub open: O<1>,
    pub opened: I<1>,
    pub tag: I<{ Tag::WIDTH }>,
    pub open_first: O<1>,
    pub open_cmd: O<{ Tag::WIDTH }>,
    pub open_code: O<11>,
    /// What the media were told is spoilt may be asked for once more; one clock: it is to be; it has ended instead.
    pub redo: O<1>,
    pub again: I<1>,
    pub gone: I<1>,
    /// The media.
    pub media: MediaOut,
    /// All that is asked for, of which a request is the beginning.
    pub media_all: O<20>,
    pub wr_valid: O<1>,
    pub wr_ready: I<1>,
    pub wr_data: O<128>,
    pub wr_last: O<1>,
    pub wr_spoilt: O<1>,
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
    /// The chunk at the head is being sent.
    streams: Reg<1>,
    spoilt: Reg<1>,
    /// All of the chunk was here when the first of it was sent.
    whole: Reg<1>,
    why: Reg<11>,
    /// All ranges of the list are good: it is being carried out.
    apply: Reg<1>,
    r_lba: Reg<67>,
    r_blocks: Reg<35>,
    r_end: Reg<68>,
    finish: Reg<1>,
    /// The next piece is the first of its command; the tag of the one in hand.
    next: Reg<1>,
    r_tag: Reg<{ Tag::WIDTH }>,
    cmds: Fifo<{ Write::WIDTH }>,
    pieces: Fifo<{ Chunk::WIDTH }>,
    here: Landed,
}

impl Writer {
    /// The writer with its queues.
    pub fn new() -> Self {
        Writer {
            next: Reg::new(1u64),
            cmds: Fifo::new(8),
            pieces: Fifo::new(16),
            here: Landed::new(),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Writer {
    fn update(&mut self) {
        clocked!(self.cmds, self.pieces, self.here);
        self.cmds.in_valid = self.cmd_valid;
        self.cmds.in_data = self.cmd_data;
        self.cmd_ready = self.cmds.in_ready;
        let cmd = self.cmds.out_data;
        let c_lba = cmd.get(Write::LBA);
        let c_blocks = cmd.get(Write::BLOCKS);
        let c_op = cmd.get(Write::OP);
        let slot = cmd.get(Write::TAG).get(Tag::HIGH);
        let address = self.seg_data.get(Segment::ADDRESS);
        let s_dws = self.seg_data.get(Segment::DWS);
        let s_last = self.seg_data.get(Segment::LAST);

        // --- ask the host
        let chunk = self.tail.q.bits(2, 0);
        let some_free = (self.tail.q - self.head.q) != konst(CHUNKS);
        let s_left = s_dws - self.s_at.q;
        let c_left = sized(1024, 11) - self.c_at.q;
        // No more than one request at a time, so that an entry or a list which is fetched waits for no more than that.
        let most = sized(REQUEST_DWS, 11);
        let least = if s_left < c_left { s_left } else { c_left };
        let piece = if least < most { least } else { most };
        self.seg_ready = 0;
        self.cmds.out_ready = 0;
        self.pieces.in_valid = 0;
        self.pieces.in_data = Chunk { rows: 0, last: 1, part: cmd };
        self.rd.valid = self.ask.q == Ask::READ;
        self.rd.owner = cat(slot, sized(azote_regs::function::STORAGE, 2));
        let low = address.bits(11, 0) + cat(self.s_at.q.bits(9, 0), sized(0, 2));
        self.rd.address = cat(address.bits(63, 12), low);
        self.rd.bytes = cat(self.piece.q, sized(0, 2));
        self.rd.client = chunk.zext(4);
        self.rd.dest = cat(chunk, self.c_at.q.bits(9, 0));
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
                if self.rd.ready {
                    self.s_at.d = if s_end { 0 } else { self.s_at.q + self.piece.q };
                    self.c_at.d = self.c_at.q + self.piece.q;
                    self.finish.d = s_end & s_last;
                    self.seg_ready = s_end;
                    self.ask.d = if c_end | (s_end & s_last) { Ask::CLOSE } else { Ask::PIECE };
                }
            }
            Ask::CLOSE => {
                self.pieces.in_valid = 1;
                let blocks = if c_op == media::RANGES { c_blocks } else { self.c_at.q.bits(10, 7).zext(48) };
                let rows = self.c_at.q.bits(10, 2);
                let part = Write { blocks, lba: self.lba.q, ..cmd };
                self.pieces.in_data = Chunk { rows, last: self.finish.q, part };
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
        let p = self.pieces.out_data.get(Chunk::PART);
        let p_rows = self.pieces.out_data.get(Chunk::ROWS);
        let p_last = self.pieces.out_data.get(Chunk::LAST);
        let p_lba = p.get(Write::LBA);
        let p_blocks = p.get(Write::BLOCKS);
        let p_op = p.get(Write::OP);
        let p_big = p.get(Write::BIG);
        let from = self.head.q.bits(2, 0);
        let streams = self.streams.q;
        // The piece in hand is that of the next chunk while one is being sent, unless that is watched.
        let mine = (self.head.q + streams.zext(4)).bits(2, 0);
        let my_all = !(self.rd_pending.sel(mine));
        let my_broken = self.rd_failed.sel(mine);
        let ready = !(self.rd_pending.sel(from));
        let broken = self.rd_failed.sel(from);
        let data = has_data(p_op);
        let is_list = p_op == media::RANGES;
        self.here.forget = forget;
        self.here.landed = self.landed;
        self.here.landed_at = self.landed_at;
        self.here.landed_dws = self.landed_dws;
        self.here.nulled = self.nulled;
        self.here.nulled_chunk = self.nulled_chunk;
        self.here.chunk = from;
        let rows = self.here.dws.bits(10, 2);
        let doubted = self.here.doubted & !self.whole.q;
        let pop = self.loaded.q & self.wr_ready;
        let starts = (self.put.q == Put::START) & !streams;
        let row = if starts { sized(0, 9) } else { if pop { self.at.q + 1 } else { self.at.q } };
        let end = if starts { p_rows } else { self.end.q };
        self.row = cat(from, row.bits(7, 0));
        // The last row waits for the verdict on all of them.
        let is_here = ready | ((row < rows) & ((row + 1) != end));
        let spoils = broken | doubted;
        self.redo = doubted & !broken;
        let sure = ready & !spoils;
        self.open = self.put.q == Put::OPEN;
        self.open_first = self.next.q;
        self.open_cmd = p.get(Write::TAG);
        self.open_code = self.why.q;
        self.media.valid = self.put.q == Put::REQUEST;
        self.media.tag = self.r_tag.q;
        self.media.op = p_op;
        self.media.fua = p.get(Write::FUA);
        self.media.lba = p_lba;
        let long = ((p_op == media::ZEROES) | (p_op == media::VERIFY)) & (p_blocks > media::LONG_BLOCKS);
        self.media.blocks = if p_op == media::FLUSH {
            sized(0, 48)
        } else if is_list {
            p_rows.zext(48)
        } else if long {
            konst(media::LONG_BLOCKS)
        } else {
            p_blocks
        };
        self.media_all = p_blocks.bits(19, 0);
        self.media.volume = p.get(Write::VOLUME);
        let range = self.put.q == Put::RANGE_SEND;
        let last_row = (self.at.q + 1) == self.end.q;
        self.wr_valid = self.loaded.q | range;
        let first = p_lba + self.r_lba.q.trunc(48);
        self.wr_data = if range { cat(first.zext(64), self.r_blocks.q.zext(64)) } else { self.row_data };
        self.wr_last = last_row;
        self.wr_spoilt = last_row & (!is_list) & spoils;
        self.pieces.out_ready = 0;
        self.loaded.d = 0;
        let sent = pop & last_row;
        if streams {
            self.loaded.d = is_here | (self.loaded.q & !pop);
            if pop {
                self.at.d = self.at.q + 1;
            }
            if sent {
                self.loaded.d = 0;
                self.streams.d = 0;
                if !spoils {
                    self.head.d = self.head.q + 1;
                }
            }
        }
        check!((!sent) | (!spoils) | (self.put.q == Put::WATCH), "spoilt data was not watched");
        match self.put.q {
            Put::IDLE => {
                self.apply.d = 0;
                self.why.d = status::SUCCESS;
                let alone = !streams;
                if alone {
                    self.at.d = 0;
                    self.end.d = p_rows;
                }
                if self.pieces.out_valid {
                    if !data {
                        self.put.d = Put::OPEN;
                    } else if my_all & (alone | !is_list) {
                        self.put.d = if is_list { Put::RANGE_READ } else { Put::OPEN };
                        if my_broken | self.spoilt.q {
                            self.why.d = konst(status::DATA_TRANSFER);
                            self.put.d = Put::OPEN;
                        }
                    } else if alone & (rows != 0) & !(is_list | my_broken | self.spoilt.q | self.here.doubted) {
                        self.put.d = Put::OPEN;
                    }
                }
            }
            Put::OPEN => {
                if self.opened {
                    self.r_tag.d = self.tag;
                    self.put.d = if self.why.q != 0 { Put::OVER } else { Put::REQUEST };
                }
            }
            Put::REQUEST => {
                if self.media.ready {
                    self.put.d = if !data {
                        sized(Put::OVER, 4)
                    } else if is_list {
                        Put::RANGE_READ
                    } else {
                        Put::START
                    };
                }
            }
            Put::START => {
                if starts {
                    self.at.d = 0;
                    self.end.d = p_rows;
                    self.loaded.d = is_here;
                    self.whole.d = ready;
                    self.streams.d = 1;
                    self.put.d = Put::WATCH;
                }
            }
            Put::WATCH => {
                if sent & spoils {
                    self.put.d = Put::SPOILT;
                } else if sent | sure {
                    self.pieces.out_ready = 1;
                    self.next.d = p_last;
                    self.put.d = Put::IDLE;
                }
            }
            Put::SPOILT => {
                if self.again {
                    self.put.d = Put::REQUEST;
                } else if self.gone {
                    self.why.d = konst(status::DATA_TRANSFER);
                    self.put.d = Put::OVER;
                }
            }
            Put::OVER => {
                if !(data & streams) {
                    self.pieces.out_ready = 1;
                    self.next.d = p_last;
                    self.spoilt.d = (self.why.q != 0) & !p_last;
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
                // Twice through the list: is it good, and then send it as the medium counts.
                self.put.d = Put::RANGE_READ;
                if self.apply.q {
                    self.put.d = Put::RANGE_SEND;
                } else if self.r_end.q > p_blocks.zext(68) {
                    self.why.d = konst(status::LBA_OUT_OF_RANGE);
                    self.put.d = Put::OPEN;
                } else if last_row {
                    self.apply.d = 1;
                    self.at.d = 0;
                    self.put.d = Put::OPEN;
                } else {
                    self.at.d = self.at.q + 1;
                }
            }
            Put::RANGE_SEND => {
                if self.wr_ready {
                    self.at.d = self.at.q + 1;
                    self.put.d = if last_row { Put::OVER } else { Put::RANGE_READ };
                }
            }
            _ => self.put.d = Put::IDLE,
        }

        self.busy = streams | self.cmds.out_valid | self.pieces.out_valid | (self.ask.q != Ask::IDLE);
    }
}
