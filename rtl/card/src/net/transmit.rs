//! What functions send: reads their buffers, and makes frames of them.
//!
//! A chain begins with a header (virtio §5.1.6); where it ends and the frame begins, in which descriptor and at which byte, is the
//! driver's business. Buffers are read piece by piece into a ring of rows, many at a time; a few pieces share a client of reads, so that
//! small frames need not wait for one another. Behind the ring the pieces are put together to beats.
//!
//! A chain waits until all of its descriptors are here: then it is known how long it is, which those who cut it into segments must be told
//! before.
//!
//! Promises: frames leave in the order in which their chains came; a chain is told to the driver when all of it was read; one that is
//! malformed or too long does not leave, and one that could not be read leaves with `error`.

use azote_hdl::prelude::*;
use azote_regs::virtio::net;

use super::stream::{FrameOut, TransmitOut};
use crate::dma::{Lanes, ReadOut};
use crate::parts::{BlockFifo, Fifo};
use crate::virtio::bundles::{BrokenOut, BufferIn, Terms, UsedOut};

/// Groups of pieces, each with a client of reads, and pieces of a group.
pub const GROUPS: usize = 7;
const PIECES: u64 = 4;
/// Rows of the ring, log2, and bytes of a piece at most.
const ROWS: usize = 9;
const PIECE: u64 = 2048;
/// Bytes of a chain at most.
const LONGEST: u64 = net::header::SIZE_HASH + net::MAX_GSO;
/// Descriptors of a chain at most, and of all chains that wait, log2.
const MOST: u64 = 96;
const WAITING: usize = 7;

packed! {
    /// A chain that waits.
    Chain {
        slot: 6,
        pair: 3,
        head: 16,
        bytes: 17,
        many: WAITING,
        bad: 1,
        none: 1,
        hash: 1,
    }
}

packed! {
    /// A descriptor of one.
    Desc {
        bytes: 17,
        address: 64,
    }
}

packed! {
    /// A piece of a chain.
    Piece {
        slot: 6,
        pair: 3,
        head: 16,
        group: 3,
        row: ROWS,
        /// Its first byte in the row.
        start: 2,
        bytes: 12,
        first: 1,
        last: 1,
        bad: 1,
        /// The driver is not told of it.
        none: 1,
        hash: 1,
        /// Of the frame.
        length: 17,
    }
}

packed! {
    /// A chain that has ended.
    Ended {
        none: 1,
        slot: 6,
        pair: 3,
        head: 16,
    }
}

struct Rd;
impl Rd {
    const IDLE: u64 = 0;
    const PIECE: u64 = 1;
    const ROOM: u64 = 2;
    const READ: u64 = 3;
    const END: u64 = 4;
    const DESC: u64 = 5;
}

struct St;
impl St {
    const IDLE: u64 = 0;
    const FIRST: u64 = 1;
    const RUN: u64 = 2;
    const FLUSH: u64 = 3;
}

