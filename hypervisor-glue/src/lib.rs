//! A thin KVM hypervisor: memory, virtual processors, a serial console, and functions passed through.
//!
//! ```text
//!   azote run, azote-vmm      a Config                   caretaker: clears up behind it
//!          │
//!   machine   puts it together, runs it, ends it ── api: a socket for commands
//!    ├─ memory, kernel, acpi     what the guest finds in its memory
//!    ├─ cpu                      a thread a virtual processor
//!    ├─ serial                   the one device that is emulated; sink: output that makes nobody wait
//!    └─ pci                      configuration space, BARs, MSI-X: pure, over traits
//!         └─ backend             VFIO, vfio-user, the simulated card in this process
//!   jail      closed behind all of it before the guest's first instruction
//! ```
//!
//! There is no emulated disk and no emulated network: the card has them.

pub mod acpi;
pub mod api;
pub mod backend;
mod caretaker;
pub mod config;
pub mod cpu;
mod descriptors;
mod error;
pub mod exits;
mod finish;
mod handover;
pub mod jail;
pub mod kernel;
mod last_will;
pub mod layout;
mod log;
pub mod machine;
pub mod memory;
pub mod pci;
pub mod serial;
pub mod signals;
mod sink;
mod stats;
mod terminal;
#[cfg(feature = "testing")]
pub mod testing;

pub use config::Config;
pub use cpu::Stop;
pub use error::{Error, Result};
pub use finish::{STATUS_INTERNAL, STATUS_JAIL, panicked, program, run_to_end};
pub use handover::{Handover, supervise};
pub use machine::run;
