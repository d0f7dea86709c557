//! What can go wrong with a virtio device.

use std::time::Duration;

/// The result of an operation on a virtio device.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation on a virtio device that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The seam below.
    #[error("{0}")]
    Seam(std::sync::Arc<azote_seam::Error>),
    /// The DMA memory.
    #[error("{0}")]
    Dma(std::sync::Arc<azote_dma::Error>),
    /// It has not the structures of a modern device, or they are not where it says.
    #[error("{function}: {what}; is it a virtio 1.x device?")]
    NoStructure {
        /// The function's name.
        function: String,
        /// What is missing or wrong.
        what: String,
    },
    /// It did not agree to features that it offers.
    #[error("{function}: refuses the features {features:#x}, which it offers")]
    Features {
        /// The function's name.
        function: String,
        /// The features.
        features: u64,
    },
    /// It lacks features without which this driver cannot drive it.
    #[error("{function}: does not offer {what}")]
    Lacks {
        /// The function's name.
        function: String,
        /// What is missing.
        what: &'static str,
    },
    /// A queue that cannot be.
    #[error("{function}: queue {queue}: {what}")]
    Queue {
        /// The function's name.
        function: String,
        /// The queue.
        queue: u16,
        /// What is wrong.
        what: String,
    },
    /// It says DEVICE_NEEDS_RESET.
    #[error("{function}: the device needs a reset: a ring that it was given makes no sense to it")]
    NeedsReset {
        /// The function's name.
        function: String,
    },
    /// It is not done with its reset.
    #[error("{function}: the reset has not ended within {after:?}")]
    Reset {
        /// The function's name.
        function: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// All descriptors are with the device.
    #[error("queue {queue} is full")]
    Full {
        /// The queue.
        queue: u16,
    },
    /// A chain without a buffer, of more buffers than the queue has descriptors, or with one that is no length at all.
    #[error("queue {queue}: {parts} buffers cannot be one chain")]
    Chain {
        /// The queue.
        queue: u16,
        /// How many there are.
        parts: usize,
    },
    /// `used.idx` is further than there are buffers with the device.
    #[error("queue {queue}: the device says that it used {used} buffers and has {given}; reset it")]
    UsedIndex {
        /// The queue.
        queue: u16,
        /// What it says.
        used: u16,
        /// What it can have used.
        given: u16,
    },
    /// It used what it was not given.
    #[error("queue {queue}: the device used descriptor {id}, which it was not given; reset it")]
    UsedId {
        /// The queue.
        queue: u16,
        /// The descriptor.
        id: u32,
    },
    /// It says that it wrote more than there was room for.
    #[error("queue {queue}: the device says that it wrote {len} bytes into {room}; reset it")]
    UsedLength {
        /// The queue.
        queue: u16,
        /// What it says.
        len: u32,
        /// The room.
        room: u64,
    },
}

impl From<azote_seam::Error> for Error {
    fn from(error: azote_seam::Error) -> Self {
        Self::Seam(std::sync::Arc::new(error))
    }
}

impl From<azote_dma::Error> for Error {
    fn from(error: azote_dma::Error) -> Self {
        Self::Dma(std::sync::Arc::new(error))
    }
}
