//! Host memory: reads with tags and out-of-order completions, and the memory that they land in.
//!
//! Writes need no engine of their own: each maker of data makes its own packets (see `storage::data::mover`), and the gate and
//! the order of [`Transmit`](crate::transaction::Transmit) are shared.

pub mod lanes;
pub mod port;
pub mod read;

pub use lanes::Lanes;
pub use port::{LandIn, LandOut, LookIn, LookOut, ReadIn, ReadOut};
pub use read::Read;
