//! How VFs share the card: alike when all want it, a quiet one beside busy ones, and those with limits.

use azote_manage::{Limits, Manager};
use azote_nvme::Controller;
use azote_regs::function::{FunctionId, Kind, Role};
use azote_regs::manage::RATE_CLOCKS;
use azote_regs::nvme::limits::LBA_SIZE;
use azote_sim::Card;
use azote_tests::figures::Figure;
use azote_tests::load::{Load, run_each};
use azote_tests::rig::{function, storage_vf};
use azote_tests::{Error, Result};

use crate::storage::TOGETHER;

const BYTES: u64 = 4096;
/// How far apart the VFs may be: the slowest beside the fastest.
const ALIKE: f64 = 0.95;
/// Foreign commands that a quiet VF may have to wait for.
const FOREIGN: f64 = 8.0;

/// Measures all of it.
pub fn measure(card: &Card, nvmes: &mut [Controller]) -> Result<Vec<Figure>> {
    let mut figures = vec![alike(nvmes)?, quiet(card, nvmes)?];
    figures.extend(limited(card, nvmes)?);
    Ok(figures)
}

/// All at once, without end: how much less than the fastest the slowest has done when the fastest has done enough.
fn alike(nvmes: &mut [Controller]) -> Result<Figure> {
    const ENOUGH: u64 = 500;
    let load = Load { bytes: BYTES, depth: 32, commands: u64::MAX, writes: 0, seed: 3 };
    let counts = load.until(nvmes, |done| done.iter().any(|&n| n >= ENOUGH))?;
    let (least, most) = (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(1));
    let share = least as f64 / most as f64;
    Ok(Figure::rate("storage.fairness.8vf", share, "slowest of fastest", 1.0).at_least(ALIKE))
}

/// One VF at depth 1 beside the others at 64: how many commands of others end between its doorbell and its interrupt, at
/// most. Interrupts are counted: at this depth and without coalescing, each command has one.
fn quiet(card: &Card, nvmes: &mut [Controller]) -> Result<Figure> {
    const COMMANDS: u64 = 50;
    let busy = Load { bytes: BYTES, depth: 64, commands: u64::MAX, writes: 0, seed: 4 };
    let mut loads = vec![busy; usize::from(TOGETHER)];
    loads[0] = Load { depth: 1, commands: COMMANDS, ..busy };
    card.run_idle(10_000);
    card.root().interrupts().take_history();
    run_each(&loads, nvmes, |done| done[0] == COMMANDS)?;
    let own: FunctionId = storage_vf(0)?;
    let history = card.root().interrupts().take_history();
    let places: Vec<usize> =
        history.iter().enumerate().filter(|(_, i)| i.function == own.number()).map(|(at, _)| at).collect();
    // The first two are from the start, when all begin at once and nobody is busy yet.
    let most = places.windows(2).skip(2).map(|pair| pair[1] - pair[0] - 1).max();
    let most = most.ok_or_else(|| Error::Wrong("the quiet VF had no interrupts".into()))?;
    Ok(Figure::cost("storage.fairness.quiet.8vf", most as f64, "foreign commands", FOREIGN).at_least(1.0))
}

/// A VF with a limit of commands, and one with a limit of blocks, beside six without: how near the limits each comes.
fn limited(card: &Card, nvmes: &mut [Controller]) -> Result<Vec<Figure>> {
    /// Clocks of the measurement.
    const CLOCKS: u64 = 400_000;
    let manager = Manager::open(&*function(card, FunctionId::pf(Kind::Trust))?)?;
    let commands = Limits { commands: 8_000, ..Limits::default() };
    let blocks = Limits { blocks: 50_000, ..Limits::default() };
    manager.limit(Role::Vf(0), commands)?;
    manager.limit(Role::Vf(1), blocks)?;
    let load = Load { bytes: BYTES, depth: 16, commands: u64::MAX, writes: 30, seed: 5 };
    // At first the limits are not known yet, for a round of the timer, and the buckets are full: that is not measured.
    let (start, mut from, mut to) = (card.clocks(), None, 0);
    let done = load.until(nvmes, |done| {
        to = card.clocks();
        if from.is_none() && to - start >= CLOCKS / 10 {
            from = Some((to, done.to_vec()));
        }
        to - start >= CLOCKS
    })?;
    let (from, before) = from.ok_or_else(|| Error::Wrong("the measurement was over at once".into()))?;
    let rounds = (to - from) as f64 / RATE_CLOCKS as f64;
    for vf in [0, 1] {
        manager.limit(Role::Vf(vf), Limits::default())?;
    }
    let part = |got: u64, limit: u32| got as f64 / (f64::from(limit) * rounds);
    let per_command = BYTES / LBA_SIZE;
    // Above its limit is as wrong as below.
    let within = |name, got: f64| Figure::rate(name, got.min(2.0 - got), "of its limit", 1.0).at_least(0.98);
    Ok(vec![
        within("storage.fairness.limit.commands.8vf", part(done[0] - before[0], commands.commands)),
        within("storage.fairness.limit.blocks.8vf", part((done[1] - before[1]) * per_command, blocks.blocks)),
    ])
}
