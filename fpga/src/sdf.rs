//! The delays of a routed design, as nextpnr writes them (Standard Delay Format, IEEE 1497): what a pin is, which wires
//! and cells lie between pins, and what a clocked pin needs before its edge. Only what nextpnr writes is understood; every
//! delay is the largest of its three, in picoseconds.

use std::collections::HashMap;
use std::path::Path;

use crate::Error;

/// A pin, by number.
pub type Pin = usize;

/// Pins and the delays between them.
#[derive(Debug, Default)]
pub struct Delays {
    /// Cell and port of each pin.
    pub pins: Vec<(String, String)>,
    /// From, to, delay; through a wire or through a cell.
    pub arcs: Vec<(Pin, Pin, u32)>,
    /// Outputs that change with the clock, and how long after it.
    pub launches: Vec<(Pin, u32)>,
    /// Inputs that are looked at with the clock, and how long before it they must be steady.
    pub captures: Vec<(Pin, u32)>,
    /// The number of a pin by `cell/port`.
    pub(crate) numbers: HashMap<String, Pin>,
}

impl Delays {
    /// Reads the file that nextpnr wrote.
    ///
    /// # Errors
    /// If it cannot be read, or is not what nextpnr writes.
    pub fn read(path: &Path) -> Result<Delays, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        let mut delays = Delays::default();
        let mut cell = String::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim().trim_start_matches('(');
            let done = match line.split_once(' ') {
                Some(("INSTANCE", name)) => {
                    cell = unescape(name.trim_end_matches(')'));
                    Some(())
                }
                Some(("INTERCONNECT", rest)) => delays.wire(rest),
                Some(("IOPATH", rest)) => delays.through(&cell, rest),
                Some(("SETUPHOLD", rest)) => delays.check(&cell, rest),
                _ => Some(()),
            };
            done.ok_or_else(|| Error::format(path, format!("line {} is not what nextpnr writes", number + 1)))?;
        }
        Ok(delays)
    }

    fn pin(&mut self, cell: &str, port: &str) -> Pin {
        let pins = &mut self.pins;
        *self.numbers.entry(format!("{cell}/{port}")).or_insert_with(|| {
            pins.push((cell.to_owned(), port.to_owned()));
            pins.len() - 1
        })
    }

    /// `a/F b/A (1:2:3) (1:2:3))`
    fn wire(&mut self, rest: &str) -> Option<()> {
        let (ends, delay) = rest.split_once(" (")?;
        let (from, to) = ends.split_once(' ')?;
        let (from, to) = (unescape(from), unescape(to));
        let ((from, out), (to, into)) = (from.rsplit_once('/')?, to.rsplit_once('/')?);
        let (from, to) = (self.pin(from, out), self.pin(to, into));
        self.arcs.push((from, to, largest(delay)?));
        Some(())
    }

    /// `A F (1:2:3) (1:2:3))`
    fn through(&mut self, cell: &str, rest: &str) -> Option<()> {
        let (ends, delay) = rest.split_once(" (")?;
        let (from, to) = ends.split_once(' ')?;
        let delay = largest(delay)?;
        let out = self.pin(cell, to);
        if is_clock(from) {
            self.launches.push((out, delay));
        } else {
            let from = self.pin(cell, from);
            self.arcs.push((from, out, delay));
        }
        Some(())
    }

    /// `(posedge DI) (posedge CLK) (1:2:3) (1:2:3))`: of the two edges of the data one is enough.
    fn check(&mut self, cell: &str, rest: &str) -> Option<()> {
        let Some(rest) = rest.strip_prefix("(posedge ") else { return Some(()) };
        let (port, rest) = rest.split_once(") (")?;
        let (_, setup) = rest.split_once(") (")?;
        let pin = self.pin(cell, port);
        self.captures.push((pin, largest(setup)?));
        Some(())
    }
}

fn is_clock(port: &str) -> bool {
    ["CLK", "CLKA", "CLKB", "WCK"].contains(&port)
}

fn unescape(name: &str) -> String {
    name.replace('\\', "")
}

/// The last of the first `1:2:3)`.
fn largest(text: &str) -> Option<u32> {
    let value: i64 = text.split(')').next()?.rsplit(':').next()?.parse().ok()?;
    // A hold that lets a clock come early is written as a negative setup; it never makes a path longer.
    Some(u32::try_from(value).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_line_is_understood() {
        let mut delays = Delays::default();
        delays.wire(r"u_a.x\[3\]/F b\$c/A (1:2:3) (1:2:3))").unwrap();
        delays.through("b$c", "A F (119:130:141) (119:130:141))").unwrap();
        delays.through("r", "CLK Q (257:283:309) (257:283:309))").unwrap();
        delays.check("r", "(posedge DI) (posedge CLK) (5:6:7) (0:0:0))").unwrap();
        delays.check("r", "(negedge DI) (posedge CLK) (5:6:7) (0:0:0))").unwrap();
        let name = |pin: Pin| format!("{}/{}", delays.pins[pin].0, delays.pins[pin].1);
        let arcs: Vec<_> = delays.arcs.iter().map(|(a, b, d)| (name(*a), name(*b), *d)).collect();
        assert_eq!(arcs[0], ("u_a.x[3]/F".into(), "b$c/A".into(), 3));
        assert_eq!(arcs[1], ("b$c/A".into(), "b$c/F".into(), 141));
        assert_eq!(delays.launches, [(2, 309)].map(|(_, d)| (delays.launches[0].0, d)));
        assert_eq!(delays.captures.len(), 1);
        assert_eq!(delays.captures[0].1, 7);
    }
}
