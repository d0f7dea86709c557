//! What can go wrong, and what to do about it.

use std::path::{Path, PathBuf};

/// Why a recording could not be made or replayed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cache of what was made before.
    #[error(transparent)]
    Cache(#[from] azote_verilate::Error),
    /// A file could not be read, written or moved.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program could not be started.
    #[error("cannot run {program} ({source}): run `cargo xtask setup`")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program ended badly.
    #[error("{what} failed ({status}); the end of what it said:\n{tail}")]
    Failed {
        /// What was to be done.
        what: &'static str,
        /// The exit status.
        status: String,
        /// The last lines of the program's output.
        tail: String,
    },
    /// cocotb ended well and left no figure.
    #[error("{}: {what}; if `cargo clean` does not help, another cocotb than the pinned one is at work", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl Error {
    /// Wraps an I/O error with what was tried on which path; made for `map_err`.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { what, path, source }
    }
}
