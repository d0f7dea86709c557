//! Prints modules: ports, wires, registers, instances and the processes of the kernel.

use rust_hdl::core::ast::Verilog;
use rust_hdl::core::atom::AtomKind;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use super::expr::Symbols;
use super::stmt::{S, lower, verilog_name, wires};
use super::tree::{Leaf, Node};
use super::{PrintError, check as checks, split};
use crate::domain::STATES_MARK;

/// Prints modules once each and keeps them.
#[derive(Default)]
pub struct Printer {
    modules: Vec<(String, String)>,
    by_text: HashMap<String, String>,
    used: BTreeSet<String>,
    cores: BTreeSet<String>,
    /// Of inner modules' names.
    prefix: Option<String>,
}

/// The words of SystemVerilog (IEEE 1800-2017, Annex B), and those of C++ that Verilator has made trouble with.
const RESERVED: &[&str] = &[
    "abort",
    "accept_on",
    "alias",
    "always",
    "always_comb",
    "always_ff",
    "always_latch",
    "and",
    "assert",
    "assign",
    "assume",
    "auto",
    "automatic",
    "before",
    "begin",
    "bind",
    "bins",
    "binsof",
    "bit",
    "bool",
    "break",
    "buf",
    "bufif0",
    "bufif1",
    "byte",
    "case",
    "casex",
    "casez",
    "catch",
    "cell",
    "chandle",
    "char",
    "checker",
    "class",
    "clocking",
    "cmos",
    "config",
    "const",
    "constraint",
    "context",
    "continue",
    "cover",
    "covergroup",
    "coverpoint",
    "cross",
    "deassign",
    "default",
    "defparam",
    "delete",
    "design",
    "disable",
    "dist",
    "do",
    "double",
    "edge",
    "else",
    "end",
    "endcase",
    "endchecker",
    "endclass",
    "endclocking",
    "endconfig",
    "endfunction",
    "endgenerate",
    "endgroup",
    "endinterface",
    "endmodule",
    "endpackage",
    "endprimitive",
    "endprogram",
    "endproperty",
    "endsequence",
    "endspecify",
    "endtable",
    "endtask",
    "enum",
    "event",
    "eventually",
    "expect",
    "explicit",
    "export",
    "extends",
    "extern",
    "false",
    "final",
    "first_match",
    "float",
    "for",
    "force",
    "foreach",
    "forever",
    "fork",
    "forkjoin",
    "friend",
    "function",
    "generate",
    "genvar",
    "global",
    "goto",
    "highz0",
    "highz1",
    "if",
    "iff",
    "ifnone",
    "ignore_bins",
    "illegal_bins",
    "implements",
    "implies",
    "import",
    "incdir",
    "include",
    "initial",
    "inline",
    "inout",
    "input",
    "inside",
    "instance",
    "int",
    "integer",
    "interconnect",
    "interface",
    "intersect",
    "join",
    "join_any",
    "join_none",
    "large",
    "let",
    "liblist",
    "library",
    "local",
    "localparam",
    "logic",
    "long",
    "longint",
    "macromodule",
    "matches",
    "medium",
    "modport",
    "module",
    "mutable",
    "namespace",
    "nand",
    "negedge",
    "nettype",
    "new",
    "nexttime",
    "nmos",
    "nor",
    "noshowcancelled",
    "not",
    "notif0",
    "notif1",
    "null",
    "operator",
    "or",
    "output",
    "package",
    "packed",
    "parameter",
    "pmos",
    "posedge",
    "primitive",
    "priority",
    "private",
    "program",
    "property",
    "protected",
    "public",
    "pull0",
    "pull1",
    "pulldown",
    "pullup",
    "pulsestyle_ondetect",
    "pulsestyle_onevent",
    "pure",
    "rand",
    "randc",
    "randcase",
    "randsequence",
    "rcmos",
    "real",
    "realtime",
    "ref",
    "reg",
    "reject_on",
    "release",
    "repeat",
    "restrict",
    "return",
    "rnmos",
    "rpmos",
    "rtran",
    "rtranif0",
    "rtranif1",
    "s_always",
    "s_eventually",
    "s_nexttime",
    "s_until",
    "s_until_with",
    "scalared",
    "sequence",
    "short",
    "shortint",
    "shortreal",
    "showcancelled",
    "signed",
    "sizeof",
    "small",
    "soft",
    "solve",
    "specify",
    "specparam",
    "static",
    "string",
    "strong",
    "strong0",
    "strong1",
    "struct",
    "super",
    "supply0",
    "supply1",
    "switch",
    "sync_accept_on",
    "sync_reject_on",
    "table",
    "tagged",
    "task",
    "template",
    "this",
    "throughout",
    "throw",
    "time",
    "timeprecision",
    "timeunit",
    "tran",
    "tranif0",
    "tranif1",
    "tri",
    "tri0",
    "tri1",
    "triand",
    "trior",
    "trireg",
    "true",
    "try",
    "type",
    "typedef",
    "typename",
    "union",
    "unique",
    "unique0",
    "unsigned",
    "until",
    "until_with",
    "untyped",
    "use",
    "using",
    "uwire",
    "var",
    "vectored",
    "virtual",
    "void",
    "volatile",
    "wait",
    "wait_order",
    "wand",
    "weak",
    "weak0",
    "weak1",
    "while",
    "wildcard",
    "wire",
    "with",
    "within",
    "wor",
    "xnor",
    "xor",
];

