//! Random I/O at a steady queue depth.

use azote_nvme::{Controller, Io};
use azote_regs::nvme::limits::LBA_SIZE;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::{Error, Result};

/// What is asked of the controller.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Bytes of each command.
    pub bytes: u64,
    /// Commands in flight.
    pub depth: usize,
    /// How many in all.
    pub commands: u64,
    /// Writes; else reads.
    pub write: bool,
    /// Seed of the addresses.
    pub seed: u64,
}

impl Load {
    /// Runs it on the first I/O queue.
    pub fn run(&self, nvme: &mut Controller) -> Result<()> {
        let blocks = self.bytes / LBA_SIZE;
        let places = nvme.require_namespace()?.blocks / blocks;
        if places == 0 {
            return Err(Error::Wrong(format!("the namespace is smaller than one command of {} bytes", self.bytes)));
        }
        let mut rng = SmallRng::seed_from_u64(self.seed);
        let buffer = nvme.dma().alloc(self.bytes * self.depth as u64, 4096)?;
        let mut free: Vec<u64> = (0..self.depth as u64).collect();
        let mut left = self.commands;
        while left > 0 || nvme.in_flight(0) > 0 {
            let mut rung = true;
            while left > 0 && !nvme.is_full(0) {
                let Some(slot) = free.pop() else { break };
                let data = buffer.slice(slot * self.bytes, self.bytes)?;
                let lba = rng.random_range(0..places) * blocks;
                let io = if self.write { Io::Write { lba, data } } else { Io::Read { lba, data } };
                nvme.push(0, io, slot)?;
                rung = false;
                left -= 1;
            }
            if !rung {
                nvme.ring(0)?;
            }
            // One is waited for; others that have come with it cost no further look.
            let mut completion = Some(nvme.wait(0)?);
            while let Some(done) = completion {
                if let Err(failure) = done.result {
                    return Err(Error::Wrong(format!("a command failed: {failure}")));
                }
                free.push(done.user);
                completion = nvme.poll(0)?;
            }
        }
        Ok(())
    }
}
