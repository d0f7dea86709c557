//! What the benches share: a block becomes a Verilated model, and streams are offered and taken with random stalls.
//!
//! A clock of a bench is always the same: drive the inputs, [`Dut::eval`], look at the outputs and at who was ready, then
//! [`Dut::clock`].

use std::collections::VecDeque;

use azote_hdl::BigUint;
use azote_hdl::rust_hdl::core::prelude::Block;
use azote_regs::function;
use azote_regs::pcie::tlp;
use azote_rtl::transaction::header::Sends;
use azote_verilate::{Dut, Options, Port, Source};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Random numbers that are the same in every run.
pub fn rng(seed: u64) -> SmallRng {
    SmallRng::seed_from_u64(seed)
}

/// The model of a block, out of reset. A block is a deep value: it is made where there is room for it.
pub fn build<B: Block>(name: &str, make: impl FnOnce() -> B + Send + 'static) -> Dut {
    let top = name.to_owned();
    let print = move || azote_hdl::print(&make(), &top).unwrap();
    let design = std::thread::Builder::new().stack_size(256 << 20).spawn(print).unwrap().join().unwrap();
    let port =
        |p: &azote_hdl::Port| if p.input { Port::input(&p.name, p.width) } else { Port::output(&p.name, p.width) };
    let ports = design.ports.iter().map(port).collect();
    let mut dut = Dut::build(&Source { text: design.text, top: design.top, ports }, &Options::block()).unwrap();
    if dut.port("reset").is_some() {
        dut.reset();
    }
    dut
}

/// Clocks until `busy` falls: a block sweeps its memories after reset.
pub fn settle(dut: &mut Dut, busy: &str) {
    for _ in 0..20_000 {
        dut.eval();
        if dut.get(busy) == 0 {
            return;
        }
        dut.clock();
    }
    panic!("{busy} never fell");
}

/// Fields side by side, the highest first: `(value, bits)`.
pub fn cat(parts: &[(u128, usize)]) -> BigUint {
    parts.iter().fold(BigUint::ZERO, |v, &(x, bits)| {
        assert!(bits == 128 || x >> bits == 0, "{x:#x} in {bits} bits");
        v << bits | BigUint::from(x)
    })
}

/// Bits `[lo + bits - 1 : lo]`.
pub fn part(v: &BigUint, lo: usize, bits: usize) -> u128 {
    let low = (v >> lo) & ((BigUint::from(1u8) << bits) - 1u8);
    u128::try_from(low).unwrap()
}

/// Drives a port of any width.
pub fn set(dut: &mut Dut, name: &str, v: &BigUint) {
    let width = dut.ports().iter().find(|p| p.name == name).unwrap_or_else(|| panic!("no port {name}")).width;
    let mut words = v.to_u32_digits();
    words.resize(width.div_ceil(32), 0);
    dut.set_words(name, &words);
}

/// Reads a port of any width.
pub fn get(dut: &Dut, name: &str) -> BigUint {
    BigUint::new(dut.get_words(name))
}

/// Offers items at a `valid`/`ready` stream, each a list of `(port, value)` under the stream's prefix.
pub struct Feed {
    prefix: String,
    pub items: VecDeque<Vec<(&'static str, BigUint)>>,
    /// In how many of a hundred clocks the next item is offered.
    pub percent: u32,
    offered: bool,
}

impl Feed {
    pub fn new(prefix: &str, percent: u32) -> Feed {
        Feed { prefix: prefix.to_owned(), items: VecDeque::new(), percent, offered: false }
    }

    /// One more item of a single field.
    pub fn push(&mut self, field: &'static str, v: BigUint) {
        self.items.push_back(vec![(field, v)]);
    }

    /// Whether an item is offered in this clock. What was offered stays until it is taken.
    pub fn offer(&mut self, rng: &mut SmallRng) -> bool {
        self.offered = !self.items.is_empty() && (self.offered || rng.random_ratio(self.percent, 100));
        self.offered
    }

    /// The item that is offered goes, for somebody was ready.
    pub fn accepted(&mut self) -> Option<Vec<(&'static str, BigUint)>> {
        if std::mem::take(&mut self.offered) { self.items.pop_front() } else { None }
    }

    /// Before `eval`: [`Feed::offer`] at the ports.
    pub fn drive(&mut self, dut: &mut Dut, rng: &mut SmallRng) {
        self.offer(rng);
        dut.set(&format!("{}valid", self.prefix), self.offered.into());
        if self.offered {
            for (field, v) in &self.items[0] {
                set(dut, &format!("{}{field}", self.prefix), v);
            }
        }
    }

    /// After `eval`: the item that is taken in this clock.
    pub fn taken(&mut self, dut: &Dut) -> Option<Vec<(&'static str, BigUint)>> {
        if dut.get(&format!("{}ready", self.prefix)) == 1 { self.accepted() } else { None }
    }
}

/// Takes from a `valid`/`ready` stream, in `percent` of a hundred clocks.
pub struct Sink {
    prefix: String,
    pub percent: u32,
    ready: bool,
}

impl Sink {
    pub fn new(prefix: &str, percent: u32) -> Sink {
        Sink { prefix: prefix.to_owned(), percent, ready: false }
    }

