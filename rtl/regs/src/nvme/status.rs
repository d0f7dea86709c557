//! The status field of a completion (NVMe 4.6.1): 15 bits, here numbered from its own bit 0 (bit 17 of the DW).
//!
//! A code of this module is `{SCT, SC}`, the low eleven bits, so that one number says which list it is from.

use crate::Field;

/// Status code.
pub const SC: Field = Field::bits(7, 0);
/// Status code type.
pub const SCT: Field = Field::bits(10, 8);
/// `{SCT, SC}`: a code of this module.
pub const CODE: Field = Field::bits(10, 0);
/// Command retry delay.
pub const CRD: Field = Field::bits(12, 11);
/// More: the Error Information log tells more.
pub const MORE: Field = Field::bit(13);
/// Do not retry.
pub const DNR: Field = Field::bit(14);

/// SCT: generic.
pub const SCT_GENERIC: u64 = 0;
/// SCT: command specific.
pub const SCT_SPECIFIC: u64 = 1;
/// SCT: media and data integrity.
pub const SCT_MEDIA: u64 = 2;

macro_rules! codes {
    ($sct:expr, $($(#[$doc:meta])* $name:ident = $sc:literal),* $(,)?) => {
        $($(#[$doc])* pub const $name: u64 = SCT.put($sct) | $sc;)*
    };
}

codes! { SCT_GENERIC,
    /// Successful Completion.
    SUCCESS = 0x00,
    /// Invalid Command Opcode.
    INVALID_OPCODE = 0x01,
    /// Invalid Field in Command.
    INVALID_FIELD = 0x02,
    /// Command ID Conflict.
    CID_CONFLICT = 0x03,
    /// Data Transfer Error.
    DATA_TRANSFER = 0x04,
    /// Internal Error.
    INTERNAL = 0x06,
    /// Command Abort Requested.
    ABORT_REQUESTED = 0x07,
    /// Command Aborted due to SQ Deletion.
    ABORTED_SQ_DELETION = 0x08,
    /// Invalid Namespace or Format.
    INVALID_NAMESPACE = 0x0b,
    /// Command Sequence Error.
    SEQUENCE = 0x0c,
    /// PRP Offset Invalid.
    PRP_OFFSET = 0x13,
    /// Namespace is Write Protected.
    WRITE_PROTECTED = 0x20,
    /// LBA Out of Range.
    LBA_OUT_OF_RANGE = 0x80,
    /// Capacity Exceeded.
    CAPACITY_EXCEEDED = 0x81,
    /// Namespace Not Ready.
    NAMESPACE_NOT_READY = 0x82,
}

codes! { SCT_SPECIFIC,
    /// Completion Queue Invalid.
    CQ_INVALID = 0x00,
    /// Invalid Queue Identifier.
    INVALID_QID = 0x01,
    /// Invalid Queue Size.
    INVALID_QUEUE_SIZE = 0x02,
    /// Abort Command Limit Exceeded.
    ABORT_LIMIT = 0x03,
    /// Asynchronous Event Request Limit Exceeded.
    EVENT_LIMIT = 0x05,
    /// Invalid Interrupt Vector.
    INVALID_VECTOR = 0x08,
    /// Invalid Log Page.
    INVALID_LOG = 0x09,
    /// Invalid Queue Deletion.
    INVALID_QUEUE_DELETION = 0x0c,
    /// Invalid Format.
    INVALID_FORMAT = 0x0a,
    /// Feature Identifier Not Saveable.
    FEATURE_NOT_SAVEABLE = 0x0d,
    /// Feature Not Changeable.
    FEATURE_NOT_CHANGEABLE = 0x0e,
    /// Feature Not Namespace Specific.
    FEATURE_NOT_NAMESPACE = 0x0f,
    /// Invalid Controller Identifier.
    INVALID_CONTROLLER = 0x1f,
    /// Invalid Secondary Controller State.
    SECONDARY_STATE = 0x20,
    /// Invalid Number of Controller Resources.
    RESOURCE_NUMBER = 0x21,
    /// Invalid Resource Identifier.
    RESOURCE_IDENTIFIER = 0x22,
    /// Attempted Write to Read Only Range.
    READ_ONLY = 0x82,
}

codes! { SCT_MEDIA,
    /// Write Fault.
    WRITE_FAULT = 0x80,
    /// Unrecovered Read Error.
    UNRECOVERED_READ = 0x81,
    /// Compare Failure.
    COMPARE_FAILURE = 0x85,
    /// Access Denied.
    ACCESS_DENIED = 0x86,
}

/// The specification's name of a `{SCT, SC}` code; `None` for one that this card never returns.
#[must_use]
pub const fn name(code: u64) -> Option<&'static str> {
    Some(match code {
        SUCCESS => "Successful Completion",
        INVALID_OPCODE => "Invalid Command Opcode",
        INVALID_FIELD => "Invalid Field in Command",
        CID_CONFLICT => "Command ID Conflict",
        DATA_TRANSFER => "Data Transfer Error",
        INTERNAL => "Internal Error",
        ABORT_REQUESTED => "Command Abort Requested",
        ABORTED_SQ_DELETION => "Command Aborted due to SQ Deletion",
        INVALID_NAMESPACE => "Invalid Namespace or Format",
        SEQUENCE => "Command Sequence Error",
        PRP_OFFSET => "PRP Offset Invalid",
        WRITE_PROTECTED => "Namespace is Write Protected",
        LBA_OUT_OF_RANGE => "LBA Out of Range",
        CAPACITY_EXCEEDED => "Capacity Exceeded",
        NAMESPACE_NOT_READY => "Namespace Not Ready",
        CQ_INVALID => "Completion Queue Invalid",
        INVALID_QID => "Invalid Queue Identifier",
        INVALID_QUEUE_SIZE => "Invalid Queue Size",
        ABORT_LIMIT => "Abort Command Limit Exceeded",
        EVENT_LIMIT => "Asynchronous Event Request Limit Exceeded",
        INVALID_VECTOR => "Invalid Interrupt Vector",
        INVALID_LOG => "Invalid Log Page",
        INVALID_QUEUE_DELETION => "Invalid Queue Deletion",
        INVALID_FORMAT => "Invalid Format",
        INVALID_CONTROLLER => "Invalid Controller Identifier",
        SECONDARY_STATE => "Invalid Secondary Controller State",
        RESOURCE_NUMBER => "Invalid Number of Controller Resources",
        RESOURCE_IDENTIFIER => "Invalid Resource Identifier",
        FEATURE_NOT_SAVEABLE => "Feature Identifier Not Saveable",
        FEATURE_NOT_CHANGEABLE => "Feature Not Changeable",
        FEATURE_NOT_NAMESPACE => "Feature Not Namespace Specific",
        READ_ONLY => "Attempted Write to Read Only Range",
        WRITE_FAULT => "Write Fault",
        UNRECOVERED_READ => "Unrecovered Read Error",
        COMPARE_FAILURE => "Compare Failure",
        ACCESS_DENIED => "Access Denied",
        _ => return None,
    })
}

const _: () = assert!(CQ_INVALID == 0x100 && READ_ONLY == 0x182 && UNRECOVERED_READ == 0x281);
