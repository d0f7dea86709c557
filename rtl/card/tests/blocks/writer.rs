//! The writer: data from host memory to the media in order, and the right status when either side fails.

use std::collections::{HashMap, VecDeque};

use azote_regs::function::Kind;
use azote_regs::media;
use azote_regs::nvme::{limits, status};
use azote_rtl::storage::data::writer::{CHUNKS, Work, Writer};
use rand::Rng;

use crate::bench::{self, Feed, Sink, cat};

/// DWs of a chunk and of a block.
const CHUNK: u64 = limits::PAGE_SIZE / 4;
const BLOCK: u64 = limits::LBA_SIZE / 4;

#[derive(Debug)]
struct Command {
    who: [u64; 3],
    op: u64,
    volume: u64,
    lba: u64,
    blocks: u64,
    fua: bool,
    /// Of a list of ranges: in blocks of 4 KiB, and `(first, blocks)` of each.
    big: bool,
    ranges: Vec<(u64, u64)>,
    /// The chunks of a write: whether its data can be read, and what the media will say.
    chunks: Vec<(bool, bool)>,
    words: Vec<u32>,
    slot: u64,
}

/// What the media must see: `(op, fua, volume, lba, blocks, first DW, answer)`.
type Operation = (u64, bool, u64, u64, u64, usize, u64);

impl Command {
    fn has_data(&self) -> bool {
        [media::WRITE, media::COMPARE, Work::RANGES].contains(&self.op)
    }

    fn scale(&self) -> u128 {
        if self.big && self.op == Work::RANGES { 8 } else { 1 }
    }

    /// All ranges lie in the namespace, which has `blocks` blocks from `lba` on.
    fn in_range(&self) -> bool {
        let end = |r: &(u64, u64)| (u128::from(r.0) + u128::from(r.1)) * self.scale();
        self.ranges.iter().all(|r| end(r) <= self.blocks.into())
    }

    /// What the media says when it cannot.
    fn answer(&self, error: bool) -> u64 {
        match (error, self.op) {
            (false, _) => media::DONE,
            (_, media::COMPARE) if self.who[2].is_multiple_of(2) => media::DIFFERS,
            _ => media::FAILED,
        }
    }

    fn operations(&self) -> Vec<Operation> {
        let error = self.chunks[0].1;
        if self.op == Work::RANGES {
            if !(self.in_range() && self.chunks[0].0) {
                return vec![];
            }
            let wanted = self.ranges.iter().filter(|r| r.1 != 0);
            return wanted
                .map(|&(first, blocks)| {
                    let (lba, n) =
                        ((u128::from(first) * self.scale()) as u64, (u128::from(blocks) * self.scale()) as u64);
                    (media::DEALLOCATE, self.fua, self.volume, self.lba + lba, n, 0, self.answer(error))
                })
                .collect();
        }
        if !self.has_data() {
            return vec![(self.op, self.fua, self.volume, self.lba, self.blocks, 0, self.answer(error))];
        }
        // From the first chunk that could not be read, nothing is written.
        let per = CHUNK / BLOCK;
        let good = self.chunks.iter().take_while(|c| c.0).count();
        (0..good as u64)
            .map(|i| {
                let blocks = per.min(self.blocks - i * per);
                let answer = self.answer(self.chunks[i as usize].1);
                (self.op, self.fua, self.volume, self.lba + i * per, blocks, (i * CHUNK) as usize, answer)
            })
            .collect()
    }

    fn status(&self) -> u64 {
        // The first thing that went wrong counts.
        for (readable, media_error) in &self.chunks {
            if !readable {
                return status::DATA_TRANSFER;
            }
            if self.op == Work::RANGES && !self.in_range() {
                return status::LBA_OUT_OF_RANGE;
            }
            if *media_error && !self.operations().is_empty() {
                return match (self.op, self.answer(true)) {
                    (_, media::DIFFERS) => status::COMPARE_FAILURE,
                    (media::VERIFY | media::COMPARE, _) => status::UNRECOVERED_READ,
                    _ => status::WRITE_FAULT,
                };
            }
        }
        status::SUCCESS
    }
}