#[derive(LogicBlock, Default)]
pub struct Transmit {
    pub clock: Clk,
    pub reset: Rst,
    pub buffers: BufferIn,
    /// What the function of a chain agreed to, in the same clock.
    pub ask: O<6>,
    pub terms: I<{ Terms::WIDTH }>,
    pub rd: ReadOut,
    pub pending: I<GROUPS>,
    pub failed: I<GROUPS>,
    pub forget: O<GROUPS>,
    pub lanes: I<4>,
    pub row: I<11>,
    pub next: I<11>,
    pub off: I<2>,
    pub data: I<128>,
    pub out: FrameOut,
    pub wants: TransmitOut,
    pub used: UsedOut,
    pub broken: BrokenOut,
    pub busy: O<1>,
    kind: Param,
    // Waiting.
    sum: Reg<17>,
    count: Reg<WAITING>,
    spoils: Reg<1>,
    f_slot: Reg<6>,
    // Reading.
    rs: Reg<3>,
    chain: Reg<{ Chain::WIDTH }>,
    descs_left: Reg<WAITING>,
    first: Reg<1>,
    address: Reg<64>,
    left: Reg<17>,
    piece: Reg<12>,
    tail: Reg<{ ROWS + 1 }>,
    group: Reg<3>,
    in_group: Reg<3>,
    group_slot: Reg<6>,
    counts: [Reg<3>; GROUPS],
    // Putting together.
    st: Reg<2>,
    done: Reg<{ ROWS + 1 }>,
    at: Reg<ROWS>,
    rest: Reg<12>,
    current: Reg<128>,
    kept: Reg<128>,
    many: Reg<4>,
    skip: Reg<2>,
    started: Reg<1>,
    /// Whose memory could not be read.
    hurt: Reg<1>,
    hurt_slot: Reg<6>,
    spoilt: Reg<1>,
    early: Reg<32>,
    o_valid: Reg<1>,
    o_sop: Reg<1>,
    o_eop: Reg<1>,
    o_bytes: Reg<5>,
    o_error: Reg<1>,
    o_data: Reg<128>,
    o_slot: Reg<6>,
    o_header: Reg<96>,
    o_length: Reg<17>,
    landed: Lanes<ROWS>,
    chains: Fifo<{ Chain::WIDTH }>,
    descs: BlockFifo<WAITING, { Desc::WIDTH }>,
    pieces: Fifo<{ Piece::WIDTH }>,
    ended: Fifo<{ Ended::WIDTH }>,
}

impl Transmit {
    pub fn new(kind: u64) -> Self {
        Transmit {
            kind: Param::new(kind as usize),
            chains: Fifo::new(32),
            pieces: Fifo::new(32),
            ended: Fifo::new(4),
            ..Self::default()
        }
    }
}

/// The first `many` bytes of a beat, of which there are 1 to 16; zeroes behind.
#[pure]
fn first_bytes(beat: V, many: V) -> V {
    let ones = sized(1, 1).rep(128);
    let gone = sized(16, 5) - many;
    let mask = ones >> cat(gone, sized(0, 3));
    beat & mask
}

