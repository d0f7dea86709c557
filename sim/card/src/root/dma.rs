//! The card's reads of host memory: answered after their latency, in pieces, or not as they should be.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use azote_regs::pcie::tlp::RCB;
use azote_tlp::{Attributes, Body, Completion, Memory, Rid, Status, Tlp};
use rand::Rng;
use rand::rngs::SmallRng;

use super::downstream::{Class, Outgoing};
use crate::faults::ReadFault;
use crate::memory::HostMemory;
use crate::options::{Options, Split};

/// A read that has not its whole answer.
#[derive(Debug)]
struct Job {
    due: u64,
    sequence: u64,
    request: Memory,
    attributes: Attributes,
    /// Next byte to deliver, and how many are left.
    at: u64,
    left: u32,
    fault: Option<ReadFault>,
    /// What came by message, from the DW of the first byte on; `None` in it if it was refused.
    message: Option<Option<Vec<u8>>>,
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Job {}
impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Job {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.sequence).cmp(&(other.due, other.sequence))
    }
}

/// An access of the card's that memory refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DmaFault {
    /// When.
    pub clock: u64,
    /// Which function.
    pub function: u8,
    /// Where.
    pub address: u64,
    /// A write; else a read, which was completed with UR.
    pub write: bool,
}

/// Reads in progress.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    jobs: BinaryHeap<Reverse<Job>>,
    /// Reads of memory that is reached by messages, until their data comes.
    waiting: HashMap<u64, Job>,
    sequence: u64,
}

/// The most clocks between two pieces of one read's answer, when it comes in random pieces.
const PIECE_GAP: u64 = 12;

/// The completer id of everything that the host answers: the root complex itself.
pub(crate) const HOST: Rid = Rid(0);

impl Reads {
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.waiting.is_empty()
    }

    /// True if only others' messages are waited for: clocks would not bring them.
    pub fn only_waiting(&self) -> bool {
        self.jobs.is_empty() && !self.waiting.is_empty()
    }

    pub fn reset(&mut self) {
        self.jobs.clear();
        self.waiting.clear();
    }

    /// Data that came by message, or `None` if it was refused. A token that is not known is of a card that was reset.
    pub fn arrived(&mut self, clock: u64, token: u64, data: Option<Vec<u8>>) {
        if let Some(mut job) = self.waiting.remove(&token) {
            job.due = job.due.max(clock);
            job.message = Some(data);
            self.jobs.push(Reverse(job));
        }
    }

    /// The tokens of reads that wait for a function's memory.
    pub fn waiting_for(&self, function: u8) -> Vec<u64> {
        let of = |job: &Job| job.request.requester.function() == function;
        self.waiting.iter().filter(|(_, job)| of(job)).map(|(token, _)| *token).collect()
    }

    /// Takes a read whose last beat came in clock `clock`. One that is to be dropped is forgotten here.
    pub fn request(
        &mut self,
        clock: u64,
        (request, attributes): (Memory, Attributes),
        fault: Option<ReadFault>,
        memory: &HostMemory,
        options: &Options,
        rng: &mut SmallRng,
    ) {
        let jitter = if options.read_jitter > 0 { rng.random_range(0..=options.read_jitter) } else { 0 };
        let late = if let Some(ReadFault::Late(clocks)) = fault { clocks } else { 0 };
        let due = clock + u64::from(options.read_latency) + u64::from(jitter) + u64::from(late);
        let mut job = Job { due, sequence: self.sequence, request, attributes, at: 0, left: 0, fault, message: None };
        job.rewind();
        self.sequence += 1;
        let (start, len) = job.span();
        match memory.remote(request.requester.function(), start, len.into()) {
            Some(remote) if !request.is_zero_length() => {
                let token = job.sequence;
                let remote = remote.clone();
                self.waiting.insert(token, job);
                remote.read(token, start, len);
            }
            _ => self.jobs.push(Reverse(job)),
        }
    }

    /// The next completion that is due, if any. `max_payload` gives the limit of the function that asked; a read of
    /// what is not mapped is reported through `unmapped`.
    pub fn due(
        &mut self,
        clock: u64,
        memory: &HostMemory,
        split: Split,
        rng: &mut SmallRng,
        max_payload: impl Fn(u8) -> u32,
        unmapped: &mut Vec<DmaFault>,
    ) -> Option<Outgoing> {
        if self.jobs.peek()?.0.due > clock {
            return None;
        }
        let mut job = self.jobs.pop()?.0;
        let function = job.request.requester.function();
        let (body, done) = match job.fault {
            Some(ReadFault::Unsupported) => (job.refusal(Status::Unsupported), true),
            Some(ReadFault::Abort) => (job.refusal(Status::Abort), true),
            _ => {
                let mut data = vec![0; job.piece(split, max_payload(function), rng) as usize];
                let zero_length = job.request.is_zero_length();
                let read = match &job.message {
                    None => zero_length || memory.read(function, job.at & !3, &mut data),
                    Some(message) => job.copy(message.as_deref(), &mut data),
                };
                if !read {
                    unmapped.push(DmaFault { clock, function, address: job.at, write: false });
                    (job.refusal(Status::Unsupported), true)
                } else {
                    let header = job.header(Status::Success);
                    let done = job.advance(data.len() as u32);
                    (Body::CplD(header, data), done)
                }
            }
        };
        // §2.2.9: a completion has the traffic class and attributes of its request.
        let mut attributes = job.attributes;
        attributes.poisoned = false;
        if job.fault == Some(ReadFault::Poisoned) {
            attributes.poisoned = true;
            job.fault = None;
        }
        let requester = job.request.requester;
        let tag = job.request.tag;
        let again = done && job.fault == Some(ReadFault::Duplicate);
        if again {
            job.fault = None;
            job.rewind();
        }
        if !done || again {
            if split == Split::Random {
                job.due = clock + rng.random_range(0..=PIECE_GAP);
            }
            self.jobs.push(Reverse(job));
        }
        let packet = Tlp { attributes, body }.packet();
        Some(Outgoing { packet, class: Class::Completion, answers: done.then_some((requester, tag)) })
    }
}

