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
    rates: [(u128, u128, u128); VFS + 1],
    /// What each slot was allowed to begin and to move.
    commands: [u64; VFS + 1],
    blocks: [u64; VFS + 1],
}

impl World {
    fn new() -> World {
        let mut dut = bench::build("limiter", || Limiter::new(VFS));
        dut.set("awake", 1);
        bench::settle(&mut dut, "busy");
        World { dut, rates: RATES, commands: [0; VFS + 1], blocks: [0; VFS + 1] }
    }

    /// A clock, with the limits of the slot that it asks for a clock later.
    fn clock(&mut self) {
        self.dut.eval();
        let slot = self.dut.get("rate_slot") as usize;
        self.dut.clock();
        let (weight, blocks, commands) = self.rates.get(slot).copied().unwrap_or_default();
        self.dut.set("rates", weight << 48 | blocks << 24 | commands);
    }

    fn allowed(&mut self, slot: usize) -> bool {
        self.dut.set("ask", slot as u128);
        self.dut.eval();
        assert_eq!(self.dut.get("weight"), self.rates[slot].0, "weight of slot {slot}");
        self.dut.get("allowed") == 1
    }

    /// The same for a long command.
    fn allowed_long(&mut self, slot: usize) -> bool {
        self.dut.set("ask_long", slot as u128);
        self.dut.eval();
        self.dut.get("allowed_long") == 1
    }

    /// A long command goes on with so many blocks more.
    fn go_on(&mut self, slot: usize, blocks: u64) {
        self.blocks[slot] += blocks;
        self.pulse("more", slot, Some(blocks));
        for _ in 0..8 {
            self.clock();
        }
    }

    fn pulse(&mut self, port: &str, slot: usize, blocks: Option<u64>) {
        self.dut.set(port, 1);
        self.dut.set(&format!("{port}_slot"), slot as u128);
        if let Some(blocks) = blocks {
            self.dut.set(&format!("{port}_blocks"), blocks.into());
        }
        self.clock();
        self.dut.set(port, 0);
    }

