//! The tags of the media port: each function has a share of its own, so that what one waits for takes none from another.
//!
//! How many tags a command will need is known only when it is in the front, and the front waits for nobody. So a command is
//! fetched only when there are enough for the largest, which are put aside (`grant`); what it does not need is given back
//! (`settle`). There are enough for two of the largest, so that one can be fetched while another is. The commands of an admin queue,
//! and the flush of a shutdown, have a few tags that I/O cannot take: a function whose volume is dead can still be asked and closed.
//!
//! Promise: whoever takes a tag that was granted gets one; a slot that is asked for is allowed exactly when the next grant can
//! be met; one that is allowed again is told, once.

use azote_hdl::prelude::*;
use azote_regs::media;
use azote_regs::nvme::limits;

use crate::parts::{BlockTable, Fifo, Table, slots_of};
use crate::storage::words::Tag;

/// Tags of a slot, those for I/O, those set aside.
const SHARE: u64 = media::TAGS_PER_SLOT;
const ASIDE: u64 = media::TAGS_ASIDE;
/// Pieces of the largest command, and what must be left of those set aside for an admin command: one is for a shutdown.
pub const LARGEST: u64 = limits::MAX_TRANSFER / limits::PAGE_SIZE;
const ADMIN: u64 = 2;
const _: () = assert!(SHARE == 64 && SHARE >= 2 * LARGEST && ASIDE == 3);

packed! {
    /// How many tags of a function are neither out nor put aside: of those set aside, of those for I/O.
    Credits {
        aside: 2,
        io: 7,
    }
}

#[derive(LogicBlock, Default)]
pub struct Tags {
    pub clock: Clk,
    pub reset: Rst,
    /// One clock: a command of this slot was fetched. Never twice within four clocks.
    pub grant: I<1>,
    pub grant_slot: I<6>,
    pub grant_admin: I<1>,
    /// One clock: it needs so many. Never twice within four clocks.
    pub settle: I<1>,
    pub settle_slot: I<6>,
    pub settle_admin: I<1>,
    pub settle_count: I<6>,
    /// One clock: a flush of the card's own takes one of those set aside. Never twice within eight clocks.
    pub own: I<1>,
    pub own_slot: I<6>,
    /// One clock: an admin command is over that had a place, and no tag, of those set aside. Never twice within eight clocks.
    pub refund: I<1>,
    pub refund_slot: I<6>,
    /// The next free tag of `slot`, a clock later, or one of those set aside; one clock, while it is shown: it is taken.
    pub slot: I<6>,
    pub aside: I<1>,
    pub tag: O<{ Tag::WIDTH }>,
    pub take: I<1>,
    /// A tag comes back, held until `free_ready`.
    pub free: I<1>,
    pub free_tag: I<{ Tag::WIDTH }>,
    pub free_ready: O<1>,
    /// Whether `ask` may fetch from its I/O queues, from its admin queue; in the same clock.
    pub ask: I<6>,
    pub io_allowed: O<1>,
    pub admin_allowed: O<1>,
    /// Who may again, until `revive_take`.
    pub revive: O<1>,
    pub revive_slot: O<6>,
    pub revive_take: I<1>,
    pub busy: O<1>,
    g_wait: Reg<1>,
    g_slot: Reg<6>,
    g_admin: Reg<1>,
    s_wait: Reg<1>,
    s_slot: Reg<6>,
    s_admin: Reg<1>,
    s_count: Reg<6>,
    o_wait: Reg<1>,
    o_slot: Reg<6>,
    r_wait: Reg<1>,
    r_slot: Reg<6>,
    /// Of each slot, also for who asks.
    credits: Table<6, { Credits::WIDTH }, 2>,
    /// Which of those set aside are free.
    set_aside: Table<6, 3, 1>,
    /// What is shown: whose, and if it is of those set aside, which.
    shown: Reg<6>,
    shows_aside: Reg<1>,
    lowest: Reg<3>,
    high: Reg<6>,
    /// The free tags of each slot are a ring: its first and its end.
    heads: Table<6, 6, 1>,
    tails: Table<6, 6, 1>,
    rings: BlockTable<{ Tag::WIDTH }, 6, 1>,
    revived: Fifo<6>,
}

