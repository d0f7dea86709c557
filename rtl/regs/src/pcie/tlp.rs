//! Transaction-layer packet headers (PCIe 2.2). Fields are numbered in header DWs as the specification draws them: byte 0 of
//! the header is bits 31:24 of DW 0.

use crate::Field;

/// DW 0: format (PCIe 2.2.1, table 2-2).
pub const FMT: Field = Field::bits(31, 29);
/// DW 0: type (PCIe 2.2.1, table 2-3).
pub const TYPE: Field = Field::bits(28, 24);
/// DW 0: Fmt and Type together, the code that tells packets apart.
pub const FMT_TYPE: Field = Field::bits(31, 24);
/// DW 0: tag bit 9 of a 10-bit tag (PCIe 2.2.6.2).
pub const TAG9: Field = Field::bit(23);
/// DW 0: traffic class (PCIe 2.2.6.6).
pub const TC: Field = Field::bits(22, 20);
/// DW 0: tag bit 8 of a 10-bit tag.
pub const TAG8: Field = Field::bit(19);
/// DW 0: attribute 2, ID-based ordering (PCIe 2.2.6.3).
pub const ATTR_IDO: Field = Field::bit(18);
/// DW 0: TLP processing hints present (PCIe 2.2.7.1).
pub const TH: Field = Field::bit(16);
/// DW 0: a TLP digest follows (PCIe 2.2.3).
pub const TD: Field = Field::bit(15);
/// DW 0: the payload is poisoned (PCIe 2.7.2).
pub const EP: Field = Field::bit(14);
/// DW 0: attribute 1:0, relaxed ordering and no snoop (PCIe 2.2.6.3).
pub const ATTR: Field = Field::bits(13, 12);
/// DW 0: address type (PCIe 2.2.4.1, chapter 10).
pub const AT: Field = Field::bits(11, 10);
/// DW 0: payload or request length in DWs, 0 means 1024 (PCIe 2.2.2).
pub const LENGTH: Field = Field::bits(9, 0);

/// DW 1 of a request, DW 2 of a completion: requester ID (PCIe 2.2.6.2).
pub const REQUESTER_ID: Field = Field::bits(31, 16);
/// DW 1 of a request, DW 2 of a completion: tag bits 7:0.
pub const TAG: Field = Field::bits(15, 8);
/// DW 1 of a request: byte enables of the last DW (PCIe 2.2.5).
pub const LAST_BE: Field = Field::bits(7, 4);
/// DW 1 of a request: byte enables of the first DW.
pub const FIRST_BE: Field = Field::bits(3, 0);

/// DW 2 (32-bit address) or DW 3 (64-bit): address bits 31:2, in place (PCIe 2.2.4.1).
pub const ADDRESS: Field = Field::bits(31, 2);
/// The same DW: processing hint.
pub const PH: Field = Field::bits(1, 0);

/// An ID: bus number.
pub const ID_BUS: Field = Field::bits(15, 8);
/// An ID: function number of an ARI device (PCIe 6.13).
pub const ID_ARI_FUNCTION: Field = Field::bits(7, 0);

/// DW 2 of a configuration request: bus number (PCIe 2.2.7.2).
pub const CFG_BUS: Field = Field::bits(31, 24);
/// DW 2 of a configuration request: ARI function number, or device and function.
pub const CFG_FUNCTION: Field = Field::bits(23, 16);
/// DW 2 of a configuration request: register offset in bytes, `{Extended Register Number, Register Number, 00}`.
pub const CFG_OFFSET: Field = Field::bits(11, 0);

/// DW 1 of a message: message code (PCIe 2.2.8).
pub const MESSAGE_CODE: Field = Field::bits(7, 0);

