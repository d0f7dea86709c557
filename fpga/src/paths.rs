//! The longest paths of a routed design, by the source's names.
//!
//! nextpnr names one path, the worst; whoever wants to know what to do needs to see what comes after it. So the delays are
//! added up here, from every register to every register. Paths between the same two signals, or registers of one array,
//! are one path (its worst bit): ten bits of one adder would hide nine other places.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::names;
use crate::sdf::{Delays, Pin};

/// From one register to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Path {
    /// The register or memory where it starts: `storage.queues.head`.
    pub from: String,
    /// The one where it ends.
    pub to: String,
    /// Nanoseconds, from clock edge to clock edge.
    pub ns: f64,
    /// Of these, in wires.
    pub wires_ns: f64,
    /// LUTs and carry chains on the way.
    pub levels: usize,
    /// Blocks on the way, in order.
    pub through: Vec<String>,
}

/// How a cell is called in the source.
pub type Called = HashMap<String, String>;

/// When the last change reaches a pin, and by which arc.
#[derive(Clone, Copy, Default)]
struct Arrival {
    at: u32,
    wires: u32,
    arc: Option<usize>,
    /// Something that is clocked lies before it.
    clocked: bool,
}

/// The `count` worst paths, worst first. `called` gives the source's name for a cell where the cell's own is not it.
pub fn worst(delays: &Delays, called: &Called, count: usize) -> Vec<Path> {
    let arrivals = arrivals(delays);
    let mut ends: Vec<(u32, Pin)> = delays
        .captures
        .iter()
        .filter(|(pin, _)| arrivals[*pin].clocked)
        .map(|(pin, setup)| (arrivals[*pin].at + setup, *pin))
        .collect();
    ends.sort_by_key(|(at, pin)| (std::cmp::Reverse(*at), *pin));
    let mut seen = BTreeSet::new();
    let mut paths = Vec::new();
    for (at, pin) in ends {
        let path = trace(delays, &arrivals, called, at, pin);
        if seen.insert((family(&path.from), family(&path.to))) {
            paths.push(path);
            if paths.len() == count {
                break;
            }
        }
    }
    paths
}

/// The name without the numbers of an array's registers: `read.count_6` and `read.count_4` are of one family.
fn family(name: &str) -> String {
    name.trim_end_matches(|c: char| c == '_' || c.is_ascii_digit()).to_owned()
}

/// Every pin's latest change, in an order in which each pin comes after all that lead to it.
fn arrivals(delays: &Delays) -> Vec<Arrival> {
    let pins = delays.pins.len();
    let mut leaving: Vec<Vec<usize>> = vec![Vec::new(); pins];
    let mut missing = vec![0usize; pins];
    for (arc, (from, to, _)) in delays.arcs.iter().enumerate() {
        leaving[*from].push(arc);
        missing[*to] += 1;
    }
    let mut arrivals = vec![Arrival::default(); pins];
    for (pin, delay) in &delays.launches {
        arrivals[*pin] = Arrival { at: *delay, clocked: true, ..Arrival::default() };
    }
    let mut ready: Vec<Pin> = (0..pins).filter(|pin| missing[*pin] == 0).collect();
    while let Some(pin) = ready.pop() {
        for arc in &leaving[pin] {
            let (_, to, delay) = delays.arcs[*arc];
            let here = arrivals[pin];
            let at = here.at + delay;
            if here.clocked && (!arrivals[to].clocked || at > arrivals[to].at) {
                let is_wire = delays.pins[pin].0 != delays.pins[to].0;
                let wires = here.wires + if is_wire { delay } else { 0 };
                arrivals[to] = Arrival { at, wires, arc: Some(*arc), clocked: true };
            }
            missing[to] -= 1;
            if missing[to] == 0 {
                ready.push(to);
            }
        }
    }
    arrivals
}

fn trace(delays: &Delays, arrivals: &[Arrival], called: &Called, at: u32, end: Pin) -> Path {
    let mut pins = vec![end];
    while let Some(arc) = pins.last().and_then(|pin| arrivals[*pin].arc) {
        pins.push(delays.arcs[arc].0);
    }
    pins.reverse();
    let cell = |pin: Pin| delays.pins[pin].0.as_str();
    let name = |pin: Pin| names::signal(called.get(cell(pin)).map_or(cell(pin), String::as_str));
    let mut through: Vec<String> = Vec::new();
    for pin in &pins {
        let block = names::block(called.get(cell(*pin)).map_or(cell(*pin), String::as_str));
        if !block.is_empty() && through.last() != Some(&block) {
            through.push(block);
        }
    }
    // A carry chain is one level however long it is: its wires are dedicated.
    let outputs = pins.iter().filter(|pin| matches!(delays.pins[**pin].1.as_str(), "F" | "OFX")).count();
    let start = pins[0];
    let ns = |ps: u32| f64::from(ps) / 1000.0;
    Path { from: name(start), to: name(end), ns: ns(at), wires_ns: ns(arrivals[end].wires), levels: outputs, through }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A register that goes through two LUTs into another register, and one that goes there straight.
    fn two_paths() -> Delays {
        let pin = |cell: &str, port: &str| (cell.to_owned(), port.to_owned());
        Delays {
            pins: vec![
                pin("u_a.x_q_TRELLIS_FF_Q", "Q"),
                pin("u_b.t_LUT4_Z", "A"),
                pin("u_b.t_LUT4_Z", "F"),
                pin("u_b.y_q_TRELLIS_FF_Q", "DI"),
                pin("u_b.z_q_TRELLIS_FF_Q", "DI"),
            ],
            arcs: vec![(0, 1, 700), (1, 2, 140), (2, 3, 600), (0, 4, 500)],
            launches: vec![(0, 300)],
            captures: vec![(3, 50), (4, 50)],
            ..Delays::default()
        }
    }

    #[test]
    fn delays_add_up_from_register_to_register() {
        let paths = worst(&two_paths(), &Called::new(), 10);
        assert_eq!(paths.len(), 2);
        assert_eq!((paths[0].from.as_str(), paths[0].to.as_str()), ("a.x", "b.y"));
        assert_eq!((paths[0].ns, paths[0].wires_ns, paths[0].levels), (1.79, 1.3, 1));
        assert_eq!(paths[0].through, ["a", "b"]);
        assert_eq!((paths[1].to.as_str(), paths[1].ns), ("b.z", 0.85));
    }

    #[test]
    fn a_path_of_several_bits_is_listed_once() {
        let mut delays = two_paths();
        delays.pins[4] = ("u_b.y_q_TRELLIS_FF_Q_1".into(), "DI".into());
        assert_eq!(worst(&delays, &Called::new(), 10).len(), 1);
    }
}
