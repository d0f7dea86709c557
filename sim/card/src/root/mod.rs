//! The root complex: all that is between the card's ports and software.

mod access;
mod dma;
mod downstream;
mod receive;
mod request;
mod views;

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use azote_tlp::{Assembler, Beat, Message, Rid, Tlp};
use rand::SeedableRng;
use rand::rngs::SmallRng;

pub use dma::DmaFault;
use dma::Reads;
use downstream::{Downstream, chance};
use request::Requests;

use crate::check::{Checker, Rule, Violation};
use crate::device::{Inputs, Outputs, TlpDevice};
use crate::ethernet::Ethernet;
use crate::faults::Faults;
use crate::interrupts::Interrupts;
use crate::log::Log;
use crate::media::Media;
use crate::memory::HostMemory;
use crate::waves::Waves;
use crate::{Error, Options, Stats};

/// How many violations are kept whole; more are only counted.
const VIOLATIONS_KEPT: usize = 32;
/// How many faults and messages are kept.
const EVENTS_KEPT: usize = 4096;
/// Clocks without any movement after which the card is at rest. One would do for the ports; the second is for `busy`,
/// which may be a register.
const REST: u32 = 2;
/// Clocks without any movement on the ports after which a card whose reads are not answered can only be waiting for that,
/// though it says that it is busy.
const QUIET: u32 = 64;

/// The longest for which nobody else has the card while a server is waited for.
const REST_TIME: Duration = Duration::from_micros(100);

/// A device behind a root complex: host memory, a medium, interrupts, and a check of every TLP.
///
/// Nothing moves unless it is clocked: by [`Root::clock`], or by the calls that wait for an answer.
pub struct Root {
    device: Box<dyn TlpDevice>,
    options: Options,
    rng: SmallRng,
    clock: u64,
    skipped: u64,
    downstream: Downstream,
    upstream: Assembler,
    requests: Requests,
    reads: Reads,
    memory: HostMemory,
    media: Media,
    ethernet: Ethernet,
    interrupts: Interrupts,
    faults: Faults,
    checker: Checker,
    log: Log,
    waves: Option<Waves>,
    stats: Stats,
    violations: Vec<Violation>,
    violation_count: u64,
    dma_faults: Vec<DmaFault>,
    messages: Vec<(u64, Message)>,
    /// Requests sent as raw packets, whose answers are nobody's business.
    raw: HashSet<(Rid, u8)>,
    unclaimed: Vec<Tlp>,
    outputs: Outputs,
    /// What stood at the link without being taken, to see that it stands.
    stalled: Option<Beat>,
    reset: bool,
    rest: u32,
    /// Clocks since anything moved on the ports.
    quiet: u32,
    announced: bool,
    /// Since when, and since which clock, nothing but a server is waited for.
    resting: Option<(Instant, u64)>,
}

impl Root {
    /// Puts `device` behind a root complex and resets it.
    pub fn new(device: Box<dyn TlpDevice>, options: Options) -> Result<Root, Error> {
        let log = Log::new(options.log.as_deref(), &options.inputs)?;
        let mut root = Root {
            device,
            rng: SmallRng::seed_from_u64(options.seed),
            clock: 0,
            skipped: 0,
            downstream: Downstream::default(),
            upstream: Assembler::default(),
            requests: Requests::new(),
            reads: Reads::default(),
            memory: HostMemory::default(),
            media: Media::seeded(options.media, options.seed),
            ethernet: Ethernet::new(options.ethernet, options.seed),
            interrupts: Interrupts::default(),
            faults: Faults::default(),
            checker: Checker::new(options.bus),
            log,
            waves: None,
            stats: Stats::default(),
            violations: Vec::new(),
            violation_count: 0,
            dma_faults: Vec::new(),
            messages: Vec::new(),
            raw: HashSet::new(),
            unclaimed: Vec::new(),
            outputs: Outputs::default(),
            stalled: None,
            reset: false,
            rest: 0,
            quiet: 0,
            announced: false,
            resting: None,
            options,
        };
        root.reset();
        Ok(root)
    }

