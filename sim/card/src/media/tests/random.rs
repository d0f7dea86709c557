//! Everything beside everything: a card that keeps the rules, and else does what it likes.

use rand::Rng;

use super::*;
use crate::device::{MediaDone, MediaRead};

/// Requests under way at most, and blocks of a volume.
const MOST: usize = 60;
const BLOCKS: u64 = 16;
/// Volumes.
const VOLUMES: u8 = 4;

/// A disk in memory, each block of which may be a hole.
#[derive(Debug)]
struct Memory(std::sync::Mutex<Vec<Option<[u8; 512]>>>);

impl Memory {
    fn each(&self, offset: u64, len: usize, mut what: impl FnMut(usize, &mut Option<[u8; 512]>)) -> io::Result<()> {
        let (first, count) = (offset as usize / 512, len / 512);
        self.0.lock().unwrap()[first..first + count].iter_mut().enumerate().for_each(|(i, block)| what(i * 512, block));
        Ok(())
    }
}

impl Disk for Memory {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        self.each(offset, out.len(), |at, block| out[at..at + 512].copy_from_slice(&block.unwrap_or([0; 512])))
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.each(offset, data.len(), |at, block| *block = data[at..].first_chunk().copied())
    }

    fn zero(&self, offset: u64, len: u64, give_back: bool) -> io::Result<()> {
        self.each(offset, len as usize, |_, block| *block = (!give_back).then_some([0; 512]))
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn extent(&self, offset: u64, end: u64) -> io::Result<(bool, u64)> {
        let hole = self.0.lock().unwrap()[offset as usize / 512].is_none();
        Ok((hole, (offset + 512).min(end)))
    }
}

/// Where a request is for the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Asked,
    /// It was answered DONE and its data is to be called for, or let go.
    Answered,
    Called,
}

#[derive(Debug)]
struct Flight {
    request: MediaRequest,
    at: At,
    /// It is to be cancelled, and was.
    giving_up: bool,
    cancelled: bool,
    /// Beats that it owes; with the last it says that they are spoilt.
    owes: usize,
    spoilt: bool,
    /// Clocks since then in which the card took answers, and owed nothing for it.
    since: u64,
}

struct Card {
    media: Media,
    rng: SmallRng,
    flights: HashMap<u16, Flight>,
    mreq: Option<MediaRequest>,
    /// Beats that are owed, with their requests' tags, and whether the first stands at the port.
    owed: VecDeque<(u16, MediaBeat)>,
    owes: bool,
    mget: Option<u16>,
    called: VecDeque<u16>,
    come: Vec<MediaRead>,
    /// What each block may hold.
    possible: Vec<Vec<BTreeSet<u8>>>,
    /// How often each thing happened.
    seen: HashMap<&'static str, u32>,
}

impl Card {
    fn new(seed: u64) -> Card {
        let mut media =
            Media::seeded(MediaOptions { bandwidth: MediaOptions::FULL / 4 * 3, ..Default::default() }, seed);
        for volume in 0..VOLUMES {
            let blocks = vec![None; BLOCKS as usize];
            media.attach_disk(volume, Box::new(Memory(blocks.into())), BLOCKS, false);
        }
        Card {
            media,
            rng: SmallRng::seed_from_u64(seed),
            flights: HashMap::new(),
            mreq: None,
            owed: VecDeque::new(),
            owes: false,
            mget: None,
            called: VecDeque::new(),
            come: Vec::new(),
            possible: vec![vec![BTreeSet::from([0]); BLOCKS as usize]; usize::from(VOLUMES)],
            seen: HashMap::new(),
        }
    }

