//! How a controller is to be driven.

use std::time::Duration;

/// How the driver learns of completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completions {
    /// It looks at the completion queues; no interrupts are enabled.
    Polled,
    /// It sleeps until an MSI-X interrupt: vector 0 for the admin queue, one more for each I/O queue while there are any.
    Interrupts,
}

/// How a controller is to be driven.
#[derive(Debug, Clone)]
pub struct Options {
    /// I/O queue pairs wanted; fewer if the controller has fewer.
    pub io_queues: u16,
    /// Entries of an I/O queue; one less can be in flight. Fewer if the controller takes fewer.
    pub depth: u16,
    /// How completions are learnt of.
    pub completions: Completions,
    /// How long a command may take, in the device's time.
    pub timeout: Duration,
    /// Asynchronous Event Requests to leave with the controller; fewer if it takes fewer.
    pub events: u8,
}

impl Default for Options {
    /// One polled queue of 64 entries; time-outs as Linux has them.
    fn default() -> Self {
        Self { io_queues: 1, depth: 64, completions: Completions::Polled, timeout: Duration::from_secs(30), events: 1 }
    }
}
