//! The command DWs 10 to 15 of each command, and the result DW of those that return one.

use crate::Field;

/// Create and Delete Queue, CDW10: queue identifier (NVMe 5.3).
pub const QUEUE_QID: Field = Field::bits(15, 0);
/// Create Queue, CDW10: size, 0's based.
pub const QUEUE_SIZE: Field = Field::bits(31, 16);
/// Create Queue, CDW11: physically contiguous.
pub const QUEUE_PC: Field = Field::bit(0);
/// Create Completion Queue, CDW11: interrupts enabled.
pub const CQ_IEN: Field = Field::bit(1);
/// Create Completion Queue, CDW11: interrupt vector.
pub const CQ_IV: Field = Field::bits(31, 16);
/// Create Submission Queue, CDW11: priority; without effect under round robin (NVMe 5.4).
pub const SQ_QPRIO: Field = Field::bits(2, 1);
/// Create Submission Queue, CDW11: its completion queue.
pub const SQ_CQID: Field = Field::bits(31, 16);

/// Abort, CDW10: submission queue of the command (NVMe 5.1).
pub const ABORT_SQID: Field = Field::bits(15, 0);
/// Abort, CDW10: command identifier.
pub const ABORT_CID: Field = Field::bits(31, 16);
/// Abort, result DW 0: 1 if the command was *not* aborted.
pub const ABORT_NOT_DONE: Field = Field::bit(0);

/// Identify, CDW10: controller or namespace structure (NVMe 5.15).
pub const IDENTIFY_CNS: Field = Field::bits(7, 0);
/// Identify, CDW10: controller identifier.
pub const IDENTIFY_CNTID: Field = Field::bits(31, 16);

/// Get Log Page, CDW10: log page (NVMe 5.14).
pub const LOG_LID: Field = Field::bits(7, 0);
/// Get Log Page, CDW10: retain asynchronous event.
pub const LOG_RAE: Field = Field::bit(15);
/// Get Log Page, CDW10: number of DWs, 0's based, low half.
pub const LOG_NUMDL: Field = Field::bits(31, 16);
/// Get Log Page, CDW11: number of DWs, high half.
pub const LOG_NUMDU: Field = Field::bits(15, 0);

/// Get and Set Features, CDW10: feature (NVMe 5.13, 5.21).
pub const FEATURE_FID: Field = Field::bits(7, 0);
/// Get Features, CDW10: which value: 0 current, 1 default, 2 saved, 3 capabilities.
pub const FEATURE_SEL: Field = Field::bits(10, 8);
/// Set Features, CDW10: save; not offered.
pub const FEATURE_SV: Field = Field::bit(31);
/// Number of Queues, CDW11 and result: submission queues, 0's based (NVMe 5.21.1.7).
pub const QUEUES_NSQ: Field = Field::bits(15, 0);
/// Number of Queues, CDW11 and result: completion queues, 0's based.
pub const QUEUES_NCQ: Field = Field::bits(31, 16);
/// Volatile Write Cache, CDW11: enable.
pub const WRITE_CACHE_WCE: Field = Field::bit(0);

/// Asynchronous Event Request, result DW 0: type (NVMe 5.2.1).
pub const EVENT_TYPE: Field = Field::bits(2, 0);
/// Asynchronous Event Request, result DW 0: information.
pub const EVENT_INFO: Field = Field::bits(15, 8);
/// Asynchronous Event Request, result DW 0: log page to read.
pub const EVENT_LOG: Field = Field::bits(23, 16);
/// Event type: error status.
pub const EVENT_TYPE_ERROR: u64 = 0;
/// Event type: SMART / health.
pub const EVENT_TYPE_HEALTH: u64 = 1;
/// Event type: notice.
pub const EVENT_TYPE_NOTICE: u64 = 2;
/// Error event: a doorbell of a queue that does not exist was written.
pub const EVENT_INFO_INVALID_DOORBELL: u64 = 0;
/// Error event: a doorbell was given a value that it cannot have.
pub const EVENT_INFO_INVALID_DOORBELL_VALUE: u64 = 1;
/// Notice: a namespace appeared, went or changed its size.
pub const EVENT_INFO_NAMESPACE: u64 = 0;

/// Read, Write and Write Zeroes, CDW12: number of logical blocks, 0's based (NVMe 6.9). CDW10 and 11 are the first LBA.
pub const RW_NLB: Field = Field::bits(15, 0);
/// Write Zeroes, CDW12: deallocate.
pub const RW_DEAC: Field = Field::bit(25);
/// CDW12: protection information field; zero here.
pub const RW_PRINFO: Field = Field::bits(29, 26);
/// CDW12: force unit access.
pub const RW_FUA: Field = Field::bit(30);
/// CDW12: limited retry.
pub const RW_LR: Field = Field::bit(31);