    fn see(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// One of so many.
    fn one(&mut self, of: u32) -> bool {
        self.rng.random_ratio(1, of)
    }

    /// One that is so.
    fn any(&mut self, what: impl Fn(&Flight) -> bool) -> Option<u16> {
        let mut able: Vec<u16> = self.flights.values().filter(|f| what(f)).map(|f| f.request.tag).collect();
        able.sort_unstable();
        (!able.is_empty()).then(|| able[self.rng.random_range(0..able.len())])
    }

    /// What stands at the request port next.
    fn ask(&mut self) {
        if self.one(8) {
            let (mget, at) = (self.mget, if self.one(2) { At::Asked } else { At::Answered });
            if let Some(tag) = self.any(|f| !f.giving_up && f.at == at && Some(f.request.tag) != mget) {
                self.flights.get_mut(&tag).unwrap().giving_up = true;
                self.mreq = Some(MediaRequest { tag, op: MediaOp::Cancel, volume: 0, fua: false, lba: 0, blocks: 0 });
            }
            return;
        }
        let tag = self.rng.random_range(0..0x1000);
        if self.flights.len() >= MOST || self.flights.contains_key(&tag) {
            return;
        }
        let op = MediaOp::from_code(self.rng.random_range(0..8));
        let lba = self.rng.random_range(0..BLOCKS);
        let blocks = match op {
            MediaOp::Flush => 0,
            MediaOp::Ranges => self.rng.random_range(1..=5),
            _ => self.rng.random_range(1..=op.most_blocks().min(BLOCKS - lba).min(3)),
        };
        let (volume, fua) = (self.rng.random_range(0..VOLUMES), self.one(5));
        self.mreq = Some(MediaRequest { tag, op, volume, fua, lba, blocks });
    }

    /// A request was taken: what it owes, and what may come of it.
    fn asked(&mut self, request: MediaRequest) {
        let MediaRequest { tag, op, volume, lba, blocks, .. } = request;
        if op == MediaOp::Cancel {
            // It may have been answered for good while that stood at the port.
            let Some(flight) = self.flights.get_mut(&tag) else { return self.see("cancelled too late") };
            flight.cancelled = true;
            if flight.at == At::Answered {
                self.flights.remove(&tag);
                self.see("let go");
            }
            return;
        }
        let spoilt = op.takes_data() && self.one(8);
        let flight = Flight { request, at: At::Asked, giving_up: false, cancelled: false, owes: 0, spoilt, since: 0 };
        assert!(self.flights.insert(tag, flight).is_none());
        let byte = self.rng.random_range(1..=255);
        let mut written = |from: u64, blocks: u64, byte: u8| {
            let held = &mut self.possible[usize::from(volume)][from as usize..(from + blocks) as usize];
            held.iter_mut().filter(|_| !spoilt).for_each(|block| block.extend([byte]));
        };
        let mut beats = Vec::new();
        match op {
            MediaOp::Ranges => {
                for _ in 0..blocks {
                    let from = self.rng.random_range(0..BLOCKS);
                    let blocks = self.rng.random_range(0..=BLOCKS - from);
                    written(from, blocks, 0);
                    beats.push([blocks as u32, 0, from as u32, 0]);
                }
            }
            MediaOp::Write | MediaOp::Compare => {
                beats = vec![[u32::from_le_bytes([byte; 4]); 4]; blocks as usize * 32];
                if op == MediaOp::Write {
                    written(lba, blocks, byte);
                }
            }
            MediaOp::WriteZeroes | MediaOp::Deallocate => written(lba, blocks, 0),
            _ => {}
        }
        let count = beats.len();
        self.flights.get_mut(&tag).unwrap().owes = count;
        let beat = |(i, data)| (tag, MediaBeat { data, last: i + 1 == count, spoilt: spoilt && i + 1 == count });
        self.owed.extend(beats.into_iter().enumerate().map(beat));
    }

    fn answered(&mut self, done: MediaDone) {
        let flight = self.flights.get_mut(&done.tag).expect("an answer to what was not asked");
        assert_eq!(flight.at, At::Asked, "two answers: {flight:?}");
        let (op, cancelled) = (flight.request.op, flight.cancelled);
        assert_eq!(done.result == MediaResult::Spoilt, flight.spoilt, "{flight:?}");
        match done.result {
            MediaResult::Done if op == MediaOp::Read && !cancelled => {
                flight.at = At::Answered;
                return;
            }
            MediaResult::Done => {}
            MediaResult::Hole => {
                let zeroes = vec![0; flight.request.blocks as usize * 512];
                let request = flight.request;
                self.check(&request, &zeroes);
            }
            MediaResult::Differs => assert_eq!(op, MediaOp::Compare),
            MediaResult::Aborted => assert!(cancelled, "{flight:?}"),
            MediaResult::Spoilt if cancelled => self.see("spoilt and cancelled"),
            MediaResult::Spoilt => {}
            MediaResult::Failed => panic!("nothing can fail here: {flight:?}"),
        }
        self.flights.remove(&done.tag);
        self.see(done.result.name());
    }

    /// Whether a read may have found this.
    fn check(&mut self, request: &MediaRequest, data: &[u8]) {
        assert_eq!(data.len() as u64, request.blocks * 512, "{request:?}");
        for (block, lba) in data.chunks(512).zip(request.lba..) {
            let possible = &self.possible[usize::from(request.volume)][lba as usize];
            assert!(block.iter().all(|byte| *byte == block[0]), "a block of two writes: {request:?}");
            assert!(possible.contains(&block[0]), "{} at {lba} of {request:?}", block[0]);
        }
    }

    fn clock(&mut self, clock: u64, asks: bool) {
        let (mut inputs, mut outputs) = (Inputs::default(), Outputs::default());
        self.media.drive(clock, &mut inputs);
        if self.mreq.is_none() && asks && self.one(3) {
            self.ask();
        }
        self.owes = !self.owed.is_empty() && (self.owes || !self.one(10));
        if self.mget.is_none() && self.one(40) {
            self.mget = self.any(|f| f.at == At::Answered && !f.giving_up);
        }
        (outputs.mreq, outputs.mget) = (self.mreq, self.mget);
        outputs.mwr = self.owed.front().filter(|_| self.owes).map(|(_, beat)| *beat);
        (outputs.mdone_ready, outputs.mrd_ready) = (!self.one(3), !self.one(5));
        self.media.step(clock, &inputs, &outputs);
        assert_eq!(self.media.take_broken(), None);

        if let Some(beat) = inputs.mrd {
            assert!(!self.called.is_empty(), "data that was not called for");
            if outputs.mrd_ready {
                self.come.push(beat);
                if beat.last {
                    let beats = std::mem::take(&mut self.come);
                    let tag = self.called.pop_front().unwrap();
                    let request = self.flights.remove(&tag).unwrap().request;
                    let data: Vec<u8> = beats.iter().flat_map(|b| b.data).flat_map(u32::to_le_bytes).collect();
                    assert!(!beat.error);
                    self.check(&request, &data);
                    self.see("read");
                }
            }
        } else {
            assert!(self.come.is_empty(), "data has a pause");
        }
        if let Some(tag) = self.mget.take_if(|_| inputs.mget_ready) {
            self.flights.get_mut(&tag).unwrap().at = At::Called;
            self.called.push_back(tag);
        }
        if outputs.mwr.is_some() && inputs.mwr_ready {
            let (tag, _) = self.owed.pop_front().unwrap();
            self.flights.get_mut(&tag).unwrap().owes -= 1;
            self.owes = false;
        }
        if let Some(request) = self.mreq.take_if(|_| inputs.mreq_ready) {
            self.asked(request);
        }
        if let Some(done) = inputs.mdone.filter(|_| outputs.mdone_ready) {
            self.answered(done);
        }
        let waits = |f: &&mut Flight| (f.cancelled || f.spoilt) && f.at == At::Asked && f.owes == 0;
        for flight in self.flights.values_mut().filter(waits) {
            flight.since += u64::from(outputs.mdone_ready);
            // What is spoilt goes before whatever has waited for longer, but for what is as short.
            let most = if flight.spoilt { MOST as u64 } else { media::CANCEL_CLOCKS };
            assert!(flight.since <= most, "it was cancelled: {flight:?}");
        }
    }

    /// Other circumstances.
    fn change(&mut self) {
        let volume = self.rng.random_range(0..VOLUMES);
        let options = MediaOptions {
            latency: self.rng.random_range(0..300),
            jitter: self.rng.random_range(0..500),
            bandwidth: MediaOptions::FULL >> self.rng.random_range(0..5),
            depth: self.rng.random_range(1..8),
            cache: self.one(2),
            stuck: self.one(8),
            ..MediaOptions::default()
        };
        let own = !self.one(4);
        self.media.set_volume_options(volume, own.then_some(options));
        let stall = if self.one(2) { 100 } else { 0 };
        self.media.set_options(MediaOptions { stall, ..self.media.options });
        if self.one(6) {
            self.media.reset();
            self.flights.clear();
            self.owed.clear();
            self.called.clear();
            self.come.clear();
            (self.mreq, self.mget, self.owes) = (None, None, false);
            assert!(!self.media.busy());
            self.see("reset");
        }
    }
}

#[test]
fn whatever_a_card_does_within_the_rules_each_request_ends_once_and_right() {
    let mut seen = HashMap::new();
    for seed in 0..40 {
        let mut card = Card::new(seed);
        let mut clock = 0;
        for _ in 0..60 {
            card.change();
            for _ in 0..1000 {
                card.clock(clock, true);
                clock += 1;
            }
        }
        for volume in 0..VOLUMES {
            card.media.set_volume_options(volume, None);
        }
        while !card.flights.is_empty() || card.mreq.is_some() {
            card.clock(clock, false);
            clock += 1;
            assert!(clock < 200_000, "{:?}", card.flights);
        }
        let media = &card.media;
        assert!(!media.busy() && media.late == 0 && media.jobs.iter().all(Option::is_none));
        assert!(media.slots.iter().all(|slot| slot.working == 0 && slot.waiting.is_empty()));
        for (what, times) in card.seen {
            *seen.entry(what).or_insert(0) += times;
        }
    }
    let given_up = ["aborted", "let go", "cancelled too late", "spoilt", "spoilt and cancelled"];
    for what in ["read", "done", "hole", "differs", "reset"].iter().chain(&given_up) {
        assert!(seen.get(what) > Some(&3), "{what}: {seen:?}");
    }
}
