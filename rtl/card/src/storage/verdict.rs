//! What is wrong with a command.

use azote_hdl::prelude::*;
use azote_regs::nvme::log;

packed! {
    /// The status that a command is due, and where in its entry the fault lies; zero if nothing is wrong.
    pub Verdict {
        location: 16,
        status: 11,
    }
}

/// The verdict that `code` is due to the field at this byte and bit of the entry.
pub const fn wrong(code: u64, byte: u64, bit: u64) -> u64 {
    Verdict::LOCATION.put(log::location(byte, bit)) | Verdict::STATUS.put(code)
}

/// The verdict that no one field is to blame for `code`.
pub const fn fault(code: u64) -> u64 {
    Verdict::LOCATION.put(log::LOCATION_NONE) | Verdict::STATUS.put(code)
}
