//! The medium behind the card's media port: a disk for each volume, with latency, bandwidth and a write cache.
//!
//! What is asked to be durable (a flush; FUA, which the card also sets while its write cache is off) is answered after the
//! disk's sync, `fdatasync` for an image. The simulated clock stands still for it: the same calls give the same clocks.

mod disk;
#[cfg(test)]
mod tests;
mod volume;

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use azote_files::{Image, Use};
use azote_regs::nvme::limits::LBA_SIZE;
use rand::SeedableRng;
use rand::rngs::SmallRng;

pub use self::disk::Disk;
use self::volume::{Reach, Volume};
use crate::device::{Inputs, MediaData, MediaOp, MediaRequest, MediaResult, Outputs};
use crate::{Error, MediaOptions};

/// Bytes of a beat of the port.
const BEAT: usize = 16;

/// A request with what is left of it.
#[derive(Debug)]
struct Job {
    request: MediaRequest,
    /// Clock before which nothing of it comes back.
    due: u64,
    /// A read's data, or what has come of a write's.
    data: Vec<u8>,
    /// Bytes of a read that the card has.
    given: usize,
    result: MediaResult,
}

impl Job {
    /// Bytes that the card sends with it.
    fn wants(&self) -> usize {
        if self.request.op.takes_data() { self.request.blocks as usize * LBA_SIZE as usize } else { 0 }
    }
}

