//! What takes a VF or a queue away, begun in one step and looked at in later ones, so that everything else goes on beside it.

use azote_nvme::{Command, Data};
use azote_regs::bar;
use azote_regs::nvme::{controller as regs, opcode};
use azote_regs::pcie::{express, header};
use azote_seam::{Capabilities, Function, Mmio, set_command};
use azote_sim::RequestError;
use azote_tlp::Status;
use rand::Rng;
use rand::rngs::SmallRng;

use super::vf::{Op, QUEUES, Vf, open};
use crate::rig;

/// How far a VF is, and since which clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It works.
    Up,
    /// CC.EN is cleared, CSTS.RDY is not.
    Closing(u64),
    /// It is in FLR.
    Resetting(u64),
    /// Bus Master Enable is off.
    Mute,
    /// Its primary controller took it offline.
    Offline,
}

/// A closing waits for no volume, but for reads of the host's memory, which may be lost; so does FLR, which has 100 ms.
const CLOSING: u64 = 8_000_000;
/// The same when no read was lost.
const CLOSING_WELL: u64 = 1_000_000;
/// A deletion waits for commands at the medium, of which the slowest has a limit.
const DELETION: u64 = 3_000_000;

impl Vf {
    fn function(&mut self) -> std::sync::Arc<dyn Function> {
        self.nvme().function().clone()
    }

    fn registers(&mut self) -> std::sync::Arc<dyn Mmio> {
        self.function().bar(bar::BAR0 as usize).unwrap()
    }

    /// Clears CC.EN, and that is all.
    pub fn begin_close(&mut self) {
        let registers = self.registers();
        let cc = regs::CC_EN.set(registers.read32(regs::CC).unwrap().into(), 0);
        registers.write32(regs::CC, cc as u32).unwrap();
        self.phase = Phase::Closing(self.now());
    }

    /// Initiates FLR, and that is all.
    pub fn begin_flr(&mut self) {
        let function = self.function();
        let at = Capabilities::read(&*function).unwrap().find(express::ID).unwrap() + express::DEVICE_CONTROL;
        let control = express::DEVICE_CONTROL_FLR.set(function.config_read16(at).unwrap().into(), 1);
        function.config_write16(at, control as u16).unwrap();
        self.phase = Phase::Resetting(self.now());
    }

    /// One of the two.
    pub fn begin_reset(&mut self, rng: &mut SmallRng) {
        if rng.random() { self.begin_close() } else { self.begin_flr() }
    }

    /// The card may not use the bus for this function; what it had under way is lost, so a reset must follow.
    pub fn mute(&mut self) {
        set_command(&*self.function(), 0, header::COMMAND_BME.mask()).unwrap();
        self.phase = Phase::Mute;
    }

    /// Sends Delete I/O Submission Queue.
    pub fn begin_delete(&mut self, queue: usize) {
        let cdw = [queue as u32 + 1, 0, 0, 0, 0, 0];
        let command = Command { opcode: opcode::DELETE_SQ as u8, nsid: 0, cdw, data: Data::None };
        self.nvme().submit_admin(command, queue as u64).unwrap();
        self.deleting[queue] = Some(self.now());
    }

    /// Looks whether what was begun has ended; `others` says what the other VFs wait for.
    pub fn look(&mut self, rng: &mut SmallRng, lost: bool, others: &str) {
        match self.phase {
            Phase::Up => self.look_at_deletions(rng, others),
            Phase::Closing(since) => {
                let csts = self.registers().read32(regs::CSTS).unwrap();
                assert_ne!(csts, u32::MAX, "{}, and does not answer; {others}", self.waits());
                if regs::CSTS_RDY.is_set(csts.into()) {
                    self.bound(since, if lost { CLOSING } else { CLOSING_WELL }, others);
                    return;
                }
                self.assert_quiet(None, rng.random_range(1..1500));
                let index = self.index;
                set_command(&*self.function(), header::COMMAND_BME.mask(), 0).unwrap();
                self.nvme().reset().unwrap_or_else(|e| panic!("VF {index}: it does not start again: {e}; {others}"));
                for queue in 0..QUEUES {
                    while let Some(ended) = self.nvme().poll(queue).unwrap() {
                        assert!(self.flying.contains_key(&ended.user), "an end of something that was not asked");
                    }
                }
                self.up();
            }
            Phase::Resetting(since) => {
                let number = rig::storage_vf(self.index).unwrap().number();
                let answer = self.card.root().config_read_bytes(number, header::COMMAND as u16, 0xf);
                match answer {
                    Ok(_) => {}
                    Err(RequestError::Status(Status::Retry)) => return self.bound(since, CLOSING, others),
                    Err(e) => panic!("{}: {e}; {others}", self.waits()),
                }
                self.card.root().interrupts().clear(number);
                self.assert_quiet(None, rng.random_range(1..1500));
                self.reopen();
                self.up();
            }
            Phase::Mute => {
                // Writes may still be given what was asked for before, so their memory stays as it is.
                let reads =
                    self.flying.values().filter(|f| matches!(f.op, Op::Read { .. })).filter_map(|f| f.op.slot());
                let slots: Vec<_> = reads.collect();
                self.assert_quiet(Some(&slots), rng.random_range(1..500));
                if rng.random() {
                    set_command(&*self.function(), header::COMMAND_BME.mask(), 0).unwrap();
                }
                self.begin_reset(rng);
            }
            Phase::Offline => {}
        }
    }

    fn look_at_deletions(&mut self, rng: &mut SmallRng, others: &str) {
        let index = self.index;
        let ended = self.nvme().poll_admin().unwrap_or_else(|e| panic!("VF {index}: {e}; {others}"));
        let Some(ended) = ended else {
            // A volume that is stuck is waited for if the function has no time-out.
            let until = if self.is_stuck { self.now() } else { self.stuck.1 };
            for since in self.deleting.into_iter().flatten() {
                self.bound(since.max(until), DELETION, others);
            }
            return;
        };
        let queue = ended.user as usize;
        assert!(ended.result.is_ok(), "VF {index}: the deletion of queue {queue}: {ended:?}");
        assert!(self.deleting[queue].is_some(), "VF {index}: queue {queue} is deleted, and was not to be");
        // What it completed came before. What it did not comes no more, neither to the queue nor to memory.
        while self.poll(queue) {}
        let slots = self.settle_queue(queue);
        self.assert_quiet(Some(&slots), rng.random_range(1..3000));
        self.free.extend(slots);
        let late =
            self.nvme().poll(queue).unwrap_or_else(|e| panic!("VF {index}: after the deletion of queue {queue}: {e}"));
        assert!(late.is_none(), "VF {index}: {late:?} after the deletion of queue {queue}");
        let made = self.nvme().renew_queue(queue);
        made.unwrap_or_else(|e| panic!("VF {index}: queue {queue} can not be made anew: {e}; {others}"));
        while self.nvme().poll(queue).unwrap().is_some() {}
        self.deleting[queue] = None;
    }

    /// That something does not take too long.
    fn bound(&self, since: u64, clocks: u64, others: &str) {
        let waited = self.now().saturating_sub(since);
        assert!(waited < clocks, "stands still for {waited} clocks: {}; beside it {others}", self.waits());
    }

    /// A new driver on a function that has forgotten everything.
    pub fn reopen(&mut self) {
        self.nvme = None;
        let (nvme, buffer) = open(&self.card, self.index);
        self.nvme = Some(nvme);
        self.buffer = buffer;
    }

    /// After a reset everything is new.
    pub fn up(&mut self) {
        self.settle();
        self.phase = Phase::Up;
        self.deleting = Default::default();
    }
}
