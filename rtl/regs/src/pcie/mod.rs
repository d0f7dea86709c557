//! PCI Express: transaction-layer packets and configuration space, as our functions have them.

pub mod acs;
pub mod aer;
pub mod ari;
pub mod bridge;
pub mod capability;
pub mod dsn;
pub mod express;
pub mod header;
pub mod msix;
pub mod power;
pub mod sriov;
pub mod tlp;

/// Size of a function's configuration space in bytes (PCIe 7.2).
pub const CONFIG_SIZE: u64 = 4096;
/// Where extended configuration space begins (PCIe 7.2.2).
pub const EXTENDED: u64 = 0x100;
