//! Passes frames on, or cuts them into segments of TCP.
//!
//! A frame is kept for sixteen beats: enough to look at its headers, and, when a segment ends within a beat, to take up the next there. So a packet of
//! 64 KiB streams through. Its length must be known at its beginning, since a segment says in its first bytes how long it is.

use azote_hdl::prelude::*;
use azote_regs::virtio::net::header;

use super::headers::Headers;
use super::words::{BeatOut, wire_word};
use crate::net::stream::{FrameIn, TransmitIn};

struct St;
impl St {
    const IDLE: u64 = 0;
    /// What its driver wants is looked at.
    const JUDGE: u64 = 1;
    const PASS: u64 = 2;
    /// Its headers come, and are looked at.
    const LOAD: u64 = 3;
    const PARSE: u64 = 4;
    /// The headers of the next segment are made, and wait for their turn.
    const MAKE: u64 = 5;
    const MADE: u64 = 6;
    const WAIT: u64 = 7;
    /// All is sent: the rest of the frame, if there is one, comes to nothing.
    const FREE: u64 = 8;
}

/// Beats that the longest headers are within: 18 + 60 + 60 bytes.
const HEADER_BEATS: u64 = 9;
const IPV4: u64 = 0x0800;
const IPV6: u64 = 0x86dd;
const TAG: u64 = 0x8100;

const fn field(at: u64, bits: u64) -> azote_regs::Field {
    azote_regs::Field { lo: 8 * at as u32, width: bits as u32 }
}
const FLAGS: azote_regs::Field = field(header::FLAGS, 8);
const GSO_TYPE: azote_regs::Field = field(header::GSO_TYPE, 8);
const GSO_SIZE: azote_regs::Field = field(header::GSO_SIZE, 16);
const CSUM_START: azote_regs::Field = field(header::CSUM_START, 16);
const CSUM_OFFSET: azote_regs::Field = field(header::CSUM_OFFSET, 16);

#[derive(LogicBlock, Default)]
pub struct Cut {
    pub clock: Clk,
    pub reset: Rst,
    pub frame: FrameIn,
    pub wants: TransmitIn,
    pub beat: BeatOut,
    pub busy: O<1>,
    st: Reg<4>,
    /// A frame is here: what is wanted, and how much of it has come.
    here: Reg<1>,
    ended: Reg<1>,
    broken: Reg<1>,
    slot: Reg<6>,
    want: Reg<96>,
    length: Reg<17>,
    v6: Reg<1>,
    unknown: Reg<1>,
    last_bytes: Reg<5>,
    wr: Reg<13>,
    /// Beats before this one are gone.
    low: Reg<13>,
    n: Reg<13>,
    bad: Reg<1>,
    sums: Reg<1>,
    /// The payload that no segment has yet, and where it begins.
    left: Reg<17>,
    pos: Reg<17>,
    asked: Reg<1>,
    /// The segment that leaves.
    sends: Reg<1>,
    b: Reg<13>,
    size: Reg<17>,
    c: Reg<13>,
    q: Reg<4>,
    base: Reg<24>,
    loaded: Reg<1>,
    a: Reg<128>,
    ring: LutRam<4, 128>,
    headers: Headers,
}

