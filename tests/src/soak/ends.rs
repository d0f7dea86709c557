//! How commands end, and what may be of those that never do.

use azote_nvme::{Completion, Failure};
use azote_regs::clock;
use azote_regs::nvme::status;
use rand::Rng;
use rand::rngs::SmallRng;

use super::phase::Phase;
use super::vf::{Flight, GUARD, Op, QUEUES, SLOT, Vf};

/// The time-out of the VFs that have one, in milliseconds: the least that the card can count.
pub const TIMEOUT_MS: u64 = 16;
/// No command is late sooner: the first millisecond is not whole.
const LATE: u64 = (TIMEOUT_MS - 1) * 1000 * clock::MHZ;

/// What memory holds that nobody is to write to.
const BLANK: u8 = 0xc3;

impl Vf {
    /// Looks for a completion, or waits for one, and looks at what it brought.
    pub fn collect(&mut self, rng: &mut SmallRng) {
        let queue = rng.random_range(0..QUEUES);
        if self.nvme().in_flight(queue) == 0 {
            return;
        }
        // Waiting clocks the card, but nothing else is done meanwhile: not for what does not come.
        if rng.random_bool(0.3) && !self.is_stuck && self.deleting[queue].is_none() {
            self.wait(queue);
        } else {
            self.poll(queue);
        }
    }

    /// Waits for a completion as drivers do, by interrupt if it has them. The driver bounds it.
    fn wait(&mut self, queue: usize) {
        let (start, resets) = (self.now(), self.nvme().resets());
        let ended = self.nvme().wait(queue);
        let waited = self.now() - start;
        let asked: Vec<_> = self.flying.values().filter(|f| f.queue == queue).map(|f| f.brief()).collect();
        let who = format!("VF {}: waits for a completion of queue {queue}, {waited} clocks, of {asked:?}", self.index);
        let ended = ended.unwrap_or_else(|e| panic!("{who}: {e}"));
        assert_eq!(self.nvme().resets(), resets, "{who}");
        self.completed(ended);
    }

    /// Looks for a completion; true if there was one.
    pub fn poll(&mut self, queue: usize) -> bool {
        let index = self.index;
        let polled = self.nvme().poll(queue).unwrap_or_else(|e| panic!("VF {index}: {e}"));
        let Some(completion) = polled else { return false };
        self.completed(completion);
        true
    }

    /// All that is in flight, of queues that are there.
    pub fn drain(&mut self) {
        for queue in 0..QUEUES {
            while self.deleting[queue].is_none() && self.nvme().in_flight(queue) > 0 {
                self.wait(queue);
            }
        }
    }

    fn completed(&mut self, completion: Completion) {
        let Some(flight) = self.flying.remove(&completion.user) else {
            panic!("VF {}: {completion:?} of something that was not asked", self.index);
        };
        self.done += 1;
        let code = match completion.result {
            Ok(_) => status::SUCCESS,
            Err(Failure::Status(s)) => s.code(),
            Err(other) => panic!("VF {}: {}: {other}", self.index, flight.brief()),
        };
        self.free.extend(flight.op.slot());
        if self.cut_short(&flight, code) {
            self.settle_one(&flight.op, &self.file());
            return;
        }
        let said = completion.result.err().map(|e| e.to_string()).unwrap_or_default();
        let wanted = match &flight.op {
            Op::Bad { want } | Op::Look { want, .. } => *want,
            _ => status::SUCCESS,
        };
        assert_eq!(code, wanted, "VF {}: {} ended with `{said}`", self.index, flight.brief());
        match flight.op {
            Op::Write { lba, data, .. } => {
                let place = self.place(lba);
                self.model[place..][..data.len()].copy_from_slice(&data);
            }
            Op::Read { lba, blocks, slot, at } => self.compare(lba, blocks, slot, at),
            _ => {}
        }
    }

    /// Whether a command may have ended with this because of what was done to it from outside.
    fn cut_short(&mut self, flight: &Flight, code: u64) -> bool {
        let reads = matches!(flight.op, Op::Read { .. } | Op::Look { .. });
        let failed = if reads { status::UNRECOVERED_READ } else { status::WRITE_FAULT };
        let late = self.stuck.1 >= flight.since
            && self.has_timeout()
            && self.now() >= flight.since.max(self.stuck.0) + LATE
            && code == failed;
        let deleted = code == status::ABORTED_SQ_DELETION && self.deleting[flight.queue].is_some();
        let aborted = code == status::ABORT_REQUESTED && flight.aborted;
        self.seen.late += u64::from(late);
        self.seen.aborted += u64::from(aborted);
        late || aborted || deleted
    }

    /// Whether its requests have a time-out; one of the three has none.
    pub fn has_timeout(&self) -> bool {
        self.index < 2
    }

