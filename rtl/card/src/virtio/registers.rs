//! The registers of all virtio functions of a kind: common configuration, ISR status, notifications (virtio §4.1.4).
//!
//! Promise: an access is answered within some clocks, whatever else goes on. A device that is reset (status 0, FLR, VF disable), or one of
//! whose queues is, takes nothing new; when nothing of it is under way any more all that was kept of it is wiped, and only then reads
//! its status, or `queue_reset`, 0. Many are reset side by side, each in clocks of its own.

use azote_hdl::prelude::*;
use azote_regs::virtio::pci::{self, common};
use azote_regs::virtio::{NO_VECTOR, feature, net, ring, status};

use super::bundles::{BrokenIn, KickOut, RingIn, Terms, WipeOut};
use crate::engine::{IrqOut, ResetIn};
use crate::parts::{BlockTable, Fifo, Table, byte_mask, mark_of, slots_of};
use crate::transaction::BusSlave;

/// The words of a queue.
pub struct Word;
impl Word {
    pub const DESC: u64 = 0;
    pub const DRIVER: u64 = 1;
    pub const DEVICE: u64 = 2;
    /// See [`Meta`].
    pub const META: u64 = 3;
}

packed! {
    /// The fourth word of a queue.
    pub Meta {
        reserved: 31,
        enable: 1,
        vector: 16,
        size: 16,
    }
}

packed! {
    /// The registers of a function that are small.
    Small {
        /// It is being reset; these of its queues are.
        closing: 1,
        queues_closing: 16,
        generation: 8,
        /// `device_feature_select` and `driver_feature_select`: what is neither 0 nor 1 is 2.
        device_select: 2,
        driver_select: 2,
        vector: 16,
        queue: 16,
        status: 8,
    }
}

/// DWs of common configuration.
const DEVICE_SELECT: u64 = common::DEVICE_FEATURE_SELECT / 4;
const DEVICE_FEATURE: u64 = common::DEVICE_FEATURE / 4;
const DRIVER_SELECT: u64 = common::DRIVER_FEATURE_SELECT / 4;
const DRIVER_FEATURE: u64 = common::DRIVER_FEATURE / 4;
const VECTOR: u64 = common::CONFIG_MSIX_VECTOR / 4;
const STATUS: u64 = common::DEVICE_STATUS / 4;
const SIZE: u64 = common::QUEUE_SIZE / 4;
const ENABLE: u64 = common::QUEUE_ENABLE / 4;
const DESC: u64 = common::QUEUE_DESC / 4;
const DRIVER: u64 = common::QUEUE_DRIVER / 4;
const DEVICE: u64 = common::QUEUE_DEVICE / 4;
const RESET: u64 = common::QUEUE_NOTIFY_DATA / 4;
/// Bits of the status that a driver sets.
const DRIVERS: u64 = status::ACKNOWLEDGE.mask()
    | status::DRIVER.mask()
    | status::DRIVER_OK.mask()
    | status::FEATURES_OK.mask()
    | status::FAILED.mask();
/// Pages of registers, by bits 9:8 of the offset.
const PAGE_COMMON: u64 = pci::COMMON_AT >> 8;
const PAGE_ISR: u64 = pci::ISR_AT >> 8;
const PAGE_DEVICE: u64 = pci::DEVICE_AT >> 8;
/// The vectors that a function has: any other is none.
const VECTORS: u64 = 16;
/// Who asks for the words of queues.
pub const READERS: usize = 3;
/// Who asks what a function agreed to, without them.
pub const ASKERS: usize = 3;
/// Ports of the terms: the readers', and one for each who asks.
const TERMS: usize = READERS + ASKERS;
/// Who may find a device broken.
pub const FINDERS: usize = 5;

struct St;
impl St {
    const BOOT: u64 = 0;
    const IDLE: u64 = 1;
    const READ: u64 = 2;
    const WAIT: u64 = 3;
    const DO: u64 = 4;
    const ACK: u64 = 5;
    const KICK: u64 = 6;
    const BROKEN: u64 = 8;
    const RESET: u64 = 9;
    const TEST: u64 = 10;
    const WIPE: u64 = 11;
    const WIPED: u64 = 12;
    const CONFIG: u64 = 13;
    const ISR: u64 = 14;
}

