//! The medium by itself: its port, its faults, its cache, and what it keeps.

mod cancel;
mod host;
mod random;
mod ranges;
mod rules;
mod time;

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::*;
use crate::HostTime;
use crate::device::{Inputs, MediaBeat, MediaOp, MediaRequest, MediaResult, Outputs};

/// The answer to a read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Answer {
    data: Vec<u8>,
    error: bool,
    /// Nothing but a hole, and so no data was called for.
    hole: bool,
    /// Of each beat.
    holes: Vec<bool>,
    /// When its last beat came.
    clock: u64,
}

/// A card's side of the port.
struct Bench {
    media: Media,
    clock: u64,
    limit: u64,
    free: BTreeSet<u16>,
    next: u16,
    /// What ended and was not asked for yet: some end while the data of the next is given.
    ended: VecDeque<(u16, MediaResult)>,
    reads: HashMap<u16, Answer>,
    /// What is under way, with its blocks if it is a read.
    asked: HashMap<u16, u64>,
    /// Reads that were cancelled before their answer: that alone is their end.
    given_up: BTreeSet<u16>,
    /// Whether it takes answers, and calls for data as soon as there is any.
    takes: bool,
    calls: bool,
    /// Reads that can be called for, and those that were.
    offered: VecDeque<u16>,
    called: VecDeque<u16>,
    /// The data that has begun.
    begun: Option<Answer>,
    /// The tags of answers, as they came, with their clocks.
    order: Vec<(u16, u64)>,
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
        Bench {
            media,
            clock: 0,
            limit: 100_000,
            free: (0..0x1000).collect(),
            next: 0xff0,
            ended: VecDeque::new(),
            reads: HashMap::new(),
            asked: HashMap::new(),
            given_up: BTreeSet::new(),
            takes: true,
            calls: true,
            offered: VecDeque::new(),
            called: VecDeque::new(),
            begun: None,
            order: Vec::new(),
            _folder: folder,
            path,
        }
    }

    /// One clock of a card that offers `outputs` and, unless told otherwise, takes everything.
    fn clock(&mut self, mut outputs: Outputs) -> Inputs {
        let mut inputs = Inputs::default();
        self.media.drive(self.clock, &mut inputs);
        (outputs.mrd_ready, outputs.mdone_ready) = (true, self.takes);
        outputs.mget = outputs.mget.or(self.offered.front().copied().filter(|_| self.calls));
        self.media.step(self.clock, &inputs, &outputs);
        // The beats of an answer are together, without a gap.
        assert!(self.begun.is_none() || inputs.mrd.is_some(), "an answer stands still in clock {}", self.clock);
        if let Some(beat) = inputs.mrd {
            let mut answer = self.begun.take().unwrap_or_default();
            assert!(!beat.error || beat.last);
            answer.data.extend(beat.data.iter().flat_map(|w| w.to_le_bytes()));
            answer.holes.push(beat.hole);
            if beat.last {
                let tag = self.called.pop_front().expect("data that was not called for");
                (answer.error, answer.clock) = (beat.error, self.clock);
                self.reads.insert(tag, answer);
                self.end(tag);
            } else {
                self.begun = Some(answer);
            }
        }
        if inputs.mget_ready && self.calls {
            self.called.extend(self.offered.pop_front());
        }
        if let Some(done) = inputs.mdone.filter(|_| self.takes) {
            let clock = self.clock;
            let asked = self.asked.remove(&done.tag);
            match (asked.filter(|_| !self.given_up.remove(&done.tag)), done.result) {
                (Some(_), MediaResult::Done) => self.offered.push_back(done.tag),
                (Some(blocks), result) => {
                    let hole = result == MediaResult::Hole;
                    let (data, holes) = if hole { (blocks * 512, blocks * 32) } else { (0, 0) };
                    let (data, holes) = (vec![0; data as usize], vec![true; holes as usize]);
                    self.reads.insert(done.tag, Answer { data, holes, hole, error: !hole, clock });
                    self.end(done.tag);
                }
                (None, result) => {
                    self.ended.push_back((done.tag, result));
                    self.end(done.tag);
                }
            }
        }
        self.clock += 1;
        assert!(self.clock < self.limit, "the medium has stopped");
        inputs
    }

    fn end(&mut self, tag: u16) {
        assert!(self.free.insert(tag), "{tag:#x} was answered twice, or never asked for");
        self.order.push((tag, self.clock));
    }

    fn idle(&mut self, clocks: u64) {
        for _ in 0..clocks {
            self.clock(Outputs::default());
        }
    }

    fn request(&mut self, op: MediaOp, lba: u64, blocks: u64) -> u16 {
        self.ask(op, lba, blocks, false)
    }

    fn ask(&mut self, op: MediaOp, lba: u64, blocks: u64, fua: bool) -> u16 {
        self.ask_of(3, op, lba, blocks, fua)
    }

    fn ask_of(&mut self, volume: u8, op: MediaOp, lba: u64, blocks: u64, fua: bool) -> u16 {
        while !self.free.contains(&self.next) {
            self.next = (self.next + 1) % 0x1000;
        }
        let tag = self.next;
        self.free.remove(&tag);
        self.next = (tag + 1) % 0x1000;
        if op == MediaOp::Read {
            self.asked.insert(tag, blocks);
        }
        self.send(MediaRequest { tag, op, volume, fua, lba, blocks });
        tag
    }

    fn send(&mut self, request: MediaRequest) {
        let mreq = Some(request);
        while !self.clock(Outputs { mreq, ..Outputs::default() }).mreq_ready {}
    }

    fn cancel(&mut self, tag: u16) {
        let answered = self.offered.iter().position(|offered| *offered == tag);
        answered.map(|at| self.offered.remove(at));
        if self.asked.contains_key(&tag) {
            self.given_up.insert(tag);
        }
        self.send(MediaRequest { tag, op: MediaOp::Cancel, volume: 0, fua: false, lba: 0, blocks: 0 });
        if answered.is_some() {
            self.end(tag);
        }
    }

    /// The card is reset, and the medium hears of it.
    fn reset(&mut self) {
        self.media.reset();
        self.free = (0..0x1000).collect();
        (self.asked, self.given_up, self.begun) = (HashMap::new(), BTreeSet::new(), None);
        self.offered.clear();
        self.called.clear();
    }

    /// The answer to a read.
    fn read(&mut self, tag: u16) -> Answer {
        loop {
            if let Some(answer) = self.reads.remove(&tag) {
                return answer;
            }
            self.clock(Outputs::default());
        }
    }

    fn write(&mut self, byte: u8, blocks: usize) {
        self.beats(&vec![[u32::from_le_bytes([byte; 4]); 4]; blocks * 32]);
    }

    /// All data of a request.
    fn beats(&mut self, beats: &[[u32; 4]]) {
        self.data(beats, false);
    }

    /// As [`Bench::write`], but with the last of it the card says that it was spoilt.
    fn spoil(&mut self, byte: u8, blocks: usize) {
        self.data(&vec![[u32::from_le_bytes([byte; 4]); 4]; blocks * 32], true);
    }

    fn data(&mut self, beats: &[[u32; 4]], spoilt: bool) {
        for (i, data) in beats.iter().enumerate() {
            let last = i + 1 == beats.len();
            let mwr = Some(MediaBeat { data: *data, last, spoilt: spoilt && last });
            while !self.clock(Outputs { mwr, ..Outputs::default() }).mwr_ready {}
        }
    }

    /// The next result, whosever it is.
    fn done(&mut self) -> MediaResult {
        loop {
            if let Some((_, result)) = self.ended.pop_front() {
                return result;
            }
            self.clock(Outputs::default());
        }
    }

    /// The result of this one.
    fn result(&mut self, tag: u16) -> MediaResult {
        loop {
            if let Some(at) = self.ended.iter().position(|(ended, _)| *ended == tag) {
                return self.ended.remove(at).unwrap().1;
            }
            self.clock(Outputs::default());
        }
    }
}

