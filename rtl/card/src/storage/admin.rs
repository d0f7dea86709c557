//! Admin commands (NVMe 5): each is decided here; data goes the way of a read, from a page instead of the media.
//!
//! An Asynchronous Event Request is kept here by its id until there is something to tell: a doorbell that was rung wrongly, or
//! a namespace that is another one now (NVMe 5.2.1). One event is told, then its type is masked until the host has read
//! the log page that it names. A controller that is not enabled is told nothing: it looks for itself when it begins.

use azote_hdl::prelude::*;
use azote_regs::nvme::{command as cmd, entry, identify, limits, opcode, status};

use super::pages::What;
use super::queues::{Answer, Op};
use crate::parts::Fifo;

/// What the front does next.
pub struct Next;
impl Next {
    /// Post the status.
    pub const COMPLETE: u64 = 0;
    /// Send a page.
    pub const PAGE: u64 = 1;
    /// Nothing: the command stays outstanding (Asynchronous Event Request).
    pub const HOLD: u64 = 2;
}

struct St;
impl St {
    const BOOT: u64 = 0;
    const IDLE: u64 = 1;
    const DECIDE: u64 = 2;
    const QUEUE: u64 = 3;
    const DRAIN: u64 = 4;
    const DONE: u64 = 5;
    const FORGET: u64 = 6;
    const FORGOTTEN: u64 = 7;
    const PAUSE: u64 = 8;
    const EVENT: u64 = 10;
    const RESERVE: u64 = 11;
    const TELL: u64 = 12;
    const NEWS: u64 = 13;
    const NEWS_READ: u64 = 14;
}

/// DW 0 of an event's completion, but for which of the two wrong doorbells it was.
const EVENT_DW0: u64 = cmd::EVENT_TYPE.put(cmd::EVENT_TYPE_ERROR) | cmd::EVENT_LOG.put(opcode::LOG_ERROR);

/// DW 0 of the completion that tells of another namespace.
const NEWS_DW0: u64 = cmd::EVENT_TYPE.put(cmd::EVENT_TYPE_NOTICE)
    | cmd::EVENT_INFO.put(cmd::EVENT_INFO_NAMESPACE)
    | cmd::EVENT_LOG.put(opcode::LOG_CHANGED);

/// Features are kept as their difference to the default.
const WRITE_CACHE_DEFAULT: u64 = 1;
/// Largest vector and queue id.
const LAST_VECTOR: u64 = azote_regs::bar::MSIX_VECTORS - 1;
const LAST_QUEUE: u64 = limits::QUEUES - 1;

#[derive(LogicBlock, Default)]
pub struct Admin {
    pub clock: Clk,
    pub reset: Rst,
    /// A command: held until `done`.
    pub start: I<1>,
    pub slot: I<6>,
    pub cdw0: I<32>,
    pub nsid: I<32>,
    pub prp1: I<64>,
    pub cdw10: I<32>,
    pub cdw11: I<32>,
    pub cdw12: I<32>,
    pub cdw13: I<32>,
    /// Whether the slot has a volume.
    pub bound: I<1>,
    pub done: O<1>,
    pub next: O<2>,
    pub status: O<11>,
    pub dw0: O<32>,
    pub what: O<4>,
    pub dws: O<16>,
    /// To the queues.
    pub q_valid: O<1>,
    pub q_op: O<4>,
    pub q_qid: O<3>,
    pub q_base: O<52>,
    pub q_size: O<12>,
    pub q_cqid: O<3>,
    pub q_vector: O<3>,
    pub q_interrupts: O<1>,
    pub q_ack: I<1>,
    pub q_answer: I<2>,
    pub q_found: I<1>,
    pub q_slot: O<6>,
    /// One clock: a doorbell was rung wrongly (0: no such queue, 1: a value that cannot be).
    pub wrong: I<1>,
    pub wrong_slot: I<6>,
    pub wrong_value: I<1>,
    /// One clock: a controller was enabled; a slot has another binding.
    pub began: I<1>,
    pub began_slot: I<6>,
    pub changed: I<1>,
    pub changed_slot: I<6>,
    /// An event to tell.
    pub tell_valid: O<1>,
    pub tell_ready: I<1>,
    pub tell_slot: O<6>,
    pub tell_cid: O<16>,
    pub tell_dw0: O<32>,
    /// A controller was closed: held until `forget_done`.
    pub forget: I<1>,
    pub forget_slot: I<6>,
    pub forget_done: O<1>,
    pub busy: O<1>,
    st: Reg<4>,
    op: Reg<4>,
    then: Reg<2>,
    code: Reg<11>,
    result: Reg<32>,
    page: Reg<4>,
    length: Reg<16>,
    count: Reg<10>,
    e_slot: Reg<6>,
    e_value: Reg<1>,
    /// It is about a namespace.
    e_news: Reg<1>,
    /// Whose controllers are enabled, and whose binding has changed since.
    live: Reg<64>,
    news: Reg<64>,
    cid: Reg<16>,
    features: Ram<10, 32>,
    /// `{listed, news masked, news pending, masked, pending, which, held 3}`, and the ids of the requests that are held.
    events: LutRam<6, 9>,
    ids: LutRam<8, 16>,
    wrongs: Fifo<7>,
}

