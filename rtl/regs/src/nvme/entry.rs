//! Queue entries: byte offsets, and fields within their 32-bit DWs (NVMe 4.2, 4.6).

use crate::Field;

/// Size of a submission queue entry.
pub const SQE_SIZE: u64 = 64;
/// Size of a completion queue entry.
pub const CQE_SIZE: u64 = 16;

/// SQE: Command Dword 0.
pub const SQE_CDW0: u64 = 0;
/// SQE: Namespace Identifier.
pub const SQE_NSID: u64 = 4;
/// SQE: Command Dword 2, reserved.
pub const SQE_CDW2: u64 = 8;
/// SQE: Metadata Pointer, 64 bits.
pub const SQE_MPTR: u64 = 16;
/// SQE: PRP Entry 1, 64 bits.
pub const SQE_PRP1: u64 = 24;
/// SQE: PRP Entry 2, 64 bits.
pub const SQE_PRP2: u64 = 32;
/// SQE: Command Dword 10; 11 to 15 follow.
pub const SQE_CDW10: u64 = 40;
/// SQE: Command Dword 11.
pub const SQE_CDW11: u64 = 44;
/// SQE: Command Dword 12.
pub const SQE_CDW12: u64 = 48;
/// SQE: Command Dword 13.
pub const SQE_CDW13: u64 = 52;
/// SQE: Command Dword 14.
pub const SQE_CDW14: u64 = 56;
/// SQE: Command Dword 15.
pub const SQE_CDW15: u64 = 60;

/// CDW0: opcode.
pub const CDW0_OPC: Field = Field::bits(7, 0);
/// CDW0: fused operation; 0 is a normal one.
pub const CDW0_FUSE: Field = Field::bits(9, 8);
/// CDW0: PRP or SGL for data transfer; 0 is PRP, the only one here.
pub const CDW0_PSDT: Field = Field::bits(15, 14);
/// CDW0: command identifier.
pub const CDW0_CID: Field = Field::bits(31, 16);

/// CQE: command-specific DW 0.
pub const CQE_DW0: u64 = 0;
/// CQE: DW 1, reserved.
pub const CQE_DW1: u64 = 4;
/// CQE: DW 2, queue head and id.
pub const CQE_DW2: u64 = 8;
/// CQE: DW 3, command id, phase and status.
pub const CQE_DW3: u64 = 12;

/// CQE DW 2: SQ Head Pointer.
pub const DW2_SQHD: Field = Field::bits(15, 0);
/// CQE DW 2: SQ Identifier.
pub const DW2_SQID: Field = Field::bits(31, 16);
/// CQE DW 3: command identifier.
pub const DW3_CID: Field = Field::bits(15, 0);
/// CQE DW 3: phase tag.
pub const DW3_PHASE: Field = Field::bit(16);
/// CQE DW 3: the whole status field, as `super::status` numbers it.
pub const DW3_STATUS: Field = Field::bits(31, 17);

/// A PRP entry's page, in place.
pub const PRP_PAGE: Field = Field::bits(63, 12);
/// A PRP entry's offset in its page; only the first of a command may have one.
pub const PRP_OFFSET: Field = Field::bits(11, 0);
/// Entries of a PRP list that fills a page.
pub const PRPS_PER_PAGE: u64 = super::limits::PAGE_SIZE / 8;

const _: () = {
    assert!(SQE_SIZE == 1 << super::limits::SQE_SHIFT && CQE_SIZE == 1 << super::limits::CQE_SHIFT);
    assert!(SQE_CDW15 + 4 == SQE_SIZE && CQE_DW3 + 4 == CQE_SIZE);
};
