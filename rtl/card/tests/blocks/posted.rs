//! Memory writes: every DW at its register, in order, whatever the link does.

use std::collections::VecDeque;

use azote_regs::bar;
use azote_regs::pcie::tlp;
use azote_rtl::transaction::{Found, Posted};
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench::{self, Feed, Packet, header};

const BAR: u64 = 0x7_4000_0000;
const OWNER: u8 = 9;

/// Offset, enables, data.
type Access = (u64, u8, u32);
/// Event, whether no function claims it, header.
type Error = (u64, bool, u128);

struct World {
    dut: Dut,
    rng: SmallRng,
    requests: Feed,
    /// Addresses of the clock before and the one before that: the decoder takes two.
    located: [u64; 2],
    accesses: VecDeque<Access>,
    errors: VecDeque<Error>,
    done: u8,
}

impl World {
    fn clock(&mut self) {
        let dut = &mut self.dut;
        self.requests.drive(dut, &mut self.rng);
        let hit = (BAR..BAR + bar::BAR0_SIZE).contains(&self.located[1]);
        dut.set("hit_valid", hit.into());
        dut.set("hit_owner", if hit { OWNER.into() } else { self.rng.random::<u8>().into() });
        dut.set("hit_offset", (self.located[1] & 0x3fff).into());
        let ack = self.rng.random_ratio(1, 2);
        dut.set("bus_ack", 0);
        dut.set("error_ready", self.rng.random_ratio(1, 8).into());
        dut.eval();
        // Between two questions the decoder answers others.
        let asked = if dut.get("asks") == 1 { dut.get("address") as u64 } else { self.rng.random() };
        self.located = [asked, self.located[0]];
        if dut.get("bus_valid") == 1 && ack {
            let seen = (dut.get("bus_offset") as u64, dut.get("bus_be") as u8, dut.get("bus_wdata") as u32);
            assert_eq!(Some(seen), self.accesses.pop_front());
            assert_eq!((dut.get("bus_owner") as u8, dut.get("bus_write")), (OWNER, 1));
            dut.set("bus_ack", 1);
            dut.eval();
        }
        if dut.get("error_valid") == 1 && dut.get("error_ready") == 1 {
            let seen = (dut.get("error_event") as u64, dut.get("error_everyone") == 1, dut.get("error_header"));
            assert!(seen.1 || dut.get("error_owner") as u8 == OWNER);
            assert_eq!(Some(seen), self.errors.pop_front());
        }
        self.requests.taken(dut);
        dut.clock();
    }
}

#[test]
fn every_write_takes_effect_in_order_or_is_recorded_with_its_own_header() {
    let dut = bench::build("posted", Posted::default);
    let mut w = World {
        dut,
        rng: bench::rng(1),
        requests: Feed::new("req_", 80),
        located: [0; 2],
        accesses: VecDeque::new(),
        errors: VecDeque::new(),
        done: 0,
    };
    for _ in 0..1500 {
        for _ in 0..w.rng.random_range(1..4) {
            let dws = if w.rng.random() { w.rng.random_range(1..=64) } else { w.rng.random_range(1..4) };
            let offset = w.rng.random_range(0..4u64) << 12 | (w.rng.random_range(0..=1024 - dws) * 4);
            let hits = w.rng.random_ratio(3, 4);
            let at = if hits { BAR } else { 0x1234_0000 } + offset;
            let first = if dws == 1 { w.rng.random_range(0..16) } else { w.rng.random_range(1..16u64) };
            let last = if dws == 1 { 0 } else { w.rng.random_range(1..16u64) };
            let poisoned = w.rng.random_ratio(1, 6);
            let long = at >> 32 != 0;
            let dw0 = tlp::FMT_TYPE.put(if long { tlp::MWR64 } else { tlp::MWR32 })
                | tlp::LENGTH.put(dws)
                | if poisoned { tlp::EP.mask() } else { 0 };
            let dw1 = tlp::FIRST_BE.put(first) | tlp::LAST_BE.put(last) | u64::from(w.rng.random::<u16>()) << 16;
            let h = if long { header([dw0, dw1, at >> 32, at & 0xffff_ffff]) } else { header([dw0, dw1, at, 0]) };
            let payload: Vec<u32> = (0..dws).map(|_| w.rng.random()).collect();
            for (i, data) in payload.iter().enumerate() {
                let i = i as u64;
                let be = if i == 0 {
                    first
                } else if i + 1 == dws {
                    last
                } else {
                    15
                } as u8;
                if hits && !poisoned && be != 0 {
                    w.accesses.push_back((offset + 4 * i, be, *data));
                }
            }
            if !hits {
                w.errors.push_back((Found::UNSUPPORTED_POSTED, true, h));
            } else if poisoned {
                w.errors.push_back((Found::POISONED_POSTED, false, h));
            }
            for (_, _, _, data) in (Packet { header: h, payload, owner: 0 }).beats() {
                w.requests.push("data", data.into());
            }
            w.done = w.done.wrapping_add(1);
        }
        for clock in 0.. {
            w.clock();
            if w.requests.items.is_empty() && w.dut.get("busy") == 0 {
                break;
            }
            assert!(clock < 20_000, "stuck");
        }
        assert!(w.accesses.is_empty() && w.errors.is_empty());
        assert_eq!(w.dut.get("done") as u8, w.done);
    }
}
