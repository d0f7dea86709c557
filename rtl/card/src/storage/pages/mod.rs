//! Where the data of a read comes from: the media, or a page that is made here (Identify, logs), in the order in which the
//! front started the commands.
//!
//! A page is a ROM with a few places that depend on the function: its identifiers, its namespace's
//! size, its counters. The error log and the list of secondary controllers are made entry by entry, and the volume page word
//! by word from the statistics.

mod rom;

use azote_hdl::prelude::*;
use azote_regs::function;
use azote_regs::nvme::{identify as id, limits, log, virtualization as virt};

use self::rom::UUID;
use super::records::errors::ENTRY;
use crate::parts::Fifo;

/// Pages.
pub struct What;
impl What {
    pub const ZERO: u64 = 0;
    pub const CONTROLLER: u64 = 1;
    pub const NAMESPACE: u64 = 2;
    pub const LIST: u64 = 3;
    pub const DESCRIPTORS: u64 = 4;
    pub const ERROR: u64 = 5;
    pub const SMART: u64 = 6;
    pub const FIRMWARE: u64 = 7;
    pub const EFFECTS: u64 = 8;
    pub const PRIMARY: u64 = 9;
    pub const SECONDARY: u64 = 10;
    pub const VOLUME: u64 = 11;
}

/// How far data is asked for ahead of the link, in rows: while more are on their way no further command begins, since every
/// function would wait behind them. Three pages hide a media latency of about 800 clocks.
const WINDOW: u64 = 3 * limits::PAGE_SIZE / 16;

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
    const MEDIA: u64 = 1;
    const LOOK: u64 = 2;
    const READ: u64 = 3;
    const SEND: u64 = 4;
    const LOW: u64 = 5;
    const HIGH: u64 = 6;
    const MAKE: u64 = 7;
}

/// Beats of an error log entry and of an entry of the secondary controllers, log2.
const ERROR_BEATS: usize = 2;
const ERRORS_END: u64 = log::ERROR_ENTRIES << ERROR_BEATS;
const SECONDARY_BEATS: usize = 1;

#[derive(LogicBlock, Default)]
pub struct Pages {
    pub clock: Clk,
    pub reset: Rst,
    /// The sources, in order.
    pub src_valid: I<1>,
    pub src_ready: O<1>,
    pub src_page: I<1>,
    pub src_what: I<4>,
    pub src_slot: I<6>,
    /// The first secondary controller that a list names.
    pub src_from: I<6>,
    pub src_beats: I<14>,
    /// One clock: a row has left the mover.
    pub drained: I<1>,
    /// As much is on its way as may be.
    pub full: O<1>,
    /// Data of the media's reads.
    pub rd_valid: I<1>,
    pub rd_ready: O<1>,
    pub rd_data: I<128>,
    pub rd_last: I<1>,
    pub rd_error: I<1>,
    /// To the mover: `{error, last, data}`.
    pub out_valid: O<1>,
    pub out_ready: I<1>,
    pub out_data: O<130>,
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
    /// Its temperature is beyond a threshold.
    pub warm: I<64>,
    /// An entry of its error log, a clock later; see `Errors`.
    pub error_at: O<3>,
    pub error_entry: I<147>,
    /// A word of its statistics, held until `word_ack`; see `Volume`.
    pub word_ask: O<1>,
    pub word_index: O<6>,
    pub word_ack: I<1>,
    pub word: I<64>,
    /// Secondary controllers: how many are enabled, which are offline.
    pub enabled_vfs: I<6>,
    pub offline: I<64>,
    pub busy: O<1>,
    st: Reg<3>,
    beat: Reg<14>,
    left: Reg<14>,
    /// Rows that were asked for and have not left the mover.
    ahead: Reg<15>,
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
    order: Fifo<31>,
    vfs: Param,
    rom: Rom<12, 128>,
    places: Rom<8, 14>,
}

