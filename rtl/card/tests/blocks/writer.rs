//! The writer: data from host memory to the media in order, while it lands, and the right end when either side fails.

use std::collections::{HashMap, VecDeque};

use azote_regs::function::Kind;
use azote_regs::media;
use azote_regs::nvme::{limits, status};
use azote_rtl::storage::data::writer::{CHUNKS, Writer};
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench::{self, Feed, Sink, cat};
use crate::landing::{CHUNK, Landing};

/// DWs of a block; blocks of a chunk.
const BLOCK: u64 = limits::LBA_SIZE / 4;
const PER: u64 = CHUNK / BLOCK;

#[derive(Debug, Clone)]
struct Command {
    tag: u64,
    op: u64,
    volume: u64,
    lba: u64,
    blocks: u64,
    fua: bool,
    /// Of a list of ranges: in blocks of 4 KiB, and `(first, blocks)` of each.
    big: bool,
    ranges: Vec<(u64, u64)>,
    words: Vec<u32>,
    /// Which of its chunks cannot be read.
    broken: Vec<bool>,
}

impl Command {
    fn has_data(&self) -> bool {
        [media::WRITE, media::COMPARE, media::RANGES].contains(&self.op)
    }

    fn random(rng: &mut SmallRng) -> Command {
        let plain = [media::FLUSH, media::ZEROES, media::DEALLOCATE, media::VERIFY, media::COMPARE, media::RANGES];
        let op = plain.get(rng.random_range(0..12usize)).copied().unwrap_or(media::WRITE);
        let list = op == media::RANGES;
        let data = list || op == media::WRITE || op == media::COMPARE;
        let (big, length) = (list && rng.random(), 1 << rng.random_range(10..47u64));
        let end = if big { length / PER } else { length };
        let range = |rng: &mut SmallRng| {
            let blocks = if rng.random_ratio(1, 8) { 0 } else { rng.random_range(1..64) };
            if rng.random_ratio(1, 300) {
                return [(end, 1), (end - 1, 2), (u64::MAX, 1), (u64::MAX >> 3, 8)][rng.random_range(0..4)];
            }
            (rng.random_range(0..=end - blocks), blocks)
        };
        let rows = if list { rng.random_range(1..=media::RANGE_ROWS) } else { 0 };
        let ranges: Vec<_> = (0..rows).map(|_| range(rng)).collect();
        let few = if rng.random() { 4 } else { limits::MAX_BLOCKS / 4 };
        let blocks = if data { rng.random_range(1..=few) } else { rng.random_range(1..3 * media::LONG_BLOCKS) };
        let words: Vec<u32> = match list {
            true => ranges.iter().flat_map(|r| [rng.random(), r.1 as u32, r.0 as u32, (r.0 >> 32) as u32]).collect(),
            false => (0..if data { blocks * BLOCK } else { 0 }).map(|_| rng.random()).collect(),
        };
        let broken = (0..(words.len() as u64).div_ceil(CHUNK)).map(|_| rng.random_ratio(1, 15)).collect();
        Command {
            tag: rng.random_range(0..media::ASIDE_FIRST << 6),
            op,
            volume: rng.random_range(0..256),
            lba: rng.random::<u64>() >> 18,
            blocks: if list { length } else { blocks },
            fua: rng.random(),
            big,
            ranges,
            words,
            broken,
        }
    }

    /// All ranges lie in the namespace, which has `blocks` blocks from `lba` on; one as the media count.
    fn in_range(&self) -> bool {
        self.ranges.iter().all(|r| (u128::from(r.0) + u128::from(r.1)) * self.scale() <= self.blocks.into())
    }

    fn scale(&self) -> u128 {
        if self.big { PER.into() } else { 1 }
    }

