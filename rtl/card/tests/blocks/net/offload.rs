//! Checksums and segments, against packets that plain Rust has put together.

use std::collections::VecDeque;

use azote_regs::virtio::net::header;
use azote_rtl::net::offload::Offload;
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use super::packet::Packet;
use super::{Frames, push};
use crate::bench::{self, Feed};

/// A virtio-net header.
#[derive(Clone, Copy, Default, Debug)]
struct Wants {
    flags: u8,
    gso: u8,
    size: u16,
    start: u16,
    offset: u16,
}

impl Wants {
    fn word(self) -> u128 {
        let at = |v: u128, byte: u64| v << (8 * byte);
        // The driver's word on the length of the headers is noise here.
        at(self.flags.into(), header::FLAGS)
            | at(self.gso.into(), header::GSO_TYPE)
            | at(0xa5a5, header::HDR_LEN)
            | at(self.size.into(), header::GSO_SIZE)
            | at(self.start.into(), header::CSUM_START)
            | at(self.offset.into(), header::CSUM_OFFSET)
    }
    fn checksum(p: &Packet) -> Wants {
        Wants { flags: 1, start: p.l4() as u16, offset: (p.place() - p.l4()) as u16, ..Wants::default() }
    }
    fn segments(p: &Packet, size: usize) -> Wants {
        let kind = if p.v6 { header::GSO_TCPV6 } else { header::GSO_TCPV4 };
        Wants { gso: kind as u8 | p.flags & 0x80, size: size as u16, ..Wants::checksum(p) }
    }
}

struct World {
    dut: Dut,
    rng: SmallRng,
    feed: Feed,
    out: Frames,
    due: VecDeque<(u128, Vec<u8>, bool)>,
    beats: u64,
    slot: u128,
}

impl World {
    fn new(seed: u64, percent: u32) -> World {
        let dut = bench::build("offload", Offload::default);
        let (feed, out) = (Feed::new("frame_", percent), Frames::new("out_", percent));
        World { dut, rng: bench::rng(seed), feed, out, due: VecDeque::new(), beats: 0, slot: 0 }
    }

    fn send(&mut self, f: &[u8], wants: Wants, error: bool) {
        self.send_as(f, wants, error, f.len());
    }

    fn send_as(&mut self, f: &[u8], wants: Wants, error: bool, length: usize) {
        // The header is put beside all beats: only the first one's counts.
        let slot = self.rng.random_range(0..64);
        let from = self.feed.items.len();
        push(&mut self.feed, f, error, &[("slot", slot)]);
        for (i, item) in self.feed.items.iter_mut().skip(from).enumerate() {
            let noise: u64 = self.rng.random();
            let header = if i == 0 { wants.word() } else { noise.into() };
            item.push(("header", header.into()));
            item.push(("length", if i == 0 { length } else { noise as usize & 0xffff }.into()));
        }
        self.slot = slot;
    }

    fn expect(&mut self, f: Vec<u8>, error: bool) {
        self.due.push_back((self.slot, f, error));
    }

    fn clock(&mut self) {
        let (dut, rng) = (&mut self.dut, &mut self.rng);
        // The fields beside the stream have a prefix of their own.
        if self.feed.offer(rng) {
            for (field, v) in &self.feed.items[0] {
                let of = if ["header", "length"].contains(field) { "wants_" } else { "frame_" };
                bench::set(dut, &format!("{of}{field}"), v);
            }
            dut.set("frame_valid", 1);
        } else {
            dut.set("frame_valid", 0);
        }
        self.out.drive(dut, rng);
        dut.eval();
        if dut.get("frame_ready") == 1 {
            self.feed.accepted();
        }
        let (error, sum) = (dut.get("out_error") == 1, dut.get("sum_valid") == 1);
        let (at, value) = (dut.get("sum_at") as usize, dut.get("sum_value") as u16);
        if let Some((slot, mut f)) = self.out.taken(dut) {
            self.beats += f.len().div_ceil(16) as u64;
            let (of, due, bad) = self.due.pop_front().expect("nothing is due");
            assert_eq!((slot, error), (of, bad), "slot and error of {due:02x?}");
            if !error {
                if sum {
                    f[2 * at..2 * at + 2].copy_from_slice(&value.to_be_bytes());
                }
                assert!(f == due, "{f:02x?}\nand due is\n{due:02x?}");
            }
        }
        self.dut.clock();
    }

