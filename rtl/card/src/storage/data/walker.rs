//! Turns PRPs into what the data's movers want to know (NVMe 4.3): segments of host memory within one page each for writes; for
//! reads the places of the command's pieces, 4 KiB of its data each, which lie in one page or in two.
//!
//! A command's PRP list is read as a whole and checked before anything of the command happens, so that a bad entry in the
//! middle is an error and not half a transfer. 128 KiB need 32 entries at most; a list may end at its page and go on
//! where its last entry says.

use azote_hdl::prelude::*;
use azote_regs::nvme::{limits, status};

use crate::dma::ReadOut;
use crate::storage::terms::LISTS;
use crate::storage::words::Place;

/// Row of the control buffer where the list lies, and its first DW.
pub const LIST_ROW: u64 = 16;
const LIST_DW: u64 = LIST_ROW * 4;
/// Entries of the longest list.
const ENTRIES: u64 = limits::MAX_TRANSFER / limits::PAGE_SIZE;

struct St;
impl St {
    const IDLE: u64 = 0;
    const LOOK: u64 = 1;
    const READ: u64 = 2;
    const WAIT: u64 = 3;
    const CHAIN_ROW: u64 = 4;
    const CHAIN: u64 = 5;
    const CHECK_ROW: u64 = 6;
    const CHECK: u64 = 7;
    const ANSWER: u64 = 8;
    const FIRST: u64 = 9;
    const ROW: u64 = 10;
    const EMIT: u64 = 11;
    const SECOND: u64 = 12;
    const PAGE: u64 = 13;
    const PIECE: u64 = 14;
}

#[derive(LogicBlock, Default)]
pub struct Walker {
    pub clock: Clk,
    pub reset: Rst,
    /// A command: held until `checked`.
    pub start: I<1>,
    pub owner: I<8>,
    pub prp1: I<64>,
    pub prp2: I<64>,
    /// 1 to 32768.
    pub dws: I<16>,
    /// One clock: the PRPs were looked at; `fault` is the status, 0 if they are good.
    pub checked: O<1>,
    pub fault: O<11>,
    /// One clock: go through them (only after a good answer, with the same inputs held until `finished`), into
    /// pieces if `cuts`.
    pub go: I<1>,
    pub cuts: I<1>,
    pub finished: O<1>,
    /// Segments.
    pub seg_valid: O<1>,
    pub seg_ready: I<1>,
    pub seg_address: O<64>,
    pub seg_dws: O<11>,
    pub seg_last: O<1>,
    /// Pieces; the first and the last of the command.
    pub piece_valid: O<1>,
    pub piece_ready: I<1>,
    pub piece: O<{ Place::WIDTH }>,
    pub piece_first: O<1>,
    pub piece_last: O<1>,
    /// Reads of host memory into the control buffer.
    pub rd: ReadOut,
    pub rd_pending: I<1>,
    pub rd_failed: I<1>,
    pub rd_forget: O<1>,
    /// The control buffer.
    pub row: O<5>,
    pub row_data: I<128>,
    st: Reg<4>,
    need: Reg<6>,
    have: Reg<6>,
    from: Reg<64>,
    part: Reg<6>,
    chain: Reg<1>,
    bad: Reg<11>,
    index: Reg<6>,
    left: Reg<16>,
    /// The page in which the piece in hand begins.
    page: Reg<52>,
}

