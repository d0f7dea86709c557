//! What a tag ends with.

use azote_hdl::prelude::*;
use azote_regs::media;
use azote_regs::nvme::status;

use super::words::Why;

/// Whether the medium's failure of this is one of reading.
#[pure]
fn reads(op: V) -> V {
    (op == media::READ) | (op == media::VERIFY) | (op == media::COMPARE)
}

/// The code that a tag ends with, by what the medium answered and why it was cancelled.
#[pure]
pub fn code_of(op: V, result: V, why: V) -> V {
    let fault = if reads(op) { konst(status::UNRECOVERED_READ) } else { konst(status::WRITE_FAULT) };
    let cancelled = if why == Why::ABORT { konst(status::ABORT_REQUESTED) } else { fault };
    match result {
        media::DONE | media::HOLE => {
            // Its data is not called for any more.
            if (op == media::READ) & (why != Why::NOT) { cancelled } else { sized(status::SUCCESS, 11) }
        }
        media::DIFFERS => konst(status::COMPARE_FAILURE),
        media::ABORTED => cancelled,
        media::SPOILT => {
            if why == Why::NOT {
                konst(status::DATA_TRANSFER)
            } else {
                cancelled
            }
        }
        _ => fault,
    }
}
