//! The front: random commands against the order of checks written down in Rust; each goes one way and no other.

use azote_regs::nvme::{command as cmd, entry, limits, opcode, status};
use azote_rtl::storage::front::{Front, Media};
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use crate::bench;

#[derive(Debug, Clone, Copy)]
struct Volume {
    bound: bool,
    read_only: bool,
    id: u64,
    base: u64,
    length: u64,
}

#[derive(Debug, Clone, Copy)]
struct Command {
    place: u64,
    slot: u64,
    qid: u64,
    cid: u64,
    opcode: u64,
    fuse: u64,
    psdt: u64,
    nsid: u64,
    prp1: u64,
    prp2: u64,
    lba: u64,
    nlb: u64,
}

/// What the world outside sees of a command.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// `(status, released)`.
    done: Option<(u64, bool)>,
    /// A read's data source was named, and the media asked: `(volume, lba, blocks)`.
    source: bool,
    media: Option<(u64, u64, u64)>,
    /// A command for the writer: `(op, volume, lba, blocks)`.
    writer: Option<(u64, u64, u64, u64)>,
    /// `(address, DWs, last, for the writer)`.
    segments: Vec<(u64, u64, bool, bool)>,
    fatal: bool,
}

/// The order of checks of the module's page, and then where the command goes.
fn expected(c: &Command, v: &Volume) -> Outcome {
    let refuse = |code| Outcome { done: Some((code, false)), ..Outcome::default() };
    let (read, write) = (c.opcode == opcode::READ, c.opcode == opcode::WRITE);
    let (flush, zeroes) = (c.opcode == opcode::FLUSH, c.opcode == opcode::WRITE_ZEROES);
    let blocks = c.nlb + 1;
    if !(read || write || flush || zeroes) {
        return refuse(status::INVALID_OPCODE);
    }
    if c.fuse != 0 || c.psdt != 0 {
        return refuse(status::INVALID_FIELD);
    }
    let ours = c.nsid == limits::NSID || flush && c.nsid == limits::NSID_ALL;
    if !(ours && v.bound) {
        return refuse(status::INVALID_NAMESPACE);
    }
    if (read || write) && blocks > limits::MAX_BLOCKS {
        return refuse(status::INVALID_FIELD);
    }
    if !flush && c.lba.checked_add(blocks).is_none_or(|end| end > v.length) {
        return refuse(status::LBA_OUT_OF_RANGE);
    }
    if (write || zeroes) && v.read_only {
        return refuse(status::WRITE_PROTECTED);
    }
    let place = (v.id, v.base.wrapping_add(c.lba) & ((1 << 48) - 1), blocks & 0xffff);
    if flush || zeroes {
        let op = if flush { Media::FLUSH } else { Media::ZEROES };
        return Outcome { writer: Some((op, place.0, place.1, place.2)), ..Outcome::default() };
    }
    let dws = blocks * limits::LBA_SIZE / 4;
    let first = dws.min(1024 - (c.prp1 & 0xfff) / 4);
    if c.prp1 & 3 != 0 || dws > first && c.prp2 & 0xfff != 0 {
        return refuse(status::PRP_OFFSET);
    }
    let mut segments = vec![(c.prp1, first, dws == first, write)];
    if dws > first {
        segments.push((c.prp2, dws - first, true, write));
    }
    match write {
        true => Outcome { writer: Some((Media::WRITE, place.0, place.1, place.2)), segments, ..Outcome::default() },
        false => Outcome { source: true, media: Some(place), segments, ..Outcome::default() },
    }
}

