//! What the page shows and no single figure says: throughput at every depth and number of VFs, and the distribution of
//! latency.

use std::collections::BTreeMap;

use azote_nvme::Controller;
use azote_regs::function::FunctionId;
use azote_sim::Card;
use azote_tests::load::{Load, run_timed};
use azote_tests::rig::storage_vf;
use azote_tests::{Error, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::storage::{TOGETHER, clean, driver, rate, rig};
use crate::{Arguments, bounds};

/// Bytes of each command.
pub const BYTES: u64 = 4096;
/// Commands in flight on each VF.
pub const DEPTHS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// VFs at work.
pub const VFS: [u8; 4] = [1, 2, 4, 8];
/// Commands of a quiet VF beside busy ones.
const QUIET: u64 = 200;
/// Commands in flight on each VF that is busy beside a quiet one.
const BUSY: usize = 64;

/// Throughput of one load beside its bound, in bytes a clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub value: f64,
    pub bound: f64,
}

/// Reads alone and writes alone, with so many VFs at such a depth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub vfs: u8,
    pub depth: usize,
    pub read: Rate,
    pub write: Rate,
}

/// Clocks of each command, from its doorbell to its interrupt.
#[derive(Debug, Clone, PartialEq)]
pub struct Latency {
    /// What was going on.
    pub load: String,
    /// In ascending order.
    pub clocks: Vec<u64>,
    /// What the mean cannot be less than.
    pub bound: f64,
}

impl Latency {
    /// The least number of clocks in which so much of all commands was done.
    pub fn quantile(&self, part: f64) -> u64 {
        let at = (self.clocks.len() as f64 * part).ceil() as usize;
        self.clocks.get(at.saturating_sub(1)).copied().unwrap_or(0)
    }

    pub fn mean(&self) -> f64 {
        self.clocks.iter().sum::<u64>() as f64 / self.clocks.len().max(1) as f64
    }
}

