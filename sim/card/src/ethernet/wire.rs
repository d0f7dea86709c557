//! What is at the other end of the port.

use std::sync::Arc;
use std::time::Duration;

use crate::{Bell, Error};

/// The other end of the Ethernet port. No call waits for anybody, but [`Wire::rest`] for as long as it is told.
pub trait Wire: Send {
    /// Takes a frame that the card sent; false if it is lost, since there is no room for it or nobody to have it.
    fn send(&mut self, frame: &[u8]) -> bool;

    /// The next frame for the card, if one is there at this time of the simulation.
    fn receive(&mut self, now: Duration) -> Option<Vec<u8>>;

    /// Whether [`Wire::receive`] would give one.
    fn is_ready(&self, now: Duration) -> bool;

    /// Who is to be told when a frame comes.
    fn ring(&mut self, _bell: Arc<Bell>) {}

    /// Waits for a frame, so long at most, if they come in real time; false if they do not.
    fn rest(&self, _most: Duration) -> bool {
        false
    }

    /// The end; an error that occurred on the way is told now.
    fn finish(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// Nothing is connected: what the card sends is lost, and nothing comes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Wire for Nothing {
    fn send(&mut self, _frame: &[u8]) -> bool {
        false
    }

    fn receive(&mut self, _now: Duration) -> Option<Vec<u8>> {
        None
    }

    fn is_ready(&self, _now: Duration) -> bool {
        false
    }
}
