//! What the host does for a volume: a task carries all that it needs, so that any thread can do it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use azote_regs::nvme::limits::LBA_SIZE;
use parking_lot::Mutex;

use super::Disk;
use crate::device::MediaResult;

pub(super) const BLOCK: usize = LBA_SIZE as usize;

/// Blocks of a volume with their numbers, as its cache has them.
pub(super) type Blocks = Vec<(u64, Vec<u8>)>;

/// A disk, and what is known of its durability. A disk that failed to sync once has lost what it was to keep whatever it says
/// later (Linux marks the pages clean), so from then on the volume promises nothing more: each flush of it fails.
#[derive(Debug)]
pub(super) struct Backing {
    pub disk: Box<dyn Disk>,
    pub read_only: bool,
    /// Something may be on the disk that is not durable. Set at first: whoever had it before may have left it so.
    dirty: AtomicBool,
    /// The last sync did not reach it.
    unreached: AtomicBool,
    /// A sync has failed. Locked while one runs: nobody who finds nothing left to do may overtake the one who does it.
    lost: Mutex<bool>,
}

impl Backing {
    pub fn new(disk: Box<dyn Disk>, read_only: bool) -> Self {
        Backing {
            disk,
            read_only,
            dirty: AtomicBool::new(!read_only),
            unreached: AtomicBool::new(false),
            lost: Mutex::new(false),
        }
    }

    /// Makes durable what is on the disk; does nothing if nothing has changed since the last time.
    pub fn sync(&self) -> io::Result<()> {
        let mut lost = self.lost.lock();
        if *lost {
            return Err(io::Error::other("an earlier flush failed, and what it was to keep may be lost"));
        }
        if self.dirty.swap(false, Ordering::SeqCst)
            && let Err(error) = self.disk.sync()
        {
            // One that could not be asked has lost nothing by that.
            let unreached = unreachable(&error);
            *lost = !unreached;
            self.unreached.store(unreached, Ordering::SeqCst);
            self.dirty.store(true, Ordering::SeqCst);
            return Err(error);
        }
        self.unreached.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// Whether it makes sense to make it durable at the end without being asked: a server that was not there would only be
    /// waited for once more.
    pub fn is_kept_at_the_end(&self) -> bool {
        !self.read_only && !self.unreached.load(Ordering::SeqCst)
    }

    fn change(&self, durable: bool, how: impl FnOnce(&dyn Disk) -> io::Result<()>) -> io::Result<()> {
        if self.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let done = how(&*self.disk);
        // Afterwards: a sync that ran meanwhile may have missed it. And whatever came of it.
        self.dirty.store(true, Ordering::SeqCst);
        done?;
        if durable { self.sync() } else { Ok(()) }
    }

    fn write(&self, data: &[u8], offset: u64, durable: bool) -> io::Result<()> {
        // After a sync that failed nothing is promised, by whatever way.
        if durable
            && !self.read_only
            && !*self.lost.lock()
            && let Some(done) = self.disk.write_durable(data, offset)
        {
            return done;
        }
        self.change(durable, |disk| disk.write_at(data, offset))
    }

    /// Puts blocks on the disk, neighbours in one go, and has them durable.
    pub fn commit(&self, blocks: &[(u64, Vec<u8>)]) -> io::Result<()> {
        for run in blocks.chunk_by(|(a, _), (b, _)| a + 1 == *b) {
            let data: Vec<u8> = run.iter().flat_map(|(_, block)| block).copied().collect();
            self.change(false, |disk| disk.write_at(&data, run[0].0 * LBA_SIZE))?;
        }
        self.sync()
    }
}

impl Drop for Backing {
    /// The simulation ends or the volume is taken away: that is no power cut. Who wants to hear of an error asks before
    /// ([`super::Media::sync`]).
    fn drop(&mut self) {
        if self.is_kept_at_the_end() {
            let _ = self.sync();
        }
    }
}

/// The disk could not be asked, as far as this error tells.
fn unreachable(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, NotConnected, TimedOut};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | NotConnected | TimedOut)
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum What {
    /// Read blocks; of the cache are those that `over` has.
    Read {
        over: Blocks,
    },
    /// Compare with this.
    Compare {
        data: Vec<u8>,
        over: Blocks,
    },
    Write {
        data: Vec<u8>,
        durable: bool,
    },
    Zero {
        give_back: bool,
        durable: bool,
    },
    /// Give back a list of ranges, `(first block, blocks)`.
    GiveBack {
        list: Vec<(u64, u64)>,
        durable: bool,
    },
    Verify,
    Flush,
}

/// A task for the host.
#[derive(Debug)]
pub(super) struct Task {
    pub volume: u8,
    pub tag: u16,
    /// Which request of this tag.
    pub id: u64,
    pub lba: u64,
    pub blocks: u64,
    pub what: What,
    /// What of the cache is to be durable before.
    pub keep: Blocks,
    /// That is so even if there is nothing of it in the cache.
    pub sync: bool,
    pub backing: Arc<Backing>,
}

