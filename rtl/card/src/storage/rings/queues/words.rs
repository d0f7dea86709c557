//! The queues as their memories have them.

use azote_hdl::prelude::*;

packed! {
    /// A submission queue as the memory has it. One that is being deleted is not valid, and has a [`Deletion`] in place of its base.
    pub Sq {
        inflight: 12,
        valid: 1,
        /// It is marked in `turns`.
        ring: 1,
        cqid: 3,
        tail: 12,
        head: 12,
        size: 12,
        base: 52,
    }
}

packed! {
    /// What follows the last command of a submission queue: the command that deleted it is complete.
    pub Deletion {
        follows: 1,
        cid: 16,
    }
}

packed! {
    /// A completion queue as the memory has it.
    pub Cq {
        reserved: 12,
        /// A submission queue waits for room in it.
        blocked: 1,
        valid: 1,
        ien: 1,
        iv: 3,
        phase: 1,
        tail: 12,
        head: 12,
        size: 12,
        base: 52,
    }
}
