//! The completer: every request that a host can send, against what PCIe says it is owed.

use std::collections::{HashMap, VecDeque};

use azote_regs::bar;
use azote_regs::function::{FunctionId, Kind};
use azote_regs::pcie::tlp;
use azote_rtl::transaction::ways::{OWN, WAYS};
use azote_rtl::transaction::{Completer, Found};
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench::{self, Feed, Packet, Packets, header};

/// Addresses from here hit BAR0 of the storage PF, from the second on the management BAR; the rest hits nothing.
const BAR: u64 = 0x7_4000_0000;
const MANAGE: u64 = 0x9000_0000;
const STORAGE_PF: u8 = Kind::Storage.code() as u8;
const TRUST_PF: u8 = Kind::Trust.code() as u8;
/// Configuration accesses to functions from here find nobody.
const NOBODY: u8 = 0x80;
/// Those below that, from here, are being reset.
const RESETTING: u8 = 0x40;
/// This DW of configuration space is a window in every function.
const WINDOW_DW: u64 = 7;
/// The read completion boundary of the card.
const CHUNK: u64 = 128;

/// A net VF's BAR0 lies here.
const NET: u64 = 0xa000_0000;
const NET_VF: u8 = 3 << 2;
/// Management or not, owner, offset, enables, and what is written.
type Access = (bool, u8, u64, u8, Option<u32>);
type Config = (bool, u8, u64, u8, u32);
/// Event, whether no function claims it, whose, and the header.
type Error = (u64, bool, u8, u128);

struct World {
    dut: Dut,
    rng: SmallRng,
    requests: Feed,
    link: Packets,
    /// Configuration space by `(function, DW)`, and as it will be when all that was offered is done.
    config: HashMap<(u8, u64), u32>,
    expected: HashMap<(u8, u64), u32>,
    /// What is open on each way, with its answer and the clocks that are left; the last answers; how long an access takes there.
    open: [Option<(u32, u32)>; WAYS],
    answers: [u32; WAYS],
    slow: [u32; WAYS],
    /// Whether the bus number stays: else nobody may wait when it changes.
    steady: bool,
    /// Whether configuration accesses may be ones through windows.
    windowed: bool,
    /// Addresses of the clock before and the one before that: the decoder takes two.
    located: [u64; 2],
    /// Writes that came before the last request, and that have taken effect.
    after: u8,
    done: u8,
    /// The request that was offered last.
    last: u128,
    /// The header that is offered was not taken in the clock before.
    offered: bool,
    // What is owed: completions of each request in order, accesses of each way.
    completions: HashMap<u32, VecDeque<Packet>>,
    accesses: [VecDeque<Access>; WAYS],
    configs: VecDeque<Config>,
    /// For each of them, what configuration space says of a window: offset, bytes, lane.
    windows: VecDeque<Option<(u64, u8, u8)>>,
    errors: VecDeque<Error>,
    bus: u64,
}

/// What a register reads as.
fn register(manage: bool, offset: u64) -> u32 {
    offset as u32 ^ if manage { 0x5555_0000 } else { 0xaaaa_0000 }
}

/// The way to a register.
fn way((manage, owner, offset, ..): Access) -> usize {
    if manage || offset >= bar::MSIX_TABLE { OWN } else { usize::from(owner & 3) }
}

/// Requester and tag, of a completion.
fn whose(header: u128) -> u32 {
    ((header >> 64) as u32) & (tlp::REQUESTER_ID.mask() | tlp::TAG.mask()) as u32
}

/// The number of the function `{slot, kind}`.
fn number_of(owner: u8) -> u8 {
    let vf = |slot| FunctionId::vf(Kind::ALL[usize::from(owner & 3)], slot - 1).unwrap();
    if owner >> 2 == 0 { owner } else { vf(owner >> 2).number() }
}

fn write(old: u32, new: u32, be: u8) -> u32 {
    (0..4).fold(old, |v, i| if be >> i & 1 == 1 { v & !(0xff << (8 * i)) | new & (0xff << (8 * i)) } else { v })
}

