//! The examples of `docs/write-a-block.md`, as they stand there, compiled and run. A test compares the texts.
#![allow(missing_docs)] // examples of ports

use azote_hdl::prelude::*;
use azote_hdl::print;
use azote_regs::Field;
use azote_verilate::{Dut, Options, Port, Source};

#[derive(LogicBlock, Default)]
pub struct Meter {
    pub clock: Clk,
    pub reset: Rst,
    /// A word passes when both are set.
    pub in_valid: I<1>,
    pub in_ready: O<1>,
    pub in_data: I<32>,
    /// Words so far, and the largest.
    pub words: O<16>,
    pub largest: O<32>,
    count: Reg<16>,
    most: Reg<32>,
}

#[kernel]
impl Logic for Meter {
    fn update(&mut self) {
        let full = self.count.q.all();
        let takes = self.in_valid & !full;
        self.in_ready = !full;
        if takes {
            self.count.d = self.count.q + 1;
            self.most.d = larger(self.most.q, self.in_data);
        }
        self.words = self.count.q;
        self.largest = self.most.q;
    }
}

/// The larger of two numbers.
#[pure]
pub fn larger(a: V, b: V) -> V {
    if a < b { b } else { a }
}

fn source(design: azote_hdl::Design) -> Source {
    let port =
        |p: &azote_hdl::Port| if p.input { Port::input(&p.name, p.width) } else { Port::output(&p.name, p.width) };
    Source { ports: design.ports.iter().map(port).collect(), text: design.text, top: design.top }
}

#[test]
fn the_meter_counts_and_keeps_the_largest() {
    let design = print(&Meter::default(), "meter").unwrap();
    let mut dut = Dut::build(&source(design), &Options::block()).unwrap();
    dut.reset();
    dut.set("in_valid", 1);
    for word in [3, 9, 4] {
        dut.set("in_data", word);
        dut.clock();
    }
    dut.eval();
    assert_eq!((dut.get("words"), dut.get("largest")), (3, 9));
}

/// A field of a register, from the register crate.
const LENGTH: Field = Field::bits(9, 0);
/// A code, likewise.
const READ: u64 = 0x20;
const LOCKED_READ: u64 = 0x21;

packed! {
    /// An entry of a ring: the first field is the highest.
    pub Slot {
        valid: 1,
        owner: 7,
        /// Where it lies, in DWs.
        place: 8,
    }
}

#[derive(LogicBlock, Default)]
pub struct Ring {
    pub clock: Clk,
    pub reset: Rst,
    pub owner: I<7>,
    pub moves: I<1>,
    pub place: O<8>,
    slot: Reg<{ Slot::WIDTH }>,
}

#[kernel]
impl Logic for Ring {
    fn update(&mut self) {
        let s = self.slot.q;
        self.place = s.get(Slot::PLACE);
        if !s.get(Slot::VALID) {
            self.slot.d = Slot { valid: 1, owner: self.owner, place: 0 };
        } else if self.moves {
            self.slot.d = Slot { place: s.get(Slot::PLACE) + 1, ..s };
        } else {
            self.slot.d = s.set(Slot::OWNER, self.owner);
        }
    }
}

#[test]
fn the_ring_moves_on() {
    let design = print(&Ring::default(), "ring").unwrap();
    let mut dut = Dut::build(&source(design), &Options::block()).unwrap();
    dut.reset();
    dut.set("moves", 1);
    for _ in 0..3 {
        dut.clock();
    }
    dut.eval();
    assert_eq!(dut.get("place"), 2);
}

/// Bits in which `a` and `b` differ, of the low `n`.
#[pure]
pub fn differ(a: V, b: V, n: usize) -> V {
    let x = a ^ b;
    x.trunc(n)
}

#[derive(LogicBlock)]
pub struct Tour {
    pub clock: Clk,
    pub reset: Rst,
    pub a: I<8>,
    pub b: I<8>,
    pub header: I<32>,
    pub out: [O<16>; 4],
    pub code: O<2>,
    width: Param,
    seen: [Reg<8>; 4],
    mem: Ram<4, 8>,
    inner: Meter,
}

impl Tour {
    pub fn new(width: usize) -> Self {
        Tour {
            clock: Default::default(),
            reset: Default::default(),
            a: Default::default(),
            b: Default::default(),
            header: Default::default(),
            out: Default::default(),
            code: Default::default(),
            width: Param::new(width),
            seen: Default::default(),
            mem: Ram::new(16),
            inner: Default::default(),
        }
    }
}

