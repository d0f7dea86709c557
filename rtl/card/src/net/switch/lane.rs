//! A lane: frames as they come, each kept whole until it was judged and all copies of it were made.
//!
//! Promises: whatever comes, the next frame is seen from its first beat on; a frame that is to be dropped leaves nothing but its
//! counter; frames leave in order; a frame of any length is never waited for by a copy. A lane takes a beat a clock and two clocks for each frame
//! beside its beats, or as long as its verdict takes.

use azote_hdl::prelude::*;
use azote_regs::{manage::drop, virtio::net};

use super::words::{CopyOut, Counter, EventOut, JudgeOut, PLACE, WIRE};
use crate::net::stream::{FrameIn, SumIn};
use crate::parts::{Fifo, slots_of};

struct St;
impl St {
    const IDLE: u64 = 0;
    const BODY: u64 = 1;
    /// It has ended; its verdict may be due.
    const END: u64 = 2;
}

packed! {
    /// A frame that is kept.
    pub Kept {
        epoch: 1,
        to: 64,
        outside: 1,
        tag: 15,
        length: 14,
        sum: 1,
        sum_at: 13,
        sum_value: 16,
    }
}

/// Frames that are kept at most, however short they are.
const FRAMES: usize = 16;
/// Beats of the longest frame. A buffer has more room than two beats beside it.
const BEATS: u64 = net::MAX_FRAME.div_ceil(16);
const FULL: usize = (1 << PLACE) - 8;
const _: () = assert!((BEATS as usize) < FULL);
/// Bytes of an Ethernet header.
const HEADER: u64 = 14;

#[derive(LogicBlock, Default)]
pub struct Lane {
    pub clock: Clk,
    pub reset: Rst,
    pub frame: FrameIn,
    /// With `sop`: the VLAN of the tag that was taken off.
    pub vlan: I<12>,
    pub sum: SumIn,
    pub judge: JudgeOut,
    pub event: EventOut,
    pub copy: CopyOut,
    /// One clock: what is judged from now on is of another epoch. Nothing is left of those before.
    pub flush: I<1>,
    pub flushed: O<1>,
    pub busy: O<1>,
    slots: Param,
    /// It is the wire's: whose counters they are.
    of_wire: Param,
    st: Reg<2>,
    /// Where the next beat goes, where the frame begins, and the oldest frame that is kept.
    wr: Reg<PLACE>,
    start: Reg<PLACE>,
    rd: Reg<PLACE>,
    room: Reg<1>,
    first: Reg<128>,
    slot: Reg<6>,
    vlan_of: Reg<12>,
    beats: Reg<PLACE>,
    last: Reg<5>,
    bad: Reg<1>,
    long: Reg<1>,
    sum_of: Reg<30>,
    /// The verdict.
    asks: Reg<1>,
    to: Reg<64>,
    outside: Reg<1>,
    dropped: Reg<1>,
    reason: Reg<4>,
    limit: Reg<14>,
    tag: Reg<15>,
    epoch: Reg<1>,
    epoch_of: Reg<1>,
    counts: Reg<1>,
    counted: Reg<24>,
    /// The oldest frame's copies.
    opened: Reg<1>,
    left: Reg<64>,
    left_wire: Reg<1>,
    reads: Reg<1>,
    at: Reg<PLACE>,
    n: Reg<PLACE>,
    loaded: Reg<1>,
    kept: Fifo<{ Kept::WIDTH }>,
    /// Whose each is, for checks alone: no hardware.
    domain: Reg<25>,
    whose: Fifo<25>,
    mem: Ram<PLACE, 128>,
}

