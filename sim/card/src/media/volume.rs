//! A volume: a disk, and in front of it, if the medium has one, a write cache that a power cut empties.
//!
//! What is to be durable goes through the cache and through the host's, too: the answer comes after the disk's own sync. A
//! disk that failed at that once has lost it whatever it says later (Linux marks the pages clean), so from then on the
//! volume promises nothing more: each flush of it fails.

use std::collections::BTreeMap;
use std::io;

use azote_regs::nvme::limits::LBA_SIZE;
use rand::Rng;
use rand::rngs::SmallRng;

use super::Disk;

const BLOCK: usize = LBA_SIZE as usize;
/// How much of a volume is held in memory at once where nothing but its contents counts.
const STRETCH: u64 = 2048;

/// How far a write goes before its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Into the medium's cache.
    Cache,
    /// To the disk, which may have a cache of its own: a file has the host's.
    Disk,
    /// To where a loss of power does no harm.
    Durable,
}

/// One volume.
#[derive(Debug)]
pub(super) struct Volume {
    disk: Box<dyn Disk>,
    pub blocks: u64,
    pub read_only: bool,
    /// Blocks that were written and are not on the disk yet.
    cache: BTreeMap<u64, Vec<u8>>,
    /// Something may be on the disk that is not durable. Set at first: whoever had it before may have left it so.
    dirty: bool,
    /// A sync has failed.
    lost: bool,
}

/// So many blocks of the cache are looked at in one go: it is done under the card's lock.
const RUN: usize = 1 << 16;

impl Volume {
    pub fn new(disk: Box<dyn Disk>, blocks: u64, read_only: bool) -> Volume {
        Volume { disk, blocks, read_only, cache: BTreeMap::new(), dirty: !read_only, lost: false }
    }

    /// Whether all of these blocks are the volume's.
    pub fn holds(&self, lba: u64, blocks: u64) -> bool {
        lba.checked_add(blocks).is_some_and(|end| end <= self.blocks)
    }

    /// A file that was truncated since ends early: that is a medium's error, and no reason to stop.
    pub fn read(&mut self, lba: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read_at(out, lba * LBA_SIZE)?;
        let end = lba + (out.len() / BLOCK) as u64;
        for (at, block) in self.cache.range(lba..end) {
            let start = (at - lba) as usize * BLOCK;
            out[start..start + BLOCK].copy_from_slice(block);
        }
        Ok(())
    }

    /// Writes whole blocks.
    pub fn write(&mut self, lba: u64, data: &[u8], reach: Reach) -> io::Result<()> {
        let end = lba + (data.len() / BLOCK) as u64;
        if reach == Reach::Cache {
            self.writable()?;
            self.cache.extend((lba..end).zip(data.chunks(BLOCK).map(<[u8]>::to_vec)));
            return Ok(());
        }
        self.change(lba, end, reach, |disk| disk.write_at(data, lba * LBA_SIZE))
    }

    /// Makes blocks zero without data.
    pub fn zero(&mut self, lba: u64, blocks: u64, reach: Reach) -> io::Result<()> {
        if reach == Reach::Cache {
            return (lba..lba + blocks).try_for_each(|at| self.write(at, &[0; BLOCK], reach));
        }
        self.change(lba, lba + blocks, reach, |disk| disk.zero(lba * LBA_SIZE, blocks * LBA_SIZE, false))
    }

    /// Gives blocks back: the file has a hole there, if its file system can have holes. They read as zeroes.
    pub fn deallocate(&mut self, lba: u64, blocks: u64, reach: Reach) -> io::Result<()> {
        self.change(lba, lba + blocks, reach, |disk| disk.zero(lba * LBA_SIZE, blocks * LBA_SIZE, true))
    }

    /// Changes blocks of the disk, past the cache.
    fn change(
        &mut self,
        lba: u64,
        end: u64,
        reach: Reach,
        how: impl FnOnce(&mut dyn Disk) -> io::Result<()>,
    ) -> io::Result<()> {
        self.writable()?;
        self.dirty = true;
        how(&mut *self.disk)?;
        self.forget(lba, end);
        if reach == Reach::Durable { self.sync() } else { Ok(()) }
    }

    fn writable(&self) -> io::Result<()> {
        if self.read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }

    /// Whether all blocks can be read.
    pub fn verify(&mut self, lba: u64, blocks: u64) -> io::Result<()> {
        let mut buffer = vec![0; blocks.min(STRETCH) as usize * BLOCK];
        let mut at = lba;
        while at < lba + blocks {
            let n = (lba + blocks - at).min(STRETCH);
            self.read(at, &mut buffer[..n as usize * BLOCK])?;
            at += n;
        }
        Ok(())
    }

    /// Makes all of these blocks durable.
    pub fn commit(&mut self, lba: u64, end: u64) -> io::Result<()> {
        for (at, block) in self.cache.range(lba..end) {
            self.dirty = true;
            self.disk.write_at(block, at * LBA_SIZE)?;
        }
        self.forget(lba, end);
        self.sync()
    }

    /// Makes durable what is on the disk; does nothing if nothing has changed since the last time.
    fn sync(&mut self) -> io::Result<()> {
        if self.lost {
            return Err(io::Error::other("an earlier flush failed, and what it was to keep may be lost"));
        }
        if self.dirty {
            self.disk.sync().inspect_err(|_| self.lost = true)?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Whether there is nothing at `lba` but a hole, and for how many of the blocks up to `end` that is so.
    pub fn extent(&mut self, lba: u64, end: u64) -> io::Result<(bool, u64)> {
        // What is in the cache is no hole, as far as it goes without a gap.
        let cached = self.cache.range(lba..end).zip(lba..).take(RUN).take_while(|((at, _), next)| *at == next).count();
        if cached > 0 {
            return Ok((false, cached as u64));
        }
        let end = self.cache.range(lba..end).next().map_or(end, |(at, _)| *at);
        let (hole, until) = self.disk.extent(lba * LBA_SIZE, end * LBA_SIZE)?;
        // A block that is partly a hole is data; one that is partly data belongs to it.
        let until = if hole { until / LBA_SIZE } else { until.div_ceil(LBA_SIZE) };
        Ok(if until <= lba { (false, 1) } else { (hole, until - lba) })
    }

    /// The power goes: of what is not durable some blocks are on the disk, some are lost, as it happens.
    pub fn power_cut(&mut self, rng: &mut SmallRng) -> io::Result<()> {
        for (at, block) in std::mem::take(&mut self.cache) {
            if rng.random() {
                self.disk.write_at(&block, at * LBA_SIZE)?;
            }
        }
        Ok(())
    }

    fn forget(&mut self, lba: u64, end: u64) {
        if !self.cache.is_empty() {
            self.cache.retain(|at, _| !(lba..end).contains(at));
        }
    }
}

impl Drop for Volume {
    /// The simulation ends or the volume is taken away: that is no power cut. Who wants to hear of an error asks before
    /// ([`super::Media::sync`]).
    fn drop(&mut self) {
        if !self.read_only {
            let _ = self.commit(0, u64::MAX);
        }
    }
}
