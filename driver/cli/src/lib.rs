//! What the command line `azote` is made of, as a library, so that tests and the demo use the same parts.

#![forbid(unsafe_code)]

mod error;
pub mod nbd;

pub use error::{Error, Result};
