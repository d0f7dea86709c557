//! MSI-X capability, table and pending-bit array (PCIe 7.7.2).

use crate::function::Kind;
use crate::{Field, bar};

/// Capability id.
pub const ID: u64 = 0x11;
/// Size in bytes.
pub const SIZE: u64 = 12;
/// Message Control, 16 bits.
pub const CONTROL: u64 = 0x02;
/// Table Offset and BIR.
pub const TABLE: u64 = 0x04;
/// PBA Offset and BIR.
pub const PBA: u64 = 0x08;

/// Message Control: table size, less one; read only.
pub const CONTROL_TABLE_SIZE: Field = Field::bits(10, 0);
/// Message Control: Function Mask.
pub const CONTROL_FUNCTION_MASK: Field = Field::bit(14);
/// Message Control: MSI-X Enable.
pub const CONTROL_ENABLE: Field = Field::bit(15);
/// Message Control of a function after reset.
#[must_use]
pub const fn control_reset(kind: Kind) -> u64 {
    CONTROL_TABLE_SIZE.put(bar::msix_vectors(kind) - 1)
}

/// Table and PBA registers: which BAR.
pub const BIR: Field = Field::bits(2, 0);
/// Table and PBA registers: offset in the BAR, in place.
pub const OFFSET: Field = Field::bits(31, 3);
/// Table Offset and BIR of our functions.
pub const TABLE_VALUE: u64 = bar::MSIX_TABLE | bar::BAR0;
/// PBA Offset and BIR of our functions.
pub const PBA_VALUE: u64 = bar::MSIX_PBA | bar::BAR0;

/// Size of a table entry in bytes (PCIe 7.7.2.5–8).
pub const ENTRY_SIZE: u64 = 16;
/// Table entry: Message Address, low half.
pub const ENTRY_ADDRESS_LO: u64 = 0;
/// Table entry: Message Address, high half.
pub const ENTRY_ADDRESS_HI: u64 = 4;
/// Table entry: Message Data.
pub const ENTRY_DATA: u64 = 8;
/// Table entry: Vector Control.
pub const ENTRY_CONTROL: u64 = 12;
/// Vector Control: Mask; 1 after reset.
pub const ENTRY_CONTROL_MASK: Field = Field::bit(0);

/// The offset in BAR0 of a vector's table entry.
#[must_use]
pub const fn entry(vector: u64) -> u64 {
    bar::MSIX_TABLE + vector * ENTRY_SIZE
}

const _: () = {
    assert!(BIR.of(TABLE_VALUE) == bar::BAR0 && OFFSET.mask() & TABLE_VALUE == bar::MSIX_TABLE);
    let mut kind = 0;
    while kind < bar::MSIX_VECTORS.len() {
        assert!(bar::MSIX_VECTORS[kind] * ENTRY_SIZE <= bar::PAGE_SIZE);
        kind += 1;
    }
};
