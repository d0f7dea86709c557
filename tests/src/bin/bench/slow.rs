//! Media and hosts as slow as real ones: at depth the link is as full as with fast ones, and a slow volume costs the others nothing.

use azote_nvme::Controller;
use azote_sim::{Card, MediaOptions, Options};
use azote_tests::Result;
use azote_tests::figures::Figure;
use azote_tests::load::{Load, run_each};
use azote_tests::rig::Setup;

use crate::Arguments;
use crate::storage::{TOGETHER, WANTED, beats, clean, driver, rig_of};

/// Clocks that are measured.
const CLOCKS: u64 = 400_000;
/// Latencies of the medium: flash (100 us at 80 MHz) and a volume over a network (500 us).
const MEDIA: [(u32, &str); 2] = [(8_000, "slow8k"), (40_000, "slow40k")];
/// Latency of a volume that might as well be dead, and what the others must keep beside it.
const DEAD: u32 = 1_000_000;
const KEPT: f64 = 0.98;
/// Latency of a far host; each read up to a quarter more.
const HOST: u32 = 400;

/// Measures the media, on the card that the other loads ran on.
pub fn measure(card: &Card, nvmes: &mut [Controller]) -> Result<Vec<Figure>> {
    let options = card.root().options().clone();
    let mut figures = Vec::new();
    for (latency, suffix) in MEDIA {
        card.root().media().set_options(MediaOptions { latency, ..options.media });
        for (name, writes) in [("read", 0), ("write", 100), ("mix70", 30)] {
            let load = Load { bytes: 4096, depth: 32, commands: u64::MAX, writes, seed: 6 };
            let value = steady(card, nvmes, &vec![load; nvmes.len()], 3 * u64::from(latency))?.iter().sum::<f64>();
            let name = format!("storage.{name}.4k.qd32.8vf.{suffix}");
            let bound = 4096.0 / beats(4096, writes, &options);
            figures.push(Figure::rate(name, value, "bytes/clock", bound).at_least(WANTED));
        }
    }
    card.root().media().set_options(options.media);
    figures.push(beside_a_dead_one(card, nvmes)?);
    Ok(figures)
}

/// What seven volumes lose when an eighth takes for ever.
fn beside_a_dead_one(card: &Card, nvmes: &mut [Controller]) -> Result<Figure> {
    let load = Load { bytes: 4096, depth: 32, commands: u64::MAX, writes: 30, seed: 7 };
    let mut loads = vec![load; nvmes.len()];
    let mut of_seven = |loads: &[Load]| -> Result<f64> {
        let rates = steady(card, nvmes, loads, CLOCKS / 10)?;
        Ok(rates.iter().skip(1).sum())
    };
    loads[0].commands = 0;
    let alone = of_seven(&loads)?;
    let media = card.root().options().media;
    card.root().media().set_volume_options(0, Some(MediaOptions { latency: DEAD, ..media }));
    loads[0].commands = u64::MAX;
    let beside = of_seven(&loads);
    card.root().media().set_volume_options(0, None);
    Ok(Figure::rate("storage.fairness.slow", beside? / alone, "of what it is alone", 1.0).at_least(KEPT))
}

/// Measures a far host, on a card of its own.
pub fn far(arguments: &Arguments) -> Result<Vec<Figure>> {
    let options = Options { read_latency: HOST, read_jitter: HOST / 4, ..Options::default() };
    let setup = Setup { model: arguments.model(), vfs: arguments.vfs, options, ..Setup::default() };
    let (card, _folder) = rig_of(&setup, TOGETHER)?;
    let mut nvmes = (0..TOGETHER).map(|vf| driver(&card, vf)).collect::<Result<Vec<_>>>()?;
    let options = card.root().options().clone();
    let mut figures = Vec::new();
    for (name, writes) in [("read", 0), ("write", 100)] {
        let load = Load { bytes: 4096, depth: 32, commands: u64::MAX, writes, seed: 8 };
        let value = steady(&card, &mut nvmes, &[load; TOGETHER as usize], CLOCKS / 10)?.iter().sum::<f64>();
        let name = format!("storage.{name}.4k.qd32.8vf.host{HOST}");
        let bound = 4096.0 / beats(4096, writes, &options);
        figures.push(Figure::rate(name, value, "bytes/clock", bound).at_least(WANTED));
    }
    clean(&card)?;
    Ok(figures)
}

/// Bytes a clock of each controller, without the first clocks and without the end, when less and less is in flight.
fn steady(card: &Card, nvmes: &mut [Controller], loads: &[Load], first: u64) -> Result<Vec<f64>> {
    card.run_idle(10_000);
    let (start, mut from, mut clocks) = (card.clocks(), None, 0);
    let done = run_each(loads, nvmes, |done| {
        let now = card.clocks() - start;
        match &from {
            None if now >= first => from = Some((now, done.to_vec())),
            Some((at, _)) => clocks = now - at,
            None => {}
        }
        clocks >= CLOCKS
    })?;
    let before = from.map(|(_, done)| done).unwrap_or_default();
    let bytes = |(load, (done, before)): (&Load, (&u64, &u64))| ((done - before) * load.bytes) as f64;
    Ok(loads.iter().zip(done.iter().zip(&before)).map(|each| bytes(each) / clocks as f64).collect())
}
