//! The switch as plain Rust, and the switch itself with traffic at all of its ports.

use std::collections::{HashMap, VecDeque};

use azote_regs::manage::{self, drop};
use azote_regs::virtio::net as virtio;
use azote_rtl::net::port::Port;
use azote_rtl::net::switch::Switch;
use azote_verilate::Dut;
use rand::rngs::SmallRng;

use crate::bench::{self, Feed};
use crate::net::{Frames, push};

pub const VFS: usize = 5;
pub const SLOTS: usize = VFS + 1;
pub const WIRE: usize = manage::WIRE as usize;
/// Beats of the longest frame.
const BEATS: usize = virtio::MAX_FRAME.div_ceil(16) as usize;

#[derive(Clone, Copy, Default, Debug)]
pub struct Config {
    pub live: bool,
    pub mac: [u8; 6],
    pub vni: u32,
    pub vlan: u16,
    pub priority: u16,
    pub mtu: u16,
    pub anti_spoof: bool,
    pub trusted: bool,
    pub uplink: bool,
    pub promiscuous: bool,
}

impl Config {
    fn limit(&self) -> usize {
        usize::from(self.mtu) + virtio::FRAME_HEADER as usize
    }
    fn row(&self) -> azote_hdl::BigUint {
        let mac = self.mac.iter().rev().fold(0, |v, b| v << 8 | u128::from(*b));
        let row = bench::cat(&[
            (self.limit() as u128, 14),
            (self.promiscuous.into(), 1),
            (self.uplink.into(), 1),
            (self.trusted.into(), 1),
            (self.anti_spoof.into(), 1),
            (self.priority.into(), 3),
            (self.vlan.into(), 12),
            (self.vni.into(), 24),
            (mac, 48),
        ]);
        assert_eq!(Port::WIDTH, 105);
        row
    }
}

#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct Counts {
    pub frames: [u64; 2],
    pub bytes: [u64; 2],
    pub drops: [u64; manage::DROPS as usize],
}

pub const TX: usize = 0;
pub const RX: usize = 1;

fn tagged(f: &[u8]) -> bool {
    [[0x81, 0], [0x88, 0xa8]].contains(&[f[12], f[13]])
}

/// With the tag of a VLAN behind its addresses.
pub fn with_tag(f: &[u8], tci: u16) -> Vec<u8> {
    let tag = [0x81, 0, (tci >> 8) as u8, tci as u8];
    [&f[..12], &tag[..], &f[12..]].concat()
}

pub struct World {
    pub dut: Dut,
    pub rng: SmallRng,
    pub ports: Vec<Config>,
    pub counts: HashMap<usize, Counts>,
    /// Who has no room.
    pub closed: Vec<bool>,
    from: Feed,
    sums: VecDeque<Option<(usize, u16)>>,
    rx: Feed,
    to: Frames,
    tx: Frames,
    /// What each is to get, by the lane from which it comes: `[slot or wire][lane]`.
    pub due: HashMap<(usize, usize), VecDeque<Vec<u8>>>,
    pub delivered: u64,
}

impl World {
    pub fn new(seed: u64, percent: u32) -> World {
        Self::with(seed, percent, VFS)
    }

    pub fn with(seed: u64, percent: u32, vfs: usize) -> World {
        let mut dut = bench::build("switch", move || Switch::new(vfs));
        bench::settle(&mut dut, "busy");
        World {
            dut,
            rng: bench::rng(seed),
            ports: vec![Config::default(); vfs + 1],
            counts: HashMap::new(),
            closed: vec![false; vfs + 1],
            from: Feed::new("from_", percent),
            sums: VecDeque::new(),
            rx: Feed::new("rx_", percent),
            to: Frames::new("to_", percent),
            tx: Frames::new("tx_", percent),
            due: HashMap::new(),
            delivered: 0,
        }
    }

    pub fn count(&mut self, slot: usize) -> &mut Counts {
        self.counts.entry(slot).or_default()
    }

    fn copy(&mut self, to: usize, lane: usize, f: &[u8]) {
        let why = if self.closed[to] {
            Some(drop::NO_ROOM)
        } else if f.len() > self.ports[to].limit() {
            Some(drop::TOO_LONG)
        } else {
            None
        };
        // Who is too long is told so first.
        let why = if f.len() > self.ports[to].limit() { Some(drop::TOO_LONG) } else { why };
        if let Some(why) = why {
            self.count(to).drops[why as usize] += 1;
            return;
        }
        self.count(to).frames[RX] += 1;
        self.count(to).bytes[RX] += f.len() as u64;
        self.due.entry((to, lane)).or_default().push_back(f.to_vec());
    }

