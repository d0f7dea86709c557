//! PRPs to segments and to pieces, against a walk over the same lists in Rust; and lists that are wrong.

use std::collections::HashMap;

use azote_regs::nvme::{entry, limits, status};
use azote_rtl::storage::data::walker::{LIST_ROW, Walker};
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench::{self, Sink, part};

const PAGE: u64 = limits::PAGE_SIZE;

/// Host memory in quadwords, the control buffer in DWs, and the engine that reads one into the other.
struct World {
    dut: Dut,
    rng: SmallRng,
    host: HashMap<u64, u64>,
    buffer: Vec<u32>,
    /// Clocks until the read that stands has come; whether it fails.
    coming: Option<(u32, bool)>,
    failing: bool,
    failed: bool,
    reads: usize,
}

/// `(address, DWs, last)`.
type Segment = (u64, u64, bool);

/// 4 KiB of a command's data: first page, second page if it reaches there, DW in the first, DWs; first and last of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    page: u64,
    next: Option<u64>,
    at: u64,
    dws: u64,
    first: bool,
    last: bool,
}

#[derive(Default)]
struct Answer {
    fault: u64,
    segments: Vec<Segment>,
    pieces: Vec<Piece>,
    finished: u32,
}

/// What lies in these segments, cut.
fn cut(segments: &[Segment]) -> Vec<Piece> {
    let total: u64 = segments.iter().map(|s| s.1).sum();
    let at = segments[0].0 % PAGE / 4;
    let page = |i: u64| segments[i as usize].0 / PAGE;
    let piece = |i: u64| {
        let dws = (total - 1024 * i).min(1024);
        let next = (at + dws > 1024).then(|| page(i + 1));
        Piece { page: page(i), next, at, dws, first: i == 0, last: 1024 * i + dws == total }
    };
    (0..total.div_ceil(1024)).map(piece).collect()
}

impl World {
    fn new(seed: u64) -> World {
        let (host, buffer) = (HashMap::new(), vec![0; 128]);
        let dut = bench::build("walker", Walker::default);
        World { dut, rng: bench::rng(seed), host, buffer, coming: None, failing: false, failed: false, reads: 0 }
    }

    fn clock(&mut self, segments: &mut Sink, pieces: &mut Sink, out: &mut Answer) {
        let dut = &mut self.dut;
        segments.drive(dut, &mut self.rng);
        pieces.drive(dut, &mut self.rng);
        let ready = self.coming.is_none() && self.rng.random_bool(0.5);
        dut.set("rd_ready", 0);
        dut.set("rd_pending", self.coming.is_some().into());
        dut.set("rd_failed", self.failed.into());
        dut.eval();
        if dut.get("rd_forget") == 1 {
            self.failed = false;
        }
        let row = dut.get("row") as usize;
        if dut.get("rd_valid") == 1 && ready {
            let (at, dws, to) =
                (dut.get("rd_address") as u64, dut.get("rd_bytes") as usize / 4, dut.get("rd_dest") as usize);
            assert!(at % 8 == 0 && at / PAGE == (at + 4 * dws as u64 - 1) / PAGE, "{dws} DWs from {at:x}");
            for i in 0..dws {
                let quad = self.host.get(&((at + 4 * i as u64) / 8)).copied().unwrap_or(0xdead);
                self.buffer[to + i] = (quad >> (32 * (i % 2))) as u32;
            }
            self.coming = Some((self.rng.random_range(1..6), self.failing));
            self.reads += 1;
            dut.set("rd_ready", 1);
            dut.eval();
        } else if let Some((left, fails)) = self.coming {
            self.coming = if left > 0 { Some((left - 1, fails)) } else { None };
            self.failed |= left == 0 && fails;
        }
        if segments.takes(dut) {
            let last = dut.get("seg_last") == 1;
            out.segments.push((dut.get("seg_address") as u64, dut.get("seg_dws") as u64, last));
        }
        if pieces.takes(dut) {
            let [page, next, at, dws] =
                [(73, 52), (21, 52), (11, 10), (0, 11)].map(|(lo, n)| part(&bench::get(dut, "piece"), lo, n) as u64);
            let next = (at + dws > 1024).then_some(next);
            let [first, last] = ["piece_first", "piece_last"].map(|port| dut.get(port) == 1);
            out.pieces.push(Piece { page, next, at, dws, first, last });
        }
        // It is finished with the last of them, not before and not again.
        let last = out.segments.last().is_some_and(|s| s.2) || out.pieces.last().is_some_and(|p| p.last);
        let finishes = dut.get("finished") == 1;
        assert_eq!(finishes, last && out.finished == 0);
        out.finished += u32::from(finishes);
        dut.clock();
        // The buffer answers a clock later.
        let word = self.buffer[4 * row..4 * row + 4].iter().rev().fold(0, |v, dw| v << 32 | u128::from(*dw));
        self.dut.set("row_data", word);
    }

