//! Requests that wait for registers: a few places for each way, first come first served, so that what waits for one engine holds
//! up no other.
//!
//! The first of a way may have asked for a register already; those behind it have not. It goes on, wherever it stopped, when
//! its register has answered, or when its way is free.

use azote_hdl::prelude::*;

use crate::transaction::ways::WAYS;

packed! {
    /// A request that waits: what is left of it, and what its completions say.
    pub Held {
        // Of an access through a window alone.
        window: 1,
        write: 1,
        lane: 2,
        wdata: 32,
        // Of its header.
        tc: 3,
        ido: 1,
        attr: 2,
        requester: 16,
        tag: 8,
        last_be: 4,
        // Where it is.
        manage: 1,
        owner: 8,
        offset: 16,
        left: 11,
        be: 4,
        bytes: 13,
        lower: 7,
    }
}

/// Places of each way.
const PLACES: u64 = 4;

#[derive(LogicBlock, Default)]
pub struct Waiting {
    pub clock: Clk,
    pub reset: Rst,
    /// Ways on which what was asked is not answered, and those on which anything is.
    pub open: I<WAYS>,
    pub taken: I<WAYS>,
    /// One that can go on: its way, itself, and whether its register has answered. `take`: it goes on in this clock.
    pub some: O<1>,
    pub first: O<2>,
    pub held: O<{ Held::WIDTH }>,
    pub answered: O<1>,
    pub take: I<1>,
    /// Whether somebody waits on `way`.
    pub way: I<2>,
    pub queued: O<1>,
    /// One clock: the request in hand waits on `way`, behind the others, or in its own place if it was taken from there
    /// (`again`), and has asked for its register or not.
    pub park: I<1>,
    pub again: I<1>,
    pub asked: I<1>,
    pub word: I<{ Held::WIDTH }>,
    /// One clock: the one that was taken from `way` is done.
    pub leave: I<1>,
    /// All places of a way are taken.
    pub full: O<1>,
    pub busy: O<1>,
    /// The first one's place, how many there are, and whether the first has asked.
    head: [Reg<2>; WAYS],
    many: [Reg<3>; WAYS],
    asks: Reg<WAYS>,
    places: LutRam<4, { Held::WIDTH }>,
}

#[kernel]
impl Logic for Waiting {
    fn update(&mut self) {
        memories!(self.places);
        let mut waits = sized(0, WAYS);
        let mut first = sized(0, 2);
        let mut first_head = sized(0, 2);
        let mut head = sized(0, 2);
        let mut many = sized(0, 3);
        let mut full = sized(0, 1);
        for w in 0..WAYS {
            let bit = sized(1 << w, WAYS);
            let blocked = if self.asks.q.bit(w) { self.open.bit(w) } else { self.taken.bit(w) };
            let can = (self.many[w].q != 0) & !blocked;
            if can {
                waits = waits | bit;
                first = konst(w);
                first_head = self.head[w].q;
            }
            if self.way == w {
                head = self.head[w].q;
                many = self.many[w].q;
            }
            full = full | (self.many[w].q == konst(PLACES));
        }
        self.some = waits.any();
        self.first = first;
        self.answered = self.asks.q.sel(first);
        self.places.raddr = cat(first, first_head);
        self.held = self.places.rdata;
        self.queued = many != 0;
        self.full = full;

        let tail = head + many.trunc(2);
        self.places.we = self.park;
        self.places.waddr = cat(self.way, if self.again { head } else { tail });
        self.places.wdata = self.word;
        for w in 0..WAYS {
            let bit = sized(1 << w, WAYS);
            let here = self.way == w;
            if self.take & (first == w) {
                self.asks.d = self.asks.q & !bit;
            }
            if self.park & self.asked & here {
                self.asks.d = self.asks.q | bit;
            }
            if self.park & (!self.again) & here {
                self.many[w].d = self.many[w].q + 1;
            }
            if self.leave & here {
                self.many[w].d = self.many[w].q - 1;
                self.head[w].d = self.head[w].q + 1;
            }
        }
        check!((!self.park) | self.again | (many != konst(PLACES)), "a request that waits is lost");
        check!((!(self.park & self.asked)) | self.again | (many == 0), "two of one way have asked");
        check!((!self.leave) | (many != 0), "a request is done twice");
        let mut any = sized(0, 1);
        for w in 0..WAYS {
            any = any | (self.many[w].q != 0);
        }
        self.busy = any;
    }
}
