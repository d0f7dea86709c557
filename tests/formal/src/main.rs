//! `cargo xtask formal`: all proofs, then the broken designs, as a table. With names of designs behind it, only those.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use azote_formal::jobs::{FLAWS, How, JOBS};
use azote_formal::prove::{Answer, prove};
use azote_formal::{Error, Result};

fn main() -> ExitCode {
    match all() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(wrong) => {
            eprintln!("formal: {wrong} of the lines above are not as they must be");
            ExitCode::FAILURE
        }
        Err(e) => {
            eprintln!("formal: {e}");
            ExitCode::FAILURE
        }
    }
}

fn folder() -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| Path::new("target").to_owned(), PathBuf::from);
    let folder = target.join("formal");
    std::fs::create_dir_all(&folder).map_err(|source| Error::Io { path: folder.clone(), source })?;
    Ok(folder)
}

/// The number of answers that are not what they must be.
fn all() -> Result<usize> {
    let folder = folder()?;
    let names: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |job: &str| names.is_empty() || names.iter().any(|name| name == job);
    let mut wrong = 0;
    println!("{:<13} {:<6} {:<24} {:>7}  claim", "design", "rules", "proof", "time");
    for job in JOBS.iter().filter(|job| wanted(job.name)) {
        let start = Instant::now();
        let answer = prove(job, None, &folder)?;
        let how = match job.how {
            How::Bounded(n) => format!("bounded, {n} clocks"),
            How::Induction(n) => format!("by induction, {n} clocks"),
        };
        let time = start.elapsed().as_secs_f64();
        println!("{:<13} {:<6} {how:<24} {time:>5.1} s  {}", job.name, job.rules, job.claim);
        match answer {
            Answer::Holds => continue,
            Answer::Fails { checks, trace } => say("FAILS", &checks, &trace),
            Answer::Open { checks, trace } => say("DOES NOT CLOSE", &checks, &trace),
        }
        wrong += 1;
    }
    println!("\nbroken designs, of which each must be caught:");
    for flaw in FLAWS.iter().filter(|flaw| wanted(flaw.job)) {
        let Some(job) = JOBS.iter().find(|job| job.name == flaw.job) else { continue };
        let start = Instant::now();
        let answer = prove(job, Some(flaw), &folder)?;
        let time = start.elapsed().as_secs_f64();
        match answer {
            Answer::Fails { checks, trace } if checks.iter().any(|c| c == flaw.caught_by) => {
                println!("caught  {time:>5.1} s  {}: \"{}\", {}", flaw.name, flaw.caught_by, trace.display());
            }
            Answer::Fails { checks, trace } => {
                println!("caught by another check than \"{}\": {}", flaw.caught_by, flaw.name);
                say("IT WAS", &checks, &trace);
                wrong += 1;
            }
            _ => {
                println!("MISSED  {time:>5.1} s  {}", flaw.name);
                wrong += 1;
            }
        }
    }
    Ok(wrong)
}

fn say(what: &str, checks: &[String], trace: &Path) {
    for check in checks {
        println!("    {what}: {check}");
    }
    println!("    trace: {}", trace.display());
}
