//! Reads of host memory.
//!
//! An engine asks for any bytes of a page, for one of its clients. Who is served is chosen request by request, the engines in
//! turn, and each has a share of the tags, so that a host that is slow with one engine's reads is not slow with another's.
//!
//! A request is cut at Max_Read_Request_Size (512 bytes at most) and at 4 KiB; each piece has a tag. Completions come back
//! in any order between tags, in pieces of any legal size, and every beat is written where it belongs in the clock it
//! comes: there is no buffer to overflow and nothing to wait for. Data lands in whole DWs; what the first and the last hold
//! beside the bytes that were asked for means nothing.
//!
//! Promise: a request's `client` sees `pending` fall only when every byte has landed or is known never to; what cannot
//! land (Unsupported Request, Completer Abort, poison, time-out, a gate that closed) sets `failed`; a completion that
//! nobody waits for changes nothing but the error record; a tag that timed out is not used again for as long as the
//! time-out, so that a late completion cannot land in somebody else's data.
//!
//! What costs time is done a clock ahead: a completion is looked up in the clock in which it comes and judged in the next, a
//! free tag is chosen before one is wanted, and a tag's age is read in one clock and acted upon in another.

use azote_hdl::prelude::*;
use azote_regs::function;
use azote_regs::pcie::tlp;

use super::port::{LandOut, LookOut, ReadIn};
use crate::parts::{Arbiter, least};
use crate::transaction::header::{covering, dw, in_gap, missing, owner_of, spans};
use crate::transaction::{AnswerIn, ErrorOut, Found, TxOut};

/// Bits of a tag, and tags in flight.
const TAG: usize = 6;
pub const TAGS: usize = 1 << TAG;
/// Bits of what is kept of one.
const CONTEXT: usize = 39;
/// Engines, by the kind of function that they serve, and the clients that each may have.
pub const ENGINES: usize = function::KINDS as usize;
pub const CLIENTS: [usize; ENGINES] = [16, 13, 3];
/// The clients of all engines, one after the other, and the first of each engine's among them.
const ALL: usize = CLIENTS[0] + CLIENTS[1] + CLIENTS[2];
const FIRST: [usize; ENGINES] = [0, CLIENTS[0], CLIENTS[0] + CLIENTS[1]];
/// Bits of an engine's vector of clients.
const WIDTH: usize = 16;
/// Clocks in a tick of the completion timer.
const TICK: usize = 1024;

