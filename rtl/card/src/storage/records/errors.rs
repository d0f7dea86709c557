//! The error log: the last wrong commands of each function, and how many there were.
//!
//! A command is wrong at once, in the front, which knows the field; or at its end, when the books know the block.

use azote_hdl::prelude::*;
use azote_regs::nvme::{limits, log, status};

use crate::parts::{BlockTable, slots_of};

packed! {
    /// An entry, but for its number: the status field with a zero for the phase.
    pub Entry {
        location: 16,
        nsid: 32,
        lba: 64,
        status: 15,
        phase: 1,
        cid: 16,
        sqid: 3,
    }
}

packed! {
    /// How many there were of a function.
    Counts {
        media: 32,
        all: 32,
    }
}

/// Bits of an entry's number within its function.
const INDEX: usize = log::ERROR_ENTRIES.trailing_zeros() as usize;

struct St;
impl St {
    const BOOT: u64 = 0;
    const IDLE: u64 = 1;
    const READ: u64 = 2;
    const WRITE: u64 = 3;
}

#[derive(LogicBlock, Default)]
pub struct Errors {
    pub clock: Clk,
    pub reset: Rst,
    /// One clock: the front refused a command. Never twice within eight clocks.
    pub refused: I<1>,
    pub refused_slot: I<6>,
    pub refused_qid: I<3>,
    pub refused_cid: I<16>,
    pub refused_code: I<11>,
    pub refused_location: I<16>,
    pub refused_lba: I<64>,
    pub refused_nsid: I<32>,
    /// One clock: a command ended badly. Never twice within six clocks.
    pub failed: I<1>,
    pub failed_slot: I<6>,
    pub failed_qid: I<3>,
    pub failed_cid: I<16>,
    pub failed_code: I<11>,
    pub failed_lba: I<48>,
    /// One clock: `wipe_slot` begins anew. Never twice within sixteen clocks.
    pub wipe: I<1>,
    pub wipe_slot: I<6>,
    /// There is no place for another.
    pub full: O<1>,
    /// How many there were of `slot`, a clock later, and entry `at` of it; it may be neither, and is to be asked for again: something of
    /// the slot was written in one of the two clocks before, and block RAM shows nothing then.
    pub slot: I<6>,
    pub unsure: O<1>,
    pub at: I<3>,
    pub errors: O<32>,
    pub media_errors: O<32>,
    pub entry: O<{ Entry::WIDTH }>,
    st: Reg<2>,
    touched: Reg<2>,
    r_wait: Reg<1>,
    r_slot: Reg<6>,
    r_entry: Reg<{ Entry::WIDTH }>,
    f_wait: Reg<1>,
    f_slot: Reg<6>,
    f_entry: Reg<{ Entry::WIDTH }>,
    f_media: Reg<1>,
    w_wait: Reg<1>,
    w_slot: Reg<6>,
    /// The one in hand came from the front.
    first: Reg<1>,
    /// Of each function, also for the reader.
    counts: BlockTable<6, { Counts::WIDTH }, 2>,
    entries: Ram<9, { Entry::WIDTH }>,
}

impl Errors {
    /// The error logs of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = slots_of(vfs);
        Errors { counts: BlockTable::new(slots, 0), entries: Ram::new(slots << INDEX), ..Self::default() }
    }
}

/// Whether the medium failed: blocks that differ (Compare Failure has the same type) are none of its errors (NVMe 5.14.1.2).
#[pure]
fn is_media_error(code: V) -> V {
    (code.get(status::SCT) == status::SCT_MEDIA) & (code != status::COMPARE_FAILURE)
}

/// The status field: Do Not Retry for everything that would fail again just so, and More, since the log tells it.
#[pure]
pub fn field(code: V) -> V {
    let good = code == status::SUCCESS;
    let media = is_media_error(code);
    let again = media | (code == status::DATA_TRANSFER) | good;
    cat(!again, !good, sized(0, 2), code)
}

#[kernel]
impl Logic for Errors {
    fn update(&mut self) {
        clocked!(self.counts);
        memories!(self.entries);
        let counts = self.counts.rdata[0];
        if self.refused {
            self.r_wait.d = 1;
            self.r_slot.d = self.refused_slot;
            self.r_entry.d = Entry {
                location: self.refused_location,
                nsid: self.refused_nsid,
                lba: self.refused_lba,
                status: field(self.refused_code),
                phase: 0,
                cid: self.refused_cid,
                sqid: self.refused_qid,
            };
        }
        if self.failed {
            self.f_wait.d = 1;
            self.f_slot.d = self.failed_slot;
            self.f_entry.d = Entry {
                location: konst(log::LOCATION_NONE),
                nsid: konst(limits::NSID),
                lba: self.failed_lba.zext(64),
                status: field(self.failed_code),
                phase: 0,
                cid: self.failed_cid,
                sqid: self.failed_qid,
            };
            self.f_media.d = is_media_error(self.failed_code);
        }
        check!((!(self.refused & self.r_wait.q)) | (self.st.q == St::WRITE), "a refused command is not in the log");
        check!((!(self.failed & self.f_wait.q)) | (self.st.q == St::WRITE), "a failed command is not in the log");
        if self.wipe {
            self.w_wait.d = 1;
            self.w_slot.d = self.wipe_slot;
        }
        self.full = self.f_wait.q;
        let count = counts.get(Counts::ALL);
        let media = counts.get(Counts::MEDIA);
        let is_media = (!self.first.q) & self.f_media.q;
        let slot = if self.first.q { self.r_slot.q } else { self.f_slot.q };
        let mut we = sized(0, 1);
        let mut log_we = sized(0, 1);
        let mut wipes = sized(0, 1);
        let new = Counts { media: media + is_media.zext(32), all: count + 1 };
        match self.st.q {
            St::BOOT => {
                if self.counts.ready {
                    self.st.d = St::IDLE;
                }
            }
            St::IDLE => {
                self.first.d = self.r_wait.q;
                wipes = self.w_wait.q & !(self.r_wait.q | self.f_wait.q);
                if self.r_wait.q | self.f_wait.q {
                    self.st.d = St::READ;
                }
            }
            St::READ => {
                wipes = self.w_wait.q & (self.w_slot.q != slot);
                self.st.d = St::WRITE;
            }
            _ => {
                we = 1;
                log_we = 1;
                if self.first.q {
                    self.r_wait.d = self.refused;
                } else {
                    self.f_wait.d = self.failed;
                }
                self.st.d = St::IDLE;
            }
        }
        self.counts.we = we;
        self.counts.waddr = slot;
        self.counts.wdata = new;
        // Without a count there are no entries.
        self.counts.first = 0;
        self.counts.wipe = wipes;
        self.counts.wipe_slot = self.w_slot.q;
        if self.counts.wiped {
            self.w_wait.d = 0;
        }
        self.counts.raddr[0] = slot;
        self.counts.raddr[1] = self.slot;
        let touches = (we & (slot == self.slot)) | (wipes & (self.w_slot.q == self.slot));
        self.touched.d = cat(self.touched.q.bit(0), touches);
        self.unsure = self.touched.q != 0;
        let seen = self.counts.rdata[1];
        self.entries.we = log_we;
        self.entries.waddr = cat(slot, count.bits(INDEX - 1, 0));
        self.entries.wdata = if self.first.q { self.r_entry.q } else { self.f_entry.q };
        self.entries.raddr = cat(self.slot, self.at);
        self.errors = seen.get(Counts::ALL);
        self.media_errors = seen.get(Counts::MEDIA);
        self.entry = self.entries.rdata;
    }
}
