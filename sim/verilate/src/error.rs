//! What can go wrong, and what to do about it.

use std::path::{Path, PathBuf};

/// Why a model could not be built, loaded or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that a user named cannot be used as it was meant.
    #[error(transparent)]
    File(#[from] azote_files::Error),
    /// A tool is not installed.
    #[error("{tool} is not installed: run `apt-get install verilator g++` (as root), or `cargo xtask setup`")]
    ToolMissing {
        /// The program that was not found.
        tool: &'static str,
    },
    /// The gates refused the text: a warning of Verilator's is an error here.
    #[error("{top}: {count} lint gate(s) violated (the text is kept in {}):\n{report}", kept.display())]
    Gate {
        /// The top module.
        top: String,
        /// How many messages there were.
        count: usize,
        /// The messages, each with its line of Verilog.
        report: String,
        /// Where the refused text can be read.
        kept: PathBuf,
    },
    /// A tool failed for another reason than a gate.
    #[error("{tool} failed on {what} ({status}):\n{output}")]
    ToolFailed {
        /// The program.
        tool: &'static str,
        /// What it was to do.
        what: String,
        /// Its exit status.
        status: String,
        /// The end of what it said.
        output: String,
    },
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
    /// The compiled model could not be loaded.
    #[error("cannot load the compiled model {}: {source}; delete it and try again", path.display())]
    Load {
        /// The shared object.
        path: PathBuf,
        /// What the loader said.
        source: libloading::Error,
    },
    /// A file that is no model for this program and this machine.
    #[error("{}: {reason}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The description of a port is not usable.
    #[error("{top}: port `{port}`: {reason}")]
    Port {
        /// The top module.
        top: String,
        /// The port in question.
        port: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A wave file was asked of a model without waves, or could not be opened.
    #[error("cannot write waves to {}: {reason}", path.display())]
    Trace {
        /// The wave file.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
}

impl Error {
    /// Wraps an I/O error with what was tried on which path; made for `map_err`.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { what, path, source }
    }
}
