//! What can go wrong between the two ends of a socket.

use std::io;
use std::path::PathBuf;

/// The result of something over a socket.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A session that failed, or a request that was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody listens.
    #[error("{}: {source}; is the server (`azote serve`) running?", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another client has the function.
    #[error("{}: another guest has this function; end it, or take another function", path.display())]
    Busy {
        /// The socket.
        path: PathBuf,
    },
    /// The socket failed.
    #[error("vfio-user: {what}: {source}")]
    Socket {
        /// What was tried.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The other end closed the socket.
    #[error("vfio-user: the other end closed the connection")]
    Closed,
    /// The other end said nothing, or did not finish what it began.
    #[error("vfio-user: {what}: no answer within {seconds} s; the device counts as dead")]
    Silent {
        /// What was waited for.
        what: &'static str,
        /// How long.
        seconds: u64,
    },
    /// The other end sent something that the protocol does not allow.
    #[error("vfio-user: {0}")]
    Protocol(String),
    /// The other end refused.
    #[error("vfio-user: {command}: {source}")]
    Refused {
        /// The command.
        command: &'static str,
        /// Its errno.
        source: io::Error,
    },
    /// An access outside of its region; it was not sent.
    #[error("vfio-user: {len} bytes at {offset:#x} are outside of region {region}, which has {size}")]
    Range {
        /// The region's index.
        region: u32,
        /// Where.
        offset: u64,
        /// How many bytes.
        len: u64,
        /// The region's size.
        size: u64,
    },
}