#[derive(LogicBlock, Default)]
pub struct Read {
    pub clock: Clk,
    pub reset: Rst,
    pub rd: [ReadIn; ENGINES],
    pub land: [LandOut; ENGINES],
    pub looked: LookOut,
    /// Of each kind of function.
    pub mrrs: [I<3>; ENGINES],
    pub patient: [I<1>; ENGINES],
    pub bus_number: I<8>,
    pub tx: TxOut,
    pub cpl: AnswerIn,
    pub error: ErrorOut,
    pub busy: O<1>,
    timeout: Param,
    /// The most tags that each engine may have in use.
    share: [Param; ENGINES],
    // Sending.
    sending: Reg<1>,
    active: Reg<1>,
    at: Reg<64>,
    left: Reg<11>,
    to: Reg<13>,
    /// Bytes of the first DW and of the last that are not asked for.
    start: Reg<2>,
    missing: Reg<2>,
    piece: Reg<8>,
    tag: Reg<TAG>,
    // Tags: in use, and resting after a time-out.
    used: Reg<TAGS>,
    resting: Reg<TAGS>,
    count: [Reg<{ TAG + 1 }>; ALL],
    fail: [Reg<WIDTH>; ENGINES],
    held: [Reg<{ TAG + 1 }>; ENGINES],
    /// A free tag, found a clock ago.
    found: Reg<1>,
    pick: Reg<TAG>,
    /// Whose request is being sent.
    s_owner: Reg<8>,
    s_client: Reg<6>,
    /// The engines' turns.
    turns: Arbiter<ENGINES, 2>,
    /// How many DWs of each engine's request are sent: one whose share of the tags is used up gives way, and goes on later.
    sent: [Reg<11>; ENGINES],
    // The beat in hand, a clock after it came, and what was asked for under its tag.
    p_valid: Reg<1>,
    p_sop: Reg<1>,
    p_eop: Reg<1>,
    p_bad: Reg<1>,
    p_data: Reg<128>,
    p_ctx: Reg<CONTEXT>,
    /// Its requester is one of our functions, and which.
    p_ours: Reg<1>,
    p_owner: Reg<8>,
    /// What was written in the clock in which the context was read, if it was the same.
    p_newer: Reg<1>,
    p_new: Reg<CONTEXT>,
    d_ends: Reg<1>,
    d_badly: Reg<1>,
    /// Its tag rests, and stays in its engine's share.
    d_rests: Reg<1>,
    d_client: Reg<6>,
    // The completion in hand.
    live: Reg<1>,
    c_tag: Reg<TAG>,
    c_owner: Reg<8>,
    c_client: Reg<6>,
    c_left: Reg<8>,
    c_piece: Reg<8>,
    c_to: Reg<13>,
    c_missing: Reg<2>,
    c_poison: Reg<1>,
    c_header: Reg<96>,
    // The write to memory, a clock later.
    w_lanes: Reg<4>,
    w_client: Reg<6>,
    w_row: Reg<11>,
    w_next: Reg<11>,
    w_off: Reg<2>,
    w_word: Reg<128>,
    w_at: Reg<13>,
    w_dws: Reg<3>,
    n_valid: Reg<1>,
    n_client: Reg<6>,
    // Time.
    tick: Reg<10>,
    now: Reg<8>,
    look: Reg<TAG>,
    turn: Reg<1>,
    // The tag that was looked at in the clock before.
    l_tag: Reg<TAG>,
    l_used: Reg<1>,
    l_resting: Reg<1>,
    l_late: Reg<1>,
    l_rested: Reg<1>,
    l_client: Reg<6>,
    l_owner: Reg<8>,
    e_valid: Reg<1>,
    e_event: Reg<4>,
    e_owner: Reg<8>,
    e_everyone: Reg<1>,
    e_header: Reg<96>,
    ctx: LutRam<TAG, CONTEXT>,
    old: LutRam<TAG, 22>,
    rested: LutRam<TAG, 8>,
}

impl Read {
    /// `timeout` in ticks of 1024 clocks, below 128; the share of the tags that each engine has, 0 where there is none.
    pub fn new(timeout: usize, share: [usize; ENGINES]) -> Self {
        assert!((2..128).contains(&timeout), "a completion time-out of {timeout} ticks");
        assert!(share.iter().sum::<usize>() <= TAGS, "{share:?} of {TAGS} tags");
        Read {
            timeout: Param::new(timeout),
            share: share.map(Param::new),
            ctx: LutRam::new(TAGS),
            old: LutRam::new(TAGS),
            rested: LutRam::new(TAGS),
            ..Self::default()
        }
    }
}

/// The context of a tag: whose read it is, for which client, how many DWs are to come and where the next goes, and the bytes
/// of the first of them and of the last that were not asked for.
#[pure]
fn context(missing: V, start: V, to: V, left: V, client: V, owner: V) -> V {
    cat(missing, start, to, left, client, owner)
}

/// One bit of the tags', by number.
#[pure]
fn one_hot(i: V) -> V {
    sized(1, TAGS) << i
}

/// The lowest bit of eight that is set; 7 if none is.
#[pure]
fn lowest(of: V) -> V {
    if of.bit(0) {
        sized(0, 3)
    } else if of.bit(1) {
        1
    } else if of.bit(2) {
        2
    } else if of.bit(3) {
        3
    } else if of.bit(4) {
        4
    } else if of.bit(5) {
        5
    } else if of.bit(6) {
        6
    } else {
        7
    }
}

