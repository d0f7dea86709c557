//! Asynchronous events (NVMe 5.2): requests are kept here by their ids until there is something to tell.
//!
//! There are three things to tell: a doorbell that was rung wrongly, a temperature beyond its threshold, a namespace that is
//! another one now. One event is told, then its type is masked until the host has read the log page that it names. A
//! controller that is not enabled is told nothing: it looks for itself when it begins.
//!
//! An event that meets a full completion queue is told when the host has made room there.

use azote_hdl::prelude::*;
use azote_regs::nvme::{command as cmd, limits, opcode};

use crate::parts::{Fifo, Forget, Marks, Table, is_marked, mark_of, slots_of};

/// What the commands ask of the events.
pub struct Ask;
impl Ask {
    /// An Asynchronous Event Request.
    pub const REQUEST: u64 = 0;
    /// Is a namespace on the changed list?
    pub const PEEK: u64 = 1;
    /// The log page of a type was read: `SEEN | type`.
    pub const SEEN: u64 = 4;
    /// The temperature went beyond its threshold.
    pub const WARM: u64 = 2;
}

/// What becomes of a request.
pub struct Told;
impl Told {
    pub const NOW: u64 = 0;
    pub const HELD: u64 = 1;
    pub const TOO_MANY: u64 = 2;
}

/// Types, and the bits of a row that are theirs.
pub struct Type;
impl Type {
    pub const ERROR: u64 = 0;
    pub const HEALTH: u64 = 1;
    pub const NOTICE: u64 = 2;
}

struct St;
impl St {
    const BOOT: u64 = 0;
    const IDLE: u64 = 1;
    const ANSWER: u64 = 2;
    const RAISE: u64 = 3;
    const RESERVE: u64 = 4;
    const TELL: u64 = 5;
    const ACK: u64 = 6;
    const WANT: u64 = 7;
    const LOOK: u64 = 8;
}

packed! {
    /// What is kept of a function: which of the wrong doorbells is to be told, whether its namespace is on the changed list, the
    /// types that are masked and that are to be told, a bit each, and how many requests are held.
    Row {
        which: 1,
        listed: 1,
        masked: 3,
        pending: 3,
        held: 3,
    }
}

packed! {
    /// A doorbell that was rung wrongly, as the ports tell it.
    Wrong {
        value: 1,
        slot: 6,
    }
}

#[derive(LogicBlock, Default)]
pub struct Events {
    pub clock: Clk,
    pub reset: Rst,
    /// From the commands, held until `ack`.
    pub valid: I<1>,
    pub ask: I<3>,
    pub slot: I<6>,
    pub cid: I<16>,
    pub ack: O<1>,
    pub answer: O<2>,
    pub dw0: O<32>,
    /// A namespace was on the changed list.
    pub listed: O<1>,
    /// A command is being worked on: the queues are its own.
    pub hold: I<1>,
    pub working: O<1>,
    /// One clock: what the host wants to be told.
    pub wants: I<1>,
    pub wants_slot: I<6>,
    pub wants_health: I<1>,
    pub wants_notice: I<1>,
    /// One clock: a doorbell was rung wrongly (0: no such queue, 1: a value that cannot be).
    pub wrong: I<1>,
    pub wrong_slot: I<6>,
    pub wrong_value: I<1>,
    /// One clock: a controller was enabled; a slot has another binding.
    pub began: I<1>,
    pub began_slot: I<6>,
    pub changed: I<1>,
    pub changed_slot: I<6>,
    /// One clock: there may be room again in somebody's admin completion queue.
    pub eased: I<1>,
    /// To the queues: room for a completion.
    pub q_valid: O<1>,
    pub q_slot: O<6>,
    pub q_ack: I<1>,
    pub q_found: I<1>,
    /// A completion to post.
    pub tell_valid: O<1>,
    pub tell_ready: I<1>,
    pub tell_slot: O<6>,
    pub tell_cid: O<16>,
    pub tell_dw0: O<32>,
    /// A controller was closed: held until `forget_done`, which stays until `forget` falls.
    pub forget: I<1>,
    pub forget_slot: I<6>,
    pub forget_done: O<1>,
    pub busy: O<1>,
    st: Reg<4>,
    s: Reg<6>,
    /// What is being told: its type, and which of the two wrong doorbells.
    kind: Reg<2>,
    which: Reg<1>,
    /// Whether `s` wanted to hear of it a clock ago.
    wanted: Reg<1>,
    id: Reg<16>,
    r_answer: Reg<2>,
    r_dw0: Reg<32>,
    r_listed: Reg<1>,
    /// Events that met a full queue are looked for, at which slot.
    scans: Reg<1>,
    scan: Reg<6>,
    slots: Param,
    /// Whose controllers are enabled, whose binding has changed since, and who wants to hear of what.
    live: Reg<64>,
    news: Marks,
    want_health: Reg<64>,
    want_notice: Reg<64>,
    /// Of each function, and the ids of the requests that are held.
    rows: Table<6, { Row::WIDTH }, 1>,
    ids: LutRam<8, 16>,
    wrongs: Fifo<{ Wrong::WIDTH }>,
    forgets: Forget,
}

