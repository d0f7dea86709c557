//! The NBD protocol (<https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md>): its numbers, for the server of the
//! command line and for the client here, which is what backs a simulated card's volume by a server.
//!
//! libnbd is no crate that can be had, and older on Debian than what its bindings want; the crates that exist are one sequential
//! stream without structured replies. What is here is blocking and small: callers on several threads share one connection, on
//! which their requests are under way at once.
//!
//! ```text
//!  callers ── Client: splits, waits, tries again ──▶ Link: one connection ──▶ server
//!                     keeps what is not durable       └─ a thread reads replies
//! ```

#![forbid(unsafe_code)]

mod client;
mod error;
mod haggle;
mod link;
mod stream;
#[cfg(feature = "testing")]
pub mod testing;
mod uri;
pub mod wire;

pub use client::{Client, Settings};
pub use error::{Error, Result};
pub use uri::{Address, Uri};
