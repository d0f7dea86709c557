//! Moves the data of reads into host memory: takes the pieces that were called for, one after the other, and makes memory
//! writes of Max_Payload_Size of their rows.
//!
//! A piece begins at any DW of a page and may go on at the beginning of another; data comes in rows of four DWs. Two rows
//! side by side are a window over the stream, and each beat of payload is cut out of it where the last one ended. A packet
//! is begun with the first row of its data: an answer of the medium has no pauses, so that it never holds the link.
//!
//! Promise: rows are taken from medium and pages in the order in which they were called for. A piece of which a packet was swallowed
//! at the gate ends in Data Transfer Error, whether or not the gate is open again by then. The end of a piece is told when
//! its last packet has the link, if its data is known to be good by then: whatever follows from it stands behind that packet.

use azote_hdl::prelude::*;
use azote_regs::nvme::status;

use crate::parts::{BlockFifo, Fifo};
use crate::storage::words::{Piece, Place, Row, Tag};
use crate::transaction::TxOut;
use crate::transaction::header::request;

struct St;
impl St {
    const NEXT: u64 = 0;
    const HEADER: u64 = 1;
    const DATA: u64 = 2;
    const DONE: u64 = 3;
}

#[derive(LogicBlock, Default)]
pub struct Mover {
    pub clock: Clk,
    pub reset: Rst,
    /// Pieces that were called for.
    pub piece_valid: I<1>,
    pub piece_ready: O<1>,
    pub piece_data: I<{ Piece::WIDTH }>,
    /// Their rows: of the medium's, of the pages'.
    pub media_valid: I<1>,
    pub media_ready: O<1>,
    pub media_data: I<{ Row::WIDTH }>,
    pub page_valid: I<1>,
    pub page_ready: O<1>,
    pub page_data: I<{ Row::WIDTH }>,
    /// One clock: a row has left the buffer, a clock ago.
    pub drained: O<1>,
    pub mps: I<3>,
    pub tx: TxOut,
    /// Pieces that have left: a page's, or that of a tag.
    pub left_valid: O<1>,
    pub left_ready: I<1>,
    pub left_page: O<1>,
    pub left_tag: O<{ Tag::WIDTH }>,
    pub left_code: O<11>,
    pub busy: O<1>,
    st: Reg<2>,
    /// The piece in hand; the DW in its first page, how many are left there and in the second.
    r_page: Reg<1>,
    zeroes: Reg<1>,
    tag: Reg<{ Tag::WIDTH }>,
    at: Reg<52>,
    then: Reg<52>,
    dw: Reg<10>,
    left: Reg<11>,
    more: Reg<11>,
    /// DWs of the packet that are left; how many are in its next beat, and whether that is its last, known before the
    /// beat is asked for; the packet is the last of its segment.
    packet: Reg<7>,
    many: Reg<3>,
    last: Reg<1>,
    whole: Reg<1>,
    /// The first row of the window, and how many of its DWs are used up.
    cur: Reg<{ Row::WIDTH }>,
    cur_valid: Reg<1>,
    off: Reg<2>,
    /// A packet of the piece was swallowed; its end is told already.
    hurt: Reg<1>,
    told: Reg<1>,
    /// A piece that has left, until somebody hears of it.
    l_valid: Reg<1>,
    l_page: Reg<1>,
    l_tag: Reg<{ Tag::WIDTH }>,
    l_code: Reg<11>,
    left_row: Reg<1>,
    pieces: Fifo<{ Piece::WIDTH }>,
    /// Whose rows come next: a page's, or the medium's.
    sources: Fifo<1>,
    /// Of the pieces whose rows are all here: whether they are broken.
    ends: Fifo<1>,
    buffer: BlockFifo<9, { Row::WIDTH }>,
}

impl Mover {
    /// The mover, with room for eight pieces.
    pub fn new() -> Self {
        Mover { pieces: Fifo::new(8), sources: Fifo::new(16), ends: Fifo::new(32), ..Self::default() }
    }
}

