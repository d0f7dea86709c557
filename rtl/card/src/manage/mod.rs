//! Card management: BAR2 of the trust PF, and the table that binds a storage function to a volume.

pub mod bindings;

pub use bindings::Bindings;
