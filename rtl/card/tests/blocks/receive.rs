//! What comes from the link: completions pass at once, posted requests pass non-posted ones, all whole and well-formed or
//! not at all.

use std::collections::VecDeque;

use azote_regs::pcie::{express, tlp};
use azote_rtl::transaction::receive::MAX_DWS;
use azote_rtl::transaction::{Found, Receive};
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench::{self, Packet, Sink, header};

fn dut() -> Dut {
    let mut dut = bench::build("receive", Receive::default);
    dut.set("mps", express::MPS_256.into());
    dut
}

const REQUESTS: [u64; 12] = [
    tlp::MRD32,
    tlp::MRD64,
    tlp::MWR32,
    tlp::MWR64,
    tlp::CFGRD0,
    tlp::CFGWR0,
    tlp::FMT_3DW << 5 | tlp::TYPE_IO,
    tlp::MSG | tlp::ROUTE_LOCAL,
    tlp::MSGD | tlp::ROUTE_TO_ROOT,
    tlp::FMT_4DW_DATA << 5 | tlp::TYPE_CAS,
    tlp::FMT_3DW_DATA << 5 | tlp::TYPE_IO,
    tlp::MRDLK32,
];

/// A packet as PCIe allows it.
fn good(rng: &mut SmallRng) -> Packet {
    let completes = rng.random_bool(0.4);
    let fmt_type = match (completes, rng.random()) {
        (true, true) => tlp::CPL,
        (true, false) => tlp::CPLD,
        _ => REQUESTS[rng.random_range(0..REQUESTS.len())],
    };
    let has_data = tlp::FMT_BIT_DATA.is_set(tlp::FMT_TYPE.put(fmt_type));
    let kind = fmt_type & 0x1f;
    let memory = [tlp::TYPE_MEM, tlp::TYPE_MEM_LOCKED].contains(&kind);
    let single = [tlp::TYPE_IO, tlp::TYPE_CFG0].contains(&kind);
    let most = if completes || has_data { MAX_DWS } else { tlp::MAX_LENGTH };
    let dws = if single { 1 } else { rng.random_range(1..=most.min(tlp::MAX_LENGTH)) };
    // Up to the end of its 4 KiB, and no further.
    let offset = rng.random_range(0..=tlp::BOUNDARY / 4 - dws.min(tlp::BOUNDARY / 4)) * 4;
    let address = u64::from(rng.random::<u32>()) & 0xffff_f000 | offset;
    let last = if dws == 1 || !memory { 0 } else { rng.random_range(1..16) };
    let first = if dws == 1 { rng.random_range(0..16) } else { rng.random_range(1..16) };
    let dw1 = u64::from(rng.random::<u16>()) << 16 | tlp::LAST_BE.put(last) | tlp::FIRST_BE.put(first);
    let dw0 = tlp::FMT_TYPE.put(fmt_type) | tlp::LENGTH.put(dws);
    let long = tlp::FMT_BIT_4DW.is_set(dw0);
    let (dw2, dw3) = if long { (rng.random::<u32>().into(), address) } else { (address, 0) };
    let payload = (0..if has_data { dws } else { 0 }).map(|_| rng.random()).collect();
    Packet { header: header([dw0, dw1, dw2, dw3]), payload, owner: 0 }
}

fn set_dw(p: &mut Packet, n: usize, v: u64) {
    p.header = p.header & !(0xffff_ffff << (32 * n)) | u128::from(v) << (32 * n);
}

fn is_completion(p: &Packet) -> bool {
    [tlp::TYPE_CPL, tlp::TYPE_CPL_LOCKED].contains(&tlp::TYPE.of(p.dw(0)))
}

fn is_posted(p: &Packet) -> bool {
    [tlp::MWR32, tlp::MWR64].contains(&tlp::FMT_TYPE.of(p.dw(0)))
}

fn is_message(p: &Packet) -> bool {
    tlp::TYPE.of(p.dw(0)) & 0x18 == tlp::TYPE_MSG
}