    /// The same, with waves from the first clock on if there is a path for them.
    pub fn traced(mut device: Box<dyn TlpDevice>, options: Options, waves: Option<&Path>) -> Result<Root, Error> {
        let waves = waves.map(|path| Waves::begin(&mut *device, path, &options.waves, &options.inputs)).transpose()?;
        let mut root = Root::new(device, options)?;
        root.waves = waves;
        Ok(root)
    }

    /// Resets the card, as PERST# does; everything in flight is gone on both sides. Mappings stay.
    pub fn reset(&mut self) {
        self.downstream.reset();
        self.upstream = Assembler::default();
        self.requests.reset();
        self.reads.reset();
        self.media.reset();
        self.ethernet.reset();
        self.checker.reset();
        self.raw.clear();
        self.stalled = None;
        self.reset = true;
        // Two would do for a synchronous reset; the rest lets memories clear themselves.
        for _ in 0..8 {
            self.clock();
        }
        self.reset = false;
        self.rest = 0;
        self.run_idle(self.options.timeout);
    }

    /// One clock.
    pub fn clock(&mut self) {
        self.send_due();
        let mut inputs = Inputs { reset: self.reset, ..Inputs::default() };
        if !self.reset {
            inputs.rx = self.downstream.beat(&mut self.rng, self.options.rx_gap, self.options.overtake);
            inputs.tx_ready = !chance(&mut self.rng, self.options.tx_stall);
            self.media.drive(self.clock, &mut inputs);
            let now = self.now();
            self.ethernet.drive(now, &mut inputs);
        }
        let mut outputs = std::mem::take(&mut self.outputs);
        self.device.cycle(&inputs, &mut outputs);
        if !self.reset {
            self.after(&inputs, &outputs);
        }
        self.outputs = outputs;
        self.clock += 1;
    }

    /// What was transferred in this clock.
    fn after(&mut self, inputs: &Inputs, outputs: &Outputs) {
        let mut moved = outputs.tx.is_some() || inputs.rx.is_some();
        self.check_stream(inputs, outputs);
        if inputs.rx.is_some() && outputs.rx_ready {
            self.stats.rx_beats += 1;
            if let Some(outgoing) = self.downstream.taken() {
                self.sent(outgoing);
            }
        }
        if let (Some(beat), true) = (outputs.tx, inputs.tx_ready) {
            self.stats.tx_beats += 1;
            match self.upstream.push(beat) {
                Ok(None) => {}
                Ok(Some(packet)) => self.received(packet),
                Err(reason) => self.violate(Rule::Stream, reason.to_string()),
            }
        }
        moved |= self.media.step(self.clock, inputs, outputs);
        if let Some(text) = self.media.take_broken() {
            self.violate(Rule::Media, text);
        }
        let now = self.now();
        moved |= self.ethernet.step(now, inputs, outputs);
        if let Some(text) = self.ethernet.take_broken() {
            self.violate(Rule::Ethernet, text);
        }
        self.quiet = if moved { 0 } else { self.quiet.saturating_add(1) };
        self.rest = if moved || outputs.busy { 0 } else { self.rest.saturating_add(1) };
    }

    /// Valid stands, with its data, until it is taken. (The medium sees to that at its own port.)
    fn check_stream(&mut self, inputs: &Inputs, outputs: &Outputs) {
        if self.stalled.is_some() && self.stalled != outputs.tx {
            self.violate(Rule::Stream, "tx_valid or its data changed before tx_ready".into());
        }
        self.stalled = outputs.tx.filter(|_| !inputs.tx_ready);
    }

    /// Queues the completions whose time has come.
    fn send_due(&mut self) {
        let before = self.dma_faults.len();
        // A few beats ahead are enough to keep the link full; more would take the order from the queue.
        while self.downstream.waiting() < 4 {
            let checker = &self.checker;
            let next = self.reads.due(
                self.clock,
                &self.memory,
                self.options.split,
                &mut self.rng,
                |function| checker.max_payload(function),
                &mut self.dma_faults,
            );
            match next {
                Some(outgoing) => self.downstream.push(outgoing),
                None => break,
            }
        }
        if self.dma_faults.len() > before {
            self.dma_faults.truncate(EVENTS_KEPT);
        }
    }

