//! Controller registers and doorbells: RDY follows EN, a close is quiet first, and nobody else waits for it.

use std::collections::{HashMap, HashSet};

use azote_regs::nvme::controller as nvme;
use azote_rtl::storage::registers::Registers;
use azote_rtl::storage::terms::{Answer, Op};
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench;

const VFS: u64 = 4;

struct World {
    dut: Dut,
    rng: SmallRng,
    /// What the queues were asked: `(op, slot, qid, value)`.
    asked: Vec<(u64, u64, u64, u64)>,
    /// Slots whose commands are still under way.
    used: Vec<u64>,
    /// Slots that admin was told to forget.
    forgotten: Vec<u64>,
    /// Whoever is to forget something takes his time.
    slow: bool,
    /// The flushes that are under way, with the clock in which each was taken; of which none ends.
    flushes: HashMap<u64, u64>,
    stuck: HashSet<u64>,
    /// For each slot the flush that ended last, by the clock in which it was taken.
    flushed: HashMap<u64, u64>,
    /// When a controller was enabled or closed last.
    lives: HashMap<u64, u64>,
    /// Whose commands at the medium are to end; how often that was said, and taken back.
    shut: HashSet<u64>,
    shuts: Vec<(u64, bool)>,
}

impl World {
    fn new(seed: u64) -> World {
        let mut dut = bench::build("registers", || Registers::new(VFS as usize));
        bench::settle(&mut dut, "busy");
        World {
            dut,
            rng: bench::rng(seed),
            asked: vec![],
            used: vec![],
            forgotten: vec![],
            slow: false,
            flushes: HashMap::new(),
            stuck: HashSet::new(),
            flushed: HashMap::new(),
            lives: HashMap::new(),
            shut: HashSet::new(),
            shuts: vec![],
        }
    }

    /// One clock beside the queues, admin, and whoever flushes volumes.
    fn clock(&mut self) {
        self.flush();
        let dut = &mut self.dut;
        let mut quieted = None;
        dut.set("q_ack", 0);
        dut.set("forget_done", 0);
        dut.eval();
        if dut.get("q_valid") == 1 && self.rng.random_ratio(1, 3) {
            let get = |port: &str| dut.get(port) as u64;
            let (op, slot) = (get("q_op"), get("q_slot"));
            if op == Op::ENABLE {
                self.asked.push((op, slot, get("asqs") << 16 | get("acqs"), get("asq") ^ get("acq")));
            } else if op != Op::CLEAR {
                let bell = op != Op::QUIESCE;
                self.asked.push((
                    op,
                    slot,
                    if bell { get("q_qid") + 8 * get("q_beyond") } else { 0 },
                    if bell { get("q_value") } else { 0 },
                ));
            }
            quieted = (op == Op::QUIESCE).then_some(slot);
            let answer = if self.used.contains(&slot) { Answer::USED } else { Answer::YES };
            dut.set("q_answer", answer.into());
            dut.set("q_ack", 1);
        }
        if dut.get("forget") == 1 && !self.slow && self.rng.random_ratio(1, 3) {
            self.forgotten.push(dut.get("forget_slot") as u64);
            dut.set("forget_done", 1);
        }
        dut.eval();
        let slot = dut.get("shut_slot") as u64;
        if dut.get("shut") == 1 {
            assert_eq!(quieted, Some(slot), "what has queues that are open is not to end");
            self.shut.insert(slot);
            self.shuts.push((slot, true));
        } else {
            assert_eq!(quieted, None, "a controller is closed, and the medium goes on");
        }
        if dut.get("unshut") == 1 {
            assert!(self.shut.remove(&slot), "it was not shut");
            assert!(!self.used.contains(&slot) && self.forgotten.contains(&slot), "it is not quiet");
            assert!(!self.flushes.contains_key(&slot), "its volume is being flushed");
            self.shuts.push((slot, false));
            self.lives.insert(slot, dut.clocks());
        }
        if dut.get("began") == 1 {
            let slot = dut.get("began_slot") as u64;
            assert!(!self.shut.contains(&slot), "it is enabled while it is closed");
            self.lives.insert(slot, dut.clocks());
        }
    }