impl Lane {
    /// A lane of frames from the PF and `vfs` VFs, or from the wire to them.
    pub fn new(vfs: usize, of_wire: bool) -> Self {
        Lane {
            slots: Param::new(slots_of(vfs)),
            of_wire: Param::new(of_wire.into()),
            kept: Fifo::new(FRAMES),
            whose: Fifo::new(FRAMES),
            mem: Ram::new(1 << PLACE),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Lane {
    fn update(&mut self) {
        clocked!(self.kept, self.whose);
        memories!(self.mem);
        let slots: usize = self.slots.get();

        // --- a frame comes
        let used = self.wr.q - self.rd.q;
        self.room.d = used < konst(FULL);
        let begins = self.st.q == St::IDLE;
        let runs = self.st.q == St::BODY;
        // A frame that begins where one has not ended: that one is over.
        let cut = runs & self.frame.valid & self.frame.sop;
        let takes = self.frame.valid & self.room.q & (begins | runs) & !cut;
        let whole = self.beats.q == BEATS;
        self.frame.ready = self.room.q & (begins | runs) & !cut;
        let keeps = takes & (!(runs & whole)) & (runs | self.frame.sop);
        self.mem.we = keeps;
        self.mem.waddr = self.wr.q;
        self.mem.wdata = self.frame.data;
        if keeps {
            self.wr.d = self.wr.q + 1;
            self.beats.d = if begins { 1 } else { self.beats.q + 1 };
        }
        if takes & begins {
            self.first.d = self.frame.data;
            self.slot.d = self.frame.slot;
            self.vlan_of.d = self.vlan;
            self.epoch_of.d = self.epoch.q;
            self.bad.d = !self.frame.sop;
            self.long.d = 0;
            self.asks.d = self.frame.sop;
            self.dropped.d = 0;
            self.st.d = St::BODY;
        }
        if takes & runs & whole {
            self.long.d = 1;
        }
        if takes {
            self.last.d = self.frame.bytes;
            self.sum_of.d = cat(self.sum.valid, self.sum.at, self.sum.value);
            if self.frame.eop {
                self.st.d = St::END;
                if self.frame.error {
                    self.bad.d = 1;
                }
            }
        }
        if cut {
            self.bad.d = 1;
            self.st.d = St::END;
        }

        // --- it is judged meanwhile
        self.judge.valid = self.asks.q;
        self.judge.slot = self.slot.q;
        self.judge.vlan = self.vlan_of.q;
        self.judge.first = self.first.q;
        if self.judge.done {
            self.asks.d = 0;
            self.to.d = self.judge.to;
            self.outside.d = self.judge.outside;
            self.dropped.d = self.judge.dropped;
            self.reason.d = self.judge.reason;
            self.limit.d = self.judge.limit;
            self.tag.d = self.judge.tag;
            self.domain.d = self.judge.domain;
        }

        // --- it has come
        let length = cat(self.beats.q - 1, sized(0, 4)) + self.last.q.zext(14);
        let ends = (self.st.q == St::END) & (!self.asks.q) & (!self.counts.q) & self.kept.in_ready;
        let short = length < HEADER;
        let over = self.long.q | (length > self.limit.q);
        let drops = self.bad.q | short | over | self.dropped.q;
        let why = if self.bad.q {
            sized(drop::ERROR, 4)
        } else if short {
            drop::RUNT
        } else if self.long.q {
            drop::LONG
        } else if self.dropped.q {
            self.reason.q
        } else {
            drop::LONG
        };
        let good = if const { self.of_wire.get() != 0 } { sized(Counter::RX, 4) } else { sized(Counter::TX, 4) };
        let who = if const { self.of_wire.get() != 0 } { sized(WIRE, 6) } else { self.slot.q };
        self.kept.in_valid = ends & !drops;
        self.whose.in_valid = ends & !drops;
        self.whose.in_data = self.domain.q;
        self.kept.in_data = Kept {
            epoch: self.epoch_of.q,
            to: self.to.q.trunc(slots).zext(64),
            outside: self.outside.q,
            tag: self.tag.q,
            length,
            sum: self.sum_of.q.bit(29),
            sum_at: self.sum_of.q.bits(28, 16),
            sum_value: self.sum_of.q.bits(15, 0),
        };
        if ends {
            self.st.d = St::IDLE;
            self.counts.d = 1;
            self.counted.d = cat(who, if drops { why + konst(Counter::DROPS) } else { good }, length);
            if drops {
                self.wr.d = self.start.q;
            } else {
                self.start.d = self.wr.q;
            }
        }
        if self.counts.q & self.event.ready {
            self.counts.d = 0;
        }
        self.event.valid = self.counts.q;
        self.event.slot = self.counted.q.bits(23, 18);
        self.event.word = self.counted.q.bits(17, 14);
        self.event.bytes = self.counted.q.bits(13, 0);

        // --- its copies
        let oldest = self.kept.out_data;
        let size = oldest.get(Kept::LENGTH);
        let ceiling = size + 15;
        let beats = ceiling.bits(13, 4);
        let left = self.left.q.trunc(slots);
        let first = low_mark((left & (!left + 1)).zext(64));
        let rests = self.opened.q & !self.reads.q;
        self.copy.for_wire = rests & self.left_wire.q;
        self.copy.for_slot = rests & (!self.left_wire.q) & self.left.q.any();
        self.copy.slot = first;
        self.copy.length = size;
        self.copy.tag = oldest.get(Kept::TAG);
        let over_with = rests & !(self.left_wire.q | self.left.q.any());
        self.kept.out_ready = over_with;
        self.whose.out_ready = over_with;
        self.copy.domain = self.whose.out_data;
        if over_with {
            self.opened.d = 0;
            self.rd.d = self.rd.q + beats;
        }
        if self.kept.out_valid & !self.opened.q {
            self.opened.d = 1;
            self.left.d = oldest.get(Kept::TO).trunc(slots).zext(64);
            self.left_wire.d = oldest.get(Kept::OUTSIDE);
        }
        if self.copy.go | self.copy.skip {
            if self.left_wire.q {
                self.left_wire.d = 0;
            } else {
                self.left.d = (left & (left - 1)).zext(64);
            }
        }
        let pops = self.loaded.q & self.copy.ready;
        let ends_here = (self.n.q + 1) == beats;
        let after = self.at.q + 1;
        let next = if self.reads.q { if pops { after } else { self.at.q } } else { self.rd.q };
        self.mem.raddr = next;
        self.at.d = next;
        if self.copy.go {
            self.reads.d = 1;
            self.loaded.d = 1;
            self.n.d = 0;
        }
        if pops {
            self.n.d = self.n.q + 1;
            if ends_here {
                self.reads.d = 0;
                self.loaded.d = 0;
            }
        }
        self.copy.valid = self.loaded.q;
        self.copy.sop = self.n.q == 0;
        self.copy.eop = ends_here;
        let rest = size.bits(3, 0);
        self.copy.bytes = if ends_here & (rest != 0) { rest.zext(5) } else { 16 };
        // The checksum's two bytes stand in one beat: its place is even.
        let sum_at = oldest.get(Kept::SUM_AT);
        let here = oldest.get(Kept::SUM) & (sum_at.bits(12, 3) == self.n.q);
        let lane_of = sum_at.bits(2, 0);
        let value = oldest.get(Kept::SUM_VALUE);
        let mut data = self.mem.rdata;
        for w in 0..8 {
            if here & (lane_of == w) {
                let mask: usize = 16 * w;
                data = (self.mem.rdata & !(sized(0xffff, 128) << konst(mask)))
                    | (cat(sized(0, 112), value.bits(7, 0), value.bits(15, 8)) << konst(mask));
            }
        }
        self.copy.data = data;

        // --- what was judged before a port changed
        if self.flush {
            self.epoch.d = !self.epoch.q;
        }
        let old_kept = self.kept.out_valid & (oldest.get(Kept::EPOCH) != self.epoch.q);
        let old_comes = (self.st.q != St::IDLE) & (self.epoch_of.q != self.epoch.q);
        self.flushed = !(old_kept | old_comes);
        self.busy = (self.st.q != St::IDLE) | self.kept.out_valid | self.counts.q | self.frame.valid;
        check!((!self.copy.go) | rests, "a copy begins that nobody has asked for");
    }
}

/// The number of the only mark.
#[pure]
fn low_mark(lowest: V) -> V {
    let b0 = lowest & konst(0xaaaa_aaaa_aaaa_aaaa_u64);
    let b1 = lowest & konst(0xcccc_cccc_cccc_cccc_u64);
    let b2 = lowest & konst(0xf0f0_f0f0_f0f0_f0f0_u64);
    let b3 = lowest & konst(0xff00_ff00_ff00_ff00_u64);
    let b4 = lowest & konst(0xffff_0000_ffff_0000_u64);
    let b5 = lowest & konst(0xffff_ffff_0000_0000_u64);
    cat(b5.any(), b4.any(), b3.any(), b2.any(), b1.any(), b0.any())
}
