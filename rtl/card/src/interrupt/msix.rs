//! The MSI-X tables of all functions in four RAMs, one for each DW of an entry.
//!
//! Promise: a vector that is masked, by itself or by its function, sets its pending bit and is sent once when it can be; so
//! does one whose message the door swallowed, while its function lives; a function whose MSI-X is off sends nothing and
//! remembers nothing; whoever asks for an interrupt has sent the data before, and `Transmit` keeps that order.
//!
//! One message at a time waits for the link, apart from the tables: accesses, resets and interrupts are served meanwhile, an
//! interrupt by its pending bit. Who writes a mask must not hear of an interrupt after it was told that the mask is
//! written (PCIe 2.4.1): `sends` says whose message is on its way, and the completer waits for that.
//!
//! How many vectors a function has is its kind's: the tables have room for 32 a slot, in four groups of eight, of which net functions have two.
//! Pending bits are kept by group.
//!
//! Vector Control is kept inverted, so that a table of zeroes is a table of masked vectors, as reset leaves it.

use azote_hdl::prelude::*;
use azote_regs::pcie::msix;
use azote_regs::{bar, function};

use crate::dma::read::ENGINES;
use crate::engine::{IrqIn, Plugged};
use crate::parts::{Arbiter, Fifo, byte_mask, slots_of};
use crate::transaction::header::request;
use crate::transaction::{BusSlave, TxOut};

struct St;
impl St {
    const IDLE: u64 = 0;
    const BUS: u64 = 1;
    const BUS_DONE: u64 = 2;
    const LOOK: u64 = 3;
    const DECIDE: u64 = 4;
    const SWEEP: u64 = 5;
    const FORGET: u64 = 6;
    const FORGOTTEN: u64 = 7;
    const WAIT: u64 = 8;
    const SCAN: u64 = 9;
    const RETURN: u64 = 10;
}

/// The message that waits for the link.
struct Message;
impl Message {
    const NONE: u64 = 0;
    const HEADER: u64 = 1;
    const DATA: u64 = 2;
    /// It was swallowed, and its pending bit is not set again yet.
    const KILLED: u64 = 3;
}

/// Vectors of a group.
const GROUP: u64 = 8;
/// The last vector of each kind's functions.
const LAST: [u64; ENGINES] = [bar::MSIX_VECTORS[0] - 1, bar::MSIX_VECTORS[1] - 1, bar::MSIX_VECTORS[2] - 1];
const _: () = {
    let [net, storage, trust] = bar::MSIX_VECTORS;
    assert!(net <= 2 * GROUP && storage <= GROUP && trust <= GROUP);
};

/// What configuration space says of functions' interrupts, there.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "ControlIn"]
pub struct ControlOut {
    /// MSI-X Enable and Function Mask of a function, in the same clock.
    pub ask: I<8>,
    pub enable: O<1>,
    pub mask: O<1>,
    /// One clock: MSI-X Control or Command of a function was written, or a PF's power state: look again at what is pending, of one
    /// function or of all.
    pub kick: O<1>,
    pub kick_owner: O<8>,
    pub kick_all: O<1>,
}

/// The same, at the tables.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "ControlOut"]
pub struct ControlIn {
    pub ask: O<8>,
    pub enable: I<1>,
    pub mask: I<1>,
    pub kick: I<1>,
    pub kick_owner: I<8>,
    pub kick_all: I<1>,
}

