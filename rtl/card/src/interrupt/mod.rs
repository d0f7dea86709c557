//! MSI-X: tables, masks and pending bits of all functions, and the messages (PCIe 6.1.4).

pub mod msix;

pub use msix::{ControlIn, ControlOut, Msix};