    /// Before a clock: a flush is taken now and then, and ends in its time. A volume that is not there has none.
    fn flush(&mut self) {
        let dut = &mut self.dut;
        let now = dut.clocks();
        for port in ["flush_taken", "unbound", "flushed"] {
            dut.set(port, 0);
        }
        dut.eval();
        if dut.get("flush") == 1 && self.rng.random_ratio(1, 6) {
            let slot = dut.get("flush_slot") as u64;
            assert!(!self.flushes.contains_key(&slot), "its volume is being flushed already");
            let unbound = !self.stuck.contains(&slot) && self.rng.random_ratio(1, 3);
            dut.set("flush_taken", 1);
            dut.set("unbound", unbound.into());
            let list = if unbound { &mut self.flushed } else { &mut self.flushes };
            list.insert(slot, now);
        }
        let ends: Vec<u64> = self.flushes.keys().copied().filter(|slot| !self.stuck.contains(slot)).collect();
        if !ends.is_empty() && self.rng.random_ratio(1, 40) {
            let slot = *ends.iter().min().unwrap();
            self.flushed.insert(slot, self.flushes.remove(&slot).unwrap());
            dut.set("flushed", 1);
            dut.set("flushed_slot", slot.into());
        }
    }

    /// So many clocks in which nobody asks for anything.
    fn clocks(&mut self, clocks: usize) {
        for _ in 0..clocks {
            self.clock();
            self.dut.clock();
        }
    }

    fn access(&mut self, slot: u64, offset: u64, write: Option<(u32, u8)>) -> u32 {
        let (data, be) = write.unwrap_or((0, 15));
        self.dut.set("bus_valid", 1);
        self.dut.set("bus_write", write.is_some().into());
        self.dut.set("bus_owner", (slot << 2 | 1).into());
        self.dut.set("bus_offset", offset.into());
        self.dut.set("bus_be", be.into());
        self.dut.set("bus_wdata", data.into());
        for _ in 0..300 {
            self.clock();
            let read = (self.dut.get("bus_ack") == 1).then(|| self.dut.get("bus_rdata") as u32);
            self.dut.clock();
            if let Some(read) = read {
                self.dut.set("bus_valid", 0);
                // The completer sends the completion before it comes again.
                for _ in 0..3 {
                    self.clock();
                    self.dut.clock();
                }
                return read;
            }
        }
        panic!("no answer");
    }

    fn read(&mut self, slot: u64, offset: u64) -> u64 {
        self.access(slot, offset, None).into()
    }

    fn write(&mut self, slot: u64, offset: u64, v: u64) {
        self.access(slot, offset, Some((v as u32, 15)));
    }

    fn enable(&mut self, slot: u64) {
        self.write(slot, nvme::CC, nvme::CC_ENABLE_VALUE);
        assert!(nvme::CSTS_RDY.is_set(self.read(slot, nvme::CSTS)));
    }

    fn shst(&mut self, slot: u64) -> u64 {
        nvme::CSTS_SHST.of(self.read(slot, nvme::CSTS))
    }

    /// A port for one clock, with a slot.
    fn pulse(&mut self, port: &str, field: &str, slot: u64) {
        self.dut.set(port, 1);
        self.dut.set(field, slot.into());
        self.clocks(1);
        self.dut.set(port, 0);
    }

    fn ready(&mut self, slot: u64) -> bool {
        nvme::CSTS_RDY.is_set(self.read(slot, nvme::CSTS))
    }
}