#[test]
fn each_request_is_done_at_its_blocks() {
    let mut bench = Bench::new(MediaOptions::default(), false);
    let before = std::fs::read(&bench.path).unwrap();
    let tag = bench.request(MediaOp::Read, 4, 2);
    let answer = bench.read(tag);
    assert_eq!(answer.data, before[4 * 512..6 * 512]);
    assert!(!answer.error && !answer.holes.contains(&true) && !bench.media.busy());
    let write = bench.request(MediaOp::Write, 1, 2);
    let flush = bench.request(MediaOp::Flush, 0, 0);
    assert_eq!(bench.result(flush), MediaResult::Done, "the write before it has no data yet, and holds nothing up");
    assert!(bench.ended.is_empty());
    bench.write(0xaa, 2);
    assert_eq!(bench.result(write), MediaResult::Done);
    let zeroes = bench.request(MediaOp::WriteZeroes, 2, 1);
    assert_eq!(bench.result(zeroes), MediaResult::Done);
    let bytes = std::fs::read(&bench.path).unwrap();
    assert_eq!(bytes[512..1024], [0xaa; 512]);
    assert_eq!(bytes[1024..1536], [0; 512]);
    assert_eq!(bytes[1536..], before[1536..]);
    assert!(!bench.media.busy());
}