/// The medium.
#[derive(Debug)]
pub struct Media {
    options: MediaOptions,
    volumes: Vec<Option<Volume>>,
    reads: VecDeque<Job>,
    /// Everything else, which ends in its order.
    writes: VecDeque<Job>,
    /// How many of `writes`, from the front, have all their data.
    complete: usize,
    read_credit: u32,
    write_credit: u32,
    faults: Vec<MediaFault>,
    /// Requests that broke the port's own rules.
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

impl Media {
    /// A medium without volumes.
    pub fn new(options: MediaOptions) -> Self {
        Media {
            options,
            volumes: (0..256).map(|_| None).collect(),
            reads: VecDeque::new(),
            writes: VecDeque::new(),
            complete: 0,
            read_credit: 0,
            write_credit: 0,
            faults: Vec::new(),
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
        self.volumes[usize::from(number)] = Some(Volume::new(disk, blocks, read_only));
    }

    /// Takes a volume away, with all that was written durable; what asks for it from now on fails.
    pub fn detach(&mut self, number: u8) {
        self.volumes[usize::from(number)] = None;
    }

    /// Makes durable all that was written to any volume: for the end of a program, which so hears of an error.
    pub fn sync(&mut self) -> io::Result<()> {
        self.volumes.iter_mut().flatten().filter(|v| !v.read_only).try_for_each(|v| v.commit(0, u64::MAX))
    }

    /// Whether a volume has nothing at `lba` but a hole, which reads as zeroes, and for how many blocks, at most up to
    /// `end`, that is so. At least one.
    pub fn extent(&mut self, number: u8, lba: u64, end: u64) -> io::Result<(bool, u64)> {
        let volume = self.volumes[usize::from(number)].as_mut();
        let volume = volume.filter(|v| lba < end && end <= v.blocks).ok_or(io::ErrorKind::InvalidInput)?;
        volume.extent(lba, end)
    }

    /// A volume's size in blocks.
    pub fn blocks(&self, number: u8) -> Option<u64> {
        self.volumes[usize::from(number)].as_ref().map(|v| v.blocks)
    }

    /// Changes latency and bandwidth from now on.
    pub fn set_options(&mut self, options: MediaOptions) {
        self.options = options;
    }

    /// Makes accesses to some blocks fail from now on.
    pub fn inject(&mut self, fault: MediaFault) {
        self.faults.push(fault);
    }

    /// Ends all injected faults.
    pub fn heal(&mut self) {
        self.faults.clear();
    }

    /// The power goes: the requests are lost, and of each volume's write cache what a coin decides by `seed`.
    pub fn power_cut(&mut self, seed: u64) -> io::Result<()> {
        self.reset();
        let mut rng = SmallRng::seed_from_u64(seed);
        self.volumes.iter_mut().flatten().try_for_each(|volume| volume.power_cut(&mut rng))
    }

    /// True while a request has not ended.
    pub(crate) fn busy(&self) -> bool {
        !self.reads.is_empty() || !self.writes.is_empty()
    }

    /// What the card did wrong on this port, once.
    pub(crate) fn take_broken(&mut self) -> Option<String> {
        self.broken.take()
    }

    /// Forgets all requests: the card was reset.
    pub(crate) fn reset(&mut self) {
        self.reads.clear();
        self.writes.clear();
        self.complete = 0;
    }

    /// Sets the port's inputs for this clock.
    pub(crate) fn drive(&mut self, clock: u64, inputs: &mut Inputs) {
        let full = MediaOptions::FULL;
        // One beat may be saved up, so that a bandwidth that is no whole fraction of the port's comes out right.
        self.read_credit = (self.read_credit + self.options.bandwidth).min(2 * full - 1);
        self.write_credit = (self.write_credit + self.options.bandwidth).min(2 * full - 1);
        inputs.mreq_ready = self.reads.len() + self.writes.len() < self.options.depth;
        inputs.mwr_ready = self.write_credit >= full && self.complete < self.writes.len();
        if let Some(job) = self.reads.front()
            && job.due <= clock
            && self.read_credit >= full
        {
            let chunk = &job.data[job.given..job.given + BEAT];
            let data = std::array::from_fn(|i| {
                u32::from_le_bytes([chunk[4 * i], chunk[4 * i + 1], chunk[4 * i + 2], chunk[4 * i + 3]])
            });
            let last = job.given + BEAT == job.data.len();
            let error = job.result == MediaResult::Failed;
            inputs.mrd = Some(MediaData { data, last, error: last && error });
        }
        if self.complete > 0
            && let Some(job) = self.writes.front()
            && job.due <= clock
        {
            inputs.mdone = Some(job.result);
        }
    }

    /// Takes what was transferred in this clock; true if anything was.
    pub(crate) fn step(&mut self, clock: u64, inputs: &Inputs, outputs: &Outputs) -> bool {
        let mut moved = false;
        if let (Some(data), true) = (inputs.mrd, outputs.mrd_ready) {
            moved = true;
            self.read_credit -= MediaOptions::FULL;
            if let Some(job) = self.reads.front_mut() {
                job.given += BEAT;
            }
            if data.last {
                self.reads.pop_front();
            }
        }
        if inputs.mdone.is_some() && outputs.mdone_ready {
            moved = true;
            self.writes.pop_front();
            self.complete -= 1;
        }
        if let (Some(data), true) = (outputs.mwr, inputs.mwr_ready) {
            moved = true;
            self.write_credit -= MediaOptions::FULL;
            self.take_data(clock, data);
        }
        if let (Some(request), true) = (outputs.mreq, inputs.mreq_ready) {
            moved = true;
            self.take_request(clock, request);
        }
        moved
    }

    fn take_request(&mut self, clock: u64, request: MediaRequest) {
        let due = clock + 1 + u64::from(self.options.latency);
        let mut job = Job { request, due, data: Vec::new(), given: 0, result: MediaResult::Done };
        if request.blocks == 0 && request.op != MediaOp::Flush {
            // Its data would have no last beat: it could never end.
            self.broken = Some(format!("media port: a request for no blocks: {request:?}"));
            return;
        }
        if request.op == MediaOp::Read {
            job.data = vec![0; request.blocks as usize * LBA_SIZE as usize];
            job.result = result(self.read(&request, &mut job.data));
            self.blocks[0] += request.blocks;
            self.reads.push_back(job);
            return;
        }
        job.data.reserve_exact(job.wants());
        self.blocks[usize::from(!request.op.reads())] += if job.wants() == 0 { 0 } else { request.blocks };
        self.writes.push_back(job);
        self.finish(clock);
    }

    fn take_data(&mut self, clock: u64, beat: MediaData) {
        let Some(job) = self.writes.get_mut(self.complete) else { return };
        for word in beat.data {
            job.data.extend_from_slice(&word.to_le_bytes());
        }
        let full = job.data.len() == job.wants();
        if full != beat.last {
            let have = job.data.len();
            self.broken = Some(format!("media port: last is {} after {have} bytes of {:?}", beat.last, job.request));
        }
        self.finish(clock);
    }

    /// Carries out the requests whose turn it is: those with all their data and none before them without.
    fn finish(&mut self, clock: u64) {
        while let Some(job) = self.writes.get(self.complete) {
            if job.data.len() < job.wants() {
                return;
            }
            let request = job.request;
            let data = std::mem::take(&mut self.writes[self.complete].data);
            let done = self.carry_out(&request, &data);
            if let Some(job) = self.writes.get_mut(self.complete) {
                job.data = data;
                job.result = done;
                job.due = clock + 1 + u64::from(self.options.latency);
            }
            self.complete += 1;
        }
    }

    /// The volume, if all of the request lies inside of it and no fault is set there.
    fn volume(&mut self, request: &MediaRequest) -> io::Result<&mut Volume> {
        let end = request.lba.saturating_add(request.blocks);
        let fault = self.faults.iter().any(|f| {
            let kind = if request.op.reads() { f.read } else { f.write };
            kind && f.volume == request.volume && f.lba < end && request.lba < f.lba.saturating_add(f.blocks)
        });
        let volume = self.volumes[usize::from(request.volume)].as_mut();
        let inside =
            request.op == MediaOp::Flush || volume.as_ref().is_some_and(|v| v.holds(request.lba, request.blocks));
        volume.filter(|_| inside && !fault).ok_or(io::ErrorKind::InvalidInput.into())
    }

    fn read(&mut self, request: &MediaRequest, out: &mut [u8]) -> io::Result<()> {
        let volume = self.volume(request)?;
        if request.fua {
            volume.commit(request.lba, request.lba + request.blocks)?;
        }
        volume.read(request.lba, out)
    }

    fn carry_out(&mut self, request: &MediaRequest, data: &[u8]) -> MediaResult {
        let reach = match (request.fua, self.options.cache) {
            (true, _) => Reach::Durable,
            (false, true) => Reach::Cache,
            (false, false) => Reach::Disk,
        };
        let (lba, blocks) = (request.lba, request.blocks);
        let volume = match self.volume(request) {
            Ok(volume) => volume,
            Err(_) => return MediaResult::Failed,
        };
        result(match request.op {
            MediaOp::Write => volume.write(lba, data, reach),
            MediaOp::WriteZeroes => volume.zero(lba, blocks, reach),
            MediaOp::Deallocate => volume.deallocate(lba, blocks, reach),
            MediaOp::Flush => volume.commit(0, u64::MAX),
            MediaOp::Verify => volume.verify(lba, blocks),
            MediaOp::Read | MediaOp::Compare => {
                let mut held = vec![0; data.len()];
                match volume.read(lba, &mut held) {
                    Ok(()) if held != data => return MediaResult::Differs,
                    other => other,
                }
            }
        })
    }
}

fn result(done: io::Result<()>) -> MediaResult {
    if done.is_ok() { MediaResult::Done } else { MediaResult::Failed }
}
