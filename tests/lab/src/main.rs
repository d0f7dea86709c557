//! `cargo xtask lab`: runs cases, a line each.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use azote_lab::cases::{self, Case};
use azote_lab::machine::Outcome;
use azote_lab::pieces::Pieces;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

/// Tries the card and its software with real VFIO, KVM and Linux, in an emulated host. Nothing is installed; what is needed
/// is downloaded once into target/lab.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask lab")]
struct Arguments {
    /// Cases to run, by name or its beginning; all without any. `list` lists them.
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
        return ExitCode::SUCCESS;
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