impl Events {
    /// Events of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = slots_of(vfs);
        Events {
            slots: Param::new(slots),
            news: Marks::new(slots),
            rows: Table::new(slots, 0),
            ids: LutRam::new(slots * 4),
            wrongs: Fifo::new(8),
            ..Self::default()
        }
    }
}

/// DW 0 of the completion that tells an event.
#[pure]
fn told(kind: V, which: V) -> V {
    let error = sized(cmd::EVENT_TYPE.put(cmd::EVENT_TYPE_ERROR) | cmd::EVENT_LOG.put(opcode::LOG_ERROR), 32);
    match kind {
        Type::ERROR => error | (which.zext(32) << 8),
        Type::HEALTH => sized(
            cmd::EVENT_TYPE.put(cmd::EVENT_TYPE_HEALTH)
                | cmd::EVENT_INFO.put(cmd::EVENT_INFO_TEMPERATURE)
                | cmd::EVENT_LOG.put(opcode::LOG_SMART),
            32,
        ),
        Type::NOTICE => sized(
            cmd::EVENT_TYPE.put(cmd::EVENT_TYPE_NOTICE)
                | cmd::EVENT_INFO.put(cmd::EVENT_INFO_NAMESPACE)
                | cmd::EVENT_LOG.put(opcode::LOG_CHANGED),
            32,
        ),
        _ => sized(0, 32),
    }
}

/// The bit of a type.
#[pure]
fn bit_of(kind: V) -> V {
    match kind {
        Type::ERROR => sized(1, 3),
        Type::HEALTH => sized(2, 3),
        Type::NOTICE => sized(4, 3),
        _ => sized(0, 3),
    }
}