impl Admin {
    /// Admin state of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = (vfs + 1).next_power_of_two();
        Admin {
            features: Ram::new(slots * 16),
            events: LutRam::new(slots),
            ids: LutRam::new(slots * 4),
            wrongs: Fifo::new(8),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Admin {
    fn update(&mut self) {
        clocked!(self.wrongs);
        memories!(self.features, self.events, self.ids);
        let opc = self.cdw0.get(entry::CDW0_OPC);
        let plain = (self.cdw0.get(entry::CDW0_FUSE) == 0) & (self.cdw0.get(entry::CDW0_PSDT) == 0);
        let qid = self.cdw10.get(cmd::QUEUE_QID);
        let size = self.cdw10.get(cmd::QUEUE_SIZE);
        let io_qid = (qid != 0) & (qid <= LAST_QUEUE);
        let cqid = self.cdw11.get(cmd::SQ_CQID);
        let vector = self.cdw11.get(cmd::CQ_IV);
        let base_ok = self.prp1.bits(11, 0) == 0;
        let size_ok = (size != 0) & (size <= limits::MQES);
        let contiguous = self.cdw11.get(cmd::QUEUE_PC);
        let fid = self.cdw10.get(cmd::FEATURE_FID);
        let cns = self.cdw10.get(cmd::IDENTIFY_CNS);
        let lid = self.cdw10.get(cmd::LOG_LID);
        let log_dws = self.cdw10.get(cmd::LOG_NUMDL).zext(17) + 1;
        let log_fits = (self.cdw11.get(cmd::LOG_NUMDU) == 0) & (log_dws <= konst(limits::MAX_TRANSFER / 4));
        let log_start = (self.cdw12 == 0) & (self.cdw13 == 0);
        let default = if fid == opcode::FEATURE_WRITE_CACHE { sized(WRITE_CACHE_DEFAULT, 32) } else { 0 };
        let known = match fid {
            opcode::FEATURE_ARBITRATION
            | opcode::FEATURE_POWER
            | opcode::FEATURE_TEMPERATURE
            | opcode::FEATURE_ERROR_RECOVERY
            | opcode::FEATURE_WRITE_CACHE
            | opcode::FEATURE_COALESCING
            | opcode::FEATURE_VECTOR
            | opcode::FEATURE_ATOMICITY
            | opcode::FEATURE_ASYNC_EVENT => sized(1, 1),
            _ => 0,
        };
        let events = self.events.rdata;
        let held = events.bits(2, 0);
        let which = events.bit(3);
        let pending = events.bit(4);
        let masked = events.bit(5);
        let news_pending = events.bit(6);
        let news_masked = events.bit(7);
        let listed = events.bit(8);
        let notes = events.bits(8, 6);
        let errors = events.bits(5, 3);
        let queues = sized(cmd::QUEUES_NSQ.put(limits::IO_QUEUES - 1) | cmd::QUEUES_NCQ.put(limits::IO_QUEUES - 1), 32);

        let mut first = sized(0, 6);
        for back in 0..64 {
            if self.news.q.bit(63 - back) {
                first = konst(63 - back);
            }
        }

        let mut f_we = sized(0, 1);
        let mut f_at = cat(self.slot, fid.bits(3, 0));
        let mut f_new = self.cdw11 ^ default;
        let mut e_we = sized(0, 1);
        let mut e_at = self.slot;
        let mut e_new = sized(0, 9);
        let mut id_we = sized(0, 1);
        self.wrongs.in_valid = self.wrong;
        self.wrongs.in_data = cat(self.wrong_value, self.wrong_slot);
        self.wrongs.out_ready = 0;
        let about_event = (self.st.q == St::EVENT) | (self.st.q == St::RESERVE) | (self.st.q == St::NEWS_READ);
        let event_slot = if about_event { self.e_slot.q } else { self.slot };
        self.done = self.st.q == St::DONE;
        self.q_valid = 0;
        self.q_op = self.op.q;
        self.forget_done = self.st.q == St::FORGOTTEN;

        match self.st.q {
            St::BOOT => {
                f_we = 1;
                f_at = self.count.q;
                f_new = 0;
                e_we = 1;
                e_at = self.count.q.bits(9, 4);
                self.count.d = self.count.q + 1;
                if self.count.q.all() {
                    self.st.d = St::IDLE;
                }
            }
            St::IDLE => {
                self.count.d = 0;
                if self.start {
                    self.st.d = St::PAUSE;
                } else if self.forget {
                    self.st.d = St::FORGET;
                } else if self.wrongs.out_valid {
                    self.wrongs.out_ready = 1;
                    self.e_slot.d = self.wrongs.out_data.bits(5, 0);
                    self.e_value.d = self.wrongs.out_data.bit(6);
                    self.e_news.d = 0;
                    self.st.d = St::EVENT;
                } else if self.news.q != 0 {
                    self.e_slot.d = first;
                    self.e_news.d = 1;
                    self.st.d = St::NEWS;
                }
            }
            St::PAUSE => self.st.d = St::DECIDE,
            St::DECIDE => {
                self.st.d = St::DONE;
                self.then.d = Next::COMPLETE;
                self.code.d = status::SUCCESS;
                self.result.d = 0;
                self.length.d = konst(azote_regs::nvme::identify::SIZE / 4);
                if !plain {
                    self.code.d = status::INVALID_FIELD;
                } else {
                    match opc {
                        opcode::DELETE_SQ | opcode::DELETE_CQ => {
                            self.op.d = if opc == opcode::DELETE_SQ { Op::DELETE_SQ } else { Op::DELETE_CQ };
                            if io_qid {
                                self.st.d = St::QUEUE;
                            } else {
                                self.code.d = status::INVALID_QID;
                            }
                        }
                        opcode::CREATE_CQ => {
                            self.op.d = Op::CREATE_CQ;
                            if !io_qid {
                                self.code.d = status::INVALID_QID;
                            } else if !size_ok {
                                self.code.d = status::INVALID_QUEUE_SIZE;
                            } else if !contiguous {
                                self.code.d = status::INVALID_FIELD;
                            } else if !base_ok {
                                self.code.d = status::PRP_OFFSET;
                            } else if vector > LAST_VECTOR {
                                self.code.d = status::INVALID_VECTOR;
                            } else {
                                self.st.d = St::QUEUE;
                            }
                        }
                        opcode::CREATE_SQ => {
                            self.op.d = Op::CREATE_SQ;
                            if (!io_qid) | (cqid == 0) | (cqid > LAST_QUEUE) {
                                self.code.d = status::INVALID_QID;
                            } else if !size_ok {
                                self.code.d = status::INVALID_QUEUE_SIZE;
                            } else if !contiguous {
                                self.code.d = status::INVALID_FIELD;
                            } else if !base_ok {
                                self.code.d = status::PRP_OFFSET;
                            } else {
                                self.st.d = St::QUEUE;
                            }
                        }
                        opcode::IDENTIFY => {
                            self.then.d = Next::PAGE;
                            match cns {
                                opcode::CNS_NAMESPACE => {
                                    self.page.d = if self.bound { What::NAMESPACE } else { What::ZERO };
                                    if self.nsid != limits::NSID {
                                        self.then.d = Next::COMPLETE;
                                        self.code.d = status::INVALID_NAMESPACE;
                                    }
                                }
                                opcode::CNS_CONTROLLER => self.page.d = What::CONTROLLER,
                                opcode::CNS_ACTIVE_LIST => {
                                    let lists = self.bound & (self.nsid == 0);
                                    self.page.d = if lists { What::LIST } else { What::ZERO };
                                    if self.nsid >= konst(limits::NSID_ALL - 1) {
                                        self.then.d = Next::COMPLETE;
                                        self.code.d = status::INVALID_NAMESPACE;
                                    }
                                }
                                opcode::CNS_DESCRIPTORS => {
                                    self.page.d = What::DESCRIPTORS;
                                    if (self.nsid != limits::NSID) | !self.bound {
                                        self.then.d = Next::COMPLETE;
                                        self.code.d = status::INVALID_NAMESPACE;
                                    }
                                }
                                _ => {
                                    self.then.d = Next::COMPLETE;
                                    self.code.d = status::INVALID_FIELD;
                                }
                            }
                        }
                        opcode::GET_LOG_PAGE => {
                            self.length.d = log_dws.trunc(16);
                            match lid {
                                opcode::LOG_ERROR => self.page.d = What::ERROR,
                                opcode::LOG_SMART => self.page.d = What::SMART,
                                opcode::LOG_FIRMWARE => self.page.d = What::FIRMWARE,
                                opcode::LOG_CHANGED => self.page.d = if listed { What::LIST } else { What::ZERO },
                                opcode::LOG_EFFECTS => self.page.d = What::EFFECTS,
                                _ => {}
                            }
                            if (lid == 0) | (lid > opcode::LOG_EFFECTS) {
                                self.code.d = status::INVALID_LOG;
                            } else if !(log_fits & log_start) {
                                self.code.d = status::INVALID_FIELD;
                            } else {
                                self.then.d = Next::PAGE;
                                // Reading its log page lets the next event of a type through.
                                let keeps = self.cdw10.get(cmd::LOG_RAE);
                                if (lid == opcode::LOG_ERROR) & !keeps {
                                    e_we = 1;
                                    e_new = cat(notes, sized(0, 1), events.bits(4, 0));
                                }
                                if (lid == opcode::LOG_CHANGED) & !keeps {
                                    e_we = 1;
                                    e_new = cat(sized(0, 2), news_pending, errors, held);
                                }
                            }
                        }
                        opcode::SET_FEATURES => {
                            if self.cdw10.get(cmd::FEATURE_SV) {
                                self.code.d = status::FEATURE_NOT_SAVEABLE;
                            } else if fid == opcode::FEATURE_QUEUES {
                                self.result.d = queues;
                                let all = (self.cdw11.get(cmd::QUEUES_NSQ) == 0xffff)
                                    | (self.cdw11.get(cmd::QUEUES_NCQ) == 0xffff);
                                if all {
                                    self.code.d = status::INVALID_FIELD;
                                }
                            } else if !known {
                                self.code.d = status::INVALID_FIELD;
                            } else if (fid == opcode::FEATURE_VECTOR) & (self.cdw11.bits(15, 0) > LAST_VECTOR) {
                                self.code.d = status::INVALID_FIELD;
                            } else if (fid == opcode::FEATURE_POWER) & (self.cdw11.bits(4, 0) != 0) {
                                self.code.d = status::INVALID_FIELD;
                            } else {
                                f_we = 1;
                            }
                        }
                        opcode::GET_FEATURES => {
                            if self.cdw10.get(cmd::FEATURE_SEL) != 0 {
                                self.code.d = status::INVALID_FIELD;
                            } else if fid == opcode::FEATURE_QUEUES {
                                self.result.d = queues;
                            } else if !known {
                                self.code.d = status::INVALID_FIELD;
                            } else if fid == opcode::FEATURE_VECTOR {
                                self.result.d = self.cdw11.bits(15, 0).zext(32);
                                if self.cdw11.bits(15, 0) > LAST_VECTOR {
                                    self.code.d = status::INVALID_FIELD;
                                }
                            } else {
                                self.result.d = self.features.rdata ^ default;
                            }
                        }
                        opcode::ABORT => {
                            // Commands run in the order in which they were fetched: there is never one to take back.
                            self.result.d = konst(cmd::ABORT_NOT_DONE.mask());
                        }
                        opcode::ASYNC_EVENT => {
                            if pending & !masked {
                                // Something happened while nobody had asked.
                                e_we = 1;
                                e_new = cat(notes, sized(0b100, 3), held);
                                self.result.d = cat(sized(EVENT_DW0 >> 9, 23), which, sized(EVENT_DW0 & 0xff, 8));
                            } else if news_pending & !news_masked {
                                e_we = 1;
                                e_new = cat(listed, sized(0b10, 2), errors, held);
                                self.result.d = konst(NEWS_DW0);
                            } else if held > limits::AERL {
                                self.code.d = status::EVENT_LIMIT;
                            } else {
                                e_we = 1;
                                e_new = cat(notes, errors, held + 1);
                                id_we = 1;
                                self.then.d = Next::HOLD;
                            }
                        }
                        _ => self.code.d = status::INVALID_OPCODE,
                    }
                }
            }
            St::QUEUE => {
                self.q_valid = 1;
                if self.q_ack {
                    self.st.d = St::DONE;
                    match self.q_answer {
                        Answer::QID => self.code.d = status::INVALID_QID,
                        Answer::CQ => self.code.d = status::CQ_INVALID,
                        Answer::USED => self.code.d = status::INVALID_QUEUE_DELETION,
                        _ => {
                            if self.op.q == Op::DELETE_SQ {
                                self.st.d = St::DRAIN;
                            }
                        }
                    }
                }
            }
            St::DRAIN => {
                // What was fetched from the queue completes before the queue is gone (NVMe 5.6).
                self.q_valid = 1;
                self.q_op = Op::DRAINED;
                if self.q_ack & (self.q_answer == Answer::YES) {
                    self.st.d = St::DONE;
                }
            }
            St::DONE => self.st.d = St::IDLE,
            St::EVENT => {
                self.cid.d = self.ids.rdata;
                self.st.d = if masked {
                    St::IDLE
                } else if held == 0 {
                    St::IDLE
                } else {
                    St::RESERVE
                };
                if (held == 0) & !masked {
                    e_we = 1;
                    e_at = self.e_slot.q;
                    e_new = cat(notes, sized(0b01, 2), self.e_value.q, held);
                }
            }
            St::NEWS => self.st.d = St::NEWS_READ,
            St::NEWS_READ => {
                // It is on the list in any case; told only if the host has asked for such notices.
                self.cid.d = self.ids.rdata;
                let wanted = self.features.rdata.get(identify::OAES_NAMESPACE) & !news_masked;
                e_we = 1;
                e_at = self.e_slot.q;
                e_new = cat(sized(1, 1), news_masked, news_pending | (wanted & (held == 0)), errors, held);
                self.st.d = if wanted & (held != 0) { St::RESERVE } else { St::IDLE };
            }
            St::RESERVE => {
                // The completion queue may be full of what the host has not read: then the event waits.
                self.q_valid = 1;
                self.q_op = Op::RESERVE;
                if self.q_ack {
                    e_we = 1;
                    e_at = self.e_slot.q;
                    let told = cat(
                        if self.e_news.q { cat(listed, sized(0b10, 2)) } else { notes },
                        if self.e_news.q { errors } else { sized(0b100, 3) },
                        held - 1,
                    );
                    let kept = cat(
                        if self.e_news.q { cat(listed, news_masked, sized(1, 1)) } else { notes },
                        if self.e_news.q { errors } else { cat(sized(0b01, 2), self.e_value.q) },
                        held,
                    );
                    e_new = if self.q_found { told } else { kept };
                    self.st.d = if self.q_found { St::TELL } else { St::IDLE };
                }
            }
            St::TELL => {
                if self.tell_ready {
                    self.st.d = St::IDLE;
                }
            }
            St::FORGET => {
                f_we = 1;
                f_at = cat(self.forget_slot, self.count.q.bits(3, 0));
                f_new = 0;
                e_we = 1;
                e_at = self.forget_slot;
                self.count.d = self.count.q + 1;
                if self.count.q == 15 {
                    self.st.d = St::FORGOTTEN;
                }
            }
            St::FORGOTTEN => {
                if !self.forget {
                    self.st.d = St::IDLE;
                }
            }
            _ => self.st.d = St::IDLE,
        }
        self.next = self.then.q;
        self.status = self.code.q;
        self.dw0 = self.result.q;
        self.what = self.page.q;
        self.dws = self.length.q;
        self.q_qid = if about_event { 0 } else { qid.trunc(3) };
        self.q_slot = event_slot;
        self.tell_valid = self.st.q == St::TELL;
        self.tell_slot = self.e_slot.q;
        self.tell_cid = self.cid.q;
        self.tell_dw0 = if self.e_news.q {
            konst(NEWS_DW0)
        } else {
            cat(sized(EVENT_DW0 >> 9, 23), self.e_value.q, sized(EVENT_DW0 & 0xff, 8))
        };
        self.q_base = self.prp1.bits(63, 12);
        self.q_size = size.trunc(12);
        self.q_cqid = cqid.trunc(3);
        self.q_vector = vector.trunc(3);
        self.q_interrupts = self.cdw11.get(cmd::CQ_IEN);
        self.features.we = f_we;
        self.features.waddr = f_at;
        self.features.wdata = f_new;
        let configuration = sized(opcode::FEATURE_ASYNC_EVENT, 4);
        self.features.raddr =
            if self.st.q == St::NEWS { cat(self.e_slot.q, configuration) } else { cat(self.slot, fid.bits(3, 0)) };
        // Who begins has seen what there is; who is closed is told nothing.
        let ends = self.st.q == St::FORGET;
        let one = sized(1, 64);
        let begins = if self.began { one << self.began_slot } else { 0 };
        let over = if ends { one << self.forget_slot } else { 0 };
        let seen = if self.st.q == St::NEWS { one << self.e_slot.q } else { 0 };
        let fresh = if self.changed { one << self.changed_slot } else { 0 };
        self.live.d = (self.live.q & !over) | begins;
        self.news.d = ((self.news.q & !seen) | (fresh & self.live.q)) & !(over | begins);
        self.events.we = e_we;
        self.events.waddr = e_at;
        self.events.wdata = e_new;
        self.events.raddr = event_slot;
        // The ids are a stack: the last that came is told first.
        self.ids.we = id_we;
        self.ids.waddr = cat(self.slot, held.trunc(2));
        self.ids.wdata = self.cdw0.get(entry::CDW0_CID);
        self.ids.raddr = cat(event_slot, held.trunc(2) - 1);
        self.busy = (self.st.q != St::IDLE) | self.wrongs.out_valid | (self.news.q != 0);
    }
}