/// Measures it all.
pub fn measure(arguments: &Arguments) -> Result<(Vec<Point>, Vec<Latency>)> {
    let (card, _folder) = rig(arguments, TOGETHER)?;
    let mut nvmes = (0..TOGETHER).map(|vf| driver(&card, vf)).collect::<Result<Vec<_>>>()?;
    let bar = ProgressBar::new((VFS.len() * DEPTHS.len() + 4) as u64);
    let style = ProgressStyle::with_template("bench: {bar:30} {pos}/{len} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut points = Vec::new();
    for vfs in VFS {
        for depth in DEPTHS {
            bar.set_message(format!("{vfs} VF(s), depth {depth}"));
            points.push(point(&card, &mut nvmes[..usize::from(vfs)], depth)?);
            bar.inc(1);
        }
    }
    let options = card.root().options().clone();
    let (payload, host) = (options.max_payload.into(), options.read_latency.into());
    let (read, write) = (bounds::latency(BYTES, payload, host), bounds::write_latency(BYTES, payload, host));
    // With many in flight all the time the mean is their number by what can be done (Little's law).
    let many = u64::from(TOGETHER) * 32 * bounds::read(BYTES, payload);
    let load = |depth, writes| Load { bytes: BYTES, depth, commands: commands(1, depth), writes, seed: 7 };
    let all = vec![Load { commands: commands(TOGETHER.into(), 32), ..load(32, 0) }; TOGETHER.into()];
    let mut quiet = vec![Load { commands: u64::MAX, ..load(BUSY, 0) }; TOGETHER.into()];
    quiet[0] = Load { commands: QUIET, ..load(1, 0) };
    let mut latencies = Vec::new();
    for (what, loads, of, bound) in [
        ("1 function, one read at a time", vec![load(1, 0)], 1, read),
        ("1 function, one write at a time", vec![load(1, 100)], 1, write),
        ("8 functions, 32 reads each", all, TOGETHER, many),
        ("1 quiet function beside 7 busy", quiet, 1, read),
    ] {
        bar.set_message(what);
        let clocks = latency(&card, &mut nvmes[..loads.len()], &loads, of)?;
        latencies.push(Latency { load: what.into(), clocks, bound: bound as f64 });
        bar.inc(1);
    }
    bar.finish_and_clear();
    clean(&card)?;
    Ok((points, latencies))
}

/// Points and distributions for machines, an object each. A distribution is a list of clocks and how many commands took them.
pub fn lines(points: &[Point], latencies: &[Latency]) -> Vec<Value> {
    let rate = |rate: Rate| json!({ "value": rate.value, "bound": rate.bound });
    let points = points.iter().map(|p| {
        json!({ "curve": "throughput", "unit": "bytes/clock", "bytes": BYTES, "vfs": p.vfs, "depth": p.depth,
                "read": rate(p.read), "write": rate(p.write) })
    });
    let latencies = latencies.iter().map(|l| {
        let mut counts = BTreeMap::new();
        l.clocks.iter().for_each(|clocks| *counts.entry(*clocks).or_insert(0u64) += 1);
        json!({ "curve": "latency", "unit": "clocks", "bytes": BYTES, "load": l.load, "bound": l.bound, "mean": l.mean(),
                "distribution": counts.into_iter().collect::<Vec<_>>() })
    });
    points.chain(latencies).collect()
}

/// The same for people.
pub fn table(points: &[Point], latencies: &[Latency]) -> String {
    let mut out = format!(
        "{:>4} {:>6} {:>8} {:>8} {:>8} {:>8}  bytes/clock\n",
        "VFs", "depth", "read", "bound", "write", "bound"
    );
    for p in points {
        let [read, write] = [p.read, p.write];
        let row = [read.value, read.bound, write.value, write.bound].map(|value| format!("{value:>8.2}"));
        out += &format!("{:>4} {:>6} {}\n", p.vfs, p.depth, row.join(" "));
    }
    out += &format!(
        "\n{:34} {:>8} {:>8} {:>8} {:>8} {:>8}  clocks\n",
        "latency of 4 KiB", "bound", "mean", "p50", "p99", "most"
    );
    for l in latencies {
        let row = [l.bound, l.mean(), l.quantile(0.5) as f64, l.quantile(0.99) as f64, l.quantile(1.0) as f64];
        out += &format!("{:34} {}\n", l.load, row.map(|value| format!("{value:>8.0}")).join(" "));
    }
    out
}

/// Commands of each VF, of which so many are in flight: enough that beginning and end do not count.
fn commands(vfs: usize, depth: usize) -> u64 {
    (800 / vfs).max(8 * depth) as u64
}

fn point(card: &Card, nvmes: &mut [Controller], depth: usize) -> Result<Point> {
    let options = card.root().options().clone();
    let (payload, host) = (options.max_payload.into(), options.read_latency.into());
    let count = (nvmes.len() * depth) as u64;
    let vfs = nvmes.len() as u8;
    let mut of = |writes, beats, latency| -> Result<Rate> {
        let load = Load { bytes: BYTES, depth, commands: commands(nvmes.len(), depth), writes, seed: 6 };
        let value = rate(card, nvmes, load)?;
        Ok(Rate { value, bound: bounds::in_flight(BYTES, count, beats, latency) })
    };
    let read = of(0, bounds::read(BYTES, payload), bounds::latency(BYTES, payload, host))?;
    let write = of(100, bounds::write(BYTES, payload), bounds::write_latency(BYTES, payload, host))?;
    Ok(Point { vfs, depth, read, write })
}

/// The latencies of the first `of` controllers' commands, until the first has done its own.
///
/// Each interrupt announces one completion: there is no coalescing here, and a vector for each VF. So the interrupts of a
/// VF and its completions, both in their order, belong together.
fn latency(card: &Card, nvmes: &mut [Controller], loads: &[Load], of: u8) -> Result<Vec<u64>> {
    card.run_idle(10_000);
    card.root().interrupts().take_history();
    let given = run_timed(loads, nvmes, || card.clocks(), |done| done[0] == loads[0].commands)?;
    let history = card.root().interrupts().take_history();
    let mut clocks = Vec::new();
    for ((vf, given), load) in (0..of).zip(&given).zip(loads) {
        let own: FunctionId = storage_vf(vf)?;
        let came: Vec<u64> = history.iter().filter(|i| i.function == own.number()).map(|i| i.clock + 1).collect();
        if came.len() != given.len() {
            let (interrupts, commands) = (came.len(), given.len());
            return Err(Error::Wrong(format!(
                "VF {vf} sent {interrupts} interrupts for {commands} commands: which is whose?"
            )));
        }
        // While the first are given and the last come back, fewer are in flight; and the quiet one is not alone at once.
        let all = given.iter().zip(&came).map(|(given, came)| came - given);
        clocks.extend(all.skip(load.depth + 1).take(given.len().saturating_sub(2 * load.depth + 1)));
    }
    clocks.sort_unstable();
    Ok(clocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_those_measured() {
        let latency = Latency { load: String::new(), clocks: (1..=200).collect(), bound: 1.0 };
        assert_eq!((latency.quantile(0.5), latency.quantile(0.99), latency.quantile(1.0)), (100, 198, 200));
        assert_eq!(latency.mean(), 100.5);
        let twice = Latency { clocks: vec![5, 5, 7], ..latency };
        let line = &lines(&[], std::slice::from_ref(&twice))[0];
        assert_eq!(line["distribution"], json!([[5, 2], [7, 1]]));
        assert!(table(&[], &[twice]).contains("p99"));
    }
}
