//! DMA memory: what a driver shares with its device.
//!
//! [`Dma`] is one memfd, sealed against resizing, mapped once into this process and, as a whole, into each function that
//! uses it ([`Dma::attach`]). An address for the device is the arena's base plus the offset, so nothing is looked up per
//! I/O and an arena costs a function one mapping. A memfd rather than anonymous memory, because a device in another
//! process (vfio-user) or a simulation needs a descriptor.
//!
//! # Access
//! The device may write at any moment, so no Rust reference to the memory ever exists. [`Buffer`] reads and writes it by
//! volatile words of the width asked for; structures are moved as words and decoded in private memory. (A volatile access
//! to a type of alignment 1, such as zerocopy's `U32`, would be torn into bytes.)

mod arena;
mod buffer;
mod error;
mod memory;

pub use arena::{Attachment, DEFAULT_IOVA, Dma};
pub use buffer::{Buffer, Slice};
pub use error::{Error, Result};
pub use memory::{Pages, memlock_hint};
