//! Writes the used rings: an entry for each chain, then the index, then, if the driver wants one, an interrupt (virtio §2.7.8).
//!
//! Chains of one queue that come one behind the other share an index. Whether the driver wants an interrupt stands in its memory, and is
//! read **after** the index was written: a queue that has something to tell stands in a ring, once, and two are asked about at a
//! time. What comes meanwhile is asked about again.
//!
//! Promises: an entry is written before its index, and both before the interrupt; `used_event` is looked at after the last index; what the
//! gate swallowed breaks its function's device; nobody waits for a read of somebody else's.

use azote_hdl::prelude::*;
use azote_regs::virtio::{NO_VECTOR, ring};

use super::bundles::{BrokenOut, FlightOut, RingOut, Terms, UsedIn, WipeIn};
use super::registers::{Meta, Word};
use crate::dma::ReadOut;
use crate::engine::IrqOut;
use crate::parts::{Arbiter, BlockFifo, BlockTable, Fifo, Table, slots_of};
use crate::transaction::TxOut;
use crate::transaction::header::{byte_request, last_keep, spans};

/// Who posts: the two fetchers, who tell where the driver is to notify next, and those who used chains.
pub const USERS: usize = 4;
/// Questions to drivers under way, each with a client of reads.
pub const QUESTIONS: usize = 2;
/// Entries that share an index.
const BATCH: usize = 8;
/// Bits of a queue, slot and number.
const QUEUE: usize = 10;

packed! {
    /// How far a used ring is: the index, and the index about which the driver was last asked.
    Place {
        told: 16,
        index: 16,
    }
}

packed! {
    /// A question.
    Question {
        odd: 1,
        event_idx: 1,
        vector: 16,
        old: 16,
        new: 16,
        queue: 4,
        slot: 6,
    }
}

struct St;
impl St {
    const BOOT: u64 = 0;
    const IDLE: u64 = 1;
    const LOOK: u64 = 2;
    const DEVICE: u64 = 3;
    const META: u64 = 4;
    const ENTRY: u64 = 5;
    const HEADER: u64 = 6;
    const DATA: u64 = 7;
    const NEXT: u64 = 8;
    const INDEX: u64 = 9;
    const RING: u64 = 10;
    const BREAK: u64 = 11;
    const DONE: u64 = 12;
    const ASK: u64 = 13;
    const DRIVER: u64 = 14;
    const ASK_META: u64 = 15;
    const READ: u64 = 16;
    const LOAD: u64 = 17;
    const DECIDE: u64 = 18;
    const DROP: u64 = 19;
    const MORE: u64 = 20;
}

/// What a packet is.
struct Is;
impl Is {
    const ENTRY: u64 = 0;
    /// The first half of an entry that lies across two pages.
    const HALF: u64 = 1;
    const INDEX: u64 = 2;
    const EVENT: u64 = 3;
}

#[derive(LogicBlock, Default)]
pub struct Post {
    pub clock: Clk,
    pub reset: Rst,
    pub used: [UsedIn; USERS],
    pub ring: RingOut,
    pub tx: TxOut,
    pub rd: ReadOut,
    pub pending: I<QUESTIONS>,
    pub failed: I<QUESTIONS>,
    pub forget: O<QUESTIONS>,
    /// One clock: the first DW that lands for a question.
    pub landed: I<1>,
    pub landed_at: I<1>,
    pub landed_data: I<32>,
    pub irq: IrqOut,
    /// One clock: a queue of this slot had something to tell.
    pub told: O<1>,
    pub told_slot: O<6>,
    pub broken: BrokenOut,
    pub wipe: WipeIn,
    /// A question begins; a chain or a question ends.
    pub begins: FlightOut,
    pub ends: FlightOut,
    /// A question ends whose interrupt was asked for.
    pub rung: FlightOut,
    pub busy: O<1>,
    client: Param,
    kind: Param,
    st: Reg<5>,
    turns: Arbiter<USERS, 2>,
    who: Reg<2>,
    slot: Reg<6>,
    queue: Reg<4>,
    head: Reg<16>,
    bytes: Reg<32>,
    event: Reg<1>,
    base: Reg<64>,
    size: Reg<16>,
    vector: Reg<16>,
    index: Reg<16>,
    old: Reg<16>,
    batch: Reg<5>,
    is: Reg<2>,
    address: Reg<64>,
    length: Reg<4>,
    data: Reg<64>,
    killed: Reg<1>,
    more: Reg<1>,
    posted: Reg<1>,
    /// The question in hand.
    number: Reg<1>,
    asking: Reg<QUESTIONS>,
    wiped: Reg<1>,
    row: Reg<32>,
    questions: LutRam<1, { Question::WIDTH }>,
    answers: LutRam<1, 32>,
    places: BlockTable<QUEUE, { Place::WIDTH }, 1>,
    ringing: BlockFifo<QUEUE, QUEUE>,
    rings: Table<QUEUE, 1, 1>,
    bells: Fifo<10>,
}

