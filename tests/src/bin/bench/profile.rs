//! `bench sim --profile`: where the simulation's time goes under load, by block of the card.

use std::collections::BTreeMap;

use azote_sim::{Card, Hardware, Options, Profiler};
use azote_tests::{Error, Result};
use serde_json::json;

use crate::Arguments;
use crate::sim::load;
use crate::storage::{TOGETHER, clean, driver, rig_on};

/// A row of its own has what takes so much of all, in percent.
const SHOWN: f64 = 0.5;
/// What is not the model's.
const HOST: &str = "(root complex, medium, drivers)";
/// What has no row.
const REST: &str = "(other blocks)";

/// Measures it, by the load of `sim.clocks_per_second`, and writes it as a table, or as one JSON object a line.
pub fn measure(arguments: &Arguments) -> Result<String> {
    let mut profiler: Option<Profiler> = None;
    let (card, _folder) = rig_on(TOGETHER, || {
        let design = azote_rtl::card(arguments.vfs.into())?;
        let hardware = Hardware::build(design.text, &azote_verilate::Options::fast().with_profile(true))?;
        profiler = hardware.profiler();
        Ok(Card::over(Box::new(hardware), Options::default())?)
    })?;
    let profiler = profiler.ok_or_else(|| Error::Wrong("the card was compiled without a profile".into()))?;
    let mut nvmes = (0..TOGETHER).map(|vf| driver(&card, vf)).collect::<Result<Vec<_>>>()?;
    profiler.begin();
    let run = load(PROFILED * arguments.commands).run(&mut nvmes);
    let found = profiler.end();
    run?;
    clean(&card)?;
    let (rows, samples) = rows(found?);
    let line = |(name, share): &(String, f64)| match arguments.json {
        true => format!("{}\n", json!({"profile": name, "percent": (share * 10.0).round() / 10.0})),
        false => format!("{name:36} {share:5.1} %\n"),
    };
    let title = format!("{:36} {samples} samples of the processor's time\n", "block");
    Ok(if arguments.json { String::new() } else { title } + &rows.iter().map(line).collect::<String>())
}

/// So many times the commands of a figure: samples are some hundred a second.
const PROFILED: u64 = 10;

/// Shares in percent, the largest first, by blocks of the top and of its engines; and the number of samples.
fn rows(found: BTreeMap<Option<String>, u64>) -> (Vec<(String, f64)>, u64) {
    let samples: u64 = found.values().sum();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (block, count) in found {
        let name = match block.as_deref() {
            None => HOST.to_owned(),
            Some("") => "(the card's top)".to_owned(),
            Some(path) => path.split('.').take(2).collect::<Vec<_>>().join("."),
        };
        *counts.entry(name).or_default() += count;
    }
    let share = |count: u64| 100.0 * count as f64 / samples.max(1) as f64;
    let mut rest = 0;
    counts.retain(|_, count| {
        let shown = share(*count) >= SHOWN;
        rest += if shown { 0 } else { *count };
        shown
    });
    let mut rows: Vec<_> = counts.into_iter().map(|(name, count)| (name, share(count))).collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    rows.push((REST.to_owned(), share(rest)));
    (rows, samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_engines_blocks_and_what_is_small_is_one_row() {
        let found = [(None, 100), (Some("a.b.c"), 300), (Some("a.b"), 596), (Some("d"), 3), (Some("e"), 1)];
        let (rows, samples) = rows(found.map(|(name, count)| (name.map(str::to_owned), count)).into());
        assert_eq!(samples, 1000);
        let row = |name: &str, share| (name.to_owned(), share);
        assert_eq!(rows, [row("a.b", 89.6), row(HOST, 10.0), row(REST, 0.4)]);
    }
}
