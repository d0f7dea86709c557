//! The medium by itself: its port, its faults, its cache, and what it keeps.

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
    fn read_at(&mut self, out: &mut [u8], offset: u64) -> io::Result<()> {
        out.copy_from_slice(&self.platter().seen[offset as usize..][..out.len()]);
        Ok(())
    }

    fn write_at(&mut self, data: &[u8], offset: u64) -> io::Result<()> {
        self.platter().seen[offset as usize..][..data.len()].copy_from_slice(data);
        Ok(())
    }

    fn zero(&mut self, offset: u64, len: u64, _give_back: bool) -> io::Result<()> {
        self.platter().seen[offset as usize..][..len as usize].fill(0);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
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
        bench.ask(MediaOp::Read, 2, 1, true);
        bench.read();
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

#[test]
fn holes_of_the_file_are_known_and_what_is_in_the_cache_is_none() {
    for cache in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sparse");
        std::fs::File::create(&path).unwrap().set_len(1 << 20).unwrap();
        let mut bench = Bench::new(MediaOptions { cache, ..MediaOptions::default() }, false);
        bench.media.attach(3, &path, false).unwrap();
        assert_eq!(bench.media.extent(3, 0, 2048).unwrap(), (true, 2048));
        bench.request(MediaOp::Write, 256, 16);
        bench.write(0x11, 16);
        bench.done();
        assert_eq!(bench.media.extent(3, 0, 2048).unwrap(), (true, 256));
        let (hole, blocks) = bench.media.extent(3, 256, 2048).unwrap();
        assert!(!hole && blocks >= 16, "one run and not a block at a time: {blocks}");
        // In the cache a run ends where it ends.
        assert!(!cache || bench.media.extent(3, 260, 2048).unwrap() == (false, 12));
        bench.request(MediaOp::Flush, 0, 0);
        bench.done();
        assert_eq!(bench.media.extent(3, 272, 2048).unwrap(), (true, 2048 - 272));
        bench.request(MediaOp::Deallocate, 256, 16);
        bench.done();
        assert_eq!(bench.media.extent(3, 256, 2048).unwrap(), (true, 2048 - 256));
        assert!(bench.media.extent(3, 0, 2049).is_err() && bench.media.extent(4, 0, 1).is_err());
    }
}
