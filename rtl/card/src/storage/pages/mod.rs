//! Makes pages: what Identify and the logs tell.
//!
//! A page is asked for in pieces of 4 KiB. A piece is made as a whole, then it is called for as a read's data is, in its turn among
//! those of the medium; nobody waits while it is made. Where a page has ended a piece is zeroes, which the mover makes itself.
//!
//! A page is a ROM with a few places that depend on the function: its identifiers, its namespace's
//! size, its counters. The error log and the list of secondary controllers are made entry by entry, and the volume page word
//! by word from the statistics.

mod rom;

use azote_hdl::prelude::*;
use azote_regs::function;
use azote_regs::nvme::{identify as id, limits, log, virtualization as virt};

use self::rom::UUID;
use super::records::errors::Entry;
use super::terms::What;
use super::words::{Piece, Place, Row, Tag};
use crate::parts::{BlockFifo, is_marked, slots_of};

const fn beat_of(byte: u64) -> u64 {
    byte / 16
}
const CNTLID_BEAT: u64 = beat_of(id::CNTLID);
const CMIC_SHIFT: u64 = 8 * (id::CMIC % 16) + id::CMIC_VF.lo as u64;
/// The volume and the base in the UUID of the namespace: its last seven bytes.
const UUID_BEAT: u64 = beat_of(UUID + id::NID);
const UUID_NEXT: u64 = UUID_BEAT + 1;
const ATTR_BEAT: u64 = beat_of(id::NSATTR);
const OACS_BEAT: u64 = beat_of(id::OACS);
const VIRTUALIZATION_BEAT: u64 = beat_of(log::EFFECTS_ADMIN + 4 * virt::OPCODE);
const VIRTUALIZATION_MASK: u128 = 0xffff_ffff << (8 * (4 * virt::OPCODE % 16));
const FLBAS_SHIFT: u64 = 8 * (id::FLBAS % 16);
const LBAF_BEAT: u64 = beat_of(id::FLBAS);
const EUI_BEAT: u64 = beat_of(id::EUI64);
const UNITS_READ_BEAT: u64 = beat_of(log::SMART_UNITS_READ);
const UNITS_WRITTEN_BEAT: u64 = beat_of(log::SMART_UNITS_WRITTEN);
const READS_BEAT: u64 = beat_of(log::SMART_READS);
const WRITES_BEAT: u64 = beat_of(log::SMART_WRITES);
const MEDIA_ERRORS_BEAT: u64 = beat_of(log::SMART_MEDIA_ERRORS);
const ERROR_ENTRIES_BEAT: u64 = beat_of(log::SMART_ERROR_ENTRIES);
const _: () = {
    assert!(log::ERROR_SIZE == 64 && virt::secondary::ENTRY == 32 && virt::secondary::FIRST == 32);
    assert!((UUID + id::NID) % 16 == 4 && beat_of(id::CMIC) == beat_of(id::CNTLID));
    assert!(id::CNTLID % 16 == 14 && id::NSATTR % 16 == 3 && id::EUI64 % 16 == 8);
};

struct St;
impl St {
    const IDLE: u64 = 0;
    const LOOK: u64 = 1;
    const READ: u64 = 2;
    const LOW: u64 = 3;
    const HIGH: u64 = 4;
    const MAKE: u64 = 5;
    const KEEP: u64 = 6;
    const READY: u64 = 7;
    const SEND: u64 = 8;
    const LEAVE: u64 = 9;
    const TELL: u64 = 10;
}

/// Beats of an error log entry and of an entry of the secondary controllers, log2.
const ERROR_BEATS: usize = 2;
const ERRORS_END: u64 = log::ERROR_ENTRIES << ERROR_BEATS;
const SECONDARY_BEATS: usize = 1;

packed! {
    /// A piece that is asked for, as its ports tell it.
    Job {
        last: 1,
        cid: 16,
        qid: 3,
        slot: 6,
        what: 4,
        from: 6,
        offset: 16,
        place: Place::WIDTH,
    }
}

packed! {
    /// What of a beat of the volume page the statistics say: whether there is a word for a half of it, and which.
    pub(super) Halves {
        has_high: 1,
        high: 6,
        has_low: 1,
        low: 6,
    }
}

