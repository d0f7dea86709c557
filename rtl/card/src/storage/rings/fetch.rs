//! Fetches submission queue entries ahead of the front, four at a time: the next are on their way while the front looks at one, and
//! a far host's latency is waited for once for all of them.
//!
//! Promise: entries reach the front in the order in which the ring gave them; who asks is told how many entries of a queue
//! were taken from its ring and are not here yet.

use azote_hdl::prelude::*;
use azote_regs::nvme::entry;

use crate::dma::ReadOut;
use crate::storage::terms::ENTRIES;

struct St;
impl St {
    const IDLE: u64 = 0;
    const TAKE: u64 = 1;
    const READ: u64 = 2;
}

/// DWs of an entry; entry `i` lies at `i` times as many in the control buffer.
const SQE_DWS: u64 = entry::SQE_SIZE / 4;
/// Entries on their way or here.
pub const PLACES: usize = 4;
/// Rows of an entry.
pub const SQE_ROWS: u64 = SQE_DWS / 4;

packed! {
    /// The queue of an entry.
    Whose {
        slot: 6,
        qid: 3,
    }
}

#[derive(LogicBlock, Default)]
pub struct Fetch {
    pub clock: Clk,
    pub reset: Rst,
    // The queues.
    pub work: I<1>,
    pub q_valid: O<1>,
    pub q_ack: I<1>,
    pub q_found: I<1>,
    pub q_slot: I<6>,
    pub q_qid: I<3>,
    pub q_address: I<64>,
    // Reads of host memory: into a place.
    pub rd: ReadOut,
    pub rd_pending: I<4>,
    pub rd_failed: I<4>,
    pub rd_forget: O<4>,
    /// The oldest entry is here; `failed` says that it could not be read.
    pub valid: O<1>,
    pub failed: O<1>,
    pub place: O<2>,
    pub slot: O<6>,
    pub qid: O<3>,
    /// The front has read it from the control buffer.
    pub take: I<1>,
    /// How many entries of this queue were taken from its ring and are not here yet.
    pub look_slot: I<6>,
    pub look_qid: I<3>,
    pub unread: O<3>,
    pub busy: O<1>,
    st: Reg<2>,
    /// The next place to fill, the next to hand out, and which are in use.
    tail: Reg<2>,
    head: Reg<2>,
    used: Reg<4>,
    asked: Reg<4>,
    s: Reg<6>,
    q: Reg<3>,
    from: Reg<64>,
    who: [Reg<{ Whose::WIDTH }>; PLACES],
}

#[kernel]
impl Logic for Fetch {
    fn update(&mut self) {
        let tail = self.tail.q;
        let head = self.head.q;
        let here = self.asked.q.sel(head) & !self.rd_pending.sel(head);
        self.q_valid = self.st.q == St::TAKE;
        self.rd.valid = self.st.q == St::READ;
        self.rd.owner = cat(self.s.q, sized(azote_regs::function::STORAGE, 2));
        self.rd.address = self.from.q;
        self.rd.bytes = konst(entry::SQE_SIZE);
        self.rd.client = konst(ENTRIES) + tail.zext(4);
        self.rd.dest = cat(tail, sized(0, 4)).zext(13);
        self.rd_forget = 0;
        let whose = match head {
            0 => self.who[0].q,
            1 => self.who[1].q,
            2 => self.who[2].q,
            _ => self.who[3].q,
        };
        self.valid = here;
        self.failed = self.rd_failed.sel(head);
        self.place = head;
        self.slot = whose.get(Whose::SLOT);
        self.qid = whose.get(Whose::QID);

        let looked_at = Whose { slot: self.look_slot, qid: self.look_qid };
        let mut unread = sized(0, 3);
        for i in 0..PLACES {
            let away = self.used.q.bit(i) & !(self.asked.q.bit(i) & !self.rd_pending.bit(i));
            if away & (self.who[i].q == looked_at) {
                unread = unread + 1;
            }
        }
        self.unread = unread;
        let mut used = self.used.q;
        let mut asked = self.asked.q;
        match self.st.q {
            St::IDLE => {
                if self.work & !self.used.q.sel(tail) {
                    self.rd_forget = sized(1, 4) << tail;
                    self.st.d = St::TAKE;
                }
            }
            St::TAKE => {
                if self.q_ack {
                    self.s.d = self.q_slot;
                    self.q.d = self.q_qid;
                    self.from.d = self.q_address;
                    self.st.d = if self.q_found { St::READ } else { St::IDLE };
                    if self.q_found {
                        used = used | (sized(1, 4) << tail);
                        for i in 0..PLACES {
                            if tail == i {
                                self.who[i].d = Whose { slot: self.q_slot, qid: self.q_qid };
                            }
                        }
                    }
                }
            }
            St::READ => {
                if self.rd.ready {
                    asked = asked | (sized(1, 4) << tail);
                    self.tail.d = tail + 1;
                    self.st.d = St::IDLE;
                }
            }
            _ => self.st.d = St::IDLE,
        }
        if self.take {
            used = used & !(sized(1, 4) << head);
            asked = asked & !(sized(1, 4) << head);
            self.head.d = head + 1;
        }
        self.used.d = used;
        self.asked.d = asked;
        self.busy = (self.st.q != St::IDLE) | (self.used.q != 0) | self.work;
    }
}
