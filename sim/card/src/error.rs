//! What can go wrong in setting up a simulated card, or in asking it something.

use std::path::PathBuf;

use azote_tlp::{Rid, Status};

/// A failure of the simulation itself, or of its set-up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model could not be built or loaded.
    #[error(transparent)]
    Build(#[from] azote_verilate::Error),
    /// The compiled model has not the calls that this crate's shim gives it.
    #[error("cannot use the compiled model {}: {source}; delete it and try again", path.display())]
    Load {
        /// The shared object.
        path: PathBuf,
        /// What the loader said.
        source: libloading::Error,
    },
    /// Waves cannot be written.
    #[error("cannot write waves to {}: {reason}", path.display())]
    Trace {
        /// The wave file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A file that a user named cannot be used as it was meant.
    #[error(transparent)]
    File(#[from] azote_files::Error),
    /// A file cannot be used.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of frames cannot be used.
    #[error("{}: {reason}; {hint}", path.display())]
    Frames {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What to give instead.
        hint: &'static str,
    },
    /// A TAP device cannot be had.
    #[error("tap device `{name}`: {source}; {hint}")]
    Tap {
        /// Its name.
        name: String,
        /// What the system said.
        source: std::io::Error,
        /// What to do about it.
        hint: String,
    },
    /// Memory for DMA cannot be had.
    #[error("cannot {what} {len:#x} bytes of DMA memory: {source}")]
    Memory {
        /// What was tried.
        what: &'static str,
        /// How much.
        len: u64,
        /// What the system said.
        source: std::io::Error,
    },
    /// A mapping that cannot be.
    #[error("cannot map {len:#x} bytes at {iova:#x} for {}: {reason}", whom(*function))]
    Map {
        /// The function that was to see it; `None` for all.
        function: Option<u8>,
        /// Where.
        iova: u64,
        /// How much.
        len: u64,
        /// Why not.
        reason: &'static str,
    },
    /// A volume could not be made durable.
    #[error("what was written to a volume could not be made durable: {0}")]
    Sync(std::io::Error),
    /// A volume's file that cannot be one.
    #[error("volume {volume}: {}: {reason}", path.display())]
    Volume {
        /// The volume's number.
        volume: u8,
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Enumeration found something that an operating system would not accept.
    #[error("enumeration: {function}: {reason}")]
    Enumerate {
        /// Which function.
        function: Rid,
        /// What is wrong.
        reason: String,
    },
    /// A request during enumeration that got no good answer.
    #[error("{what} of {function}: {source}")]
    Request {
        /// What was asked.
        what: String,
        /// Of which function.
        function: Rid,
        /// The answer.
        source: RequestError,
    },
}

fn whom(function: Option<u8>) -> String {
    function.map_or("all functions".into(), |f| format!("function {f:#04x}"))
}

/// Why a request of the host's was not answered with success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The completion says so.
    #[error("completed with {0}")]
    Status(Status),
    /// The completion's data is marked as bad.
    #[error("completed with poisoned data")]
    Poisoned,
    /// No completion came.
    #[error("no completion within {0} clocks")]
    Timeout(u64),
    /// The completions do not make up the answer; the checker has the reason.
    #[error("completed with something that is no answer to it")]
    Nonsense,
    /// All 256 tags are taken by requests that were never answered.
    #[error("no free tag: 256 requests before it were never answered")]
    NoTag,
}
