//! A volume as the medium sees it: its disk, in front of it, if it has one, a write cache that a power cut empties, and its
//! share of time.
//!
//! The cache is no thing of the host's: what is in it is decided by the simulated clock alone.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use azote_regs::nvme::limits::LBA_SIZE;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::Disk;
use super::flow::ranges;
use super::work::{BLOCK, Backing, Blocks, What};
use crate::device::{MediaOp, MediaRequest};
use crate::{HostTime, MediaOptions};

/// One volume.
#[derive(Debug)]
pub(super) struct Volume {
    pub backing: Arc<Backing>,
    blocks: u64,
    /// Blocks that were written and are not on the disk yet.
    cache: BTreeMap<u64, Vec<u8>>,
}

/// What is to be done for a request.
pub(super) enum Plan {
    /// Nothing more: it is in the cache.
    Done,
    /// By the host; before that these blocks of the cache are made durable, and all else if that is said.
    Host(What, Blocks, bool),
}

/// So many blocks of the cache are looked at in one go: it is done under the card's lock.
const RUN: usize = 1 << 16;

impl Volume {
    pub fn new(disk: Box<dyn Disk>, blocks: u64, read_only: bool) -> Volume {
        Volume { backing: Arc::new(Backing::new(disk, read_only)), blocks, cache: BTreeMap::new() }
    }

    /// Its size, which may be another than when it was attached.
    pub fn blocks(&self) -> u64 {
        self.backing.disk.size().map_or(self.blocks, |bytes| bytes / LBA_SIZE)
    }

    /// Whether all of these blocks are the volume's.
    pub fn holds(&self, lba: u64, blocks: u64) -> bool {
        lba.checked_add(blocks).is_some_and(|end| end <= self.blocks())
    }

    /// What is to be done for a request that lies inside of it. `cache`: what is not to be durable goes no further.
    pub fn plan(&mut self, request: &MediaRequest, data: Vec<u8>, cache: bool) -> io::Result<Plan> {
        let MediaRequest { op, fua, lba, blocks, .. } = *request;
        if op == MediaOp::Ranges {
            if self.backing.read_only {
                return Err(io::ErrorKind::ReadOnlyFilesystem.into());
            }
            let list = ranges(&data);
            for (lba, blocks) in &list {
                self.take(*lba, lba + blocks);
            }
            return Ok(Plan::Host(What::GiveBack { list, durable: fua }, Blocks::new(), false));
        }
        let end = lba + blocks;
        let changes = matches!(op, MediaOp::Write | MediaOp::WriteZeroes | MediaOp::Deallocate);
        if changes && self.backing.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        if op == MediaOp::WriteZeroes && cache && !fua {
            self.cache.extend((lba..end).map(|at| (at, vec![0; BLOCK])));
            return Ok(Plan::Done);
        }
        if op == MediaOp::Write && cache && !fua {
            self.cache.extend((lba..end).zip(data.chunks(BLOCK).map(<[u8]>::to_vec)));
            return Ok(Plan::Done);
        }
        if changes {
            self.take(lba, end);
        }
        let keep = match op {
            MediaOp::Read if fua => self.take(lba, end),
            MediaOp::Flush => self.take(0, u64::MAX),
            _ => Blocks::new(),
        };
        let over =
            || self.cache.range(lba..end).map(|(at, block)| (*at, block.clone())).chain(keep.iter().cloned()).collect();
        let what = match op {
            MediaOp::Read => What::Read { over: over() },
            MediaOp::Compare => What::Compare { data, over: over() },
            MediaOp::Write => What::Write { data, durable: fua },
            MediaOp::WriteZeroes => What::Zero { give_back: false, durable: fua },
            MediaOp::Deallocate => What::Zero { give_back: true, durable: fua },
            MediaOp::Verify => What::Verify,
            MediaOp::Flush | MediaOp::Ranges | MediaOp::Cancel => What::Flush,
        };
        Ok(Plan::Host(what, keep, op == MediaOp::Read && fua))
    }

    /// Blocks that could not be made durable are in the cache as before, but for what has been written since.
    pub fn put_back(&mut self, blocks: Blocks) {
        for (at, block) in blocks {
            self.cache.entry(at).or_insert(block);
        }
    }