impl World {
    fn new(seed: u64) -> World {
        let dut = bench::build("completer", || Completer::new(true));
        World {
            dut,
            rng: bench::rng(seed),
            requests: Feed::new("req_", 70),
            link: Packets::new("tx_", 60),
            config: HashMap::new(),
            expected: HashMap::new(),
            open: [None; WAYS],
            answers: [0; WAYS],
            slow: [40; WAYS],
            steady: false,
            windowed: true,
            located: [0; 2],
            after: 0,
            done: 0,
            last: 0,
            offered: false,
            completions: HashMap::new(),
            accesses: std::array::from_fn(|_| VecDeque::new()),
            configs: VecDeque::new(),
            windows: VecDeque::new(),
            errors: VecDeque::new(),
            bus: 0,
        }
    }

    fn clock(&mut self) {
        let dut = &mut self.dut;
        // Others find errors too: a record waits.
        dut.set("error_ready", self.rng.random_ratio(1, 4).into());
        self.requests.drive(dut, &mut self.rng);
        self.link.drive(dut, &mut self.rng);
        dut.set("cfg_ack", 0);
        dut.set("cfg_rdata", self.rng.random::<u32>().into());
        // The decoder answers two clocks after the address; now and then another has it.
        let taken = self.rng.random_ratio(1, 3);
        dut.set("taken", taken.into());
        if self.done != self.after && self.rng.random_ratio(1, 8) {
            self.done = self.done.wrapping_add(1);
        }
        dut.set("done", self.done.into());
        let hold = self.rng.random_ratio(1, 3);
        dut.set("hold", hold.into());
        let a = self.located[1];
        let bar0 = (BAR..BAR + bar::BAR0_SIZE).contains(&a);
        let manage = (MANAGE..MANAGE + bar::BAR2_SIZE).contains(&a);
        let net = (NET..NET + bar::BAR0_SIZE).contains(&a);
        dut.set("hit_valid", (bar0 || manage || net).into());
        dut.set("hit_manage", manage.into());
        dut.set(
            "hit_owner",
            if manage {
                TRUST_PF
            } else if net {
                NET_VF
            } else {
                STORAGE_PF
            }
            .into(),
        );
        dut.set("hit_offset", if manage { a & 0xffff } else { a & 0x3fff }.into());
        dut.eval();
        self.located = [if taken { self.rng.random() } else { dut.get("address") as u64 }, self.located[0]];
        // Held until an interrupt is out that was given out before; and once offered it stays.
        let offers = dut.get("tx_sop") == 1 && dut.get("tx_valid") == 1;
        assert!(!hold || !offers || self.offered, "a completion passes an interrupt");
        assert!(!self.offered || offers, "a header is taken back");
        // An access that was asked for begins when its way is free, and is answered by and by; what shows meanwhile means nothing.
        let to = dut.get("asks_to") as usize;
        let free = self.open[to].is_none() && self.rng.random_bool(0.7);
        dut.set("asks_ready", (free && dut.get("asks_valid") == 1).into());
        let bits =
            |open: &[Option<(u32, u32)>; WAYS]| (0..WAYS).map(|w| u128::from(open[w].is_some()) << w).sum::<u128>();
        let open = bits(&self.open);
        dut.set("asks_open", open);
        dut.set("asks_taken", open | u128::from(self.rng.random::<u8>() & self.rng.random::<u8>() & 15));
        let shows = if self.open[to].is_some() { self.rng.random() } else { self.answers[to] };
        dut.set("asks_rdata", shows.into());
        for (open, answer) in self.open.iter_mut().zip(&mut self.answers) {
            match open {
                Some((value, 0)) => {
                    *answer = *value;
                    *open = None;
                }
                Some((_, left)) => *left -= 1,
                None => {}
            }
        }
        if free && dut.get("asks_valid") == 1 {
            let (manage, offset) = (dut.get("asks_manage") == 1, dut.get("asks_offset") as u64);
            let be = dut.get("asks_be") as u8;
            let written = (dut.get("asks_write") == 1).then(|| write(0, dut.get("asks_wdata") as u32, be));
            let seen = (manage, dut.get("asks_owner") as u8, offset, be, written);
            assert_eq!(way(seen), to);
            assert_eq!(Some(seen), self.accesses[to].pop_front());
            self.open[to] = Some((register(manage, offset), self.rng.random_range(0..=self.slow[to])));
        }
        if dut.get("cfg_valid") == 1 && self.rng.random_bool(0.5) {
            let write_ = dut.get("cfg_write") == 1;
            let (number, dw) = (dut.get("cfg_number") as u8, dut.get("cfg_dw") as u64);
            let (be, new) = (dut.get("cfg_be") as u8, dut.get("cfg_wdata") as u32);
            let want = self.configs.pop_front().expect("an access that nobody asked for");
            assert_eq!((write_, number, dw, be, if write_ { new } else { want.4 }), want);
            let old = self.config.get(&(number, dw)).copied().unwrap_or(dw as u32 | 0x3333_0000);
            if write_ && number < RESETTING {
                self.config.insert((number, dw), write(old, new, be));
            }
            dut.set("cfg_none", (number >= NOBODY).into());
            dut.set("cfg_retry", (RESETTING..NOBODY).contains(&number).into());
            let window = self.windows.pop_front().flatten();
            dut.set("cfg_window", window.is_some().into());
            let (offset, bytes, lane) = window.unwrap_or((self.rng.random_range(0..0x2000), 0, 1));
            dut.set("cfg_offset", offset.into());
            dut.set("cfg_bytes", bytes.into());
            dut.set("cfg_lane", lane.into());
            dut.set("cfg_rdata", old.into());
            dut.set("cfg_ack", 1);
        }
        dut.eval();
        if dut.get("error_valid") == 1 {
            let everyone = dut.get("error_everyone") == 1;
            let owner = if everyone { 0 } else { dut.get("error_owner") as u8 };
            let seen = (dut.get("error_event") as u64, everyone, owner, dut.get("error_header"));
            if dut.get("error_ready") == 1 {
                assert_eq!(Some(seen), self.errors.pop_front());
            }
        }
        self.offered = offers && !self.link.ready();
        if let Some(mut p) = self.link.taken(dut) {
            let owed = self.completions.get_mut(&whose(p.header)).and_then(VecDeque::pop_front);
            let want = owed.expect("a completion that nobody is owed");
            p.owner = want.owner;
            // Of a refusal only status, tag and requester count (PCIe 2.2.9).
            assert_eq!(p, want, "{:x?} instead of {:x?}", p, want);
        }
        if let Some(request) = self.requests.taken(dut) {
            let after = bench::part(&request[1].1, 0, 8) as u8;
            assert!(self.done.wrapping_sub(after) < 0x80, "a request passes a write");
        }
        dut.clock();
    }