#[kernel]
impl Logic for Cut {
    fn update(&mut self) {
        clocked!(self.headers);
        memories!(self.ring);
        // --- what comes
        let cut = self.here.q & !self.ended.q & self.frame.valid & self.frame.sop;
        // Sixteen beats are kept: five bits tell any two places apart.
        let used = self.wr.q.bits(4, 0) - self.low.q.bits(4, 0);
        let ready = if self.here.q { (!self.ended.q) & (!used.bit(4)) & !cut } else { sized(1, 1) };
        let takes = self.frame.valid & ready & (self.here.q | self.frame.sop);
        self.frame.ready = ready;
        self.ring.we = takes;
        self.ring.waddr = self.wr.q.bits(3, 0);
        self.ring.wdata = self.frame.data;
        if takes {
            self.wr.d = self.wr.q + 1;
            self.last_bytes.d = self.frame.bytes;
            if !self.here.q {
                self.here.d = 1;
                self.slot.d = self.frame.slot;
                self.want.d = self.wants.header;
                self.length.d = self.wants.length;
                let kind = wire_word(self.frame.data, { 6 });
                self.v6.d = kind == IPV6;
                self.unknown.d = !((kind == IPV6) | (kind == IPV4) | (kind == TAG));
                self.broken.d = 0;
            }
            if self.frame.eop {
                self.ended.d = 1;
                self.broken.d = self.frame.error;
            }
        }
        if cut {
            self.ended.d = 1;
            self.broken.d = 1;
        }

        // --- what is wanted of it
        let want = self.want.q;
        let gso = want.get(GSO_TYPE);
        let kind_of = gso & konst(header::GSO_ECN.mask() ^ 0xff);
        let gso_size = want.get(GSO_SIZE);
        let start = want.get(CSUM_START);
        let offset = want.get(CSUM_OFFSET);
        let place = start.zext(17) + offset.zext(17);
        let needs = want.get(FLAGS).bit(header::F_NEEDS_CSUM.lo as usize);
        let kept = self.ring.rdata;
        let v6 = self.v6.q;
        // The checksum lies in the transport's header, and not in its ports: nothing that a switch or a rule goes by is changed behind
        // it. And its place is even, so that it lies in one beat.
        let least = if v6 { sized(54, 6) } else { 34 };
        let early = (!start.bits(15, 6).any()) & (start.bits(5, 0) < least);
        let in_ports = !(offset.bits(15, 3).any() | (offset.bit(2) & offset.bit(1)));
        let odd = start.bit(0) | offset.bit(0);
        let beyond = place.bits(16, 1) >= self.length.q.bits(16, 1);
        let cannot = self.unknown.q | early | odd | in_ports | beyond;

        // --- a segment leaves
        let h_bytes = self.headers.bytes;
        let hb = h_bytes.bits(8, 4).zext(13);
        let h = h_bytes.bits(3, 0);
        let in_head = self.b.q < hb;
        let mixed = self.b.q == hb;
        let one_more = self.c.q + 1;
        // The segment's place may be the next beat that comes, or the one behind it.
        let ahead = self.wr.q.bits(4, 0) - self.c.q.bits(4, 0);
        let some = (ahead != 0) & (ahead != 31);
        let there = (some & (ahead != 1)) | self.ended.q;
        let first_there = some | self.ended.q;
        let sends_beat = self.sends.q & (in_head | (self.loaded.q & there));
        let over = self.size.q.bits(16, 4) - 1;
        let seg_last = (self.size.q.bits(16, 5) == 0) & ((!self.size.q.bit(4)) | (self.size.q.bits(3, 0) == 0));
        let moves = sends_beat & self.beat.ready;
        let both = cat(kept, self.a.q);
        let by8 = if self.q.q.bit(3) { both >> 64 } else { both };
        let by4 = if self.q.q.bit(2) { by8 >> 32 } else { by8 };
        let by2 = if self.q.q.bit(1) { by4 >> 16 } else { by4 };
        let by1 = if self.q.q.bit(0) { by2 >> 8 } else { by2 };
        let window = by1.bits(127, 0);
        let head = self.headers.data;
        // A header ends two bytes behind a multiple of four.
        let mut from_head = sized(0, 128);
        for k in 0..4 {
            if h.bits(3, 2) == k {
                from_head = sized(1, 1).rep(128) >> konst(112 - 32 * k);
            }
        }
        let mix = (head & from_head) | (window & !from_head);
        let seg_data = if in_head { head } else { if mixed { mix } else { window } };
        let short = self.ended.q & (cat(self.wr.q, sized(0, 4)) < self.length.q);
        let spoilt = self.ended.q & (self.broken.q | short);
        if self.sends.q & !self.loaded.q & first_there {
            self.a.d = kept;
            self.loaded.d = 1;
        }
        if moves {
            self.b.d = self.b.q + 1;
            self.size.d = cat(over, self.size.q.bits(3, 0));
            if !in_head {
                self.a.d = kept;
                self.c.d = one_more;
                self.low.d = self.c.q;
            }
            if seg_last {
                self.sends.d = 0;
            }
        }
        // Others than the next one's headers are wanted no more behind the beat that has the last of them.
        let heads = self.sends.q & (in_head | mixed);
        self.headers.at = self.b.q.bits(3, 0);

        // --- frames that pass as they are
        // Only with the next one is it known that a beat is not the last.
        let more = self.wr.q.bits(4, 0) - self.n.q.bits(4, 0);
        let here_now = (more != 0) & (self.ended.q | (more != 1));
        let is_last = self.ended.q & (more == 1);
        let passes = (self.st.q == St::PASS) & here_now;
        // Segments are read by their own place, and the first beat of one before the others.
        self.ring.raddr = if self.sends.q {
            if self.loaded.q { one_more.bits(3, 0) } else { self.c.q.bits(3, 0) }
        } else {
            self.n.q.bits(3, 0)
        };
        self.beat.valid = sends_beat | passes;
        self.beat.sop = if self.sends.q { self.b.q == 0 } else { self.n.q == 0 };
        self.beat.eop = if self.sends.q { seg_last } else { is_last };
        self.beat.bytes = if self.sends.q {
            if seg_last { self.size.q.bits(4, 0) } else { 16 }
        } else if is_last {
            self.last_bytes.q
        } else {
            16
        };
        self.beat.data = if self.sends.q { seg_data } else { kept };
        self.beat.slot = self.slot.q;
        self.beat.error = if self.sends.q { spoilt } else { self.bad.q | self.broken.q };
        self.beat.sums = self.sends.q | self.sums.q;
        self.beat.start = if self.sends.q { h_bytes.bits(8, 1).zext(15) } else { start.bits(15, 1) };
        self.beat.base = if self.sends.q { self.base.q } else { 0 };
        self.beat.place = if self.sends.q { self.headers.place.zext(13) } else { place.bits(13, 1) };
        self.beat.udp = (!self.sends.q) & (offset == 6);

        // --- frame by frame
        let then = self.left.q.zext(18) - gso_size.zext(18);
        let last = then.bit(17) | (then == 0);
        let payload = if last { self.left.q.bits(15, 0) } else { gso_size };
        self.headers.load = 0;
        self.headers.load_at = self.n.q.bits(3, 0);
        self.headers.load_data = kept;
        self.headers.parse = 0;
        self.headers.parse_v6 = kind_of == header::GSO_TCPV6;
        self.headers.change = 0;
        self.headers.payload = payload;
        self.headers.first = self.pos.q == 0;
        self.headers.last = last;
        match self.st.q {
            St::IDLE => {
                self.n.d = 0;
                self.bad.d = 0;
                self.sums.d = 0;
                self.pos.d = 0;
                if self.here.q {
                    self.st.d = St::JUDGE;
                }
            }
            St::JUDGE => {
                self.sums.d = needs & (gso == 0);
                self.bad.d = needs & cannot & (gso == 0);
                self.st.d = St::PASS;
                // The least payload of a segment is 8 bytes: what Linux goes down to.
                if gso != 0 {
                    let known = (kind_of == header::GSO_TCPV4) | (kind_of == header::GSO_TCPV6);
                    self.bad.d = (!known) | (!gso_size.bits(15, 3).any());
                    if known & gso_size.bits(15, 3).any() {
                        self.st.d = St::LOAD;
                    }
                }
            }
            St::PASS => {
                if passes & self.beat.ready {
                    self.n.d = self.n.q + 1;
                    self.low.d = self.n.q;
                    if is_last {
                        self.st.d = St::FREE;
                    }
                }
            }
            St::LOAD => {
                if here_now {
                    self.headers.load = 1;
                    self.n.d = self.n.q + 1;
                    if is_last | (self.n.q == HEADER_BEATS - 1) {
                        self.st.d = St::PARSE;
                        self.asked.d = 0;
                    }
                }
            }
            St::PARSE => {
                self.asked.d = 1;
                self.headers.parse = !self.asked.q;
                self.left.d = self.length.q - h_bytes.zext(17);
                if self.headers.done {
                    self.asked.d = 0;
                    if self.headers.good & (h_bytes.zext(17) < self.length.q) {
                        self.st.d = St::MAKE;
                    } else {
                        self.bad.d = 1;
                        self.n.d = 0;
                        self.st.d = St::PASS;
                    }
                }
            }
            St::MAKE => {
                if (!heads) | self.asked.q {
                    self.headers.change = !self.asked.q;
                    self.asked.d = 1;
                    if self.headers.done {
                        self.asked.d = 0;
                        self.st.d = St::MADE;
                    }
                }
            }
            St::MADE => {
                if (!self.sends.q) | (moves & seg_last) {
                    self.sends.d = 1;
                    self.loaded.d = 0;
                    self.b.d = 0;
                    self.size.d = payload.zext(17) + h_bytes.zext(17);
                    self.c.d = hb + self.pos.q.bits(16, 4);
                    self.q.d = self.pos.q.bits(3, 0);
                    self.base.d = self.headers.base;
                    self.pos.d = self.pos.q + gso_size.zext(17);
                    self.left.d = then.bits(16, 0);
                    self.st.d = if last { St::WAIT } else { St::MAKE };
                }
            }
            St::WAIT => {
                if moves & seg_last {
                    self.st.d = St::FREE;
                }
            }
            St::FREE => {
                self.low.d = self.wr.q;
                if self.ended.q {
                    self.here.d = 0;
                    self.ended.d = 0;
                    self.wr.d = 0;
                    self.low.d = 0;
                    self.st.d = St::IDLE;
                }
            }
            _ => self.st.d = St::IDLE,
        }
        self.busy = self.here.q | self.frame.valid | (self.st.q != St::IDLE);
    }
}
