//! Turns: against a model that only knows what was marked. Nothing is offered that was not marked, nothing marked is
//! forgotten, weights count, and a function without a claim yet does not wait for those that have had theirs.

use std::collections::HashSet;

use azote_regs::nvme::limits;
use azote_rtl::storage::rings::turns::Turns;
use azote_verilate::Dut;
use rand::Rng;

use crate::bench;

const VFS: usize = 4;
const SLOTS: usize = VFS + 1;
const QUEUES: usize = limits::QUEUES as usize;

struct World {
    dut: Dut,
    marked: HashSet<(usize, usize)>,
    weights: [u128; SLOTS],
    /// Who may fetch from its I/O queues, from its admin queue; asked for by one wire each.
    allowed: [bool; SLOTS],
    admin_allowed: [bool; SLOTS],
}

impl World {
    fn new() -> World {
        let mut dut = bench::build("turns", || Turns::new(VFS));
        bench::settle(&mut dut, "busy");
        World { dut, marked: HashSet::new(), weights: [0; SLOTS], allowed: [true; SLOTS], admin_allowed: [true; SLOTS] }
    }

    fn may(&self, slot: usize, qid: usize) -> bool {
        if qid == 0 { self.admin_allowed[slot] } else { self.allowed[slot] }
    }

    fn clock(&mut self) {
        self.dut.eval();
        let ask = self.dut.get("ask") as usize;
        // Only slots that exist are asked for.
        self.dut.set("allowed", self.allowed.get(ask).copied().unwrap_or(true).into());
        self.dut.set("admin_allowed", self.admin_allowed.get(ask).copied().unwrap_or(true).into());
        self.dut.set("weight", self.weights.get(ask).copied().unwrap_or(0));
        let before = self.dut.get("valid");
        self.dut.clock();
        self.dut.eval();
        if (before, self.dut.get("valid")) == (0, 1) {
            let (slot, qid) = (self.dut.get("slot") as usize, self.dut.get("qid") as usize);
            assert!(self.may(slot, qid), "queue {qid} of slot {slot} may not be fetched from");
        }
    }

    /// Takes all that may be: what is left are those that may not, and their functions wait.
    fn drain(&mut self) {
        while self.take(false).is_some() {}
        let forgotten: Vec<_> = self.marked.iter().filter(|who| self.may(who.0, who.1)).collect();
        assert!(forgotten.is_empty(), "{forgotten:?} of {:?}", self.marked);
        let waits = self.marked.iter().fold(0, |waits, who| waits | 1 << who.0);
        self.dut.eval();
        assert_eq!(self.dut.get("parked"), waits, "{:?}", self.marked);
        assert_eq!(self.dut.get("busy"), (waits != 0).into(), "idle when there is nothing");
    }

    fn mark(&mut self, slot: usize, qid: usize, fresh: bool) {
        if self.marked.insert((slot, qid)) {
            self.dut.set("mark", 1);
            self.dut.set("mark_slot", slot as u128);
            self.dut.set("mark_qid", qid as u128);
            self.dut.set("mark_fresh", fresh.into());
            self.clock();
            self.dut.set("mark", 0);
            self.clock();
        }
    }

    /// Takes what is offered within some clocks; `again` marks it again, as a queue with more entries does.
    fn take(&mut self, again: bool) -> Option<(usize, usize)> {
        for _ in 0..64 {
            self.dut.eval();
            if self.dut.get("valid") == 1 {
                let who = (self.dut.get("slot") as usize, self.dut.get("qid") as usize);
                assert!(self.marked.remove(&who), "{who:?} was not marked");
                self.dut.set("take", 1);
                self.clock();
                self.dut.set("take", 0);
                self.clock();
                self.clock();
                if again {
                    self.mark(who.0, who.1, false);
                }
                self.dut.set("over", 1);
                self.clock();
                self.dut.set("over", 0);
                return Some(who);
            }
            self.clock();
        }
        None
    }

    /// Says until it is heard that this slot has tags again.
    fn again(&mut self, slot: usize) {
        self.dut.set("again", 1);
        self.dut.set("again_slot", slot as u128);
        for clock in 0.. {
            self.dut.eval();
            let taken = self.dut.get("again_take") == 1;
            self.clock();
            if taken {
                break;
            }
            assert!(clock < 64, "nobody hears who has tags again");
        }
        self.dut.set("again", 0);
        for _ in 0..8 {
            self.clock();
        }
    }

    fn revive(&mut self, slot: usize) {
        self.dut.set("revive", 1);
        self.dut.set("revive_slot", slot as u128);
        self.clock();
        self.dut.set("revive", 0);
        for _ in 0..8 {
            self.clock();
        }
    }
}