    fn access(&mut self, access: Access) {
        self.accesses[way(access)].push_back(access);
    }

    fn offer(&mut self, packet: &Packet) {
        self.after = self.after.wrapping_add(self.rng.random_range(0..3));
        // What it writes stands where a header of three DWs has nothing.
        let word = match packet.payload.first() {
            Some(dw) if !tlp::FMT_BIT_4DW.is_set(packet.dw(0)) => packet.header | u128::from(*dw) << 96,
            _ => packet.header,
        };
        self.requests.items.push_back(vec![("data", word.into()), ("after", self.after.into())]);
        self.last = packet.header;
    }

    fn finish(&mut self) {
        for _ in 0..1_000_000 {
            self.clock();
            if self.requests.items.is_empty() && self.dut.get("busy") == 0 {
                assert!(self.completions.values().all(VecDeque::is_empty), "owed: {:x?}", self.completions);
                assert!(self.accesses.iter().all(VecDeque::is_empty));
                assert!(self.configs.is_empty() && self.errors.is_empty());
                return;
            }
        }
        panic!("stuck");
    }

    /// `{DW 0, DW 1}` of a request, and who asks.
    fn start(&mut self, fmt_type: u64, dws: u64, be: (u64, u64)) -> (u64, u64) {
        let attributes = self.rng.random::<u64>() & (tlp::TC.mask() | tlp::ATTR.mask() | tlp::ATTR_IDO.mask());
        let dw0 = tlp::FMT_TYPE.put(fmt_type) | tlp::LENGTH.put(dws) | attributes;
        let who = u64::from(self.rng.random::<u16>());
        let dw1 = tlp::REQUESTER_ID.put(who) | tlp::TAG.put(self.rng.random::<u8>().into());
        (dw0, dw1 | tlp::FIRST_BE.put(be.0) | tlp::LAST_BE.put(be.1))
    }

