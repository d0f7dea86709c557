//! A cable within the process: for tests, and between two cards.

use std::sync::Arc;
use std::time::Duration;

use super::Wire;
use super::inbox::Inbox;
use crate::Bell;

/// One end of a [`cable`]. A test keeps one end and connects the other; clones are handles to the same end.
#[derive(Clone)]
pub struct Plug {
    inward: Arc<Inbox>,
    outward: Arc<Inbox>,
}

/// A cable: what is sent at one end is received at the other. Each way has room for 1,024 frames.
pub fn cable() -> (Plug, Plug) {
    let (a, b) = (Arc::new(Inbox::default()), Arc::new(Inbox::default()));
    (Plug { inward: a.clone(), outward: b.clone() }, Plug { inward: b, outward: a })
}

impl Plug {
    /// Sends a frame to the other end; false if it is lost.
    pub fn send(&self, frame: &[u8]) -> bool {
        self.outward.push(frame.to_vec())
    }

    /// The next frame from the other end.
    pub fn receive(&self) -> Option<Vec<u8>> {
        self.inward.pop()
    }
}

impl Wire for Plug {
    fn send(&mut self, frame: &[u8]) -> bool {
        Plug::send(self, frame)
    }

    fn receive(&mut self, _now: Duration) -> Option<Vec<u8>> {
        Plug::receive(self)
    }

    fn is_ready(&self, _now: Duration) -> bool {
        !self.inward.is_empty()
    }

    fn ring(&mut self, bell: Arc<Bell>) {
        self.inward.ring(bell);
    }
}
