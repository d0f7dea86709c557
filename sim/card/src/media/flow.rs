//! The way of a request: it waits for a place, is worked at, is due, and is answered; or is given up on that way.

use std::cmp::Reverse;

use azote_regs::media::BEAT;

use super::Media;
use super::job::Phase;
use super::volume::{Plan, Volume};
use super::work::{Outcome, Task};
use crate::device::{MediaOp, MediaRequest, MediaResult};

/// What is due within so many clocks is not worth another thread, if the clock would wait for that.
const SOON: u64 = 64;

impl Media {
    /// All of a request is here: it is worked at if there is a place for it.
    pub(super) fn place(&mut self, clock: u64, tag: u16) {
        let Some((volume, id)) = self.job(tag).map(|job| (job.request.volume, job.id)) else { return };
        let options = self.volume_options(volume);
        let slot = &mut self.slots[usize::from(volume)];
        if options.stuck || slot.working >= options.depth.max(1) || !slot.waiting.is_empty() {
            slot.waiting.push_back((tag, id));
            if let Some(job) = self.job(tag) {
                job.phase = Phase::Waiting;
            }
        } else {
            self.begin(clock, tag);
        }
    }

    fn begin(&mut self, clock: u64, tag: u16) {
        let Some(job) = self.jobs[usize::from(tag)].as_deref_mut() else { return };
        let (request, id) = (job.request, job.id);
        let options = self.slots[usize::from(request.volume)].options.unwrap_or(self.options);
        let slot = &mut self.slots[usize::from(request.volume)];
        let due = clock + slot.latency(&options);
        (job.phase, job.placed) = (Phase::Working, true);
        slot.working += 1;
        self.due.push(Reverse((due, id, tag)));

        let data = if request.op.takes_data() { std::mem::take(&mut job.data) } else { Vec::new() };
        let spans = if request.op == MediaOp::Ranges { ranges(&data) } else { vec![(request.lba, request.blocks)] };
        let faulty = self.faults.iter().any(|fault| {
            let kind = if request.op.reads() { fault.read } else { fault.write };
            kind && spans.iter().any(|(lba, blocks)| fault.meets(request.volume, *lba, *blocks))
        });
        let inside = |volume: &&mut Volume| {
            request.op == MediaOp::Flush || spans.iter().all(|(lba, blocks)| volume.holds(*lba, *blocks))
        };
        let Some(volume) = slot.volume.as_mut().filter(inside).filter(|_| !faulty) else {
            job.result = MediaResult::Failed;
            return;
        };
        match volume.plan(&request, data, options.cache) {
            Err(_) => job.result = MediaResult::Failed,
            Ok(Plan::Done) => {}
            Ok(Plan::Host(what, keep, sync)) => {
                job.hosted = true;
                let backing = volume.backing.clone();
                let volume = request.volume;
                let here = slot.waits(&options) && due - clock <= SOON;
                let (lba, blocks) = around(&spans);
                let task = Task { volume, tag, id, lba, blocks, what, keep, sync, backing };
                if let Some(outcome) = self.host.submit(task, here) {
                    self.worked(outcome);
                }
            }
        }
    }

    /// The host is done with a task.
    pub(super) fn worked(&mut self, outcome: Outcome) {
        let Outcome { volume, tag, id, result, data, holes, mut unkept } = outcome;
        if let Some(volume) = self.slots[usize::from(volume)].volume.as_mut().filter(|_| !unkept.is_empty()) {
            let number = outcome.volume;
            unkept.retain(|(lba, _)| !self.host.changes(number, *lba));
            volume.put_back(unkept);
        }
        let clock = self.clock;
        // Or its request has been cancelled, or was before a reset.
        let Some(job) = self.job(tag).filter(|job| job.id == id && job.hosted) else { return };
        job.hosted = false;
        let result = result.unwrap_or(MediaResult::Failed);
        if job.result == MediaResult::Done {
            job.result = result;
        }
        (job.data, job.holes) = (data, holes);
        if job.phase == Phase::Late {
            self.late -= 1;
            self.pass(clock, tag);
        }
    }

    /// The clock of a request has come.
    pub(super) fn time_has_come(&mut self, due: u64, tag: u16, id: u64) {
        let Some(number) = self.still(tag, id, Phase::Working).map(|job| job.request.volume) else { return };
        let options = self.volume_options(number);
        let slot = &mut self.slots[usize::from(number)];
        if options.stuck {
            slot.held.push((tag, id));
            return self.set_late(tag, Phase::Held);
        }
        if slot.waits(&options) {
            while self.still(tag, id, Phase::Working).is_some_and(|job| job.hosted) {
                let Some(outcome) = self.host.wait(None) else { break };
                self.worked(outcome);
            }
        }
        if self.job(tag).is_some_and(|job| job.hosted) {
            return self.set_late(tag, Phase::Late);
        }
        self.pass(due, tag);
    }

    fn set_late(&mut self, tag: u16, phase: Phase) {
        if let Some(job) = self.job(tag) {
            job.phase = phase;
            self.late += 1;
        }
    }

