//! The words that go from one block of the engine to another.

use azote_hdl::prelude::*;

packed! {
    /// A function's binding, as the tables tell it.
    pub Binding {
        /// Which of its function's bindings it is: the one before has the other.
        turn: 1,
        /// Its namespace counts in blocks of 4 KiB.
        big: 1,
        /// In blocks of 512 bytes, on its volume.
        length: 48,
        base: 48,
        volume: 8,
        read_only: 1,
        valid: 1,
    }
}

packed! {
    /// The limits of a function, in 2^24 clocks; 0 is none.
    pub Rates {
        weight: 4,
        blocks: 24,
        commands: 24,
    }
}

packed! {
    /// A tag of the media port: a function's own, by its slot, or one of those set aside, whose index is the slot.
    pub Tag {
        high: 6,
        index: 6,
    }
}

packed! {
    /// Where a piece of a command's data lies in host memory: at a DW of one page and, if it is longer, from the beginning of the next.
    pub Place {
        page: 52,
        next: 52,
        dw: 10,
        dws: 11,
    }
}

packed! {
    /// A piece that is called for: a page's, or that of a tag, whose rows come, or are zeroes.
    pub Piece {
        page: 1,
        zeroes: 1,
        /// DWs of its first row that belong to nobody.
        skip: 2,
        tag: Tag::WIDTH,
        place: Place::WIDTH,
    }
}

packed! {
    /// A row of a piece; with the last, whether any of it is broken.
    pub Row {
        error: 1,
        last: 1,
        data: 128,
    }
}

packed! {
    /// A segment of host memory, within a page; the last of its command.
    pub Segment {
        last: 1,
        dws: 11,
        address: 64,
    }
}

packed! {
    /// A command for the writer. For a list of ranges `blocks` and `lba` are those of the namespace, and `big` says in what the
    /// list counts.
    pub Write {
        tag: Tag::WIDTH,
        big: 1,
        fua: 1,
        op: 4,
        volume: 8,
        blocks: 48,
        lba: 48,
    }
}

packed! {
    /// What is complete; `release`: its place in the completion queue is given back and nothing is told.
    pub Done {
        release: 1,
        slot: 6,
        qid: 3,
        cid: 16,
        status: 11,
        dw0: 32,
    }
}
