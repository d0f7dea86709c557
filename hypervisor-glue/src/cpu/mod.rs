//! Virtual processors: what they say of themselves, how they start, and the loop that runs them.

pub mod cpuid;
pub(crate) mod registers;
mod run;

pub use run::{Bus, Stop, Vcpu, VcpuState, kick_signal};