    /// An answer is there: it goes to the port at the volume's own rate.
    fn pass(&mut self, clock: u64, tag: u16) {
        let Some(job) = self.jobs[usize::from(tag)].as_deref_mut() else { return };
        let MediaRequest { op, volume, .. } = job.request;
        job.phase = Phase::Ready;
        let beats = if job.has_data() { job.beats() } else { job.wants() / BEAT as usize };
        let at = self.slots[usize::from(volume)].delivered(clock, beats, op != MediaOp::Read);
        let event = Reverse((at, job.id, tag));
        self.port.ready.push(event);
    }

    /// The card has an answer. The data of a read, if it has any and was not cancelled, can be called for. The place is free: when
    /// that is done is the card's affair, and no volume's.
    pub(super) fn answered(&mut self, clock: u64, tag: u16) {
        self.port.answer = None;
        let Some(job) = self.job(tag) else { return };
        let (volume, placed) = (job.request.volume, std::mem::take(&mut job.placed));
        if job.has_data() && !job.cancelled {
            job.phase = Phase::Offered;
        } else {
            self.over(tag);
        }
        if placed {
            self.slots[usize::from(volume)].working -= 1;
            self.fill_places(clock, volume);
        }
    }

    /// Nothing more of a request comes: its tag is free.
    pub(super) fn over(&mut self, tag: u16) {
        if self.jobs[usize::from(tag)].take().is_some() {
            self.under_way -= 1;
        }
    }

    /// Begins what waits for a place.
    fn fill_places(&mut self, clock: u64, number: u8) {
        let options = self.volume_options(number);
        while !options.stuck && self.slots[usize::from(number)].working < options.depth.max(1) {
            let Some((tag, id)) = self.slots[usize::from(number)].waiting.pop_front() else { return };
            if self.still(tag, id, Phase::Waiting).is_some() {
                self.begin(clock, tag);
            }
        }
    }

    /// Options have changed: a volume that was stuck goes on.
    pub(super) fn release(&mut self) {
        for number in 0..=u8::MAX {
            if self.volume_options(number).stuck {
                continue;
            }
            for (tag, id) in std::mem::take(&mut self.slots[usize::from(number)].held) {
                if let Some(job) = self.still(tag, id, Phase::Held) {
                    job.phase = Phase::Working;
                    self.late -= 1;
                    self.due.push(Reverse((self.clock, id, tag)));
                }
            }
            self.fill_places(self.clock, number);
        }
    }

    /// A request is given up.
    pub(super) fn cancel(&mut self, tag: u16) {
        let Some(job) = self.job(tag) else { return };
        match job.phase {
            // Nothing is sooner; and what was called for comes.
            Phase::Express | Phase::Called => return,
            // The card owes its data first; or it will not call for the medium's.
            Phase::Data | Phase::Answering => {
                job.cancelled = true;
                return;
            }
            Phase::Offered => return self.over(tag),
            Phase::Late | Phase::Held => self.late -= 1,
            Phase::Waiting | Phase::Working | Phase::Ready => {}
        }
        self.cut(tag);
    }

    /// What the card has sent is not to be used: nothing is done, and that is said at once.
    pub(super) fn spoil_data(&mut self, tag: u16) {
        let Some(job) = self.job(tag) else { return };
        (job.result, job.data, job.phase) = (MediaResult::Spoilt, Vec::new(), Phase::Express);
        let id = job.id;
        self.port.express.push_back((tag, id));
    }

    /// The answer of a cancelled request is as short as it can be, and is the next.
    pub(super) fn cut(&mut self, tag: u16) {
        let Some(job) = self.job(tag) else { return };
        // What is done is done, and is said; but a read's data is nobody's any more.
        if job.phase != Phase::Ready || job.request.op == MediaOp::Read {
            (job.result, job.data) = (MediaResult::Aborted, Vec::new());
        }
        (job.cancelled, job.phase) = (true, Phase::Express);
        let (id, volume, hosted) = (job.id, job.request.volume, std::mem::take(&mut job.hosted));
        if hosted {
            // It may have begun; then it ends by itself, and what comes later waits for it where it must.
            self.host.drop_parked(volume, id);
        }
        self.port.express.push_back((tag, id));
    }
}

/// The ranges of a list, `(first block, blocks)`; those of no blocks are nothing.
pub(super) fn ranges(data: &[u8]) -> Vec<(u64, u64)> {
    let number = |half: &[u8]| half.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let rows = data.chunks_exact(BEAT as usize).map(|row| (number(&row[8..]), number(&row[..8])));
    rows.filter(|(_, blocks)| *blocks > 0).collect()
}

/// The least stretch of blocks that has all of these in it.
fn around(spans: &[(u64, u64)]) -> (u64, u64) {
    let first = spans.iter().map(|(lba, _)| *lba).min().unwrap_or(0);
    let end = spans.iter().map(|(lba, blocks)| lba.saturating_add(*blocks)).max().unwrap_or(first);
    (first, end - first)
}
