//! Random I/O at a steady queue depth, on one function or several at once.

use azote_dma::Buffer;
use azote_nvme::{Controller, Io};
use azote_regs::nvme::limits::LBA_SIZE;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::{Error, Result};

/// What is asked of each controller.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Bytes of each command.
    pub bytes: u64,
    /// Commands in flight.
    pub depth: usize,
    /// How many in all.
    pub commands: u64,
    /// How many of a hundred commands write; the others read.
    pub writes: u32,
    /// Seed of the addresses.
    pub seed: u64,
}

/// One controller's share.
struct Client {
    load: Load,
    rng: SmallRng,
    buffer: Buffer,
    places: u64,
    free: Vec<u64>,
    left: u64,
    done: u64,
    /// When each slot's command was given to the controller, and the same for those that came back, in that order.
    given: Vec<u64>,
    back: Vec<u64>,
}

impl Client {
    fn new(load: Load, nvme: &Controller, seed: u64) -> Result<Client> {
        let places = nvme.require_namespace()?.blocks / (load.bytes / LBA_SIZE);
        if places == 0 {
            return Err(Error::Wrong(format!("the namespace is smaller than one command of {} bytes", load.bytes)));
        }
        Ok(Client {
            load,
            rng: SmallRng::seed_from_u64(seed),
            buffer: nvme.dma().alloc(load.bytes * load.depth as u64, 4096)?,
            places,
            free: (0..load.depth as u64).collect(),
            left: load.commands,
            done: 0,
            given: vec![0; load.depth],
            back: Vec::new(),
        })
    }

    /// Gives the controller what there is room for, with one doorbell, in the clock `now`.
    fn fill(&mut self, nvme: &mut Controller, now: u64) -> Result<()> {
        let bytes = self.load.bytes;
        let mut rung = true;
        if self.free.len() < self.batch() {
            return Ok(());
        }
        while self.left > 0 && !nvme.is_full(0) {
            let Some(slot) = self.free.pop() else { break };
            let data = self.buffer.slice(slot * bytes, bytes)?;
            let lba = self.rng.random_range(0..self.places) * (bytes / LBA_SIZE);
            let write = self.rng.random_range(0..100) < self.load.writes;
            let io = if write { Io::Write { lba, data } } else { Io::Read { lba, data } };
            nvme.push(0, io, slot)?;
            if let Some(given) = self.given.get_mut(slot as usize) {
                *given = now;
            }
            rung = false;
            self.left -= 1;
        }
        if !rung {
            nvme.ring(0)?;
        }
        Ok(())
    }

    /// How many commands one doorbell tells of. Of small ones a doorbell each would be a tenth of what is on the link, and who has
    /// many in flight rings for several.
    fn batch(&self) -> usize {
        let few = if self.load.bytes < 4096 { 4 } else { 1 };
        few.min(self.load.depth).min(self.left.try_into().unwrap_or(usize::MAX))
    }

    /// How soon it would stand still if nobody looked, beside others.
    fn stands_still(&self) -> u64 {
        ((self.load.depth as u64) << 32) / (self.done + 1)
    }

    /// Takes what has come; waits for one if it is told to.
    fn collect(&mut self, nvme: &mut Controller, wait: bool) -> Result<()> {
        let mut completion = if wait { Some(nvme.wait(0)?) } else { nvme.poll(0)? };
        while let Some(done) = completion {
            if let Err(failure) = done.result {
                return Err(Error::Wrong(format!("a command failed: {failure}")));
            }
            self.free.push(done.user);
            self.back.extend(self.given.get(done.user as usize));
            self.done += 1;
            completion = nvme.poll(0)?;
        }
        Ok(())
    }
}

impl Load {
    /// Runs it on the first I/O queue of each controller, until each has done its commands.
    pub fn run(self, nvmes: &mut [Controller]) -> Result<()> {
        self.until(nvmes, |_| false).map(drop)
    }

    /// The same, but nothing new is begun once `enough` says so of the commands that each has done; returns those counts
    /// as they were then.
    pub fn until(self, nvmes: &mut [Controller], enough: impl FnMut(&[u64]) -> bool) -> Result<Vec<u64>> {
        run_each(&vec![self; nvmes.len()], nvmes, enough)
    }
}

/// Runs a load of its own on each controller.
pub fn run_each(loads: &[Load], nvmes: &mut [Controller], enough: impl FnMut(&[u64]) -> bool) -> Result<Vec<u64>> {
    let (clients, counts) = drive(loads, nvmes, || 0, enough)?;
    Ok(counts.unwrap_or_else(|| clients.iter().map(|c| c.done).collect()))
}

/// The same, but returns by controller when its commands were given to it by `clock`, in the order in which they came back.
pub fn run_timed(
    loads: &[Load],
    nvmes: &mut [Controller],
    clock: impl Fn() -> u64,
    enough: impl FnMut(&[u64]) -> bool,
) -> Result<Vec<Vec<u64>>> {
    let (clients, _) = drive(loads, nvmes, clock, enough)?;
    Ok(clients.into_iter().map(|client| client.back).collect())
}

/// Clients when all is done, and how much each had done when it was enough.
type Driven = (Vec<Client>, Option<Vec<u64>>);

fn drive(
    loads: &[Load],
    nvmes: &mut [Controller],
    clock: impl Fn() -> u64,
    mut enough: impl FnMut(&[u64]) -> bool,
) -> Result<Driven> {
    let mut clients = loads
        .iter()
        .zip(nvmes.iter())
        .zip(0..)
        .map(|((load, nvme), i)| Client::new(*load, nvme, load.seed.wrapping_add(i << 32)))
        .collect::<Result<Vec<_>>>()?;
    let mut counts = None;
    let mut turn = 0;
    loop {
        // No clock passes while doorbells are written.
        let now = clock();
        for (client, nvme) in clients.iter_mut().zip(nvmes.iter_mut()) {
            client.fill(nvme, now)?;
        }
        // One function is waited for: that which would stand still soonest, by what it has in flight at once and how fast it has
        // been, and of equals each in turn. What has come for others in the meantime costs no further look.
        let busy = (0..nvmes.len()).map(|i| (turn + i) % nvmes.len()).filter(|&i| nvmes[i].in_flight(0) > 0);
        let Some(who) = busy.min_by_key(|&i| clients[i].stands_still()) else { break };
        turn = who + 1;
        clients[who].collect(&mut nvmes[who], true)?;
        for (client, nvme) in clients.iter_mut().zip(nvmes.iter_mut()) {
            client.collect(nvme, false)?;
        }
        if counts.is_none() {
            let done: Vec<u64> = clients.iter().map(|c| c.done).collect();
            if enough(&done) {
                clients.iter_mut().for_each(|c| c.left = 0);
                counts = Some(done);
            }
        }
    }
    Ok((clients, counts))
}