#[kernel]
impl Logic for Walker {
    fn update(&mut self) {
        let offset = self.prp1.bits(11, 2);
        let room = sized(1024, 11) - offset.zext(11);
        let first = if self.dws <= room.zext(16) { self.dws.trunc(11) } else { room };
        let rest = self.dws - first.zext(16);
        let pages = (rest + 1023).bits(15, 10);
        let single = rest == 0;
        let pair = pages == 1;

        // The entry in hand: two a row.
        let wide = self.row_data;
        let entry = if self.index.q.bit(0) { wide.bits(127, 64) } else { wide.bits(63, 0) };
        let slot_row = konst(LIST_ROW) + self.index.q.bits(5, 1);
        self.row = slot_row;

        // Entries up to the end of the list's page.
        let to_end = sized(512, 10) - self.from.q.bits(11, 3).zext(10);
        let wanted = self.need.q - self.have.q;
        let fits = wanted.zext(10) <= to_end;
        let part = if fits { wanted } else { to_end.trunc(6) };

        self.checked = 0;
        self.fault = self.bad.q;
        self.finished = 0;
        self.seg_valid = 0;
        self.seg_address = self.prp1;
        self.seg_dws = first;
        self.seg_last = 0;
        self.rd.valid = 0;
        self.rd.owner = self.owner;
        self.rd.client = konst(LISTS);
        self.rd.address = cat(self.from.q.bits(63, 3), sized(0, 3));
        self.rd.bytes = cat(self.part.q, sized(0, 3)).zext(13);
        self.rd.dest = konst(LIST_DW) + cat(self.have.q, sized(0, 1)).zext(13);
        self.rd_forget = 0;
        let whole = self.left.q > 1024;
        let next_page = if pair { self.prp2.bits(63, 12) } else { entry.bits(63, 12) };
        let cut = if whole { sized(1024, 11) } else { self.left.q.trunc(11) };
        self.piece_valid = self.st.q == St::PIECE;
        self.piece = Place { page: self.page.q, next: next_page, dw: offset, dws: cut };
        self.piece_first = self.index.q == 0;
        self.piece_last = !whole;
        let chunk = if self.left.q > 1024 { sized(1024, 11) } else { self.left.q.trunc(11) };

        match self.st.q {
            St::IDLE => {
                self.bad.d = 0;
                if self.start {
                    self.st.d = St::LOOK;
                }
            }
            St::LOOK => {
                self.need.d = pages;
                self.have.d = 0;
                self.index.d = 0;
                self.from.d = self.prp2;
                self.st.d = St::ANSWER;
                if self.prp1.bits(1, 0) != 0 {
                    self.bad.d = status::PRP_OFFSET;
                } else if !single {
                    if pair {
                        if self.prp2.bits(11, 0) != 0 {
                            self.bad.d = status::PRP_OFFSET;
                        }
                    } else if self.prp2.bits(2, 0) != 0 {
                        self.bad.d = status::PRP_OFFSET;
                    } else {
                        self.st.d = St::READ;
                    }
                }
            }
            St::READ => {
                self.part.d = part;
                self.chain.d = !fits;
                self.rd_forget = 1;
                self.st.d = St::WAIT;
            }
            St::WAIT => {
                // Ask once, then wait until all of it has come; `index` counts nothing here and says "asked".
                self.rd.valid = !self.index.q.bit(5);
                if self.rd.ready {
                    self.index.d = 32;
                } else if self.index.q.bit(5) & !self.rd_pending {
                    self.index.d = 0;
                    self.have.d = self.have.q + self.part.q;
                    if self.rd_failed {
                        self.bad.d = status::DATA_TRANSFER;
                        self.st.d = St::ANSWER;
                    } else if self.chain.q {
                        self.index.d = self.have.q + self.part.q - 1;
                        self.st.d = St::CHAIN_ROW;
                    } else {
                        self.st.d = St::CHECK_ROW;
                    }
                }
            }
            St::CHAIN_ROW => self.st.d = St::CHAIN,
            St::CHAIN => {
                // The last entry of the page points to the next page of the list, and its place is taken by the first there.
                self.from.d = entry;
                self.have.d = self.have.q - 1;
                self.index.d = 0;
                self.st.d = St::READ;
                if entry.bits(11, 0) != 0 {
                    self.bad.d = status::PRP_OFFSET;
                    self.st.d = St::ANSWER;
                }
            }
            St::CHECK_ROW => self.st.d = St::CHECK,
            St::CHECK => {
                self.index.d = self.index.q + 1;
                self.st.d = St::CHECK_ROW;
                if entry.bits(11, 0) != 0 {
                    self.bad.d = status::PRP_OFFSET;
                    self.st.d = St::ANSWER;
                } else if self.index.q + 1 == self.need.q {
                    self.st.d = St::ANSWER;
                }
            }
            St::ANSWER => {
                self.checked = 1;
                self.index.d = 0;
                self.st.d = St::IDLE;
            }
            St::FIRST => {
                self.seg_valid = 1;
                self.seg_last = single;
                self.left.d = rest;
                self.index.d = 0;
                if self.seg_ready {
                    if single {
                        self.finished = 1;
                        self.st.d = St::IDLE;
                    } else {
                        self.st.d = if pair { St::SECOND } else { St::ROW };
                    }
                }
            }
            St::SECOND => {
                self.seg_valid = 1;
                self.seg_address = self.prp2;
                self.seg_dws = chunk;
                self.seg_last = 1;
                if self.seg_ready {
                    self.finished = 1;
                    self.st.d = St::IDLE;
                }
            }
            St::ROW => self.st.d = St::EMIT,
            St::EMIT => {
                let last = self.left.q <= 1024;
                self.seg_valid = 1;
                self.seg_address = entry;
                self.seg_dws = chunk;
                self.seg_last = last;
                if self.seg_ready {
                    self.left.d = self.left.q - chunk.zext(16);
                    self.index.d = self.index.q + 1;
                    self.st.d = St::ROW;
                    if last {
                        self.finished = 1;
                        self.st.d = St::IDLE;
                    }
                }
            }
            // An entry is on its way from the control buffer.
            St::PAGE => self.st.d = St::PIECE,
            St::PIECE => {
                if self.piece_ready {
                    self.page.d = next_page;
                    self.left.d = self.left.q - 1024;
                    self.index.d = self.index.q + 1;
                    self.st.d = St::PAGE;
                    if !whole {
                        self.index.d = 0;
                        self.finished = 1;
                        self.st.d = St::IDLE;
                    }
                }
            }
            _ => self.st.d = St::IDLE,
        }
        if (self.st.q == St::IDLE) & self.go {
            self.page.d = self.prp1.bits(63, 12);
            self.left.d = self.dws;
            // With one page or two there is no entry to wait for.
            self.st.d = if !self.cuts {
                sized(St::FIRST, 4)
            } else if single | pair {
                St::PIECE
            } else {
                St::PAGE
            };
        }
    }
}

const _: () = assert!(ENTRIES == 32);
