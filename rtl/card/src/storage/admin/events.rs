//! Asynchronous events (NVMe 5.2): requests are kept here by their ids until there is something to tell.
//!
//! There are three things to tell: a doorbell that was rung wrongly, a temperature beyond its threshold, a namespace that is
//! another one now. One event is told, then its type is masked until the host has read the log page that it names. A
//! controller that is not enabled is told nothing: it looks for itself when it begins. An event that finds the completion
//! queue full waits for room: the queues are asked again and again, for one slot after the other.
//!
//! The end of a command that was kept for long (a secondary controller going offline) is told the same way.

use azote_hdl::prelude::*;
use azote_regs::nvme::{command as cmd, limits, opcode};

use crate::parts::{Fifo, Marks};

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
    /// No event: a command that is complete.
    const COMMAND: u64 = 3;
}

struct St;
impl St {
    const BOOT: u64 = 0;
    const IDLE: u64 = 1;
    const ANSWER: u64 = 2;
    const RAISE: u64 = 3;
    const RESERVE: u64 = 4;
    const TELL: u64 = 5;
    const FORGET: u64 = 6;
    const FORGOTTEN: u64 = 7;
    const ACK: u64 = 8;
    const WANT: u64 = 9;
    const RETRY: u64 = 10;
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
    /// A command of the PF is complete: held until `late_done`.
    pub late: I<1>,
    pub late_cid: I<16>,
    pub late_done: O<1>,
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
    boot: Reg<6>,
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
    /// Whose controllers are enabled, whose binding has changed since, and who wants to hear of what.
    live: Reg<64>,
    news: Marks,
    want_health: Reg<64>,
    want_notice: Reg<64>,
    /// Whose event found no room, whose turn it is to be asked for again, and the pause before.
    stuck: Reg<64>,
    turn: Reg<6>,
    pause: Reg<4>,
    /// `{which, listed, masked 3, pending 3, held 3}`, and the ids of the requests that are held.
    rows: LutRam<6, 11>,
    ids: LutRam<8, 16>,
    wrongs: Fifo<7>,
}

impl Events {
    /// Events of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = (vfs + 1).next_power_of_two();
        Events { rows: LutRam::new(slots), ids: LutRam::new(slots * 4), wrongs: Fifo::new(8), ..Self::default() }
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
        clocked!(self.wrongs, self.news);
        memories!(self.rows, self.ids);
        let row = self.rows.rdata;
        let held = row.bits(2, 0);
        let pending = row.bits(5, 3);
        let masked = row.bits(8, 6);
        let listed = row.bit(9);
        let which = row.bit(10);
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
        let mut at = self.s.q;
        let mut new = sized(0, 11);
        let mut id_we = sized(0, 1);
        self.wrongs.in_valid = self.wrong;
        self.wrongs.in_data = cat(self.wrong_value, self.wrong_slot);
        self.wrongs.out_ready = 0;
        self.ack = self.st.q == St::ACK;
        self.forget_done = self.st.q == St::FORGOTTEN;
        self.late_done = 0;
        self.news.take = 0;
        let due = self.stuck.q.sel(self.turn.q);
        let mut sticks = sized(0, 1);
        let mut frees = sized(0, 1);
        self.pause.d = if due & !self.pause.q.all() { self.pause.q + 1 } else { self.pause.q };
        if !due {
            self.turn.d = self.turn.q + 1;
        }

