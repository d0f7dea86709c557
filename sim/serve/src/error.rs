//! Why a function cannot be served.

use std::io;
use std::path::PathBuf;

/// The result of serving.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The socket's name is taken by a server that is alive.
    #[error("{}: another server listens there; stop it or choose another folder", path.display())]
    Busy {
        /// The socket.
        path: PathBuf,
    },
    /// The socket cannot be made.
    #[error("{}: cannot listen: {source}", path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
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