/// A non-posted request as a word: what it writes stands where a header of three DWs has nothing.
fn word(p: &Packet) -> u128 {
    let data = p.payload[..].chunks(4).next_back().map(|c| c[0]);
    match data {
        Some(dw) if !tlp::FMT_BIT_4DW.is_set(p.dw(0)) => p.header & ((1 << 96) - 1) | u128::from(dw) << 96,
        _ => p.header,
    }
}

type Beat = (bool, bool, u8, u128);

/// One thing wrong with a good packet, in its header or in its beats.
fn spoil(mut p: Packet, rng: &mut SmallRng) -> Vec<Beat> {
    let dw0 = p.dw(0);
    let memory = tlp::TYPE.of(dw0) == tlp::TYPE_MEM;
    let dws = if tlp::LENGTH.of(dw0) == 0 { tlp::MAX_LENGTH } else { tlp::LENGTH.of(dw0) };
    match rng.random_range(0..9) {
        0 => set_dw(&mut p, 0, tlp::FMT.set(dw0, tlp::FMT_PREFIX)),
        1 => set_dw(&mut p, 0, tlp::TYPE.set(dw0, 0b0_1111)),
        2 if memory && dws > 1 => {
            let dw1 = p.dw(1);
            set_dw(&mut p, 1, tlp::LAST_BE.set(dw1, 0));
        }
        3 if memory && dws == 1 => {
            let dw1 = p.dw(1);
            set_dw(&mut p, 1, tlp::LAST_BE.set(dw1, 3));
        }
        4 if memory && dws > 1 => {
            // Over the end of its 4 KiB by one DW at least.
            let at = if tlp::FMT_BIT_4DW.is_set(dw0) { 3 } else { 2 };
            let over = rng.random_range(1..dws);
            let address = p.dw(at) & !(tlp::BOUNDARY - 1) | (tlp::BOUNDARY - 4 * (dws - over));
            set_dw(&mut p, at, address);
        }
        5 if !p.payload.is_empty() => p.payload.push(rng.random()),
        6 if !p.payload.is_empty() => drop(p.payload.pop()),
        // More than Max_Payload_Size, and all of it there.
        7 if p.payload.len() > 1 => {
            let more = rng.random_range(MAX_DWS + 1..=2 * MAX_DWS);
            p.payload.resize(more as usize, 0x5a5a);
            set_dw(&mut p, 0, tlp::LENGTH.set(dw0, more));
        }
        _ => {
            let mut beats = p.beats();
            let n = rng.random_range(0..beats.len());
            beats[n].2 = beats[n].2 >> 1 & 7;
            return beats;
        }
    }
    p.beats()
}

/// Everything that leaves, and what came in for it.
struct World {
    dut: Dut,
    rng: SmallRng,
    requests: Sink,
    posted: Sink,
    errors: Sink,
    /// Words, and how many writes came before.
    seen_requests: Vec<(u128, u8)>,
    seen_posted: Vec<u128>,
    seen_completions: Vec<(bool, bool, bool, u128)>,
    seen_errors: Vec<u128>,
    /// A record is waiting to be heard.
    waiting: bool,
}

impl World {
    fn new(seed: u64) -> World {
        World {
            dut: dut(),
            rng: bench::rng(seed),
            requests: Sink::new("req_", 60),
            posted: Sink::new("posted_", 60),
            errors: Sink::new("error_", 50),
            seen_requests: vec![],
            seen_posted: vec![],
            seen_completions: vec![],
            seen_errors: vec![],
            waiting: false,
        }
    }

