//! Reads of host memory against a host that answers in any order and in any pieces, refuses, poisons, lies or is silent.

use std::collections::{HashMap, VecDeque};

use azote_regs::function::{FunctionId, Kind};
use azote_regs::pcie::tlp;
use azote_rtl::dma::Read;
use azote_rtl::dma::read::{self, ENGINES, TAGS};
use azote_rtl::storage::terms::{ENTRIES, LISTS};
use azote_rtl::transaction::Found;
use azote_rtl::transaction::header::Sends;
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench::{self, header};

const BUS: u64 = 0x5a;
/// Time-out of the model under test, in ticks of `TICK` clocks.
const TIMEOUT: u64 = 6;
const TICK: u64 = 1024;
/// The engine that asks, and its clients.
const ENGINE: usize = 1;
const CLIENTS: usize = read::CLIENTS[ENGINE];
/// Clients below have a chunk of the data buffer each, the others their part of the control buffer.
const CHUNKS: usize = LISTS as usize;
/// DWs of a queue entry; what is behind the entries in the control buffer is for lists.
const ENTRY: usize = 16;

/// Where a client's data may go: `(first DW, DWs)`.
fn room(client: usize) -> (usize, usize) {
    match client.checked_sub(ENTRIES as usize) {
        Some(place) => (place * ENTRY, ENTRY),
        None if client == CHUNKS => (64, 64),
        None => (client * 1024, 1024),
    }
}

