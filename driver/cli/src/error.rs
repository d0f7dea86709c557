//! What ends a command, and the exit status for it.

use std::{io, path::PathBuf, process::ExitCode};

/// The result of a command.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A command that failed. Each is one line for a person: what, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that is to be read can not be.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A file that is no disk image.
    #[error("{}: {reason}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The card has no such function.
    #[error("no function {target}: {known}")]
    NoFunction {
        /// What was asked for.
        target: String,
        /// What there is.
        known: String,
    },
    /// The arguments contradict each other or the card.
    #[error("{0}")]
    Usage(String),
    /// Another process has the address.
    #[error("{address}: already in use; stop the other server or choose another address with --listen")]
    Busy {
        /// The address.
        address: String,
    },
    /// The address can not be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A file that the user named can not be used as it was meant.
    #[error(transparent)]
    Files(#[from] azote_files::Error),
    /// A server that cannot back a volume.
    #[error(transparent)]
    Nbd(#[from] azote_nbd::Error),
    /// Virtual functions.
    #[error(transparent)]
    Vf(#[from] azote_vf::Error),
    /// A machine that can not be handed over to the hypervisor.
    #[error(transparent)]
    Hypervisor(#[from] azote_hypervisor::Error),
    /// Serving.
    #[error(transparent)]
    Serve(#[from] azote_serve::Error),
    /// An operating-system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The simulated card could not be made.
    #[error("simulated card: {0}")]
    Simulation(String),
    /// A command of a long transfer failed.
    #[error("at LBA {lba}: {failure}")]
    Transfer {
        /// The first block of the command.
        lba: u64,
        /// What ended it.
        failure: azote_nvme::Failure,
    },
    /// A function could not be driven.
    #[error(transparent)]
    Nvme(#[from] azote_nvme::Error),
    /// A net function could not be driven.
    #[error(transparent)]
    Net(#[from] azote_net::Error),
    /// Nobody has answered.
    #[error("no answer from {address}")]
    NoAnswer {
        /// Who was asked.
        address: std::net::Ipv4Addr,
    },
    /// The card could not be managed.
    #[error(transparent)]
    Manage(#[from] azote_manage::Error),
    /// The seam failed.
    #[error(transparent)]
    Seam(#[from] azote_seam::Error),
    /// There is no memory for DMA.
    #[error(transparent)]
    Dma(#[from] azote_dma::Error),
    /// This program contradicts itself.
    #[error("internal error: {0}; please report it")]
    Bug(&'static str),
}

impl Error {
    /// The exit status: 2 for what the command line got wrong, as clap has it, 1 for everything else.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) | Self::NoFunction { .. } | Self::Hypervisor(azote_hypervisor::Error::NotText { .. }) => {
                ExitCode::from(2)
            }
            _ => ExitCode::FAILURE,
        }
    }
}
