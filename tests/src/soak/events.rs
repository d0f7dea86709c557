//! What happens to VFs beside their commands: each begins something, and waits for nothing that another VF could hold up.

use azote_manage::{Limits, Volume};
use azote_nvme::{Command, Data};
use azote_regs::bar;
use azote_regs::function::{FunctionId, Kind, Role};
use azote_regs::nvme::{command as cmd, controller as regs, opcode, virtualization as virt};
use azote_sim::{FaultPlan, MediaFault, MediaOptions, ReadFault};
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use super::World;
use super::ends::TIMEOUT_MS;
use super::phase::Phase;
use super::vf::{BLOCKS, QUEUES, Vf};
use crate::rig;

impl World {
    /// One of sixty.
    pub fn event(&mut self, event: u32, at: usize, rng: &mut SmallRng) {
        // A failure on purpose, to try what makes cases smaller: the third VF after a fault.
        assert!(!(self.planted && event < 6 && at == 2 && self.report.faults > 0), "planted");
        let busy = self.vfs.iter().any(|vf| vf.phase != Phase::Up || vf.deleting != [None; 2]);
        let begun = match event {
            0..6 => self.reset(at, rng),
            6..10 => self.fault(at, rng),
            10..18 => self.delete(at, rng),
            18 => self.disable(rng),
            19..21 => self.mute(at, rng),
            21..23 => self.offline(at, rng),
            23..27 => self.rebind(at, rng),
            27..32 => self.slow(at, rng),
            32..40 => self.abort(at, rng),
            40..43 => self.limit(at, rng),
            _ => self.stick(at, rng),
        };
        self.report.beside += u64::from(begun && busy && !(27..43).contains(&event));
    }

    /// CC.EN 1 to 0 or FLR; also FLR of a controller that is being closed.
    fn reset(&mut self, at: usize, rng: &mut SmallRng) -> bool {
        let vf = &mut self.vfs[at];
        match vf.phase {
            Phase::Up => vf.begin_reset(rng),
            Phase::Closing(_) => vf.begin_flr(),
            _ => return false,
        }
        self.report.resets += 1;
        true
    }

