//! vfio-user: a PCI device over a Unix socket, as QEMU 11 and others speak it (protocol 0.0; libvfio-user's
//! `docs/vfio-user.rst`).
//!
//! - [`wire`]: messages and their limits. Both ends use it. What the other side sends is never trusted: sizes are bounded
//!   before anything is allocated, descriptors beyond what is allowed are closed, and a message must come to its end in time.
//! - [`Client`]: the VMM's end: regions, interrupts, DMA mappings of a device in another process.
//! - [`UserFunction`]: the drivers' seam over a client, so that a driver of ours runs on a device behind a socket.
//!
//! The server's end is in `sim/serve`; what is spoken and promised is on the page `docs/vfio-user.md`.
//!
//! A VMM uses it so, from as many threads as it likes:
//!
//! ```no_run
//! use std::os::fd::AsFd;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use azote_vfio_user::{Client, Error, Guest};
//! use vfio_bindings::bindings::vfio;
//!
//! /// Memory is lent as a file below, so nothing is asked for; but the end must be known.
//! struct Machine;
//!
//! impl Guest for Machine {
//!     fn gone(&self, error: &Error) {
//!         eprintln!("the device is gone: {error}");
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (memory, eventfd) = (std::fs::File::open("/dev/null")?, std::fs::File::open("/dev/null")?);
//! let client = Client::connect("/run/azote/vf0.sock".as_ref(), Arc::new(Machine), Duration::from_secs(60))?;
//! client.dma_map(Some((memory.as_fd(), 0)), 0, 1 << 30)?;
//! client.set_eventfds(vfio::VFIO_PCI_MSIX_IRQ_INDEX, 0, &[eventfd.as_fd()])?;
//! client.write(vfio::VFIO_PCI_CONFIG_REGION_INDEX, 4, &[6, 0])?;
//! let mut version = [0; 4];
//! client.read(vfio::VFIO_PCI_BAR0_REGION_INDEX, 8, &mut version)?;
//! # Ok(())
//! # }
//! ```
//!
//! Every call waits for its answer, at most as long as `connect` was told; then the session is over ([`Error::Silent`]), as it
//! is when the server dies ([`Error::Closed`]) or lies ([`Error::Protocol`]). A refusal ([`Error::Refused`]) has the server's
//! errno and ends nothing.

#![forbid(unsafe_code)]

mod client;
mod error;
mod seam;
pub mod wire;

pub use client::{Client, Guest, Region, SparseArea};
pub use error::{Error, Result};
pub use seam::UserFunction;