#[test]
fn every_function_has_its_own_registers_and_nothing_else_can_be_written() {
    let mut w = World::new(1);
    let mut words = std::collections::HashMap::new();
    let masks = [
        (nvme::AQA, nvme::AQA_ASQS.mask() | nvme::AQA_ACQS.mask()),
        (nvme::ASQ, 0xffff_f000),
        (nvme::ASQ + 4, 0xffff_ffff),
        (nvme::ACQ, 0xffff_f000),
        (nvme::ACQ + 4, 0xffff_ffff),
    ];
    for _ in 0..3000 {
        let slot = w.rng.random_range(0..=VFS);
        let offset = w.rng.random_range(0..0x50) & !3;
        let old = match offset {
            nvme::CAP => nvme::CAP_VALUE & 0xffff_ffff,
            4 => nvme::CAP_VALUE >> 32,
            nvme::VS => nvme::VS_VALUE,
            _ => words.get(&(slot, offset)).copied().unwrap_or(0),
        };
        assert_eq!(w.read(slot, offset), old, "slot {slot}, {offset:x}");
        if offset == nvme::CC {
            continue;
        }
        let (v, be) = (w.rng.random::<u32>(), w.rng.random_range(0..16u8));
        w.access(slot, offset, Some((v, be)));
        if let Some((_, writable)) = masks.iter().find(|m| m.0 == offset) {
            let bytes = (0..4).fold(0u64, |m, i| if be >> i & 1 == 1 { m | 0xff << (8 * i) } else { m });
            words.insert((slot, offset), (old & !bytes | u64::from(v) & bytes) & writable);
        }
    }
    assert!(w.asked.is_empty(), "nothing of it concerns the queues");
}

#[test]
fn doorbells_reach_their_queue_and_odd_ones_nobody() {
    let mut w = World::new(2);
    for _ in 0..1000 {
        let slot = w.rng.random_range(0..=VFS);
        let qid = w.rng.random_range(0..12);
        let completion: bool = w.rng.random();
        let offset = if completion { nvme::cq_head(qid) } else { nvme::sq_tail(qid) };
        let (value, be) = (w.rng.random::<u32>(), if w.rng.random() { 15 } else { w.rng.random_range(0..16) });
        w.asked.clear();
        w.access(slot, offset, Some((value, be)));
        let op = if completion { Op::CQ_DOORBELL } else { Op::SQ_DOORBELL };
        // One beyond the last queue is reported by the queues, as is one of a queue that is not there.
        let asked = (op, slot, qid, nvme::DOORBELL_VALUE.of(value.into()));
        let wanted = if be & 3 == 3 { vec![asked] } else { vec![] };
        assert_eq!(w.asked, wanted);
        assert_eq!(w.read(slot, offset), 0);
    }
}

#[test]
fn rdy_follows_en_and_falls_only_when_nothing_is_left_while_others_are_served() {
    let mut w = World::new(3);
    for round in 0..40 {
        let slot = w.rng.random_range(0..=VFS);
        let other = (slot + 1) % (VFS + 1);
        w.asked.clear();
        w.write(slot, nvme::AQA, nvme::AQA_ASQS.put(31) | nvme::AQA_ACQS.put(63));
        w.write(slot, nvme::ASQ, 0x5000);
        w.write(slot, nvme::ACQ, 0x3000);
        w.enable(slot);
        assert_eq!(w.asked, [(Op::ENABLE, slot, 31 << 16 | 63, 5 ^ 3)]);
        w.asked.clear();
        w.used = vec![slot];
        w.forgotten.clear();
        w.shuts.clear();
        w.write(slot, nvme::CC, 0);
        for _ in 0..20 {
            assert!(w.ready(slot), "its commands are still under way");
            assert_eq!(w.read(other, nvme::VS), nvme::VS_VALUE);
        }
        assert_eq!(w.asked, [(Op::QUIESCE, slot, 0, 0)], "round {round}: closed once");
        // The last completion leaves before the close is over; others are served while it does.
        w.used.clear();
        w.dut.set("posting", 1);
        w.dut.set("posting_slot", slot.into());
        for _ in 0..20 {
            assert!(w.ready(slot), "its last completion has not left");
            assert_eq!(w.read(other, nvme::VS), nvme::VS_VALUE);
        }
        assert!(w.forgotten.is_empty());
        w.dut.set("posting", 0);
        let mut polls = 0;
        while w.ready(slot) {
            polls += 1;
            assert!(polls < 200);
        }
        assert!(w.forgotten.contains(&slot) && w.forgotten.iter().all(|s| *s == slot));
        assert_eq!(w.shuts, [(slot, true), (slot, false)], "what it had at the medium ends, once");
    }
}

