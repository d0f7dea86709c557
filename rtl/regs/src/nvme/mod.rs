//! NVM Express 1.4: what a storage function is.

pub mod command;
pub mod controller;
pub mod entry;
pub mod identify;
pub mod limits;
pub mod log;
pub mod opcode;
pub mod status;
pub mod virtualization;
pub mod volume;