    /// Something goes wrong around one VF while it works; then all is well again, and a reset must bring it back.
    fn fault(&mut self, at: usize, rng: &mut SmallRng) -> bool {
        if self.vfs[at].phase != Phase::Up {
            return false;
        }
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
            self.lost[at] = true;
        } else {
            let lba = self.vfs[at].base + rng.random_range(0..BLOCKS);
            let (read, write) = (rng.random(), rng.random());
            let fault = MediaFault { volume: at as u8, lba, blocks: rng.random_range(1..2000), read, write };
            self.card.root().media().inject(fault);
        }
        self.vfs[at].load(rng);
        self.card.root().advance(rng.random_range(1..4000));
        self.card.root().heal();
        self.card.root().media().heal();
        self.vfs[at].begin_reset(rng);
        self.report.faults += 1;
        true
    }

    /// One queue is deleted, or both, with commands in them.
    fn delete(&mut self, at: usize, rng: &mut SmallRng) -> bool {
        let vf = &mut self.vfs[at];
        if vf.phase != Phase::Up {
            return false;
        }
        vf.load(rng);
        let first = rng.random_range(0..QUEUES);
        let count = rng.random_range(1..=2);
        let mut begun = false;
        for queue in [first, 1 - first].into_iter().take(count) {
            if vf.deleting[queue].is_none() {
                vf.begin_delete(queue);
                self.report.deletions += 1;
                begun = true;
            }
        }
        begun
    }

    /// All VFs go, whatever they were doing, and come back.
    fn disable(&mut self, rng: &mut SmallRng) -> bool {
        let pf = FunctionId::pf(Kind::Storage).number();
        for at in 0..self.vfs.len() {
            match self.vfs[at].phase {
                Phase::Up => self.vfs[at].load(rng),
                Phase::Offline => self.online(at),
                _ => {}
            }
        }
        self.card.root().advance(rng.random_range(1..2000));
        self.card.set_vfs(pf, 0).unwrap();
        for vf in &mut self.vfs {
            vf.nvme = None;
        }
        self.card.set_vfs(pf, 4).unwrap();
        for vf in &mut self.vfs {
            vf.reopen();
            vf.up();
        }
        self.report.disables += 1;
        true
    }

    fn mute(&mut self, at: usize, rng: &mut SmallRng) -> bool {
        let vf = &mut self.vfs[at];
        if vf.phase != Phase::Up {
            return false;
        }
        vf.load(rng);
        vf.mute();
        self.report.mutes += 1;
        true
    }

    fn manage(&mut self, at: usize, action: u64) {
        let id = u64::from(rig::storage_vf(at as u8).unwrap().number());
        let cdw10 = virt::ACT.put(action) | virt::CNTLID.put(id);
        let command =
            Command { opcode: virt::OPCODE as u8, nsid: 0, cdw: [cdw10 as u32, 0, 0, 0, 0, 0], data: Data::None };
        let ended = self.primary.admin_command(command);
        let all: Vec<_> = self.vfs.iter().map(Vf::waits).collect();
        ended.unwrap_or_else(|e| panic!("the PF: action {action} on VF {at}: {e}; {all:?}"));
    }

    fn offline(&mut self, at: usize, rng: &mut SmallRng) -> bool {
        if !matches!(self.vfs[at].phase, Phase::Up | Phase::Closing(_)) {
            return false;
        }
        if self.vfs[at].phase == Phase::Up {
            self.vfs[at].load(rng);
        }
        self.manage(at, virt::OFFLINE);
        self.vfs[at].phase = Phase::Offline;
        self.report.offline += 1;
        true
    }

    /// Its primary gives it back. It has forgotten nothing for certain, so FLR follows.
    pub fn online(&mut self, at: usize) {
        let registers = self.vfs[at].nvme().function().bar(bar::BAR0 as usize).unwrap();
        let csts = registers.read32(regs::CSTS).unwrap();
        assert_eq!(u64::from(csts), regs::CSTS_CFS.mask(), "VF {at}: offline, it says another status");
        self.manage(at, virt::ONLINE);
        self.vfs[at].begin_flr();
    }

    /// Gives a VF a half of its volume. False if the card says that it is busy, as it may while commands run that were sent before
    /// the last time.
    pub fn bind(&mut self, at: usize, base: u64) -> bool {
        let role = Role::Vf(at as u8);
        if self.manager.is_busy(role).unwrap() {
            let vf = &self.vfs[at];
            if vf.phase == Phase::Up && !vf.before.iter().any(|user| vf.flying.contains_key(user)) {
                self.card.root().advance(20_000);
                let still = self.manager.is_busy(role).unwrap();
                assert!(!still, "VF {at}: its old binding is busy, with nothing under way; {}", vf.waits());
            }
            return false;
        }
        let volume = Volume { id: at as u8, base, blocks: BLOCKS, read_only: false, large_blocks: false };
        self.manager.bind(role, volume).unwrap();
        let vf = &mut self.vfs[at];
        vf.base = base;
        vf.before = vf.flying.keys().copied().collect();
        true
    }

    /// Bound anew: with nothing in flight to the other half, else to the same.
    fn rebind(&mut self, at: usize, rng: &mut SmallRng) -> bool {
        if self.vfs[at].phase == Phase::Up && rng.random() {
            self.vfs[at].load(rng);
        }
        let vf = &self.vfs[at];
        let base = if vf.flying.is_empty() { BLOCKS - vf.base } else { vf.base };
        let bound = self.bind(at, base);
        self.report.rebinds += u64::from(bound);
        bound
    }

    /// The volume gets slower, or as fast as it was.
    fn slow(&mut self, at: usize, rng: &mut SmallRng) -> bool {
        let usual = self.card.root().options().media;
        let latency = if rng.random_bool(0.3) { usual.latency } else { rng.random_range(0..3000) };
        let jitter = if rng.random() { usual.jitter } else { rng.random_range(0..3000) };
        let depth = *[1, 4, 16, usual.depth].choose(rng).unwrap();
        self.vfs[at].medium(|now| MediaOptions {
            latency,
            jitter,
            depth: if latency > 1000 { usual.depth.max(8) } else { depth },
            ..now
        });
        true
    }

    /// The volume answers nothing for a while; now and then until the function's time-out.
    fn stick(&mut self, at: usize, rng: &mut SmallRng) -> bool {
        let long = rng.random_bool(0.03);
        let vf = &mut self.vfs[at];
        if vf.is_stuck {
            return false;
        }
        if vf.phase == Phase::Up {
            vf.load(rng);
        }
        let clocks = if long && vf.has_timeout() {
            (TIMEOUT_MS + 2) * 1000 * azote_regs::clock::MHZ
        } else {
            rng.random_range(1000..15_000)
        };
        vf.stuck = (vf.now(), vf.now() + clocks);
        vf.is_stuck = true;
        vf.medium(|now| MediaOptions { stuck: true, ..now });
        self.report.stuck += 1;
        true
    }

    /// Abort of something in flight.
    fn abort(&mut self, at: usize, rng: &mut SmallRng) -> bool {
        let vf = &mut self.vfs[at];
        if vf.phase != Phase::Up {
            return false;
        }
        vf.load(rng);
        self.card.root().advance(rng.random_range(1..1000));
        let users: Vec<_> = vf.flying.keys().copied().collect();
        let Some(user) = users.choose(rng).copied() else { return false };
        let queue = vf.flying[&user].queue;
        let Some(id) = vf.nvme().command_id(queue, user) else { return false };
        let cdw10 = cmd::ABORT_SQID.put(queue as u64 + 1) | cmd::ABORT_CID.put(id.into());
        let command =
            Command { opcode: opcode::ABORT as u8, nsid: 0, cdw: [cdw10 as u32, 0, 0, 0, 0, 0], data: Data::None };
        let said = vf.nvme().admin_command(command);
        let said = said.unwrap_or_else(|e| panic!("VF {at}: Abort: {e}; {}", vf.waits()));
        if let Some(flight) = vf.flying.get_mut(&user) {
            flight.aborted |= !cmd::ABORT_NOT_DONE.is_set(said.into());
        }
        true
    }

    /// Another limit and weight for a VF, while it works. They slow it down and change nothing else: what is submitted under
    /// them is compared as ever, and resets and faults meet them as they come. The smallest limit there is stops a VF nearly;
    /// then it must answer admin commands, and go on where it stopped once the limit is lifted.
    fn limit(&mut self, at: usize, rng: &mut SmallRng) -> bool {
        let role = Role::Vf(at as u8);
        let weight = rng.random_range(0..16);
        let rate = |rng: &mut SmallRng, rates| if rng.random_bool(0.4) { 0 } else { rng.random_range::<u32, _>(rates) };
        let limits = Limits { commands: rate(rng, 8_000..60_000), blocks: rate(rng, 300_000..3_000_000), weight };
        self.report.limits += 1;
        let vf = &mut self.vfs[at];
        let works = vf.phase == Phase::Up && vf.deleting == [None; 2] && !vf.is_stuck;
        if !works || rng.random_bool(0.7) {
            self.manager.limit(role, limits).unwrap();
            return true;
        }
        let least = if rng.random() { Limits { commands: 1, ..limits } } else { Limits { blocks: 1, ..limits } };
        self.manager.limit(role, least).unwrap();
        vf.load(rng);
        for _ in 0..rng.random_range(1..16) {
            self.card.root().advance(2000);
        }
        vf.nvme().smart_log().unwrap_or_else(|e| panic!("VF {at}: held by its limit, {e}"));
        for queue in 0..QUEUES {
            while vf.poll(queue) {}
        }
        self.report.held += u64::from(!vf.flying.is_empty());
        self.manager.limit(role, Limits { weight, ..Limits::default() }).unwrap();
        vf.drain();
        true
    }
}

impl Vf {
    /// The volume answers again, if it is time or whether it is or not. While its function is being reset it does not: resets wait
    /// for no volume, and one that did would never end.
    pub fn unstick(&mut self, now: bool) {
        if self.is_stuck && self.phase == Phase::Up && (now || self.now() >= self.stuck.1) {
            self.stuck.1 = self.now();
            self.is_stuck = false;
            self.medium(|now| MediaOptions { stuck: false, ..now });
        }
    }
}