#[test]
fn a_function_reset_is_done_when_it_is_quiet_and_leaves_registers_as_at_power_on() {
    let mut w = World::new(4);
    for _ in 0..30 {
        let slot = w.rng.random_range(0..=VFS);
        w.write(slot, nvme::ASQ, 0x7000);
        w.enable(slot);
        w.used = vec![slot];
        w.dut.set("reset_valid", 1);
        w.dut.set("reset_slot", slot.into());
        for _ in 0..200 {
            w.clock();
            assert_eq!(w.dut.get("reset_done"), 0);
            w.dut.clock();
        }
        w.used.clear();
        while w.dut.get("reset_done") == 0 {
            w.clock();
            w.dut.clock();
        }
        w.dut.set("reset_valid", 0);
        w.clock();
        w.dut.clock();
        for offset in [nvme::CC, nvme::CSTS, nvme::ASQ] {
            assert_eq!(w.read(slot, offset), 0);
        }
        assert_eq!(w.dut.get("reset_done"), 0);
    }
}

#[test]
fn closings_go_on_side_by_side_and_none_waits_for_another() {
    let mut w = World::new(8);
    for round in 0..20 {
        let slots: Vec<u64> = (0..=VFS).map(|i| (i + round) % (VFS + 1)).collect();
        for slot in &slots {
            w.enable(*slot);
        }
        // The first is reset, the second closed, the third goes offline, and none of their commands ends.
        w.used = slots[..3].to_vec();
        let reset = |w: &mut World, slot: u64, clocks: usize| {
            w.dut.set("reset_valid", 1);
            w.dut.set("reset_slot", slot.into());
            let done = (0..clocks).any(|_| {
                w.clock();
                let done = w.dut.get("reset_done") == 1;
                w.dut.clock();
                done
            });
            w.dut.set("reset_valid", 0);
            w.clock();
            w.dut.clock();
            done
        };
        assert!(!reset(&mut w, slots[0], 60));
        w.write(slots[1], nvme::CC, 0);
        if slots[2] != 0 {
            w.dut.set("off", 1);
            w.dut.set("off_slot", slots[2].into());
            w.clock();
            w.dut.clock();
            w.dut.set("off", 0);
        }
        // The fourth is reset beside them, and the fifth closed.
        assert!(reset(&mut w, slots[3], 600), "round {round}: a reset waits for another function");
        w.write(slots[4], nvme::CC, 0);
        let polls = (0..60).position(|_| !w.ready(slots[4]));
        assert!(polls.is_some(), "round {round}: a close waits for another function");
        assert!(w.ready(slots[1]), "its commands are under way");
        assert!(!reset(&mut w, slots[0], 60), "asked again, and still not done");
        // They may end, but what is kept of them is not forgotten yet: everybody is served.
        w.used.clear();
        w.slow = true;
        for _ in 0..40 {
            for slot in &slots {
                w.read(*slot, nvme::VS);
            }
        }
        assert!(w.ready(slots[1]) || !w.forgotten.is_empty());
        w.slow = false;
        assert!(reset(&mut w, slots[0], 900));
        for _ in 0..60 {
            w.read(slots[1], nvme::CSTS);
        }
        assert!(!w.ready(slots[1]));
        // A reset that was heard of is over: another is another.
        w.used = vec![slots[0]];
        assert!(!reset(&mut w, slots[0], 200));
        w.used.clear();
        assert!(reset(&mut w, slots[0], 900));
        w.dut.set("on", 1);
        w.dut.set("off_slot", slots[2].into());
        w.clock();
        w.dut.clock();
        w.dut.set("on", 0);
        for slot in &slots {
            w.write(*slot, nvme::CC, 0);
            while w.ready(*slot) {}
        }
        w.forgotten.clear();
        for _ in 0..300 {
            w.clock();
            w.dut.clock();
        }
        assert_eq!(w.dut.get("busy"), 0, "round {round}: nothing is left to do");
    }
}