    /// Before `eval`.
    pub fn drive(&mut self, dut: &mut Dut, rng: &mut SmallRng) {
        self.ready = rng.random_ratio(self.percent, 100);
        dut.set(&format!("{}ready", self.prefix), self.ready.into());
    }

    /// After `eval`: whether something is taken in this clock.
    pub fn takes(&self, dut: &Dut) -> bool {
        self.ready && dut.get(&format!("{}valid", self.prefix)) == 1
    }

    /// After `eval`: the value of `field`, if something is taken.
    pub fn taken(&self, dut: &Dut, field: &str) -> Option<BigUint> {
        self.takes(dut).then(|| get(dut, &format!("{}{field}", self.prefix)))
    }
}

/// A packet as it passed a stream of TLP beats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub header: u128,
    pub payload: Vec<u32>,
    pub owner: u8,
}

impl Packet {
    /// DW `n` of the header.
    pub fn dw(&self, n: usize) -> u64 {
        u64::from((self.header >> (32 * n)) as u32)
    }

    /// The packet as the door sends it: of this kind, and with the ID of its owner.
    pub fn signed(mut self, kind: u64, bus: u64) -> Packet {
        let given = tlp::FMT_TYPE.of(self.dw(0));
        let fmt_type = match kind {
            Sends::COMPLETION => tlp::CPL | (given & tlp::CPLD & !tlp::CPL),
            Sends::READ => tlp::MRD32 | (given & tlp::MRD64),
            Sends::WRITE => tlp::MWR32 | (given & tlp::MRD64),
            Sends::MESSAGE => tlp::MSG | tlp::ROUTE_TO_ROOT,
            other => panic!("kind {other}"),
        };
        let (slot, of) = (u64::from(self.owner >> 2), u64::from(self.owner & 3));
        let index = if slot == 0 { 0 } else { slot - 1 + function::FIRST_VF_INDEX };
        let sender = tlp::ID_BUS.put(bus) | function::INDEX.put(index % 64) | function::KIND.put(of);
        let [dw0, mut dw1] = [0, 1].map(|n| self.dw(n));
        if kind != Sends::COMPLETION {
            dw1 = tlp::REQUESTER_ID.set(dw1, sender);
        }
        let kept = if kind == Sends::COMPLETION { dw0 } else { dw0 & tlp::LENGTH.mask() };
        let low = u128::from(tlp::FMT_TYPE.set(kept, fmt_type)) | u128::from(dw1) << 32;
        self.header = self.header >> 64 << 64 | low;
        self
    }

    /// Its beats: `{sop, eop, keep, data}`.
    pub fn beats(&self) -> Vec<(bool, bool, u8, u128)> {
        let mut beats = vec![(true, self.payload.is_empty(), 15, self.header)];
        for (i, dws) in self.payload.chunks(4).enumerate() {
            let data = dws.iter().rev().fold(0, |v, dw| v << 32 | u128::from(*dw));
            beats.push((false, (i + 1) * 4 >= self.payload.len(), (1u8 << dws.len()) - 1, data));
        }
        beats
    }
}

/// Collects the packets of a stream of TLP beats, and checks their form.
pub struct Packets {
    sink: Sink,
    prefix: String,
    open: Option<Packet>,
}

impl Packets {
    pub fn new(prefix: &str, percent: u32) -> Packets {
        Packets { sink: Sink::new(prefix, percent), prefix: prefix.to_owned(), open: None }
    }

    /// Whether a beat is taken in this clock, if there is one.
    pub fn ready(&self) -> bool {
        self.sink.ready
    }

    /// From now on a beat is taken in so many of a hundred clocks.
    pub fn percent(&mut self, percent: u32) {
        self.sink.percent = percent;
    }

    /// Before `eval`.
    pub fn drive(&mut self, dut: &mut Dut, rng: &mut SmallRng) {
        self.sink.drive(dut, rng);
    }

    /// After `eval`: the packet that ends in this clock.
    pub fn taken(&mut self, dut: &Dut) -> Option<Packet> {
        if !self.sink.takes(dut) {
            return None;
        }
        let port = |field: &str| dut.get(&format!("{}{field}", self.prefix));
        let has_owner = dut.port(&format!("{}owner", self.prefix)).is_some();
        let (sop, eop, keep, data) = (port("sop") == 1, port("eop") == 1, port("keep"), port("data"));
        assert_eq!(sop, self.open.is_none(), "a packet begins where none is open");
        if sop {
            assert_eq!(keep, 15, "a header is four DWs");
            let owner = if has_owner { port("owner") as u8 } else { 0 };
            self.open = Some(Packet { header: data, payload: Vec::new(), owner });
        } else {
            let packet = self.open.as_mut().unwrap();
            assert!(!has_owner || port("owner") == u128::from(packet.owner), "the owner is steady");
            assert!(keep == 15 || (eop && [1, 3, 7].contains(&keep)), "keep {keep:x}, eop {eop}");
            packet.payload.extend((0..keep.count_ones()).map(|i| (data >> (32 * i)) as u32));
        }
        if eop { self.open.take() } else { None }
    }
}

/// A header of four DWs.
pub fn header(dws: [u64; 4]) -> u128 {
    dws.iter().rev().fold(0, |v, dw| v << 32 | u128::from(*dw))
}
