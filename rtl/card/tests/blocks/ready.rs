//! Whose data comes next: each piece once, in its function's order, and nobody waits for long.

use std::collections::VecDeque;

use azote_regs::media;
use azote_rtl::storage::flight::ready::Ready;
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench;

const VFS: usize = 4;
const SLOTS: usize = VFS + 1;

struct World {
    dut: Dut,
    rng: SmallRng,
    /// What is ready of each slot: `(index, hole)`.
    rings: Vec<VecDeque<(u64, bool)>>,
    weights: [u64; SLOTS],
}

impl World {
    fn new(seed: u64) -> World {
        let mut dut = bench::build("ready", || Ready::new(VFS));
        for _ in 0..100 {
            dut.clock();
        }
        World { dut, rng: bench::rng(seed), rings: vec![VecDeque::new(); SLOTS], weights: [0; SLOTS] }
    }

    /// One clock; who was taken.
    fn clock(&mut self, push: Option<usize>, takes: bool) -> Option<usize> {
        let dut = &mut self.dut;
        dut.set("push", push.is_some().into());
        if let Some(slot) = push {
            let (index, hole) = (self.rng.random_range(0..64u64), self.rng.random());
            for (port, v) in [("push_slot", slot as u64), ("push_index", index), ("push_hole", u64::from(hole))] {
                dut.set(port, v.into());
            }
            self.rings[slot].push_back((index, hole));
        }
        dut.set("take", 0);
        dut.eval();
        let ask = dut.get("ask") as usize;
        dut.set("weight", self.weights.get(ask).copied().unwrap_or(0).into());
        let valid = dut.get("valid") == 1;
        dut.set("take", (valid && takes).into());
        dut.eval();
        let slot = dut.get("slot") as usize;
        let taken = (valid && takes).then(|| {
            let got = (dut.get("index") as u64, dut.get("hole") == 1);
            assert_eq!(Some(got), self.rings[slot].pop_front(), "slot {slot}");
            slot
        });
        dut.clock();
        taken
    }
}

#[test]
fn each_piece_comes_out_once_in_its_functions_order() {
    let mut w = World::new(1);
    let mut out = 0;
    for round in 0..60_000 {
        let busy = round / 3000 % 2 == 0;
        let slot = w.rng.random_range(0..SLOTS);
        let room = w.rings[slot].len() < media::TAGS_PER_SLOT as usize;
        let push = (room && w.rng.random_ratio(if busy { 3 } else { 1 }, 4)).then_some(slot);
        let takes = w.rng.random_ratio(if busy { 1 } else { 3 }, 4);
        out += usize::from(w.clock(push, takes).is_some());
    }
    let mut quiet = 0;
    while quiet < 10 {
        quiet = if w.clock(None, true).is_some() { 0 } else { quiet + 1 };
    }
    assert!(w.rings.iter().all(VecDeque::is_empty) && out > 10_000, "nothing is forgotten");
    assert_eq!(w.dut.get("idle"), 1);
}

#[test]
fn functions_take_turns_by_their_weights_and_a_quiet_one_waits_for_few() {
    let mut w = World::new(2);
    w.weights = [0, 1, 2, 4, 1];
    let mut counts = [0usize; SLOTS];
    let mut waited: Option<usize> = None;
    for round in 0..30_000 {
        // Slots 0 to 3 always have something, slot 4 now and then.
        let push = if round % 200 == 0 { Some(4) } else { (0..4).find(|slot| w.rings[*slot].len() < 20) };
        if push == Some(4) {
            waited = Some(0);
        }
        if let Some(slot) = w.clock(push, true) {
            counts[slot] += 1;
            if slot == 4 {
                waited = None;
            } else if let Some(n) = &mut waited {
                *n += 1;
                assert!(*n <= 5, "a quiet function waits for {n} pieces of others");
            }
        }
    }
    let share = |slot: usize| counts[slot] as f64 / counts[1] as f64;
    for (slot, wanted) in [(0, 1.0), (2, 2.0), (3, 4.0)] {
        assert!((share(slot) - wanted).abs() < 0.05 * wanted, "slot {slot}: {counts:?}");
    }
}