    fn pieces(&self) -> VecDeque<Piece> {
        let request = |lba, blocks, words: &[u32], broken| Piece {
            tag: self.tag,
            request: [self.op, self.fua.into(), self.volume, lba, blocks],
            words: words.to_vec(),
            code: if broken { status::DATA_TRANSFER } else { status::SUCCESS },
            all: self.blocks & 0xf_ffff,
            first: false,
            last: false,
        };
        let mut pieces: VecDeque<Piece> = match self.op {
            media::FLUSH => [request(self.lba, 0, &[], false)].into(),
            media::RANGES => {
                let row = |r: &(u64, u64)| {
                    let first = ((u128::from(r.0) * self.scale()) as u64).wrapping_add(self.lba);
                    let blocks = (u128::from(r.1) * self.scale()) as u64;
                    [blocks as u32, (blocks >> 32) as u32, first as u32, (first >> 32) as u32]
                };
                let rows: Vec<u32> = self.ranges.iter().flat_map(row).collect();
                let mut piece = request(self.lba, self.ranges.len() as u64, &rows, self.broken[0]);
                if piece.code == status::SUCCESS && !self.in_range() {
                    piece.code = status::LBA_OUT_OF_RANGE;
                }
                [piece].into()
            }
            media::ZEROES | media::VERIFY => {
                [request(self.lba, self.blocks.min(media::LONG_BLOCKS), &[], false)].into()
            }
            media::DEALLOCATE => [request(self.lba, self.blocks, &[], false)].into(),
            _ => {
                let chunk = |(i, words): (usize, &[u32])| {
                    let lba = self.lba + i as u64 * PER;
                    request(lba, words.len() as u64 / BLOCK, words, self.broken[i])
                };
                self.words.chunks(CHUNK as usize).enumerate().map(chunk).collect()
            }
        };
        let end = pieces.len() - 1;
        (pieces[0].first, pieces[end].last) = (true, true);
        pieces
    }
}

/// What is to become of a piece: `{op, fua, volume, lba, blocks}` with these words, or its code.
struct Piece {
    tag: u64,
    request: [u64; 5],
    words: Vec<u32>,
    code: u64,
    all: u64,
    first: bool,
    last: bool,
}

#[derive(Default)]
struct Seen {
    commands: usize,
    failed: usize,
    early: usize,
    spoilt: usize,
    again: usize,
    ahead: usize,
}

struct World {
    dut: Dut,
    rng: SmallRng,
    commands: Feed,
    segments: Feed,
    writes: Sink,
    host: HashMap<u64, (u32, bool)>,
    landing: Landing,
    nullifies: bool,
    /// Pieces in their order, and whether one of the command at hand has failed.
    under_way: VecDeque<Piece>,
    hurt: bool,
    /// The piece that is open, those that were asked for and wait for their data, what was sent of the first, and the media's verdict
    /// on its way.
    open: Option<(u64, Piece)>,
    asked: VecDeque<(u64, Piece)>,
    sent: Vec<u32>,
    verdict: Option<u32>,
    base: u64,
    seen: Seen,
}

impl World {
    fn add(&mut self) {
        let c = Command::random(&mut self.rng);
        // The data lies in segments of one page each, of any length.
        let mut at = 0;
        while at < c.words.len() as u64 {
            let n = if self.rng.random() { CHUNK } else { self.rng.random_range(1..=CHUNK) };
            let n = n.min(c.words.len() as u64 - at);
            let offset = if self.rng.random() { 0 } else { self.rng.random_range(0..=CHUNK - n) };
            self.base += 1 << limits::PAGE_SHIFT;
            for i in 0..n {
                let word = c.words[(at + i) as usize];
                self.host.insert(self.base / 4 + offset + i, (word, c.broken[((at + i) / CHUNK) as usize]));
            }
            at += n;
            let last = u128::from(at == c.words.len() as u64);
            let address = self.base + 4 * offset;
            self.segments.push("data", cat(&[(last, 1), (n.into(), 11), (address.into(), 64)]));
        }
        let flags = [(c.tag.into(), 12), (c.big.into(), 1), (c.fua.into(), 1)];
        let what = [(c.op.into(), 4), (c.volume.into(), 8), (c.blocks.into(), 48), (c.lba.into(), 48)];
        self.commands.push("data", cat(&[flags.as_slice(), what.as_slice()].concat()));
        assert!(c.has_data() || c.words.is_empty());
        self.under_way.extend(c.pieces());
    }

    fn get(&self, port: &str) -> u64 {
        self.dut.get(port) as u64
    }

