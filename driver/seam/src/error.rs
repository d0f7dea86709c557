//! What can go wrong on the seam.

use std::{io, time::Duration};

/// The result of an operation on the seam.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation on the seam that failed: what, where and, if a person can do something about it, what.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The function has no such BAR, or its size is zero.
    #[error("{function}: no BAR {bar}; is this the function that was meant?")]
    NoBar {
        /// The function's name.
        function: String,
        /// The BAR asked for.
        bar: usize,
    },
    /// An access outside of its region or across its end, or one that is not naturally aligned.
    #[error("{region}: {width}-byte access at {offset:#x} is outside of its {size:#x} bytes or not aligned")]
    Range {
        /// What was accessed.
        region: &'static str,
        /// Where.
        offset: u64,
        /// How many bytes.
        width: u64,
        /// The size of the region.
        size: u64,
    },
    /// The adapter has no accesses of this width.
    #[error("{width}-byte access at {offset:#x}: this way to the device has only those of four and eight bytes")]
    Width {
        /// Where.
        offset: u64,
        /// How many bytes.
        width: u64,
    },
    /// The device does not answer: every register reads as all ones.
    #[error("{function}: no answer (all ones); it was reset, disabled or removed")]
    Gone {
        /// The function's name.
        function: String,
    },
    /// Memory could not be made visible to the device.
    #[error("{function}: cannot map {len:#x} bytes for DMA at {iova:#x}: {reason}")]
    Dma {
        /// The function's name.
        function: String,
        /// The address that the device would have used.
        iova: u64,
        /// The length of the mapping.
        len: u64,
        /// Why not, and what to do.
        reason: String,
    },
    /// Interrupts could not be set up.
    #[error("{function}: cannot enable {wanted} MSI-X vectors: {reason}")]
    Interrupts {
        /// The function's name.
        function: String,
        /// The number of vectors asked for.
        wanted: u16,
        /// Why not.
        reason: String,
    },
    /// A capability that the driver needs is not there.
    #[error("{function}: no {capability} capability")]
    NoCapability {
        /// The function's name.
        function: String,
        /// The capability's name.
        capability: &'static str,
    },
    /// The configuration space contradicts itself.
    #[error("{function}: bad configuration space: {reason}")]
    BadConfig {
        /// The function's name.
        function: String,
        /// What is wrong.
        reason: String,
    },
    /// Something did not happen in time.
    #[error("{function}: {what} did not happen within {after:?}")]
    Timeout {
        /// The function's name.
        function: String,
        /// What was waited for.
        what: &'static str,
        /// How long.
        after: Duration,
    },
    /// More VFs were asked for than there are.
    #[error("{function}: {wanted} VFs asked for, the function has {total}")]
    TooManyVfs {
        /// The function's name.
        function: String,
        /// The number asked for.
        wanted: u16,
        /// TotalVFs.
        total: u16,
    },
    /// The operating system refused.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, and on what.
        what: String,
        /// Its answer.
        #[source]
        source: io::Error,
    },
    /// Anything else that the adapter's own layer reports.
    #[error("{function}: {reason}")]
    Adapter {
        /// The function's name.
        function: String,
        /// What it said.
        reason: String,
    },
}

impl Error {
    /// An operating-system error with what was tried.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }
}
