//! What crosses the crates: end-to-end tests, benches and the demonstration.

#![forbid(unsafe_code)]

mod error;
pub mod callgrind;
pub mod figures;
pub mod load;
pub mod path;
pub mod processor;
pub mod rig;
pub mod soak;
pub mod tables;

pub use error::{Error, Result};
