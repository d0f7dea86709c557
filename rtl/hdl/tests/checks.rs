//! Checks: printed once for the simulator, the prover and the synthesiser; a failure is a test's failure with its place.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use azote_hdl::prelude::*;
use azote_hdl::{Design, print};
use azote_verilate::{Dut, Options, Port, Source};

/// Counts up to a limit, and promises never to be beyond it, which is only true of a limit that is kept outside.
#[derive(LogicBlock, Default)]
struct Counter {
    pub clock: Clk,
    pub reset: Rst,
    pub step: I<4>,
    pub out: O<8>,
    count: Reg<8>,
}

#[kernel]
impl Logic for Counter {
    fn update(&mut self) {
        self.count.d = self.count.q + self.step.zext(8);
        self.out = self.count.q;
        check!(self.count.q < 100, "rule 7: the count stays below 100");
        match self.step {
            3 => check!(self.count.q != 9, "3 is not added to 9"),
            _ => {}
        }
        assume!(self.step != 15, "nobody steps by 15");
    }
}

#[derive(LogicBlock, Default)]
struct Outer {
    pub clock: Clk,
    pub reset: Rst,
    pub step: I<4>,
    pub out: O<8>,
    inner: Counter,
}

#[kernel]
impl Logic for Outer {
    fn update(&mut self) {
        clocked!(self.inner);
        self.inner.step = self.step;
        self.out = self.inner.out;
    }
}

fn design() -> Design {
    print(&Outer::default(), "outer").unwrap()
}

fn dut() -> Dut {
    let d = design();
    let port =
        |p: &azote_hdl::Port| if p.input { Port::input(&p.name, p.width) } else { Port::output(&p.name, p.width) };
    let source = Source { ports: d.ports.iter().map(port).collect(), text: d.text, top: d.top };
    let mut dut = Dut::build(&source, &Options::block()).unwrap();
    dut.reset();
    dut
}

#[test]
fn a_check_is_printed_where_a_synthesiser_does_not_look() {
    let text = design().text;
    let want = "`ifndef SYNTHESIS
  always @(posedge clock) if (!reset) begin
    must_check_1: `CHECK(check_1, \"rule 7: the count stays below 100\");
    must_check_2: `CHECK(check_2, \"3 is not added to 9\");
    must_check_3: `ASSUME(check_3, \"nobody steps by 15\");
  end
`endif
";
    assert!(text.contains(want), "{text}");
    assert_eq!(text.matches("`define CHECK(").count(), 3, "once, for each kind of reader");
}

#[test]
#[should_panic(expected = "outer.u_inner.must_check_1: rule 7: the count stays below 100")]
fn a_broken_check_ends_the_bench_with_its_place() {
    let mut dut = dut();
    dut.set("step", 10);
    dut.clock_n(10);
    dut.clock();
}

#[test]
#[should_panic(expected = "outer.u_inner.must_check_3: nobody steps by 15")]
fn an_assumption_is_a_check_in_simulation() {
    let mut dut = dut();
    dut.set("step", 15);
    dut.clock();
}

#[test]
#[should_panic(expected = "3 is not added to 9")]
fn a_check_in_a_branch_is_tried_there() {
    let mut dut = dut();
    dut.set("step", 9);
    dut.clock();
    dut.set("step", 3);
    dut.clock();
}

#[test]
fn what_holds_is_not_heard_of_and_reset_is_not_looked_at() {
    let mut dut = dut();
    dut.set("step", 9);
    dut.clock_n(11);
    assert_eq!(dut.get("out"), 99);
    dut.set("reset", 1);
    dut.set("step", 15);
    dut.clock_n(3);
    assert_eq!(dut.get("out"), 0);
    dut.set("reset", 0);
    dut.set("step", 0);
    dut.clock_n(3);
}

/// A check without a clock cannot be tried.
#[derive(LogicBlock, Default)]
struct Timeless {
    pub a: I<1>,
    pub b: O<1>,
}

#[kernel]
impl Logic for Timeless {
    fn update(&mut self) {
        self.b = self.a;
        check!(self.a, "a");
    }
}

#[test]
fn a_check_without_a_clock_is_refused() {
    let e = print(&Timeless::default(), "timeless").unwrap_err();
    assert!(e.what.contains("the block has no `clock`"), "{e}");
}
