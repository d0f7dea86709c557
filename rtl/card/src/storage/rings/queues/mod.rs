//! The queues of all storage functions: one memory of submission queues, one of completion queues, one machine.
//!
//! Whose entry is fetched next is for `turns` to say: a queue with entries to fetch is marked there, once, and again after
//! each command, so that finding the next costs the same with one queue or five hundred.
//!
//! A command is only fetched when its completion queue has room for the completion, which is then reserved: the poster
//! never waits for a host that does not read its completions (NVMe 4.1, 4.6).
//!
//! Promise: a queue that is deleted or whose controller is reset is not fetched from any more; `drained` and `CLEAR` say
//! when nothing that was fetched is left; a doorbell of a queue that is not there, or with a value beyond its end, changes
//! nothing and is reported. The head that a completion tells (SQHD, NVMe 2.0 §3.3.1.2) counts only entries that are here: the
//! host may write over them. No operation waits for anybody.

mod words;

use azote_hdl::prelude::*;

use self::words::{Cq, Deletion, Sq};
use super::turns::Turns;
use crate::parts::{BlockTable, Table, slots_of};
use crate::storage::terms::{Answer, Op};

struct St;
impl St {
    const IDLE: u64 = 0;
    const READ: u64 = 1;
    const FIRST: u64 = 2;
    const ROOM: u64 = 3;
    const SECOND: u64 = 4;
    const DONE: u64 = 5;
    const WALK_READ: u64 = 6;
    const WALK: u64 = 7;
    const WIPE: u64 = 8;
    const BOOT: u64 = 9;
}

/// Clients in order of precedence: poster, registers, admin, front.
const CLIENTS: usize = 4;
pub const POSTER: usize = 0;
pub const REGISTERS: usize = 1;
pub const ADMIN: usize = 2;
pub const FRONT: usize = 3;

#[derive(LogicBlock, Default)]
pub struct Queues {
    pub clock: Clk,
    pub reset: Rst,
    /// Held until `ack`.
    pub valid: [I<1>; CLIENTS],
    pub op: [I<4>; CLIENTS],
    pub slot: [I<6>; CLIENTS],
    pub qid: [I<3>; CLIENTS],
    pub ack: [O<1>; CLIENTS],
    /// Doorbell value; the size of a queue (0's based).
    pub value: I<16>,
    /// Page numbers: ASQ and ACQ for ENABLE.
    pub asq: I<52>,
    pub acq: I<52>,
    pub asqs: I<12>,
    pub acqs: I<12>,
    /// A doorbell is of a queue beyond the last.
    pub beyond: I<1>,
    /// How many entries of `f_slot`'s `f_qid` were taken and are not here yet.
    pub unread: I<3>,
    /// For DELETE_SQ: the command, to be complete when the queue is drained.
    pub cid: I<16>,
    /// For CREATE.
    pub base: I<52>,
    pub size: I<12>,
    pub cqid: I<3>,
    pub iv: I<3>,
    pub interrupts: I<1>,
    /// Answers, with `ack`.
    pub answer: O<2>,
    pub found: O<1>,
    pub f_slot: O<6>,
    pub f_qid: O<3>,
    pub address: O<64>,
    pub phase: O<1>,
    pub head: O<12>,
    pub p_vector: O<3>,
    pub p_interrupt: O<1>,
    /// With the answer to the poster: that was the last command of a queue that this command deleted.
    pub drained: O<1>,
    pub drained_cid: O<16>,
    /// One clock: the host has read from the admin completion queue of `f_slot`.
    pub eased: O<1>,
    /// One clock: a doorbell was wrong (0: no such queue, 1: value).
    pub wrong: O<1>,
    pub wrong_slot: O<6>,
    pub wrong_value: O<1>,
    /// Something can be fetched.
    pub work: O<1>,
    /// One clock: a command of `f_slot` was fetched, and it was one of an I/O queue.
    pub granted: O<1>,
    pub fetched: O<1>,
    /// The limits of `ask`, in the same clock; and of whom they have just been eased.
    pub ask: O<6>,
    pub allowed: I<1>,
    pub admin_allowed: I<1>,
    pub weight: I<4>,
    pub revive: I<1>,
    pub revive_slot: I<6>,
    pub again: I<1>,
    pub again_slot: I<6>,
    pub again_take: O<1>,
    /// Who waits for its limits.
    pub parked: O<64>,
    pub busy: O<1>,
    st: Reg<4>,
    who: Reg<2>,
    what: Reg<4>,
    s: Reg<6>,
    q: Reg<3>,
    /// The queue found by FETCH or named by the client.
    cq: Reg<3>,
    walk: Reg<4>,
    any: Reg<1>,
    said: Reg<2>,
    /// The completion queue whose word was there a clock ago is full.
    r_full: Reg<1>,
    r_found: Reg<1>,
    /// Where the entry is: the queue's page, and how far into the queue. The sum is made behind the register.
    r_base: Reg<52>,
    r_offset: Reg<18>,
    r_phase: Reg<1>,
    r_head: Reg<12>,
    r_vector: Reg<3>,
    r_interrupt: Reg<1>,
    r_drained: Reg<1>,
    r_cid: Reg<16>,
    r_eased: Reg<1>,
    r_wrong: Reg<1>,
    r_wrong_value: Reg<1>,
    /// Whose completion was posted last, and whether its queues were deleted since: it may be taken back.
    p_slot: Reg<6>,
    p_qid: Reg<3>,
    p_cqid: Reg<3>,
    sq_gone: Reg<1>,
    cq_gone: Reg<1>,
    sq_word: Reg<{ Sq::WIDTH }>,
    sqs: BlockTable<9, { Sq::WIDTH }, 1>,
    cqs: BlockTable<9, { Cq::WIDTH }, 1>,
    open: Table<6, 1, 1>,
    turns: Turns,
}

