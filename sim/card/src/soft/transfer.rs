//! What a command asks of the medium: pieces as long as the port takes them, several under way, answered in any order.

use std::collections::VecDeque;

use azote_regs::media::BEAT;
use azote_regs::nvme::limits::LBA_SIZE;

use crate::device::{Inputs, MediaBeat, MediaOp, MediaRequest, MediaResult, Outputs};

#[cfg(test)]
mod tests;

/// Pieces under way at once; the place of one is its tag.
const PIECES: usize = 32;

/// A piece that the medium has.
struct Piece {
    /// Where its data is, and how much of it has come.
    start: usize,
    come: usize,
    /// The clock of this transfer in which it was asked for.
    since: u64,
    /// A read that is answered, and whose data was not called for because the whole is given up.
    answered: bool,
    cancelled: bool,
}

/// All that is asked for one command, or for one range of it.
pub(super) struct Transfer {
    op: MediaOp,
    volume: u8,
    fua: bool,
    lba: u64,
    blocks: u64,
    /// Blocks that were asked for so far, or all of a flush.
    asked: u64,
    /// What is written, or what was read.
    pub data: Vec<u8>,
    pieces: [Option<Piece>; PIECES],
    /// Whose data is to be called for, and whose was.
    ready: VecDeque<u16>,
    called: VecDeque<u16>,
    /// What stands at the port.
    offer: Option<MediaRequest>,
    /// Data that the medium is owed: from where to where.
    owed: VecDeque<(usize, usize)>,
    given: usize,
    result: MediaResult,
    cancelled: bool,
    clock: u64,
}

impl Transfer {
    /// A transfer of so many blocks; a flush has none. `data` is what there is to write.
    pub fn new(op: MediaOp, volume: u8, fua: bool, lba: u64, blocks: u64, data: Vec<u8>) -> Self {
        let data = if op == MediaOp::Read { vec![0; (blocks * LBA_SIZE) as usize] } else { data };
        let mut transfer = Transfer {
            op,
            volume,
            fua,
            lba,
            // A flush is one piece without blocks.
            blocks: if op == MediaOp::Flush { 1 } else { blocks },
            asked: 0,
            data,
            pieces: [const { None }; PIECES],
            ready: VecDeque::new(),
            called: VecDeque::new(),
            offer: None,
            owed: VecDeque::new(),
            given: 0,
            result: MediaResult::Done,
            cancelled: false,
            clock: 0,
        };
        transfer.next();
        transfer
    }

    /// Gives up what is not done. It is over when the medium has answered everything, and what was called for has come.
    pub fn cancel(&mut self) {
        self.cancelled = true;
        // The first may stand at the port.
        for tag in self.ready.drain(1.min(self.ready.len())..) {
            if let Some(piece) = &mut self.pieces[usize::from(tag)] {
                piece.answered = true;
            }
        }
    }

    /// Whether something is to be had of this piece that nobody has called for: its answer.
    fn waits(&self, tag: usize) -> bool {
        let mine = |called: &u16| usize::from(*called) == tag;
        self.pieces[tag].as_ref().is_some_and(|p| !p.cancelled) && !self.ready.iter().chain(&self.called).any(mine)
    }

    /// Gives it up, and as failed, if the medium has owed an answer for longer than so many clocks.
    pub fn limit(&mut self, clocks: u64) {
        let late = |tag: usize| self.pieces[tag].as_ref().is_some_and(|p| self.clock - p.since > clocks);
        if !self.cancelled && (0..PIECES).any(|tag| late(tag) && self.waits(tag)) {
            if self.result == MediaResult::Done {
                self.result = MediaResult::Failed;
            }
            self.cancel();
        }
    }