        match self.st.q {
            St::BOOT => {
                we = 1;
                at = self.boot.q;
                self.boot.d = self.boot.q + 1;
                if self.boot.q.all() {
                    self.st.d = St::IDLE;
                }
            }
            St::IDLE => {
                if self.forget {
                    self.s.d = self.forget_slot;
                    self.st.d = St::FORGET;
                } else if self.valid {
                    self.s.d = self.slot;
                    self.kind.d = Type::HEALTH;
                    self.st.d = St::ANSWER;
                } else if self.hold {
                    // The queues are the command's.
                } else if self.wrongs.out_valid {
                    self.wrongs.out_ready = 1;
                    self.s.d = self.wrongs.out_data.bits(5, 0);
                    self.which.d = self.wrongs.out_data.bit(6);
                    self.kind.d = Type::ERROR;
                    self.st.d = St::WANT;
                } else if self.news.valid {
                    self.news.take = 1;
                    self.s.d = self.news.first;
                    self.kind.d = Type::NOTICE;
                    self.st.d = St::WANT;
                } else if self.late {
                    self.s.d = 0;
                    self.id.d = self.late_cid;
                    self.kind.d = Type::COMMAND;
                    self.st.d = St::RESERVE;
                } else if due & self.pause.q.all() {
                    self.s.d = self.turn.q;
                    self.turn.d = self.turn.q + 1;
                    self.pause.d = 0;
                    self.st.d = St::RETRY;
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
                    new = cat(which, keeps, masked & !seen, pending, held);
                } else if self.ask == Ask::REQUEST {
                    we = 1;
                    let now = bit_of(first_open);
                    if open != 0 {
                        // Something happened while nobody had asked.
                        new = cat(which, listed, masked | now, pending & !now, held);
                    } else if held > limits::AERL {
                        new = row;
                        self.r_answer.d = Told::TOO_MANY;
                    } else {
                        id_we = 1;
                        new = cat(which, listed, masked, pending, held + 1);
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
                new = cat(bell, listed | (self.kind.q == Type::NOTICE), masked, pending | kept, held);
                self.id.d = self.ids.rdata;
                self.st.d = if tells & (held != 0) { St::RESERVE } else { St::IDLE };
            }
            St::RESERVE => {
                // The completion queue may be full of what the host has not read: then the event waits.
                if self.q_ack {
                    we = self.kind.q != Type::COMMAND;
                    let now = cat(which, listed, masked | mine, pending & !mine, held - 1);
                    let bell = if self.kind.q == Type::ERROR { self.which.q } else { which };
                    let later = cat(bell, listed, masked, pending | mine, held);
                    new = if self.q_found { now } else { later };
                    sticks = (!self.q_found) & (self.kind.q != Type::COMMAND);
                    self.st.d = if self.q_found { St::TELL } else { St::IDLE };
                }
            }
            St::RETRY => {
                // If it was not told in answer to a new request, nor forgotten.
                let still = (open != 0) & (held != 0);
                self.kind.d = first_open;
                self.which.d = which;
                self.id.d = self.ids.rdata;
                frees = !still;
                self.st.d = if still { sized(St::RESERVE, 4) } else { St::IDLE };
            }
            St::TELL => {
                if self.tell_ready {
                    self.late_done = self.kind.q == Type::COMMAND;
                    self.st.d = St::IDLE;
                }
            }
            St::FORGET => {
                we = 1;
                self.st.d = St::FORGOTTEN;
            }
            St::FORGOTTEN => {
                if !self.forget {
                    self.st.d = St::IDLE;
                }
            }
            _ => self.st.d = St::IDLE,
        }
        self.wanted.d = match self.kind.q {
            Type::HEALTH => self.want_health.q.sel(self.s.q),
            Type::NOTICE => self.want_notice.q.sel(self.s.q),
            _ => sized(1, 1),
        };
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
        let ends = self.st.q == St::FORGET;
        let one = sized(1, 64);
        let begins = if self.began { one << self.began_slot } else { 0 };
        let over = if ends { one << self.s.q } else { 0 };
        self.live.d = (self.live.q & !over) | begins;
        let this = one << self.s.q;
        let stuck = if sticks { this } else { 0 };
        let freed = if frees { this } else { 0 };
        self.stuck.d = (self.stuck.q | stuck) & !(freed | over);
        self.news.mark = self.changed & self.live.q.sel(self.changed_slot);
        self.news.slot = self.changed_slot;
        self.news.drop = over | begins;
        let says = if self.wants { one << self.wants_slot } else { 0 };
        let health = if self.wants_health { says } else { 0 };
        let notice = if self.wants_notice { says } else { 0 };
        self.want_health.d = (self.want_health.q & !(says | over)) | health;
        self.want_notice.d = (self.want_notice.q & !(says | over)) | notice;
        self.rows.we = we;
        self.rows.waddr = at;
        self.rows.wdata = new;
        self.rows.raddr = self.s.q;
        // The ids are a stack: the last that came is told first.
        self.ids.we = id_we;
        self.ids.waddr = cat(self.s.q, held.trunc(2));
        self.ids.wdata = self.cid;
        self.ids.raddr = cat(self.s.q, held.trunc(2) - 1);
        self.working = (self.st.q == St::RETRY)
            | (self.st.q == St::WANT)
            | (self.st.q == St::RAISE)
            | (self.st.q == St::RESERVE)
            | (self.st.q == St::TELL);
        self.busy = (self.st.q != St::IDLE) | self.wrongs.out_valid | self.news.valid | self.late | self.stuck.q.any();
    }
}
