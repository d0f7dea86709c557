//! Random commands, resets and faults on several VFs at once, against a model: as a case that can be kept, replayed and
//! made smaller.
//!
//! What takes long (a deletion, a reset, an FLR, a volume that is stuck) is begun in one step and looked at in later ones, so that
//! it happens beside everything else. Each wait has a bound in clocks; who stands still longer is a failure that says who waits for
//! what.
//!
//! A case is a list of steps, and a step is one number, from which everything random about it comes. So a step does the
//! same whatever stands before it, as far as the state lets it, and steps can be left out.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a panic is what is looked for: `attempt` makes a finding of it

mod case;
mod ends;
mod events;
mod minimise;
mod phase;
mod vf;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::Duration;

use azote_dma::Dma;
use azote_manage::Manager;
use azote_nvme::{Controller, Options as NvmeOptions};
use azote_regs::function::{FunctionId, Kind, Role};
use azote_sim::{Card, Options};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::rig::{self, Model, Setup};
pub use case::{Case, Steps};
pub use minimise::minimise;
use phase::Phase;
use vf::{SLOTS, VOLUME, Vf, open};

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
    /// Times when Bus Master Enable was turned off under load.
    pub mutes: u64,
    /// Times when a VF was taken offline under load.
    pub offline: u64,
    /// Times when a VF was bound anew.
    pub rebinds: u64,
    /// Times when a volume was stuck for a while.
    pub stuck: u64,
    /// Of all these, those that began beside a deletion or a reset that had not ended.
    pub beside: u64,
    /// Commands that a time-out ended.
    pub late: u64,
    /// Commands that an Abort ended.
    pub aborted: u64,
    /// Commands of which a deletion or a reset left no completion.
    pub cut: u64,
    /// Limits and weights set, or lifted.
    pub limits: u64,
    /// Times when a VF's commands waited for its limit while its admin queue was asked something.
    pub held: u64,
    /// Clocks of the card.
    pub clocks: u64,
}

/// Runs a case. The steps that were begun are in `steps` whatever happens; a failure is its panic's text.
pub fn attempt(case: &Case, steps: &mut Vec<u64>) -> Result<Report, String> {
    attempt_on(Model::Rtl, case, steps)
}

/// The same, on another model.
pub fn attempt_on(model: Model, case: &Case, steps: &mut Vec<u64>) -> Result<Report, String> {
    std::panic::catch_unwind(AssertUnwindSafe(|| run(model, case, steps))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
    })
}

fn run(model: Model, case: &Case, steps: &mut Vec<u64>) -> Report {
    let options = if case.rough { Options::rough(case.seed) } else { Options::default() };
    let card = Setup { model, options, ..Setup::default() }.card().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = (0..VFS).map(|i| folder.path().join(format!("vf{i}"))).collect();
    for p in &paths {
        rig::pattern(p, VOLUME).unwrap();
    }
    let manager = Manager::open(&*rig::function(&card, FunctionId::pf(Kind::Trust)).unwrap()).unwrap();
    rig::provision(&card, &paths.iter().map(|p| (p.as_path(), false)).collect::<Vec<_>>()).unwrap();
    let mut vfs = Vec::new();
    for (index, path) in (0u8..).zip(&paths) {
        let (nvme, buffer) = open(&card, index);
        vfs.push(Vf {
            index,
            path: path.clone(),
            nvme: Some(nvme),
            buffer,
            model: std::fs::read(path).unwrap(),
            base: 0,
            flying: BTreeMap::new(),
            free: (0..SLOTS).collect(),
            next: 0,
            done: 0,
            card: card.clone(),
            phase: Phase::Up,
            deleting: Default::default(),
            stuck: (0, 0),
            is_stuck: false,
            before: Vec::new(),
            seen: Default::default(),
        });
    }
    let options = NvmeOptions { events: 0, timeout: Duration::from_secs(4), ..NvmeOptions::default() };
    let pf = rig::function(&card, FunctionId::pf(Kind::Storage)).unwrap();
    let primary = Controller::open(pf, Dma::new(1 << 20).unwrap(), options).unwrap();
    let report = Report::default();
    let mut world = World { vfs, manager, primary, card, report, lost: [false; VFS], planted: case.planted };
    for vf in 0..VFS {
        let timeout =
            if world.vfs[vf].has_timeout() { Duration::from_millis(ends::TIMEOUT_MS) } else { Duration::ZERO };
        world.manager.set_timeout(Role::Vf(vf as u8), timeout).unwrap();
        world.bind(vf, 0);
    }
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
    world.finish(&mut rng);
    let seen = |of: fn(&vf::Seen) -> u64| world.vfs.iter().map(|vf| of(&vf.seen)).sum();
    let (late, aborted, cut) = (seen(|s| s.late), seen(|s| s.aborted), seen(|s| s.cut));
    Report { commands: world.done(), clocks: world.card.clocks(), late, aborted, cut, ..world.report }
}

struct World {
    vfs: Vec<Vf>,
    manager: Manager,
    /// The storage PF's.
    primary: Controller,
    card: Card,
    report: Report,
    /// Reads of the host's memory were lost: what waits for them takes longer.
    lost: [bool; VFS],
    planted: bool,
}

impl World {
    fn done(&self) -> u64 {
        self.vfs.iter().map(|v| v.done).sum()
    }

    fn step(&mut self, step: u64, events: bool) {
        let rng = &mut SmallRng::seed_from_u64(step);
        let at = rng.random_range(0..VFS);
        let event = rng.random_range(0..2000);
        for vf in &mut self.vfs {
            vf.unstick(false);
        }
        match event {
            0..60 if events || (40..43).contains(&event) => self.event(event, at, rng),
            60..1000 if self.vfs[at].phase == Phase::Up => self.vfs[at].submit(rng),
            _ => self.collect(at, rng),
        }
        if rng.random_bool(0.2) {
            self.card.root().advance(rng.random_range(1..200));
        }
    }

    /// What a VF has to tell.
    fn collect(&mut self, at: usize, rng: &mut SmallRng) {
        if self.vfs[at].phase == Phase::Up {
            self.vfs[at].collect(rng);
            if self.vfs[at].deleting == [None; 2] {
                return;
            }
        }
        if rng.random_bool(0.2) {
            self.look(at, rng);
        }
    }

    fn look(&mut self, at: usize, rng: &mut SmallRng) {
        let others: Vec<_> = self.vfs.iter().filter(|vf| vf.index != at as u8).map(Vf::waits).collect();
        if self.vfs[at].phase == Phase::Offline {
            self.online(at);
        } else {
            self.vfs[at].look(rng, self.lost[at], &others.join("; "));
        }
        self.lost[at] &= self.vfs[at].phase != Phase::Up;
    }

    /// Everything that was begun ends, and all is as the commands left it.
    fn finish(&mut self, rng: &mut SmallRng) {
        for at in 0..VFS {
            while self.vfs[at].phase != Phase::Up || self.vfs[at].deleting != [None; 2] {
                self.look(at, rng);
                self.vfs[at].unstick(true);
                self.card.root().advance(200);
            }
            self.vfs[at].unstick(true);
            self.vfs[at].drain();
            self.vfs[at].settle();
        }
        self.card.assert_clean();
    }
}