/// DW 1 of a completion: completer ID (PCIe 2.2.9).
pub const COMPLETER_ID: Field = Field::bits(31, 16);
/// DW 1 of a completion: status.
pub const STATUS: Field = Field::bits(15, 13);
/// DW 1 of a completion: byte count modified; zero from a PCIe completer.
pub const BCM: Field = Field::bit(12);
/// DW 1 of a completion: bytes left for the request, this packet's included; 0 means 4096.
pub const BYTE_COUNT: Field = Field::bits(11, 0);
/// DW 2 of a completion: byte address of the first enabled byte, bits 6:0.
pub const LOWER_ADDRESS: Field = Field::bits(6, 0);

/// Fmt: 3-DW header without data (PCIe table 2-2).
pub const FMT_3DW: u64 = 0b000;
/// Fmt: 4-DW header without data.
pub const FMT_4DW: u64 = 0b001;
/// Fmt: 3-DW header with data.
pub const FMT_3DW_DATA: u64 = 0b010;
/// Fmt: 4-DW header with data.
pub const FMT_4DW_DATA: u64 = 0b011;
/// Fmt: a TLP prefix.
pub const FMT_PREFIX: u64 = 0b100;
/// Fmt bit: the header has four DWs.
pub const FMT_BIT_4DW: Field = Field::bit(29);
/// Fmt bit: data follows.
pub const FMT_BIT_DATA: Field = Field::bit(30);

/// Type: memory (PCIe table 2-3).
pub const TYPE_MEM: u64 = 0b0_0000;
/// Type: locked memory read.
pub const TYPE_MEM_LOCKED: u64 = 0b0_0001;
/// Type: I/O.
pub const TYPE_IO: u64 = 0b0_0010;
/// Type: configuration, type 0.
pub const TYPE_CFG0: u64 = 0b0_0100;
/// Type: configuration, type 1.
pub const TYPE_CFG1: u64 = 0b0_0101;
/// Type: completion.
pub const TYPE_CPL: u64 = 0b0_1010;
/// Type: completion of a locked read.
pub const TYPE_CPL_LOCKED: u64 = 0b0_1011;
/// Type: FetchAdd AtomicOp.
pub const TYPE_FETCH_ADD: u64 = 0b0_1100;
/// Type: Swap AtomicOp.
pub const TYPE_SWAP: u64 = 0b0_1101;
/// Type: CAS AtomicOp.
pub const TYPE_CAS: u64 = 0b0_1110;
/// Type: message; the low three bits are the routing.
pub const TYPE_MSG: u64 = 0b1_0000;
/// Message routing: to the root complex (PCIe table 2-17).
pub const ROUTE_TO_ROOT: u64 = 0b000;
/// Message routing: by address.
pub const ROUTE_BY_ADDRESS: u64 = 0b001;
/// Message routing: by ID.
pub const ROUTE_BY_ID: u64 = 0b010;
/// Message routing: broadcast from the root complex.
pub const ROUTE_BROADCAST: u64 = 0b011;
/// Message routing: ends at the receiver.
pub const ROUTE_LOCAL: u64 = 0b100;

