//! What is kept of a controller.

use azote_hdl::prelude::*;

/// Words of a controller's state.
pub struct Word;
impl Word {
    pub const CC: u64 = 0;
    pub const CSTS: u64 = 1;
    pub const AQA: u64 = 2;
    pub const ASQ_LO: u64 = 3;
    pub const ASQ_HI: u64 = 4;
    pub const ACQ_LO: u64 = 5;
    pub const ACQ_HI: u64 = 6;
    pub const NONE: u64 = 7;
}

packed! {
    /// What is going on with a function.
    pub Closing {
        /// Its volume is to be flushed once more, after a flush that is under way.
        flush_again: 1,
        flushes: 1,
        /// The primary waits for it to be offline.
        off: 1,
        /// A reset of the function waits for it; the reset is done and not heard of yet.
        done: 1,
        owed: 1,
        /// The registers go as well: it is a reset, or it goes offline.
        whole: 1,
        /// Its queues are closed.
        quiet: 1,
        closes: 1,
    }
}
