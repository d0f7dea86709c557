//! The primitives in Verilator, each against a plain array: what a read returns in the clock of a write, what lies beyond
//! the depth, and what reset does and does not touch.
#![allow(clippy::unwrap_used)] // a bench that cannot go on has failed

use azote_hdl::BigUint;
use azote_hdl::prelude::*;
use azote_verilate::{Dut, Options, Port, Source};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Words, as they are asked for and as they are: a power of two.
const ASKED: usize = 13;
const DEPTH: usize = 16;

fn build<B: Block>(block: &B, name: &str) -> Dut {
    let design = azote_hdl::print(block, name).unwrap();
    let port =
        |p: &azote_hdl::Port| if p.input { Port::input(&p.name, p.width) } else { Port::output(&p.name, p.width) };
    let ports = design.ports.iter().map(port).collect();
    Dut::build(&Source { text: design.text, top: design.top, ports }, &Options::block()).unwrap()
}

/// Random accesses; `at_once` says that the read answers in its own clock.
fn exercise(mut dut: Dut, at_once: bool) {
    let mut rng = SmallRng::seed_from_u64(1);
    let mut words = [0u128; DEPTH];
    for _ in 0..4000 {
        let (we, waddr, raddr): (bool, usize, usize) =
            (rng.random(), rng.random_range(0..DEPTH), rng.random_range(0..DEPTH));
        let raddr = if rng.random_ratio(1, 3) { waddr } else { raddr };
        let wdata: u128 = rng.random_range(0..1 << 24);
        for (port, v) in [("we", we.into()), ("waddr", waddr as u128), ("wdata", wdata), ("raddr", raddr as u128)] {
            dut.set(port, v);
        }
        dut.eval();
        let old = words[raddr];
        if at_once {
            assert_eq!(dut.get("rdata"), old, "the word at once");
        }
        dut.clock();
        if !at_once {
            let collides = we && waddr == raddr;
            assert_eq!(dut.get("rdata"), if collides { !old & 0xff_ffff } else { old }, "a clock later");
        }
        if we {
            words[waddr] = wdata;
        }
    }
}

#[test]
fn ram_reads_a_clock_later_and_nothing_of_use_where_it_is_written() {
    exercise(build(&Ram::<4, 24>::new(ASKED), "ram"), false);
}

#[test]
fn lut_ram_reads_in_the_same_clock() {
    exercise(build(&LutRam::<4, 24>::new(ASKED), "lut_ram"), true);
}

/// A memory of eight words behind four bits of address, with its own word for what is wrong.
fn behind_the_end<B: Block>(block: &B, name: &str) {
    let mut dut = build(block, name);
    dut.set("we", 1);
    dut.set("waddr", 7);
    dut.clock();
    dut.set("waddr", 8);
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| dut.clock()));
    let what = *failed.unwrap_err().downcast::<String>().unwrap();
    assert!(what.contains("behind the end of a memory"), "{what}");
}

#[test]
fn a_write_behind_the_end_fails_the_simulation() {
    behind_the_end(&Ram::<4, 24>::new(7), "short_ram");
    behind_the_end(&LutRam::<4, 24>::new(7), "short_lut_ram");
}

#[test]
fn rom_holds_its_words_and_zero_beyond() {
    let words: Vec<u64> = (0..11).map(|i| i * 0x1_2345 + 7).collect();
    let mut dut = build(&Rom::<4, 24>::new(words.iter().map(|w| BigUint::from(*w).into()).collect()), "rom");
    for at in 0..16usize {
        dut.set("raddr", at as u128);
        dut.clock();
        assert_eq!(dut.get("rdata"), words.get(at).copied().unwrap_or(0).into());
    }
}

/// A register and a memory side by side.
#[derive(LogicBlock)]
struct Kept {
    clock: Clk,
    reset: Rst,
    go: I<1>,
    data: I<8>,
    held: O<8>,
    memory: O<8>,
    r: Reg<8>,
    m: LutRam<1, 8>,
}

#[kernel]
impl Logic for Kept {
    fn update(&mut self) {
        memories!(self.m);
        if self.go {
            self.r.d = self.data;
        }
        self.m.we = self.go;
        self.m.waddr = 0;
        self.m.wdata = self.data;
        self.m.raddr = 0;
        self.held = self.r.q;
        self.memory = self.m.rdata;
    }
}

#[test]
fn a_register_wakes_and_resets_to_its_value_and_a_memory_is_left_alone() {
    let block = Kept {
        clock: Default::default(),
        reset: Default::default(),
        go: Default::default(),
        data: Default::default(),
        held: Default::default(),
        memory: Default::default(),
        r: Reg::new(0x5a),
        m: LutRam::new(2),
    };
    let mut dut = build(&block, "kept");
    assert_eq!((dut.get("held"), dut.get("memory")), (0x5a, 0), "at power-on");
    dut.set("go", 1);
    dut.set("data", 0x33);
    dut.clock();
    dut.set("go", 0);
    dut.set("data", 0x44);
    dut.clock_n(3);
    assert_eq!((dut.get("held"), dut.get("memory")), (0x33, 0x33), "held");
    dut.reset();
    assert_eq!((dut.get("held"), dut.get("memory")), (0x5a, 0x33));
}
