//! Longer runs: under load, until it is over, with a function closed or a command aborted.

use rand::Rng;

use super::{Command, SLOTS, World};

impl World {
    /// So many clocks, with commands of all who are not kept from it.
    pub fn load(&mut self, clocks: usize) {
        for _ in 0..clocks {
            let slot = self.rng.random_range(0..SLOTS as u64);
            if self.front.is_none() && !self.refused.contains(&slot) && self.rng.random_ratio(1, 4) {
                let op = self.some();
                self.begin(slot, op);
            }
            self.clock();
        }
    }

    /// Clocks until all of a slot's commands are over.
    pub fn ends(&mut self, slot: u64, clocks: usize) {
        for _ in 0..clocks {
            if !self.commands.values().any(|c| c.slot == slot) {
                return;
            }
            self.load(1);
        }
        let left: Vec<_> = self.commands.values().filter(|c| c.slot == slot).collect();
        let outside = (&self.under_way, &self.held, &self.ready, &self.mover, &self.calls, &self.left, self.answer);
        panic!(
            "slot {slot} is never over: {left:?}, {outside:?}, {:?} {:?} {:?} {:?}",
            self.front, self.read, self.write, self.port
        );
    }

    /// Everything ends, and everything is given back.
    pub fn drain(&mut self) {
        self.stuck.clear();
        self.refused = (0..SLOTS as u64).collect();
        for slot in 0..SLOTS as u64 {
            self.ends(slot, 200_000);
        }
        while self.page.is_some() || !self.mover.is_empty() || self.port.is_some() {
            self.clock();
        }
        for _ in 0..1000 {
            if self.page.is_none() && self.mover.is_empty() {
                self.dut.eval();
                assert_eq!(self.dut.get("busy"), 0);
            }
            self.clock();
        }
        assert!(self.free.iter().all(|f| f.len() == 64) && self.aside.iter().all(|a| a.len() == 3));
        assert!(self.tags.is_empty() && self.spoilt.is_none());
        assert!(self.under_way.is_empty() && self.held.is_empty(), "{:?} {:?}", self.under_way, self.held);
        self.refused.clear();
    }

    /// Closes a slot's commands, and opens it again.
    pub fn close_slot(&mut self, slot: u64, bound: usize) {
        self.dut.set("shut", 1);
        self.dut.set("shut_slot", slot.into());
        self.commands.values_mut().filter(|c| c.slot == slot).for_each(|c| c.shut = true);
        self.clock();
        self.shut.insert(slot);
        self.commands.values_mut().filter(|c| c.slot == slot).for_each(|c| c.shut = true);
        // The front may have one of its commands in hand.
        self.load(10);
        self.refused.insert(slot);
        self.ends(slot, bound);
        // Nothing of it comes afterwards: every piece, call and end is looked up among what is under way.
        self.load(200);
        self.dut.set("unshut", 1);
        self.dut.set("shut_slot", slot.into());
        self.shut.remove(&slot);
        self.load(1);
        self.refused.remove(&slot);
    }

    /// Aborts a command, or one that is not there; whether something of it was cancelled.
    pub fn abort(&mut self, slot: u64, qid: u64, cid: u64) -> bool {
        let named = |c: &&mut Command| !c.own && (c.slot, c.qid, c.cid) == (slot, qid, cid);
        self.commands.values_mut().filter(named).for_each(|c| c.aborted = true);
        for (port, v) in [("aborts", 1), ("abort_slot", slot), ("abort_qid", qid), ("abort_cid", cid)] {
            self.dut.set(port, v.into());
        }
        let refused = std::mem::replace(&mut self.refused, (0..SLOTS as u64).collect());
        let mut clocks = 0;
        while self.dut.get("abort_done") == 0 {
            self.clock();
            self.dut.eval();
            clocks += 1;
            assert!(clocks < 4000, "an abort is never done");
        }
        let hit = self.dut.get("aborted") == 1;
        self.dut.set("aborts", 0);
        self.refused = refused;
        self.clock();
        hit
    }
}
