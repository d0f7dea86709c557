//! An engine that copies host memory to host memory, from any byte to any byte: small enough to read in a sitting, and it has
//! what every engine has. Its functions have four registers each and a doorbell, those of [`azote_sim::soft`]'s copying engine.
//!
//! One machine serves all functions: their registers are rows of one RAM, and who rang is a mark. After [`TURN`] pieces the next that
//! rang has the turn, and the rest of a copy waits as its registers, which count on. What is to be forgotten is, between two pieces.

use azote_hdl::prelude::*;
use azote_regs::{bar, function};
use azote_rtl::dma::Lanes;
use azote_rtl::engine::Engine;
use azote_rtl::parts::{Forget, Marks, byte_mask};
use azote_rtl::transaction::header::{byte_request, spans};
use azote_sim::soft::RESULT;

/// Bytes of a piece. With an offset in its first DW it is still a packet of the smallest Max_Payload_Size.
const PIECE: u64 = 64;
/// Pieces of a turn.
const TURN: u64 = 16;
/// Words of a function's registers: source, destination, length, result, 64 bits each.
const WORDS: usize = 8;
const RESULT_WORD: u64 = RESULT / 4;
/// A register that takes very long to read: it is there to be waited for, and reads as [`SLOW_VALUE`].
pub const SLOW: u64 = 0x100;
pub const SLOW_CLOCKS: u64 = 10_000;
pub const SLOW_VALUE: u64 = 0x510_510;
/// How a copy ended.
const DONE: u64 = 1;
const FAILED: u64 = 2;
/// The DW of the landing memory where a piece goes: one is left in front, for data that moves up.
const LAND: u64 = 1;

struct St;
impl St {
    const IDLE: u64 = 0;
    const LOAD: u64 = 1;
    const PIECE: u64 = 2;
    const READ: u64 = 3;
    const LANDS: u64 = 4;
    const FIRST: u64 = 5;
    const HEADER: u64 = 6;
    const DATA: u64 = 7;
    const TELL: u64 = 8;
    const INTERRUPT: u64 = 9;
    const WIPE: u64 = 10;
    const STORE: u64 = 11;
}

#[derive(LogicBlock, Default)]
pub struct Copier {
    pub clock: Clk,
    pub reset: Rst,
    pub socket: Engine,
    st: Reg<4>,
    step: Reg<3>,
    slot: Reg<6>,
    source: Reg<64>,
    destination: Reg<64>,
    left: Reg<64>,
    /// Bytes of the piece in hand, and DWs of its packet that are to be sent.
    piece: Reg<13>,
    dws: Reg<11>,
    failed: Reg<1>,
    turn: Reg<4>,
    /// Whose registers are wiped, and whether a copy goes on after it.
    wiped: Reg<6>,
    back: Reg<1>,
    /// The function was forgotten: the rest of its copy is nobody's.
    gone: Reg<1>,
    row: Reg<4>,
    current: Reg<128>,
    acks: Reg<1>,
    slowly: Reg<14>,
    rdata: Reg<32>,
    words: LutRam<9, 32>,
    landed: Lanes<4>,
    rings: Marks,
    forget: Forget,
}

impl Copier {
    pub fn new() -> Self {
        Copier { words: LutRam::new(64 * WORDS), rings: Marks::new(64), ..Self::default() }
    }
}

/// The least of three lengths of one width.
#[pure]
fn least(a: V, b: V, c: V) -> V {
    let ab = if a < b { a } else { b };
    if ab < c { ab } else { c }
}

