//! Moves the data of reads into host memory: pops segments, takes the data that belongs to them, and makes memory writes
//! of Max_Payload_Size.
//!
//! Segments begin and end at any DW; data comes in rows of four. Two rows side by side are a window over the stream, and
//! each beat of payload is cut out of it where the last one ended. A packet is only begun when all of its data is here,
//! so that a slow medium never holds the link. A command of which a packet was swallowed at the gate ends in Data Transfer
//! Error, whether or not the gate is open again by then.

use azote_hdl::prelude::*;
use azote_regs::nvme::status;

use crate::parts::BlockFifo;
use crate::transaction::TxOut;
use crate::transaction::header::{id, memory};

struct St;
impl St {
    const HEADER: u64 = 0;
    const DATA: u64 = 1;
    const DONE: u64 = 2;
}

#[derive(LogicBlock, Default)]
pub struct Mover {
    pub clock: Clk,
    pub reset: Rst,
    /// Segments: `{slot 6, qid 3, cid 16, last 1, dws 11, address 64}`.
    pub seg_valid: I<1>,
    pub seg_ready: O<1>,
    pub seg_data: I<101>,
    /// Data: `{error, last, row}`.
    pub in_valid: I<1>,
    pub in_ready: O<1>,
    pub in_data: I<130>,
    /// One clock: a row has left the buffer, a clock ago.
    pub drained: O<1>,
    pub mps: I<3>,
    pub bus_number: I<8>,
    pub tx: TxOut,
    /// Commands whose data has been handed over.
    pub done_valid: O<1>,
    pub done_ready: I<1>,
    pub done_slot: O<6>,
    pub done_qid: O<3>,
    pub done_cid: O<16>,
    pub done_status: O<11>,
    pub busy: O<1>,
    st: Reg<2>,
    /// DWs of the segment that are done, and of the packet that are not; how many are in its next beat, and whether that is its
    /// last, known before the beat is asked for.
    sent: Reg<11>,
    packet: Reg<7>,
    many: Reg<3>,
    last: Reg<1>,
    /// The packet is the last of its segment.
    whole: Reg<1>,
    /// The first row of the window, and how many of its DWs are used up.
    cur: Reg<130>,
    cur_valid: Reg<1>,
    off: Reg<2>,
    /// Ends of commands that are in the buffer or the window.
    ends: Reg<10>,
    code: Reg<11>,
    /// A packet of the command was swallowed at the gate.
    hurt: Reg<1>,
    left_row: Reg<1>,
    /// A clock ago there were 16 rows in the buffer, or more.
    rows: Reg<1>,
    more: Reg<1>,
    buffer: BlockFifo<9, 130>,
}

