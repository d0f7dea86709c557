//! The medium behind the card's media port: a disk for each volume, with latency, bandwidth and a write cache.
//!
//! Each request is a job. It is due at a simulated clock, which options decide and nothing else; the work for it is done by the
//! host's threads meanwhile. If it is not done by then, either the clock waits (what is on this machine: the same calls give
//! the same clocks), or the answer comes later (a server). Volumes share the port and nothing else.

mod disk;
mod flow;
mod host;
mod job;
mod port;
mod server;
#[cfg(test)]
mod tests;
mod volume;
mod work;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use azote_files::{Image, Use};
use azote_regs::media;
use azote_regs::nvme::limits::LBA_SIZE;
use rand::SeedableRng;
use rand::rngs::SmallRng;

pub use self::disk::Disk;
use self::host::Host;
use self::job::Job;
use self::port::Port;
use self::volume::{Slot, Volume};
use self::work::Backing;
use crate::{Error, MediaOptions};

/// A clock, and the request whose event it is, by id and tag: the first of two is the one that was asked for first.
type Event = Reverse<(u64, u64, u16)>;

/// The medium.
#[derive(Debug)]
pub struct Media {
    options: MediaOptions,
    slots: Vec<Slot>,
    /// By tag.
    jobs: Vec<Option<Box<Job>>>,
    under_way: usize,
    next_id: u64,
    /// Requests whose data is not all here, as they were taken.
    data_order: VecDeque<u16>,
    due: BinaryHeap<Event>,
    /// How many are late, or held by a volume that is stuck.
    late: usize,
    port: Port,
    host: Host,
    faults: Vec<MediaFault>,
    /// Faults of data that is called for.
    spoilt: Vec<MediaFault>,
    /// The clock, as the port has it.
    clock: u64,
    /// The port's own rules that were broken.
    broken: Option<String>,
    /// Blocks read and written since the start.
    pub(crate) blocks: [u64; 2],
}

/// A fault to inject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaFault {
    /// Which volume.
    pub volume: u8,
    /// First block that fails.
    pub lba: u64,
    /// How many.
    pub blocks: u64,
    /// Whatever only looks at blocks fails.
    pub read: bool,
    /// Whatever changes blocks fails.
    pub write: bool,
}

impl MediaFault {
    /// Whether one of these blocks is at fault.
    fn meets(&self, volume: u8, lba: u64, blocks: u64) -> bool {
        let (until, end) = (self.lba.saturating_add(self.blocks), lba.saturating_add(blocks));
        self.volume == volume && self.lba < end && lba < until
    }
}

/// Whether some blocks are a hole: what the medium knows, or whom to ask without it ([`Media::extent`]).
#[derive(Debug)]
pub struct Extent {
    lba: u64,
    answer: Result<(bool, u64), (u64, Arc<Backing>)>,
}

impl Extent {
    /// Whether there is nothing but a hole, which reads as zeroes, and for how many blocks that is so. At least one.
    pub fn find(self) -> io::Result<(bool, u64)> {
        let (lba, (end, backing)) = match self.answer {
            Ok(known) => return Ok(known),
            Err(ask) => (self.lba, ask),
        };
        let (hole, until) = backing.disk.extent(lba * LBA_SIZE, end * LBA_SIZE)?;
        // A block that is partly a hole is data; one that is partly data belongs to it.
        let until = if hole { until / LBA_SIZE } else { until.div_ceil(LBA_SIZE) };
        Ok(if until <= lba { (false, 1) } else { (hole, until - lba) })
    }
}

impl Media {
    /// A medium without volumes.
    pub fn new(options: MediaOptions) -> Self {
        Self::seeded(options, 1)
    }

    /// The same, with a seed for what is random in it.
    pub fn seeded(options: MediaOptions, seed: u64) -> Self {
        Media {
            options,
            slots: (0..256).map(|number| Slot::new(seed.wrapping_mul(256).wrapping_add(number))).collect(),
            jobs: (0..media::TAGS).map(|_| None).collect(),
            under_way: 0,
            next_id: 0,
            data_order: VecDeque::new(),
            due: BinaryHeap::new(),
            late: 0,
            port: Port::new(seed),
            host: Host::new(),
            faults: Vec::new(),
            spoilt: Vec::new(),
            clock: 0,
            broken: None,
            blocks: [0; 2],
        }
    }

    /// Makes `path`, a raw image, volume `number`; its whole 512-byte blocks are the volume's. Returns how many they are. The
    /// image is locked until it is detached.
    pub fn attach(&mut self, number: u8, path: &Path, read_only: bool) -> Result<u64, Error> {
        self.attach_image(number, Image::open(path, Use { read_only, raw: true })?)
    }

    /// The same with an image that is open.
    pub fn attach_image(&mut self, number: u8, image: Image) -> Result<u64, Error> {
        let (blocks, read_only) = (image.len() / LBA_SIZE, image.read_only());
        if blocks == 0 {
            let reason = "smaller than one 512-byte block; make it larger with `truncate -s`".to_owned();
            return Err(Error::Volume { volume: number, path: image.path().to_owned(), reason });
        }
        self.attach_disk(number, Box::new(image), blocks, read_only);
        Ok(blocks)
    }

