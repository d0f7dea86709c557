//! The wire behind the card's Ethernet port: frames out are put together from beats and given to whoever is at the other
//! end, frames in are taken from there and given to the card as beats.
//!
//! The port itself ([`port`]) is clocked and has no thread. What is beyond it is a [`Wire`], which never waits: nothing, a
//! [`Plug`] in the same process, a recorded file, a TAP device or a socket. A [`Capture`] notes what passes, whatever the wire.

mod capture;
mod descriptor;
mod inbox;
mod plug;
mod port;
mod replay;
mod socket;
mod tap;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;

pub use self::capture::Capture;
pub use self::plug::{Plug, cable};
use self::port::Port;
pub use self::replay::Replay;
pub use self::socket::PeerSocket;
pub use self::tap::Tap;
pub use self::wire::{Nothing, Wire};
use crate::{Bell, Error, EthernetOptions};

/// What passed the port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EthernetStats {
    /// Frames that the card sent.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Of these frames, those that the wire had no room for, or nobody at its other end.
    pub lost: u64,
    /// Frames that the card was given whole.
    pub given: u64,
    /// Their bytes.
    pub given_bytes: u64,
    /// Frames from the wire that are shorter than an Ethernet header or longer than any: the card was not given them.
    pub unfit: u64,
}

/// The Ethernet port and what is behind it.
pub struct Ethernet {
    options: EthernetOptions,
    rng: SmallRng,
    port: Port,
    wire: Box<dyn Wire>,
    capture: Option<Capture>,
    bell: Option<Arc<Bell>>,
    stats: EthernetStats,
    broken: Option<String>,
}

impl Ethernet {
    /// A port with nothing behind it.
    pub(crate) fn new(options: EthernetOptions, seed: u64) -> Self {
        Ethernet {
            options,
            rng: SmallRng::seed_from_u64(seed ^ 0x6574_6865),
            port: Port::default(),
            wire: Box::new(Nothing),
            capture: None,
            bell: None,
            stats: EthernetStats::default(),
            broken: None,
        }
    }

    /// Puts a wire in the place of the one that is there, which it gives back.
    pub fn connect(&mut self, mut wire: Box<dyn Wire>) -> Box<dyn Wire> {
        if let Some(bell) = &self.bell {
            wire.ring(bell.clone());
        }
        std::mem::replace(&mut self.wire, wire)
    }

    /// Notes every frame that passes from now on, in place of the capture that was.
    pub fn capture(&mut self, capture: Capture) -> Option<Capture> {
        self.capture.replace(capture)
    }

    /// What passed so far.
    pub fn stats(&self) -> EthernetStats {
        self.stats
    }

    /// Who is told when a frame comes while nobody clocks the card.
    pub(crate) fn wake(&mut self, bell: Arc<Bell>) {
        self.wire.ring(bell.clone());
        self.bell = Some(bell);
    }

    pub(crate) fn set_options(&mut self, options: EthernetOptions) {
        self.options = options;
    }

    /// True while a frame is at the port, or waits to come in.
    pub(crate) fn busy(&self, now: Duration) -> bool {
        self.port.busy() || self.wire.is_ready(now)
    }

    /// Nothing is in flight and somebody waits: lets as much time pass as that counts, at most, if frames come from where time
    /// passes by itself. False if none do, and waiting brings nothing.
    pub(crate) fn rest(&self, most: Duration) -> bool {
        self.wire.rest(most)
    }

    /// What the card did wrong on this port, once.
    pub(crate) fn take_broken(&mut self) -> Option<String> {
        self.broken.take()
    }

    /// The card was reset: a frame that had begun is gone.
    pub(crate) fn reset(&mut self) {
        self.port = Port::default();
    }

    /// The end, for files and what is beyond: what was noted is whole and in its place.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        let capture = self.capture.take().map_or(Ok(()), Capture::finish);
        capture.and(self.wire.finish())
    }
}
