//! Small hand-written models through the whole path, and each gate violated once.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use azote_verilate::{Dut, Error, Options, Port, Source, lint};

fn source(top: &str, text: &str, ports: Vec<Port>) -> Source {
    Source { text: text.into(), top: top.into(), ports }
}

fn counter() -> Source {
    let text = "
module counter(input wire clock, input wire reset, input wire enable, input wire [7:0] step,
               output reg [7:0] count, output wire [7:0] next);
  assign next = count + step;
  always_ff @(posedge clock) if (reset) count <= 8'd0; else if (enable) count <= next;
endmodule";
    let ports = vec![
        Port::input("clock", 1),
        Port::input("reset", 1),
        Port::input("enable", 1),
        Port::input("step", 8),
        Port::output("count", 8),
        Port::output("next", 8),
    ];
    source("counter", text, ports)
}

#[test]
fn a_counter_counts_and_inputs_settle_before_the_edge() {
    let mut dut = Dut::build(&counter(), &Options::block()).unwrap();
    dut.reset();
    assert_eq!(dut.get("count"), 0);
    dut.set("enable", 1);
    dut.set("step", 3);
    // No eval between: `next` must still have settled when the edge takes it.
    dut.clock();
    assert_eq!(dut.get("count"), 3);
    dut.set("step", 1);
    dut.clock_n(10);
    assert_eq!(dut.get("count"), 13);
    dut.set("step", 100);
    dut.eval();
    assert_eq!(dut.get("next"), 113);
    assert_eq!(dut.clocks(), 13);
}

#[test]
fn two_instances_are_apart_and_move_between_threads() {
    let mut a = Dut::build(&counter(), &Options::block()).unwrap();
    let mut b = Dut::build(&counter(), &Options::block()).unwrap();
    for dut in [&mut a, &mut b] {
        dut.reset();
        dut.set("step", 1);
    }
    a.set("enable", 1);
    let a = std::thread::spawn(move || {
        a.clock_n(5);
        a
    });
    b.clock_n(5);
    assert_eq!(a.join().unwrap().get("count"), 5);
    assert_eq!(b.get("count"), 0);
}

#[test]
fn ports_of_every_width_keep_every_bit() {
    let widths = [1usize, 7, 8, 16, 31, 32, 33, 64, 65, 127, 128, 200];
    let mut text = String::from("module wide(input wire clock");
    let mut ports = vec![Port::input("clock", 1)];
    let mut body = String::new();
    for w in widths {
        text += &format!(", input wire [{0}:0] a__{w}, output wire [{0}:0] q{w}", w - 1);
        body += &format!("  assign q{w} = ~a__{w};\n");
        ports.push(Port::input(format!("a__{w}"), w));
        ports.push(Port::output(format!("q{w}"), w));
    }
    let text = format!("{text});\n{body}endmodule\n");
    let mut dut = Dut::build(&source("wide", &text, ports), &Options::block()).unwrap();
    for w in widths.into_iter().filter(|w| *w <= 128) {
        let mask = u128::MAX >> (128 - w);
        let value = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3211 & mask;
        dut.set(&format!("a__{w}"), value);
        dut.eval();
        assert_eq!(dut.get(&format!("q{w}")), !value & mask, "{w} bits");
    }
    dut.set_words("a__200", &[1, 2, 3, 4, 5, 6, 0x87]);
    dut.eval();
    assert_eq!(dut.get_words("q200"), [!1, !2, !3, !4, !5, !6, 0x78]);
}

#[test]
#[should_panic(expected = "counter: no port `cuont`; it has clock, reset")]
fn an_unknown_port_is_named_with_those_there_are() {
    Dut::build(&counter(), &Options::block()).unwrap().get("cuont");
}

#[test]
#[should_panic(expected = "counter.step: 0x100 does not fit its 8 bits")]
fn a_value_too_wide_is_refused() {
    Dut::build(&counter(), &Options::block()).unwrap().set("step", 0x100);
}

#[test]
fn waves_are_written_and_refused_without_the_option() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("counter.fst");
    let mut dut = Dut::build(&counter(), &Options::block().with_trace(true)).unwrap();
    dut.trace(&path).unwrap();
    dut.reset();
    dut.clock_n(20);
    dut.trace_end().unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() > 100);
    let missing = dut.trace(folder.path().join("no/such/folder.fst")).unwrap_err().to_string();
    assert!(missing.contains("does its folder exist"), "{missing}");
    let error = Dut::build(&counter(), &Options::block()).unwrap().trace(&path).unwrap_err().to_string();
    assert!(error.contains("built without waves"), "{error}");
}

