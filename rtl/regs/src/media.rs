//! The media port: what the card asks of whatever holds the volumes behind it.
//!
//! A request is `{op, fua, volume, lba, blocks}`. Reads answer with their data, the last beat saying whether it is good; all
//! others answer with a result, in the order in which they were asked.

/// Deliver blocks.
pub const READ: u64 = 0;
/// Take blocks; with FUA set they are durable before the answer.
pub const WRITE: u64 = 1;
/// Make all of the volume that was written durable; no blocks.
pub const FLUSH: u64 = 2;
/// Make blocks zero, without data.
pub const ZEROES: u64 = 3;
/// Give blocks back: they read as zero from then on.
pub const DEALLOCATE: u64 = 4;
/// Read blocks and keep them: only the result counts.
pub const VERIFY: u64 = 5;
/// Take blocks as a write does, and say whether the volume holds the same.
pub const COMPARE: u64 = 6;

/// Result: it is done.
pub const DONE: u64 = 0;
/// Result: it could not be done.
pub const FAILED: u64 = 1;
/// Result of a comparison: the volume holds something else.
pub const DIFFERS: u64 = 2;