    /// One clock, with this beat offered; says whether it was taken.
    fn clock(&mut self, beat: Option<Beat>) -> bool {
        let dut = &mut self.dut;
        dut.set("rx_valid", beat.is_some().into());
        if let Some((sop, eop, keep, data)) = beat {
            dut.set("rx_sop", sop.into());
            dut.set("rx_eop", eop.into());
            dut.set("rx_keep", keep.into());
            dut.set("rx_data", data);
        }
        self.requests.drive(dut, &mut self.rng);
        self.posted.drive(dut, &mut self.rng);
        self.errors.drive(dut, &mut self.rng);
        dut.eval();
        if let Some(beat) = self.requests.taken(dut, "data") {
            self.seen_requests.push((beat.try_into().unwrap(), dut.get("req_after") as u8));
        }
        if let Some(beat) = self.posted.taken(dut, "data") {
            self.seen_posted.push(beat.try_into().unwrap());
        }
        if dut.get("cpl_valid") == 1 {
            let flag = |name: &str| dut.get(name) == 1;
            let eop = flag("cpl_eop");
            self.seen_completions.push((flag("cpl_sop"), eop, eop && flag("cpl_bad"), dut.get("cpl_data")));
        }
        self.waiting = dut.get("error_valid") == 1;
        if let Some(header) = self.errors.taken(dut, "header") {
            assert_eq!((dut.get("error_everyone"), dut.get("error_event")), (1, Found::MALFORMED.into()));
            self.seen_errors.push(header.try_into().unwrap());
        }
        let taken = dut.get("rx_ready") == 1;
        dut.clock();
        taken
    }

    /// Sends a packet; a completion must be taken at once.
    fn send(&mut self, beats: &[Beat], at_once: bool) {
        for beat in beats {
            while self.rng.random_ratio(1, 4) {
                self.clock(None);
            }
            let mut patience = 10_000;
            while !self.clock(Some(*beat)) {
                assert!(!at_once, "a completion had to wait");
                patience -= 1;
                assert!(patience > 0, "stuck");
            }
        }
    }

    fn drain(&mut self) {
        while self.dut.get("busy") == 1 {
            self.clock(None);
        }
        for _ in 0..20 {
            self.clock(None);
        }
    }
}

#[test]
fn good_packets_pass_and_malformed_ones_leave_one_error_record_and_nothing_else() {
    let mut w = World::new(1);
    let (mut requests, mut posted, mut completions, mut errors) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut writes = 0u8;
    for _ in 0..3000 {
        let packet = good(&mut w.rng);
        let bad = w.rng.random_ratio(1, 3);
        let beats = if bad { spoil(packet.clone(), &mut w.rng) } else { packet.beats() };
        // Whether it still looks like a completion decides where it goes; if the header is wrong, nothing of it goes.
        let header = Packet { header: beats[0].3, payload: vec![], owner: 0 };
        let completes = is_completion(&packet) && is_completion(&header);
        let begins = !bad || header.header == packet.header && beats[0].2 == 15;
        // Let earlier records be heard, so that each is seen.
        while w.waiting {
            w.clock(None);
        }
        w.send(&beats, completes);
        w.clock(None);
        if completes {
            if begins {
                completions.extend(beats.iter().map(|b| (b.0, b.1, bad && b.1, b.3)));
            }
        } else if !bad && is_posted(&packet) {
            posted.extend(beats.iter().map(|b| b.3));
            writes = writes.wrapping_add(1);
        } else if !bad && !is_message(&packet) {
            requests.push((word(&packet), writes));
        }
        if bad {
            errors += 1;
            // A record is made in the second clock after the beat.
            w.clock(None);
            while w.waiting {
                w.clock(None);
            }
            assert_eq!(w.seen_errors.len(), errors, "one record for {beats:x?}");
            assert_eq!(w.seen_errors.last(), Some(&beats[0].3));
        }
    }
    w.drain();
    assert_eq!(w.seen_errors.len(), errors);
    assert!(w.seen_requests == requests, "requests differ");
    assert!(w.seen_posted == posted, "writes differ");
    assert!(w.seen_completions == completions, "completions differ");
}

fn write(dws: u64) -> Packet {
    let header =
        header([tlp::FMT_TYPE.put(tlp::MWR32) | tlp::LENGTH.put(dws), if dws == 1 { 0xf } else { 0xff }, 0x1000, 0]);
    Packet { header, payload: (0..dws as u32).collect(), owner: 0 }
}

