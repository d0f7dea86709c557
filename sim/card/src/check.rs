//! The checker: every TLP from the card against the isolation rules of the architecture page and the protocol.

use std::fmt;

use azote_tlp::rules;
use azote_tlp::{Body, Rid, Status, Tlp};

use crate::shadow::{Shadow, Write};

/// Which rule was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Isolation rule 1: the requester or completer id is that of an existing function of this card.
    Identity,
    /// Isolation rule 2: what is about function A came from, or went to, function B.
    Crossing,
    /// Isolation rule 3: no request from a function without bus mastering, after FLR, or of a disabled VF.
    Permission,
    /// The TLP itself: PCI Express 5.0 chapter 2.
    Protocol,
    /// The port's handshake: valid never waits for ready, and stands until it is taken.
    Stream,
    /// A completion that answers nothing, or not what was asked.
    Completion,
    /// The media port's rules.
    Media,
    /// The Ethernet port's rules.
    Ethernet,
}

/// A rule that was broken.
#[derive(Debug, Clone)]
pub struct Violation {
    /// In which clock.
    pub clock: u64,
    /// Which rule.
    pub rule: Rule,
    /// What happened.
    pub text: String,
    /// The last packets before it, and it.
    pub log: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "clock {}: {:?}: {}", self.clock, self.rule, self.text)?;
        if self.log.is_empty() { Ok(()) } else { write!(f, "\n{}", self.log.trim_end()) }
    }
}

/// How many configuration writes can be on their way.
const PENDING_KEPT: usize = 32;

/// A configuration write on its way: sent, not yet completed.
#[derive(Debug)]
struct Pending {
    key: (Rid, u8),
    bus: u8,
    write: Write,
}

/// The checker's account.
#[derive(Debug)]
pub(crate) struct Checker {
    /// The bus number that the last configuration write told the card; until then the one that it will be told.
    bus: u8,
    shadow: Shadow,
    pending: Vec<Pending>,
    /// `shadow` with each write of `pending` applied: what may hold already. A function has a permission if any of these
    /// or `shadow` gives it: between a write and its completion both are right.
    maybe: Vec<Shadow>,
    /// Reads of the card's not yet answered, by function and tag.
    outstanding: Vec<bool>,
    /// Functions that know their bus number: it comes with the first configuration write (§2.2.6.2).
    captured: Vec<bool>,
}

/// What a check found.
pub(crate) type Found = (Rule, String);

impl Checker {
    pub fn new(bus: u8) -> Self {
        Checker {
            bus,
            shadow: Shadow::default(),
            pending: Vec::new(),
            maybe: Vec::new(),
            outstanding: vec![false; 1 << 16],
            captured: vec![false; 256],
        }
    }

    /// The card's reset: everything as at power-on.
    pub fn reset(&mut self) {
        *self = Checker::new(self.bus);
    }

    fn any(&self, holds: impl Fn(&Shadow) -> bool) -> bool {
        holds(&self.shadow) || self.maybe.iter().any(holds)
    }

    fn speculate(&mut self) {
        let shadow = &self.shadow;
        self.maybe = self
            .pending
            .iter()
            .map(|pending| {
                let mut maybe = shadow.clone();
                maybe.apply(&pending.write);
                maybe
            })
            .collect();
    }

    /// A packet of the host's has gone to the card, whole.
    pub fn sent(&mut self, tlp: &Tlp) {
        if let Body::CfgWrite { requester, tag, target, register, first_be, data, .. } = tlp.body {
            let write = Write { function: target.function(), register, first_be, data };
            // Only raw writes that the card rightly drops are never completed; they must not give permission for ever.
            if self.pending.len() == PENDING_KEPT {
                self.pending.remove(0);
            }
            self.pending.push(Pending { key: (requester, tag), bus: target.bus(), write });
            self.speculate();
        }
    }

    /// A completion of the card's: a configuration write that it ends takes effect or does not.
    fn completed(&mut self, requester: Rid, tag: u8, status: Status) {
        if self.pending.is_empty() {
            return;
        }
        if let Some(at) = self.pending.iter().position(|p| p.key == (requester, tag)) {
            let pending = self.pending.remove(at);
            if status == Status::Success {
                self.captured[usize::from(pending.write.function)] = true;
                self.bus = pending.bus;
                self.shadow.apply(&pending.write);
            }
            self.speculate();
        }
    }

