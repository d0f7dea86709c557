//! `bench storage`: random commands on one VF and on eight, alone and mixed, and how they share the card.

use azote_nvme::{Completions, Controller, Options as NvmeOptions};
use azote_sim::{Card, Options};
use azote_tests::figures::Figure;
use azote_tests::load::Load;
use azote_tests::rig::{Setup, controller, folder, pattern, provision};
use azote_tests::{Error, Result};

use crate::{Arguments, bounds, fairness, slow};

/// Blocks of each volume: 16 MiB.
const BLOCKS: u64 = 32768;
/// VFs that are driven at once, where it is not one.
pub const TOGETHER: u8 = 8;
/// The part of a bound that must be reached.
pub const WANTED: f64 = 0.95;
/// Clocks that a read may take, and a write.
const LATENCY: [f64; 2] = [380.0, 420.0];

/// A card with a volume on each of its first `volumes` VFs, and the folder that they are in.
pub fn rig(arguments: &Arguments, volumes: u8) -> Result<(Card, tempfile::TempDir)> {
    rig_of(&Setup { model: arguments.model(), vfs: arguments.vfs, ..Setup::default() }, volumes)
}

/// The same, made as `setup` says.
pub fn rig_of(setup: &Setup, volumes: u8) -> Result<(Card, tempfile::TempDir)> {
    rig_on(volumes, || setup.card())
}

/// The same, with a card that is made in another way.
pub fn rig_on(volumes: u8, card: impl FnOnce() -> Result<Card>) -> Result<(Card, tempfile::TempDir)> {
    let folder = folder()?;
    let paths: Vec<_> = (0..volumes).map(|i| folder.path().join(format!("volume{i}"))).collect();
    for path in &paths {
        pattern(path, BLOCKS)?;
    }
    let card = card()?;
    let images: Vec<_> = paths.iter().map(|path| (path.as_path(), false)).collect();
    provision(&card, &images)?;
    Ok((card, folder))
}

/// A driver on a VF that sleeps until interrupts come, as the bounds count them.
pub fn driver(card: &Card, vf: u8) -> Result<Controller> {
    let options = NvmeOptions { completions: Completions::Interrupts, depth: 128, ..NvmeOptions::default() };
    controller(card, vf, 32 << 20, options)
}

/// Measures them all.
pub fn measure(arguments: &Arguments) -> Result<Vec<Figure>> {
    let (card, _folder) = rig(arguments, TOGETHER)?;
    let mut nvmes = (0..TOGETHER).map(|vf| driver(&card, vf)).collect::<Result<Vec<_>>>()?;
    let options = card.root().options().clone();
    let mut figures = Vec::new();
    for (name, bytes, vfs, writes) in [
        ("storage.read.4k.qd32.1vf", 4 << 10, 1, 0),
        ("storage.write.4k.qd32.1vf", 4 << 10, 1, 100),
        ("storage.read.128k.qd32.1vf", 128 << 10, 1, 0),
        ("storage.write.128k.qd32.1vf", 128 << 10, 1, 100),
        ("storage.read.4k.qd32.8vf", 4 << 10, TOGETHER, 0),
        ("storage.write.4k.qd32.8vf", 4 << 10, TOGETHER, 100),
        ("storage.read.128k.qd32.8vf", 128 << 10, TOGETHER, 0),
        ("storage.write.128k.qd32.8vf", 128 << 10, TOGETHER, 100),
        ("storage.mix70.4k.qd32.8vf", 4 << 10, TOGETHER, 30),
        ("storage.read.512.qd32.8vf", 512, TOGETHER, 0),
        ("storage.write.512.qd32.8vf", 512, TOGETHER, 100),
    ] {
        // As many bytes with long commands as with short ones would take too long; as many commands too few bytes.
        let commands = (arguments.commands * 4096 / bytes).max(100) / u64::from(vfs) * if bytes > 4096 { 2 } else { 1 };
        let load = Load { bytes, depth: 32, commands, writes, seed: 1 };
        let value = rate(&card, &mut nvmes[..usize::from(vfs)], load)?;
        let bound = bytes as f64 / beats(bytes, writes, &options);
        figures.push(Figure::rate(name, value, "bytes/clock", bound).at_least(WANTED));
    }
    for write in [false, true] {
        figures.push(latency(&card, &mut nvmes[..1], &options, write)?);
    }
    figures.extend(fairness::measure(&card, &mut nvmes)?);
    figures.extend(slow::measure(&card, &mut nvmes)?);
    clean(&card)?;
    figures.extend(slow::far(arguments)?);
    Ok(figures)
}

/// Beats that a command takes at least of the direction that is busier, if so many of a hundred write.
pub fn beats(bytes: u64, writes: u32, options: &Options) -> f64 {
    let (payload, request) = (options.max_payload.into(), options.max_read.into());
    match writes {
        0 => bounds::read(bytes, payload) as f64,
        100 => bounds::write(bytes, payload) as f64,
        _ => bounds::mixed(bytes, payload, request, writes.into()) as f64 / 100.0,
    }
}

/// Bytes a clock of a load, from its first doorbell to its last interrupt.
pub fn rate(card: &Card, nvmes: &mut [Controller], load: Load) -> Result<f64> {
    card.run_idle(10_000);
    let start = card.clocks();
    load.run(nvmes)?;
    Ok((load.commands * nvmes.len() as u64 * load.bytes) as f64 / (card.clocks() - start) as f64)
}

/// From the doorbell write to the interrupt, one command at a time; the mean of some.
fn latency(card: &Card, nvme: &mut [Controller], options: &Options, write: bool) -> Result<Figure> {
    const COMMANDS: u64 = 64;
    const BYTES: u64 = 4096;
    let mut clocks = 0;
    for seed in 0..COMMANDS {
        card.run_idle(10_000);
        card.root().interrupts().take_history();
        let start = card.clocks();
        Load { bytes: BYTES, depth: 1, commands: 1, writes: if write { 100 } else { 0 }, seed }.run(nvme)?;
        let history = card.root().interrupts().take_history();
        let Some(first) = history.first() else {
            return Err(Error::Wrong("a command ended without an interrupt".into()));
        };
        clocks += first.clock + 1 - start;
    }
    let (payload, host) = (options.max_payload.into(), options.read_latency.into());
    let (name, bound) = match write {
        false => ("storage.latency.read.4k.qd1", bounds::latency(BYTES, payload, host)),
        true => ("storage.latency.write.4k.qd1", bounds::write_latency(BYTES, payload, host)),
    };
    let figure = Figure::cost(name, clocks as f64 / COMMANDS as f64, "clocks", bound as f64);
    Ok(figure.at_least(bound as f64 / LATENCY[usize::from(write)]))
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