#[test]
fn what_is_marked_is_offered_once_and_nothing_else_is() {
    let mut w = World::new();
    let mut rng = bench::rng(1);
    for round in 0..4000 {
        if rng.random_ratio(1, 2) {
            w.mark(rng.random_range(0..SLOTS), rng.random_range(0..QUEUES), rng.random());
        }
        if rng.random_ratio(1, 2) {
            w.take(rng.random_ratio(1, 4));
        }
        if rng.random_ratio(1, 10) {
            let slot = rng.random_range(0..SLOTS);
            let now: (bool, bool) = rng.random();
            let gains = (now.0 && !w.allowed[slot]) || (now.1 && !w.admin_allowed[slot]);
            (w.allowed[slot], w.admin_allowed[slot]) = now;
            // Whoever may again is told so, for its bucket or for its tags; now and then one that may not.
            match rng.random_range(0..2) + 2 * u32::from(!gains && rng.random_ratio(3, 4)) {
                0 => w.revive(slot),
                1 => w.again(slot),
                _ => {}
            }
        }
        if rng.random_ratio(1, 50) {
            w.drain();
        }
        if round % 200 == 0 {
            (w.allowed, w.admin_allowed) = ([true; SLOTS], [true; SLOTS]);
            for slot in 0..SLOTS {
                if rng.random() {
                    w.revive(slot)
                } else {
                    w.again(slot)
                };
            }
            w.drain();
            assert!(w.marked.is_empty(), "{:?} is forgotten in round {round}", w.marked);
        }
    }
}

#[test]
fn a_turn_is_as_many_commands_as_the_weight_says() {
    let mut w = World::new();
    w.weights = [0, 1, 3, 0, 7];
    for slot in 0..SLOTS {
        w.mark(slot, 1, false);
        w.mark(slot, 2, false);
    }
    let mut counts = [0u128; SLOTS];
    for _ in 0..13 * 20 {
        let (slot, _) = w.take(true).expect("all are marked");
        counts[slot] += 1;
    }
    for (slot, &count) in counts.iter().enumerate() {
        assert!(count.abs_diff(20 * w.weights[slot].max(1)) <= 7, "{counts:?}");
    }
}

#[test]
fn who_asks_for_the_first_time_waits_for_one_turn_of_those_that_go_on() {
    let mut w = World::new();
    for slot in 0..VFS {
        w.mark(slot, 1, false);
    }
    for _ in 0..20 {
        assert_ne!(w.take(true).expect("marked").0, VFS);
    }
    w.mark(VFS, 1, true);
    let others = std::iter::from_fn(|| w.take(true)).take_while(|who| who.0 != VFS).count();
    assert!(others <= 2, "it waits for {others}");
}

#[test]
fn over_its_limit_only_the_admin_queue_of_a_function_is_served() {
    let mut w = World::new();
    w.allowed[2] = false;
    w.mark(2, 3, false);
    assert_eq!(w.take(false), None);
    w.dut.eval();
    assert_eq!(w.dut.get("busy"), 1, "somebody waits for time to pass");
    w.mark(2, 0, false);
    w.mark(1, 1, false);
    let both: HashSet<_> = [w.take(false), w.take(false)].into_iter().flatten().collect();
    assert_eq!(both, HashSet::from([(2, 0), (1, 1)]));
    assert_eq!(w.take(false), None);
    w.allowed[2] = true;
    w.revive(2);
    assert_eq!(w.take(false), Some((2, 3)));
}

#[test]
fn one_that_lacks_tags_waits_for_them_each_queue_for_its_own_kind() {
    let mut w = World::new();
    (w.allowed[2], w.admin_allowed[2]) = (false, false);
    w.mark(2, 0, true);
    w.mark(2, 3, true);
    w.mark(1, 1, false);
    assert_eq!(w.take(false), Some((1, 1)), "another function does not notice");
    w.drain();
    // Tags for I/O come back while the admin queue has none.
    w.allowed[2] = true;
    w.again(2);
    assert_eq!(w.take(false), Some((2, 3)));
    w.drain();
    assert_eq!(w.marked, HashSet::from([(2, 0)]));
    // What is rung while the admin queue waits is served.
    w.mark(2, 5, false);
    assert_eq!(w.take(false), Some((2, 5)));
    // And the other way round.
    (w.allowed[2], w.admin_allowed[2]) = (false, true);
    w.mark(2, 4, false);
    w.again(2);
    assert_eq!(w.take(false), Some((2, 0)));
    w.drain();
    w.mark(2, 0, false);
    assert_eq!(w.take(false), Some((2, 0)), "the admin queue of a parked function");
    w.allowed[2] = true;
    w.again(2);
    assert_eq!(w.take(false), Some((2, 4)));
    w.drain();
}

#[test]
fn whoever_has_tags_again_is_heard_while_marks_come_as_fast_as_they_may() {
    let mut w = World::new();
    w.allowed[3] = false;
    w.mark(3, 1, false);
    w.drain();
    // Eight marks within sixteen clocks, then sixteen without.
    w.dut.set("again", 1);
    w.dut.set("again_slot", 3);
    w.allowed[3] = true;
    let mut heard = 0;
    for clock in 0..32u128 {
        let marks = clock < 8;
        w.dut.set("mark", marks.into());
        if marks {
            w.dut.set("mark_slot", clock % 3);
            w.dut.set("mark_qid", 1 + clock / 3);
            w.marked.insert((clock as usize % 3, 1 + clock as usize / 3));
        }
        w.dut.eval();
        if w.dut.get("again_take") == 1 {
            heard += 1;
        }
        w.clock();
        if heard == 1 {
            w.dut.set("again", 0);
        }
    }
    assert_eq!(heard, 1, "heard once");
    w.drain();
    assert!(w.marked.is_empty());
}
