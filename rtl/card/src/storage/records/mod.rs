//! What is told of commands afterwards, in log pages.

pub mod counters;
pub mod errors;
pub mod volume;
pub mod wipe;
