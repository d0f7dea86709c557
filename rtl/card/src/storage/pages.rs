//! Where the data of a read comes from: the media, or a page that is made here (Identify, logs), in the order in which the
//! front started the commands.
//!
//! A page is a ROM with a few places that depend on the function: its serial number and identifiers, its namespace's
//! size, its counters.

use azote_hdl::prelude::*;
use azote_regs::function;
use azote_regs::nvme::{identify as id, limits, log, opcode};
use azote_regs::{bar, ids};

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
}

/// How far data is asked for ahead of the link, in rows: while more are on their way no further command begins, since every
/// function would wait behind them. Three pages hide a media latency of about 800 clocks.
const WINDOW: u64 = 3 * limits::PAGE_SIZE / 16;

/// The qualified name's last two characters tell functions apart.
const NQN: &[u8] = b"nqn.2014-08.org.nvmexpress:azote-card-02415afffe4f5401-slot-00";
/// The serial number's too.
const SERIAL: &[u8; id::SN_LEN as usize] = b"AZ02415AFFFE4F540100";
/// An EUI-64 of ours; the last byte is the slot.
const EUI64: u64 = 0x02_41_5a_00_00_4f_54_00;
/// 300 K: there is no sensor, and the specification wants a value.
const KELVIN: u64 = 300;

struct Page([u8; 4096]);