#[test]
fn an_error_is_the_answer_of_a_read_and_then_it_has_no_data() {
    let mut bench = Bench::new(MediaOptions::default(), true);
    let read = |bench: &mut Bench, lba, blocks| {
        let tag = bench.request(MediaOp::Read, lba, blocks);
        let answer = bench.read(tag);
        (answer.error, answer.data.len())
    };
    assert_eq!(read(&mut bench, 15, 2), (true, 0), "beyond the end");
    bench.request(MediaOp::Write, 0, 1);
    bench.write(1, 1);
    assert_eq!(bench.done(), MediaResult::Failed, "read-only");
    bench.media.inject(MediaFault { volume: 3, lba: 5, blocks: 1, read: true, write: false });
    assert_eq!(read(&mut bench, 4, 1), (false, 512));
    assert_eq!(read(&mut bench, 4, 2), (true, 0));
    assert_eq!(read(&mut bench, 5, 8), (true, 0));
    bench.media.heal();
    std::fs::OpenOptions::new().write(true).open(&bench.path).unwrap().set_len(600).unwrap();
    assert_eq!(read(&mut bench, 4, 2), (true, 0), "the file was truncated under it");
    bench.media.detach(3);
    assert_eq!(read(&mut bench, 0, 1), (true, 0));
}

#[test]
fn what_turns_out_unreadable_when_it_is_called_for_is_an_error_with_the_last_beat() {
    let mut bench = Bench::new(MediaOptions::default(), true);
    let read = |bench: &mut Bench, lba, blocks| {
        let tag = bench.request(MediaOp::Read, lba, blocks);
        let answer = bench.read(tag);
        (answer.error, answer.data.len())
    };
    bench.media.spoil(3, 5, 1);
    assert_eq!(read(&mut bench, 4, 1), (false, 512));
    assert_eq!(read(&mut bench, 4, 4), (true, 2048), "all of it comes all the same");
    assert_eq!(read(&mut bench, 6, 1), (false, 512));
    bench.media.heal();
    assert_eq!(read(&mut bench, 5, 1), (false, 512));
}

#[test]
fn blocks_are_compared_verified_and_given_back() {
    let mut bench = Bench::new(MediaOptions::default(), false);
    bench.request(MediaOp::Write, 4, 2);
    bench.write(0x31, 2);
    let mut ends = vec![bench.done()];
    for lba in [4, 5] {
        bench.request(MediaOp::Compare, lba, 2);
        bench.write(0x31, 2);
        ends.push(bench.done());
    }
    bench.request(MediaOp::Deallocate, 4, 1);
    ends.push(bench.done());
    bench.request(MediaOp::Verify, 0, 16);
    ends.push(bench.done());
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
        let tag = bench.request(MediaOp::Read, 0, 4);
        assert_eq!(bench.read(tag).data, [0xaa; 2048], "and read from there");
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
fn a_file_that_cannot_be_a_volume_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut media = Media::new(MediaOptions::default());
    let small = folder.path().join("small");
    std::fs::write(&small, [0; 511]).unwrap();
    for (path, reason) in [
        (folder.path().join("none"), "No such file"),
        (folder.path().to_owned(), "is a directory"),
        (small, "smaller than one 512-byte block"),
    ] {
        let text = media.attach(0, &path, true).unwrap_err().to_string();
        assert!(text.contains(reason) && text.contains(path.to_str().unwrap()), "{text}");
    }
}

