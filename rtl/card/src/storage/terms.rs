//! What the engine's blocks say to each other: operations, answers, kinds. Nobody's own, so that no block needs another for its words.

/// Clients of host memory: 0 to 7 are the chunks of the data buffer; the others use the control buffer, for PRP lists and four queue
/// entries.
pub const LISTS: u64 = 8;
pub const ENTRIES: u64 = 9;

/// Operations of the queues, in the order of their clients.
pub struct Op;
impl Op {
    // From the registers.
    pub const SQ_DOORBELL: u64 = 0;
    pub const CQ_DOORBELL: u64 = 1;
    pub const ENABLE: u64 = 2;
    pub const QUIESCE: u64 = 3;
    /// Clears all queues if none of their commands is left; says so.
    pub const CLEAR: u64 = 4;
    // From admin.
    pub const CREATE_CQ: u64 = 5;
    pub const CREATE_SQ: u64 = 6;
    pub const DELETE_CQ: u64 = 7;
    pub const DELETE_SQ: u64 = 8;
    // From the front.
    pub const FETCH: u64 = 9;
    // From the poster: with or without an entry to post.
    pub const POST: u64 = 10;
    pub const RELEASE: u64 = 11;
    /// From admin: room for the completion of a command that was released before.
    pub const RESERVE: u64 = 12;
    /// From the poster: the entry that was posted last could not be written; its place and its command are as before, if `found`.
    /// If not, its queue was deleted meanwhile, and the entry is nobody's.
    pub const UNDO: u64 = 13;
}

/// Answers of the queues to admin.
pub struct Answer;
impl Answer {
    pub const YES: u64 = 0;
    /// The queue exists already, or does not.
    pub const QID: u64 = 1;
    /// The completion queue does not exist.
    pub const CQ: u64 = 2;
    /// Something still uses it; a submission queue that is deleted is gone when that is over.
    pub const USED: u64 = 3;
}

/// What the statistics count a command as.
pub struct Kind;
impl Kind {
    pub const OTHER: u64 = 0;
    pub const READ: u64 = 1;
    pub const WRITE: u64 = 2;
}

/// What the front does after an admin command.
pub struct Next;
impl Next {
    /// Post the status.
    pub const COMPLETE: u64 = 0;
    /// Send a page.
    pub const PAGE: u64 = 1;
    /// Nothing: the command stays outstanding, for as long as may be; its place in the completion queue is given back.
    pub const HOLD: u64 = 2;
    /// Give all of the namespace's blocks back.
    pub const ERASE: u64 = 3;
    /// Nothing: it is under way, and is complete later.
    pub const KEEP: u64 = 4;
}

/// What the pages tell.
pub struct What;
impl What {
    pub const ZERO: u64 = 0;
    pub const CONTROLLER: u64 = 1;
    pub const NAMESPACE: u64 = 2;
    pub const LIST: u64 = 3;
    pub const DESCRIPTORS: u64 = 4;
    pub const ERROR: u64 = 5;
    pub const SMART: u64 = 6;
    pub const FIRMWARE: u64 = 7;
    pub const EFFECTS: u64 = 8;
    pub const PRIMARY: u64 = 9;
    pub const SECONDARY: u64 = 10;
    pub const VOLUME: u64 = 11;
}
