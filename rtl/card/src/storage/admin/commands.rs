//! Admin commands: one at a time, what is wrong with it in one clock, what it does in the next.

use azote_hdl::prelude::*;
use azote_regs::function;
use azote_regs::nvme::{command as cmd, entry, identify, limits, log, opcode, status, virtualization as virt};

use super::checks::{
    create_queue, format, get_feature, identify as identify_wrong, log_page, set_feature, virtualization,
};
use super::events::{Ask, Told, Type};
use crate::parts::{Forget, is_marked, mark_of, slots_of};
use crate::storage::ports::CommandIn;
use crate::storage::terms::{Answer, Next, Op, What};
use crate::storage::verdict::{Verdict, wrong};

struct St;
impl St {
    const IDLE: u64 = 0;
    const CHECK: u64 = 1;
    const DECIDE: u64 = 2;
    const QUEUE: u64 = 3;
    const EVENT: u64 = 4;
    const DONE: u64 = 5;
    const LOOK: u64 = 6;
    const ABORT: u64 = 7;
}

/// The slot of the first VF is 1.
const BEFORE_VFS: u64 = function::FIRST_VF_INDEX - 1;

#[derive(LogicBlock, Default)]
pub struct Commands {
    pub clock: Clk,
    pub reset: Rst,
    pub command: CommandIn,
    /// The page that it asks for, the first secondary controller of a list.
    pub what: O<4>,
    pub from: O<6>,
    /// The DW of the page from which it is read.
    pub offset: O<16>,
    /// Abort a command: held until `abort_done`; something of it was.
    pub abort_valid: O<1>,
    pub abort_done: I<1>,
    pub aborted: I<1>,
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
    /// To the events.
    pub e_valid: O<1>,
    pub e_ask: O<3>,
    pub e_ack: I<1>,
    pub e_answer: I<2>,
    pub e_dw0: I<32>,
    pub e_listed: I<1>,
    /// The events have the queues.
    pub others: I<1>,
    pub working: O<1>,
    /// To the features: what one is, what a Set Features command answers; one clock: set it; it is now too warm.
    pub f_value: I<32>,
    pub f_result: I<32>,
    pub f_apply: O<1>,
    pub f_warms: I<1>,
    pub f_ready: I<1>,
    /// One clock, for `slot`: its block size is set.
    pub set_format: O<1>,
    /// Secondary controllers: how many are enabled, which are offline; one clock: take `v_slot` off or on.
    pub enabled_vfs: I<6>,
    pub offline: I<64>,
    pub v_off: O<1>,
    pub v_on: O<1>,
    pub v_slot: O<6>,
    /// One clock: it is off.
    pub v_done: I<1>,
    /// Its command, which was kept, is complete: held until `late_done`.
    pub late: O<1>,
    pub late_cid: O<16>,
    pub late_done: I<1>,
    /// A controller was closed: held until `forget_done`, which stays until `forget` falls.
    pub forget: I<1>,
    pub forget_slot: I<6>,
    pub forget_done: O<1>,
    pub busy: O<1>,
    vfs: Param,
    slots: Param,
    st: Reg<3>,
    op: Reg<4>,
    ask: Reg<3>,
    then: Reg<3>,
    verdict: Reg<{ Verdict::WIDTH }>,
    wrong_create: Reg<{ Verdict::WIDTH }>,
    wrong_identify: Reg<{ Verdict::WIDTH }>,
    wrong_log: Reg<{ Verdict::WIDTH }>,
    wrong_set: Reg<{ Verdict::WIDTH }>,
    wrong_get: Reg<{ Verdict::WIDTH }>,
    wrong_format: Reg<{ Verdict::WIDTH }>,
    wrong_virtualization: Reg<{ Verdict::WIDTH }>,
    code: Reg<11>,
    place: Reg<16>,
    result: Reg<32>,
    page: Reg<4>,
    first: Reg<6>,
    length: Reg<16>,
    /// A secondary controller is on its way offline, or is there and its command is complete; whose command that is.
    leaving: Reg<1>,
    r_late: Reg<1>,
    v_cid: Reg<16>,
    /// The secondary controller that is named is offline, a clock ago.
    k_off: Reg<1>,
    /// Who has I/O queues.
    made: Reg<64>,
    forgets: Forget,
}

impl Commands {
    /// Commands of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        Commands { vfs: Param::new(vfs), slots: Param::new(slots_of(vfs)), ..Self::default() }
    }
}