#[kernel]
impl Logic for Mover {
    fn update(&mut self) {
        clocked!(self.pieces, self.sources, self.ends, self.buffer);
        self.pieces.in_valid = self.piece_valid;
        self.pieces.in_data = self.piece_data;
        self.piece_ready = self.pieces.in_ready;
        let has_rows = !self.piece_data.get(Piece::ZEROES);
        let called = self.piece_valid & self.pieces.in_ready & has_rows;
        self.sources.in_valid = called;
        self.sources.in_data = self.piece_data.get(Piece::PAGE);
        check!((!called) | self.sources.in_ready, "more pieces are called for than there is room");

        // --- rows, in the order in which they were called for
        let from_page = self.sources.out_data;
        let source = self.sources.out_valid;
        let row_valid = source & (if from_page { self.page_valid } else { self.media_valid });
        let row = if from_page { self.page_data } else { self.media_data };
        self.buffer.in_valid = row_valid;
        self.buffer.in_data = row;
        self.page_ready = source & from_page & self.buffer.in_ready;
        self.media_ready = source & (!from_page) & self.buffer.in_ready;
        let comes = row_valid & self.buffer.in_ready;
        let ended = comes & row.get(Row::LAST);
        self.sources.out_ready = ended;
        self.ends.in_valid = ended;
        self.ends.in_data = row.get(Row::ERROR);
        check!((!ended) | self.ends.in_ready, "more pieces are here than there can be");

        // --- the piece in hand
        let p = self.pieces.out_data;
        let p_place = p.get(Piece::PLACE);
        let p_dw = p_place.get(Place::DW);
        let p_dws = p_place.get(Place::DWS);
        let room = sized(1024, 11) - p_dw.zext(11);
        let one_page = p_dws <= room;
        let owner = cat(self.tag.q.get(Tag::HIGH), sized(azote_regs::function::STORAGE, 2));
        let next = self.buffer.out_data;
        let next_valid = self.buffer.out_valid;
        let cur = self.cur.q;

        // The packet that would come next.
        let largest = if self.mps == 0 { sized(32, 11) } else { 64 };
        let size = if self.left.q < largest { self.left.q } else { largest };
        let address = cat(self.at.q, self.dw.q, sized(0, 2));
        let final_packet = (self.left.q <= largest) & (self.more.q == 0);

        // The beat that would come next.
        let many = self.many.q;
        let reach = self.off.q.zext(4) + many.zext(4);
        let both = reach > 4;
        let here = self.zeroes.q | (self.cur_valid.q & (next_valid | !both));
        let n = next.get(Row::DATA);
        let c = cur.get(Row::DATA);
        let window = match self.off.q {
            0 => c,
            1 => cat(n.bits(31, 0), c.bits(127, 32)),
            2 => cat(n.bits(63, 0), c.bits(127, 64)),
            _ => cat(n.bits(95, 0), c.bits(127, 96)),
        };
        let beat = if self.zeroes.q { sized(0, 128) } else { window };
        let keep = match many {
            1 => sized(1, 4),
            2 => 3,
            3 => 7,
            _ => 15,
        };
        let header = request(address, size, sized(0, 8));
        let in_header = self.st.q == St::HEADER;
        let in_data = self.st.q == St::DATA;
        let start = in_header & (self.zeroes.q | self.cur_valid.q);
        self.tx.valid = start | (in_data & here);
        self.tx.sop = in_header;
        self.tx.eop = in_data & self.last.q;
        self.tx.keep = if in_header { 15 } else { keep };
        self.tx.data = if in_header { header } else { beat };
        self.tx.owner = owner;

        let mut pop = sized(0, 1);
        let mut fill = (!self.cur_valid.q) & (!self.zeroes.q) & (in_header | in_data);
        let mut tells = sized(0, 1);
        let mut takes = sized(0, 1);
        let mut hurt = self.hurt.q;
        self.pieces.out_ready = 0;
        let known = self.zeroes.q | self.ends.out_valid;
        let broken = self.ends.out_data & !self.zeroes.q;
        let free = (!self.l_valid.q) | self.left_ready;
        if self.left_ready {
            self.l_valid.d = 0;
        }

        match self.st.q {
            St::NEXT => {
                if self.pieces.out_valid {
                    takes = 1;
                    fill = !p.get(Piece::ZEROES);
                    self.st.d = St::HEADER;
                }
            }
            St::HEADER => {
                if start & self.tx.ready {
                    hurt = self.hurt.q | self.tx.killed;
                    self.hurt.d = hurt;
                    self.packet.d = size.trunc(7);
                    self.many.d = if self.left.q >= 4 { sized(4, 3) } else { self.left.q.trunc(3) };
                    self.last.d = self.left.q <= 4;
                    self.whole.d = self.left.q <= largest;
                    self.left.d = self.left.q - size;
                    self.dw.d = self.dw.q + size.trunc(10);
                    self.st.d = St::DATA;
                    tells = final_packet & known & free;
                }
            }
            St::DATA => {
                let ends = self.whole.q & (self.more.q == 0);
                tells = ends & known & free & !self.told.q;
                if here & self.tx.ready {
                    self.packet.d = self.packet.q - many.zext(7);
                    self.many.d = if self.packet.q >= 8 { sized(4, 3) } else { self.packet.q.trunc(3) - 4 };
                    self.last.d = self.packet.q <= 8;
                    self.off.d = reach.trunc(2);
                    if reach >= 4 {
                        // The first row is used up; the second takes its place.
                        fill = !self.zeroes.q;
                        self.cur_valid.d = 0;
                    }
                    if self.last.q {
                        self.st.d = St::HEADER;
                        if self.whole.q {
                            self.at.d = self.then.q;
                            self.dw.d = 0;
                            self.left.d = self.more.q;
                            self.more.d = 0;
                            if self.more.q == 0 {
                                // What is left of the last row belongs to nobody.
                                self.cur_valid.d = 0;
                                fill = 0;
                                pop = both & !self.zeroes.q;
                                self.st.d = if self.told.q | tells { sized(St::NEXT, 2) } else { St::DONE };
                                // The next piece follows without a gap, if nothing of this one is in its way.
                                if (self.told.q | tells) & self.pieces.out_valid & !pop {
                                    takes = 1;
                                    fill = !p.get(Piece::ZEROES);
                                    self.st.d = St::HEADER;
                                }
                            }
                        }
                    }
                }
            }
            _ => {
                if self.told.q {
                    self.st.d = St::NEXT;
                } else if known & free {
                    tells = 1;
                    self.st.d = St::NEXT;
                }
            }
        }
        if fill & next_valid {
            self.cur.d = next;
            self.cur_valid.d = 1;
            pop = 1;
        }
        self.buffer.out_ready = pop;
        self.left_row.d = pop & next_valid;
        self.drained = self.left_row.q;

        self.ends.out_ready = tells & !self.zeroes.q;
        if tells {
            self.told.d = 1;
            self.l_valid.d = 1;
            self.l_page.d = self.r_page.q;
            self.l_tag.d = self.tag.q;
            self.l_code.d = if broken {
                konst(status::UNRECOVERED_READ)
            } else if hurt {
                konst(status::DATA_TRANSFER)
            } else {
                konst(status::SUCCESS)
            };
        }
        if takes {
            self.pieces.out_ready = 1;
            self.r_page.d = p.get(Piece::PAGE);
            self.zeroes.d = p.get(Piece::ZEROES);
            self.off.d = p.get(Piece::SKIP);
            self.tag.d = p.get(Piece::TAG);
            self.at.d = p_place.get(Place::PAGE);
            self.then.d = p_place.get(Place::NEXT);
            self.dw.d = p_dw;
            self.left.d = if one_page { p_dws } else { room };
            self.more.d = if one_page { sized(0, 11) } else { p_dws - room };
            self.hurt.d = 0;
            self.told.d = 0;
        }
        self.left_valid = self.l_valid.q;
        self.left_page = self.l_page.q;
        self.left_tag = self.l_tag.q;
        self.left_code = self.l_code.q;
        self.busy = self.pieces.out_valid
            | (self.st.q != St::NEXT)
            | self.cur_valid.q
            | (self.buffer.level != 0)
            | self.l_valid.q;
    }
}