    /// A function sends a frame; the checksum is put into it on the way.
    pub fn send(&mut self, slot: usize, f: &[u8], error: bool, sum: Option<(usize, u16)>) {
        push(&mut self.from, f, error, &[("slot", slot as u128)]);
        let beats = f.len().div_ceil(16);
        self.sums.extend((0..beats).map(|i| if i + 1 == beats { sum } else { None }));
        let me = self.ports[slot];
        let mut out = f.to_vec();
        if let Some((at, value)) = sum {
            out[2 * at..2 * at + 2].copy_from_slice(&value.to_be_bytes());
        }
        let why = if error {
            Some(drop::ERROR)
        } else if f.len() < 14 {
            Some(drop::RUNT)
        } else if f.len() > 16 * BEATS {
            Some(drop::LONG)
        } else if !me.live {
            Some(drop::DOWN)
        } else if f[6] & 1 == 1 || me.anti_spoof && f[6..12] != me.mac {
            Some(drop::SPOOFED)
        } else if tagged(f) && !me.trusted {
            Some(drop::TAGGED)
        } else {
            None
        };
        let mut to: Vec<usize> = vec![];
        let mut wire = false;
        if why.is_none() {
            let mates: Vec<usize> =
                (0..self.ports.len()).filter(|i| self.ports[*i].live && self.ports[*i].vni == me.vni).collect();
            let many = f[0] & 1 == 1;
            let owner = mates.iter().find(|i| self.ports[**i].mac == f[..6]);
            wire = me.uplink && (many || owner.is_none());
            to = mates.iter().copied().filter(|i| many || Some(i) == owner || self.ports[*i].promiscuous).collect();
            to.retain(|i| *i != slot);
        }
        let why = why.or((to.is_empty() && !wire).then_some(drop::NOBODY));
        let why = why.or((f.len() > me.limit()).then_some(drop::LONG));
        if let Some(why) = why {
            self.count(slot).drops[why as usize] += 1;
            return;
        }
        self.count(slot).frames[TX] += 1;
        self.count(slot).bytes[TX] += f.len() as u64;
        if wire {
            self.count(WIRE).frames[TX] += 1;
            self.count(WIRE).bytes[TX] += f.len() as u64;
            let f = if me.vlan != 0 { with_tag(&out, me.priority << 13 | me.vlan) } else { out.clone() };
            self.due.entry((WIRE, 0)).or_default().push_back(f);
        }
        to.into_iter().for_each(|i| self.copy(i, 0, &out));
    }

    /// A frame comes from the wire; perhaps it never ends.
    pub fn receive(&mut self, f: &[u8], error: bool, cut: bool) {
        push(&mut self.rx, f, error, &[]);
        if cut {
            self.rx.items.back_mut().unwrap()[1].1 = 0u8.into();
        }
        let mut f = f.to_vec();
        let mut vlan = 0;
        if f.len() >= 14 && f[12..14] == [0x81, 0] {
            f.resize(f.len().max(16), 0);
            vlan = u16::from_be_bytes([f[14], f[15]]) & 0xfff;
            f.drain(12..16);
        }
        let why = if error || cut {
            Some(drop::ERROR)
        } else if f.len() < 14 {
            Some(drop::RUNT)
        } else if f.len() > 16 * BEATS {
            Some(drop::LONG)
        } else if tagged(&f) && vlan == 0 {
            Some(drop::TAGGED)
        } else if f[6] & 1 == 1 {
            Some(drop::SPOOFED)
        } else {
            None
        };
        let mut to: Vec<usize> = vec![];
        if why.is_none() {
            let mates: Vec<usize> = (0..self.ports.len())
                .filter(|i| self.ports[*i].live && self.ports[*i].uplink && self.ports[*i].vlan == vlan)
                .collect();
            let many = f[0] & 1 == 1;
            let owner = mates.iter().find(|i| self.ports[**i].mac == f[..6]);
            to = mates.iter().copied().filter(|i| many || Some(i) == owner || self.ports[*i].promiscuous).collect();
        }
        let why = why.or(to.is_empty().then_some(drop::NOBODY));
        if let Some(why) = why {
            self.count(WIRE).drops[why as usize] += 1;
            return;
        }
        self.count(WIRE).frames[RX] += 1;
        self.count(WIRE).bytes[RX] += f.len() as u64;
        to.into_iter().for_each(|i| self.copy(i, 1, &f));
    }

    /// How many beats wait to be taken.
    pub fn waiting(&self) -> [usize; 2] {
        [self.from.items.len(), self.rx.items.len()]
    }