    /// The completion of `(dw0, dw1)`.
    fn owe(&mut self, request: (u64, u64), number: u8, status: u64, bytes: u64, lower: u64, payload: Vec<u32>) {
        let fmt_type = if payload.is_empty() { tlp::CPL } else { tlp::CPLD };
        let same = tlp::TC.mask() | tlp::ATTR.mask() | tlp::ATTR_IDO.mask();
        let dw0 = tlp::FMT_TYPE.put(fmt_type) | tlp::LENGTH.put(payload.len() as u64) | request.0 & same;
        let completer = tlp::ID_BUS.put(self.bus) | u64::from(number);
        let dw1 = tlp::COMPLETER_ID.put(completer) | tlp::STATUS.put(status) | tlp::BYTE_COUNT.put(bytes);
        let back = request.1 & (tlp::REQUESTER_ID.mask() | tlp::TAG.mask());
        let header = header([dw0, dw1, back | tlp::LOWER_ADDRESS.put(lower), 0]);
        self.completions.entry(whose(header)).or_default().push_back(Packet { header, payload, owner: 0 });
    }

    fn configuration(&mut self) {
        let number = match self.rng.random_range(0..5) {
            0 => NOBODY | self.rng.random::<u8>(),
            1 => self.rng.random_range(RESETTING..NOBODY),
            _ => self.rng.random_range(0..4),
        };
        let (writes, poisoned) = (self.rng.random(), self.rng.random_ratio(1, 6));
        let (dw, be) =
            (self.rng.random_range(0..if self.windowed { 8 } else { WINDOW_DW }), self.rng.random_range(0..16));
        let bus = if self.steady { self.bus } else { self.rng.random_range(0..256) };
        let (mut dw0, dw1) = self.start(if writes { tlp::CFGWR0 } else { tlp::CFGRD0 }, 1, (be, 0));
        let data: u32 = self.rng.random();
        if writes && poisoned {
            dw0 |= tlp::EP.mask();
        }
        let dw2 = tlp::CFG_BUS.put(bus) | tlp::CFG_FUNCTION.put(number.into()) | (dw * 4);
        let payload = if writes { vec![data] } else { vec![] };
        self.offer(&Packet { header: header([dw0, dw1, dw2, 0]), payload, owner: 0 });
        let h = self.last;
        // In the function that it names, whether there is one or not: configuration space knows (and the gap is nobody's).
        let whose = FunctionId::from_number(number).map(|f| (f.slot() << 2 | f.kind.code()) as u8);
        if writes && poisoned {
            self.errors.push_back((Found::POISONED, whose.is_none(), whose.unwrap_or(0), h));
            self.owe((dw0, dw1), number, tlp::UR, 4, 0, vec![]);
            return;
        }
        self.configs.push_back((writes, number, dw, be as u8, data));
        if dw == WINDOW_DW && number < RESETTING {
            let lane: u8 = self.rng.random_range(0..4);
            let bytes = self.rng.random_range(1..16u8 >> lane) << lane;
            let offset = self.rng.random_range(0..0x800) * 4;
            self.windows.push_back(Some((offset, bytes, lane)));
            let written = writes.then(|| write(0, data << (8 * lane), bytes));
            self.access((false, number, offset, bytes, written));
            let read = write(0, register(false, offset), bytes) >> (8 * lane);
            if writes {
                self.bus = bus;
            }
            self.owe((dw0, dw1), number, tlp::SC, 4, 0, if writes { vec![] } else { vec![read] });
            return;
        }
        self.windows.push_back(None);
        let old = self.expected.get(&(number, dw)).copied().unwrap_or(dw as u32 | 0x3333_0000);
        if writes && number < RESETTING {
            self.expected.insert((number, dw), write(old, data, be as u8));
        }
        if number >= NOBODY {
            self.errors.push_back((Found::UNSUPPORTED, true, 0, h));
            self.owe((dw0, dw1), number, tlp::UR, 4, 0, vec![]);
        } else if number >= RESETTING {
            // No error (PCIe 2.3.1), and the bus number of what was not done is not ours.
            self.owe((dw0, dw1), number, tlp::CRS, 4, 0, vec![]);
        } else if writes {
            self.bus = bus;
            self.owe((dw0, dw1), number, tlp::SC, 4, 0, vec![]);
        } else {
            self.owe((dw0, dw1), number, tlp::SC, 4, 0, vec![old]);
        }
    }