fn range(w: usize) -> String {
    if w == 1 { String::new() } else { format!("[{}:0] ", w - 1) }
}

impl Printer {
    /// One whose inner modules' names begin so.
    pub fn with_prefix(prefix: &str) -> Self {
        Printer { prefix: Some(prefix.to_string()), ..Self::default() }
    }

    /// All modules.
    pub fn text(&self) -> String {
        let mut s = String::from("`default_nettype none\n");
        if self.modules.iter().any(|(_, body)| body.contains("`CHECK(") || body.contains("`ASSUME(")) {
            s.push_str(checks::PREAMBLE);
        }
        for (name, body) in &self.modules {
            let _ = write!(s, "\nmodule {name}{body}");
        }
        for c in &self.cores {
            s.push_str(c);
        }
        s
    }

    /// Prints `n` unless an equal module exists; returns the module's name.
    pub fn module(&mut self, n: &Node, path: &str, fixed: Option<&str>) -> Result<String, PrintError> {
        let fail = |what: String| PrintError { path: path.into(), what };
        let mut kinds = Vec::new();
        for k in &n.kids {
            kinds.push(match k.is_register() {
                true => String::new(),
                false => self.module(k, &format!("{path}.{}", k.name), None)?,
            });
        }
        let custom = matches!(n.code, Verilog::Custom(_));
        let ports: Vec<String> = n
            .ports()
            .map(|a| {
                let dir = match (a.is_input(), custom) {
                    (true, _) => "input wire ",
                    (false, true) => "output reg ",
                    (false, false) => "output logic ",
                };
                format!("  {dir}{}{}", range(a.width), verilog_name(&a.name))
            })
            .collect();
        let mut b = format!("(\n{}\n);\n", ports.join(",\n"));
        for a in n.leaves.iter().filter(|a| a.kind == AtomKind::Constant) {
            let _ = writeln!(b, "  localparam {}{} = {}'h{};", range(a.width), verilog_name(&a.name), a.width, a.hex);
        }
        match &n.code {
            Verilog::Custom(c) => {
                b.push_str(c);
                b.push('\n');
            }
            Verilog::Wrapper(w) => {
                b.push_str(&w.code);
                b.push('\n');
                self.cores.insert(w.cores.clone());
            }
            Verilog::Blackbox(_) => return Err(fail("a black box: use Verilog::Wrapper".into())),
            Verilog::Empty => b.push_str(&kernel(n, &kinds, &[]).map_err(fail)?),
            Verilog::Combinatorial(stmts) => b.push_str(&kernel(n, &kinds, stmts).map_err(fail)?),
        }
        b.push_str("endmodule\n");
        if let (Some(m), None) = (self.by_text.get(&b), fixed) {
            return Ok(m.clone());
        }
        let base = fixed.map_or_else(
            || {
                let name = n.type_name().unwrap_or_else(|| verilog_name(&n.name));
                self.prefix.as_ref().map_or(name.clone(), |prefix| prefixed(prefix, &name))
            },
            str::to_string,
        );
        let mut name = base.clone();
        let mut i = 1;
        while !self.used.insert(name.clone()) {
            i += 1;
            name = format!("{base}_{i}");
        }
        self.by_text.insert(b.clone(), name.clone());
        self.modules.push((name.clone(), b));
        Ok(name)
    }
}