impl Post {
    /// For the PF and `vfs` VFs of a kind; the first of its clients of reads.
    pub fn new(vfs: usize, kind: u64, client: usize) -> Self {
        let slots = slots_of(vfs);
        Post {
            client: Param::new(client),
            kind: Param::new(kind as usize),
            places: BlockTable::new(slots << 4, 4),
            rings: Table::new(slots << 4, 4),
            bells: Fifo::new(16),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Post {
    fn update(&mut self) {
        clocked!(self.turns, self.places, self.ringing, self.rings, self.bells);
        memories!(self.questions, self.answers);
        let idle = self.st.q == St::IDLE;
        let queue = cat(self.slot.q, self.queue.q);
        let owner = cat(self.slot.q, sized({ self.kind.get() }, 2));
        let there = !self.ring.taken;
        let meta = self.ring.data;
        let terms = self.ring.terms;
        let place = self.places.rdata[0];

        // --- who has something to post
        let mut wants = sized(0, USERS);
        let mut follows = sized(0, 1);
        let mut follower = sized(0, 2);
        for back in 0..USERS {
            let i: usize = USERS - 1 - back;
            self.used[i].ready = 0;
            if self.used[i].valid {
                wants = wants | konst(1 << i);
                let same = (self.used[i].slot == self.slot.q) & (self.used[i].queue == self.queue.q);
                if same & !(self.used[i].event | self.used[i].none) {
                    follows = 1;
                    follower = konst(i);
                }
            }
        }
        self.turns.wants = wants;
        self.turns.take = 0;
        self.turns.last = 1;
        let mut takes = sized(0, 1);
        let mut from = self.turns.grant;

        self.ring.slot = self.slot.q;
        self.ring.queue = self.queue.q;
        self.ring.word = Word::META;
        self.places.raddr[0] = queue;
        let mut place_we = sized(0, 1);
        let mut place_new = Place { told: self.old.q, index: self.index.q };
        self.places.first = 0;
        self.places.wipe = self.wipe.slot_valid & !self.wiped.q;
        self.places.wipe_slot = self.wipe.slot;
        self.wipe.done = self.wiped.q;
        if !(self.wipe.slot_valid | self.wipe.queue_valid) {
            self.wiped.d = 0;
        } else if self.places.wiped & self.wipe.slot_valid {
            self.wiped.d = 1;
        }

        let mut free = sized(0, 1);
        let mut spare = sized(0, 1);
        let mut answered = sized(0, 1);
        let mut which = sized(0, 1);
        for back in 0..QUESTIONS {
            let i: usize = QUESTIONS - 1 - back;
            if !self.asking.q.bit(i) {
                free = 1;
                spare = konst(i);
            } else if !self.pending.bit(i) {
                answered = 1;
                which = konst(i);
            }
        }
        self.questions.we = 0;
        self.questions.waddr = self.number.q;
        self.questions.wdata = 0;
        self.questions.raddr = self.number.q;
        self.answers.we = self.landed;
        self.answers.waddr = self.landed_at;
        self.answers.wdata = self.landed_data;
        self.answers.raddr = self.number.q;
        self.forget = 0;
        self.rings.raddr[0] = queue;
        self.rings.we = 0;
        self.rings.waddr = queue;
        self.rings.wdata = 0;
        self.rings.first = 0;
        self.rings.wipe = 0;
        self.rings.wipe_slot = 0;
        self.ringing.in_valid = 0;
        self.ringing.in_data = queue;
        self.ringing.out_ready = 0;
        self.rd.valid = self.st.q == St::READ;
        self.rd.owner = owner;
        self.rd.address = self.address.q;
        self.rd.bytes = 2;
        self.rd.client = cat(sized({ self.client.get() / 2 }, 3), self.number.q);
        self.rd.dest = self.number.q.zext(13) << 2;
        self.begins.valid = 0;
        self.begins.slot = self.slot.q;
        self.ends.valid = 0;
        self.ends.slot = self.slot.q;
        self.told = 0;
        self.told_slot = self.slot.q;
        self.broken.valid = self.st.q == St::BREAK;
        self.broken.slot = self.slot.q;

        // --- a packet
        let is_header = self.st.q == St::HEADER;
        let start = self.address.q.bits(1, 0);
        let length = self.length.q.zext(13);
        self.tx.valid = is_header | (self.st.q == St::DATA);
        self.tx.sop = is_header;
        self.tx.eop = !is_header;
        self.tx.keep = if is_header { sized(15, 4) } else { last_keep(spans(start, length)) };
        let payload = if start.bit(1) { cat(sized(0, 48), self.data.q, sized(0, 16)) } else { self.data.q.zext(128) };
        self.tx.data = if is_header { byte_request(self.address.q, length, sized(0, 8)) } else { payload };
        self.tx.owner = owner;

        // --- interrupts wait here for the door
        let q = self.questions.rdata;
        let answer = if q.get(Question::ODD) { self.row.q.bits(31, 16) } else { self.row.q.bits(15, 0) };
        let since_event = q.get(Question::NEW) - answer - 1;
        let since_old = q.get(Question::NEW) - q.get(Question::OLD);
        let wanted = if q.get(Question::EVENT_IDX) { since_event < since_old } else { !answer.bit(0) };
        self.bells.in_valid = 0;
        self.bells.in_data = cat(self.slot.q, q.get(Question::VECTOR).trunc(4));
        self.irq.valid = self.bells.out_valid;
        self.irq.owner = cat(self.bells.out_data.bits(9, 4), sized({ self.kind.get() }, 2));
        self.irq.vector = self.bells.out_data.bits(3, 0);
        self.bells.out_ready = self.irq.ready;
        self.rung.valid = self.bells.out_valid & self.irq.ready;
        self.rung.slot = self.bells.out_data.bits(9, 4);

        let at = self.index.q & (self.size.q - 1);
        // Questions and chains take turns.
        let asks = self.ringing.out_valid & free;
        match self.st.q {
            St::BOOT => {
                if self.places.ready & self.rings.ready {
                    self.st.d = St::IDLE;
                }
            }
            St::IDLE => {
                self.batch.d = 0;
                if answered & self.bells.in_ready {
                    self.number.d = which;
                    self.st.d = St::LOAD;
                } else if self.turns.any & !(asks & self.posted.q) {
                    self.posted.d = 1;
                    self.turns.take = 1;
                    takes = 1;
                    self.st.d = St::LOOK;
                } else if asks {
                    self.posted.d = 0;
                    self.ringing.out_ready = 1;
                    self.slot.d = self.ringing.out_data.bits(9, 4);
                    self.queue.d = self.ringing.out_data.bits(3, 0);
                    self.number.d = spare;
                    self.st.d = St::ASK;
                }
            }

            // A chain that was used, or an event.
            St::LOOK => {
                self.ring.word = Word::DEVICE;
                self.st.d = St::DEVICE;
            }
            St::DEVICE => {
                if there {
                    self.base.d = self.ring.data;
                    self.index.d = place.get(Place::INDEX);
                    self.old.d = place.get(Place::TOLD);
                    self.st.d = St::META;
                } else {
                    self.ring.word = Word::DEVICE;
                }
            }
            St::META => {
                self.size.d = meta.get(Meta::SIZE);
                if there {
                    self.st.d = St::ENTRY;
                }
            }
            St::ENTRY => {
                let entry = self.base.q + ring::USED_RING + cat(sized(0, 45), at, sized(0, 3));
                let event = self.base.q + ring::USED_RING + cat(sized(0, 45), self.size.q, sized(0, 3));
                let split = entry.bits(11, 2).all();
                self.address.d = if self.event.q { event } else { entry };
                self.data.d = if self.event.q { self.head.q.zext(64) } else { cat(self.bytes.q, self.head.q.zext(32)) };
                self.length.d = if self.event.q {
                    sized(2, 4)
                } else if split {
                    4
                } else {
                    8
                };
                self.is.d = if self.event.q {
                    sized(Is::EVENT, 2)
                } else if split {
                    Is::HALF
                } else {
                    Is::ENTRY
                };
                // The question about it begins before the chain has ended.
                self.begins.valid = (!self.event.q) & (self.batch.q == 0);
                self.st.d = St::HEADER;
            }
            St::HEADER => {
                if self.tx.ready {
                    self.killed.d = self.tx.killed;
                    self.st.d = St::DATA;
                }
            }
            St::DATA => {
                if self.tx.ready {
                    if self.killed.q | self.tx.killed {
                        self.st.d = St::BREAK;
                    } else {
                        self.st.d = match self.is.q {
                            Is::EVENT => sized(St::DONE, 5),
                            Is::INDEX => St::RING,
                            Is::HALF => St::HEADER,
                            _ => St::NEXT,
                        };
                    }
                    self.address.d = self.address.q + 4;
                    self.data.d = self.bytes.q.zext(64);
                    if self.is.q == Is::HALF {
                        self.is.d = Is::ENTRY;
                    }
                }
            }
            // Behind an entry: the next one of this queue, or the index.
            St::NEXT => {
                self.ends.valid = 1;
                self.index.d = self.index.q + 1;
                self.batch.d = self.batch.q + 1;
                if self.more.q {
                    self.st.d = St::MORE;
                } else if follows & (self.batch.q < konst(BATCH - 1)) {
                    takes = 1;
                    from = follower;
                    self.st.d = St::ENTRY;
                } else {
                    self.st.d = St::INDEX;
                }
            }
            // The driver must not see a part of what belongs together: the rest of it comes in the next clocks.
            St::MORE => {
                if follows {
                    takes = 1;
                    from = follower;
                    self.st.d = St::ENTRY;
                }
            }
            St::INDEX => {
                place_we = sized(1, 1);
                self.address.d = self.base.q + ring::USED_IDX;
                self.data.d = self.index.q.zext(64);
                self.length.d = 2;
                self.is.d = Is::INDEX;
                self.st.d = St::HEADER;
            }
            St::RING => {
                let stands = self.rings.rdata[0];
                self.rings.we = !stands;
                self.rings.wdata = 1;
                self.ringing.in_valid = !stands;
                // It is asked about already: once is enough.
                self.ends.valid = stands;
                self.st.d = St::IDLE;
            }
            St::BREAK => {
                if self.broken.ready {
                    self.st.d = if self.event.q { sized(St::DONE, 5) } else { St::DROP };
                }
            }
            // The chain and its question end as if they had been told. In a batch they may be two.
            St::DROP => {
                self.ends.valid = 1;
                self.is.d = Is::INDEX;
                self.st.d = if self.is.q == Is::INDEX { sized(St::IDLE, 5) } else { St::DROP };
            }
            St::DONE => {
                for i in 0..USERS {
                    self.used[i].ready = self.who.q == i;
                }
                self.st.d = St::IDLE;
            }

            // A question.
            St::ASK => {
                self.ring.word = Word::DRIVER;
                self.rings.we = 1;
                self.st.d = St::DRIVER;
            }
            St::DRIVER => {
                if there {
                    self.base.d = self.ring.data;
                    self.index.d = place.get(Place::INDEX);
                    self.old.d = place.get(Place::TOLD);
                    self.st.d = St::ASK_META;
                } else {
                    self.ring.word = Word::DRIVER;
                }
            }
            St::ASK_META => {
                let event = ring::AVAIL_RING + cat(sized(0, 47), meta.get(Meta::SIZE), sized(0, 1));
                self.address.d = if terms.get(Terms::EVENT_IDX) { self.base.q + event } else { self.base.q };
                self.vector.d = meta.get(Meta::VECTOR);
                self.event.d = terms.get(Terms::EVENT_IDX);
                if there {
                    self.ends.valid = !terms.get(Terms::ALIVE);
                    self.st.d = if terms.get(Terms::ALIVE) { sized(St::READ, 5) } else { St::IDLE };
                }
            }
            St::READ => {
                self.questions.wdata = Question {
                    odd: self.address.q.bit(1),
                    event_idx: self.event.q,
                    vector: self.vector.q,
                    old: self.old.q,
                    new: self.index.q,
                    queue: self.queue.q,
                    slot: self.slot.q,
                };
                if self.rd.ready {
                    self.questions.we = 1;
                    place_we = sized(1, 1);
                    place_new = Place { told: self.index.q, index: self.index.q };
                    self.asking.d = self.asking.q | (sized(1, QUESTIONS) << self.number.q);
                    self.st.d = St::IDLE;
                }
            }
            St::LOAD => {
                self.row.d = self.answers.rdata;
                self.slot.d = q.get(Question::SLOT);
                self.queue.d = q.get(Question::QUEUE);
                self.st.d = St::DECIDE;
            }
            St::DECIDE => {
                let failed = self.failed.sel(self.number.q);
                // What could not be read wants to be told.
                let rings = (wanted | failed) & terms.get(Terms::ALIVE);
                let bell = rings & (q.get(Question::VECTOR) != NO_VECTOR);
                self.told = rings;
                self.bells.in_valid = bell;
                // A question ends when its interrupt is at the door.
                self.ends.valid = !bell;
                self.forget = sized(1, QUESTIONS) << self.number.q;
                self.asking.d = self.asking.q & !(sized(1, QUESTIONS) << self.number.q);
                self.st.d = St::IDLE;
            }
            _ => self.st.d = St::IDLE,
        }

        // A queue alone is forgotten beside whatever is done: nothing of its function is.
        let forgets = self.wipe.queue_valid & (!self.wiped.q) & !place_we;
        if forgets {
            self.wiped.d = 1;
        }
        self.places.we = place_we | forgets;
        self.places.waddr = if place_we { queue } else { cat(self.wipe.slot, self.wipe.queue) };
        self.places.wdata = if place_we { place_new } else { 0 };

        if takes {
            for i in 0..USERS {
                if from == i {
                    self.who.d = konst(i);
                    self.slot.d = self.used[i].slot;
                    self.queue.d = self.used[i].queue;
                    self.head.d = self.used[i].head;
                    self.bytes.d = self.used[i].bytes;
                    self.event.d = self.used[i].event;
                    self.more.d = self.used[i].more;
                    // Who tells an event waits until it is told.
                    self.used[i].ready = !self.used[i].event;
                    if self.used[i].none {
                        self.st.d = St::DROP;
                        self.is.d = Is::INDEX;
                    }
                }
            }
        }
        self.busy = (!idle)
            | wants.any()
            | (self.asking.q != 0)
            | (self.ringing.level != 0)
            | self.bells.out_valid
            | self.wipe.slot_valid
            | self.wipe.queue_valid;
    }
}