/// Sends until something is refused; says how many packets were taken whole.
fn fill(w: &mut World, packet: &Packet) -> usize {
    for taken in 0..2000 {
        for beat in packet.beats() {
            if !w.clock(Some(beat)) {
                return taken;
            }
        }
    }
    panic!("there is no end to it");
}

#[test]
fn completions_pass_while_requests_are_stuck() {
    let mut w = World::new(2);
    w.requests.percent = 0;
    w.posted.percent = 0;
    let most = fill(&mut w, &write(32));
    assert!(most * 9 >= 48, "room for three of the largest packets");
    w.dut.reset();
    // As full as whole packets make it.
    for _ in 0..most {
        w.send(&write(32).beats(), false);
    }
    for _ in 0..200 {
        let packet = good(&mut w.rng);
        if is_completion(&packet) {
            w.send(&packet.beats(), true);
        }
    }
    assert!(w.seen_requests.is_empty() && w.seen_errors.is_empty());
}

#[test]
fn posted_requests_pass_as_many_reads_as_a_requester_has_tags_for() {
    let mut w = World::new(4);
    w.requests.percent = 0;
    let read =
        Packet { header: header([tlp::FMT_TYPE.put(tlp::MRD32) | 1, 0xf, 0x1000, 0]), payload: vec![], owner: 0 };
    // Every tag of 8 bits, twice over, with writes between; nobody takes a read.
    for i in 0..500 {
        w.send(&read.beats(), true);
        if i % 5 == 0 {
            w.send(&write(7).beats(), false);
        }
    }
    for _ in 0..300 {
        w.clock(None);
    }
    assert_eq!(w.seen_posted.len(), 100 * 3, "all writes are served");
    assert!(fill(&mut w, &read) < 20, "and the room for reads is bounded");
    // Each read comes out with the number of writes that it must not pass.
    w.requests.percent = 100;
    w.drain();
    let after: Vec<u8> = w.seen_requests.iter().map(|r| r.1).collect();
    assert!((0..500).all(|i| after[i] == (i.div_ceil(5)) as u8), "{after:?}");
}

#[test]
fn more_payload_than_max_payload_size_is_malformed_in_requests_and_completions() {
    for (mps, most) in [(express::MPS_128, 32), (express::MPS_256, 64)] {
        let mut w = World::new(5);
        w.errors.percent = 100;
        w.dut.set("mps", mps.into());
        for dws in [1, most - 1, most, most + 1, 2 * most, 128] {
            let completion = Packet { header: header([tlp::FMT_TYPE.put(tlp::CPLD) | dws, 0, 0, 0]), ..write(dws) };
            for packet in [write(dws), completion] {
                (w.seen_posted, w.seen_completions, w.seen_errors) = (vec![], vec![], vec![]);
                w.send(&packet.beats(), false);
                w.drain();
                let beats = packet.beats().len();
                let passed = w.seen_posted.len() + w.seen_completions.len();
                assert_eq!(passed, if dws <= most { beats } else { 0 }, "{dws} DWs of {most}");
                assert_eq!(w.seen_errors.len(), usize::from(dws > most));
            }
        }
    }
}

#[test]
fn a_packet_cut_short_by_another_is_recorded_and_the_other_passes() {
    let mut w = World::new(3);
    let mut expected = Vec::new();
    let mut cut = VecDeque::new();
    while cut.len() < 50 {
        let (first, second) = (good(&mut w.rng), good(&mut w.rng));
        if first.payload.is_empty() || is_completion(&first) || !is_posted(&second) {
            continue;
        }
        let beats = first.beats();
        let keep = w.rng.random_range(1..beats.len());
        w.send(&beats[..keep], false);
        w.send(&second.beats(), false);
        expected.extend(second.beats().iter().map(|b| b.3));
        cut.push_back(first.header);
        w.drain();
    }
    assert_eq!(w.seen_posted, expected);
    assert!(w.seen_requests.is_empty());
    assert_eq!(w.seen_errors, Vec::from(cut));
}
