//! The binding table: which volume each storage slot has, and how fast it may go.
//!
//! The host writes a binding's fields one by one; only the write of CTRL makes all of them count at once, so that no
//! command ever sees half of a new binding. Limits count likewise, from the write of BLOCKS.

use azote_hdl::prelude::*;
use azote_regs::manage;

use crate::parts::{byte_mask, is_marked, mark_of, slots_of};
use crate::storage::edge::BindingsOut;
use crate::storage::words::{Binding, Rates};
use crate::transaction::BusSlave;

struct St;
impl St {
    const IDLE: u64 = 0;
    const READ: u64 = 1;
    const ACK: u64 = 2;
    const GATHER: u64 = 3;
    const COMMIT: u64 = 4;
    const BOOT: u64 = 5;
}

/// DW of a binding, `{slot, word}`.
const WORD_CTRL: u64 = manage::BINDING_CTRL / 4;
const WORD_VOLUME: u64 = manage::BINDING_VOLUME / 4;
const WORD_BASE_LO: u64 = manage::BINDING_BASE_LO / 4;
const WORD_BASE_HI: u64 = manage::BINDING_BASE_HI / 4;
const WORD_LENGTH_LO: u64 = manage::BINDING_LENGTH_LO / 4;
const WORD_LENGTH_HI: u64 = manage::BINDING_LENGTH_HI / 4;
const WORD_COMMANDS: u64 = manage::BINDING_COMMANDS / 4;
const WORD_BLOCKS: u64 = manage::BINDING_BLOCKS / 4;

/// Of a binding, what is kept by slot: all but its turn and its block size.
const KEPT: usize = Binding::WIDTH - 2;

#[derive(LogicBlock, Default)]
pub struct Bindings {
    pub clock: Clk,
    pub reset: Rst,
    pub bus: BusSlave,
    pub tenants: BindingsOut,
    pub busy: O<1>,
    vfs: Param,
    slots: Param,
    st: Reg<3>,
    step: Reg<3>,
    boot: Reg<9>,
    value: Reg<32>,
    ctrl: Reg<3>,
    vol: Reg<8>,
    from: Reg<48>,
    count: Reg<48>,
    commands: Reg<24>,
    blocks: Reg<24>,
    share: Reg<4>,
    /// It is a binding that was committed, not limits.
    binds: Reg<1>,
    /// Who has large blocks, and whether those looked up have.
    big: Reg<64>,
    f_wait: Reg<1>,
    f_slot: Reg<6>,
    f_big: Reg<1>,
    slot_big: Reg<1>,
    page_big: Reg<1>,
    words: Ram<9, 32>,
    /// Whoever looks in the clock in which a binding begins to count sees the one before it: not what block RAM promises.
    volumes: LutRam<6, KEPT>,
    volume: Reg<KEPT>,
    page_table: LutRam<6, KEPT>,
    page_row: Reg<KEPT>,
    rate_table: LutRam<6, { Rates::WIDTH }>,
    rates: Reg<{ Rates::WIDTH }>,
    /// How many commands are judged by the bindings of a slot, by turn; a copy for the register.
    counts: LutRam<7, 8>,
    befores: LutRam<7, 8>,
    turns: Reg<64>,
    slot_turn: Reg<1>,
    o_wait: Reg<1>,
    o_at: Reg<7>,
    waits: LutRam<6, 12>,
    patience: Reg<12>,
}

