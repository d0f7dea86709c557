//! Opcodes (NVMe 5 figure 139, NVMe 6 figure 346) and the codes that choose within a command.

/// Admin: Delete I/O Submission Queue.
pub const DELETE_SQ: u64 = 0x00;
/// Admin: Create I/O Submission Queue.
pub const CREATE_SQ: u64 = 0x01;
/// Admin: Get Log Page.
pub const GET_LOG_PAGE: u64 = 0x02;
/// Admin: Delete I/O Completion Queue.
pub const DELETE_CQ: u64 = 0x04;
/// Admin: Create I/O Completion Queue.
pub const CREATE_CQ: u64 = 0x05;
/// Admin: Identify.
pub const IDENTIFY: u64 = 0x06;
/// Admin: Abort.
pub const ABORT: u64 = 0x08;
/// Admin: Set Features.
pub const SET_FEATURES: u64 = 0x09;
/// Admin: Get Features.
pub const GET_FEATURES: u64 = 0x0a;
/// Admin: Asynchronous Event Request.
pub const ASYNC_EVENT: u64 = 0x0c;

/// Admin: Format NVM.
pub const FORMAT: u64 = 0x80;

/// NVM: Flush.
pub const FLUSH: u64 = 0x00;
/// NVM: Write.
pub const WRITE: u64 = 0x01;
/// NVM: Read.
pub const READ: u64 = 0x02;
/// NVM: Compare.
pub const COMPARE: u64 = 0x05;
/// NVM: Write Zeroes.
pub const WRITE_ZEROES: u64 = 0x08;
/// NVM: Dataset Management.
pub const DATASET: u64 = 0x09;
/// NVM: Verify.
pub const VERIFY: u64 = 0x0c;

/// Feature: Arbitration (NVMe 5.21.1.1).
pub const FEATURE_ARBITRATION: u64 = 0x01;
/// Feature: Power Management.
pub const FEATURE_POWER: u64 = 0x02;
/// Feature: Temperature Threshold.
pub const FEATURE_TEMPERATURE: u64 = 0x04;
/// Feature: Error Recovery.
pub const FEATURE_ERROR_RECOVERY: u64 = 0x05;
/// Feature: Volatile Write Cache.
pub const FEATURE_WRITE_CACHE: u64 = 0x06;
/// Feature: Number of Queues.
pub const FEATURE_QUEUES: u64 = 0x07;
/// Feature: Interrupt Coalescing.
pub const FEATURE_COALESCING: u64 = 0x08;
/// Feature: Interrupt Vector Configuration.
pub const FEATURE_VECTOR: u64 = 0x09;
/// Feature: Write Atomicity Normal.
pub const FEATURE_ATOMICITY: u64 = 0x0a;
/// Feature: Asynchronous Event Configuration.
pub const FEATURE_ASYNC_EVENT: u64 = 0x0b;

/// Identify CNS: a namespace (NVMe 5.15.1).
pub const CNS_NAMESPACE: u64 = 0x00;
/// Identify CNS: the controller.
pub const CNS_CONTROLLER: u64 = 0x01;
/// Identify CNS: active namespace ids greater than NSID.
pub const CNS_ACTIVE_LIST: u64 = 0x02;
/// Identify CNS: namespace identification descriptors.
pub const CNS_DESCRIPTORS: u64 = 0x03;

/// Log page: Error Information (NVMe 5.14.1.1).
pub const LOG_ERROR: u64 = 0x01;
/// Log page: SMART / Health Information (NVMe 5.14.1.2).
pub const LOG_SMART: u64 = 0x02;
/// Log page: Firmware Slot Information (NVMe 5.14.1.3).
pub const LOG_FIRMWARE: u64 = 0x03;
/// Log page: Changed Namespace List (NVMe 5.14.1.4).
pub const LOG_CHANGED: u64 = 0x04;
/// Log page: Commands Supported and Effects (NVMe 5.14.1.5).
pub const LOG_EFFECTS: u64 = 0x05;
/// Log page: what a volume's commands take, and how long its limits held it back (ours, as Amazon EBS has it).
pub const LOG_VOLUME: u64 = 0xd0;
