//! Access Control Services (PCIe 7.7.8).
//!
//! Our functions do not send requests to each other inside the card, so no control is implemented: a capability with all
//! bits zero says just that (PCIe 6.12.1.2), and gives each function an IOMMU group of its own.

use crate::Field;

/// Extended capability id.
pub const ID: u64 = 0x000d;
/// Version of the structure.
pub const VERSION: u64 = 1;
/// Size in bytes.
pub const SIZE: u64 = 8;
/// ACS Capability, 16 bits.
pub const CAPABILITY: u64 = 0x04;
/// ACS Control, 16 bits.
pub const CONTROL: u64 = 0x06;
/// ACS Capability of our functions.
pub const CAPABILITY_VALUE: u64 = 0;

/// Capability and Control: P2P Request Redirect.
pub const REQUEST_REDIRECT: Field = Field::bit(2);
/// Capability and Control: P2P Completion Redirect.
pub const COMPLETION_REDIRECT: Field = Field::bit(3);
/// Capability and Control: P2P Egress Control.
pub const EGRESS_CONTROL: Field = Field::bit(5);
/// Capability and Control: Direct Translated P2P.
pub const DIRECT_TRANSLATED: Field = Field::bit(6);