    fn memory(&mut self) {
        let place = self.rng.random_range(0..4);
        let dws = if self.rng.random() { self.rng.random_range(1..=1024) } else { self.rng.random_range(1..4) };
        let page = self.rng.random_range(0..4u64) << 12;
        let offset = page + self.rng.random_range(0..=1024 - dws) * 4;
        let base = [BAR, MANAGE, 0x1234_0000, NET][place];
        let at = base + offset;
        let first = if dws == 1 { self.rng.random_range(0..16) } else { self.rng.random_range(1..16u64) };
        let last = if dws == 1 { 0 } else { self.rng.random_range(1..16u64) };
        let long = at >> 32 != 0;
        let (dw0, dw1) = self.start(if long { tlp::MRD64 } else { tlp::MRD32 }, dws, (first, last));
        let header = if long { header([dw0, dw1, at >> 32, at & 0xffff_ffff]) } else { header([dw0, dw1, at, 0]) };
        self.offer(&Packet { header, payload: vec![], owner: 0 });
        let (manage, owner) = (place == 1, [STORAGE_PF, TRUST_PF, 0, NET_VF][place]);
        let enables = |i: u64| if i == 0 { first } else if i + 1 == dws { last } else { 15 } as u8;
        // Byte count and lower address by PCIe tables 2-33 and 2-34.
        let skipped = if first == 0 { 0 } else { u64::from(first.trailing_zeros()) };
        let end_be = if dws == 1 { first } else { last };
        let unused = if end_be == 0 { 0 } else { 3 - u64::from(63 - end_be.leading_zeros()) };
        let mut bytes = if dws == 1 && first == 0 { 1 } else { 4 * dws - skipped - unused };
        if place == 2 {
            self.errors.push_back((Found::UNSUPPORTED, true, 0, header));
            self.owe((dw0, dw1), 0, tlp::UR, bytes, (at + skipped) & 0x7f, vec![]);
            return;
        }
        let number = number_of(owner);
        let mut chunk = Vec::new();
        let mut from = at + skipped;
        for i in 0..dws {
            let (dw_at, be) = (offset + 4 * i, enables(i));
            let old = register(manage, dw_at);
            if be != 0 {
                self.access((manage, owner, dw_at, be, None));
            }
            chunk.push(if be == 0 { 0 } else { old });
            if (dw_at + 4) % CHUNK == 0 || i + 1 == dws {
                let carried = at + 4 * (i + 1) - from;
                self.owe((dw0, dw1), number, tlp::SC, bytes, from & 0x7f, std::mem::take(&mut chunk));
                bytes = bytes.saturating_sub(carried);
                from = at + 4 * (i + 1);
            }
        }
    }

    fn odd(&mut self) {
        let kinds = [
            (tlp::FMT_3DW << 5 | tlp::TYPE_IO, 1),
            (tlp::FMT_3DW_DATA << 5 | tlp::TYPE_IO, 1),
            (tlp::CFGRD1, 1),
            (tlp::CFGWR1, 1),
            (tlp::MRDLK64, 5),
            (tlp::MRDLK32, 1),
            (tlp::FMT_4DW_DATA << 5 | tlp::TYPE_SWAP, 2),
            (tlp::FMT_3DW_DATA << 5 | tlp::TYPE_CAS, 2),
        ];
        let (fmt_type, dws) = kinds[self.rng.random_range(0..kinds.len())];
        let (dw0, dw1) = self.start(fmt_type, dws, (15, if dws > 1 { 15 } else { 0 }));
        let has_data = tlp::FMT_BIT_DATA.is_set(dw0);
        let payload = (0..if has_data { dws } else { 0 }).map(|_| self.rng.random()).collect();
        // Where it has an address, a function may claim it, and is the one who refuses.
        let claimed = self.rng.random_bool(0.5) && ![tlp::TYPE_IO, tlp::TYPE_CFG1].contains(&(fmt_type & 0x1f));
        let at = if claimed { BAR } else { 0x1_1234_0000 };
        let long = tlp::FMT_BIT_4DW.is_set(dw0);
        let (dw2, dw3) = if long { (at >> 32, at & 0xffff_ffff) } else { (at & 0xffff_ffff, 0) };
        let claimed = claimed && (long || BAR >> 32 == 0);
        self.offer(&Packet { header: header([dw0, dw1, dw2, dw3]), payload, owner: 0 });
        let owner = if claimed { STORAGE_PF } else { 0 };
        self.errors.push_back((Found::UNSUPPORTED, !claimed, owner, self.last));
        let number = number_of(owner);
        self.owe((dw0, dw1), number, tlp::UR, 4, 0, vec![]);
    }
}

