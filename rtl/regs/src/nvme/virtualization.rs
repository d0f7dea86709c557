//! Virtualization enhancements (NVMe 1.4 §5.22, §8.5): what a primary controller gives its secondary controllers.

use crate::Field;

/// Opcode of Virtualization Management, an admin command.
pub const OPCODE: u64 = 0x1c;

/// Identify CNS: Primary Controller Capabilities (NVMe 1.4 §5.15.2.12).
pub const CNS_PRIMARY: u64 = 0x14;
/// Identify CNS: Secondary Controller List (NVMe 1.4 §5.15.2.13).
pub const CNS_SECONDARY: u64 = 0x15;

/// Identify Controller, OACS: Virtualization Management is supported.
pub const OACS_SUPPORTED: Field = Field::bit(7);

/// The identifier of our primary controller: the number of its function, as every controller's is.
pub const PRIMARY_ID: u64 = crate::function::STORAGE;

/// CDW10: action.
pub const ACT: Field = Field::bits(3, 0);
/// CDW10: resource type.
pub const RT: Field = Field::bits(10, 8);
/// CDW10: controller identifier.
pub const CNTLID: Field = Field::bits(31, 16);
/// CDW11: number of controller resources.
pub const NR: Field = Field::bits(15, 0);

/// Action: Primary Controller Flexible Allocation; takes effect at the controller's next reset.
pub const PRIMARY_FLEXIBLE: u64 = 1;
/// Action: Secondary Controller Offline.
pub const OFFLINE: u64 = 7;
/// Action: Secondary Controller Assign.
pub const ASSIGN: u64 = 8;
/// Action: Secondary Controller Online.
pub const ONLINE: u64 = 9;

/// Resource type: queues (VQ).
pub const VQ: u64 = 0;
/// Resource type: interrupts (VI).
pub const VI: u64 = 1;

/// Offsets in the Primary Controller Capabilities Structure.
pub mod primary {
    /// Controller identifier, two bytes.
    pub const CNTLID: usize = 0;
    /// VQ Resources Flexible Total (VQFRT), four bytes.
    pub const VQFRT: usize = 32;
    /// VQ Flexible Resources Allocated to Primary (VQRFAP), two bytes.
    pub const VQRFAP: usize = 40;
    /// VQ Resources Private Total (VQPRT), two bytes.
    pub const VQPRT: usize = 42;
    /// VQ Resources Flexible Size Maximum for one secondary (VQFRSM), two bytes.
    pub const VQFRSM: usize = 44;
    /// VI Resources Flexible Total (VIFRT), four bytes.
    pub const VIFRT: usize = 64;
    /// VI Flexible Resources Allocated to Primary (VIRFAP), two bytes.
    pub const VIRFAP: usize = 72;
    /// VI Resources Private Total (VIPRT), two bytes.
    pub const VIPRT: usize = 74;
    /// VI Resources Flexible Size Maximum for one secondary (VIFRSM), two bytes.
    pub const VIFRSM: usize = 76;
}

/// Offsets in the Secondary Controller List and its entries.
pub mod secondary {
    /// Number of entries, one byte.
    pub const COUNT: usize = 0;
    /// The first entry.
    pub const FIRST: usize = 32;
    /// Bytes of an entry.
    pub const ENTRY: usize = 32;
    /// In an entry: Secondary Controller Identifier, two bytes.
    pub const SCID: usize = 0;
    /// In an entry: Primary Controller Identifier, two bytes.
    pub const PCID: usize = 2;
    /// In an entry: Secondary Controller State, bit 0: online.
    pub const STATE: usize = 4;
    /// In an entry: Virtual Function Number, two bytes; 1 is the first VF.
    pub const VFN: usize = 8;
    /// In an entry: Number of VQ Flexible Resources Assigned, two bytes.
    pub const NVQ: usize = 10;
    /// In an entry: Number of VI Flexible Resources Assigned, two bytes.
    pub const NVI: usize = 12;
}
