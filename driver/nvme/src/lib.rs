//! An NVMe driver in user space.
//!
//! It stands on the seam (`azote_seam`), so the same code drives a real controller behind VFIO, the simulated card and a
//! model in its own tests; nothing in it is `unsafe`, and nothing that a controller does is trusted: what it completes must
//! be in flight, where it says its queue heads are must exist, and whatever it does not do in time is aborted or ends in a
//! controller reset.
//!
//! A [`Controller`] is owned by one thread. I/O is asynchronous underneath ([`Controller::submit`], [`Controller::poll`],
//! [`Controller::wait`]) with as much in flight as a queue holds, and the hot path allocates nothing; the plain calls
//! ([`Controller::read`], …) are one submission and one wait.
//!
//! ```no_run
//! # fn f(function: std::sync::Arc<dyn azote_seam::Function>) -> azote_nvme::Result<()> {
//! use azote_nvme::{Controller, Options};
//! let dma = azote_dma::Dma::new(4 << 20)?;
//! let mut nvme = Controller::open(function, dma, Options::default())?;
//! let buffer = nvme.dma().alloc(4096, 4096)?;
//! nvme.read(0, buffer.whole())?;
//! # Ok(()) }
//! ```

#![forbid(unsafe_code)]

mod admin;
mod command;
mod controller;
mod entry;
mod error;
mod identify;
mod io;
mod log;
mod options;
mod prp;
mod queue;
mod recovery;
mod status;
mod volume;

pub use controller::Controller;
pub use error::{Error, Result};
pub use identify::{Descriptor, Identity, Namespace};
pub use io::{Command, Completion, Data, Failure, Io, Range};
pub use log::{Event, FirmwareLog, LoggedError, SmartLog};
pub use options::{Completions, Options};
pub use status::Status;
pub use volume::{Bin, VolumeLog};
