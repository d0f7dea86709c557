//! A request that is under way.

use azote_regs::media::BEAT;
use azote_regs::nvme::limits::LBA_SIZE;

use crate::device::{MediaOp, MediaRead, MediaRequest, MediaResult};

/// Where a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not all of its data is here.
    Data,
    /// It waits for a place.
    Waiting,
    /// It is worked at, until a clock.
    Working,
    /// Its clock has come, and the host is not done.
    Late,
    /// Its clock has come, and its volume is stuck.
    Held,
    /// Its answer waits for its turn at the port.
    Ready,
    /// Its answer is cut short, and goes before others.
    Express,
    /// Its answer is at the port.
    Answering,
    /// It was answered, and its data can be called for.
    Offered,
    /// Its data was called for.
    Called,
}

/// A request with what is left of it.
#[derive(Debug)]
pub(super) struct Job {
    pub request: MediaRequest,
    /// Which request of its tag: what is left of an earlier one does not come to this one.
    pub id: u64,
    pub phase: Phase,
    /// What a write has of its data, or a read for its answer.
    pub data: Vec<u8>,
    /// Bit for bit the blocks of a read that are holes.
    pub holes: u32,
    pub result: MediaResult,
    /// The host works at it.
    pub hosted: bool,
    pub cancelled: bool,
    /// Its data, which was promised, turned out unreadable.
    pub spoilt: bool,
    /// It has one of its volume's places.
    pub placed: bool,
}

impl Job {
    pub fn new(request: MediaRequest, id: u64) -> Self {
        Job {
            request,
            id,
            phase: Phase::Data,
            data: Vec::new(),
            holes: 0,
            result: MediaResult::Done,
            hosted: false,
            cancelled: false,
            spoilt: false,
            placed: false,
        }
    }

    /// Bytes that the card sends with it.
    pub fn wants(&self) -> usize {
        let unit = if self.request.op == MediaOp::Ranges { BEAT } else { LBA_SIZE };
        if self.request.op.takes_data() { (self.request.blocks * unit) as usize } else { 0 }
    }

    /// How it is answered.
    pub fn answer(&self) -> MediaResult {
        let all = (1u32 << self.request.blocks.min(31)) - 1;
        let hole = self.request.op == MediaOp::Read && self.holes == all;
        if hole && self.result == MediaResult::Done { MediaResult::Hole } else { self.result }
    }

    /// Whether its data will be called for.
    pub fn has_data(&self) -> bool {
        self.request.op == MediaOp::Read && self.answer() == MediaResult::Done
    }

    /// Beats of a read's data.
    pub fn beats(&self) -> usize {
        self.data.len() / BEAT as usize
    }

    /// One of them.
    pub fn beat(&self, at: usize) -> MediaRead {
        let last = at + 1 == self.beats();
        let chunk = self.data.get(at * BEAT as usize..).and_then(<[u8]>::first_chunk::<16>);
        let data = chunk.map_or([0; 4], |c| {
            std::array::from_fn(|i| u32::from_le_bytes([c[4 * i], c[4 * i + 1], c[4 * i + 2], c[4 * i + 3]]))
        });
        let block = at / (LBA_SIZE / BEAT) as usize;
        MediaRead { data, last, error: last && self.spoilt, hole: self.holes >> block & 1 != 0 }
    }
}
