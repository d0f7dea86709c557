//! `cargo xtask soak`: random commands, resets and faults for as long as one likes; a failure ends as a small case in a file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use azote_tests::Result;
use azote_tests::soak::{Case, Steps, attempt, minimise};
use clap::Parser;

/// Runs random commands on several VFs against a model of them.
#[derive(Parser)]
#[command(name = "soak")]
struct Args {
    /// Commands to complete.
    #[arg(long, default_value_t = 1_000_000)]
    commands: u64,
    /// Seed of everything random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs the case in this file instead.
    #[arg(long)]
    replay: Option<PathBuf>,
    /// A host that answers at once and in order.
    #[arg(long)]
    smooth: bool,
    /// Fails on purpose, to see what becomes of a failure.
    #[arg(long)]
    plant: bool,
    /// Seconds to spend on making a failing case smaller.
    #[arg(long, default_value_t = 300)]
    minimise: u64,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("soak: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<bool> {
    let case = match &args.replay {
        Some(path) => Case::load(path)?,
        None => Case {
            seed: args.seed,
            rough: !args.smooth,
            events: true,
            planted: args.plant,
            steps: Steps::Until(args.commands),
        },
    };
    let start = Instant::now();
    let mut steps = Vec::new();
    let reason = match attempt(&case, &mut steps) {
        Ok(r) => {
            println!("{} steps, {:.0} s: {r:?}", steps.len(), start.elapsed().as_secs_f64());
            return Ok(true);
        }
        Err(reason) => reason,
    };
    eprintln!("soak: failed after {} steps: {reason}\nsoak: making the case smaller", steps.len());
    // Each try that fails again would say so at length.
    std::panic::set_hook(Box::new(|_| {}));
    let with = |steps: &[u64]| Case { steps: Steps::These(steps.to_vec()), ..case.clone() };
    let small =
        minimise(steps, Duration::from_secs(args.minimise), |steps| attempt(&with(steps), &mut Vec::new()).is_err());
    let path = Path::new("target").join(format!("soak-{}.case", case.seed));
    with(&small).save(&path)?;
    println!("{} steps are enough: {}", small.len(), path.display());
    println!("to run them again: cargo xtask soak --replay {}", path.display());
    Ok(false)
}
