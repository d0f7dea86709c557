//! The seam between a driver and its device.
//!
//! A driver of ours is written once, on [`Function`] and [`Mmio`], and runs unchanged on a real function behind VFIO, on
//! the simulated card in the same process, and on a mock made of memory. What differs between those is exactly what the
//! traits carry: how a register is reached, how memory is shown to the device, how an interrupt arrives, and what it
//! means to wait.
//!
//! # Waiting
//! On real hardware a device works while the driver spins. The simulated card only moves when somebody clocks it, and to
//! get the same result every time it must be the waiting driver itself that does so. Hence two rules:
//! - a polling loop calls [`Function::relax`] each time round: a spin hint there, a batch of clocks here;
//! - time-outs are measured by [`Function::now`], never by the wall clock. `relax` and [`Vector::wait`] always move it
//!   forward, even when the device is dead, so that every wait ends.
//!
//! [`poll_until`] is such a loop.
//!
//! # Order of memory
//! A driver puts a `Release` fence between the writing of DMA memory and the register write that tells of it, and an
//! `Acquire` fence between seeing a device's flag and reading what it announces. An adapter does what else its bus needs.

#![forbid(unsafe_code)]

mod config;
mod error;
mod function;
#[cfg(any(test, feature = "mock"))]
pub mod mock;
pub mod sriov;

pub use config::{Capabilities, Capability, enable_bus_master, set_command};
pub use error::{Error, Result};
pub use function::{Function, Mmio, Vector, Width, check_range, poll_until};
