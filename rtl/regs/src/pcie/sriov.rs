//! Single Root I/O Virtualization (PCIe 9.3.3), PFs only.

use crate::Field;

/// Extended capability id.
pub const ID: u64 = 0x0010;
/// Version of the structure.
pub const VERSION: u64 = 1;
/// Size in bytes.
pub const SIZE: u64 = 0x40;
/// SR-IOV Capabilities.
pub const CAPABILITIES: u64 = 0x04;
/// SR-IOV Control, 16 bits.
pub const CONTROL: u64 = 0x08;
/// SR-IOV Status, 16 bits.
pub const STATUS: u64 = 0x0a;
/// InitialVFs, 16 bits.
pub const INITIAL_VFS: u64 = 0x0c;
/// TotalVFs, 16 bits.
pub const TOTAL_VFS: u64 = 0x0e;
/// NumVFs, 16 bits; may only change while VF Enable is 0 (PCIe 9.3.3.7).
pub const NUM_VFS: u64 = 0x10;
/// Function Dependency Link, 8 bits: the PF itself, each PF stands alone.
pub const DEPENDENCY: u64 = 0x12;
/// First VF Offset, 16 bits.
pub const FIRST_VF_OFFSET: u64 = 0x14;
/// VF Stride, 16 bits.
pub const VF_STRIDE: u64 = 0x16;
/// VF Device ID, 16 bits.
pub const VF_DEVICE_ID: u64 = 0x1a;
/// Supported Page Sizes: bit *n* is 2^(*n* + 12) bytes.
pub const SUPPORTED_PAGE_SIZES: u64 = 0x1c;
/// System Page Size.
pub const SYSTEM_PAGE_SIZE: u64 = 0x20;
/// VF BAR0; the others follow, 4 bytes each.
pub const VF_BAR0: u64 = 0x24;
/// VF Migration State Array Offset; zero: no migration.
pub const MIGRATION: u64 = 0x3c;

/// Capabilities: ARI Capable Hierarchy Preserved over power state changes.
pub const CAPABILITIES_ARI_PRESERVED: Field = Field::bit(1);

/// Control: VF Enable.
pub const CONTROL_VF_ENABLE: Field = Field::bit(0);
/// Control: VF Memory Space Enable.
pub const CONTROL_VF_MSE: Field = Field::bit(3);
/// Control: ARI Capable Hierarchy; writable in the lowest-numbered PF only.
pub const CONTROL_ARI: Field = Field::bit(4);

/// The page sizes that every PF must support: 4 KiB, 8 KiB, 64 KiB, 256 KiB, 1 MiB, 4 MiB (PCIe 9.3.3.12).
pub const SUPPORTED_PAGE_SIZES_VALUE: u64 = 0x553;
/// System Page Size after reset: 4 KiB. A larger one enlarges each VF's BAR aperture to a page.
pub const SYSTEM_PAGE_SIZE_RESET: u64 = 0x1;

/// How long software waits after it sets VF Enable before it touches a VF, in milliseconds (PCIe 9.3.3.3.1).
pub const VF_ENABLE_WAIT_MS: u64 = 100;

const _: () = assert!(VF_BAR0 + 6 * 4 == MIGRATION && MIGRATION + 4 == SIZE);
