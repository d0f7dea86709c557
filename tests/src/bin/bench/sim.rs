//! `bench sim`: how fast the whole card simulates under load, and how fast cocotb would.

use std::path::Path;

use azote_cocotb::{Recording, Speed};
use azote_nvme::Controller;
use azote_tests::Result;
use azote_tests::figures::Figure;
use azote_tests::load::Load;
use azote_tests::processor::Start;
use azote_tests::rig::{Model, Setup, folder};

use crate::storage::{TOGETHER, clean, driver, rig, rig_of};
use crate::{Arguments, profile};

/// What a machine of two cores must reach. Not a bound of nature: there is none for a simulator.
const WANTED: f64 = 500_000.0;
/// The fastest that cocotb is known to drive a design of a few signals, in clocks a second (coreblocks' measurements).
const COCOTB: f64 = 9_000.0;
/// Of that ratio, what is asked: forty times.
const COCOTB_LEAST: f64 = 40.0 * COCOTB / WANTED;
/// Parts of the load that are measured one by one, here and by cocotb.
const PARTS: u64 = 5;
/// Clocks of the load that cocotb replays: some seconds of its time.
const REPLAYED: u64 = 40_000;

/// Measures it: clocks under load, by the time that they and everything around them took; and the same with cocotb.
pub fn measure(arguments: &Arguments) -> Result<Vec<Figure>> {
    let ours = speed(arguments)?;
    let mut figures = vec![Figure::rate("sim.clocks_per_second", ours, "clocks/s", WANTED).at_least(1.0)];
    // The card in software has no Verilog.
    if arguments.model() == Model::Rtl {
        let cocotb = cocotb(arguments)?.per_second();
        figures.push(
            Figure::rate("sim.vs_cocotb", ours / cocotb, "of cocotb's clocks/s", WANTED / COCOTB)
                .at_least(COCOTB_LEAST),
        );
    }
    if arguments.profile {
        print!("{}", profile::measure(arguments)?);
    }
    Ok(figures)
}

/// Clocks of the whole card, with its root complex, medium, checks and drivers, in a second of the processor's: nothing of
/// it runs beside anything else, so on a quiet machine that is a second of the clock on the wall. The best part of some:
/// a busy machine only ever takes away.
pub fn speed(arguments: &Arguments) -> Result<f64> {
    let (card, _folder) = rig(arguments, TOGETHER)?;
    let mut nvmes = (0..TOGETHER).map(|vf| driver(&card, vf)).collect::<Result<Vec<_>>>()?;
    let mut best = 0.0f64;
    for _ in 0..PARTS {
        let (start, clocks) = (Start::now()?, card.clocks());
        load((arguments.commands / PARTS).max(1)).run(&mut nvmes)?;
        best = best.max((card.clocks() - clocks) as f64 / start.elapsed()?.as_secs_f64());
    }
    clean(&card)?;
    Ok(best)
}

/// What a card of eight VFs is driven with.
pub fn load(commands: u64) -> Load {
    Load { bytes: 4096, depth: 32, commands, writes: 30, seed: 2 }
}

/// The beginning of the same load, replayed by cocotb on the same Verilog.
fn cocotb(arguments: &Arguments) -> Result<Speed> {
    let folder = folder()?;
    let (recording, begin) = record(arguments, &folder.path().join("recording"))?;
    eprintln!(
        "bench: cocotb replays {} clocks, the last {} are measured",
        recording.clocks(),
        recording.clocks() - begin
    );
    let built = azote_cocotb::build(&azote_rtl::card(arguments.vfs.into())?.text)?;
    Ok(azote_cocotb::replay(&built, &recording, begin, PARTS)?)
}

/// What crosses the ports from the card's reset through the load's first clocks, and the clock in which the load begins.
fn record(arguments: &Arguments, path: &Path) -> Result<(Recording, u64)> {
    let recording = Recording::create(path)?;
    let setup = Setup { vfs: arguments.vfs, recording: Some(recording.clone()), ..Setup::default() };
    let (card, _folder) = rig_of(&setup, TOGETHER)?;
    let mut nvmes: Vec<Controller> = (0..TOGETHER).map(|vf| driver(&card, vf)).collect::<Result<_>>()?;
    let begin = card.clocks();
    let mut ended = Ok(());
    load(u64::MAX).until(&mut nvmes, |_| {
        let enough = card.clocks() >= begin + REPLAYED;
        if enough {
            ended = recording.end();
        }
        enough
    })?;
    ended?;
    Ok((recording, begin))
}
