//! Alternative Routing-ID Interpretation (PCIe 7.8.7).

use crate::Field;

/// Extended capability id.
pub const ID: u64 = 0x000e;
/// Version of the structure.
pub const VERSION: u64 = 1;
/// Size in bytes.
pub const SIZE: u64 = 8;
/// ARI Capability, 16 bits.
pub const CAPABILITY: u64 = 0x04;
/// ARI Control, 16 bits; all zero here: no function groups.
pub const CONTROL: u64 = 0x06;
/// ARI Capability: Next Function Number. It links the PFs; in a VF it is undefined, and ours read 0.
pub const NEXT_FUNCTION: Field = Field::bits(15, 8);
