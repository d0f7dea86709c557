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
    next_tag: u8,
    failed: bool,
    running: bool,
}

impl Fetch {
    /// Begins; what was in flight is forgotten.
    pub fn start(&mut self, ranges: &[(u64, u64)]) {
        *self = Fetch { ranges: ranges.iter().copied().collect(), next_tag: self.next_tag, ..Fetch::default() };
        self.running = true;
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
        self.reads.push(Read { tag, at: self.data.len(), wanted: bytes as usize, got: 0 });
        self.data.resize(self.data.len() + bytes as usize, 0);
        tx.push_back(Tlp::from(Body::MemRead(Memory::span(rid, tag, address, bytes as u32))).packet());
    }

    /// Takes a completion; every range is made of whole DWs, so every payload is.
    pub fn complete(&mut self, c: &Completion, data: &[u8], poisoned: bool) {
        let Some(at) = self.reads.iter().position(|r| r.tag == c.tag) else { return };
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