fn random(rng: &mut SmallRng, v: &Volume) -> Command {
    let page = |rng: &mut SmallRng| rng.random_range(1..1u64 << 50) << 12;
    let mut c = Command {
        place: rng.random_range(0..2),
        slot: rng.random_range(0..61),
        qid: rng.random_range(1..8),
        cid: rng.random_range(0..0x10000),
        opcode: *[opcode::READ, opcode::WRITE, opcode::FLUSH, opcode::WRITE_ZEROES].choose(rng).unwrap(),
        fuse: 0,
        psdt: 0,
        nsid: 1,
        prp1: page(rng) + 4 * rng.random_range(0..1024u64),
        prp2: page(rng),
        lba: rng.random_range(0..v.length),
        nlb: rng.random_range(0..8),
    };
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

/// The control buffer's row of the entry of `c`.
fn row(c: &Command, row: u64) -> u128 {
    let quads = [
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
        cmd::RW_NLB.put(c.nlb),
        0,
    ];
    match row.checked_sub(4 * c.place) {
        Some(at @ 0..=3) => u128::from(quads[2 * at as usize]) | u128::from(quads[2 * at as usize + 1]) << 64,
        _ => 0xbad,
    }
}

fn run(dut: &mut Dut, rng: &mut SmallRng, c: &Command, v: &Volume, failed: bool) -> Outcome {
    let mut out = Outcome::default();
    let inputs = [
        ("sqe_valid", 1),
        ("sqe_failed", failed.into()),
        ("sqe_place", c.place),
        ("sqe_slot", c.slot),
        ("sqe_qid", c.qid),
        ("bound", v.bound.into()),
        ("read_only", v.read_only.into()),
        ("volume", v.id),
        ("base", v.base),
        ("length", v.length),
    ];
    for (port, value) in inputs {
        dut.set(port, value.into());
    }
    let mut row_data = 0;
    let mut taken = false;
    for _ in 0..2000 {
        dut.set("row_data", row_data);
        for port in
            ["src_ready", "media_ready", "wr_ready", "seg_read_ready", "seg_write_ready", "done_ready", "fatal_ready"]
        {
            dut.set(port, u128::from(rng.random_bool(0.6)));
        }
        dut.eval();
        let hit = |dut: &Dut, valid: &str, ready: &str| dut.get(valid) == 1 && dut.get(ready) == 1;
        let get = |dut: &Dut, port: &str| dut.get(port) as u64;
        taken |= dut.get("sqe_take") == 1;
        if hit(dut, "done_valid", "done_ready") {
            assert!(out.done.is_none());
            out.done = Some((get(dut, "done_status"), dut.get("done_release") == 1));
        }
        if hit(dut, "src_valid", "src_ready") {
            assert!(!out.source && dut.get("src_page") == 0);
            out.source = true;
        }
        let place = (get(dut, "media_volume"), get(dut, "media_lba"), get(dut, "media_blocks"));
        if hit(dut, "media_valid", "media_ready") {
            assert!(out.source && out.media.is_none(), "the order of sources is the order of requests");
            out.media = Some(place);
        }
        if hit(dut, "wr_valid", "wr_ready") {
            assert!(out.writer.is_none());
            out.writer = Some((get(dut, "wr_op"), place.0, place.1, place.2));
        }
        for (valid, ready, write) in
            [("seg_read_valid", "seg_read_ready", false), ("seg_write_valid", "seg_write_ready", true)]
        {
            if hit(dut, valid, ready) {
                let who = (get(dut, "slot"), get(dut, "qid"), get(dut, "cid"));
                assert_eq!(who, (c.slot, c.qid, c.cid), "segments carry their command");
                out.segments.push((get(dut, "seg_address"), get(dut, "seg_dws"), dut.get("seg_last") == 1, write));
            }
        }
        out.fatal |= hit(dut, "fatal", "fatal_ready");
        assert_eq!(dut.get("rd_valid"), 0, "two pages need no list");
        row_data = row(c, get(dut, "row"));
        dut.clock();
        if taken {
            dut.set("sqe_valid", 0);
            dut.eval();
            if dut.get("idle") == 1 {
                return out;
            }
        }
    }
    panic!("{c:?} did not end: {out:?}");
}

#[test]
fn every_command_passes_the_checks_in_their_order_and_goes_one_way() {
    let mut dut = bench::build("front", Front::default);
    let mut rng = bench::rng(11);
    let mut refused = 0;
    for _ in 0..3000 {
        let v = Volume {
            bound: rng.random_bool(0.9),
            read_only: rng.random_bool(0.2),
            id: rng.random_range(0..256),
            base: rng.random_range(0..1 << 40),
            length: rng.random_range(300..1 << 40),
        };
        let c = random(&mut rng, &v);
        let want = expected(&c, &v);
        refused += u32::from(want.done.is_some());
        assert_eq!(run(&mut dut, &mut rng, &c, &v, false), want, "{c:?} on {v:?}");
    }
    assert!((900..2400).contains(&refused), "both sorts: {refused} were refused");
}

#[test]
fn an_entry_that_could_not_be_read_is_fatal_and_released() {
    let mut dut = bench::build("front", Front::default);
    let mut rng = bench::rng(12);
    let v = Volume { bound: true, read_only: false, id: 1, base: 0, length: 1000 };
    for _ in 0..50 {
        let c = random(&mut rng, &v);
        let want = Outcome { fatal: true, done: Some((status::SUCCESS, true)), ..Outcome::default() };
        assert_eq!(run(&mut dut, &mut rng, &c, &v, true), want);
    }
}
