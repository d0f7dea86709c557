//! The card twice: once as it is simulated, with engines that stand still while they have nothing to do, and once with all engines
//! clocked always, as on a board. Both see the same in every clock, and must show the same.
//!
//! A simulation stops the card's clock while the whole card has nothing to do, and a board does not. So some of these times pass
//! here, a random number of clocks each: what counts time in an engine must come out of them as if it had been looked at all along.
//!
//! What they show may come much later of what went wrong. So in the one that is always clocked each register of an engine
//! is watched: none may change at an edge at which its engine need not have been clocked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use azote_sim::device::{Inputs, Outputs};
use azote_sim::{Hardware, TOP, TlpDevice};
use azote_verilate::Options;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::Result;

/// Kinds of functions, and so engines.
const ENGINES: usize = 3;
/// Of so many times when the card has nothing to do, one passes here.
const OFTEN: u32 = 16;
/// The longest that one takes: more than an engine counts time for after it was limited.
const LONGEST: u64 = 20_000;

/// Where all clocks are counted, behind those of the engines.
pub const ALL: usize = ENGINES;

/// Clocks in which each engine was awake, by the kind of its functions, and all.
#[derive(Debug, Default)]
pub struct Awake([AtomicU64; ENGINES + 1]);

impl Awake {
    /// How many there were.
    pub fn so_far(&self) -> [u64; ENGINES + 1] {
        self.0.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

/// Both; see above.
pub struct Twin {
    sleeps: Hardware,
    never: Hardware,
    rng: SmallRng,
    awake: Arc<Awake>,
}

impl Twin {
    /// Two cards of one text.
    pub fn new(text: &str, seed: u64) -> Result<Twin> {
        let sleeps = Hardware::build(text.to_owned(), &Options::fast())?;
        let mut never = Hardware::build(watched(text), &Options::fast())?;
        never.clock_always();
        Ok(Twin { sleeps, never, rng: SmallRng::seed_from_u64(seed), awake: Arc::default() })
    }

    /// How much its engines were awake.
    pub fn awake(&self) -> Arc<Awake> {
        self.awake.clone()
    }

    fn both(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        let mut other = Outputs::default();
        self.sleeps.cycle(inputs, outputs);
        self.never.cycle(inputs, &mut other);
        let clock = self.awake.0[ALL].fetch_add(1, Ordering::Relaxed);
        assert!(*outputs == other, "clock {clock}: {outputs:?} with engines that sleep, {other:?} without");
        for (e, count) in self.awake.0[..ALL].iter().enumerate() {
            count.fetch_add(u64::from(outputs.awake >> e & 1), Ordering::Relaxed);
        }
    }
}

impl TlpDevice for Twin {
    fn cycle(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        self.both(inputs, outputs);
        let rests = !outputs.busy && inputs.rx.is_none() && inputs.mdone.is_none() && inputs.mrd.is_none();
        if rests && !inputs.reset && self.rng.random_ratio(1, OFTEN) {
            let mut shown = Outputs::default();
            for _ in 0..self.rng.random_range(0..LONGEST) {
                self.both(&Inputs::default(), &mut shown);
            }
        }
    }
}

/// The text with a check at each register of the engines, of whose modules it has copies.
fn watched(text: &str) -> String {
    let modules = modules(text);
    let mut out = text.to_owned();
    for engine in 0..ENGINES {
        let clock = format!(".clock(engine_clock_{engine})");
        let Some(instance) = text.lines().find(|line| line.contains(&clock)) else { continue };
        let Some(kind) = instance.split_whitespace().next() else { continue };
        let name = |module: &str| format!("{module}_watched_{engine}");
        out = out.replace(instance, &instance.replacen(kind, &name(kind), 1));
        let mut inside = BTreeSet::new();
        reach(kind, &modules, &mut inside);
        for module in &inside {
            for (number, line) in modules[module].iter().enumerate() {
                let first = line.split_whitespace().next().unwrap_or_default();
                let line = match line.strip_prefix("module ") {
                    Some(rest) => format!("module {}", rest.replacen(module, &name(module), 1)),
                    None if inside.contains(first) => line.replacen(first, &name(first), 1),
                    None => (*line).to_owned(),
                };
                let check = check(&line).map(|(condition, what)| {
                    let asleep = format!("!reset && !{TOP}.awake[{engine}]");
                    let check = format!("`CHECK({condition}, \"{what} while the engine sleeps\")");
                    format!("always @(posedge clock) if ({asleep}) begin rests_{number}: {check}; end")
                });
                let _ = writeln!(out, "{line}{}", check.unwrap_or_default());
            }
        }
    }
    out
}

/// What must hold of the register in a line while it is not to change.
fn check(line: &str) -> Option<(String, String)> {
    let register = line.trim().strip_prefix("always @(posedge clock) if (reset) ")?;
    let (q, rest) = register.split_once(" <= ")?;
    let d = rest.rsplit_once(" <= ")?.1.trim_end_matches(';');
    Some((format!("{q} == {d}"), format!("{q} changes")))
}

/// The lines of each module.
fn modules(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut inside = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("module ") {
            inside = rest.split('(').next();
        }
        if let Some(module) = inside {
            found.entry(module).or_default().push(line);
        }
        if line == "endmodule" {
            inside = None;
        }
    }
    found
}

/// A module and all that are inside of it.
fn reach<'a>(module: &'a str, modules: &BTreeMap<&'a str, Vec<&'a str>>, found: &mut BTreeSet<&'a str>) {
    if let Some(lines) = modules.get(module)
        && found.insert(module)
    {
        for first in lines.iter().filter_map(|line| line.split_whitespace().next()) {
            reach(first, modules, found);
        }
    }
}
