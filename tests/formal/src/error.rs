//! What keeps a proof from being tried.

use std::path::PathBuf;

/// Why there is no answer. An answer that says "no" is none of these.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A design that cannot be printed.
    #[error(transparent)]
    Print(#[from] azote_hdl::PrintError),
    /// A flaw that fits nowhere or in several places: the block has changed, and the flaw must follow.
    #[error("the flaw `{flaw}` is to replace a text that stands {times} times in the design: {find}")]
    Flaw {
        /// The flaw's name.
        flaw: &'static str,
        /// What is looked for.
        find: &'static str,
        /// How often it was found.
        times: usize,
    },
    /// A tool that is not there.
    #[error("cannot run {tool}: {source}; run `cargo xtask setup`")]
    Tool {
        /// Its name.
        tool: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A tool that gave up.
    #[error("{tool} gave no answer about {what}:\n{output}")]
    Failed {
        /// Its name.
        tool: &'static str,
        /// On which design.
        what: String,
        /// What it said.
        output: String,
    },
    /// A file that cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A thread that cannot be started.
    #[error("no thread with a large stack: {0}")]
    Thread(std::io::Error),
}

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