    /// A request whose completion will never come or no longer matters.
    pub fn forget(&mut self, requester: Rid, tag: u8) {
        self.pending.retain(|p| p.key != (requester, tag));
        self.speculate();
    }

    /// The limits in force for what goes to a function.
    pub fn max_payload(&self, function: u8) -> u32 {
        self.shadow.limits(function).max_payload
    }

    /// Who must answer a read of the card's memory space, if the configuration writes so far say so.
    pub fn owner(&self, address: u64) -> Option<u8> {
        // While one is on its way, either may hold.
        if self.pending.is_empty() { self.shadow.owner(address) } else { None }
    }

    /// The card's read has its last answer.
    pub fn answered(&mut self, requester: Rid, tag: u8) {
        self.outstanding[index(requester, tag)] = false;
    }

    /// Checks a TLP from the card and takes note of it.
    pub fn received(&mut self, tlp: &Tlp, found: &mut Vec<Found>) {
        let sender = tlp.sender();
        let function = sender.function();
        if !self.any(|s| s.exists(function)) && !tlp.is_completion() {
            found.push((Rule::Identity, format!("{sender} is no function of this card now: {tlp}")));
        }
        // The completion of the very write that gives another number may already have it.
        let told = sender.bus() == self.bus || self.pending.iter().any(|p| p.bus == sender.bus());
        if !told && (self.captured[usize::from(function)] || sender.bus() != 0) {
            found.push((Rule::Identity, format!("the card is on bus {:02x}: {tlp}", self.bus)));
        }
        let limits = self.widest(function);
        if let Err(reason) = rules::check(tlp, &limits) {
            found.push((Rule::Protocol, format!("{reason}: {tlp}")));
        }
        match &tlp.body {
            Body::MemRead(m) => {
                self.request(tlp, found);
                let slot = index(m.requester, m.tag);
                if self.outstanding[slot] {
                    found.push((Rule::Protocol, format!("§2.2.6.2: tag {:02x} is in use: {tlp}", m.tag)));
                }
                if m.tag > 31 && !self.any(|s| s.extended_tags(function)) {
                    found.push((Rule::Protocol, format!("§2.2.6.2: extended tags are not enabled: {tlp}")));
                }
                self.outstanding[slot] = true;
            }
            Body::MemWrite(..) => self.request(tlp, found),
            Body::IoRead(_) | Body::IoWrite(..) | Body::CfgRead { .. } | Body::CfgWrite { .. } => {
                found.push((Rule::Protocol, format!("an endpoint sends no such request: {tlp}")));
            }
            Body::Cpl(c) | Body::CplD(c, _) => self.completed(c.requester, c.tag, c.status),
            Body::Msg(_) | Body::MsgD(..) => {}
        }
    }

    fn request(&self, tlp: &Tlp, found: &mut Vec<Found>) {
        let sender = tlp.sender();
        let function = sender.function();
        if !self.any(|s| s.may_request(function)) {
            let text = format!("{sender} may not send requests (bus mastering off, reset, or no such VF): {tlp}");
            found.push((Rule::Permission, text));
        }
        let a = &tlp.attributes;
        for (used, allowed, what) in [
            (a.relaxed_ordering, self.any(|s| s.relaxed(function)), "relaxed ordering is not enabled"),
            (a.no_snoop, self.any(|s| s.no_snoop(function)), "no snoop is not enabled"),
            (a.id_ordering, false, "id-based ordering is not enabled"),
            (a.address_type != 0, false, "address translation is not enabled"),
            (a.traffic_class != 0, false, "the only traffic class is 0"),
        ] {
            if used && !allowed {
                found.push((Rule::Protocol, format!("§2.2.6: {what}: {tlp}")));
            }
        }
    }

    fn widest(&self, function: u8) -> rules::Limits {
        self.maybe.iter().fold(self.shadow.limits(function), |limits, s| {
            let other = s.limits(function);
            rules::Limits {
                max_payload: limits.max_payload.max(other.max_payload),
                max_read: limits.max_read.max(other.max_read),
            }
        })
    }
}

fn index(requester: Rid, tag: u8) -> usize {
    usize::from(requester.function()) << 8 | usize::from(tag)
}
