//! A volume: a file, and in front of it, if the medium has one, a write cache that a power cut empties.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use azote_regs::nvme::limits::LBA_SIZE;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::Error;

const BLOCK: usize = LBA_SIZE as usize;
/// How much of a volume is held in memory at once where nothing but its contents counts.
const STRETCH: u64 = 2048;

/// One volume.
#[derive(Debug)]
pub(super) struct Volume {
    file: File,
    pub blocks: u64,
    pub read_only: bool,
    /// Blocks that were written and are not in the file yet.
    cache: BTreeMap<u64, Vec<u8>>,
}

impl Volume {
    /// Opens `path` as volume `number`; its whole 512-byte blocks are the volume's.
    pub fn open(number: u8, path: &Path, read_only: bool) -> Result<Volume, Error> {
        let file = OpenOptions::new().read(true).write(!read_only).open(path).map_err(|source| Error::Io {
            what: "open the volume",
            path: path.to_owned(),
            source,
        })?;
        let meta = file.metadata().map_err(|source| Error::Io {
            what: "examine the volume",
            path: path.to_owned(),
            source,
        })?;
        let refused =
            |reason: &str| Err(Error::Volume { volume: number, path: path.to_owned(), reason: reason.to_owned() });
        if !meta.is_file() {
            return refused("not a regular file; give an image file");
        }
        if meta.len() < LBA_SIZE {
            return refused("smaller than one 512-byte block; make it larger with `truncate -s`");
        }
        Ok(Volume { file, blocks: meta.len() / LBA_SIZE, read_only, cache: BTreeMap::new() })
    }

    /// Whether all of these blocks are the volume's.
    pub fn holds(&self, lba: u64, blocks: u64) -> bool {
        lba.checked_add(blocks).is_some_and(|end| end <= self.blocks)
    }

    /// A file that was truncated since ends early: that is a medium's error, and no reason to stop.
    pub fn read(&self, lba: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, lba * LBA_SIZE)?;
        let end = lba + (out.len() / BLOCK) as u64;
        for (at, block) in self.cache.range(lba..end) {
            let start = (at - lba) as usize * BLOCK;
            out[start..start + BLOCK].copy_from_slice(block);
        }
        Ok(())
    }

    /// Writes whole blocks: into the cache, or, with `durable`, past it.
    pub fn write(&mut self, lba: u64, data: &[u8], durable: bool) -> io::Result<()> {
        if self.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let end = lba + (data.len() / BLOCK) as u64;
        if durable {
            self.file.write_all_at(data, lba * LBA_SIZE)?;
            self.forget(lba, end);
        } else {
            self.cache.extend((lba..end).zip(data.chunks(BLOCK).map(<[u8]>::to_vec)));
        }
        Ok(())
    }

    /// Makes blocks zero without data.
    pub fn zero(&mut self, lba: u64, blocks: u64, durable: bool) -> io::Result<()> {
        let zeroes = vec![0; blocks.min(STRETCH) as usize * BLOCK];
        let mut at = lba;
        while at < lba + blocks {
            let n = (lba + blocks - at).min(STRETCH);
            self.write(at, &zeroes[..n as usize * BLOCK], durable)?;
            at += n;
        }
        Ok(())
    }

    /// Gives blocks back: the file has a hole there, if its file system can have holes.
    pub fn deallocate(&mut self, lba: u64, blocks: u64) -> io::Result<()> {
        if self.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let out_of_range = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let start = libc::off_t::try_from(lba * LBA_SIZE).map_err(out_of_range)?;
        let length = libc::off_t::try_from(blocks * LBA_SIZE).map_err(out_of_range)?;
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: the call takes numbers only, and the descriptor is open as long as `self.file` lives.
        if unsafe { libc::fallocate(self.file.as_raw_fd(), mode, start, length) } != 0 {
            self.zero(lba, blocks, true)?;
        }
        self.forget(lba, lba + blocks);
        Ok(())
    }

    /// Whether all blocks can be read.
    pub fn verify(&self, lba: u64, blocks: u64) -> io::Result<()> {
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
            self.file.write_all_at(block, at * LBA_SIZE)?;
        }
        self.forget(lba, end);
        Ok(())
    }

    /// The power goes: of what is not durable some blocks are in the file, some are lost, as it happens.
    pub fn power_cut(&mut self, rng: &mut SmallRng) -> io::Result<()> {
        for (at, block) in std::mem::take(&mut self.cache) {
            if rng.random() {
                self.file.write_all_at(&block, at * LBA_SIZE)?;
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
    /// The simulation ends or the volume is taken away: that is no power cut.
    fn drop(&mut self) {
        let _ = self.commit(0, u64::MAX);
    }
}