    /// What stands at the port from now on: nothing that stands there is withdrawn.
    fn next(&mut self) {
        if self.offer.is_some() {
            return;
        }
        let request =
            MediaRequest { tag: 0, op: self.op, volume: self.volume, fua: self.fua, lba: self.lba, blocks: 0 };
        if self.cancelled {
            let piece = (0..PIECES).find(|tag| self.waits(*tag));
            self.offer = piece.map(|tag| MediaRequest { tag: tag as u16, op: MediaOp::Cancel, ..request });
        } else if self.asked < self.blocks
            && self.result == MediaResult::Done
            && let Some(tag) = self.pieces.iter().position(Option::is_none)
        {
            let blocks = (self.blocks - self.asked).min(self.op.most_blocks());
            self.offer = Some(MediaRequest { tag: tag as u16, lba: self.lba + self.asked, blocks, ..request });
        }
    }

    /// What the port shows in this clock.
    pub fn show(&self, outputs: &mut Outputs) {
        outputs.mreq = self.offer;
        outputs.mget = self.ready.front().copied();
        (outputs.mrd_ready, outputs.mdone_ready) = (true, true);
        outputs.mwr = self.owed.front().map(|(start, end)| {
            let chunk = &self.data[start + self.given..];
            let word = |i: usize| chunk[4 * i..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b));
            MediaBeat {
                data: std::array::from_fn(word),
                last: start + self.given + BEAT as usize == *end,
                spoilt: false,
            }
        });
    }

    /// What was transferred in this clock. At the end, how it went.
    pub fn step(&mut self, inputs: &Inputs) -> Option<MediaResult> {
        self.clock += 1;
        if let Some((start, end)) = self.owed.front().filter(|_| inputs.mwr_ready) {
            self.given += BEAT as usize;
            if start + self.given == *end {
                self.owed.pop_front();
                self.given = 0;
            }
        }
        if let Some(request) = self.offer.take_if(|_| inputs.mreq_ready) {
            self.asked(&request);
        }
        if let Some(beat) = inputs.mrd
            && let Some(tag) = self.called.front().copied()
            && let Some(place) = self.pieces.get_mut(usize::from(tag))
        {
            if let Some(piece) = place {
                let at = piece.start + piece.come;
                let bytes = beat.data.iter().flat_map(|word| word.to_le_bytes());
                self.data.iter_mut().skip(at).zip(bytes).for_each(|(to, from)| *to = from);
                piece.come += BEAT as usize;
            }
            if beat.last {
                *place = None;
                self.called.pop_front();
            }
            if beat.error {
                self.result = MediaResult::Failed;
            }
        }
        if inputs.mget_ready {
            self.called.extend(self.ready.pop_front());
        }
        if let Some(done) = inputs.mdone
            && let Some(place) = self.pieces.get_mut(usize::from(done.tag))
            && let Some(piece) = place
        {
            // Where there is a hole the data is zeroes, as it was made.
            let result = if done.result == MediaResult::Hole { MediaResult::Done } else { done.result };
            if self.op != MediaOp::Read || done.result != MediaResult::Done || piece.cancelled {
                *place = None;
            } else if self.cancelled {
                // The medium has its data until it is told that nobody calls for it.
                piece.answered = true;
            } else {
                self.ready.push_back(done.tag);
            }
            if self.result == MediaResult::Done {
                self.result = result;
            }
        }
        self.next();
        let under_way = self.offer.is_some() || self.pieces.iter().any(Option::is_some);
        (!under_way).then_some(self.result)
    }

    /// A request was taken.
    fn asked(&mut self, request: &MediaRequest) {
        let place = &mut self.pieces[usize::from(request.tag)];
        if request.op == MediaOp::Cancel {
            // One that was answered meanwhile has no other answer.
            match place {
                Some(piece) if !piece.answered => piece.cancelled = true,
                place => *place = None,
            }
            return;
        }
        let start = (self.asked * LBA_SIZE) as usize;
        *place = Some(Piece { start, come: 0, since: self.clock, answered: false, cancelled: false });
        if self.op.takes_data() {
            self.owed.push_back((start, start + (request.blocks * LBA_SIZE) as usize));
        }
        self.asked += request.blocks.max(1);
    }
}
