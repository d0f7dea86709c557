//! Posts completions: finds the place in the completion queue, writes the entry, and then asks for the interrupt.
//!
//! Three makers take turns: the front (what is done at once), the books (what needed the medium), the pages. A command of a controller that
//! was closed meanwhile is taken from the books and not posted.
//!
//! An entry that the gate swallowed (Bus Master Enable is off, the function is in D3hot) would be a hole in its queue: its
//! place is taken back, and it is tried again whenever the gate may have opened or a controller is being closed.
//!
//! The last command of a submission queue that is being deleted is followed by the deletion's own completion.

use azote_hdl::prelude::*;

use crate::parts::{Arbiter, BlockFifo, Fifo};
use crate::storage::records::errors::field;
use crate::storage::terms::Op;
use crate::storage::words::Done;
use crate::transaction::TxOut;
use crate::transaction::header::request;

struct St;
impl St {
    const IDLE: u64 = 0;
    const ASK: u64 = 1;
    const HEADER: u64 = 2;
    const ENTRY: u64 = 3;
    const INTERRUPT: u64 = 4;
    const UNDO: u64 = 5;
    const KEEP: u64 = 6;
    const FOLLOW: u64 = 7;
}

/// The makers of completions, by their input.
pub const FRONT: usize = 0;
pub const BOOKS: usize = 1;
pub const PAGES: usize = 2;

#[derive(LogicBlock, Default)]
pub struct Poster {
    pub clock: Clk,
    pub reset: Rst,
    pub in_valid: [I<1>; 3],
    pub in_ready: [O<1>; 3],
    pub in_data: [I<{ Done::WIDTH }>; 3],
    // The queues.
    pub q_valid: O<1>,
    pub q_op: O<4>,
    pub q_slot: O<6>,
    pub q_qid: O<3>,
    pub q_ack: I<1>,
    pub q_found: I<1>,
    pub q_address: I<64>,
    pub q_phase: I<1>,
    pub q_head: I<12>,
    pub q_vector: I<3>,
    pub q_interrupt: I<1>,
    pub q_drained: I<1>,
    pub q_drained_cid: I<16>,
    pub tx: TxOut,
    /// An interrupt for a completion of `q_slot` and `q_qid`.
    pub irq_valid: O<1>,
    pub irq_vector: O<3>,
    pub irq_ready: I<1>,
    /// One clock: the gate may be open for somebody, or somebody is being closed.
    pub again: I<1>,
    /// Working on a completion of `q_slot`.
    pub posting: O<1>,
    pub busy: O<1>,
    st: Reg<3>,
    turns: Arbiter<3, 2>,
    d: Reg<{ Done::WIDTH }>,
    address: Reg<64>,
    phase: Reg<1>,
    head: Reg<12>,
    vector: Reg<3>,
    interrupt: Reg<1>,
    /// The deletion whose completion follows.
    follows: Reg<1>,
    f_cid: Reg<16>,
    /// The entry was swallowed. What was, and how many of them are to be tried again.
    killed: Reg<1>,
    tries: Reg<11>,
    /// The last one was one of those.
    retried: Reg<1>,
    swallowed: BlockFifo<10, { Done::WIDTH }>,
    queue: [Fifo<{ Done::WIDTH }>; 3],
}

impl Poster {
    /// The poster, with room for four completions of each maker.
    pub fn new() -> Self {
        Poster { queue: std::array::from_fn(|_| Fifo::new(4)), ..Self::default() }
    }
}

