//! The port, clock by clock: what is taken, what is offered, and the rules that the card keeps there.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use azote_regs::media;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::job::{Job, Phase};
use super::volume::passage;
use super::{Event, Media};
use crate::MediaOptions;
use crate::device::{Inputs, MediaBeat, MediaDone, MediaOp, MediaRequest, Outputs};

/// The port's own state.
#[derive(Debug)]
pub(super) struct Port {
    /// Answers on their way, with the clocks at which they may go; those that were cut short; the one at the port.
    pub ready: BinaryHeap<Event>,
    pub express: VecDeque<(u16, u64)>,
    pub answer: Option<u16>,
    /// Whose data was called for, the one at the port, how many beats of it the card has, and when its first may be there.
    called: VecDeque<u16>,
    data: Option<(u16, usize)>,
    begins: u64,
    /// When the way of reads is free at the port's rate, in 256ths of a clock.
    free: u64,
    write_credit: u32,
    rng: SmallRng,
    /// What the card offered and was not taken, to see that it stands.
    stalled: (Option<MediaRequest>, Option<MediaBeat>, Option<u16>),
}

impl Port {
    pub fn new(seed: u64) -> Self {
        Port {
            ready: BinaryHeap::new(),
            express: VecDeque::new(),
            answer: None,
            called: VecDeque::new(),
            data: None,
            begins: 0,
            free: 0,
            write_credit: 0,
            rng: SmallRng::seed_from_u64(seed),
            stalled: (None, None, None),
        }
    }

    pub fn reset(&mut self) {
        self.ready.clear();
        self.express.clear();
        self.called.clear();
        (self.answer, self.data) = (None, None);
        self.stalled = (None, None, None);
        self.free = 0;
    }

    fn stalls(&mut self, options: &MediaOptions) -> bool {
        options.stall > 0 && self.rng.random::<u8>() < options.stall
    }
}

impl Media {
    /// Sets the port's inputs for this clock.
    pub(crate) fn drive(&mut self, clock: u64, inputs: &mut Inputs) {
        self.clock = clock;
        while let Some(outcome) = self.host.poll() {
            self.worked(outcome);
        }
        while self.due.peek().is_some_and(|Reverse((due, ..))| *due <= clock) {
            if let Some(Reverse((due, id, tag))) = self.due.pop() {
                self.time_has_come(due, tag, id);
            }
        }
        let full = MediaOptions::FULL;
        // One beat may be saved up, so that a bandwidth that is no whole fraction of the port's comes out right.
        self.port.write_credit = (self.port.write_credit + self.options.bandwidth).min(2 * full - 1);
        inputs.mreq_ready = !self.port.stalls(&self.options);
        inputs.mwr_ready =
            self.port.write_credit >= full && !self.data_order.is_empty() && !self.port.stalls(&self.options);
        inputs.mget_ready = !self.port.stalls(&self.options);
        self.choose_data(clock);
        if let Some((tag, given)) = self.port.data.filter(|_| self.port.begins <= clock) {
            inputs.mrd = self.job(tag).map(|job| job.beat(given));
        }
        if self.port.answer.is_none() {
            self.port.answer = self.choose(clock);
        }
        if let Some(tag) = self.port.answer {
            inputs.mdone = self.job(tag).map(|job| MediaDone { tag, result: job.answer() });
        }
    }

    /// Takes what was transferred in this clock; true if anything was.
    pub(crate) fn step(&mut self, clock: u64, inputs: &Inputs, outputs: &Outputs) -> bool {
        self.check_steady(inputs, outputs);
        let mut moved = false;
        if let (Some(beat), true, Some((tag, given))) = (inputs.mrd, outputs.mrd_ready, self.port.data) {
            moved = true;
            self.port.data = (!beat.last).then_some((tag, given + 1));
            if beat.last {
                self.over(tag);
            }
        }
        if let (Some(tag), true) = (outputs.mget, inputs.mget_ready) {
            moved = true;
            self.call(tag);
        }
        if let (Some(done), true) = (inputs.mdone, outputs.mdone_ready) {
            moved = true;
            self.answered(clock, done.tag);
        }
        if let (Some(beat), true) = (outputs.mwr, inputs.mwr_ready) {
            moved = true;
            self.port.write_credit -= MediaOptions::FULL;
            self.take_data(clock, beat);
        }
        if let (Some(request), true) = (outputs.mreq, inputs.mreq_ready) {
            moved = true;
            self.take_request(clock, request);
        }
        moved
    }

    /// Valid stands, with its data, until it is taken.
    fn check_steady(&mut self, inputs: &Inputs, outputs: &Outputs) {
        let (request, data, get) = self.port.stalled;
        if request.is_some() && request != outputs.mreq {
            self.wrong(format!("{request:?} changed before mreq_ready"));
        }
        if data.is_some() && data != outputs.mwr {
            self.wrong("mwr_valid or its data changed before mwr_ready".into());
        }
        if get.is_some() && get != outputs.mget {
            self.wrong(format!("a call for the data of {get:?} changed before mget_ready"));
        }
        let get = outputs.mget.filter(|_| !inputs.mget_ready);
        self.port.stalled =
            (outputs.mreq.filter(|_| !inputs.mreq_ready), outputs.mwr.filter(|_| !inputs.mwr_ready), get);
    }