#[test]
fn what_is_not_supported_and_what_cannot_go_on_shows_as_a_fatal_status() {
    let mut w = World::new(5);
    w.write(1, nvme::CC, nvme::CC_ENABLE_VALUE | nvme::CC_MPS.put(1));
    let status = w.read(1, nvme::CSTS);
    assert!(nvme::CSTS_CFS.is_set(status) && !nvme::CSTS_RDY.is_set(status) && w.asked.is_empty());
    w.enable(2);
    w.dut.set("fatal", 1);
    w.dut.set("fatal_slot", 2);
    while w.dut.get("fatal_ready") == 0 {
        w.clock();
        w.dut.clock();
    }
    w.dut.clock();
    w.dut.set("fatal", 0);
    assert!(nvme::CSTS_CFS.is_set(w.read(2, nvme::CSTS)));
    assert!(!nvme::CSTS_CFS.is_set(w.read(3, nvme::CSTS)));
}

#[test]
fn an_offline_controller_shows_a_fatal_status_and_takes_nothing_until_it_is_online() {
    let mut w = World::new(6);
    for _ in 0..20 {
        let slot = w.rng.random_range(1..=VFS);
        let other = slot % VFS + 1;
        w.enable(slot);
        w.used = vec![slot];
        w.asked.clear();
        w.dut.set("off", 1);
        w.dut.set("off_slot", slot.into());
        w.clock();
        w.dut.clock();
        w.dut.set("off", 0);
        assert_eq!(w.dut.get("offline"), 1 << slot, "at once");
        // Its commands are still under way.
        for _ in 0..100 {
            w.clock();
            assert_eq!(w.dut.get("off_done"), 0);
            w.dut.clock();
        }
        assert_eq!(w.read(slot, nvme::CSTS), nvme::CSTS_CFS.mask());
        assert!(!nvme::CSTS_CFS.is_set(w.read(other, nvme::CSTS)));
        w.used.clear();
        let mut told = 0;
        for _ in 0..300 {
            w.clock();
            told += w.dut.get("off_done");
            w.dut.clock();
        }
        assert_eq!((told, w.dut.get("reset_done")), (1, 0), "told once, and to nobody else");
        w.asked.clear();
        w.write(slot, nvme::CC, nvme::CC_ENABLE_VALUE);
        w.write(slot, nvme::ASQ, 0x9000);
        w.write(slot, nvme::sq_tail(0), 1);
        assert!(w.asked.is_empty(), "neither enable nor doorbell");
        assert_eq!(w.read(slot, nvme::VS), nvme::VS_VALUE);
        w.enable(other);
        w.dut.set("on", 1);
        w.clock();
        w.dut.clock();
        w.dut.set("on", 0);
        assert_eq!((w.read(slot, nvme::CSTS), w.read(slot, nvme::ASQ)), (0, 0), "as at power on");
        w.enable(slot);
    }
    // A reset of the PF ends it too.
    w.dut.set("off", 1);
    w.dut.set("off_slot", 2);
    w.clock();
    w.dut.clock();
    w.dut.set("off", 0);
    w.dut.set("reset_valid", 1);
    w.dut.set("reset_slot", 0);
    while w.dut.get("reset_done") == 0 {
        w.clock();
        w.dut.clock();
    }
    w.clock();
    w.dut.clock();
    w.dut.set("reset_valid", 0);
    w.clock();
    w.dut.clock();
    assert_eq!(w.dut.get("offline"), 0);
}

