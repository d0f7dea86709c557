//! What was found wrong, in the terms of the registers: its bit of AER, whether the requester was told of it, its bits of Status.

use azote_hdl::prelude::*;
use azote_regs::pcie::{aer, header};

use crate::transaction::Found;

/// The number of its bit in Uncorrectable Error Status (PCIe 7.8.4.2).
#[pure]
pub fn code(event: V) -> V {
    match event {
        Found::MALFORMED => sized(aer::MALFORMED.lo, 5),
        Found::UNSUPPORTED | Found::UNSUPPORTED_POSTED => konst(aer::UNSUPPORTED_REQUEST.lo),
        Found::POISONED | Found::POISONED_POSTED | Found::POISONED_COMPLETION => konst(aer::POISONED.lo),
        Found::UNEXPECTED => konst(aer::UNEXPECTED_COMPLETION.lo),
        Found::TIMEOUT => konst(aer::COMPLETION_TIMEOUT.lo),
        _ => 0,
    }
}

/// Whether it has one.
#[pure]
pub fn coded(event: V) -> V {
    !((event == Found::MASTER_ABORT) | (event == Found::TARGET_ABORT))
}

/// Whether somebody else deals with it: then it is a correctable error, if it is not fatal (PCIe 6.2.3.2.4).
#[pure]
pub fn advisory(event: V) -> V {
    match event {
        Found::UNSUPPORTED | Found::POISONED | Found::POISONED_COMPLETION | Found::UNEXPECTED => sized(1, 1),
        _ => 0,
    }
}

/// Its bits of Status.
#[pure]
pub fn status(event: V) -> V {
    match event {
        Found::POISONED | Found::POISONED_POSTED | Found::POISONED_COMPLETION => {
            sized(header::STATUS_DETECTED_PARITY.mask(), 16)
        }
        Found::MASTER_ABORT => konst(header::STATUS_RECEIVED_MASTER_ABORT.mask()),
        Found::TARGET_ABORT => konst(header::STATUS_RECEIVED_TARGET_ABORT.mask()),
        _ => 0,
    }
}