#[derive(LogicBlock, Default)]
pub struct Pages {
    pub clock: Clk,
    pub reset: Rst,
    /// Pieces that are asked for: where they go, the last of its command; what page of whom, from which DW of it the command reads,
    /// the first secondary controller that a list names.
    pub in_valid: I<1>,
    pub in_ready: O<1>,
    pub in_place: I<{ Place::WIDTH }>,
    pub in_last: I<1>,
    pub in_slot: I<6>,
    pub in_qid: I<3>,
    pub in_cid: I<16>,
    pub in_what: I<4>,
    pub in_from: I<6>,
    pub in_offset: I<16>,
    /// A piece is ready; its rows, once it was called for; when all of it has left, how that went.
    pub piece_valid: O<1>,
    pub piece_ready: I<1>,
    pub piece_data: O<{ Piece::WIDTH }>,
    pub out_valid: O<1>,
    pub out_ready: I<1>,
    pub out_data: O<{ Row::WIDTH }>,
    pub left: I<1>,
    pub left_code: I<11>,
    /// A command is over.
    pub done_valid: O<1>,
    pub done_ready: I<1>,
    pub done_slot: O<6>,
    pub done_qid: O<3>,
    pub done_cid: O<16>,
    pub done_code: O<11>,
    /// The binding of `slot`, a clock later.
    pub slot: O<6>,
    pub bound: I<1>,
    pub read_only: I<1>,
    pub length: I<48>,
    pub volume: I<8>,
    pub base: I<48>,
    pub big: I<1>,
    /// The counters of `slot`, a clock later; see `Counters`.
    pub reads: I<48>,
    pub writes: I<48>,
    pub units_read: I<48>,
    pub units_written: I<48>,
    pub media_errors: I<32>,
    pub errors: I<32>,
    /// What was read of the records in the two clocks before may be none of them.
    pub unsure: I<1>,
    /// Its temperature is beyond a threshold.
    pub warm: I<64>,
    /// An entry of its error log, a clock later; see `Errors`.
    pub error_at: O<3>,
    pub error_entry: I<{ Entry::WIDTH }>,
    /// A word of its statistics, held until `word_ack`; see `Volume`.
    pub word_ask: O<1>,
    pub word_index: O<6>,
    pub word_ack: I<1>,
    pub word: I<64>,
    /// Secondary controllers: how many are enabled, which are offline.
    pub enabled_vfs: I<6>,
    pub offline: I<64>,
    pub busy: O<1>,
    st: Reg<4>,
    beat: Reg<14>,
    left_rows: Reg<9>,
    /// The DW of the command's data at which the piece begins; what became of the pieces before.
    at: Reg<16>,
    code: Reg<11>,
    made: Reg<128>,
    /// Of the entry of a list that a beat belongs to, a clock ahead of it.
    r_count: Reg<32>,
    r_there: Reg<1>,
    r_exists: Reg<1>,
    r_online: Reg<1>,
    r_second: Reg<6>,
    /// The statistics of a beat.
    low: Reg<64>,
    high: Reg<64>,
    jobs: BlockFifo<9, { Job::WIDTH }>,
    rows: BlockFifo<9, 128>,
    vfs: Param,
    slots: Param,
    rom: Rom<12, 128>,
    places: Rom<8, { Halves::WIDTH }>,
}

