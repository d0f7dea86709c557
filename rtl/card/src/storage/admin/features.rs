//! Features (NVMe 5.27): what each function has set, and what is to be told of it.
//!
//! A function's sixteen words are kept as their difference to the defaults, so that forgetting is writing zeroes. What other
//! blocks must know at any time stands beside the memory, a bit a slot.

use azote_hdl::prelude::*;
use azote_regs::nvme::{command as cmd, limits, opcode};

use crate::parts::{BlockTable, Forget, is_marked, mark_of, slots_of};

const WRITE_CACHE_DEFAULT: u64 = 1;
/// The word of a function's features that no feature has for its number: the lower temperature threshold.
const UNDER: u64 = 0;

#[derive(LogicBlock, Default)]
pub struct Features {
    pub clock: Clk,
    pub reset: Rst,
    /// A Set or Get Features command, there some clocks before it counts.
    pub slot: I<6>,
    pub cdw10: I<32>,
    pub cdw11: I<32>,
    /// What Get Features answers; what Set Features does.
    pub value: O<32>,
    pub result: O<32>,
    /// One clock: it is a Set Features command, and all is right with it.
    pub apply: I<1>,
    /// In that clock: the temperature has now come to be beyond a threshold.
    pub warms: O<1>,
    /// In that clock, for `slot`: what it wants to be told of, how its interrupts are collected.
    pub set_events: O<1>,
    pub set_coalescing: O<1>,
    pub set_vectors: O<1>,
    pub vectors: O<8>,
    /// The slot's write cache is off.
    pub through: O<1>,
    /// Whose temperature is beyond a threshold.
    pub warm: O<64>,
    /// The memory is as at reset.
    pub ready: O<1>,
    /// A controller was closed: held until `forgotten`, which stays until `forget` falls.
    pub forget: I<1>,
    pub forget_slot: I<6>,
    pub forgotten: O<1>,
    forgets: Forget,
    /// Which feature it is.
    k_vector: Reg<1>,
    k_temperature: Reg<1>,
    k_cache: Reg<1>,
    k_queues: Reg<1>,
    k_coalescing: Reg<1>,
    k_events: Reg<1>,
    k_recovery: Reg<1>,
    /// By slot: the write cache is off; the temperature is over or under a threshold.
    r_through: Reg<64>,
    hot: Reg<64>,
    cold: Reg<64>,
    slots: Param,
    words: BlockTable<10, 32, 1>,
}

impl Features {
    /// Features of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = slots_of(vfs);
        Features { slots: Param::new(slots), words: BlockTable::new(slots * 16, 4), ..Self::default() }
    }
}

/// The bits of a feature that are kept.
#[pure]
fn kept(fid: V, value: V) -> V {
    match fid {
        opcode::FEATURE_TEMPERATURE => value & konst(cmd::TEMPERATURE_TMPTH.mask()),
        opcode::FEATURE_WRITE_CACHE => value & konst(cmd::WRITE_CACHE_WCE.mask()),
        opcode::FEATURE_COALESCING => value & konst(cmd::COALESCING_THR.mask() | cmd::COALESCING_TIME.mask()),
        opcode::FEATURE_ATOMICITY => value & 1,
        _ => value,
    }
}

/// What a feature is before it is set.
#[pure]
fn default_of(fid: V, is_under: V) -> V {
    match fid {
        opcode::FEATURE_WRITE_CACHE => sized(WRITE_CACHE_DEFAULT, 32),
        opcode::FEATURE_TEMPERATURE => {
            if is_under {
                sized(0, 32)
            } else {
                konst(limits::TEMPERATURE_WARNING)
            }
        }
        _ => 0,
    }
}

