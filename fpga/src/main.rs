//! `cargo xtask fpga`: the card core on a real device, as far as tools can say.

#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;

use azote_fpga::report::{self, Growth};
use azote_fpga::{Error, Netlist, device, place, synth};
use clap::Parser;

/// The page that keeps the last report, and the number of VFs a kind that it is about.
const PAGE: &str = "../docs/silicon.md";
const VFS: usize = 8;
/// What stands side by side.
const SIZES: [usize; 3] = [4, 8, 60];

/// Synthesizes the card core for LFE5UM5G-85F, places and routes it behind a pin harness, and reports cells by block, the
/// clock it reaches, and its worst paths. Exit status 1 if it does not fit or is too slow.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask fpga")]
struct Arguments {
    /// The core alone, behind a pin harness (there is no board yet).
    #[arg(long, required = true)]
    core: bool,
    /// Stop after synthesis: what CI runs.
    #[arg(long, conflicts_with = "quick")]
    synth_only: bool,
    /// Only this core, placed and routed: no sizes side by side, which take three more syntheses.
    #[arg(long)]
    quick: bool,
    /// VFs of each kind that the core is built with.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=60))]
    vfs: u8,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fpga: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    let vfs = usize::from(arguments.vfs);
    if arguments.synth_only {
        let netlist = azote_fpga::keep(vfs)?;
        println!("{}", report::blocks(&netlist));
        fit(&netlist)?;
        return growth().map(|growth| println!("{}", growth.table()));
    }
    let design = azote_fpga::pins::design(vfs)?;
    let synthesis =
        synth::synthesize(&design, &format!("synthesis of the core with {vfs} VFs a kind, in its harness"))?;
    println!("{}", report::blocks(&synthesis.netlist));
    fit(&synthesis.netlist)?;
    let routed = place::place(&synthesis)?;
    println!("{}\n{}\n{:.1} MHz", report::used(&routed), report::paths(&routed), routed.fmax);
    let growth = if arguments.quick { None } else { Some(growth()?) };
    if let Some(growth) = &growth {
        println!("\n{}", growth.table());
    }
    if vfs == VFS {
        let page = report::page(vfs, &synthesis.tool, &synthesis.netlist, &routed, growth.as_ref());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
        azote_fpga::replace(&path, &page)?;
    }
    if routed.fmax < device::LEAST_MHZ {
        return Err(Error::TooSlow { fmax: routed.fmax, asked: device::LEAST_MHZ });
    }
    Ok(())
}

fn growth() -> Result<Growth, Error> {
    let sizes = SIZES.map(|vfs| azote_fpga::keep(vfs).map(|netlist| (vfs, netlist.whole())));
    Ok(Growth { sizes: sizes.into_iter().collect::<Result<_, _>>()? })
}

fn fit(netlist: &Netlist) -> Result<(), Error> {
    azote_fpga::fits(netlist)?;
    let cells = netlist.whole().cells;
    println!(
        "{}: {} of {} places for a LUT4, {} of {} block RAMs, {} of {} multipliers\n",
        device::NAME,
        cells.places(),
        device::LUTS,
        cells.block_ram,
        device::BLOCK_RAMS,
        cells.multiplier,
        device::MULTIPLIERS
    );
    Ok(())
}