impl Pages {
    /// The page maker of the PF and `vfs` VFs, with its pages.
    pub fn new(vfs: usize) -> Self {
        Pages {
            vfs: Param::new(vfs),
            slots: Param::new(slots_of(vfs)),
            rom: Rom::new(rom::rom().into_iter().map(|w| azote_hdl::BigUint::from(w).into()).collect()),
            places: Rom::new(rom::places().into_iter().map(|w| azote_hdl::BigUint::from(w).into()).collect()),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Pages {
    fn update(&mut self) {
        clocked!(self.jobs, self.rows);
        memories!(self.rom, self.places);
        self.jobs.in_valid = self.in_valid;
        self.jobs.in_data = Job {
            last: self.in_last,
            cid: self.in_cid,
            qid: self.in_qid,
            slot: self.in_slot,
            what: self.in_what,
            from: self.in_from,
            offset: self.in_offset,
            place: self.in_place,
        };
        self.in_ready = self.jobs.in_ready;
        let head = self.jobs.out_data;
        let goal = head.get(Job::PLACE);
        let dws = goal.get(Place::DWS);
        let offset = head.get(Job::OFFSET);
        let from = head.get(Job::FROM);
        let what = head.get(Job::WHAT);
        let slot = head.get(Job::SLOT);
        let ends = head.get(Job::LAST);
        // Beyond its end a page is zeroes, however far beyond.
        let begin = offset.zext(17) + self.at.q.zext(17);
        let skip = begin.bits(1, 0);
        let beyond = (begin.bits(16, 10) != 0)
            | ((what == What::ERROR) & (begin.bits(16, 2) >= konst(ERRORS_END)))
            | (what == What::ZERO);
        let whole = (dws.zext(12) + skip.zext(12) + 3).bits(11, 2);
        self.slot = slot;
        self.rom.raddr = cat(what, self.beat.q.trunc(8));
        self.places.raddr = self.beat.q.trunc(8);
        let has_low = self.places.rdata.get(Halves::HAS_LOW);
        let has_high = self.places.rdata.get(Halves::HAS_HIGH);
        let at_high = self.st.q == St::HIGH;
        self.word_ask = ((self.st.q == St::LOW) & has_low) | (at_high & has_high);
        self.word_index =
            if at_high { self.places.rdata.get(Halves::HIGH) } else { self.places.rdata.get(Halves::LOW) };

        let raw = self.rom.rdata;
        let base = self.base;
        let function =
            if slot == 0 { sized(0, 8) } else { cat(slot + konst(function::FIRST_VF_INDEX - 1), sized(0, 2)) };
        let cntlid = (function | konst(function::STORAGE)).zext(16);
        let size = (if self.big { self.length >> konst(limits::BIG_SHIFT) } else { self.length }).zext(64);
        // Entry of the error log: the newest first.
        let number = self.beat.q.bits(ERROR_BEATS + 2, ERROR_BEATS);
        let count = self.errors - number.zext(32);
        self.r_count.d = count;
        self.r_there.d = self.errors > number.zext(32);
        self.error_at = count.bits(2, 0) - 1;
        let e = self.error_entry;
        let sqid = e.get(Entry::SQID).zext(16);
        let cid = e.get(Entry::CID);
        let field = cat(e.get(Entry::STATUS), e.get(Entry::PHASE));
        let lba = e.get(Entry::LBA);
        let nsid = e.get(Entry::NSID);
        let location = e.get(Entry::LOCATION);
        // Entry of the list of secondary controllers.
        let place = self.beat.q.bits(7, SECONDARY_BEATS) - 1;
        let second = place.zext(8) + from.zext(8);
        let all = konst(self.vfs.get());
        self.r_exists.d = (second <= all) & (self.beat.q.bits(13, SECONDARY_BEATS) != 0);
        let second_slot = second.bits(5, 0);
        self.r_online.d =
            (second_slot <= self.enabled_vfs) & !is_marked(self.offline, second_slot, { self.slots.get() });
        self.r_second.d = second_slot;
        let second_id =
            cat(self.r_second.q + konst(function::FIRST_VF_INDEX - 1), sized(function::STORAGE, 2)).zext(16);
        let mut page = raw;
        let b = self.beat.q;
        match what {
            What::CONTROLLER => match b {
                OACS_BEAT => page = raw | ((slot == 0).zext(128) << konst(virt::OACS_SUPPORTED.lo)),
                CNTLID_BEAT => {
                    page = cat(cntlid, raw.bits(111, 0)) | ((slot != 0).zext(128) << konst(CMIC_SHIFT));
                }
                _ => {}
            },
            What::NAMESPACE => match b {
                0 => page = cat(size, size),
                LBAF_BEAT => page = cat(raw.bits(127, 64), size) | (self.big.zext(128) << konst(FLBAS_SHIFT)),
                ATTR_BEAT => page = raw | (self.read_only.zext(128) << 24),
                EUI_BEAT => page = cat(slot.zext(8), raw.bits(119, 64), slot.zext(8), raw.bits(55, 0)),
                _ => {}
            },
            What::DESCRIPTORS => match b {
                0 => page = cat(raw.bits(127, 96), slot.zext(8), raw.bits(87, 0)),
                1 => page = cat(slot.zext(8), raw.bits(119, 0)),
                UUID_BEAT => page = cat(base.bits(39, 32), base.bits(47, 40), self.volume, raw.bits(103, 0)),
                UUID_NEXT => {
                    let low = cat(base.bits(7, 0), base.bits(15, 8), base.bits(23, 16), base.bits(31, 24));
                    page = cat(raw.bits(127, 32), low);
                }
                _ => {}
            },
            What::ERROR => {
                page = match b.bits(ERROR_BEATS - 1, 0) {
                    0 => cat(location, field, cid, sqid, self.r_count.q.zext(64)),
                    1 => cat(nsid, lba).zext(128),
                    _ => sized(0, 128),
                };
                if !self.r_there.q {
                    page = 0;
                }
            }
            What::SECONDARY => {
                if b == 0 {
                    page = (all - from + 1).zext(128);
                } else if self.r_exists.q & !b.bit(0) {
                    page = cat(
                        self.r_second.q.zext(16),
                        sized(0, 24),
                        self.r_online.q.zext(8),
                        sized(virt::PRIMARY_ID, 16),
                        second_id,
                    )
                    .zext(128);
                } else {
                    page = 0;
                }
            }
            What::EFFECTS => {
                // Secondary controllers are the primary's to manage.
                if (b == VIRTUALIZATION_BEAT) & (slot != 0) {
                    page = raw & konst(!VIRTUALIZATION_MASK);
                }
            }
            What::VOLUME => {
                let low = if has_low { self.low.q } else { raw.bits(63, 0) };
                let high = if has_high { self.high.q } else { raw.bits(127, 64) };
                page = cat(high, low);
            }
            What::SMART => match b {
                0 => {
                    page = raw
                        | (is_marked(self.warm, slot, { self.slots.get() }).zext(128)
                            << konst(id::WARNING_TEMPERATURE.lo))
                }
                UNITS_READ_BEAT => page = self.units_read.zext(128),
                UNITS_WRITTEN_BEAT => page = self.units_written.zext(128),
                READS_BEAT => page = self.reads.zext(128),
                WRITES_BEAT => page = self.writes.zext(128),
                MEDIA_ERRORS_BEAT => page = self.media_errors.zext(128),
                ERROR_ENTRIES_BEAT => page = self.errors.zext(128),
                _ => {}
            },
            _ => {}
        }
        // Pages end where they end.
        let over = (b >= 256) | ((what == What::ERROR) & (b >= konst(ERRORS_END)));

        self.made.d = if over { 0 } else { page };
        self.piece_valid = self.st.q == St::READY;
        let tag = Tag { high: slot, index: 0 };
        self.piece_data = Piece { page: 1, zeroes: beyond, skip: if beyond { 0 } else { skip }, tag, place: goal };
        let sends = self.st.q == St::SEND;
        let last = self.left_rows.q == 1;
        self.rows.in_valid = self.st.q == St::KEEP;
        self.rows.in_data = self.made.q;
        self.rows.out_ready = sends & self.out_ready;
        self.out_valid = sends & self.rows.out_valid;
        self.out_data = Row { error: 0, last, data: self.rows.out_data };
        self.done_valid = self.st.q == St::TELL;
        self.done_slot = slot;
        self.done_qid = head.get(Job::QID);
        self.done_cid = head.get(Job::CID);
        self.done_code = self.code.q;
        self.jobs.out_ready = 0;

        match self.st.q {
            St::IDLE => {
                self.beat.d = begin.bits(15, 2);
                self.left_rows.d = whole.trunc(9);
                if self.jobs.out_valid {
                    self.st.d = if beyond { St::READY } else { St::LOOK };
                }
            }
            St::LOOK => self.st.d = St::READ,
            St::READ => {
                self.st.d = if what == What::VOLUME { St::LOW } else { St::MAKE };
            }
            // The statistics have a moment between two of their own changes.
            St::LOW => {
                if !has_low {
                    self.st.d = St::HIGH;
                } else if self.word_ack {
                    self.low.d = self.word;
                    self.st.d = St::HIGH;
                }
            }
            St::HIGH => {
                if !has_high {
                    self.st.d = St::MAKE;
                } else if self.word_ack {
                    self.high.d = self.word;
                    self.st.d = St::MAKE;
                }
            }
            // The page is made of many facts: out of a register it goes on.
            St::MAKE => self.st.d = if self.unsure { St::READ } else { St::KEEP },
            St::KEEP => {
                self.beat.d = self.beat.q + 1;
                self.left_rows.d = self.left_rows.q - 1;
                self.st.d = if last { St::READY } else { St::READ };
            }
            St::READY => {
                self.left_rows.d = whole.trunc(9);
                if self.piece_ready {
                    self.st.d = if beyond { St::LEAVE } else { St::SEND };
                }
            }
            St::SEND => {
                if self.out_valid & self.out_ready {
                    self.left_rows.d = self.left_rows.q - 1;
                    if last {
                        self.st.d = St::LEAVE;
                    }
                }
            }
            St::LEAVE => {
                if self.left {
                    self.code.d = if self.code.q == 0 { self.left_code } else { self.code.q };
                    self.at.d = self.at.q + 1024;
                    if ends {
                        self.at.d = 0;
                        self.st.d = St::TELL;
                    } else {
                        self.jobs.out_ready = 1;
                        self.st.d = St::IDLE;
                    }
                }
            }
            St::TELL => {
                if self.done_ready {
                    self.code.d = 0;
                    self.jobs.out_ready = 1;
                    self.st.d = St::IDLE;
                }
            }
            _ => self.st.d = St::IDLE,
        }
        self.busy = (self.st.q != St::IDLE) | (self.jobs.level != 0);
    }
}