impl Page {
    fn put(&mut self, at: u64, bytes: &[u8]) {
        self.0[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
    }
    fn le(&mut self, at: u64, v: u64, bytes: usize) {
        self.put(at, &v.to_le_bytes()[..bytes]);
    }
}

fn controller() -> Page {
    let mut p = Page([0; 4096]);
    p.le(id::VID, ids::VENDOR, 2);
    p.le(id::SSVID, ids::SUBSYSTEM_VENDOR, 2);
    p.put(id::SN, SERIAL);
    p.put(id::MN, &id::MODEL);
    p.put(id::FR, &id::FIRMWARE);
    p.le(id::MDTS, limits::MDTS, 1);
    p.le(id::OAES, id::OAES_NAMESPACE.mask(), 4);
    p.le(id::LPA, id::LPA_EFFECTS, 1);
    p.le(id::VER, azote_regs::nvme::controller::VS_VALUE, 4);
    p.le(id::CNTRLTYPE, 1, 1);
    p.le(id::ACL, limits::ACL, 1);
    p.le(id::AERL, limits::AERL, 1);
    // Slot 1 is the only firmware slot and read only.
    p.le(id::FRMW, 1 << 1 | 1, 1);
    p.le(id::WCTEMP, 353, 2);
    p.le(id::CCTEMP, 363, 2);
    p.le(id::SQES, limits::SQE_SHIFT << 4 | limits::SQE_SHIFT, 1);
    p.le(id::CQES, limits::CQE_SHIFT << 4 | limits::CQE_SHIFT, 1);
    p.le(id::NN, limits::NAMESPACES, 4);
    p.le(id::ONCS, id::ONCS_WRITE_ZEROES, 2);
    p.le(id::VWC, 1, 1);
    p.put(id::SUBNQN, NQN);
    // One power state, 25 W in units of 10 mW.
    p.le(id::PSD0, 2500, 2);
    p
}

fn namespace() -> Page {
    let mut p = Page([0; 4096]);
    p.le(id::LBAF0, id::LBAF_LBADS.put(limits::LBA_SHIFT), 4);
    // Deallocated and zeroed blocks read as zero.
    p.le(id::DLFEAT, 1, 1);
    let eui = EUI64.to_be_bytes();
    p.put(id::EUI64, &eui);
    p.put(id::NGUID + 8, &eui);
    p.put(id::NGUID, b"AZOTEVOL");
    p
}

fn descriptors() -> Page {
    let mut p = Page([0; 4096]);
    let eui = EUI64.to_be_bytes();
    p.le(id::NIDT, id::NIDT_EUI64, 1);
    p.le(id::NIDL, 8, 1);
    p.put(id::NID, &eui);
    let second = id::NID + 8;
    p.le(second + id::NIDT, id::NIDT_NGUID, 1);
    p.le(second + id::NIDL, 16, 1);
    p.put(second + id::NID, b"AZOTEVOL");
    p.put(second + id::NID + 8, &eui);
    p
}

fn smart() -> Page {
    let mut p = Page([0; 4096]);
    p.le(log::SMART_TEMPERATURE, KELVIN, 2);
    p.le(log::SMART_SPARE, 100, 1);
    p.le(log::SMART_SPARE_THRESHOLD, 10, 1);
    p.le(log::SMART_POWER_CYCLES, 1, 8);
    p
}

/// What each command may change beside its own data: nothing, but for what blocks hold.
fn effects() -> Page {
    let mut p = Page([0; 4096]);
    for opc in [
        opcode::DELETE_SQ,
        opcode::CREATE_SQ,
        opcode::GET_LOG_PAGE,
        opcode::DELETE_CQ,
        opcode::CREATE_CQ,
        opcode::IDENTIFY,
        opcode::ABORT,
        opcode::SET_FEATURES,
        opcode::GET_FEATURES,
        opcode::ASYNC_EVENT,
    ] {
        p.le(log::EFFECTS_ADMIN + 4 * opc, log::EFFECTS_CSUPP, 4);
    }
    for opc in [opcode::FLUSH, opcode::READ] {
        p.le(log::EFFECTS_IO + 4 * opc, log::EFFECTS_CSUPP, 4);
    }
    for opc in [opcode::WRITE, opcode::WRITE_ZEROES] {
        p.le(log::EFFECTS_IO + 4 * opc, log::EFFECTS_CSUPP | log::EFFECTS_LBCC, 4);
    }
    p
}

/// The ROM: address `{what[3:0], beat[7:0]}`.
fn rom() -> Vec<u128> {
    let mut list = Page([0; 4096]);
    list.le(0, limits::NSID, 4);
    let mut firmware = Page([0; 4096]);
    firmware.le(log::FIRMWARE_AFI, 1, 1);
    firmware.put(log::FIRMWARE_FRS1, &id::FIRMWARE);
    let mut error = Page([0; 4096]);
    error.le(log::ERROR_NSID, limits::NSID, 4);
    let empty = Page([0; 4096]);
    let pages = [empty, controller(), namespace(), list, descriptors(), error, smart(), firmware, effects()];
    let beat = |b: &[u8]| b.iter().rev().fold(0u128, |v, x| v << 8 | u128::from(*x));
    pages.iter().flat_map(|p| p.0.chunks(16).map(beat)).collect()
}

const fn beat_of(byte: u64) -> u64 {
    byte / 16
}
const SERIAL_BEAT: u64 = beat_of(id::SN + id::SN_LEN - 1);
const CNTLID_BEAT: u64 = beat_of(id::CNTLID);
const NQN_BEAT: u64 = beat_of(id::SUBNQN + NQN.len() as u64 - 1);
const ATTR_BEAT: u64 = beat_of(id::NSATTR);
const EUI_BEAT: u64 = beat_of(id::EUI64);
const UNITS_READ_BEAT: u64 = beat_of(log::SMART_UNITS_READ);
const UNITS_WRITTEN_BEAT: u64 = beat_of(log::SMART_UNITS_WRITTEN);
const READS_BEAT: u64 = beat_of(log::SMART_READS);
const WRITES_BEAT: u64 = beat_of(log::SMART_WRITES);
const MEDIA_ERRORS_BEAT: u64 = beat_of(log::SMART_MEDIA_ERRORS);
const ERROR_ENTRIES_BEAT: u64 = beat_of(log::SMART_ERROR_ENTRIES);
const _: () = {
    assert!(opcode::LOG_EFFECTS == 5 && bar::MSIX_VECTORS == 8);
    assert!(NQN.len() % 16 == 14 && id::SUBNQN.is_multiple_of(16));
    assert!(
        (id::SN + id::SN_LEN - 2) % 16 == 6 && id::CNTLID % 16 == 14 && id::NSATTR % 16 == 3 && id::EUI64 % 16 == 8
    );
};

struct St;
impl St {
    const IDLE: u64 = 0;
    const MEDIA: u64 = 1;
    const LOOK: u64 = 2;
    const READ: u64 = 3;
    const SEND: u64 = 4;
}

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
    /// The counters of `slot`, a clock later; see `Counters`.
    pub reads: I<48>,
    pub writes: I<48>,
    pub units_read: I<48>,
    pub units_written: I<48>,
    pub media_errors: I<32>,
    pub errors: I<32>,
    pub error_entry: I<64>,
    pub busy: O<1>,
    st: Reg<3>,
    beat: Reg<14>,
    left: Reg<14>,
    /// Rows that were asked for and have not left the mover.
    ahead: Reg<15>,
    order: Fifo<25>,
    rom: Rom<12, 128>,
}

