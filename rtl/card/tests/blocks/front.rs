//! The front: random commands against the order of checks written down in Rust; each goes one way and no other.

use azote_regs::media;
use azote_regs::nvme::{command as cmd, entry, limits, opcode, status};
use azote_rtl::storage::data::writer::Work;
use azote_rtl::storage::front::{Front, Kind};
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
    /// Blocks of 4 KiB; the write cache is off.
    big: bool,
    through: bool,
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
    /// CDW12: number of blocks, flags; for Dataset Management ranges and attributes are in the places of lba.
    nlb: u64,
    fua: bool,
    deallocate: bool,
}

/// What the world outside sees of a command.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// `(status, released)`.
    done: Option<(u64, bool)>,
    /// A read's data source was named, and the media asked: `(fua, volume, lba, blocks)`.
    source: bool,
    media: Option<(bool, u64, u64, u64)>,
    /// A command for the writer: `(op, fua, volume, lba, blocks)`.
    writer: Option<(u64, bool, u64, u64, u64)>,
    /// What the statistics count: `(for the writer, kind, lba)`.
    opened: Option<(bool, u64, u64)>,
    /// What the error log is told: `(byte of the entry, or none; lba)`.
    refused: Option<(u64, u64)>,
    /// `(address, DWs, last, for the writer)`.
    segments: Vec<(u64, u64, bool, bool)>,
    fatal: bool,
}

/// The order of checks of the module's page, and then where the command goes.
fn expected(c: &Command, v: &Volume) -> Outcome {
    const NONE: u64 = 0xffff;
    let refuse = |code, at| Outcome { done: Some((code, false)), refused: Some((at, c.lba)), ..Outcome::default() };
    let (read, write, compare) = (c.opcode == opcode::READ, c.opcode == opcode::WRITE, c.opcode == opcode::COMPARE);
    let (flush, zeroes) = (c.opcode == opcode::FLUSH, c.opcode == opcode::WRITE_ZEROES);
    let (verify, dataset) = (c.opcode == opcode::VERIFY, c.opcode == opcode::DATASET);
    let scale = if v.big { 8 } else { 1 };
    let blocks = (c.nlb + 1) * scale;
    if !(read || write || compare || flush || zeroes || verify || dataset) {
        return refuse(status::INVALID_OPCODE, entry::SQE_CDW0);
    }
    if c.fuse != 0 || c.psdt != 0 {
        return refuse(status::INVALID_FIELD, entry::SQE_CDW0 + 1);
    }
    let ours = c.nsid == limits::NSID || flush && c.nsid == limits::NSID_ALL;
    if !(ours && v.bound) {
        return refuse(status::INVALID_NAMESPACE, entry::SQE_NSID);
    }
    if dataset && !cmd::DATASET_AD.is_set(c.lba >> 32) {
        return Outcome { done: Some((status::SUCCESS, false)), ..Outcome::default() };
    }
    if (read || write || compare) && blocks > limits::MAX_BLOCKS {
        return refuse(status::INVALID_FIELD, entry::SQE_CDW12);
    }
    let first = u128::from(c.lba) * u128::from(scale);
    if !flush && !dataset && first + u128::from(blocks) > v.length.into() {
        return refuse(status::LBA_OUT_OF_RANGE, entry::SQE_CDW10);
    }
    if (write || zeroes || dataset) && v.read_only {
        return refuse(status::WRITE_PROTECTED, NONE);
    }
    let fua = c.fua || v.through;
    let at = v.base.wrapping_add(first as u64) & ((1 << 48) - 1);
    let kind = if write {
        Kind::WRITE
    } else if read || compare {
        Kind::READ
    } else {
        Kind::OTHER
    };
    let opened = Some((!read, kind, c.lba & ((1 << 48) - 1)));
    if flush || zeroes || verify {
        let op = match (flush, zeroes) {
            (true, _) => media::FLUSH,
            (_, true) if c.deallocate => media::DEALLOCATE,
            (_, true) => media::ZEROES,
            _ => media::VERIFY,
        };
        return Outcome { writer: Some((op, fua, v.id, at, blocks)), opened, ..Outcome::default() };
    }
    let dws = if dataset { 4 * ((c.lba & 0xff) + 1) } else { blocks * limits::LBA_SIZE / 4 };
    let head = dws.min(1024 - (c.prp1 & 0xfff) / 4);
    if c.prp1 & 3 != 0 || dws > head && c.prp2 & 0xfff != 0 {
        return refuse(status::PRP_OFFSET, entry::SQE_PRP1);
    }
    let mut segments = vec![(c.prp1, head, dws == head, !read)];
    if dws > head {
        segments.push((c.prp2, dws - head, true, !read));
    }
    let writer = match (write, compare, dataset) {
        (true, ..) => Some((media::WRITE, fua, v.id, at, blocks)),
        (_, true, _) => Some((media::COMPARE, fua, v.id, at, blocks)),
        (.., true) => Some((Work::RANGES, fua, v.id, v.base, v.length)),
        _ => None,
    };
    let source = writer.is_none();
    Outcome { source, media: source.then_some((fua, v.id, at, blocks)), writer, segments, opened, ..Outcome::default() }
}

