//! Fuzzing: what parses bytes that a guest, a client, a device or a file chose.

use std::path::PathBuf;
use std::process::Command;

use crate::run::{cargo, check, root};

/// Seconds for each target, unless told otherwise.
const SECONDS: u32 = 60;

/// `fuzz [TARGET…] [SECONDS]`: all targets without any. A finding ends the run, and the fuzzer says where it is kept.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let known = targets()?;
    let (numbers, names): (Vec<&String>, Vec<&String>) = arguments.iter().partition(|a| a.parse::<u32>().is_ok());
    if let Some(name) = names.iter().find(|name| !known.contains(name)) {
        return Err(format!("no fuzz target `{name}`; there are {}", known.join(", ")));
    }
    let seconds = numbers.last().and_then(|n| n.parse().ok()).unwrap_or(SECONDS);
    let tool = tool()?;
    for target in known.iter().filter(|target| names.is_empty() || names.contains(target)) {
        eprintln!("fuzz: {target}, {seconds} s");
        // Without a sanitizer it runs on the stable compiler; Rust's own checks are on.
        let mut fuzz = Command::new(&tool);
        fuzz.current_dir(root()).args(["fuzz", "run", "-s", "none", "--debug-assertions", target]);
        // What was found before, and what was chosen by hand.
        let seeds = root().join("fuzz/seeds").join(target);
        let corpus = root().join("fuzz/corpus").join(target);
        if seeds.is_dir() {
            std::fs::create_dir_all(&corpus).map_err(|e| format!("{}: {e}", corpus.display()))?;
            fuzz.arg(&corpus).arg(&seeds);
        }
        fuzz.arg("--");
        fuzz.args([&format!("-max_total_time={seconds}"), "-rss_limit_mb=4096", "-timeout=20"]);
        check(&mut fuzz)?;
    }
    Ok(())
}

/// The names of the files in `fuzz/fuzz_targets`.
fn targets() -> Result<Vec<String>, String> {
    let folder = root().join("fuzz/fuzz_targets");
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let names = entries.filter_map(|e| Some(e.ok()?.path().file_stem()?.to_str()?.to_owned()));
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names)
}

/// cargo-fuzz, installed below `target` if need be.
fn tool() -> Result<PathBuf, String> {
    let place = root().join("target/tools");
    let tool = place.join("bin/cargo-fuzz");
    if !tool.is_file() {
        eprintln!("fuzz: installing cargo-fuzz into {}", place.display());
        check(cargo().args(["install", "cargo-fuzz", "--locked", "--root"]).arg(&place))?;
    }
    Ok(tool)
}
