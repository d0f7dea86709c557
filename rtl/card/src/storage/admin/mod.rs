//! Admin commands (NVMe 5): each is decided here; data goes the way of a read, from a page instead of the media.
//!
//! `commands` does one at a time, with `checks` to say what is wrong with it; `features` has what was set; `events` keeps Asynchronous Event Requests
//! until there is something to tell. The two share the way to the queues: neither begins while the other works.

pub mod checks;
pub mod commands;
pub mod events;
pub mod features;

use azote_hdl::prelude::*;
use azote_regs::nvme::{command as cmd, identify};

use super::ports::CommandIn;
use super::terms::Op;

#[derive(LogicBlock, Default)]
pub struct Admin {
    pub clock: Clk,
    pub reset: Rst,
    pub command: CommandIn,
    pub what: O<4>,
    /// The first secondary controller of a list.
    pub from: O<6>,
    pub offset: O<16>,
    /// Abort a command: held until `abort_done`; something of it was.
    pub abort_valid: O<1>,
    pub abort_qid: O<3>,
    pub abort_cid: O<16>,
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
    /// A command of the PF that was kept is complete: held until `late_done`.
    pub late: O<1>,
    pub late_cid: O<16>,
    pub late_done: I<1>,
    /// One clock: there may be room again in somebody's admin completion queue.
    pub eased: I<1>,
    /// One clock, for `slot`: how its interrupts are collected (all, by vector); its block size.
    pub set_coalescing: O<1>,
    pub coalescing: O<16>,
    pub set_vectors: O<1>,
    pub vectors: O<8>,
    pub set_format: O<1>,
    pub big: O<1>,
    /// The slot's write cache is off.
    pub through: O<1>,
    /// Whose temperature is beyond a threshold.
    pub warm: O<64>,
    /// Secondary controllers: how many are enabled, which are offline; one clock: take `v_slot` off or on, it is off.
    pub enabled_vfs: I<6>,
    pub offline: I<64>,
    pub v_off: O<1>,
    pub v_on: O<1>,
    pub v_slot: O<6>,
    pub v_done: I<1>,
    /// A controller was closed: held until `forget_done`.
    pub forget: I<1>,
    pub forget_slot: I<6>,
    pub forget_done: O<1>,
    pub busy: O<1>,
    commands: commands::Commands,
    features: features::Features,
    events: events::Events,
}

impl Admin {
    /// Admin state of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        Admin {
            commands: commands::Commands::new(vfs),
            features: features::Features::new(vfs),
            events: events::Events::new(vfs),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Admin {
    fn update(&mut self) {
        clocked!(self.commands, self.features, self.events);
        link!(self.command, self.commands.command);
        self.what = self.commands.what;
        self.from = self.commands.from;
        self.offset = self.commands.offset;
        self.abort_valid = self.commands.abort_valid;
        self.abort_qid = self.command.cdw10.get(cmd::ABORT_SQID).trunc(3);
        self.abort_cid = self.command.cdw10.get(cmd::ABORT_CID);
        self.commands.abort_done = self.abort_done;
        self.commands.aborted = self.aborted;

        // The queues are the events' while they work, else the command's.
        let telling = self.events.q_valid;
        self.q_valid = self.commands.q_valid | telling;
        self.q_op = if telling { sized(Op::RESERVE, 4) } else { self.commands.q_op };
        self.q_slot = if telling { self.events.q_slot } else { self.command.slot };
        self.q_qid = if telling { 0 } else { self.commands.q_qid };
        self.q_base = self.commands.q_base;
        self.q_size = self.commands.q_size;
        self.q_cqid = self.commands.q_cqid;
        self.q_vector = self.commands.q_vector;
        self.q_interrupts = self.commands.q_interrupts;
        self.commands.q_ack = self.q_ack & !telling;
        self.commands.q_answer = self.q_answer;
        self.events.q_ack = self.q_ack & telling;
        self.events.q_found = self.q_found;
        self.commands.others = self.events.working;
        self.events.hold = self.commands.working;

        self.events.valid = self.commands.e_valid;
        self.events.ask = self.commands.e_ask;
        self.events.slot = self.command.slot;
        self.events.cid = self.command.cdw0.get(azote_regs::nvme::entry::CDW0_CID);
        self.commands.e_ack = self.events.ack;
        self.commands.e_answer = self.events.answer;
        self.commands.e_dw0 = self.events.dw0;
        self.commands.e_listed = self.events.listed;
        self.events.wants = self.features.set_events;
        self.events.wants_slot = self.command.slot;
        self.events.wants_health = self.command.cdw11.get(identify::WARNING_TEMPERATURE);
        self.events.wants_notice = self.command.cdw11.get(identify::OAES_NAMESPACE);
        self.events.wrong = self.wrong;
        self.events.wrong_slot = self.wrong_slot;
        self.events.wrong_value = self.wrong_value;
        self.events.began = self.began;
        self.events.began_slot = self.began_slot;
        self.events.changed = self.changed;
        self.events.changed_slot = self.changed_slot;
        self.events.eased = self.eased;
        self.late = self.commands.late;
        self.late_cid = self.commands.late_cid;
        self.commands.late_done = self.late_done;
        self.tell_valid = self.events.tell_valid;
        self.events.tell_ready = self.tell_ready;
        self.tell_slot = self.events.tell_slot;
        self.tell_cid = self.events.tell_cid;
        self.tell_dw0 = self.events.tell_dw0;

        self.features.slot = self.command.slot;
        self.features.cdw10 = self.command.cdw10;
        self.features.cdw11 = self.command.cdw11;
        self.features.apply = self.commands.f_apply;
        self.commands.f_value = self.features.value;
        self.commands.f_result = self.features.result;
        self.commands.f_warms = self.features.warms;
        self.commands.f_ready = self.features.ready;
        self.set_coalescing = self.features.set_coalescing;
        self.coalescing = self.command.cdw11.bits(15, 0);
        self.set_vectors = self.features.set_vectors;
        self.vectors = self.features.vectors;
        self.set_format = self.commands.set_format;
        self.big = self.command.cdw10.bit(0);
        self.through = self.features.through;
        self.warm = self.features.warm;
        self.commands.enabled_vfs = self.enabled_vfs;
        self.commands.offline = self.offline;
        self.v_off = self.commands.v_off;
        self.v_on = self.commands.v_on;
        self.v_slot = self.commands.v_slot;
        self.commands.v_done = self.v_done;
        self.commands.forget = self.forget;
        self.features.forget = self.forget;
        self.events.forget = self.forget;
        self.commands.forget_slot = self.forget_slot;
        self.features.forget_slot = self.forget_slot;
        self.events.forget_slot = self.forget_slot;
        self.forget_done = self.commands.forget_done & self.features.forgotten & self.events.forget_done;
        self.busy = self.commands.busy | self.events.busy;
    }
}
