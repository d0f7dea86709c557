//! The table of figures, from what the bench printed last (`docs/figures.json`).

use std::path::Path;

use serde_json::Value;

use super::{Table, table};
use crate::{Error, Result};

/// Where the bench's lines are kept: `cargo xtask bench storage --json > docs/figures.json`, and `bench guest --json >> …`.
const FILE: &str = "docs/figures.json";
/// What a name does not say.
const NOTES: [(&str, &str); 7] = [
    ("storage.mix70.4k.qd32.8vf", "both directions at once"),
    ("storage.latency.read.4k.qd1", "from the doorbell to the interrupt"),
    ("storage.latency.write.4k.qd1", "from the doorbell to the interrupt"),
    ("storage.fairness.slow", "seven VFs beside a volume that takes 1,000,000 clocks"),
    ("storage.fairness.quiet.8vf", "depth 1 beside seven at 64"),
    ("driver.instructions_per_io", "the dearer of reads and writes"),
    ("sim.clocks_per_second", "one thread; the machine's"),
];

/// The figures, an object each.
pub fn read() -> Result<Vec<Value>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(FILE);
    let text = std::fs::read_to_string(&path).map_err(|source| Error::Io { what: "read", path, source })?;
    let wrong = |e| Error::Wrong(format!("{FILE}: {e}"));
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).map_err(wrong));
    Ok(lines.collect::<Result<Vec<_>>>()?.into_iter().filter(|line| line["name"].is_string()).collect())
}

pub fn tables() -> Result<Vec<Table>> {
    let (guests, card): (Vec<_>, Vec<_>) =
        read()?.into_iter().partition(|figure| figure["name"].as_str().is_some_and(|name| name.starts_with("guest.")));
    Ok(vec![("figures", rows(card)), ("guest-figures", rows(guests))])
}

fn rows(figures: Vec<Value>) -> String {
    let number = |value: &Value| {
        let value = value.as_f64().unwrap_or_default();
        if value >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
    };
    let rows = figures.into_iter().map(|figure| {
        let name = figure["name"].as_str().unwrap_or_default().to_owned();
        let note = NOTES.iter().find(|(of, _)| *of == name).map_or(String::new(), |(_, note)| format!(", {note}"));
        let asked = figure["least"].as_f64().map_or("reported".into(), |least| format!("{least:.3}"));
        [
            format!("`{name}`{note}"),
            format!("{} {}", number(&figure["value"]), figure["unit"].as_str().unwrap_or_default()),
            number(&figure["bound"]),
            format!("{:.3}", figure["ratio"].as_f64().unwrap_or_default()),
            asked,
        ]
    });
    table(["figure", "value", "bound", "ratio", "at least"], rows)
}