/// Fmt and Type: memory read, 32-bit address.
pub const MRD32: u64 = FMT_3DW << 5 | TYPE_MEM;
/// Fmt and Type: memory read, 64-bit address.
pub const MRD64: u64 = FMT_4DW << 5 | TYPE_MEM;
/// Fmt and Type: locked memory read, 32-bit address.
pub const MRDLK32: u64 = FMT_3DW << 5 | TYPE_MEM_LOCKED;
/// Fmt and Type: locked memory read, 64-bit address.
pub const MRDLK64: u64 = FMT_4DW << 5 | TYPE_MEM_LOCKED;
/// Fmt and Type: memory write, 32-bit address.
pub const MWR32: u64 = FMT_3DW_DATA << 5 | TYPE_MEM;
/// Fmt and Type: memory write, 64-bit address.
pub const MWR64: u64 = FMT_4DW_DATA << 5 | TYPE_MEM;
/// Fmt and Type: I/O read.
pub const IORD: u64 = FMT_3DW << 5 | TYPE_IO;
/// Fmt and Type: I/O write.
pub const IOWR: u64 = FMT_3DW_DATA << 5 | TYPE_IO;
/// Fmt and Type: configuration read, type 0.
pub const CFGRD0: u64 = FMT_3DW << 5 | TYPE_CFG0;
/// Fmt and Type: configuration write, type 0.
pub const CFGWR0: u64 = FMT_3DW_DATA << 5 | TYPE_CFG0;
/// Fmt and Type: configuration read, type 1.
pub const CFGRD1: u64 = FMT_3DW << 5 | TYPE_CFG1;
/// Fmt and Type: configuration write, type 1.
pub const CFGWR1: u64 = FMT_3DW_DATA << 5 | TYPE_CFG1;
/// Fmt and Type: completion without data.
pub const CPL: u64 = FMT_3DW << 5 | TYPE_CPL;
/// Fmt and Type: completion with data.
pub const CPLD: u64 = FMT_3DW_DATA << 5 | TYPE_CPL;
/// Fmt and Type: locked completion without data.
pub const CPLLK: u64 = FMT_3DW << 5 | TYPE_CPL_LOCKED;
/// Fmt and Type: locked completion with data.
pub const CPLDLK: u64 = FMT_3DW_DATA << 5 | TYPE_CPL_LOCKED;
/// Fmt and Type: message without data, routing to be added.
pub const MSG: u64 = FMT_4DW << 5 | TYPE_MSG;
/// Fmt and Type: message with data, routing to be added.
pub const MSGD: u64 = FMT_4DW_DATA << 5 | TYPE_MSG;

/// Completion status: successful completion (PCIe 2.2.9, table 2-34).
pub const SC: u64 = 0b000;
/// Completion status: unsupported request.
pub const UR: u64 = 0b001;
/// Completion status: configuration request retry.
pub const CRS: u64 = 0b010;
/// Completion status: completer abort.
pub const CA: u64 = 0b100;

/// Message code: PM_PME (PCIe 2.2.8.2).
pub const MSG_PM_PME: u64 = 0x18;
/// Message code: PME_Turn_Off.
pub const MSG_PME_TURN_OFF: u64 = 0x19;
/// Message code: PME_TO_Ack.
pub const MSG_PME_TO_ACK: u64 = 0x1b;
/// Message code: correctable error (PCIe 2.2.8.3).
pub const MSG_ERR_COR: u64 = 0x30;
/// Message code: non-fatal error.
pub const MSG_ERR_NONFATAL: u64 = 0x31;
/// Message code: fatal error.
pub const MSG_ERR_FATAL: u64 = 0x33;
/// Message code: Set_Slot_Power_Limit (PCIe 2.2.8.5).
pub const MSG_SET_SLOT_POWER_LIMIT: u64 = 0x50;
/// Message code: Vendor_Defined Type 0; a receiver that does not know it reports UR (PCIe 2.2.8.6).
pub const MSG_VENDOR_0: u64 = 0x7e;
/// Message code: Vendor_Defined Type 1; a receiver that does not know it drops it silently.
pub const MSG_VENDOR_1: u64 = 0x7f;

/// The largest payload that any TLP can have, in DWs.
pub const MAX_LENGTH: u64 = 1024;
/// Memory requests must not cross a boundary of this many bytes (PCIe 2.2.7).
pub const BOUNDARY: u64 = 4096;
/// Read completion boundary of a root complex, the least it can be (PCIe 2.3.1.1).
pub const RCB: u64 = 64;

const _: () = {
    assert!(MRD32 == 0x00 && MRD64 == 0x20 && MWR32 == 0x40 && MWR64 == 0x60);
    assert!(CFGRD0 == 0x04 && CFGWR0 == 0x44 && CPL == 0x0a && CPLD == 0x4a);
    assert!(MSG == 0x30 && MSGD == 0x70);
};
