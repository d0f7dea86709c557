//! `cargo xtask bench`: the card's figures beside their bounds.

#![forbid(unsafe_code)]

mod bounds;
mod driver;
mod fairness;
mod guest;
mod sim;
mod storage;

use std::process::ExitCode;

use azote_tests::figures::{Figure, table};
use azote_tests::rig::Model;
use clap::{Parser, ValueEnum};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Clocks and bytes of the storage engine.
    Storage,
    /// Speed of the simulation.
    Sim,
    /// Instructions of the NVMe driver.
    Driver,
    /// Guests of our hypervisor, beside QEMU's, in an emulated host.
    Guest,
}

/// Measures the simulated card. Exit status 1 if a figure is below what it must be.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
struct Arguments {
    /// What to measure.
    what: What,
    /// One JSON object a line: name, value, unit, bound, ratio.
    #[arg(long)]
    json: bool,
    /// Commands of each measurement.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    commands: u64,
    /// VFs of each kind that the card is built with.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(8..=60))]
    vfs: u8,
    /// Measure the card in software instead: a check of the bench, not of the card.
    #[arg(long)]
    soft: bool,
    /// What `bench driver` runs under callgrind.
    #[arg(long, hide = true)]
    load: Option<String>,
}

impl Arguments {
    fn model(&self) -> Model {
        if self.soft { Model::Soft } else { Model::Rtl }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(what) = &arguments.load {
        return match driver::load(what, arguments.commands) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("bench: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let measured = match arguments.what {
        What::Storage => storage::measure(&arguments),
        What::Sim => sim::measure(&arguments),
        What::Driver => driver::measure(),
        What::Guest => guest::measure(&arguments),
    };
    let figures: Vec<Figure> = match measured {
        Ok(figures) => figures,
        Err(error) => {
            eprintln!("bench: {error}");
            return ExitCode::FAILURE;
        }
    };
    if arguments.json {
        for figure in &figures {
            println!("{}", figure.json());
        }
    } else {
        print!("{}", table(&figures));
    }
    if figures.iter().all(Figure::is_met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
