//! The mover: pieces and their rows in, memory writes of Max_Payload_Size out, byte for byte.

use std::collections::{HashMap, VecDeque};

use azote_hdl::BigUint;
use azote_regs::function::{FunctionId, Kind};
use azote_regs::nvme::status;
use azote_regs::pcie::{express, tlp};
use azote_rtl::storage::data::mover::Mover;
use azote_rtl::transaction::header::Sends;
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench::{self, Feed, Packets, Sink, cat};

const BUS: u64 = 0x21;
const PAGE_DWS: u64 = 1024;

#[derive(Clone)]
struct Piece {
    page: bool,
    zeroes: bool,
    skip: u64,
    tag: u64,
    first: u64,
    second: u64,
    dw: u64,
    dws: u64,
    broken: bool,
    words: Vec<u32>,
}

impl Piece {
    fn random(rng: &mut SmallRng, n: u64) -> Piece {
        let page = rng.random_ratio(1, 3);
        let zeroes = rng.random_ratio(1, 4);
        let dws = if rng.random() { rng.random_range(1..=PAGE_DWS) } else { rng.random_range(1..40) };
        let high = if rng.random() { 1 << 33 } else { 0 };
        Piece {
            page,
            zeroes,
            skip: if page && !zeroes { rng.random_range(0..4) } else { 0 },
            tag: rng.random_range(0..5) << 6 | rng.random_range(0..64),
            first: (2 * n + 1) | high,
            second: 2 * n + 2,
            dw: if rng.random() { 0 } else { rng.random_range(0..PAGE_DWS) },
            dws,
            broken: !zeroes && rng.random_ratio(1, 8),
            words: (0..dws).map(|_| if zeroes { 0 } else { rng.random() }).collect(),
        }
    }

    fn bits(&self) -> BigUint {
        let (page, zeroes) = ((self.page.into(), 1), (self.zeroes.into(), 1));
        let place = [(self.first, 52), (self.second, 52), (self.dw, 10), (self.dws, 11)].map(|(v, n)| (v.into(), n));
        cat(&[&[page, zeroes, (self.skip.into(), 2), (self.tag.into(), 12)][..], &place].concat())
    }

    /// Its rows, `{error, last, row}`. What is before and after its data belongs to nobody.
    fn rows(&self) -> Vec<BigUint> {
        if self.zeroes {
            return vec![];
        }
        let mut words = vec![0xdead_beef; self.skip as usize];
        words.extend(&self.words);
        words.resize(words.len().next_multiple_of(4), 0xdead_beef);
        let rows = words.len() / 4;
        let row = |dws: &[u32]| dws.iter().rev().fold(0, |v, dw| v << 32 | u128::from(*dw));
        words
            .chunks(4)
            .enumerate()
            .map(|(i, dws)| {
                let last = i + 1 == rows;
                cat(&[((last && self.broken).into(), 1), (last.into(), 1), (row(dws), 128)])
            })
            .collect()
    }

    /// The DWs of host memory that it becomes.
    fn lands(&self) -> impl Iterator<Item = (u64, u32)> {
        let room = PAGE_DWS - self.dw;
        (0..self.dws).zip(&self.words).map(move |(i, word)| {
            let at =
                if i < room { (self.first << 12) + 4 * (self.dw + i) } else { (self.second << 12) + 4 * (i - room) };
            (at, *word)
        })
    }
}

/// Drives pieces, and the rows of each source once its piece was called for.
struct Sources {
    pieces: Feed,
    media: Feed,
    page: Feed,
    waiting: VecDeque<Piece>,
}

impl Sources {
    fn new() -> Sources {
        let feed = |name| Feed::new(name, 100);
        Sources {
            pieces: Feed::new("piece_", 60),
            media: feed("media_"),
            page: feed("page_"),
            waiting: VecDeque::new(),
        }
    }

    fn drive(&mut self, dut: &mut Dut, rng: &mut SmallRng) {
        self.pieces.drive(dut, rng);
        self.media.drive(dut, rng);
        self.page.drive(dut, rng);
    }

    fn taken(&mut self, dut: &Dut) {
        self.media.taken(dut);
        self.page.taken(dut);
        if self.pieces.taken(dut).is_some() {
            let piece = self.waiting.pop_front().unwrap();
            let feed = if piece.page { &mut self.page } else { &mut self.media };
            piece.rows().into_iter().for_each(|row| feed.push("data", row));
        }
    }

    fn push(&mut self, piece: &Piece) {
        self.pieces.push("data", piece.bits());
        self.waiting.push_back(piece.clone());
    }
}

