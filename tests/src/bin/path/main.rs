//! `cargo xtask path`: what moves on the card's ports while it serves one command, clock by clock. The numbers of
//! `docs/path-of-a-read.md` come from here.

#![forbid(unsafe_code)]

mod record;

use std::path::PathBuf;
use std::process::ExitCode;

use azote_nvme::{Completions, Options as NvmeOptions};
use azote_sim::{Card, Hardware};
use azote_tests::load::Load;
use azote_tests::rig::{controller, pattern, provision};
use azote_tests::{Error, Result};
use clap::{Parser, ValueEnum};

use record::Recorder;

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
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("path: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Blocks of the volume: 1 MiB.
const BLOCKS: u64 = 2048;

fn run(arguments: &Arguments) -> Result<()> {
    let folder = tempfile::tempdir().map_err(|source| Error::Io {
        what: "create a folder in",
        path: std::env::temp_dir(),
        source,
    })?;
    let image = folder.path().join("volume");
    pattern(&image, BLOCKS)?;
    let design = azote_rtl::card(4)?;
    let options = azote_verilate::Options::fast().with_trace(arguments.trace.is_some());
    let (device, record) = Recorder::new(Hardware::build(design.text, &options)?);
    let card = match &arguments.trace {
        Some(path) => Card::traced(Box::new(device), azote_sim::Options::default(), path)?,
        None => Card::over(Box::new(device), azote_sim::Options::default())?,
    };
    provision(&card, &[(&image, false)])?;
    let options = NvmeOptions { completions: Completions::Interrupts, ..NvmeOptions::default() };
    let mut nvme = controller(&card, 0, 8 << 20, options)?;
    let write = arguments.what == What::Write;
    let load = |seed| Load { bytes: 4096, depth: arguments.depth.into(), commands: arguments.commands, write, seed };
    load(1).run(&mut nvme)?;
    card.run_idle(10_000);
    record.clear();
    load(2).run(&mut nvme)?;
    card.run_idle(10_000);
    card.assert_clean();
    print!("{}", record.report());
    Ok(())
}