#[test]
fn a_bad_port_list_is_refused_before_anything_runs() {
    for (ports, reason) in [
        (vec![Port::input("a$b", 1)], "rename it"),
        (vec![Port::input("a", 0)], "width is 0"),
        (vec![Port::input("a", 1), Port::output("a", 1)], "listed twice"),
    ] {
        let error = Dut::build(&source("bad", "", ports), &Options::block()).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn unset_registers_start_at_random_values_of_the_seed() {
    let text = "module unset(input wire clock, input wire load, input wire [63:0] d, output reg [63:0] q);
  always_ff @(posedge clock) if (load) q <= d;
endmodule";
    let ports = vec![Port::input("clock", 1), Port::input("load", 1), Port::input("d", 64), Port::output("q", 64)];
    let source = source("unset", text, ports);
    let start = |seed| Dut::build(&source, &Options { random_init: seed, ..Options::block() }).unwrap().get("q");
    assert_eq!(start(None), 0);
    assert_eq!(start(Some(7)), start(Some(7)));
    assert_ne!(start(Some(7)), start(Some(8)));
}

/// Each text violates one gate; the message names the gate and shows the line.
#[test]
fn every_gate_refuses_its_violation() {
    let cases = [
        ("WIDTH", "module g(input wire [7:0] a, output wire [3:0] q); assign q = a; endmodule", "assign q = a"),
        (
            "LATCH",
            "module g(input wire a, input wire b, output reg q); always_comb if (a) q = b; endmodule",
            "always_comb if (a)",
        ),
        (
            "UNOPTFLAT",
            "module g(input wire a, output wire q); wire x; wire y; assign x = y ^ a; assign y = x & a; assign q = y; endmodule",
            "wire x",
        ),
        (
            "MULTIDRIVEN",
            "module g(input wire c, input wire d, input wire a, output reg q);
always @(posedge c) q <= a;
always @(posedge d) q <= ~a;
endmodule",
            "q <= a",
        ),
        (
            "CASEINCOMPLETE",
            "module g(input wire [1:0] a, output reg q);
always_comb begin q = 1'b0; case (a) 2'd0: q = 1'b1; 2'd1: q = 1'b0; endcase end
endmodule",
            "case (a)",
        ),
        ("UNDRIVEN", "module g(input wire a, output wire q); wire x; assign q = x & a; endmodule", "wire x"),
        (
            "COMBDLY",
            "module g(input wire a, output reg q);
always @(*) q <= a;
endmodule",
            "q <= a",
        ),
        (
            "BLKSEQ",
            "module g(input wire c, input wire a, output reg q);
always @(posedge c) q = a;
endmodule",
            "q = a",
        ),
        ("IMPLICIT", "module g(input wire a, output wire q); assign nobody = a; assign q = a; endmodule", "nobody"),
    ];
    for (gate, text, shown) in cases {
        match lint(&source("g", text, vec![])) {
            Err(Error::Gate { report, count, .. }) => {
                assert!(report.contains(gate), "{gate} not in:\n{report}");
                assert!(report.contains(shown), "{gate}: line not shown in:\n{report}");
                assert!(!report.contains("lint_off"), "{report}");
                assert!(count >= 1);
            }
            other => panic!("{gate}: expected a violation, got {other:?}"),
        }
    }
    lint(&counter()).unwrap();
}

#[test]
fn text_that_does_not_parse_shows_its_line() {
    let error = lint(&source("g", "module g(input wire a);\n  assign b = ;\nendmodule", vec![])).unwrap_err();
    assert!(error.to_string().contains("g.v:2:"), "{error}");
}

#[test]
fn a_kept_model_that_is_damaged_is_made_anew_before_anybody_has_it() {
    let text = "module hurt(input clock, output q);\n  assign q = clock;\nendmodule\n";
    let source = source("hurt", text, vec![Port::input("clock", 1), Port::output("q", 1)]);
    let library = || azote_verilate::build_library(&source, &Options::block(), azote_verilate::Shim::Generic).unwrap();
    let path = library();
    let whole = std::fs::metadata(&path).unwrap().len();
    for len in [0, whole / 2, whole - 1] {
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len).unwrap();
        assert_eq!(library(), path);
        azote_verilate::Facts::read(&path).unwrap();
    }
    std::fs::remove_file(&path).unwrap();
    Dut::build(&source, &Options::block()).unwrap();
}

#[test]
fn a_make_that_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let made = azote_verilate::cache::once(folder.path(), "kept", |work| {
        std::fs::write(work.join("half"), "half").unwrap();
        Err::<(), _>(azote_verilate::Error::ToolMissing { tool: "verilator" })
    });
    assert!(made.is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no lock, no work");
}