#[test]
fn data_lands_where_its_pieces_say_in_whole_packets_and_the_end_is_told_once() {
    let mut dut = bench::build("mover", Mover::new);
    let mut rng = bench::rng(1);
    let mut sources = Sources::new();
    let (mut link, mut left) = (Packets::new("tx_", 80), Sink::new("left_", 40));
    // Host memory as it must become, by address, with whose packet brings it; and the pieces under way, with
    // whether a packet of theirs was swallowed, and how many DWs have the link.
    let mut expected: HashMap<u64, (u32, u64)> = HashMap::new();
    let mut under_way: VecDeque<(Piece, bool, u64)> = VecDeque::new();
    let (mut mps, mut finished, mut started, mut rows, mut drained, mut swallowed) = (0, 0, 0u64, 0, 0, 0);
    let mut killing = false;
    while finished < 1500 {
        if under_way.is_empty() && dut.get("busy") == 0 {
            mps = if rng.random() { express::MPS_256 } else { 0 };
            dut.set("mps", mps.into());
        }
        if started < 1500 && under_way.len() < 6 && (started % 40 != 0 || dut.get("busy") == 0) {
            started += 1;
            let piece = Piece::random(&mut rng, started);
            expected.extend(piece.lands().map(|(at, word)| (at, (word, piece.tag >> 6))));
            rows += piece.rows().len();
            sources.push(&piece);
            under_way.push_back((piece, false, 0));
        }
        sources.drive(&mut dut, &mut rng);
        link.drive(&mut dut, &mut rng);
        left.drive(&mut dut, &mut rng);
        dut.eval();
        // A packet is swallowed as a whole: the gate says so from its first beat on.
        if dut.get("tx_valid") == 1 && dut.get("tx_sop") == 1 && dut.get("tx_killed") == u128::from(killing) {
            killing = rng.random_ratio(1, 30);
            dut.set("tx_killed", killing.into());
            dut.eval();
        }
        let begins = dut.get("tx_valid") == 1 && dut.get("tx_ready") == 1 && dut.get("tx_sop") == 1;
        if begins {
            let at = dut.get("tx_data");
            let long = tlp::FMT_BIT_4DW.is_set(at as u64 & 0xffff_ffff);
            let dw = |n: u32| (at >> (32 * n)) as u64 & 0xffff_ffff;
            let page = (if long { dw(2) << 32 | dw(3) } else { dw(2) }) >> 12;
            let piece = under_way.iter_mut().find(|(p, ..)| p.first == page || p.second == page).unwrap();
            piece.1 |= killing;
            piece.2 += tlp::LENGTH.of(dw(0));
            swallowed += u64::from(killing);
        }
        if let Some(p) = link.taken(&dut).map(|p| p.signed(Sends::WRITE, BUS)) {
            let dws = tlp::LENGTH.of(p.dw(0));
            let long = tlp::FMT_BIT_4DW.is_set(p.dw(0));
            let at = if long { p.dw(2) << 32 | p.dw(3) } else { p.dw(2) };
            assert_eq!(tlp::FMT_TYPE.of(p.dw(0)), if long { tlp::MWR64 } else { tlp::MWR32 });
            assert_eq!(long, at >> 32 != 0);
            assert_eq!(p.payload.len() as u64, dws);
            assert!(4 * dws <= express::payload_bytes(mps) && at % 4096 + 4 * dws <= 4096);
            assert_eq!((tlp::FIRST_BE.of(p.dw(1)), tlp::LAST_BE.of(p.dw(1))), (15, if dws == 1 { 0 } else { 15 }));
            for (i, word) in p.payload.iter().enumerate() {
                let found = expected.remove(&(at + 4 * i as u64));
                let (want, slot) = found.expect("a DW that was not asked for, or twice");
                assert_eq!(*word, want);
                let f = if slot == 0 {
                    Some(FunctionId::pf(Kind::Storage))
                } else {
                    FunctionId::vf(Kind::Storage, slot as u8 - 1)
                };
                assert_eq!(tlp::REQUESTER_ID.of(p.dw(1)), tlp::ID_BUS.put(BUS) | u64::from(f.unwrap().number()));
                assert_eq!(u64::from(p.owner), slot << 2 | Kind::Storage.code());
            }
        }
        if left.takes(&dut) {
            let (piece, hurt, sent) = under_way.pop_front().unwrap();
            assert_eq!(sent, piece.dws, "its last packet has the link when its end is told");
            let got = ["page", "tag", "code"].map(|f| dut.get(&format!("left_{f}")) as u64);
            let code = match (piece.broken, hurt) {
                (true, _) => status::UNRECOVERED_READ,
                (_, true) => status::DATA_TRANSFER,
                _ => status::SUCCESS,
            };
            assert_eq!(got, [piece.page.into(), piece.tag, code]);
            finished += 1;
        }
        drained += dut.get("drained") as usize;
        sources.taken(&dut);
        dut.clock();
        assert!(dut.clocks() < 3_000_000, "stuck after {finished}");
    }
    for _ in 0..200 {
        dut.set("tx_ready", 1);
        dut.eval();
        drained += dut.get("drained") as usize;
        dut.clock();
    }
    assert_eq!((drained, dut.get("busy")), (rows, 0), "each row left once");
    assert!(swallowed > 100, "{swallowed}");
}