#[derive(LogicBlock, Default)]
pub struct Msix {
    pub clock: Clk,
    pub reset: Rst,
    /// Pages 2 and 3 of every function's BAR0.
    pub bus: BusSlave,
    /// The engines' interrupts.
    pub irq: [IrqIn; ENGINES],
    /// From configuration space.
    pub control: ControlIn,
    /// A message is on its way to the link, and whose.
    pub sends: O<1>,
    pub sends_owner: O<8>,
    /// Forget a function: held until `reset_done`, which stays until `reset_valid` falls.
    pub reset_valid: I<1>,
    pub reset_owner: I<8>,
    pub reset_done: O<1>,
    pub tx: TxOut,
    pub busy: O<1>,
    st: Reg<4>,
    /// The engines that are there, and their turns.
    plugged: [Param; ENGINES],
    turns: Arbiter<ENGINES, 2>,
    who: Reg<8>,
    vec: Reg<4>,
    /// Walking over all vectors of `who` that are pending, and as part of a scan of all functions.
    walking: Reg<1>,
    scanning: Reg<1>,
    /// The group and the vector in it that the scan is at, and how many groups are left. It never goes back: a vector whose
    /// message is swallowed again and again holds up no other.
    scan: Reg<8>,
    scan_vec: Reg<3>,
    left: Reg<9>,
    message: Reg<2>,
    m_owner: Reg<8>,
    m_vec: Reg<4>,
    m_address: Reg<64>,
    m_data: Reg<32>,
    /// Its function was forgotten: nothing of it comes back.
    m_gone: Reg<1>,
    done: Reg<1>,
    booting: Reg<1>,
    boot: Reg<11>,
    /// Groups of pending bits; the table has a row for each vector of a group.
    groups: Param,
    /// The pending bits of the first group, while the second's are read.
    low: Reg<8>,
    kicks: Fifo<8>,
    entry: [Ram<11, 32>; 4],
    pba: LutRam<8, 8>,
}

impl Msix {
    /// Tables of all functions of a card with `vfs` VFs a kind and these engines.
    pub fn new(vfs: usize, plugged: Plugged) -> Self {
        let functions = slots_of(vfs) * 4;
        Msix {
            groups: Param::new(functions),
            plugged: plugged.map(|there| Param::new(there.into())),
            booting: Reg::new(true),
            kicks: Fifo::new(8),
            entry: std::array::from_fn(|_| Ram::new(functions * GROUP as usize)),
            pba: LutRam::new(functions),
            ..Self::default()
        }
    }
}

/// The group of vectors in which one is, by its function's kind and its number's high bit.
#[pure]
fn group(kind: V, high: V) -> V {
    match kind {
        function::NET => cat(sized(0, 1), high),
        function::STORAGE => sized(2, 2),
        _ => 3,
    }
}

/// The kind of function that a group is for.
#[pure]
fn kind_of(group: V) -> V {
    match group {
        2 => sized(function::STORAGE, 2),
        3 => function::TRUST,
        _ => function::NET,
    }
}

/// The last vector of a function, by its kind.
#[pure]
fn last_vector(kind: V) -> V {
    match kind {
        function::NET => sized(LAST[0], 4),
        function::STORAGE => sized(LAST[1], 4),
        _ => sized(LAST[2], 4),
    }
}

#[pure]
fn merge(old: V, new: V, be: V) -> V {
    let mask = byte_mask(be);
    (old & !mask) | (new & mask)
}

