//! Why a case of the lab could not be run, or failed.

use std::path::{Path, PathBuf};

/// The result of something in the lab.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program that was run for its effect.
    #[error("`{command}` failed: {reason}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended and what it said last.
        reason: String,
    },
    /// A piece that should have been in what was downloaded.
    #[error("{0}; remove {folder} and try again if the download was cut short", folder = crate::folder::NAME)]
    Piece(String),
    /// A case did not show what it must.
    #[error("{reason}\n    the whole console: {}", log.display())]
    Failed {
        /// The machine's own words.
        reason: String,
        /// Its console.
        log: PathBuf,
    },
    /// A case did not come to its end in its time.
    #[error("{reason}\n    the whole console: {}", log.display())]
    Late {
        /// How far it came.
        reason: String,
        /// Its console.
        log: PathBuf,
    },
    /// The emulated machine was gone from one moment to the next, and none of its programs had a part in it.
    #[error("{reason}\n    the whole console: {}", log.display())]
    Gone {
        /// What is known of it.
        reason: String,
        /// Its console.
        log: PathBuf,
    },
    /// There is no such case.
    #[error("there is no case `{0}`; `cargo xtask lab list` shows them")]
    NoCase(String),
}

impl Error {
    /// For `map_err` on what is done to a file.
    pub fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        move |source| Error::Io { what, path: path.to_owned(), source }
    }
}
