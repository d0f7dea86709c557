//! vfio-user: a PCI device over a Unix socket, as QEMU 11 and others speak it (protocol 0.0; libvfio-user's
//! `docs/vfio-user.rst`).
//!
//! - [`wire`]: messages and their limits. Both ends use it. What the other side sends is never trusted: sizes are bounded
//!   before anything is allocated, descriptors beyond what is allowed are closed, and a message must come to its end in time.
//! - [`Client`]: the VMM's end: regions, interrupts, DMA mappings of a device in another process.
//! - [`UserFunction`]: the drivers' seam over a client, so that a driver of ours runs on a device behind a socket.
//!
//! The server's end is in `sim/serve`.

#![forbid(unsafe_code)]

mod client;
mod error;
mod seam;
pub mod wire;

pub use client::{Client, Guest, Region, SparseArea};
pub use error::{Error, Result};
pub use seam::UserFunction;