    fn drain(&mut self) {
        for _ in 0..2_000_000 {
            self.dut.eval();
            if self.feed.items.is_empty() && self.dut.get("busy") == 0 {
                assert!(self.due.is_empty(), "never came: {:02x?}", self.due);
                return;
            }
            self.clock();
        }
        panic!("never done");
    }
}

fn length(rng: &mut SmallRng) -> usize {
    match rng.random_range(0..5) {
        0 => rng.random_range(0..40),
        1 => rng.random_range(1400..1500),
        2 => rng.random_range(0..9000),
        _ => rng.random_range(0..400),
    }
}

#[test]
fn a_checksum_is_completed_and_nothing_else_changes() {
    for (seed, percent) in [(1, 100), (2, 60)] {
        let mut w = World::new(seed, percent);
        for _ in 0..1500 {
            let n = length(&mut w.rng);
            let (v6, udp) = w.rng.random();
            let mut p = Packet::random(&mut w.rng, v6, udp, n);
            if w.rng.random_ratio(1, 4) && n >= 2 {
                // One whose checksum is zero.
                p.payload[0] = 0;
                p.payload[1] = 0;
                let place = p.place();
                let f = p.bytes();
                let c = u16::from_be_bytes([f[place], f[place + 1]]);
                p.payload[..2].copy_from_slice(&c.to_be_bytes());
            }
            let error = w.rng.random_ratio(1, 30);
            if w.rng.random() {
                w.send(&p.partial(), Wants::checksum(&p), error);
                w.expect(p.bytes(), error);
            } else {
                let f: Vec<u8> = p.bytes();
                w.send(&f, Wants::default(), error);
                w.expect(f, error);
            }
        }
        w.drain();
    }
}

#[test]
fn a_long_packet_leaves_as_segments() {
    for (seed, percent) in [(3, 100), (4, 70)] {
        let mut w = World::new(seed, percent);
        for i in 0..250 {
            let size = match w.rng.random_range(0..4) {
                0 => w.rng.random_range(8..64),
                1 => [1448, 1460, 1440, 8948][w.rng.random_range(0..4)],
                _ => w.rng.random_range(8..2000),
            };
            let n = match w.rng.random_range(0..4) {
                0 => size * w.rng.random_range(1..4),
                1 if i % 10 == 0 => w.rng.random_range(30_000..65_400),
                _ => w.rng.random_range(1..8000),
            };
            let v6 = w.rng.random();
            let p = Packet::random(&mut w.rng, v6, false, n);
            w.send(&p.partial(), Wants::segments(&p, size), false);
            p.segments(size).into_iter().for_each(|s| w.expect(s, false));
            // Others between.
            if w.rng.random() {
                let p = Packet::random(&mut w.rng, v6, true, 30);
                w.send(&p.partial(), Wants::checksum(&p), false);
                w.expect(p.bytes(), false);
            }
            while w.feed.items.len() > 400 {
                w.clock();
            }
        }
        w.drain();
    }
}

#[test]
fn what_can_not_be_done_is_an_error_of_that_frame_alone() {
    let mut w = World::new(5, 90);
    for _ in 0..3000 {
        let n = w.rng.random_range(0..300);
        let (v6, udp) = w.rng.random();
        let p = Packet::random(&mut w.rng, v6, udp, n);
        let mut f = p.partial();
        let good = Wants::checksum(&p);
        let bad = match w.rng.random_range(0..9) {
            0 => Wants { start: w.rng.random::<u16>() | 1, ..good },
            1 => Wants { offset: w.rng.random::<u16>() | 1, ..good },
            2 => Wants { offset: f.len() as u16 & !1, ..good },
            3 => Wants { start: w.rng.random_range(0..34), offset: 16, ..good },
            4 => Wants { offset: [0, 2, 4][w.rng.random_range(0..3)], ..good },
            // No such segments.
            5 => Wants { gso: [2, 3, 5, 0x80][w.rng.random_range(0..4)], size: 100, ..good },
            6 => Wants { size: w.rng.random_range(0..8), ..Wants::segments(&p, 1) },
            // Not such a packet.
            7 => {
                f[12 + 4 * usize::from(p.tagged)] = 0x09;
                Wants { gso: 1 + 3 * u8::from(p.v6), size: 100, ..Wants::default() }
            }
            _ => {
                f.truncate(w.rng.random_range(1..p.headers() + 1));
                Wants { size: 100, ..Wants::segments(&p, 1) }
            }
        };
        w.send(&f, bad, false);
        w.expect(f, true);
        let p = Packet::random(&mut w.rng, v6, udp, n);
        w.send(&p.partial(), Wants::checksum(&p), false);
        w.expect(p.bytes(), false);
    }
    w.drain();
}