#[kernel]
impl Logic for Transmit {
    fn update(&mut self) {
        clocked!(self.chains, self.descs, self.pieces, self.ended);
        memories!(self.landed);
        self.landed.we = self.lanes;
        self.landed.row = self.row.trunc(ROWS);
        self.landed.next = self.next.trunc(ROWS);
        self.landed.off = self.off;
        self.landed.data = self.data;

        // --- waiting
        let sum = if self.buffers.first { sized(0, 33) } else { self.sum.q.zext(33) };
        let count = if self.buffers.first { sized(0, WAITING) } else { self.count.q };
        let total = sum + self.buffers.bytes.zext(33);
        let long = (total > LONGEST) | (count == MOST);
        let spoilt = ((!self.buffers.first) & self.spoils.q) | self.buffers.bad | long;
        self.buffers.ready = self.descs.in_ready & self.chains.in_ready;
        let comes = self.buffers.valid & self.buffers.ready;
        self.ask = self.buffers.slot;
        self.descs.in_valid = comes & !spoilt;
        self.descs.in_data = Desc { bytes: self.buffers.bytes.trunc(17), address: self.buffers.address };
        let many = if spoilt { count } else { count + 1 };
        self.chains.in_valid = comes & self.buffers.last;
        self.f_slot.d = if comes & self.buffers.first { self.buffers.slot } else { self.f_slot.q };
        let whole_chain = self.buffers.first | (self.f_slot.q == self.buffers.slot);
        check!((!comes) | whole_chain, "chains of two functions are mixed");
        self.chains.in_data = Chain {
            slot: self.buffers.slot,
            pair: self.buffers.pair,
            head: self.buffers.head,
            bytes: total.trunc(17),
            many: many,
            bad: spoilt,
            none: self.buffers.bad,
            hash: self.terms.get(Terms::HASH),
        };
        if comes {
            self.sum.d = if spoilt { sum.trunc(17) } else { total.trunc(17) };
            self.count.d = many;
            self.spoils.d = spoilt;
        }

        // --- reading
        let c = self.chain.q;
        let header_size = if c.get(Chain::HASH) { sized(net::header::SIZE_HASH, 17) } else { net::header::SIZE };
        let last_desc = self.descs_left.q == 0;
        let start = self.address.q.bits(1, 0);
        let to_page = sized(4096, 13) - self.address.q.bits(11, 0).zext(13);
        let short = if to_page < PIECE { to_page } else { konst(PIECE) };
        let whole = self.left.q <= short.zext(17);
        let spread = self.piece.q.zext(13) + start.zext(13) + 15;
        let rows = spread.bits(12, 4);
        let used = self.tail.q - self.done.q;
        let room = sized(1 << ROWS, ROWS + 1) - used;
        let fits = room >= rows.zext(ROWS + 1);
        self.rd.valid = self.rs.q == Rd::READ;
        self.rd.owner = cat(c.get(Chain::SLOT), sized({ self.kind.get() }, 2));
        self.rd.address = self.address.q;
        self.rd.bytes = self.piece.q.zext(13);
        self.rd.client = cat(sized(1, 1), self.group.q);
        self.rd.dest = cat(sized(0, 2), self.tail.q.trunc(ROWS), sized(0, 2));
        self.forget = 0;
        let mut pushes = sized(0, 1);
        let after = if self.group.q == konst(GROUPS - 1) { 0 } else { self.group.q + 1 };
        let mut next_free = sized(0, 1);
        for g in 0..GROUPS {
            let behind: usize = (g + 1) % GROUPS;
            if (self.group.q == g) & (self.counts[behind].q == 0) & !self.pending.bit(behind) {
                next_free = 1;
            }
        }
        let ends_here = self.rs.q == Rd::END;
        self.pieces.in_data = Piece {
            slot: c.get(Chain::SLOT),
            pair: c.get(Chain::PAIR),
            head: c.get(Chain::HEAD),
            group: self.group.q,
            row: self.tail.q.trunc(ROWS),
            start: start,
            bytes: if ends_here { sized(0, 12) } else { self.piece.q },
            first: self.first.q,
            last: (last_desc & whole) | ends_here,
            bad: ends_here,
            none: c.get(Chain::NONE),
            hash: c.get(Chain::HASH),
            length: c.get(Chain::BYTES) - header_size,
        };
        self.chains.out_ready = self.rs.q == Rd::IDLE;
        self.descs.out_ready = (self.rs.q == Rd::DESC) & !last_desc;
        match self.rs.q {
            Rd::IDLE => {
                self.chain.d = self.chains.out_data;
                self.descs_left.d = self.chains.out_data.get(Chain::MANY);
                self.first.d = 1;
                if self.chains.out_valid {
                    self.rs.d = Rd::DESC;
                }
            }
            // The next descriptor: of a chain that is not read they are taken, and that is all.
            Rd::DESC => {
                self.address.d = self.descs.out_data.get(Desc::ADDRESS);
                self.left.d = self.descs.out_data.get(Desc::BYTES);
                if last_desc {
                    self.rs.d = if c.get(Chain::BAD) { sized(Rd::END, 3) } else { Rd::IDLE };
                } else if self.descs.out_valid {
                    self.descs_left.d = self.descs_left.q - 1;
                    if !c.get(Chain::BAD) {
                        self.rs.d = Rd::PIECE;
                    }
                }
            }
            Rd::PIECE => {
                self.piece.d = if whole { self.left.q.trunc(12) } else { short.trunc(12) };
                // A group that has its share gives way to the next; it is one function's, so that a read that fails is nobody else's.
                let its = (self.in_group.q == 0) | (self.group_slot.q == c.get(Chain::SLOT));
                if its & (self.in_group.q < PIECES) {
                    self.group_slot.d = c.get(Chain::SLOT);
                    self.rs.d = Rd::ROOM;
                } else if next_free {
                    self.group.d = after;
                    self.in_group.d = 0;
                    self.group_slot.d = c.get(Chain::SLOT);
                    self.forget = sized(1, GROUPS) << after;
                    self.rs.d = Rd::ROOM;
                }
            }
            Rd::ROOM => {
                if fits & self.pieces.in_ready {
                    self.rs.d = Rd::READ;
                }
            }
            Rd::READ => {
                if self.rd.ready {
                    pushes = 1;
                    self.tail.d = self.tail.q + rows.zext(ROWS + 1);
                    self.in_group.d = self.in_group.q + 1;
                    self.address.d = self.address.q + self.piece.q.zext(64);
                    self.left.d = self.left.q - self.piece.q.zext(17);
                    self.first.d = 0;
                    self.rs.d = if !whole {
                        sized(Rd::PIECE, 3)
                    } else if last_desc {
                        Rd::IDLE
                    } else {
                        Rd::DESC
                    };
                }
            }
            Rd::END => {
                if self.pieces.in_ready {
                    pushes = 1;
                    self.rs.d = Rd::IDLE;
                }
            }
            _ => self.rs.d = Rd::IDLE,
        }
        self.pieces.in_valid = pushes;

        // --- putting together
        let p = self.pieces.out_data;
        let group = p.get(Piece::GROUP);
        let there = self.pieces.out_valid & !self.pending.sel(group);
        let failed = self.failed.sel(group) | p.get(Piece::BAD);
        let goes = ((!self.o_valid.q) | self.out.ready) & self.ended.in_ready;
        let empty = p.get(Piece::BYTES) == 0;
        let chunk = if self.rest.q < 16 { self.rest.q.trunc(5) } else { sized(16, 5) };
        let window = cat(self.landed.rdata.bits(23, 0), self.current.q);
        let turned = window.slice_at(cat(sized(0, 3), p.get(Piece::START), sized(0, 3)), 128);
        // What could not be read is not what another's frame left in these rows.
        let bytes = if self.spoilt.q | failed { sized(0, 128) } else { first_bytes(turned, chunk) };
        let spread_out = cat(sized(0, 128), bytes) << cat(sized(0, 1), self.many.q, sized(0, 3));
        let both = spread_out | self.kept.q.zext(256);
        let total = self.many.q.zext(6) + chunk.zext(6);
        let full = total >= 16;
        let ends_piece = self.rest.q <= 16;
        let ends_frame = ends_piece & p.get(Piece::LAST);
        let exact = total <= 16;
        let header_only = self.skip.q != 0;
        self.landed.raddr = self.at.q;
        let mut pops = sized(0, 1);
        let mut ends = sized(0, 1);
        let mut emits = sized(0, 1);
        let mut eop = sized(0, 1);
        let mut last_bytes = sized(16, 5);
        let mut beat = both.bits(127, 0);

        match self.st.q {
            St::IDLE => {
                self.at.d = p.get(Piece::ROW) + 1;
                self.landed.raddr = p.get(Piece::ROW);
                self.rest.d = p.get(Piece::BYTES);
                if there {
                    if p.get(Piece::FIRST) {
                        // The header ends where a beat does.
                        self.many.d = if p.get(Piece::HASH) { sized(12, 4) } else { 4 };
                        self.skip.d = if p.get(Piece::HASH) { sized(2, 2) } else { 1 };
                        self.kept.d = 0;
                        self.started.d = 0;
                        self.spoilt.d = 0;
                    }
                    self.st.d = if empty { sized(St::FLUSH, 2) } else { St::FIRST };
                }
            }
            St::FIRST => {
                self.current.d = self.landed.rdata;
                self.spoilt.d = self.spoilt.q | failed;
                self.at.d = self.at.q + 1;
                self.st.d = St::RUN;
            }
            St::RUN => {
                if goes {
                    self.current.d = self.landed.rdata;
                    self.at.d = self.at.q + 1;
                    self.rest.d = self.rest.q - chunk.zext(12);
                    self.many.d = total.trunc(4);
                    self.kept.d = if full { both.bits(255, 128) } else { both.bits(127, 0) };
                    if full {
                        if header_only {
                            self.skip.d = self.skip.q - 1;
                            self.early.d = both.bits(127, 96);
                            self.o_header.d = if p.get(Piece::HASH) {
                                cat(both.bits(63, 0), self.early.q)
                            } else {
                                both.bits(127, 32)
                            };
                        } else {
                            emits = 1;
                        }
                    }
                    if ends_frame {
                        if exact | !full {
                            // All of it is in this beat.
                            emits = !header_only;
                            eop = 1;
                            last_bytes = total.trunc(5);
                            ends = 1;
                            pops = 1;
                            self.st.d = St::IDLE;
                        } else {
                            self.st.d = St::FLUSH;
                        }
                    } else if ends_piece {
                        pops = 1;
                        self.st.d = St::IDLE;
                    }
                } else {
                    self.landed.raddr = self.at.q - 1;
                }
            }
            // The last bytes of a frame, or its untimely end.
            _ => {
                if goes {
                    beat = self.kept.q;
                    emits = (!header_only) & (self.started.q | (self.many.q != 0));
                    eop = 1;
                    last_bytes = if self.many.q == 0 { sized(16, 5) } else { self.many.q.zext(5) };
                    ends = 1;
                    pops = 1;
                    self.st.d = St::IDLE;
                }
            }
        }
        self.pieces.out_ready = pops;
        let rows_over = (p.get(Piece::BYTES).zext(13) + p.get(Piece::START).zext(13) + 15).bits(12, 4);
        if pops & !empty {
            self.done.d = self.done.q + rows_over.zext(ROWS + 1);
        }
        for g in 0..GROUPS {
            let up = pushes & (!ends_here) & (self.group.q == g);
            let down = pops & (!empty) & (group == g);
            if up & !down {
                self.counts[g].d = self.counts[g].q + 1;
            }
            if down & !up {
                self.counts[g].d = self.counts[g].q - 1;
            }
        }
        if goes {
            self.o_valid.d = emits;
        } else if self.out.ready {
            self.o_valid.d = 0;
        }
        if emits {
            self.o_sop.d = !self.started.q;
            self.o_eop.d = eop;
            self.o_bytes.d = last_bytes;
            self.o_error.d = eop & (self.spoilt.q | failed);
            self.o_data.d = beat;
            self.o_slot.d = p.get(Piece::SLOT);
            self.o_length.d = p.get(Piece::LENGTH);
            self.started.d = 1;
        }
        self.out.valid = self.o_valid.q;
        self.out.sop = self.o_sop.q;
        self.out.eop = self.o_eop.q;
        self.out.bytes = self.o_bytes.q;
        self.out.error = self.o_error.q;
        self.out.data = self.o_data.q;
        self.out.slot = self.o_slot.q;
        self.wants.header = self.o_header.q;
        self.wants.length = self.o_length.q;

        // --- what has ended is told
        self.ended.in_valid = ends;
        self.ended.in_data = Ended {
            none: p.get(Piece::NONE),
            slot: p.get(Piece::SLOT),
            pair: p.get(Piece::PAIR),
            head: p.get(Piece::HEAD),
        };
        let e = self.ended.out_data;
        self.used.valid = self.ended.out_valid;
        self.used.slot = e.get(Ended::SLOT);
        self.used.queue = cat(e.get(Ended::PAIR), sized(1, 1));
        self.used.head = e.get(Ended::HEAD);
        self.used.bytes = 0;
        self.used.event = 0;
        self.used.none = e.get(Ended::NONE);
        self.used.more = 0;
        self.ended.out_ready = self.used.ready;
        if self.broken.ready {
            self.hurt.d = 0;
        }
        if ends & (self.spoilt.q | failed) & !p.get(Piece::BAD) {
            self.hurt.d = 1;
            self.hurt_slot.d = p.get(Piece::SLOT);
        }
        self.broken.valid = self.hurt.q;
        self.broken.slot = self.hurt_slot.q;
        self.busy = (self.rs.q != Rd::IDLE)
            | self.buffers.valid
            | self.chains.out_valid
            | (self.descs.level != 0)
            | self.pieces.out_valid
            | (self.st.q != St::IDLE)
            | self.o_valid.q
            | self.hurt.q
            | self.ended.out_valid;
    }
}
