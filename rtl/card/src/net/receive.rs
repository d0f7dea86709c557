//! What functions receive: keeps a frame until it is whole, takes buffers for it, and writes it to the host.
//!
//! Promises: a frame goes to the function that it is for, or nowhere: to a device that is not there, or that has no buffers, it is
//! dropped, without waiting for its driver; a frame of several buffers says in its header how many there are (virtio §5.1.6.4); the used
//! entries come behind the data.

use azote_hdl::prelude::*;
use azote_regs::virtio::net;

use super::buffers::{Buffer, DEPTH};
use super::stream::{CheckedIn, FrameIn, RoomIn};
use crate::parts::Fifo;
use crate::transaction::TxOut;
use crate::transaction::header::{byte_request, last_keep, spans};
use crate::virtio::bundles::{BrokenOut, FlightOut, KickOut, Terms, UsedOut};

/// Rows of the memory of frames, log2.
const ROWS: usize = 10;
/// Descriptors that a frame may lie in, log2.
const PICKS: usize = 3;
/// Clocks for which a frame waits for buffers that are being fetched.
const PATIENCE: usize = 4096;

packed! {
    /// A descriptor that is taken.
    Pick {
        /// It is the last of its chain.
        last: 1,
        head: 16,
        bytes: 32,
        address: 64,
    }
}

packed! {
    /// A chain that is written.
    Written {
        head: 16,
        bytes: 14,
    }
}

packed! {
    /// A frame that is whole.
    Frame {
        /// It is counted as under way: its function's device was there when it came, and it is one.
        counted: 1,
        /// Its checksum is right; its hash, and of what it is.
        right: 1,
        hash: 32,
        report: 3,
        bytes: 14,
        slot: 6,
    }
}

struct St;
impl St {
    const IDLE: u64 = 0;
    const ASK: u64 = 1;
    const GRAB: u64 = 2;
    const SUM: u64 = 3;
    const BUFFER: u64 = 4;
    const CUT: u64 = 5;
    const PLACE: u64 = 6;
    const LOAD: u64 = 7;
    const HEADER: u64 = 8;
    const DATA: u64 = 9;
    const USED: u64 = 10;
    const OVER: u64 = 11;
    const BREAK: u64 = 12;
    const WALK: u64 = 13;
    const ADD: u64 = 14;
    const NEXT: u64 = 15;
}

