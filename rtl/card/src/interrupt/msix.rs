//! The MSI-X tables of all functions in four RAMs, one for each DW of an entry.
//!
//! Promise: a vector that is masked, by itself or by its function, sets its pending bit and is sent once when it can be;
//! a function whose MSI-X is off sends nothing and remembers nothing; whoever asks for an interrupt has sent the data
//! before, and `Transmit` keeps that order.
//!
//! Vector Control is kept inverted, so that a table of zeroes is a table of masked vectors, as reset leaves it.

use azote_hdl::prelude::*;
use azote_regs::bar;
use azote_regs::pcie::msix;

use crate::parts::{Fifo, byte_mask};
use crate::transaction::header::{id, memory};
use crate::transaction::{BusSlave, TxOut};

const LAST_VECTOR: u64 = bar::MSIX_VECTORS - 1;

struct St;
impl St {
    const IDLE: u64 = 0;
    const BUS: u64 = 1;
    const BUS_DONE: u64 = 2;
    const LOOK: u64 = 3;
    const DECIDE: u64 = 4;
    const SEND: u64 = 5;
    const SEND_DATA: u64 = 6;
    const SWEEP: u64 = 7;
    const FORGET: u64 = 8;
    const FORGOTTEN: u64 = 9;
    const WAIT: u64 = 10;
}

#[derive(LogicBlock, Default)]
pub struct Msix {
    pub clock: Clk,
    pub reset: Rst,
    /// Pages 2 and 3 of every function's BAR0.
    pub bus: BusSlave,
    /// An interrupt: held until `ready`.
    pub valid: I<1>,
    pub owner: I<8>,
    pub irq_vector: I<3>,
    pub ready: O<1>,
    /// The function's MSI-X Enable and Function Mask, in the same clock.
    pub ask: O<8>,
    pub enable: I<1>,
    pub mask: I<1>,
    /// One clock: look again at what is pending.
    pub kick: I<1>,
    pub kick_owner: I<8>,
    /// Forget a function: held until `reset_done`, which stays until `reset_valid` falls.
    pub reset_valid: I<1>,
    pub reset_owner: I<8>,
    pub reset_done: O<1>,
    pub bus_number: I<8>,
    pub tx: TxOut,
    pub busy: O<1>,
    st: Reg<4>,
    who: Reg<8>,
    vec: Reg<3>,
    /// Walking over all vectors of `who` that are pending.
    walking: Reg<1>,
    done: Reg<1>,
    booting: Reg<1>,
    boot: Reg<11>,
    kicks: Fifo<8>,
    entry: [Ram<11, 32>; 4],
    pba: LutRam<8, 8>,
}

