//! What the pages say that is the same for every function.

use azote_regs::ids;
use azote_regs::nvme::{identify as id, limits, log, opcode, virtualization as virt, volume};

use super::Halves;
use crate::storage::records::volume::Word;

/// All controllers of the card are of one NVM subsystem: its qualified name and serial number.
const NQN: &[u8] = b"nqn.2014-08.org.nvmexpress:azote-card-02415afffe4f5401";
const SERIAL: &[u8; id::SN_LEN as usize] = b"AZ02415AFFFE4F5401  ";
/// An EUI-64 of ours; the last byte is the slot.
const EUI64: u64 = 0x02_41_5a_00_00_4f_54_00;
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
    p.le(id::CMIC, id::CMIC_CONTROLLERS.put(1), 1);
    p.le(id::MDTS, limits::MDTS, 1);
    p.le(id::OAES, id::OAES_NAMESPACE.mask(), 4);
    p.le(id::LPA, id::LPA_SMART | id::LPA_EFFECTS | id::LPA_OFFSETS, 1);
    p.le(id::ELPE, log::ERROR_ENTRIES - 1, 1);
    p.le(id::OACS, id::OACS_FORMAT, 2);
    p.le(id::FNA, 1, 1);
    p.le(id::VER, azote_regs::nvme::controller::VS_VALUE, 4);
    p.le(id::CNTRLTYPE, 1, 1);
    p.le(id::ACL, limits::ACL, 1);
    p.le(id::AERL, limits::AERL, 1);
    // Slot 1 is the only firmware slot and read only.
    p.le(id::FRMW, 1 << 1 | 1, 1);
    p.le(id::WCTEMP, limits::TEMPERATURE_WARNING, 2);
    p.le(id::CCTEMP, 363, 2);
    p.le(id::SQES, limits::SQE_SHIFT << 4 | limits::SQE_SHIFT, 1);
    p.le(id::CQES, limits::CQE_SHIFT << 4 | limits::CQE_SHIFT, 1);
    p.le(id::NN, limits::NAMESPACES, 4);
    let reads = id::ONCS_COMPARE | id::ONCS_VERIFY;
    p.le(id::ONCS, reads | id::ONCS_DATASET | id::ONCS_WRITE_ZEROES | id::ONCS_SELECT, 2);
    p.le(id::VWC, id::VWC_PRESENT.put(1) | id::VWC_BROADCAST.put(id::VWC_BROADCAST_FLUSHES), 1);
    p.put(id::SUBNQN, NQN);
    // One power state, 25 W in units of 10 mW.
    p.le(id::PSD0, 2500, 2);
    p
}

fn namespace() -> Page {
    let mut p = Page([0; 4096]);
    p.le(id::LBAF0, id::LBAF_LBADS.put(limits::LBA_SHIFT), 4);
    p.le(id::LBAF1, id::LBAF_LBADS.put(limits::BIG_LBA_SHIFT), 4);
    p.le(id::NLBAF, limits::FORMATS - 1, 1);
    p.le(id::DLFEAT, id::DLFEAT_ZERO | id::DLFEAT_WRITE_ZEROES, 1);
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
    // Version 8 (RFC 9562): the card, then the binding's volume and base, which are written in as it is read.
    p.le(UUID + id::NIDT, id::NIDT_UUID, 1);
    p.le(UUID + id::NIDL, 16, 1);
    p.put(UUID + id::NID, &[0x02, 0x41, 0x5a, 0x4f, 0x54, 0x01, 0x80, 0, 0x80]);
    p
}

/// Where the descriptor with the UUID is: behind those with EUI-64 and NGUID.
pub const UUID: u64 = 2 * id::NID + 8 + 16;