#[derive(LogicBlock, Default)]
pub struct Registers {
    pub clock: Clk,
    pub reset: Rst,
    pub bus: BusSlave,
    /// FLR or VF disable, as the socket has it.
    pub forget: ResetIn,
    /// The words of queues, and what their functions agreed to.
    pub rings: [RingIn; READERS],
    /// What a function agreed to, in the same clock.
    pub ask: [I<6>; ASKERS],
    pub terms: [O<{ Terms::WIDTH }>; ASKERS],
    /// To the fetchers of queues with even numbers and with odd ones.
    pub kick: [KickOut; 2],
    pub broken: [BrokenIn; FINDERS],
    /// All that others keep is to be forgotten.
    pub wipe: WipeOut,
    /// Whether something of this slot is under way.
    pub quiet_ask: O<6>,
    pub quiet: I<1>,
    /// Device-specific configuration: some clocks behind `device_slot` and `device_at`, a DW's number.
    pub device_slot: O<6>,
    pub device_at: O<6>,
    pub device: I<32>,
    /// It changed for this slot: held until `changed_ready`.
    pub changed: I<1>,
    pub changed_slot: I<6>,
    pub changed_ready: O<1>,
    /// A queue of this slot had something to tell.
    pub told: I<1>,
    pub told_slot: I<6>,
    pub irq: IrqOut,
    pub busy: O<1>,
    slots: Param,
    queues: Param,
    /// Features that are offered, and those of the PF besides.
    offered: [Param; 2],
    pf: [Param; 2],
    kind: Param,
    st: Reg<4>,
    slot: Reg<6>,
    small: Reg<{ Small::WIDTH }>,
    word: Reg<2>,
    out: Reg<32>,
    waits: Reg<2>,
    next: Reg<4>,
    kicks: Reg<1>,
    done: Reg<1>,
    look: Reg<4>,
    /// Who is closing, and whose turn it is to be looked at.
    closing: Reg<64>,
    cursor: Reg<6>,
    /// The wipe is that of a queue alone.
    partly: Reg<1>,
    swept: Reg<1>,
    low_wiped: Reg<1>,
    stole: Reg<1>,
    /// The word that a reader asked for was being written.
    clash: [Reg<1>; READERS],
    victim: Reg<4>,
    ring: Reg<64>,
    replies: Reg<1>,
    /// Interrupts of changes that wait for the door.
    tells: Fifo<10>,
    state: Table<6, { Small::WIDTH }, 1>,
    features: Table<6, 64, 1>,
    agreed: Table<6, { Terms::WIDTH }, TERMS>,
    isr: Table<6, 2, 1>,
    /// By queue: it is enabled.
    enables: Table<6, 16, 1>,
    low: BlockTable<12, 32, READERS>,
    high: BlockTable<12, 32, READERS>,
}

/// What a device of a kind is.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    pub kind: u64,
    pub queues: u64,
    /// Features of all functions, and of the PF besides.
    pub features: u64,
    pub pf_features: u64,
}