/// What a host has at an address.
fn content(address: u64) -> u32 {
    ((address >> 2).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

/// The owner of slot `slot` inside the card, and its requester ID on the link.
fn owner(slot: u8) -> (u8, u64) {
    let f = if slot == 0 { FunctionId::pf(Kind::Storage) } else { FunctionId::vf(Kind::Storage, slot - 1).unwrap() };
    (slot << 2 | Kind::Storage.code() as u8, tlp::ID_BUS.put(BUS) | u64::from(f.number()))
}

/// The owner that a requester ID names, if it is one of ours.
fn named(requester: u64) -> Option<u8> {
    let ours = tlp::ID_BUS.of(requester) == BUS;
    let f = FunctionId::from_number(requester as u8).filter(|_| ours)?;
    Some((f.slot() << 2 | f.kind.code()) as u8)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Good,
    Refused,
    Poisoned,
    WrongCount,
    Silent,
}

/// A request that the host has seen.
#[derive(Clone, Debug)]
struct Tag {
    number: u64,
    requester: u64,
    address: u64,
    /// DWs to come, and bytes of the first and of the last that were not asked for.
    left: u64,
    start: u64,
    missing: u64,
    fate: Fate,
    client: usize,
}

struct Request {
    client: usize,
    slot: u8,
    address: u64,
    dws: u64,
    /// Bytes of the first DW and of the last that are not asked for.
    start: u64,
    missing: u64,
    dest: usize,
}

struct World {
    dut: Dut,
    rng: SmallRng,
    mrrs: u64,
    may: [bool; 4],
    tags: Vec<Tag>,
    beats: VecDeque<(bool, bool, bool, u128)>,
    /// What may land: the DW that belongs at `(control, index)`.
    allowed: HashMap<(bool, usize), u32>,
    landed: HashMap<(bool, usize), u32>,
    /// In how many of a hundred a tag has another fate than Good.
    trouble: u32,
    fates: Vec<Fate>,
    /// Event, whose (if any function's), header.
    errors: Vec<(u64, Option<u8>, u128)>,
    /// What must be found, as the model has it, in order.
    owed: Vec<(u64, Option<u8>, u128)>,
    /// What failed, by client, as the model has it.
    failed: [bool; CLIENTS],
    standing: Option<Request>,
    sent: u64,
    /// Functions in reset, and whose tags were seen in use while they were looked at.
    forgotten: Vec<u8>,
    looked: Vec<u8>,
    /// Clients for which packets come that are nullified.
    nulls: VecDeque<usize>,
    nulled: usize,
}

impl World {
    fn new(seed: u64) -> World {
        let mut dut = bench::build("dma_read", || Read::new(TIMEOUT as usize, [0, TAGS, 0]));
        dut.set("bus_number", BUS.into());
        dut.set("error_ready", 1);
        World {
            dut,
            rng: bench::rng(seed),
            mrrs: 0,
            may: [true; 4],
            tags: vec![],
            beats: VecDeque::new(),
            allowed: HashMap::new(),
            landed: HashMap::new(),
            trouble: 0,
            fates: vec![Fate::Refused, Fate::Poisoned, Fate::WrongCount],
            errors: vec![],
            owed: vec![],
            failed: [false; CLIENTS],
            standing: None,
            sent: 0,
            forgotten: vec![],
            looked: vec![],
            nulls: VecDeque::new(),
            nulled: 0,
        }
    }

    fn ask(&mut self, client: usize) -> &Request {
        let (base, room) = room(client);
        let dws = self.rng.random_range(1..=room as u64);
        let offset = self.rng.random_range(0..=1024 - dws);
        let high = if self.rng.random() { self.rng.random::<u32>() & 0xffff } else { 0 };
        let address = u64::from(high) << 32 | u64::from(self.rng.random::<u32>() & 0xffff_f000) | (offset * 4);
        let dest = base + self.rng.random_range(0..=room - dws as usize);
        let slot = self.rng.random_range(0..4);
        for i in 0..dws {
            self.allowed.insert((client >= CHUNKS, dest + i as usize), content(address + 4 * i));
        }
        self.failed[client] = false;
        self.dut.set("land_1_forget", 1 << client);
        self.clock();
        self.dut.set("land_1_forget", 0);
        // Some bytes less, of which one at least is left.
        let [start, missing] = [0, 1].map(|_| if self.rng.random() { 0 } else { self.rng.random_range(0..4) });
        let missing = if dws == 1 { missing.min(3 - start) } else { missing };
        let bytes = 4 * dws - start - missing;
        for (port, v) in [
            ("rd_1_owner", owner(slot).0.into()),
            ("rd_1_client", client as u64),
            ("rd_1_bytes", bytes),
            ("rd_1_address", address + start),
            ("rd_1_dest", dest as u64),
            ("rd_1_valid", 1),
        ] {
            self.dut.set(port, v.into());
        }
        self.standing.insert(Request { client, slot, address, dws, start, missing, dest })
    }

    /// The next piece of a completion of some tag, cut at a multiple of the read completion boundary.
    fn answer(&mut self) {
        let live: Vec<usize> = (0..self.tags.len()).filter(|i| self.tags[*i].fate != Fate::Silent).collect();
        if live.is_empty() || !self.beats.is_empty() || self.rng.random_ratio(1, 3) {
            return;
        }
        let n = live[self.rng.random_range(0..live.len())];
        let tag = &mut self.tags[n];
        let to_boundary = (tlp::RCB - tag.address % tlp::RCB) / 4;
        let dws = tag.left.min(to_boundary + tlp::RCB / 4 * self.rng.random_range(0..8));
        let (mut count, mut status, mut poison, mut bad) = (4 * tag.left - tag.start - tag.missing, tlp::SC, 0, false);
        let ends = match tag.fate {
            Fate::Refused => {
                status = if self.rng.random() { tlp::UR } else { tlp::CA };
                true
            }
            Fate::WrongCount => {
                count ^= 1 << self.rng.random_range(0..6);
                true
            }
            _ => {
                // Now and then a piece arrives malformed, and the link brings it again.
                bad = self.rng.random_ratio(1, 10);
                poison = u64::from(tag.fate == Fate::Poisoned);
                dws == tag.left && !bad
            }
        };
        let has_data = status == tlp::SC;
        let fmt_type = if has_data { tlp::CPLD } else { tlp::CPL };
        let dw0 = tlp::FMT_TYPE.put(fmt_type) | tlp::LENGTH.put(if has_data { dws } else { 0 }) | tlp::EP.put(poison);
        let dw1 = tlp::STATUS.put(status) | tlp::BYTE_COUNT.put(count);
        let dw2 = tlp::REQUESTER_ID.put(tag.requester) | tlp::TAG.put(tag.number) | (tag.address & 0x7f);
        let data: Vec<u32> = (0..if has_data { dws } else { 0 }).map(|i| content(tag.address + 4 * i)).collect();
        let packet = bench::Packet { header: header([dw0, dw1, dw2, 0]), payload: data, owner: 0 };
        self.beats.extend(packet.beats().iter().map(|b| (b.0, b.1, b.1 && bad, b.3)));
        let event = match tag.fate {
            Fate::Refused if status == tlp::CA => Some(Found::TARGET_ABORT),
            Fate::Refused => Some(Found::MASTER_ABORT),
            Fate::WrongCount => Some(Found::UNEXPECTED),
            Fate::Poisoned if !bad => Some(Found::POISONED_COMPLETION),
            _ => None,
        };
        self.owed.extend(event.map(|e| (e, named(tag.requester), packet.header)));
        if bad {
            self.nulls.push_back(tag.client);
        }
        if !bad {
            tag.address += 4 * dws;
            tag.left -= dws;
            tag.start = 0;
        }
        if ends {
            self.tags.remove(n);
        }
    }

    fn clock(&mut self) {
        self.answer();
        let dut = &mut self.dut;
        let beat = if self.rng.random_ratio(3, 4) { self.beats.pop_front() } else { None };
        dut.set("cpl_valid", beat.is_some().into());
        if let Some((sop, eop, bad, data)) = beat {
            for (port, v) in [("cpl_sop", sop), ("cpl_eop", eop), ("cpl_bad", bad)] {
                dut.set(port, v.into());
            }
            dut.set("cpl_data", data);
        }
        dut.set("mrrs_1", self.mrrs.into());
        let ready = self.rng.random_bool(0.5);
        dut.set("tx_ready", 0);
        dut.eval();
        let looked = dut.get("looked_owner") as u8;
        dut.set("looked_forgotten", self.forgotten.contains(&looked).into());
        if dut.get("looked_turn") == 1 && dut.get("looked_used") == 1 {
            self.looked.push(looked);
        }
        dut.eval();
        if dut.get("tx_valid") == 1 && ready {
            let r = self.standing.as_ref().unwrap();
            let allowed = self.may[usize::from(r.slot)];
            dut.set("tx_ready", 1);
            dut.set("tx_killed", (!allowed).into());
            dut.eval();
            let owner_of_it = dut.get("tx_owner") as u8;
            let given = bench::Packet { header: dut.get("tx_data"), payload: Vec::new(), owner: owner_of_it };
            let packet = given.signed(Sends::READ, BUS);
            let dw = |n: usize| packet.dw(n);
            let long = tlp::FMT_BIT_4DW.is_set(dw(0));
            let at = if long { dw(2) << 32 | dw(3) } else { dw(2) };
            let dws = tlp::LENGTH.of(dw(0));
            assert_eq!(tlp::FMT_TYPE.of(dw(0)), if long { tlp::MRD64 } else { tlp::MRD32 });
            assert_eq!((at >> 32 != 0, at), (long, r.address + 4 * self.sent));
            assert!(dws >= 1 && dws <= (32 << self.mrrs.min(2)) && at % 4096 + 4 * dws <= 4096, "{dws} from {at:x}");
            assert_eq!((dut.get("tx_owner"), tlp::REQUESTER_ID.of(dw(1))), (owner(r.slot).0.into(), owner(r.slot).1));
            // Only the ends of the whole are cut.
            let start = if self.sent == 0 { r.start } else { 0 };
            let missing = if self.sent + dws == r.dws { r.missing } else { 0 };
            let (first, last) = (15 << start & 15, 15 >> missing);
            let enables = if dws == 1 { (first & last, 0) } else { (first, last) };
            assert_eq!((tlp::FIRST_BE.of(dw(1)), tlp::LAST_BE.of(dw(1))), enables);
            let number = tlp::TAG.of(dw(1));
            assert!(self.tags.iter().all(|t| t.number != number), "tag {number} is in use");
            self.sent += dws;
            let trouble = self.rng.random_ratio(self.trouble, 100);
            let fate = if trouble { self.fates[self.rng.random_range(0..self.fates.len())] } else { Fate::Good };
            if allowed {
                let (requester, client) = (owner(r.slot).1, r.client);
                self.tags.push(Tag { number, requester, address: at, left: dws, start, missing, fate, client });
            }
            self.failed[r.client] |= !allowed || fate != Fate::Good;
        }
        if dut.get("rd_1_ready") == 1 {
            let r = self.standing.take().unwrap();
            assert_eq!(self.sent, r.dws, "all of it was sent");
            self.sent = 0;
        }
        if dut.get("error_valid") == 1 {
            let owner = (dut.get("error_everyone") == 0).then(|| dut.get("error_owner") as u8);
            self.errors.push((dut.get("error_event") as u64, owner, dut.get("error_header")));
        }
        let lanes = dut.get("land_1_lanes");
        let client = dut.get("land_1_client") as usize;
        let off = dut.get("land_1_off") as usize;
        let row = |lane: usize| dut.get(if off > lane { "land_1_next" } else { "land_1_row" }) as usize;
        let places: Vec<(usize, usize)> =
            (0..4).filter(|l| lanes >> l & 1 == 1).map(|lane| (lane, row(lane) * 4 + lane)).collect();
        for (lane, place) in &places {
            let at = (client >= CHUNKS, *place);
            let word = (dut.get("land_1_data") >> (32 * lane)) as u32;
            assert_eq!(self.allowed.get(&at), Some(&word), "a DW that does not belong at {at:?}");
            self.landed.insert(at, word);
        }
        // What is told is what goes there, while its client counts as waiting.
        if lanes != 0 {
            let (at, dws) = (dut.get("land_1_at") as usize, dut.get("land_1_dws") as usize);
            let mut told: Vec<usize> = places.iter().map(|(_, place)| *place).collect();
            told.sort_unstable();
            assert_eq!(told, (at..at + dws).collect::<Vec<_>>());
            assert_eq!(dut.get("land_1_pending") >> client & 1, 1, "all counts as there before its last DW is");
        }
        for other in (0..ENGINES).filter(|e| *e != ENGINE) {
            for port in ["lanes", "nulled", "pending", "failed"] {
                assert_eq!(dut.get(&format!("land_{other}_{port}")), 0, "another engine hears of it");
            }
        }
        if dut.get("land_1_nulled") == 1 {
            assert_eq!(self.nulls.pop_front(), Some(dut.get("land_1_nulled_client") as usize));
            self.nulled += 1;
        }
        dut.clock();
        if self.standing.is_none() {
            self.dut.set("rd_1_valid", 0);
        }
    }

    fn pending(&mut self, client: usize) -> bool {
        self.dut.eval();
        self.dut.get("land_1_pending") >> client & 1 == 1
    }

    fn clocks(&mut self, n: u64) {
        for _ in 0..n {
            self.clock();
        }
    }

    /// Until the standing request is sent and nothing is under way.
    fn drain(&mut self, client: usize) {
        for _ in 0..40_000 {
            if self.standing.is_none() && !self.pending(client) {
                self.clocks(3);
                // One is on its way in, and one behind it may have begun.
                assert!(self.nulls.len() <= 2, "packets were nullified and nobody was told");
                return;
            }
            self.clock();
        }
        panic!("client {client} hangs");
    }
}

#[test]
fn every_byte_lands_or_its_client_hears_that_it_failed() {
    let mut w = World::new(1);
    w.trouble = 3;
    // What each client asked for last.
    let mut last: Vec<Option<(usize, u64, u64)>> = vec![None; CLIENTS];
    let (mut good, mut failed) = (0, [0; CLIENTS]);
    for _ in 0..800 {
        w.mrrs = w.rng.random_range(0..6);
        if w.rng.random_ratio(1, 10) {
            let slot = w.rng.random_range(0..4);
            w.may[slot] = w.rng.random_bool(0.7);
        }
        // One client after the other; those before may still be under way.
        let client = w.rng.random_range(0..CLIENTS);
        w.drain(client);
        if let Some((dest, dws, address)) = last[client] {
            let bit = w.dut.get("land_1_failed") >> client & 1 == 1;
            assert_eq!(bit, w.failed[client], "client {client}");
            failed[client] += usize::from(bit);
            for i in (0..dws).filter(|_| !bit) {
                good += 1;
                let at = (client >= CHUNKS, dest + i as usize);
                assert_eq!(w.landed.get(&at), Some(&content(address + 4 * i)), "client {client}, DW {i} of {dws}");
            }
            for i in 0..dws {
                w.allowed.remove(&(client >= CHUNKS, dest + i as usize));
                w.landed.remove(&(client >= CHUNKS, dest + i as usize));
            }
        }
        let r = w.ask(client);
        last[client] = Some((r.dest, r.dws, r.address));
        while w.standing.is_some() {
            w.clock();
        }
    }
    assert!(good > 50_000 && failed.iter().all(|n| *n > 0), "{good} DWs, failures {failed:?}");
    assert!(w.nulled > 50, "{} packets of data were nullified", w.nulled);
    // Each trouble was told once, of the function that asked, with the header of the completion that brought it.
    w.clocks(5);
    assert!(w.errors.len() > 30);
    assert_eq!(w.errors, w.owed);
}

#[test]
fn a_completion_that_nobody_waits_for_changes_nothing_but_the_error_record() {
    let mut w = World::new(2);
    w.mrrs = 5;
    for round in 0..200 {
        w.fates = vec![Fate::Silent];
        w.trouble = 100;
        w.ask(0);
        w.drain_sent();
        // Tags that are not in use, and tags in use with another function's or another bus's requester ID.
        let victim = w.tags[w.rng.random_range(0..w.tags.len())].clone();
        let (number, requester) = match round % 4 {
            0 => (victim.number ^ 0x80, victim.requester),
            1 => ((TAGS - 1 - w.tags.len() % 8) as u64, victim.requester),
            2 => (victim.number, victim.requester ^ 4),
            _ => (victim.number, victim.requester ^ 0x100),
        };
        assert!(round % 4 != 1 || w.tags.iter().all(|t| t.number != number));
        let dw0 = tlp::FMT_TYPE.put(tlp::CPLD) | tlp::LENGTH.put(victim.left);
        let dw2 = tlp::REQUESTER_ID.put(requester) | tlp::TAG.put(number);
        let payload = (0..victim.left).map(|_| w.rng.random()).collect();
        let packet = bench::Packet {
            header: header([dw0, tlp::BYTE_COUNT.put(4 * victim.left - victim.start - victim.missing), dw2, 0]),
            payload,
            owner: 0,
        };
        w.errors.clear();
        w.beats.extend(packet.beats().iter().map(|b| (b.0, b.1, false, b.3)));
        w.clocks(60);
        assert_eq!(w.errors.len(), 1);
        assert_eq!(w.errors[0], (Found::UNEXPECTED, named(requester), packet.header));
        assert!(w.landed.is_empty() && w.pending(0) && w.dut.get("land_1_failed") == 0);
        // And the real ones still land.
        for tag in &mut w.tags {
            tag.fate = Fate::Good;
        }
        w.failed[0] = false;
        w.drain(0);
        assert_eq!(w.dut.get("land_1_failed"), 0);
        assert_eq!(w.landed, w.allowed);
        w.allowed.clear();
        w.landed.clear();
    }
}

impl World {
    fn drain_sent(&mut self) {
        while self.standing.is_some() {
            self.clock();
        }
    }
}

#[test]
fn a_silent_host_is_a_time_out_and_its_tag_rests_before_it_is_used_again() {
    let mut w = World::new(3);
    w.mrrs = 5;
    w.fates = vec![Fate::Silent];
    w.trouble = 100;
    w.ask(3);
    w.drain_sent();
    let silent: Vec<Tag> = std::mem::take(&mut w.tags);
    let asked = w.dut.clocks();
    w.clocks((TIMEOUT - 1) * TICK - 50);
    assert!(w.pending(3), "not before its time");
    w.drain(3);
    let late = w.dut.clocks();
    assert!(late - asked <= (TIMEOUT + 1) * TICK + 50);
    assert_eq!(w.dut.get("land_1_failed"), 1 << 3);
    assert_eq!(w.errors.len(), silent.len());
    assert!(w.errors.iter().all(|e| e.0 == Found::TIMEOUT));
    // What comes late lands nowhere.
    w.allowed.clear();
    w.errors.clear();
    for tag in &silent {
        w.tags.push(Tag { fate: Fate::Good, ..tag.clone() });
    }
    w.clocks(1000);
    assert!(w.tags.is_empty() && w.errors.iter().all(|e| e.0 == Found::UNEXPECTED));
    assert!(!w.errors.is_empty());
    // For as long as the time-out, no request has one of the tags that rest; then they come back.
    w.trouble = 0;
    let mut back = None;
    while back.is_none() {
        w.ask(4);
        while w.standing.is_some() {
            w.clock();
            if w.tags.iter().any(|t| silent.iter().any(|s| s.number == t.number)) {
                back = back.or(Some(w.dut.clocks()));
            }
        }
        w.drain(4);
        assert!(w.dut.clocks() < late + 3 * TIMEOUT * TICK, "they never come back");
    }
    assert!(back.unwrap() - late >= (TIMEOUT - 2) * TICK, "used again after {} clocks", back.unwrap() - late);
}

#[test]
fn a_patient_function_waits_for_ever() {
    let mut w = World::new(4);
    w.dut.set("patient_1", 1);
    w.fates = vec![Fate::Silent];
    w.trouble = 100;
    w.ask(5);
    w.drain_sent();
    w.clocks(4 * TIMEOUT * TICK);
    assert!(w.pending(5) && w.errors.is_empty());
    for tag in &mut w.tags {
        tag.fate = Fate::Good;
    }
    w.drain(5);
    assert_eq!((w.dut.get("land_1_failed"), &w.landed), (0, &w.allowed));
}

#[test]
fn a_read_of_a_function_in_reset_times_out_though_it_is_patient_and_no_other_does() {
    let mut w = World::new(5);
    w.mrrs = 5;
    w.fates = vec![Fate::Silent];
    w.trouble = 100;
    w.dut.set("patient_1", 1);
    // Two clients of two functions, long out of time.
    w.ask(5);
    w.drain_sent();
    let first = owner(slot_of(&w.tags[0]));
    let kept = std::mem::take(&mut w.tags);
    let mut other = 6;
    loop {
        w.ask(other);
        w.drain_sent();
        if w.tags.iter().all(|t| t.requester != first.1) {
            break;
        }
        other = 7;
        w.tags.clear();
    }
    w.clocks(4 * TIMEOUT * TICK);
    assert!(w.pending(5) && w.pending(other) && w.errors.is_empty());
    // Every tag is looked at, with its owner, in a round of two clocks each.
    w.looked.clear();
    w.clocks(2 * TAGS as u64);
    assert!(w.looked.contains(&first.0));
    w.forgotten = vec![first.0];
    w.clocks((TIMEOUT + 2) * TICK);
    assert!(!w.pending(5) && w.pending(other));
    assert_eq!(w.errors.len(), kept.len());
    assert!(w.errors.iter().all(|e| (e.0, e.1) == (Found::TIMEOUT, Some(first.0))));
    w.looked.clear();
    w.clocks(2 * TAGS as u64);
    assert!(!w.looked.contains(&first.0) && !w.looked.is_empty());
    // Its completions are late, and land nowhere; the other's still do.
    w.errors.clear();
    w.landed.clear();
    for tag in &kept {
        w.tags.push(Tag { fate: Fate::Good, ..tag.clone() });
    }
    for tag in &mut w.tags {
        tag.fate = Fate::Good;
    }
    w.clocks(3000);
    assert!(!w.pending(other) && w.tags.is_empty() && !w.errors.is_empty());
    assert!(w.errors.iter().all(|e| (e.0, e.1) == (Found::UNEXPECTED, Some(first.0))));
}

/// The slot of the function that sent a request.
fn slot_of(tag: &Tag) -> u8 {
    named(tag.requester).unwrap() >> 2
}

/// Two engines ask for whole pages. The host answers none of the first one's reads.
#[test]
fn an_engine_whose_reads_are_not_answered_keeps_to_its_share_and_the_other_goes_on() {
    const SHARE: [usize; ENGINES] = [8, 24, 0];
    const START: u64 = 3;
    const MISSING: u64 = 2;
    let mut dut = bench::build("dma_read_shared", || Read::new(100, SHARE));
    let mut rng = bench::rng(6);
    for (port, v) in [("bus_number", BUS), ("error_ready", 1), ("tx_ready", 1), ("mrrs_0", 0), ("mrrs_1", 0)] {
        dut.set(port, v.into());
    }
    for engine in 0..2u64 {
        for (port, v) in [("owner", 4 | engine), ("bytes", 4096 - START - MISSING), ("client", engine), ("dest", 0)] {
            dut.set(&format!("rd_{engine}_{port}"), v.into());
        }
        dut.set(&format!("rd_{engine}_address"), u128::from(0x1000 * (engine + 1) + START));
        dut.set(&format!("rd_{engine}_valid"), 1);
    }
    let mut held = [0usize; 2];
    let (mut waiting, mut beats) = (VecDeque::new(), VecDeque::new());
    let (mut pages, mut next) = ([0u32; 2], [0u64; 2]);
    let mut rows = std::collections::BTreeSet::new();
    for _ in 0..20_000 {
        if beats.is_empty()
            && let Some((dw1, at, dws, count)) = waiting.pop_front()
        {
            let dw0 = tlp::FMT_TYPE.put(tlp::CPLD) | tlp::LENGTH.put(dws);
            let dw2 = dw1 & (tlp::REQUESTER_ID.mask() | tlp::TAG.mask()) | (at & 0x7f);
            let payload = (0..dws).map(|i| content(at + 4 * i)).collect();
            let header = header([dw0, tlp::BYTE_COUNT.put(count), dw2, 0]);
            beats.extend(bench::Packet { header, payload, owner: 0 }.beats());
        }
        let beat = if rng.random_ratio(3, 4) { beats.pop_front() } else { None };
        dut.set("cpl_valid", beat.is_some().into());
        if let Some((sop, eop, _, data)) = beat {
            dut.set("cpl_sop", sop.into());
            dut.set("cpl_eop", eop.into());
            dut.set("cpl_data", data);
            held[1] -= usize::from(eop);
        }
        dut.eval();
        if dut.get("tx_valid") == 1 {
            let owner = dut.get("tx_owner") as u8;
            let packet = bench::Packet { header: dut.get("tx_data"), payload: vec![], owner }.signed(Sends::READ, BUS);
            let engine = usize::from(owner & 3);
            held[engine] += 1;
            let (at, dws) = (packet.dw(2), tlp::LENGTH.of(packet.dw(0)));
            // The next piece of the page, however often the engine gave way; the ends are cut once.
            assert_eq!(at, 0x1000 * (engine as u64 + 1) + next[engine]);
            let start = if next[engine] == 0 { START } else { 0 };
            next[engine] = (next[engine] + 4 * dws) % 4096;
            let missing = if next[engine] == 0 { MISSING } else { 0 };
            assert_eq!(tlp::FIRST_BE.of(packet.dw(1)), 15 << start & 15);
            assert_eq!(tlp::LAST_BE.of(packet.dw(1)), 15 >> missing);
            if engine == 1 {
                waiting.push_back((packet.dw(1), at, dws, 4 * dws - start - missing));
            }
        }
        // A tag counts as in use for two clocks after its last beat.
        assert!(held[0] <= SHARE[0] && held[1] <= SHARE[1], "{held:?}");
        for (engine, pages) in pages.iter_mut().enumerate() {
            *pages += dut.get(&format!("rd_{engine}_ready")) as u32;
        }
        if dut.get("land_1_lanes") == 15 {
            rows.insert(dut.get("land_1_row"));
        }
        assert_eq!(dut.get("land_0_lanes"), 0);
        dut.clock();
    }
    assert_eq!((held[0], pages[0]), (SHARE[0], 0), "the first has its share, and waits");
    assert!(pages[1] > 40, "{} pages", pages[1]);
    assert_eq!(rows, (0..256).collect(), "every row of the page landed");
}

/// A tag whose read was not answered rests for as long as the time-out, and counts for its engine until then.
#[test]
fn an_engine_whose_host_is_silent_does_not_have_the_others_tags_either_when_its_own_rest() {
    let mut dut = bench::build("dma_read_shares", || Read::new(TIMEOUT as usize, [16, 16, 0]));
    for (port, v) in [("bus_number", BUS), ("error_ready", 1), ("tx_ready", 1), ("mrrs_0", 5), ("mrrs_1", 5)] {
        dut.set(port, v.into());
    }
    for (port, v) in [("rd_0_owner", 4), ("rd_0_address", 0x1000), ("rd_0_bytes", 4096), ("rd_0_valid", 1)] {
        dut.set(port, v);
    }
    for (port, v) in [("rd_1_owner", 5), ("rd_1_address", 0x1000), ("rd_1_bytes", 64)] {
        dut.set(port, v);
    }
    let asked = (TIMEOUT + 2) * TICK;
    let mut silent = 0;
    for clock in 0..asked + 20 {
        dut.set("rd_1_valid", (clock >= asked).into());
        dut.eval();
        if dut.get("tx_valid") == 1 {
            if dut.get("tx_owner") == 5 {
                assert!(silent >= 16, "{silent}");
                return;
            }
            silent += 1;
        }
        dut.clock();
    }
    panic!("the other waits for a tag; {silent} are sent and not answered");
}

#[test]
fn engines_that_all_ask_are_served_in_turn() {
    let mut dut = bench::build("dma_read_turns", || Read::new(100, [10, 10, 10]));
    for (port, v) in [("bus_number", BUS), ("error_ready", 1), ("tx_ready", 1)] {
        dut.set(port, v.into());
    }
    for engine in 0..ENGINES as u128 {
        for (port, v) in [("owner", 4 | engine), ("address", 0x1000), ("bytes", 64), ("valid", 1)] {
            dut.set(&format!("rd_{engine}_{port}"), v);
        }
    }
    let mut order = vec![];
    while order.len() < 30 {
        dut.eval();
        if dut.get("tx_valid") == 1 {
            let engine = dut.get("tx_owner") as usize & 3;
            order.push(engine);
            let ready: Vec<usize> = (0..ENGINES).filter(|e| dut.get(&format!("rd_{e}_ready")) == 1).collect();
            assert_eq!(ready, [engine], "who is served is told, and nobody else");
        }
        assert!(dut.clocks() < 1000, "{order:?}");
        dut.clock();
    }
    assert!(order.windows(3).all(|w| w[0] != w[1] && w[1] != w[2] && w[0] != w[2]), "{order:?}");
}