    /// True when nothing is in flight on either side: clocking on would change nothing.
    pub fn is_idle(&self) -> bool {
        self.rest >= REST
            && self.downstream.is_empty()
            && self.reads.is_empty()
            && !self.requests.any()
            && !self.media.busy()
            && !self.ethernet.busy(self.now())
            && !self.upstream.inside()
    }

    /// True when all that is waited for are messages from others, which no clock brings ([`crate::Remote`]). The card says
    /// that it is busy then: it counts the clocks to its completion time-out.
    pub fn is_waiting(&self) -> bool {
        self.quiet >= QUIET
            && self.downstream.is_empty()
            && self.reads.only_waiting()
            && !self.requests.any()
            && !self.media.busy()
            && !self.ethernet.busy(self.now())
            && !self.upstream.inside()
    }

    /// Data that a [`crate::Remote`] was asked for; `None` if it is not to be had, and the card gets Unsupported Request.
    pub fn remote_data(&mut self, token: u64, data: Option<Vec<u8>>) {
        self.reads.arrived(self.clock, token, data);
    }

    /// A function's memory is gone with its owner: all that is waited for from it is refused.
    pub fn remote_gone(&mut self, function: u8) {
        for token in self.reads.waiting_for(function) {
            self.reads.arrived(self.clock, token, None);
        }
    }

    /// Clocks until nothing is in flight, at most `clocks` times; true if it came to rest.
    pub fn run_idle(&mut self, clocks: u64) -> bool {
        for _ in 0..clocks {
            if self.is_idle() {
                return true;
            }
            self.clock();
        }
        self.is_idle()
    }

    /// Clocks up to `clocks` times, but no further than the next announcement (a short write to memory or an interrupt)
    /// and never while nothing is in flight: the time then passes at once. This is what a waiting driver calls.
    pub fn advance(&mut self, clocks: u64) {
        self.announced = false;
        self.rest(clocks);
        for done in 0..clocks {
            if self.is_idle() {
                self.skip(clocks - done);
                return;
            }
            self.clock();
            if self.announced {
                return;
            }
        }
    }

    /// So many clocks pass at once, since nothing is in flight; but a wire whose frames come in real time is given as much of it
    /// as they count, or whoever waits for a frame would be out of time before it can come.
    fn skip(&mut self, clocks: u64) {
        let time = self.options.clock_period.saturating_mul(u32::try_from(clocks).unwrap_or(u32::MAX));
        self.ethernet.rest(time.min(REST_TIME));
        self.skipped += clocks;
    }

    /// Before so many clocks while nothing but a server is waited for: then a clock takes as long as it counts, since nobody waits
    /// faster for it by counting, and the processor rests.
    fn rest(&mut self, clocks: u64) {
        if self.quiet < QUIET || !self.downstream.is_empty() || self.requests.any() || !self.media.waits_for_host() {
            self.resting = None;
            return;
        }
        let (since, first) = *self.resting.get_or_insert((Instant::now(), self.clock));
        let passed = self.clock - first + clocks;
        let until = self.options.clock_period.saturating_mul(u32::try_from(passed).unwrap_or(u32::MAX));
        let left = until.saturating_sub(since.elapsed());
        if !left.is_zero() {
            self.media.rest(left.min(REST_TIME));
        }
    }

    /// Clocks so far; what benches count.
    pub fn clocks(&self) -> u64 {
        self.clock
    }

    /// The drivers' time: clocks, and what passed while nothing was in flight.
    pub fn now(&self) -> Duration {
        let clocks = self.clock + self.skipped;
        let period = self.options.clock_period.as_nanos() as u64;
        Duration::from_nanos(clocks.saturating_mul(period))
    }
}

impl Root {
    /// The end of the simulation for its files: waves and log are complete and in their places, volumes are durable. All
    /// of it is done; the first error is said.
    pub fn finish(&mut self) -> Result<(), Error> {
        let waves = self.waves.take().map_or(Ok(()), |waves| waves.finish(&mut *self.device));
        let log = self.log.finish();
        let volumes = self.media.sync().map_err(Error::Sync);
        waves.and(log).and(volumes).and(self.ethernet.finish())
    }
}

impl Drop for Root {
    /// However a simulation ends: what it wrote can be read, or is not there.
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            eprintln!("{error}");
        }
    }
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Root").field("clock", &self.clock).field("stats", &self.stats).finish_non_exhaustive()
    }
}