impl Pages {
    /// The page maker with its pages.
    pub fn new() -> Self {
        Pages {
            order: Fifo::new(32),
            rom: Rom::new(rom().into_iter().map(|w| azote_hdl::BigUint::from(w).into()).collect()),
            ..Self::default()
        }
    }
}

/// A hexadecimal digit in ASCII.
#[pure]
fn digit(x: V) -> V {
    let n = x.zext(8);
    if n < 10 { n + 0x30 } else { n + 0x37 }
}

#[kernel]
impl Logic for Pages {
    fn update(&mut self) {
        clocked!(self.order);
        memories!(self.rom);
        self.order.in_data = cat(self.src_page, self.src_what, self.src_slot, self.src_beats);
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
        self.slot = slot;
        self.rom.raddr = cat(what, self.beat.q.trunc(8));

        // Two digits of the slot, as they lie in memory: the high one first.
        let digits = cat(digit(slot.bits(3, 0)), digit(slot.bits(5, 4).zext(4)));
        let raw = self.rom.rdata;
        let function =
            if slot == 0 { sized(0, 8) } else { cat(slot + konst(function::FIRST_VF_INDEX - 1), sized(0, 2)) };
        let cntlid = (function | konst(function::STORAGE)).zext(16);
        let size = self.length.zext(64);
        let mut page = raw;
        let b = self.beat.q;
        match what {
            What::CONTROLLER => match b {
                SERIAL_BEAT => page = cat(raw.bits(127, 64), digits, raw.bits(47, 0)),
                CNTLID_BEAT => page = cat(cntlid, raw.bits(111, 0)),
                NQN_BEAT => page = cat(raw.bits(127, 112), digits, raw.bits(95, 0)),
                _ => {}
            },
            What::NAMESPACE => match b {
                0 => page = cat(size, size),
                1 => page = cat(raw.bits(127, 64), size),
                ATTR_BEAT => page = raw | (self.read_only.zext(128) << 24),
                EUI_BEAT => page = cat(slot.zext(8), raw.bits(119, 64), slot.zext(8), raw.bits(55, 0)),
                _ => {}
            },
            What::DESCRIPTORS => match b {
                0 => page = cat(raw.bits(127, 96), slot.zext(8), raw.bits(87, 0)),
                1 => page = cat(slot.zext(8), raw.bits(119, 0)),
                _ => {}
            },
            What::ERROR => {
                if b == 0 {
                    page = cat(self.error_entry, self.errors.zext(64));
                }
                if self.errors == 0 {
                    page = 0;
                }
            }
            What::SMART => match b {
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
        // Only the first error entry exists, and pages end where they end.
        let beyond = (b >= 256) | ((what == What::ERROR) & (b >= konst(log::ERROR_SIZE / 16)));

        let last = self.left.q == 1;
        self.rd_ready = (self.st.q == St::MEDIA) & self.out_ready;
        self.out_valid = (self.st.q == St::SEND) | ((self.st.q == St::MEDIA) & self.rd_valid);
        self.out_data = if self.st.q == St::MEDIA {
            cat(self.rd_error & self.rd_last, self.rd_last, self.rd_data)
        } else {
            cat(sized(0, 1), last, if beyond { 0 } else { page })
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
            St::READ => self.st.d = St::SEND,
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
