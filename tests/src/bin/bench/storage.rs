//! `bench storage`: one VF, random 4 KiB commands.

use azote_nvme::{Completions, Controller, Options as NvmeOptions};
use azote_sim::{Card, Options};
use azote_tests::figures::Figure;
use azote_tests::load::Load;
use azote_tests::rig::{Setup, controller, pattern, provision};
use azote_tests::{Error, Result};

use crate::{Arguments, bounds};

/// Bytes of each command.
const BYTES: u64 = 4096;
/// Blocks of the volume: 16 MiB.
const BLOCKS: u64 = 32768;

/// A card with a volume on VF 0, and the folder that the volume is in.
pub fn rig(arguments: &Arguments) -> Result<(Card, tempfile::TempDir)> {
    let folder = tempfile::tempdir().map_err(|source| Error::Io {
        what: "create a folder in",
        path: std::env::temp_dir(),
        source,
    })?;
    let path = folder.path().join("volume");
    pattern(&path, BLOCKS)?;
    let setup = Setup { model: arguments.model(), vfs: arguments.vfs, ..Setup::default() };
    let card = setup.card()?;
    provision(&card, &[(&path, false)])?;
    Ok((card, folder))
}

/// A driver on VF 0 that sleeps until interrupts come, as the bounds count them.
pub fn driver(card: &Card) -> Result<Controller> {
    let options = NvmeOptions { completions: Completions::Interrupts, ..NvmeOptions::default() };
    controller(card, 0, 8 << 20, options)
}

/// Measures them all.
pub fn measure(arguments: &Arguments) -> Result<Vec<Figure>> {
    let (card, _folder) = rig(arguments)?;
    let mut nvme = driver(&card)?;
    let max_payload = card.root().options().max_payload.into();
    let mut figures = Vec::new();
    for (name, write, beats) in [
        ("storage.read.4k.qd32.1vf", false, bounds::read(BYTES, max_payload)),
        ("storage.write.4k.qd32.1vf", true, bounds::write(BYTES, max_payload)),
    ] {
        let load = Load { bytes: BYTES, depth: 32, commands: arguments.commands, write, seed: 1 };
        let start = card.clocks();
        load.run(&mut nvme)?;
        let clocks = (card.clocks() - start) as f64;
        let value = (arguments.commands * BYTES) as f64 / clocks;
        figures.push(Figure::rate(name, value, "bytes/clock", BYTES as f64 / beats as f64).at_least(0.70));
    }
    figures.push(latency(&card, &mut nvme, max_payload)?);
    clean(&card)?;
    Ok(figures)
}

/// From the doorbell write to the interrupt, one command at a time; the mean of some.
fn latency(card: &Card, nvme: &mut Controller, max_payload: u64) -> Result<Figure> {
    let Options { read_latency, .. } = *card.root().options();
    const COMMANDS: u64 = 64;
    let mut clocks = 0;
    for seed in 0..COMMANDS {
        card.run_idle(10_000);
        card.root().interrupts().take_history();
        let start = card.clocks();
        Load { bytes: BYTES, depth: 1, commands: 1, write: false, seed }.run(nvme)?;
        let history = card.root().interrupts().take_history();
        let Some(first) = history.first() else {
            return Err(Error::Wrong("a read ended without an interrupt".into()));
        };
        clocks += first.clock + 1 - start;
    }
    let bound = bounds::latency(BYTES, max_payload, read_latency.into()) as f64;
    Ok(Figure::cost("storage.latency.read.4k.qd1", clocks as f64 / COMMANDS as f64, "clocks", bound))
}

/// Figures of a card that broke a rule are worth nothing.
pub fn clean(card: &Card) -> Result<()> {
    let root = card.root();
    match root.violations() {
        (0, _) => Ok(()),
        (count, kept) => {
            let first = kept.first().map(ToString::to_string).unwrap_or_default();
            Err(Error::Wrong(format!("{count} violation(s) of the rules while measuring, the first: {first}")))
        }
    }
}
