//! The simulated card for other people's machines: a vfio-user socket for each function.
//!
//! What stands behind a socket behaves as the kernel's vfio-pci does for a virtual function: a whole device with identity and
//! BARs, its MSI-X table owned here, its vectors eventfds, its reset FLR. All sockets share one card and one clock, which only
//! moves while something is in flight.
//!
//! ```text
//!   client ── socket ── Session: requests in, replies out           a thread each
//!                          │  View: configuration space as a device's
//!                          │  Irqs: eventfds, fed by the card's MSI-X messages
//!                          │  Space: the client's memory, by file or by message
//!                       Card + Runner: one lock, one clock            a thread
//! ```

#![forbid(unsafe_code)]

mod device;
mod error;
mod irqs;
mod messages;
mod rules;
mod server;
mod session;
mod view;

pub use error::{Error, Result};
pub use server::{Counters, Server, Stop};

/// Lets this process have as many descriptors as it may: sixty functions with their clients' eventfds and files need more
/// than the thousand that a process begins with. Where it may not, the limit stays.
pub fn raise_file_limit() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised);
}