#[test]
fn a_packet_that_ends_early_or_late_or_never_hangs_nobody() {
    let mut w = World::new(6, 90);
    for _ in 0..300 {
        let p = Packet::random(&mut w.rng, false, false, 3000);
        let f = p.partial();
        let size = w.rng.random_range(100..1000);
        let wants = Wants::segments(&p, size);
        match w.rng.random_range(0..3) {
            0 => {
                let cut = w.rng.random_range(p.headers()..f.len());
                w.send_as(&f[..cut], wants, false, f.len());
            }
            1 => {
                let said = w.rng.random_range(p.headers() + 1..f.len());
                w.send_as(&f, wants, false, said);
            }
            _ => {
                w.send(&f[..f.len() / 16 * 16], wants, false);
                w.feed.items.back_mut().unwrap()[1].1 = 0u8.into();
            }
        }
    }
    // Whatever comes of these; what counts is what comes then.
    while !w.feed.items.is_empty() {
        w.clock_loosely();
    }
    (0..3000).for_each(|_| _ = w.clock_loosely());
    let p = Packet::random(&mut w.rng, true, false, 3000);
    w.send(&p.partial(), Wants::segments(&p, 500), false);
    // A frame that never ended is over with the next one's beginning.
    w.due.clear();
    let due = p.segments(500);
    let mut seen = vec![];
    for _ in 0..4000 {
        seen.extend(w.clock_loosely());
    }
    assert_eq!(seen[seen.len() - due.len()..], due);
    assert_eq!(w.dut.get("busy"), 0);
}

impl World {
    /// A clock, with nothing due: the frame that ends in it.
    fn clock_loosely(&mut self) -> Option<Vec<u8>> {
        let (dut, rng) = (&mut self.dut, &mut self.rng);
        let offered = self.feed.offer(rng);
        dut.set("frame_valid", offered.into());
        if offered {
            for (field, v) in &self.feed.items[0] {
                let of = if ["header", "length"].contains(field) { "wants_" } else { "frame_" };
                bench::set(dut, &format!("{of}{field}"), v);
            }
        }
        self.out.drive(dut, rng);
        dut.eval();
        if dut.get("frame_ready") == 1 {
            self.feed.accepted();
        }
        let (at, value, sum) = (dut.get("sum_at") as usize, dut.get("sum_value") as u16, dut.get("sum_valid") == 1);
        let got = self.out.taken(dut).map(|(_, mut f)| {
            if sum && 2 * at + 2 <= f.len() {
                f[2 * at..2 * at + 2].copy_from_slice(&value.to_be_bytes());
            }
            f
        });
        self.dut.clock();
        got
    }

    /// Clocks a frame, and beats a clock, of many in a row.
    fn pace(&mut self, n: usize) -> (f64, f64) {
        let (start, beats) = (self.dut.clocks(), self.beats);
        self.drain();
        let took = (self.dut.clocks() - start) as f64;
        (took / n as f64, (self.beats - beats) as f64 / took)
    }
}

#[test]
fn segments_follow_each_other_and_small_frames_take_few_clocks() {
    let mut w = World::new(7, 100);
    for v6 in [false, true] {
        for _ in 0..6 {
            let p = Packet { tagged: false, ip_options: 0, ..Packet::random(&mut w.rng, v6, false, 65_000) };
            w.send(&p.partial(), Wants::segments(&p, 1428), false);
            p.segments(1428).into_iter().for_each(|s| w.expect(s, false));
        }
        let (_, rate) = w.pace(6);
        println!("segments of 64 KiB, IPv6 {v6}: {rate:.3} of a beat a clock");
        assert!(rate >= 0.95, "{rate}");
    }
    for (payload, most) in [(6, 12.0), (1460, 101.0)] {
        for _ in 0..200 {
            let p = Packet { options: vec![], ..Packet::random(&mut w.rng, false, false, payload) };
            let p = Packet { tagged: false, ip_options: 0, ..p };
            w.send(&p.partial(), Wants::checksum(&p), false);
            w.expect(p.bytes(), false);
        }
        let (clocks, _) = w.pace(200);
        println!("frames of {} bytes: {clocks:.1} clocks", 54 + payload);
        assert!(clocks <= most, "{clocks}");
    }
}
