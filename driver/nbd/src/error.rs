//! Why a server cannot be used: each a line that says what, where and what to do next.

use std::io;

/// The result of this crate's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A server or an export that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is no URI of an export.
    #[error("`{uri}`: {reason}; expected nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH, percent-encoded")]
    Uri {
        /// What was given.
        uri: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody is there.
    #[error("{uri}: no server is there: {source}; start it, or correct the address (`nbdinfo` tries the same)")]
    Connect {
        /// The export.
        uri: String,
        /// What the system said.
        source: io::Error,
    },
    /// The connection ended, or what came is no NBD.
    #[error("{uri}: the server does not go on: {source}; is it an NBD server, and has it a place for one more client?")]
    Talk {
        /// The export.
        uri: String,
        /// What happened.
        source: io::Error,
    },
    /// The server speaks an older protocol.
    #[error("{uri}: the server speaks the old protocol, without exports; start it with newstyle negotiation")]
    Old {
        /// The export.
        uri: String,
    },
    /// The export is not there.
    #[error("{uri}: there is no export `{export}`; {known}")]
    NoExport {
        /// The export.
        uri: String,
        /// Its name.
        export: String,
        /// Which there are.
        known: String,
    },
    /// The server wants TLS.
    #[error(
        "{uri}: the server demands TLS, which is not spoken here; let it listen on a Unix socket without, or put a tunnel between"
    )]
    Tls {
        /// The export.
        uri: String,
    },
    /// The server refused.
    #[error("{uri}: the server refuses: {reason}")]
    Refused {
        /// The export.
        uri: String,
        /// Why.
        reason: String,
    },
    /// There is nothing to use.
    #[error("{uri}: the export has {bytes} bytes, less than one 512-byte block; make it larger")]
    Small {
        /// The export.
        uri: String,
        /// Its size.
        bytes: u64,
    },
    /// Its blocks are larger than ours.
    #[error(
        "{uri}: the server takes blocks of {least} bytes and no less, and a volume has 512; put `nbdkit --filter=blocksize` before it"
    )]
    Blocks {
        /// The export.
        uri: String,
        /// Its least.
        least: u32,
    },
    /// It is to be written and cannot be.
    #[error("{uri}: the export is read-only; add :ro to use it so")]
    ReadOnly {
        /// The export.
        uri: String,
    },
}
