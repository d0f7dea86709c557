//! Functions in reset: each waits for its own reads alone, and is forgotten once.

use std::collections::{HashMap, HashSet};

use azote_rtl::config::Forget;
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench;

const TAGS: usize = 32;
/// A function without reads waits for two rounds of visits, each of 256 in every other clock, and for the engines of those
/// that are done at the same time.
const IDLE_CLOCKS: u64 = 1200;

struct World {
    dut: Dut,
    rng: SmallRng,
    /// Whose read has each tag.
    tags: [Option<u8>; TAGS],
    look: usize,
    /// Functions in reset, and since when.
    put: HashMap<u8, u64>,
    /// In how many clocks of a hundred the engines answer.
    engines: u32,
    /// Functions that the engines have forgotten, and the one that they are asked to.
    let_go: HashSet<u8>,
    answered: bool,
    /// How long each took.
    took: HashMap<u8, u64>,
}

impl World {
    fn new(seed: u64) -> World {
        let mut dut = bench::build("forget", Forget::default);
        bench::settle(&mut dut, "busy");
        World {
            dut,
            rng: bench::rng(seed),
            tags: [None; TAGS],
            look: 0,
            put: HashMap::new(),
            engines: 30,
            let_go: HashSet::new(),
            answered: false,
            took: HashMap::new(),
        }
    }

    fn clock(&mut self, put: Option<u8>) {
        let turn = self.dut.clocks() % 2 == 1;
        let dut = &mut self.dut;
        dut.set("turn", turn.into());
        dut.set("in_use", self.tags[self.look].is_some().into());
        dut.set("in_use_owner", self.tags[self.look].unwrap_or(0).into());
        dut.set("put", put.is_some().into());
        dut.set("owner", put.unwrap_or(0).into());
        if let Some(owner) = put {
            assert!(self.put.insert(owner, dut.clocks()).is_none());
        }
        let answers = self.answered || self.rng.random_ratio(self.engines, 100);
        dut.set("reset_done", answers.into());
        dut.set("cleared", 0);
        dut.eval();
        let whose = dut.get("reset_owner") as u8;
        self.answered = false;
        if dut.get("reset_valid") == 1 {
            assert!(self.put.contains_key(&whose), "{whose} is not in reset");
            assert!(!self.tags.contains(&Some(whose)), "{whose} still has a read");
            if answers {
                self.let_go.insert(whose);
            }
        }
        if dut.get("clear") == 1 && self.rng.random_ratio(1, 3) {
            assert!(self.let_go.remove(&whose), "the engines have not let go of {whose}");
            let since = self.put.remove(&whose).unwrap();
            self.took.insert(whose, dut.clocks() - since);
            dut.set("cleared", 1);
            dut.eval();
        }
        dut.clock();
        if turn {
            self.look = (self.look + 1) % TAGS;
        }
    }

    fn clocks(&mut self, n: u64) {
        for _ in 0..n {
            self.clock(None);
        }
    }
}

#[test]
fn many_are_under_way_at_once_and_each_waits_for_its_own_reads_alone() {
    let mut w = World::new(1);
    for round in 0..40 {
        w.took.clear();
        // Half the tags belong to functions in reset, and are stuck.
        let stuck: Vec<u8> = (0..4).map(|_| w.rng.random_range(0..128)).collect();
        for tag in &mut w.tags {
            *tag = Some(if w.rng.random() { stuck[w.rng.random_range(0..4)] } else { 200 });
        }
        let stuck: HashSet<u8> = w.tags.iter().flatten().copied().filter(|o| *o < 128).collect();
        let idle: Vec<u8> = (128..128 + w.rng.random_range(1..20)).collect();
        let mut all: Vec<u8> = stuck.iter().copied().chain(idle.iter().copied()).collect();
        all.sort_by_key(|o| o.wrapping_mul(37).wrapping_add(round));
        for owner in all {
            w.clock(Some(owner));
            let pause = w.rng.random_range(18..40);
            w.clocks(pause);
        }
        w.clocks(5000);
        for owner in &idle {
            let clocks = w.took.get(owner).unwrap_or_else(|| panic!("{owner} waits for another's reads"));
            assert!(*clocks <= IDLE_CLOCKS, "{owner} took {clocks} clocks");
        }
        assert_eq!(w.took.len(), idle.len(), "and none is forgotten before its reads have ended");
        // The reads end one by one, and with the last of each function its reset.
        for i in 0..TAGS {
            w.tags[i] = None;
            let pause = w.rng.random_range(0..200);
            w.clocks(pause);
        }
        w.clocks(3000);
        assert!(w.put.is_empty() && w.dut.get("busy") == 0);
    }
}