#[test]
fn every_request_takes_effect_in_order_and_gets_the_completions_it_is_owed() {
    let mut w = World::new(1);
    for _ in 0..1500 {
        match w.rng.random_range(0..5) {
            0 | 1 => w.configuration(),
            2 | 3 => w.memory(),
            _ => w.odd(),
        }
        w.finish();
        assert_eq!(w.dut.get("bus_number"), w.bus.into(), "learnt from completed writes alone");
    }
}

#[test]
fn requests_behind_one_another_are_served_without_a_pause_between() {
    let mut w = World::new(2);
    for _ in 0..100 {
        for _ in 0..6 {
            let (dw0, dw1) = w.start(tlp::MRD32, 1, (15, 0));
            w.offer(&Packet { header: header([dw0, dw1, MANAGE, 0]), payload: vec![], owner: 0 });
            w.access((true, TRUST_PF, 0, 15, None));
            w.owe((dw0, dw1), TRUST_PF, tlp::SC, 4, 0, vec![register(true, 0)]);
        }
        w.finish();
    }
}

#[test]
fn requests_of_several_ways_pass_one_another_and_those_of_one_do_not() {
    let mut w = World::new(3);
    w.steady = true;
    for round in 0..60 {
        // One way is much slower than the others, and all take longer than the completer waits.
        w.slow = std::array::from_fn(|i| if i == round % WAYS { 100 } else { 25 });
        for _ in 0..12 {
            match w.rng.random_range(0..5) {
                0 | 1 => w.configuration(),
                2 | 3 => w.memory(),
                _ => w.odd(),
            }
        }
        w.finish();
    }
}

#[test]
fn who_waits_for_a_slow_register_holds_up_no_other_way() {
    let mut w = World::new(4);
    w.steady = true;
    w.slow = [5000, 4, 4, 4];
    w.windowed = false;
    let word = |w: &mut World, at: u64, access: Access| {
        let (dw0, dw1) = w.start(tlp::MRD32, 1, (15, 0));
        w.offer(&Packet { header: header([dw0, dw1, at, 0]), payload: vec![], owner: 0 });
        w.access(access);
        let number = number_of(access.1);
        w.owe((dw0, dw1), number, tlp::SC, 4, at & 0x7f, vec![register(access.0, access.2)]);
    };
    for _ in 0..20 {
        // As many as may wait without holding up others: one that has asked, and two behind it.
        for i in 0..3 {
            word(&mut w, NET + 4 * i, (false, NET_VF, 4 * i, 15, None));
        }
        while !w.requests.items.is_empty() {
            w.clock();
        }
        let mut longest = 0;
        while w.open[0].is_some() {
            match w.rng.random_range(0..3) {
                0 => word(&mut w, MANAGE + 0x40, (true, TRUST_PF, 0x40, 15, None)),
                _ => w.configuration(),
            }
            let owed = |w: &World| w.completions.values().map(VecDeque::len).sum::<usize>();
            let before = w.dut.clocks();
            while owed(&w) > 3 && w.dut.clocks() - before < 1000 {
                w.clock();
            }
            longest = longest.max(w.dut.clocks() - before);
        }
        assert!(longest < 200, "{longest} clocks");
        w.finish();
    }
}
