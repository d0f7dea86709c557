//! FIFOs between clocks: order, capacity and throughput at clocks that are far apart, almost the same, and drifting.

use azote_hdl::BigUint;
use azote_rtl::parts::{AsyncBlockFifo, AsyncFifo};
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;
use std::collections::VecDeque;

use crate::bench::{self, Feed, Sink};

const DEPTH: usize = 16;

/// The models, and after how many clocks of its own the reading side sees a word that was written just before the first of them.
fn models() -> [(Dut, u64); 2] {
    [
        (bench::build("async_fifo", AsyncFifo::<4, 5, 20>::new), 3),
        (bench::build("async_block_fifo", AsyncBlockFifo::<4, 5, 20>::new), 4),
    ]
}

/// A clock: its period, in which nothing is measured but the other's, how far each edge is off at most, and its next edge.
struct Clock {
    period: u64,
    jitter: u64,
    next: u64,
    due: u64,
}

impl Clock {
    fn new(period: u64, jitter: u64, phase: u64) -> Clock {
        Clock { period, jitter, next: phase, due: phase }
    }

    fn passes(&mut self, rng: &mut SmallRng) {
        self.due += self.period;
        self.next = self.due + rng.random_range(0..=self.jitter);
    }
}

struct World {
    dut: Dut,
    rng: SmallRng,
    feed: Feed,
    sink: Sink,
    inside: VecDeque<BigUint>,
    /// Edges of both sides, words in and out.
    edges: [u64; 2],
    passed: [u64; 2],
    count: u32,
}

impl World {
    fn new(dut: Dut, seed: u64) -> World {
        let mut w = World {
            dut,
            rng: bench::rng(seed),
            feed: Feed::new("in_", 100),
            sink: Sink::new("out_", 100),
            inside: VecDeque::new(),
            edges: [0; 2],
            passed: [0; 2],
            count: 0,
        };
        w.reset([true, true]);
        w
    }

    /// Both clocks side by side, with a reset of some sides, longer than either side needs.
    fn reset(&mut self, which: [bool; 2]) {
        for (on, clocks) in [(true, 6), (false, 6)] {
            for (side, port) in ["in_reset", "out_reset"].into_iter().enumerate() {
                self.dut.set(port, (on && which[side]).into());
            }
            self.dut.set("in_valid", 0);
            self.dut.set("out_ready", 0);
            for _ in 0..clocks {
                for level in [1, 0] {
                    self.dut.set("in_clock", level);
                    self.dut.set("out_clock", level);
                    self.dut.eval();
                }
            }
        }
        self.inside.clear();
        self.feed = Feed::new("in_", self.feed.percent);
    }

    /// An edge of one side or of both at once.
    fn edge(&mut self, sides: [bool; 2]) {
        if self.feed.items.is_empty() {
            self.count = (self.count * 5 + 7) & 0xf_ffff;
            self.feed.push("data", self.count.into());
        }
        if sides[0] {
            self.feed.drive(&mut self.dut, &mut self.rng);
        }
        if sides[1] {
            self.sink.drive(&mut self.dut, &mut self.rng);
        }
        self.dut.eval();
        // Never more than fit, never fewer than none; less room or fewer words may be seen than there are.
        let ready = self.dut.get("in_ready") == 1;
        let valid = self.dut.get("out_valid") == 1;
        assert!(!ready || self.inside.len() < DEPTH, "it takes more than it holds");
        assert!(!valid || !self.inside.is_empty(), "it shows a word that is not there");
        if sides[1]
            && let Some(word) = self.sink.taken(&self.dut, "data")
        {
            assert_eq!(Some(word), self.inside.pop_front());
            self.passed[1] += 1;
        }
        if sides[0]
            && let Some(mut item) = self.feed.taken(&self.dut)
        {
            self.inside.push_back(item.remove(0).1);
            self.passed[0] += 1;
        }
        for (side, port) in ["in_clock", "out_clock"].into_iter().enumerate() {
            self.dut.set(port, sides[side].into());
            self.edges[side] += u64::from(sides[side]);
        }
        self.dut.eval();
        self.dut.set("in_clock", 0);
        self.dut.set("out_clock", 0);
        self.dut.eval();
    }

