//! Advanced Error Reporting (PCIe 7.8.4), PFs only.

use crate::Field;

/// Extended capability id.
pub const ID: u64 = 0x0001;
/// Version of the structure.
pub const VERSION: u64 = 2;
/// Size in bytes, TLP prefix log included.
pub const SIZE: u64 = 0x48;
/// Uncorrectable Error Status, RW1C, sticky.
pub const UNCORRECTABLE_STATUS: u64 = 0x04;
/// Uncorrectable Error Mask, sticky.
pub const UNCORRECTABLE_MASK: u64 = 0x08;
/// Uncorrectable Error Severity, sticky: 1 is fatal.
pub const UNCORRECTABLE_SEVERITY: u64 = 0x0c;
/// Correctable Error Status, RW1C, sticky.
pub const CORRECTABLE_STATUS: u64 = 0x10;
/// Correctable Error Mask, sticky.
pub const CORRECTABLE_MASK: u64 = 0x14;
/// Advanced Error Capabilities and Control.
pub const CONTROL: u64 = 0x18;
/// Header Log, four DWs as they came, sticky.
pub const HEADER_LOG: u64 = 0x1c;
/// TLP Prefix Log, four DWs; zero: no prefixes here.
pub const PREFIX_LOG: u64 = 0x38;

/// Uncorrectable: Data Link Protocol Error (PCIe 7.8.4.2, and its mask and severity alike).
pub const DATA_LINK_PROTOCOL: Field = Field::bit(4);
/// Uncorrectable: Surprise Down.
pub const SURPRISE_DOWN: Field = Field::bit(5);
/// Uncorrectable: Poisoned TLP Received.
pub const POISONED: Field = Field::bit(12);
/// Uncorrectable: Flow Control Protocol Error.
pub const FLOW_CONTROL: Field = Field::bit(13);
/// Uncorrectable: Completion Timeout.
pub const COMPLETION_TIMEOUT: Field = Field::bit(14);
/// Uncorrectable: Completer Abort.
pub const COMPLETER_ABORT: Field = Field::bit(15);
/// Uncorrectable: Unexpected Completion.
pub const UNEXPECTED_COMPLETION: Field = Field::bit(16);
/// Uncorrectable: Receiver Overflow.
pub const RECEIVER_OVERFLOW: Field = Field::bit(17);
/// Uncorrectable: Malformed TLP.
pub const MALFORMED: Field = Field::bit(18);
/// Uncorrectable: ECRC Error.
pub const ECRC: Field = Field::bit(19);
/// Uncorrectable: Unsupported Request.
pub const UNSUPPORTED_REQUEST: Field = Field::bit(20);
/// Uncorrectable: ACS Violation.
pub const ACS_VIOLATION: Field = Field::bit(21);
/// Uncorrectable: Uncorrectable Internal Error.
pub const UNCORRECTABLE_INTERNAL: Field = Field::bit(22);

/// Correctable: Receiver Error (PCIe 7.8.4.5).
pub const RECEIVER: Field = Field::bit(0);
/// Correctable: Bad TLP.
pub const BAD_TLP: Field = Field::bit(6);
/// Correctable: Bad DLLP.
pub const BAD_DLLP: Field = Field::bit(7);
/// Correctable: REPLAY_NUM Rollover.
pub const REPLAY_ROLLOVER: Field = Field::bit(8);
/// Correctable: Replay Timer Timeout.
pub const REPLAY_TIMEOUT: Field = Field::bit(12);
/// Correctable: Advisory Non-Fatal Error (PCIe 6.2.3.2.4).
pub const ADVISORY_NONFATAL: Field = Field::bit(13);
/// Correctable: Corrected Internal Error.
pub const CORRECTED_INTERNAL: Field = Field::bit(14);
/// Correctable: Header Log Overflow.
pub const HEADER_LOG_OVERFLOW: Field = Field::bit(15);

/// Control: First Error Pointer, sticky.
pub const CONTROL_FIRST_ERROR: Field = Field::bits(4, 0);

/// The uncorrectable errors that this card detects; the others' bits read 0.
pub const UNCORRECTABLE_IMPLEMENTED: u64 = DATA_LINK_PROTOCOL.mask()
    | POISONED.mask()
    | FLOW_CONTROL.mask()
    | COMPLETION_TIMEOUT.mask()
    | COMPLETER_ABORT.mask()
    | UNEXPECTED_COMPLETION.mask()
    | RECEIVER_OVERFLOW.mask()
    | MALFORMED.mask()
    | UNSUPPORTED_REQUEST.mask();
/// Uncorrectable Error Severity after reset: the specification's defaults for what is implemented (PCIe 7.8.4.4).
pub const UNCORRECTABLE_SEVERITY_RESET: u64 =
    DATA_LINK_PROTOCOL.mask() | FLOW_CONTROL.mask() | RECEIVER_OVERFLOW.mask() | MALFORMED.mask();
/// The correctable errors that this card detects.
pub const CORRECTABLE_IMPLEMENTED: u64 = RECEIVER.mask()
    | BAD_TLP.mask()
    | BAD_DLLP.mask()
    | REPLAY_ROLLOVER.mask()
    | REPLAY_TIMEOUT.mask()
    | ADVISORY_NONFATAL.mask();
/// Correctable Error Mask after reset: advisory non-fatal errors are masked (PCIe 7.8.4.6).
pub const CORRECTABLE_MASK_RESET: u64 = ADVISORY_NONFATAL.mask();

const _: () = assert!(PREFIX_LOG + 16 == SIZE);