impl Queues {
    /// Queues of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = slots_of(vfs);
        Queues {
            st: Reg::new(St::BOOT),
            sqs: BlockTable::new(slots * 8, 3),
            cqs: BlockTable::new(slots * 8, 3),
            open: Table::new(slots, 0),
            turns: Turns::new(vfs),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Queues {
    fn update(&mut self) {
        clocked!(self.turns, self.sqs, self.cqs, self.open);
        // The words in hand, taken apart.
        let w = self.sqs.rdata[0];
        let s_size = w.get(Sq::SIZE);
        let s_head = w.get(Sq::HEAD);
        let s_tail = w.get(Sq::TAIL);
        let s_cqid = w.get(Sq::CQID);
        let s_ring = w.get(Sq::RING);
        let s_valid = w.get(Sq::VALID);
        let s_inflight = w.get(Sq::INFLIGHT);
        let s_deletion = w.get(Sq::BASE);
        let c = self.cqs.rdata[0];
        let c_size = c.get(Cq::SIZE);
        let c_head = c.get(Cq::HEAD);
        let c_tail = c.get(Cq::TAIL);
        let c_valid = c.get(Cq::VALID);
        let c_phase = c.get(Cq::PHASE);
        let c_reserved = c.get(Cq::RESERVED);
        // The submission queue kept while its completion queue is looked at.
        let k = self.sq_word.q;
        let k_size = k.get(Sq::SIZE);
        let k_head = k.get(Sq::HEAD);
        let k_inflight = k.get(Sq::INFLIGHT);

        self.open.raddr[0] = self.s.q;
        let open = self.open.rdata[0];
        let s_next = if s_head == s_size { 0 } else { s_head + 1 };
        let k_next = if k_head == k_size { 0 } else { k_head + 1 };
        let c_next = if c_tail == c_size { 0 } else { c_tail + 1 };
        // Entries posted and not read, and those promised.
        let posted = if c_tail >= c_head { c_tail - c_head } else { (c_tail - c_head) + c_size + 1 };
        let filled = posted.zext(13) + c_reserved.zext(13);
        self.r_full.d = filled >= c_size.zext(13);
        let full = self.r_full.q;

        let mut sq_we = sized(0, 1);
        let mut sq_at = cat(self.s.q, self.q.q);
        let mut sq_new = w;
        let mut cq_we = sized(0, 1);
        let mut cq_at = cat(self.s.q, self.cq.q);
        let mut cq_new = c;
        let mut open_we = sized(0, 1);
        let mut open_new = sized(0, 1);
        let mut push = sized(0, 1);
        let mut push_q = self.q.q;
        let mut sq_read = cat(self.s.q, self.q.q);
        let mut cq_read = cat(self.s.q, self.cq.q);
        let mut fresh = sized(0, 1);
        self.turns.take = 0;
        self.work = self.turns.valid;
        self.ask = self.turns.ask;
        self.turns.allowed = self.allowed;
        self.turns.admin_allowed = self.admin_allowed;
        self.turns.again = self.again;
        self.turns.again_slot = self.again_slot;
        self.again_take = self.turns.again_take;
        self.turns.weight = self.weight;
        self.turns.revive = self.revive;
        self.turns.revive_slot = self.revive_slot;
        self.parked = self.turns.parked;

        for i in 0..4 {
            self.ack[i] = (self.st.q == St::DONE) & (self.who.q == i);
        }

        let op = self.what.q;
        match self.st.q {
            St::BOOT => {
                if self.sqs.ready {
                    self.st.d = St::IDLE;
                }
            }
            St::IDLE => {
                self.r_found.d = 0;
                self.r_drained.d = 0;
                self.r_eased.d = 0;
                self.r_wrong.d = 0;
                self.said.d = Answer::YES;
                self.any.d = 0;
                self.walk.d = 0;
                for back in 0..4 {
                    let i: usize = 3 - back;
                    if self.valid[i] {
                        self.who.d = konst(i);
                        self.what.d = self.op[i];
                        self.s.d = self.slot[i];
                        self.q.d = self.qid[i];
                        self.cq.d = if self.op[i] == Op::CREATE_SQ { self.cqid } else { self.qid[i] };
                        self.st.d = St::READ;
                    }
                }
                // FETCH names no queue: it takes whose turn it is.
                if self.valid[FRONT] & !self.valid[0] & !self.valid[1] & !self.valid[2] {
                    self.s.d = self.turns.slot;
                    self.q.d = self.turns.qid;
                    self.turns.take = self.turns.valid;
                    if !self.turns.valid {
                        self.st.d = St::DONE;
                    }
                }
            }
            St::READ => {
                self.st.d = St::FIRST;
                if (op == Op::CLEAR) | (op == Op::DELETE_CQ) {
                    self.st.d = St::WALK_READ;
                }
            }
            St::FIRST => {
                self.sq_word.d = w;
                cq_read = cat(self.s.q, s_cqid);
                self.st.d = St::DONE;
                match op {
                    Op::SQ_DOORBELL => {
                        let bad = self.value > s_size.zext(16);
                        if (!s_valid) | bad | self.beyond | !open {
                            self.r_wrong.d = open;
                            self.r_wrong_value.d = s_valid & !self.beyond;
                        } else {
                            let tail = self.value.trunc(12);
                            let go = (tail != s_head) & !s_ring;
                            push = go;
                            fresh = s_inflight == 0;
                            sq_we = 1;
                            sq_new = Sq { ring: s_ring | go, tail, ..w };
                        }
                    }
                    Op::CQ_DOORBELL => {
                        let bad = self.value > c_size.zext(16);
                        if (!c_valid) | bad | self.beyond | !open {
                            self.r_wrong.d = open;
                            self.r_wrong_value.d = c_valid & !self.beyond;
                        } else {
                            self.r_eased.d = self.q.q == 0;
                            cq_we = 1;
                            cq_new = Cq { blocked: 0, head: self.value.trunc(12), ..c };
                            if c.get(Cq::BLOCKED) {
                                self.st.d = St::WALK_READ;
                            }
                        }
                    }
                    Op::ENABLE => {
                        sq_we = 1;
                        sq_new = Sq { valid: 1, ring: s_ring, size: self.asqs, base: self.asq, ..0 };
                        cq_we = 1;
                        cq_new = Cq { valid: 1, ien: 1, phase: 1, size: self.acqs, base: self.acq, ..0 };
                        open_we = 1;
                        open_new = 1;
                    }
                    Op::QUIESCE => open_we = 1,
                    Op::CREATE_CQ => {
                        if c_valid {
                            self.said.d = Answer::QID;
                        } else {
                            cq_we = 1;
                            cq_new = Cq {
                                valid: 1,
                                ien: self.interrupts,
                                iv: self.iv,
                                phase: 1,
                                size: self.size,
                                base: self.base,
                                ..0
                            };
                        }
                    }
                    Op::CREATE_SQ => {
                        if s_valid | (s_inflight != 0) {
                            self.said.d = Answer::QID;
                        } else if !c_valid {
                            self.said.d = Answer::CQ;
                        } else {
                            sq_we = 1;
                            sq_new =
                                Sq { valid: 1, ring: s_ring, cqid: self.cqid, size: self.size, base: self.base, ..0 };
                        }
                    }
                    Op::DELETE_SQ => {
                        if !s_valid {
                            self.said.d = Answer::QID;
                        } else {
                            let late = s_inflight != 0;
                            let deletion = Deletion { follows: late, cid: self.cid }.zext(52);
                            sq_we = 1;
                            sq_new = Sq { valid: 0, base: deletion, ..w };
                            if late {
                                self.said.d = Answer::USED;
                            } else if (self.s.q == self.p_slot.q) & (self.q.q == self.p_qid.q) {
                                self.sq_gone.d = 1;
                            }
                        }
                    }
                    Op::UNDO => {
                        // The controller may have been closed meanwhile: then there is nothing to take back to. Of a queue
                        // that was deleted nothing comes again; its name may be another's by now.
                        let kept = !(self.sq_gone.q | self.cq_gone.q);
                        self.cq.d = self.p_cqid.q;
                        cq_read = cat(self.s.q, self.p_cqid.q);
                        sq_we = kept;
                        sq_new = Sq { inflight: s_inflight + 1, ..w };
                        self.r_found.d = kept;
                        self.st.d = if open & !self.cq_gone.q { St::SECOND } else { St::DONE };
                    }
                    Op::RESERVE => {
                        if open & s_valid {
                            self.cq.d = s_cqid;
                            self.st.d = St::ROOM;
                        }
                    }
                    Op::FETCH => {
                        if (!open) | (!s_valid) | (s_head == s_tail) {
                            sq_we = 1;
                            sq_new = Sq { ring: 0, ..w };
                        } else {
                            self.cq.d = s_cqid;
                            self.st.d = St::ROOM;
                        }
                    }
                    _ => {
                        // POST and RELEASE.
                        self.p_slot.d = self.s.q;
                        self.p_qid.d = self.q.q;
                        self.p_cqid.d = s_cqid;
                        self.sq_gone.d = 0;
                        self.cq_gone.d = 0;
                        self.cq.d = s_cqid;
                        let unread = self.unread.zext(12);
                        let turned = s_head + s_size + 1 - unread;
                        self.r_head.d = if s_head >= unread { s_head - unread } else { turned };
                        self.r_drained.d = (s_inflight == 1) & (!s_valid) & s_deletion.get(Deletion::FOLLOWS);
                        self.r_cid.d = s_deletion.get(Deletion::CID);
                        sq_we = 1;
                        sq_new = Sq { inflight: s_inflight - 1, ..w };
                        self.st.d = if open { St::SECOND } else { St::DONE };
                    }
                }
            }
            // The completion queue's word is there; whether it is full is known a clock later.
            St::ROOM => self.st.d = St::SECOND,
            St::SECOND => {
                self.st.d = St::DONE;
                cq_we = 1;
                match op {
                    Op::FETCH => {
                        sq_we = 1;
                        if full {
                            cq_new = Cq { blocked: 1, ..c };
                            sq_new = Sq { valid: 1, ring: 0, ..k };
                        } else {
                            let more = k_next != k.get(Sq::TAIL);
                            push = more;
                            cq_new = Cq { reserved: c_reserved + 1, ..c };
                            sq_new = Sq { inflight: k_inflight + 1, valid: 1, ring: more, head: k_next, ..k };
                            check!(c_valid, "a command is complete whose completion queue is gone");
                            self.r_found.d = 1;
                            self.r_base.d = k.get(Sq::BASE);
                            self.r_offset.d = cat(k_head, sized(0, 6));
                        }
                    }
                    Op::RESERVE => {
                        let more = (!full).zext(12);
                        sq_we = 1;
                        sq_new = Sq { inflight: k_inflight + more, valid: 1, ..k };
                        cq_new = Cq { reserved: c_reserved + more, ..c };
                        self.r_found.d = !full;
                    }
                    Op::POST => {
                        check!(c_valid, "a command is complete whose completion queue is gone");
                        self.r_found.d = 1;
                        self.r_base.d = c.get(Cq::BASE);
                        self.r_offset.d = cat(sized(0, 2), c_tail, sized(0, 4));
                        self.r_phase.d = c_phase;
                        self.r_vector.d = c.get(Cq::IV);
                        self.r_interrupt.d = c.get(Cq::IEN);
                        let turn = c_tail == c_size;
                        cq_new = Cq { reserved: c_reserved - 1, phase: c_phase ^ turn, tail: c_next, ..c };
                    }
                    Op::UNDO => {
                        let turn = c_tail == 0;
                        let back = if turn { c_size } else { c_tail - 1 };
                        if self.sq_gone.q {
                            // Room without a doorbell, as below.
                            cq_new = Cq { blocked: 0, phase: c_phase ^ turn, tail: back, ..c };
                            if c.get(Cq::BLOCKED) {
                                self.q.d = self.cq.q;
                                self.st.d = St::WALK_READ;
                            }
                        } else {
                            cq_new = Cq { reserved: c_reserved + 1, phase: c_phase ^ turn, tail: back, ..c };
                        }
                    }
                    _ => {
                        // Room without a doorbell: whoever waited for it is woken here.
                        cq_new = Cq { reserved: c_reserved - 1, blocked: 0, ..c };
                        if c.get(Cq::BLOCKED) {
                            self.q.d = self.cq.q;
                            self.st.d = St::WALK_READ;
                        }
                    }
                }
            }
            // All submission queues of the function, one after the other.
            St::WALK_READ => {
                sq_read = cat(self.s.q, self.walk.q.trunc(3));
                self.st.d = St::WALK;
            }
            St::WALK => {
                sq_read = cat(self.s.q, self.walk.q.trunc(3));
                sq_at = cat(self.s.q, self.walk.q.trunc(3));
                push_q = self.walk.q.trunc(3);
                self.walk.d = self.walk.q + 1;
                self.st.d = St::WALK_READ;
                let last = self.walk.q == 7;
                let mut used = self.any.q;
                match op {
                    Op::CLEAR => used = self.any.q | (s_inflight != 0),
                    Op::DELETE_CQ => used = self.any.q | ((s_valid | (s_inflight != 0)) & (s_cqid == self.q.q)),
                    _ => {
                        let wake = s_valid & (s_cqid == self.q.q) & (s_head != s_tail) & !s_ring;
                        push = wake;
                        sq_we = wake;
                        sq_new = Sq { ring: 1, ..w };
                    }
                }
                self.any.d = used;
                if last {
                    self.walk.d = 0;
                    self.st.d = St::DONE;
                    if (op == Op::CLEAR) | (op == Op::DELETE_CQ) {
                        if used {
                            self.said.d = Answer::USED;
                        } else if op == Op::CLEAR {
                            self.st.d = St::WIPE;
                        } else if !c_valid {
                            self.said.d = Answer::QID;
                        } else {
                            cq_we = 1;
                            cq_new = 0;
                            if (self.s.q == self.p_slot.q) & (self.q.q == self.p_cqid.q) {
                                self.cq_gone.d = 1;
                            }
                        }
                    }
                    if (op == Op::DELETE_CQ) & !c_valid {
                        self.said.d = Answer::QID;
                    }
                }
            }
            St::WIPE => {
                // A queue that is marked stays so until FETCH meets it.
                let q = self.walk.q.trunc(3);
                sq_read = cat(self.s.q, q);
                cq_at = cat(self.s.q, q);
                sq_at = cat(self.s.q, q);
                cq_we = self.walk.q.bit(3);
                sq_we = self.walk.q.bit(3);
                sq_new = Sq { ring: s_ring, ..0 };
                cq_new = 0;
                // Even: read; odd: write. The low bits name the queue.
                if self.walk.q.bit(3) {
                    self.walk.d = cat(sized(0, 1), q + 1);
                    if q == 7 {
                        self.st.d = St::DONE;
                    }
                } else {
                    self.walk.d = cat(sized(1, 1), q);
                }
            }
            St::DONE => self.st.d = St::IDLE,
            _ => self.st.d = St::IDLE,
        }

        let fetching = (self.st.q == St::DONE) & (op == Op::FETCH);
        self.turns.mark = push;
        self.turns.mark_slot = self.s.q;
        self.turns.mark_qid = push_q;
        self.turns.mark_fresh = fresh;
        self.turns.over = fetching;
        self.granted = fetching & self.r_found.q;
        self.fetched = self.granted & (self.q.q != 0);
        self.sqs.we = sq_we;
        self.sqs.waddr = sq_at;
        self.sqs.wdata = sq_new;
        self.sqs.raddr[0] = sq_read;
        self.sqs.first = 0;
        self.sqs.wipe = 0;
        self.sqs.wipe_slot = 0;
        self.cqs.we = cq_we;
        self.cqs.waddr = cq_at;
        self.cqs.wdata = cq_new;
        self.cqs.raddr[0] = cq_read;
        self.cqs.first = 0;
        self.cqs.wipe = 0;
        self.cqs.wipe_slot = 0;
        self.open.we = open_we;
        self.open.waddr = self.s.q;
        self.open.wdata = open_new;
        self.open.first = 0;
        self.open.wipe = 0;
        self.open.wipe_slot = 0;

        self.answer = self.said.q;
        self.found = self.r_found.q;
        self.f_slot = self.s.q;
        self.f_qid = self.q.q;
        self.address = cat(self.r_base.q, sized(0, 12)) + self.r_offset.q.zext(64);
        self.phase = self.r_phase.q;
        self.head = self.r_head.q;
        self.p_vector = self.r_vector.q;
        self.p_interrupt = self.r_interrupt.q;
        self.drained = self.r_drained.q;
        self.drained_cid = self.r_cid.q;
        self.eased = (self.st.q == St::DONE) & self.r_eased.q;
        self.wrong = (self.st.q == St::DONE) & self.r_wrong.q;
        self.wrong_slot = self.s.q;
        self.wrong_value = self.r_wrong_value.q;
        self.busy = (self.st.q != St::IDLE) | self.turns.busy;
    }
}