#[derive(LogicBlock, Default)]
pub struct Receive {
    pub clock: Clk,
    pub reset: Rst,
    pub input: FrameIn,
    pub room: RoomIn,
    pub told_of: CheckedIn,
    pub mps: I<3>,
    /// What the function of a frame agreed to, in the same clock.
    pub ask: O<6>,
    pub terms: I<{ Terms::WIDTH }>,
    /// The same of one that comes.
    pub in_ask: O<6>,
    pub in_terms: I<{ Terms::WIDTH }>,
    // The buffers.
    pub slot: O<6>,
    pub pair: O<2>,
    pub nth: O<DEPTH>,
    pub many: I<{ DEPTH + 1 }>,
    pub few: I<1>,
    pub no_more: I<1>,
    pub buffer: I<{ Buffer::WIDTH }>,
    pub take: O<1>,
    pub takes: O<{ DEPTH + 1 }>,
    pub looks: O<1>,
    pub kick: KickOut,
    /// To whoever walks chains.
    pub walk: O<1>,
    pub own: O<1>,
    pub own_at: O<64>,
    pub entries: O<16>,
    pub link: O<16>,
    pub walked: I<1>,
    pub w_address: I<64>,
    pub w_bytes: I<32>,
    pub w_more: I<1>,
    pub w_next: I<16>,
    pub w_bad: I<1>,
    pub tx: TxOut,
    pub used: UsedOut,
    pub broken: BrokenOut,
    /// A frame begins; a chain that it took does; a frame ends.
    pub comes: FlightOut,
    pub begins: FlightOut,
    pub ends: FlightOut,
    pub busy: O<1>,
    kind: Param,
    // Keeping.
    tail: Reg<{ ROWS + 1 }>,
    done: Reg<{ ROWS + 1 }>,
    length: Reg<14>,
    over: Reg<1>,
    ended: Reg<1>,
    e_counted: Reg<1>,
    e_bytes: Reg<14>,
    e_slot: Reg<6>,
    // Giving.
    st: Reg<4>,
    f: Reg<{ Frame::WIDTH }>,
    hash: Reg<1>,
    mergeable: Reg<1>,
    checked: Reg<1>,
    sum: Reg<33>,
    total: Reg<14>,
    /// Chains that are taken; descriptors, and the one that is written to.
    n: Reg<{ DEPTH + 1 }>,
    p: Reg<{ PICKS + 1 }>,
    b: Reg<{ PICKS + 1 }>,
    /// The chain in hand, if it is one: where it goes on.
    open: Reg<1>,
    c_own: Reg<1>,
    c_table: Reg<64>,
    c_entries: Reg<16>,
    c_link: Reg<16>,
    head: Reg<16>,
    /// A descriptor that is to be taken.
    a_address: Reg<64>,
    a_bytes: Reg<32>,
    enough: Reg<1>,
    /// Bytes of the chain that are written.
    chain: Reg<14>,
    waits: Reg<13>,
    kicks: Reg<1>,
    kick_slot: Reg<6>,
    address: Reg<64>,
    /// Bytes of the buffer in hand that are to be written, and that were; bytes of the frame that are left; of the packet.
    left: Reg<14>,
    written: Reg<14>,
    rest: Reg<14>,
    packet: Reg<9>,
    place: Reg<15>,
    shift: Reg<4>,
    at: Reg<11>,
    current: Reg<128>,
    dws: Reg<11>,
    killed: Reg<1>,
    was_header: Reg<2>,
    rows: Ram<ROWS, 128>,
    frames: Fifo<{ Frame::WIDTH }>,
    picks: LutRam<PICKS, { Pick::WIDTH }>,
    /// The chains that are written, and how many of them are told.
    chains: LutRam<DEPTH, { Written::WIDTH }>,
    done_chains: Reg<{ DEPTH + 1 }>,
    told: Reg<{ DEPTH + 1 }>,
}

impl Receive {
    pub fn new(kind: u64) -> Self {
        Receive { kind: Param::new(kind as usize), frames: Fifo::new(32), ..Self::default() }
    }
}

