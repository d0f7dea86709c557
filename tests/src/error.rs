//! One error for programs that use everything.

use std::path::PathBuf;

/// The result of something that crosses the crates.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a bench or the demonstration could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The card's Verilog could not be printed.
    #[error("the card's RTL cannot be printed: {0}")]
    Print(#[from] azote_rtl::PrintError),
    /// The simulation.
    #[error(transparent)]
    Sim(#[from] azote_sim::Error),
    /// A function.
    #[error(transparent)]
    Seam(#[from] azote_seam::Error),
    /// The NVMe driver.
    #[error(transparent)]
    Nvme(#[from] azote_nvme::Error),
    /// The network driver.
    #[error(transparent)]
    Net(#[from] azote_net::Error),
    /// DMA memory.
    #[error(transparent)]
    Dma(#[from] azote_dma::Error),
    /// Management.
    #[error(transparent)]
    Manage(#[from] azote_manage::Error),
    /// cocotb.
    #[error(transparent)]
    Cocotb(#[from] azote_cocotb::Error),
    /// Synthesis.
    #[error(transparent)]
    Fpga(#[from] azote_fpga::Error),
    /// An output.
    #[error(transparent)]
    Files(#[from] azote_files::Error),
    /// A file.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Anything that was not as it must be.
    #[error("{0}")]
    Wrong(String),
}
