//! Every known way in which rust-hdl's own text meant something else than the Rust it came from, as a kernel: random
//! vectors through rust-hdl's simulator and through Verilator must agree, and Verilator's lints must be silent.

use azote_hdl::prelude::*;
use azote_hdl::{O, print};
use azote_verilate::{Dut, Options, Port, Source};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

#[pure]
fn majority(a: V, b: V, c: V) -> V {
    let ab = a & b;
    ab | (a & c) | (b & c)
}

#[pure]
fn saturating_add(a: V, b: V, w: usize) -> V {
    let sum = a.zext(w + 1) + b.zext(w + 1);
    if sum.bit(w) { konst((1u64 << w) - 1) } else { sum.trunc(w) }
}

const TOP: u64 = 0xc0de;

packed! {
    /// A word wider than any machine's, with a field that is.
    pub Packed {
        top: 3,
        long: 130,
        flag: 1,
        low: 26,
    }
}
const ALL: azote_hdl::Field = azote_hdl::Field { lo: 0, width: 160 };

/// One output a trap; the comment says what stock rust-hdl printed.
#[derive(LogicBlock, Default)]
struct Traps {
    pub a: I<8>,
    pub b: I<8>,
    pub w: I<160>,
    /// `a & b == b` lost its parentheses.
    pub masked: O<1>,
    /// `~a == 32'h0`: 32 bits wide.
    pub inverted: O<1>,
    /// `(a - 32'h1) == 32'hff`.
    pub borrowed: O<1>,
    /// `(a + 1) > b` kept the carry.
    pub above: O<1>,
    /// a widened sum kept the carry.
    pub widened: O<16>,
    /// a widened complement grew ones.
    pub complement: O<16>,
    /// a shifted sum kept the carry.
    pub halved: O<8>,
    /// slices of expressions were a syntax error.
    pub sliced: O<4>,
    /// constants printed as identifiers.
    pub constant: O<16>,
    /// hexadecimal arms were a syntax error, or-patterns did not exist.
    pub arms: O<4>,
    /// `if` as a value.
    pub chosen: O<8>,
    /// `match` as a value.
    pub matched: O<8>,
    /// concatenation.
    pub joined: O<20>,
    /// nested `let`s, blocking reads half-way.
    pub halfway: O<8>,
    /// variable index.
    pub picked: O<1>,
    pub picked_byte: O<8>,
    /// product.
    pub product: O<16>,
    pub most: O<8>,
    pub saturated: O<8>,
    pub extended: O<16>,
    pub reduced: O<3>,
    /// wider than any machine word.
    pub wide: O<160>,
    pub shifted: O<8>,
    pub replicated: O<5>,
    /// words with named fields: made, changed, changed in one field, at both ends and all of it.
    pub made: O<{ Packed::WIDTH }>,
    pub changed: O<160>,
    pub set_one: O<160>,
    pub set_ends: O<160>,
    pub taken: O<131>,
    step: W<8>,
}

#[kernel]
impl Logic for Traps {
    fn update(&mut self) {
        let a = self.a;
        let b = self.b;
        self.masked = a & b == b;
        self.inverted = !a == 0;
        self.borrowed = (a - 1) == 255;
        self.above = (a + 1) > b;
        self.widened = (a + b).zext(16);
        self.complement = (!a).zext(16);
        self.halved = (a + 255) >> 1;
        self.sliced = (a + b).bits(5, 2);
        self.constant = TOP ^ cat(a, b);
        self.arms = 0;
        match a {
            0x10 | 0x11 => self.arms = 1,
            3 => {
                if b == 7 {
                    self.arms = 2;
                }
            }
            0x80 => {}
            _ => self.arms = b.trunc(4),
        }
        self.chosen = if a < b {
            a
        } else if a == b {
            0x55
        } else {
            b - a
        };
        self.matched = match b {
            1 | 2 | 3 => a,
            0xff => 17,
            _ => a ^ b,
        };
        self.joined = cat(a.bits(3, 0), b, sized(TOP & 0xff, 8));
        self.step = a;
        if a.bit(0) {
            let t = self.step + b;
            self.step = t ^ 0x0f;
        }
        let mut x = self.step + 1;
        if b.bit(7) {
            x = x - a;
            if x > 100 {
                x = 100;
            }
        }
        self.halfway = x;
        self.picked = a.sel(b.trunc(4));
        self.picked_byte = self.w.slice_at(b, 8);
        self.product = a * b;
        self.most = majority(a, b, self.w.bits(7, 0));
        self.saturated = saturating_add(a, b, { 8 });
        self.extended = a.sext(16);
        self.reduced = cat(a.any(), a.all(), a.parity());
        self.wide = (self.w + 1) ^ cat(self.w.bits(79, 0), self.w.bits(159, 80));
        self.shifted = (a << b.trunc(4)) | (a >> 3);
        self.replicated = a.bit(7).rep(5);
        let low = cat(a, b).zext(26);
        self.made = Packed { low, flag: if a < b { 0 } else { 1 }, top: 5, long: self.w.bits(150, 21) };
        self.changed = if a.bit(0) { Packed { flag: 1, ..self.w } } else { Packed { top: a.trunc(3), ..0 } };
        self.set_one = self.w.set(Packed::FLAG, a > b);
        self.set_ends = self.w.set(Packed::TOP, 2).set(Packed::LOW, a.zext(26)) ^ self.w.set(ALL, 3);
        self.taken = cat(self.w.get(Packed::LONG), self.w.get(Packed::FLAG));
    }
}