fn random(rng: &mut SmallRng, v: &Volume) -> Command {
    let page = |rng: &mut SmallRng| rng.random_range(1..1u64 << 50) << 12;
    let mut c = Command {
        place: rng.random_range(0..2),
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
        lba: rng.random_range(0..if v.big { v.length / 8 } else { v.length }),
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
        cmd::RW_NLB.put(c.nlb) | cmd::RW_FUA.put(c.fua.into()) | cmd::RW_DEAC.put(c.deallocate.into()),
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
        ("big", v.big.into()),
        ("through", v.through.into()),
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
        let fua = dut.get("media_fua") == 1;
        let place = (get(dut, "media_volume"), get(dut, "media_lba"), get(dut, "media_blocks"));
        if dut.get("opens") == 1 {
            assert!(out.opened.is_none());
            out.opened = Some((dut.get("opens_writer") == 1, get(dut, "kind"), get(dut, "lba")));
        }
        if dut.get("failed") == 1 {
            assert!(out.refused.is_none());
            out.refused = Some((get(dut, "failed_location"), get(dut, "failed_lba")));
        }
        if hit(dut, "media_valid", "media_ready") {
            assert!(out.source && out.media.is_none(), "the order of sources is the order of requests");
            out.media = Some((fua, place.0, place.1, place.2));
        }
        if hit(dut, "wr_valid", "wr_ready") {
            assert!(out.writer.is_none());
            out.writer = Some((get(dut, "wr_op"), fua, place.0, place.1, place.2));
            assert_eq!(dut.get("wr_big") == 1, v.big);
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
            if dut.get("busy") == 0 {
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
            big: rng.random(),
            through: rng.random_ratio(1, 4),
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
    let v = Volume { bound: true, read_only: false, id: 1, base: 0, length: 1000, big: false, through: false };
    for _ in 0..50 {
        let c = random(&mut rng, &v);
        let want = Outcome { fatal: true, done: Some((status::SUCCESS, true)), ..Outcome::default() };
        assert_eq!(run(&mut dut, &mut rng, &c, &v, true), want);
    }
}

#[test]
fn a_function_that_shuts_down_has_its_volume_flushed_before_the_next_command() {
    let mut dut = bench::build("front", Front::default);
    for (round, bound) in [true, false, true, false].into_iter().enumerate() {
        dut.set("flush", 1);
        dut.set("flush_slot", round as u128 + 3);
        dut.set("bound", bound.into());
        dut.set("volume", 0x5a);
        let (mut taken, mut unbound, mut commands) = (0, 0, 0);
        for clock in 0..40 {
            dut.set("wr_ready", (clock % 3 == 0).into());
            dut.eval();
            taken += dut.get("flush_taken");
            unbound += dut.get("unbound");
            if dut.get("wr_valid") == 1 && dut.get("wr_ready") == 1 {
                commands += 1;
                assert_eq!((dut.get("wr_op") as u64, dut.get("wr_own")), (media::FLUSH, 1));
                assert_eq!((dut.get("slot"), dut.get("media_volume")), (round as u128 + 3, 0x5a));
            }
            assert_eq!((dut.get("opens"), dut.get("done_valid"), dut.get("failed")), (0, 0, 0));
            let over = dut.get("flush_taken") == 1;
            dut.clock();
            if over {
                dut.set("flush", 0);
            }
        }
        assert_eq!((taken, unbound, commands), (1, u128::from(!bound), u128::from(bound)));
        dut.eval();
        assert_eq!(dut.get("busy"), 0);
    }
}
