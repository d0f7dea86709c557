//! What can go wrong, and what to do about it.

use std::path::{Path, PathBuf};

/// Why there is no netlist, no placement or no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A block could not be printed as Verilog.
    #[error("{0}; this is a mistake in the hardware's source: `cargo test -p azote-rtl` says more")]
    Print(#[from] azote_hdl::PrintError),
    /// The folder of what was made before.
    #[error(transparent)]
    Cache(#[from] azote_verilate::Error),
    /// A file that was to be replaced.
    #[error(transparent)]
    Files(#[from] azote_files::Error),
    /// A program is not installed.
    #[error("{program} is not installed: run `{remedy}`")]
    Missing {
        /// The program that was not found.
        program: String,
        /// What installs it.
        remedy: &'static str,
    },
    /// A program ended badly.
    #[error("{program} failed on {what} ({status}); the end of {}:\n{tail}", log.display())]
    Failed {
        /// The program.
        program: String,
        /// What it was to do.
        what: String,
        /// Its exit status.
        status: String,
        /// Where all that it said is kept.
        log: PathBuf,
        /// The last lines of that.
        tail: String,
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
    /// A program wrote a file that is not what it should be.
    #[error("{}: {what}; delete the folder and run the command again, and if that does not help, the tool's version has changed its format", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected.
        what: String,
    },
    /// The core is larger than the device.
    #[error(
        "the core needs {used} {what} of {} {have}: make it smaller, or choose a larger device in fpga/src/device.rs",
        crate::device::NAME
    )]
    TooLarge {
        /// What there is too little of.
        what: &'static str,
        /// How many the core needs.
        used: u64,
        /// How many there are.
        have: u64,
    },
    /// The core is slower than what is asked of it.
    #[error("{fmax:.1} MHz, and {asked:.0} are asked: put a register into the first of the paths above")]
    TooSlow {
        /// What was reached, in MHz.
        fmax: f64,
        /// What is asked, in MHz.
        asked: f64,
    },
}

impl Error {
    /// Wraps an I/O error with what was tried on which path; made for `map_err`.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { what, path, source }
    }

    /// A file that is not what it should be; made for `map_err` and `ok_or_else`.
    pub(crate) fn format(path: &Path, what: impl std::fmt::Display) -> Error {
        Error::Format { path: path.to_owned(), what: what.to_string() }
    }
}
