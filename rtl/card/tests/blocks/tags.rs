//! Tags: each function has its share, each tag is out once, and who may fetch is known.

use std::collections::HashSet;

use azote_regs::media;
use azote_regs::nvme::limits;
use azote_rtl::storage::flight::tags::Tags;
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench;

const VFS: usize = 4;
const SLOTS: usize = VFS + 1;
const LARGEST: u64 = limits::MAX_TRANSFER / limits::PAGE_SIZE;
const ASIDE: u64 = media::TAGS_ASIDE;

#[derive(Default)]
struct Slot {
    /// Tags that are out: for I/O, and of those set aside.
    io: Vec<u64>,
    aside: Vec<u64>,
    /// What is put aside for commands whose need is not known, and places of admin commands that have no tag.
    reserved_io: u64,
    reserved_aside: u64,
    places: u64,
    own: bool,
    /// It may not, and is to be told when it may again: I/O, admin.
    waits: [bool; 2],
}

impl Slot {
    fn free_io(&self) -> u64 {
        media::TAGS_PER_SLOT - self.io.len() as u64 - self.reserved_io
    }

    fn free_aside(&self) -> u64 {
        ASIDE - self.aside.len() as u64 - self.reserved_aside - self.places
    }
}

struct World {
    dut: Dut,
    rng: SmallRng,
    slots: Vec<Slot>,
}

impl World {
    fn new() -> World {
        let mut dut = bench::build("tags", || Tags::new(VFS));
        bench::settle(&mut dut, "busy");
        World { dut, rng: bench::rng(1), slots: (0..SLOTS).map(|_| Slot::default()).collect() }
    }

    fn clock(&mut self) {
        let dut = &mut self.dut;
        dut.set("revive_take", 1);
        dut.eval();
        if dut.get("revive") == 1 {
            let slot = &mut self.slots[dut.get("revive_slot") as usize];
            slot.waits = [false; 2];
        }
        dut.clock();
        for port in ["grant", "settle", "own", "refund", "take"] {
            dut.set(port, 0);
        }
    }

    fn clocks(&mut self, n: usize) {
        (0..n).for_each(|_| self.clock());
    }

    fn allowed(&mut self, slot: usize) -> [bool; 2] {
        self.dut.set("ask", slot as u128);
        self.dut.eval();
        ["io_allowed", "admin_allowed"].map(|port| self.dut.get(port) == 1)
    }

    fn pulse(&mut self, port: &str, fields: &[(&str, u64)]) {
        self.dut.set(port, 1);
        for (field, v) in fields {
            self.dut.set(&format!("{port}_{field}"), (*v).into());
        }
        self.clock();
    }

    fn take(&mut self, slot: usize, aside: bool) -> u64 {
        self.dut.set("slot", slot as u128);
        self.dut.set("aside", aside.into());
        self.clock();
        self.dut.eval();
        let tag = self.dut.get("tag") as u64;
        let (high, low) = (tag >> 6, tag & 63);
        let whose = if aside { (low, high >= media::ASIDE_FIRST) } else { (high, true) };
        assert_eq!(whose, (slot as u64, true), "tag {tag:#x}, set aside: {aside}");
        self.dut.set("take", 1);
        self.clock();
        tag
    }

    fn free(&mut self, tag: u64) {
        self.dut.set("free", 1);
        self.dut.set("free_tag", tag.into());
        loop {
            self.dut.eval();
            let ready = self.dut.get("free_ready") == 1;
            self.clock();
            if ready {
                break;
            }
        }
        self.dut.set("free", 0);
    }
}

#[test]
fn every_tag_is_out_once_and_who_may_fetch_is_known() {
    let mut w = World::new();
    let mut grants = [0, 0];
    for _ in 0..20_000 {
        let n = w.rng.random_range(0..SLOTS);
        let allowed = w.allowed(n);
        let s = &w.slots[n];
        assert_eq!(allowed, [s.free_io() >= LARGEST, s.free_aside() >= 2], "slot {n}");
        for (i, may) in allowed.into_iter().enumerate() {
            w.slots[n].waits[i] |= !may;
        }
        match w.rng.random_range(0..6) {
            0 if allowed[0] => {
                grants[0] += 1;
                w.pulse("grant", &[("slot", n as u64), ("admin", 0)]);
                w.slots[n].reserved_io += LARGEST;
                w.clocks(1);
                let need = if w.rng.random() { 1 } else { w.rng.random_range(0..=LARGEST) };
                w.pulse("settle", &[("slot", n as u64), ("admin", 0), ("count", need)]);
                w.slots[n].reserved_io -= LARGEST;
                for _ in 0..need {
                    let tag = w.take(n, false);
                    w.slots[n].io.push(tag);
                }
            }
            1 if allowed[1] => {
                grants[1] += 1;
                w.pulse("grant", &[("slot", n as u64), ("admin", 1)]);
                let kind = w.rng.random_range(0..3);
                w.clocks(1);
                w.pulse("settle", &[("slot", n as u64), ("admin", 1), ("count", u64::from(kind > 0))]);
                if kind == 1 {
                    let tag = w.take(n, true);
                    w.slots[n].aside.push(tag);
                } else if kind == 2 {
                    w.slots[n].places += 1;
                }
            }
            2 if !w.slots[n].own => {
                // A flush of the card's own finds one whatever the function has under way.
                w.slots[n].own = true;
                w.pulse("own", &[("slot", n as u64)]);
                let tag = w.take(n, true);
                w.slots[n].aside.insert(0, tag);
            }
            3 if w.slots[n].places > 0 => {
                w.slots[n].places -= 1;
                w.pulse("refund", &[("slot", n as u64)]);
            }
            // In any order: which of them is free is kept bit by bit.
            4 if !w.slots[n].aside.is_empty() => {
                let tag = w.slots[n].aside.remove(0);
                w.slots[n].own = false;
                w.free(tag);
            }
            5 => {
                for _ in 0..w.rng.random_range(1..20usize).min(w.slots[n].io.len()) {
                    let at = w.rng.random_range(0..w.slots[n].io.len());
                    let tag = w.slots[n].io.swap_remove(at);
                    w.free(tag);
                }
            }
            _ => continue,
        }
        w.clocks(8);
        for (n, slot) in w.slots.iter().enumerate() {
            let out: HashSet<_> = slot.io.iter().chain(&slot.aside).collect();
            assert_eq!(out.len(), slot.io.len() + slot.aside.len(), "a tag of slot {n} is out twice");
        }
        for n in 0..SLOTS {
            let allowed = w.allowed(n);
            let told = w.slots[n].waits.map(|waits| !waits);
            assert!(told[0] || !allowed[0], "slot {n} may fetch again and was not told");
            assert!(told[1] || !allowed[1], "slot {n} may fetch admin commands again and was not told");
        }
    }
    assert!(grants.iter().all(|n| *n > 500), "{grants:?}");
}
