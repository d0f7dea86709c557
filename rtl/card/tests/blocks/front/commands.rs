//! Random commands, and what their function's binding is.

use azote_hdl::BigUint;
use azote_regs::nvme::{command as cmd, entry, limits, opcode};
use azote_rtl::storage::rings::fetch::PLACES;
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use crate::bench::cat;

#[derive(Debug, Clone, Copy)]
pub struct Volume {
    pub bound: bool,
    pub read_only: bool,
    pub id: u64,
    pub base: u64,
    pub length: u64,
    /// Blocks of 4 KiB; the write cache is off.
    pub big: bool,
    pub through: bool,
    /// Which of its function's bindings it is.
    pub turn: bool,
}

impl Volume {
    pub fn random(rng: &mut SmallRng) -> Volume {
        Volume {
            bound: rng.random_bool(0.9),
            read_only: rng.random_bool(0.2),
            id: rng.random_range(0..256),
            base: rng.random_range(0..1 << 40),
            length: if rng.random_ratio(1, 20) { rng.random_range(1..300) } else { rng.random_range(300..1 << 40) },
            big: rng.random(),
            through: rng.random_ratio(1, 4),
            turn: rng.random(),
        }
    }

    pub fn bits(&self) -> BigUint {
        let flags = [(self.turn.into(), 1), (self.big.into(), 1)];
        let place = [(self.length.into(), 48), (self.base.into(), 48), (self.id.into(), 8)];
        cat(&[&flags[..], &place, &[(self.read_only.into(), 1), (self.bound.into(), 1)]].concat())
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Command {
    pub place: u64,
    pub slot: u64,
    pub qid: u64,
    pub cid: u64,
    pub opcode: u64,
    pub fuse: u64,
    pub psdt: u64,
    pub nsid: u64,
    pub prp1: u64,
    pub prp2: u64,
    pub lba: u64,
    /// CDW12: number of blocks, flags; for Dataset Management ranges and attributes are in the places of lba.
    pub nlb: u64,
    pub fua: bool,
    pub deallocate: bool,
}

pub fn random(rng: &mut SmallRng, v: &Volume) -> Command {
    let page = |rng: &mut SmallRng| rng.random_range(1..1u64 << 50) << 12;
    let mut c = Command {
        place: rng.random_range(0..PLACES as u64),
        slot: rng.random_range(0..61),
        qid: rng.random_range(1..8),
        cid: rng.random_range(0..0x10000),
        opcode: *[
            opcode::READ,
            opcode::WRITE,
            opcode::COMPARE,
            opcode::FLUSH,
            opcode::WRITE_ZEROES,
            opcode::VERIFY,
            opcode::DATASET,
        ]
        .choose(rng)
        .unwrap(),
        fuse: 0,
        psdt: 0,
        nsid: 1,
        prp1: page(rng) + 4 * rng.random_range(0..1024u64),
        prp2: page(rng),
        lba: rng.random_range(0..if v.big { v.length / 8 + 1 } else { v.length }),
        nlb: rng.random_range(0..if v.big { 1 } else { 8 }),
        fua: rng.random(),
        deallocate: rng.random(),
    };
    if c.opcode == opcode::DATASET {
        c.lba = rng.random_range(0..256) | rng.random_range(0..8) << 32;
    }
    // Never more than two pages: longer lists are the walker's bench.
    match rng.random_range(0..16) {
        0 => c.opcode = rng.random_range(0..256),
        1 => c.fuse = rng.random_range(1..4),
        2 => c.psdt = rng.random_range(1..4),
        3 => c.nsid = *[0, 2, limits::NSID_ALL].choose(rng).unwrap(),
        4 => c.nlb = rng.random_range(256..0x10000),
        5 => c.lba = *[v.length, v.length - 1, u64::MAX - c.nlb, u64::MAX, 1 << 48].choose(rng).unwrap(),
        6 => c.prp1 |= rng.random_range(1..4),
        7 => c.prp2 |= rng.random_range(1..4096),
        _ => {}
    }
    c
}

/// The entry of `c`.
pub fn quads(c: &Command) -> [u64; 8] {
    [
        entry::CDW0_OPC.put(c.opcode)
            | entry::CDW0_FUSE.put(c.fuse)
            | entry::CDW0_PSDT.put(c.psdt)
            | entry::CDW0_CID.put(c.cid)
            | c.nsid << 32,
        0,
        0,
        c.prp1,
        c.prp2,
        c.lba,
        cmd::RW_NLB.put(c.nlb) | cmd::RW_FUA.put(c.fua.into()) | cmd::RW_DEAC.put(c.deallocate.into()) | c.cid << 32,
        0,
    ]
}

/// The control buffer's row of it.
pub fn row(c: &Command, row: u64) -> u128 {
    let quads = quads(c);
    match row.checked_sub(4 * c.place) {
        Some(at @ 0..=3) => u128::from(quads[2 * at as usize]) | u128::from(quads[2 * at as usize + 1]) << 64,
        _ => 0xbad,
    }
}