/// The secondary controller with this identifier, or the next one: its slot, `vfs + 1` if there is none.
#[pure]
fn secondary_from(id: V, vfs: V) -> V {
    let index = (id.zext(17) + konst(3 - function::STORAGE)).bits(16, 2);
    let slot = index - konst(BEFORE_VFS);
    if index <= konst(BEFORE_VFS) {
        sized(1, 6)
    } else if slot > vfs.zext(15) {
        vfs + 1
    } else {
        slot.trunc(6)
    }
}

/// Whether this identifier is one of ours.
#[pure]
fn is_secondary(id: V, vfs: V) -> V {
    let slot = id.bits(15, 2) - konst(BEFORE_VFS);
    (id.bits(1, 0) == function::STORAGE) & (id.bits(15, 2) > BEFORE_VFS) & (slot <= vfs.zext(14))
}

#[kernel]
impl Logic for Commands {
    fn update(&mut self) {
        let opc = self.command.cdw0.get(entry::CDW0_OPC);
        let plain = (self.command.cdw0.get(entry::CDW0_FUSE) == 0) & (self.command.cdw0.get(entry::CDW0_PSDT) == 0);
        let qid = self.command.cdw10.get(cmd::QUEUE_QID);
        let cns = self.command.cdw10.get(cmd::IDENTIFY_CNS);
        let lid = self.command.cdw10.get(cmd::LOG_LID);
        let keeps = self.command.cdw10.get(cmd::LOG_RAE);
        let action = self.command.cdw10.get(virt::ACT);
        let vfs = sized(self.vfs.get(), 6);
        let primary = self.command.slot == 0;
        let secondary = (self.command.cdw10.get(virt::CNTLID).bits(7, 2) - konst(BEFORE_VFS)).trunc(6);
        let is_off = is_marked(self.offline, secondary, { self.slots.get() });
        let me = mark_of(self.command.slot, { self.slots.get() });
        let mut makes = sized(0, 1);
        clocked!(self.forgets);
        self.forgets.ask = self.forget;
        self.forgets.over = self.forgets.wanted;
        self.forget_done = self.forgets.done;
        self.f_apply = 0;
        self.v_off = 0;
        self.v_on = 0;
        self.v_slot = secondary;
        self.set_format = 0;
        self.command.done = self.st.q == St::DONE;
        if self.v_done {
            self.leaving.d = 0;
            self.r_late.d = 1;
        }
        if self.late_done {
            self.r_late.d = 0;
        }

        // What would be wrong with it, were it this or that: found in the two clocks before it is asked.
        let exists = is_secondary(self.command.cdw10.get(virt::CNTLID), vfs);
        let enabled = secondary <= self.enabled_vfs;
        let going = self.leaving.q | self.r_late.q;
        let made = is_marked(self.made.q, self.command.slot, { self.slots.get() });
        self.wrong_create.d =
            create_queue(opc == opcode::CREATE_CQ, self.command.cdw10, self.command.cdw11, self.command.prp1);
        self.wrong_identify.d = identify_wrong(self.command.cdw10, self.command.nsid, self.command.bound, primary);
        self.wrong_log.d =
            log_page(self.command.cdw10, self.command.cdw11, self.command.cdw12, self.command.cdw13, self.command.nsid);
        self.wrong_set.d = set_feature(self.command.cdw10, self.command.cdw11, self.command.nsid, made);
        self.wrong_get.d = get_feature(self.command.cdw10, self.command.cdw11);
        self.wrong_format.d = format(
            self.command.cdw10,
            self.command.nsid,
            self.command.bound,
            self.command.read_only,
            self.command.tiny,
        );
        self.wrong_virtualization.d =
            virtualization(self.command.cdw10, self.command.cdw11, exists, enabled, self.k_off.q, going);

        match self.st.q {
            St::IDLE => {
                if self.command.start & self.f_ready & !self.others {
                    self.st.d = St::LOOK;
                }
            }
            St::LOOK => self.st.d = St::CHECK,
            St::CHECK => {
                let unknown = sized(wrong(status::INVALID_OPCODE, entry::SQE_CDW0, 0), Verdict::WIDTH);
                let found = match opc {
                    opcode::CREATE_CQ | opcode::CREATE_SQ => self.wrong_create.q,
                    opcode::DELETE_SQ | opcode::DELETE_CQ => {
                        if (qid == 0) | (qid >= limits::QUEUES) {
                            sized(wrong(status::INVALID_QID, entry::SQE_CDW10, 0), Verdict::WIDTH)
                        } else {
                            0
                        }
                    }
                    opcode::IDENTIFY => self.wrong_identify.q,
                    opcode::GET_LOG_PAGE => self.wrong_log.q,
                    opcode::SET_FEATURES => self.wrong_set.q,
                    opcode::GET_FEATURES => self.wrong_get.q,
                    opcode::FORMAT => self.wrong_format.q,
                    virt::OPCODE => {
                        if primary {
                            self.wrong_virtualization.q
                        } else {
                            unknown
                        }
                    }
                    opcode::ABORT | opcode::ASYNC_EVENT => sized(0, Verdict::WIDTH),
                    _ => unknown,
                };
                let odd = sized(wrong(status::INVALID_FIELD, entry::SQE_CDW0 + 1, 0), Verdict::WIDTH);
                self.verdict.d = if plain { found } else { odd };
                self.st.d = St::DECIDE;
            }
            St::DECIDE => {
                self.st.d = St::DONE;
                self.then.d = Next::COMPLETE;
                self.code.d = self.verdict.q.get(Verdict::STATUS);
                self.place.d = self.verdict.q.get(Verdict::LOCATION);
                self.result.d = 0;
                self.length.d = konst(identify::SIZE / 4);
                self.first.d = secondary_from(self.command.cdw10.get(virt::CNTLID), vfs);
                if self.verdict.q == 0 {
                    self.place.d = konst(log::LOCATION_NONE);
                    match opc {
                        opcode::DELETE_SQ => {
                            self.op.d = Op::DELETE_SQ;
                            self.st.d = St::QUEUE;
                        }
                        opcode::DELETE_CQ => {
                            self.op.d = Op::DELETE_CQ;
                            self.st.d = St::QUEUE;
                        }
                        opcode::CREATE_CQ => {
                            self.op.d = Op::CREATE_CQ;
                            self.st.d = St::QUEUE;
                        }
                        opcode::CREATE_SQ => {
                            self.op.d = Op::CREATE_SQ;
                            self.st.d = St::QUEUE;
                        }
                        opcode::IDENTIFY => {
                            self.then.d = Next::PAGE;
                            self.page.d = match cns {
                                opcode::CNS_NAMESPACE => {
                                    if self.command.bound {
                                        sized(What::NAMESPACE, 4)
                                    } else {
                                        What::ZERO
                                    }
                                }
                                opcode::CNS_CONTROLLER => sized(What::CONTROLLER, 4),
                                opcode::CNS_ACTIVE_LIST => {
                                    if self.command.bound & (self.command.nsid == 0) {
                                        sized(What::LIST, 4)
                                    } else {
                                        What::ZERO
                                    }
                                }
                                virt::CNS_PRIMARY => What::PRIMARY,
                                virt::CNS_SECONDARY => What::SECONDARY,
                                _ => What::DESCRIPTORS,
                            };
                        }
                        opcode::GET_LOG_PAGE => {
                            self.then.d = Next::PAGE;
                            self.length.d = self.command.cdw10.get(cmd::LOG_NUMDL) + 1;
                            self.ask.d = match lid {
                                opcode::LOG_ERROR => sized(Ask::SEEN | Type::ERROR, 3),
                                opcode::LOG_SMART => Ask::SEEN | Type::HEALTH,
                                _ => Ask::SEEN | Type::NOTICE,
                            };
                            // Reading its log page lets the next event of a type through.
                            let told = (lid == opcode::LOG_ERROR) | (lid == opcode::LOG_SMART);
                            if (told & !keeps) | (lid == opcode::LOG_CHANGED) {
                                self.st.d = St::EVENT;
                            }
                            if (lid == opcode::LOG_CHANGED) & keeps {
                                self.ask.d = Ask::PEEK;
                            }
                            self.page.d = match lid {
                                opcode::LOG_ERROR => sized(What::ERROR, 4),
                                opcode::LOG_SMART => What::SMART,
                                opcode::LOG_FIRMWARE => What::FIRMWARE,
                                opcode::LOG_EFFECTS => What::EFFECTS,
                                opcode::LOG_VOLUME => What::VOLUME,
                                _ => What::ZERO,
                            };
                        }
                        opcode::SET_FEATURES => {
                            self.f_apply = 1;
                            self.result.d = self.f_result;
                            if self.f_warms {
                                self.ask.d = Ask::WARM;
                                self.st.d = St::EVENT;
                            }
                        }
                        opcode::GET_FEATURES => self.result.d = self.f_value,
                        opcode::ABORT => {
                            // What waits for the medium can be taken back, and nothing else; of no queue, nothing.
                            self.result.d = konst(cmd::ABORT_NOT_DONE.mask());
                            if self.command.cdw10.get(cmd::ABORT_SQID) < limits::QUEUES {
                                self.st.d = St::ABORT;
                            }
                        }
                        opcode::ASYNC_EVENT => {
                            self.ask.d = Ask::REQUEST;
                            self.st.d = St::EVENT;
                        }
                        opcode::FORMAT => {
                            self.set_format = 1;
                            self.then.d = Next::ERASE;
                        }
                        _ => {
                            // Virtualization Management: nothing is assigned, so nothing is left to do but on and off.
                            self.v_on = action == virt::ONLINE;
                            if (action == virt::OFFLINE) & !self.k_off.q {
                                self.v_off = 1;
                                self.leaving.d = 1;
                                self.v_cid.d = self.command.cdw0.get(entry::CDW0_CID);
                                self.then.d = Next::KEEP;
                            }
                        }
                    }
                }
            }
            St::QUEUE => {
                if self.q_ack {
                    self.st.d = St::DONE;
                    match self.q_answer {
                        Answer::QID => {
                            self.code.d = status::INVALID_QID;
                            self.place.d = konst(log::location(entry::SQE_CDW10, 0));
                        }
                        Answer::CQ => {
                            self.code.d = status::CQ_INVALID;
                            self.place.d = konst(log::location(entry::SQE_CDW11 + 2, 0));
                        }
                        Answer::USED => {
                            // What was fetched from the queue completes before its deletion does (NVMe 5.6): the poster
                            // tells that after the last of it.
                            if self.op.q == Op::DELETE_SQ {
                                self.then.d = Next::KEEP;
                            } else {
                                self.code.d = status::INVALID_QUEUE_DELETION;
                            }
                        }
                        _ => makes = self.op.q == Op::CREATE_CQ,
                    }
                }
            }
            St::ABORT => {
                if self.abort_done {
                    self.result.d = if self.aborted { 0 } else { konst(cmd::ABORT_NOT_DONE.mask()) };
                    self.st.d = St::DONE;
                }
            }
            St::EVENT => {
                if self.e_ack {
                    self.st.d = St::DONE;
                    if opc == opcode::ASYNC_EVENT {
                        self.result.d = self.e_dw0;
                        match self.e_answer {
                            Told::HELD => self.then.d = Next::HOLD,
                            Told::TOO_MANY => self.code.d = status::EVENT_LIMIT,
                            _ => {}
                        }
                    }
                    if (opc == opcode::GET_LOG_PAGE) & (lid == opcode::LOG_CHANGED) & self.e_listed {
                        self.page.d = What::LIST;
                    }
                }
            }
            St::DONE => self.st.d = St::IDLE,
            _ => self.st.d = St::IDLE,
        }
        let gone = if self.forgets.wanted { mark_of(self.forget_slot, { self.slots.get() }) } else { 0 };
        self.made.d = (self.made.q | (if makes { me } else { 0 })) & !gone;
        self.command.next = self.then.q;
        self.command.status = self.code.q;
        self.command.location = self.place.q;
        self.command.dw0 = self.result.q;
        self.what = self.page.q;
        self.from = self.first.q;
        self.command.dws = self.length.q;
        self.q_valid = self.st.q == St::QUEUE;
        self.q_op = self.op.q;
        self.q_qid = qid.trunc(3);
        self.q_base = self.command.prp1.bits(63, 12);
        self.q_size = self.command.cdw10.get(cmd::QUEUE_SIZE).trunc(12);
        self.q_cqid = self.command.cdw11.get(cmd::SQ_CQID).trunc(3);
        self.q_vector = self.command.cdw11.get(cmd::CQ_IV).trunc(3);
        self.q_interrupts = self.command.cdw11.get(cmd::CQ_IEN);
        self.abort_valid = self.st.q == St::ABORT;
        self.offset = if opc == opcode::GET_LOG_PAGE { self.command.cdw12.bits(17, 2) } else { 0 };
        self.e_valid = self.st.q == St::EVENT;
        self.e_ask = self.ask.q;
        self.working = (self.st.q != St::IDLE) | self.command.start;
        self.k_off.d = is_off;
        self.late = self.r_late.q;
        self.late_cid = self.v_cid.q;
        self.busy = (self.st.q != St::IDLE) | self.r_late.q | !self.f_ready;
    }
}
