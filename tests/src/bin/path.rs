//! `cargo xtask path`: what moves on the card's ports while it serves one command, clock by clock.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

/// Which command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Read 4 KiB.
    Read,
    /// Write 4 KiB.
    Write,
}

/// Shows what moves on the card's ports, clock by clock, for 4 KiB commands on a VF. Clock 0 is the doorbell's first beat.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask path")]
struct Arguments {
    /// The command.
    #[arg(default_value = "read")]
    what: What,
    /// Commands in flight.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=32))]
    depth: u16,
    /// How many are shown, after as many that warm up.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    commands: u64,
    /// Write waves (FST) to this file, for the states inside the blocks; the first line says where to look.
    #[arg(long, value_name = "FILE.fst")]
    trace: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Arguments { what, depth, commands, trace } = Arguments::parse();
    let path = azote_tests::path::Path { write: what == What::Write, depth: depth.into(), commands, waves: trace };
    match path.run() {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("path: {error}");
            ExitCode::FAILURE
        }
    }
}
