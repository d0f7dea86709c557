//! Random commands, resets and faults on several VFs at once, against a model: as a case that can be kept, replayed and
//! made smaller.
//!
//! A case is a list of steps, and a step is one number, from which everything random about it comes. So a step does the
//! same whatever stands before it, as far as the state lets it, and steps can be left out.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a panic is what is looked for: `attempt` makes a finding of it

mod case;
mod minimise;
mod vf;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

use azote_manage::{Limits, Manager};
use azote_regs::function::{FunctionId, Kind, Role};
use azote_sim::{Card, FaultPlan, MediaFault, Options, ReadFault};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::rig::{self, Setup};
pub use case::{Case, Steps};
pub use minimise::minimise;
use vf::{BLOCKS, SLOTS, Vf, open};

/// VFs that work at once.
pub const VFS: usize = 3;

/// What a run did.
#[derive(Debug, Default, Clone)]
pub struct Report {
    /// Commands that were completed and compared.
    pub commands: u64,
    /// Resets of controllers and functions.
    pub resets: u64,
    /// Faults of the host's answers or of the medium.
    pub faults: u64,
    /// Submission queues deleted under load.
    pub deletions: u64,
    /// Times when all VFs were disabled under load.
    pub disables: u64,
    /// Limits and weights set, or lifted.
    pub limits: u64,
    /// Times when a VF's commands waited for its limit while its admin queue was asked something.
    pub held: u64,
    /// Clocks of the card.
    pub clocks: u64,
}

/// Runs a case. The steps that were begun are in `steps` whatever happens; a failure is its panic's text.
pub fn attempt(case: &Case, steps: &mut Vec<u64>) -> Result<Report, String> {
    std::panic::catch_unwind(AssertUnwindSafe(|| run(case, steps))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
    })
}

fn run(case: &Case, steps: &mut Vec<u64>) -> Report {
    let options = if case.rough { Options::rough(case.seed) } else { Options::default() };
    let card = Setup { options, ..Setup::default() }.card().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = (0..VFS).map(|i| folder.path().join(format!("vf{i}"))).collect();
    for p in &paths {
        rig::pattern(p, BLOCKS).unwrap();
    }
    rig::provision(&card, &paths.iter().map(|p| (p.as_path(), false)).collect::<Vec<_>>()).unwrap();
    let vfs = (0..VFS as u8).map(|index| {
        let (nvme, buffer) = open(&card, index);
        let path = paths[usize::from(index)].clone();
        let model = std::fs::read(&path).unwrap();
        let free = (0..SLOTS).collect();
        Vf { index, path, nvme: Some(nvme), buffer, model, flying: HashMap::new(), free, next: 0, done: 0 }
    });
    let manager = Manager::open(&*rig::function(&card, FunctionId::pf(Kind::Trust)).unwrap()).unwrap();
    let mut world = World { vfs: vfs.collect(), manager, card, report: Report::default(), planted: case.planted };
    let mut rng = SmallRng::seed_from_u64(case.seed);
    match &case.steps {
        Steps::Until(commands) => {
            while world.done() < *commands {
                let step = rng.random();
                steps.push(step);
                world.step(step, case.events);
            }
        }
        Steps::These(list) => {
            for step in list {
                steps.push(*step);
                world.step(*step, case.events);
            }
        }
    }
    for vf in &mut world.vfs {
        while !vf.flying.is_empty() {
            vf.collect(&mut rng);
        }
        vf.settle();
    }
    world.card.assert_clean();
    Report { commands: world.done(), clocks: world.card.clocks(), ..world.report }
}

struct World {
    vfs: Vec<Vf>,
    manager: Manager,
    card: Card,
    report: Report,
    planted: bool,
}

impl World {
    fn done(&self) -> u64 {
        self.vfs.iter().map(|v| v.done).sum()
    }