    /// A piece is over.
    fn over(&mut self, piece: &Piece, failed: bool) {
        if failed {
            // All that follow of its command fail as well.
            self.hurt = !piece.last;
        }
        self.seen.commands += usize::from(piece.last);
        self.seen.failed += usize::from(piece.last && failed);
    }

    fn opened(&mut self) {
        assert!(self.open.is_none(), "one is open");
        let piece = self.under_way.pop_front().expect("a piece that nobody asked for");
        assert_eq!((self.get("open_first") == 1, self.get("open_cmd")), (piece.first, piece.tag));
        let code = self.get("open_code");
        if code != 0 {
            assert_eq!(code, if self.hurt { status::DATA_TRANSFER } else { piece.code });
            self.over(&piece, true);
            return;
        }
        assert!(!self.hurt, "nothing after what failed is asked for");
        if [media::ZEROES, media::VERIFY].contains(&piece.request[0]) {
            assert_eq!(self.get("media_all"), piece.all);
        }
        let own = self.rng.random_range(0..1 << media::TAG_BITS);
        self.open = Some((if piece.first { piece.tag } else { own }, piece));
    }

    fn requested(&mut self) {
        // It is open, or the one that was spoilt is asked for once more.
        let (tag, piece) = self.open.take().or_else(|| self.asked.pop_front()).expect("nothing is open");
        assert_eq!(self.get("media_tag"), tag);
        assert!(self.verdict.is_none());
        let got = ["op", "fua", "volume", "lba", "blocks"].map(|field| self.get(&format!("media_{field}")));
        assert_eq!(got, piece.request);
        if piece.words.is_empty() {
            assert_eq!(piece.code, status::SUCCESS);
            self.over(&piece, false);
        } else {
            self.seen.early += usize::from(self.landing.pending() != 0);
            self.asked.push_back((tag, piece));
            self.seen.ahead += usize::from(self.asked.len() == 2);
        }
    }

    fn sent(&mut self, row: u128) {
        self.sent.extend((0..4).map(|i| (row >> (32 * i)) as u32));
        let piece = &self.asked.front().expect("data that nobody was told of").1;
        let last = self.sent.len() == piece.words.len();
        assert_eq!(self.dut.get("wr_last") == 1, last);
        let spoilt = self.dut.get("wr_spoilt") == 1;
        assert!(last || !spoilt);
        if !last {
            return;
        }
        let sent = std::mem::take(&mut self.sent);
        if spoilt {
            assert!(self.nullifies || piece.code == status::DATA_TRANSFER, "spoilt for nothing");
            assert_eq!(self.asked.len(), 1, "another was asked for before this one was known to be good");
            self.seen.spoilt += 1;
            self.verdict = Some(self.rng.random_range(0..30));
        } else {
            assert_eq!(piece.code, status::SUCCESS, "broken data is written");
            assert!(sent == piece.words, "other data is written than the host has");
            let (_, piece) = self.asked.pop_front().unwrap();
            self.over(&piece, false);
        }
    }

