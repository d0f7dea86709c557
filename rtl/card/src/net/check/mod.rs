//! What the device finds out for a driver that receives: whether the checksum is right, and the hash by which flows are told apart.
//!
//! Promises: a frame passes as it is, in no more clocks; its hash is told before the next frame is let in, and whether its checksum is
//! right after its end. A checksum is right if the frame is TCP or UDP over IPv4 or IPv6 (behind a VLAN tag or not), no fragment, all of it is there, and the sum
//! over pseudo-header and transport is; what lies behind the packet's own length, as the padding of short frames does, is not looked at. Of anything else nothing is
//! said: "right" is never a guess.

use azote_hdl::prelude::*;

pub mod fields;

use self::fields::Fields;
use crate::net::offload::words::{fold, folded, wire_word};
use crate::net::stream::{CheckedOut, FrameIn, FrameOut, HashKeys};

const TAG: u64 = 0x8100;
const IPV6: u64 = 0x86dd;
const TCP: u64 = 6;
const UDP: u64 = 17;

struct St;
impl St {
    /// Beats pass.
    const IDLE: u64 = 0;
    const FIELDS: u64 = 1;
    const ADD: u64 = 2;
    const TELL: u64 = 3;
}

#[derive(LogicBlock, Default)]
pub struct Check {
    pub clock: Clk,
    pub reset: Rst,
    pub frame: FrameIn,
    pub out: FrameOut,
    pub told: CheckedOut,
    pub keys: HashKeys,
    pub busy: O<1>,
    st: Reg<3>,
    /// A frame is under way, or not told of yet.
    open: Reg<1>,
    hashed: Reg<1>,
    n: Reg<12>,
    tagged: Reg<1>,
    v6: Reg<1>,
    /// Where the packet ends by its own length.
    end: Reg<17>,
    /// The beat that is summed, and its halves.
    has: [Reg<1>; 2],
    at: Reg<12>,
    data: Reg<128>,
    half: [Reg<18>; 2],
    total: Reg<24>,
    whole: Reg<1>,
    /// What the pseudo-header has beside the addresses.
    more: Reg<24>,
    fields: Fields,
}

impl Check {
    /// For the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        Check { fields: Fields::new(vfs), ..Self::default() }
    }
}

#[kernel]
impl Logic for Check {
    fn update(&mut self) {
        clocked!(self.fields);
        // The next frame waits until all of this one is told.
        let holds = self.open.q & self.frame.sop;
        let passes = self.frame.valid & self.out.ready & !holds;
        self.frame.ready = self.out.ready & !holds;
        self.out.valid = self.frame.valid & !holds;
        self.out.sop = self.frame.sop;
        self.out.eop = self.frame.eop;
        self.out.bytes = self.frame.bytes;
        self.out.data = self.frame.data;
        self.out.slot = self.frame.slot;
        self.out.error = self.frame.error;
        self.fields.passes = passes;
        self.fields.sop = self.frame.sop;
        self.fields.eop = self.frame.eop;
        self.fields.data = self.frame.data;
        self.fields.slot = self.frame.slot;

        // --- where the packet ends
        let data = self.frame.data;
        let n = if self.frame.sop { sized(0, 12) } else { self.n.q };
        let kind = wire_word(data, { 6 });
        let inner = wire_word(data, { 0 });
        let v6 = if self.tagged.q { inner == IPV6 } else { self.v6.q };
        let length = if self.tagged.q {
            if v6 { wire_word(data, { 3 }) } else { wire_word(data, { 2 }) }
        } else if v6 {
            wire_word(data, { 1 })
        } else {
            wire_word(data, { 0 })
        };
        let before = (if self.tagged.q { sized(18, 17) } else { 14 }) + if v6 { sized(40, 17) } else { 0 };
        let reached = cat(n, sized(0, 4)).zext(17) + self.frame.bytes.zext(17);
        self.has[0].d = passes;
        if passes {
            self.n.d = n + 1;
            self.at.d = n;
            self.data.d = data;
            if n == 0 {
                self.open.d = 1;
                self.hashed.d = 0;
                self.tagged.d = kind == TAG;
                self.v6.d = kind == IPV6;
                self.end.d = 0;
            }
            if n == 1 {
                self.v6.d = v6;
                self.end.d = length.zext(17) + before;
            }
            if self.frame.eop {
                self.st.d = St::FIELDS;
                self.whole.d = 0;
                // Of a frame of two beats the end comes with this one.
                let stop = if n == 1 { length.zext(17) + before } else { self.end.q };
                self.whole.d = (n != 0) & (reached >= stop) & !self.frame.error;
            }
        }

        // --- the sum from the IP header to that end
        let at = self.at.q;
        let stop = self.end.q.bits(16, 4);
        let rest = self.end.q.bits(3, 0).zext(5);
        let inside = at.zext(13) < stop;
        let ends = at.zext(13) == stop;
        let mut words = self.data.q;
        for b in 0..16 {
            let early = if const { b < 2 } {
                ((at == 1) & self.tagged.q) | (at == 0)
            } else if const { b < 14 } {
                at == 0
            } else {
                (at == 0) & self.tagged.q
            };
            // The first beat's last two bytes are the header's whatever its length says.
            let keep = (!early) & ((at == 0) | inside | (ends & (rest > b)));
            words = words & !((!keep).rep(8).zext(128) << konst(8 * b));
        }
        for half in 0..2 {
            let a = wire_word(words, { 4 * half }).zext(18) + wire_word(words, { 4 * half + 1 }).zext(18);
            let b = wire_word(words, { 4 * half + 2 }).zext(18) + wire_word(words, { 4 * half + 3 }).zext(18);
            self.half[half].d = a + b;
        }
        self.has[1].d = self.has[0].q;
        if self.has[1].q {
            self.total.d = fold(self.total.q).zext(24) + self.half[0].q.zext(24) + self.half[1].q.zext(24);
        }

        // --- what is told
        let l4_length = self.end.q - cat(self.fields.l4, sized(0, 1)).zext(17);
        let proto = if self.fields.udp { sized(UDP, 24) } else { TCP };
        self.more.d = l4_length.zext(24) + proto;
        let hash_known = self.open.q & (self.n.q != 0) & self.fields.over & !self.hashed.q;
        if hash_known {
            self.hashed.d = 1;
        }
        match self.st.q {
            St::IDLE => {}
            St::FIELDS => {
                let summed = !(self.has[0].q | self.has[1].q);
                if summed & self.fields.over {
                    self.st.d = St::ADD;
                }
            }
            St::ADD => {
                self.total.d = fold(self.total.q).zext(24) + self.fields.less + self.more.q;
                self.st.d = St::TELL;
            }
            St::TELL => {
                self.open.d = 0;
                self.total.d = 0;
                self.n.d = 0;
                self.st.d = St::IDLE;
            }
            _ => self.st.d = St::IDLE,
        }
        let fine = (folded(fold(self.total.q)) == 0xffff) & self.fields.known & self.whole.q & !self.fields.unsummed;
        self.told.hashed = hash_known;
        self.told.hash = self.fields.hash;
        self.told.report = self.fields.report;
        self.told.checked = self.st.q == St::TELL;
        self.told.right = fine;
        self.fields.key_we = self.keys.key_we;
        self.fields.key_slot = self.keys.key_slot;
        self.fields.key_word = self.keys.key_word;
        self.fields.key_data = self.keys.key_data;
        self.fields.types_we = self.keys.types_we;
        self.fields.types_slot = self.keys.types_slot;
        self.fields.types = self.keys.types;
        self.busy = self.open.q | self.frame.valid;
    }
}
