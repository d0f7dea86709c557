//! The front: random commands against the order of checks written down in Rust; each goes one way and no other.

use std::collections::VecDeque;

use azote_hdl::BigUint;
use azote_regs::media;
use azote_regs::nvme::{command as cmd, entry, limits, opcode, status};
use azote_rtl::storage::admin::Next;
use azote_rtl::storage::front::{Front, Kind};
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use crate::bench::{self, cat, part};

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
    /// Which of its function's bindings it is.
    turn: bool,
}

impl Volume {
    fn random(rng: &mut SmallRng) -> Volume {
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

    fn bits(&self) -> BigUint {
        let flags = [(self.turn.into(), 1), (self.big.into(), 1)];
        let place = [(self.length.into(), 48), (self.base.into(), 48), (self.id.into(), 8)];
        cat(&[&flags[..], &place, &[(self.read_only.into(), 1), (self.bound.into(), 1)]].concat())
    }
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

/// What admin makes of a command: what comes next, status, DW 0, DWs of a page, place of what is wrong.
#[derive(Debug, Clone, Copy)]
struct Made {
    next: u64,
    status: u64,
    dw0: u64,
    dws: u64,
    location: u64,
}

/// What the world outside sees of a command.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// `(status, DW 0, released)`.
    done: Option<(u64, u64, bool)>,
    /// It began in the books: `(pieces, with a tag of those set aside)`; with its first request if it is a read.
    begun: Option<(u64, bool)>,
    /// The volume that is asked: `(fua, volume, lba, blocks)`.
    media: Option<(bool, u64, u64, u64)>,
    /// The writer's operation.
    writer: Option<u64>,
    /// Pieces, for the medium or of a page: `(first page, second page if it needs one, DW, DWs)`.
    pieces: Vec<(u64, Option<u64>, u64, u64)>,
    page: bool,
    /// What the statistics count: `(kind, lba)` of its end, `(write, blocks)` of its data.
    opened: Option<(u64, u64)>,
    counted: Option<(bool, u64)>,
    /// What the error log is told: `(byte of the entry, or none; lba)`.
    refused: Option<(u64, u64)>,
    /// `(address, DWs, last)`.
    segments: Vec<(u64, u64, bool)>,
    /// What it needs of the tags that were put aside, and pays in blocks.
    settled: Vec<(bool, u64)>,
    paid: Option<u64>,
    /// Its binding is in use when the front is through with it.
    used: bool,
    fatal: bool,
}

/// The order of checks of the module's page, and then where the command goes.
fn expected(c: &Command, v: &Volume) -> Outcome {
    const NONE: u64 = 0xffff;
    let settled = vec![(false, 0)];
    let refuse = |code, at| Outcome {
        done: Some((code, 0, false)),
        refused: Some((at, c.lba)),
        settled: vec![(false, 0)],
        ..Outcome::default()
    };
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
        return Outcome { done: Some((status::SUCCESS, 0, false)), settled, ..Outcome::default() };
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
    let opened = Some((kind, c.lba & ((1 << 48) - 1)));
    let media = Some(if dataset { (fua, v.id, v.base, v.length) } else { (fua, v.id, at, blocks) });
    let started = |pieces, blocks| Outcome {
        begun: Some((pieces, false)),
        media,
        opened,
        counted: (kind != Kind::OTHER).then_some((write, blocks)),
        settled: vec![(false, pieces)],
        paid: Some(blocks),
        used: true,
        ..Outcome::default()
    };
    if flush || zeroes || verify {
        let (op, pays) = match (flush, zeroes) {
            (true, _) => (media::FLUSH, 0),
            (_, true) if c.deallocate => (media::DEALLOCATE, 8),
            (_, true) => (media::ZEROES, blocks.min(media::LONG_BLOCKS)),
            _ => (media::VERIFY, blocks.min(media::LONG_BLOCKS)),
        };
        return Outcome { writer: Some(op), ..started(1, pays) };
    }
    let dws = if dataset { 4 * ((c.lba & 0xff) + 1) } else { blocks * limits::LBA_SIZE / 4 };
    let Some(pages) = pages(c, dws) else {
        return refuse(status::PRP_OFFSET, entry::SQE_PRP1);
    };
    let blocks = if dataset { 8 * ((c.lba & 0xff) + 1) } else { blocks };
    let start = started(dws.div_ceil(1024), blocks);
    if read {
        return Outcome { pieces: pieces(c, &pages, dws), ..start };
    }
    let head = dws.min(1024 - (c.prp1 & 0xfff) / 4);
    let mut segments = vec![(c.prp1, head, dws == head)];
    if dws > head {
        segments.push((c.prp2, dws - head, true));
    }
    let op = if write {
        media::WRITE
    } else if compare {
        media::COMPARE
    } else {
        media::RANGES
    };
    Outcome { writer: Some(op), segments, ..start }
}

/// The pages of a transfer of two at most, or none if its PRPs are wrong.
fn pages(c: &Command, dws: u64) -> Option<Vec<u64>> {
    let more = dws > 1024 - (c.prp1 & 0xfff) / 4;
    if c.prp1 & 3 != 0 || more && c.prp2 & 0xfff != 0 {
        return None;
    }
    Some(if more { vec![c.prp1 >> 12, c.prp2 >> 12] } else { vec![c.prp1 >> 12] })
}

/// Pieces of 4 KiB of the data. Each names the page in which it goes on, if it does.
fn pieces(c: &Command, pages: &[u64], dws: u64) -> Vec<(u64, Option<u64>, u64, u64)> {
    let at = (c.prp1 & 0xfff) / 4;
    let piece = |i: u64| {
        let n = (dws - 1024 * i).min(1024);
        (pages[i as usize], (at + n > 1024).then(|| pages[i as usize + 1]), at, n)
    };
    (0..dws.div_ceil(1024)).map(piece).collect()
}

/// What becomes of an admin command, of which `m` is made.
fn expected_admin(c: &Command, v: &Volume, m: &Made) -> Outcome {
    let failed = (m.status != status::SUCCESS).then_some((m.location, 0));
    let settled = vec![(true, 0)];
    let with_tag = |blocks| Outcome { settled: vec![(true, 1)], paid: Some(blocks), ..Outcome::default() };
    match m.next {
        Next::HOLD => Outcome { done: Some((m.status, m.dw0, true)), settled, ..Outcome::default() },
        Next::KEEP => Outcome { settled, ..Outcome::default() },
        Next::ERASE => Outcome {
            begun: Some((1, true)),
            media: Some((false, v.id, v.base, v.length)),
            writer: Some(media::DEALLOCATE),
            opened: Some((Kind::OTHER, c.lba & ((1 << 48) - 1))),
            used: true,
            ..with_tag(8)
        },
        Next::PAGE => match pages(c, m.dws) {
            None => Outcome {
                done: Some((status::PRP_OFFSET, m.dw0, false)),
                refused: Some((entry::SQE_PRP1, 0)),
                settled,
                ..Outcome::default()
            },
            Some(pages) => Outcome { pieces: pieces(c, &pages, m.dws), page: true, ..with_tag(m.dws.div_ceil(128)) },
        },
        _ => Outcome { done: Some((m.status, m.dw0, false)), refused: failed, settled, ..Outcome::default() },
    }
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
fn quads(c: &Command) -> [u64; 8] {
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
fn row(c: &Command, row: u64) -> u128 {
    let quads = quads(c);
    match row.checked_sub(4 * c.place) {
        Some(at @ 0..=3) => u128::from(quads[2 * at as usize]) | u128::from(quads[2 * at as usize + 1]) << 64,
        _ => 0xbad,
    }
}

/// What a command of these is made of by the front, its function's binding being another as soon as it was looked at.
fn run(dut: &mut Dut, rng: &mut SmallRng, c: &Command, v: &Volume, made: &Made, failed: bool) -> Outcome {
    let mut out = Outcome::default();
    let inputs = [
        ("sqe_valid", 1),
        ("sqe_failed", failed.into()),
        ("sqe_place", c.place),
        ("sqe_slot", c.slot),
        ("sqe_qid", c.qid),
        ("through", v.through.into()),
        ("a_next", made.next),
        ("a_status", made.status),
        ("a_dw0", made.dw0),
        ("a_dws", made.dws),
        ("a_location", made.location),
    ];
    for (port, value) in inputs {
        dut.set(port, value.into());
    }
    // The binding comes two clocks after its slot.
    let mut slots = VecDeque::from([64, 64]);
    let (mut row_data, mut taken, mut judged) = (0, false, false);
    let (mut uses, mut unuses, mut tag, mut pieces) = (0, 0, None, 0);
    for _ in 0..2000 {
        let shown = if slots.pop_front() == Some(c.slot) && !judged { *v } else { Volume::random(rng) };
        bench::set(dut, "binding", &shown.bits());
        dut.set("row_data", row_data);
        for port in ["piece_ready", "wr_ready", "seg_ready", "done_ready", "fatal_ready"] {
            dut.set(port, u128::from(rng.random_bool(0.6)));
        }
        dut.set("began", 0);
        dut.set("a_done", 0);
        dut.eval();
        let hit = |dut: &Dut, valid: &str, ready: &str| dut.get(valid) == 1 && dut.get(ready) == 1;
        let get = |dut: &Dut, port: &str| dut.get(port) as u64;
        if dut.get("begins") == 1 && rng.random_bool(0.3) {
            assert!(tag.is_none(), "a command begins twice");
            tag = Some(rng.random_range(0..4096u64));
            dut.set("began", 1);
            dut.set("tag", tag.unwrap().into());
            assert_eq!(get(dut, "turn") == 1, v.turn, "it is over for the binding that it was judged by");
            assert_eq!(get(dut, "wr_own"), 0);
            out.begun = Some((get(dut, "pieces"), dut.get("aside") == 1));
        }
        if dut.get("a_start") == 1 {
            assert_eq!(c.qid, 0, "no admin command");
            let dws = ["cdw0", "nsid", "cdw10", "cdw11", "cdw12", "cdw13"].map(|port| get(dut, port));
            let quads = quads(c);
            let low = |quad: u64| quad & 0xffff_ffff;
            assert_eq!(dws[..2], [low(quads[0]), quads[0] >> 32]);
            assert_eq!(dws[2..], [low(quads[5]), quads[5] >> 32, low(quads[6]), quads[6] >> 32]);
            assert_eq!(get(dut, "prp1"), c.prp1);
            let seen = ["bound", "read_only", "tiny", "turn"].map(|port| dut.get(port) == 1);
            assert_eq!(seen, [v.bound, v.read_only, v.length < 8, v.turn]);
            dut.set("a_done", u128::from(rng.random_bool(0.2)));
        }
        dut.eval();
        taken |= dut.get("sqe_take") == 1;
        let turn = if dut.get("uses") == 1 { shown.turn } else { dut.get("turn") == 1 };
        assert!(dut.get("uses") + dut.get("unuses") == 0 || turn == v.turn, "counted as the binding's own");
        uses += dut.get("uses");
        unuses += dut.get("unuses");
        judged |= dut.get("uses") == 1;
        assert!(uses <= 1 && unuses <= uses && dut.get("takes_own") + dut.get("unbound") == 0);
        if hit(dut, "done_valid", "done_ready") {
            assert!(out.done.is_none());
            out.done = Some((get(dut, "done_status"), get(dut, "done_dw0"), dut.get("done_release") == 1));
        }
        if dut.get("settle") == 1 {
            out.settled.push((dut.get("settle_admin") == 1, get(dut, "settle_count")));
        }
        if dut.get("pays") == 1 {
            assert!(out.paid.is_none());
            out.paid = Some(get(dut, "pays_blocks"));
        }
        if dut.get("opens") == 1 {
            assert!(out.opened.is_none());
            out.opened = Some((get(dut, "kind"), get(dut, "lba")));
        }
        if dut.get("count") == 1 {
            assert!(out.counted.is_none());
            out.counted = Some((dut.get("count_write") == 1, get(dut, "count_blocks")));
        }
        if dut.get("failed") == 1 {
            assert!(out.refused.is_none());
            out.refused = Some((get(dut, "failed_location"), get(dut, "failed_lba")));
        }
        let volume =
            (dut.get("media_fua") == 1, get(dut, "media_volume"), get(dut, "media_lba"), get(dut, "media_blocks"));
        if hit(dut, "wr_valid", "wr_ready") {
            assert!(out.writer.is_none());
            assert_eq!(Some(get(dut, "begun_tag")), tag, "its tag goes with it");
            (out.writer, out.media) = (Some(get(dut, "wr_op")), Some(volume));
            assert_eq!(dut.get("wr_big") == 1, v.big);
        }
        let who = (get(dut, "slot"), get(dut, "qid"), get(dut, "cid"));
        if hit(dut, "piece_valid", "piece_ready") {
            assert_eq!(who, (c.slot, c.qid, c.cid), "pieces carry their command");
            assert!(out.writer.is_none());
            let page = dut.get("to_page") == 1;
            if !page {
                assert!(out.media.is_none_or(|m| m == volume), "all pieces of a command are of one place");
                assert_eq!(get(dut, "turn") == 1, v.turn);
                // The books hear the rest with the first piece.
                out.media = Some(volume);
                out.begun = Some((get(dut, "pieces"), dut.get("aside") == 1));
            }
            let [first, second, at, dws] =
                [(73, 52), (21, 52), (11, 10), (0, 11)].map(|(lo, n)| part(&bench::get(dut, "piece"), lo, n) as u64);
            out.pieces.push((first, (at + dws > 1024).then_some(second), at, dws));
            out.page = page;
            assert_eq!(dut.get("piece_first") == 1, pieces == 0);
            pieces += dws;
            let whole = if page { made.dws } else { 128 * volume.3 };
            assert_eq!(dut.get("piece_last") == 1, pieces == whole);
        }
        if hit(dut, "seg_valid", "seg_ready") {
            assert_eq!(who, (c.slot, c.qid, c.cid));
            assert!(out.writer.is_some(), "a segment before its command");
            out.segments.push((get(dut, "seg_address"), get(dut, "seg_dws"), dut.get("seg_last") == 1));
        }
        out.fatal |= hit(dut, "fatal", "fatal_ready");
        assert_eq!(dut.get("rd_valid"), 0, "two pages need no list");
        row_data = row(c, get(dut, "row"));
        slots.push_back(who.0);
        dut.clock();
        if taken {
            dut.set("sqe_valid", 0);
            dut.eval();
            if dut.get("busy") == 0 {
                out.used = uses != unuses;
                return out;
            }
        }
    }
    panic!("{c:?} did not end: {out:?}");
}

const NOTHING: Made = Made { next: 0, status: 0, dw0: 0, dws: 0, location: 0 };

#[test]
fn every_command_passes_the_checks_in_their_order_and_goes_one_way() {
    let mut dut = bench::build("front", Front::default);
    let mut rng = bench::rng(11);
    let (mut refused, mut reads, mut writes) = (0, 0, 0);
    for _ in 0..4000 {
        let v = Volume::random(&mut rng);
        let c = random(&mut rng, &v);
        let want = expected(&c, &v);
        refused += u32::from(want.done.is_some());
        reads += u32::from(!want.pieces.is_empty());
        writes += u32::from(want.writer.is_some());
        assert_eq!(run(&mut dut, &mut rng, &c, &v, &NOTHING, false), want, "{c:?} on {v:?}");
    }
    assert!(refused > 1000 && reads > 200 && writes > 1000, "{refused} were refused, {reads} and {writes} started");
}

#[test]
fn an_admin_command_goes_where_admin_says() {
    let mut dut = bench::build("front", Front::default);
    let mut rng = bench::rng(13);
    for _ in 0..2000 {
        let v = Volume::random(&mut rng);
        let c = Command { qid: 0, opcode: rng.random_range(0..256), ..random(&mut rng, &v) };
        let next = *[Next::COMPLETE, Next::PAGE, Next::HOLD, Next::ERASE, Next::KEEP].choose(&mut rng).unwrap();
        let plain = [Next::COMPLETE, Next::HOLD].contains(&next);
        let code = *[status::SUCCESS, status::INVALID_FIELD, status::INVALID_QID].choose(&mut rng).unwrap();
        let made = Made {
            next,
            status: if plain { code } else { status::SUCCESS },
            dw0: rng.random::<u32>().into(),
            dws: if next == Next::PAGE { rng.random_range(1..=1024) } else { 0 },
            location: rng.random_range(0..0x1_0000),
        };
        let mut got = run(&mut dut, &mut rng, &c, &v, &made, false);
        let want = expected_admin(&c, &v, &made);
        if next == Next::ERASE {
            // What an admin command pays is nobody's trouble.
            got.paid = want.paid;
        }
        assert_eq!(got, want, "{c:?}, {made:?} on {v:?}");
    }
}

#[test]
fn an_entry_that_could_not_be_read_is_fatal_and_released() {
    let mut dut = bench::build("front", Front::default);
    let mut rng = bench::rng(12);
    for _ in 0..100 {
        let v = Volume::random(&mut rng);
        let mut c = random(&mut rng, &v);
        if rng.random() {
            c.qid = 0;
        }
        let want = Outcome {
            fatal: true,
            done: Some((status::SUCCESS, 0, true)),
            settled: vec![(c.qid == 0, 0)],
            ..Outcome::default()
        };
        assert_eq!(run(&mut dut, &mut rng, &c, &v, &NOTHING, true), want);
    }
}

#[test]
fn a_function_that_shuts_down_has_its_volume_flushed_before_the_next_command() {
    let mut dut = bench::build("front", Front::default);
    let mut rng = bench::rng(14);
    for round in 0..40u64 {
        let v = Volume { bound: round % 2 == 0, ..Volume::random(&mut rng) };
        let slot = rng.random_range(0..61);
        dut.set("flush", 1);
        dut.set("flush_slot", slot);
        // The next command stands already.
        dut.set("sqe_valid", 1);
        dut.set("sqe_slot", 62);
        let mut slots = VecDeque::from([64, 64]);
        let (mut heard, mut judged, mut used, mut own, mut tag, mut over) = (None, false, 0, 0, 0, false);
        for clock in 0.. {
            assert!(clock < 200, "stuck");
            let shown = if slots.pop_front() == Some(slot) && !judged { v } else { Volume::random(&mut rng) };
            bench::set(&mut dut, "binding", &shown.bits());
            dut.set("wr_ready", u128::from(rng.random_bool(0.3)));
            dut.set("began", 0);
            dut.eval();
            let get = |dut: &Dut, port: &str| dut.get(port) as u64;
            if dut.get("begins") == 1 && rng.random_bool(0.3) {
                tag = rng.random_range(0..4096);
                dut.set("began", 1);
                dut.set("tag", tag.into());
                assert_eq!((get(&dut, "pieces"), get(&dut, "aside"), get(&dut, "wr_own")), (1, 1, 1));
                assert_eq!(get(&dut, "turn") == 1, v.turn);
            }
            dut.eval();
            used += dut.get("uses");
            own += dut.get("takes_own");
            if dut.get("flush_taken") == 1 {
                assert!(heard.is_none(), "taken twice");
                heard = Some(dut.get("unbound") == 1);
                judged = true;
            }
            if dut.get("wr_valid") == 1 && dut.get("wr_ready") == 1 {
                assert_eq!((get(&dut, "wr_op"), get(&dut, "begun_tag")), (media::FLUSH, tag));
                assert_eq!((dut.get("slot"), get(&dut, "media_volume")), (slot, v.id));
                over = true;
            }
            over |= heard == Some(true);
            let quiet = ["opens", "done_valid", "failed", "settle", "pays", "unuses", "sqe_take", "count"];
            assert!(quiet.iter().all(|port| dut.get(port) == 0), "it is no command of the host's");
            slots.push_back(dut.get("slot"));
            dut.clock();
            if heard.is_some() {
                dut.set("flush", 0);
            }
            if over {
                break;
            }
        }
        assert_eq!((heard, used, own), (Some(!v.bound), u128::from(v.bound), u128::from(v.bound)));
        // And the next is none the worse.
        let v = Volume::random(&mut rng);
        let c = random(&mut rng, &v);
        assert_eq!(run(&mut dut, &mut rng, &c, &v, &NOTHING, false), expected(&c, &v));
    }
}
