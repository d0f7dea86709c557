//! What SMART reports of each function: one row a function, one change at a time.

use azote_hdl::prelude::*;

use crate::parts::{BlockTable, slots_of};

struct St;
impl St {
    const BOOT: u64 = 0;
    const IDLE: u64 = 1;
    const READ: u64 = 2;
    const DATA: u64 = 3;
}

/// A data unit is a thousand blocks, rounded up (NVMe 5.14.1.2).
const UNIT: u64 = 1000;

packed! {
    /// Of a function: commands, data units that have begun, and the blocks of the last one.
    Counts {
        part_written: 10,
        part_read: 10,
        units_written: 48,
        units_read: 48,
        writes: 48,
        reads: 48,
    }
}

#[derive(LogicBlock, Default)]
pub struct Counters {
    pub clock: Clk,
    pub reset: Rst,
    /// One clock: a data command started. Never twice within three clocks.
    pub data: I<1>,
    pub data_slot: I<6>,
    pub data_write: I<1>,
    pub data_blocks: I<9>,
    /// One clock: `wipe_slot` begins anew. Never twice within sixteen clocks.
    pub wipe: I<1>,
    pub wipe_slot: I<6>,
    /// The row of `slot`, a clock later; it may be none, and is to be asked for again: it was written in one of the two clocks
    /// before, and block RAM shows nothing then.
    pub slot: I<6>,
    pub unsure: O<1>,
    pub reads: O<48>,
    pub writes: O<48>,
    pub units_read: O<48>,
    pub units_written: O<48>,
    st: Reg<3>,
    w_wait: Reg<1>,
    w_slot: Reg<6>,
    touched: Reg<2>,
    d_wait: Reg<1>,
    d_slot: Reg<6>,
    d_write: Reg<1>,
    d_blocks: Reg<9>,
    /// Of each function, also for the reader.
    rows: BlockTable<6, { Counts::WIDTH }, 2>,
}

impl Counters {
    /// Counters of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = slots_of(vfs);
        Counters { rows: BlockTable::new(slots, 0), ..Self::default() }
    }
}

/// A part and the blocks that come to it: one bit more than either.
#[pure]
fn together(part: V, blocks: V) -> V {
    part.zext(11) + blocks.zext(11)
}

/// The blocks that do not make a unit yet, after `blocks` more.
#[pure]
fn part_after(part: V, blocks: V) -> V {
    let sum = together(part, blocks);
    let rest = if sum >= UNIT { sum - konst(UNIT) } else { sum };
    rest.trunc(10)
}

/// Whether a unit begins with these blocks: partial units count as whole ones.
#[pure]
fn begins_unit(part: V, blocks: V) -> V {
    let sum = together(part, blocks);
    (part == 0) | (sum > UNIT)
}

#[kernel]
impl Logic for Counters {
    fn update(&mut self) {
        clocked!(self.rows);
        let row = self.rows.rdata[0];
        let part_read = row.get(Counts::PART_READ);
        let part_written = row.get(Counts::PART_WRITTEN);
        let w = self.d_write.q;
        let blocks = self.d_blocks.q;
        let up_r = (!w) & begins_unit(part_read, blocks);
        let up_w = w & begins_unit(part_written, blocks);
        let new = Counts {
            part_written: if w { part_after(part_written, blocks) } else { part_written },
            part_read: if w { part_read } else { part_after(part_read, blocks) },
            units_written: row.get(Counts::UNITS_WRITTEN) + up_w.zext(48),
            units_read: row.get(Counts::UNITS_READ) + up_r.zext(48),
            writes: row.get(Counts::WRITES) + w.zext(48),
            reads: row.get(Counts::READS) + (!w).zext(48),
        };

        if self.data {
            self.d_wait.d = 1;
            self.d_slot.d = self.data_slot;
            self.d_write.d = self.data_write;
            self.d_blocks.d = self.data_blocks;
        }
        if self.wipe {
            self.w_wait.d = 1;
            self.w_slot.d = self.wipe_slot;
        }
        let mut d_we = sized(0, 1);
        let mut wipes = sized(0, 1);
        match self.st.q {
            St::BOOT => {
                if self.rows.ready {
                    self.st.d = St::IDLE;
                }
            }
            St::IDLE => {
                wipes = self.w_wait.q & !self.d_wait.q;
                if self.d_wait.q {
                    self.st.d = St::READ;
                }
            }
            St::READ => {
                wipes = self.w_wait.q & (self.w_slot.q != self.d_slot.q);
                self.st.d = St::DATA;
            }
            St::DATA => {
                d_we = 1;
                self.d_wait.d = self.data;
                self.st.d = St::IDLE;
            }
            _ => self.st.d = St::IDLE,
        }
        self.rows.we = d_we;
        self.rows.waddr = self.d_slot.q;
        self.rows.wdata = new;
        self.rows.first = 0;
        self.rows.wipe = wipes;
        self.rows.wipe_slot = self.w_slot.q;
        if self.rows.wiped {
            self.w_wait.d = 0;
        }
        self.rows.raddr[0] = self.d_slot.q;
        self.rows.raddr[1] = self.slot;
        let touches = (d_we & (self.d_slot.q == self.slot)) | (wipes & (self.w_slot.q == self.slot));
        self.touched.d = cat(self.touched.q.bit(0), touches);
        self.unsure = self.touched.q != 0;
        let seen = self.rows.rdata[1];
        self.reads = seen.get(Counts::READS);
        self.writes = seen.get(Counts::WRITES);
        self.units_read = seen.get(Counts::UNITS_READ);
        self.units_written = seen.get(Counts::UNITS_WRITTEN);
    }
}
