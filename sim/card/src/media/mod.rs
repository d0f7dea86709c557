//! The medium behind the card's media port: a file for each volume, with latency, bandwidth and a write cache.

mod volume;

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use azote_regs::nvme::limits::LBA_SIZE;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use self::volume::Volume;
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

    /// Makes `path` volume `number`; its whole 512-byte blocks are the volume's. Returns how many they are.
    pub fn attach(&mut self, number: u8, path: &Path, read_only: bool) -> Result<u64, Error> {
        let volume = Volume::open(number, path, read_only)?;
        let blocks = volume.blocks;
        self.volumes[usize::from(number)] = Some(volume);
        Ok(blocks)
    }

    /// Takes a volume away; what asks for it from now on fails.
    pub fn detach(&mut self, number: u8) {
        self.volumes[usize::from(number)] = None;
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
        let durable = request.fua || !self.options.cache;
        let (lba, blocks) = (request.lba, request.blocks);
        let volume = match self.volume(request) {
            Ok(volume) => volume,
            Err(_) => return MediaResult::Failed,
        };
        result(match request.op {
            MediaOp::Write => volume.write(lba, data, durable),
            MediaOp::WriteZeroes => volume.zero(lba, blocks, durable),
            MediaOp::Deallocate => volume.deallocate(lba, blocks),
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        media: Media,
        clock: u64,
        /// What ended and was not asked for yet: some end while the data of the next is given.
        ended: VecDeque<MediaResult>,
        _folder: tempfile::TempDir,
        path: std::path::PathBuf,
    }

    impl Bench {
        fn new(options: MediaOptions, read_only: bool) -> Bench {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("volume");
            let bytes: Vec<u8> = (0..16 * 512u32).map(|i| (i / 512 * 31 + i) as u8).collect();
            std::fs::write(&path, bytes).unwrap();
            let mut media = Media::new(options);
            assert_eq!(media.attach(3, &path, read_only).unwrap(), 16);
            Bench { media, clock: 0, ended: VecDeque::new(), _folder: folder, path }
        }

        /// One clock of a card that offers `outputs` and takes everything.
        fn clock(&mut self, mut outputs: Outputs) -> Inputs {
            let mut inputs = Inputs::default();
            self.media.drive(self.clock, &mut inputs);
            (outputs.mrd_ready, outputs.mdone_ready) = (true, true);
            self.media.step(self.clock, &inputs, &outputs);
            self.ended.extend(inputs.mdone);
            self.clock += 1;
            assert!(self.clock < 10_000, "the medium has stopped");
            inputs
        }

        fn request(&mut self, op: MediaOp, lba: u64, blocks: u64) {
            self.ask(op, lba, blocks, false);
        }

        fn ask(&mut self, op: MediaOp, lba: u64, blocks: u64, fua: bool) {
            let mreq = Some(MediaRequest { op, volume: 3, fua, lba, blocks });
            while !self.clock(Outputs { mreq, ..Outputs::default() }).mreq_ready {}
        }

        /// The data of the next read, whether it failed, and how many clocks it took.
        fn read(&mut self) -> (Vec<u8>, bool, u64) {
            let (start, mut data) = (self.clock, Vec::new());
            loop {
                if let Some(beat) = self.clock(Outputs::default()).mrd {
                    data.extend(beat.data.iter().flat_map(|w| w.to_le_bytes()));
                    if beat.last {
                        return (data, beat.error, self.clock - start);
                    }
                }
            }
        }

        fn write(&mut self, byte: u8, blocks: usize) {
            for i in 0..blocks * 32 {
                let data = [u32::from_le_bytes([byte; 4]); 4];
                let mwr = Some(MediaData { data, last: i + 1 == blocks * 32, error: false });
                while !self.clock(Outputs { mwr, ..Outputs::default() }).mwr_ready {}
            }
        }

        fn done(&mut self) -> MediaResult {
            loop {
                if let Some(result) = self.ended.pop_front() {
                    return result;
                }
                self.clock(Outputs::default());
            }
        }
    }

    #[test]
    fn reads_come_in_order_with_latency_and_bandwidth() {
        let full = Bench::new(MediaOptions::default(), false).timed();
        assert_eq!(full, 64);
        let late = Bench::new(MediaOptions { latency: 10, ..MediaOptions::default() }, false).timed();
        assert_eq!(late, 74);
        let slow = MediaOptions { bandwidth: MediaOptions::FULL / 4 * 3, ..MediaOptions::default() };
        assert!((84..=86).contains(&Bench::new(slow, false).timed()));
    }

    impl Bench {
        fn timed(mut self) -> u64 {
            self.request(MediaOp::Read, 4, 2);
            let (data, error, clocks) = self.read();
            assert_eq!(data, std::fs::read(&self.path).unwrap()[4 * 512..6 * 512]);
            assert!(!error && !self.media.busy());
            clocks
        }
    }

    #[test]
    fn writes_flushes_and_zeroes_end_in_their_order() {
        let mut bench = Bench::new(MediaOptions::default(), false);
        bench.request(MediaOp::Write, 1, 2);
        bench.request(MediaOp::Flush, 0, 0);
        bench.request(MediaOp::WriteZeroes, 2, 1);
        assert!(bench.clock(Outputs::default()).mdone.is_none(), "the write has no data yet");
        bench.write(0xaa, 2);
        assert_eq!([bench.done(), bench.done(), bench.done()], [MediaResult::Done; 3]);
        let bytes = std::fs::read(&bench.path).unwrap();
        assert_eq!(bytes[512..1024], [0xaa; 512]);
        assert_eq!(bytes[1024..1536], [0; 512]);
        assert_ne!(bytes[1536..2048], [0xaa; 512]);
        assert!(!bench.media.busy());
    }

    #[test]
    fn errors_deliver_all_their_beats() {
        let mut bench = Bench::new(MediaOptions::default(), true);
        bench.request(MediaOp::Read, 15, 2);
        let (data, error, _) = bench.read();
        assert!(error && data.len() == 1024);
        bench.request(MediaOp::Write, 0, 1);
        bench.write(1, 1);
        assert_eq!(bench.done(), MediaResult::Failed, "read-only");
        bench.media.inject(MediaFault { volume: 3, lba: 5, blocks: 1, read: true, write: false });
        bench.request(MediaOp::Read, 4, 1);
        assert!(!bench.read().1);
        bench.request(MediaOp::Read, 4, 2);
        assert!(bench.read().1);
        bench.media.heal();
        std::fs::OpenOptions::new().write(true).open(&bench.path).unwrap().set_len(600).unwrap();
        bench.request(MediaOp::Read, 4, 2);
        assert!(bench.read().1, "the file was truncated under it");
        bench.media.detach(3);
        bench.request(MediaOp::Read, 0, 1);
        assert!(bench.read().1);
    }

    #[test]
    fn blocks_are_compared_verified_and_given_back() {
        let mut bench = Bench::new(MediaOptions::default(), false);
        bench.request(MediaOp::Write, 4, 2);
        bench.write(0x31, 2);
        bench.request(MediaOp::Compare, 4, 2);
        bench.write(0x31, 2);
        bench.request(MediaOp::Compare, 5, 2);
        bench.write(0x31, 2);
        bench.request(MediaOp::Deallocate, 4, 1);
        bench.request(MediaOp::Verify, 0, 16);
        let ends: Vec<_> = (0..5).map(|_| bench.done()).collect();
        use MediaResult::{Differs, Done};
        assert_eq!(ends, [Done, Done, Differs, Done, Done]);
        let bytes = std::fs::read(&bench.path).unwrap();
        assert_eq!((&bytes[4 * 512..5 * 512], &bytes[5 * 512..6 * 512]), (&[0; 512][..], &[0x31; 512][..]));
        bench.media.inject(MediaFault { volume: 3, lba: 9, blocks: 1, read: true, write: false });
        bench.request(MediaOp::Verify, 0, 16);
        bench.request(MediaOp::Compare, 9, 1);
        bench.write(0, 1);
        assert_eq!([bench.done(), bench.done()], [MediaResult::Failed; 2]);
    }

    #[test]
    fn a_power_cut_takes_what_was_not_made_durable_and_nothing_else() {
        let options = MediaOptions { cache: true, ..MediaOptions::default() };
        let (mut kept, mut lost) = (0, 0);
        for seed in 0..20 {
            let mut bench = Bench::new(options, false);
            let before = std::fs::read(&bench.path).unwrap();
            bench.request(MediaOp::Write, 0, 4);
            bench.write(0xaa, 4);
            assert_eq!(bench.done(), MediaResult::Done);
            assert!(std::fs::read(&bench.path).unwrap() == before, "only in the cache");
            bench.request(MediaOp::Read, 0, 4);
            assert_eq!(bench.read().0, [0xaa; 2048], "and read from there");
            bench.request(MediaOp::Flush, 0, 0);
            bench.ask(MediaOp::Write, 4, 1, true);
            bench.write(0xbb, 1);
            bench.request(MediaOp::Write, 8, 8);
            bench.write(0xcc, 8);
            assert_eq!([bench.done(), bench.done(), bench.done()], [MediaResult::Done; 3]);
            bench.media.power_cut(seed).unwrap();
            let bytes = std::fs::read(&bench.path).unwrap();
            assert_eq!((&bytes[..2048], &bytes[2048..2560]), (&[0xaa; 2048][..], &[0xbb; 512][..]));
            for (i, block) in bytes.chunks(512).enumerate().skip(8) {
                let new = block == [0xcc; 512];
                assert!(new || *block == before[512 * i..][..512]);
                kept += u32::from(new);
                lost += u32::from(!new);
            }
        }
        assert!(kept > 20 && lost > 20, "{kept} kept, {lost} lost");
    }

    #[test]
    fn the_ports_rules_are_checked() {
        let mut bench = Bench::new(MediaOptions::default(), false);
        bench.request(MediaOp::Read, 0, 0);
        assert!(bench.media.take_broken().unwrap().contains("no blocks"));
        bench.request(MediaOp::Write, 0, 1);
        let mwr = Some(MediaData { last: true, ..MediaData::default() });
        bench.clock(Outputs { mwr, ..Outputs::default() });
        assert!(bench.media.take_broken().unwrap().contains("last is true after 16 bytes"));
    }

    #[test]
    fn a_file_that_cannot_be_a_volume_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut media = Media::new(MediaOptions::default());
        let small = folder.path().join("small");
        std::fs::write(&small, [0; 511]).unwrap();
        for (path, reason) in [
            (folder.path().join("none"), "No such file"),
            (folder.path().to_owned(), "not a regular file"),
            (small, "smaller than one 512-byte block"),
        ] {
            let text = media.attach(0, &path, true).unwrap_err().to_string();
            assert!(text.contains(reason) && text.contains(path.to_str().unwrap()), "{text}");
        }
    }
}