impl Registers {
    /// Registers of the PF and `vfs` VFs.
    pub fn new(vfs: usize, device: &Device) -> Self {
        let slots = slots_of(vfs);
        let halves = |f: u64| [Param::new((f & 0xffff_ffff) as usize), Param::new((f >> 32) as usize)];
        Registers {
            slots: Param::new(slots),
            queues: Param::new(device.queues as usize),
            offered: halves(device.features),
            pf: halves(device.pf_features),
            kind: Param::new(device.kind as usize),
            tells: Fifo::new(64),
            state: Table::new(slots, 0),
            features: Table::new(slots, 0),
            agreed: Table::new(slots, 0),
            isr: Table::new(slots, 0),
            enables: Table::new(slots, 0),
            low: BlockTable::new(slots << 6, 6),
            high: BlockTable::new(slots << 6, 6),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Registers {
    fn update(&mut self) {
        clocked!(self.state, self.features, self.agreed, self.isr, self.enables, self.low, self.high, self.tells);
        let slots: usize = self.slots.get();
        let queues: usize = self.queues.get();
        let offset = self.bus.offset;
        let owner_slot = self.bus.owner.bits(7, 2);
        let dw = offset.bits(5, 2);
        let mask = byte_mask(self.bus.be);
        let idle = self.st.q == St::IDLE;

        // --- the tables: the slot in hand
        let hand = if idle { owner_slot } else { self.slot.q };
        self.state.raddr[0] = hand;
        self.state.we = 0;
        self.state.waddr = self.slot.q;
        self.state.wdata = 0;
        let nothing = Small { vector: konst(NO_VECTOR), ..0 };
        self.state.first = nothing;
        self.state.wipe = 0;
        self.state.wipe_slot = 0;
        self.features.raddr[0] = hand;
        self.features.we = 0;
        self.features.waddr = self.slot.q;
        self.features.wdata = 0;
        self.features.first = 0;
        self.features.wipe = 0;
        self.features.wipe_slot = 0;
        self.agreed.we = 0;
        self.agreed.waddr = self.slot.q;
        self.agreed.wdata = 0;
        self.agreed.first = 0;
        self.agreed.wipe = 0;
        self.agreed.wipe_slot = 0;
        for i in 0..READERS {
            self.agreed.raddr[i] = self.rings[i].slot;
            self.rings[i].terms = self.agreed.rdata[i];
        }
        for i in 0..ASKERS {
            self.agreed.raddr[READERS + i] = self.ask[i];
            self.terms[i] = self.agreed.rdata[READERS + i];
        }
        self.isr.we = self.told;
        self.isr.waddr = self.told_slot;
        self.isr.wdata = self.isr.rdata[0] | 1;
        self.isr.raddr[0] = if self.told { self.told_slot } else { self.slot.q };
        self.enables.raddr[0] = hand;
        self.enables.we = 0;
        self.enables.waddr = self.slot.q;
        self.enables.wdata = 0;
        self.enables.first = 0;
        self.enables.wipe = 0;
        self.enables.wipe_slot = 0;
        self.isr.first = 0;
        self.isr.wipe = 0;
        self.isr.wipe_slot = 0;

        // --- the words of queues: the first reader's port is ours for a clock when we have an access
        let small = self.small.q;
        let queue = small.get(Small::QUEUE).trunc(4);
        let steals = self.st.q == St::READ;
        let wipes_queue = (self.st.q == St::WIPE) & self.partly.q;
        let mine = cat(self.slot.q, if wipes_queue { self.victim.q } else { queue }, self.word.q);
        let mut low_we = sized(0, 1);
        let mut low_new = sized(0, 32);
        let mut high_we = sized(0, 1);
        let mut high_new = sized(0, 32);
        self.stole.d = steals;
        let theirs = cat(self.rings[0].slot, self.rings[0].queue, self.rings[0].word);
        let at = if steals { mine } else { theirs };
        self.low.raddr[0] = at;
        self.high.raddr[0] = at;
        self.rings[0].data = cat(self.high.rdata[0], self.low.rdata[0]);
        self.rings[0].taken = self.stole.q | self.clash[0].q;
        for i in 1..READERS {
            let other = cat(self.rings[i].slot, self.rings[i].queue, self.rings[i].word);
            self.low.raddr[i] = other;
            self.high.raddr[i] = other;
            self.rings[i].data = cat(self.high.rdata[i], self.low.rdata[i]);
            self.rings[i].taken = self.clash[i].q;
        }
        let is_meta = self.low.row.bits(1, 0) == Word::META;
        self.low.first = if is_meta { sized(NO_VECTOR << 16 | ring::MAX_SIZE, 32) } else { 0 };
        self.high.first = 0;
        let ring = self.ring.q;
        let enabled = self.enables.rdata[0].sel(queue);
        let there = small.get(Small::QUEUE) < konst(queues);
        let closing_queues = small.get(Small::QUEUES_CLOSING);
        let one_queue = sized(1, 16) << queue;
        let page = offset.bits(11, 8);

        // --- what else is done
        self.bus.ack = self.st.q == St::ACK;
        self.bus.rdata = self.out.q;
        for i in 0..2 {
            self.kick[i].valid = (self.st.q == St::KICK) & (self.next.q.bit(0) == i);
            self.kick[i].slot = self.slot.q;
            self.kick[i].pair = self.next.q.bits(3, 1);
        }
        // The last queue is the control queue, and goes with the odd ones: both are fetched a few at a time.
        if self.next.q == konst(queues - 1) {
            self.kick[0].valid = 0;
            self.kick[1].valid = self.st.q == St::KICK;
        }
        let last = self.next.q == konst(queues - 1);
        let kicked = if last | self.next.q.bit(0) { self.kick[1].ready } else { self.kick[0].ready };
        self.wipe.slot_valid = (self.st.q == St::WIPE) & !self.partly.q;
        self.wipe.queue_valid = (self.st.q == St::WIPE) & self.partly.q;
        self.wipe.slot = self.slot.q;
        self.wipe.queue = self.victim.q;
        self.low.wipe = self.wipe.slot_valid;
        self.low.wipe_slot = self.slot.q;
        self.high.wipe = self.wipe.slot_valid;
        self.high.wipe_slot = self.slot.q;
        for i in 0..FINDERS {
            self.broken[i].ready = 0;
        }
        self.quiet_ask = self.cursor.q;
        self.device_slot = self.slot.q;
        self.device_at = offset.bits(7, 2);
        self.changed_ready = 0;
        self.irq.valid = self.tells.out_valid;
        self.irq.owner = cat(self.tells.out_data.bits(9, 4), sized({ self.kind.get() }, 2));
        self.irq.vector = self.tells.out_data.bits(3, 0);
        self.tells.out_ready = self.irq.ready;
        self.forget.done = self.done.q;
        if !self.forget.valid {
            self.done.d = 0;
        }
        self.look.d = if self.look.q == 0 { 0 } else { self.look.q - 1 };
        let mut some_broken = sized(0, 1);
        let mut broken_slot = self.broken[0].slot;
        for i in 0..FINDERS {
            if self.broken[i].valid {
                some_broken = 1;
                broken_slot = self.broken[i].slot;
            }
        }
        let mut closing = self.closing.q;

        // --- features
        let is_pf = self.slot.q == 0;
        let low_offer =
            if is_pf { sized({ self.offered[0].get() | self.pf[0].get() }, 32) } else { konst(self.offered[0].get()) };
        let high_offer =
            if is_pf { sized({ self.offered[1].get() | self.pf[1].get() }, 32) } else { konst(self.offered[1].get()) };
        let offer = cat(high_offer, low_offer);
        let taken = self.features.rdata[0];
        let fits = ((taken & !offer) == 0) & taken.bit(32);
        let st = small.get(Small::STATUS);
        let closes = small.get(Small::CLOSING);

        let agreement = Terms {
            alive: 1,
            event_idx: taken.bit({ feature::EVENT_IDX as usize }),
            mergeable: taken.bit({ net::feature::MRG_RXBUF as usize }),
            hash: taken.bit({ net::feature::HASH_REPORT as usize }),
            checked: taken.bit({ net::feature::GUEST_CSUM as usize }),
        };
        let mut news = sized(0, 1);

        match self.st.q {
            St::BOOT => {
                let swept =
                    self.state.ready & self.features.ready & self.agreed.ready & self.isr.ready & self.enables.ready;
                if swept & self.low.ready & self.high.ready {
                    self.st.d = St::IDLE;
                }
            }
            St::IDLE => {
                self.kicks.d = 0;
                self.replies.d = 0;
                self.waits.d = 0;
                // A change is known before what has changed is read.
                if self.changed {
                    self.slot.d = self.changed_slot;
                    self.st.d = St::CONFIG;
                } else if self.bus.valid {
                    self.slot.d = owner_slot;
                    self.small.d = self.state.rdata[0];
                    self.word.d = if dw < DESC { sized(Word::META, 2) } else { dw.bits(2, 1) };
                    self.st.d = St::READ;
                } else if some_broken {
                    self.slot.d = broken_slot;
                    self.st.d = St::BROKEN;
                } else if self.forget.valid & (!self.done.q) & (self.look.q == 0) {
                    self.slot.d = self.forget.slot;
                    self.st.d = St::RESET;
                } else if self.closing.q != 0 {
                    self.cursor.d = if self.cursor.q == konst(slots - 1) { 0 } else { self.cursor.q + 1 };
                    let here = self.closing.q & mark_of(self.cursor.q, { slots });
                    if here.any() & self.quiet & !self.tells.out_valid {
                        self.slot.d = self.cursor.q;
                        self.st.d = St::TEST;
                    }
                }
            }

            // An access.
            St::READ => {
                self.next.d = offset.bits(5, 2);
                let exists = offset.bits(11, 2) < konst(queues);
                if !offset.bit(12) {
                    self.st.d = St::WAIT;
                } else {
                    self.out.d = 0;
                    self.replies.d = 1;
                    self.st.d = if exists & self.bus.write { St::KICK } else { St::ACK };
                }
            }
            St::WAIT => {
                if self.stole.q {
                    self.ring.d = cat(self.high.rdata[0], self.low.rdata[0]);
                }
                // Device-specific configuration is somebody else's memory.
                self.waits.d = self.waits.q + 1;
                if (page != PAGE_DEVICE) | self.waits.q.all() {
                    self.st.d = if page == PAGE_ISR { St::ISR } else { St::DO };
                }
            }
            St::DO => {
                self.st.d = St::ACK;
                let mut row = small;
                let mut keeps = sized(0, 1);
                let value = self.bus.wdata;
                let code = if value == 0 {
                    sized(0, 2)
                } else if value == 1 {
                    1
                } else {
                    2
                };
                let full = self.bus.be.all();
                let low_half = self.bus.be.bits(1, 0).all();
                let high_half = self.bus.be.bits(3, 2).all();
                let writes = self.bus.write & (page == PAGE_COMMON) & (offset.bits(7, 6) == 0) & !closes;
                let ring_word = if dw.bit(0) { ring.bits(63, 32) } else { ring.bits(31, 0) };
                let merged = (ring_word & !mask) | (value & mask);
                let aligned = match dw {
                    DESC => merged & 0xffff_fff0,
                    DRIVER => merged & 0xffff_fffe,
                    DEVICE => merged & 0xffff_fffc,
                    _ => merged,
                };
                let size = value.trunc(16);
                let below = size - 1;
                let good_size = (size != 0) & ((size & below) == 0) & (size <= ring::MAX_SIZE);
                let vector_low = if value.trunc(16) < VECTORS { value.trunc(16) } else { konst(NO_VECTOR) };
                let vector_high = if value.bits(31, 16) < VECTORS { value.bits(31, 16) } else { konst(NO_VECTOR) };
                let mut read = sized(0, 32);
                match dw {
                    DEVICE_SELECT => {
                        read = small.get(Small::DEVICE_SELECT).zext(32);
                        row = if full { Small { device_select: code, ..small } } else { small };
                        keeps = 1;
                    }
                    DEVICE_FEATURE => {
                        read = match small.get(Small::DEVICE_SELECT) {
                            0 => low_offer,
                            1 => high_offer,
                            _ => 0,
                        };
                    }
                    DRIVER_SELECT => {
                        read = small.get(Small::DRIVER_SELECT).zext(32);
                        row = if full { Small { driver_select: code, ..small } } else { small };
                        keeps = 1;
                    }
                    DRIVER_FEATURE => {
                        let select = small.get(Small::DRIVER_SELECT);
                        read = match select {
                            0 => taken.bits(31, 0),
                            1 => taken.bits(63, 32),
                            _ => 0,
                        };
                        self.features.we = writes & full & (!select.bit(1)) & !st.get(status::FEATURES_OK);
                        self.features.wdata =
                            if select.bit(0) { cat(value, taken.bits(31, 0)) } else { cat(taken.bits(63, 32), value) };
                    }
                    VECTOR => {
                        read = cat(sized({ queues }, 16), small.get(Small::VECTOR));
                        row = if low_half { Small { vector: vector_low, ..small } } else { small };
                        keeps = 1;
                    }
                    STATUS => {
                        read = cat(small.get(Small::QUEUE), small.get(Small::GENERATION), st);
                        let selected = if high_half { value.bits(31, 16) } else { small.get(Small::QUEUE) };
                        let broken = st & konst(status::DEVICE_NEEDS_RESET.mask());
                        let wanted = value.trunc(8) & konst(DRIVERS);
                        let agrees = wanted.get(status::FEATURES_OK) & (st.get(status::FEATURES_OK) | fits);
                        let refused = wanted & konst(!status::FEATURES_OK.mask() & 0xff);
                        let kept = if agrees { wanted } else { refused } | broken;
                        let resets = self.bus.be.bit(0) & (value.trunc(8) == 0);
                        let begins = resets & (st != 0);
                        let status = if self.bus.be.bit(0) & !resets { kept } else { st };
                        row = Small { queue: selected, status: status, closing: begins, ..small };
                        keeps = 1;
                        let goes = agrees & wanted.get(status::DRIVER_OK) & !st.get(status::DRIVER_OK);
                        let starts = writes & self.bus.be.bit(0) & (!resets) & goes & (broken == 0);
                        if writes & begins {
                            closing = closing | mark_of(self.slot.q, { slots });
                            self.agreed.we = 1;
                        }
                        if starts & (closing_queues == 0) {
                            self.agreed.we = 1;
                            self.agreed.wdata = agreement;
                            self.replies.d = 1;
                            self.kicks.d = 1;
                            self.next.d = 0;
                            self.st.d = St::KICK;
                        }
                    }
                    SIZE => {
                        read = if there { ring.bits(31, 0) } else { 0 };
                        let new_size = if low_half & good_size & !enabled { size } else { ring.get(Meta::SIZE) };
                        let new_vector = if high_half { vector_high } else { ring.get(Meta::VECTOR) };
                        low_we = writes & there;
                        low_new = cat(new_vector, new_size);
                    }
                    ENABLE => {
                        read = if there { cat(small.get(Small::QUEUE), sized(0, 15), enabled) } else { 0 };
                        high_we = writes & there & self.bus.be.bit(0) & value.bit(0);
                        high_new = sized(1, 32);
                        self.enables.we = writes & there & self.bus.be.bit(0) & value.bit(0);
                        self.enables.wdata = self.enables.rdata[0] | one_queue;
                    }
                    RESET => {
                        read = cat(sized(0, 15), closing_queues.sel(queue) & there, sized(0, 16));
                        let asks = self.bus.be.bit(2) & value.bit(16) & there & enabled;
                        row = Small { queues_closing: closing_queues | if asks { one_queue } else { 0 }, ..small };
                        keeps = 1;
                        if writes & asks {
                            closing = closing | mark_of(self.slot.q, { slots });
                            self.agreed.we = 1;
                        }
                    }
                    _ => {
                        let is_ring = (dw >= DESC) & (dw < RESET);
                        read = if there & is_ring { ring_word } else { 0 };
                        low_we = writes & there & is_ring & (!enabled) & !dw.bit(0);
                        low_new = aligned;
                        high_we = writes & there & is_ring & (!enabled) & dw.bit(0);
                        high_new = merged;
                    }
                }
                self.state.we = writes & keeps;
                self.state.wdata = row;
                self.out.d = if page == PAGE_DEVICE {
                    self.device
                } else if (page == PAGE_COMMON) & (offset.bits(7, 6) == 0) {
                    read
                } else {
                    0
                };
            }
            St::ISR => {
                self.out.d = self.isr.rdata[0].zext(32);
                if !self.told {
                    self.isr.we = !self.bus.write;
                    self.isr.waddr = self.slot.q;
                    self.isr.wdata = 0;
                    self.st.d = St::ACK;
                }
            }
            St::ACK => self.st.d = St::IDLE,
            St::KICK => {
                if kicked {
                    self.next.d = self.next.q + 1;
                    if last | !self.kicks.q {
                        self.st.d = if self.replies.q { St::ACK } else { St::IDLE };
                    }
                }
            }

            // News of a device.
            St::BROKEN => {
                let was = self.state.rdata[0];
                let fresh = was.get(Small::STATUS).get(status::DRIVER_OK) & !was.get(Small::CLOSING);
                let again = was.get(Small::STATUS).get(status::DEVICE_NEEDS_RESET);
                if !self.told {
                    for i in 0..FINDERS {
                        self.broken[i].ready = self.broken[i].valid & (self.broken[i].slot == self.slot.q);
                    }
                    if fresh & !again {
                        let bad = was.get(Small::STATUS) | konst(status::DEVICE_NEEDS_RESET.mask());
                        self.state.we = 1;
                        self.state.wdata = Small { status: bad, ..was };
                        self.agreed.we = 1;
                        news = 1;
                    }
                    self.st.d = St::IDLE;
                }
            }
            St::CONFIG => {
                let was = self.state.rdata[0];
                if !self.told {
                    self.changed_ready = 1;
                    self.state.we = 1;
                    self.state.wdata = Small { generation: was.get(Small::GENERATION) + 1, ..was };
                    news = was.get(Small::STATUS).get(status::DRIVER_OK);
                    self.st.d = St::IDLE;
                }
            }

            // A device is reset, or one of its queues.
            St::RESET => {
                self.state.we = 1;
                self.state.wdata = Small { closing: 1, ..self.state.rdata[0] };
                self.agreed.we = 1;
                closing = closing | mark_of(self.slot.q, { slots });
                self.look.d = konst(15u64);
                self.st.d = St::IDLE;
            }
            St::TEST => {
                self.small.d = self.state.rdata[0];
                self.partly.d = !self.state.rdata[0].get(Small::CLOSING);
                self.swept.d = 0;
                self.word.d = 0;
                // The first of its queues that are reset.
                for back in 0..16 {
                    if self.state.rdata[0].get(Small::QUEUES_CLOSING).bit(15 - back) {
                        self.victim.d = konst(15 - back);
                    }
                }
                self.st.d = St::WIPE;
            }
            St::WIPE => {
                if self.low_wiped.q {
                    self.swept.d = 1;
                }
                if self.partly.q & !self.swept.q {
                    let is_last = self.word.q == Word::META;
                    low_we = sized(1, 1);
                    low_new = if is_last { sized(NO_VECTOR << 16 | ring::MAX_SIZE, 32) } else { 0 };
                    high_we = sized(1, 1);
                    self.word.d = self.word.q + 1;
                    self.swept.d = is_last;
                }
                if self.wipe.done & self.swept.q {
                    self.st.d = St::WIPED;
                }
            }
            St::WIPED => {
                let goes = st.get(status::DRIVER_OK) & !st.get(status::DEVICE_NEEDS_RESET);
                let ended = sized(1, 16) << self.victim.q;
                let others = closing_queues & !ended;
                let over = (!self.partly.q) | (others == 0);
                // What is told in this clock is the memory's turn.
                if self.partly.q | !self.told {
                    self.state.we = 1;
                    self.state.wdata = if self.partly.q { small.set(Small::QUEUES_CLOSING, others) } else { nothing };
                    self.features.we = !self.partly.q;
                    self.enables.we = 1;
                    self.enables.wdata = if self.partly.q { self.enables.rdata[0] & !ended } else { 0 };
                    if !self.partly.q {
                        self.isr.we = 1;
                        self.isr.waddr = self.slot.q;
                        self.isr.wdata = 0;
                    }
                    if over {
                        closing = closing & !mark_of(self.slot.q, { slots });
                    }
                    if self.forget.valid & (self.forget.slot == self.slot.q) & !self.partly.q {
                        self.done.d = 1;
                    }
                    self.st.d = St::IDLE;
                    if self.partly.q & over & goes {
                        // What was notified meanwhile went to nobody.
                        self.agreed.we = 1;
                        self.agreed.wdata = agreement;
                        self.replies.d = 0;
                        self.kicks.d = 1;
                        self.next.d = 0;
                        self.st.d = St::KICK;
                    }
                }
            }
            _ => self.st.d = St::IDLE,
        }
        self.tells.in_valid = 0;
        self.tells.in_data = 0;
        if news {
            self.isr.we = 1;
            self.isr.waddr = self.slot.q;
            self.isr.wdata = self.isr.rdata[0] | 2;
            let vector = self.state.rdata[0].get(Small::VECTOR);
            self.tells.in_valid = vector != NO_VECTOR;
            self.tells.in_data = cat(self.slot.q, vector.trunc(4));
        }
        self.low_wiped.d = self.low.wiped & !self.partly.q;
        self.low.we = low_we;
        self.low.waddr = mine;
        self.low.wdata = low_new;
        self.high.we = high_we;
        self.high.waddr = mine;
        self.high.wdata = high_new;
        self.clash[0].d = (low_we | high_we) & (at == mine);
        for i in 1..READERS {
            let asked = cat(self.rings[i].slot, self.rings[i].queue, self.rings[i].word);
            self.clash[i].d = (low_we | high_we) & (asked == mine);
        }
        self.closing.d = closing;
        self.busy = (!idle)
            | self.bus.valid
            | some_broken
            | self.changed
            | self.forget.valid
            | (self.closing.q != 0)
            | self.tells.out_valid;
    }
}
