//! A virtio-net driver in user space (virtio 1.2 §5.1).
//!
//! It stands on the seam, by `azote-virtio`: the same code drives a real device behind VFIO, the simulated card and a model in its
//! own tests. A [`Net`] is owned by one thread. Frames are sent and received in batches that are polled; [`Net::wait`] sleeps until
//! there is something to receive. Frames are copied into buffers that stay mapped, so that a caller owes the device no memory.
//!
//! ```no_run
//! # fn f(function: std::sync::Arc<dyn azote_seam::Function>) -> azote_net::Result<()> {
//! use azote_net::{Batch, Net, Options, Packet};
//! let mut net = Net::open(function, azote_dma::Dma::new(8 << 20)?, Options::default())?;
//! net.send(0, &[Packet::from(&[0xff; 60][..])])?;
//! let mut batch = Batch::default();
//! while net.receive(0, &mut batch, 32)? == 0 {
//!     net.wait(std::time::Duration::from_secs(1))?;
//! }
//! println!("{} bytes", batch.frames()[0].bytes.len());
//! # Ok(()) }
//! ```

#![forbid(unsafe_code)]

mod control;
mod error;
mod header;
mod net;
mod options;
mod receive;
mod stats;
mod transmit;

pub use control::Coalesce;
pub use error::{Error, Result};
pub use header::{Checksum, Received, Segment, SegmentKind};
pub use net::{Link, Net};
pub use options::{Completions, Options};
pub use receive::{Batch, Frame};
pub use stats::Stats;
pub use transmit::Packet;