#[kernel]
impl Logic for Events {
    fn update(&mut self) {
        clocked!(self.wrongs, self.news, self.forgets, self.rows);
        memories!(self.ids);
        let row = self.rows.rdata[0];
        let held = row.get(Row::HELD);
        let pending = row.get(Row::PENDING);
        let masked = row.get(Row::MASKED);
        let listed = row.get(Row::LISTED);
        let which = row.get(Row::WHICH);
        let seen = bit_of(self.ask.bits(1, 0));
        let mine = bit_of(self.kind.q);
        let open = pending & !masked;
        let first_open = if open.bit(0) {
            sized(Type::ERROR, 2)
        } else if open.bit(1) {
            sized(Type::HEALTH, 2)
        } else {
            Type::NOTICE
        };

        let mut we = sized(0, 1);
        let mut new = sized(0, Row::WIDTH);
        let mut id_we = sized(0, 1);
        self.wrongs.in_valid = self.wrong;
        self.wrongs.in_data = Wrong { value: self.wrong_value, slot: self.wrong_slot };
        self.wrongs.out_ready = 0;
        self.ack = self.st.q == St::ACK;
        self.forgets.ask = self.forget;
        self.forget_done = self.forgets.done;
        if self.eased {
            self.scans.d = 1;
            self.scan.d = 0;
        }
        self.news.take = 0;

        match self.st.q {
            St::BOOT => {
                if self.rows.ready {
                    self.st.d = St::IDLE;
                }
            }
            St::IDLE => {
                if self.valid {
                    self.s.d = self.slot;
                    self.kind.d = Type::HEALTH;
                    self.st.d = St::ANSWER;
                } else if self.hold {
                    // The queues are the command's.
                } else if self.wrongs.out_valid {
                    self.wrongs.out_ready = 1;
                    self.s.d = self.wrongs.out_data.get(Wrong::SLOT);
                    self.which.d = self.wrongs.out_data.get(Wrong::VALUE);
                    self.kind.d = Type::ERROR;
                    self.st.d = St::WANT;
                } else if self.news.valid {
                    self.news.take = 1;
                    self.s.d = self.news.first;
                    self.kind.d = Type::NOTICE;
                    self.st.d = St::WANT;
                } else if self.scans.q {
                    self.s.d = self.scan.q;
                    self.st.d = St::LOOK;
                }
            }
            St::ANSWER => {
                self.r_listed.d = listed;
                self.r_answer.d = Told::NOW;
                self.r_dw0.d = told(first_open, which);
                self.st.d = St::ACK;
                if self.ask.bit(2) {
                    we = 1;
                    let keeps = listed & !seen.bit(2);
                    new = Row { listed: keeps, masked: masked & !seen, ..row };
                } else if self.ask == Ask::REQUEST {
                    we = 1;
                    let now = bit_of(first_open);
                    if open != 0 {
                        // Something happened while nobody had asked.
                        new = Row { masked: masked | now, pending: pending & !now, ..row };
                    } else if held > limits::AERL {
                        new = row;
                        self.r_answer.d = Told::TOO_MANY;
                    } else {
                        id_we = 1;
                        new = Row { held: held + 1, ..row };
                        self.r_answer.d = Told::HELD;
                    }
                }
            }
            St::ACK => self.st.d = if self.ask == Ask::WARM { St::RAISE } else { St::IDLE },
            St::WANT => self.st.d = St::RAISE,
            St::RAISE => {
                let tells = self.wanted.q & ((masked & mine) == 0);
                let waits = tells & (held == 0);
                let kept = if waits { mine } else { 0 };
                let bell = if waits & (self.kind.q == Type::ERROR) { self.which.q } else { which };
                we = 1;
                // It is on the list in any case.
                let on_list = listed | (self.kind.q == Type::NOTICE);
                new = Row { which: bell, listed: on_list, pending: pending | kept, ..row };
                self.id.d = self.ids.rdata;
                self.st.d = if tells & (held != 0) { St::RESERVE } else { St::IDLE };
            }
            St::LOOK => {
                // One a slot: the next is looked for when the host has read this one.
                if !self.eased {
                    self.scan.d = self.scan.q + 1;
                    self.scans.d = self.scan.q != konst(self.slots.get() - 1);
                }
                self.kind.d = first_open;
                self.which.d = which;
                self.id.d = self.ids.rdata;
                self.st.d = if (open != 0) & (held != 0) { St::RESERVE } else { St::IDLE };
            }
            St::RESERVE => {
                // The completion queue may be full of what the host has not read: then the event waits.
                if self.q_ack {
                    we = 1;
                    let now = Row { masked: masked | mine, pending: pending & !mine, held: held - 1, ..row };
                    let bell = if self.kind.q == Type::ERROR { self.which.q } else { which };
                    let later = Row { which: bell, pending: pending | mine, ..row };
                    new = if self.q_found { now } else { later };
                    self.st.d = if self.q_found { St::TELL } else { St::IDLE };
                }
            }
            St::TELL => {
                if self.tell_ready {
                    self.st.d = St::IDLE;
                }
            }
            _ => self.st.d = St::IDLE,
        }
        // Who is closed wants nothing, whatever it did before.
        self.wanted.d = is_marked(self.live.q, self.s.q, { self.slots.get() })
            & match self.kind.q {
                Type::HEALTH => is_marked(self.want_health.q, self.s.q, { self.slots.get() }),
                Type::NOTICE => is_marked(self.want_notice.q, self.s.q, { self.slots.get() }),
                _ => sized(1, 1),
            };
        // A slot is forgotten beside whatever is done for others.
        let at_it = (self.st.q != St::IDLE) & (self.s.q == self.forget_slot);
        self.rows.wipe = self.forgets.wanted & !at_it;
        self.rows.wipe_slot = self.forget_slot;
        self.rows.first = 0;
        let ends = self.rows.wiped;
        self.forgets.over = ends;
        self.answer = self.r_answer.q;
        self.dw0 = self.r_dw0.q;
        self.listed = self.r_listed.q;
        self.q_valid = self.st.q == St::RESERVE;
        self.q_slot = self.s.q;
        self.tell_valid = self.st.q == St::TELL;
        self.tell_slot = self.s.q;
        self.tell_cid = self.id.q;
        self.tell_dw0 = told(self.kind.q, self.which.q);
        // Who begins has seen what there is; who is closed is told nothing, and wants nothing.
        let begins = if self.began { mark_of(self.began_slot, { self.slots.get() }) } else { 0 };
        let over = if ends { mark_of(self.forget_slot, { self.slots.get() }) } else { 0 };
        self.live.d = (self.live.q & !over) | begins;
        self.news.mark = self.changed & is_marked(self.live.q, self.changed_slot, { self.slots.get() });
        self.news.slot = self.changed_slot;
        self.news.drop = over | begins;
        let says = if self.wants { mark_of(self.wants_slot, { self.slots.get() }) } else { 0 };
        let health = if self.wants_health { says } else { 0 };
        let notice = if self.wants_notice { says } else { 0 };
        self.want_health.d = (self.want_health.q & !(says | over)) | health;
        self.want_notice.d = (self.want_notice.q & !(says | over)) | notice;
        self.rows.we = we;
        self.rows.waddr = self.s.q;
        self.rows.wdata = new;
        self.rows.raddr[0] = self.s.q;
        // The ids are a stack: the last that came is told first.
        self.ids.we = id_we;
        self.ids.waddr = cat(self.s.q, held.trunc(2));
        self.ids.wdata = self.cid;
        self.ids.raddr = cat(self.s.q, held.trunc(2) - 1);
        self.working = (self.st.q == St::WANT)
            | (self.st.q == St::RAISE)
            | (self.st.q == St::RESERVE)
            | (self.st.q == St::TELL)
            | (self.st.q == St::LOOK);
        self.busy = (self.st.q != St::IDLE) | self.wrongs.out_valid | self.news.valid | self.scans.q;
    }
}