impl Job {
    fn rewind(&mut self) {
        self.at = (self.request.address & !0x7f) | u64::from(self.request.lower_address());
        self.left = self.request.byte_count().into();
    }

    /// The DWs of the whole request: where they start, and their bytes.
    fn span(&self) -> (u64, u32) {
        let start = self.at & !3;
        let end = (self.at + u64::from(self.left)).next_multiple_of(4);
        (start, (end - start) as u32)
    }

    /// The next piece from what came by message; false if it was refused, or is too short.
    fn copy(&self, message: Option<&[u8]>, out: &mut [u8]) -> bool {
        let first = (self.request.address & !0x7f) | u64::from(self.request.lower_address());
        let skip = ((self.at & !3) - (first & !3)) as usize;
        match message.and_then(|m| m.get(skip..skip + out.len())) {
            Some(piece) => {
                out.copy_from_slice(piece);
                true
            }
            None => false,
        }
    }

    fn header(&self, status: Status) -> Completion {
        Completion {
            completer: HOST,
            status,
            byte_count_modified: false,
            byte_count: self.left as u16,
            requester: self.request.requester,
            tag: self.request.tag,
            lower_address: (self.at & 0x7f) as u8,
        }
    }

    fn refusal(&self, status: Status) -> Body {
        Body::Cpl(self.header(status))
    }

    /// Payload bytes of the next completion: whole DWs from the one that holds the next byte, to the end or to a read
    /// completion boundary (§2.3.1.1).
    fn piece(&self, split: Split, max_payload: u32, rng: &mut SmallRng) -> u32 {
        let start = self.at & !3;
        let end = (self.at + u64::from(self.left)).next_multiple_of(4);
        let furthest = (start + u64::from(max_payload)) / RCB * RCB;
        let nearest = (start / RCB + 1) * RCB;
        let stop = match split {
            Split::Whole if end - start <= u64::from(max_payload) => end,
            Split::Whole => furthest,
            Split::Random => {
                let steps = (furthest - nearest) / RCB;
                let stop = nearest + RCB * rng.random_range(0..=steps);
                if stop > end { end } else { stop }
            }
        };
        (stop - start) as u32
    }

    /// Moves past a piece; true if it was the last.
    fn advance(&mut self, payload: u32) -> bool {
        let next = (self.at & !3) + u64::from(payload);
        let delivered = (next - self.at).min(self.left.into()) as u32;
        self.at = next;
        self.left -= delivered;
        self.left == 0
    }
}