/// A disk that forgets, when the power goes, whatever was not synced; and one whose sync can fail.
#[derive(Debug, Clone, Default)]
struct Forgetful(std::sync::Arc<std::sync::Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    seen: Vec<u8>,
    durable: Vec<u8>,
    syncs: u32,
    fails: bool,
}

impl Forgetful {
    fn new(blocks: usize) -> Self {
        let zeroes = vec![0; blocks * 512];
        Self(std::sync::Arc::new(Platter { seen: zeroes.clone(), durable: zeroes, ..Platter::default() }.into()))
    }

    fn platter(&self) -> std::sync::MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }

    /// What is on it after a loss of power.
    fn after_power_cut(&self) -> Vec<u8> {
        self.platter().durable.clone()
    }
}

impl Disk for Forgetful {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        out.copy_from_slice(&self.platter().seen[offset as usize..][..out.len()]);
        Ok(())
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.platter().seen[offset as usize..][..data.len()].copy_from_slice(data);
        Ok(())
    }

    fn zero(&self, offset: u64, len: u64, _give_back: bool) -> io::Result<()> {
        self.platter().seen[offset as usize..][..len as usize].fill(0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut platter = self.platter();
        if platter.fails {
            return Err(io::ErrorKind::StorageFull.into());
        }
        platter.syncs += 1;
        platter.durable = platter.seen.clone();
        Ok(())
    }
}

/// A medium, with or without a cache of its own, whose volume 3 is a forgetful disk.
fn forgetful(cache: bool) -> (Bench, Forgetful) {
    let mut bench = Bench::new(MediaOptions { cache, ..MediaOptions::default() }, false);
    let disk = Forgetful::new(16);
    bench.media.attach_disk(3, Box::new(disk.clone()), 16, false);
    (bench, disk)
}

#[test]
fn what_is_answered_as_durable_is_on_the_disk_and_the_rest_need_not_be() {
    for cache in [false, true] {
        let (mut bench, disk) = forgetful(cache);
        bench.request(MediaOp::Write, 0, 1);
        bench.write(0x11, 1);
        bench.done();
        assert_eq!(disk.after_power_cut()[..512], [0; 512], "a write alone promises nothing");
        bench.request(MediaOp::Flush, 0, 0);
        bench.done();
        assert_eq!(disk.after_power_cut()[..512], [0x11; 512], "a flush covers the volume");
        bench.ask(MediaOp::Write, 1, 1, true);
        bench.write(0x22, 1);
        bench.done();
        assert_eq!(disk.after_power_cut()[512..1024], [0x22; 512], "FUA");
        bench.ask(MediaOp::WriteZeroes, 0, 1, true);
        bench.done();
        bench.ask(MediaOp::Deallocate, 1, 1, true);
        bench.done();
        assert_eq!(disk.after_power_cut()[..1024], [0; 1024], "FUA of what has no data");
        bench.request(MediaOp::Write, 2, 1);
        bench.write(0x33, 1);
        bench.done();
        let tag = bench.ask(MediaOp::Read, 2, 1, true);
        bench.read(tag);
        assert_eq!(disk.after_power_cut()[1024..1536], [0x33; 512], "FUA of a read");
        bench.request(MediaOp::Write, 3, 1);
        bench.write(0x44, 1);
        bench.done();
        bench.media.detach(3);
        assert_eq!(disk.after_power_cut()[1536..2048], [0x44; 512], "the end is no power cut");
    }
}

#[test]
fn the_end_of_a_program_makes_volumes_durable_and_hears_of_errors() {
    let (mut bench, disk) = forgetful(false);
    bench.request(MediaOp::Write, 0, 1);
    bench.write(0x11, 1);
    bench.done();
    bench.media.sync().unwrap();
    assert_eq!(disk.after_power_cut()[..512], [0x11; 512]);
    bench.request(MediaOp::WriteZeroes, 0, 1);
    bench.done();
    disk.platter().fails = true;
    assert!(bench.media.sync().is_err());
}

#[test]
fn a_flush_without_a_change_costs_nothing() {
    let (mut bench, disk) = forgetful(false);
    for _ in 0..5 {
        bench.request(MediaOp::Flush, 0, 0);
        bench.done();
    }
    assert_eq!(disk.platter().syncs, 1, "the first: who had the disk before may have left something");
}