    fn step(&mut self, step: u64, events: bool) {
        let rng = &mut SmallRng::seed_from_u64(step);
        let at = rng.random_range(0..VFS);
        let vf = &mut self.vfs[at];
        match rng.random_range(0..2000) {
            0..=2 if events => {
                vf.reset(&self.card, rng);
                self.report.resets += 1;
                // A failure on purpose, to try what makes cases smaller: the third VF after a fault.
                assert!(!(self.planted && at == 2 && self.report.faults > 0), "planted");
            }
            3..=4 if events => self.fault(at, rng),
            5 if events => {
                vf.load(rng);
                vf.delete_queue(rng);
                vf.reset(&self.card, rng);
                self.report.deletions += 1;
            }
            6 if events => self.disable(rng),
            7..=8 => self.limit(at, rng),
            9..=999 => vf.submit(rng),
            _ => vf.collect(rng),
        }
        if rng.random_bool(0.2) {
            self.card.root().advance(rng.random_range(1..200));
        }
    }

    /// Another limit and weight for a VF, while it works. They slow it down and change nothing else: what is submitted under
    /// them is compared as ever, and resets and faults meet them as they come. The smallest limit there is stops a VF nearly;
    /// then it must answer admin commands, and go on where it stopped once the limit is lifted.
    fn limit(&mut self, at: usize, rng: &mut SmallRng) {
        let role = Role::Vf(at as u8);
        let weight = rng.random_range(0..16);
        let rate = |rng: &mut SmallRng, rates| if rng.random_bool(0.4) { 0 } else { rng.random_range::<u32, _>(rates) };
        let limits = Limits { commands: rate(rng, 8_000..60_000), blocks: rate(rng, 300_000..3_000_000), weight };
        self.report.limits += 1;
        if rng.random_bool(0.7) {
            self.manager.limit(role, limits).unwrap();
            return;
        }
        let least = if rng.random() { Limits { commands: 1, ..limits } } else { Limits { blocks: 1, ..limits } };
        self.manager.limit(role, least).unwrap();
        let vf = &mut self.vfs[at];
        vf.load(rng);
        for _ in 0..rng.random_range(1..16) {
            self.card.root().advance(2000);
        }
        vf.nvme().smart_log().unwrap();
        for queue in 0..2 {
            while vf.poll(queue) {}
        }
        self.report.held += u64::from(!vf.flying.is_empty());
        self.manager.limit(role, Limits { weight, ..Limits::default() }).unwrap();
        while !vf.flying.is_empty() {
            vf.collect(rng);
        }
    }

    /// Something goes wrong around one VF while it works; then all is well again, and a reset must bring it back.
    fn fault(&mut self, at: usize, rng: &mut SmallRng) {
        let function = rig::storage_vf(at as u8).unwrap().number();
        if rng.random_bool(0.7) {
            // Not `Duplicate`: on a busy link the second answer comes when its tag is in use again, and nobody can tell it from
            // the first answer to the new read.
            let faults = [
                ReadFault::Unsupported,
                ReadFault::Abort,
                ReadFault::Poisoned,
                ReadFault::Dropped,
                ReadFault::Late(rng.random_range(1..2000)),
            ];
            let fault = *faults.choose(rng).unwrap();
            let (skip, times) = (rng.random_range(0..8), rng.random_range(1..4));
            self.card.root().inject(FaultPlan { function: Some(function), skip, times, fault });
        } else {
            let lba = rng.random_range(0..BLOCKS);
            let (read, write) = (rng.random(), rng.random());
            let fault = MediaFault { volume: at as u8, lba, blocks: rng.random_range(1..2000), read, write };
            self.card.root().media().inject(fault);
        }
        self.vfs[at].load(rng);
        self.card.root().advance(rng.random_range(1..4000));
        self.card.root().heal();
        self.card.root().media().heal();
        self.vfs[at].reset(&self.card, rng);
        self.report.faults += 1;
    }

    /// All VFs go, whatever they were doing, and come back.
    fn disable(&mut self, rng: &mut SmallRng) {
        let pf = FunctionId::pf(Kind::Storage).number();
        for vf in &mut self.vfs {
            vf.load(rng);
        }
        self.card.root().advance(rng.random_range(1..2000));
        self.card.set_vfs(pf, 0).unwrap();
        for vf in &mut self.vfs {
            vf.nvme = None;
        }
        self.card.set_vfs(pf, 4).unwrap();
        for vf in &mut self.vfs {
            vf.reopen(&self.card);
            vf.settle();
        }
        self.report.disables += 1;
    }
}
