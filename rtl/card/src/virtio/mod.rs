//! The virtqueue engine: what every virtio function of the card has, whatever device it is (virtio 1.2).

pub mod bundles;
pub mod fetch;
pub mod flights;
pub mod post;
pub mod reads;
pub mod registers;

pub use fetch::Fetch;
pub use flights::Flights;
pub use post::Post;
pub use reads::Reads;
pub use registers::{Device, Registers};
