//! The type 1 configuration header (PCIe 7.5.1.3) and what a root port adds: for the hypervisor, whose port the card sits
//! behind. Registers that it shares with type 0 stand in [`super::header`].

use crate::Field;

/// Class code of a PCI-to-PCI bridge.
pub const CLASS: u64 = 0x06_04_00;
/// Header Type of a bridge.
pub const LAYOUT: u64 = 1;
/// Primary Bus Number, 8 bits.
pub const PRIMARY_BUS: u64 = 0x18;
/// Secondary Bus Number, 8 bits.
pub const SECONDARY_BUS: u64 = 0x19;
/// Subordinate Bus Number, 8 bits.
pub const SUBORDINATE_BUS: u64 = 0x1a;
/// Memory Base, 16 bits.
pub const MEMORY_BASE: u64 = 0x20;
/// Memory Limit, 16 bits.
pub const MEMORY_LIMIT: u64 = 0x22;
/// Memory Base and Limit: address bits 31:20, in place above bit 15.
pub const MEMORY_WINDOW: Field = Field::bits(15, 4);
/// The granularity of the window.
pub const MEMORY_UNIT: u64 = 1 << 20;
/// Bridge Control, 16 bits.
pub const BRIDGE_CONTROL: u64 = 0x3e;
/// Bridge Control: Parity Error Response Enable.
pub const BRIDGE_CONTROL_PARITY: Field = Field::bit(0);
/// Bridge Control: SERR# Enable.
pub const BRIDGE_CONTROL_SERR: Field = Field::bit(1);
/// Bridge Control: Secondary Bus Reset.
pub const BRIDGE_CONTROL_RESET: Field = Field::bit(6);

/// Device/Port Type in the PCI Express capability: root port (PCIe 7.5.3.2).
pub const TYPE_ROOT_PORT: u64 = 4;
/// Device/Port Type: root complex integrated endpoint.
pub const TYPE_INTEGRATED_ENDPOINT: u64 = 9;
/// Device Capabilities 2: ARI Forwarding Supported; Device Control 2: ARI Forwarding Enable (PCIe 7.5.3.15).
pub const ARI_FORWARDING: Field = Field::bit(5);