impl Msix {
    /// Tables of all functions of a card with `vfs` VFs a kind.
    pub fn new(vfs: usize) -> Self {
        let functions = (vfs + 1).next_power_of_two() * 4;
        Msix {
            booting: Reg::new(true),
            kicks: Fifo::new(8),
            entry: std::array::from_fn(|_| Ram::new(functions * 8)),
            pba: LutRam::new(functions),
            ..Self::default()
        }
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
        clocked!(self.kicks);
        memories!(self.pba);
        let is_table = self.bus.offset.bits(13, 12) == 2;
        let vector = self.bus.offset.bits(6, 4);
        let lane = self.bus.offset.bits(3, 2);
        let exists = self.bus.offset.bits(11, 7) == 0;
        let boot = self.booting.q;

        let mut at = cat(self.who.q, self.vec.q);
        let mut we = sized(0, 4);
        let mut wdata = sized(0, 32);
        let mut pba_we = sized(0, 1);
        let mut pba_new = sized(0, 8);
        let bit = sized(1, 8) << self.vec.q;
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

        self.ready = 0;
        self.bus.ack = self.st.q == St::BUS_DONE;
        self.bus.rdata = if !exists {
            0
        } else if is_table {
            stored
        } else if self.bus.offset.bits(11, 2) == 0 {
            pending.zext(32)
        } else {
            0
        };
        self.kicks.in_valid = self.kick;
        self.kicks.in_data = self.kick_owner;
        self.kicks.out_ready = 0;
        self.tx.valid = (self.st.q == St::SEND) | (self.st.q == St::SEND_DATA);
        self.tx.sop = self.st.q == St::SEND;
        self.tx.eop = self.st.q == St::SEND_DATA;
        self.tx.owner = self.who.q;
        let header = memory(
            sized(1, 1),
            address,
            sized(1, 11),
            id(self.bus_number, self.who.q),
            sized(0, 8),
            sized(0, 4),
            sized(15, 4),
        );
        self.tx.keep = if self.st.q == St::SEND { sized(15, 4) } else { 1 };
        self.tx.data = if self.st.q == St::SEND { header } else { self.entry[2].rdata.zext(128) };

        match self.st.q {
            St::IDLE => {
                self.walking.d = 0;
                if boot {
                    we = 15;
                    pba_we = 1;
                    self.boot.d = self.boot.q + 1;
                    if self.boot.q.all() {
                        self.booting.d = 0;
                    }
                } else if self.bus.valid {
                    self.who.d = self.bus.owner;
                    self.vec.d = vector;
                    self.st.d = St::BUS;
                } else if self.reset_valid & !self.done.q {
                    self.who.d = self.reset_owner;
                    self.vec.d = 0;
                    self.st.d = St::FORGET;
                } else if self.kicks.out_valid {
                    self.kicks.out_ready = 1;
                    self.who.d = self.kicks.out_data;
                    self.vec.d = 0;
                    self.walking.d = 1;
                    self.st.d = St::SWEEP;
                } else if self.valid {
                    self.ready = 1;
                    self.who.d = self.owner;
                    self.vec.d = self.irq_vector;
                    pba_we = 0;
                    self.st.d = St::LOOK;
                }
            }
            St::BUS => self.st.d = St::BUS_DONE,
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
                if !self.enable {
                    self.st.d = if self.walking.q { St::SWEEP } else { St::IDLE };
                    self.vec.d = if self.walking.q { self.vec.q + 1 } else { 0 };
                    if self.vec.q == LAST_VECTOR {
                        self.st.d = St::IDLE;
                    }
                } else if self.mask | !unmasked {
                    pba_we = 1;
                    pba_new = pending | bit;
                    self.vec.d = self.vec.q + 1;
                    self.st.d = if self.walking.q & (self.vec.q != LAST_VECTOR) { St::SWEEP } else { St::IDLE };
                } else {
                    pba_we = 1;
                    pba_new = pending & !bit;
                    self.st.d = St::SEND;
                }
            }
            St::SEND => {
                if self.tx.ready {
                    self.st.d = St::SEND_DATA;
                }
            }
            St::SEND_DATA => {
                if self.tx.ready {
                    self.vec.d = self.vec.q + 1;
                    self.st.d = if self.walking.q & (self.vec.q != LAST_VECTOR) { St::SWEEP } else { St::IDLE };
                }
            }
            St::SWEEP => {
                if (pending & bit).any() {
                    self.st.d = St::LOOK;
                } else if self.vec.q == LAST_VECTOR {
                    self.st.d = St::IDLE;
                } else {
                    self.vec.d = self.vec.q + 1;
                }
            }
            St::FORGET => {
                we = 15;
                pba_we = 1;
                self.vec.d = self.vec.q + 1;
                if self.vec.q == LAST_VECTOR {
                    self.st.d = St::FORGOTTEN;
                }
            }
            St::FORGOTTEN => {
                self.done.d = 1;
                self.st.d = St::IDLE;
            }
            _ => self.st.d = St::IDLE,
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
            self.entry[i].raddr = cat(self.who.q, self.vec.q);
        }
        self.pba.we = pba_we;
        self.pba.waddr = if boot { self.boot.q.bits(7, 0) } else { self.who.q };
        self.pba.wdata = pba_new;
        self.pba.raddr = self.who.q;
        self.ask = self.who.q;
        self.busy = (self.st.q != St::IDLE)
            | boot
            | self.bus.valid
            | self.valid
            | self.kicks.out_valid
            | (self.reset_valid & !self.done.q);
    }
}
