//! What our controllers can do: the numbers that the RTL is sized by and that Identify, CAP and Get Features report.

/// Queue ids of a function: the admin queue and the I/O queues.
pub const QUEUES: u64 = 8;
/// I/O queue pairs of a function.
pub const IO_QUEUES: u64 = QUEUES - 1;
/// CAP.MQES, 0's based: the largest queue has one entry more.
pub const MQES: u64 = 1023;
/// Entries of the largest I/O queue.
pub const MAX_QUEUE_ENTRIES: u64 = MQES + 1;
/// Entries of the largest admin queue (NVMe 3.1.8: AQA.ASQS is twelve bits).
pub const MAX_ADMIN_ENTRIES: u64 = 4096;
/// log2 of the only memory page size.
pub const PAGE_SHIFT: u64 = 12;
/// The only memory page size (CC.MPS = 0).
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;
/// Maximum Data Transfer Size: 2^MDTS pages.
pub const MDTS: u64 = 5;
/// The same in bytes.
pub const MAX_TRANSFER: u64 = PAGE_SIZE << MDTS;
/// log2 of the logical block size of LBA format 0, in which the card counts inside.
pub const LBA_SHIFT: u64 = 9;
/// log2 of the logical block size of LBA format 1.
pub const BIG_LBA_SHIFT: u64 = 12;
/// By how much a block of LBA format 1 is larger than one of format 0, log2.
pub const BIG_SHIFT: u64 = BIG_LBA_SHIFT - LBA_SHIFT;
/// LBA formats: 512 bytes and 4 KiB.
pub const FORMATS: u64 = 2;
/// The logical block size of LBA format 0.
pub const LBA_SIZE: u64 = 1 << LBA_SHIFT;
/// Blocks of the largest transfer.
pub const MAX_BLOCKS: u64 = MAX_TRANSFER / LBA_SIZE;
/// Asynchronous Event Request Limit, 0's based.
pub const AERL: u64 = 3;
/// Abort Command Limit, 0's based.
pub const ACL: u64 = 3;
/// The composite temperature in kelvin: there is no sensor, and the specification wants a value.
pub const TEMPERATURE: u64 = 300;
/// The temperature in kelvin over which the card warns, unless the host says otherwise.
pub const TEMPERATURE_WARNING: u64 = 353;
/// The number of namespaces of a controller.
pub const NAMESPACES: u64 = 1;
/// The namespace.
pub const NSID: u64 = 1;
/// "Every namespace" in a command.
pub const NSID_ALL: u64 = 0xffff_ffff;
/// log2 of the size of a submission queue entry.
pub const SQE_SHIFT: u64 = 6;
/// log2 of the size of a completion queue entry.
pub const CQE_SHIFT: u64 = 4;
/// CAP.TO: the longest time that CSTS.RDY takes to follow CC.EN, in units of 500 ms.
pub const TIMEOUT_500MS: u64 = 2;

const _: () = {
    assert!(MAX_TRANSFER == 128 * 1024);
    assert!(QUEUES <= crate::bar::msix_vectors(crate::function::Kind::Storage));
};