    /// Makes everything durable.
    pub fn commit(&mut self) -> io::Result<()> {
        let blocks = self.take(0, u64::MAX);
        self.backing.commit(&blocks).inspect_err(|_| self.put_back(blocks))
    }

    /// The blocks at `lba` that a cache has, as one stretch, or up to which block at most it has none.
    pub fn cached(&self, lba: u64, end: u64) -> Result<u64, u64> {
        let run = self.cache.range(lba..end).zip(lba..).take(RUN).take_while(|((at, _), next)| *at == next).count();
        if run > 0 { Ok(run as u64) } else { Err(self.cache.range(lba..end).next().map_or(end, |(at, _)| *at)) }
    }

    /// The power goes: of what is not durable some blocks are on the disk, some are lost, as it happens.
    pub fn power_cut(&mut self, rng: &mut SmallRng) -> io::Result<()> {
        for (at, block) in std::mem::take(&mut self.cache) {
            if rng.random() {
                self.backing.disk.write_at(&block, at * LBA_SIZE)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, lba: u64, end: u64) -> Blocks {
        if self.cache.is_empty() {
            return Blocks::new();
        }
        let rest = if end == u64::MAX { BTreeMap::new() } else { self.cache.split_off(&end) };
        let taken = self.cache.split_off(&lba);
        self.cache.extend(rest);
        taken.into_iter().collect()
    }
}

impl Drop for Volume {
    /// As [`Backing`]'s: no power cut.
    fn drop(&mut self) {
        if self.backing.is_kept_at_the_end() {
            let _ = self.commit();
        }
    }
}

/// The place of a volume, be there one or none.
#[derive(Debug)]
pub(super) struct Slot {
    pub volume: Option<Volume>,
    /// Options of its own.
    pub options: Option<MediaOptions>,
    rng: SmallRng,
    /// Requests in work, and those that wait for a place or for a volume that is stuck; by tag and id.
    pub working: usize,
    pub waiting: VecDeque<(u16, u64)>,
    /// Requests whose time came while the volume was stuck.
    pub held: Vec<(u16, u64)>,
    /// When its own way for reads and for writes is free, in 256ths of a clock.
    free: [u64; 2],
}

impl Slot {
    pub fn new(seed: u64) -> Self {
        let rng = SmallRng::seed_from_u64(seed);
        Slot { volume: None, options: None, rng, working: 0, waiting: VecDeque::new(), held: Vec::new(), free: [0; 2] }
    }

    /// Clocks until a request that is begun now is due.
    pub fn latency(&mut self, options: &MediaOptions) -> u64 {
        let jitter = if options.jitter > 0 { self.rng.random_range(0..=options.jitter) } else { 0 };
        1 + u64::from(options.latency) + u64::from(jitter)
    }

    /// When the answer of a request that was due at `clock` is there, with so many beats of data, at the volume's own rate.
    pub fn delivered(&mut self, clock: u64, beats: usize, write: bool) -> u64 {
        match self.options {
            Some(own) if own.bandwidth < MediaOptions::FULL => {
                passage(&mut self.free[usize::from(write)], clock, beats, own.bandwidth)
            }
            _ => clock,
        }
    }

    /// Whether the clock waits for the host.
    pub fn waits(&self, options: &MediaOptions) -> bool {
        match options.host {
            HostTime::Waits => true,
            HostTime::Passes => false,
            HostTime::AsDisk => !self.volume.as_ref().is_some_and(|v| v.backing.disk.is_remote()),
        }
    }

    pub fn forget(&mut self) {
        self.working = 0;
        self.waiting.clear();
        self.held.clear();
        self.free = [0; 2];
    }
}

/// When `beats` that come together, one a clock, may begin so that they end no earlier than at `bandwidth`.
pub(super) fn passage(free: &mut u64, clock: u64, beats: usize, bandwidth: u32) -> u64 {
    let takes = beats as u64 * 256 * u64::from(MediaOptions::FULL) / u64::from(bandwidth.max(1));
    *free = (*free).max(clock * 256) + takes;
    (*free - beats as u64 * 256).div_ceil(256)
}
