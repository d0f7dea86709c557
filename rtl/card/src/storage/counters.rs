//! What SMART and the error log report of each function: one row a function, one change at a time.

use azote_hdl::prelude::*;
use azote_regs::nvme::status;

struct St;
impl St {
    const BOOT: u64 = 0;
    const IDLE: u64 = 1;
    const READ: u64 = 2;
    const DATA: u64 = 3;
    const ERROR: u64 = 4;
}

/// A data unit is a thousand blocks, rounded up (NVMe 5.14.1.2).
const UNIT: u64 = 1000;

#[derive(LogicBlock, Default)]
pub struct Counters {
    pub clock: Clk,
    pub reset: Rst,
    /// One clock: a data command started. Never twice within three clocks.
    pub data: I<1>,
    pub data_slot: I<6>,
    pub data_write: I<1>,
    pub data_blocks: I<9>,
    /// One clock: a command failed.
    pub error: I<1>,
    pub error_slot: I<6>,
    pub error_qid: I<3>,
    pub error_cid: I<16>,
    pub error_status: I<16>,
    /// The row of `slot`, a clock later.
    pub slot: I<6>,
    pub reads: O<48>,
    pub writes: O<48>,
    pub units_read: O<48>,
    pub units_written: O<48>,
    pub media_errors: O<32>,
    pub errors: O<32>,
    pub error_entry: O<64>,
    st: Reg<3>,
    boot: Reg<6>,
    d_wait: Reg<1>,
    d_slot: Reg<6>,
    d_write: Reg<1>,
    d_blocks: Reg<9>,
    e_wait: Reg<1>,
    e_slot: Reg<6>,
    e_entry: Reg<64>,
    e_media: Reg<1>,
    // `{part written, part read, units written, units read, writes, reads}`, and a copy for the reader.
    data_rows: Ram<6, 212>,
    data_copy: Ram<6, 212>,
    // `{entry, media errors, errors}`.
    error_rows: Ram<6, 128>,
    error_copy: Ram<6, 128>,
}

impl Counters {
    /// Counters of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = (vfs + 1).next_power_of_two();
        Counters {
            data_rows: Ram::new(slots),
            data_copy: Ram::new(slots),
            error_rows: Ram::new(slots),
            error_copy: Ram::new(slots),
            ..Self::default()
        }
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
        memories!(self.data_rows, self.data_copy, self.error_rows, self.error_copy);
        let row = self.data_rows.rdata;
        let reads = row.bits(47, 0);
        let writes = row.bits(95, 48);
        let units_read = row.bits(143, 96);
        let units_written = row.bits(191, 144);
        let part_read = row.bits(201, 192);
        let part_written = row.bits(211, 202);
        let w = self.d_write.q;
        let blocks = self.d_blocks.q;
        let up_r = (!w) & begins_unit(part_read, blocks);
        let up_w = w & begins_unit(part_written, blocks);
        let new = cat(
            if w { part_after(part_written, blocks) } else { part_written },
            if w { part_read } else { part_after(part_read, blocks) },
            units_written + up_w.zext(48),
            units_read + up_r.zext(48),
            writes + w.zext(48),
            reads + (!w).zext(48),
        );
        let e = self.error_rows.rdata;

        if self.data {
            self.d_wait.d = 1;
            self.d_slot.d = self.data_slot;
            self.d_write.d = self.data_write;
            self.d_blocks.d = self.data_blocks;
        }
        if self.error & !self.e_wait.q {
            self.e_wait.d = 1;
            self.e_slot.d = self.error_slot;
            self.e_media.d = self.error_status.bits(11, 9) == status::SCT_MEDIA;
            self.e_entry.d = cat(sized(0, 16), self.error_status, self.error_cid, self.error_qid.zext(16));
        }
        let mut d_we = sized(0, 1);
        let mut e_we = sized(0, 1);
        match self.st.q {
            St::BOOT => {
                d_we = 1;
                e_we = 1;
                self.boot.d = self.boot.q + 1;
                if self.boot.q.all() {
                    self.st.d = St::IDLE;
                }
            }
            St::IDLE => {
                if self.d_wait.q | self.e_wait.q {
                    self.st.d = St::READ;
                }
            }
            St::READ => self.st.d = if self.d_wait.q { St::DATA } else { St::ERROR },
            St::DATA => {
                d_we = 1;
                self.d_wait.d = self.data;
                // Neither waits for the other for ever; the row of the error was read with that of the data.
                self.st.d = if self.e_wait.q { St::ERROR } else { St::IDLE };
            }
            St::ERROR => {
                e_we = 1;
                self.e_wait.d = 0;
                self.st.d = if self.d_wait.q { St::READ } else { St::IDLE };
            }
            _ => self.st.d = St::IDLE,
        }
        let boot = self.st.q == St::BOOT;
        let d_at = if boot { self.boot.q } else { self.d_slot.q };
        let d_new = if boot { 0 } else { new };
        let e_at = if boot { self.boot.q } else { self.e_slot.q };
        let e_new =
            if boot { 0 } else { cat(self.e_entry.q, e.bits(63, 32) + self.e_media.q.zext(32), e.bits(31, 0) + 1) };
        self.data_rows.we = d_we;
        self.data_rows.waddr = d_at;
        self.data_rows.wdata = d_new;
        self.data_rows.raddr = self.d_slot.q;
        self.data_copy.we = d_we;
        self.data_copy.waddr = d_at;
        self.data_copy.wdata = d_new;
        self.data_copy.raddr = self.slot;
        self.error_rows.we = e_we;
        self.error_rows.waddr = e_at;
        self.error_rows.wdata = e_new;
        self.error_rows.raddr = self.e_slot.q;
        self.error_copy.we = e_we;
        self.error_copy.waddr = e_at;
        self.error_copy.wdata = e_new;
        self.error_copy.raddr = self.slot;
        let seen = self.data_copy.rdata;
        self.reads = seen.bits(47, 0);
        self.writes = seen.bits(95, 48);
        self.units_read = seen.bits(143, 96);
        self.units_written = seen.bits(191, 144);
        self.errors = self.error_copy.rdata.bits(31, 0);
        self.media_errors = self.error_copy.rdata.bits(63, 32);
        self.error_entry = self.error_copy.rdata.bits(127, 64);
    }
}
