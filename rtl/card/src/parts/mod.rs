//! Small blocks that every engine is put together from.

mod fifo;

pub use fifo::{BlockFifo, Fifo};
