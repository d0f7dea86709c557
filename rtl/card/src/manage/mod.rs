//! Card management: BAR2 of the trust PF, the table that binds a storage function to a volume, and that of the net functions' ports.

pub mod bindings;
pub mod bus;
pub mod ports;
mod tables;

pub use bindings::Bindings;
pub use bus::Bus;
pub use ports::Ports;
pub use tables::Manage;
