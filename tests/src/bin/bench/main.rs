//! `cargo xtask bench`: the card's figures beside their bounds.

#![forbid(unsafe_code)]

mod bounds;
mod cells;
mod conditions;
mod driver;
mod fairness;
mod guest;
mod net;
mod page;
mod profile;
mod rounds;
mod sim;
mod slow;
mod storage;
mod sweep;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use azote_files::{Inputs, Output};
use azote_tests::figures::{Figure, table};
use azote_tests::rig::Model;
use azote_tests::{Error, Result};
use clap::{Parser, ValueEnum};
use conditions::Conditions;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Clocks and bytes of the storage engine, and all that follows up to guests.
    Storage,
    /// Clocks and bytes of the net engine.
    Net,
    /// Instructions of the NVMe driver.
    Driver,
    /// Cells and memory at 4, 8 and 60 VFs a kind; minutes for each when the card's Verilog has changed.
    Cells,
    /// Speed of the simulation, and beside that of cocotb.
    Sim,
    /// Guests of our hypervisor, beside QEMU's, in an emulated host.
    Guest,
    /// Throughput at every depth and number of VFs, and distributions of latency: what the page draws.
    Curves,
}

/// Measures the simulated card. Exit status 1 if a figure is below what it must be.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
struct Arguments {
    /// What to measure.
    #[arg(required_unless_present = "html")]
    what: Option<What>,
    /// Write a page with everything but guests, and with curves of throughput and latency beside; to target/bench.html
    /// unless FILE is given, which ends in `.html`.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "target/bench.html", value_parser = html)]
    html: Option<PathBuf>,
    /// Of `storage` only the engine itself: seconds.
    #[arg(long)]
    quick: bool,
    /// Of `sim` also where the time goes, by block of the card; a minute more when the card's Verilog has changed.
    #[arg(long)]
    profile: bool,
    /// One JSON object a line: the conditions, then name, value, unit, bound and ratio of each figure; of `curves` the points and
    /// the distributions.
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

/// Anything else is more likely a word of the command than a name.
fn html(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let is_page = path.extension().is_some_and(|extension| extension == "html");
    is_page
        .then_some(path)
        .ok_or_else(|| "the page's name ends in .html; what is to be measured stands before --html".into())
}

impl Arguments {
    /// That every option has an effect on what is measured.
    fn check(&self) -> Result<()> {
        let what =
            self.what.and_then(|what| what.to_possible_value()).map_or("--html".into(), |v| v.get_name().to_owned());
        let on = |kinds: &[What]| self.what.is_none_or(|what| kinds.contains(&what));
        let refused = match self.what {
            _ if self.quick && self.what != Some(What::Storage) => "--quick",
            _ if self.profile && self.what != Some(What::Sim) => "--profile",
            _ if self.soft && !on(&[What::Storage, What::Net, What::Curves]) => "--soft",
            _ => return Ok(()),
        };
        Err(Error::Wrong(format!("{refused} has no effect on `bench {what}`")))
    }

    fn model(&self) -> Model {
        if self.soft { Model::Soft } else { Model::Rtl }
    }

    /// What is measured, in this order.
    fn sections(&self) -> Vec<What> {
        match self.what {
            // Nor are they figures: they are printed by themselves.
            Some(What::Curves) => Vec::new(),
            // Neither cells nor the driver depend on what the card is simulated by.
            Some(What::Storage) if self.quick || self.soft => vec![What::Storage],
            Some(What::Storage) | None => vec![What::Storage, What::Driver, What::Cells, What::Sim],
            Some(what) => vec![what],
        }
    }

    fn measure(&self, what: What) -> Result<Vec<Figure>> {
        match what {
            What::Storage => storage::measure(self),
            What::Net => net::measure(self),
            What::Driver => driver::measure(),
            What::Cells => cells::measure(),
            What::Sim => sim::measure(self),
            What::Guest => guest::measure(self),
            What::Curves => Ok(Vec::new()),
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.load {
        Some(what) => driver::load(what, arguments.commands).map(|()| true),
        None => run(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and prints; true if every figure is as it must be.
fn run(arguments: &Arguments) -> Result<bool> {
    arguments.check()?;
    let conditions = Conditions::of(arguments);
    if arguments.json {
        println!("{}", conditions.json());
    }
    if arguments.what == Some(What::Curves) {
        let (points, latencies) = sweep::measure(arguments)?;
        match arguments.json {
            true => sweep::lines(&points, &latencies).iter().for_each(|line| println!("{line}")),
            false => print!("{}", sweep::table(&points, &latencies)),
        }
        if let Some(path) = &arguments.html {
            let measured = page::Measured { figures: Vec::new(), points, latencies, growth: None, conditions };
            write_page(path, &measured)?;
        }
        return Ok(true);
    }
    let mut figures = Vec::new();
    let mut failed = None;
    for what in arguments.sections() {
        eprintln!("bench: {}", what.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned()));
        match arguments.measure(what) {
            Ok(measured) => figures.extend(measured),
            // What was measured before is worth seeing all the same.
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    if arguments.json {
        for figure in &figures {
            println!("{}", figure.json());
        }
    } else {
        print!("{}", table(&figures));
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let met = figures.iter().all(Figure::is_met);
    if let Some(path) = &arguments.html {
        eprintln!("bench: curves for the page");
        let (points, latencies) = sweep::measure(arguments)?;
        let growth = if arguments.soft { None } else { Some(cells::growth()?) };
        if arguments.json {
            sweep::lines(&points, &latencies).iter().for_each(|line| println!("{line}"));
        }
        write_page(path, &page::Measured { figures, points, latencies, growth, conditions })?;
    }
    Ok(met)
}

fn write_page(path: &Path, measured: &page::Measured) -> Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let failed = |source| Error::Io { what: "make the folder", path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut output = Output::create(path, &Inputs::new())?;
    let written = output.write_all(page::page(measured).as_bytes());
    written.map_err(|source| Error::Io { what: "write", path: path.to_owned(), source })?;
    output.finish()?;
    let shown = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    eprintln!("bench: the page is {}", shown.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_without_an_effect_is_an_error() {
        let check = |line: &str| Arguments::try_parse_from(line.split(' ')).unwrap().check().map_err(|e| e.to_string());
        check("bench storage --quick --soft").unwrap();
        check("bench --html --soft").unwrap();
        assert_eq!(check("bench driver --soft").unwrap_err(), "--soft has no effect on `bench driver`");
        check("bench sim --profile").unwrap();
        assert_eq!(check("bench storage --profile").unwrap_err(), "--profile has no effect on `bench storage`");
        assert_eq!(check("bench curves --quick").unwrap_err(), "--quick has no effect on `bench curves`");
    }
}
