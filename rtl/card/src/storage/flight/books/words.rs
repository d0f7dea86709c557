//! What the books hold.

use azote_hdl::prelude::*;

/// How far a tag is.
pub struct At;
impl At {
    pub const FREE: u64 = 0;
    /// Its command is there, its request is not.
    pub const OPEN: u64 = 1;
    pub const MEDIUM: u64 = 2;
    /// Its data is called for, or will be.
    pub const CARD: u64 = 3;
    /// A part of it is done; the next is to be asked for.
    pub const AGAIN: u64 = 4;
    /// It is over, and names a command that is not.
    pub const HELD: u64 = 5;
}

/// Why a tag was cancelled.
pub struct Why;
impl Why {
    pub const NOT: u64 = 0;
    pub const ABORT: u64 = 1;
    pub const LATE: u64 = 2;
    pub const SHUT: u64 = 3;
}

packed! {
    /// What a tag is for.
    pub State {
        /// The millisecond in which the medium was asked.
        stamp: 16,
        /// The index of its command's first tag.
        cmd: 6,
        op: 4,
        /// Why it was cancelled.
        why: 2,
        at: 3,
    }
}

packed! {
    /// What is left of an operation that comes without data: in place of where its data goes.
    pub Rest {
        fua: 1,
        volume: 8,
        left: 20,
        lba: 48,
    }
}

packed! {
    /// A command, under its first tag.
    pub Line {
        /// The microsecond in which it began.
        begun: 24,
        lba: 48,
        blocks: 9,
        kind: 2,
        cid: 16,
        qid: 3,
        /// The first error that a piece of it had.
        code: 11,
        own: 1,
        turn: 1,
        /// Pieces that are under way.
        left: 6,
    }
}
