//! Devices to pass through, by where they come from.

pub mod card;
mod mapping;
pub mod user;
pub mod vfio;