#[test]
fn a_shutdown_is_complete_when_the_volume_is_flushed() {
    let mut w = World::new(7);
    let shn = nvme::CC_ENABLE_VALUE | nvme::CC_SHN.put(nvme::SHN_NORMAL);
    for round in 0..40 {
        // All of them at once. The flush of one does not end, so that of no other may wait for it.
        let stuck = w.rng.random_range(0..=VFS);
        w.stuck.insert(stuck);
        for slot in 0..=VFS {
            w.enable(slot);
            w.flushed.remove(&slot);
            w.write(slot, nvme::CC, shn);
            assert!(w.shst(slot) == nvme::SHST_OCCURRING || w.flushed.contains_key(&slot));
            // Said twice, it is one shutdown.
            w.write(slot, nvme::CC, shn);
        }
        w.clocks(1500);
        for slot in 0..=VFS {
            let wanted = if slot == stuck { nvme::SHST_OCCURRING } else { nvme::SHST_COMPLETE };
            assert_eq!(w.shst(slot), wanted, "round {round}, slot {slot}");
            assert_eq!(w.flushed.contains_key(&slot), slot != stuck, "round {round}, slot {slot}");
        }
        // Others are closed and reset beside it; its own registers are served.
        let other = (stuck + 1) % (VFS + 1);
        w.write(other, nvme::CC, 0);
        assert!((0..100).any(|_| !w.ready(other)), "round {round}: a close waits for another's flush");
        w.write(stuck, nvme::AQA, 7);
        assert_eq!(w.read(stuck, nvme::AQA), 7);
        // It is closed: not before its flush has ended.
        w.forgotten.clear();
        w.write(stuck, nvme::CC, 0);
        w.clocks(400);
        assert!(w.ready(stuck) && w.forgotten.is_empty(), "round {round}: its volume is being flushed");
        w.stuck.clear();
        assert!((0..200).any(|_| !w.ready(stuck)));
        assert_eq!(w.shst(stuck), nvme::SHST_NORMAL, "what comes after is another story");
        for slot in 0..=VFS {
            w.write(slot, nvme::CC, 0);
            assert!((0..100).any(|_| !w.ready(slot)));
        }
        w.clocks(100);
        assert_eq!((w.dut.get("busy"), w.shut.len()), (0, 0), "round {round}");
    }
}