impl Bindings {
    /// A table for the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = slots_of(vfs);
        Bindings {
            vfs: Param::new(vfs),
            slots: Param::new(slots),
            st: Reg::new(St::BOOT),
            words: Ram::new(slots * 8),
            volumes: LutRam::new(slots),
            page_table: LutRam::new(slots),
            rate_table: LutRam::new(slots),
            counts: LutRam::new(slots * 2),
            befores: LutRam::new(slots * 2),
            waits: LutRam::new(slots),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Bindings {
    fn update(&mut self) {
        memories!(self.words, self.volumes, self.page_table, self.rate_table, self.counts, self.befores, self.waits);
        let offset = self.bus.offset;
        let in_table = offset.bits(15, 12) == konst(manage::BINDINGS >> 12);
        let slot = offset.bits(10, 5);
        let word = offset.bits(4, 2);
        let exists = in_table & !offset.bit(11) & (slot.zext(8) <= konst(self.vfs.get()));
        let be = self.bus.be;
        let mask = byte_mask(be);
        // What is read is what is true: a format may have changed it.
        let is_ctrl = word == WORD_CTRL;
        let formatted = is_marked(self.big.q, slot, { self.slots.get() }).zext(32) << konst(manage::CTRL_BIG.lo);
        let kept = self.words.rdata;
        // Of the binding before the present one.
        let turn = is_marked(self.turns.q, slot, { self.slots.get() });
        self.befores.raddr = cat(slot, !turn);
        let busy = self.befores.rdata != 0;
        let told = busy.zext(32) << konst(manage::CTRL_BUSY.lo);
        let held = if is_ctrl {
            (kept & konst(manage::CTRL_VALID.mask() | manage::CTRL_READ_ONLY.mask())) | formatted
        } else {
            kept
        };
        let merged = (held & !mask) | (self.bus.wdata & mask);

        let mut we = sized(0, 1);
        let mut waddr = cat(slot, word);
        let mut wdata = merged;
        let mut raddr = cat(slot, word);
        let mut t_we = sized(0, 1);
        let mut r_we = sized(0, 1);
        let commits = (self.st.q == St::COMMIT) & self.binds.q;
        self.tenants.changed = commits;
        self.tenants.changed_slot = slot;
        let mut t_at = slot;
        let mut t_new = cat(self.count.q, self.from.q, self.vol.q, self.ctrl.q.bits(1, 0));
        self.bus.ack = self.st.q == St::ACK;
        self.bus.rdata = self.value.q;

        match self.st.q {
            St::BOOT => {
                we = 1;
                waddr = self.boot.q;
                wdata = 0;
                t_we = 1;
                r_we = 1;
                t_at = self.boot.q.bits(8, 3);
                t_new = 0;
                self.boot.d = self.boot.q + 1;
                if self.boot.q == konst(self.slots.get() * 8 - 1) {
                    self.st.d = St::IDLE;
                }
            }
            St::IDLE => {
                if self.bus.valid {
                    self.st.d = St::READ;
                }
            }
            St::READ => {
                self.st.d = St::ACK;
                self.step.d = 0;
                let global = match offset {
                    manage::MAGIC => sized(manage::MAGIC_VALUE, 32),
                    manage::VERSION => manage::VERSION_VALUE,
                    manage::VFS => konst(self.vfs.get()),
                    _ => 0,
                };
                self.value.d = if exists { if is_ctrl { held | told } else { held } } else { global };
                if self.bus.write & exists & !(is_ctrl & busy) {
                    we = 1;
                    if word == WORD_BLOCKS {
                        self.binds.d = 0;
                        self.st.d = St::GATHER;
                    }
                    if is_ctrl {
                        self.binds.d = 1;
                        self.ctrl.d = merged.bits(2, 0);
                        wdata = merged & 7;
                        self.st.d = St::GATHER;
                    }
                }
            }
            St::GATHER => {
                // Word `step` was addressed a clock ago (step 0 addresses the first).
                raddr = cat(slot, self.step.q + 1);
                let v = self.words.rdata;
                match self.step.q {
                    WORD_VOLUME => {
                        self.vol.d = v.get(manage::VOLUME_ID);
                        self.patience.d = v.get(manage::VOLUME_TIMEOUT);
                        self.share.d = v.get(manage::VOLUME_WEIGHT);
                    }
                    WORD_BASE_LO => self.from.d = cat(self.from.q.bits(47, 32), v),
                    WORD_BASE_HI => self.from.d = cat(v.bits(15, 0), self.from.q.bits(31, 0)),
                    WORD_LENGTH_LO => self.count.d = cat(self.count.q.bits(47, 32), v),
                    WORD_LENGTH_HI => self.count.d = cat(v.bits(15, 0), self.count.q.bits(31, 0)),
                    WORD_COMMANDS => self.commands.d = v.get(manage::RATE),
                    WORD_BLOCKS => self.blocks.d = v.get(manage::RATE),
                    _ => {}
                }
                self.step.d = self.step.q + 1;
                if self.step.q == WORD_BLOCKS {
                    self.st.d = St::COMMIT;
                }
            }
            St::COMMIT => {
                t_we = self.binds.q;
                r_we = !self.binds.q;
                self.st.d = St::ACK;
            }
            St::ACK => self.st.d = St::IDLE,
            _ => self.st.d = St::IDLE,
        }
        self.words.we = we;
        self.words.waddr = waddr;
        self.words.wdata = wdata;
        self.words.raddr = raddr;
        self.volumes.we = t_we;
        self.volumes.waddr = t_at;
        self.volumes.wdata = t_new;
        self.volumes.raddr = self.tenants.slot;
        self.page_table.we = t_we;
        self.page_table.waddr = t_at;
        self.page_table.wdata = t_new;
        self.page_table.raddr = self.tenants.page_slot;
        self.rate_table.we = r_we;
        self.rate_table.waddr = t_at;
        self.rate_table.wdata = if self.st.q == St::BOOT {
            0
        } else {
            Rates { weight: self.share.q, blocks: self.blocks.q, commands: self.commands.q }
        };
        self.rate_table.raddr = self.tenants.rate_slot;
        self.rates.d = self.rate_table.rdata;
        self.tenants.rates = self.rates.q;
        self.waits.we = t_we;
        self.waits.waddr = t_at;
        self.waits.wdata = if self.st.q == St::BOOT { 0 } else { self.patience.q };
        self.waits.raddr = self.tenants.patience_slot;
        self.tenants.patience = cat(self.waits.rdata, sized(0, 4));

        // --- who is judged by which
        if self.tenants.over {
            self.o_wait.d = 1;
            self.o_at.d = cat(self.tenants.over_slot, self.tenants.over_turn);
        }
        let front = self.tenants.uses | self.tenants.unuses;
        let ends = self.o_wait.q & !front;
        if ends {
            self.o_wait.d = self.tenants.over;
        }
        check!((!(self.tenants.over & self.o_wait.q)) | ends, "a command is over and nobody notes it");
        let boots = self.st.q == St::BOOT;
        let counted = if boots {
            cat(self.boot.q.bits(8, 3), self.boot.q.bit(0))
        } else if front {
            cat(self.tenants.slot, self.tenants.use_turn)
        } else {
            self.o_at.q
        };
        self.counts.raddr = counted;
        let count = self.counts.rdata;
        let step = if self.tenants.uses { count + 1 } else { count - 1 };
        let new = if boots { 0 } else { step };
        check!(boots | !(self.tenants.uses & count.all()), "more commands are judged by a binding than can be counted");
        check!((!(self.tenants.unuses | ends)) | (count != 0), "a command is over that was not judged");
        self.counts.we = boots | front | ends;
        self.counts.waddr = counted;
        self.counts.wdata = new;
        self.befores.we = boots | front | ends;
        self.befores.waddr = counted;
        self.befores.wdata = new;
        self.slot_turn.d = is_marked(self.turns.q, self.tenants.slot, { self.slots.get() });
        let which = mark_of(if commits { slot } else { self.f_slot.q }, { self.slots.get() });
        let on = if commits { self.ctrl.q.bit(2) } else { self.f_big.q };
        if commits {
            self.turns.d = self.turns.q ^ which;
        }
        // A format of the binding that ends in this clock says nothing of the next one.
        let late = commits & (self.tenants.format_slot == slot);
        let stale = self.f_slot.q == slot;
        if self.tenants.format
            & (self.tenants.format_turn == is_marked(self.turns.q, self.tenants.format_slot, { self.slots.get() }))
            & !late
        {
            self.f_wait.d = 1;
            self.f_slot.d = self.tenants.format_slot;
            self.f_big.d = self.tenants.format_big;
        } else if stale | !commits {
            self.f_wait.d = 0;
        }
        if commits | self.f_wait.q {
            self.big.d = if on { self.big.q | which } else { self.big.q & !which };
        }
        self.slot_big.d = is_marked(self.big.q, self.tenants.slot, { self.slots.get() });
        self.page_big.d = is_marked(self.big.q, self.tenants.page_slot, { self.slots.get() });
        self.volume.d = self.volumes.rdata;
        self.page_row.d = self.page_table.rdata;
        self.tenants.binding = cat(self.slot_turn.q, self.slot_big.q, self.volume.q);
        self.tenants.page_binding = cat(self.page_big.q, self.page_row.q);
        let accessed = (self.st.q != St::IDLE) | self.bus.valid;
        self.tenants.stirs = accessed;
        self.busy = accessed | self.o_wait.q;
    }
}