    fn compare(&self, lba: u64, blocks: u64, slot: usize, at: u64) {
        let mut got = vec![0; (blocks * 512 + 2 * GUARD) as usize];
        self.buffer.read(slot as u64 * SLOT + at - GUARD, &mut got).unwrap();
        let (before, rest) = got.split_at(GUARD as usize);
        let (body, after) = rest.split_at((blocks * 512) as usize);
        let want = &self.model[self.place(lba)..][..body.len()];
        if let Some(i) = (0..body.len()).find(|i| body[*i] != want[*i]) {
            panic!("VF {}: read of {blocks} at {lba} (offset {at:#x}) differs from byte {i}", self.index);
        }
        assert!(before.iter().chain(after).all(|b| *b == BLANK), "VF {}: wrote beyond its buffer", self.index);
    }

    /// What was in flight is not any more: it happened or did not, block by block.
    pub fn settle(&mut self) {
        let file = self.file();
        for (_, flight) in std::mem::take(&mut self.flying) {
            self.free.extend(flight.op.slot());
            self.settle_one(&flight.op, &file);
            self.seen.cut += 1;
        }
        let differs = file.chunks(512).zip(self.model.chunks(512)).position(|(is, was)| is != was);
        assert!(differs.is_none(), "VF {}: block {differs:?} is not what the commands made of it", self.index);
    }

    /// The same, of one queue. The places that its commands had in memory are returned.
    pub fn settle_queue(&mut self, queue: usize) -> Vec<usize> {
        let file = self.file();
        let gone: Vec<u64> = self.flying.iter().filter(|(_, f)| f.queue == queue).map(|(u, _)| *u).collect();
        let mut slots = Vec::new();
        for flight in gone.iter().filter_map(|user| self.flying.remove(user)).collect::<Vec<_>>() {
            slots.extend(flight.op.slot());
            self.settle_one(&flight.op, &file);
            self.seen.cut += 1;
        }
        slots
    }

    /// What the image holds. The host may still be at something that was cancelled: it is waited for.
    fn file(&self) -> Vec<u8> {
        self.card.root().media().sync().unwrap();
        std::fs::read(&self.path).unwrap()
    }

    fn settle_one(&mut self, op: &Op, file: &[u8]) {
        let Op::Write { lba, data, .. } = op else { return };
        for (i, new) in (0..).zip(data.chunks(512)) {
            let at = self.place(lba + i);
            let now = &file[at..at + 512];
            let old = &self.model[at..at + 512];
            assert!(now == old || now == new, "VF {}: block {} is neither old nor new", self.index, lba + i);
            self.model[at..at + 512].copy_from_slice(now);
        }
    }

    /// That for a while nothing is written to memory that nobody owns any more: slots of the buffer, or all of it.
    pub fn assert_quiet(&mut self, slots: Option<&[usize]>, clocks: u64) {
        let all: Vec<usize> = (0..super::vf::SLOTS).collect();
        let slots = slots.unwrap_or(&all);
        let blank = vec![BLANK; SLOT as usize];
        for slot in slots {
            self.buffer.write(*slot as u64 * SLOT, &blank).unwrap();
        }
        self.card.root().advance(clocks);
        let mut now = vec![0; SLOT as usize];
        for slot in slots {
            self.buffer.read(*slot as u64 * SLOT, &mut now).unwrap();
            let at = now.iter().position(|b| *b != BLANK);
            assert!(at.is_none(), "VF {}: something is written at {at:?} of slot {slot} after its end", self.index);
        }
    }

    /// What it waits for, for messages.
    pub fn waits(&self) -> String {
        let now = self.now();
        let mut parts = Vec::new();
        if let Phase::Up = self.phase {
        } else {
            parts.push(format!("{:?}", self.phase));
        }
        for (queue, since) in (0..QUEUES).filter_map(|q| Some((q, self.deleting[q]?))) {
            parts.push(format!("the deletion of queue {queue} for {} clocks", now - since));
        }
        if self.is_stuck {
            parts.push(format!("its volume is stuck for {} clocks", now - self.stuck.0));
        }
        if let Some(oldest) = self.flying.values().map(|f| f.since).min() {
            parts.push(format!("{} commands, the oldest for {} clocks", self.flying.len(), now - oldest));
        }
        format!("VF {}: {}", self.index, if parts.is_empty() { "nothing".into() } else { parts.join(", ") })
    }
}

impl Flight {
    /// In a few words.
    pub fn brief(&self) -> String {
        let name = match &self.op {
            Op::Read { .. } => "read",
            Op::Write { .. } => "write",
            Op::Flush => "flush",
            Op::Look { .. } => "compare or verify",
            Op::Bad { .. } => "bad command",
        };
        match self.op.range() {
            Some((from, to)) => format!("{name} of {} at {from}", to - from),
            None => name.into(),
        }
    }
}