#[test]
fn whatever_is_asked_beside_whatever_ends_where_it_should() {
    let mut w = World::new(9);
    let (mut shutdowns, mut resets, mut closings) = (0, 0, 0);
    for round in 0..150 {
        // CC of each slot as it was written last; who is offline; whose reset is asked for and not done.
        let mut cc = [0; VFS as usize + 1];
        let mut off: HashSet<u64> = HashSet::new();
        let mut owed: HashSet<u64> = HashSet::new();
        for step in 0..120 {
            let slot = w.rng.random_range(0..=VFS);
            let at = slot as usize;
            match w.rng.random_range(0..16) {
                0..6 if !owed.contains(&slot) => {
                    let shn = [0, 0, nvme::SHN_NORMAL, nvme::SHN_ABRUPT][w.rng.random_range(0..4)];
                    let enable = if w.rng.random() { nvme::CC_ENABLE_VALUE } else { 0 };
                    w.write(slot, nvme::CC, enable | nvme::CC_SHN.put(shn));
                    if !off.contains(&slot) {
                        cc[at] = enable | nvme::CC_SHN.put(shn);
                    }
                }
                6 | 7 => {
                    w.used.retain(|s| *s != slot);
                    if w.rng.random() && !w.shut.contains(&slot) && !w.forgotten.contains(&slot) {
                        w.used.push(slot);
                    }
                }
                8 => {
                    let stuck = !w.stuck.remove(&slot);
                    if stuck && w.rng.random() && !w.flushed.contains_key(&slot) {
                        w.stuck.insert(slot);
                    }
                }
                9 | 10 if step < 100 => {
                    // A reset that may be taken back before it is done, and asked again: then it is owed.
                    owed.insert(slot);
                    cc[at] = 0;
                    w.dut.set("reset_valid", 1);
                    w.dut.set("reset_slot", slot.into());
                    let mut patience = w.rng.random_range(20..200);
                    if slot == 0 {
                        // A reset of the PF is waited for: it ends what the primary had decided of the others.
                        off.clear();
                        w.used.clear();
                        w.stuck.clear();
                        patience = 3000;
                    }
                    for _ in 0..patience {
                        w.clock();
                        let done = w.dut.get("reset_done") == 1;
                        w.dut.clock();
                        if done {
                            assert!(!w.shut.contains(&slot) && !w.flushes.contains_key(&slot));
                            owed.remove(&slot);
                            resets += 1;
                            break;
                        }
                    }
                    w.dut.set("reset_valid", 0);
                    w.clocks(1);
                    if slot == 0 {
                        assert!(!owed.contains(&0));
                        w.clocks(1000);
                    }
                }
                11 if slot != 0 && step < 100 && !owed.contains(&slot) => {
                    if off.remove(&slot) {
                        // The primary waits for it to be off before it asks for anything else.
                        w.used.retain(|s| *s != slot);
                        w.stuck.remove(&slot);
                        w.clocks(600);
                        w.pulse("on", "off_slot", slot);
                    } else {
                        w.pulse("off", "off_slot", slot);
                        off.insert(slot);
                        cc[at] = 0;
                    }
                }
                12 => w.clocks(60),
                _ if !owed.contains(&slot) => {
                    let life = w.lives.get(&slot).copied().unwrap_or(0);
                    if off.contains(&slot) {
                        assert_eq!(w.read(slot, nvme::CSTS), nvme::CSTS_CFS.mask());
                    } else if w.shst(slot) == nvme::SHST_COMPLETE {
                        assert!(w.flushed.get(&slot).is_some_and(|taken| *taken >= life), "a flush of another life");
                        shutdowns += 1;
                    }
                }
                _ => {}
            }
            w.forgotten.retain(|s| w.shut.contains(s));
        }
        // Everything ends when what it waits for does.
        w.used.clear();
        w.stuck.clear();
        w.clocks(1500);
        for slot in owed {
            w.dut.set("reset_valid", 1);
            w.dut.set("reset_slot", slot.into());
            let done = (0..600).any(|_| {
                w.clocks(1);
                w.dut.get("reset_done") == 1
            });
            assert!(done, "round {round}: the reset of {slot} is never done");
            w.dut.set("reset_valid", 0);
            w.clocks(1);
        }
        w.clocks(600);
        for slot in 0..=VFS {
            if !off.contains(&slot) {
                let status = w.read(slot, nvme::CSTS);
                assert_eq!(w.read(slot, nvme::CC), cc[slot as usize]);
                assert_eq!(
                    nvme::CSTS_RDY.is_set(status),
                    nvme::CC_EN.is_set(cc[slot as usize]),
                    "round {round}, {slot}"
                );
                let shuts = nvme::CC_SHN.of(cc[slot as usize]) != nvme::SHN_NONE;
                let shst = nvme::CSTS_SHST.of(status);
                assert!(!shuts || shst == nvme::SHST_COMPLETE, "round {round}, slot {slot}: {shst}");
            }
        }
        closings += w.shuts.len();
        assert!(w.shut.is_empty() && w.flushes.is_empty(), "round {round}");
        assert_eq!(w.dut.get("busy"), 0, "round {round}: nothing is left to do");
        for slot in 0..=VFS {
            w.write(slot, nvme::CC, 0);
            w.pulse("on", "off_slot", slot);
            w.clocks(400);
        }
    }
    assert!(shutdowns > 100 && resets > 100 && closings > 1000, "{shutdowns} {resets} {closings}");
}