    fn wrong(&mut self, what: String) {
        self.broken.get_or_insert(format!("media port: {what}"));
    }

    pub(super) fn job(&mut self, tag: u16) -> Option<&mut Job> {
        self.jobs.get_mut(usize::from(tag))?.as_deref_mut()
    }

    /// The request of this tag, if it is still the one of this id and in this phase.
    pub(super) fn still(&mut self, tag: u16, id: u64, phase: Phase) -> Option<&mut Job> {
        self.job(tag).filter(|job| job.id == id && job.phase == phase)
    }

    /// The next data at the port: what was called for longest ago.
    fn choose_data(&mut self, clock: u64) {
        if self.port.data.is_some() {
            return;
        }
        let Some(tag) = self.port.called.pop_front() else { return };
        let (bandwidth, Some(beats)) = (self.options.bandwidth, self.job(tag).map(|job| job.beats())) else { return };
        let whole = bandwidth >= MediaOptions::FULL;
        self.port.begins = if whole { clock } else { passage(&mut self.port.free, clock, beats, bandwidth) };
        self.port.data = Some((tag, 0));
    }

    /// Which answer is the next at the port.
    fn choose(&mut self, clock: u64) -> Option<u16> {
        while let Some((tag, id)) = self.port.express.pop_front() {
            if let Some(job) = self.still(tag, id, Phase::Express) {
                job.phase = Phase::Answering;
                return Some(tag);
            }
        }
        while self.port.ready.peek().is_some_and(|Reverse((at, ..))| *at <= clock) {
            let Some(Reverse((_, id, tag))) = self.port.ready.pop() else { break };
            if let Some(job) = self.still(tag, id, Phase::Ready) {
                job.phase = Phase::Answering;
                return Some(tag);
            }
        }
        None
    }

    /// The card calls for data.
    fn call(&mut self, tag: u16) {
        let Some(request) = self.job(tag).filter(|job| job.phase == Phase::Offered).map(|job| job.request) else {
            return self.wrong(format!("the data of tag {tag:#x} is called for, and there is none"));
        };
        let spoilt = self.spoilt.iter().any(|fault| fault.meets(request.volume, request.lba, request.blocks));
        if let Some(job) = self.job(tag) {
            (job.phase, job.spoilt) = (Phase::Called, spoilt);
        }
        self.port.called.push_back(tag);
    }

    fn take_request(&mut self, clock: u64, request: MediaRequest) {
        let MediaRequest { tag, op, blocks, .. } = request;
        if op == MediaOp::Cancel {
            return self.cancel(tag);
        }
        let least = u64::from(op != MediaOp::Flush);
        if !(least..=op.most_blocks()).contains(&blocks) {
            let most = op.most_blocks();
            return self.wrong(format!("a request for {blocks} blocks, and it must be {least} to {most}: {request:?}"));
        }
        if u64::from(tag) >= media::TAGS {
            return self.wrong(format!("a tag of more than {} bits: {request:?}", media::TAG_BITS));
        }
        if let Some(before) = self.job(tag) {
            let before = before.request;
            return self.wrong(format!("a tag is used that is under way: {request:?}, and before it {before:?}"));
        }
        let job = Job::new(request, self.next_id);
        self.next_id += 1;
        self.under_way += 1;
        let wants = job.wants();
        let moves = matches!(op, MediaOp::Read | MediaOp::Write | MediaOp::Compare);
        self.blocks[usize::from(!op.reads())] += if moves { blocks } else { 0 };
        self.jobs[usize::from(tag)] = Some(Box::new(job));
        if wants > 0 {
            self.data_order.push_back(tag);
        } else {
            self.place(clock, tag);
        }
    }

    fn take_data(&mut self, clock: u64, beat: MediaBeat) {
        let Some(&tag) = self.data_order.front() else { return };
        let Some(job) = self.job(tag) else { return };
        job.data.extend(beat.data.iter().flat_map(|word| word.to_le_bytes()));
        let (have, full, request) = (job.data.len(), job.data.len() >= job.wants(), job.request);
        if full != beat.last {
            self.wrong(format!("last is {} after {have} bytes of {request:?}", beat.last));
        }
        if beat.spoilt && !beat.last {
            self.wrong(format!("spoilt is said after {have} bytes of {request:?}, and not with its last beat"));
        }
        if full {
            self.data_order.pop_front();
            if beat.spoilt {
                self.spoil_data(tag);
            } else if self.job(tag).is_some_and(|job| job.cancelled) {
                self.cut(tag)
            } else {
                self.place(clock, tag)
            }
        }
    }
}