#[kernel]
impl Logic for Features {
    fn update(&mut self) {
        clocked!(self.forgets, self.words);
        let kept_word = self.words.rdata[0];
        let fid = self.cdw10.get(cmd::FEATURE_FID);
        let sel = self.cdw10.get(cmd::FEATURE_SEL);
        let iv = self.cdw11.get(cmd::VECTOR_IV);
        let is_under =
            (fid == opcode::FEATURE_TEMPERATURE) & (self.cdw11.get(cmd::TEMPERATURE_TYPE) == cmd::TEMPERATURE_UNDER);
        let default = default_of(fid, is_under);
        let word = cat(self.slot, if is_under { sized(UNDER, 4) } else { fid.bits(3, 0) });
        self.k_vector.d = fid == opcode::FEATURE_VECTOR;
        self.k_temperature.d = fid == opcode::FEATURE_TEMPERATURE;
        self.k_cache.d = fid == opcode::FEATURE_WRITE_CACHE;
        self.k_queues.d = fid == opcode::FEATURE_QUEUES;
        self.k_coalescing.d = fid == opcode::FEATURE_COALESCING;
        self.k_events.d = fid == opcode::FEATURE_ASYNC_EVENT;
        self.k_recovery.d = fid == opcode::FEATURE_ERROR_RECOVERY;

        // --- told
        let queues = sized(cmd::QUEUES_NSQ.put(limits::IO_QUEUES - 1) | cmd::QUEUES_NCQ.put(limits::IO_QUEUES - 1), 32);
        let now = sel == cmd::FEATURE_SEL_CURRENT;
        let no_cache = kept_word.sel(iv.bits(4, 0)) & now;
        let named = sized(cmd::FEATURE_CAP_CHANGEABLE | cmd::FEATURE_CAP_NAMESPACE, 32);
        let other = sized(cmd::FEATURE_CAP_CHANGEABLE, 32);
        self.result = if self.k_queues.q { queues } else { 0 };
        self.value = if sel == cmd::FEATURE_SEL_CAPABILITIES {
            if self.k_recovery.q { named } else { other }
        } else if self.k_queues.q {
            queues
        } else if self.k_vector.q {
            cat(sized(0, 15), no_cache, iv)
        } else if now {
            kept_word ^ default
        } else {
            default
        };

        // --- set
        let vector = sized(1, 32) << iv.bits(2, 0);
        let vectors = if self.cdw11.get(cmd::VECTOR_CD) { kept_word | vector } else { kept_word & !vector };
        let me = mark_of(self.slot, { self.slots.get() });
        let limit = self.cdw11.get(cmd::TEMPERATURE_TMPTH);
        let over = limit <= limits::TEMPERATURE;
        let under = limit >= limits::TEMPERATURE;
        let was = is_marked(self.hot.q | self.cold.q, self.slot, { self.slots.get() });
        self.warms = self.k_temperature.q & (!was) & (if is_under { under } else { over });
        self.words.we = self.apply & !self.k_queues.q;
        self.words.waddr = word;
        self.words.wdata = if self.k_vector.q { vectors } else { kept(fid, self.cdw11) ^ default };
        self.words.raddr[0] = word;
        if self.apply & self.k_temperature.q {
            if is_under {
                self.cold.d = (self.cold.q & !me) | (if under { me } else { 0 });
            } else {
                self.hot.d = (self.hot.q & !me) | (if over { me } else { 0 });
            }
        }
        if self.apply & self.k_cache.q {
            let off = !self.cdw11.get(cmd::WRITE_CACHE_WCE);
            self.r_through.d = (self.r_through.q & !me) | (if off { me } else { 0 });
        }
        self.set_events = self.apply & self.k_events.q;
        self.set_coalescing = self.apply & self.k_coalescing.q;
        self.set_vectors = self.apply & self.k_vector.q;
        self.vectors = vectors.bits(7, 0);
        self.through = is_marked(self.r_through.q, self.slot, { self.slots.get() });
        self.warm = self.hot.q | self.cold.q;

        // --- forgotten: all at reset, sixteen words of who is closed, in clocks in which nobody sets one
        let wipes = self.forgets.wanted & !self.apply;
        self.words.first = 0;
        self.words.wipe = wipes;
        self.words.wipe_slot = self.forget_slot;
        self.ready = self.words.ready;
        self.forgets.ask = self.forget;
        self.forgets.over = self.words.wiped;
        self.forgotten = self.forgets.done;
        if wipes {
            let them = mark_of(self.forget_slot, { self.slots.get() });
            self.r_through.d = self.r_through.q & !them;
            self.hot.d = self.hot.q & !them;
            self.cold.d = self.cold.q & !them;
        }
    }
}
