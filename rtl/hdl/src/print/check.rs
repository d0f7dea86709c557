//! Prints what a kernel says must hold, as immediate assertions.
//!
//! A synthesiser sees nothing of them (`SYNTHESIS` is defined by every one), and drops the wires that only they read. A
//! simulator tries them at every rising clock without reset; yosys, that defines `FORMAL`, proves them. An assumption is
//! one to the prover only: in simulation it is tried like the rest.

use rust_hdl::core::ast::VerilogStatement as Vs;
use std::fmt::Write;

use super::expr::Symbols;
use super::tree::Node;
use crate::domain::{ASSUME_MARK, CHECK_MARK};

/// What stands before the modules of a design with checks. Verilator hands a failure to the simulation's own shim, which
/// makes a test's failure of it; `$error` would end the whole process.
pub const PREAMBLE: &str = r#"
`ifdef FORMAL
`define CHECK(condition, text) assert (condition)
`define ASSUME(condition, text) assume (condition)
`elsif VERILATOR
import "DPI-C" function void azote_check_failed(input string what);
`define CHECK(condition, text) assert (condition) else azote_check_failed($sformatf("%m: %s", text))
`define ASSUME(condition, text) `CHECK(condition, text)
`else
`define CHECK(condition, text) assert (condition) else $error("%m: %s", text)
`define ASSUME(condition, text) `CHECK(condition, text)
`endif
"#;

/// The assertions of a kernel; empty if it has none.
pub fn checks(n: &Node, stmts: &[Vs], sy: &Symbols) -> Result<String, String> {
    let mut lines = String::new();
    for s in stmts {
        let Vs::Comment(c) = s else { continue };
        let (macro_name, rest) = match (c.strip_prefix(CHECK_MARK), c.strip_prefix(ASSUME_MARK)) {
            (Some(rest), _) => ("CHECK", rest),
            (_, Some(rest)) => ("ASSUME", rest),
            _ => continue,
        };
        let Some((wire, text)) = rest.split_once(' ') else { continue };
        let wire = sy.known.get(wire).map_or(wire, |k| &k.1);
        // The label is what a prover calls it.
        let _ = writeln!(lines, "    must_{wire}: `{macro_name}({wire}, \"{text}\");");
    }
    if lines.is_empty() {
        return Ok(lines);
    }
    for port in ["clock", "reset"] {
        if !n.ports().any(|p| p.is_input() && p.name == port) {
            return Err(format!("a check is tried at the clock and not in reset, and the block has no `{port}`"));
        }
    }
    Ok(format!("`ifndef SYNTHESIS\n  always @(posedge clock) if (!reset) begin\n{lines}  end\n`endif\n"))
}