#[kernel]
impl Logic for Read {
    fn update(&mut self) {
        clocked!(self.turns);
        memories!(self.ctx, self.old, self.rested);
        // --- what came back: its context
        let tag8 = dw(self.cpl.data, { 2 }).get(tlp::TAG);
        let requester = dw(self.cpl.data, { 2 }).get(tlp::REQUESTER_ID);
        let number = requester.trunc(8);
        self.ctx.raddr = tag8.trunc(TAG);
        self.p_valid.d = self.cpl.valid;
        self.p_sop.d = self.cpl.sop;
        self.p_eop.d = self.cpl.eop;
        self.p_bad.d = self.cpl.bad;
        self.p_data.d = self.cpl.data;
        self.p_ctx.d = self.ctx.rdata;
        self.p_owner.d = owner_of(number);
        self.p_ours.d = (requester.bits(15, 8) == self.bus_number) & !in_gap(number);

        // --- and whether it fits
        let h = self.p_data.q;
        let dw0 = dw(h, { 0 });
        let dw1 = dw(h, { 1 });
        let dw2 = dw(h, { 2 });
        let tag9 = dw2.get(tlp::TAG);
        let tag = tag9.trunc(TAG);
        let valid = self.p_valid.q;
        let eop = self.p_eop.q;
        let bad = self.p_bad.q;
        let starts = valid & self.p_sop.q;
        let ctx = if self.p_newer.q { self.p_new.q } else { self.p_ctx.q };
        let ctx_owner = ctx.bits(7, 0);
        let ctx_client = ctx.bits(13, 8);
        let ctx_left = ctx.bits(21, 14);
        let ctx_to = ctx.bits(34, 22);
        let ctx_start = ctx.bits(36, 35);
        let ctx_missing = ctx.bits(38, 37);
        let in_use = self.used.q.sel(tag) & (tag9.bits(7, TAG) == 0);
        let expected = in_use & self.p_ours.q & (self.p_owner.q == ctx_owner);
        let good_status = (dw1.get(tlp::STATUS) == tlp::SC) & dw0.get(tlp::FMT_BIT_DATA);
        let length = dw0.get(tlp::LENGTH);
        let bytes = dw1.get(tlp::BYTE_COUNT);
        let whole = bytes + ctx_start.zext(12) + ctx_missing.zext(12);
        let fits = (length != 0) & (length <= ctx_left.zext(10)) & (whole == cat(sized(0, 2), ctx_left, sized(0, 2)));
        let takes = expected & good_status & fits;

        // One tag may end in a clock, for one reason.
        let mut ends = sized(0, 1);
        let mut ends_badly = sized(0, 1);
        let mut end_tag = self.c_tag.q;
        let mut end_client = self.c_client.q;
        let mut rest = sized(0, 1);
        let mut record = sized(0, 1);
        let mut what = sized(Found::UNEXPECTED, 4);
        let mut everyone = sized(0, 1);
        let mut whose = self.c_owner.q;

        let mut ctx_we = sized(0, 1);
        let mut ctx_at = self.tag.q;
        let mut ctx_new = sized(0, CONTEXT);

        let off = self.c_to.q.bits(1, 0);
        let many = if self.c_piece.q > 4 { sized(4, 8) } else { self.c_piece.q };
        let word = h;
        let turned = match off {
            0 => word,
            1 => cat(word.bits(95, 0), word.bits(127, 96)),
            2 => cat(word.bits(63, 0), word.bits(127, 64)),
            _ => cat(word.bits(31, 0), word.bits(127, 32)),
        };
        let mut lanes = sized(0, 4);
        let row = self.c_to.q.bits(12, 2);
        for i in 0..4 {
            // Lane i gets the DW (i - off) of the beat, in the next row if it wrapped.
            let nth = sized(i, 2) - off;
            if nth.zext(8) < many {
                lanes = lanes | konst(1 << i);
            }
        }
        self.w_row.d = row;
        self.w_next.d = row + 1;
        self.w_off.d = off;
        self.w_word.d = turned;
        self.w_lanes.d = 0;
        self.w_client.d = self.c_client.q;
        self.w_at.d = self.c_to.q;
        self.w_dws.d = many.trunc(3);
        self.n_valid.d = valid & self.live.q & (!starts) & eop & bad;
        self.n_client.d = self.c_client.q;

        if starts {
            self.live.d = takes & !eop;
            self.c_tag.d = tag;
            self.c_owner.d = ctx_owner;
            self.c_client.d = ctx_client;
            self.c_left.d = ctx_left;
            self.c_piece.d = length.trunc(8);
            self.c_to.d = ctx_to;
            self.c_missing.d = ctx_missing;
            self.c_poison.d = dw0.get(tlp::EP);
            self.c_header.d = h.bits(95, 0);
            whose = ctx_owner;
            if !expected {
                whose = self.p_owner.q;
                everyone = !self.p_ours.q;
                record = !(eop & bad);
            } else if !takes & !(eop & bad) {
                // Refused or not what was asked: this tag will not be served any more.
                ends = 1;
                ends_badly = 1;
                end_tag = tag;
                end_client = ctx_client;
                record = 1;
                if !good_status {
                    // A status that is reserved counts as Unsupported Request (PCIe 2.2.9).
                    what = if dw1.get(tlp::STATUS) == tlp::CA {
                        sized(Found::TARGET_ABORT, 4)
                    } else {
                        Found::MASTER_ABORT
                    };
                }
            }
        } else if valid & self.live.q {
            self.c_to.d = self.c_to.q + many.zext(13);
            self.c_piece.d = self.c_piece.q - many;
            self.c_left.d = self.c_left.q - many;
            self.w_lanes.d = lanes;
            if eop {
                self.live.d = 0;
                let left = self.c_left.q - many;
                if !bad {
                    if left == 0 {
                        ends = 1;
                        ends_badly = self.c_poison.q;
                    }
                    ctx_we = 1;
                    ctx_at = self.c_tag.q;
                    let to = self.c_to.q + many.zext(13);
                    ctx_new = context(self.c_missing.q, sized(0, 2), to, left, self.c_client.q, self.c_owner.q);
                    if self.c_poison.q {
                        record = 1;
                        what = konst(Found::POISONED_COMPLETION);
                    }
                }
            }
        }
        let poisoned_part = valid & (!self.p_sop.q) & self.live.q & eop & (!bad) & self.c_poison.q;

        // --- time-outs, one tag after the other, each in two clocks
        self.tick.d = self.tick.q + 1;
        if self.tick.q == konst(TICK - 1) {
            self.now.d = self.now.q + 1;
        }
        self.old.raddr = self.look.q;
        // A tag rests for as long as the time-out, from when it was given up: patient functions give up late.
        self.rested.raddr = self.look.q;
        self.rested.waddr = self.l_tag.q;
        self.rested.wdata = self.now.q;
        let age = self.now.q - self.old.rdata.bits(7, 0);
        // A tag is read in one clock and judged in the next, if it is still what it was and no completion can end it just now.
        self.l_tag.d = self.look.q;
        self.l_used.d = self.used.q.sel(self.look.q);
        self.l_resting.d = self.resting.q.sel(self.look.q);
        self.l_late.d = age >= konst(self.timeout.get());
        let rest_age = self.now.q - self.rested.rdata;
        self.l_rested.d = rest_age >= konst(self.timeout.get());
        self.l_client.d = self.old.rdata.bits(13, 8);
        self.l_owner.d = self.old.rdata.bits(21, 14);
        let still = self.l_used.q & self.used.q.sel(self.l_tag.q);
        self.turn.d = !self.turn.q;
        self.looked.turn = self.turn.q;
        self.looked.used = still;
        self.looked.owner = self.l_owner.q;
        let mut patient = sized(0, 1);
        let mut mrrs = sized(0, 3);
        for e in 0..ENGINES {
            if self.l_client.q.bits(5, 4) == e {
                patient = self.patient[e];
            }
            if self.s_client.q.bits(5, 4) == e {
                mrrs = self.mrrs[e];
            }
        }
        let expires = self.turn.q & still & self.l_late.q & ((!patient) | self.looked.forgotten);
        let answered = (valid & (self.p_sop.q | eop)) | (self.live.q & (self.c_tag.q == self.l_tag.q));
        let acts = expires & !answered;
        self.rested.we = acts;
        if self.turn.q & !(expires & answered) {
            self.look.d = self.look.q + 1;
        }
        if acts {
            ends = 1;
            ends_badly = 1;
            rest = 1;
            end_tag = self.l_tag.q;
            end_client = self.l_client.q;
            record = 1;
            what = konst(Found::TIMEOUT);
            whose = self.l_owner.q;
        }

        // --- what is asked for
        let limit = match mrrs {
            0 => sized(32, 8),
            1 => 64,
            _ => 128,
        };
        let to_page = sized(1024, 11) - self.at.q.bits(11, 2).zext(11);
        let piece = least(least(self.left.q, limit.zext(11)), to_page);
        // The tag in hand is not in use yet, and taken.
        let taken = if self.sending.q { one_hot(self.tag.q) } else { 0 };
        let free = !(self.used.q | self.resting.q | taken);
        let mut found = sized(0, 1);
        let mut pick = sized(0, TAG);
        for i in 0..TAGS / 8 {
            let group: usize = TAGS / 8 - 1 - i;
            let eight = free.bits(8 * group + 7, 8 * group);
            if eight.any() {
                found = 1;
                pick = cat(sized(group, { TAG - 3 }), lowest(eight));
            }
        }
        self.found.d = found;
        self.pick.d = pick;
        // Whose turn it is, and what is asked.
        let mut wants = sized(0, ENGINES);
        for e in 0..ENGINES {
            let share: usize = self.share[e].get();
            if const { share != 0 } {
                let room = if const { share < TAGS } { self.held[e].q < konst(share) } else { sized(1, 1) };
                if self.rd[e].valid & room {
                    wants = wants | konst(1 << e);
                }
            }
        }
        self.turns.wants = wants;
        let some = self.turns.any;
        let who = self.turns.grant;
        self.turns.take = some & !self.active.q;
        self.turns.last = 1;
        let mut owner = sized(0, 8);
        let mut address = sized(0, 64);
        let mut asked = sized(0, 13);
        let mut client = sized(0, 4);
        let mut dest = sized(0, 13);
        let mut gone = sized(0, 11);
        let mut may = sized(1, 1);
        for e in 0..ENGINES {
            if const { self.share[e].get() != 0 } {
                if who == e {
                    owner = self.rd[e].owner;
                    address = self.rd[e].address;
                    asked = self.rd[e].bytes;
                    client = self.rd[e].client;
                    dest = self.rd[e].dest;
                    gone = self.sent[e].q;
                }
                if const { self.share[e].get() < TAGS } {
                    if self.s_client.q.bits(5, 4) == e {
                        may = self.held[e].q < konst(self.share[e].get());
                    }
                }
            }
        }
        let is_last = self.left.q == self.piece.q.zext(11);
        let mut finished = sized(0, 1);
        let mut starts_tag = sized(0, 1);
        let mut gated = sized(0, 1);
        if !self.active.q {
            if some {
                self.active.d = 1;
                // Within its page.
                self.at.d = cat(address.bits(63, 12), address.bits(11, 2) + gone.trunc(10), sized(0, 2));
                self.left.d = spans(address.bits(1, 0), asked) - gone;
                self.start.d = if gone == 0 { address.bits(1, 0) } else { 0 };
                self.missing.d = missing(address.bits(1, 0), asked);
                self.to.d = dest + gone.zext(13);
                self.s_owner.d = owner;
                self.s_client.d = cat(who, client);
            }
        } else if !self.sending.q {
            // The completion side has the memory of contexts first.
            if !may {
                self.active.d = 0;
            } else if self.found.q & !ctx_we {
                self.sending.d = 1;
                self.tag.d = self.pick.q;
                self.piece.d = piece.trunc(8);
                ctx_we = 1;
                ctx_at = self.pick.q;
                let pad = if self.left.q == piece { self.missing.q } else { 0 };
                ctx_new = context(pad, self.start.q, self.to.q, piece.trunc(8), self.s_client.q, self.s_owner.q);
            }
        } else if self.tx.ready {
            self.sending.d = 0;
            starts_tag = !self.tx.killed;
            gated = self.tx.killed;
            self.at.d = self.at.q + cat(self.piece.q, sized(0, 2)).zext(64);
            self.left.d = self.left.q - self.piece.q.zext(11);
            self.to.d = self.to.q + self.piece.q.zext(13);
            self.start.d = 0;
            if is_last {
                self.active.d = 0;
                finished = 1;
            }
        }
        let passes = self.sending.q & self.tx.ready;
        for e in 0..ENGINES {
            let its = self.s_client.q.bits(5, 4) == e;
            self.rd[e].ready = finished & its;
            if const { self.share[e].get() < TAGS } {
                if passes & its {
                    self.sent[e].d = if finished { 0 } else { self.sent[e].q + self.piece.q.zext(11) };
                }
            } else {
                self.sent[e].d = 0;
            }
        }
        self.ctx.we = ctx_we;
        self.ctx.waddr = ctx_at;
        self.ctx.wdata = ctx_new;
        self.p_newer.d = ctx_we & (ctx_at == tag8.trunc(TAG));
        self.p_new.d = ctx_new;
        self.old.we = starts_tag;
        self.old.waddr = self.tag.q;
        self.old.wdata = cat(self.s_owner.q, self.s_client.q, self.now.q);
        self.tx.valid = self.sending.q;
        self.tx.sop = 1;
        self.tx.eop = 1;
        self.tx.keep = 15;
        self.tx.owner = self.s_owner.q;
        let pad = if is_last { self.missing.q } else { 0 };
        self.tx.data = covering(self.at.q.bits(63, 2), self.piece.q.zext(11), self.tag.q.zext(8), self.start.q, pad);

        // --- books
        let begun = if starts_tag { one_hot(self.tag.q) } else { 0 };
        let over = if ends { one_hot(end_tag) } else { 0 };
        self.used.d = (self.used.q | begun) & !over;
        // One tag a clock comes back to its engine's share.
        let wakes = self.l_resting.q & self.l_rested.q & !self.d_ends.q;
        let revived = if self.turn.q & wakes { one_hot(self.l_tag.q) } else { 0 };
        let put_down = if rest { one_hot(end_tag) } else { 0 };
        self.resting.d = (self.resting.q | put_down) & !revived;
        // Who ended is known late in its clock: its client hears of it in the next.
        self.d_ends.d = ends;
        self.d_badly.d = ends_badly;
        self.d_rests.d = rest;
        self.d_client.d = end_client;
        for e in 0..ENGINES {
            let mut pending = sized(0, WIDTH);
            let mut fail = self.fail[e].q & !self.land[e].forget;
            for c in 0..CLIENTS[e] {
                let client: usize = 16 * e + c;
                let nth: usize = FIRST[e] + c;
                let up = starts_tag & (self.s_client.q == client);
                let down = self.d_ends.q & (self.d_client.q == client);
                if up & !down {
                    self.count[nth].d = self.count[nth].q + 1;
                }
                if down & !up {
                    self.count[nth].d = self.count[nth].q - 1;
                }
                if self.count[nth].q != 0 {
                    pending = pending | konst(1 << c);
                }
                let hurt = poisoned_part & (self.c_client.q == client);
                if (down & self.d_badly.q) | (gated & (self.s_client.q == client)) | hurt {
                    fail = fail | konst(1 << c);
                }
            }
            self.fail[e].d = fail;
            self.land[e].pending = pending;
            self.land[e].failed = self.fail[e].q;
            let more = starts_tag & (self.s_client.q.bits(5, 4) == e);
            let ended = self.d_ends.q & (!self.d_rests.q) & (self.d_client.q.bits(5, 4) == e);
            let back = self.turn.q & wakes & (self.l_client.q.bits(5, 4) == e);
            let less = ended | back;
            if more & !less {
                self.held[e].d = self.held[e].q + 1;
            }
            if less & !more {
                self.held[e].d = self.held[e].q - 1;
            }
            self.land[e].lanes = self.w_lanes.q & (self.w_client.q.bits(5, 4) == e).rep(4);
            self.land[e].client = self.w_client.q.trunc(4);
            self.land[e].row = self.w_row.q;
            self.land[e].next = self.w_next.q;
            self.land[e].off = self.w_off.q;
            self.land[e].data = self.w_word.q;
            self.land[e].at = self.w_at.q;
            self.land[e].dws = self.w_dws.q;
            self.land[e].nulled = self.n_valid.q & (self.n_client.q.bits(5, 4) == e);
            self.land[e].nulled_client = self.n_client.q.trunc(4);
        }

        // Completions come when they come: what was found is told for one clock, to one who takes it always.
        self.e_valid.d = record;
        self.e_event.d = what;
        self.e_owner.d = whose;
        self.e_everyone.d = everyone;
        // A time-out has no header of its own (PCIe 6.2.4.2: ones).
        self.e_header.d = if acts { sized(1, 1).rep(96) } else { if starts { h.bits(95, 0) } else { self.c_header.q } };
        check!((!self.e_valid.q) | self.error.ready, "an error of a completion is lost");
        self.error.valid = self.e_valid.q;
        self.error.owner = self.e_owner.q;
        self.error.everyone = self.e_everyone.q;
        self.error.event = self.e_event.q;
        self.error.header = cat(self.e_header.q.all().rep(32), self.e_header.q);
        self.busy = self.active.q
            | some
            | (self.used.q != 0)
            | (self.resting.q != 0)
            | self.live.q
            | self.d_ends.q
            | self.cpl.valid
            | valid
            | self.e_valid.q;
    }
}
