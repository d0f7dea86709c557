//! The media port: what the card asks of whatever holds the volumes behind it. This is the contract of both sides;
//! `docs/media-port.md` draws it.
//!
//! A request is `{tag, op, fua, volume, lba, blocks}` at `mreq`. Many are under way, each with a tag of its own, and each has one
//! answer in its time, `{tag, result}` at `mdone`, in any order. The data of a [`READ`] that was answered [`DONE`] is called for by
//! its tag at `mget`, in the card's order, and comes in that order at `mrd`. A tag is free again when its answer was taken, that of a
//! read when its data was.

/// Bits of a tag, `{slot of the function 6, index 6}`.
pub const TAG_BITS: u64 = 12;
/// Tags of a function, for its I/O.
pub const TAGS_PER_SLOT: u64 = 64;
/// Tags that a function's I/O cannot take: for admin commands and what the card asks of itself. They are `{first and up, slot}`, where no
/// function has its own.
pub const TAGS_ASIDE: u64 = 3;
/// The first of the high halves of these.
pub const ASIDE_FIRST: u64 = 64 - TAGS_ASIDE;
const _: () = assert!(crate::function::MAX_VFS < ASIDE_FIRST);
/// Requests under way at most. The medium has room for all of them with their data, so that it never holds the port.
pub const TAGS: u64 = 1 << TAG_BITS;
/// Bytes of a beat, of both data streams.
pub const BEAT: u64 = 16;

/// Blocks of what has data ([`READ`], [`WRITE`], [`COMPARE`]), at most.
pub const DATA_BLOCKS: u64 = 8;
/// Blocks of what is read or written without data ([`VERIFY`], [`ZEROES`]), at most: a request is no longer than a medium works in
/// one go.
pub const LONG_BLOCKS: u64 = 2048;
/// Rows of a list of [`RANGES`], at most.
pub const RANGE_ROWS: u64 = 256;
/// Clocks from a [`CANCEL`] to the answer of its request, at most, if the card takes what it is offered. It counts from the last beat
/// of data if that comes later, which the card owes as ever.
pub const CANCEL_CLOCKS: u64 = 1024;

/// Have blocks ready, for their data to be called for. It comes one beat after the other, without a pause of the medium's making.
pub const READ: u64 = 0;
/// Take blocks; with FUA set they are durable before the answer. The data of all requests that have any comes in the order in
/// which these were taken. With the last beat the card may say that it was spoilt: then nothing is done ([`SPOILT`]).
pub const WRITE: u64 = 1;
/// Make durable what was written to the volume and answered before this was asked; no blocks.
pub const FLUSH: u64 = 2;
/// Make blocks zero, without data.
pub const ZEROES: u64 = 3;
/// Give blocks back, as many as there are: they read as zero from then on, and are a hole where the volume can have one.
pub const DEALLOCATE: u64 = 4;
/// Read blocks and keep them: only the result counts.
pub const VERIFY: u64 = 5;
/// Take blocks as a write does, and say whether the volume holds the same.
pub const COMPARE: u64 = 6;
/// Give back a list of ranges: `blocks` says how many rows of it come as data, a beat each, `{first block 64, blocks 64}` with the number
/// of blocks in the low half. A range of no blocks is nothing.
pub const RANGES: u64 = 7;
/// Give up the request with this tag; the rest of the request says nothing. It has no answer of its own, and a tag that is not
/// under way is ignored. A request that was not answered is so soon ([`CANCEL_CLOCKS`]), with what it came to or [`ABORTED`];
/// whether a change was made is then unknown, but it is made before anything that is asked for later and concerns the same blocks,
/// or not at all. The data of a read is not called for after that.
pub const CANCEL: u64 = 8;

/// Result: it is done.
pub const DONE: u64 = 0;
/// Result: it could not be done.
pub const FAILED: u64 = 1;
/// Result of a comparison: the volume holds something else.
pub const DIFFERS: u64 = 2;
/// Result: it was cancelled.
pub const ABORTED: u64 = 3;
/// Result of a read: all of its blocks are a hole. No data is called for: it would be zeroes.
pub const HOLE: u64 = 4;
/// Result: the card has said that the data of this request was spoilt, and nothing was done. It is given at once, also if the request
/// was cancelled.
pub const SPOILT: u64 = 5;
