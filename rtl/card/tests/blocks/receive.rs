//! What comes from the link: completions pass at once, requests whole and well-formed or not at all.

use std::collections::VecDeque;

use azote_regs::pcie::tlp;
use azote_rtl::transaction::receive::MAX_DWS;
use azote_rtl::transaction::{Found, Receive};
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench::{self, Packet, Sink, header};

fn dut() -> Dut {
    bench::build("receive", Receive::default)
}

const REQUESTS: [u64; 10] = [
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
    let memory = kind == tlp::TYPE_MEM;
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

type Beat = (bool, bool, u8, u128);

/// One thing wrong with a good packet, in its header or in its beats.
fn spoil(mut p: Packet, rng: &mut SmallRng) -> Vec<Beat> {
    let dw0 = p.dw(0);
    let memory = tlp::TYPE.of(dw0) == tlp::TYPE_MEM;
    let dws = if tlp::LENGTH.of(dw0) == 0 { tlp::MAX_LENGTH } else { tlp::LENGTH.of(dw0) };
    match rng.random_range(0..8) {
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
    errors: Sink,
    seen_requests: Vec<u128>,
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
            errors: Sink::new("error_", 50),
            seen_requests: vec![],
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
        self.errors.drive(dut, &mut self.rng);
        dut.eval();
        if let Some(beat) = self.requests.taken(dut, "data") {
            self.seen_requests.push(beat.try_into().unwrap());
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
    let (mut requests, mut completions, mut errors) = (Vec::new(), Vec::new(), 0);
    for _ in 0..1500 {
        let packet = good(&mut w.rng);
        let completes = is_completion(&packet);
        let bad = w.rng.random_ratio(1, 3);
        let beats = if bad { spoil(packet.clone(), &mut w.rng) } else { packet.beats() };
        // Whether it still looks like a completion decides where it goes.
        let completes = completes && is_completion(&Packet { header: beats[0].3, payload: vec![], owner: 0 });
        // Let earlier records be heard, so that each is seen.
        while w.waiting {
            w.clock(None);
        }
        w.send(&beats, completes);
        w.clock(None);
        if completes {
            completions.extend(beats.iter().map(|b| (b.0, b.1, bad && b.1, b.3)));
        } else if !bad {
            requests.extend(beats.iter().map(|b| b.3));
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
    assert!(w.seen_completions == completions, "completions differ");
}

#[test]
fn completions_pass_while_requests_are_stuck() {
    let mut w = World::new(2);
    w.requests.percent = 0;
    // Fill the packet memory until a request has to wait.
    let write = Packet {
        header: header([tlp::FMT_TYPE.put(tlp::MWR32) | tlp::LENGTH.put(32), 0xff, 0x1000, 0]),
        payload: (0..32).collect(),
        owner: 0,
    };
    let mut taken = 0;
    'full: loop {
        for beat in write.beats() {
            if !w.clock(Some(beat)) {
                break 'full;
            }
            taken += 1;
        }
    }
    assert!(taken >= 48, "room for three of the largest packets");
    w.dut.reset();
    // As full as whole packets make it.
    while taken >= 9 {
        w.send(&write.beats(), false);
        taken -= 9;
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
fn a_packet_cut_short_by_another_is_recorded_and_the_other_passes() {
    let mut w = World::new(3);
    let mut expected = Vec::new();
    let mut cut = VecDeque::new();
    while cut.len() < 50 {
        let (first, second) = (good(&mut w.rng), good(&mut w.rng));
        if first.payload.is_empty() || is_completion(&first) || is_completion(&second) {
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
    assert_eq!(w.seen_requests, expected);
    assert_eq!(w.seen_errors, Vec::from(cut));
}