/// Enough of a task to know what must wait for it.
#[derive(Debug)]
pub(super) struct Span {
    pub id: u64,
    lba: u64,
    end: u64,
    /// Of these blocks, the stretches that it is about if that is not all.
    list: Option<Box<[(u64, u64)]>>,
    changes: bool,
    /// It writes blocks of the cache, which may be anywhere.
    keeps: bool,
}

impl Span {
    pub fn changes_block(&self, lba: u64) -> bool {
        self.changes && self.touches(lba, lba + 1)
    }

    fn touches(&self, lba: u64, end: u64) -> bool {
        let met = |from: u64, to: u64| from < end && lba < to;
        let listed = |list: &[(u64, u64)]| list.iter().any(|(from, blocks)| met(*from, from + blocks));
        met(self.lba, self.end) && self.list.as_deref().is_none_or(listed)
    }

    /// Whether one of two must wait for the other. Two lists do even if they only reach into each other.
    pub fn meets(&self, other: &Span) -> bool {
        let met = || self.touches(other.lba, other.end) && other.touches(self.lba, self.end);
        self.keeps || other.keeps || (self.changes || other.changes) && met()
    }
}

/// What came of a task.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub volume: u8,
    pub tag: u16,
    pub id: u64,
    pub result: Option<MediaResult>,
    /// Of a read.
    pub data: Vec<u8>,
    /// Bit for bit the blocks of it that are holes.
    pub holes: u32,
    /// What was to be kept and is not.
    pub unkept: Blocks,
}

impl Task {
    /// Where it is at work.
    pub fn span(&self) -> Span {
        let list = if let What::GiveBack { list, .. } = &self.what { Some(list.clone().into()) } else { None };
        Span {
            list,
            id: self.id,
            lba: self.lba,
            end: self.lba.saturating_add(self.blocks),
            changes: matches!(self.what, What::Write { .. } | What::Zero { .. } | What::GiveBack { .. }),
            keeps: !self.keep.is_empty(),
        }
    }

    /// What is said of it if it ends without a word.
    pub fn lost(&self) -> Outcome {
        Outcome { volume: self.volume, tag: self.tag, id: self.id, ..Outcome::default() }
    }

    /// Does it.
    pub fn run(self) -> Outcome {
        let mut outcome = self.lost();
        let backing = &*self.backing;
        let kept = if self.keep.is_empty() && !self.sync { Ok(()) } else { backing.commit(&self.keep) };
        let (at, len) = (self.lba * LBA_SIZE, self.blocks * LBA_SIZE);
        let done = kept.and_then(|()| match self.what {
            What::Read { over } => {
                let mut data = vec![0; len as usize];
                read(backing, self.lba, &mut data, &over)?;
                outcome.holes = holes(&*backing.disk, self.lba, &data, &over);
                outcome.data = data;
                Ok(MediaResult::Done)
            }
            What::Compare { data, over } => {
                let mut held = vec![0; data.len()];
                read(backing, self.lba, &mut held, &over)?;
                Ok(if held == data { MediaResult::Done } else { MediaResult::Differs })
            }
            What::Write { data, durable } => done(backing.write(&data, at, durable)),
            What::Zero { give_back, durable } => done(backing.change(durable, |disk| disk.zero(at, len, give_back))),
            What::GiveBack { list, durable } => done(backing.change(durable, |disk| {
                list.iter().try_for_each(|(lba, blocks)| disk.zero(lba * LBA_SIZE, blocks * LBA_SIZE, true))
            })),
            What::Verify => done(backing.disk.read_at(&mut vec![0; len as usize], at)),
            What::Flush => done(backing.sync()),
        });
        outcome.result = Some(done.unwrap_or_else(|_| {
            outcome.unkept = self.keep;
            MediaResult::Failed
        }));
        outcome
    }
}

fn done(result: io::Result<()>) -> io::Result<MediaResult> {
    result.map(|()| MediaResult::Done)
}

/// A file that was truncated since ends early: that is a medium's error, and no reason to stop.
fn read(backing: &Backing, lba: u64, out: &mut [u8], over: &[(u64, Vec<u8>)]) -> io::Result<()> {
    backing.disk.read_at(out, lba * LBA_SIZE)?;
    for (at, block) in over {
        let start = (at - lba) as usize * BLOCK;
        out[start..start + BLOCK].copy_from_slice(block);
    }
    Ok(())
}

/// Which of these blocks are holes. The disk is asked about zeroes only, and one that does not know has none.
fn holes(disk: &dyn Disk, lba: u64, data: &[u8], over: &[(u64, Vec<u8>)]) -> u32 {
    let (mut found, mut known) = (0, None);
    for (i, block) in data.chunks(BLOCK).enumerate() {
        let at = lba + i as u64;
        if block.iter().any(|byte| *byte != 0) || over.iter().any(|(cached, _)| *cached == at) {
            continue;
        }
        let (start, end) = (at * LBA_SIZE, (at + 1) * LBA_SIZE);
        let (hole, until) = match known.filter(|(_, until)| *until > start) {
            Some(known) => known,
            None => disk.extent(start, (lba * LBA_SIZE) + data.len() as u64).unwrap_or((false, u64::MAX)),
        };
        known = Some((hole, until));
        found |= u32::from(hole && until >= end) << i;
    }
    found
}