    /// A whole command, to segments or to pieces.
    fn walk(&mut self, prp1: u64, prp2: u64, dws: u64, cuts: bool) -> Answer {
        let (mut segments, mut pieces) = (Sink::new("seg_", 60), Sink::new("piece_", 60));
        let mut out = Answer::default();
        for (port, v) in [("prp1", prp1), ("prp2", prp2), ("dws", dws), ("start", 1), ("cuts", cuts.into())] {
            self.dut.set(port, v.into());
        }
        for _ in 0..4000 {
            self.dut.eval();
            if self.dut.get("checked") == 1 {
                out.fault = self.dut.get("fault") as u64;
                self.dut.set("start", 0);
                self.clock(&mut segments, &mut pieces, &mut out);
                assert!(out.segments.is_empty() && out.pieces.is_empty(), "something before the answer");
                if out.fault != 0 {
                    return out;
                }
                self.dut.set("go", 1);
                self.clock(&mut segments, &mut pieces, &mut out);
                self.dut.set("go", 0);
                for _ in 0..4000 {
                    if out.finished != 0 {
                        // Nothing comes after that.
                        for _ in 0..4 {
                            self.clock(&mut segments, &mut pieces, &mut out);
                        }
                        return out;
                    }
                    self.clock(&mut segments, &mut pieces, &mut out);
                }
                panic!("never finished");
            }
            self.clock(&mut segments, &mut pieces, &mut out);
        }
        panic!("never checked");
    }

    fn page(&mut self) -> u64 {
        self.rng.random_range(1..1u64 << 40) * PAGE
    }

    /// A good command: its PRPs, with lists in host memory, and its segments. The list's quadwords come last.
    fn command(&mut self) -> (u64, u64, u64, Vec<Segment>, Vec<u64>) {
        let dws = self.rng.random_range(1..=limits::MAX_TRANSFER / 4);
        let dws = if self.rng.random_bool(0.5) { dws % 2048 + 1 } else { dws };
        let offset = if self.rng.random() { self.rng.random_range(0..PAGE / 4) * 4 } else { 0 };
        let prp1 = self.page() + offset;
        let first = dws.min((PAGE - offset) / 4);
        let mut segments = vec![(prp1, first)];
        let mut left = dws - first;
        while left > 0 {
            let n = left.min(PAGE / 4);
            let page = self.page();
            segments.push((page, n));
            left -= n;
        }
        let n = segments.len();
        let (mut prp2, mut places) = (self.rng.random(), vec![]);
        if n == 2 {
            prp2 = segments[1].0;
        } else if n > 2 {
            // A list that begins anywhere in its page, and goes on in another where the page ends.
            let start = if self.rng.random() { PAGE / 8 - self.rng.random_range(2..n as u64 + 2) } else { 0 };
            prp2 = self.page() + 8 * start.min(PAGE / 8 - 2);
            let mut at = prp2 / 8;
            for (i, (page, _)) in segments[1..].iter().enumerate() {
                if at % entry::PRPS_PER_PAGE == entry::PRPS_PER_PAGE - 1 && i + 2 < n {
                    let next = self.page();
                    self.host.insert(at, next);
                    places.push(at);
                    at = next / 8;
                }
                self.host.insert(at, *page);
                places.push(at);
                at += 1;
            }
        }
        let last = segments.len() - 1;
        let segments = segments.into_iter().enumerate().map(|(i, (a, n))| (a, n, i == last)).collect();
        (prp1, prp2, dws, segments, places)
    }
}