    /// A clock; what is delivered must be due.
    pub fn clock(&mut self) {
        let (dut, rng) = (&mut self.dut, &mut self.rng);
        self.from.drive(dut, rng);
        self.rx.drive(dut, rng);
        self.to.drive(dut, rng);
        self.tx.drive(dut, rng);
        let sum = self.sums.front().copied().flatten();
        dut.set("sum_valid", sum.is_some().into());
        dut.set("sum_at", sum.map_or(0, |s| s.0 as u128));
        dut.set("sum_value", sum.map_or(0, |s| s.1.into()));
        dut.eval();
        let slot = dut.get("room_slot") as usize;
        dut.set("room_free", u128::from(slot >= self.closed.len() || !self.closed[slot]));
        dut.eval();
        if self.from.taken(dut).is_some() {
            self.sums.pop_front();
        }
        self.rx.taken(dut);
        let got = self.to.taken(dut).map(|(slot, f)| (slot as usize, f));
        let got = got.into_iter().chain(self.tx.taken(dut).map(|(_, f)| (WIRE, f)));
        for (slot, f) in got.collect::<Vec<_>>() {
            let due = |lane| self.due.get(&(slot, lane)).and_then(VecDeque::front) == Some(&f);
            let lane = [0, 1].into_iter().find(|l| due(*l));
            let Some(lane) = lane else {
                panic!("{slot} gets what is not due: {f:02x?}\ndue: {:02x?}", [0, 1].map(|l| self.due.get(&(slot, l))))
            };
            if let Some(q) = self.due.get_mut(&(slot, lane)) {
                q.pop_front();
            }
            self.delivered += 1;
        }
        self.dut.clock();
    }

    /// Until all has come that is due.
    pub fn drain(&mut self) {
        for _ in 0..200_000 {
            self.dut.eval();
            if self.waiting() == [0, 0] && self.dut.get("busy") == 0 {
                assert!(self.due.values().all(VecDeque::is_empty), "never delivered: {:02x?}", self.due);
                return;
            }
            self.clock();
        }
        panic!("the switch is never done");
    }

    /// A port changes, while traffic goes on.
    pub fn set(&mut self, slot: usize, config: Config) {
        self.begin(slot, config);
        for _ in 0..40_000 {
            self.dut.eval();
            if self.changed(slot, config) {
                return;
            }
            self.clock();
        }
        panic!("a port never changes");
    }

    pub fn begin(&mut self, slot: usize, config: Config) {
        self.ports[slot].live = false;
        self.dut.set("ports_valid", 1);
        self.dut.set("ports_slot", slot as u128);
        self.dut.set("ports_live", config.live.into());
        bench::set(&mut self.dut, "ports_port", &config.row());
    }

    /// Whether the change is over: looked at after `eval`, and told in a clock of its own.
    pub fn changed(&mut self, slot: usize, config: Config) -> bool {
        if self.dut.get("ports_done") == 0 {
            return false;
        }
        self.clock();
        self.dut.set("ports_valid", 0);
        self.ports[slot] = config;
        true
    }

    fn read(&mut self, offset: u64) -> u64 {
        self.dut.set("counters_valid", 1);
        self.dut.set("counters_write", 0);
        self.dut.set("counters_offset", offset.into());
        for _ in 0..64 {
            self.dut.eval();
            if self.dut.get("counters_ack") == 1 {
                let value = self.dut.get("counters_rdata") as u64;
                self.clock();
                self.dut.set("counters_valid", 0);
                return value;
            }
            self.clock();
        }
        panic!("{offset:x} is not acknowledged");
    }

    pub fn counters(&mut self, slot: usize) -> Counts {
        let base = manage::counters(slot as u64);
        let mut wide = |at: u64| self.read(base + at) | self.read(base + at + 4) << 32;
        let frames = [wide(manage::COUNTER_TX_FRAMES), wide(manage::COUNTER_RX_FRAMES)];
        let bytes = [wide(manage::COUNTER_TX_BYTES), wide(manage::COUNTER_RX_BYTES)];
        let mut drops = [0; manage::DROPS as usize];
        for (i, n) in drops.iter_mut().enumerate() {
            *n = self.read(base + manage::COUNTER_DROPS + 4 * i as u64);
        }
        Counts { frames, bytes, drops }
    }

    /// The counters of all are those of the model.
    pub fn check_counters(&mut self) {
        for slot in (0..self.ports.len()).chain([WIRE]) {
            let expected = *self.count(slot);
            assert_eq!(self.counters(slot), expected, "slot {slot}");
        }
        assert_eq!(self.counters(62), Counts::default(), "a slot that is not there");
    }
}

/// An address of a slot's.
pub fn mac(slot: usize) -> [u8; 6] {
    [2, 0, 0, 0, 7, slot as u8]
}
