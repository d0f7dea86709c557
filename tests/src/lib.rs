//! What crosses the crates: end-to-end tests, benches and the demonstration.

#![forbid(unsafe_code)]

pub mod callgrind;
mod error;
pub mod figures;
pub mod load;
pub mod path;
pub mod processor;
pub mod rig;
pub mod soak;
pub mod tables;
pub mod twin;

pub use error::{Error, Result};
