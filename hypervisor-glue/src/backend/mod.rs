//! Devices to pass through, by where they come from.

pub mod vfio;