#[kernel]
impl Logic for Mover {
    fn update(&mut self) {
        clocked!(self.buffer);
        let seg = self.seg_data;
        let address = seg.bits(63, 0);
        let dws = seg.bits(74, 64);
        let seg_last = seg.bit(75);
        let cid = seg.bits(91, 76);
        let qid = seg.bits(94, 92);
        let slot = seg.bits(100, 95);
        let owner = cat(slot, sized(azote_regs::function::STORAGE, 2));

        self.buffer.in_valid = self.in_valid;
        self.buffer.in_data = self.in_data;
        self.in_ready = self.buffer.in_ready;
        let next = self.buffer.out_data;
        let next_valid = self.buffer.out_valid;
        let cur = self.cur.q;

        // The packet that would come next.
        let left = dws - self.sent.q;
        let largest = if self.mps == 0 { sized(32, 11) } else { 64 };
        let size = if left < largest { left } else { largest };
        // 16 rows and the rest of the one in hand: there were so many a clock ago, and none went since.
        let level = self.buffer.level;
        self.rows.d = level >= 16;
        self.more.d = level >= 17;
        let enough = self.more.q | (self.rows.q & !self.left_row.q) | (self.ends.q != 0);
        let low = address.bits(11, 0) + cat(self.sent.q.bits(9, 0), sized(0, 2));
        let at = cat(address.bits(63, 12), low);
        let one = size == 1;

        // The beat that would come next.
        let many = self.many.q;
        let reach = self.off.q.zext(4) + many.zext(4);
        let both = reach > 4;
        let here = self.cur_valid.q & (next_valid | !both);
        let n = next.bits(127, 0);
        let c = cur.bits(127, 0);
        let beat = match self.off.q {
            0 => c,
            1 => cat(n.bits(31, 0), c.bits(127, 32)),
            2 => cat(n.bits(63, 0), c.bits(127, 64)),
            _ => cat(n.bits(95, 0), c.bits(127, 96)),
        };
        let keep = match many {
            1 => sized(1, 4),
            2 => 3,
            3 => 7,
            _ => 15,
        };
        let header = memory(
            sized(1, 1),
            at,
            size,
            id(self.bus_number, owner),
            sized(0, 8),
            if one { sized(0, 4) } else { 15 },
            sized(15, 4),
        );
        let in_header = self.st.q == St::HEADER;
        let in_data = self.st.q == St::DATA;
        let start = in_header & self.seg_valid & enough & self.cur_valid.q;
        self.tx.valid = start | (in_data & here);
        self.tx.sop = in_header;
        self.tx.eop = in_data & self.last.q;
        self.tx.keep = if in_header { 15 } else { keep };
        self.tx.data = if in_header { header } else { beat };
        self.tx.owner = owner;

        let mut pop = sized(0, 1);
        let mut fill = sized(0, 1);
        self.seg_ready = 0;
        let ended_in_cur = self.in_valid & self.buffer.in_ready & self.in_data.bit(128);
        let mut over = sized(0, 1);
        let segment_ends = self.last.q & self.whole.q;

        match self.st.q {
            St::HEADER => {
                if start & self.tx.ready {
                    self.hurt.d = self.hurt.q | self.tx.killed;
                    self.packet.d = size.trunc(7);
                    self.many.d = if left >= 4 { sized(4, 3) } else { left.trunc(3) };
                    self.last.d = left <= 4;
                    self.whole.d = left <= largest;
                    self.sent.d = self.sent.q + size;
                    self.st.d = St::DATA;
                }
                fill = !self.cur_valid.q;
            }
            St::DATA => {
                fill = !self.cur_valid.q;
                if here & self.tx.ready {
                    self.packet.d = self.packet.q - many.zext(7);
                    self.many.d = if self.packet.q >= 8 { sized(4, 3) } else { self.packet.q.trunc(3) - 4 };
                    self.last.d = self.packet.q <= 8;
                    self.off.d = reach.trunc(2);
                    if reach >= 4 {
                        // The first row is used up; the second takes its place.
                        fill = 1;
                        self.cur_valid.d = 0;
                    }
                    if self.last.q {
                        self.st.d = St::HEADER;
                    }
                    if segment_ends {
                        self.sent.d = 0;
                        self.seg_ready = !seg_last;
                        if seg_last {
                            // What is left of the last row belongs to nobody.
                            self.off.d = 0;
                            over = 1;
                            let tail = if both { next } else { cur };
                            let broken = tail.bit(129);
                            self.code.d = if broken {
                                konst(status::UNRECOVERED_READ)
                            } else if self.hurt.q {
                                konst(status::DATA_TRANSFER)
                            } else {
                                konst(status::SUCCESS)
                            };
                            self.cur_valid.d = 0;
                            fill = !both;
                            pop = both;
                            self.st.d = St::DONE;
                        }
                    }
                }
            }
            St::DONE => {
                fill = !self.cur_valid.q;
                if self.done_ready {
                    self.hurt.d = 0;
                    self.seg_ready = 1;
                    self.st.d = St::HEADER;
                }
            }
            _ => self.st.d = St::HEADER,
        }
        if fill & next_valid {
            self.cur.d = next;
            self.cur_valid.d = 1;
            pop = 1;
        }
        self.buffer.out_ready = pop;
        self.left_row.d = pop & next_valid;
        self.drained = self.left_row.q;
        self.ends.d = self.ends.q + ended_in_cur.zext(10) - over.zext(10);

        self.done_valid = self.st.q == St::DONE;
        self.done_slot = slot;
        self.done_qid = qid;
        self.done_cid = cid;
        self.done_status = self.code.q;
        self.busy = self.seg_valid | (self.st.q != St::HEADER) | self.cur_valid.q | (self.buffer.level != 0);
    }
}
