//! How a device is to be driven.

use std::time::Duration;

/// How the driver learns of what came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completions {
    /// It looks at the rings; no interrupts are enabled.
    Polled,
    /// [`crate::Net::wait`] sleeps until an MSI-X interrupt: vector 0 for changes of the link, one for each receive queue.
    Interrupts,
}

/// How a device is to be driven.
#[derive(Debug, Clone)]
pub struct Options {
    /// Pairs of queues wanted; fewer if the device has fewer.
    pub pairs: u16,
    /// Entries of a queue; fewer if the device takes fewer.
    pub depth: u16,
    /// Receive buffers of so many bytes, where packets may take several; where they may not, each has room for the longest.
    pub buffer: u32,
    /// Features not to use, by bit: to try how the device does without.
    pub without: u64,
    /// How arrivals are learnt of.
    pub completions: Completions,
    /// How long a reset and a command may take, in the device's time.
    pub timeout: Duration,
}

impl Options {
    /// Bytes of DMA memory that are enough for a device driven so, whatever it offers.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let (pairs, depth) = (u64::from(self.pairs.max(1)), u64::from(self.depth.next_power_of_two()));
        // Receive buffers, of the longest frame where each must have room for it; two pieces of 2 KiB to send from; rings with
        // their indirect tables.
        let entry = u64::from(self.buffer).max(9216) + 2 * 2048 + 2 * (1024 + 32);
        pairs * depth * entry + (1 << 20)
    }
}

impl Default for Options {
    /// One polled pair of 256 entries.
    fn default() -> Self {
        Options {
            pairs: 1,
            depth: 256,
            buffer: 2048,
            without: 0,
            completions: Completions::Polled,
            timeout: Duration::from_secs(5),
        }
    }
}
