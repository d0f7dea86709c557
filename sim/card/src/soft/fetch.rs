//! Reading scattered host memory: a list of ranges in, their bytes in order out, a few reads at a time.

use std::collections::VecDeque;

use azote_tlp::{Body, Completion, Memory, Packet, Rid, Status, Tlp};

/// Boundary that no request crosses.
const PAGE: u64 = azote_regs::pcie::tlp::BOUNDARY;
/// Reads in flight at a time.
const AHEAD: usize = 8;

struct Read {
    tag: u8,
    at: usize,
    wanted: usize,
    got: usize,
}

/// One gathering read.
#[derive(Default)]
pub(super) struct Fetch {
    ranges: VecDeque<(u64, u64)>,
    data: Vec<u8>,
    reads: Vec<Read>,
    /// Whose reads they are: tags are a function's own (PCIe 5.0 §2.2.6.2).
    requester: Option<Rid>,
    /// Goes on for ever: what a read that was forgotten is answered with is nobody's.
    next_tag: u8,
    failed: bool,
    running: bool,
}

impl Fetch {
    /// Begins; what was in flight is forgotten.
    pub fn start(&mut self, ranges: &[(u64, u64)]) {
        self.forget();
        self.ranges.extend(ranges);
        self.running = true;
    }

    /// Forgets what was asked for.
    pub fn forget(&mut self) {
        *self = Fetch { next_tag: self.next_tag, ..Fetch::default() };
    }

    /// Sends the next read, if there is one to send.
    pub fn work(&mut self, rid: Rid, max_read: u64, tx: &mut VecDeque<Packet>) {
        if !self.running || self.reads.len() >= AHEAD || !tx.is_empty() {
            return;
        }
        let Some((address, left)) = self.ranges.pop_front() else { return };
        let bytes = left.min(max_read).min(PAGE - address % PAGE);
        if bytes < left {
            self.ranges.push_front((address + bytes, left - bytes));
        }
        let tag = self.next_tag;
        self.next_tag = tag.wrapping_add(1);
        self.requester = Some(rid);
        self.reads.push(Read { tag, at: self.data.len(), wanted: bytes as usize, got: 0 });
        self.data.resize(self.data.len() + bytes as usize, 0);
        tx.push_back(Tlp::from(Body::MemRead(Memory::span(rid, tag, address, bytes as u32))).packet());
    }

    /// Takes a completion; every range is made of whole DWs, so every payload is.
    pub fn complete(&mut self, c: &Completion, data: &[u8], poisoned: bool) {
        let mine = |r: &Read| r.tag == c.tag && self.requester == Some(c.requester);
        let Some(at) = self.reads.iter().position(mine) else { return };
        if c.status != Status::Success || poisoned {
            self.failed = true;
            self.reads.remove(at);
            self.ranges.clear();
            return;
        }
        let read = &mut self.reads[at];
        let take = data.len().min(read.wanted - read.got);
        self.data[read.at + read.got..read.at + read.got + take].copy_from_slice(&data[..take]);
        read.got += take;
        if read.got == read.wanted {
            self.reads.remove(at);
        }
    }

    /// Once all is there: the bytes, or that a read failed.
    pub fn take(&mut self) -> Option<Result<Vec<u8>, ()>> {
        if !self.running || !self.ranges.is_empty() || !self.reads.is_empty() {
            return None;
        }
        self.running = false;
        Some(if self.failed { Err(()) } else { Ok(std::mem::take(&mut self.data)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(requester: Rid, tag: u8, status: Status) -> Completion {
        let (completer, byte_count, lower_address) = (Rid::new(0, 0), 4, 0);
        Completion { completer, status, byte_count_modified: false, byte_count, requester, tag, lower_address }
    }

    /// The tag of the read that was sent.
    fn sent(fetch: &mut Fetch, rid: Rid) -> u8 {
        let mut tx = VecDeque::new();
        fetch.work(rid, 512, &mut tx);
        match Tlp::decode(&tx.pop_front().unwrap()).unwrap().body {
            Body::MemRead(m) => m.tag,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_answer_to_a_read_that_was_forgotten_is_not_the_next_ones() {
        let (gone, other) = (Rid::new(1, 17), Rid::new(1, 21));
        let mut fetch = Fetch::default();
        fetch.start(&[(0x1000, 4)]);
        let old = sent(&mut fetch, gone);
        fetch.forget();
        fetch.start(&[(0x2000, 4)]);
        let tag = sent(&mut fetch, other);
        // Its memory is gone, too, and so the answer comes as a refusal.
        for (requester, tag) in [(gone, old), (gone, tag), (other, old)] {
            fetch.complete(&answer(requester, tag, Status::Unsupported), &[], false);
            assert!(fetch.take().is_none());
        }
        fetch.complete(&answer(other, tag, Status::Success), &[1, 2, 3, 4], false);
        assert_eq!(fetch.take(), Some(Ok(vec![1, 2, 3, 4])));
    }
}