impl Pages {
    /// The page maker of the PF and `vfs` VFs, with its pages.
    pub fn new(vfs: usize) -> Self {
        Pages {
            vfs: Param::new(vfs),
            order: Fifo::new(32),
            rom: Rom::new(rom::rom().into_iter().map(|w| azote_hdl::BigUint::from(w).into()).collect()),
            places: Rom::new(rom::places().into_iter().map(|w| azote_hdl::BigUint::from(w).into()).collect()),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Pages {
    fn update(&mut self) {
        clocked!(self.order);
        memories!(self.rom, self.places);
        self.order.in_data = cat(self.src_from, self.src_page, self.src_what, self.src_slot, self.src_beats);
        let room = self.ahead.q < WINDOW;
        self.order.in_valid = self.src_valid & room;
        self.src_ready = self.order.in_ready & room;
        self.full = !room;
        let asked = if self.src_valid & self.order.in_ready & room { self.src_beats.zext(15) } else { 0 };
        self.ahead.d = self.ahead.q + asked - self.drained.zext(15);
        let head = self.order.out_data;
        let is_page = head.bit(24);
        let what = head.bits(23, 20);
        let slot = head.bits(19, 14);
        let beats = head.bits(13, 0);
        let from = head.bits(30, 25);
        self.slot = slot;
        self.rom.raddr = cat(what, self.beat.q.trunc(8));
        self.places.raddr = self.beat.q.trunc(8);
        let has_low = self.places.rdata.bit(6);
        let has_high = self.places.rdata.bit(13);
        let at_high = self.st.q == St::HIGH;
        self.word_ask = ((self.st.q == St::LOW) & has_low) | (at_high & has_high);
        self.word_index = if at_high { self.places.rdata.bits(12, 7) } else { self.places.rdata.bits(5, 0) };

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
        let sqid = e.bits(2, 0).zext(16);
        let cid = e.bits(18, 3);
        let field = e.bits(34, 19);
        let lba = e.bits(98, 35);
        let nsid = e.bits(130, 99);
        let location = e.bits(ENTRY - 1, 131);
        // Entry of the list of secondary controllers.
        let place = self.beat.q.bits(7, SECONDARY_BEATS) - 1;
        let second = place.zext(8) + from.zext(8);
        let all = konst(self.vfs.get());
        self.r_exists.d = (second <= all) & (self.beat.q.bits(13, SECONDARY_BEATS) != 0);
        let second_slot = second.bits(5, 0);
        self.r_online.d = (second_slot <= self.enabled_vfs) & !self.offline.sel(second_slot);
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
                0 => page = raw | (self.warm.sel(slot).zext(128) << konst(id::WARNING_TEMPERATURE.lo)),
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
        let beyond = (b >= 256) | ((what == What::ERROR) & (b >= konst(ERRORS_END)));

        self.made.d = if beyond { 0 } else { page };
        let last = self.left.q == 1;
        self.rd_ready = (self.st.q == St::MEDIA) & self.out_ready;
        self.out_valid = (self.st.q == St::SEND) | ((self.st.q == St::MEDIA) & self.rd_valid);
        self.out_data = if self.st.q == St::MEDIA {
            cat(self.rd_error & self.rd_last, self.rd_last, self.rd_data)
        } else {
            cat(sized(0, 1), last, self.made.q)
        };
        self.order.out_ready = 0;

        match self.st.q {
            St::IDLE => {
                self.beat.d = 0;
                self.left.d = beats;
                if self.order.out_valid {
                    self.st.d = if is_page { St::LOOK } else { St::MEDIA };
                }
            }
            St::MEDIA => {
                if self.rd_valid & self.out_ready & self.rd_last {
                    self.order.out_ready = 1;
                    self.st.d = St::IDLE;
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
            St::MAKE => self.st.d = St::SEND,
            St::SEND => {
                if self.out_ready {
                    self.beat.d = self.beat.q + 1;
                    self.left.d = self.left.q - 1;
                    self.st.d = St::READ;
                    if last {
                        self.order.out_ready = 1;
                        self.st.d = St::IDLE;
                    }
                }
            }
            _ => self.st.d = St::IDLE,
        }
        self.busy = (self.st.q != St::IDLE) | self.order.out_valid;
    }
}