#[kernel]
impl Logic for Copier {
    fn update(&mut self) {
        clocked!(self.rings, self.forget);
        memories!(self.words, self.landed);

        // --- registers: answered in the clock after
        let offset = self.socket.bus.offset;
        let is_slow = (offset == konst(SLOW)) & !self.socket.bus.write;
        let begins = self.socket.bus.valid & !self.acks.q;
        let asks = begins & !is_slow;
        let slow_done = begins & is_slow & (self.slowly.q == konst(SLOW_CLOCKS));
        self.slowly.d = if begins & is_slow & !slow_done { self.slowly.q + 1 } else { 0 };
        let is_word = offset.bits(15, 5) == 0;
        let writes = asks & self.socket.bus.write;
        let rung = writes & (offset == konst(bar::DOORBELLS));
        self.acks.d = asks | slow_done;
        if asks | slow_done {
            self.rdata.d = if slow_done { sized(SLOW_VALUE, 32) } else { if is_word { self.words.rdata } else { 0 } };
        }
        self.socket.bus.ack = self.acks.q;
        self.socket.bus.rdata = self.rdata.q;
        let mine = cat(self.slot.q, self.step.q);
        self.words.raddr = if asks { cat(self.socket.bus.owner.bits(7, 2), offset.bits(4, 2)) } else { mine };
        let mask = byte_mask(self.socket.bus.be);
        let mut we = writes & is_word;
        let mut at = cat(self.socket.bus.owner.bits(7, 2), offset.bits(4, 2));
        let mut word = (self.words.rdata & !mask) | (self.socket.bus.wdata & mask);

        // --- who rang, and who is to be forgotten
        let mut again = sized(0, 1);
        self.rings.take = 0;
        let forgotten = sized(1, 64) << self.socket.reset.slot;
        self.rings.drop = if self.socket.reset.valid { forgotten } else { 0 };
        self.forget.ask = self.socket.reset.valid;
        self.socket.reset.done = self.forget.done;
        self.forget.over = 0;
        if self.socket.reset.valid & (self.socket.reset.slot == self.slot.q) {
            self.gone.d = 1;
        }

        // --- host memory
        let owner = cat(self.slot.q, sized(function::NET, 2));
        self.socket.rd.valid = self.st.q == St::READ;
        self.socket.rd.owner = owner;
        self.socket.rd.address = self.source.q;
        self.socket.rd.bytes = self.piece.q;
        self.socket.rd.client = 0;
        self.socket.rd.dest = konst(LAND);
        self.socket.land.forget = (self.st.q == St::PIECE).zext(16);
        self.landed.we = self.socket.land.lanes;
        self.landed.row = self.socket.land.row.trunc(4);
        self.landed.next = self.socket.land.next.trunc(4);
        self.landed.off = self.socket.land.off;
        self.landed.data = self.socket.land.data;

        // The payload's first byte is byte 0 of the DW that holds the destination: it stands `shift` bytes into the memory.
        let from = self.source.q.bits(1, 0);
        let to = self.destination.q.bits(1, 0);
        let shift = sized(4 * LAND, 4) + from.zext(4) - to.zext(4);
        let window = cat(self.landed.rdata, self.current.q);
        let last = self.dws.q <= 4;
        let keep = match self.dws.q.trunc(2) {
            1 => sized(1, 4),
            2 => 3,
            3 => 7,
            _ => 15,
        };
        let header = self.st.q == St::HEADER;
        self.socket.data.valid = header | (self.st.q == St::DATA);
        self.socket.data.sop = header;
        self.socket.data.eop = (!header) & last;
        self.socket.data.keep = if header | !last { 15 } else { keep };
        self.socket.data.owner = owner;
        self.socket.data.data = if header {
            byte_request(self.destination.q, self.piece.q, sized(0, 8))
        } else {
            window.slice_at(cat(sized(0, 1), shift, sized(0, 3)), 128)
        };
        self.socket.entry.valid = 0;
        self.socket.entry.sop = 0;
        self.socket.entry.eop = 0;
        self.socket.entry.keep = 0;
        self.socket.entry.data = 0;
        self.socket.entry.owner = 0;
        self.socket.irq.valid = self.st.q == St::INTERRUPT;
        self.socket.irq.owner = owner;
        self.socket.irq.vector = 0;
        let mut row = self.row.q;

        match self.st.q {
            St::IDLE => {
                self.step.d = 0;
                self.failed.d = 0;
                row = sized(0, 4);
                self.turn.d = 0;
                if self.forget.wanted {
                    self.wiped.d = self.socket.reset.slot;
                    self.back.d = 0;
                    self.st.d = St::WIPE;
                } else if self.rings.valid {
                    self.rings.take = 1;
                    self.slot.d = self.rings.first;
                    self.gone.d = 0;
                    self.st.d = St::LOAD;
                }
            }
            St::LOAD => {
                if !asks {
                    let word = self.words.rdata;
                    match self.step.q {
                        0 => self.source.d = cat(self.source.q.bits(63, 32), word),
                        1 => self.source.d = cat(word, self.source.q.bits(31, 0)),
                        2 => self.destination.d = cat(self.destination.q.bits(63, 32), word),
                        3 => self.destination.d = cat(word, self.destination.q.bits(31, 0)),
                        4 => self.left.d = cat(self.left.q.bits(63, 32), word),
                        _ => self.left.d = cat(word, self.left.q.bits(31, 0)),
                    }
                    self.step.d = self.step.q + 1;
                    if self.step.q == 5 {
                        self.st.d = St::PIECE;
                    }
                }
            }
            St::PIECE => {
                let source_page = sized(4096, 13) - self.source.q.bits(11, 0).zext(13);
                let destination_page = sized(4096, 13) - self.destination.q.bits(11, 0).zext(13);
                let most = least(sized(PIECE, 13), source_page, destination_page);
                let whole = self.left.q < most.zext(64);
                self.piece.d = if whole { self.left.q.trunc(13) } else { most };
                let over = (self.left.q == 0) | self.failed.q | self.gone.q;
                self.step.d = 0;
                if self.forget.wanted {
                    self.wiped.d = self.socket.reset.slot;
                    self.back.d = 1;
                    self.st.d = St::WIPE;
                } else {
                    self.st.d = if over {
                        sized(St::TELL, 4)
                    } else if self.turn.q == konst(TURN - 1) {
                        St::STORE
                    } else {
                        St::READ
                    };
                }
            }
            St::READ => {
                row = sized(0, 4);
                self.dws.d = spans(to, self.piece.q);
                if self.socket.rd.ready {
                    self.st.d = St::LANDS;
                }
            }
            St::LANDS => {
                if !self.socket.land.pending.bit(0) {
                    self.failed.d = self.socket.land.failed.bit(0);
                    self.st.d = if self.socket.land.failed.bit(0) { sized(St::PIECE, 4) } else { St::FIRST };
                }
            }
            St::FIRST => {
                self.current.d = self.landed.rdata;
                row = sized(1, 4);
                self.st.d = St::HEADER;
            }
            St::HEADER => {
                if self.socket.data.ready {
                    self.failed.d = self.failed.q | self.socket.data.killed;
                    self.st.d = St::DATA;
                }
            }
            St::DATA => {
                if self.socket.data.ready {
                    self.current.d = self.landed.rdata;
                    row = self.row.q + 1;
                    self.dws.d = self.dws.q - 4;
                    if last {
                        self.turn.d = self.turn.q + 1;
                        self.source.d = self.source.q + self.piece.q.zext(64);
                        self.destination.d = self.destination.q + self.piece.q.zext(64);
                        self.left.d = self.left.q - self.piece.q.zext(64);
                        self.st.d = St::PIECE;
                    }
                }
            }
            St::TELL => {
                if self.gone.q {
                    self.st.d = St::IDLE;
                } else if !asks {
                    we = sized(1, 1);
                    at = cat(self.slot.q, sized(RESULT_WORD, 3));
                    word = if self.failed.q { sized(FAILED, 32) } else { DONE };
                    self.st.d = St::INTERRUPT;
                }
            }
            St::INTERRUPT => {
                if self.socket.irq.ready {
                    self.st.d = St::IDLE;
                }
            }
            St::WIPE => {
                if !asks {
                    we = sized(1, 1);
                    at = cat(self.wiped.q, self.step.q);
                    word = sized(0, 32);
                    self.step.d = self.step.q + 1;
                    if self.step.q.all() {
                        self.forget.over = 1;
                        self.st.d = if self.back.q { sized(St::PIECE, 4) } else { St::IDLE };
                    }
                }
            }
            St::STORE => {
                if !asks {
                    we = !self.gone.q;
                    at = mine;
                    word = match self.step.q {
                        0 => self.source.q.bits(31, 0),
                        1 => self.source.q.bits(63, 32),
                        2 => self.destination.q.bits(31, 0),
                        3 => self.destination.q.bits(63, 32),
                        4 => self.left.q.bits(31, 0),
                        _ => self.left.q.bits(63, 32),
                    };
                    self.step.d = self.step.q + 1;
                    if self.step.q == 5 {
                        again = !self.gone.q;
                        self.st.d = St::IDLE;
                    }
                }
            }
            _ => self.st.d = St::IDLE,
        }
        // Nobody rings in the clock in which a copy is put back.
        self.rings.mark = rung | again;
        self.rings.slot = if again { self.slot.q } else { self.socket.bus.owner.bits(7, 2) };
        self.row.d = row;
        self.landed.raddr = row;
        self.words.we = we;
        self.words.waddr = at;
        self.words.wdata = word;
        self.socket.counts = 0;
        self.socket.busy =
            (self.st.q != St::IDLE) | self.rings.valid | self.forget.wanted | self.socket.bus.valid | rung;
    }
}
