//! `cargo xtask lab`: runs cases, a line each.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use azote_lab::cases::{self, Case, boots};
use azote_lab::machine::Outcome;
use azote_lab::pieces::Pieces;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

/// Tries the card and its software with real VFIO, KVM and Linux, in an emulated host. Nothing is installed; what is needed
/// is downloaded once into target/lab.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask lab")]
struct Arguments {
    /// Cases to run, by name or its beginning; all without any. `list` lists them. `boots [N]` boots one guest N times (300)
    /// in one emulated host, and says how many were late or died.
    case: Vec<String>,
    /// Show each step of a case with the machine's time.
    #[arg(short, long)]
    verbose: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.case.iter().any(|c| c == "list") {
        for case in cases::ALL.iter().chain(cases::MEASURE) {
            println!("{:<12} {}", case.name, case.about);
        }
        println!("{:<12} one guest of our hypervisor, booted so many times (300) in one emulated host", "boots [N]");
        return ExitCode::SUCCESS;
    }
    if let Some((word, count)) = arguments.case.split_first()
        && word == boots::NAME
    {
        return match count.first().map_or(Ok(boots::COUNT), |n| n.parse()) {
            Ok(count) if count > 0 => boots(count),
            _ => {
                eprintln!("lab: boots takes a number of boots: `cargo xtask lab boots 300`");
                ExitCode::from(2)
            }
        };
    }
    let chosen = match cases::choose(&arguments.case) {
        Ok(chosen) => chosen,
        Err(error) => {
            eprintln!("lab: {error}");
            return ExitCode::from(2);
        }
    };
    let start = Instant::now();
    let pieces = match Pieces::ready(&|what| eprintln!("lab: {what}")) {
        Ok(pieces) => pieces,
        Err(error) => {
            eprintln!("lab: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut failed = 0;
    for case in &chosen {
        failed += usize::from(!one(case, &pieces, arguments.verbose));
    }
    let passed = chosen.len() - failed;
    println!("{passed} passed, {failed} failed; {:.0} s; consoles in {}", start.elapsed().as_secs_f64(), logs(&pieces));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Boots a guest many times; the last line is the result.
fn boots(count: u32) -> ExitCode {
    let bar = ProgressBar::new(count.into());
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {elapsed}, {eta} to go");
    bar.set_style(style.unwrap_or(ProgressStyle::default_bar()));
    let mut tell = |step: &str| {
        // "L1 12.3 …" and such are for the log.
        if let Some((number, rest)) = step.strip_prefix("boot ").and_then(|s| s.split_once(" of ")) {
            bar.set_position(number.parse().unwrap_or(0));
            bar.set_message(rest.split_once(": ").map_or(rest, |r| r.1).to_owned());
            if bar.is_hidden() {
                eprintln!("lab: {step}");
            }
        }
    };
    let done = Pieces::ready(&|what| eprintln!("lab: {what}"))
        .and_then(|pieces| Ok((boots::run(&pieces, count, &mut tell)?, logs(&pieces))));
    bar.finish_and_clear();
    match done {
        Ok((outcome, logs)) => {
            println!("{}; console in {logs}/{}.log", boots::summary(&outcome), boots::NAME);
            if boots::all_well(&outcome) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("lab: {error}");
            ExitCode::FAILURE
        }
    }
}

fn logs(pieces: &Pieces) -> String {
    pieces.root.join("logs").display().to_string()
}

fn one(case: &Case, pieces: &Pieces, verbose: bool) -> bool {
    let bar = ProgressBar::new_spinner();
    bar.set_style(
        ProgressStyle::with_template("{spinner} {msg} {elapsed}").unwrap_or(ProgressStyle::default_spinner()),
    );
    bar.set_message(format!("{:<12}", case.name));
    bar.enable_steady_tick(Duration::from_millis(200));
    let start = Instant::now();
    let result = cases::attempt(case, pieces);
    let seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();
    match result {
        Ok(Outcome { skipped: Some(why), .. }) => {
            println!("skip  {:<12}          {why}", case.name);
            true
        }
        Ok(outcome) => {
            println!("ok    {:<12} {seconds:>5.1} s  {}", case.name, case.about);
            if verbose {
                outcome.steps.iter().for_each(|step| println!("          {step}"));
            }
            for (name, value) in &outcome.values {
                println!("          {name} = {value}");
            }
            true
        }
        Err(error) => {
            println!("FAIL  {:<12} {seconds:>5.1} s  {error}", case.name);
            false
        }
    }
}