impl Tags {
    /// The tags of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = slots_of(vfs);
        Tags {
            credits: Table::new(slots, 0),
            set_aside: Table::new(slots, 0),
            heads: Table::new(slots, 0),
            tails: Table::new(slots, 0),
            rings: BlockTable::new(slots * SHARE as usize, Tag::INDEX.width as usize),
            revived: Fifo::new(64),
            ..Self::default()
        }
    }
}

/// Whether a tag is one of those set aside.
#[pure]
pub fn is_aside(tag: V) -> V {
    tag.get(Tag::HIGH) >= media::ASIDE_FIRST
}

/// Whose it is.
#[pure]
pub fn slot_of(tag: V) -> V {
    if is_aside(tag) { tag.get(Tag::INDEX) } else { tag.get(Tag::HIGH) }
}

#[kernel]
impl Logic for Tags {
    fn update(&mut self) {
        clocked!(self.revived, self.credits, self.set_aside, self.heads, self.tails, self.rings);
        let boots = !self.rings.ready;
        let grants = self.g_wait.q;
        let frees = self.free & !grants;
        let settles = self.s_wait.q & !(grants | frees);
        let owns = self.o_wait.q & !(grants | frees | self.s_wait.q);
        let refunds = self.r_wait.q & !(grants | frees | self.s_wait.q | self.o_wait.q);
        self.g_wait.d = self.grant;
        self.g_slot.d = self.grant_slot;
        self.g_admin.d = self.grant_admin;
        if self.settle {
            self.s_wait.d = 1;
            self.s_slot.d = self.settle_slot;
            self.s_admin.d = self.settle_admin;
            self.s_count.d = self.settle_count;
        } else if settles {
            self.s_wait.d = 0;
        }
        if self.own {
            self.o_wait.d = 1;
            self.o_slot.d = self.own_slot;
        } else if owns {
            self.o_wait.d = 0;
        }
        if self.refund {
            self.r_wait.d = 1;
            self.r_slot.d = self.refund_slot;
        } else if refunds {
            self.r_wait.d = 0;
        }
        check!((!(self.refund & self.r_wait.q)) | refunds, "an admin command is over and its place is not counted");
        check!((!(self.settle & self.s_wait.q)) | settles, "what a command needs is lost");
        check!((!(self.own & self.o_wait.q)) | owns, "a flush of the card's own is not counted");

        let free_aside = is_aside(self.free_tag);
        let free_slot = slot_of(self.free_tag);

        // --- how many
        let slot = if grants {
            self.g_slot.q
        } else if frees {
            free_slot
        } else if self.s_wait.q {
            self.s_slot.q
        } else if self.o_wait.q {
            self.o_slot.q
        } else {
            self.r_slot.q
        };
        self.credits.raddr[0] = slot;
        let old = self.credits.rdata[0];
        let io = old.get(Credits::IO);
        let aside = old.get(Credits::ASIDE);
        let mut io_new = io;
        let mut aside_new = aside;
        let one = self.s_count.q.trunc(2);
        if grants {
            if self.g_admin.q {
                aside_new = aside - 1;
            } else {
                io_new = io - konst(LARGEST);
            }
        } else if frees {
            if free_aside {
                aside_new = aside + 1;
            } else {
                io_new = io + 1;
            }
        } else if settles {
            if self.s_admin.q {
                aside_new = aside + 1 - one;
            } else {
                io_new = io + konst(LARGEST) - self.s_count.q.zext(7);
            }
        } else if owns {
            aside_new = aside - 1;
        } else if refunds {
            aside_new = aside + 1;
        }
        check!((!grants) | self.g_admin.q | (io >= LARGEST), "a command was fetched for which there are no tags");
        check!(
            (!(grants & self.g_admin.q)) | (aside >= ADMIN),
            "an admin command was fetched for which there is no tag"
        );
        let changes = grants | frees | settles | owns | refunds;
        check!((!changes) | (io_new <= SHARE), "more tags come back than there are");
        self.credits.we = changes;
        self.credits.waddr = slot;
        self.credits.wdata = Credits { aside: aside_new, io: io_new };
        self.credits.raddr[1] = self.ask;
        self.credits.first = Credits { aside: konst(ASIDE), io: konst(SHARE) };
        self.credits.wipe = 0;
        self.credits.wipe_slot = 0;
        let asked = self.credits.rdata[1];
        self.io_allowed = asked.get(Credits::IO) >= LARGEST;
        self.admin_allowed = asked.get(Credits::ASIDE) >= ADMIN;
        self.free_ready = !grants;
        let io_again = (io < LARGEST) & (io_new >= LARGEST);
        let admin_again = (aside < ADMIN) & (aside_new >= ADMIN);
        let tells = (frees | settles | refunds) & (io_again | admin_again);
        self.revived.in_valid = tells;
        self.revived.in_data = slot;
        check!((!tells) | self.revived.in_ready, "who has tags again is not told");
        self.revive = self.revived.out_valid;
        self.revive_slot = self.revived.out_data;
        self.revived.out_ready = self.revive_take;

        // --- and which
        let takes = self.take & !self.aside;
        let comes = frees & !free_aside;
        let head = self.heads.rdata[0];
        let tail = self.tails.rdata[0];
        self.heads.raddr[0] = self.slot;
        self.heads.we = takes;
        self.heads.waddr = self.slot;
        self.heads.wdata = head + 1;
        self.heads.first = 0;
        self.heads.wipe = 0;
        self.heads.wipe_slot = 0;
        self.tails.raddr[0] = free_slot;
        self.tails.we = comes;
        self.tails.waddr = free_slot;
        self.tails.wdata = tail + 1;
        self.tails.first = 0;
        self.tails.wipe = 0;
        self.tails.wipe_slot = 0;
        self.rings.raddr[0] = cat(self.slot, if takes { head + 1 } else { head });
        self.rings.we = comes;
        self.rings.waddr = cat(free_slot, tail);
        self.rings.wdata = self.free_tag.get(Tag::INDEX);
        self.rings.first = self.rings.row.get(Tag::INDEX);
        self.rings.wipe = 0;
        self.rings.wipe_slot = 0;
        // Of those set aside, the lowest that is free.
        let whose = if frees & free_aside { free_slot } else { self.slot };
        self.set_aside.raddr[0] = whose;
        let idle = self.set_aside.rdata[0];
        let lowest = if idle.bit(0) {
            sized(1, 3)
        } else if idle.bit(1) {
            2
        } else {
            4
        };
        let back = match self.free_tag.get(Tag::HIGH).bits(1, 0) {
            1 => sized(1, 3),
            2 => 2,
            _ => 4,
        };
        self.set_aside.we = (self.take & self.aside) | (frees & free_aside);
        self.set_aside.waddr = whose;
        self.set_aside.wdata = if self.take { idle & !self.lowest.q } else { idle | back };
        self.set_aside.first = sized(7, 3);
        self.set_aside.wipe = 0;
        self.set_aside.wipe_slot = 0;
        check!((!(self.take & self.aside)) | idle.any(), "one of those set aside is taken and there is none");
        check!(
            (!(self.take & self.aside)) | !(frees & free_aside),
            "a tag set aside is taken while another comes back"
        );
        let high = match lowest {
            1 => sized(media::ASIDE_FIRST, 6),
            2 => media::ASIDE_FIRST + 1,
            _ => media::ASIDE_FIRST + 2,
        };
        self.lowest.d = lowest;
        self.high.d = high;
        self.shown.d = self.slot;
        self.shows_aside.d = self.aside;
        self.tag = if self.shows_aside.q {
            Tag { high: self.high.q, index: self.shown.q }
        } else {
            Tag { high: self.shown.q, index: self.rings.rdata[0] }
        };
        self.busy = boots | grants | self.s_wait.q | self.o_wait.q | self.r_wait.q | self.revived.out_valid;
    }
}
