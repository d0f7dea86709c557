//! Power management capability (PM 3.2, PCIe 7.5.2); PFs only. A VF follows its PF.

use crate::Field;

/// Capability id.
pub const ID: u64 = 0x01;
/// Size in bytes.
pub const SIZE: u64 = 8;
/// Power Management Capabilities, 16 bits.
pub const PMC: u64 = 0x02;
/// Power Management Control/Status, 16 bits.
pub const PMCSR: u64 = 0x04;

/// PMC: version; 3 is PM 1.2.
pub const PMC_VERSION: Field = Field::bits(2, 0);
/// PMC of our PFs: version 3, D0 and D3hot only, no PME.
pub const PMC_VALUE: u64 = PMC_VERSION.put(3);

/// PMCSR: power state.
pub const PMCSR_STATE: Field = Field::bits(1, 0);
/// PMCSR: leaving D3hot does not reset the function. Ours is 1: only FLR and reset do.
pub const PMCSR_NO_SOFT_RESET: Field = Field::bit(3);
/// PMCSR: PME enable.
pub const PMCSR_PME_ENABLE: Field = Field::bit(8);
/// PMCSR: PME status.
pub const PMCSR_PME_STATUS: Field = Field::bit(15);
/// PMCSR after reset.
pub const PMCSR_RESET: u64 = PMCSR_NO_SOFT_RESET.put(1);

/// Power state D0.
pub const D0: u64 = 0;
/// Power state D3hot: only configuration requests are answered.
pub const D3HOT: u64 = 3;