fn source(d: &azote_hdl::Design) -> Source {
    Source {
        text: d.text.clone(),
        top: d.top.clone(),
        ports: d
            .ports
            .iter()
            .map(|p| if p.input { Port::input(&p.name, p.width) } else { Port::output(&p.name, p.width) })
            .collect(),
    }
}

/// All outputs of a block in rust-hdl's own simulator, by name.
struct Outputs(Vec<(String, num_bigint::BigUint)>);

impl rust_hdl::core::probe::Probe for Outputs {
    fn visit_atom(&mut self, name: &str, s: &dyn rust_hdl::core::atom::Atom) {
        if s.kind() == rust_hdl::core::atom::AtomKind::OutputParameter {
            let t = format!("{:x}", s.verilog());
            let hex = t.split_once("'h").map_or("", |(_, hex)| hex);
            let value = num_bigint::BigUint::parse_bytes(hex.as_bytes(), 16);
            self.0.push((name.into(), value.unwrap_or_else(|| panic!("{name} prints as {t}"))));
        }
    }
}

fn words(v: &num_bigint::BigUint, n: usize) -> Vec<u32> {
    let mut d = v.to_u32_digits();
    d.resize(n.div_ceil(32), 0);
    d
}

fn settle<B: Block>(b: &mut B) {
    for _ in 0..50 {
        b.update_all();
        if !b.has_changed() {
            return;
        }
    }
    panic!("no fixed point");
}

#[test]
fn every_trap_prints_what_it_runs() {
    let mut block = Traps::default();
    block.connect_all();
    let design = print(&block, "traps").unwrap();
    let mut dut = Dut::build(&source(&design), &Options::block()).unwrap();
    let mut rng = SmallRng::seed_from_u64(7);
    for round in 0..4000u32 {
        let a: u8 =
            if round % 7 == 0 { [0, 1, 3, 0x10, 0x11, 0x80, 255][rng.random_range(0..7)] } else { rng.random() };
        let b: u8 = if round % 5 == 0 { [0, 1, 7, 255, a][rng.random_range(0..5)] } else { rng.random() };
        let w: Vec<u32> = (0..5).map(|_| rng.random()).collect();
        block.a.next = u64::from(a).into();
        block.b.next = u64::from(b).into();
        block.w.next = num_bigint::BigUint::new(w.clone()).into();
        settle(&mut block);
        dut.set("a", u128::from(a));
        dut.set("b", u128::from(b));
        dut.set_words("w", &w);
        dut.eval();
        let mut out = Outputs(Vec::new());
        block.accept("traps", &mut out);
        assert_eq!(out.0.len(), 29);
        for (name, v) in out.0 {
            let port = design.ports.iter().find(|p| p.name == name).unwrap();
            assert_eq!(dut.get_words(&name), words(&v, port.width), "{name} with a={a:#x} b={b:#x}");
        }
    }
}

/// Registers, RAMs and control flow over clocks.
#[derive(LogicBlock)]
struct Clocked {
    pub clock: Clk,
    pub reset: Rst,
    pub go: I<1>,
    pub data: I<8>,
    pub sum: O<8>,
    pub state: O<2>,
    pub old: O<8>,
    pub fast: O<8>,
    pub rows: O<8>,
    st: Reg<2>,
    acc: Reg<8>,
    hist: [Reg<8>; 3],
    ram: Ram<4, 8>,
    lut: LutRam<4, 8>,
    rom: Rom<4, 8>,
}

impl Default for Clocked {
    fn default() -> Self {
        Clocked {
            clock: Default::default(),
            reset: Default::default(),
            go: Default::default(),
            data: Default::default(),
            sum: Default::default(),
            state: Default::default(),
            old: Default::default(),
            fast: Default::default(),
            rows: Default::default(),
            st: Default::default(),
            acc: Reg::new(0x5a),
            hist: Default::default(),
            ram: Ram::new(16),
            lut: LutRam::new(16),
            rom: Rom::new((0..10u64).map(|i| (i * 23).into()).collect()),
        }
    }
}

struct St;
impl St {
    const IDLE: u64 = 0;
    const ADD: u64 = 1;
    const XOR: u64 = 2;
}

