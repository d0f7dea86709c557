//! Small blocks that every engine is put together from.

mod arbiter;
pub mod async_fifo;
mod bytes;
mod fifo;
mod forget;
mod least;
mod marks;
mod skid;
mod slots;
mod table;
pub mod tick;

pub use arbiter::Arbiter;
pub use async_fifo::{AsyncBlockFifo, AsyncFifo};
pub use bytes::byte_mask;
pub use fifo::{BlockFifo, Fifo};
pub use forget::Forget;
pub use least::least;
pub use marks::Marks;
pub use skid::Skid;
pub use slots::{has_place, is_marked, mark_of, slots_of};
pub use table::{BlockTable, Sweep, Table};
pub use tick::Tick;