#[kernel]
impl Logic for Poster {
    fn update(&mut self) {
        clocked!(self.turns, self.swallowed);
        let idle = self.st.q == St::IDLE;
        let mut wants = sized(0, 3);
        for i in 0..3 {
            clocked!(self.queue[i]);
            self.queue[i].in_valid = self.in_valid[i];
            self.queue[i].in_data = self.in_data[i];
            self.in_ready[i] = self.queue[i].in_ready;
            if self.queue[i].out_valid {
                wants = wants | konst(1 << i);
            }
        }
        self.turns.wants = wants;
        let some = self.turns.any;
        let pick = self.turns.grant;
        // They and what is new take turns.
        let again = self.swallowed.out_valid & (self.tries.q != 0) & !(some & self.retried.q);
        for i in 0..3 {
            self.queue[i].out_ready = idle & some & (!again) & (pick == i);
        }
        self.turns.take = idle & some & !again;
        self.swallowed.in_valid = self.st.q == St::KEEP;
        self.swallowed.in_data = self.d.q;
        self.swallowed.out_ready = idle & again;
        // One may be in hand, and be swallowed again in a moment.
        if self.again {
            self.tries.d = self.swallowed.level.trunc(11) + 1;
        } else if idle & again {
            self.tries.d = self.tries.q - 1;
        }
        check!((self.st.q != St::KEEP) | self.swallowed.in_ready, "more completions were swallowed than there can be");
        self.turns.last = 1;
        let dw0 = self.d.q.get(Done::DW0);
        let code = self.d.q.get(Done::STATUS);
        let cid = self.d.q.get(Done::CID);
        let qid = self.d.q.get(Done::QID);
        let slot = self.d.q.get(Done::SLOT);
        let release = self.d.q.get(Done::RELEASE);
        let owner = cat(slot, sized(azote_regs::function::STORAGE, 2));
        let status = field(code);
        let entry = cat(status, self.phase.q, cid, qid.zext(16), self.head.q.zext(16), sized(0, 32), dw0);
        let header = request(self.address.q, sized(4, 11), sized(0, 8));
        let undoes = self.st.q == St::UNDO;
        self.q_valid = (self.st.q == St::ASK) | undoes;
        self.q_op = if undoes {
            sized(Op::UNDO, 4)
        } else if release {
            Op::RELEASE
        } else {
            Op::POST
        };
        self.q_slot = slot;
        self.q_qid = qid;
        self.tx.valid = (self.st.q == St::HEADER) | (self.st.q == St::ENTRY);
        self.tx.sop = self.st.q == St::HEADER;
        self.tx.eop = self.st.q == St::ENTRY;
        self.tx.keep = 15;
        self.tx.data = if self.st.q == St::HEADER { header } else { entry };
        self.tx.owner = owner;
        self.irq_valid = self.st.q == St::INTERRUPT;
        self.irq_vector = self.vector.q;

        match self.st.q {
            St::IDLE => {
                self.killed.d = 0;
                if again | some {
                    self.retried.d = again;
                }
                if again {
                    self.d.d = self.swallowed.out_data;
                    self.st.d = St::ASK;
                } else if some {
                    for i in 0..3 {
                        if pick == i {
                            self.d.d = self.queue[i].out_data;
                        }
                    }
                    self.st.d = St::ASK;
                }
            }
            St::ASK => {
                if self.q_ack {
                    self.address.d = self.q_address;
                    self.phase.d = self.q_phase;
                    self.head.d = self.q_head;
                    self.vector.d = self.q_vector;
                    self.interrupt.d = self.q_interrupt;
                    self.follows.d = self.q_drained;
                    self.f_cid.d = self.q_drained_cid;
                    self.st.d = if self.q_found { St::HEADER } else { St::FOLLOW };
                }
            }
            St::HEADER => {
                if self.tx.ready {
                    self.killed.d = self.tx.killed;
                    self.st.d = St::ENTRY;
                }
            }
            St::ENTRY => {
                if self.tx.ready {
                    self.st.d = if self.killed.q {
                        St::UNDO
                    } else if self.interrupt.q {
                        St::INTERRUPT
                    } else {
                        St::FOLLOW
                    };
                }
            }
            St::INTERRUPT => {
                if self.irq_ready {
                    self.st.d = St::FOLLOW;
                }
            }
            St::UNDO => {
                if self.q_ack {
                    // Of a queue that was deleted meanwhile there is nothing to try again.
                    self.st.d = if self.q_found { St::KEEP } else { St::FOLLOW };
                }
            }
            St::KEEP => self.st.d = St::IDLE,
            St::FOLLOW => {
                self.follows.d = 0;
                if self.follows.q {
                    self.d.d = Done { slot, cid: self.f_cid.q, ..0 };
                }
                self.st.d = if self.follows.q { St::ASK } else { St::IDLE };
            }
            _ => self.st.d = St::IDLE,
        }
        self.posting = !idle;
        self.busy = (!idle) | some | ((self.tries.q != 0) & (self.swallowed.level != 0));
    }
}