    /// Makes a disk of so many blocks volume `number`.
    pub fn attach_disk(&mut self, number: u8, disk: Box<dyn Disk>, blocks: u64, read_only: bool) {
        self.slots[usize::from(number)].volume = Some(Volume::new(disk, blocks, read_only));
    }

    /// Takes a volume away, with all that was written durable; what asks for it from now on fails. What its disk is at is waited
    /// for.
    pub fn detach(&mut self, number: u8) {
        while !self.host.has_none(number)
            && let Some(outcome) = self.host.wait(None)
        {
            self.worked(outcome);
        }
        self.slots[usize::from(number)].volume = None;
    }

    /// Makes durable all that was written to any volume, and waits for the host: for the end of a program, which so hears of an
    /// error, the first of them.
    pub fn sync(&mut self) -> io::Result<()> {
        self.settle();
        let volumes = self.slots.iter_mut().filter_map(|slot| slot.volume.as_mut()).filter(|v| !v.backing.read_only);
        volumes.map(Volume::commit).fold(Ok(()), io::Result::and)
    }

    /// What is known of holes at `lba`, at most up to `end`. To ask a disk may take long: not under the card's lock.
    pub fn extent(&mut self, number: u8, lba: u64, end: u64) -> io::Result<Extent> {
        let volume = self.slots[usize::from(number)].volume.as_ref();
        let volume = volume.filter(|v| lba < end && end <= v.blocks()).ok_or(io::ErrorKind::InvalidInput)?;
        let answer = match volume.cached(lba, end) {
            Ok(blocks) => Ok((false, blocks)),
            Err(end) => Err((end, volume.backing.clone())),
        };
        Ok(Extent { lba, answer })
    }

    /// A volume's size in blocks.
    pub fn blocks(&self, number: u8) -> Option<u64> {
        self.slots[usize::from(number)].volume.as_ref().map(Volume::blocks)
    }

    /// Changes the medium's options from now on: those of the port, and of volumes that have none of their own.
    pub fn set_options(&mut self, options: MediaOptions) {
        self.options = options;
        self.release();
    }

    /// Gives a volume options of its own from now on, or takes them away. It keeps them when another disk takes its place.
    pub fn set_volume_options(&mut self, number: u8, options: Option<MediaOptions>) {
        self.slots[usize::from(number)].options = options;
        self.release();
    }

    /// Options that a volume has of its own.
    pub fn own_options(&self, number: u8) -> Option<MediaOptions> {
        self.slots[usize::from(number)].options
    }

    /// A volume's options.
    pub fn volume_options(&self, number: u8) -> MediaOptions {
        self.slots[usize::from(number)].options.unwrap_or(self.options)
    }

    /// Makes accesses to some blocks fail from now on.
    pub fn inject(&mut self, fault: MediaFault) {
        self.faults.push(fault);
    }

    /// Makes reads of some blocks fail from now on when it is too late: they are answered as done, and with the last beat of their data
    /// it is said that it could not be read.
    pub fn spoil(&mut self, volume: u8, lba: u64, blocks: u64) {
        self.spoilt.push(MediaFault { volume, lba, blocks, read: true, write: false });
    }

    /// Ends all injected faults.
    pub fn heal(&mut self) {
        self.faults.clear();
        self.spoilt.clear();
    }

    /// The power goes: the requests are lost, and of each volume's write cache what a coin decides by `seed`.
    pub fn power_cut(&mut self, seed: u64) -> io::Result<()> {
        self.reset();
        self.settle();
        let mut rng = SmallRng::seed_from_u64(seed);
        self.slots.iter_mut().filter_map(|slot| slot.volume.as_mut()).try_for_each(|volume| volume.power_cut(&mut rng))
    }

    /// True while a request has not ended.
    pub(crate) fn busy(&self) -> bool {
        self.under_way > 0
    }

    /// True when all that is under way waits for the host, which no clock brings.
    pub(crate) fn waits_for_host(&self) -> bool {
        self.under_way > 0 && self.under_way == self.late && !self.host.is_idle()
    }

    /// Waits for the host, so long at most.
    pub(crate) fn rest(&mut self, most: Duration) {
        if let Some(outcome) = self.host.wait(Some(most)) {
            self.worked(outcome);
        }
    }

    /// Waits for all that the host has to do.
    fn settle(&mut self) {
        while let Some(outcome) = self.host.wait(None) {
            self.worked(outcome);
        }
    }

    /// What the card did wrong on this port, once.
    pub(crate) fn take_broken(&mut self) -> Option<String> {
        self.broken.take()
    }

    /// Forgets all requests: the card was reset.
    pub(crate) fn reset(&mut self) {
        self.jobs.fill_with(|| None);
        self.slots.iter_mut().for_each(Slot::forget);
        self.data_order.clear();
        self.due.clear();
        (self.under_way, self.late) = (0, 0);
        self.port.reset();
        self.host.forget();
    }
}