    fn clock(&mut self) {
        self.commands.drive(&mut self.dut, &mut self.rng);
        self.segments.drive(&mut self.dut, &mut self.rng);
        self.writes.drive(&mut self.dut, &mut self.rng);
        self.dut.set("rd_pending", self.landing.pending());
        self.dut.set("rd_failed", self.landing.failed);
        let beat = self.landing.beat(&mut self.rng);
        self.dut.set("landed", beat.landed.is_some().into());
        if let Some((at, words)) = &beat.landed {
            self.dut.set("landed_at", *at as u128);
            self.dut.set("landed_dws", words.len() as u128);
        }
        self.dut.set("nulled", beat.nulled.is_some().into());
        self.dut.set("nulled_chunk", beat.nulled.unwrap_or(0) as u128);
        let read_ready = self.landing.asked() < 20 && self.rng.random_ratio(1, 3);
        self.dut.set("rd_ready", read_ready.into());
        let media_ready = self.rng.random_ratio(1, 3);
        self.dut.set("media_ready", media_ready.into());
        self.dut.set("opened", 0);
        self.dut.set("again", 0);
        self.dut.set("gone", 0);
        self.dut.eval();
        let opened = self.dut.get("open") == 1 && self.rng.random_ratio(1, 2);
        if opened {
            self.opened();
            self.dut.set("opened", 1);
            self.dut.set("tag", self.open.as_ref().map_or(0, |open| open.0).into());
        }
        match self.verdict {
            Some(0) => {
                self.verdict = None;
                // Or it was cancelled meanwhile.
                let again = self.dut.get("redo") == 1 && !self.rng.random_ratio(1, 10);
                assert!(!again || self.asked[0].1.code == status::SUCCESS, "broken data is tried again");
                self.dut.set(if again { "again" } else { "gone" }, 1);
                self.seen.again += usize::from(again);
                if !again {
                    let (_, piece) = self.asked.pop_front().unwrap();
                    self.over(&piece, true);
                }
            }
            left => self.verdict = left.map(|clocks| clocks - 1),
        }
        self.dut.eval();
        self.landing.failed &= !self.dut.get("rd_forget");
        if self.dut.get("rd_valid") == 1 && read_ready {
            let (at, dws, dest) = (self.get("rd_address"), self.get("rd_bytes") / 4, self.get("rd_dest"));
            assert!((1..=CHUNK).contains(&dws) && at % 4096 + 4 * dws <= 4096);
            assert_eq!(dest / CHUNK, self.get("rd_client"), "into its own chunk");
            assert!(dest % CHUNK + dws <= CHUNK);
            assert_eq!(self.get("rd_owner") & 3, Kind::Storage.code());
            assert!(self.under_way.iter().any(|piece| piece.tag >> 6 == self.get("rd_owner") >> 2));
            let words: Vec<_> = (0..dws).map(|i| self.host[&(at / 4 + i)]).collect();
            self.landing.ask(dest as usize, words.iter().map(|w| w.0).collect(), words[0].1);
        }
        if self.dut.get("media_valid") == 1 && media_ready {
            self.requested();
        }
        if let Some(row) = self.writes.taken(&self.dut, "data") {
            self.sent(bench::part(&row, 0, 128));
        }
        self.commands.taken(&self.dut);
        self.segments.taken(&self.dut);
        let row = 4 * self.dut.get("row") as usize;
        let word = self.landing.buffer[row..row + 4].iter().rev().fold(0, |v, dw| v << 32 | u128::from(*dw));
        self.dut.clock();
        if let Some((at, words)) = beat.landed {
            self.landing.buffer[at..at + words.len()].copy_from_slice(&words);
        }
        self.dut.set("row_data", word);
    }
}

fn run(nullified: u32, overtakes: u32) -> Seen {
    let mut w = World {
        dut: bench::build("writer", Writer::new),
        rng: bench::rng(1),
        commands: Feed::new("cmd_", 50),
        segments: Feed::new("seg_", 60),
        writes: Sink::new("wr_", 80),
        host: HashMap::new(),
        landing: Landing::new(nullified, overtakes),
        nullifies: nullified > 0,
        under_way: VecDeque::new(),
        hurt: false,
        open: None,
        asked: VecDeque::new(),
        sent: Vec::new(),
        verdict: None,
        base: 1 << 33,
        seen: Seen::default(),
    };
    while w.seen.commands < 400 {
        if w.commands.items.len() < 3 && w.segments.items.len() < 20 && w.under_way.len() < 4 * CHUNKS {
            w.add();
        }
        w.clock();
        assert!(w.dut.clocks() < 2_000_000, "stuck after {} commands", w.seen.commands);
    }
    w.seen
}

#[test]
fn writes_reach_the_media_in_order_while_they_land_and_no_block_of_broken_data_does() {
    let seen = run(0, 0);
    assert!(seen.failed > 30 && seen.early > 200, "{} failed, {} early", seen.failed, seen.early);
    assert!(seen.spoilt > 10 && seen.ahead > 50, "{} were spoilt, {} asked for ahead", seen.spoilt, seen.ahead);
    assert_eq!(seen.again, 0);
}

#[test]
fn what_overtakes_and_what_is_nullified_changes_nothing_but_the_time() {
    let seen = run(100, 20);
    assert!(seen.again > 20, "{} again", seen.again);
}
