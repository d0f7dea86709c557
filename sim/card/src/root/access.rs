//! What software asks of the card: configuration and memory accesses, and packets of its own making.

use azote_tlp::{Body, CfgType, Memory, Packet, Rid, Tlp, request};

use super::dma::HOST;
use super::downstream::{Class, Outgoing};
use super::request::Asked;
use super::{EVENTS_KEPT, Root};
use crate::RequestError;

/// Posted writes that may wait for the link; a writer that is ahead by more waits itself.
const POSTED_AHEAD: usize = 64;

impl Root {
    fn push(&mut self, tlp: &Tlp) {
        let class = match tlp {
            tlp if tlp.is_posted() => Class::Posted,
            tlp if tlp.is_completion() => Class::Completion,
            _ => Class::NonPosted,
        };
        self.downstream.push(Outgoing { packet: tlp.packet(), class, answers: None });
        self.rest = 0;
    }

    /// Clocks until a request is answered.
    fn wait(&mut self, tag: u8) -> Result<Vec<u8>, RequestError> {
        let deadline = self.clock + self.options.timeout;
        loop {
            if let Some(result) = self.requests.take(tag) {
                return result;
            }
            if self.clock >= deadline {
                self.requests.abandon(tag);
                self.checker.forget(HOST, tag);
                return Err(RequestError::Timeout(self.options.timeout));
            }
            self.clock();
        }
    }

    /// Reads the DW at `register` of a function's configuration space.
    pub fn config_read(&mut self, function: u8, register: u16) -> Result<u32, RequestError> {
        self.config_read_bytes(function, register, 0xf)
    }

    /// Reads some bytes of a DW of configuration space; the others are undefined.
    pub fn config_read_bytes(&mut self, function: u8, register: u16, first_be: u8) -> Result<u32, RequestError> {
        self.config_read_at(Rid::new(self.options.bus, function), register, first_be)
    }

    /// The same by bus and function number, for whoever has given the card a bus number of its own: a CfgRd0.
    pub fn config_read_at(&mut self, target: Rid, register: u16, first_be: u8) -> Result<u32, RequestError> {
        let tag = self.requests.open(Asked::ConfigRead, Some(target.function()))?;
        let register = register & !3;
        let body = Body::CfgRead { cfg: CfgType::Type0, requester: HOST, tag, target, register, first_be };
        self.push(&body.into());
        let data = self.wait(tag)?;
        Ok(data.first_chunk().map_or(u32::MAX, |dw| u32::from_le_bytes(*dw)))
    }

    /// Writes the DW at `register` of a function's configuration space.
    pub fn config_write(&mut self, function: u8, register: u16, value: u32) -> Result<(), RequestError> {
        self.config_write_bytes(function, register, 0xf, value)
    }

    /// Writes some bytes of a DW of configuration space.
    pub fn config_write_bytes(
        &mut self,
        function: u8,
        register: u16,
        first_be: u8,
        value: u32,
    ) -> Result<(), RequestError> {
        self.config_write_at(Rid::new(self.options.bus, function), register, first_be, value)
    }

    /// The same by bus and function number: a CfgWr0. The card takes its bus number from it (PCIe 5.0 §2.2.6.2), and the
    /// checker with it.
    pub fn config_write_at(
        &mut self,
        target: Rid,
        register: u16,
        first_be: u8,
        value: u32,
    ) -> Result<(), RequestError> {
        let tag = self.requests.open(Asked::ConfigWrite, Some(target.function()))?;
        let (register, data) = (register & !3, value.to_le_bytes());
        let body = Body::CfgWrite { cfg: CfgType::Type0, requester: HOST, tag, target, register, first_be, data };
        self.push(&body.into());
        self.wait(tag).map(drop)
    }

    /// Reads `bytes` bytes (1 to 4096, not across 4 KiB) of the card's memory space. `owner` is the function that must
    /// answer, where the caller knows; else the checker goes by the BARs that were written.
    pub fn mem_read(&mut self, address: u64, bytes: u32, owner: Option<u8>) -> Result<Vec<u8>, RequestError> {
        let (length, first_be, last_be) = request::enables(address, bytes);
        self.mem_read_dws(address & !3, length, first_be, last_be, owner)
    }

    /// The same with byte enables of the caller's choice; returns the bytes from the first enabled one to the last.
    pub fn mem_read_dws(
        &mut self,
        address: u64,
        length: u16,
        first_be: u8,
        last_be: u8,
        owner: Option<u8>,
    ) -> Result<Vec<u8>, RequestError> {
        let mut memory = Memory { requester: HOST, tag: 0, address, length, first_be, last_be };
        let asked = Asked::Memory { bytes: memory.byte_count(), lower_address: memory.lower_address() };
        memory.tag = self.requests.open(asked, owner.or_else(|| self.checker.owner(address)))?;
        self.push(&Body::MemRead(memory).into());
        self.wait(memory.tag)
    }

    /// Writes bytes (1 to 4096, not across 4 KiB) to the card's memory space. Posted: it returns at once, unless too many
    /// writes before it are still waiting for the link.
    pub fn mem_write(&mut self, address: u64, bytes: &[u8]) {
        let memory = Memory::span(HOST, 0, address, bytes.len() as u32);
        let mut payload = vec![0; usize::from(memory.length) * 4];
        let start = (address & 3) as usize;
        payload[start..start + bytes.len()].copy_from_slice(bytes);
        self.push(&Body::MemWrite(memory, payload).into());
        // A card that takes nothing for as long as a request may take is dead; then the queue may grow.
        let deadline = self.clock + self.options.timeout;
        while self.downstream.waiting() > POSTED_AHEAD && self.clock < deadline {
            self.clock();
        }
    }

    /// Sends a packet as it is, well-formed or not. What comes back under its id and tag is kept for
    /// [`Root::take_unclaimed`].
    pub fn send_raw(&mut self, packet: Packet) {
        let dw1 = packet.header[1];
        if self.raw.len() >= EVENTS_KEPT * 16 {
            self.raw.clear();
        }
        self.raw.insert((Rid((dw1 >> 16) as u16), (dw1 >> 8) as u8));
        // By its header, so that ordering is kept even for what does not decode.
        let class = match Tlp::decode(&packet) {
            Ok(tlp) if tlp.is_posted() => Class::Posted,
            Ok(tlp) if tlp.is_completion() => Class::Completion,
            _ => Class::NonPosted,
        };
        self.downstream.push(Outgoing { packet, class, answers: None });
        self.rest = 0;
    }
}
