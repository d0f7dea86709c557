//! What becomes of a packet when its last beat has gone: the host's to the card, the card's to the host.

use azote_tlp::{Body, Memory, Packet, Tlp};

use super::downstream::{Class, Outgoing};
use super::{DmaFault, EVENTS_KEPT, Root, VIOLATIONS_KEPT, dma};
use crate::check::{Found, Rule, Violation};
use crate::faults::ReadFault;
use crate::interrupts::Interrupts;
use crate::log::Direction;

/// A posted write of at most so many bytes announces something: a completion entry, a flag. Drivers look then.
const ANNOUNCEMENT: usize = 16;

impl Root {
    /// A packet has gone to the card, whole.
    pub(super) fn sent(&mut self, outgoing: Outgoing) {
        if let Some((requester, tag)) = outgoing.answers {
            self.checker.answered(requester, tag);
        }
        if outgoing.class == Class::NonPosted
            && let Ok(tlp) = Tlp::decode(&outgoing.packet)
        {
            self.checker.sent(&tlp);
        }
        self.stats.rx_packets += 1;
        self.log.packet(self.clock, Direction::ToCard, outgoing.packet);
    }

    /// A packet has come from the card, whole.
    pub(super) fn received(&mut self, packet: Packet) {
        self.stats.tx_packets += 1;
        let tlp = match Tlp::decode(&packet) {
            Ok(tlp) => tlp,
            Err(reason) => {
                self.log.packet(self.clock, Direction::FromCard, packet);
                return self.violate(Rule::Protocol, reason.to_string());
            }
        };
        self.log.packet(self.clock, Direction::FromCard, packet);
        let mut found: Vec<Found> = Vec::new();
        self.checker.received(&tlp, &mut found);
        let function = tlp.sender().function();
        match &tlp.body {
            Body::MemRead(m) => {
                let stats = self.stats.function_mut(function);
                stats.reads += 1;
                stats.read_bytes += u64::from(m.byte_count());
                let fault = self.faults.strike(function);
                if fault == Some(ReadFault::Dropped) {
                    // The card gives up on it some time, and may then use the tag again.
                    self.checker.answered(m.requester, m.tag);
                } else {
                    let request = (*m, tlp.attributes);
                    self.reads.request(self.clock, request, fault, &self.memory, &self.options, &mut self.rng);
                }
            }
            Body::MemWrite(m, data) => self.write(*m, data, tlp.attributes.poisoned),
            Body::Cpl(c) | Body::CplD(c, _) => {
                if c.requester == dma::HOST && self.requests.complete(&tlp, &mut found) {
                    // Someone waits for it.
                } else if self.raw.contains(&(c.requester, c.tag)) {
                    if self.unclaimed.len() < EVENTS_KEPT {
                        self.unclaimed.push(tlp.clone());
                    }
                } else {
                    found.push((Rule::Completion, format!("§2.3.2: nothing was asked under this tag: {tlp}")));
                }
            }
            Body::Msg(m) | Body::MsgD(m, _) => {
                self.stats.function_mut(function).messages += 1;
                if self.messages.len() < EVENTS_KEPT {
                    self.messages.push((self.clock, *m));
                }
            }
            _ => {}
        }
        for (rule, text) in found {
            self.violate(rule, text);
        }
    }

    /// A posted write: an interrupt, or memory.
    fn write(&mut self, m: Memory, data: &[u8], poisoned: bool) {
        let function = m.requester.function();
        let stats = self.stats.function_mut(function);
        if Interrupts::in_window(m.address) {
            stats.interrupts += 1;
            self.announced = true;
            let whole = m.length == 1 && m.first_be == 0xf;
            match <[u8; 4]>::try_from(data) {
                Ok(data) if whole => {
                    if let Err(owner) = self.interrupts.arrive(self.clock, m.requester, m.address, data) {
                        let text = format!("{} sent the interrupt of function {owner:#04x}", m.requester);
                        self.violate(Rule::Crossing, text);
                    }
                }
                _ => self.violate(Rule::Protocol, format!("§6.1.4: an interrupt message is one DW, not {m:?}")),
            }
            return;
        }
        stats.writes += 1;
        stats.write_bytes += data.len() as u64;
        self.announced |= data.len() <= ANNOUNCEMENT;
        // §2.7.2.1: poisoned data is not made visible.
        if !poisoned && !self.memory.write(function, m.address, data, |i| m.enabled(i)) {
            let fault = DmaFault { clock: self.clock, function, address: m.address, write: true };
            if self.dma_faults.len() < EVENTS_KEPT {
                self.dma_faults.push(fault);
            }
            self.log.note(self.clock, &format!("write to {:#x}, where {} has no memory", m.address, m.requester));
        }
    }

    pub(super) fn violate(&mut self, rule: Rule, text: String) {
        self.violation_count += 1;
        self.log.note(self.clock, &format!("{rule:?}: {text}"));
        if self.violations.len() < VIOLATIONS_KEPT {
            let log = self.log.tail();
            self.violations.push(Violation { clock: self.clock, rule, text, log });
        }
    }
}
