//! What can go wrong when driving a controller.

use std::time::Duration;

use crate::{Failure, Status};

/// The result of an NVMe operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An NVMe operation that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The seam below.
    #[error(transparent)]
    Seam(#[from] azote_seam::Error),
    /// The DMA memory.
    #[error(transparent)]
    Dma(#[from] azote_dma::Error),
    /// The controller reports Controller Fatal Status.
    #[error("{function}: the controller reports a fatal error (CSTS.CFS); it must be reset")]
    Fatal {
        /// The function's name.
        function: String,
    },
    /// The last reset did not bring the controller back.
    #[error("{function}: the controller is down: its last reset failed; try another reset, or power cycle it")]
    Down {
        /// The function's name.
        function: String,
    },
    /// The controller is of a kind that this driver can not drive.
    #[error("{function}: {what}")]
    Unsupported {
        /// The function's name.
        function: String,
        /// What is missing, or too large.
        what: String,
    },
    /// A command came back with an error.
    #[error("{command}: {status}")]
    Status {
        /// The command.
        command: &'static str,
        /// Its status.
        status: Status,
    },
    /// A command was not completed in time, nor could it be aborted; the controller was reset.
    #[error("{command}: no completion within {after:?}; the controller was reset")]
    TimedOut {
        /// The command.
        command: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// A command was ended by something other than its completion.
    #[error("{command}: {failure}")]
    Failed {
        /// The command.
        command: &'static str,
        /// What ended it.
        failure: Failure,
    },
    /// The controller completed something that it had not been given, or named a queue that does not exist.
    #[error("{function}: queue {queue}: the controller sent a completion that can not be ({what}); it must be reset")]
    BadCompletion {
        /// The function's name.
        function: String,
        /// The queue's id.
        queue: u16,
        /// What is wrong with it.
        what: String,
    },
    /// As many commands are in flight as the queue holds.
    #[error("queue {queue} is full; wait for a completion first")]
    QueueFull {
        /// The queue's index.
        queue: usize,
    },
    /// There is no such queue.
    #[error("no I/O queue {queue}; the controller has {count}")]
    NoQueue {
        /// The index asked for.
        queue: usize,
        /// The number of I/O queues.
        count: usize,
    },
    /// Nothing is in flight on the queue that was to be waited for.
    #[error("nothing is in flight on queue {queue}")]
    Idle {
        /// The queue's index.
        queue: usize,
    },
    /// The controller has no active namespace.
    #[error("{function}: no active namespace; has a volume been bound to it?")]
    NoNamespace {
        /// The function's name.
        function: String,
    },
    /// Blocks beyond the end of the namespace.
    #[error("{blocks} blocks at LBA {lba} reach beyond the namespace's {size} blocks")]
    OutOfRange {
        /// The first block.
        lba: u64,
        /// How many.
        blocks: u64,
        /// The size of the namespace in blocks.
        size: u64,
    },
    /// A buffer that can not be the data of a command.
    #[error("{len} bytes at {iova:#x} can not be transferred: {why}")]
    Transfer {
        /// The buffer's address for the device.
        iova: u64,
        /// Its length.
        len: u64,
        /// Why not.
        why: &'static str,
    },
    /// A data structure of the controller contradicts itself.
    #[error("{function}: bad {structure}: {reason}")]
    BadData {
        /// The function's name.
        function: String,
        /// The data structure.
        structure: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}