    fn run(&mut self, clocks: &mut [Clock; 2], edges: u64) {
        for _ in 0..edges {
            let now = clocks[0].next.min(clocks[1].next);
            let sides = [clocks[0].next == now, clocks[1].next == now];
            self.edge(sides);
            for (clock, _) in clocks.iter_mut().zip(sides).filter(|(_, side)| *side) {
                clock.passes(&mut self.rng);
            }
        }
    }
}

/// Periods and jitter: far apart both ways, an odd ratio, almost the same, one that drifts through the other, the very same.
const CLOCKS: [([u64; 2], u64); 7] = [
    ([30, 10], 0),
    ([10, 30], 0),
    ([70, 30], 20),
    ([1000, 1003], 0),
    ([1003, 1000], 0),
    ([100, 100], 90),
    ([10, 10], 0),
];

#[test]
fn every_word_comes_out_once_and_in_order_whatever_the_clocks() {
    for (seed, (dut, _)) in models().into_iter().enumerate() {
        let mut w = World::new(dut, seed as u64);
        for (periods, jitter) in CLOCKS {
            let mut clocks = [Clock::new(periods[0], jitter, 3), Clock::new(periods[1], jitter, 5)];
            // Phases that fill it, empty it, and keep it moving.
            for (feed, sink) in [(100, 0), (90, 20), (0, 100), (20, 90), (50, 50), (100, 100)].repeat(4) {
                (w.feed.percent, w.sink.percent) = (feed, sink);
                w.run(&mut clocks, 400);
                if sink == 0 {
                    assert_eq!(w.inside.len(), DEPTH, "it holds what it says");
                }
            }
        }
        assert!(w.passed.iter().all(|n| *n > 5000), "{:?}", w.passed);
    }
}

#[test]
fn the_slower_side_never_waits() {
    for (dut, _) in models() {
        let mut w = World::new(dut, 7);
        for (periods, jitter) in CLOCKS {
            let mut clocks = [Clock::new(periods[0], jitter, 1), Clock::new(periods[1], jitter, 2)];
            w.run(&mut clocks, 400);
            let (edges, passed) = (w.edges, w.passed);
            w.run(&mut clocks, 4000);
            let slower = usize::from(periods[1] > periods[0]);
            let (edges, words) = (w.edges[slower] - edges[slower], w.passed[slower] - passed[slower]);
            // A clock that wanders by its own period has fewer edges than the other now and then.
            let least = if jitter > 0 { edges * 95 / 100 } else { edges - 1 };
            assert!(words >= least, "{words} words in {edges} clocks of the slower side, {periods:?}");
        }
    }
}

#[test]
fn a_word_shows_after_the_stated_clocks() {
    for (dut, latency) in models() {
        let mut w = World::new(dut, 8);
        w.sink.percent = 0;
        w.edge([true, false]);
        w.feed.percent = 0;
        for n in 1..=latency {
            assert_eq!(w.dut.get("out_valid"), 0, "before clock {n}");
            w.edge([false, true]);
            w.dut.eval();
            if n == latency - 1 {
                assert_eq!(w.dut.get("out_valid"), 1, "in clock {latency}");
                break;
            }
        }
    }
}

#[test]
fn a_reset_of_either_side_empties_both() {
    for (dut, _) in models() {
        let mut w = World::new(dut, 9);
        for which in [[true, false], [false, true], [true, true]] {
            (w.feed.percent, w.sink.percent) = (100, 0);
            let mut clocks = [Clock::new(10, 0, 0), Clock::new(13, 0, 0)];
            w.run(&mut clocks, 20);
            assert!(!w.inside.is_empty());
            w.reset(which);
            assert_eq!((w.dut.get("out_valid"), w.dut.get("in_ready")), (0, 1), "{which:?}");
            w.sink.percent = 70;
            w.run(&mut clocks, 500);
        }
    }
}
