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
/// Get Features, SEL: the value now.
pub const FEATURE_SEL_CURRENT: u64 = 0;
/// Get Features, SEL: what can be done with the feature.
pub const FEATURE_SEL_CAPABILITIES: u64 = 3;
/// Get Features, capabilities: it belongs to a namespace.
pub const FEATURE_CAP_NAMESPACE: u64 = 1 << 1;
/// Get Features, capabilities: it can be changed.
pub const FEATURE_CAP_CHANGEABLE: u64 = 1 << 2;
/// Power Management, CDW11: power state.
pub const POWER_PS: Field = Field::bits(4, 0);
/// Temperature Threshold, CDW11: kelvin (NVMe 5.21.1.4).
pub const TEMPERATURE_TMPTH: Field = Field::bits(15, 0);
/// Temperature Threshold, CDW11: which sensor; 0 is the composite temperature, the only one here.
pub const TEMPERATURE_SENSOR: Field = Field::bits(19, 16);
/// Temperature Threshold, sensor in Set Features: all of them.
pub const TEMPERATURE_SENSOR_ALL: u64 = 15;
/// Temperature Threshold, CDW11: over or under.
pub const TEMPERATURE_TYPE: Field = Field::bits(21, 20);
/// Temperature Threshold, type: warn below.
pub const TEMPERATURE_UNDER: u64 = 1;
/// Error Recovery, CDW11: tell of deallocated blocks; not offered.
pub const RECOVERY_DULBE: Field = Field::bit(16);
/// Interrupt Coalescing, CDW11: completions to collect, 0's based (NVMe 5.21.1.8).
pub const COALESCING_THR: Field = Field::bits(7, 0);
/// Interrupt Coalescing, CDW11: the longest to wait, in 100 us.
pub const COALESCING_TIME: Field = Field::bits(15, 8);
/// Interrupt Vector Configuration, CDW11: which vector.
pub const VECTOR_IV: Field = Field::bits(15, 0);
/// Interrupt Vector Configuration, CDW11: coalescing is disabled for it.
pub const VECTOR_CD: Field = Field::bit(16);
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
/// Health event: the temperature is beyond a threshold.
pub const EVENT_INFO_TEMPERATURE: u64 = 1;
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
/// Dataset Management, CDW10: number of ranges, 0's based (NVMe 6.7).
pub const DATASET_NR: Field = Field::bits(7, 0);
/// Dataset Management, CDW11: deallocate; the other two attributes are hints.
pub const DATASET_AD: Field = Field::bit(2);
/// A range of Dataset Management: 16 bytes, this one's context attributes first.
pub const RANGE_SIZE: u64 = 16;
/// Range, as one number of 128 bits: length in logical blocks.
pub const RANGE_LENGTH: Field = Field::bits(63, 32);
/// Offset in a range of its first LBA, 8 bytes.
pub const RANGE_SLBA: u64 = 8;

/// Format NVM, CDW10: LBA format (NVMe 5.23).
pub const FORMAT_LBAF: Field = Field::bits(3, 0);
/// Format NVM, CDW10: metadata settings; there is no metadata.
pub const FORMAT_MSET: Field = Field::bit(4);
/// Format NVM, CDW10: protection information and its location; there is none.
pub const FORMAT_PI: Field = Field::bits(8, 5);
/// Format NVM, CDW10: secure erase settings: 0 none, 1 user data, 2 cryptographic.
pub const FORMAT_SES: Field = Field::bits(11, 9);
/// Format NVM, SES: erase user data; that happens anyway.
pub const FORMAT_SES_USER: u64 = 1;

/// CDW12: protection information field; zero here.
pub const RW_PRINFO: Field = Field::bits(29, 26);
/// CDW12: force unit access.
pub const RW_FUA: Field = Field::bit(30);
/// CDW12: limited retry.
pub const RW_LR: Field = Field::bit(31);
