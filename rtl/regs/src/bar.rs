//! The BARs of every function.
//!
//! BAR0 is four pages, one subject each: a VMM can map registers and doorbells into a guest while it keeps the MSI-X pages
//! to itself, so that a doorbell never exits.

use crate::function::{self, Kind};

/// The BAR index of a function's registers.
pub const BAR0: u64 = 0;
/// Size of BAR0 of a PF and of VF BAR0.
pub const BAR0_SIZE: u64 = 0x4000;
/// The page that subjects are separated by.
pub const PAGE_SIZE: u64 = 0x1000;
/// Page 0: the engine's registers.
pub const REGISTERS: u64 = 0x0000;
/// Page 1: doorbells (NVMe) or queue notification (virtio).
pub const DOORBELLS: u64 = 0x1000;
/// Page 2: the MSI-X table.
pub const MSIX_TABLE: u64 = 0x2000;
/// Page 3: the MSI-X pending-bit array.
pub const MSIX_PBA: u64 = 0x3000;

/// The BAR index of card management, on the trust PF only (BAR0 is 64-bit and takes 0 and 1).
pub const BAR2: u64 = 2;
/// Size of the trust PF's BAR2.
pub const BAR2_SIZE: u64 = 0x1_0000;

/// MSI-X vectors of each function, by the code of its kind: a net function has one for each queue of many pairs, storage one for each
/// queue, trust one for its queue and one for changes.
pub const MSIX_VECTORS: [u64; function::KINDS as usize] = [16, 8, 2];

/// MSI-X vectors of each function of a kind.
#[must_use]
pub const fn msix_vectors(kind: Kind) -> u64 {
    MSIX_VECTORS[kind.code() as usize]
}

const _: () = {
    assert!(MSIX_PBA + PAGE_SIZE == BAR0_SIZE);
    assert!(BAR0_SIZE.is_power_of_two() && BAR2_SIZE.is_power_of_two());
};
