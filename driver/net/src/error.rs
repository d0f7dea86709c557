//! What can go wrong when driving a network device.

use std::time::Duration;

/// The result of an operation on a network device.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation on a network device that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The transport, or a queue of the device.
    #[error(transparent)]
    Virtio(#[from] azote_virtio::Error),
    /// It says that it has pairs of queues which it cannot have.
    #[error("{function}: the device says that it has {pairs} pairs of {queues} queues; that cannot be")]
    Pairs {
        /// The function's name.
        function: String,
        /// What it says.
        pairs: u16,
        /// How many queues it has.
        queues: u16,
    },
    /// A packet that the device cannot be given.
    #[error("a packet of {len} bytes: {what}")]
    Packet {
        /// Its length.
        len: usize,
        /// Why not.
        what: &'static str,
    },
    /// No such pair of queues.
    #[error("there is no pair {pair}; {pairs} are in use")]
    NoPair {
        /// The pair.
        pair: u16,
        /// How many are in use.
        pairs: u16,
    },
    /// What was received is no packet: the device is broken.
    #[error("receive queue {pair}: {what}; reset the device")]
    Received {
        /// The pair.
        pair: u16,
        /// What is wrong.
        what: String,
    },
    /// The device refused a command.
    #[error("{command}: the device refuses")]
    Refused {
        /// The command.
        command: &'static str,
    },
    /// The device does not answer a command; its control queue is of no use until a reset.
    #[error("{command}: no answer within {after:?}; reset the device")]
    Silent {
        /// The command.
        command: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// The device has not what is asked for.
    #[error("{what}: the device does not offer {feature}")]
    Lacks {
        /// What was asked for.
        what: &'static str,
        /// The feature.
        feature: &'static str,
    },
}

impl From<azote_seam::Error> for Error {
    fn from(error: azote_seam::Error) -> Self {
        Self::Virtio(error.into())
    }
}

impl From<azote_dma::Error> for Error {
    fn from(error: azote_dma::Error) -> Self {
        Self::Virtio(error.into())
    }
}