#[kernel]
impl Logic for Receive {
    fn update(&mut self) {
        clocked!(self.frames);
        memories!(self.rows, self.picks, self.chains);

        // --- keeping: a frame that is longer than any is cut, and dropped
        let used = self.tail.q - self.done.q;
        let full = used.bit(ROWS);
        self.input.ready = (!full) & self.frames.in_ready & !self.ended.q;
        let takes = self.input.valid & self.input.ready;
        let left = sized(1 << ROWS, ROWS + 1) - used;
        let wants = self.room.bytes.bits(13, 4).zext(ROWS + 1) + 1;
        self.room.free = (left >= wants) & self.frames.in_ready;
        let length = if self.input.sop { sized(0, 14) } else { self.length.q };
        let over = (!self.input.sop) & self.over.q;
        let longer = length + self.input.bytes.zext(14);
        let too_long = longer > net::MAX_FRAME;
        self.rows.we = takes & !over;
        self.rows.waddr = self.tail.q.trunc(ROWS);
        self.rows.wdata = self.input.data;
        let bad = over | too_long | self.input.error;
        let counts = (!bad) & self.in_terms.get(Terms::ALIVE);
        self.in_ask = self.input.slot;
        if takes & self.input.eop {
            self.ended.d = 1;
            self.e_counted.d = counts;
            self.e_bytes.d = if over { length } else { longer };
            self.e_slot.d = self.input.slot;
        }
        // What was found out of it comes behind its end.
        if self.told_of.checked {
            self.ended.d = 0;
        }
        self.frames.in_valid = self.told_of.checked;
        self.frames.in_data = Frame {
            counted: self.e_counted.q,
            right: self.told_of.right,
            hash: self.told_of.hash,
            report: self.told_of.report,
            bytes: self.e_bytes.q,
            slot: self.e_slot.q,
        };
        check!((!self.told_of.checked) | (self.ended.q & self.frames.in_ready), "what is told is told of no frame");
        self.comes.valid = takes & self.input.eop & counts;
        self.comes.slot = self.input.slot;
        if takes {
            self.length.d = if over { length } else { longer };
            self.over.d = over | too_long;
            if !over {
                self.tail.d = self.tail.q + 1;
            }
        }

        // --- giving
        let f = self.f.q;
        let slot = f.get(Frame::SLOT);
        let owner = cat(slot, sized({ self.kind.get() }, 2));
        let new_terms = self.terms;
        self.ask = slot;
        self.slot = slot;
        self.pair = 0;
        self.nth = self.n.q.trunc(DEPTH);
        self.take = 0;
        self.takes = self.n.q;
        self.looks = 0;
        self.kick.valid = self.kicks.q;
        self.kick.slot = self.kick_slot.q;
        self.kick.pair = 0;
        if self.kick.ready {
            self.kicks.d = 0;
        }
        self.frames.out_ready = 0;
        self.picks.we = 0;
        self.picks.waddr = self.p.q.trunc(PICKS);
        self.picks.wdata = Pick {
            last: self.enough.q | !self.open.q,
            head: self.head.q,
            bytes: self.a_bytes.q,
            address: self.a_address.q,
        };
        self.picks.raddr = self.b.q.trunc(PICKS);
        self.walk = self.st.q == St::WALK;
        self.own = self.c_own.q;
        self.own_at = self.c_table.q;
        self.entries = self.c_entries.q;
        self.link = self.c_link.q;
        let pick = self.picks.rdata;
        let walks = self.st.q == St::WALK;
        let found = if walks { self.w_bytes } else { self.buffer.get(Buffer::BYTES) };
        let sum = self.sum.q + found.zext(33);
        let enough = sum >= self.total.q.zext(33);
        let last_pick = (self.b.q + 1) == self.p.q;

        // The header ends where a row does; behind it come the rows of the frame.
        let header_rows = if self.hash.q { sized(2, 2) } else { 1 };
        let buffers = if self.mergeable.q { self.n.q.zext(16) } else { sized(1, 16) };
        let valid = f.get(Frame::RIGHT) & self.checked.q;
        let flags = sized(0, 8) | (valid.zext(8) << konst(net::header::F_DATA_VALID.lo));
        let header_row = if !self.hash.q {
            cat(buffers, sized(0, 72), flags, sized(0, 32))
        } else if self.was_header.q == 2 {
            cat(sized(0, 24), flags, sized(0, 96))
        } else {
            cat(sized(0, 16), f.get(Frame::REPORT).zext(16), f.get(Frame::HASH), buffers, sized(0, 48))
        };
        let word = if self.was_header.q != 0 { header_row } else { self.rows.rdata };
        let mut ask_row = self.at.q;
        let window = cat(word, self.current.q);
        let beat = window.slice_at(cat(sized(0, 1), self.shift.q, sized(0, 3)), 128);

        let mask = match self.mps {
            0 => sized(127, 9),
            _ => 255,
        };
        let in_cut = self.address.q.trunc(9) & mask;
        let to_cut = mask - in_cut + 1;
        let cut = if to_cut.zext(14) < self.left.q { to_cut } else { self.left.q.trunc(9) };
        let lead = self.address.q.bits(1, 0);
        let from = self.place.q - lead.zext(15);
        let is_header = self.st.q == St::HEADER;
        let last_beat = self.dws.q <= 4;
        self.tx.valid = is_header | (self.st.q == St::DATA);
        self.tx.sop = is_header;
        self.tx.eop = (!is_header) & last_beat;
        self.tx.keep = if is_header | !last_beat { sized(15, 4) } else { last_keep(self.dws.q) };
        self.tx.data = if is_header { byte_request(self.address.q, self.packet.q.zext(13), sized(0, 8)) } else { beat };
        self.tx.owner = owner;
        self.used.valid = self.st.q == St::USED;
        self.used.slot = slot;
        self.used.queue = 0;
        self.used.head = self.chains.rdata.get(Written::HEAD);
        self.used.bytes = self.chains.rdata.get(Written::BYTES).zext(32);
        self.used.event = 0;
        self.used.none = 0;
        let last_told = (self.told.q + 1) == self.done_chains.q;
        self.used.more = !last_told;
        self.chains.we = 0;
        self.chains.waddr = self.done_chains.q.trunc(DEPTH);
        self.chains.wdata = Written { head: pick.get(Pick::HEAD), bytes: self.chain.q + self.written.q };
        self.chains.raddr = self.told.q.trunc(DEPTH);
        self.broken.valid = self.st.q == St::BREAK;
        self.broken.slot = slot;
        self.begins.valid = 0;
        self.begins.slot = slot;
        self.ends.valid = 0;
        self.ends.slot = slot;

        match self.st.q {
            St::IDLE => {
                self.f.d = self.frames.out_data;
                self.n.d = 0;
                self.p.d = 0;
                self.open.d = 0;
                self.sum.d = 0;
                self.waits.d = 0;
                if self.frames.out_valid {
                    self.frames.out_ready = 1;
                    self.st.d = St::ASK;
                }
            }
            St::ASK => {
                let hash = new_terms.get(Terms::HASH);
                let size = if hash { sized(net::header::SIZE_HASH, 14) } else { net::header::SIZE };
                self.hash.d = hash;
                self.mergeable.d = new_terms.get(Terms::MERGEABLE);
                self.checked.d = new_terms.get(Terms::CHECKED);
                self.total.d = f.get(Frame::BYTES) + size;
                let goes = f.get(Frame::COUNTED) & new_terms.get(Terms::ALIVE);
                self.st.d = if goes { sized(St::GRAB, 4) } else { St::OVER };
            }
            // The next buffer, if there is one or will be.
            St::GRAB => {
                self.waits.d = self.waits.q + 1;
                if self.n.q < self.many {
                    self.st.d = St::SUM;
                } else if self.no_more
                    | self.waits.q.bit({ PATIENCE.trailing_zeros() as usize })
                    | !new_terms.get(Terms::ALIVE)
                {
                    self.n.d = 0;
                    self.st.d = St::OVER;
                } else if (self.waits.q.trunc(6) == 0) & !self.kicks.q {
                    self.kicks.d = 1;
                    self.kick_slot.d = slot;
                }
            }
            St::SUM => {
                let entries = self.buffer.get(Buffer::BYTES).bits(19, 4);
                let is_table = self.buffer.get(Buffer::TABLE);
                self.n.d = self.n.q + 1;
                self.head.d = self.buffer.get(Buffer::HEAD);
                self.a_address.d = self.buffer.get(Buffer::ADDRESS);
                self.a_bytes.d = found;
                self.open.d = self.buffer.get(Buffer::MORE) | is_table;
                self.c_own.d = is_table;
                self.c_table.d = self.buffer.get(Buffer::ADDRESS);
                self.c_entries.d = entries;
                self.c_link.d = if is_table { 0 } else { self.buffer.get(Buffer::NEXT) };
                let length = self.buffer.get(Buffer::BYTES);
                let odd_table = is_table & ((length.bits(3, 0) != 0) | (length.bits(31, 13) != 0));
                if self.buffer.get(Buffer::BAD) | odd_table {
                    self.st.d = St::BREAK;
                } else if is_table {
                    self.st.d = St::WALK;
                } else {
                    self.sum.d = sum;
                    self.enough.d = enough;
                    self.st.d = St::ADD;
                }
            }
            // The next descriptor of a chain.
            St::WALK => {
                if self.walked {
                    self.a_address.d = self.w_address;
                    self.a_bytes.d = self.w_bytes;
                    self.open.d = self.w_more;
                    self.c_link.d = self.w_next;
                    self.sum.d = sum;
                    self.enough.d = enough;
                    self.st.d = if self.w_bad { sized(St::BREAK, 4) } else { St::ADD };
                }
            }
            St::ADD => {
                self.picks.we = 1;
                self.p.d = self.p.q + 1;
                self.b.d = 0;
                self.chain.d = 0;
                self.done_chains.d = 0;
                self.told.d = 0;
                self.rest.d = self.total.q;
                self.place.d = if self.hash.q { sized(12, 15) } else { 4 };
                if self.enough.q {
                    self.st.d = St::BUFFER;
                } else if self.p.q.trunc(PICKS).all() & self.open.q {
                    // A chain of more descriptors than we walk would never be used.
                    self.st.d = St::BREAK;
                } else if self.p.q.trunc(PICKS).all()
                    | ((!self.open.q) & (!self.mergeable.q))
                    | ((!self.open.q) & self.n.q.bit(DEPTH))
                {
                    // It does not fit: what was looked at stays.
                    self.n.d = 0;
                    self.st.d = St::OVER;
                } else {
                    self.st.d = if self.open.q { sized(St::WALK, 4) } else { St::GRAB };
                }
            }
            St::BUFFER => {
                let bytes = pick.get(Pick::BYTES);
                self.address.d = pick.get(Pick::ADDRESS);
                self.written.d = 0;
                self.left.d = if bytes < self.rest.q.zext(32) { bytes.trunc(14) } else { self.rest.q };
                self.st.d = St::CUT;
            }
            // A packet.
            St::CUT => {
                self.packet.d = cut;
                self.dws.d = spans(lead, cut.zext(13));
                self.shift.d = from.trunc(4);
                self.at.d = from.bits(14, 4);
                self.st.d = St::PLACE;
            }
            St::PLACE => {
                self.at.d = self.at.q + 1;
                self.st.d = St::LOAD;
            }
            St::LOAD => {
                self.current.d = word;
                self.st.d = St::HEADER;
            }
            St::HEADER => {
                if self.tx.ready {
                    self.killed.d = self.tx.killed;
                    self.st.d = St::DATA;
                }
            }
            St::DATA => {
                if self.tx.ready {
                    self.current.d = word;
                    ask_row = self.at.q + 1;
                    self.at.d = self.at.q + 1;
                    self.dws.d = self.dws.q - 4;
                    if last_beat {
                        self.address.d = self.address.q + self.packet.q.zext(64);
                        self.written.d = self.written.q + self.packet.q.zext(14);
                        self.left.d = self.left.q - self.packet.q.zext(14);
                        self.rest.d = self.rest.q - self.packet.q.zext(14);
                        self.place.d = self.place.q + self.packet.q.zext(15);
                        self.st.d = if self.killed.q | self.tx.killed {
                            sized(St::BREAK, 4)
                        } else if self.left.q == self.packet.q.zext(14) {
                            St::NEXT
                        } else {
                            St::CUT
                        };
                    }
                }
            }
            St::NEXT => {
                self.chain.d = self.chain.q + self.written.q;
                self.b.d = self.b.q + 1;
                if pick.get(Pick::LAST) {
                    self.chain.d = 0;
                    self.chains.we = 1;
                    self.done_chains.d = self.done_chains.q + 1;
                }
                self.st.d = if last_pick { sized(St::USED, 4) } else { St::BUFFER };
            }
            // All that a frame took is told at once: no driver sees a part of it.
            St::USED => {
                if self.used.ready {
                    self.begins.valid = 1;
                    self.told.d = self.told.q + 1;
                    if last_told {
                        self.st.d = St::OVER;
                    }
                }
            }
            St::BREAK => {
                if self.broken.ready {
                    self.n.d = 0;
                    self.st.d = St::OVER;
                }
            }
            St::OVER => {
                let gone = (f.get(Frame::BYTES) + 15).bits(13, 4);
                self.take = self.n.q != 0;
                self.ends.valid = f.get(Frame::COUNTED);
                self.done.d = self.done.q + gone.zext(ROWS + 1);
                // Half of them are gone: more are fetched meanwhile.
                if self.few & (self.n.q != 0) & !self.kicks.q {
                    self.looks = 1;
                    self.kicks.d = 1;
                    self.kick_slot.d = slot;
                }
                self.st.d = St::IDLE;
            }
            _ => self.st.d = St::IDLE,
        }
        let behind = ask_row - header_rows.zext(11);
        self.was_header.d = if ask_row < header_rows.zext(11) { header_rows - ask_row.trunc(2) } else { 0 };
        self.rows.raddr = self.done.q.trunc(ROWS) + behind.trunc(ROWS);
        self.busy = (self.st.q != St::IDLE) | self.frames.out_valid | self.input.valid | self.kicks.q;
    }
}
