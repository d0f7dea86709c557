//! Export of namespaces over NBD, so that ordinary tools (qemu-img, nbdcopy, the kernel's nbd) can use them.
//!
//! The server speaks the fixed newstyle handshake, simple and structured replies of the NBD protocol document
//! (<https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md>); `docs/nbd.md` goes through it line by line. The crates that exist are a server for one
//! sequential stream, one for a runtime and a licence that we do not use, and kernel-side glue; this needs many requests
//! in flight on one controller, so it has its own, small and bounded:
//!
//! ```text
//!  connection ── session: reads requests ──jobs──▶ engine: one thread an export, owns the controller
//!             ◀─ writer: writes replies ◀─replies─┘  splits, keeps the queue full, waits (and so clocks a simulation)
//! ```
//!
//! A client can hold only so much memory ([`budget`]) and takes turns with the others ([`turns`]), so that one that asks for
//! much, or does not read its replies, delays nobody else. A write
//! is given to the controller only when it has arrived whole, so a client that is killed damages nothing.

mod budget;
mod engine;
mod export;
mod job;
mod listen;
mod negotiate;
mod replies;
mod request;
mod server;
mod session;
mod stats;
#[cfg(feature = "testing")]
pub mod testing;
mod turns;

pub use crate::Stop;
use azote_nbd::wire;
pub use engine::Engine;
pub use export::{Allocation, Export};
pub use listen::{Listen, Listener};
pub use server::Server;
pub use stats::{Histogram, Stats};
