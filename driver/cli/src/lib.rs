//! What the command line `azote` is made of, as a library, so that tests and the demo use the same parts.

#![forbid(unsafe_code)]

pub mod args;
pub mod card;
pub mod commands;
mod error;
pub mod image;
pub mod limit;
pub mod machine;
pub mod nbd;
pub mod number;
pub mod sim;
pub mod stop;
pub mod target;
pub mod transfer;

pub use error::{Error, Result};
pub use stop::Stop;