#[test]
fn good_prps_become_the_segments_of_the_transfer() {
    let mut w = World::new(1);
    for _ in 0..400 {
        let (prp1, prp2, dws, segments, _) = w.command();
        let answer = w.walk(prp1, prp2, dws, false);
        assert_eq!((answer.fault, &answer.segments), (status::SUCCESS, &segments), "{prp1:x} {prp2:x} {dws}");
        assert!(answer.pieces.is_empty());
    }
}

#[test]
fn good_prps_become_the_pieces_of_a_read() {
    let mut w = World::new(4);
    let (mut two, mut most) = (0, 0);
    for _ in 0..600 {
        let (prp1, prp2, dws, segments, _) = w.command();
        let answer = w.walk(prp1, prp2, dws, true);
        let pieces = cut(&segments);
        assert_eq!((answer.fault, &answer.pieces), (status::SUCCESS, &pieces), "{prp1:x} {prp2:x} {dws}");
        assert!(answer.segments.is_empty());
        two += usize::from(pieces.iter().any(|p| p.next.is_some()));
        most = most.max(segments.len() - pieces.len());
    }
    assert!(two > 100 && most == 1, "{two} of them had pieces in two pages");
    // The longest there is, with as many pages as it can have and as few.
    for offset in [0, 4, 2048, 4092] {
        let pages: Vec<u64> = (0..33).map(|_| w.page()).collect();
        let list = w.page();
        for (i, page) in pages[1..].iter().enumerate() {
            w.host.insert(list / 8 + i as u64, *page);
        }
        let answer = w.walk(pages[0] + offset, list, limits::MAX_TRANSFER / 4, true);
        assert_eq!((answer.fault, answer.pieces.len()), (status::SUCCESS, 32));
        for (i, piece) in answer.pieces.iter().enumerate() {
            let next = (offset != 0).then(|| pages[i + 1] / PAGE);
            assert_eq!((piece.page, piece.next, piece.dws), (pages[i] / PAGE, next, 1024));
        }
    }
}

#[test]
fn a_bad_entry_anywhere_is_an_error_before_anything_happens() {
    let mut w = World::new(2);
    let mut tried = 0;
    while tried < 200 {
        let (mut prp1, mut prp2, dws, segments, places) = w.command();
        match w.rng.random_range(0..4) {
            0 => prp1 |= w.rng.random_range(1..4),
            1 if segments.len() == 2 => prp2 |= w.rng.random_range(1..PAGE),
            2 if segments.len() > 2 => prp2 |= w.rng.random_range(1..8),
            3 if !places.is_empty() => {
                let place = places[w.rng.random_range(0..places.len())];
                *w.host.get_mut(&place).unwrap() |= w.rng.random_range(1..PAGE);
            }
            _ => continue,
        }
        tried += 1;
        let cuts = w.rng.random();
        let answer = w.walk(prp1, prp2, dws, cuts);
        assert_eq!((answer.fault, answer.finished), (status::PRP_OFFSET, 0));
        assert!(answer.segments.is_empty() && answer.pieces.is_empty());
    }
}

#[test]
fn a_list_that_cannot_be_read_is_a_data_transfer_error() {
    let mut w = World::new(3);
    let mut tried = 0;
    while tried < 50 {
        let (prp1, prp2, dws, segments, _) = w.command();
        w.failing = true;
        let reads = w.reads;
        let cuts = w.rng.random();
        let answer = w.walk(prp1, prp2, dws, cuts);
        w.failing = false;
        if segments.len() > 2 {
            tried += 1;
            assert_eq!((answer.fault, answer.finished), (status::DATA_TRANSFER, 0));
            assert!(answer.segments.is_empty() && answer.pieces.is_empty());
        } else {
            assert_eq!((w.reads, answer.fault), (reads, status::SUCCESS), "no list, no read");
        }
        // The next one is not hurt by it.
        let (prp1, prp2, dws, segments, _) = w.command();
        assert_eq!(w.walk(prp1, prp2, dws, false).segments, segments);
        assert_eq!(w.walk(prp1, prp2, dws, true).pieces, cut(&segments));
    }
}

const _: () = assert!(LIST_ROW * 4 + limits::MAX_TRANSFER / PAGE * 2 <= 128);
