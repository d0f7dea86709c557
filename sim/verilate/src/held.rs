//! Inputs that hold still: behind a register each, which a clock of their own loads.
//!
//! Verilator settles what follows from a port at the beginning of every evaluation, whether the port has changed or not, and
//! once more after the clock's edge, where the registers have changed. What follows from a register is evaluated when that
//! register or another changes, once. So a model whose inputs come together with the edge before them needs one evaluation a
//! clock, and none of it is thrown away. What the design does is the same: the registers are the outside's, not the design's.

use crate::{Dir, Error, Source};

/// The clock of the inputs' registers.
const LOAD: &str = "load";

/// Name of the port before the register that has the input's own name.
pub(crate) fn port(name: &str) -> String {
    format!("{name}_in")
}

/// The text with its top's inputs behind registers, all but its clocks, of which `clock` is one. No line of it moves, so that messages name the lines of
/// the text as it was given.
pub(crate) fn held(source: &Source, clocks: &[&str]) -> Result<String, Error> {
    let bad = |port: &str, reason| Error::Port { top: source.top.clone(), port: port.to_owned(), reason };
    let unheld = "it is not found in the module's header, where ports are declared as `input wire [3:0] name`";
    let text = &source.text;
    let (begin, end) = header(text, &source.top).ok_or_else(|| bad("clock", unheld))?;
    let mut ports = text[begin..end].to_owned();
    let mut registers = String::new();
    let mut loads = String::new();
    let is_clock = |name: &str| name == "clock" || clocks.contains(&name);
    for port in source.ports.iter().filter(|port| port.dir == Dir::In && !is_clock(&port.name)) {
        let before = self::port(&port.name);
        if port.name == LOAD || source.ports.iter().any(|other| other.name == before) {
            return Err(bad(&port.name, "its name is that of a port that the model adds; rename it"));
        }
        let at = declared(&ports, &port.name).ok_or_else(|| bad(&port.name, unheld))?;
        ports.replace_range(at..at + port.name.len(), &before);
        let (name, top) = (&port.name, port.width - 1);
        registers += &format!(" logic [{top}:0] {name}; initial {name} = {}'h0;", port.width);
        loads += &format!(" {name} <= {before};");
    }
    let clock = declared(&ports, "clock").ok_or_else(|| bad("clock", unheld))?;
    ports.insert_str(clock, &format!("{LOAD}, input wire "));
    let rest = &text[end..];
    let body = rest.find(';').map_or(rest.len(), |at| at + 1);
    let (close, rest) = rest.split_at(body);
    Ok(format!("{}{ports}{close}{registers} always @(posedge {LOAD}) begin{loads} end{rest}", &text[..begin]))
}

/// Where the list of the module's ports begins and ends.
fn header(text: &str, top: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    loop {
        let module = from + text[from..].find("module ")?;
        let name = module + "module ".len();
        let rest = text[name..].strip_prefix(top).map(str::trim_start);
        let line = text[..module].rfind('\n').map_or(0, |at| at + 1);
        if text[line..module].trim().is_empty() && rest.is_some_and(|rest| rest.starts_with('(')) {
            let begin = name + text[name..].find('(')? + 1;
            return Some((begin, begin + text[begin..].find(");")?));
        }
        from = name;
    }
}

/// Where an input's name stands in a list of ports, each with its direction.
fn declared(ports: &str, name: &str) -> Option<usize> {
    let mut from = 0;
    for piece in ports.split(',') {
        let words = || piece.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        if words().next_back() == Some(name) && words().any(|word| word == "input") {
            return Some(from + piece.rfind(name)?);
        }
        from += piece.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Port;

    fn source(text: &str) -> Source {
        let ports = vec![Port::input("clock", 1), Port::input("a", 1), Port::input("data", 4), Port::output("q", 4)];
        Source { text: text.into(), top: "t".into(), ports }
    }

    #[test]
    fn inputs_stand_behind_registers_and_no_line_moves() {
        let text = "module other(\n  input wire a\n);\nendmodule\nmodule t(\n  input wire clock,\n  input wire a,\n  \
                    input wire [3:0] data,\n  output logic [3:0] q\n);\n  assign q = a ? data : 4'h0;\nendmodule\n";
        let held = held(&source(text), &[]).unwrap();
        assert_eq!(held.lines().count(), text.lines().count(), "{held}");
        assert!(held.starts_with("module other(\n  input wire a\n);\n"), "{held}");
        assert!(
            held.contains("  input wire load, input wire clock,\n  input wire a_in,\n  input wire [3:0] data_in,\n")
        );
        assert!(held.contains("logic [3:0] data; initial data = 4'h0;"), "{held}");
        assert!(held.contains("always @(posedge load) begin a <= a_in; data <= data_in; end\n  assign q"), "{held}");
    }

    #[test]
    fn ports_may_stand_in_one_line_and_one_that_is_missing_is_named() {
        let line = "module t(input clock, input a, input [3:0] data, output [3:0] q); assign q = data; endmodule";
        assert!(held(&source(line), &[]).unwrap().contains("input a_in, input [3:0] data_in, output"));
        let old = "module t(clock, a, data, q);\ninput clock;\nendmodule";
        assert!(matches!(held(&source(old), &[]), Err(Error::Port { port, .. }) if port == "a"));
        assert!(matches!(held(&source(""), &[]), Err(Error::Port { .. })));
    }

    #[test]
    fn a_clock_stays_as_it_is() {
        let mut two = source("module t(input clock, input slow, input a, input [3:0] data, output [3:0] q); endmodule");
        two.ports.push(Port::input("slow", 1));
        let held = held(&two, &["slow"]).unwrap();
        assert!(held.contains("input slow, input a_in,") && !held.contains("slow_in"), "{held}");
    }

    #[test]
    fn names_that_the_model_adds_are_refused() {
        let mut taken = source("module t(input clock, input a, input [3:0] data, output [3:0] q); endmodule");
        taken.ports.push(Port::output("a_in", 1));
        assert!(matches!(held(&taken, &[]), Err(Error::Port { port, .. }) if port == "a"));
    }
}