#[test]
fn writes_reach_the_media_in_order_and_no_block_of_broken_data_does() {
    let mut dut = bench::build("writer", Writer::new);
    let mut rng = bench::rng(1);
    let (mut commands, mut segments) = (Feed::new("cmd_", 50), Feed::new("seg_", 60));
    let (mut done, mut media_writes) = (Sink::new("done_", 50), Sink::new("wr_", 80));
    let mut under_way: VecDeque<Command> = VecDeque::new();
    // Host memory by DW address; which reads belong to chunks that cannot be read.
    let mut host: HashMap<u64, (u32, bool)> = HashMap::new();
    let mut buffer = vec![0u32; CHUNKS * CHUNK as usize];
    let mut landing: Vec<(u32, usize, u64, u64)> = Vec::new();
    let mut failed = 0u128;
    // What the media is to see, what it is writing, and what it has to answer.
    let mut expected: VecDeque<Operation> = VecDeque::new();
    let mut words: VecDeque<Vec<u32>> = VecDeque::new();
    let mut streaming: VecDeque<u32> = VecDeque::new();
    let mut answers: VecDeque<u64> = VecDeque::new();
    let mut base = 1u64 << 33;
    let (mut finished, mut bad) = (0, 0);
    while finished < 500 {
        if commands.items.len() < 3 && segments.items.len() < 20 && under_way.len() < 12 {
            let kind = rng.random_range(0..12usize);
            let plain = [media::FLUSH, media::ZEROES, media::DEALLOCATE, media::VERIFY, media::COMPARE, Work::RANGES];
            let op = plain.get(kind).copied().unwrap_or(media::WRITE);
            let list = op == Work::RANGES;
            let data = list || op == media::WRITE || op == media::COMPARE;
            let length = 1 << rng.random_range(10..47u64);
            // A flush of the card's own is told to nobody but the card.
            let big = (list || op == media::FLUSH) && rng.random();
            let ranges: Vec<(u64, u64)> = (0..if list { rng.random_range(1..=256) } else { 0 })
                .map(|_| {
                    let blocks = if rng.random_ratio(1, 8) { 0 } else { rng.random_range(1..64) };
                    let end = if big { length / 8 } else { length };
                    if rng.random_ratio(1, 300) {
                        return [(end, 1), (end - 1, 2), (u64::MAX, 1), (u64::MAX >> 3, 8)][rng.random_range(0..4)];
                    }
                    (rng.random_range(0..=end - blocks), blocks)
                })
                .collect();
            let blocks =
                if rng.random() { rng.random_range(1..=limits::MAX_BLOCKS / 4) } else { rng.random_range(1..4) };
            let dws = if list { 4 * ranges.len() as u64 } else { blocks * BLOCK };
            let n = if data { dws.div_ceil(CHUNK) } else { 1 };
            let chunks: Vec<_> = (0..n).map(|_| (!data || !rng.random_ratio(1, 15), rng.random_ratio(1, 15))).collect();
            let who = [rng.random_range(0..60), rng.random_range(0..8), rng.random_range(0..1 << 16)];
            let data_words: Vec<u32> = match list {
                true => {
                    ranges.iter().flat_map(|r| [rng.random(), r.1 as u32, r.0 as u32, (r.0 >> 32) as u32]).collect()
                }
                false => (0..if data { dws } else { 0 }).map(|_| rng.random()).collect(),
            };
            let c = Command {
                who,
                op,
                volume: rng.random_range(0..256),
                lba: rng.random::<u64>() >> 18,
                blocks: if list { length } else { blocks },
                fua: rng.random(),
                big,
                ranges,
                words: data_words,
                chunks,
                slot: who[0],
            };
            // The data lies in segments of one page each, of any length.
            let mut at = 0;
            while at < c.words.len() as u64 {
                let n = rng.random_range(1..=CHUNK).min(c.words.len() as u64 - at);
                let offset = if rng.random() { 0 } else { rng.random_range(0..=CHUNK - n) };
                base += 1 << limits::PAGE_SHIFT;
                for i in 0..n {
                    let chunk = ((at + i) / CHUNK) as usize;
                    host.insert(base / 4 + offset + i, (c.words[(at + i) as usize], c.chunks[chunk].0));
                }
                at += n;
                let last = u128::from(at == c.words.len() as u64);
                segments.push("data", cat(&[(last, 1), (n.into(), 11), ((base + 4 * offset).into(), 64)]));
            }
            let who = [(who[0].into(), 6), (who[1].into(), 3), (who[2].into(), 16)];
            let flags = [(c.big.into(), 1), (c.fua.into(), 1)];
            let what = [(c.op.into(), 3), (c.volume.into(), 8), (c.blocks.into(), 48), (c.lba.into(), 48)];
            commands.push("data", cat(&[who.as_slice(), flags.as_slice(), what.as_slice()].concat()));
            for o in c.operations() {
                let end = (o.5 + (o.4 * BLOCK) as usize).min(c.words.len());
                words.push_back(if list { vec![] } else { c.words.get(o.5..end).unwrap_or(&[]).to_vec() });
                expected.push_back(o);
            }
            under_way.push_back(c);
        }
        commands.drive(&mut dut, &mut rng);
        segments.drive(&mut dut, &mut rng);
        done.drive(&mut dut, &mut rng);
        media_writes.drive(&mut dut, &mut rng);
        let pending = landing.iter().fold(0u128, |m, l| m | 1 << l.1);
        dut.set("rd_pending", pending);
        dut.set("rd_failed", failed);
        let answer = answers.front().copied().filter(|_| rng.random_ratio(1, 20));
        dut.set("media_done", answer.is_some().into());
        dut.set("media_result", answer.unwrap_or(0).into());
        let read_ready = landing.len() < 20 && rng.random_ratio(1, 3);
        dut.set("rd_ready", read_ready.into());
        let media_ready = rng.random_ratio(1, 3);
        dut.set("media_ready", media_ready.into());
        dut.eval();
        failed &= !dut.get("rd_forget");
        if dut.get("rd_valid") == 1 && read_ready {
            let get = |port: &str| dut.get(port) as u64;
            let (at, dws, client, dest) = (get("rd_address"), get("rd_dws"), get("rd_client"), get("rd_dest"));
            assert!((1..=CHUNK).contains(&dws) && at % 4096 + 4 * dws <= 4096);
            assert_eq!(dest / CHUNK, client, "into its own chunk");
            assert!(dest % CHUNK + dws <= CHUNK);
            let slot = get("rd_owner") >> 2;
            assert_eq!(get("rd_owner") & 3, Kind::Storage.code());
            assert!(under_way.iter().any(|c| c.slot == slot));
            for i in 0..dws {
                let (word, _) = host[&(at / 4 + i)];
                buffer[(dest + i) as usize] = word;
            }
            landing.push((rng.random_range(1..60), client as usize, at, dws));
        }
        if dut.get("media_valid") == 1 && media_ready {
            let get = |port: &str| dut.get(&format!("media_{port}")) as u64;
            let o = expected.pop_front().expect("an operation that nobody asked for");
            let data = words.pop_front().unwrap();
            assert!(streaming.is_empty());
            assert_eq!((get("op"), get("fua") == 1, get("volume"), get("lba")), (o.0, o.1, o.2, o.3));
            if o.0 != media::FLUSH {
                assert_eq!(get("blocks"), o.4);
            }
            streaming.extend(data);
            answers.push_back(o.6);
        }
        if let Some(row) = media_writes.taken(&dut, "data") {
            for i in 0..4 {
                assert_eq!(Some(bench::part(&row, 32 * i, 32) as u32), streaming.pop_front());
            }
            assert_eq!(dut.get("wr_last") == 1, streaming.is_empty());
        }
        if answer.is_some() && dut.get("media_done_ready") == 1 {
            answers.pop_front();
        }
        let own = under_way.front().is_some_and(|c| c.big && c.op == media::FLUSH);
        assert!(!own || dut.get("done_valid") == 0);
        if dut.get("flushed") == 1 {
            assert!(own);
            under_way.pop_front();
        }
        if done.takes(&dut) {
            let c = under_way.pop_front().unwrap();
            let got = ["slot", "qid", "cid"].map(|f| dut.get(&format!("done_{f}")) as u64);
            assert_eq!((got, dut.get("done_status") as u64), (c.who, c.status()), "{:?}", c.chunks);
            finished += 1;
            bad += usize::from(c.status() != status::SUCCESS);
        }
        commands.taken(&dut);
        segments.taken(&dut);
        let row = dut.get("row") as usize;
        dut.clock();
        for l in &mut landing {
            l.0 -= 1;
            if l.0 == 0 && !host[&(l.2 / 4)].1 {
                failed |= 1 << l.1;
            }
        }
        landing.retain(|l| l.0 > 0);
        let word = buffer[4 * row..4 * row + 4].iter().rev().fold(0, |v, dw| v << 32 | u128::from(*dw));
        dut.set("row_data", word);
        assert!(dut.clocks() < 4_000_000, "stuck after {finished}");
    }
    assert!(bad > 50 && finished - bad > 200, "{bad} of {finished}");
}
