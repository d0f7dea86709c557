//! The medium behind the card's media port: a file for each volume, with latency and bandwidth.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use azote_regs::nvme::limits::LBA_SIZE;

use crate::device::{Inputs, MediaData, MediaOp, MediaRequest, Outputs};
use crate::{Error, MediaOptions};

/// Bytes of a beat of the port.
const BEAT: usize = 16;

/// One volume.
#[derive(Debug)]
struct Volume {
    file: File,
    blocks: u64,
    read_only: bool,
}

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
    error: bool,
}

/// The medium.
#[derive(Debug)]
pub struct Media {
    options: MediaOptions,
    volumes: Vec<Option<Volume>>,
    reads: VecDeque<Job>,
    /// Writes, flushes and write-zeroes, which end in their order.
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
    /// Reads fail.
    pub read: bool,
    /// Writes, and writes of zeroes, fail.
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
        let blocks = meta.len() / LBA_SIZE;
        self.volumes[usize::from(number)] = Some(Volume { file, blocks, read_only });
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
            inputs.mrd = Some(MediaData { data, last, error: last && job.error });
        }
        if self.complete > 0
            && let Some(job) = self.writes.front()
            && job.due <= clock
        {
            inputs.mdone = Some(job.error);
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
        let mut job = Job { request, due, data: Vec::new(), given: 0, error: false };
        let bytes = usize::from(request.blocks) * LBA_SIZE as usize;
        if request.blocks == 0 && request.op != MediaOp::Flush {
            // Its data would have no last beat: it could never end.
            self.broken = Some(format!("media port: a request for no blocks: {request:?}"));
            return;
        }
        match request.op {
            MediaOp::Read => {
                job.data = vec![0; bytes];
                job.error = !self.read(&request, &mut job.data);
                self.blocks[0] += u64::from(request.blocks);
                self.reads.push_back(job);
            }
            MediaOp::Write => {
                job.data.reserve_exact(bytes);
                self.blocks[1] += u64::from(request.blocks);
                self.writes.push_back(job);
            }
            MediaOp::Flush | MediaOp::WriteZeroes => {
                self.writes.push_back(job);
                self.finish(clock);
            }
        }
    }

    fn take_data(&mut self, clock: u64, beat: MediaData) {
        let Some(job) = self.writes.get_mut(self.complete) else { return };
        for word in beat.data {
            job.data.extend_from_slice(&word.to_le_bytes());
        }
        let full = job.data.len() == usize::from(job.request.blocks) * LBA_SIZE as usize;
        if full != beat.last {
            let have = job.data.len();
            self.broken = Some(format!("media port: last is {} after {have} bytes of {:?}", beat.last, job.request));
        }
        self.finish(clock);
    }

    /// Carries out the requests whose turn it is: those with all their data and none before them without.
    fn finish(&mut self, clock: u64) {
        while let Some(job) = self.writes.get(self.complete) {
            let request = job.request;
            let wants = if request.op == MediaOp::Write { usize::from(request.blocks) * LBA_SIZE as usize } else { 0 };
            if job.data.len() < wants {
                return;
            }
            let done = match request.op {
                MediaOp::Write => self.write(&request, &job.data),
                MediaOp::WriteZeroes => self.write(&request, &vec![0; usize::from(request.blocks) * LBA_SIZE as usize]),
                _ => self.volumes[usize::from(request.volume)].is_some(),
            };
            if let Some(job) = self.writes.get_mut(self.complete) {
                job.error = !done;
                job.due = clock + 1 + u64::from(self.options.latency);
            }
            self.complete += 1;
        }
    }

    /// The volume, if all of the request lies inside of it and no fault is set there.
    fn volume(&self, request: &MediaRequest) -> Option<&Volume> {
        let volume = self.volumes[usize::from(request.volume)].as_ref()?;
        let end = request.lba.checked_add(request.blocks.into())?;
        let fault = self.faults.iter().any(|f| {
            let kind = if request.op == MediaOp::Read { f.read } else { f.write };
            kind && f.volume == request.volume && f.lba < end && request.lba < f.lba.saturating_add(f.blocks)
        });
        (end <= volume.blocks && !fault).then_some(volume)
    }

    fn read(&self, request: &MediaRequest, out: &mut [u8]) -> bool {
        let Some(volume) = self.volume(request) else { return false };
        // A file that was truncated since ends early: that is a medium's error, and no reason to stop.
        volume.file.read_exact_at(out, request.lba * LBA_SIZE).is_ok()
    }

    fn write(&self, request: &MediaRequest, data: &[u8]) -> bool {
        let Some(volume) = self.volume(request) else { return false };
        !volume.read_only && volume.file.write_all_at(data, request.lba * LBA_SIZE).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        media: Media,
        clock: u64,
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
            Bench { media, clock: 0, _folder: folder, path }
        }

        /// One clock of a card that offers `outputs` and takes everything.
        fn clock(&mut self, mut outputs: Outputs) -> Inputs {
            let mut inputs = Inputs::default();
            self.media.drive(self.clock, &mut inputs);
            (outputs.mrd_ready, outputs.mdone_ready) = (true, true);
            self.media.step(self.clock, &inputs, &outputs);
            self.clock += 1;
            inputs
        }

        fn request(&mut self, op: MediaOp, lba: u64, blocks: u16) {
            let mreq = Some(MediaRequest { op, volume: 3, lba, blocks });
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

        fn done(&mut self) -> bool {
            loop {
                if let Some(error) = self.clock(Outputs::default()).mdone {
                    return !error;
                }
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
        assert!(bench.done() && bench.done() && bench.done());
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
        assert!(!bench.done(), "read-only");
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