    /// Begins a command of so many blocks, the blocks known some clocks later.
    fn spend(&mut self, slot: usize, blocks: u64) {
        self.commands[slot] += 1;
        self.blocks[slot] += blocks;
        self.pulse("fetched", slot, None);
        for _ in 0..8 {
            self.clock();
        }
        self.pulse("moves", slot, Some(blocks));
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
    // What is left of long commands, whose first piece is paid for like any other's.
    let mut long = [0u64; VFS + 1];
    while w.dut.clocks() - start < 1_000_000 {
        for (slot, left) in long.iter_mut().enumerate() {
            if *left > 0 && w.allowed_long(slot) {
                let piece = (*left).min(2048);
                w.go_on(slot, piece);
                *left -= piece;
            } else if *left > 0 {
                w.clock();
            } else if w.allowed(slot) {
                w.spend(slot, rng.random_range(1..=64));
                *left = if rng.random_ratio(1, 40) { rng.random_range(1..=4096) } else { 0 };
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
        // A piece may be begun with the last token, and is paid for afterwards.
        let debt = if blocks == 0 { 0.0 } else { 2048.0 / (blocks as f64 * rounds) };
        assert!((0.98..1.03 + debt).contains(&used), "slot {slot} got {used} of its limit");
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

/// The buckets in whole numbers, by the module's page: what comes in a turn, what goes with each command and block.
#[derive(Clone, Copy, Default)]
struct Slot {
    commands: i64,
    blocks: i64,
    allowed: bool,
    weight: u128,
    /// Whether a bucket with a limit was empty before the last change: commands, blocks.
    empty: (bool, bool),
}

impl Slot {
    const TOKEN: i64 = 4096;

    fn change(&mut self, (weight, blocks, commands): (u128, u128, u128), fills: bool, pays: i64, moves: i64) {
        let new = |held: i64, rate: u128, cost: i64| {
            let rate = rate as i64;
            let filled = (held + if fills { rate } else { 0 }).min(2 * rate + Slot::TOKEN);
            if rate == 0 { 0 } else { filled - cost * Slot::TOKEN }
        };
        self.empty = (commands != 0 && self.commands <= 0, blocks != 0 && self.blocks <= 0);
        self.commands = new(self.commands, commands, pays);
        self.blocks = new(self.blocks, blocks, moves);
        self.allowed = (commands == 0 || self.commands > 0) && (blocks == 0 || self.blocks > 0);
        self.weight = weight;
    }
}

/// How often each slot's turn comes in the test below.
const ROUNDS: u64 = 400;

#[test]
fn buckets_are_what_came_and_what_went_and_all_three_who_ask_hear_the_same() {
    let mut w = World::new();
    let mut rng = bench::rng(2);
    let mut model = [Slot { allowed: true, ..Slot::default() }; VFS + 1];
    let (mut turns, mut time) = (0u64, [0u128; VFS + 1]);
    let (mut held, mut free) = (0, 0);
    w.dut.set("parked", (1 << 64) - 1);
    let tell = |w: &mut World| {
        let rate = |rng: &mut rand::rngs::SmallRng, most: u128| {
            [0, 1, 4096, rng.random_range(1..most), (1 << 24) - 1][rng.random_range(0..5)]
        };
        let mut rng = bench::rng(w.dut.clocks());
        let slot = rng.random_range(0..=VFS);
        w.rates[slot] = (rng.random_range(0..16), rate(&mut rng, 5_000_000), rate(&mut rng, 50_000));
    };
    while turns < (VFS as u64 + 1) * ROUNDS {
        // The timer is with a slot: what waits is told for each, for all are parked.
        w.dut.eval();
        if w.dut.get("held") == 0 {
            assert_eq!(w.dut.get("revive"), 0, "only who is filled is told");
            w.clock();
            continue;
        }
        turns += 1;
        let slot = w.dut.get("held_slot") as usize;
        let why = (w.dut.get("held_commands") == 1, w.dut.get("held_blocks") == 1);
        let revived = w.dut.get("revive") == 1;
        model[slot].change(w.rates[slot], true, 0, 0);
        time[slot] += w.dut.get("held_time");
        assert_eq!(w.dut.get("revive_slot"), slot as u128);
        assert_eq!((revived, why), (model[slot].allowed, model[slot].empty), "slot {slot} in turn {turns}");
        w.clock();
        // Whatever is spent between two turns, up to all three at once and of one slot; limits may be others by now.
        if rng.random_ratio(1, 100) {
            tell(&mut w);
        }
        let slots: [usize; 3] = std::array::from_fn(|_| rng.random_range(0..=VFS));
        let slots = if rng.random_ratio(1, 3) { [slots[0]; 3] } else { slots };
        for (port, slot) in ["fetched", "moves", "more"].into_iter().zip(slots) {
            let blocks: u64 = *[1, 8, rng.random_range(0..64), 2048, 4095].get(rng.random_range(0..5)).unwrap();
            // Nobody goes on who may not; but what was fetched is paid for whenever it is known.
            if !rng.random_ratio(1, 3) || !(model[slot].allowed || port == "moves" && rng.random_ratio(1, 4)) {
                continue;
            }
            w.dut.set(port, 1);
            w.dut.set(&format!("{port}_slot"), slot as u128);
            let costs = port != "fetched";
            if costs {
                w.dut.set(&format!("{port}_blocks"), blocks.into());
            }
            let moves = if costs { blocks as i64 } else { 0 };
            model[slot].change(w.rates[slot], false, i64::from(!costs), moves);
        }
        w.clock();
        ["fetched", "moves", "more"].into_iter().for_each(|port| w.dut.set(port, 0));
        (0..16).for_each(|_| w.clock());
        for (slot, m) in model.iter().enumerate() {
            ["ask", "ask_long", "ask_data"].into_iter().for_each(|port| w.dut.set(port, slot as u128));
            w.dut.eval();
            let got = ["allowed", "allowed_long"].map(|port| w.dut.get(port) == 1);
            assert_eq!(got, [m.allowed; 2], "slot {slot} in turn {turns}: {}, {}", m.commands, m.blocks);
            assert_eq!(["weight", "weight_data"].map(|port| w.dut.get(port)), [m.weight; 2]);
            if m.allowed {
                free += 1
            } else {
                held += 1
            };
        }
    }
    assert!(held > 1000 && free > 1000, "held {held}, free {free}");
    // Rounds of 51.2 us, told in whole ones.
    for (slot, time) in time.into_iter().enumerate() {
        assert!(time.abs_diff(u128::from(ROUNDS) * 512 / 10) <= 53, "slot {slot} waited for {time} us");
    }
}

#[test]
fn what_comes_as_fast_as_it_may_is_all_paid_for() {
    let mut w = World::new();
    w.rates = [(0, 1 << 23, 1 << 23); VFS + 1];
    (0..3 * 4096).for_each(|_| w.clock());
    for _ in 0..200 {
        for (port, slot) in ["fetched", "moves", "more"].into_iter().zip([1, 1, 2]) {
            w.dut.set(port, 1);
            w.dut.set(&format!("{port}_slot"), slot);
        }
        w.dut.set("moves_blocks", 1024);
        w.dut.set("more_blocks", 2047);
        w.clock();
        ["fetched", "moves", "more"].into_iter().for_each(|port| w.dut.set(port, 0));
        (0..15).for_each(|_| w.clock());
    }
    let start = w.dut.clocks();
    let mut again = [0; 2];
    while again.contains(&0) {
        for (slot, again) in [1, 2].into_iter().zip(&mut again) {
            if *again == 0 && w.allowed(slot) {
                *again = w.dut.clocks() - start;
            }
        }
        (0..64).for_each(|_| w.clock());
        assert!(w.dut.clocks() - start < 300 * 4096, "{again:?}");
    }
    // 2048 blocks come in a round; two rounds' worth was there, and something came meanwhile.
    for (spent, clocks) in [200 * 1024u64, 200 * 2047].into_iter().zip(again) {
        let rounds = clocks.div_ceil(4096);
        assert!((rounds + 2..=rounds + 4).contains(&(spent / 2048)), "{spent} blocks in {rounds} rounds");
    }
}

/// Clocks until time need not pass any more.
fn until_it_stands(w: &mut World) -> u64 {
    let start = w.dut.clocks();
    loop {
        w.dut.eval();
        if w.dut.get("counts") == 0 {
            return w.dut.clocks() - start;
        }
        assert!(w.dut.clocks() - start < 100_000, "time passes for ever");
        w.clock();
    }
}

#[test]
fn time_must_pass_until_every_bucket_is_full_and_not_longer() {
    const ROUND: u64 = 4096;
    let mut w = World::new();
    assert!(until_it_stands(&mut w) >= 2 * ROUND - 128);
    // What it costs a function without a limit changes no bucket.
    w.spend(0, 8);
    assert!(until_it_stands(&mut w) < 8);
    // The others' fill for as long as they take, and then the timer goes round to see that nothing is missing.
    for (slot, turns) in [(1, 1), (4, 2)] {
        w.spend(slot, 8);
        assert!(until_it_stands(&mut w) > turns * ROUND, "slot {slot}");
    }
    // In the meantime nothing moves, not even what is told.
    w.dut.set("awake", 0);
    for _ in 0..3 * ROUND {
        w.clock();
        assert_eq!((w.dut.get("revive"), w.dut.get("held"), w.dut.get("counts")), (0, 0, 0));
    }
    w.dut.set("awake", 1);
    // A limit that comes is seen.
    w.rates[0] = (5, 0, 100_000);
    w.dut.set("stirs", 1);
    w.clock();
    w.dut.set("stirs", 0);
    assert!(until_it_stands(&mut w) >= 2 * ROUND - 128);
    assert!(w.allowed(0));
}