fn smart() -> Page {
    let mut p = Page([0; 4096]);
    p.le(log::SMART_TEMPERATURE, limits::TEMPERATURE, 2);
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
    p.le(log::EFFECTS_ADMIN + 4 * virt::OPCODE, log::EFFECTS_CSUPP, 4);
    let format =
        log::EFFECTS_CSUPP | log::EFFECTS_LBCC | log::EFFECTS_NCC | log::EFFECTS_CSE.put(log::EFFECTS_CSE_NAMESPACE);
    p.le(log::EFFECTS_ADMIN + 4 * opcode::FORMAT, format, 4);
    for opc in [opcode::FLUSH, opcode::READ, opcode::COMPARE, opcode::VERIFY] {
        p.le(log::EFFECTS_IO + 4 * opc, log::EFFECTS_CSUPP, 4);
    }
    for opc in [opcode::WRITE, opcode::WRITE_ZEROES, opcode::DATASET] {
        p.le(log::EFFECTS_IO + 4 * opc, log::EFFECTS_CSUPP | log::EFFECTS_LBCC, 4);
    }
    p
}

/// Primary Controller Capabilities: everything is a secondary controller's own from the start.
fn primary() -> Page {
    use virt::primary as p;
    let mut page = Page([0; 4096]);
    page.le(p::CNTLID as u64, virt::PRIMARY_ID, 2);
    page.le(p::VQPRT as u64, limits::QUEUES, 2);
    page.le(p::VIPRT as u64, azote_regs::bar::msix_vectors(azote_regs::function::Kind::Storage), 2);
    page
}

fn volume_page() -> Page {
    let mut page = Page([0; 4096]);
    page.le(volume::MAGIC, volume::MAGIC_VALUE, 4);
    for histogram in [volume::READ_HISTOGRAM, volume::WRITE_HISTOGRAM] {
        page.le(histogram, volume::BINS, 8);
        for bin in 0..volume::BINS {
            let at = histogram + volume::FIRST_BIN + bin * volume::BIN_SIZE;
            page.le(at, volume::lower(bin), 8);
            page.le(at + volume::BIN_UPPER, volume::upper(bin), 8);
        }
    }
    page
}

/// Which word of a function's statistics lies where in the volume page: `Halves` of each beat.
pub fn places() -> Vec<u16> {
    let mut halves = [0u16; 512];
    let mut put = |byte: u64, word: u64| {
        halves[byte as usize / 8] = (Halves::HAS_LOW.mask() | Halves::LOW.put(word)) as u16;
    };
    put(volume::READ_OPS, Word::READ_OPS);
    put(volume::WRITE_OPS, Word::WRITE_OPS);
    put(volume::READ_BYTES, Word::READ_BYTES);
    put(volume::WRITE_BYTES, Word::WRITE_BYTES);
    put(volume::READ_TIME, Word::READ_TIME);
    put(volume::WRITE_TIME, Word::WRITE_TIME);
    put(volume::OVER_IOPS, Word::OVER_COMMANDS);
    put(volume::OVER_THROUGHPUT, Word::OVER_BLOCKS);
    put(volume::QUEUE_LENGTH, Word::QUEUE);
    for bin in 0..volume::BINS {
        let count = volume::FIRST_BIN + bin * volume::BIN_SIZE + volume::BIN_COUNT;
        put(volume::READ_HISTOGRAM + count, Word::READ_BINS + bin);
        put(volume::WRITE_HISTOGRAM + count, Word::WRITE_BINS + bin);
    }
    halves.chunks(2).map(|pair| pair[1] << Halves::HIGH.lo | pair[0]).collect()
}

/// The ROM: address `{what[3:0], beat[7:0]}`.
pub fn rom() -> Vec<u128> {
    let mut list = Page([0; 4096]);
    list.le(0, limits::NSID, 4);
    let mut firmware = Page([0; 4096]);
    firmware.le(log::FIRMWARE_AFI, 1, 1);
    firmware.put(log::FIRMWARE_FRS1, &id::FIRMWARE);
    let empty = || Page([0; 4096]);
    let pages = [
        empty(),
        controller(),
        namespace(),
        list,
        descriptors(),
        empty(),
        smart(),
        firmware,
        effects(),
        primary(),
        empty(),
        volume_page(),
    ];
    let beat = |b: &[u8]| b.iter().rev().fold(0u128, |v, x| v << 8 | u128::from(*x));
    pages.iter().flat_map(|p| p.0.chunks(16).map(beat)).collect()
}
