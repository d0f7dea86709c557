//! Why a function cannot be served.

use std::io;

/// The result of serving.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The socket's place is somebody else's, or cannot be had.
    #[error(transparent)]
    Files(#[from] azote_files::Error),
    /// A thread or a descriptor is not to be had.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The card.
    #[error(transparent)]
    Seam(#[from] azote_seam::Error),
    /// The card has no such function.
    #[error("the card has no function {number:#04x}")]
    NoFunction {
        /// Its number.
        number: u8,
    },
}