#[test]
fn an_answer_without_pauses_never_holds_the_link_and_its_packet_begins_with_its_first_row() {
    let mut dut = bench::build("mover", Mover::new);
    let mut rng = bench::rng(2);
    dut.set("mps", express::MPS_256.into());
    for port in ["tx_ready", "left_ready"] {
        dut.set(port, 1);
    }
    for n in 0..60u64 {
        let mut sources = Sources::new();
        let piece = Piece { page: false, skip: 0, zeroes: false, ..Piece::random(&mut rng, n) };
        let piece = Piece { words: (0..piece.dws).map(|_| rng.random()).collect(), ..piece };
        sources.push(&piece);
        let (mut midway, mut first, mut begun) = (false, None, None);
        let (mut told, mut over) = (false, false);
        while !over {
            sources.drive(&mut dut, &mut rng);
            dut.eval();
            let valid = dut.get("tx_valid") == 1;
            assert!(valid || !midway, "a packet that began has all of its data");
            midway = if valid { dut.get("tx_eop") == 0 } else { midway };
            if dut.get("media_valid") == 1 && dut.get("media_ready") == 1 {
                first.get_or_insert(dut.clocks());
            }
            if valid {
                begun.get_or_insert(dut.clocks());
            }
            told |= dut.get("left_valid") == 1;
            over = told && !midway;
            assert!(dut.clocks() < 400_000, "stuck");
            sources.taken(&dut);
            dut.clock();
        }
        let waited = begun.unwrap() - first.unwrap();
        assert!(waited <= 4, "{waited} clocks from the first row to the first header");
        for _ in 0..20 {
            dut.set("media_valid", 0);
            dut.eval();
            dut.clock();
        }
    }
}

#[test]
fn data_of_which_a_packet_was_swallowed_ends_in_a_data_transfer_error_and_the_next_does_not() {
    let mut dut = bench::build("mover", Mover::new);
    let mut rng = bench::rng(3);
    dut.set("mps", express::MPS_256.into());
    dut.set("tx_ready", 1);
    dut.set("left_ready", 1);
    // Which packet of the five is swallowed, if any: of data and of zeroes, of the medium and of a page.
    let which = [Some(0), None, Some(1), Some(2), None, Some(3), Some(4), None];
    for (n, swallowed) in (0u64..).zip((0..8).flat_map(|_| which)) {
        let piece = Piece { dws: 300, dw: 0, broken: false, ..Piece::random(&mut rng, n) };
        let piece = Piece { words: vec![0; 300], ..piece };
        let mut sources = Sources::new();
        sources.push(&piece);
        let mut packet = None;
        let code = loop {
            sources.drive(&mut dut, &mut rng);
            dut.eval();
            if dut.get("tx_valid") == 1 && dut.get("tx_sop") == 1 {
                packet = Some(packet.map_or(0, |packet| packet + 1));
                dut.set("tx_killed", (packet == swallowed).into());
                dut.eval();
            }
            let left = (dut.get("left_valid") == 1).then(|| dut.get("left_code") as u64);
            sources.taken(&dut);
            dut.clock();
            if let Some(code) = left {
                break code;
            }
            assert!(dut.clocks() < 100_000, "stuck");
        };
        assert_eq!(packet, Some(4), "five packets");
        assert_eq!(code, if swallowed.is_some() { status::DATA_TRANSFER } else { status::SUCCESS });
        // The rest of the last packet.
        dut.set("piece_valid", 0);
        for _ in 0..30 {
            dut.set("media_valid", 0);
            dut.set("page_valid", 0);
            dut.eval();
            assert_eq!(dut.get("left_valid"), 0, "told once");
            dut.clock();
        }
    }
}