#[kernel]
impl Logic for Clocked {
    fn update(&mut self) {
        memories!(self.ram, self.lut, self.rom);
        match self.st.q {
            St::IDLE => {
                if self.go {
                    self.st.d = St::ADD;
                }
            }
            St::ADD | St::XOR => {
                let add = self.st.q == St::ADD;
                self.acc.d = if add { self.acc.q + self.data } else { self.acc.q ^ self.data };
                self.st.d = if self.go { St::XOR } else { St::IDLE };
            }
            _ => self.st.d = St::IDLE,
        }
        self.hist[0].d = self.data;
        for i in 1..3 {
            if self.go {
                self.hist[i].d = self.hist[i - 1].q;
            }
        }
        let at = self.acc.q.trunc(4);
        self.ram.we = self.go;
        self.ram.waddr = at;
        self.ram.wdata = self.data;
        self.ram.raddr = self.data.bits(7, 4);
        self.lut.we = self.go;
        self.lut.waddr = at;
        self.lut.wdata = self.data;
        self.lut.raddr = self.data.bits(5, 2);
        self.rom.raddr = at;
        self.sum = self.acc.q ^ self.hist[2].q;
        self.state = self.st.q;
        self.old = self.ram.rdata;
        self.fast = self.lut.rdata;
        self.rows = self.rom.rdata;
    }
}

#[test]
fn registers_and_memories_agree_clock_by_clock() {
    let mut block = Clocked::default();
    block.connect_all();
    let design = print(&block, "clocked").unwrap();
    let mut dut = Dut::build(&source(&design), &Options::block()).unwrap();
    let mut rng = SmallRng::seed_from_u64(9);
    settle(&mut block);
    for i in 0..2000u32 {
        let (go, data, reset) = (rng.random_bool(0.6), rng.random::<u8>(), i < 2 || rng.random_bool(0.02));
        block.go.next = u64::from(go).into();
        block.data.next = u64::from(data).into();
        block.reset.next = reset;
        settle(&mut block);
        dut.set("go", u128::from(go));
        dut.set("data", u128::from(data));
        dut.set("reset", u128::from(reset));
        dut.eval();
        for clk in [true, false] {
            block.clock.next = Clock { clk };
            settle(&mut block);
        }
        dut.clock();
        let mut out = Outputs(Vec::new());
        block.accept("clocked", &mut out);
        for (name, v) in out.0 {
            if let Some(p) = design.ports.iter().find(|p| p.name == name) {
                if name == "q" || name == "rdata" {
                    continue;
                }
                assert_eq!(dut.get_words(&name), words(&v, p.width), "{name} after clock {i}");
            }
        }
    }
}

#[derive(LogicBlock, Default)]
struct Undriven {
    pub a: I<8>,
    pub x: O<8>,
    pub y: O<8>,
}

#[kernel]
impl Logic for Undriven {
    fn update(&mut self) {
        self.x = self.a;
    }
}

#[test]
fn an_output_that_nothing_drives_is_refused_by_name() {
    let e = print(&Undriven::default(), "undriven").unwrap_err();
    assert_eq!(e.to_string(), "cannot print block undriven: nothing drives `y`");
}

#[derive(LogicBlock, Default)]
struct Mixed {
    pub a: I<8>,
    pub b: I<9>,
    pub x: O<9>,
}

#[kernel]
impl Logic for Mixed {
    fn update(&mut self) {
        self.x = self.a + self.b;
    }
}

#[test]
#[should_panic(expected = "expected 8 bits, found 9 bits")]
fn mixed_widths_are_refused() {
    let _ = print(&Mixed::default(), "mixed");
}

/// Where the fields of a packed word lie: the first is the highest.
#[test]
fn a_packed_word_begins_with_its_highest_field() {
    let at = |f: azote_hdl::Field| (f.lo, f.width);
    assert_eq!((at(Packed::TOP), at(Packed::LONG), at(Packed::FLAG)), ((157, 3), (27, 130), (26, 1)));
    assert_eq!((at(Packed::LOW), Packed::WIDTH), ((0, 26), 160));
}

#[derive(LogicBlock, Default)]
struct Unfit {
    pub a: I<8>,
    pub x: O<160>,
}

#[kernel]
impl Logic for Unfit {
    fn update(&mut self) {
        self.x = Packed { top: self.a, ..0 };
    }
}

#[test]
#[should_panic(expected = "expected 3 bits, found 8 bits")]
fn a_value_that_does_not_fit_its_field_is_refused() {
    let _ = print(&Unfit::default(), "unfit");
}

#[derive(LogicBlock, Default)]
struct Keyword {
    pub a: I<8>,
    pub with: O<8>,
}

#[kernel]
impl Logic for Keyword {
    fn update(&mut self) {
        self.with = self.a;
    }
}

#[test]
fn a_word_of_verilog_is_refused() {
    let e = print(&Keyword::default(), "keyword").unwrap_err();
    assert!(e.what.contains("`with` is a word of Verilog"), "{e}");
}
