//! Controller registers and doorbells (NVMe 3.1), in pages 0 and 1 of BAR0.

use super::limits;
use crate::{Field, bar};

/// Controller Capabilities, 64 bits, read only (NVMe 3.1.1).
pub const CAP: u64 = 0x00;
/// Version (NVMe 3.1.2).
pub const VS: u64 = 0x08;
/// Interrupt Mask Set; not used with MSI-X (NVMe 3.1.3).
pub const INTMS: u64 = 0x0c;
/// Interrupt Mask Clear; not used with MSI-X (NVMe 3.1.4).
pub const INTMC: u64 = 0x10;
/// Controller Configuration (NVMe 3.1.5).
pub const CC: u64 = 0x14;
/// Controller Status (NVMe 3.1.6).
pub const CSTS: u64 = 0x1c;
/// NVM Subsystem Reset; not offered: CAP.NSSRS is 0 (NVMe 3.1.7).
pub const NSSR: u64 = 0x20;
/// Admin Queue Attributes (NVMe 3.1.8).
pub const AQA: u64 = 0x24;
/// Admin Submission Queue Base Address, 64 bits (NVMe 3.1.9).
pub const ASQ: u64 = 0x28;
/// Admin Completion Queue Base Address, 64 bits (NVMe 3.1.10).
pub const ACQ: u64 = 0x30;
/// The end of the registers that are not reserved here.
pub const END: u64 = 0x38;

/// CAP: Maximum Queue Entries Supported, 0's based.
pub const CAP_MQES: Field = Field::bits(15, 0);
/// CAP: Contiguous Queues Required.
pub const CAP_CQR: Field = Field::bit(16);
/// CAP: Arbitration Mechanism Supported.
pub const CAP_AMS: Field = Field::bits(18, 17);
/// CAP: Timeout in units of 500 ms.
pub const CAP_TO: Field = Field::bits(31, 24);
/// CAP: Doorbell Stride: 2^(2 + DSTRD) bytes.
pub const CAP_DSTRD: Field = Field::bits(35, 32);
/// CAP: NVM Subsystem Reset Supported.
pub const CAP_NSSRS: Field = Field::bit(36);
/// CAP: Command Sets Supported.
pub const CAP_CSS: Field = Field::bits(44, 37);
/// CAP.CSS: the NVM command set.
pub const CAP_CSS_NVM: u64 = 1;
/// CAP: Memory Page Size Minimum: 2^(12 + MPSMIN).
pub const CAP_MPSMIN: Field = Field::bits(51, 48);
/// CAP: Memory Page Size Maximum: 2^(12 + MPSMAX).
pub const CAP_MPSMAX: Field = Field::bits(55, 52);
/// CAP of our controllers.
pub const CAP_VALUE: u64 = CAP_MQES.put(limits::MQES)
    | CAP_CQR.put(1)
    | CAP_TO.put(limits::TIMEOUT_500MS)
    | CAP_DSTRD.put(DSTRD)
    | CAP_CSS.put(CAP_CSS_NVM)
    | CAP_MPSMIN.put(limits::PAGE_SHIFT - 12)
    | CAP_MPSMAX.put(limits::PAGE_SHIFT - 12);
/// The doorbell stride of our controllers.
pub const DSTRD: u64 = 0;

/// VS: 1.4.0.
pub const VS_VALUE: u64 = 0x0001_0400;

/// CC: Enable.
pub const CC_EN: Field = Field::bit(0);
/// CC: I/O Command Set Selected; 0 is NVM.
pub const CC_CSS: Field = Field::bits(6, 4);
/// CC: Memory Page Size: 2^(12 + MPS).
pub const CC_MPS: Field = Field::bits(10, 7);
/// CC: Arbitration Mechanism Selected; 0 is round robin.
pub const CC_AMS: Field = Field::bits(13, 11);
/// CC: Shutdown Notification.
pub const CC_SHN: Field = Field::bits(15, 14);
/// CC: I/O Submission Queue Entry Size, log2.
pub const CC_IOSQES: Field = Field::bits(19, 16);
/// CC: I/O Completion Queue Entry Size, log2.
pub const CC_IOCQES: Field = Field::bits(23, 20);
/// The bits of CC that can be written; the rest are reserved and read 0.
pub const CC_WRITABLE: u64 = 0x00ff_fff1;
/// CC.SHN: no notification.
pub const SHN_NONE: u64 = 0;
/// CC.SHN: normal shutdown.
pub const SHN_NORMAL: u64 = 1;
/// CC.SHN: abrupt shutdown.
pub const SHN_ABRUPT: u64 = 2;
/// CC with which a driver enables our controllers.
pub const CC_ENABLE_VALUE: u64 = CC_EN.put(1) | CC_IOSQES.put(limits::SQE_SHIFT) | CC_IOCQES.put(limits::CQE_SHIFT);

/// CSTS: Ready.
pub const CSTS_RDY: Field = Field::bit(0);
/// CSTS: Controller Fatal Status.
pub const CSTS_CFS: Field = Field::bit(1);
/// CSTS: Shutdown Status.
pub const CSTS_SHST: Field = Field::bits(3, 2);
/// CSTS: NVM Subsystem Reset Occurred.
pub const CSTS_NSSRO: Field = Field::bit(4);
/// CSTS: Processing Paused.
pub const CSTS_PP: Field = Field::bit(5);
/// CSTS.SHST: normal operation.
pub const SHST_NORMAL: u64 = 0;
/// CSTS.SHST: shutdown processing occurring.
pub const SHST_OCCURRING: u64 = 1;
/// CSTS.SHST: shutdown processing complete.
pub const SHST_COMPLETE: u64 = 2;

/// AQA: Admin Submission Queue Size, 0's based.
pub const AQA_ASQS: Field = Field::bits(11, 0);
/// AQA: Admin Completion Queue Size, 0's based.
pub const AQA_ACQS: Field = Field::bits(27, 16);

/// A queue's base address, in place: pages only (NVMe 3.1.9).
pub const QUEUE_BASE: Field = Field::bits(63, 12);

/// The doorbell's value: the new tail or head.
pub const DOORBELL_VALUE: Field = Field::bits(15, 0);

/// Offset in BAR0 of the tail doorbell of a submission queue (NVMe 3.1.24), at stride 0.
#[must_use]
pub const fn sq_tail(qid: u64) -> u64 {
    bar::DOORBELLS + 2 * qid * (4 << DSTRD)
}

/// Offset in BAR0 of the head doorbell of a completion queue (NVMe 3.1.25), at stride 0.
#[must_use]
pub const fn cq_head(qid: u64) -> u64 {
    bar::DOORBELLS + (2 * qid + 1) * (4 << DSTRD)
}

const _: () = {
    assert!(ACQ + 8 == END);
    assert!(sq_tail(0) == 0x1000 && cq_head(0) == 0x1004 && sq_tail(1) == 0x1008);
    assert!(cq_head(limits::QUEUES - 1) < bar::DOORBELLS + bar::PAGE_SIZE);
    assert!(CC_ENABLE_VALUE == 0x0046_0001);
};
