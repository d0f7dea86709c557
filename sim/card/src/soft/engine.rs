//! The copying engine: reads a piece, waits for all of its completions, writes it, and so on. Two reads at a time, so that
//! their completions can overtake each other.

use std::collections::VecDeque;

use azote_tlp::{Body, Completion, Memory, Packet, Rid, Status, Tlp};

use super::{DESTINATION, LENGTH, SOURCE};

/// Boundary that no request crosses.
const PAGE: u64 = azote_regs::pcie::tlp::BOUNDARY;

/// A read in flight.
struct Read {
    tag: u8,
    /// Offset in the copy.
    at: u64,
    wanted: usize,
    data: Vec<u8>,
}

#[derive(Default)]
pub(super) struct Engine {
    function: u8,
    running: bool,
    failed: bool,
    source: u64,
    destination: u64,
    length: u64,
    /// How much has been asked for.
    asked: u64,
    next_tag: u8,
    reads: Vec<Read>,
}

impl Engine {
    pub fn function(&self) -> u8 {
        self.function
    }

    pub fn busy(&self) -> bool {
        self.running
    }

    /// A doorbell; ignored while a copy runs.
    pub fn start(&mut self, function: u8, registers: &[u8]) {
        let word = |at: u64| {
            let at = at as usize;
            registers[at..at + 8].iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte))
        };
        if !self.running {
            let (source, destination, length) = (word(SOURCE), word(DESTINATION), word(LENGTH));
            *self = Engine {
                function,
                running: true,
                source,
                destination,
                length,
                next_tag: self.next_tag,
                ..Engine::default()
            };
        }
    }

    /// One clock's work.
    pub fn work(&mut self, rid: Rid, allowed: bool, sizes: (u64, u64), same_tag: bool, tx: &mut VecDeque<Packet>) {
        if !self.running {
            return;
        }
        if !allowed {
            self.failed = true;
            self.asked = self.length;
            self.reads.clear();
            return;
        }
        let (payload, read) = sizes;
        if let Some(at) = self.reads.iter().position(|r| r.data.len() >= r.wanted) {
            let done = self.reads.remove(at);
            let mut rest = &done.data[..done.wanted];
            let mut address = self.destination + done.at;
            while !rest.is_empty() {
                let chunk = (rest.len() as u64).min(payload).min(PAGE - address % PAGE) as usize;
                let memory = Memory::span(rid, 0, address, chunk as u32);
                tx.push_back(Tlp::from(Body::MemWrite(memory, rest[..chunk].to_vec())).packet());
                rest = &rest[chunk..];
                address += chunk as u64;
            }
        }
        if self.reads.len() < 2 && self.asked < self.length {
            let address = self.source + self.asked;
            let bytes = (self.length - self.asked).min(read).min(PAGE - address % PAGE);
            let tag = if same_tag { 0 } else { self.next_tag };
            self.next_tag = self.next_tag.wrapping_add(1);
            tx.push_back(Tlp::from(Body::MemRead(Memory::span(rid, tag, address, bytes as u32))).packet());
            self.reads.push(Read { tag, at: self.asked, wanted: bytes as usize, data: Vec::new() });
            self.asked += bytes;
        }
    }

    pub fn data(&mut self, c: &Completion, data: &[u8], poisoned: bool) {
        if c.status != Status::Success || poisoned {
            return self.refused(c);
        }
        // Addresses and lengths are multiples of four, so every payload is whole.
        if let Some(read) = self.reads.iter_mut().find(|r| r.tag == c.tag) {
            read.data.extend_from_slice(data);
        }
    }

    /// A read that failed ends the copy; what is still in flight is forgotten.
    pub fn refused(&mut self, c: &Completion) {
        if self.reads.iter().any(|r| r.tag == c.tag) {
            self.failed = true;
            self.asked = self.length;
            self.reads.clear();
        }
    }

    /// Once a copy has ended: whether it failed.
    pub fn finished(&mut self) -> Option<bool> {
        if self.running && self.reads.is_empty() && self.asked == self.length {
            self.running = false;
            return Some(self.failed);
        }
        None
    }
}