#[kernel]
impl Logic for Tour {
    fn update(&mut self) {
        // Clock and reset of blocks inside; clock alone of memories.
        clocked!(self.inner);
        memories!(self.mem);

        // A wire, and a wire that is assigned again: the last assignment wins.
        let sum = self.a + self.b;
        let mut low = self.a;
        if self.b < low {
            low = self.b;
        }

        // Choice as a value; fields and constants of the register crate; plain Rust numbers.
        let length = self.header.get(LENGTH);
        let kind = self.header.bits(31, 24);
        let code = match kind {
            READ | LOCKED_READ => sized(1, 2),
            0x40 => 2,
            _ => 0,
        };
        let top: usize = self.width.get() - 1;
        let wide = if const { READ == 0x20 } { length.zext(16) } else { length.sext(16) };

        // Bits.
        self.out[0] = cat(sum, low);
        self.out[1] = wide | cat(self.a.bit(top).rep(8), self.b);
        self.out[2] =
            cat(self.a.any(), self.a.all(), self.a.parity(), sized(0, 5), self.a.slice_at(self.b.trunc(3), 8));
        self.out[3] = (self.a.sel(self.b.trunc(3)).zext(16) << 4) | differ(self.a, self.b, { 4 }).resize(16);
        self.code = code;

        // Registers keep their value unless `d` is assigned. A loop writes its body out.
        self.seen[0].d = self.a;
        for i in 1..4 {
            self.seen[i].d = self.seen[i - 1].q;
        }

        self.mem.we = sum != konst(self.width.get());
        self.mem.waddr = self.a.trunc(4);
        self.mem.wdata = self.seen[3].q;
        self.mem.raddr = self.b.trunc(4);
        self.inner.in_valid = self.mem.rdata.any();
        self.inner.in_data = cat(self.mem.rdata, self.seen[3].q, sized(0, 16));
    }
}

#[test]
fn everything_that_the_tour_shows_prints_and_passes_the_gates() {
    let design = print(&Tour::new(8), "tour").unwrap();
    let mut dut = Dut::build(&source(design), &Options::block()).unwrap();
    dut.reset();
    for (port, value) in [("a", 0x81), ("b", 0x03), ("header", 0x2100_0155)] {
        dut.set(port, value);
    }
    dut.eval();
    assert_eq!(dut.get("out_0"), 0x8403);
    assert_eq!(dut.get("out_1"), 0x0155 | 0xff03);
    assert_eq!(dut.get("out_2"), 0b100 << 13 | 0x10);
    assert_eq!(dut.get("out_3"), 0x2);
    assert_eq!(dut.get("code"), 1);
}

/// A request and its answer, at the side that asks.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "Answers"]
pub struct Asks {
    pub valid: O<1>,
    pub number: O<8>,
    pub answer: I<8>,
}

/// The same at the side that answers.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "Asks"]
pub struct Answers {
    pub valid: I<1>,
    pub number: I<8>,
    pub answer: O<8>,
}

#[derive(LogicBlock, Default)]
pub struct Asker {
    pub ask: Asks,
    pub out: O<8>,
}

#[kernel]
impl Logic for Asker {
    fn update(&mut self) {
        self.ask.valid = 1;
        self.ask.number = 5;
        self.out = self.ask.answer;
    }
}

#[derive(LogicBlock, Default)]
pub struct Doubler {
    pub port: Answers,
}

#[kernel]
impl Logic for Doubler {
    fn update(&mut self) {
        self.port.answer = if self.port.valid { self.port.number << 1 } else { 0 };
    }
}

#[derive(LogicBlock, Default)]
pub struct Pair {
    pub out: O<8>,
    asker: Asker,
    outer: Outer,
}

#[kernel]
impl Logic for Pair {
    fn update(&mut self) {
        join!(self.asker.ask, self.outer.port);
        self.out = self.asker.out;
    }
}

#[derive(LogicBlock, Default)]
pub struct Outer {
    pub port: Answers,
    inner: Doubler,
}

#[kernel]
impl Logic for Outer {
    fn update(&mut self) {
        link!(self.port, self.inner.port);
    }
}

#[test]
fn interfaces_are_joined_and_linked() {
    let design = print(&Pair::default(), "pair").unwrap();
    let mut dut = Dut::build(&source(design), &Options::block()).unwrap();
    dut.eval();
    assert_eq!(dut.get("out"), 10);
}

const PAGE: &str = include_str!("../../../docs/write-a-block.md");

/// Every block of code in the guide that is marked `rust` stands in this file.
#[test]
fn the_guide_shows_what_is_compiled_here() {
    let here = include_str!("guide.rs");
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let here = squeeze(here);
    let mut blocks = 0;
    for block in PAGE.split("```rust\n").skip(1) {
        let code = squeeze(block.split("```").next().unwrap());
        assert!(here.contains(&code), "not in this file:\n{code}");
        blocks += 1;
    }
    assert!(blocks >= 6, "only {blocks} blocks");
}

/// The Verilog that the guide shows is what the printer makes.
#[test]
fn the_guide_shows_the_verilog_that_is_printed() {
    let shown = PAGE.split("```verilog\n").nth(1).unwrap().split("```").next().unwrap();
    let printed = print(&Meter::default(), "meter").unwrap().text;
    assert!(printed.contains(shown.trim_end()), "{printed}");
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

/// An error of widths names the line of the kernel.
#[test]
fn an_error_of_widths_names_its_line() {
    let told = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let keep = told.clone();
    let before = std::panic::take_hook();
    let thread = std::thread::current().id();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == thread {
            *keep.lock().unwrap() = info.to_string();
        }
    }));
    let failed = std::panic::catch_unwind(|| print(&Mixed::default(), "mixed"));
    std::panic::set_hook(before);
    assert!(failed.is_err());
    let line = include_str!("guide.rs").lines().position(|l| l.contains("self.x = self.a + self.b")).unwrap() + 1;
    let told = told.lock().unwrap();
    assert!(told.contains(&format!("guide.rs:{line}:")) && told.contains("expected 8 bits, found 9 bits"), "{told}");
}