#[test]
fn a_sync_that_failed_is_an_error_of_this_flush_and_of_all_after_it() {
    let (mut bench, disk) = forgetful(false);
    bench.request(MediaOp::Write, 0, 1);
    bench.write(0x11, 1);
    bench.done();
    disk.platter().fails = true;
    bench.request(MediaOp::Flush, 0, 0);
    assert_eq!(bench.done(), MediaResult::Failed);
    disk.platter().fails = false;
    bench.request(MediaOp::Flush, 0, 0);
    assert_eq!(bench.done(), MediaResult::Failed, "the system forgets what it could not write");
    bench.ask(MediaOp::Write, 1, 1, true);
    bench.write(0x22, 1);
    assert_eq!(bench.done(), MediaResult::Failed);
}

impl Bench {
    fn extent(&mut self, lba: u64, end: u64) -> (bool, u64) {
        self.media.extent(3, lba, end).unwrap().find().unwrap()
    }
}

#[test]
fn holes_of_the_file_are_known_and_what_is_in_the_cache_is_none() {
    for cache in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sparse");
        std::fs::File::create(&path).unwrap().set_len(1 << 20).unwrap();
        let mut bench = Bench::new(MediaOptions { cache, ..MediaOptions::default() }, false);
        bench.media.attach(3, &path, false).unwrap();
        assert_eq!(bench.extent(0, 2048), (true, 2048));
        for lba in [256, 264] {
            bench.request(MediaOp::Write, lba, 8);
            bench.write(0x11, 8);
            bench.done();
        }
        assert_eq!(bench.extent(0, 2048), (true, 256));
        let (hole, blocks) = bench.extent(256, 2048);
        assert!(!hole && blocks >= 16, "one run and not a block at a time: {blocks}");
        // In the cache a run ends where it ends.
        assert!(!cache || bench.extent(260, 2048) == (false, 12));
        bench.request(MediaOp::Flush, 0, 0);
        bench.done();
        assert_eq!(bench.extent(272, 2048), (true, 2048 - 272));
        bench.request(MediaOp::Deallocate, 256, 16);
        bench.done();
        assert_eq!(bench.extent(256, 2048), (true, 2048 - 256));
        assert!(bench.media.extent(3, 0, 2049).is_err() && bench.media.extent(4, 0, 1).is_err());
    }
}

#[test]
fn beats_of_holes_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse");
    std::fs::File::create(&path).unwrap().set_len(1 << 20).unwrap();
    let mut bench = Bench::new(MediaOptions { cache: true, ..MediaOptions::default() }, false);
    bench.media.attach(3, &path, false).unwrap();
    // Written zeroes are no hole, in the cache or on the disk; the page of the file that they are in is none.
    let holes = |bench: &mut Bench, lba, blocks| {
        let tag = bench.request(MediaOp::Read, lba, blocks);
        let answer = bench.read(tag);
        assert!(answer.data.iter().all(|byte| *byte == 0) && !answer.error);
        assert_eq!(answer.data.len() as u64, blocks * 512);
        assert_eq!(answer.hole, !answer.holes.contains(&false), "then there are no beats at all");
        let blocks: Vec<_> = answer.holes.chunks(32).collect();
        assert!(blocks.iter().all(|beats| beats.iter().all(|hole| *hole == beats[0])), "a block is one or none");
        blocks.iter().map(|beats| beats[0]).collect::<Vec<_>>()
    };
    assert_eq!(holes(&mut bench, 0, 8), [true; 8]);
    bench.request(MediaOp::WriteZeroes, 2, 1);
    bench.done();
    assert_eq!(holes(&mut bench, 1, 3), [true, false, true], "it is in the cache");
    bench.request(MediaOp::Write, 8, 8);
    bench.write(0, 8);
    bench.done();
    bench.request(MediaOp::Flush, 0, 0);
    bench.done();
    assert_eq!(holes(&mut bench, 8, 8), [false; 8]);
    assert_eq!(holes(&mut bench, 16, 8), [true; 8]);
    bench.request(MediaOp::Deallocate, 8, 8);
    bench.done();
    assert_eq!(holes(&mut bench, 8, 8), [true; 8]);
}
