//! Packets on their way to the card, in an order that the specification allows.

use std::collections::VecDeque;

use azote_tlp::{Beat, Packet, Rid};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::options::Chance;

/// The classes that ordering is about (PCIe 5.0 §2.4.1, table 2-40).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Posted,
    NonPosted,
    Completion,
}

/// A packet and what its departure means.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub packet: Packet,
    pub class: Class,
    /// This is the last completion of a read of the card's.
    pub answers: Option<(Rid, u8)>,
}

/// The link's sending side.
#[derive(Debug, Default)]
pub(crate) struct Downstream {
    queue: VecDeque<Outgoing>,
    /// The packet whose beats are going, and the next of them. Once offered it stays until it is taken.
    current: Option<(Outgoing, usize)>,
    offered: bool,
}

pub(crate) fn chance(rng: &mut SmallRng, chance: Chance) -> bool {
    chance > 0 && rng.random::<u8>() < chance
}

impl Downstream {
    pub fn push(&mut self, outgoing: Outgoing) {
        self.queue.push_back(outgoing);
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.current.is_none()
    }

    /// Packets that have not begun to go.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Drops everything, as a reset does.
    pub fn reset(&mut self) {
        *self = Downstream::default();
    }

    /// The beat to offer in this clock.
    pub fn beat(&mut self, rng: &mut SmallRng, gap: Chance, overtake: Chance) -> Option<Beat> {
        if self.current.is_none() && !self.queue.is_empty() {
            let at = self.choose(rng, overtake);
            self.current = self.queue.remove(at).map(|outgoing| (outgoing, 0));
        }
        let (outgoing, index) = self.current.as_ref()?;
        // A beat that was offered and not taken is offered again: no gap then.
        if !self.offered && chance(rng, gap) {
            return None;
        }
        self.offered = true;
        Some(outgoing.packet.beat(*index))
    }

    /// The next packet. All stay in their order, except that whatever is first among posted requests and completions may
    /// overtake the non-posted requests before it: A3 to A5 and D3 to D5 of table 2-40 let it, and nothing forbids it.
    fn choose(&self, rng: &mut SmallRng, overtake: Chance) -> usize {
        if self.queue[0].class == Class::NonPosted && chance(rng, overtake) {
            return self.queue.iter().position(|o| o.class != Class::NonPosted).unwrap_or(0);
        }
        0
    }

    /// The card took the offered beat; returns the packet if it was its last.
    pub fn taken(&mut self) -> Option<Outgoing> {
        self.offered = false;
        let (outgoing, index) = self.current.as_mut()?;
        *index += 1;
        if *index as u64 == outgoing.packet.beat_count() {
            self.current.take().map(|(outgoing, _)| outgoing)
        } else {
            None
        }
    }
}