#[kernel]
impl Logic for Msix {
    fn update(&mut self) {
        clocked!(self.kicks, self.turns);
        memories!(self.pba);
        let is_table = self.bus.offset.bits(13, 12) == 2;
        let vector = self.bus.offset.bits(7, 4);
        let lane = self.bus.offset.bits(3, 2);
        let bus_kind = self.bus.owner.bits(1, 0);
        let exists = (self.bus.offset.bits(11, 8) == 0) & (vector <= last_vector(bus_kind));
        let kind = self.who.q.bits(1, 0);
        let row = cat(self.who.q.bits(7, 2), group(kind, self.vec.q.bit(3)));
        let boot = self.booting.q;

        let mut at = cat(row, self.vec.q.bits(2, 0));
        let mut we = sized(0, 4);
        let mut wdata = sized(0, 32);
        let mut pba_we = sized(0, 1);
        let mut pba_new = sized(0, 8);
        let bit = sized(1, 8) << self.vec.q.bits(2, 0);
        let pending = self.pba.rdata;
        let address = cat(self.entry[1].rdata, self.entry[0].rdata.bits(31, 2), sized(0, 2));
        // Inverted: bit 0 set means "not masked".
        let unmasked = self.entry[3].rdata.get(msix::ENTRY_CONTROL_MASK);
        let stored = match lane {
            0 => self.entry[0].rdata,
            1 => self.entry[1].rdata,
            2 => self.entry[2].rdata,
            _ => self.entry[3].rdata ^ konst(msix::ENTRY_CONTROL_MASK.mask()),
        };

        let mut wants = sized(0, ENGINES);
        let mut irq_owner = sized(0, 8);
        let mut irq_vector = sized(0, 4);
        let mut takes = sized(0, 1);
        for e in 0..ENGINES {
            if const { self.plugged[e].get() != 0 } {
                if self.irq[e].valid {
                    wants = wants | konst(1 << e);
                }
                if self.turns.grant == e {
                    irq_owner = self.irq[e].owner;
                    irq_vector = self.irq[e].vector;
                }
            }
        }
        self.turns.wants = wants;
        let irq = self.turns.any;
        self.bus.ack = self.st.q == St::BUS_DONE;
        let is_pba = self.bus.offset.bits(11, 2) == 0;
        let all_pending = if bus_kind == function::NET { cat(pending, self.low.q) } else { self.low.q.zext(16) };
        self.bus.rdata = if is_table {
            if exists { stored } else { 0 }
        } else if is_pba {
            all_pending.zext(32)
        } else {
            0
        };
        self.kicks.in_valid = self.control.kick;
        self.kicks.in_data = self.control.kick_owner;
        self.kicks.out_ready = 0;
        let m_waits = (self.message.q == Message::HEADER) | (self.message.q == Message::DATA);
        let m_free = self.message.q == Message::NONE;
        self.sends = m_waits;
        self.sends_owner = self.m_owner.q;
        self.tx.valid = m_waits;
        self.tx.sop = self.message.q == Message::HEADER;
        self.tx.eop = self.message.q == Message::DATA;
        self.tx.owner = self.m_owner.q;
        let header = request(self.m_address.q, sized(1, 11), sized(0, 8));
        self.tx.keep = if self.message.q == Message::HEADER { sized(15, 4) } else { 1 };
        self.tx.data = if self.message.q == Message::HEADER { header } else { self.m_data.q.zext(128) };
        match self.message.q {
            Message::HEADER => {
                if self.tx.ready {
                    self.message.d = Message::DATA;
                }
            }
            Message::DATA => {
                if self.tx.ready {
                    self.message.d = if self.tx.killed { sized(Message::KILLED, 2) } else { Message::NONE };
                }
            }
            _ => {}
        }

        let is_end = self.vec.q == last_vector(kind);
        let following = (self.scan.q + 1) & konst(self.groups.get() - 1);
        let is_last = is_end | (self.scanning.q & (self.vec.q.bits(2, 0) == konst(GROUP - 1)));
        // The walk's step, if it is one: to the next vector, or to its end.
        let mut steps = sized(0, 1);
        let mut rescan = self.control.kick_all | (self.control.kick & !self.kicks.in_ready);
        match self.st.q {
            St::IDLE => {
                self.walking.d = 0;
                if boot {
                    we = 15;
                    pba_we = 1;
                    self.boot.d = self.boot.q + 1;
                    if self.boot.q == konst(self.groups.get() * GROUP as usize - 1) {
                        self.booting.d = 0;
                    }
                } else if self.bus.valid {
                    self.who.d = self.bus.owner;
                    self.vec.d = if is_table { vector } else { 0 };
                    self.st.d = St::BUS;
                } else if self.reset_valid & !self.done.q {
                    self.who.d = self.reset_owner;
                    self.vec.d = 0;
                    self.st.d = St::FORGET;
                } else if self.message.q == Message::KILLED {
                    self.who.d = self.m_owner.q;
                    self.vec.d = self.m_vec.q;
                    self.st.d = St::RETURN;
                } else if irq {
                    takes = 1;
                    self.who.d = irq_owner;
                    self.vec.d = irq_vector;
                    self.st.d = St::LOOK;
                } else if self.kicks.out_valid & m_free {
                    self.kicks.out_ready = 1;
                    self.who.d = self.kicks.out_data;
                    self.vec.d = 0;
                    self.walking.d = 1;
                    self.scanning.d = 0;
                    self.st.d = St::SWEEP;
                } else if (self.left.q != 0) & m_free {
                    self.who.d = cat(self.scan.q.bits(7, 2), kind_of(self.scan.q.bits(1, 0)));
                    self.vec.d = cat(self.scan.q.bits(1, 0) == 1, self.scan_vec.q);
                    self.walking.d = 1;
                    self.scanning.d = 1;
                    self.st.d = St::SCAN;
                }
            }
            St::BUS => {
                self.low.d = pending;
                if !is_table {
                    self.vec.d = konst(GROUP);
                }
                self.st.d = St::BUS_DONE;
            }
            St::BUS_DONE => {
                self.st.d = St::IDLE;
                if self.bus.write & is_table & exists {
                    we = sized(1, 4) << lane;
                    let value = merge(stored, self.bus.wdata, self.bus.be);
                    // Of Vector Control only the mask exists; kept inverted.
                    wdata = if lane == 3 { (!value) & 1 } else { value };
                    if (lane == 3) & (pending & bit).any() {
                        self.st.d = St::WAIT;
                    }
                }
            }
            St::WAIT => self.st.d = St::LOOK,
            St::LOOK => self.st.d = St::DECIDE,
            St::DECIDE => {
                let sends = self.control.enable & !(self.control.mask | !unmasked);
                if self.walking.q {
                    steps = 1;
                } else {
                    self.st.d = St::IDLE;
                }
                if self.control.enable {
                    pba_we = 1;
                    pba_new = if sends & m_free { pending & !bit } else { pending | bit };
                }
                if sends & m_free {
                    self.message.d = Message::HEADER;
                    self.m_owner.d = self.who.q;
                    self.m_vec.d = self.vec.q;
                    self.m_address.d = address;
                    self.m_data.d = self.entry[2].rdata;
                    self.m_gone.d = 0;
                }
                if sends & !m_free {
                    // It waits among the pending ones until the link has taken the message before.
                    rescan = 1;
                }
            }
            St::SCAN => {
                if pending.any() {
                    self.st.d = St::SWEEP;
                } else {
                    self.scan.d = following;
                    self.scan_vec.d = 0;
                    self.left.d = self.left.q - 1;
                    self.st.d = St::IDLE;
                }
            }
            St::SWEEP => {
                if !m_free {
                    // The rest when this one is gone: a scan goes on from here, a kick becomes a scan.
                    if self.scanning.q {
                        self.scan_vec.d = self.vec.q.bits(2, 0);
                    } else {
                        rescan = 1;
                    }
                    self.st.d = St::IDLE;
                } else if (pending & bit).any() {
                    self.st.d = St::LOOK;
                } else {
                    steps = 1;
                }
            }
            St::RETURN => {
                pba_we = !self.m_gone.q;
                pba_new = pending | bit;
                self.message.d = Message::NONE;
                self.st.d = St::IDLE;
            }
            St::FORGET => {
                we = 15;
                pba_we = 1;
                self.vec.d = self.vec.q + 1;
                if is_end {
                    self.st.d = St::FORGOTTEN;
                }
            }
            St::FORGOTTEN => {
                self.done.d = 1;
                self.st.d = St::IDLE;
            }
            _ => self.st.d = St::IDLE,
        }
        self.turns.take = takes;
        self.turns.last = 1;
        for e in 0..ENGINES {
            self.irq[e].ready = takes & (self.turns.grant == e);
        }
        if steps {
            self.vec.d = self.vec.q + 1;
            self.st.d = St::SWEEP;
            if is_last {
                self.st.d = St::IDLE;
                if self.scanning.q {
                    self.scan.d = following;
                    self.scan_vec.d = 0;
                    self.left.d = self.left.q - 1;
                }
            }
        }
        if rescan {
            // And the beginning of the group that the scan is at.
            self.left.d = konst(self.groups.get() + 1);
        }
        if (self.st.q == St::FORGET) & (self.m_owner.q == self.who.q) {
            self.m_gone.d = 1;
        }
        if !self.reset_valid {
            self.done.d = 0;
        }
        self.reset_done = self.done.q;

        if boot {
            at = self.boot.q;
        }
        for i in 0..4 {
            memories!(self.entry[i]);
            self.entry[i].we = we.bit(i);
            self.entry[i].waddr = at;
            self.entry[i].wdata = wdata;
            self.entry[i].raddr = cat(row, self.vec.q.bits(2, 0));
        }
        self.pba.we = pba_we;
        self.pba.waddr = if boot { self.boot.q.bits(10, 3) } else { row };
        self.pba.wdata = pba_new;
        self.pba.raddr = row;
        self.control.ask = self.who.q;
        self.busy = (self.st.q != St::IDLE)
            | boot
            | self.bus.valid
            | irq
            | self.kicks.out_valid
            | (self.left.q != 0)
            | !m_free
            | (self.reset_valid & !self.done.q);
    }
}
