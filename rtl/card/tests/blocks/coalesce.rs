//! Interrupt coalescing: nothing is held that did not ask for it, nothing is lost, nothing is late.

use azote_regs::clock;
use azote_regs::nvme::command as cmd;
use azote_rtl::storage::rings::coalesce::Coalesce;
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench;

const VFS: u64 = 4;
const TICK: u64 = 100 * clock::MHZ;

struct World {
    dut: Dut,
    rng: SmallRng,
    /// Interrupts sent: `(clock, slot, vector)`.
    sent: Vec<(u64, u64, u64)>,
}

impl World {
    fn new(seed: u64) -> World {
        let mut dut = bench::build("coalesce", || Coalesce::new(VFS as usize));
        dut.set("awake", 1);
        bench::settle(&mut dut, "busy");
        World { dut, rng: bench::rng(seed), sent: vec![] }
    }

    fn clock(&mut self) -> bool {
        self.dut.set("irq_ready", self.rng.random_ratio(1, 2).into());
        self.dut.eval();
        if self.dut.get("irq_valid") == 1 && self.dut.get("irq_ready") == 1 {
            let who = (self.dut.clocks(), self.dut.get("irq_slot") as u64, self.dut.get("irq_vector") as u64);
            self.sent.push(who);
        }
        let ready = self.dut.get("ready") == 1;
        self.dut.clock();
        ready
    }

    fn clocks(&mut self, n: u64) {
        for _ in 0..n {
            self.clock();
        }
    }

    /// A completion that wants an interrupt.
    fn post(&mut self, slot: u64, vector: u64, admin: bool) {
        for (port, v) in [("slot", slot), ("irq", vector), ("admin", admin.into()), ("valid", 1)] {
            self.dut.set(port, v.into());
        }
        for _ in 0..100 {
            if self.clock() {
                self.dut.set("valid", 0);
                return;
            }
        }
        panic!("never taken");
    }

    fn set(&mut self, slot: u64, threshold: u64, time: u64) {
        let value = cmd::COALESCING_THR.put(threshold) | cmd::COALESCING_TIME.put(time);
        for (port, v) in [("set_slot", slot), ("set_value", value), ("set_rule", 1)] {
            self.dut.set(port, v.into());
        }
        self.clock();
        self.dut.set("set_rule", 0);
    }

    fn take(&mut self) -> Vec<(u64, u64)> {
        self.sent.drain(..).map(|s| (s.1, s.2)).collect()
    }
}

#[test]
fn who_has_not_asked_is_interrupted_for_each() {
    let mut w = World::new(1);
    w.set(2, 3, 10);
    for i in 0..200 {
        let (slot, vector) = ([0, 1, 3, 4][i % 4], w.rng.random_range(0..8));
        w.post(slot, vector, w.rng.clone().random());
        assert_eq!(w.take(), [(slot, vector)]);
    }
    // Nor the admin queue of who has, nor a vector for which it is disabled.
    w.post(2, 0, true);
    assert_eq!(w.take(), [(2, 0)]);
    for (port, v) in [("set_slot", 2), ("set_disabled", 1 << 5), ("set_vectors", 1)] {
        w.dut.set(port, v);
    }
    w.clock();
    w.dut.set("set_vectors", 0);
    w.post(2, 5, false);
    assert_eq!(w.take(), [(2, 5)]);
    w.post(2, 6, false);
    assert_eq!(w.take(), []);
}

#[test]
fn the_threshold_sends_and_each_vector_counts_for_itself() {
    let mut w = World::new(2);
    for (slot, threshold) in [(1, 1), (2, 3), (3, 7)] {
        w.set(slot, threshold, 255);
    }
    let mut counts = [[0u64; 8]; VFS as usize + 1];
    for _ in 0..2000 {
        let (slot, vector) = (w.rng.random_range(1..=3u64), w.rng.random_range(0..8u64));
        w.post(slot, vector, false);
        let n = &mut counts[slot as usize][vector as usize];
        *n += 1;
        let full = *n == [0, 2, 4, 8][slot as usize];
        assert_eq!(w.take(), if full { vec![(slot, vector)] } else { vec![] });
        if full {
            *n = 0;
        }
    }
}

#[test]
fn the_first_of_a_few_waits_no_longer_than_its_time_and_not_much_less() {
    let mut w = World::new(3);
    w.set(1, 100, 3);
    w.set(4, 100, 1);
    for round in 0..12u64 {
        let (slot, ticks) = if round % 2 == 0 { (1, 3) } else { (4, 1) };
        w.clocks(round * 777 % TICK);
        let start = w.dut.clocks();
        w.post(slot, 2, false);
        w.post(slot, 2, false);
        w.clocks(ticks * TICK + 2000);
        assert_eq!(w.sent.len(), 1, "both with one interrupt");
        let waited = w.sent[0].0 - start;
        assert!(
            waited <= ticks * TICK + 1500 && waited + TICK + 100 >= ticks * TICK,
            "{waited} clocks of {ticks} ticks"
        );
        assert_eq!(w.take(), [(slot, 2)]);
        assert_eq!(w.dut.get("busy"), 0, "nothing is kept");
    }
}

#[test]
fn a_controller_that_is_closed_takes_its_wishes_and_its_interrupts_along() {
    let mut w = World::new(4);
    for slot in [1, 2] {
        w.set(slot, 10, 2);
        w.post(slot, 3, false);
        w.post(slot, 7, false);
    }
    w.dut.set("forget", 1);
    w.dut.set("forget_slot", 1);
    let mut clocks = 0;
    while w.dut.get("forget_done") == 0 {
        w.clock();
        w.dut.eval();
        clocks += 1;
        assert!(clocks < 200);
    }
    w.dut.set("forget", 0);
    w.clocks(3 * TICK);
    let mut sent = w.take();
    sent.sort_unstable();
    assert_eq!(sent, [(2, 3), (2, 7)], "the other's come");
    assert_eq!(w.dut.get("busy"), 0);
    w.post(1, 3, false);
    assert_eq!(w.take(), [(1, 3)]);
}

#[test]
fn whoever_is_forgotten_nobody_else_waits_and_no_wish_is_lost() {
    let mut w = World::new(5);
    for late in 0..60 {
        // The asker holds on for long: who has nothing to do with it is served.
        w.set(1, 10, 2);
        w.dut.set("forget", 1);
        w.dut.set("forget_slot", 1);
        w.clocks(late);
        w.set(3, 1, 255);
        let mut clocks = 0;
        while w.dut.get("forget_done") == 0 {
            w.clock();
            w.dut.eval();
            clocks += 1;
            assert!(clocks < 200);
        }
        w.post(2, 4, false);
        assert_eq!(w.take(), [(2, 4)], "while the asker holds on");
        w.dut.set("forget", 0);
        w.clocks(2);
        w.post(3, 5, false);
        assert_eq!(w.take(), [], "what was set in clock {late} of the forgetting holds");
        w.post(3, 5, false);
        assert_eq!(w.take(), [(3, 5)]);
        w.post(1, 6, false);
        assert_eq!(w.take(), [(1, 6)], "forgotten");
    }
}
