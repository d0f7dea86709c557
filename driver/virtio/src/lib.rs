//! Virtio over PCI in user space: what every virtio driver stands on.
//!
//! [`Transport`] finds the structures of a modern device (virtio 1.2 §4.1), resets it, agrees on features and sets queues up;
//! [`Queue`] is a split virtqueue (§2.7) in DMA memory, with indirect descriptors and EVENT_IDX where the device has them.
//! Nothing is `unsafe`, and nothing that a device does is trusted: where its structures lie must be inside of its BARs, what it
//! uses must have been given to it, and it cannot have written more than it was given room for. A device that breaks that is
//! an [`Error`], after which its queue gives nothing but that error until it is reset.

#![forbid(unsafe_code)]

mod error;
mod queue;
mod ring;
mod transport;

pub use error::{Error, Result};
pub use queue::{Part, Queue, Used};
pub use transport::Transport;
