//! What can go wrong with DMA memory.

use std::io;

/// The result of an operation on DMA memory.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation on DMA memory that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system did not give the memory.
    #[error("cannot get {len:#x} bytes of DMA memory ({what}): {source}")]
    Os {
        /// The system call.
        what: &'static str,
        /// How much was asked for.
        len: u64,
        /// Its answer.
        #[source]
        source: io::Error,
    },
    /// The arena has no room left.
    #[error("no {len:#x} bytes left in the {size:#x} bytes of DMA memory; use a larger arena or fewer, shorter queues")]
    Full {
        /// How much was asked for.
        len: u64,
        /// The size of the arena.
        size: u64,
    },
    /// A size or an alignment that makes no sense.
    #[error("bad DMA request: {0}")]
    Bad(&'static str),
    /// An access outside of its buffer.
    #[error("{len} bytes at {offset:#x} of a DMA buffer of {size:#x} bytes")]
    Range {
        /// Where.
        offset: u64,
        /// How much.
        len: u64,
        /// The size of the buffer.
        size: u64,
    },
    /// The function could not map or unmap the memory.
    #[error(transparent)]
    Seam(#[from] azote_seam::Error),
}
