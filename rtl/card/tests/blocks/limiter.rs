//! The token buckets: whoever spends all that it may gets its rate in the long run, whoever has no limit is never held, and
//! nobody's spending holds another.

use azote_regs::manage::RATE_CLOCKS;
use azote_rtl::storage::rings::limiter::Limiter;
use azote_verilate::Dut;
use rand::Rng;

use crate::bench;

const VFS: usize = 4;
/// `(weight, blocks, commands)` of each slot: none, commands, blocks, both with the blocks tighter, a slow one.
const RATES: [(u128, u128, u128); VFS + 1] =
    [(0, 0, 0), (3, 0, 40_000), (15, 400_000, 0), (1, 100_000, 60_000), (2, 0, 2_000)];

struct World {
    dut: Dut,
    /// What each slot was allowed to begin and to move.
    commands: [u64; VFS + 1],
    blocks: [u64; VFS + 1],
}

impl World {
    fn new() -> World {
        let mut dut = bench::build("limiter", || Limiter::new(VFS));
        bench::settle(&mut dut, "busy");
        World { dut, commands: [0; VFS + 1], blocks: [0; VFS + 1] }
    }

    /// A clock, with the limits of the slot that it asks for a clock later.
    fn clock(&mut self) {
        self.dut.eval();
        let slot = self.dut.get("rate_slot") as usize;
        self.dut.clock();
        let (weight, blocks, commands) = RATES.get(slot).copied().unwrap_or_default();
        self.dut.set("rates", weight << 48 | blocks << 24 | commands);
    }

    fn allowed(&mut self, slot: usize) -> bool {
        self.dut.set("ask", slot as u128);
        self.dut.eval();
        assert_eq!(self.dut.get("weight"), RATES[slot].0, "weight of slot {slot}");
        self.dut.get("allowed") == 1
    }

    /// Begins a command of so many blocks, the blocks known some clocks later.
    fn spend(&mut self, slot: usize, blocks: u64) {
        self.commands[slot] += 1;
        self.blocks[slot] += blocks;
        self.dut.set("fetched", 1);
        self.dut.set("fetched_slot", slot as u128);
        self.clock();
        self.dut.set("fetched", 0);
        for _ in 0..8 {
            self.clock();
        }
        self.dut.set("moves", 1);
        self.dut.set("moves_slot", slot as u128);
        self.dut.set("moves_blocks", blocks.into());
        self.clock();
        self.dut.set("moves", 0);
        for _ in 0..8 {
            self.clock();
        }
    }
}

#[test]
fn who_wants_more_gets_its_rate_and_who_has_no_limit_everything() {
    let mut w = World::new();
    let mut rng = bench::rng(1);
    // The limits are known after a round of the timer.
    for _ in 0..5000 {
        w.clock();
    }
    let start = w.dut.clocks();
    while w.dut.clocks() - start < 600_000 {
        for slot in 0..=VFS {
            if w.allowed(slot) {
                w.spend(slot, rng.random_range(1..=64));
            } else {
                assert_ne!(slot, 0, "slot 0 has no limit");
                w.clock();
            }
        }
    }
    let rounds = (w.dut.clocks() - start) as f64 / RATE_CLOCKS as f64;
    for (slot, &(_, blocks, commands)) in RATES.iter().enumerate().skip(1) {
        let part = |got: u64, rate: u128| if rate == 0 { 0.0 } else { got as f64 / (rate as f64 * rounds) };
        let used = part(w.commands[slot], commands).max(part(w.blocks[slot], blocks));
        assert!((0.98..1.03).contains(&used), "slot {slot} got {used} of its limit");
    }
    assert!(w.commands[0] > 10 * w.commands[1], "{:?}", w.commands);
}

#[test]
fn a_bucket_that_is_filled_again_is_told_once_in_bounded_time() {
    let mut w = World::new();
    for _ in 0..5000 {
        w.clock();
    }
    while w.allowed(1) {
        w.spend(1, 1);
    }
    let mut clocks = 0;
    loop {
        w.dut.eval();
        if w.dut.get("revive") == 1 && w.dut.get("revive_slot") == 1 {
            break;
        }
        w.clock();
        clocks += 1;
        assert!(clocks < 3 * 4096, "a bucket of {} a round does not fill", RATES[1].2 / 4096);
    }
    w.clock();
    assert!(w.allowed(1));
}

#[test]
fn who_waits_is_counted_by_what_he_waits_for() {
    let mut w = World::new();
    for _ in 0..5000 {
        w.clock();
    }
    // Slot 4 may begin 2000 commands in 2^24 clocks: one has it wait for two rounds.
    w.dut.set("parked", 1 << 4 | 1 << 2);
    w.spend(4, 1);
    let (mut time, start) = (0, w.dut.clocks());
    while w.dut.clocks() - start < 40 * 4096 {
        w.dut.eval();
        if w.dut.get("held") == 1 {
            let why = (w.dut.get("held_commands"), w.dut.get("held_blocks"));
            match w.dut.get("held_slot") {
                4 => {
                    time += if why.0 == 1 { w.dut.get("held_time") } else { 0 };
                    assert_eq!(why.1, 0);
                }
                slot => assert_eq!((slot, why), (2, (0, 0)), "its bucket is full"),
            }
        }
        w.clock();
        if w.allowed(4) {
            w.spend(4, 1);
        }
    }
    // 40 rounds of 51.2 us, of which it waits for all.
    assert!((1948..=2100).contains(&time), "{time} us");
}