/// The name of an inner module, `lut_ram` of `LutRam`, behind the prefix.
fn prefixed(prefix: &str, name: &str) -> String {
    let mut out = String::from(prefix);
    for (i, c) in name.chars().enumerate() {
        if i == 0 || c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// The body of a module that has a kernel.
fn kernel(n: &Node, kinds: &[String], stmts: &[rust_hdl::core::ast::VerilogStatement]) -> Result<String, String> {
    let mut taken = BTreeSet::new();
    let mut sy = Symbols { known: HashMap::new() };
    let mut add = |name: String, leaf: &Leaf| -> Result<(), String> {
        let v = verilog_name(&name);
        if RESERVED.contains(&v.as_str()) {
            return Err(format!("`{v}` is a word of Verilog; rename the field"));
        }
        if !taken.insert(v.clone()) {
            return Err(format!("two signals become `{v}` in Verilog; rename one"));
        }
        sy.known.insert(name, (leaf.width, v));
        Ok(())
    };
    for a in &n.leaves {
        add(a.name.clone(), a)?;
    }
    for k in &n.kids {
        for a in k.ports() {
            add(format!("{}${}", k.name, a.name), a)?;
        }
    }
    taken.extend(RESERVED.iter().map(ToString::to_string));
    let lets = wires(stmts, &mut sy, &mut taken)?;
    let mut body = lower(stmts, &sy)?;
    let alias = take_clocks(n, &mut body);
    check(n, &body, &alias)?;

    let mut b = String::new();
    for a in n.leaves.iter().filter(|a| a.kind == AtomKind::LocalSignal) {
        let _ = writeln!(b, "  logic {}{};", range(a.width), verilog_name(&a.name));
    }
    for (name, w) in &lets {
        let _ = writeln!(b, "  logic {}{};", range(*w), sy.known[name].1);
    }
    for (k, kind) in n.kids.iter().zip(kinds) {
        instance(k, kind, &alias, &mut b);
    }
    let register_inputs =
        n.kids.iter().filter(|k| k.is_register()).map(|k| format!("{}$d", k.name)).collect::<BTreeSet<_>>();
    b.push_str(&split::processes(&body, &sy, &register_inputs));
    b.push_str(&checks::checks(n, stmts, &sy)?);
    b.push_str(&states(stmts, &sy));
    Ok(b)
}

/// What the values of registers are called, a comment each: `// st_q[4:0]: IDLE=0 GO=1`. A simulation with waves makes names of
/// it (`azote-verilate`).
fn states(stmts: &[rust_hdl::core::ast::VerilogStatement], sy: &Symbols) -> String {
    let mut lines = String::new();
    for s in stmts {
        if let rust_hdl::core::ast::VerilogStatement::Comment(c) = s
            && let Some((register, names)) = c.strip_prefix(STATES_MARK).and_then(|rest| rest.split_once(' '))
            && let Some((width, name)) = sy.known.get(&format!("{register}$q"))
        {
            let _ = writeln!(lines, "  // {name}[{}:0]: {names}", width - 1);
        }
    }
    lines
}

/// Clocks and resets of inner blocks become direct connections: a clock never passes through a process.
fn take_clocks(n: &Node, body: &mut Vec<S>) -> HashMap<String, String> {
    let wanted: BTreeSet<String> = n
        .kids
        .iter()
        .flat_map(|k| {
            let is_clock = |name: &str| name == "clock" || name == "reset" || name.ends_with("_clock");
            let ports = k.ports().filter(move |a| a.is_input() && is_clock(&a.name));
            ports.map(move |a| format!("{}${}", k.name, a.name))
        })
        .collect();
    let mut alias = HashMap::new();
    body.retain(|s| match s {
        S::Assign { target, copy: Some(from), .. } if wanted.contains(target) => {
            alias.insert(target.clone(), verilog_name(from));
            false
        }
        _ => true,
    });
    alias
}

/// Everything that must be driven is; nothing is driven or read that must not be.
fn check(n: &Node, body: &[S], alias: &HashMap<String, String>) -> Result<(), String> {
    let mut driven = BTreeSet::new();
    let mut read = BTreeSet::new();
    for s in body {
        s.targets(&mut driven);
        let mut t = BTreeSet::new();
        s.targets(&mut t);
        s.reads_for(&t, &mut read);
    }
    for a in &n.leaves {
        let is = driven.contains(&a.name);
        match a.kind {
            AtomKind::InputParameter if is => return Err(format!("the input `{}` is assigned", a.name)),
            AtomKind::OutputParameter | AtomKind::LocalSignal if !is => {
                return Err(format!("nothing drives `{}`", a.name));
            }
            _ => {}
        }
    }
    for k in &n.kids {
        for a in k.ports() {
            let name = format!("{}${}", k.name, a.name);
            match (a.is_input(), driven.contains(&name) || alias.contains_key(&name)) {
                (true, false) => return Err(format!("nothing drives `{name}`")),
                (false, true) => return Err(format!("`{name}` is an output of the inner block and is assigned")),
                _ => {}
            }
            if a.is_input() && read.contains(&name) {
                return Err(format!("`{name}` is an input of the inner block; read the wire that drives it"));
            }
        }
    }
    Ok(())
}

fn instance(k: &Node, kind: &str, alias: &HashMap<String, String>, b: &mut String) {
    let wire = |port: &str| {
        let name = format!("{}${port}", k.name);
        alias.get(&name).cloned().unwrap_or_else(|| verilog_name(&name))
    };
    for a in k.ports().filter(|a| !alias.contains_key(&format!("{}${}", k.name, a.name))) {
        let _ = writeln!(b, "  logic {}{};", range(a.width), wire(&a.name));
    }
    if k.is_register() {
        let w = k.leaves.iter().find(|a| a.name == "q").map_or(1, |a| a.width);
        let (init, q, d) = (format!("{w}'h{}", k.init()), wire("q"), wire("d"));
        let _ = writeln!(b, "  initial {q} = {init};");
        let _ =
            writeln!(b, "  always @(posedge {}) if ({}) {q} <= {init}; else {q} <= {d};", wire("clock"), wire("reset"));
        return;
    }
    let pins: Vec<String> = k.ports().map(|a| format!(".{}({})", verilog_name(&a.name), wire(&a.name))).collect();
    let _ = writeln!(b, "  {kind} u_{} ({});", verilog_name(&k.name), pins.join(", "));
}
